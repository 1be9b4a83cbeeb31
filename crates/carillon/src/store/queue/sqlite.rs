//! Claiming where one writer has the database to itself: lane by lane, each step an index look-up.

use super::gates::{self, Probe};
use super::retime;
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
    let lanes = tx
        .rows(
            "SELECT lane, width, circuit, circuit_until FROM gate WHERE pool = $1 AND next_at <= $2 \
             ORDER BY next_at LIMIT $3",
            params![pool.as_str(), now, most],
        )
        .await?;
    let (mut claimed, mut probes) = (Vec::<Row>::new(), Vec::new());
    for row in &lanes {
        let left = most - claimed.len() as i64;
        if left <= 0 {
            break;
        }
        let (lane, width) = (row.text("lane")?, row.int("width")?);
        let mut probe = false;
        if row.int("circuit_until")? > 0
            && let Some(circuit) = row.opt_text("circuit")?
        {
            match gates::admit(tx, &circuit, now, lease_until).await? {
                Probe::Closed => {}
                Probe::Go => probe = true,
                Probe::Wait(until) => {
                    gates::wait(tx, &lane, until).await?;
                    continue;
                }
            }
        }
        let free = if width == 1 || probe {
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
        let rows = tx
            .rows(
                "UPDATE job SET state = 'leased', fence = fence + 1, lease_owner = $1, lease_until = $2, \
                 claimed_at = $3 WHERE id IN (SELECT id FROM job WHERE lane = $4 AND state = 'ready' \
                 AND run_at <= $5 ORDER BY run_at, id LIMIT $6) \
                 RETURNING id, kind, payload, lane, subject, fence, lease_owner, lease_until, run_at, tries",
                params![owner, lease_until, now, &lane, now, free.min(left)],
            )
            .await?;
        if probe {
            probes.extend(rows.first().map(|r| r.text("id")).transpose()?);
        }
        claimed.extend(rows);
        retime(tx, &lane).await?;
    }
    Ok((claimed, probes))
}
