//! `Idempotency-Key`: the same write with the same key is answered once and repeated afterwards.
//!
//! `POST /posts` keeps its answer in the transaction of the post itself, so that a crash cannot part
//! them. The others keep theirs after the fact: a crash in between makes the write run again. What
//! failed on our side is not kept, so that it can be tried again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::db;
use crate::domain::refusal::Kind;
use crate::publishing::schedule::Keyed;
use crate::store::idempotency::{self, Kept};
use crate::web::error::Spoken;
use crate::web::router::{BODY_LIMIT, is_resumable};
use crate::web::{ApiError, Web, auth};

const HEADER: &str = "idempotency-key";
const REPLAY: HeaderName = HeaderName::from_static("idempotent-replay");

/// Keys that are being worked on in this process, with their workspaces.
#[derive(Default)]
pub(crate) struct InFlight(Mutex<HashSet<(String, String)>>);

pub async fn once(State(web): State<Web>, request: Request, next: Next) -> Response {
    match answer(&web, request, next).await {
        Ok(response) => response,
        Err(e) => e.into_response(),
    }
}

async fn answer(web: &Web, request: Request, next: Next) -> Result<Response, ApiError> {
    let Some(key) = key(&request)? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let caller = auth::caller(&web.app, &parts).await?.ok_or_else(auth::unknown)?;
    let workspace = caller.workspace_id.clone();
    parts.extensions.insert(caller);

    let limit = BODY_LIMIT.max(web.app.config.media.image_max_bytes as usize);
    let bytes = match read(body, limit).await? {
        Ok(bytes) => bytes,
        // Larger than is held in memory to compare it: a video, which is taken again when it is sent
        // again; or too large for any handler, which says so in its own words.
        Err(rest) => return Ok(next.run(Request::from_parts(parts, rest)).await),
    };
    let asked = parts.uri.path_and_query().map_or("", |p| p.as_str());
    let hash = hash(&parts.method, asked, &bytes);
    let _turn = Turn::take(&web.in_flight, &workspace, &key)?;
    if let Some(kept) = find(web, &workspace, &key).await? {
        return replay(kept, &hash);
    }

    let keeps_itself = parts.method == Method::POST && parts.uri.path() == "/api/v1/posts";
    if keeps_itself {
        parts.extensions.insert(Keyed { key: key.clone(), request_hash: hash.clone() });
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if keeps_itself {
        if response.status().is_server_error()
            && let Some(kept) = find(web, &workspace, &key).await?
        {
            // Another process was quicker with the same key, or its commit was in doubt.
            return replay(kept, &hash);
        }
        return Ok(response);
    }
    keep(web, &workspace, key, hash, response).await
}

/// The header, for the documentation of every write.
pub fn parameter() -> Parameter {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[!-~]+$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The same key with the same request is answered with the first answer, and nothing \
             happens twice. Kept for a day.",
        ))
        .schema(Some(text))
        .build()
}

/// The key of a write that takes one.
fn key(request: &Request) -> Result<Option<String>, ApiError> {
    let writes = matches!(*request.method(), Method::POST | Method::PATCH | Method::DELETE);
    let path = request.uri().path();
    let ours = (path.starts_with("/api/v1/") && !is_resumable(path))
        || path.starts_with("/api/publishing/");
    let Some(value) = request.headers().get(HEADER).filter(|_| writes && ours) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(ApiError::new(
            Kind::Invalid,
            "idempotency_key_invalid",
            "The Idempotency-Key is not 1 to 255 visible ASCII characters.",
            "Send a UUID, a new one for each thing that is to happen.",
        )
        .with_status(StatusCode::BAD_REQUEST)),
    }
}

/// The whole body; or, when it is longer than `limit`, a body that gives the same bytes.
async fn read(body: Body, limit: usize) -> Result<Result<Bytes, Body>, ApiError> {
    let mut rest = body.into_data_stream();
    let mut read = BytesMut::new();
    while let Some(chunk) = rest.next().await {
        let chunk = chunk.map_err(|_| {
            let sentence = "The body ended before it was whole.";
            ApiError::new(Kind::Invalid, "body_cut_off", sentence, "Send it again.")
                .with_status(StatusCode::BAD_REQUEST)
        })?;
        read.extend_from_slice(&chunk);
        if read.len() > limit {
            let begun = stream::iter([Ok(read.freeze())]);
            return Ok(Err(Body::from_stream(begun.chain(rest))));
        }
    }
    Ok(Ok(read.freeze()))
}

fn hash(method: &Method, path: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{method} {path}\n"));
    hash.update(body);
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

async fn find(web: &Web, workspace: &str, key: &str) -> Result<Option<Kept>, db::Error> {
    let (workspace, key) = (workspace.to_owned(), key.to_owned());
    web.app.db.read(move |tx| async move { idempotency::find(&tx, &workspace, &key).await }).await
}

fn replay(kept: Kept, hash: &str) -> Result<Response, ApiError> {
    if kept.request_hash != hash {
        return Err(ApiError::new(
            Kind::Invalid,
            "idempotency_key_reused",
            "This Idempotency-Key came with another request before.",
            "Use a new key for a new request, and the same body for the same key.",
        ));
    }
    let status = u16::try_from(kept.status).ok().and_then(|s| StatusCode::from_u16(s).ok());
    let mut response = (status.unwrap_or(StatusCode::OK), kept.body).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAY, HeaderValue::from_static("true"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == Some(StatusCode::NO_CONTENT) {
        headers.remove(header::CONTENT_TYPE);
    }
    response.extensions_mut().insert(Spoken);
    Ok(response)
}

/// Keeps what will not change by itself; the answer goes out whether or not that worked.
async fn keep(
    web: &Web,
    workspace: &str,
    key: String,
    request_hash: String,
    response: Response,
) -> Result<Response, ApiError> {
    let status = response.status();
    let passing = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || passing.contains(&status) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.map_err(|_| ApiError::internal())?;
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let kept = Kept { request_hash, status: i64::from(status.as_u16()), body };
    let (workspace, now) = (workspace.to_owned(), web.app.clock.now());
    let written = web
        .app
        .db
        .write(move |tx| async move { idempotency::keep(&tx, &workspace, &key, &kept, now).await })
        .await;
    if let Err(e) = written {
        tracing::warn!(error = %e, "an answer was not kept: the same key would run again");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// The right to work on one key, until dropped.
struct Turn<'a> {
    all: &'a InFlight,
    mine: (String, String),
}

impl<'a> Turn<'a> {
    fn take(all: &'a InFlight, workspace: &str, key: &str) -> Result<Self, ApiError> {
        let mine = (workspace.to_owned(), key.to_owned());
        if all.0.lock().unwrap_or_else(PoisonError::into_inner).insert(mine.clone()) {
            return Ok(Self { all, mine });
        }
        Err(ApiError::new(
            Kind::Conflict,
            "in_progress",
            "A request with this Idempotency-Key is being worked on.",
            "Wait a moment and send it again: it is answered with the first one's answer.",
        )
        .retry_after(1))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.mine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, key: &'static [u8]) -> Request {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().insert(HEADER, HeaderValue::from_bytes(key).unwrap());
        request
    }

    #[test]
    fn writes_take_a_key_and_reads_ignore_it() {
        assert_eq!(key(&request("POST", "/api/v1/posts", b"a-1")).unwrap().as_deref(), Some("a-1"));
        assert_eq!(
            key(&request("DELETE", "/api/publishing/x", b"a")).unwrap().as_deref(),
            Some("a")
        );
        assert_eq!(key(&request("GET", "/api/v1/posts", b"a-1")).unwrap(), None);
        assert_eq!(key(&request("POST", "/login", b"a-1")).unwrap(), None);
        for bad in [&b""[..], b"a b", "\u{e4}".as_bytes(), &[b'x'; 256]] {
            let e = key(&request("POST", "/api/v1/posts", bad)).expect_err("no key");
            assert_eq!(
                (e.status().as_u16(), e.refusal().code.as_str()),
                (400, "idempotency_key_invalid")
            );
        }
    }

    #[test]
    fn one_key_is_worked_on_once_at_a_time() {
        let all = InFlight::default();
        let first = Turn::take(&all, "w", "k").expect("free");
        assert_eq!(Turn::take(&all, "w", "k").err().expect("taken").refusal().code, "in_progress");
        assert!(Turn::take(&all, "other", "k").is_ok(), "another workspace's key");
        drop(first);
        assert!(Turn::take(&all, "w", "k").is_ok());
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_goes_on_unchanged() {
        let chunks = ["aaaa", "bbbb", "cccc"].map(|c| Ok::<_, std::io::Error>(Bytes::from(c)));
        let body = Body::from_stream(stream::iter(chunks));
        let rest = read(body, 6).await.unwrap().expect_err("longer than 6");
        assert_eq!(to_bytes(rest, 100).await.unwrap(), "aaaabbbbcccc");
        assert_eq!(read(Body::from("abc"), 6).await.unwrap().expect("short"), "abc");
    }
}
