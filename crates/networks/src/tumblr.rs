//! Tumblr API v2 with the Neue Post Format; checked 2026-11-22.
//!
//! Keys: an app at tumblr.com/oauth/apps with an OAuth2 redirect address; its consent page asks for
//! `basic`, `write` and `offline_access`. Access tokens last 42 minutes, refresh tokens work once.
//!
//! The draft is the handle: made first with everything in it, then published by one change of its
//! state. A published draft gets a new id; the old one answers 404 and stands on in the post's
//! `genesis_post_id`, which says for certain which post came of it. A change has to carry the
//! whole content again, pictures as the network named them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::quote;
use crate::http::{Reply, Request};
use crate::oauth::{Life, OAuth, SecretIn, Target};
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, Text,
};
use crate::text::{hashtags, normalise, urls};
use crate::words::{cut, told};
use crate::{
    Action, Class, Context, Error, Identity, Network, Numbers, Polled, Prepared, Published, Remote,
    Rendition, SendClass, Spec, numbers,
};

pub struct Tumblr;

/// Longest text of one block, in code points.
const BLOCK: usize = 4_096;
/// Most links and tags of one post.
const LINKS: usize = 100;
const TAGS: usize = 30;

pub static SPEC: Spec = Spec {
    id: "tumblr",
    name: "Tumblr",
    code: "TU",
    base_url: "https://api.tumblr.com",
    fields: &[
        Field {
            key: "blog",
            label: "Blog",
            help: "Its name, for example myshop of myshop.tumblr.com.",
            secret: false,
            required: true,
        },
        Field {
            key: "accessToken",
            label: "Access token",
            help: "From the consent page; it lasts 42 minutes.",
            secret: true,
            required: true,
        },
        Field {
            key: "refreshToken",
            label: "Refresh token",
            help: "Comes with the access token and brings the next one.",
            secret: true,
            required: false,
        },
    ],
    placements: &[Placement {
        id: "feed",
        name: "Post",
        send: SendClass::Handle,
        follows: &[],
        in_budget: true,
        edit: Edit::Text,
        measures: &[Metric::Likes, Metric::Shares],
        text: Text {
            // A post is at most 1 MB as it is stored; blocks and their formats need some of it.
            max: 800_000,
            count: Count::Chars,
            max_bytes: Some(800_000),
            max_with_media: None,
            question_max: None,
            max_hashtags: None,
            max_mentions: None,
            title_max: None,
            required: false,
        },
        media: MediaRule {
            min: 0,
            max: 30,
            types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
            max_bytes: 10 << 20,
            ratio: None,
            derivative: Derivative::Original,
            pull: false,
            alt_max: 4_096,
            video: None,
        },
        options: &[],
    }],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(OAuth {
        authorize: "https://www.tumblr.com/oauth2/authorize",
        token: "https://api.tumblr.com/v2/oauth2/token",
        scopes: &["basic", "write", "offline_access"],
        reading: &[],
        separator: ' ',
        pkce: false,
        id_param: "client_id",
        secret_in: SecretIn::Body,
        params: &[],
        guide: &[
            "Open tumblr.com/oauth/apps and register an application.",
            "Enter the redirect address of this installation as its OAuth2 redirect address.",
        ],
    }),
    life: Life::Rotating,
    budgets: &[Budget { posts: 250, per: Duration::from_secs(86_400), of: &[] }],
};

/// Posts on one page, and most pages that are read for the one that a draft became.
const PAGE: usize = 20;
const MAX_PAGES: usize = 5;
/// Between our clock and the network's, in ms.
const SLACK: i64 = 60_000;

#[derive(Deserialize)]
struct Answer<T> {
    response: T,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

#[derive(Deserialize)]
struct Info {
    user: User,
}

#[derive(Deserialize)]
struct User {
    blogs: Vec<Blog>,
}

#[derive(Deserialize)]
struct Blog {
    name: String,
    #[serde(default)]
    uuid: Option<String>,
    #[serde(default)]
    url: String,
}

#[derive(Deserialize)]
struct Draft {
    state: String,
    content: Vec<Value>,
}

#[derive(Deserialize)]
struct Posts {
    posts: Vec<Post>,
}

#[derive(Deserialize)]
struct Post {
    id_string: String,
    timestamp: i64,
    #[serde(default)]
    post_url: Option<String>,
    #[serde(default)]
    genesis_post_id: Option<String>,
    #[serde(default)]
    content: Vec<Value>,
}

#[async_trait]
impl Network for Tumblr {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let wanted = blog(cx)?;
        let blogs = self.blogs(cx).await?;
        let Some(found) = blogs.into_iter().find(|blog| blog.is(wanted)) else {
            let why = format!("This account of Tumblr has no blog “{wanted}” to post to.");
            return Err(Error::new(Class::Config, why).code("no_blog"));
        };
        let remote_id = found.uuid.unwrap_or_else(|| found.name.clone());
        Ok(Identity { remote_id, name: found.name, settings: BTreeMap::new() })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        let draft = match cx.saved_str("draft") {
            Some(id) => id,
            None => self.draft(cx, out).await?,
        };
        if !out.media.is_empty() && cx.saved("pictures").is_none() {
            let kept = match self.get::<Draft>(cx, &format!("posts/{draft}"), &[]).await {
                Err(e) if e.status == Some(404) => {
                    let why = "Somebody has deleted the draft at Tumblr.";
                    return Err(e.becomes(Class::Transient, why).restart());
                }
                kept => kept?,
            };
            let kept = kept.content.into_iter().filter(|block| block["type"] == "image");
            let pictures: Vec<Value> = kept.collect();
            if pictures.len() != out.media.len() {
                let why = "Tumblr has not kept every picture of the draft.";
                return Err(Error::new(Class::Transient, why).code("pictures").restart());
            }
            cx.checkpoint("pictures", pictures).await?;
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let pictures = match cx.saved("pictures") {
            Some(Value::Array(blocks)) => blocks,
            _ => Vec::new(),
        };
        let (Some(draft), true) = (cx.saved_str("draft"), pictures.len() == out.media.len()) else {
            return Err(Error::new(Class::Transient, "The post is not prepared.").restart());
        };
        let url = address(cx, &format!("posts/{draft}"))?;
        let body = body(&out.text, pictures, "published");
        let reply = self.call(cx, cx.http.request(reqwest::Method::PUT, &url).json(&body)).await?;
        if reply.status.as_u16() == 404 {
            // Deleted by hand, or published by a call of ours whose answer was lost.
            return Err(gone().status(404).restart());
        }
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        match reply.json::<Answer<Made>>()?.response.id {
            // Whether the post has kept the draft's id is to be seen.
            id if id == draft => Ok(Published::Processing { again_in: Duration::from_secs(1) }),
            id => Ok(Published::Accepted(remote(cx, id, None)?)),
        }
    }

    async fn poll(&self, cx: &Context<'_>, out: &Rendition) -> Result<Polled, Error> {
        let Some(id) = cx.saved_str("draft") else { return Ok(Polled::NotPublished) };
        let draft = match self.get::<Draft>(cx, &format!("posts/{id}"), &[]).await {
            Err(e) if e.status == Some(404) => None,
            draft => Some(draft?),
        };
        match draft.as_ref().map(|draft| draft.state.as_str()) {
            Some("published") => Ok(Polled::Published(remote(cx, id, None)?)),
            Some("draft") => Ok(Polled::NotPublished),
            Some(_) => Err(Error::garbled("a draft in a state of its own").harmless()),
            None => match self.became(cx, out, &id).await? {
                Some(post) => Ok(Polled::Published(post)),
                // Listings lag, and somebody may have deleted it.
                None => Err(gone()),
            },
        }
    }

    /// The pictures are named by the addresses at which the post has them.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        known(remote_id)?;
        let path = format!("posts/{remote_id}");
        let there = match self.get::<Draft>(cx, &path, &[]).await {
            Err(e) if e.status == Some(404) => return Err(not_there(e)),
            there => there?,
        };
        let pictures = there.content.into_iter().filter(|block| block["type"] == "image");
        let body = body(&out.text, pictures.collect(), "published");
        let reply = self.call(cx, cx.http.put(&address(cx, &path)?).json(&body)).await?;
        match reply.ok() {
            true => Ok(Published::Accepted(remote(cx, remote_id.to_owned(), None)?)),
            false if reply.status.as_u16() == 404 => Err(not_there(self.parse_error(&reply))),
            false => Err(self.parse_error(&reply)),
        }
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        known(remote_id)?;
        let query = [("id", remote_id), ("mode", "conversation")];
        let notes: Value = match self.get(cx, "notes", &query).await {
            Err(error) if error.status == Some(404) => return Err(numbers::gone(SPEC.name)),
            notes => notes?,
        };
        let told = [(Metric::Likes, "/total_likes"), (Metric::Shares, "/total_reblogs")];
        Ok(numbers::read(&notes, &told))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        known(remote_id)?;
        let request = cx.http.post(&address(cx, "post/delete")?).form(&[("id", remote_id)]);
        let reply = self.call(cx, request).await?;
        let gone = reply.status.as_u16() == 404;
        if reply.ok() || gone { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    async fn targets(&self, cx: &Context<'_>) -> Result<Vec<Target>, Error> {
        let target = |blog: Blog| Target {
            id: blog.uuid.unwrap_or_else(|| blog.name.clone()),
            settings: BTreeMap::from([("blog".to_owned(), blog.name.clone())]),
            name: blog.name,
            problem: None,
            secrets: BTreeMap::new(),
        };
        Ok(self.blogs(cx).await?.into_iter().map(target).collect())
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let first = &body["errors"][0];
        let code = first["code"].as_i64().filter(|code| *code > 0);
        let words = first["detail"].as_str().or(first["title"].as_str()).unwrap_or_default();
        let said = quote(words);
        let mut error = reply.error(SPEC.name);
        error.code = code.map(|code| code.to_string());
        match (reply.status.as_u16(), code) {
            (401, _) => error.becomes(Class::Auth, "Tumblr refuses the access token."),
            (403, Some(8004 | 8011)) => {
                error.becomes(Class::Quota, "Tumblr takes no more pictures or videos today.")
            }
            (403, Some(8022 | 8023)) => {
                error.becomes(Class::Quota, "The blog's daily limit of posts at Tumblr is reached.")
            }
            (403, Some(8010)) => {
                error.becomes(Class::Transient, "Tumblr still works on another video.")
            }
            (403, _) => error
                .becomes(Class::Auth, told("Tumblr does not let this account do that", &said))
                .action(Action::ActAtNetwork),
            (404, _) => {
                let why = "Tumblr does not know this blog, or no such post of it.";
                error.becomes(Class::Config, why)
            }
            (429, _) => {
                let wait = reset(reply).or(error.retry_after);
                error.becomes(Class::RateLimit, "Tumblr asks for fewer calls.").retry_after(wait)
            }
            (400 | 413 | 422, _) => {
                error.becomes(Class::Content, told("Tumblr refuses the post", &said))
            }
            _ => error,
        }
    }
}

fn known(remote_id: &str) -> Result<(), Error> {
    if !remote_id.is_empty() && remote_id.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(Error::new(Class::Content, "This is not the id of a Tumblr post."))
}

fn not_there(error: Error) -> Error {
    error.becomes(Class::Content, "Tumblr does not have this post any more.")
}

impl Tumblr {
    async fn call(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let token = cx.account.secret("accessToken")?;
        cx.http.send(request.bearer_auth(token.reveal()), cx.timeout).await
    }

    /// Reads something of the blog.
    async fn get<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        self.answer(cx, cx.http.get(&address(cx, path)?).query(query)).await
    }

    /// The answer to a call that shows nothing to anybody.
    async fn answer<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        request: Request,
    ) -> Result<T, Error> {
        let reply = self.call(cx, request).await.map_err(Error::harmless)?;
        match reply.ok() {
            true => Ok(reply.json::<Answer<T>>().map_err(Error::harmless)?.response),
            false => Err(self.parse_error(&reply).harmless()),
        }
    }

    /// The blogs that the account may post to.
    async fn blogs(&self, cx: &Context<'_>) -> Result<Vec<Blog>, Error> {
        let request = cx.http.get(&format!("{}/v2/user/info", cx.base));
        Ok(self.answer::<Info>(cx, request).await?.user.blogs)
    }

    /// Makes the draft and keeps its id.
    async fn draft(&self, cx: &Context<'_>, out: &Rendition) -> Result<String, Error> {
        let request = cx.http.post(&address(cx, "posts")?);
        let pictures = out.media.iter().enumerate().map(|(i, media)| {
            let file = json!({
                "type": media.content_type,
                "identifier": part_name(i),
                "width": media.width,
                "height": media.height,
            });
            json!({ "type": "image", "media": [file], "alt_text": media.alt })
        });
        let body = body(&out.text, pictures.collect(), "draft");
        let request = if out.media.is_empty() {
            request.json(&body)
        } else {
            let json = Part::text(body.to_string()).mime_str("application/json");
            let json = json.map_err(|_| Error::unsupported("multipart form"))?;
            let mut form = Form::new().part("json", json);
            for (i, media) in out.media.iter().enumerate() {
                form = form.part(part_name(i), media.part()?);
            }
            request.multipart(form)
        };
        let made: Made = self.answer(cx, request).await?;
        cx.checkpoint("draft", made.id.as_str()).await?;
        Ok(made.id)
    }

    /// The post that a draft became: it names the draft, or, where the network leaves that out, it
    /// was published since and shows the same.
    async fn became(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        draft: &str,
    ) -> Result<Option<Remote>, Error> {
        let since = (out.created_at - SLACK).div_euclid(1_000);
        let text = comparable(&text_blocks(&out.text));
        let mut alike: Vec<Post> = Vec::new();
        for page in 0..MAX_PAGES {
            let offset = (page * PAGE).to_string();
            let query = [("npf", "true"), ("limit", "20"), ("offset", &offset)];
            let Posts { posts } = self.get(cx, "posts", &query).await?;
            let enough = posts.len() < PAGE || posts.iter().all(|post| post.timestamp < since);
            for post in posts {
                let same = |post: &Post| {
                    let is = |kind| post.content.iter().filter(|b| b["type"] == kind).count();
                    post.timestamp >= since
                        && is("image") == out.media.len()
                        && comparable(&post.content) == text
                };
                match post.genesis_post_id.as_deref() {
                    Some(genesis) if genesis == draft => {
                        return remote(cx, post.id_string, post.post_url).map(Some);
                    }
                    None if same(&post) => {
                        // A post that appears meanwhile moves the others to the next page.
                        alike.retain(|known| known.id_string != post.id_string);
                        alike.push(post);
                    }
                    _ => {}
                }
            }
            if enough {
                break;
            }
        }
        match alike.pop() {
            Some(one) if alike.is_empty() => remote(cx, one.id_string, one.post_url).map(Some),
            _ => Ok(None),
        }
    }
}

impl Blog {
    /// Is it meant by this name, host or id?
    fn is(&self, wanted: &str) -> bool {
        let url = self.url.parse::<url::Url>().ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        let short = wanted.strip_suffix(".tumblr.com").unwrap_or(wanted);
        self.name.eq_ignore_ascii_case(short)
            || host.eq_ignore_ascii_case(wanted)
            || self.uuid.as_deref() == Some(wanted)
    }
}

/// The blog as the connection names it, which goes into paths.
fn blog<'c>(cx: &'c Context<'_>) -> Result<&'c str, Error> {
    let name = cx.account.setting("blog")?;
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    match name.bytes().all(letters) && !name.starts_with('.') {
        true => Ok(name),
        false => Err(Error::new(Class::Config, "This is not the name of a Tumblr blog.")),
    }
}

fn address(cx: &Context<'_>, path: &str) -> Result<String, Error> {
    Ok(format!("{}/v2/blog/{}/{path}", cx.base, blog(cx)?))
}

/// A post's parameters; pictures stand above the text.
fn body(text: &str, pictures: Vec<Value>, state: &str) -> Value {
    let mut content = pictures;
    content.extend(text_blocks(text));
    let mut body = json!({ "content": content, "state": state });
    let mut tags = Vec::<&str>::new();
    for range in hashtags(text) {
        let tag = text[range].trim_start_matches(['#', '＃']);
        if tags.len() < TAGS && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    if !tags.is_empty() {
        body["tags"] = json!(tags.join(","));
    }
    body
}

/// The text as blocks, one a paragraph; too long ones are cut where words end.
fn text_blocks(text: &str) -> Vec<Value> {
    let text = text.replace("\r\n", "\n");
    let (mut blocks, mut links) = (Vec::new(), 0);
    for paragraph in text.split("\n\n").map(str::trim).filter(|p| !p.is_empty()) {
        let mut rest = paragraph;
        while !rest.is_empty() {
            let piece = cut(rest, BLOCK);
            let whole = piece.len() == rest.len();
            let end = piece.rfind(char::is_whitespace).filter(|at| !whole && *at > 0);
            let piece = &rest[..end.unwrap_or(piece.len())];
            blocks.push(text_block(piece.trim_end(), &mut links));
            rest = rest[piece.len()..].trim_start();
        }
    }
    blocks
}

/// One block, with its links marked; places are counted in code points.
fn text_block(text: &str, links: &mut usize) -> Value {
    let chars = |at: usize| text[..at].chars().count();
    let mut marks = Vec::new();
    for range in urls(text) {
        if *links < LINKS {
            *links += 1;
            let (start, end) = (chars(range.start), chars(range.end));
            marks.push(json!({ "type": "link", "start": start, "end": end, "url": text[range] }));
        }
    }
    match marks.is_empty() {
        true => json!({ "type": "text", "text": text }),
        false => json!({ "type": "text", "text": text, "formatting": marks }),
    }
}

/// The text of a post's blocks as both sides have it.
fn comparable(content: &[Value]) -> String {
    let texts = content.iter().filter(|block| block["type"] == "text");
    let texts: Vec<&str> = texts.filter_map(|block| block["text"].as_str()).collect();
    normalise(&texts.join("\n"))
}

fn part_name(i: usize) -> String {
    format!("picture{i}")
}

/// The draft is no longer there, and no post that came of it was found.
fn gone() -> Error {
    let why = "Tumblr no longer has the draft, and no post that came of it was found.";
    Error::new(Class::Transient, why).code("draft_gone").action(Action::Look).maybe_applied()
}

/// Seconds until the limit that was hit ends: the day's, or the hour's.
fn reset(reply: &Reply) -> Option<Duration> {
    let number = |name: &str| reply.header(name)?.trim().parse::<u64>().ok();
    let day = number("x-ratelimit-perday-remaining") == Some(0);
    let left = if day { "x-ratelimit-perday-reset" } else { "x-ratelimit-perhour-reset" };
    Some(Duration::from_secs(number(left)?.min(86_400)))
}

/// The post with its page. The local stand-in has pages of its own.
fn remote(cx: &Context<'_>, id: String, page: Option<String>) -> Result<Remote, Error> {
    let url = match (cx.base.strip_suffix("/tumblr"), page) {
        (_, Some(page)) => page,
        (Some(origin), None) => format!("{origin}/posts/tumblr/{id}"),
        (None, None) => {
            let name = blog(cx)?;
            let name = name.strip_suffix(".tumblr.com").unwrap_or(name);
            format!("https://www.tumblr.com/{name}/{id}")
        }
    };
    Ok(Remote { id, url: Some(url) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let of = |block: &Value| block["text"].as_str().unwrap().to_owned();
        text_blocks(text).iter().map(of).collect()
    }

    #[test]
    fn a_text_is_cut_into_blocks_at_paragraphs_and_words() {
        assert_eq!(texts(" One\r\n\r\n\nTwo\nlines \n\n \n\n"), ["One", "Two\nlines"]);
        assert!(texts(" \n\n ").is_empty());
        let words = "wörter ".repeat(1_200);
        let blocks = texts(&words);
        assert!(blocks.iter().all(|b| b.chars().count() <= BLOCK && b.ends_with("wörter")));
        assert_eq!(blocks.join(" "), words.trim());
        let glued = texts(&"ä".repeat(BLOCK + 1));
        assert_eq!(glued.iter().map(|b| b.chars().count()).collect::<Vec<_>>(), [BLOCK, 1]);
        let exact = texts(&"ä".repeat(BLOCK));
        assert_eq!(exact.len(), 1);
    }

    #[test]
    fn links_are_marked_in_code_points_and_tags_are_taken_over() {
        let body = body("👩‍👧 see https://a.example/ä, #Brot #Brot ＃läuten", vec![], "draft");
        let mark = &body["content"][0]["formatting"][0];
        assert_eq!((&mark["start"], &mark["end"]), (&json!(8), &json!(27)));
        assert_eq!(mark["url"], "https://a.example/ä");
        assert_eq!(body["tags"], "Brot,läuten");
        assert!(super::body("nothing", vec![], "draft").get("tags").is_none());
        let many = "https://a.example ".repeat(LINKS + 5);
        let marks = |block: &Value| block["formatting"].as_array().map_or(0, Vec::len);
        assert_eq!(text_blocks(&many).iter().map(marks).sum::<usize>(), LINKS);
    }

    #[test]
    fn a_blog_is_known_by_name_host_and_id() {
        let blog = Blog {
            name: "myshop".to_owned(),
            uuid: Some("t:0aY0xL2Fi1OFJg4YxpmegQ".to_owned()),
            url: "https://www.shop.example/".to_owned(),
        };
        for name in ["MyShop", "myshop.tumblr.com", "www.shop.example", "t:0aY0xL2Fi1OFJg4YxpmegQ"]
        {
            assert!(blog.is(name), "{name}");
        }
        assert!(!blog.is("shop") && !blog.is("") && !blog.is("other.tumblr.com"));
    }
}
