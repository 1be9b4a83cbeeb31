//! A receiver of signed webhooks, at `/webhook/{account}`, as a shop owner's developer writes one.
//!
//! By the Standard Webhooks specification 1.0: `webhook-id`, `webhook-timestamp` of the last five
//! minutes, `webhook-signature` with at least one `v1` that fits the secret `sandbox-{account}`.
//! A document is seen once: the same id again gets the first one's answer. Acts on the types
//! `post.published` and `post.deleted`, answers `ping` and does not know any other. Media is fetched.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::{Appeared, LedgerMedia};
use crate::media::fetch;
use crate::signed::is_hmac;
use crate::world::{Fields, Network, World, is_account, lock, number_of, secret_of};

/// How far a signature's time may be from the receiver's, in seconds.
const TOLERANCE: i64 = 5 * 60;

#[derive(Default)]
pub(crate) struct State {
    /// By account and `webhook-id`: what was answered.
    seen: HashMap<(String, String), Value>,
    /// By the receiver's own id: whose post it is.
    posts: HashMap<String, String>,
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    vec![("url", format!("{base}/{account}")), ("secret", secret_of(account))]
}

pub(crate) fn aim(_: &World, call: &Call) -> Aim {
    let kind = match (&call.method, call.text("type").as_deref()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (_, Some("post.published")) => Calls::Publish,
        (_, Some("post.deleted")) => Calls::Delete,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: account(call).map(str::to_owned) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    handle(world, call).await.map_or_else(|refused| refused, |body| Answer::json(200, &body))
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => error(400, "the body is not JSON"),
        Refusal::RateLimit(ms) => error(429, "slow down")
            .header("retry-after", &(ms.max(0).unsigned_abs().div_ceil(1_000)).to_string()),
        Refusal::ServerError => error(503, "the queue is full"),
        Refusal::Auth => error(401, "no signature fits"),
        Refusal::TooLarge => error(413, "the body is too large"),
    }
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": message }))
}

fn account(call: &Call) -> Option<&str> {
    Some(call.path.as_str()).filter(|name| is_account(name))
}

async fn handle(world: &World, call: &Call) -> Result<Value, Answer> {
    let account = account(call).ok_or_else(|| error(404, "nobody listens here"))?;
    if call.method != Method::POST {
        return Err(error(405, "documents are posted"));
    }
    let id = authentic(call, account)?;
    let seen = (account.to_owned(), id.to_owned());
    if let Some(first) = lock(&world.states.webhook).seen.get(&seen) {
        return Ok(first.clone());
    }
    let data = call.value("data").filter(Value::is_object);
    let data = data.ok_or_else(|| error(422, "`data` is missing"))?;
    timestamp(&call.value("timestamp").unwrap_or_default(), "timestamp")?;
    let body = match call.text("type").as_deref() {
        Some("ping") => json!({ "pong": true }),
        Some("post.published") => publish(world, call, account, id, &data).await?,
        Some("post.deleted") => delete(world, call, account, &data)?,
        Some(other) => json!({ "ignored": other }),
        None => return Err(error(422, "`type` is missing")),
    };
    lock(&world.states.webhook).seen.insert(seen, body.clone());
    Ok(body)
}

/// The id of a document that is signed, and signed just now.
fn authentic<'c>(call: &'c Call, account: &str) -> Result<&'c str, Answer> {
    let missing = || error(400, "a `webhook-` header is missing");
    let header = |name| call.header(name).filter(|value| !value.is_empty());
    let id = header("webhook-id").ok_or_else(missing)?;
    let at = header("webhook-timestamp").ok_or_else(missing)?;
    let signatures = header("webhook-signature").ok_or_else(missing)?;
    if id.contains('.') {
        return Err(error(400, "`webhook-id` holds a full stop"));
    }
    let signed = |one: &str| {
        let signature = one.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        let parts = [id.as_bytes(), b".", at.as_bytes(), b".", &call.body];
        signature.is_some_and(|s| is_hmac(secret_of(account).as_bytes(), &parts, &s))
    };
    if !signatures.split(' ').any(signed) {
        return Err(error(401, "no signature fits"));
    }
    let seconds: i64 = at.parse().map_err(|_| error(400, "`webhook-timestamp` is no number"))?;
    if (call.now.div_euclid(1_000) - seconds).abs() > TOLERANCE {
        return Err(error(401, "the signature is too old"));
    }
    if call.content_type() != "application/json" {
        return Err(error(415, "the body is not labelled as JSON"));
    }
    Ok(id)
}

async fn publish(
    world: &World,
    call: &Call,
    account: &str,
    key: &str,
    data: &Value,
) -> Result<Value, Answer> {
    let text = |name: &str| data[name].as_str().unwrap_or_default();
    if text("id").is_empty() || text("placement").is_empty() {
        return Err(error(422, "`data.id` or `data.placement` is missing"));
    }
    timestamp(&data["createdAt"], "data.createdAt")?;
    let mut media = Vec::new();
    for medium in data["media"].as_array().ok_or_else(|| error(422, "`data.media` is no list"))? {
        media.push(fetched(world, medium).await?);
    }
    let shown = match text("title") {
        "" => text("text").to_owned(),
        title => format!("{title}\n\n{}", text("text")),
    };
    if shown.trim().is_empty() && media.is_empty() {
        return Err(error(422, "there is nothing to show"));
    }
    let id = number_of(&format!("{account} {key}"), 12).to_string();
    lock(&world.states.webhook).posts.insert(id.clone(), account.to_owned());
    world.ledger.appear(
        Network::Webhook,
        Appeared {
            id: id.clone(),
            account,
            placement: "feed",
            reply_to: None,
            text: shown,
            media,
            at: call.now,
        },
    );
    Ok(json!({ "id": id, "url": format!("{}/posts/webhook/{id}", call.origin) }))
}

async fn fetched(world: &World, medium: &Value) -> Result<LedgerMedia, Answer> {
    let url = medium["url"].as_str().unwrap_or_default();
    let bytes = fetch(world, url).await;
    let bytes = bytes.map_err(|_| error(422, "a picture cannot be fetched"))?;
    let blob = world.blobs.keep(&bytes);
    if blob.kind.map(|kind| kind.mime) != medium["contentType"].as_str() {
        return Err(error(422, "a picture is not of the type that was named"));
    }
    Ok(blob.in_ledger(medium["alt"].as_str().unwrap_or_default()))
}

fn delete(world: &World, call: &Call, account: &str, data: &Value) -> Result<Value, Answer> {
    let id = data["id"].as_str().unwrap_or_default();
    let mut state = lock(&world.states.webhook);
    if state.posts.get(id).map(String::as_str) != Some(account) {
        return Err(error(404, "there is no such post"));
    }
    state.posts.remove(id);
    drop(state);
    world.ledger.vanish(Network::Webhook, id, call.now);
    Ok(json!({ "deleted": true }))
}

fn timestamp(value: &Value, name: &str) -> Result<(), Answer> {
    let read = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    read.map(drop).ok_or_else(|| error(422, &format!("`{name}` is no time")))
}
