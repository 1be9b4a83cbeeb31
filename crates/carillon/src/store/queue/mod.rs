//! Jobs and gates: what there is to do, and what holds it back.
//!
//! A *gate* is the row of one lane. Its `next_at` says when the lane next wants a worker: the
//! earliest ready job, [`NEVER`] when there is none, null while the lane is full or paused. Whoever
//! changes a lane's jobs writes the gate in the same transaction, gate first when adding, so that a
//! claim reads gates only and a paused lane with 100,000 jobs costs nothing.

mod postgres;
mod sqlite;

use crate::db::{Error, Row, Tx};
use crate::domain::job::{Claim, NewJob, Pool};
use crate::{bugs, ids, params};

/// A gate's `next_at` when nothing is ready, in ms: the year 2255.
pub const NEVER: i64 = 9_000_000_000_000;

/// Adds a job; `None` when its unique key is there already.
pub async fn add(tx: &Tx, job: &NewJob, now: i64) -> Result<Option<String>, Error> {
    tx.execute(
        "INSERT INTO gate (lane, pool, width, next_at, open_at) VALUES ($1, $2, $3, $4, 0) \
         ON CONFLICT (lane) DO UPDATE SET next_at = \
         CASE WHEN gate.next_at > excluded.next_at THEN excluded.next_at ELSE gate.next_at END",
        params![&job.lane, job.kind.pool().as_str(), job.width, job.run_at],
    )
    .await?;
    let id = ids::new(now);
    let added = tx
        .execute(
            "INSERT INTO job (id, kind, lane, subject, payload, unique_key, state, run_at, fence, tries, created_at) \
             VALUES ($1, $2, $3, $4, '{\"v\":1}', $5, 'ready', $6, 0, 0, $7) \
             ON CONFLICT (unique_key) DO NOTHING",
            params![&id, job.kind.as_str(), &job.lane, &job.subject, job.unique_key.clone(), job.run_at, now],
        )
        .await?;
    if added == 0 {
        // Its job may be over already: the lane must not wait for one that never comes.
        retime(tx, &job.lane).await?;
        return Ok(None);
    }
    Ok(Some(id))
}

/// Takes up to `most` due jobs of a pool, each with a new fence and a lease until `lease_until`.
pub async fn claim(
    tx: &Tx,
    pool: Pool,
    most: i64,
    owner: &str,
    now: i64,
    lease_until: i64,
) -> Result<Vec<Claim>, Error> {
    let rows = if tx.is_postgres() {
        postgres::claim(tx, pool, most, owner, now, lease_until).await?
    } else {
        sqlite::claim(tx, pool, most, owner, now, lease_until).await?
    };
    rows.iter().map(claimed).collect()
}

fn claimed(row: &Row) -> Result<Claim, Error> {
    Ok(Claim {
        id: row.text("id")?,
        kind: row.word("kind")?,
        lane: row.text("lane")?,
        subject: row.text("subject")?,
        fence: row.int("fence")?,
        owner: row.opt_text("lease_owner")?.unwrap_or_default(),
        lease_until: row.opt_int("lease_until")?.unwrap_or(0),
        run_at: row.int("run_at")?,
        tries: row.int("tries")?,
    })
}

/// Extends the lease; `false` when the claim was lost.
pub async fn extend(tx: &Tx, claim: &Claim, lease_until: i64) -> Result<bool, Error> {
    let whoever;
    let claim = if bugs::on("no fence") {
        whoever = held(tx, claim).await?;
        &whoever
    } else {
        claim
    };
    let changed = tx
        .execute(
            "UPDATE job SET lease_until = $1 WHERE id = $2 AND fence = $3 AND lease_owner = $4 AND state = 'leased'",
            params![lease_until, &claim.id, claim.fence, &claim.owner],
        )
        .await?;
    Ok(changed == 1)
}

/// The claim as whoever holds the job now has it: for a deliberate bug.
async fn held(tx: &Tx, claim: &Claim) -> Result<Claim, Error> {
    let row =
        tx.row("SELECT fence, lease_owner FROM job WHERE id = $1", params![&claim.id]).await?;
    let Some(row) = row else { return Ok(claim.clone()) };
    let (fence, owner) = (row.int("fence")?, row.opt_text("lease_owner")?.unwrap_or_default());
    Ok(Claim { fence, owner, ..claim.clone() })
}

/// Ends a job; `state` is `done` or `dead`. `false` when the claim was lost.
pub async fn finish(
    tx: &Tx,
    claim: &Claim,
    state: &str,
    error: Option<&str>,
    now: i64,
) -> Result<bool, Error> {
    let whoever;
    let claim = if bugs::on("no fence") {
        whoever = held(tx, claim).await?;
        &whoever
    } else {
        claim
    };
    let changed = tx
        .execute(
            "UPDATE job SET state = $1, error = $2, finished_at = $3, lease_until = NULL \
             WHERE id = $4 AND fence = $5 AND lease_owner = $6 AND state = 'leased'",
            params![state, error, now, &claim.id, claim.fence, &claim.owner],
        )
        .await?;
    if changed == 1 {
        retime(tx, &claim.lane).await?;
    }
    Ok(changed == 1)
}

/// Puts a claimed job back for `run_at`. `counted` tries use up its budget.
pub async fn put_back(
    tx: &Tx,
    claim: &Claim,
    run_at: i64,
    counted: bool,
    error: Option<&str>,
) -> Result<bool, Error> {
    let whoever;
    let claim = if bugs::on("no fence") {
        whoever = held(tx, claim).await?;
        &whoever
    } else {
        claim
    };
    let changed = tx
        .execute(
            "UPDATE job SET state = 'ready', run_at = $1, tries = tries + $2, error = $3, lease_owner = NULL, \
             lease_until = NULL WHERE id = $4 AND fence = $5 AND lease_owner = $6 AND state = 'leased'",
            params![run_at, i64::from(counted), error, &claim.id, claim.fence, &claim.owner],
        )
        .await?;
    if changed == 1 && !bugs::on("lane not retimed") {
        retime(tx, &claim.lane).await?;
    }
    Ok(changed == 1)
}

/// Works out a lane's `next_at` anew from its jobs. Call it after they changed.
pub async fn retime(tx: &Tx, lane: &str) -> Result<(), Error> {
    // Two statements on PostgreSQL's account: the first waits for whoever holds the lane, so that
    // the second's snapshot sees what they did.
    if tx.is_postgres() {
        tx.rows("SELECT lane FROM gate WHERE lane = $1 FOR UPDATE", params![lane]).await?;
    }
    tx.execute(
        "UPDATE gate SET next_at = CASE \
           WHEN paused_at IS NOT NULL THEN NULL \
           WHEN (SELECT count(*) FROM job WHERE job.lane = gate.lane AND job.state = 'leased') >= width THEN NULL \
           ELSE coalesce((SELECT min(job.run_at) FROM job WHERE job.lane = gate.lane AND job.state = 'ready'), 9000000000000) \
         END WHERE lane = $1",
        params![lane],
    )
    .await?;
    Ok(())
}

/// Works out every lane anew whose `next_at` is not what its jobs say; how many there were.
pub async fn repair(tx: &Tx) -> Result<u64, Error> {
    let rows = tx
        .rows(
            "SELECT lane FROM (SELECT gate.lane AS lane, coalesce(gate.next_at, -1) AS kept, CASE \
               WHEN paused_at IS NOT NULL THEN -1 \
               WHEN (SELECT count(*) FROM job WHERE job.lane = gate.lane AND job.state = 'leased') >= width THEN -1 \
               ELSE coalesce((SELECT min(job.run_at) FROM job WHERE job.lane = gate.lane AND job.state = 'ready'), 9000000000000) \
             END AS due FROM gate) AS g WHERE kept <> due",
            params![],
        )
        .await?;
    for row in &rows {
        retime(tx, &row.text("lane")?).await?;
    }
    Ok(rows.len() as u64)
}

/// When a pool's next lane wants a worker; lanes that must not open yet count from when they may.
pub async fn next_at(tx: &Tx, pool: Pool) -> Result<Option<i64>, Error> {
    let row = tx
        .row(
            "SELECT min(CASE WHEN next_at > open_at THEN next_at ELSE open_at END) AS at FROM gate \
             WHERE pool = $1 AND next_at IS NOT NULL AND next_at < 9000000000000",
            params![pool.as_str()],
        )
        .await?;
    row.map_or(Ok(None), |r| r.opt_int("at"))
}

/// Keeps a lane shut until `at`: the network asked for a pause.
pub async fn hold_lane(tx: &Tx, lane: &str, at: i64) -> Result<(), Error> {
    tx.execute("UPDATE gate SET open_at = $1 WHERE lane = $2", params![at, lane]).await?;
    Ok(())
}

/// Pauses a lane (`Some((now, why))`) or lets it go on; makes the gate where there is none yet.
pub async fn pause(
    tx: &Tx,
    lane: &str,
    pool: Pool,
    paused: Option<(i64, &str)>,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO gate (lane, pool, width, next_at, open_at) VALUES ($1, $2, 1, 9000000000000, 0) \
         ON CONFLICT (lane) DO NOTHING",
        params![lane, pool.as_str()],
    )
    .await?;
    tx.execute(
        "UPDATE gate SET paused_at = $1, paused_why = $2, open_at = 0 WHERE lane = $3",
        params![paused.map(|p| p.0), paused.map(|p| p.1), lane],
    )
    .await?;
    retime(tx, lane).await
}

/// Why the lane is paused, if it is.
pub async fn paused_why(tx: &Tx, lane: &str) -> Result<Option<String>, Error> {
    let row = tx
        .row("SELECT paused_why FROM gate WHERE lane = $1 AND paused_at IS NOT NULL", params![lane])
        .await?;
    row.map_or(Ok(None), |r| r.opt_text("paused_why"))
}

/// Frees jobs whose lease ended before `now`, or (with `owner`) all that this owner held. They are
/// ready at once; the fence stops whoever held them.
pub async fn free(tx: &Tx, now: i64, everybody: bool) -> Result<Vec<Claim>, Error> {
    let early = if bugs::on("leases freed early") { 55_000 } else { 0 };
    let before = if everybody { NEVER } else { now + early };
    let rows = tx
        .rows(
            "SELECT id, kind, lane, subject, fence, lease_owner, lease_until, run_at, tries FROM job \
             WHERE state = 'leased' AND lease_until < $1 ORDER BY lane, id LIMIT 1000",
            params![before],
        )
        .await?;
    let mut freed = Vec::new();
    for row in &rows {
        let claim = claimed(row)?;
        let changed = tx
            .execute(
                "UPDATE job SET state = 'ready', run_at = $1, lease_owner = NULL, lease_until = NULL \
                 WHERE id = $2 AND fence = $3 AND state = 'leased' AND lease_until < $4",
                params![now, &claim.id, claim.fence, before],
            )
            .await?;
        if changed == 1 {
            retime(tx, &claim.lane).await?;
            freed.push(claim);
        }
    }
    Ok(freed)
}

/// The same for one lane alone: the sweeper's own, which nobody else would free.
pub async fn free_lane(tx: &Tx, lane: &str, now: i64) -> Result<u64, Error> {
    let freed = tx
        .execute(
            "UPDATE job SET state = 'ready', run_at = $1, lease_owner = NULL, lease_until = NULL \
             WHERE lane = $2 AND state = 'leased' AND lease_until < $3",
            params![now, lane, now],
        )
        .await?;
    if freed > 0 {
        retime(tx, lane).await?;
    }
    Ok(freed)
}

/// What became of a subject's unfinished job when it is to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It will not run.
    Yes,
    /// A worker holds it now.
    Leased,
    /// There is none.
    None,
}

/// Removes the job of a subject that is not being worked on.
pub async fn remove(tx: &Tx, subject: &str, lane: &str) -> Result<Removed, Error> {
    let gone = tx
        .execute("DELETE FROM job WHERE subject = $1 AND state = 'ready'", params![subject])
        .await?;
    if gone > 0 {
        retime(tx, lane).await?;
        return Ok(Removed::Yes);
    }
    let leased = tx
        .row("SELECT id FROM job WHERE subject = $1 AND state = 'leased'", params![subject])
        .await?;
    Ok(if leased.is_some() && !bugs::on("leased job edited") {
        Removed::Leased
    } else {
        Removed::None
    })
}

/// Does a job of this subject wait or run?
pub async fn awaits(tx: &Tx, subject: &str) -> Result<bool, Error> {
    let row = tx
        .row(
            "SELECT id FROM job WHERE subject = $1 AND state IN ('ready', 'leased') LIMIT 1",
            params![subject],
        )
        .await?;
    Ok(row.is_some())
}

/// Moves the waiting job of a subject to another time; `false` when none waits.
pub async fn move_to(tx: &Tx, subject: &str, lane: &str, run_at: i64) -> Result<bool, Error> {
    let moved = tx
        .execute(
            "UPDATE job SET run_at = $1 WHERE subject = $2 AND state = 'ready'",
            params![run_at, subject],
        )
        .await?;
    if moved > 0 {
        retime(tx, lane).await?;
    }
    Ok(moved > 0)
}

/// Removes finished jobs older than `before`, a batch at a time.
pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE state IN ('done', 'dead') AND finished_at < $1 LIMIT 1000)",
        params![before],
    )
    .await
}

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
            "SELECT CASE WHEN job.state = 'ready' AND gate.paused_at IS NOT NULL THEN 'paused' \
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
            "SELECT min(next_at) AS at FROM gate WHERE pool = $1 AND next_at <= $2 AND open_at <= $3",
            params![pool.as_str(), now, now],
        )
        .await?;
    row.map_or(Ok(None), |r| r.opt_int("at"))
}

/// How many jobs are due and not begun, paused lanes left out.
pub async fn backlog(tx: &Tx, now: i64) -> Result<i64, Error> {
    let row = tx
        .row(
            "SELECT count(*) AS n FROM job JOIN gate ON gate.lane = job.lane \
             WHERE job.state = 'ready' AND job.run_at <= $1 AND gate.paused_at IS NULL",
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
