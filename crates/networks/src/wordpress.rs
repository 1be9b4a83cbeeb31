//! WordPress through its own REST API (`wp/v2`, since WordPress 5.6); checked 2026-11-22 against
//! the documents and a real 6.1.9.
//!
//! Keys: an application password, made in the profile of a user who may publish and upload
//! (`wp-admin/profile.php`); it needs https. The API is at `/wp-json`, or at `?rest_route=` on
//! sites without pretty permalinks, which `check` finds out.
//!
//! Draft first: the draft's id is the handle, and turning it into `publish` can be repeated. Slugs
//! do not protect (the same one twice gets `-2`), so a draft's is unguessable and only looked for;
//! what somebody asked for instead it gets when it is published.
//!
//! Categories and tags go by their names. What the site has not is made; where the user may not
//! make a category, the connection's usual one stands in, and a tag is left out.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::article::parts_below;
use crate::error::{Action, Class, Error, quote, saying};
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::spec::{
    Abilities, Choice, Count, Derivative, Edit, Field, Kind, MediaRule, Pick, Placement, SendClass,
    Spec, Text,
};
use crate::text::html_to_text;
use crate::{Context, Identity, Media, Network, Prepared, Published, Remote, Rendition, Window};

pub struct WordPress;

pub static SPEC: Spec = Spec {
    id: "wordpress",
    name: "WordPress",
    code: "WP",
    base_url: "",
    fields: &[
        Field {
            key: "server",
            label: "Site address",
            help: "The address of the site's start page, for example `https://blog.example`.",
            secret: false,
            required: true,
        },
        Field {
            key: "username",
            label: "User name",
            help: "A user with the role Author, Editor or Administrator.",
            secret: false,
            required: true,
        },
        Field {
            key: "applicationPassword",
            label: "Application password",
            help: "On the site: Users, Profile, Application Passwords. Not the sign-in password.",
            secret: true,
            required: true,
        },
        Field {
            key: "usualCategory",
            label: "Usual category",
            help: "The name of the category for articles that name none, or none that the site has \
                   or lets be made. Empty: the site's own default.",
            secret: false,
            required: false,
        },
    ],
    placements: &[Placement {
        id: "article",
        name: "Article",
        send: SendClass::Readable { lag: Duration::ZERO },
        follows: &[],
        in_budget: true,
        edit: Edit::TitleAndText,
        measures: &[],
        text: Text {
            // No limit of its own; this stays within the 8 MB that PHP takes by default.
            max: 1_000_000,
            count: Count::Chars,
            max_bytes: None,
            max_with_media: None,
            question_max: None,
            max_hashtags: None,
            max_mentions: None,
            // The column holds 65,535 bytes.
            title_max: Some(16_383),
            required: false,
        },
        media: MediaRule {
            min: 0,
            max: 20,
            types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
            // What PHP takes by default (`upload_max_filesize` is 2 MB on bare installations).
            max_bytes: 2 << 20,
            ratio: None,
            derivative: Derivative::Original,
            pull: false,
            alt_max: 1_000,
            video: None,
        },
        options: &[
            Choice {
                key: "categories",
                label: "Categories",
                help: "Names, apart by commas. One that the site does not have is made.",
                required: false,
                kind: Kind::Words { max: 1_000 },
            },
            Choice {
                key: "tags",
                label: "Tags",
                help: "Names, apart by commas. One that the site does not have is made.",
                required: false,
                kind: Kind::Words { max: 1_000 },
            },
            Choice {
                key: "excerpt",
                label: "Excerpt",
                help: "What lists show of the article. Empty: its beginning.",
                required: false,
                kind: Kind::Line { max: 1_000 },
            },
            Choice {
                key: "slug",
                label: "Slug",
                help: "The article's part of its address. Empty: made from the title.",
                required: false,
                kind: Kind::Line { max: 200 },
            },
            Choice {
                key: "status",
                label: "Status",
                help: "A draft waits at the site for its editors. Empty: it is published.",
                required: false,
                kind: Kind::OneOf {
                    picks: &[
                        Pick { value: "publish", label: "Published" },
                        Pick { value: "draft", label: "Draft" },
                    ],
                },
            },
            Choice {
                key: "publishAt",
                label: "Published by the site at",
                help: "The site publishes it by itself then, by its own clock. Empty: at once.",
                required: false,
                kind: Kind::LocalTime,
            },
            Choice {
                key: "replaces",
                label: "Replaces article",
                help: "The number of an article at the site that is changed to this one. Empty: a \
                       new article.",
                required: false,
                kind: Kind::Line { max: 20 },
            },
        ],
    }],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: None,
    life: Life::Endless,
    budgets: &[],
};

/// Longer first lines are no titles: the title is then cut from the text, which stays whole.
const TITLE_LINE: usize = 150;

#[derive(Deserialize)]
struct User {
    id: u64,
    name: String,
    /// An object, or the empty list that PHP makes of an empty object.
    #[serde(default)]
    capabilities: Value,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    authentication: Value,
}

#[derive(Deserialize)]
struct Post {
    id: u64,
    status: String,
    link: Option<String>,
    #[serde(default)]
    slug: String,
    /// Objects, with `raw` for those who may edit.
    #[serde(default)]
    title: Value,
    #[serde(default)]
    content: Value,
}

#[derive(Deserialize)]
struct Term {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Upload {
    id: u64,
    source_url: String,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    message: String,
}

impl Post {
    fn remote(self) -> Remote {
        Remote { id: self.id.to_string(), url: self.link.filter(|l| !l.is_empty()) }
    }
}

#[async_trait]
impl Network for WordPress {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let at_default = self.me(cx, &default_root(cx)).await;
        let (user, rest_base) = match at_default {
            // Without pretty permalinks the usual place holds nothing, the start page, or a
            // redirect to nothing.
            Err(error)
                if matches!(
                    error.code.as_deref(),
                    Some("no_rest_api" | "garbled" | "redirected")
                ) =>
            {
                match self.discover(cx).await? {
                    Some(root) if root != default_root(cx) => (self.me(cx, &root).await?, root),
                    _ => return Err(no_rest_api()),
                }
            }
            Err(error) if error.code.as_deref() == Some("rest_not_logged_in") => {
                return Err(self.why_not_logged_in(cx, error).await);
            }
            // Empty: what an earlier check stored no longer holds.
            other => (other?, String::new()),
        };
        for (capability, what) in
            [("publish_posts", "publish posts"), ("upload_files", "upload files")]
        {
            if user.capabilities[capability] != Value::Bool(true) {
                let says = format!("The user “{}” may not {what} at this site.", user.name);
                return Err(Error::new(Class::Auth, says)
                    .code(capability)
                    .action(Action::ActAtNetwork));
            }
        }
        let mut identity =
            Identity { remote_id: user.id.to_string(), name: user.name, ..Identity::default() };
        if !rest_base.is_empty() || cx.account.setting("restBase").is_ok() {
            identity.settings.insert("restBase".to_owned(), rest_base);
        }
        Ok(identity)
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if cx.saved_str("post").is_some() {
            return Ok(Prepared::Ready);
        }
        let replaced = replaced(out)?;
        wanted(out)?;
        let mut uploads = Vec::with_capacity(out.media.len());
        for (i, media) in out.media.iter().enumerate() {
            uploads.push(self.upload(cx, &media_name(i), media).await?);
        }
        let terms = self.terms(cx, out).await?;
        let id = match replaced {
            Some(id) => self.post(cx, id).await?.id,
            None => self.draft(cx, out, &uploads, &terms).await?,
        };
        cx.checkpoint("post", id.to_string()).await?;
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let id = cx.saved_str("post").ok_or_else(no_draft)?;
        let change = match replaced(out)? {
            Some(_) => {
                let uploads = (0..out.media.len()).map(|i| cx.saved(&media_name(i)));
                let uploads: Option<Vec<Value>> = uploads.collect();
                let uploads = uploads.ok_or_else(no_draft)?;
                let mut body = article(out, &uploads, &cx.saved("terms").unwrap_or_default());
                name(&mut body, out);
                body
            }
            None => {
                let mut body = wanted(out)?;
                name(&mut body, out);
                body
            }
        };
        let request = post(cx, &format!("posts/{id}")).json(&change);
        let post: Post = match self.call(cx, request).await {
            Err(error) if is_gone(&error) && replaced(out)?.is_none() => return Err(no_draft()),
            other => other?,
        };
        if !is_as_wanted(out, &post) {
            let says =
                format!("The site holds the article as `{}` for someone to look at.", post.status);
            return Err(Error::new(Class::Policy, says).code(post.status));
        }
        Ok(Published::Accepted(post.remote()))
    }

    /// Exact, whatever the window: by the article's id, or by a draft's unguessable slug.
    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        _window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let found = match cx.saved_str("post") {
            Some(id) => match self.post(cx, &id).await {
                Err(error) if is_gone(&error) => Vec::new(),
                other => vec![other?],
            },
            None => self.by_slug(cx, &slug(cx, out)).await?,
        };
        let uploads = (0..out.media.len()).map(|i| cx.saved(&media_name(i)).unwrap_or_default());
        let uploads: Vec<Value> = uploads.collect();
        let ours = |post: &Post| {
            is_as_wanted(out, post)
                && is_named(out, post)
                && (out.option("replaces").is_none() || is_changed(out, &uploads, post))
        };
        Ok(found.into_iter().filter(ours).map(Post::remote).collect())
    }

    /// The pictures are kept as they stand in the article, and so is everything but its words.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let id = number(remote_id)?;
        let there = self.post(cx, &id.to_string()).await.map_err(Error::harmless)?;
        if there.status == "trash" {
            let says = "The article is in the site's trash.";
            return Err(Error::new(Class::Content, says).action(Action::ActAtNetwork));
        }
        let raw = there.content["raw"].as_str().unwrap_or_default();
        let pictures = parts_below(raw, "<!-- wp:image", "<!-- /wp:image -->", out.media.len());
        let (title, text) = title_and_text(out);
        let mut blocks = paragraphs(&text);
        blocks.extend(pictures.into_iter().map(str::to_owned));
        let change = json!({ "title": escape(&title), "content": blocks.join("\n\n") });
        let request = post(cx, &format!("posts/{id}")).json(&change);
        let post: Post = self.call(cx, request).await?;
        Ok(Published::Accepted(post.remote()))
    }

    /// Past the trash, so that nothing can bring it back. The pictures stay in the site's library:
    /// other articles may show them by now.
    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let id = number(remote_id)?;
        let request =
            request(cx, Method::DELETE, &format!("posts/{id}")).query(&[("force", "true")]);
        match self.call::<Value>(cx, request).await {
            Err(error) if is_gone(&error) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let status = reply.status.as_u16();
        let said: Option<Refusal> = serde_json::from_slice(&reply.body).ok();
        let error = match &said {
            Some(said) => coded(said, status).code(&said.code),
            None => uncoded(reply),
        };
        let mut error = error.status(status);
        if matches!(error.class, Class::RateLimit | Class::Transient) {
            error.retry_after = reply.retry_after();
        }
        // An answer of 5xx does not prove that nothing was done, but for "I cannot do that".
        if status >= 500 && status != 501 { error.maybe_applied() } else { error }
    }
}

impl WordPress {
    async fn call<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        request: Request,
    ) -> Result<T, Error> {
        let reply = self.send(cx, request).await?;
        if reply.ok() { reply.json() } else { Err(self.parse_error(&reply)) }
    }

    async fn send(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let password = cx.account.secret("applicationPassword")?;
        let request = request.basic_auth(cx.account.setting("username")?, Some(password.reveal()));
        cx.http.send(request, cx.timeout).await
    }

    async fn post(&self, cx: &Context<'_>, id: &str) -> Result<Post, Error> {
        self.call(cx, get(cx, &format!("posts/{id}")).query(&[("context", "edit")])).await
    }

    async fn me(&self, cx: &Context<'_>, root: &str) -> Result<User, Error> {
        let url = format!("{root}/wp/v2/users/me");
        self.call(cx, cx.http.get(&url).query(&[("context", "edit")])).await
    }

    /// Where the site itself says that its API is; `None` when it says nothing.
    async fn discover(&self, cx: &Context<'_>) -> Result<Option<String>, Error> {
        let reply = cx.http.send(cx.http.get(cx.base), cx.timeout).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let links = reply.headers.get_all("link").iter().filter_map(|v| v.to_str().ok());
        let Some(root) = links.flat_map(|line| line.split(',')).find_map(rest_link) else {
            return Ok(None);
        };
        // The password goes to the host that was entered and to no other.
        let host = |address: &str| url::Url::parse(address).ok().map(|u| u.origin());
        if host(&root) != host(cx.base) {
            let says = format!("The site's API is at {root}: enter that site's address.");
            return Err(Error::new(Class::Config, says).code("other_host"));
        }
        Ok(Some(root))
    }

    /// A 401 in spite of credentials: are application passwords off, or was the header lost?
    async fn why_not_logged_in(&self, cx: &Context<'_>, error: Error) -> Error {
        let request = cx.http.get(&format!("{}/", default_root(cx)));
        let Ok(reply) = cx.http.send(request, cx.timeout).await else { return error };
        match reply.json::<Index>() {
            Ok(index) if reply.ok() && index.authentication["application-passwords"].is_null() => {
                coded(&disabled(), 401).code(disabled().code).status(401)
            }
            _ => error,
        }
    }

    /// Sends a picture and its description, going on where an earlier try stopped.
    async fn upload(&self, cx: &Context<'_>, name: &str, media: &Media) -> Result<Value, Error> {
        let mut saved = match cx.saved(name) {
            Some(saved) => saved,
            None => {
                let disposition = format!("attachment; filename=\"{}\"", file_name(media));
                let request = post(cx, "media")
                    .header("Content-Type", &media.content_type)
                    .header("Content-Disposition", disposition)
                    .body(media.data.clone());
                let made: Upload = self.call(cx, request).await?;
                let saved = json!({ "id": made.id, "url": made.source_url });
                cx.checkpoint(name, saved.clone()).await?;
                saved
            }
        };
        if !media.alt.is_empty() && saved["alt"].is_null() {
            let request = post(cx, &format!("media/{}", saved["id"]));
            let _: Upload = self.call(cx, request.json(&json!({ "alt_text": media.alt }))).await?;
            saved["alt"] = Value::Bool(true);
            cx.checkpoint(name, saved.clone()).await?;
        }
        Ok(saved)
    }

    /// The ids of the article's categories and tags, by `categories` and `tags`.
    async fn terms(&self, cx: &Context<'_>, out: &Rendition) -> Result<Value, Error> {
        if let Some(saved) = cx.saved("terms") {
            return Ok(saved);
        }
        let mut all = json!({});
        for kind in ["categories", "tags"] {
            let mut ids = Vec::new();
            for name in words(out.option(kind).unwrap_or_default()) {
                let id = self.term(cx, kind, name).await?;
                ids.extend(id.filter(|id| !ids.contains(id)));
            }
            if let Ok(usual) = cx.account.setting("usualCategory")
                && kind == "categories"
                && ids.is_empty()
                && out.option("replaces").is_none()
            {
                ids.extend(self.term(cx, kind, usual).await?);
            }
            if !ids.is_empty() {
                all[kind] = json!(ids);
            }
        }
        cx.checkpoint("terms", all.clone()).await?;
        Ok(all)
    }

    /// The id of a category or tag of this name, made where the site has none; `None` where the
    /// user may not make one.
    async fn term(&self, cx: &Context<'_>, kind: &str, name: &str) -> Result<Option<u64>, Error> {
        let query = [("search", name), ("per_page", "100"), ("_fields", "id,name")];
        let all: Vec<Term> = self.call(cx, get(cx, kind).query(&query)).await?;
        // The site writes names as HTML.
        let same =
            |term: &&Term| html_to_text(&term.name).trim().to_lowercase() == name.to_lowercase();
        if let Some(term) = all.iter().find(same) {
            return Ok(Some(term.id));
        }
        let reply = self.send(cx, post(cx, kind).json(&json!({ "name": name }))).await?;
        if reply.ok() {
            return reply.json().map(|term: Term| Some(term.id));
        }
        let error = self.parse_error(&reply);
        match error.code.as_deref() {
            // Somebody was faster, or the site takes two spellings for one.
            Some("term_exists") => match reply.value()["data"]["term_id"].as_u64() {
                Some(id) => Ok(Some(id)),
                None => Err(error),
            },
            Some("rest_cannot_create") => Ok(None),
            _ => Err(error),
        }
    }

    /// The draft's id. A slug that is saved without an id is one whose answer may have been lost.
    async fn draft(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        uploads: &[Value],
        terms: &Value,
    ) -> Result<u64, Error> {
        let slug = slug(cx, out);
        if cx.saved_str("slug").is_some() {
            if let Some(post) = self.by_slug(cx, &slug).await?.into_iter().next() {
                return Ok(post.id);
            }
        } else {
            cx.checkpoint("slug", slug.clone()).await?;
        }
        let mut body = article(out, uploads, terms);
        body["slug"] = json!(slug);
        body["status"] = json!("draft");
        let made: Post = self.call(cx, post(cx, "posts").json(&body)).await?;
        Ok(made.id)
    }

    async fn by_slug(&self, cx: &Context<'_>, slug: &str) -> Result<Vec<Post>, Error> {
        let query = [("slug", slug), ("status", "any"), ("context", "edit")];
        self.call(cx, get(cx, "posts").query(&query)).await
    }
}

fn number(remote_id: &str) -> Result<u64, Error> {
    let wrong = |_| Error::new(Class::Content, "This is not the id of an article of WordPress.");
    remote_id.parse().map_err(wrong)
}

fn default_root(cx: &Context<'_>) -> String {
    format!("{}/wp-json", cx.base)
}

fn request(cx: &Context<'_>, method: Method, path: &str) -> Request {
    let root = cx.account.setting("restBase").map_or_else(|_| default_root(cx), str::to_owned);
    cx.http.request(method, &format!("{root}/wp/v2/{path}"))
}
fn get(cx: &Context<'_>, path: &str) -> Request {
    request(cx, Method::GET, path)
}
fn post(cx: &Context<'_>, path: &str) -> Request {
    request(cx, Method::POST, path)
}

/// `<https://site/index.php?rest_route=/>; rel="https://api.w.org/"`, without the slash at its end.
fn rest_link(link: &str) -> Option<String> {
    let (address, rel) = link.trim().strip_prefix('<')?.split_once('>')?;
    rel.contains("https://api.w.org/").then(|| address.trim_end_matches('/').to_owned())
}

/// Readable, and unguessable by its end; the saved one wins, should the title have changed.
fn slug(cx: &Context<'_>, out: &Rendition) -> String {
    cx.saved_str("slug").unwrap_or_else(|| {
        let mut words = String::new();
        for c in title_and_text(out).0.to_lowercase().chars() {
            match c {
                'a'..='z' | '0'..='9' => words.push(c),
                _ if words.is_empty() || words.ends_with('-') => {}
                _ => words.push('-'),
            }
        }
        words.truncate(80);
        let mark = mark(out);
        match words.trim_end_matches('-') {
            "" => mark,
            words => format!("{words}-{mark}"),
        }
    })
}

/// The unguessable end of a draft's slug.
fn mark(out: &Rendition) -> String {
    let hash = Sha256::digest(out.key.as_bytes());
    hash[..5].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn media_name(i: usize) -> String {
    format!("media:{i}")
}

/// Names apart by commas, each once.
fn words(list: &str) -> Vec<&str> {
    let mut all = Vec::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if !all.contains(&word) {
            all.push(word);
        }
    }
    all
}

/// The article that this one replaces.
fn replaced(out: &Rendition) -> Result<Option<&str>, Error> {
    match out.option("replaces") {
        Some(id) if id.parse::<u64>().is_err() => {
            let says = format!("`{}` is no number of an article.", quote(id));
            Err(Error::new(Class::Content, says).code("bad_article"))
        }
        id => Ok(id),
    }
}

/// What a draft becomes.
fn wanted(out: &Rendition) -> Result<Value, Error> {
    let Some(at) = out.option("publishAt").filter(|_| out.option("status") != Some("draft")) else {
        return Ok(json!({ "status": out.option("status").unwrap_or("publish") }));
    };
    let day = at.parse::<jiff::civil::Date>().map(|day| day.at(0, 0, 0, 0));
    let time = at.parse::<jiff::civil::DateTime>().or(day).map_err(|_| {
        let says = format!("`{}` is no day or minute.", quote(at));
        Error::new(Class::Content, says).code("bad_time")
    })?;
    // Without a zone: the site's own.
    let date = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    Ok(json!({ "status": "future", "date": date }))
}

/// Gives an article the slug that was asked for.
fn name(body: &mut Value, out: &Rendition) {
    if let Some(slug) = out.option("slug") {
        body["slug"] = json!(slug);
    }
}

/// Has it the status that it was to get?
fn is_as_wanted(out: &Rendition, post: &Post) -> bool {
    match (out.option("replaces"), out.option("status"), out.option("publishAt")) {
        // It keeps the one that it has.
        (Some(_), ..) => post.status != "trash",
        (_, Some("draft"), _) => post.status == "draft",
        (_, _, Some(_)) => matches!(post.status.as_str(), "future" | "publish"),
        _ => post.status == "publish",
    }
}

/// Does a draft, which had another before, have the slug that it was to get? The site writes it in
/// its own way, and may put a number behind it.
fn is_named(out: &Rendition, post: &Post) -> bool {
    out.option("status") != Some("draft")
        || out.option("slug").is_none()
        || !post.slug.ends_with(&mark(out))
}

/// Has an article at the site become this one?
fn is_changed(out: &Rendition, uploads: &[Value], post: &Post) -> bool {
    let ours = article(out, uploads, &Value::Null);
    ["title", "content"].iter().zip([&post.title, &post.content]).all(|(key, there)| {
        ours[*key].as_str().map(str::trim) == there["raw"].as_str().map(str::trim)
    })
}

/// Everything of an article but its address and its status.
fn article(out: &Rendition, uploads: &[Value], terms: &Value) -> Value {
    let (title, text) = title_and_text(out);
    let mut body = json!({
        "title": escape(&title),
        "content": content(&text, &out.media, uploads),
    });
    if let Some(excerpt) = out.option("excerpt") {
        body["excerpt"] = json!(escape(excerpt));
    }
    for kind in ["categories", "tags"] {
        if !terms[kind].is_null() {
            body[kind] = terms[kind].clone();
        }
    }
    if let Some(first) = uploads.first() {
        body["featured_media"] = first["id"].clone();
    }
    body
}

fn title_and_text(out: &Rendition) -> (String, String) {
    let text = out.text.trim();
    if let Some(title) = out.title.as_deref().map(str::trim).filter(|t| !t.is_empty()) {
        return (title.to_owned(), text.to_owned());
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let Some((cut, _)) = line.char_indices().nth(TITLE_LINE) else {
        return (line.trim().to_owned(), rest.trim().to_owned());
    };
    let words = line[..cut].rsplit_once(' ').map_or(&line[..cut], |(words, _)| words);
    (format!("{words}…"), text.to_owned())
}

/// Paragraphs and pictures as the site's editor writes them, so that people can go on editing.
fn content(text: &str, media: &[Media], uploads: &[Value]) -> String {
    let mut blocks = paragraphs(text);
    for (media, upload) in media.iter().zip(uploads) {
        let (id, url) = (&upload["id"], upload["url"].as_str().unwrap_or_default());
        blocks.push(format!(
            "<!-- wp:image {{\"id\":{id}}} -->\n<figure class=\"wp-block-image\"><img src=\"{}\" \
             alt=\"{}\" class=\"wp-image-{id}\"/></figure>\n<!-- /wp:image -->",
            escape(url),
            escape(&media.alt)
        ));
    }
    blocks.join("\n\n")
}

fn paragraphs(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let parts = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let block = |paragraph: &str| {
        let html = escape(paragraph).replace('\n', "<br>");
        format!("<!-- wp:paragraph -->\n<p>{html}</p>\n<!-- /wp:paragraph -->")
    };
    parts.map(block).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A name that fits into a quoted header value.
fn file_name(media: &Media) -> String {
    let name: String = media
        .file_name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' })
        .collect();
    if name.is_empty() { "picture".to_owned() } else { name }
}

fn no_draft() -> Error {
    Error::new(Class::Transient, "The draft is not at the site; a new one is made.")
        .code("no_draft")
        .restart()
}

fn is_gone(error: &Error) -> bool {
    error.code.as_deref() == Some("rest_post_invalid_id")
}

fn disabled() -> Refusal {
    Refusal { code: "application_passwords_disabled".to_owned(), message: String::new() }
}

/// WordPress's own refusals.
fn coded(said: &Refusal, status: u16) -> Error {
    let auth = |says: &str| Error::new(Class::Auth, says);
    let said_so = |what: &str| saying(what, &html_to_text(&said.message));
    match said.code.as_str() {
        "rest_not_logged_in" => auth(
            "The site takes the request as not signed in: the application password is wrong, or \
             the web server drops the `Authorization` header.",
        ),
        "incorrect_password" => auth("The application password is wrong."),
        "invalid_username" | "invalid_email" => auth("The site has no user of this name."),
        "application_passwords_disabled" | "application_passwords_disabled_for_user" => auth(
            "Application passwords are off at this site: it has no https, or a plugin forbids them.",
        )
        .action(Action::ActAtNetwork),
        code if code.starts_with("rest_forbidden") || code.starts_with("rest_cannot_") => {
            auth(&said_so("The user lacks a right")).action(Action::ActAtNetwork)
        }
        "rest_no_route" => Error::new(Class::Config, "The site's REST API has no posts: a plugin hides them.")
            .action(Action::ActAtNetwork),
        "rest_post_invalid_id" => Error::new(Class::Content, "The site has no such article."),
        "empty_content" => Error::new(Class::Content, "Title and text are both empty."),
        "rest_upload_file_too_big" => {
            Error::new(Class::Content, "The picture is larger than the site takes.")
        }
        "rest_upload_limited_space" | "rest_upload_user_quota_exceeded" => {
            Error::new(Class::Config, "The site's space for files is used up.")
                .action(Action::ActAtNetwork)
        }
        code if code.starts_with("rest_upload_") && code != "rest_upload_unknown_error" => {
            Error::new(Class::Content, said_so("The site refused the picture"))
        }
        _ => match status {
            401 | 403 => auth(&said_so("The site refused")),
            429 => Error::new(Class::RateLimit, "The site's host asks to slow down."),
            500.. => Error::new(Class::Transient, said_so("The site failed")),
            _ => Error::new(Class::Content, said_so("The site refused")),
        },
    }
}

fn no_rest_api() -> Error {
    let says = "At this address there is no WordPress, or a plugin spoils its REST API.";
    Error::new(Class::Config, says).code("no_rest_api")
}

/// No answer of WordPress itself: the web server, the host or its firewall spoke.
fn uncoded(reply: &Reply) -> Error {
    let error = |class, says: &str| Error::new(class, says);
    match reply.status.as_u16() {
        300..=399 => {
            let target = reply.header("location").and_then(|l| url::Url::parse(l).ok());
            let target = target.map(|u| u.origin().ascii_serialization());
            let says = match target {
                Some(target) => format!("The site redirects to {target}: enter that address."),
                None => "The site redirects: enter the address that it leads to.".to_owned(),
            };
            error(Class::Config, &says).code("redirected")
        }
        401 => {
            error(Class::Auth, "The web server asks for a password before WordPress is reached.")
                .code("http_401")
        }
        403 => {
            error(Class::Policy, "The host's firewall refused the request before WordPress saw it.")
                .code("firewall")
        }
        404 | 405 => no_rest_api(),
        413 => error(Class::Content, "The picture is larger than the web server takes.")
            .code("http_413"),
        429 => error(Class::RateLimit, "The host's firewall asks to slow down.").code("firewall"),
        503 => error(Class::Transient, "The site is under maintenance.").code("http_503"),
        status @ 500.. => error(Class::Transient, &format!("The site failed with HTTP {status}."))
            .code(format!("http_{status}")),
        status => error(Class::Content, &format!("The web server refused with HTTP {status}."))
            .code(format!("http_{status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply;

    #[test]
    fn a_redirect_names_the_address_and_a_refusal_holds_no_markup() {
        let moved = reply(301, &[("location", "https://www.blog.example/x?y=1")], "");
        assert!(WordPress.parse_error(&moved).sentence.contains("https://www.blog.example:"));
        let body = r#"{"code":"rest_cannot_edit","message":"<b>Sorry</b>.","data":{}}"#;
        let error = WordPress.parse_error(&reply(401, &[], body));
        assert_eq!(error.sentence, "The user lacks a right: Sorry.");
        assert_eq!(error.code.as_deref(), Some("rest_cannot_edit"));
    }

    fn told(answers: &[(&str, &str)]) -> Rendition {
        let extra = answers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Rendition { text: "Head\n\nBody".to_owned(), extra, ..Rendition::default() }
    }

    #[test]
    fn a_draft_becomes_what_was_asked_for() {
        let becomes = |answers: &[(&str, &str)]| wanted(&told(answers)).unwrap();
        assert_eq!(becomes(&[]), json!({ "status": "publish" }));
        assert_eq!(becomes(&[("status", "draft")]), json!({ "status": "draft" }));
        let future = json!({ "status": "future", "date": "2026-12-24T18:30:00" });
        assert_eq!(becomes(&[("publishAt", "2026-12-24T18:30")]), future);
        assert_eq!(becomes(&[("publishAt", "2026-12-24")])["date"], "2026-12-24T00:00:00");
        for bad in ["soon", "2026-13-01", "24.12.2026"] {
            assert!(wanted(&told(&[("publishAt", bad)])).is_err(), "{bad}");
        }
        for bad in ["-1", "x", "1/2", "1 2"] {
            assert!(replaced(&told(&[("replaces", bad)])).is_err(), "{bad}");
        }
        assert_eq!(words("bread, rye ,,bread"), ["bread", "rye"]);
    }

    #[test]
    fn a_title_is_given_or_the_first_line_or_cut_from_it() {
        let split = |title: Option<&str>, text: &str| {
            let title = title.map(str::to_owned);
            title_and_text(&Rendition { title, text: text.to_owned(), ..Rendition::default() })
        };
        assert_eq!(split(Some("T"), "a\nb"), ("T".to_owned(), "a\nb".to_owned()));
        assert_eq!(split(None, "Head\n\nBody"), ("Head".to_owned(), "Body".to_owned()));
        let long = "wörter ".repeat(40);
        let (title, text) = split(None, &long);
        assert!(title.ends_with("wörter…") && title.chars().count() <= TITLE_LINE + 1);
        assert_eq!(text, long.trim());
    }

    #[test]
    fn what_people_write_stays_text() {
        let media = Media {
            id: String::new(),
            content_type: "image/png".to_owned(),
            width: 1,
            height: 1,
            alt: "a \"quote\"".to_owned(),
            file_name: "ein \"bild\"\r\n.png".to_owned(),
            data: bytes::Bytes::new(),
            source: None,
            duration: None,
            cover: None,
            url: String::new(),
        };
        let upload = json!({ "id": 7, "url": "https://blog.example/a.png?x=1&y=2" });
        let html = content("1 < 2\nnext\n\n\n<script>", std::slice::from_ref(&media), &[upload]);
        assert!(html.contains("<p>1 &lt; 2<br>next</p>"));
        assert!(html.contains("<p>&lt;script&gt;</p>"));
        assert!(html.contains(
            r#"<img src="https://blog.example/a.png?x=1&amp;y=2" alt="a &quot;quote&quot;" class="wp-image-7"/>"#
        ));
        assert_eq!(file_name(&media), "ein--bild---.png");
    }

    #[test]
    fn the_link_header_names_the_root() {
        let link = r#" <https://a.example/index.php?rest_route=/>; rel="https://api.w.org/""#;
        assert_eq!(rest_link(link).as_deref(), Some("https://a.example/index.php?rest_route="));
        assert_eq!(rest_link(r#"<https://a.example/>; rel=shortlink"#), None);
    }
}
