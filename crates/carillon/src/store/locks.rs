//! Who has a post open in the composer. Nobody is kept out by it; it ends by itself.

use crate::db::{Error, Row, Tx};
use crate::params;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// `account:<id>` or `key:<id>`.
    pub holder: String,
    /// ms UTC
    pub since: i64,
    pub until: i64,
}

/// Takes one or renews it; `true` when it was not held before.
pub async fn take(tx: &Tx, post: &str, holder: &str, until: i64, now: i64) -> Result<bool, Error> {
    let over = "DELETE FROM post_lock WHERE post_id = $1 AND until <= $2";
    tx.execute(over, params![post, now]).await?;
    let renewed = tx
        .execute(
            "UPDATE post_lock SET until = $1 WHERE post_id = $2 AND holder = $3",
            params![until, post, holder],
        )
        .await?;
    if renewed == 1 {
        return Ok(false);
    }
    let taken = tx
        .execute(
            "INSERT INTO post_lock (post_id, holder, since, until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (post_id, holder) DO NOTHING",
            params![post, holder, now, until],
        )
        .await?;
    Ok(taken == 1)
}

/// `true` when there was one that held.
pub async fn release(tx: &Tx, post: &str, holder: &str, now: i64) -> Result<bool, Error> {
    let held = tx
        .execute(
            "DELETE FROM post_lock WHERE post_id = $1 AND holder = $2 AND until > $3",
            params![post, holder, now],
        )
        .await?;
    Ok(held == 1)
}

/// Those that hold, the oldest first.
pub async fn of(tx: &Tx, post: &str, now: i64) -> Result<Vec<Lock>, Error> {
    let rows = tx
        .rows(
            "SELECT holder, since, until FROM post_lock WHERE post_id = $1 AND until > $2 ORDER BY since, holder",
            params![post, now],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Those that ended before this time.
pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute("DELETE FROM post_lock WHERE until < $1", params![before]).await
}

fn read(r: &Row) -> Result<Lock, Error> {
    Ok(Lock { holder: r.text("holder")?, since: r.int("since")?, until: r.int("until")? })
}
