//! Series as every surface shows them, with what is coming.

use jiff::civil::DateTime;
use serde::Serialize;
use utoipa::ToSchema;

use super::{find, next_from, pattern, recurrence, zone};
use crate::App;
use crate::db::Tx;
use crate::domain::campaign::{OccurrenceState, SeriesState};
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::publishing::schedule::Draft;
use crate::publishing::view::{Page, known_id};
use crate::store::series::{self, Series};

/// How many of the coming ones a series shows.
pub(super) const SHOWN: usize = 5;

/// One instance of a series.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    /// Its name: the wall-clock time that it stands for.
    #[schema(example = "2026-11-24T07:00:00")]
    pub occurrence: String,
    /// When it goes out: ISO 8601 UTC.
    pub at: String,
    pub state: OccurrenceState,
    pub post_id: Option<String>,
    /// Its post was changed by itself and no longer follows the series.
    pub detached: bool,
}

/// A series with what is coming.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesView {
    pub id: String,
    pub campaign_id: Option<String>,
    #[schema(example = "Every second Tuesday at 07:00 (Europe/London), 12 times")]
    pub words: String,
    pub rule: String,
    pub start: String,
    pub timezone: String,
    pub state: SeriesState,
    pub without: Vec<String>,
    pub also: Vec<String>,
    /// Nothing from here on: another series goes on there.
    pub ends_before: Option<String>,
    /// What each of its posts is made from.
    pub post: Draft,
    pub next: Vec<Occurrence>,
    pub version: i64,
    pub created_at: String,
}

pub async fn show(app: &App, workspace: &str, id: &str) -> Result<SeriesView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "series")?, app.clock.now());
    app.db.read(move |tx| async move { view(&tx, &find(&tx, &ws, &id).await?, now).await }).await
}

/// The coming instances, those that are left out too.
pub async fn occurrences(
    app: &App,
    workspace: &str,
    id: &str,
    limit: usize,
) -> Result<Vec<Occurrence>, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "series")?, app.clock.now());
    app.db
        .read(move |tx| async move {
            coming(&tx, &find(&tx, &ws, &id).await?, now, limit, true).await
        })
        .await
}

/// Newest first.
pub async fn list(
    app: &App,
    workspace: &str,
    cursor: Option<String>,
    limit: usize,
) -> Result<Page<SeriesView>, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    app.db
        .read(move |tx| async move {
            let before = cursor.as_deref().unwrap_or("g");
            let mut found = series::list(&tx, &ws, before, limit as i64 + 1).await?;
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|s| s.id.clone());
            let mut items = Vec::with_capacity(found.len());
            for series in &found {
                items.push(view(&tx, series, now).await?);
            }
            Ok(Page { items, next })
        })
        .await
}

/// The next instances, with their posts; those left out among them where they are asked for.
pub(super) async fn coming(
    tx: &Tx,
    s: &Series,
    now: i64,
    most: usize,
    skipped: bool,
) -> Result<Vec<Occurrence>, Refusal> {
    if s.state == SeriesState::Ended {
        return Ok(Vec::new());
    }
    let zone = zone(s)?;
    let whole = match skipped {
        true => Series { without: Vec::new(), ..s.clone() },
        false => s.clone(),
    };
    let walls = next_from(&whole, now, most)?;
    let posts = match walls.first() {
        Some(first) => series::posts_from(tx, &s.id, *first).await?,
        None => Vec::new(),
    };
    Ok(walls
        .into_iter()
        .map(|wall| {
            let name = series::name(wall);
            let post = posts.iter().find(|p| p.belongs.occurrence.as_ref() == Some(&name));
            let planned = post.and_then(|p| p.scheduled_at);
            Occurrence {
                at: when::iso(planned.unwrap_or_else(|| when::moment(wall, &zone))),
                state: match post {
                    Some(_) => OccurrenceState::Post,
                    None if s.without.contains(&wall) => OccurrenceState::Skipped,
                    None => OccurrenceState::Planned,
                },
                post_id: post.map(|p| p.id.clone()),
                detached: post.is_some_and(|p| p.belongs.detached_at.is_some()),
                occurrence: name,
            }
        })
        .collect())
}

pub(super) async fn view(tx: &Tx, s: &Series, now: i64) -> Result<SeriesView, Refusal> {
    let next = coming(tx, s, now, SHOWN, false).await?;
    let names = |list: &[DateTime]| list.iter().copied().map(series::name).collect();
    Ok(SeriesView {
        id: s.id.clone(),
        campaign_id: s.campaign_id.clone(),
        words: recurrence(s)?.words(&s.timezone),
        rule: s.rule.clone(),
        start: series::name(s.start),
        timezone: s.timezone.clone(),
        state: if next.is_empty() { SeriesState::Ended } else { s.state },
        without: names(&s.without),
        also: names(&s.also),
        ends_before: s.ends_before.map(series::name),
        post: pattern(s)?,
        next,
        version: s.version,
        created_at: when::iso(s.created_at),
    })
}
