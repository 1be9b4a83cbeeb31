//! One request to a network as its code reads it, and one answer.
//!
//! Networks take the same parameter from the query, a form, a multipart form or JSON; [`Call`] hides
//! which one it was. The body is already in memory, so nothing here waits.

use axum::body::Body;
use axum::extract::{FromRequest, Multipart};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request};
use serde_json::Value;
use url::form_urlencoded;

use crate::faults::Calls;

/// What a request is for, so that faults can be aimed at it.
pub(crate) struct Aim {
    pub(crate) call: Calls,
    pub(crate) account: Option<String>,
}

/// Why a request is refused whatever it asks for.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// Ends in this many milliseconds.
    RateLimit(i64),
    ServerError,
    Auth,
    TooLarge,
    /// The body is not what its content type says.
    Unreadable,
}

pub(crate) struct Call {
    pub(crate) method: Method,
    /// After the network's base path, decoded, without slashes at the ends.
    pub(crate) path: String,
    /// The whole path as it was sent.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<(String, String)>,
    /// Fields of a form or the text parts of a multipart form.
    pub(crate) form: Vec<(String, String)>,
    pub(crate) json: Option<Value>,
    pub(crate) files: Vec<File>,
    pub(crate) body: Bytes,
    /// `http://host:port` as the caller wrote it.
    pub(crate) origin: String,
    /// Milliseconds UTC.
    pub(crate) now: i64,
    /// Why the body could not be read; its fields are empty then.
    pub(crate) unreadable: Option<String>,
}

/// A part of a multipart form with a file name or a type of its own.
pub(crate) struct File {
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

impl Call {
    pub(crate) async fn read(parts: request::Parts, path: &str, body: Bytes, now: i64) -> Self {
        let host = parts.headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
        let mut call = Self {
            method: parts.method.clone(),
            path: path.trim_matches('/').to_owned(),
            target: parts.uri.path().to_owned(),
            query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            form: Vec::new(),
            json: None,
            files: Vec::new(),
            origin: format!("http://{host}"),
            headers: parts.headers.clone(),
            body,
            now,
            unreadable: None,
        };
        let read = match call.content_type().as_str() {
            "application/json" if !call.body.is_empty() => serde_json::from_slice(&call.body)
                .map(|json| call.json = Some(json))
                .map_err(|error| error.to_string()),
            "application/x-www-form-urlencoded" => {
                call.form = pairs(&call.body);
                Ok(())
            }
            "multipart/form-data" => call.read_parts(parts).await,
            _ => Ok(()),
        };
        call.unreadable = read.err();
        call
    }

    async fn read_parts(&mut self, parts: request::Parts) -> Result<(), String> {
        let request = request::Request::from_parts(parts, Body::from(self.body.clone()));
        let mut form = Multipart::from_request(request, &()).await.map_err(|e| e.body_text())?;
        while let Some(field) = form.next_field().await.map_err(|e| e.body_text())? {
            let name = field.name().unwrap_or_default().to_owned();
            let bare = field.content_type().is_none_or(|kind| {
                kind.starts_with("text/") || kind.starts_with("application/json")
            });
            let file_name = field.file_name().map(str::to_owned);
            let file_name = file_name.or_else(|| (!bare).then(String::new));
            let bytes = field.bytes().await.map_err(|e| e.body_text())?;
            match file_name {
                Some(file) => self.files.push(File { field: name, name: file, bytes }),
                None => self.form.push((name, String::from_utf8_lossy(&bytes).into_owned())),
            }
        }
        Ok(())
    }

    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|s| !s.is_empty()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Without parameters, in lower case.
    pub(crate) fn content_type(&self) -> String {
        let full = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        full.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header(AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The login and password of HTTP Basic.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let (scheme, token) = self.header(AUTHORIZATION.as_str())?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()?;
        let (login, password) = pair.split_once(':')?;
        Some((login.to_owned(), password.to_owned()))
    }

    /// A parameter as the caller gave it: typed in JSON, a string elsewhere.
    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.json.as_ref().and_then(|json| json.get(name)) {
            return (!value.is_null()).then(|| value.clone());
        }
        let found = self.form.iter().chain(&self.query).find(|(key, _)| key == name);
        found.map(|(_, text)| Value::String(text.clone()))
    }

    /// A parameter as text; numbers and flags of JSON are written out.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    /// A parameter that may be JSON inside a form field.
    pub(crate) fn nested(&self, name: &str) -> Option<Value> {
        match self.value(name)? {
            Value::String(text) => serde_json::from_str(&text).ok(),
            other => Some(other),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" => Some(true),
            "false" | "0" | "off" => Some(false),
            _ => None,
        }
    }

    /// A list: an array in JSON, or `name[]`, `name[0]` … in a form or the query.
    pub(crate) fn list(&self, name: &str) -> Vec<Value> {
        if let Some(Value::Array(items)) = self.json.as_ref().and_then(|json| json.get(name)) {
            return items.clone();
        }
        let fields = self.form.iter().chain(&self.query);
        let mut items: Vec<(usize, Value)> = fields
            .filter_map(|(key, text)| {
                let index = key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
                let at = if index.is_empty() { 0 } else { index.parse().ok()? };
                Some((at, Value::String(text.clone())))
            })
            .collect();
        items.sort_by_key(|(at, _)| *at);
        items.into_iter().map(|(_, value)| value).collect()
    }

    pub(crate) fn file(&self, field: &str) -> Option<&File> {
        self.files.iter().find(|file| file.field == field)
    }
}

pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// An answer with its body in memory, so that a fault can still spoil it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    pub(crate) fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/html; charset=UTF-8", body)
    }

    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers, body: body.into() }
    }

    /// Adds a header; a value that cannot be one is left out.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let headers: HeaderMap = self.headers.into_iter().collect();
        (self.status, headers, self.body).into_response()
    }
}

#[cfg(test)]
impl Call {
    /// A call for unit tests of what reads one.
    pub(crate) async fn of(method: Method, target: &str, content_type: &str, body: &str) -> Self {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://sandbox{target}"))
            .header(HOST, "sandbox")
            .header(CONTENT_TYPE, content_type)
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let body = Bytes::copy_from_slice(body.as_bytes());
        Self::read(parts, &path, body, 1_795_000_000_000).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_parameter_is_found_wherever_it_is() {
        let json = r#"{"text":"a","n":3,"on":true,"ids":["1","2"],"none":null}"#;
        let call = Call::of(Method::POST, "/x?text=b&q=1", "application/json", json).await;
        assert_eq!(call.text("text").as_deref(), Some("a"));
        assert_eq!(call.text("q").as_deref(), Some("1"));
        assert_eq!(call.number("n"), Some(3));
        assert_eq!(call.flag("on"), Some(true));
        assert_eq!(call.list("ids"), [json!("1"), json!("2")]);
        assert_eq!(call.value("none"), None);

        let form = "ids%5B%5D=1&ids[]=2&m[1]=%7B%22a%22%3A1%7D&m[0]=z&j=%5B1%5D";
        let call =
            Call::of(Method::POST, "/x?q=%23", "application/x-www-form-urlencoded", form).await;
        assert_eq!(call.list("ids"), [json!("1"), json!("2")]);
        assert_eq!(call.list("m"), [json!("z"), json!(r#"{"a":1}"#)]);
        assert_eq!(call.nested("j"), Some(json!([1])));
        assert_eq!(call.text("q").as_deref(), Some("#"));
    }

    #[tokio::test]
    async fn a_multipart_form_is_read_into_fields_and_files() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\nA cat\r\n\
            --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.png\"\r\n\
            Content-Type: image/png\r\n\r\nbytes\r\n--b--\r\n";
        let call = Call::of(Method::POST, "/m", "multipart/form-data; boundary=b", body).await;
        assert_eq!(call.text("description").as_deref(), Some("A cat"));
        let file = call.file("file").unwrap();
        assert_eq!((file.name.as_str(), &file.bytes[..]), ("cat.png", &b"bytes"[..]));
    }
}
