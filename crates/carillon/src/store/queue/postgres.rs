//! Claiming beside other nodes: lock the lanes nobody else holds, take their first jobs, work out
//! their next time: three statements whatever the number of lanes.

use super::gates::{self, Probe};
use crate::db::{Error, Row, Tx};
use crate::domain::job::Pool;
use crate::params;

/// The rows claimed, and the ids of the probes among them.
pub(super) async fn claim(
    tx: &Tx,
    pool: Pool,
    most: i64,
    owner: &str,
    now: i64,
    lease_until: i64,
) -> Result<(Vec<Row>, Vec<String>), Error> {
    let open = tx
        .rows(
            "SELECT lane, circuit, circuit_until FROM gate WHERE pool = $1 AND next_at <= $2 \
             ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED",
            params![pool.as_str(), now, most],
        )
        .await?;
    let (mut lanes, mut probing) = (Vec::new(), Vec::new());
    for row in &open {
        let lane = row.text("lane")?;
        if row.int("circuit_until")? > 0
            && let Some(circuit) = row.opt_text("circuit")?
        {
            match gates::admit(tx, &circuit, now, lease_until).await? {
                Probe::Closed => {}
                Probe::Go => probing.push(lane.clone()),
                Probe::Wait(until) => {
                    gates::wait(tx, &lane, until).await?;
                    continue;
                }
            }
        }
        lanes.push(lane);
    }
    if lanes.is_empty() {
        return Ok(Default::default());
    }
    let lanes = crate::store::json(&lanes);
    // A statement of its own: its snapshot sees what whoever held these lanes before has done. A job
    // that somebody holds is being removed or moved, and that somebody waits for the lane next: to
    // wait for the job would be a deadlock.
    let claimed = tx
        .rows(
            "WITH open AS (SELECT lane, width FROM gate \
               WHERE lane IN (SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS json)))), \
             pick AS (SELECT j.id FROM open CROSS JOIN LATERAL (SELECT id FROM job WHERE job.lane = open.lane \
               AND job.state = 'ready' AND job.run_at <= $2 ORDER BY run_at, id \
               LIMIT greatest(open.width - (SELECT count(*) FROM job AS busy WHERE busy.lane = open.lane \
               AND busy.state = 'leased'), 0) FOR UPDATE SKIP LOCKED) AS j LIMIT $3) \
             UPDATE job SET state = 'leased', fence = fence + 1, lease_owner = $4, lease_until = $5, claimed_at = $6 \
             FROM pick WHERE job.id = pick.id AND job.state = 'ready' \
             RETURNING job.id, job.kind, job.payload, job.lane, job.subject, job.fence, job.lease_owner, job.lease_until, \
             job.run_at, job.tries",
            params![&lanes, now, most, owner, lease_until, now],
        )
        .await?;
    // Every lane that was looked at, also one without a job to take: a lane whose time is wrong
    // must not stand at the head for ever.
    set_times(tx, &lanes).await?;
    let mut probes = Vec::new();
    for row in &claimed {
        if probing.contains(&row.text("lane")?) {
            probes.push(row.text("id")?);
        }
    }
    Ok((claimed, probes))
}

/// Works out `next_at` of these lanes (a JSON array) anew. Two statements: the first waits for
/// whoever holds one, so that the second's snapshot sees what they did.
pub(super) async fn retime(tx: &Tx, lanes: &str) -> Result<(), Error> {
    tx.rows(
        "SELECT lane FROM gate WHERE lane IN (SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS json))) \
         ORDER BY lane FOR UPDATE",
        params![lanes],
    )
    .await?;
    set_times(tx, lanes).await
}

async fn set_times(tx: &Tx, lanes: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE gate SET next_at = (SELECT due FROM lane_due WHERE lane_due.lane = gate.lane) \
         WHERE lane IN (SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS json)))",
        params![lanes],
    )
    .await?;
    Ok(())
}
