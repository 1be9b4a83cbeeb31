//! Facebook Pages: feed posts, photos, videos, reels and stories, under `/facebook/{version}/…`,
//! and the upload server's `/facebook/video-upload/…`.
//!
//! networks.md §1. The page `{account}` belongs to the token `sandbox-{account}`. Posts may be made
//! unpublished and shown by one flip of `is_published`; comments are the page's own. A video or
//! reel is shown twenty seconds after its upload was finished, and a video story can be finished
//! ten seconds after its last byte. Not spoken: publishing at a later time, which is refused with
//! code 100. Duplicate texts are not refused. Links are not looked at; those to hosts in `.invalid`
//! are taken for ones that cannot be read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::film::{self, Upload};
use crate::graph::{self, Bearer, Fail, Keys, Paging};
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::{Blob, fetch};
use crate::oauth::{Refresh, Rules, SecretIn};
use crate::world::{Fields, Network, World, lock, secret_of};

const TEXT_LIMIT: usize = 63_206;
const COMMENT_LIMIT: usize = 8_000;
const PHOTO_LIMIT: usize = 4 << 20;
/// How much of a video is asked for at once.
const CHUNK: usize = 64 << 10;
/// From the last byte of a video story to when it can be shown, and from the end of any other
/// upload to when it is, half and whole.
const PROCESSING: i64 = 20_000;
const REELS_A_DAY: usize = 30;
const DAY: i64 = 86_400_000;
const RULES: Rules = Rules {
    name: "Facebook",
    authorize: "v25.0/dialog/oauth",
    token: "v25.0/oauth/access_token",
    id_param: "client_id",
    secret: SecretIn::Body,
    grant_type: true,
    pkce: false,
    separator: ',',
    code_ms: 3_600_000,
    access_ms: Some(5_400_000),
    refresh: Refresh::Never,
};
const PERMISSIONS: [&str; 6] = [
    "pages_show_list",
    "pages_manage_posts",
    "pages_read_engagement",
    "pages_manage_engagement",
    "read_insights",
    "business_management",
];
const INSIGHTS: [&str; 5] = [
    "post_total_media_view_unique",
    "post_media_view",
    "post_clicks",
    "post_clicks_by_type",
    "post_reactions_by_type_total",
];

#[derive(Default)]
pub(crate) struct State {
    keys: Keys,
    /// By `{page}_{post}`.
    posts: HashMap<String, Post>,
    photos: HashMap<String, Photo>,
    videos: HashMap<String, Video>,
    /// The videos of the sessions of chunked uploads.
    sessions: HashMap<String, String>,
    /// Videos that are shown at a time.
    due: BTreeSet<(i64, String)>,
    pages: HashMap<String, Page>,
    comments: HashMap<String, Comment>,
    last_id: u64,
}

/// What a page shows, by the time of publication.
#[derive(Default)]
struct Page {
    posts: BTreeMap<(i64, String), ()>,
    stories: BTreeMap<(i64, String), ()>,
    /// When reels were published.
    reels: BTreeSet<(i64, String)>,
}

struct Post {
    account: String,
    message: String,
    link: Option<String>,
    photos: Vec<String>,
    video: Option<String>,
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

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Video,
    Reel,
    Story,
}

struct Video {
    account: String,
    kind: Kind,
    upload: Upload,
    /// The whole of it, once it is there.
    blob: Option<Blob>,
    /// When its last byte came.
    uploaded: i64,
    title: String,
    description: String,
    /// When its upload was finished, and whether it is to be shown.
    finished: Option<(i64, bool)>,
    created: i64,
    /// The post that shows it.
    post: Option<String>,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("pageId", account.to_owned()), ("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let shown = call.flag("published") != Some(false);
    let ends = matches!(call.text("upload_phase").as_deref(), None | Some("finish"));
    let kind = match (&call.method, graph::segments(call).as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (_, ["video-upload", ..]) => Calls::Prepare,
        (_, [_, "feed" | "photos"]) if shown => Calls::Publish,
        (_, [_, "videos" | "video_reels" | "video_stories"]) if shown && ends => Calls::Publish,
        (_, [_, "photo_stories" | "comments"]) => Calls::Publish,
        (_, [_]) if call.flag("is_published") == Some(true) => Calls::Publish,
        (&Method::POST, [_]) => Calls::Edit,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: lock(&world.states.facebook).keys.account(call) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    tick(world, call.now);
    if let Some(answer) = lock(&world.states.facebook).keys.consent(&RULES, call) {
        return answer;
    }
    let account = lock(&world.states.facebook).keys.account(call);
    let segments = graph::segments(call);
    if let ["video-upload", .., id] = segments.as_slice() {
        return receive(world, call, id).await;
    }
    graph::finish(handle(world, call).await, account.as_deref(), "pages")
}

/// Shows the videos that were processed meanwhile.
pub(crate) fn tick(world: &World, now: i64) {
    let mut state = lock(&world.states.facebook);
    while let Some((at, id)) = state.due.first().filter(|(at, _)| *at <= now).cloned() {
        state.due.remove(&(at, id.clone()));
        state.show_video(world, &id, at);
    }
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    graph::refuse(call, refusal, 32, "pages")
}

async fn handle(world: &World, call: &Call) -> Result<Value, Fail> {
    let bearer = lock(&world.states.facebook).keys.bearer(call)?;
    let segments = graph::segments(call);
    if bearer.is_person {
        return of_person(world, call, &bearer, &segments);
    }
    let account = bearer.account.clone();
    // `me` is the page that the token belongs to.
    let node = match segments.first() {
        Some(&"me") => account.as_str(),
        Some(node) => node,
        None => return Err(Fail::missing(call, "")),
    };
    let own_page = node == account;
    match (call.method.as_str(), &segments[1..]) {
        ("GET", ["accounts"]) if segments[0] == "me" => list_pages(world, call, &bearer),
        ("GET", ["permissions"]) if segments[0] == "me" => Ok(bearer.permissions(&PERMISSIONS)),
        ("GET", []) if own_page => {
            graph::select(call, &page_json(call, &account), "Page", &["id", "name"])
        }
        ("POST", ["feed"]) => {
            own(own_page, &bearer)?;
            create_post(world, call, account)
        }
        ("POST", ["photos"]) => {
            own(own_page, &bearer)?;
            create_photo(world, call, account).await
        }
        ("POST", ["photo_stories"]) => {
            own(own_page, &bearer)?;
            create_story(world, call, account)
        }
        ("POST", ["comments"]) => {
            bearer.needs("pages_manage_engagement")?;
            comment(world, call, &account, node)
        }
        ("GET", ["comments"]) => list_comments(world, call, &account, node),
        ("POST", [edge @ ("videos" | "video_reels" | "video_stories")]) => {
            own(own_page, &bearer)?;
            let kind = match *edge {
                "videos" => Kind::Video,
                "video_reels" => Kind::Reel,
                _ => Kind::Story,
            };
            match call.text("upload_phase").as_deref() {
                Some("start") => start_video(world, call, account, kind),
                Some("transfer") if kind == Kind::Video => transfer(world, call, &account),
                Some("finish") => finish_video(world, call, &account, kind),
                None if kind == Kind::Video => create_video(world, call, account).await,
                _ => Err(Fail::parameter("upload_phase must be one of {start, finish}")),
            }
        }
        ("GET", ["published_posts" | "posts" | "feed"]) if own_page => {
            list_posts(world, call, &account)
        }
        ("GET", ["stories"]) if own_page => list_stories(world, call, &account),
        ("GET", ["insights"]) => {
            bearer.needs("read_insights")?;
            insights(world, call, node)
        }
        ("GET", []) => show(world, call, &account, node),
        ("POST", []) => change(world, call, &account, node),
        ("DELETE", []) => delete(world, call, &account, node),
        _ => Err(Fail::missing(call, node)),
    }
}

fn own(own_page: bool, bearer: &Bearer) -> Result<(), Fail> {
    let message = "(#200) The user hasn't authorized the application to perform this action";
    if own_page { bearer.needs("pages_manage_posts") } else { Err(Fail::new(200, message)) }
}

// People and pages

/// What a person's own token is for.
fn of_person(
    world: &World,
    call: &Call,
    person: &Bearer,
    segments: &[&str],
) -> Result<Value, Fail> {
    match (call.method.as_str(), segments) {
        ("GET", ["me"]) => graph::select(call, &person.person(), "User", &["id", "name"]),
        ("GET", ["me", "permissions"]) => Ok(person.permissions(&PERMISSIONS)),
        ("GET", ["me", "accounts"]) => list_pages(world, call, person),
        ("POST", _) => {
            let message = "(#210) A page access token is required to request this resource.";
            Err(Fail::new(210, message))
        }
        (_, [node, ..]) => Err(Fail::missing(call, node)),
        (_, []) => Err(Fail::missing(call, "")),
    }
}

fn list_pages(world: &World, call: &Call, person: &Bearer) -> Result<Value, Fail> {
    let paging = Paging::of(call)?;
    let default = ["access_token", "category", "name", "id", "tasks"];
    let mut state = lock(&world.states.facebook);
    let mut nodes = Vec::new();
    if !person.is_person {
        nodes.push(graph::select(call, &page_json(call, &person.account), "Page", &default)?);
        return Ok(paging.page(call, nodes));
    }
    for managed in state.keys.managed(person) {
        let mut page = page_json(call, &managed.page);
        page["tasks"] = json!(managed.tasks);
        page["access_token"] = json!(state.keys.page_token(&managed.page, person));
        nodes.push(graph::select(call, &page, "Page", &default)?);
    }
    let from = nodes.iter().position(|node| node["id"].as_str() == paging.after.as_deref());
    let rest = nodes.split_off(from.map_or(0, |at| at + 1));
    Ok(paging.page(call, rest.into_iter().take(paging.limit + 1).collect()))
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
            id: seen_as(id, post),
            account: &post.account,
            placement: match post.video.as_ref().and_then(|id| self.videos.get(id)) {
                _ if post.story => "story",
                Some(video) if video.kind == Kind::Reel => "reel",
                Some(_) => "video",
                None => "feed",
            },
            reply_to: None,
            text: post.message.clone(),
            media: self.shown(post),
            at: post.created,
        };
        world.ledger.appear(Network::Facebook, post);
    }

    /// A video or reel as a post of its page.
    fn show_video(&mut self, world: &World, id: &str, at: i64) {
        let Some(video) = self.videos.get_mut(id) else { return };
        let post = format!("{}_{id}", video.account);
        video.post = Some(post.clone());
        let shown = Post {
            account: video.account.clone(),
            message: video.text(),
            link: None,
            photos: Vec::new(),
            video: Some(id.to_owned()),
            story: false,
            published: true,
            created: at,
            updated: at,
            comments: BTreeSet::new(),
        };
        self.insert(world, &post, shown);
    }

    /// The post that shows what this is the id of: a video goes by its own.
    fn post_of<'s>(&'s self, id: &'s str) -> &'s str {
        self.videos.get(id).and_then(|video| video.post.as_deref()).unwrap_or(id)
    }

    fn shown(&self, post: &Post) -> Vec<LedgerMedia> {
        let photos = post.photos.iter().filter_map(|id| self.photos.get(id));
        let mut media: Vec<_> = photos.map(|photo| photo.blob.in_ledger(&photo.alt)).collect();
        let video = post.video.as_ref().and_then(|id| self.videos.get(id));
        media.extend(video.and_then(|video| video.blob.as_ref()).map(|blob| blob.in_ledger("")));
        media.extend(post.link.as_deref().map(|link| LedgerMedia::link(link, link)));
        media
    }
}

/// The id that a post is known by outside: that of its video, where it is one.
fn seen_as(id: &str, post: &Post) -> String {
    post.video.clone().filter(|_| !post.story).unwrap_or_else(|| id.to_owned())
}

fn create_post(world: &World, call: &Call, account: String) -> Result<Value, Fail> {
    refuse_later(call)?;
    let message = message(call, "message")?.unwrap_or_default();
    let link = call.text("link").filter(|link| !link.is_empty());
    if let Some(link) = &link {
        check_link(link)?;
    }
    let asked = attached_media(call)?;
    if link.is_some() && !asked.is_empty() {
        return Err(Fail::parameter("attached_media and link cannot be used together"));
    }
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
        video: None,
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
    if host.ends_with(".invalid") {
        let message = "There was a problem scraping data from the provided link.";
        return Err(Fail::parameter(message).sub(1_609_005));
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
        video: None,
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
    Ok(show_story(&mut state, world, call, &account, Some(photo), None))
}

/// A story of a photo or a video. Its id is answered as a number.
fn show_story(
    state: &mut State,
    world: &World,
    call: &Call,
    account: &str,
    photo: Option<String>,
    video: Option<String>,
) -> Value {
    let number = state.id(call.now);
    let story = Post {
        account: account.to_owned(),
        message: String::new(),
        link: None,
        photos: photo.into_iter().collect(),
        video: video.clone(),
        story: true,
        published: true,
        created: call.now,
        updated: call.now,
        comments: BTreeSet::new(),
    };
    if let Some(video) = video.and_then(|id| state.videos.get_mut(&id)) {
        video.finished = Some((call.now, true));
        video.post = Some(number.clone());
    }
    state.insert(world, &number, story);
    json!({ "success": true, "post_id": number.parse::<u64>().unwrap_or_default() })
}

// Videos

fn start_video(world: &World, call: &Call, account: String, kind: Kind) -> Result<Value, Fail> {
    let size = call.number("file_size").and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size > 0);
    let upload = match (kind, size) {
        (Kind::Video, None) => return Err(Fail::parameter("The parameter file_size is required")),
        (Kind::Video, Some(size)) => Upload::of(size),
        _ => Upload::default(),
    };
    let mut state = lock(&world.states.facebook);
    let id = state.id(call.now);
    let session = state.id(call.now);
    let video = Video {
        account,
        kind,
        upload,
        blob: None,
        uploaded: 0,
        title: String::new(),
        description: String::new(),
        finished: None,
        created: call.now,
        post: None,
    };
    state.videos.insert(id.clone(), video);
    if kind != Kind::Video {
        let url = format!("{}/facebook/video-upload/v25.0/{id}", call.origin);
        return Ok(json!({ "video_id": id, "upload_url": url }));
    }
    state.sessions.insert(session.clone(), id.clone());
    let mut answer = expected(0, size.unwrap_or_default());
    answer["video_id"] = json!(id);
    answer["upload_session_id"] = json!(session);
    Ok(answer)
}

/// The piece of a chunked upload that comes next: none is left when both are equal.
fn expected(from: usize, size: usize) -> Value {
    json!({
        "start_offset": from.to_string(),
        "end_offset": size.min(from + CHUNK).to_string(),
    })
}

/// The video of a chunked upload.
fn of_session(state: &State, call: &Call, account: &str) -> Result<String, Fail> {
    let session = call.text("upload_session_id");
    let session = session.ok_or_else(|| Fail::parameter("upload_session_id is required"))?;
    let id = state.sessions.get(&session);
    let own = id.filter(|id| state.videos.get(*id).is_some_and(|video| video.account == account));
    own.cloned().ok_or_else(|| Fail::new(6_000, "The upload session is not known"))
}

fn transfer(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let mut state = lock(&world.states.facebook);
    let id = of_session(&state, call, account)?;
    let piece = call.file("video_file_chunk");
    let piece = piece.ok_or_else(|| Fail::parameter("video_file_chunk is required"))?;
    let from = call.number("start_offset").and_then(|at| usize::try_from(at).ok());
    let from = from.ok_or_else(|| Fail::parameter("start_offset is required"))?;
    let video = state.videos.get_mut(&id).ok_or_else(|| Fail::missing(call, &id))?;
    let size = video.upload.total.unwrap_or_default();
    let taken = video.upload.take(from, &piece.bytes, size);
    if piece.bytes.len() > CHUNK || taken.is_err() {
        let wanted = expected(video.upload.arrived(), size);
        let message = "There was a problem uploading your video file. Please try again.";
        return Err(Fail::new(6_001, message).sub(1_363_037).data(wanted));
    }
    let answer = expected(video.upload.arrived(), size);
    video.settle(world, call.now);
    Ok(answer)
}

/// What comes to the upload server: bytes, or the address of a file to fetch.
async fn receive(world: &World, call: &Call, id: &str) -> Answer {
    let bearer = lock(&world.states.facebook).keys.bearer(call);
    let own = |state: &State| {
        let account = bearer.as_ref().ok().map(|bearer| bearer.account.as_str());
        state.videos.get(id).is_some_and(|video| Some(video.account.as_str()) == account)
    };
    let fetched = match call.header("file_url") {
        Some(address) => match fetch(world, address).await {
            Ok(bytes) => Some(bytes),
            Err(_) => {
                return graph::unreceived("ProcessingFailedError", "Request processing failed");
            }
        },
        None => None,
    };
    let mut state = lock(&world.states.facebook);
    if !own(&state) {
        let message = "User not authorized to perform this request";
        return graph::unreceived("NotAuthorizedError", message);
    }
    let Some(video) = state.videos.get_mut(id).filter(|v| v.blob.is_none()) else {
        return graph::unreceived("ProcessingFailedError", "Request processing failed");
    };
    let answer = match fetched {
        Some(bytes) => {
            video.upload = Upload::default();
            match video.upload.take(0, &bytes, bytes.len()) {
                Ok(()) => Answer::json(200, &json!({ "success": true })),
                Err(_) => graph::unreceived("ProcessingFailedError", "Request processing failed"),
            }
        }
        None => graph::receive(&mut video.upload, call),
    };
    video.settle(world, call.now);
    answer
}

impl Video {
    /// What its post says.
    fn text(&self) -> String {
        let parts = [self.title.as_str(), self.description.as_str()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("\n\n")
    }

    /// Keeps the file once all of it is there.
    fn settle(&mut self, world: &World, now: i64) {
        if self.upload.is_complete() {
            self.blob = Some(world.blobs.keep(&self.upload.finish()));
            self.upload = Upload::default();
            self.uploaded = now;
        }
    }

    /// Is it what its placement takes?
    fn check(&self, world: &World) -> Result<(), Fail> {
        let blob = self.blob.as_ref();
        let Some(blob) = blob else { return Err(Fail::new(6_000, "Video Upload Is Missing")) };
        let bytes = world.blobs.get(&blob.hash).unwrap_or_default();
        let Some(film) = film::measure(&bytes) else {
            return Err(
                Fail::parameter("The video has a format that is not supported").sub(1_349_125)
            );
        };
        let longest = match self.kind {
            Kind::Video => 14_400,
            Kind::Reel => 90,
            Kind::Story => 60,
        };
        if !film.lasts(if self.kind == Kind::Video { 1 } else { 3 }, longest) {
            return Err(Fail::new(1_363_128, "The duration of this video is unsupported"));
        }
        if self.kind == Kind::Video {
            return Ok(());
        }
        if (film.ratio() - 9.0 / 16.0).abs() > 0.01 {
            return Err(Fail::new(1_363_040, "The aspect ratio of this video is unsupported"));
        }
        if film.width < 540 {
            return Err(Fail::new(1_363_127, "The resolution of this video is unsupported"));
        }
        Ok(())
    }
}

fn finish_video(world: &World, call: &Call, account: &str, kind: Kind) -> Result<Value, Fail> {
    refuse_later(call)?;
    let description = message(call, "description")?.unwrap_or_default();
    let shown = match (kind, call.text("video_state").as_deref()) {
        (Kind::Reel, Some("PUBLISHED")) => true,
        (Kind::Reel, Some("DRAFT")) => false,
        (Kind::Reel, _) => {
            return Err(Fail::parameter("video_state must be one of {DRAFT, PUBLISHED}"));
        }
        _ => call.flag("published") != Some(false),
    };
    let mut state = lock(&world.states.facebook);
    let id = match kind {
        Kind::Video => of_session(&state, call, account)?,
        _ => call.text("video_id").ok_or_else(|| Fail::parameter("video_id is required"))?,
    };
    let own = |video: &&Video| video.account == account && video.kind == kind;
    let video = state.videos.get(&id).filter(own).ok_or_else(|| Fail::missing(call, &id))?;
    if video.finished.is_some() {
        return Err(Fail::parameter("The video has already been published"));
    }
    video.check(world)?;
    if kind == Kind::Story {
        if video.uploaded + PROCESSING / 2 > call.now {
            return Err(Fail::new(1_363_047, "The video is still being processed"));
        }
        return Ok(show_story(&mut state, world, call, account, None, Some(id)));
    }
    if kind == Kind::Reel && shown {
        let page = state.pages.entry(account.to_owned()).or_default();
        let from = (call.now - DAY + 1, String::new());
        if page.reels.range(from..).count() >= REELS_A_DAY {
            let message = "(#613) Calls to this api have exceeded the rate limit: 30 reels a day";
            return Err(Fail::new(613, message));
        }
        page.reels.insert((call.now, id.clone()));
    }
    if let Some(video) = state.videos.get_mut(&id) {
        video.title = call.text("title").unwrap_or_default();
        video.description = description;
        video.finished = Some((call.now, shown));
    }
    if shown {
        state.due.insert((call.now + PROCESSING, id));
    }
    Ok(json!({ "success": true }))
}

/// A video in one request: fetched from an address, or sent along.
async fn create_video(world: &World, call: &Call, account: String) -> Result<Value, Fail> {
    let bytes = match (call.file("source"), call.text("file_url")) {
        (Some(file), _) => file.bytes.clone(),
        (None, Some(url)) => fetch(world, &url)
            .await
            .map_err(|_| Fail::new(389, "(#389) Unable to fetch video file from URL."))?,
        (None, None) => return Err(Fail::parameter("Requires either file_url or source")),
    };
    let description = message(call, "description")?.unwrap_or_default();
    let shown = call.flag("published") != Some(false);
    let video = Video {
        account,
        kind: Kind::Video,
        upload: Upload::default(),
        blob: Some(world.blobs.keep(&bytes)),
        uploaded: call.now,
        title: call.text("title").unwrap_or_default(),
        description,
        finished: Some((call.now, shown)),
        created: call.now,
        post: None,
    };
    video.check(world)?;
    let mut state = lock(&world.states.facebook);
    let id = state.id(call.now);
    state.videos.insert(id.clone(), video);
    if shown {
        state.due.insert((call.now + PROCESSING, id.clone()));
    }
    Ok(json!({ "id": id }))
}

fn video_json(world: &World, call: &Call, id: &str, video: &Video) -> Value {
    let slow = world.faults.still_processing(Network::Facebook, &video.account);
    let phase = |status: &str| json!({ "status": status });
    let (mut sending, mut working, mut showing) =
        (phase("complete"), phase("not_started"), phase("not_started"));
    let status = match (&video.blob, video.finished, &video.post) {
        (None, ..) => {
            sending = phase(if video.upload.arrived() > 0 { "in_progress" } else { "not_started" });
            sending["bytes_transfered"] = json!(video.upload.arrived());
            "uploading"
        }
        (_, _, Some(_)) if !slow => {
            working = phase("complete");
            let time = video.finished.map_or(video.uploaded, |(at, _)| at).div_euclid(1_000);
            showing = json!({
                "status": "complete", "publish_status": "published", "publish_time": time,
            });
            "ready"
        }
        (_, Some((at, shown)), _) if slow || shown || call.now < at + PROCESSING => {
            working = phase("in_progress");
            "processing"
        }
        (_, Some(_), _) => {
            working = phase("complete");
            showing = json!({ "status": "complete", "publish_status": "draft" });
            "ready"
        }
        (_, None, _) if video.kind != Kind::Story => "upload_complete",
        (_, None, _) if slow || video.uploaded + PROCESSING / 2 > call.now => {
            working = phase("in_progress");
            "processing"
        }
        (_, None, _) => {
            working = phase("complete");
            "ready"
        }
    };
    let film = video.blob.as_ref().and_then(|blob| film::measure(&world.blobs.get(&blob.hash)?));
    json!({
        "id": id,
        "title": if video.title.is_empty() { None } else { Some(&video.title) },
        "description": if video.description.is_empty() { None } else { Some(&video.description) },
        "created_time": graph::time(video.created),
        "updated_time": graph::time(video.finished.map_or(video.created, |(at, _)| at)),
        "length": film.map(|film| film.millis as f64 / 1_000.0),
        "published": video.post.is_some(),
        "post_id": video.post,
        // Without its host, as the network gives it.
        "permalink_url": format!("/posts/facebook/{id}"),
        "from": { "id": video.account, "name": video.account },
        "status": {
            "video_status": status,
            "uploading_phase": sending,
            "processing_phase": working,
            "publishing_phase": showing,
        },
    })
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
    let shown_in = state.post_of(on).to_owned();
    let post = state.posts.get_mut(&shown_in);
    let post = post.filter(|post| post.account == account && post.published && !post.story);
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
        Comment { account: account.to_owned(), post: shown_in, message, created: call.now };
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
    let post = state.posts.get(state.post_of(on)).filter(|post| post.account == account);
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
    let video = post.video.as_ref().map(|id| {
        json!({
            "media_type": "video",
            "type": "video_inline",
            "target": { "id": id },
            "url": format!("{}/posts/facebook/{id}", call.origin),
        })
    });
    let items: Vec<Value> = items.into_iter().chain(video).collect();
    let picture = items.first().map(|item| item["media"]["image"]["src"].clone());
    let attachments = match (items.len(), &post.link) {
        (0, None) => Value::Null,
        (0, Some(link)) => json!({ "data": [
            { "media_type": "link", "type": "share", "title": link, "url": link },
        ] }),
        (1, _) => json!({ "data": items }),
        _ => json!({ "data": [{ "type": "album", "subattachments": { "data": items } }] }),
    };
    let none = json!({ "data": [], "summary": { "total_count": 0 } });
    json!({
        "id": id,
        "message": if post.message.is_empty() { None } else { Some(&post.message) },
        "created_time": graph::time(post.created),
        "updated_time": graph::time(post.updated),
        "permalink_url": format!("{}/posts/facebook/{}", call.origin, seen_as(id, post)),
        "is_published": post.published,
        "is_hidden": false,
        "status_type": match (&post.video, post.photos.is_empty()) {
            (Some(_), _) => "added_video",
            (None, false) => "added_photos",
            (None, true) => "mobile_status_update",
        },
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
        let told = world.numbers(Network::Facebook, id);
        let mut node = post_json(&state, call, id);
        node["reactions"]["summary"]["total_count"] = json!(told.likes);
        node["comments"]["summary"]["total_count"] = json!(told.comments);
        // Left out where there are none.
        node["shares"] = (told.shares > 0).then(|| json!({ "count": told.shares })).into();
        return graph::select(call, &node, "Post", &fields);
    }
    if let Some(comment) = state.comments.get(id).filter(|comment| comment.account == account) {
        let default = ["created_time", "from", "message", "id"];
        let told = world.numbers(Network::Facebook, id);
        let mut node = comment_json(call, id, comment);
        node["like_count"] = json!(told.likes);
        node["comment_count"] = json!(told.comments);
        return graph::select(call, &node, "Comment", &default);
    }
    if let Some(video) = state.videos.get(id).filter(|video| video.account == account) {
        let told = world.numbers(Network::Facebook, id);
        let edge = |count: u64| json!({ "data": [], "summary": { "total_count": count } });
        let mut node = video_json(world, call, id, video);
        (node["likes"], node["comments"]) = (edge(told.likes), edge(told.comments));
        return graph::select(call, &node, "Video", &["updated_time", "description", "id"]);
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
    let archived = call.text("status").as_deref() == Some("ARCHIVED");
    let over = |at: i64| at + DAY <= call.now;
    let shown = newest(&page.stories, &state, &paging).filter(|(at, _)| over(*at) == archived);
    let stories = shown.take(paging.limit).map(|(at, id)| {
        let story = &state.posts[id];
        json!({
            "post_id": id,
            "status": if over(*at) { "ARCHIVED" } else { "PUBLISHED" },
            "creation_time": at.div_euclid(1_000).to_string(),
            "media_type": if story.video.is_some() { "video" } else { "photo" },
            "media_id": story.video.as_ref().or(story.photos.first()),
            "url": format!("{}/posts/facebook/{id}", call.origin),
        })
    });
    Ok(json!({ "data": stories.collect::<Vec<_>>() }))
}

/// An unknown metric fails the whole call.
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
    let told = world.numbers(Network::Facebook, id);
    let data = asked.split(',').map(|metric| {
        let value = match metric {
            "post_media_view" => json!(told.views),
            "post_total_media_view_unique" => json!(told.reach),
            "post_clicks" => json!(told.clicks),
            _ => json!({}),
        };
        json!({
            "name": metric,
            "period": "lifetime",
            "values": [{ "value": value }],
            "id": format!("{id}/insights/{metric}/lifetime"),
        })
    });
    Ok(json!({ "data": data.collect::<Vec<_>>() }))
}

/// Of a video that is no reel.
fn change_video(
    world: &World,
    call: &Call,
    state: &mut State,
    account: &str,
    id: &str,
) -> Result<Value, Fail> {
    let video = state.videos.get_mut(id);
    let own = |video: &&mut Video| video.account == account && video.kind == Kind::Video;
    let video = video.filter(own).ok_or_else(|| Fail::missing(call, id))?;
    video.title = call.text("name").unwrap_or_else(|| video.title.clone());
    if let Some(description) = message(call, "description")? {
        video.description = description;
    }
    let text = video.text();
    if let Some(post) = video.post.as_ref().and_then(|post| state.posts.get_mut(post)) {
        post.message.clone_from(&text);
        post.updated = call.now;
    }
    world.ledger.edit(Network::Facebook, id, |post| post.text = text);
    Ok(json!({ "success": true }))
}

fn change_comment(
    world: &World,
    call: &Call,
    state: &mut State,
    account: &str,
    id: &str,
) -> Result<Value, Fail> {
    let message = call.text("message").unwrap_or_default();
    if message.trim().is_empty() {
        return Err(Fail::parameter("A comment needs a message or an attachment"));
    }
    if message.chars().count() > COMMENT_LIMIT {
        return Err(Fail::parameter("The comment is too long"));
    }
    let comment = state.comments.get_mut(id).filter(|comment| comment.account == account);
    let comment = comment.ok_or_else(|| Fail::missing(call, id))?;
    comment.message.clone_from(&message);
    world.ledger.edit(Network::Facebook, id, |post| post.text = message);
    Ok(json!({ "success": true }))
}

/// Edits the message, or shows a post that was made unpublished. Showing it again changes nothing.
fn change(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Fail> {
    let message = message(call, "message")?;
    let mut state = lock(&world.states.facebook);
    if state.comments.contains_key(id) {
        return change_comment(world, call, &mut state, account, id);
    }
    if state.videos.contains_key(id) {
        return change_video(world, call, &mut state, account, id);
    }
    let post = state.posts.get_mut(id).filter(|post| post.account == account);
    let post = post.ok_or_else(|| Fail::missing(call, id))?;
    if call.flag("is_published") == Some(false) && post.published {
        return Err(Fail::parameter("A published post can't be made unpublished"));
    }
    if let Some(message) = message {
        post.message = message;
        post.updated = call.now;
    }
    let (text, shown_as) = (post.message.clone(), seen_as(id, post));
    if call.flag("is_published") == Some(true) && !post.published {
        post.published = true;
        post.created = call.now;
        post.updated = call.now;
        state.publish(world, id);
    } else {
        world.ledger.edit(Network::Facebook, &shown_as, |post| post.text = text);
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
    let video = state.videos.get(id).filter(|video| video.account == account);
    let shown_in = photo.map(|p| p.post.clone()).or(video.map(|v| v.post.clone()));
    // A photo or video goes with the post that shows it.
    let id = match shown_in {
        Some(Some(post)) => post,
        Some(None) => {
            state.photos.remove(id);
            state.videos.remove(id);
            return Ok(json!({ "success": true }));
        }
        None => id.to_owned(),
    };
    if state.posts.get(&id).is_none_or(|post| post.account != account) {
        return Err(Fail::missing(call, &id));
    }
    if let Some(post) = state.posts.remove(&id) {
        let seen_as = seen_as(&id, &post);
        world.ledger.vanish(Network::Facebook, &seen_as, call.now);
        for photo in &post.photos {
            state.photos.remove(photo);
        }
        if let Some(video) = &post.video {
            state.videos.remove(video);
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
    Ok(json!({ "success": true }))
}
