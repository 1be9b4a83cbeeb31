//! Asks feeds for what is new, politely: only when something has changed, never too often, and
//! never at an address that is not public.
//!
//! A feed is taken before it is asked, so that nodes side by side ask once. Entries are noted in the
//! transaction that makes their posts: each becomes one, whatever dies in between.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use super::super::series::ours;
use super::reading::{self, Entry};
use super::{FeedAs, FeedView, say, view};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::problem::Problem;
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::media::fetching;
use crate::publishing::schedule::{self, Draft, DraftDelivery, Terms};
use crate::publishing::slots::{self, Given};
use crate::publishing::view::known_id;
use crate::store::alerts;
use crate::store::feeds::{self, Feed};
use crate::store::posts::{Belongs, Post};

const TIMEOUT: Duration = Duration::from_secs(20);
/// Most bytes of a feed.
const MOST: usize = 5 << 20;
/// Feeds of one run, and how many are asked at once.
const BATCH: i64 = 100;
const AT_ONCE: usize = 4;
/// A feed that fails for so long becomes an alert, in ms.
const ALARM: i64 = 24 * 3_600_000;
/// A server cannot ask for a longer wait, in ms.
const LONGEST: i64 = 24 * 3_600_000;

/// What a poll did.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FeedPolled)]
#[serde(rename_all = "camelCase")]
pub struct Polled {
    pub feed: FeedView,
    /// Posts that were made.
    pub made: usize,
}

/// What a feed's server said.
enum Answer {
    Same,
    New { entries: Vec<Entry>, etag: Option<String>, modified: Option<String> },
    Failed { sentence: String, wait: i64 },
}

/// Asks every feed whose turn it is.
pub async fn poll_due(app: &App) -> Result<(), Refusal> {
    let now = app.clock.now();
    // Whoever dies on the way leaves them for later.
    let until = now + 15 * 60_000;
    let due = app
        .db
        .write(move |tx| async move { feeds::take_due(&tx, now, until, BATCH).await })
        .await?;
    let mut polls = stream::iter(due.into_iter().map(|feed| async move {
        let id = feed.id.clone();
        (id, one(app, feed).await)
    }))
    .buffer_unordered(AT_ONCE);
    let mut broken = None;
    while let Some((id, polled)) = polls.next().await {
        if let Err(e) = polled {
            tracing::warn!(feed = %id, error = %e, "a feed could not be gone through");
            broken = Some(e);
        }
    }
    broken.map_or(Ok(()), Err)
}

/// Asks one feed now.
pub async fn poll(app: &App, workspace: &str, id: &str) -> Result<Polled, Refusal> {
    let (ws, of) = (workspace.to_owned(), known_id(id, "feed")?);
    let found = app.db.read(move |tx| async move { feeds::find(&tx, &ws, &of).await }).await?;
    let made = one(app, found.ok_or_else(|| Refusal::not_found("feed"))?).await?;
    let (ws, of) = (workspace.to_owned(), id.to_owned());
    app.db
        .read(move |tx| async move {
            let feed = feeds::find(&tx, &ws, &of).await?;
            let feed = feed.ok_or_else(|| Refusal::not_found("feed"))?;
            Ok(Polled { feed: view(&tx, &feed).await?, made })
        })
        .await
}

async fn one(app: &App, feed: Feed) -> Result<usize, Refusal> {
    let answer = Box::pin(ask(app, &feed)).await;
    let (terms, now) = (Terms::of(app), app.clock.now());
    let made = app
        .db
        .write(move |tx| async move {
            // It may have been removed, or asked by somebody else, meanwhile.
            let Some(feed) = feeds::lock(&tx, &feed.id, now).await? else { return Ok(0) };
            take(&tx, &terms, feed, answer, now).await
        })
        .await?;
    app.ring();
    Ok(made)
}

async fn ask(app: &App, feed: &Feed) -> Answer {
    let failed = |sentence: String, wait: i64| Answer::Failed { sentence, wait };
    let url: Url = match fetching::address(app, &feed.url) {
        Ok(url) => url,
        Err(e) => return failed(e.sentence, 0),
    };
    let mut headers = vec![(
        "accept",
        "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5",
    )];
    headers.extend(feed.etag.as_deref().map(|etag| ("if-none-match", etag)));
    headers.extend(feed.modified.as_deref().map(|at| ("if-modified-since", at)));
    let mut opened = match app.http.open(&url, &headers, TIMEOUT).await {
        Ok(opened) => opened,
        Err(e) => return failed(e.sentence, 0),
    };
    let header = |name: &str| opened.headers.get(name)?.to_str().ok().map(str::to_owned);
    let (etag, modified) = (header("etag"), header("last-modified"));
    let wait = header("retry-after").and_then(|secs| secs.parse::<i64>().ok()).unwrap_or(0);
    match opened.status.as_u16() {
        304 => return Answer::Same,
        200..=299 => {}
        _ => {
            let sentence = format!("Its server answers {}.", opened.status);
            return failed(sentence, (wait * 1_000).clamp(0, LONGEST));
        }
    }
    let mut body = Vec::new();
    while let Some(chunk) = opened.body.next().await {
        match chunk {
            Ok(chunk) if body.len() + chunk.len() <= MOST => body.extend_from_slice(&chunk),
            Ok(_) => return failed("It is larger than 5 MB.".to_owned(), 0),
            Err(e) => return failed(e.sentence, 0),
        }
    }
    match reading::entries(&body, &url) {
        Ok(entries) => Answer::New { entries, etag, modified },
        Err(sentence) => failed(sentence, 0),
    }
}

/// Keeps what a poll brought and makes its posts.
async fn take(
    tx: &Tx,
    terms: &Terms,
    mut feed: Feed,
    answer: Answer,
    now: i64,
) -> Result<usize, Refusal> {
    let first = feed.polled_at.is_none();
    feed.next_at = now + feed.every_min * 60_000;
    let (entries, etag, modified) = match answer {
        Answer::Failed { sentence, wait } => {
            feed.next_at = feed.next_at.max(now + wait);
            fail(tx, feed, sentence, now).await?;
            return Ok(0);
        }
        Answer::Same => {
            feed.polled_at = Some(now);
            well(tx, feed, now).await?;
            return Ok(0);
        }
        Answer::New { entries, etag, modified } => (entries, etag, modified),
    };
    let hashes: Vec<String> = entries.iter().map(|e| e.hash.clone()).collect();
    let seen = feeds::seen(tx, &feed.id, &hashes).await?;
    let mut fresh: Vec<&Entry> =
        entries.iter().zip(seen).filter(|(_, seen)| !seen).map(|(e, _)| e).collect();
    if first {
        let most = usize::try_from(feed.at_first.min(feed.most)).unwrap_or(0);
        for old in fresh.iter().skip(most) {
            feeds::see(tx, &feed.id, &old.hash, None, now).await?;
        }
        fresh.truncate(most);
    }
    // In the order in which they were written.
    fresh.reverse();
    let most = usize::try_from(feed.most).unwrap_or(1);
    let (mut made, mut more) = (0, false);
    let mut refused: Vec<String> = Vec::new();
    for entry in fresh {
        if made == most {
            more = true;
            break;
        }
        match post(tx, terms, &feed, entry, now).await {
            Ok(post) => {
                feeds::see(tx, &feed.id, &entry.hash, Some(&post.id), now).await?;
                made += 1;
            }
            Err(e) if ours(&e) => return Err(e),
            // It is tried again with the next poll, and holds up no other.
            Err(e) => refused.push(format!("“{}”: {}", short(&entry.title), e.sentence)),
        }
    }
    feed.polled_at = Some(now);
    // What is left is asked for again, changed or not.
    let done = !more && refused.is_empty();
    (feed.etag, feed.modified) = if done { (etag, modified) } else { (None, None) };
    match refused.first() {
        None => well(tx, feed, now).await?,
        Some(one) if refused.len() == 1 => {
            fail(tx, feed, format!("An entry could not become a post. {one}"), now).await?;
        }
        Some(one) => {
            let n = refused.len();
            fail(tx, feed, format!("{n} entries could not become posts. {one}"), now).await?;
        }
    }
    Ok(made)
}

/// So much of a title that one sees which it is.
fn short(title: &str) -> String {
    const MOST: usize = 80;
    match title.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &title[..at]),
        None => title.to_owned(),
    }
}

/// An entry as a post: in the next free slot where that is wanted and nothing stands against it,
/// otherwise as a draft.
async fn post(
    tx: &Tx,
    terms: &Terms,
    feed: &Feed,
    entry: &Entry,
    now: i64,
) -> Result<Post, Refusal> {
    let to = |id: &String| DraftDelivery { connection_id: id.clone(), ..DraftDelivery::default() };
    let draft = Draft {
        text: reading::filled(&feed.template, entry),
        title: Some(entry.title.clone()).filter(|t| !t.is_empty()),
        draft: true,
        deliveries: feed.connections.iter().map(to).collect(),
        ..Draft::default()
    };
    let ws = &feed.workspace_id;
    if feed.made_as == FeedAs::Queue {
        let slot = slots::next_in(tx, terms, ws, &feed.connections, now, &Given::new()).await?;
        if let Some(at) = slot {
            let queued = Draft { draft: false, scheduled_at: Some(when::iso(at)), ..draft.clone() };
            match schedule::create_in(tx, terms, ws, &queued, Belongs::default(), now).await {
                Ok(post) => return Ok(post),
                Err(e) if ours(&e) => return Err(e),
                // A person finishes it.
                Err(_) => {}
            }
        }
    }
    schedule::create_in(tx, terms, ws, &draft, Belongs::default(), now).await
}

async fn well(tx: &Tx, mut feed: Feed, now: i64) -> Result<(), Error> {
    (feed.problem, feed.failing_since) = (None, None);
    feeds::polled(tx, &feed, now).await?;
    alerts::clear(tx, AlertKind::FeedFailing, &feed.id, now).await?;
    say(tx, &feed, "feed.polled", now).await
}

async fn fail(tx: &Tx, mut feed: Feed, sentence: String, now: i64) -> Result<(), Error> {
    let since = *feed.failing_since.get_or_insert(now);
    let next = "See that its address opens in a browser; correct it by adding the feed anew, or remove it.";
    let problem = Problem::new("feed", sentence, "look", next);
    if now - since >= ALARM {
        let said =
            format!("The feed {} has had trouble for a day: {}", feed.name, problem.sentence);
        let told = Problem { sentence: said, ..problem.clone() };
        let (ws, kind) = (Some(feed.workspace_id.as_str()), AlertKind::FeedFailing);
        alerts::raise(tx, ws, kind, &feed.id, &told, now).await?;
    }
    feed.problem = Some(problem);
    feeds::polled(tx, &feed, now).await?;
    say(tx, &feed, "feed.failed", now).await
}
