//! Instagram: the container flow, under `/instagram/{version}/…`, and the upload server's
//! `/instagram/ig-api-upload/…`.
//!
//! networks.md §2. The account `{account}` belongs to the token `sandbox-{account}`. Media are
//! fetched from the caller's address when a container is made, or a film is uploaded to it. The
//! first poll of a picture answers IN_PROGRESS, the next one FINISHED; a film is FINISHED, or in
//! ERROR where it is not what is taken, twenty seconds after it was there. After a day a container
//! is EXPIRED. A hundred posts in a moving day. Comments are the account's own. Not spoken: tags.

use std::collections::{BTreeSet, HashMap};

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::film::{self, Upload};
use crate::graph::{self, Bearer, Fail, Keys, Paging};
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::{Blob, Unfetched, fetch};
use crate::oauth::{Refresh, Rules, SecretIn};
use crate::world::{Fields, Network, World, lock, secret_of};

const DAY: i64 = 86_400_000;
const DAILY_POSTS: usize = 100;
const CAPTION_LIMIT: usize = 2_200;
const TAGS: usize = 30;
const MENTIONS: usize = 20;
const IMAGE_LIMIT: usize = 8 << 20;
/// How long a film is worked on, in ms.
const PROCESSING: i64 = 20_000;
const RULES: Rules = Rules {
    name: "Instagram (by Facebook Login)",
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
const PERMISSIONS: [&str; 7] = [
    "instagram_basic",
    "instagram_content_publish",
    "pages_show_list",
    "pages_read_engagement",
    "instagram_manage_comments",
    "instagram_manage_insights",
    "business_management",
];

#[derive(Default)]
pub(crate) struct State {
    keys: Keys,
    containers: HashMap<String, Container>,
    media: HashMap<String, Media>,
    comments: HashMap<String, Comment>,
    accounts: HashMap<String, Account>,
    last_id: u64,
}

#[derive(Default)]
struct Account {
    /// What was published, by time; deleted posts count for the limit of the day.
    published: BTreeSet<(i64, String)>,
    feed: BTreeSet<(i64, String)>,
    stories: BTreeSet<(i64, String)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Image,
    Video,
    Carousel,
    Story,
    StoryVideo,
}

impl Kind {
    fn is_story(self) -> bool {
        matches!(self, Self::Story | Self::StoryVideo)
    }
}

struct Container {
    account: String,
    kind: Kind,
    items: Vec<Item>,
    caption: String,
    is_child: bool,
    created: i64,
    /// Polls that are still answered IN_PROGRESS.
    polls_left: u32,
    /// A film that is still awaited.
    upload: Option<Upload>,
    /// A film's: until when it is worked on.
    busy_until: i64,
    /// The subcode of what is wrong with it.
    broken: Option<u32>,
    ready: bool,
    published: bool,
}

#[derive(Clone)]
struct Item {
    blob: Blob,
    alt: String,
}

struct Media {
    account: String,
    kind: Kind,
    items: Vec<Item>,
    caption: String,
    at: i64,
    comments: BTreeSet<(i64, String)>,
}

struct Comment {
    account: String,
    media: String,
    text: String,
    at: i64,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("igBusinessId", account.to_owned()), ("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, graph::segments(call).as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (_, [_, "media_publish" | "comments"]) => Calls::Publish,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: lock(&world.states.instagram).keys.account(call) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let Some(answer) = lock(&world.states.instagram).keys.consent(&RULES, call) {
        return answer;
    }
    let account = lock(&world.states.instagram).keys.account(call);
    if let ["ig-api-upload", .., id] = graph::segments(call).as_slice() {
        return receive(world, call, id).await;
    }
    graph::finish(handle(world, call).await, account.as_deref(), "instagram")
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    graph::refuse(call, refusal, 4, "instagram")
}

async fn handle(world: &World, call: &Call) -> Result<Value, Fail> {
    let bearer = lock(&world.states.instagram).keys.bearer(call)?;
    let account = bearer.account.clone();
    let segments = graph::segments(call);
    if let ("GET", ["me"]) = (call.method.as_str(), segments.as_slice())
        && bearer.is_person
    {
        return graph::select(call, &bearer.person(), "User", &["id", "name"]);
    }
    let node = match segments.first() {
        Some(&"me") => account.as_str(),
        Some(node) => node,
        None => return Err(Fail::missing(call, "")),
    };
    let own = node == account;
    match (call.method.as_str(), &segments[1..]) {
        ("GET", ["accounts"]) if segments[0] == "me" => list_pages(world, call, &bearer),
        ("GET", ["permissions"]) if segments[0] == "me" => Ok(bearer.permissions(&PERMISSIONS)),
        ("GET", []) if own => {
            graph::select(call, &account_json(world, &account), "IGUser", &["id"])
        }
        ("GET", ["content_publishing_limit"]) if own => limit(world, call, &account),
        ("POST", ["media"]) if own => {
            bearer.needs("instagram_content_publish")?;
            create(world, call, account).await
        }
        ("POST", ["media_publish"]) if own => {
            bearer.needs("instagram_content_publish")?;
            publish(world, call, &account)
        }
        ("GET", ["media"]) if own => list(world, call, &account, false),
        ("GET", ["stories"]) if own => list(world, call, &account, true),
        ("POST", ["comments"]) => {
            bearer.needs("instagram_manage_comments")?;
            comment(world, call, &account, node)
        }
        ("GET", ["comments"]) => list_comments(world, call, &account, node),
        ("GET", []) => show(world, call, &account, node),
        ("GET", ["insights"]) => {
            bearer.needs("instagram_manage_insights")?;
            insights(world, call, &account, node)
        }
        ("DELETE", []) => delete(world, call, &account, node),
        _ => Err(Fail::missing(call, node)),
    }
}

// Accounts

fn list_pages(world: &World, call: &Call, bearer: &Bearer) -> Result<Value, Fail> {
    let paging = Paging::of(call)?;
    let default = ["access_token", "category", "name", "id"];
    let page = |name: &str, token: String, tasks: &[&str], has_instagram: bool| {
        let account = has_instagram.then(|| json!({ "id": name, "username": name }));
        let page = json!({
            "id": name,
            "name": name,
            "access_token": token,
            "category": "Website",
            "tasks": tasks,
            "instagram_business_account": account,
            "username": name,
            "picture": { "data": { "url": "" } },
        });
        graph::select(call, &page, "Page", &default)
    };
    let mut nodes = Vec::new();
    if bearer.is_person {
        let mut state = lock(&world.states.instagram);
        for one in state.keys.managed(bearer) {
            let token = state.keys.page_token(&one.page, bearer);
            nodes.push(page(&one.page, token, one.tasks, one.has_instagram)?);
        }
    } else {
        let account = &bearer.account;
        nodes.push(page(account, secret_of(account), &["CREATE_CONTENT", "MANAGE"], true)?);
    }
    let from = nodes.iter().position(|node| node["id"].as_str() == paging.after.as_deref());
    let rest = nodes.split_off(from.map_or(0, |at| at + 1));
    Ok(paging.page(call, rest.into_iter().take(paging.limit + 1).collect()))
}

fn account_json(world: &World, account: &str) -> Value {
    let state = lock(&world.states.instagram);
    json!({
        "id": account,
        "user_id": account,
        "username": account,
        "name": account,
        "account_type": "BUSINESS",
        "biography": "",
        "website": "",
        "profile_picture_url": "",
        "followers_count": 0,
        "follows_count": 0,
        "media_count": state.accounts.get(account).map_or(0, |account| account.feed.len()),
    })
}

impl State {
    /// Posts of the moving day that ends now.
    fn used(&self, account: &str, now: i64) -> usize {
        let from = (now - DAY + 1, String::new());
        self.accounts.get(account).map_or(0, |account| account.published.range(from..).count())
    }
}

fn limit(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let used = lock(&world.states.instagram).used(account, call.now);
    let node = json!({
        "quota_usage": used,
        "config": { "quota_total": DAILY_POSTS, "quota_duration": DAY / 1_000 },
    });
    let mut selected = graph::select(call, &node, "IGContentPublishingLimit", &["quota_usage"])?;
    if let Some(fields) = selected.as_object_mut() {
        fields.remove("id");
    }
    Ok(json!({ "data": [selected] }))
}

// Containers

async fn create(world: &World, call: &Call, account: String) -> Result<Value, Fail> {
    let caption = call.text("caption").unwrap_or_default();
    check_caption(&caption)?;
    let media_type = call.text("media_type").filter(|kind| !kind.is_empty());
    let is_film = |kind: &str| {
        // Retired, and still taken for the children of a carousel.
        matches!(kind, "REELS" | "STORIES") || (kind == "VIDEO" && is_child(call))
    };
    let later = call.text("upload_type").as_deref() == Some("resumable");
    let mut upload = None;
    let (kind, items) = match media_type.as_deref() {
        Some("CAROUSEL") => (Kind::Carousel, children(world, call, &account)?),
        Some(kind) if later && is_film(kind) => {
            upload = Some(Upload::default());
            let story = kind == "STORIES";
            (if story { Kind::StoryVideo } else { Kind::Video }, Vec::new())
        }
        Some("STORIES") => match call.text("video_url") {
            Some(_) => (Kind::StoryVideo, vec![video(world, call).await?]),
            None => (Kind::Story, vec![image(world, call, true).await?]),
        },
        Some(kind) if is_film(kind) => (Kind::Video, vec![video(world, call).await?]),
        None | Some("IMAGE") => (Kind::Image, vec![image(world, call, false).await?]),
        Some(other) => {
            let message = format!("Unknown media type: {other}");
            return Err(Fail::parameter(message).sub(2_207_023));
        }
    };
    let mut container = Container {
        account,
        kind,
        items,
        caption,
        is_child: is_child(call),
        created: call.now,
        polls_left: 1,
        busy_until: call.now,
        broken: None,
        ready: false,
        published: false,
        upload,
    };
    container.measure(world, call.now);
    let mut state = lock(&world.states.instagram);
    let id = graph::next_id(&mut state.last_id, call.now, 10_000);
    let mut answer = json!({ "id": id });
    if container.upload.is_some() {
        answer["uri"] = json!(format!("{}/instagram/ig-api-upload/v25.0/{id}", call.origin));
    }
    state.containers.insert(id, container);
    Ok(answer)
}

impl Container {
    /// Begins to work on a film that is there.
    fn measure(&mut self, world: &World, now: i64) {
        if self.upload.is_some() || !matches!(self.kind, Kind::Video | Kind::StoryVideo) {
            return;
        }
        self.polls_left = 0;
        self.busy_until = now + PROCESSING;
        let (longest, most) = match (self.kind, self.is_child) {
            (Kind::StoryVideo, _) => (60, 100_000_000),
            (_, true) => (60, 300_000_000),
            _ => (900, 300_000_000),
        };
        let fits = self.items.first().is_some_and(|item| {
            let film = film::measure(&world.blobs.get(&item.blob.hash).unwrap_or_default());
            film.is_some_and(|film| {
                film.header_first
                    && film.lasts(3, longest)
                    && film.width <= 1_920
                    && (0.01..=10.0).contains(&film.ratio())
            }) && item.blob.size <= most
        });
        self.broken = (!fits).then_some(2_207_026);
    }
}

/// What comes to the upload server: a film's bytes, or the address of one to fetch.
async fn receive(world: &World, call: &Call, id: &str) -> Answer {
    let bearer = lock(&world.states.instagram).keys.bearer(call);
    let fetched = match call.header("file_url") {
        Some(address) => match fetch(world, address).await {
            Ok(bytes) => Some(bytes),
            Err(_) => {
                return graph::unreceived("ProcessingFailedError", "Request processing failed");
            }
        },
        None => None,
    };
    let mut state = lock(&world.states.instagram);
    let account = bearer.ok().map(|bearer| bearer.account);
    let own = state.containers.get_mut(id).filter(|c| Some(&c.account) == account.as_ref());
    let Some(container) = own else {
        let message = "User not authorized to perform this request";
        return graph::unreceived("NotAuthorizedError", message);
    };
    let Some(upload) = container.upload.as_mut().filter(|_| call.now - container.created < DAY)
    else {
        return graph::unreceived("ProcessingFailedError", "Request processing failed");
    };
    let answer = match fetched {
        Some(bytes) => {
            *upload = Upload::default();
            match upload.take(0, &bytes, bytes.len()) {
                Ok(()) => Answer::json(200, &json!({ "success": true })),
                Err(_) => graph::unreceived("ProcessingFailedError", "Request processing failed"),
            }
        }
        None => graph::receive(upload, call),
    };
    if upload.is_complete() {
        let blob = world.blobs.keep(&upload.finish());
        container.items = vec![Item { blob, alt: String::new() }];
        container.upload = None;
        container.measure(world, call.now);
    }
    answer
}

fn is_child(call: &Call) -> bool {
    call.flag("is_carousel_item") == Some(true)
}

fn check_caption(caption: &str) -> Result<(), Fail> {
    let starts = |mark: char| {
        let words = caption.split(|c: char| c.is_whitespace());
        words.filter(|word| word.len() > 1 && word.starts_with(mark)).count()
    };
    if caption.chars().count() > CAPTION_LIMIT || starts('#') > TAGS || starts('@') > MENTIONS {
        let message = "The caption is too long: at most 2200 characters, 30 hashtags and 20 tags";
        return Err(Fail::new(36_004, message).sub(2_207_010));
    }
    Ok(())
}

async fn image(world: &World, call: &Call, story: bool) -> Result<Item, Fail> {
    let url = call.text("image_url");
    let url = url.ok_or_else(|| Fail::parameter("The parameter image_url is required"))?;
    let blob = world.blobs.keep(&fetch(world, &url).await.map_err(unfetched)?);
    let Some(picture) = blob.kind.filter(|kind| kind.mime == "image/jpeg") else {
        return Err(Fail::new(36_001, "The image format is not supported: use JPEG").sub(2_207_005));
    };
    if blob.size > IMAGE_LIMIT {
        return Err(Fail::new(36_000, "The image is too large: at most 8 MiB").sub(2_207_004));
    }
    let ratio = f64::from(picture.width) / f64::from(picture.height.max(1));
    let (narrow, wide) = if story { (0.1, 10.0) } else { (0.8, 1.91) };
    // The scaler rounds: a pixel more or less is not held against anybody.
    if ratio < narrow - 0.005 || ratio > wide + 0.005 {
        let message = format!("The aspect ratio {ratio:.2} is not supported");
        return Err(Fail::new(36_003, message).sub(2_207_009));
    }
    Ok(Item { blob, alt: call.text("alt_text").unwrap_or_default() })
}

async fn video(world: &World, call: &Call) -> Result<Item, Fail> {
    let url = call.text("video_url");
    let url = url.ok_or_else(|| Fail::parameter("The parameter video_url is required"))?;
    let blob = world.blobs.keep(&fetch(world, &url).await.map_err(unfetched)?);
    if blob.kind.is_none_or(|kind| kind.mime != "video/mp4") {
        let message = "The video format is not supported: use MP4 or MOV";
        return Err(Fail::new(352, message).sub(2_207_026));
    }
    Ok(Item { blob, alt: String::new() })
}

fn unfetched(_: Unfetched) -> Fail {
    let message = "Only photo or video can be accepted as media type: the media could not be \
                   fetched from this URI";
    Fail::new(9_004, message).sub(2_207_052)
}

/// The media of the containers in `children`, which must be ready.
fn children(world: &World, call: &Call, account: &str) -> Result<Vec<Item>, Fail> {
    let ids: Vec<String> = match call.value("children") {
        Some(Value::Array(items)) => {
            items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(Value::String(list)) => {
            let list = list.trim_matches(['[', ']']);
            let ids = list.split(',').map(|id| id.trim().trim_matches('"').to_owned());
            ids.filter(|id| !id.is_empty()).collect()
        }
        _ => Vec::new(),
    };
    if !(2..=10).contains(&ids.len()) {
        return Err(Fail::parameter("A carousel needs 2 to 10 children").sub(2_207_028));
    }
    let state = lock(&world.states.instagram);
    let mut items = Vec::new();
    for id in &ids {
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
    let container = state.containers.get(id).filter(|container| container.account == account);
    let gone = || {
        Fail::new(
            24,
            "The requested resource does not exist: the media container is unknown, \
                       was published before or has expired",
        )
        .sub(2_207_008)
    };
    let container = container.ok_or_else(gone)?;
    if container.published || expired(container, call.now) {
        return Err(gone());
    }
    if !container.ready || container.busy_until > call.now || container.broken.is_some() {
        let message = "Media ID is not available: the media is not ready for publishing, please \
                       wait for a moment";
        return Err(Fail::new(9_007, message).sub(2_207_027));
    }
    Ok(container)
}

fn expired(container: &Container, now: i64) -> bool {
    !container.published && now - container.created >= DAY
}

/// The state of a container; asking for it is what makes it go on.
fn poll(world: &World, call: &Call, account: &str, id: &str, container: &mut Container) -> Value {
    let in_progress = ("IN_PROGRESS", "In Progress: Media is still being processed.");
    let (code, status) = if container.published {
        ("PUBLISHED", "Published: Media has been successfully published.")
    } else if expired(container, call.now) {
        ("EXPIRED", "Expired: The container was not published within 24 hours.")
    } else if container.upload.is_some() || container.busy_until > call.now {
        in_progress
    } else if container.broken.is_some() {
        ("ERROR", "Error: Media upload has failed with error code 2207026")
    } else {
        if !container.ready && !world.faults.still_processing(Network::Instagram, account) {
            match container.polls_left {
                0 => container.ready = true,
                _ => container.polls_left -= 1,
            }
        }
        match container.ready {
            true => {
                ("FINISHED", "Finished: Media has been uploaded and it is ready to be published.")
            }
            false => in_progress,
        }
    };
    let arrived = match &container.upload {
        Some(upload) => upload.arrived(),
        None => container.items.iter().map(|item| item.blob.size).sum(),
    };
    let (sending, working) = match (&container.upload, code) {
        (Some(_), _) => ("in_progress", "not_started"),
        (None, "IN_PROGRESS") => ("complete", "in_progress"),
        (None, _) => ("complete", "complete"),
    };
    json!({
        "id": id,
        "status_code": code,
        "status": status,
        "copyright_check_status": null,
        "video_status": {
            "uploading_phase": { "status": sending, "bytes_transferred": arrived },
            "processing_phase": { "status": working },
        },
    })
}

// Publishing

fn publish(world: &World, call: &Call, account: &str) -> Result<Value, Fail> {
    let creation = call.text("creation_id");
    let creation =
        creation.ok_or_else(|| Fail::parameter("The parameter creation_id is required"))?;
    let mut state = lock(&world.states.instagram);
    let container = usable(&state, call, account, &creation)?;
    if container.is_child {
        return Err(Fail::parameter("A carousel item cannot be published by itself"));
    }
    let media = Media {
        account: account.to_owned(),
        kind: container.kind,
        items: container.items.clone(),
        caption: container.caption.clone(),
        at: call.now,
        comments: BTreeSet::new(),
    };
    if state.used(account, call.now) >= DAILY_POSTS {
        let message = "Application request limit reached: the account has published the most \
                       posts of a day";
        return Err(Fail::new(9, message).sub(2_207_042));
    }
    let id = graph::next_id(&mut state.last_id, call.now, 10_000);
    if let Some(container) = state.containers.get_mut(&creation) {
        container.published = true;
        // What it held is the post's now.
        container.items = Vec::new();
    }
    let key = (call.now, id.clone());
    let shelf = state.accounts.entry(account.to_owned()).or_default();
    shelf.published.insert(key.clone());
    match media.kind.is_story() {
        true => shelf.stories.insert(key),
        false => shelf.feed.insert(key),
    };
    world.ledger.appear(
        Network::Instagram,
        Appeared {
            id: id.clone(),
            account,
            placement: match media.kind {
                Kind::Story | Kind::StoryVideo => "story",
                Kind::Video => "reel",
                Kind::Image | Kind::Carousel => "feed",
            },
            reply_to: None,
            text: if media.kind.is_story() { String::new() } else { media.caption.clone() },
            media: shown(&media),
            at: call.now,
        },
    );
    state.media.insert(id.clone(), media);
    Ok(json!({ "id": id }))
}

fn shown(media: &Media) -> Vec<LedgerMedia> {
    media.items.iter().map(|item| item.blob.in_ledger(&item.alt)).collect()
}

// Comments

fn comment(world: &World, call: &Call, account: &str, on: &str) -> Result<Value, Fail> {
    let text = call.text("message").unwrap_or_default();
    if text.trim().is_empty() {
        return Err(Fail::parameter("The parameter message is required"));
    }
    let tags = text.split_whitespace().filter(|w| w.starts_with('#')).count();
    if text.chars().count() > CAPTION_LIMIT || tags > TAGS {
        return Err(Fail::parameter("A comment has at most 2200 characters and 30 hashtags"));
    }
    let mut state = lock(&world.states.instagram);
    let id = graph::next_id(&mut state.last_id, call.now, 10_000);
    let media = state.media.get_mut(on).filter(|media| media.account == account);
    let media = media.ok_or_else(|| Fail::missing(call, on))?;
    media.comments.insert((call.now, id.clone()));
    world.ledger.appear(
        Network::Instagram,
        Appeared {
            id: id.clone(),
            account,
            placement: "comment",
            reply_to: Some(on.to_owned()),
            text: text.clone(),
            media: Vec::new(),
            at: call.now,
        },
    );
    let comment = Comment { account: account.to_owned(), media: on.to_owned(), text, at: call.now };
    state.comments.insert(id.clone(), comment);
    Ok(json!({ "id": id }))
}

fn comment_json(id: &str, comment: &Comment) -> Value {
    json!({
        "id": id,
        "text": comment.text,
        "timestamp": graph::time(comment.at),
        "username": comment.account,
        "from": { "id": comment.account, "username": comment.account },
        "media": { "id": comment.media },
        "hidden": false,
        "like_count": 0,
    })
}

/// Newest first.
fn list_comments(world: &World, call: &Call, account: &str, on: &str) -> Result<Value, Fail> {
    let paging = Paging::of(call)?;
    let state = lock(&world.states.instagram);
    let media = state.media.get(on).filter(|media| media.account == account);
    let media = media.ok_or_else(|| Fail::missing(call, on))?;
    let ids: Vec<&String> = media.comments.iter().rev().map(|(_, id)| id).collect();
    let from = paging.after.as_ref().and_then(|after| ids.iter().position(|id| *id == after));
    let mut nodes = Vec::new();
    for id in ids.into_iter().skip(from.map_or(0, |at| at + 1)).take(paging.limit + 1) {
        let Some(comment) = state.comments.get(id) else { continue };
        let default = ["timestamp", "text", "id"];
        nodes.push(graph::select(call, &comment_json(id, comment), "IGComment", &default)?);
    }
    Ok(paging.page(call, nodes))
}

// Reading and deleting

fn media_json(call: &Call, id: &str, media: &Media) -> Value {
    let is_image = |item: &Item| item.blob.kind.is_some_and(|kind| kind.is_image());
    let kind_of = |item: &Item| if is_image(item) { "IMAGE" } else { "VIDEO" };
    let url = |item: &Item| format!("{}{}", call.origin, item.blob.path());
    let first = media.items.first();
    let children = media.items.iter().enumerate().map(|(at, item)| {
        json!({ "id": format!("{id}{at}"), "media_type": kind_of(item), "media_url": url(item) })
    });
    let carousel = media.kind == Kind::Carousel;
    json!({
        "id": id,
        "caption": if media.caption.is_empty() { None } else { Some(&media.caption) },
        "alt_text": first.map(|item| item.alt.as_str()).filter(|alt| !alt.is_empty()),
        "media_type": if carousel { "CAROUSEL_ALBUM" } else { first.map_or("IMAGE", kind_of) },
        "media_product_type": match media.kind {
            Kind::Story | Kind::StoryVideo => "STORY",
            Kind::Video => "REELS",
            Kind::Image | Kind::Carousel => "FEED",
        },
        "media_url": first.map(url),
        "thumbnail_url": null,
        "permalink": format!("{}/posts/instagram/{id}", call.origin),
        "shortcode": id,
        "timestamp": graph::time(media.at),
        "username": media.account,
        "owner": { "id": media.account },
        "ig_id": id,
        "children": if carousel { json!({ "data": children.collect::<Vec<_>>() }) } else { Value::Null },
        "like_count": 0,
        "comments_count": 0,
        "is_comment_enabled": true,
        "is_shared_to_feed": true,
    })
}

fn show(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Fail> {
    let mut state = lock(&world.states.instagram);
    if let Some(container) = state.containers.get_mut(id).filter(|c| c.account == account) {
        // Only a question for the state is a poll.
        let asked = call.text("fields").is_some_and(|fields| fields.contains("status"));
        let node = match asked {
            true => poll(world, call, account, id, container),
            false => json!({ "id": id }),
        };
        return graph::select(call, &node, "IGMediaBuilder", &["id"]);
    }
    if let Some(comment) = state.comments.get(id).filter(|comment| comment.account == account) {
        let mut node = comment_json(id, comment);
        node["like_count"] = json!(world.numbers(Network::Instagram, id).likes);
        return graph::select(call, &node, "IGComment", &["id"]);
    }
    let media = state.media.get(id).filter(|media| media.account == account);
    let media = media.ok_or_else(|| Fail::missing(call, id))?;
    graph::select(call, &media_json(call, id, media), "IGMedia", &["id"])
}

fn list(world: &World, call: &Call, account: &str, stories: bool) -> Result<Value, Fail> {
    let paging = Paging::of(call)?;
    let state = lock(&world.states.instagram);
    let Some(shelf) = state.accounts.get(account) else { return Ok(json!({ "data": [] })) };
    let shelf = if stories { &shelf.stories } else { &shelf.feed };
    let after = paging.after.as_ref().and_then(|id| Some((state.media.get(id)?.at, id.clone())));
    let until = paging.until.map(|until| (until, String::new()));
    let end = match (after, until) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b).unwrap_or((i64::MAX, String::new())),
    };
    // Stories can be read for a day.
    let oldest = if stories { call.now - DAY } else { i64::MIN };
    let start = (paging.since.unwrap_or(i64::MIN).max(oldest), String::new());
    let mut nodes = Vec::new();
    if start < end {
        for (_, id) in shelf.range(start..end).rev().take(paging.limit + 1) {
            let node = media_json(call, id, &state.media[id]);
            nodes.push(graph::select(call, &node, "IGMedia", &["id"])?);
        }
    }
    Ok(paging.page(call, nodes))
}

/// An unknown metric fails the whole call.
fn insights(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Fail> {
    const METRICS: [&str; 12] = [
        "views",
        "reach",
        "likes",
        "comments",
        "saved",
        "shares",
        "reposts",
        "replies",
        "follows",
        "total_interactions",
        "profile_visits",
        "navigation",
    ];
    let state = lock(&world.states.instagram);
    if state.media.get(id).is_none_or(|media| media.account != account) {
        return Err(Fail::missing(call, id));
    }
    let asked = call.text("metric").unwrap_or_default();
    if let Some(unknown) = asked.split(',').find(|metric| !METRICS.contains(metric)) {
        let message = format!("metric must be one of the following values, not {unknown}");
        return Err(Fail::parameter(message));
    }
    let told = world.numbers(Network::Instagram, id);
    let data = asked.split(',').map(|metric| {
        let value = match metric {
            "views" => told.views,
            "reach" => told.reach,
            "likes" => told.likes,
            "comments" => told.comments,
            "saved" => told.saves,
            "shares" => told.shares,
            _ => 0,
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

fn delete(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Fail> {
    let mut state = lock(&world.states.instagram);
    if state.comments.get(id).is_some_and(|comment| comment.account == account) {
        if let Some(comment) = state.comments.remove(id)
            && let Some(media) = state.media.get_mut(&comment.media)
        {
            media.comments.remove(&(comment.at, id.to_owned()));
        }
        world.ledger.vanish(Network::Instagram, id, call.now);
        return Ok(json!({ "success": true }));
    }
    if state.media.get(id).is_none_or(|media| media.account != account) {
        return Err(Fail::missing(call, id));
    }
    let media = state.media.remove(id);
    for (_, comment) in media.iter().flat_map(|media| &media.comments) {
        state.comments.remove(comment);
        world.ledger.vanish(Network::Instagram, comment, call.now);
    }
    if let (Some(media), Some(shelf)) = (media, state.accounts.get_mut(account)) {
        let key = (media.at, id.to_owned());
        shelf.feed.remove(&key);
        shelf.stories.remove(&key);
    }
    world.ledger.vanish(Network::Instagram, id, call.now);
    Ok(json!({ "success": true }))
}
