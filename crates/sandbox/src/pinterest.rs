//! Pinterest: API v5 under `/pinterest/v5/…`, the consent page under `/pinterest/oauth/`.
//!
//! networks.md §12 and Pinterest's own OpenAPI 5.23. Every account has two boards to pin to and one
//! for advertisements; `{account}-guest` is a collaborator who pins to the boards of `{account}`.
//! Pictures given by address are fetched. Not spoken: videos and sections.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::{Blob, fetch};
use crate::oauth::{Provider, Refresh, Rules, SecretIn};
use crate::world::{Fields, Network, World, lock, number_of, secret_of, stamp};

const DAY: i64 = 86_400_000;
const TITLE_LIMIT: usize = 100;
const TEXT_LIMIT: usize = 800;
const ALT_LIMIT: usize = 500;
const LINK_LIMIT: usize = 2_048;
const PICTURE_LIMIT: usize = 20 << 20;
const BOARDS: [&str; 3] = ["Shop news", "Recipes", "Ad-only Pins"];

const RULES: Rules = Rules {
    name: "Pinterest",
    authorize: "oauth",
    token: "v5/oauth/token",
    id_param: "client_id",
    secret: SecretIn::Basic,
    grant_type: true,
    pkce: false,
    separator: ',',
    code_ms: 600_000,
    access_ms: Some(30 * DAY),
    refresh: Refresh::Rotates(Some(60 * DAY)),
};

#[derive(Default)]
pub(crate) struct State {
    oauth: Provider,
    pins: HashMap<String, Pin>,
    /// By board, in the order in which they appeared.
    boards: HashMap<String, BTreeMap<u64, String>>,
    last_id: u64,
}

struct Pin {
    account: String,
    board: String,
    title: String,
    description: String,
    link: Option<String>,
    alt: Option<String>,
    pictures: Vec<Blob>,
    created: i64,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("boardId", board_id(account, 0)), ("accessToken", secret_of(account))]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.path.as_str()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (&Method::POST, "v5/pins") => Calls::Publish,
        (&Method::PATCH, _) => Calls::Edit,
        _ => Calls::Prepare,
    };
    let state = lock(&world.states.pinterest);
    let account = call.bearer().and_then(|token| state.oauth.account_of(token, call.now).ok());
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let Some(answer) = lock(&world.states.pinterest).oauth.answer(&RULES, call) {
        return answer;
    }
    handle(world, call).await.unwrap_or_else(|refused| refused)
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => bad("Invalid JSON."),
        Refusal::RateLimit(ms) => {
            let seconds = (ms + 999).div_euclid(1_000);
            error(429, 8, "You have exceeded your rate limit. Try again later.")
                .header("x-ratelimit-limit", "100, 100;w=1;name=\"safety_net_app_id_user_id\"")
                .header("x-ratelimit-remaining", "0")
                .header("x-ratelimit-reset", &seconds.to_string())
        }
        Refusal::ServerError => {
            error(500, 12, "Something went wrong on our end. Sorry about that.")
        }
        Refusal::Auth => error(401, 2, "Authentication failed."),
        Refusal::TooLarge => Answer::html(413, "<html><h1>413 Payload Too Large</h1></html>"),
    }
}

fn error(status: u16, code: i64, message: &str) -> Answer {
    Answer::json(status, &json!({ "code": code, "message": message }))
}

fn bad(message: &str) -> Answer {
    error(400, 1, message)
}

fn board_not_found() -> Answer {
    error(404, 40, "Board not found.")
}

fn pin_not_found() -> Answer {
    error(404, 50, "Pin not found.")
}

async fn handle(world: &World, call: &Call) -> Result<Answer, Answer> {
    let segments = call.segments();
    let ok = |body: Value| Answer::json(200, &body);
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["v5", "user_account"]) => {
            let account = authorized(world, call, &["user_accounts:read"])?;
            Ok(ok(json!({
                "account_type": "BUSINESS",
                "id": number_of(&format!("pinterest {account}"), 18).to_string(),
                "username": account,
                "business_name": account,
                "about": "",
                "profile_image": "",
                "website_url": "",
                "board_count": BOARDS.len(),
                "follower_count": 0,
                "following_count": 0,
            })))
        }
        ("GET", ["v5", "boards"]) => {
            let account = authorized(world, call, &["boards:read"])?;
            let boards: Vec<Value> = (0..BOARDS.len()).map(|i| board_json(&account, i)).collect();
            page(call, boards).map(ok)
        }
        ("GET", ["v5", "boards", id]) => {
            let account = authorized(world, call, &["boards:read"])?;
            let at = board(&account, id)?;
            Ok(ok(board_json(host(&account), at)))
        }
        ("GET", ["v5", "boards", id, "pins"]) => {
            let account = authorized(world, call, &["boards:read", "pins:read"])?;
            board(&account, id)?;
            let state = lock(&world.states.pinterest);
            let on_board = state.boards.get(*id);
            let pins = on_board.into_iter().flat_map(|pins| pins.values().rev());
            let pins = pins.filter_map(|id| state.shown(call, &account, id)).collect();
            page(call, pins).map(ok)
        }
        ("GET", ["v5", "pins"]) => {
            let account = authorized(world, call, &["boards:read", "pins:read"])?;
            let state = lock(&world.states.pinterest);
            let own = state.pins.iter().filter(|(_, pin)| pin.account == account);
            let mut ids: Vec<&String> = own.map(|(id, _)| id).collect();
            ids.sort_by(|a, b| b.cmp(a));
            page(call, ids.into_iter().filter_map(|id| state.shown(call, &account, id)).collect())
                .map(ok)
        }
        ("GET", ["v5", "pins", id]) => {
            let account = authorized(world, call, &["boards:read", "pins:read"])?;
            let state = lock(&world.states.pinterest);
            let mut pin = state.shown(call, &account, id).ok_or_else(pin_not_found)?;
            if call.flag("pin_metrics") == Some(true) && pin["is_owner"] == true {
                pin["pin_metrics"] = metrics(world, id);
            }
            Ok(ok(pin))
        }
        ("POST", ["v5", "pins"]) => create(world, call).await,
        ("PATCH", ["v5", "pins", id]) => edit(world, call, id),
        ("DELETE", ["v5", "pins", id]) => delete(world, call, id),
        _ => Err(error(404, -1, "Not found.")),
    }
}

/// The account of the token, if it was granted these scopes.
fn authorized(world: &World, call: &Call, scopes: &[&str]) -> Result<String, Answer> {
    let failed = || error(401, 2, "Authentication failed.");
    let token = call.bearer().ok_or_else(failed)?;
    let state = lock(&world.states.pinterest);
    let account = state.oauth.account_of(token, call.now).map_err(|_| failed())?;
    let granted = state.oauth.scope_of(token);
    let has = |scope: &&str| granted.is_none_or(|all| all.split(',').any(|one| one == *scope));
    if scopes.iter().all(has) {
        return Ok(account);
    }
    Err(error(
        403,
        3,
        "Your token does not have sufficient permissions to perform this operation. Please ensure \
         your token is authorized with the correct set of scopes.",
    ))
}

// Boards

/// Whose boards this account pins to.
fn host(account: &str) -> &str {
    account.strip_suffix("-guest").unwrap_or(account)
}

fn board_id(account: &str, at: usize) -> String {
    number_of(&format!("pinterest {} {at}", host(account)), 18).to_string()
}

/// Which board of the account's this is.
fn board(account: &str, id: &str) -> Result<usize, Answer> {
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad(&format!("'board_id' value '{id}' must match the pattern: ^\\d+$")));
    }
    (0..BOARDS.len()).find(|at| board_id(account, *at) == id).ok_or_else(board_not_found)
}

fn board_json(account: &str, at: usize) -> Value {
    json!({
        "id": board_id(account, at),
        "name": BOARDS[at],
        "description": "",
        "owner": { "username": host(account) },
        "privacy": if at == 2 { "PROTECTED" } else { "PUBLIC" },
        "is_ads_only": at == 2,
        "collaborator_count": 0,
        "follower_count": 0,
        "created_at": "2026-01-01T00:00:00",
    })
}

/// One page of a listing, by `page_size` and `bookmark`.
fn page(call: &Call, all: Vec<Value>) -> Result<Value, Answer> {
    let size = match call.text("page_size") {
        None => 25,
        Some(text) => {
            text.parse::<usize>().ok().filter(|n| (1..=250).contains(n)).ok_or_else(|| {
                bad(&format!("Parameter 'page_size' was not between 1 and 250 (was {text})"))
            })?
        }
    };
    let from = match call.text("bookmark").filter(|at| !at.is_empty()) {
        None => 0,
        Some(at) => {
            let read = STANDARD.decode(&at).ok().and_then(|at| String::from_utf8(at).ok());
            let read = read.and_then(|at| at.strip_prefix("page:")?.parse::<usize>().ok());
            read.ok_or_else(|| bad("The bookmark is invalid."))?
        }
    };
    let next = from.saturating_add(size);
    let bookmark = (next < all.len()).then(|| STANDARD.encode(format!("page:{next}")));
    let items: Vec<Value> = all.into_iter().skip(from).take(size).collect();
    Ok(json!({ "items": items, "bookmark": bookmark }))
}

// Pins

impl State {
    fn id(&mut self, now: i64) -> u64 {
        self.last_id = (self.last_id + 1).max(now.unsigned_abs() << 16);
        self.last_id
    }

    fn shown(&self, call: &Call, account: &str, id: &str) -> Option<Value> {
        let pin = self.pins.get(id)?;
        let may_see = pin.account == account || host(&pin.account) == host(account);
        may_see.then(|| pin_json(call, account, id, pin))
    }
}

fn metrics(world: &World, id: &str) -> Value {
    let told = world.numbers(Network::Pinterest, id);
    let lately = json!({ "pin_click": 0, "impression": told.views, "clickthrough": told.clicks });
    let mut ever = lately.clone();
    ever["reaction"] = json!(told.likes);
    ever["comment"] = json!(told.comments);
    json!({ "90d": lately, "lifetime_metrics": ever })
}

fn pin_json(call: &Call, account: &str, id: &str, pin: &Pin) -> Value {
    let image = |blob: &Blob| {
        let (width, height) = blob.kind.map_or((0, 0), |kind| (kind.width, kind.height));
        let url = format!("{}{}", call.origin, blob.path());
        json!({ "1200x": { "width": width, "height": height, "url": url } })
    };
    let media = match pin.pictures.as_slice() {
        [one] => json!({ "media_type": "image", "images": image(one) }),
        several => {
            let item = |blob| json!({ "item_type": "image", "images": image(blob) });
            let items: Vec<Value> = several.iter().map(item).collect();
            json!({ "media_type": "multiple_images", "items": items })
        }
    };
    json!({
        "id": id,
        "created_at": stamp(pin.created, "%Y-%m-%dT%H:%M:%S"),
        "link": pin.link,
        "title": pin.title,
        "description": pin.description,
        "dominant_color": "#6e7874",
        "alt_text": pin.alt,
        "creative_type": if pin.pictures.len() > 1 { "CAROUSEL" } else { "REGULAR" },
        "board_id": pin.board,
        "board_section_id": null,
        "board_owner": { "username": host(&pin.account) },
        "is_owner": pin.account == account,
        "is_standard": true,
        "has_been_promoted": false,
        "parent_pin_id": null,
        "note": "",
        "media": media,
    })
}

/// What is said of a pin, as far as it was given.
struct Words {
    title: Option<String>,
    description: Option<String>,
    alt: Option<String>,
    link: Option<String>,
}

fn words(body: &Value) -> Result<Words, Answer> {
    let text = |name: &str, limit: usize| match &body[name] {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() <= limit => Ok(Some(text.clone())),
        Value::String(_) => {
            Err(bad(&format!("Invalid request: '{name}' is too long (maxLength={limit})")))
        }
        _ => Err(bad(&format!("Invalid request: '{name}' is not of type 'string'"))),
    };
    let link = text("link", LINK_LIMIT)?;
    if link.as_ref().is_some_and(|link| url::Url::parse(link).is_err()) {
        return Err(bad("Invalid URL or request data."));
    }
    Ok(Words {
        title: text("title", TITLE_LIMIT)?,
        description: text("description", TEXT_LIMIT)?,
        alt: text("alt_text", ALT_LIMIT)?,
        link,
    })
}

impl Pin {
    /// What people read and see of it.
    fn seen(&self) -> (String, Vec<LedgerMedia>) {
        let alt = self.alt.as_deref().unwrap_or_default();
        let mut media: Vec<LedgerMedia> = self.pictures.iter().map(|b| b.in_ledger(alt)).collect();
        media.extend(self.link.as_deref().map(|link| LedgerMedia::link(link, &self.title)));
        let texts = [self.title.as_str(), self.description.as_str()];
        let text = texts.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("\n\n");
        (text, media)
    }
}

/// What is not given stays. An account whose name begins with `nobeta` may not.
fn edit(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let account = authorized(world, call, &["boards:write", "pins:write"])?;
    if account.starts_with("nobeta") {
        return Err(error(403, 29, "You are not permitted to access that resource."));
    }
    let body = call.json.as_ref().ok_or_else(|| bad("The body has to be JSON."))?;
    let known = ["title", "description", "alt_text", "link", "note"];
    if let Some(name) =
        body.as_object().and_then(|b| b.keys().find(|k| !known.contains(&k.as_str())))
    {
        return Err(bad(&format!("Invalid request: '{name}' was unexpected")));
    }
    let new = words(body)?;
    let mut state = lock(&world.states.pinterest);
    let pin = state.pins.get_mut(id).ok_or_else(pin_not_found)?;
    if pin.account != account {
        return Err(error(403, 7, "Not authorized to access board or Pin."));
    }
    pin.title = new.title.unwrap_or_else(|| pin.title.clone());
    pin.description = new.description.unwrap_or_else(|| pin.description.clone());
    pin.alt = new.alt.or(pin.alt.take());
    pin.link = new.link.or(pin.link.take());
    let (text, media) = pin.seen();
    world.ledger.edit(Network::Pinterest, id, |post| (post.text, post.media) = (text, media));
    Ok(Answer::json(200, &pin_json(call, &account, id, pin)))
}

async fn create(world: &World, call: &Call) -> Result<Answer, Answer> {
    let account = authorized(world, call, &["boards:write", "pins:write"])?;
    let body = call.json.as_ref().ok_or_else(|| bad("The body has to be JSON."))?;
    let id = body["board_id"].as_str();
    let id = id.ok_or_else(|| bad("Invalid request: 'board_id' is a required property"))?;
    let at = board(&account, id)?;
    if at == 2 {
        return Err(error(403, 29, "You are not permitted to access that resource."));
    }
    let Words { title, description, alt, link } = words(body)?;
    let pictures = pictures(world, &body["media_source"]).await?;
    let pin = Pin {
        account,
        board: id.to_owned(),
        title: title.unwrap_or_default(),
        description: description.unwrap_or_default(),
        link,
        alt,
        pictures,
        created: call.now,
    };
    let mut state = lock(&world.states.pinterest);
    let number = state.id(call.now);
    let id = number.to_string();
    let (text, media) = pin.seen();
    world.ledger.appear(
        Network::Pinterest,
        Appeared {
            id: id.clone(),
            account: &pin.account,
            placement: if pin.pictures.len() > 1 { "carousel" } else { "feed" },
            reply_to: None,
            text,
            media,
            at: call.now,
        },
    );
    let answer = Answer::json(201, &pin_json(call, &pin.account, &id, &pin));
    state.boards.entry(pin.board.clone()).or_default().insert(number, id.clone());
    state.pins.insert(id, pin);
    Ok(answer)
}

/// The pictures of a `media_source`.
async fn pictures(world: &World, source: &Value) -> Result<Vec<Blob>, Answer> {
    let kind = source["source_type"].as_str().unwrap_or_default();
    let items: Vec<&Value> = match kind {
        "image_base64" | "image_url" => vec![source],
        "multiple_image_base64" | "multiple_image_urls" => {
            let items = source["items"].as_array();
            let items = items.ok_or_else(|| bad("Invalid request: 'items' is required"))?;
            if !(2..=5).contains(&items.len()) {
                return Err(bad("Invalid request: items: minItems=2, maxItems=5"));
            }
            if source["index"].as_u64().is_some_and(|at| at >= items.len() as u64) {
                return Err(bad("Invalid request: 'index' is out of range"));
            }
            items.iter().collect()
        }
        "video_id" => return Err(bad("The sandbox does not speak video_id.")),
        _ => return Err(bad("Invalid request: 'media_source' is not valid")),
    };
    let mut found = Vec::new();
    for item in items {
        let bytes =
            if kind.ends_with("base64") { decoded(item)? } else { fetched(world, item).await? };
        if bytes.len() > PICTURE_LIMIT {
            return Err(bad("Sorry, the image is too large (20 MB)."));
        }
        let blob = world.blobs.keep(&bytes);
        if !blob.kind.is_some_and(|kind| kind.is_image()) {
            return Err(bad("Sorry, we could not process this image."));
        }
        let said = item["content_type"].as_str();
        if said.is_some_and(|said| blob.kind.is_some_and(|kind| kind.mime != said)) {
            return Err(bad("The content type does not fit the image data."));
        }
        found.push(blob);
    }
    let size = |blob: &Blob| blob.kind.map(|kind| (kind.width, kind.height));
    if found.windows(2).any(|two| size(&two[0]) != size(&two[1])) {
        return Err(bad("All images of a carousel must have the same dimensions."));
    }
    Ok(found)
}

fn decoded(item: &Value) -> Result<Bytes, Answer> {
    if !matches!(item["content_type"].as_str(), Some("image/jpeg" | "image/png")) {
        return Err(bad("Invalid request: content_type is not one of image/jpeg, image/png"));
    }
    let data = item["data"].as_str().unwrap_or_default();
    let bytes = STANDARD.decode(data).map_err(|_| bad("Invalid request: 'data' is not base64"))?;
    Ok(bytes.into())
}

async fn fetched(world: &World, item: &Value) -> Result<Bytes, Answer> {
    let url = item["url"].as_str().ok_or_else(|| bad("Invalid request: 'url' is required"))?;
    let unreached = "Unable to reach the URL. Please check the URL is correct and try again.";
    fetch(world, url).await.map_err(|_| bad(unreached))
}

fn delete(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let account = authorized(world, call, &["boards:write", "pins:write"])?;
    let mut state = lock(&world.states.pinterest);
    // Whoever owns the board may take down what collaborators pinned to it.
    let may = |pin: &Pin| pin.account == account || host(&pin.account) == account;
    match state.pins.get(id) {
        Some(pin) if may(pin) => {}
        Some(_) => return Err(error(403, 7, "Not authorized to access board or Pin.")),
        None => return Err(pin_not_found()),
    }
    if let Some(pin) = state.pins.remove(id)
        && let Some(board) = state.boards.get_mut(&pin.board)
    {
        board.retain(|_, on_it| on_it != id);
    }
    world.ledger.vanish(Network::Pinterest, id, call.now);
    Ok(Answer::new(204, "application/json", ""))
}
