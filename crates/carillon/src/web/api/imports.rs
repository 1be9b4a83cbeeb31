//! Imports: a file's rows become posts, and can be taken back as a whole.

use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use bytes::Bytes;

use super::series::ListQuery;
use crate::app::App;
use crate::planning::import::{self, ImportView, MOST_BYTES, Options, Undone};
use crate::publishing::view::Page;
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json, Query, input};

/// Lists imports, newest first, without their rows.
#[utoipa::path(get, path = "/imports", tag = "imports", params(ListQuery),
    responses((status = 200, description = "A page of imports.", body = Page<ImportView>), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ImportView>>, ApiError> {
    let (cursor, limit) = query.page()?;
    Ok(Json(import::list(&app, &caller.workspace_id, cursor, limit).await?))
}

/// Imports a file: CSV, JSON, or what Postiz, Mixpost or Buffer export.
///
/// The body is the file itself, at most 10 MB and 5,000 rows. Every row is judged as `POST /posts`
/// judges a post; each good one becomes a post, and every other is told with its line, column, what
/// is wrong and what to do. With `dryRun` nothing is saved. Rows that were imported before and
/// whose posts are still there are `known`, and not made again unless `again` is given. While it
/// works, `import.progress` tells how far it is. docs/bulk.md describes the columns.
#[utoipa::path(post, path = "/imports", tag = "imports", params(Options),
    request_body(content((String = "text/csv"), (Object = "application/json")), description = "The file."),
    responses((status = 201, description = "What became of each row.", body = ImportView),
        (status = 200, description = "What would become of each row.", body = ImportView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Query(options): Query<Options>,
    mut request: Request,
) -> Result<(StatusCode, Json<ImportView>), ApiError> {
    DefaultBodyLimit::max(MOST_BYTES + 1).apply(&mut request);
    let body = Bytes::from_request(request, &app).await.map_err(|e| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => import::too_large().into(),
        _ => input::unread(e),
    })?;
    let status = if options.dry_run { StatusCode::OK } else { StatusCode::CREATED };
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    let done = Box::pin(import::import(&app, ws, &body, options, &actor)).await?;
    Ok((status, Json(done)))
}

/// One import with what became of each row.
#[utoipa::path(get, path = "/imports/{id}", tag = "imports",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The import.", body = ImportView), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ImportView>, ApiError> {
    Ok(Json(import::show(&app, &caller.workspace_id, &id).await?))
}

/// Deletes what an import made, but for what was changed since or went out, which is told.
#[utoipa::path(post, path = "/imports/{id}/undo", tag = "imports",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What it did.", body = Undone), Writes))]
pub async fn undo(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Undone>, ApiError> {
    Ok(Json(import::undo(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}
