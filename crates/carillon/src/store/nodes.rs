//! Processes that work on this database, and when each was last seen.

use crate::db::{Error, Tx};
use crate::params;

pub async fn seen(tx: &Tx, id: &str, role: &str, now: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO node (id, role, started_at, seen_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
        params![id, role, now, now],
    )
    .await?;
    Ok(())
}

/// When a worker was last seen; `None` when there never was one.
pub async fn last_worker(tx: &Tx) -> Result<Option<i64>, Error> {
    let row =
        tx.row("SELECT max(seen_at) AS at FROM node WHERE role = 'worker'", params![]).await?;
    row.map_or(Ok(None), |r| r.opt_int("at"))
}

pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute("DELETE FROM node WHERE seen_at < $1", params![before]).await
}
