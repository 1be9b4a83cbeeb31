//! What the guards ask before a post is taken, and the watch while it is under way.
//!
//! Only what will go out, is going out or is live counts as another post: drafts, failed, missed,
//! cancelled and removed deliveries stand in nobody's way.

use std::collections::BTreeSet;

use crate::db::{Error, Row, Tx};
use crate::store::deliveries::{self, Delivery};
use crate::{params, store};

/// A delivery of another post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    pub id: String,
    pub post_id: String,
    pub scheduled_at: i64,
    pub text: String,
}

/// Until the end of this transaction nobody else asks about these connections, so that of several
/// posts that ask in the same moment each sees those before it. On SQLite there is one writer.
pub async fn take_turns(tx: &Tx, connections: &BTreeSet<&str>) -> Result<(), Error> {
    if connections.is_empty() || !tx.is_postgres() {
        return Ok(());
    }
    // In one order everywhere, so that two never wait for each other. Not the rows themselves: an
    // outcome writes them behind its gate, where this comes before it.
    tx.rows(
        "SELECT CAST(pg_advisory_xact_lock(7236711, hashtext(value)) AS TEXT) AS locked \
         FROM json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON))",
        params![store::json(connections)],
    )
    .await?;
    Ok(())
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
            "SELECT * FROM in_the_way WHERE connection_id = $1 AND scheduled_at > $2 AND scheduled_at < $3 \
             AND post_id <> $4 ORDER BY scheduled_at, id LIMIT 100",
            params![connection, from, to, but],
        )
        .await?;
    rows.iter().map(other).collect()
}

/// The same with this content. Of one series or campaign they may be alike: who made it was asked.
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
            "SELECT * FROM in_the_way WHERE connection_id = $1 AND content_hash = $2 AND scheduled_at > $3 \
             AND scheduled_at < $4 AND post_id <> $5 AND NOT EXISTS (SELECT 1 FROM post AS this JOIN post AS other \
               ON other.series_id = this.series_id OR other.campaign_id = this.campaign_id \
               WHERE this.id = $6 AND other.id = in_the_way.post_id) ORDER BY scheduled_at, id LIMIT 100",
            params![connection, hash, from, to, but, but],
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
            "SELECT DISTINCT scheduled_at AS at FROM in_the_way WHERE connection_id = $1 \
             AND scheduled_at > $2 AND scheduled_at < $3 AND post_id <> $4 ORDER BY scheduled_at LIMIT 10000",
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

/// Connections with deliveries due in `(from, to]` that nobody has looked at.
pub async fn unchecked(tx: &Tx, from: i64, to: i64) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT DISTINCT connection_id AS id FROM delivery \
             WHERE state IN ('queued', 'sending', 'waiting', 'unknown') AND state = 'queued' \
             AND scheduled_at > $1 AND scheduled_at <= $2 AND checked_at IS NULL ORDER BY connection_id",
            params![from, to],
        )
        .await?;
    rows.iter().map(|r| r.text("id")).collect()
}

/// Those of one connection, the next one first.
pub async fn unchecked_of(
    tx: &Tx,
    connection: &str,
    from: i64,
    to: i64,
) -> Result<Vec<Delivery>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM delivery WHERE connection_id = $1 AND state = 'queued' AND scheduled_at > $2 \
             AND scheduled_at <= $3 AND checked_at IS NULL ORDER BY scheduled_at, id LIMIT 1000",
            params![connection, from, to],
        )
        .await?;
    rows.iter().map(deliveries::read).collect()
}

/// What should have gone out, of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    pub workspace_id: String,
    pub count: i64,
    /// When the first of them was due.
    pub since: i64,
}

/// What was due before this time and is not out, where nobody wanted it so: paused lanes and held
/// deliveries are a person's decision, and doubt counts only where nobody looks.
pub async fn late(tx: &Tx, before: i64) -> Result<Vec<Late>, Error> {
    let rows = tx
        .rows(
            "SELECT delivery.workspace_id AS workspace_id, count(*) AS n, min(delivery.scheduled_at) AS since \
             FROM delivery LEFT JOIN gate ON gate.lane = 'connection:' || delivery.connection_id \
             WHERE delivery.state IN ('queued', 'sending', 'waiting', 'unknown') AND delivery.scheduled_at < $1 \
             AND (delivery.state <> 'unknown' OR delivery.next_attempt_at < $2) \
             AND gate.paused_at IS NULL AND gate.shut_by IS NULL \
             GROUP BY delivery.workspace_id ORDER BY delivery.workspace_id",
            params![before, before],
        )
        .await?;
    rows.iter()
        .map(|r| {
            let workspace_id = r.text("workspace_id")?;
            Ok(Late { workspace_id, count: r.int("n")?, since: r.int("since")? })
        })
        .collect()
}

/// The connection of the first of them: its name and its network.
pub async fn first_late(
    tx: &Tx,
    workspace: &str,
    since: i64,
) -> Result<Option<(String, String)>, Error> {
    let row = tx
        .row(
            "SELECT connection.name AS name, connection.network AS network FROM delivery \
             JOIN connection ON connection.id = delivery.connection_id \
             WHERE delivery.state IN ('queued', 'sending', 'waiting', 'unknown') AND delivery.scheduled_at = $1 \
             AND delivery.workspace_id = $2 ORDER BY delivery.id LIMIT 1",
            params![since, workspace],
        )
        .await?;
    row.map(|r| Ok((r.text("name")?, r.text("network")?))).transpose()
}

/// Since when the next step of a delivery has been due that no worker takes, though nothing holds
/// it back: neither a pause, nor the network, nor an open circuit.
pub async fn overdue(tx: &Tx, before: i64, now: i64) -> Result<Option<i64>, Error> {
    let row = tx
        .row(
            "SELECT min(coalesce(delivery.next_attempt_at, delivery.intent_at)) AS at \
             FROM delivery JOIN gate ON gate.lane = 'connection:' || delivery.connection_id \
             WHERE delivery.state IN ('queued', 'sending', 'waiting', 'unknown') AND delivery.scheduled_at < $1 \
             AND coalesce(delivery.next_attempt_at, delivery.intent_at) < $2 \
             AND gate.paused_at IS NULL AND gate.shut_by IS NULL AND gate.open_at <= $3 AND gate.circuit_until <= $4",
            params![before, before, now, now],
        )
        .await?;
    row.map_or(Ok(None), |r| r.opt_int("at"))
}
