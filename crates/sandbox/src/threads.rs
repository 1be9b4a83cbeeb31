//! Threads: the container flow, under `/threads/v1.0/…`, and its own tokens beside it.
//!
//! networks.md §3 and §22. Bearer `sandbox-{account}`, or a token of the consent page: an hour, and
//! sixty days for one that was traded for a longer one, which is issued anew when it is a day old.
//! Media are fetched when a container is made. The first poll of a container answers IN_PROGRESS,
//! the next one FINISHED; a film takes twenty seconds. After a day a container is EXPIRED. 250 posts
//! and 1,000 replies in a moving day. Polls end after a day. Not spoken: quotes, tags, who may answer.

use std::collections::{BTreeSet, HashMap};

use http::Method;
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation;

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::film;
use crate::graph::{self, Fail, Paging};
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::{Blob, Unfetched, fetch};
use crate::oauth::{self, Bad, CLIENT_SECRET, Refresh};
use crate::poll::{Poll, fit};
use crate::text::{Piece, pieces};
use crate::world::{Fields, Network, World, lock, number_of, secret_of};

const DAY: i64 = 86_400_000;
const LONG: i64 = 60 * DAY;
const DAILY_POSTS: usize = 250;
const DAILY_REPLIES: usize = 1_000;
const TEXT_LIMIT: usize = 500;
const LINKS: usize = 5;
const ALT_LIMIT: usize = 1_000;
const IMAGE_LIMIT: usize = 8 << 20;
/// How long a film is worked on, in ms.
const PROCESSING: i64 = 20_000;

const RULES: oauth::Rules = oauth::Rules {
    name: "Threads",
    authorize: "oauth/authorize",
    token: "oauth/access_token",
    id_param: "client_id",
    secret: oauth::SecretIn::Body,
    grant_type: true,
    pkce: false,
    separator: ',',
    code_ms: 3_600_000,
    access_ms: Some(3_600_000),
    refresh: Refresh::Never,
};

#[derive(Default)]
pub(crate) struct State {
    oauth: oauth::Provider,
    /// When each long-lived token was issued.
    long: HashMap<String, i64>,
    containers: HashMap<String, Container>,
    posts: HashMap<String, Post>,
    accounts: HashMap<String, Account>,
    last_id: u64,
}

#[derive(Default)]
struct Account {
    /// What was published, by time; deleted posts count for the limits of the day.
    posted: BTreeSet<(i64, String)>,
    replied: BTreeSet<(i64, String)>,
}

struct Container {
    account: String,
    kind: &'static str,
    items: Vec<Item>,
    text: String,
    poll: Option<Vec<String>>,
    reply_to: Option<String>,
    is_child: bool,
    created: i64,
    /// Polls that are still answered IN_PROGRESS, and until when it is worked on.
    polls_left: u32,
    busy_until: i64,
    broken: Option<&'static str>,
    ready: bool,
    published: bool,
}

#[derive(Clone)]
struct Item {
    blob: Blob,
    alt: String,
}

struct Post {
    account: String,
    kind: &'static str,
    items: Vec<Item>,
    text: String,
    poll: Option<Poll>,
    reply_to: Option<String>,
    at: i64,
}

/// Whose token it is, and what it may.
struct Caller {
    account: String,
    scope: Option<String>,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, graph::segments(call).as_slice()) {
        // Tokens are asked for with GET, and nothing is read with it.
        (_, ["access_token" | "refresh_access_token"]) => Calls::Prepare,
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (_, [_, "threads_publish"]) => Calls::Publish,
        _ => Calls::Prepare,
    };
    let account = caller(&lock(&world.states.threads), call).ok();
    Aim { call: kind, account: account.map(|caller| caller.account) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let Some(answer) = tokens(&mut lock(&world.states.threads), call) {
        return answer;
    }
    let caller = caller(&lock(&world.states.threads), call);
    let account = caller.as_ref().ok().map(|caller| caller.account.clone());
    let handled = match caller {
        Ok(caller) => handle(world, call, &caller).await,
        Err(fail) => Err(fail),
    };
    graph::finish(handled, account.as_deref(), "threads")
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    graph::refuse(call, refusal, 4, "threads")
}

async fn handle(world: &World, call: &Call, caller: &Caller) -> Result<Value, Fail> {
    caller.needs("threads_basic")?;
    let segments = graph::segments(call);
    if call.segments().first() != Some(&"v1.0") {
        return Err(Fail::new(2_635, "Unknown version of the Threads API"));
    }
    let Some(node) = segments.first().copied() else { return Err(Fail::missing(call, "")) };
    let own = node == "me" || node == user_id(&caller.account);
    match (call.method.as_str(), &segments[1..]) {
        ("GET", []) if own => me(call, caller),
        ("POST", ["threads"]) if own => create(world, call, caller).await,
        ("POST", ["threads_publish"]) if own => publish(world, call, caller),
        ("GET", ["threads"]) if own => list(world, call, caller, false),
        ("GET", ["replies"]) if own => list(world, call, caller, true),
        ("GET", ["threads_publishing_limit"]) if own => limit(world, call, caller),
        ("GET", ["insights"]) => insights(world, call, caller, node),
        ("GET", []) => show(world, call, caller, node),
        ("DELETE", []) => delete(world, call, caller, node),
        _ => Err(Fail::missing(call, node)),
    }
}

// Tokens and accounts

fn bearer(call: &Call) -> Option<String> {
    call.text("access_token").or_else(|| call.bearer().map(str::to_owned))
}

fn caller(state: &State, call: &Call) -> Result<Caller, Fail> {
    let Some(token) = bearer(call) else {
        return Err(Fail::new(104, "An access token is required to request this resource."));
    };
    let account = state.oauth.account_of(&token, call.now).map_err(|bad| match bad {
        Bad::Unknown => Fail::new(190, "Invalid OAuth access token - Cannot parse access token"),
        Bad::Expired => {
            Fail::new(190, "Error validating access token: Session has expired").sub(463)
        }
    })?;
    Ok(Caller { account, scope: state.oauth.scope_of(&token).map(str::to_owned) })
}

impl Caller {
    fn needs(&self, permission: &str) -> Result<(), Fail> {
        let held = |scope: &String| scope.split(',').any(|granted| granted == permission);
        match self.scope.as_ref().is_none_or(held) {
            true => Ok(()),
            false => Err(Fail::new(10, "Application does not have permission for this action")),
        }
    }
}

/// The consent page, and the three ways to a token.
fn tokens(state: &mut State, call: &Call) -> Option<Answer> {
    let path = call.path.as_str();
    if path == RULES.authorize || path == RULES.token {
        let answer = state.oauth.answer(&RULES, call)?;
        return Some(if path == RULES.token { short(state, call, &answer) } else { answer });
    }
    let (grant, is_new) = match path {
        "access_token" => ("th_exchange_token", true),
        "refresh_access_token" => ("th_refresh_token", false),
        _ => return None,
    };
    let traded = if call.text("grant_type").as_deref() != Some(grant) {
        Err(Fail::parameter("Invalid parameter grant_type"))
    } else {
        longer(state, call, is_new)
    };
    Some(traded.map_or_else(Fail::answer, |body| Answer::json(200, &body)))
}

/// The answer of the token endpoint, in Threads' own form.
fn short(state: &State, call: &Call, standard: &Answer) -> Answer {
    let body: Value = serde_json::from_slice(&standard.body).unwrap_or_default();
    if let Some(token) = body["access_token"].as_str() {
        let account = state.oauth.account_of(token, call.now).unwrap_or_default();
        return Answer::json(200, &json!({ "access_token": token, "user_id": user_id(&account) }));
    }
    let message = match body["error"].as_str() {
        Some("invalid_client") => "Error validating client secret.",
        _ => "Matching code was not found or was already used",
    };
    let body = json!({ "error_type": "OAuthException", "code": 400, "error_message": message });
    Answer::json(400, &body)
}

/// A token of sixty days for one of an hour, or for one of sixty days that is a day old.
fn longer(state: &mut State, call: &Call, is_new: bool) -> Result<Value, Fail> {
    if is_new && call.text("client_secret").as_deref() != Some(CLIENT_SECRET) {
        return Err(Fail::new(1, "Error validating client secret."));
    }
    // Only as a parameter: a header is not looked at here.
    let token = call.text("access_token").unwrap_or_default();
    let invalid = |_| Fail::new(190, "Invalid OAuth access token - Cannot parse access token");
    let account = state.oauth.account_of(&token, call.now).map_err(invalid)?;
    let issued = state.long.get(&token);
    let fits = match (is_new, issued) {
        (true, long) => long.is_none(),
        (false, Some(at)) => call.now - at >= DAY,
        // A static one is as old as the world.
        (false, None) => state.oauth.scope_of(&token).is_none(),
    };
    if !fits {
        let message = "The access token must be valid and at least 24 hours old";
        return Err(Fail::parameter(message));
    }
    let scope = state.oauth.scope_of(&token).unwrap_or("threads_basic,threads_content_publish");
    let scope = scope.to_owned();
    let long = state.oauth.issue(&account, &scope, Some(call.now + LONG));
    state.long.insert(long.clone(), call.now);
    Ok(json!({ "access_token": long, "token_type": "bearer", "expires_in": LONG / 1_000 }))
}

fn user_id(account: &str) -> String {
    number_of(account, 16).to_string()
}

fn me(call: &Call, caller: &Caller) -> Result<Value, Fail> {
    let node = json!({
        "id": user_id(&caller.account),
        "username": caller.account,
        "name": caller.account,
        "threads_profile_picture_url": "",
        "threads_biography": "",
        "is_verified": false,
    });
    graph::select(call, &node, "ThreadsUser", &["id"])
}

impl State {
    /// Posts and replies of the moving day that ends now.
    fn used(&self, account: &str, now: i64) -> (usize, usize) {
        let from = (now - DAY + 1, String::new());
        let account = self.accounts.get(account);
        account.map_or((0, 0), |account| {
            (account.posted.range(from.clone()..).count(), account.replied.range(from..).count())
        })
    }
}

fn limit(world: &World, call: &Call, caller: &Caller) -> Result<Value, Fail> {
    let (posts, replies) = lock(&world.states.threads).used(&caller.account, call.now);
    let config = |total: usize| json!({ "quota_total": total, "quota_duration": DAY / 1_000 });
    let node = json!({
        "quota_usage": posts,
        "config": config(DAILY_POSTS),
        "reply_quota_usage": replies,
        "reply_config": config(DAILY_REPLIES),
    });
    let selected = graph::select(call, &node, "ThreadsPublishingLimit", &["quota_usage"])?;
    Ok(json!({ "data": [selected] }))
}

// Containers

async fn create(world: &World, call: &Call, caller: &Caller) -> Result<Value, Fail> {
    caller.needs("threads_content_publish")?;
    let text = call.text("text").unwrap_or_default();
    if length(&text) > TEXT_LIMIT {
        return Err(Fail::parameter("Param text must be at most 500 characters long."));
    }
    let links: BTreeSet<&str> = pieces(&text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Link(link) => Some(link),
            _ => None,
        })
        .collect();
    if links.len() > LINKS {
        return Err(Fail::parameter("THREADS_API__LINK_LIMIT_EXCEEDED"));
    }
    let is_child = call.flag("is_carousel_item") == Some(true);
    let (kind, items, busy_until, broken) = match call.text("media_type").as_deref() {
        Some("TEXT") if text.trim().is_empty() => {
            return Err(Fail::parameter("The parameter text is required"));
        }
        Some("TEXT") => ("TEXT_POST", Vec::new(), 0, None),
        Some("IMAGE") => ("IMAGE", vec![image(world, call).await?], 0, None),
        Some("VIDEO") => {
            let (item, broken) = video(world, call).await?;
            ("VIDEO", vec![item], call.now + PROCESSING, broken)
        }
        Some("CAROUSEL") => ("CAROUSEL_ALBUM", children(world, call, &caller.account)?, 0, None),
        other => {
            let other = other.unwrap_or_default();
            let message = format!(
                "Param media_type must be one of TEXT, IMAGE, VIDEO, CAROUSEL, not {other}"
            );
            return Err(Fail::parameter(message));
        }
    };
    let poll = asked(call, kind)?;
    let mut state = lock(&world.states.threads);
    let reply_to = call.text("reply_to_id").filter(|id| !id.is_empty());
    if let Some(to) = &reply_to {
        caller.needs("threads_manage_replies")?;
        if !state.posts.contains_key(to) {
            return Err(Fail::parameter("Param reply_to_id is not a valid post to reply to"));
        }
    }
    let id = graph::next_id(&mut state.last_id, call.now, 10_000);
    let container = Container {
        account: caller.account.clone(),
        kind,
        items,
        text,
        poll,
        reply_to,
        is_child,
        created: call.now,
        polls_left: 1,
        busy_until,
        broken,
        ready: false,
        published: false,
    };
    state.containers.insert(id.clone(), container);
    Ok(json!({ "id": id }))
}

/// The answers of the poll that a container of text is made with.
fn asked(call: &Call, kind: &str) -> Result<Option<Vec<String>>, Fail> {
    if call.value("poll_attachment").is_none() {
        return Ok(None);
    }
    let wrong = |why: &str| Err(Fail::parameter(format!("Param poll_attachment {why}")));
    if kind != "TEXT_POST" {
        return wrong("can only be attached to text-only posts");
    }
    let Some(Value::Object(poll)) = call.nested("poll_attachment") else {
        return wrong("must be a JSON object");
    };
    let names = ["option_a", "option_b", "option_c", "option_d"];
    let answers: Vec<String> =
        names.into_iter().map_while(|name| poll.get(name)?.as_str()).map(str::to_owned).collect();
    if answers.len() != poll.len() || answers.len() < 2 {
        return wrong("must contain at least 2 options and no more than 4 options");
    }
    if !fit(&answers, 25) {
        return wrong("options must be between 1 and 25 characters long");
    }
    Ok(Some(answers))
}

/// Characters, of emoji the bytes.
fn length(text: &str) -> usize {
    let is_emoji = |c: char| matches!(u32::from(c), 0x1f000..=0x1faff | 0x2600..=0x27bf | 0x2b00..=0x2bff | 0xfe0f | 0x20e3);
    let cluster = |g: &str| if g.chars().any(is_emoji) { g.len() } else { g.chars().count() };
    text.graphemes(true).map(cluster).sum()
}

fn described(call: &Call, blob: Blob) -> Result<Item, Fail> {
    let alt = call.text("alt_text").unwrap_or_default();
    if alt.chars().count() > ALT_LIMIT {
        return Err(Fail::parameter("Param alt_text must be at most 1000 characters long."));
    }
    Ok(Item { blob, alt })
}

async fn image(world: &World, call: &Call) -> Result<Item, Fail> {
    let url = call.text("image_url");
    let url = url.ok_or_else(|| Fail::parameter("The parameter image_url is required"))?;
    let blob = world.blobs.keep(&fetch(world, &url).await.map_err(unfetched)?);
    let taken = ["image/jpeg", "image/png"];
    let Some(picture) = blob.kind.filter(|kind| taken.contains(&kind.mime)) else {
        return Err(Fail::new(36_001, "The image format is not supported").sub(2_207_005));
    };
    if blob.size > IMAGE_LIMIT {
        return Err(Fail::new(36_000, "The image is too large: at most 8 MiB").sub(2_207_004));
    }
    let ratio = f64::from(picture.width) / f64::from(picture.height.max(1));
    if !(0.1..=10.0).contains(&ratio) {
        let message = format!("The aspect ratio {ratio:.2} is not supported");
        return Err(Fail::new(36_003, message).sub(2_207_009));
    }
    described(call, blob)
}

/// A film, and the word for what is wrong with it.
async fn video(world: &World, call: &Call) -> Result<(Item, Option<&'static str>), Fail> {
    let url = call.text("video_url");
    let url = url.ok_or_else(|| Fail::parameter("The parameter video_url is required"))?;
    let bytes = match fetch(world, &url).await {
        Ok(bytes) => bytes,
        Err(Unfetched::Address) => return Err(unfetched(Unfetched::Address)),
        // Found out while it is worked on.
        Err(Unfetched::Failed) => {
            let item = described(call, world.blobs.keep(&bytes::Bytes::new()))?;
            return Ok((item, Some("FAILED_DOWNLOADING_VIDEO")));
        }
    };
    let broken = match film::measure(&bytes) {
        None => Some("FAILED_PROCESSING_VIDEO"),
        Some(film) if !film.lasts(0, 300) => Some("INVALID_DURATION"),
        Some(film) if !(0.01..=10.0).contains(&film.ratio()) => Some("INVALID_ASPEC_RATIO"),
        Some(_) => None,
    };
    Ok((described(call, world.blobs.keep(&bytes))?, broken))
}

fn unfetched(_: Unfetched) -> Fail {
    let message = "The media could not be fetched from this URI";
    Fail::new(9_004, message).sub(2_207_052)
}

/// The media of the containers in `children`, which must be ready.
fn children(world: &World, call: &Call, account: &str) -> Result<Vec<Item>, Fail> {
    let list = call.text("children").unwrap_or_default();
    let ids: Vec<&str> = list.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    if !(2..=20).contains(&ids.len()) {
        return Err(Fail::parameter("Param children must have 2 to 20 elements"));
    }
    let state = lock(&world.states.threads);
    let mut items = Vec::new();
    for id in ids {
        let child = usable(&state, call, account, id)?;
        if !child.is_child {
            return Err(Fail::parameter(format!("{id} was not made with is_carousel_item")));
        }
        items.extend(child.items.iter().cloned());
    }
    Ok(items)
}

/// A container of the caller that can be published now.
fn usable<'s>(
    state: &'s State,
    call: &Call,
    account: &str,
    id: &str,
) -> Result<&'s Container, Fail> {
    let container = state.containers.get(id).filter(|container| {
        container.account == account
            && container.ready
            && !container.published
            && call.now - container.created < DAY
    });
    let message = "The requested resource does not exist: media not found";
    container.ok_or_else(|| Fail::new(24, message).sub(4_279_009))
}

/// The state of a container; asking for it is what makes it go on.
fn poll(world: &World, call: &Call, account: &str, id: &str, container: &mut Container) -> Value {
    let (mut status, mut error) = ("IN_PROGRESS", Value::Null);
    if container.published {
        status = "PUBLISHED";
    } else if call.now - container.created >= DAY {
        status = "EXPIRED";
    } else if !container.ready && !world.faults.still_processing(Network::Threads, account) {
        match (container.polls_left, call.now < container.busy_until, container.broken) {
            (1.., ..) => container.polls_left -= 1,
            (0, true, _) => {}
            (0, false, Some(word)) => (status, error) = ("ERROR", json!(word)),
            (0, false, None) => container.ready = true,
        }
    }
    if container.ready && status == "IN_PROGRESS" {
        status = "FINISHED";
    }
    json!({ "id": id, "status": status, "error_message": error })
}

// Posts

fn publish(world: &World, call: &Call, caller: &Caller) -> Result<Value, Fail> {
    caller.needs("threads_content_publish")?;
    let creation = call.text("creation_id");
    let creation =
        creation.ok_or_else(|| Fail::parameter("The parameter creation_id is required"))?;
    let account = &caller.account;
    let mut state = lock(&world.states.threads);
    let container = usable(&state, call, account, &creation)?;
    if container.is_child {
        return Err(Fail::parameter("A carousel item cannot be published by itself"));
    }
    let post = Post {
        account: account.clone(),
        kind: container.kind,
        items: container.items.clone(),
        text: container.text.clone(),
        poll: container.poll.clone().map(|answers| Poll {
            question: None,
            answers,
            several: false,
            ends: Some(call.now + DAY),
        }),
        reply_to: container.reply_to.clone(),
        at: call.now,
    };
    let (posts, replies) = state.used(account, call.now);
    let is_reply = post.reply_to.is_some();
    if if is_reply { replies >= DAILY_REPLIES } else { posts >= DAILY_POSTS } {
        let message = "Application request limit reached: the account has published the most \
                       posts of a day";
        return Err(Fail::new(9, message).sub(2_207_042));
    }
    if post.reply_to.as_ref().is_some_and(|to| !state.posts.contains_key(to)) {
        return Err(Fail::parameter("Param reply_to_id is not a valid post to reply to"));
    }
    let id = graph::next_id(&mut state.last_id, call.now, 10_000);
    if let Some(container) = state.containers.get_mut(&creation) {
        container.published = true;
    }
    let shelf = state.accounts.entry(account.clone()).or_default();
    let shelf = if is_reply { &mut shelf.replied } else { &mut shelf.posted };
    shelf.insert((call.now, id.clone()));
    let media: Vec<LedgerMedia> =
        post.items.iter().map(|item| item.blob.in_ledger(&item.alt)).collect();
    world.ledger.appear(
        Network::Threads,
        Appeared {
            id: id.clone(),
            account,
            placement: "feed",
            reply_to: post.reply_to.clone(),
            text: post.text.clone(),
            media,
            at: call.now,
        },
    );
    world.ledger.ask(Network::Threads, &id, post.poll.as_ref());
    state.posts.insert(id.clone(), post);
    Ok(json!({ "id": id }))
}

fn poll_json(poll: &Poll) -> Value {
    let mut json = json!({ "total_votes": 0, "expiration_timestamp": poll.ends.map(graph::time) });
    for (name, answer) in ["a", "b", "c", "d"].into_iter().zip(&poll.answers) {
        json[format!("option_{name}")] = json!(answer);
        json[format!("option_{name}_votes_percentage")] = json!(0.0);
    }
    json
}

fn post_json(state: &State, call: &Call, id: &str, post: &Post) -> Value {
    let child = |(at, item): (usize, &Item)| {
        let url = format!("{}{}", call.origin, item.blob.path());
        json!({ "id": format!("{id}{at}"), "media_url": url })
    };
    let carousel = post.kind == "CAROUSEL_ALBUM";
    let children: Vec<Value> = post.items.iter().enumerate().map(child).collect();
    let mut root = post.reply_to.clone();
    while let Some(up) = root.as_ref().and_then(|id| state.posts.get(id)?.reply_to.clone()) {
        root = Some(up);
    }
    let to = |id: &Option<String>| id.as_ref().map(|id| json!({ "id": id }));
    json!({
        "id": id,
        "media_product_type": "THREADS",
        "media_type": post.kind,
        "media_url": post.items.first().map(|item| format!("{}{}", call.origin, item.blob.path())),
        "permalink": format!("{}/posts/threads/{id}", call.origin),
        "owner": { "id": user_id(&post.account) },
        "username": post.account,
        "text": if post.text.is_empty() { None } else { Some(&post.text) },
        "timestamp": graph::time(post.at),
        "shortcode": id,
        "thumbnail_url": null,
        "children": if carousel { json!({ "data": children }) } else { Value::Null },
        "is_quote_post": false,
        "is_reply": post.reply_to.is_some(),
        "is_reply_owned_by_me": post.reply_to.is_some(),
        "replied_to": to(&post.reply_to),
        "root_post": to(&root),
        "poll_attachment": post.poll.as_ref().map(poll_json),
        "has_replies": false,
        "alt_text": post.items.first().map(|item| item.alt.as_str()),
    })
}

fn show(world: &World, call: &Call, caller: &Caller, id: &str) -> Result<Value, Fail> {
    let mut state = lock(&world.states.threads);
    let account = &caller.account;
    if let Some(container) = state.containers.get_mut(id).filter(|c| c.account == *account) {
        // Only a question for the state is a poll.
        let asked = call.text("fields").is_some_and(|fields| fields.contains("status"));
        let node = match asked {
            true => poll(world, call, account, id, container),
            false => json!({ "id": id }),
        };
        return graph::select(call, &node, "ThreadsMediaContainer", &["id"]);
    }
    let post = state.posts.get(id).filter(|post| post.account == *account);
    let post = post.ok_or_else(|| Fail::missing(call, id))?;
    graph::select(call, &post_json(&state, call, id, post), "ThreadsMedia", &["id"])
}

/// An unknown metric fails the whole call.
fn insights(world: &World, call: &Call, caller: &Caller, id: &str) -> Result<Value, Fail> {
    caller.needs("threads_manage_insights")?;
    let state = lock(&world.states.threads);
    if state.posts.get(id).is_none_or(|post| post.account != caller.account) {
        return Err(Fail::missing(call, id));
    }
    let told = world.numbers(Network::Threads, id);
    let asked = call.text("metric").unwrap_or_default();
    let mut data = Vec::new();
    for metric in asked.split(',') {
        let value = match metric {
            "views" => told.views,
            "likes" => told.likes,
            "replies" => told.comments,
            "reposts" => told.reposts(),
            "quotes" => told.quotes(),
            "shares" => 0,
            _ => return Err(Fail::parameter(format!("metric must not be {metric}"))),
        };
        data.push(json!({
            "name": metric,
            "period": "lifetime",
            "values": [{ "value": value }],
            "id": format!("{id}/insights/{metric}/lifetime"),
        }));
    }
    Ok(json!({ "data": data }))
}

fn list(world: &World, call: &Call, caller: &Caller, replies: bool) -> Result<Value, Fail> {
    if replies {
        caller.needs("threads_read_replies")?;
    }
    let paging = Paging::of(call)?;
    let state = lock(&world.states.threads);
    let Some(shelf) = state.accounts.get(&caller.account) else { return Ok(json!({ "data": [] })) };
    let shelf = if replies { &shelf.replied } else { &shelf.posted };
    let after = paging.after.as_ref().and_then(|id| Some((state.posts.get(id)?.at, id.clone())));
    let until = paging.until.map(|until| (until, String::new()));
    let end = match (after, until) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b).unwrap_or((i64::MAX, String::new())),
    };
    let start = (paging.since.unwrap_or(i64::MIN), String::new());
    let mut nodes = Vec::new();
    if start < end {
        let live =
            shelf.range(start..end).rev().filter_map(|(_, id)| Some((id, state.posts.get(id)?)));
        for (id, post) in live.take(paging.limit + 1) {
            let node = post_json(&state, call, id, post);
            nodes.push(graph::select(call, &node, "ThreadsMedia", &["id"])?);
        }
    }
    Ok(paging.page(call, nodes))
}

fn delete(world: &World, call: &Call, caller: &Caller, id: &str) -> Result<Value, Fail> {
    caller.needs("threads_delete")?;
    let mut state = lock(&world.states.threads);
    let own = state.posts.get(id).is_some_and(|post| post.account == caller.account);
    if !own {
        return Err(Fail::missing(call, id));
    }
    state.posts.remove(id);
    world.ledger.vanish(Network::Threads, id, call.now);
    Ok(json!({ "success": true, "deleted_id": id }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_count_as_their_bytes() {
        assert_eq!(length("Grüße"), 5);
        assert_eq!(length("hi 👩‍👩‍👧"), 3 + 18);
        assert_eq!(length("❤️"), 6);
    }
}
