//! Discord through a bot: HTTP API v10; checked 2026-11-22.
//!
//! Keys: discord.com/developers, New Application, Bot, Reset Token; the bot is invited with the
//! scope `bot` and the rights to view the channel, send messages, attach files and read the history;
//! for polls also to create polls.
//! The channel's id: Developer Mode on, then Copy Channel ID in the channel's menu.
//!
//! Keyed by `nonce` with `enforce_nonce`: the documents promise "the past few minutes" and no
//! number, so the same nonce is sent for two. Beyond that the channel's messages are read. A bot
//! without the right to read the history is shown an empty channel and no error: nothing found in
//! an empty channel is believed only with that right.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::discord_message::{
    self, API, BASE, FILES, Message, POLL, TEXT, ids, is_gone, is_snowflake,
};
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::spec::{
    Abilities, Budget, Edit, Field, MediaRule, Metric, Placement, SendClass, Spec, Text,
};
use crate::text::normalise;
use crate::{
    Action, Class, Context, Error, Identity, Network, Numbers, Prepared, Published, Remote,
    Rendition, Window, numbers,
};

pub struct Discord;

/// Shorter than "the past few minutes".
const HORIZON: Duration = Duration::from_secs(120);

pub static SPEC: Spec = Spec {
    id: "discord",
    name: "Discord",
    code: "DI",
    base_url: BASE,
    fields: &[
        Field {
            key: "botToken",
            label: "Bot token",
            help: "discord.com/developers, your application, Bot, Reset Token.",
            secret: true,
            required: true,
        },
        Field {
            key: "channelId",
            label: "Channel ID",
            help: "With Developer Mode on: Copy Channel ID in the channel's menu. A number.",
            secret: false,
            required: true,
        },
    ],
    placements: &[
        Placement {
            id: "message",
            name: "Message",
            send: SendClass::Keyed { horizon: Some(HORIZON) },
            follows: &[],
            in_budget: true,
            edit: Edit::Text,
            measures: &[Metric::Likes],
            text: TEXT,
            media: FILES,
            options: POLL,
        },
        Placement {
            id: "reply",
            name: "Thread",
            send: SendClass::Keyed { horizon: Some(HORIZON) },
            follows: &["message", "reply"],
            in_budget: true,
            edit: Edit::Text,
            measures: &[Metric::Likes],
            text: Text { required: true, question_max: None, ..TEXT },
            media: MediaRule { max: 0, video: None, ..FILES },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: None,
    life: Life::Endless,
    budgets: &[Budget { posts: 5, per: Duration::from_secs(5), of: &[] }],
};

/// Most pages of 100 messages that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 5;

const ADMINISTRATOR: u64 = 1 << 3;
const VIEW_CHANNEL: u64 = 1 << 10;
const SEND_MESSAGES: u64 = 1 << 11;
const ATTACH_FILES: u64 = 1 << 15;
const READ_MESSAGE_HISTORY: u64 = 1 << 16;

#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Channel {
    id: String,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    guild_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    permission_overwrites: Vec<Overwrite>,
}

/// Of a role or, by the same id space, of a member.
#[derive(Deserialize)]
struct Overwrite {
    id: String,
    allow: String,
    deny: String,
}

#[derive(Deserialize)]
struct Guild {
    id: String,
    owner_id: String,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    id: String,
    permissions: String,
}

#[derive(Deserialize)]
struct Member {
    roles: Vec<String>,
}

#[async_trait]
impl Network for Discord {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let (channel_id, me) = (channel_id(cx)?, self.me(cx).await?);
        let channel: Channel = self.get(cx, &format!("channels/{channel_id}")).await?;
        // Text and announcements; threads, forums and voice have rules of their own.
        let Some(guild_id) = channel.guild_id.clone().filter(|_| matches!(channel.kind, 0 | 5))
        else {
            let why =
                "Carillon posts to Discord's text and announcement channels, which it is not.";
            return Err(Error::new(Class::Config, why).code("channel_kind"));
        };
        let held = self.rights(cx, &me, &channel, &guild_id).await?;
        for (right, what) in [
            (VIEW_CHANNEL, "view the channel"),
            (SEND_MESSAGES, "send messages in the channel"),
            (ATTACH_FILES, "attach files in the channel"),
            (READ_MESSAGE_HISTORY, "read the channel's message history"),
        ] {
            if held & right == 0 {
                let why = format!("The bot may not {what}: give it the right at Discord.");
                return Err(Error::new(Class::Auth, why)
                    .code("rights")
                    .action(Action::ActAtNetwork));
            }
        }
        let name = channel.name.map_or_else(|| channel.id.clone(), |name| format!("#{name}"));
        let settings = BTreeMap::from([("guildId".to_owned(), guild_id), ("botId".to_owned(), me)]);
        Ok(Identity { remote_id: channel.id, name, settings })
    }

    async fn prepare(&self, _: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        discord_message::fits(out)?;
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let channel = channel_id(cx)?;
        let mut payload = discord_message::payload(out)?;
        payload["nonce"] = nonce(&out.key).into();
        payload["enforce_nonce"] = true.into();
        if let Some(to) = &out.reply_to {
            let (there, parent) = ids(&to.parent.id)?;
            if there != channel {
                let why = "It follows a message in another Discord channel than this connection's.";
                return Err(Error::new(Class::Content, why).code("other_channel"));
            }
            payload["message_reference"] = json!({ "message_id": parent });
        }
        let url = format!("{}/{API}/channels/{channel}/messages", cx.base);
        let request = discord_message::fill(cx.http.post(&url), &payload, &out.media)?;
        let reply = self.call(cx, request).await.map_err(|e| match e.code.as_deref() {
            // Polls have a right of their own, without which all else is posted.
            Some("50013") if out.asks() => e
                .becomes(
                    Class::Content,
                    "The bot may not create polls in this channel: give it the right at Discord.",
                )
                .action(Action::ActAtNetwork),
            _ => e,
        })?;
        Ok(Published::Accepted(reply.json::<Message>()?.remote(cx)))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let channel = channel_id(cx)?;
        let me = match cx.account.setting("botId") {
            Ok(id) => id.to_owned(),
            Err(_) => self.me(cx).await?,
        };
        let parent = out.reply_to.as_ref().map(|to| ids(&to.parent.id)).transpose()?;
        let (wanted, nonce) = (normalise(&out.text), Value::from(nonce(&out.key)));
        let (mut found, mut before) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let url = format!("{}/{API}/channels/{channel}/messages", cx.base);
            let mut request = cx.http.get(&url).query(&[("limit", "100")]);
            if let Some(id) = &before {
                request = request.query(&[("before", id)]);
            }
            let page: Vec<Message> = self.call(cx, request).await?.json()?;
            let Some(last) = page.last() else {
                if before.is_none() {
                    self.may_read(cx, channel, &me).await?;
                }
                return Ok(found);
            };
            let enough = last.timestamp.as_millisecond() < window.since;
            before = Some(last.id.clone());
            let ours = page.into_iter().filter(|m| {
                let at = m.timestamp.as_millisecond();
                let reference = m.message_reference.as_ref().and_then(|r| r.message_id.as_deref());
                let says = match &m.nonce {
                    Some(other) => *other == nonce,
                    None => {
                        let (is_poll, said) = m.says();
                        is_poll == out.asks() && normalise(said) == wanted
                    }
                };
                (window.since..=window.until).contains(&at)
                    && m.author.id == me
                    && m.attachments.len() == out.media.len()
                    && reference == parent.map(|(_, message)| message)
                    && says
            });
            found.extend(ours.map(|m| m.remote(cx)));
            if enough {
                return Ok(found);
            }
        }
        let why = "The Discord channel has had too many messages since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let (channel, message) = ids(remote_id)?;
        let url = format!("{}/{API}/channels/{channel}/messages/{message}", cx.base);
        let request = cx.http.patch(&url).json(&discord_message::change(out));
        let message: Message = self.call(cx, request).await?.json()?;
        Ok(Published::Accepted(message.remote(cx)))
    }

    /// A message that nobody has reacted to says nothing of reactions.
    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        let (channel, message) = ids(remote_id)?;
        let url = format!("{}/{API}/channels/{channel}/messages/{message}", cx.base);
        let reply = self.send(cx, cx.http.get(&url)).await.map_err(Error::harmless)?;
        if !reply.ok() {
            let error = self.parse_error(&reply).harmless();
            return Err(if is_gone(&reply) { numbers::gone(SPEC.name) } else { error });
        }
        let message: Value = reply.json().map_err(Error::harmless)?;
        Ok(numbers::sum(numbers::reactions(&message)))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let (channel, message) = ids(remote_id)?;
        let url = format!("{}/{API}/channels/{channel}/messages/{message}", cx.base);
        let reply = self.send(cx, cx.http.delete(&url)).await?;
        if reply.ok() || is_gone(&reply) { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        discord_message::parse_error(reply, "bot token")
    }
}

impl Discord {
    async fn send(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let token = cx.account.secret("botToken")?;
        let mut bearer = http::HeaderValue::try_from(format!("Bot {}", token.reveal().trim()))
            .map_err(|_| Error::new(Class::Auth, "The bot token is not one that Discord gives."))?;
        bearer.set_sensitive(true);
        discord_message::send(cx, request.header("authorization", bearer)).await
    }

    async fn call(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let reply = self.send(cx, request).await?;
        if reply.ok() { Ok(reply) } else { Err(self.parse_error(&reply)) }
    }

    async fn get<T: DeserializeOwned>(&self, cx: &Context<'_>, path: &str) -> Result<T, Error> {
        let reply = self.call(cx, cx.http.get(&format!("{}/{API}/{path}", cx.base))).await;
        reply.and_then(|reply| reply.json()).map_err(Error::harmless)
    }

    /// The bot's own id.
    async fn me(&self, cx: &Context<'_>) -> Result<String, Error> {
        let User { id } = self.get(cx, "users/@me").await?;
        if is_snowflake(&id) {
            Ok(id)
        } else {
            Err(Error::garbled("an id that is none").harmless())
        }
    }

    /// What the bot may do in the channel, by the documents' own way to reckon it.
    async fn rights(
        &self,
        cx: &Context<'_>,
        me: &str,
        channel: &Channel,
        guild_id: &str,
    ) -> Result<u64, Error> {
        if !is_snowflake(guild_id) {
            return Err(Error::garbled("an id that is none").harmless());
        }
        let guild: Guild = self.get(cx, &format!("guilds/{guild_id}")).await?;
        let member: Member = self.get(cx, &format!("guilds/{guild_id}/members/{me}")).await?;
        Ok(reckon(&guild, &member.roles, me, &channel.permission_overwrites))
    }

    /// An empty channel is shown to those as well who may not read it.
    async fn may_read(&self, cx: &Context<'_>, channel: &str, me: &str) -> Result<(), Error> {
        let channel: Channel = self.get(cx, &format!("channels/{channel}")).await?;
        let guild = channel.guild_id.clone().unwrap_or_default();
        let needed = VIEW_CHANNEL | READ_MESSAGE_HISTORY;
        if self.rights(cx, me, &channel, &guild).await? & needed == needed {
            return Ok(());
        }
        let why =
            "The bot may not read the channel's message history: give it the right at Discord.";
        Err(Error::new(Class::Auth, why).code("rights").action(Action::ActAtNetwork))
    }
}

fn channel_id<'a>(cx: &'a Context<'_>) -> Result<&'a str, Error> {
    let id = cx.account.setting("channelId")?;
    if is_snowflake(id) {
        return Ok(id);
    }
    let why = "The channel ID is not one of Discord's: it is a number.";
    Err(Error::new(Class::Config, why).code("channel_id"))
}

/// The rights of everyone, then of the roles; then the channel's overwrites for everyone, for the
/// roles together, for the member.
fn reckon(guild: &Guild, roles: &[String], me: &str, overwrites: &[Overwrite]) -> u64 {
    let bits = |text: &str| text.parse::<u64>().unwrap_or_default();
    let has = |role: &&Role| role.id == guild.id || roles.contains(&role.id);
    let base = guild.roles.iter().filter(has).fold(0, |all, role| all | bits(&role.permissions));
    if guild.owner_id == me || base & ADMINISTRATOR != 0 {
        return u64::MAX;
    }
    let by_id: HashMap<&str, (u64, u64)> =
        overwrites.iter().map(|o| (o.id.as_str(), (bits(&o.allow), bits(&o.deny)))).collect();
    let of = |id: &str| by_id.get(id).copied().unwrap_or_default();
    let together = roles.iter().map(|role| of(role));
    let together = together.fold((0, 0), |(a, d), (allow, deny)| (a | allow, d | deny));
    [of(&guild.id), together, of(me)]
        .into_iter()
        .fold(base, |held, (allow, deny)| (held & !deny) | allow)
}

/// At most 25 characters; the delivery's key, but not readable in the channel.
fn nonce(key: &str) -> String {
    let hash = Sha256::digest(format!("discord {key}"));
    hash.iter().take(12).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_reckoned_as_documented() {
        let guild = |everyone: u64, bot: u64| Guild {
            id: "1".into(),
            owner_id: "2".into(),
            roles: vec![
                Role { id: "1".into(), permissions: everyone.to_string() },
                Role { id: "5".into(), permissions: bot.to_string() },
                Role { id: "6".into(), permissions: u64::MAX.to_string() },
            ],
        };
        let over = |id: &str, allow: u64, deny: u64| Overwrite {
            id: id.into(),
            allow: allow.to_string(),
            deny: deny.to_string(),
        };
        let (view, send) = (VIEW_CHANNEL, SEND_MESSAGES);
        let held = |everyone, bot, overwrites: &[Overwrite]| {
            reckon(&guild(everyone, bot), &["5".to_owned()], "9", overwrites)
        };
        assert_eq!(held(view, send, &[]), view | send);
        assert_eq!(held(view, 0, &[]), view, "another's role gives nothing");
        assert_eq!(held(view | send, 0, &[over("1", 0, send)]), view);
        assert_eq!(held(view | send, 0, &[over("1", 0, send), over("5", send, 0)]), view | send);
        assert_eq!(held(view | send, 0, &[over("5", send, 0), over("9", 0, send)]), view);
        assert_eq!(held(0, ADMINISTRATOR, &[over("1", 0, view)]), u64::MAX);
        assert_eq!(reckon(&guild(0, 0), &[], "2", &[]), u64::MAX, "the owner");
        assert_eq!(held(0, 0, &[over("9", view, view)]), view);
    }

    #[test]
    fn a_nonce_is_short_and_the_same_on_every_try() {
        assert_eq!(nonce("a"), nonce("a"));
        assert_ne!(nonce("a"), nonce("b"));
        assert!(nonce("a").len() <= 25);
    }
}
