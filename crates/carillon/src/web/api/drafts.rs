//! The trash of posts, what they said before, and who has one open.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paging;
use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::ids;
use crate::planning::locks::{self, Editors};
use crate::publishing::trash::{self, Restore, Restored, TrashedPost};
use crate::publishing::versions::{self, Back, VersionView};
use crate::publishing::view::{Page, PostView};
use crate::web::error::{Reads, Writes};
use crate::web::input::OptionalJson;
use crate::web::{ApiError, Caller, Id, Json, Query};

/// How much of the trash to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TrashQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Lists the posts that were deleted in the last seven days, the latest first.
#[utoipa::path(get, path = "/posts/trash", tag = "posts", params(TrashQuery),
    responses((status = 200, description = "A page of posts.", body = Page<TrashedPost>), Reads))]
pub async fn trash(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<TrashQuery>,
) -> Result<Json<Page<TrashedPost>>, ApiError> {
    let limit = paging::limit(query.limit, 50, 200)?;
    let cursor = paging::cursor(query.cursor.as_deref())?;
    Ok(Json(trash::list(&app, &caller.workspace_id, cursor, limit).await?))
}

/// Takes a post out of the trash, as a draft: nothing is sent by it.
///
/// With `asItWas` it is scheduled again as it was: 409 `not_as_it_was` when something of it had gone out
/// or its time has passed, 409 `collision` and `duplicate` as for a new post.
#[utoipa::path(post, path = "/posts/{id}/restore", tag = "posts",
    params(("id" = String, Path, format = "uuid")), request_body = Restore,
    responses((status = 200, description = "The post, and what of it is gone.", body = Restored), Writes))]
pub async fn restore(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    OptionalJson(how): OptionalJson<Restore>,
) -> Result<Json<Restored>, ApiError> {
    Ok(Json(trash::restore(&app, &caller.workspace_id, &id, how, &caller.actor()).await?))
}

/// Deletes a post for good that is in the trash.
#[utoipa::path(post, path = "/posts/{id}/purge", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is gone."), Writes))]
pub async fn purge(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    trash::purge(&app, &caller.workspace_id, &id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a post said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PostVersions)]
pub struct Versions {
    items: Vec<VersionView>,
}

/// Lists what a post says and said before, the newest first; 50 are kept.
#[utoipa::path(get, path = "/posts/{id}/versions", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "All that are kept.", body = Versions), Reads))]
pub async fn versions(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Versions>, ApiError> {
    Ok(Json(Versions { items: versions::list(&app, &caller.workspace_id, &id).await? }))
}

/// Has a post say again what it said in a version: a change like any other.
///
/// Where it goes and when stays; media that were deleted meanwhile stay away. 409 as for a change.
#[utoipa::path(post, path = "/posts/{id}/versions/{version}/restore", tag = "posts",
    params(("id" = String, Path, format = "uuid"), ("version" = i64, Path)), request_body = Back,
    responses((status = 200, description = "The post as it is now.", body = PostView), Writes))]
pub async fn restore_version(
    State(app): State<App>,
    caller: Caller,
    Path((id, version)): Path<(String, String)>,
    OptionalJson(back): OptionalJson<Back>,
) -> Result<Json<PostView>, ApiError> {
    let (Ok(version), true) = (version.parse(), ids::valid(&id)) else {
        return Err(Refusal::not_found("version of this post").into());
    };
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    let id = id.to_ascii_lowercase();
    Ok(Json(versions::restore(&app, ws, &id, version, back, &actor).await?))
}

/// Who else is editing a post right now.
#[utoipa::path(get, path = "/posts/{id}/lock", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The others.", body = Editors), Reads))]
pub async fn editors(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Editors>, ApiError> {
    Ok(Json(locks::show(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}

/// Says that the caller is editing a post: for 90 seconds, or until it is said again.
///
/// It keeps nobody out; others are told (`lock` events).
#[utoipa::path(post, path = "/posts/{id}/lock", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "Who else is.", body = Editors), Writes))]
pub async fn take_lock(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Editors>, ApiError> {
    Ok(Json(locks::take(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}

/// Says that the caller is no longer editing it.
#[utoipa::path(delete, path = "/posts/{id}/lock", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "Others are told."), Writes))]
pub async fn release_lock(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    locks::release(&app, &caller.workspace_id, &id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
