//! The lanes of a workspace's connections, as an operator sees them: what waits in each, and what
//! holds it back.

use super::queue;
use crate::db::{Error, Tx};
use crate::params;

#[derive(Debug, Clone)]
pub struct Lane {
    pub lane: String,
    pub connection_id: String,
    pub connection_name: String,
    pub network: String,
    /// Due and not begun.
    pub waiting: i64,
    /// Due later.
    pub delayed: i64,
    pub active: i64,
    /// When it next wants a worker, ms UTC.
    pub next_at: Option<i64>,
    /// Not before: the network's own wait, or its breaker.
    pub open_at: i64,
    pub circuit_until: i64,
    pub paused_at: Option<i64>,
    pub paused_why: Option<String>,
    /// The pause that covers it.
    pub shut_by: Option<String>,
}

/// Every lane of a workspace, by network and name; a connection's uploads have one of their own once
/// there were any.
pub async fn of(tx: &Tx, workspace: &str, now: i64) -> Result<Vec<Lane>, Error> {
    let rows = tx
        .rows(
            "SELECT seen.*, \
               (SELECT count(*) FROM job WHERE job.lane = seen.lane AND job.state = 'ready' AND job.run_at <= $1) AS waiting, \
               (SELECT count(*) FROM job WHERE job.lane = seen.lane AND job.state = 'ready' AND job.run_at > $2) AS later, \
               (SELECT count(*) FROM job WHERE job.lane = seen.lane AND job.state = 'leased') AS active \
             FROM (SELECT connection.id AS id, connection.name AS name, connection.network AS network, \
                 coalesce(gate.lane, 'connection:' || connection.id) AS lane, gate.next_at AS next_at, \
                 coalesce(gate.open_at, 0) AS open_at, coalesce(gate.circuit_until, 0) AS circuit_until, \
                 gate.paused_at AS paused_at, gate.paused_why AS paused_why, gate.shut_by AS shut_by \
               FROM connection LEFT JOIN gate \
                 ON gate.lane IN ('connection:' || connection.id, 'connection:' || connection.id || '/upload') \
               WHERE connection.workspace_id = $3 AND connection.deleted_at IS NULL) AS seen \
             ORDER BY seen.network, seen.name, seen.lane",
            params![now, now, workspace],
        )
        .await?;
    rows.iter()
        .map(|r| {
            Ok(Lane {
                lane: r.text("lane")?,
                connection_id: r.text("id")?,
                connection_name: r.text("name")?,
                network: r.text("network")?,
                waiting: r.int("waiting")?,
                delayed: r.int("later")?,
                active: r.int("active")?,
                next_at: r.opt_int("next_at")?.filter(|at| *at < queue::NEVER),
                open_at: r.int("open_at")?,
                circuit_until: r.int("circuit_until")?,
                paused_at: r.opt_int("paused_at")?,
                paused_why: r.opt_text("paused_why")?,
                shut_by: r.opt_text("shut_by")?,
            })
        })
        .collect()
}

/// Which queued deliveries to take out: due by `until` and after `since` (ms UTC), of one
/// connection or network where they are named.
#[derive(Debug, Clone)]
pub struct Drainable {
    pub after: i64,
    pub until: i64,
    pub connection_id: Option<String>,
    pub network: Option<String>,
}

/// `(id, lane's connection)` of queued deliveries whose job nobody holds, after the cursor, by id.
/// What is under way at a network is never among them: it may be live.
pub async fn drainable(
    tx: &Tx,
    workspace: &str,
    which: &Drainable,
    cursor: &str,
    limit: i64,
) -> Result<Vec<(String, String)>, Error> {
    let (connection, network) =
        (which.connection_id.as_deref().unwrap_or(""), which.network.as_deref().unwrap_or(""));
    let rows = tx
        .rows(
            "SELECT delivery.id, delivery.connection_id FROM delivery JOIN job ON job.subject = delivery.id \
             WHERE delivery.workspace_id = $1 AND delivery.state = 'queued' AND job.state = 'ready' \
               AND job.run_at > $2 AND job.run_at <= $3 AND ($4 = '' OR delivery.connection_id = $5) \
               AND ($6 = '' OR delivery.network = $7) AND delivery.id > $8 ORDER BY delivery.id LIMIT $9",
            params![
                workspace,
                which.after,
                which.until,
                connection,
                connection,
                network,
                network,
                cursor,
                limit
            ],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("id")?, r.text("connection_id")?))).collect()
}

/// Keeps lanes and those of their uploads for this transaction, in one order: whoever changes many of them at once first
/// waits here, and claims pass them by meanwhile.
pub async fn hold(tx: &Tx, lanes: &[String]) -> Result<(), Error> {
    if !tx.is_postgres() {
        return Ok(());
    }
    let mut lanes: Vec<&String> = lanes.iter().collect();
    lanes.sort();
    lanes.dedup();
    for lane in lanes {
        tx.rows(
            "SELECT lane FROM gate WHERE lane IN ($1, CAST($2 AS TEXT) || '/upload') ORDER BY lane FOR UPDATE",
            params![lane, lane],
        )
        .await?;
    }
    Ok(())
}
