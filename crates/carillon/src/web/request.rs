//! What every request passes through: a name, a span, a time limit, a net for panics, and the
//! headers that every answer carries.
//!
//! Logged are method, route, status and time. Never bodies, query strings or headers: they hold
//! what people write and what opens doors.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;

use crate::domain::refusal::Kind;
use crate::ids;
use crate::web::error::{self, ApiError};
use crate::web::{Web, pages, router};

const LIMIT: Duration = Duration::from_secs(30);
/// A picture over a slow line.
const UPLOAD_LIMIT: Duration = Duration::from_secs(600);
/// A piece of a file, which ends by itself when nothing comes any more.
const PIECE_LIMIT: Duration = Duration::from_secs(86_400);

/// What HTML may load and do. `require-trusted-types-for` makes injected markup inert; of the two
/// policies one is Svelte's, the other knows one address, that of the service worker.
const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html carillon-worker";

tokio::task_local! {
    static ID: String;
}

/// The name of the request that is being answered.
pub fn id() -> Option<String> {
    ID.try_with(Clone::clone).ok()
}

pub async fn pass(State(web): State<Web>, request: Request, next: Next) -> Response {
    let id = ids::secret();
    let path = request.uri().path().to_owned();
    let wants_html = wants_html(request.headers());
    // The route, not the path: paths hold one-time links.
    let route = request.extensions().get::<MatchedPath>().map_or("-", |m| m.as_str());
    let span = tracing::info_span!("request", method = %request.method(), route, request_id = %id);
    let began = web.app.clock.mono();

    let answered = async {
        let response = run(request, next).await;
        if router::is_api(&path) {
            error::dress(response)
        } else if wants_html {
            pages::errors::dress(response)
        } else {
            response
        }
    };
    let mut response = ID.scope(id.clone(), answered).instrument(span.clone()).await;
    add_headers(&mut response, &id, web.app.public_url().starts_with("https://"));

    let (status, ms) = (response.status().as_u16(), web.app.clock.mono() - began);
    span.in_scope(|| match status {
        500.. => tracing::warn!(status, ms, "answered"),
        _ if router::is_probe(&path) => tracing::debug!(status, ms, "answered"),
        _ => tracing::info!(status, ms, "answered"),
    });
    response
}

/// Does a person's browser wait for a page?
pub fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|a| a.contains("text/html"))
}

async fn run(request: Request, next: Next) -> Response {
    let uri = request.uri();
    if uri.path().contains("%00") || uri.query().is_some_and(|q| q.contains("%00")) {
        let sentence = "The address holds the character U+0000.";
        return ApiError::new(Kind::Invalid, "nul_character", sentence, "Leave it out.")
            .with_status(StatusCode::BAD_REQUEST)
            .into_response();
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let limit = match request.uri().path() {
        path if router::is_resumable(path) => PIECE_LIMIT,
        _ if router::is_upload(&request) => UPLOAD_LIMIT,
        _ => LIMIT,
    };
    let work = ID.scope(id().unwrap_or_default(), next.run(request)).in_current_span();
    let ended = if reads {
        tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await.map(Result::ok)
    } else {
        // In a task of its own: a write ends what it began although its caller has gone.
        tokio::time::timeout(limit, tokio::spawn(work)).await.map(Result::ok)
    };
    match ended {
        Ok(Some(response)) => response,
        Ok(None) => {
            // The panic's own message is in the log by the panic hook.
            tracing::error!("a handler panicked");
            ApiError::internal().into_response()
        }
        Err(_) => too_slow(reads),
    }
}

fn too_slow(reads: bool) -> Response {
    let sentence = "The answer took too long.";
    let fix = if reads {
        "Try again in a moment."
    } else {
        "It is still being worked on: look at what it changes before sending it again, and send it \
         with an Idempotency-Key."
    };
    ApiError::new(Kind::Unavailable, "too_slow", sentence, fix).into_response()
}

fn add_headers(response: &mut Response, id: &str, https: bool) {
    let html = is_html(response);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    let mut or = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    or(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    or(header::CACHE_CONTROL, "no-store");
    // Not `no-referrer`: with it browsers send forms with `Origin: null`.
    or(header::REFERRER_POLICY, "same-origin");
    if https {
        or(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if html {
        or(header::CONTENT_SECURITY_POLICY, CSP);
        or(header::X_FRAME_OPTIONS, "DENY");
        or(
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
        );
    }
}

fn is_html(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.is_some_and(|k| k.starts_with("text/html"))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use axum::{Router, http};
    use tower::ServiceExt;

    use super::*;
    use crate::app::App;
    use crate::clock::Clock;
    use crate::config::Config;

    async fn boom() -> &'static str {
        panic!("on purpose")
    }

    async fn ask(method: &str, path: &str, accept: &str) -> (http::response::Parts, String) {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().to_string_lossy().into_owned();
        let config = Config::read(|name| (name == "CARILLON_DATA").then(|| data.clone())).unwrap();
        let web = Web::new(App::open(config, Clock::system()).await.unwrap());
        let router = Router::new()
            .route("/api/boom", get(boom).post(boom))
            .route("/boom", get(boom))
            .layer(from_fn_with_state(web.clone(), pass))
            .with_state(web);
        let request = Request::builder().method(method).uri(path).header("accept", accept);
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_with_the_request_id_and_nothing_of_the_panic() {
        for method in ["GET", "POST"] {
            let (parts, body) = ask(method, "/api/boom", "*/*").await;
            let id = parts.headers["x-request-id"].to_str().unwrap();
            let envelope: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(parts.status, 500);
            assert_eq!(envelope["code"], "internal");
            assert_eq!(envelope["requestId"], id);
            assert!(!body.contains("purpose"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_person_gets_a_page_that_can_load_nothing_foreign() {
        let (parts, body) = ask("GET", "/boom", "text/html").await;
        assert_eq!(parts.status, 500);
        assert!(body.contains("Something went wrong on our side."), "{body}");
        let csp = parts.headers["content-security-policy"].to_str().unwrap();
        assert!(csp.contains("require-trusted-types-for 'script'") && !csp.contains("unsafe"));
        assert_eq!(parts.headers["cache-control"], "no-store");
    }
}
