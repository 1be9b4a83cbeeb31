//! Deliveries: how one went, and what a person may decide about it.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::publishing::schedule::{self, Answer};
use crate::publishing::view::{self, AttemptView, DeliveryView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json};

/// One delivery.
#[utoipa::path(get, path = "/deliveries/{id}", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = DeliveryView, description = "The delivery."), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(view::delivery(&app, &caller.workspace_id, &id).await?))
}

/// The send journal of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct Journal {
    pub items: Vec<AttemptView>,
}

/// Everything that was tried for a delivery and what came back, oldest first.
#[utoipa::path(get, path = "/deliveries/{id}/attempts", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = Journal, description = "The journal."), Reads))]
pub async fn attempts(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Journal>, ApiError> {
    Ok(Json(Journal { items: view::attempts(&app, &caller.workspace_id, &id).await? }))
}

/// Cancels one delivery. 409 when it is being sent or live.
#[utoipa::path(post, path = "/deliveries/{id}/cancel", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = DeliveryView, description = "The delivery as it is now."), Writes))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(schedule::cancel_delivery(&app, &caller.workspace_id, &id).await?))
}

/// Tries a failed, missed or held delivery again, now.
#[utoipa::path(post, path = "/deliveries/{id}/retry", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = DeliveryView, description = "The delivery as it is now."), Writes))]
pub async fn retry(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(schedule::retry_delivery(&app, &caller.workspace_id, &id).await?))
}

/// Answers "is it live?" for a delivery whose outcome no program can find out.
#[utoipa::path(post, path = "/deliveries/{id}/answer", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    request_body(content = Answer, example = json!({ "live": true, "url": "https://example.com/p/1" })),
    responses((status = 200, body = DeliveryView, description = "The delivery as it is now."), Writes))]
pub async fn answer(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(answer): Json<Answer>,
) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(schedule::answer(&app, &caller.workspace_id, &id, answer).await?))
}
