//! Feeds that become posts.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::planning::feeds::{self, FeedView, NewFeed, Polled};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json};

#[derive(Debug, Serialize, ToSchema)]
pub struct Feeds {
    pub items: Vec<FeedView>,
}

/// Lists feeds, oldest first.
#[utoipa::path(get, path = "/feeds", tag = "feeds",
    responses((status = 200, description = "The feeds.", body = Feeds), Reads))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Feeds>, ApiError> {
    Ok(Json(Feeds { items: feeds::list(&app, &caller.workspace_id).await? }))
}

/// Adds a feed (RSS, Atom or JSON Feed); its new entries become drafts, or posts in free slots.
#[utoipa::path(post, path = "/feeds", tag = "feeds", request_body = NewFeed,
    responses((status = 201, description = "The feed.", body = FeedView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewFeed>,
) -> Result<(StatusCode, Json<FeedView>), ApiError> {
    let added = feeds::add(&app, &caller.workspace_id, new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Removes a feed. The posts that it made stay.
#[utoipa::path(delete, path = "/feeds/{id}", tag = "feeds",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is removed."), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    feeds::remove(&app, &caller.workspace_id, &id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks a feed now instead of at its time.
#[utoipa::path(post, path = "/feeds/{id}/poll", tag = "feeds",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What it brought; a feed that fails says why.", body = Polled), Writes))]
pub async fn poll(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Polled>, ApiError> {
    Ok(Json(Box::pin(feeds::poll(&app, &caller.workspace_id, &id)).await?))
}
