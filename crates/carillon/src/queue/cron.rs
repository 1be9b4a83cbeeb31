//! Work that comes round: each slot is a job with a unique key, so any number of nodes may tick.

use std::time::Duration;

use crate::App;
use crate::db::Error;
use crate::domain::job::{Kind, NewJob};
use crate::store::queue;

/// A lease that reaches so far beyond a new one was given before the clock was set back; nodes'
/// clocks and settings differ by less.
const SET_BACK: i64 = 15 * 60_000;

/// What comes round, and how often. Slots lie at multiples of the period since 1970, so that every
/// node names them alike.
fn table(app: &App) -> [(Kind, Duration); 5] {
    [
        (Kind::Sweep, app.config.queue.sweep_every),
        (Kind::Preflight, Duration::from_secs(60)),
        (Kind::Tokens, Duration::from_secs(60)),
        (Kind::MediaNet, Duration::from_secs(15 * 60)),
        (Kind::Prune, Duration::from_secs(3600)),
    ]
}

/// Adds the jobs of the present slots; one that is there already is left alone.
pub async fn tick(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let due: Vec<NewJob> = table(app)
        .into_iter()
        .map(|(kind, every)| {
            let slot = now - now.rem_euclid((every.as_millis() as i64).max(1));
            NewJob {
                kind,
                lane: format!("cron:{kind}"),
                width: 1,
                subject: kind.to_string(),
                run_at: slot,
                unique_key: Some(format!("cron:{kind}:{slot}")),
            }
        })
        .collect();
    let lease_end = now + app.config.queue.lease.as_millis() as i64;
    app.db
        .write(move |tx| async move {
            queue::pull_in(&tx, lease_end, lease_end + SET_BACK).await?;
            for job in &due {
                // A worker may have died in the middle of a sweep: without this nobody would ever
                // sweep again.
                queue::free_lane(&tx, &job.lane, now).await?;
                // Nor after the clock was set back over slots that are done.
                queue::forget_future(&tx, &job.lane, now + 1_000).await?;
                queue::add(&tx, job, now).await?;
            }
            Ok(())
        })
        .await
}

/// Ticks until dropped.
pub async fn run(app: App) {
    loop {
        match tick(&app).await {
            Ok(()) => app.work.notify_one(),
            Err(e) => tracing::warn!(error = %e, "the clockwork could not write its slots"),
        }
        let every = app.config.queue.sweep_every.as_millis().max(1) as i64;
        let now = app.clock.now();
        app.clock.sleep_until(now - now.rem_euclid(every) + every).await;
    }
}
