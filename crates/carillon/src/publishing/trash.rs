//! The trash of posts: kept for seven days with what their deletion cancelled, then gone for good.
//!
//! What comes out of it is a draft: nothing is ever sent by a restore. Only what a person takes back at
//! once may be again as it was, when nothing of it had gone out and all its times are still to come;
//! the guard and the approval are asked as for a post that is new.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::lineup::{reopen, revive};
use super::schedule::{Terms, ask_approval, say};
use super::view::{self, Page, PostView};
use super::{guard, holding};
use crate::App;
use crate::approval;
use crate::db::{Error, Tx};
use crate::domain::campaign::{CampaignState, SeriesState};
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::media;
use crate::media::video::renditions;
use crate::store::deliveries::{self, Delivery};
use crate::store::posts::{self, Post};
use crate::store::trash::{self, Trashed};
use crate::store::{audit, campaigns, connections, series};

/// How long a post is kept, in ms.
const KEPT: i64 = 7 * 86_400_000;

/// A post in the trash.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrashedPost {
    /// As its deletion left it: what had not gone out is cancelled.
    pub post: PostView,
    pub deleted_at: String,
    /// The name of the account or the key that deleted it, where this workspace knows it.
    pub deleted_by: Option<String>,
    /// When it will be gone for good.
    pub purged_at: String,
}

/// How a post comes out of the trash.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Restore {
    /// Scheduled again as it was, instead of a draft. Refused (`not_as_it_was`) when something of it
    /// had gone out, or a time of it has passed.
    pub as_it_was: bool,
    /// As for a new post.
    pub allow_collision: bool,
    pub allow_duplicate: bool,
}

/// A post that is back.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Restored {
    pub post: PostView,
    /// Names of pictures and videos of it that were deleted for good meanwhile.
    pub missing: Vec<String>,
}

/// What was deleted in the last seven days, newest first, before the cursor `(at, id)`.
pub async fn list(
    app: &App,
    workspace: &str,
    cursor: Option<(i64, String)>,
    limit: usize,
) -> Result<Page<TrashedPost>, Refusal> {
    let (ws, since) = (workspace.to_owned(), app.clock.now() - KEPT);
    app.db
        .read(move |tx| async move {
            let names = audit::names(&tx, &ws).await?;
            let (at, id) = cursor.unwrap_or((i64::MAX, String::new()));
            let mut found = trash::list(&tx, &ws, since, (at, &id), limit as i64 + 1).await?;
            let next = (found.len() > limit).then(|| {
                found.truncate(limit);
                found.last().map(|t| format!("{}~{}", t.at, t.post.id))
            });
            let mut items = Vec::with_capacity(found.len());
            for Trashed { post, at, by, .. } in found {
                items.push(TrashedPost {
                    post: view::seen(&tx, &post).await?,
                    deleted_at: when::iso(at),
                    deleted_by: by.and_then(|actor| names.get(&actor).cloned()),
                    purged_at: when::iso(at + KEPT),
                });
            }
            Ok(Page { items, next: next.flatten() })
        })
        .await
}

/// Takes a post out of the trash. It comes back with its media; a post of a series is back by itself,
/// one of a campaign as part of it.
pub async fn restore(
    app: &App,
    workspace: &str,
    id: &str,
    how: Restore,
    actor: &str,
) -> Result<Restored, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let (actor, terms) = (actor.to_owned(), Terms::of(app));
    let restored = app
        .db
        .write(move |tx| async move {
            let found = trash::find(&tx, &ws, &id).await?;
            let trashed = found.filter(|t| t.at + KEPT > now).ok_or_else(not_there)?;
            let restored = restore_in(&tx, &terms, trashed, how, &actor, now).await?;
            let data = json!({ "asItWas": how.as_it_was });
            audit::add(&tx, Some(&ws), &actor, "post.restored", &id, &data, now).await?;
            Ok::<_, Refusal>(restored)
        })
        .await?;
    app.ring();
    Ok(restored)
}

async fn restore_in(
    tx: &Tx,
    terms: &Terms,
    trashed: Trashed,
    how: Restore,
    actor: &str,
    now: i64,
) -> Result<Restored, Refusal> {
    let all = deliveries::of_post(tx, &trashed.post.id).await?;
    let was_draft = trashed.post.committed_at.is_none();
    let as_it_was = how.as_it_was && !was_draft;
    if as_it_was && let Some(why) = changed_since(tx, &trashed, &all, now).await? {
        let fix = "Restore it as a draft, look at it, and plan it again.";
        return Err(Refusal::conflict("not_as_it_was", why, fix));
    }
    let post = Post {
        committed_at: trashed.post.committed_at.filter(|_| as_it_was),
        paused_at: is_paused(tx, &trashed.post).await?.then_some(now),
        ..trashed.post.clone()
    };
    if !trash::take_out(tx, &post, now).await? {
        return Err(not_there());
    }
    posts::detach(tx, &post.id, now).await?;
    // Whatever was said of it was said of what was deleted.
    approval::forget(tx, &post.id, "deleted", now).await?;
    let missing = media::trash::bring_back(tx, &post.workspace_id, &post.id, now).await?;
    let mut back = Vec::new();
    for d in all {
        let closed = match trashed.closed.is_empty() {
            // Cancelled before: as a draft it is there again, as it was it stays so.
            true => !as_it_was,
            false => trashed.closed.contains_key(&d.id),
        };
        let there = connections::find(tx, &d.workspace_id, &d.connection_id).await?.is_some();
        if closed && there && d.state == State::Cancelled && d.intent_at.is_none() {
            back.push(d);
        }
    }
    let (mut heads, segments): (Vec<Delivery>, Vec<Delivery>) =
        back.into_iter().partition(|d| d.parent_id.is_none());
    // Lanes in one order everywhere, so that two never wait for each other.
    heads.sort_by(|a, b| a.connection_id.cmp(&b.connection_id));
    if as_it_was {
        let windows = guard::windows(tx, &terms.config, &post.workspace_id).await?;
        let windows = windows.allowing(how.allow_duplicate, how.allow_collision);
        let asked = guard::moved(tx, &heads).await?;
        guard::refuse(tx, windows, &asked, &post.id, &post.timezone, now).await?;
    }
    for d in heads {
        reopen(tx, &post, d, now).await?;
    }
    for d in segments {
        revive(tx, &post, d, now).await?;
    }
    if as_it_was {
        renditions::ask_for_post(tx, terms.networks(), &post.id, now).await?;
        let gate = approval::gate(tx, &post).await?;
        ask_approval(tx, &post, &gate, Some(actor), now).await?;
    }
    holding::keep(tx, &post, now).await?;
    say(tx, &post, "post.created", now).await?;
    let post = view::post_in(tx, &post.workspace_id, &post.id).await?;
    Ok(Restored { post, missing })
}

/// Why a post cannot be again as it was, if it cannot.
async fn changed_since(
    tx: &Tx,
    trashed: &Trashed,
    all: &[Delivery],
    now: i64,
) -> Result<Option<&'static str>, Error> {
    let closed = |d: &&Delivery| trashed.closed.contains_key(&d.id);
    let waited = |state: &State| match state {
        State::Draft | State::Queued => true,
        State::Held => trashed.post.paused_at.is_some(),
        _ => false,
    };
    if all.iter().any(|d| d.state != State::Cancelled) || !trashed.closed.values().all(waited) {
        return Ok(Some(
            "Something of this post had been sent, or had failed, when it was deleted.",
        ));
    }
    if all.iter().filter(closed).any(|d| d.scheduled_at.is_some_and(|at| at < now)) {
        return Ok(Some("Its time has passed since it was deleted."));
    }
    for d in all.iter().filter(closed) {
        if connections::find(tx, &d.workspace_id, &d.connection_id).await?.is_none() {
            return Ok(Some("A connection of this post was removed since it was deleted."));
        }
    }
    if let Some(campaign) = &trashed.post.belongs.campaign_id {
        let found = campaigns::find(tx, &trashed.post.workspace_id, campaign).await?;
        if found.is_some_and(|c| c.state == CampaignState::Cancelled) {
            return Ok(Some("Its campaign is cancelled."));
        }
    }
    Ok(None)
}

/// Is what it is part of paused?
async fn is_paused(tx: &Tx, post: &Post) -> Result<bool, Error> {
    let b = &post.belongs;
    if let Some(id) = &b.campaign_id
        && let Some(c) = campaigns::find(tx, &post.workspace_id, id).await?
        && c.state == CampaignState::Paused
    {
        return Ok(true);
    }
    let Some(id) = &b.series_id else { return Ok(false) };
    Ok(series::load(tx, id).await?.is_some_and(|s| s.state == SeriesState::Paused))
}

/// Deletes a post for good that lies in the trash.
pub async fn purge(app: &App, workspace: &str, id: &str, actor: &str) -> Result<(), Refusal> {
    let (ws, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let actor = actor.to_owned();
    app.db
        .write(move |tx| async move {
            let found = trash::find(&tx, &ws, &id).await?.ok_or_else(not_there)?;
            if !trash::purge(&tx, &id).await? {
                return Err(not_there());
            }
            let data = json!({ "says": approval::says(&found.post) });
            audit::add(&tx, Some(&ws), &actor, "post.purged", &id, &data, now).await?;
            Ok(())
        })
        .await
}

/// Deletes for good what has been in the trash for seven days; how many posts.
pub async fn sweep(app: &App) -> Result<usize, Error> {
    let (before, mut gone) = (app.clock.now() - KEPT, 0);
    loop {
        let due = app.db.read(move |tx| async move { trash::due(&tx, before).await }).await?;
        if due.is_empty() {
            return Ok(gone);
        }
        for id in due {
            let purged =
                app.db.write(move |tx| async move { trash::purge(&tx, &id).await }).await?;
            gone += usize::from(purged);
        }
    }
}

fn not_there() -> Refusal {
    let fix =
        "Deleted posts are kept for seven days; look for it among the posts, or write it again.";
    Refusal { fix: fix.to_owned(), ..Refusal::not_found("post in the trash") }
}
