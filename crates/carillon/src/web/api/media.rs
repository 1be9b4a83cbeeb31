//! The library: pictures and videos in, described, cut, made anew, out.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::paging;
use crate::app::App;
use crate::ids;
use crate::media::finding::{self, Asked, Sort};
use crate::media::intake;
use crate::media::library::{self, Description, MediaView};
use crate::media::trash;
use crate::publishing::view::Page;
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json, Query};

/// Which media, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The beginnings of words of name, description and tags: media that have them all.
    #[param(example = "loaves counter")]
    search: Option<String>,
    /// A tag, or several of them with commas: media that have them all.
    #[param(example = "summer-sale")]
    tag: Option<String>,
    kind: Option<Sort>,
    /// Without a description for people who cannot see it.
    #[serde(default)]
    missing_alt: bool,
    /// That no post has.
    #[serde(default)]
    unused: bool,
    #[serde(default)]
    failed: bool,
    /// What was deleted and can be restored still, instead of the others.
    #[serde(default)]
    trash: bool,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Lists pictures and videos, newest first.
#[utoipa::path(get, path = "/media", tag = "media", params(ListQuery),
    responses((status = 200, description = "A page of media.", body = Page<MediaView>), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(q): Query<ListQuery>,
) -> Result<Json<Page<MediaView>>, ApiError> {
    let limit = paging::limit(q.limit, 50, 200)?;
    let before = q.cursor.as_deref();
    if before.is_some_and(|c| !ids::valid(c)) {
        let message = "`cursor` is none that a page ended with.";
        return Err(paging::wrong("cursor", message.to_owned()).into());
    }
    let tags = q.tag.as_deref().unwrap_or_default().split(',').filter(|t| !t.trim().is_empty());
    let asked = Asked {
        search: q.search.unwrap_or_default(),
        tags: tags.map(str::to_owned).collect(),
        kind: q.kind,
        missing_alt: q.missing_alt,
        unused: q.unused,
        failed: q.failed,
        trash: q.trash,
    };
    let (items, next) = finding::list(&app, &caller.workspace_id, &asked, before, limit).await?;
    Ok(Json(Page { items, next }))
}

/// What to call an upload.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// Its file name. The extension that is kept is that of the content.
    #[serde(default)]
    #[param(example = "counter.jpg", required = false)]
    name: String,
    /// The description for people who cannot see it, at most 2,000 characters.
    #[serde(default)]
    #[param(example = "Loaves on the counter", required = false)]
    alt: String,
}

/// A file as it is.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "read by the documentation only")]
pub struct FileBytes(Vec<u8>);

/// Uploads a picture or video: the body is the file itself.
///
/// JPEG, PNG, WebP and GIF are taken, and MP4, MOV, WebM and MKV; what counts is the content,
/// whatever name and content type say. What the networks are sent is made from it in the background
/// (`state`), of a video once a post needs it (`derivatives`), and carries no place, camera or other
/// metadata.
#[utoipa::path(post, path = "/media", tag = "media", params(UploadQuery),
    request_body(content = inline(FileBytes), content_type = "application/octet-stream", description = "The file's bytes."),
    responses((status = 201, description = "The medium.", body = MediaView), Writes))]
pub async fn upload(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<UploadQuery>,
    body: Body,
) -> Result<(StatusCode, Json<MediaView>), ApiError> {
    let (workspace, stream) = (&caller.workspace_id, body.into_data_stream());
    let medium = intake::upload(&app, workspace, &query.name, &query.alt, stream).await?;
    Ok((StatusCode::CREATED, Json(library::view(&medium, &[]))))
}

/// One picture or video, in the trash or not (`deletedAt`).
#[utoipa::path(get, path = "/media/{id}", tag = "media",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The medium.", body = MediaView), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<MediaView>, ApiError> {
    Ok(Json(library::find(&app, &caller.workspace_id, &id).await?))
}

/// Changes name and description, and what of a video goes out.
///
/// 409 `media_under_way` while a post brings the video to a network.
#[utoipa::path(patch, path = "/media/{id}", tag = "media",
    params(("id" = String, Path, format = "uuid")),
    request_body(content = Description, example = json!({ "alt": "Loaves on the counter" })),
    responses((status = 200, description = "The medium as it is now.", body = MediaView), Writes))]
pub async fn edit(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(change): Json<Description>,
) -> Result<Json<MediaView>, ApiError> {
    Ok(Json(library::describe(&app, &caller.workspace_id, &id, change).await?))
}

/// How to delete.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Also when posts have it that are out already.
    #[serde(default)]
    force: bool,
}

/// Puts a medium into the trash, from which it can be restored for seven days.
///
/// 409 `media_in_use` while a post has it, with those posts in `problems`.
#[utoipa::path(delete, path = "/media/{id}", tag = "media",
    params(("id" = String, Path, format = "uuid"), DeleteQuery),
    responses((status = 204, description = "It is in the trash."), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    trash::delete(&app, ws, &id, query.force, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes what the networks are sent anew.
#[utoipa::path(post, path = "/media/{id}/reprocess", tag = "media",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The medium, to be processed again.", body = MediaView), Writes))]
pub async fn reprocess(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<MediaView>, ApiError> {
    let workspace = Some(caller.workspace_id.as_str());
    Ok(Json(library::reprocess(&app, workspace, &id).await?))
}
