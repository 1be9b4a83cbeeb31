//! LinkedIn, the versioned REST API, version 202609; checked 2026-11-22. A version lives a year.
//!
//! Keys: an app of linkedin.com/developers. "Share on LinkedIn" and "Sign in with LinkedIn using
//! OpenID Connect" are given to everybody and post as the member; pages need the Community
//! Management API, which LinkedIn approves. Tokens live 60 days, and only partners may renew them.
//!
//! There is no key of ours. Posts of a page can be listed; those of a member cannot (the right to
//! is closed), so after a lost answer a look says that it cannot tell. The same words soon after
//! are refused (422) with the name of the first post, which is then ours.
//!
//! Texts go as "little text": a `(` that is not escaped cuts the post off.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use crate::error::saying;
use crate::http::{Reply, Request};
use crate::oauth::{Life, OAuth, SecretIn, Target};
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, Text,
};
use crate::text::{hashtags, normalise};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Numbers, Prepared, Published, Remote,
    Rendition, SendClass, Spec, Window, numbers, poll,
};

pub struct LinkedIn;

const BASE: &str = "https://api.linkedin.com";
const VERSION: &str = "202609";

const TEXT: Text = Text {
    max: 3_000,
    count: Count::Chars,
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
    max: 20,
    types: &["image/jpeg", "image/png"],
    // The documents bound the pixels (36 million), not the bytes.
    max_bytes: 8 << 20,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 4_086,
    video: None,
};

const SEND: SendClass = SendClass::Readable { lag: Duration::from_secs(60) };

pub static SPEC: Spec = Spec {
    id: "linkedin",
    name: "LinkedIn",
    code: "LI",
    base_url: BASE,
    fields: &[
        Field {
            key: "accessToken",
            label: "Access token",
            help: "From the app's OAuth tools at linkedin.com/developers. It lives 60 days.",
            secret: true,
            required: true,
        },
        Field {
            key: "author",
            label: "Who posts",
            help: "A page, `urn:li:organization:…`; left empty, the member whose token it is.",
            secret: false,
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
            edit: Edit::Text,
            measures: &[
                Metric::Views,
                Metric::Reach,
                Metric::Likes,
                Metric::Comments,
                Metric::Shares,
                Metric::Clicks,
            ],
            text: TEXT,
            media: PICTURES,
            options: &[poll::answers(4, 30), poll::question(140), poll::open_for(poll::WHOLE_DAYS)],
        },
        Placement {
            id: "comment",
            name: "First comment",
            send: SEND,
            follows: &["feed"],
            in_budget: false,
            edit: Edit::Text,
            measures: &[],
            text: Text { max: 1_250, required: true, ..TEXT },
            media: MediaRule { max: 0, ..PICTURES },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(OAuth {
        authorize: "https://www.linkedin.com/oauth/v2/authorization",
        token: "https://www.linkedin.com/oauth/v2/accessToken",
        scopes: &[
            "openid",
            "profile",
            "w_member_social",
            "w_organization_social",
            "r_organization_social",
            "rw_organization_admin",
        ],
        reading: &["r_member_postAnalytics"],
        separator: ' ',
        pkce: false,
        id_param: "client_id",
        secret_in: SecretIn::Body,
        params: &[],
        guide: &[
            "Open linkedin.com/developers and make an app that belongs to your page.",
            "Under Products ask for Share on LinkedIn, Sign in with LinkedIn using OpenID Connect, and the Community Management API, and wait for its approval.",
            "Under Auth enter the address shown here as an authorized redirect URL.",
            "Copy the Client ID and the Primary Client Secret.",
        ],
    }),
    life: Life::Fixed,
    // A member's calls in a day; a post is one, each of its pictures two or more.
    budgets: &[Budget { posts: 100, per: Duration::from_secs(86_400), of: &[] }],
};

/// Most pages of a hundred that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 4;
const PAGE: usize = 100;
/// Between an upload and a post with it, where its state may not be read.
const SETTLING: i64 = 8_000;
/// Longest that a picture is waited for.
const GIVE_UP: i64 = 10 * 60_000;
/// What little text gives a meaning.
const RESERVED: &str = r"\|{}@[]()<>#*_~";
/// Roles that may post as a page.
const ROLES: [&str; 3] = ["ADMINISTRATOR", "CONTENT_ADMIN", "CONTENT_ADMINISTRATOR"];

#[derive(Deserialize)]
struct Member {
    sub: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Elements<T> {
    elements: Vec<T>,
}

#[derive(Deserialize)]
struct Role {
    role: String,
    #[serde(alias = "organizationTarget", alias = "organizationalTarget")]
    organization: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Organization {
    #[serde(default)]
    localized_name: String,
}

#[derive(Deserialize)]
struct Upload {
    value: UploadTo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UploadTo {
    upload_url: String,
    image: String,
}

#[derive(Deserialize)]
struct Image {
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    id: String,
    #[serde(default)]
    commentary: String,
    created_at: i64,
    #[serde(default)]
    content: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment {
    id: String,
    actor: String,
    created: Created,
    message: Message,
    parent_comment: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    time: i64,
}

#[derive(Deserialize)]
struct Message {
    text: String,
}

#[async_trait]
impl Network for LinkedIn {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let author = cx.account.setting("author").ok();
        let identity = |id: String, name| Identity {
            remote_id: id.clone(),
            name,
            settings: [("author".to_owned(), id)].into(),
        };
        match author {
            Some(page) if is_organization(page) => {
                if !may_post(&self.roles(cx).await?, page) {
                    let says = "The access token's member may not post as this page of LinkedIn.";
                    return Err(Error::new(Class::Auth, says).code("role"));
                }
                let name = self.name(cx, page).await?;
                Ok(identity(page.to_owned(), name))
            }
            _ => {
                let me = self.member(cx).await?;
                let own = format!("urn:li:person:{}", me.sub);
                if author.is_some_and(|author| author != own) {
                    let says = "Who posts on LinkedIn is neither the token's member nor a page.";
                    return Err(Error::new(Class::Config, says).code("author"));
                }
                Ok(identity(own, if me.name.is_empty() { me.sub } else { me.name }))
            }
        }
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        let author = self.author(cx).await?;
        for (i, media) in out.media.iter().enumerate() {
            if cx.saved(&image_name(i)).is_none() {
                self.upload(cx, &author, i, media).await?;
            }
        }
        for i in 0..out.media.len() {
            if let Some(again_in) = self.unready(cx, &author, i).await? {
                return Ok(Prepared::Processing { again_in });
            }
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let author = self.author(cx).await?;
        if out.placement == "comment" {
            let on = &out.follows()?.parent;
            let body = json!({ "actor": author, "object": on.id, "message": { "text": out.text } });
            let url = format!("{}/comments", self.social(cx, &on.id)?);
            let id = self.create(cx, cx.http.post(&url).json(&body)).await?;
            let id = id.rsplit([',', ':']).next().unwrap_or_default().trim_end_matches(')');
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Error::garbled("a comment without an id"));
            }
            return Ok(Published::Accepted(comment_on(on, id)));
        }
        let mut body = json!({
            "author": author,
            "commentary": little(&out.text),
            "visibility": "PUBLIC",
            "distribution": {
                "feedDistribution": "MAIN_FEED",
                "targetEntities": [],
                "thirdPartyDistributionChannels": [],
            },
            "lifecycleState": "PUBLISHED",
            "isReshareDisabledByAuthor": false,
        });
        let mut images = Vec::new();
        for (i, media) in out.media.iter().enumerate() {
            let id = cx.saved(&image_name(i)).and_then(|at| at["id"].as_str().map(str::to_owned));
            let Some(id) = id else {
                return Err(Error::new(Class::Transient, "The post is not prepared.").restart());
            };
            images.push(json!({ "id": id, "altText": media.alt }));
        }
        match images.as_slice() {
            [] => {}
            [one] => body["content"] = json!({ "media": one }),
            _ => body["content"] = json!({ "multiImage": { "images": images } }),
        }
        if let Some(poll) = out.poll()? {
            let answers: Vec<Value> = poll.answers.iter().map(|a| json!({ "text": a })).collect();
            body["content"] = json!({ "poll": {
                "question": poll.question.unwrap_or(&out.text),
                "options": answers,
                "settings": { "duration": duration(poll.minutes) },
            }});
        }
        let request = cx.http.post(&format!("{}/rest/posts", cx.base)).json(&body);
        let id = self.create(cx, request).await?;
        if !is_post(&id) {
            return Err(Error::garbled("a post without an id"));
        }
        Ok(Published::Accepted(post_of(id)))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let author = self.author(cx).await?;
        if !is_organization(&author) {
            let says = "LinkedIn does not let the posts of a member be read.";
            return Err(Error::new(Class::Transient, says).code("unreadable").action(Action::Look));
        }
        let inside = |at: i64| (window.since..=window.until).contains(&at);
        let wanted = normalise(&out.text);
        if out.placement == "comment" {
            let on = &out.follows()?.parent;
            let url = format!("{}/comments", self.social(cx, &on.id)?);
            // Their order is not documented: all of them are read.
            let all: Vec<Comment> = self.list(cx, &url, &[], |_: &Comment| false).await?;
            let ours = all.into_iter().filter(|comment| {
                inside(comment.created.time)
                    && comment.actor == author
                    && comment.parent_comment.is_none()
                    && normalise(&comment.message.text) == wanted
            });
            return Ok(ours.map(|comment| comment_on(on, &comment.id)).collect());
        }
        let url = format!("{}/rest/posts", cx.base);
        let query = [("q", "author"), ("author", &author), ("sortBy", "CREATED")];
        let older = |post: &Post| post.created_at < window.since;
        let all: Vec<Post> = self.list(cx, &url, &query, older).await?;
        let ours = all.into_iter().filter(|post| {
            inside(post.created_at)
                && pictures(&post.content) == out.media.len()
                && post.content["poll"].is_object() == out.asks()
                && normalise(&plain(&post.commentary)) == wanted
        });
        Ok(ours.map(|post| post_of(post.id)).collect())
    }

    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let (request, patch) = if is_post(remote_id) {
            let url = format!("{}/rest/posts/{}", cx.base, escaped(remote_id));
            (cx.http.post(&url), json!({ "$set": { "commentary": little(&out.text) } }))
        } else {
            let (on, id) = comment_parts(remote_id).ok_or_else(unknown)?;
            let author = self.author(cx).await?;
            let url = format!("{}/comments/{id}", self.social(cx, on)?);
            let patch = json!({ "message": { "$set": { "text": out.text } } });
            (cx.http.post(&url).query(&[("actor", author)]), patch)
        };
        let request = request.header("x-restli-method", "PARTIAL_UPDATE");
        // Answered without a body.
        let reply = self.call(cx, request.json(&json!({ "patch": patch }))).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        Ok(Published::Accepted(Remote { id: remote_id.to_owned(), url: None }))
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        placement: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        placement.measured()?;
        let (kind, list) = match remote_id.split(':').nth(2) {
            _ if !is_post(remote_id) => return Err(unknown()),
            Some("ugcPost") => ("ugc", "ugcPosts"),
            _ => ("share", "shares"),
        };
        let author = self.author(cx).await?;
        let told = match is_organization(&author) {
            true => self.page_numbers(cx, &author, list, remote_id).await,
            false => self.member_numbers(cx, kind, remote_id).await,
        };
        told.map_err(Error::harmless).map_err(|error| match error.status {
            Some(403) => numbers::ungranted(error, SPEC.name),
            Some(404 | 410) => numbers::gone(SPEC.name),
            _ => error,
        })
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let request = if is_post(remote_id) {
            cx.http.delete(&format!("{}/rest/posts/{}", cx.base, escaped(remote_id)))
        } else {
            let (on, id) = comment_parts(remote_id).ok_or_else(unknown)?;
            let author = self.author(cx).await?;
            let url = format!("{}/comments/{id}", self.social(cx, on)?);
            cx.http.delete(&url).query(&[("actor", author)])
        };
        let reply = self.call(cx, request).await?;
        let gone = matches!(reply.status.as_u16(), 404 | 410);
        if reply.ok() || gone { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    async fn targets(&self, cx: &Context<'_>) -> Result<Vec<Target>, Error> {
        let me = self.member(cx).await?;
        let target = |id: String, name: String, problem: Option<&str>| Target {
            settings: [("author".to_owned(), id.clone())].into(),
            id,
            name,
            problem: problem.map(str::to_owned),
            secrets: [].into(),
        };
        let mut all = vec![target(format!("urn:li:person:{}", me.sub), me.name, None)];
        let roles = match self.roles(cx).await {
            // The app may post as its members only.
            Err(error) if error.status == Some(403) => Vec::new(),
            other => other?,
        };
        let pages: BTreeSet<&str> = roles.iter().map(|role| role.organization.as_str()).collect();
        for page in pages {
            if is_organization(page) {
                let name = self.name(cx, page).await?;
                let problem = "Your role on this page does not let you post for it.";
                let problem = (!may_post(&roles, page)).then_some(problem);
                all.push(target(page.to_owned(), name, problem));
            }
        }
        Ok(all)
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let input = &body["errorDetails"]["inputErrors"][0];
        let of = |from: &Value, name: &str| from[name].as_str().unwrap_or_default().to_owned();
        let (message, code) = (of(&body, "message"), of(&body, "code"));
        let words = [of(input, "description"), message.clone(), of(&body, "error_description")];
        let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
        let codes = [of(input, "code"), code.clone(), body["serviceErrorCode"].to_string()];
        let known = codes.into_iter().find(|code| !code.is_empty() && code != "null");
        let has = |some: &str| format!("{message} {words}").to_lowercase().contains(some);
        let mut error = reply.error(SPEC.name);
        error.code = known;
        error.request_id = reply.header("x-li-uuid").map(str::to_owned).or(error.request_id);
        match reply.status.as_u16() {
            401 if code.contains("EXPIRED") => {
                error.becomes(Class::Auth, "The access token of LinkedIn has ended.")
            }
            401 => error.becomes(Class::Auth, "LinkedIn refuses the access token."),
            426 => error
                .becomes(
                    Class::Config,
                    "LinkedIn no longer speaks the version that Carillon asks for.",
                )
                .action(Action::AskOperator),
            // Seen right after an upload.
            403 if has("resource is forbidden") => {
                error.becomes(Class::Transient, "LinkedIn does not give a picture free yet.")
            }
            403 => error.becomes(
                Class::Auth,
                "The access token lacks a right, or its member a role on the page.",
            ),
            429 if has("day limit") || has("daily") => {
                let wait = until_midnight(reply).or(error.retry_after);
                error
                    .becomes(Class::Quota, "The calls that LinkedIn allows in a day are used up.")
                    .retry_after(wait)
            }
            400 | 409 | 422 if has("duplicate") => {
                let says = "LinkedIn says that it has a post with these very words.";
                let mut error = error.becomes(Class::Duplicate, says);
                error.existing = first_post(&message).or_else(|| first_post(&words));
                error
            }
            409 => error.becomes(Class::Transient, "LinkedIn asks to try again."),
            400 | 422 if has("processing") || has("not available") || has("not ready") => {
                error.becomes(Class::Transient, "LinkedIn still works on a picture.")
            }
            400 | 404 | 405 | 410 | 413 | 422 if !words.is_empty() => {
                error.becomes(Class::Content, saying("LinkedIn refuses the post", &words))
            }
            _ => error,
        }
    }
}

impl LinkedIn {
    /// Sends with the connection's token and the headers that every call needs.
    async fn call(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let token = cx.account.secret("accessToken")?;
        let request = request
            .header("linkedin-version", VERSION)
            .header("x-restli-protocol-version", "2.0.0")
            .bearer_auth(token.reveal());
        cx.http.send(request, cx.timeout).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        request: Request,
    ) -> Result<T, Error> {
        let reply = self.call(cx, request).await?;
        if reply.ok() { reply.json() } else { Err(self.parse_error(&reply)) }
    }

    /// Makes something whose id comes in a header, with an empty body.
    async fn create(&self, cx: &Context<'_>, request: Request) -> Result<String, Error> {
        let reply = self.call(cx, request).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let made = reply.header("x-restli-id").filter(|_| reply.status.as_u16() == 201);
        let nothing = || Error::garbled("no id").status(reply.status.as_u16());
        made.map(str::to_owned).ok_or_else(nothing)
    }

    /// Who posts: what is set, or the token's member.
    async fn author(&self, cx: &Context<'_>) -> Result<String, Error> {
        match cx.account.setting("author") {
            Ok(author) => Ok(author.to_owned()),
            Err(_) => {
                let me = self.member(cx).await.map_err(Error::harmless)?;
                Ok(format!("urn:li:person:{}", me.sub))
            }
        }
    }

    async fn member(&self, cx: &Context<'_>) -> Result<Member, Error> {
        self.read(cx, cx.http.get(&format!("{}/v2/userinfo", cx.base))).await
    }

    /// The pages on which the member has a role.
    async fn roles(&self, cx: &Context<'_>) -> Result<Vec<Role>, Error> {
        let url = format!("{}/rest/organizationAcls", cx.base);
        let query = [("q", "roleAssignee"), ("state", "APPROVED"), ("count", "100")];
        let page: Elements<Role> = self.read(cx, cx.http.get(&url).query(&query)).await?;
        Ok(page.elements)
    }

    async fn name(&self, cx: &Context<'_>, page: &str) -> Result<String, Error> {
        let id = page.trim_start_matches(ORGANIZATION);
        let url = format!("{}/rest/organizations/{}", cx.base, escaped(id));
        let page: Organization = self.read(cx, cx.http.get(&url)).await?;
        Ok(if page.localized_name.is_empty() { id.to_owned() } else { page.localized_name })
    }

    /// What people do to a post.
    fn social(&self, cx: &Context<'_>, on: &str) -> Result<String, Error> {
        if !is_post(on) {
            return Err(Error::new(Class::Content, "It follows something that is no post."));
        }
        Ok(format!("{}/rest/socialActions/{}", cx.base, escaped(on)))
    }

    async fn upload(
        &self,
        cx: &Context<'_>,
        author: &str,
        i: usize,
        media: &Media,
    ) -> Result<(), Error> {
        let url = format!("{}/rest/images?action=initializeUpload", cx.base);
        let body = json!({ "initializeUploadRequest": { "owner": author } });
        let Upload { value: to } = self.read(cx, cx.http.post(&url).json(&body)).await?;
        if !is_ours(&to.upload_url, cx.base) {
            return Err(Error::garbled("a strange address for uploads").harmless());
        }
        let request = cx.http.request(Method::PUT, &to.upload_url);
        let request = request.header("content-type", &media.content_type).body(media.data.clone());
        let reply = self.call(cx, request).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        cx.checkpoint(&image_name(i), json!({ "id": to.image, "at": cx.now })).await
    }

    /// How long to wait for picture `i`, if at all.
    async fn unready(
        &self,
        cx: &Context<'_>,
        author: &str,
        i: usize,
    ) -> Result<Option<Duration>, Error> {
        let Some(saved) = cx.saved(&image_name(i)).filter(|saved| saved["ready"].is_null()) else {
            return Ok(None);
        };
        let (id, at) = (saved["id"].as_str().unwrap_or_default(), saved["at"].as_i64());
        let age = cx.now - at.unwrap_or(cx.now);
        let status = if is_organization(author) {
            let url = format!("{}/rest/images/{}", cx.base, escaped(id));
            match self.read::<Image>(cx, cx.http.get(&url)).await {
                Ok(image) => image.status,
                Err(error) if error.status == Some(403) => by_time(age),
                Err(error) => return Err(error),
            }
        } else {
            // The right to read it is not given to members.
            by_time(age)
        };
        match status.as_str() {
            "AVAILABLE" => {
                let ready = json!({ "id": id, "at": at, "ready": true });
                cx.checkpoint(&image_name(i), ready).await?;
                Ok(None)
            }
            "PROCESSING_FAILED" => {
                let says = "LinkedIn could not use a picture.";
                Err(Error::new(Class::Content, says).code(status).restart())
            }
            _ if age > GIVE_UP => {
                let says = "LinkedIn did not finish a picture within ten minutes.";
                Err(Error::new(Class::Transient, says).code(status).restart())
            }
            _ => Ok(Some(Duration::from_secs(2))),
        }
    }

    /// A page's post: what there is in all. One that nothing has happened to is left out.
    async fn page_numbers(
        &self,
        cx: &Context<'_>,
        page: &str,
        list: &str,
        post: &str,
    ) -> Result<Numbers, Error> {
        // Brackets and commas of such a list stay as they are.
        let url = format!(
            "{}/rest/organizationalEntityShareStatistics?q=organizationalEntity\
             &organizationalEntity={}&{list}=List({})",
            cx.base,
            escaped(page),
            escaped(post),
        );
        let found: Elements<Value> = self.read(cx, cx.http.get(&url)).await?;
        let Some(told) = found.elements.first() else {
            let url = format!("{}/rest/posts/{}", cx.base, escaped(post));
            self.read::<Value>(cx, cx.http.get(&url)).await?;
            return Ok(Numbers::new());
        };
        Ok(numbers::read(
            &told["totalShareStatistics"],
            &[
                (Metric::Views, "/impressionCount"),
                (Metric::Reach, "/uniqueImpressionsCount"),
                (Metric::Likes, "/likeCount"),
                (Metric::Comments, "/commentCount"),
                (Metric::Shares, "/shareCount"),
                (Metric::Clicks, "/clickCount"),
            ],
        ))
    }

    /// A member's post: one question each.
    async fn member_numbers(
        &self,
        cx: &Context<'_>,
        kind: &str,
        post: &str,
    ) -> Result<Numbers, Error> {
        let mut told = Vec::new();
        for (metric, name) in [
            (Metric::Views, "IMPRESSION"),
            (Metric::Reach, "MEMBERS_REACHED"),
            (Metric::Likes, "REACTION"),
            (Metric::Comments, "COMMENT"),
            (Metric::Shares, "RESHARE"),
            (Metric::Clicks, "LINK_CLICKS"),
        ] {
            let url = format!(
                "{}/rest/memberCreatorPostAnalytics?q=entity&entity=({kind}:{})\
                 &queryType={name}&aggregation=TOTAL",
                cx.base,
                escaped(post),
            );
            let found: Elements<Value> = self.read(cx, cx.http.get(&url)).await?;
            let count = found.elements.first().and_then(|one| numbers::number(&one["count"]));
            told.extend(count.map(|count| (metric, count)));
        }
        Ok(numbers::sum(told))
    }

    /// Reads a listing until an item is older than what is looked for.
    async fn list<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        url: &str,
        query: &[(&str, &str)],
        older: impl Fn(&T) -> bool + Send + Sync,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        for page in 0..MAX_PAGES {
            let (start, count) = ((page * PAGE).to_string(), PAGE.to_string());
            let request = cx.http.get(url).query(query);
            let request = request.query(&[("start", &start), ("count", &count)]);
            let Elements { elements } = self.read::<Elements<T>>(cx, request).await?;
            let last = elements.len() < PAGE || elements.last().is_some_and(&older);
            all.extend(elements);
            if last {
                return Ok(all);
            }
        }
        let why = "There is too much on LinkedIn since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }
}

const ORGANIZATION: &str = "urn:li:organization:";

fn is_organization(urn: &str) -> bool {
    urn.strip_prefix(ORGANIZATION).is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_post(urn: &str) -> bool {
    let kinds = ["urn:li:share:", "urn:li:ugcPost:", "urn:li:activity:"];
    kinds.iter().any(|kind| urn.strip_prefix(kind).is_some_and(is_number))
}

fn may_post(roles: &[Role], page: &str) -> bool {
    roles.iter().any(|role| role.organization == page && ROLES.contains(&role.role.as_str()))
}

fn image_name(i: usize) -> String {
    format!("image:{i}")
}

fn by_time(age: i64) -> String {
    if age < SETTLING { "PROCESSING" } else { "AVAILABLE" }.to_owned()
}

fn escaped(part: &str) -> String {
    byte_serialize(part.as_bytes()).collect()
}

/// Only LinkedIn itself, or whatever stands in for it, is given the token.
fn is_ours(address: &str, base: &str) -> bool {
    let (Ok(address), Ok(base)) = (address.parse::<url::Url>(), base.parse::<url::Url>()) else {
        return false;
    };
    let own = |host: &str| host == "linkedin.com" || host.ends_with(".linkedin.com");
    address.origin() == base.origin()
        || (address.scheme() == "https" && address.host_str().is_some_and(own))
}

fn post_of(id: String) -> Remote {
    let url = Some(format!("https://www.linkedin.com/feed/update/{id}/"));
    Remote { id, url }
}

/// A comment has no page of its own. Its id names what it is on: both are needed to delete it.
fn comment_on(on: &Remote, id: &str) -> Remote {
    Remote { id: format!("urn:li:comment:({},{id})", on.id), url: on.url.clone() }
}

fn unknown() -> Error {
    Error::new(Class::Content, "This is not the id of a LinkedIn post.")
}

fn comment_parts(urn: &str) -> Option<(&str, &str)> {
    let parts = urn.strip_prefix("urn:li:comment:(")?.strip_suffix(')')?.split_once(',')?;
    (is_post(parts.0) && is_number(parts.1)).then_some(parts)
}

/// The first post that a sentence names.
fn first_post(words: &str) -> Option<String> {
    let mut from = 0;
    while let Some(at) = words[from..].find("urn:li:") {
        let rest = &words[from + at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == ':'));
        let urn = rest[..end.unwrap_or(rest.len())].trim_end_matches(':');
        if is_post(urn) {
            return Some(urn.to_owned());
        }
        from += at + "urn:li:".len();
    }
    None
}

/// How long a poll is open, of the four that there are.
fn duration(minutes: u32) -> &'static str {
    match minutes / (24 * 60) {
        0 | 1 => "ONE_DAY",
        2 | 3 => "THREE_DAYS",
        4..=7 => "SEVEN_DAYS",
        _ => "FOURTEEN_DAYS",
    }
}

/// How many pictures a post shows.
fn pictures(content: &Value) -> usize {
    match content["multiImage"]["images"].as_array() {
        Some(images) => images.len(),
        None => usize::from(content["media"]["id"].is_string()),
    }
}

/// Daily limits end at midnight in UTC.
fn until_midnight(reply: &Reply) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::parse(reply.header("date")?).ok()?.timestamp().as_second();
    u64::try_from(86_400 - date.rem_euclid(86_400)).ok().map(Duration::from_secs)
}

/// A text in LinkedIn's own markup, in which it means itself: hashtags as such, all else escaped.
fn little(text: &str) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len() + text.len() / 8), 0);
    for tag in hashtags(text) {
        let name = text[tag.clone()].strip_prefix('#').filter(|name| !name.contains('_'));
        let Some(name) = name else { continue };
        escape(&text[at..tag.start], &mut out);
        out.push_str(r"{hashtag|\#|");
        out.push_str(name);
        out.push('}');
        at = tag.end;
    }
    escape(&text[at..], &mut out);
    out
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        if RESERVED.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

/// The text that a post in LinkedIn's markup shows.
fn plain(little: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(little.len()), little);
    while let Some(c) = rest.chars().next() {
        let tag = rest.strip_prefix("{hashtag|").and_then(|tag| tag.split_once('}'));
        if let Some((tag, after)) = tag {
            let (mark, name) = tag.split_once('|').unwrap_or(("", tag));
            out.push_str(mark.trim_start_matches('\\'));
            out.push_str(&plain(name));
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let next = rest.chars().next().filter(|next| c == '\\' && RESERVED.contains(*next));
        out.push(next.unwrap_or(c));
        rest = &rest[next.map_or(0, char::len_utf8)..];
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::reply;

    #[test]
    fn all_that_has_a_meaning_is_escaped() {
        for (text, markup) in [
            ("Plain, 100%!", "Plain, 100%!"),
            ("Open (from 7) & [new]", r"Open \(from 7\) & \[new\]"),
            (r"a\b|c{d}e@f<g>h*i_j~k", r"a\\b\|c\{d\}e\@f\<g\>h\*i\_j\~k"),
            ("#Bread, #brot! #1", r"{hashtag|\#|Bread}, {hashtag|\#|brot}! \#1"),
            ("#a_b", r"\#a\_b"),
            ("https://a.io/x_(y)#top", r"https://a.io/x\_\(y\)\#top"),
            ("#日本語（パン）", r"{hashtag|\#|日本語}（パン）"),
        ] {
            assert_eq!(little(text), markup);
            assert_eq!(plain(markup), text);
        }
    }

    #[test]
    fn a_duplicate_names_the_first() {
        let said = |status, message: &str| {
            let body = json!({ "status": status, "message": message }).to_string();
            LinkedIn.parse_error(&reply(status, &[], &body))
        };
        let error = said(422, "Content is a duplicate of urn:li:share:7012345678901234567.");
        assert_eq!(error.class, Class::Duplicate);
        assert_eq!(error.existing.as_deref(), Some("urn:li:share:7012345678901234567"));
        let error = said(422, "Duplicate post of urn:li:person:abc is detected");
        assert_eq!((error.class, error.existing), (Class::Duplicate, None));
        let error = said(422, "urn:li:digitalmediaAsset:1: duplicate of (urn:li:ugcPost:12)");
        assert_eq!(error.existing.as_deref(), Some("urn:li:ugcPost:12"));
    }

    #[test]
    fn ids_are_urns() {
        assert!(is_post("urn:li:share:7012") && is_post("urn:li:ugcPost:1"));
        for bad in ["", "urn:li:share:", "urn:li:share:1/2", "urn:li:person:1", "7012"] {
            assert!(!is_post(bad), "{bad}");
        }
        let comment = "urn:li:comment:(urn:li:share:1,2)";
        assert_eq!(comment_parts(comment), Some(("urn:li:share:1", "2")));
        for bad in ["urn:li:comment:(urn:li:share:1,2", "urn:li:comment:(1,2)", "urn:li:comment:()"]
        {
            assert_eq!(comment_parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_token_goes_to_linkedin_only() {
        assert!(is_ours("https://www.linkedin.com/dms-uploads/x", BASE));
        assert!(is_ours("http://127.0.0.1:4000/linkedin/x", "http://127.0.0.1:4000/linkedin"));
        for bad in
            ["https://evil.example/", "http://www.linkedin.com/", "https://xlinkedin.com/", "x"]
        {
            assert!(!is_ours(bad, BASE), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn markup_shows_what_was_written(text in "[#@()\\[\\]{}|<>*_~\\\\ a-zé日.]{0,40}") {
            prop_assert_eq!(plain(&little(&text)), text);
        }

        #[test]
        fn any_markup_is_read(text in any::<String>()) {
            plain(&text);
            first_post(&text);
        }
    }
}
