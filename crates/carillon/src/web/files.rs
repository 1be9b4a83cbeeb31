//! The bytes of media: for the signed-in app, and by a sealed link for networks that fetch them.
//!
//! What people upload is served inert: with its own type, never as a page, and sandboxed. It is sent
//! as it is read, whole or the part that was asked for, as players of videos do.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::ids;
use crate::media::blobs::{self, BlobError};
use crate::media::links;
use crate::store::media;
use crate::web::{ApiError, Caller};
use carillon_pictures::probe::Kind as FileKind;

/// `GET /media/{id}/{kind}`
pub async fn own(
    State(app): State<App>,
    caller: Caller,
    Path((id, kind)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    send(&app, &caller.workspace_id, &id, &kind, &headers, "private, max-age=3600").await
}

/// `GET /m/{token}`
pub async fn shared(
    State(app): State<App>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Some(link) = links::open(&app, &token) else {
        let fix = "Ask for the post again: a link is good for a day.";
        let sentence = "This link is too old or not whole.";
        return Err(ApiError::new(Kind::NotFound, "link_expired", sentence, fix));
    };
    send(&app, &link.workspace, &link.media, &link.kind, &headers, "private, max-age=300").await
}

async fn send(
    app: &App,
    workspace: &str,
    id: &str,
    kind: &str,
    asked: &HeaderMap,
    cache: &'static str,
) -> Result<Response, ApiError> {
    let missing = || ApiError::from(Refusal::not_found("file"));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !ids::valid(id) || !kind.bytes().all(plain) || kind.len() > 32 {
        return Err(missing());
    }
    let (ws, of) = (workspace, id.to_owned());
    let medium = app
        .db
        .read(move |tx| async move { media::kept(&tx, &of).await })
        .await?
        .filter(|medium| medium.workspace_id == ws)
        .ok_or_else(missing)?;
    let content_type = match kind {
        kind if kind == medium.original() => {
            FileKind::of(&medium.content_type).map(FileKind::content_type)
        }
        // Of another version: a file to be kept, not shown.
        kind if kind.starts_with("original") => None,
        kind if kind.starts_with("video") => Some("video/mp4"),
        _ => Some("image/jpeg"),
    };
    let headers: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, content_type.unwrap_or("application/octet-stream")),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_DISPOSITION, "inline"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::ACCEPT_RANGES, "bytes"),
    ];
    let refused = |e| match e {
        BlobError::Missing => missing(),
        e => {
            tracing::error!(error = %e, "the media store cannot be read");
            ApiError::new(
                Kind::Unavailable,
                "media_store_unavailable",
                "The media store is not available at the moment.",
                "Try again in a moment.",
            )
        }
    };
    let key = blobs::key(workspace, id, kind);
    let size = app.blobs.size(&key).await.map_err(refused)?;
    let range = asked.get(header::RANGE).and_then(|r| r.to_str().ok());
    let (status, range) = match part(range, size) {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Of(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Outside => {
            let total = (header::CONTENT_RANGE, format!("bytes */{size}"));
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [total]).into_response());
        }
    };
    let length = (header::CONTENT_LENGTH, (range.end - range.start).to_string());
    let place = (status == StatusCode::PARTIAL_CONTENT).then(|| {
        (header::CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1))
    });
    let body = if range.is_empty() {
        Body::empty()
    } else {
        Body::from_stream(app.blobs.stream(&key, range).await.map_err(refused)?)
    };
    let mut answer = (status, headers, [length], body).into_response();
    if let Some((name, value)) = place
        && let Ok(value) = value.parse()
    {
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}

/// What of a file was asked for.
#[derive(Debug, PartialEq)]
enum Part {
    Whole,
    Of(Range<u64>),
    Outside,
}

/// A `Range` header over a file of `size` bytes. Several ranges at once may be answered with the
/// whole, as may what nobody understands.
fn part(header: Option<&str>, size: u64) -> Part {
    let Some((first, last)) = header.and_then(|h| h.strip_prefix("bytes=")?.split_once('-')) else {
        return Part::Whole;
    };
    let (first, last) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(0)) => return Part::Outside,
        (Err(_), Ok(tail)) if first.trim().is_empty() => {
            (size.saturating_sub(tail), size.saturating_sub(1))
        }
        _ => return Part::Whole,
    };
    if first >= size { Part::Outside } else { Part::Of(first..last + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_was_asked_for_as_far_as_there_is_any() {
        for (header, expected) in [
            (None, Part::Whole),
            (Some("bytes=0-9"), Part::Of(0..10)),
            (Some("bytes=90-"), Part::Of(90..100)),
            (Some("bytes=90-1000"), Part::Of(90..100)),
            (Some("bytes=-10"), Part::Of(90..100)),
            (Some("bytes=-1000"), Part::Of(0..100)),
            (Some("bytes=100-"), Part::Outside),
            (Some("bytes=-0"), Part::Outside),
            (Some("bytes=9-3"), Part::Whole),
            (Some("bytes=0-1,5-9"), Part::Whole),
            (Some("pages=1-2"), Part::Whole),
        ] {
            assert_eq!(part(header, 100), expected, "{header:?}");
        }
        assert_eq!(part(Some("bytes=0-"), 0), Part::Outside);
    }
}
