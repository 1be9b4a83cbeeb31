//! The desk's pile: every delivery that waits for a person, and many of them replayed at once.
//!
//! A replay offers only what cannot post twice (desk.rs says which), spaces the deliveries of one
//! connection so that nothing bursts, and goes in batches: what is done stays done when it is
//! stopped half way.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::desk::{self, Replay};
use super::lineup::{note, reopen};
use super::schedule;
use super::view::{self, DeliveryView};
use crate::App;
use crate::approval;
use crate::db::Tx;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when::iso;
use crate::ids;
use crate::store::dead_letters::{self, Filter};
use crate::store::deliveries::{self, Delivery};
use crate::store::{audit, connections, lanes};

/// Deliveries of one transaction.
const BATCH: usize = 500;
/// Characters of a post's text that a list shows.
const EXCERPT: usize = 280;
/// Between two replayed deliveries of one connection, in s.
const SPACING: i64 = 30;

/// A delivery that waits for a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// What it says, at most 280 characters.
    pub post_text: String,
    pub post_title: Option<String>,
    /// The class of its problem: `auth`, `content`, `rate_limit`, `quota`, `transient`,
    /// `duplicate`, `policy`, `unknown`, `late`, `media`, `config`, or `other`.
    pub cause: String,
    /// When it became one.
    pub since: String,
    pub replay: Replay,
}

/// How many there are of one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cause {
    pub cause: String,
    pub count: i64,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadLetters {
    pub items: Vec<DeadLetter>,
    /// Goes into `cursor` to read on.
    pub next: Option<String>,
    /// All that the filter fits, over all pages.
    pub total: i64,
    /// Of every cause, whichever the filter names.
    pub causes: Vec<Cause>,
}

/// A page of dead letters before the cursor `(since, id)`, newest first.
pub async fn list(
    app: &App,
    workspace: &str,
    filter: Filter,
    cursor: Option<(i64, String)>,
    limit: usize,
) -> Result<DeadLetters, Refusal> {
    let ws = workspace.to_owned();
    app.db
        .read(move |tx| async move {
            let names = view::names(&tx, &ws).await?;
            let (at, id) = cursor.unwrap_or((i64::MAX, String::new()));
            let more = limit as i64 + 1;
            let mut found = dead_letters::before(&tx, &ws, &filter, (at, &id), more).await?;
            let next = (found.len() > limit).then(|| {
                found.truncate(limit);
                found.last().map(|l| format!("{}~{}", l.since, l.delivery.id))
            });
            let causes: Vec<Cause> = dead_letters::causes(&tx, &ws, &filter)
                .await?
                .into_iter()
                .map(|(cause, count)| Cause { cause, count })
                .collect();
            let asked = |c: &&Cause| filter.cause.as_ref().is_none_or(|wanted| c.cause == *wanted);
            let total = causes.iter().filter(asked).map(|c| c.count).sum();
            let items = found
                .into_iter()
                .map(|l| {
                    let connected = names.contains_key(&l.delivery.connection_id);
                    let text = l.delivery.text.as_deref().unwrap_or(&l.post_text);
                    DeadLetter {
                        post_text: excerpt(text),
                        post_title: l.post_title,
                        cause: l.cause,
                        since: iso(l.since),
                        replay: desk::replay(&l.delivery, connected),
                        delivery: view::delivery_view(&l.delivery, &names, None),
                    }
                })
                .collect();
            Ok(DeadLetters { items, next: next.flatten(), total, causes })
        })
        .await
}

fn excerpt(text: &str) -> String {
    if text.chars().count() <= EXCERPT {
        return text.to_owned();
    }
    text.chars().take(EXCERPT - 1).chain(['…']).collect()
}

/// Which dead letters to send again.
#[derive(Debug, Clone)]
pub enum Which {
    Ids(Vec<String>),
    All(Filter),
}

/// How a replay goes.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Between two deliveries of one connection, in s; 30 when not given.
    pub spacing: Option<i64>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What a replay did, or would do.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    pub dry_run: bool,
    pub replayed: Vec<Target>,
    pub skipped: Vec<Skipped>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Target {
    pub id: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Skipped {
    pub id: String,
    /// `in_doubt`, `disconnected`, `not_retryable`, `not_approved`, `not_found`
    pub code: String,
    pub sentence: String,
}

/// Sends dead letters again; `progress` hears after each batch how many have been looked at.
pub async fn replay(
    app: &App,
    workspace: &str,
    which: Which,
    how: How,
    actor: &str,
    mut progress: impl FnMut(usize) + Send,
) -> Result<Replayed, Refusal> {
    let spacing = how.spacing.unwrap_or(SPACING);
    if !(0..=86_400).contains(&spacing) {
        let message = format!("`spacingSeconds` is {spacing}; it can be 0 to 86400.");
        return Err(Refusal::invalid(vec![Wrong::new("spacingSeconds", "invalid_field", message)]));
    }
    let mut batch = Batch {
        workspace: workspace.to_owned(),
        actor: actor.to_owned(),
        now: app.clock.now(),
        spacing: spacing * 1000,
        dry_run: how.dry_run,
        slots: HashMap::new(),
        done: Replayed { dry_run: how.dry_run, ..Replayed::default() },
    };
    match which {
        Which::Ids(ids) => {
            let mut seen = HashSet::new();
            let ids: Vec<String> = ids
                .into_iter()
                .map(|id| id.to_ascii_lowercase())
                .filter(|id| seen.insert(id.clone()))
                .collect();
            for some in ids.chunks(BATCH) {
                batch = batch.run(app, some.to_vec()).await?;
                progress(batch.looked_at());
            }
        }
        Which::All(filter) => {
            let mut seen = HashSet::new();
            let mut cursor = (-1, String::new());
            loop {
                let (ws, f, at) = (workspace.to_owned(), filter.clone(), cursor.clone());
                let some = app
                    .db
                    .read(move |tx| async move {
                        dead_letters::after(&tx, &ws, &f, (at.0, &at.1), BATCH as i64).await
                    })
                    .await?;
                let Some(last) = some.last().cloned() else { break };
                cursor = last;
                let whole = some.len() == BATCH;
                // What dies again while this runs is not of this replay.
                let new = some.into_iter().map(|(_, id)| id).filter(|id| seen.insert(id.clone()));
                batch = batch.run(app, new.collect()).await?;
                progress(batch.looked_at());
                if !whole {
                    break;
                }
            }
        }
    }
    Ok(batch.done)
}

/// A replay under way.
struct Batch {
    workspace: String,
    actor: String,
    now: i64,
    /// ms
    spacing: i64,
    dry_run: bool,
    /// How many of each connection have their time already.
    slots: HashMap<String, i64>,
    done: Replayed,
}

impl Batch {
    fn looked_at(&self) -> usize {
        self.done.replayed.len() + self.done.skipped.len()
    }

    /// One transaction of it.
    async fn run(mut self, app: &App, ids: Vec<String>) -> Result<Self, Refusal> {
        if self.dry_run {
            return app
                .db
                .read(move |tx| async move {
                    let fit = self.choose(&tx, &ids).await?;
                    self.done.replayed.extend(fit.into_iter().map(|d| Target { id: d.id }));
                    Ok(self)
                })
                .await;
        }
        let batch = app
            .db
            .write(move |tx| async move {
                let fit = self.choose(&tx, &ids).await?;
                for d in &fit {
                    self.send_again(&tx, d).await?;
                }
                let ids: Vec<&String> = fit.iter().map(|d| &d.id).collect();
                if !ids.is_empty() {
                    let data = json!({ "count": ids.len(), "spacingSeconds": self.spacing / 1000, "ids": ids });
                    let (ws, now) = (self.workspace.as_str(), self.now);
                    let action = "dead_letters.replayed";
                    audit::add(&tx, Some(ws), &self.actor, action, ws, &data, now).await?;
                }
                self.done.replayed.extend(fit.into_iter().map(|d| Target { id: d.id }));
                Ok::<_, Refusal>(self)
            })
            .await?;
        app.ring();
        Ok(batch)
    }

    /// Those that may be sent again, earliest first; the others are noted with their reason.
    async fn choose(&mut self, tx: &Tx, ids: &[String]) -> Result<Vec<Delivery>, Refusal> {
        let names = view::names(tx, &self.workspace).await?;
        let mut found = Vec::new();
        let mut known: Vec<&String> = ids.iter().filter(|id| ids::valid(id)).collect();
        known.sort();
        if !self.dry_run {
            let mut held = Vec::new();
            for id in &known {
                if let Some(d) = deliveries::find(tx, &self.workspace, id).await? {
                    held.push(connections::lane(&d.connection_id));
                }
            }
            lanes::hold(tx, &held).await?;
        }
        for id in known {
            let d = if self.dry_run {
                deliveries::find(tx, &self.workspace, id).await?
            } else {
                deliveries::lock(tx, &self.workspace, id).await?
            };
            found.extend(d);
        }
        let mut fit = Vec::new();
        for id in ids {
            let refusal = match found.iter().position(|d| d.id == *id) {
                None => Some(Refusal::not_found("delivery")),
                Some(at) => {
                    let d = found.swap_remove(at);
                    let connected = names.contains_key(&d.connection_id);
                    let refusal = match desk::refused(&d, connected) {
                        None => {
                            let post = schedule::find(tx, &self.workspace, &d.post_id).await?;
                            match desk::approved(tx, &post, &d).await {
                                Ok(()) => None,
                                Err(e) if e.code == approval::NOT_APPROVED => Some(e),
                                Err(e) => return Err(e),
                            }
                        }
                        refusal => refusal,
                    };
                    if refusal.is_none() {
                        fit.push(d);
                    }
                    refusal
                }
            };
            if let Some(r) = refusal {
                let (code, sentence) = (r.code, r.sentence);
                self.done.skipped.push(Skipped { id: id.clone(), code, sentence });
            }
        }
        fit.sort_by(|a, b| (a.scheduled_at, &a.id).cmp(&(b.scheduled_at, &b.id)));
        Ok(fit)
    }

    async fn send_again(&mut self, tx: &Tx, d: &Delivery) -> Result<(), Refusal> {
        let post = schedule::find(tx, &self.workspace, &d.post_id).await?;
        let slot = self.slots.entry(d.connection_id.clone()).or_insert(0);
        let at = self.now + *slot * self.spacing;
        *slot += 1;
        note(tx, d, "retry", "queued", None, self.now).await?;
        reopen(tx, &post, Delivery { scheduled_at: Some(at), ..d.clone() }, self.now)
            .await
            .map(drop)
    }
}
