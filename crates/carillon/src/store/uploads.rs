//! Files that arrive in pieces: how far each has come, and where its bytes are kept.

use crate::db::{Error, Row, Tx};
use crate::params;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Becomes the medium's.
    pub id: String,
    pub workspace_id: String,
    pub name: String,
    pub alt: String,
    /// `Upload-Metadata` as it came.
    pub metadata: String,
    /// Bytes of the whole file, and of those that are safe.
    pub length: i64,
    pub received: i64,
    /// The state of SHA-256 after `received` bytes, in Base64.
    pub digest: String,
    /// What the store has to know about its pieces, as JSON.
    pub staging: String,
    pub created_at: i64,
    pub expires_at: i64,
    /// When it became a medium.
    pub finished_at: Option<i64>,
}

impl Upload {
    /// Has every byte arrived?
    pub fn is_whole(&self) -> bool {
        self.received == self.length
    }
}

pub async fn add(tx: &Tx, u: &Upload) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO upload (id, workspace_id, name, alt, metadata, length, received, digest, staging, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            &u.id,
            &u.workspace_id,
            &u.name,
            &u.alt,
            &u.metadata,
            u.length,
            u.received,
            &u.digest,
            &u.staging,
            u.created_at,
            u.expires_at
        ],
    )
    .await?;
    Ok(())
}

/// Also one that has expired, until it is swept.
pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Upload>, Error> {
    let row = tx
        .row("SELECT * FROM upload WHERE workspace_id = $1 AND id = $2", params![workspace, id])
        .await?;
    row.as_ref().map(read).transpose()
}

/// How many files of a workspace are on their way.
pub async fn under_way(tx: &Tx, workspace: &str, now: i64) -> Result<i64, Error> {
    let row = tx
        .row(
            "SELECT count(*) AS n FROM upload WHERE workspace_id = $1 AND expires_at > $2 AND finished_at IS NULL",
            params![workspace, now],
        )
        .await?;
    row.map_or(Ok(0), |r| r.int("n"))
}

/// Raises what is safe from `from` bytes to what `u` says; `false` when somebody else has moved it
/// on, cancelled or finished it.
pub async fn advance(tx: &Tx, u: &Upload, from: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE upload SET received = $1, digest = $2, staging = $3, expires_at = $4 \
             WHERE id = $5 AND received = $6 AND expires_at > 0 AND finished_at IS NULL",
            params![u.received, &u.digest, &u.staging, u.expires_at, &u.id, from],
        )
        .await?;
    Ok(changed == 1)
}

/// It is a medium from now on; `false` when it was cancelled, or is one already.
pub async fn finish(tx: &Tx, id: &str, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE upload SET finished_at = $1 WHERE id = $2 AND expires_at > 0 AND finished_at IS NULL",
            params![now, id],
        )
        .await?;
    Ok(changed == 1)
}

/// Ends it: nothing is added from now on. `None` when there is no such one.
pub async fn cancel(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Upload>, Error> {
    let row = tx
        .row(
            "UPDATE upload SET expires_at = 0 WHERE workspace_id = $1 AND id = $2 RETURNING *",
            params![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Some whose time is over, cancelled ones among them.
pub async fn expired(tx: &Tx, now: i64) -> Result<Vec<Upload>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM upload WHERE expires_at <= $1 ORDER BY expires_at LIMIT 100",
            params![now],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Some that are whole and no medium yet.
pub async fn unfinished(tx: &Tx) -> Result<Vec<Upload>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM upload WHERE expires_at > 0 AND received = length AND finished_at IS NULL LIMIT 100",
            params![],
        )
        .await?;
    rows.iter().map(read).collect()
}

pub async fn remove(tx: &Tx, id: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM upload WHERE id = $1", params![id]).await?;
    Ok(())
}

fn read(r: &Row) -> Result<Upload, Error> {
    Ok(Upload {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        name: r.text("name")?,
        alt: r.text("alt")?,
        metadata: r.text("metadata")?,
        length: r.int("length")?,
        received: r.int("received")?,
        digest: r.text("digest")?,
        staging: r.text("staging")?,
        created_at: r.int("created_at")?,
        expires_at: r.int("expires_at")?,
        finished_at: r.opt_int("finished_at")?,
    })
}
