//! Tumblr: API v2 with the Neue Post Format under `/tumblr/v2/…`, the consent page under
//! `/tumblr/oauth2/authorize`.
//!
//! networks.md §17 and Tumblr's own documents. `{account}` has the blogs `{account}` and
//! `{account}-news`; a name with `nosuch` in it is no blog. A draft that is published gets a new id,
//! and the old one is known no more, but as `genesis_post_id`. The answer to the change names the
//! new id. In a blog with `quiet` in its name it names the draft's, and no listing tells which draft
//! a post was. Not spoken: legacy posts, reblogs, videos, queues and submissions.

use std::collections::{BTreeSet, HashMap};

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::Blob;
use crate::oauth::{Provider, Refresh, Rules, SecretIn};
use crate::world::{Fields, Network, World, is_account, lock, number_of, secret_of, stamp};

const BLOCK_LIMIT: usize = 1_000;
const TEXT_LIMIT: usize = 4_096;
const IMAGE_LIMIT: usize = 30;
const LINK_LIMIT: usize = 100;
const FILE_LIMIT: usize = 10 << 20;
const POST_LIMIT: usize = 1_000_000;

const RULES: Rules = Rules {
    name: "Tumblr",
    authorize: "oauth2/authorize",
    token: "v2/oauth2/token",
    id_param: "client_id",
    secret: SecretIn::Either,
    grant_type: true,
    pkce: false,
    separator: ' ',
    code_ms: 600_000,
    access_ms: Some(2_520_000),
    refresh: Refresh::Rotates(None),
};

#[derive(Default)]
pub(crate) struct State {
    oauth: Provider,
    posts: HashMap<u64, Post>,
    /// What each blog shows, and when it was published.
    blogs: HashMap<String, BTreeSet<(i64, u64)>>,
    last_id: u64,
}

struct Post {
    account: String,
    blog: String,
    blocks: Vec<Block>,
    tags: Vec<String>,
    state: String,
    genesis: Option<u64>,
    created: i64,
}

#[derive(Clone)]
enum Block {
    Text(Value),
    Image { blob: Blob, alt: String },
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("blog", account.to_owned()), ("accessToken", secret_of(account))]
}

/// Is it a change of a post that a blog shows?
fn edits_shown(world: &World, id: &str) -> bool {
    let state = lock(&world.states.tumblr);
    let post = id.parse().ok().and_then(|id: u64| state.posts.get(&id));
    post.is_some_and(|post| post.state == "published")
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let shows = parameters(call)["state"].as_str().is_none_or(|state| state == "published");
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (_, ["v2", "blog", _, "post", "delete"]) => Calls::Delete,
        (&Method::PUT, ["v2", "blog", _, "posts", id]) if edits_shown(world, id) => Calls::Edit,
        (&Method::POST | &Method::PUT, ["v2", "blog", _, "posts", ..]) if shows => Calls::Publish,
        _ => Calls::Prepare,
    };
    let state = lock(&world.states.tumblr);
    let account = call.bearer().and_then(|token| state.oauth.account_of(token, call.now).ok());
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let Some(answer) = lock(&world.states.tumblr).oauth.answer(&RULES, call) {
        return answer;
    }
    if call.header("user-agent").is_none_or(str::is_empty) {
        return error(403, 0, "Forbidden");
    }
    handle(world, call).unwrap_or_else(|refused| refused)
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => error(400, 8001, "The JSON provided is invalid"),
        Refusal::RateLimit(ms) => {
            let seconds = (ms + 999).div_euclid(1_000).to_string();
            error(429, 0, "Limit Exceeded")
                .header("x-ratelimit-perday-limit", "5000")
                .header("x-ratelimit-perday-remaining", "4000")
                .header("x-ratelimit-perday-reset", "80000")
                .header("x-ratelimit-perhour-limit", "1000")
                .header("x-ratelimit-perhour-remaining", "0")
                .header("x-ratelimit-perhour-reset", &seconds)
        }
        Refusal::ServerError => error(500, 0, "Internal Server Error"),
        Refusal::Auth => error(401, 1016, "Unauthorized"),
        Refusal::TooLarge => {
            Answer::html(413, "<html><h1>413 Request Entity Too Large</h1></html>")
        }
    }
}

fn meta(status: u16) -> Value {
    let phrase = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
    let msg = if status == 429 { "Limit Exceeded" } else { phrase.unwrap_or_default() };
    json!({ "status": status, "msg": msg })
}

fn error(status: u16, code: i64, title: &str) -> Answer {
    let errors = json!([{ "title": title, "code": code }]);
    Answer::json(status, &json!({ "meta": meta(status), "response": [], "errors": errors }))
}

fn bad(title: &str) -> Answer {
    error(400, 8001, title)
}

fn not_found() -> Answer {
    error(404, 0, "Not Found")
}

fn good(status: u16, response: &Value) -> Answer {
    Answer::json(status, &json!({ "meta": meta(status), "response": response }))
}

fn handle(world: &World, call: &Call) -> Result<Answer, Answer> {
    let segments = call.segments();
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["v2", "user", "info"]) => {
            let account = authorized(world, call, "basic")?;
            let blogs = [account.clone(), format!("{account}-news"), format!("{account}-quiet")];
            let blogs: Vec<Value> = blogs.iter().map(|name| blog_json(&account, name)).collect();
            let user = json!({
                "name": account,
                "likes": 0,
                "following": 0,
                "default_post_format": "html",
                "blogs": blogs,
            });
            Ok(good(200, &json!({ "user": user })))
        }
        ("GET", ["v2", "blog", name, "posts"]) => {
            authorized(world, call, "basic")?;
            list(world, call, &blog(name)?)
        }
        ("POST", ["v2", "blog", name, "posts"]) => {
            let account = authorized(world, call, "write")?;
            create(world, call, &account, &own(&account, name)?)
        }
        ("GET", ["v2", "blog", name, "posts", id]) => {
            let account = authorized(world, call, "basic")?;
            let blog = own(&account, name)?;
            let state = lock(&world.states.tumblr);
            let (id, post) = state.of(&blog, id)?;
            Ok(good(200, &post_json(call, id, post)))
        }
        ("GET", ["v2", "blog", name, "notes"]) => {
            authorized(world, call, "basic")?;
            notes(world, call, &blog(name)?)
        }
        ("PUT", ["v2", "blog", name, "posts", id]) => {
            let account = authorized(world, call, "write")?;
            edit(world, call, &own(&account, name)?, id)
        }
        ("POST", ["v2", "blog", name, "post", "delete"]) => {
            let account = authorized(world, call, "write")?;
            delete(world, call, &own(&account, name)?)
        }
        _ => Err(not_found()),
    }
}

/// The account of the token, if it was granted this scope.
fn authorized(world: &World, call: &Call, scope: &str) -> Result<String, Answer> {
    let failed = || error(401, 1016, "Unauthorized");
    let token = call.bearer().ok_or_else(failed)?;
    let state = lock(&world.states.tumblr);
    let account = state.oauth.account_of(token, call.now).map_err(|_| failed())?;
    let granted = state.oauth.scope_of(token);
    let may = granted.is_none_or(|all| all.split(' ').any(|one| one == scope));
    if may { Ok(account) } else { Err(error(403, 0, "Forbidden")) }
}

// Blogs

fn blog(named: &str) -> Result<String, Answer> {
    let name = named.strip_suffix(".tumblr.com").unwrap_or(named);
    let known = is_account(name) && !name.contains("nosuch");
    if known { Ok(name.to_owned()) } else { Err(not_found()) }
}

/// A blog of the account's own.
fn own(account: &str, named: &str) -> Result<String, Answer> {
    let name = blog(named)?;
    let rest = name.strip_prefix(account);
    match rest {
        Some("" | "-news" | "-quiet") => Ok(name),
        _ => Err(error(403, 0, "Forbidden")),
    }
}

fn blog_json(account: &str, name: &str) -> Value {
    json!({
        "name": name,
        "title": name,
        "url": format!("https://{name}.tumblr.com/"),
        "uuid": format!("t:{:x}", number_of(&format!("tumblr {name}"), 18)),
        "primary": name == account,
        "type": "public",
        "followers": 0,
        "tweet": "N",
    })
}

// Posts

impl State {
    fn id(&mut self, now: i64) -> u64 {
        self.last_id = (self.last_id + 1).max(now.unsigned_abs() << 16);
        self.last_id
    }

    /// The blog's post of this id, as its owner may see it.
    fn of(&self, blog: &str, id: &str) -> Result<(u64, &Post), Answer> {
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let post = self.posts.get(&id).filter(|post| post.blog == blog);
        post.map(|post| (id, post)).ok_or_else(not_found)
    }

    /// Shows a post from now on.
    fn publish(&mut self, world: &World, id: u64) {
        let Some(post) = self.posts.get(&id) else { return };
        self.blogs.entry(post.blog.clone()).or_default().insert((post.created, id));
        world.ledger.appear(
            Network::Tumblr,
            Appeared {
                id: id.to_string(),
                account: &post.account,
                placement: "feed",
                reply_to: None,
                text: post.text(),
                media: post.media(),
                at: post.created,
            },
        );
    }
}

impl Post {
    fn text(&self) -> String {
        let texts = self.blocks.iter().filter_map(|block| match block {
            Block::Text(block) => block["text"].as_str(),
            Block::Image { .. } => None,
        });
        texts.collect::<Vec<_>>().join("\n\n")
    }

    fn media(&self) -> Vec<LedgerMedia> {
        self.blocks.iter().filter_map(Block::in_ledger).collect()
    }
}

impl Block {
    fn in_ledger(&self) -> Option<LedgerMedia> {
        match self {
            Self::Image { blob, alt } => Some(blob.in_ledger(alt)),
            Self::Text(_) => None,
        }
    }

    fn json(&self, call: &Call) -> Value {
        match self {
            Self::Text(block) => block.clone(),
            Self::Image { blob, alt } => {
                let (mime, width, height) =
                    blob.kind.map_or(("", 0, 0), |kind| (kind.mime, kind.width, kind.height));
                let url = format!("{}{}", call.origin, blob.path());
                let media = json!([{ "type": mime, "width": width, "height": height, "url": url,
                                     "media_key": &blob.hash[..16] }]);
                json!({ "type": "image", "media": media, "alt_text": alt })
            }
        }
    }
}

/// As fetched for editing, ids as strings.
fn post_json(call: &Call, id: u64, post: &Post) -> Value {
    let content: Vec<Value> = post.blocks.iter().map(|block| block.json(call)).collect();
    json!({
        "object_type": "post",
        "type": "blocks",
        "id": id.to_string(),
        "tumblelog_uuid": format!("t:{:x}", number_of(&format!("tumblr {}", post.blog), 18)),
        "blog_name": post.blog,
        "state": post.state,
        "tags": post.tags,
        "content": content,
        "layout": [],
        "trail": [],
        "interactability_reblog": "everyone",
    })
}

/// What a create or an edit asks for: a JSON body, or the part `json` of a form.
fn parameters(call: &Call) -> Value {
    call.json.clone().or_else(|| call.nested("json")).unwrap_or_default()
}

fn create(world: &World, call: &Call, account: &str, blog: &str) -> Result<Answer, Answer> {
    let asked = parameters(call);
    let state_asked = asked["state"].as_str().unwrap_or("published");
    if !matches!(state_asked, "published" | "draft" | "private") {
        return Err(bad(&format!("The sandbox does not speak the state '{state_asked}'")));
    }
    let blocks = blocks(world, call, &asked, &[])?;
    let mut state = lock(&world.states.tumblr);
    let id = state.id(call.now);
    let post = Post {
        account: account.to_owned(),
        blog: blog.to_owned(),
        blocks,
        tags: tags(&asked),
        state: state_asked.to_owned(),
        genesis: None,
        created: call.now,
    };
    let shows = post.state == "published";
    state.posts.insert(id, post);
    if shows {
        state.publish(world, id);
    }
    Ok(good(201, &json!({ "id": id.to_string(), "state": state_asked })))
}

fn edit(world: &World, call: &Call, blog: &str, id: &str) -> Result<Answer, Answer> {
    let asked = parameters(call);
    let state_asked = asked["state"].as_str().unwrap_or("published").to_owned();
    let known = {
        let state = lock(&world.states.tumblr);
        let (_, post) = state.of(blog, id)?;
        post.blocks.clone()
    };
    let blocks = blocks(world, call, &asked, &known)?;
    let mut state = lock(&world.states.tumblr);
    let (old, _) = state.of(blog, id)?;
    let Some(mut post) = state.posts.remove(&old) else { return Err(not_found()) };
    post.blocks = blocks;
    post.tags = tags(&asked);
    let appears = post.state != "published" && state_asked == "published";
    if !appears {
        if post.state == "published" && state_asked != "published" {
            state.posts.insert(old, post);
            return Err(bad("A published post cannot become a draft again"));
        }
        let (text, media) = (post.text(), post.media());
        world.ledger.edit(Network::Tumblr, &old.to_string(), |post| {
            (post.text, post.media) = (text, media);
        });
        state.posts.insert(old, post);
        return Ok(good(200, &json!({ "id": old.to_string(), "state": state_asked })));
    }
    let new = state.id(call.now);
    post.state = state_asked;
    post.genesis = Some(old);
    post.created = call.now;
    state.posts.insert(new, post);
    state.publish(world, new);
    let told = if blog.contains("quiet") { old } else { new };
    Ok(good(200, &json!({ "id": told.to_string(), "state": "published" })))
}

fn tags(asked: &Value) -> Vec<String> {
    let tags = asked["tags"].as_str().unwrap_or_default().split(',');
    tags.map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// The content, checked; pictures are uploaded with the call, or named by the address at which the
/// post has them already.
fn blocks(
    world: &World,
    call: &Call,
    asked: &Value,
    known: &[Block],
) -> Result<Vec<Block>, Answer> {
    let content = asked["content"].as_array().ok_or_else(|| bad("'content' must be an array"))?;
    if content.is_empty() {
        return Err(bad("Post cannot be empty"));
    }
    let limits = [
        (content.len(), BLOCK_LIMIT, "blocks"),
        (content.iter().filter(|b| b["type"] == "image").count(), IMAGE_LIMIT, "image blocks"),
        (content.iter().map(links).sum(), LINK_LIMIT, "links"),
        (asked["content"].to_string().len(), POST_LIMIT, "bytes"),
    ];
    if let Some((_, most, what)) = limits.iter().find(|(n, most, _)| n > most) {
        return Err(bad(&format!("A post has at most {most} {what}")));
    }
    content
        .iter()
        .map(|block| match block["type"].as_str() {
            Some("text") => text_block(block),
            Some("image") => image_block(world, call, block, known),
            other => Err(bad(&format!("The sandbox does not speak the block {other:?}"))),
        })
        .collect()
}

fn links(block: &Value) -> usize {
    let all = block["formatting"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter(|mark| mark["type"] == "link").count()
}

fn text_block(block: &Value) -> Result<Block, Answer> {
    let text = block["text"].as_str().ok_or_else(|| bad("A text block needs 'text'"))?;
    let length = text.chars().count();
    if length > TEXT_LIMIT {
        return Err(bad("'text' cannot be longer than 4096 characters"));
    }
    for mark in block["formatting"].as_array().map_or(&[][..], Vec::as_slice) {
        let place = |name: &str| mark[name].as_u64().and_then(|n| usize::try_from(n).ok());
        let fits = place("start").zip(place("end")).is_some_and(|(a, b)| a < b && b <= length);
        let read = mark["url"].as_str().is_some_and(|url| url::Url::parse(url).is_ok());
        if !fits || (mark["type"] == "link" && !read) {
            return Err(bad("A formatting range is invalid"));
        }
    }
    Ok(Block::Text(block.clone()))
}

fn image_block(
    world: &World,
    call: &Call,
    block: &Value,
    known: &[Block],
) -> Result<Block, Answer> {
    let alt = block["alt_text"].as_str().unwrap_or_default().to_owned();
    if alt.chars().count() > 4_096 {
        return Err(bad("'alt_text' cannot be longer than 4096 characters"));
    }
    let media = if block["media"].is_array() { &block["media"][0] } else { &block["media"] };
    if let Some(url) = media["url"].as_str() {
        let same = |block: &Block| match block {
            Block::Image { blob, .. } if url.ends_with(&blob.path()) => Some(blob.clone()),
            _ => None,
        };
        let blob = known.iter().find_map(same);
        let blob = blob.ok_or_else(|| bad("'media' names an address of another post"))?;
        return Ok(Block::Image { blob, alt });
    }
    let part = media["identifier"].as_str().unwrap_or_default();
    let file = call.file(part).ok_or_else(|| bad("'identifier' names no uploaded part"))?;
    let blob = world.blobs.keep(&file.bytes);
    let kind = blob.kind.filter(|kind| kind.is_image());
    // What is not named is looked at.
    let fits = kind.is_some_and(|kind| media["type"].as_str().is_none_or(|t| t == kind.mime));
    if !fits || blob.size > FILE_LIMIT {
        return Err(error(400, 8005, "The uploaded media is in a format that cannot be accepted"));
    }
    Ok(Block::Image { blob, alt })
}

fn delete(world: &World, call: &Call, blog: &str) -> Result<Answer, Answer> {
    let id = call.text("id").ok_or_else(|| bad("'id' is missing"))?;
    let mut state = lock(&world.states.tumblr);
    let (id, created) = state.of(blog, &id).map(|(id, post)| (id, post.created))?;
    state.posts.remove(&id);
    if let Some(shown) = state.blogs.get_mut(blog) {
        shown.remove(&(created, id));
    }
    world.ledger.vanish(Network::Tumblr, &id.to_string(), call.now);
    Ok(good(200, &json!({ "id": id.to_string() })))
}

/// What there is in all; who it was is not told here.
fn notes(world: &World, call: &Call, blog: &str) -> Result<Answer, Answer> {
    let id = call.text("id").ok_or_else(|| bad("'id' is missing"))?;
    lock(&world.states.tumblr).of(blog, &id)?;
    let told = world.numbers(Network::Tumblr, &id);
    let mut body = json!({
        "notes": [],
        "total_notes": told.likes + told.shares + told.comments,
        "_links": {},
    });
    if call.text("mode").as_deref() == Some("conversation") {
        body["rollup_notes"] = json!([]);
        body["total_likes"] = json!(told.likes);
        body["total_reblogs"] = json!(told.shares);
    }
    Ok(good(200, &body))
}

fn list(world: &World, call: &Call, blog: &str) -> Result<Answer, Answer> {
    let number = |name: &str| call.number(name).and_then(|n| usize::try_from(n).ok());
    let (limit, offset) =
        (number("limit").unwrap_or(20).clamp(1, 20), number("offset").unwrap_or(0));
    if call.flag("npf") != Some(true) {
        return Err(bad("The sandbox shows posts with npf=true only"));
    }
    let state = lock(&world.states.tumblr);
    let shown = state.blogs.get(blog);
    let total = shown.map_or(0, BTreeSet::len);
    let page = shown.into_iter().flat_map(|shown| shown.iter().rev()).skip(offset).take(limit);
    let posts: Vec<Value> = page
        .filter_map(|(_, id)| {
            let post = state.posts.get(id)?;
            let mut body = post_json(call, *id, post);
            body["id"] = json!(id);
            body["id_string"] = json!(id.to_string());
            body["timestamp"] = json!(post.created / 1_000);
            body["date"] = json!(stamp(post.created, "%Y-%m-%d %H:%M:%S GMT"));
            body["post_url"] = json!(format!("{}/posts/tumblr/{id}", call.origin));
            body["is_blocks_post_format"] = json!(true);
            body["note_count"] = json!(0);
            if let Some(genesis) = post.genesis.filter(|_| !blog.contains("quiet")) {
                body["genesis_post_id"] = json!(genesis.to_string());
            }
            Some(body)
        })
        .collect();
    Ok(good(200, &json!({ "blog": { "name": blog }, "posts": posts, "total_posts": total })))
}
