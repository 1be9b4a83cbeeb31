//! The calendar as a feed: its secret address, and what stands behind it.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::planning::calendar_feed::{self, CalendarLinkView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json, OptionalJson};

/// What the new address shows.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewCalendarLink {
    /// Also drafts that have a time.
    drafts: bool,
}

/// Is there an address under which other programs read the calendar?
#[utoipa::path(get, path = "/calendar-link", tag = "calendar",
    responses((status = 200, description = "The link, without its address.", body = CalendarLinkView), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<CalendarLinkView>, ApiError> {
    Ok(Json(calendar_feed::show(&app, &caller.workspace_id).await?))
}

/// Makes a new secret address (iCalendar, RFC 5545); the one before opens nothing any more.
#[utoipa::path(post, path = "/calendar-link", tag = "calendar", request_body = Option<NewCalendarLink>,
    responses((status = 201, description = "The link with its address, which is told this once.", body = CalendarLinkView), Writes))]
pub async fn renew(
    State(app): State<App>,
    caller: Caller,
    OptionalJson(new): OptionalJson<NewCalendarLink>,
) -> Result<(StatusCode, Json<CalendarLinkView>), ApiError> {
    let (ws, actor) = (&caller.workspace_id, caller.actor());
    let link = calendar_feed::renew(&app, ws, new.drafts, &actor).await?;
    Ok((StatusCode::CREATED, Json(link)))
}

/// Switches the address off.
#[utoipa::path(delete, path = "/calendar-link", tag = "calendar",
    responses((status = 204, description = "It opens nothing any more."), Writes))]
pub async fn switch_off(State(app): State<App>, caller: Caller) -> Result<StatusCode, ApiError> {
    calendar_feed::switch_off(&app, &caller.workspace_id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /cal/{token}.ics`
pub async fn calendar(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || ApiError::from(Refusal::not_found("calendar"));
    let token = name.strip_suffix(".ics").ok_or_else(missing)?;
    let found = calendar_feed::open(&app, token).await?.ok_or_else(missing)?;
    let etag = format!("\"{}\"", found.etag);
    let caching =
        [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, "private, no-cache".into())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    // A compressing layer marks its tags as weak.
    if known.is_some_and(|k| k.split(',').any(|t| t.trim().trim_start_matches("W/") == etag)) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let kind = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "inline; filename=\"carillon.ics\""),
    ];
    Ok((caching, kind, found.text).into_response())
}
