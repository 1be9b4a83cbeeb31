//! What is asked for: a post as it comes in, and a change of one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::options::Answers;
use super::segments;
use crate::domain::delivery::DeliveryState as State;
pub use crate::domain::post::Part;
use crate::domain::when;
use crate::store::deliveries::Delivery;
use crate::store::posts::Post;

/// A post as it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
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
    /// The parts after the first, for networks with threads.
    #[serde(default)]
    pub thread: Vec<Part>,
    #[serde(default)]
    pub deliveries: Vec<DraftDelivery>,
    /// Who plans it (`account:<id>`, `key:<id>`, `operator`), never read from what they send; `None`:
    /// nobody in person.
    #[serde(skip)]
    pub by: Option<String>,
}

impl Draft {
    /// Would followers see the same of both, whenever that is?
    pub(super) fn shows_as(&self, other: &Draft) -> bool {
        let content = |d: &Draft| {
            let places = d.deliveries.iter().map(|d| DraftDelivery {
                scheduled_at: None,
                thread: d.thread.clone().or(Some(Parts::Share(Share::All))),
                first_comment: d.comment().map(str::to_owned),
                options: d.options.clone().filter(|answers| !answers.is_empty()),
                ..d.clone()
            });
            Draft {
                title: d.title.clone().filter(|title| !title.trim().is_empty()),
                deliveries: places.collect(),
                scheduled_at: None,
                timezone: None,
                draft: false,
                allow_collision: false,
                allow_duplicate: false,
                by: None,
                ..d.clone()
            }
        };
        content(self) == content(other)
    }
}

/// How much of the post's thread a delivery takes, or parts of its own after the first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "`thread` is `all`, `first`, or a list of parts with their `text`")]
pub enum Parts {
    Share(Share),
    Own(Vec<Part>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// All of it; refused where the network has no threads.
    All,
    /// The first part only.
    First,
}

impl Parts {
    pub const FIRST: Self = Self::Share(Share::First);
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
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
    /// `all` of the post's thread, which is what it takes when nothing is said, the `first` part
    /// only, or a list of parts that this one has instead. In an edit nothing said means: as it was.
    #[serde(default)]
    pub thread: Option<Parts>,
    /// A comment of the account's own, right after the post. In an edit nothing said means: as it
    /// was; an empty one takes it away.
    #[serde(default)]
    pub first_comment: Option<String>,
    /// Answers to what the placement asks beside text and media, by the keys of its `options`. In
    /// an edit nothing said means: as it was.
    #[serde(default)]
    #[schema(example = json!({ "actionType": "BOOK" }))]
    pub options: Option<Answers>,
}

impl DraftDelivery {
    pub(super) fn comment(&self) -> Option<&str> {
        self.first_comment.as_deref().filter(|text| !text.is_empty())
    }

    /// Does it take the post's thread?
    pub(super) fn shares(&self) -> bool {
        matches!(self.thread, None | Some(Parts::Share(Share::All)))
    }

    /// The parts after its first.
    pub(super) fn parts<'a>(&'a self, thread: &'a [Part]) -> &'a [Part] {
        match &self.thread {
            Some(Parts::Own(parts)) => parts,
            Some(Parts::Share(Share::First)) => &[],
            Some(Parts::Share(Share::All)) | None => thread,
        }
    }
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
    /// The parts after the first, all of them; an empty list takes the thread away.
    pub thread: Option<Vec<Part>>,
    /// The whole new list.
    pub deliveries: Option<Vec<DraftDelivery>>,
    /// As a draft's.
    #[serde(skip)]
    pub by: Option<String>,
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

/// A post as it would have to be asked for to be made again.
pub(crate) fn again(post: &Post, olds: &[Delivery], media: Vec<String>) -> Draft {
    merged(post, olds, media, Change { version: post.version, ..Change::default() })
}

/// The post as it would be with a change.
pub(super) fn merged(post: &Post, olds: &[Delivery], media: Vec<String>, change: Change) -> Draft {
    let thread = thread_of(post, olds);
    let mut deliveries = change.deliveries.unwrap_or_else(|| {
        olds.iter()
            .filter(|d| d.parent_id.is_none() && stands(d))
            .map(|d| DraftDelivery {
                connection_id: d.connection_id.clone(),
                placement: Some(d.placement.clone()),
                text: d.text.clone(),
                // One with the post's time follows it.
                scheduled_at: d
                    .scheduled_at
                    .filter(|at| Some(*at) != post.scheduled_at)
                    .map(when::iso),
                ..DraftDelivery::default()
            })
            .collect()
    });
    for d in &mut deliveries {
        let Some(old) = olds.iter().find(|old| {
            old.parent_id.is_none()
                && stands(old)
                && old.connection_id == d.connection_id
                && d.placement.as_ref().is_none_or(|placement| *placement == old.placement)
        }) else {
            continue;
        };
        let segments: Vec<Delivery> =
            segments::following(&old.id, olds).into_iter().filter(stands).collect();
        let parts = replies(&segments);
        d.thread = d.thread.take().or_else(|| {
            let own = if parts.is_empty() { Parts::FIRST } else { Parts::Own(parts.clone()) };
            (parts != thread).then_some(own)
        });
        let comment = segments.into_iter().find(|s| s.placement == "comment");
        d.first_comment = d.first_comment.take().or(comment.and_then(|c| c.text));
        d.options = d.options.take().or_else(|| Some(old.options.clone()));
    }
    Draft {
        text: change.text.unwrap_or_else(|| post.text.clone()),
        title: change.title.unwrap_or_else(|| post.title.clone()),
        media: change.media.unwrap_or(media),
        scheduled_at: change.scheduled_at.unwrap_or_else(|| post.scheduled_at.map(when::iso)),
        timezone: Some(change.timezone.unwrap_or_else(|| post.timezone.clone())),
        draft: change.draft.unwrap_or(post.committed_at.is_none()),
        allow_collision: change.allow_collision,
        allow_duplicate: change.allow_duplicate,
        thread: change.thread.unwrap_or(thread),
        deliveries,
        by: change.by,
    }
}

/// The thread that a post's deliveries share; of a post from before it was kept, the longest.
pub(super) fn thread_of(post: &Post, olds: &[Delivery]) -> Vec<Part> {
    if let Some(thread) = &post.thread {
        return thread.clone();
    }
    let standing = olds.iter().any(|d| d.parent_id.is_none() && stands(d));
    let heads = olds.iter().filter(|d| d.parent_id.is_none() && (stands(d) || !standing));
    let threads = heads.map(|head| {
        let mut parts = segments::following(&head.id, olds);
        parts.retain(|s| stands(s) || !standing);
        replies(&parts)
    });
    threads.max_by_key(Vec::len).unwrap_or_default()
}

/// The parts of a thread among what follows a delivery.
fn replies(segments: &[Delivery]) -> Vec<Part> {
    let replies = segments.iter().filter(|s| s.placement == "reply");
    replies.map(|s| Part { text: s.text.clone().unwrap_or_default(), media: Vec::new() }).collect()
}

fn stands(d: &Delivery) -> bool {
    !matches!(d.state, State::Cancelled | State::Removed)
}
