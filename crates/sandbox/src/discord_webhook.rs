//! Discord's incoming webhooks, under `/discord-webhook/api/v10/webhooks/{id}/sandbox-{account}`.
//!
//! networks.md §14 and the API's own documents. Every account has one webhook with a number of its
//! own; the token is all it takes. Messages are made, read, edited and deleted one by one: there is
//! no list. Without `wait` the answer is 204, whatever became of the message. A webhook of an account
//! called `…-forum` is in a forum, which wants a thread.

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::discord::{self, Content, channel_of, content, error, guild_of, snowflake, time};
use crate::faults::Calls;
use crate::ledger::Appeared;
use crate::world::{Fields, Network, World, account_of_secret, lock, number_of, secret_of};

#[derive(Default)]
pub(crate) struct State {
    messages: HashMap<u64, Message>,
    last_id: u64,
}

struct Message {
    account: String,
    content: Content,
    at: i64,
    edited: Option<i64>,
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    let url = format!("{base}/api/webhooks/{}/{}", webhook_id(account), secret_of(account));
    vec![("webhookUrl", url)]
}

pub(crate) fn aim(_: &World, call: &Call) -> Aim {
    let kind = match (&call.method, segments(call).as_slice()) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (&Method::DELETE, _) => Calls::Delete,
        (&Method::POST, ["webhooks", _, _]) => Calls::Publish,
        (&Method::PATCH, ["webhooks", _, _, "messages", _]) => Calls::Edit,
        _ => Calls::Prepare,
    };
    let account = match segments(call).as_slice() {
        ["webhooks", _, token, ..] => account_of_secret(token).map(str::to_owned),
        _ => None,
    };
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if let (&Method::GET, ["channels", _, channel, message]) =
        (&call.method, call.segments().as_slice())
    {
        let page = format!("{}/posts/discord-webhook/{channel}/{message}", call.origin);
        return Answer::html(302, "").header("location", &page);
    }
    if let Some(refused) = discord::wrong_agent(call) {
        return refused;
    }
    let path = segments(call);
    let ["webhooks", id, token, rest @ ..] = path.as_slice() else {
        return error(404, 0, "404: Not Found");
    };
    let account = match webhook(id, token) {
        Ok(account) => account,
        Err(refused) => return refused,
    };
    let handled = match (call.method.as_str(), rest) {
        ("GET", []) => Ok(webhook_json(call, account)),
        ("POST", []) => return execute(world, call, account).unwrap_or_else(|refused| refused),
        ("GET", ["messages", id]) => show(world, call, account, id),
        ("PATCH", ["messages", id]) => edit(world, call, account, id),
        ("DELETE", ["messages", id]) => {
            return delete(world, call, account, id).unwrap_or_else(|refused| refused);
        }
        _ => Err(error(405, 0, "405: Method Not Allowed")),
    };
    handled.map_or_else(|refused| refused, |body| Answer::json(200, &body))
}

pub(crate) fn refuse(call: &Call, refusal: Refusal) -> Answer {
    match refusal {
        // What a deleted webhook answers.
        Refusal::Auth => error(404, 10015, "Unknown Webhook"),
        other => discord::refuse(call, other),
    }
}

/// After `api` or `api/v10`: addresses are given out without a version.
fn segments(call: &Call) -> Vec<&str> {
    match call.segments().as_slice() {
        ["api", "v10", rest @ ..] | ["api", rest @ ..] => rest.to_vec(),
        _ => Vec::new(),
    }
}

fn webhook_id(account: &str) -> u64 {
    number_of(&format!("discord webhook {account}"), 18)
}

/// Whose webhook it is.
fn webhook<'t>(id: &str, token: &'t str) -> Result<&'t str, Answer> {
    let account = account_of_secret(token);
    let account = account.ok_or_else(|| error(401, 50027, "Invalid Webhook Token"))?;
    if id != webhook_id(account).to_string() {
        return Err(error(404, 10015, "Unknown Webhook"));
    }
    Ok(account)
}

fn channel(account: &str) -> u64 {
    channel_of(account).parse().unwrap_or_default()
}

fn webhook_json(call: &Call, account: &str) -> Value {
    let id = webhook_id(account);
    json!({
        "id": id.to_string(),
        "type": 1,
        "name": account,
        "avatar": null,
        "channel_id": channel(account).to_string(),
        "guild_id": guild_of(channel(account)).to_string(),
        "application_id": null,
        "token": secret_of(account),
        "url": format!("{}/discord-webhook/api/webhooks/{id}/{}", call.origin, secret_of(account)),
    })
}

fn execute(world: &World, call: &Call, account: &str) -> Result<Answer, Answer> {
    if account.ends_with("-forum") && call.text("thread_id").is_none() {
        let why = "Webhooks posted to forum channels must have a thread_name or thread_id";
        return Err(error(400, 220001, why));
    }
    let (content, body) = content(world, call)?;
    if !body["message_reference"].is_null() || !body["nonce"].is_null() {
        return Err(error(400, 50035, "Invalid Form Body"));
    }
    let mut state = lock(&world.states.discord_webhook);
    let id = snowflake(&mut state.last_id, call.now);
    world.ledger.appear(
        Network::DiscordWebhook,
        Appeared {
            id: named(account, id),
            account,
            placement: "message",
            reply_to: None,
            text: content.says(),
            media: content.media(),
            at: call.now,
        },
    );
    world.ledger.ask(Network::DiscordWebhook, &named(account, id), content.poll.as_ref());
    let message = Message { account: account.to_owned(), content, at: call.now, edited: None };
    let json = message_json(call, id, &message);
    state.messages.insert(id, message);
    let waits =
        call.query.iter().any(|(key, value)| key == "wait" && (value == "true" || value == "1"));
    Ok(if waits { Answer::json(200, &json) } else { Answer::html(204, "") })
}

fn named(account: &str, id: u64) -> String {
    format!("{}/{id}", channel(account))
}

fn message_json(call: &Call, id: u64, message: &Message) -> Value {
    let webhook = webhook_id(&message.account).to_string();
    let mut json = json!({
        "id": id.to_string(),
        "type": 0,
        "channel_id": channel(&message.account).to_string(),
        "content": message.content.text,
        "author": { "id": webhook, "username": message.account, "bot": true, "avatar": null, "discriminator": "0000" },
        "webhook_id": webhook,
        "attachments": message.content.attachments(call, id),
        "embeds": [],
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": false,
        "pinned": false,
        "tts": false,
        "timestamp": time(message.at),
        "edited_timestamp": message.edited.map(time),
        "flags": 0,
        "components": [],
    });
    if message.content.poll.is_some() {
        json["poll"] = message.content.poll_json();
    }
    json
}

/// A message of this webhook.
fn own(state: &State, account: &str, id: &str) -> Result<u64, Answer> {
    let id = id.parse().unwrap_or_default();
    let own = state.messages.get(&id).is_some_and(|message| message.account == account);
    own.then_some(id).ok_or_else(|| error(404, 10008, "Unknown Message"))
}

fn show(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Answer> {
    let state = lock(&world.states.discord_webhook);
    let id = own(&state, account, id)?;
    Ok(message_json(call, id, &state.messages[&id]))
}

fn edit(world: &World, call: &Call, account: &str, id: &str) -> Result<Value, Answer> {
    let mut state = lock(&world.states.discord_webhook);
    let id = own(&state, account, id)?;
    let message =
        state.messages.get_mut(&id).ok_or_else(|| error(404, 10008, "Unknown Message"))?;
    discord::change(call, id, &mut message.content)?;
    message.edited = Some(call.now);
    let (text, media) = (message.content.text.clone(), message.content.media());
    world.ledger.edit(Network::DiscordWebhook, &named(account, id), |post| {
        (post.text, post.media) = (text, media);
    });
    Ok(message_json(call, id, message))
}

fn delete(world: &World, call: &Call, account: &str, id: &str) -> Result<Answer, Answer> {
    let mut state = lock(&world.states.discord_webhook);
    let id = own(&state, account, id)?;
    state.messages.remove(&id);
    world.ledger.vanish(Network::DiscordWebhook, &named(account, id), call.now);
    Ok(Answer::html(204, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_its_number_and_its_token() {
        let id = webhook_id("alice").to_string();
        let refused = |token| webhook(&id, token).err().map(|answer| answer.status.as_u16());
        assert_eq!(refused("sandbox-alice"), None);
        assert_eq!(refused("nonsense"), Some(401));
        assert_eq!(refused("sandbox-bob"), Some(404));
    }
}
