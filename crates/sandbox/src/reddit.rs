//! Reddit: `oauth.reddit.com` and the consent page of `www.reddit.com`, both under `/reddit/…`.
//!
//! networks.md §16 and the sources that Reddit once published. Every subreddit exists and takes
//! everything, but one with `nosuch` in its name does not exist, in one with `banned` the account is
//! banned, one with `private` is closed, one with `linksonly` or `textonly` takes only those. Calls
//! without a `User-Agent` of their own are turned away. Texts come escaped unless `raw_json=1` asks
//! for them as they are. Not spoken: pictures, videos, galleries and flairs.

use std::collections::HashMap;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::oauth::{Provider, Refresh, Rules, SecretIn};
use crate::world::{Fields, Network, World, is_account, lock, number_of, secret_of};

const TITLE_LIMIT: usize = 300;
const TEXT_LIMIT: usize = 40_000;
const COMMENT_LIMIT: usize = 10_000;
/// Names of libraries, with which clients give themselves when nobody told them otherwise.
const GENERIC: [&str; 9] =
    ["python", "curl", "wget", "java", "okhttp", "go-http", "node", "reqwest", "mozilla"];

const RULES: Rules = Rules {
    name: "Reddit",
    authorize: "api/v1/authorize",
    token: "api/v1/access_token",
    id_param: "client_id",
    secret: SecretIn::Basic,
    grant_type: true,
    pkce: false,
    separator: ' ',
    code_ms: 600_000,
    access_ms: Some(86_400_000),
    refresh: Refresh::Kept(None),
};

#[derive(Default)]
pub(crate) struct State {
    oauth: Provider,
    things: HashMap<String, Thing>,
    /// By account, oldest first.
    posts: HashMap<String, Vec<String>>,
    comments: HashMap<String, Vec<String>>,
    /// The links of each subreddit, by `{subreddit} {url}`.
    links: HashMap<String, String>,
    last_id: u64,
}

/// A post (`t3_…`) or a comment (`t1_…`).
struct Thing {
    account: String,
    subreddit: String,
    title: String,
    /// Of a text post or a comment.
    text: String,
    /// Of a link post.
    url: Option<String>,
    /// Of a comment: what it answers, and the post at the head.
    parent: Option<(String, String)>,
    created: i64,
    deleted: bool,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("subreddit", account.replace('-', "_")), ("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.path.as_str()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (_, "api/submit" | "api/comment") => Calls::Publish,
        (_, "api/editusertext") => Calls::Edit,
        (_, "api/del") => Calls::Delete,
        _ => Calls::Prepare,
    };
    let state = lock(&world.states.reddit);
    let account = call.bearer().and_then(|token| state.oauth.account_of(token, call.now).ok());
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let given = call.header("user-agent").unwrap_or_default().to_ascii_lowercase();
    let browser = call.path == RULES.authorize;
    if !browser && (given.is_empty() || GENERIC.iter().any(|name| given.starts_with(name))) {
        return plain(429, "Too Many Requests");
    }
    if let Some(answer) = lock(&world.states.reddit).oauth.answer(&RULES, call) {
        // What is wrong with a code is told with the status of a success.
        let told = call.path == RULES.token && answer.status == 400;
        return Answer { status: if told { StatusCode::OK } else { answer.status }, ..answer };
    }
    if !is_distinctive(&given) {
        return plain(429, "Too Many Requests");
    }
    handle(world, call).unwrap_or_else(|refused| refused)
}

/// `<platform>:<app>:<version>`, perhaps with more behind it.
fn is_distinctive(agent: &str) -> bool {
    let parts: Vec<&str> = agent.splitn(3, ':').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.trim().is_empty())
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => plain(400, "Bad Request"),
        // Posting too often is told in words, calling too often by headers.
        Refusal::RateLimit(ms) if call.path == "api/submit" || call.path == "api/comment" => {
            let seconds = (ms + 999).div_euclid(1_000);
            let wait = match seconds {
                60.. => format!("{} minutes", seconds / 60),
                _ => format!("{seconds} seconds"),
            };
            let says = format!(
                "Looks like you've been doing that a lot. Take a break for {wait} before trying again."
            );
            let body = json!({ "json": {
                "ratelimit": ms as f64 / 1_000.0,
                "errors": [["RATELIMIT", says, "ratelimit"]],
            }});
            Answer::json(200, &body)
        }
        Refusal::RateLimit(ms) => plain(429, "Too Many Requests")
            .header("x-ratelimit-used", "1000")
            .header("x-ratelimit-remaining", "0.0")
            .header("x-ratelimit-reset", &(ms + 999).div_euclid(1_000).to_string()),
        Refusal::ServerError => plain(500, "Internal Server Error"),
        Refusal::Auth => unauthorized(),
        Refusal::TooLarge => plain(413, "Request Entity Too Large"),
    }
}

fn plain(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "message": message, "error": status }))
}

fn unauthorized() -> Answer {
    plain(401, "Unauthorized")
        .header("www-authenticate", "Bearer realm=\"reddit\", error=\"invalid_token\"")
}

/// A refusal as `api_type=json` has it.
fn refused(code: &str, says: &str, field: &str) -> Answer {
    Answer::json(200, &json!({ "json": { "errors": [[code, says, field]] } }))
}

fn handle(world: &World, call: &Call) -> Result<Answer, Answer> {
    let segments = call.segments();
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["api", "v1", "me"]) => {
            let account = authorized(world, call, "identity")?;
            Ok(Answer::json(
                200,
                &json!({
                    "id": format!("{:x}", number_of(&format!("reddit {account}"), 9)),
                    "name": account,
                    "is_suspended": false,
                    "has_verified_email": true,
                    "total_karma": 1,
                    "created_utc": 1_767_225_600.0,
                }),
            ))
        }
        ("GET", ["r", name, "about"]) => {
            authorized(world, call, "read")?;
            about(name)
        }
        ("GET", ["user", name, what @ ("submitted" | "comments")]) => {
            authorized(world, call, "history")?;
            list(world, call, name, *what == "comments")
        }
        ("POST", ["api", "submit"]) => submit(world, call),
        ("POST", ["api", "comment"]) => comment(world, call),
        ("GET", ["api", "info"]) => {
            authorized(world, call, "read")?;
            info(world, call)
        }
        ("POST", ["api", "editusertext"]) => edit(world, call),
        ("POST", ["api", "del"]) => delete(world, call),
        _ => Err(plain(404, "Not Found")),
    }
}

/// The account of the token, if it was granted this scope.
fn authorized(world: &World, call: &Call, scope: &str) -> Result<String, Answer> {
    let token = call.bearer().ok_or_else(unauthorized)?;
    let state = lock(&world.states.reddit);
    let account = state.oauth.account_of(token, call.now).map_err(|_| unauthorized())?;
    let granted = state.oauth.scope_of(token);
    if granted.is_none_or(|all| all.split([' ', ',']).any(|one| one == scope)) {
        return Ok(account);
    }
    let says = "Bearer realm=\"reddit\", error=\"insufficient_scope\"";
    Err(plain(403, "Forbidden").header("www-authenticate", says))
}

// Subreddits

fn is_subreddit(name: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (2..=24).contains(&name.len()) && name.bytes().all(letters) && !name.contains("nosuch")
}

fn about(name: &str) -> Result<Answer, Answer> {
    if !is_subreddit(name) {
        let to = format!("https://www.reddit.com/subreddits/search.json?q={name}");
        return Err(Answer::html(302, "").header("location", &to));
    }
    if name.contains("private") {
        let body = json!({ "reason": "private", "message": "Forbidden", "error": 403 });
        return Err(Answer::json(403, &body));
    }
    let takes = match name {
        _ if name.contains("textonly") => "self",
        _ if name.contains("linksonly") => "link",
        _ => "any",
    };
    Ok(Answer::json(
        200,
        &json!({ "kind": "t5", "data": {
            "name": format!("t5_{:x}", number_of(&format!("subreddit {name}"), 9)),
            "display_name": name,
            "display_name_prefixed": format!("r/{name}"),
            "title": name,
            "subreddit_type": "public",
            "submission_type": takes,
            "user_is_banned": name.contains("banned"),
            "user_is_moderator": false,
            "restrict_posting": true,
            "subscribers": 1,
            "quarantine": false,
            "over18": false,
        }}),
    ))
}

/// The subreddit that a submission names, if it takes this kind.
fn target(call: &Call, kind: &str) -> Result<String, Answer> {
    let name = call.text("sr").unwrap_or_default();
    if name.is_empty() {
        return Err(refused("SUBREDDIT_REQUIRED", "you must specify a subreddit", "sr"));
    }
    if !is_subreddit(&name) {
        return Err(refused("SUBREDDIT_NOEXIST", "that subreddit doesn't exist", "sr"));
    }
    if name.contains("banned") || name.contains("private") {
        return Err(refused("SUBREDDIT_NOTALLOWED", "you aren't allowed to post there.", "sr"));
    }
    match kind {
        "self" if name.contains("linksonly") => {
            Err(refused("NO_SELFS", "that subreddit doesn't allow text posts", "sr"))
        }
        "link" if name.contains("textonly") => {
            Err(refused("NO_LINKS", "that subreddit only allows text posts", "sr"))
        }
        _ => Ok(name),
    }
}

// Posts and comments

impl State {
    /// The next number, as Reddit writes numbers: in base 36.
    fn id(&mut self, now: i64) -> String {
        self.last_id = (self.last_id + 1).max(now.unsigned_abs() << 8);
        let (mut rest, mut id) = (self.last_id, Vec::new());
        while rest > 0 {
            id.push(char::from_digit((rest % 36) as u32, 36).unwrap_or('0'));
            rest /= 36;
        }
        id.iter().rev().collect()
    }
}

fn permalink(name: &str, thing: &Thing) -> String {
    let post = thing.parent.as_ref().map_or(name, |(_, head)| head);
    let post = post.trim_start_matches("t3_");
    let start = format!("/r/{}/comments/{post}/_/", thing.subreddit);
    match name.strip_prefix("t1_") {
        Some(comment) => format!("{start}{comment}/"),
        None => start,
    }
}

fn submit(world: &World, call: &Call) -> Result<Answer, Answer> {
    let account = authorized(world, call, "submit")?;
    if call.text("api_type").as_deref() != Some("json") {
        // The language of the site's own scripts, which no program reads.
        return Err(Answer::json(
            200,
            &json!({ "jquery": [[0, 1, "call", ["body"]]], "success": false }),
        ));
    }
    let kind = call.text("kind").unwrap_or_default();
    if !matches!(kind.as_str(), "self" | "link") {
        return Err(refused("INVALID_OPTION", "that option is not valid", "kind"));
    }
    let subreddit = target(call, &kind)?;
    let title = call.text("title").unwrap_or_default();
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if title.is_empty() {
        return Err(refused("NO_TEXT", "we need something here", "title"));
    }
    if title.chars().count() > TITLE_LIMIT {
        return Err(refused("TOO_LONG", "this is too long (max: 300)", "title"));
    }
    let (text, url) = match kind.as_str() {
        "self" => (call.text("text").unwrap_or_default(), None),
        _ => (String::new(), call.text("url")),
    };
    if text.chars().count() > TEXT_LIMIT {
        return Err(refused("TOO_LONG", "this is too long (max: 40000)", "text"));
    }
    let mut state = lock(&world.states.reddit);
    if kind == "link" {
        let read = url.as_deref().and_then(|url| url::Url::parse(url).ok());
        if !read.is_some_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(refused("BAD_URL", "you should check that url", "url"));
        }
        let known = format!("{subreddit} {}", url.as_deref().unwrap_or_default());
        if state.links.contains_key(&known) && call.flag("resubmit") != Some(true) {
            return Err(refused("ALREADY_SUB", "that link has already been submitted", "url"));
        }
    }
    let id = state.id(call.now);
    let name = format!("t3_{id}");
    let thing = Thing {
        account: account.clone(),
        subreddit,
        title,
        text,
        url,
        parent: None,
        created: call.now,
        deleted: false,
    };
    if let Some(url) = &thing.url {
        state.links.insert(format!("{} {url}", thing.subreddit), name.clone());
    }
    let texts = [thing.title.as_str(), thing.text.as_str()];
    let link = thing.url.as_deref().map(|url| LedgerMedia::link(url, &thing.title));
    world.ledger.appear(
        Network::Reddit,
        Appeared {
            id: name.clone(),
            account: &account,
            placement: "feed",
            reply_to: None,
            text: texts.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("\n\n"),
            media: link.into_iter().collect(),
            at: call.now,
        },
    );
    let url = format!("https://www.reddit.com{}", permalink(&name, &thing));
    let data = json!({ "url": url, "drafts_count": 0, "id": id, "name": name });
    state.posts.entry(account).or_default().push(name.clone());
    state.things.insert(name, thing);
    Ok(Answer::json(200, &json!({ "json": { "errors": [], "data": data } })))
}

fn comment(world: &World, call: &Call) -> Result<Answer, Answer> {
    let account = authorized(world, call, "submit")?;
    let text = call.text("text").unwrap_or_default();
    if text.trim().is_empty() {
        return Err(refused("NO_TEXT", "we need something here", "text"));
    }
    if text.chars().count() > COMMENT_LIMIT {
        return Err(refused("TOO_LONG", "this is too long (max: 10000)", "text"));
    }
    let on = call.text("thing_id").unwrap_or_default();
    let mut state = lock(&world.states.reddit);
    let parent = state
        .things
        .get(&on)
        .ok_or_else(|| refused("NO_THING_ID", "id not specified", "parent"))?;
    if parent.deleted {
        let says = "the thing you are replying to has been deleted";
        return Err(refused("DELETED_LINK", says, "parent"));
    }
    let head = parent.parent.as_ref().map_or_else(|| on.clone(), |(_, head)| head.clone());
    let thing = Thing {
        account: account.clone(),
        subreddit: parent.subreddit.clone(),
        title: String::new(),
        text,
        url: None,
        parent: Some((on.clone(), head)),
        created: call.now,
        deleted: false,
    };
    let name = format!("t1_{}", state.id(call.now));
    world.ledger.appear(
        Network::Reddit,
        Appeared {
            id: name.clone(),
            account: &account,
            placement: "comment",
            reply_to: Some(on),
            text: thing.text.clone(),
            media: Vec::new(),
            at: call.now,
        },
    );
    let shown = shown(call, &name, &thing);
    state.comments.entry(account).or_default().push(name.clone());
    state.things.insert(name, thing);
    Ok(Answer::json(200, &json!({ "json": { "errors": [], "data": { "things": [shown] } } })))
}

/// Things by their names; what was deleted is shown without its words, what never was is not.
fn info(world: &World, call: &Call) -> Result<Answer, Answer> {
    let state = lock(&world.states.reddit);
    let asked = call.text("id").unwrap_or_default();
    let found = asked.split(',').filter_map(|name| Some((name, state.things.get(name)?)));
    let children = found.map(|(name, thing)| {
        let mut shown = shown(call, name, thing);
        let (data, told) = (&mut shown["data"], world.numbers(Network::Reddit, name));
        // One's own vote is the first.
        data["ups"] = json!(told.likes.max(1));
        data["score"] = data["ups"].clone();
        if thing.parent.is_none() {
            data["num_comments"] = json!(told.comments);
        }
        if thing.deleted {
            data["author"] = json!("[deleted]");
            data[if thing.parent.is_some() { "body" } else { "selftext" }] = json!("[deleted]");
        }
        shown
    });
    let data = json!({
        "after": null, "before": null, "modhash": "", "children": children.collect::<Vec<_>>(),
    });
    Ok(Answer::json(200, &json!({ "kind": "Listing", "data": data })))
}

/// Changes the text of one's own text post or comment.
fn edit(world: &World, call: &Call) -> Result<Answer, Answer> {
    let account = authorized(world, call, "edit")?;
    let id = call.text("thing_id").unwrap_or_default();
    let text = call.text("text").unwrap_or_default();
    let mut state = lock(&world.states.reddit);
    let thing = state.things.get_mut(&id).filter(|thing| thing.account == account);
    let thing = thing.ok_or_else(|| refused("NOT_AUTHOR", "you can't do that", "thing_id"))?;
    if thing.url.is_some() {
        return Err(plain(403, "Forbidden"));
    }
    if thing.deleted {
        let says = "that comment has been deleted";
        return Err(refused("DELETED_COMMENT", says, "thing_id"));
    }
    let (limit, says) = match thing.parent {
        Some(_) => (COMMENT_LIMIT, "this is too long (max: 10000)"),
        None => (TEXT_LIMIT, "this is too long (max: 40000)"),
    };
    if text.chars().count() > limit {
        return Err(refused("TOO_LONG", says, "text"));
    }
    if thing.parent.is_some() && text.trim().is_empty() {
        return Err(refused("NO_TEXT", "we need something here", "text"));
    }
    thing.text = text;
    let texts = [thing.title.as_str(), thing.text.as_str()];
    let text = texts.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("\n\n");
    world.ledger.edit(Network::Reddit, &id, |post| post.text = text);
    let shown = shown(call, &id, thing);
    Ok(Answer::json(200, &json!({ "json": { "errors": [], "data": { "things": [shown] } } })))
}

fn delete(world: &World, call: &Call) -> Result<Answer, Answer> {
    let account = authorized(world, call, "edit")?;
    let id = call.text("id").unwrap_or_default();
    let mut state = lock(&world.states.reddit);
    // Another's, or none: silently nothing.
    if let Some(thing) = state.things.get_mut(&id).filter(|thing| thing.account == account) {
        thing.deleted = true;
        world.ledger.vanish(Network::Reddit, &id, call.now);
        state.links.retain(|_, name| *name != id);
    }
    Ok(Answer::json(200, &json!({})))
}

/// A thing as listings show it.
fn shown(call: &Call, name: &str, thing: &Thing) -> Value {
    let raw = call.flag("raw_json") == Some(true);
    let text = |text: &str| match raw {
        true => text.to_owned(),
        false => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
    };
    let link = permalink(name, thing);
    let (kind, id) = name.split_once('_').unwrap_or_default();
    let mut data = json!({
        "id": id,
        "name": name,
        "author": thing.account,
        "subreddit": thing.subreddit,
        "subreddit_name_prefixed": format!("r/{}", thing.subreddit),
        "permalink": link,
        "created": thing.created / 1_000,
        "created_utc": (thing.created / 1_000) as f64,
        "score": 1,
    });
    match &thing.parent {
        Some((parent, head)) => {
            data["body"] = json!(text(&thing.text));
            data["parent_id"] = json!(parent);
            data["link_id"] = json!(head);
            // Of none, which would be a listing.
            data["replies"] = json!("");
        }
        None => {
            let own = format!("https://www.reddit.com{link}");
            data["title"] = json!(text(&thing.title));
            data["selftext"] = json!(text(&thing.text));
            data["is_self"] = json!(thing.url.is_none());
            data["url"] = json!(text(thing.url.as_deref().unwrap_or(&own)));
            data["num_comments"] = json!(0);
            data["removed_by_category"] = Value::Null;
        }
    }
    json!({ "kind": kind, "data": data })
}

fn list(world: &World, call: &Call, account: &str, comments: bool) -> Result<Answer, Answer> {
    if !is_account(account) {
        return Err(plain(404, "Not Found"));
    }
    let state = lock(&world.states.reddit);
    let book = if comments { &state.comments } else { &state.posts };
    let all = book.get(account).map_or(&[][..], Vec::as_slice);
    let limit = call.number("limit").and_then(|n| usize::try_from(n).ok()).unwrap_or(25);
    let limit = limit.clamp(1, 100);
    let mut names = all.iter().rev().filter(|name| !state.things[*name].deleted).peekable();
    if let Some(after) = call.text("after").filter(|after| !after.is_empty()) {
        names.by_ref().find(|name| **name == after);
    }
    let children: Vec<(&String, Value)> = names
        .by_ref()
        .take(limit)
        .map(|name| (name, shown(call, name, &state.things[name])))
        .collect();
    let after = children.last().filter(|_| names.peek().is_some()).map(|(name, _)| *name);
    let data = json!({
        "after": after,
        "before": null,
        "dist": children.len(),
        "modhash": null,
        "children": children.iter().map(|(_, shown)| shown).collect::<Vec<_>>(),
    });
    Ok(Answer::json(200, &json!({ "kind": "Listing", "data": data })))
}
