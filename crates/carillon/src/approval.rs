//! What of a post may go out, where a workspace asks for approvals: the gate below every path.
//!
//! A review is about content: a hash of what followers would see of each delivery. While its yes
//! stands a delivery may be sent whose hash is the same, and no other. Any change of a post's
//! content voids what was asked and said about it; its time is not content. Who asks and answers is
//! `planning/review.rs`; what is lined up or held is `publishing/`.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::delivery::DeliveryState;
use crate::domain::policy::Policies;
use crate::domain::problem::Problem;
use crate::domain::refusal::Refusal;
use crate::domain::review::{ReviewState, Shown, ShownDelivery, ShownMedia, Stage, Standing};
use crate::identity::door;
use crate::ids;
use crate::store::audit::OPERATOR;
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::media::{self, Media};
use crate::store::posts::{self, Post};
use crate::store::queue::{self, Removed};
use crate::store::reviews::{self, Review};
use crate::store::{self, accounts, alerts, events};

/// The class of the problem of a delivery that was stopped for want of an approval.
pub const NOT_APPROVED: &str = "not_approved";

/// What stands before the deliveries of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Nothing here needs an approval.
    Open,
    /// What was approved, by delivery; nothing else may go out.
    Approved(BTreeMap<String, String>),
    Closed,
}

pub async fn gate(tx: &Tx, post: &Post) -> Result<Gate, Error> {
    gate_by(tx, &accounts::policies(tx, &post.workspace_id).await?, &post.id).await
}

pub async fn gate_by(tx: &Tx, policies: &Policies, post: &str) -> Result<Gate, Error> {
    let Some(stage) = policies.last_stage() else { return Ok(Gate::Open) };
    let given = reviews::approved(tx, post, stage).await?;
    Ok(given.map_or(Gate::Closed, |review| Gate::Approved(review.content)))
}

impl Gate {
    /// May this delivery go out as it is here, with these media of its post?
    pub async fn lets(
        &self,
        tx: &Tx,
        post: &Post,
        media: &[Media],
        d: &Delivery,
    ) -> Result<bool, Error> {
        Ok(match self {
            Gate::Open => true,
            Gate::Closed => false,
            Gate::Approved(content) => match content.get(&d.id) {
                Some(approved) => *approved == content_of(tx, post, media, d).await?,
                None => false,
            },
        })
    }
}

/// Is this what was approved of a delivery? For whoever is about to send just that.
pub async fn given(tx: &Tx, stage: Stage, d: &Delivery, content: &str) -> Result<bool, Error> {
    let given = reviews::approved(tx, &d.post_id, stage).await?;
    Ok(given.is_some_and(|review| review.content.get(&d.id).is_some_and(|c| c == content)))
}

/// What followers would see of a delivery, and where, as a hash: text, title, answers, connection,
/// placement, what it follows; of its media which file, its description, frame and cut.
pub async fn content_of(
    tx: &Tx,
    post: &Post,
    media: &[Media],
    d: &Delivery,
) -> Result<String, Error> {
    let alone = d.parent_id.is_none();
    let title = d.title.as_ref().or(post.title.as_ref()).filter(|_| alone);
    let mut shown: Vec<String> = media.iter().filter(|_| alone).map(as_shown).collect();
    for answer in d.options.values().filter(|answer| ids::valid(answer)) {
        // An answer can name a medium: a cover, say.
        shown.extend(media::find(tx, &d.workspace_id, answer).await?.iter().map(as_shown));
    }
    let all = json!([
        d.network,
        d.connection_id,
        d.placement,
        d.parent_id,
        d.text.as_ref().unwrap_or(&post.text),
        title,
        d.options,
        shown,
    ]);
    let hash = Sha256::digest(store::json(&all));
    Ok(hash.iter().take(16).map(|b| format!("{b:02x}")).collect())
}

fn as_shown(m: &Media) -> String {
    store::json(&json!([m.id, m.version, m.alt, m.frame, m.cut]))
}

/// Is something of a delivery to go out, or was it?
fn stands(d: &Delivery) -> bool {
    !matches!(d.state, DeliveryState::Cancelled | DeliveryState::Removed)
}

/// What a review of a post would be about: hashes, and the same in words.
pub async fn content(tx: &Tx, post: &Post) -> Result<(BTreeMap<String, String>, Shown), Error> {
    let media = media::of_post(tx, &post.id).await?;
    let mut all = deliveries::of_post(tx, &post.id).await?;
    all.retain(stands);
    let mut content = BTreeMap::new();
    for d in &all {
        content.insert(d.id.clone(), content_of(tx, post, &media, d).await?);
    }
    let medium =
        |m: &Media| ShownMedia { id: m.id.clone(), version: m.version, alt: m.alt.clone() };
    let place = |d: Delivery| ShownDelivery {
        id: d.id,
        parent_id: d.parent_id,
        connection_id: d.connection_id,
        network: d.network,
        placement: d.placement,
        text: d.text,
        options: d.options,
    };
    let shown = Shown {
        text: post.text.clone(),
        title: post.title.clone(),
        media: media.iter().map(medium).collect(),
        deliveries: all.into_iter().map(place).collect(),
    };
    Ok((content, shown))
}

/// The content of a review as one word.
pub fn name_of(content: &BTreeMap<String, String>) -> String {
    let hash = Sha256::digest(store::json(content));
    hash.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// How far a post is with its approval, by its latest review.
pub fn standing(policies: &Policies, latest: Option<&Review>) -> Standing {
    let Some(last) = policies.last_stage() else { return Standing::None };
    Standing::of(latest.map(|r| (r.stage, r.state)), last)
}

/// The same, read for one post.
pub async fn standing_of(tx: &Tx, post: &Post) -> Result<Standing, Error> {
    let policies = accounts::policies(tx, &post.workspace_id).await?;
    let latest = match policies.last_stage() {
        Some(_) => reviews::latest_each(tx, [post.id.as_str()]).await?.pop().flatten(),
        None => None,
    };
    Ok(standing(&policies, latest.as_ref()))
}

/// Asks for an approval of a post as it is now. What was asked or said before is over.
pub async fn ask(
    tx: &Tx,
    post: &Post,
    stage: Stage,
    by: Option<&str>,
    note: Option<&str>,
    now: i64,
) -> Result<Review, Error> {
    let (content, shown) = content(tx, post).await?;
    let review = Review {
        id: ids::new(now),
        workspace_id: post.workspace_id.clone(),
        post_id: post.id.clone(),
        stage,
        state: ReviewState::Open,
        content,
        shown,
        note: note.map(str::to_owned),
        requested_by: by.map(str::to_owned),
        requested_at: now,
        decided_by: None,
        decided_at: None,
        why: None,
    };
    // The workspace's own yes stays beside the question to the client.
    if stage == Stage::Internal {
        reviews::void(tx, &post.id, "asked_again", now).await?;
    }
    reviews::add(tx, &review).await?;
    clear_alerts(tx, &post.id, now).await?;
    tell(tx, &review, "review.requested", now).await?;
    Ok(review)
}

/// A post's content has changed: nothing that was asked or said about it holds any more. `true` when
/// there was something.
pub async fn void(tx: &Tx, post: &Post, why: &str, now: i64) -> Result<bool, Error> {
    if reviews::void(tx, &post.id, why, now).await? == 0 {
        return Ok(false);
    }
    let data = json!({ "postId": post.id, "why": why });
    events::add(tx, &post.workspace_id, "review.voided", &post.id, &data, now).await?;
    let sentence = format!("“{}” was changed: its approval no longer holds.", says(post));
    let next = "Ask for an approval again; until then it does not go out.";
    let problem = Problem::new(NOT_APPROVED, sentence, "request_approval", next);
    let (workspace, kind) = (Some(post.workspace_id.as_str()), AlertKind::ApprovalLost);
    alerts::raise(tx, workspace, kind, &post.id, &problem, now).await?;
    Ok(true)
}

/// A medium is shown otherwise than before: so is every post with it that is not out yet.
pub async fn void_media(tx: &Tx, media: &str, now: i64) -> Result<(), Error> {
    for id in reviews::of_media(tx, media).await? {
        let Some(post) = posts::load(tx, &id).await? else { continue };
        let all = deliveries::of_post(tx, &id).await?;
        // Of what is out nothing changes.
        if all.iter().any(|d| stands(d) && d.state != DeliveryState::Published)
            && void(tx, &post, "media_changed", now).await?
        {
            take_back(tx, &post, now).await?;
        }
    }
    Ok(())
}

/// A post will not go out as it was asked about: the question is over, and so is every notice.
pub async fn end(tx: &Tx, post: &str, why: &str, now: i64) -> Result<(), Error> {
    reviews::void_open(tx, post, why, now).await?;
    clear_alerts(tx, post, now).await
}

/// Whatever was asked or said about a post is of another time.
pub async fn forget(tx: &Tx, post: &str, why: &str, now: i64) -> Result<(), Error> {
    reviews::void(tx, post, why, now).await?;
    clear_alerts(tx, post, now).await
}

async fn clear_alerts(tx: &Tx, post: &str, now: i64) -> Result<(), Error> {
    alerts::clear(tx, AlertKind::ApprovalLost, post, now).await?;
    alerts::clear(tx, AlertKind::ChangesRequested, post, now).await?;
    Ok(())
}

/// Takes a post's deliveries out of their queue. One that a worker has in hand is stopped by its
/// intent, which asks the gate too.
pub async fn take_back(tx: &Tx, post: &Post, now: i64) -> Result<usize, Error> {
    let mut queued = deliveries::of_post(tx, &post.id).await?;
    queued.retain(|d| d.state == DeliveryState::Queued);
    // Lanes in one order everywhere, so that two never wait for each other.
    queued.sort_by(|a, b| a.connection_id.cmp(&b.connection_id));
    let mut taken = 0;
    for d in &queued {
        if queue::remove(tx, &d.id).await? == Removed::Leased {
            continue;
        }
        let moved = Moved { problem: None, ..Moved::from(d) };
        let (from, to) = (DeliveryState::Queued, DeliveryState::Draft);
        if deliveries::go(tx, &d.id, from, to, &moved, now).await? {
            let data = json!({
                "postId": d.post_id,
                "deliveryId": d.id,
                "connectionId": d.connection_id,
                "network": d.network,
                "state": to,
            });
            events::add(tx, &d.workspace_id, "delivery.draft", &d.id, &data, now).await?;
            taken += 1;
        }
    }
    Ok(taken)
}

/// May they approve in this workspace: its owner and admins, a key that was made for it, whoever
/// runs the installation?
pub async fn may_approve(tx: &Tx, workspace: &str, actor: &str) -> Result<bool, Error> {
    match actor.split_once(':') {
        Some(("account", id)) => {
            let role = accounts::role(tx, id, workspace).await?;
            Ok(role.is_some_and(|role| door::is_admin(&role)))
        }
        Some(("key", id)) => accounts::key_may_approve(tx, workspace, id).await,
        _ => Ok(actor == OPERATOR),
    }
}

/// What is told to whoever wants to send what was not approved.
pub fn refusal() -> Refusal {
    Refusal::conflict(
        NOT_APPROVED,
        "This post is not approved as it is now, so it cannot be sent.",
        "Ask for an approval; once it is given the post can go out.",
    )
}

/// What stops a delivery that came as far as its send without an approval.
pub fn problem() -> Problem {
    let sentence = "It was not sent: nobody approved it as it is now.";
    let next = "Ask for an approval; then send it now with Retry, or move it.";
    Problem::new(NOT_APPROVED, sentence, "request_approval", next)
}

pub async fn tell(tx: &Tx, r: &Review, what: &str, now: i64) -> Result<(), Error> {
    let data = json!({
        "postId": r.post_id,
        "reviewId": r.id,
        "stage": r.stage,
        "reviewState": r.state,
    });
    events::add(tx, &r.workspace_id, what, &r.post_id, &data, now).await
}

/// The first words of a post.
pub fn says(post: &Post) -> String {
    let all = post.title.as_deref().unwrap_or(&post.text);
    let line = all.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    if line.chars().count() <= 60 {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(59).collect::<String>().trim_end())
}
