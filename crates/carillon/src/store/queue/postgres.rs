//! Claiming beside other nodes: lock the lanes nobody else holds, take their first jobs, in two
//! statements whatever the number of lanes.

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
    // `state = 'ready'` once more at the end: the lane's row is locked in its newest version, but
    // jobs are read from the snapshot taken before another node let go of it.
    let claimed = tx
        .rows(
            "WITH open AS (SELECT lane, width FROM gate WHERE pool = $1 AND next_at <= $2 AND open_at <= $3 \
               ORDER BY next_at LIMIT $4 FOR UPDATE SKIP LOCKED), \
             pick AS (SELECT j.id FROM open CROSS JOIN LATERAL (SELECT id FROM job WHERE job.lane = open.lane \
               AND job.state = 'ready' AND job.run_at <= $5 ORDER BY run_at, id \
               LIMIT greatest(open.width - (SELECT count(*) FROM job AS busy WHERE busy.lane = open.lane \
               AND busy.state = 'leased'), 0)) AS j LIMIT $6) \
             UPDATE job SET state = 'leased', fence = fence + 1, lease_owner = $7, lease_until = $8, claimed_at = $9 \
             FROM pick WHERE job.id = pick.id AND job.state = 'ready' \
             RETURNING job.id, job.kind, job.lane, job.subject, job.fence, job.lease_owner, job.lease_until, \
             job.run_at, job.tries",
            params![pool.as_str(), now, now, most, now, most, owner, lease_until, now],
        )
        .await?;
    let mut lanes: Vec<String> =
        claimed.iter().map(|r| r.text("lane")).collect::<Result<_, _>>()?;
    lanes.sort();
    lanes.dedup();
    if lanes.is_empty() {
        // What made a lane look open may be out of date (its jobs were taken a moment ago): the
        // next claim sees the newer row.
        return Ok(claimed);
    }
    let lanes = crate::store::json(&lanes);
    tx.execute(
        "UPDATE gate SET next_at = CASE \
           WHEN paused_at IS NOT NULL THEN NULL \
           WHEN (SELECT count(*) FROM job WHERE job.lane = gate.lane AND job.state = 'leased') >= width THEN NULL \
           ELSE coalesce((SELECT min(job.run_at) FROM job WHERE job.lane = gate.lane AND job.state = 'ready'), 9000000000000) \
         END WHERE lane IN (SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS json)))",
        params![lanes],
    )
    .await?;
    Ok(claimed)
}
