//! Work that comes round: each slot is a job with a unique key, so any number of nodes may tick.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::App;
use crate::db::Error;
use crate::domain::job::{Kind, NewJob};
use crate::domain::when;
use crate::store::queue;

/// A lease that reaches so far beyond a new one was given before the clock was set back; nodes'
/// clocks and settings differ by less.
const SET_BACK: i64 = 15 * 60_000;

/// How often something comes round. Every node names a slot alike.
enum Every {
    /// Slots lie at multiples of it since 1970.
    Period(Duration),
    /// At this time of a zone's clocks.
    Day(&'static str, Time),
}

/// What comes round, and how often.
fn table(app: &App) -> [(Kind, Every); 7] {
    let minutes = |n: u64| Every::Period(Duration::from_secs(n * 60));
    [
        (Kind::Sweep, Every::Period(app.config.queue.sweep_every)),
        (Kind::Preflight, minutes(1)),
        (Kind::Tokens, minutes(1)),
        (Kind::Feeds, minutes(1)),
        (Kind::MediaNet, minutes(15)),
        (Kind::Prune, minutes(60)),
        (Kind::Materialise, Every::Day("Europe/London", Time::constant(5, 0, 0, 0))),
    ]
}

impl Every {
    /// The present slot: the last one that has begun, ms UTC.
    fn slot(&self, now: i64) -> i64 {
        match self {
            Self::Period(every) => now - now.rem_euclid((every.as_millis() as i64).max(1)),
            Self::Day(zone, time) => {
                // Zones are built in.
                let zone = when::zone(zone).unwrap_or(TimeZone::UTC);
                let today = when::wall(now, &zone).date();
                let at = |day: Date| when::moment(day.to_datetime(*time), &zone);
                if at(today) <= now { at(today) } else { at(today.yesterday().unwrap_or(today)) }
            }
        }
    }
}

/// Adds the jobs of the present slots; one that is there already is left alone.
pub async fn tick(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let due: Vec<NewJob> = table(app)
        .into_iter()
        .map(|(kind, every)| {
            let slot = every.slot(now);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Five o'clock in London is another moment in summer.
    #[test]
    fn a_daily_slot_is_a_time_of_its_zones_clocks() {
        let five = Every::Day("Europe/London", Time::constant(5, 0, 0, 0));
        let slot = |now: &str| when::iso(five.slot(when::parse(now, "UTC").unwrap()));
        assert_eq!(slot("2026-11-23T04:59:59"), "2026-11-22T05:00:00Z");
        assert_eq!(slot("2026-11-23T05:00:00"), "2026-11-23T05:00:00Z");
        assert_eq!(slot("2026-07-01T03:59:59"), "2026-06-30T04:00:00Z");
        assert_eq!(slot("2026-07-01T04:00:00"), "2026-07-01T04:00:00Z");
    }
}
