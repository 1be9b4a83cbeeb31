//! Posts as a file that an import makes the same posts of again.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::paging;
use crate::app::App;
use crate::domain::post::PostState;
use crate::domain::when;
use crate::planning::export::{self, ExportFormat};
use crate::web::error::Reads;
use crate::web::{ApiError, Caller, Query};

/// Which posts, and how they are written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `csv` when not given.
    format: Option<ExportFormat>,
    /// Due at this time or later. Without `from` and `to` all posts, those without a time last.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Due before this time.
    to: Option<String>,
    /// Only posts in this state.
    state: Option<PostState>,
    /// Only posts to this connection: its id, its name, its network or its handle.
    connection: Option<String>,
}

/// Exports posts with the columns of an import.
#[utoipa::path(get, path = "/export", tag = "imports", params(ExportQuery),
    responses((status = 200, description = "The file.",
        content((String = "text/csv"), (Object = "application/json"))), Reads))]
pub async fn download(
    State(app): State<App>,
    caller: Caller,
    Query(q): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let format = q.format.unwrap_or(ExportFormat::Csv);
    let query = export::Query {
        from: paging::moment("from", q.from.as_deref())?,
        to: paging::moment("to", q.to.as_deref())?,
        state: q.state,
        connection: q.connection.filter(|c| !c.trim().is_empty()),
    };
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    let pieces = export::export(&app, ws, query, format, &actor).await?;
    let kind = match format {
        ExportFormat::Csv => "text/csv; charset=utf-8",
        ExportFormat::Json => "application/json",
    };
    let day = when::iso(app.clock.now());
    let name = format!("attachment; filename=\"carillon-posts-{}.{format}\"", &day[..10]);
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name.as_str())];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
