//! Feeds in: entries of RSS and Atom become drafts, or posts in the next free slots, each once.
//!
//! `polling.rs` asks, `reading.rs` understands the answer. What is asked for is judged here.

mod polling;
mod reading;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

pub use self::polling::{Polled, poll, poll_due};

use super::import::meant;
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::problem::Problem;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when::iso;
use crate::ids;
use crate::media::fetching;
use crate::publishing::view::known_id;
pub use crate::store::feeds::FeedAs;
use crate::store::feeds::{self, Feed};
use crate::store::{alerts, audit, connections, events};
use crate::words;

const TEMPLATE: &str = "{title}\n\n{link}";
/// What a template may name.
const NAMES: [&str; 3] = ["{title}", "{link}", "{summary}"];

/// A feed as it is asked for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewFeed {
    #[schema(example = "https://anchor.example/news.xml")]
    pub url: String,
    /// What it is called here; without it the address's host.
    #[serde(default)]
    pub name: String,
    /// By id, name, network or handle.
    #[serde(default)]
    pub connections: Vec<String>,
    /// What a post says: `{title}`, `{link}` and `{summary}` are the entry's.
    #[serde(default)]
    #[schema(example = "{title}\n\n{link}")]
    pub template: Option<String>,
    /// Drafts, or posts in the next free slots.
    #[serde(default = "draft", rename = "as")]
    pub made_as: FeedAs,
    /// 15 to 10080; 60 when not given.
    #[serde(default = "hour")]
    pub every_minutes: i64,
    /// Most posts of one poll, 1 to 50; 5 when not given. The rest comes with the next one.
    #[serde(default = "five")]
    pub most: i64,
    /// How many of the newest entries the first poll takes; none when not given.
    #[serde(default)]
    pub first: i64,
}

fn draft() -> FeedAs {
    FeedAs::Draft
}

fn hour() -> i64 {
    60
}

fn five() -> i64 {
    5
}

words! {
    pub enum FeedState {
        /// It was not asked yet.
        New = "new",
        Works = "works",
        /// Its last poll failed.
        Failing = "failing",
    }
}

/// A feed as every surface shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedView {
    pub id: String,
    pub name: String,
    pub url: String,
    /// Ids.
    pub connections: Vec<String>,
    pub template: String,
    #[serde(rename = "as")]
    pub made_as: FeedAs,
    pub every_minutes: i64,
    pub most: i64,
    pub state: FeedState,
    /// Why its last poll failed.
    pub problem: Option<Problem>,
    pub failing_since: Option<String>,
    pub polled_at: Option<String>,
    pub next_at: String,
    /// Posts that it made.
    pub posts: i64,
}

pub async fn list(app: &App, workspace: &str) -> Result<Vec<FeedView>, Refusal> {
    let ws = workspace.to_owned();
    app.db
        .read(move |tx| async move {
            let mut all = Vec::new();
            for feed in feeds::list(&tx, &ws).await? {
                all.push(view(&tx, &feed).await?);
            }
            Ok(all)
        })
        .await
}

/// Takes a feed in; it is asked within a minute.
pub async fn add(
    app: &App,
    workspace: &str,
    new: NewFeed,
    actor: &str,
) -> Result<FeedView, Refusal> {
    let (ws, by, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let mut wrong = new.wrong();
    let url = fetching::address(app, new.url.trim());
    let host = match &url {
        Ok(url) => url.host_str().unwrap_or_default().to_owned(),
        Err(e) => {
            wrong.push(Wrong::new("url", &e.code, &e.sentence));
            String::new()
        }
    };
    let added = app
        .db
        .write(move |tx| async move {
            let mut to = Vec::new();
            let all = connections::list(&tx, &ws).await?;
            for (i, name) in new.connections.iter().enumerate() {
                let field = format!("connections[{i}]");
                match meant(&all, name.trim())[..] {
                    [one] if to.contains(&one.id) => {}
                    [one] => to.push(one.id.clone()),
                    [] => {
                        let message = format!("There is no connection `{name}` in this workspace.");
                        wrong.push(Wrong::new(field, "unknown_connection", message));
                    }
                    _ => {
                        let message = format!(
                            "Several connections are meant by `{name}`: write the id of one."
                        );
                        wrong.push(Wrong::new(field, "ambiguous_connection", message));
                    }
                }
            }
            if new.made_as == FeedAs::Queue && to.is_empty() {
                let message = "Choose where its posts go, or have them made drafts.";
                wrong.push(Wrong::new("connections", "no_connections", message));
            }
            if !wrong.is_empty() {
                return Err(Refusal::invalid(wrong));
            }
            let name = new.name.trim().to_owned();
            let feed = Feed {
                id: ids::new(now),
                workspace_id: ws.clone(),
                name: if name.is_empty() { host } else { name },
                url: new.url.trim().to_owned(),
                connections: to,
                template: new.template.unwrap_or_else(|| TEMPLATE.to_owned()),
                made_as: new.made_as,
                every_min: new.every_minutes,
                most: new.most,
                at_first: new.first,
                next_at: now,
                polled_at: None,
                etag: None,
                modified: None,
                problem: None,
                failing_since: None,
                created_at: now,
            };
            feeds::add(&tx, &feed).await?;
            let data = json!({ "name": feed.name, "url": feed.url, "as": feed.made_as });
            audit::add(&tx, Some(&ws), &by, "feed.added", &feed.id, &data, now).await?;
            say(&tx, &feed, "feed.added", now).await?;
            Ok(view(&tx, &feed).await?)
        })
        .await?;
    app.ring();
    Ok(added)
}

/// Forgets a feed. What it made stays.
pub async fn remove(app: &App, workspace: &str, id: &str, actor: &str) -> Result<(), Refusal> {
    let (ws, id) = (workspace.to_owned(), known_id(id, "feed")?);
    let (by, now) = (actor.to_owned(), app.clock.now());
    app.db
        .write(move |tx| async move {
            let feed = feeds::find(&tx, &ws, &id).await?;
            let feed = feed.ok_or_else(|| Refusal::not_found("feed"))?;
            feeds::delete(&tx, &ws, &id).await?;
            alerts::clear(&tx, AlertKind::FeedFailing, &id, now).await?;
            let data = json!({ "name": feed.name, "url": feed.url });
            audit::add(&tx, Some(&ws), &by, "feed.removed", &id, &data, now).await?;
            Ok::<_, Refusal>(say(&tx, &feed, "feed.removed", now).await?)
        })
        .await?;
    app.ring();
    Ok(())
}

impl NewFeed {
    fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let template = self.template.as_deref().unwrap_or(TEMPLATE);
        if !NAMES.iter().any(|name| template.contains(name)) || template.len() > 5_000 {
            let message =
                "The template says nothing of an entry: use {title}, {link} or {summary}.";
            wrong.push(Wrong::new("template", "template", message));
        }
        for (field, n, least, most) in [
            ("everyMinutes", self.every_minutes, 15, 10_080),
            ("most", self.most, 1, 50),
            ("first", self.first, 0, 50),
        ] {
            if !(least..=most).contains(&n) {
                let message = format!("`{field}` is {n}; it can be {least} to {most}.");
                wrong.push(Wrong::new(field, "out_of_range", message));
            }
        }
        if self.name.chars().count() > 200 {
            let message = "A name has at most 200 characters.";
            wrong.push(Wrong::new("name", "too_long", message));
        }
        wrong
    }
}

async fn say(tx: &Tx, feed: &Feed, what: &str, now: i64) -> Result<(), Error> {
    let data = json!({ "name": feed.name, "failing": feed.failing_since.is_some() });
    events::add(tx, &feed.workspace_id, what, &feed.id, &data, now).await
}

async fn view(tx: &Tx, f: &Feed) -> Result<FeedView, Error> {
    let state = match (f.failing_since, f.polled_at) {
        (Some(_), _) => FeedState::Failing,
        (None, Some(_)) => FeedState::Works,
        (None, None) => FeedState::New,
    };
    Ok(FeedView {
        id: f.id.clone(),
        name: f.name.clone(),
        url: f.url.clone(),
        connections: f.connections.clone(),
        template: f.template.clone(),
        made_as: f.made_as,
        every_minutes: f.every_min,
        most: f.most,
        state,
        problem: f.problem.clone(),
        failing_since: f.failing_since.map(iso),
        polled_at: f.polled_at.map(iso),
        next_at: iso(f.next_at),
        posts: feeds::posts(tx, &f.id).await?,
    })
}
