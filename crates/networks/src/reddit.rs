//! Reddit's API by OAuth; checked 2026-11-22.
//!
//! Keys: an app of type "web app" at reddit.com/prefs/apps. Since November 2025 each app needs
//! Reddit's approval (Responsible Builder Policy), which automation is often denied.
//!
//! A text that is nothing but one link becomes a link post, everything else a text post. Pictures
//! are left out: their posts answer without an id and appear minutes later. There is no idempotency
//! key: after an unknown outcome what the account has submitted is read and compared. Refusals come
//! with status 200 (`json.errors`), waits as words. Every call names the app in its `User-Agent`;
//! generic ones are turned away.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::quote;
use crate::http::{Reply, Request};
use crate::oauth::{Life, OAuth, SecretIn};
use crate::spec::{Abilities, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, Text};
use crate::text::{normalise, urls};
use crate::words::{title_and_text, told};
use crate::{
    Action, Class, Context, Error, Identity, Network, Numbers, Published, Remote, Rendition,
    SendClass, Spec, Window, numbers,
};

pub struct Reddit;

const TITLE_MAX: usize = 300;

const TEXT: Text = Text {
    max: 40_000,
    count: Count::Chars,
    max_bytes: None,
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: Some(TITLE_MAX),
    required: false,
};

const NO_MEDIA: MediaRule = MediaRule {
    min: 0,
    max: 0,
    types: &[],
    max_bytes: 0,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 0,
    video: None,
};

const READABLE: SendClass = SendClass::Readable { lag: Duration::from_secs(60) };

pub static SPEC: Spec = Spec {
    id: "reddit",
    name: "Reddit",
    code: "RE",
    base_url: "https://oauth.reddit.com",
    fields: &[
        Field {
            key: "subreddit",
            label: "Subreddit",
            help: "Its name without r/, for example bicycling; u_name for the account's own page.",
            secret: false,
            required: true,
        },
        Field {
            key: "accessToken",
            label: "Access token",
            help: "From the consent page, with the rights identity, submit, edit, read and history.",
            secret: true,
            required: true,
        },
        Field {
            key: "refreshToken",
            label: "Refresh token",
            help: "Comes with the access token; without it the connection ends within a day.",
            secret: true,
            required: false,
        },
    ],
    placements: &[
        Placement {
            id: "feed",
            name: "Post",
            send: READABLE,
            follows: &[],
            in_budget: true,
            edit: Edit::Text,
            measures: &[Metric::Likes, Metric::Comments],
            text: TEXT,
            media: NO_MEDIA,
            options: &[],
        },
        Placement {
            id: "comment",
            name: "First comment",
            send: READABLE,
            follows: &["feed"],
            in_budget: false,
            edit: Edit::Text,
            measures: &[Metric::Likes],
            text: Text { max: 10_000, title_max: None, required: true, ..TEXT },
            media: NO_MEDIA,
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: false },
    oauth: Some(OAuth {
        authorize: "https://www.reddit.com/api/v1/authorize",
        token: "https://www.reddit.com/api/v1/access_token",
        scopes: &["identity", "submit", "edit", "read", "history"],
        reading: &[],
        separator: ' ',
        pkce: false,
        id_param: "client_id",
        secret_in: SecretIn::Basic,
        params: &[("duration", "permanent")],
        guide: &[
            "Ask Reddit for access to its API, as its Responsible Builder Policy says.",
            "Open reddit.com/prefs/apps and create an app of the type web app.",
            "Enter the redirect address of this installation exactly as it is shown here.",
        ],
    }),
    life: Life::Rotating,
    // New accounts may post about every ten minutes, others more often: the network says when.
    budgets: &[],
};

/// Most pages of 100 that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 3;

#[derive(Deserialize)]
struct Me {
    id: String,
    name: String,
    #[serde(default)]
    is_suspended: bool,
}

#[derive(Deserialize)]
struct Thing<T> {
    data: T,
}

#[derive(Deserialize)]
struct Subreddit {
    /// `t5_…`
    name: String,
    display_name: String,
    #[serde(default)]
    user_is_banned: Option<bool>,
}

#[derive(Deserialize)]
struct Listing<T> {
    children: Vec<Thing<T>>,
    after: Option<String>,
}

/// A post or a comment of a listing.
#[derive(Deserialize)]
struct Item {
    name: String,
    permalink: String,
    created_utc: f64,
    subreddit: String,
    author: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    selftext: String,
    #[serde(default)]
    is_self: bool,
    #[serde(default)]
    url: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    parent_id: String,
}

#[async_trait]
impl Network for Reddit {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let sr = subreddit(cx)?;
        let me: Me = self.read(cx, "api/v1/me", &[]).await?;
        if me.is_suspended {
            let why = "Reddit has suspended this account.";
            return Err(Error::new(Class::Auth, why).action(Action::ActAtNetwork));
        }
        let about: Thing<Subreddit> = match self.read(cx, &format!("r/{sr}/about"), &[]).await {
            // A name that nobody has taken leads to the search page.
            Err(e) if matches!(e.status, Some(302 | 404)) => {
                let why = format!("Reddit has no subreddit “{sr}”.");
                return Err(Error::new(Class::Config, why).code("no_subreddit"));
            }
            about => about?,
        };
        let about = about.data;
        if about.user_is_banned == Some(true) {
            let why = format!("This account is banned from the subreddit “{sr}” of Reddit.");
            return Err(Error::new(Class::Auth, why).action(Action::ActAtNetwork));
        }
        Ok(Identity {
            remote_id: format!("{}/{}", me.id, about.name),
            name: format!("u/{} in r/{}", me.name, about.display_name),
            settings: BTreeMap::from([("username".to_owned(), me.name)]),
        })
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let post = Post::of(out);
        let mut form = vec![("api_type", "json")];
        let path = match &post {
            Post::Comment { parent, text } => {
                form.extend([("thing_id", *parent), ("text", text)]);
                "api/comment"
            }
            Post::Text { title, text } => {
                form.extend([("kind", "self"), ("sr", subreddit(cx)?), ("title", title)]);
                form.extend([("text", text.as_str()), ("sendreplies", "true")]);
                "api/submit"
            }
            Post::Link { title, url } => {
                form.extend([("kind", "link"), ("sr", subreddit(cx)?), ("title", title)]);
                // Refused where the link is there already: one more guard against a second post.
                form.extend([("url", *url), ("sendreplies", "true"), ("resubmit", "false")]);
                "api/submit"
            }
        };
        let request = cx.http.post(&format!("{}/{path}", cx.base)).form(&form);
        let reply = self.call(cx, request).await?;
        let body = reply.value();
        let refused = body["json"]["errors"].as_array().is_some_and(|all| !all.is_empty());
        if !reply.ok() || refused {
            return Err(self.parse_error(&reply));
        }
        let made = &body["json"]["data"];
        let made = if path == "api/comment" { &made["things"][0]["data"] } else { made };
        let place = made["url"].as_str().or(made["permalink"].as_str());
        match made["name"].as_str().filter(|name| is_fullname(name)) {
            Some(name) => Ok(Published::Accepted(remote(cx.base, name, place))),
            None => Err(Error::garbled("a post without an id").status(reply.status.as_u16())),
        }
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let me = match cx.account.setting("username") {
            Ok(name) if is_name(name) => name.to_owned(),
            _ => self.read::<Me>(cx, "api/v1/me", &[]).await?.name,
        };
        let post = Post::of(out);
        let listing = if matches!(post, Post::Comment { .. }) { "comments" } else { "submitted" };
        let (path, sr) = (format!("user/{me}/{listing}"), subreddit(cx)?);
        // The network counts in whole seconds.
        let since = window.since.div_euclid(1_000) * 1_000;
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query = vec![("sort", "new"), ("limit", "100")];
            query.extend(after.as_deref().map(|at| ("after", at)));
            let page: Thing<Listing<Item>> = self.read(cx, &path, &query).await?;
            let enough = page.data.children.last().is_some_and(|last| last.data.created() < since);
            let ours = page.data.children.into_iter().map(|thing| thing.data).filter(|item| {
                (since..=window.until).contains(&item.created())
                    && item.author.eq_ignore_ascii_case(&me)
                    && item.subreddit.eq_ignore_ascii_case(sr)
                    && post.is(item)
            });
            found.extend(ours.map(|item| remote(cx.base, &item.name, Some(&item.permalink))));
            after = page.data.after.filter(|at| !at.is_empty());
            if enough || after.is_none() {
                return Ok(found);
            }
        }
        let why = "The account has submitted too much since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    /// Reddit lets nobody change titles, nor posts that are a link.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        known(remote_id)?;
        let post = Post::of(out);
        let text = match &post {
            Post::Text { text, .. } => text.as_str(),
            Post::Comment { text, .. } => text,
            Post::Link { .. } => return Err(fixed("links")),
        };
        let query = [("id", remote_id)];
        let found: Thing<Listing<Item>> = self.read(cx, "api/info", &query).await?;
        let there = found.data.children.into_iter().map(|thing| thing.data).next();
        let there = there.filter(|item| item.author != "[deleted]").ok_or_else(|| {
            Error::new(Class::Content, "Reddit does not have this post any more.").code("gone")
        })?;
        if let Post::Text { title, .. } = &post {
            if !there.is_self {
                return Err(fixed("links"));
            }
            if normalise(title) != normalise(&there.title) {
                return Err(fixed("titles"));
            }
        }
        let form = [("api_type", "json"), ("thing_id", remote_id), ("text", text)];
        let request = cx.http.post(&format!("{}/api/editusertext", cx.base)).form(&form);
        let reply = self.call(cx, request).await?;
        let body = reply.value();
        let refused = body["json"]["errors"].as_array().is_some_and(|all| !all.is_empty());
        if !reply.ok() || refused {
            return Err(self.parse_error(&reply));
        }
        match body["json"]["data"]["things"][0]["data"]["name"].as_str() {
            Some(name) if name == remote_id => {
                Ok(Published::Accepted(remote(cx.base, name, Some(&there.permalink))))
            }
            _ => Err(Error::garbled("a post without an id").status(reply.status.as_u16())),
        }
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        known(remote_id)?;
        let found: Thing<Listing<Value>> = self.read(cx, "api/info", &[("id", remote_id)]).await?;
        let there = found.data.children.into_iter().map(|thing| thing.data).next();
        let there = there.filter(|item| item["author"] != "[deleted]");
        let item = there.ok_or_else(|| numbers::gone(SPEC.name))?;
        // Reddit blurs them a little. Of a comment it does not say how many answer it.
        Ok(numbers::read(&item, &[(Metric::Likes, "/ups"), (Metric::Comments, "/num_comments")]))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        known(remote_id)?;
        let request = cx.http.post(&format!("{}/api/del", cx.base)).form(&[("id", remote_id)]);
        let reply = self.call(cx, request).await?;
        // What is gone is answered like what goes.
        if reply.ok() { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let error = reply.error(SPEC.name);
        let first = &body["json"]["errors"][0];
        if let Some(code) = first[0].as_str() {
            let said = quote(first[1].as_str().unwrap_or_default());
            let wait = body["json"]["ratelimit"].as_f64().filter(|s| (0.0..86_400.0).contains(s));
            let wait = wait.map(Duration::from_secs_f64).or_else(|| waiting(&said));
            return refusal(error, code, &said, wait).code(code);
        }
        let reason = body["reason"].as_str().or(body["message"].as_str()).unwrap_or_default();
        let said = quote(reason);
        let act = Action::ActAtNetwork;
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        match reply.status.as_u16() {
            401 => error.becomes(Class::Auth, "Reddit refuses the access token."),
            403 if challenge.contains("insufficient_scope") => {
                let why = "The access token lacks a right that publishing needs.";
                error.becomes(Class::Auth, why).code("insufficient_scope")
            }
            403 => {
                let why = told("Reddit does not let this account do that", &said);
                error.becomes(Class::Auth, why).action(act)
            }
            429 => {
                let left = reply.header("x-ratelimit-reset").and_then(|s| s.parse::<f64>().ok());
                let left = left.filter(|s| (0.0..=86_400.0).contains(s));
                let wait = left.map(Duration::from_secs_f64).or(error.retry_after);
                error.becomes(Class::RateLimit, "Reddit asks for fewer calls.").retry_after(wait)
            }
            400 | 404 | 409 | 413 | 422 => {
                error.becomes(Class::Content, told("Reddit refuses the post", &said))
            }
            _ => error,
        }
    }
}

impl Reddit {
    async fn call(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let token = cx.account.secret("accessToken")?;
        let request = request.bearer_auth(token.reveal()).header("user-agent", user_agent(cx));
        cx.http.send(request, cx.timeout).await
    }

    /// `raw_json`: texts as they are; without it `&`, `<` and `>` come escaped.
    async fn read<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let request = cx.http.get(&format!("{}/{path}", cx.base)).query(query);
        let reply = self.call(cx, request.query(&[("raw_json", "1")])).await;
        let reply = reply.map_err(Error::harmless)?;
        match reply.ok() {
            true => reply.json().map_err(Error::harmless),
            false => Err(self.parse_error(&reply).harmless()),
        }
    }
}

/// A rendition as this network has it.
enum Post<'r> {
    Text { title: String, text: String },
    Link { title: String, url: &'r str },
    Comment { parent: &'r str, text: &'r str },
}

impl<'r> Post<'r> {
    fn of(out: &'r Rendition) -> Self {
        if let (Some(to), "comment") = (&out.reply_to, out.placement.as_str()) {
            return Self::Comment { parent: &to.parent.id, text: &out.text };
        }
        let (title, text) = title_and_text(out, TITLE_MAX);
        let whole = out.text.trim();
        match urls(whole).as_slice() {
            [link] if *link == (0..whole.len()) => Self::Link { title, url: whole },
            _ => Self::Text { title, text },
        }
    }

    fn is(&self, item: &Item) -> bool {
        let same = |ours: &str, theirs: &str| normalise(ours) == normalise(theirs);
        match self {
            Self::Text { title, text } => {
                item.is_self && same(title, &item.title) && same(text, &item.selftext)
            }
            Self::Link { title, url } => {
                !item.is_self && same(title, &item.title) && *url == item.url
            }
            Self::Comment { parent, text } => item.parent_id == *parent && same(text, &item.body),
        }
    }
}

impl Item {
    fn created(&self) -> i64 {
        (self.created_utc * 1_000.0) as i64
    }
}

/// What a code in `json.errors` means.
fn refusal(error: Error, code: &str, said: &str, wait: Option<Duration>) -> Error {
    let act = Action::ActAtNetwork;
    match code {
        "RATELIMIT" | "SUBREDDIT_RATELIMIT" => {
            let why = "Reddit lets this account post again only after a while.";
            error.becomes(Class::RateLimit, why).retry_after(wait)
        }
        "QUOTA_FILLED" => {
            let why = "Reddit's limit of posts for this account is reached.";
            error.becomes(Class::Quota, why).retry_after(wait)
        }
        "USER_REQUIRED" | "EXPIRED" | "INVALID_MODHASH" => {
            error.becomes(Class::Auth, "Reddit refuses the access token.")
        }
        "SUBREDDIT_NOEXIST" | "SUBREDDIT_REQUIRED" | "BAD_SR_NAME" => {
            error.becomes(Class::Config, "Reddit does not know the subreddit of this connection.")
        }
        "SUBREDDIT_NOTALLOWED"
        | "SUBREDDIT_NO_ACCESS"
        | "BANNED_FROM_SUBREDDIT"
        | "IN_TIMEOUT"
        | "VERIFIED_USER_REQUIRED"
        | "USER_MUTED"
        | "NO_API" => error
            .becomes(Class::Auth, told("Reddit does not let this account post there", said))
            .action(act),
        "ALREADY_SUB" => {
            error.becomes(Class::Duplicate, "This link has been submitted to the subreddit before.")
        }
        "DOMAIN_BANNED" | "BAD_CAPTCHA" | "BANNED_IP" => {
            error.becomes(Class::Policy, told("Reddit takes the post for spam", said))
        }
        "CONFLICT" => error.becomes(Class::Transient, "Reddit could not save the post just now."),
        _ => error.becomes(Class::Content, told("Reddit refuses the post", said)),
    }
}

/// The time in words like `try again in 9 minutes` or `Take a break for 45 seconds`, one unit more
/// than is said, because it is rounded down.
fn waiting(said: &str) -> Option<Duration> {
    let words: Vec<String> = said
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .collect();
    words.windows(2).find_map(|two| {
        let amount: u64 = match two[0].as_str() {
            "a" | "an" => 1,
            number => number.parse().ok()?,
        };
        let unit = match two[1].trim_end_matches('s') {
            "millisecond" => return Some(Duration::from_secs(1)),
            "second" | "sec" => 1,
            "minute" | "min" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            _ => return None,
        };
        Some(Duration::from_secs(amount.saturating_add(1).saturating_mul(unit).min(86_400)))
    })
}

/// `<platform>:<app>:<version> (by /u/<name>)`, as Reddit asks for.
fn user_agent(cx: &Context<'_>) -> String {
    let app = cx.account.setting("clientId").ok().filter(|id| is_name(id)).unwrap_or("carillon");
    let by = cx.account.setting("username").ok().filter(|name| is_name(name));
    let by = by.map(|name| format!(" (by /u/{name})")).unwrap_or_default();
    format!("web:{app}:v{}{by}", env!("CARGO_PKG_VERSION"))
}

/// The subreddit's name, which goes into paths; people write `r/` before it.
fn subreddit<'c>(cx: &'c Context<'_>) -> Result<&'c str, Error> {
    let given = cx.account.setting("subreddit")?.trim_matches('/');
    let name = given.strip_prefix("r/").unwrap_or(given);
    match is_name(name) {
        true => Ok(name),
        false => Err(Error::new(Class::Config, "This is not the name of a subreddit of Reddit.")),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `t3_…` is a post, `t1_…` a comment.
fn is_fullname(id: &str) -> bool {
    let rest = id.strip_prefix("t3_").or_else(|| id.strip_prefix("t1_"));
    rest.is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn known(remote_id: &str) -> Result<(), Error> {
    match is_fullname(remote_id) {
        true => Ok(()),
        false => Err(Error::new(Class::Content, "This is not the id of a Reddit post.")),
    }
}

fn fixed(what: &str) -> Error {
    let says = format!("Reddit lets nobody change {what} once they are posted.");
    Error::new(Class::Content, says).code("fixed")
}

/// The post with its page, whole or as a path. The local stand-in has pages of its own.
fn remote(base: &str, name: &str, place: Option<&str>) -> Remote {
    let url = match (base.strip_suffix("/reddit"), place) {
        (Some(origin), _) => Some(format!("{origin}/posts/reddit/{name}")),
        (None, Some(path)) if path.starts_with('/') => {
            Some(format!("https://www.reddit.com{path}"))
        }
        (None, place) => place.map(str::to_owned),
    };
    Remote { id: name.to_owned(), url }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_from_words() {
        let secs = |said: &str| waiting(said).map(|wait| wait.as_secs());
        assert_eq!(secs("you are doing that too much. try again in 9 minutes"), Some(600));
        assert_eq!(secs("Take a break for 45 seconds before trying again"), Some(46));
        assert_eq!(secs("Please try again in an hour."), Some(7_200));
        assert_eq!(secs("try again in 1 minute."), Some(120));
        assert_eq!(secs("in 820 milliseconds"), Some(1));
        assert_eq!(secs("try again in 99999999999999999 days"), Some(86_400));
        for none in ["", "later", "that is a link", "5 of us"] {
            assert_eq!(secs(none), None, "{none}");
        }
    }

    #[test]
    fn a_text_that_is_one_link_is_a_link_post() {
        let kind = |text: &str| {
            let out = Rendition { text: text.into(), placement: "feed".into(), ..<_>::default() };
            match Post::of(&out) {
                Post::Text { .. } => "text",
                Post::Link { .. } => "link",
                Post::Comment { .. } => "comment",
            }
        };
        assert_eq!(kind(" https://shop.example/a?b=c \n"), "link");
        for text in
            ["https://a.example https://b.example", "See https://a.example", "(https://a.example)"]
        {
            assert_eq!(kind(text), "text", "{text}");
        }
    }

    #[test]
    fn ids_and_names_are_checked_for_their_form() {
        assert!(is_fullname("t3_1abc") && is_fullname("t1_z9"));
        for bad in ["", "t3_", "t5_2qh0y", "t3_a/b", "1abc", "t3_a b"] {
            assert!(!is_fullname(bad), "{bad}");
        }
        assert!(is_name("u_alice-2") && !is_name("a/b") && !is_name("") && !is_name("a b"));
    }

    #[test]
    fn the_page_is_whole_or_a_path() {
        let url = |base: &str, place| remote(base, "t3_a", place).url.unwrap_or_default();
        assert_eq!(
            url(SPEC.base_url, Some("/r/x/comments/a/b/")),
            "https://www.reddit.com/r/x/comments/a/b/"
        );
        assert_eq!(url(SPEC.base_url, Some("https://redd.it/a")), "https://redd.it/a");
        assert_eq!(url(SPEC.base_url, None), "");
        assert_eq!(url("http://127.0.0.1:9/reddit", None), "http://127.0.0.1:9/posts/reddit/t3_a");
    }
}
