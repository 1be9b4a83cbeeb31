//! X: API v2 under `/x/2/…`, its consent page under `/x/i/oauth2/authorize`.
//!
//! networks.md §9 and §21.1. Bearer `sandbox-{account}`, or a token of the consent page: two hours,
//! codes 30 seconds, refresh tokens once. The same words twice in a day are refused unless something
//! is attached or they answer another post. Links read back as `t.co`. Uploads last a day.
//! Not spoken: films, quotes, who may answer.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::Blob;
use crate::oauth::{self, Refresh};
use crate::poll::{Poll, fit, texts};
use crate::text::{Piece, escaped, pieces};
use crate::world::{Fields, Network, World, hex, iso, lock, number_of, secret_of, sha256};

const MAX_WEIGHT: usize = 280;
const PER_URL: usize = 23;
const MAX_MEDIA: usize = 4;
const IMAGE_LIMIT: usize = 5 << 20;
const ALT_LIMIT: usize = 1_000;
const DAY: i64 = 86_400_000;
const MIMES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
const FIELDS: [&str; 16] = [
    "attachments",
    "author_id",
    "context_annotations",
    "conversation_id",
    "created_at",
    "edit_history_tweet_ids",
    "entities",
    "id",
    "in_reply_to_user_id",
    "lang",
    "note_tweet",
    "public_metrics",
    "referenced_tweets",
    "reply_settings",
    "source",
    "text",
];

const RULES: oauth::Rules = oauth::Rules {
    name: "X",
    authorize: "i/oauth2/authorize",
    token: "2/oauth2/token",
    id_param: "client_id",
    secret: oauth::SecretIn::Either,
    grant_type: true,
    pkce: true,
    separator: ' ',
    code_ms: 30_000,
    access_ms: Some(7_200_000),
    refresh: Refresh::Rotates(Some(183 * DAY)),
};

#[derive(Default)]
pub(crate) struct State {
    oauth: oauth::Provider,
    /// The posts of each user by their ids, and when they were made.
    users: HashMap<u64, BTreeMap<u64, i64>>,
    posts: HashMap<u64, Post>,
    media: HashMap<u64, Media>,
    begun: HashMap<u64, Begun>,
    last_id: u64,
}

struct Post {
    account: String,
    text: String,
    reply_to: Option<u64>,
    media: Vec<u64>,
    poll: Option<Poll>,
    at: i64,
}

/// An upload in pieces, by their numbers.
struct Begun {
    account: String,
    total: usize,
    pieces: BTreeMap<u64, Bytes>,
}

struct Media {
    account: String,
    blob: Blob,
    alt: String,
    at: i64,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (&Method::POST, ["2", "tweets"]) => Calls::Publish,
        _ => Calls::Prepare,
    };
    let state = lock(&world.states.x);
    let account = call.bearer().and_then(|token| state.oauth.account_of(token, call.now).ok());
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let mut state = lock(&world.states.x);
    if let Some(answer) = state.oauth.answer(&RULES, call) {
        return answer;
    }
    let segments = call.segments();
    let handled = match (call.method.as_str(), segments.as_slice()) {
        ("POST", ["2", "oauth2", "revoke"]) => revoke(&mut state, call),
        ("GET", ["2", "users", "me"]) => me(&mut state, call),
        ("GET", ["2", "users", id, "tweets"]) => timeline(&mut state, call, id),
        ("POST", ["2", "media", "upload"]) => upload(world, &mut state, call),
        ("POST", ["2", "media", "upload", "initialize"]) => begin(&mut state, call),
        ("POST", ["2", "media", "upload", id, "append"]) => append(&mut state, call, id),
        ("POST", ["2", "media", "upload", id, "finalize"]) => finalize(world, &mut state, call, id),
        ("POST", ["2", "media", "metadata"]) => describe(&mut state, call),
        ("POST", ["2", "tweets"]) => create(world, &mut state, call),
        ("GET", ["2", "tweets", id]) => show(world, &mut state, call, id),
        ("DELETE", ["2", "tweets", id]) => delete(world, &mut state, call, id),
        _ => Err(problem(404, "Not Found", "Not Found", "about:blank")),
    };
    let made = call.method == Method::POST && segments == ["2", "tweets"];
    handled.map_or_else(
        |refused| refused,
        |body| {
            Answer::json(if made { 201 } else { 200 }, &body)
                .header("x-rate-limit-limit", "100")
                .header("x-rate-limit-remaining", "99")
                .header("x-rate-limit-reset", &(call.now / 1_000 + 900).to_string())
        },
    )
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    let blank = |status, title: &str| problem(status, title, title, "about:blank");
    match refusal {
        Refusal::Unreadable => invalid("The body of the request could not be read."),
        Refusal::RateLimit(ms) => blank(429, "Too Many Requests")
            .header("x-rate-limit-limit", "100")
            .header("x-rate-limit-remaining", "0")
            .header("x-rate-limit-reset", &((call.now + ms + 999) / 1_000).to_string()),
        Refusal::ServerError => blank(503, "Service Unavailable"),
        Refusal::Auth => blank(401, "Unauthorized"),
        Refusal::TooLarge => blank(413, "Request Entity Too Large"),
    }
}

fn problem(status: u16, title: &str, detail: &str, kind: &str) -> Answer {
    let body = json!({ "title": title, "type": kind, "status": status, "detail": detail });
    Answer::json(status, &body)
}

fn forbidden(detail: &str) -> Answer {
    problem(403, "Forbidden", detail, "about:blank")
}

fn invalid(message: &str) -> Answer {
    let body = json!({
        "errors": [{ "message": message, "parameters": {} }],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.twitter.com/2/problems/invalid-request",
    });
    Answer::json(400, &body)
}

fn missing(resource: &str, id: &str) -> Value {
    json!({
        "value": id,
        "detail": format!("Could not find {resource} with id: [{id}]."),
        "title": "Not Found Error",
        "resource_type": resource,
        "parameter": "id",
        "resource_id": id,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    })
}

// Accounts

/// Whose token it is, if it was granted what the call needs.
fn authorized(state: &mut State, call: &Call, scope: &str) -> Result<String, Answer> {
    let unauthorized = || problem(401, "Unauthorized", "Unauthorized", "about:blank");
    let token = call.bearer().ok_or_else(unauthorized)?;
    let account = state.oauth.account_of(token, call.now).map_err(|_| unauthorized())?;
    let granted = state.oauth.scope_of(token);
    if granted.is_some_and(|all| !all.split(' ').any(|one| one == scope)) {
        return Err(forbidden("Forbidden"));
    }
    state.users.entry(user_id(&account)).or_default();
    Ok(account)
}

fn revoke(state: &mut State, call: &Call) -> Result<Value, Answer> {
    if !oauth::is_app(&RULES, call) {
        return Err(problem(
            401,
            "Unauthorized",
            "Missing valid authorization header",
            "about:blank",
        ));
    }
    let token = call.text("token").ok_or_else(|| invalid("Missing required parameter [token]."))?;
    state.oauth.revoke(&token);
    Ok(json!({ "revoked": true }))
}

fn user_id(account: &str) -> u64 {
    number_of(account, 18)
}

fn me(state: &mut State, call: &Call) -> Result<Value, Answer> {
    let account = authorized(state, call, "users.read")?;
    Ok(json!({ "data": {
        "id": user_id(&account).to_string(),
        "name": account,
        "username": account,
    }}))
}

// Media

fn upload(world: &World, state: &mut State, call: &Call) -> Result<Value, Answer> {
    let account = authorized(state, call, "media.write")?;
    let file =
        call.file("media").ok_or_else(|| invalid("$.media: is missing but it is required"))?;
    for_pictures(call)?;
    let id = state.id(call.now);
    keep(world, state, call, id, account, &file.bytes)
}

fn for_pictures(call: &Call) -> Result<(), Answer> {
    if call.text("media_category").as_deref() == Some("tweet_image") {
        return Ok(());
    }
    Err(invalid("$.media_category: is missing or not of this endpoint"))
}

fn keep(
    world: &World,
    state: &mut State,
    call: &Call,
    id: u64,
    account: String,
    bytes: &Bytes,
) -> Result<Value, Answer> {
    let blob = world.blobs.keep(bytes);
    let Some(kind) = blob.kind.filter(|kind| MIMES.contains(&kind.mime)) else {
        return Err(invalid("media type unrecognized."));
    };
    if blob.size > IMAGE_LIMIT {
        return Err(invalid("File size exceeds 5242880 bytes."));
    }
    let body = json!({ "data": {
        "id": id.to_string(),
        "media_key": format!("3_{id}"),
        "size": blob.size,
        "expires_after_secs": DAY / 1_000,
        "image": { "image_type": kind.mime, "w": kind.width, "h": kind.height },
    }});
    state.media.insert(id, Media { account, blob, alt: String::new(), at: call.now });
    Ok(body)
}

fn begin(state: &mut State, call: &Call) -> Result<Value, Answer> {
    let account = authorized(state, call, "media.write")?;
    for_pictures(call)?;
    let total = call.number("total_bytes").and_then(|n| usize::try_from(n).ok());
    let total = total.filter(|n| (1..=IMAGE_LIMIT).contains(n));
    let total = total.ok_or_else(|| invalid("$.total_bytes: is not between 1 and 5242880"))?;
    if !call.text("media_type").is_some_and(|mime| MIMES.contains(&mime.as_str())) {
        return Err(invalid("$.media_type: does not have a value in the enumeration"));
    }
    let id = state.id(call.now);
    state.begun.insert(id, Begun { account, total, pieces: BTreeMap::new() });
    Ok(json!({ "data": {
        "id": id.to_string(),
        "media_key": format!("3_{id}"),
        "expires_after_secs": DAY / 1_000,
    }}))
}

/// The caller's own upload in pieces.
fn begun<'s>(state: &'s mut State, call: &Call, id: &str) -> Result<(u64, &'s mut Begun), Answer> {
    let account = authorized(state, call, "media.write")?;
    let id = id.parse::<u64>().ok();
    let own = id.and_then(|id| Some((id, state.begun.get_mut(&id)?)));
    own.filter(|(_, begun)| begun.account == account)
        .ok_or_else(|| invalid("$.id: is not the id of an upload"))
}

fn append(state: &mut State, call: &Call, id: &str) -> Result<Value, Answer> {
    let (_, begun) = begun(state, call, id)?;
    let number = call.number("segment_index").and_then(|n| u64::try_from(n).ok());
    let number = number.filter(|n| *n < 1_000);
    let number = number.ok_or_else(|| invalid("$.segment_index: is not between 0 and 999"))?;
    let file = call.file("media").ok_or_else(|| invalid("$.media: is missing"))?;
    begun.pieces.insert(number, file.bytes.clone());
    Ok(json!({ "data": { "expires_at": (call.now + DAY) / 1_000 } }))
}

fn finalize(world: &World, state: &mut State, call: &Call, id: &str) -> Result<Value, Answer> {
    let (id, begun) = begun(state, call, id)?;
    let whole = Bytes::from(begun.pieces.values().flatten().copied().collect::<Vec<u8>>());
    let (account, total) = (begun.account.clone(), begun.total);
    if whole.len() != total {
        return Err(invalid("Segments do not add up to provided total file size."));
    }
    state.begun.remove(&id);
    keep(world, state, call, id, account, &whole)
}

fn describe(state: &mut State, call: &Call) -> Result<Value, Answer> {
    let account = authorized(state, call, "media.write")?;
    let json = call.json.as_ref().ok_or_else(|| invalid("The body is not JSON."))?;
    let text = json["metadata"]["alt_text"]["text"].as_str();
    let text = text.ok_or_else(|| invalid("$.metadata.alt_text.text: is missing"))?;
    if text.chars().count() > ALT_LIMIT {
        return Err(invalid("$.metadata.alt_text.text: must be at most 1000 characters long"));
    }
    let id = json["id"].as_str().and_then(|id| id.parse::<u64>().ok());
    let media = id.and_then(|id| state.media.get_mut(&id)).filter(|m| m.account == account);
    let media = media.ok_or_else(|| invalid("$.id: is not the id of an uploaded media"))?;
    text.clone_into(&mut media.alt);
    Ok(
        json!({ "data": { "id": json["id"], "associated_metadata": { "alt_text": { "text": text } } } }),
    )
}

// Posts

impl State {
    /// An id of the time, greater than every one before.
    fn id(&mut self, now: i64) -> u64 {
        self.last_id = (self.last_id + 1).max(now.unsigned_abs() << 20);
        self.last_id
    }
}

fn create(world: &World, state: &mut State, call: &Call) -> Result<Value, Answer> {
    let account = authorized(state, call, "tweet.write")?;
    let json = call.json.as_ref().and_then(Value::as_object);
    let json = json.ok_or_else(|| invalid("The body is not a JSON object."))?;
    let known = ["text", "media", "poll", "reply", "made_with_ai"];
    if let Some(name) = json.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(invalid(&format!("$.{name}: is not defined in the schema")));
    }
    let text = match json.get("text") {
        None => "",
        Some(text) => text.as_str().ok_or_else(|| invalid("$.text: string expected"))?,
    };
    let media = attached(state, call, &account, json.get("media"))?;
    let poll = json.get("poll").map(|poll| asked(call, poll)).transpose()?;
    if poll.is_some() && !media.is_empty() {
        return Err(invalid("Only one of [media, poll] may be set."));
    }
    if text.trim().is_empty() && media.is_empty() {
        return Err(invalid("$.text: must be at least 1 characters long"));
    }
    if weight(text) > MAX_WEIGHT {
        return Err(forbidden("You are not permitted to perform this action."));
    }
    let reply_to = match json.get("reply") {
        None => None,
        Some(reply) => {
            let id = reply["in_reply_to_tweet_id"].as_str().and_then(|id| id.parse().ok());
            let id: u64 = id.ok_or_else(|| invalid("$.reply.in_reply_to_tweet_id: is invalid"))?;
            let gone = "You attempted to reply to a Tweet that is deleted or not visible to you.";
            Some(id).filter(|id| state.posts.contains_key(id)).ok_or_else(|| forbidden(gone))?;
            Some(id)
        }
    };
    let user = state.users.entry(user_id(&account)).or_default();
    let recent = user.iter().filter(|(_, at)| call.now - **at < DAY);
    let same = recent.filter_map(|(id, _)| state.posts.get(id)).any(|post| {
        post.text == text && post.reply_to == reply_to && post.media.is_empty() && media.is_empty()
    });
    if same {
        return Err(forbidden("You are not allowed to create a Tweet with duplicate content."));
    }
    let id = state.id(call.now);
    let (account, text) = (account.clone(), text.to_owned());
    let post = Post { account: account.clone(), text, reply_to, media, poll, at: call.now };
    world.ledger.appear(
        Network::X,
        Appeared {
            id: id.to_string(),
            account: &account,
            placement: "feed",
            reply_to: reply_to.map(|id| id.to_string()),
            text: post.text.clone(),
            media: in_ledger(state, &post),
            at: call.now,
        },
    );
    world.ledger.ask(Network::X, &id.to_string(), post.poll.as_ref());
    let shown = shown(call, id, &post).0;
    state.users.entry(user_id(&account)).or_default().insert(id, call.now);
    state.posts.insert(id, post);
    Ok(
        json!({ "data": { "id": id.to_string(), "text": shown, "edit_history_tweet_ids": [id.to_string()] } }),
    )
}

/// The poll of a new post.
fn asked(call: &Call, poll: &Value) -> Result<Poll, Answer> {
    let options = poll["options"].as_array().filter(|all| (2..=4).contains(&all.len()));
    let options = options.ok_or_else(|| invalid("$.poll.options: there must be 2 to 4 items"))?;
    let answers = texts(options, |one| one);
    if answers.len() != options.len() || !fit(&answers, 25) {
        return Err(invalid("$.poll.options: each must be 1 to 25 characters long"));
    }
    let minutes = poll["duration_minutes"].as_i64().filter(|n| (5..=10_080).contains(n));
    let minutes =
        minutes.ok_or_else(|| invalid("$.poll.duration_minutes: is not between 5 and 10080"))?;
    let ends = Some(call.now + minutes * 60_000);
    Ok(Poll { question: None, answers, several: false, ends })
}

/// A poll as an expansion shows it: its number is that of its post.
fn poll_json(id: u64, post: &Post, poll: &Poll) -> Value {
    let option =
        |(i, label): (usize, &String)| json!({ "position": i + 1, "label": label, "votes": 0 });
    let ends = poll.ends.unwrap_or(post.at);
    json!({
        "id": id.to_string(),
        "options": poll.answers.iter().enumerate().map(option).collect::<Value>(),
        "duration_minutes": (ends - post.at) / 60_000,
        "end_datetime": iso(ends),
        "voting_status": "open",
    })
}

/// The caller's own uploads of the last day.
fn attached(
    state: &State,
    call: &Call,
    account: &str,
    media: Option<&Value>,
) -> Result<Vec<u64>, Answer> {
    let Some(media) = media else { return Ok(Vec::new()) };
    let ids = media["media_ids"].as_array().filter(|ids| (1..=MAX_MEDIA).contains(&ids.len()));
    let ids = ids.ok_or_else(|| invalid("$.media.media_ids: there must be 1 to 4 items"))?;
    let own = |id: &Value| {
        let id: u64 = id.as_str()?.parse().ok()?;
        let media = state.media.get(&id)?;
        (media.account == account && call.now - media.at < DAY).then_some(id)
    };
    ids.iter().map(|id| own(id).ok_or_else(|| invalid("Your media IDs are invalid."))).collect()
}

fn in_ledger(state: &State, post: &Post) -> Vec<LedgerMedia> {
    let media = post.media.iter().filter_map(|id| state.media.get(id));
    media.map(|media| media.blob.in_ledger(&media.alt)).collect()
}

/// X's weights: links 23, emoji 2, the lighter letters 1, everything else 2.
fn weight(text: &str) -> usize {
    let text: String = text.nfc().collect();
    let light =
        |c: char| matches!(u32::from(c), 0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247);
    let cluster = |g: &str| match g.contains(['\u{fe0f}', '\u{20e3}', '\u{200d}'])
        || g.chars().any(is_tone)
    {
        true => 2,
        false => g.chars().map(|c| if light(c) { 1 } else { 2 }).sum(),
    };
    let plain = |text: &str| {
        let words = text.split_inclusive(char::is_whitespace);
        words
            .map(|word| match bare_link(word) {
                Some(len) => PER_URL + word[len..].graphemes(true).map(cluster).sum::<usize>(),
                None => word.graphemes(true).map(cluster).sum(),
            })
            .sum::<usize>()
    };
    pieces(&text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Link(_) => PER_URL,
            Piece::Plain(text) | Piece::Tag(text) | Piece::Mention { whole: text, .. } => {
                plain(text)
            }
        })
        .sum()
}

fn is_tone(c: char) -> bool {
    ('\u{1f3fb}'..='\u{1f3ff}').contains(&c) || ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

/// The length of a bare domain at the beginning of a word, of the commonest top-level domains.
fn bare_link(word: &str) -> Option<usize> {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let host = &word[..word.find(|c| !inside(c)).unwrap_or(word.len())];
    let host = host.trim_end_matches('.');
    let (_, top) = host.rsplit_once('.')?;
    let known = ["com", "org", "net", "de", "io", "uk"].contains(&top);
    if !known || host.split('.').any(str::is_empty) {
        return None;
    }
    let rest = &word[host.len()..];
    let path = |c: char| c.is_ascii_alphanumeric() || "/-_".contains(c);
    let path =
        if rest.starts_with('/') { rest.find(|c| !path(c)).unwrap_or(rest.len()) } else { 0 };
    Some(host.len() + path)
}

/// A text as X gives it back, with its links: escaped for HTML, every link a `t.co`, one more for
/// what is attached.
fn shown(call: &Call, id: u64, post: &Post) -> (String, Vec<Value>) {
    let (mut text, mut urls) = (String::new(), Vec::new());
    let mut shorten = |text: &mut String, target: &str, expanded: String, key: Option<String>| {
        let slug = &hex(&sha256(target.as_bytes()))[..10];
        let url = format!("https://t.co/{slug}");
        let start = text.chars().count();
        text.push_str(&url);
        let display = expanded.split_once("://").map_or("", |(_, rest)| rest).to_owned();
        let mut entity = json!({
            "start": start,
            "end": start + url.len(),
            "url": url,
            "expanded_url": expanded,
            "display_url": display,
        });
        if let Some(key) = key {
            entity["media_key"] = json!(key);
        }
        urls.push(entity);
    };
    for piece in pieces(&post.text) {
        match piece {
            Piece::Link(link) => shorten(&mut text, link, link.to_owned(), None),
            Piece::Plain(plain) => {
                for word in plain.split_inclusive(char::is_whitespace) {
                    let len = bare_link(word).unwrap_or(0);
                    if len > 0 {
                        shorten(&mut text, &word[..len], format!("http://{}", &word[..len]), None);
                    }
                    text.push_str(&escaped_text(&word[len..]));
                }
            }
            Piece::Tag(other) | Piece::Mention { whole: other, .. } => {
                text.push_str(&escaped_text(other))
            }
        }
    }
    if let Some(first) = post.media.first() {
        if !text.is_empty() {
            text.push(' ');
        }
        let page = format!("{}/posts/x/{id}/photo/1", call.origin);
        shorten(&mut text, &page, page.clone(), Some(format!("3_{first}")));
    }
    (text, urls)
}

/// X escapes three characters.
fn escaped_text(text: &str) -> String {
    escaped(text).replace("&quot;", "\"").replace("&#39;", "'")
}

/// A post with the fields that were asked for.
fn post_json(state: &State, call: &Call, id: u64, post: &Post, fields: &[String]) -> Value {
    let (text, urls) = shown(call, id, post);
    let mut body = Map::new();
    body.insert("id".to_owned(), json!(id.to_string()));
    body.insert("text".to_owned(), json!(text));
    body.insert("edit_history_tweet_ids".to_owned(), json!([id.to_string()]));
    for field in fields {
        let value = match field.as_str() {
            "created_at" => json!(iso(post.at.div_euclid(1_000) * 1_000)),
            "author_id" => json!(user_id(&post.account).to_string()),
            "conversation_id" => json!(head(state, id).to_string()),
            "entities" if !urls.is_empty() => json!({ "urls": urls }),
            "attachments" if !post.media.is_empty() => {
                let keys = post.media.iter().map(|id| format!("3_{id}")).collect::<Vec<_>>();
                json!({ "media_keys": keys })
            }
            "attachments" if post.poll.is_some() => json!({ "poll_ids": [id.to_string()] }),
            "referenced_tweets" => match post.reply_to {
                Some(id) => json!([{ "type": "replied_to", "id": id.to_string() }]),
                None => continue,
            },
            "lang" => json!("en"),
            "reply_settings" => json!("everyone"),
            _ => continue,
        };
        body.insert(field.clone(), value);
    }
    Value::Object(body)
}

/// The post at the head of a conversation.
fn head(state: &State, id: u64) -> u64 {
    let mut at = id;
    while let Some(parent) = state.posts.get(&at).and_then(|post| post.reply_to) {
        at = parent;
    }
    at
}

fn asked_fields(call: &Call) -> Result<Vec<String>, Answer> {
    let asked = call.text("tweet.fields").unwrap_or_default();
    let fields: Vec<String> =
        asked.split(',').filter(|f| !f.is_empty()).map(str::to_owned).collect();
    match fields.iter().find(|field| !FIELDS.contains(&field.as_str())) {
        Some(field) => Err(invalid(&format!(
            "The `tweet.fields` query parameter value [{field}] is not one of [{}]",
            FIELDS.join(",")
        ))),
        None => Ok(fields),
    }
}

fn show(world: &World, state: &mut State, call: &Call, id: &str) -> Result<Value, Answer> {
    authorized(state, call, "tweet.read")?;
    let fields = asked_fields(call)?;
    let found = id.parse().ok().and_then(|id: u64| Some((id, state.posts.get(&id)?)));
    Ok(match found {
        Some((id, post)) => {
            let mut body = post_json(state, call, id, post, &fields);
            if fields.iter().any(|field| field == "public_metrics") {
                let told = world.numbers(Network::X, &id.to_string());
                body["public_metrics"] = json!({
                    "retweet_count": told.reposts(),
                    "reply_count": told.comments,
                    "like_count": told.likes,
                    "quote_count": told.quotes(),
                    "bookmark_count": told.saves,
                    "impression_count": told.views,
                });
            }
            let mut answer = json!({ "data": body });
            let expanded = call.text("expansions").unwrap_or_default();
            if let Some(poll) = &post.poll
                && expanded.split(',').any(|one| one == "attachments.poll_ids")
            {
                answer["includes"] = json!({ "polls": [poll_json(id, post, poll)] });
            }
            answer
        }
        None => json!({ "errors": [missing("tweet", id)] }),
    })
}

fn timeline(state: &mut State, call: &Call, id: &str) -> Result<Value, Answer> {
    authorized(state, call, "tweet.read")?;
    let fields = asked_fields(call)?;
    let limit = call.number("max_results").unwrap_or(10);
    if !(5..=100).contains(&limit) {
        let message =
            format!("The `max_results` query parameter value [{limit}] is not between 5 and 100");
        return Err(invalid(&message));
    }
    let time = |name: &str| {
        let Some(text) = call.text(name) else { return Ok(None) };
        // Whole seconds, and in UTC.
        let whole = text.len() == 20 && text.ends_with('Z');
        let at = text.parse::<jiff::Timestamp>().ok().filter(|_| whole);
        at.map(|at| Some(at.as_millisecond())).ok_or_else(|| {
            invalid(&format!(
                "The `{name}` query parameter value [{text}] is not a valid date-time"
            ))
        })
    };
    let (since, until) = (time("start_time")?, time("end_time")?);
    let below = match call.text("pagination_token") {
        None => u64::MAX,
        Some(token) => {
            token.strip_prefix("7140").and_then(|id| id.parse().ok()).ok_or_else(|| {
                invalid(&format!(
                    "The `pagination_token` query parameter value [{token}] is not valid"
                ))
            })?
        }
    };
    let excluded = call.text("exclude").unwrap_or_default();
    let no_replies = excluded.split(',').any(|kind| kind == "replies");
    let Some(user) = id.parse().ok().and_then(|id: u64| state.users.get(&id)) else {
        return Ok(json!({ "errors": [missing("user", id)] }));
    };
    let all = user.range(..below).rev().filter_map(|(id, at)| {
        let post = state.posts.get(id)?;
        let inside =
            since.is_none_or(|since| *at >= since) && until.is_none_or(|until| *at < until);
        (inside && !(no_replies && post.reply_to.is_some())).then_some((*id, post))
    });
    let limit = usize::try_from(limit).unwrap_or(10);
    let mut page: Vec<(u64, &Post)> = all.take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let mut meta = json!({ "result_count": page.len() });
    if let (Some((newest, _)), Some((oldest, _))) = (page.first(), page.last()) {
        meta["newest_id"] = json!(newest.to_string());
        meta["oldest_id"] = json!(oldest.to_string());
        if more {
            meta["next_token"] = json!(format!("7140{oldest}"));
        }
    }
    let data: Vec<Value> =
        page.into_iter().map(|(id, post)| post_json(state, call, id, post, &fields)).collect();
    Ok(match data.is_empty() {
        true => json!({ "meta": meta }),
        false => json!({ "data": data, "meta": meta }),
    })
}

fn delete(world: &World, state: &mut State, call: &Call, id: &str) -> Result<Value, Answer> {
    let account = authorized(state, call, "tweet.write")?;
    let gone = || {
        let detail = format!("Could not find tweet with id: [{id}].");
        let kind = "https://api.twitter.com/2/problems/resource-not-found";
        problem(404, "Not Found Error", &detail, kind)
    };
    let number: u64 = id.parse().map_err(|_| invalid("The `id` path parameter is not valid"))?;
    let post = state.posts.get(&number).ok_or_else(gone)?;
    if post.account != account {
        return Err(forbidden("You are not authorized to delete this Tweet."));
    }
    state.posts.remove(&number);
    world.ledger.vanish(Network::X, id, call.now);
    Ok(json!({ "data": { "deleted": true } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_weighed() {
        assert_eq!(weight("Fresh bread"), 11);
        assert_eq!(weight("日本 👩‍💻"), 4 + 1 + 2);
        assert_eq!(weight("see https://a.example/x and example.com/a, ok"), 4 + 23 + 5 + 23 + 4);
        assert_eq!(weight("👍🏽 ❤️ 🇩🇪"), 8);
    }

    #[tokio::test]
    async fn links_are_shortened_and_signs_escaped() {
        let call = Call::of(Method::GET, "/", "", "").await;
        let text = "A <b> & https://a.example/x example.com.".to_owned();
        let post =
            Post { account: "a".into(), text, reply_to: None, media: vec![], poll: None, at: 0 };
        let (shown, urls) = shown(&call, 1, &post);
        assert!(shown.starts_with("A &lt;b&gt; &amp; https://t.co/"), "{shown}");
        assert!(shown.ends_with('.') && !shown.contains("example"), "{shown}");
        assert_eq!(urls[1]["expanded_url"], "http://example.com");
    }
}
