//! Approvals as people give them: asked for, talked about, given, or answered with what to change.
//!
//! Every answer is about the content that was asked about (`approval.rs`): what has changed since is
//! refused. The last stage's yes lines the post up in its own transaction.

mod rules;
mod seen;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use self::rules::{
    answered_meanwhile, approved_already, asked_already, barred, covers, is_client, is_open, known,
    may_withdraw, nobody_asks, not_theirs, required, unchanged, words,
};
use self::seen::view;
pub use self::seen::{CommentView, ReviewView, list, of_post, show};
use crate::App;
use crate::approval;
use crate::db::Tx;
use crate::domain::alert::AlertKind;
use crate::domain::delivery::DeliveryState;
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::review::{ReviewState, Stage};
use crate::publishing;
use crate::publishing::schedule::{self, Change, Terms};
use crate::publishing::slots;
use crate::publishing::view::PostView;
use crate::store::deliveries::Delivery;
use crate::store::posts::{self, Post};
use crate::store::reviews::{self, Review};
use crate::store::{accounts, alerts, audit, deliveries, media};

/// What an approval led to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    pub review: ReviewView,
    /// The client is asked next.
    pub client_next: bool,
    /// How many deliveries do not go out by it, because their time has passed: move the post.
    pub passed: usize,
    /// The next free time for them, ISO 8601 UTC.
    pub suggested_at: Option<String>,
}

/// Asks for an approval of a post as it is now: of a draft, too.
pub async fn request(
    app: &App,
    workspace: &str,
    post: &str,
    note: Option<String>,
    actor: &str,
) -> Result<ReviewView, Refusal> {
    let (ws, post, actor) = (workspace.to_owned(), known(post, "post")?, actor.to_owned());
    let (note, now) = (words("note", note)?, app.clock.now());
    let asked = app
        .db
        .write(move |tx| async move {
            let post = find_post(&tx, &ws, &post).await?;
            let policies = accounts::policies(&tx, &ws).await?;
            let Some(last) = policies.last_stage() else { return Err(nobody_asks()) };
            if let Some(open) = reviews::open_of(&tx, &post.id).await? {
                return Err(asked_already(&open));
            }
            let all = deliveries::of_post(&tx, &post.id).await?;
            if !all.iter().any(|d| d.state.open() && d.state != DeliveryState::Cancelled) {
                return Err(Refusal::conflict(
                    "nothing_to_approve",
                    "Nothing of this post is to go out.",
                    "Choose at least one connection first; what is live needs no approval.",
                ));
            }
            let (content, _) = approval::content(&tx, &post).await?;
            let given = reviews::approved(&tx, &post.id, Stage::Internal).await?;
            // Only the client is left to be asked, or nobody.
            let stage = match given.filter(|given| covers(given, &content)) {
                Some(given) if given.stage >= last => return Err(approved_already()),
                Some(_) => Stage::Client,
                None => Stage::Internal,
            };
            let by = Some(actor.as_str());
            let review = approval::ask(&tx, &post, stage, by, note.as_deref(), now).await?;
            let data = json!({ "postId": post.id, "stage": stage, "note": note });
            audit::add(&tx, Some(&ws), &actor, "review.requested", &review.id, &data, now).await?;
            view(&tx, &review, &actor).await
        })
        .await?;
    app.ring();
    Ok(asked)
}

/// Says something to an open question.
pub async fn comment(
    app: &App,
    workspace: &str,
    id: &str,
    text: String,
    actor: &str,
) -> Result<ReviewView, Refusal> {
    let (ws, id, actor) = (workspace.to_owned(), known(id, "review")?, actor.to_owned());
    let (text, now) = (required("text", text)?, app.clock.now());
    let said = app
        .db
        .write(move |tx| async move {
            let review = find(&tx, &ws, &id).await?;
            reviews::say(&tx, &id, &actor, &text, now).await?;
            approval::tell(&tx, &review, "review.commented", now).await?;
            view(&tx, &review, &actor).await
        })
        .await?;
    app.ring();
    Ok(said)
}

/// An answer to a review.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// What is said to it.
    pub text: Option<String>,
    /// The content that whoever answers saw.
    pub content: Option<String>,
}

/// Says yes. With the last stage's yes the post goes into its queue, but for what would be late.
pub async fn approve(
    app: &App,
    workspace: &str,
    id: &str,
    answer: Answer,
    actor: &str,
) -> Result<Approved, Refusal> {
    let (ws, id, actor) = (workspace.to_owned(), known(id, "review")?, actor.to_owned());
    let (text, now, networks) = (words("note", answer.text)?, app.clock.now(), app.networks);
    let mut approved = app
        .db
        .write(move |tx| async move {
            let review = find(&tx, &ws, &id).await?;
            is_open(&review)?;
            if let Some(why) = barred(&tx, &review, &actor).await? {
                return Err(why);
            }
            if review.stage == Stage::Client && !is_client(&actor) && text.is_none() {
                let message = "Say how the client agreed: `note` is needed for an answer in their \
                               place.";
                return Err(Refusal::invalid(vec![Wrong::new("note", "note_required", message)]));
            }
            let post = find_post(&tx, &ws, &review.post_id).await?;
            unchanged(&tx, &post, &review, answer.content.as_deref()).await?;
            if let Some(text) = &text {
                reviews::say(&tx, &id, &actor, text, now).await?;
            }
            decide(&tx, &review, ReviewState::Approved, &actor, now).await?;
            let data = json!({ "postId": post.id, "stage": review.stage, "note": text });
            audit::add(&tx, Some(&ws), &actor, "review.approved", &id, &data, now).await?;
            let last = accounts::policies(&tx, &ws).await?.last_stage();
            let mut approved = Approved {
                client_next: last.is_some_and(|last| last > review.stage),
                passed: 0,
                suggested_at: None,
                review: view(&tx, &review, &actor).await?,
            };
            if approved.client_next {
                let by = review.requested_by.as_deref();
                approval::ask(&tx, &post, Stage::Client, by, review.note.as_deref(), now).await?;
            } else {
                approved.passed = publishing::let_out(&tx, networks, &post, now).await?;
            }
            let review = find(&tx, &ws, &id).await?;
            approval::tell(&tx, &review, "review.approved", now).await?;
            approved.review = view(&tx, &review, &actor).await?;
            Ok(approved)
        })
        .await?;
    app.ring();
    if approved.passed > 0 {
        approved.suggested_at = next_free(app, workspace, &approved.review.post).await?;
    }
    Ok(approved)
}

/// Wants it otherwise; says how. What was approved before no longer holds either.
pub async fn request_changes(
    app: &App,
    workspace: &str,
    id: &str,
    answer: Answer,
    actor: &str,
) -> Result<ReviewView, Refusal> {
    let (ws, id, actor) = (workspace.to_owned(), known(id, "review")?, actor.to_owned());
    let (text, now) = (required("text", answer.text.unwrap_or_default())?, app.clock.now());
    let answered = app
        .db
        .write(move |tx| async move {
            let review = find(&tx, &ws, &id).await?;
            is_open(&review)?;
            // Whoever may say yes may say no, to what they asked for themselves too.
            if !is_client(&actor) && !approval::may_approve(&tx, &ws, &actor).await? {
                return Err(not_theirs());
            }
            let post = find_post(&tx, &ws, &review.post_id).await?;
            unchanged(&tx, &post, &review, answer.content.as_deref()).await?;
            reviews::say(&tx, &id, &actor, &text, now).await?;
            decide(&tx, &review, ReviewState::ChangesRequested, &actor, now).await?;
            reviews::void(&tx, &post.id, "changes_requested", now).await?;
            let sentence = format!("Changes are wanted to “{}”: {text}", approval::says(&post));
            let next = "Change the post, then ask for an approval again.";
            let problem = Problem::new("changes_requested", sentence, "edit_post", next);
            let kind = AlertKind::ChangesRequested;
            alerts::raise(&tx, Some(&ws), kind, &post.id, &problem, now).await?;
            let data = json!({ "postId": post.id, "stage": review.stage, "text": text });
            let action = "review.changes_requested";
            audit::add(&tx, Some(&ws), &actor, action, &id, &data, now).await?;
            let review = find(&tx, &ws, &id).await?;
            approval::tell(&tx, &review, action, now).await?;
            view(&tx, &review, &actor).await
        })
        .await?;
    app.ring();
    Ok(answered)
}

/// Takes a question back, so that the post can be changed in peace; or a yes, while nothing has gone
/// out by it: the same is asked anew.
pub async fn withdraw(
    app: &App,
    workspace: &str,
    id: &str,
    actor: &str,
) -> Result<ReviewView, Refusal> {
    let (ws, id, actor) = (workspace.to_owned(), known(id, "review")?, actor.to_owned());
    let now = app.clock.now();
    let withdrawn = app
        .db
        .write(move |tx| async move {
            let review = find(&tx, &ws, &id).await?;
            if review.state == ReviewState::Approved {
                return take_back(&tx, &review, &actor, now).await;
            }
            is_open(&review)?;
            if !may_withdraw(&tx, &review, &actor).await? {
                return Err(Refusal::new(
                    Kind::Forbidden,
                    "not_yours",
                    "Somebody else asked for this approval.",
                    "Ask them, or somebody who may approve, to take it back.",
                ));
            }
            if reviews::void_open(&tx, &review.post_id, "withdrawn", now).await? == 0 {
                return Err(answered_meanwhile());
            }
            let data = json!({ "postId": review.post_id, "stage": review.stage });
            audit::add(&tx, Some(&ws), &actor, "review.withdrawn", &id, &data, now).await?;
            let review = find(&tx, &ws, &id).await?;
            approval::tell(&tx, &review, "review.withdrawn", now).await?;
            view(&tx, &review, &actor).await
        })
        .await?;
    app.ring();
    Ok(withdrawn)
}

async fn take_back(tx: &Tx, review: &Review, actor: &str, now: i64) -> Result<ReviewView, Refusal> {
    let ws = review.workspace_id.as_str();
    if !approval::may_approve(tx, ws, actor).await? {
        return Err(not_theirs());
    }
    let post = find_post(tx, ws, &review.post_id).await?;
    let all = deliveries::of_post(tx, &post.id).await?;
    let waits = |d: &Delivery| d.state.open() || d.state == DeliveryState::Removed;
    if let Some(d) = all.iter().find(|d| !waits(d)) {
        return Err(Refusal::conflict(
            "out_already",
            format!("It is out at {} already, or on its way.", d.network),
            "Roll the post back instead.",
        ));
    }
    reviews::void(tx, &post.id, "withdrawn", now).await?;
    approval::take_back(tx, &post, now).await?;
    let (by, note) = (review.requested_by.as_deref(), review.note.as_deref());
    let asked = approval::ask(tx, &post, review.stage, by, note, now).await?;
    let data = json!({ "postId": post.id, "stage": review.stage });
    audit::add(tx, Some(ws), actor, "review.taken_back", &review.id, &data, now).await?;
    view(tx, &asked, actor).await
}

/// Exchanges the first medium of a post within its review: whoever is asked shows what they would
/// say yes to, and their answer is about that. It says so in the review.
pub async fn swap(
    app: &App,
    workspace: &str,
    id: &str,
    medium: &str,
    actor: &str,
) -> Result<ReviewView, Refusal> {
    let (ws, id, actor) = (workspace.to_owned(), known(id, "review")?, actor.to_owned());
    let (medium, terms, now) = (medium.to_owned(), Terms::of(app), app.clock.now());
    let swapped = app
        .db
        .write(move |tx| async move {
            let review = find(&tx, &ws, &id).await?;
            is_open(&review)?;
            if let Some(why) = barred(&tx, &review, &actor).await? {
                return Err(why);
            }
            let post = find_post(&tx, &ws, &review.post_id).await?;
            unchanged(&tx, &post, &review, None).await?;
            let mut all = media::of_post(&tx, &post.id).await?;
            let old = match all.is_empty() {
                true => "nothing".to_owned(),
                false => all.remove(0).name,
            };
            let rest = all.into_iter().map(|m| m.id).filter(|m| *m != medium);
            let change = Change {
                version: post.version,
                media: Some(std::iter::once(medium.clone()).chain(rest).collect()),
                allow_collision: true,
                allow_duplicate: true,
                ..Change::default()
            };
            schedule::edit_within_review(&tx, &terms, &ws, &post.id, change, now).await?;
            posts::detach(&tx, &post.id, now).await?;
            let post = find_post(&tx, &ws, &post.id).await?;
            let (content, shown) = approval::content(&tx, &post).await?;
            reviews::set_content(&tx, &id, &content, &shown).await?;
            let new = media::find(&tx, &ws, &medium).await?.map_or(medium.clone(), |m| m.name);
            let said = format!("Shows {new} in the place of {old}.");
            reviews::say(&tx, &id, &actor, &said, now).await?;
            let data = json!({ "postId": post.id, "media": medium });
            audit::add(&tx, Some(&ws), &actor, "review.swapped", &id, &data, now).await?;
            let review = find(&tx, &ws, &id).await?;
            approval::tell(&tx, &review, "review.swapped", now).await?;
            view(&tx, &review, &actor).await
        })
        .await?;
    app.ring();
    Ok(swapped)
}

async fn next_free(app: &App, ws: &str, post: &PostView) -> Result<Option<String>, Refusal> {
    let Some(d) = post.deliveries.iter().find(|d| d.parent_id.is_none()) else { return Ok(None) };
    match slots::of(app, ws, &d.connection_id, None).await {
        Ok(free) => Ok(free.slots.into_iter().next()),
        // Its account was disconnected.
        Err(e) if e.kind == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

async fn decide(
    tx: &Tx,
    review: &Review,
    to: ReviewState,
    actor: &str,
    now: i64,
) -> Result<(), Refusal> {
    match reviews::decide(tx, &review.id, to, actor, now).await? {
        true => Ok(()),
        false => Err(answered_meanwhile()),
    }
}

async fn find(tx: &Tx, ws: &str, id: &str) -> Result<Review, Refusal> {
    reviews::find(tx, ws, id).await?.ok_or_else(|| Refusal::not_found("review"))
}

async fn find_post(tx: &Tx, ws: &str, id: &str) -> Result<Post, Refusal> {
    posts::find(tx, ws, id).await?.ok_or_else(|| Refusal::not_found("post"))
}
