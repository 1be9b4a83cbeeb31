//! Files in pieces, by the tus protocol 1.0.0 (https://tus.io/protocols/resumable-upload), with its
//! extensions creation, creation-with-upload, expiration, termination and checksum.
//!
//! Written here and not taken from a crate: what there is keeps its state in its own files and
//! traits, where ours has to be in the database, with the medium that an upload becomes.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::app::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::media::uploads::{self, Checksum, New};
use crate::store::uploads::Upload;
use crate::web::error::{Reads, Writes};
use crate::web::serve::Closing;
use crate::web::{ApiError, Caller, Id};

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const EXTENSIONS: HeaderValue =
    HeaderValue::from_static("creation,creation-with-upload,expiration,termination,checksum");
const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
/// The content type of bytes on their way.
const BYTES: &str = "application/offset+octet-stream";
/// Most bytes of `Upload-Metadata`.
const METADATA_MAX: usize = 4096;
/// Names the medium that an upload became; `onSuccess` of a tus client finds it in the last answer.
const MEDIA_ID: HeaderName = HeaderName::from_static("media-id");

/// What every request of the protocol passes through: the version, asked for and told.
pub async fn protocol(request: Request, next: Next) -> Response {
    let said = request.headers().get(TUS_RESUMABLE);
    let mut response = if *request.method() == Method::OPTIONS || said == Some(&VERSION) {
        next.run(request).await
    } else {
        let sentence = "The header `Tus-Resumable: 1.0.0` is missing, or names another version.";
        let fix = "Speak version 1.0.0 of the tus protocol.";
        let refusal = ApiError::new(Kind::Invalid, "tus_version", sentence, fix)
            .with_status(StatusCode::PRECONDITION_FAILED);
        ([(TUS_VERSION, VERSION)], refusal).into_response()
    };
    response.headers_mut().insert(TUS_RESUMABLE, VERSION);
    response
}

/// What the server can do for uploads in pieces.
///
/// Any client of the tus protocol 1.0.0 can be used (https://tus.io); every request but this one
/// carries `Tus-Resumable: 1.0.0`.
#[utoipa::path(options, path = "/uploads", tag = "uploads", security(()),
    responses((status = 204, description = "Version, extensions, the largest file and the checksums, in headers.",
        headers(("Tus-Version" = String), ("Tus-Extension" = String), ("Tus-Max-Size" = u64), ("Tus-Checksum-Algorithm" = String))),
        (status = 500, description = "A fault of ours.")))]
pub async fn abilities(State(app): State<App>) -> Response {
    let headers = [
        (TUS_VERSION, VERSION),
        (HeaderName::from_static("tus-extension"), EXTENSIONS),
        (
            HeaderName::from_static("tus-max-size"),
            HeaderValue::from(app.config.media.upload_max_bytes),
        ),
        (
            HeaderName::from_static("tus-checksum-algorithm"),
            HeaderValue::from_static(Checksum::KNOWN),
        ),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Begins an upload in pieces.
///
/// `Upload-Metadata` may hold `filename` and `alt`, the description for people who cannot see it. A
/// body of the type `application/offset+octet-stream` is its first piece. How large a file of its
/// type may be is told when its first bytes have come: what counts is the content.
#[utoipa::path(post, path = "/uploads", tag = "uploads",
    params(("Tus-Resumable" = String, Header, example = "1.0.0"),
        ("Upload-Length" = u64, Header, description = "Bytes of the whole file."),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename` and `alt`, each with its value in Base64, with commas.")),
    responses((status = 201, description = "It is at `Location`, where its pieces go.",
        headers(("Location" = String), ("Upload-Offset" = u64), ("Upload-Expires" = String))),
        (status = 412, description = "Another version of the protocol."),
        (status = 429, description = "Too many uploads of this workspace are under way."), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    closing: Option<Extension<Closing>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let length = number(&headers, "upload-length")?;
    let metadata = text(&headers, "upload-metadata").unwrap_or_default();
    let told = Metadata::parse(metadata)?;
    let new = New { name: &told.name, alt: &told.alt, metadata, length };
    let mut upload = uploads::begin(&app, &caller.workspace_id, new).await?;
    if text(&headers, "content-type") == Some(BYTES) {
        upload = take(&app, &caller, &upload.id, 0, &headers, closing, body).await?;
    }
    let location = format!("/api/v1/uploads/{}", upload.id);
    let mut response = answer(StatusCode::CREATED, &upload);
    // An id is plain ASCII.
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// How far an upload has come.
///
/// `Media-Id` names the medium that it became.
#[utoipa::path(head, path = "/uploads/{id}", tag = "uploads",
    params(("id" = String, Path, format = "uuid"), ("Tus-Resumable" = String, Header, example = "1.0.0")),
    responses((status = 200, description = "Where to go on.",
        headers(("Upload-Offset" = u64), ("Upload-Length" = u64), ("Upload-Metadata" = String), ("Upload-Expires" = String), ("Media-Id" = String))),
        (status = 410, description = "Its time is over, or it was cancelled."),
        (status = 412, description = "Another version of the protocol."),
        (status = 423, description = "Another request is adding to it."), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let upload = uploads::find(&app, &caller.workspace_id, &id).await.map_err(refused)?;
    let mut response = answer(StatusCode::OK, &upload);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("upload-length"), upload.length.into());
    // It came as a header, so it is one.
    if let Ok(metadata) = HeaderValue::from_str(&upload.metadata)
        && !metadata.is_empty()
    {
        headers.insert(HeaderName::from_static("upload-metadata"), metadata);
    }
    Ok(response)
}

/// Adds the next piece of a file, of any size.
///
/// What has arrived stays when the request breaks off, but for a piece with a checksum: that one
/// stands whole or not at all. With the last byte the file becomes a medium, named by `Media-Id`;
/// a file that is not taken is refused then or earlier, and its upload is over.
#[utoipa::path(patch, path = "/uploads/{id}", tag = "uploads",
    params(("id" = String, Path, format = "uuid"), ("Tus-Resumable" = String, Header, example = "1.0.0"),
        ("Upload-Offset" = u64, Header, description = "Where in the file the body begins: as far as it has come."),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1` or `sha256` of the body, in Base64.", example = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")),
    request_body(content = String, content_type = "application/offset+octet-stream", description = "The bytes."),
    responses((status = 204, description = "They are safe.",
        headers(("Upload-Offset" = u64), ("Upload-Expires" = String), ("Media-Id" = String))),
        (status = 408, description = "Nothing came for 30 s."),
        (status = 410, description = "Its time is over, or it was cancelled."),
        (status = 412, description = "Another version of the protocol."),
        (status = 423, description = "Another request is adding to it."),
        (status = 460, description = "The bytes do not come to the checksum."), Writes))]
pub async fn append(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    closing: Option<Extension<Closing>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if text(&headers, "content-type") != Some(BYTES) {
        let sentence = format!("The body is not declared as `{BYTES}`.");
        let fix = format!("Send it with `content-type: {BYTES}`.");
        return Err(ApiError::new(Kind::Unsupported, "content_type", sentence, fix));
    }
    let offset = number(&headers, "upload-offset")?;
    let upload = take(&app, &caller, &id, offset, &headers, closing, body).await?;
    Ok(answer(StatusCode::NO_CONTENT, &upload))
}

/// Cancels an upload; what has arrived of it goes.
///
/// A medium that it became stays.
#[utoipa::path(delete, path = "/uploads/{id}", tag = "uploads",
    params(("id" = String, Path, format = "uuid"), ("Tus-Resumable" = String, Header, example = "1.0.0")),
    responses((status = 204, description = "It is gone."),
        (status = 412, description = "Another version of the protocol."), Writes))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    uploads::cancel(&app, &caller.workspace_id, &id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same for clients behind something that lets POST through and nothing else.
pub async fn instead(
    app: State<App>,
    caller: Caller,
    id: Id,
    closing: Option<Extension<Closing>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    match text(&headers, "x-http-method-override") {
        Some("PATCH") => append(app, caller, id, closing, headers, body).await,
        Some("DELETE") => cancel(app, caller, id).await.map(IntoResponse::into_response),
        Some("HEAD") => show(app, caller, id).await,
        _ => Ok(StatusCode::METHOD_NOT_ALLOWED.into_response()),
    }
}

async fn take(
    app: &App,
    caller: &Caller,
    id: &str,
    offset: u64,
    headers: &HeaderMap,
    closing: Option<Extension<Closing>>,
    body: Body,
) -> Result<Upload, ApiError> {
    let checksum = match text(headers, "upload-checksum") {
        Some(text) => Some(Checksum::parse(text).ok_or_else(unknown_checksum)?),
        None => None,
    };
    let declared = match headers.contains_key(header::CONTENT_LENGTH) {
        true => Some(number(headers, "content-length")?),
        false => None,
    };
    // A process that is to end answers for what has come, and the client goes on at the next one.
    let ending = async move {
        match closing {
            Some(Extension(closing)) => closing.wait().await,
            None => std::future::pending().await,
        }
    };
    let bytes = Box::pin(body.into_data_stream().take_until(Box::pin(ending)));
    let workspace = &caller.workspace_id;
    uploads::receive(app, workspace, id, offset, declared, checksum, bytes).await.map_err(refused)
}

fn answer(status: StatusCode, upload: &Upload) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("upload-offset"), upload.received.into());
    // Both are plain ASCII.
    if let Some(expires) = http_date(upload.expires_at)
        && let Ok(expires) = HeaderValue::from_str(&expires)
    {
        headers.insert(HeaderName::from_static("upload-expires"), expires);
    }
    if upload.finished_at.is_some()
        && let Ok(id) = HeaderValue::from_str(&upload.id)
    {
        headers.insert(MEDIA_ID, id);
    }
    response
}

/// `Mon, 23 Nov 2026 08:00:00 GMT`
fn http_date(at: i64) -> Option<String> {
    let at = Timestamp::from_millisecond(at).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

/// The protocol's own statuses.
fn refused(refusal: Refusal) -> ApiError {
    let status = match refusal.code.as_str() {
        "upload_busy" => 423,
        "upload_gone" => 410,
        "upload_stalled" => 408,
        "checksum_mismatch" => 460,
        _ => return refusal.into(),
    };
    let error = ApiError::from(refusal);
    match StatusCode::from_u16(status) {
        Ok(StatusCode::LOCKED) => error.with_status(StatusCode::LOCKED).retry_after(1),
        Ok(status) => error.with_status(status),
        Err(_) => error,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn number(headers: &HeaderMap, name: &str) -> Result<u64, ApiError> {
    text(headers, name).and_then(|n| n.parse().ok()).ok_or_else(|| {
        let sentence = format!("The header `{name}` is missing, or no number of bytes.");
        let fix = format!("Send `{name}` as a whole number; an unknown length is not taken.");
        wrong("tus_header", sentence, fix)
    })
}

fn unknown_checksum() -> ApiError {
    let sentence = "The checksum is of no algorithm that is known here, or not in Base64.";
    wrong("tus_checksum", sentence, format!("Use one of {}.", Checksum::KNOWN))
}

fn wrong(code: &str, sentence: impl Into<String>, fix: impl Into<String>) -> ApiError {
    ApiError::new(Kind::Invalid, code, sentence, fix).with_status(StatusCode::BAD_REQUEST)
}

/// What `Upload-Metadata` says that means something here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Metadata {
    name: String,
    alt: String,
}

impl Metadata {
    /// Reads `filename d29ybGQuanBn,alt TG9hdmVz,isPublic`.
    fn parse(text: &str) -> Result<Self, ApiError> {
        let unreadable = || {
            let sentence = "The header `Upload-Metadata` cannot be read.";
            let fix = "Send pairs of a key and its value in Base64 of UTF-8, with commas between \
                       them, of at most 4,096 bytes in all.";
            wrong("tus_metadata", sentence, fix)
        };
        if text.len() > METADATA_MAX {
            return Err(unreadable());
        }
        let mut told = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let value = STANDARD.decode(value.trim()).map_err(|_| unreadable())?;
            let value = String::from_utf8(value).map_err(|_| unreadable())?;
            match key {
                "filename" | "name" => told.name = value,
                "alt" => told.alt = value,
                _ => {}
            }
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_and_what_is_foreign_is_left() {
        let told =
            Metadata::parse("filename w6kuanBn,alt TG9hdmVz, isPublic,relativePath bnVsbA==");
        assert_eq!(told.unwrap(), Metadata { name: "é.jpg".into(), alt: "Loaves".into() });
        assert_eq!(Metadata::parse("").unwrap(), Metadata::default());
        for bad in ["filename not-base64", "filename /w==", &"a".repeat(5000)] {
            let e = Metadata::parse(bad).expect_err(bad);
            assert_eq!((e.status().as_u16(), e.refusal().code.as_str()), (400, "tus_metadata"));
        }
    }

    #[test]
    fn times_are_told_as_http_tells_them() {
        assert_eq!(http_date(1_795_420_800_000).as_deref(), Some("Mon, 23 Nov 2026 08:00:00 GMT"));
    }
}
