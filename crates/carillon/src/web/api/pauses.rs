//! Pauses: what holds many lanes back at once.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::publishing::pausing::{self, PauseView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json};

#[derive(Debug, Serialize, ToSchema)]
pub struct Pauses {
    pub items: Vec<PauseView>,
}

/// Lists the pauses that hold something of this workspace, its own and the installation's.
#[utoipa::path(get, path = "/pauses", tag = "pauses",
    responses((status = 200, description = "The pauses.", body = Pauses), Reads))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Pauses>, ApiError> {
    Ok(Json(Pauses { items: pausing::list(&app, Some(&caller.workspace_id)).await? }))
}

/// What to pause.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// `all`, `network:<id>`, or `queue:` with `send`, `upload` or `media`.
    #[schema(example = "network:mastodon")]
    scope: String,
    #[serde(default)]
    #[schema(example = "Their API is down.")]
    why: Option<String>,
}

/// Keeps what a scope of this workspace has to do waiting; nothing is lost. What is paused already
/// stays as it is.
#[utoipa::path(post, path = "/pauses", tag = "pauses", request_body = Pause,
    responses((status = 201, description = "The pause.", body = PauseView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(pause): Json<Pause>,
) -> Result<(StatusCode, Json<PauseView>), ApiError> {
    let (ws, why) = (Some(caller.workspace_id.as_str()), pause.why.unwrap_or_default());
    let made = pausing::pause(&app, ws, &pause.scope, &why, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Lets what waited behind a pause of this workspace go on. 409 `wide_pause` for one of the whole
/// installation.
#[utoipa::path(delete, path = "/pauses/{scope}", tag = "pauses",
    params(("scope" = String, Path, example = "network:mastodon")),
    responses((status = 204, description = "It goes on."), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(scope): Path<String>,
) -> Result<StatusCode, ApiError> {
    pausing::resume(&app, Some(&caller.workspace_id), &scope, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
