//! Ghost through its Admin API, version 5 and 6; checked 2026-11-22 against the documents and a
//! real 6.65.
//!
//! Keys: Settings → Integrations → Add custom integration shows the Admin API key, `id:secret`.
//! It never leaves here: each request carries a token of five minutes that is signed with it.
//!
//! Draft first: the draft's id is the handle, and turning its status to `published` can be repeated.
//! A change needs the `updated_at` that was read last, so `prepare` reads it each time. Slugs do not
//! protect (the same one twice gets `-2`), so ours is unguessable and only looked for.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::multipart::Form;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::article::{
    escape, paragraphs, parts_below, slug, tags, title_and_text, without_closing_tags,
};
use crate::error::quote;
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::sign::hmac_sha256;
use crate::spec::{
    Abilities, Count, Derivative, Edit, Field, MediaRule, Placement, SendClass, Spec, Text,
};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Polled, Prepared, Published, Remote,
    Rendition,
};

pub struct Ghost;

const TITLE_MAX: usize = 255;
/// Most characters of the description of a feature image.
const COVER_ALT_MAX: usize = 191;
/// How long a token is good for, in seconds; Ghost takes no longer ones.
const TOKEN_LIFE: i64 = 300;

pub static SPEC: Spec = Spec {
    id: "ghost",
    name: "Ghost",
    code: "GH",
    base_url: "",
    fields: &[
        Field {
            key: "server",
            label: "Site address",
            help: "The address before `/ghost` when you sign in, for example `https://blog.example`.",
            secret: false,
            required: true,
        },
        Field {
            key: "adminKey",
            label: "Admin API key",
            help: "Ghost: Settings, Integrations, Add custom integration.",
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
        measures: &[],
        text: Text {
            // No limit that anybody reaches; this stays within what proxies take.
            max: 1_000_000,
            count: Count::Chars,
            max_bytes: None,
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
            max_bytes: 5 << 20,
            ratio: None,
            derivative: Derivative::Original,
            pull: false,
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

#[derive(Deserialize)]
struct Sites {
    site: Site,
}

#[derive(Deserialize)]
struct Site {
    title: String,
    url: String,
}

#[derive(Deserialize)]
struct Posts {
    posts: Vec<Post>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    updated_at: String,
    url: Option<String>,
    html: Option<String>,
}

#[derive(Deserialize)]
struct Images {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    url: String,
}

impl Post {
    /// `sent` is an article that went out by mail alone.
    fn is_out(&self) -> bool {
        matches!(self.status.as_str(), "published" | "sent")
    }

    fn remote(self) -> Remote {
        Remote { id: self.id, url: self.url }
    }
}

#[async_trait]
impl Network for Ghost {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        token(cx)?;
        let reply = cx.http.send(request(cx, Method::GET, "site/"), cx.timeout).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let Sites { site } = reply.json().map_err(|_| no_ghost())?;
        // The site is told to everybody; this is not.
        let posts = request(cx, Method::GET, "posts/").query(&[("limit", "1"), ("fields", "id")]);
        let _: Posts = self.call(cx, posts).await?;
        Ok(Identity { remote_id: site.url, name: site.title, ..Identity::default() })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if let Some(id) = cx.saved_str("post") {
            match self.read(cx, &id).await {
                Ok(post) => {
                    cx.checkpoint("updated", post.updated_at).await?;
                    return Ok(Prepared::Ready);
                }
                Err(error) if is_gone(&error) => cx.checkpoint("post", Value::Null).await?,
                Err(error) => return Err(error),
            }
        }
        let mut images = Vec::with_capacity(out.media.len());
        for (i, media) in out.media.iter().enumerate() {
            images.push(self.upload(cx, i, media).await?);
        }
        let post = self.draft(cx, out, &images).await?;
        cx.checkpoint("updated", post.updated_at).await?;
        cx.checkpoint("post", post.id).await?;
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, _: &Rendition) -> Result<Published, Error> {
        let (Some(id), Some(updated)) = (cx.saved_str("post"), cx.saved_str("updated")) else {
            return Err(no_draft());
        };
        let change = json!({ "posts": [{ "status": "published", "updated_at": updated }] });
        let request = request(cx, Method::PUT, &format!("posts/{id}/")).json(&change);
        let post = match self.call(cx, request).await {
            Err(error) if is_gone(&error) => return Err(no_draft()),
            other => only(other?)?,
        };
        if !post.is_out() {
            let says =
                format!("Ghost holds the article as `{}` for someone to look at.", post.status);
            return Err(Error::new(Class::Policy, says).code(post.status));
        }
        Ok(Published::Accepted(post.remote()))
    }

    async fn poll(&self, cx: &Context<'_>, _: &Rendition) -> Result<Polled, Error> {
        let Some(id) = cx.saved_str("post") else { return Ok(Polled::Gone(no_draft())) };
        match self.read(cx, &id).await {
            Ok(post) if post.is_out() => Ok(Polled::Published(post.remote())),
            Ok(_) => Ok(Polled::NotPublished),
            Err(error) if is_gone(&error) => Ok(Polled::Gone(no_draft())),
            Err(error) => Err(error),
        }
    }

    /// The pictures below the text are kept as they stand there; the first one is no part of it.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let path = path(remote_id)?;
        let read = request(cx, Method::GET, &path).query(&[("formats", "html")]);
        let there = only(self.call(cx, read).await.map_err(Error::harmless)?)?;
        let shown = there.html.unwrap_or_default();
        let pictures =
            parts_below(&shown, "<figure", "</figure>", out.media.len().saturating_sub(1));
        let (title, text) = title_and_text(out, TITLE_MAX);
        let mut html = paragraphs(without_closing_tags(&text));
        html.extend(pictures.into_iter().map(str::to_owned));
        let change = json!({
            "title": title,
            "html": html.join("\n"),
            "tags": tags(&text),
            "updated_at": there.updated_at,
        });
        let request = request(cx, Method::PUT, &path).query(&[("source", "html")]);
        let request = request.json(&json!({ "posts": [change] }));
        let post = only(self.call(cx, request).await?)?;
        Ok(Published::Accepted(post.remote()))
    }

    /// The pictures stay in the site's storage: other articles may show them by now.
    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let request = request(cx, Method::DELETE, &path(remote_id)?);
        let reply = self.send(cx, request).await?;
        match reply.ok().then_some(()).ok_or_else(|| self.parse_error(&reply)) {
            Err(error) if is_gone(&error) => Ok(()),
            other => other,
        }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let said = &body["errors"][0];
        let text = |name: &str| said[name].as_str().filter(|text| !text.is_empty());
        let kind = text("type").unwrap_or_default();
        // The context is the reason, the message what could not be done.
        let words = quote(text("context").or(text("message")).unwrap_or_default());
        let mut error = reply.error(SPEC.name);
        if let Some(code) = text("code").or(text("type")) {
            error = error.code(code);
        }
        match (kind, reply.status.as_u16()) {
            (_, 300..=399) => {
                let target = reply.header("location").and_then(|l| url::Url::parse(l).ok());
                let says = match target {
                    Some(to) => {
                        let to = to.origin().ascii_serialization();
                        format!("Ghost answers from {to}: enter that address.")
                    }
                    None => "Ghost answers from another address: enter that one.".to_owned(),
                };
                error.becomes(Class::Config, says)
            }
            ("", 404 | 405) => no_ghost().status(reply.status.as_u16()),
            ("", 401) => error.becomes(
                Class::Auth,
                "The web server asks for a password before Ghost is reached.",
            ),
            ("", 403) => error
                .becomes(Class::Policy, "A firewall before the Ghost site refused the request.")
                .code("firewall"),
            ("HostLimitError", _) => error
                .becomes(Class::Config, format!("The plan of this Ghost site is used up: {words}."))
                .action(Action::ActAtNetwork),
            ("UpdateCollisionError", _) | (_, 409) => {
                error.becomes(Class::Transient, "The article was changed in Ghost in this moment.")
            }
            (_, 401) => error.becomes(
                Class::Auth,
                "Ghost refuses the admin key, or the clocks of the two servers differ.",
            ),
            (_, 403) => error.becomes(
                Class::Auth,
                "The integration may not do this at Ghost: it needs an Admin API key.",
            ),
            (_, 404) => error.becomes(Class::Content, "Ghost does not know this article."),
            (_, 406) => error
                .becomes(Class::Config, "This version of Ghost is too old or too new.")
                .action(Action::AskOperator),
            (_, 413) => error.becomes(Class::Content, "A picture is too large for this Ghost."),
            (_, 415) => error.becomes(Class::Content, "Ghost takes no pictures of this type."),
            (_, 429) => error.becomes(Class::RateLimit, "Ghost asks for fewer calls."),
            (_, 400 | 422) if !words.is_empty() => {
                error.becomes(Class::Content, format!("Ghost refuses the article: {words}."))
            }
            _ => error,
        }
    }
}

impl Ghost {
    async fn send(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let request = request.header("authorization", format!("Ghost {}", token(cx)?));
        cx.http.send(request, cx.timeout).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        request: Request,
    ) -> Result<T, Error> {
        let reply = self.send(cx, request).await?;
        if reply.ok() { reply.json() } else { Err(self.parse_error(&reply)) }
    }

    async fn read(&self, cx: &Context<'_>, id: &str) -> Result<Post, Error> {
        let request = request(cx, Method::GET, &format!("posts/{id}/"))
            .query(&[("fields", "id,status,updated_at,url")]);
        only(self.call(cx, request).await?)
    }

    /// Where picture `i` is at the site, uploaded once.
    async fn upload(&self, cx: &Context<'_>, i: usize, media: &Media) -> Result<String, Error> {
        let name = format!("media:{i}");
        if let Some(url) = cx.saved_str(&name) {
            return Ok(url);
        }
        let form = Form::new().text("purpose", "image").part("file", media.part()?);
        let request = request(cx, Method::POST, "images/upload/").multipart(form);
        let Images { images } = self.call(cx, request).await?;
        let Some(image) = images.into_iter().next() else {
            return Err(Error::garbled("no picture").harmless());
        };
        cx.checkpoint(&name, image.url.clone()).await?;
        Ok(image.url)
    }

    /// The draft. A slug that is saved without an id is one whose answer may have been lost.
    async fn draft(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        images: &[String],
    ) -> Result<Post, Error> {
        let (title, text) = title_and_text(out, TITLE_MAX);
        let slug = cx.saved_str("slug").unwrap_or_else(|| slug(&title, &out.key));
        if cx.saved("slug").is_some() {
            let query = [("filter", format!("slug:{slug}")), ("limit", "1".to_owned())];
            let found = request(cx, Method::GET, "posts/").query(&query);
            let Posts { posts } = self.call(cx, found).await?;
            if let Some(post) = posts.into_iter().next() {
                return Ok(post);
            }
        } else {
            cx.checkpoint("slug", slug.clone()).await?;
        }
        let mut post = json!({
            "title": title,
            "slug": slug,
            "html": html(without_closing_tags(&text), &out.media, images),
            "status": "draft",
            "tags": tags(&text),
        });
        if let (Some(image), Some(media)) = (images.first(), out.media.first()) {
            post["feature_image"] = json!(image);
            let alt: String = media.alt.chars().take(COVER_ALT_MAX).collect();
            post["feature_image_alt"] = json!(alt);
        }
        let request = request(cx, Method::POST, "posts/").query(&[("source", "html")]);
        only(self.call(cx, request.json(&json!({ "posts": [post] }))).await?)
    }
}

/// Where an article is.
fn path(remote_id: &str) -> Result<String, Error> {
    if remote_id.is_empty() || !remote_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Error::new(Class::Content, "This is not the id of an article of Ghost."));
    }
    Ok(format!("posts/{remote_id}/"))
}

fn request(cx: &Context<'_>, method: Method, path: &str) -> Request {
    let request = cx.http.request(method, &format!("{}/ghost/api/admin/{path}", cx.base));
    request.header("accept-version", "v5.0")
}

/// A token of the admin key, for this moment.
fn token(cx: &Context<'_>) -> Result<String, Error> {
    let key = cx.account.secret("adminKey")?;
    let parts = key.reveal().trim().split_once(':');
    let parts = parts.and_then(|(id, secret)| Some((id, bytes(secret)?)));
    let (id, secret) = parts.filter(|(id, _)| bytes(id).is_some()).ok_or_else(|| {
        let says = "This is no admin key of Ghost: it is two long numbers with a colon between.";
        Error::new(Class::Config, says).code("bad_key")
    })?;
    let now = cx.now.div_euclid(1_000);
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": id });
    let claims = json!({ "iat": now, "exp": now + TOKEN_LIFE, "aud": "/admin/" });
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let token = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac_sha256(&secret, &[token.as_bytes()]));
    Ok(format!("{token}.{signature}"))
}

/// What hexadecimal digits stand for.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len() % 2 == 0)?;
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

/// The text, and below it the pictures behind the first, which is shown above.
fn html(text: &str, media: &[Media], images: &[String]) -> String {
    let mut html = paragraphs(text);
    html.extend(media.iter().zip(images).skip(1).map(|(media, url)| {
        format!("<figure><img src=\"{}\" alt=\"{}\"></figure>", escape(url), escape(&media.alt))
    }));
    html.join("\n")
}

fn only(posts: Posts) -> Result<Post, Error> {
    posts.posts.into_iter().next().ok_or_else(|| Error::garbled("no article"))
}

fn is_gone(error: &Error) -> bool {
    error.status == Some(404) && error.class == Class::Content
}

fn no_ghost() -> Error {
    Error::new(Class::Config, "There is no Ghost at this address.").code("no_ghost")
}

fn no_draft() -> Error {
    Error::new(Class::Transient, "The draft is not at Ghost; a new one is made.")
        .code("no_draft")
        .restart()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::{Account, Forgetful, Http, Secret};

    fn token_of(key: &str, now: i64) -> Result<String, Error> {
        let secrets = Mutex::new([("adminKey".to_owned(), Secret::new(key))].into());
        let account = Account { secrets, ..Account::default() };
        let http = Http::new(<_>::default());
        let second = Duration::from_secs(1);
        token(&Context::new(&http, &account, "", now, second, <_>::default(), &Forgetful))
    }

    #[test]
    fn a_token_is_made_of_the_key_and_the_moment() {
        let token = token_of("5f1e2d3c4b5a69788796a5b4:00ff10", 1_795_341_600_999).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let read = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(
            read(parts[0]),
            r#"{"alg":"HS256","typ":"JWT","kid":"5f1e2d3c4b5a69788796a5b4"}"#
        );
        assert_eq!(read(parts[1]), r#"{"iat":1795341600,"exp":1795341900,"aud":"/admin/"}"#);
        let signed = format!("{}.{}", parts[0], parts[1]);
        let expected = hmac_sha256(&[0, 255, 16], &[signed.as_bytes()]);
        assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap(), expected);
    }

    #[test]
    fn what_is_no_key_is_said_and_not_shown() {
        for bad in ["abc", "ab:", ":ab", "ab:xyz0", "ab:abc", "né:00", "ab:00:11"] {
            let error = token_of(bad, 0).unwrap_err();
            assert_eq!(error.class, Class::Config, "{bad}");
            assert!(!error.sentence.contains(bad), "{error}");
        }
    }
}
