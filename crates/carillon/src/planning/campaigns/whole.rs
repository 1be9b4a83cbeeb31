//! What is done to a campaign as one: schedule, pause, shift, cancel, bring back, duplicate. Each in
//! one transaction; where one post refuses, nothing is changed and every refusal is named.

use jiff::ToSpan;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::seen::{find, form, seen};
use super::{CampaignView, Form, say};
use crate::App;
use crate::db::Tx;
use crate::domain::campaign::{CampaignKind, CampaignState as State, SeriesState};
use crate::domain::delivery::DeliveryState;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::planning::cadence::later;
use crate::planning::materialise;
use crate::planning::series::{gathered, ours, wall};
use crate::publishing::holding;
use crate::publishing::schedule::{self as posting, Change, Move, Terms};
use crate::publishing::view::known_id;
use crate::store::audit;
use crate::store::campaigns::{self, Campaign};
use crate::store::deliveries::{self, Delivery};
use crate::store::posts::Post;
use crate::store::series::{self, Series};

/// A campaign after something was done to all of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CampaignWhole)]
#[serde(rename_all = "camelCase")]
pub struct Whole {
    pub campaign: CampaignView,
    /// Posts that it was done to.
    pub posts: usize,
    /// Deliveries that are held until the campaign is resumed.
    pub held: usize,
    /// Deliveries that wait for their time again.
    pub queued: usize,
    /// Deliveries in a worker's hands: they may go out yet.
    pub under_way: usize,
    /// Deliveries whose time passed meanwhile: a person decides about them.
    pub late: usize,
}

/// By how many days a campaign moves.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = CampaignShift)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Shift {
    /// Later, or earlier where it is below 0.
    #[schema(example = 7)]
    pub days: Option<i64>,
    /// Instead: the new day of its event.
    #[schema(example = "2026-12-31")]
    pub event: Option<String>,
    pub allow_collision: bool,
    pub allow_duplicate: bool,
}

/// What was counted on the way.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    posts: usize,
    held: usize,
    queued: usize,
    under_way: usize,
    late: usize,
}

/// What can be done to a campaign as one.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Schedules all its drafts that have a time; of [`Shift`] what is allowed counts.
    Schedule(Shift),
    /// Nothing of it goes out until it is resumed; says what is held.
    Pause,
    /// What was held waits for its time again; what is late meanwhile is asked about, not sent.
    Resume,
    /// Moves all that is to come by so many days of the wall clock, and its event with it.
    Shift(Shift),
    /// Cancels all that has not gone out.
    Cancel,
    /// Brings back what the latest cancel cancelled, but for what is late meanwhile.
    Reopen,
}

/// Does it, in one transaction with its trail.
pub async fn whole(
    app: &App,
    workspace: &str,
    id: &str,
    deed: Deed,
    actor: &str,
) -> Result<Whole, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "campaign")?, app.clock.now());
    let (actor, terms, goes_on) = (actor.to_owned(), Terms::of(app), deed.goes_on());
    let done = app
        .db
        .write(move |tx| async move {
            let found = campaigns::lock(&tx, &ws, &id).await?;
            let c = found.ok_or_else(|| Refusal::not_found("campaign"))?;
            let (c, done) = match &deed {
                Deed::Schedule(allow) => schedule_in(&tx, &terms, allow, c, &actor, now).await?,
                Deed::Pause => pause_in(&tx, c, now).await?,
                Deed::Resume => resume_in(&tx, c, now).await?,
                Deed::Shift(by) => shift_in(&tx, &terms, by, c, now).await?,
                Deed::Cancel => cancel_in(&tx, c, now).await?,
                Deed::Reopen => reopen_in(&tx, c, now).await?,
            };
            campaigns::save(&tx, &c, now).await?;
            let data = json!({ "posts": done.posts, "held": done.held, "late": done.late });
            audit::add(&tx, Some(&ws), &actor, deed.action(), &id, &data, now).await?;
            say(&tx, &c, "campaign.changed", now).await?;
            let Counts { posts, held, queued, under_way, late } = done;
            let campaign = seen(&tx, &c, now).await?;
            Ok::<_, Refusal>(Whole { campaign, posts, held, queued, under_way, late })
        })
        .await?;
    app.ring();
    if goes_on {
        for s in &done.campaign.series {
            materialise::one(app, s).await?;
        }
    }
    Ok(done)
}

impl Deed {
    fn action(&self) -> &'static str {
        match self {
            Deed::Schedule(_) => "campaign.scheduled",
            Deed::Pause => "campaign.paused",
            Deed::Resume => "campaign.resumed",
            Deed::Shift(_) => "campaign.shifted",
            Deed::Cancel => "campaign.cancelled",
            Deed::Reopen => "campaign.reopened",
        }
    }

    /// May its series want posts again?
    fn goes_on(&self) -> bool {
        matches!(self, Deed::Resume | Deed::Reopen)
    }
}

type Changed = Result<(Campaign, Counts), Refusal>;

/// Schedules all its drafts that have a time.
async fn schedule_in(
    tx: &Tx,
    terms: &Terms,
    allow: &Shift,
    mut c: Campaign,
    by: &str,
    now: i64,
) -> Changed {
    standing(&c)?;
    let mut done = Counts::default();
    let mut refused = Vec::new();
    let drafts = campaigns::posts(tx, &c.id).await?;
    for post in drafts.iter().filter(|p| p.committed_at.is_none() && p.scheduled_at.is_some()) {
        let change = Change {
            version: post.version,
            draft: Some(false),
            by: Some(by.to_owned()),
            allow_collision: allow.allow_collision,
            allow_duplicate: allow.allow_duplicate,
            ..Change::default()
        };
        done.posts += 1;
        let edited = posting::edit_in(tx, terms, &c.workspace_id, &post.id, change, now).await;
        note(&mut refused, post, edited.map(drop))?;
    }
    gathered(refused)?;
    if c.state == State::Draft {
        c.state = State::Scheduled;
    }
    Ok((c, done))
}

/// Nothing of it goes out until it is resumed; says what is held.
async fn pause_in(tx: &Tx, mut c: Campaign, now: i64) -> Changed {
    standing(&c)?;
    let mut done = Counts::default();
    for post in campaigns::posts(tx, &c.id).await? {
        let all = deliveries::of_post(tx, &post.id).await?;
        if all.iter().any(to_come) {
            let held = holding::hold(tx, &post, now).await?;
            done.posts += 1;
            done.held += held.held;
            done.under_way += held.under_way;
        }
    }
    set_series(tx, &c, SeriesState::Active, SeriesState::Paused, now).await?;
    c.state = State::Paused;
    Ok((c, done))
}

/// What was held waits for its time again; what is late meanwhile is asked about, not sent.
async fn resume_in(tx: &Tx, mut c: Campaign, now: i64) -> Changed {
    if c.state != State::Paused {
        let sentence = "The campaign is not paused.";
        return Err(Refusal::conflict("not_paused", sentence, "There is nothing to resume."));
    }
    let mut done = Counts::default();
    let mut committed = false;
    for post in campaigns::posts(tx, &c.id).await? {
        committed |= post.committed_at.is_some();
        if post.paused_at.is_none() {
            continue;
        }
        let gone = holding::let_go(tx, &post, now).await?;
        done.posts += 1;
        done.queued += gone.queued;
        done.late += gone.late;
    }
    set_series(tx, &c, SeriesState::Paused, SeriesState::Active, now).await?;
    c.state = if committed { State::Scheduled } else { State::Draft };
    Ok((c, done))
}

/// Moves all that is to come by so many days of the wall clock, and its event with it.
async fn shift_in(tx: &Tx, terms: &Terms, by: &Shift, mut c: Campaign, now: i64) -> Changed {
    standing(&c)?;
    let mut form = form(&c)?;
    let days = by.days(&form)?;
    if !series::of_campaign(tx, &c.id).await?.is_empty() {
        let sentence = "A cadence without end has no dates to shift.";
        let fix = "Change its series from an instance on instead.";
        return Err(Refusal::conflict("has_series", sentence, fix));
    }
    let mut open = Vec::new();
    for post in campaigns::posts(tx, &c.id).await? {
        let all = deliveries::of_post(tx, &post.id).await?;
        let fixed = all.iter().any(|d| !d.open());
        let over = !all.is_empty() && all.iter().all(|d| d.state == DeliveryState::Cancelled);
        if !fixed && !over && post.scheduled_at.is_some() {
            open.push(post);
        }
    }
    // Each into the room that the one before it has left.
    open.sort_by_key(|p| p.scheduled_at.map(|at| if days > 0 { -at } else { at }));
    let mut refused = Vec::new();
    for post in &open {
        let at = shifted(post, days)?;
        let to = Move {
            scheduled_at: when::iso(at),
            timezone: None,
            version: Some(post.version),
            allow_collision: by.allow_collision,
            allow_duplicate: by.allow_duplicate,
        };
        let moved = posting::move_in(tx, terms, &c.workspace_id, &post.id, to, now).await;
        note(&mut refused, post, moved)?;
    }
    refused.reverse();
    gathered(refused)?;
    form.dates = form.dates.shifted(days);
    form.texts = form.texts.into_iter().map(|(slot, t)| (later(&slot, days), t)).collect();
    c.form = serde_json::to_value(&form).unwrap_or_default();
    Ok((c, Counts { posts: open.len(), ..Counts::default() }))
}

/// Cancels all that has not gone out. [`reopen_in`] takes it back.
async fn cancel_in(tx: &Tx, mut c: Campaign, now: i64) -> Changed {
    if c.state == State::Cancelled {
        return Err(cancelled());
    }
    let mut done = Counts::default();
    let mut over = Vec::new();
    for post in campaigns::posts(tx, &c.id).await? {
        let all = deliveries::of_post(tx, &post.id).await?;
        let open: Vec<&Delivery> = all
            .iter()
            .filter(|d| d.uncancellable().is_none() && d.state != DeliveryState::Cancelled)
            .collect();
        done.under_way += all.iter().filter(|d| d.under_way()).count();
        if open.is_empty() {
            continue;
        }
        over.extend(open.into_iter().map(|d| d.id.clone()));
        posting::cancel_in(tx, &post, now).await?;
        done.posts += 1;
    }
    for s in series::of_campaign(tx, &c.id).await? {
        if s.state != SeriesState::Ended {
            over.push(s.id.clone());
            series::save(tx, &Series { state: SeriesState::Ended, ..s }, now).await?;
        }
    }
    c.cancelled = over;
    c.state = State::Cancelled;
    Ok((c, done))
}

/// Brings back what [`cancel_in`] cancelled, but for what is late meanwhile.
async fn reopen_in(tx: &Tx, mut c: Campaign, now: i64) -> Changed {
    if c.state != State::Cancelled {
        let sentence = "The campaign is not cancelled.";
        return Err(Refusal::conflict(
            "not_cancelled",
            sentence,
            "There is nothing to bring back.",
        ));
    }
    let mut done = Counts::default();
    let (mut committed, mut paused) = (false, false);
    for post in campaigns::posts(tx, &c.id).await? {
        let wanted: Vec<Delivery> = deliveries::of_post(tx, &post.id)
            .await?
            .into_iter()
            .filter(|d| c.cancelled.contains(&d.id))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let back = posting::reopen_in(tx, &post, wanted, now).await?;
        done.posts += 1;
        done.queued += back.queued;
        done.late += back.late;
        committed |= post.committed_at.is_some();
        paused |= post.paused_at.is_some();
    }
    for s in series::of_campaign(tx, &c.id).await? {
        if c.cancelled.contains(&s.id) {
            let state = if paused { SeriesState::Paused } else { SeriesState::Active };
            series::save(tx, &Series { state, ..s }, now).await?;
        }
    }
    c.cancelled.clear();
    c.state = match (paused, committed) {
        (true, _) => State::Paused,
        (false, true) => State::Scheduled,
        (false, false) => State::Draft,
    };
    Ok((c, done))
}

/// The same campaign again as drafts, its first day on this one.
pub async fn duplicate(
    app: &App,
    workspace: &str,
    id: &str,
    from: &str,
    actor: &str,
) -> Result<CampaignView, Refusal> {
    let (ws, id) = (workspace.to_owned(), known_id(id, "campaign")?);
    let found = app.db.read(move |tx| async move { find(&tx, &ws, &id).await }).await?;
    let mut form = form(&found)?;
    let wrong =
        |message: String| Refusal::invalid(vec![Wrong::new("from", "invalid_time", message)]);
    let day = |text: &str| {
        let day = text.split('T').next().unwrap_or(text);
        let message = format!("`{text}` is no day: write it as 2026-12-24.");
        day.parse::<jiff::civil::Date>().map_err(|_| wrong(message))
    };
    let anchor = form.dates.event.clone().or_else(|| form.dates.from.clone());
    let created = when::local(found.created_at, &found.timezone);
    let anchor = anchor.unwrap_or_else(|| created.get(..10).unwrap_or_default().to_owned());
    let days = day(&anchor)?.duration_until(day(from)?).as_hours() / 24;
    form.dates = form.dates.shifted(days);
    if form.kind == CampaignKind::Weekly && form.dates.from.is_none() {
        form.dates.from = Some(from.to_owned());
    }
    form.texts = form.texts.into_iter().map(|(slot, t)| (later(&slot, days), t)).collect();
    form.name = format!("{} (copy)", found.name);
    form.post.draft = true;
    super::create(app, workspace, form, actor).await
}

impl Shift {
    fn days(&self, form: &Form) -> Result<i64, Refusal> {
        let wrong = |field, code, message: String| {
            Err(Refusal::invalid(vec![Wrong::new(field, code, message)]))
        };
        let days = match (self.days, &self.event, &form.dates.event) {
            (Some(days), None, _) => days,
            (None, Some(to), Some(event)) => {
                let utc = jiff::tz::TimeZone::UTC;
                let day = |text: &str| {
                    let midnight = jiff::civil::DateTime::default();
                    wall(text, &utc, Some(midnight)).map(|wall| wall.date())
                };
                match (day(event), day(to)) {
                    (Ok(event), Ok(to)) => event.duration_until(to).as_hours() / 24,
                    (_, Err(e)) | (Err(e), _) => {
                        return wrong("event", "invalid_time", format!("{e}."));
                    }
                }
            }
            (None, Some(_), None) => {
                let message = "This campaign has no event: say by how many days it moves.";
                return wrong("event", "no_event", message.to_owned());
            }
            _ => {
                let message = "Say by how many days it moves, or the new day of its event.";
                return wrong("days", "days_needed", message.to_owned());
            }
        };
        if days == 0 || days.abs() > 3_650 {
            let message = format!("It cannot move by {days} days: choose 1 to 3650, or below 0.");
            return wrong("days", "out_of_range", message);
        }
        Ok(days)
    }
}

/// A cancelled campaign is brought back first.
fn standing(c: &Campaign) -> Result<(), Refusal> {
    if c.state == State::Cancelled { Err(cancelled()) } else { Ok(()) }
}

fn cancelled() -> Refusal {
    let sentence = "The campaign is cancelled.";
    Refusal::conflict("cancelled", sentence, "Bring it back first, or duplicate it.")
}

/// Is it not decided yet whether it is live?
fn to_come(d: &Delivery) -> bool {
    d.state.active() || matches!(d.state, DeliveryState::Draft | DeliveryState::Held)
}

async fn set_series(
    tx: &Tx,
    c: &Campaign,
    from: SeriesState,
    to: SeriesState,
    now: i64,
) -> Result<(), Refusal> {
    for s in series::of_campaign(tx, &c.id).await? {
        if s.state == from {
            series::save(tx, &Series { state: to, ..s }, now).await?;
        }
    }
    Ok(())
}

/// A post's time so many days later by its wall clock.
fn shifted(post: &Post, days: i64) -> Result<i64, Refusal> {
    let zone = when::zone(&post.timezone).map_err(|e| {
        Refusal::invalid(vec![Wrong::new("timezone", "unknown_zone", format!("{e}."))])
    })?;
    let at = post.scheduled_at.unwrap_or_default();
    let wall = when::wall(at, &zone).saturating_add(days.days());
    Ok(when::moment(wall, &zone))
}

/// A refusal of one post, kept with which it is of.
fn note(
    refused: &mut Vec<(String, Refusal)>,
    post: &Post,
    done: Result<(), Refusal>,
) -> Result<(), Refusal> {
    match done {
        Ok(()) => Ok(()),
        Err(e) if ours(&e) => Err(e),
        Err(e) => {
            refused.push((format!("posts[{}]", post.id), e));
            Ok(())
        }
    }
}
