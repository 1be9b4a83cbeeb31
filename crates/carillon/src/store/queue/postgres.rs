//! Claiming beside other nodes: lock the lanes nobody else holds, take their first jobs, work out
//! their next time: three statements whatever the number of lanes.

use crate::db::{Error, Row, Tx};
use crate::domain::job::Pool;
use crate::params;

pub(super) async fn claim(
    tx: &Tx,
    pool: Pool,
    most: i64,
    owner: &str,
    now: i64,
    lease_until: i64,
) -> Result<Vec<Row>, Error> {
    let open = tx
        .rows(
            "SELECT lane FROM gate WHERE pool = $1 AND next_at <= $2 AND open_at <= $3 \
             ORDER BY next_at LIMIT $4 FOR UPDATE SKIP LOCKED",
            params![pool.as_str(), now, now, most],
        )
        .await?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let lanes: Vec<String> = open.iter().map(|r| r.text("lane")).collect::<Result<_, _>>()?;
    let lanes = crate::store::json(&lanes);
    // A statement of its own: its snapshot sees what whoever held these lanes before has done.
    let claimed = tx
        .rows(
            "WITH open AS (SELECT lane, width FROM gate \
               WHERE lane IN (SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS json)))), \
             pick AS (SELECT j.id FROM open CROSS JOIN LATERAL (SELECT id FROM job WHERE job.lane = open.lane \
               AND job.state = 'ready' AND job.run_at <= $2 ORDER BY run_at, id \
               LIMIT greatest(open.width - (SELECT count(*) FROM job AS busy WHERE busy.lane = open.lane \
               AND busy.state = 'leased'), 0)) AS j LIMIT $3) \
             UPDATE job SET state = 'leased', fence = fence + 1, lease_owner = $4, lease_until = $5, claimed_at = $6 \
             FROM pick WHERE job.id = pick.id AND job.state = 'ready' \
             RETURNING job.id, job.kind, job.lane, job.subject, job.fence, job.lease_owner, job.lease_until, \
             job.run_at, job.tries",
            params![&lanes, now, most, owner, lease_until, now],
        )
        .await?;
    // Every lane that was looked at, also one without a job to take: a lane whose time is wrong
    // must not stand at the head for ever.
    tx.execute(
        "UPDATE gate SET next_at = CASE \
           WHEN paused_at IS NOT NULL THEN NULL \
           WHEN (SELECT count(*) FROM job WHERE job.lane = gate.lane AND job.state = 'leased') >= width THEN NULL \
           ELSE coalesce((SELECT min(job.run_at) FROM job WHERE job.lane = gate.lane AND job.state = 'ready'), 9000000000000) \
         END WHERE lane IN (SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS json)))",
        params![&lanes],
    )
    .await?;
    Ok(claimed)
}
