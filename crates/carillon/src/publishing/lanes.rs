//! Lanes as an operator sees them: what waits for each connection, and what holds it back.

use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::domain::refusal::Refusal;
use crate::domain::when::iso;
use crate::store::lanes::{self, Lane};

/// The lane of one connection, or of its large uploads. What is in it goes one at a time.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaneView {
    #[schema(example = "connection:01993d3c-8f00-7a53-9c1e-2b6f4d1e0a77")]
    pub lane: String,
    pub connection_id: String,
    pub connection_name: String,
    pub network: String,
    /// Due and not begun.
    pub waiting: i64,
    /// Due later.
    pub delayed: i64,
    /// In a worker's hands.
    pub active: i64,
    /// When it next wants a worker; `null` while it is paused, busy or empty.
    pub next_at: Option<String>,
    /// The network asked that nothing be sent before this.
    pub open_at: Option<String>,
    /// The network's breaker is open until then.
    pub circuit_until: Option<String>,
    pub paused_at: Option<String>,
    /// Its own pause: `paused` by its owner, or `needs_action`.
    pub paused_why: Option<String>,
    /// The scope of the pause that covers it, as `GET /pauses` names it.
    pub shut_by: Option<String>,
}

/// Every lane of a workspace, by network and name.
pub async fn list(app: &App, workspace: &str) -> Result<Vec<LaneView>, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    let found = app.db.read(move |tx| async move { lanes::of(&tx, &ws, now).await }).await?;
    Ok(found.into_iter().map(|lane| view(lane, now)).collect())
}

fn view(l: Lane, now: i64) -> LaneView {
    let to_come = |at: i64| (at > now).then(|| iso(at));
    LaneView {
        lane: l.lane,
        connection_id: l.connection_id,
        connection_name: l.connection_name,
        network: l.network,
        waiting: l.waiting,
        delayed: l.delayed,
        active: l.active,
        next_at: l.next_at.map(iso),
        open_at: to_come(l.open_at),
        circuit_until: to_come(l.circuit_until),
        paused_at: l.paused_at.map(iso),
        paused_why: l.paused_why,
        shut_by: l.shut_by.map(|s| s.split_once('/').map_or(s.clone(), |(_, s)| s.to_owned())),
    }
}
