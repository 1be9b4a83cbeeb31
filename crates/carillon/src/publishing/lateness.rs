//! What is decided before the first call of a send: too late, or not yet.
//!
//! A post that comes hours late is a person's decision, whoever was to blame; late ones of one
//! connection keep a gap between them; a spent budget is waited for while that is soon enough.

use std::time::Duration;

use super::budget;
use super::deliver::UPLOADED;
use super::load::Work;
use super::outcome::{Line, Lost, Next, Outcome};
use crate::App;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::problem::Problem;
use crate::store::deliveries;

/// Later than this, posts of one connection keep a gap between them, in ms.
const LATE: i64 = 120_000;
/// A spent budget holds a whole lane for so long at most, in ms.
const LANE_WAIT: i64 = 60_000;

/// Held, or missed, when its moment has passed and nothing of it is visible: whoever was to blame,
/// a post that comes hours late is a person's decision.
pub(super) fn too_late(app: &App, work: &Work) -> Option<Outcome> {
    let (d, now) = (&work.delivery, app.clock.now());
    let story = work.placement.id == "story";
    // What the network takes to process a container, or a large upload to arrive, is no delay of
    // ours; being away when it was to go on is.
    let begun = d.state == State::Waiting || d.checkpoints.contains_key(UPLOADED);
    let due = match d.next_attempt_at {
        Some(at) if begun => at.max(d.scheduled_at?),
        _ => d.scheduled_at?,
    };
    let late = now - due;
    if late <= late_limit(app, work).as_millis() as i64 {
        return None;
    }
    let line = Line::New { step: "prepare", started_at: now, word: "late" };
    let minutes = late / 60_000;
    let (to, next, action) = if story {
        (State::Missed, "Schedule it anew if it still matters.", "edit_post")
    } else {
        (State::Held, "Send it now with Retry, move it, or cancel it.", "decide")
    };
    let sentence = format!("It was {minutes} minutes late when its turn came, so it was not sent.");
    Some(Outcome::of(d, to, Next::Done, line).because(Problem::new("late", sentence, action, next)))
}

/// Not now: the network said that nothing is left, or a late one of this connection went out just
/// now and they must not burst.
pub(super) fn waits(app: &App, work: &Work) -> Option<Outcome> {
    let (d, c, now) = (&work.delivery, &work.connection, app.clock.now());
    let refused = budget::refused_until(work.network.spec(), work.placement, c);
    if let Some(at) = refused.filter(|at| *at > now) {
        return Some(spent(app, work, at, now));
    }
    let late = d.scheduled_at.is_some_and(|at| now - at > LATE);
    let gap = work.policies.late_gap(app.config.publishing.late_gap).as_millis() as i64;
    let next = c.published_at.filter(|_| late).map(|at| at + gap).filter(|at| *at > now)?;
    let why = "Several posts of this account are late; they keep a gap between them.";
    let problem = Problem::new("late", why, "wait", "It goes out by itself.");
    let line = Line::New { step: "prepare", started_at: now, word: "waits" };
    Some(Outcome::of(d, d.state, Next::At(next), line).because(problem))
}

/// Its budget is spent until `at`: it waits, or is held now when that would be too late for it. A
/// short wait is its lane's: the others there would only find the same, each by itself.
pub(super) fn spent(app: &App, work: &Work, at: i64, started_at: i64) -> Outcome {
    let d = &work.delivery;
    let limit = late_limit(app, work).as_millis() as i64;
    let late = d.scheduled_at.is_some_and(|due| at - due > limit);
    let line = Line::New { step: "prepare", started_at, word: "waits" };
    let problem = budget::spent(work.network.spec(), at, late);
    let (to, next) = if late { (State::Held, Next::Done) } else { (d.state, Next::At(at)) };
    // Whoever is in doubt may look meanwhile, so that it is for moments only.
    let lane = Some(at).filter(|at| !late && at - app.clock.now() <= LANE_WAIT);
    Outcome { hold_lane_until: lane, ..Outcome::of(d, to, next, line) }.because(problem)
}

/// Those of a connection that wait for the same moment go in the order of their own times: each a
/// millisecond behind what was due before it, for a lane is worked on by time.
pub(super) async fn in_turn(app: &App, work: &Work, o: Outcome) -> Result<Outcome, Lost> {
    let (Next::At(at), Some(due)) = (&o.next, work.delivery.scheduled_at) else { return Ok(o) };
    if o.hold_lane_until.is_some() {
        return Ok(o);
    }
    let (connection, id) = (work.delivery.connection_id.clone(), work.delivery.id.clone());
    // What was due before that is held when its turn comes.
    let since = app.clock.now() - late_limit(app, work).as_millis() as i64;
    let before = app.db.read(move |tx| async move {
        deliveries::queued_before(&tx, &connection, since, due, &id).await
    });
    let next = Next::At(at + before.await?);
    Ok(Outcome { next, ..o })
}

fn late_limit(app: &App, work: &Work) -> Duration {
    let config = &app.config.publishing;
    match work.placement.id {
        "story" => work.policies.story_late_after(config.story_late_after),
        _ => work.policies.late_after(config.late_after),
    }
}
