//! Paths of other programs' making: a picture for content, in a form or in JSON.

use std::convert::Infallible;

use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::when;
use crate::media::library::{self, MediaView};
use crate::media::{intake, links};
use crate::store::media::Media;
use crate::web::error::Writes;
use crate::web::{ApiError, Caller, Json, input};

/// Room for what is around the picture: names, a description, a form's boundaries, in bytes.
const AROUND: usize = 64 << 10;

/// A picture in JSON.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Picture {
    /// Base64, as it is or as `data:image/jpeg;base64,…`. What counts is the content.
    image: String,
    #[serde(default)]
    filename: String,
    /// The description for people who cannot see it, at most 2,000 characters.
    #[serde(default)]
    alt: String,
}

/// A picture in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the documentation only")]
struct Form {
    /// The file; `file` is taken as well.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    alt: Option<String>,
}

/// A stored picture.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Gives the picture to whoever has it, until `expiresAt`. `media.url` stays, for who is signed
    /// in or has a key.
    pub url: String,
    /// ISO 8601
    pub expires_at: String,
    pub media: MediaView,
}

/// Stores a picture, from a form (`multipart/form-data`) or from JSON.
///
/// The answer holds the address of the picture that was sent, or it is a refusal: nothing else is
/// ever put in its place. Larger files go to `/api/v1/uploads`.
#[utoipa::path(post, path = "/api/content/upload-image", tag = "media",
    request_body(content((Form = "multipart/form-data"), (Picture = "application/json")), description = "One picture."),
    responses((status = 201, description = "It is stored.", body = Stored), Writes))]
pub async fn upload_image(
    State(app): State<App>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<Stored>), ApiError> {
    let declared = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let medium = match declared.unwrap_or_default() {
        form if form.starts_with("multipart/form-data") => of_form(&app, &caller, request).await?,
        json if json.starts_with("application/json") => of_json(&app, &caller, request).await?,
        _ => return Err(undeclared()),
    };
    let url = links::public(&app, &medium.workspace_id, &medium.id, &medium.original()).await;
    let expires_at = when::iso(app.clock.now() + links::VALID_MS);
    let media = library::view(&medium, &[]);
    Ok((StatusCode::CREATED, Json(Stored { url, expires_at, media })))
}

async fn of_form(app: &App, caller: &Caller, mut request: Request) -> Result<Media, ApiError> {
    let max = app.config.media.image_max_bytes;
    DefaultBodyLimit::max(max as usize + AROUND).apply(&mut request);
    let mut form = Multipart::from_request(request, app).await.map_err(|_| unreadable())?;
    let (mut image, mut name, mut alt) = (None, String::new(), String::new());
    let read = |e: MultipartError| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(max),
        _ => unreadable(),
    };
    while let Some(field) = form.next_field().await.map_err(read)? {
        match field.name() {
            Some("alt") => alt = field.text().await.map_err(read)?,
            Some("image" | "file") => {
                name = field.file_name().unwrap_or_default().to_owned();
                image = Some(field.bytes().await.map_err(read)?);
            }
            // Read to its end by the next turn.
            _ => {}
        }
    }
    keep(app, caller, image.ok_or_else(missing)?, &name, &alt).await
}

async fn of_json(app: &App, caller: &Caller, mut request: Request) -> Result<Media, ApiError> {
    let max = app.config.media.image_max_bytes;
    // Base64 takes four characters for three bytes.
    DefaultBodyLimit::max(max.div_ceil(3) as usize * 4 + AROUND).apply(&mut request);
    let body = Bytes::from_request(request, app).await.map_err(|e| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(max),
        _ => input::unread(e),
    })?;
    let Picture { image, filename, alt } = input::parse(&body)?;
    let coded = match image.strip_prefix("data:") {
        Some(rest) => {
            rest.split_once(";base64,").ok_or_else(|| coding("is no `data:…;base64,…`"))?.1
        }
        None => image.as_str(),
    };
    if coded.is_empty() {
        return Err(missing().into());
    }
    let plain = STANDARD.decode(coded).or_else(|_| STANDARD_NO_PAD.decode(coded));
    let data =
        plain.map_err(|_| coding("is not Base64: send the picture itself, not its address"))?;
    keep(app, caller, data.into(), &filename, &alt).await
}

async fn keep(
    app: &App,
    caller: &Caller,
    data: Bytes,
    name: &str,
    alt: &str,
) -> Result<Media, ApiError> {
    let body = stream::iter([Ok::<_, Infallible>(data)]);
    Ok(intake::upload(app, &caller.workspace_id, name, alt, body).await?)
}

fn too_large(max: u64) -> ApiError {
    intake::too_large(max, "picture", "CARILLON_IMAGE_MAX").into()
}

fn coding(what: &str) -> ApiError {
    let wrong = Wrong::new("image", "image_encoding", format!("`image` {what}."));
    Refusal::invalid(vec![wrong]).into()
}

fn missing() -> Refusal {
    let message = "No picture came: the field is called `image`.";
    Refusal::invalid(vec![Wrong::new("image", "image_required", message)])
}

fn unreadable() -> ApiError {
    let sentence = "The form cannot be read.";
    let fix = "Send `multipart/form-data` with its boundary, and the picture as `image`.";
    ApiError::new(Kind::Invalid, "form_unreadable", sentence, fix)
        .with_status(StatusCode::BAD_REQUEST)
}

fn undeclared() -> ApiError {
    let sentence = "The body is declared neither as a form nor as JSON.";
    let fix = "Send it as `multipart/form-data` or `application/json`.";
    ApiError::new(Kind::Unsupported, "content_type", sentence, fix)
}
