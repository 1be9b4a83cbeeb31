//! What a workspace wants otherwise than the installation's settings say.

use axum::extract::State;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::policy::{Approval, Policies};
use crate::planning::gating;
use crate::store::accounts;
use crate::web::error::{Reads, Writes};
use crate::web::{ApiError, Caller, Json};

/// The policies of the workspace; `null` is the installation's setting.
#[utoipa::path(get, path = "/workspace/policies", tag = "workspace",
    responses((status = 200, body = Policies, description = "The policies."), Reads))]
pub async fn policies(State(app): State<App>, caller: Caller) -> Result<Json<Policies>, ApiError> {
    let workspace = caller.workspace_id;
    Ok(Json(app.db.read(move |tx| async move { accounts::policies(&tx, &workspace).await }).await?))
}

/// A change of policies: what is absent stays, `null` goes back to the installation's setting.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicyChange {
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<i64>, example = 90)]
    late_after_minutes: Option<Option<i64>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    story_late_after_minutes: Option<Option<i64>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    duplicate_days: Option<Option<i64>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    collision_minutes: Option<Option<i64>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    late_gap_seconds: Option<Option<i64>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    media_required: Option<Option<bool>>,
    #[schema(value_type = Option<Approval>)]
    approval: Option<Option<Approval>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    approval_self: Option<Option<bool>>,
    /// Scheduled posts that have not the approval which is asked for now are taken back and wait for
    /// it. Without this such a change is refused, with their number.
    take_back: bool,
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// Changes the policies of the workspace.
///
/// With `approval` posts wait for one before they go out; 409 `posts_scheduled` when posts are
/// scheduled that have none, unless `takeBack` is set. Without it again, what waits becomes a draft.
#[utoipa::path(patch, path = "/workspace/policies", tag = "workspace", request_body = PolicyChange,
    responses((status = 200, body = Policies, description = "The policies as they are now."), Writes))]
pub async fn set_policies(
    State(app): State<App>,
    caller: Caller,
    Json(change): Json<PolicyChange>,
) -> Result<Json<Policies>, ApiError> {
    let (actor, take_back) = (caller.actor(), change.take_back);
    let change = move |old| change.of(old);
    Ok(Json(gating::set(&app, &caller.workspace_id, change, take_back, &actor).await?))
}

impl PolicyChange {
    fn of(&self, old: Policies) -> Policies {
        Policies {
            late_after_minutes: self.late_after_minutes.unwrap_or(old.late_after_minutes),
            story_late_after_minutes: self
                .story_late_after_minutes
                .unwrap_or(old.story_late_after_minutes),
            duplicate_days: self.duplicate_days.unwrap_or(old.duplicate_days),
            collision_minutes: self.collision_minutes.unwrap_or(old.collision_minutes),
            late_gap_seconds: self.late_gap_seconds.unwrap_or(old.late_gap_seconds),
            media_required: self.media_required.unwrap_or(old.media_required),
            approval: self.approval.unwrap_or(old.approval),
            approval_self: self.approval_self.unwrap_or(old.approval_self),
        }
    }
}
