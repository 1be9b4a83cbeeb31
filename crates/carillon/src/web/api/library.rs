//! The library as a whole: tags, the trash, clean-ups, what it takes, and files that take the place of
//! others.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::refusal::{Refusal, Wrong};
use crate::ids;
use crate::media::cleaning::{self, Cleaned};
use crate::media::finding::{self, TagView, Tagging};
use crate::media::library::MediaView;
use crate::media::trash::{self, Deleted, UseView};
use crate::media::usage::{self, UsageView};
use crate::media::versions::{self, VersionView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json};

/// The tags of media.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tags {
    items: Vec<TagView>,
}

/// Lists the tags of media, by name.
#[utoipa::path(get, path = "/media/tags", tag = "media",
    responses((status = 200, description = "All of them.", body = Tags), Reads))]
pub async fn tags(State(app): State<App>, caller: Caller) -> Result<Json<Tags>, ApiError> {
    Ok(Json(Tags { items: finding::tags(&app, &caller.workspace_id).await? }))
}

/// How many media were changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    changed: usize,
}

/// Tags and untags many media at once: all of them, or none.
#[utoipa::path(post, path = "/media/tags", tag = "media",
    request_body(content = Tagging, example = json!({ "ids": ["0193e4a2-7b1c-7000-8000-000000000001"], "add": ["summer-sale"] })),
    responses((status = 200, description = "How many changed by it.", body = Changed), Writes))]
pub async fn tag(
    State(app): State<App>,
    caller: Caller,
    Json(tagging): Json<Tagging>,
) -> Result<Json<Changed>, ApiError> {
    let changed = finding::tag(&app, &caller.workspace_id, &tagging, &caller.actor()).await?;
    Ok(Json(Changed { changed }))
}

/// Which media.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Many {
    /// At most 1,000.
    ids: Vec<String>,
}

/// Which media to delete, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// At most 1,000.
    ids: Vec<String>,
    /// Also those that posts have which are out already.
    #[serde(default)]
    force: bool,
}

/// Puts media into the trash, but for those that posts have.
#[utoipa::path(post, path = "/media/delete", tag = "media", operation_id = "delete_many",
    request_body(content = Delete, example = json!({ "ids": ["0193e4a2-7b1c-7000-8000-000000000001"] })),
    responses((status = 200, description = "What is in the trash now, and what stayed with its posts.", body = Deleted), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Json(Delete { ids, force }): Json<Delete>,
) -> Result<Json<Deleted>, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(trash::delete_many(&app, ws, &ids, force, &actor).await?))
}

/// Takes media out of the trash: all of them, or none.
#[utoipa::path(post, path = "/media/restore", tag = "media",
    request_body(content = Many, example = json!({ "ids": ["0193e4a2-7b1c-7000-8000-000000000001"] })),
    responses((status = 200, description = "How many are back.", body = Changed), Writes))]
pub async fn restore(
    State(app): State<App>,
    caller: Caller,
    Json(Many { ids }): Json<Many>,
) -> Result<Json<Changed>, ApiError> {
    let changed = trash::restore(&app, &caller.workspace_id, &ids, &caller.actor()).await?;
    Ok(Json(Changed { changed }))
}

/// Deletes for good what lies in the trash.
#[utoipa::path(post, path = "/media/purge", tag = "media",
    request_body(content = Many, example = json!({ "ids": ["0193e4a2-7b1c-7000-8000-000000000001"] })),
    responses((status = 200, description = "How many are gone.", body = Changed), Writes))]
pub async fn purge(
    State(app): State<App>,
    caller: Caller,
    Json(Many { ids }): Json<Many>,
) -> Result<Json<Changed>, ApiError> {
    let changed = trash::empty(&app, &caller.workspace_id, &ids, &caller.actor()).await?;
    Ok(Json(Changed { changed }))
}

/// Tells what the media take, in bytes.
#[utoipa::path(get, path = "/media/usage", tag = "media",
    responses((status = 200, description = "By what it is of.", body = UsageView), Reads))]
pub async fn usage(State(app): State<App>, caller: Caller) -> Result<Json<UsageView>, ApiError> {
    Ok(Json(usage::usage(&app, &caller.workspace_id).await?))
}

/// How to clean up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clean {
    /// Media go that no post had for so many days, 0 to 3650; 90 when not given.
    #[serde(default)]
    unused_for_days: Option<u64>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Cleans the library up.
///
/// Media that no post has and nobody touched for so long go into the trash; files of theirs that another
/// took the place of so long ago, and files that belong to nothing, go for good. Nothing that a post
/// has goes.
#[utoipa::path(post, path = "/media/clean", tag = "media",
    request_body(content = Clean, example = json!({ "unusedForDays": 90, "dryRun": true })),
    responses((status = 200, description = "What was, or would be, done.", body = Cleaned), Writes))]
pub async fn clean(
    State(app): State<App>,
    caller: Caller,
    Json(clean): Json<Clean>,
) -> Result<Json<Cleaned>, ApiError> {
    let unused_for = match clean.unused_for_days {
        None => cleaning::UNUSED_FOR,
        Some(days @ 0..=3_650) => Duration::from_secs(days * 86_400),
        Some(days) => {
            let message = format!("`unusedForDays` is {days}; it can be 0 to 3650.");
            let wrong = Wrong::new("unusedForDays", "invalid_days", message);
            return Err(Refusal::invalid(vec![wrong]).into());
        }
    };
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(cleaning::clean(&app, ws, unused_for, clean.dry_run, &actor).await?))
}

/// The posts that have a medium.
#[derive(Debug, Serialize, ToSchema)]
pub struct Uses {
    items: Vec<UseView>,
}

/// Lists the posts that have a medium, the newest first.
#[utoipa::path(get, path = "/media/{id}/uses", tag = "media",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "All of them.", body = Uses), Reads))]
pub async fn uses(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Uses>, ApiError> {
    Ok(Json(Uses { items: trash::uses(&app, &caller.workspace_id, &id).await? }))
}

/// The files of a medium.
#[derive(Debug, Serialize, ToSchema)]
pub struct Versions {
    items: Vec<VersionView>,
}

/// Lists the files that a medium has or had, the newest first.
#[utoipa::path(get, path = "/media/{id}/versions", tag = "media",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "All that are kept.", body = Versions), Reads))]
pub async fn versions(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Versions>, ApiError> {
    Ok(Json(Versions { items: versions::list(&app, &caller.workspace_id, &id).await? }))
}

/// Puts another file in the place of a medium's own: the body is the file itself.
///
/// Its id, description, tags and posts stay, and every post that is not out yet shows the new file. The
/// file before is kept as a version. 409 `media_under_way` while a post brings it to a network.
#[utoipa::path(post, path = "/media/{id}/file", tag = "media",
    params(("id" = String, Path, format = "uuid")),
    request_body(content = inline(super::media::FileBytes), content_type = "application/octet-stream", description = "The file's bytes."),
    responses((status = 200, description = "The medium, to be processed again.", body = MediaView), Writes))]
pub async fn replace(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    body: Body,
) -> Result<Json<MediaView>, ApiError> {
    let (ws, actor, stream) = (&caller.workspace_id, caller.actor(), body.into_data_stream());
    Ok(Json(versions::replace(&app, ws, &id, &actor, stream).await?))
}

/// Makes a file that a medium had its present one again.
#[utoipa::path(post, path = "/media/{id}/versions/{version}/current", tag = "media",
    params(("id" = String, Path, format = "uuid"), ("version" = i64, Path)),
    responses((status = 200, description = "The medium, to be processed again.", body = MediaView), Writes))]
pub async fn make_current(
    State(app): State<App>,
    caller: Caller,
    Path((id, version)): Path<(String, i64)>,
) -> Result<Json<MediaView>, ApiError> {
    if !ids::valid(&id) {
        return Err(Refusal::not_found("picture or video").into());
    }
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(versions::make_current(&app, ws, &id.to_ascii_lowercase(), version, &actor).await?))
}
