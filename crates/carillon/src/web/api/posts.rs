//! Posts: written, planned, moved, taken back.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::paging;
use crate::app::App;
use crate::domain::post::PostState;
use crate::ids;
use crate::publishing::calendar::{self, BriefView};
use crate::publishing::moving::{self, MovedPosts, Moves};
use crate::publishing::rollback::{self, RolledBack};
use crate::publishing::schedule::{self, Change, Checked, Draft, Keyed, Move};
use crate::publishing::slots::{self, Slots};
use crate::publishing::view::{self, Page, PostView};
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Id, Json, Query};

/// Which posts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Due at this time or later. Without `from` and `to`: the posts that have no time.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Due before this time.
    #[param(example = "2026-12-01T00:00:00Z")]
    to: Option<String>,
    /// Only posts in this state. A page may then hold fewer posts than `limit`.
    state: Option<PostState>,
    /// Only posts whose text or title holds these words, newest first, with or without a time; not
    /// together with `from` and `to`, for which there is `/calendar`.
    #[param(example = "quiz night")]
    search: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Lists posts by the time they are due, earliest first; posts without a time newest first.
#[utoipa::path(get, path = "/posts", tag = "posts", params(ListQuery),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>), Reads))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<PostView>>, ApiError> {
    let limit = paging::limit(query.limit, 100, 1000)?;
    let cursor = query.cursor.filter(|c| !c.is_empty());
    if cursor.as_deref().is_some_and(|c| !is_cursor(c)) {
        let message = "`cursor` is none that a page ended with.";
        return Err(paging::wrong("cursor", message.to_owned()).into());
    }
    let search = query.search.filter(|s| !s.trim().is_empty());
    if search.is_some() && (query.from.is_some() || query.to.is_some()) {
        let message =
            "`search` finds posts of any time: leave out `from` and `to`, or ask /calendar.";
        return Err(paging::wrong("search", message.to_owned()).into());
    }
    let query = view::Query {
        search,
        from: query.from.as_deref().map(|t| paging::instant("from", t)).transpose()?,
        to: query.to.as_deref().map(|t| paging::instant("to", t)).transpose()?,
        state: query.state,
        cursor,
        limit,
    };
    Ok(Json(view::list(&app, &caller.workspace_id, query).await?))
}

/// Is it of the form that `next` has: an id, after its time where there is one?
fn is_cursor(text: &str) -> bool {
    let (at, id) = text.split_once('~').map_or((None, text), |(at, id)| (Some(at), id));
    ids::valid(id) && at.is_none_or(|at| at.parse::<i64>().is_ok())
}

/// Which free times to tell.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SlotQuery {
    connection_id: String,
    /// Not before this time; now when not given.
    #[param(example = "2026-11-23T09:00:00Z")]
    after: Option<String>,
}

/// The next free times of a connection, far enough from its other posts.
#[utoipa::path(get, path = "/slots", tag = "posts", params(SlotQuery),
    responses((status = 200, body = Slots, description = "Up to ten free times, in order."), Reads))]
pub async fn slots(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<SlotQuery>,
) -> Result<Json<Slots>, ApiError> {
    let after = query.after.as_deref().map(|t| paging::instant("after", t)).transpose()?;
    Ok(Json(slots::of(&app, &caller.workspace_id, &query.connection_id, after).await?))
}

/// Creates a post: a draft, one to go out at a time, or one to go out now.
///
/// Every delivery is checked against its network's rules first; with any problem nothing is saved.
/// 409 `collision` close to another post of a connection and 409 `duplicate` with content that it
/// had lately, both with `suggestedAt`, unless the request allows them.
///
/// `thread` holds the parts after the first, for networks with threads (`thread_unsupported` for
/// others, unless their delivery says `"thread": "first"`); a delivery can have parts of its own as
/// its `thread`. `firstComment` of a delivery is a comment
/// of the account's own (`comment_unsupported`). Each part is a delivery with `parentId`, which goes
/// out once what it follows is live.
#[utoipa::path(post, path = "/posts", tag = "posts",
    request_body(content = Draft, example = json!({
        "text": "Doors open at seven.",
        "scheduledAt": "2026-11-23T09:00",
        "timezone": "Europe/London",
        "deliveries": [{ "connectionId": "01993d3c-8f00-7a53-9c1e-2b6f4d1e0a77" }]
    })),
    responses((status = 201, description = "The post as it was saved.", body = PostView), Writes))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    keyed: Option<Extension<Keyed>>,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<PostView>), ApiError> {
    let keyed = keyed.map(|Extension(k)| k);
    let draft = Draft { by: Some(caller.actor()), ..draft };
    let post = schedule::create(&app, &caller.workspace_id, draft, keyed).await?;
    Ok((StatusCode::CREATED, Json(post)))
}

/// Which post is being changed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CheckQuery {
    /// The id of the post that the draft would change, which does not stand in its own way.
    post_id: Option<String>,
}

/// Checks what `POST /posts` would be given, and saves nothing.
///
/// `problems` block it; `warnings` are what it would be asked about (`collision`, `duplicate`) or
/// what will keep it waiting.
#[utoipa::path(post, path = "/posts/check", tag = "posts", request_body = Draft, params(CheckQuery),
    responses((status = 200, description = "What each network says.", body = Checked), Writes))]
pub async fn check(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<CheckQuery>,
    Json(draft): Json<Draft>,
) -> Result<Json<Checked>, ApiError> {
    let post = query.post_id.as_deref();
    Ok(Json(schedule::check(&app, &caller.workspace_id, &draft, post).await?))
}

/// One post with its deliveries.
#[utoipa::path(get, path = "/posts/{id}", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = PostView, description = "The post."), Reads))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<PostView>, ApiError> {
    Ok(Json(view::post(&app, &caller.workspace_id, &id).await?))
}

/// Changes a post: what is absent stays; `deliveries` is the whole new list.
///
/// 409 `version_conflict` when somebody else changed it since `version`, 409 `already_sending` when
/// the change would touch what is under way or live, 409 `collision` and `duplicate` as for a new
/// post, about what it changes.
#[utoipa::path(patch, path = "/posts/{id}", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    request_body(content = Change, example = json!({ "version": 3, "text": "Doors open at eight." })),
    responses((status = 200, body = PostView, description = "The post as it is now."), Writes))]
pub async fn edit(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(change): Json<Change>,
) -> Result<Json<PostView>, ApiError> {
    let change = Change { by: Some(caller.actor()), ..change };
    Ok(Json(schedule::edit(&app, &caller.workspace_id, &id, change).await?))
}

/// Moves a post to another time, and all its open deliveries by the same difference.
///
/// 409 `collision` and `duplicate` as for a new post.
#[utoipa::path(post, path = "/posts/{id}/move", tag = "posts",
    params(("id" = String, Path, format = "uuid")), request_body = Move,
    responses((status = 200, body = PostView, description = "The post as it is now."), Writes))]
pub async fn move_to(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    Json(to): Json<Move>,
) -> Result<Json<PostView>, ApiError> {
    Ok(Json(schedule::move_to(&app, &caller.workspace_id, &id, to).await?))
}

/// Moves many posts as if at once: all of them, or none.
///
/// With any problem nothing moves, and `problems` names each post that cannot (`posts[2]`). What
/// moves with a post is not in its way. 409 `collision` and `duplicate` as for a new post.
#[utoipa::path(post, path = "/posts/move", tag = "posts",
    request_body(content = Moves, example = json!({
        "posts": [
            { "id": "01993d3c-8f00-7a53-9c1e-2b6f4d1e0a77", "scheduledAt": "2026-11-24T09:00", "version": 3 },
            { "id": "01993d3c-8f00-7b1c-8a52-0f9d1c3b7e10", "scheduledAt": "2026-11-25T09:00" }
        ],
        "timezone": "Europe/London"
    })),
    responses((status = 200, body = MovedPosts, description = "The posts as they are now."), Writes))]
pub async fn move_all(
    State(app): State<App>,
    caller: Caller,
    Json(moves): Json<Moves>,
) -> Result<Json<MovedPosts>, ApiError> {
    Ok(Json(moving::many(&app, &caller.workspace_id, moves).await?))
}

/// Which posts a calendar shows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CalendarQuery {
    /// Due at this time or later.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: String,
    /// Due before this time.
    #[param(example = "2026-12-01T00:00:00Z")]
    to: String,
    /// Only posts whose text or title holds these words.
    search: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 10000; 5000 when not given.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
}

/// Posts by the time they are due, earliest first, with what a calendar shows of each and what
/// stands too close together.
#[utoipa::path(get, path = "/calendar", tag = "posts", params(CalendarQuery),
    responses((status = 200, description = "A page of posts.", body = Page<BriefView>), Reads))]
pub async fn calendar(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<CalendarQuery>,
) -> Result<Json<Page<BriefView>>, ApiError> {
    let query = calendar::Query {
        from: paging::instant("from", &query.from)?,
        to: paging::instant("to", &query.to)?,
        search: query.search.unwrap_or_default(),
        cursor: paging::cursor(query.cursor.as_deref())?,
        limit: paging::limit(query.limit, 5_000, 10_000)?,
    };
    Ok(Json(calendar::list(&app, &caller.workspace_id, query).await?))
}

/// Cancels what of a post has not gone out.
#[utoipa::path(post, path = "/posts/{id}/cancel", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = PostView, description = "The post as it is now."), Writes))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<PostView>, ApiError> {
    Ok(Json(schedule::cancel(&app, &caller.workspace_id, &id).await?))
}

/// Cancels a post and puts it into the trash for seven days. 409 while it is live somewhere: roll it
/// back first.
#[utoipa::path(delete, path = "/posts/{id}", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is in the trash."), Writes))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    schedule::delete(&app, &caller.workspace_id, &id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a published post down at every network that lets programs delete, and says of each what
/// became of it.
#[utoipa::path(post, path = "/posts/{id}/rollback", tag = "posts",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = RolledBack, description = "What became of each delivery."), Writes))]
pub async fn roll_back(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<RolledBack>, ApiError> {
    Ok(Json(rollback::post(&app, &caller.workspace_id, &id).await?))
}
