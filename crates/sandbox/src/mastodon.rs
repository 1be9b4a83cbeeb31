//! Mastodon: one instance, under `/mastodon/api/…`. Every account name exists on it.
//!
//! networks.md §11 and §21.1. Bearer `sandbox-{account}`. An upload is answered 202, its first poll
//! 206, every later one 200. A key in `Idempotency-Key` names the status it made for an hour.
//! Whoever registers an app is given the one that the sandbox knows; its tokens never end.
//! An edit without the poll takes it away. Not spoken: scheduling, which is refused with 422.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use http::Method;
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation;

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::Blob;
use crate::oauth::{self, Refresh, Rules, SecretIn};
use crate::poll::{Poll, texts};
use crate::text::{Piece, escaped, pieces};
use crate::world::{Fields, Network, World, is_account, iso, lock, number_of, secret_of};

const MAX_CHARACTERS: usize = 500;
const PER_URL: usize = 23;
const MAX_MEDIA: usize = 4;
const MAX_DESCRIPTION: usize = 1_500;
const IMAGE_LIMIT: usize = 16 << 20;
const MAX_ANSWERS: usize = 4;
const MAX_ANSWER: usize = 50;
/// In seconds.
const SHORTEST_POLL: i64 = 300;
const LONGEST_POLL: i64 = 2_629_746;
const KEY_LIFE: i64 = 3_600_000;
const RULES: Rules = Rules {
    name: "Mastodon",
    authorize: "oauth/authorize",
    token: "oauth/token",
    id_param: "client_id",
    secret: SecretIn::Body,
    grant_type: true,
    // Servers take a challenge since 4.3 and demand none.
    pkce: false,
    separator: ' ',
    code_ms: 600_000,
    access_ms: None,
    refresh: Refresh::Never,
};
const MIMES: [&str; 5] = ["image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4"];

#[derive(Default)]
pub(crate) struct State {
    oauth: oauth::Provider,
    accounts: HashMap<String, Account>,
    /// By number.
    names: HashMap<u64, String>,
    statuses: HashMap<u64, Status>,
    media: HashMap<u64, Media>,
    last_id: u64,
}

#[derive(Default)]
struct Account {
    statuses: BTreeSet<u64>,
    keys: HashMap<String, (u64, i64)>,
    /// The keys in the order in which they end.
    ending: VecDeque<(i64, String)>,
}

struct Status {
    account: String,
    text: String,
    spoiler: String,
    visibility: String,
    language: Option<String>,
    sensitive: bool,
    reply_to: Option<u64>,
    media: Vec<u64>,
    poll: Option<Poll>,
    created: i64,
    edited: Option<i64>,
}

struct Media {
    account: String,
    blob: Blob,
    description: String,
    focus: Option<(f64, f64)>,
    /// Polls that are still answered 206.
    polls_left: u32,
    ready: bool,
    status: Option<u64>,
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    vec![("server", base.to_owned()), ("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (&Method::POST, ["api", "v1", "statuses"]) => Calls::Publish,
        (&Method::PUT, ["api", "v1", "statuses", _]) => Calls::Edit,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: lock(&world.states.mastodon).caller(call) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let segments = call.segments();
    if let Some(answer) = lock(&world.states.mastodon).oauth.answer(&RULES, call) {
        return answer;
    }
    let handled = match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["api", "v2", "instance"]) => Ok(instance(call)),
        ("GET", ["api", "v1", "instance"]) => Ok(old_instance(call)),
        ("POST", ["api", "v1", "apps"]) => register(call),
        ("POST", ["oauth", "revoke"]) => revoke(world, call),
        ("GET", ["api", "v1", "accounts", "verify_credentials"]) => verify_credentials(world, call),
        ("GET", ["api", "v1", "accounts", "lookup"]) => lookup(world, call),
        ("GET", ["api", "v1", "accounts", id]) => show_account(world, call, id),
        ("GET", ["api", "v1", "accounts", id, "statuses"]) => return list(world, call, id),
        ("POST", ["api", "v2", "media"]) => return upload(world, call, 1),
        ("POST", ["api", "v1", "media"]) => return upload(world, call, 0),
        ("GET", ["api", "v1", "media", id]) => return poll(world, call, id),
        ("PUT", ["api", "v1", "media", id]) => describe(world, call, id),
        ("DELETE", ["api", "v1", "media", id]) => discard(world, call, id),
        ("POST", ["api", "v1", "statuses"]) => create(world, call),
        ("GET", ["api", "v1", "statuses"]) => show_several(world, call),
        ("GET", ["api", "v1", "statuses", id]) => show(world, call, id),
        ("GET", ["api", "v1", "statuses", id, "source"]) => source(world, call, id),
        ("GET", ["api", "v1", "statuses", _, "context"]) => {
            Ok(json!({ "ancestors": [], "descendants": [] }))
        }
        ("PUT", ["api", "v1", "statuses", id]) => edit(world, call, id),
        ("DELETE", ["api", "v1", "statuses", id]) => delete(world, call, id),
        _ => Err(error(404, "Not found")),
    };
    handled.map_or_else(|refused| refused, |body| Answer::json(200, &body))
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => Answer::json(400, &json!({ "status": 400, "error": "Bad Request" })),
        Refusal::RateLimit(ms) => error(429, "Too many requests")
            .header("x-ratelimit-limit", "300")
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", &iso(call.now + ms)),
        Refusal::ServerError => {
            Answer::json(500, &json!({ "status": 500, "error": "Internal Server Error" }))
        }
        Refusal::Auth => error(401, "The access token was revoked"),
        Refusal::TooLarge => Answer::html(
            413,
            "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n</html>\r\n",
        ),
    }
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": message }))
}

fn failed(message: &str) -> Answer {
    error(422, &format!("Validation failed: {message}"))
}

fn not_found() -> Answer {
    error(404, "Record not found")
}

// Apps and tokens

impl State {
    /// Whose token the call carries.
    fn caller(&self, call: &Call) -> Option<String> {
        self.oauth.account_of(call.bearer()?, call.now).ok()
    }
}

fn authorized(world: &World, call: &Call) -> Result<String, Answer> {
    let account = lock(&world.states.mastodon).caller(call);
    account.ok_or_else(|| error(401, "The access token is invalid"))
}

fn register(call: &Call) -> Result<Value, Answer> {
    let name = call.text("client_name").filter(|name| !name.trim().is_empty());
    let name = name.ok_or_else(|| failed("Application name can't be blank"))?;
    let back = call.text("redirect_uris").filter(|back| url::Url::parse(back).is_ok());
    let back = back.ok_or_else(|| failed("Redirect URI must be an absolute URI."))?;
    let scopes = call.text("scopes").unwrap_or_else(|| "read".to_owned());
    Ok(json!({
        "id": "1",
        "name": name,
        "website": call.text("website"),
        "scopes": scopes.split_whitespace().collect::<Vec<_>>(),
        "redirect_uri": back,
        "redirect_uris": [back],
        "client_id": oauth::CLIENT_ID,
        "client_secret": oauth::CLIENT_SECRET,
        "client_secret_expires_at": 0,
    }))
}

fn revoke(world: &World, call: &Call) -> Result<Value, Answer> {
    let app = call.text("client_id").zip(call.text("client_secret"));
    if app != Some((oauth::CLIENT_ID.to_owned(), oauth::CLIENT_SECRET.to_owned())) {
        let body = json!({
            "error": "unauthorized_client",
            "error_description": "You are not authorized to revoke this token",
        });
        return Err(Answer::json(403, &body));
    }
    let token = call.text("token").unwrap_or_default();
    lock(&world.states.mastodon).oauth.revoke(&token);
    Ok(json!({}))
}

// Instance and accounts

fn limits() -> Value {
    json!({
        "urls": {},
        "accounts": { "max_featured_tags": 10 },
        "statuses": {
            "max_characters": MAX_CHARACTERS,
            "max_media_attachments": MAX_MEDIA,
            "characters_reserved_per_url": PER_URL,
        },
        "media_attachments": {
            "supported_mime_types": MIMES,
            "description_limit": MAX_DESCRIPTION,
            "image_size_limit": IMAGE_LIMIT,
            "image_matrix_limit": 33_177_600,
            "video_size_limit": 103_809_024,
            "video_frame_rate_limit": 120,
            "video_matrix_limit": 8_294_400,
        },
        "polls": {
            "max_options": MAX_ANSWERS,
            "max_characters_per_option": MAX_ANSWER,
            "min_expiration": SHORTEST_POLL,
            "max_expiration": LONGEST_POLL,
        },
        "translation": { "enabled": false },
    })
}

fn instance(call: &Call) -> Value {
    json!({
        "domain": host(call),
        "title": "Carillon sandbox",
        "version": "4.4.0",
        "source_url": "https://github.com/mastodon/mastodon",
        "description": "Nothing here is public.",
        "usage": { "users": { "active_month": 0 } },
        "thumbnail": { "url": format!("{}/_style.css", call.origin) },
        "languages": ["en"],
        "configuration": limits(),
        "registrations": { "enabled": false, "approval_required": false, "message": null },
        "api_versions": { "mastodon": 6 },
        "contact": { "email": "", "account": null },
        "rules": [],
    })
}

fn old_instance(call: &Call) -> Value {
    json!({
        "uri": host(call),
        "title": "Carillon sandbox",
        "version": "4.4.0",
        "short_description": "Nothing here is public.",
        "description": "Nothing here is public.",
        "email": "",
        "urls": {},
        "stats": { "user_count": 0, "status_count": 0, "domain_count": 0 },
        "languages": ["en"],
        "registrations": false,
        "approval_required": false,
        "invites_enabled": false,
        "configuration": limits(),
        "rules": [],
    })
}

fn host(call: &Call) -> &str {
    call.origin.split_once("//").map_or("", |(_, host)| host)
}

fn account_id(account: &str) -> u64 {
    number_of(account, 18)
}

fn account_json(state: &State, call: &Call, account: &str) -> Value {
    let url = format!("{}/?network=mastodon&account={account}", call.origin);
    json!({
        "id": account_id(account).to_string(),
        "username": account,
        "acct": account,
        "display_name": account,
        "locked": false,
        "bot": false,
        "discoverable": true,
        "group": false,
        "created_at": "2026-01-01T00:00:00.000Z",
        "note": "",
        "url": url,
        "uri": format!("{}/mastodon/users/{account}", call.origin),
        "avatar": "",
        "avatar_static": "",
        "header": "",
        "header_static": "",
        "followers_count": 0,
        "following_count": 0,
        "statuses_count": state.accounts.get(account).map_or(0, |a| a.statuses.len()),
        "last_status_at": null,
        "emojis": [],
        "fields": [],
    })
}

fn verify_credentials(world: &World, call: &Call) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let mut state = lock(&world.states.mastodon);
    state.names.insert(account_id(&account), account.clone());
    let mut body = account_json(&state, call, &account);
    body["source"] = json!({ "privacy": "public", "sensitive": false, "language": "en", "note": "", "fields": [] });
    body["role"] = json!({ "id": "-99", "name": "", "permissions": "0", "highlighted": false });
    Ok(body)
}

fn lookup(world: &World, call: &Call) -> Result<Value, Answer> {
    let named = call.text("acct").unwrap_or_default();
    let named = named.split('@').next().unwrap_or_default();
    if !is_account(named) {
        return Err(not_found());
    }
    let mut state = lock(&world.states.mastodon);
    state.names.insert(account_id(named), named.to_owned());
    Ok(account_json(&state, call, named))
}

fn show_account(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    let state = lock(&world.states.mastodon);
    let account = named(&state, call, id).ok_or_else(not_found)?;
    Ok(account_json(&state, call, &account))
}

/// The account of a number: of the caller, or one that was seen before.
fn named(state: &State, call: &Call, id: &str) -> Option<String> {
    let id: u64 = id.parse().ok()?;
    let own = state.caller(call).filter(|name| account_id(name) == id);
    own.or_else(|| state.names.get(&id).cloned())
}

// Media

impl State {
    /// An id of the time, greater than every one before.
    fn id(&mut self, now: i64) -> u64 {
        self.last_id = (self.last_id + 1).max(now.unsigned_abs() << 16);
        self.last_id
    }
}

fn upload(world: &World, call: &Call, polls_left: u32) -> Answer {
    match try_upload(world, call, polls_left) {
        Ok(body) => Answer::json(if polls_left > 0 { 202 } else { 200 }, &body),
        Err(refused) => refused,
    }
}

fn try_upload(world: &World, call: &Call, polls_left: u32) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let file = call.file("file").ok_or_else(|| failed("File can't be blank"))?;
    let blob = world.blobs.keep(&file.bytes);
    if blob.kind.is_none_or(|kind| !MIMES.contains(&kind.mime)) {
        return Err(failed("File content type is invalid, File is invalid"));
    }
    if blob.kind.is_some_and(|kind| kind.is_image()) && blob.size > IMAGE_LIMIT {
        return Err(failed("File file size must be less than 16 MB"));
    }
    let media = Media {
        account: account.clone(),
        blob,
        description: description(call)?.unwrap_or_default(),
        focus: focus(call)?,
        polls_left,
        ready: polls_left == 0,
        status: None,
    };
    let mut state = lock(&world.states.mastodon);
    state.names.insert(account_id(&account), account);
    let id = state.id(call.now);
    let body = media_json(call, id, &media);
    state.media.insert(id, media);
    Ok(body)
}

fn description(call: &Call) -> Result<Option<String>, Answer> {
    let text = call.text("description");
    match &text {
        Some(text) if text.chars().count() > MAX_DESCRIPTION => {
            Err(failed("Description is too long (maximum is 1500 characters)"))
        }
        _ => Ok(text),
    }
}

fn focus(call: &Call) -> Result<Option<(f64, f64)>, Answer> {
    let Some(text) = call.text("focus").filter(|text| !text.is_empty()) else { return Ok(None) };
    let read = text.split_once(',').and_then(|(x, y)| {
        let (x, y): (f64, f64) = (x.trim().parse().ok()?, y.trim().parse().ok()?);
        (x.abs() <= 1.0 && y.abs() <= 1.0).then_some((x, y))
    });
    read.map(Some).ok_or_else(|| failed("Focus is invalid"))
}

fn media_json(call: &Call, id: u64, media: &Media) -> Value {
    let kind = media.blob.kind;
    let (width, height) = kind.map_or((0, 0), |kind| (kind.width, kind.height));
    let url = media.ready.then(|| format!("{}{}", call.origin, media.blob.path()));
    let mut meta = json!({ "original": {
        "width": width,
        "height": height,
        "size": format!("{width}x{height}"),
        "aspect": if height > 0 { f64::from(width) / f64::from(height) } else { 0.0 },
    }});
    if let Some((x, y)) = media.focus {
        meta["focus"] = json!({ "x": x, "y": y });
    }
    json!({
        "id": id.to_string(),
        "type": if kind.is_some_and(|kind| kind.is_image()) { "image" } else { "video" },
        "url": url,
        "preview_url": url,
        "remote_url": null,
        "preview_remote_url": null,
        "text_url": null,
        "meta": meta,
        "description": if media.description.is_empty() { None } else { Some(&media.description) },
        "blurhash": null,
    })
}

/// The caller's medium of this number.
fn own_media<'s>(
    state: &'s mut State,
    account: &str,
    id: &str,
) -> Result<(u64, &'s mut Media), Answer> {
    let id: u64 = id.parse().map_err(|_| not_found())?;
    let media = state.media.get_mut(&id).filter(|media| media.account == account);
    media.map(|media| (id, media)).ok_or_else(not_found)
}

fn poll(world: &World, call: &Call, id: &str) -> Answer {
    let polled = authorized(world, call).and_then(|account| {
        let mut state = lock(&world.states.mastodon);
        let (id, media) = own_media(&mut state, &account, id)?;
        if media.ready {
            return Ok(Answer::json(200, &media_json(call, id, media)));
        }
        if world.faults.still_processing(Network::Mastodon, &account) {
            return Ok(Answer::json(206, &media_json(call, id, media)));
        }
        if media.polls_left > 0 {
            media.polls_left -= 1;
            return Ok(Answer::json(206, &media_json(call, id, media)));
        }
        media.ready = true;
        Ok(Answer::json(200, &media_json(call, id, media)))
    });
    polled.unwrap_or_else(|refused| refused)
}

fn describe(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let (new_description, new_focus) = (description(call)?, focus(call)?);
    let mut state = lock(&world.states.mastodon);
    let (id, media) = own_media(&mut state, &account, id)?;
    if media.status.is_some() {
        return Err(not_found());
    }
    if let Some(text) = new_description {
        media.description = text;
    }
    media.focus = new_focus.or(media.focus);
    Ok(media_json(call, id, media))
}

fn discard(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let mut state = lock(&world.states.mastodon);
    let (id, media) = own_media(&mut state, &account, id)?;
    if media.status.is_some() {
        return Err(error(422, "Media attachment is currently used by a status"));
    }
    state.media.remove(&id);
    Ok(json!({}))
}

// Statuses

fn create(world: &World, call: &Call) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let key = call.header("idempotency-key").filter(|key| !key.is_empty());
    let mut state = lock(&world.states.mastodon);
    state.names.insert(account_id(&account), account.clone());
    let known = state.accounts.entry(account.clone()).or_default();
    while known.ending.front().is_some_and(|(end, _)| *end <= call.now) {
        if let Some((_, key)) = known.ending.pop_front() {
            known.keys.remove(&key);
        }
    }
    if let Some((id, _)) = key.and_then(|key| known.keys.get(key)) {
        let id = *id;
        let status = state.statuses.get(&id).ok_or_else(not_found)?;
        return Ok(status_json(&state, call, id, status));
    }
    if call.value("scheduled_at").is_some() {
        return Err(failed("`scheduled_at` is not spoken by the sandbox"));
    }
    let visibility = call.text("visibility").unwrap_or_else(|| "public".to_owned());
    if !["public", "unlisted", "private", "direct"].contains(&visibility.as_str()) {
        return Err(failed("Visibility is not included in the list"));
    }
    let reply_to = match call.text("in_reply_to_id").filter(|id| !id.is_empty()) {
        None => None,
        Some(id) => {
            let id = id.parse().ok().filter(|id| state.statuses.contains_key(id));
            let gone = "The post you are trying to reply to does not appear to exist.";
            Some(id.ok_or_else(|| error(404, gone))?)
        }
    };
    let Content { text, spoiler, media, poll } = content(&state, call, &account, None)?;
    let status = Status {
        account: account.clone(),
        text,
        spoiler,
        visibility,
        language: call.text("language").filter(|code| !code.is_empty()),
        sensitive: call.flag("sensitive").unwrap_or(false),
        reply_to,
        media,
        poll,
        created: call.now,
        edited: None,
    };
    let id = state.id(call.now);
    for media in &status.media {
        if let Some(media) = state.media.get_mut(media) {
            media.status = Some(id);
        }
    }
    let (text, media) = shown(&state, &status);
    let body = status_json(&state, call, id, &status);
    state.statuses.insert(id, status);
    let known = state.accounts.entry(account.clone()).or_default();
    known.statuses.insert(id);
    if let Some(key) = key {
        known.keys.insert(key.to_owned(), (id, call.now));
        known.ending.push_back((call.now + KEY_LIFE, key.to_owned()));
    }
    world.ledger.appear(
        Network::Mastodon,
        Appeared {
            id: id.to_string(),
            account: &account,
            placement: "feed",
            reply_to: reply_to.map(|id| id.to_string()),
            text,
            media,
            at: call.now,
        },
    );
    world.ledger.ask(Network::Mastodon, &id.to_string(), state.statuses[&id].poll.as_ref());
    Ok(body)
}

struct Content {
    text: String,
    spoiler: String,
    media: Vec<u64>,
    poll: Option<Poll>,
}

/// Text and media of a new or an edited status, checked.
fn content(
    state: &State,
    call: &Call,
    account: &str,
    edited: Option<u64>,
) -> Result<Content, Answer> {
    let text = call.text("status").unwrap_or_default();
    let spoiler = call.text("spoiler_text").unwrap_or_default();
    let mut media = Vec::new();
    let asked = call.list("media_ids");
    let poll = asked_poll(call)?;
    // Its own words for both.
    if asked.len() > MAX_MEDIA || !asked.is_empty() && poll.is_some() {
        return Err(error(422, "Cannot attach more than 4 files"));
    }
    for id in &asked {
        let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let known = text.parse::<u64>().ok().and_then(|id| Some((id, state.media.get(&id)?)));
        let known = known.filter(|(_, media)| {
            media.account == account && (media.status.is_none() || media.status == edited)
        });
        let (id, known) = known.ok_or_else(|| {
            error(422, &format!("Media {text} not found or already attached to another post"))
        })?;
        if !known.ready {
            return Err(error(
                422,
                "Cannot attach files that have not finished processing. Try again in a moment!",
            ));
        }
        media.push(id);
    }
    let is_video = |id: &u64| state.media[id].blob.kind.is_some_and(|kind| !kind.is_image());
    if media.len() > 1 && media.iter().any(is_video) {
        return Err(error(422, "Cannot attach a video to a post that already contains images"));
    }
    if text.trim().is_empty() && media.is_empty() {
        return Err(failed("Text can't be blank"));
    }
    if characters(&text) + characters(&spoiler) > MAX_CHARACTERS {
        return Err(failed("Text character limit of 500 exceeded"));
    }
    Ok(Content { text, spoiler, media, poll })
}

/// The poll of a new or an edited status, in JSON or in the fields of a form.
fn asked_poll(call: &Call) -> Result<Option<Poll>, Answer> {
    let json = call.json.as_ref().map(|json| &json["poll"]).filter(|poll| poll.is_object());
    let options = match json {
        Some(poll) => poll["options"].as_array().cloned().unwrap_or_default(),
        None => call.list("poll[options]"),
    };
    if json.is_none() && options.is_empty() {
        return Ok(None);
    }
    let told = |name: &str| match json {
        Some(poll) => Some(poll[name].to_string().trim_matches('"').to_owned()),
        None => call.text(&format!("poll[{name}]")),
    };
    let answers = texts(&options, |one| one);
    let wrong = |why: &str| Err(failed(&format!("Owned poll options {why}")));
    if answers.len() < 2 {
        return wrong("must have more than one item");
    }
    if answers.len() > MAX_ANSWERS {
        return wrong("can't contain more than 4 items");
    }
    if answers.iter().any(|text| text.graphemes(true).count() > MAX_ANSWER) {
        return wrong("cannot be longer than 50 characters each");
    }
    if answers.iter().collect::<BTreeSet<_>>().len() < answers.len() {
        return wrong("contain duplicate items");
    }
    let seconds: Option<i64> = told("expires_in").and_then(|n| n.parse().ok());
    let when = match seconds {
        None => Some("can't be blank"),
        Some(n) if n < SHORTEST_POLL => Some("is too soon"),
        Some(n) if n > LONGEST_POLL => Some("is too far into the future"),
        Some(_) => None,
    };
    if let Some(why) = when {
        return Err(failed(&format!("Owned poll expires at {why}")));
    }
    let several = told("multiple").is_some_and(|flag| ["true", "1"].contains(&flag.as_str()));
    let ends = seconds.map(|n| call.now + n * 1_000);
    Ok(Some(Poll { question: None, answers, several, ends }))
}

/// A poll that nobody has voted in; its number is that of its status.
fn poll_json(call: &Call, id: u64, poll: &Poll) -> Value {
    let option = |title: &String| json!({ "title": title, "votes_count": 0 });
    json!({
        "id": id.to_string(),
        "expires_at": poll.ends.map(iso),
        "expired": poll.ends.is_some_and(|end| end <= call.now),
        "multiple": poll.several,
        "votes_count": 0,
        "voters_count": 0,
        "options": poll.answers.iter().map(option).collect::<Value>(),
        "emojis": [],
        "voted": true,
        "own_votes": [],
    })
}

/// Graphemes, each link as 23, a mention without its host.
fn characters(text: &str) -> usize {
    let count = |text: &str| text.graphemes(true).count();
    let length = |piece: Piece<'_>| match piece {
        Piece::Plain(text) | Piece::Tag(text) => count(text),
        Piece::Link(_) => PER_URL,
        Piece::Mention { user, .. } => 1 + count(user),
    };
    pieces(text).into_iter().map(length).sum()
}

fn shown(state: &State, status: &Status) -> (String, Vec<LedgerMedia>) {
    let text = match status.spoiler.as_str() {
        "" => status.text.clone(),
        spoiler => format!("{spoiler}\n\n{}", status.text),
    };
    let media = status.media.iter().filter_map(|id| state.media.get(id));
    (text, media.map(|media| media.blob.in_ledger(&media.description)).collect())
}

fn status_json(state: &State, call: &Call, id: u64, status: &Status) -> Value {
    let media = status.media.iter().filter_map(|id| Some((*id, state.media.get(id)?)));
    let media: Vec<Value> = media.map(|(id, media)| media_json(call, id, media)).collect();
    let mut tags = Vec::new();
    for piece in pieces(&status.text) {
        if let Piece::Tag(tag) = piece {
            let name = tag[1..].to_lowercase();
            tags.push(json!({ "name": name, "url": format!("{}/?network=mastodon", call.origin) }));
        }
    }
    json!({
        "id": id.to_string(),
        "created_at": iso(status.created),
        "in_reply_to_id": status.reply_to.map(|id| id.to_string()),
        "in_reply_to_account_id": status
            .reply_to
            .and_then(|id| state.statuses.get(&id))
            .map(|status| account_id(&status.account).to_string()),
        "sensitive": status.sensitive,
        "spoiler_text": status.spoiler,
        "visibility": status.visibility,
        "language": status.language,
        "uri": format!("{}/mastodon/users/{}/statuses/{id}", call.origin, status.account),
        "url": format!("{}/posts/mastodon/{id}", call.origin),
        "replies_count": 0,
        "reblogs_count": 0,
        "favourites_count": 0,
        "quotes_count": 0,
        "edited_at": status.edited.map(iso),
        "favourited": false,
        "reblogged": false,
        "muted": false,
        "bookmarked": false,
        "pinned": false,
        "content": html(call, &status.text),
        "filtered": [],
        "reblog": null,
        "application": { "name": "Carillon", "website": null },
        "account": account_json(state, call, &status.account),
        "media_attachments": media,
        "mentions": [],
        "tags": tags,
        "emojis": [],
        "card": null,
        "poll": status.poll.as_ref().map(|poll| poll_json(call, id, poll)),
    })
}

/// The text as Mastodon renders it: paragraphs, and links cut to a readable length.
fn html(call: &Call, text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut out = String::new();
    for paragraph in text.split("\n\n").map(|p| p.trim_matches('\n')).filter(|p| !p.is_empty()) {
        out.push_str("<p>");
        for piece in pieces(paragraph) {
            match piece {
                Piece::Plain(text) => out.push_str(&escaped(text).replace('\n', "<br />")),
                Piece::Link(link) => out.push_str(&link_html(link)),
                Piece::Mention { user, host: None, .. } => {
                    let url = format!("{}/?network=mastodon&amp;account={user}", call.origin);
                    out.push_str(&format!(
                        "<span class=\"h-card\" translate=\"no\"><a href=\"{url}\" \
                         class=\"u-url mention\">@<span>{user}</span></a></span>"
                    ));
                }
                // Of another instance, which the sandbox does not know: left as it is.
                Piece::Mention { whole, .. } => out.push_str(&escaped(whole)),
                Piece::Tag(tag) => out.push_str(&format!(
                    "<a href=\"{}/?network=mastodon\" class=\"mention hashtag\" rel=\"tag\">\
                     #<span>{}</span></a>",
                    call.origin,
                    escaped(&tag[1..])
                )),
            }
        }
        out.push_str("</p>");
    }
    out
}

fn link_html(link: &str) -> String {
    let host = link.find("//").map_or(0, |at| at + 2);
    let shown = host + if link[host..].starts_with("www.") { 4 } else { 0 };
    let end = link[shown..].char_indices().nth(30).map_or(link.len(), |(at, _)| shown + at);
    let class = if end < link.len() { "ellipsis" } else { "" };
    format!(
        "<a href=\"{}\" target=\"_blank\" rel=\"nofollow noopener\" translate=\"no\">\
         <span class=\"invisible\">{}</span><span class=\"{class}\">{}</span>\
         <span class=\"invisible\">{}</span></a>",
        escaped(link),
        escaped(&link[..shown]),
        escaped(&link[shown..end]),
        escaped(&link[end..])
    )
}

/// A status that the caller may see.
fn visible<'s>(state: &'s State, call: &Call, id: &str) -> Result<(u64, &'s Status), Answer> {
    let id: u64 = id.parse().map_err(|_| not_found())?;
    let status = state.statuses.get(&id).ok_or_else(not_found)?;
    let open = ["public", "unlisted"].contains(&status.visibility.as_str());
    if open || state.caller(call).as_ref() == Some(&status.account) {
        Ok((id, status))
    } else {
        Err(not_found())
    }
}

fn show(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    let state = lock(&world.states.mastodon);
    let (id, status) = visible(&state, call, id)?;
    let told = world.numbers(Network::Mastodon, &id.to_string());
    let mut body = status_json(&state, call, id, status);
    body["replies_count"] = json!(told.comments);
    body["reblogs_count"] = json!(told.reposts());
    body["favourites_count"] = json!(told.likes);
    body["quotes_count"] = json!(told.quotes());
    Ok(body)
}

fn show_several(world: &World, call: &Call) -> Result<Value, Answer> {
    let state = lock(&world.states.mastodon);
    let asked = call.list("id");
    let found = asked.iter().filter_map(Value::as_str).filter_map(|id| {
        let (id, status) = visible(&state, call, id).ok()?;
        Some(status_json(&state, call, id, status))
    });
    Ok(Value::Array(found.collect()))
}

/// The caller's own status of this number.
fn own(state: &State, account: &str, id: &str) -> Result<u64, Answer> {
    let id: u64 = id.parse().map_err(|_| not_found())?;
    let own = state.statuses.get(&id).is_some_and(|status| status.account == account);
    own.then_some(id).ok_or_else(not_found)
}

fn source(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let state = lock(&world.states.mastodon);
    let id = own(&state, &account, id)?;
    let Status { text, spoiler, .. } = &state.statuses[&id];
    Ok(json!({ "id": id.to_string(), "text": text, "spoiler_text": spoiler }))
}

fn edit(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let mut state = lock(&world.states.mastodon);
    let id = own(&state, &account, id)?;
    let new = content(&state, call, &account, Some(id))?;
    let old = state.statuses.get(&id).map(|status| status.media.clone()).unwrap_or_default();
    for (media, status) in
        old.iter().map(|id| (id, None)).chain(new.media.iter().map(|media| (media, Some(id))))
    {
        if let Some(media) = state.media.get_mut(media) {
            media.status = status;
        }
    }
    if let Some(status) = state.statuses.get_mut(&id) {
        status.text = new.text;
        status.spoiler = new.spoiler;
        status.media = new.media;
        status.poll = new.poll;
        status.language = call.text("language").or(status.language.take());
        status.sensitive = call.flag("sensitive").unwrap_or(status.sensitive);
        status.edited = Some(call.now);
    }
    let status = &state.statuses[&id];
    let (text, media) = shown(&state, status);
    world.ledger.edit(Network::Mastodon, &id.to_string(), |post| {
        post.text = text;
        post.media = media;
        post.poll = status.poll.as_ref().map(Poll::in_ledger);
    });
    Ok(status_json(&state, call, id, status))
}

fn delete(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let mut state = lock(&world.states.mastodon);
    let id = own(&state, &account, id)?;
    let status = state.statuses.remove(&id).ok_or_else(not_found)?;
    let mut body = status_json(&state, call, id, &status);
    body["text"] = json!(status.text);
    for media in &status.media {
        if let Some(media) = state.media.get_mut(media) {
            // Free again, for a corrected post.
            media.status = None;
        }
    }
    if let Some(known) = state.accounts.get_mut(&account) {
        known.statuses.remove(&id);
    }
    world.ledger.vanish(Network::Mastodon, &id.to_string(), call.now);
    Ok(body)
}

fn list(world: &World, call: &Call, id: &str) -> Answer {
    let state = lock(&world.states.mastodon);
    let Some(account) = named(&state, call, id) else { return not_found() };
    let limit = call.number("limit").and_then(|n| usize::try_from(n).ok()).unwrap_or(20);
    let limit = limit.clamp(1, 40);
    let bound = |name: &str| call.text(name).and_then(|id| id.parse::<u64>().ok());
    let below = bound("max_id").map_or(Unbounded, Excluded);
    let above = bound("since_id").or(bound("min_id")).map_or(Unbounded, Excluded);
    // A set panics at a range that cannot hold anything.
    let possible = match (above, below) {
        (Excluded(above), Excluded(below)) => above < below,
        _ => true,
    };
    let flag = |name: &str| call.flag(name) == Some(true);
    let mine = state.accounts.get(&account).filter(|_| possible);
    let wanted = |id: &u64| {
        let (id, status) = visible(&state, call, &id.to_string()).ok()?;
        let left_out = flag("exclude_replies") && status.reply_to.is_some()
            || flag("only_media") && status.media.is_empty();
        (!left_out).then_some((id, status))
    };
    let mut found: Vec<(u64, &Status)> = match mine {
        None => Vec::new(),
        // From the oldest on, still shown newest first.
        Some(mine) if bound("min_id").is_some() => {
            let mut page: Vec<_> =
                mine.statuses.range((above, below)).filter_map(wanted).take(limit).collect();
            page.reverse();
            page
        }
        Some(mine) => {
            mine.statuses.range((above, below)).rev().filter_map(wanted).take(limit).collect()
        }
    };
    found.truncate(limit);
    let link = found.first().zip(found.last()).map(|((first, _), (last, _))| {
        let base = format!("{}/mastodon/api/v1/accounts/{id}/statuses?limit={limit}", call.origin);
        format!("<{base}&max_id={last}>; rel=\"next\", <{base}&min_id={first}>; rel=\"prev\"")
    });
    let body = found.iter().map(|(id, status)| status_json(&state, call, *id, status)).collect();
    let answer = Answer::json(200, &Value::Array(body));
    match link {
        Some(link) => answer.header("link", &link),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_as_the_instance_counts() {
        assert_eq!(characters("héllo 👨‍👩‍👧"), 7);
        assert_eq!(characters("see https://a.example/a/very/long/path/that/goes/on/and/on"), 27);
        assert_eq!(characters("www.example.com"), 15);
        assert_eq!(characters("hi @ann@social.example!"), 8);
    }

    #[tokio::test]
    async fn text_is_rendered_as_the_instance_renders_it() {
        let call = Call::of(Method::GET, "/", "", "").await;
        assert_eq!(
            html(&call, "One <b>\ntwo\n\nhttps://www.example.com/0123456789/0123456789"),
            "<p>One &lt;b&gt;<br />two</p><p><a href=\"https://www.example.com/0123456789/0123456789\" \
             target=\"_blank\" rel=\"nofollow noopener\" translate=\"no\">\
             <span class=\"invisible\">https://www.</span>\
             <span class=\"ellipsis\">example.com/0123456789/0123456</span>\
             <span class=\"invisible\">789</span></a></p>"
        );
    }
}
