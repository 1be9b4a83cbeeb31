//! Matrix: the client-server API of one homeserver, `sandbox`, under `/matrix/_matrix/…`.
//!
//! The specification v1.18. Bearer `sandbox-{account}` is the one device of `@{account}:sandbox`, who
//! is in every room `!…:sandbox`, but for those with `notin` in their name; `encrypted` and `readonly`
//! are what they are called. A transaction id is remembered for half an hour, which is the least that
//! a known server does. Redacted events stay in the timeline, empty.

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::Blob;
use crate::world::{
    Fields, Network, World, account_of_secret, hex, lock, number_of, secret_of, sha256,
};

const EVENT_LIMIT: usize = 65_536;
const UPLOAD_LIMIT: usize = 12 << 20;
const TRANSACTION_LIFE: i64 = 30 * 60_000;

#[derive(Default)]
pub(crate) struct State {
    /// By room, oldest first.
    rooms: HashMap<String, Vec<Event>>,
    /// By account and path: the event's id, and when.
    transactions: HashMap<(String, String), (String, i64)>,
    /// By `mxc://` address.
    media: HashMap<String, Blob>,
    made: u64,
}

struct Event {
    id: String,
    account: String,
    kind: String,
    content: Value,
    at: i64,
    redacted: bool,
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    vec![
        ("server", base.to_owned()),
        ("accessToken", secret_of(account)),
        ("room", format!("!{}:sandbox", number_of(&format!("matrix room {account}"), 18))),
    ]
}

pub(crate) fn aim(_: &World, call: &Call) -> Aim {
    let kind = match (&call.method, client(call).as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::PUT, ["rooms", _, "send", ..]) if replaced(call).is_some() => Calls::Edit,
        (&Method::PUT, ["rooms", _, "send", ..]) => Calls::Publish,
        (&Method::PUT, ["rooms", _, "redact", ..]) => Calls::Delete,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: call.bearer().and_then(account_of_secret).map(str::to_owned) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if call.path == "_matrix/client/versions" {
        return Answer::json(200, &json!({ "versions": ["v1.1", "v1.10", "v1.18"] }));
    }
    let account = match call.bearer().map(account_of_secret) {
        Some(Some(account)) => account,
        Some(None) => return refuse(call, Refusal::Auth),
        None => return error(401, "M_MISSING_TOKEN", "Missing access token"),
    };
    let handled = match (call.method.as_str(), client(call).as_slice()) {
        ("GET", ["account", "whoami"]) => {
            Ok(json!({ "user_id": user(account), "device_id": "SANDBOX", "is_guest": false }))
        }
        ("GET", ["rooms", room, "state", kind]) => room_state(account, room, kind, ""),
        ("GET", ["rooms", room, "state", kind, key]) => room_state(account, room, kind, key),
        ("GET", ["rooms", room, "messages"]) => messages(world, call, account, room),
        ("GET", ["rooms", room, "event", id]) => event(world, account, room, id),
        ("PUT", ["rooms", room, "send", kind, _]) => send(world, call, account, room, kind),
        ("PUT", ["rooms", room, "redact", id, _]) => redact(world, call, account, room, id),
        _ if call.path == "_matrix/media/v3/upload" && call.method == Method::POST => {
            upload(world, call)
        }
        _ => Err(error(404, "M_UNRECOGNIZED", "Unrecognized request")),
    };
    handled.map_or_else(|refused| refused, |body| Answer::json(200, &body))
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => error(400, "M_NOT_JSON", "Content not JSON."),
        Refusal::RateLimit(ms) => {
            let body = json!({
                "errcode": "M_LIMIT_EXCEEDED",
                "error": "Too Many Requests",
                "retry_after_ms": ms,
            });
            let seconds = (ms + 999).div_euclid(1_000);
            Answer::json(429, &body).header("retry-after", &seconds.to_string())
        }
        Refusal::ServerError => error(500, "M_UNKNOWN", "Internal server error"),
        Refusal::Auth => {
            let body = json!({
                "errcode": "M_UNKNOWN_TOKEN",
                "error": "Invalid access token passed.",
                "soft_logout": false,
            });
            Answer::json(401, &body)
        }
        Refusal::TooLarge => error(413, "M_TOO_LARGE", "Upload request body is too large"),
    }
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "errcode": code, "error": message }))
}

/// After `_matrix/client/v3`.
fn client(call: &Call) -> Vec<&str> {
    match call.segments().as_slice() {
        ["_matrix", "client", "v3", rest @ ..] => rest.to_vec(),
        _ => Vec::new(),
    }
}

fn user(account: &str) -> String {
    format!("@{account}:sandbox")
}

// Rooms

/// A room that the account is in.
fn joined(account: &str, room: &str) -> Result<(), Answer> {
    let known = room.starts_with('!') && room.ends_with(":sandbox") && !room.contains("notin");
    let why = format!("User {} not in room {room}, and room previews are disabled", user(account));
    known.then_some(()).ok_or_else(|| error(403, "M_FORBIDDEN", &why))
}

fn room_state(account: &str, room: &str, kind: &str, key: &str) -> Result<Value, Answer> {
    joined(account, room)?;
    match (kind, key) {
        ("m.room.member", key) if key == user(account) => {
            Ok(json!({ "membership": "join", "displayname": account }))
        }
        ("m.room.name", "") => Ok(json!({ "name": "News" })),
        ("m.room.power_levels", "") => Ok(json!({
            "users": { "@admin:sandbox": 100 },
            "users_default": 0,
            "events": { "m.room.name": 50, "m.room.power_levels": 100 },
            "events_default": if room.contains("readonly") { 50 } else { 0 },
            "state_default": 50,
            "redact": 50,
            "ban": 50,
            "kick": 50,
            "invite": 0,
        })),
        ("m.room.encryption", "") if room.contains("encrypted") => {
            Ok(json!({ "algorithm": "m.megolm.v1.aes-sha2" }))
        }
        _ => Err(error(404, "M_NOT_FOUND", "Event not found.")),
    }
}

// Events

impl State {
    fn event_id(&mut self, room: &str) -> String {
        self.made += 1;
        format!("${}", &hex(&sha256(format!("{room} {}", self.made).as_bytes()))[..43])
    }

    fn find(&self, room: &str, id: &str) -> Option<&Event> {
        self.rooms.get(room)?.iter().find(|event| event.id == id)
    }

    /// The event that this very request has made before.
    fn known(&self, account: &str, call: &Call) -> Option<Value> {
        let key = (account.to_owned(), call.path.clone());
        let (id, at) = self.transactions.get(&key)?;
        (call.now - at < TRANSACTION_LIFE).then(|| json!({ "event_id": id }))
    }

    fn add(
        &mut self,
        account: &str,
        call: &Call,
        room: &str,
        kind: &str,
        content: Value,
    ) -> String {
        let id = self.event_id(room);
        let key = (account.to_owned(), call.path.clone());
        self.transactions.insert(key, (id.clone(), call.now));
        let event = Event {
            id: id.clone(),
            account: account.to_owned(),
            kind: kind.to_owned(),
            content,
            at: call.now,
            redacted: false,
        };
        self.rooms.entry(room.to_owned()).or_default().push(event);
        id
    }
}

fn send(
    world: &World,
    call: &Call,
    account: &str,
    room: &str,
    kind: &str,
) -> Result<Value, Answer> {
    joined(account, room)?;
    let mut state = lock(&world.states.matrix);
    if let Some(known) = state.known(account, call) {
        return Ok(known);
    }
    if room.contains("readonly") {
        let why = format!("You don't have permission to post that to the room. {}", user(account));
        return Err(error(403, "M_FORBIDDEN", &why));
    }
    let content = call.json.clone().filter(Value::is_object);
    let content = content.ok_or_else(|| error(400, "M_BAD_JSON", "Content must be an object."))?;
    if call.body.len() > EVENT_LIMIT - 1_024 {
        return Err(error(413, "M_TOO_LARGE", "event too large"));
    }
    if kind == "m.room.message" {
        for field in ["msgtype", "body"] {
            if !content[field].is_string() {
                return Err(error(400, "M_BAD_JSON", &format!("'{field}' not in content")));
            }
        }
        if content["body"].as_str().is_some_and(|body| body.trim().is_empty()) {
            return Err(error(400, "M_INVALID_PARAM", "'body' is empty"));
        }
    }
    if let Some(old) = replaced(call) {
        return replace(world, call, &mut state, account, room, content, &old);
    }
    let thread = thread(&state, room, &content)?;
    let (text, media) = shown(&state, &content);
    let id = state.add(account, call, room, kind, content);
    if kind == "m.room.message" {
        world.ledger.appear(
            Network::Matrix,
            Appeared {
                id: format!("{room}/{id}"),
                account,
                placement: if thread.is_some() { "reply" } else { "message" },
                reply_to: thread.map(|root| format!("{room}/{root}")),
                text,
                media,
                at: call.now,
            },
        );
    }
    Ok(json!({ "event_id": id }))
}

/// The event that a call wants to replace.
fn replaced(call: &Call) -> Option<String> {
    let relation = &call.json.as_ref()?["m.relates_to"];
    let id = relation["event_id"].as_str().filter(|_| relation["rel_type"] == "m.replace");
    id.map(str::to_owned)
}

/// Stores a replacement. Clients show it where it is of the same sender and the event is no
/// replacement itself; to a redacted one it makes no difference.
fn replace(
    world: &World,
    call: &Call,
    state: &mut State,
    account: &str,
    room: &str,
    content: Value,
    old: &str,
) -> Result<Value, Answer> {
    let known = state.find(room, old);
    let known =
        known.ok_or_else(|| error(400, "M_UNKNOWN", "Can't send relation to unknown event"))?;
    let new = &content["m.new_content"];
    let counts = known.account == account
        && !known.redacted
        && known.content["m.relates_to"]["rel_type"] != "m.replace"
        && new["body"].is_string()
        && new["msgtype"].is_string();
    if counts {
        let (text, media) = shown(state, new);
        world.ledger.edit(Network::Matrix, &format!("{room}/{old}"), |post| {
            (post.text, post.media) = (text, media);
        });
    }
    let id = state.add(account, call, room, "m.room.message", content);
    Ok(json!({ "event_id": id }))
}

/// The head of the thread that an event belongs to: a known one that belongs to none itself.
fn thread(state: &State, room: &str, content: &Value) -> Result<Option<String>, Answer> {
    let relation = &content["m.relates_to"];
    if relation["rel_type"] != "m.thread" {
        return Ok(None);
    }
    let root = relation["event_id"].as_str().and_then(|id| state.find(room, id));
    let root =
        root.ok_or_else(|| error(400, "M_UNKNOWN", "Can't send relation to unknown event"))?;
    if root.content["m.relates_to"]["rel_type"].is_string() {
        let why = "Cannot start threads from an event with a relation";
        return Err(error(400, "M_UNKNOWN", why));
    }
    Ok(Some(root.id.clone()))
}

/// What the people in the room see: of a picture its caption, if it has one.
fn shown(state: &State, content: &Value) -> (String, Vec<LedgerMedia>) {
    let body = content["body"].as_str().unwrap_or_default();
    if content["msgtype"] != "m.image" {
        return (body.to_owned(), Vec::new());
    }
    let named = content["filename"].as_str().filter(|name| *name != body);
    let caption = if named.is_some() { body } else { "" };
    let blob = content["url"].as_str().and_then(|url| state.media.get(url));
    (caption.to_owned(), blob.map(|blob| blob.in_ledger("")).into_iter().collect())
}

fn event_json(room: &str, event: &Event) -> Value {
    let mut json = json!({
        "type": event.kind,
        "event_id": event.id,
        "room_id": room,
        "sender": user(&event.account),
        "origin_server_ts": event.at,
        "content": if event.redacted { json!({}) } else { event.content.clone() },
        "unsigned": {},
    });
    if event.redacted {
        json["unsigned"]["redacted_because"] = json!({ "type": "m.room.redaction" });
    }
    json
}

fn event(world: &World, account: &str, room: &str, id: &str) -> Result<Value, Answer> {
    joined(account, room)?;
    let state = lock(&world.states.matrix);
    let event = state.find(room, id);
    let event = event.ok_or_else(|| error(404, "M_NOT_FOUND", "Event not found."))?;
    Ok(event_json(room, event))
}

/// A page of the timeline. A filter leaves events out of the page and does not make it longer.
fn messages(world: &World, call: &Call, account: &str, room: &str) -> Result<Value, Answer> {
    joined(account, room)?;
    let backwards = match call.text("dir").as_deref() {
        Some("b") => true,
        Some("f") => false,
        _ => return Err(error(400, "M_MISSING_PARAM", "Missing query parameter: dir")),
    };
    let limit = call.number("limit").unwrap_or(10).clamp(1, 1_000);
    let limit = usize::try_from(limit).unwrap_or(10);
    let filter = call.nested("filter").unwrap_or_default();
    let state = lock(&world.states.matrix);
    let all = state.rooms.get(room).map_or(&[][..], Vec::as_slice);
    let from = match call.text("from") {
        None if backwards => all.len(),
        None => 0,
        Some(token) => token
            .strip_prefix('t')
            .and_then(|at| at.parse().ok())
            .filter(|at| *at <= all.len())
            .ok_or_else(|| error(400, "M_INVALID_PARAM", "Invalid pagination token"))?,
    };
    let wanted = |event: &&Event| {
        let among = |name: &str, value: &str| match filter[name].as_array() {
            Some(list) => list.iter().any(|one| one == value),
            None => true,
        };
        among("types", &event.kind) && among("senders", &user(&event.account))
    };
    let (chunk, end): (Vec<Value>, _) = if backwards {
        let to = from.saturating_sub(limit);
        let page = all[to..from].iter().rev().filter(wanted);
        (page.map(|event| event_json(room, event)).collect(), (to > 0).then_some(to))
    } else {
        let to = (from + limit).min(all.len());
        let page = all[from..to].iter().filter(wanted);
        (page.map(|event| event_json(room, event)).collect(), (to < all.len()).then_some(to))
    };
    let mut body = json!({ "start": format!("t{from}"), "chunk": chunk });
    if let Some(end) = end {
        body["end"] = json!(format!("t{end}"));
    }
    Ok(body)
}

fn redact(
    world: &World,
    call: &Call,
    account: &str,
    room: &str,
    id: &str,
) -> Result<Value, Answer> {
    joined(account, room)?;
    let mut state = lock(&world.states.matrix);
    if let Some(known) = state.known(account, call) {
        return Ok(known);
    }
    match state.find(room, id) {
        None => return Err(error(404, "M_NOT_FOUND", "Could not find event")),
        Some(event) if event.account != account => {
            let why = "You don't have permission to redact events";
            return Err(error(403, "M_FORBIDDEN", why));
        }
        Some(_) => {}
    }
    let events = state.rooms.get_mut(room).into_iter().flatten();
    events.filter(|event| event.id == id).for_each(|event| event.redacted = true);
    world.ledger.vanish(Network::Matrix, &format!("{room}/{id}"), call.now);
    let redaction = json!({ "redacts": id });
    let made = state.add(account, call, room, "m.room.redaction", redaction);
    Ok(json!({ "event_id": made }))
}

// Media

fn upload(world: &World, call: &Call) -> Result<Value, Answer> {
    if call.body.is_empty() {
        return Err(error(400, "M_UNKNOWN", "Request must specify a Content-Length"));
    }
    if call.body.len() > UPLOAD_LIMIT {
        return Err(error(413, "M_TOO_LARGE", "Upload request body is too large"));
    }
    let blob = world.blobs.keep(&call.body);
    let uri = format!("mxc://sandbox/{}", &blob.hash[..24]);
    lock(&world.states.matrix).media.insert(uri.clone(), blob);
    Ok(json!({ "content_uri": uri }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_told_apart_by_their_names() {
        assert!(joined("alice", "!news:sandbox").is_ok());
        for other in ["!notin:sandbox", "#news:sandbox", "!news:elsewhere", ""] {
            assert!(joined("alice", other).is_err(), "{other}");
        }
        assert!(room_state("alice", "!encrypted:sandbox", "m.room.encryption", "").is_ok());
        assert!(room_state("alice", "!news:sandbox", "m.room.encryption", "").is_err());
    }

    #[test]
    fn a_caption_is_what_is_not_the_name() {
        let state = State::default();
        let text = |content| shown(&state, &content).0;
        assert_eq!(text(json!({ "msgtype": "m.text", "body": "Hi" })), "Hi");
        assert_eq!(text(json!({ "msgtype": "m.image", "body": "a.jpg", "filename": "a.jpg" })), "");
        assert_eq!(text(json!({ "msgtype": "m.image", "body": "a.jpg" })), "");
        assert_eq!(text(json!({ "msgtype": "m.image", "body": "Hi", "filename": "a.jpg" })), "Hi");
    }
}
