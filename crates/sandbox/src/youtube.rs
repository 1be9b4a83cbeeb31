//! YouTube: the Data API at `/youtube/youtube/v3/…`, uploads at `/youtube/upload/youtube/v3/…`,
//! consent at `/youtube/o/oauth2/v2/auth` and `/youtube/token`.
//!
//! networks.md §6, and the reference of `commentThreads`. The token `sandbox-{account}` has one
//! channel; an account whose name begins with `nochannel` has none, and what one whose name begins
//! with `unaudited` uploads stays private. A session takes pieces of a multiple of 256 KiB, the
//! last one of any size, in order, for a week; a video may also come whole, in one form with what is
//! said of it. A video is processed for half a minute; who made it
//! public before sees it appear then. Public and unlisted videos are in the ledger, private ones
//! are not. Not spoken: playlists, captions, replies.

use std::collections::{BTreeSet, HashMap};

use bytes::{Bytes, BytesMut};
use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::google::{Consents, Fail, refuse as refused};
use crate::ledger::Appeared;
use crate::media::{Blob, recognise};
use crate::mime::Part;
use crate::world::{Fields, Network, World, hex, lock, secret_of, sha256, stamp};

const UPLOAD: &str = "https://www.googleapis.com/auth/youtube.upload";
const READ: &str = "https://www.googleapis.com/auth/youtube.readonly";
const ALL: &str = "https://www.googleapis.com/auth/youtube.force-ssl";
const GRAIN: u64 = 256 << 10;
const SESSION_MS: i64 = 7 * 86_400_000;
const PROCESSING_MS: i64 = 30_000;
const TITLE: usize = 100;
const DESCRIPTION: usize = 5_000;
const TAGS: usize = 500;
const COMMENT: usize = 10_000;
const THUMBNAIL: usize = 2 << 20;

#[derive(Default)]
pub(crate) struct State {
    consents: Consents,
    sessions: HashMap<String, Session>,
    videos: HashMap<String, Video>,
    /// Public or unlisted, and not processed yet.
    hidden: BTreeSet<String>,
    comments: HashMap<String, Comment>,
    /// Ids of comments by video and time.
    threads: HashMap<String, BTreeSet<(i64, String)>>,
    made: u64,
}

struct Session {
    account: String,
    body: Value,
    total: u64,
    data: BytesMut,
    begun: i64,
    /// The answer to the last byte, repeated to whoever asks.
    video: Option<String>,
}

struct Video {
    account: String,
    snippet: Value,
    privacy: String,
    kids: bool,
    blob: Blob,
    uploaded: i64,
    processed: i64,
    thumbnail: Option<Blob>,
}

struct Comment {
    account: String,
    video: String,
    text: String,
    at: i64,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (&Method::PUT, ["youtube", "v3", "comments"]) => Calls::Edit,
        (&Method::PUT, ["youtube", "v3", "videos"]) => {
            let shows = call.text("part").is_some_and(|parts| parts.contains("status"));
            if shows { Calls::Publish } else { Calls::Edit }
        }
        (_, ["youtube", "v3", "commentThreads"]) => Calls::Publish,
        _ => Calls::Prepare,
    };
    let state = lock(&world.states.youtube);
    let session = || state.sessions.get(&call.text("upload_id")?).map(|s| s.account.clone());
    Aim { call: kind, account: state.consents.account_of(call).or_else(session) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let Some(answer) = lock(&world.states.youtube).consents.answer(call) {
        return answer;
    }
    tick(world, call.now);
    handle(world, call).unwrap_or_else(Fail::answer)
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    refused(refusal, "youtube.googleapis.com")
}

/// Shows what was published before it was processed, and is processed now.
pub(crate) fn tick(world: &World, now: i64) {
    let mut state = lock(&world.states.youtube);
    let due: Vec<String> = state
        .hidden
        .iter()
        .filter(|id| state.videos.get(*id).is_none_or(|video| video.processed <= now))
        .cloned()
        .collect();
    for id in due {
        state.hidden.remove(&id);
        if let Some(video) = state.videos.get(&id) {
            appear(world, &id, video, video.processed);
        }
    }
}

fn handle(world: &World, call: &Call) -> Result<Answer, Fail> {
    let segments = call.segments();
    let of = |scopes: &[&str]| lock(&world.states.youtube).consents.authorized(call, scopes);
    let body = match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["youtube", "v3", "channels"]) => channels(call, &of(&[READ, ALL])?),
        ("POST", ["upload", "youtube", "v3", "videos"]) => {
            return insert(world, call, of(&[UPLOAD, ALL])?);
        }
        ("PUT", ["upload", "youtube", "v3", "videos"]) => return upload(world, call),
        ("POST", ["upload", "youtube", "v3", "thumbnails", "set"]) => {
            thumbnail(world, call, &of(&[UPLOAD, ALL])?)
        }
        ("GET", ["youtube", "v3", "videos"]) => list(world, call, &of(&[READ, ALL])?),
        ("PUT", ["youtube", "v3", "videos"]) => update(world, call, &of(&[ALL])?),
        ("DELETE", ["youtube", "v3", "videos"]) => return delete(world, call, &of(&[ALL])?),
        ("GET", ["youtube", "v3", "commentThreads"]) => threads(world, call, &of(&[ALL])?),
        ("POST", ["youtube", "v3", "commentThreads"]) => comment(world, call, of(&[ALL])?),
        ("GET", ["youtube", "v3", "comments"]) => comments(world, call, &of(&[ALL])?),
        ("PUT", ["youtube", "v3", "comments"]) => edit_comment(world, call, &of(&[ALL])?),
        ("DELETE", ["youtube", "v3", "comments"]) => {
            return delete_comment(world, call, &of(&[ALL])?);
        }
        _ => Err(Fail::new(404, "NOT_FOUND", "notFound", "Not Found")),
    };
    Ok(Answer::json(200, &body?))
}

fn bad(reason: &'static str, says: &str) -> Fail {
    Fail::new(400, "INVALID_ARGUMENT", reason, says).domain("youtube.video")
}

fn not_found(reason: &'static str, says: &str) -> Fail {
    Fail::new(404, "NOT_FOUND", reason, says).domain("youtube.video")
}

/// A list in the query: its items apart by commas, or the parameter once for each.
fn several(call: &Call, name: &str) -> Vec<String> {
    let given = call.query.iter().filter(|(key, _)| key == name);
    let items = given.flat_map(|(_, text)| text.split(',')).map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn parts(call: &Call) -> Result<Vec<String>, Fail> {
    let parts = several(call, "part");
    match parts.is_empty() {
        true => Err(bad("missingRequiredParameter", "No filter selected. Expected: part")),
        false => Ok(parts),
    }
}

/// An id of this many letters, always the same for a name.
fn id(name: &str, length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let hash = sha256(name.as_bytes());
    hash.iter().cycle().take(length).map(|b| char::from(LETTERS[usize::from(b & 63)])).collect()
}

fn channel_of(account: &str) -> String {
    format!("UC{}", id(&format!("channel {account}"), 22))
}

fn channels(call: &Call, account: &str) -> Result<Value, Fail> {
    let parts = parts(call)?;
    if call.flag("mine") != Some(true) {
        return Err(bad("missingRequiredParameter", "No filter selected. Expected one of: mine"));
    }
    let channel = channel_of(account);
    let all = json!({
        "snippet": { "title": account, "customUrl": format!("@{account}") },
        "contentDetails": { "relatedPlaylists": { "uploads": format!("UU{}", &channel[2..]) } },
        "statistics": { "viewCount": "0", "subscriberCount": "0", "videoCount": "0" },
        "status": { "privacyStatus": "public", "longUploadsStatus": "allowed" },
    });
    let mut item = json!({ "kind": "youtube#channel", "id": channel });
    for part in parts {
        if let Some(value) = all.get(&part) {
            item[&part] = value.clone();
        }
    }
    let none = account.starts_with("nochannel");
    let mut body = json!({
        "kind": "youtube#channelListResponse",
        "pageInfo": { "totalResults": usize::from(!none), "resultsPerPage": 5 },
    });
    if !none {
        body["items"] = json!([item]);
    }
    Ok(body)
}

// Uploads

/// What stands in a video's snippet, checked.
fn described(body: &Value) -> Result<(), Fail> {
    let text = |key: &str| body["snippet"][key].as_str().unwrap_or_default();
    let brackets = |text: &str| text.contains(['<', '>']);
    let title = text("title");
    if title.trim().is_empty() || title.chars().count() > TITLE || brackets(title) {
        return Err(bad(
            "invalidTitle",
            "The request metadata specifies an invalid or empty video title.",
        ));
    }
    let description = text("description");
    if description.len() > DESCRIPTION || brackets(description) {
        return Err(bad(
            "invalidDescription",
            "The request metadata specifies an invalid video description.",
        ));
    }
    let tags = body["snippet"]["tags"].as_array().cloned().unwrap_or_default();
    // Commas between them count, and quotation marks around those with a space.
    let length = |tag: &Value| {
        let tag = tag.as_str().unwrap_or_default();
        tag.chars().count() + if tag.contains(' ') { 2 } else { 0 }
    };
    if tags.iter().map(length).sum::<usize>() + tags.len().saturating_sub(1) > TAGS {
        return Err(bad("invalidTags", "The request metadata specifies invalid video keywords."));
    }
    match body["snippet"]["categoryId"].as_str() {
        None => Ok(()),
        Some(category) if category.parse::<u8>().is_ok() => Ok(()),
        Some(_) => Err(bad(
            "invalidCategoryId",
            "The snippet.categoryId property specifies an invalid category ID.",
        )),
    }
}

fn privacy(body: &Value) -> Result<String, Fail> {
    match body["status"]["privacyStatus"].as_str() {
        None => Ok("public".to_owned()),
        Some(privacy @ ("public" | "unlisted" | "private")) => Ok(privacy.to_owned()),
        Some(_) => Err(bad("invalidVideoMetadata", "The request metadata is invalid.")),
    }
}

/// A video whose description comes with the file or before it.
fn insert(world: &World, call: &Call, account: String) -> Result<Answer, Fail> {
    match call.text("uploadType").as_deref() {
        Some("resumable") => begin(world, call, account),
        Some("multipart") => whole(world, call, account),
        _ => Err(bad("badRequest", "The sandbox speaks resumable and multipart uploads.")),
    }
}

/// What is said of a video, checked.
fn told(call: &Call, account: &str, body: &Value) -> Result<(), Fail> {
    let parts = parts(call)?;
    if !parts.iter().any(|part| part == "snippet") || !parts.iter().any(|part| part == "status") {
        return Err(bad("unexpectedPart", "The sandbox expects the parts snippet and status."));
    }
    described(body)?;
    privacy(body)?;
    if account.starts_with("nochannel") {
        let says = "Unauthorized";
        return Err(Fail::new(401, "UNAUTHENTICATED", "youtubeSignupRequired", says));
    }
    Ok(())
}

fn begin(world: &World, call: &Call, account: String) -> Result<Answer, Fail> {
    let body = call.json.clone().unwrap_or_default();
    told(call, &account, &body)?;
    let total = call.header("x-upload-content-length").and_then(|n| n.parse::<u64>().ok());
    let total = total.ok_or_else(|| bad("badRequest", "X-Upload-Content-Length is required."))?;
    let kind = call.header("x-upload-content-type").unwrap_or_default();
    if !(kind.starts_with("video/") || kind == "application/octet-stream") {
        return Err(bad("badRequest", "Media type is not supported."));
    }
    if total == 0 {
        return Err(bad("mediaBodyRequired", "The request does not include the video content."));
    }
    let mut state = lock(&world.states.youtube);
    state.made += 1;
    let name = hex(&sha256(format!("upload {account} {}", state.made).as_bytes())[..24]);
    let uri = format!(
        "{}/youtube/upload/youtube/v3/videos?uploadType=resumable&part=snippet%2Cstatus&upload_id={name}",
        call.origin
    );
    let (data, begun) = (BytesMut::new(), call.now);
    let session = Session { account, body, total, data, begun, video: None };
    state.sessions.insert(name, session);
    Ok(Answer::new(200, "text/plain; charset=utf-8", Bytes::new()).header("location", &uri))
}

/// What a `Content-Range` says of the body.
#[derive(Debug, PartialEq)]
enum Range {
    /// Only a question.
    Asks,
    From(u64),
}

fn range(header: &str, length: u64, total: u64) -> Option<Range> {
    let (span, whole) = header.strip_prefix("bytes ")?.split_once('/')?;
    if whole.parse::<u64>().ok()? != total {
        return None;
    }
    if span == "*" {
        return (length == 0).then_some(Range::Asks);
    }
    let (first, last) = span.split_once('-')?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    (first <= last && last < total && last - first + 1 == length).then_some(Range::From(first))
}

fn upload(world: &World, call: &Call) -> Result<Answer, Fail> {
    let gone = || not_found("notFound", "Upload session was not found.");
    let name = call.text("upload_id").ok_or_else(gone)?;
    let mut state = lock(&world.states.youtube);
    if call.bearer().is_some() {
        state.consents.authorized(call, &[UPLOAD, ALL])?;
    }
    let session = state.sessions.get_mut(&name).ok_or_else(gone)?;
    if call.now - session.begun >= SESSION_MS {
        return Err(gone());
    }
    if let Some(id) = session.video.clone() {
        return Ok(finished(&state, call, &id));
    }
    let length = call.body.len() as u64;
    let asked = match call.header("content-range") {
        None => Range::From(0),
        Some(header) => range(header, length, session.total)
            .ok_or_else(|| bad("badRequest", "Invalid Content-Range."))?,
    };
    let has = session.data.len() as u64;
    let Range::From(first) = asked else { return Ok(incomplete(has)) };
    // What does not follow on what is there is ignored.
    if first != has {
        return Ok(incomplete(has));
    }
    let complete = has + length == session.total;
    if !complete && !length.is_multiple_of(GRAIN) {
        return Err(bad("badRequest", "Chunk size must be a multiple of 262144 bytes."));
    }
    session.data.extend_from_slice(&call.body);
    if !complete {
        return Ok(incomplete(has + length));
    }
    let data = std::mem::take(&mut session.data).freeze();
    let (account, body) = (session.account.clone(), session.body.clone());
    let id = id(&format!("video {name}"), 11);
    session.video = Some(id.clone());
    add(world, &mut state, call, &id, account, &body, &data)?;
    Ok(finished(&state, call, &id))
}

/// Description and file in one `multipart/related`.
fn whole(world: &World, call: &Call, account: String) -> Result<Answer, Fail> {
    let kind = call.header("content-type").unwrap_or_default();
    let message = [format!("content-type: {kind}\r\n\r\n").as_bytes(), &call.body].concat();
    let [description, film] = &Part::read(&message).leaves()[..] else {
        return Err(bad("badRequest", "A multipart upload has two parts."));
    };
    let body: Value = serde_json::from_slice(&description.content())
        .map_err(|_| bad("parseError", "The description is not JSON."))?;
    told(call, &account, &body)?;
    let data = Bytes::from(film.content());
    if data.is_empty() {
        return Err(bad("mediaBodyRequired", "The request does not include the video content."));
    }
    let mut state = lock(&world.states.youtube);
    state.made += 1;
    let id = id(&format!("video {account} {}", state.made), 11);
    add(world, &mut state, call, &id, account, &body, &data)?;
    let all = ["snippet".to_owned(), "status".to_owned()];
    Ok(Answer::json(200, &video_json(call, &id, &state.videos[&id], &all)))
}

/// A video that is there now, and processed from now on.
fn add(
    world: &World,
    state: &mut State,
    call: &Call,
    id: &str,
    account: String,
    body: &Value,
    data: &Bytes,
) -> Result<(), Fail> {
    let locked = account.starts_with("unaudited");
    let video = Video {
        snippet: body["snippet"].clone(),
        privacy: if locked { "private".to_owned() } else { privacy(body)? },
        kids: body["status"]["selfDeclaredMadeForKids"] == true,
        blob: world.blobs.keep(data),
        account,
        uploaded: call.now,
        processed: call.now + PROCESSING_MS,
        thumbnail: None,
    };
    if video.privacy != "private" {
        state.hidden.insert(id.to_owned());
    }
    state.videos.insert(id.to_owned(), video);
    Ok(())
}

fn finished(state: &State, call: &Call, id: &str) -> Answer {
    let all = ["snippet".to_owned(), "status".to_owned()];
    match state.videos.get(id) {
        Some(video) => Answer::json(201, &video_json(call, id, video, &all)),
        None => not_found("videoNotFound", "The video cannot be found.").answer(),
    }
}

/// So much is there; nothing at all is said by leaving the header out.
fn incomplete(has: u64) -> Answer {
    let answer = Answer::new(308, "text/plain; charset=utf-8", Bytes::new());
    match has {
        0 => answer,
        _ => answer.header("range", &format!("bytes=0-{}", has - 1)),
    }
}

fn thumbnail(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let id = call.text("videoId").unwrap_or_default();
    let blob = recognise(&call.body);
    if call.body.is_empty() {
        return Err(bad("mediaBodyRequired", "The request does not include the image content."));
    }
    if call.body.len() > THUMBNAIL
        || blob.is_none_or(|k| !matches!(k.mime, "image/jpeg" | "image/png"))
    {
        return Err(bad("invalidImage", "The provided image content is invalid."));
    }
    let blob = world.blobs.keep(&call.body);
    let mut state = lock(&world.states.youtube);
    let video = own(&mut state, account, &id)?;
    let url = format!("{}{}", call.origin, blob.path());
    video.thumbnail = Some(blob);
    Ok(json!({
        "kind": "youtube#thumbnailSetResponse",
        "items": [{ "default": { "url": url, "width": 120, "height": 90 } }],
    }))
}

fn own<'s>(state: &'s mut State, account: &str, id: &str) -> Result<&'s mut Video, Fail> {
    let video = state.videos.get_mut(id);
    let missing =
        || not_found("videoNotFound", "The video that you are trying to update cannot be found.");
    let video = video.ok_or_else(missing)?;
    match video.account == account {
        true => Ok(video),
        false => Err(Fail::new(403, "PERMISSION_DENIED", "forbidden", "Forbidden")),
    }
}

// Videos

fn video_json(call: &Call, id: &str, video: &Video, parts: &[String]) -> Value {
    let done = call.now >= video.processed;
    let film =
        video.blob.kind.is_some_and(|kind| !kind.is_image() && kind.mime.starts_with("video/"));
    let mut snippet = video.snippet.clone();
    snippet["channelId"] = json!(channel_of(&video.account));
    snippet["channelTitle"] = json!(video.account);
    snippet["publishedAt"] = json!(stamp(video.uploaded, "%Y-%m-%dT%H:%M:%SZ"));
    if let Some(blob) = &video.thumbnail {
        snippet["thumbnails"] =
            json!({ "default": { "url": format!("{}{}", call.origin, blob.path()) } });
    }
    let mut status = json!({
        "uploadStatus": match (done, film) {
            (false, _) => "uploaded",
            (true, true) => "processed",
            (true, false) => "failed",
        },
        "privacyStatus": video.privacy,
        "license": "youtube",
        "embeddable": true,
        "publicStatsViewable": true,
        "madeForKids": video.kids,
        "selfDeclaredMadeForKids": video.kids,
    });
    if done && !film {
        status["failureReason"] = json!("invalidFile");
    }
    let all = json!({
        "snippet": snippet,
        "status": status,
        "processingDetails": {
            "processingStatus": if done { if film { "succeeded" } else { "failed" } } else { "processing" },
        },
        "statistics": { "viewCount": "0", "likeCount": "0", "commentCount": "0" },
    });
    let mut item = json!({ "kind": "youtube#video", "id": id });
    for part in parts {
        if let Some(value) = all.get(part) {
            item[part] = value.clone();
        }
    }
    item
}

fn list(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let parts = parts(call)?;
    let ids = several(call, "id");
    if ids.is_empty() {
        return Err(bad("missingRequiredParameter", "No filter selected. Expected one of: id"));
    }
    let mut state = lock(&world.states.youtube);
    let mut items = Vec::new();
    for id in ids.iter().take(50) {
        let Some(video) = state.videos.get_mut(id) else { continue };
        if video.account != account && video.privacy == "private" {
            continue;
        }
        if call.now >= video.processed && world.faults.still_processing(Network::Youtube, account) {
            video.processed = call.now + PROCESSING_MS;
        }
        let mut item = video_json(call, id, video, &parts);
        if parts.iter().any(|part| part == "statistics") {
            // Numbers are written as text.
            let told = world.numbers(Network::Youtube, id);
            item["statistics"] = json!({
                "viewCount": told.views.to_string(),
                "likeCount": told.likes.to_string(),
                "favoriteCount": "0",
                "commentCount": told.comments.to_string(),
            });
        }
        items.push(item);
    }
    Ok(json!({
        "kind": "youtube#videoListResponse",
        "pageInfo": { "totalResults": items.len(), "resultsPerPage": items.len() },
        "items": items,
    }))
}

/// Replaces every property of the parts that are named.
fn update(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let parts = parts(call)?;
    let body = call.json.clone().unwrap_or_default();
    let id = body["id"].as_str().unwrap_or_default().to_owned();
    let named = |part: &str| parts.iter().any(|p| p == part);
    if named("snippet") {
        described(&body)?;
        if body["snippet"]["categoryId"].is_null() {
            return Err(bad("invalidCategoryId", "The snippet.categoryId property is required."));
        }
    }
    let privacy = if named("status") { Some(privacy(&body)?) } else { None };
    let mut state = lock(&world.states.youtube);
    let video = own(&mut state, account, &id)?;
    if named("snippet") {
        video.snippet = body["snippet"].clone();
    }
    if let Some(privacy) = privacy {
        video.kids = body["status"]["selfDeclaredMadeForKids"] == true;
        if !account.starts_with("unaudited") {
            video.privacy = privacy;
        }
    }
    let answer = video_json(call, &id, video, &parts);
    let (private, waits) = (video.privacy == "private", call.now < video.processed);
    match (private, waits) {
        (true, _) => {
            world.ledger.vanish(Network::Youtube, &id, call.now);
            state.hidden.remove(&id);
        }
        (false, true) => {
            state.hidden.insert(id);
        }
        (false, false) => appear(world, &id, video, call.now),
    }
    Ok(answer)
}

fn appear(world: &World, id: &str, video: &Video, at: i64) {
    let part = |key: &str| video.snippet[key].as_str().unwrap_or_default();
    let text = format!("{}\n\n{}", part("title"), part("description"));
    world.ledger.appear(
        Network::Youtube,
        Appeared {
            id: id.to_owned(),
            account: &video.account,
            placement: "video",
            reply_to: None,
            text: text.trim().to_owned(),
            media: vec![video.blob.in_ledger("")],
            at,
        },
    );
}

fn nothing() -> Answer {
    Answer::new(204, "text/plain; charset=utf-8", Bytes::new())
}

fn delete(world: &World, call: &Call, account: &str) -> Result<Answer, Fail> {
    let id = call.text("id").unwrap_or_default();
    let mut state = lock(&world.states.youtube);
    own(&mut state, account, &id)?;
    state.videos.remove(&id);
    state.hidden.remove(&id);
    world.ledger.vanish(Network::Youtube, &id, call.now);
    Ok(nothing())
}

// Comments

fn comments(world: &World, call: &Call, _: &str) -> Result<Value, Fail> {
    parts(call)?;
    let ids = call.text("id").unwrap_or_default();
    let state = lock(&world.states.youtube);
    let found = ids.split(',').filter_map(|id| Some((id, state.comments.get(id)?)));
    let items = found.map(|(id, comment)| {
        let mut item = thread_json(id, comment)["snippet"]["topLevelComment"].take();
        item["snippet"]["likeCount"] = json!(world.numbers(Network::Youtube, id).likes);
        item
    });
    Ok(json!({
        "kind": "youtube#commentListResponse",
        "items": items.collect::<Vec<_>>(),
    }))
}

fn thread_json(id: &str, comment: &Comment) -> Value {
    let at = stamp(comment.at, "%Y-%m-%dT%H:%M:%SZ");
    json!({
        "kind": "youtube#commentThread",
        "id": id,
        "snippet": {
            "channelId": channel_of(&comment.account),
            "videoId": comment.video,
            "canReply": true,
            "totalReplyCount": 0,
            "isPublic": true,
            "topLevelComment": {
                "kind": "youtube#comment",
                "id": id,
                "snippet": {
                    "videoId": comment.video,
                    "textDisplay": comment.text,
                    "textOriginal": comment.text,
                    "authorDisplayName": format!("@{}", comment.account),
                    "authorChannelId": { "value": channel_of(&comment.account) },
                    "publishedAt": at,
                    "updatedAt": at,
                },
            },
        },
    })
}

fn comment(world: &World, call: &Call, account: String) -> Result<Value, Fail> {
    parts(call)?;
    let body = call.json.clone().unwrap_or_default();
    let snippet = &body["snippet"];
    let text = snippet["topLevelComment"]["snippet"]["textOriginal"].as_str().unwrap_or_default();
    let refuse = |reason, says: &str| Err(bad(reason, says).domain("youtube.commentThread"));
    let Some(video) = snippet["videoId"].as_str() else {
        return refuse("channelOrVideoIdMissing", "Each comment thread must be linked to a video.");
    };
    if text.trim().is_empty() {
        return refuse("commentTextRequired", "The comment must not be empty.");
    }
    if text.chars().count() > COMMENT {
        return refuse("commentTextTooLong", "The comment text is too long.");
    }
    let mut state = lock(&world.states.youtube);
    let missing = || not_found("videoNotFound", "The video cannot be found.");
    let of = state.videos.get(video).ok_or_else(missing)?;
    if of.privacy == "private" {
        let says = "The video has disabled comments.";
        return Err(Fail::new(403, "PERMISSION_DENIED", "commentsDisabled", says));
    }
    let wrong = snippet["channelId"].as_str().is_some_and(|id| id != channel_of(&of.account));
    if wrong {
        return refuse("channelNotFound", "The channel does not have this video.");
    }
    let video = video.to_owned();
    state.made += 1;
    let id = format!("Ugz{}4AaABAg", id(&format!("comment {}", state.made), 16));
    let comment = Comment { account, video: video.clone(), text: text.to_owned(), at: call.now };
    world.ledger.appear(
        Network::Youtube,
        Appeared {
            id: id.clone(),
            account: &comment.account,
            placement: "comment",
            reply_to: Some(video.clone()),
            text: comment.text.clone(),
            media: Vec::new(),
            at: call.now,
        },
    );
    let shown = thread_json(&id, &comment);
    state.threads.entry(video).or_default().insert((call.now, id.clone()));
    state.comments.insert(id, comment);
    Ok(shown)
}

fn threads(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    parts(call)?;
    let video = call.text("videoId").unwrap_or_default();
    let state = lock(&world.states.youtube);
    let missing = || not_found("videoNotFound", "The video identified by videoId cannot be found.");
    let of = state.videos.get(&video).ok_or_else(missing)?;
    if of.privacy == "private" && of.account != account {
        return Err(missing());
    }
    let most = call.number("maxResults").unwrap_or(20).clamp(1, 100);
    let most = usize::try_from(most).unwrap_or(20);
    let from = call.text("pageToken").and_then(|token| token.strip_prefix("page-")?.parse().ok());
    let from: usize = from.unwrap_or(0);
    let ids = state.threads.get(&video);
    let all = ids.into_iter().flatten().rev();
    let total = ids.map_or(0, BTreeSet::len);
    let items: Vec<Value> = all
        .skip(from)
        .take(most)
        .filter_map(|(_, id)| Some(thread_json(id, state.comments.get(id)?)))
        .collect();
    let mut body = json!({
        "kind": "youtube#commentThreadListResponse",
        "pageInfo": { "totalResults": items.len(), "resultsPerPage": most },
        "items": items,
    });
    if from + most < total {
        body["nextPageToken"] = json!(format!("page-{}", from + most));
    }
    Ok(body)
}

fn edit_comment(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    parts(call)?;
    let body = call.json.clone().unwrap_or_default();
    let id = body["id"].as_str().unwrap_or_default();
    let text = body["snippet"]["textOriginal"].as_str().unwrap_or_default();
    let refuse = |reason, says: &str| Err(bad(reason, says).domain("youtube.comment"));
    if text.trim().is_empty() {
        return refuse("commentTextRequired", "The comment must not be empty.");
    }
    if text.chars().count() > COMMENT {
        return refuse("commentTextTooLong", "The comment text is too long.");
    }
    let mut state = lock(&world.states.youtube);
    let missing = || not_found("commentNotFound", "The specified comment could not be found.");
    let comment = state.comments.get_mut(id).ok_or_else(missing)?;
    if comment.account != account {
        return Err(Fail::new(403, "PERMISSION_DENIED", "forbidden", "Forbidden"));
    }
    text.clone_into(&mut comment.text);
    world.ledger.edit(Network::Youtube, id, |post| text.clone_into(&mut post.text));
    Ok(thread_json(id, comment)["snippet"]["topLevelComment"].clone())
}

fn delete_comment(world: &World, call: &Call, account: &str) -> Result<Answer, Fail> {
    let id = call.text("id").unwrap_or_default();
    let missing = || not_found("commentNotFound", "The specified comment could not be found.");
    let mut state = lock(&world.states.youtube);
    let comment = state.comments.get(&id).ok_or_else(missing)?;
    let owner = state.videos.get(&comment.video).is_some_and(|video| video.account == account);
    if comment.account != account && !owner {
        return Err(Fail::new(403, "PERMISSION_DENIED", "forbidden", "Forbidden"));
    }
    let at = (comment.at, id.clone());
    let video = comment.video.clone();
    if let Some(thread) = state.threads.get_mut(&video) {
        thread.remove(&at);
    }
    state.comments.remove(&id);
    world.ledger.vanish(Network::Youtube, &id, call.now);
    Ok(nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_to_fit_its_body_and_the_whole() {
        assert_eq!(range("bytes */10", 0, 10), Some(Range::Asks));
        assert_eq!(range("bytes 0-3/10", 4, 10), Some(Range::From(0)));
        assert_eq!(range("bytes 4-9/10", 6, 10), Some(Range::From(4)));
        for bad in [
            "bytes */11",
            "bytes 0-3/11",
            "bytes 0-4/10",
            "bytes 3-0/10",
            "0-3/10",
            "bytes 7-10/10",
        ] {
            assert_eq!(range(bad, 4, 10), None, "{bad}");
        }
    }

    #[test]
    fn ids_have_their_letters() {
        assert_eq!(id("a", 11).len(), 11);
        assert_ne!(id("a", 11), id("b", 11));
        assert!(channel_of("alice").starts_with("UC"));
    }
}
