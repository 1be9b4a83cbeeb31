//! What a Discord bot and a Discord webhook share: what a message takes, how it is put into a
//! request, how it is read back, and the table of errors.
//!
//! Source: the API v10's pages on messages, uploads, rate limits and JSON error codes, checked
//! 2026-11-22. Markdown in the text is shown as Markdown, which cannot be switched off; nobody is
//! pinged (`allowed_mentions`), whatever stands in it.

use std::time::Duration;

use futures_util::stream::try_unfold;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Action, Class, Error, quote};
use crate::http::{Reply, Request};
use crate::spec::{Choice, Count, Derivative, MediaRule, Text, VideoRule};
use crate::{Context, Media, Remote, Rendition, poll};

pub(crate) const BASE: &str = "https://discord.com";
/// Below the base. Ids of the API v10.
pub(crate) const API: &str = "api/v10";
/// The form that the documents ask for; others are blocked (40333).
const AGENT: &str = concat!("DiscordBot (Carillon, ", env!("CARGO_PKG_VERSION"), ")");

/// Of one file, where the server is not boosted.
const MAX_FILE: u64 = 10 << 20;
/// Of a whole request, less what stands around the files.
const MAX_REQUEST: u64 = (25 << 20) - (64 << 10);
/// How much of a film is in memory at once.
const PIECE: usize = 256 << 10;

/// The documents say "characters" and not which: nothing counts more of them than UTF-16.
pub(crate) const TEXT: Text = Text {
    max: 2_000,
    count: Count::Utf16,
    max_bytes: None,
    max_with_media: None,
    question_max: Some(300),
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: false,
};

pub(crate) const POLL: &[Choice] =
    &[poll::answers(10, 55), poll::open_for(poll::UP_TO_A_MONTH), poll::several()];

pub(crate) const FILES: MediaRule = MediaRule {
    min: 0,
    max: 10,
    types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
    max_bytes: MAX_FILE,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 1_024,
    video: Some(VideoRule {
        max: 10,
        types: &["video/mp4", "video/quicktime", "video/webm"],
        max_bytes: MAX_FILE,
        seconds: (1, 3_600),
        ratio: None,
        side: None,
        mixed: true,
    }),
};

#[derive(Deserialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) channel_id: String,
    #[serde(default)]
    pub(crate) content: String,
    pub(crate) timestamp: jiff::Timestamp,
    pub(crate) author: Author,
    #[serde(default)]
    pub(crate) attachments: Vec<serde::de::IgnoredAny>,
    /// Not promised in listings; where it is there it tells more than the text.
    #[serde(default)]
    pub(crate) nonce: Option<Value>,
    #[serde(default)]
    pub(crate) message_reference: Option<Reference>,
    #[serde(default)]
    pub(crate) poll: Option<Asked>,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    question: Question,
}

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
pub(crate) struct Author {
    pub(crate) id: String,
}

#[derive(Deserialize)]
pub(crate) struct Reference {
    #[serde(default)]
    pub(crate) message_id: Option<String>,
}

impl Message {
    /// Is it a poll, and what does it say or ask?
    pub(crate) fn says(&self) -> (bool, &str) {
        match &self.poll {
            Some(poll) => (true, &poll.question.text),
            None => (false, &self.content),
        }
    }

    /// The channel is part of the id: a connection may be pointed at another one later.
    pub(crate) fn remote(self, cx: &Context<'_>) -> Remote {
        let Self { id, channel_id, .. } = self;
        let guild = cx.account.setting("guildId").ok().filter(|guild| is_snowflake(guild));
        let url = guild.map(|guild| format!("{}/channels/{guild}/{channel_id}/{id}", cx.base));
        Remote { id: format!("{channel_id}/{id}"), url }
    }
}

/// Channel and message of a remote id.
pub(crate) fn ids(remote_id: &str) -> Result<(&str, &str), Error> {
    match remote_id.split_once('/') {
        Some((channel, message)) if is_snowflake(channel) && is_snowflake(message) => {
            Ok((channel, message))
        }
        _ => Err(Error::new(Class::Content, "This is not the id of a Discord message.")),
    }
}

/// A number of at most 64 bits: anything else would change the address that it is put into.
pub(crate) fn is_snowflake(id: &str) -> bool {
    !id.is_empty() && id.len() <= 20 && id.bytes().all(|b| b.is_ascii_digit())
}

/// Sends with the agent that Discord asks for, and reads the answer.
pub(crate) async fn send(cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
    cx.http.send(request.header("user-agent", AGENT), cx.timeout).await
}

/// The message without its files. The text of a poll is its question: Discord would show it twice.
pub(crate) fn payload(out: &Rendition) -> Result<Value, Error> {
    let attachment = |(i, media): (usize, &Media)| {
        let mut attachment = json!({ "id": i, "filename": media.file_name });
        if !media.alt.is_empty() {
            attachment["description"] = media.alt.as_str().into();
        }
        attachment
    };
    if let Some(poll) = out.poll()? {
        let answer = |text: &&str| json!({ "poll_media": { "text": text } });
        return Ok(json!({ "poll": {
            "question": { "text": out.text },
            "answers": poll.answers.iter().map(answer).collect::<Value>(),
            "duration": poll.minutes / 60,
            "allow_multiselect": poll.several,
        }}));
    }
    let attachments: Vec<Value> = out.media.iter().enumerate().map(attachment).collect();
    Ok(json!({
        "content": out.text,
        "allowed_mentions": { "parse": [] },
        "attachments": attachments,
    }))
}

/// Another text for a message. Files that are not named stay with it.
pub(crate) fn change(out: &Rendition) -> Value {
    json!({ "content": out.text, "allowed_mentions": { "parse": [] } })
}

/// Puts the message into a request: as JSON, or with its files behind it.
pub(crate) fn fill(request: Request, payload: &Value, media: &[Media]) -> Result<Request, Error> {
    if media.is_empty() {
        return Ok(request.json(payload));
    }
    let mut form = Form::new().text("payload_json", payload.to_string());
    for (i, media) in media.iter().enumerate() {
        form = form.part(format!("files[{i}]"), part(media)?);
    }
    Ok(request.multipart(form))
}

/// A file of the form. A film is read while it is sent.
fn part(media: &Media) -> Result<Part, Error> {
    let Some(source) = &media.source else { return media.part() };
    let length = source.len();
    let pieces = try_unfold((source.clone(), 0_u64), |(source, at)| async move {
        let piece = source.read(at, PIECE).await.map_err(std::io::Error::other)?;
        let next = at + piece.len() as u64;
        Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, (source, next))))
    });
    Part::stream_with_length(reqwest::Body::wrap_stream(pieces), length)
        .file_name(media.file_name.clone())
        .mime_str(&media.content_type)
        .map_err(|_| Error::new(Class::Content, "A film has an unreadable type."))
}

/// Every file is sent with the message, so all of them together have a limit too.
pub(crate) fn fits(out: &Rendition) -> Result<(), Error> {
    if out.media.iter().map(Media::size).sum::<u64>() > MAX_REQUEST {
        let why = "The files are too large for one Discord message: 25 MB together.";
        return Err(Error::new(Class::Content, why).code("files_too_large"));
    }
    Ok(())
}

/// Is it the answer of a call for a message that is not there, or no longer?
pub(crate) fn is_gone(reply: &Reply) -> bool {
    reply.status.as_u16() == 404 && matches!(reply.value()["code"].as_u64(), Some(10003 | 10008))
}

/// The table of JSON error codes; `key` is what the connection posts with.
pub(crate) fn parse_error(reply: &Reply, key: &str) -> Error {
    let body = reply.value();
    let code = body["code"].as_u64().unwrap_or_default();
    let error = reply.error("Discord");
    let error = if code == 0 { error } else { error.code(code) };
    let status = reply.status.as_u16();
    match (code, status) {
        (_, 500..) | (_, 408) => error,
        // The limits of a channel and of slow mode arrive with other statuses too.
        (20016 | 20028 | 20029 | 40062, _) | (_, 429) => {
            let asked = body["retry_after"].as_f64().filter(|s| (0.0..=86_400.0).contains(s));
            let wait = asked.map(Duration::from_secs_f64).or(error.retry_after);
            error.becomes(Class::RateLimit, "Discord asks for fewer calls.").retry_after(wait)
        }
        (40333, _) => error
            .becomes(Class::Config, "Discord blocks the requests of this installation.")
            .action(Action::AskOperator),
        (10015 | 50027, _) => error.becomes(
            Class::Auth,
            "Discord no longer has this webhook: make a new one and enter its address.",
        ),
        (40001 | 50014, _) | (_, 401) => {
            error.becomes(Class::Auth, format!("Discord refuses the {key}."))
        }
        (10003 | 10004, _) => {
            error.becomes(Class::Config, "Discord knows no such channel, or it was deleted.")
        }
        (50008 | 50024 | 220001 | 220003, _) => {
            error.becomes(Class::Config, "Discord takes no messages in a channel of this kind.")
        }
        (160005, _) => error
            .becomes(Class::Config, "The thread at Discord is locked.")
            .action(Action::ActAtNetwork),
        (40004 | 40006 | 130000, _) => {
            error.becomes(Class::Transient, "Discord has switched this off for the moment.")
        }
        (20009 | 200000 | 200001 | 240000, _) => {
            error.becomes(Class::Policy, "Discord's moderation refuses the message.")
        }
        (160002, _) => error
            .becomes(Class::Auth, "The bot may not read the channel's history at Discord.")
            .action(Action::ActAtNetwork),
        (50001 | 50013 | 40002 | 40007 | 50009, _) => error
            .becomes(Class::Auth, "The right to post in this channel is missing at Discord.")
            .action(Action::ActAtNetwork),
        (40005 | 50045, _) | (_, 413) => {
            error.becomes(Class::Content, "The files are too large for this Discord server.")
        }
        (10008, _) => error.becomes(Class::Content, "Discord does not have this message."),
        // Without a code of the API it is no answer about a message.
        (0, 403) => error
            .becomes(Class::Auth, "Discord does not let this connection post.")
            .action(Action::ActAtNetwork),
        (0, 404 | 405) | (50041, _) => error
            .becomes(Class::Config, "Discord does not know the address that was called.")
            .action(Action::AskOperator),
        (_, 400..) => match said(&body) {
            said if said.is_empty() => {
                error.becomes(Class::Content, "Discord refuses the message.")
            }
            said => error.becomes(Class::Content, format!("Discord refuses the message: {said}.")),
        },
        _ => error,
    }
}

/// The most exact of the words in an error: those of the first field that is wrong.
fn said(body: &Value) -> String {
    let words = exact(&body["errors"], 0).or_else(|| body["message"].as_str());
    // A gateway may quote the address, and in a webhook's stands its token.
    let words = words.unwrap_or_default().split(' ').filter(|word| !word.contains("/api/"));
    quote(&words.collect::<Vec<_>>().join(" "))
}

fn exact(errors: &Value, depth: usize) -> Option<&str> {
    if let Some(message) = errors["_errors"][0]["message"].as_str() {
        return Some(message);
    }
    let fields = errors.as_object().filter(|_| depth < 8)?;
    fields.values().find_map(|field| exact(field, depth + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Applied;
    use crate::http::reply;

    #[test]
    fn the_most_exact_words_are_quoted_and_no_address_is() {
        let body = json!({ "code": 50035, "message": "Invalid Form Body", "errors": {
            "content": { "_errors": [{ "code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length." }] },
        }});
        let error = parse_error(&reply(400, &[], &body.to_string()), "bot token");
        assert_eq!(error.sentence, "Discord refuses the message: Must be 2000 or fewer in length.");
        let body = json!({ "code": 50035, "message": "no POST /api/webhooks/1/sEcret here" });
        let error = parse_error(&reply(400, &[], &body.to_string()), "webhook");
        assert_eq!(error.sentence, "Discord refuses the message: no POST here.");
        let error = parse_error(&reply(400, &[], "<html>"), "webhook");
        assert_eq!(error.sentence, "Discord refuses the message.");
        let mut deep = json!({ "_errors": [{ "message": "deep" }] });
        for _ in 0..100 {
            deep = json!({ "a": deep });
        }
        assert_eq!(exact(&deep, 0), None);
    }

    #[test]
    fn waiting_time_is_a_fraction_of_the_body() {
        let body = r#"{"message":"You are being rate limited.","retry_after":0.3,"global":false}"#;
        let error = parse_error(&reply(429, &[("retry-after", "1")], body), "bot token");
        assert_eq!(error.retry_after, Some(Duration::from_millis(300)));
        for body in ["", r#"{"retry_after":-1}"#, r#"{"retry_after":1e300}"#] {
            let error = parse_error(&reply(429, &[("retry-after", "1")], body), "bot token");
            assert_eq!(error.retry_after, Some(Duration::from_secs(1)), "{body}");
            assert_eq!(error.applied, Applied::No);
        }
    }

    #[test]
    fn ids_are_numbers() {
        assert_eq!(ids("12/34").unwrap(), ("12", "34"));
        for bad in ["", "12", "12/", "/34", "12/34/5", "12/3a", "../34", "123456789012345678901/1"]
        {
            assert!(ids(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_are_named_and_described() {
        let mut media = crate::Media {
            id: "m".into(),
            content_type: "image/jpeg".into(),
            width: 1,
            height: 1,
            alt: "A bell".into(),
            file_name: "bell.jpg".into(),
            data: vec![0; 9 << 20].into(),
            source: None,
            duration: None,
            cover: None,
            url: String::new(),
        };
        let bare = crate::Media { alt: String::new(), ..media.clone() };
        let out = Rendition { media: vec![media.clone(), bare], ..Rendition::default() };
        assert_eq!(
            payload(&out).unwrap()["attachments"],
            json!([
                { "id": 0, "filename": "bell.jpg", "description": "A bell" },
                { "id": 1, "filename": "bell.jpg" },
            ])
        );
        assert!(fits(&out).is_ok());
        media.data = vec![0; 10 << 20].into();
        let out = Rendition { media: vec![media.clone(), media.clone(), media], ..out };
        assert_eq!(fits(&out).unwrap_err().class, Class::Content);
    }
}
