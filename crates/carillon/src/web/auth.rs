//! Who asks: an API key as bearer token, or a browser's session cookie.
//!
//! A browser sends cookies also when another site asks it to, so a write by cookie must come from
//! our own pages: the browser says so in `Sec-Fetch-Site`, older ones in `Origin`.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};

use crate::app::App;
use crate::domain::refusal::Kind;
use crate::identity::door;
use crate::store::accounts;
use crate::web::{ApiError, Web};

const COOKIE: &str = "carillon_session";
/// Failed sign-ins a minute for one e-mail address from one network address.
const TRIES_EACH: usize = 5;
/// Failed sign-ins a minute from one network address: guessing one password for many accounts.
const TRIES_ADDRESS: usize = 30;

/// The workspace that a request may see, and who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub workspace_id: String,
    /// `None` for an API key.
    pub account_id: Option<String>,
    /// The session's hash or the key's id.
    pub by: String,
}

impl Caller {
    /// Who this is in the audit trail.
    pub fn actor(&self) -> String {
        match &self.account_id {
            Some(id) => format!("account:{id}"),
            None => format!("key:{}", self.by),
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Some(known) = parts.extensions.get::<Caller>() {
            return Ok(known.clone());
        }
        let caller = caller(&App::from_ref(state), parts).await?.ok_or_else(unknown)?;
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// A caller who runs the workspace, signed in as a person: a key is what programs have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin(pub Caller);

impl<S> FromRequestParts<S> for Admin
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let Some(account) = caller.account_id.clone() else { return Err(admins_only()) };
        let workspace = caller.workspace_id.clone();
        let app = App::from_ref(state);
        let role = app
            .db
            .read(move |tx| async move { accounts::role(&tx, &account, &workspace).await })
            .await?;
        match role {
            Some(role) if door::is_admin(&role) => Ok(Self(caller)),
            _ => Err(admins_only()),
        }
    }
}

fn admins_only() -> ApiError {
    ApiError::new(
        Kind::Forbidden,
        "admins_only",
        "Only the owner and admins of the workspace may see this.",
        "Sign in as one of them; an API key does not open it.",
    )
}

/// Who sent this request; `None` when nobody that is known.
pub async fn caller(app: &App, parts: &Parts) -> Result<Option<Caller>, ApiError> {
    let (token, by_cookie) = match bearer(&parts.headers) {
        Some(token) => (token, false),
        None => match session_token(&parts.headers) {
            Some(token) => (token, true),
            None => return Ok(None),
        },
    };
    let Some(opened) = door::who(&app.db, token, app.clock.now()).await? else { return Ok(None) };
    // A cookie never carries a key, and a session is no bearer token.
    if opened.account_id.is_some() != by_cookie {
        return Ok(None);
    }
    if by_cookie && !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        from_our_pages(&parts.headers, &app.public_url())?;
    }
    Ok(Some(Caller {
        workspace_id: opened.workspace_id,
        account_id: opened.account_id,
        by: opened.by,
    }))
}

/// Nobody that is known asks.
pub fn unknown() -> ApiError {
    ApiError::new(
        Kind::Unauthorized,
        "unauthorized",
        "No valid API key or session came with the request.",
        "Sign in at `/login`, or send `Authorization: Bearer car_…` with a key that is not revoked.",
    )
}

/// The token of `Authorization: Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) =
        headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The session's token in the cookie.
pub fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// `Set-Cookie` for a new session.
pub fn cookie(app: &App, token: &str) -> HeaderValue {
    set_cookie(app, token, door::SESSION_MS / 1000)
}

/// `Set-Cookie` that takes it away.
pub fn no_cookie(app: &App) -> HeaderValue {
    set_cookie(app, "", 0)
}

fn set_cookie(app: &App, value: &str, seconds: i64) -> HeaderValue {
    let secure = if app.public_url().starts_with("https://") { "; Secure" } else { "" };
    let line =
        format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // Tokens are base64url: every byte is one that a header takes.
    HeaderValue::from_str(&line).unwrap_or(HeaderValue::from_static(""))
}

/// Refuses a browser's write that one of our own pages did not ask for.
pub fn from_our_pages(headers: &HeaderMap, public_url: &str) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            origin.eq_ignore_ascii_case(public_url) || (host.is_some() && host == text("host"))
        }
        (None, None) => false,
    };
    if ours {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::Forbidden,
        "cross_site",
        "Another site asked the browser to do this.",
        "Do it from Carillon's own pages. Programs use an API key instead of the cookie; behind a \
         proxy, set CARILLON_PUBLIC_URL to the address that people open.",
    ))
}

/// A place among the sign-ins that may be tried now, counted as failed until
/// [`SignIn::succeeded`].
pub struct SignIn<'a> {
    web: &'a Web,
    key: String,
}

impl<'a> SignIn<'a> {
    pub fn begin(web: &'a Web, email: &str, from: Option<SocketAddr>) -> Result<Self, ApiError> {
        let address = from.map_or_else(|| "unknown".to_owned(), |a| a.ip().to_string());
        let key = format!("{address} {email}");
        let now = web.app.clock.mono();
        let tries = &web.sign_ins;
        tries
            .begin(&address, TRIES_ADDRESS, now)
            .and_then(|()| tries.begin(&key, TRIES_EACH, now))
            .map_err(too_many)?;
        Ok(Self { web, key })
    }

    pub fn succeeded(self) {
        self.web.sign_ins.clear(&self.key);
    }
}

fn too_many(seconds: u64) -> ApiError {
    ApiError::new(
        Kind::TooMany,
        "too_many_sign_ins",
        "Too many sign-ins failed in the last minute.",
        format!("Wait {seconds} s and try again."),
    )
    .retry_after(seconds)
}

/// Where a request came from, when the server knows.
pub struct Peer(pub Option<SocketAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn only_our_own_pages_may_write_by_cookie() {
        let ours = |all| from_our_pages(&headers(all), "https://carillon.example").is_ok();
        assert!(ours(&[("sec-fetch-site", "same-origin")]));
        assert!(ours(&[("sec-fetch-site", "none")]));
        assert!(!ours(&[("sec-fetch-site", "same-site")]), "a neighbour's subdomain");
        assert!(!ours(&[("sec-fetch-site", "cross-site"), ("origin", "https://carillon.example")]));
        assert!(ours(&[("origin", "https://carillon.example"), ("host", "inner:8080")]));
        assert!(ours(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(!ours(&[("origin", "https://evil.example"), ("host", "127.0.0.1:8080")]));
        assert!(!ours(&[("origin", "null"), ("host", "127.0.0.1:8080")]));
        assert!(!ours(&[("host", "127.0.0.1:8080")]), "a browser says where from");
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let all = headers(&[("cookie", "a=b; carillon_session=ses_x; c=d")]);
        assert_eq!(session_token(&all), Some("ses_x"));
        assert_eq!(session_token(&headers(&[("cookie", "xcarillon_session=1")])), None);
        assert_eq!(bearer(&headers(&[("authorization", "bearer car_1")])), Some("car_1"));
        assert_eq!(bearer(&headers(&[("authorization", "Basic eDp5")])), None);
    }
}
