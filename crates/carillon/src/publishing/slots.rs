//! Free times: the next one for what stands too close, and those of a connection.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

use super::schedule::Terms;
use super::{guard, view};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::store::{connections, guards};

/// No free time is looked for further ahead than this, in ms.
pub(super) const HORIZON: i64 = 60 * 86_400_000;
/// Suggested times lie on full five minutes, free slots on quarters of an hour.
const STEP: i64 = 5 * 60_000;
const QUARTER: i64 = 15 * 60_000;
/// How many free slots are told at once.
const SLOTS: usize = 10;

/// Free times of a connection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Slots {
    /// ISO 8601 UTC, in order.
    #[schema(example = json!(["2026-11-23T09:00:00Z", "2026-11-23T09:30:00Z"]))]
    pub slots: Vec<String>,
}

/// The next free slots of a connection.
pub async fn of(
    app: &App,
    workspace: &str,
    connection: &str,
    after: Option<i64>,
) -> Result<Slots, Refusal> {
    let (workspace, id) = (workspace.to_owned(), view::known_id(connection, "connection")?);
    let (config, now) = (app.config.publishing.clone(), app.clock.now());
    let from = after.unwrap_or(now).max(now);
    app.db
        .read(move |tx| async move {
            if connections::find(&tx, &workspace, &id).await?.is_none() {
                return Err(Refusal::not_found("connection"));
            }
            let gap = guard::windows(&tx, &config, &workspace).await?.collision.max(QUARTER);
            let taken = guards::taken(&tx, &id, from - gap, from + HORIZON, "").await?;
            let spans: Vec<(i64, i64)> = taken.into_iter().map(|t| (t, gap)).collect();
            let mut slots = Vec::new();
            let mut at = up(from, QUARTER);
            while slots.len() < SLOTS && at < from + HORIZON {
                match first_free(&[(at, spans.clone())]) {
                    Some(0) => {
                        slots.push(when::iso(at));
                        at = up(at + gap, QUARTER);
                    }
                    Some(shift) => at = up(at + shift, QUARTER),
                    None => break,
                }
            }
            Ok(Slots { slots })
        })
        .await
}

/// Times that are given away and stand in no post that goes out yet, by their connections.
pub(crate) type Given = HashMap<String, BTreeSet<i64>>;

/// The next slot that is free for all of these connections at once; `None` when there is none
/// within the horizon.
pub(crate) async fn next_in(
    tx: &Tx,
    terms: &Terms,
    workspace: &str,
    connections: &[String],
    from: i64,
    given: &Given,
) -> Result<Option<i64>, Error> {
    const DAY: i64 = 86_400_000;
    let gap = guard::windows(tx, &terms.config, workspace).await?.collision.max(QUARTER);
    let (mut at, end) = (up(from, QUARTER), from + HORIZON);
    while at < end {
        let until = at + DAY;
        let mut taken = Vec::new();
        for id in connections {
            taken.extend(guards::taken(tx, id, at - gap, until + gap, "").await?);
            let given = given.get(id).into_iter().flatten();
            taken.extend(given.filter(|t| **t > at - gap && **t < until + gap));
        }
        while at < until {
            match taken.iter().filter(|t| (at - **t).abs() < gap).max() {
                None => return Ok(Some(at)),
                Some(taken) => at = up(taken + gap, QUARTER),
            }
        }
    }
    Ok(None)
}

/// The least shift on a full five minutes that leaves every time further than its span from all
/// others; `None` when there is none within the horizon.
pub(super) fn first_free(all: &[(i64, Vec<(i64, i64)>)]) -> Option<i64> {
    let base = all.first()?.0;
    let mut shift = 0;
    while shift < HORIZON {
        let needed = all
            .iter()
            .flat_map(|(at, spans)| {
                spans
                    .iter()
                    .filter(move |(taken, span)| (at + shift - taken).abs() < *span)
                    .map(move |(taken, span)| taken + span - at)
            })
            .max();
        match needed {
            None => return Some(shift),
            Some(needed) => shift = up(base + needed, STEP) - base,
        }
    }
    None
}

/// The next multiple.
fn up(at: i64, step: i64) -> i64 {
    at + (step - at.rem_euclid(step)) % step
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn the_next_free_time_is_a_window_away_from_everything() {
        let at = 600 * MINUTE;
        let span = 30 * MINUTE;
        let free = |taken: &[i64]| {
            first_free(&[(at, taken.iter().map(|t| (at + t * MINUTE, span)).collect())])
                .map(|shift| shift / MINUTE)
        };
        assert_eq!(free(&[]), Some(0));
        assert_eq!(free(&[30]), Some(0), "exactly the window apart is free");
        assert_eq!(free(&[29]), Some(60), "59 minutes, on a full five");
        assert_eq!(free(&[-10]), Some(20));
        assert_eq!(free(&[0, 40]), Some(70), "the hole of 40 minutes is too small");
        assert_eq!(free(&[0, 60]), Some(30), "this one fits");
    }

    #[test]
    fn a_post_moves_as_a_whole() {
        let span = 30 * MINUTE;
        let all = [(0, vec![(0, span)]), (60 * MINUTE, vec![(90 * MINUTE, span)])];
        assert_eq!(first_free(&all), Some(60 * MINUTE), "30 would do for the first alone");
    }
}
