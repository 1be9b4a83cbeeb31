//! Slack through an incoming webhook; checked 2026-11-22.
//!
//! Keys: api.slack.com/apps, your app, Incoming Webhooks, Add New Webhook to Workspace.
//! Send class D: the answer to a message is `ok` and nothing else. There is no id, no list, no way
//! to edit or to delete; `x-slack-unique-id`, Slack's own name for the exchange, stands in for an id.

use async_trait::async_trait;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::Reply;
use crate::oauth::Life;
use crate::slack_message::{NO_MEDIA, TEXT, escaped, refusal, word};
use crate::spec::{Abilities, Budget, Edit, Field, Placement, SendClass, Spec};
use crate::{Context, Error, Identity, Network, Prepared, Published, Remote, Rendition, incoming};

pub struct SlackWebhook;

pub static SPEC: Spec = Spec {
    id: "slack-webhook",
    name: "Slack webhook",
    code: "SW",
    base_url: "https://hooks.slack.com",
    fields: &[Field {
        key: "webhookUrl",
        label: "Webhook URL",
        help: "Your app, Incoming Webhooks: https://hooks.slack.com/services/….",
        secret: true,
        required: true,
    }],
    placements: &[Placement {
        id: "message",
        name: "Message",
        send: SendClass::Blind,
        follows: &[],
        in_budget: true,
        edit: Edit::No,
        measures: &[],
        text: TEXT,
        media: NO_MEDIA,
        options: &[],
    }],
    abilities: Abilities { delete: false, read_back: false, alt_text: false },
    oauth: None,
    life: Life::Endless,
    budgets: &[Budget { posts: 1, per: std::time::Duration::from_secs(1), of: &[] }],
};

/// What a webhook that works says to a message without text.
const ALIVE: [&str; 3] = ["no_text", "missing_text_or_fallback_or_attachments", "invalid_payload"];

#[async_trait]
impl Network for SlackWebhook {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    /// There is nothing to read, so an empty message is sent, which is refused in one way where the
    /// webhook works and in another where it does not.
    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let [team, service, _] = parts(cx)?;
        let reply = self.send(cx, &json!({ "text": "" })).await.map_err(Error::harmless)?;
        if !said(&reply).is_some_and(|word| ALIVE.contains(&word)) {
            return Err(self.parse_error(&reply).harmless());
        }
        let name = format!("Slack webhook {service}");
        Ok(Identity { remote_id: format!("{team}/{service}"), name, settings: <_>::default() })
    }

    async fn prepare(&self, cx: &Context<'_>, _: &Rendition) -> Result<Prepared, Error> {
        parts(cx)?;
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let reply = self.send(cx, &json!({ "text": escaped(&out.text) })).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        if said(&reply) != Some("ok") {
            return Err(Error::garbled("something else than ok").status(reply.status.as_u16()));
        }
        let id = reply.header("x-slack-unique-id").filter(|id| !id.trim().is_empty());
        let id = id.map_or_else(|| stand_in(&out.key), str::to_owned);
        Ok(Published::Accepted(Remote { id, url: None }))
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        // A word with a good status is no refusal.
        refusal(reply, said(reply).filter(|_| !reply.ok()))
    }
}

impl SlackWebhook {
    async fn send(&self, cx: &Context<'_>, body: &Value) -> Result<Reply, Error> {
        let [team, service, token] = parts(cx)?;
        let url = format!("{}/services/{team}/{service}/{token}", cx.base);
        cx.http.send(cx.http.post(&url).json(body), cx.timeout).await
    }
}

/// Workspace, webhook and token.
fn parts(cx: &Context<'_>) -> Result<[String; 3], Error> {
    let parts = incoming::parts(cx, &SPEC, &["hooks.slack.com"], "services", 3)?;
    parts.try_into().map_err(|_| Error::missing("webhookUrl"))
}

/// The body, where it is one word.
fn said(reply: &Reply) -> Option<&str> {
    word(std::str::from_utf8(&reply.body).ok()?)
}

/// Where Slack names no exchange: unique all the same, and the delivery's key is not readable in it.
fn stand_in(key: &str) -> String {
    let hash = Sha256::digest(format!("slack webhook {key}"));
    hash.iter().take(16).map(|b| format!("{b:02x}")).collect()
}
