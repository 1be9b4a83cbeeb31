//! Nostr: one relay, a websocket at `/nostr`; its description (NIP-11) where no websocket is asked
//! for.
//!
//! networks.md §19, NIP-01, NIP-09, NIP-11. Ids and signatures are verified. The secret key of
//! `{account}` is the SHA-256 of `sandbox-{account}`; a key whose account nobody asked for is called
//! by the first digits of its public key. At `/nostr/picky` an event that is known is answered with
//! false, and one that is wrong without its id, as nostr-relay does. Faults hit `EVENT` (kind 5: deletes) and `REQ`. Not spoken: AUTH and COUNT.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use k256::schnorr::signature::hazmat::{PrehashSigner, PrehashVerifier};
use k256::schnorr::{Signature, SigningKey, VerifyingKey};
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::{Calls, Trouble};
use crate::ledger::Appeared;
use crate::line::Cut;
use crate::requests::Recorded;
use crate::world::{Fields, Network, World, hex, iso, lock, secret_of, sha256};

const MESSAGE_LIMIT: usize = 128 << 10;
const CONTENT_LIMIT: usize = 65_536;
const LIMIT: usize = 500;
/// How far an event's time may be from the relay's, in seconds.
const TOO_NEW: i64 = 900;
const TOO_OLD: i64 = 3 * 365 * 86_400;

#[derive(Default)]
pub(crate) struct State {
    /// In the order in which they came.
    events: Vec<Value>,
    known: HashSet<String>,
    /// Ids that their author has asked to delete, by author.
    deleted: HashSet<(String, String)>,
    /// Accounts by public key.
    names: HashMap<String, String>,
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    let relay = base.replacen("http", "ws", 1);
    vec![("secretKey", hex(&secret_key(account))), ("relays", relay)]
}

fn secret_key(account: &str) -> [u8; 32] {
    sha256(secret_of(account).as_bytes())
}

/// Remembers whose key this account's is.
pub(crate) fn introduce(world: &World, account: &str) {
    if let Ok(key) = SigningKey::from_slice(&secret_key(account)) {
        let public = hex(&key.verifying_key().to_bytes());
        lock(&world.states.nostr).names.insert(public, account.to_owned());
    }
}

pub(crate) fn aim(_: &World, _: &Call) -> Aim {
    Aim { call: Calls::Read, account: None }
}

/// What the relay is, to whoever asks over HTTP.
pub(crate) async fn answer(_: &World, call: &Call) -> Answer {
    match call.header("accept") {
        Some("application/nostr+json") => Answer::new(
            200,
            "application/nostr+json",
            json!({
                "name": "Carillon sandbox",
                "supported_nips": [1, 9, 10, 11],
                "limitation": {
                    "max_message_length": MESSAGE_LIMIT,
                    "max_content_length": CONTENT_LIMIT,
                    "max_limit": LIMIT,
                    "auth_required": false,
                    "payment_required": false,
                },
            })
            .to_string(),
        ),
        _ => Answer::new(426, "text/plain", "This is a relay of Nostr: open a websocket."),
    }
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    let status = match refusal {
        Refusal::Unreadable => 400,
        Refusal::RateLimit(_) => 429,
        Refusal::ServerError => 503,
        Refusal::Auth => 401,
        Refusal::TooLarge => 413,
    };
    Answer::new(status, "text/plain", "The relay refuses the connection.")
}

/// Does somebody ask for a websocket?
pub(crate) fn is_upgrade(request: &Request<Body>) -> bool {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

pub(crate) async fn open(world: Arc<World>, request: Request<Body>) -> Response {
    let (mut parts, _) = request.into_parts();
    let cut = parts.extensions.get::<ConnectInfo<Cut>>().map(|ConnectInfo(cut)| cut.clone());
    let path = parts.uri.path().trim_end_matches('/').to_owned();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade
            .max_message_size(MESSAGE_LIMIT)
            .on_upgrade(move |socket| async move { serve(&world, socket, cut, &path).await }),
        Err(refused) => refused.into_response(),
    }
}

async fn serve(world: &World, mut socket: WebSocket, cut: Option<Cut>, path: &str) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let Some(answers) = hear(world, text.as_str(), path).await else {
            if let Some(cut) = cut {
                cut.cut();
            }
            // Anything written now breaks the connection off.
            socket.send(Message::text("")).await.ok();
            return;
        };
        for answer in answers {
            if socket.send(Message::text(answer)).await.is_err() {
                return;
            }
        }
    }
}

/// One message of a client and what is answered; `None` where the connection breaks instead.
async fn hear(world: &World, text: &str, path: &str) -> Option<Vec<String>> {
    let now = world.now();
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    let verb = message[0].as_str().unwrap_or_default().to_owned();
    let kind = match verb.as_str() {
        "EVENT" if message[1]["kind"] == 5 => Calls::Delete,
        "EVENT" => Calls::Publish,
        "REQ" => Calls::Read,
        "CLOSE" => return Some(Vec::new()),
        _ => return Some(vec![json!(["NOTICE", "error: cannot be understood"]).to_string()]),
    };
    let account = name_of(world, message[1]["pubkey"].as_str());
    let met = world.faults.meet(Network::Nostr, kind, account.as_deref());
    let answers = |message: &Value| match kind {
        Calls::Read => request(world, message),
        _ => vec![event(world, &message[1], now, path.ends_with("/picky"))],
    };
    if !world.options.latency.is_zero() {
        tokio::time::sleep(world.options.latency).await;
    }
    let refused = |words: &str| {
        let line = match kind {
            Calls::Read => json!(["CLOSED", message[1], words]),
            _ => json!(["OK", message[1]["id"], false, words]),
        };
        Some(vec![line])
    };
    let said = match met.map(|(trouble, ms)| (trouble, Duration::from_millis(ms))) {
        Some((Trouble::RateLimit, _)) => refused("rate-limited: slow down there chief"),
        Some((Trouble::ServerError, _)) => refused("error: could not connect to the database"),
        Some((Trouble::Auth, _)) => {
            refused("auth-required: we only accept events from registered users")
        }
        Some((Trouble::ResetBeforeAccept, _)) => None,
        Some((Trouble::ResetAfterAccept, _)) => {
            answers(&message);
            None
        }
        Some((Trouble::Slow, wait)) => {
            tokio::time::sleep(wait).await;
            Some(answers(&message))
        }
        _ => Some(answers(&message)),
    };
    let mut lines: Option<Vec<String>> =
        said.map(|said| said.iter().map(Value::to_string).collect());
    if let (Some((Trouble::Garbage, _)), Some(lines)) = (met, &mut lines) {
        lines.iter_mut().for_each(|line| line.truncate(line.len() / 2));
    }
    let recorded = Recorded {
        at: iso(now),
        method: verb,
        path: path.to_owned(),
        query: <_>::default(),
        headers: <_>::default(),
        body: text.chars().take(4_000).collect(),
        call: kind,
        account,
        fault: met.map(|(trouble, _)| trouble),
        status: lines.is_some().then_some(200),
    };
    world.requests.add(Network::Nostr, recorded);
    lines
}

fn name_of(world: &World, pubkey: Option<&str>) -> Option<String> {
    let pubkey = pubkey?;
    let known = lock(&world.states.nostr).names.get(pubkey).cloned();
    known.or_else(|| pubkey.get(..16).map(str::to_owned))
}

/// What becomes of an event, as the line that answers it.
fn event(world: &World, event: &Value, now: i64, picky: bool) -> Value {
    let id = event["id"].as_str().unwrap_or_default();
    let line = |taken: bool, words: &str| json!(["OK", id, taken, words]);
    if let Err(why) = verified(event, now) {
        return json!(["OK", if picky { "" } else { id }, false, format!("invalid: {why}")]);
    }
    let pubkey = event["pubkey"].as_str().unwrap_or_default();
    let account = name_of(world, Some(pubkey)).unwrap_or_default();
    let mut state = lock(&world.states.nostr);
    if state.deleted.contains(&(pubkey.to_owned(), id.to_owned())) {
        return line(false, "blocked: this event was deleted by its author");
    }
    if !state.known.insert(id.to_owned()) {
        return line(!picky, "duplicate: already have this event");
    }
    match event["kind"].as_u64() {
        Some(1) => world.ledger.appear(
            Network::Nostr,
            Appeared {
                id: id.to_owned(),
                account: &account,
                placement: "feed",
                reply_to: answered(event),
                text: event["content"].as_str().unwrap_or_default().to_owned(),
                media: Vec::new(),
                at: event["created_at"].as_i64().unwrap_or_default() * 1_000,
            },
        ),
        Some(5) => {
            for target in tags(event, "e") {
                let own = |e: &Value| e["id"] == target && e["pubkey"] == pubkey && e["kind"] != 5;
                let there = state.events.iter().any(own);
                state.events.retain(|e| !own(e));
                if there {
                    world.ledger.vanish(Network::Nostr, &target, now);
                }
                state.deleted.insert((pubkey.to_owned(), target));
            }
        }
        _ => {}
    }
    state.events.push(event.clone());
    line(true, "")
}

/// The values of all tags of this name.
fn tags(event: &Value, name: &str) -> Vec<String> {
    let all = event["tags"].as_array().map_or(&[][..], Vec::as_slice);
    let of_name = all.iter().filter(|tag| tag[0] == name);
    of_name.filter_map(|tag| tag[1].as_str().map(str::to_owned)).collect()
}

/// What a note answers: the event marked `reply`, else the one marked `root` (NIP-10).
fn answered(event: &Value) -> Option<String> {
    let all = event["tags"].as_array()?;
    let marked = |mark: &str| {
        all.iter().find(|tag| tag[0] == "e" && tag[3] == mark).and_then(|tag| tag[1].as_str())
    };
    marked("reply").or_else(|| marked("root")).map(str::to_owned)
}

/// Is it an event by NIP-01, with the id and the signature of what it says?
fn verified(event: &Value, now: i64) -> Result<(), String> {
    let text = |name: &str| event[name].as_str().ok_or_else(|| format!("`{name}` is no text"));
    let number = |name: &str| event[name].as_i64().ok_or_else(|| format!("`{name}` is no number"));
    let (pubkey, content) = (text("pubkey")?, text("content")?);
    let (created, kind) = (number("created_at")?, number("kind")?);
    if !(0..=65_535).contains(&kind) {
        return Err("`kind` is out of range".to_owned());
    }
    let all = event["tags"].as_array().ok_or("`tags` is no array")?;
    let mut written = Vec::new();
    for tag in all {
        let items = tag.as_array().filter(|items| !items.is_empty()).ok_or("a tag is no array")?;
        let quoted: Option<Vec<String>> = items.iter().map(|i| i.as_str().map(quoted)).collect();
        written.push(format!("[{}]", quoted.ok_or("a tag holds no text")?.join(",")));
    }
    if tags(event, "e").iter().any(|id| unhex::<32>(id).is_none()) {
        return Err("an e tag names no event".to_owned());
    }
    if content.len() > CONTENT_LIMIT {
        return Err("content is too long".to_owned());
    }
    if created > now / 1_000 + TOO_NEW {
        return Err("event creation date is too far off from the current time".to_owned());
    }
    if created < now / 1_000 - TOO_OLD {
        return Err("event creation date is too old".to_owned());
    }
    let written = written.join(",");
    let whole = format!("[0,\"{pubkey}\",{created},{kind},[{written}],{}]", quoted(content));
    let hash = sha256(whole.as_bytes());
    if unhex::<32>(text("id")?) != Some(hash) {
        return Err("the id is not the hash of the event".to_owned());
    }
    let key = unhex::<32>(pubkey).and_then(|bytes| VerifyingKey::from_slice(&bytes).ok());
    let signature = unhex::<64>(text("sig")?).and_then(|bytes| Signature::from_slice(&bytes).ok());
    let fits = key.zip(signature).is_some_and(|(key, sig)| key.verify_prehash(&hash, &sig).is_ok());
    if fits { Ok(()) } else { Err("bad signature".to_owned()) }
}

/// A string as NIP-01 serialises it: seven escapes, everything else as it is.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Lower case only, as on the wire.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The events that fit one of the filters, newest first, and the end of what is stored.
fn request(world: &World, message: &Value) -> Vec<Value> {
    let subscription = &message[1];
    let fits_id = subscription.as_str().is_some_and(|id| (1..=64).contains(&id.len()));
    let filters = message.as_array().map_or(&[][..], |all| all.get(2..).unwrap_or_default());
    if !fits_id || filters.is_empty() || !filters.iter().all(Value::is_object) {
        return vec![json!(["NOTICE", "error: bad req"])];
    }
    let lists = ["ids", "authors", "#e", "#p"];
    let wrong = |value: &Value| value.as_str().and_then(unhex::<32>).is_none();
    for list in filters.iter().flat_map(|filter| lists.map(|name| &filter[name])) {
        if list.as_array().is_some_and(|values| values.iter().any(wrong)) {
            return vec![json!(["CLOSED", subscription, "invalid: a filter holds no id"])];
        }
    }
    let state = lock(&world.states.nostr);
    let others: Vec<Value> = state.events.iter().flat_map(|note| answers(world, note)).collect();
    let mut found: Vec<&Value> = Vec::new();
    for filter in filters {
        let all = state.events.iter().chain(&others);
        let mut those: Vec<&Value> = all.filter(|e| fits(filter, e)).collect();
        those.sort_by_key(|e| std::cmp::Reverse(e["created_at"].as_i64()));
        let limit = filter["limit"].as_u64().and_then(|n| usize::try_from(n).ok());
        found.extend(those.into_iter().take(limit.unwrap_or(LIMIT).min(LIMIT)));
    }
    let mut lines: Vec<Value> =
        found.into_iter().map(|event| json!(["EVENT", subscription, event])).collect();
    lines.push(json!(["EOSE", subscription]));
    lines
}

/// What others sent about a note: reactions, reposts and replies.
fn answers(world: &World, note: &Value) -> Vec<Value> {
    let id = note["id"].as_str().unwrap_or_default();
    let told = world.numbers(Network::Nostr, id);
    let kinds = [
        (7, told.likes, "+"),
        (6, told.reposts(), ""),
        (16, told.quotes(), ""),
        (1, told.comments, "Yes."),
    ];
    let event = |kind: u16, i: u64, content: &str| {
        let key = SigningKey::from_slice(&secret_key(&format!("follower-{i}"))).ok()?;
        let pubkey = hex(&key.verifying_key().to_bytes());
        let (at, tags) = (&note["created_at"], json!([["e", id]]));
        let hash = sha256(json!([0, pubkey, at, kind, tags, content]).to_string().as_bytes());
        let sig = hex(&key.sign_prehash(&hash).ok()?.to_bytes());
        Some(json!({
            "id": hex(&hash), "pubkey": pubkey, "created_at": at, "kind": kind, "tags": tags,
            "content": content, "sig": sig,
        }))
    };
    let all = kinds
        .into_iter()
        .flat_map(|(kind, count, content)| (0..count).filter_map(move |i| event(kind, i, content)));
    all.collect()
}

fn fits(filter: &Value, event: &Value) -> bool {
    let at = event["created_at"].as_i64().unwrap_or_default();
    let one_of = |name: &str, value: &Value| {
        filter[name].as_array().is_none_or(|values| values.contains(value))
    };
    one_of("ids", &event["id"])
        && one_of("authors", &event["pubkey"])
        && one_of("kinds", &event["kind"])
        && filter["since"].as_i64().is_none_or(|since| since <= at)
        && filter["until"].as_i64().is_none_or(|until| at <= until)
        && ["e", "p", "t"].iter().all(|name| {
            let wanted = filter[format!("#{name}")].as_array();
            let has = tags(event, name);
            wanted.is_none_or(|values| has.iter().any(|tag| values.contains(&json!(tag))))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_documents_is_verified_and_a_changed_one_is_not() {
        let key = SigningKey::from_slice(&secret_key("alice")).unwrap();
        let pubkey = hex(&key.verifying_key().to_bytes());
        let content = "a \"b\"\n\u{1}🥨";
        let whole =
            format!("[0,\"{pubkey}\",1795341600,1,[[\"t\",\"x\"]],\"a \\\"b\\\"\\n\u{1}🥨\"]");
        let hash = sha256(whole.as_bytes());
        let sig = hex(&key.sign_prehash(&hash).unwrap().to_bytes());
        let good = json!({ "id": hex(&hash), "pubkey": pubkey, "created_at": 1_795_341_600,
                           "kind": 1, "tags": [["t", "x"]], "content": content, "sig": sig });
        let now = 1_795_341_600_000;
        assert_eq!(verified(&good, now), Ok(()));
        for (name, value) in [
            ("content", json!("another")),
            ("sig", json!("0".repeat(128))),
            ("id", json!(hex(&hash).to_uppercase())),
            ("tags", json!([[1]])),
            ("kind", json!(70_000)),
            ("created_at", json!("now")),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(verified(&bad, now).is_err(), "{name}");
        }
        assert!(verified(&good, now + (TOO_OLD + 1) * 1_000).unwrap_err().contains("too old"));
        assert!(verified(&good, now - (TOO_NEW + 1) * 1_000).unwrap_err().contains("too far"));
    }
}
