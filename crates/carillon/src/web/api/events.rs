//! The live feed: the outbox of one workspace as server-sent events.
//!
//! An event's id carries its time, so `Last-Event-ID` alone says where to go on. Commits of several
//! nodes may appear out of order; so the feed looks five seconds back now and then, and a resumed
//! one may repeat what it told within that time. Events name what changed; they are hints to read.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};

use crate::app::App;
use crate::db;
use crate::domain::when;
use crate::ids;
use crate::store::accounts;
use crate::store::events::{self, Event};
use crate::web::Caller;
use crate::web::error::Reads;
use crate::web::serve::Closing;

/// Who was away for longer reads everything anew.
const RESUME_MS: i64 = 15 * 60_000;
/// Lines that are held for one reader before it has taken some.
const HELD: usize = 5_000;
/// How far commits may appear out of order.
const LOOK_BACK_MS: i64 = 5_000;
const POLL: Duration = Duration::from_secs(1);
/// Bells within this time are answered with one look.
const GATHER: Duration = Duration::from_millis(50);
/// Looks at the news before the next look back.
const LOOKS: u32 = 20;
/// Polls before it is asked whether the session still stands.
const SESSION_LOOKS: u32 = 30;
const BATCH: i64 = 500;
const CREATED: &str = "post.created";
const DELETED: &str = "post.deleted";
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What happens, as it happens (`text/event-stream`).
///
/// `hello` first, then `post`, `delivery`, `media`, `connection`, `lock` and other events, whose data is JSON with
/// `kind`, `id` and `at`. `Last-Event-ID` resumes where another stream ended, up to 15 minutes later;
/// `resumed` in `hello` says whether it did.
#[utoipa::path(get, path = "/events", tag = "events",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen.")),
    responses((status = 200, content_type = "text/event-stream", body = String, description = "An endless stream.",
        example = "id: 01993d3c-8f00-7a53-9c1e-2b6f4d1e0a77\nevent: delivery\ndata: {\"kind\":\"delivery.published\",…}\n\n"), Reads))]
pub async fn stream(
    State(app): State<App>,
    caller: Caller,
    closing: Option<Extension<Closing>>,
    headers: HeaderMap,
) -> Response {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    let feed = Feed::new(app, caller, closing.map(|Extension(c)| c), last);
    let lines = stream::unfold(feed, |mut feed| async move {
        let line = feed.next().await?;
        Some((Ok::<_, Infallible>(line), feed))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    // Proxies that collect answers before passing them on are asked not to.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    ([unbuffered], Sse::new(lines).keep_alive(keep_alive)).into_response()
}

struct Feed {
    app: App,
    caller: Caller,
    closing: Option<Closing>,
    /// The newest event told, `(at, id)`.
    told: (i64, String),
    /// What was told within the last look back, with its time.
    seen: HashMap<String, i64>,
    pending: VecDeque<Line>,
    looks: u32,
    session_looks: u32,
}

impl Feed {
    fn new(app: App, caller: Caller, closing: Option<Closing>, last: Option<&str>) -> Self {
        let now = app.clock.now();
        let resumed = last
            .and_then(|id| Some((ids::time(id)?, id.to_owned())))
            .filter(|(at, _)| (now - RESUME_MS..now + LOOK_BACK_MS).contains(at));
        // A new feed begins a little back too: what happened while the page was loading.
        let from = resumed.as_ref().map_or(now, |(at, _)| *at) - LOOK_BACK_MS;
        let hello = json!({
            "version": env!("CARGO_PKG_VERSION"),
            // `false`: nothing is known of what came before.
            "resumed": resumed.is_some(),
            "at": when::iso(now),
        });
        // Its id, too, is a place to resume from.
        let hello = Line::default().id(ids::new(now)).event("hello").data(hello.to_string());
        Self {
            app,
            caller,
            closing,
            told: (from, String::new()),
            seen: resumed.into_iter().map(|(at, id)| (id, at)).collect(),
            pending: VecDeque::from([hello]),
            looks: 0,
            session_looks: 0,
        }
    }

    /// The next line; `None` when the stream ends.
    async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Some(line);
            }
            let app = self.app.clone();
            let bell = app.news.notified();
            tokio::pin!(bell);
            // From here on a ring is heard, also one during the look.
            bell.as_mut().enable();
            if let Err(e) = self.look().await {
                // The client comes back with its Last-Event-ID.
                tracing::warn!(error = %e, "a live feed ends: its events cannot be read");
                return None;
            }
            if !self.pending.is_empty() {
                continue;
            }
            let closing = self.closing.clone();
            tokio::select! {
                () = bell => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(POLL) => {
                    self.looks = LOOKS;
                    if !self.still_welcome().await {
                        return None;
                    }
                }
                () = closed(closing) => return None,
            }
        }
    }

    /// Reads what is new; now and then also what appeared late.
    async fn look(&mut self) -> Result<(), db::Error> {
        let back = self.looks >= LOOKS;
        self.looks = if back { 0 } else { self.looks + 1 };
        let mut after = self.told.clone();
        if back {
            after = (after.0 - LOOK_BACK_MS, String::new());
        }
        let mut found = Vec::new();
        loop {
            let workspace = self.caller.workspace_id.clone();
            let batch = self
                .app
                .db
                .read(move |tx| async move {
                    events::after(&tx, &workspace, (after.0, &after.1), BATCH).await
                })
                .await?;
            let full = batch.len() as i64 == BATCH;
            let end = batch.last().map(|e| (e.at, e.id.clone()));
            found.extend(batch);
            match end {
                Some(end) if full && found.len() < HELD => after = end,
                _ => break,
            }
        }
        // Nobody is sent to read a post that is known to be gone: the end of it may be what the
        // reader saw last, and then only the steps before it would be told.
        let gone = deleted(&found);
        for event in found {
            let of_gone = event.kind != DELETED && gone.contains(post_of(&event));
            self.tell(event, !of_gone);
        }
        let old = self.told.0 - 2 * LOOK_BACK_MS;
        self.seen.retain(|_, at| *at > old);
        Ok(())
    }

    fn tell(&mut self, event: Event, aloud: bool) {
        let here = (event.at, event.id.clone());
        self.told = here.max(std::mem::take(&mut self.told));
        if self.seen.insert(event.id.clone(), event.at).is_none() && aloud {
            self.pending.push_back(line(event));
        }
    }

    /// Does the session still stand? A sign-out elsewhere ends its feeds too.
    async fn still_welcome(&mut self) -> bool {
        self.session_looks += 1;
        if self.caller.account_id.is_none() || self.session_looks < SESSION_LOOKS {
            return true;
        }
        self.session_looks = 0;
        let (hash, now) = (self.caller.by.clone(), self.app.clock.now());
        let found =
            self.app.db.read(move |tx| async move { accounts::session(&tx, &hash, now).await });
        // A database that is away for a moment signs nobody out.
        found.await.map_or(true, |session| session.is_some())
    }
}

/// The posts that were deleted in these events and did not come back.
fn deleted(events: &[Event]) -> HashSet<String> {
    let mut gone = HashSet::new();
    for event in events {
        match event.kind.as_str() {
            DELETED => gone.insert(event.subject.clone()),
            CREATED => gone.remove(&event.subject),
            _ => false,
        };
    }
    gone
}

/// The post that an event is about, itself or by one of its deliveries; else its subject.
fn post_of(event: &Event) -> &str {
    event.data["postId"].as_str().unwrap_or(&event.subject)
}

async fn closed(closing: Option<Closing>) {
    match closing {
        Some(closing) => closing.wait().await,
        None => std::future::pending().await,
    }
}

fn line(event: Event) -> Line {
    let name = event.kind.split('.').next().unwrap_or("event").to_owned();
    let mut data = json!({ "kind": event.kind, "id": event.subject });
    if let (Some(all), Value::Object(more)) = (data.as_object_mut(), event.data) {
        all.extend(more);
        all.insert("at".into(), when::iso(event.at).into());
    }
    Line::default().id(event.id).event(name).data(data.to_string())
}
