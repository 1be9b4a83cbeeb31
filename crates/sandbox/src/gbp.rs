//! Google Business Profile: accounts, places and their posts. Several hosts stand under one base:
//! `/gbp/v4/…` for posts, `/gbp/v1/…` for the rest, `/gbp/o/oauth2/v2/auth` and `/gbp/token`.
//!
//! networks.md §4. The token `sandbox-{account}` reaches one account with three places (one in good
//! standing, one unverified, one suspended) and a group with another good one. Photos are fetched
//! when a post is made. A post is `PROCESSING` for twenty seconds, then `LIVE`; one with a phone
//! number in its text becomes `REJECTED`. What will be live is in the ledger from its acceptance
//! on: nothing but Google's own time stands before it. A change is looked at anew, while what it changes
//! is shown. Not spoken: changes of photos, scheduling.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::google::{Consents, Fail, refuse as refused};
use crate::ledger::Appeared;
use crate::media::{Blob, fetch};
use crate::world::{Fields, Network, World, iso, lock, number_of, secret_of};

const SCOPE: &str = "https://www.googleapis.com/auth/business.manage";
const PROCESSING_MS: i64 = 20_000;
const SUMMARY: usize = 1_500;
const TITLE: usize = 58;
const ACTIONS: [&str; 6] = ["BOOK", "ORDER", "SHOP", "LEARN_MORE", "SIGN_UP", "CALL"];
const FIELDS: [&str; 13] = [
    "name",
    "languageCode",
    "summary",
    "callToAction",
    "createTime",
    "updateTime",
    "event",
    "state",
    "media",
    "searchUrl",
    "topicType",
    "alertType",
    "offer",
];

#[derive(Default)]
pub(crate) struct State {
    consents: Consents,
    posts: HashMap<String, Post>,
    /// Names by place and time.
    places: HashMap<String, BTreeSet<(i64, String)>>,
    last_id: u64,
}

struct Post {
    body: Value,
    media: Vec<Blob>,
    created: i64,
    updated: i64,
    settled: i64,
    rejected: bool,
}

/// A place that a token reaches.
struct Place {
    /// `accounts/1`
    owner: String,
    /// `locations/2`
    name: String,
    title: String,
    /// What the verification service says; empty: all is well.
    trouble: Value,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    let place = &places(account)[0];
    vec![
        ("location", format!("{}/{}", place.owner, place.name)),
        ("accessToken", secret_of(account)),
    ]
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.segments().as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (_, ["v4", .., "localPosts"]) => Calls::Publish,
        (&Method::PATCH, ["v4", .., "localPosts", _]) => Calls::Edit,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: lock(&world.states.gbp).consents.account_of(call) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let Some(answer) = lock(&world.states.gbp).consents.answer(call) {
        return answer;
    }
    match handle(world, call).await {
        Ok(body) => Answer::json(200, &body),
        Err(fail) => fail.answer(),
    }
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    refused(refusal, "mybusiness.googleapis.com")
}

async fn handle(world: &World, call: &Call) -> Result<Value, Fail> {
    let account = lock(&world.states.gbp).consents.authorized(call, &[SCOPE])?;
    let segments = call.segments();
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["v1", "accounts"]) => list_accounts(call, &account),
        ("GET", ["v1", "accounts", owner, "locations"]) => list_places(call, &account, owner),
        ("GET", ["v1", "locations", id]) => show_place(call, &account, id),
        ("GET", ["v1", "locations", id, "VoiceOfMerchantState"]) => voice(&account, id),
        (method, ["v4", "accounts", owner, "locations", id, "localPosts", rest @ ..]) => {
            let place = posting(&account, owner, id)?;
            match (method, rest) {
                ("POST", []) => create(world, call, account, &place).await,
                ("GET", []) => list(world, call, &place),
                ("GET", [post]) => show(world, call, &account, &place, post),
                ("PATCH", [post]) => change(world, call, &place, post),
                ("DELETE", [post]) => delete(world, call, &place, post),
                _ => Err(not_found()),
            }
        }
        _ => Err(not_found()),
    }
}

fn not_found() -> Fail {
    Fail::new(404, "NOT_FOUND", "notFound", "Requested entity was not found.")
}

fn invalid(field: &str, message: &str) -> Fail {
    Fail::new(400, "INVALID_ARGUMENT", "badRequest", "Request contains an invalid argument.")
        .detail(json!({
            "@type": "type.googleapis.com/google.mybusiness.v4.ValidationError",
            "errorDetails": [{ "code": 3, "field": field, "message": message }],
        }))
}

// Accounts and places

fn places(account: &str) -> Vec<Place> {
    let own = format!("accounts/{}", number_of(account, 18));
    let group = format!("accounts/{}", number_of(&format!("{account} group"), 18));
    let place = |owner: &str, what: &str, trouble: Value| Place {
        owner: owner.to_owned(),
        name: format!("locations/{}", number_of(&format!("{account} {what}"), 17)),
        title: format!("{account} {what}"),
        trouble,
    };
    let suspended = json!({
        "hasBusinessAuthority": true,
        "complyWithGuidelines": { "recommendationReason": "BUSINESS_LOCATION_SUSPENDED" },
    });
    vec![
        place(&own, "shop", Value::Null),
        place(&own, "workshop", json!({ "verify": {} })),
        place(&own, "stall", suspended),
        place(&group, "branch", Value::Null),
    ]
}

fn list_accounts(call: &Call, account: &str) -> Result<Value, Fail> {
    let places = places(account);
    let kinds = [(&places[0], "PERSONAL"), (&places[3], "LOCATION_GROUP")];
    let all = kinds.iter().map(|(place, kind)| {
        json!({
            "name": place.owner,
            "accountName": format!("{account} {}", kind.to_lowercase()),
            "type": kind,
            "role": "PRIMARY_OWNER",
            "verificationState": "UNVERIFIED",
            "vettedState": "NOT_VETTED",
            "permissionLevel": "OWNER_LEVEL",
        })
    });
    page(call, "accounts", all.collect(), 20)
}

fn list_places(call: &Call, account: &str, owner: &str) -> Result<Value, Fail> {
    mask(call)?;
    let all = places(account);
    let owner = format!("accounts/{owner}");
    if owner != "accounts/-" && !all.iter().any(|place| place.owner == owner) {
        return Err(not_found());
    }
    let own = all.iter().filter(|place| owner == "accounts/-" || place.owner == owner);
    page(call, "locations", own.map(|place| place_json(call, place)).collect(), 100)
}

/// A page of a listing, its token the number of what went before.
fn page(call: &Call, name: &str, all: Vec<Value>, most: i64) -> Result<Value, Fail> {
    let size = call.number("pageSize").unwrap_or(most);
    if !(1..=most).contains(&size) {
        let message = format!("Page size must be between 1 and {most}.");
        return Err(Fail::new(400, "INVALID_ARGUMENT", "badRequest", message));
    }
    let from = match call.text("pageToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|n| n.parse::<usize>().ok())
            .ok_or_else(|| invalid("page_token", "The page token is not valid."))?,
    };
    let size = usize::try_from(size).unwrap_or_default();
    let shown: Vec<Value> = all.iter().skip(from).take(size).cloned().collect();
    let mut body = json!({});
    if !shown.is_empty() {
        body[name] = Value::Array(shown);
    }
    if from + size < all.len() {
        body["nextPageToken"] = json!(format!("page-{}", from + size));
    }
    Ok(body)
}

fn mask(call: &Call) -> Result<String, Fail> {
    let missing = || {
        let detail = json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": "read_mask", "description": "read_mask is required" }],
        });
        let says = "Request contains an invalid argument.";
        Fail::new(400, "INVALID_ARGUMENT", "", says).detail(detail)
    };
    call.text("readMask").filter(|mask| !mask.is_empty()).ok_or_else(missing)
}

/// What was asked for of a place; `false` is left out, as everywhere at Google.
fn place_json(call: &Call, place: &Place) -> Value {
    let mut metadata = json!({
        "placeId": format!("ChIJ{}", &place.name[10..]),
        "mapsUri": format!("{}/?network=gbp", call.origin),
    });
    if place.trouble.is_null() {
        metadata["hasVoiceOfMerchant"] = json!(true);
    }
    let all = json!({
        "name": place.name,
        "title": place.title,
        "storefrontAddress": { "regionCode": "DE", "locality": "Leipzig" },
        "metadata": metadata,
    });
    let mask = call.text("readMask").unwrap_or_default();
    let wanted = mask.split(',').map(str::trim);
    wanted.filter_map(|key| Some((key.to_owned(), all.get(key)?.clone()))).collect()
}

fn of_number(account: &str, id: &str) -> Result<Place, Fail> {
    let name = format!("locations/{id}");
    places(account).into_iter().find(|place| place.name == name).ok_or_else(not_found)
}

fn show_place(call: &Call, account: &str, id: &str) -> Result<Value, Fail> {
    mask(call)?;
    Ok(place_json(call, &of_number(account, id)?))
}

fn voice(account: &str, id: &str) -> Result<Value, Fail> {
    let place = of_number(account, id)?;
    Ok(match place.trouble {
        Value::Null => json!({ "hasVoiceOfMerchant": true, "hasBusinessAuthority": true }),
        trouble => trouble,
    })
}

/// The place in a path of the old API, where posts are taken.
fn posting(account: &str, owner: &str, id: &str) -> Result<String, Fail> {
    let place = of_number(account, id)?;
    if place.owner != format!("accounts/{owner}") {
        return Err(not_found());
    }
    if !place.trouble.is_null() {
        let says = "The location must be verified and in good standing.";
        return Err(Fail::new(400, "FAILED_PRECONDITION", "failedPrecondition", says));
    }
    Ok(format!("{}/{}", place.owner, place.name))
}

// Posts

async fn create(world: &World, call: &Call, account: String, place: &str) -> Result<Value, Fail> {
    let Some(Value::Object(body)) = &call.json else {
        return Err(invalid("local_post", "A local post is required."));
    };
    if let Some(unknown) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        let says = format!(
            "Invalid JSON payload received. Unknown name \"{unknown}\" at 'local_post': Cannot \
             find field."
        );
        return Err(Fail::new(400, "INVALID_ARGUMENT", "badRequest", says));
    }
    let body = Value::Object(body.clone());
    let text = checked(&body)?;
    let media = photos(world, &body).await?;
    let mut state = lock(&world.states.gbp);
    state.last_id = (state.last_id + 1).max(call.now.unsigned_abs() * 1_000);
    let name = format!("{place}/localPosts/{}", state.last_id);
    let post = Post {
        rejected: has_phone(&text),
        media,
        body,
        created: call.now,
        updated: call.now,
        settled: call.now + PROCESSING_MS,
    };
    if !post.rejected {
        world.ledger.appear(
            Network::Gbp,
            Appeared {
                id: name.clone(),
                account: &account,
                placement: match post.body["topicType"].as_str() {
                    Some("EVENT") => "event",
                    Some("OFFER") => "offer",
                    _ => "standard",
                },
                reply_to: None,
                text,
                media: post.media.iter().map(|blob| blob.in_ledger("")).collect(),
                at: call.now,
            },
        );
    }
    let shown = post_json(call, &name, &post);
    state.places.entry(place.to_owned()).or_default().insert((call.now, name.clone()));
    state.posts.insert(name, post);
    Ok(shown)
}

/// The text as people read it, of a post that Google takes.
fn checked(body: &Value) -> Result<String, Fail> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let topic = match body["topicType"].as_str() {
        Some(topic @ ("STANDARD" | "EVENT" | "OFFER")) => topic,
        Some("ALERT") => return Err(invalid("topic_type", "Alert posts cannot be created.")),
        Some(_) => return Err(invalid("topic_type", "Topic type is not valid.")),
        None => return Err(invalid("topic_type", "Topic type is required for post creation.")),
    };
    let summary = text(&body["summary"]);
    if summary.chars().count() > SUMMARY {
        return Err(invalid("summary", "Summary must be at most 1500 characters."));
    }
    if topic == "STANDARD" && summary.is_empty() {
        return Err(invalid("summary", "Summary is required."));
    }
    if topic != "OFFER" {
        if !body["offer"].is_null() {
            return Err(invalid("offer", "Offer is only allowed for the topic type OFFER."));
        }
        call_to_action(&body["callToAction"])?;
    }
    if topic == "STANDARD" {
        return match body["event"].is_null() {
            true => Ok(summary),
            false => Err(invalid("event", "Event is not allowed for the topic type STANDARD.")),
        };
    }
    let title = text(&body["event"]["title"]);
    if title.is_empty() || title.chars().count() > TITLE {
        return Err(invalid("event.title", "Event title must have 1 to 58 characters."));
    }
    let schedule = &body["event"]["schedule"];
    let start = moment(&schedule["startDate"], &schedule["startTime"]);
    let start = start.ok_or_else(|| invalid("event.schedule", "The start date is not valid."))?;
    let end = moment(&schedule["endDate"], &schedule["endTime"]);
    let end = end.ok_or_else(|| invalid("event.schedule", "The end date is not valid."))?;
    if end.0 < start.0 || (end.0 == start.0 && start.1.zip(end.1).is_some_and(|(a, b)| b < a)) {
        return Err(invalid("event.schedule", "The event ends before it starts."));
    }
    Ok(format!("{title}\n\n{summary}").trim_end().to_owned())
}

fn call_to_action(action: &Value) -> Result<(), Fail> {
    if action.is_null() {
        return Ok(());
    }
    let kind = action["actionType"].as_str().unwrap_or_default();
    if !ACTIONS.contains(&kind) {
        return Err(invalid("call_to_action.action_type", "Action type is not valid."));
    }
    let url = action["url"].as_str().and_then(|url| url::Url::parse(url).ok());
    match (kind, url, action["url"].is_null()) {
        ("CALL", _, true) => Ok(()),
        ("CALL", ..) => Err(invalid("call_to_action.url", "Url must be unset for CALL.")),
        (_, Some(url), _) if matches!(url.scheme(), "http" | "https") => Ok(()),
        _ => Err(invalid("call_to_action.url", "A valid url is required.")),
    }
}

type Moment = (jiff::civil::Date, Option<jiff::civil::Time>);

fn moment(date: &Value, time: &Value) -> Option<Moment> {
    let part = |value: &Value, key: &str| i8::try_from(value[key].as_i64().unwrap_or(0)).ok();
    let year = i16::try_from(date["year"].as_i64()?).ok()?;
    let day = jiff::civil::Date::new(year, part(date, "month")?, part(date, "day")?).ok()?;
    if time.is_null() {
        return Some((day, None));
    }
    let (hours, minutes) = (part(time, "hours")?, part(time, "minutes")?);
    let time = jiff::civil::Time::new(hours, minutes, part(time, "seconds")?, 0).ok()?;
    Some((day, Some(time)))
}

async fn photos(world: &World, body: &Value) -> Result<Vec<Blob>, Fail> {
    let media = body["media"].as_array().cloned().unwrap_or_default();
    if media.len() > 1 {
        return Err(invalid("media", "A local post has at most one media item."));
    }
    let mut blobs = Vec::new();
    for item in &media {
        if item["mediaFormat"] != "PHOTO" {
            return Err(invalid("media.media_format", "Media format must be PHOTO."));
        }
        let url = item["sourceUrl"].as_str();
        let url = url.ok_or_else(|| invalid("media.source_url", "Source url is required."))?;
        let unfetched = |_| invalid("media.source_url", "The photo could not be fetched.");
        let blob = world.blobs.keep(&fetch(world, url).await.map_err(unfetched)?);
        let kind = blob.kind.filter(|kind| matches!(kind.mime, "image/jpeg" | "image/png"));
        let kind = kind.ok_or_else(|| invalid("media", "The photo must be a JPEG or a PNG."))?;
        if !(10 << 10..=5 << 20).contains(&blob.size) {
            return Err(invalid("media", "The photo must have 10 KB to 5 MB."));
        }
        if kind.width < 250 || kind.height < 250 {
            return Err(invalid("media", "The photo must be at least 250 pixels wide and high."));
        }
        blobs.push(blob);
    }
    Ok(blobs)
}

/// Seven digits and more, with what people write between them.
fn has_phone(text: &str) -> bool {
    let apart = |c: char| !(c.is_ascii_digit() || matches!(c, ' ' | '-' | '/' | '+' | '(' | ')'));
    let digits = |run: &str| run.chars().filter(char::is_ascii_digit).count();
    text.split(apart).any(|run| digits(run) >= 7)
}

fn post_json(call: &Call, name: &str, post: &Post) -> Value {
    let state = match (call.now < post.settled, post.rejected) {
        (true, _) => "PROCESSING",
        (false, true) => "REJECTED",
        (false, false) => "LIVE",
    };
    let mut shown: BTreeMap<&str, Value> = BTreeMap::new();
    for key in ["languageCode", "summary", "callToAction", "event", "topicType", "offer"] {
        if let Some(value) = post.body.get(key) {
            shown.insert(key, value.clone());
        }
    }
    if !post.media.is_empty() {
        let media = post.media.iter().map(|blob| {
            json!({
                "name": format!("{name}/media/1"),
                "mediaFormat": "PHOTO",
                "googleUrl": format!("{}{}", call.origin, blob.path()),
            })
        });
        shown.insert("media", media.collect());
    }
    shown.insert("name", json!(name));
    shown.insert("state", json!(state));
    shown.insert("createTime", json!(iso(post.created)));
    shown.insert("updateTime", json!(iso(post.updated)));
    if state == "LIVE" {
        shown.insert("searchUrl", json!(format!("{}/posts/gbp/{name}", call.origin)));
    }
    json!(shown)
}

fn list(world: &World, call: &Call, place: &str) -> Result<Value, Fail> {
    let state = lock(&world.states.gbp);
    let names = state.places.get(place).into_iter().flatten().rev();
    let all = names.filter_map(|(_, name)| Some(post_json(call, name, state.posts.get(name)?)));
    page(call, "localPosts", all.collect(), 100)
}

fn show(world: &World, call: &Call, account: &str, place: &str, id: &str) -> Result<Value, Fail> {
    let name = format!("{place}/localPosts/{id}");
    let mut state = lock(&world.states.gbp);
    let post = state.posts.get_mut(&name).ok_or_else(not_found)?;
    if call.now >= post.settled && world.faults.still_processing(Network::Gbp, account) {
        post.settled = call.now + PROCESSING_MS;
    }
    Ok(post_json(call, &name, post))
}

/// Replaces the fields that the mask names.
fn change(world: &World, call: &Call, place: &str, id: &str) -> Result<Value, Fail> {
    let name = format!("{place}/localPosts/{id}");
    let mask = call.text("updateMask").unwrap_or_default();
    let fields: Vec<&str> = mask.split(',').map(str::trim).filter(|f| !f.is_empty()).collect();
    let changeable = ["summary", "event", "callToAction", "offer", "languageCode"];
    if fields.is_empty() || fields.iter().any(|field| !changeable.contains(field)) {
        return Err(invalid("update_mask", "The update mask is not valid."));
    }
    let new = call.json.clone().unwrap_or_default();
    let mut state = lock(&world.states.gbp);
    let post = state.posts.get_mut(&name).ok_or_else(not_found)?;
    let mut body = post.body.clone();
    for field in fields {
        match new.get(field).filter(|value| !value.is_null()) {
            Some(value) => body[field] = value.clone(),
            None => drop(body.as_object_mut().and_then(|body| body.remove(field))),
        }
    }
    let text = checked(&body)?;
    (post.body, post.rejected) = (body, has_phone(&text));
    (post.updated, post.settled) = (call.now, call.now + PROCESSING_MS);
    match post.rejected {
        true => world.ledger.vanish(Network::Gbp, &name, call.now),
        false => world.ledger.edit(Network::Gbp, &name, |post| post.text = text),
    }
    Ok(post_json(call, &name, post))
}

fn delete(world: &World, call: &Call, place: &str, id: &str) -> Result<Value, Fail> {
    let name = format!("{place}/localPosts/{id}");
    let mut state = lock(&world.states.gbp);
    let post = state.posts.remove(&name).ok_or_else(not_found)?;
    if let Some(names) = state.places.get_mut(place) {
        names.remove(&(post.created, name.clone()));
    }
    world.ledger.vanish(Network::Gbp, &name, call.now);
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_found_as_people_write_them() {
        for yes in ["Call 0341 123 45 67", "+49 (341) 1234567", "341-12-34567"] {
            assert!(has_phone(yes), "{yes}");
        }
        for no in ["Open 9-18, 12 rolls", "2026", "1, 2, 3, 4, 5, 6, 7, 8"] {
            assert!(!has_phone(no), "{no}");
        }
    }

    #[test]
    fn an_event_ends_after_it_starts() {
        let event = |start: Value, end: Value| {
            let schedule = json!({ "startDate": start, "endDate": end });
            let event = json!({ "title": "T", "schedule": schedule });
            checked(&json!({ "topicType": "EVENT", "event": event }))
        };
        let day = |day: i8| json!({ "year": 2026, "month": 12, "day": day });
        assert_eq!(event(day(1), day(1)).unwrap(), "T");
        assert!(event(day(2), day(1)).is_err());
        assert!(event(day(31), day(32)).is_err());
        assert!(event(Value::Null, day(1)).is_err());
    }
}
