//! Nostr: notes of kind 1 on relays (NIP-01, NIP-09, NIP-10, NIP-19); checked 2026-11-22.
//!
//! Keys: there are no accounts, only a secret key: `nsec1…` or 64 hexadecimal digits.
//!
//! An event's id is the hash of what it says, and its time is the time at which the post was due,
//! so the same delivery is the same event however often it is sent: a relay that has it answers
//! `duplicate:`, with true or with false, and both mean that it is there. It is published when one
//! relay has it. Deleting is a request that relays should follow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bech32::{Bech32, Hrp};
use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt, future};
use k256::schnorr::SigningKey;
use k256::schnorr::signature::hazmat::PrehashSigner;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::error::quote;
use crate::http::Reply;
use crate::oauth::Life;
use crate::socket::Socket;
use crate::spec::{Abilities, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, Text};
use crate::text::hashtags;
use crate::words::told;
use crate::{
    Action, Applied, Class, Context, Error, Identity, Network, Numbers, Published, Remote,
    Rendition, SendClass, Spec, Window, numbers,
};

pub struct Nostr;

const TEXT: Text = Text {
    // There is no common limit; widely used relays take events of 64 KB.
    max: 50_000,
    count: Count::Chars,
    max_bytes: Some(50_000),
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: true,
};

/// Pictures would need a host of their own.
const NO_MEDIA: MediaRule = MediaRule {
    min: 0,
    max: 0,
    types: &[],
    max_bytes: 0,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 0,
    video: None,
};

pub static SPEC: Spec = Spec {
    id: "nostr",
    name: "Nostr",
    code: "NO",
    // Each connection names its relays.
    base_url: "wss:",
    fields: &[
        Field {
            key: "secretKey",
            label: "Secret key",
            help: "nsec1… or 64 hexadecimal digits, from the app that the account was made with.",
            secret: true,
            required: true,
        },
        Field {
            key: "relays",
            label: "Relays",
            help: "Where notes are published, up to ten, separated by commas: wss://relay.example.",
            secret: false,
            required: true,
        },
    ],
    placements: &[
        Placement {
            id: "feed",
            name: "Note",
            send: SendClass::Keyed { horizon: None },
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[Metric::Likes, Metric::Comments, Metric::Shares],
            text: TEXT,
            media: NO_MEDIA,
            options: &[],
        },
        Placement {
            id: "reply",
            name: "Thread",
            send: SendClass::Keyed { horizon: None },
            follows: &["feed", "reply"],
            in_budget: true,
            edit: Edit::No,
            measures: &[Metric::Likes, Metric::Comments, Metric::Shares],
            text: TEXT,
            media: NO_MEDIA,
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: false },
    oauth: None,
    life: Life::Endless,
    budgets: &[],
};

const MAX_RELAYS: usize = 10;
/// Largest message that is read, in bytes, and most that are read before the answer.
const MAX_MESSAGE: usize = 256 << 10;
const MAX_MESSAGES: usize = 50;
/// Most events about a note that a relay is asked for; many give 500 at once.
const MOST_EVENTS: usize = 2_000;
/// How long the other relays have when one has the note.
const GRACE: Duration = Duration::from_secs(3);

#[async_trait]
impl Network for Nostr {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    /// Relays know no accounts; what can be checked is the key's form and that one relay answers.
    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let (key, relays) = (key(cx)?, relays(cx)?);
        let remote_id = hex(&key.verifying_key().to_bytes());
        let profile = json!({ "authors": [remote_id], "kinds": [0], "limit": 1 });
        let ask = |relay| self.ask(cx, relay, &profile);
        let (mut name, mut answered, mut error) = (None, false, None);
        for answer in future::join_all(relays.iter().map(ask)).await {
            match answer {
                Ok(events) => {
                    answered = true;
                    name = name.or_else(|| events.first().and_then(profile_name));
                }
                // That an address is refused is said though another relay answers.
                Err(e) if e.class == Class::Config => return Err(e),
                Err(e) => error = Some(e),
            }
        }
        if let (false, Some(error)) = (answered, error) {
            return Err(error.harmless());
        }
        let npub = written("npub", &key.verifying_key().to_bytes());
        let name = name.unwrap_or_else(|| npub.chars().take(16).collect());
        Ok(Identity { remote_id, name, settings: BTreeMap::new() })
    }

    /// One event to every relay: the same bytes, whoever has it already.
    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let relays = relays(cx)?;
        let event = note(&key(cx)?, out, &relays)?;
        let sends = relays.iter().map(|relay| self.send(cx, relay, &event));
        let mut sends: FuturesUnordered<_> = sends.collect();
        // Each send ends by itself in time; this ends the waiting for others.
        let (mut accepted, mut errors, mut wait) = (false, Vec::new(), cx.timeout * 2);
        while let Ok(Some(sent)) = timeout(wait, sends.next()).await {
            match sent {
                Ok(()) => (accepted, wait) = (true, wait.min(GRACE)),
                Err(e) => errors.push(e),
            }
        }
        match accepted {
            true => Ok(Published::Accepted(remote(cx.base, id_of(&event)))),
            false => Err(verdict(errors)),
        }
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        _: Window,
    ) -> Result<Vec<Remote>, Error> {
        let relays = relays(cx)?;
        let event = note(&key(cx)?, out, &relays)?;
        let id = id_of(&event);
        let wanted = json!({ "ids": [id] });
        let asked = relays.iter().map(|relay| self.ask(cx, relay, &wanted));
        let mut error = None;
        for answer in future::join_all(asked).await {
            match answer {
                Ok(events) if events.iter().any(|event| event["id"] == id) => {
                    return Ok(vec![remote(cx.base, id)]);
                }
                Ok(_) => {}
                Err(e) => error = Some(e.harmless()),
            }
        }
        // Absent is only what every relay says it has not.
        error.map_or(Ok(Vec::new()), Err)
    }

    /// What others sent about the note, as far as the relays keep and give it. An event that several
    /// have counts once.
    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        if !is_id(remote_id) {
            return Err(Error::new(Class::Content, "This is not the id of a Nostr note."));
        }
        let (relays, own) = (relays(cx)?, hex(&key(cx)?.verifying_key().to_bytes()));
        let wanted = json!([
            { "ids": [remote_id] },
            { "#e": [remote_id], "kinds": [1, 6, 7, 16], "limit": MOST_EVENTS },
        ]);
        let asked = relays.iter().map(|relay| self.ask_for(cx, relay, &wanted, MOST_EVENTS + 1));
        let (mut seen, mut error) = (BTreeMap::new(), None);
        for answer in future::join_all(asked).await {
            match answer {
                Ok(events) => seen.extend(events.into_iter().map(|event| (id_of(&event), event))),
                Err(e) => error = Some(e),
            }
        }
        if seen.remove(remote_id).is_none() {
            // Gone is only what every relay says it has not.
            return Err(error.unwrap_or_else(|| numbers::gone(SPEC.name)));
        }
        let nothing = [(Metric::Likes, 0), (Metric::Comments, 0), (Metric::Shares, 0)];
        let told = seen.values().filter_map(|event| match event["kind"].as_u64()? {
            // The later parts of a thread name its head too.
            1 => (event["pubkey"] != own).then_some((Metric::Comments, 1)),
            7 => (event["content"] != "-").then_some((Metric::Likes, 1)),
            _ => Some((Metric::Shares, 1)),
        });
        Ok(numbers::sum(nothing.into_iter().chain(told)))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        if !is_id(remote_id) {
            return Err(Error::new(Class::Content, "This is not the id of a Nostr note."));
        }
        let relays = relays(cx)?;
        let tags = json!([["e", remote_id], ["k", "1"]]);
        let event = signed(&key(cx)?, cx.now.div_euclid(1_000), 5, tags, "")?;
        let sends = relays.iter().map(|relay| self.send(cx, relay, &event));
        let (mut accepted, mut errors) = (false, Vec::new());
        for sent in future::join_all(sends).await {
            match sent {
                Ok(()) => accepted = true,
                // A relay that is gone shows nothing either.
                Err(e) if e.code.as_deref() == Some("connect_failed") && relays.len() > 1 => {}
                Err(e) => errors.push(e),
            }
        }
        if accepted && errors.is_empty() { Ok(()) } else { Err(verdict(errors)) }
    }

    /// A relay's refusal: the line that it sent, or an HTTP answer instead of a websocket.
    fn parse_error(&self, reply: &Reply) -> Error {
        let line = reply.value();
        let words = match line[0].as_str() {
            Some("OK") => line[3].as_str(),
            Some("CLOSED") => line[2].as_str(),
            Some("NOTICE") => line[1].as_str(),
            _ => return reply.error("A Nostr relay"),
        };
        let words = words.unwrap_or_default();
        let (prefix, said) = words.split_once(':').unwrap_or(("", words));
        let said = quote(said);
        let says = |class, what: &str| {
            let sentence = told(&format!("A Nostr relay {what}"), &said);
            reply.error(SPEC.name).becomes(class, sentence).code(prefix)
        };
        match prefix.trim() {
            "duplicate" => says(Class::Duplicate, "has this note already"),
            "rate-limited" => says(Class::RateLimit, "asks for fewer notes"),
            "error" => says(Class::Transient, "is out of order for the moment"),
            "auth-required" => says(Class::Auth, "takes notes of its members only")
                .action(Action::CompleteConnection),
            "blocked" | "restricted" | "payment-required" => {
                says(Class::Auth, "takes nothing from this key").action(Action::ActAtNetwork)
            }
            "pow" => says(Class::Config, "asks for work that Carillon does not do"),
            "unsupported" => says(Class::Config, "cannot be asked for notes"),
            "mute" => says(Class::Policy, "has muted this key"),
            _ => says(Class::Content, "refuses the note"),
        }
    }
}

impl Nostr {
    /// Sends an event to one relay. It is there, or the error says whether it may be.
    async fn send(&self, cx: &Context<'_>, relay: &url::Url, event: &Value) -> Result<(), Error> {
        let (id, said) = (&event["id"], AtomicBool::new(false));
        let answered = async {
            let mut line = Line::open(self, cx, relay).await?;
            said.store(true, Ordering::Relaxed);
            line.say(&json!(["EVENT", event])).await?;
            // Some relays leave out the id of what they refuse; this line has carried one event.
            line.hear(|heard| heard[0] == "OK" && (heard[1] == *id || heard[1] == "")).await
        };
        let answer = match timeout(cx.timeout, answered).await {
            Ok(answer) => answer,
            Err(_) if said.load(Ordering::Relaxed) => Err(silent()),
            Err(_) => Err(silent().harmless()),
        };
        let answer = answer.map_err(|e| named(e, relay))?;
        let there = answer[3].as_str().is_some_and(|words| words.starts_with("duplicate:"));
        match answer[2].as_bool() {
            Some(true) => Ok(()),
            Some(false) if there => Ok(()),
            Some(false) => Err(named(self.parse_error(&reply(&answer)), relay)),
            None => Err(named(Error::garbled("something unreadable"), relay)),
        }
    }

    /// The events of one relay that fit.
    async fn ask(
        &self,
        cx: &Context<'_>,
        relay: &url::Url,
        filter: &Value,
    ) -> Result<Vec<Value>, Error> {
        self.ask_for(cx, relay, &json!([filter]), MAX_MESSAGES).await
    }

    /// The events of one relay that fit one of several filters, `most` of them.
    async fn ask_for(
        &self,
        cx: &Context<'_>,
        relay: &url::Url,
        filters: &Value,
        most: usize,
    ) -> Result<Vec<Value>, Error> {
        let answered = async {
            let mut line = Line::open(self, cx, relay).await?;
            let head = json!(["REQ", "carillon"]);
            let all = head.as_array().into_iter().chain(filters.as_array()).flatten();
            line.say(&all.cloned().collect()).await?;
            let mut events = Vec::new();
            loop {
                let mut heard = line.hear(|heard| heard[1] == "carillon").await?;
                match heard[0].as_str() {
                    Some("EVENT") if events.len() < most => events.push(heard[2].take()),
                    Some("EOSE") => return Ok(events),
                    Some("CLOSED") => return Err(self.parse_error(&reply(&heard))),
                    _ => return Err(Error::garbled("something unreadable")),
                }
            }
        };
        let answer = timeout(cx.timeout, answered).await.map_err(|_| silent());
        answer.and_then(|events| events).map_err(|e| named(e, relay).harmless())
    }
}

/// A websocket to one relay.
struct Line(WebSocketStream<Socket>);

impl Line {
    /// Nothing was said when this fails.
    async fn open(nostr: &Nostr, cx: &Context<'_>, relay: &url::Url) -> Result<Self, Error> {
        let host = relay.host_str().unwrap_or_default();
        let port = relay.port_or_known_default().unwrap_or_default();
        let socket = Socket::open(cx.http, host, port, relay.scheme() == "wss").await?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let opened = client_async_with_config(relay.as_str(), socket, Some(config)).await;
        opened.map(|(line, _)| Self(line)).map_err(|e| {
            let e = match e {
                tungstenite::Error::Http(answer) => {
                    let (parts, body) = answer.into_parts();
                    let body = Bytes::from(body.unwrap_or_default());
                    nostr.parse_error(&Reply { status: parts.status, headers: parts.headers, body })
                }
                _ => lost("did not open a websocket", "no_websocket"),
            };
            e.harmless()
        })
    }

    async fn say(&mut self, message: &Value) -> Result<(), Error> {
        let sent = self.0.send(Message::text(message.to_string())).await;
        sent.map_err(|_| lost("broke the connection off", "connection_lost"))
    }

    /// The next message that is meant; notices and whatever else comes between are passed over.
    async fn hear(&mut self, meant: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        for _ in 0..MAX_MESSAGES {
            let text = match self.0.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return Err(lost("broke the connection off", "connection_lost")),
            };
            let heard: Value = serde_json::from_str(text.as_str())
                .map_err(|_| Error::garbled("something unreadable"))?;
            if meant(&heard) {
                return Ok(heard);
            }
        }
        Err(Error::garbled("everything but what was asked"))
    }
}

/// No answer: the relay may have read what was sent.
fn lost(what: &str, code: &str) -> Error {
    Error::new(Class::Unknown, format!("A Nostr relay {what}.")).code(code)
}

fn silent() -> Error {
    lost("did not answer in time", "timeout")
}

/// The error, with the relay's name in its sentence.
fn named(mut error: Error, relay: &url::Url) -> Error {
    let name = format!("The Nostr relay {}", relay.host_str().unwrap_or_default());
    error.sentence = error.sentence.replacen("A Nostr relay", &name, 1);
    error
}

/// A relay's line as answers are read.
fn reply(line: &Value) -> Reply {
    let body = Bytes::from(line.to_string());
    Reply { status: StatusCode::OK, headers: <_>::default(), body }
}

/// What no relay having taken it means: a doubt before all else, then what a later try may change.
fn verdict(errors: Vec<Error>) -> Error {
    let weight = |e: &Error| match (e.applied, e.class) {
        (Applied::Maybe, _) => 0,
        (_, Class::RateLimit | Class::Transient) => 1,
        (_, Class::Auth | Class::Config) => 2,
        _ => 3,
    };
    let first = errors.into_iter().min_by_key(weight);
    first.unwrap_or_else(silent)
}

/// The secret key as it was entered.
fn key(cx: &Context<'_>) -> Result<SigningKey, Error> {
    let secret = cx.account.secret("secretKey")?;
    let given = secret.reveal().trim();
    let bytes = match bech32::decode(given) {
        Ok((hrp, bytes)) if hrp.as_str().eq_ignore_ascii_case("nsec") => Some(bytes),
        Ok(_) => None,
        Err(_) => unhex(given),
    };
    bytes.and_then(|bytes| SigningKey::from_slice(&bytes).ok()).ok_or_else(|| {
        let why = "This is not a secret key of Nostr: nsec1… or 64 hexadecimal digits.";
        Error::new(Class::Auth, why).code("bad_key")
    })
}

/// The relays as they were entered. Unencrypted ones are spoken to only where the operator has
/// allowed their address.
fn relays(cx: &Context<'_>) -> Result<Vec<url::Url>, Error> {
    let given = cx.account.setting("relays")?;
    let apart = given.split(|c: char| c == ',' || c.is_whitespace()).filter(|r| !r.is_empty());
    let mut relays: Vec<url::Url> = Vec::new();
    for relay in apart {
        let url = relay.parse::<url::Url>().ok().filter(|url| {
            let port = url.port_or_known_default().unwrap_or_default();
            let host = url.host_str().unwrap_or_default();
            url.username().is_empty()
                && match url.scheme() {
                    "wss" => true,
                    "ws" => cx.http.allows_private(host, port),
                    _ => false,
                }
        });
        let url = url.ok_or_else(|| {
            let why = format!("“{}” is not the address of a Nostr relay: wss://….", quote(relay));
            Error::new(Class::Config, why).code("bad_relay")
        })?;
        if !relays.contains(&url) {
            relays.push(url);
        }
    }
    match relays.len() {
        0 => Err(Error::missing("relays")),
        1..=MAX_RELAYS => Ok(relays),
        _ => Err(Error::new(Class::Config, "A connection to Nostr has ten relays at most.")),
    }
}

/// The note of a delivery: always the same bytes.
fn note(key: &SigningKey, out: &Rendition, relays: &[url::Url]) -> Result<Value, Error> {
    // Relays disagree on how other control characters are hashed.
    let kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t') || *c >= '\u{7f}';
    let text: String = out.text.replace("\r\n", "\n").chars().filter(kept).collect();
    let mut tags: Vec<Value> = Vec::new();
    if let Some(to) = &out.reply_to {
        let hint = relays.first().map_or("", |url| url.as_str());
        let mut marks = vec![(&to.root.id, "root")];
        if to.parent.id != to.root.id {
            marks.push((&to.parent.id, "reply"));
        }
        let author = hex(&key.verifying_key().to_bytes());
        for (id, mark) in marks {
            if !is_id(id) {
                return Err(Error::new(Class::Content, "This is not the id of a Nostr note."));
            }
            tags.push(json!(["e", id, hint, mark, author]));
        }
    }
    for range in hashtags(&text) {
        let tag = json!(["t", text[range].trim_start_matches(['#', '＃']).to_lowercase()]);
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    signed(key, out.created_at.div_euclid(1_000), 1, json!(tags), &text)
}

/// An event with its id and signature. The signature has no randomness in it.
fn signed(
    key: &SigningKey,
    created_at: i64,
    kind: u16,
    tags: Value,
    content: &str,
) -> Result<Value, Error> {
    let pubkey = hex(&key.verifying_key().to_bytes());
    let hash = Sha256::digest(json!([0, pubkey, created_at, kind, tags, content]).to_string());
    let sig = key.sign_prehash(&hash).map_err(|_| {
        Error::new(Class::Config, "This secret key of Nostr signs nothing.").code("bad_key")
    })?;
    Ok(json!({
        "id": hex(&hash),
        "pubkey": pubkey,
        "created_at": created_at,
        "kind": kind,
        "tags": tags,
        "content": content,
        "sig": hex(&sig.to_bytes()),
    }))
}

fn id_of(event: &Value) -> String {
    event["id"].as_str().unwrap_or_default().to_owned()
}

fn profile_name(event: &Value) -> Option<String> {
    let profile: Value = serde_json::from_str(event["content"].as_str()?).ok()?;
    let name = profile["display_name"].as_str().or(profile["name"].as_str())?;
    Some(quote(name)).filter(|name| !name.is_empty())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = |two: &[u8]| {
        let high = char::from(*two.first()?).to_digit(16)?;
        let low = char::from(*two.get(1)?).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    };
    text.as_bytes().chunks(2).map(digits).collect()
}

fn is_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A key or an id as people see it (NIP-19).
fn written(prefix: &str, bytes: &[u8]) -> String {
    let hrp = Hrp::parse(prefix).ok();
    hrp.and_then(|hrp| bech32::encode::<Bech32>(hrp, bytes).ok()).unwrap_or_else(|| hex(bytes))
}

/// The note with its page. The local stand-in has pages of its own.
fn remote(base: &str, id: String) -> Remote {
    let url = match base.strip_suffix("/nostr") {
        Some(origin) => format!("{origin}/posts/nostr/{id}"),
        None => {
            let note = unhex(&id).map_or_else(|| id.clone(), |bytes| written("note", &bytes));
            format!("https://njump.me/{note}")
        }
    };
    Remote { id, url: Some(url) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, Forgetful, Http, ReplyTo, Secret};

    /// The pair that NIP-19 gives as its example.
    const HEX: &str = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";
    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";

    fn with<T>(secret: &str, relays: &str, test: impl Fn(&Context<'_>) -> T) -> T {
        let account = Account::default();
        account.secrets.lock().unwrap().insert("secretKey".to_owned(), Secret::new(secret));
        let account = Account {
            settings: BTreeMap::from([("relays".to_owned(), relays.to_owned())]),
            ..account
        };
        let allowed = ["relay.lan:7000".to_owned()];
        let http = Http::new(crate::http::Guard::allowing(allowed));
        let second = Duration::from_secs(1);
        test(&Context::new(&http, &account, "wss:", 0, second, <_>::default(), &Forgetful))
    }

    #[test]
    fn a_key_is_read_in_both_ways_and_never_shown() {
        let public =
            |secret: &str| with(secret, "", |cx| key(cx).map(|key| key.verifying_key().to_bytes()));
        assert_eq!(public(HEX).unwrap(), public(NSEC).unwrap());
        assert_eq!(public(&format!(" {}\n", HEX.to_uppercase())).unwrap(), public(NSEC).unwrap());
        let npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg";
        let zero = "0".repeat(64);
        for bad in [npub, "n0-such-s3cret", &HEX[1..], &NSEC[..62], "", &zero, &"f".repeat(64), "é"]
        {
            let error = public(bad).unwrap_err();
            assert!(matches!(error.class, Class::Auth | Class::Config), "{bad}");
            assert!(bad.is_empty() || !format!("{error:?}").contains(bad), "{error:?}");
        }
    }

    #[test]
    fn npub_and_note_are_written_as_in_nip_19() {
        let bytes =
            unhex("7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e").unwrap();
        let npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg";
        assert_eq!(written("npub", &bytes), npub);
        let page = remote("wss:", hex(&bytes)).url.unwrap();
        assert!(page.starts_with("https://njump.me/note1"), "{page}");
    }

    #[test]
    fn relays_are_encrypted_unless_the_operator_allows_them() {
        let read = |given: &str| {
            with(NSEC, given, |cx| {
                relays(cx).map(|all| all.iter().map(|url| url.to_string()).collect::<Vec<_>>())
            })
        };
        let two = read("wss://a.example, wss://b.example/x\nwss://a.example/").unwrap();
        assert_eq!(two, ["wss://a.example/", "wss://b.example/x"]);
        assert_eq!(read("ws://relay.lan:7000").unwrap(), ["ws://relay.lan:7000/"]);
        let many: String = (0..11).map(|i| format!("wss://r{i}.example,")).collect();
        for bad in
            [",", "ws://a.example", "https://a.example", "a.example", "wss://u@a.example", &many]
        {
            assert_eq!(read(bad).unwrap_err().class, Class::Config, "{bad}");
        }
    }

    #[test]
    fn the_same_delivery_is_the_same_event() {
        let relays = ["wss://a.example".parse().unwrap()];
        let key = with(HEX, "", |cx| key(cx).unwrap());
        let out = Rendition {
            text: "Grüße \"an\" \\ alle\r\n\t#Brot #brot \u{1}\u{7f}🥨/".to_owned(),
            created_at: 1_795_341_600_999,
            ..Rendition::default()
        };
        let event = note(&key, &out, &relays).unwrap();
        assert_eq!(event, note(&key, &out, &relays).unwrap());
        assert_eq!(event["tags"], json!([["t", "brot"]]));
        assert_eq!(event["created_at"], 1_795_341_600);
        // As NIP-01 writes it, by hand.
        let text = format!(
            "[0,\"{}\",1795341600,1,[[\"t\",\"brot\"]],\"Grüße \\\"an\\\" \\\\ alle\\n\\t#Brot #brot \u{7f}🥨/\"]",
            event["pubkey"].as_str().unwrap()
        );
        assert_eq!(event["id"], hex(&Sha256::digest(text)));

        let (root, parent) = ("a".repeat(64), "b".repeat(64));
        let remote = |id: &str| Remote { id: id.to_owned(), url: None };
        let to = |root: &str, parent: &str| ReplyTo { root: remote(root), parent: remote(parent) };
        let reply = |to| note(&key, &Rendition { reply_to: Some(to), ..out.clone() }, &relays);
        let tags = reply(to(&root, &parent)).unwrap()["tags"].clone();
        assert_eq!((&tags[0][1], &tags[0][3]), (&json!(root), &json!("root")));
        assert_eq!((&tags[1][1], &tags[1][3]), (&json!(parent), &json!("reply")));
        let direct = reply(to(&root, &root)).unwrap()["tags"].clone();
        assert_eq!(direct.as_array().unwrap().len(), 2, "one mark and one hashtag: {direct}");
        assert_eq!(reply(to(&root, "x")).unwrap_err().class, Class::Content);
    }

    #[test]
    fn a_doubt_weighs_more_than_a_refusal() {
        let error = |class| Error::new(class, "x.");
        let classes = |all: &[Class]| verdict(all.iter().map(|c| error(*c)).collect()).class;
        assert_eq!(classes(&[Class::Content, Class::Unknown, Class::Auth]), Class::Unknown);
        assert_eq!(classes(&[Class::Content, Class::Auth, Class::Transient]), Class::Transient);
        assert_eq!(classes(&[Class::Content, Class::Auth]), Class::Auth);
    }
}
