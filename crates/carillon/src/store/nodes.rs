//! Processes that work on this database: when each was last seen, and which keys it holds.

use crate::db::{Error, Tx};
use crate::params;

/// A process that works, and the key ring it works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    pub seen_at: i64,
    /// The ids of its keys, the one that seals first; `None` where its version does not say.
    pub keys: Option<Vec<String>>,
}

/// It lives, and these are the ids of its keys with commas, the one that seals first.
pub async fn seen(tx: &Tx, id: &str, role: &str, keys: &str, now: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO node (id, role, keys, started_at, seen_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET keys = excluded.keys, seen_at = excluded.seen_at",
        params![id, role, keys, now, now],
    )
    .await?;
    Ok(())
}

/// It ended by itself: nobody has to wait for it to go stale.
pub async fn ended(tx: &Tx, id: &str) -> Result<(), Error> {
    tx.execute("UPDATE node SET keys = '' WHERE id = $1", params![id]).await?;
    Ok(())
}

/// Whoever sat on this seat before is dead.
pub async fn ended_on(tx: &Tx, seat: &str) -> Result<(), Error> {
    tx.execute("UPDATE node SET keys = '' WHERE id LIKE $1 || '/%'", params![seat]).await?;
    Ok(())
}

/// Those that were seen after this time and did not end since.
pub async fn alive(tx: &Tx, after: i64) -> Result<Vec<Node>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM node WHERE role = 'worker' AND seen_at > $1 AND coalesce(keys, '?') <> '' ORDER BY id",
            params![after],
        )
        .await?;
    rows.iter()
        .map(|r| {
            let keys = r.opt_text("keys")?;
            let keys = keys.map(|keys| keys.split(',').map(str::to_owned).collect());
            Ok(Node { id: r.text("id")?, seen_at: r.int("seen_at")?, keys })
        })
        .collect()
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
