//! Templates, sets of hashtags and UTM presets.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::planning::snippets::{
    self, Kind, NewSnippet, SnippetChange, SnippetView, Tagged, Tagging,
};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json, Query};

/// Which to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those of this kind.
    kind: Option<Kind>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Snippets {
    items: Vec<SnippetView>,
}

/// Lists templates, sets of hashtags and UTM presets, by kind and name.
#[utoipa::path(get, path = "/snippets", tag = "snippets", params(ListQuery),
    responses((status = 200, description = "All of them.", body = Snippets), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Snippets>, ApiError> {
    Ok(Json(Snippets { items: snippets::list(&app, &caller.workspace_id, query.kind).await? }))
}

/// Keeps one. 409 `name_taken` when there is one of this kind and name.
#[utoipa::path(post, path = "/snippets", tag = "snippets",
    request_body(content = NewSnippet, example = json!({ "kind": "hashtags", "name": "Gigs", "hashtags": ["#livemusic", "#camden"] })),
    responses((status = 201, description = "It is kept.", body = SnippetView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewSnippet>,
) -> Result<(StatusCode, Json<SnippetView>), ApiError> {
    let made = snippets::create(&app, &caller.workspace_id, new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Changes one: its name, or all that is in it. Posts that were written with it stay as they are.
#[utoipa::path(patch, path = "/snippets/{id}", tag = "snippets",
    params(("id" = String, Path, format = "uuid")),
    request_body(content = SnippetChange, example = json!({ "name": "Live" })),
    responses((status = 200, description = "As it is now.", body = SnippetView), Writes))]
pub async fn edit(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(change): Json<SnippetChange>,
) -> Result<Json<SnippetView>, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(snippets::edit(&app, ws, &id, change, &actor).await?))
}

/// Deletes one. Posts that were written with it stay as they are.
#[utoipa::path(delete, path = "/snippets/{id}", tag = "snippets",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is gone."), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    snippets::delete(&app, &caller.workspace_id, &id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds UTM parameters to the links of a text, and saves nothing.
///
/// What a link has already stays, so that done twice it is as done once. Where connections differ in what
/// is added (`{network}`, `{connection}`), each gets a text of its own.
#[utoipa::path(post, path = "/snippets/utm", tag = "snippets", request_body = Tagging,
    responses((status = 200, description = "The text with them.", body = Tagged), Writes))]
pub async fn tag(
    State(app): State<App>,
    caller: Caller,
    Json(asked): Json<Tagging>,
) -> Result<Json<Tagged>, ApiError> {
    Ok(Json(snippets::tag(&app, &caller.workspace_id, asked).await?))
}
