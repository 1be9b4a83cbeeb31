//! Answers to writes that carried an `Idempotency-Key`, kept for a day.

use crate::db::{Error, Tx};
use crate::params;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub request_hash: String,
    pub status: i64,
    pub body: String,
}

pub async fn find(tx: &Tx, workspace: &str, key: &str) -> Result<Option<Kept>, Error> {
    let row = tx
        .row(
            "SELECT request_hash, status, body FROM idempotency WHERE workspace_id = $1 AND idempotency_key = $2",
            params![workspace, key],
        )
        .await?;
    row.map(|r| {
        Ok(Kept {
            request_hash: r.text("request_hash")?,
            status: r.int("status")?,
            body: r.text("body")?,
        })
    })
    .transpose()
}

/// Keeps an answer; [`Error::Unique`] when the same key came twice at once, so that the second
/// request's transaction falls.
pub async fn keep(tx: &Tx, workspace: &str, key: &str, kept: &Kept, now: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO idempotency (workspace_id, idempotency_key, request_hash, status, body, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![workspace, key, &kept.request_hash, kept.status, &kept.body, now],
    )
    .await?;
    Ok(())
}

pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute("DELETE FROM idempotency WHERE created_at < $1", params![before]).await
}
