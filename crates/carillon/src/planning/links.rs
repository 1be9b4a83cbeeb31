//! Pages for clients who have no account: a link shows what waits for their yes, and takes it.
//!
//! A link opens with its token alone, so it shows nothing but the posts that it was made for, and
//! those only once the workspace itself has said yes to them. Of the token only a hash is kept.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::review::{self, Answer};
use crate::App;
use crate::approval;
use crate::db::Tx;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::review::{ReviewState, Stage};
use crate::domain::when::{self, iso};
use crate::identity::door;
use crate::ids;
use crate::publishing::view::{self, PostView};
use crate::store::review_links::{self, Link};
use crate::store::reviews::{self, Comment, Review};
use crate::store::{accounts, audit, posts};

const DAY: i64 = 86_400_000;
/// How long a link opens unless its maker says otherwise, and at most, in days.
const DAYS: i64 = 7;
const MOST_DAYS: i64 = 90;
/// Posts of one link, and links of one list.
const MOST_POSTS: usize = 100;
const MOST_LINKS: i64 = 200;
const MOST_NAME: usize = 100;

/// A link that is to be made.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewLink {
    /// The client's name: their answers stand under it.
    #[schema(example = "Grace of Harbour Hotels")]
    pub name: String,
    /// The posts that it shows; without them all that wait for a client now.
    pub post_ids: Vec<String>,
    /// Days until it no longer opens, 1 to 90; 7 when not given.
    pub days: Option<i64>,
}

/// A link as its workspace sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkView {
    pub id: String,
    pub name: String,
    pub post_ids: Vec<String>,
    /// `open`, `expired`, `revoked`
    pub state: String,
    pub created_at: String,
    pub expires_at: String,
    /// When it was last opened.
    pub used_at: Option<String>,
    /// Told once, when it is made: whoever has it may answer.
    pub url: Option<String>,
}

pub async fn create(
    app: &App,
    workspace: &str,
    new: NewLink,
    actor: &str,
) -> Result<LinkView, Refusal> {
    let (ws, actor, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let name = new.name.trim().to_owned();
    let days = new.days.unwrap_or(DAYS);
    let mut wrong = Vec::new();
    if !(1..=MOST_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        let message = format!("`name` is the client's, of 1 to {MOST_NAME} characters.");
        wrong.push(Wrong::new("name", "name_length", message));
    }
    if !(1..=MOST_DAYS).contains(&days) {
        let message = format!("`days` is {days}; it can be 1 to {MOST_DAYS}.");
        wrong.push(Wrong::new("days", "out_of_range", message));
    }
    if new.post_ids.len() > MOST_POSTS {
        let message = format!("A link shows at most {MOST_POSTS} posts.");
        wrong.push(Wrong::new("postIds", "too_many", message));
    }
    if !wrong.is_empty() {
        return Err(Refusal::invalid(wrong));
    }
    let token = door::token("rev");
    let hash = door::hash(&token);
    let made = app
        .db
        .write(move |tx| async move {
            // Whoever holds it answers for the client: that is theirs to give who may answer.
            if !approval::may_approve(&tx, &ws, &actor).await? {
                return Err(Refusal::new(
                    Kind::Forbidden,
                    "may_not_approve",
                    "You may not make links for clients.",
                    "The owner and admins of the workspace may, and keys that were made with `--may-approve`.",
                ));
            }
            let mut ids = new.post_ids;
            if ids.is_empty() {
                let stage = Some(Stage::Client);
                let all = reviews::waiting(&tx, &ws, stage, "", MOST_POSTS as i64).await?;
                ids = all.into_iter().map(|r| r.post_id).collect();
            }
            ids.sort();
            ids.dedup();
            for id in &ids {
                if !ids::valid(id) || posts::find(&tx, &ws, id).await?.is_none() {
                    return Err(Refusal::not_found("post"));
                }
            }
            if ids.is_empty() {
                return Err(Refusal::conflict(
                    "nothing_to_show",
                    "No post waits for a client.",
                    "Name posts, or approve some first, so that they come to the client.",
                ));
            }
            let link = Link {
                id: ids::new(now),
                workspace_id: ws.clone(),
                name,
                created_by: actor.clone(),
                created_at: now,
                expires_at: now + days * DAY,
                revoked_at: None,
                used_at: None,
            };
            review_links::add(&tx, &link, &hash, &ids).await?;
            let data = json!({ "name": link.name, "posts": ids, "days": days });
            audit::add(&tx, Some(&ws), &actor, "review.link_made", &link.id, &data, now).await?;
            view_of(&tx, &link, now).await
        })
        .await?;
    let url = Some(format!("{}/r/{token}", app.public_url()));
    Ok(LinkView { url, ..made })
}

/// The links of a workspace, the newest first.
pub async fn list(app: &App, workspace: &str) -> Result<Vec<LinkView>, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    app.db
        .read(move |tx| async move {
            let mut all = Vec::new();
            for link in review_links::list(&tx, &ws, MOST_LINKS).await? {
                all.push(view_of(&tx, &link, now).await?);
            }
            Ok(all)
        })
        .await
}

/// A link opens no more from now on.
pub async fn revoke(
    app: &App,
    workspace: &str,
    id: &str,
    actor: &str,
) -> Result<LinkView, Refusal> {
    let (ws, id, actor) = (workspace.to_owned(), id.to_owned(), actor.to_owned());
    let now = app.clock.now();
    app.db
        .write(move |tx| async move {
            let missing = || Refusal::not_found("link");
            if !ids::valid(&id) {
                return Err(missing());
            }
            if review_links::revoke(&tx, &ws, &id, now).await? {
                let data = json!({});
                audit::add(&tx, Some(&ws), &actor, "review.link_revoked", &id, &data, now).await?;
            }
            let link = review_links::find(&tx, &ws, &id).await?.ok_or_else(missing)?;
            view_of(&tx, &link, now).await
        })
        .await
}

async fn view_of(tx: &Tx, link: &Link, now: i64) -> Result<LinkView, Refusal> {
    let state = match link.revoked_at {
        Some(_) => "revoked",
        None if now >= link.expires_at => "expired",
        None => "open",
    };
    Ok(LinkView {
        id: link.id.clone(),
        name: link.name.clone(),
        post_ids: review_links::posts(tx, &link.id).await?,
        state: state.to_owned(),
        created_at: iso(link.created_at),
        expires_at: iso(link.expires_at),
        used_at: link.used_at.map(iso),
        url: None,
    })
}

/// What a link shows.
pub struct Opened {
    pub link: Link,
    /// The workspace's name and zone.
    pub workspace: String,
    pub zone: String,
    pub items: Vec<Item>,
}

/// A post on a client's page, once the workspace has said yes to it.
pub enum Item {
    Shown {
        review: Box<Review>,
        post: Box<PostView>,
        said: Vec<Comment>,
    },
    /// It is being worked on; nothing of it is told.
    Later,
}

/// Opens a link by its token. Refused in people's words when it no longer opens.
pub async fn open(app: &App, token: &str) -> Result<Opened, Refusal> {
    let (hash, now) = (door::hash(token), app.clock.now());
    app.db
        .write(move |tx| async move {
            let link = good(&tx, &hash, now).await?;
            review_links::used(&tx, &link.id, now).await?;
            let workspace = accounts::workspace(&tx, &link.workspace_id).await?;
            let (workspace, zone) =
                workspace.map_or((String::new(), "UTC".into()), |w| (w.name, w.timezone));
            let mut items = Vec::new();
            for post in review_links::posts(&tx, &link.id).await? {
                items.push(item(&tx, &link, &post).await?);
            }
            Ok(Opened { link, workspace, zone, items })
        })
        .await
}

async fn item(tx: &Tx, link: &Link, post: &str) -> Result<Item, Refusal> {
    let latest = reviews::latest_each(tx, [post]).await?.pop().flatten();
    let theirs = |r: &Review| {
        r.stage == Stage::Client && matches!(r.state, ReviewState::Open | ReviewState::Approved)
    };
    let Some(review) = latest.filter(theirs) else { return Ok(Item::Later) };
    let said = reviews::comments_each(tx, std::slice::from_ref(&review)).await?;
    let me = actor_of(link);
    let post = Box::new(view::post_in(tx, &link.workspace_id, post).await?);
    // What the workspace says among itself is not for the client.
    let said = said.into_iter().flatten().filter(|c| c.author == me).collect();
    Ok(Item::Shown { review: Box::new(review), post, said })
}

/// Who answers through this link.
fn actor_of(link: &Link) -> String {
    format!("client:{}", link.id)
}

async fn good(tx: &Tx, hash: &str, now: i64) -> Result<Link, Refusal> {
    let fix = "Ask whoever sent it to you for a new one.";
    let unknown = || Refusal::new(Kind::NotFound, "link_unknown", "This link is not whole.", fix);
    let link = review_links::by_hash(tx, hash).await?.ok_or_else(unknown)?;
    if link.revoked_at.is_some() {
        return Err(Refusal::conflict("link_revoked", "This link was taken back.", fix));
    }
    if now >= link.expires_at {
        let zone = accounts::workspace(tx, &link.workspace_id).await?.map(|w| w.timezone);
        let zone = zone.unwrap_or_else(|| "UTC".to_owned());
        let sentence =
            format!("This link opened until {} ({zone}).", when::local(link.expires_at, &zone));
        return Err(Refusal::conflict("link_expired", sentence, fix));
    }
    Ok(link)
}

/// A client's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Approve,
    Change,
}

/// Takes a client's answer to a review that their link shows.
pub async fn answer(
    app: &App,
    token: &str,
    review: &str,
    verdict: Verdict,
    answer: Answer,
) -> Result<(), Refusal> {
    let (hash, id, now) = (door::hash(token), review.to_owned(), app.clock.now());
    let link = app
        .db
        .read(move |tx| async move {
            let link = good(&tx, &hash, now).await?;
            let review = match ids::valid(&id) {
                true => reviews::find(&tx, &link.workspace_id, &id).await?,
                false => None,
            };
            match review {
                Some(r) if review_links::shows(&tx, &link.id, &r.post_id).await? => Ok(link),
                _ => Err(Refusal::not_found("post")),
            }
        })
        .await?;
    let (ws, me) = (link.workspace_id.as_str(), actor_of(&link));
    match verdict {
        Verdict::Approve => review::approve(app, ws, review, answer, &me).await.map(drop),
        Verdict::Change => review::request_changes(app, ws, review, answer, &me).await.map(drop),
    }
}
