//! What the guards ask before a post is taken, and the watch while it is under way.
//!
//! Only what will go out, is going out or is live counts as another post: drafts, failed, missed,
//! cancelled and removed deliveries stand in nobody's way.

use crate::db::{Error, Row, Tx};
use crate::params;

/// A delivery of another post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    pub id: String,
    pub post_id: String,
    pub scheduled_at: i64,
    pub text: String,
}

/// Those of a connection due after `from` and before `to`, of other posts than `but`.
pub async fn near(
    tx: &Tx,
    connection: &str,
    from: i64,
    to: i64,
    but: &str,
) -> Result<Vec<Other>, Error> {
    let rows = tx
        .rows(
            "SELECT delivery.id AS id, delivery.post_id AS post_id, delivery.scheduled_at AS scheduled_at, \
               coalesce(delivery.text, post.text) AS text \
             FROM delivery JOIN post ON post.id = delivery.post_id WHERE delivery.connection_id = $1 \
             AND delivery.scheduled_at > $2 AND delivery.scheduled_at < $3 AND delivery.post_id <> $4 \
             AND delivery.state IN ('queued', 'sending', 'waiting', 'unknown', 'published', 'held') \
             ORDER BY delivery.scheduled_at, delivery.id LIMIT 100",
            params![connection, from, to, but],
        )
        .await?;
    rows.iter().map(other).collect()
}

/// The same with this content.
pub async fn same(
    tx: &Tx,
    connection: &str,
    hash: &str,
    from: i64,
    to: i64,
    but: &str,
) -> Result<Vec<Other>, Error> {
    let rows = tx
        .rows(
            "SELECT delivery.id AS id, delivery.post_id AS post_id, delivery.scheduled_at AS scheduled_at, \
               coalesce(delivery.text, post.text) AS text \
             FROM delivery JOIN post ON post.id = delivery.post_id WHERE delivery.connection_id = $1 \
             AND delivery.content_hash = $2 AND delivery.scheduled_at > $3 AND delivery.scheduled_at < $4 \
             AND delivery.post_id <> $5 \
             AND delivery.state IN ('queued', 'sending', 'waiting', 'unknown', 'published', 'held') \
             ORDER BY delivery.scheduled_at, delivery.id LIMIT 100",
            params![connection, hash, from, to, but],
        )
        .await?;
    rows.iter().map(other).collect()
}

fn other(r: &Row) -> Result<Other, Error> {
    Ok(Other {
        id: r.text("id")?,
        post_id: r.text("post_id")?,
        scheduled_at: r.int("scheduled_at")?,
        text: r.text("text")?,
    })
}

/// When a connection is taken after `from` and before `to`, by other posts than `but`, in order.
pub async fn taken(
    tx: &Tx,
    connection: &str,
    from: i64,
    to: i64,
    but: &str,
) -> Result<Vec<i64>, Error> {
    let rows = tx
        .rows(
            "SELECT DISTINCT scheduled_at AS at FROM delivery WHERE connection_id = $1 \
             AND scheduled_at > $2 AND scheduled_at < $3 AND post_id <> $4 \
             AND state IN ('queued', 'sending', 'waiting', 'unknown', 'published', 'held') \
             ORDER BY scheduled_at LIMIT 10000",
            params![connection, from, to, but],
        )
        .await?;
    rows.iter().map(|r| r.int("at")).collect()
}

/// What holds a lane back now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// By its owner, by a pause that covers it, or until its owner acts.
    pub paused: bool,
    /// The network asked for a wait until then, ms UTC.
    pub open_at: i64,
}

/// The gate of a lane; `None` where nothing was ever queued.
pub async fn gate(tx: &Tx, lane: &str) -> Result<Option<Gate>, Error> {
    let row = tx
        .row("SELECT paused_at, shut_by, open_at FROM gate WHERE lane = $1", params![lane])
        .await?;
    row.map(|r| {
        let paused = r.opt_int("paused_at")?.is_some() || r.opt_text("shut_by")?.is_some();
        Ok(Gate { paused, open_at: r.int("open_at")? })
    })
    .transpose()
}
