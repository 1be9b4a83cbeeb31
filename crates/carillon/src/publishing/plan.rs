//! What a draft comes to: targets found, times resolved, every delivery measured against its
//! network's SPEC, all problems collected. Writes nothing.

use std::collections::HashMap;

use carillon_networks::spec::{Placement, Spec};
use serde::Serialize;
use utoipa::ToSchema;

use super::draft::{Draft, DraftDelivery};
use super::guard::Warning;
use super::measure::{Rules, measure};
use super::options::Answers;
use super::schedule::Terms;
use super::segments::{self, Segment};
use super::view::{self, Names};
use crate::app::{self, Networks};
use crate::db::Tx;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::ids;
use crate::store::accounts;
use crate::store::connections::Connection;
use crate::store::media::{self, Media, MediaState};
use crate::store::posts::Post;

/// Most deliveries of one post, most characters that are looked at at all.
const MOST_DELIVERIES: usize = 100;
const MOST_TEXT: usize = 200_000;

/// What each network says of a draft, before anything is saved.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    pub deliveries: Vec<CheckedDelivery>,
    /// Everything that blocks scheduling.
    pub problems: Vec<Wrong>,
    /// What scheduling asks about, or what will keep it waiting.
    pub warnings: Vec<Warning>,
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

/// What a draft comes to: times resolved, networks asked, every problem found.
pub(super) struct Plan {
    pub at: Option<i64>,
    pub timezone: String,
    pub deliveries: Vec<Planned>,
    pub wrong: Vec<Wrong>,
}

pub(super) struct Planned {
    pub position: usize,
    pub connection: Connection,
    pub spec: &'static Spec,
    pub placement: &'static Placement,
    pub text: Option<String>,
    pub options: Answers,
    pub at: Option<i64>,
    pub content_hash: String,
    pub count: usize,
    pub max: usize,
    /// What is to follow it.
    pub segments: Vec<Segment>,
}

impl Plan {
    /// The plan if it may be written. A draft is saved with its faults, as long as what it names
    /// exists.
    pub(super) fn accepted(self, draft: bool) -> Result<Self, Refusal> {
        const STRUCTURAL: [&str; 9] = [
            "unknown_connection",
            "unknown_placement",
            "unknown_media",
            "unknown_zone",
            "invalid_time",
            "too_many",
            // A draft has no other place to keep these.
            "thread_unsupported",
            "thread_media_unsupported",
            "comment_unsupported",
        ];
        let blocking: Vec<Wrong> = self
            .wrong
            .iter()
            .filter(|w| !draft || STRUCTURAL.contains(&w.code.as_str()))
            .cloned()
            .collect();
        if blocking.is_empty() { Ok(self) } else { Err(Refusal::invalid(blocking)) }
    }

    pub(super) fn by_lane(&self) -> Vec<&Planned> {
        let mut all: Vec<&Planned> = self.deliveries.iter().collect();
        all.sort_by(|a, b| a.connection.id.cmp(&b.connection.id));
        all
    }
}

impl Planned {
    pub(super) fn checked(&self, wrong: &[Wrong]) -> CheckedDelivery {
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

/// `old` is the post being edited: a time that it already has may lie in the past. A campaign's
/// posts have media unless the workspace says otherwise.
pub(super) async fn plan_for(
    tx: &Tx,
    workspace: &str,
    draft: &Draft,
    now: i64,
    rules: Rules,
    old: Option<&Post>,
    campaign: bool,
) -> Result<Plan, Refusal> {
    let mut wrong = Vec::new();
    let rules = rules.with(&accounts::policies(tx, workspace).await?, campaign);
    let known = accounts::workspace(tx, workspace).await?;
    let timezone = draft
        .timezone
        .clone()
        .or_else(|| known.map(|w| w.timezone))
        .unwrap_or_else(|| "UTC".to_owned());
    let at = time("scheduledAt", draft.scheduled_at.as_deref(), &timezone, now, old, &mut wrong);
    let at = at.or((!draft.draft && draft.scheduled_at.is_none()).then_some(now));
    if draft.text.len() > MOST_TEXT
        || draft.thread.iter().any(|part| part.text.len() > MOST_TEXT)
        || draft.deliveries.iter().any(|d| {
            let texts = [&d.text, &d.first_comment].into_iter().flatten();
            let texts = texts.chain(d.options.iter().flat_map(Answers::values));
            let parts = d.parts(&[]).iter().map(|part| &part.text);
            texts.chain(parts).any(|t| t.len() > MOST_TEXT)
        })
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
    segments::measure_threads(draft, &mut wrong);
    if draft.deliveries.is_empty() && !draft.draft {
        wrong.push(Wrong::new("deliveries", "no_deliveries", "Choose at least one connection."));
    }
    let asked: Vec<&str> = draft.deliveries.iter().map(|d| d.connection_id.as_str()).collect();
    let connections = view::names_of(tx, workspace, &asked).await?;
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
        planned.segments = segments::plan(&planned, draft, d, &mut wrong);
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

pub(super) fn wrong_time(field: &str, e: &when::Refused) -> Wrong {
    let (field, code) = match e {
        when::Refused::Zone(_) => ("timezone", "unknown_zone"),
        when::Refused::Time(_) => (field, "invalid_time"),
        when::Refused::Past { .. } => (field, "in_the_past"),
    };
    Wrong::new(field, code, format!("{e}."))
}

/// What stands against sending a draft, in the caller's transaction; saves nothing.
pub(crate) async fn faults(
    tx: &Tx,
    terms: &Terms,
    workspace: &str,
    draft: &Draft,
    now: i64,
) -> Result<Vec<Wrong>, Refusal> {
    let whole = Draft { draft: false, ..draft.clone() };
    Ok(plan_for(tx, workspace, &whole, now, terms.rules(), None, false).await?.wrong)
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
    let Some(placement) = spec.placement(wanted).filter(|p| p.stands_alone()) else {
        let alone = spec.placements.iter().filter(|p| p.stands_alone());
        let known: Vec<&str> = alone.map(|p| p.id).collect();
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
        options: d.options.clone().unwrap_or_default(),
        at: None,
        content_hash: String::new(),
        count: 0,
        max: 0,
        segments: Vec::new(),
    })
}
