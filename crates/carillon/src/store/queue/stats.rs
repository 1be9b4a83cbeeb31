//! How many jobs wait, run, ended and failed.

use crate::db::{Error, Tx};
use crate::domain::job::Pool;
use crate::params;

/// The numbers of `GET /api/scheduling/stats`, of the jobs kept.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Being worked on.
    pub active: i64,
    /// Due and not begun.
    pub waiting: i64,
    /// Due later.
    pub delayed: i64,
    pub completed: i64,
    pub failed: i64,
    /// Ready but in a paused lane.
    pub paused: i64,
    pub completed_last_minute: i64,
    pub failed_last_minute: i64,
    /// Mean ms from claim to end, of the last minute.
    pub mean_ms: i64,
    pub total: i64,
    /// ISO 8601, when this was read.
    pub time: String,
}

pub async fn stats(tx: &Tx, now: i64) -> Result<Stats, Error> {
    let rows = tx
        .rows(
            "SELECT CASE WHEN job.state = 'ready' AND (gate.paused_at IS NOT NULL OR gate.shut_by IS NOT NULL) THEN 'paused' \
                         WHEN job.state = 'ready' AND job.run_at <= $1 THEN 'waiting' \
                         WHEN job.state = 'ready' THEN 'delayed' ELSE job.state END AS state, \
                    count(*) AS n FROM job LEFT JOIN gate ON gate.lane = job.lane GROUP BY 1",
            params![now],
        )
        .await?;
    let mut s = Stats { time: crate::domain::when::iso(now), ..Stats::default() };
    for row in &rows {
        let n = row.int("n")?;
        s.total += n;
        match row.text("state")?.as_str() {
            "paused" => s.paused = n,
            "waiting" => s.waiting = n,
            "delayed" => s.delayed = n,
            "leased" => s.active = n,
            "done" => s.completed = n,
            _ => s.failed = n,
        }
    }
    let recent = tx
        .rows(
            "SELECT state, count(*) AS n, CAST(avg(finished_at - claimed_at) AS BIGINT) AS ms FROM job \
             WHERE state IN ('done', 'dead') AND finished_at >= $1 GROUP BY state",
            params![now - 60_000],
        )
        .await?;
    for row in &recent {
        if row.text("state")? == "done" {
            s.completed_last_minute = row.int("n")?;
            s.mean_ms = row.opt_int("ms")?.unwrap_or(0);
        } else {
            s.failed_last_minute = row.int("n")?;
        }
    }
    Ok(s)
}

/// The due time of a pool's oldest job that is ready, unpaused and late; `None` when nothing is.
pub async fn oldest_due(tx: &Tx, pool: Pool, now: i64) -> Result<Option<i64>, Error> {
    let row = tx
        .row(
            "SELECT min(next_at) AS at FROM gate WHERE pool = $1 AND next_at <= $2",
            params![pool.as_str(), now],
        )
        .await?;
    row.map_or(Ok(None), |r| r.opt_int("at"))
}

/// How many jobs are due and not begun, paused lanes left out.
pub async fn backlog(tx: &Tx, now: i64) -> Result<i64, Error> {
    let row = tx
        .row(
            "SELECT count(*) AS n FROM job JOIN gate ON gate.lane = job.lane \
             WHERE job.state = 'ready' AND job.run_at <= $1 AND gate.paused_at IS NULL AND gate.shut_by IS NULL",
            params![now],
        )
        .await?;
    row.map_or(Ok(0), |r| r.int("n"))
}

/// Deliveries that are ready and due before this time.
pub async fn due_before(tx: &Tx, at: i64) -> Result<i64, Error> {
    let row = tx
        .row(
            "SELECT count(*) AS n FROM job WHERE state = 'ready' AND kind = 'deliver' AND run_at <= $1",
            params![at],
        )
        .await?;
    row.map_or(Ok(0), |r| r.int("n"))
}
