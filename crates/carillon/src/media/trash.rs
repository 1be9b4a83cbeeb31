//! Where a medium is used, and the way out of the library: into the trash for seven days, and then
//! its files go.
//!
//! What a post needs that is not out yet stays, whatever is asked. What is out already has its
//! pictures at the networks; whoever deletes one of those says so.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::finding::many;
use super::library::{enqueue, no_such, tell};
use super::video::renditions;
use super::{blobs, usage, words};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::post::PostState;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::review::Standing;
use crate::domain::when;
use crate::store::media::{self, Media, MediaState};
use crate::store::{alerts, audit, deliveries, library, posts, queue, stock};

/// How long the trash is kept, in ms.
const KEPT: i64 = 7 * 86_400_000;
/// Most characters of a post's own words where it stands in a list.
const WORDS: usize = 80;

/// A post that has a medium.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UseView {
    pub post_id: String,
    /// Its title, or how its text begins.
    pub says: String,
    pub state: PostState,
    /// ISO 8601
    pub scheduled_at: Option<String>,
    /// It is not out yet, or not everywhere: it needs the medium.
    pub needs: bool,
}

/// What was asked to be deleted.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Deleted {
    /// Ids of those that are in the trash now.
    pub deleted: Vec<String>,
    /// Those that posts have.
    pub kept: Vec<Kept>,
}

/// A medium that stayed, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Kept {
    pub id: String,
    pub name: String,
    pub uses: Vec<UseView>,
}

/// The posts that have a medium, the newest first.
pub async fn uses(app: &App, workspace: &str, id: &str) -> Result<Vec<UseView>, Refusal> {
    let (ws, id) = (workspace.to_owned(), id.to_owned());
    app.db
        .read(move |tx| async move {
            media::find(&tx, &ws, &id).await?.ok_or_else(no_such)?;
            Ok(uses_of(&tx, &id).await?)
        })
        .await
}

async fn uses_of(tx: &Tx, id: &str) -> Result<Vec<UseView>, Error> {
    let mut uses = Vec::new();
    for post in stock::uses(tx, id).await? {
        let all = deliveries::of_post(tx, &post.id).await?;
        let states: Vec<_> = all.iter().map(|d| d.state).collect();
        let state = PostState::of(post.committed_at.is_some(), Standing::None, &states);
        let says = post.title.filter(|t| !t.is_empty()).unwrap_or(post.text);
        uses.push(UseView {
            post_id: post.id,
            says: super::derive::cut(says.trim(), WORDS),
            state,
            scheduled_at: post.scheduled_at.map(when::iso),
            needs: !matches!(state, PostState::Published | PostState::Cancelled),
        });
    }
    Ok(uses)
}

/// Puts media into the trash, but for those that posts have; with `force` but for those that posts
/// need which are not out yet.
pub async fn delete_many(
    app: &App,
    workspace: &str,
    ids: &[String],
    force: bool,
    actor: &str,
) -> Result<Deleted, Refusal> {
    let ids = many(ids)?;
    let (ws, actor, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let done = app
        .db
        .write(move |tx| async move {
            let mut done = Deleted::default();
            for id in ids {
                // First, so that on PostgreSQL the row is ours before its use is counted.
                let medium = media::lock(&tx, &ws, &id, now).await?.ok_or_else(no_such)?;
                let uses = uses_of(&tx, &id).await?;
                if uses.iter().any(|u| u.needs || !force) {
                    done.kept.push(Kept { id, name: medium.name, uses });
                } else {
                    put_away(&tx, &medium, now).await?;
                    done.deleted.push(id);
                }
            }
            write_down(&tx, &ws, &actor, "media.deleted", &done.deleted, now).await?;
            Ok::<_, Refusal>(done)
        })
        .await?;
    app.ring();
    Ok(done)
}

/// The same of one; refused with the posts that have it.
pub async fn delete(
    app: &App,
    workspace: &str,
    id: &str,
    force: bool,
    actor: &str,
) -> Result<(), Refusal> {
    let done = delete_many(app, workspace, &[id.to_owned()], force, actor).await?;
    done.kept.first().map_or(Ok(()), |kept| Err(in_use(kept)))
}

pub(super) async fn put_away(tx: &Tx, medium: &Media, now: i64) -> Result<(), Error> {
    media::delete(tx, &medium.id, now).await?;
    library::hide(tx, medium).await?;
    queue::remove(tx, &medium.id).await?;
    for made in &media::derivatives(tx, &medium.id).await? {
        queue::remove(tx, &renditions::subject(&medium.id, &made.kind)).await?;
    }
    alerts::clear(tx, AlertKind::MediaFailed, &medium.id, now).await?;
    tell(tx, "media.deleted", medium, now).await
}

/// Takes media out of the trash, all of them or none.
pub async fn restore(
    app: &App,
    workspace: &str,
    ids: &[String],
    actor: &str,
) -> Result<usize, Refusal> {
    let ids: Vec<String> = many(ids)?.into_iter().collect();
    let (ws, actor, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let restored = app
        .db
        .write(move |tx| async move {
            for id in &ids {
                let medium = stock::restore(&tx, &ws, id, now).await?.ok_or_else(not_there)?;
                show_again(&tx, medium, now).await?;
            }
            write_down(&tx, &ws, &actor, "media.restored", &ids, now).await?;
            Ok::<_, Refusal>(ids.len())
        })
        .await?;
    app.ring();
    Ok(restored)
}

async fn show_again(tx: &Tx, medium: Media, now: i64) -> Result<(), Error> {
    let hidden = Media { words: String::new(), ..medium };
    library::index(tx, &hidden, &words::of(&hidden)).await?;
    if matches!(hidden.state, MediaState::Pending | MediaState::Processing) {
        enqueue(tx, &hidden, now).await?;
    }
    tell(tx, "media.restored", &hidden, now).await
}

/// Takes a post's media out of the trash with it. Those that are gone for good it has no more: their
/// names.
pub(crate) async fn bring_back(
    tx: &Tx,
    workspace: &str,
    post: &str,
    now: i64,
) -> Result<Vec<String>, Error> {
    let (mut left, mut missing) = (Vec::new(), Vec::new());
    for medium in media::of_post(tx, post).await? {
        if medium.deleted_at.is_none() {
            left.push(medium.id);
        } else if let Some(back) = stock::restore(tx, workspace, &medium.id, now).await? {
            left.push(back.id.clone());
            show_again(tx, back, now).await?;
        } else {
            missing.push(medium.name);
        }
    }
    if !missing.is_empty() {
        posts::set_media(tx, post, &left).await?;
    }
    Ok(missing)
}

/// Deletes what lies in the trash for good, all of these that do; how many.
pub async fn empty(
    app: &App,
    workspace: &str,
    ids: &[String],
    actor: &str,
) -> Result<usize, Refusal> {
    let mut gone = Vec::new();
    for id in many(ids)? {
        let of = id.clone();
        let found = app.db.read(move |tx| async move { media::kept(&tx, &of).await }).await?;
        let found = found.filter(|m| m.workspace_id == workspace && m.deleted_at.is_some());
        if purge(app, &found.ok_or_else(not_there)?).await? {
            gone.push(id);
        }
    }
    let (ws, actor, n, now) = (workspace.to_owned(), actor.to_owned(), gone.len(), app.clock.now());
    app.db
        .write(
            move |tx| async move { write_down(&tx, &ws, &actor, "media.purged", &gone, now).await },
        )
        .await?;
    usage::watch_one(app, workspace).await;
    app.ring();
    Ok(n)
}

/// Has the files go of what has been in the trash for seven days; how many media.
pub async fn sweep(app: &App) -> Result<usize, Error> {
    let (before, mut after, mut gone) = (app.clock.now() - KEPT, String::new(), 0);
    loop {
        let last = after.clone();
        let found =
            app.db.read(move |tx| async move { stock::trashed(&tx, before, &last).await }).await?;
        let Some(last) = found.last() else { return Ok(gone) };
        after = last.id.clone();
        for medium in &found {
            gone += usize::from(purge(app, medium).await?);
        }
    }
}

/// The row first: a file without one is found by the clean-up, a row without its file would be
/// missed by a post.
async fn purge(app: &App, medium: &Media) -> Result<bool, Error> {
    let (id, now) = (medium.id.clone(), app.clock.now());
    let purged = app
        .db
        .write(move |tx| async move {
            let purged = stock::purge(&tx, &id, now).await?;
            // A post can have been written with it while it was put away.
            if purged && uses_of(&tx, &id).await?.iter().any(|u| u.needs) {
                return Err(Needed::Needed);
            }
            Ok(purged)
        })
        .await;
    match purged {
        Ok(true) => {}
        Ok(false) | Err(Needed::Needed) => return Ok(false),
        Err(Needed::Database(e)) => return Err(e),
    }
    let folder = blobs::folder(&medium.workspace_id, &medium.id);
    if let Err(e) = app.blobs.delete_all(&folder).await {
        tracing::warn!(error = %e, media = medium.id, "files without a row wait for a clean-up");
    }
    Ok(true)
}

/// Why nothing of a unit of work stands.
enum Needed {
    Needed,
    Database(Error),
}

impl From<Error> for Needed {
    fn from(e: Error) -> Self {
        Self::Database(e)
    }
}

pub(super) async fn write_down(
    tx: &Tx,
    workspace: &str,
    actor: &str,
    what: &str,
    ids: &[String],
    now: i64,
) -> Result<(), Error> {
    let Some(first) = ids.first() else { return Ok(()) };
    audit::add(tx, Some(workspace), actor, what, first, &json!({ "media": ids }), now).await
}

fn not_there() -> Refusal {
    Refusal::not_found("picture or video in the trash")
}

fn in_use(kept: &Kept) -> Refusal {
    let n = kept.uses.len();
    let sentence = match kept.uses.as_slice() {
        [one] => format!("A post has {}: “{}”.", kept.name, one.says),
        _ => format!("{n} posts have {}.", kept.name),
    };
    let fix = match kept.uses.iter().any(|u| u.needs) {
        true => "Take it out of the posts that are not out yet first, or delete those.",
        false => "They are out already: delete it with `force` if it may go from here.",
    };
    let wrong = |u: &UseView| {
        let at = u.scheduled_at.as_deref().map_or(String::new(), |at| format!(", {at}"));
        let message = format!("“{}” ({}{at})", u.says, u.state);
        Wrong::new(format!("posts.{}", u.post_id), "media_in_use", message)
    };
    let problems = kept.uses.iter().map(wrong).collect();
    Refusal { problems, ..Refusal::conflict("media_in_use", sentence, fix) }
}
