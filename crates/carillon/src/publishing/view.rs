//! Posts, deliveries and their journal as every surface shows them.

use std::collections::HashMap;

use carillon_networks::spec::Edit;
use serde::Serialize;
use utoipa::ToSchema;

use super::amend;
use super::draft::{self, Part};
use super::numbers::{self as measured, NumbersView};
use super::options::Answers;
use crate::App;
use crate::approval;
use crate::db::{self, Tx};
use crate::domain::delivery::DeliveryState;
use crate::domain::policy::Policies;
use crate::domain::post::PostState;
use crate::domain::problem::Problem;
use crate::domain::refusal::Refusal;
use crate::domain::review::{ReviewState, Stage};
use crate::domain::when::iso;
use crate::ids;
use crate::store::accounts;
use crate::store::attempts::{self, Attempt};
use crate::store::calendar;
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery};
use crate::store::media::{self, Media, MediaState};
use crate::store::numbers::{self, Told};
use crate::store::posts::{self, Post};
use crate::store::reviews::{self, Review};

/// A post with its media and deliveries. Times are ISO 8601 UTC.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostView {
    pub id: String,
    pub text: String,
    pub title: Option<String>,
    pub media: Vec<MediaBrief>,
    pub state: PostState,
    pub scheduled_at: Option<String>,
    /// IANA zone in which its time was chosen.
    pub timezone: String,
    pub created_at: String,
    pub updated_at: String,
    /// Name it when editing: somebody else's change in between is refused, not overwritten.
    pub version: i64,
    /// The parts after the first that its deliveries share.
    pub thread: Vec<Part>,
    pub series: Option<InSeries>,
    pub campaign: Option<InCampaign>,
    /// Since then nothing of it goes out: its campaign or series is paused.
    pub paused_at: Option<String>,
    /// Each before what follows it.
    pub deliveries: Vec<DeliveryView>,
    /// The latest question for an approval, where the workspace asks for them.
    pub review: Option<ReviewBrief>,
}

/// How far a post is with its approval.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewBrief {
    pub id: String,
    pub stage: Stage,
    /// What of it is no longer `open` or `approved` has to be asked for again.
    pub state: ReviewState,
    pub requested_at: String,
    pub decided_at: Option<String>,
    /// Why it is void: `edited`, `media_changed`, `withdrawn`, `cancelled`, …
    pub why: Option<String>,
}

/// The series that a post was made of.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InSeries {
    pub id: String,
    /// The wall-clock time that it stands for.
    #[schema(example = "2026-11-24T07:00:00")]
    pub occurrence: String,
    /// It was changed by itself and no longer follows its series.
    pub detached: bool,
}

/// The campaign that a post is of.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InCampaign {
    pub id: String,
    /// Which of its posts it is.
    #[schema(example = "D-7")]
    pub slot: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MediaBrief {
    pub id: String,
    pub name: String,
    pub content_type: String,
    pub thumb_url: String,
    pub alt: String,
    pub state: MediaState,
    /// 0 until it is known, as is its height.
    pub width: i64,
    pub height: i64,
    /// Of a video what goes out of it; `null` until it is known.
    pub duration_ms: Option<i64>,
}

/// One post on one connection in one placement.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    pub id: String,
    pub post_id: String,
    /// The delivery that it follows, as the next part of a thread or a first comment.
    pub parent_id: Option<String>,
    /// Among the post's deliveries; of one that follows, behind the one at the head, from 1.
    pub position: i64,
    pub connection_id: String,
    pub connection_name: String,
    pub network: String,
    pub placement: String,
    /// `null`: the post's text.
    pub text: Option<String>,
    /// What its title was changed to at its network; `null`: the post's title.
    pub title: Option<String>,
    /// Answers to its placement's options.
    pub options: Answers,
    pub state: DeliveryState,
    pub scheduled_at: Option<String>,
    pub next_attempt_at: Option<String>,
    /// Tries that counted against the retry budget.
    pub attempts: i64,
    /// The post's id at the network.
    pub remote_id: Option<String>,
    pub remote_url: Option<String>,
    pub published_at: Option<String>,
    pub problem: Option<Problem>,
    /// What was found to speak against it before its time.
    pub warning: Option<Problem>,
    /// When it was looked at before its time.
    pub checked_at: Option<String>,
    /// `is_it_live` when a person has to look and answer.
    pub question: Option<String>,
    /// What followers did, once somebody has had it read; `null` before.
    pub numbers: Option<NumbersView>,
    /// What may be done now: `cancel`, `retry`, `rollback`, `amend`, `measure`, `answer`, `mark_posted` (an
    /// answer with its address), `discard`.
    pub can: Vec<String>,
}

/// A line of the send journal.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    pub id: String,
    /// Grows with every claim of the delivery.
    pub fence: i64,
    /// `prepare`, `publish`, `poll`, `look_up`, `amend`, `delete`, `answer`, `sweep`
    pub step: String,
    pub started_at: String,
    pub finished_at: Option<String>,
    /// `accepted`, `processing`, `refused`, `unknown`, `absent`, `found`, `stale`, …; `null` while under way
    pub outcome: Option<String>,
    pub class: Option<String>,
    pub status: Option<u16>,
    pub code: Option<String>,
    pub sentence: Option<String>,
    pub action: Option<String>,
    pub request_id: Option<String>,
    pub remote_id: Option<String>,
    pub next_attempt_at: Option<String>,
}

/// A page of a list; `next` goes into `cursor` to read on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// What to list. With `from` and `to` (ms UTC) the posts due between them, by time; without, the
/// drafts that have no time, newest first.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub state: Option<PostState>,
    /// Only posts that hold these words, with or without a time, newest first.
    pub search: Option<String>,
    pub cursor: Option<String>,
    pub limit: usize,
}

pub async fn post(app: &App, workspace: &str, id: &str) -> Result<PostView, Refusal> {
    let (workspace, id) = (workspace.to_owned(), known_id(id, "post")?);
    app.db.read(move |tx| async move { post_in(&tx, &workspace, &id).await }).await
}

/// The post as this transaction sees it.
pub(crate) async fn post_in(tx: &Tx, workspace: &str, id: &str) -> Result<PostView, Refusal> {
    let post = posts::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("post"))?;
    seen(tx, &post).await
}

/// A post that was read, whether it lies in the trash or not.
pub(super) async fn seen(tx: &Tx, post: &Post) -> Result<PostView, Refusal> {
    let (workspace, id) = (post.workspace_id.as_str(), post.id.as_str());
    let deliveries = deliveries::of_post(tx, id).await?;
    let used: Vec<&str> = deliveries.iter().map(|d| d.connection_id.as_str()).collect();
    let names = names_of(tx, workspace, &used).await?;
    let media = media::of_post(tx, id).await?;
    let told = numbers::of_post(tx, id).await?;
    let policies = accounts::policies(tx, workspace).await?;
    let reviewed = (policies, latest_reviews(tx, &policies, [id]).await?.pop().flatten());
    Ok(view(post, &media, &deliveries, &names, &told, &reviewed))
}

/// The latest review of each of these posts; of none where nothing needs one.
async fn latest_reviews(
    tx: &Tx,
    policies: &Policies,
    posts: impl IntoIterator<Item = &str>,
) -> Result<Vec<Option<Review>>, db::Error> {
    match policies.last_stage() {
        Some(_) => reviews::latest_each(tx, posts).await,
        None => Ok(posts.into_iter().map(|_| None).collect()),
    }
}

pub async fn list(app: &App, workspace: &str, query: Query) -> Result<Page<PostView>, Refusal> {
    let workspace = workspace.to_owned();
    let limit = query.limit.clamp(1, 1000);
    app.db
        .read(move |tx| async move {
            let names = names(&tx, &workspace).await?;
            let more = limit as i64 + 1;
            let undated = query.from.is_none() && query.to.is_none();
            let mut found = if let Some(words) = &query.search {
                let before = query.cursor.as_deref().unwrap_or("g");
                posts::saying(&tx, &workspace, &calendar::pattern(words), before, more).await?
            } else if undated {
                let before = query.cursor.as_deref().unwrap_or("g");
                posts::undated(&tx, &workspace, before, more).await?
            } else {
                let from = query.from.unwrap_or(0);
                let to = query.to.unwrap_or(i64::MAX);
                let cursor = query.cursor.as_deref().and_then(|c| c.split_once('~'));
                let after =
                    cursor.and_then(|(at, id)| Some((at.parse().ok()?, id))).unwrap_or((-1, ""));
                posts::between(&tx, &workspace, from, to, after, more).await?
            };
            let next = (found.len() > limit).then(|| {
                found.truncate(limit);
                found.last().map(|p| match p.scheduled_at {
                    Some(at) if !undated => format!("{at}~{}", p.id),
                    _ => p.id.clone(),
                })
            });
            let policies = accounts::policies(&tx, &workspace).await?;
            let ids = found.iter().map(|p| p.id.as_str());
            let latest = latest_reviews(&tx, &policies, ids).await?;
            let mut items = Vec::with_capacity(found.len());
            for (post, review) in found.iter().zip(latest) {
                let deliveries = deliveries::of_post(&tx, &post.id).await?;
                let media = media::of_post(&tx, &post.id).await?;
                let told = numbers::of_post(&tx, &post.id).await?;
                let reviewed = (policies, review);
                items.push(view(post, &media, &deliveries, &names, &told, &reviewed));
            }
            if let Some(state) = query.state {
                items.retain(|p| p.state == state);
            }
            Ok(Page { items, next: next.flatten() })
        })
        .await
}

pub async fn delivery(app: &App, workspace: &str, id: &str) -> Result<DeliveryView, Refusal> {
    let (workspace, id) = (workspace.to_owned(), known_id(id, "delivery")?);
    app.db.read(move |tx| async move { delivery_in(&tx, &workspace, &id).await }).await
}

pub(super) async fn delivery_in(
    tx: &Tx,
    workspace: &str,
    id: &str,
) -> Result<DeliveryView, Refusal> {
    let d =
        deliveries::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("delivery"))?;
    let names = names_of(tx, workspace, &[&d.connection_id]).await?;
    let told = numbers::of(tx, id).await?;
    Ok(delivery_view(&d, &names, told.as_ref()))
}

/// The journal of a delivery, oldest line first.
pub async fn attempts(app: &App, workspace: &str, id: &str) -> Result<Vec<AttemptView>, Refusal> {
    let (workspace, id) = (workspace.to_owned(), known_id(id, "delivery")?);
    app.db
        .read(move |tx| async move {
            if deliveries::find(&tx, &workspace, &id).await?.is_none() {
                return Err(Refusal::not_found("delivery"));
            }
            Ok(attempts::of(&tx, &workspace, &id).await?.into_iter().map(attempt_view).collect())
        })
        .await
}

/// Something that is no id names nothing.
pub(crate) fn known_id(id: &str, what: &str) -> Result<String, Refusal> {
    if ids::valid(id) { Ok(id.to_owned()) } else { Err(Refusal::not_found(what)) }
}

pub(super) type Names = HashMap<String, Connection>;

pub(super) async fn names(tx: &Tx, workspace: &str) -> Result<Names, db::Error> {
    let all = connections::list(tx, workspace).await?;
    Ok(all.into_iter().map(|c| (c.id.clone(), c)).collect())
}

/// Of these connections alone: a workspace can have thousands.
pub(super) async fn names_of(tx: &Tx, workspace: &str, ids: &[&str]) -> Result<Names, db::Error> {
    let mut names = Names::new();
    for id in ids {
        if !names.contains_key(*id)
            && let Some(c) = connections::find(tx, workspace, id).await?
        {
            names.insert(c.id.clone(), c);
        }
    }
    Ok(names)
}

fn view(
    post: &Post,
    media: &[Media],
    deliveries: &[Delivery],
    names: &Names,
    told: &HashMap<String, Told>,
    (policies, review): &(Policies, Option<Review>),
) -> PostView {
    // What waits for another one says nothing of the post that the other does not.
    let telling = deliveries.iter().filter(|d| !d.waits_for_parent() || turn_comes(d, deliveries));
    let states: Vec<DeliveryState> = telling.map(|d| d.state).collect();
    let standing = approval::standing(policies, review.as_ref());
    let state = PostState::of(post.committed_at.is_some(), standing, &states);
    let mut shown: Vec<DeliveryView> =
        deliveries.iter().map(|d| delivery_view(d, names, told.get(&d.id))).collect();
    if state == PostState::Approved && post.committed_at.is_some() {
        // Its time has passed; a person may send it all the same.
        for d in shown.iter_mut().filter(|d| d.state == DeliveryState::Draft) {
            d.can.push("retry".to_owned());
        }
    }
    PostView {
        id: post.id.clone(),
        text: post.text.clone(),
        title: post.title.clone(),
        media: media.iter().map(brief).collect(),
        state,
        scheduled_at: post.scheduled_at.map(iso),
        timezone: post.timezone.clone(),
        created_at: iso(post.created_at),
        updated_at: iso(post.updated_at),
        version: post.version,
        thread: draft::thread_of(post, deliveries),
        series: in_series(post),
        campaign: post
            .belongs
            .campaign_id
            .clone()
            .map(|id| InCampaign { id, slot: post.belongs.slot.clone() }),
        paused_at: post.paused_at.map(iso),
        deliveries: shown,
        review: review.as_ref().map(|r| ReviewBrief {
            id: r.id.clone(),
            stage: r.stage,
            state: r.state,
            requested_at: iso(r.requested_at),
            decided_at: r.decided_at.map(iso),
            why: r.why.clone(),
        }),
    }
}

fn in_series(post: &Post) -> Option<InSeries> {
    let b = &post.belongs;
    let (id, occurrence) = (b.series_id.clone()?, b.occurrence.clone()?);
    Some(InSeries { id, occurrence, detached: b.detached_at.is_some() })
}

/// Will a waiting segment go out by itself?
fn turn_comes(d: &Delivery, all: &[Delivery]) -> bool {
    let parent = all.iter().find(|p| d.parent_id.as_ref() == Some(&p.id));
    parent.is_some_and(|p| p.state.active() && (!p.waits_for_parent() || turn_comes(p, all)))
}

pub(super) fn brief(m: &Media) -> MediaBrief {
    MediaBrief {
        id: m.id.clone(),
        name: m.name.clone(),
        content_type: m.content_type.clone(),
        thumb_url: format!("/media/{}/thumb", m.id),
        alt: m.alt.clone(),
        state: m.state,
        width: m.width,
        height: m.height,
        duration_ms: m.facts.as_ref().map(|facts| m.cut.span(facts).1),
    }
}

pub(super) fn delivery_view(d: &Delivery, names: &Names, told: Option<&Told>) -> DeliveryView {
    let doubt = d.in_doubt();
    let can_delete = carillon_networks::find(&d.network).is_some_and(|n| n.spec().abilities.delete);
    let mut can = Vec::new();
    use DeliveryState::*;
    match d.state {
        Queued if d.waits_for_parent() => can.push("cancel"),
        Queued => can.extend(["cancel", "retry"]),
        Held if doubt => can.extend(["answer", "discard"]),
        Held | Missed => can.extend(["cancel", "retry", "mark_posted", "discard"]),
        Failed => can.extend(["retry", "mark_posted", "discard"]),
        Published if can_delete => can.push("rollback"),
        _ => {}
    }
    if amend::changeable(d) != Edit::No {
        can.push("amend");
    }
    if !measured::measured(d).is_empty() {
        can.push("measure");
    }
    DeliveryView {
        id: d.id.clone(),
        post_id: d.post_id.clone(),
        parent_id: d.parent_id.clone(),
        position: d.position,
        connection_id: d.connection_id.clone(),
        connection_name: name_of(names, &d.connection_id),
        network: d.network.clone(),
        placement: d.placement.clone(),
        text: d.text.clone(),
        title: d.title.clone(),
        options: d.options.clone(),
        state: d.state,
        scheduled_at: d.scheduled_at.map(iso),
        next_attempt_at: d.next_attempt_at.map(iso),
        attempts: d.tries,
        remote_id: d.remote_id.clone(),
        remote_url: d.remote_url.clone(),
        published_at: d.published_at.map(iso),
        problem: d.problem.clone(),
        warning: d.warning.clone().filter(|_| d.state == Queued),
        checked_at: d.checked_at.map(iso),
        question: doubt.then(|| "is_it_live".to_owned()),
        numbers: measured::shown(d, told),
        can: can.into_iter().map(str::to_owned).collect(),
    }
}

pub(super) fn name_of(names: &Names, connection: &str) -> String {
    names.get(connection).map_or_else(|| "(disconnected)".to_owned(), |c| c.name.clone())
}

fn attempt_view(a: Attempt) -> AttemptView {
    let error = a.error;
    let of = |f: fn(&Problem) -> Option<String>| error.as_ref().and_then(f);
    AttemptView {
        class: of(|p| Some(p.class.clone())),
        status: error.as_ref().and_then(|p| p.status),
        code: of(|p| p.code.clone()),
        sentence: of(|p| Some(p.sentence.clone())),
        action: of(|p| Some(p.action.clone())),
        request_id: of(|p| p.request_id.clone()),
        id: a.id,
        fence: a.fence,
        step: a.step,
        started_at: iso(a.started_at),
        finished_at: a.finished_at.map(iso),
        outcome: a.outcome,
        remote_id: a.remote_id,
        next_attempt_at: a.next_attempt_at.map(iso),
    }
}
