//! Who is signed in, and where.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::approval;
use crate::domain::policy::Approval;
use crate::domain::refusal::Refusal;
use crate::identity::door;
use crate::publishing::diagnosing;
use crate::store::{accounts, reviews};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json, auth};

/// Who asks and in which workspace.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// `null` for an API key.
    pub account: Option<AccountView>,
    pub workspace: WorkspaceView,
    /// `owner`, …; `key` for an API key.
    #[schema(example = "owner")]
    pub role: String,
    /// May this caller look at what is stored of connections (`GET /connections/diagnostics`)?
    pub diagnostics: bool,
    /// How many posts wait for an answer.
    pub reviews: i64,
    /// May this caller give it?
    pub may_approve: bool,
    /// Where the sandbox shows what was posted; `null` where posts go to the networks themselves.
    pub sandbox_url: Option<String>,
    #[schema(example = "0.1.0")]
    pub version: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    pub id: String,
    #[schema(example = "Ada")]
    pub name: String,
    #[schema(example = "ada@example.com")]
    pub email: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceView {
    pub id: String,
    #[schema(example = "Larkspur Bakery")]
    pub name: String,
    #[schema(example = "Europe/London")]
    pub timezone: String,
    /// Is everything on the sandbox?
    pub demo: bool,
    /// Whose approval posts need before they go out.
    pub approval: Approval,
}

/// Tells who is signed in.
#[utoipa::path(get, path = "/session", tag = "session",
    responses((status = 200, description = "Who asks and in which workspace.", body = SessionView), Reads))]
pub async fn show(State(app): State<App>, caller: Caller) -> Result<Json<SessionView>, ApiError> {
    Ok(Json(view(&app, &caller).await?))
}

/// Signs out: the cookie's session opens nothing any more.
#[utoipa::path(delete, path = "/session", tag = "session",
    responses((status = 204, description = "Signed out."), Writes))]
pub async fn end(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    if caller.account_id.is_some() {
        let hash = caller.by;
        app.db.write(move |tx| async move { accounts::end_session(&tx, &hash).await }).await?;
    }
    let headers = HeaderMap::from_iter([(header::SET_COOKIE, auth::no_cookie(&app))]);
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// What is asked of the workspace's people.
struct Asked {
    approval: Option<Approval>,
    reviews: i64,
    may: bool,
}

/// The session as the app shows it.
pub async fn view(app: &App, caller: &Caller) -> Result<SessionView, Refusal> {
    let (workspace, account) = (caller.workspace_id.clone(), caller.account_id.clone());
    let actor = caller.actor();
    let (workspace, account, role, asked) = app
        .db
        .read(move |tx| async move {
            let found = accounts::workspace(&tx, &workspace).await?;
            let asked = Asked {
                approval: accounts::policies(&tx, &workspace).await?.approval,
                reviews: reviews::count(&tx, &workspace).await?,
                may: approval::may_approve(&tx, &workspace, &actor).await?,
            };
            let Some(id) = account else {
                return Ok::<_, Refusal>((found, None, Some("key".to_owned()), asked));
            };
            let roles = accounts::memberships(&tx, &id).await?;
            let role = roles.into_iter().find(|(w, _)| *w == workspace).map(|(_, role)| role);
            Ok((found, accounts::account(&tx, &id).await?, role, asked))
        })
        .await?;
    let (Some(workspace), Some(role)) = (workspace, role) else {
        return Err(Refusal::not_found("workspace"));
    };
    let admin = account.is_some() && door::is_admin(&role);
    let sandbox = &app.config.networks.sandbox;
    Ok(SessionView {
        account: account.map(|a| AccountView { id: a.id, name: a.name, email: a.email }),
        workspace: WorkspaceView {
            id: workspace.id,
            name: workspace.name,
            timezone: workspace.timezone,
            demo: workspace.demo_at.is_some(),
            approval: asked.approval.unwrap_or(Approval::None),
        },
        diagnostics: diagnosing::enabled(app) && admin,
        role,
        reviews: asked.reviews,
        may_approve: asked.may,
        sandbox_url: (!sandbox.is_empty()).then(|| sandbox.clone()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
