//! Pages for clients who have no account: which posts they show, and until when.

use crate::db::{Error, Row, Tx};
use crate::params;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub id: String,
    pub workspace_id: String,
    /// The client's.
    pub name: String,
    pub created_by: String,
    pub created_at: i64,
    pub expires_at: i64,
    pub revoked_at: Option<i64>,
    /// When it was last opened.
    pub used_at: Option<i64>,
}

/// Writes a link to these posts; of its token only the hash.
pub async fn add(tx: &Tx, l: &Link, hash: &str, posts: &[String]) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO review_link (id, workspace_id, hash, name, created_by, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            &l.id,
            &l.workspace_id,
            hash,
            &l.name,
            &l.created_by,
            l.created_at,
            l.expires_at
        ],
    )
    .await?;
    for post in posts {
        tx.execute(
            "INSERT INTO review_link_post (link_id, post_id) VALUES ($1, $2)",
            params![&l.id, post],
        )
        .await?;
    }
    Ok(())
}

/// The link of a token, one that no longer opens too.
pub async fn by_hash(tx: &Tx, hash: &str) -> Result<Option<Link>, Error> {
    let row = tx.row("SELECT * FROM review_link WHERE hash = $1", params![hash]).await?;
    row.as_ref().map(read).transpose()
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Link>, Error> {
    let row = tx
        .row(
            "SELECT * FROM review_link WHERE workspace_id = $1 AND id = $2",
            params![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Those of a workspace, the newest first.
pub async fn list(tx: &Tx, workspace: &str, limit: i64) -> Result<Vec<Link>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM review_link WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2",
            params![workspace, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The posts that it shows, by their time, and still has.
pub async fn posts(tx: &Tx, link: &str) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT post.id AS id FROM review_link_post JOIN post ON post.id = review_link_post.post_id \
             WHERE review_link_post.link_id = $1 AND post.deleted_at IS NULL \
             ORDER BY coalesce(post.scheduled_at, 9000000000000), post.id",
            params![link],
        )
        .await?;
    rows.iter().map(|r| r.text("id")).collect()
}

/// Does it show this post?
pub async fn shows(tx: &Tx, link: &str, post: &str) -> Result<bool, Error> {
    let row = tx
        .row(
            "SELECT post_id FROM review_link_post WHERE link_id = $1 AND post_id = $2",
            params![link, post],
        )
        .await?;
    Ok(row.is_some())
}

/// Does it show a post with this medium?
pub async fn shows_medium(tx: &Tx, link: &str, media: &str) -> Result<bool, Error> {
    let row = tx
        .row(
            "SELECT review_link_post.post_id FROM review_link_post \
             JOIN post_media ON post_media.post_id = review_link_post.post_id \
             JOIN post ON post.id = review_link_post.post_id \
             WHERE review_link_post.link_id = $1 AND post_media.media_id = $2 AND post.deleted_at IS NULL LIMIT 1",
            params![link, media],
        )
        .await?;
    Ok(row.is_some())
}

pub async fn used(tx: &Tx, id: &str, now: i64) -> Result<(), Error> {
    tx.execute("UPDATE review_link SET used_at = $1 WHERE id = $2", params![now, id]).await?;
    Ok(())
}

/// It opens no more; `false` when it was revoked already.
pub async fn revoke(tx: &Tx, workspace: &str, id: &str, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE review_link SET revoked_at = $1 WHERE workspace_id = $2 AND id = $3 AND revoked_at IS NULL",
            params![now, workspace, id],
        )
        .await?;
    Ok(changed == 1)
}

fn read(r: &Row) -> Result<Link, Error> {
    Ok(Link {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        name: r.text("name")?,
        created_by: r.text("created_by")?,
        created_at: r.int("created_at")?,
        expires_at: r.int("expires_at")?,
        revoked_at: r.opt_int("revoked_at")?,
        used_at: r.opt_int("used_at")?,
    })
}
