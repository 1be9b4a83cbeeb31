//! TikTok: Content Posting API v2; checked 2026-11-22.
//!
//! Keys: an app at developers.tiktok.com with Login Kit and the Content Posting API (direct post).
//! Until TikTok has audited it, posts are for private accounts and their owners only. Photos are
//! fetched from an address whose prefix the app has verified. There is no call that deletes.
//!
//! What is harmless and what is the one call: opening a direct post names it (`publish_id`) and
//! gives an address to upload to, good for an hour, and nothing is posted until that file is
//! complete. So `prepare` opens the post and brings every chunk but the last, and the last chunk is
//! the visible call: it is what makes TikTok post, and sent twice it is one post, because both go
//! to the same address. The state of the id says how many bytes are there; as long as one is
//! missing nothing is out, and an hour later nothing ever will be. So films are uploaded and never
//! fetched. An upload to the inbox is the same with another opening; its owner finishes it in the
//! app.
//!
//! Photos have no such half: what opens the post is what posts, and it is TikTok that fetches. When
//! that answer is lost there is no id to ask for; the list of videos shows public ones only, cuts
//! their texts and says nothing of photos, so it proves no absence. They are blind: a person looks.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::quote;
use crate::http::{Reply, Request};
use crate::oauth::{Life, OAuth, SecretIn};
use crate::spec::{
    Abilities, Budget, Choice, Count, Derivative, Edit, Field, Kind, MediaRule, Metric, Pick,
    Placement, Text, VideoRule,
};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Numbers, Polled, Prepared, Published,
    Remote, Rendition, SendClass, Spec, numbers,
};

pub struct TikTok;

/// Bytes of a chunk, the fewest that TikTok takes: the last one, which is the visible call, is then
/// smaller than two of them. A film of less than two is one chunk.
const CHUNK: u64 = 5 << 20;
/// An address to upload to lives an hour; after this long it is dead by any clock.
const URL_LIFE: i64 = 65 * 60_000;
/// How long the number of a public post may be missing while TikTok looks at it.
const MODERATION: i64 = 10 * 60_000;

const TEXT: Text = Text {
    max: 2_200,
    count: Count::Utf16,
    max_bytes: None,
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: false,
};

const FILM: MediaRule = MediaRule {
    min: 1,
    max: 1,
    types: &[],
    max_bytes: 0,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 0,
    video: Some(VideoRule {
        max: 1,
        types: &["video/mp4", "video/quicktime", "video/webm"],
        max_bytes: 4_000_000_000,
        seconds: (1, 600),
        ratio: None,
        side: Some((360, 4_096)),
        mixed: false,
    }),
};

/// Who can be shown a post, the widest first.
const AUDIENCES: [&str; 4] =
    ["PUBLIC_TO_EVERYONE", "FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"];

const AUDIENCE: Choice = Choice {
    key: "audience",
    label: "Who can see it",
    help: "TikTok says which of these the account has; without a choice it is the widest of them.",
    required: false,
    kind: Kind::OneOf {
        picks: &[
            Pick { value: "PUBLIC_TO_EVERYONE", label: "Everybody" },
            Pick { value: "FOLLOWER_OF_CREATOR", label: "Followers" },
            Pick { value: "MUTUAL_FOLLOW_FRIENDS", label: "Friends" },
            Pick { value: "SELF_ONLY", label: "Only the account itself" },
        ],
    },
};

const COMMENTS: Choice = flag(
    "comments",
    "Comments",
    "Without an answer they are allowed where the account allows them.",
);
const OWN_BRAND: Choice =
    flag("ownBrand", "Promotes the own business", "TikTok labels it as promotional content.");
const PAID: Choice =
    flag("paidPartnership", "Paid partnership", "TikTok labels it as a paid partnership.");

const fn flag(key: &'static str, label: &'static str, help: &'static str) -> Choice {
    Choice { key, label, help, required: false, kind: Kind::Flag }
}

pub static SPEC: Spec = Spec {
    id: "tiktok",
    name: "TikTok",
    code: "TT",
    base_url: "https://open.tiktokapis.com",
    fields: &[
        Field {
            key: "accessToken",
            label: "Access token",
            help: "What TikTok's consent page gives. It lives a day.",
            secret: true,
            required: true,
        },
        Field {
            key: "refreshToken",
            label: "Refresh token",
            help: "What renews the access token; without it the connection ends within a day.",
            secret: true,
            required: false,
        },
    ],
    placements: &[
        Placement {
            id: "video",
            name: "Video",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[Metric::Views, Metric::Likes, Metric::Comments, Metric::Shares],
            text: TEXT,
            media: FILM,
            options: &[
                AUDIENCE,
                COMMENTS,
                flag(
                    "duets",
                    "Duets",
                    "Without an answer they are allowed where the account allows them.",
                ),
                flag(
                    "stitches",
                    "Stitches",
                    "Without an answer they are allowed where the account allows them.",
                ),
                OWN_BRAND,
                PAID,
                flag("aiMade", "Made by AI", "TikTok labels it as generated."),
            ],
        },
        Placement {
            id: "inbox",
            name: "Draft in the app",
            send: SendClass::Handle,
            follows: &[],
            in_budget: false,
            edit: Edit::No,
            measures: &[],
            // The caption is written in the app.
            text: Text { max: 0, ..TEXT },
            media: FILM,
            options: &[],
        },
        Placement {
            id: "photos",
            name: "Photos",
            send: SendClass::Blind,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[],
            text: Text { max: 4_000, title_max: Some(90), ..TEXT },
            media: MediaRule {
                max: 35,
                types: &["image/jpeg", "image/webp"],
                max_bytes: 20_000_000,
                derivative: Derivative::Square,
                pull: true,
                video: None,
                ..FILM
            },
            options: &[
                AUDIENCE,
                COMMENTS,
                flag(
                    "music",
                    "Music",
                    "TikTok adds a recommended piece; without it there is none.",
                ),
                OWN_BRAND,
                PAID,
            ],
        },
    ],
    abilities: Abilities { delete: false, read_back: true, alt_text: false },
    oauth: Some(OAuth {
        authorize: "https://www.tiktok.com/v2/auth/authorize/",
        token: "https://open.tiktokapis.com/v2/oauth/token/",
        scopes: &["user.info.basic", "user.info.profile", "video.publish", "video.upload"],
        reading: &["video.list"],
        separator: ',',
        // TikTok asks apps on phones and desks for a challenge, of a form of its own.
        pkce: false,
        id_param: "client_key",
        secret_in: SecretIn::Body,
        params: &[],
        guide: &[
            "At developers.tiktok.com make an app with Login Kit and the Content Posting API, and \
             switch on Direct Post.",
            "Enter this installation's address for redirects, and verify the prefix that photos \
             are fetched from.",
            "Take over the client key and the client secret.",
            "Ask for the audit: until then only private accounts can post, and only to themselves.",
        ],
    }),
    life: Life::Rotating,
    // Of the account over all apps; about, says TikTok.
    budgets: &[Budget { posts: 15, per: Duration::from_secs(86_400), of: &[] }],
};

#[derive(Deserialize)]
struct Whose {
    user: User,
}

#[derive(Deserialize)]
struct User {
    open_id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    username: String,
}

/// What the account may do now; asked for before every post.
#[derive(Deserialize, serde::Serialize)]
struct Creator {
    #[serde(default)]
    creator_username: String,
    #[serde(default)]
    privacy_level_options: Vec<String>,
    #[serde(default)]
    comment_disabled: bool,
    #[serde(default)]
    duet_disabled: bool,
    #[serde(default)]
    stitch_disabled: bool,
    max_video_post_duration_sec: Option<u64>,
}

#[derive(Deserialize)]
struct Opened {
    publish_id: String,
    upload_url: Option<String>,
}

#[derive(Deserialize)]
struct State {
    status: String,
    #[serde(default)]
    fail_reason: String,
    /// Spelled so. Numbers larger than a float can hold.
    #[serde(default)]
    publicaly_available_post_id: Vec<Value>,
    #[serde(default)]
    uploaded_bytes: u64,
}

/// A post that was opened, as it is saved.
struct Handle {
    id: String,
    /// Empty where TikTok fetches.
    url: String,
    /// When it was opened, ms UTC.
    at: i64,
    size: u64,
}

#[async_trait]
impl Network for TikTok {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let url = format!("{}/v2/user/info/", cx.base);
        let request = cx.http.get(&url).query(&[("fields", "open_id,display_name,username")]);
        let Whose { user } = self.call(cx, request).await.map_err(Error::harmless)?;
        let shown = [&user.username, &user.display_name, &user.open_id];
        let name = shown.into_iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
        let settings = [("username".to_owned(), user.username)];
        let settings = settings.into_iter().filter(|(_, name)| !name.is_empty()).collect();
        Ok(Identity { remote_id: user.open_id, name, settings })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if out.placement == "photos" {
            // Of an earlier try, which is known to have failed.
            forget(cx).await?;
            let creator = self.creator(cx).await?;
            photos(out, &creator)?;
            return Ok(Prepared::Ready);
        }
        let film = film(out)?;
        let (handle, done) = match self.resumed(cx, film).await? {
            Some(resumed) => resumed,
            None => (self.open(cx, out, film).await?, 0),
        };
        if cx.saved("complete").is_none() {
            self.upload(cx, &handle, film, done).await?;
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        if out.placement == "photos" {
            return self.publish_photos(cx, out).await;
        }
        let handle = held(cx).ok_or_else(not_prepared)?;
        if cx.saved("complete").is_some() {
            return Ok(Published::Processing { again_in: Duration::from_secs(1) });
        }
        let film = film(out)?;
        let (_, count) = chunks(handle.size);
        let (at, length) = chunk(handle.size, count - 1);
        let reply = self.put(cx, &handle, film, at, length).await?;
        if reply.status.as_u16() != 201 {
            return Err(self.not_taken(&reply));
        }
        // That it is not kept does no harm: the state says the same.
        cx.checkpoint("complete", cx.now).await.ok();
        Ok(Published::Processing { again_in: Duration::from_secs(5) })
    }

    async fn poll(&self, cx: &Context<'_>, out: &Rendition) -> Result<Polled, Error> {
        let Some(handle) = held(cx) else { return Ok(Polled::Gone(not_prepared())) };
        let state = self.state(cx, &handle.id).await?;
        let Some(since) = complete(cx, &handle, &state).await? else {
            return Ok(match cx.now - handle.at < URL_LIFE {
                true => Polled::NotPublished,
                false => Polled::Gone(expired()),
            });
        };
        let age = cx.now - since;
        let waits = Polled::Processing { again_in: patience(age) };
        Ok(match state.status.as_str() {
            "FAILED" => Polled::Gone(failure(&state.fail_reason)),
            "SEND_TO_USER_INBOX" => Polled::Published(Remote { id: handle.id, url: None }),
            "PUBLISH_COMPLETE" => match number(&state) {
                Some(id) => Polled::Published(remote(cx, out, &id)),
                // Public ones get their number when TikTok has looked at them, others never do.
                None if is_public(cx, out) && age < MODERATION => waits,
                None => Polled::Published(Remote { id: handle.id, url: profile(cx) }),
            },
            _ => waits,
        })
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        placement: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        placement.measured()?;
        if remote_id.is_empty() || !remote_id.bytes().all(|b| b.is_ascii_digit()) {
            let why = "TikTok tells numbers of public videos only.";
            return Err(Error::new(Class::Content, why).code("not_public"));
        }
        let url = format!("{}/v2/video/query/", cx.base);
        let fields = "id,view_count,like_count,comment_count,share_count";
        let body = json!({ "filters": { "video_ids": [remote_id] } });
        let request = cx.http.post(&url).query(&[("fields", fields)]).json(&body);
        let found: Value = match self.call(cx, request).await.map_err(Error::harmless) {
            Err(error) if error.code.as_deref() == Some("scope_not_authorized") => {
                return Err(numbers::ungranted(error, SPEC.name));
            }
            found => found?,
        };
        let videos = found["videos"].as_array();
        let videos = videos.ok_or_else(|| Error::garbled("no list of videos").harmless())?;
        let video = videos.first().ok_or_else(|| numbers::gone(SPEC.name))?;
        Ok(numbers::read(
            video,
            &[
                (Metric::Views, "/view_count"),
                (Metric::Likes, "/like_count"),
                (Metric::Comments, "/comment_count"),
                (Metric::Shares, "/share_count"),
            ],
        ))
    }

    async fn revoke(&self, cx: &Context<'_>) -> Result<(), Error> {
        let (id, secret) = (cx.account.setting("clientId")?, cx.account.secret("clientSecret")?);
        let token = cx.account.secret("accessToken")?;
        let form =
            [("client_key", id), ("client_secret", secret.reveal()), ("token", token.reveal())];
        let request = cx.http.post(&format!("{}/v2/oauth/revoke/", cx.base)).form(&form);
        let reply = cx.http.send(request, cx.timeout).await.map_err(Error::harmless)?;
        let error = reply.value()["error"].clone();
        if reply.ok() && (error.is_null() || error["code"] == "ok") {
            return Ok(());
        }
        let error = self.parse_error(&reply).harmless();
        // A token that ended by itself is given back.
        if error.class == Class::Auth { Ok(()) } else { Err(error) }
    }

    /// By the code, whatever the status: some refusals come with 200.
    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let said = match &body["error"] {
            Value::String(code) => (code.as_str(), body["error_description"].as_str()),
            error => (error["code"].as_str().unwrap_or_default(), error["message"].as_str()),
        };
        let log = body["error"]["log_id"].as_str().or(body["log_id"].as_str());
        let log = log.map(str::to_owned).or_else(|| reply.request_id());
        let error = reply.error(SPEC.name).request_id(log);
        let status = reply.status.as_u16();
        let (code, words) = (said.0, quote(said.1.unwrap_or_default()));
        if code.is_empty() || code == "ok" {
            return if status == 429 { minute(error) } else { error };
        }
        let Some((class, says)) = by_code(code) else {
            let error = error.code(code);
            return match status {
                500.. | 401 => error,
                429 => minute(error),
                _ if words.is_empty() => {
                    error.becomes(Class::Content, format!("TikTok refuses the post: {code}."))
                }
                _ => error.becomes(Class::Content, format!("TikTok refuses the post: {words}.")),
            };
        };
        // A failure of their own says nothing about what came before it.
        let maybe = status >= 500 || code.starts_with("internal");
        let error = error.becomes(class, says).code(code);
        let error = match code {
            "rate_limit_exceeded" => minute(error),
            "unaudited_client_can_only_post_to_private_accounts" | "url_ownership_unverified" => {
                error.action(Action::AskOperator)
            }
            "app_version_check_failed" => error.action(Action::ActAtNetwork),
            _ => error,
        };
        if maybe { error.maybe_applied() } else { error }
    }
}

impl TikTok {
    /// Sends with the token and reads the data of the envelope: what has another code than `ok` is
    /// an error, and what has none is no answer.
    async fn call<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        request: Request,
    ) -> Result<T, Error> {
        let token = cx.account.secret("accessToken")?;
        let reply = cx.http.send(request.bearer_auth(token.reveal()), cx.timeout).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let mut body = reply.value();
        let garbled = || Error::garbled("something unreadable").status(reply.status.as_u16());
        match body["error"]["code"].as_str() {
            Some("ok") => serde_json::from_value(body["data"].take()).map_err(|_| garbled()),
            Some(_) => Err(self.parse_error(&reply)),
            None => Err(garbled()),
        }
    }

    async fn post<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        path: &str,
        body: &Value,
    ) -> Result<T, Error> {
        self.call(cx, cx.http.post(&format!("{}/v2/post/publish/{path}", cx.base)).json(body)).await
    }

    async fn creator(&self, cx: &Context<'_>) -> Result<Creator, Error> {
        let creator: Creator =
            self.post(cx, "creator_info/query/", &json!({})).await.map_err(Error::harmless)?;
        let kept = serde_json::to_value(&creator).unwrap_or_default();
        cx.checkpoint("creator", kept).await?;
        Ok(creator)
    }

    async fn state(&self, cx: &Context<'_>, id: &str) -> Result<State, Error> {
        let body = json!({ "publish_id": id });
        self.post(cx, "status/fetch/", &body).await.map_err(Error::harmless)
    }

    /// The post that an earlier try has opened, and how many of its bytes are there.
    async fn resumed(
        &self,
        cx: &Context<'_>,
        film: &Media,
    ) -> Result<Option<(Handle, u64)>, Error> {
        let Some(handle) = held(cx) else { return Ok(None) };
        let state = match self.state(cx, &handle.id).await {
            Err(error) if error.code.as_deref() == Some("invalid_publish_id") => {
                forget(cx).await?;
                return Ok(None);
            }
            state => state?,
        };
        let done = state.uploaded_bytes;
        if state.status == "FAILED" {
            forget(cx).await?;
            return Err(failure(&state.fail_reason));
        }
        let over = cx.now - handle.at >= URL_LIFE || handle.size != film.size();
        if complete(cx, &handle, &state).await?.is_none() && over {
            forget(cx).await?;
            return Ok(None);
        }
        Ok(Some((handle, done)))
    }

    /// Opens a post: nothing of it is out before its last byte is there.
    async fn open(&self, cx: &Context<'_>, out: &Rendition, film: &Media) -> Result<Handle, Error> {
        let size = film.size();
        if size == 0 {
            return Err(Error::new(Class::Content, "The film is empty.").code("empty_film"));
        }
        let (chunk, count) = chunks(size);
        let source = json!({
            "source": "FILE_UPLOAD",
            "video_size": size,
            "chunk_size": chunk,
            "total_chunk_count": count,
        });
        let (path, body) = if out.placement == "inbox" {
            ("inbox/video/init/", json!({ "source_info": source }))
        } else {
            let creator = self.creator(cx).await?;
            let post = video(out, film, &creator)?;
            ("video/init/", json!({ "post_info": post, "source_info": source }))
        };
        let opened: Opened = self.post(cx, path, &body).await.map_err(Error::harmless)?;
        let Some(url) = opened.upload_url else {
            return Err(Error::garbled("no address to upload to").harmless());
        };
        let handle = Handle { id: opened.publish_id, url, at: cx.now, size };
        keep(cx, &handle).await?;
        Ok(handle)
    }

    /// Brings every chunk but the last, from the first that is not there.
    async fn upload(
        &self,
        cx: &Context<'_>,
        handle: &Handle,
        film: &Media,
        done: u64,
    ) -> Result<(), Error> {
        let (size, count) = chunks(handle.size);
        for i in done / size..count - 1 {
            let (at, length) = chunk(handle.size, i);
            let reply = self.put(cx, handle, film, at, length).await.map_err(Error::harmless)?;
            match reply.status.as_u16() {
                206 => {}
                201 => return cx.checkpoint("complete", cx.now).await,
                // The address has ended, and what it was for can never be complete.
                403 | 404 => {
                    forget(cx).await?;
                    return Err(expired());
                }
                _ => return Err(self.not_taken(&reply).harmless()),
            }
        }
        Ok(())
    }

    /// Sends bytes of the film to the post's own address, which needs no token.
    async fn put(
        &self,
        cx: &Context<'_>,
        handle: &Handle,
        film: &Media,
        at: u64,
        length: u64,
    ) -> Result<Reply, Error> {
        let piece = whole(film, at, length).await?;
        let request = cx
            .http
            .request(Method::PUT, &handle.url)
            .header("content-type", &film.content_type)
            .header("content-length", length)
            .header("content-range", format!("bytes {at}-{}/{}", at + length - 1, handle.size))
            .body(piece);
        // The last piece is the visible call.
        let last = at + length >= handle.size;
        cx.http.send(request, if last { cx.timeout } else { cx.time_for(length) }).await
    }

    /// A chunk was not taken: ended, out of order, or there already. The post's state tells which,
    /// so nothing is given up here.
    fn not_taken(&self, reply: &Reply) -> Error {
        let status = reply.status.as_u16();
        match status {
            200..=299 => Error::garbled("something unreadable").status(status),
            400 | 403 | 404 | 416 => {
                let why = "TikTok did not take the last piece of the film where it belongs.";
                Error::new(Class::Transient, why)
                    .status(status)
                    .code(format!("upload_{status}"))
                    .maybe_applied()
            }
            _ => self.parse_error(reply),
        }
    }

    async fn publish_photos(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let creator = cx.saved("creator").ok_or_else(not_prepared)?;
        let creator = serde_json::from_value(creator).map_err(|_| not_prepared())?;
        let opened: Opened = self.post(cx, "content/init/", &photos(out, &creator)?).await?;
        let handle = Handle { id: opened.publish_id, url: String::new(), at: cx.now, size: 0 };
        match keep(cx, &handle).await {
            Ok(()) => Ok(Published::Processing { again_in: Duration::from_secs(5) }),
            // It is on its way, whatever became of our own memory.
            Err(_) => Ok(Published::Accepted(Remote { id: handle.id, url: profile(cx) })),
        }
    }
}

/// Size and number of the chunks of a film.
fn chunks(size: u64) -> (u64, u64) {
    if size < 2 * CHUNK { (size.max(1), 1) } else { (CHUNK, size / CHUNK) }
}

/// Where chunk `i` begins and how long it is: the last one takes what is left.
fn chunk(size: u64, i: u64) -> (u64, u64) {
    let (each, count) = chunks(size);
    let at = i * each;
    (at, if i + 1 == count { size - at } else { each })
}

/// Exactly these bytes of the film.
async fn whole(film: &Media, at: u64, length: u64) -> Result<Bytes, Error> {
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    let piece = film.piece(at, wanted).await?;
    if piece.len() == wanted {
        return Ok(piece);
    }
    Err(Error::new(Class::Transient, "The film cannot be read at the moment.").code("short_read"))
}

fn film(out: &Rendition) -> Result<&Media, Error> {
    out.media.iter().find(|media| media.is_video()).ok_or_else(|| {
        Error::new(Class::Content, "A video on TikTok needs a film.").code("no_film")
    })
}

fn held(cx: &Context<'_>) -> Option<Handle> {
    let saved = cx.saved("handle")?;
    Some(Handle {
        id: saved["id"].as_str()?.to_owned(),
        url: saved["url"].as_str()?.to_owned(),
        at: saved["at"].as_i64()?,
        size: saved["size"].as_u64()?,
    })
}

async fn keep(cx: &Context<'_>, handle: &Handle) -> Result<(), Error> {
    let Handle { id, url, at, size } = handle;
    cx.checkpoint("handle", json!({ "id": id, "url": url, "at": at, "size": size })).await
}

/// Since when all of the post is known to be at TikTok; `None` while bytes are missing.
async fn complete(cx: &Context<'_>, handle: &Handle, state: &State) -> Result<Option<i64>, Error> {
    if let Some(since) = cx.saved("complete").and_then(|since| since.as_i64()) {
        return Ok(Some(since));
    }
    if state.status == "PROCESSING_UPLOAD" && state.uploaded_bytes < handle.size {
        return Ok(None);
    }
    cx.checkpoint("complete", cx.now).await?;
    Ok(Some(cx.now))
}

async fn forget(cx: &Context<'_>) -> Result<(), Error> {
    for name in ["handle", "complete"] {
        if cx.saved(name).is_some() {
            cx.checkpoint(name, Value::Null).await?;
        }
    }
    Ok(())
}

fn not_prepared() -> Error {
    Error::new(Class::Transient, "The post is not opened at TikTok yet.")
        .code("not_prepared")
        .restart()
}

fn expired() -> Error {
    Error::new(Class::Transient, "TikTok no longer takes the film that was begun.")
        .code("upload_expired")
        .restart()
}

fn minute(error: Error) -> Error {
    let wait = error.retry_after.or(Some(Duration::from_secs(60)));
    error.becomes(Class::RateLimit, "TikTok asks for fewer calls.").retry_after(wait)
}

/// Processing takes seconds, looking at it a minute, now and then hours.
fn patience(age: i64) -> Duration {
    Duration::from_secs(match age {
        ..300_000 => 10,
        300_000..3_600_000 => 60,
        _ => 600,
    })
}

/// The audience: the chosen one, where the account has it, or the widest.
fn audience(out: &Rendition, creator: &Creator) -> Result<String, Error> {
    let offered = |one: &str| creator.privacy_level_options.iter().any(|o| o == one);
    match out.option("audience") {
        Some(chosen) if offered(chosen) => Ok(chosen.to_owned()),
        Some(_) => {
            let why = "TikTok does not offer this account the chosen audience.";
            Err(Error::new(Class::Content, why).code("privacy_level_option_mismatch"))
        }
        None => match AUDIENCES.into_iter().find(|one| offered(one)) {
            Some(widest) => Ok(widest.to_owned()),
            None => {
                let why = "TikTok offers this account no audience to post to.";
                let error = Error::new(Class::Config, why).code("no_audience");
                Err(error.action(Action::ActAtNetwork))
            }
        },
    }
}

/// What a video is posted with.
fn video(out: &Rendition, film: &Media, creator: &Creator) -> Result<Value, Error> {
    let longest = creator.max_video_post_duration_sec.map(Duration::from_secs);
    if let (Some(longest), Some(length)) = (longest, film.duration)
        && length > longest
    {
        let seconds = longest.as_secs();
        let why = format!("TikTok takes films of at most {seconds} seconds from this account.");
        return Err(Error::new(Class::Content, why).code("duration_check_failed"));
    }
    let off = |key: &str| out.option(key) == Some("false");
    let on = |key: &str| out.option(key) == Some("true");
    let mut post = json!({
        "title": out.text,
        "privacy_level": audience(out, creator)?,
        "disable_comment": creator.comment_disabled || off("comments"),
        "disable_duet": creator.duet_disabled || off("duets"),
        "disable_stitch": creator.stitch_disabled || off("stitches"),
        "brand_organic_toggle": on("ownBrand"),
        "brand_content_toggle": on("paidPartnership"),
        "is_aigc": on("aiMade"),
    });
    if let Some(cover) = film.cover {
        post["video_cover_timestamp_ms"] = json!(cover.as_millis() as u64);
    }
    Ok(post)
}

/// What posts photos.
fn photos(out: &Rendition, creator: &Creator) -> Result<Value, Error> {
    if out.media.is_empty() {
        return Err(Error::new(Class::Content, "A post of photos needs one.").code("no_photo"));
    }
    let urls: Vec<&str> = out.media.iter().map(|media| media.url.as_str()).collect();
    if urls.contains(&"") {
        let why = "TikTok fetches photos from a public address, and this installation has none.";
        let error = Error::new(Class::Config, why).code("no_public_address");
        return Err(error.action(Action::AskOperator));
    }
    let on = |key: &str| out.option(key) == Some("true");
    let mut post = json!({
        "description": out.text,
        "privacy_level": audience(out, creator)?,
        "disable_comment": creator.comment_disabled || out.option("comments") == Some("false"),
        "auto_add_music": on("music"),
        "brand_organic_toggle": on("ownBrand"),
        "brand_content_toggle": on("paidPartnership"),
    });
    if let Some(title) = out.title.as_deref().map(str::trim).filter(|title| !title.is_empty()) {
        post["title"] = json!(title);
    }
    Ok(json!({
        "media_type": "PHOTO",
        "post_mode": "DIRECT_POST",
        "post_info": post,
        "source_info": {
            "source": "PULL_FROM_URL",
            "photo_images": urls,
            "photo_cover_index": 0,
        },
    }))
}

/// The number of a public post. One that was written as a float has lost its end and is none.
fn number(state: &State) -> Option<String> {
    state.publicaly_available_post_id.iter().find_map(|id| match id {
        Value::Number(id) if id.is_u64() => Some(id.to_string()),
        Value::String(id) if !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) => {
            Some(id.clone())
        }
        _ => None,
    })
}

/// Was it posted to everybody?
fn is_public(cx: &Context<'_>, out: &Rendition) -> bool {
    let creator = cx.saved("creator").and_then(|saved| serde_json::from_value(saved).ok());
    creator.is_some_and(|creator| {
        audience(out, &creator).is_ok_and(|audience| audience == "PUBLIC_TO_EVERYONE")
    })
}

fn username(cx: &Context<'_>) -> Option<String> {
    let creator =
        cx.saved("creator").and_then(|c| c["creator_username"].as_str().map(str::to_owned));
    let known = creator.or_else(|| cx.account.setting("username").ok().map(str::to_owned));
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    known.filter(|name| !name.is_empty() && name.bytes().all(good))
}

/// The page of a post; the local stand-in has pages of its own.
fn remote(cx: &Context<'_>, out: &Rendition, id: &str) -> Remote {
    let kind = if out.placement == "photos" { "photo" } else { "video" };
    let url = match cx.base.strip_suffix("/tiktok") {
        Some(origin) => Some(format!("{origin}/posts/tiktok/{id}")),
        None => username(cx).map(|name| format!("https://www.tiktok.com/@{name}/{kind}/{id}")),
    };
    Remote { id: id.to_owned(), url }
}

fn profile(cx: &Context<'_>) -> Option<String> {
    username(cx).map(|name| format!("https://www.tiktok.com/@{name}"))
}

/// Why a post was not published after all.
fn failure(reason: &str) -> Error {
    let (class, says) = by_code(reason)
        .unwrap_or((Class::Content, "TikTok did not publish the post and does not say why."));
    let error = Error::new(class, says).code(if reason.is_empty() { "FAILED" } else { reason });
    // What is over cannot be taken up again.
    match class {
        Class::Transient | Class::RateLimit | Class::Quota => error.restart(),
        _ => error,
    }
}

/// Codes of errors and reasons of failures: TikTok uses some as both.
fn by_code(code: &str) -> Option<(Class, &'static str)> {
    use Class::*;
    Some(match code {
        "access_token_invalid" => (Auth, "TikTok no longer accepts the access token."),
        "scope_not_authorized" | "scope_permission_missed" => {
            (Auth, "The consent for TikTok lacks a right that is needed.")
        }
        "auth_removed" => (Auth, "The account took its consent back at TikTok."),
        "unaudited_client_can_only_post_to_private_accounts" => (
            Config,
            "TikTok has not audited this installation's app: it may post to private accounts only.",
        ),
        "url_ownership_unverified" => (
            Config,
            "The address that photos are fetched from is not verified for this app at TikTok.",
        ),
        "app_version_check_failed" => {
            (Config, "The account's TikTok app is too old to finish drafts: update it.")
        }
        "rate_limit_exceeded" => (RateLimit, "TikTok asks for fewer calls."),
        "spam_risk_too_many_posts" => {
            (Quota, "TikTok takes no more posts of this account for 24 hours.")
        }
        "spam_risk_too_many_pending_share" => {
            (Quota, "Too many drafts wait in the TikTok app: finish some of them there.")
        }
        "reached_active_user_cap" => {
            (Quota, "This installation's app has reached TikTok's daily number of accounts.")
        }
        "spam_risk" | "spam_risk_text" => (Policy, "TikTok refuses the post as spam."),
        "spam_risk_user_banned_from_posting" => {
            (Policy, "TikTok has banned the account from posting.")
        }
        "privacy_level_option_mismatch" => {
            (Content, "TikTok does not offer this account the chosen audience.")
        }
        "invalid_publish_id" | "token_not_authorized_for_specified_publish_id" => {
            (Content, "TikTok does not know the post that was begun.")
        }
        "publish_not_cancellable" => (Content, "TikTok can no longer stop the post."),
        "publish_cancelled" => (Content, "The post was stopped at TikTok."),
        "file_format_check_failed" => (Content, "TikTok does not take the file's format."),
        "duration_check_failed" => (Content, "The film is too short or too long for TikTok."),
        "frame_rate_check_failed" => (Content, "TikTok does not take the film's frame rate."),
        "picture_size_check_failed" => (Content, "TikTok does not take the picture's size."),
        "invalid_file_upload" => (Content, "TikTok cannot read the file."),
        "internal" | "internal_error" => (Transient, "TikTok is out of order for the moment."),
        "video_pull_failed" | "photo_pull_failed" => {
            (Transient, "TikTok could not fetch the media from us.")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_follow_the_rules() {
        for (size, each, count, last) in [
            (1, 1, 1, 1),
            (4_999_999, 4_999_999, 1, 4_999_999),
            (CHUNK, CHUNK, 1, CHUNK),
            (2 * CHUNK - 1, 2 * CHUNK - 1, 1, 2 * CHUNK - 1),
            (2 * CHUNK, CHUNK, 2, CHUNK),
            (2 * CHUNK + 1, CHUNK, 2, CHUNK + 1),
            (50_000_123, CHUNK, 9, 50_000_123 - 8 * CHUNK),
            (4_000_000_000, CHUNK, 762, 4_000_000_000 - 761 * CHUNK),
        ] {
            assert_eq!(chunks(size), (each, count), "{size}");
            assert_eq!(count, size / each, "{size}");
            assert_eq!(chunk(size, count - 1).1, last, "{size}");
            assert!(count <= 1_000 && last < 2 * CHUNK && last <= 64_000_000, "{size}");
            let all: u64 = (0..count).map(|i| chunk(size, i).1).sum();
            assert_eq!(all, size);
        }
    }

    #[test]
    fn numbers_larger_than_a_float_stay_whole() {
        let read = |body: &str| number(&serde_json::from_str(body).unwrap());
        let with = |id: &str| {
            read(&format!(
                r#"{{"status":"PUBLISH_COMPLETE","publicaly_available_post_id":[{id}]}}"#
            ))
        };
        assert_eq!(with("7412345678901234567").as_deref(), Some("7412345678901234567"));
        assert_eq!(with("\"7412345678901234567\"").as_deref(), Some("7412345678901234567"));
        for none in ["", "7.412345678901234e18", "\"../x\"", "null", "-5"] {
            assert_eq!(with(none), None, "{none}");
        }
    }

    #[test]
    fn the_audience_is_one_that_the_account_has() {
        let creator = |options: &[&str]| -> Creator {
            serde_json::from_value(json!({ "privacy_level_options": options })).unwrap()
        };
        let out = |audience: &str| Rendition {
            extra: [("audience".to_owned(), audience.to_owned())].into(),
            ..Rendition::default()
        };
        let open = creator(&["SELF_ONLY", "PUBLIC_TO_EVERYONE"]);
        let closed = creator(&["SELF_ONLY", "FOLLOWER_OF_CREATOR"]);
        assert_eq!(audience(&out(""), &open).unwrap(), "PUBLIC_TO_EVERYONE");
        assert_eq!(audience(&out(""), &closed).unwrap(), "FOLLOWER_OF_CREATOR");
        assert_eq!(audience(&out("SELF_ONLY"), &open).unwrap(), "SELF_ONLY");
        let error = audience(&out("PUBLIC_TO_EVERYONE"), &closed).unwrap_err();
        assert_eq!(error.class, Class::Content);
        assert_eq!(audience(&out(""), &creator(&[])).unwrap_err().class, Class::Config);
    }

    #[test]
    fn a_failure_is_final_or_begun_anew() {
        assert!(failure("photo_pull_failed").restart && failure("internal").restart);
        for ended in ["file_format_check_failed", "spam_risk", "auth_removed", "", "something_new"]
        {
            let error = failure(ended);
            assert!(!error.restart && error.sentence.ends_with('.'), "{error:?}");
        }
    }
}
