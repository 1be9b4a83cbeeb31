//! Approvals: asked for, talked about, given, or answered with what to change.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::paging;
use crate::app::App;
use crate::domain::review::Stage;
use crate::planning::review::{self, Answer, Approved, ReviewView};
use crate::publishing::view::Page;
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json, Query};

/// Which reviews to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those of this stage.
    stage: Option<Stage>,
    /// Instead of what waits: every review of this post, the latest first.
    post_id: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Lists what waits for an answer, the oldest question first; with `postId` all that was asked about
/// one post.
#[utoipa::path(get, path = "/reviews", tag = "reviews", params(ListQuery),
    responses((status = 200, description = "A page of reviews.", body = Page<ReviewView>), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ReviewView>>, ApiError> {
    let (ws, actor) = (caller.workspace_id.as_str(), caller.actor());
    if let Some(post) = &query.post_id {
        let items = review::of_post(&app, ws, post, &actor).await?;
        return Ok(Json(Page { items, next: None }));
    }
    let limit = paging::limit(query.limit, 50, 200)?;
    let cursor = query.cursor.as_deref().filter(|c| !c.is_empty());
    Ok(Json(review::list(&app, ws, query.stage, cursor, limit, &actor).await?))
}

/// One review with its post.
#[utoipa::path(get, path = "/reviews/{id}", tag = "reviews",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = ReviewView, description = "The review."), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ReviewView>, ApiError> {
    Ok(Json(review::show(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}

/// A question for an approval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReviewRequest {
    pub post_id: String,
    /// What whoever is asked should know.
    #[serde(default)]
    #[schema(example = "The new opening time is agreed with the kitchen.")]
    pub note: Option<String>,
}

/// Asks for an approval of a post as it is now, a draft too.
///
/// 409 `review_open` while it is asked about already, 409 `approved_already`, 409 `approvals_off`
/// where no post needs one.
#[utoipa::path(post, path = "/reviews", tag = "reviews", request_body = ReviewRequest,
    responses((status = 201, description = "The review.", body = ReviewView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(asked): Json<ReviewRequest>,
) -> Result<(StatusCode, Json<ReviewView>), ApiError> {
    let (ws, actor) = (caller.workspace_id.as_str(), caller.actor());
    let made = review::request(&app, ws, &asked.post_id, asked.note, &actor).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// An answer to a review.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReviewAnswer {
    /// What is said to it. Needed with `request-changes`, and for a client's stage: how they agreed.
    #[schema(example = "The date is wrong: it is the 24th.")]
    pub text: Option<String>,
    /// `content` of the review as it was seen; refused when it is about something else by then.
    pub content: Option<String>,
}

impl From<ReviewAnswer> for Answer {
    fn from(a: ReviewAnswer) -> Self {
        Answer { text: a.text, content: a.content }
    }
}

/// Says yes; the last stage's yes lines the post up.
///
/// What would be late by then does not go out: `passed` says how many deliveries, `suggestedAt` the
/// next free time. 403 `own_request` for what one asked for, where others could answer; 409
/// `changed_meanwhile` and `review_over` when somebody was quicker.
#[utoipa::path(post, path = "/reviews/{id}/approve", tag = "reviews",
    params(("id" = String, Path, format = "uuid")), request_body = ReviewAnswer,
    responses((status = 200, body = Approved, description = "What it led to."), Writes))]
pub async fn approve(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(answer): Json<ReviewAnswer>,
) -> Result<Json<Approved>, ApiError> {
    let ws = &caller.workspace_id;
    Ok(Json(review::approve(&app, ws, &id, answer.into(), &caller.actor()).await?))
}

/// Asks for changes; `text` says which.
#[utoipa::path(post, path = "/reviews/{id}/request-changes", tag = "reviews",
    params(("id" = String, Path, format = "uuid")), request_body = ReviewAnswer,
    responses((status = 200, body = ReviewView, description = "The review."), Writes))]
pub async fn request_changes(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(answer): Json<ReviewAnswer>,
) -> Result<Json<ReviewView>, ApiError> {
    let ws = &caller.workspace_id;
    Ok(Json(review::request_changes(&app, ws, &id, answer.into(), &caller.actor()).await?))
}

/// Something to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewComment {
    #[schema(example = "Is the picture ours?")]
    pub text: String,
}

/// Says something to a review without answering it.
#[utoipa::path(post, path = "/reviews/{id}/comments", tag = "reviews",
    params(("id" = String, Path, format = "uuid")), request_body = ReviewComment,
    responses((status = 200, body = ReviewView, description = "The review."), Writes))]
pub async fn comment(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(said): Json<ReviewComment>,
) -> Result<Json<ReviewView>, ApiError> {
    let ws = &caller.workspace_id;
    Ok(Json(review::comment(&app, ws, &id, said.text, &caller.actor()).await?))
}

/// Takes a question back: its asker, or whoever may approve. Of one that was approved the yes is taken
/// back, and the same is asked anew; 409 `out_already` once something has gone out by it.
#[utoipa::path(post, path = "/reviews/{id}/withdraw", tag = "reviews",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = ReviewView, description = "The review."), Writes))]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ReviewView>, ApiError> {
    Ok(Json(review::withdraw(&app, &caller.workspace_id, &id, &caller.actor()).await?))
}

/// Another first picture or video.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReviewSwap {
    /// One of the library's.
    pub media_id: String,
}

/// Exchanges the post's first picture or video within its review, which stays open and is about
/// the new one from then on. Whoever may approve may do this.
#[utoipa::path(post, path = "/reviews/{id}/media", tag = "reviews",
    params(("id" = String, Path, format = "uuid")), request_body = ReviewSwap,
    responses((status = 200, body = ReviewView, description = "The review."), Writes))]
pub async fn swap(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(new): Json<ReviewSwap>,
) -> Result<Json<ReviewView>, ApiError> {
    let (ws, actor) = (caller.workspace_id.as_str(), caller.actor());
    Ok(Json(review::swap(&app, ws, &id, &new.media_id, &actor).await?))
}
