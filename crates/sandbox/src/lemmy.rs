//! Lemmy: one server of version 0.19 under `/lemmy/…`, on which every account and community exists.
//!
//! networks.md §20 and the source of 0.19.20. Password `sandbox-{account}`, which as a token is a
//! session too. An unknown token is nobody's and no error where nobody may look. As there, tracking
//! leaves links, the word `darn` is on the list of slurs, an own deleted post stays in the own list,
//! and the community `closed` is for its moderators. Remote communities exist, but for `nowhere`.
//! Not spoken: comments, votes, moderation, version 4; refused with 404.

use std::collections::{BTreeMap, HashMap};

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::markdown;
use crate::media::Blob;
use crate::text::{Piece, pieces};
use crate::world::{
    Fields, Network, World, account_of_secret, is_account, iso, lock, number_of, secret_of,
};

const TITLE: std::ops::RangeInclusive<usize> = 3..=200;
const BODY_MAX: usize = 50_000;
const URL_MAX: usize = 2_000;
const ALT_MAX: usize = 1_500;
const PICTURE_MAX: usize = 10 << 20;
const SLUR: &str = "darn";

#[derive(Default)]
pub(crate) struct State {
    /// The sessions that log-ins made, and whose they are.
    sessions: HashMap<String, String>,
    log_ins: u64,
    posts: BTreeMap<u64, Post>,
    /// By file name.
    images: HashMap<String, Blob>,
    /// By number.
    communities: HashMap<u64, String>,
}

struct Post {
    account: String,
    community: String,
    name: String,
    url: Option<String>,
    body: Option<String>,
    alt: Option<String>,
    published: i64,
    deleted: bool,
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    vec![
        ("server", base.to_owned()),
        ("community", "bakery".to_owned()),
        ("username", account.to_owned()),
        ("password", secret_of(account)),
    ]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::POST, ["api", "v3", "post"]) => Calls::Publish,
        (&Method::PUT, ["api", "v3", "post"]) => Calls::Edit,
        (&Method::POST, ["api", "v3", "post", "delete"]) => Calls::Delete,
        _ => Calls::Prepare,
    };
    let account = person(world, call).or_else(|| call.text("username_or_email"));
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let handled = match (call.method.as_str(), call.segments().as_slice()) {
        ("POST", ["api", "v3", "user", "login"]) => log_in(world, call),
        ("POST", ["api", "v3", "user", "logout"]) => log_out(world, call),
        ("GET", ["api", "v3", "site"]) => Ok(site(world, call)),
        ("GET", ["api", "v3", "community"]) => community(world, call),
        ("POST", ["api", "v3", "post"]) => create(world, call).await,
        ("PUT", ["api", "v3", "post"]) => edit(world, call),
        ("GET", ["api", "v3", "post"]) => show(world, call),
        ("POST", ["api", "v3", "post", "delete"]) => delete(world, call),
        ("GET", ["api", "v3", "user"]) => user(world, call),
        ("POST", ["pictrs", "image"]) => return upload(world, call),
        ("GET", ["pictrs", "image", file]) => return picture(world, file),
        _ => return Answer::html(404, "<html>404 Not Found</html>"),
    };
    handled.map_or_else(|refused| refused, |body| Answer::json(200, &body))
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => {
            let message = "Json deserialize error: expected value at line 1 column 1";
            Answer::json(400, &json!({ "error": "unknown", "message": message }))
        }
        // It does not say for how long.
        Refusal::RateLimit(_) => error(400, "rate_limit_error"),
        Refusal::ServerError => {
            Answer::json(500, &json!({ "error": "unknown", "message": "Internal server error" }))
        }
        Refusal::Auth => incorrect_login(),
        Refusal::TooLarge => Answer::html(413, "<html>413 Request Entity Too Large</html>"),
    }
}

fn error(status: u16, code: &str) -> Answer {
    Answer::json(status, &json!({ "error": code }))
}

fn incorrect_login() -> Answer {
    error(401, "incorrect_login")
}

// People

/// Whose session the token is; a token that is none's counts as no token.
fn person(world: &World, call: &Call) -> Option<String> {
    let token = call.bearer()?;
    let known = lock(&world.states.lemmy).sessions.get(token).cloned();
    known.or_else(|| account_of_secret(token).map(str::to_owned))
}

fn authorized(world: &World, call: &Call) -> Result<String, Answer> {
    person(world, call).ok_or_else(incorrect_login)
}

fn log_in(world: &World, call: &Call) -> Result<Value, Answer> {
    let name = call.text("username_or_email").unwrap_or_default();
    let password = call.text("password").unwrap_or_default();
    if !is_account(&name) || password != secret_of(&name) {
        return Err(incorrect_login());
    }
    if name == "second-factor" {
        return Err(error(400, "missing_totp_token"));
    }
    let mut state = lock(&world.states.lemmy);
    state.log_ins += 1;
    let jwt = format!("jwt.{name}.{}", state.log_ins);
    state.sessions.insert(jwt.clone(), name);
    Ok(json!({ "jwt": jwt, "registration_created": false, "verify_email_sent": false }))
}

fn log_out(world: &World, call: &Call) -> Result<Value, Answer> {
    authorized(world, call)?;
    lock(&world.states.lemmy).sessions.remove(call.bearer().unwrap_or_default());
    Ok(json!({ "success": true }))
}

fn person_id(account: &str) -> u64 {
    number_of(&format!("person {account}"), 6)
}

fn person_json(call: &Call, account: &str) -> Value {
    json!({
        "id": person_id(account),
        "name": account,
        "banned": false,
        "published": "2026-01-01T00:00:00Z",
        "actor_id": format!("{}/lemmy/u/{account}", call.origin),
        "local": true,
        "deleted": false,
        "bot_account": false,
        "instance_id": 1,
    })
}

fn site(world: &World, call: &Call) -> Value {
    let mut site = json!({
        "site_view": { "site": { "id": 1, "name": "Carillon sandbox", "instance_id": 1 } },
        "admins": [],
        "version": "0.19.20",
        "all_languages": [],
        "discussion_languages": [],
        "taglines": [],
        "custom_emojis": [],
        "blocked_urls": [],
    });
    if let Some(account) = person(world, call) {
        site["my_user"] = json!({
            "local_user_view": {
                "local_user": { "id": 1, "person_id": person_id(&account) },
                "person": person_json(call, &account),
            },
            "follows": [],
            "moderates": [],
        });
    }
    site
}

// Communities

fn community_id(name: &str) -> u64 {
    number_of(&format!("community {name}"), 5)
}

fn community_json(call: &Call, name: &str) -> Value {
    let (short, _) = name.split_once('@').unwrap_or((name, ""));
    json!({
        "id": community_id(name),
        "name": short,
        "title": short,
        "removed": false,
        "published": "2026-01-01T00:00:00Z",
        "deleted": false,
        "nsfw": false,
        "actor_id": format!("{}/lemmy/c/{name}", call.origin),
        "local": !name.contains('@'),
        "hidden": false,
        "posting_restricted_to_mods": short == "closed",
        "instance_id": 1,
        "visibility": "Public",
    })
}

fn community(world: &World, call: &Call) -> Result<Value, Answer> {
    let name = call.text("name").ok_or_else(|| error(400, "no_id_given"))?;
    let (short, host) = name.split_once('@').unwrap_or((name.as_str(), "here"));
    // One of elsewhere is fetched for those who are signed in.
    let reachable = host == "here" || person(world, call).is_some();
    let exists = short.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !exists || short.len() < 3 || short == "nowhere" || !reachable {
        return Err(error(404, "couldnt_find_community"));
    }
    lock(&world.states.lemmy).communities.insert(community_id(&name), name.clone());
    Ok(json!({
        "community_view": community_view(call, &name),
        "moderators": moderators(call, &name),
        "discussion_languages": [],
    }))
}

fn community_view(call: &Call, name: &str) -> Value {
    json!({
        "community": community_json(call, name),
        "subscribed": "NotSubscribed",
        "blocked": false,
        "banned_from_community": false,
        "counts": {
            "community_id": community_id(name),
            "subscribers": 1,
            "subscribers_local": 1,
            "posts": 0,
            "comments": 0,
            "published": "2026-01-01T00:00:00Z",
            "users_active_day": 0,
            "users_active_week": 0,
            "users_active_month": 0,
            "users_active_half_year": 0,
        },
    })
}

fn moderators(call: &Call, name: &str) -> Value {
    json!([{
        "community": community_json(call, name),
        "moderator": person_json(call, "moderator"),
    }])
}

// Pictures

fn upload(world: &World, call: &Call) -> Answer {
    if let Err(refused) = authorized(world, call) {
        return refused;
    }
    let Some(file) = call.file("images[]") else {
        return Answer::json(400, &json!({ "msg": "No files were uploaded" }));
    };
    if file.bytes.len() > PICTURE_MAX {
        return Answer::json(400, &json!({ "msg": "File too large", "code": "file-size" }));
    }
    let blob = world.blobs.keep(&file.bytes);
    let Some(kind) = blob.kind.filter(|kind| kind.is_image()) else {
        let body = json!({ "msg": "Unsupported media format", "code": "invalid-file" });
        return Answer::json(400, &body);
    };
    // Every upload gets a name of its own, the same bytes too.
    let mut state = lock(&world.states.lemmy);
    let number = number_of(&format!("image {}", state.images.len()), 12);
    let name = format!("{number:012}-{}.{}", &blob.hash[..8], kind.extension);
    state.images.insert(name.clone(), blob);
    let details = json!({
        "width": kind.width,
        "height": kind.height,
        "content_type": kind.mime,
        "created_at": iso(call.now),
    });
    let file = json!({ "file": name, "delete_token": "d", "details": details });
    Answer::json(201, &json!({ "msg": "ok", "files": [file] }))
}

fn picture(world: &World, file: &str) -> Answer {
    let blob = lock(&world.states.lemmy).images.get(file).cloned();
    let bytes = blob.as_ref().and_then(|blob| world.blobs.get(&blob.hash));
    match (bytes, blob.and_then(|blob| blob.kind)) {
        (Some(bytes), Some(kind)) => Answer::new(200, kind.mime, bytes),
        _ => Answer::json(404, &json!({ "error": "not_found" })),
    }
}

// Posts

/// What is given of a post's fields, checked; an empty address takes one away.
struct Given {
    name: Option<String>,
    url: Option<String>,
    body: Option<String>,
    alt: Option<String>,
}

fn given(call: &Call) -> Result<Given, Answer> {
    let name = call.text("name");
    if name.as_ref().is_some_and(|name| name.to_lowercase().contains(SLUR)) {
        return Err(error(400, "slurs"));
    }
    let length = |name: &String| name.trim().chars().count();
    if name.as_ref().is_some_and(|name| !TITLE.contains(&length(name)) || name.contains('\n')) {
        return Err(error(400, "invalid_post_title"));
    }
    let url = call.text("url");
    if let Some(url) = url.as_ref().filter(|url| !url.is_empty()) {
        let scheme = url::Url::parse(url).map_err(|_| error(400, "invalid_url"))?;
        if !matches!(scheme.scheme(), "http" | "https" | "magnet") {
            return Err(error(400, "invalid_url_scheme"));
        }
        if url.len() > URL_MAX {
            return Err(error(400, "url_length_overflow"));
        }
        if scheme.host_str() == Some("blocked.example") {
            return Err(error(400, "blocked_url"));
        }
    }
    let alt = call.text("alt_text");
    if alt.as_ref().is_some_and(|alt| alt.chars().count() > ALT_MAX) {
        return Err(error(400, "alt_text_length_overflow"));
    }
    let body = call.text("body").map(|body| cleaned(&body));
    if body.as_ref().is_some_and(|body| body.chars().count() > BODY_MAX) {
        return Err(error(400, "invalid_body_field"));
    }
    let name = name.map(|name| name.trim().to_owned());
    Ok(Given { name, url: url.map(|url| cleaned(&url)), body, alt })
}

async fn create(world: &World, call: &Call) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let Given { name, url, body, alt } = given(call)?;
    let name = name.ok_or_else(|| error(400, "invalid_post_title"))?;
    let number = call.number("community_id").and_then(|id| u64::try_from(id).ok());
    let (id, community) = {
        let state = lock(&world.states.lemmy);
        let community = number.and_then(|id| state.communities.get(&id).cloned());
        let community = community.ok_or_else(|| error(400, "couldnt_find_community"))?;
        if community.split('@').next() == Some("closed") && account != "moderator" {
            return Err(error(400, "only_mods_can_post_in_community"));
        }
        let id = state.posts.last_key_value().map_or(40_001, |(last, _)| last + 1);
        (id, community)
    };
    let post = Post {
        account: account.clone(),
        community,
        name,
        url: url.filter(|url| !url.is_empty()),
        body,
        alt,
        published: call.now,
        deleted: false,
    };
    let mut state = lock(&world.states.lemmy);
    let (text, media) = shown(&state, &post);
    world.ledger.appear(
        Network::Lemmy,
        Appeared {
            id: id.to_string(),
            account: &account,
            placement: "feed",
            reply_to: None,
            text,
            media,
            at: call.now,
        },
    );
    let body = json!({ "post_view": view(call, id, &post) });
    state.posts.insert(id, post);
    Ok(body)
}

/// A post as it is read and seen.
fn shown(state: &State, post: &Post) -> (String, Vec<LedgerMedia>) {
    let (text, inside) = markdown::pictures(post.body.as_deref().unwrap_or_default());
    let own = |url: &str| state.images.get(url.rsplit('/').next().unwrap_or_default());
    let media = |url: &str, alt: &str| match own(url) {
        Some(blob) => blob.in_ledger(alt),
        None => LedgerMedia::link(url, alt),
    };
    let alt = post.alt.as_deref().unwrap_or_default();
    let first = post.url.as_deref().map(|url| media(url, alt));
    let media = first.into_iter().chain(inside.iter().map(|(alt, url)| media(url, alt)));
    (format!("{}\n\n{text}", post.name).trim().to_owned(), media.collect())
}

/// What is not given stays.
fn edit(world: &World, call: &Call) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let new = given(call)?;
    let id = call.number("post_id").and_then(|id| u64::try_from(id).ok()).unwrap_or_default();
    let mut state = lock(&world.states.lemmy);
    let mut post = state.posts.remove(&id).ok_or_else(|| error(404, "couldnt_find_post"))?;
    if post.account != account {
        state.posts.insert(id, post);
        return Err(error(400, "no_post_edit_allowed"));
    }
    post.name = new.name.unwrap_or(post.name);
    post.url = new.url.or(post.url).filter(|url| !url.is_empty());
    post.body = new.body.or(post.body);
    post.alt = new.alt.or(post.alt);
    if !post.deleted {
        let (text, media) = shown(&state, &post);
        world.ledger.edit(Network::Lemmy, &id.to_string(), |post| {
            (post.text, post.media) = (text, media);
        });
    }
    let body = json!({ "post_view": view(call, id, &post) });
    state.posts.insert(id, post);
    Ok(body)
}

/// Without tracking in links and without slurs.
fn cleaned(text: &str) -> String {
    let clean = |piece: Piece<'_>| match piece {
        Piece::Link(link) => match url::Url::parse(link) {
            Ok(mut url) if url.query().is_some_and(|query| query.contains("utm_")) => {
                let kept: Vec<(String, String)> = url
                    .query_pairs()
                    .into_owned()
                    .filter(|(k, _)| !k.starts_with("utm_"))
                    .collect();
                url.set_query(None);
                if !kept.is_empty() {
                    url.query_pairs_mut().extend_pairs(kept);
                }
                url.to_string()
            }
            _ => link.to_owned(),
        },
        Piece::Plain(text) | Piece::Tag(text) => text.replace(SLUR, "*removed*"),
        Piece::Mention { whole, .. } => whole.to_owned(),
    };
    pieces(text).into_iter().map(clean).collect()
}

fn view(call: &Call, id: u64, post: &Post) -> Value {
    let mut shown = json!({
        "id": id,
        "name": post.name,
        "creator_id": person_id(&post.account),
        "community_id": community_id(&post.community),
        "removed": false,
        "locked": false,
        "published": micros(post.published),
        "deleted": post.deleted,
        "nsfw": false,
        // The page of the sandbox stands for the post's own.
        "ap_id": format!("{}/posts/lemmy/{id}", call.origin),
        "local": true,
        "language_id": 0,
        "featured_community": false,
        "featured_local": false,
    });
    for (name, value) in [("url", &post.url), ("body", &post.body), ("alt_text", &post.alt)] {
        if let Some(value) = value {
            shown[name] = json!(value);
        }
    }
    json!({
        "post": shown,
        "creator": person_json(call, &post.account),
        "community": community_json(call, &post.community),
        "creator_banned_from_community": false,
        "banned_from_community": false,
        "creator_is_moderator": false,
        "creator_is_admin": false,
        "creator_blocked": false,
        "counts": {
            "post_id": id,
            "comments": 0,
            "score": 1,
            "upvotes": 1,
            "downvotes": 0,
            "published": micros(post.published),
            "newest_comment_time": micros(post.published),
        },
        "subscribed": "NotSubscribed",
        "saved": false,
        "read": true,
        "hidden": false,
        "my_vote": 1,
        "unread_comments": 0,
    })
}

fn micros(ms: i64) -> String {
    iso(ms).replace('Z', "000Z")
}

fn show(world: &World, call: &Call) -> Result<Value, Answer> {
    let id = call.number("id").and_then(|id| u64::try_from(id).ok()).unwrap_or_default();
    let viewer = person(world, call);
    let state = lock(&world.states.lemmy);
    let post = state.posts.get(&id);
    let post = post.filter(|post| !post.deleted || viewer.as_deref() == Some(&post.account));
    let post = post.ok_or_else(|| error(404, "couldnt_find_post"))?;
    let told = world.numbers(Network::Lemmy, &id.to_string());
    let mut shown = view(call, id, post);
    // One's own vote is the first.
    shown["counts"]["upvotes"] = json!(told.likes.max(1));
    shown["counts"]["score"] = shown["counts"]["upvotes"].clone();
    shown["counts"]["comments"] = json!(told.comments);
    Ok(json!({
        "post_view": shown,
        "community_view": community_view(call, &post.community),
        "moderators": moderators(call, &post.community),
        "cross_posts": [],
    }))
}

fn delete(world: &World, call: &Call) -> Result<Value, Answer> {
    let account = authorized(world, call)?;
    let id = call.number("post_id").and_then(|id| u64::try_from(id).ok()).unwrap_or_default();
    let wanted = call.flag("deleted").ok_or_else(|| error(400, "unknown"))?;
    let mut state = lock(&world.states.lemmy);
    let post = state.posts.get_mut(&id).ok_or_else(|| error(400, "couldnt_find_post"))?;
    if post.deleted == wanted {
        return Err(error(400, "couldnt_update_post"));
    }
    if post.account != account {
        return Err(error(400, "no_post_edit_allowed"));
    }
    post.deleted = wanted;
    if wanted {
        world.ledger.vanish(Network::Lemmy, &id.to_string(), call.now);
    }
    Ok(json!({ "post_view": view(call, id, post) }))
}

/// A person and what they posted: the deleted ones too for themselves.
fn user(world: &World, call: &Call) -> Result<Value, Answer> {
    let viewer = person(world, call);
    let state = lock(&world.states.lemmy);
    let asked = call.number("person_id").and_then(|id| u64::try_from(id).ok());
    // A number names somebody who is known here: the viewer, or an author.
    let mut known = state.posts.values().map(|post| &post.account).chain(&viewer);
    let by_number = asked.and_then(|id| known.find(|name| person_id(name) == id));
    let named = by_number.cloned().or_else(|| call.text("username"));
    let account = named.ok_or_else(|| match asked {
        Some(_) => error(404, "couldnt_find_person"),
        None => error(400, "no_id_given"),
    })?;
    let theirs = state.posts.iter().rev().filter(|(_, post)| {
        post.account == account && (!post.deleted || viewer.as_ref() == Some(&account))
    });
    let number =
        |name: &str, or: i64| usize::try_from(call.number(name).unwrap_or(or)).unwrap_or_default();
    let (page, limit) = (number("page", 1).max(1), number("limit", 10));
    if !(1..=50).contains(&limit) {
        return Err(error(400, "couldnt_get_posts"));
    }
    let count = theirs.clone().count();
    let mut posts: Vec<_> = theirs.skip((page - 1) * limit).take(limit).collect();
    if call.text("sort").as_deref() != Some("New") {
        // By activity and the like: no order that a client could count on.
        posts.sort_by_key(|(id, _)| number_of(&id.to_string(), 4));
    }
    let posts: Vec<Value> = posts.into_iter().map(|(id, post)| view(call, *id, post)).collect();
    Ok(json!({
        "person_view": {
            "person": person_json(call, &account),
            "counts": { "person_id": person_id(&account), "post_count": count, "comment_count": 0 },
            "is_admin": false,
        },
        "posts": posts,
        "comments": [],
        "moderates": [],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cleaned_as_the_server_cleans_it() {
        assert_eq!(
            cleaned("A darn day: https://a.io/x?utm_source=y&b=1#c https://a.io/?utm_a=b"),
            "A *removed* day: https://a.io/x?b=1#c https://a.io/"
        );
    }
}
