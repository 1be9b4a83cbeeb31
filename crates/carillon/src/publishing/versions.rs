//! What a post said before: every change of its content keeps the version before it, newest 50.
//!
//! A version goes back through `schedule::edit`, so that guards, approvals and what is live hold as for
//! any other change; what stood before is then a version too. Where a post goes and when is no content:
//! a place that was added since stays, and one that was taken out stays out.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::draft::{Change, Draft, DraftDelivery, Part, Parts, Share, merged};
use super::options::Answers;
use super::schedule::{self, Terms};
use super::view::{self, MediaBrief, Names, PostView};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::store::media;
use crate::store::posts::{self, Post};
use crate::store::versions::{self, Version};
use crate::store::{self, audit, deliveries};

/// What followers would see of a post, as it is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Content {
    text: String,
    title: Option<String>,
    media: Vec<String>,
    thread: Vec<Part>,
    deliveries: Vec<DraftDelivery>,
}

/// A version of a post.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionView {
    pub version: i64,
    /// It is what the post says now.
    pub current: bool,
    /// The name of the account or the key that wrote it, where this workspace knows it.
    pub written_by: Option<String>,
    pub written_at: String,
    pub text: String,
    pub title: Option<String>,
    /// In order. Those that were deleted meanwhile are not brought back.
    pub media: Vec<VersionMedia>,
    pub thread: Vec<Part>,
    pub deliveries: Vec<VersionDelivery>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionMedia {
    #[serde(flatten)]
    pub media: MediaBrief,
    /// It was deleted.
    pub gone: bool,
}

/// What a place had of its own.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionDelivery {
    pub connection_id: String,
    pub connection_name: String,
    pub placement: Option<String>,
    /// `null`: the post's text.
    pub text: Option<String>,
    /// `null`: the post's thread.
    pub thread: Option<Parts>,
    pub first_comment: Option<String>,
    pub options: Answers,
}

/// How a version goes back.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Back {
    /// Refused when the post is no longer at this version.
    pub version: Option<i64>,
    /// Also with content that went to the same connection within 7 days (or what is set).
    pub allow_duplicate: bool,
}

/// Keeps what a post said before a change, in the transaction of the change.
pub(super) async fn keep(tx: &Tx, before: &Post, said: &Draft) -> Result<(), Error> {
    let version = Version {
        post_id: before.id.clone(),
        version: before.version,
        written_by: before.written_by.clone(),
        written_at: before.written_at,
        content: store::json(&Content::of(said)),
    };
    versions::add(tx, &version).await
}

/// Of a post, newest first; the first is what it says now.
pub async fn list(app: &App, workspace: &str, id: &str) -> Result<Vec<VersionView>, Refusal> {
    let (ws, id) = (workspace.to_owned(), view::known_id(id, "post")?);
    app.db
        .read(move |tx| async move {
            let post = schedule::find(&tx, &ws, &id).await?;
            let (authors, names) = (audit::names(&tx, &ws).await?, view::names(&tx, &ws).await?);
            let by = |actor: Option<&String>| actor.and_then(|a| authors.get(a).cloned());
            let current = Content::of(&present(&tx, &post).await?);
            let mut items = Vec::new();
            let of = (post.version, by(post.written_by.as_ref()), post.written_at, true);
            items.push(current.view(&tx, &ws, &names, of).await?);
            for v in versions::of(&tx, &id).await? {
                let of = (v.version, by(v.written_by.as_ref()), v.written_at, false);
                items.push(Content::kept(&v)?.view(&tx, &ws, &names, of).await?);
            }
            Ok(items)
        })
        .await
}

/// Has a post say again what it said in a version.
pub async fn restore(
    app: &App,
    workspace: &str,
    id: &str,
    version: i64,
    back: Back,
    actor: &str,
) -> Result<PostView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let (actor, terms) = (actor.to_owned(), Terms::of(app));
    let restored = app
        .db
        .write(move |tx| async move {
            let post = schedule::find(&tx, &ws, &id).await?;
            let found = versions::find(&tx, &id, version).await?;
            let content = Content::kept(&found.ok_or_else(unknown)?)?;
            let draft = present(&tx, &post).await?;
            let mut there = Vec::new();
            for medium in content.media.clone() {
                if media::find(&tx, &ws, &medium).await?.is_some() {
                    there.push(medium);
                }
            }
            let change = Change {
                version: back.version.unwrap_or(post.version),
                deliveries: Some(content.places(draft.deliveries)),
                text: Some(content.text),
                title: Some(content.title),
                media: Some(there),
                thread: Some(content.thread),
                allow_duplicate: back.allow_duplicate,
                by: Some(actor.clone()),
                ..Change::default()
            };
            schedule::edit_in(&tx, &terms, &ws, &id, change, now).await?;
            posts::detach(&tx, &id, now).await?;
            let data = json!({ "version": version });
            audit::add(&tx, Some(&ws), &actor, "post.version_restored", &id, &data, now).await?;
            view::post_in(&tx, &ws, &id).await
        })
        .await?;
    app.ring();
    Ok(restored)
}

/// A post as whoever edits it begins.
async fn present(tx: &Tx, post: &Post) -> Result<Draft, Error> {
    let olds = deliveries::of_post(tx, &post.id).await?;
    let media = media::of_post(tx, &post.id).await?.into_iter().map(|m| m.id).collect();
    Ok(merged(post, &olds, media, Change::default()))
}

impl Content {
    fn of(draft: &Draft) -> Self {
        let place = |d: &DraftDelivery| DraftDelivery { scheduled_at: None, ..d.clone() };
        Self {
            text: draft.text.clone(),
            title: draft.title.clone(),
            media: draft.media.clone(),
            thread: draft.thread.clone(),
            deliveries: draft.deliveries.iter().map(place).collect(),
        }
    }

    fn kept(v: &Version) -> Result<Self, Error> {
        let wrong = |e| Error::Corrupt(format!("version {} of post {}: {e}", v.version, v.post_id));
        serde_json::from_str(&v.content).map_err(wrong)
    }

    /// The places that the post has now, with what each of them had then.
    fn places(&self, now: Vec<DraftDelivery>) -> Vec<DraftDelivery> {
        let then = |d: &DraftDelivery| {
            self.deliveries
                .iter()
                .find(|o| o.connection_id == d.connection_id && o.placement == d.placement)
        };
        let place = |d: DraftDelivery| match then(&d) {
            None => d,
            // Said in full: what is left out would stay as it is.
            Some(old) => DraftDelivery {
                text: old.text.clone(),
                thread: Some(old.thread.clone().unwrap_or(Parts::Share(Share::All))),
                first_comment: Some(old.first_comment.clone().unwrap_or_default()),
                options: Some(old.options.clone().unwrap_or_default()),
                ..d
            },
        };
        now.into_iter().map(place).collect()
    }

    async fn view(
        self,
        tx: &Tx,
        workspace: &str,
        names: &Names,
        (version, written_by, written_at, current): (i64, Option<String>, i64, bool),
    ) -> Result<VersionView, Error> {
        let mut shown = Vec::new();
        for id in &self.media {
            if let Some(m) = media::of_any(tx, workspace, id).await? {
                shown.push(VersionMedia { media: view::brief(&m), gone: m.deleted_at.is_some() });
            }
        }
        let place = |d: DraftDelivery| VersionDelivery {
            connection_name: view::name_of(names, &d.connection_id),
            connection_id: d.connection_id,
            placement: d.placement,
            text: d.text,
            thread: d.thread,
            first_comment: d.first_comment,
            options: d.options.unwrap_or_default(),
        };
        Ok(VersionView {
            version,
            current,
            written_by,
            written_at: when::iso(written_at),
            text: self.text,
            title: self.title,
            media: shown,
            thread: self.thread,
            deliveries: self.deliveries.into_iter().map(place).collect(),
        })
    }
}

fn unknown() -> Refusal {
    let fix = "Look which there are: the newest 50 are kept.";
    Refusal { fix: fix.to_owned(), ..Refusal::not_found("version of this post") }
}
