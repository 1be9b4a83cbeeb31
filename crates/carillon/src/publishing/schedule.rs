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
use super::lineup::{add_delivery, already_sending, reopen, replace_deliveries};
use super::measure::Rules;
pub use super::plan::{Checked, CheckedDelivery};
use super::plan::{Plan, plan, plan_for, wrong_time};
use super::view::{self, PostView};
use crate::approval::{self, Gate};
use crate::config::Publishing;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::Refusal;
use crate::domain::review::Stage;
use crate::domain::when;
use crate::media::video::renditions;
use crate::store::deliveries::{self, Delivery};
use crate::store::events;
use crate::store::idempotency::{self, Kept};
use crate::store::media;
use crate::store::posts::{self, Post};
use crate::store::reviews;
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
            let gate = approval::gate(&tx, &post).await?;
            // Lanes in one order everywhere, so that two posts never wait for each other.
            for planned in plan.by_lane() {
                add_delivery(&tx, &post, &gate, planned, now).await?;
            }
            if post.committed_at.is_some() {
                renditions::ask_for_post(&tx, rules.networks, &post.id, now).await?;
                ask_approval(&tx, &post, &gate, draft.by.as_deref(), now).await?;
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
    let (workspace, id) = (workspace.to_owned(), view::known_id(id, "post")?);
    let desk = Desk::of(app);
    let edited = app
        .db
        .write(move |tx| async move { edit_in(&tx, &desk, &workspace, &id, change, false).await })
        .await?;
    app.ring();
    Ok(edited)
}

/// What a change needs to know of the process, for a unit of work.
#[derive(Clone)]
pub(crate) struct Desk {
    rules: Rules,
    config: Publishing,
    now: i64,
}

impl Desk {
    pub(crate) fn of(app: &App) -> Self {
        let (rules, config) = (Rules::of(app), app.config.publishing.clone());
        Self { rules, config, now: app.clock.now() }
    }
}

/// The same in a unit of work. With `within_review` whoever is asked about the post changes it: the
/// question stays open, and its caller says what it is about from then on.
pub(crate) async fn edit_in(
    tx: &Tx,
    desk: &Desk,
    workspace: &str,
    id: &str,
    change: Change,
    within_review: bool,
) -> Result<PostView, Refusal> {
    let Desk { rules, config, now } = desk.clone();
    let post = find(tx, workspace, id).await?;
    if post.version != change.version {
        return Err(version_conflict(&post));
    }
    let olds = deliveries::of_post(tx, id).await?;
    let media: Vec<String> = media::of_post(tx, id).await?.into_iter().map(|m| m.id).collect();
    let present = merged(&post, &olds, media.clone(), Change::default());
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
    let plan = plan_for(tx, workspace, &draft, now, rules, Some(&post)).await?;
    let plan = plan.accepted(draft.draft)?;
    ask(tx, &config, workspace, &draft, &plan, Some((&post, &olds)), now).await?;
    let changed = Post {
        text: draft.text.clone(),
        title: draft.title.clone().filter(|t| !t.trim().is_empty()),
        thread: Some(draft.thread.clone()),
        committed_at: if draft.draft { None } else { post.committed_at.or(Some(now)) },
        scheduled_at: plan.at,
        timezone: plan.timezone.clone(),
        ..post.clone()
    };
    if !posts::save(tx, &changed, now).await? {
        return Err(version_conflict(&post));
    }
    posts::set_media(tx, id, &draft.media).await?;
    let mut gate = approval::gate(tx, &post).await?;
    // Before its deliveries are lined up: what was approved was the post before the change.
    if gate != Gate::Open && !within_review && !placed(&draft, &plan).shows_as(&present) {
        approval::void(tx, &changed, "edited", now).await?;
        gate = Gate::Closed;
    }
    replace_deliveries(tx, &changed, &olds, &plan, now).await?;
    if changed.committed_at.is_some() {
        renditions::ask_for_post(tx, rules.networks, id, now).await?;
        if post.committed_at.is_none() {
            ask_approval(tx, &changed, &gate, draft.by.as_deref(), now).await?;
        }
    }
    say(tx, &changed, "post.changed", now).await?;
    view::post_in(tx, workspace, id).await
}

/// With the placements that a network's first stands in for.
fn placed(draft: &Draft, plan: &Plan) -> Draft {
    let mut placed = draft.clone();
    for p in &plan.deliveries {
        placed.deliveries[p.position].placement = Some(p.placement.id.to_owned());
    }
    placed
}

/// Moves a post, and by the same difference every delivery of it that is still open.
pub async fn move_to(app: &App, workspace: &str, id: &str, to: Move) -> Result<PostView, Refusal> {
    let (workspace, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let config = app.config.publishing.clone();
    let moved = app
        .db
        .write(move |tx| async move {
            let post = find(&tx, &workspace, &id).await?;
            if to.version.is_some_and(|v| v != post.version) {
                return Err(version_conflict(&post));
            }
            let zone = to.timezone.unwrap_or_else(|| post.timezone.clone());
            let at = when::parse(&to.scheduled_at, &zone)
                .and_then(|at| when::not_past(at, now, &zone).map(|()| at))
                .map_err(|e| Refusal::invalid(vec![wrong_time("scheduledAt", &e)]))?;
            let mut open = deliveries::of_post(&tx, &id).await?;
            if let Some(d) = open.iter().find(|d| !d.open()) {
                return Err(already_sending(d));
            }
            // What follows a delivery has no time of its own.
            open.retain(|d| d.state != State::Cancelled && d.parent_id.is_none());
            let by = at - post.scheduled_at.unwrap_or(at);
            for d in &mut open {
                d.scheduled_at = Some(d.scheduled_at.map_or(at, |t| (t + by).max(now)));
            }
            if post.committed_at.is_some() {
                let windows = guard::windows(&tx, &config, &workspace).await?;
                let windows = windows.allowing(to.allow_duplicate, to.allow_collision);
                let asked = guard::moved(&tx, &open).await?;
                guard::refuse(&tx, windows, &asked, &id, &zone, now).await?;
            }
            let changed = Post { scheduled_at: Some(at), timezone: zone, ..post.clone() };
            if !posts::save(&tx, &changed, now).await? {
                return Err(version_conflict(&post));
            }
            for d in open {
                reopen(&tx, &changed, d, now).await?;
            }
            say(&tx, &changed, "post.changed", now).await?;
            view::post_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(moved)
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
    Ok(approval::end(tx, &post.id, "cancelled", now).await?)
}

/// A post that is to go out asks for the approval that it lacks, unless somebody asked before.
async fn ask_approval(
    tx: &Tx,
    post: &Post,
    gate: &Gate,
    by: Option<&str>,
    now: i64,
) -> Result<(), Refusal> {
    if *gate == Gate::Open || reviews::open_of(tx, &post.id).await?.is_some() {
        return Ok(());
    }
    let all = deliveries::of_post(tx, &post.id).await?;
    // What is approved is in its queue by now.
    if all.iter().any(|d| d.state == State::Draft) {
        approval::ask(tx, post, Stage::Internal, by, None, now).await?;
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

async fn say(tx: &Tx, post: &Post, what: &str, now: i64) -> Result<(), Refusal> {
    let data = json!({ "postId": post.id, "scheduledAt": post.scheduled_at.map(when::iso) });
    Ok(events::add(tx, &post.workspace_id, what, &post.id, &data, now).await?)
}

pub(super) async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Post, Refusal> {
    posts::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("post"))
}

fn version_conflict(post: &Post) -> Refusal {
    Refusal::conflict(
        "version_conflict",
        format!("Somebody changed this post in the meantime: it is at version {}.", post.version),
        "Load it again and repeat the change.",
    )
}
