//! Jobs and gates: what there is to do, and what holds it back.
//!
//! A *gate* is the row of one lane. Its `next_at` says when the lane next wants a worker: the
//! earliest ready job, but not before the lane may open; [`NEVER`] when there is none, null while
//! the lane is full or paused (the view `lane_due`). Whoever changes a lane's jobs writes the gate
//! in the same transaction, gate first when adding, so that a claim reads gates only and a paused
//! lane with 100,000 jobs costs nothing. What holds whole classes of lanes back is in gates.rs.

mod claimed;
mod foreign;
pub mod gates;
mod postgres;
mod sqlite;
mod stats;

pub use claimed::{End, Ending, end_each, extend, extend_each, finish, hold_each, put_back};
pub use stats::{Stats, backlog, due_before, oldest_due, stats};

use std::collections::BTreeSet;

use crate::db::{Error, Row, Tx};
use crate::domain::job::{Claim, NewJob, Pool};
use crate::{bugs, ids, params, row, store};

/// A gate's `next_at` when nothing is ready, in ms: the year 2255.
pub const NEVER: i64 = 9_000_000_000_000;

/// Adds a job; `None` when its unique key is there already.
pub async fn add(tx: &Tx, job: &NewJob, now: i64) -> Result<Option<String>, Error> {
    let pool = job.kind.pool().as_str();
    tx.execute(
        "INSERT INTO gate (lane, pool, width, next_at, open_at, shut_by) SELECT x.lane, x.pool, x.width, \
           CASE WHEN p.scope IS NULL THEN x.run_at ELSE NULL END, 0, p.scope \
           FROM (SELECT CAST($1 AS TEXT) AS lane, CAST($2 AS TEXT) AS pool, CAST($3 AS BIGINT) AS width, \
             CAST($4 AS BIGINT) AS run_at) AS x LEFT JOIN pause AS p ON p.scope = 'queue:' || x.pool WHERE 1 = 1 \
         ON CONFLICT (lane) DO UPDATE SET next_at = CASE \
           WHEN gate.next_at IS NULL OR gate.next_at <= excluded.next_at THEN gate.next_at \
           WHEN excluded.next_at >= gate.open_at AND excluded.next_at >= gate.circuit_until THEN excluded.next_at \
           WHEN gate.open_at >= gate.circuit_until THEN gate.open_at ELSE gate.circuit_until END",
        params![&job.lane, pool, job.width, job.run_at],
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
    let (rows, probes) = if tx.is_postgres() {
        postgres::claim(tx, pool, most, owner, now, lease_until).await?
    } else {
        sqlite::claim(tx, pool, most, owner, now, lease_until).await?
    };
    let mut claims = Vec::with_capacity(rows.len());
    for row in &rows {
        if foreign::is_known(row)? {
            claims.push(claimed(row, pool)?);
        } else {
            foreign::leave(tx, row, now).await?;
        }
    }
    for claim in claims.iter_mut().filter(|c| probes.contains(&c.id)) {
        claim.probe = true;
    }
    Ok(claims)
}

fn claimed(row: &Row, pool: Pool) -> Result<Claim, Error> {
    Ok(Claim {
        pool,
        id: row.text("id")?,
        kind: row.word("kind")?,
        lane: row.text("lane")?,
        subject: row.text("subject")?,
        fence: row.int("fence")?,
        owner: row.opt_text("lease_owner")?.unwrap_or_default(),
        lease_until: row.opt_int("lease_until")?.unwrap_or(0),
        run_at: row.int("run_at")?,
        tries: row.int("tries")?,
        probe: false,
    })
}

/// Takes a job for an outcome that was kept on disk: while its claim still holds, or after it was
/// freed, but not once anybody has claimed it anew. It keeps its fence.
pub async fn retake(
    tx: &Tx,
    id: &str,
    fence: i64,
    owner: &str,
    lease_until: i64,
) -> Result<Option<Claim>, Error> {
    let row = tx
        .row(
            "UPDATE job SET state = 'leased', lease_owner = $1, lease_until = $2 WHERE id = $3 AND fence = $4 \
             AND (state = 'ready' OR (state = 'leased' AND lease_owner = $5)) \
             RETURNING id, kind, lane, subject, fence, lease_owner, lease_until, run_at, tries",
            params![owner, lease_until, id, fence, owner],
        )
        .await?;
    row.as_ref().map(|row| claimed(row, Pool::Send)).transpose()
}

/// Works out a lane's `next_at` anew from its jobs. Call it after they changed.
pub async fn retime(tx: &Tx, lane: &str) -> Result<(), Error> {
    retime_each(tx, &BTreeSet::from([lane])).await
}

/// The same for many lanes, always in one order, so that two nodes never wait for each other.
pub(super) async fn retime_each(tx: &Tx, lanes: &BTreeSet<&str>) -> Result<(), Error> {
    if tx.is_postgres() {
        return postgres::retime(tx, &store::json(lanes)).await;
    }
    let each: Vec<_> = lanes.iter().map(|lane| row![*lane]).collect();
    tx.execute_each(
        "UPDATE gate SET next_at = (SELECT due FROM lane_due WHERE lane_due.lane = gate.lane) WHERE lane = $1",
        &each,
    )
    .await?;
    Ok(())
}

/// Works out every lane anew whose `next_at` or pause is not what it should be; how many there were.
pub async fn repair(tx: &Tx) -> Result<u64, Error> {
    let rows = tx
        .rows(
            "SELECT gate.lane AS lane FROM gate JOIN lane_due ON lane_due.lane = gate.lane \
             JOIN lane_pause ON lane_pause.lane = gate.lane \
             WHERE coalesce(gate.next_at, -1) <> coalesce(lane_due.due, -1) \
             OR coalesce(gate.shut_by, '') <> coalesce(lane_pause.shut_by, '') ORDER BY gate.lane",
            params![],
        )
        .await?;
    for row in &rows {
        let lane = row.text("lane")?;
        gates::reshut(tx, &lane).await?;
        retime(tx, &lane).await?;
    }
    Ok(rows.len() as u64)
}

/// When a lane of each of these pools next wants a worker, in their order.
pub async fn next_each(tx: &Tx, pools: &[Pool]) -> Result<Vec<Option<i64>>, Error> {
    let each: Vec<_> = pools.iter().map(|pool| row![pool.as_str()]).collect();
    let found = tx
        .rows_each(
            "SELECT min(next_at) AS at FROM gate WHERE pool = $1 AND next_at IS NOT NULL AND next_at < 9000000000000",
            &each,
        )
        .await?;
    found.iter().map(|rows| rows.first().map_or(Ok(None), |r| r.opt_int("at"))).collect()
}

pub async fn next_at(tx: &Tx, pool: Pool) -> Result<Option<i64>, Error> {
    Ok(next_each(tx, &[pool]).await?.pop().flatten())
}

/// Frees jobs whose lease ended before `now`, or (for `everybody`) all that are leased. They are
/// ready at once; the fence stops whoever held them.
pub async fn free(tx: &Tx, now: i64, everybody: bool) -> Result<Vec<Claim>, Error> {
    let early = if bugs::on("leases freed early") { 55_000 } else { 0 };
    let before = if everybody { NEVER } else { now + early };
    let rows = tx
        .rows(
            "SELECT id, kind, payload, lane, subject, fence, lease_owner, lease_until, run_at, tries FROM job \
             WHERE state = 'leased' AND lease_until < $1 ORDER BY lane, id LIMIT 1000",
            params![before],
        )
        .await?;
    let mut freed = Vec::new();
    for row in &rows {
        let (id, lane) = (row.text("id")?, row.text("lane")?);
        let changed = tx
            .execute(
                "UPDATE job SET state = 'ready', run_at = $1, lease_owner = NULL, lease_until = NULL \
                 WHERE id = $2 AND fence = $3 AND state = 'leased' AND lease_until < $4",
                params![now, &id, row.int("fence")?, before],
            )
            .await?;
        if changed == 1 {
            retime(tx, &lane).await?;
            // A newer version's is free as well; what it was is for that version to say.
            if foreign::is_known(row)? {
                freed.push(claimed(row, Pool::Send)?);
            }
        }
    }
    Ok(freed)
}

/// Ends the leases that workers of this seat hold, for the sweep that follows: they are dead.
pub async fn expire(tx: &Tx, seat: &str, now: i64) -> Result<u64, Error> {
    // Owners are `<seat>/<id>`, each of 36 characters.
    tx.execute(
        "UPDATE job SET lease_until = $1 WHERE state = 'leased' AND substr(lease_owner, 1, 37) = $2",
        params![now - 1, format!("{seat}/")],
    )
    .await
}

/// Frees the jobs of one lane whose lease ended: the sweeper's own, which nobody else would free.
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

/// Ends leases at `end` at the latest that reach beyond `beyond`, further than any that is given
/// now: the clock was set back, and a dead worker's would hold for as long as it went. A live
/// worker's next heartbeat extends its own.
pub async fn pull_in(tx: &Tx, end: i64, beyond: i64) -> Result<u64, Error> {
    tx.execute(
        "UPDATE job SET lease_until = $1 WHERE state = 'leased' AND lease_until > $2",
        params![end, beyond],
    )
    .await
}

/// Removes what a lane finished after this time, which is still to come: the clock was set back.
pub async fn forget_future(tx: &Tx, lane: &str, now: i64) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM job WHERE lane = $1 AND state IN ('done', 'dead') AND finished_at > $2",
        params![lane, now],
    )
    .await
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
pub async fn remove(tx: &Tx, subject: &str) -> Result<Removed, Error> {
    let gone = tx
        .rows(
            "DELETE FROM job WHERE subject = $1 AND state = 'ready' RETURNING lane",
            params![subject],
        )
        .await?;
    for row in &gone {
        retime(tx, &row.text("lane")?).await?;
    }
    if !gone.is_empty() {
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
pub async fn move_to(tx: &Tx, subject: &str, run_at: i64) -> Result<bool, Error> {
    let moved = tx
        .rows(
            "UPDATE job SET run_at = $1 WHERE subject = $2 AND state = 'ready' RETURNING lane",
            params![run_at, subject],
        )
        .await?;
    for row in &moved {
        retime(tx, &row.text("lane")?).await?;
    }
    Ok(!moved.is_empty())
}

/// Removes finished jobs older than `before`, a batch at a time.
pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE state IN ('done', 'dead') AND finished_at < $1 LIMIT 1000)",
        params![before],
    )
    .await
}
