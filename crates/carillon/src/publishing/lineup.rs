//! Deliveries into their queue and out of it again, each with its job in the same transaction.

use super::guard;
use super::holding;
use super::outcome;
use super::plan::{Plan, Planned};
use super::segments;
use crate::app::Networks;
use crate::approval::{self, Gate};
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::{Kind, NewJob};
use crate::domain::refusal::Refusal;
use crate::ids;
use crate::media::video::renditions;
use crate::store::attempts::{self, Begun, Ended};
use crate::store::connections;
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::media;
use crate::store::posts::{self, Post};
use crate::store::queue::{self, Removed};

/// What was due longer ago than this is not sent by an approval, in ms.
const LATE: i64 = 60_000;

/// Brings a post's deliveries to what the edit asks for: same target, same delivery.
pub(super) async fn replace_deliveries(
    tx: &Tx,
    post: &Post,
    olds: &[Delivery],
    plan: &Plan,
    now: i64,
) -> Result<(), Refusal> {
    let gate = approval::gate(tx, post).await?;
    let same = |d: &Delivery, p: &Planned| {
        d.parent_id.is_none()
            && d.connection_id == p.connection.id
            && d.placement == p.placement.id
            && d.state != State::Removed
    };
    for old in olds.iter().filter(|d| d.parent_id.is_none() && d.state != State::Removed) {
        if plan.deliveries.iter().any(|p| same(old, p)) {
            continue;
        }
        if !old.open() {
            return Err(already_sending(old));
        }
        cancel_one(tx, old, now).await?;
        if attempts::of(tx, &old.workspace_id, &old.id).await?.is_empty() {
            // What never began had nothing behind it that did.
            for next in segments::following(&old.id, olds).iter().rev() {
                deliveries::remove(tx, &next.id).await?;
            }
            deliveries::remove(tx, &old.id).await?;
        }
    }
    for p in plan.by_lane() {
        match olds.iter().find(|d| same(d, p)) {
            // What is live or on its way stays as it is.
            Some(old) if !old.open() => {}
            Some(old) => {
                let d = Delivery {
                    text: p.text.clone(),
                    options: p.options.clone(),
                    scheduled_at: p.at,
                    position: p.position as i64,
                    ..old.clone()
                };
                reopen(tx, post, d, now).await?;
                replace_segments(tx, post, &gate, old, olds, p, now).await?;
            }
            None => add_delivery(tx, post, &gate, p, now).await?,
        }
    }
    Ok(())
}

/// Brings what follows a delivery that is not out to what the edit asks for.
async fn replace_segments(
    tx: &Tx,
    post: &Post,
    gate: &Gate,
    head: &Delivery,
    olds: &[Delivery],
    p: &Planned,
    now: i64,
) -> Result<(), Refusal> {
    let mut left = segments::following(&head.id, olds);
    let mut last = head.id.clone();
    for (n, segment) in p.segments.iter().enumerate() {
        let reply = segment.placement.id == "reply";
        let after = if reply { last.clone() } else { head.id.clone() };
        let known = left.iter().position(|d| {
            d.parent_id.as_ref() == Some(&after) && d.placement == segment.placement.id && d.open()
        });
        let id = match known {
            Some(at) => {
                let old = left.remove(at);
                let mut d = Delivery {
                    text: Some(segment.text.clone()),
                    position: n as i64 + 1,
                    scheduled_at: None,
                    next_attempt_at: None,
                    problem: None,
                    ..old.clone()
                };
                let goes = post.committed_at.is_some() && gate.lets(tx, post, &[], &d).await?;
                d.state = if goes { State::Queued } else { State::Draft };
                if !deliveries::edit(tx, &d, old.state, now).await? {
                    return Err(already_sending(&Delivery { state: State::Sending, ..old }));
                }
                d.id
            }
            None => add_segment(tx, post, gate, p, &after, n, now).await?,
        };
        if reply {
            last = id;
        }
    }
    for gone in left.iter().rev() {
        cancel_one(tx, gone, now).await?;
        if attempts::of(tx, &gone.workspace_id, &gone.id).await?.is_empty() {
            deliveries::remove(tx, &gone.id).await?;
        }
    }
    Ok(())
}

/// Adds the n-th of what is to follow a planned delivery; its id.
async fn add_segment(
    tx: &Tx,
    post: &Post,
    gate: &Gate,
    p: &Planned,
    after: &str,
    n: usize,
    now: i64,
) -> Result<String, Refusal> {
    let segment = &p.segments[n];
    let d = Delivery {
        parent_id: Some(after.to_owned()),
        placement: segment.placement.id.to_owned(),
        position: n as i64 + 1,
        text: Some(segment.text.clone()),
        options: Default::default(),
        scheduled_at: None,
        next_attempt_at: None,
        // Only whole posts are told to be the same.
        content_hash: None,
        ..planned(post, gate, p, now)
    };
    deliveries::add(tx, &d).await?;
    Ok(d.id)
}

pub(super) async fn add_delivery(
    tx: &Tx,
    post: &Post,
    gate: &Gate,
    p: &Planned,
    now: i64,
) -> Result<(), Refusal> {
    let d = planned(post, gate, p, now);
    deliveries::add(tx, &d).await?;
    if d.state == State::Queued {
        enqueue(tx, &d, now).await?;
    }
    let mut last = d.id.clone();
    for (n, segment) in p.segments.iter().enumerate() {
        let reply = segment.placement.id == "reply";
        let after = if reply { &last } else { &d.id };
        let id = add_segment(tx, post, gate, p, after, n, now).await?;
        if reply {
            last = id;
        }
    }
    Ok(())
}

/// A planned delivery, as it begins. Nobody can have approved one that is new.
fn planned(post: &Post, gate: &Gate, p: &Planned, now: i64) -> Delivery {
    let goes = post.committed_at.is_some() && *gate == Gate::Open;
    Delivery {
        id: ids::new(now),
        workspace_id: post.workspace_id.clone(),
        post_id: post.id.clone(),
        parent_id: None,
        connection_id: p.connection.id.clone(),
        network: p.spec.id.to_owned(),
        placement: p.placement.id.to_owned(),
        position: p.position as i64,
        text: p.text.clone(),
        title: None,
        options: p.options.clone(),
        scheduled_at: p.at,
        state: if goes { State::Queued } else { State::Draft },
        send_key: ids::secret(),
        checkpoints: Default::default(),
        intent_at: None,
        first_intent_at: None,
        tries: 0,
        looks: 0,
        next_attempt_at: if goes { p.at } else { None },
        cancel_wish_at: None,
        remote_id: None,
        remote_url: None,
        published_at: None,
        problem: None,
        content_hash: Some(p.content_hash.clone()),
        checked_at: None,
        warning: None,
        created_at: now,
    }
}

async fn enqueue(tx: &Tx, d: &Delivery, now: i64) -> Result<(), Refusal> {
    let job = NewJob {
        kind: Kind::Deliver,
        lane: connections::lane(&d.connection_id),
        width: 1,
        subject: d.id.clone(),
        run_at: d.scheduled_at.unwrap_or(now),
        unique_key: None,
    };
    queue::add(tx, &job, now).await?;
    Ok(())
}

/// Puts a delivery (back) into its queue with its present fields, as if never tried; where it is not
/// approved as it is now, it waits outside: `false`.
pub(super) async fn reopen(
    tx: &Tx,
    post: &Post,
    mut d: Delivery,
    now: i64,
) -> Result<bool, Refusal> {
    if queue::remove(tx, &d.id).await? == Removed::Leased {
        return Err(already_sending(&d));
    }
    // Whoever knows that it is not live says so by taking the intent away first.
    if d.intent_at.is_some() {
        return Err(in_doubt(&d));
    }
    let media = media::of_post(tx, &post.id).await?;
    let goes = post.committed_at.is_some()
        && approval::gate(tx, post).await?.lets(tx, post, &media, &d).await?;
    let from = d.state;
    d.state = if goes { State::Queued } else { State::Draft };
    d.next_attempt_at = if goes { d.scheduled_at } else { None };
    d.checkpoints.clear();
    (d.tries, d.looks, d.first_intent_at, d.problem) = (0, 0, None, None);
    if d.parent_id.is_none() {
        let text = d.text.as_ref().unwrap_or(&post.text);
        let media: Vec<String> = media.into_iter().map(|m| m.id).collect();
        d.content_hash = Some(guard::content_hash(text, &media));
    }
    if !deliveries::edit(tx, &d, from, now).await? {
        return Err(already_sending(&Delivery { state: State::Sending, ..d }));
    }
    if goes {
        enqueue(tx, &d, now).await?;
    }
    outcome::announce(tx, &d, d.state, None, now).await?;
    Ok(goes)
}

/// A segment that was cancelled waits for what it follows again.
pub(super) async fn revive(tx: &Tx, post: &Post, d: Delivery, now: i64) -> Result<(), Refusal> {
    let from = d.state;
    let goes = post.committed_at.is_some()
        && approval::gate(tx, post).await?.lets(tx, post, &[], &d).await?;
    let state = if goes { State::Queued } else { State::Draft };
    let d = Delivery { state, scheduled_at: None, next_attempt_at: None, ..d };
    if !deliveries::edit(tx, &d, from, now).await? {
        return Err(already_sending(&d));
    }
    outcome::announce(tx, &d, d.state, None, now).await?;
    Ok(())
}

/// Puts into its queue what was waiting for an approval, and has it now. What would be late by that
/// waits for a person to choose another time: how many.
pub(crate) async fn let_out(
    tx: &Tx,
    networks: Networks,
    post: &Post,
    now: i64,
) -> Result<usize, Refusal> {
    if post.committed_at.is_none() {
        return Ok(0);
    }
    let mut all = deliveries::of_post(tx, &post.id).await?;
    all.sort_by(|a, b| a.connection_id.cmp(&b.connection_id));
    // What follows another delivery has no time before its turn.
    let (following, timed): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|d| d.parent_id.is_some() && d.scheduled_at.is_none());
    let mut passed = 0;
    for d in timed.iter().filter(|d| d.held_back()) {
        match d.scheduled_at {
            Some(at) if at >= now - LATE => {
                reopen(tx, post, d.clone(), now).await?;
            }
            _ => passed += 1,
        }
    }
    let gate = approval::gate(tx, post).await?;
    for d in following.iter().filter(|d| d.held_back()) {
        if gate.lets(tx, post, &[], d).await? {
            let moved = Moved { problem: None, ..Moved::from(d) };
            deliveries::go(tx, &d.id, d.state, State::Queued, &moved, now).await?;
            outcome::announce(tx, d, State::Queued, None, now).await?;
        }
    }
    let all = deliveries::of_post(tx, &post.id).await?;
    let live: Vec<&Delivery> = all.iter().filter(|d| d.state == State::Published).collect();
    segments::go_on(tx, &live, now).await?;
    renditions::ask_for_post(tx, networks, &post.id, now).await?;
    holding::keep(tx, post, now).await?;
    Ok(passed)
}

/// The workspace no longer asks for approvals: what waited for one is a draft, or, beside what is out
/// already, cancelled. Nothing is sent.
pub(crate) async fn to_draft(tx: &Tx, post: &Post, now: i64) -> Result<(), Refusal> {
    let all = deliveries::of_post(tx, &post.id).await?;
    if all.iter().all(|d| matches!(d.state, State::Draft | State::Cancelled | State::Removed)) {
        posts::save(tx, &Post { committed_at: None, ..post.clone() }, now).await?;
        return Ok(());
    }
    for d in all.iter().filter(|d| d.state == State::Draft) {
        cancel_one(tx, d, now).await?;
    }
    Ok(())
}

/// Cancels a delivery; one that a worker holds right now gets the wish, which the intent obeys.
pub(super) async fn cancel_one(tx: &Tx, d: &Delivery, now: i64) -> Result<(), Refusal> {
    if queue::remove(tx, &d.id).await? == Removed::Leased {
        deliveries::wish_cancel(tx, &d.id, now).await?;
        return Ok(());
    }
    let moved = Moved { problem: None, ..Moved::from(d) };
    if deliveries::go(tx, &d.id, d.state, State::Cancelled, &moved, now).await? {
        outcome::announce(tx, d, State::Cancelled, None, now).await?;
        segments::end(tx, d, now).await?;
    }
    Ok(())
}

/// A line of the journal for something a person did.
pub(super) async fn note(
    tx: &Tx,
    d: &Delivery,
    step: &str,
    outcome: &str,
    remote_id: Option<&str>,
    now: i64,
) -> Result<(), Refusal> {
    let id = ids::new(now);
    let line = Begun {
        id: &id,
        workspace_id: &d.workspace_id,
        delivery_id: &d.id,
        fence: 0,
        step,
        request_hash: None,
    };
    attempts::begin(tx, &line, now).await?;
    attempts::end(tx, &id, &Ended { outcome, remote_id, ..Ended::default() }, now).await?;
    Ok(())
}

pub(super) fn already_sending(d: &Delivery) -> Refusal {
    if d.in_doubt() {
        return in_doubt(d);
    }
    let why = d.uncancellable().unwrap_or("a worker has it in hand");
    Refusal::conflict(
        "already_sending",
        format!("The delivery to {} cannot be changed: {why}.", d.network),
        "Wait for its outcome; a live post can be rolled back.",
    )
}

/// Of a delivery that may be live already: nothing may send it again before somebody has looked.
pub(super) fn in_doubt(d: &Delivery) -> Refusal {
    Refusal::conflict(
        "in_doubt",
        format!(
            "The delivery to {} may be live already: whether it is has to be answered first.",
            d.network
        ),
        "Look at the network, then answer here whether it is live.",
    )
}
