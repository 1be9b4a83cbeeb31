//! What follows a post: the next parts of its thread, its first comment.
//!
//! A segment is a delivery with a parent, with a send key, a journal and a fate of its own. It is
//! queued without a job until its parent is live; the transaction that makes the parent live adds
//! the job, and the one that ends the parent for good cancels what was not sent. Hence a crash goes
//! on at the first part that is not out, and a failed comment leaves its post alone.

use carillon_networks::spec::{Beside, Placement};
use carillon_networks::text;

use super::draft::{Draft, DraftDelivery, Part, Parts};
use super::outcome;
use super::plan::Planned;
use crate::db::{Error, Tx};
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::{Kind, NewJob};
use crate::domain::problem::Problem;
use crate::domain::refusal::Wrong;
use crate::store::connections;
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::queue::{self, Removed};

/// Most parts of a thread after its first.
const MOST_PARTS: usize = 50;

/// One that is to follow a delivery, or the segment planned before it.
pub(super) struct Segment {
    pub placement: &'static Placement,
    pub text: String,
}

/// What stands against the threads of a draft whoever they go to.
pub(super) fn measure_threads(draft: &Draft, wrong: &mut Vec<Wrong>) {
    measure_thread("thread", &draft.thread, wrong);
    for (i, d) in draft.deliveries.iter().enumerate() {
        if let Some(Parts::Own(parts)) = &d.thread {
            measure_thread(&format!("deliveries[{i}].thread"), parts, wrong);
        }
    }
    if !draft.thread.is_empty() && !draft.deliveries.iter().any(DraftDelivery::shares) {
        let message = "No connection takes the thread, so its other parts would be lost: choose \
                       one whose network has threads.";
        wrong.push(Wrong::new("thread", "thread_unused", message));
    }
}

fn measure_thread(field: &str, parts: &[Part], wrong: &mut Vec<Wrong>) {
    if parts.len() > MOST_PARTS {
        let message = format!("A thread has at most {MOST_PARTS} parts after the first.");
        wrong.push(Wrong::new(field, "too_many", message));
    }
    for (n, part) in parts.iter().enumerate() {
        if !part.media.is_empty() {
            let message = "Only the first part of a thread takes media for now: move them there.";
            let field = format!("{field}[{n}].media");
            wrong.push(Wrong::new(field, "thread_media_unsupported", message));
        }
    }
}

/// What is to follow a planned delivery, measured against its network.
pub(super) fn plan(
    p: &Planned,
    draft: &Draft,
    d: &DraftDelivery,
    wrong: &mut Vec<Wrong>,
) -> Vec<Segment> {
    let field = format!("deliveries[{}]", p.position);
    let (name, place, id) = (p.spec.name, p.placement.name, p.connection.id.as_str());
    let mut asked = Vec::new();
    let parts = d.parts(&draft.thread);
    if !parts.is_empty() {
        if let Some(placement) = p.spec.reply(p.placement.id) {
            let part = |(n, part): (usize, &Part)| {
                (format!("{field}.thread[{n}]"), Segment { placement, text: part.text.clone() })
            };
            asked.extend(parts.iter().enumerate().map(part));
        } else {
            let message = format!(
                "{name} ({place}) has no threads: take it out, or send it the first part only with \
                 `\"thread\": \"first\"`."
            );
            let field = format!("{field}.thread");
            wrong.push(Wrong::new(field, "thread_unsupported", message).at(id));
        }
    }
    if let Some(comment) = d.comment() {
        let field = format!("{field}.firstComment");
        if let Some(placement) = p.spec.comment(p.placement.id) {
            asked.push((field, Segment { placement, text: comment.to_owned() }));
        } else {
            let message = format!("{name} ({place}) takes no first comment: leave it out there.");
            wrong.push(Wrong::new(field, "comment_unsupported", message).at(id));
        }
    }
    for (field, segment) in &asked {
        for found in text::problems(p.spec, segment.placement, &segment.text, None, Beside::Nothing)
        {
            wrong.push(Wrong::new(field.as_str(), found.code, found.message).at(id));
        }
    }
    asked.into_iter().map(|(_, segment)| segment).collect()
}

/// Deliveries are live: what follows them is due now.
pub(super) async fn go_on(tx: &Tx, live: &[&Delivery], now: i64) -> Result<(), Error> {
    let children = deliveries::children_each(tx, live.iter().map(|d| d.id.as_str())).await?;
    for next in children.into_iter().flatten() {
        if !next.waits_for_parent() || !deliveries::begin(tx, &next.id, now).await? {
            continue;
        }
        let job = NewJob {
            kind: Kind::Deliver,
            lane: connections::lane(&next.connection_id),
            width: 1,
            subject: next.id.clone(),
            run_at: now,
            unique_key: None,
        };
        queue::add(tx, &job, now).await?;
        outcome::announce(tx, &next, State::Queued, None, now).await?;
    }
    Ok(())
}

/// A delivery will not be live, or no longer is: what was to follow it and is not out is cancelled.
pub(super) async fn end(tx: &Tx, over: &Delivery, now: i64) -> Result<(), Error> {
    let mut parents = vec![over.id.clone()];
    while let Some(parent) = parents.pop() {
        for next in deliveries::children(tx, &parent).await? {
            if next.uncancellable().is_some() || next.state == State::Cancelled {
                continue;
            }
            if queue::remove(tx, &next.id).await? == Removed::Leased {
                deliveries::wish_cancel(tx, &next.id, now).await?;
                continue;
            }
            let moved = Moved { problem: None, ..Moved::from(&next) };
            if deliveries::go(tx, &next.id, next.state, State::Cancelled, &moved, now).await? {
                outcome::announce(tx, &next, State::Cancelled, None, now).await?;
            }
            parents.push(next.id);
        }
    }
    Ok(())
}

/// What a segment does instead of going out, because of what it follows.
pub(super) enum Stop {
    /// What it follows is not live.
    Wait,
    /// … and will not be.
    Cancel,
    /// It is live, and nobody knows where.
    Fail(Problem),
}

/// May a segment go out after these, the head first?
pub(super) fn stopped(before: &[Delivery]) -> Option<Stop> {
    let parent = before.last()?;
    match parent.state {
        State::Published if before.iter().all(|d| d.remote_id.is_some()) => None,
        State::Published => Some(Stop::Fail(Problem::new(
            "config",
            "The post that it follows was put there by hand, so its id is not known.",
            "mark_posted",
            "Add this one by hand as well, then say here where it is.",
        ))),
        State::Cancelled | State::Removed => Some(Stop::Cancel),
        _ => Some(Stop::Wait),
    }
}

/// Everything that follows `root`, each after what it follows.
pub(super) fn following(root: &str, all: &[Delivery]) -> Vec<Delivery> {
    let mut found: Vec<Delivery> = Vec::new();
    let mut parents = vec![root.to_owned()];
    while let Some(parent) = parents.pop() {
        for d in all.iter().filter(|d| d.parent_id.as_ref() == Some(&parent)) {
            parents.push(d.id.clone());
            found.push(d.clone());
        }
    }
    found
}
