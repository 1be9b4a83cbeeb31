//! Deliveries: how one went, and what a person may decide about it.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::publishing::amend::{self, Amendment};
use crate::publishing::desk::{self, Answer};
use crate::publishing::numbers;
use crate::publishing::pack;
use crate::publishing::view::{self, AttemptView, DeliveryView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json, OptionalJson};

/// One delivery.
#[utoipa::path(get, path = "/deliveries/{id}", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = DeliveryView, description = "The delivery."), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(view::delivery(&app, &caller.workspace_id, &id).await?))
}

/// The send journal of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct Journal {
    pub items: Vec<AttemptView>,
}

/// Everything that was tried for a delivery and what came back, oldest first.
#[utoipa::path(get, path = "/deliveries/{id}/attempts", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = Journal, description = "The journal."), Reads))]
pub async fn attempts(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Journal>, ApiError> {
    Ok(Json(Journal { items: view::attempts(&app, &caller.workspace_id, &id).await? }))
}

/// What a person needs to post a delivery by hand, as a zip: texts, media as its network takes them, and a
/// README with where and when. Once it is live, answer with its address.
#[utoipa::path(get, path = "/deliveries/{id}/pack", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>, description = "The zip."), Reads))]
pub async fn pack(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let pack = pack::of(&app, &caller.workspace_id, &id).await?;
    let disposition = attachment(&pack.name);
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(pack.write(app))).into_response())
}

/// With the name in ASCII for old readers and whole for others (RFC 6266).
fn attachment(name: &str) -> String {
    let ascii: String = name.chars().filter(char::is_ascii).collect();
    let whole: String = name
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{whole}")
}

/// Cancels one delivery. 409 when it is being sent or live.
#[utoipa::path(post, path = "/deliveries/{id}/cancel", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = DeliveryView, description = "The delivery as it is now."), Writes))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(desk::cancel(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}

/// Changes what a live delivery says, at its network and then here.
///
/// Media stay as they are. A network that refuses changes nothing: 409 `not_changed` or 503 with
/// what to do; `maybe_changed` where its answer was lost, which is settled by sending the same again.
#[utoipa::path(post, path = "/deliveries/{id}/amend", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")), request_body = Amendment,
    responses((status = 200, body = DeliveryView, description = "The delivery as it is now."), Writes))]
pub async fn amend(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(new): Json<Amendment>,
) -> Result<Json<DeliveryView>, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(amend::amend(&app, ws, &id, new, &actor).await?))
}

/// Asks the network of a live delivery what followers did: it stands in `numbers` from then on.
///
/// 409 where the network does not tell it, the post is gone there, or the consent lacks the right to
/// read numbers; 503 where the network does not answer. What was read before stays.
#[utoipa::path(post, path = "/deliveries/{id}/measure", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = DeliveryView, description = "The delivery with its numbers."), Writes))]
pub async fn measure(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(numbers::measure(&app, &caller.workspace_id, &id).await?))
}

/// What is to be different in the next try.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Instead of what the delivery said.
    #[serde(default)]
    #[schema(example = "Doors open at eight.")]
    text: Option<String>,
}

/// Tries a failed, missed or held delivery again, now; with `text`, saying that instead.
///
/// A discarded one comes back by it too. 409 `in_doubt` while it may be live already.
#[utoipa::path(post, path = "/deliveries/{id}/retry", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")), request_body = Option<Retry>,
    responses((status = 200, body = DeliveryView, description = "The delivery as it is now."), Writes))]
pub async fn retry(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    OptionalJson(retry): OptionalJson<Retry>,
) -> Result<Json<DeliveryView>, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(desk::retry(&app, ws, &id, retry.text, &actor).await?))
}

/// Answers "is it live?" for a delivery whose outcome no program can find out.
///
/// With `live` and a `url` also for one that failed, was missed or is held: somebody posted it by
/// hand, and it counts as published.
#[utoipa::path(post, path = "/deliveries/{id}/answer", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")),
    request_body(content = Answer, example = json!({ "live": true, "url": "https://example.com/p/1" })),
    responses((status = 200, body = DeliveryView, description = "The delivery as it is now."), Writes))]
pub async fn answer(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(answer): Json<Answer>,
) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(desk::answer(&app, &caller.workspace_id, &id, answer, &caller.actor()).await?))
}

/// Why a delivery is put away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Discard {
    /// For the audit trail.
    #[serde(default)]
    #[schema(example = "The concert was called off.")]
    why: Option<String>,
}

/// Puts a failed, missed or held delivery away: it becomes cancelled and is not sent.
#[utoipa::path(post, path = "/deliveries/{id}/discard", tag = "deliveries",
    params(("id" = String, Path, format = "uuid")), request_body = Option<Discard>,
    responses((status = 200, body = DeliveryView, description = "The delivery as it is now."), Writes))]
pub async fn discard(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    OptionalJson(discard): OptionalJson<Discard>,
) -> Result<Json<DeliveryView>, ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    Ok(Json(desk::discard(&app, ws, &id, discard.why, &actor).await?))
}
