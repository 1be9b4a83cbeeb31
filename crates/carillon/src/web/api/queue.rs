//! The queue from outside: its numbers and lanes, what is taken out of it, and a push for whoever
//! runs a clock of their own.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use crate::app::App;
use crate::db;
use crate::domain::refusal::Kind;
use crate::domain::when;
use crate::publishing::drain::{self, Drain, Drained};
use crate::publishing::lanes::{self, LaneView};
use crate::queue::cron;
use crate::queue::worker::Worker;
use crate::store::queue::{self, Stats};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json, auth};

/// A caller is answered after this long, whether or not all work has ended.
const PATIENCE: Duration = Duration::from_secs(25);

/// How many jobs wait, run, ended and failed, in the whole installation.
#[utoipa::path(get, path = "/queue/stats", tag = "operations",
    responses((status = 200, body = Stats, description = "The queue's numbers."), Reads))]
pub async fn stats(State(app): State<App>, _: Caller) -> Result<Json<Stats>, ApiError> {
    let now = app.clock.now();
    Ok(Json(app.db.read(move |tx| async move { queue::stats(&tx, now).await }).await?))
}

/// What waits for each connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lanes {
    pub items: Vec<LaneView>,
}

/// Lists the lanes of the workspace's connections: what waits in each, and what holds it back.
#[utoipa::path(get, path = "/queue/lanes", tag = "operations",
    responses((status = 200, body = Lanes, description = "The lanes, by network and name."), Reads))]
pub async fn lanes(State(app): State<App>, caller: Caller) -> Result<Json<Lanes>, ApiError> {
    Ok(Json(Lanes { items: lanes::list(&app, &caller.workspace_id).await? }))
}

/// Takes what waits out of the queue: the deliveries become cancelled, their posts stay.
///
/// Without `"dryRun": false` it only says what it would take. What is under way at a network is
/// left alone: it may be live.
#[utoipa::path(post, path = "/queue/drain", tag = "operations",
    request_body(content = Drain, example = json!({ "states": ["waiting"], "network": "mastodon", "dryRun": true })),
    responses((status = 200, body = Drained, description = "What was, or would be, taken out."), Writes))]
pub async fn drain(
    State(app): State<App>,
    caller: Caller,
    Json(asked): Json<Drain>,
) -> Result<Json<Drained>, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(drain::drain(&app, ws, asked, &actor, |_| {}).await?))
}

/// What a push did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pushed {
    /// Jobs that were claimed and worked on; those that another worker has are not among them.
    /// `null` when not all of them have ended.
    pub ran: Option<usize>,
    /// `false` when work is still going on after 25 s.
    pub finished: bool,
    /// ISO 8601
    #[schema(example = "2026-11-23T09:00:00Z")]
    pub time: String,
}

/// Claims and runs what is due, at once.
///
/// For a scheduler outside (`Authorization: Bearer` with CRON_SECRET). Harmless when called twice or
/// beside the built-in worker: a job is claimed once. 404 while CRON_SECRET is not set.
#[utoipa::path(post, path = "/api/cron/publish", tag = "operations", security(("cron" = [])),
    responses((status = 200, body = Pushed, description = "What was due has been worked on."),
              (status = 202, body = Pushed, description = "It is still being worked on."), Writes))]
pub async fn push(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Pushed>), ApiError> {
    let secret = app.config.server.cron_secret.as_bytes();
    if secret.is_empty() {
        let fix = "Set CRON_SECRET and start again to switch it on.";
        let sentence = "This endpoint is switched off.";
        return Err(ApiError::new(Kind::NotFound, "cron_off", sentence, fix));
    }
    let given = auth::bearer(&headers).unwrap_or("").as_bytes();
    if !bool::from(given.ct_eq(secret)) {
        let fix = "Send `Authorization: Bearer` with the value of CRON_SECRET.";
        let sentence = "The secret is missing or wrong.";
        return Err(ApiError::new(Kind::Unauthorized, "cron_secret", sentence, fix));
    }
    cron::tick(&app).await?;
    let work = tokio::spawn({
        let app = app.clone();
        async move { Worker::new(app).tick().await }
    });
    let time = when::iso(app.clock.now());
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(ran)) => {
            let ran = ran.map_err(|e: db::Error| ApiError::from(e))?;
            Ok((StatusCode::OK, Json(Pushed { ran: Some(ran), finished: true, time })))
        }
        Ok(Err(_)) => Err(ApiError::internal()),
        Err(_) => Ok((StatusCode::ACCEPTED, Json(Pushed { ran: None, finished: false, time }))),
    }
}
