//! Posts whose campaign or series is paused: nothing of them goes out until it is resumed.
//!
//! The post says so (`post.paused_at`), and a worker that finds it holds the delivery instead of
//! sending it, however it came into the queue. What waits is taken out of the queue at once, so that
//! everybody sees it. What was late when the pause ended is a person's decision, as always.

use super::lineup::reopen;
use super::outcome;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::problem::Problem;
use crate::domain::refusal::Refusal;
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::posts::{self, Post};
use crate::store::queue::{self, Removed};

pub(super) const PAUSED: &str = "paused";

/// What became of a post's deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub held: usize,
    /// In a worker's hands: they may go out yet.
    pub under_way: usize,
}

/// What became of them when the pause ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LetGo {
    /// But for what waits for an approval.
    pub queued: usize,
    /// Their time passed meanwhile: they stay held, for a person to decide.
    pub late: usize,
}

/// Holds what of a post waits, until [`let_go`].
pub(crate) async fn hold(tx: &Tx, post: &Post, now: i64) -> Result<Held, Refusal> {
    posts::set_paused(tx, &post.id, Some(now)).await?;
    let post = Post { paused_at: Some(now), ..post.clone() };
    keep(tx, &post, now).await
}

/// Of a post that is paused: what was put into the queue meanwhile waits too.
pub(super) async fn keep(tx: &Tx, post: &Post, now: i64) -> Result<Held, Refusal> {
    let mut done = Held::default();
    if post.paused_at.is_none() {
        return Ok(done);
    }
    for d in deliveries::of_post(tx, &post.id).await? {
        if matches!(d.state, State::Sending | State::Waiting | State::Unknown) {
            done.under_way += 1;
        }
        if d.state != State::Queued || d.waits_for_parent() {
            continue;
        }
        if queue::remove(tx, &d.id).await? == Removed::Leased {
            done.under_way += 1;
            continue;
        }
        settle(tx, &d, &paused(), now).await?;
        done.held += 1;
    }
    Ok(done)
}

/// Ends the pause of a post.
pub(crate) async fn let_go(tx: &Tx, post: &Post, now: i64) -> Result<LetGo, Refusal> {
    posts::set_paused(tx, &post.id, None).await?;
    let post = Post { paused_at: None, ..post.clone() };
    let mut done = LetGo::default();
    for d in deliveries::of_post(tx, &post.id).await? {
        let held = d.state == State::Held && d.problem.as_ref().is_some_and(|p| p.class == PAUSED);
        if !held || d.in_doubt() {
            continue;
        }
        if d.scheduled_at.is_some_and(|at| at < now) {
            settle(tx, &d, &passed(), now).await?;
            done.late += 1;
        } else {
            done.queued += usize::from(reopen(tx, &post, d, now).await?);
        }
    }
    Ok(done)
}

async fn settle(tx: &Tx, d: &Delivery, problem: &Problem, now: i64) -> Result<(), Refusal> {
    let moved = Moved { problem: Some(problem), ..Moved::from(d) };
    if deliveries::go(tx, &d.id, d.state, State::Held, &moved, now).await? {
        outcome::announce(tx, d, State::Held, None, now).await?;
    }
    Ok(())
}

pub(super) fn paused() -> Problem {
    let next = "It goes on when what it is part of is resumed, or cancel it.";
    Problem::new(PAUSED, "Its campaign or series is paused, so it was not sent.", "resume", next)
}

fn passed() -> Problem {
    let sentence = "Its time passed while its campaign or series was paused, so it was not sent.";
    Problem::new("late", sentence, "decide", "Send it now with Retry, move it, or cancel it.")
}

pub(super) fn refused() -> Refusal {
    let sentence = "What this post is part of is paused, so nothing of it is sent.";
    Refusal::conflict("paused", sentence, "Resume its campaign or series first.")
}
