//! Series: posts that come round by a rule, made four weeks ahead (materialise.rs).
//!
//! Each instance is an ordinary post, named for good by the wall-clock time that it stands for. One
//! that is changed by itself leaves its series: nothing that is done to the series touches it.

mod changing;
mod seen;

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

pub use self::changing::{Changed, Following, end, follow, pause, resume, skip, unskip};
pub use self::seen::{Occurrence, SeriesView, list, occurrences, show};

use self::seen::{SHOWN, coming, view};

use crate::App;
use crate::db::Tx;
use crate::domain::campaign::SeriesState;
use crate::domain::recurrence::{Recurrence, Rule};
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::when;
use crate::ids;
use crate::publishing::schedule::{self, Draft, Terms};
use crate::store::posts::{Belongs, Post};
use crate::store::series::{self, Series};
use crate::store::{accounts, audit, events};

/// Posts stand this long before their time, in ms.
pub const LEAD: i64 = 28 * 86_400_000;

/// A series as it is asked for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSeries {
    /// What each post says. `scheduledAt` is when the first one goes out; all have its time of day.
    pub post: Draft,
    /// RFC 5545, by days, weeks, months or years.
    #[schema(example = "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;COUNT=12")]
    pub rule: String,
    /// Wall-clock times that are left out; a day leaves out its instance.
    #[serde(default)]
    #[schema(example = json!(["2026-12-29"]))]
    pub without: Vec<String>,
    /// Wall-clock times beside the rule; a day has the usual time.
    #[serde(default)]
    pub also: Vec<String>,
}

/// When a series would go out.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = SeriesAsked)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    #[schema(example = "2026-11-24T07:00")]
    pub scheduled_at: String,
    /// IANA name; without it the workspace's.
    pub timezone: Option<String>,
    pub rule: String,
    #[serde(default)]
    pub without: Vec<String>,
    #[serde(default)]
    pub also: Vec<String>,
}

/// What a rule comes to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SeriesExpected)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// In one plain sentence.
    #[schema(example = "Every second Tuesday at 07:00 (Europe/London), 12 times")]
    pub words: String,
    /// The rule as it is kept.
    pub rule: String,
    /// The wall-clock time of the first one.
    #[schema(example = "2026-11-24T07:00:00")]
    pub start: String,
    pub timezone: String,
    /// The next ones, up to five.
    pub next: Vec<Occurrence>,
}

/// What a rule comes to; saves nothing.
pub async fn preview(app: &App, workspace: &str, asked: Asked) -> Result<Expected, Refusal> {
    let (workspace, now) = (workspace.to_owned(), app.clock.now());
    app.db
        .read(move |tx| async move {
            let draft = Draft {
                scheduled_at: Some(asked.scheduled_at),
                timezone: asked.timezone,
                ..Draft::default()
            };
            let new = NewSeries {
                post: draft,
                rule: asked.rule,
                without: asked.without,
                also: asked.also,
            };
            let series = judged(&tx, &workspace, new, None, now).await?;
            Ok(Expected {
                words: recurrence(&series)?.words(&series.timezone),
                rule: series.rule.clone(),
                start: series::name(series.start),
                timezone: series.timezone.clone(),
                next: coming(&tx, &series, now, SHOWN, false).await?,
            })
        })
        .await
}

/// Makes a series and, in the same transaction, its posts of the next four weeks, the first one at
/// least: what is wrong with them is refused now.
pub async fn create(
    app: &App,
    workspace: &str,
    new: NewSeries,
    actor: &str,
) -> Result<SeriesView, Refusal> {
    let (ws, actor, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let new = NewSeries { post: Draft { by: Some(actor.clone()), ..new.post }, ..new };
    let terms = Terms::of(app);
    let made = app
        .db
        .write(move |tx| async move {
            let series = judged(&tx, &ws, new, None, now).await?;
            begin(&tx, &terms, &series, now).await?;
            let data = json!({ "rule": series.rule, "timezone": series.timezone });
            audit::add(&tx, Some(&ws), &actor, "series.created", &series.id, &data, now).await?;
            view(&tx, &series, now).await
        })
        .await?;
    app.ring();
    Ok(made)
}

/// Writes a series with its first posts.
pub(super) async fn begin(tx: &Tx, terms: &Terms, s: &Series, now: i64) -> Result<(), Refusal> {
    let first = next_from(s, now, 1)?;
    if first.is_empty() {
        let message = "The rule has no instance from now on: begin later, or let it go on longer.";
        return Err(Refusal::invalid(vec![Wrong::new("rule", "no_instance", message)]));
    }
    series::add(tx, s).await?;
    let mut due = between(s, now, now + LEAD)?;
    if due.is_empty() {
        due = first;
    }
    let mut refused = Vec::new();
    for wall in due {
        // One that was changed by itself may stand there already.
        if series::has_post(tx, &s.id, &series::name(wall)).await? {
            continue;
        }
        match make(tx, terms, s, wall, now).await {
            Ok(_) => {}
            Err(e) if ours(&e) => return Err(e),
            Err(e) => refused.push((format!("occurrences[{}]", series::name(wall)), e)),
        }
    }
    gathered(refused)?;
    say(tx, s, "series.created", now).await
}

/// The post of one instance, in the caller's transaction.
pub(super) async fn make(
    tx: &Tx,
    terms: &Terms,
    s: &Series,
    wall: DateTime,
    now: i64,
) -> Result<Post, Refusal> {
    let belongs = Belongs {
        campaign_id: s.campaign_id.clone(),
        series_id: Some(s.id.clone()),
        occurrence: Some(series::name(wall)),
        ..Belongs::default()
    };
    let mut draft = placed(s, pattern(s)?, wall)?;
    // That it says the same again is what it is for.
    draft.allow_duplicate = true;
    draft.by = s.made_by.clone();
    schedule::create_in(tx, terms, &s.workspace_id, &draft, belongs, now).await
}

/// A draft that stands at the start of a series, at this time instead. Each delivery with a time of
/// its own keeps its distance.
fn placed(s: &Series, mut draft: Draft, wall: DateTime) -> Result<Draft, Refusal> {
    let zone = zone(s)?;
    for d in &mut draft.deliveries {
        let own = d.scheduled_at.as_deref().and_then(|text| self::wall(text, &zone, None).ok());
        d.scheduled_at = own.map(|own| {
            let apart = own.duration_since(s.start);
            let at = wall.checked_add(apart).unwrap_or(wall);
            when::iso(when::moment(at, &zone))
        });
    }
    draft.scheduled_at = Some(when::iso(when::moment(wall, &zone)));
    draft.timezone = Some(s.timezone.clone());
    Ok(draft)
}

/// What is asked for as a series that could be written, with everything wrong named.
pub(super) async fn judged(
    tx: &Tx,
    workspace: &str,
    new: NewSeries,
    campaign: Option<&str>,
    now: i64,
) -> Result<Series, Refusal> {
    let known = accounts::workspace(tx, workspace).await?;
    let named = new.post.timezone.clone().or_else(|| known.map(|w| w.timezone));
    let timezone = named.unwrap_or_else(|| "UTC".to_owned());
    let zone = when::zone(&timezone).map_err(|e| {
        Refusal::invalid(vec![Wrong::new("post.timezone", "unknown_zone", format!("{e}."))])
    })?;
    let mut wrong = Vec::new();
    let mut read =
        |field: String, text: &str, usual: Option<DateTime>| match wall(text, &zone, usual) {
            Ok(wall) => Some(wall),
            Err(e) => {
                wrong.push(Wrong::new(field, "invalid_time", format!("{e}.")));
                None
            }
        };
    let start = match new.post.scheduled_at.as_deref() {
        Some(text) => read("post.scheduledAt".to_owned(), text, None),
        None => read("post.scheduledAt".to_owned(), "", None),
    };
    let mut dates = |name: &str, list: &[String]| -> Vec<DateTime> {
        let each = list.iter().enumerate();
        let found: BTreeSet<DateTime> =
            each.filter_map(|(i, text)| read(format!("{name}[{i}]"), text, start)).collect();
        found.into_iter().collect()
    };
    let (without, also) = (dates("without", &new.without), dates("also", &new.also));
    let rule = Rule::parse(&new.rule, &zone);
    if let Err(sentences) = &rule {
        wrong.extend(sentences.iter().map(|s| Wrong::new("rule", "invalid_rule", s)));
    }
    let (Some(start), Ok(rule), true) = (start, rule, wrong.is_empty()) else {
        return Err(Refusal::invalid(wrong));
    };
    Ok(Series {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        campaign_id: campaign.map(str::to_owned),
        timezone,
        start,
        rule: rule.to_string(),
        without,
        also,
        ends_before: None,
        pattern: serde_json::to_value(&new.post).unwrap_or_default(),
        made_by: new.post.by.clone(),
        state: SeriesState::Active,
        version: 1,
        created_at: now,
        updated_at: now,
    })
}

/// A wall-clock time of a zone. A day has the time of day of `usual`.
pub(super) fn wall(
    text: &str,
    zone: &TimeZone,
    usual: Option<DateTime>,
) -> Result<DateTime, when::Refused> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(zone.to_datetime(at));
    }
    if let (Some(usual), false, Ok(day)) = (usual, text.contains('T'), text.parse::<Date>()) {
        return Ok(day.to_datetime(usual.time()));
    }
    text.parse().map_err(|_| when::Refused::Time(text.to_owned()))
}

pub(super) async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Series, Refusal> {
    series::find(tx, workspace, id).await?.ok_or_else(|| Refusal::not_found("series"))
}

pub(super) fn zone(s: &Series) -> Result<TimeZone, Refusal> {
    when::zone(&s.timezone).map_err(|e| damaged(s, &e))
}

/// Its rule with what is left out and added.
pub(super) fn recurrence(s: &Series) -> Result<Recurrence, Refusal> {
    let rule = Rule::parse(&s.rule, &zone(s)?).map_err(|wrong| damaged(s, &wrong.join(" ")))?;
    let (without, also) = (s.without.iter().copied().collect(), s.also.iter().copied().collect());
    Ok(Recurrence { start: s.start, rule, without, also })
}

pub(super) fn pattern(s: &Series) -> Result<Draft, Refusal> {
    serde_json::from_value(s.pattern.clone()).map_err(|e| damaged(s, &e))
}

/// It was right when it was written: this is damage, or an older version meets a newer one's work.
fn damaged(s: &Series, why: &impl std::fmt::Display) -> Refusal {
    tracing::error!(series_id = %s.id, "a series cannot be read: {why}");
    let fix = "Start the newest Carillon that wrote to this database, or end the series and make it anew.";
    Refusal::new(Kind::Internal, "damaged", format!("The series cannot be read: {why}."), fix)
}

/// Its instances that are due between these moments.
pub(super) fn between(s: &Series, from: i64, to: i64) -> Result<Vec<DateTime>, Refusal> {
    let zone = zone(s)?;
    // A wall clock is ambiguous by an hour at most: look around, then at the moments themselves.
    let (first, last) = (when::wall(from - DAY, &zone), when::wall(to + DAY, &zone));
    let mut found = recurrence(s)?.between(first, last);
    found.retain(|wall| {
        let at = when::moment(*wall, &zone);
        at >= from && at <= to && s.ends_before.is_none_or(|end| *wall < end)
    });
    Ok(found)
}

const DAY: i64 = 86_400_000;

/// Its next instances from a moment on.
pub(super) fn next_from(s: &Series, from: i64, n: usize) -> Result<Vec<DateTime>, Refusal> {
    let zone = zone(s)?;
    let mut found = recurrence(s)?.next(when::wall(from - DAY, &zone), n + 3);
    found.retain(|wall| {
        when::moment(*wall, &zone) >= from && s.ends_before.is_none_or(|end| *wall < end)
    });
    found.truncate(n);
    Ok(found)
}

pub(super) async fn say(tx: &Tx, s: &Series, what: &str, now: i64) -> Result<(), Refusal> {
    let data = json!({ "seriesId": s.id, "campaignId": s.campaign_id });
    Ok(events::add(tx, &s.workspace_id, what, &s.id, &data, now).await?)
}

/// A fault that says nothing about what was asked for: it ends the transaction.
pub(super) fn ours(e: &Refusal) -> bool {
    matches!(e.kind, Kind::Internal | Kind::Unavailable | Kind::Full)
}

/// Several refusals as one, each problem with the place that it is of.
pub(super) fn gathered(refused: Vec<(String, Refusal)>) -> Result<(), Refusal> {
    let Some((_, first)) = refused.first() else { return Ok(()) };
    let invalid = refused.iter().find(|(_, e)| e.kind == Kind::Invalid).map(|(_, e)| e);
    let first = invalid.unwrap_or(first).clone();
    let problems = refused.into_iter().flat_map(|(place, e)| {
        let own = Wrong::new("", &e.code, &e.sentence);
        let problems = if e.problems.is_empty() { vec![own] } else { e.problems };
        problems.into_iter().map(move |p| {
            let field = format!("{place}.{}", p.field);
            Wrong { field: field.trim_matches('.').to_owned(), ..p }
        })
    });
    Err(Refusal { problems: problems.collect(), suggested_at: None, ..first })
}
