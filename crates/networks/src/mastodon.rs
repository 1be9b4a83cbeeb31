//! Mastodon 4.x and servers that speak its client API; checked 2026-11-22.
//!
//! Keys: every server lets anybody register an app, which is done at the first consent there; or
//! Preferences → Development → New application, with the scopes `read:accounts`, `read:statuses`,
//! `write:media` and `write:statuses`, whose page shows an access token. Tokens never end.
//! The server remembers an `Idempotency-Key` for one hour after success, so the same key is sent
//! for 50 minutes; beyond that the account's own statuses are read.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::Form;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::{quote, saying};
use crate::http::{Reply, Request};
use crate::oauth::{Life, OAuth, SecretIn};
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, Text,
    VideoRule,
};
use crate::text::{html_to_text, normalise, short_mentions};
use crate::{
    Action, Class, Client, Context, Error, Identity, Media, Network, Numbers, Prepared, Published,
    Remote, Rendition, Secret, SendClass, Spec, Window, numbers, poll,
};

pub struct Mastodon;

/// Shorter than the hour for which a server remembers a key.
const HORIZON: Duration = Duration::from_secs(50 * 60);

const TEXT: Text = Text {
    max: USUAL_MAX,
    count: Count::Mastodon,
    max_bytes: None,
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: false,
};

const PICTURES: MediaRule = MediaRule {
    min: 0,
    max: 4,
    types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
    max_bytes: 16 << 20,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 1_500,
    video: Some(VideoRule {
        max: 1,
        types: &["video/mp4", "video/webm", "video/quicktime"],
        // Servers take 99 MiB unless they say something else.
        max_bytes: 99 << 20,
        seconds: (1, 10 * 3_600),
        ratio: None,
        side: Some((1, 3_840)),
        mixed: false,
    }),
};

pub static SPEC: Spec = Spec {
    id: "mastodon",
    name: "Mastodon",
    code: "MA",
    base_url: "",
    fields: &[
        Field {
            key: "server",
            label: "Server",
            help: "Where the account lives, for example https://mastodon.social.",
            secret: false,
            required: true,
        },
        Field {
            key: "accessToken",
            label: "Access token",
            help: "Mastodon: Preferences, Development, your application.",
            secret: true,
            required: true,
        },
    ],
    placements: &[
        Placement {
            id: "feed",
            name: "Feed",
            send: SendClass::Keyed { horizon: Some(HORIZON) },
            follows: &[],
            in_budget: true,
            edit: Edit::Text,
            measures: &[Metric::Likes, Metric::Comments, Metric::Shares],
            text: TEXT,
            media: PICTURES,
            options: &[poll::answers(4, 50), poll::open_for(poll::UP_TO_A_MONTH), poll::several()],
        },
        Placement {
            id: "reply",
            name: "Thread",
            send: SendClass::Keyed { horizon: Some(HORIZON) },
            follows: &["feed", "reply"],
            in_budget: true,
            edit: Edit::Text,
            measures: &[Metric::Likes, Metric::Comments, Metric::Shares],
            text: Text { required: true, ..TEXT },
            media: MediaRule { max: 0, video: None, ..PICTURES },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(OAuth {
        authorize: AUTHORIZE,
        token: TOKEN,
        // `profile` would do for the first, but servers before 4.3 do not know it.
        scopes: &["read:accounts", "read:statuses", "write:media", "write:statuses"],
        reading: &[],
        separator: ' ',
        pkce: true,
        id_param: "client_id",
        secret_in: SecretIn::Body,
        params: &[],
        guide: &[
            "Nothing to set up: Carillon registers itself at each server when somebody connects.",
            "Where a server does not allow that, sign in there and open Preferences, Development, New application.",
            "Paste the redirect address from below, and tick `read:accounts`, `read:statuses`, `write:media` and `write:statuses`.",
            "Copy the client key and the client secret of the application.",
        ],
    }),
    life: Life::Endless,
    budgets: &[Budget { posts: 300, per: Duration::from_secs(300), of: &[] }],
};

const AUTHORIZE: &str = "/oauth/authorize";
const TOKEN: &str = "/oauth/token";

/// Most characters where a server says nothing else; `check` stores another limit as
/// `maxCharacters`.
const USUAL_MAX: usize = 500;

/// Most pages of 40 statuses that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 5;

#[derive(Deserialize)]
struct App {
    client_id: String,
    client_secret: String,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    username: String,
}

#[derive(Deserialize)]
struct Instance {
    configuration: Configuration,
}

#[derive(Deserialize)]
struct Configuration {
    statuses: StatusLimits,
}

#[derive(Deserialize)]
struct StatusLimits {
    max_characters: usize,
}

#[derive(Deserialize)]
struct Attachment {
    id: String,
}

#[derive(Deserialize)]
struct Status {
    id: String,
    url: Option<String>,
    created_at: jiff::Timestamp,
    content: String,
    #[serde(default)]
    in_reply_to_id: Option<String>,
    #[serde(default)]
    media_attachments: Vec<Attachment>,
    /// What an edit has to repeat, because what it leaves out is taken away.
    #[serde(default)]
    sensitive: bool,
    #[serde(default)]
    spoiler_text: String,
    language: Option<String>,
    poll: Option<Poll>,
}

#[derive(Deserialize)]
struct Poll {
    expires_at: Option<jiff::Timestamp>,
    #[serde(default)]
    multiple: bool,
    options: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    title: String,
    /// Hidden while the poll is open, where its author wants that.
    votes_count: Option<u64>,
}

impl Status {
    fn answers(&self) -> impl Iterator<Item = &str> {
        self.poll.iter().flat_map(|poll| &poll.options).map(|answer| answer.title.as_str())
    }
}

impl Poll {
    /// The shortest that a server takes.
    const SHORTEST: i64 = 300_000;

    /// What an edit has to say for the poll to stay, with its votes, and to end when it was to.
    fn again(&self, now: i64) -> Result<Value, Error> {
        let answers: Vec<&str> = self.options.iter().map(|a| a.title.as_str()).collect();
        let mut poll = json!({
            "options": answers,
            "multiple": self.multiple,
            "hide_totals": self.options.iter().any(|answer| answer.votes_count.is_none()),
        });
        // Some servers have polls that never end.
        if let Some(end) = self.expires_at {
            let left = end.as_millisecond() - now;
            if left < Self::SHORTEST {
                let why = "Its poll has ended or is about to, and Mastodon would take the poll away \
                           with the old text: it stays as it is.";
                return Err(Error::new(Class::Content, why).code("poll_ended"));
            }
            poll["expires_in"] = json!((left + 999) / 1_000);
        }
        Ok(poll)
    }
}

impl From<Status> for Remote {
    fn from(status: Status) -> Self {
        Self { id: status.id, url: status.url }
    }
}

#[async_trait]
impl Network for Mastodon {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let account = self.account(cx).await?;
        let mut settings = BTreeMap::from([("accountId".to_owned(), account.id.clone())]);
        let url = format!("{}/api/v2/instance", cx.base);
        let reply = cx.http.send(cx.http.get(&url), cx.timeout).await?;
        // Compatible servers may have the older description of themselves only.
        if reply.ok() {
            let max = reply.json::<Instance>()?.configuration.statuses.max_characters;
            if max != USUAL_MAX || cx.account.settings.contains_key("maxCharacters") {
                settings.insert("maxCharacters".to_owned(), max.to_string());
            }
        } else if reply.status.as_u16() != 404 {
            return Err(self.parse_error(&reply));
        }
        let server = url::Url::parse(cx.base).ok();
        let host = server.as_ref().and_then(|u| u.host_str()).unwrap_or_default();
        let name = format!("@{}@{host}", account.username);
        Ok(Identity { remote_id: account.id, name, settings })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        for (i, media) in out.media.iter().enumerate() {
            if cx.saved(&media_name(i)).is_none() {
                self.upload(cx, i, media).await?;
            }
        }
        for i in 0..out.media.len() {
            if !self.is_processed(cx, i).await? {
                return Ok(Prepared::Processing { again_in: Duration::from_secs(1) });
            }
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let mut media_ids = Vec::new();
        for i in 0..out.media.len() {
            let Some(id) = cx.saved_str(&media_name(i)) else {
                return Err(Error::new(Class::Transient, "The post is not prepared.").restart());
            };
            media_ids.push(id);
        }
        let mut body = json!({ "status": out.text, "media_ids": media_ids });
        if let Some(poll) = out.poll()? {
            body["poll"] = json!({
                "options": poll.answers,
                "expires_in": u64::from(poll.minutes) * 60,
                "multiple": poll.several,
            });
        }
        if let Some(to) = &out.reply_to {
            body["in_reply_to_id"] = json!(to.parent.id);
        }
        let request = cx.http.post(&format!("{}/api/v1/statuses", cx.base)).json(&body);
        let request = request.header("idempotency-key", idempotency_key(&out.key));
        let reply = self.call(cx, request).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        Ok(Published::Accepted(reply.json::<Status>()?.into()))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let account = match cx.account.setting("accountId") {
            Ok(id) => id.to_owned(),
            Err(_) => self.account(cx).await?.id,
        };
        let url = format!("{}/api/v1/accounts/{account}/statuses", cx.base);
        let wanted = comparable(&out.text);
        let parent = out.reply_to.as_ref().map(|to| to.parent.id.as_str());
        let answers = out.poll()?.map(|poll| poll.answers).unwrap_or_default();
        let (mut found, mut before) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut request = cx.http.get(&url);
            request = request.query(&[("limit", "40"), ("exclude_reblogs", "true")]);
            if let Some(id) = &before {
                request = request.query(&[("max_id", id)]);
            }
            let reply = self.call(cx, request).await?;
            if !reply.ok() {
                return Err(self.parse_error(&reply));
            }
            let page: Vec<Status> = reply.json()?;
            let Some(last) = page.last() else { return Ok(found) };
            let enough = last.created_at.as_millisecond() < window.since;
            before = Some(last.id.clone());
            let ours = page.into_iter().filter(|s| {
                let at = s.created_at.as_millisecond();
                (window.since..=window.until).contains(&at)
                    && s.media_attachments.len() == out.media.len()
                    && s.in_reply_to_id.as_deref() == parent
                    && s.answers().eq(answers.iter().copied())
                    && comparable(&html_to_text(&s.content)) == wanted
            });
            found.extend(ours.map(Remote::from));
            if enough {
                return Ok(found);
            }
        }
        let why = "The account has posted too much since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let url = address(cx, remote_id)?;
        let reply = self.call(cx, cx.http.get(&url)).await.map_err(Error::harmless)?;
        if !reply.ok() {
            return Err(self.parse_error(&reply).harmless());
        }
        let there: Status = reply.json().map_err(Error::harmless)?;
        let media: Vec<&str> = there.media_attachments.iter().map(|m| m.id.as_str()).collect();
        let mut body = json!({
            "status": out.text,
            "media_ids": media,
            "sensitive": there.sensitive,
            "spoiler_text": there.spoiler_text,
            "language": there.language,
        });
        if let Some(poll) = &there.poll {
            body["poll"] = poll.again(cx.now)?;
        }
        let reply = self.call(cx, cx.http.put(&url).json(&body)).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        Ok(Published::Accepted(reply.json::<Status>()?.into()))
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        let request = cx.http.get(&address(cx, remote_id)?);
        let reply = self.call(cx, request).await.map_err(Error::harmless)?;
        if !reply.ok() {
            let error = self.parse_error(&reply).harmless();
            return Err(match (error.class, reply.status.as_u16()) {
                (Class::Content, 404 | 410) => numbers::gone(SPEC.name),
                _ if error.code.as_deref() == Some("scope") => numbers::ungranted(error, SPEC.name),
                _ => error,
            });
        }
        let status = reply.json().map_err(Error::harmless)?;
        Ok(numbers::read(
            &status,
            &[
                (Metric::Likes, "/favourites_count"),
                (Metric::Comments, "/replies_count"),
                (Metric::Shares, "/reblogs_count"),
                // Of servers from 4.5 on.
                (Metric::Shares, "/quotes_count"),
            ],
        ))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let url = address(cx, remote_id)?;
        let reply = self.call(cx, cx.http.delete(&url)).await?;
        let gone = matches!(reply.status.as_u16(), 404 | 410);
        if reply.ok() || gone { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    async fn register(&self, cx: &Context<'_>, redirect_uri: &str) -> Result<Client, Error> {
        let scopes = SPEC.oauth.as_ref().map(OAuth::scope).unwrap_or_default();
        let form = [
            ("client_name", "Carillon"),
            ("redirect_uris", redirect_uri),
            ("scopes", scopes.as_str()),
        ];
        let request = cx.http.post(&format!("{}/api/v1/apps", cx.base)).form(&form);
        let reply = cx.http.send(request, cx.timeout).await.map_err(Error::harmless)?;
        if !reply.ok() {
            let error = self.parse_error(&reply).harmless();
            return Err(match error.class {
                Class::Content => {
                    let said = quote(reply.value()["error"].as_str().unwrap_or_default());
                    let says = format!("This Mastodon server takes no app of ours: {said}.");
                    error.becomes(Class::Config, says).action(Action::AskOperator)
                }
                _ => error,
            });
        }
        let app: App = reply.json().map_err(Error::harmless)?;
        Ok(Client { id: app.client_id, secret: Secret::new(app.client_secret) })
    }

    async fn revoke(&self, cx: &Context<'_>) -> Result<(), Error> {
        let (secret, token) =
            (cx.account.secret("clientSecret")?, cx.account.secret("accessToken")?);
        let form = [
            ("client_id", cx.account.setting("clientId")?),
            ("client_secret", secret.reveal()),
            ("token", token.reveal()),
        ];
        let request = cx.http.post(&format!("{}/oauth/revoke", cx.base)).form(&form);
        let reply = cx.http.send(request, cx.timeout).await.map_err(Error::harmless)?;
        if reply.ok() { Ok(()) } else { Err(self.parse_error(&reply).harmless()) }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let said = quote(body["error"].as_str().unwrap_or_default());
        let has = |words: &str| said.to_lowercase().contains(words);
        let error = reply.error(SPEC.name);
        match reply.status.as_u16() {
            401 => error.becomes(Class::Auth, "Mastodon refuses the access token."),
            403 if has("scope") => {
                let why = "The access token lacks a right that publishing needs.";
                error.becomes(Class::Auth, why).code("scope")
            }
            403 => error
                .becomes(Class::Auth, saying("Mastodon does not let this account post", &said))
                .action(Action::ActAtNetwork),
            422 if has("requires an authenticated user") => {
                let why = "The access token is an app's own: one of the account is needed.";
                error.becomes(Class::Auth, why).code("app_token")
            }
            404 | 405 if said.is_empty() => {
                error.becomes(Class::Config, "There is no Mastodon server at this address.")
            }
            429 => {
                let reset = reply.header("x-ratelimit-reset").and_then(|at| at.parse().ok());
                let wait = reset.and_then(|at| reply.until(at)).or(error.retry_after);
                error.becomes(Class::RateLimit, "Mastodon asks for fewer calls.").retry_after(wait)
            }
            422 if has("not finished processing") => error
                .becomes(Class::Transient, "Mastodon still works on a file.")
                .code("media_processing"),
            // Either it expired unused, or an earlier try of ours has used it: only looking tells.
            422 if has("already attached") => error
                .becomes(Class::Transient, "Mastodon no longer has an uploaded file to attach.")
                .code("media_gone")
                .maybe_applied()
                .restart(),
            400 | 404 | 410 | 422 => {
                error.becomes(Class::Content, saying("Mastodon refuses the post", &said))
            }
            // Said of an upload alone, and the same each time.
            500 if has("error processing") => {
                error.becomes(Class::Content, "Mastodon cannot process a file of this post.")
            }
            _ => error,
        }
    }
}

/// Where a post is.
fn address(cx: &Context<'_>, remote_id: &str) -> Result<String, Error> {
    if remote_id.is_empty() || !remote_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Error::new(Class::Content, "This is not the id of a Mastodon post."));
    }
    Ok(format!("{}/api/v1/statuses/{remote_id}", cx.base))
}

impl Mastodon {
    async fn call(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let token = cx.account.secret("accessToken")?;
        cx.http.send(request.bearer_auth(token.reveal()), cx.timeout).await
    }

    /// Whose token it is.
    async fn account(&self, cx: &Context<'_>) -> Result<Account, Error> {
        let url = format!("{}/api/v1/accounts/verify_credentials", cx.base);
        let reply = self.call(cx, cx.http.get(&url)).await?;
        if reply.ok() { reply.json() } else { Err(self.parse_error(&reply)) }
    }

    /// Uploads file `i`. Its answer may come before the server has processed it (202).
    async fn upload(&self, cx: &Context<'_>, i: usize, media: &Media) -> Result<(), Error> {
        let form = Form::new().text("description", media.alt.clone()).part("file", media.part()?);
        let token = cx.account.secret("accessToken")?;
        let request = cx.http.post(&format!("{}/api/v2/media", cx.base)).multipart(form);
        let request = request.bearer_auth(token.reveal());
        let reply = cx.http.send(request, cx.time_for(media.size())).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let Attachment { id } = reply.json()?;
        cx.checkpoint(&media_name(i), id).await?;
        if reply.status.as_u16() == 200 {
            cx.checkpoint(&ready_name(i), true).await?;
        }
        Ok(())
    }

    async fn is_processed(&self, cx: &Context<'_>, i: usize) -> Result<bool, Error> {
        let Some(id) = cx.saved_str(&media_name(i)) else { return Ok(false) };
        if cx.saved(&ready_name(i)).is_some() {
            return Ok(true);
        }
        let reply = self.call(cx, cx.http.get(&format!("{}/api/v1/media/{id}", cx.base))).await?;
        match reply.status.as_u16() {
            206 => Ok(false),
            200 => {
                cx.checkpoint(&ready_name(i), true).await?;
                Ok(true)
            }
            404 => {
                let why = "Mastodon has dropped an uploaded picture.";
                Err(self.parse_error(&reply).becomes(Class::Transient, why).restart())
            }
            _ => Err(self.parse_error(&reply)),
        }
    }
}

fn media_name(i: usize) -> String {
    format!("media:{i}")
}

fn ready_name(i: usize) -> String {
    format!("media:{i}:ready")
}

/// The delivery's key, but not readable by the server's staff.
fn idempotency_key(key: &str) -> String {
    Sha256::digest(format!("mastodon {key}")).iter().map(|b| format!("{b:02x}")).collect()
}

/// A text as both sides have it: Mastodon shows `@user@host` as `@user`.
fn comparable(text: &str) -> String {
    normalise(&short_mentions(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply;

    #[test]
    fn a_picture_that_is_gone_is_uploaded_anew() {
        let body = r#"{"error":"Media 5 not found or already attached to another post"}"#;
        let error = Mastodon.parse_error(&reply(422, &[("x-request-id", "r")], body));
        assert_eq!((error.restart, error.request_id.as_deref()), (true, Some("r")));
    }

    #[test]
    fn a_post_is_recognised_in_its_html() {
        let sent = "Hi @bob@m.example,\n\nsee https://example.com/very/long & more";
        let read = r#"<p>Hi <span class="h-card"><a href="https://m.example/@bob">@<span>bob</span></a></span>,</p><p>see <a href="https://example.com/very/long"><span class="invisible">https://</span><span class="ellipsis">example.com/ve</span><span class="invisible">ry/long</span></a> &amp; more</p>"#;
        assert_eq!(comparable(&html_to_text(read)), comparable(sent));
        assert_ne!(comparable(&html_to_text("<p>Hi @bob</p>")), comparable(sent));
    }

    #[test]
    fn the_key_is_the_same_on_every_try() {
        assert_eq!(idempotency_key("a"), idempotency_key("a"));
        assert_ne!(idempotency_key("a"), idempotency_key("b"));
        assert_eq!(idempotency_key("a").len(), 64);
    }
}
