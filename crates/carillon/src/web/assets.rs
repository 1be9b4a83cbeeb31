//! The web app inside the binary: files as the build made them, compressed ahead of time.
//!
//! A debug build reads web/dist when asked, so that a new build of the app needs no new binary.

use std::borrow::Cow;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/../../web/dist"]
struct Dist;

/// What a route of the app loads before its first paint.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Preload {
    #[serde(default)]
    pub js: Vec<String>,
    #[serde(default)]
    pub css: Vec<String>,
    pub font: Option<String>,
}

/// The shell, before it is filled; `None` when the app was not built.
pub fn index() -> Option<String> {
    text("index.html")
}

/// What each route loads, by its pattern.
pub fn preloads() -> BTreeMap<String, Preload> {
    let parsed = text("preload.json").map(|t| serde_json::from_str(&t));
    match parsed {
        Some(Ok(all)) => all,
        Some(Err(e)) => {
            tracing::warn!(error = %e, "preload.json cannot be read; routes load what they need later");
            BTreeMap::new()
        }
        None => BTreeMap::new(),
    }
}

/// The address of the app's font, where the app is built.
pub fn font() -> Option<String> {
    preloads().into_values().find_map(|p| p.font)
}

/// `GET /assets/{*path}`: named by their content, so kept for ever.
pub async fn hashed(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match file(&format!("assets/{path}"), &headers) {
        Some(mut response) => {
            let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
            response.headers_mut().insert(header::CACHE_CONTROL, for_ever);
            response
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A file beside the shell (`/favicon.svg`), if there is one.
pub fn root_file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let name = path.strip_prefix('/')?;
    let private = name.contains('/') || matches!(name, "index.html" | "preload.json");
    if private {
        return None;
    }
    let mut response = file(name, headers)?;
    let for_an_hour = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(header::CACHE_CONTROL, for_an_hour);
    Some(response)
}

/// The file in the smallest form that the caller takes.
fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let kind = content_type(path)?;
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    let (encoding, found) = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(encoding, _)| accepts(accepted, encoding))
        .find_map(|(encoding, end)| Some((Some(encoding), Dist::get(&format!("{path}{end}"))?)))
        .or_else(|| Some((None, Dist::get(path)?)))?;
    let mut response = bytes(found).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Some(response)
}

/// Does `Accept-Encoding` take this coding? `q=0` says that it does not.
fn accepts(header: &str, coding: &str) -> bool {
    let weight = |name: &str| {
        header.split(',').find_map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            if !parts.next()?.eq_ignore_ascii_case(name) {
                return None;
            }
            let q = parts.find_map(|p| p.strip_prefix("q="));
            Some(q.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight(coding).or_else(|| weight("*")).is_some_and(|q| q > 0.0)
}

/// `None` for what is not served.
fn content_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

fn text(path: &str) -> Option<String> {
    String::from_utf8(Dist::get(path)?.data.into_owned()).ok()
}

fn bytes(file: EmbeddedFile) -> bytes::Bytes {
    match file.data {
        Cow::Borrowed(data) => bytes::Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_is_one_that_the_caller_takes() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("br;q=0.5", "br"));
        assert!(!accepts("br;q=0, gzip", "br"));
        assert!(!accepts("", "gzip"));
        assert!(accepts("*", "gzip") && !accepts("gzip;q=0, *", "gzip"));
        assert!(!accepts("brotli", "br"));
    }

    #[test]
    fn what_the_build_keeps_to_itself_is_not_served() {
        let headers = HeaderMap::new();
        for path in ["/index.html", "/preload.json", "/.vite/manifest.json", "/../Cargo.toml", "/"]
        {
            assert!(root_file(path, &headers).is_none(), "{path}");
        }
    }
}
