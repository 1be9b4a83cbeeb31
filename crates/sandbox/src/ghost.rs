//! Ghost: one site of version 6 with one integration an account, its Admin API under
//! `/ghost/ghost/api/admin/…`.
//!
//! networks.md §18 and §23.3, held against what was seen of a real 6.65. The admin key of an account
//! is its name in hexadecimal, a colon and the SHA-256 of `sandbox-{account}`. A token is checked for
//! its signature, its audience and its five minutes. Paths end with a slash, else a redirect comes.
//! Not spoken: members, newsletters, pages, themes, scheduling; refused with 404.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::Blob;
use crate::rendering::slug_of;
use crate::signed::is_hmac;
use crate::text::{entity, readable};
use crate::world::{Fields, Network, World, hex, is_account, iso, lock, secret_of, sha256};

const TITLE_MAX: usize = 255;
const COVER_ALT_MAX: usize = 191;
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// How long a token may be good for, in seconds.
const TOKEN_LIFE: i64 = 300;

#[derive(Default)]
pub(crate) struct State {
    posts: BTreeMap<String, Post>,
    /// By address.
    images: BTreeMap<String, Blob>,
    made: u64,
}

#[derive(Clone)]
struct Post {
    account: String,
    title: String,
    html: String,
    slug: String,
    status: String,
    tags: Vec<String>,
    cover: Option<String>,
    cover_alt: String,
    updated: i64,
    published: Option<i64>,
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    // An id has 24 digits: the account's name, filled up.
    let key = format!("{:0<24}:{}", hex(account.as_bytes()), hex(&secret(account)));
    vec![("server", base.to_owned()), ("adminKey", key)]
}

fn secret(account: &str) -> [u8; 32] {
    sha256(secret_of(account).as_bytes())
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let status = posted(call)["status"].as_str().unwrap_or_default().to_owned();
    let shown = |id: &str| {
        lock(&world.states.ghost).posts.get(id).is_some_and(|post| post.status == "published")
    };
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (_, ["ghost", "api", "admin", "posts", ..]) if status == "published" => Calls::Publish,
        (&Method::PUT, ["ghost", "api", "admin", "posts", id]) if shown(id) => Calls::Edit,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: kid(call) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if !call.target.ends_with('/') {
        let to = format!("{}{}/", call.origin, call.target);
        return Answer::new(301, "text/plain", "Moved Permanently").header("location", &to);
    }
    handle(world, call).unwrap_or_else(|refused| refused).header("content-version", "v6.65")
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => error(400, "BadRequestError", "Bad request.", None, None),
        Refusal::RateLimit(ms) => error(
            429,
            "TooManyRequestsError",
            "Too many attempts.",
            Some("Too many attempts, try again later"),
            None,
        )
        .header("retry-after", &(ms.max(0).unsigned_abs().div_ceil(1_000)).to_string()),
        Refusal::ServerError => error(
            500,
            "InternalServerError",
            "Internal server error, cannot edit post.",
            Some("An unexpected error occurred, please try again."),
            Some("UNEXPECTED_ERROR"),
        ),
        Refusal::Auth => unauthorized("Invalid token: jwt expired", "INVALID_JWT"),
        Refusal::TooLarge => {
            Answer::html(413, "<html><h1>413 Request Entity Too Large</h1></html>")
        }
    }
}

fn error(
    status: u16,
    kind: &str,
    message: &str,
    context: Option<&str>,
    code: Option<&str>,
) -> Answer {
    Answer::json(
        status,
        &json!({ "errors": [{
            "message": message,
            "context": context,
            "type": kind,
            "details": null,
            "property": null,
            "help": null,
            "code": code,
            "id": "5f0c1a2e-0000-11f1-8000-000000000000",
            "ghostErrorCode": null,
        }] }),
    )
}

fn unauthorized(message: &str, code: &str) -> Answer {
    error(401, "UnauthorizedError", message, None, Some(code))
}

fn invalid(context: &str) -> Answer {
    let message = "Validation error, cannot save post.";
    error(422, "ValidationError", message, Some(context), None)
}

fn not_found(what: &str) -> Answer {
    error(404, "NotFoundError", &format!("{what} not found."), None, None)
}

fn handle(world: &World, call: &Call) -> Result<Answer, Answer> {
    let segments = call.segments();
    let Some(["ghost", "api", "admin"]) = segments.get(..3) else {
        return Err(Answer::html(404, "<html><h1>404 Page not found</h1></html>"));
    };
    let ok = |status, body: &Value| Ok(Answer::json(status, body));
    match (call.method.as_str(), &segments[3..]) {
        ("GET", ["site"]) => ok(200, &site(call)),
        ("POST", ["images", "upload"]) => ok(201, &upload(world, call)?),
        ("GET", ["posts"]) => ok(200, &list(world, call)?),
        ("POST", ["posts"]) => ok(201, &create(world, call)?),
        ("GET", ["posts", id]) => ok(200, &show(world, call, id)?),
        ("PUT", ["posts", id]) => ok(200, &edit(world, call, id)?),
        ("DELETE", ["posts", id]) => {
            delete(world, call, id)?;
            Ok(Answer::new(204, "application/json", ""))
        }
        _ => Err(not_found("Resource")),
    }
}

fn site(call: &Call) -> Value {
    json!({ "site": {
        "title": "Carillon sandbox",
        "description": "Nothing here is public.",
        "logo": null,
        "icon": null,
        "cover_image": null,
        "accent_color": "#15171a",
        "locale": "en",
        "url": format!("{}/ghost/", call.origin),
        "version": "6.65",
        "allow_external_signup": true,
    } })
}

// Tokens

/// The part of a token of this number, read.
fn part(call: &Call, at: usize) -> Option<Value> {
    let token = call.header("authorization")?.strip_prefix("Ghost ")?;
    let text = URL_SAFE_NO_PAD.decode(token.split('.').nth(at)?).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The account whose integration a token names.
fn kid(call: &Call) -> Option<String> {
    let id = part(call, 0)?["kid"].as_str()?.to_owned();
    let byte = |at: usize| u8::from_str_radix(id.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..id.len()).step_by(2).map(byte).collect();
    let name = String::from_utf8(bytes?).ok()?.trim_end_matches('\0').to_owned();
    is_account(&name).then_some(name)
}

fn authorized(call: &Call) -> Result<String, Answer> {
    let Some(header) = call.header("authorization") else {
        let message = "Authorization failed";
        let context = "Unable to determine the authenticated user or integration. Check that \
                       cookies are being passed through if using session authentication.";
        return Err(error(403, "NoPermissionError", message, Some(context), None));
    };
    let Some(token) = header.strip_prefix("Ghost ") else {
        let message = "Authorization header format is \"Authorization: Ghost [token]\"";
        return Err(unauthorized(message, "INVALID_AUTH_HEADER"));
    };
    let Some(account) = kid(call) else {
        return Err(unauthorized("Unknown Admin API Key", "UNKNOWN_ADMIN_API_KEY"));
    };
    let bad = |why: &str| unauthorized(&format!("Invalid token: {why}"), "INVALID_JWT");
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| bad("jwt malformed"))?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| bad("jwt malformed"))?;
    let (Some(header), Some(claims)) = (part(call, 0), part(call, 1)) else {
        return Err(bad("jwt malformed"));
    };
    if header["alg"] != "HS256" {
        return Err(bad("invalid algorithm"));
    }
    if !is_hmac(&secret(&account), &[signed.as_bytes()], &signature) {
        return Err(bad("invalid signature"));
    }
    let now = call.now.div_euclid(1_000);
    let (Some(iat), Some(exp)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) else {
        return Err(bad("iat required"));
    };
    if claims["aud"].as_str().map(|aud| aud.trim_end_matches('/')) != Some("/admin") {
        return Err(bad("jwt audience invalid. expected: /\\/?admin\\/?$/"));
    }
    if exp <= now {
        return Err(bad("jwt expired"));
    }
    if now - iat > TOKEN_LIFE || exp - iat > TOKEN_LIFE {
        return Err(bad("maxAge exceeded"));
    }
    Ok(account)
}

// Images

fn upload(world: &World, call: &Call) -> Result<Value, Answer> {
    authorized(call)?;
    let file = call
        .file("file")
        .ok_or_else(|| error(422, "ValidationError", "Please select an image.", None, None))?;
    let blob = world.blobs.keep(&file.bytes);
    if blob.kind.is_none_or(|kind| !IMAGES.contains(&kind.mime)) {
        let message = "Please select a valid image.";
        return Err(error(415, "UnsupportedMediaTypeError", message, None, None));
    }
    let url = format!("{}{}", call.origin, blob.path());
    lock(&world.states.ghost).images.insert(url.clone(), blob);
    Ok(json!({ "images": [{ "url": url, "ref": call.text("ref") }] }))
}

// Posts

fn posted(call: &Call) -> Value {
    call.value("posts").map(|posts| posts[0].clone()).unwrap_or_default()
}

fn create(world: &World, call: &Call) -> Result<Value, Answer> {
    let account = authorized(call)?;
    let asked = posted(call);
    let mut state = lock(&world.states.ghost);
    state.made += 1;
    let id = hex(&sha256(format!("post {}", state.made).as_bytes()))[..24].to_owned();
    let mut post = Post {
        account,
        title: "(Untitled)".to_owned(),
        html: String::new(),
        slug: String::new(),
        status: "draft".to_owned(),
        tags: Vec::new(),
        cover: None,
        cover_alt: String::new(),
        updated: whole_seconds(call.now),
        published: None,
    };
    fill(&mut post, call, &asked)?;
    let wanted = asked["slug"].as_str().unwrap_or(&post.title);
    post.slug = free_slug(&state, &slug_of(wanted));
    keep(world, &mut state, call, &id, post)
}

fn edit(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    authorized(call)?;
    let asked = posted(call);
    let Some(read) = asked["updated_at"].as_str() else {
        let message = "Validation (FieldRequired) failed for updated_at";
        let context = "must have required property 'updated_at'";
        return Err(error(422, "ValidationError", message, Some(context), None));
    };
    let mut state = lock(&world.states.ghost);
    let old = state.posts.get(id).cloned().ok_or_else(|| not_found("Post"))?;
    let mut post = old.clone();
    fill(&mut post, call, &asked)?;
    let changed = (&post.title, &post.html, &post.status, &post.cover)
        != (&old.title, &old.html, &old.status, &old.cover);
    // A stale copy is refused only where it would change something.
    if changed
        && read.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond()) != Some(old.updated)
    {
        let message = "Saving failed! Someone else is editing this post.";
        return Err(error(409, "UpdateCollisionError", message, None, None));
    }
    if changed {
        post.updated = whole_seconds(call.now).max(old.updated + 1_000);
    }
    keep(world, &mut state, call, id, post)
}

fn fill(post: &mut Post, call: &Call, asked: &Value) -> Result<(), Answer> {
    let text = |name: &str| asked[name].as_str().map(str::to_owned);
    let too_long = |name: &str, max: usize| {
        Err(invalid(&format!("Value in [{name}] exceeds maximum length of {max} characters.")))
    };
    if let Some(title) = text("title").filter(|title| !title.trim().is_empty()) {
        if title.chars().count() > TITLE_MAX {
            return too_long("posts.title", TITLE_MAX);
        }
        post.title = title.trim().to_owned();
    }
    // Without this, Ghost does not look at HTML.
    if call.query.contains(&("source".to_owned(), "html".to_owned())) {
        // It is read into the editor's cards and written anew from them.
        let cards =
            |html: String| html.replace("<figure>", "<figure class=\"kg-card kg-image-card\">");
        post.html = text("html").map_or_else(|| post.html.clone(), cards);
    }
    if let Some(status) = text("status") {
        if !matches!(status.as_str(), "draft" | "published") {
            return Err(invalid("Value in [posts.status] is not one of the allowed values."));
        }
        post.status = status;
    }
    if let Some(alt) = text("feature_image_alt") {
        if alt.chars().count() > COVER_ALT_MAX {
            return too_long("posts_meta.feature_image_alt", COVER_ALT_MAX);
        }
        post.cover_alt = alt;
    }
    post.cover = text("feature_image").or(post.cover.take());
    if let Some(tags) = asked["tags"].as_array() {
        let name = |tag: &Value| tag.as_str().or(tag["name"].as_str()).map(str::to_owned);
        post.tags = tags.iter().filter_map(name).collect();
    }
    Ok(())
}

fn whole_seconds(ms: i64) -> i64 {
    ms.div_euclid(1_000) * 1_000
}

fn free_slug(state: &State, slug: &str) -> String {
    let taken = |slug: &str| state.posts.values().any(|post| post.slug == slug);
    let numbered = (2..).map(|n| format!("{slug}-{n}"));
    let mut all = std::iter::once(slug.to_owned()).chain(numbered);
    all.find(|slug| !taken(slug)).unwrap_or_default()
}

fn keep(
    world: &World,
    state: &mut State,
    call: &Call,
    id: &str,
    mut post: Post,
) -> Result<Value, Answer> {
    if post.status == "published" {
        post.published.get_or_insert(call.now);
        let mut media = Vec::new();
        if let Some(cover) = &post.cover {
            media.push(picture(state, cover, &post.cover_alt));
        }
        for (url, alt) in pictures(&post.html) {
            media.push(picture(state, &url, &alt));
        }
        world.ledger.appear(
            Network::Ghost,
            Appeared {
                id: id.to_owned(),
                account: &post.account,
                placement: "article",
                reply_to: None,
                text: format!("{}\n\n{}", post.title, readable(&post.html)),
                media,
                at: call.now,
            },
        );
    } else {
        world.ledger.vanish(Network::Ghost, id, call.now);
    }
    let body = json!({ "posts": [json_of(call, id, &post)] });
    state.posts.insert(id.to_owned(), post);
    Ok(body)
}

fn picture(state: &State, url: &str, alt: &str) -> LedgerMedia {
    match state.images.get(url) {
        Some(blob) => blob.in_ledger(alt),
        None => LedgerMedia::link(url, alt),
    }
}

/// Address and description of every picture in HTML.
fn pictures(html: &str) -> Vec<(String, String)> {
    let tags = html.split("<img ").skip(1).filter_map(|rest| rest.split_once('>'));
    let value = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}=\""))?;
        Some(unescaped(rest.split_once('"')?.0))
    };
    tags.filter_map(|(tag, _)| Some((value(tag, "src")?, value(tag, "alt").unwrap_or_default())))
        .collect()
}

fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (c, length) = entity(rest).unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out + rest
}

fn json_of(call: &Call, id: &str, post: &Post) -> Value {
    // The page of the sandbox stands for the one that the slug leads to.
    let url = match post.status.as_str() {
        "published" => format!("{}/posts/ghost/{id}", call.origin),
        _ => format!("{}/ghost/p/{id}/", call.origin),
    };
    let mut body = json!({
        "id": id,
        "uuid": format!("00000000-0000-4000-8000-{}", &id[..12]),
        "title": post.title,
        "slug": post.slug,
        "status": post.status,
        "visibility": "public",
        "feature_image": post.cover,
        "feature_image_alt": post.cover_alt,
        "tags": post.tags.iter().map(|name| json!({ "name": name, "slug": slug_of(name) })).collect::<Vec<_>>(),
        "created_at": iso(post.updated),
        "updated_at": iso(post.updated),
        "published_at": post.published.map(iso),
        "custom_excerpt": null,
        "canonical_url": null,
        "email_only": false,
        "url": url,
    });
    // Only on request: the editor's own form is what articles are kept in.
    if call.text("formats").is_some_and(|formats| formats.split(',').any(|f| f == "html")) {
        body["html"] = json!(post.html);
    }
    body
}

fn show(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    authorized(call)?;
    let state = lock(&world.states.ghost);
    let post = state.posts.get(id).ok_or_else(|| not_found("Post"))?;
    Ok(json!({ "posts": [json_of(call, id, post)] }))
}

fn list(world: &World, call: &Call) -> Result<Value, Answer> {
    authorized(call)?;
    let state = lock(&world.states.ghost);
    let filter = call.text("filter").unwrap_or_default();
    let slug = filter.strip_prefix("slug:");
    if slug.is_none() && !filter.is_empty() {
        return Err(error(400, "BadRequestError", "Error parsing filter", None, None));
    }
    let wanted = state.posts.iter().filter(|(_, p)| slug.is_none_or(|slug| p.slug == slug));
    let limit = call.number("limit").and_then(|n| usize::try_from(n).ok()).unwrap_or(15);
    let posts: Vec<Value> = wanted.take(limit).map(|(id, p)| json_of(call, id, p)).collect();
    let total = posts.len();
    Ok(json!({
        "posts": posts,
        "meta": { "pagination": {
            "page": 1, "limit": limit, "pages": 1, "total": total, "next": null, "prev": null
        } },
    }))
}

fn delete(world: &World, call: &Call, id: &str) -> Result<(), Answer> {
    authorized(call)?;
    lock(&world.states.ghost).posts.remove(id).ok_or_else(|| not_found("Post"))?;
    world.ledger.vanish(Network::Ghost, id, call.now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_in_html() {
        let html = r#"<p>x</p><figure><img src="a?b&amp;c" alt="&quot;d&quot; &lt;e&gt;"></figure><img alt="">"#;
        assert_eq!(pictures(html), [("a?b&c".to_owned(), "\"d\" <e>".to_owned())]);
    }
}
