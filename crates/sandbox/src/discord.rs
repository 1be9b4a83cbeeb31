//! Discord: the bot's side of the HTTP API v10, under `/discord/api/v10/…`.
//!
//! networks.md §14 and the API's own documents. `Authorization: Bot sandbox-{account}`. Every channel
//! with an id of 17 to 20 digits exists, each in a guild of its own, but for those that end in 000
//! (unknown), 001 (the bot may not send), 002 (it may not read the history: listings are empty) and
//! 015 (a forum). A nonce with `enforce_nonce` names the message it made for three minutes, which is
//! the least that "the past few minutes" can mean. Listings do not show it again.

use std::collections::{BTreeMap, HashMap};

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::Blob;
use crate::poll::{Poll, fit, texts};
use crate::world::{Fields, Network, World, account_of_secret, lock, number_of, secret_of, stamp};

const CONTENT_LIMIT: usize = 2_000;
const FILE_LIMIT: usize = 10 << 20;
const MAX_FILES: usize = 10;
const DESCRIPTION_LIMIT: usize = 1_024;
const NONCE_LIMIT: usize = 25;
const NONCE_LIFE: i64 = 3 * 60_000;
/// 2015-01-01T00:00:00Z, where the numbers of messages start.
const EPOCH: i64 = 1_420_070_400_000;

const VIEW_CHANNEL: u64 = 1 << 10;
const SEND_MESSAGES: u64 = 1 << 11;
const READ_MESSAGE_HISTORY: u64 = 1 << 16;
const SEND_POLLS: u64 = 1 << 49;
/// View, send, embed, attach, history, polls: what `@everyone` has in a new guild, of what matters here.
const USUAL: u64 =
    VIEW_CHANNEL | SEND_MESSAGES | 1 << 14 | 1 << 15 | READ_MESSAGE_HISTORY | SEND_POLLS;

#[derive(Default)]
pub(crate) struct State {
    /// By channel, then by number.
    channels: HashMap<u64, BTreeMap<u64, Message>>,
    /// By account and nonce: channel, message, time.
    nonces: HashMap<(String, String), (u64, u64, i64)>,
    last_id: u64,
}

struct Message {
    account: String,
    content: Content,
    reply_to: Option<u64>,
    at: i64,
    edited: Option<i64>,
}

/// What somebody wants to say.
pub(crate) struct Content {
    pub(crate) text: String,
    pub(crate) files: Vec<Attached>,
    pub(crate) poll: Option<Poll>,
}

pub(crate) struct Attached {
    blob: Blob,
    name: String,
    description: String,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("botToken", secret_of(account)), ("channelId", channel_of(account))]
}

/// A channel with all rights.
pub(crate) fn channel_of(account: &str) -> String {
    format!("{}9", number_of(&format!("discord channel {account}"), 17))
}

pub(crate) fn aim(_: &World, call: &Call) -> Aim {
    let kind = match (&call.method, segments(call).as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (&Method::POST, ["channels", _, "messages"]) => Calls::Publish,
        (&Method::PATCH, ["channels", _, "messages", _]) => Calls::Edit,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: bot(call).map(str::to_owned) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let (&Method::GET, ["channels", _, channel, message]) =
        (&call.method, call.segments().as_slice())
    {
        let page = format!("{}/posts/discord/{channel}/{message}", call.origin);
        return Answer::html(302, "").header("location", &page);
    }
    if let Some(refused) = wrong_agent(call) {
        return refused;
    }
    let Some(account) = bot(call) else { return refuse(call, Refusal::Auth) };
    let handled = match (call.method.as_str(), segments(call).as_slice()) {
        ("GET", ["users", "@me"]) => Ok(user(account)),
        ("GET", ["channels", channel]) => {
            open(channel, VIEW_CHANNEL).map(|id| channel_json(id, account))
        }
        ("GET", ["guilds", guild]) => guild_json(guild),
        ("GET", ["guilds", guild, "members", member]) => member_json(account, guild, member),
        ("GET", ["channels", channel, "messages"]) => list(world, call, channel),
        ("GET", ["channels", channel, "messages", id]) => show(world, call, channel, id),
        ("POST", ["channels", channel, "messages"]) => create(world, call, account, channel),
        ("PATCH", ["channels", channel, "messages", id]) => edit(world, call, account, channel, id),
        ("DELETE", ["channels", channel, "messages", id]) => {
            return delete(world, call, account, channel, id).unwrap_or_else(|refused| refused);
        }
        _ => Err(error(404, 0, "404: Not Found")),
    };
    handled.map_or_else(|refused| refused, |body| Answer::json(200, &body))
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => error(400, 50109, "The request body contains invalid JSON."),
        Refusal::RateLimit(ms) => {
            let seconds = ms as f64 / 1_000.0;
            let body = json!({
                "message": "You are being rate limited.",
                "retry_after": seconds,
                "global": false,
            });
            Answer::json(429, &body)
                .header("retry-after", &seconds.ceil().to_string())
                .header("x-ratelimit-limit", "5")
                .header("x-ratelimit-remaining", "0")
                .header("x-ratelimit-reset-after", &format!("{seconds:.2}"))
                .header("x-ratelimit-bucket", "80c17d2f203122d936070c88c8d10f33")
                .header("x-ratelimit-scope", "user")
        }
        Refusal::ServerError => error(500, 0, "500: Internal Server Error"),
        Refusal::Auth => error(401, 0, "401: Unauthorized"),
        Refusal::TooLarge => error(413, 40005, "Request entity too large"),
    }
}

pub(crate) fn error(status: u16, code: u64, message: &str) -> Answer {
    Answer::json(status, &json!({ "message": message, "code": code }))
}

/// 50035 with the one field that is wrong.
fn invalid(field: &str, code: &str, message: &str) -> Answer {
    let errors = json!({ "_errors": [{ "code": code, "message": message }] });
    let body = json!({
        "message": "Invalid Form Body",
        "code": 50035,
        "errors": { field: errors },
    });
    Answer::json(400, &body)
}

/// After `api/v10`; another version, or none, is not spoken.
fn segments(call: &Call) -> Vec<&str> {
    match call.segments().as_slice() {
        ["api", "v10", rest @ ..] => rest.to_vec(),
        _ => Vec::new(),
    }
}

/// Cloudflare stands before the API and wants to know who calls.
pub(crate) fn wrong_agent(call: &Call) -> Option<Answer> {
    let agent = call.header("user-agent").unwrap_or_default();
    // Libraries add words of their own behind it.
    let named = agent.starts_with("DiscordBot (") && agent.contains(')') && agent.contains(", ");
    let why = "Cloudflare is blocking your request. This can often be resolved by setting a proper \
               User Agent";
    (!named).then(|| error(403, 40333, why))
}

fn bot(call: &Call) -> Option<&str> {
    account_of_secret(call.header("authorization")?.strip_prefix("Bot ")?)
}

fn bot_id(account: &str) -> u64 {
    number_of(&format!("discord bot {account}"), 18)
}

fn user(account: &str) -> Value {
    json!({
        "id": bot_id(account).to_string(),
        "username": account,
        "discriminator": "0000",
        "global_name": null,
        "avatar": null,
        "bot": true,
    })
}

// Guilds and channels

/// A channel that the bot may do this in.
fn open(channel: &str, needed: u64) -> Result<u64, Answer> {
    let id = known(channel)?;
    if rights(id) & VIEW_CHANNEL == 0 {
        return Err(error(403, 50001, "Missing Access"));
    }
    if rights(id) & needed != needed {
        return Err(error(403, 50013, "Missing Permissions"));
    }
    Ok(id)
}

fn known(channel: &str) -> Result<u64, Answer> {
    let digits = (17..=20).contains(&channel.len()) && channel.bytes().all(|b| b.is_ascii_digit());
    let id = channel.parse().ok().filter(|_| digits);
    let id: u64 =
        id.ok_or_else(|| invalid("channel_id", "NUMBER_TYPE_COERCE", "Value is not snowflake."))?;
    if id.is_multiple_of(1_000) {
        return Err(error(404, 10003, "Unknown Channel"));
    }
    Ok(id)
}

fn rights(channel: u64) -> u64 {
    match channel % 1_000 {
        1 => USUAL & !SEND_MESSAGES,
        2 => USUAL & !READ_MESSAGE_HISTORY,
        3 => USUAL & !SEND_POLLS,
        _ => USUAL,
    }
}

pub(crate) fn guild_of(channel: u64) -> u64 {
    // A guild is as old as its first channel.
    channel / 1_000 * 1_000 + 500
}

fn channel_json(id: u64, account: &str) -> Value {
    let forum = id % 1_000 == 15;
    let overwrites = match id % 1_000 {
        // One denies everybody, the other this member.
        1 => {
            json!([{ "id": guild_of(id).to_string(), "type": 0, "allow": "0", "deny": SEND_MESSAGES.to_string() }])
        }
        2 => {
            json!([{ "id": bot_id(account).to_string(), "type": 1, "allow": "0", "deny": READ_MESSAGE_HISTORY.to_string() }])
        }
        _ => json!([]),
    };
    json!({
        "id": id.to_string(),
        "type": if forum { 15 } else { 0 },
        "guild_id": guild_of(id).to_string(),
        "name": "news",
        "position": 0,
        "permission_overwrites": overwrites,
        "nsfw": false,
        "rate_limit_per_user": 0,
        "topic": null,
        "parent_id": null,
        "last_message_id": null,
    })
}

fn guild_json(guild: &str) -> Result<Value, Answer> {
    let id: u64 = guild.parse().map_err(|_| error(404, 10004, "Unknown Guild"))?;
    Ok(json!({
        "id": id.to_string(),
        "name": "Carillon sandbox",
        "owner_id": "100000000000000001",
        "roles": [
            { "id": id.to_string(), "name": "@everyone", "position": 0, "permissions": USUAL.to_string() },
            { "id": (id + 1).to_string(), "name": "Admins", "position": 2, "permissions": "8" },
            { "id": (id + 2).to_string(), "name": "Carillon", "position": 1, "permissions": "0" },
        ],
    }))
}

fn member_json(account: &str, guild: &str, member: &str) -> Result<Value, Answer> {
    let guild: u64 = guild.parse().map_err(|_| error(404, 10004, "Unknown Guild"))?;
    if member != bot_id(account).to_string() {
        return Err(error(404, 10007, "Unknown Member"));
    }
    Ok(json!({
        "user": user(account),
        "nick": null,
        "roles": [(guild + 2).to_string()],
        "joined_at": "2026-01-01T00:00:00.000000+00:00",
        "deaf": false,
        "mute": false,
        "flags": 0,
    }))
}

// Messages

/// A body from JSON, a form or `payload_json`.
fn body(call: &Call) -> Result<Value, Answer> {
    let body = match call.nested("payload_json") {
        Some(body) => body,
        None => match &call.json {
            Some(body) => body.clone(),
            None => call.form.iter().map(|(k, v)| (k.clone(), json!(v))).collect(),
        },
    };
    match body.is_object() {
        true => Ok(body),
        false => Err(error(400, 50109, "The request body contains invalid JSON.")),
    }
}

fn text(body: &Value) -> Result<String, Answer> {
    let text = body["content"].as_str().unwrap_or_default().trim().to_owned();
    if text.chars().count() > CONTENT_LIMIT {
        let why = "Must be 2000 or fewer in length.";
        return Err(invalid("content", "BASE_TYPE_MAX_LENGTH", why));
    }
    Ok(text)
}

/// Changes message `id` as an edit asks: its text, if one is given, and of its files those that are
/// not named go, if any are named. Files that an edit adds are not spoken.
pub(crate) fn change(call: &Call, id: u64, content: &mut Content) -> Result<(), Answer> {
    if content.poll.is_some() {
        return Err(error(400, 520003, "Cannot edit a poll message"));
    }
    let body = body(call)?;
    let text = if body["content"].is_null() { content.text.clone() } else { text(&body)? };
    let kept = body["attachments"].as_array();
    let kept = kept.map(|all| all.iter().map(|a| written(&a["id"])).collect::<Vec<_>>());
    let stays = |i: usize| {
        kept.as_ref().is_none_or(|all| all.contains(&Some(number_of_file(id, i).to_string())))
    };
    let left = (0..content.files.len()).filter(|i| stays(*i)).count();
    if text.is_empty() && left == 0 {
        return Err(error(400, 50006, "Cannot send an empty message"));
    }
    let mut at = 0..;
    content.files.retain(|_| at.next().is_some_and(&stays));
    content.text = text;
    Ok(())
}

fn number_of_file(message: u64, i: usize) -> u64 {
    message + 1 + i as u64
}

/// The body of a new message, from JSON, a form or `payload_json`, checked.
pub(crate) fn content(world: &World, call: &Call) -> Result<(Content, Value), Answer> {
    let body = body(call)?;
    let text = text(&body)?;
    let described = body["attachments"].as_array().cloned().unwrap_or_default();
    let mut files = Vec::new();
    for file in &call.files {
        let number = file.field.strip_prefix("files[").and_then(|rest| rest.strip_suffix(']'));
        let Some(number) = number.filter(|n| n.parse::<u64>().is_ok()) else {
            return Err(invalid("files", "INVALID_FILE_FIELD", "Files are named files[n]."));
        };
        if file.bytes.len() > FILE_LIMIT {
            return Err(error(413, 40005, "Request entity too large"));
        }
        let about = described.iter().find(|a| written(&a["id"]).as_deref() == Some(number));
        let said = |name: &str| about.and_then(|a| a[name].as_str()).map(str::to_owned);
        let description = said("description").unwrap_or_default();
        if description.chars().count() > DESCRIPTION_LIMIT {
            let why = "Must be 1024 or fewer in length.";
            return Err(invalid("attachments", "BASE_TYPE_MAX_LENGTH", why));
        }
        let name = said("filename").unwrap_or_else(|| file.name.clone());
        files.push(Attached { blob: world.blobs.keep(&file.bytes), name, description });
    }
    if files.len() > MAX_FILES {
        let why = "Must be 10 or fewer in length.";
        return Err(invalid("attachments", "BASE_TYPE_MAX_LENGTH", why));
    }
    if described.len() != files.len() && !described.is_empty() {
        let why = "An attachment refers to a file that was not sent.";
        return Err(invalid("attachments", "ATTACHMENT_NOT_FOUND", why));
    }
    let poll = asked(call, &body["poll"])?;
    if text.is_empty() && files.is_empty() && poll.is_none() {
        return Err(error(400, 50006, "Cannot send an empty message"));
    }
    if poll.is_some() && !files.is_empty() {
        let why = "Polls cannot be sent with attachments.";
        return Err(invalid("poll", "POLL_WITH_ATTACHMENTS", why));
    }
    Ok((Content { text, files, poll }, body))
}

/// The poll of a new message.
fn asked(call: &Call, poll: &Value) -> Result<Option<Poll>, Answer> {
    if poll.is_null() {
        return Ok(None);
    }
    let wrong = |why: &str| Err(invalid("poll", "BASE_TYPE_BAD_LENGTH", why));
    let question = poll["question"]["text"].as_str().unwrap_or_default().to_owned();
    if !(1..=300).contains(&question.chars().count()) {
        return wrong("Must be between 1 and 300 in length.");
    }
    let list = poll["answers"].as_array().cloned().unwrap_or_default();
    if !(1..=10).contains(&list.len()) {
        return wrong("Must be between 1 and 10 in length.");
    }
    let answers = texts(&list, |one| &one["poll_media"]["text"]);
    if answers.len() != list.len() || !fit(&answers, 55) {
        return wrong("Must be between 1 and 55 in length.");
    }
    let hours = if poll["duration"].is_null() { Some(24) } else { poll["duration"].as_i64() };
    let Some(hours) = hours.filter(|n| (1..=768).contains(n)) else {
        let why = "int value should be between 1 and 768.";
        return Err(invalid("poll", "NUMBER_TYPE_MAX", why));
    };
    let several = poll["allow_multiselect"] == json!(true);
    let ends = Some(call.now + hours * 3_600_000);
    Ok(Some(Poll { question: Some(question), answers, several, ends }))
}

/// A snowflake or a number, as text.
fn written(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|n| n.to_string()))
}

impl Content {
    /// What a follower reads first: a poll may have no text.
    pub(crate) fn says(&self) -> String {
        let asked = self.poll.as_ref().and_then(|poll| poll.question.clone());
        asked.filter(|_| self.text.is_empty()).unwrap_or_else(|| self.text.clone())
    }

    pub(crate) fn poll_json(&self) -> Value {
        let Some(poll) = &self.poll else { return Value::Null };
        let answer = |(i, text): (usize, &String)| json!({ "answer_id": i + 1, "poll_media": { "text": text } });
        json!({
            "question": { "text": poll.question },
            "answers": poll.answers.iter().enumerate().map(answer).collect::<Value>(),
            "expiry": poll.ends.map(time),
            "allow_multiselect": poll.several,
            "layout_type": 1,
        })
    }

    pub(crate) fn media(&self) -> Vec<LedgerMedia> {
        self.files.iter().map(|file| file.blob.in_ledger(&file.description)).collect()
    }

    pub(crate) fn attachments(&self, call: &Call, message: u64) -> Value {
        let one = |(i, file): (usize, &Attached)| {
            let (width, height) = file.blob.kind.map_or((0, 0), |kind| (kind.width, kind.height));
            let url = format!("{}{}", call.origin, file.blob.path());
            json!({
                "id": number_of_file(message, i).to_string(),
                "filename": file.name.replace(' ', "_"),
                "description": file.description,
                "content_type": file.blob.kind.map(|kind| kind.mime),
                "size": file.blob.size,
                "url": url,
                "proxy_url": url,
                "width": width,
                "height": height,
            })
        };
        self.files.iter().enumerate().map(one).collect()
    }
}

/// A number of the time, greater than every one before.
pub(crate) fn snowflake(last: &mut u64, now: i64) -> u64 {
    let at = (now - EPOCH).max(0).unsigned_abs() << 22;
    // Room for the numbers of the files.
    *last = (*last + 64).max(at);
    *last
}

/// `2026-11-22T10:00:00.123000+00:00`
pub(crate) fn time(ms: i64) -> String {
    stamp(ms, "%Y-%m-%dT%H:%M:%S%.6f+00:00")
}

fn message_json(call: &Call, channel: u64, id: u64, message: &Message) -> Value {
    let mut json = json!({
        "id": id.to_string(),
        "type": if message.reply_to.is_some() { 19 } else { 0 },
        "channel_id": channel.to_string(),
        "content": message.content.text,
        "author": user(&message.account),
        "attachments": message.content.attachments(call, id),
        "embeds": [],
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": false,
        "pinned": false,
        "tts": false,
        "timestamp": time(message.at),
        "edited_timestamp": message.edited.map(time),
        "flags": 0,
        "components": [],
    });
    // Left out where there is none.
    if message.content.poll.is_some() {
        json["poll"] = message.content.poll_json();
    }
    if let Some(parent) = message.reply_to {
        json["message_reference"] = json!({
            "type": 0,
            "message_id": parent.to_string(),
            "channel_id": channel.to_string(),
            "guild_id": guild_of(channel).to_string(),
        });
    }
    json
}

fn create(world: &World, call: &Call, account: &str, channel: &str) -> Result<Value, Answer> {
    let channel = open(channel, SEND_MESSAGES)?;
    if channel % 1_000 == 15 {
        return Err(error(400, 50008, "Cannot send messages in a non-text channel"));
    }
    let (content, body) = content(world, call)?;
    if content.poll.is_some() && rights(channel) & SEND_POLLS == 0 {
        return Err(error(403, 50013, "Missing Permissions"));
    }
    let nonce = Some(&body["nonce"]).filter(|nonce| !nonce.is_null()).cloned();
    let written = nonce.as_ref().map(|nonce| written(nonce).unwrap_or_default());
    if written.as_ref().is_some_and(|nonce| nonce.is_empty() || nonce.chars().count() > NONCE_LIMIT)
    {
        let why = "Must be between 1 and 25 in length.";
        return Err(invalid("nonce", "BASE_TYPE_BAD_LENGTH", why));
    }
    let mut state = lock(&world.states.discord);
    let enforced = body["enforce_nonce"] == json!(true);
    let key = written.filter(|_| enforced).map(|nonce| (account.to_owned(), nonce));
    if let Some((channel, id, at)) = key.as_ref().and_then(|key| state.nonces.get(key)).copied()
        && call.now - at < NONCE_LIFE
        && let Some(first) = state.channels.get(&channel).and_then(|all| all.get(&id))
    {
        return Ok(message_json(call, channel, id, first));
    }
    let reply_to = match &body["message_reference"] {
        Value::Null => None,
        reference => parent(&state, channel, reference)?,
    };
    let id = snowflake(&mut state.last_id, call.now);
    if let Some(key) = key {
        state.nonces.insert(key, (channel, id, call.now));
    }
    let named = |id: u64| format!("{channel}/{id}");
    world.ledger.appear(
        Network::Discord,
        Appeared {
            id: named(id),
            account,
            placement: if reply_to.is_some() { "reply" } else { "message" },
            reply_to: reply_to.map(named),
            text: content.says(),
            media: content.media(),
            at: call.now,
        },
    );
    world.ledger.ask(Network::Discord, &named(id), content.poll.as_ref());
    let account = account.to_owned();
    let message = Message { account, content, reply_to, at: call.now, edited: None };
    let mut json = message_json(call, channel, id, &message);
    if let Some(nonce) = nonce {
        json["nonce"] = nonce;
    }
    state.channels.entry(channel).or_default().insert(id, message);
    Ok(json)
}

/// The message that is replied to: of this channel, and one that the bot may read.
fn parent(state: &State, channel: u64, reference: &Value) -> Result<Option<u64>, Answer> {
    if rights(channel) & READ_MESSAGE_HISTORY == 0 {
        let why = "Cannot reply without permission to read message history";
        return Err(error(403, 160002, why));
    }
    let id = written(&reference["message_id"]).and_then(|id| id.parse().ok());
    let known = state.channels.get(&channel);
    match id.filter(|id| known.is_some_and(|all| all.contains_key(id))) {
        Some(id) => Ok(Some(id)),
        None if reference["fail_if_not_exists"] == json!(false) => Ok(None),
        None => Err(invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")),
    }
}

fn list(world: &World, call: &Call, channel: &str) -> Result<Value, Answer> {
    let channel = open(channel, VIEW_CHANNEL)?;
    let limit = call.text("limit").map_or(Ok(50), |text| text.parse());
    let limit = limit.ok().filter(|limit| (1..=100).contains(limit));
    let limit: usize = limit.ok_or_else(|| {
        invalid("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
    })?;
    let bound = |name: &str| call.text(name).map(|text| text.parse::<u64>().unwrap_or_default());
    // Who may not read the history is shown nothing, and no error.
    if rights(channel) & READ_MESSAGE_HISTORY == 0 {
        return Ok(json!([]));
    }
    let state = lock(&world.states.discord);
    let Some(all) = state.channels.get(&channel) else { return Ok(json!([])) };
    let (before, after) = (bound("before").unwrap_or(u64::MAX), bound("after").unwrap_or(0));
    let wanted = all.iter().rev().filter(|(id, _)| **id < before && **id > after).take(limit);
    Ok(wanted.map(|(id, message)| message_json(call, channel, *id, message)).collect())
}

fn show(world: &World, call: &Call, channel: &str, id: &str) -> Result<Value, Answer> {
    let channel = open(channel, VIEW_CHANNEL | READ_MESSAGE_HISTORY)?;
    let state = lock(&world.states.discord);
    let (id, message) = found(&state, channel, id)?;
    let mut body = message_json(call, channel, id, message);
    let told = world.numbers(Network::Discord, &format!("{channel}/{id}"));
    // Left out where there are none.
    if told.likes > 0 {
        let emoji = |name: &str, count: u64| json!({ "emoji": { "id": null, "name": name }, "count": count, "me": false });
        let hearts = told.likes / 2;
        let all = [emoji("👍", told.likes - hearts), emoji("❤️", hearts)];
        body["reactions"] = all.into_iter().filter(|one| one["count"] != 0).collect();
    }
    Ok(body)
}

fn found<'s>(state: &'s State, channel: u64, id: &str) -> Result<(u64, &'s Message), Answer> {
    let id = id.parse().unwrap_or_default();
    let message = state.channels.get(&channel).and_then(|all| all.get(&id));
    message.map(|message| (id, message)).ok_or_else(|| error(404, 10008, "Unknown Message"))
}

fn edit(
    world: &World,
    call: &Call,
    account: &str,
    channel: &str,
    id: &str,
) -> Result<Value, Answer> {
    let channel = open(channel, VIEW_CHANNEL)?;
    let mut state = lock(&world.states.discord);
    let (id, message) = found(&state, channel, id)?;
    if message.account != account {
        return Err(error(403, 50005, "Cannot edit a message authored by another user"));
    }
    let messages = state.channels.entry(channel).or_default();
    let message = messages.get_mut(&id).ok_or_else(|| error(404, 10008, "Unknown Message"))?;
    change(call, id, &mut message.content)?;
    message.edited = Some(call.now);
    let (text, media) = (message.content.text.clone(), message.content.media());
    world.ledger.edit(Network::Discord, &format!("{channel}/{id}"), |post| {
        (post.text, post.media) = (text, media);
    });
    Ok(message_json(call, channel, id, message))
}

fn delete(
    world: &World,
    call: &Call,
    account: &str,
    channel: &str,
    id: &str,
) -> Result<Answer, Answer> {
    let channel = open(channel, VIEW_CHANNEL)?;
    let mut state = lock(&world.states.discord);
    let (id, message) = found(&state, channel, id)?;
    if message.account != account {
        return Err(error(403, 50013, "Missing Permissions"));
    }
    if let Some(all) = state.channels.get_mut(&channel) {
        all.remove(&id);
    }
    world.ledger.vanish(Network::Discord, &format!("{channel}/{id}"), call.now);
    Ok(Answer::html(204, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_told_apart_by_their_ends() {
        let status = |got: Result<u64, Answer>| got.map_or_else(|e| e.status.as_u16(), |_| 200);
        assert_eq!(status(known("123456789012345000")), 404);
        for bad in ["", "1", "12345678901234567x", "123456789012345678901"] {
            assert_eq!(status(known(bad)), 400, "{bad}");
        }
        assert_eq!(status(open("123456789012345001", SEND_MESSAGES)), 403);
        for account in ["alice", "bob", "bike-shop"] {
            assert_eq!(status(open(&channel_of(account), USUAL)), 200);
        }
    }

    #[test]
    fn numbers_grow_with_the_time_and_leave_room() {
        let mut last = 0;
        let one = snowflake(&mut last, 1_795_000_000_000);
        let two = snowflake(&mut last, 1_795_000_000_000);
        assert!(two > one + 10);
        assert!(snowflake(&mut last, 1_795_000_001_000) > two);
        assert_eq!(time(1_795_000_000_007), "2026-11-18T11:06:40.007000+00:00");
    }
}
