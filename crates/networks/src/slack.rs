//! Slack through an app of the workspace: Web API; checked 2026-11-22.
//!
//! Keys: api.slack.com/apps, an app with the bot scopes of `SPEC`; installed by consent, or by hand
//! with its Bot User OAuth Token (`xoxb-…`). Tokens end only where the app rotates them: then after
//! 12 hours, and each refresh token works once. The app has to be invited to the channel.
//!
//! Pictures are uploaded without a channel, which shows them to nobody, and stand as blocks in the
//! one `chat.postMessage`: `files.completeUploadExternal` with a channel would post them as well, but
//! it names no message and takes no marker.
//!
//! Every message carries a marker in its metadata, by which `conversations.history` and `.replies`
//! find it again. `client_msg_id` goes with it: it stands in the list of errors and not in the table
//! of arguments, so nothing is built on it, and a repeat is at most refused. Apps that are sold outside
//! Slack's marketplace may read one page of 15 messages a minute: a look-up then ends as rate limit,
//! which proves nothing and is tried later.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::{Reply, Request};
use crate::oauth::{Life, OAuth, SecretIn, Target};
use crate::slack_message::{NO_MEDIA, TEXT, escaped, refusal, word};
use crate::spec::{
    Abilities, Budget, Edit, Field, MediaRule, Metric, Placement, SendClass, Spec, Text,
};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Numbers, Prepared, Published, Remote,
    Rendition, Window, numbers,
};

pub struct Slack;

pub static SPEC: Spec = Spec {
    id: "slack",
    name: "Slack",
    code: "SL",
    base_url: "https://slack.com",
    fields: &[
        Field {
            key: "accessToken",
            label: "Bot token",
            help: "Your app, OAuth & Permissions, Bot User OAuth Token: xoxb-….",
            secret: true,
            required: true,
        },
        Field {
            key: "refreshToken",
            label: "Refresh token",
            help: "Only for apps with token rotation: xoxe-….",
            secret: true,
            required: false,
        },
        Field {
            key: "channel",
            label: "Channel ID",
            help: "The last line of the channel's details: C… or G….",
            secret: false,
            required: true,
        },
    ],
    placements: &[
        Placement {
            id: "message",
            name: "Message",
            send: SendClass::Readable { lag: LAG },
            follows: &[],
            in_budget: true,
            edit: Edit::Text,
            measures: &[Metric::Likes, Metric::Comments],
            // With pictures the text stands in a block.
            text: Text { max_with_media: Some(SECTION), required: false, ..TEXT },
            media: MediaRule {
                max: 10,
                types: &["image/jpeg", "image/png", "image/gif"],
                max_bytes: 20 << 20,
                alt_max: 1_000,
                ..NO_MEDIA
            },
            options: &[],
        },
        Placement {
            id: "reply",
            name: "Thread",
            send: SendClass::Readable { lag: LAG },
            follows: &["message", "reply"],
            in_budget: true,
            edit: Edit::Text,
            measures: &[Metric::Likes],
            text: TEXT,
            media: NO_MEDIA,
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(OAuth {
        authorize: "https://slack.com/oauth/v2/authorize",
        token: "https://slack.com/api/oauth.v2.access",
        scopes: SCOPES,
        reading: &[],
        separator: ',',
        pkce: false,
        id_param: "client_id",
        secret_in: SecretIn::Basic,
        params: &[],
        guide: &[
            "Open api.slack.com/apps and create an app from scratch in your workspace.",
            "Under OAuth & Permissions add the redirect address that is shown here.",
            "Add the bot token scopes chat:write, channels:read, groups:read, channels:history, \
             groups:history, files:write and files:read.",
            "Copy Client ID and Client Secret from Basic Information.",
            "After connecting, invite the app to the channel: /invite @ and its name.",
        ],
    }),
    life: Life::Rotating,
    budgets: &[Budget { posts: 1, per: Duration::from_secs(1), of: &[] }],
};

const SCOPES: &[&str] = &[
    "chat:write",
    "channels:read",
    "groups:read",
    "channels:history",
    "groups:history",
    "files:write",
    "files:read",
];
/// Nothing is promised of how soon a channel's history shows a message.
const LAG: Duration = Duration::from_secs(60);
/// Most characters of a section block, as they are sent.
const SECTION: usize = 3_000;
/// Most pages that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 10;
const EVENT: &str = "carillon_delivery";

#[derive(Deserialize)]
struct Who {
    url: String,
    team: String,
    user_id: String,
}

#[derive(Deserialize)]
struct Info {
    channel: Channel,
}

#[derive(Deserialize)]
struct Channel {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    is_member: bool,
    #[serde(default)]
    is_archived: bool,
    #[serde(default)]
    is_private: bool,
}

#[derive(Deserialize)]
struct Channels {
    channels: Vec<Channel>,
    #[serde(default)]
    response_metadata: Cursor,
}

#[derive(Deserialize, Default)]
struct Cursor {
    #[serde(default)]
    next_cursor: String,
}

#[derive(Deserialize)]
struct Upload {
    upload_url: String,
    file_id: String,
}

#[derive(Deserialize)]
struct FileInfo {
    file: File,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    mimetype: String,
}

#[derive(Deserialize)]
struct Posted {
    channel: String,
    ts: String,
}

#[derive(Deserialize)]
struct History {
    messages: Vec<Message>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    response_metadata: Cursor,
}

#[derive(Deserialize)]
struct Message {
    ts: String,
    #[serde(default)]
    thread_ts: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    metadata: Value,
}

#[async_trait]
impl Network for Slack {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let wanted = channel_id(cx)?;
        let reply = self.reply(cx, cx.http.get(&method(cx, "auth.test"))).await;
        let reply = reply.map_err(Error::harmless)?;
        let who: Who = reply.json().map_err(Error::harmless)?;
        let request = cx.http.get(&method(cx, "conversations.info"));
        let Info { channel } = self.read(cx, request.query(&[("channel", wanted)])).await?;
        if channel.is_archived {
            return Err(Error::new(Class::Config, "The Slack channel is archived.")
                .code("is_archived")
                .action(Action::ActAtNetwork));
        }
        if !channel.is_member {
            let why = "The app is not in the Slack channel: invite it there.";
            return Err(Error::new(Class::Config, why)
                .code("not_in_channel")
                .action(Action::ActAtNetwork));
        }
        if let Some(lacking) = reply.header("x-oauth-scopes").and_then(|s| lacking(s, &channel)) {
            let why = format!("The Slack app lacks a right: {lacking}.");
            return Err(Error::new(Class::Auth, why).code("missing_scope"));
        }
        let name = channel.name.map_or_else(|| channel.id.clone(), |name| format!("#{name}"));
        Ok(Identity {
            remote_id: channel.id,
            name: format!("{name} ({})", who.team),
            settings: BTreeMap::from([
                ("workspaceUrl".to_owned(), who.url),
                ("userId".to_owned(), who.user_id),
            ]),
        })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        for (i, media) in out.media.iter().enumerate() {
            if cx.saved(&file_name(i)).is_none() {
                let id = self.upload(cx, media).await?;
                cx.checkpoint(&file_name(i), id).await?;
            }
        }
        for (i, media) in out.media.iter().enumerate() {
            if cx.saved(&complete_name(i)).is_none() {
                let files = json!([{ "id": file_id(cx, i)?, "title": media.file_name }]);
                let request = cx.http.post(&method(cx, "files.completeUploadExternal"));
                let _: Value = self.read(cx, request.json(&json!({ "files": files }))).await?;
                cx.checkpoint(&complete_name(i), true).await?;
            }
        }
        for i in 0..out.media.len() {
            let request = cx.http.get(&method(cx, "files.info"));
            let request = request.query(&[("file", file_id(cx, i)?)]);
            let info: FileInfo = self.read(cx, request).await?;
            // A block refuses a picture that Slack has not looked at yet.
            if info.file.mimetype.is_empty() {
                return Ok(Prepared::Processing { again_in: Duration::from_secs(2) });
            }
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let channel = channel_id(cx)?;
        let marker = marker(&out.key);
        let mut body = json!({
            "channel": channel,
            "text": escaped(&out.text),
            "metadata": { "event_type": EVENT, "event_payload": { "delivery": marker } },
            "client_msg_id": uuid(&marker),
        });
        if !out.media.is_empty() {
            body["blocks"] = blocks(cx, out)?;
        }
        if let Some(root) = root(channel, out)? {
            body["thread_ts"] = root.into();
        }
        let request = cx.http.post(&method(cx, "chat.postMessage"));
        let request = request.header("content-type", "application/json; charset=utf-8");
        let posted: Posted = self.reply(cx, request.body(body.to_string())).await?.json()?;
        if !is_id(&posted.channel) || !is_ts(&posted.ts) {
            return Err(Error::garbled("a message without an id"));
        }
        Ok(Published::Accepted(remote(cx, &posted.channel, &posted.ts)))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let channel = channel_id(cx)?;
        let root = root(channel, out)?;
        let me = match cx.account.setting("userId") {
            Ok(id) => id.to_owned(),
            Err(_) => {
                let who: Who = self.read(cx, cx.http.get(&method(cx, "auth.test"))).await?;
                who.user_id
            }
        };
        let marker = Value::from(marker(&out.key));
        // A thread's replies stand in no history but their own.
        let name = if root.is_some() { "conversations.replies" } else { "conversations.history" };
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let (oldest, latest) = (seconds(window.since), seconds(window.until));
            let mut request = cx.http.get(&method(cx, name)).query(&[
                ("channel", channel),
                ("oldest", &oldest),
                ("latest", &latest),
                ("inclusive", "true"),
                ("include_all_metadata", "true"),
                ("limit", "200"),
            ]);
            if let Some(root) = root {
                request = request.query(&[("ts", root)]);
            }
            if !cursor.is_empty() {
                request = request.query(&[("cursor", &cursor)]);
            }
            let page: History = self.read(cx, request).await?;
            let ours = page.messages.iter().filter(|m| {
                let thread = m.thread_ts.as_deref().filter(|thread| *thread != m.ts);
                m.metadata["event_type"] == EVENT
                    && m.metadata["event_payload"]["delivery"] == marker
                    && m.user.as_deref().is_none_or(|user| user == me)
                    && thread == root
                    && is_ts(&m.ts)
            });
            found.extend(ours.map(|m| remote(cx, channel, &m.ts)));
            cursor = page.response_metadata.next_cursor;
            if !page.has_more || cursor.is_empty() {
                return Ok(found);
            }
        }
        let why = "The Slack channel has had too many messages since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    /// Slack keeps the marker in a message's metadata when an update names none.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let (channel, ts) = ids(remote_id)?;
        let mut body = json!({ "channel": channel, "ts": ts, "text": escaped(&out.text) });
        if !out.media.is_empty() {
            body["blocks"] = blocks(cx, out)?;
        }
        let request = cx.http.post(&method(cx, "chat.update"));
        let request = request.header("content-type", "application/json; charset=utf-8");
        let _: Posted = self.reply(cx, request.body(body.to_string())).await?.json()?;
        Ok(Published::Accepted(remote(cx, channel, ts)))
    }

    /// A message that nobody has reacted to or answered says nothing of either.
    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        let (channel, ts) = ids(remote_id)?;
        // The head of its thread comes first, whatever is asked for.
        let request = cx.http.get(&method(cx, "conversations.replies")).query(&[
            ("channel", channel),
            ("ts", ts),
            ("oldest", ts),
            ("latest", ts),
            ("inclusive", "true"),
            ("limit", "2"),
        ]);
        let page: Value = match self.read(cx, request).await {
            Err(error) if error.code.as_deref() == Some("thread_not_found") => {
                return Err(numbers::gone(SPEC.name));
            }
            page => page?,
        };
        let all = page["messages"].as_array();
        let all = all.ok_or_else(|| Error::garbled("no list of messages").harmless())?;
        let message = all.iter().find(|message| message["ts"] == ts);
        let message = message.ok_or_else(|| numbers::gone(SPEC.name))?;
        let replies = numbers::number(&message["reply_count"]).map(|n| (Metric::Comments, n));
        Ok(numbers::sum(numbers::reactions(message).into_iter().chain(replies)))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let (channel, ts) = ids(remote_id)?;
        let request = cx.http.post(&method(cx, "chat.delete"));
        let request = request.form(&[("channel", channel), ("ts", ts)]);
        match self.reply(cx, request).await {
            Err(e) if e.code.as_deref() == Some("message_not_found") => Ok(()),
            other => other.map(drop),
        }
    }

    /// The channels that the app sees; it posts and reads only where it was invited.
    async fn targets(&self, cx: &Context<'_>) -> Result<Vec<Target>, Error> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let request = cx.http.get(&method(cx, "conversations.list")).query(&[
                ("types", "public_channel,private_channel"),
                ("exclude_archived", "true"),
                ("limit", "200"),
                ("cursor", &cursor),
            ]);
            let page: Channels = self.read(cx, request).await?;
            found.extend(page.channels.into_iter().map(target));
            cursor = page.response_metadata.next_cursor;
            if cursor.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    async fn revoke(&self, cx: &Context<'_>) -> Result<(), Error> {
        let _: Value = self.read(cx, cx.http.post(&method(cx, "auth.revoke"))).await?;
        Ok(())
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        refusal(reply, body["error"].as_str().and_then(word))
    }
}

impl Slack {
    /// The answer, where it says that it is one: a status alone says nothing here.
    async fn reply(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let token = cx.account.secret("accessToken")?;
        let reply = cx.http.send(request.bearer_auth(token.reveal()), cx.timeout).await?;
        let good = reply.ok() && reply.value()["ok"] == Value::Bool(true);
        if good { Ok(reply) } else { Err(self.parse_error(&reply)) }
    }

    /// A call that shows nothing to anybody, whatever becomes of it.
    async fn read<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        request: Request,
    ) -> Result<T, Error> {
        let reply = self.reply(cx, request).await;
        reply.and_then(|reply| reply.json()).map_err(Error::harmless)
    }

    /// Hands over a picture; until it is completed it is a ticket that ends by itself.
    async fn upload(&self, cx: &Context<'_>, media: &Media) -> Result<String, Error> {
        let request = cx.http.post(&method(cx, "files.getUploadURLExternal"));
        let length = media.data.len().to_string();
        let mut form = vec![("filename", media.file_name.as_str()), ("length", &length)];
        if !media.alt.is_empty() {
            form.push(("alt_txt", &media.alt));
        }
        let upload: Upload = self.read(cx, request.form(&form)).await?;
        if !is_id(&upload.file_id) {
            return Err(Error::garbled("a file without an id").harmless());
        }
        // The address carries its own right: the token stays here.
        let request = cx.http.post(&upload.upload_url);
        let request = request.header("content-type", "application/octet-stream");
        let reply = cx.http.send(request.body(media.data.clone()), cx.timeout).await;
        let reply = reply.map_err(Error::harmless)?;
        if reply.ok() { Ok(upload.file_id) } else { Err(self.parse_error(&reply).harmless()) }
    }
}

fn method(cx: &Context<'_>, name: &str) -> String {
    format!("{}/api/{name}", cx.base)
}

fn file_name(i: usize) -> String {
    format!("file:{i}")
}

fn complete_name(i: usize) -> String {
    format!("file:{i}:complete")
}

fn file_id(cx: &Context<'_>, i: usize) -> Result<String, Error> {
    cx.saved_str(&file_name(i)).ok_or_else(|| {
        Error::new(Class::Transient, "The post for Slack is not prepared.").restart()
    })
}

fn channel_id<'a>(cx: &'a Context<'_>) -> Result<&'a str, Error> {
    let id = cx.account.setting("channel")?;
    if is_id(id) {
        return Ok(id);
    }
    let why = "The channel ID is not one of Slack's: it is C or G with letters and digits.";
    Err(Error::new(Class::Config, why).code("channel"))
}

/// `C012AB3CD`, `F047…`: nothing that would change an address or another argument.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// `1503435956.000247`: the time of a message, and its id in its channel.
fn is_ts(ts: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    ts.split_once('.').is_some_and(|(s, us)| digits(s) && digits(us))
}

/// Channel and time of a remote id.
fn ids(remote_id: &str) -> Result<(&str, &str), Error> {
    match remote_id.split_once('/') {
        Some((channel, ts)) if is_id(channel) && is_ts(ts) => Ok((channel, ts)),
        _ => Err(Error::new(Class::Content, "This is not the id of a Slack message.")),
    }
}

/// The head of the thread, which every reply names. It has to be in this channel.
fn root<'a>(channel: &str, out: &'a Rendition) -> Result<Option<&'a str>, Error> {
    let Some(to) = &out.reply_to else { return Ok(None) };
    let (there, ts) = ids(&to.root.id)?;
    if there != channel {
        let why = "It follows a message in another Slack channel than this connection's.";
        return Err(Error::new(Class::Content, why).code("other_channel"));
    }
    Ok(Some(ts))
}

/// The channel is part of the id: a connection may be pointed at another one later.
fn remote(cx: &Context<'_>, channel: &str, ts: &str) -> Remote {
    let place = format!("archives/{channel}/p{}", ts.replace('.', ""));
    let workspace = cx.account.setting("workspaceUrl").ok();
    let url = workspace.map(|url| format!("{}/{place}", url.trim_end_matches('/')));
    Remote { id: format!("{channel}/{ts}"), url }
}

/// Text in sections, then the pictures that were uploaded.
fn blocks(cx: &Context<'_>, out: &Rendition) -> Result<Value, Error> {
    let section =
        |text: &str| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    let mut blocks: Vec<Value> = sections(&out.text).iter().map(|text| section(text)).collect();
    for (i, media) in out.media.iter().enumerate() {
        // A block without a description is refused.
        let alt = if media.alt.trim().is_empty() { &media.file_name } else { &media.alt };
        let file = json!({ "id": file_id(cx, i)? });
        blocks.push(json!({ "type": "image", "slack_file": file, "alt_text": alt }));
    }
    Ok(blocks.into())
}

/// The text, escaped, in as few pieces as a block takes: many `&` make one text too long for one.
fn sections(text: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    let mut length = 0;
    for c in text.chars() {
        let c = escaped(c.encode_utf8(&mut [0; 4]));
        let more = c.chars().count();
        if length + more > SECTION {
            sections.push(String::new());
            length = 0;
        }
        length += more;
        if let Some(last) = sections.last_mut() {
            last.push_str(&c);
        }
    }
    sections.retain(|section| !section.trim().is_empty());
    sections
}

/// The first scope that publishing needs and the token has not.
fn lacking(scopes: &str, channel: &Channel) -> Option<&'static str> {
    let has = |scope: &str| scopes.split(',').any(|s| s.trim() == scope);
    let history = if channel.is_private { "groups:history" } else { "channels:history" };
    ["chat:write", history, "files:write", "files:read"].into_iter().find(|scope| !has(scope))
}

fn target(channel: Channel) -> Target {
    let problem = "The app is not in this channel: invite it at Slack, then look again.";
    Target {
        name: format!("#{}", channel.name.as_deref().unwrap_or(&channel.id)),
        problem: (!channel.is_member).then(|| problem.to_owned()),
        settings: BTreeMap::from([("channel".to_owned(), channel.id.clone())]),
        secrets: BTreeMap::new(),
        id: channel.id,
    }
}

/// The delivery's key, but not readable by those who read the channel's metadata.
fn marker(key: &str) -> String {
    let hash = Sha256::digest(format!("slack {key}"));
    hash.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// 32 hexadecimal digits in the form of a version 4 UUID.
fn uuid(hex: &str) -> String {
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// Seconds as Slack writes times.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}000", ms.max(0) / 1_000, ms.max(0) % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times_have_their_form() {
        assert_eq!(ids("C012AB3CD/1503435956.000247").unwrap(), ("C012AB3CD", "1503435956.000247"));
        for bad in ["", "C1", "C1/", "C1/5", "C1/5.", "c1/5.0", "C1/5.0/6", "#news/5.0"] {
            assert!(ids(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds(1_503_435_956_007), "1503435956.007000");
        assert_eq!(seconds(-5), "0.000000");
    }

    #[test]
    fn a_key_is_one_marker_and_one_uuid() {
        let (one, two) = (marker("a"), marker("b"));
        assert_eq!(one, marker("a"));
        assert_ne!(one, two);
        let uuid = uuid(&one);
        assert_eq!(uuid.len(), 36);
        assert_eq!((&uuid[14..15], &uuid[19..20]), ("4", "8"));
    }

    #[test]
    fn text_is_cut_only_where_escapes_make_it_too_long() {
        assert_eq!(sections("a < b"), ["a &lt; b"]);
        assert!(sections(" \n").is_empty());
        assert_eq!(sections(&"x".repeat(3_000)).len(), 1);
        let parts = sections(&"&".repeat(3_000));
        assert_eq!(parts.len(), 5);
        assert!(parts.iter().all(|p| p.chars().count() <= SECTION && p.ends_with("&amp;")));
    }

    #[test]
    fn rights_depend_on_the_kind_of_channel() {
        let channel = |is_private| Channel {
            id: "C1".into(),
            name: None,
            is_member: true,
            is_archived: false,
            is_private,
        };
        let public = "chat:write,channels:history,files:write, files:read";
        assert_eq!(lacking(public, &channel(false)), None);
        assert_eq!(lacking(public, &channel(true)), Some("groups:history"));
        assert_eq!(lacking("", &channel(false)), Some("chat:write"));
    }
}
