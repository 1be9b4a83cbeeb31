//! What a person decides about one delivery: cancel, send again, call it posted, discard.
//!
//! Nothing here may make a second post: a delivery that may be live already is sent again only
//! after somebody looked and said that it is not. Every decision writes its line in the journal and
//! its row in the audit trail, in the transaction of what it changes. Many at once:
//! `dead_letters.rs` and `drain.rs`.

use carillon_networks::text;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::holding;
use super::lineup::{self, note, reopen};
use super::options;
use super::schedule;
use super::segments;
use super::view::{self, DeliveryView};
use crate::App;
use crate::approval;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::{Refusal, Wrong};
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::posts::Post;

use crate::store::{audit, connections, media, queue};

/// A person's answer to "is it live?".
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub live: bool,
    /// Where, if it is; needed for one that nobody asked about.
    #[serde(default)]
    pub url: Option<String>,
}

/// May a delivery be sent again, and why (not)?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Replay {
    /// It cannot post twice.
    pub safe: bool,
    /// One sentence.
    pub why: String,
}

pub async fn cancel(
    app: &App,
    workspace: &str,
    id: &str,
    actor: &str,
) -> Result<DeliveryView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), view::known_id(id, "delivery")?, app.clock.now());
    let actor = actor.to_owned();
    let cancelled = app
        .db
        .write(move |tx| async move {
            let d = find(&tx, &ws, &id).await?;
            if let Some(why) = d.uncancellable() {
                return Err(Refusal::conflict(
                    "not_cancellable",
                    format!("This delivery cannot be cancelled: {why}."),
                    "Wait for its outcome; a live post can be rolled back.",
                ));
            }
            lineup::cancel_one(&tx, &d, now).await?;
            let data = json!({ "from": d.state, "postId": d.post_id });
            audit::add(&tx, Some(&ws), &actor, "delivery.cancelled", &id, &data, now).await?;
            view::delivery_in(&tx, &ws, &id).await
        })
        .await?;
    app.ring();
    Ok(cancelled)
}

/// Sends now what failed, was held for its lateness, or waits for its next try; with `text` in
/// place of what it said. Never offered where it could post twice.
pub async fn retry(
    app: &App,
    workspace: &str,
    id: &str,
    text: Option<String>,
    actor: &str,
) -> Result<DeliveryView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), view::known_id(id, "delivery")?, app.clock.now());
    let actor = actor.to_owned();
    let retried = app
        .db
        .write(move |tx| async move {
            let mut d = find(&tx, &ws, &id).await?;
            let post = schedule::find(&tx, &ws, &d.post_id).await?;
            let connected = connections::find(&tx, &ws, &d.connection_id).await?.is_some();
            match refused(&d, connected) {
                None => {}
                // What waits for its next try goes at once; a discarded one comes back.
                Some(_)
                    if connected
                        && d.intent_at.is_none()
                        && matches!(d.state, State::Queued | State::Cancelled) => {}
                // It is approved, and its time has passed.
                Some(_) if connected && d.state == State::Draft && post.committed_at.is_some() => {}
                Some(refusal) => return Err(refusal),
            }
            if let Some(parent) = &d.parent_id
                && deliveries::load(&tx, parent).await?.is_none_or(|p| p.state != State::Published)
            {
                return Err(Refusal::conflict(
                    "waits_for_parent",
                    "This delivery follows another one, which is not live.",
                    "Send that one first; this one goes out right after it.",
                ));
            }
            if post.paused_at.is_some() {
                return Err(holding::refused());
            }
            let data = json!({ "from": d.state, "postId": d.post_id, "text": text });
            if let Some(text) = text {
                fits(&tx, &d, &post, &text).await?;
                d.text = Some(text);
            }
            approved(&tx, &post, &d).await?;
            d.scheduled_at = Some(now);
            note(&tx, &d, "retry", "queued", None, now).await?;
            reopen(&tx, &post, d, now).await?;
            audit::add(&tx, Some(&ws), &actor, "delivery.retried", &id, &data, now).await?;
            view::delivery_in(&tx, &ws, &id).await
        })
        .await?;
    app.ring();
    Ok(retried)
}

/// Refuses what nobody approved as it is here.
pub(super) async fn approved(tx: &Tx, post: &Post, d: &Delivery) -> Result<(), Refusal> {
    let media = media::of_post(tx, &post.id).await?;
    match approval::gate(tx, post).await?.lets(tx, post, &media, d).await? {
        true => Ok(()),
        false => Err(approval::refusal()),
    }
}

/// Why it is safe to send a dead letter again, or why it is not.
pub(super) fn replay(d: &Delivery, connected: bool) -> Replay {
    if let Some(refusal) = refused(d, connected) {
        return Replay { safe: false, why: refusal.sentence };
    }
    let why = match d.state {
        State::Failed => "It was not sent: the last answer leaves no doubt.",
        State::Missed => "Its moment passed before anything was sent.",
        _ => "It was held before anything was sent.",
    };
    Replay { safe: true, why: why.to_owned() }
}

/// The refusal to send this one again, if there is one.
pub(super) fn refused(d: &Delivery, connected: bool) -> Option<Refusal> {
    let state = match d.state {
        State::Failed | State::Held | State::Missed => None,
        State::Queued => Some("it waits to be sent anyway"),
        State::Draft => Some("its post is a draft"),
        State::Cancelled => Some("it was cancelled"),
        State::Published => Some("it is live"),
        State::Removed => Some("it was published and removed"),
        State::Sending | State::Waiting | State::Unknown => Some("it is under way"),
    };
    if let Some(why) = state {
        return Some(Refusal::conflict(
            "not_retryable",
            format!("This delivery cannot be sent again: {why}."),
            "Look at its journal; a live post can be rolled back.",
        ));
    }
    if d.intent_at.is_some() {
        return Some(lineup::in_doubt(d));
    }
    if d.problem.as_ref().is_some_and(|p| p.class == holding::PAUSED) {
        return Some(holding::refused());
    }
    (!connected).then(disconnected)
}

fn disconnected() -> Refusal {
    Refusal::conflict(
        "disconnected",
        "This delivery cannot be sent again: its account was disconnected.",
        "Connect the account again and write the post anew, or discard this delivery.",
    )
}

/// Does the network take this text?
async fn fits(tx: &Tx, d: &Delivery, post: &Post, text: &str) -> Result<(), Refusal> {
    let Some(spec) = carillon_networks::find(&d.network).map(|n| n.spec()) else { return Ok(()) };
    let Some(placement) = spec.placement(&d.placement) else { return Ok(()) };
    let alone = d.parent_id.is_none();
    let with_media = alone && !media::of_post(tx, &post.id).await?.is_empty();
    let beside = options::beside(&d.options, with_media);
    let wrong: Vec<Wrong> = text::problems(spec, placement, text, post.title.as_deref(), beside)
        .into_iter()
        .filter(|p| !p.code.starts_with("title"))
        .map(|p| Wrong::new("text", p.code, p.message).at(&d.connection_id))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(Refusal::invalid(wrong)) }
}

/// Takes a person's word for whether a delivery is live: the answer to a doubt, or, with its
/// address, that somebody posted by hand what did not go out.
pub async fn answer(
    app: &App,
    workspace: &str,
    id: &str,
    answer: Answer,
    actor: &str,
) -> Result<DeliveryView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), view::known_id(id, "delivery")?, app.clock.now());
    let (url, actor) = (address(answer.url.as_deref())?, actor.to_owned());
    let answered = app
        .db
        .write(move |tx| async move {
            let mut d = find(&tx, &ws, &id).await?;
            let asked = d.state == State::Held && d.intent_at.is_some();
            let dead = matches!(d.state, State::Failed | State::Held | State::Missed);
            if !(asked || dead && answer.live) {
                return Err(Refusal::conflict(
                    "no_question",
                    "Nobody asks whether this delivery is live.",
                    "Reload: somebody may have answered already.",
                ));
            }
            if !asked && url.is_none() {
                let message = "Say where it is: `url` is needed for a post that was made by hand.";
                return Err(Refusal::invalid(vec![Wrong::new("url", "url_required", message)]));
            }
            let connection = connections::find(&tx, &ws, &d.connection_id).await?;
            if !answer.live && connection.is_none() {
                return Err(disconnected());
            }
            let data =
                json!({ "from": d.state, "postId": d.post_id, "live": answer.live, "url": url });
            let action = if asked { "delivery.answered" } else { "delivery.marked_posted" };
            audit::add(&tx, Some(&ws), &actor, action, &id, &data, now).await?;
            if answer.live {
                let moved = Moved {
                    problem: None,
                    remote_url: url.as_deref(),
                    published_at: Some(now),
                    ..Moved::from(&d)
                };
                moved_on(deliveries::go(&tx, &id, d.state, State::Published, &moved, now).await?)?;
                let found = if asked { "found" } else { "posted" };
                note(&tx, &d, "answer", found, None, now).await?;
                super::outcome::announce(&tx, &d, State::Published, url.as_deref(), now).await?;
                segments::go_on(&tx, &[&d], now).await?;
            } else {
                let post = schedule::find(&tx, &ws, &d.post_id).await?;
                note(&tx, &d, "answer", "absent", None, now).await?;
                (d.scheduled_at, d.intent_at) = (Some(now), None);
                reopen(&tx, &post, d, now).await?;
            }
            view::delivery_in(&tx, &ws, &id).await
        })
        .await?;
    app.ring();
    Ok(answered)
}

fn address(url: Option<&str>) -> Result<Option<String>, Refusal> {
    let url = url.map(str::trim).filter(|u| !u.is_empty());
    match url {
        Some(url)
            if !url.parse::<url::Url>().is_ok_and(|u| matches!(u.scheme(), "http" | "https")) =>
        {
            let message = format!("`{url}` is no web address.");
            Err(Refusal::invalid(vec![Wrong::new("url", "invalid_url", message)]))
        }
        url => Ok(url.map(str::to_owned)),
    }
}

/// Puts a dead letter away for good: it will not be sent.
pub async fn discard(
    app: &App,
    workspace: &str,
    id: &str,
    why: Option<String>,
    actor: &str,
) -> Result<DeliveryView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), view::known_id(id, "delivery")?, app.clock.now());
    let actor = actor.to_owned();
    let discarded = app
        .db
        .write(move |tx| async move {
            let d = find(&tx, &ws, &id).await?;
            if !matches!(d.state, State::Failed | State::Held | State::Missed) {
                return Err(Refusal::conflict(
                    "not_discardable",
                    "This delivery is no dead letter: only what failed, is held or was missed can be discarded.",
                    "Cancel what still waits; roll back what is live.",
                ));
            }
            // One in doubt keeps its intent: no edit of the post may send it again.
            let moved = Moved { problem: None, ..Moved::from(&d) };
            moved_on(deliveries::go(&tx, &id, d.state, State::Cancelled, &moved, now).await?)?;
            queue::remove(&tx, &id).await?;
            note(&tx, &d, "discard", "cancelled", None, now).await?;
            super::outcome::announce(&tx, &d, State::Cancelled, None, now).await?;
            segments::end(&tx, &d, now).await?;
            let data = json!({
                "from": d.state,
                "postId": d.post_id,
                "why": why,
                "inDoubt": d.intent_at.is_some(),
                "problem": d.problem.as_ref().map(|p| &p.sentence),
            });
            audit::add(&tx, Some(&ws), &actor, "delivery.discarded", &id, &data, now).await?;
            view::delivery_in(&tx, &ws, &id).await
        })
        .await?;
    app.ring();
    Ok(discarded)
}

/// Somebody else was quicker.
fn moved_on(moved: bool) -> Result<(), Refusal> {
    if moved {
        return Ok(());
    }
    Err(Refusal::conflict(
        "changed_meanwhile",
        "Somebody else decided about this delivery in the meantime.",
        "Reload and look at what it is now.",
    ))
}

/// The delivery, kept for this transaction.
async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Delivery, Refusal> {
    deliveries::lock(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("delivery"))
}
