//! The apps that the networks' consent pages know this installation by.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::publishing::apps::{self, AppView, NewApp};
use crate::store::accounts;
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json, Query};

#[derive(Debug, Serialize, ToSchema)]
pub struct Apps {
    pub items: Vec<AppView>,
    /// May who asks set and remove them?
    pub editable: bool,
}

/// Lists the networks that have a consent page, with the apps that are set for them.
#[utoipa::path(get, path = "/apps", tag = "apps",
    responses((status = 200, description = "Every network with a consent page.", body = Apps), Reads))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Apps>, ApiError> {
    let editable = operates(&app, &caller).await?;
    Ok(Json(Apps { items: apps::list(&app).await?, editable }))
}

/// Sets the app of a network for the whole installation, in the place of one that is there. 403
/// `operator_only` for others than the owners of the installation's first workspace.
#[utoipa::path(post, path = "/apps", tag = "apps", request_body = NewApp,
    responses((status = 200, description = "The network as it is set up now.", body = AppView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewApp>,
) -> Result<Json<AppView>, ApiError> {
    allowed(&app, &caller).await?;
    Ok(Json(apps::set(&app, new, &caller.actor()).await?))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Where the network is many servers, the one that knows the app.
    #[serde(default)]
    server: Option<String>,
}

/// Forgets the app of a network. Connections go on with the tokens that they have.
#[utoipa::path(delete, path = "/apps/{network}", tag = "apps",
    params(("network" = String, Path, example = "linkedin"), Which),
    responses((status = 200, description = "The network as it is set up now.", body = AppView), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(network): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<AppView>, ApiError> {
    allowed(&app, &caller).await?;
    let server = which.server.as_deref();
    Ok(Json(apps::remove(&app, &network, server, &caller.actor()).await?))
}

async fn operates(app: &App, caller: &Caller) -> Result<bool, Refusal> {
    let (workspace, account) = (caller.workspace_id.clone(), caller.account_id.clone());
    let read = app.db.read(move |tx| async move {
        accounts::operates(&tx, &workspace, account.as_deref()).await
    });
    Ok(read.await?)
}

async fn allowed(app: &App, caller: &Caller) -> Result<(), ApiError> {
    if operates(app, caller).await? {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::Forbidden,
        "operator_only",
        "Apps are set for the whole installation, by whoever runs it.",
        "Ask an owner of its first workspace, or use `carillon app set` on the server.",
    ))
}
