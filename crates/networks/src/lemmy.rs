//! Lemmy 0.19 and what speaks its API v3 (1.0 keeps it beside its own); checked 2026-11-22 against
//! the source of 0.19.20.
//!
//! Keys: a user name and a password, or the `jwt` of a session, which an account with a second
//! factor needs. Sessions do not end by themselves and log-ins are few (a handful an hour), so the
//! one that a log-in brings is kept as the secret `session` and renewed when it is refused.
//!
//! Nothing protects against a second post: the account's own are read. Lemmy changes what it is
//! given: tracking leaves links, pictures of elsewhere may be proxied, words on the server's list
//! become `*removed*`. A token that it does not know it takes for nobody, and says nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::Form;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::article::{picture, pictures_below, title_and_text};
use crate::error::quote;
use crate::http::{Reply, Request};
use crate::oauth::Life;
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, SendClass,
    Spec, Text,
};
use crate::text::{normalise, urls};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Numbers, Prepared, Published, Remote,
    Rendition, Secret, Window, numbers,
};

pub struct Lemmy;

const TITLE_MAX: usize = 200;
const LINK_MAX: usize = 2_000;

pub static SPEC: Spec = Spec {
    id: "lemmy",
    name: "Lemmy",
    code: "LE",
    base_url: "",
    fields: &[
        Field {
            key: "server",
            label: "Server",
            help: "Where the account lives, for example https://lemmy.world.",
            secret: false,
            required: true,
        },
        Field {
            key: "community",
            label: "Community",
            help: "Where posts go, for example bakery, or bakery@lemmy.world if it is elsewhere.",
            secret: false,
            required: true,
        },
        Field {
            key: "username",
            label: "User name",
            help: "The name or the mail address that you sign in with.",
            secret: false,
            required: true,
        },
        Field {
            key: "password",
            label: "Password",
            help: "The one that you sign in with; leave it empty if you enter a session.",
            secret: true,
            required: false,
        },
        Field {
            key: "jwt",
            label: "Session",
            help: "Instead of a password: the value of the cookie `jwt` of a signed-in browser.",
            secret: true,
            required: false,
        },
    ],
    placements: &[Placement {
        id: "feed",
        name: "Post",
        send: SendClass::Readable { lag: Duration::from_secs(60) },
        follows: &[],
        in_budget: true,
        edit: Edit::TitleAndText,
        measures: &[Metric::Likes, Metric::Comments],
        text: Text {
            max: 50_000,
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
            max: 10,
            types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
            max_bytes: 10 << 20,
            ratio: None,
            derivative: Derivative::Original,
            pull: false,
            alt_max: 1_500,
            video: None,
        },
        options: &[],
    }],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: None,
    life: Life::Endless,
    // What a server allows as it is installed.
    budgets: &[Budget { posts: 6, per: Duration::from_secs(600), of: &[] }],
};

/// Posts on one page, which is the most that there is.
const PER_PAGE: usize = 50;
/// Most pages that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 5;
/// What stands where a word of the server's list was.
const REMOVED: &str = "*removed*";

#[derive(Deserialize)]
struct Login {
    jwt: Option<String>,
}

#[derive(Deserialize)]
struct Site {
    my_user: Option<MyUser>,
}

#[derive(Deserialize)]
struct MyUser {
    local_user_view: LocalUserView,
}

#[derive(Deserialize)]
struct LocalUserView {
    person: Person,
}

#[derive(Deserialize)]
struct Person {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Communities {
    community_view: CommunityView,
    #[serde(default)]
    moderators: Vec<Moderator>,
}

#[derive(Deserialize)]
struct CommunityView {
    community: Community,
    #[serde(default)]
    banned_from_community: bool,
}

#[derive(Deserialize)]
struct Community {
    id: u64,
    name: String,
    #[serde(default)]
    removed: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    posting_restricted_to_mods: bool,
}

#[derive(Deserialize)]
struct Moderator {
    moderator: Person,
}

#[derive(Deserialize)]
struct Uploaded {
    #[serde(default)]
    files: Option<Vec<File>>,
}

#[derive(Deserialize)]
struct File {
    file: String,
}

#[derive(Deserialize)]
struct Created {
    post_view: PostView,
}

#[derive(Deserialize)]
struct Posts {
    posts: Vec<PostView>,
}

#[derive(Deserialize)]
struct PostView {
    post: Post,
}

#[derive(Deserialize)]
struct Post {
    id: u64,
    ap_id: String,
    name: String,
    community_id: u64,
    creator_id: u64,
    published: jiff::Timestamp,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    removed: bool,
    #[serde(default)]
    deleted: bool,
}

impl From<Post> for Remote {
    fn from(post: Post) -> Self {
        Self { id: post.id.to_string(), url: Some(post.ap_id) }
    }
}

/// A post as it is sent.
struct Draft {
    name: String,
    body: String,
    /// A picture, or else the first link of the text.
    url: Option<String>,
    alt: String,
}

#[async_trait]
impl Network for Lemmy {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        cx.account.setting("username")?;
        cx.account.setting("community")?;
        let me = self.me(cx).await?;
        let found = self.community(cx).await?;
        let Communities {
            community_view: CommunityView { community, banned_from_community }, ..
        } = &found;
        let refuse = |class, says: &str| {
            let says = format!("The Lemmy community “{}” {says}.", community.name);
            Err(Error::new(class, says).code("community").action(Action::ActAtNetwork))
        };
        if community.removed || community.deleted {
            return refuse(Class::Config, "is closed");
        }
        if *banned_from_community {
            return refuse(Class::Auth, "has banned the account");
        }
        let moderates = found.moderators.iter().any(|m| m.moderator.id == me.id);
        if community.posting_restricted_to_mods && !moderates {
            return refuse(Class::Auth, "takes posts of its moderators only");
        }
        let settings = BTreeMap::from([("communityId".to_owned(), community.id.to_string())]);
        Ok(Identity {
            // The account in this place: it may post to others through connections of their own.
            remote_id: format!("{}/{}", me.id, community.id),
            name: format!("{} in {}", me.name, community.name),
            settings,
        })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        for (i, media) in out.media.iter().enumerate() {
            if cx.saved(&media_name(i)).is_none() {
                self.upload(cx, i, media).await?;
            }
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let community = self.community_id(cx).await.map_err(Error::harmless)?;
        let draft = draft(cx, out)?;
        let mut body = json!({ "name": draft.name, "community_id": community });
        for (name, value) in [
            ("body", Some(&draft.body)),
            ("url", draft.url.as_ref()),
            ("alt_text", Some(&draft.alt)),
        ] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                body[name] = json!(value);
            }
        }
        let url = format!("{}/api/v3/post", cx.base);
        let reply = self.call(cx, || Ok(cx.http.post(&url).json(&body))).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        Ok(Published::Accepted(reply.json::<Created>()?.post_view.post.into()))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        // A session that has ended would see what everybody sees, which may be less.
        let me = self.me(cx).await?;
        let community = self.community_id(cx).await?;
        let draft = draft(cx, out)?;
        let url = format!("{}/api/v3/user", cx.base);
        let mut found = Vec::new();
        for page in 1..=MAX_PAGES {
            let query = [
                ("person_id", me.id.to_string()),
                ("sort", "New".to_owned()),
                ("limit", PER_PAGE.to_string()),
                ("page", page.to_string()),
            ];
            let reply = self.call(cx, || Ok(cx.http.get(&url).query(&query))).await?;
            if !reply.ok() {
                return Err(self.parse_error(&reply));
            }
            let Posts { posts } = reply.json()?;
            let at = |post: &Post| post.published.as_millisecond();
            let enough =
                posts.len() < PER_PAGE || posts.iter().any(|view| at(&view.post) < window.since);
            let ours = posts.into_iter().map(|view| view.post).filter(|post| {
                (window.since..=window.until).contains(&at(post))
                    && !post.deleted
                    && !post.removed
                    && post.creator_id == me.id
                    && post.community_id == community
                    && draft.is(post, !out.media.is_empty())
            });
            found.extend(ours.map(Remote::from));
            if enough {
                return Ok(found);
            }
        }
        let why = "The account has posted too much since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    /// A picture that is the post's link stays; without one the link is the text's first.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let id = number(remote_id)?;
        let url = format!("{}/api/v3/post", cx.base);
        let query = [("id", id.to_string())];
        let reply = self.call(cx, || Ok(cx.http.get(&url).query(&query))).await;
        let reply = reply.map_err(Error::harmless)?;
        if !reply.ok() {
            let error = self.parse_error(&reply).harmless();
            let gone = matches!(code(&reply).as_str(), "couldnt_find_post" | "not_found");
            return Err(if gone { not_there(error) } else { error });
        }
        let there = reply.json::<Created>().map_err(Error::harmless)?.post_view.post;
        if there.deleted || there.removed {
            return Err(not_there(Error::new(Class::Content, "")));
        }
        let below = there.body.unwrap_or_default();
        let pictures = pictures_below(&below, out.media.len().saturating_sub(1));
        let (name, text) = title_and_text(out, TITLE_MAX);
        let parts: Vec<&str> = std::iter::once(text.as_str()).chain(pictures).collect();
        let mut change = json!({ "post_id": id, "name": name, "body": parts.join("\n\n").trim() });
        if out.media.is_empty() {
            change["url"] = json!(first_link(&out.text).unwrap_or_default());
        }
        let reply = self.call(cx, || Ok(cx.http.put(&url).json(&change))).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        Ok(Published::Accepted(reply.json::<Created>()?.post_view.post.into()))
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        let query = [("id", number(remote_id)?.to_string())];
        let url = format!("{}/api/v3/post", cx.base);
        let reply = self.call(cx, || Ok(cx.http.get(&url).query(&query))).await;
        let reply = reply.map_err(Error::harmless)?;
        if !reply.ok() {
            let gone = matches!(code(&reply).as_str(), "couldnt_find_post" | "not_found");
            let error = self.parse_error(&reply).harmless();
            return Err(if gone { numbers::gone(SPEC.name) } else { error });
        }
        let answer: Value = reply.json().map_err(Error::harmless)?;
        let view = &answer["post_view"];
        if view["post"]["deleted"] == true || view["post"]["removed"] == true {
            return Err(numbers::gone(SPEC.name));
        }
        let told = [(Metric::Likes, "/counts/upvotes"), (Metric::Comments, "/counts/comments")];
        Ok(numbers::read(view, &told))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let id = number(remote_id)?;
        let url = format!("{}/api/v3/post/delete", cx.base);
        let body = json!({ "post_id": id, "deleted": true });
        let reply = self.call(cx, || Ok(cx.http.post(&url).json(&body))).await?;
        // It could not be updated: it is deleted already.
        let gone = matches!(
            code(&reply).as_str(),
            "couldnt_find_post" | "couldnt_update_post" | "not_found"
        );
        if reply.ok() || gone { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let (code, body) = (code(reply), reply.value());
        let said = quote(body["message"].as_str().or(body["msg"].as_str()).unwrap_or_default());
        let mut error = reply.error(SPEC.name);
        if !code.is_empty() {
            error = error.code(&code);
        }
        let at_network = |error: Error| error.action(Action::ActAtNetwork);
        match (code.as_str(), reply.status.as_u16()) {
            ("incorrect_login" | "not_logged_in", _) => error
                .becomes(Class::Auth, "Lemmy refuses the user name, the password or the session."),
            ("missing_totp_token" | "incorrect_totp_token", _) => error.becomes(
                Class::Auth,
                "Lemmy asks for a second factor: enter a session instead of the password.",
            ),
            (
                "email_not_verified" | "registration_denied" | "deleted" | "instance_is_private",
                _,
            ) => at_network(error.becomes(Class::Auth, "The Lemmy account is not open for use.")),
            ("site_ban" | "banned" | "registration_application_is_pending", _) => at_network(
                error.becomes(Class::Policy, "The Lemmy server does not let this account post."),
            ),
            ("person_is_banned_from_community" | "banned_from_community", _) => at_network(
                error.becomes(Class::Policy, "The account is banned from the Lemmy community."),
            ),
            ("slurs", _) => {
                error.becomes(Class::Policy, "The title has a word that the Lemmy server refuses.")
            }
            ("blocked_url" | "domain_blocked", _) => {
                error.becomes(Class::Policy, "The Lemmy server refuses a link of the post.")
            }
            ("couldnt_find_community" | "invalid_community", _)
            | ("cannot_create_post_or_comment_in_deleted_or_removed_community", _) => {
                error.becomes(Class::Config, "Lemmy has no such community, or it is closed.")
            }
            ("rate_limit_error" | "too_many_requests", _) | (_, 429) => {
                error.becomes(Class::RateLimit, "The Lemmy server asks for fewer posts.")
            }
            // All of these come after the post was stored, or may.
            (
                "couldnt_like_post" | "couldnt_mark_post_as_read" | "couldnt_find_post" | "unknown",
                _,
            )
            | ("", 422) => error
                .becomes(Class::Transient, "Lemmy did not finish what it was asked for.")
                .maybe_applied(),
            ("couldnt_create_post" | "pictrs_response_error", _) => {
                error.becomes(Class::Transient, "Lemmy could not store it at the moment.")
            }
            ("invalid_post_title" | "post_title_too_long", _) => {
                error.becomes(Class::Content, "Lemmy takes titles of 3 to 200 characters.")
            }
            ("only_mods_can_post_in_community", _) => at_network(
                error.becomes(Class::Content, "Only moderators post in this Lemmy community."),
            ),
            ("", 404 | 405) => {
                error.becomes(Class::Config, "There is no Lemmy server at this address.")
            }
            ("", 403) => error
                .becomes(Class::Policy, "A firewall before the Lemmy server refused the request.")
                .code("firewall"),
            ("", 400) if !said.is_empty() => {
                error.becomes(Class::Content, format!("Lemmy refuses a picture: {said}."))
            }
            (code, 400..=499) if !code.is_empty() => {
                let words = quote(&code.replace('_', " "));
                error.becomes(Class::Content, format!("Lemmy refuses the post: {words}."))
            }
            _ => error,
        }
    }
}

impl Lemmy {
    /// One request with the session. A stale one is renewed once and the request sent again, which
    /// is safe because the refusal was definite.
    async fn call(
        &self,
        cx: &Context<'_>,
        request: impl Fn() -> Result<Request, Error> + Send + Sync,
    ) -> Result<Reply, Error> {
        if let Some(token) = session(cx) {
            let reply = cx.http.send(request()?.bearer_auth(token.reveal()), cx.timeout).await?;
            let stale = matches!(code(&reply).as_str(), "incorrect_login" | "not_logged_in");
            if !stale || cx.account.secret("password").is_err() {
                return Ok(reply);
            }
        }
        let token = self.log_in(cx).await.map_err(Error::harmless)?;
        cx.http.send(request()?.bearer_auth(token.reveal()), cx.timeout).await
    }

    async fn log_in(&self, cx: &Context<'_>) -> Result<Secret, Error> {
        let password = cx.account.secret("password")?;
        let body = json!({
            "username_or_email": cx.account.setting("username")?.trim_start_matches('@'),
            "password": password.reveal(),
        });
        let url = format!("{}/api/v3/user/login", cx.base);
        let reply = cx.http.send(cx.http.post(&url).json(&body), cx.timeout).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let Some(jwt) = reply.json::<Login>()?.jwt.filter(|jwt| !jwt.is_empty()) else {
            return Err(Error::new(Class::Auth, "The Lemmy account is not open for use.")
                .action(Action::ActAtNetwork));
        };
        let token = Secret::new(jwt);
        cx.renew(BTreeMap::from([("session".to_owned(), token.clone())])).await?;
        Ok(token)
    }

    /// Who the session belongs to. One that Lemmy does not know is nobody's, and no error.
    async fn me(&self, cx: &Context<'_>) -> Result<Person, Error> {
        let url = format!("{}/api/v3/site", cx.base);
        let ask = || Ok(cx.http.get(&url));
        for _ in 0..2 {
            let reply = self.call(cx, ask).await?;
            if !reply.ok() {
                return Err(self.parse_error(&reply));
            }
            if let Some(me) = reply.json::<Site>()?.my_user {
                return Ok(me.local_user_view.person);
            }
            if cx.account.secret("password").is_err() {
                break;
            }
            self.log_in(cx).await?;
        }
        Err(Error::new(Class::Auth, "Lemmy does not know the session any more."))
    }

    async fn community(&self, cx: &Context<'_>) -> Result<Communities, Error> {
        let name = community_name(cx.account.setting("community")?, cx.base);
        let url = format!("{}/api/v3/community", cx.base);
        let reply = self.call(cx, || Ok(cx.http.get(&url).query(&[("name", &name)]))).await?;
        if reply.ok() {
            return reply.json();
        }
        let error = self.parse_error(&reply);
        if reply.status.as_u16() == 404 && error.code.is_some() {
            let says = format!("There is no Lemmy community “{}”.", quote(&name));
            return Err(error.becomes(Class::Config, says));
        }
        Err(error)
    }

    async fn community_id(&self, cx: &Context<'_>) -> Result<u64, Error> {
        match cx.account.setting("communityId").ok().and_then(|id| id.parse().ok()) {
            Some(id) => Ok(id),
            None => Ok(self.community(cx).await?.community_view.community.id),
        }
    }

    /// Uploads picture `i`; what is saved is its address.
    async fn upload(&self, cx: &Context<'_>, i: usize, media: &Media) -> Result<(), Error> {
        let url = format!("{}/pictrs/image", cx.base);
        let request =
            || Ok(cx.http.post(&url).multipart(Form::new().part("images[]", media.part()?)));
        let reply = self.call(cx, request).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let file = reply.json::<Uploaded>()?.files.unwrap_or_default().into_iter().next();
        let is_name = |name: &String| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let Some(file) = file.map(|file| file.file).filter(is_name) else {
            return Err(Error::garbled("no picture").harmless());
        };
        cx.checkpoint(&media_name(i), format!("{}/pictrs/image/{file}", cx.base)).await
    }
}

impl Draft {
    /// Is this post what became of it?
    fn is(&self, post: &Post, with_picture: bool) -> bool {
        let link = match (&self.url, &post.url) {
            // The address of a picture is nobody else's; a link may have lost its tracking.
            (Some(ours), Some(theirs)) => !with_picture || ours == theirs,
            (None, None) => true,
            _ => false,
        };
        link && normalise(&self.name) == normalise(&post.name)
            && same(&self.body, post.body.as_deref().unwrap_or_default())
    }
}

/// The post as it is sent: the first picture is its link, the others follow the text.
fn draft(cx: &Context<'_>, out: &Rendition) -> Result<Draft, Error> {
    let (name, mut body) = title_and_text(out, TITLE_MAX);
    let mut pictures = Vec::with_capacity(out.media.len());
    for i in 0..out.media.len() {
        let Some(url) = cx.saved_str(&media_name(i)) else {
            return Err(Error::new(Class::Transient, "The post is not prepared.").restart());
        };
        pictures.push(url);
    }
    for (media, url) in out.media.iter().zip(&pictures).skip(1) {
        body.push_str("\n\n");
        body.push_str(&picture(&media.alt, url));
    }
    Ok(Draft {
        name,
        body: body.trim().to_owned(),
        url: pictures.into_iter().next().or(first_link(&out.text)),
        alt: out.media.first().map(|media| media.alt.clone()).unwrap_or_default(),
    })
}

/// The link of a text that a post without pictures leads to.
fn first_link(text: &str) -> Option<String> {
    let link = urls(text).into_iter().next().map(|range| text[range].to_owned());
    link.filter(|link| link.len() <= LINK_MAX)
}

fn number(remote_id: &str) -> Result<u64, Error> {
    let wrong = |_| Error::new(Class::Content, "This is not the id of a Lemmy post.");
    remote_id.parse().map_err(wrong)
}

fn not_there(error: Error) -> Error {
    error.becomes(Class::Content, "Lemmy does not have this post any more.")
}

/// The session that a log-in brought, else the one that was entered.
fn session(cx: &Context<'_>) -> Option<Secret> {
    cx.account.secret("session").or_else(|_| cx.account.secret("jwt")).ok()
}

fn media_name(i: usize) -> String {
    format!("media:{i}")
}

/// Lemmy's word for an error; empty where somebody else answered.
fn code(reply: &Reply) -> String {
    if reply.ok() {
        return String::new();
    }
    match &reply.value()["error"] {
        Value::String(code) => code.clone(),
        _ => String::new(),
    }
}

/// `name` or `name@host` of what people copy: `!name@host`, or the address of the community's page.
fn community_name(entered: &str, base: &str) -> String {
    let bare = entered.trim().trim_start_matches('!');
    let Ok(url) = bare.parse::<url::Url>() else { return bare.to_owned() };
    let Some((_, name)) = url.path().split_once("/c/") else { return bare.to_owned() };
    let name = name.trim_end_matches('/');
    let own = base.parse::<url::Url>().is_ok_and(|base| base.host_str() == url.host_str());
    match url.host_str() {
        Some(host) if !own && !name.contains('@') => format!("{name}@{host}"),
        _ => name.to_owned(),
    }
}

/// Is this our text, as Lemmy keeps it?
fn same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (comparable(ours), comparable(theirs));
    let parts: Vec<&str> = theirs.split(REMOVED).collect();
    let [first, middle @ .., last] = parts.as_slice() else { return ours == theirs };
    let inside = ours.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let Some(mut rest) = inside else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// The text with every link as one sign: where they lead, Lemmy may change.
fn comparable(text: &str) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for range in urls(text) {
        out.push_str(&text[at..range.start]);
        out.push('🔗');
        at = range.end;
    }
    normalise(&(out + &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_in_spite_of_what_lemmy_does_to_it() {
        for (ours, theirs) in [
            ("One\r\n\r\ntwo", "One\n\ntwo"),
            ("See https://a.io/?utm_source=x&b=1 now", "See https://a.io/?b=1 now"),
            (
                "![A](https://a.io/1.jpg)",
                "![A](https://lemmy.io/api/v3/image_proxy?url=https%3A%2F%2Fa.io)",
            ),
            ("A darn cold, darned day", "A *removed* cold, *removed*ed day"),
            ("darn", "*removed*"),
            ("", ""),
        ] {
            assert!(same(ours, theirs), "{ours:?} became {theirs:?}");
        }
        for (ours, theirs) in [
            ("One", "One more"),
            ("One", ""),
            ("", "One"),
            ("See https://a.io", "See"),
            ("A cold day", "A *removed* warm day"),
            ("A cold day", "Another *removed* day"),
            ("ab", "ab*removed*b"),
        ] {
            assert!(!same(ours, theirs), "{theirs:?} is taken for {ours:?}");
        }
    }

    #[test]
    fn a_community_is_known_by_what_people_copy() {
        let base = "https://lemmy.world";
        for (entered, name) in [
            ("bakery", "bakery"),
            (" !bakery@lemmy.ml ", "bakery@lemmy.ml"),
            ("https://lemmy.world/c/bakery", "bakery"),
            ("https://lemmy.world/c/bakery@lemmy.ml/", "bakery@lemmy.ml"),
            ("https://lemmy.ml/c/bakery", "bakery@lemmy.ml"),
        ] {
            assert_eq!(community_name(entered, base), name);
        }
    }
}
