//! Circuit breakers: networks that are left alone for a while.

use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::publishing::circuits::{self, CircuitView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json};

#[derive(Debug, Serialize, ToSchema)]
pub struct Circuits {
    pub items: Vec<CircuitView>,
}

/// Lists the circuits that this workspace's connections are behind.
#[utoipa::path(get, path = "/circuits", tag = "circuits",
    responses((status = 200, description = "The circuits.", body = Circuits), Reads))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Circuits>, ApiError> {
    Ok(Json(Circuits { items: circuits::list(&app, Some(&caller.workspace_id)).await? }))
}

/// Closes a circuit by hand: what waited behind it goes at once.
#[utoipa::path(post, path = "/circuits/{name}/reset", tag = "circuits",
    params(("name" = String, Path, example = "bluesky")),
    responses((status = 200, description = "The circuit as it is now.", body = CircuitView), Writes))]
pub async fn reset(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<CircuitView>, ApiError> {
    let ws = Some(caller.workspace_id.as_str());
    Ok(Json(circuits::reset(&app, ws, &name, &caller.actor()).await?))
}
