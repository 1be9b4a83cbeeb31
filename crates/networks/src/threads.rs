//! Threads, API v1.0; checked 2026-11-22.
//!
//! Keys: a Meta app with the use case "Access the Threads API"; it has an app id and secret of its
//! own for Threads. Pictures and videos are fetched by Threads from a public address of ours.
//! Tokens live sixty days and are issued anew while they are valid.
//!
//! The container is the handle, as at Instagram: invisible, good for 24 h, and its `status` says
//! for certain whether it was published. While one lives no second is made. Text has one, too.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::error::{Action, Class, Error, saying};
use crate::http::{Reply, Request};
use crate::meta::{self, Listing, Made};
use crate::oauth::{self, Life, OAuth, SecretIn};
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, SendClass,
    Spec, Text, VideoRule,
};
use crate::text::normalise;
use crate::{
    Context, Grant, Identity, Media, Network, Numbers, Polled, Prepared, Published, Remote,
    Rendition, Tokens, Window, poll,
};

pub struct Threads;

const BASE: &str = "https://graph.threads.net";
const VERSION: &str = "v1.0";

const TEXT: Text = Text {
    max: 500,
    count: Count::Threads,
    max_bytes: None,
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: false,
};

const MEDIA: MediaRule = MediaRule {
    min: 0,
    max: 20,
    types: &["image/jpeg", "image/png"],
    max_bytes: 8 << 20,
    ratio: Some((0.1, 10.0)),
    derivative: Derivative::Original,
    pull: true,
    alt_max: 1_000,
    video: Some(VideoRule {
        max: 20,
        types: &["video/mp4", "video/quicktime"],
        max_bytes: 1 << 30,
        seconds: (1, 300),
        ratio: Some((0.01, 10.0)),
        side: Some((1, 1_920)),
        mixed: true,
    }),
};

pub static SPEC: Spec = Spec {
    id: "threads",
    name: "Threads",
    code: "TH",
    base_url: BASE,
    fields: &[Field {
        key: "accessToken",
        label: "Access token",
        help: "A long-lived token of the account, from the app's Threads use case. It lives 60 days.",
        secret: true,
        required: true,
    }],
    placements: &[
        Placement {
            id: "feed",
            name: "Post",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[Metric::Views, Metric::Likes, Metric::Comments, Metric::Shares],
            text: TEXT,
            media: MEDIA,
            // Every poll is open for a day.
            options: &[poll::answers(4, 25)],
        },
        Placement {
            id: "reply",
            name: "Thread",
            send: SendClass::Handle,
            follows: &["feed", "reply"],
            // Replies have a budget of their own, of a thousand a day.
            in_budget: false,
            edit: Edit::No,
            measures: &[Metric::Views, Metric::Likes, Metric::Comments, Metric::Shares],
            text: Text { required: true, ..TEXT },
            media: MediaRule { max: 0, video: None, ..MEDIA },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(OAuth {
        authorize: "https://threads.net/oauth/authorize",
        token: "https://graph.threads.net/oauth/access_token",
        scopes: &[
            "threads_basic",
            "threads_content_publish",
            "threads_manage_replies",
            "threads_read_replies",
            "threads_delete",
        ],
        reading: &["threads_manage_insights"],
        separator: ',',
        pkce: false,
        id_param: "client_id",
        secret_in: SecretIn::Body,
        params: &[],
        guide: &[
            "Open developers.facebook.com, My Apps, Create App, and choose Access the Threads API.",
            "Under Use cases, Customize, add `threads_content_publish`, `threads_manage_replies`, \
             `threads_read_replies` and `threads_delete`.",
            "Under Settings paste the redirect address from below as Redirect Callback URL. Until \
             the app is reviewed, add your account as a Threads tester, and accept in the app.",
            "Copy the Threads app ID and the Threads app secret, not those of the app itself.",
        ],
    }),
    life: Life::Extending,
    budgets: &[
        Budget { posts: 250, per: Duration::from_secs(86_400), of: &["feed"] },
        Budget { posts: 1_000, per: Duration::from_secs(86_400), of: &["reply"] },
    ],
};

/// Videos take longer than the documents' five minutes.
const GIVE_UP: i64 = 30 * 60_000;
/// What of a post tells ours apart.
const FIELDS: &str =
    "id,text,timestamp,permalink,media_type,children{id},replied_to,poll_attachment";
/// Between our clock and the network's.
const SLACK: i64 = 60_000;

#[derive(Deserialize)]
struct Profile {
    id: String,
    username: String,
}

#[derive(Deserialize)]
struct Progress {
    status: String,
    #[serde(default)]
    error_message: String,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    #[serde(default)]
    text: String,
    timestamp: String,
    permalink: Option<String>,
    #[serde(default)]
    media_type: String,
    children: Option<Children>,
    replied_to: Option<Made>,
    poll_attachment: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Children {
    data: Vec<Made>,
}

/// A container, as it is saved.
struct Container {
    id: String,
    /// When it was made, ms UTC.
    at: i64,
}

enum State {
    InProgress,
    Finished,
    Published,
    Expired,
    Failed(Error),
    /// The network does not know it (any more).
    Unknown,
}

#[async_trait]
impl Network for Threads {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let request = cx.http.get(&address(cx, &["me"])?).query(&[("fields", "id,username")]);
        let me: Profile = meta::call(cx, self, request).await?;
        let name = format!("@{}", me.username);
        Ok(Identity { remote_id: me.id, name, settings: [].into() })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        match self.advance(cx, out).await {
            Err(error) if error.restart => Err(self.begin_anew(cx, error).await?),
            other => other,
        }
    }

    async fn publish(&self, cx: &Context<'_>, _: &Rendition) -> Result<Published, Error> {
        let container = held(cx, "container").ok_or_else(meta::not_prepared)?;
        if cx.saved("visible").is_some() {
            return Ok(Published::Processing { again_in: Duration::from_secs(1) });
        }
        let url = address(cx, &["me", "threads_publish"])?;
        let request = cx.http.post(&url).form(&[("creation_id", container.id)]);
        let post: Made = meta::call(cx, self, request).await?;
        let url = self.permalink(cx, &post.id).await;
        Ok(Published::Accepted(Remote { id: post.id, url }))
    }

    async fn poll(&self, cx: &Context<'_>, out: &Rendition) -> Result<Polled, Error> {
        let Some(container) = held(cx, "container") else {
            return Ok(Polled::Gone(meta::not_prepared()));
        };
        let state = self.state(cx, &container).await?;
        Ok(match state {
            State::InProgress => Polled::Processing { again_in: patience(cx.now - container.at) },
            State::Finished => Polled::NotPublished,
            State::Expired => Polled::Gone(expired()),
            State::Failed(error) => Polled::Gone(error),
            State::Published | State::Unknown => {
                let window = Window { since: container.at - SLACK, until: i64::MAX };
                let mut found = self.look_up(cx, out, window).await?;
                match (found.pop(), found.is_empty(), state) {
                    (Some(post), true, _) => Polled::Published(post),
                    (Some(_), false, _) => return Err(several()),
                    // Published, and the listing lags behind.
                    (None, _, State::Published) => {
                        Polled::Processing { again_in: Duration::from_secs(10) }
                    }
                    (None, ..) => return Err(unknown_container()),
                }
            }
        })
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let edge = if out.reply_to.is_some() { "replies" } else { "threads" };
        // The network counts in whole seconds.
        let since = window.since.div_euclid(1000);
        let query = [
            ("fields", FIELDS.to_owned()),
            ("since", since.to_string()),
            ("limit", "100".to_owned()),
        ];
        let created = |item: &Item| meta::millis(&item.timestamp);
        let url = address(cx, &["me", edge])?;
        let older = |item: &Item| created(item).is_some_and(|at| at < since * 1000);
        let Listing { items, complete } = meta::list_at(cx, self, &url, &query, older).await?;
        let (text, parent) = (normalise(&out.text), out.reply_to.as_ref().map(|to| &to.parent.id));
        let ours = items.into_iter().filter(|item| {
            created(item).is_some_and(|at| (since * 1000..=window.until).contains(&at))
                && normalise(&item.text) == text
                && item.shows() == out.media.len()
                && item.poll_attachment.is_some() == out.asks()
                && item.replied_to.as_ref().map(|to| &to.id) == parent
        });
        let found: Vec<Remote> =
            ours.map(|item| Remote { id: item.id, url: item.permalink }).collect();
        if found.is_empty() && !complete {
            let says = "The account has more on Threads in this time than can be looked through.";
            return Err(Error::new(Class::Transient, says).code("listing_too_long"));
        }
        Ok(found)
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        known(remote_id)?;
        let url = address(cx, &[remote_id, "insights"])?;
        meta::insights(cx, self, &url, &INSIGHTS).await
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        known(remote_id)?;
        meta::delete_at(cx, self, &address(cx, &[remote_id])?).await
    }

    /// The code for a token of an hour, and that for one of sixty days.
    async fn exchange(&self, cx: &Context<'_>, grant: &Grant) -> Result<Tokens, Error> {
        let short = oauth::exchange(&SPEC, &|r| self.parse_error(r), cx, grant).await?.access;
        let secret = cx.account.secret("clientSecret")?;
        let request = cx.http.get(&meta::below(cx.base, &["access_token"])?).query(&[
            ("grant_type", "th_exchange_token"),
            ("client_secret", secret.reveal()),
            ("access_token", short.reveal()),
        ]);
        self.issue(cx, request).await
    }

    /// The same token for sixty days more, once it is a day old.
    async fn refresh(&self, cx: &Context<'_>) -> Result<Tokens, Error> {
        let held = cx.account.secret("accessToken")?;
        let request = cx
            .http
            .get(&meta::below(cx.base, &["refresh_access_token"])?)
            .query(&[("grant_type", "th_refresh_token"), ("access_token", held.reveal())]);
        self.issue(cx, request).await
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        // The token endpoint has a form of its own.
        if let Some(said) = body["error_message"].as_str() {
            let error = reply.error(SPEC.name).code(&body["code"]);
            if said.to_lowercase().contains("client") {
                return error
                    .becomes(
                        Class::Config,
                        "Threads does not know this app, or its secret is wrong.",
                    )
                    .action(Action::AskOperator);
            }
            if reply.status.is_client_error() {
                let says = "Threads no longer accepts this consent: connect again.";
                return error.becomes(Class::Auth, says);
            }
            return error;
        }
        let error = meta::parse(reply, SPEC.name, own_table);
        let said = body["error"]["message"].as_str().unwrap_or_default();
        match error.class {
            Class::Content if said.contains("LINK_LIMIT") => {
                error.becomes(Class::Content, "A post on Threads takes at most five links.")
            }
            // Threads' own words say what is wrong; the table knows the number only.
            Class::Content if error.code.as_deref() == Some("100") => {
                let said = said.trim_start_matches("(#100)").trim();
                error.becomes(Class::Content, saying("Threads refuses the post", said))
            }
            _ => error,
        }
    }
}

impl Threads {
    /// Makes what is missing and asks how far it is.
    async fn advance(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if let Some(container) = held(cx, "container") {
            match self.settle(cx, &container).await? {
                Some(prepared) => return Ok(prepared),
                None => forget(cx).await?,
            }
        }
        let mut form = match out.media.as_slice() {
            [] => vec![("media_type", "TEXT".to_owned())],
            [one] => item(one)?,
            several => {
                let children = self.children(cx, several).await?;
                for child in &children {
                    match self.settle(cx, child).await? {
                        Some(Prepared::Ready) => {}
                        Some(waiting) => return Ok(waiting),
                        None => return Err(expired()),
                    }
                }
                let ids: Vec<String> = children.into_iter().map(|child| child.id).collect();
                vec![("media_type", "CAROUSEL".to_owned()), ("children", ids.join(","))]
            }
        };
        if !out.text.is_empty() {
            form.push(("text", out.text.clone()));
        }
        if let Some(poll) = out.poll()? {
            let answers = ('a'..='z').zip(poll.answers);
            let answers = answers.map(|(at, text)| (format!("option_{at}"), json!(text)));
            form.push(("poll_attachment", Value::Object(answers.collect()).to_string()));
        }
        if let Some(to) = &out.reply_to {
            form.push(("reply_to_id", to.parent.id.clone()));
        }
        let container = self.create(cx, "container", &form).await?;
        self.settle(cx, &container).await?.ok_or_else(expired)
    }

    /// The containers of a carousel's items, those that are missing made.
    async fn children(&self, cx: &Context<'_>, media: &[Media]) -> Result<Vec<Container>, Error> {
        let mut children = Vec::with_capacity(media.len());
        for (i, one) in media.iter().enumerate() {
            let name = format!("child:{i}");
            if let Some(child) = held(cx, &name) {
                children.push(child);
                continue;
            }
            let mut form = item(one)?;
            form.push(("is_carousel_item", "true".to_owned()));
            children.push(self.create(cx, &name, &form).await?);
        }
        Ok(children)
    }

    async fn create(
        &self,
        cx: &Context<'_>,
        name: &str,
        form: &[(&str, String)],
    ) -> Result<Container, Error> {
        let url = address(cx, &["me", "threads"])?;
        let made: Made = meta::call(cx, self, cx.http.post(&url).form(form)).await?;
        cx.checkpoint(name, json!({ "id": made.id, "at": cx.now })).await?;
        Ok(Container { id: made.id, at: cx.now })
    }

    /// What a container's state means for `prepare`; `None`: dead, make a new one.
    async fn settle(
        &self,
        cx: &Context<'_>,
        container: &Container,
    ) -> Result<Option<Prepared>, Error> {
        let age = cx.now - container.at;
        match self.state(cx, container).await? {
            State::Finished => Ok(Some(Prepared::Ready)),
            State::Published => {
                // An earlier try did it: `publish` must not ask again, `poll` finds the post.
                cx.checkpoint("visible", true).await?;
                Ok(Some(Prepared::Ready))
            }
            State::InProgress if age > GIVE_UP => {
                let says = "Threads did not finish the media within 30 minutes.";
                Err(Error::new(Class::Transient, says).code("container_stuck").restart())
            }
            // Just made and unknown: its readers lag behind.
            State::Unknown if age >= SLACK => Ok(None),
            State::InProgress | State::Unknown => {
                Ok(Some(Prepared::Processing { again_in: patience(age) }))
            }
            State::Expired => Ok(None),
            State::Failed(error) => Err(error.restart()),
        }
    }

    async fn state(&self, cx: &Context<'_>, container: &Container) -> Result<State, Error> {
        let url = address(cx, &[&container.id])?;
        let request = cx.http.get(&url).query(&[("fields", "status,error_message")]);
        let progress: Progress = match meta::call(cx, self, request).await {
            Err(e) if meta::is_missing(&e) || is_unknown(&e) => return Ok(State::Unknown),
            other => other?,
        };
        Ok(match progress.status.as_str() {
            "IN_PROGRESS" => State::InProgress,
            "FINISHED" => State::Finished,
            "PUBLISHED" => State::Published,
            "EXPIRED" => State::Expired,
            "ERROR" => State::Failed(failure(&progress.error_message)),
            _ => return Err(Error::garbled("an unknown `status`")),
        })
    }

    /// Only a read, and short: whatever becomes of it, the post is published.
    async fn permalink(&self, cx: &Context<'_>, id: &str) -> Option<String> {
        let url = address(cx, &[id]).ok()?;
        let request = cx.http.get(&url).query(&[("fields", "id,permalink")]);
        let timeout = cx.timeout.min(Duration::from_secs(5));
        meta::call_within::<Made>(cx, self, request, timeout).await.ok()?.permalink
    }

    /// Drops dead containers and gives back the error that `prepare` ends with: another try.
    async fn begin_anew(&self, cx: &Context<'_>, mut error: Error) -> Result<Error, Error> {
        forget(cx).await?;
        error.restart = false;
        Ok(error)
    }

    /// A token for another.
    async fn issue(&self, cx: &Context<'_>, request: Request) -> Result<Tokens, Error> {
        let reply = cx.http.send(request, cx.timeout).await.map_err(Error::harmless)?;
        if reply.ok() {
            oauth::tokens(&reply, ',')
        } else {
            Err(self.parse_error(&reply).harmless())
        }
    }
}

/// What a post's insights are called.
const INSIGHTS: [(Metric, &str); 6] = [
    (Metric::Views, "views"),
    (Metric::Likes, "likes"),
    (Metric::Comments, "replies"),
    (Metric::Shares, "reposts"),
    (Metric::Shares, "quotes"),
    (Metric::Shares, "shares"),
];

impl Item {
    /// How many pictures and videos it shows.
    fn shows(&self) -> usize {
        match &self.children {
            Some(children) => children.data.len(),
            None => usize::from(matches!(self.media_type.as_str(), "IMAGE" | "VIDEO")),
        }
    }
}

fn known(remote_id: &str) -> Result<(), Error> {
    if !remote_id.is_empty() && remote_id.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(Error::new(Class::Content, "This is not the id of a post on Threads."))
}

fn address(cx: &Context<'_>, path: &[&str]) -> Result<String, Error> {
    meta::below(cx.base, std::iter::once(&VERSION).chain(path))
}

fn item(media: &Media) -> Result<Vec<(&'static str, String)>, Error> {
    if media.url.is_empty() {
        let says = "Threads fetches media itself, and this installation has no public address.";
        return Err(Error::new(Class::Config, says)
            .code("no_public_address")
            .action(Action::AskOperator));
    }
    let (kind, field) =
        if media.is_video() { ("VIDEO", "video_url") } else { ("IMAGE", "image_url") };
    let mut form = vec![("media_type", kind.to_owned()), (field, media.url.clone())];
    if !media.alt.is_empty() {
        form.push(("alt_text", media.alt.clone()));
    }
    Ok(form)
}

fn held(cx: &Context<'_>, name: &str) -> Option<Container> {
    let saved = cx.saved(name)?;
    Some(Container { id: saved["id"].as_str()?.to_owned(), at: saved["at"].as_i64()? })
}

async fn forget(cx: &Context<'_>) -> Result<(), Error> {
    let children = (0..MEDIA.max).map(|i| format!("child:{i}"));
    for name in children.chain(["container".to_owned(), "visible".to_owned()]) {
        if cx.saved(&name).is_some() {
            cx.checkpoint(&name, Value::Null).await?;
        }
    }
    Ok(())
}

/// Text takes seconds; the documents ask for half a minute, and for once a minute after that.
fn patience(age: i64) -> Duration {
    Duration::from_secs(match age {
        ..10_000 => 3,
        10_000..60_000 => 15,
        _ => 60,
    })
}

/// Why a container failed, in the word that it says.
fn failure(said: &str) -> Error {
    let content = |says: &str| Error::new(Class::Content, says);
    let error = match said {
        "FAILED_DOWNLOADING_VIDEO" => {
            Error::new(Class::Transient, "Threads could not fetch the video from us.")
        }
        "" | "UNKNOWN" => Error::new(Class::Transient, "Threads had a failure of its own."),
        "INVALID_ASPEC_RATIO" | "INVALID_ASPECT_RATIO" => {
            content("The media has a shape that Threads does not take.")
        }
        "INVALID_DURATION" => content("The video is too short or too long for Threads."),
        "INVALID_BIT_RATE" | "INVALID_FRAME_RATE" => {
            content("The video has a bit rate or a frame rate that Threads does not take.")
        }
        "INVALID_AUDIO_CHANNELS" | "INVALID_AUDIO_CHANNEL_LAYOUT" | "FAILED_PROCESSING_AUDIO" => {
            content("The video has a sound that Threads does not take.")
        }
        "FAILED_PROCESSING_VIDEO" => content("Threads could not use the video."),
        other => content(&saying("Threads could not use the media", other)),
    };
    error.code(if said.is_empty() { "container_error" } else { said })
}

/// The container is not known, not finished, or not any more what can be published.
fn is_unknown(error: &Error) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    ["24/4279009", "24/2207006", "24/2207008"].contains(&code)
}

fn expired() -> Error {
    Error::new(Class::Transient, "Threads' container expired before it was published.")
        .code("container_expired")
        .restart()
}

fn unknown_container() -> Error {
    let says = "Threads does not know the container any more and lists no such post.";
    Error::new(Class::Unknown, says).code("container_unknown")
}

fn several() -> Error {
    let says = "Several posts on Threads could be this one.";
    Error::new(Class::Unknown, says).code("several")
}

/// Threads' own codes.
fn own_table(code: i64, sub: i64) -> Option<Error> {
    let content = |says: &str| Error::new(Class::Content, says);
    let policy = |says: &str| Error::new(Class::Policy, says);
    let soon = Some(Duration::from_secs(30));
    Some(match (code, sub) {
        (24, _) => Error::new(Class::Transient, "Threads does not find the container yet.")
            .retry_after(soon),
        (_, 2207051) => policy("Threads holds the activity for spam."),
        (_, 4279013) | (25, _) => policy("The account is restricted: open Threads and see why."),
        (9, _) | (_, 2207042) => {
            Error::new(Class::Quota, "The account's posts on Threads for 24 hours are used up.")
        }
        // Our file was checked before: what keeps it from being fetched (we are away, or our database
        // is) passes, and may last longer than a second try.
        (9004, _) | (_, 2207052) => {
            Error::new(Class::Transient, "Threads could not fetch the media from us.")
                .retry_after(soon)
        }
        (36000, _) | (_, 2207004) => content("A picture is larger than 8 MB."),
        (36001, _) | (_, 2207005) => content("A picture is neither a JPEG nor a PNG."),
        (36003, _) | (_, 2207009) => content("A picture has a shape that Threads does not take."),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_failure_is_read_from_its_word() {
        for (said, class) in [
            ("FAILED_DOWNLOADING_VIDEO", Class::Transient),
            ("UNKNOWN", Class::Transient),
            ("", Class::Transient),
            ("INVALID_ASPEC_RATIO", Class::Content),
            ("INVALID_DURATION", Class::Content),
            ("INVALID_AUDIO_CHANNEL_LAYOUT", Class::Content),
            ("The media could not be fetched from this URI.", Class::Content),
            ("THREADS_API__FEATURE_NOT_AVAILABLE", Class::Content),
        ] {
            let error = failure(said);
            assert_eq!(error.class, class, "{said}");
            assert!(error.sentence.ends_with('.') && !error.sentence.contains(".."), "{error:?}");
        }
    }

    #[test]
    fn what_a_post_shows_is_counted() {
        let shows = |json: Value| serde_json::from_value::<Item>(json).expect("an item").shows();
        let item = |kind: &str| json!({ "id": "1", "timestamp": "", "media_type": kind });
        assert_eq!(shows(item("TEXT_POST")), 0);
        assert_eq!(shows(item("IMAGE")), 1);
        let mut album = item("CAROUSEL_ALBUM");
        album["children"] = json!({ "data": [{ "id": "2" }, { "id": "3" }] });
        assert_eq!(shows(album), 2);
    }
}
