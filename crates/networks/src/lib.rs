//! The connectors: what each network takes ([`Spec`]) and how to speak to it ([`Network`]).
//!
//! Usable without Carillon: no database, no clock of its own, no retries. A caller hands in the
//! account, the time and a [`Keeper`] that makes a handle durable; it gets back what happened, and
//! for every failure its class and whether it is certain that nothing was applied.
//!
//! One file a network, always in the same order: header (API version, date checked, where keys
//! come from), `SPEC`, wire structs, `impl Network`, `parse_error`, tests. To add one: write the
//! file, add it to [`ALL`].

mod article;
pub mod bluesky;
mod bluesky_video;
pub mod devto;
pub mod discord;
mod discord_message;
pub mod discord_webhook;
pub mod email;
pub mod error;
pub mod facebook;
mod facebook_video;
pub mod gbp;
pub mod ghost;
mod google;
pub mod hashnode;
pub mod http;
mod incoming;
pub mod instagram;
pub mod lemmy;
pub mod linkedin;
pub mod mastodon;
pub mod matrix;
mod meta;
pub mod nostr;
mod numbers;
pub mod oauth;
pub mod pinterest;
pub mod poll;
pub mod reddit;
mod sign;
pub mod slack;
mod slack_message;
pub mod slack_webhook;
mod socket;
pub mod spec;
pub mod telegram;
pub mod text;
pub mod threads;
pub mod tiktok;
pub mod tumblr;
pub mod webhook;
pub mod wordpress;
mod words;
pub mod x;
pub mod youtube;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

pub use crate::error::{Action, Applied, Class, Error};
pub use crate::http::Http;
pub use crate::numbers::{Numbers, UNGRANTED};
pub use crate::oauth::{Client, Grant, Target, Tokens};
pub use crate::spec::{Metric, Placement, SendClass, Spec};

/// Every network, in display order.
pub static ALL: &[&dyn Network] = &[
    &facebook::Facebook,
    &instagram::Instagram,
    &threads::Threads,
    &linkedin::LinkedIn,
    &x::X,
    &bluesky::Bluesky,
    &mastodon::Mastodon,
    &pinterest::Pinterest,
    &reddit::Reddit,
    &tumblr::Tumblr,
    &tiktok::TikTok,
    &youtube::YouTube,
    &gbp::Gbp,
    &telegram::Telegram,
    &discord::Discord,
    &discord_webhook::DiscordWebhook,
    &slack::Slack,
    &slack_webhook::SlackWebhook,
    &matrix::Matrix,
    &lemmy::Lemmy,
    &nostr::Nostr,
    &wordpress::WordPress,
    &ghost::Ghost,
    &devto::DevTo,
    &hashnode::Hashnode,
    &email::Email,
    &webhook::Webhook,
];

/// The network of this id, for example `bluesky`.
pub fn find(id: &str) -> Option<&'static dyn Network> {
    ALL.iter().copied().find(|n| n.spec().id == id)
}

/// The protocol of one network. Only what its [`Spec`] declares is called.
#[async_trait]
pub trait Network: Send + Sync {
    fn spec(&self) -> &'static Spec;

    /// What publishing needs, minus the change: token, ids, rights. No false alarms: an outage of
    /// the network is an error of class [`Class::Transient`], not a broken connection.
    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error>;

    /// Uploads, containers, drafts: nothing visible. Saves each handle through
    /// [`Context::checkpoint`] as soon as it has it and resumes from any of them.
    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        let _ = (cx, out);
        Ok(Prepared::Ready)
    }

    /// The one call that makes the post visible. Sends at most one mutating request.
    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error>;

    /// How far the network is with what it took. Short, never sleeps. Called for class `Handle`, and
    /// for every class where `publish` answered [`Published::Processing`].
    async fn poll(&self, cx: &Context<'_>, out: &Rendition) -> Result<Polled, Error> {
        let _ = (cx, out);
        Err(Error::unsupported("poll"))
    }

    /// Is it there? Every visible post that could be this delivery's, read only. An error means
    /// "cannot tell". Pages no further back than `window.since`.
    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let _ = (cx, out, window);
        Err(Error::unsupported("look_up"))
    }

    /// Gives a published post the text of `out`, and its title where the placement says so. Media
    /// stay as they are: `out.media` describes them, without their files. At most one mutating
    /// request, which does no harm when it is sent again; what is gone is refused. An address that
    /// is not said has not changed.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let _ = (cx, remote_id, out);
        Err(Error::unsupported("edit"))
    }

    /// What followers did to a published post, of what its placement says that it measures. Read
    /// only. What the answer leaves out is left out, never 0; what is gone is an error of class
    /// [`Class::Content`]. A token that works and may not read numbers has the code [`UNGRANTED`].
    async fn measure(
        &self,
        cx: &Context<'_>,
        placement: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        let _ = (cx, placement, remote_id);
        Err(Error::unsupported("measure"))
    }

    /// Takes a published post down. Deleting what is gone is success.
    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let _ = (cx, remote_id);
        Err(Error::unsupported("delete"))
    }

    /// Makes an app of ours at the account's server, whose consent page leads back to
    /// `redirect_uri`: where a network is many servers, nobody could make one at each by hand.
    async fn register(&self, cx: &Context<'_>, redirect_uri: &str) -> Result<Client, Error> {
        let _ = (cx, redirect_uri);
        Err(Error::unsupported("register"))
    }

    /// Trades what the consent page gave for tokens.
    async fn exchange(&self, cx: &Context<'_>, grant: &Grant) -> Result<Tokens, Error> {
        oauth::exchange(self.spec(), &|r| self.parse_error(r), cx, grant).await
    }

    /// New tokens before the old ones end. Never called twice at once for a connection. Life
    /// `Extending` has to override it.
    async fn refresh(&self, cx: &Context<'_>) -> Result<Tokens, Error> {
        oauth::refresh(self.spec(), &|r| self.parse_error(r), cx).await
    }

    /// What a fresh consent may post to, when that has to be chosen: pages, locations, boards.
    /// Empty: the account itself.
    async fn targets(&self, cx: &Context<'_>) -> Result<Vec<Target>, Error> {
        let _ = cx;
        Ok(Vec::new())
    }

    /// Gives the tokens back at the network, where it takes them.
    async fn revoke(&self, cx: &Context<'_>) -> Result<(), Error> {
        let _ = cx;
        Err(Error::unsupported("revoke"))
    }

    /// The only place that reads the network's errors.
    fn parse_error(&self, reply: &http::Reply) -> Error;
}

/// What a call is made with: whose account, through which client, at what time.
pub struct Context<'a> {
    pub http: &'a Http,
    pub account: &'a Account,
    /// Where the API is: the connection's own server, an override (the sandbox), or the SPEC's.
    /// Without a slash at its end.
    pub base: &'a str,
    /// Now, in ms since 1970 UTC.
    pub now: i64,
    /// Longest time for one request; the caller keeps it inside its lease.
    pub timeout: Duration,
    checkpoints: Mutex<Checkpoints>,
    keeper: &'a dyn Keeper,
}

/// Handles that outlive a crash, by name.
pub type Checkpoints = BTreeMap<String, Value>;

impl<'a> Context<'a> {
    pub fn new(
        http: &'a Http,
        account: &'a Account,
        base: &'a str,
        now: i64,
        timeout: Duration,
        checkpoints: Checkpoints,
        keeper: &'a dyn Keeper,
    ) -> Self {
        let checkpoints = Mutex::new(checkpoints);
        Self { http, account, base: base.trim_end_matches('/'), now, timeout, checkpoints, keeper }
    }

    /// How long a harmless request may take that carries a file of this many bytes: the time of any
    /// other, and that of a line of 2 Mbit/s.
    pub fn time_for(&self, bytes: u64) -> Duration {
        const BYTES_A_MS: u64 = 250;
        self.timeout + Duration::from_millis(bytes / BYTES_A_MS)
    }

    /// The handle saved under this name, if any.
    pub fn saved(&self, name: &str) -> Option<Value> {
        self.checkpoints.lock().unwrap_or_else(|e| e.into_inner()).get(name).cloned()
    }

    /// The handle saved under this name as text.
    pub fn saved_str(&self, name: &str) -> Option<String> {
        self.saved(name).and_then(|v| v.as_str().map(str::to_owned))
    }

    /// Makes a handle durable. Returns only when a crash can no longer lose it. `Value::Null`
    /// forgets it.
    pub async fn checkpoint(&self, name: &str, value: impl Into<Value>) -> Result<(), Error> {
        let value = value.into();
        self.keeper.checkpoint(name, &value).await?;
        let mut saved = self.checkpoints.lock().unwrap_or_else(|e| e.into_inner());
        if value.is_null() {
            saved.remove(name);
        } else {
            saved.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// Replaces secrets that the network renewed (a refreshed session), durably and before use.
    pub async fn renew(&self, secrets: BTreeMap<String, Secret>) -> Result<(), Error> {
        self.keeper.renew(&secrets).await?;
        let mut held = self.account.secrets.lock().unwrap_or_else(|e| e.into_inner());
        held.extend(secrets);
        Ok(())
    }
}

/// Makes things durable on the caller's side. An error stops the send before anything visible.
#[async_trait]
pub trait Keeper: Send + Sync {
    async fn checkpoint(&self, name: &str, value: &Value) -> Result<(), Error>;
    async fn renew(&self, secrets: &BTreeMap<String, Secret>) -> Result<(), Error>;
}

/// Forgets everything: for checks and for tests that need no crash safety.
pub struct Forgetful;

#[async_trait]
impl Keeper for Forgetful {
    async fn checkpoint(&self, _: &str, _: &Value) -> Result<(), Error> {
        Ok(())
    }
    async fn renew(&self, _: &BTreeMap<String, Secret>) -> Result<(), Error> {
        Ok(())
    }
}

/// One account at one network: open settings and sealed secrets, by the keys that SPEC names.
#[derive(Default)]
pub struct Account {
    pub settings: BTreeMap<String, String>,
    pub secrets: Mutex<BTreeMap<String, Secret>>,
}

impl Account {
    /// A setting, or the error that names the field to fill in (nothing was sent).
    pub fn setting(&self, key: &str) -> Result<&str, Error> {
        match self.settings.get(key).map(|v| v.trim()) {
            Some(v) if !v.is_empty() => Ok(v),
            _ => Err(Error::missing(key)),
        }
    }

    /// A secret, or the error that names the field to fill in (nothing was sent).
    pub fn secret(&self, key: &str) -> Result<Secret, Error> {
        let held = self.secrets.lock().unwrap_or_else(|e| e.into_inner());
        match held.get(key) {
            Some(v) if !v.reveal().is_empty() => Ok(v.clone()),
            _ => Err(Error::missing(key)),
        }
    }
}

/// A token or password: never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The value itself, at the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("•••")
    }
}

/// Who the credentials belong to, as the network says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Identity {
    /// The network's own id of the account, page, site or chat.
    pub remote_id: String,
    /// What a person recognises it by.
    pub name: String,
    /// Settings learnt on the way (for example the DID of a handle), to be stored.
    pub settings: BTreeMap<String, String>,
}

/// One delivery as this network is to show it.
#[derive(Debug, Clone, Default)]
pub struct Rendition {
    /// An id from the SPEC's placements.
    pub placement: String,
    pub text: String,
    /// For networks with a title; when absent the first line of the text stands in.
    pub title: Option<String>,
    pub media: Vec<Media>,
    /// Stable over every try of this delivery, unique among deliveries, unguessable: the source of
    /// idempotency keys, record keys and markers.
    pub key: String,
    /// When the post was due, in ms UTC: frozen, so that a repeated send carries the same bytes.
    pub created_at: i64,
    /// What it follows, for the placements that follow another.
    pub reply_to: Option<ReplyTo>,
    /// What else it is told, by the keys of its placement's options ([`spec::Choice`] and
    /// [`spec::Kind`] say what may stand there). Keys that the placement does not have are ignored.
    pub extra: BTreeMap<String, String>,
}

/// What a part of a thread or a comment follows; the same post twice right after the first.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyTo {
    /// The post at the head.
    pub root: Remote,
    /// The one right before.
    pub parent: Remote,
}

impl Rendition {
    /// The answer to an option, if there is one.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.extra.get(key).map(|answer| answer.trim()).filter(|answer| !answer.is_empty())
    }

    /// What it follows, or the error of one that must and does not (nothing was sent).
    pub fn follows(&self) -> Result<&ReplyTo, Error> {
        self.reply_to.as_ref().ok_or_else(|| {
            let says = "It follows another post, and none was named.";
            Error::new(Class::Content, says).code("no_parent")
        })
    }
}

/// One picture or video, already in a form that the placement takes.
#[derive(Debug, Clone, Default)]
pub struct Media {
    pub id: String,
    pub content_type: String,
    pub width: u32,
    pub height: u32,
    pub alt: String,
    pub file_name: String,
    /// The whole file of a picture; empty where `source` reads it.
    pub data: Bytes,
    /// Reads a large file, a video, piece by piece.
    pub source: Option<Arc<dyn Source>>,
    /// Of a video.
    pub duration: Option<Duration>,
    /// Of a video: the moment that stands for it, where somebody chose one.
    pub cover: Option<Duration>,
    /// Where the network can fetch it, for those that pull; empty where we have no public address.
    pub url: String,
}

/// A file too large to be held in memory.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The bytes from `at` on, `len` of them or what is left.
    async fn read(&self, at: u64, len: usize) -> Result<Bytes, Error>;
}

/// How much of a large file is held in memory while it is sent.
const PIECE: usize = 1 << 20;

impl Media {
    pub fn is_video(&self) -> bool {
        self.content_type.starts_with("video/")
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.source.as_ref().map_or(self.data.len() as u64, |source| source.len())
    }

    /// The bytes from `at` on, `len` of them or what is left.
    pub async fn piece(&self, at: u64, len: usize) -> Result<Bytes, Error> {
        match &self.source {
            Some(source) => source.read(at, len).await,
            None => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(self.data.len());
                let to = from.saturating_add(len).min(self.data.len());
                Ok(self.data.slice(from..to))
            }
        }
    }

    /// The file from `from` on as a request's body. Its bytes are shared, not copied; a large one is
    /// read while it is sent, and its length has to be said beside it.
    pub fn body(&self, from: u64) -> reqwest::Body {
        if self.source.is_none() {
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.data.len());
            return self.data.slice(from..).into();
        }
        let media = self.clone();
        reqwest::Body::wrap_stream(futures_util::stream::try_unfold(from, move |at| {
            let media = media.clone();
            async move {
                let piece = media.piece(at, PIECE).await?;
                let next = at + piece.len() as u64;
                Ok::<_, Error>((!piece.is_empty()).then_some((piece, next)))
            }
        }))
    }

    /// The file as a part of a multipart form.
    pub fn part(&self) -> Result<reqwest::multipart::Part, Error> {
        reqwest::multipart::Part::stream_with_length(self.body(0), self.size())
            .file_name(self.file_name.clone())
            .mime_str(&self.content_type)
            .map_err(|_| {
                let why = format!("A file has the unreadable type `{}`.", self.content_type);
                Error::new(Class::Content, why).code("bad_media_type")
            })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Prepared {
    /// [`Network::publish`] may be called.
    Ready,
    /// The network still works on a handle: call `prepare` again after this time.
    Processing { again_in: Duration },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    /// It is visible.
    Accepted(Remote),
    /// The network took it and works on it: `poll` tells when it is visible.
    Processing { again_in: Duration },
}

#[derive(Debug, Clone)]
pub enum Polled {
    /// It is visible.
    Published(Remote),
    /// Still working.
    Processing { again_in: Duration },
    /// Certain: not visible, and the handle still stands. `publish` may be called with it again.
    NotPublished,
    /// Certain: not visible, and the handle is dead. Forget checkpoints and begin anew, or fail as
    /// the error says.
    Gone(Error),
}

/// A post at the network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Remote {
    pub id: String,
    /// Where people see it.
    pub url: Option<String>,
}

/// The time in which a post of ours can have appeared, ms UTC, slack included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub since: i64,
    pub until: i64,
}
