//! From what a person asks for to a post, its deliveries and their jobs, written in one
//! transaction.
//!
//! draft.rs is what is asked for, plan.rs what it comes to, lineup.rs puts deliveries into their
//! queue and takes them out.

use serde_json::json;

pub use super::draft::{Change, Draft, DraftDelivery, Move, Part, Parts, Share};
use super::draft::{merged, thread_of};
use super::guard;
use super::lineup::cancel_one;
use super::lineup::{add_delivery, already_sending, replace_deliveries};
use super::measure::Rules;
pub use super::moving::one as move_to;
pub use super::plan::{Checked, CheckedDelivery};
use super::plan::{Plan, plan, plan_for};
use super::view::{self, PostView};
use crate::config::Publishing;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::media::video::renditions;
use crate::store::deliveries::{self, Delivery};
use crate::store::events;
use crate::store::idempotency::{self, Kept};
use crate::store::media;
use crate::store::posts::{self, Post};
use crate::{App, ids, store};

/// An Idempotency-Key: the answer is kept in the transaction of the write.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub key: String,
    pub request_hash: String,
}

pub async fn create(
    app: &App,
    workspace: &str,
    draft: Draft,
    keyed: Option<Keyed>,
) -> Result<PostView, Refusal> {
    let (workspace, now) = (workspace.to_owned(), app.clock.now());
    let (rules, config) = (Rules::of(app), app.config.publishing.clone());
    let created = app
        .db
        .write(move |tx| async move {
            let plan = plan(&tx, &workspace, &draft, now, rules).await?.accepted(draft.draft)?;
            ask(&tx, &config, &workspace, &draft, &plan, None, now).await?;
            let post = Post {
                id: ids::new(now),
                workspace_id: workspace.clone(),
                text: draft.text.clone(),
                title: draft.title.clone().filter(|t| !t.trim().is_empty()),
                thread: Some(draft.thread.clone()),
                committed_at: (!draft.draft).then_some(now),
                scheduled_at: plan.at,
                timezone: plan.timezone.clone(),
                version: 1,
                created_at: now,
                updated_at: now,
            };
            posts::add(&tx, &post).await?;
            posts::set_media(&tx, &post.id, &draft.media).await?;
            // Lanes in one order everywhere, so that two posts never wait for each other.
            for planned in plan.by_lane() {
                add_delivery(&tx, &post, planned, now).await?;
            }
            if post.committed_at.is_some() {
                renditions::ask_for_post(&tx, rules.networks, &post.id, now).await?;
            }
            say(&tx, &post, "post.created", now).await?;
            let view = view::post_in(&tx, &workspace, &post.id).await?;
            if let Some(keyed) = keyed {
                let (request_hash, body) = (keyed.request_hash, store::json(&view));
                let kept = Kept { request_hash, status: 201, body };
                idempotency::keep(&tx, &workspace, &keyed.key, &kept, now).await?;
            }
            Ok::<_, Refusal>(view)
        })
        .await?;
    app.ring();
    Ok(created)
}

/// What stands against a draft, and what it would be asked about; saves nothing. `post` is the one
/// that it would change.
pub async fn check(
    app: &App,
    workspace: &str,
    draft: &Draft,
    post: Option<&str>,
) -> Result<Checked, Refusal> {
    let (workspace, draft, now) = (workspace.to_owned(), draft.clone(), app.clock.now());
    let post = post.map(|id| view::known_id(id, "post")).transpose()?;
    let (rules, config) = (Rules::of(app), app.config.publishing.clone());
    app.db
        .read(move |tx| async move {
            let old = match &post {
                Some(id) => Some(find(&tx, &workspace, id).await?),
                None => None,
            };
            let plan = plan_for(&tx, &workspace, &draft, now, rules, old.as_ref()).await?;
            let windows = guard::windows(&tx, &config, &workspace).await?;
            let but = post.as_deref().unwrap_or_default();
            let asked = guard::asked(&plan, &[]);
            let zone = &plan.timezone;
            let mut warnings = guard::warnings(&tx, windows, &asked, but, zone, now).await?;
            warnings.extend(guard::standing(&tx, &plan).await?);
            Ok(Checked {
                deliveries: plan.deliveries.iter().map(|p| p.checked(&plan.wrong)).collect(),
                problems: plan.wrong,
                warnings,
            })
        })
        .await
}

pub async fn edit(
    app: &App,
    workspace: &str,
    id: &str,
    change: Change,
) -> Result<PostView, Refusal> {
    let (workspace, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let (rules, config) = (Rules::of(app), app.config.publishing.clone());
    let edited = app
        .db
        .write(move |tx| async move {
            let post = find(&tx, &workspace, &id).await?;
            if post.version != change.version {
                return Err(version_conflict(&post));
            }
            let olds = deliveries::of_post(&tx, &id).await?;
            let media: Vec<String> =
                media::of_post(&tx, &id).await?.into_iter().map(|m| m.id).collect();
            let draft = merged(&post, &olds, media.clone(), change);
            let same = draft.text == post.text
                && draft.title == post.title
                && draft.media == media
                && draft.thread == thread_of(&post, &olds);
            // What is under way is recognised at the network by what was sent.
            if let Some(d) = olds.iter().find(|d| d.under_way())
                && !same
            {
                return Err(already_sending(d));
            }
            let plan = plan_for(&tx, &workspace, &draft, now, rules, Some(&post)).await?;
            let plan = plan.accepted(draft.draft)?;
            ask(&tx, &config, &workspace, &draft, &plan, Some((&post, &olds)), now).await?;
            let changed = Post {
                text: draft.text.clone(),
                title: draft.title.clone().filter(|t| !t.trim().is_empty()),
                thread: Some(draft.thread.clone()),
                committed_at: if draft.draft { None } else { post.committed_at.or(Some(now)) },
                scheduled_at: plan.at,
                timezone: plan.timezone.clone(),
                ..post.clone()
            };
            if !posts::save(&tx, &changed, now).await? {
                return Err(version_conflict(&post));
            }
            posts::set_media(&tx, &id, &draft.media).await?;
            replace_deliveries(&tx, &changed, &olds, &plan, now).await?;
            if changed.committed_at.is_some() {
                renditions::ask_for_post(&tx, rules.networks, &id, now).await?;
            }
            say(&tx, &changed, "post.changed", now).await?;
            view::post_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(edited)
}

/// Cancels every delivery that can still be cancelled; refused when none can.
pub async fn cancel(app: &App, workspace: &str, id: &str) -> Result<PostView, Refusal> {
    let (workspace, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let cancelled = app
        .db
        .write(move |tx| async move {
            let post = find(&tx, &workspace, &id).await?;
            cancel_all(&tx, &post, now).await?;
            say(&tx, &post, "post.cancelled", now).await?;
            view::post_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(cancelled)
}

/// Cancels and deletes; refused while something of it is live or may be.
pub async fn delete(app: &App, workspace: &str, id: &str) -> Result<(), Refusal> {
    let (workspace, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    app.db
        .write(move |tx| async move {
            let post = find(&tx, &workspace, &id).await?;
            let all = deliveries::of_post(&tx, &id).await?;
            if let Some(d) = all.iter().find(|d| d.state == State::Published) {
                return Err(Refusal::conflict(
                    "published",
                    format!("The post is live on {}.", d.network),
                    "Roll it back first, then delete it.",
                ));
            }
            cancel_all(&tx, &post, now).await?;
            let still = deliveries::of_post(&tx, &id).await?;
            if let Some(d) = still.iter().find(|d| d.state.active() || d.in_doubt()) {
                return Err(already_sending(d));
            }
            posts::delete(&tx, &workspace, &id, now).await?;
            say(&tx, &post, "post.deleted", now).await
        })
        .await?;
    app.ring();
    Ok(())
}

async fn cancel_all(tx: &Tx, post: &Post, now: i64) -> Result<(), Refusal> {
    let all = deliveries::of_post(tx, &post.id).await?;
    let (open, rest): (Vec<&Delivery>, Vec<&Delivery>) =
        all.iter().partition(|d| d.uncancellable().is_none());
    if open.is_empty()
        && let Some(d) = rest.first()
    {
        return Err(Refusal::conflict(
            "not_cancellable",
            format!(
                "Nothing of this post can be cancelled: on {} {}.",
                d.network,
                d.uncancellable().unwrap_or("it cannot be")
            ),
            "A live post can be rolled back.",
        ));
    }
    for d in open {
        cancel_one(tx, d, now).await?;
    }
    Ok(())
}

/// Asks about what stands close to other posts, once it is to go out.
async fn ask(
    tx: &Tx,
    config: &Publishing,
    workspace: &str,
    draft: &Draft,
    plan: &Plan,
    old: Option<(&Post, &[Delivery])>,
    now: i64,
) -> Result<(), Refusal> {
    if draft.draft {
        return Ok(());
    }
    let (but, olds) = old.map_or(("", &[][..]), |(post, olds)| (post.id.as_str(), olds));
    let windows = guard::windows(tx, config, workspace).await?;
    let windows = windows.allowing(draft.allow_duplicate, draft.allow_collision);
    guard::refuse(tx, windows, &guard::asked(plan, olds), but, &plan.timezone, now).await
}

pub(super) async fn say(tx: &Tx, post: &Post, what: &str, now: i64) -> Result<(), Refusal> {
    let data = json!({ "postId": post.id, "scheduledAt": post.scheduled_at.map(when::iso) });
    Ok(events::add(tx, &post.workspace_id, what, &post.id, &data, now).await?)
}

pub(super) async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Post, Refusal> {
    posts::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("post"))
}

pub(super) fn version_conflict(post: &Post) -> Refusal {
    Refusal::conflict(
        "version_conflict",
        format!("Somebody changed this post in the meantime: it is at version {}.", post.version),
        "Load it again and repeat the change.",
    )
}
