//! Coming in and going out: password, one-time link, sign-out.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;

use crate::app::App;
use crate::db::{self, Tx};
use crate::domain::refusal::Refusal;
use crate::identity::door;
use crate::store::accounts;
use crate::web::auth::{self, Peer, SignIn};
use crate::web::pages::errors;
use crate::web::pages::layout::{self, Field};
use crate::web::{ApiError, Caller, Query, Web};

#[derive(Debug, Deserialize)]
pub struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
pub struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    next: Option<String>,
}

/// `GET /login`
pub async fn show(
    State(web): State<Web>,
    caller: Result<Caller, ApiError>,
    Query(query): Query<Next>,
) -> Result<Response, ApiError> {
    let next = local(query.next.as_deref());
    if caller.is_ok() {
        return Ok(Redirect::to(&next).into_response());
    }
    let anybody = web.app.db.read(|tx| async move { accounts::any_account(&tx).await }).await?;
    Ok(if anybody { form(StatusCode::OK, "", &next, None) } else { nobody() })
}

/// `POST /login`
pub async fn submit(
    State(web): State<Web>,
    Peer(peer): Peer,
    headers: HeaderMap,
    Form(given): Form<Credentials>,
) -> Result<Response, ApiError> {
    let app = &web.app;
    auth::from_our_pages(&headers, &app.public_url())?;
    let (email, next) = (normal(&given.email), local(given.next.as_deref()));
    let sign_in = match SignIn::begin(&web, &email, peer) {
        Ok(sign_in) => sign_in,
        Err(e) => {
            let says = format!("{} {}", e.refusal().sentence, e.refusal().fix);
            let mut page = form(e.status(), &email, &next, Some(&says));
            if let Some(wait) = e.into_response().headers_mut().remove(header::RETRY_AFTER) {
                page.headers_mut().insert(header::RETRY_AFTER, wait);
            }
            return Ok(page);
        }
    };
    let Some((account, workspace)) = open(&web, &email, given.password).await? else {
        let says = "That e-mail address and password do not belong together.";
        return Ok(form(StatusCode::UNAUTHORIZED, &email, &next, Some(says)));
    };
    sign_in.succeeded();
    let now = app.clock.now();
    let token = app
        .db
        .write(move |tx| async move { door::open_session(&tx, &account, &workspace, now).await })
        .await?;
    Ok(entered(app, &token, &next))
}

/// Whose password it is, and the workspace that opens.
async fn open(
    web: &Web,
    email: &str,
    password: String,
) -> Result<Option<(String, String)>, Refusal> {
    let email = email.to_owned();
    let found = web
        .app
        .db
        .read(move |tx| async move {
            // A text that no database keeps belongs to nobody.
            if email.contains('\0') {
                return Ok(None);
            }
            let Some(account) = accounts::account_by_email(&tx, &email).await? else {
                return Ok::<_, db::Error>(None);
            };
            let workspaces = accounts::memberships(&tx, &account.id).await?;
            Ok(Some((account, workspaces.into_iter().next())))
        })
        .await?;
    let (account, first) = found.map_or((None, None), |(a, w)| (Some(a), w));
    let kept = account.as_ref().and_then(|a| a.password_hash.clone());
    // Each takes tens of ms and 19 MB on purpose: more at once would be a way to stop the server.
    let place = web.hashing.acquire().await;
    let matches = door::verify_password(password, kept).await;
    drop(place);
    Ok(account.zip(first).filter(|_| matches).map(|(a, (workspace, _))| (a.id, workspace)))
}

/// `GET /login/{token}`: signs in, once.
pub async fn link(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    // Only a person's own visit uses the link up: no HEAD of a mail scanner, no guess of a browser.
    let purpose = headers.get("sec-purpose").or_else(|| headers.get("purpose"));
    if method != Method::GET || purpose.is_some() {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, "not prefetched\n").into_response());
    }
    let (hash, now) = (door::hash(&token), app.clock.now());
    let opened = app.db.write(move |tx| async move { use_link(&tx, &hash, now).await }).await?;
    Ok(match opened {
        Some(session) => entered(&app, &session, "/"),
        None => errors::answer(
            StatusCode::GONE,
            "This link has been used, is too old or is not whole.",
            "A link signs in once, within a day. Sign in with your password; a demo prints a new link \
             when `carillon serve --demo` starts again.",
        ),
    })
}

async fn use_link(tx: &Tx, hash: &str, now: i64) -> Result<Option<String>, db::Error> {
    match accounts::use_link(tx, hash, now).await? {
        Some((account, workspace)) => {
            Ok(Some(door::open_session(tx, &account, &workspace, now).await?))
        }
        None => Ok(None),
    }
}

/// `POST /logout`
pub async fn leave(
    State(app): State<App>,
    caller: Result<Caller, ApiError>,
) -> Result<Response, ApiError> {
    match caller {
        Ok(caller) if caller.account_id.is_some() => {
            let hash = caller.by;
            app.db.write(move |tx| async move { accounts::end_session(&tx, &hash).await }).await?;
        }
        // Signed out already: the same page.
        Ok(_) => {}
        Err(e) if e.status() == StatusCode::UNAUTHORIZED => {}
        Err(e) => return Err(e),
    }
    Ok(with_cookie(auth::no_cookie(&app), "/login"))
}

/// Into the app with a new session.
pub(super) fn entered(app: &App, token: &str, next: &str) -> Response {
    with_cookie(auth::cookie(app, token), next)
}

fn with_cookie(cookie: header::HeaderValue, next: &str) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

/// E-mail addresses as they are kept and looked up.
pub(super) fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A path of ours to go on to; anything else leads to the start.
fn local(next: Option<&str>) -> String {
    let ours = |n: &&str| {
        n.starts_with('/')
            && !n.starts_with("//")
            && n.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
            && !n.starts_with("/login")
    };
    next.filter(ours).unwrap_or("/").to_owned()
}

fn form(status: StatusCode, email: &str, next: &str, wrong: Option<&str>) -> Response {
    let field = |name, label, kind, value, autocomplete| Field {
        name,
        label,
        kind,
        value,
        autocomplete,
        help: None,
        wrong: None,
    };
    let main = html! {
        h1 { "Sign in" }
        @if let Some(wrong) = wrong { p class="alert" role="alert" { (wrong) } }
        form method="post" action="/login" {
            (field("email", "E-mail", "email", email, "username").markup(&[]))
            (field("password", "Password", "password", "", "current-password").markup(&[]))
            input type="hidden" name="next" value=(next);
            p class="actions" { button { "Sign in" } }
        }
    };
    layout::respond(status, "Sign in", &main)
}

fn nobody() -> Response {
    let main = html! {
        h1 { "Nobody has an account here yet" }
        p { "When it starts, " code { "carillon serve" } " prints the address of the page that makes the first one." }
        p { "Open that address in this browser." }
    };
    layout::respond(StatusCode::OK, "First run", &main)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_paths_of_ours_are_gone_on_to() {
        let local = |n| super::local(Some(n));
        assert_eq!(local("/planner?month=2026-12"), "/planner?month=2026-12");
        for bad in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb: c",
            "",
            "/login/one_x",
        ] {
            assert_eq!(local(bad), "/", "{bad}");
        }
        assert_eq!(super::local(None), "/");
    }
}
