//! A post's life, read off its deliveries: never stored, so it cannot disagree with them. And the
//! parts of its thread.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::delivery::DeliveryState as D;
use super::review::Standing;
use crate::words;

words! {
    pub enum PostState {
        Draft = "draft",
        /// It waits for an approval.
        InReview = "in_review",
        /// It is approved, and has no time, or one that has passed.
        Approved = "approved",
        Scheduled = "scheduled",
        Publishing = "publishing",
        Published = "published",
        PartlyPublished = "partly_published",
        Failed = "failed",
        Held = "held",
        Cancelled = "cancelled",
    }
}

/// A part of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Part {
    #[schema(example = "Support from nine.")]
    pub text: String,
    /// Only the first part takes media for now: anything here is refused.
    #[serde(default)]
    pub media: Vec<String>,
}

impl PostState {
    /// The state of a post with these deliveries; `committed` is false for a draft.
    pub fn of(committed: bool, review: Standing, deliveries: &[D]) -> Self {
        if !committed {
            return match review {
                Standing::None => PostState::Draft,
                Standing::Asked => PostState::InReview,
                Standing::Given => PostState::Approved,
            };
        }
        let any = |f: fn(&D) -> bool| deliveries.iter().any(f);
        let live: Vec<&D> =
            deliveries.iter().filter(|d| !matches!(d, D::Cancelled | D::Removed)).collect();
        if live.is_empty() {
            return PostState::Cancelled;
        }
        if live.iter().all(|d| **d == D::Published) {
            return PostState::Published;
        }
        if any(|d| matches!(d, D::Sending | D::Waiting | D::Unknown)) {
            return PostState::Publishing;
        }
        if any(|d| *d == D::Held) {
            return PostState::Held;
        }
        if any(|d| *d == D::Draft) {
            let given = review == Standing::Given;
            return if given { PostState::Approved } else { PostState::InReview };
        }
        if any(|d| *d == D::Queued) {
            let begun = any(|d| *d == D::Published);
            return if begun { PostState::Publishing } else { PostState::Scheduled };
        }
        if any(|d| *d == D::Published) { PostState::PartlyPublished } else { PostState::Failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_what_its_deliveries_are() {
        let of = |d: &[D]| PostState::of(true, Standing::None, d);
        assert_eq!(PostState::of(false, Standing::None, &[D::Draft]), PostState::Draft);
        assert_eq!(of(&[D::Queued, D::Queued]), PostState::Scheduled);
        assert_eq!(of(&[D::Queued, D::Published]), PostState::Publishing);
        assert_eq!(of(&[D::Unknown, D::Failed]), PostState::Publishing);
        assert_eq!(of(&[D::Published, D::Failed]), PostState::PartlyPublished);
        assert_eq!(of(&[D::Published, D::Cancelled]), PostState::Published);
        assert_eq!(of(&[D::Held, D::Published]), PostState::Held);
        assert_eq!(of(&[D::Failed]), PostState::Failed);
        assert_eq!(of(&[D::Cancelled, D::Removed]), PostState::Cancelled);
    }

    #[test]
    fn what_waits_for_an_approval_is_in_review_until_it_is_given() {
        let draft = |review| PostState::of(false, review, &[D::Draft]);
        assert_eq!(draft(Standing::Asked), PostState::InReview);
        assert_eq!(draft(Standing::Given), PostState::Approved);
        let planned = |review| PostState::of(true, review, &[D::Draft, D::Cancelled]);
        assert_eq!(planned(Standing::None), PostState::InReview, "nobody is asked yet");
        assert_eq!(planned(Standing::Asked), PostState::InReview);
        assert_eq!(planned(Standing::Given), PostState::Approved, "its time has passed");
        assert_eq!(
            PostState::of(true, Standing::Given, &[D::Queued]),
            PostState::Scheduled,
            "approved and with a time, it goes out"
        );
    }
}
