//! Alerts: what somebody should know now.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::watch::trail::{self, AlertView};
use crate::web::error::Reads;
use crate::web::{ApiError, Caller, Json, Query};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those whose reason lasts.
    #[serde(default)]
    open: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Alerts {
    pub items: Vec<AlertView>,
}

/// Lists this workspace's alerts and the installation's, the latest first, at most 200.
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(ListQuery),
    responses((status = 200, description = "The alerts.", body = Alerts), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(q): Query<ListQuery>,
) -> Result<Json<Alerts>, ApiError> {
    Ok(Json(Alerts { items: trail::alerts(&app, &caller.workspace_id, q.open).await? }))
}
