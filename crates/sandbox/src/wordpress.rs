//! WordPress: one site with every account as an editor, and those whose name begins with `author` as
//! authors who may not make categories, under `/wordpress/wp-json/wp/v2/…` and
//! `/wordpress/?rest_route=/wp/v2/…`.
//!
//! networks.md §7 and §23.1, and held against a real WordPress 6.1.9, call by call. Basic
//! `{account}:sandbox-{account}`; a wrong password is answered as newer versions do. A slug that is
//! taken gets `-2`, for drafts as well. A post with a date to come is stored as `future` and appears
//! at the first request after it. Plugins, pages, comments and revisions are not spoken. The site's
//! time zone is UTC.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::Blob;
use crate::rendering::{excerpt, paragraphs, slug_of, textured};
use crate::text::readable;
use crate::world::{
    Fields, Network, World, account_of_secret, is_account, lock, number_of, secret_of, stamp,
};

const TRASHED: &str = "__trashed";
const STATUSES: [&str; 5] = ["publish", "future", "draft", "pending", "private"];
/// 2026-01-01T00:00:00Z in seconds: numbers grow with the time from here on.
const EPOCH: i64 = 1_767_225_600;

pub(crate) struct State {
    posts: HashMap<u64, Post>,
    slugs: HashMap<String, BTreeSet<u64>>,
    by_date: BTreeSet<(i64, u64)>,
    /// Posts that appear at a time.
    due: BTreeMap<(i64, u64), ()>,
    media: BTreeMap<u64, Medium>,
    media_by_hash: HashMap<String, u64>,
    terms: BTreeMap<u64, Term>,
    users: HashMap<u64, String>,
    last_id: u64,
}

impl Default for State {
    fn default() -> Self {
        let first = Term {
            taxonomy: Taxonomy::Categories,
            name: "Uncategorized".to_owned(),
            slug: "uncategorized".to_owned(),
            description: String::new(),
            count: 0,
        };
        Self {
            posts: HashMap::new(),
            slugs: HashMap::new(),
            by_date: BTreeSet::new(),
            due: BTreeMap::new(),
            media: BTreeMap::new(),
            media_by_hash: HashMap::new(),
            terms: BTreeMap::from([(1, first)]),
            users: HashMap::new(),
            last_id: 1,
        }
    }
}

#[derive(Clone)]
struct Post {
    author: String,
    title: String,
    content: String,
    excerpt: String,
    status: String,
    slug: String,
    date: i64,
    /// A draft without a date of its own gets that of its publication.
    dated: bool,
    modified: i64,
    categories: Vec<u64>,
    tags: Vec<u64>,
    featured: u64,
    comment_status: String,
    sticky: bool,
}

struct Medium {
    author: String,
    blob: Blob,
    file: String,
    slug: String,
    title: String,
    alt: String,
    caption: String,
    date: i64,
}

struct Term {
    taxonomy: Taxonomy,
    name: String,
    slug: String,
    description: String,
    count: i64,
}

#[derive(Clone, Copy, PartialEq)]
enum Taxonomy {
    Categories,
    Tags,
}

/// An error of the REST API.
struct Fail {
    status: u16,
    code: &'static str,
    message: String,
    data: Map<String, Value>,
}

impl Fail {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let mut data = Map::new();
        data.insert("status".to_owned(), json!(status));
        Self { status, code, message: message.into(), data }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.data.insert(name.to_owned(), value);
        self
    }

    fn parameter(name: &str, code: &str, message: &str) -> Self {
        let data = match code {
            "rest_invalid_type" => json!({ "param": format!("{name}[0]") }),
            "rest_forbidden_status" => json!({ "status": 401 }),
            _ => Value::Null,
        };
        let mut params = Map::new();
        params.insert(name.to_owned(), json!(message));
        let mut details = Map::new();
        details.insert(name.to_owned(), json!({ "code": code, "message": message, "data": data }));
        Self::new(400, "rest_invalid_param", format!("Invalid parameter(s): {name}"))
            .with("params", Value::Object(params))
            .with("details", Value::Object(details))
    }

    fn invalid_post() -> Self {
        Self::new(404, "rest_post_invalid_id", "Invalid post ID.")
    }

    fn answer(self) -> Answer {
        let body = json!({ "code": self.code, "message": self.message, "data": self.data });
        Answer::json(self.status, &body)
    }
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    vec![
        ("server", base.to_owned()),
        ("username", account.to_owned()),
        ("applicationPassword", secret_of(account)),
    ]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let path = route(call).unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let status = call.text("status");
    let shows = status.as_deref().is_some_and(|s| s == "publish" || s == "future");
    let kind = match (&call.method, segments.as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (_, ["wp", "v2", "posts", id]) if status.is_none() && is_shown(world, id) => Calls::Edit,
        // The last word on a draft.
        (_, ["wp", "v2", "posts", _]) => Calls::Publish,
        (_, ["wp", "v2", "posts", ..]) if shows => Calls::Publish,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: credentials(call).ok().flatten() }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    tick(world, call.now);
    let Some(path) = route(call) else { return site(call) };
    let answer = handle(world, call, &path).unwrap_or_else(Fail::answer);
    trimmed(call, answer)
        .header(
            "link",
            &format!("<{}/wordpress/wp-json/>; rel=\"https://api.w.org/\"", call.origin),
        )
        .header("access-control-expose-headers", "X-WP-Total, X-WP-TotalPages, Link")
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => {
            // Number and name of the syntax error are PHP's.
            Fail::new(400, "rest_invalid_json", "Invalid JSON body passed.")
                .with("json_error_code", json!(4))
                .with("json_error_message", json!("Syntax error"))
                .answer()
        }
        Refusal::RateLimit(ms) => {
            let page = "<html><head><title>429 Too Many Requests</title></head><body><h1>Too Many \
                        Requests</h1><p>Your access to this site has been limited by the site \
                        owner.</p></body></html>";
            let seconds = (ms + 999).div_euclid(1_000);
            Answer::html(429, page).header("retry-after", &seconds.to_string())
        }
        Refusal::ServerError => Answer::html(
            502,
            "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 \
             Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
        ),
        Refusal::Auth => bad_password().answer(),
        Refusal::TooLarge => Answer::html(
            413,
            "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n</html>\r\n",
        ),
    }
}

fn is_shown(world: &World, id: &str) -> bool {
    let state = lock(&world.states.wordpress);
    let post = id.parse().ok().and_then(|id: u64| state.posts.get(&id));
    post.is_some_and(|post| post.status == "publish")
}

/// Lets posts appear whose time has come.
pub(crate) fn tick(world: &World, now: i64) {
    let mut state = lock(&world.states.wordpress);
    while let Some((&(at, id), ())) = state.due.first_key_value()
        && at <= now
    {
        state.due.remove(&(at, id));
        if let Some(mut post) = state.posts.get(&id).cloned() {
            post.status = "publish".to_owned();
            state.put(world, id, post, at);
        }
    }
}

/// The route inside the REST API, without slashes at the ends; `None` for the site itself.
fn route(call: &Call) -> Option<String> {
    if let Some(path) = call.path.strip_prefix("wp-json") {
        return Some(path.trim_matches('/').to_owned());
    }
    let query = call.query.iter().find(|(name, _)| name == "rest_route");
    query.map(|(_, path)| path.trim_matches('/').to_owned())
}

fn site(call: &Call) -> Answer {
    let link = format!("<{}/wordpress/wp-json/>; rel=\"https://api.w.org/\"", call.origin);
    match call.text("p") {
        Some(id) => Answer::html(302, "").header("location", &format!("/posts/wordpress/{id}")),
        None if call.path.is_empty() => Answer::html(
            200,
            "<!doctype html>\n<html lang=\"en\"><title>Sandbox site</title>\n\
             <p><a href=\"/?network=wordpress\">What was posted here</a>\n",
        ),
        None => Answer::html(404, "<!doctype html>\n<html lang=\"en\"><title>Not found</title>\n"),
    }
    .header("link", &link)
}

fn handle(world: &World, call: &Call, path: &str) -> Result<Answer, Fail> {
    let user = credentials(call)?;
    if let Some(user) = &user {
        let mut state = lock(&world.states.wordpress);
        state.users.entry(user_id(user)).or_insert_with(|| user.clone());
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let method = match call.method.as_str() {
        "PUT" | "PATCH" => "POST",
        "HEAD" => "GET",
        method => method,
    };
    let user = user.as_deref();
    // The routes of single things match digits only.
    if let ["wp", "v2", _, id, ..] = segments.as_slice()
        && *id != "me"
        && !id.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(no_route());
    }
    match (method, segments.as_slice()) {
        ("GET", []) => Ok(Answer::json(200, &index(call))),
        ("GET", ["wp", "v2"]) => Ok(Answer::json(200, &index(call))),
        ("GET", ["wp", "v2", "users", "me"]) => {
            let user = user.ok_or_else(not_logged_in)?;
            Ok(Answer::json(200, &user_json(call, user)))
        }
        ("GET", ["wp", "v2", "users", id]) => {
            let state = lock(&world.states.wordpress);
            let user = id.parse().ok().and_then(|id: u64| state.users.get(&id));
            let user =
                user.ok_or_else(|| Fail::new(404, "rest_user_invalid_id", "Invalid user ID."))?;
            Ok(Answer::json(200, &user_json(call, user)))
        }
        ("POST", ["wp", "v2", "media"]) => upload(world, call, user),
        ("GET", ["wp", "v2", "media"]) => list_media(world, call),
        (_, ["wp", "v2", "media", id]) => medium(world, call, user, method, id),
        ("GET", ["wp", "v2", "categories"]) => list_terms(world, call, Taxonomy::Categories),
        ("GET", ["wp", "v2", "tags"]) => list_terms(world, call, Taxonomy::Tags),
        ("POST", ["wp", "v2", "categories"]) => {
            create_term(world, call, user, Taxonomy::Categories)
        }
        ("POST", ["wp", "v2", "tags"]) => create_term(world, call, user, Taxonomy::Tags),
        ("GET", ["wp", "v2", "categories" | "tags", id]) => show_term(world, call, id),
        ("GET", ["wp", "v2", "posts"]) => list_posts(world, call, user),
        ("POST", ["wp", "v2", "posts"]) => create_post(world, call, user),
        ("GET", ["wp", "v2", "posts", id]) => show_post(world, call, user, id),
        ("POST", ["wp", "v2", "posts", id]) => update_post(world, call, user, id),
        ("DELETE", ["wp", "v2", "posts", id]) => delete_post(world, call, user, id),
        _ => Err(no_route()),
    }
}

fn no_route() -> Fail {
    let message = "No route was found matching the URL and request method.";
    Fail::new(404, "rest_no_route", message)
}

/// Only the fields asked for with `_fields`.
fn trimmed(call: &Call, answer: Answer) -> Answer {
    let Some(fields) = call.text("_fields").filter(|_| answer.status.is_success()) else {
        return answer;
    };
    // `a.b` keeps the whole of `a`.
    let names: Vec<&str> =
        fields.split(',').map(|name| name.trim().split('.').next().unwrap_or_default()).collect();
    let trim = |value: Value| match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()
        }
        other => other,
    };
    let body = match serde_json::from_slice(&answer.body) {
        Ok(Value::Array(items)) => Value::Array(items.into_iter().map(trim).collect()),
        Ok(other) => trim(other),
        Err(_) => return answer,
    };
    Answer { body: body.to_string().into(), ..answer }
}

// Users and the index

/// The account of the credentials; `None` without any.
fn credentials(call: &Call) -> Result<Option<String>, Fail> {
    if call.header("authorization").is_none() {
        return Ok(None);
    }
    let (login, password) = call.basic().ok_or_else(not_logged_in)?;
    if !is_account(&login) {
        let message = "Unknown username. Check again or try your email address.";
        return Err(Fail::new(401, "invalid_username", message));
    }
    // People paste application passwords with the spaces they are shown with.
    let password = password.replace(' ', "");
    match account_of_secret(&password) == Some(&login) {
        true => Ok(Some(login)),
        false => Err(bad_password()),
    }
}

fn bad_password() -> Fail {
    let message = "The provided password is an invalid application password.";
    Fail::new(401, "incorrect_password", message)
}

fn not_logged_in() -> Fail {
    Fail::new(401, "rest_not_logged_in", "You are not currently logged in.")
}

fn signed_in<'u>(user: Option<&'u str>, code: &'static str, what: &str) -> Result<&'u str, Fail> {
    user.ok_or_else(|| Fail::new(401, code, format!("Sorry, you are not allowed to {what}.")))
}

/// Others are editors.
fn is_author(account: &str) -> bool {
    account.starts_with("author")
}

fn user_id(account: &str) -> u64 {
    number_of(account, 9)
}

fn user_json(call: &Call, account: &str) -> Value {
    let mut json = json!({
        "id": user_id(account),
        "name": account,
        "url": "",
        "description": "",
        "link": format!("{}/?network=wordpress&account={account}", call.origin),
        "slug": account,
        "avatar_urls": {},
        "meta": [],
    });
    if call.text("context").as_deref() == Some("edit") {
        json["username"] = json!(account);
        json["first_name"] = json!("");
        json["last_name"] = json!("");
        json["nickname"] = json!(account);
        json["email"] = json!(format!("{account}@example.test"));
        json["locale"] = json!("en_US");
        let role = if is_author(account) { "author" } else { "editor" };
        json["roles"] = json!([role]);
        json["registered_date"] = json!("2026-01-01T00:00:00+00:00");
        json["capabilities"] = json!({
            "edit_posts": true,
            "publish_posts": true,
            "edit_published_posts": true,
            "delete_posts": true,
            "delete_published_posts": true,
            "upload_files": true,
            "manage_categories": !is_author(account),
            role: true,
        });
    }
    json
}

fn index(call: &Call) -> Value {
    let site = format!("{}/wordpress", call.origin);
    json!({
        "name": "Sandbox site",
        "description": "Nothing here is public",
        "url": site,
        "home": site,
        "gmt_offset": "0",
        "timezone_string": "UTC",
        "namespaces": ["oembed/1.0", "wp/v2"],
        "authentication": { "application-passwords": { "endpoints": {
            "authorization": format!("{site}/wp-admin/authorize-application.php"),
        }}},
        "routes": {},
        "site_logo": 0,
        "site_icon": 0,
        "site_icon_url": "",
    })
}

// Media

impl State {
    fn id(&mut self, now: i64) -> u64 {
        let floor = (now.div_euclid(1_000) - EPOCH).max(0).unsigned_abs();
        self.last_id = (self.last_id + 1).max(floor);
        self.last_id
    }
}

fn upload(world: &World, call: &Call, user: Option<&str>) -> Result<Answer, Fail> {
    let user = signed_in(user, "rest_cannot_create", "create posts as this user")?;
    let (file, bytes) = match call.file("file") {
        Some(file) => (file.name.clone(), file.bytes.clone()),
        None => {
            if call.body.is_empty() || !call.files.is_empty() {
                return Err(Fail::new(400, "rest_upload_no_data", "No data supplied."));
            }
            if call.content_type().is_empty() {
                let message = "No Content-Type supplied.";
                return Err(Fail::new(400, "rest_upload_no_content_type", message));
            }
            let disposition = call.header("content-disposition").ok_or_else(|| {
                let message = "No Content-Disposition supplied.";
                Fail::new(400, "rest_upload_no_content_disposition", message)
            })?;
            let file = file_name(disposition).ok_or_else(|| {
                let message = "Invalid Content-Disposition supplied. Content-Disposition needs to \
                               be formatted as `attachment; filename=\"image.png\"` or similar.";
                Fail::new(400, "rest_upload_invalid_disposition", message)
            })?;
            (file, call.body.clone())
        }
    };
    let blob = world.blobs.keep(&bytes);
    if blob.kind.is_none() {
        let message = "Sorry, you are not allowed to upload this file type.";
        return Err(Fail::new(500, "rest_upload_sideload_error", message));
    }
    let name = file.rsplit_once('.').map_or(file.as_str(), |(name, _)| name).to_owned();
    let mut state = lock(&world.states.wordpress);
    let id = state.id(call.now);
    let text = |name: &str| call.text(name).unwrap_or_default();
    let medium = Medium {
        author: user.to_owned(),
        blob,
        file,
        slug: slug_of(&raw(call, "title").unwrap_or_else(|| name.clone())),
        title: raw(call, "title").unwrap_or(name),
        alt: text("alt_text"),
        caption: raw(call, "caption").unwrap_or_default(),
        date: call.now,
    };
    let body = medium_json(call, id, &medium, true);
    state.media_by_hash.insert(medium.blob.hash.clone(), id);
    state.media.insert(id, medium);
    let location = format!("{}/wordpress/wp-json/wp/v2/media/{id}", call.origin);
    Ok(Answer::json(201, &body).header("location", &location))
}

/// The name in `attachment; filename="x.png"`, without a path.
fn file_name(disposition: &str) -> Option<String> {
    let part = disposition.split(';').map(str::trim).find_map(|part| {
        part.strip_prefix("filename=").or_else(|| part.strip_prefix("filename*=UTF-8''"))
    })?;
    let name = part.trim_matches('"').rsplit(['/', '\\']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn medium_json(call: &Call, id: u64, medium: &Medium, edit: bool) -> Value {
    let url = format!("{}{}", call.origin, medium.blob.path());
    let kind = medium.blob.kind;
    let (width, height) = kind.map_or((0, 0), |kind| (kind.width, kind.height));
    let mime = kind.map_or("application/octet-stream", |kind| kind.mime);
    let mut json = json!({
        "id": id,
        "date": local(medium.date),
        "date_gmt": local(medium.date),
        "guid": rendered(&url, url.clone(), edit),
        "modified": local(medium.date),
        "modified_gmt": local(medium.date),
        "slug": medium.slug,
        "status": "inherit",
        "type": "attachment",
        "link": url,
        "title": rendered(&medium.title, textured(&medium.title), edit),
        "author": user_id(&medium.author),
        "comment_status": "open",
        "ping_status": "closed",
        "template": "",
        "meta": [],
        "description": rendered("", format!("<p class=\"attachment\"><a href='{url}'>{url}</a></p>\n"), edit),
        "caption": rendered(&medium.caption, paragraphs(&medium.caption), edit),
        "alt_text": medium.alt,
        "media_type": if kind.is_some_and(|kind| kind.is_image()) { "image" } else { "file" },
        "mime_type": mime,
        "media_details": {
            "width": width,
            "height": height,
            "file": medium.file,
            "filesize": medium.blob.size,
            "sizes": {
                "full": {
                    "file": medium.file,
                    "width": width,
                    "height": height,
                    "mime_type": mime,
                    "source_url": url,
                },
            },
            "image_meta": {},
        },
        "post": null,
        "source_url": url,
    });
    if edit {
        json["generated_slug"] = json!(slug_of(&medium.title));
        json["missing_image_sizes"] = json!([]);
    }
    json
}

/// A text as the API writes it: the source only for those who may edit.
fn rendered(raw: &str, rendered: String, edit: bool) -> Value {
    if edit { json!({ "raw": raw, "rendered": rendered }) } else { json!({ "rendered": rendered }) }
}

fn list_media(world: &World, call: &Call) -> Result<Answer, Fail> {
    let state = lock(&world.states.wordpress);
    let page = Page::of(call)?;
    let search = call.text("search").unwrap_or_default().to_lowercase();
    let found: Vec<_> = state
        .media
        .iter()
        .rev()
        .filter(|(_, medium)| medium.title.to_lowercase().contains(&search))
        .collect();
    page.answer(found.len(), found, |(id, medium)| medium_json(call, **id, medium, false))
}

fn medium(
    world: &World,
    call: &Call,
    user: Option<&str>,
    method: &str,
    id: &str,
) -> Result<Answer, Fail> {
    let id: u64 = id.parse().map_err(|_| Fail::invalid_post())?;
    let mut state = lock(&world.states.wordpress);
    let known = state.media.get_mut(&id).ok_or_else(Fail::invalid_post)?;
    let edit = method != "GET" || call.text("context").as_deref() == Some("edit");
    match method {
        "GET" => {}
        "POST" => {
            signed_in(user, "rest_cannot_edit", "edit this post")?;
            known.alt = call.text("alt_text").unwrap_or(std::mem::take(&mut known.alt));
            known.caption = raw(call, "caption").unwrap_or(std::mem::take(&mut known.caption));
            known.title = raw(call, "title").unwrap_or(std::mem::take(&mut known.title));
        }
        "DELETE" => {
            signed_in(user, "rest_cannot_delete", "delete this post")?;
            if call.flag("force") != Some(true) {
                let message = "The post does not support trashing. Set 'force=true' to delete.";
                return Err(Fail::new(501, "rest_trash_not_supported", message));
            }
            let previous = medium_json(call, id, known, edit);
            state.media.remove(&id);
            return Ok(Answer::json(200, &json!({ "deleted": true, "previous": previous })));
        }
        _ => return Err(Fail::invalid_post()),
    }
    Ok(Answer::json(200, &medium_json(call, id, known, edit)))
}

// Terms

fn term_json(call: &Call, id: u64, term: &Term) -> Value {
    let (taxonomy, base) = match term.taxonomy {
        Taxonomy::Categories => ("category", "category"),
        Taxonomy::Tags => ("post_tag", "tag"),
    };
    let mut json = json!({
        "id": id,
        "count": term.count,
        "description": term.description,
        "link": format!("{}/wordpress/{base}/{}/", call.origin, term.slug),
        "name": term.name,
        "slug": term.slug,
        "taxonomy": taxonomy,
        "meta": [],
    });
    if term.taxonomy == Taxonomy::Categories {
        json["parent"] = json!(0);
    }
    json
}

fn list_terms(world: &World, call: &Call, taxonomy: Taxonomy) -> Result<Answer, Fail> {
    let state = lock(&world.states.wordpress);
    let page = Page::of(call)?;
    let search = call.text("search").unwrap_or_default().to_lowercase();
    let slugs = comma_list(call, "slug");
    let include = comma_list(call, "include");
    let mut found: Vec<_> = state
        .terms
        .iter()
        .filter(|(id, term)| {
            term.taxonomy == taxonomy
                && (term.name.to_lowercase().contains(&search) || term.slug.contains(&search))
                && (slugs.is_empty() || slugs.contains(&term.slug))
                && (include.is_empty() || include.contains(&id.to_string()))
        })
        .collect();
    found.sort_by_key(|(_, term)| term.name.to_lowercase());
    page.answer(found.len(), found, |(id, term)| term_json(call, **id, term))
}

fn create_term(
    world: &World,
    call: &Call,
    user: Option<&str>,
    taxonomy: Taxonomy,
) -> Result<Answer, Fail> {
    let user = signed_in(user, "rest_cannot_create", "create terms in this taxonomy")?;
    if taxonomy == Taxonomy::Categories && is_author(user) {
        let message = "Sorry, you are not allowed to create terms in this taxonomy.";
        return Err(Fail::new(403, "rest_cannot_create", message));
    }
    let name = call.text("name").ok_or_else(|| {
        Fail::new(400, "rest_missing_callback_param", "Missing parameter(s): name")
            .with("params", json!(["name"]))
    })?;
    let name = name.trim().to_owned();
    if name.is_empty() {
        return Err(Fail::new(500, "empty_term_name", "A name is required for this term."));
    }
    let mut state = lock(&world.states.wordpress);
    let same =
        |term: &Term| term.taxonomy == taxonomy && term.name.to_lowercase() == name.to_lowercase();
    if let Some((id, _)) = state.terms.iter().find(|(_, term)| same(term)) {
        let message = match taxonomy {
            Taxonomy::Tags => "A term with the name provided already exists in this taxonomy.",
            Taxonomy::Categories => {
                "A term with the name provided already exists with this parent."
            }
        };
        return Err(Fail::new(400, "term_exists", message).with("term_id", json!(id)));
    }
    let slug = call.text("slug").map_or_else(|| slug_of(&name), |slug| slug_of(&slug));
    let id = state.terms.last_key_value().map_or(1, |(id, _)| id + 1);
    let description = call.text("description").unwrap_or_default();
    let term = Term { taxonomy, name, slug, description, count: 0 };
    let body = term_json(call, id, &term);
    state.terms.insert(id, term);
    let base = if taxonomy == Taxonomy::Tags { "tags" } else { "categories" };
    let location = format!("{}/wordpress/wp-json/wp/v2/{base}/{id}", call.origin);
    Ok(Answer::json(201, &body).header("location", &location))
}

fn show_term(world: &World, call: &Call, id: &str) -> Result<Answer, Fail> {
    let state = lock(&world.states.wordpress);
    let found = id.parse().ok().and_then(|id: u64| Some((id, state.terms.get(&id)?)));
    let (id, term) =
        found.ok_or_else(|| Fail::new(404, "rest_term_invalid", "Term does not exist."))?;
    Ok(Answer::json(200, &term_json(call, id, term)))
}

// Posts

fn create_post(world: &World, call: &Call, user: Option<&str>) -> Result<Answer, Fail> {
    let user = signed_in(user, "rest_cannot_create", "create posts as this user")?;
    if call.value("id").is_some() {
        return Err(Fail::new(400, "rest_post_exists", "Cannot create existing post."));
    }
    let mut state = lock(&world.states.wordpress);
    let blank = Post {
        author: user.to_owned(),
        title: String::new(),
        content: String::new(),
        excerpt: String::new(),
        status: "draft".to_owned(),
        slug: String::new(),
        date: call.now,
        dated: false,
        modified: call.now,
        categories: vec![1],
        tags: Vec::new(),
        featured: 0,
        comment_status: "open".to_owned(),
        sticky: false,
    };
    let id = state.id(call.now);
    let post = changed(&state, call, id, blank)?;
    state.put(world, id, post, call.now);
    let location = format!("{}/wordpress/wp-json/wp/v2/posts/{id}", call.origin);
    Ok(Answer::json(201, &post_json(&state, call, id, true)).header("location", &location))
}

fn update_post(world: &World, call: &Call, user: Option<&str>, id: &str) -> Result<Answer, Fail> {
    let mut state = lock(&world.states.wordpress);
    let id = known(&state, id)?;
    signed_in(user, "rest_cannot_edit", "edit this post")?;
    let post = changed(&state, call, id, state.posts[&id].clone())?;
    state.put(world, id, post, call.now);
    Ok(Answer::json(200, &post_json(&state, call, id, true)))
}

/// The post after the request's fields, checked as WordPress checks them.
fn changed(state: &State, call: &Call, id: u64, mut post: Post) -> Result<Post, Fail> {
    let was_trashed = post.status == "trash";
    if let Some(status) = call.text("status") {
        if !STATUSES.contains(&status.as_str()) {
            let message = "status is not one of publish, future, draft, pending, and private.";
            return Err(Fail::parameter("status", "rest_not_in_enum", message));
        }
        post.status = status;
    }
    if let Some(status) = call.text("comment_status") {
        if !["open", "closed"].contains(&status.as_str()) {
            let message = "comment_status is not one of open and closed.";
            return Err(Fail::parameter("comment_status", "rest_not_in_enum", message));
        }
        post.comment_status = status;
    }
    for name in ["date", "date_gmt"] {
        if let Some(text) = call.text(name).filter(|text| !text.is_empty()) {
            let date = date(&text)
                .ok_or_else(|| Fail::parameter(name, "rest_invalid_date", "Invalid date."))?;
            post.date = date;
            post.dated = true;
        }
    }
    for (name, field) in [("categories", 0), ("tags", 1)] {
        if let Some(ids) = term_ids(call, name)? {
            let kept = ids.into_iter().filter(|id| state.terms.contains_key(id)).collect();
            if field == 0 { post.categories = kept } else { post.tags = kept }
        }
    }
    if let Some(medium) = call.value("featured_media") {
        let medium = medium.as_u64().or_else(|| medium.as_str()?.parse().ok());
        let message = "featured_media is not of type integer.";
        let medium = medium
            .ok_or_else(|| Fail::parameter("featured_media", "rest_invalid_type", message))?;
        // An id of no medium is passed over in silence.
        post.featured = if state.media.contains_key(&medium) { medium } else { 0 };
    }
    post.title = raw(call, "title").unwrap_or(post.title);
    post.content = raw(call, "content").unwrap_or(post.content);
    post.excerpt = raw(call, "excerpt").unwrap_or(post.excerpt);
    post.sticky = call.flag("sticky").unwrap_or(post.sticky);
    if post.title.is_empty() && post.content.is_empty() && post.excerpt.is_empty() {
        let message = "Content, title, and excerpt are empty.";
        return Err(Fail::new(400, "empty_content", message));
    }
    if post.categories.is_empty() {
        post.categories.push(1);
    }
    if let Some(slug) = call.text("slug") {
        post.slug = slug_of(&slug);
    } else if was_trashed && post.status != "trash" {
        post.slug = post.slug.trim_end_matches(TRASHED).to_owned();
    }
    post.modified = call.now;
    let is_draft = matches!(post.status.as_str(), "draft" | "pending");
    if !is_draft {
        if !post.dated {
            post.date = call.now;
            post.dated = true;
        }
        if post.status == "publish" && post.date > call.now {
            post.status = "future".to_owned();
        } else if post.status == "future" && post.date <= call.now {
            post.status = "publish".to_owned();
        }
        if post.slug.is_empty() {
            post.slug = slug_of(&post.title);
        }
        if post.slug.is_empty() {
            // A bare number could be read as a page or a year.
            post.slug = format!("{id}-2");
        }
    }
    if !post.slug.is_empty() {
        post.slug = free_slug(state, id, &post.slug);
    }
    Ok(post)
}

impl State {
    /// Stores a post and lets followers see what is to be seen.
    fn put(&mut self, world: &World, id: u64, post: Post, now: i64) {
        self.forget(id);
        self.slugs.entry(post.slug.clone()).or_default().insert(id);
        self.by_date.insert((post.date, id));
        if post.status == "future" {
            self.due.insert((post.date, id), ());
        }
        self.count(&post, 1);
        let visible = post.status == "publish";
        self.posts.insert(id, post);
        if visible {
            self.show(world, id, now);
        } else {
            world.ledger.vanish(Network::Wordpress, &id.to_string(), now);
        }
    }

    /// Takes a post out of every index.
    fn forget(&mut self, id: u64) -> Option<Post> {
        let post = self.posts.remove(&id)?;
        if let Some(ids) = self.slugs.get_mut(&post.slug) {
            ids.remove(&id);
            if ids.is_empty() {
                self.slugs.remove(&post.slug);
            }
        }
        self.by_date.remove(&(post.date, id));
        self.due.remove(&(post.date, id));
        self.count(&post, -1);
        Some(post)
    }

    /// The posts of a term are those that are published.
    fn count(&mut self, post: &Post, by: i64) {
        if post.status != "publish" {
            return;
        }
        for term in post.categories.iter().chain(&post.tags) {
            if let Some(term) = self.terms.get_mut(term) {
                term.count += by;
            }
        }
    }

    fn show(&self, world: &World, id: u64, at: i64) {
        let Some(post) = self.posts.get(&id) else { return };
        let featured = self.media.get(&post.featured);
        let mut media: Vec<LedgerMedia> =
            featured.map(|medium| medium.blob.in_ledger(&medium.alt)).into_iter().collect();
        for medium in inline_media(&post.content) {
            let known = self.media_by_hash.get(medium).and_then(|id| self.media.get(id));
            media.extend(known.map(|known| known.blob.in_ledger(&known.alt)));
        }
        // A title is HTML as well.
        let (title, body) = (readable(&post.title), readable(&post.content));
        let parts = [title.as_str(), body.as_str()].map(str::trim);
        let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        world.ledger.appear(
            Network::Wordpress,
            Appeared {
                id: id.to_string(),
                account: &post.author,
                placement: "article",
                reply_to: None,
                text: text.join("\n\n"),
                media,
                at,
            },
        );
    }
}

/// The hashes of the sandbox's own media that a content shows.
fn inline_media(content: &str) -> impl Iterator<Item = &str> {
    content.split("/_media/").skip(1).filter_map(|rest| rest.get(..64))
}

/// A title or content: a string, or `{raw}` as the API itself writes it.
fn raw(call: &Call, name: &str) -> Option<String> {
    match call.value(name)? {
        Value::String(text) => Some(text),
        value => value["raw"].as_str().map(str::to_owned),
    }
}

fn term_ids(call: &Call, name: &str) -> Result<Option<Vec<u64>>, Fail> {
    let items = match call.value(name) {
        Some(Value::Array(items)) => items,
        Some(Value::String(list)) => {
            list.split(',').filter(|id| !id.trim().is_empty()).map(|id| json!(id.trim())).collect()
        }
        Some(number) => vec![number],
        None => {
            let items = call.list(name);
            if items.is_empty() {
                return Ok(None);
            }
            items
        }
    };
    let id = |item: Value| item.as_u64().or_else(|| item.as_str()?.parse().ok());
    let ids: Option<Vec<u64>> = items.into_iter().map(id).collect();
    let message = format!("{name}[0] is not of type integer.");
    ids.map(Some).ok_or_else(|| Fail::parameter(name, "rest_invalid_type", &message))
}

/// A date with a zone, or without one in the site's, which is UTC.
fn date(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

fn local(ms: i64) -> String {
    stamp(ms, "%Y-%m-%dT%H:%M:%S")
}

/// The slug, with a number behind it when another post has it.
fn free_slug(state: &State, id: u64, slug: &str) -> String {
    let taken =
        |slug: &str| state.slugs.get(slug).is_some_and(|ids| ids.iter().any(|other| *other != id));
    if !taken(slug) {
        return slug.to_owned();
    }
    let numbered = (2_u64..).map(|n| format!("{slug}-{n}"));
    numbered.into_iter().find(|slug| !taken(slug)).unwrap_or_default()
}

fn known(state: &State, id: &str) -> Result<u64, Fail> {
    let id = id.parse().ok().filter(|id| state.posts.contains_key(id));
    id.ok_or_else(Fail::invalid_post)
}

fn post_json(state: &State, call: &Call, id: u64, edit: bool) -> Value {
    let post = &state.posts[&id];
    let link = match post.status.as_str() {
        "publish" => format!("{}/posts/wordpress/{id}", call.origin),
        _ => format!("{}/wordpress/?p={id}", call.origin),
    };
    let mut content = rendered(&post.content, paragraphs(&post.content), edit);
    content["protected"] = json!(false);
    let mut short = rendered(&post.excerpt, excerpt(&post.excerpt, &post.content), edit);
    short["protected"] = json!(false);
    let title = match post.status.as_str() {
        "private" => format!("Private: {}", textured(&post.title)),
        _ => textured(&post.title),
    };
    let guid = format!("{}/wordpress/?p={id}", call.origin);
    if edit {
        content["block_version"] = json!(u8::from(post.content.contains("<!-- wp:")));
    }
    let mut json = json!({
        "id": id,
        "date": local(post.date),
        "date_gmt": local(post.date),
        "guid": rendered(&guid, guid.clone(), edit),
        "modified": local(post.modified),
        "modified_gmt": local(post.modified),
        "slug": post.slug,
        "status": post.status,
        "type": "post",
        "link": link,
        "title": rendered(&post.title, title, edit),
        "content": content,
        "excerpt": short,
        "author": user_id(&post.author),
        "featured_media": post.featured,
        "comment_status": post.comment_status,
        "ping_status": "open",
        "sticky": post.sticky,
        "template": "",
        "format": "standard",
        "meta": [],
        "categories": post.categories,
        "tags": post.tags,
    });
    if edit {
        json["password"] = json!("");
        let slug = match slug_of(&post.title) {
            empty if empty.is_empty() => format!("{id}-2"),
            slug => slug,
        };
        json["generated_slug"] = json!(free_slug(state, id, &slug));
        json["permalink_template"] = json!(format!("{}/posts/wordpress/{id}", call.origin));
    }
    json
}

fn is_edit(call: &Call, user: Option<&str>) -> Result<bool, Fail> {
    let edit = call.text("context").as_deref() == Some("edit");
    if edit && user.is_none() {
        let message = "Sorry, you are not allowed to edit posts in this post type.";
        return Err(Fail::new(401, "rest_forbidden_context", message));
    }
    Ok(edit)
}

fn show_post(world: &World, call: &Call, user: Option<&str>, id: &str) -> Result<Answer, Fail> {
    let state = lock(&world.states.wordpress);
    let id = known(&state, id)?;
    let edit = is_edit(call, user)?;
    if state.posts[&id].status != "publish" {
        signed_in(user, "rest_forbidden", "do that")?;
    }
    Ok(Answer::json(200, &post_json(&state, call, id, edit)))
}

fn list_posts(world: &World, call: &Call, user: Option<&str>) -> Result<Answer, Fail> {
    let state = lock(&world.states.wordpress);
    let page = Page::of(call)?;
    let edit = is_edit(call, user)?;
    let mut statuses = comma_list(call, "status");
    if statuses.is_empty() {
        statuses.push("publish".to_owned());
    }
    for status in &statuses {
        if !["any", "trash"].contains(&status.as_str()) && !STATUSES.contains(&status.as_str()) {
            let message = "status[0] is not one of publish, future, draft, pending, private, trash, \
                           auto-draft, inherit, request-pending, request-confirmed, \
                           request-failed, request-completed, and any.";
            return Err(Fail::parameter("status", "rest_not_in_enum", message));
        }
        if status != "publish" && user.is_none() {
            return Err(Fail::parameter("status", "rest_forbidden_status", "Status is forbidden."));
        }
    }
    let any = statuses.iter().any(|status| status == "any");
    let search = call.text("search").unwrap_or_default().to_lowercase();
    let bound = |name: &str| match call.text(name) {
        None => Ok(None),
        Some(text) => date(&text)
            .map(Some)
            .ok_or_else(|| Fail::parameter(name, "rest_invalid_date", "Invalid date.")),
    };
    let (after, before) = (bound("after")?, bound("before")?);
    let authors = comma_list(call, "author");
    let include = comma_list(call, "include");
    let slugs = comma_list(call, "slug");
    let wanted = |id: &u64| {
        let post = &state.posts[id];
        let status = match any {
            true => post.status != "trash",
            false => statuses.contains(&post.status),
        };
        status
            && after.is_none_or(|after| post.date > after)
            && before.is_none_or(|before| post.date < before)
            && (authors.is_empty() || authors.contains(&user_id(&post.author).to_string()))
            && (include.is_empty() || include.contains(&id.to_string()))
            && (search.is_empty()
                || post.title.to_lowercase().contains(&search)
                || post.content.to_lowercase().contains(&search))
    };
    let mut found: Vec<u64> = if slugs.is_empty() {
        state.by_date.iter().map(|(_, id)| *id).filter(wanted).collect()
    } else {
        let ids = slugs.iter().filter_map(|slug| state.slugs.get(slug)).flatten().copied();
        let mut ids: Vec<u64> = ids.filter(wanted).collect();
        ids.sort_by_key(|id| (state.posts[id].date, *id));
        ids
    };
    if call.text("order").as_deref() != Some("asc") {
        found.reverse();
    }
    page.answer(found.len(), found, |id| post_json(&state, call, *id, edit))
}

fn delete_post(world: &World, call: &Call, user: Option<&str>, id: &str) -> Result<Answer, Fail> {
    let mut state = lock(&world.states.wordpress);
    let id = known(&state, id)?;
    signed_in(user, "rest_cannot_delete", "delete this post")?;
    if call.flag("force") == Some(true) {
        let previous = post_json(&state, call, id, true);
        state.forget(id);
        world.ledger.vanish(Network::Wordpress, &id.to_string(), call.now);
        return Ok(Answer::json(200, &json!({ "deleted": true, "previous": previous })));
    }
    let mut post = state.posts[&id].clone();
    if post.status == "trash" {
        let message = "The post has already been deleted.";
        return Err(Fail::new(410, "rest_already_trashed", message));
    }
    post.status = "trash".to_owned();
    post.slug = format!("{}{TRASHED}", post.slug);
    post.modified = call.now;
    state.put(world, id, post, call.now);
    Ok(Answer::json(200, &post_json(&state, call, id, true)))
}

// Lists

fn comma_list(call: &Call, name: &str) -> Vec<String> {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match call.text(name) {
        Some(list) => list
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect(),
        None => call.list(name).into_iter().map(text).collect(),
    }
}

struct Page {
    number: usize,
    size: usize,
}

impl Page {
    fn of(call: &Call) -> Result<Self, Fail> {
        let read = |name: &str, default: usize, most: usize| match call.text(name) {
            None => Ok(default),
            Some(text) => {
                let number = text.parse().ok().filter(|n| (1..=most).contains(n));
                let message =
                    format!("{name} must be between 1 (inclusive) and {most} (inclusive)");
                number.ok_or_else(|| Fail::parameter(name, "rest_out_of_bounds", &message))
            }
        };
        Ok(Self { number: read("page", 1, usize::MAX)?, size: read("per_page", 10, 100)? })
    }

    fn answer<T>(
        &self,
        total: usize,
        items: Vec<T>,
        json: impl Fn(&T) -> Value,
    ) -> Result<Answer, Fail> {
        let pages = total.div_ceil(self.size);
        if self.number > pages.max(1) {
            let message = "The page number requested is larger than the number of pages available.";
            return Err(Fail::new(400, "rest_post_invalid_page_number", message));
        }
        let shown = items.iter().skip((self.number - 1) * self.size).take(self.size);
        let body = Value::Array(shown.map(json).collect());
        Ok(Answer::json(200, &body)
            .header("x-wp-total", &total.to_string())
            .header("x-wp-totalpages", &pages.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_file_names_are_read() {
        assert_eq!(date("2026-11-18T11:06:40"), Some(1_795_000_000_000));
        assert_eq!(date("2026-11-18T12:06:40+01:00"), Some(1_795_000_000_000));
        assert_eq!(date("2026-11-18 11:06:40"), Some(1_795_000_000_000));
        assert_eq!(date("tomorrow"), None);
        assert_eq!(file_name("attachment; filename=\"a b.png\"").as_deref(), Some("a b.png"));
        assert_eq!(file_name("attachment; filename=../x.png").as_deref(), Some("x.png"));
        assert_eq!(file_name("inline"), None);
    }
}
