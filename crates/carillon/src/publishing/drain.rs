//! Emptying the send queue: what waits becomes cancelled, the posts stay.
//!
//! Only deliveries that are queued and in no worker's hands are taken; what is under way at a
//! network may be live and is never touched. The answer without a go-ahead is what would happen.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::dead_letters::Target;
use super::{lineup, outcome, segments};
use crate::App;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::{Refusal, Wrong};
use crate::store::deliveries::{self, Moved};
use crate::store::lanes::{self, Drainable};
use crate::store::queue::{self, Removed};
use crate::store::{audit, connections};

/// Deliveries of one transaction.
const BATCH: i64 = 500;
/// Most ids that an answer names.
const NAMED: usize = 1000;

/// What to take out of a queue.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drain {
    /// `send`, which is the one that can be drained.
    #[serde(default)]
    pub queue: Option<String>,
    /// `waiting` (due), `delayed` (due later), or both.
    pub states: Vec<String>,
    #[serde(default)]
    pub connection_id: Option<String>,
    #[serde(default)]
    pub network: Option<String>,
    /// Only say what would be done; `true` when not given.
    #[serde(default)]
    pub dry_run: Option<bool>,
}

/// What was, or would be, taken out.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drained {
    pub dry_run: bool,
    /// The deliveries, at most the first 1000.
    pub drained: Vec<Target>,
    /// All of them.
    pub count: usize,
}

/// Drains; `progress` hears after each batch how many were taken.
pub async fn drain(
    app: &App,
    workspace: &str,
    asked: Drain,
    actor: &str,
    mut progress: impl FnMut(usize) + Send,
) -> Result<Drained, Refusal> {
    let now = app.clock.now();
    let which = which(&asked, now)?;
    let dry_run = asked.dry_run.unwrap_or(true);
    if let Some(id) = &asked.connection_id {
        let (ws, id) = (workspace.to_owned(), id.clone());
        let known =
            app.db.read(move |tx| async move { connections::find(&tx, &ws, &id).await }).await?;
        known.ok_or_else(|| Refusal::not_found("connection"))?;
    }
    let mut done = Drained { dry_run, ..Drained::default() };
    let mut cursor = String::new();
    loop {
        let (ws, which, from, actor) =
            (workspace.to_owned(), which.clone(), cursor.clone(), actor.to_owned());
        let looked = move |tx: Tx| async move {
            lanes::drainable(&tx, &ws, &which, &from, BATCH).await.map(|found| (tx, ws, found))
        };
        let (last, whole, taken) = if dry_run {
            let read = app.db.read(move |tx| async move {
                let (_, _, found) = looked(tx).await?;
                let ids: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
                Ok::<_, Refusal>((ids.last().cloned(), ids.len() as i64 == BATCH, ids))
            });
            read.await?
        } else {
            let written = app.db.write(move |tx| async move {
                let (tx, ws, found) = looked(tx).await?;
                let last = found.last().map(|(id, _)| id.clone());
                let whole = found.len() as i64 == BATCH;
                Ok::<_, Refusal>((last, whole, take(&tx, &ws, found, &actor, now).await?))
            });
            written.await?
        };
        let Some(last) = last else { break };
        cursor = last;
        done.count += taken.len();
        let room = NAMED.saturating_sub(done.drained.len());
        done.drained.extend(taken.into_iter().take(room).map(|id| Target { id }));
        progress(done.count);
        if !whole {
            break;
        }
    }
    if !dry_run {
        app.ring();
    }
    Ok(done)
}

fn which(asked: &Drain, now: i64) -> Result<Drainable, Refusal> {
    let mut wrong = Vec::new();
    if let Some(queue) = asked.queue.as_deref().filter(|q| *q != "send") {
        let message = format!(
            "`{queue}` cannot be drained: only `send` can. What other queues do comes round by itself."
        );
        wrong.push(Wrong::new("queue", "unknown_queue", message));
    }
    for state in asked.states.iter().filter(|s| !matches!(s.as_str(), "waiting" | "delayed")) {
        let message = format!("`{state}` cannot be drained: only `waiting` and `delayed` can.");
        wrong.push(Wrong::new("states", "unknown_state", message));
    }
    if asked.states.is_empty() {
        let message = "Say what to drain: `waiting` (due), `delayed` (due later), or both.";
        wrong.push(Wrong::new("states", "states_required", message));
    }
    if let Some(network) = &asked.network
        && carillon_networks::find(network).is_none()
    {
        let message = format!("There is no network `{network}`.");
        wrong.push(Wrong::new("network", "unknown_network", message));
    }
    if !wrong.is_empty() {
        return Err(Refusal::invalid(wrong));
    }
    let has = |state: &str| asked.states.iter().any(|s| s == state);
    Ok(Drainable {
        after: if has("waiting") { i64::MIN } else { now },
        until: if has("delayed") { i64::MAX } else { now },
        connection_id: asked.connection_id.clone(),
        network: asked.network.clone(),
    })
}

/// Cancels these, but for what a worker took or a person moved in the meantime.
async fn take(
    tx: &Tx,
    workspace: &str,
    found: Vec<(String, String)>,
    actor: &str,
    now: i64,
) -> Result<Vec<String>, Refusal> {
    let held: Vec<String> = found.iter().map(|(_, c)| connections::lane(c)).collect();
    lanes::hold(tx, &held).await?;
    let mut taken = Vec::new();
    for (id, _) in found {
        let Some(d) = deliveries::lock(tx, workspace, &id).await? else { continue };
        if d.state != State::Queued || queue::remove(tx, &id).await? != Removed::Yes {
            continue;
        }
        let moved = Moved { problem: None, ..Moved::from(&d) };
        deliveries::go(tx, &id, State::Queued, State::Cancelled, &moved, now).await?;
        lineup::note(tx, &d, "drain", "cancelled", None, now).await?;
        outcome::announce(tx, &d, State::Cancelled, None, now).await?;
        segments::end(tx, &d, now).await?;
        taken.push(id);
    }
    if !taken.is_empty() {
        let data = json!({ "count": taken.len(), "ids": taken });
        audit::add(tx, Some(workspace), actor, "queue.drained", "send", &data, now).await?;
    }
    Ok(taken)
}
