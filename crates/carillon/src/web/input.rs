//! What handlers take in: JSON, query strings and ids, each refused with what is wrong in it.

use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::ids;
use crate::web::ApiError;

/// A JSON body, in and out.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // Asked for: a foreign page can send forms without a preflight, but no JSON.
        if !is_json(request.headers()) {
            return Err(undeclared());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        parse(&bytes).map(Json)
    }
}

/// A JSON body that may be left out: everything in it has a value when not given.
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let declared = is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if declared { parse(&bytes).map(Self) } else { Err(undeclared()) }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        // Into one vector: axum's own way takes its time over answers of thousands of items.
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(_) => axum::Json(self.0).into_response(),
        }
    }
}

fn undeclared() -> ApiError {
    ApiError::new(
        Kind::Unsupported,
        "content_type",
        "The body is not declared as JSON.",
        "Send it with `content-type: application/json`.",
    )
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A body that did not arrive whole.
pub fn unread(e: BytesRejection) -> ApiError {
    if e.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let sentence = "The body is larger than is taken here.";
        return ApiError::new(Kind::TooLarge, "too_large", sentence, "Send at most 1 MB of JSON.");
    }
    ApiError::new(
        Kind::Invalid,
        "body_cut_off",
        "The body ended before it was whole.",
        "Send it again; nothing was saved.",
    )
    .with_status(StatusCode::BAD_REQUEST)
}

/// A body that is JSON, whatever it was declared as.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if holds_nul(bytes) {
        let message = "A text holds the character U+0000, which no database keeps.";
        return Err(Refusal::invalid(vec![Wrong::new("", "nul_character", message)]).into());
    }
    match axum::Json::from_bytes(bytes) {
        Ok(axum::Json(value)) => Ok(value),
        Err(e @ JsonRejection::JsonDataError(_)) => {
            let (field, message) = located(&e.body_text());
            let wrong = Wrong::new(field, "invalid_field", message);
            Err(Refusal::invalid(vec![wrong]).into())
        }
        Err(e) => {
            let (_, message) = located(&e.body_text());
            Err(ApiError::new(
                Kind::Invalid,
                "invalid_json",
                format!("The body is no valid JSON: {message}"),
                "Check quotes, commas and brackets at that place.",
            )
            .with_status(StatusCode::BAD_REQUEST))
        }
    }
}

/// `Failed to …: deliveries[0].text: invalid type: …` as field and sentence.
fn located(text: &str) -> (String, String) {
    let detail = text.split_once(": ").map_or(text, |(_, detail)| detail);
    match detail.split_once(": ") {
        Some((path, rest)) if is_path(path) => (path.to_owned(), format!("`{path}`: {rest}.")),
        _ => (String::new(), format!("{detail}.")),
    }
}

/// Is this the path of a field (`deliveries[0].text`), and not the first words of a message?
fn is_path(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '-' | '?'))
}

/// Does any text in it hold U+0000? PostgreSQL cannot keep that character.
fn holds_nul(bytes: &[u8]) -> bool {
    fn within(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(s) => s.contains('\0'),
            serde_json::Value::Array(all) => all.iter().any(within),
            serde_json::Value::Object(all) => {
                all.iter().any(|(k, v)| k.contains('\0') || within(v))
            }
            _ => false,
        }
    }
    // The escape is the only way to write it; a text that merely looks like it is read to be sure.
    bytes.windows(6).any(|w| w == br"\u0000")
        && serde_json::from_slice(bytes).is_ok_and(|v| within(&v))
}

/// The query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(e) => {
                let (field, message) = located(&e.body_text());
                Err(Refusal::invalid(vec![Wrong::new(field, "invalid_query", message)]).into())
            }
        }
    }
}

/// The id in the path. What is no id is answered as what does not exist, without a look.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) if ids::valid(&id) => Ok(Self(id.to_ascii_lowercase())),
            _ => Err(ApiError::new(
                Kind::NotFound,
                "not_found",
                "There is nothing with this id in this workspace.",
                "Check the id: it is a UUID.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        deliveries: Vec<Inner>,
    }
    #[derive(Debug, Deserialize)]
    struct Inner {
        text: String,
    }

    fn refused(body: &str) -> ApiError {
        parse::<Outer>(body.as_bytes()).expect_err(body)
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let e = refused(r#"{"deliveries":[{"text":"a"},{"text":5}]}"#);
        assert_eq!(e.status(), 422);
        assert_eq!(e.refusal().problems[0].field, "deliveries[1].text");
        assert!(e.refusal().sentence.contains("expected a string"), "{:?}", e.refusal());
        let e = refused("{}");
        assert!(e.refusal().sentence.contains("missing field `deliveries`"), "{:?}", e.refusal());
    }

    #[test]
    fn broken_json_is_told_where_it_breaks() {
        let e = refused(r#"{"deliveries":[}"#);
        assert_eq!(e.status(), 400);
        assert_eq!(e.refusal().code, "invalid_json");
        assert!(e.refusal().sentence.contains("line 1 column 16"), "{:?}", e.refusal());
    }

    #[test]
    fn nul_is_refused_and_its_spelling_is_not() {
        assert_eq!(
            refused(r#"{"deliveries":[{"text":"a\u0000"}]}"#).refusal().code,
            "nul_character"
        );
        let fine =
            parse::<Outer>(br#"{"deliveries":[{"text":"a\\u0000"}]}"#).expect("only spelled");
        assert_eq!(fine.deliveries[0].text, r"a\u0000");
    }

    #[test]
    fn only_json_counts_as_json() {
        let of = |v: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(v));
            is_json(&headers)
        };
        assert!(of("application/json; charset=utf-8") && of("application/merge-patch+json"));
        assert!(!of("text/plain") && !of("application/x-www-form-urlencoded"));
    }
}
