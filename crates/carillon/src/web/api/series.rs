//! Series: posts that come round.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paging;
use crate::app::App;
use crate::ids;
use crate::planning::materialise::{self, Materialised};
use crate::planning::series::{
    self, Asked, Changed, Expected, Following, NewSeries, Occurrence, SeriesView,
};
use crate::publishing::view::Page;
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json, Query};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

impl ListQuery {
    /// Cursor and limit, if they are right.
    pub(super) fn page(self) -> Result<(Option<String>, usize), ApiError> {
        let cursor = self.cursor.filter(|c| !c.is_empty());
        if cursor.as_deref().is_some_and(|c| !ids::valid(c)) {
            let message = "`cursor` is none that a page ended with.";
            return Err(paging::wrong("cursor", message.to_owned()).into());
        }
        Ok((cursor, paging::limit(self.limit, 50, 200)?))
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ComingQuery {
    /// 1 to 200; 20 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Occurrences {
    pub items: Vec<Occurrence>,
}

/// One instance of a series.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OneOccurrence {
    /// The wall-clock time that it stands for.
    #[schema(example = "2026-12-08T07:00:00")]
    occurrence: String,
}

/// Lists series, newest first.
#[utoipa::path(get, path = "/series", tag = "series", params(ListQuery),
    responses((status = 200, description = "A page of series.", body = Page<SeriesView>), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<SeriesView>>, ApiError> {
    let (cursor, limit) = query.page()?;
    Ok(Json(series::list(&app, &caller.workspace_id, cursor, limit).await?))
}

/// Makes a series of posts, and its posts of the next four weeks.
///
/// `post` is what each of them says; its `scheduledAt` is when the first goes out. Refused as a post
/// is, about any of the posts that it makes now: `occurrences[2026-12-08T07:00:00].deliveries[0].text`.
#[utoipa::path(post, path = "/series", tag = "series", request_body = NewSeries,
    responses((status = 201, description = "The series as it was saved.", body = SeriesView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewSeries>,
) -> Result<(StatusCode, Json<SeriesView>), ApiError> {
    let made = series::create(&app, &caller.workspace_id, new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Says what a rule comes to, in words and in its next times; saves nothing.
#[utoipa::path(post, path = "/series/preview", tag = "series", request_body = Asked,
    responses((status = 200, description = "What it comes to.", body = Expected), Writes))]
pub async fn preview(
    State(app): State<App>,
    caller: Caller,
    Json(asked): Json<Asked>,
) -> Result<Json<Expected>, ApiError> {
    Ok(Json(series::preview(&app, &caller.workspace_id, asked).await?))
}

/// Makes the posts of the next four weeks of every series of the workspace, as is done every morning.
///
/// However often it is called, each instance has one post. What cannot be made is told, and is an
/// alert.
#[utoipa::path(post, path = "/series/materialise", tag = "series",
    responses((status = 200, description = "What it did.", body = Materialised), Writes))]
pub async fn materialise(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Materialised>, ApiError> {
    Ok(Json(materialise::run(&app, Some(&caller.workspace_id)).await?))
}

/// One series with its next instances.
#[utoipa::path(get, path = "/series/{id}", tag = "series",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The series.", body = SeriesView), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<SeriesView>, ApiError> {
    Ok(Json(series::show(&app, &caller.workspace_id, &id).await?))
}

/// Lists the coming instances of a series, skipped ones too.
#[utoipa::path(get, path = "/series/{id}/occurrences", tag = "series",
    params(("id" = String, Path, format = "uuid"), ComingQuery),
    responses((status = 200, description = "The instances, in order.", body = Occurrences), Reads))]
pub async fn occurrences(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<ComingQuery>,
) -> Result<Json<Occurrences>, ApiError> {
    let limit = paging::limit(query.limit, 20, 200)?;
    let items = series::occurrences(&app, &caller.workspace_id, &id, limit).await?;
    Ok(Json(Occurrences { items }))
}

/// Leaves one instance out; its post is deleted. 409 while it is live.
#[utoipa::path(post, path = "/series/{id}/skip", tag = "series",
    params(("id" = String, Path, format = "uuid")), request_body = OneOccurrence,
    responses((status = 200, description = "The series as it is now.", body = SeriesView), Writes))]
pub async fn skip(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(which): Json<OneOccurrence>,
) -> Result<Json<SeriesView>, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(series::skip(&app, ws, &id, &which.occurrence, &actor).await?))
}

/// Takes a skipped instance in again.
#[utoipa::path(post, path = "/series/{id}/unskip", tag = "series",
    params(("id" = String, Path, format = "uuid")), request_body = OneOccurrence,
    responses((status = 200, description = "The series as it is now.", body = SeriesView), Writes))]
pub async fn unskip(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(which): Json<OneOccurrence>,
) -> Result<Json<SeriesView>, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(series::unskip(&app, ws, &id, &which.occurrence, &actor).await?))
}

/// Changes an instance and all that follow: the series ends before it, and another begins there.
///
/// Posts that were changed by themselves stay as they are.
#[utoipa::path(post, path = "/series/{id}/following", tag = "series",
    params(("id" = String, Path, format = "uuid")), request_body = Following,
    responses((status = 200, description = "The series that begins.", body = Changed), Writes))]
pub async fn follow(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(change): Json<Following>,
) -> Result<Json<Changed>, ApiError> {
    Ok(Json(series::follow(&app, &caller.workspace_id, &id, change, &caller.actor()).await?))
}

/// Ends a series: posts that are to come are deleted, unless they were changed by themselves.
#[utoipa::path(post, path = "/series/{id}/end", tag = "series",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What it did.", body = Changed), Writes))]
pub async fn end(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Changed>, ApiError> {
    Ok(Json(series::end(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}

/// Pauses a series: nothing of it is made or goes out.
#[utoipa::path(post, path = "/series/{id}/pause", tag = "series",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What is held.", body = Changed), Writes))]
pub async fn pause(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Changed>, ApiError> {
    Ok(Json(series::pause(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}

/// Goes on with a series that is paused or was ended; what is late meanwhile is asked about.
#[utoipa::path(post, path = "/series/{id}/resume", tag = "series",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What waits again.", body = Changed), Writes))]
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Changed>, ApiError> {
    Ok(Json(series::resume(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}
