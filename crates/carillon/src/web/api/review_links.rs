//! Links for clients who have no account.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::planning::links::{self, LinkView, NewLink};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json};

/// The links of the workspace, the newest first. Their addresses are told once, when they are made.
#[utoipa::path(get, path = "/review-links", tag = "reviews", operation_id = "links",
    responses((status = 200, description = "The links.", body = Vec<LinkView>), Reads))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<LinkView>>, ApiError> {
    Ok(Json(links::list(&app, &caller.workspace_id).await?))
}

/// Makes a page on which a client sees posts as followers will, and approves them or asks for
/// changes. Whoever has its address may answer.
#[utoipa::path(post, path = "/review-links", tag = "reviews", operation_id = "create_link",
    request_body = NewLink,
    responses((status = 201, description = "The link with its address.", body = LinkView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewLink>,
) -> Result<(StatusCode, Json<LinkView>), ApiError> {
    let made = links::create(&app, &caller.workspace_id, new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Takes a link back: it opens no more.
#[utoipa::path(delete, path = "/review-links/{id}", tag = "reviews", operation_id = "revoke_link",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The link.", body = LinkView), Writes))]
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<LinkView>, ApiError> {
    Ok(Json(links::revoke(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}
