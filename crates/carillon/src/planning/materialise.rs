//! `materialise-weekly`: every series gets its posts of the next four weeks.
//!
//! Each post is made in a transaction of its own that holds its series, and its occurrence is its
//! name: run twice, on two nodes at once or killed in the middle, nothing is made double and nothing
//! is left out for longer than until the next run. What cannot be made becomes an alert.

use serde::Serialize;
use utoipa::ToSchema;

use super::series::{LEAD, between, make, ours, zone};
use crate::App;
use crate::db::Tx;
use crate::domain::alert::AlertKind;
use crate::domain::campaign::SeriesState;
use crate::domain::problem::Problem;
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::publishing::schedule::{self, Move, Terms};
use crate::store::alerts;
use crate::store::series::{self, Series};

/// How many series are read at once.
const BATCH: i64 = 200;

/// What a run did.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Materialised {
    /// Series that were gone through.
    pub series: usize,
    /// Posts that were made.
    pub made: usize,
    /// Posts whose moment was another than before, because their zone's rules changed.
    pub moved: usize,
    /// What could not be made or moved; each series of them has an alert.
    pub unplanned: Vec<Unplanned>,
}

/// An instance that has no post.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unplanned {
    pub series_id: String,
    #[schema(example = "2026-12-08T07:00:00")]
    pub occurrence: String,
    pub code: String,
    pub sentence: String,
    pub fix: String,
}

/// All series of a workspace, or (`None`) of the installation.
pub async fn run(app: &App, workspace: Option<&str>) -> Result<Materialised, Refusal> {
    let mut done = Materialised::default();
    let mut last = String::new();
    loop {
        let after = last.clone();
        let found =
            app.db.read(move |tx| async move { series::active(&tx, &after, BATCH).await }).await?;
        let Some(s) = found.last() else { break };
        last = s.id.clone();
        let wanted = |s: &&Series| workspace.is_none_or(|ws| s.workspace_id == ws);
        for s in found.iter().filter(wanted) {
            bring_up(app, s, &mut done).await?;
        }
    }
    app.ring();
    if done.made + done.moved + done.unplanned.len() > 0 {
        let unplanned = done.unplanned.len();
        tracing::info!(made = done.made, moved = done.moved, unplanned, "went through the series");
    }
    Ok(done)
}

/// One series, if it is active.
pub(super) async fn one(app: &App, id: &str) -> Result<Materialised, Refusal> {
    let mut done = Materialised::default();
    let id = id.to_owned();
    let found = app.db.read(move |tx| async move { series::load(&tx, &id).await }).await?;
    if let Some(s) = found.filter(|s| s.state == SeriesState::Active) {
        bring_up(app, &s, &mut done).await?;
    }
    app.ring();
    Ok(done)
}

async fn bring_up(app: &App, s: &Series, done: &mut Materialised) -> Result<(), Refusal> {
    done.series += 1;
    let now = app.clock.now();
    let (ws, id) = (s.workspace_id.clone(), s.id.clone());
    let s = app.db.write(move |tx| async move { tidied(&tx, &ws, &id, now).await }).await?;
    let Some(s) = s else { return Ok(()) };
    let mut unplanned = Vec::new();
    for wall in between(&s, now, now + LEAD)? {
        let (ws, id, terms) = (s.workspace_id.clone(), s.id.clone(), Terms::of(app));
        let made = app
            .db
            .write(move |tx| async move {
                let held = series::lock(&tx, &ws, &id).await?;
                // It may have been changed since it was read.
                let Some(s) = held.filter(|s| s.state == SeriesState::Active) else {
                    return Ok(false);
                };
                let due = between(&s, now, now + LEAD)?.contains(&wall);
                if !due || series::has_post(&tx, &id, &series::name(wall)).await? {
                    return Ok(false);
                }
                make(&tx, &terms, &s, wall, now).await.map(|_| true)
            })
            .await;
        match made {
            Ok(made) => done.made += usize::from(made),
            Err(e) if ours(&e) => return Err(e),
            Err(e) => unplanned.push(Unplanned::of(&s, series::name(wall), e)),
        }
    }
    follow_zone(app, &s, done, &mut unplanned).await?;
    let (told, first) = (s.clone(), unplanned.first().cloned());
    let n = unplanned.len();
    app.db.write(move |tx| async move { tell(&tx, &told, first, n, now).await }).await?;
    done.unplanned.append(&mut unplanned);
    Ok(())
}

/// The series, with what somebody deleted of it left out for good: its posts may be purged.
async fn tidied(tx: &Tx, workspace: &str, id: &str, now: i64) -> Result<Option<Series>, Refusal> {
    let Some(mut s) = series::lock(tx, workspace, id).await? else { return Ok(None) };
    let deleted = series::deleted(tx, id).await?;
    let fresh: Vec<_> = deleted.into_iter().filter(|wall| !s.without.contains(wall)).collect();
    if !fresh.is_empty() {
        s.without.extend(fresh);
        series::save(tx, &s, now).await?;
    }
    Ok(Some(s).filter(|s| s.state == SeriesState::Active))
}

/// Posts stand for a wall-clock time: where that is another moment than it was, because the zone's
/// own rules changed, they move.
async fn follow_zone(
    app: &App,
    s: &Series,
    done: &mut Materialised,
    unplanned: &mut Vec<Unplanned>,
) -> Result<(), Refusal> {
    let (now, zone) = (app.clock.now(), zone(s)?);
    let (id, from) = (s.id.clone(), when::wall(now, &zone));
    let posts = app.db.read(move |tx| async move { series::posts_from(&tx, &id, from).await });
    for post in posts.await? {
        let Some(name) = post.belongs.occurrence.clone() else { continue };
        let Ok(wall) = name.parse() else { continue };
        let at = when::moment(wall, &zone);
        let free = post.belongs.detached_at.is_none() && post.scheduled_at.is_some_and(|t| t > now);
        if !free || post.scheduled_at == Some(at) {
            continue;
        }
        let to = Move {
            scheduled_at: when::iso(at),
            timezone: Some(s.timezone.clone()),
            version: Some(post.version),
            allow_collision: true,
            allow_duplicate: true,
        };
        let terms = Terms::of(app);
        let moved = app.db.write(move |tx| async move {
            schedule::move_in(&tx, &terms, &post.workspace_id, &post.id, to, now).await
        });
        match moved.await {
            Ok(()) => done.moved += 1,
            Err(e) if ours(&e) => return Err(e),
            Err(e) => unplanned.push(Unplanned::of(s, name, e)),
        }
    }
    Ok(())
}

impl Unplanned {
    fn of(s: &Series, occurrence: String, e: Refusal) -> Self {
        let Refusal { code, sentence, fix, .. } = e;
        Self { series_id: s.id.clone(), occurrence, code, sentence, fix }
    }
}

async fn tell(
    tx: &Tx,
    s: &Series,
    first: Option<Unplanned>,
    n: usize,
    now: i64,
) -> Result<(), Refusal> {
    let Some(first) = first else {
        alerts::clear(tx, AlertKind::SeriesUnplanned, &s.id, now).await?;
        return Ok(());
    };
    let more =
        if n > 1 { format!(" {} more could not be planned either.", n - 1) } else { String::new() };
    let at = first.occurrence.get(..16).unwrap_or(&first.occurrence).replace('T', " ");
    let sentence = format!(
        "A post of a series could not be planned for {at} ({}): {}{more}",
        s.timezone, first.sentence
    );
    let next = "Mend what is said here, change the series from then on, or skip that date; it is tried again every morning.";
    let problem = Problem::new("series", sentence, "edit_series", next);
    let (ws, kind) = (Some(s.workspace_id.as_str()), AlertKind::SeriesUnplanned);
    alerts::raise(tx, ws, kind, &s.id, &problem, now).await?;
    Ok(())
}
