//! DEV Community (dev.to) and other communities that run Forem, through the Forem API v1; checked
//! 2026-11-22 against the documents and the source.
//!
//! Keys: Settings → Extensions → DEV Community API Keys. Every request needs a `User-Agent`.
//!
//! Draft first: the draft's id is the handle, and turning its `published` on can be repeated.
//! `GET /articles/{id}` shows published articles only and stands behind a cache, so the state is
//! read in the account's own lists. Writes are one a second. A text may begin with front matter as
//! in DEV's own editor; of it are used `title`, `tags`, `canonical_url`, `description`, `series`.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::article::{
    address, picture, pictures_below, tags, title_and_text, without_closing_tags,
};
use crate::error::quote;
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::spec::{
    Abilities, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, SendClass, Spec, Text,
};
use crate::{
    Action, Class, Context, Error, Identity, Network, Numbers, Polled, Prepared, Published, Remote,
    Rendition, numbers,
};

pub struct DevTo;

/// Forem takes 800 KB of Markdown; the rest is for the pictures' addresses.
const BYTES: usize = 780 << 10;
const TITLE_MAX: usize = 128;
const TAGS_MAX: usize = 4;
const TAG_MAX: usize = 30;

pub static SPEC: Spec = Spec {
    id: "devto",
    name: "DEV Community",
    code: "DV",
    base_url: "https://dev.to",
    fields: &[
        Field {
            key: "server",
            label: "Community",
            help: "Leave it empty unless the account is at another community that runs Forem.",
            secret: false,
            required: false,
        },
        Field {
            key: "apiKey",
            label: "API key",
            help: "DEV: Settings, Extensions, DEV Community API Keys.",
            secret: true,
            required: true,
        },
    ],
    placements: &[Placement {
        id: "article",
        name: "Article",
        send: SendClass::Handle,
        follows: &[],
        in_budget: true,
        edit: Edit::TitleAndText,
        measures: &[Metric::Views, Metric::Likes, Metric::Comments],
        text: Text {
            max: BYTES,
            count: Count::Chars,
            max_bytes: Some(BYTES),
            max_with_media: None,
            question_max: None,
            max_hashtags: None,
            max_mentions: None,
            title_max: Some(TITLE_MAX),
            required: false,
        },
        media: MediaRule {
            min: 0,
            max: 20,
            types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
            max_bytes: 16 << 20,
            ratio: None,
            derivative: Derivative::Original,
            pull: true,
            alt_max: 1_000,
            video: None,
        },
        options: &[],
    }],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: None,
    life: Life::Endless,
    budgets: &[],
};

/// Time between two writes, in ms.
const WRITES_APART: i64 = 1_100;
/// How long a title cannot be used again.
const TITLE_REST: Duration = Duration::from_secs(5 * 60);
/// Articles on one page of a list, which shows them with all their text.
const PER_PAGE: usize = 30;
const MAX_PAGES: usize = 20;

#[derive(Deserialize)]
struct User {
    id: u64,
    username: String,
}

/// An article in the answer to a write.
#[derive(Deserialize)]
struct Article {
    id: u64,
    url: Option<String>,
    created_at: jiff::Timestamp,
}

/// An article that is published, as anybody may read it.
#[derive(Deserialize)]
struct Shown {
    body_markdown: String,
}

/// An article in the account's own lists.
#[derive(Deserialize)]
struct Mine {
    id: u64,
    title: String,
    body_markdown: String,
    url: Option<String>,
    published_at: Option<jiff::Timestamp>,
    canonical_url: Option<String>,
    page_views_count: Option<u64>,
    public_reactions_count: Option<u64>,
    comments_count: Option<u64>,
}

/// A draft, as it is saved.
struct Draft {
    id: u64,
    /// When it was made: by DEV's clock, and by ours.
    made: i64,
    at: i64,
}

#[async_trait]
impl Network for DevTo {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let me: User = self.call(cx, request(cx, Method::GET, "users/me")).await?;
        Ok(Identity { remote_id: me.id.to_string(), name: me.username, ..Identity::default() })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        let draft = match held(cx) {
            Some(draft) => draft,
            None => self.draft(cx, out).await?,
        };
        let left = draft.at + WRITES_APART - cx.now;
        if (1..=WRITES_APART).contains(&left) {
            let again_in = Duration::from_millis(left.unsigned_abs());
            return Ok(Prepared::Processing { again_in });
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let draft = held(cx).ok_or_else(no_draft)?;
        match self.set_published(cx, draft.id, true).await {
            Ok(article) => Ok(Published::Accepted(remote(article.id, article.url))),
            Err(error) if is_gone(&error) => Err(no_draft()),
            Err(error) if error.class == Class::Duplicate => {
                Err(Error { existing: self.same_address(cx, out).await, ..error })
            }
            Err(error) => Err(error),
        }
    }

    /// Drafts are read before what is published: an article only ever goes that way, so one that
    /// is in neither list is gone.
    async fn poll(&self, cx: &Context<'_>, _: &Rendition) -> Result<Polled, Error> {
        let Some(draft) = held(cx) else { return Ok(Polled::Gone(no_draft())) };
        let ours = |article: &Mine| article.id == draft.id;
        if self.find(cx, "unpublished", ours, |_| false).await?.is_some() {
            return Ok(Polled::NotPublished);
        }
        let before = |article: &Mine| {
            article.published_at.is_some_and(|at| at.as_millisecond() < draft.made)
        };
        Ok(match self.find(cx, "published", ours, before).await? {
            Some(article) => Polled::Published(remote(article.id, article.url)),
            None => Polled::Gone(no_draft()),
        })
    }

    /// The pictures below the text are kept as they stand there.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let path = format!("articles/{}", number(remote_id)?);
        let there: Shown =
            self.call(cx, request(cx, Method::GET, &path)).await.map_err(Error::harmless)?;
        let pictures = pictures_below(&there.body_markdown, out.media.len().saturating_sub(1));
        let mut article = words(out);
        if let Some(text) = article["body_markdown"].as_str() {
            let parts: Vec<&str> = std::iter::once(text).chain(pictures).collect();
            article["body_markdown"] = json!(parts.join("\n\n").trim());
        }
        let request = request(cx, Method::PUT, &path).json(&json!({ "article": article }));
        let article: Article = self.call(cx, request).await?;
        Ok(Published::Accepted(remote(article.id, article.url)))
    }

    /// Only the account's own list says how often an article was read.
    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        let id = number(remote_id)?;
        let found = self.find(cx, "published", |mine: &Mine| mine.id == id, |_| false).await;
        let mine = found.map_err(Error::harmless)?.ok_or_else(|| numbers::gone(SPEC.name))?;
        let told = [
            (Metric::Views, mine.page_views_count),
            (Metric::Likes, mine.public_reactions_count),
            (Metric::Comments, mine.comments_count),
        ];
        Ok(numbers::sum(told.into_iter().filter_map(|(metric, n)| Some((metric, n?)))))
    }

    /// Back to a draft: DEV lets nobody delete through its API.
    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        match self.set_published(cx, number(remote_id)?, false).await {
            Err(error) if is_gone(&error) => Ok(()),
            other => other.map(drop),
        }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let said = quote(body["error"].as_str().unwrap_or_default());
        let has = |words: &str| said.to_lowercase().contains(words);
        let error = reply.error(SPEC.name);
        match reply.status.as_u16() {
            401 => error.becomes(
                Class::Auth,
                "DEV refuses the API key, or the account is suspended there.",
            ),
            403 if said.is_empty() => error
                .becomes(Class::Policy, "A firewall before DEV refused the request.")
                .code("firewall"),
            403 => error.becomes(Class::Auth, format!("DEV does not allow it: {said}.")),
            404 | 405 if said.is_empty() => {
                error.becomes(Class::Config, "There is no Forem community at this address.")
            }
            404 => error.becomes(Class::Content, "DEV does not know this article."),
            // Each address that an article was first published at is taken once.
            422 if has("canonical url") && has("already been taken") => error
                .becomes(
                    Class::Duplicate,
                    "DEV has an article with this canonical address already.",
                )
                .code("canonical_url_taken"),
            422 if has("body markdown") && has("already been taken") => {
                error.becomes(Class::Duplicate, "DEV has this article of this account already.")
            }
            422 if has("last five minutes") => error
                .becomes(Class::Transient, "DEV takes the same title again after five minutes.")
                .code("title_again")
                .retry_after(Some(TITLE_REST)),
            429 => error.becomes(Class::RateLimit, "DEV asks for fewer calls."),
            400 | 422 if !said.is_empty() => {
                error.becomes(Class::Content, format!("DEV refuses the article: {said}."))
            }
            _ => error,
        }
    }
}

impl DevTo {
    async fn call<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        request: Request,
    ) -> Result<T, Error> {
        let key = cx.account.secret("apiKey")?;
        let request = request.header("api-key", key.reveal());
        let reply = cx.http.send(request, cx.timeout).await?;
        if reply.ok() { reply.json() } else { Err(self.parse_error(&reply)) }
    }

    /// Makes the draft, or finds the one whose making was not answered.
    async fn draft(&self, cx: &Context<'_>, out: &Rendition) -> Result<Draft, Error> {
        let article = article(out)?;
        if cx.saved("begun").is_some() {
            let same = |mine: &Mine| {
                article["title"] == mine.title && article["body_markdown"] == mine.body_markdown
            };
            if let Some(mine) = self.find(cx, "unpublished", same, |_| false).await? {
                return keep(cx, mine.id, cx.now).await;
            }
        }
        cx.checkpoint("begun", true).await?;
        let request = request(cx, Method::POST, "articles").json(&json!({ "article": article }));
        let made: Article = self.call(cx, request).await?;
        keep(cx, made.id, made.created_at.as_millisecond()).await
    }

    async fn set_published(&self, cx: &Context<'_>, id: u64, to: bool) -> Result<Article, Error> {
        let body = json!({ "article": { "published": to } });
        self.call(cx, request(cx, Method::PUT, &format!("articles/{id}")).json(&body)).await
    }

    /// The first article of a list, newest first, that is wanted; none after one that is `last`.
    async fn find(
        &self,
        cx: &Context<'_>,
        list: &str,
        wanted: impl Fn(&Mine) -> bool + Send + Sync,
        last: impl Fn(&Mine) -> bool + Send + Sync,
    ) -> Result<Option<Mine>, Error> {
        for page in 1..=MAX_PAGES {
            let request = request(cx, Method::GET, &format!("articles/me/{list}"))
                .query(&[("page", page), ("per_page", PER_PAGE)]);
            let articles: Vec<Mine> = self.call(cx, request).await?;
            let all = articles.len() < PER_PAGE || articles.iter().any(&last);
            let found = articles.into_iter().find(&wanted);
            if found.is_some() || all {
                return Ok(found);
            }
        }
        let why = "The account has more articles at DEV than can be looked through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    /// The account's own article that has the post's canonical address, if it is one of its own.
    async fn same_address(&self, cx: &Context<'_>, out: &Rendition) -> Option<String> {
        let text = out.text.replace("\r\n", "\n");
        let (matter, _) = front_matter(&text);
        let wanted = *matter.get("canonical_url")?;
        let same = |mine: &Mine| mine.canonical_url.as_deref() == Some(wanted);
        let found = self.find(cx, "published", same, |_| false).await.ok().flatten()?;
        Some(found.id.to_string())
    }
}

fn request(cx: &Context<'_>, method: Method, path: &str) -> Request {
    let request = cx.http.request(method, &format!("{}/api/{path}", cx.base));
    request.header("accept", "application/vnd.forem.api-v1+json")
}

async fn keep(cx: &Context<'_>, id: u64, made: i64) -> Result<Draft, Error> {
    cx.checkpoint("article", json!({ "id": id, "made": made, "at": cx.now })).await?;
    Ok(Draft { id, made, at: cx.now })
}

fn held(cx: &Context<'_>) -> Option<Draft> {
    let saved = cx.saved("article")?;
    let number = |name: &str| saved[name].as_i64();
    Some(Draft { id: saved["id"].as_u64()?, made: number("made")?, at: number("at")? })
}

fn number(remote_id: &str) -> Result<u64, Error> {
    let wrong = |_| Error::new(Class::Content, "This is not the id of an article of DEV.");
    remote_id.parse().map_err(wrong)
}

fn remote(id: u64, url: Option<String>) -> Remote {
    Remote { id: id.to_string(), url }
}

/// Forem's own 404, not that of a server that is something else.
fn is_gone(error: &Error) -> bool {
    error.status == Some(404) && error.class == Class::Content
}

fn no_draft() -> Error {
    Error::new(Class::Transient, "The draft is not at DEV; a new one is made.")
        .code("no_draft")
        .restart()
}

/// The draft as it is sent: the first picture is the cover, the others follow the text.
fn article(out: &Rendition) -> Result<Value, Error> {
    let mut article = words(out);
    let mut body = article["body_markdown"].as_str().unwrap_or_default().to_owned();
    for media in out.media.iter().skip(1) {
        body.push_str("\n\n");
        body.push_str(&picture(&media.alt, address(media, SPEC.name)?));
    }
    article["body_markdown"] = json!(body.trim());
    article["published"] = json!(false);
    if let Some(cover) = out.media.first() {
        article["main_image"] = json!(address(cover, SPEC.name)?);
    }
    Ok(article)
}

/// Everything of an article that is words.
fn words(out: &Rendition) -> Value {
    let whole = out.text.replace("\r\n", "\n");
    let (matter, text) = front_matter(&whole);
    let title = out.title.clone().or_else(|| matter.get("title").map(|&title| title.to_owned()));
    let (title, text) = title_and_text(
        &Rendition { title, text: text.to_owned(), ..Rendition::default() },
        TITLE_MAX,
    );
    let tags = match matter.get("tags") {
        Some(given) => given.split(',').map(str::to_owned).collect(),
        None => tags(&text),
    };
    let mut article = json!({
        "title": title,
        "body_markdown": no_front_matter(without_closing_tags(&text)),
        "tags": allowed(&tags),
    });
    for name in ["canonical_url", "description", "series"] {
        if let Some(value) = matter.get(name) {
            article[name] = json!(value);
        }
    }
    article
}

/// Four tags of letters and digits.
fn allowed(tags: &[String]) -> Vec<String> {
    let bare = |tag: &String| tag.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let fits = |tag: &String| !tag.is_empty() && tag.chars().count() <= TAG_MAX;
    tags.iter().map(bare).filter(fits).take(TAGS_MAX).collect()
}

/// The lines between two of `---` at the beginning, by name, and the text behind them.
fn front_matter(text: &str) -> (BTreeMap<&str, &str>, &str) {
    let Some(inside) = text.trim_start().strip_prefix("---\n") else {
        return (BTreeMap::new(), text);
    };
    let (mut values, mut at) = (BTreeMap::new(), 0);
    for line in inside.split_inclusive('\n') {
        at += line.len();
        match line.trim() {
            "---" => return (values, &inside[at..]),
            "" => {}
            line => {
                let Some((name, value)) = line.split_once(':') else { break };
                let value = value.trim().trim_matches(['"', '\'']);
                if !value.is_empty() {
                    values.insert(name.trim(), value);
                }
            }
        }
    }
    (BTreeMap::new(), text)
}

/// Dashes at the beginning would be read as front matter, which can publish a draft at once; stars
/// are shown as the same line.
fn no_front_matter(text: &str) -> String {
    let text = text.trim_start();
    let dashes = text.bytes().take_while(|&b| b == b'-').count();
    match dashes {
        0..3 => text.to_owned(),
        _ => format!("{}{}", "*".repeat(dashes), &text[dashes..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Applied;
    use crate::http::reply;

    fn written(title: Option<&str>, text: &str) -> Value {
        let title = title.map(str::to_owned);
        article(&Rendition { title, text: text.to_owned(), ..Rendition::default() }).unwrap()
    }

    #[test]
    fn an_article_is_never_published_by_what_it_says() {
        for text in [
            "---\ntitle: T\npublished: true\n---\nText",
            "---\r\npublished: true\r\ndate: 2020-01-01\r\n---\r\nText",
            "\n  ---\npublished: true\n---\n---\npublished: true\n---\nText",
            "---\nnot front matter\n---\nText",
            "--- published: true ---",
            "----\nText",
        ] {
            let article = written(Some("Title"), text);
            let body = article["body_markdown"].as_str().unwrap();
            assert!(!body.starts_with("---"), "{text:?} became {body:?}");
            assert_eq!(article["published"], false);
        }
        assert_eq!(written(Some("T"), "---\nText")["body_markdown"], "***\nText");
        assert_eq!(written(Some("T"), "-- Text")["body_markdown"], "-- Text");
    }

    #[test]
    fn front_matter_and_hashtags_become_fields() {
        let text = "---\ntitle: \"A: title\"\ntags: Rust, open source, c++, d, e\n\
                    canonical_url: https://a.example/b\nseries: One\nunknown: x\n---\n\nText #six";
        let article = written(None, text);
        assert_eq!(article["title"], "A: title");
        assert_eq!(article["tags"], json!(["Rust", "opensource", "c", "d"]));
        assert_eq!(article["canonical_url"], "https://a.example/b");
        assert_eq!(
            (&article["series"], &article["body_markdown"]),
            (&json!("One"), &json!("Text #six"))
        );
        assert_eq!(article["unknown"], Value::Null);

        let article = written(None, "Head\n\nBody #Über_all\n\n#one #two #three #four");
        assert_eq!(article["body_markdown"], "Body #Über_all");
        assert_eq!(article["tags"], json!(["überall", "one", "two", "three"]));
    }

    #[test]
    fn the_same_title_waits_and_the_same_address_is_a_duplicate() {
        let of = |said: &str| {
            let body = json!({ "error": said, "status": 422 }).to_string();
            DevTo.parse_error(&reply(422, &[], &body))
        };
        let error = of("Title has already been used in the last five minutes");
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No));
        assert_eq!(error.retry_after, Some(TITLE_REST));
        let error =
            of("Canonical url has already been taken. Email yo@dev.to for further details.");
        assert_eq!((error.class, error.existing), (Class::Duplicate, None));
    }
}
