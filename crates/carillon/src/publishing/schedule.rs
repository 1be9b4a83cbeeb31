//! From what a person asks for to a post, its deliveries and their jobs: checked against each
//! network's SPEC, all problems at once, written in one transaction.

use std::collections::HashMap;

use carillon_networks::spec::{Placement, Spec};
use carillon_networks::text;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::view::{self, DeliveryView, Names, PostView};
use crate::app::{self, Networks};
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::{Kind, NewJob};
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::store::attempts::{self, Begun, Ended};
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::idempotency::{self, Kept};
use crate::store::media::{self, Media, MediaState};
use crate::store::posts::{self, Post};
use crate::store::queue::{self, Removed};
use crate::store::{accounts, events};
use crate::{App, ids, store};

/// Most deliveries of one post, most characters that are looked at at all.
const MOST_DELIVERIES: usize = 100;
const MOST_TEXT: usize = 200_000;

/// A post as it is asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Draft {
    #[serde(default)]
    #[schema(example = "Doors open at seven.")]
    pub text: String,
    /// For networks whose posts have a title; without one the first line stands in.
    #[serde(default)]
    pub title: Option<String>,
    /// Ids of uploaded media, in order.
    #[serde(default)]
    pub media: Vec<String>,
    /// Wall time in `timezone` (`2026-11-23T09:00`), or with an offset or `Z`. Without it a post
    /// that is no draft goes out now.
    #[serde(default)]
    #[schema(example = "2026-11-23T09:00")]
    pub scheduled_at: Option<String>,
    /// IANA name; without it the workspace's.
    #[serde(default)]
    #[schema(example = "Europe/London")]
    pub timezone: Option<String>,
    /// Save only; nothing goes out.
    #[serde(default)]
    pub draft: bool,
    #[serde(default)]
    pub deliveries: Vec<DraftDelivery>,
}

#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DraftDelivery {
    pub connection_id: String,
    /// `feed`, `story`, …; without it the network's first.
    #[serde(default)]
    pub placement: Option<String>,
    /// Instead of the post's text.
    #[serde(default)]
    pub text: Option<String>,
    /// Instead of the post's time.
    #[serde(default)]
    pub scheduled_at: Option<String>,
}

/// A change of a post: what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// The version that the change was made from.
    pub version: i64,
    pub text: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub title: Option<Option<String>>,
    pub media: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub scheduled_at: Option<Option<String>>,
    pub timezone: Option<String>,
    pub draft: Option<bool>,
    /// The whole new list.
    pub deliveries: Option<Vec<DraftDelivery>>,
}

/// Tells `null` from absent.
fn present<'de, D, T>(d: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(d).map(Some)
}

/// An Idempotency-Key: the answer is kept in the transaction of the write.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub key: String,
    pub request_hash: String,
}

/// What each network says of a draft, before anything is saved.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    pub deliveries: Vec<CheckedDelivery>,
    /// Everything that blocks scheduling.
    pub problems: Vec<Wrong>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckedDelivery {
    pub connection_id: String,
    pub network: String,
    pub placement: String,
    /// Length as this network counts it.
    pub count: usize,
    pub max: usize,
    pub unit: String,
    pub problems: Vec<Wrong>,
}

/// A person's answer to "is it live?".
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub live: bool,
    /// Where, if it is.
    #[serde(default)]
    pub url: Option<String>,
}

pub async fn create(
    app: &App,
    workspace: &str,
    draft: Draft,
    keyed: Option<Keyed>,
) -> Result<PostView, Refusal> {
    let (workspace, now) = (workspace.to_owned(), app.clock.now());
    let rules = Rules::of(app);
    let created = app
        .db
        .write(move |tx| async move {
            let plan = plan(&tx, &workspace, &draft, now, rules).await?.accepted(draft.draft)?;
            let post = Post {
                id: ids::new(now),
                workspace_id: workspace.clone(),
                text: draft.text.clone(),
                title: draft.title.clone().filter(|t| !t.trim().is_empty()),
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

/// What stands against a draft; saves nothing.
pub async fn check(app: &App, workspace: &str, draft: &Draft) -> Result<Checked, Refusal> {
    let (workspace, draft, now) = (workspace.to_owned(), draft.clone(), app.clock.now());
    let rules = Rules::of(app);
    app.db
        .read(move |tx| async move {
            let plan = plan(&tx, &workspace, &draft, now, rules).await?;
            Ok(Checked {
                deliveries: plan.deliveries.iter().map(|p| p.checked(&plan.wrong)).collect(),
                problems: plan.wrong,
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
    let rules = Rules::of(app);
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
            let same = draft.text == post.text && draft.title == post.title && draft.media == media;
            // What is under way is recognised at the network by what was sent.
            if let Some(d) = olds.iter().find(|d| d.under_way())
                && !same
            {
                return Err(already_sending(d));
            }
            let plan = plan_for(&tx, &workspace, &draft, now, rules, Some(&post)).await?;
            let plan = plan.accepted(draft.draft)?;
            let changed = Post {
                text: draft.text.clone(),
                title: draft.title.clone().filter(|t| !t.trim().is_empty()),
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
            say(&tx, &changed, "post.changed", now).await?;
            view::post_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(edited)
}

/// Moves a post, and by the same difference every delivery of it that is still open.
pub async fn move_to(
    app: &App,
    workspace: &str,
    id: &str,
    scheduled_at: &str,
    timezone: Option<&str>,
    version: Option<i64>,
) -> Result<PostView, Refusal> {
    let (workspace, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let (to, zone) = (scheduled_at.to_owned(), timezone.map(str::to_owned));
    let moved = app
        .db
        .write(move |tx| async move {
            let post = find(&tx, &workspace, &id).await?;
            if version.is_some_and(|v| v != post.version) {
                return Err(version_conflict(&post));
            }
            let zone = zone.unwrap_or_else(|| post.timezone.clone());
            let at = when::parse(&to, &zone)
                .and_then(|at| when::not_past(at, now, &zone).map(|()| at))
                .map_err(|e| Refusal::invalid(vec![wrong_time("scheduledAt", &e)]))?;
            let olds = deliveries::of_post(&tx, &id).await?;
            if let Some(d) = olds.iter().find(|d| !d.open()) {
                return Err(already_sending(d));
            }
            let by = at - post.scheduled_at.unwrap_or(at);
            let changed = Post { scheduled_at: Some(at), timezone: zone, ..post.clone() };
            if !posts::save(&tx, &changed, now).await? {
                return Err(version_conflict(&post));
            }
            for mut d in olds.into_iter().filter(|d| d.state != State::Cancelled) {
                d.scheduled_at = Some(d.scheduled_at.map_or(at, |t| (t + by).max(now)));
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

pub async fn cancel_delivery(
    app: &App,
    workspace: &str,
    id: &str,
) -> Result<DeliveryView, Refusal> {
    let (workspace, id, now) =
        (workspace.to_owned(), view::known_id(id, "delivery")?, app.clock.now());
    let cancelled = app
        .db
        .write(move |tx| async move {
            let d = find_delivery(&tx, &workspace, &id).await?;
            if let Some(why) = d.uncancellable() {
                return Err(Refusal::conflict(
                    "not_cancellable",
                    format!("This delivery cannot be cancelled: {why}."),
                    "Wait for its outcome; a live post can be rolled back.",
                ));
            }
            cancel_one(&tx, &d, now).await?;
            view::delivery_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(cancelled)
}

/// Sends now what failed, was held for its lateness, or waits for its next try. Never offered
/// where it could post twice.
pub async fn retry_delivery(app: &App, workspace: &str, id: &str) -> Result<DeliveryView, Refusal> {
    let (workspace, id, now) =
        (workspace.to_owned(), view::known_id(id, "delivery")?, app.clock.now());
    let retried = app
        .db
        .write(move |tx| async move {
            let mut d = find_delivery(&tx, &workspace, &id).await?;
            let doubt = d.in_doubt();
            if doubt
                || !matches!(d.state, State::Failed | State::Held | State::Missed | State::Queued)
            {
                let why =
                    if doubt { "it may be live already" } else { "its state does not allow it" };
                return Err(Refusal::conflict(
                    "not_retryable",
                    format!("This delivery cannot be sent again: {why}."),
                    "Answer first whether it is live; published ones can be rolled back.",
                ));
            }
            let post = find(&tx, &workspace, &d.post_id).await?;
            d.scheduled_at = Some(now);
            note(&tx, &d, "retry", "queued", None, now).await?;
            reopen(&tx, &post, d, now).await?;
            view::delivery_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(retried)
}

/// Takes a person's word for whether a delivery in doubt is live.
pub async fn answer(
    app: &App,
    workspace: &str,
    id: &str,
    answer: Answer,
) -> Result<DeliveryView, Refusal> {
    let (workspace, id, now) =
        (workspace.to_owned(), view::known_id(id, "delivery")?, app.clock.now());
    let url = answer.url.as_deref().map(str::trim).filter(|u| !u.is_empty()).map(str::to_owned);
    if let Some(url) = &url
        && !url.parse::<url::Url>().is_ok_and(|u| matches!(u.scheme(), "http" | "https"))
    {
        let wrong = Wrong::new("url", "invalid_url", format!("`{url}` is no web address."));
        return Err(Refusal::invalid(vec![wrong]));
    }
    let answered = app
        .db
        .write(move |tx| async move {
            let mut d = find_delivery(&tx, &workspace, &id).await?;
            if !d.in_doubt() {
                return Err(Refusal::conflict(
                    "no_question",
                    "Nobody asks whether this delivery is live.",
                    "Reload: somebody may have answered already.",
                ));
            }
            if answer.live {
                let moved = Moved {
                    problem: None,
                    remote_url: url.as_deref(),
                    published_at: Some(now),
                    ..Moved::from(&d)
                };
                deliveries::go(&tx, &d.id, State::Held, State::Published, &moved, now).await?;
                note(&tx, &d, "answer", "found", None, now).await?;
                super::outcome::announce(&tx, &d, State::Published, url.as_deref(), now).await?;
            } else {
                let post = find(&tx, &workspace, &d.post_id).await?;
                note(&tx, &d, "answer", "absent", None, now).await?;
                d.scheduled_at = Some(now);
                reopen(&tx, &post, d, now).await?;
            }
            view::delivery_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(answered)
}

/// What a draft comes to: times resolved, networks asked, every problem found.
struct Plan {
    at: Option<i64>,
    timezone: String,
    deliveries: Vec<Planned>,
    wrong: Vec<Wrong>,
}

struct Planned {
    position: usize,
    connection: Connection,
    spec: &'static Spec,
    placement: &'static Placement,
    text: Option<String>,
    at: Option<i64>,
    count: usize,
    max: usize,
}

impl Plan {
    /// The plan if it may be written. A draft is saved with its faults, as long as what it names
    /// exists.
    fn accepted(self, draft: bool) -> Result<Self, Refusal> {
        const STRUCTURAL: [&str; 6] = [
            "unknown_connection",
            "unknown_placement",
            "unknown_media",
            "unknown_zone",
            "invalid_time",
            "too_many",
        ];
        let blocking: Vec<Wrong> = self
            .wrong
            .iter()
            .filter(|w| !draft || STRUCTURAL.contains(&w.code.as_str()))
            .cloned()
            .collect();
        if blocking.is_empty() { Ok(self) } else { Err(Refusal::invalid(blocking)) }
    }

    fn by_lane(&self) -> Vec<&Planned> {
        let mut all: Vec<&Planned> = self.deliveries.iter().collect();
        all.sort_by(|a, b| a.connection.id.cmp(&b.connection.id));
        all
    }
}

impl Planned {
    fn checked(&self, wrong: &[Wrong]) -> CheckedDelivery {
        let prefix = format!("deliveries[{}]", self.position);
        CheckedDelivery {
            connection_id: self.connection.id.clone(),
            network: self.spec.id.to_owned(),
            placement: self.placement.id.to_owned(),
            count: self.count,
            max: self.max,
            unit: self.placement.text.count.unit().to_owned(),
            problems: wrong.iter().filter(|w| w.field.starts_with(&prefix)).cloned().collect(),
        }
    }
}

/// What a draft is held against besides its connections.
#[derive(Clone, Copy)]
struct Rules {
    networks: Networks,
    media_required: bool,
}

impl Rules {
    fn of(app: &App) -> Self {
        Self { networks: app.networks, media_required: app.config.publishing.media_required }
    }
}

async fn plan(
    tx: &Tx,
    workspace: &str,
    draft: &Draft,
    now: i64,
    rules: Rules,
) -> Result<Plan, Refusal> {
    plan_for(tx, workspace, draft, now, rules, None).await
}

/// `old` is the post being edited: a time that it already has may lie in the past.
async fn plan_for(
    tx: &Tx,
    workspace: &str,
    draft: &Draft,
    now: i64,
    rules: Rules,
    old: Option<&Post>,
) -> Result<Plan, Refusal> {
    let mut wrong = Vec::new();
    let known = accounts::workspace(tx, workspace).await?;
    let timezone = draft
        .timezone
        .clone()
        .or_else(|| known.map(|w| w.timezone))
        .unwrap_or_else(|| "UTC".to_owned());
    let at = time("scheduledAt", draft.scheduled_at.as_deref(), &timezone, now, old, &mut wrong);
    let at = at.or((!draft.draft && draft.scheduled_at.is_none()).then_some(now));
    if draft.text.len() > MOST_TEXT
        || draft.deliveries.iter().any(|d| d.text.as_ref().is_some_and(|t| t.len() > MOST_TEXT))
    {
        return Err(Refusal::invalid(vec![Wrong::new(
            "text",
            "text_too_long",
            "The text is longer than 200,000 bytes, which no network takes.",
        )]));
    }
    if draft.deliveries.len() > MOST_DELIVERIES || draft.media.len() > MOST_DELIVERIES {
        wrong.push(Wrong::new(
            "deliveries",
            "too_many",
            format!("A post has at most {MOST_DELIVERIES} deliveries and as many media."),
        ));
        return Err(Refusal::invalid(wrong));
    }
    let media = find_media(tx, workspace, &draft.media, &mut wrong).await?;
    if draft.deliveries.is_empty() && !draft.draft {
        wrong.push(Wrong::new("deliveries", "no_deliveries", "Choose at least one connection."));
    }
    let connections = view::names(tx, workspace).await?;
    let mut deliveries = Vec::new();
    let mut seen = HashMap::new();
    for (i, d) in draft.deliveries.iter().enumerate() {
        let Some(mut planned) = find_target(i, d, &connections, rules.networks, &mut wrong) else {
            continue;
        };
        let target = (planned.connection.id.clone(), planned.placement.id);
        if let Some(first) = seen.insert(target, i) {
            let message = format!("The same connection and placement stand at {first} already.");
            wrong.push(
                Wrong::new(format!("deliveries[{i}]"), "twice", message).at(&planned.connection.id),
            );
        }
        let field = format!("deliveries[{i}].scheduledAt");
        planned.at =
            time(&field, d.scheduled_at.as_deref(), &timezone, now, old, &mut wrong).or(at);
        measure(&mut planned, draft, &media, rules, &mut wrong);
        deliveries.push(planned);
    }
    Ok(Plan { at, timezone, deliveries, wrong })
}

fn time(
    field: &str,
    text: Option<&str>,
    zone: &str,
    now: i64,
    old: Option<&Post>,
    wrong: &mut Vec<Wrong>,
) -> Option<i64> {
    let checked = match text {
        None => {
            return when::zone(zone)
                .err()
                .map(|e| wrong.push(wrong_time("timezone", &e)))
                .and(None);
        }
        Some(text) => when::parse(text, zone),
    };
    let kept = |at: i64| old.is_some_and(|p| p.scheduled_at == Some(at));
    match checked
        .and_then(|at| if kept(at) { Ok(at) } else { when::not_past(at, now, zone).map(|()| at) })
    {
        Ok(at) => Some(at),
        Err(e) => {
            wrong.push(wrong_time(field, &e));
            None
        }
    }
}

fn wrong_time(field: &str, e: &when::Refused) -> Wrong {
    let (field, code) = match e {
        when::Refused::Zone(_) => ("timezone", "unknown_zone"),
        when::Refused::Time(_) => (field, "invalid_time"),
        when::Refused::Past { .. } => (field, "in_the_past"),
    };
    Wrong::new(field, code, format!("{e}."))
}

async fn find_media(
    tx: &Tx,
    workspace: &str,
    wanted: &[String],
    wrong: &mut Vec<Wrong>,
) -> Result<Vec<Media>, Refusal> {
    let mut found = Vec::new();
    for (i, id) in wanted.iter().enumerate() {
        let media = if ids::valid(id) { media::find(tx, workspace, id).await? } else { None };
        match media {
            Some(m) if m.state == MediaState::Failed => {
                let why =
                    m.problem.map_or_else(|| "it could not be processed.".into(), |p| p.sentence);
                let message = format!("{} cannot be used: {why}", m.name);
                wrong.push(Wrong::new(format!("media[{i}]"), "media_failed", message));
            }
            Some(m) => found.push(m),
            None => wrong.push(Wrong::new(
                format!("media[{i}]"),
                "unknown_media",
                format!("There is no media `{id}` in this workspace."),
            )),
        }
    }
    Ok(found)
}

fn find_target(
    i: usize,
    d: &DraftDelivery,
    connections: &Names,
    networks: Networks,
    wrong: &mut Vec<Wrong>,
) -> Option<Planned> {
    let field = format!("deliveries[{i}]");
    let Some(connection) = connections.get(&d.connection_id) else {
        let message = format!("There is no connection `{}` in this workspace.", d.connection_id);
        wrong.push(Wrong::new(format!("{field}.connectionId"), "unknown_connection", message));
        return None;
    };
    let spec = app::find(networks, &connection.network)?.spec();
    let wanted = d.placement.as_deref().unwrap_or(spec.placements.first()?.id);
    let Some(placement) = spec.placement(wanted) else {
        let known: Vec<&str> = spec.placements.iter().map(|p| p.id).collect();
        let message =
            format!("{} has no placement `{wanted}`; it has {}.", spec.name, known.join(", "));
        wrong.push(
            Wrong::new(format!("{field}.placement"), "unknown_placement", message)
                .at(&connection.id),
        );
        return None;
    };
    Some(Planned {
        position: i,
        connection: connection.clone(),
        spec,
        placement,
        text: d.text.clone(),
        at: None,
        count: 0,
        max: 0,
    })
}

/// Text and media against what the network takes.
fn measure(p: &mut Planned, draft: &Draft, media: &[Media], rules: Rules, wrong: &mut Vec<Wrong>) {
    let body = p.text.as_deref().unwrap_or(&draft.text);
    let rule = &p.placement.text;
    let with_media = !media.is_empty();
    p.count = text::count(rule.count, body);
    p.max = if with_media { rule.max_with_media.unwrap_or(rule.max) } else { rule.max };
    let field = format!("deliveries[{}]", p.position);
    let id = p.connection.id.clone();
    for found in text::problems(p.spec, p.placement, body, draft.title.as_deref(), with_media) {
        let part = if found.code.starts_with("title") { "title" } else { "text" };
        wrong.push(Wrong::new(format!("{field}.{part}"), found.code, found.message).at(&id));
    }
    let name = p.spec.name;
    let rule = &p.placement.media;
    let min = rule.min.max(usize::from(rules.media_required));
    let asked = draft.media.len();
    if asked < min {
        let message = format!("{name} ({}) needs at least {min} picture.", p.placement.name);
        wrong.push(Wrong::new(format!("{field}.media"), "media_required", message).at(&id));
    }
    if asked > rule.max {
        let message = format!(
            "{name} ({}) takes at most {} pictures, there are {asked}.",
            p.placement.name, rule.max
        );
        wrong.push(Wrong::new(format!("{field}.media"), "too_many_media", message).at(&id));
    }
}

async fn add_delivery(tx: &Tx, post: &Post, p: &Planned, now: i64) -> Result<(), Refusal> {
    let committed = post.committed_at.is_some();
    let d = Delivery {
        id: ids::new(now),
        workspace_id: post.workspace_id.clone(),
        post_id: post.id.clone(),
        connection_id: p.connection.id.clone(),
        network: p.spec.id.to_owned(),
        placement: p.placement.id.to_owned(),
        position: p.position as i64,
        text: p.text.clone(),
        scheduled_at: p.at,
        state: if committed { State::Queued } else { State::Draft },
        send_key: ids::secret(),
        checkpoints: Default::default(),
        intent_at: None,
        tries: 0,
        looks: 0,
        next_attempt_at: if committed { p.at } else { None },
        cancel_wish_at: None,
        remote_id: None,
        remote_url: None,
        published_at: None,
        problem: None,
        created_at: now,
    };
    deliveries::add(tx, &d).await?;
    if committed {
        enqueue(tx, &d, now).await?;
    }
    Ok(())
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

/// Puts a delivery (back) into its queue with its present fields, as if never tried.
async fn reopen(tx: &Tx, post: &Post, mut d: Delivery, now: i64) -> Result<(), Refusal> {
    let lane = connections::lane(&d.connection_id);
    if queue::remove(tx, &d.id, &lane).await? == Removed::Leased {
        return Err(already_sending(&d));
    }
    let committed = post.committed_at.is_some();
    d.state = if committed { State::Queued } else { State::Draft };
    d.next_attempt_at = if committed { d.scheduled_at } else { None };
    d.checkpoints.clear();
    (d.tries, d.looks, d.intent_at, d.problem) = (0, 0, None, None);
    deliveries::edit(tx, &d, now).await?;
    if committed {
        enqueue(tx, &d, now).await?;
    }
    super::outcome::announce(tx, &d, d.state, None, now).await?;
    Ok(())
}

/// Brings a post's deliveries to what the edit asks for: same target, same delivery.
async fn replace_deliveries(
    tx: &Tx,
    post: &Post,
    olds: &[Delivery],
    plan: &Plan,
    now: i64,
) -> Result<(), Refusal> {
    let same = |d: &Delivery, p: &Planned| {
        d.connection_id == p.connection.id
            && d.placement == p.placement.id
            && d.state != State::Removed
    };
    for old in olds.iter().filter(|d| d.state != State::Removed) {
        if plan.deliveries.iter().any(|p| same(old, p)) {
            continue;
        }
        if !old.open() {
            return Err(already_sending(old));
        }
        cancel_one(tx, old, now).await?;
        if attempts::of(tx, &old.workspace_id, &old.id).await?.is_empty() {
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
                    scheduled_at: p.at,
                    position: p.position as i64,
                    ..old.clone()
                };
                reopen(tx, post, d, now).await?;
            }
            None => add_delivery(tx, post, p, now).await?,
        }
    }
    Ok(())
}

/// The post as it would be with a change.
fn merged(post: &Post, olds: &[Delivery], media: Vec<String>, change: Change) -> Draft {
    let deliveries = change.deliveries.unwrap_or_else(|| {
        olds.iter()
            .filter(|d| !matches!(d.state, State::Cancelled | State::Removed))
            .map(|d| DraftDelivery {
                connection_id: d.connection_id.clone(),
                placement: Some(d.placement.clone()),
                text: d.text.clone(),
                // One with the post's time follows it.
                scheduled_at: d
                    .scheduled_at
                    .filter(|at| Some(*at) != post.scheduled_at)
                    .map(when::iso),
            })
            .collect()
    });
    Draft {
        text: change.text.unwrap_or_else(|| post.text.clone()),
        title: change.title.unwrap_or_else(|| post.title.clone()),
        media: change.media.unwrap_or(media),
        scheduled_at: change.scheduled_at.unwrap_or_else(|| post.scheduled_at.map(when::iso)),
        timezone: Some(change.timezone.unwrap_or_else(|| post.timezone.clone())),
        draft: change.draft.unwrap_or(post.committed_at.is_none()),
        deliveries,
    }
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

/// Cancels a delivery; one that a worker holds right now gets the wish, which the intent obeys.
pub(super) async fn cancel_one(tx: &Tx, d: &Delivery, now: i64) -> Result<(), Refusal> {
    let lane = connections::lane(&d.connection_id);
    if queue::remove(tx, &d.id, &lane).await? == Removed::Leased {
        deliveries::wish_cancel(tx, &d.id, now).await?;
        return Ok(());
    }
    let moved = Moved { problem: None, ..Moved::from(d) };
    if deliveries::go(tx, &d.id, d.state, State::Cancelled, &moved, now).await? {
        super::outcome::announce(tx, d, State::Cancelled, None, now).await?;
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

async fn say(tx: &Tx, post: &Post, what: &str, now: i64) -> Result<(), Refusal> {
    let data = json!({ "postId": post.id, "scheduledAt": post.scheduled_at.map(when::iso) });
    Ok(events::add(tx, &post.workspace_id, what, &post.id, &data, now).await?)
}

async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Post, Refusal> {
    posts::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("post"))
}

async fn find_delivery(tx: &Tx, workspace: &str, id: &str) -> Result<Delivery, Refusal> {
    deliveries::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("delivery"))
}

fn version_conflict(post: &Post) -> Refusal {
    Refusal::conflict(
        "version_conflict",
        format!("Somebody changed this post in the meantime: it is at version {}.", post.version),
        "Load it again and repeat the change.",
    )
}

fn already_sending(d: &Delivery) -> Refusal {
    let why = d.uncancellable().unwrap_or("a worker has it in hand");
    let sentence = format!("The delivery to {} cannot be changed: {why}.", d.network);
    if d.in_doubt() {
        return Refusal::conflict("unanswered", sentence, "Answer it, then repeat the change.");
    }
    let fix = "Wait for its outcome; a live post can be rolled back.";
    Refusal::conflict("already_sending", sentence, fix)
}
