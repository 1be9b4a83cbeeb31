//! The audit trail: who did what.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::paging;
use crate::app::App;
use crate::watch::trail::{self, Deeds};
use crate::web::error::Reads;
use crate::web::{ApiError, Caller, Json, Query};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only this: `delivery.retried`, `queue.drained`, …
    action: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Lists what was done in this workspace, and to the whole installation, the latest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(ListQuery),
    responses((status = 200, description = "A page of deeds.", body = Deeds), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(q): Query<ListQuery>,
) -> Result<Json<Deeds>, ApiError> {
    let limit = paging::limit(q.limit, 50, 200)?;
    let cursor = paging::cursor(q.cursor.as_deref())?;
    let action = q.action.filter(|a| !a.is_empty());
    Ok(Json(trail::deeds(&app, &caller.workspace_id, action, cursor, limit).await?))
}
