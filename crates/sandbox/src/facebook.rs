//! Facebook Pages: feed posts, photos and photo stories, under `/facebook/{version}/…`.
//!
//! networks.md §1. The page `{account}` belongs to the token `sandbox-{account}`. Posts may be made
//! unpublished and shown by one flip of `is_published`; comments are the page's own. Not spoken:
//! video, reels and publishing at a later time; they are refused with code 100. Duplicate texts are
//! not refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::graph::{self, Fail, Paging};
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::{Blob, fetch};
use crate::world::{Fields, Network, World, lock, secret_of};

const TEXT_LIMIT: usize = 63_206;
const COMMENT_LIMIT: usize = 8_000;
const PHOTO_LIMIT: usize = 4 << 20;
const INSIGHTS: [&str; 5] = [
    "post_total_media_view_unique",
    "post_media_view",
    "post_clicks",
    "post_clicks_by_type",
    "post_reactions_by_type_total",
];

#[derive(Default)]
pub(crate) struct State {
    /// By `{page}_{post}`.
    posts: HashMap<String, Post>,
    photos: HashMap<String, Photo>,
    pages: HashMap<String, Page>,
    comments: HashMap<String, Comment>,
    last_id: u64,
}

/// What a page shows, by the time of publication.
#[derive(Default)]
struct Page {
    posts: BTreeMap<(i64, String), ()>,
    stories: BTreeMap<(i64, String), ()>,
}

struct Post {
    account: String,
    message: String,
    link: Option<String>,
    photos: Vec<String>,
    story: bool,
    published: bool,
    created: i64,
    updated: i64,
    comments: BTreeSet<(i64, String)>,
}

struct Comment {
    account: String,
    post: String,
    message: String,
    created: i64,
}

struct Photo {
    account: String,
    blob: Blob,
    caption: String,
    alt: String,
    created: i64,
    /// The post that shows it.
    post: Option<String>,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("pageId", account.to_owned()), ("accessToken", secret_of(account))]
}

pub(crate) fn aim(_: &World, call: &Call) -> Aim {
    let shown = call.flag("published") != Some(false);
    let kind = match (&call.method, graph::segments(call).as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (_, [_, "feed" | "photos"]) if shown => Calls::Publish,
        (_, [_, "photo_stories" | "comments"]) => Calls::Publish,
        (_, [_]) if call.flag("is_published") == Some(true) => Calls::Publish,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: graph::token_account(call) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    let account = graph::token_account(call);
    graph::finish(handle(world, call).await, account.as_deref(), "pages")
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    graph::refuse(call, refusal, 32, "pages")
}

async fn handle(world: &World, call: &Call) -> Result<Value, Fail> {
    let account = graph::authorized(call)?;
    let segments = graph::segments(call);
    // `me` is the page that the token belongs to.
    let node = match segments.first() {
        Some(&"me") => account.as_str(),
        Some(node) => node,
        None => return Err(Fail::missing(call, "")),
    };
    let own_page = node == account;
    match (call.method.as_str(), &segments[1..]) {
        ("GET", ["accounts"]) if segments[0] == "me" => list_pages(call, &account),
        ("GET", ["permissions"]) if segments[0] == "me" => Ok(permissions()),
        ("GET", []) if own_page => {
            graph::select(call, &page_json(call, &account), "Page", &["id", "name"])
        }
        ("POST", ["feed"]) => {
            own(own_page)?;
            create_post(world, call, account)
        }
        ("POST", ["photos"]) => {
            own(own_page)?;
            create_photo(world, call, account).await
        }
        ("POST", ["photo_stories"]) => {
            own(own_page)?;
            create_story(world, call, account)
        }
        ("POST", ["comments"]) => comment(world, call, &account, node),
        ("GET", ["comments"]) => list_comments(world, call, &account, node),
        ("POST", ["videos" | "video_reels" | "video_stories"]) => {
            Err(Fail::parameter(format!("The sandbox does not speak {}", segments[1])))
        }
        ("GET", ["published_posts" | "posts" | "feed"]) if own_page => {
            list_posts(world, call, &account)
        }
        ("GET", ["stories"]) if own_page => list_stories(world, call, &account),
        ("GET", ["insights"]) => insights(world, call, node),
        ("GET", []) => show(world, call, &account, node),
        ("POST", []) => change(world, call, &account, node),
        ("DELETE", []) => delete(world, call, &account, node),
        _ => Err(Fail::missing(call, node)),
    }
}

fn own(own_page: bool) -> Result<(), Fail> {
    let message = "(#200) The user hasn't authorized the application to perform this action";
    if own_page { Ok(()) } else { Err(Fail::new(200, message)) }
}

// Pages

fn list_pages(call: &Call, account: &str) -> Result<Value, Fail> {
    let fields = ["access_token", "category", "name", "id", "tasks"];
    let page = graph::select(call, &page_json(call, account), "Page", &fields)?;
    Ok(json!({
        "data": [page],
        "paging": { "cursors": { "before": account, "after": account } },
    }))
}

fn page_json(call: &Call, account: &str) -> Value {
    json!({
        "id": account,
        "name": account,
        "username": account,
        "access_token": format!("sandbox-{account}"),
        "category": "Website",
        "tasks": ["ANALYZE", "ADVERTISE", "MODERATE", "CREATE_CONTENT", "MANAGE"],
        "link": format!("{}/?network=facebook&account={account}", call.origin),
        "picture": { "data": { "height": 200, "width": 200, "is_silhouette": true, "url": "" } },
        "instagram_business_account": { "id": account },
        "followers_count": 0,
        "fan_count": 0,
        "is_published": true,
        "verification_status": "not_verified",
    })
}

fn permissions() -> Value {
    let granted = [
        "pages_show_list",
        "pages_manage_posts",
        "pages_read_engagement",
        "pages_manage_engagement",
        "read_insights",
        "business_management",
        "instagram_basic",
        "instagram_content_publish",
        "instagram_manage_insights",
    ];
    let data = granted.map(|name| json!({ "permission": name, "status": "granted" }));
    json!({ "data": data })
}

// Publishing

impl State {
    fn id(&mut self, now: i64) -> String {
        graph::next_id(&mut self.last_id, now, 100)
    }

    /// Stores a post; a published one is shown from now on.
    fn insert(&mut self, world: &World, id: &str, post: Post) {
        let published = post.published;
        for photo in &post.photos {
            if let Some(photo) = self.photos.get_mut(photo) {
                photo.post = Some(id.to_owned());
            }
        }
        self.posts.insert(id.to_owned(), post);
        if published {
            self.publish(world, id);
        }
    }

    fn publish(&mut self, world: &World, id: &str) {
        let Some(post) = self.posts.get(id) else { return };
        let page = self.pages.entry(post.account.clone()).or_default();
        let shelf = if post.story { &mut page.stories } else { &mut page.posts };
        shelf.insert((post.created, id.to_owned()), ());
        let post = Appeared {
            id: id.to_owned(),
            account: &post.account,
            placement: if post.story { "story" } else { "feed" },
            reply_to: None,
            text: post.message.clone(),
            media: self.shown(post),
            at: post.created,
        };
        world.ledger.appear(Network::Facebook, post);
    }

    fn shown(&self, post: &Post) -> Vec<LedgerMedia> {
        let photos = post.photos.iter().filter_map(|id| self.photos.get(id));
        let mut media: Vec<_> = photos.map(|photo| photo.blob.in_ledger(&photo.alt)).collect();
        media.extend(post.link.as_deref().map(|link| LedgerMedia::link(link, link)));
        media
    }
}

fn create_post(world: &World, call: &Call, account: String) -> Result<Value, Fail> {
    refuse_later(call)?;
    let message = message(call, "message")?.unwrap_or_default();
    let link = call.text("link").filter(|link| !link.is_empty());
    if let Some(link) = &link {
        check_link(link)?;
    }
    let asked = attached_media(call)?;
    if message.trim().is_empty() && link.is_none() && asked.is_empty() {
        return Err(Fail::parameter("The status you are trying to publish is empty"));
    }
    let mut state = lock(&world.states.facebook);
    for photo in &asked {
        let known = state.photos.get(photo).filter(|photo| photo.account == account);
        let known = known.ok_or_else(|| {
            Fail::parameter(format!("Invalid media_fbid in attached_media: {photo}"))
        })?;
        if known.post.is_some() {
            return Err(Fail::parameter("These photos were already posted").sub(1_366_051));
        }
    }
    let id = format!("{account}_{}", state.id(call.now));
    let post = Post {
        account,
        message,
        link,
        photos: asked,
        story: false,
        published: call.flag("published") != Some(false),
        created: call.now,
        updated: call.now,
        comments: BTreeSet::new(),
    };
    state.insert(world, &id, post);
    graph::select(call, &post_json(&state, call, &id), "Post", &["id"])
}

/// The ids in `attached_media`: a JSON array, or indexed fields of JSON or of `[media_fbid]`.
fn attached_media(call: &Call) -> Result<Vec<String>, Fail> {
    let unreadable = || Fail::parameter("attached_media must be an array of {media_fbid}");
    let items = match call.nested("attached_media") {
        Some(Value::Array(items)) => items,
        Some(_) => return Err(unreadable()),
        None if call.value("attached_media").is_some() => return Err(unreadable()),
        None => {
            let mut items: Vec<(usize, Value)> = Vec::new();
            for (name, text) in call.form.iter().chain(&call.query) {
                let Some(rest) = name.strip_prefix("attached_media[") else { continue };
                let (index, rest) = rest.split_once(']').ok_or_else(unreadable)?;
                let index = index.parse().map_err(|_| unreadable())?;
                let item = match rest {
                    "" => serde_json::from_str(text).map_err(|_| unreadable())?,
                    "[media_fbid]" => json!({ "media_fbid": text }),
                    _ => return Err(unreadable()),
                };
                items.push((index, item));
            }
            items.sort_by_key(|(index, _)| *index);
            items.into_iter().map(|(_, item)| item).collect()
        }
    };
    let id = |item: Value| match item {
        Value::String(text) => {
            serde_json::from_str::<Value>(&text).ok()?["media_fbid"].as_str().map(str::to_owned)
        }
        item => match &item["media_fbid"] {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        },
    };
    items.into_iter().map(|item| id(item).ok_or_else(unreadable)).collect()
}

fn message(call: &Call, name: &str) -> Result<Option<String>, Fail> {
    let text = call.text(name);
    if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_LIMIT) {
        return Err(Fail::parameter(format!(
            "Param {name} must be no more than {TEXT_LIMIT} characters long"
        )));
    }
    Ok(text)
}

fn check_link(link: &str) -> Result<(), Fail> {
    let url = url::Url::parse(link).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| Fail::parameter("link URL is not properly formatted"))?;
    let host = url.host_str().unwrap_or_default();
    if host == "facebook.com" || host.ends_with(".facebook.com") {
        return Err(Fail::parameter("Posts can't link to facebook.com").sub(1_609_008));
    }
    Ok(())
}

fn refuse_later(call: &Call) -> Result<(), Fail> {
    match call.text("scheduled_publish_time") {
        Some(_) => Err(Fail::parameter("The sandbox does not publish at a later time")),
        None => Ok(()),
    }
}

async fn create_photo(world: &World, call: &Call, account: String) -> Result<Value, Fail> {
    refuse_later(call)?;
    let caption = match message(call, "caption")? {
        Some(caption) => caption,
        None => message(call, "message")?.unwrap_or_default(),
    };
    let bytes = match (call.file("source"), call.text("url")) {
        (Some(file), _) => file.bytes.clone(),
        (None, Some(url)) => {
            let unread = "The URL of the photo could not be read";
            fetch(world, &url).await.map_err(|_| Fail::parameter(unread).sub(2_061_006))?
        }
        (None, None) => return Err(Fail::parameter("Requires either url or source")),
    };
    let blob = world.blobs.keep(&bytes);
    let accepted = blob.kind.is_some_and(|kind| matches!(kind.mime, "image/jpeg" | "image/png"));
    if !accepted || blob.size > PHOTO_LIMIT {
        let message = "Photos should be smaller than 4 MB and saved as JPG or PNG.";
        return Err(Fail::parameter(message).sub(1_366_046));
    }
    let mut state = lock(&world.states.facebook);
    let id = state.id(call.now);
    let photo = Photo {
        account: account.clone(),
        blob,
        caption: caption.clone(),
        alt: call.text("alt_text_custom").unwrap_or_default(),
        created: call.now,
        post: None,
    };
    state.photos.insert(id.clone(), photo);
    if call.flag("published") == Some(false) {
        return Ok(json!({ "id": id }));
    }
    let post_id = format!("{account}_{}", state.id(call.now));
    let post = Post {
        account,
        message: caption,
        link: None,
        photos: vec![id.clone()],
        story: false,
        published: true,
        created: call.now,
        updated: call.now,
        comments: BTreeSet::new(),
    };
    state.insert(world, &post_id, post);
    Ok(json!({ "id": id, "post_id": post_id }))
}

fn create_story(world: &World, call: &Call, account: String) -> Result<Value, Fail> {
    let photo = call.text("photo_id").ok_or_else(|| Fail::parameter("photo_id is required"))?;
    let mut state = lock(&world.states.facebook);
    let known = state.photos.get(&photo).filter(|photo| photo.account == account);
    let known = known.ok_or_else(|| Fail::missing(call, &photo))?;
    if known.post.is_some() {
        return Err(Fail::parameter("These photos were already posted").sub(1_366_051));
    }
    let post_id = state.id(call.now);
    let id = format!("{account}_{post_id}");
    let post = Post {
        account,
        message: String::new(),
        link: None,
        photos: vec![photo],
        story: true,
        published: true,
        created: call.now,
        updated: call.now,
        comments: BTreeSet::new(),
    };
    state.insert(world, &id, post);
    Ok(json!({ "success": true, "post_id": id }))
}

// Comments

fn comment(world: &World, call: &Call, account: &str, on: &str) -> Result<Value, Fail> {
    let message = call.text("message").unwrap_or_default();
    if message.trim().is_empty() {
        return Err(Fail::parameter("A comment needs a message or an attachment"));
    }
    if message.chars().count() > COMMENT_LIMIT {
        return Err(Fail::parameter("The comment is too long"));
    }
    let mut state = lock(&world.states.facebook);
    let of_post = on.rsplit_once('_').map_or(on, |(_, post)| post).to_owned();
    let id = format!("{of_post}_{}", state.id(call.now));
    let post = state.posts.get_mut(on).filter(|post| post.account == account && post.published);
    let post = post.ok_or_else(|| Fail::missing(call, on))?;
    post.comments.insert((call.now, id.clone()));
    world.ledger.appear(
        Network::Facebook,
        Appeared {
            id: id.clone(),
            account,
            placement: "comment",
            reply_to: Some(on.to_owned()),
            text: message.clone(),
            media: Vec::new(),
            at: call.now,
        },
    );
    let comment =
        Comment { account: account.to_owned(), post: on.to_owned(), message, created: call.now };
    let node = comment_json(call, &id, &comment);
    state.comments.insert(id, comment);
    graph::select(call, &node, "Comment", &["id"])
}

fn comment_json(call: &Call, id: &str, comment: &Comment) -> Value {
    json!({
        "id": id,
        "message": comment.message,
        "created_time": graph::time(comment.created),
        "permalink_url": format!("{}/posts/facebook/{id}", call.origin),
        "from": { "id": comment.account, "name": comment.account },
        "object": { "id": comment.post },
        "can_remove": true,
        "like_count": 0,
        "comment_count": 0,
    })
}

/// Oldest first, unless asked for otherwise.
fn list_comments(world: &World, call: &Call, account: &str, on: &str) -> Result<Value, Fail> {
    let paging = Paging::of(call)?;
    let state = lock(&world.states.facebook);
    let post = state.posts.get(on).filter(|post| post.account == account);
    let post = post.ok_or_else(|| Fail::missing(call, on))?;
    let mut ids: Vec<&String> = post.comments.iter().map(|(_, id)| id).collect();
    if call.text("order").as_deref() == Some("reverse_chronological") {
        ids.reverse();
    }
    let from = paging.after.as_ref().and_then(|after| ids.iter().position(|id| *id == after));
    let mut nodes = Vec::new();
    for id in ids.into_iter().skip(from.map_or(0, |at| at + 1)).take(paging.limit + 1) {
        let Some(comment) = state.comments.get(id) else { continue };
        let default = ["created_time", "from", "message", "id"];
        nodes.push(graph::select(call, &comment_json(call, id, comment), "Comment", &default)?);
    }
    Ok(paging.page(call, nodes))
}

// Reading, changing and deleting

fn post_json(state: &State, call: &Call, id: &str) -> Value {
    let post = &state.posts[id];
    let photos = post.photos.iter().filter_map(|id| Some((id, state.photos.get(id)?)));
    let items: Vec<Value> = photos
        .map(|(id, photo)| {
            json!({
                "media_type": "photo",
                "type": "photo",
                "description": photo.alt,
                "target": { "id": id },
                "media": { "image": {
                    "src": format!("{}{}", call.origin, photo.blob.path()),
                    "width": photo.blob.kind.map_or(0, |kind| kind.width),
                    "height": photo.blob.kind.map_or(0, |kind| kind.height),
                }},
            })
        })
        .collect();
    let picture = items.first().map(|item| item["media"]["image"]["src"].clone());
    let attachments = match (items.len(), &post.link) {
        (0, None) => Value::Null,
        (0, Some(link)) => json!({ "data": [{ "type": "share", "title": link, "url": link }] }),
        (1, _) => json!({ "data": items }),
        _ => json!({ "data": [{ "type": "album", "subattachments": { "data": items } }] }),
    };
    let none = json!({ "data": [], "summary": { "total_count": 0 } });
    json!({
        "id": id,
        "message": if post.message.is_empty() { None } else { Some(&post.message) },
        "created_time": graph::time(post.created),
        "updated_time": graph::time(post.updated),
        "permalink_url": format!("{}/posts/facebook/{id}", call.origin),
        "is_published": post.published,
        "is_hidden": false,
        "status_type": if post.photos.is_empty() { "mobile_status_update" } else { "added_photos" },
        "from": { "id": post.account, "name": post.account },
        "full_picture": picture,
        "attachments": attachments,
        "shares": null,
        "reactions": none,
        "comments": none,
        "likes": none,
    })
}

fn photo_json(call: &Call, id: &str, photo: &Photo) -> Value {
    let (width, height) = photo.blob.kind.map_or((0, 0), |kind| (kind.width, kind.height));
    let source = format!("{}{}", call.origin, photo.blob.path());
    json!({
        "id": id,
        "name": if photo.caption.is_empty() { None } else { Some(&photo.caption) },
        "alt_text_custom": if photo.alt.is_empty() { None } else { Some(&photo.alt) },
        "created_time": graph::time(photo.created),
        "width": width,
        "height": height,
        "images": [{ "height": height, "width": width, "source": source }],
        "source": source,
        "link": format!("{}/posts/facebook/{}", call.origin, photo.post.as_deref().unwrap_or(id)),
        "page_story_id": photo.post,
        "from": { "id": photo.account, "name": photo.account },
    })
}

fn show(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Fail> {
    let state = lock(&world.states.facebook);
    if let Some(post) = state.posts.get(id) {
        if post.account != account {
            return Err(Fail::missing(call, id));
        }
        let fields = ["created_time", "message", "id"];
        return graph::select(call, &post_json(&state, call, id), "Post", &fields);
    }
    if let Some(comment) = state.comments.get(id).filter(|comment| comment.account == account) {
        let default = ["created_time", "from", "message", "id"];
        return graph::select(call, &comment_json(call, id, comment), "Comment", &default);
    }
    let photo = state.photos.get(id).filter(|photo| photo.account == account);
    let photo = photo.ok_or_else(|| Fail::missing(call, id))?;
    graph::select(call, &photo_json(call, id, photo), "Photo", &["created_time", "name", "id"])
}

fn list_posts(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let paging = Paging::of(call)?;
    let state = lock(&world.states.facebook);
    let mut nodes = Vec::new();
    if let Some(page) = state.pages.get(account) {
        for (_, id) in newest(&page.posts, &state, &paging).take(paging.limit + 1) {
            let node = post_json(&state, call, id);
            nodes.push(graph::select(call, &node, "Post", &["created_time", "message", "id"])?);
        }
    }
    Ok(paging.page(call, nodes))
}

/// What the page asks for, newest first.
fn newest<'s>(
    shelf: &'s BTreeMap<(i64, String), ()>,
    state: &State,
    paging: &Paging,
) -> impl Iterator<Item = &'s (i64, String)> + use<'s> {
    let after =
        paging.after.as_ref().and_then(|id| Some((state.posts.get(id)?.created, id.clone())));
    let until = paging.until.map(|until| (until, String::new()));
    let end = match (after, until) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let start = paging.since.map_or((i64::MIN, String::new()), |since| (since, String::new()));
    let end = end.unwrap_or((i64::MAX, String::new()));
    let range = (start < end).then(|| shelf.range(start..end));
    range.into_iter().flatten().rev().map(|(key, ())| key)
}

fn list_stories(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let paging = Paging::of(call)?;
    let state = lock(&world.states.facebook);
    let Some(page) = state.pages.get(account) else { return Ok(json!({ "data": [] })) };
    let stories = newest(&page.stories, &state, &paging).take(paging.limit).map(|(at, id)| {
        json!({
            "post_id": id,
            "status": "PUBLISHED",
            "creation_time": at.div_euclid(1_000).to_string(),
            "media_type": "photo",
            "media_id": state.posts[id].photos.first(),
            "url": format!("{}/posts/facebook/{id}", call.origin),
        })
    });
    Ok(json!({ "data": stories.collect::<Vec<_>>() }))
}

/// Nobody reads along here, so every figure is 0; an unknown metric fails the whole call.
fn insights(world: &World, call: &Call, id: &str) -> Result<Value, Fail> {
    let asked = call.text("metric").unwrap_or_default();
    if let Some(unknown) = asked.split(',').find(|metric| !INSIGHTS.contains(metric)) {
        return Err(Fail::parameter(format!(
            "The value must be a valid insights metric: {unknown}"
        )));
    }
    if !lock(&world.states.facebook).posts.contains_key(id) {
        return Err(Fail::missing(call, id));
    }
    let data = asked.split(',').map(|metric| {
        let value = if metric.contains("by_type") { json!({}) } else { json!(0) };
        json!({
            "name": metric,
            "period": "lifetime",
            "values": [{ "value": value }],
            "id": format!("{id}/insights/{metric}/lifetime"),
        })
    });
    Ok(json!({ "data": data.collect::<Vec<_>>() }))
}

/// Edits the message, or shows a post that was made unpublished. Showing it again changes nothing.
fn change(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Fail> {
    let message = message(call, "message")?;
    let mut state = lock(&world.states.facebook);
    let post = state.posts.get_mut(id).filter(|post| post.account == account);
    let post = post.ok_or_else(|| Fail::missing(call, id))?;
    if call.flag("is_published") == Some(false) && post.published {
        return Err(Fail::parameter("A published post can't be made unpublished"));
    }
    if let Some(message) = message {
        post.message = message;
        post.updated = call.now;
    }
    let text = post.message.clone();
    if call.flag("is_published") == Some(true) && !post.published {
        post.published = true;
        post.created = call.now;
        post.updated = call.now;
        state.publish(world, id);
    } else {
        world.ledger.edit(Network::Facebook, id, |post| post.text = text);
    }
    Ok(json!({ "success": true }))
}

fn delete(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Fail> {
    let mut state = lock(&world.states.facebook);
    if state.comments.get(id).is_some_and(|comment| comment.account == account) {
        if let Some(comment) = state.comments.remove(id)
            && let Some(post) = state.posts.get_mut(&comment.post)
        {
            post.comments.remove(&(comment.created, id.to_owned()));
        }
        world.ledger.vanish(Network::Facebook, id, call.now);
        return Ok(json!({ "success": true }));
    }
    let photo = state.photos.get(id).filter(|photo| photo.account == account);
    // A photo goes with the post that shows it.
    let id = match photo.map(|photo| photo.post.clone()) {
        Some(Some(post)) => post,
        Some(None) => {
            state.photos.remove(id);
            return Ok(json!({ "success": true }));
        }
        None => id.to_owned(),
    };
    if state.posts.get(&id).is_none_or(|post| post.account != account) {
        return Err(Fail::missing(call, &id));
    }
    if let Some(post) = state.posts.remove(&id) {
        for photo in &post.photos {
            state.photos.remove(photo);
        }
        for (_, comment) in &post.comments {
            state.comments.remove(comment);
            world.ledger.vanish(Network::Facebook, comment, call.now);
        }
        if let Some(page) = state.pages.get_mut(account) {
            let key = (post.created, id.clone());
            page.posts.remove(&key);
            page.stories.remove(&key);
        }
    }
    world.ledger.vanish(Network::Facebook, &id, call.now);
    Ok(json!({ "success": true }))
}
