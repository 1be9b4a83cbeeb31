//! Connections: accounts at networks.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::publishing::connecting::{self, Change, CheckView, ConnectionView, New};
use crate::publishing::view::Page;
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json};

/// Lists every connection, oldest first.
#[utoipa::path(get, path = "/connections", tag = "connections",
    responses((status = 200, description = "Every connection.", body = Page<ConnectionView>), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<ConnectionView>>, ApiError> {
    let items = connecting::list(&app, &caller.workspace_id).await?;
    Ok(Json(Page { items, next: None }))
}

/// Connects an account. The network is asked first, and nothing is saved when it refuses
/// (`connection_refused`) or cannot be reached.
///
/// An account that is connected already gets the new credentials; what waited for it goes on.
#[utoipa::path(post, path = "/connections", tag = "connections", request_body = New,
    responses((status = 201, description = "The connection.", body = ConnectionView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<New>,
) -> Result<(StatusCode, Json<ConnectionView>), ApiError> {
    let connection = connecting::add(&app, &caller.workspace_id, new).await?;
    Ok((StatusCode::CREATED, Json(connection)))
}

/// One connection.
#[utoipa::path(get, path = "/connections/{id}", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The connection.", body = ConnectionView), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ConnectionView>, ApiError> {
    Ok(Json(connecting::find(&app, &caller.workspace_id, &id).await?))
}

/// Changes name, settings or credentials. New settings and credentials are tried at the network
/// before they are kept.
#[utoipa::path(patch, path = "/connections/{id}", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    request_body(content = Change, example = json!({ "name": "Bakery" })),
    responses((status = 200, description = "The connection as it is now.", body = ConnectionView), Writes))]
pub async fn edit(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(change): Json<Change>,
) -> Result<Json<ConnectionView>, ApiError> {
    Ok(Json(connecting::edit(&app, &caller.workspace_id, &id, change).await?))
}

/// Disconnects an account: its credentials are erased, and what was still to go out through it is
/// cancelled.
#[utoipa::path(delete, path = "/connections/{id}", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is gone."), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    connecting::disconnect(&app, &caller.workspace_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Finds out whether a post could be published with it now.
///
/// When the network refuses, the connection needs action and what goes through it waits; when it
/// agrees again, that goes on.
#[utoipa::path(post, path = "/connections/{id}/check", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What was found, in the order it was tried.", body = CheckView), Writes))]
pub async fn check(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<CheckView>, ApiError> {
    Ok(Json(connecting::check(&app, &caller.workspace_id, &id).await?))
}

/// Keeps what goes through it waiting.
#[utoipa::path(post, path = "/connections/{id}/pause", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The connection as it is now.", body = ConnectionView), Writes))]
pub async fn pause(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ConnectionView>, ApiError> {
    Ok(Json(connecting::pause(&app, &caller.workspace_id, &id).await?))
}

/// Lets what waited for it go on.
#[utoipa::path(post, path = "/connections/{id}/resume", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The connection as it is now.", body = ConnectionView), Writes))]
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ConnectionView>, ApiError> {
    Ok(Json(connecting::resume(&app, &caller.workspace_id, &id).await?))
}
