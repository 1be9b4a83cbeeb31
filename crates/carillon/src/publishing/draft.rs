//! What is asked for: a post as it comes in, and a change of one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::delivery::DeliveryState as State;
use crate::domain::when;
use crate::store::deliveries::Delivery;
use crate::store::posts::Post;

/// A post as it is asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Draft {
    #[serde(default)]
    #[schema(example = "Doors open at seven.")]
    pub text: String,
    /// For networks whose posts have a title; without one the first line stands in.
    #[serde(default)]
    pub title: Option<String>,
    /// Ids of uploaded media, in order.
    #[serde(default)]
    pub media: Vec<String>,
    /// Wall time in `timezone` (`2026-11-23T09:00`), or with an offset or `Z`. Without it a post
    /// that is no draft goes out now.
    #[serde(default)]
    #[schema(example = "2026-11-23T09:00")]
    pub scheduled_at: Option<String>,
    /// IANA name; without it the workspace's.
    #[serde(default)]
    #[schema(example = "Europe/London")]
    pub timezone: Option<String>,
    /// Save only; nothing goes out.
    #[serde(default)]
    pub draft: bool,
    /// Also within 30 minutes (or what is set) of another post of the same connection.
    #[serde(default)]
    pub allow_collision: bool,
    /// Also with content that went to the same connection within 7 days (or what is set).
    #[serde(default)]
    pub allow_duplicate: bool,
    #[serde(default)]
    pub deliveries: Vec<DraftDelivery>,
}

#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DraftDelivery {
    pub connection_id: String,
    /// `feed`, `story`, …; without it the network's first.
    #[serde(default)]
    pub placement: Option<String>,
    /// Instead of the post's text.
    #[serde(default)]
    pub text: Option<String>,
    /// Instead of the post's time.
    #[serde(default)]
    pub scheduled_at: Option<String>,
}

/// A change of a post: what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// The version that the change was made from.
    pub version: i64,
    pub text: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub title: Option<Option<String>>,
    pub media: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub scheduled_at: Option<Option<String>>,
    pub timezone: Option<String>,
    pub draft: Option<bool>,
    #[serde(default)]
    pub allow_collision: bool,
    #[serde(default)]
    pub allow_duplicate: bool,
    /// The whole new list.
    pub deliveries: Option<Vec<DraftDelivery>>,
}

/// A new time for a post.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Move {
    /// Wall time in `timezone`, or with an offset or `Z`.
    #[schema(example = "2026-11-24T09:00")]
    pub scheduled_at: String,
    /// IANA name; without it the post's.
    #[schema(example = "Europe/London")]
    pub timezone: Option<String>,
    /// Refused when the post is no longer at this version.
    pub version: Option<i64>,
    #[serde(default)]
    pub allow_collision: bool,
    #[serde(default)]
    pub allow_duplicate: bool,
}

/// Tells `null` from absent.
fn present<'de, D, T>(d: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(d).map(Some)
}

/// The post as it would be with a change.
pub(super) fn merged(post: &Post, olds: &[Delivery], media: Vec<String>, change: Change) -> Draft {
    let deliveries = change.deliveries.unwrap_or_else(|| {
        olds.iter()
            .filter(|d| !matches!(d.state, State::Cancelled | State::Removed))
            .map(|d| DraftDelivery {
                connection_id: d.connection_id.clone(),
                placement: Some(d.placement.clone()),
                text: d.text.clone(),
                // One with the post's time follows it.
                scheduled_at: d
                    .scheduled_at
                    .filter(|at| Some(*at) != post.scheduled_at)
                    .map(when::iso),
            })
            .collect()
    });
    Draft {
        text: change.text.unwrap_or_else(|| post.text.clone()),
        title: change.title.unwrap_or_else(|| post.title.clone()),
        media: change.media.unwrap_or(media),
        scheduled_at: change.scheduled_at.unwrap_or_else(|| post.scheduled_at.map(when::iso)),
        timezone: Some(change.timezone.unwrap_or_else(|| post.timezone.clone())),
        draft: change.draft.unwrap_or(post.committed_at.is_none()),
        allow_collision: change.allow_collision,
        allow_duplicate: change.allow_duplicate,
        deliveries,
    }
}
