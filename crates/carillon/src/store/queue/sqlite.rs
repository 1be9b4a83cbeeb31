//! Claiming where one writer has the database to itself: lane by lane, each step an index look-up.

use super::retime;
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
    let lanes = tx
        .rows(
            "SELECT lane, width FROM gate WHERE pool = $1 AND next_at <= $2 AND open_at <= $3 \
             ORDER BY next_at LIMIT $4",
            params![pool.as_str(), now, now, most],
        )
        .await?;
    let mut claimed: Vec<Row> = Vec::new();
    for row in &lanes {
        let left = most - claimed.len() as i64;
        if left <= 0 {
            break;
        }
        let (lane, width) = (row.text("lane")?, row.int("width")?);
        let free = if width == 1 {
            // A lane of one whose gate is open has nothing in flight.
            1
        } else {
            let busy = tx
                .row(
                    "SELECT count(*) AS n FROM job WHERE lane = $1 AND state = 'leased'",
                    params![&lane],
                )
                .await?;
            width - busy.map_or(Ok(0), |r| r.int("n"))?
        };
        claimed.extend(
            tx.rows(
                "UPDATE job SET state = 'leased', fence = fence + 1, lease_owner = $1, lease_until = $2, \
                 claimed_at = $3 WHERE id IN (SELECT id FROM job WHERE lane = $4 AND state = 'ready' \
                 AND run_at <= $5 ORDER BY run_at, id LIMIT $6) \
                 RETURNING id, kind, lane, subject, fence, lease_owner, lease_until, run_at, tries",
                params![owner, lease_until, now, &lane, now, free.min(left)],
            )
            .await?,
        );
        retime(tx, &lane).await?;
    }
    Ok(claimed)
}
