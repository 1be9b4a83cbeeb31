//! Telegram: the Bot API, under `/telegram/bot{digits}:sandbox-{account}/{method}`.
//!
//! networks.md §13. Every chat `@name` and `-100…` exists and is a channel with the bot among its
//! administrators, but one with `nochat` in its name does not exist and in one with `noadmin` the
//! bot has no rights. Nothing can be read back. Of the parse modes only HTML is spoken.

use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::markup::{Parsed, parse_html};
use crate::media::{Blob, Unfetched, fetch};
use crate::poll::{Poll, fit, texts};
use crate::world::{Fields, Network, World, account_of_secret, lock, number_of, secret_of};

const TEXT_LIMIT: usize = 4_096;
const CAPTION_LIMIT: usize = 1_024;
/// 2026-01-01T00:00:00Z in seconds, where message numbers start.
const EPOCH: i64 = 1_767_225_600;
const PHOTO_LIMIT: usize = 10 << 20;
const PHOTO_URL_LIMIT: usize = 5 << 20;

#[derive(Default)]
pub(crate) struct State {
    /// By number.
    chats: HashMap<i64, Room>,
    /// By file id.
    files: HashMap<String, Blob>,
}

#[derive(Default)]
struct Room {
    last_message: i64,
    messages: HashMap<i64, Message>,
}

struct Message {
    /// The post in the ledger that shows it: an album is one post of several messages.
    post: String,
    account: String,
    /// Its text, or the caption of its file.
    text: String,
    /// What of it can be edited: `text`, `caption`, or nothing of a poll.
    editable: Option<&'static str>,
}

struct Bot {
    id: i64,
    account: String,
}

struct Chat {
    id: i64,
    username: Option<String>,
    can_post: bool,
}

/// A file of a message.
struct Attached {
    kind: FileKind,
    blob: Blob,
    caption: Parsed,
}

#[derive(Clone, Copy, PartialEq)]
enum FileKind {
    Photo,
    Video,
    Document,
    Animation,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("chatId", format!("@{account}")), ("botToken", format!("123456:{}", secret_of(account)))]
}

pub(crate) fn aim(_: &World, call: &Call) -> Aim {
    let kind = match method(call) {
        "sendmessage" | "sendpoll" | "sendphoto" | "sendvideo" | "senddocument"
        | "sendanimation" | "sendmediagroup" => Calls::Publish,
        "editmessagetext" | "editmessagecaption" => Calls::Edit,
        "deletemessage" | "deletemessages" => Calls::Delete,
        method if method.starts_with("get") || call.method == Method::GET => Calls::Read,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: bot(call).map(|bot| bot.account) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let Some(bot) = bot(call) else { return refuse(call, Refusal::Auth) };
    let handled = match method(call) {
        "getme" => Ok(bot_json(&bot, true)),
        "getchat" => chat(call).map(|chat| full_chat_json(&chat)),
        "getchatmember" => get_chat_member(call, &bot),
        "getchatadministrators" => chat(call).map(|chat| match chat.can_post {
            true => json!([member_json(&bot)]),
            false => json!([]),
        }),
        "getupdates" => Ok(json!([])),
        "sendmessage" => send_message(world, call, &bot),
        "sendpoll" => send_poll(world, call, &bot),
        "sendphoto" => send_file(world, call, &bot, FileKind::Photo).await,
        "sendvideo" => send_file(world, call, &bot, FileKind::Video).await,
        "senddocument" => send_file(world, call, &bot, FileKind::Document).await,
        "sendanimation" => send_file(world, call, &bot, FileKind::Animation).await,
        "sendmediagroup" => send_media_group(world, call, &bot).await,
        "deletemessage" => delete_message(world, call, &bot),
        "deletemessages" => delete_messages(world, call, &bot),
        "editmessagetext" => edit(world, call, &bot, "text", TEXT_LIMIT),
        "editmessagecaption" => edit(world, call, &bot, "caption", CAPTION_LIMIT),
        _ => Err(error(404, "Not Found")),
    };
    match handled {
        Ok(result) => Answer::json(200, &json!({ "ok": true, "result": result })),
        Err(refused) => refused,
    }
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => bad("can't parse the body of the request"),
        Refusal::RateLimit(ms) => {
            let seconds = (ms + 999).div_euclid(1_000);
            let body = json!({
                "ok": false,
                "error_code": 429,
                "description": format!("Too Many Requests: retry after {seconds}"),
                "parameters": { "retry_after": seconds },
            });
            Answer::json(429, &body).header("retry-after", &seconds.to_string())
        }
        Refusal::ServerError => error(500, "Internal Server Error"),
        Refusal::Auth => error(401, "Unauthorized"),
        Refusal::TooLarge => error(413, "Request Entity Too Large"),
    }
}

fn error(code: u16, description: &str) -> Answer {
    let body = json!({ "ok": false, "error_code": code, "description": description });
    Answer::json(code, &body)
}

fn bad(why: &str) -> Answer {
    error(400, &format!("Bad Request: {why}"))
}

fn method(call: &Call) -> &'static str {
    // Methods are not case sensitive.
    const METHODS: [&str; 18] = [
        "getme",
        "getchat",
        "getchatmember",
        "getchatadministrators",
        "getupdates",
        "sendmessage",
        "sendpoll",
        "sendphoto",
        "sendvideo",
        "senddocument",
        "sendanimation",
        "sendmediagroup",
        "deletemessage",
        "deletemessages",
        "editmessagetext",
        "editmessagecaption",
        "getfile",
        "close",
    ];
    let asked = call.path.split('/').nth(1).unwrap_or_default();
    METHODS.into_iter().find(|method| method.eq_ignore_ascii_case(asked)).unwrap_or_default()
}

fn bot(call: &Call) -> Option<Bot> {
    let token = call.path.split('/').next()?.strip_prefix("bot")?;
    let (id, secret) = token.split_once(':')?;
    Some(Bot { id: id.parse().ok()?, account: account_of_secret(secret)?.to_owned() })
}

fn bot_json(bot: &Bot, full: bool) -> Value {
    let mut user = json!({
        "id": bot.id,
        "is_bot": true,
        "first_name": bot.account,
        "username": format!("{}_bot", bot.account),
    });
    if full {
        user["can_join_groups"] = json!(true);
        user["can_read_all_group_messages"] = json!(false);
        user["supports_inline_queries"] = json!(false);
    }
    user
}

// Chats

fn chat(call: &Call) -> Result<Chat, Answer> {
    let named = call.text("chat_id").ok_or_else(|| bad("chat_id is empty"))?;
    find_chat(&named).ok_or_else(|| bad("chat not found"))
}

fn find_chat(named: &str) -> Option<Chat> {
    if named.contains("nochat") {
        return None;
    }
    let can_post = !named.contains("noadmin");
    if let Some(name) = named.strip_prefix('@').filter(|name| !name.is_empty()) {
        return Some(Chat { id: number_of_chat(name), username: Some(name.to_owned()), can_post });
    }
    named.strip_prefix("-100").filter(|digits| !digits.is_empty())?;
    Some(Chat { id: named.parse().ok()?, username: None, can_post })
}

/// `@name` and this number are the same chat.
pub(crate) fn number_of_chat(name: &str) -> i64 {
    let number = number_of(&name.to_lowercase(), 10);
    -1_000_000_000_000 - i64::try_from(number).unwrap_or_default() % 1_000_000_000_000
}

fn chat_json(chat: &Chat) -> Value {
    let title = chat.username.clone().unwrap_or_else(|| format!("Channel {}", chat.id));
    let mut json = json!({ "id": chat.id, "title": title, "type": "channel" });
    if let Some(name) = &chat.username {
        json["username"] = json!(name);
    }
    json
}

/// What only `getChat` says; clients with typed answers insist on these.
fn full_chat_json(chat: &Chat) -> Value {
    let mut json = chat_json(chat);
    json["accent_color_id"] = json!(0);
    json["max_reaction_count"] = json!(11);
    json["accepted_gift_types"] = json!({
        "unlimited_gifts": false,
        "limited_gifts": false,
        "unique_gifts": false,
        "premium_subscription": false,
        "gifts_from_channels": false,
    });
    json
}

fn get_chat_member(call: &Call, bot: &Bot) -> Result<Value, Answer> {
    let chat = chat(call)?;
    let user = call.number("user_id").ok_or_else(|| bad("invalid user_id specified"))?;
    if user != bot.id {
        return Err(bad("PARTICIPANT_ID_INVALID"));
    }
    Ok(match chat.can_post {
        true => member_json(bot),
        false => json!({ "user": bot_json(bot, false), "status": "member" }),
    })
}

fn member_json(bot: &Bot) -> Value {
    json!({
        "user": bot_json(bot, false),
        "status": "administrator",
        "can_be_edited": false,
        "is_anonymous": false,
        "can_manage_chat": true,
        "can_post_messages": true,
        "can_edit_messages": true,
        "can_delete_messages": true,
        "can_manage_video_chats": false,
        "can_restrict_members": false,
        "can_promote_members": false,
        "can_change_info": false,
        "can_invite_users": true,
        "can_post_stories": false,
        "can_edit_stories": false,
        "can_delete_stories": false,
    })
}

/// The chat, where the bot may post.
fn open_chat(call: &Call) -> Result<Chat, Answer> {
    let chat = chat(call)?;
    if chat.can_post { Ok(chat) } else { Err(bad("need administrator rights in the channel chat")) }
}

// Texts

/// The text or caption of a message, parsed and measured.
fn parsed(
    text: &str,
    mode: Option<&str>,
    entities: Option<Value>,
    limit: usize,
    too_long: &str,
) -> Result<Parsed, Answer> {
    let mut parsed = match mode.map(str::to_ascii_lowercase).as_deref() {
        None | Some("") => Parsed {
            text: text.to_owned(),
            entities: match entities {
                Some(Value::Array(entities)) => entities,
                _ => Vec::new(),
            },
        },
        Some("html") => {
            parse_html(text).map_err(|why| bad(&format!("can't parse entities: {why}")))?
        }
        Some("markdown" | "markdownv2") => {
            return Err(bad("the sandbox parses HTML only: use parse_mode HTML or entities"));
        }
        Some(_) => return Err(bad("unsupported parse_mode")),
    };
    parsed.text.truncate(parsed.text.trim_end().len());
    if parsed.text.encode_utf16().count() > limit {
        return Err(bad(too_long));
    }
    Ok(parsed)
}

fn caption(fields: impl Fn(&str) -> Option<Value>) -> Result<Parsed, Answer> {
    let text = |name: &str| fields(name).and_then(|value| value.as_str().map(str::to_owned));
    let entities = fields("caption_entities").and_then(|value| match value {
        Value::String(text) => serde_json::from_str(&text).ok(),
        other => Some(other),
    });
    parsed(
        &text("caption").unwrap_or_default(),
        text("parse_mode").as_deref(),
        entities,
        CAPTION_LIMIT,
        "message caption is too long",
    )
}

// Sending

fn send_message(world: &World, call: &Call, bot: &Bot) -> Result<Value, Answer> {
    let chat = open_chat(call)?;
    let text = call.text("text").unwrap_or_default();
    let mode = call.text("parse_mode");
    let entities = call.nested("entities");
    let message = parsed(&text, mode.as_deref(), entities, TEXT_LIMIT, "message is too long")?;
    if message.text.trim().is_empty() {
        return Err(bad("message text is empty"));
    }
    let mut state = lock(&world.states.telegram);
    let id = next_message(&mut state, call, &chat);
    let mut json = message_json(call, &chat, id);
    json["text"] = json!(message.text);
    if !message.entities.is_empty() {
        json["entities"] = json!(message.entities);
    }
    appear(world, &mut state, call, bot, &chat, vec![(id, message.text)], Vec::new());
    Ok(json)
}

/// Channels take anonymous polls alone. Answers as objects, or as texts, which older clients send.
fn send_poll(world: &World, call: &Call, bot: &Bot) -> Result<Value, Answer> {
    let chat = open_chat(call)?;
    let question = call.text("question").unwrap_or_default().trim().to_owned();
    if !(1..=300).contains(&question.chars().count()) {
        return Err(bad("poll question must be 1 to 300 characters long"));
    }
    let Some(Value::Array(options)) = call.nested("options") else {
        return Err(bad("can't parse options JSON object"));
    };
    match options.len() {
        0 | 1 => return Err(bad("poll must have at least 2 option")),
        2..=12 => {}
        _ => return Err(bad("poll can't have more than 12 options")),
    }
    let answers = texts(&options, |one| if one.is_string() { one } else { &one["text"] });
    if answers.len() != options.len() || !fit(&answers, 100) {
        return Err(bad("poll options length must not exceed 100"));
    }
    if call.flag("is_anonymous") == Some(false) {
        return Err(bad("non-anonymous polls can't be sent to channel chats"));
    }
    if call.value("open_period").is_some() || call.value("close_date").is_some() {
        return Err(bad("the sandbox has polls without an end only"));
    }
    let several = call.flag("allows_multiple_answers").unwrap_or(false);
    let mut state = lock(&world.states.telegram);
    let id = next_message(&mut state, call, &chat);
    let mut json = message_json(call, &chat, id);
    let shown = |text: &String| json!({ "text": text, "voter_count": 0 });
    json["poll"] = json!({
        "id": number_of(&format!("poll {}/{id}", chat.id), 17).to_string(),
        "question": question,
        "options": answers.iter().map(shown).collect::<Value>(),
        "total_voter_count": 0,
        "is_closed": false,
        "is_anonymous": true,
        "type": "regular",
        "allows_multiple_answers": several,
    });
    appear(world, &mut state, call, bot, &chat, vec![(id, question)], Vec::new());
    if let Some(message) = state.chats.get_mut(&chat.id).and_then(|room| room.messages.get_mut(&id))
    {
        message.editable = None;
    }
    let poll = Poll { question: None, answers, several, ends: None };
    world.ledger.ask(Network::Telegram, &format!("{}/{id}", chat.id), Some(&poll));
    Ok(json)
}

async fn send_file(world: &World, call: &Call, bot: &Bot, kind: FileKind) -> Result<Value, Answer> {
    let chat = open_chat(call)?;
    let caption = caption(|name| call.value(name))?;
    let field = kind.field();
    let blob = match call.file(field) {
        Some(file) => uploaded(world, &file.bytes, kind)?,
        None => named_file(world, call, &call.text(field).unwrap_or_default(), kind).await?,
    };
    let attached = Attached { kind, blob, caption };
    let mut state = lock(&world.states.telegram);
    let id = next_message(&mut state, call, &chat);
    let json = attached_json(&mut state, call, &chat, id, &attached);
    let media = vec![attached.blob.in_ledger("")];
    appear(world, &mut state, call, bot, &chat, vec![(id, attached.caption.text)], media);
    Ok(json)
}

async fn send_media_group(world: &World, call: &Call, bot: &Bot) -> Result<Value, Answer> {
    let chat = open_chat(call)?;
    let Some(Value::Array(items)) = call.nested("media") else {
        return Err(bad("can't parse media JSON object"));
    };
    if !(2..=10).contains(&items.len()) {
        return Err(bad("an album has 2 to 10 items"));
    }
    let mut album = Vec::new();
    for item in &items {
        let kind = match item["type"].as_str() {
            Some("photo") => FileKind::Photo,
            Some("video") => FileKind::Video,
            Some("document") => FileKind::Document,
            _ => return Err(bad("can't parse InputMedia: type must be photo, video or document")),
        };
        let caption = caption(|name| item.get(name).cloned())?;
        let named = item["media"].as_str().unwrap_or_default();
        let blob = named_file(world, call, named, kind).await?;
        album.push(Attached { kind, blob, caption });
    }
    let documents = album.iter().filter(|item| item.kind == FileKind::Document).count();
    if documents != 0 && documents != album.len() {
        return Err(bad("document can't be mixed with other media types"));
    }
    let mut state = lock(&world.states.telegram);
    let mut texts = Vec::new();
    let mut messages = Vec::new();
    for item in &album {
        let id = next_message(&mut state, call, &chat);
        messages.push(attached_json(&mut state, call, &chat, id, item));
        texts.push((id, item.caption.text.clone()));
    }
    let group = number_of(&format!("{}/{}", chat.id, texts[0].0), 17).to_string();
    for message in &mut messages {
        message["media_group_id"] = json!(group);
    }
    let media = album.iter().map(|item| item.blob.in_ledger("")).collect();
    appear(world, &mut state, call, bot, &chat, texts, media);
    Ok(Value::Array(messages))
}

impl FileKind {
    fn field(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Document => "document",
            Self::Animation => "animation",
        }
    }
}

/// A file named by `attach://part`, by an address that is fetched, or by the id of an earlier one.
async fn named_file(
    world: &World,
    call: &Call,
    named: &str,
    kind: FileKind,
) -> Result<Blob, Answer> {
    if let Some(part) = named.strip_prefix("attach://") {
        let file = call.file(part).ok_or_else(|| bad("file not found in the request"))?;
        return uploaded(world, &file.bytes, kind);
    }
    if named.is_empty() {
        return Err(bad(&format!("there is no {} in the request", kind.field())));
    }
    if named.contains("://") {
        let bytes = fetch(world, named).await.map_err(|why| match why {
            Unfetched::Address => bad("wrong HTTP URL specified"),
            Unfetched::Failed => bad("failed to get HTTP URL content"),
        })?;
        if kind == FileKind::Photo && bytes.len() > PHOTO_URL_LIMIT {
            return Err(bad("failed to get HTTP URL content"));
        }
        let blob = world.blobs.keep(&bytes);
        if kind == FileKind::Photo && blob.kind.is_none_or(|kind| !kind.is_image()) {
            return Err(bad("wrong type of the web page content"));
        }
        return measured(blob, kind);
    }
    let state = lock(&world.states.telegram);
    let known = state.files.get(named).cloned();
    known.ok_or_else(|| bad("wrong file identifier/HTTP URL specified"))
}

fn uploaded(world: &World, bytes: &Bytes, kind: FileKind) -> Result<Blob, Answer> {
    if bytes.is_empty() {
        return Err(bad("file must be non-empty"));
    }
    if kind == FileKind::Photo && bytes.len() > PHOTO_LIMIT {
        return Err(bad("file is too big for a photo; the maximum size is 10485760 bytes"));
    }
    measured(world.blobs.keep(bytes), kind)
}

fn measured(blob: Blob, kind: FileKind) -> Result<Blob, Answer> {
    if kind != FileKind::Photo {
        return Ok(blob);
    }
    let Some(picture) = blob.kind.filter(|kind| kind.is_image()) else {
        return Err(bad("IMAGE_PROCESS_FAILED"));
    };
    let (width, height) = (picture.width, picture.height);
    let too_long = width.max(height) > 20 * width.min(height).max(1);
    // A size of 0 is one that was not measured.
    if width > 0 && height > 0 && (width + height > 10_000 || too_long) {
        return Err(bad("PHOTO_INVALID_DIMENSIONS"));
    }
    Ok(blob)
}

/// Numbers grow with the time, so that a new sandbox does not repeat those of an old one.
fn next_message(state: &mut State, call: &Call, chat: &Chat) -> i64 {
    let room = state.chats.entry(chat.id).or_default();
    room.last_message = (room.last_message + 1).max(call.now.div_euclid(1_000) - EPOCH);
    room.last_message
}

fn message_json(call: &Call, chat: &Chat, id: i64) -> Value {
    let room = chat_json(chat);
    json!({
        "message_id": id,
        "sender_chat": room,
        "chat": room,
        "date": call.now.div_euclid(1_000),
    })
}

fn attached_json(
    state: &mut State,
    call: &Call,
    chat: &Chat,
    id: i64,
    attached: &Attached,
) -> Value {
    let blob = &attached.blob;
    let file_id = format!("AgACAgQAAx0{}", &blob.hash[..40]);
    state.files.insert(file_id.clone(), blob.clone());
    let (width, height) = blob.kind.map_or((0, 0), |kind| (kind.width, kind.height));
    let mut file = json!({
        "file_id": file_id,
        "file_unique_id": &blob.hash[..16],
        "file_size": blob.size,
    });
    if attached.kind != FileKind::Document {
        file["width"] = json!(width);
        file["height"] = json!(height);
    }
    if matches!(attached.kind, FileKind::Video | FileKind::Animation) {
        file["duration"] = json!(0);
    }
    let mut json = message_json(call, chat, id);
    let field = attached.kind.field();
    json[field] = if attached.kind == FileKind::Photo { json!([file]) } else { file };
    if !attached.caption.text.is_empty() {
        json["caption"] = json!(attached.caption.text);
    }
    if !attached.caption.entities.is_empty() {
        json["caption_entities"] = json!(attached.caption.entities);
    }
    json
}

fn appear(
    world: &World,
    state: &mut State,
    call: &Call,
    bot: &Bot,
    chat: &Chat,
    messages: Vec<(i64, String)>,
    media: Vec<LedgerMedia>,
) {
    let post = format!("{}/{}", chat.id, messages[0].0);
    let room = state.chats.entry(chat.id).or_default();
    for (id, text) in messages {
        let (post, account) = (post.clone(), bot.account.clone());
        let editable = Some(if media.is_empty() { "text" } else { "caption" });
        room.messages.insert(id, Message { post, account, text, editable });
    }
    let text = room.read(&post);
    world.ledger.appear(
        Network::Telegram,
        Appeared {
            id: post,
            account: &bot.account,
            placement: "feed",
            reply_to: None,
            text,
            media,
            at: call.now,
        },
    );
}

impl Room {
    /// What a post's messages say, in their order.
    fn read(&self, post: &str) -> String {
        let mut said: Vec<_> = self.messages.iter().filter(|(_, m)| m.post == post).collect();
        said.sort_by_key(|(id, _)| **id);
        let said = said.into_iter().map(|(_, message)| message.text.as_str());
        said.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
    }
}

// Changing and deleting

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup \
                            are exactly the same as a current content and reply markup of the message";

fn edit(world: &World, call: &Call, bot: &Bot, field: &str, limit: usize) -> Result<Value, Answer> {
    let chat = open_chat(call)?;
    let id = call.number("message_id").ok_or_else(|| bad("message identifier is not specified"))?;
    let text = call.text(field).unwrap_or_default();
    let (entities, too_long) = match field {
        "text" => ("entities", "message is too long"),
        _ => ("caption_entities", "message caption is too long"),
    };
    let mode = call.text("parse_mode");
    let new = parsed(&text, mode.as_deref(), call.nested(entities), limit, too_long)?;
    if field == "text" && new.text.trim().is_empty() {
        return Err(bad("message text is empty"));
    }
    let mut state = lock(&world.states.telegram);
    let room = state.chats.get_mut(&chat.id).ok_or_else(|| bad("message to edit not found"))?;
    let message = room.messages.get_mut(&id).filter(|message| message.account == bot.account);
    let message = message.ok_or_else(|| bad("message to edit not found"))?;
    if message.editable != Some(field) {
        return Err(bad(&format!("there is no {field} in the message to edit")));
    }
    if message.text == new.text {
        return Err(bad(NOT_MODIFIED));
    }
    message.text.clone_from(&new.text);
    let post = message.post.clone();
    let text = room.read(&post);
    world.ledger.edit(Network::Telegram, &post, |post| post.text = text);
    let mut json = message_json(call, &chat, id);
    json[field] = json!(new.text);
    json[entities] = json!(new.entities);
    json["edit_date"] = json!(call.now.div_euclid(1_000));
    Ok(json)
}

fn delete_message(world: &World, call: &Call, _bot: &Bot) -> Result<Value, Answer> {
    let chat = open_chat(call)?;
    let id = call.number("message_id").ok_or_else(|| bad("message identifier is not specified"))?;
    match remove(world, call, &chat, id) {
        true => Ok(json!(true)),
        false => Err(bad("message to delete not found")),
    }
}

/// Those that are not found are skipped.
fn delete_messages(world: &World, call: &Call, _bot: &Bot) -> Result<Value, Answer> {
    let chat = open_chat(call)?;
    let Some(Value::Array(ids)) = call.nested("message_ids") else {
        return Err(bad("message identifiers are not specified"));
    };
    for id in ids.iter().filter_map(Value::as_i64) {
        remove(world, call, &chat, id);
    }
    Ok(json!(true))
}

/// Takes one message away; its post is gone with the last message of it.
fn remove(world: &World, call: &Call, chat: &Chat, id: i64) -> bool {
    let mut state = lock(&world.states.telegram);
    let Some(room) = state.chats.get_mut(&chat.id) else { return false };
    let Some(gone) = room.messages.remove(&id) else { return false };
    // An album's messages follow its first one.
    let first = gone.post.rsplit('/').next().and_then(|id| id.parse::<i64>().ok()).unwrap_or(id);
    let left = (first..first + 10)
        .any(|id| room.messages.get(&id).is_some_and(|message| message.post == gone.post));
    if !left {
        world.ledger.vanish(Network::Telegram, &gone.post, call.now);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_are_found_by_name_and_by_number() {
        let named = find_chat("@bikes").unwrap();
        assert!(named.can_post);
        assert_eq!(find_chat(&named.id.to_string()).unwrap().id, named.id);
        assert_eq!(find_chat("@BIKES").unwrap().id, named.id);
        assert!(named.id.to_string().starts_with("-100"), "{}", named.id);
        assert!(!find_chat("@noadmin_here").unwrap().can_post);
        for missing in ["@nochat", "bikes", "12", "-100", "@", "-100x"] {
            assert!(find_chat(missing).is_none(), "{missing}");
        }
    }
}
