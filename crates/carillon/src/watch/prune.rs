//! What is kept for a while only. Deliveries and the journal stay.

use crate::App;
use crate::db::Error;
use crate::store::{accounts, alerts, consents, events, idempotency, locks, nodes, queue, sweeps};

const DAY: i64 = 86_400_000;

/// Removes, in batches: finished jobs after a day, events and idempotent answers after a day,
/// sessions, links, consents and locks that ended, nodes not seen for a day, the log of sweeps and alerts
/// that were over after 90 days.
pub async fn prune(app: &App) -> Result<(), Error> {
    let before = app.clock.now() - DAY;
    let long_before = app.clock.now() - 90 * DAY;
    loop {
        let removed = app
            .db
            .write(move |tx| async move {
                let jobs = queue::prune(&tx, before).await?;
                let events = events::prune(&tx, before).await?;
                idempotency::prune(&tx, before).await?;
                accounts::prune(&tx, before).await?;
                consents::prune(&tx, before).await?;
                locks::prune(&tx, before).await?;
                nodes::prune(&tx, before).await?;
                alerts::prune(&tx, long_before).await?;
                sweeps::prune(&tx, long_before).await?;
                Ok::<_, Error>(jobs.max(events))
            })
            .await?;
        if removed < 1000 {
            return Ok(());
        }
    }
}
