//! From what a person asks for to a post, its deliveries and their jobs, written in one
//! transaction.
//!
//! draft.rs is what is asked for, plan.rs what it comes to, lineup.rs puts deliveries into their
//! queue and takes them out.

use serde_json::json;

pub use super::draft::{Change, Draft, DraftDelivery, Move, Part, Parts, Share};
use super::draft::{merged, thread_of};
use super::guard;
use super::holding;
use super::lineup::cancel_one;
use super::lineup::{add_delivery, already_sending, reopen, replace_deliveries, revive};
use super::measure::Rules;
pub use super::moving::one as move_to;
pub(crate) use super::moving::one_in as move_in;
pub use super::plan::{Checked, CheckedDelivery};
use super::plan::{Plan, plan_for};
use super::versions;
use super::view::{self, PostView};
use crate::app::Networks;
use crate::approval::{self, Gate};
use crate::config::Publishing;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::Refusal;
use crate::domain::review::Stage;
use crate::domain::when;
use crate::media::video::renditions;
use crate::store::audit;
use crate::store::deliveries::{self, Delivery};
use crate::store::events;
use crate::store::idempotency::{self, Kept};
use crate::store::media;
use crate::store::posts::{self, Belongs, Post};
use crate::store::reviews;
use crate::store::trash;
use crate::{App, ids, store};

/// An Idempotency-Key: the answer is kept in the transaction of the write.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub key: String,
    pub request_hash: String,
}

/// What a post is held against while a transaction writes it.
#[derive(Clone)]
pub(crate) struct Terms {
    rules: Rules,
    pub(super) config: Publishing,
}

impl Terms {
    pub(crate) fn of(app: &App) -> Self {
        Self { rules: Rules::of(app), config: app.config.publishing.clone() }
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    pub(super) fn networks(&self) -> Networks {
        self.rules.networks
    }
}

pub async fn create(
    app: &App,
    workspace: &str,
    draft: Draft,
    keyed: Option<Keyed>,
) -> Result<PostView, Refusal> {
    let (workspace, now) = (workspace.to_owned(), app.clock.now());
    let terms = Terms::of(app);
    let created = app
        .db
        .write(move |tx| async move {
            let post = create_in(&tx, &terms, &workspace, &draft, Belongs::default(), now).await?;
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

/// A post and all that goes with it, in the caller's transaction. Nothing is written where it is
/// refused.
pub(crate) async fn create_in(
    tx: &Tx,
    terms: &Terms,
    workspace: &str,
    draft: &Draft,
    belongs: Belongs,
    now: i64,
) -> Result<Post, Refusal> {
    let campaign = belongs.campaign_id.is_some();
    let plan = plan_for(tx, workspace, draft, now, terms.rules, None, campaign).await?;
    let plan = plan.accepted(draft.draft)?;
    ask(tx, &terms.config, workspace, draft, &plan, None, now).await?;
    let post = Post {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        text: draft.text.clone(),
        title: draft.title.clone().filter(|t| !t.trim().is_empty()),
        thread: Some(draft.thread.clone()),
        committed_at: (!draft.draft).then_some(now),
        scheduled_at: plan.at,
        timezone: plan.timezone.clone(),
        version: 1,
        created_at: now,
        updated_at: now,
        belongs,
        paused_at: None,
        written_by: draft.by.clone(),
        written_at: now,
    };
    posts::add(tx, &post).await?;
    posts::set_media(tx, &post.id, &draft.media).await?;
    let gate = approval::gate(tx, &post).await?;
    // Lanes in one order everywhere, so that two posts never wait for each other.
    for planned in plan.by_lane() {
        add_delivery(tx, &post, &gate, planned, now).await?;
    }
    if post.committed_at.is_some() {
        renditions::ask_for_post(tx, terms.rules.networks, &post.id, now).await?;
        ask_approval(tx, &post, &gate, draft.by.as_deref(), now).await?;
    }
    say(tx, &post, "post.created", now).await?;
    Ok(post)
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
            let campaign = old.as_ref().is_some_and(|p| p.belongs.campaign_id.is_some());
            let plan =
                plan_for(&tx, &workspace, &draft, now, rules, old.as_ref(), campaign).await?;
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
    let terms = Terms::of(app);
    let edited = app
        .db
        .write(move |tx| async move {
            edit_in(&tx, &terms, &workspace, &id, change, now).await?;
            posts::detach(&tx, &id, now).await?;
            view::post_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(edited)
}

/// The same in the caller's transaction, which a refusal has to end.
pub(crate) async fn edit_in(
    tx: &Tx,
    terms: &Terms,
    workspace: &str,
    id: &str,
    change: Change,
    now: i64,
) -> Result<Post, Refusal> {
    change_in(tx, terms, workspace, id, change, false, now).await
}

/// The same by whoever is asked about the post: the question stays open, and its caller says what it
/// is about from then on.
pub(crate) async fn edit_within_review(
    tx: &Tx,
    terms: &Terms,
    workspace: &str,
    id: &str,
    change: Change,
    now: i64,
) -> Result<Post, Refusal> {
    change_in(tx, terms, workspace, id, change, true, now).await
}

async fn change_in(
    tx: &Tx,
    terms: &Terms,
    workspace: &str,
    id: &str,
    change: Change,
    within_review: bool,
    now: i64,
) -> Result<Post, Refusal> {
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
    let campaign = post.belongs.campaign_id.is_some();
    let plan = plan_for(tx, workspace, &draft, now, terms.rules, Some(&post), campaign).await?;
    let plan = plan.accepted(draft.draft)?;
    ask(tx, &terms.config, workspace, &draft, &plan, Some((&post, &olds)), now).await?;
    let says_else = !placed(&draft, &plan).shows_as(&present);
    let changed = Post {
        text: draft.text.clone(),
        title: draft.title.clone().filter(|t| !t.trim().is_empty()),
        thread: Some(draft.thread.clone()),
        committed_at: if draft.draft { None } else { post.committed_at.or(Some(now)) },
        scheduled_at: plan.at,
        timezone: plan.timezone.clone(),
        written_by: if says_else { draft.by.clone() } else { post.written_by.clone() },
        written_at: if says_else { now } else { post.written_at },
        ..post.clone()
    };
    if !posts::save(tx, &changed, now).await? {
        return Err(version_conflict(&post));
    }
    if says_else {
        versions::keep(tx, &post, &present).await?;
    }
    posts::set_media(tx, id, &draft.media).await?;
    let mut gate = approval::gate(tx, &post).await?;
    // Before its deliveries are lined up: what was approved was the post before the change.
    if gate != Gate::Open && !within_review && says_else {
        approval::void(tx, &changed, "edited", now).await?;
        gate = Gate::Closed;
    }
    replace_deliveries(tx, &changed, &olds, &plan, now).await?;
    if changed.committed_at.is_some() {
        renditions::ask_for_post(tx, terms.rules.networks, id, now).await?;
        if post.committed_at.is_none() {
            ask_approval(tx, &changed, &gate, draft.by.as_deref(), now).await?;
        }
    }
    holding::keep(tx, &changed, now).await?;
    say(tx, &changed, "post.changed", now).await?;
    Ok(changed)
}

/// With the placements that a network's first stands in for.
fn placed(draft: &Draft, plan: &Plan) -> Draft {
    let mut placed = draft.clone();
    for p in &plan.deliveries {
        placed.deliveries[p.position].placement = Some(p.placement.id.to_owned());
    }
    placed
}

/// Cancels every delivery that can still be cancelled; refused when none can.
pub async fn cancel(app: &App, workspace: &str, id: &str) -> Result<PostView, Refusal> {
    let (workspace, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let cancelled = app
        .db
        .write(move |tx| async move {
            let post = find(&tx, &workspace, &id).await?;
            cancel_in(&tx, &post, now).await?;
            view::post_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(cancelled)
}

/// Cancels it and puts it into the trash; refused while something of it is live or may be.
pub async fn delete(app: &App, workspace: &str, id: &str, actor: &str) -> Result<(), Refusal> {
    let (ws, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let actor = actor.to_owned();
    app.db
        .write(move |tx| async move {
            let post = find(&tx, &ws, &id).await?;
            delete_in(&tx, &post, Some(&actor), now).await?;
            let data = json!({ "says": approval::says(&post) });
            audit::add(&tx, Some(&ws), &actor, "post.deleted", &id, &data, now).await?;
            Ok::<_, Refusal>(())
        })
        .await?;
    app.ring();
    Ok(())
}

/// [`cancel`] in the caller's transaction.
pub(crate) async fn cancel_in(tx: &Tx, post: &Post, now: i64) -> Result<(), Refusal> {
    cancel_all(tx, post, now).await?;
    say(tx, post, "post.cancelled", now).await
}

/// [`delete`] in the caller's transaction, which a refusal has to end.
pub(crate) async fn delete_in(
    tx: &Tx,
    post: &Post,
    by: Option<&str>,
    now: i64,
) -> Result<(), Refusal> {
    let all = deliveries::of_post(tx, &post.id).await?;
    if let Some(d) = all.iter().find(|d| d.state == State::Published) {
        return Err(Refusal::conflict(
            "published",
            format!("The post is live on {}.", d.network),
            "Roll it back first, then delete it.",
        ));
    }
    let closed = all
        .iter()
        .filter(|d| d.uncancellable().is_none() && d.state != State::Cancelled)
        .map(|d| (d.id.clone(), d.state))
        .collect();
    match all.iter().any(|d| d.uncancellable().is_none()) {
        true => cancel_all(tx, post, now).await?,
        // All that was live was taken down.
        false => approval::end(tx, &post.id, "cancelled", now).await?,
    }
    let still = deliveries::of_post(tx, &post.id).await?;
    if let Some(d) = still.iter().find(|d| d.state.active() || d.in_doubt()) {
        return Err(already_sending(d));
    }
    trash::put(tx, post, by, &closed, now).await?;
    say(tx, post, "post.deleted", now).await
}

/// Brings back these deliveries of a post that were cancelled together, but for those whose time
/// has passed: they stay cancelled and count as late.
pub(crate) async fn reopen_in(
    tx: &Tx,
    post: &Post,
    cancelled: Vec<Delivery>,
    now: i64,
) -> Result<holding::LetGo, Refusal> {
    let mut done = holding::LetGo::default();
    let late = |d: &Delivery| d.scheduled_at.is_some_and(|at| at < now);
    let (heads, segments): (Vec<Delivery>, Vec<Delivery>) = cancelled
        .into_iter()
        .filter(|d| d.state == State::Cancelled && d.intent_at.is_none())
        .partition(|d| d.parent_id.is_none());
    let gone: Vec<String> = heads.iter().filter(|d| late(d)).map(|d| d.id.clone()).collect();
    for d in heads.into_iter().filter(|d| !gone.contains(&d.id)) {
        done.queued += usize::from(reopen(tx, post, d, now).await?);
    }
    for d in segments {
        // What it follows is back, or live.
        let parent = d.parent_id.as_deref().unwrap_or_default();
        let parent = deliveries::load(tx, parent).await?;
        if parent.is_some_and(|p| p.state != State::Cancelled) {
            revive(tx, post, d, now).await?;
        }
    }
    done.late = gone.len();
    holding::keep(tx, post, now).await?;
    say(tx, post, "post.changed", now).await?;
    Ok(done)
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
pub(super) async fn ask_approval(
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
