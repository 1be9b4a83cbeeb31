//! Bluesky: AT Protocol lexicons as served by PDS 0.4.217; checked 2026-11-22.
//!
//! Keys: an app password, made at Settings → Privacy and security → App passwords.
//! Never lost, never double: `prepare` freezes the record and a record key made from the
//! delivery's own key, and `putRecord` of the same bytes under the same key changes nothing.
//! A video is worked on by Bluesky's own service, which puts it into the account's server; servers
//! of one's own take it as any other file.
//! Sessions are few (300 a day), so they are kept as secrets `accessJwt` and `refreshJwt` and
//! renewed, not made per post; whoever replaces the password drops these two.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use unicode_segmentation::UnicodeSegmentation;

use crate::bluesky_video::JOB;
use crate::error::saying;
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, Text,
    VideoRule,
};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Numbers, Prepared, Published, Remote,
    Rendition, Secret, SendClass, Spec, Window, numbers, text,
};

pub struct Bluesky;

const TEXT: Text = Text {
    max: 300,
    count: Count::Graphemes,
    max_bytes: Some(3_000),
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: false,
};

const PICTURES: MediaRule = MediaRule {
    min: 0,
    max: 4,
    types: &["image/jpeg", "image/png", "image/webp"],
    max_bytes: 1_000_000,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 2_000,
    video: Some(VideoRule {
        max: 1,
        types: &["video/mp4"],
        // The newest lexicon says 300 MB; what an account's server knows may be an older one.
        max_bytes: 100_000_000,
        seconds: (1, 180),
        ratio: None,
        side: None,
        mixed: false,
    }),
};

/// Who counts what people do, as a PDS is told whom to pass a question on to.
const APPVIEW: &str = "did:web:api.bsky.app#bsky_appview";

pub static SPEC: Spec = Spec {
    id: "bluesky",
    name: "Bluesky",
    code: "BS",
    base_url: "https://bsky.social",
    fields: &[
        Field {
            key: "server",
            label: "Server",
            help: "Leave it empty unless the account lives on a server of its own.",
            secret: false,
            required: false,
        },
        Field {
            key: "identifier",
            label: "Handle",
            help: "The name in the profile, for example alice.bsky.social.",
            secret: false,
            required: true,
        },
        Field {
            key: "password",
            label: "App password",
            help: "Bluesky: Settings, Privacy and security, App passwords.",
            secret: true,
            required: true,
        },
    ],
    placements: &[
        Placement {
            id: "feed",
            name: "Feed",
            send: SendClass::Keyed { horizon: None },
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[Metric::Likes, Metric::Comments, Metric::Shares, Metric::Saves],
            text: TEXT,
            media: PICTURES,
            options: &[],
        },
        Placement {
            id: "reply",
            name: "Thread",
            send: SendClass::Keyed { horizon: None },
            follows: &["feed", "reply"],
            in_budget: true,
            edit: Edit::No,
            measures: &[Metric::Likes, Metric::Comments, Metric::Shares, Metric::Saves],
            text: Text { required: true, ..TEXT },
            media: MediaRule { max: 0, video: None, ..PICTURES },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    // 5,000 points an hour and 35,000 a day; a post costs 3.
    oauth: None,
    life: Life::Endless,
    budgets: &[
        Budget { posts: 1_666, per: Duration::from_secs(3_600), of: &[] },
        Budget { posts: 11_666, per: Duration::from_secs(86_400), of: &[] },
    ],
};

const COLLECTION: &str = "app.bsky.feed.post";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    access_jwt: String,
    refresh_jwt: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    did: String,
    handle: String,
    #[serde(default)]
    did_doc: Value,
    active: Option<bool>,
}

#[derive(Deserialize)]
struct Blob {
    blob: Value,
}

#[derive(Deserialize)]
struct Record {
    uri: String,
}

/// A record as others refer to it.
#[derive(Deserialize)]
struct Referred {
    uri: String,
    cid: String,
}

#[derive(Deserialize)]
struct Resolved {
    did: String,
}

#[async_trait]
impl Network for Bluesky {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        cx.account.setting("identifier")?;
        cx.account.secret("password")?;
        let session = self.session(cx).await?;
        if session.active == Some(false) {
            return Err(Error::new(Class::Auth, "The Bluesky account is deactivated.")
                .action(Action::ActAtNetwork));
        }
        let mut settings = BTreeMap::from([("did".to_owned(), session.did.clone())]);
        let known = cx.account.settings.contains_key("pds");
        match pds(&session.did_doc).filter(|pds| pds != cx.base) {
            Some(pds) => settings.insert("pds".to_owned(), pds),
            None if known => settings.insert("pds".to_owned(), String::new()),
            None => None,
        };
        Ok(Identity { remote_id: session.did, name: session.handle, settings })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if cx.saved("record").is_some() {
            return Ok(Prepared::Ready);
        }
        let repo = self.did(cx).await?;
        let embed = match out.media.as_slice() {
            [] => None,
            [film] if film.is_video() => match self.film(cx, film).await? {
                Some(blob) => Some(video(film, blob)),
                None => return Ok(Prepared::Processing { again_in: Duration::from_secs(5) }),
            },
            pictures => {
                let mut images = Vec::new();
                for (i, media) in pictures.iter().enumerate() {
                    images.push(image(media, self.upload(cx, i, media).await?));
                }
                Some(json!({ "$type": "app.bsky.embed.images", "images": images }))
            }
        };
        let facets = facets(&out.text, &self.handles(cx, &out.text).await?);
        let mut record = record(out, facets, embed);
        if let Some(to) = &out.reply_to {
            record["reply"] = json!({
                "root": self.strong_ref(cx, &to.root).await?,
                "parent": self.strong_ref(cx, &to.parent).await?,
            });
        }
        cx.checkpoint("repo", repo).await?;
        cx.checkpoint("rkey", tid(&out.key, out.created_at)).await?;
        cx.checkpoint("record", record).await?;
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let (Some(record), Some(repo)) = (cx.saved("record"), cx.saved_str("repo")) else {
            return Err(Error::new(Class::Transient, "The post is not prepared.").restart());
        };
        let body = json!({
            "repo": repo,
            "collection": COLLECTION,
            "rkey": rkey(cx, out),
            "record": record,
        });
        let url = xrpc(cx, "com.atproto.repo.putRecord");
        let reply = self.call(cx, || cx.http.post(&url).json(&body)).await?;
        if !reply.ok() {
            let error = self.parse_error(&reply);
            if error.restart {
                for i in 0..out.media.len() {
                    cx.checkpoint(&format!("blob:{i}"), Value::Null).await?;
                }
                cx.checkpoint(JOB, Value::Null).await?;
                cx.checkpoint("record", Value::Null).await?;
            }
            return Err(error);
        }
        let put: Record = reply.json()?;
        Ok(Published::Accepted(remote(cx, put.uri)))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        _: Window,
    ) -> Result<Vec<Remote>, Error> {
        let repo = match cx.saved_str("repo") {
            Some(repo) => repo,
            None => self.did(cx).await?,
        };
        let url = xrpc(cx, "com.atproto.repo.getRecord");
        let query = [("repo", repo), ("collection", COLLECTION.into()), ("rkey", rkey(cx, out))];
        let reply = cx.http.send(cx.http.get(&url).query(&query), cx.timeout).await?;
        if reply.ok() {
            return Ok(vec![remote(cx, reply.json::<Record>()?.uri)]);
        }
        let error = self.parse_error(&reply);
        if error.code.as_deref() == Some("RecordNotFound") { Ok(vec![]) } else { Err(error) }
    }

    /// A PDS counts nothing: it is asked to pass the question on to the server that does.
    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        let Some((repo, rkey)) = parts(remote_id) else {
            return Err(Error::new(Class::Content, "This is not the address of a Bluesky post."));
        };
        let url = xrpc(cx, "app.bsky.feed.getPosts");
        let request =
            || cx.http.get(&url).query(&[("uris", remote_id)]).header("atproto-proxy", APPVIEW);
        let reply = self.call(cx, request).await.map_err(Error::harmless)?;
        if !reply.ok() {
            let error = self.parse_error(&reply).harmless();
            return Err(match error.class {
                Class::Config | Class::Content => {
                    let why = "This Bluesky server passes no questions on to the one that counts.";
                    error.becomes(Class::Config, why).action(Action::AskOperator).code("no_appview")
                }
                _ => error,
            });
        }
        let answer: Value = reply.json().map_err(Error::harmless)?;
        let posts = answer["posts"].as_array();
        let posts = posts.ok_or_else(|| Error::garbled("no list of posts").harmless())?;
        if let Some(post) = posts.first() {
            return Ok(numbers::read(
                post,
                &[
                    (Metric::Likes, "/likeCount"),
                    (Metric::Comments, "/replyCount"),
                    (Metric::Shares, "/repostCount"),
                    (Metric::Shares, "/quoteCount"),
                    (Metric::Saves, "/bookmarkCount"),
                ],
            ));
        }
        // Who counts does not know it: either it is gone, or it has not got there.
        let url = xrpc(cx, "com.atproto.repo.getRecord");
        let query = [("repo", repo), ("collection", COLLECTION), ("rkey", rkey)];
        let request = cx.http.get(&url).query(&query);
        let reply = cx.http.send(request, cx.timeout).await.map_err(Error::harmless)?;
        if reply.ok() {
            let why = "Bluesky does not count this post yet.";
            return Err(Error::new(Class::Transient, why).code("not_indexed"));
        }
        let error = self.parse_error(&reply).harmless();
        match error.code.as_deref() {
            Some("RecordNotFound") => Err(numbers::gone(SPEC.name)),
            _ => Err(error),
        }
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let Some((repo, rkey)) = parts(remote_id) else {
            return Err(Error::new(Class::Content, "This is not the address of a Bluesky post."));
        };
        let body = json!({ "repo": repo, "collection": COLLECTION, "rkey": rkey });
        let url = xrpc(cx, "com.atproto.repo.deleteRecord");
        let reply = self.call(cx, || cx.http.post(&url).json(&body)).await?;
        if reply.ok() { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    /// Ends the session; the app password is a person's to delete. One that is over already is what
    /// was asked for.
    async fn revoke(&self, cx: &Context<'_>) -> Result<(), Error> {
        let Ok(token) = cx.account.secret("refreshJwt") else {
            return Err(Error::unsupported("revoke"));
        };
        let url = xrpc(cx, "com.atproto.server.deleteSession");
        let request = cx.http.post(&url).bearer_auth(token.reveal());
        let reply = cx.http.send(request, cx.timeout).await?;
        if reply.ok() || is_stale(&reply) { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let code = body["error"].as_str().unwrap_or_default();
        let said = body["message"].as_str().unwrap_or(code);
        let mut error = reply.error(SPEC.name);
        if !code.is_empty() {
            error = error.code(code);
        }
        let at_network = Action::ActAtNetwork;
        match (code, reply.status.as_u16()) {
            // Token errors are status 400 here.
            ("ExpiredToken" | "InvalidToken" | "invalid_grant", _) => {
                error.becomes(Class::Auth, "The Bluesky session has ended.")
            }
            ("AuthenticationRequired" | "AuthMissing", _) => {
                error.becomes(Class::Auth, "Bluesky refuses the handle or the app password.")
            }
            ("AuthFactorTokenRequired", _) => {
                let why = "Bluesky asks for a second factor: an app password needs none.";
                error.becomes(Class::Auth, why)
            }
            ("AccountTakedown" | "RepoTakendown" | "RepoSuspended", _) => error
                .becomes(Class::Auth, "Bluesky has taken this account down.")
                .action(at_network),
            ("RepoNotFound", _) => {
                error.becomes(Class::Auth, "The account is not at this Bluesky server any more.")
            }
            ("AccountDeactivated" | "RepoDeactivated", _) => {
                error.becomes(Class::Auth, "The Bluesky account is deactivated.").action(at_network)
            }
            ("RateLimitExceeded", _) | (_, 429) => {
                let reset = reply.header("ratelimit-reset").and_then(|s| s.parse().ok());
                let at = reset.and_then(|s| jiff::Timestamp::from_second(s).ok());
                let wait = at.and_then(|at| reply.until(at)).or(error.retry_after);
                error.becomes(Class::RateLimit, "Bluesky asks for fewer calls.").retry_after(wait)
            }
            ("BlobNotFound", _) => {
                error.becomes(Class::Transient, "Bluesky has dropped an uploaded file.").restart()
            }
            ("XRPCNotSupported" | "MethodNotImplemented", _) | ("", 404 | 405) => {
                error.becomes(Class::Config, "There is no Bluesky server at this address.")
            }
            (_, 413) => error.becomes(Class::Content, "A file is too large for this server."),
            (_, 400) => error.becomes(Class::Content, saying("Bluesky refuses the post", said)),
            _ => error,
        }
    }
}

impl Bluesky {
    /// Who the session belongs to.
    async fn session(&self, cx: &Context<'_>) -> Result<Session, Error> {
        let url = xrpc(cx, "com.atproto.server.getSession");
        let reply = self.call(cx, || cx.http.get(&url)).await?;
        if reply.ok() { reply.json() } else { Err(self.parse_error(&reply)) }
    }

    /// The account's DID, which `check` has learnt.
    pub(crate) async fn did(&self, cx: &Context<'_>) -> Result<String, Error> {
        match cx.account.setting("did") {
            Ok(did) => Ok(did.to_owned()),
            Err(_) => Ok(self.session(cx).await?.did),
        }
    }

    /// One request with the session. A stale session is renewed once and the request sent again,
    /// which is safe because the refusal was definite.
    pub(crate) async fn call(
        &self,
        cx: &Context<'_>,
        request: impl Fn() -> Request + Send + Sync,
    ) -> Result<Reply, Error> {
        self.call_within(cx, cx.timeout, request).await
    }

    async fn call_within(
        &self,
        cx: &Context<'_>,
        timeout: Duration,
        request: impl Fn() -> Request + Send + Sync,
    ) -> Result<Reply, Error> {
        if let Ok(token) = cx.account.secret("accessJwt") {
            let reply = cx.http.send(request().bearer_auth(token.reveal()), timeout).await?;
            if !is_stale(&reply) {
                return Ok(reply);
            }
        }
        let token = self.renew(cx).await.map_err(Error::harmless)?;
        cx.http.send(request().bearer_auth(token.reveal()), timeout).await
    }

    /// A new access token: by the refresh token, else by the app password.
    async fn renew(&self, cx: &Context<'_>) -> Result<Secret, Error> {
        if let Ok(token) = cx.account.secret("refreshJwt") {
            let url = xrpc(cx, "com.atproto.server.refreshSession");
            let request = cx.http.post(&url).bearer_auth(token.reveal());
            let reply = cx.http.send(request, cx.timeout).await?;
            if reply.ok() {
                return keep(cx, reply.json()?).await;
            }
            if !is_stale(&reply) {
                return Err(self.parse_error(&reply));
            }
        }
        let body = json!({
            "identifier": cx.account.setting("identifier")?.trim_start_matches('@'),
            "password": cx.account.secret("password")?.reveal(),
        });
        let url = format!("{}/xrpc/com.atproto.server.createSession", cx.base);
        let reply = cx.http.send(cx.http.post(&url).json(&body), cx.timeout).await?;
        if reply.ok() { keep(cx, reply.json()?).await } else { Err(self.parse_error(&reply)) }
    }

    /// What a reply names a post by: its address and the hash of what it says. The hash is read from
    /// the server, which alone knows it of a post whose answer was lost.
    async fn strong_ref(&self, cx: &Context<'_>, post: &Remote) -> Result<Value, Error> {
        let Some((repo, rkey)) = parts(&post.id) else {
            let says = "The post that it follows has no Bluesky address.";
            return Err(Error::new(Class::Content, says).code("no_parent"));
        };
        let url = xrpc(cx, "com.atproto.repo.getRecord");
        let query = [("repo", repo), ("collection", COLLECTION), ("rkey", rkey)];
        let reply = cx.http.send(cx.http.get(&url).query(&query), cx.timeout).await?;
        if reply.ok() {
            let Referred { uri, cid } = reply.json()?;
            return Ok(json!({ "uri": uri, "cid": cid }));
        }
        let error = self.parse_error(&reply);
        if error.code.as_deref() == Some("RecordNotFound") {
            let says = "The post that it follows is gone from Bluesky.";
            return Err(error.becomes(Class::Content, says));
        }
        Err(error)
    }

    /// The blob of file `i`, uploaded once.
    pub(crate) async fn upload(
        &self,
        cx: &Context<'_>,
        i: usize,
        media: &Media,
    ) -> Result<Value, Error> {
        let name = format!("blob:{i}");
        if let Some(blob) = cx.saved(&name) {
            return Ok(blob);
        }
        let url = xrpc(cx, "com.atproto.repo.uploadBlob");
        let request = || {
            let request = cx.http.post(&url).header("content-type", &media.content_type);
            request.header("content-length", media.size()).body(media.body(0))
        };
        let reply = self.call_within(cx, cx.time_for(media.size()), request).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let Blob { blob } = reply.json()?;
        cx.checkpoint(&name, blob.clone()).await?;
        Ok(blob)
    }

    /// The DIDs of the handles that a text mentions; who does not exist stays plain text.
    async fn handles(
        &self,
        cx: &Context<'_>,
        text: &str,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut found = BTreeMap::new();
        let handles = text::mentions(text).into_iter().map(|r| text[r.start + 1..r.end].to_owned());
        for handle in handles.filter(|h| is_handle(h)).collect::<BTreeSet<_>>() {
            let url = xrpc(cx, "com.atproto.identity.resolveHandle");
            let request = cx.http.get(&url).query(&[("handle", &handle)]);
            let reply = cx.http.send(request, cx.timeout).await?;
            match reply.status.as_u16() {
                200 => drop(found.insert(handle, reply.json::<Resolved>()?.did)),
                400 | 404 => {}
                _ => return Err(self.parse_error(&reply)),
            }
        }
        Ok(found)
    }
}

fn is_handle(name: &str) -> bool {
    name.contains('.') && !name.contains(['@', '_'])
}

async fn keep(cx: &Context<'_>, tokens: Tokens) -> Result<Secret, Error> {
    let access = Secret::new(tokens.access_jwt);
    let refresh = Secret::new(tokens.refresh_jwt);
    let secrets = [("accessJwt".to_owned(), access.clone()), ("refreshJwt".to_owned(), refresh)];
    cx.renew(BTreeMap::from(secrets)).await?;
    Ok(access)
}

fn is_stale(reply: &Reply) -> bool {
    !reply.ok() && matches!(reply.value()["error"].as_str(), Some("ExpiredToken" | "InvalidToken"))
}

/// Is something else put in the place of the network, the local stand-in?
pub(crate) fn overridden(cx: &Context<'_>) -> bool {
    let server = cx.account.setting("server").unwrap_or(SPEC.base_url);
    let bare = |url: &str| url.trim_start_matches("https://").trim_end_matches('/').to_owned();
    bare(cx.base) != bare(server)
}

/// The address of a method at the account's own PDS, unless something else was put in its place.
pub(crate) fn xrpc(cx: &Context<'_>, method: &str) -> String {
    let overridden = overridden(cx);
    let pds = cx.account.setting("pds").ok().filter(|_| !overridden);
    format!("{}/xrpc/{method}", pds.unwrap_or(cx.base))
}

/// The PDS that a DID document names.
fn pds(did_doc: &Value) -> Option<String> {
    let services = did_doc["service"].as_array()?;
    let ours = |s: &&Value| s["id"].as_str().is_some_and(|id| id.ends_with("#atproto_pds"));
    let endpoint = services.iter().find(ours)?["serviceEndpoint"].as_str()?;
    Some(endpoint.trim_end_matches('/').to_owned())
}

fn image(media: &Media, blob: Value) -> Value {
    shaped(media, json!({ "image": blob, "alt": media.alt }))
}

fn video(media: &Media, blob: Value) -> Value {
    let video = json!({ "$type": "app.bsky.embed.video", "video": blob, "alt": media.alt });
    shaped(media, video)
}

fn shaped(media: &Media, mut item: Value) -> Value {
    if media.width > 0 && media.height > 0 {
        item["aspectRatio"] = json!({ "width": media.width, "height": media.height });
    }
    item
}

/// The post's record: the same for the same rendition, to the byte.
fn record(out: &Rendition, facets: Vec<Value>, embed: Option<Value>) -> Value {
    let at = jiff::Timestamp::from_millisecond(out.created_at).unwrap_or_default();
    let mut record = json!({
        "$type": COLLECTION,
        "text": out.text,
        "createdAt": format!("{at:.3}"),
    });
    if !facets.is_empty() {
        record["facets"] = facets.into();
    }
    if let Some(embed) = embed {
        record["embed"] = embed;
    }
    record
}

/// Links, hashtags and mentions by UTF-8 byte offsets. The PDS does not check them.
fn facets(text: &str, dids: &BTreeMap<String, String>) -> Vec<Value> {
    let link = |s: &str| Some(json!({ "$type": "app.bsky.richtext.facet#link", "uri": s }));
    let tag = |s: &str| {
        let tag = s.trim_start_matches(['#', '＃']);
        let fits = tag.graphemes(true).count() <= 64 && tag.len() <= 640;
        fits.then(|| json!({ "$type": "app.bsky.richtext.facet#tag", "tag": tag }))
    };
    let mention = |s: &str| {
        let did = dids.get(&s[1..])?;
        Some(json!({ "$type": "app.bsky.richtext.facet#mention", "did": did }))
    };
    let mut found = Vec::new();
    found.extend(text::urls(text).into_iter().map(|r| (r.clone(), link(&text[r]))));
    found.extend(text::hashtags(text).into_iter().map(|r| (r.clone(), tag(&text[r]))));
    found.extend(text::mentions(text).into_iter().map(|r| (r.clone(), mention(&text[r]))));
    found.sort_by_key(|(r, _)| r.start);
    let facet = |(r, feature): (std::ops::Range<usize>, Option<Value>)| {
        let index = json!({ "byteStart": r.start, "byteEnd": r.end });
        Some(json!({ "index": index, "features": [feature?] }))
    };
    found.into_iter().filter_map(facet).collect()
}

fn rkey(cx: &Context<'_>, out: &Rendition) -> String {
    cx.saved_str("rkey").unwrap_or_else(|| tid(&out.key, out.created_at))
}

/// A record key in the form of a TID: microseconds and a clock id, both of the delivery's making.
/// Posts due in the same millisecond must not meet, since `putRecord` would replace one by the
/// other: the key spreads them over a second and 1,024 clocks.
fn tid(key: &str, created_at: i64) -> String {
    const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
    let hash = Sha256::digest(key.as_bytes());
    let word = hash.iter().take(8).fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let micros =
        created_at.max(0).unsigned_abs().wrapping_mul(1_000).wrapping_add(word % 1_000_000);
    let id = (micros & ((1 << 53) - 1)) << 10 | word >> 54;
    (0..13).rev().map(|i| char::from(ALPHABET[(id >> (5 * i) & 31) as usize])).collect()
}

/// Repository and record key of an `at://` address of a post.
fn parts(uri: &str) -> Option<(&str, &str)> {
    let (repo, path) = uri.strip_prefix("at://")?.split_once('/')?;
    let rkey = path.strip_prefix(COLLECTION)?.strip_prefix('/')?;
    (!repo.is_empty() && !rkey.is_empty()).then_some((repo, rkey))
}

/// The post with its page. People read bsky.app whatever server the account lives on; the local
/// stand-in has pages of its own.
fn remote(cx: &Context<'_>, uri: String) -> Remote {
    let url = match cx.base.strip_suffix("/bluesky") {
        Some(origin) => {
            let id: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
            Some(format!("{origin}/posts/bluesky/{id}"))
        }
        None => parts(&uri).map(|(did, rkey)| {
            let name = cx.account.setting("identifier").map_or("", |n| n.trim_start_matches('@'));
            let name = if is_handle(name) { name } else { did };
            format!("https://bsky.app/profile/{name}/post/{rkey}")
        }),
    };
    Remote { id: uri, url }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Account, Forgetful, Http};

    #[test]
    fn a_dropped_picture_is_uploaded_anew() {
        let body = r#"{"error":"BlobNotFound","message":"Could not find blob: b"}"#;
        let error = Bluesky.parse_error(&crate::http::reply(400, &[], body));
        assert_eq!((error.restart, error.code.as_deref()), (true, Some("BlobNotFound")));
    }

    #[test]
    fn facets_count_bytes() {
        let dids = BTreeMap::from([("bob.test".to_owned(), "did:plc:bob".to_owned())]);
        let text = "🔔 @bob.test @nobody.test: https://example.com/ü #läuten";
        let all = facets(text, &dids);
        let seen: Vec<_> = all
            .iter()
            .map(|f| {
                let at = |k: &str| f["index"][k].as_u64().unwrap() as usize;
                let feature = f["features"][0].as_object().unwrap();
                (
                    &text[at("byteStart")..at("byteEnd")],
                    feature.values().nth(1).unwrap().as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("@bob.test", "did:plc:bob"),
                ("https://example.com/ü", "https://example.com/ü"),
                ("#läuten", "läuten"),
            ]
        );
        assert_eq!(facets(&format!("#{}", "x".repeat(65)), &dids), [] as [Value; 0]);
    }

    #[test]
    fn the_record_is_frozen_text_and_time() {
        let out = Rendition { text: "Hi".into(), created_at: 1_795_341_600_007, ..<_>::default() };
        let expected =
            r#"{"$type":"app.bsky.feed.post","text":"Hi","createdAt":"2026-11-22T10:00:00.007Z"}"#;
        assert_eq!(record(&out, vec![], None).to_string(), expected);
    }

    #[test]
    fn a_tid_is_its_time_in_base_32() {
        // 2026-11-22T10:00:00Z is 1,795,341,600,000,000 µs; the key adds less than a second.
        let (early, late) = (tid("k", 1_795_341_600_000), tid("k", 1_795_341_601_000));
        assert_eq!(early, tid("k", 1_795_341_600_000));
        assert!(early < late);
        assert_ne!(early, tid("l", 1_795_341_600_000));
    }

    #[test]
    fn only_the_address_of_a_post_is_taken_apart() {
        let ok = parts("at://did:plc:a/app.bsky.feed.post/3k");
        assert_eq!(ok, Some(("did:plc:a", "3k")));
        for bad in
            ["", "at://did:plc:a", "at://x/app.bsky.feed.like/1", "at://x/app.bsky.feed.post/"]
        {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_accounts_own_server_is_used_unless_overridden() {
        let pds = ("pds".to_owned(), "https://shroom.example".to_owned());
        let account = Account { settings: BTreeMap::from([pds]), ..<_>::default() };
        let http = Http::new(<_>::default());
        for (base, url) in [
            ("https://bsky.social/", "https://shroom.example/xrpc/m"),
            ("http://127.0.0.1:9/bluesky", "http://127.0.0.1:9/bluesky/xrpc/m"),
        ] {
            let time = Duration::from_secs(1);
            let cx = Context::new(&http, &account, base, 0, time, <_>::default(), &Forgetful);
            assert_eq!(xrpc(&cx, "m"), url);
            let page = remote(&cx, "at://did:plc:a/app.bsky.feed.post/3k".into()).url.unwrap();
            let own = "http://127.0.0.1:9/posts/bluesky/at%3A%2F%2Fdid%3Aplc%3Aa%2Fapp.bsky.feed.post%2F3k";
            let public = "https://bsky.app/profile/did:plc:a/post/3k";
            assert_eq!(page, if base.contains("127") { own } else { public });
        }
    }

    proptest! {
        #[test]
        fn a_tid_is_always_valid(key in ".*", at in any::<i64>()) {
            let tid = tid(&key, at);
            prop_assert_eq!(tid.len(), 13);
            prop_assert!(tid.bytes().all(|b| b"234567abcdefghijklmnopqrstuvwxyz".contains(&b)));
            prop_assert!(b"234567abcdefghij".contains(&tid.as_bytes()[0]));
        }

        #[test]
        fn facets_lie_inside_the_text_and_apart(text in "(https://a.io|#a|@b.c|[ é🔔.,#@/]){0,12}") {
            let dids = BTreeMap::from([("b.c".to_owned(), "did:plc:b".to_owned())]);
            let mut end = 0;
            for facet in facets(&text, &dids) {
                let at = |k: &str| facet["index"][k].as_u64().unwrap() as usize;
                prop_assert!(at("byteStart") >= end && at("byteStart") < at("byteEnd"));
                end = at("byteEnd");
                prop_assert!(text.get(at("byteStart")..end).is_some());
            }
        }
    }
}
