//! Campaigns: a form becomes slots (cadence.rs), and the slots posts, all in one transaction.

mod seen;
mod whole;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

pub use self::seen::{CampaignView, Progress, list, posts, show};
pub use self::whole::{Deed, Shift, Whole, duplicate, whole};

use self::seen::seen;

use super::cadence::{self, Dates, Slot};
use super::rehearse::rehearse;
use super::series::{self as planned, NewSeries, gathered, ours};
use crate::App;
use crate::db::Tx;
use crate::domain::campaign::{CampaignKind, CampaignState};
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::when;
use crate::ids;
use crate::publishing::schedule::{self as posting, Draft, Terms};
use crate::store::campaigns::{self, Campaign};
use crate::store::posts::Belongs;
use crate::store::{accounts, audit, events, series};

/// A campaign as it is asked for.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[schema(as = CampaignForm)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Form {
    pub kind: CampaignKind,
    #[serde(default)]
    #[schema(example = "Christmas concert")]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub objective: String,
    /// What it is to reach, each in a few words.
    #[serde(default)]
    #[schema(example = json!(["80 tickets sold"]))]
    pub goals: Vec<String>,
    #[serde(default)]
    pub budget: Option<Budget>,
    /// IANA name; without it the workspace's.
    #[serde(default)]
    pub timezone: Option<String>,
    #[serde(default)]
    pub dates: Dates,
    /// What its posts say and where they go. Their times are the campaign's; with `draft` they are
    /// saved as drafts.
    pub post: Draft,
    /// Texts of single posts, by their slots (`2026-12-17T07:00:00`).
    #[serde(default)]
    pub texts: BTreeMap<String, String>,
}

/// What a campaign may cost.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(as = CampaignBudget)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Digits, with a point before the minor units.
    #[schema(example = "250.00")]
    pub amount: String,
    /// ISO 4217.
    #[schema(example = "GBP")]
    pub currency: String,
}

/// What a form comes to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CampaignPreview)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub timezone: String,
    pub slots: Vec<SlotView>,
    /// How many posts it would make now.
    pub posts: usize,
    /// Of a cadence without end: what it repeats by.
    pub repeats: Option<Repeats>,
    /// What is wrong with all of it.
    pub problems: Vec<Wrong>,
}

/// The series of a campaign.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CampaignRepeats)]
#[serde(rename_all = "camelCase")]
pub struct Repeats {
    /// In one plain sentence.
    #[schema(example = "Every Tuesday and Friday at 07:00 (Europe/London)")]
    pub words: String,
    #[schema(example = "FREQ=WEEKLY;BYDAY=TU,FR")]
    pub rule: String,
    /// The wall-clock time of the first one.
    #[schema(example = "2026-11-24T07:00:00")]
    pub start: String,
}

/// One time of a campaign, in order.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CampaignSlot)]
#[serde(rename_all = "camelCase")]
pub struct SlotView {
    /// Its name: the wall-clock time in the campaign's zone.
    #[schema(example = "2026-12-17T07:00:00")]
    pub slot: String,
    /// ISO 8601 UTC.
    pub at: String,
    #[schema(example = "D-7")]
    pub label: String,
    /// Added by hand.
    pub added: bool,
    /// Struck out by hand: no post.
    pub struck: bool,
    /// It has passed: no post.
    pub past: bool,
    /// What stands against this one alone: a clash with another post, a text that is too long.
    pub problems: Vec<Wrong>,
}

/// What a form comes to, judged by making it in a transaction that is taken back.
pub async fn preview(app: &App, workspace: &str, form: Form) -> Result<Preview, Refusal> {
    let (ws, terms, now) = (workspace.to_owned(), Terms::of(app), app.clock.now());
    rehearse(&app.db, move |tx| async move {
        Ok(make(&tx, &terms, &ws, &form, true, now).await?.shown())
    })
    .await
}

/// Writes a campaign and all its posts in one transaction, or says everything that is wrong. Slots
/// that have passed are left out.
pub async fn create(
    app: &App,
    workspace: &str,
    form: Form,
    actor: &str,
) -> Result<CampaignView, Refusal> {
    let (ws, terms, now) = (workspace.to_owned(), Terms::of(app), app.clock.now());
    let actor = actor.to_owned();
    let form = Form { post: Draft { by: Some(actor.clone()), ..form.post }, ..form };
    let made = app
        .db
        .write(move |tx| async move {
            let made = make(&tx, &terms, &ws, &form, false, now).await?;
            let c = made.accepted()?;
            let data = json!({ "kind": c.kind, "name": c.name });
            audit::add(&tx, Some(&ws), &actor, "campaign.created", &c.id, &data, now).await?;
            say(&tx, &c, "campaign.created", now).await?;
            seen(&tx, &c, now).await
        })
        .await?;
    app.ring();
    Ok(made)
}

/// A campaign that was written, or tried.
struct Made {
    campaign: Campaign,
    slots: Vec<SlotView>,
    /// Of the form itself.
    wrong: Vec<Wrong>,
    /// Of its posts, by their slots.
    refused: Vec<(usize, Refusal)>,
    repeats: Option<Repeats>,
}

/// With `whole` its posts are tried as they would have to go out, even where drafts are asked for.
async fn make(
    tx: &Tx,
    terms: &Terms,
    workspace: &str,
    form: &Form,
    whole: bool,
    now: i64,
) -> Result<Made, Refusal> {
    let known = accounts::workspace(tx, workspace).await?;
    let timezone = form.timezone.clone().or_else(|| known.map(|w| w.timezone));
    let timezone = timezone.unwrap_or_else(|| "UTC".to_owned());
    let zone = when::zone(&timezone).map_err(|e| {
        Refusal::invalid(vec![Wrong::new("timezone", "unknown_zone", format!("{e}."))])
    })?;
    let mut wrong = form.wrong();
    let found = cadence::slots(form.kind, &form.dates, &zone, now);
    let slots = found.unwrap_or_else(|e| {
        wrong.extend(e);
        Vec::new()
    });
    let mut post = Draft { draft: form.post.draft && !whole, ..form.post.clone() };
    for d in &mut post.deliveries {
        d.scheduled_at = None;
    }
    let state = if post.draft { CampaignState::Draft } else { CampaignState::Scheduled };
    let campaign = Campaign {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        kind: form.kind,
        name: form.name.trim().to_owned(),
        form: serde_json::to_value(form).unwrap_or_default(),
        timezone,
        state,
        cancelled: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    campaigns::add(tx, &campaign).await?;
    let views: Vec<SlotView> = slots
        .iter()
        .map(|s| {
            let at = if form.kind == CampaignKind::Instant && !s.added {
                now
            } else {
                when::moment(s.wall, &zone)
            };
            SlotView {
                slot: series::name(s.wall),
                at: when::iso(at),
                label: s.label.clone(),
                added: s.added,
                struck: s.struck,
                past: at < now - 60_000,
                problems: Vec::new(),
            }
        })
        .collect();
    let mut made = Made { campaign, slots: views, wrong, refused: Vec::new(), repeats: None };
    if cadence::endless(form.kind, &form.dates) {
        made.go_on(tx, terms, &slots, form, post, now).await?;
        return Ok(made);
    }
    for (i, slot) in made.slots.iter().enumerate().filter(|(_, s)| s.open()) {
        let draft = Draft {
            text: form.texts.get(&slot.slot).unwrap_or(&post.text).clone(),
            scheduled_at: Some(slot.at.clone()),
            timezone: Some(made.campaign.timezone.clone()),
            ..post.clone()
        };
        let belongs = Belongs {
            campaign_id: Some(made.campaign.id.clone()),
            slot: Some(slot.label.clone()),
            ..Belongs::default()
        };
        match posting::create_in(tx, terms, workspace, &draft, belongs.clone(), now).await {
            Ok(_) => {}
            Err(e) if ours(&e) => return Err(e),
            Err(e) => {
                // Nothing of this will be committed; those behind it are to find it in their way.
                if e.kind == Kind::Conflict {
                    let any = Draft { allow_collision: true, allow_duplicate: true, ..draft };
                    posting::create_in(tx, terms, workspace, &any, belongs, now).await?;
                }
                made.refused.push((i, e));
            }
        }
    }
    Ok(made)
}

impl Form {
    fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        if self.name.trim().is_empty() {
            wrong.push(Wrong::new("name", "name_needed", "Give the campaign a name."));
        }
        let long = [&self.name, &self.objective].into_iter().chain(&self.goals);
        if self.goals.len() > 20 || long.into_iter().any(|text| text.chars().count() > 500) {
            let message =
                "A name, an objective and each of up to 20 goals have at most 500 characters.";
            wrong.push(Wrong::new("goals", "too_long", message));
        }
        if let Some(b) = &self.budget {
            let (whole, rest) = b.amount.split_once('.').unwrap_or((b.amount.as_str(), "0"));
            let digits = |t: &str| !t.is_empty() && t.bytes().all(|c| c.is_ascii_digit());
            if !digits(whole) || !digits(rest) || whole.len() > 12 || rest.len() > 3 {
                let message = format!("`{}` is no amount: write it as 250.00.", b.amount);
                wrong.push(Wrong::new("budget.amount", "invalid_amount", message));
            }
            if b.currency.len() != 3 || !b.currency.bytes().all(|c| c.is_ascii_uppercase()) {
                let message = format!("`{}` is no currency: write it as GBP.", b.currency);
                wrong.push(Wrong::new("budget.currency", "invalid_currency", message));
            }
        }
        wrong
    }
}

impl Made {
    /// A cadence without end is a series of the campaign.
    async fn go_on(
        &mut self,
        tx: &Tx,
        terms: &Terms,
        slots: &[Slot],
        form: &Form,
        post: Draft,
        now: i64,
    ) -> Result<(), Refusal> {
        let regular: Vec<Slot> = slots.iter().filter(|s| !s.added).cloned().collect();
        let Some(first) = regular.first() else { return Ok(()) };
        let timezone = Some(self.campaign.timezone.clone());
        let new = NewSeries {
            post: Draft { scheduled_at: Some(series::name(first.wall)), timezone, ..post },
            rule: cadence::rule(&regular),
            // A day struck out further ahead counts as well.
            without: form.dates.without.clone(),
            also: slots.iter().filter(|s| s.added).map(|s| series::name(s.wall)).collect(),
        };
        let id = self.campaign.id.clone();
        let s = planned::judged(tx, &self.campaign.workspace_id, new, Some(&id), now).await?;
        self.repeats = Some(Repeats {
            words: planned::recurrence(&s)?.words(&s.timezone),
            rule: s.rule.clone(),
            start: series::name(s.start),
        });
        match planned::begin(tx, terms, &s, now).await {
            Ok(()) => Ok(()),
            Err(e) if ours(&e) => Err(e),
            Err(e) => {
                self.lay(e);
                Ok(())
            }
        }
    }

    /// Problems of a series' instances, laid to their slots.
    fn lay(&mut self, e: Refusal) {
        let slots = &self.slots;
        let of = |field: &str| {
            slots.iter().position(|s| field.starts_with(&format!("occurrences[{}]", s.slot)))
        };
        let mut by_slot: BTreeMap<usize, Vec<Wrong>> = BTreeMap::new();
        for p in &e.problems {
            let rest = p.field.split_once("].").map_or("", |(_, rest)| rest).to_owned();
            match of(&p.field) {
                Some(i) => by_slot.entry(i).or_default().push(Wrong { field: rest, ..p.clone() }),
                None => self.wrong.push(p.clone()),
            }
        }
        let each = by_slot.into_iter().map(|(i, problems)| (i, Refusal { problems, ..e.clone() }));
        self.refused.extend(each);
    }

    /// What all its posts have in common is said once.
    fn shown(mut self) -> Preview {
        let open = self.slots.iter().filter(|s| s.open()).count();
        let mut problems = std::mem::take(&mut self.wrong);
        for (i, e) in self.refused.iter() {
            let own = if e.problems.is_empty() {
                vec![Wrong::new("post", &e.code, &e.sentence)]
            } else {
                e.problems.clone()
            };
            self.slots[*i].problems = own;
        }
        let all: Vec<Wrong> = self.slots.iter().flat_map(|s| s.problems.clone()).collect();
        for p in &all {
            let times = all.iter().filter(|other| *other == p).count();
            if times == open && open > 1 || open == 1 && p.code != "collision" {
                let field = format!("post.{}", p.field);
                let p = Wrong { field, ..p.clone() };
                if !problems.contains(&p) {
                    problems.push(p);
                }
            }
        }
        for slot in &mut self.slots {
            slot.problems.retain(|p| {
                !problems
                    .iter()
                    .any(|c| c.field == format!("post.{}", p.field) && c.message == p.message)
            });
        }
        if open == 0 && problems.is_empty() {
            let message = "No day is left: add one, or choose later dates.";
            problems.push(Wrong::new("dates", "no_slot", message));
        }
        let Self { campaign, slots, repeats, .. } = self;
        Preview { timezone: campaign.timezone, slots, posts: open, repeats, problems }
    }

    fn accepted(mut self) -> Result<Campaign, Refusal> {
        let late = self.slots.iter().enumerate().filter(|(_, s)| s.added && s.past && !s.struck);
        let late = late.map(|(i, s)| {
            let message = format!("{} has passed: strike it out.", s.slot.replace('T', " "));
            Wrong::new(format!("slots[{i}]"), "in_the_past", message)
        });
        self.wrong.extend(late);
        if self.wrong.is_empty() && !self.slots.iter().any(SlotView::open) {
            let message = "No day is left: add one, or choose later dates.";
            self.wrong.push(Wrong::new("dates", "no_slot", message));
        }
        let of = |(i, e): &(usize, Refusal)| (format!("slots[{i}]"), e.clone());
        let own = self.wrong.iter();
        let own = own.map(|p| (String::new(), Refusal::invalid(vec![p.clone()])));
        gathered(own.chain(self.refused.iter().map(of)).collect())?;
        Ok(self.campaign)
    }
}

impl SlotView {
    /// Does it get a post?
    fn open(&self) -> bool {
        !self.struck && !self.past
    }
}

async fn say(tx: &Tx, c: &Campaign, what: &str, now: i64) -> Result<(), Refusal> {
    let data = json!({ "campaignId": c.id });
    Ok(events::add(tx, &c.workspace_id, what, &c.id, &data, now).await?)
}
