//! The first run: whoever holds the link that the server printed makes the first account.
//!
//! The link is sealed with the key ring and good for a day; it stops working with the first
//! account, which its own transaction checks.

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::tz;
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::db::{self, Tx};
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::identity::door;
use crate::ids;
use crate::store::accounts::{self, Account, Workspace};
use crate::web::pages::layout::{self, Field};
use crate::web::pages::{errors, login};
use crate::web::{ApiError, Query, Web, auth};

const PURPOSE: &str = "setup";
const PASSWORD_MIN: usize = 10;
const PASSWORD_MAX: usize = 1_000;
const NAME_MAX: usize = 100;

/// Where the first account can be made; `None` when there is one.
pub async fn link(app: &App) -> Result<Option<String>, Refusal> {
    if app.db.read(|tx| async move { accounts::any_account(&tx).await }).await? {
        return Ok(None);
    }
    let until = app.clock.now() + door::LINK_MS;
    let token = app.keys.ticket(&until.to_string(), PURPOSE);
    Ok(Some(format!("{}/setup?token={token}", app.public_url())))
}

#[derive(Deserialize)]
pub struct Token {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
pub struct First {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    workspace: String,
    #[serde(default)]
    timezone: String,
}

/// `GET /setup?token=…`
pub async fn show(
    State(app): State<App>,
    Query(query): Query<Token>,
) -> Result<Response, ApiError> {
    if let Some(closed) = closed(&app, &query.token).await? {
        return Ok(closed);
    }
    let first = First {
        token: query.token,
        name: String::new(),
        email: String::new(),
        password: String::new(),
        workspace: String::new(),
        timezone: "UTC".into(),
    };
    Ok(form(StatusCode::OK, &first, &[]))
}

/// `POST /setup`
pub async fn submit(
    State(web): State<Web>,
    headers: HeaderMap,
    Form(mut first): Form<First>,
) -> Result<Response, ApiError> {
    let app = &web.app;
    auth::from_our_pages(&headers, &app.public_url())?;
    if let Some(closed) = closed(app, &first.token).await? {
        return Ok(closed);
    }
    first.name = first.name.trim().to_owned();
    first.email = login::normal(&first.email);
    first.workspace = first.workspace.trim().to_owned();
    first.timezone = first.timezone.trim().to_owned();
    let wrong = check(&first);
    if !wrong.is_empty() {
        return Ok(form(StatusCode::UNPROCESSABLE_ENTITY, &first, &wrong));
    }
    let place = web.hashing.acquire().await;
    let hash = door::hash_password(first.password.clone()).await;
    drop(place);
    let hash = hash.map_err(|e| {
        tracing::error!(error = %e, "no password hash");
        ApiError::internal()
    })?;
    let now = app.clock.now();
    let session = app.db.write(move |tx| async move { begin(&tx, first, hash, now).await }).await?;
    Ok(match session {
        Some(session) => login::entered(app, &session, "/"),
        None => over(),
    })
}

/// The first workspace and account, and a session; `None` when somebody was quicker.
async fn begin(tx: &Tx, first: First, hash: String, now: i64) -> Result<Option<String>, db::Error> {
    if accounts::any_account(tx).await? {
        return Ok(None);
    }
    let workspace = Workspace {
        id: ids::new(now),
        name: first.workspace,
        timezone: first.timezone,
        demo_at: None,
    };
    let account = Account {
        id: ids::new(now),
        email: first.email,
        name: first.name,
        password_hash: Some(hash),
    };
    accounts::add_workspace(tx, &workspace, now).await?;
    accounts::add_account(tx, &account, &workspace.id, "owner", now).await?;
    Ok(Some(door::open_session(tx, &account.id, &workspace.id, now).await?))
}

/// The page for a link that opens nothing, if it is one.
async fn closed(app: &App, token: &str) -> Result<Option<Response>, ApiError> {
    if app.db.read(|tx| async move { accounts::any_account(&tx).await }).await? {
        return Ok(Some(over()));
    }
    let until = app.keys.read_ticket(token, PURPOSE).ok().and_then(|t| t.parse::<i64>().ok());
    if until.is_some_and(|until| app.clock.now() < until) {
        return Ok(None);
    }
    let fix = "Start `carillon serve` again: it prints a new link while nobody has an account.";
    let sentence = "This link is too old or not whole.";
    Ok(Some(errors::answer(StatusCode::GONE, sentence, fix)))
}

fn over() -> Response {
    let fix = "Sign in with it, or ask its owner to let you in.";
    errors::answer(StatusCode::GONE, "The first account has been made.", fix)
}

fn check(first: &First) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut name = |field: &str, value: &str, what: &str| {
        let count = value.chars().count();
        if !(1..=NAME_MAX).contains(&count) || value.chars().any(char::is_control) {
            let message = format!("{what} needs 1 to {NAME_MAX} characters.");
            wrong.push(Wrong::new(field, "name_length", message));
        }
    };
    name("name", &first.name, "Your name");
    name("workspace", &first.workspace, "The workspace's name");
    let email = &first.email;
    let plain = email.chars().all(|c| !c.is_control() && !c.is_whitespace());
    let halves = email.split_once('@').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
    if !plain || !halves || email.len() > 254 {
        let message = "That is no e-mail address.";
        wrong.push(Wrong::new("email", "email_invalid", message));
    }
    let count = first.password.chars().count();
    if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&count) {
        let message = format!("A password needs at least {PASSWORD_MIN} characters.");
        wrong.push(Wrong::new("password", "password_length", message));
    }
    if let Err(e) = when::zone(&first.timezone) {
        wrong.push(Wrong::new("timezone", "timezone_unknown", format!("{e}.")));
    }
    wrong
}

fn form(status: StatusCode, first: &First, wrong: &[Wrong]) -> Response {
    let field = |name: &str,
                 label: &str,
                 kind: &str,
                 value: &str,
                 auto: &str,
                 help: Option<&str>,
                 extra: &[(&str, &str)]| {
        let wrong = wrong.iter().find(|w| w.field == name).map(|w| w.message.as_str());
        Field { name, label, kind, value, autocomplete: auto, help, wrong }.markup(extra)
    };
    let main = html! {
        h1 { "Welcome to Carillon" }
        p { "Make the first account and its workspace." }
        @if !wrong.is_empty() {
            p class="alert" role="alert" { "Nothing was saved: correct what is marked below." }
        }
        form method="post" action="/setup" {
            input type="hidden" name="token" value=(first.token);
            (field("name", "Your name", "text", &first.name, "name", None, &[]))
            (field("email", "E-mail", "email", &first.email, "username", None, &[]))
            (field("password", "Password", "password", "", "new-password",
                Some("At least 10 characters."), &[("minlength", "10")]))
            (field("workspace", "Workspace", "text", &first.workspace, "organization",
                Some("The business or brand that you publish for."), &[]))
            (field("timezone", "Time zone", "text", &first.timezone, "off",
                Some("Times in the planner are shown in it, for example Europe/London."), &[("list", "zones")]))
            (zones())
            p class="actions" { button { "Start" } }
        }
    };
    layout::respond(status, "Welcome", &main)
}

/// Every zone with a place in its name, for the browser's suggestions.
fn zones() -> Markup {
    let plain = |name: &String| {
        name == "UTC"
            || (name.contains('/')
                && !["Etc/", "SystemV/", "posix/", "right/"].iter().any(|p| name.starts_with(p)))
    };
    let names = tz::db().available().map(|name| name.to_string()).filter(plain);
    html! { datalist id="zones" { @for name in names { option value=(name) {} } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_named_at_once() {
        let mut first = First {
            token: String::new(),
            name: String::new(),
            email: "nobody".into(),
            password: "short".into(),
            workspace: "a\nb".into(),
            timezone: "Mars/Base".into(),
        };
        let wrong: Vec<String> = check(&first).into_iter().map(|w| w.field).collect();
        assert_eq!(wrong, ["name", "workspace", "email", "password", "timezone"]);
        first.name = "Ada".into();
        first.email = "ada@example.com".into();
        first.password = "ten letters".into();
        first.workspace = "Bakery".into();
        first.timezone = "Europe/London".into();
        assert_eq!(check(&first), []);
    }
}
