//! X, API v2; checked 2026-11-22.
//!
//! Keys: an app of the developer console (console.x.com; calls are paid for, a post with a link
//! costs more) with OAuth 2.0 as a confidential client. Access tokens live two hours; each refresh
//! token works once.
//!
//! There is no key of ours: the same words twice are refused (403) without naming the first, so
//! after a lost answer the account's own posts are read. X shows links as `t.co`; what they stand
//! for is in the post's entities, and texts are compared with that.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::multipart::Form;
use serde::Deserialize;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::error::saying;
use crate::http::{Reply, Request};
use crate::oauth::{Life, OAuth, SecretIn};
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, Text,
};
use crate::text::{links, normalise, unescaped};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Numbers, Prepared, Published, Remote,
    Rendition, SendClass, Spec, Window, numbers, poll,
};

pub struct X;

const BASE: &str = "https://api.x.com";

const TEXT: Text = Text {
    max: 280,
    count: Count::Weighted,
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
    types: &["image/jpeg", "image/png", "image/webp"],
    max_bytes: 5 << 20,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 1_000,
    video: None,
};

const SEND: SendClass = SendClass::Readable { lag: Duration::from_secs(60) };

pub static SPEC: Spec = Spec {
    id: "x",
    name: "X",
    code: "XX",
    base_url: BASE,
    fields: &[
        Field {
            key: "accessToken",
            label: "Access token",
            help: "A user's OAuth 2.0 token with the right to post. It lives two hours.",
            secret: true,
            required: true,
        },
        Field {
            key: "refreshToken",
            label: "Refresh token",
            help: "Comes with the access token (offline.access), and brings new ones.",
            secret: true,
            required: false,
        },
    ],
    placements: &[
        Placement {
            id: "feed",
            name: "Post",
            send: SEND,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[
                Metric::Views,
                Metric::Likes,
                Metric::Comments,
                Metric::Shares,
                Metric::Saves,
            ],
            text: TEXT,
            media: PICTURES,
            options: &[poll::answers(4, 25), poll::open_for(poll::UP_TO_A_WEEK)],
        },
        Placement {
            id: "reply",
            name: "Thread",
            send: SEND,
            follows: &["feed", "reply"],
            in_budget: true,
            edit: Edit::No,
            measures: &[
                Metric::Views,
                Metric::Likes,
                Metric::Comments,
                Metric::Shares,
                Metric::Saves,
            ],
            text: Text { required: true, ..TEXT },
            media: MediaRule { max: 0, ..PICTURES },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(OAuth {
        authorize: "https://x.com/i/oauth2/authorize",
        token: "https://api.x.com/2/oauth2/token",
        scopes: &["tweet.read", "tweet.write", "users.read", "media.write", "offline.access"],
        reading: &[],
        separator: ' ',
        pkce: true,
        id_param: "client_id",
        secret_in: SecretIn::Basic,
        params: &[],
        guide: &[
            "Open console.x.com, make an app, and add credits: X charges for each call.",
            "Under User authentication settings choose Web App, with the permission Read and write.",
            "Enter the address shown here as Callback URI.",
            "Copy the OAuth 2.0 Client ID and Client Secret, not the API key.",
        ],
    }),
    life: Life::Rotating,
    // A user's; each app has 10,000 a day for all of its users.
    budgets: &[Budget { posts: 100, per: Duration::from_secs(900), of: &[] }],
};

/// Most pages of 100 posts that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 5;
/// An upload is good for a day; an older one is made anew.
const UPLOAD_LIFE: i64 = 20 * 3_600_000;

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    username: String,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

#[derive(Deserialize)]
struct Deleted {
    deleted: bool,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    data: Vec<Post>,
    #[serde(default)]
    errors: Vec<Value>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    text: String,
    created_at: Timestamp,
    #[serde(default)]
    attachments: Attachments,
    #[serde(default)]
    entities: Entities,
    #[serde(default)]
    referenced_tweets: Vec<Reference>,
}

#[derive(Default, Deserialize)]
struct Attachments {
    #[serde(default)]
    media_keys: Vec<String>,
    #[serde(default)]
    poll_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Entities {
    #[serde(default)]
    urls: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    url: String,
    #[serde(default)]
    expanded_url: String,
    media_key: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[async_trait]
impl Network for X {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let me = self.account(cx).await?;
        let settings =
            [("userId".to_owned(), me.id.clone()), ("username".to_owned(), me.username.clone())];
        Ok(Identity {
            remote_id: me.id,
            name: format!("@{}", me.username),
            settings: settings.into(),
        })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        for (i, media) in out.media.iter().enumerate() {
            let id = match uploaded(cx, i) {
                Some(id) => id,
                None => self.upload(cx, i, media).await?,
            };
            let described = format!("alt:{i}");
            if !media.alt.is_empty() && cx.saved_str(&described).as_ref() != Some(&id) {
                self.describe(cx, &id, &media.alt).await?;
                cx.checkpoint(&described, id).await?;
            }
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let mut body = json!({});
        if !out.text.is_empty() {
            body["text"] = json!(out.text);
        }
        if !out.media.is_empty() {
            let ids: Option<Vec<String>> = (0..out.media.len()).map(|i| uploaded(cx, i)).collect();
            let missing = || Error::new(Class::Transient, "The post is not prepared.").restart();
            body["media"] = json!({ "media_ids": ids.ok_or_else(missing)? });
        }
        if let Some(poll) = out.poll()? {
            body["poll"] = json!({ "options": poll.answers, "duration_minutes": poll.minutes });
        }
        if let Some(to) = &out.reply_to {
            body["reply"] = json!({ "in_reply_to_tweet_id": to.parent.id });
        }
        let request = cx.http.post(&format!("{}/2/tweets", cx.base)).json(&body);
        let Answer { data: Made { id } } = self.call(cx, request).await?;
        Ok(Published::Accepted(remote(cx, id)))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let user = match cx.account.setting("userId") {
            Ok(id) if is_id(id) => id.to_owned(),
            _ => self.account(cx).await?.id,
        };
        let url = format!("{}/2/users/{user}/tweets", cx.base);
        // X counts in whole seconds.
        let since = Timestamp::from_second(window.since.div_euclid(1000)).unwrap_or_default();
        let fields = "attachments,created_at,entities,referenced_tweets";
        let (wanted, mut found, mut next) = (comparable(&out.text), Vec::new(), None::<String>);
        let parent = out.reply_to.as_ref().map(|to| to.parent.id.as_str());
        for _ in 0..MAX_PAGES {
            let mut request = cx.http.get(&url).query(&[
                ("max_results", "100"),
                ("exclude", "retweets"),
                ("tweet.fields", fields),
                ("start_time", &since.to_string()),
            ]);
            if let Some(token) = &next {
                request = request.query(&[("pagination_token", token)]);
            }
            let page: Page = self.call(cx, request).await?;
            // X can answer 200 and mean "no such user".
            if page.data.is_empty() && !page.errors.is_empty() {
                let says = "X does not show the posts of this account.";
                return Err(Error::new(Class::Transient, says).code("listing_refused"));
            }
            let ours = page.data.into_iter().filter(|post| {
                let at = post.created_at;
                (since..).contains(&at)
                    && at.as_millisecond() <= window.until
                    && post.attachments.media_keys.len() == out.media.len()
                    && post.attachments.poll_ids.is_empty() != out.asks()
                    && post.parent() == parent
                    && read(post) == wanted
            });
            found.extend(ours.map(|post| remote(cx, post.id)));
            next = page.meta.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
        let why = "The account has posted too much since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        if !is_id(remote_id) {
            return Err(Error::new(Class::Content, "This is not the id of a post on X."));
        }
        let request = cx.http.get(&format!("{}/2/tweets/{remote_id}", cx.base));
        let request = request.query(&[("tweet.fields", "public_metrics")]);
        let answer: Value = self.call(cx, request).await.map_err(Error::harmless)?;
        let told = &answer["data"]["public_metrics"];
        if told.is_null() {
            let missing = answer["errors"][0]["type"].as_str().unwrap_or_default();
            return Err(match missing.ends_with("/resource-not-found") {
                true => numbers::gone(SPEC.name),
                false => Error::garbled("a post without its numbers").harmless(),
            });
        }
        // Its new name and its old one.
        let reposts =
            if told["repost_count"].is_null() { "/retweet_count" } else { "/repost_count" };
        Ok(numbers::read(
            told,
            &[
                (Metric::Views, "/impression_count"),
                (Metric::Likes, "/like_count"),
                (Metric::Comments, "/reply_count"),
                (Metric::Shares, reposts),
                (Metric::Shares, "/quote_count"),
                (Metric::Saves, "/bookmark_count"),
            ],
        ))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        if !is_id(remote_id) {
            return Err(Error::new(Class::Content, "This is not the id of a post on X."));
        }
        let request = cx.http.delete(&format!("{}/2/tweets/{remote_id}", cx.base));
        match self.call::<Answer<Deleted>>(cx, request).await {
            Ok(Answer { data: Deleted { deleted: true } }) => Ok(()),
            Ok(_) => Err(Error::new(Class::Transient, "X did not delete the post.")),
            Err(error) if matches!(error.status, Some(404 | 410)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn revoke(&self, cx: &Context<'_>) -> Result<(), Error> {
        let held =
            cx.account.secret("refreshToken").or_else(|_| cx.account.secret("accessToken"))?;
        let (id, secret) = (cx.account.setting("clientId")?, cx.account.secret("clientSecret")?);
        let request = cx.http.post(&format!("{}/2/oauth2/revoke", cx.base));
        let request = request.basic_auth(id, Some(secret.reveal()));
        let request = request.form(&[("token", held.reveal()), ("client_id", id)]);
        let reply = cx.http.send(request, cx.timeout).await.map_err(Error::harmless)?;
        if reply.ok() { Ok(()) } else { Err(self.parse_error(&reply).harmless()) }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let first = &body["errors"][0];
        let of = |name: &str| body[name].as_str().or(first[name].as_str()).unwrap_or_default();
        let words = [first["message"].as_str().unwrap_or_default(), of("detail"), of("title")];
        let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
        let kind = of("type").rsplit('/').next().unwrap_or_default();
        let has = |some: &str| words.to_lowercase().contains(some);
        let error = reply.error(SPEC.name).code(if kind.is_empty() { words } else { kind });
        let status = reply.status.as_u16();
        match status {
            401 => error.becomes(Class::Auth, "X refuses the access token."),
            402 => error
                .becomes(Class::Config, "The credits of the app at X are used up.")
                .action(Action::AskOperator),
            429 => limited(reply, error, kind),
            500.. | 408 => error,
            _ if kind.starts_with("client-") => error
                .becomes(Class::Config, saying("X does not let the app use its API", words))
                .action(Action::AskOperator),
            _ if kind == "usage-capped" => limited(reply, error, kind),
            _ if kind == "unsupported-authentication" || has("unsupported authentication") => {
                error.becomes(Class::Auth, "X takes no token of this kind for posting.")
            }
            403 if matches!(kind, "not-authorized-for-resource" | "oauth1-permissions")
                || matches!(words, "" | "Forbidden") =>
            {
                error.becomes(Class::Auth, "The access token lacks a right that posting needs.")
            }
            _ if has("duplicate content") => {
                error.becomes(Class::Duplicate, "X says that it has a post with these very words.")
            }
            _ if has("suspended") || has("locked") || has("automated") || has("feature") => {
                error.becomes(Class::Policy, saying("X holds the account back", words))
            }
            400 | 403 if has("media id") => error
                .becomes(Class::Transient, "X no longer has an uploaded picture to attach.")
                .restart(),
            _ if status >= 400 && !words.is_empty() => {
                error.becomes(Class::Content, saying("X refuses the post", words))
            }
            _ => error,
        }
    }
}

impl X {
    /// Sends with the connection's token and reads the answer.
    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        request: Request,
    ) -> Result<T, Error> {
        let token = cx.account.secret("accessToken")?;
        let reply = cx.http.send(request.bearer_auth(token.reveal()), cx.timeout).await?;
        if reply.ok() { reply.json() } else { Err(self.parse_error(&reply)) }
    }

    /// Whose token it is.
    async fn account(&self, cx: &Context<'_>) -> Result<Account, Error> {
        let request = cx.http.get(&format!("{}/2/users/me", cx.base));
        let Answer { data } = self.call::<Answer<Account>>(cx, request).await?;
        if is_id(&data.id) { Ok(data) } else { Err(Error::garbled("an account without an id")) }
    }

    async fn upload(&self, cx: &Context<'_>, i: usize, media: &Media) -> Result<String, Error> {
        let form = Form::new().text("media_category", "tweet_image").part("media", media.part()?);
        let request = cx.http.post(&format!("{}/2/media/upload", cx.base)).multipart(form);
        let Answer { data: Made { id } } = self.call(cx, request).await?;
        cx.checkpoint(&media_name(i), json!({ "id": id, "at": cx.now })).await?;
        Ok(id)
    }

    async fn describe(&self, cx: &Context<'_>, id: &str, alt: &str) -> Result<(), Error> {
        let body = json!({ "id": id, "metadata": { "alt_text": { "text": alt } } });
        let request = cx.http.post(&format!("{}/2/media/metadata", cx.base)).json(&body);
        self.call::<Value>(cx, request).await.map(drop)
    }
}

impl Post {
    /// What it answers.
    fn parent(&self) -> Option<&str> {
        let to = self.referenced_tweets.iter().find(|other| other.kind == "replied_to");
        to.map(|other| other.id.as_str())
    }
}

fn media_name(i: usize) -> String {
    format!("media:{i}")
}

/// The upload of picture `i`, while X still has it.
fn uploaded(cx: &Context<'_>, i: usize) -> Option<String> {
    let saved = cx.saved(&media_name(i))?;
    let young = cx.now - saved["at"].as_i64()? < UPLOAD_LIFE;
    saved["id"].as_str().filter(|_| young).map(str::to_owned)
}

fn remote(cx: &Context<'_>, id: String) -> Remote {
    let who = cx.account.setting("username").unwrap_or("i");
    let url = Some(format!("https://x.com/{who}/status/{id}"));
    Remote { id, url }
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 20 && id.bytes().all(|b| b.is_ascii_digit())
}

/// A text with each link as what it leads to.
fn comparable(text: &str) -> String {
    let text: String = text.nfc().collect();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for link in links(&text) {
        out.push_str(&text[at..link.start]);
        out.push_str(&target(&text[link.clone()]));
        at = link.end;
    }
    out.push_str(&text[at..]);
    // X adds a scheme to what it takes for a link, and may know more of them than we do.
    normalise(&out.replace("https://", "").replace("http://", ""))
}

/// The same of a post as X shows it: links as `t.co`, one more for what is attached.
fn read(post: &Post) -> String {
    let mut text = unescaped(&post.text);
    for link in post.entities.urls.iter().filter(|link| !link.url.is_empty()) {
        let photo =
            !post.attachments.media_keys.is_empty() && link.expanded_url.contains("/photo/");
        let attached = link.media_key.is_some() || photo;
        text = text.replace(&link.url, if attached { "" } else { &link.expanded_url });
    }
    comparable(&text)
}

/// Where a link leads, whatever its scheme and spelling.
fn target(link: &str) -> String {
    let bare = link.split_once("://").map_or(link, |(_, rest)| rest);
    let spelt = url::Url::parse(&format!("https://{bare}"));
    let spelt = spelt.as_ref().map_or(bare, |url| &url.as_str()["https://".len()..]);
    spelt.trim_end_matches('/').to_owned()
}

/// Too many calls: for a quarter of an hour, or for the day.
fn limited(reply: &Reply, error: Error, kind: &str) -> Error {
    let wait = |header: &str| {
        let at = reply.header(header)?.trim().parse().ok()?;
        reply.until(Timestamp::from_second(at).ok()?)
    };
    let daily = ["x-user-limit-24hour", "x-app-limit-24hour"];
    let used_up = |name: &&str| reply.header(&format!("{name}-remaining")) == Some("0");
    if let Some(name) = daily.into_iter().find(used_up) {
        let wait = wait(&format!("{name}-reset")).or(error.retry_after);
        return error
            .becomes(Class::Quota, "The posts that X allows in a day are used up.")
            .retry_after(wait);
    }
    let wait = wait("x-rate-limit-reset").or(error.retry_after);
    if kind == "usage-capped" {
        return error
            .becomes(Class::Quota, "What the app may use of X is used up.")
            .retry_after(wait);
    }
    error.becomes(Class::RateLimit, "X asks for fewer calls.").retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(text: &str, urls: Value) -> Post {
        let at = "2026-11-22T10:00:00.000Z";
        let json =
            json!({ "id": "1", "text": text, "created_at": at, "entities": { "urls": urls } });
        serde_json::from_value(json).expect("a post")
    }

    #[test]
    fn a_post_is_recognised_behind_its_short_links() {
        let words = "Tom & Jerry <3: https://Example.com/a?b=c&d, or example.org! new.nonsense/x";
        let urls = json!([
            { "url": "https://t.co/1", "expanded_url": "https://example.com/a?b=c&d" },
            { "url": "https://t.co/2", "expanded_url": "http://example.org" },
            { "url": "https://t.co/4", "expanded_url": "http://new.nonsense/x" },
            { "url": "https://t.co/3", "expanded_url": "https://x.com/a/status/1/photo/1", "media_key": "3_1" },
        ]);
        let shown = "Tom &amp; Jerry &lt;3: https://t.co/1, or https://t.co/2! https://t.co/4 https://t.co/3";
        assert_eq!(read(&post(shown, urls.clone())), comparable(words));
        // The same words with another link are another post.
        assert_ne!(read(&post(shown, urls)), comparable(&words.replace("b=c", "b=x")));
        assert_eq!(read(&post("Plain", json!([]))), comparable("Plain "));
    }

    #[test]
    fn a_link_is_the_same_in_every_spelling() {
        for (a, b) in [
            ("example.com", "http://example.com/"),
            ("https://EXAMPLE.com/A", "https://example.com/A"),
            ("https://пример.рф/путь", "https://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C"),
        ] {
            assert_eq!(target(a), target(b));
        }
        assert_ne!(target("https://example.com/a"), target("https://example.com/A"));
    }

    #[test]
    fn ids_are_numbers() {
        assert!(is_id("1460323737035677698"));
        for bad in ["", "1/2", "../me", "x", "123456789012345678901"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
