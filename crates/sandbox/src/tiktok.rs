//! TikTok: the Content Posting API at `/tiktok/v2/…`, uploads at `/tiktok/video/`, consent at
//! `/tiktok/v2/auth/authorize/`.
//!
//! networks.md §5. Every answer has its `error`, `ok` among them. A post that is opened for a file
//! exists when its last byte is there, in order and in the chunks that were announced; it is
//! processed for twenty seconds, then published, and its number is told a minute after that, when
//! it is seen. Photos are fetched when their post is opened; a post of theirs is in the ledger from
//! then on, because nothing but TikTok's own time stands before it. Fifteen posts in a moving day.
//!
//! An account whose name begins with `private` offers no public audience, one with `muted` has no
//! comments, and the app was not audited for one with `unaudited`. Addresses may be `http` and of
//! this machine here; a host whose name begins with `unverified` is not the app's. Not spoken:
//! films that are fetched, cancelling, the list of all videos.

use std::collections::{BTreeSet, HashMap};

use bytes::{Bytes, BytesMut};
use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::Appeared;
use crate::media::{Blob, fetch};
use crate::oauth::{CLIENT_ID, CLIENT_SECRET, Provider, Refresh, Rules, SecretIn};
use crate::world::{Fields, Network, World, hex, lock, number_of, secret_of, sha256};

const DAY: i64 = 86_400_000;
const URL_MS: i64 = 3_600_000;
const PROCESSING_MS: i64 = 20_000;
const MODERATION_MS: i64 = 60_000;
const DAILY_POSTS: usize = 15;
const LEAST_CHUNK: u64 = 5_000_000;
const MOST_CHUNK: u64 = 64 << 20;
const MOST_LAST: u64 = 128 << 20;
const MOST_FILE: u64 = 4 << 30;
const CAPTION: usize = 2_200;
const PHOTO_TITLE: usize = 90;
const PHOTO_TEXT: usize = 4_000;
const PHOTOS: usize = 35;
const PHOTO_BYTES: usize = 20_000_000;
const PHOTO_SIDE: u32 = 1_080;

const PUBLIC: &str = "PUBLIC_TO_EVERYONE";

const RULES: Rules = Rules {
    name: "TikTok",
    authorize: "v2/auth/authorize",
    token: "v2/oauth/token",
    id_param: "client_key",
    secret: SecretIn::Body,
    grant_type: true,
    pkce: false,
    separator: ',',
    code_ms: 600_000,
    access_ms: Some(DAY),
    refresh: Refresh::Rotates(Some(365 * DAY)),
};

#[derive(Default)]
pub(crate) struct State {
    oauth: Provider,
    tasks: HashMap<String, Task>,
    /// Ids of posts by the id in their upload's address.
    uploads: HashMap<String, String>,
    /// Files that are complete, and whose post has not appeared yet.
    coming: BTreeSet<String>,
    /// Direct posts of each account, by time.
    posted: HashMap<String, Vec<i64>>,
    made: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Direct,
    Inbox,
    Photos,
}

/// A post that was opened.
struct Task {
    account: String,
    mode: Mode,
    text: String,
    audience: String,
    total: u64,
    chunk: u64,
    count: u64,
    /// The secret part of the upload's address.
    token: String,
    data: BytesMut,
    media: Vec<Blob>,
    opened: i64,
    /// When all of it was there.
    complete: Option<i64>,
    failed: Option<&'static str>,
    post: u64,
}

/// An error by its code.
struct Fail(u16, &'static str, String);

fn fail<T>(status: u16, code: &'static str, says: &str) -> Result<T, Fail> {
    Err(Fail(status, code, says.to_owned()))
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let state = lock(&world.states.tiktok);
    let task = state.uploads.get(&call.text("upload_id").unwrap_or_default());
    let task = task.and_then(|id| state.tasks.get(id));
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (_, ["v2", "post", "publish", "status", "fetch"]) => Calls::Read,
        (_, ["v2", "post", "publish", "creator_info", "query"]) => Calls::Read,
        (_, ["v2", "post", "publish", "content", "init"]) => Calls::Publish,
        (&Method::PUT, ["video"]) => {
            let range = call.header("content-range").and_then(range);
            match range.is_some_and(|(_, last, total)| last + 1 == total) {
                true => Calls::Publish,
                false => Calls::Prepare,
            }
        }
        _ => Calls::Prepare,
    };
    let own = call.bearer().and_then(|token| state.oauth.account_of(token, call.now).ok());
    Aim { call: kind, account: own.or_else(|| task.map(|task| task.account.clone())) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let Some(answer) = consent(world, call) {
        return answer;
    }
    tick(world, call.now);
    if call.method == Method::PUT && call.path == "video" {
        return upload(world, call);
    }
    match handle(world, call).await {
        Ok(data) => enveloped(200, data, "ok", ""),
        Err(Fail(status, code, says)) => enveloped(status, json!({}), code, &says),
    }
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => {
            enveloped(400, json!({}), "invalid_params", "The request body is not valid JSON.")
        }
        // There is no word of when it ends.
        Refusal::RateLimit(_) => {
            let says = "The API rate limit was exceeded. Please try again later.";
            enveloped(429, json!({}), "rate_limit_exceeded", says)
        }
        Refusal::ServerError => {
            enveloped(500, json!({}), "internal_error", "Something went wrong. Please try again.")
        }
        Refusal::Auth => enveloped(401, json!({}), "access_token_invalid", INVALID),
        Refusal::TooLarge => {
            Answer::html(413, "<html><h1>413 Request Entity Too Large</h1></html>")
        }
    }
}

const INVALID: &str = "The access token is invalid or not found in the request.";

fn enveloped(status: u16, data: Value, code: &str, says: &str) -> Answer {
    let log_id = log_id();
    let error = json!({ "code": code, "message": says, "log_id": log_id });
    Answer::json(status, &json!({ "data": data, "error": error }))
}

fn log_id() -> String {
    uuid::Uuid::new_v4().simple().to_string().to_uppercase()
}

// Consent

fn consent(world: &World, call: &Call) -> Option<Answer> {
    let mut state = lock(&world.states.tiktok);
    if call.path == "v2/oauth/revoke" && call.method == Method::POST {
        let app = call.text("client_key").zip(call.text("client_secret"));
        if app != Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned())) {
            return Some(flat(401, "invalid_client", "Client key or secret is incorrect."));
        }
        state.oauth.revoke(&call.text("token").unwrap_or_default());
        return Some(Answer::json(200, &json!({})));
    }
    let answer = state.oauth.answer(&RULES, call)?;
    if call.path != RULES.token {
        return Some(answer);
    }
    // The same in TikTok's own words.
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(code) = body["error"].as_str() {
        let says = body["error_description"].as_str().unwrap_or_default();
        return Some(flat(answer.status.as_u16(), code, says));
    }
    if let Some(life) = body.as_object_mut().and_then(|b| b.remove("refresh_token_expires_in")) {
        body["refresh_expires_in"] = life;
    }
    let token = body["access_token"].as_str().unwrap_or_default();
    if let Ok(account) = state.oauth.account_of(token, call.now) {
        body["open_id"] = json!(open_id(&account));
    }
    body["token_type"] = json!("Bearer");
    Some(Answer::json(200, &body))
}

/// An error of the token endpoint has no envelope.
fn flat(status: u16, code: &str, says: &str) -> Answer {
    let body = json!({ "error": code, "error_description": says, "log_id": log_id() });
    Answer::json(status, &body)
}

fn open_id(account: &str) -> String {
    format!("-000{}", &hex(&sha256(account.as_bytes()))[..32])
}

/// Whose call it is, with at least one of these scopes.
fn authorized(world: &World, call: &Call, scopes: &[&str]) -> Result<String, Fail> {
    let state = lock(&world.states.tiktok);
    let token = call.bearer().unwrap_or_default();
    let Ok(account) = state.oauth.account_of(token, call.now) else {
        return fail(401, "access_token_invalid", INVALID);
    };
    let granted = state.oauth.scope_of(token);
    let may = |all: &str| all.split(',').any(|scope| scopes.contains(&scope));
    match granted.is_none_or(may) {
        true => Ok(account),
        false => fail(
            401,
            "scope_not_authorized",
            "The user did not authorize the scope required for completing this request.",
        ),
    }
}

async fn handle(world: &World, call: &Call) -> Result<Value, Fail> {
    let may = |scopes: &[&str]| authorized(world, call, scopes);
    let segments = call.segments();
    let path = match segments.as_slice() {
        ["v2", "user", "info"] if call.method == Method::GET => {
            return user(call, &may(&["user.info.basic"])?, may(&["user.info.profile"]).is_ok());
        }
        ["v2", "video", "query"] if call.method == Method::POST => {
            return videos(world, call, &may(&["video.list"])?);
        }
        ["v2", "post", "publish", path @ ..] if call.method == Method::POST => path,
        _ => return fail(404, "invalid_params", "The endpoint does not exist."),
    };
    if !call.content_type().starts_with("application/json") {
        return fail(400, "invalid_params", "The content type must be application/json.");
    }
    match path {
        ["creator_info", "query"] => creator(world, call, &may(&["video.publish"])?),
        ["video", "init"] => open(world, call, may(&["video.publish"])?, Mode::Direct),
        ["inbox", "video", "init"] => open(world, call, may(&["video.upload"])?, Mode::Inbox),
        ["content", "init"] => photos(world, call, may(&["video.publish"])?).await,
        ["status", "fetch"] => status(world, call, &may(&["video.publish", "video.upload"])?),
        _ => fail(404, "invalid_params", "The endpoint does not exist."),
    }
}

/// The account's own public videos among those that are asked for.
fn videos(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let body = call.json.clone().unwrap_or_default();
    let ids = body["filters"]["video_ids"].as_array().filter(|ids| (1..=20).contains(&ids.len()));
    let Some(ids) = ids else {
        return fail(400, "invalid_params", "1 to 20 video ids have to be given.");
    };
    let asked = call.text("fields").unwrap_or_default();
    let mut videos = Vec::new();
    for id in ids.iter().filter_map(Value::as_str) {
        let seen = world.ledger(Network::Tiktok).into_iter();
        let mut seen = seen.filter(|post| post.account == account && post.placement == "video");
        if seen.all(|post| post.id != id) {
            continue;
        }
        let told = world.numbers(Network::Tiktok, id);
        let mut video = json!({});
        for field in asked.split(',') {
            video[field] = match field {
                "id" => json!(id),
                "view_count" => json!(told.views),
                "like_count" => json!(told.likes),
                "comment_count" => json!(told.comments),
                "share_count" => json!(told.shares),
                _ => return fail(400, "invalid_params", "A field is not supported."),
            };
        }
        videos.push(video);
    }
    Ok(json!({ "videos": videos }))
}

// Accounts

fn user(call: &Call, account: &str, profile: bool) -> Result<Value, Fail> {
    let asked = call.text("fields").unwrap_or_default();
    if asked.is_empty() {
        return fail(400, "invalid_params", "The fields parameter is required.");
    }
    let mut user = json!({});
    for field in asked.split(',') {
        user[field] = match field {
            "open_id" => json!(open_id(account)),
            "display_name" => json!(account),
            "avatar_url" => json!(""),
            "username" if profile => json!(account),
            "username" => {
                let says = "The user did not authorize the scope user.info.profile.";
                return fail(401, "scope_not_authorized", says);
            }
            _ => return fail(400, "invalid_params", "A field is not supported."),
        };
    }
    Ok(json!({ "user": user }))
}

fn audiences(account: &str) -> [&'static str; 3] {
    match account.starts_with("private") {
        true => ["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
        false => [PUBLIC, "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
    }
}

impl State {
    fn posts_left(&self, account: &str, now: i64) -> bool {
        let posts = self.posted.get(account).into_iter().flatten();
        posts.filter(|at| now - **at < DAY).count() < DAILY_POSTS
    }
}

fn creator(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    if !lock(&world.states.tiktok).posts_left(account, call.now) {
        // With the status of a success.
        return fail(200, "spam_risk_too_many_posts", TOO_MANY);
    }
    Ok(json!({
        "creator_avatar_url": "",
        "creator_username": account,
        "creator_nickname": account,
        "privacy_level_options": audiences(account),
        "comment_disabled": account.starts_with("muted"),
        "duet_disabled": false,
        "stitch_disabled": false,
        "max_video_post_duration_sec": 300,
    }))
}

const TOO_MANY: &str = "Daily post cap from the API is reached for the current user.";

/// The audience of a direct post, and whether it may be posted at all.
fn postable(world: &World, call: &Call, account: &str, info: &Value) -> Result<String, Fail> {
    let audience = info["privacy_level"].as_str().unwrap_or_default();
    if !audiences(account).contains(&audience) {
        let says = "privacy_level is not specified or not among the creator's options.";
        return fail(403, "privacy_level_option_mismatch", says);
    }
    if account.starts_with("unaudited") && audience != "SELF_ONLY" {
        return fail(
            403,
            "unaudited_client_can_only_post_to_private_accounts",
            "Please review our integration guidelines.",
        );
    }
    if account.starts_with("muted") && info["disable_comment"] != true {
        return fail(400, "invalid_params", "Comments are disabled by the creator.");
    }
    match lock(&world.states.tiktok).posts_left(account, call.now) {
        true => Ok(audience.to_owned()),
        false => fail(403, "spam_risk_too_many_posts", TOO_MANY),
    }
}

fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

// Films

fn open(world: &World, call: &Call, account: String, mode: Mode) -> Result<Value, Fail> {
    let body = call.json.clone().unwrap_or_default();
    let invalid = |says: &str| fail(400, "invalid_params", says);
    let (mut text, mut audience) = (String::new(), String::new());
    if mode == Mode::Direct {
        let info = &body["post_info"];
        if info.is_null() {
            return invalid("post_info is required.");
        }
        info["title"].as_str().unwrap_or_default().clone_into(&mut text);
        if utf16(&text) > CAPTION {
            return invalid("The video title is too long.");
        }
        audience = postable(world, call, &account, info)?;
    }
    let source = &body["source_info"];
    if source["source"] != "FILE_UPLOAD" {
        return invalid("The sandbox takes films by FILE_UPLOAD only.");
    }
    let number = |key: &str| source[key].as_u64().unwrap_or(0);
    let (total, chunk, count) =
        (number("video_size"), number("chunk_size"), number("total_chunk_count"));
    if !announced(total, chunk, count) {
        return invalid("The chunk size or the total chunk count is invalid.");
    }
    let mut state = lock(&world.states.tiktok);
    let (id, post) =
        state.next(&account, if mode == Mode::Inbox { "v_inbox_file" } else { "v_pub_file" });
    let upload = number_of(&id, 15).to_string();
    let token = hex(&sha256(format!("token {id}").as_bytes())[..16]);
    let url = format!("{}/tiktok/video/?upload_id={upload}&upload_token={token}", call.origin);
    if mode == Mode::Direct {
        state.posted.entry(account.clone()).or_default().push(call.now);
    }
    let task = Task {
        account,
        mode,
        text,
        audience,
        total,
        chunk,
        count,
        token,
        data: BytesMut::new(),
        media: Vec::new(),
        opened: call.now,
        complete: None,
        failed: None,
        post,
    };
    state.uploads.insert(upload, id.clone());
    state.tasks.insert(id.clone(), task);
    Ok(json!({ "publish_id": id, "upload_url": url }))
}

impl State {
    /// The next id of a post, and its number: larger than a float holds.
    fn next(&mut self, account: &str, kind: &str) -> (String, u64) {
        self.made += 1;
        let number = number_of(&format!("{account} {}", self.made), 18);
        (format!("{kind}~v2-1.{number}"), 7_000_000_000_000_000_000 + number)
    }
}

/// Do size, chunk and count go together?
fn announced(total: u64, chunk: u64, count: u64) -> bool {
    let whole = count == 1 && chunk == total;
    let sizes = (1..=MOST_FILE).contains(&total) && (1..=MOST_CHUNK).contains(&chunk);
    sizes
        && (1..=1_000).contains(&count)
        && count == total / chunk
        && (chunk >= LEAST_CHUNK || whole)
        && total - (count - 1) * chunk <= MOST_LAST
        && (total <= MOST_CHUNK || count > 1)
}

/// `bytes 0-9/10` as first, last and total.
fn range(header: &str) -> Option<(u64, u64, u64)> {
    let (span, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse::<u64>().ok()?);
    let total = total.parse().ok()?;
    (first <= last && last < total).then_some((first, last, total))
}

fn upload(world: &World, call: &Call) -> Answer {
    let plain = |status: u16| Answer::new(status, "text/plain; charset=utf-8", Bytes::new());
    let mut state = lock(&world.states.tiktok);
    let id = call.text("upload_id").and_then(|upload| state.uploads.get(&upload).cloned());
    let Some(id) = id else { return plain(404) };
    let State { tasks, coming, .. } = &mut *state;
    let Some(task) = tasks.get_mut(&id) else { return plain(404) };
    if call.text("upload_token").as_ref() != Some(&task.token) || call.now - task.opened >= URL_MS {
        return plain(403);
    }
    let kind = call.content_type();
    let range = call.header("content-range").and_then(range);
    let Some((first, last, total)) = range else { return plain(400) };
    let length = call.body.len() as u64;
    if !["video/mp4", "video/quicktime", "video/webm"].contains(&kind.as_str())
        || total != task.total
        || last - first + 1 != length
        || call.header("content-length").and_then(|n| n.parse().ok()) != Some(length)
    {
        return plain(400);
    }
    let has = task.data.len() as u64;
    let at = |answer: Answer, has: u64| match has {
        0 => answer,
        _ => answer.header("content-range", &format!("bytes 0-{}/{}", has - 1, task.total)),
    };
    if task.complete.is_some() || first != has {
        let has = if task.complete.is_some() { task.total } else { has };
        return at(plain(416), has);
    }
    let wanted = match has / task.chunk + 1 == task.count {
        true => task.total - has,
        false => task.chunk,
    };
    if length != wanted {
        return plain(400);
    }
    task.data.extend_from_slice(&call.body);
    let has = has + length;
    if has < task.total {
        return at(plain(206), has);
    }
    let blob = world.blobs.keep(&std::mem::take(&mut task.data).freeze());
    if blob.kind.is_none_or(|kind| !kind.mime.starts_with("video/")) {
        task.failed = Some("file_format_check_failed");
    }
    task.media.push(blob);
    task.complete = Some(call.now);
    coming.insert(id);
    let answer = plain(201);
    answer.header("content-range", &format!("bytes 0-{}/{}", has - 1, task.total))
}

// Photos

async fn photos(world: &World, call: &Call, account: String) -> Result<Value, Fail> {
    let body = call.json.clone().unwrap_or_default();
    let invalid = |says: &str| fail(400, "invalid_params", says);
    if body["media_type"] != "PHOTO" || body["post_mode"] != "DIRECT_POST" {
        return invalid("The sandbox takes photos for DIRECT_POST only.");
    }
    let info = &body["post_info"];
    let text = |key: &str| info[key].as_str().unwrap_or_default().trim().to_owned();
    let (title, description) = (text("title"), text("description"));
    if utf16(&title) > PHOTO_TITLE || utf16(&description) > PHOTO_TEXT {
        return invalid("The title or the description is too long.");
    }
    let source = &body["source_info"];
    let urls: Vec<&str> =
        source["photo_images"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if source["source"] != "PULL_FROM_URL" || urls.is_empty() || urls.len() > PHOTOS {
        return invalid("Photos need 1 to 35 addresses.");
    }
    if source["photo_cover_index"].as_u64().is_none_or(|i| i >= urls.len() as u64) {
        return invalid("The cover index is invalid.");
    }
    for url in &urls {
        let Ok(url) = url::Url::parse(url) else { return invalid("An address is invalid.") };
        if url.host_str().is_some_and(|host| host.starts_with("unverified")) {
            let says = "Please review our URL ownership verification rules.";
            return fail(403, "url_ownership_unverified", says);
        }
    }
    let audience = postable(world, call, &account, info)?;
    let (mut media, mut failed) = (Vec::new(), None);
    for url in urls {
        match photo(world, url).await {
            Ok(blob) => media.push(blob),
            Err(why) => failed = Some(why),
        }
    }
    let mut state = lock(&world.states.tiktok);
    let (id, post) = state.next(&account, "p_pub_url");
    state.posted.entry(account.clone()).or_default().push(call.now);
    let task = Task {
        account,
        mode: Mode::Photos,
        text: format!("{title}\n\n{description}").trim().to_owned(),
        audience,
        total: 0,
        chunk: 0,
        count: 0,
        token: String::new(),
        data: BytesMut::new(),
        media,
        opened: call.now,
        complete: Some(call.now),
        failed,
        post,
    };
    if failed.is_none() {
        appear(world, &id, &task, call.now);
    }
    state.tasks.insert(id.clone(), task);
    Ok(json!({ "publish_id": id }))
}

async fn photo(world: &World, url: &str) -> Result<Blob, &'static str> {
    let blob = world.blobs.keep(&fetch(world, url).await.map_err(|_| "photo_pull_failed")?);
    let kind = blob.kind.filter(|kind| matches!(kind.mime, "image/jpeg" | "image/webp"));
    let kind = kind.ok_or("file_format_check_failed")?;
    match blob.size > PHOTO_BYTES || kind.width.min(kind.height) > PHOTO_SIDE {
        true => Err("picture_size_check_failed"),
        false => Ok(blob),
    }
}

// What becomes of a post

/// When a complete post is through its processing.
fn done_at(task: &Task) -> Option<i64> {
    task.complete.map(|at| at + PROCESSING_MS)
}

/// Shows what is due.
pub(crate) fn tick(world: &World, now: i64) {
    let mut state = lock(&world.states.tiktok);
    let State { tasks, coming, .. } = &mut *state;
    coming.retain(|id| {
        let Some(task) = tasks.get(id) else { return false };
        if task.failed.is_some() {
            return false;
        }
        let wait = if task.audience == PUBLIC { MODERATION_MS } else { 0 };
        let Some(at) = done_at(task).map(|at| at + wait) else { return true };
        if at <= now {
            appear(world, id, task, at);
        }
        at > now
    });
}

fn appear(world: &World, id: &str, task: &Task, at: i64) {
    // What only the account sees, nobody sees.
    if task.audience == "SELF_ONLY" {
        return;
    }
    let inbox = task.mode == Mode::Inbox;
    world.ledger.appear(
        Network::Tiktok,
        Appeared {
            id: if inbox { id.to_owned() } else { task.post.to_string() },
            account: &task.account,
            placement: match task.mode {
                Mode::Direct => "video",
                Mode::Inbox => "inbox",
                Mode::Photos => "photos",
            },
            reply_to: None,
            text: task.text.clone(),
            media: task.media.iter().map(|blob| blob.in_ledger("")).collect(),
            at,
        },
    );
}

fn status(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let id = call.text("publish_id").unwrap_or_default();
    let mut state = lock(&world.states.tiktok);
    let Some(task) = state.tasks.get_mut(&id) else {
        return fail(400, "invalid_publish_id", "The publish_id does not exist.");
    };
    if task.account != account {
        let says = "The access_token does not have authorization to this publish_id.";
        return fail(403, "token_not_authorized_for_specified_publish_id", says);
    }
    if done_at(task).is_some_and(|at| at <= call.now)
        && world.faults.still_processing(Network::Tiktok, account)
    {
        task.complete = Some(call.now);
    }
    let has = if task.complete.is_some() { task.total } else { task.data.len() as u64 };
    let mut data = json!({ "publicaly_available_post_id": [] });
    let due = done_at(task).filter(|at| *at <= call.now);
    let shown = match (due, task.failed, task.mode) {
        (Some(_), Some(why), _) => {
            data["fail_reason"] = json!(why);
            "FAILED"
        }
        (Some(_), None, Mode::Inbox) => "SEND_TO_USER_INBOX",
        (Some(at), None, _) => {
            if task.audience == PUBLIC && at + MODERATION_MS <= call.now {
                data["publicaly_available_post_id"] = json!([task.post]);
            }
            "PUBLISH_COMPLETE"
        }
        (None, _, Mode::Photos) => "PROCESSING_DOWNLOAD",
        (None, ..) => "PROCESSING_UPLOAD",
    };
    data["status"] = json!(shown);
    match task.mode {
        Mode::Photos => data["downloaded_bytes"] = json!(0),
        _ => data["uploaded_bytes"] = json!(has),
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_checked_by_the_documents_rules() {
        for (total, chunk, count) in [
            (4_999_999, 4_999_999, 1),
            (50_000_123, 10_000_000, 5),
            (64 << 20, 64 << 20, 1),
            (10 << 20, 5 << 20, 2),
            (7_000_000, 7_000_000, 1),
        ] {
            assert!(announced(total, chunk, count), "{total} {chunk} {count}");
        }
        for (total, chunk, count) in [
            (0, 0, 0),
            (4_999_999, 2_499_999, 2),
            (50_000_123, 10_000_000, 6),
            (50_000_123, 4_000_000, 12),
            (65 << 20, 65 << 20, 1),
            (200 << 20, 64 << 20, 2),
            (6_000_000_000, 6_000_000, 1_000),
            (5 << 30, 64 << 20, 80),
        ] {
            assert!(!announced(total, chunk, count), "{total} {chunk} {count}");
        }
    }

    #[test]
    fn a_range_is_read_whole() {
        assert_eq!(range("bytes 0-9/10"), Some((0, 9, 10)));
        for bad in ["0-9/10", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "bytes 0-9"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
