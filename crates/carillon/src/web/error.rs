//! The one shape of a refusal: `{error, code, status, requestId, details}`.
//!
//! Handlers return [`ApiError`]; what the framework itself refuses (an unknown route, a wrong
//! method, a body too large) is given the same shape on its way out by [`dress`].

use std::collections::BTreeMap;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response};
use utoipa::{IntoResponses, ToSchema};

use crate::db;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::when;
use crate::web::request;

/// Every answer of 400 and above.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "error": "The text has 311 characters; Bluesky takes 300.",
    "code": "text_too_long",
    "status": 422,
    "requestId": "3f0c6f2b9d5e4a1c8b7a6d5e4f3c2b1a",
    "details": {
        "cause": "What was sent does not fit the rules.",
        "fix": "Correct the fields named in `problems` and send it again; nothing was saved.",
        "retry": false,
        "problems": [{
            "field": "deliveries[0].text",
            "code": "text_too_long",
            "message": "The text has 311 characters; Bluesky takes 300.",
            "connectionId": "01993d3c-8f00-7a53-9c1e-2b6f4d1e0a77"
        }]
    }
}))]
pub struct Envelope {
    /// One plain sentence.
    pub error: String,
    /// Stable word for programs.
    pub code: String,
    pub status: u16,
    /// The name of this exchange in the server's log; also the header `x-request-id`.
    pub request_id: Option<String>,
    pub details: Details,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    pub cause: String,
    /// What to do.
    pub fix: String,
    /// May the same request work later?
    pub retry: bool,
    /// Every wrong field, not the first only.
    pub problems: Vec<Wrong>,
    /// The next time at which the same would be taken, for `collision` and `duplicate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggested_at: Option<String>,
}

/// A refusal on its way to a caller.
#[derive(Debug, Clone)]
pub struct ApiError {
    refusal: Box<Refusal>,
    status: StatusCode,
    /// In seconds.
    retry_after: Option<u64>,
}

impl ApiError {
    pub fn new(
        kind: Kind,
        code: &str,
        sentence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Refusal::new(kind, code, sentence, fix).into()
    }

    /// With another status than the kind's own: 400 for what cannot even be read.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What a fault of ours looks like from outside; its cause is in the log under the request id.
    pub fn internal() -> Self {
        let fix = "Try again; if it stays, give the request id to whoever runs this installation.";
        Self::new(Kind::Internal, "internal", "Something went wrong on our side.", fix)
    }

    /// The refusal that a bare status of the framework stands for.
    fn of_status(status: StatusCode) -> Self {
        let (kind, code, sentence, fix) = match status {
            StatusCode::NOT_FOUND => (
                Kind::NotFound,
                "no_such_route",
                "There is nothing at this address.",
                "Check the path; `GET /api/v1/openapi.json` lists every one.",
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                Kind::Invalid,
                "method_not_allowed",
                "This address does not take that method.",
                "Use a method named in the `allow` header.",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => (
                Kind::TooLarge,
                "too_large",
                "The request is larger than is taken here.",
                "Send less at once.",
            ),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (
                Kind::Unsupported,
                "content_type",
                "This content type is not taken here.",
                "Send JSON with `content-type: application/json`.",
            ),
            s if s.is_client_error() => {
                (Kind::Invalid, "invalid", "The request cannot be read.", "Check its form.")
            }
            _ => return Self::internal().with_status(status),
        };
        Self::new(kind, code, sentence, fix).with_status(status)
    }

    fn envelope(&self) -> Envelope {
        let Refusal { kind, code, sentence, fix, problems, suggested_at } = (*self.refusal).clone();
        Envelope {
            error: sentence,
            code,
            status: self.status.as_u16(),
            request_id: request::id(),
            details: Details {
                cause: cause(kind).to_owned(),
                fix,
                retry: self.retry_after.is_some()
                    || matches!(
                        kind,
                        Kind::TooMany | Kind::Unavailable | Kind::Full | Kind::Internal
                    ),
                problems,
                suggested_at: suggested_at.map(when::iso),
            },
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = status(refusal.kind);
        // A caller that does not wait makes an outage worse.
        let retry_after = (refusal.kind == Kind::Unavailable).then_some(2);
        Self { refusal: Box::new(refusal), status, retry_after }
    }
}

impl From<db::Error> for ApiError {
    fn from(e: db::Error) -> Self {
        Refusal::from(e).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.envelope())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(Told(self));
        response
    }
}

/// Marks an answer whose words were chosen for its reader.
#[derive(Clone)]
pub struct Told(pub ApiError);

/// Marks an answer of 400 and above that is no refusal: its body is what was asked for.
#[derive(Clone)]
pub struct Spoken;

/// Gives an answer of the framework the envelope; what has its words already stays.
pub fn dress(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error())
        || response.extensions().get::<Told>().is_some()
        || response.extensions().get::<Spoken>().is_some()
    {
        return response;
    }
    let mut dressed = ApiError::of_status(status).into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        dressed.headers_mut().insert(header::ALLOW, allow.clone());
    }
    dressed
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn cause(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "What was sent does not fit the rules.",
        Kind::Unauthorized => "It is not known who asks.",
        Kind::Forbidden => "Whoever asks may not do this.",
        Kind::NotFound => "It does not exist, or not in this workspace.",
        Kind::Conflict => "It does not fit what has happened in the meantime.",
        Kind::TooLarge => "More was sent than is taken.",
        Kind::Unsupported => "The form of what was sent is not one that is taken.",
        Kind::TooMany => "Too much was asked in too short a time.",
        Kind::Unavailable => "Something that is needed did not answer.",
        Kind::Full => "There is no room for what was sent.",
        Kind::Internal => "A fault of ours.",
    }
}

/// The refusals of a handler that only reads, for its documentation.
pub struct Reads;

impl IntoResponses for Reads {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        documented(&[
            ("400", "The request cannot be read."),
            ("401", "No valid API key or session came with the request."),
            ("404", "There is no such thing in this workspace."),
            (
                "422",
                "Something that was sent is wrong: every wrong field is in `details.problems`.",
            ),
            ("500", "A fault of ours."),
            ("503", "The database or the media store is not available; try again."),
        ])
    }
}

/// The refusals of a handler that writes.
pub struct Writes;

impl IntoResponses for Writes {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let mut all = documented(&[
            ("403", "A browser of another site asked (`cross_site`)."),
            (
                "409",
                "It does not fit the present state, or the same Idempotency-Key is being worked on.",
            ),
            ("413", "The body is too large."),
            ("415", "The content type is not taken."),
            ("507", "The media store is full."),
        ]);
        all.extend(Reads::responses());
        all
    }
}

fn documented(all: &[(&str, &str)]) -> BTreeMap<String, RefOr<response::Response>> {
    let envelope = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Envelope"))).build();
    all.iter()
        .map(|(status, why)| {
            let response =
                ResponseBuilder::new().description(*why).content("application/json", envelope());
            ((*status).to_owned(), response.build().into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;

    async fn body(response: Response) -> Value {
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_keeps_every_problem_and_its_next_step() {
        let wrong = vec![
            Wrong::new("text", "text_required", "A text is needed."),
            Wrong::new("media", "media_min", "A picture is needed.").at("c1"),
        ];
        let response = ApiError::from(Refusal::invalid(wrong)).into_response();
        assert_eq!(response.status(), 422);
        let body = body(response).await;
        assert_eq!(body["code"], "text_required");
        assert_eq!(body["status"], 422);
        assert_eq!(body["details"]["retry"], false);
        assert_eq!(body["details"]["problems"][1]["connectionId"], "c1");
        assert!(body["details"]["fix"].as_str().unwrap().contains("problems"));
    }

    #[tokio::test]
    async fn what_the_framework_refuses_gets_the_envelope_and_keeps_allow() {
        let bare = (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
        let dressed = dress(bare);
        assert_eq!(dressed.headers()[header::ALLOW], "GET");
        assert_eq!(body(dressed).await["code"], "method_not_allowed");
        let fine = axum::Json(json!({ "a": 1 })).into_response();
        assert_eq!(body(dress(fine)).await, json!({ "a": 1 }));
    }

    #[tokio::test]
    async fn a_database_that_is_away_asks_for_another_try() {
        let response = ApiError::from(db::Error::Unavailable("locked".into())).into_response();
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        let body = body(response).await;
        assert_eq!(body["details"]["retry"], true);
        assert!(!body.to_string().contains("locked"), "no internals: {body}");
    }
}
