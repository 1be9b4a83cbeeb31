//! The bytes of media: for the signed-in app, and by a sealed link for networks that fetch them.
//!
//! What people upload is served inert: with its own type, never as a page, and sandboxed.

use axum::extract::{Path, State};
use axum::http::header::{self, HeaderName};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::ids;
use crate::media::blobs::{self, BlobError};
use crate::media::links;
use crate::store::media;
use crate::web::{ApiError, Caller};

/// `GET /media/{id}/{kind}`
pub async fn own(
    State(app): State<App>,
    caller: Caller,
    Path((id, kind)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    send(&app, &caller.workspace_id, &id, &kind, "private, max-age=3600").await
}

/// `GET /m/{token}`
pub async fn shared(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    let Some(link) = links::open(&app, &token) else {
        let fix = "Ask for the post again: a link is good for a day.";
        let sentence = "This link is too old or not whole.";
        return Err(ApiError::new(Kind::NotFound, "link_expired", sentence, fix));
    };
    send(&app, &link.workspace, &link.media, &link.kind, "private, max-age=300").await
}

async fn send(
    app: &App,
    workspace: &str,
    id: &str,
    kind: &str,
    cache: &'static str,
) -> Result<Response, ApiError> {
    let missing = || ApiError::from(Refusal::not_found("file"));
    let plain = kind.bytes().all(|b| b.is_ascii_lowercase()) && kind.len() <= 32;
    if !ids::valid(id) || !plain {
        return Err(missing());
    }
    let (ws, of) = (workspace.to_owned(), id.to_owned());
    let medium = app
        .db
        .read(move |tx| async move { media::find(&tx, &ws, &of).await })
        .await?
        .ok_or_else(missing)?;
    let bytes = match app.blobs.get(&blobs::key(workspace, id, kind)).await {
        Ok(bytes) => bytes,
        Err(BlobError::Missing) => return Err(missing()),
        Err(e) => {
            tracing::error!(error = %e, "the media store cannot be read");
            return Err(ApiError::new(
                Kind::Unavailable,
                "media_store_unavailable",
                "The media store is not available at the moment.",
                "Try again in a moment.",
            ));
        }
    };
    let content_type = match (kind, medium.content_type.as_str()) {
        ("original", "image/png") => "image/png",
        ("original", "image/gif") => "image/gif",
        ("original", "image/webp") => "image/webp",
        ("original", other) if other != "image/jpeg" => "application/octet-stream",
        _ => "image/jpeg",
    };
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_DISPOSITION, "inline"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    Ok((headers, bytes).into_response())
}
