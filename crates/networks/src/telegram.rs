//! Telegram: Bot API 9.x; checked 2026-11-22.
//!
//! Keys: a bot made with @BotFather, added to the channel as administrator who may post.
//! Send class D: a bot can read nothing back, so after an unknown outcome a person decides. The
//! token stands in the path of every address, which therefore never enters a sentence; remote ids
//! are `{chat}/{message}`, an album's `{chat}/{first},{second},…`.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::Form;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{quote, saying};
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::poll::Poll;
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Placement, Text, VideoRule,
};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Published, Remote, Rendition,
    SendClass, Spec, poll,
};

pub struct Telegram;

pub static SPEC: Spec = Spec {
    id: "telegram",
    name: "Telegram",
    code: "TG",
    base_url: "https://api.telegram.org",
    fields: &[
        Field {
            key: "botToken",
            label: "Bot token",
            help: "What @BotFather answers to /newbot, or to /token later.",
            secret: true,
            required: true,
        },
        Field {
            key: "chatId",
            label: "Channel or group",
            help: "Its public name, for example @news, or its number, for example -1001234567890.",
            secret: false,
            required: true,
        },
    ],
    placements: &[Placement {
        id: "message",
        name: "Message",
        send: SendClass::Blind,
        follows: &[],
        in_budget: true,
        edit: Edit::Text,
        measures: &[],
        text: Text {
            max: 4_096,
            count: Count::Utf16,
            max_bytes: None,
            max_with_media: Some(1_024),
            // Longer than any answer to it.
            question_max: Some(300),
            max_hashtags: None,
            max_mentions: None,
            title_max: None,
            required: false,
        },
        media: MediaRule {
            min: 0,
            max: 10,
            types: &["image/jpeg", "image/png", "image/webp"],
            max_bytes: 10_000_000,
            ratio: Some((0.05, 20.0)),
            derivative: Derivative::Original,
            pull: false,
            alt_max: 0,
            video: Some(VideoRule {
                max: 10,
                types: &["video/mp4"],
                // What a bot may upload; it goes up in the very call that shows it.
                max_bytes: 50_000_000,
                seconds: (1, 10 * 3_600),
                ratio: None,
                side: None,
                mixed: true,
            }),
        },
        options: &[poll::answers(12, 100), poll::several()],
    }],
    abilities: Abilities { delete: true, read_back: false, alt_text: false },
    oauth: None,
    life: Life::Endless,
    budgets: &[
        Budget { posts: 1, per: Duration::from_secs(1), of: &[] },
        Budget { posts: 20, per: Duration::from_secs(60), of: &[] },
    ],
};

#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

#[derive(Deserialize)]
struct Bot {
    id: i64,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
    #[serde(rename = "type", default)]
    kind: String,
    title: Option<String>,
    username: Option<String>,
}

#[derive(Deserialize)]
struct Member {
    status: String,
    can_post_messages: Option<bool>,
    can_send_messages: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    message_id: i64,
    chat: Chat,
}

#[async_trait]
impl Network for Telegram {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let chat_id = cx.account.setting("chatId")?;
        let bot: Bot = self.call(cx, "getMe", |r| r).await?;
        let chat: Chat =
            self.call(cx, "getChat", |r| r.json(&json!({ "chat_id": chat_id }))).await?;
        let who = json!({ "chat_id": chat_id, "user_id": bot.id });
        let member: Member = self.call(cx, "getChatMember", |r| r.json(&who)).await?;
        if !may_post(&chat, &member) {
            let why = match chat.kind.as_str() {
                "channel" => "The bot is no administrator of the channel who may post messages.",
                _ => "The bot may not send messages to the group.",
            };
            return Err(Error::new(Class::Auth, why).code("rights").action(Action::ActAtNetwork));
        }
        let name = chat.username.map(|name| format!("@{name}")).or(chat.title);
        Ok(Identity {
            remote_id: chat.id.to_string(),
            name: name.unwrap_or_else(|| chat_id.to_owned()),
            settings: <_>::default(),
        })
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let chat_id = cx.account.setting("chatId")?;
        let poll = out.poll()?;
        let sent: Vec<Message> = match out.media.as_slice() {
            [] => {
                let (method, body) = match &poll {
                    // Nobody sees who voted: channels take no other polls.
                    Some(poll) => ("sendPoll", asked(chat_id, &out.text, poll)),
                    // No parse mode: the text goes out as it was written.
                    None => ("sendMessage", json!({ "chat_id": chat_id, "text": out.text })),
                };
                vec![self.call(cx, method, |r| r.json(&body)).await?]
            }
            [file] => {
                let mut form = Form::new().text("chat_id", chat_id.to_owned());
                if !out.text.is_empty() {
                    form = form.text("caption", out.text.clone());
                }
                for (key, value) in measures(file) {
                    form = form.text(key, value.to_string());
                }
                let form = form.part(kind(file), file.part()?);
                let method = if file.is_video() { "sendVideo" } else { "sendPhoto" };
                vec![self.call(cx, method, |r| r.multipart(form)).await?]
            }
            files => {
                let album = album(files, &out.text).to_string();
                let mut form = Form::new().text("chat_id", chat_id.to_owned()).text("media", album);
                for (i, file) in files.iter().enumerate() {
                    form = form.part(part_name(i), file.part()?);
                }
                self.call(cx, "sendMediaGroup", |r| r.multipart(form)).await?
            }
        };
        remote(cx.base, &sent).map(Published::Accepted)
    }

    /// The text of a message, or the caption of its file; an album's stands on its first.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let known = messages(remote_id).and_then(|(chat, ids)| Some((chat, *ids.first()?)));
        let (chat_id, id) = known.ok_or_else(no_message)?;
        let (method, field) = match out.media.as_slice() {
            [] => ("editMessageText", "text"),
            _ => ("editMessageCaption", "caption"),
        };
        let body = json!({ "chat_id": chat_id, "message_id": id, field: out.text });
        match self.call::<Message>(cx, method, |r| r.json(&body)).await {
            Err(e) if e.code.as_deref() != Some("not_modified") => Err(e),
            _ => Ok(Published::Accepted(Remote { id: remote_id.to_owned(), url: None })),
        }
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let (chat_id, ids) = messages(remote_id).ok_or_else(no_message)?;
        for id in ids {
            let body = json!({ "chat_id": chat_id, "message_id": id });
            match self.call::<bool>(cx, "deleteMessage", |r| r.json(&body)).await {
                Ok(_) => {}
                Err(e) if e.code.as_deref() == Some("message_not_found") => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let described = body["description"].as_str().unwrap_or_default();
        let said = without_token(&quote(described.split_once(": ").map_or(described, |(_, s)| s)));
        let has = |words: &[&str]| words.iter().any(|w| described.to_lowercase().contains(w));
        let parameters = &body["parameters"];
        let wait = parameters["retry_after"].as_u64().map(|s| Duration::from_secs(s.min(86_400)));
        let error = reply.error(SPEC.name);
        // The body's own code counts where there is one: a proxy may change the status.
        let status = body["error_code"].as_u64().unwrap_or(u64::from(reply.status.as_u16()));
        let auth = |error: Error, why: &str| error.becomes(Class::Auth, why);
        match status {
            // A token that is none makes an address that is none.
            401 | 404 => auth(error, "Telegram refuses the bot token.").code("token"),
            403 => auth(error, "The bot was removed from the chat or blocked.")
                .code("forbidden")
                .action(Action::ActAtNetwork),
            429 => {
                let wait = wait.or(error.retry_after);
                error.becomes(Class::RateLimit, "Telegram asks for fewer calls.").retry_after(wait)
            }
            413 => error.becomes(Class::Content, "The files are too large for Telegram."),
            400 => {
                if let Some(id) = parameters["migrate_to_chat_id"].as_i64() {
                    let why = format!("The group has become a supergroup with the number {id}.");
                    return error.becomes(Class::Config, why).code("migrated");
                }
                if has(&["message is not modified"]) {
                    let why = "The message says this already.";
                    return error.becomes(Class::Duplicate, why).code("not_modified");
                }
                if has(&[
                    "message to delete not found",
                    "message to edit not found",
                    "message_id_invalid",
                ]) {
                    return error
                        .becomes(Class::Content, "Telegram does not have this message.")
                        .code("message_not_found");
                }
                if has(&[
                    "chat not found",
                    "peer_id_invalid",
                    "chat_id is empty",
                    "channel_private",
                ]) {
                    let why = "Telegram knows no such channel or group, or the bot is not in it.";
                    return error.becomes(Class::Config, why).code("chat_not_found");
                }
                // Who may not see a channel's members is no administrator there.
                if has(&[
                    "rights",
                    "admin_required",
                    "forbidden",
                    "not a member",
                    "member list is inaccessible",
                    "participant_id_invalid",
                    "chat_restricted",
                    "user_banned",
                ]) {
                    return auth(error, "The bot lacks the right to do this in the chat.")
                        .code("rights")
                        .action(Action::ActAtNetwork);
                }
                error.becomes(Class::Content, saying("Telegram refuses the post", &said))
            }
            _ => error,
        }
    }
}

impl Telegram {
    /// One request, and the `result` of its answer.
    async fn call<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        method: &str,
        fill: impl FnOnce(Request) -> Request + Send,
    ) -> Result<T, Error> {
        let token = cx.account.secret("botToken")?;
        if !is_token(token.reveal()) {
            let why = "The bot token is not one that @BotFather gives: digits, a colon, letters.";
            return Err(Error::new(Class::Auth, why).code("token"));
        }
        let url = format!("{}/bot{}/{method}", cx.base, token.reveal());
        let reply = cx.http.send(fill(cx.http.post(&url)), cx.timeout).await?;
        if reply.ok() && reply.value()["ok"] != Value::Bool(false) {
            reply.json::<Answer<T>>().map(|answer| answer.result)
        } else {
            Err(self.parse_error(&reply))
        }
    }
}

/// Anything else would change the address that it is put into.
fn is_token(token: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    token.split_once(':').is_some_and(|(id, key)| {
        let digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        digits && !key.is_empty() && key.bytes().all(letters)
    })
}

/// A description quotes what was asked for; a gateway's may quote the path.
fn without_token(said: &str) -> String {
    let safe = |word: &&str| !word.split('/').any(|p| is_token(p.trim_start_matches("bot")));
    said.split(' ').filter(safe).collect::<Vec<_>>().join(" ")
}

/// Members of a group may send unless restricted; in a channel it takes an administrator's right.
fn may_post(chat: &Chat, member: &Member) -> bool {
    match (chat.kind.as_str(), member.status.as_str()) {
        (_, "creator") => true,
        ("channel", "administrator") => member.can_post_messages == Some(true),
        ("channel", _) => false,
        (_, "administrator" | "member") => true,
        (_, "restricted") => member.can_send_messages == Some(true),
        _ => false,
    }
}

/// Chat and messages of a remote id.
fn messages(remote_id: &str) -> Option<(&str, Vec<i64>)> {
    let (chat, ids) = remote_id.split_once('/')?;
    chat.parse::<i64>().ok()?;
    let ids: Result<Vec<i64>, _> = ids.split(',').map(str::parse).collect();
    Some((chat, ids.ok()?))
}

fn no_message() -> Error {
    Error::new(Class::Content, "This is not the id of a Telegram message.")
}

fn part_name(i: usize) -> String {
    format!("file{i}")
}

fn kind(file: &Media) -> &'static str {
    if file.is_video() { "video" } else { "photo" }
}

/// What Telegram is told of a video, so that it is shown in its shape from the beginning.
fn measures(file: &Media) -> Vec<(&'static str, Value)> {
    if !file.is_video() {
        return Vec::new();
    }
    let mut all = vec![("supports_streaming", json!(true))];
    if file.width > 0 && file.height > 0 {
        all.extend([("width", json!(file.width)), ("height", json!(file.height))]);
    }
    all.extend(file.duration.map(|length| ("duration", json!(length.as_secs()))));
    all
}

fn asked(chat_id: &str, question: &str, poll: &Poll<'_>) -> Value {
    json!({
        "chat_id": chat_id,
        "question": question,
        "options": poll.answers.iter().map(|text| json!({ "text": text })).collect::<Value>(),
        "allows_multiple_answers": poll.several,
    })
}

/// The pictures and videos of an album; the first carries the text.
fn album(files: &[Media], caption: &str) -> Value {
    let item = |(i, file): (usize, &Media)| {
        let mut item = json!({ "type": kind(file), "media": format!("attach://{}", part_name(i)) });
        if i == 0 && !caption.is_empty() {
            item["caption"] = caption.into();
        }
        for (key, value) in measures(file) {
            item[key] = value;
        }
        item
    };
    files.iter().enumerate().map(item).collect()
}

/// The post with its page: public chats by name, private channels by number, groups have none.
/// The local stand-in has pages of its own.
fn remote(base: &str, sent: &[Message]) -> Result<Remote, Error> {
    let Some(Message { message_id, chat }) = sent.first() else {
        return Err(Error::garbled("an album without messages"));
    };
    let ids: Vec<_> = sent.iter().map(|m| m.message_id.to_string()).collect();
    let id = format!("{}/{}", chat.id, ids.join(","));
    let number = chat.id.to_string();
    let url = match (base.strip_suffix("/telegram"), &chat.username) {
        (Some(origin), _) => Some(format!("{origin}/posts/telegram/{number}/{message_id}")),
        (None, Some(name)) => Some(format!("https://t.me/{name}/{message_id}")),
        (None, None) => {
            number.strip_prefix("-100").map(|n| format!("https://t.me/c/{n}/{message_id}"))
        }
    };
    Ok(Remote { id, url })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply;

    fn error(status: u16, described: &str, parameters: Value) -> Error {
        let body = json!({ "ok": false, "error_code": status, "description": described, "parameters": parameters });
        Telegram.parse_error(&reply(status, &[], &body.to_string()))
    }

    #[test]
    fn the_new_chat_comes_from_the_parameters() {
        let described = "Bad Request: group chat was upgraded to a supergroup chat";
        let e = error(400, described, json!({ "migrate_to_chat_id": -1_001_234 }));
        assert!(e.sentence.contains("-1001234"), "{e}");
    }

    #[test]
    fn no_sentence_holds_a_token() {
        let e = error(400, "Bad Request: no method /bot123:sEcret-1/sendX here", json!({}));
        assert_eq!(e.sentence, "Telegram refuses the post: no method here.");
        for bad in ["", "123", "123:", ":abc", "12a:abc", "123:a/b", "123:a?b", "1:a b"] {
            assert!(!is_token(bad), "{bad}");
        }
    }

    #[test]
    fn rights_to_post() {
        let may = |kind: &str, status: &str, post| {
            let chat = Chat { id: 1, kind: kind.into(), title: None, username: None };
            let send = post;
            let status = status.into();
            may_post(&chat, &Member { status, can_post_messages: post, can_send_messages: send })
        };
        assert!(may("channel", "creator", None));
        assert!(may("channel", "administrator", Some(true)));
        assert!(!may("channel", "administrator", Some(false)));
        assert!(!may("channel", "administrator", None));
        assert!(!may("channel", "member", Some(true)));
        assert!(may("supergroup", "member", None));
        assert!(!may("supergroup", "restricted", Some(false)));
        assert!(!may("supergroup", "left", None));
    }

    #[test]
    fn ids_and_pages_of_messages() {
        let said = |base: &str, id, username: Option<&str>, messages: &[i64]| {
            let chat = |_: &i64| Chat {
                id,
                kind: "channel".into(),
                title: None,
                username: username.map(str::to_owned),
            };
            let sent: Vec<_> =
                messages.iter().map(|m| Message { message_id: *m, chat: chat(m) }).collect();
            let Remote { id, url } = remote(base, &sent).unwrap();
            (id, url.unwrap_or_default())
        };
        let api = SPEC.base_url;
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let public = pair("-1009/7", "https://t.me/news/7");
        assert_eq!(said(api, -1_009, Some("news"), &[7]), public);
        let private = pair("-10042/7,8", "https://t.me/c/42/7");
        assert_eq!(said(api, -10_042, None, &[7, 8]), private);
        assert_eq!(said(api, -42, None, &[7]), pair("-42/7", ""));
        let local = pair("-1009/7", "http://127.0.0.1:9/posts/telegram/-1009/7");
        assert_eq!(said("http://127.0.0.1:9/telegram", -1_009, Some("news"), &[7]), local);
        assert_eq!(remote(api, &[]).unwrap_err().class, Class::Unknown);
        assert_eq!(messages("-10042/7,8"), Some(("-10042", vec![7, 8])));
        for bad in ["", "7", "-1/", "-1/7,", "-1/x", "../7", "/7"] {
            assert_eq!(messages(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_album_carries_its_text_once() {
        let file = |content_type: &str| Media {
            id: String::new(),
            content_type: content_type.to_owned(),
            width: 90,
            height: 60,
            alt: String::new(),
            file_name: "a".to_owned(),
            data: bytes::Bytes::new(),
            source: None,
            duration: Some(Duration::from_millis(2_500)),
            cover: None,
            url: String::new(),
        };
        let album = album(&[file("image/jpeg"), file("video/mp4")], "Hi");
        assert_eq!(album[0], json!({"type": "photo", "media": "attach://file0", "caption": "Hi"}));
        let video = json!({
            "type": "video", "media": "attach://file1", "supports_streaming": true,
            "width": 90, "height": 60, "duration": 2,
        });
        assert_eq!(album[1], video);
    }
}
