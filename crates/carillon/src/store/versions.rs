//! What posts said before they were changed.

use crate::db::{Error, Row, Tx};
use crate::params;

/// The newest so many of a post are kept.
const KEPT: i64 = 50;

#[derive(Debug, Clone)]
pub struct Version {
    pub post_id: String,
    /// The post's at that time.
    pub version: i64,
    pub written_by: Option<String>,
    pub written_at: i64,
    /// `publishing::versions::Content`, as JSON.
    pub content: String,
}

pub async fn add(tx: &Tx, v: &Version) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO post_version (post_id, version, written_by, written_at, content) VALUES ($1, $2, $3, $4, $5)",
        params![&v.post_id, v.version, v.written_by.clone(), v.written_at, &v.content],
    )
    .await?;
    tx.execute(
        "DELETE FROM post_version WHERE post_id = $1 AND version NOT IN \
         (SELECT version FROM post_version WHERE post_id = $2 ORDER BY version DESC LIMIT $3)",
        params![&v.post_id, &v.post_id, KEPT],
    )
    .await?;
    Ok(())
}

/// Of a post, newest first.
pub async fn of(tx: &Tx, post: &str) -> Result<Vec<Version>, Error> {
    let rows = tx
        .rows("SELECT * FROM post_version WHERE post_id = $1 ORDER BY version DESC", params![post])
        .await?;
    rows.iter().map(read).collect()
}

pub async fn find(tx: &Tx, post: &str, version: i64) -> Result<Option<Version>, Error> {
    let sql = "SELECT * FROM post_version WHERE post_id = $1 AND version = $2";
    tx.row(sql, params![post, version]).await?.as_ref().map(read).transpose()
}

fn read(r: &Row) -> Result<Version, Error> {
    Ok(Version {
        post_id: r.text("post_id")?,
        version: r.int("version")?,
        written_by: r.opt_text("written_by")?,
        written_at: r.int("written_at")?,
        content: r.text("content")?,
    })
}
