//! What is done to a series that stands: leave one out, change all that follow, pause, end.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::seen::view;
use super::{LEAD, NewSeries, SeriesView, begin, between, find, judged, make, pattern, placed};
use super::{recurrence, say, wall, zone};
use crate::App;
use crate::db::Tx;
use crate::domain::campaign::{CampaignState, SeriesState};
use crate::domain::recurrence::End;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::publishing::holding::{self, Held, LetGo};
use crate::publishing::schedule::{self, Draft, Terms};
use crate::publishing::view::known_id;
use crate::store::audit;
use crate::store::campaigns;
use crate::store::posts::Post;
use crate::store::series::{self, Series};

/// A series after something was done to all of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SeriesChanged)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    pub series: SeriesView,
    /// Posts that were deleted.
    pub removed: usize,
    /// Posts that stay as they are, because somebody changed them by themselves.
    pub kept: usize,
    /// Deliveries that are held until it is resumed.
    pub held: usize,
    /// Deliveries that wait for their time again.
    pub queued: usize,
    /// Deliveries in a worker's hands: they may go out yet.
    pub under_way: usize,
    /// Deliveries whose time passed meanwhile: they stay held, for a person to decide.
    pub late: usize,
}

/// From one instance on everything is another way: what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = SeriesFollowing)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Following {
    /// The first one that is changed.
    #[schema(example = "2026-12-08T07:00:00")]
    pub from: String,
    pub rule: Option<String>,
    /// What each post says from then on. Its `scheduledAt` is when the first of them goes out.
    pub post: Option<Draft>,
}

/// Leaves one out; its post is deleted. Refused when it is live.
pub async fn skip(
    app: &App,
    workspace: &str,
    id: &str,
    occurrence: &str,
    actor: &str,
) -> Result<SeriesView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "series")?, app.clock.now());
    let (occurrence, actor) = (occurrence.to_owned(), actor.to_owned());
    let skipped = app
        .db
        .write(move |tx| async move {
            let mut s = lock(&tx, &ws, &id).await?;
            let wall = instance_of(&s, &occurrence)?;
            s.without.push(wall);
            series::save(&tx, &s, now).await?;
            for post in series::posts_from(&tx, &id, wall).await? {
                if post.belongs.occurrence == Some(series::name(wall)) {
                    schedule::delete_in(&tx, &post, Some(&actor), now).await?;
                    series::hand_over(&tx, &post.id, None).await?;
                }
            }
            let data = json!({ "occurrence": series::name(wall) });
            audit::add(&tx, Some(&ws), &actor, "series.skipped", &id, &data, now).await?;
            say(&tx, &s, "series.changed", now).await?;
            view(&tx, &s, now).await
        })
        .await?;
    app.ring();
    Ok(skipped)
}

/// Takes one in again; its post is made where it is near enough.
pub async fn unskip(
    app: &App,
    workspace: &str,
    id: &str,
    occurrence: &str,
    actor: &str,
) -> Result<SeriesView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "series")?, app.clock.now());
    let (occurrence, actor, terms) = (occurrence.to_owned(), actor.to_owned(), Terms::of(app));
    let taken = app
        .db
        .write(move |tx| async move {
            let mut s = lock(&tx, &ws, &id).await?;
            let wall =
                wall(&occurrence, &zone(&s)?, Some(s.start)).map_err(|_| unknown(&occurrence))?;
            if !s.without.contains(&wall) {
                return Err(unknown(&occurrence));
            }
            s.without.retain(|out| *out != wall);
            series::save(&tx, &s, now).await?;
            let due =
                s.state == SeriesState::Active && between(&s, now, now + LEAD)?.contains(&wall);
            if due && !series::has_post(&tx, &id, &series::name(wall)).await? {
                make(&tx, &terms, &s, wall, now).await?;
            }
            let data = json!({ "occurrence": series::name(wall) });
            audit::add(&tx, Some(&ws), &actor, "series.unskipped", &id, &data, now).await?;
            say(&tx, &s, "series.changed", now).await?;
            view(&tx, &s, now).await
        })
        .await?;
    app.ring();
    Ok(taken)
}

/// Ends the series before an instance and begins another there, in one transaction. Posts that were
/// changed by themselves stay, as part of the new one.
pub async fn follow(
    app: &App,
    workspace: &str,
    id: &str,
    change: Following,
    actor: &str,
) -> Result<Changed, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "series")?, app.clock.now());
    let (actor, terms) = (actor.to_owned(), Terms::of(app));
    let changed = app
        .db
        .write(move |tx| async move {
            let mut old = lock(&tx, &ws, &id).await?;
            let from = instance_of(&old, &change.from)?;
            if when::moment(from, &zone(&old)?) < now {
                let message = "This instance has passed: choose one that is to come.";
                return Err(Refusal::invalid(vec![Wrong::new("from", "in_the_past", message)]));
            }
            let rule = match change.rule {
                Some(rule) => rule,
                None => rest_of(&old, from)?,
            };
            let own = pattern(&old)?;
            let mut post = change.post.unwrap_or_else(|| own.clone());
            if post.scheduled_at.is_none() || post.scheduled_at == own.scheduled_at {
                post = placed(&old, post, from)?;
            }
            post.timezone = post.timezone.or_else(|| Some(old.timezone.clone()));
            post.by = Some(actor.clone());
            let names = |list: &[DateTime]| {
                list.iter().filter(|wall| **wall >= from).copied().map(series::name).collect()
            };
            let (without, also) = (names(&old.without), names(&old.also));
            let new = NewSeries { post, rule, without, also };
            let new = judged(&tx, &ws, new, old.campaign_id.as_deref(), now).await?;

            old.ends_before = Some(from);
            series::save(&tx, &old, now).await?;
            let (removed, kept) = clear(&tx, &old, from, now).await?;
            for post in series::posts_from(&tx, &id, from).await? {
                series::hand_over(&tx, &post.id, Some(&new.id)).await?;
            }
            begin(&tx, &terms, &new, now).await?;
            let data = json!({ "from": series::name(from), "becomes": new.id, "rule": new.rule });
            audit::add(&tx, Some(&ws), &actor, "series.followed", &id, &data, now).await?;
            say(&tx, &old, "series.changed", now).await?;
            changed(view(&tx, &new, now).await?, removed, kept)
        })
        .await?;
    app.ring();
    Ok(changed)
}

/// No more posts are made; those that are to come are deleted. [`resume`] begins again.
pub async fn end(app: &App, workspace: &str, id: &str, actor: &str) -> Result<Changed, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "series")?, app.clock.now());
    let actor = actor.to_owned();
    let ended = app
        .db
        .write(move |tx| async move {
            let s = lock(&tx, &ws, &id).await?;
            let (removed, kept) = end_in(&tx, &s, now).await?;
            let data = json!({ "removed": removed });
            audit::add(&tx, Some(&ws), &actor, "series.ended", &id, &data, now).await?;
            let s = find(&tx, &ws, &id).await?;
            changed(view(&tx, &s, now).await?, removed, kept)
        })
        .await?;
    app.ring();
    Ok(ended)
}

/// How many posts were deleted, and how many stay because they were changed by themselves.
async fn end_in(tx: &Tx, s: &Series, now: i64) -> Result<(usize, usize), Refusal> {
    series::save(tx, &Series { state: SeriesState::Ended, ..s.clone() }, now).await?;
    let from = when::wall(now, &zone(s)?);
    let done = clear(tx, s, from, now).await?;
    say(tx, s, "series.changed", now).await?;
    Ok(done)
}

/// No more posts are made, and none of those that stand goes out.
pub async fn pause(app: &App, workspace: &str, id: &str, actor: &str) -> Result<Changed, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "series")?, app.clock.now());
    let actor = actor.to_owned();
    let paused = app
        .db
        .write(move |tx| async move {
            let mut s = lock(&tx, &ws, &id).await?;
            let mut all = Held::default();
            if s.state == SeriesState::Active {
                s.state = SeriesState::Paused;
                series::save(&tx, &s, now).await?;
                for post in to_come(&tx, &s, now).await? {
                    let held = holding::hold(&tx, &post, now).await?;
                    (all.held, all.under_way) =
                        (all.held + held.held, all.under_way + held.under_way);
                }
                let data = json!({ "held": all.held, "underWay": all.under_way });
                audit::add(&tx, Some(&ws), &actor, "series.paused", &id, &data, now).await?;
                say(&tx, &s, "series.changed", now).await?;
            }
            let view = view(&tx, &s, now).await?;
            Ok::<_, Refusal>(Changed {
                held: all.held,
                under_way: all.under_way,
                ..changed(view, 0, 0)?
            })
        })
        .await?;
    app.ring();
    Ok(paused)
}

/// Goes on after a pause or an end: what was held waits for its time again, what is late is asked
/// about, and posts are made four weeks ahead.
pub async fn resume(app: &App, workspace: &str, id: &str, actor: &str) -> Result<Changed, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "series")?, app.clock.now());
    let (actor, wanted) = (actor.to_owned(), id.clone());
    let done = app
        .db
        .write(move |tx| async move {
            let mut s = lock(&tx, &ws, &id).await?;
            let mut all = LetGo::default();
            if let Some(campaign) = &s.campaign_id {
                standing(&tx, &ws, campaign).await?;
            }
            if s.state != SeriesState::Active {
                s.state = SeriesState::Active;
                series::save(&tx, &s, now).await?;
                for post in series::posts_from(&tx, &id, s.start).await? {
                    if post.paused_at.is_some() {
                        let gone = holding::let_go(&tx, &post, now).await?;
                        (all.queued, all.late) = (all.queued + gone.queued, all.late + gone.late);
                    }
                }
                let data = json!({ "queued": all.queued, "late": all.late });
                audit::add(&tx, Some(&ws), &actor, "series.resumed", &id, &data, now).await?;
                say(&tx, &s, "series.changed", now).await?;
            }
            Ok::<_, Refusal>(all)
        })
        .await?;
    crate::planning::materialise::one(app, &wanted).await?;
    let series = super::show(app, workspace, &wanted).await?;
    Ok(Changed { queued: done.queued, late: done.late, ..changed(series, 0, 0)? })
}

fn changed(series: SeriesView, removed: usize, kept: usize) -> Result<Changed, Refusal> {
    Ok(Changed { series, removed, kept, held: 0, queued: 0, under_way: 0, late: 0 })
}

async fn lock(tx: &Tx, workspace: &str, id: &str) -> Result<Series, Refusal> {
    series::lock(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("series"))
}

/// A series of a campaign goes on with it only.
async fn standing(tx: &Tx, workspace: &str, campaign: &str) -> Result<(), Refusal> {
    let found = campaigns::find(tx, workspace, campaign).await?;
    let held =
        found.filter(|c| matches!(c.state, CampaignState::Paused | CampaignState::Cancelled));
    let Some(c) = held else { return Ok(()) };
    let sentence =
        format!("The series is part of the campaign “{}”, which is {}.", c.name, c.state);
    Err(Refusal::conflict("paused", sentence, "Resume or bring back the campaign instead."))
}

/// Those of its posts that are to come.
async fn to_come(tx: &Tx, s: &Series, now: i64) -> Result<Vec<Post>, Refusal> {
    let mut posts = series::posts_from(tx, &s.id, s.start).await?;
    posts.retain(|p| p.scheduled_at.is_none_or(|at| at >= now));
    Ok(posts)
}

/// Deletes the posts from an occurrence on, but for those that were changed by themselves.
async fn clear(tx: &Tx, s: &Series, from: DateTime, now: i64) -> Result<(usize, usize), Refusal> {
    let (mut removed, mut kept) = (0, 0);
    for post in series::posts_from(tx, &s.id, from).await? {
        if post.belongs.detached_at.is_some() {
            kept += 1;
            continue;
        }
        schedule::delete_in(tx, &post, None, now).await?;
        series::hand_over(tx, &post.id, None).await?;
        removed += 1;
    }
    Ok((removed, kept))
}

/// The instance of this name.
fn instance_of(s: &Series, occurrence: &str) -> Result<DateTime, Refusal> {
    let wall = wall(occurrence, &zone(s)?, Some(s.start)).map_err(|_| unknown(occurrence))?;
    let there = recurrence(s)?.has(wall) && s.ends_before.is_none_or(|end| wall < end);
    if there { Ok(wall) } else { Err(unknown(occurrence)) }
}

fn unknown(occurrence: &str) -> Refusal {
    let message = format!("`{occurrence}` is no instance of this series.");
    Refusal {
        fix: "Choose one of `occurrences`.".to_owned(),
        ..Refusal::invalid(vec![Wrong::new("occurrence", "unknown_occurrence", message)])
    }
}

/// Its rule from an instance on: a count goes down by those before.
fn rest_of(s: &Series, from: DateTime) -> Result<String, Refusal> {
    let mut all = recurrence(s)?.rule;
    if let End::Count(n) = all.end {
        let before = all.walls(s.start, from).iter().filter(|wall| **wall < from).count();
        all.end = End::Count(n.saturating_sub(before as u32).max(1));
    }
    Ok(all.to_string())
}
