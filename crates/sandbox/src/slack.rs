//! Slack: the Web API, under `/slack/api/{method}`, its consent page and its upload addresses.
//!
//! networks.md §15 and Slack's method reference. Bearer `sandbox-{account}`, or a token that was
//! issued here: those end after 12 hours, and each refresh token works once. Every answer is a 200,
//! but for a rate limit. Every channel `C…` or `G…` (private) of eight letters and digits or more
//! exists and the app is in it, but for names with GONE (unknown), NOTIN (public, not invited), ARCHIVED
//! and READONLY in them. A picture is looked at by one `files.info` before blocks may show it. A
//! `client_msg_id` names the message it made.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::Blob;
use crate::oauth::{Bad, Provider, Refresh, Rules, SecretIn};
use crate::text::{Piece, pieces};
use crate::world::{Fields, Network, World, hex, lock, number_of, secret_of, sha256};

const TEXT_LIMIT: usize = 40_000;
const SECTION_LIMIT: usize = 3_000;
const ALT_LIMIT: usize = 2_000;
const FILE_ALT_LIMIT: usize = 1_000;
const MAX_BLOCKS: usize = 50;

const RULES: Rules = Rules {
    name: "Slack",
    authorize: "oauth/v2/authorize",
    token: "api/oauth.v2.access",
    id_param: "client_id",
    secret: SecretIn::Either,
    grant_type: false,
    pkce: false,
    separator: ',',
    code_ms: 10 * 60_000,
    access_ms: Some(12 * 3_600_000),
    refresh: Refresh::Rotates(None),
};

/// What a static token may do.
const SCOPES: &str = "chat:write,channels:read,groups:read,channels:history,groups:history,\
                      files:write,files:read";

#[derive(Default)]
pub(crate) struct State {
    oauth: Provider,
    /// By channel, then by time in microseconds.
    channels: HashMap<String, BTreeMap<i64, Message>>,
    /// By account and `client_msg_id`: channel and time.
    sent: HashMap<(String, String), (String, i64)>,
    files: HashMap<String, File>,
    /// By the last part of their address.
    tickets: HashMap<String, String>,
    last: i64,
    made: u64,
}

struct Message {
    account: String,
    /// As it was written, entities and all.
    text: String,
    blocks: Value,
    metadata: Value,
    thread: Option<i64>,
}

struct File {
    account: String,
    name: String,
    title: String,
    alt: String,
    length: usize,
    blob: Option<Blob>,
    complete: bool,
    /// Has `files.info` been asked once?
    seen: bool,
}

/// Whose call it is, and what may be done with it.
struct Caller {
    account: String,
    scopes: String,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("accessToken", secret_of(account)), ("channel", channel_of(account))]
}

fn channel_of(account: &str) -> String {
    format!("C0{}", number_of(&format!("slack channel {account}"), 9))
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match method(call) {
        "chat.postMessage" => Calls::Publish,
        "files.completeUploadExternal" if call.text("channel_id").is_some() => Calls::Publish,
        "chat.update" => Calls::Edit,
        "chat.delete" => Calls::Delete,
        "auth.test"
        | "conversations.info"
        | "conversations.list"
        | "conversations.history"
        | "conversations.replies"
        | "files.info"
        | "chat.getPermalink" => Calls::Read,
        _ if call.method == Method::GET => Calls::Read,
        _ => Calls::Prepare,
    };
    let state = lock(&world.states.slack);
    let account = call.bearer().and_then(|token| state.oauth.account_of(token, call.now).ok());
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let path = call.segments();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", ["archives", channel, message]) => return permalink(call, channel, message),
        ("POST", ["upload", "v1", ticket]) => return take(world, call, ticket),
        _ => {}
    }
    if let Some(answer) = lock(&world.states.slack).oauth.answer(&RULES, call) {
        return if call.path == RULES.token { in_slacks_words(call, &answer) } else { answer };
    }
    let caller = match caller(world, call) {
        Ok(caller) => caller,
        Err(word) => return refused(word),
    };
    let handled = match method(call) {
        "auth.test" => Ok(who(call, &caller)),
        "auth.revoke" => revoke(world, call),
        "conversations.info" => info(call, &caller),
        "conversations.list" => list(&caller),
        "conversations.history" => history(world, call, &caller),
        "conversations.replies" => replies(world, call, &caller),
        "chat.postMessage" => post(world, call, &caller),
        "chat.update" => update(world, call, &caller),
        "chat.delete" => delete(world, call, &caller),
        "files.getUploadURLExternal" => upload_url(world, call, &caller),
        "files.completeUploadExternal" => complete(world, call, &caller),
        "files.info" => file_info(world, call, &caller),
        _ => Err(refused("unknown_method")),
    };
    let answer = handled.map_or_else(
        |refused| refused,
        |mut body| {
            body["ok"] = json!(true);
            Answer::json(200, &body)
        },
    );
    answer.header("x-oauth-scopes", &caller.scopes)
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => refused("invalid_json"),
        Refusal::RateLimit(ms) => {
            let seconds = (ms + 999).div_euclid(1_000);
            Answer::json(429, &json!({ "ok": false, "error": "ratelimited" }))
                .header("retry-after", &seconds.to_string())
        }
        Refusal::ServerError => refused("fatal_error"),
        Refusal::Auth => refused("token_revoked"),
        Refusal::TooLarge => Answer::html(413, "<html><title>413</title></html>"),
    }
}

fn refused(word: &str) -> Answer {
    Answer::json(200, &json!({ "ok": false, "error": word }))
}

/// Blocks are refused with the place of what is wrong in them.
fn invalid_blocks(why: &str, at: &str) -> Answer {
    let why = format!("{why} [json-pointer:{at}]");
    let body = json!({
        "ok": false,
        "error": "invalid_blocks",
        "errors": [why],
        "response_metadata": { "messages": [format!("[ERROR] {why}")] },
    });
    Answer::json(200, &body)
}

fn method(call: &Call) -> &str {
    call.path.strip_prefix("api/").unwrap_or_default()
}

// Tokens

fn caller(world: &World, call: &Call) -> Result<Caller, &'static str> {
    let token = call.bearer().ok_or("not_authed")?;
    let state = lock(&world.states.slack);
    let account = state.oauth.account_of(token, call.now).map_err(|bad| match bad {
        Bad::Expired => "token_expired",
        Bad::Unknown => "invalid_auth",
    })?;
    let scopes = state.oauth.scope_of(token).unwrap_or(SCOPES).to_owned();
    Ok(Caller { account, scopes })
}

impl Caller {
    fn may(&self, scope: &str) -> Result<(), Answer> {
        if self.scopes.split(',').any(|held| held == scope) {
            return Ok(());
        }
        let body = json!({
            "ok": false,
            "error": "missing_scope",
            "needed": scope,
            "provided": self.scopes,
        });
        Err(Answer::json(200, &body))
    }
}

/// The token endpoint answers like every other method.
fn in_slacks_words(call: &Call, answer: &Answer) -> Answer {
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status.is_success() {
        body["ok"] = json!(true);
        body["token_type"] = json!("bot");
        body["app_id"] = json!("A0SANDBOX");
        body["bot_user_id"] = json!("U0SANDBOX");
        body["team"] = json!({ "id": "T0SANDBOX", "name": "Sandbox" });
        return Answer::json(200, &body);
    }
    let about = body["error_description"].as_str().unwrap_or_default();
    refused(match body["error"].as_str() {
        Some("invalid_client") => "bad_client_secret",
        Some("invalid_grant") if about.contains("redirect") => "bad_redirect_uri",
        Some("invalid_grant") if call.text("grant_type").as_deref() == Some("refresh_token") => {
            "invalid_refresh_token"
        }
        Some("invalid_grant") => "invalid_code",
        _ => "invalid_grant_type",
    })
}

fn user_id(account: &str) -> String {
    format!("U0{}", number_of(&format!("slack user {account}"), 9))
}

fn bot_id(account: &str) -> String {
    format!("B0{}", number_of(&format!("slack bot {account}"), 9))
}

fn who(call: &Call, caller: &Caller) -> Value {
    json!({
        "url": format!("{}/slack/", call.origin),
        "team": "Sandbox",
        "user": caller.account,
        "team_id": "T0SANDBOX",
        "user_id": user_id(&caller.account),
        "bot_id": bot_id(&caller.account),
        "is_enterprise_install": false,
    })
}

fn revoke(world: &World, call: &Call) -> Result<Value, Answer> {
    lock(&world.states.slack).oauth.revoke(call.bearer().unwrap_or_default());
    Ok(json!({ "revoked": true }))
}

// Channels

/// A channel that the app can see.
fn channel(call: &Call) -> Result<String, Answer> {
    let id = call.text("channel").unwrap_or_default();
    let letters = id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let known = id.starts_with(['C', 'G']) && id.len() >= 9 && letters && !id.contains("GONE");
    known.then_some(id).ok_or_else(|| refused("channel_not_found"))
}

/// A channel that the app is in.
fn joined(call: &Call) -> Result<String, Answer> {
    let id = channel(call)?;
    if id.contains("NOTIN") { Err(refused("not_in_channel")) } else { Ok(id) }
}

fn may_read(caller: &Caller, channel: &str) -> Result<(), Answer> {
    caller.may(if channel.starts_with('G') { "groups:history" } else { "channels:history" })
}

fn channel_json(id: &str) -> Value {
    json!({
        "id": id,
        "name": "news",
        "name_normalized": "news",
        "is_channel": true,
        "is_group": false,
        "is_im": false,
        "is_mpim": false,
        "is_private": id.starts_with('G'),
        "is_archived": id.contains("ARCHIVED"),
        "is_general": false,
        "is_member": !id.contains("NOTIN"),
        "created": 1_767_225_600,
        "topic": { "value": "", "creator": "", "last_set": 0 },
        "purpose": { "value": "", "creator": "", "last_set": 0 },
    })
}

fn info(call: &Call, caller: &Caller) -> Result<Value, Answer> {
    let id = channel(call)?;
    caller.may(if id.starts_with('G') { "groups:read" } else { "channels:read" })?;
    Ok(json!({ "channel": channel_json(&id) }))
}

fn list(caller: &Caller) -> Result<Value, Answer> {
    caller.may("channels:read")?;
    let own = channel_of(&caller.account);
    let all = [channel_json(&own), channel_json("C0NOTIN01"), channel_json("G0PRIVATE")];
    Ok(json!({ "channels": all, "response_metadata": { "next_cursor": "" } }))
}

// Messages

/// `1503435956.000247`
fn written(ts: i64) -> String {
    format!("{}.{:06}", ts.div_euclid(1_000_000), ts.rem_euclid(1_000_000))
}

/// What [`written`] wrote; whole seconds are times too.
fn read(ts: &str) -> Option<i64> {
    let (seconds, micros) = ts.split_once('.').unwrap_or((ts, "0"));
    let digits = micros.get(..6).unwrap_or(micros);
    let scale = 10_i64.checked_pow(6_u32.checked_sub(u32::try_from(digits.len()).ok()?)?)?;
    let seconds: i64 = seconds.parse().ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(digits.parse::<i64>().ok()?.checked_mul(scale)?)
}

fn post(world: &World, call: &Call, caller: &Caller) -> Result<Value, Answer> {
    caller.may("chat:write")?;
    let channel = joined(call)?;
    if channel.contains("ARCHIVED") {
        return Err(refused("is_archived"));
    }
    if channel.contains("READONLY") {
        return Err(refused("restricted_action_read_only_channel"));
    }
    let mut state = lock(&world.states.slack);
    let text = call.text("text").unwrap_or_default();
    if text.chars().count() > TEXT_LIMIT {
        return Err(refused("msg_too_long"));
    }
    let blocks = call.nested("blocks").unwrap_or_else(|| json!([]));
    let (shown, media) = shown(&state, caller, &text, &blocks)?;
    if shown.trim().is_empty() && media.is_empty() {
        return Err(refused("no_text"));
    }
    let metadata = call.nested("metadata").unwrap_or_default();
    let typed = metadata["event_type"].is_string() && metadata["event_payload"].is_object();
    if !metadata.is_null() && !typed {
        return Err(refused("invalid_metadata_format"));
    }
    let key = call.text("client_msg_id").map(|key| (caller.account.clone(), key));
    if let Some((there, at)) = key.as_ref().and_then(|key| state.sent.get(key)) {
        if *there != channel {
            return Err(refused("duplicate_channel_not_found"));
        }
        let first = state.channels.get(there).and_then(|all| all.get(at));
        let first = first.ok_or_else(|| refused("duplicate_message_not_found"))?;
        let message = message_json(*at, first, true);
        return Ok(json!({ "channel": there, "ts": written(*at), "message": message }));
    }
    let thread = match call.text("thread_ts") {
        None => None,
        Some(ts) => Some(head(&state, &channel, &ts)?),
    };
    let at = (state.last + 1).max(call.now * 1_000);
    state.last = at;
    if let Some(key) = key {
        state.sent.insert(key, (channel.clone(), at));
    }
    world.ledger.appear(
        Network::Slack,
        Appeared {
            id: format!("{channel}/{}", written(at)),
            account: &caller.account,
            placement: if thread.is_some() { "reply" } else { "message" },
            reply_to: thread.map(|head| format!("{channel}/{}", written(head))),
            text: shown,
            media,
            at: call.now,
        },
    );
    let account = caller.account.clone();
    let message = Message { account, text, blocks, metadata, thread };
    let json = message_json(at, &message, true);
    state.channels.entry(channel.clone()).or_default().insert(at, message);
    Ok(json!({ "channel": channel, "ts": written(at), "message": json }))
}

/// The head of a thread: a message of this channel that is no reply itself.
fn head(state: &State, channel: &str, ts: &str) -> Result<i64, Answer> {
    let at = read(ts).ok_or_else(|| refused("invalid_arguments"))?;
    let message = state.channels.get(channel).and_then(|all| all.get(&at));
    match message {
        None => Err(refused("thread_not_found")),
        Some(message) if message.thread.is_some() => Err(refused("cannot_reply_to_message")),
        Some(_) => Ok(at),
    }
}

/// What a follower reads and sees: the blocks where there are some, otherwise the text.
fn shown(
    state: &State,
    caller: &Caller,
    text: &str,
    blocks: &Value,
) -> Result<(String, Vec<LedgerMedia>), Answer> {
    let blocks = blocks.as_array().ok_or_else(|| refused("invalid_blocks_format"))?;
    if blocks.len() > MAX_BLOCKS {
        return Err(invalid_blocks("no more than 50 items allowed", "/blocks"));
    }
    if blocks.is_empty() {
        return Ok((plain(text), Vec::new()));
    }
    let (mut texts, mut media) = (String::new(), Vec::new());
    for (i, block) in blocks.iter().enumerate() {
        match block["type"].as_str() {
            Some("section") => {
                let at = format!("/blocks/{i}/text/text");
                let text = block["text"]["text"].as_str().unwrap_or_default();
                match text.chars().count() {
                    0 => return Err(invalid_blocks("must be more than 0 characters", &at)),
                    n if n > SECTION_LIMIT => {
                        return Err(invalid_blocks("must be less than 3001 characters", &at));
                    }
                    _ => texts.push_str(&plain(text)),
                }
            }
            Some("image") => media.push(image(state, caller, block, i)?),
            _ => return Err(invalid_blocks("unsupported type", &format!("/blocks/{i}/type"))),
        }
    }
    Ok((texts, media))
}

fn image(state: &State, caller: &Caller, block: &Value, i: usize) -> Result<LedgerMedia, Answer> {
    let alt = block["alt_text"].as_str().unwrap_or_default();
    let at = format!("/blocks/{i}/alt_text");
    match alt.chars().count() {
        0 => return Err(invalid_blocks("must be more than 0 characters", &at)),
        n if n > ALT_LIMIT => {
            return Err(invalid_blocks("must be less than 2001 characters", &at));
        }
        _ => {}
    }
    let at = format!("/blocks/{i}/slack_file");
    let file = block["slack_file"]["id"].as_str().and_then(|id| state.files.get(id));
    let ready = file.filter(|file| file.account == caller.account && file.complete && file.seen);
    let blob = ready.and_then(|file| file.blob.as_ref());
    let shown = ["image/jpeg", "image/png", "image/gif"];
    let blob = blob.filter(|blob| blob.kind.is_some_and(|kind| shown.contains(&kind.mime)));
    blob.map(|blob| blob.in_ledger(alt)).ok_or_else(|| invalid_blocks("invalid slack file", &at))
}

/// Text as it is read: entities resolved, and what stands between `<` and `>` taken as a link or a
/// mention.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        rest = &rest[open + 1..];
        let Some(close) = rest.find('>') else { break };
        let inside = &rest[..close];
        out.push_str(inside.split_once('|').map_or(inside, |(_, label)| label));
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    out.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Text as it is stored: links between `<` and `>`.
fn linked(text: &str) -> String {
    let shown = |piece: Piece<'_>| match piece {
        Piece::Link(link) => format!("<{link}>"),
        Piece::Plain(text) | Piece::Tag(text) => text.to_owned(),
        Piece::Mention { whole, .. } => whole.to_owned(),
    };
    pieces(text).into_iter().map(shown).collect()
}

fn message_json(at: i64, message: &Message, whole: bool) -> Value {
    let mut json = json!({
        "type": "message",
        "user": user_id(&message.account),
        "bot_id": bot_id(&message.account),
        "app_id": "A0SANDBOX",
        "team": "T0SANDBOX",
        "text": linked(&message.text),
        "ts": written(at),
    });
    if message.blocks.as_array().is_some_and(|blocks| !blocks.is_empty()) {
        json["blocks"] = message.blocks.clone();
    }
    if let Some(head) = message.thread {
        json["thread_ts"] = json!(written(head));
    }
    if !message.metadata.is_null() {
        json["metadata"] = match whole {
            true => message.metadata.clone(),
            false => json!({ "event_type": message.metadata["event_type"] }),
        };
    }
    json
}

/// What is asked of a listing.
struct Asked {
    oldest: i64,
    latest: i64,
    inclusive: bool,
    limit: usize,
    skip: usize,
    whole: bool,
}

impl Asked {
    fn of(call: &Call) -> Result<Self, Answer> {
        let time = |name: &str, word: &str, usual: i64| match call.text(name) {
            None => Ok(usual),
            Some(text) => read(&text).ok_or_else(|| refused(word)),
        };
        let limit = call.number("limit").unwrap_or(100);
        let skip = match call.text("cursor").filter(|cursor| !cursor.is_empty()) {
            None => Some(0),
            Some(cursor) => cursor.strip_prefix("next:").and_then(|n| n.parse().ok()),
        };
        Ok(Self {
            oldest: time("oldest", "invalid_ts_oldest", 0)?,
            latest: time("latest", "invalid_ts_latest", i64::MAX)?,
            inclusive: call.flag("inclusive").unwrap_or(false),
            limit: usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=999).contains(limit))
                .ok_or_else(|| refused("invalid_limit"))?,
            skip: skip.ok_or_else(|| refused("invalid_cursor"))?,
            whole: call.flag("include_all_metadata").unwrap_or(false),
        })
    }

    fn takes(&self, at: i64) -> bool {
        (self.oldest < at && at < self.latest)
            || (self.inclusive && (at == self.oldest || at == self.latest))
    }

    /// One page of what was found.
    fn page(&self, found: &[(i64, &Message)]) -> Value {
        let page = found.iter().skip(self.skip).take(self.limit);
        let messages: Vec<Value> = page.map(|(at, m)| message_json(*at, m, self.whole)).collect();
        let next = self.skip + messages.len();
        let more = next < found.len();
        let cursor = if more { format!("next:{next}") } else { String::new() };
        json!({
            "messages": messages,
            "has_more": more,
            "pin_count": 0,
            "response_metadata": { "next_cursor": cursor },
        })
    }
}

/// Newest first, without what stands in threads.
fn history(world: &World, call: &Call, caller: &Caller) -> Result<Value, Answer> {
    let channel = joined(call)?;
    may_read(caller, &channel)?;
    let asked = Asked::of(call)?;
    let state = lock(&world.states.slack);
    let all = state.channels.get(&channel).into_iter().flatten();
    let mut found: Vec<(i64, &Message)> = all
        .map(|(at, message)| (*at, message))
        .filter(|(at, message)| message.thread.is_none() && asked.takes(*at))
        .collect();
    found.reverse();
    Ok(asked.page(&found))
}

/// The head of the thread, whatever its time, then its replies, oldest first.
fn replies(world: &World, call: &Call, caller: &Caller) -> Result<Value, Answer> {
    let channel = joined(call)?;
    may_read(caller, &channel)?;
    let asked = Asked::of(call)?;
    let state = lock(&world.states.slack);
    let ts = call.text("ts").and_then(|ts| read(&ts));
    let all = state.channels.get(&channel);
    let head = ts.filter(|at| all.is_some_and(|all| all.contains_key(at)));
    let head = head.ok_or_else(|| refused("thread_not_found"))?;
    let found: Vec<(i64, &Message)> = all
        .into_iter()
        .flatten()
        .map(|(at, message)| (*at, message))
        .filter(|(at, m)| *at == head || (m.thread == Some(head) && asked.takes(*at)))
        .collect();
    let mut page = asked.page(&found);
    for message in page["messages"].as_array_mut().into_iter().flatten() {
        let id = format!("{channel}/{}", message["ts"].as_str().unwrap_or_default());
        let told = world.numbers(Network::Slack, &id);
        // Left out where there are none.
        if told.likes > 0 {
            message["reactions"] = json!([{ "name": "tada", "users": [], "count": told.likes }]);
        }
        // Of the head of a thread alone.
        if told.comments > 0 && message["thread_ts"].is_null() {
            message["reply_count"] = json!(told.comments);
        }
    }
    Ok(page)
}

/// Blocks and metadata that are not named stay.
fn update(world: &World, call: &Call, caller: &Caller) -> Result<Value, Answer> {
    caller.may("chat:write")?;
    let channel = channel(call)?;
    let at = call.text("ts").and_then(|ts| read(&ts)).unwrap_or_default();
    let mut state = lock(&world.states.slack);
    let old = state.channels.get(&channel).and_then(|all| all.get(&at));
    let old = old.ok_or_else(|| refused("message_not_found"))?;
    if old.account != caller.account {
        return Err(refused("cant_update_message"));
    }
    let text = call.text("text").unwrap_or_else(|| old.text.clone());
    if text.chars().count() > TEXT_LIMIT {
        return Err(refused("msg_too_long"));
    }
    let blocks = call.nested("blocks").unwrap_or_else(|| old.blocks.clone());
    let (shown, media) = shown(&state, caller, &text, &blocks)?;
    if shown.trim().is_empty() && media.is_empty() {
        return Err(refused("no_text"));
    }
    let id = format!("{channel}/{}", written(at));
    world.ledger.edit(Network::Slack, &id, |post| (post.text, post.media) = (shown, media));
    let message = state.channels.entry(channel.clone()).or_default().get_mut(&at);
    let message = message.ok_or_else(|| refused("message_not_found"))?;
    (message.text, message.blocks) = (text.clone(), blocks);
    let json = message_json(at, message, true);
    Ok(json!({ "channel": channel, "ts": written(at), "text": text, "message": json }))
}

fn delete(world: &World, call: &Call, caller: &Caller) -> Result<Value, Answer> {
    caller.may("chat:write")?;
    let channel = channel(call)?;
    let mut state = lock(&world.states.slack);
    let at = call.text("ts").and_then(|ts| read(&ts)).unwrap_or_default();
    let all = state.channels.entry(channel.clone()).or_default();
    match all.get(&at) {
        None => return Err(refused("message_not_found")),
        Some(message) if message.account != caller.account => {
            return Err(refused("cant_delete_message"));
        }
        Some(_) => all.remove(&at),
    };
    let id = format!("{channel}/{}", written(at));
    world.ledger.vanish(Network::Slack, &id, call.now);
    Ok(json!({ "channel": channel, "ts": written(at) }))
}

/// `p1503435956000247` of an address back to a time, and on to the page that shows it.
fn permalink(call: &Call, channel: &str, message: &str) -> Answer {
    let digits = message.strip_prefix('p').and_then(|digits| digits.parse().ok());
    let ts = written(digits.unwrap_or_default());
    let page = format!("{}/posts/slack/{channel}/{ts}", call.origin);
    Answer::html(302, "").header("location", &page)
}

// Files

fn upload_url(world: &World, call: &Call, caller: &Caller) -> Result<Value, Answer> {
    caller.may("files:write")?;
    // One of the methods that read no JSON.
    if call.json.is_some() {
        return Err(refused("invalid_arguments"));
    }
    let length = call.number("length").and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let name = call.text("filename").unwrap_or_default();
    if length == 0 || name.is_empty() {
        return Err(refused("missing_argument"));
    }
    let alt = call.text("alt_txt").unwrap_or_default();
    if alt.chars().count() > FILE_ALT_LIMIT {
        return Err(refused("alt_txt_too_large"));
    }
    let mut state = lock(&world.states.slack);
    state.made += 1;
    let id = format!("F0{}", number_of(&format!("slack file {}", state.made), 9));
    let ticket = hex(&sha256(format!("slack ticket {}", state.made).as_bytes())[..20]);
    let account = caller.account.clone();
    let file = File {
        account,
        title: name.clone(),
        name,
        alt,
        length,
        blob: None,
        complete: false,
        seen: false,
    };
    state.files.insert(id.clone(), file);
    state.tickets.insert(ticket.clone(), id.clone());
    let url = format!("{}/slack/upload/v1/{ticket}", call.origin);
    Ok(json!({ "upload_url": url, "file_id": id }))
}

/// The bytes: as they are, or as the one file of a form.
fn take(world: &World, call: &Call, ticket: &str) -> Answer {
    let bytes: &Bytes = call.files.first().map_or(&call.body, |file| &file.bytes);
    let state = &mut *lock(&world.states.slack);
    let file = match state.tickets.get(ticket) {
        Some(id) => state.files.get_mut(id),
        None => None,
    };
    match file {
        Some(file) if file.length == bytes.len() && file.blob.is_none() => {
            file.blob = Some(world.blobs.keep(bytes));
            Answer::new(200, "text/plain", format!("OK - {}", bytes.len()))
        }
        Some(_) => Answer::new(400, "text/plain", "length mismatch"),
        None => Answer::new(404, "text/plain", "unknown ticket"),
    }
}

fn complete(world: &World, call: &Call, caller: &Caller) -> Result<Value, Answer> {
    caller.may("files:write")?;
    if call.text("channel_id").is_some() || call.text("channels").is_some() {
        // What it posts has no id that it would name; the sandbox does not speak it.
        return Err(refused("invalid_arguments"));
    }
    let asked = call.nested("files").and_then(|files| files.as_array().cloned());
    let asked = asked.filter(|files| !files.is_empty());
    let asked = asked.ok_or_else(|| refused("invalid_arguments"))?;
    let mut state = lock(&world.states.slack);
    let own = |state: &State, id: &str| {
        let file = state.files.get(id);
        file.is_some_and(|f| f.account == caller.account && f.blob.is_some() && !f.complete)
    };
    if !asked.iter().all(|file| file["id"].as_str().is_some_and(|id| own(&state, id))) {
        return Err(refused("file_not_found"));
    }
    for one in &asked {
        if let Some(id) = one["id"].as_str()
            && let Some(file) = state.files.get_mut(id)
        {
            file.complete = true;
            if let Some(title) = one["title"].as_str() {
                file.title = title.to_owned();
            }
        }
    }
    Ok(json!({ "files": asked }))
}

fn file_info(world: &World, call: &Call, caller: &Caller) -> Result<Value, Answer> {
    caller.may("files:read")?;
    let id = call.text("file").unwrap_or_default();
    let mut state = lock(&world.states.slack);
    let file = state.files.get_mut(&id).filter(|f| f.account == caller.account && f.complete);
    let file = file.ok_or_else(|| refused("file_not_found"))?;
    let waits = !file.seen || world.faults.still_processing(Network::Slack, &caller.account);
    let kind = file.blob.as_ref().and_then(|blob| blob.kind).filter(|_| !waits);
    file.seen = true;
    Ok(json!({ "file": {
        "id": id,
        "created": call.now / 1_000,
        "name": file.name,
        "title": file.title,
        "mimetype": kind.map_or("", |kind| kind.mime),
        "filetype": kind.map_or("", |kind| kind.extension),
        "alt_txt": file.alt,
        "user": user_id(&file.account),
        "size": file.length,
        "mode": "hosted",
        "is_public": false,
        "shares": {},
    }}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ids_and_are_read_back() {
        assert_eq!(written(1_503_435_956_000_247), "1503435956.000247");
        assert_eq!(read("1503435956.000247"), Some(1_503_435_956_000_247));
        assert_eq!(read("1503435956"), Some(1_503_435_956_000_000));
        assert_eq!(read("1503435956.5"), Some(1_503_435_956_500_000));
        for bad in ["", "x", "1.x", "99999999999999999999.0"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn text_is_read_as_slack_reads_it() {
        assert_eq!(plain("a &lt;b&gt; &amp;amp; c"), "a <b> &amp; c");
        assert_eq!(
            plain("see <https://a.example|here> <!channel> < open"),
            "see here !channel  open"
        );
        assert_eq!(linked("see https://a.example."), "see <https://a.example>.");
    }
}
