//! Where networks' consent pages lead back to.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::publishing::connecting::consent::{self, Person, Returned};
use crate::web::pages::errors;
use crate::web::shell;
use crate::web::{ApiError, Caller, Query};

#[derive(Default, Deserialize)]
pub struct Brought {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

/// `GET /oauth/callback`: takes the answer, and goes on in the app, which tells what came of it.
pub async fn back(
    State(app): State<App>,
    caller: Result<Caller, ApiError>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    Query(brought): Query<Brought>,
) -> Result<Response, ApiError> {
    // A state works once: nobody but the person's own visit uses it up.
    let purpose = headers.get("sec-purpose").or_else(|| headers.get("purpose"));
    if method != Method::GET || purpose.is_some() {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, "not prefetched\n").into_response());
    }
    // Signed out meanwhile: the answer is taken after the next sign-in.
    let Ok(caller) = caller else { return Ok(Redirect::to(&shell::sign_in(&uri)).into_response()) };
    let Some(account) = caller.account_id else {
        let says = "A consent page leads back to a person who is signed in.";
        return Ok(errors::answer(StatusCode::FORBIDDEN, says, "Sign in and connect it there."));
    };
    let Brought { state, code, error } = brought;
    let returned = Returned { state, code, error };
    // In a task of its own: a code works once, so what was begun is ended though the browser left.
    let taken = tokio::spawn(async move {
        let person = Person { workspace: &caller.workspace_id, account: &account };
        Box::pin(consent::back(&app, person, returned)).await
    });
    let id = taken.await.map_err(|_| ApiError::internal())??;
    // With a fragment of its own: browsers would carry on one that the network appended.
    let to = format!("/connections?consent={id}#");
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}
