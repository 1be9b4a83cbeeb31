//! Slack's incoming webhooks, under `/slack-webhook/services/{workspace}/{webhook}/sandbox-{account}`.
//!
//! networks.md §15 and Slack's list of webhook errors: a status, and one word as plain text. Every
//! account has one webhook. A channel of an account called `…-archived` is archived, one called
//! `…-locked` takes nothing from webhooks. `x-slack-unique-id` names the exchange; it is the id that
//! the ledger knows a message by, because Slack gives none.

use http::Method;
use serde_json::Value;

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::Appeared;
use crate::world::{
    Fields, Network, World, account_of_secret, hex, lock, number_of, secret_of, sha256,
};

const TEXT_LIMIT: usize = 40_000;

#[derive(Default)]
pub(crate) struct State {
    posted: u64,
}

pub(crate) fn fields(account: &str, base: &str) -> Fields {
    let [team, service] = place(account);
    vec![("webhookUrl", format!("{base}/services/{team}/{service}/{}", secret_of(account)))]
}

fn place(account: &str) -> [String; 2] {
    let number = |what: &str| number_of(&format!("slack {what} {account}"), 9);
    [format!("T0{}", number("team")), format!("B0{}", number("webhook"))]
}

pub(crate) fn aim(_: &World, call: &Call) -> Aim {
    let account = call.segments().get(3).copied().and_then(account_of_secret).map(str::to_owned);
    let kind = if call.method == Method::POST { Calls::Publish } else { Calls::Read };
    Aim { call: kind, account }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if call.method != Method::POST {
        return said(405, "http_method_not_allowed");
    }
    let path = call.segments();
    let ["services", team, service, token] = path.as_slice() else {
        return Answer::html(404, "<html><title>404</title></html>");
    };
    let Some(account) = account_of_secret(token) else { return said(403, "invalid_token") };
    let [own_team, own_service] = place(account);
    if *team != own_team {
        return said(404, "no_team");
    }
    if *service != own_service {
        return said(404, "no_service");
    }
    execute(world, call, account).unwrap_or_else(|refused| refused)
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => said(400, "invalid_payload"),
        Refusal::RateLimit(ms) => {
            let seconds = (ms + 999).div_euclid(1_000);
            said(429, "rate_limited").header("retry-after", &seconds.to_string())
        }
        Refusal::ServerError => said(500, "rollup_error"),
        // What a webhook answers that was removed.
        Refusal::Auth => said(404, "no_service"),
        Refusal::TooLarge => said(413, "too_large"),
    }
}

fn said(status: u16, word: &str) -> Answer {
    Answer::new(status, "text/html", word.to_owned())
}

fn execute(world: &World, call: &Call, account: &str) -> Result<Answer, Answer> {
    if account.ends_with("-archived") {
        return Err(said(410, "channel_is_archived"));
    }
    if account.ends_with("-locked") {
        return Err(said(403, "action_prohibited"));
    }
    // JSON, or a form with JSON in it.
    let payload = call.json.clone().or_else(|| call.nested("payload"));
    let payload = payload.filter(Value::is_object).ok_or_else(|| said(400, "invalid_payload"))?;
    let text = payload["text"].as_str().unwrap_or_default();
    if text.trim().is_empty() {
        return Err(said(400, "no_text"));
    }
    if text.chars().count() > TEXT_LIMIT {
        return Err(said(400, "msg_too_long"));
    }
    let mut state = lock(&world.states.slack_webhook);
    state.posted += 1;
    let id = hex(&sha256(format!("{account} {} {}", call.now, state.posted).as_bytes())[..14]);
    world.ledger.appear(
        Network::SlackWebhook,
        Appeared {
            id: id.clone(),
            account,
            placement: "message",
            reply_to: None,
            text: crate::slack::plain(text),
            media: Vec::new(),
            at: call.now,
        },
    );
    Ok(said(200, "ok").header("x-slack-unique-id", &id))
}
