//! Campaigns: many posts, planned and changed as one.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::series::ListQuery;
use crate::app::App;
use crate::planning::campaigns::{self, CampaignView, Deed, Form, Preview, Shift, Whole};
use crate::publishing::view::{Page, PostView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json, OptionalJson, Query};

#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignPosts {
    pub items: Vec<PostView>,
}

/// On which day a copy begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyFrom {
    /// The day of its event, or its first day.
    #[schema(example = "2027-01-04")]
    from: String,
}

/// Lists campaigns, newest first.
#[utoipa::path(get, path = "/campaigns", tag = "campaigns", params(ListQuery),
    responses((status = 200, description = "A page of campaigns.", body = Page<CampaignView>), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<CampaignView>>, ApiError> {
    let (cursor, limit) = query.page()?;
    Ok(Json(campaigns::list(&app, &caller.workspace_id, cursor, limit).await?))
}

/// Says which posts a form would make, and what stands against each; saves nothing.
#[utoipa::path(post, path = "/campaigns/preview", tag = "campaigns", request_body = Form,
    responses((status = 200, description = "The slots, in order.", body = Preview), Writes))]
pub async fn preview(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Form>,
) -> Result<Json<Preview>, ApiError> {
    Ok(Json(campaigns::preview(&app, &caller.workspace_id, form).await?))
}

/// Makes a campaign and all its posts, or none of them.
///
/// Every post is checked as `POST /posts` does it; problems name their slot:
/// `slots[2].deliveries[0].text`. Slots that have passed are left out. A weekly cadence without
/// `weeks` becomes a series.
#[utoipa::path(post, path = "/campaigns", tag = "campaigns", request_body = Form,
    responses((status = 201, description = "The campaign.", body = CampaignView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Form>,
) -> Result<(StatusCode, Json<CampaignView>), ApiError> {
    let made = campaigns::create(&app, &caller.workspace_id, form, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// One campaign with how far its posts are.
#[utoipa::path(get, path = "/campaigns/{id}", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "The campaign.", body = CampaignView), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<CampaignView>, ApiError> {
    Ok(Json(campaigns::show(&app, &caller.workspace_id, &id).await?))
}

/// Lists the posts of a campaign by their times.
#[utoipa::path(get, path = "/campaigns/{id}/posts", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "Its posts.", body = CampaignPosts), Reads))]
pub async fn posts(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<CampaignPosts>, ApiError> {
    let items = campaigns::posts(&app, &caller.workspace_id, &id).await?;
    Ok(Json(CampaignPosts { items }))
}

/// Schedules all drafts of a campaign that have a time, or none; of the body what is allowed counts.
#[utoipa::path(post, path = "/campaigns/{id}/schedule", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")), request_body = Option<Shift>,
    responses((status = 200, description = "What it did.", body = Whole), Writes))]
pub async fn schedule(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    OptionalJson(allow): OptionalJson<Shift>,
) -> Result<Json<Whole>, ApiError> {
    whole(&app, &caller, &id, Deed::Schedule(allow)).await
}

/// Pauses a campaign: what waits is held until it is resumed.
#[utoipa::path(post, path = "/campaigns/{id}/pause", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What is held.", body = Whole), Writes))]
pub async fn pause(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Whole>, ApiError> {
    whole(&app, &caller, &id, Deed::Pause).await
}

/// Goes on with a paused campaign; posts whose time has passed are asked about, not sent.
#[utoipa::path(post, path = "/campaigns/{id}/resume", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What waits again.", body = Whole), Writes))]
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Whole>, ApiError> {
    whole(&app, &caller, &id, Deed::Resume).await
}

/// Moves all posts that are to come by so many days, or with the campaign's event.
///
/// All or none: 409 `collision` and `duplicate` as for a post, with the post in `posts[…]`.
#[utoipa::path(post, path = "/campaigns/{id}/shift", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")), request_body = Shift,
    responses((status = 200, description = "What it did.", body = Whole), Writes))]
pub async fn shift(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(by): Json<Shift>,
) -> Result<Json<Whole>, ApiError> {
    whole(&app, &caller, &id, Deed::Shift(by)).await
}

/// Cancels what of a campaign has not gone out.
#[utoipa::path(post, path = "/campaigns/{id}/cancel", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What it did.", body = Whole), Writes))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Whole>, ApiError> {
    whole(&app, &caller, &id, Deed::Cancel).await
}

/// Brings back what cancelling a campaign cancelled, but for what is late meanwhile.
#[utoipa::path(post, path = "/campaigns/{id}/reopen", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, description = "What it did.", body = Whole), Writes))]
pub async fn reopen(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Whole>, ApiError> {
    whole(&app, &caller, &id, Deed::Reopen).await
}

/// Makes the same campaign again as drafts, beginning on another day.
#[utoipa::path(post, path = "/campaigns/{id}/duplicate", tag = "campaigns",
    params(("id" = String, Path, format = "uuid")), request_body = CopyFrom,
    responses((status = 201, description = "The new campaign.", body = CampaignView), Writes))]
pub async fn duplicate(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(copy): Json<CopyFrom>,
) -> Result<(StatusCode, Json<CampaignView>), ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    let made = campaigns::duplicate(&app, ws, &id, &copy.from, &actor).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn whole(app: &App, caller: &Caller, id: &str, deed: Deed) -> Result<Json<Whole>, ApiError> {
    Ok(Json(campaigns::whole(app, &caller.workspace_id, id, deed, &caller.actor()).await?))
}
