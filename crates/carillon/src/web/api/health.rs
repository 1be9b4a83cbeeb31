//! How the installation and the networks are doing.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::watch::health::{self, Health, Platforms, Status};
use crate::web::error::{Reads, Spoken};
use crate::web::{ApiError, Caller, Json, Web};

/// Is it well? 503 when something that publishing needs is not.
#[utoipa::path(get, path = "/api/health", tag = "operations", security(()),
    responses((status = 200, body = Health, description = "It is well, or well enough."),
              (status = 503, body = Health, description = "Something that publishing needs is not well.")))]
pub async fn health(State(web): State<Web>) -> Response {
    let health = web.health.of(&web.app).await;
    let status = match health.status {
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        Status::Healthy | Status::Degraded => StatusCode::OK,
    };
    let mut response = (status, Json(health)).into_response();
    response.extensions_mut().insert(Spoken);
    response
}

/// Alive: the process answers. Nothing else is looked at.
pub async fn live() -> &'static str {
    "live\n"
}

/// Ready: what `/api/health` says, for a load balancer.
pub async fn ready(State(web): State<Web>) -> Response {
    let health = web.health.of(&web.app).await;
    let (status, word) = match health.status {
        Status::Unhealthy => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        Status::Healthy | Status::Degraded => (StatusCode::OK, "ready\n"),
    };
    let mut response = (status, word).into_response();
    response.extensions_mut().insert(Spoken);
    response
}

/// How each network answered in the last 15 minutes, and what holds its connections back.
#[utoipa::path(get, path = "/platforms/health", tag = "operations",
    responses((status = 200, body = Platforms, description = "Each network."), Reads))]
pub async fn platforms(State(app): State<App>, _: Caller) -> Result<Json<Platforms>, ApiError> {
    Ok(Json(health::platforms(&app).await?))
}
