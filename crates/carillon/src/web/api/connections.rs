//! Connections: accounts at networks.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::publishing::connecting::{self, Change, CheckView, ConnectionView, Disconnected, New};
use crate::publishing::diagnosing::{self, Diagnosis};
use crate::publishing::view::Page;
use crate::web::error::{Reads, Writes};
use crate::web::{Admin, ApiError, Caller, Envelope, Id, Json};

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

/// Disconnects an account: its credentials are revoked at the network where that can be done and
/// erased here, and what was still to go out through it is cancelled.
///
/// `revocation` is `failed` where the network did not take them back: it is disconnected all the
/// same, and the sentence says what is left to do.
#[utoipa::path(delete, path = "/connections/{id}", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "It is gone; what became of its credentials.", body = Disconnected), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Disconnected>, ApiError> {
    let actor = caller.actor();
    Ok(Json(connecting::disconnect(&app, &caller.workspace_id, &id, &actor).await?))
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

/// What is stored of every connection: masked tokens, their ends, metadata, the key that seals them.
///
/// For the owner and admins, signed in, and only where ENABLE_CONNECTION_DIAGNOSTICS is set. Whoever
/// looks is written into the audit trail.
#[utoipa::path(get, path = "/connections/diagnostics", tag = "connections",
    responses((status = 200, description = "Every connection as it is stored.", body = Page<Diagnosis>),
        (status = 403, description = "Not an admin (`admins_only`), or switched off (`diagnostics_off`).", body = Envelope), Reads))]
pub async fn diagnose_all(
    State(app): State<App>,
    Admin(caller): Admin,
) -> Result<Json<Page<Diagnosis>>, ApiError> {
    let (workspace, actor) = (&caller.workspace_id, caller.actor());
    let items = diagnosing::diagnose(&app, workspace, None, &actor).await?;
    Ok(Json(Page { items, next: None }))
}

/// What is stored of one connection; see `GET /connections/diagnostics`.
#[utoipa::path(get, path = "/connections/{id}/diagnostics", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The connection as it is stored.", body = Diagnosis),
        (status = 403, description = "Not an admin (`admins_only`), or switched off (`diagnostics_off`).", body = Envelope), Reads))]
pub async fn diagnose(
    State(app): State<App>,
    Admin(caller): Admin,
    Id(id): Id,
) -> Result<Json<Diagnosis>, ApiError> {
    let (workspace, actor) = (&caller.workspace_id, caller.actor());
    let found = diagnosing::diagnose(&app, workspace, Some(&id), &actor).await?;
    let one = found.into_iter().next();
    Ok(Json(one.ok_or_else(|| Refusal::not_found("connection"))?))
}
