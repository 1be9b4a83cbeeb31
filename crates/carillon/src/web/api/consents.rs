//! Consents: connecting an account through its network's own page.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::domain::refusal::Kind;
use crate::publishing::connecting::ConnectionView;
use crate::publishing::connecting::consent::{self, Begin, Begun, Choice, ConsentView, Person};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json};

/// Begins to connect an account through its network's consent page: send the browser to `url`.
///
/// The page leads back to `/oauth/callback`, and from there to `/connections?consent={id}`. It
/// works once and for ten minutes, for the person who began. 409 `no_app` where no app is set for
/// the network.
#[utoipa::path(post, path = "/connections/consent", tag = "consents", request_body = Begin,
    responses((status = 201, description = "Where to go.", body = Begun), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(begin): Json<Begin>,
) -> Result<(StatusCode, Json<Begun>), ApiError> {
    let begun = Box::pin(consent::begin(&app, person(&caller)?, begin)).await?;
    Ok((StatusCode::CREATED, Json(begun)))
}

/// What came of a consent.
#[utoipa::path(get, path = "/consents/{id}", tag = "consents",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The consent.", body = ConsentView), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ConsentView>, ApiError> {
    Ok(Json(consent::show(&app, person(&caller)?, &id).await?))
}

/// Connects one of the pages, boards or locations that a consent opened.
#[utoipa::path(post, path = "/consents/{id}", tag = "consents", request_body = Choice,
    params(("id" = String, Path, format = "uuid")),
    responses((status = 201, description = "The connection.", body = ConnectionView), Writes))]
pub async fn choose(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(choice): Json<Choice>,
) -> Result<(StatusCode, Json<ConnectionView>), ApiError> {
    let made = Box::pin(consent::choose(&app, person(&caller)?, &id, choice)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A consent belongs to a person in a browser: whom else could the page lead back?
fn person(caller: &Caller) -> Result<Person<'_>, ApiError> {
    match &caller.account_id {
        Some(account) => Ok(Person { workspace: &caller.workspace_id, account }),
        None => Err(ApiError::new(
            Kind::Forbidden,
            "session_required",
            "A consent page leads back to a person who is signed in.",
            "Sign in and connect it under Connections, or send the credentials to `POST /connections`.",
        )),
    }
}
