//! Sweeps: what freed stale work, and one by hand.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paging;
use crate::app::App;
use crate::publishing::sweep::{self, SweepView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json, Query};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// 1 to 500; 50 when not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Sweeps {
    pub items: Vec<SweepView>,
}

/// Lists the sweeps that did something or were asked for, in the whole installation, the latest
/// first.
#[utoipa::path(get, path = "/sweeps", tag = "operations", operation_id = "sweeps", params(ListQuery),
    responses((status = 200, description = "The sweeps.", body = Sweeps), Reads))]
pub async fn list(
    State(app): State<App>,
    _: Caller,
    Query(q): Query<ListQuery>,
) -> Result<Json<Sweeps>, ApiError> {
    Ok(Json(Sweeps { items: sweep::log(&app, paging::limit(q.limit, 50, 500)?).await? }))
}

/// Frees work whose worker died, at once; what may have been sent is looked up.
#[utoipa::path(post, path = "/sweeps", tag = "operations", operation_id = "sweep",
    responses((status = 200, description = "What it did.", body = SweepView), Writes))]
pub async fn create(State(app): State<App>, caller: Caller) -> Result<Json<SweepView>, ApiError> {
    Ok(Json(sweep::by_hand(&app, Some(&caller.workspace_id), &caller.actor()).await?))
}
