//! Discord through an incoming webhook: HTTP API v10; checked 2026-11-22.
//!
//! Keys: the channel's settings, Integrations, Webhooks, New Webhook, Copy Webhook URL.
//! Send class D: a webhook has no key to send with and no list to read. It can read, edit and
//! delete one message by its id, which a lost answer takes away with it. Always `wait=true`: without
//! it a message that was not saved is answered like one that was.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;

use crate::discord_message::{
    self, API, BASE, FILES, Message, POLL, TEXT, ids, is_gone, is_snowflake,
};
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::spec::{Abilities, Budget, Edit, Field, Placement, SendClass, Spec};
use crate::{Class, Context, Error, Identity, Network, Prepared, Published, Rendition, incoming};

pub struct DiscordWebhook;

/// Addresses that Discord has given out, over the years and on its test channels.
const HOSTS: [&str; 4] = ["discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"];

pub static SPEC: Spec = Spec {
    id: "discord-webhook",
    name: "Discord webhook",
    code: "DW",
    base_url: BASE,
    fields: &[Field {
        key: "webhookUrl",
        label: "Webhook URL",
        help: "The channel's settings, Integrations, Webhooks, Copy Webhook URL.",
        secret: true,
        required: true,
    }],
    placements: &[Placement {
        id: "message",
        name: "Message",
        send: SendClass::Blind,
        follows: &[],
        in_budget: true,
        edit: Edit::Text,
        measures: &[],
        text: TEXT,
        media: FILES,
        options: POLL,
    }],
    abilities: Abilities { delete: true, read_back: false, alt_text: true },
    oauth: None,
    life: Life::Endless,
    budgets: &[Budget { posts: 5, per: std::time::Duration::from_secs(5), of: &[] }],
};

#[derive(Deserialize)]
struct Webhook {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    guild_id: Option<String>,
}

#[async_trait]
impl Network for DiscordWebhook {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let reply = self.call(cx, cx.http.get(&address(cx)?)).await;
        let webhook: Webhook = reply.and_then(|reply| reply.json()).map_err(Error::harmless)?;
        let name = webhook.name.unwrap_or_else(|| format!("Webhook {}", webhook.id));
        let guild = webhook.guild_id.map(|guild| ("guildId".to_owned(), guild));
        let settings = guild.into_iter().collect::<BTreeMap<_, _>>();
        Ok(Identity { remote_id: webhook.id, name, settings })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        address(cx)?;
        discord_message::fits(out)?;
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let request = cx.http.post(&address(cx)?).query(&[("wait", "true")]);
        let payload = discord_message::payload(out)?;
        let request = discord_message::fill(request, &payload, &out.media)?;
        let message: Message = self.call(cx, request).await?.json()?;
        Ok(Published::Accepted(message.remote(cx)))
    }

    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let (_, message) = ids(remote_id)?;
        let url = format!("{}/messages/{message}", address(cx)?);
        let request = cx.http.patch(&url).json(&discord_message::change(out));
        let message: Message = self.call(cx, request).await?.json()?;
        Ok(Published::Accepted(message.remote(cx)))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let (_, message) = ids(remote_id)?;
        let url = format!("{}/messages/{message}", address(cx)?);
        let reply = discord_message::send(cx, cx.http.delete(&url)).await?;
        if reply.ok() || is_gone(&reply) { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        discord_message::parse_error(reply, "webhook")
    }
}

impl DiscordWebhook {
    async fn call(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let reply = discord_message::send(cx, request).await?;
        if reply.ok() { Ok(reply) } else { Err(self.parse_error(&reply)) }
    }
}

/// Where the webhook is, its token included.
fn address(cx: &Context<'_>) -> Result<String, Error> {
    let parts = incoming::parts(cx, &SPEC, &HOSTS, "webhooks", 2)?;
    match parts.as_slice() {
        [id, token] if is_snowflake(id) => Ok(format!("{}/{API}/webhooks/{id}/{token}", cx.base)),
        _ => {
            let why = "This is not the address of a Discord webhook.";
            Err(Error::new(Class::Config, why).code("webhook_url"))
        }
    }
}
