//! Matrix: any homeserver's client-server API, v1.10 or later; checked 2026-11-22.
//!
//! Keys: an account of its own, invited to the room and joined; its access token (Element: Settings,
//! Help & About). The room's id: Room settings, Advanced. Encrypted rooms are not posted to: what the
//! server is given to encrypt with would have to be kept here.
//!
//! Keyed by the transaction id of `PUT …/send`, which is the token's device's own. The specification
//! names no time for which a server knows one: Synapse keeps them for a day and over restarts,
//! Dendrite for half an hour in memory. So the same id is sent for twenty minutes; beyond that, and
//! before every repeat, the room's messages are read, where each of ours carries a marker.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::quote;
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::spec::{Abilities, Count, Derivative, Edit, Field, MediaRule, Placement, Text};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Prepared, Published, Remote,
    Rendition, SendClass, Spec, Window,
};

pub struct Matrix;

/// Shorter than the shortest time for which a known server remembers.
const HORIZON: Duration = Duration::from_secs(20 * 60);

/// An event has at most 65,536 bytes, its envelope and the server's own part included.
const TEXT: Text = Text {
    max: 30_000,
    count: Count::Chars,
    max_bytes: Some(60_000),
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: false,
};

/// One picture: an event has one, with the text as its caption.
const PICTURE: MediaRule = MediaRule {
    min: 0,
    max: 1,
    types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
    max_bytes: 10 << 20,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 0,
    video: None,
};

pub static SPEC: Spec = Spec {
    id: "matrix",
    name: "Matrix",
    code: "MX",
    base_url: "",
    fields: &[
        Field {
            key: "server",
            label: "Homeserver",
            help: "Its own address, for example https://matrix-client.matrix.org.",
            secret: false,
            required: true,
        },
        Field {
            key: "accessToken",
            label: "Access token",
            help: "Element: Settings, Help & About, Access Token. Signing out ends it.",
            secret: true,
            required: true,
        },
        Field {
            key: "room",
            label: "Room ID",
            help: "Element: Room settings, Advanced, Internal room ID: !….",
            secret: false,
            required: true,
        },
    ],
    placements: &[
        Placement {
            id: "message",
            name: "Message",
            send: SendClass::Keyed { horizon: Some(HORIZON) },
            follows: &[],
            in_budget: true,
            edit: Edit::Text,
            measures: &[],
            text: TEXT,
            media: PICTURE,
            options: &[],
        },
        Placement {
            id: "reply",
            name: "Thread",
            send: SendClass::Keyed { horizon: Some(HORIZON) },
            follows: &["message", "reply"],
            in_budget: true,
            edit: Edit::Text,
            measures: &[],
            text: Text { required: true, ..TEXT },
            media: MediaRule { max: 0, ..PICTURE },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: false },
    oauth: None,
    life: Life::Endless,
    budgets: &[],
};

/// Most pages of 100 events that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 10;
/// The key in a message's content that tells whose delivery it is.
const MARK: &str = "app.carillon.delivery";
const UPLOADED: &str = "picture";

#[derive(Deserialize)]
struct Who {
    user_id: String,
}

#[derive(Deserialize)]
struct Sent {
    event_id: String,
}

#[derive(Deserialize)]
struct Uploaded {
    content_uri: String,
}

#[derive(Deserialize)]
struct Page {
    chunk: Vec<Event>,
    #[serde(default)]
    end: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    event_id: String,
    #[serde(default)]
    sender: String,
    origin_server_ts: i64,
    #[serde(default)]
    content: Value,
}

#[async_trait]
impl Network for Matrix {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let (room, me) = (room(cx)?, self.me(cx).await?);
        let member = self.state(cx, &["m.room.member", &me]).await;
        let joined = match member {
            Ok(member) => member.is_some_and(|m| m["membership"] == "join"),
            Err(e) if e.code.as_deref() == Some("M_FORBIDDEN") => false,
            Err(e) => return Err(e),
        };
        if !joined {
            let why = "The account is not in the Matrix room: invite it and let it join.";
            return Err(Error::new(Class::Config, why)
                .code("not_joined")
                .action(Action::ActAtNetwork));
        }
        if self.state(cx, &["m.room.encryption", ""]).await?.is_some() {
            let why = "The Matrix room is encrypted, and Carillon posts to open rooms only.";
            return Err(Error::new(Class::Config, why).code("encrypted"));
        }
        let levels = self.state(cx, &["m.room.power_levels", ""]).await?;
        // In the newest rooms, whose ids name no server, a creator stands above all levels.
        if room.contains(':') && !levels.is_none_or(|levels| may_send(&levels, &me)) {
            let why = "The account may not post in the Matrix room: raise its power level.";
            return Err(Error::new(Class::Auth, why).code("rights").action(Action::ActAtNetwork));
        }
        let name = self.state(cx, &["m.room.name", ""]).await?;
        let name = name.and_then(|name| name["name"].as_str().map(str::to_owned));
        Ok(Identity {
            remote_id: room.to_owned(),
            name: name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| room.to_owned()),
            settings: BTreeMap::from([("userId".to_owned(), me)]),
        })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if let Some(media) = out.media.first().filter(|_| cx.saved(UPLOADED).is_none()) {
            let uri = self.upload(cx, media).await?;
            cx.checkpoint(UPLOADED, uri).await?;
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let room = room(cx)?;
        let content = content(cx, room, out)?;
        let path = ["rooms", room, "send", "m.room.message", &marker(&out.key)];
        let request = cx.http.request(reqwest::Method::PUT, &address(cx, &path)?);
        let sent: Sent = self.call(cx, request.json(&content)).await?.json()?;
        if !sent.event_id.starts_with('$') {
            return Err(Error::garbled("an event without an id"));
        }
        Ok(Published::Accepted(remote(cx, room, &sent.event_id)))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let room = room(cx)?;
        let me = self.who(cx).await?;
        let root = out.reply_to.as_ref().map(|to| ids(&to.root.id)).transpose()?;
        let root = Value::from(root.map(|(_, event)| event));
        let marker = Value::from(marker(&out.key));
        let filter = json!({ "types": ["m.room.message"], "senders": [me] }).to_string();
        let url = address(cx, &["rooms", room, "messages"])?;
        let (mut found, mut from) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut request = cx.http.get(&url);
            request = request.query(&[("dir", "b"), ("limit", "100"), ("filter", &filter)]);
            if let Some(from) = &from {
                request = request.query(&[("from", from)]);
            }
            let page: Page = self.call(cx, request).await?.json()?;
            let enough = page.chunk.last().is_some_and(|e| e.origin_server_ts < window.since);
            let ours = page.chunk.iter().filter(|e| {
                (window.since..=window.until).contains(&e.origin_server_ts)
                    && e.sender == me
                    && e.content[MARK] == marker
                    && e.content["m.relates_to"]["event_id"] == root
            });
            found.extend(ours.map(|e| remote(cx, room, &e.event_id)));
            // An empty page with a token is not the end.
            from = page.end.filter(|_| !enough);
            if from.is_none() {
                return Ok(found);
            }
        }
        let why = "The Matrix room has had too many messages since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    /// A replacement of its own, which clients show in the message's place. It carries no marker,
    /// and is not taken for a message.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let (room, event) = ids(remote_id)?;
        let there: Event = match self.get(cx, &["rooms", room, "event", event]).await {
            Err(e) if e.code.as_deref() == Some("M_NOT_FOUND") => return Err(not_there(e)),
            other => other?,
        };
        if there.content["body"].is_null() {
            return Err(not_there(Error::new(Class::Content, "").code("redacted")));
        }
        // The server takes a replacement of another's message, and no client shows it.
        if there.sender != self.who(cx).await? {
            return Err(Error::new(Class::Content, "This Matrix message is another account's."));
        }
        let new = replaced(there.content, &out.text);
        let mut content = new.clone();
        content["body"] = json!(format!("* {}", out.text));
        content["m.new_content"] = new;
        content["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": event });
        // Never the same one again: what is changed back has to be sent too.
        let key = marker(&format!("edit {remote_id} {} {}", cx.now, out.text));
        let path = ["rooms", room, "send", "m.room.message", &key];
        let request = cx.http.put(&address(cx, &path)?).json(&content);
        let _: Sent = self.call(cx, request).await?.json()?;
        Ok(Published::Accepted(remote(cx, room, event)))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let (room, event) = ids(remote_id)?;
        let path = ["rooms", room, "redact", event, &marker(&format!("redact {remote_id}"))];
        let request = cx.http.request(reqwest::Method::PUT, &address(cx, &path)?);
        match self.call(cx, request.json(&json!({}))).await {
            Err(e) if e.code.as_deref() == Some("M_NOT_FOUND") => Ok(()),
            other => other.map(drop),
        }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let code = body["errcode"].as_str().unwrap_or_default();
        let said = quote(body["error"].as_str().unwrap_or_default());
        let status = reply.status.as_u16();
        let error = reply.error(SPEC.name);
        let error = if code.is_empty() { error } else { error.code(quote(code)) };
        match (code, status) {
            (_, 408 | 500..) => error,
            ("M_LIMIT_EXCEEDED", _) | (_, 429) => {
                let asked = body["retry_after_ms"].as_u64();
                let asked = asked.map(|ms| Duration::from_millis(ms.min(86_400_000)));
                let wait = error.retry_after.or(asked);
                error.becomes(Class::RateLimit, "Matrix asks for fewer calls.").retry_after(wait)
            }
            ("M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_UNAUTHORIZED", _) => {
                error.becomes(Class::Auth, "The Matrix server refuses the access token.")
            }
            ("M_USER_DEACTIVATED" | "M_USER_LOCKED" | "M_USER_SUSPENDED", _) => error
                .becomes(Class::Auth, "The Matrix server has closed or locked the account.")
                .action(Action::ActAtNetwork),
            ("M_CONSENT_NOT_GIVEN", _) => error
                .becomes(Class::Auth, "The Matrix server wants its terms to be accepted first.")
                .action(Action::ActAtNetwork),
            ("M_FORBIDDEN" | "M_GUEST_ACCESS_FORBIDDEN" | "M_EXCLUSIVE", _) => error
                .becomes(Class::Auth, "Matrix does not let the account do this in the room.")
                .action(Action::ActAtNetwork),
            ("M_RESOURCE_LIMIT_EXCEEDED" | "M_USER_LIMIT_EXCEEDED", _) => error
                .becomes(Class::Config, "The Matrix server has reached a limit of its own.")
                .action(Action::ActAtNetwork),
            ("M_TOO_LARGE", _) | (_, 413) => {
                error.becomes(Class::Content, "The post is too large for the Matrix server.")
            }
            ("M_NOT_FOUND", _) => {
                error.becomes(Class::Config, "The Matrix server does not know this room.")
            }
            ("M_UNRECOGNIZED", _) | ("", 404 | 405) => {
                error.becomes(Class::Config, "There is no Matrix server at this address.")
            }
            (_, 400..) if !code.is_empty() && !said.is_empty() => {
                error.becomes(Class::Content, format!("Matrix refuses the post: {said}."))
            }
            _ => error,
        }
    }
}

impl Matrix {
    async fn call(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let token = cx.account.secret("accessToken")?;
        let reply = cx.http.send(request.bearer_auth(token.reveal()), cx.timeout).await?;
        if reply.ok() { Ok(reply) } else { Err(self.parse_error(&reply)) }
    }

    async fn get<T: DeserializeOwned>(&self, cx: &Context<'_>, path: &[&str]) -> Result<T, Error> {
        let reply = self.call(cx, cx.http.get(&address(cx, path)?)).await;
        reply.and_then(|reply| reply.json()).map_err(Error::harmless)
    }

    /// Whose token it is.
    async fn me(&self, cx: &Context<'_>) -> Result<String, Error> {
        let Who { user_id } = self.get(cx, &["account", "whoami"]).await?;
        Ok(user_id)
    }

    /// The same, as the connection remembers it.
    async fn who(&self, cx: &Context<'_>) -> Result<String, Error> {
        match cx.account.setting("userId") {
            Ok(id) => Ok(id.to_owned()),
            Err(_) => self.me(cx).await,
        }
    }

    /// A state of the room, by type and key; `None` where it has none of this kind.
    async fn state(&self, cx: &Context<'_>, which: &[&str]) -> Result<Option<Value>, Error> {
        let path = [&["rooms", room(cx)?, "state"], which].concat();
        match self.get(cx, &path).await {
            Err(e) if e.code.as_deref() == Some("M_NOT_FOUND") => Ok(None),
            other => other.map(Some),
        }
    }

    /// Hands a picture to the server, where nobody is told of it.
    async fn upload(&self, cx: &Context<'_>, media: &Media) -> Result<String, Error> {
        let request = cx.http.post(&format!("{}/_matrix/media/v3/upload", cx.base));
        let request = request.query(&[("filename", &media.file_name)]);
        let request = request.header("content-type", &media.content_type);
        let reply = self.call(cx, request.body(media.data.clone())).await.map_err(|e| {
            match e.code.as_deref() {
                Some("M_FORBIDDEN") => {
                    e.becomes(Class::Content, "The Matrix server does not take this picture.")
                }
                _ => e.harmless(),
            }
        })?;
        let Uploaded { content_uri } = reply.json().map_err(Error::harmless)?;
        if content_uri.starts_with("mxc://") {
            Ok(content_uri)
        } else {
            Err(Error::garbled("a picture without an address").harmless())
        }
    }
}

/// Below the client-server API, each part as it is: a room's id may hold any letter.
fn address(cx: &Context<'_>, path: &[&str]) -> Result<String, Error> {
    let wrong = || Error::new(Class::Config, "The address of the Matrix server cannot be read.");
    let mut url = url::Url::parse(cx.base).map_err(|_| wrong())?;
    url.path_segments_mut()
        .map_err(|()| wrong())?
        .pop_if_empty()
        .extend(["_matrix", "client", "v3"])
        .extend(path);
    Ok(url.into())
}

fn room<'a>(cx: &'a Context<'_>) -> Result<&'a str, Error> {
    let id = cx.account.setting("room")?;
    if is_room(id) {
        return Ok(id);
    }
    let why = "The room is named by its Matrix id, which begins with an exclamation mark.";
    Err(Error::new(Class::Config, why).code("room"))
}

fn is_room(id: &str) -> bool {
    id.len() > 1 && id.len() <= 255 && id.starts_with('!') && !id.contains(char::is_whitespace)
}

/// Room and event of a remote id.
fn ids(remote_id: &str) -> Result<(&str, &str), Error> {
    let at = remote_id.find("/$");
    let parts = at.map(|at| (&remote_id[..at], &remote_id[at + 1..]));
    let whole = |event: &str| event.len() <= 255 && !event.contains(char::is_whitespace);
    match parts.filter(|(room, event)| is_room(room) && event.len() > 1 && whole(event)) {
        Some(parts) => Ok(parts),
        None => Err(Error::new(Class::Content, "This is not the id of a Matrix message.")),
    }
}

fn not_there(error: Error) -> Error {
    error.becomes(Class::Content, "Matrix does not have this message any more.")
}

/// A message's content with another text, its picture as it is.
fn replaced(mut content: Value, text: &str) -> Value {
    if let Some(content) = content.as_object_mut() {
        [MARK, "m.relates_to", "m.new_content"].iter().for_each(|key| drop(content.remove(*key)));
        if content.get("msgtype").is_some_and(|kind| kind == "m.image") {
            let name = content.get("filename").or(content.get("body")).cloned();
            content.insert("filename".to_owned(), name.unwrap_or_default());
        }
    }
    content["body"] = match text.is_empty() {
        true => content["filename"].clone(),
        false => json!(text),
    };
    content
}

/// The room is part of the id: a connection may be pointed at another one later.
fn remote(cx: &Context<'_>, room: &str, event: &str) -> Remote {
    let escaped =
        |id: &str| -> String { url::form_urlencoded::byte_serialize(id.as_bytes()).collect() };
    let mut url = format!("https://matrix.to/#/{}/{}", escaped(room), escaped(event));
    let me = cx.account.setting("userId").unwrap_or_default();
    if let Some((_, server)) = me.split_once(':') {
        url.push_str(&format!("?via={}", escaped(server)));
    }
    Remote { id: format!("{room}/{event}"), url: Some(url) }
}

/// The event: a text, or a picture with the text as its caption. `m.mentions` empty: nobody is
/// pinged by what stands in a text.
fn content(cx: &Context<'_>, room: &str, out: &Rendition) -> Result<Value, Error> {
    let mut content = match out.media.first() {
        None => json!({ "msgtype": "m.text", "body": out.text }),
        Some(media) => {
            let Some(uri) = cx.saved_str(UPLOADED) else {
                let why = "The post for Matrix is not prepared.";
                return Err(Error::new(Class::Transient, why).restart());
            };
            let caption = if out.text.trim().is_empty() { &media.file_name } else { &out.text };
            json!({
                "msgtype": "m.image",
                "body": caption,
                "filename": media.file_name,
                "url": uri,
                "info": {
                    "mimetype": media.content_type,
                    "size": media.size(),
                    "w": media.width,
                    "h": media.height,
                },
            })
        }
    };
    content["m.mentions"] = json!({});
    content[MARK] = marker(&out.key).into();
    if let Some(to) = &out.reply_to {
        let ((there, root), (_, parent)) = (ids(&to.root.id)?, ids(&to.parent.id)?);
        if there != room {
            let why = "It follows a message in another Matrix room than this connection's.";
            return Err(Error::new(Class::Content, why).code("other_room"));
        }
        content["m.relates_to"] = json!({
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": true,
            "m.in_reply_to": { "event_id": parent },
        });
    }
    Ok(content)
}

/// Is the account's power level high enough for a message?
fn may_send(levels: &Value, me: &str) -> bool {
    // Old rooms have some of them as text.
    let level = |value: &Value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    let own = level(&levels["users"][me]).or_else(|| level(&levels["users_default"]));
    let needed = level(&levels["events"]["m.room.message"]);
    let needed = needed.or_else(|| level(&levels["events_default"]));
    own.unwrap_or(0) >= needed.unwrap_or(0)
}

/// The delivery's key, but not readable by those in the room: transaction id and marker.
fn marker(key: &str) -> String {
    let hash = Sha256::digest(format!("matrix {key}"));
    hash.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_room_and_event() {
        let id = "!a/b:m.example/$ev-1_x";
        assert_eq!(ids(id).unwrap(), ("!a/b:m.example", "$ev-1_x"));
        assert!(ids("!v12room/$ev").is_ok());
        for bad in
            ["", "$ev", "!a:b", "!a:b/", "!a:b/$", "!a:b/ev", "#a:b/$ev", "!a b/$ev", "!a/$e v"]
        {
            assert!(ids(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn power_levels_fall_back_as_specified() {
        for (levels, may) in [
            (json!({}), true),
            (json!({ "events_default": 50 }), false),
            (json!({ "events_default": "50", "users_default": "50" }), true),
            (json!({ "events_default": 50, "users": { "@a:b": 50 } }), true),
            (json!({ "events_default": 0, "events": { "m.room.message": 1 } }), false),
            (json!({ "events_default": 100, "events": { "m.room.message": 0 } }), true),
            (json!({ "users": { "@a:b": -1 } }), false),
        ] {
            assert_eq!(may_send(&levels, "@a:b"), may, "{levels}");
        }
    }
}
