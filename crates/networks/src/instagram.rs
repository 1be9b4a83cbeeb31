//! Instagram for professional accounts, by Facebook Login, Graph API v25.0; checked 2026-11-22.
//!
//! Keys: a Meta app with `instagram_basic`, `instagram_content_publish`, `pages_show_list` and
//! `pages_read_engagement`; the id is the page's `instagram_business_account`
//! (`GET /me/accounts?fields=instagram_business_account`), the token the page's, which has no end
//! and is not given back, as at Facebook. A first comment needs `instagram_manage_comments` as well.
//! Pictures are fetched by Instagram from a public address of ours; films too where there is one,
//! and are uploaded to their container where there is none. A film that stands alone is a reel.
//!
//! The container is the handle: invisible, good for 24 h, and its `status_code` says for certain
//! whether it was published. While one lives no second is made.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Action, Class, Error};
use crate::http::Reply;
use crate::meta::{self, Listing, Made};
use crate::oauth::Life;
use crate::spec::{
    Abilities, Budget, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, SendClass,
    Spec, Text, VideoRule,
};
use crate::text::normalise;
use crate::{
    Context, Grant, Identity, Media, Network, Numbers, Polled, Prepared, Published, Remote,
    Rendition, Target, Tokens, Window, numbers,
};

pub struct Instagram;

const CAPTION: Text = Text {
    max: 2_200,
    count: Count::Chars,
    max_bytes: None,
    max_with_media: None,
    question_max: None,
    max_hashtags: Some(30),
    max_mentions: Some(20),
    title_max: None,
    required: false,
};

const PICTURES: MediaRule = MediaRule {
    min: 1,
    max: 10,
    types: &["image/jpeg"],
    max_bytes: 8 << 20,
    ratio: Some((0.8, 1.91)),
    derivative: Derivative::Square,
    pull: true,
    alt_max: 1_000,
    video: None,
};

const FILMS: VideoRule = VideoRule {
    max: 10,
    types: &["video/mp4", "video/quicktime"],
    max_bytes: 300_000_000,
    // Of an item of a carousel; a reel may be longer.
    seconds: (3, 60),
    ratio: Some((0.01, 10.0)),
    side: Some((1, 1_920)),
    mixed: true,
};

pub static SPEC: Spec = Spec {
    id: "instagram",
    name: "Instagram",
    code: "IG",
    base_url: meta::BASE,
    fields: &[
        Field {
            key: "igBusinessId",
            label: "Instagram account ID",
            help: "`instagram_business_account` of the linked page. A number.",
            secret: false,
            required: true,
        },
        Field {
            key: "accessToken",
            label: "Page access token",
            help: "The token of the Facebook page that the account is linked to.",
            secret: true,
            required: true,
        },
    ],
    placements: &[
        Placement {
            id: "feed",
            name: "Post",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[
                Metric::Views,
                Metric::Reach,
                Metric::Likes,
                Metric::Comments,
                Metric::Shares,
                Metric::Saves,
            ],
            text: CAPTION,
            media: MediaRule { video: Some(FILMS), ..PICTURES },
            options: &[],
        },
        Placement {
            id: "reel",
            name: "Reel",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[
                Metric::Views,
                Metric::Reach,
                Metric::Likes,
                Metric::Comments,
                Metric::Shares,
                Metric::Saves,
            ],
            text: CAPTION,
            media: MediaRule {
                max: 1,
                types: &[],
                // Uploaded where there is no address to fetch it from.
                pull: false,
                alt_max: 0,
                video: Some(VideoRule { max: 1, seconds: (3, 900), ..FILMS }),
                ..PICTURES
            },
            options: &[],
        },
        Placement {
            id: "story",
            name: "Story",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[Metric::Views, Metric::Reach, Metric::Shares],
            text: CAPTION,
            media: MediaRule {
                max: 1,
                ratio: None,
                derivative: Derivative::Story,
                video: Some(VideoRule {
                    max: 1,
                    max_bytes: 100_000_000,
                    ratio: Some((0.1, 10.0)),
                    ..FILMS
                }),
                ..PICTURES
            },
            options: &[],
        },
        Placement {
            id: "comment",
            name: "First comment",
            send: SendClass::Readable { lag: Duration::from_secs(60) },
            follows: &["feed", "reel"],
            in_budget: false,
            edit: Edit::No,
            measures: &[Metric::Likes],
            // The reference of `POST /{media}/comments` names no limit. What it takes is what the
            // app takes, as for a caption; 300 characters and 4 hashtags were those of the API that
            // this one replaced.
            text: Text { required: true, ..CAPTION },
            media: MediaRule { min: 0, max: 0, ..PICTURES },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(meta::consent(
        &[
            "instagram_basic",
            "instagram_content_publish",
            "instagram_manage_comments",
            "pages_show_list",
            "pages_read_engagement",
        ],
        &["instagram_manage_insights"],
        &[
            "Open developers.facebook.com, My Apps, Create App, and choose the type Business. The \
             app that Facebook pages are connected with will do.",
            "Add the products Instagram and Facebook Login for Business, and paste the redirect \
             address from below under Valid OAuth Redirect URIs.",
            "Under App Review, Permissions, ask for `instagram_basic`, `instagram_content_publish`, \
             `instagram_manage_comments`, `pages_show_list` and `pages_read_engagement`, and for \
             `instagram_manage_insights` to see numbers. Accounts of people with a role in the app \
             work without review.",
            "Copy the app ID and the app secret from App settings, Basic.",
        ],
    )),
    life: Life::Endless,
    // Other pages of the documents say 50; what holds is enforced when publishing (9/2207042).
    budgets: &[Budget { posts: 100, per: Duration::from_secs(86_400), of: &[] }],
};

/// What a post's insights are called. A story's end with the story, after a day.
const INSIGHTS: [(Metric, &str); 6] = [
    (Metric::Views, "views"),
    (Metric::Reach, "reach"),
    (Metric::Likes, "likes"),
    (Metric::Comments, "comments"),
    (Metric::Shares, "shares"),
    (Metric::Saves, "saved"),
];

/// Large media takes longer than the documents' five minutes.
const GIVE_UP: i64 = 30 * 60_000;
/// How long a container lives.
const LIFE: i64 = 24 * 3_600_000;
/// Between our clock and the network's.
const SLACK: i64 = 60_000;

#[derive(Deserialize)]
struct Profile {
    id: String,
    username: String,
}

#[derive(Deserialize)]
struct Progress {
    status_code: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    video_status: Value,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    #[serde(default)]
    caption: String,
    timestamp: String,
    permalink: Option<String>,
    /// Of a carousel.
    children: Option<Children>,
}

#[derive(Deserialize)]
struct Children {
    data: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment {
    id: String,
    #[serde(default)]
    text: String,
    timestamp: String,
    username: Option<String>,
}

/// A container, as it is saved.
#[derive(Clone)]
struct Container {
    id: String,
    /// When it was made, ms UTC.
    at: i64,
    /// Is it without its film as yet?
    awaits: bool,
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
impl Network for Instagram {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let url = meta::address(cx, &[cx.account.setting("igBusinessId")?])?;
        let request = cx.http.get(&url).query(&[("fields", "id,username")]);
        let me: Profile = meta::call(cx, self, request).await?;
        Ok(Identity {
            remote_id: me.id,
            name: me.username.clone(),
            settings: [("instagramUsername".to_owned(), me.username)].into(),
        })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if out.placement == "comment" {
            return Ok(Prepared::Ready);
        }
        match self.advance(cx, out).await {
            Err(error) if error.restart => Err(self.begin_anew(cx, error).await?),
            other => other,
        }
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        if out.placement == "comment" {
            let on = &out.follows()?.parent;
            let url = meta::address(cx, &[&on.id, "comments"])?;
            let request = cx.http.post(&url).form(&[("message", &out.text)]);
            let comment: Made = meta::call(cx, self, request).await?;
            // A comment has no page of its own.
            return Ok(Published::Accepted(Remote { id: comment.id, url: on.url.clone() }));
        }
        let container = held(cx, "container").ok_or_else(meta::not_prepared)?;
        if cx.saved("visible").is_some() {
            return Ok(Published::Processing { again_in: Duration::from_secs(1) });
        }
        let url = meta::address(cx, &[cx.account.setting("igBusinessId")?, "media_publish"])?;
        let request = cx.http.post(&url).form(&[("creation_id", container.id)]);
        let media: Made = meta::call(cx, self, request).await?;
        let url = self.permalink(cx, &media.id).await;
        Ok(Published::Accepted(Remote { id: media.id, url }))
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
                let newest = self.look_up(cx, out, window).await?.into_iter().next();
                match (newest, state) {
                    (Some(media), _) => Polled::Published(media),
                    // Published, and the listing lags behind.
                    (None, State::Published) => {
                        Polled::Processing { again_in: Duration::from_secs(10) }
                    }
                    (None, _) => return Err(unknown_container()),
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
        if out.placement == "comment" {
            return self.comments(cx, out, window).await;
        }
        let story = out.placement == "story";
        let edge = if story { "stories" } else { "media" };
        let fields = "id,caption,timestamp,permalink,children{id}";
        let query = [("fields", fields.to_owned()), ("limit", "50".to_owned())];
        // The network counts in whole seconds.
        let since = window.since.div_euclid(1000) * 1000;
        let created = |item: &Item| meta::millis(&item.timestamp);
        let path = [cx.account.setting("igBusinessId")?, edge];
        let Listing { items, complete } = meta::list(cx, self, &path, &query, |item: &Item| {
            created(item).is_some_and(|at| at < since)
        })
        .await?;
        let caption = normalise(&out.text);
        let found: Vec<Remote> = items
            .into_iter()
            .filter(|item| {
                created(item).is_some_and(|at| (since..=window.until).contains(&at))
                    // Stories are shown, and read back, without their caption.
                    && (story || normalise(&item.caption) == caption)
                    && item.children.as_ref().map_or(1, |c| c.data.len()) == out.media.len()
            })
            .map(|item| Remote { id: item.id, url: item.permalink })
            .collect();
        if found.is_empty() && !complete {
            let says = "The account has more posts in this time than can be looked through.";
            return Err(Error::new(Class::Transient, says).code("listing_too_long"));
        }
        Ok(found)
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        placement: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        if placement.id == "comment" {
            let request = cx.http.get(&meta::address(cx, &[remote_id])?);
            let request = request.query(&[("fields", "like_count")]);
            let comment = meta::counted(cx, self, request).await?;
            return Ok(numbers::read(&comment, &[(Metric::Likes, "/like_count")]));
        }
        let told = placement.measures.iter();
        let named: Vec<_> =
            told.filter_map(|m| INSIGHTS.iter().find(|i| i.0 == *m)).copied().collect();
        let url = meta::address(cx, &[remote_id, "insights"])?;
        meta::insights(cx, self, &url, &named).await
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        meta::delete(cx, self, remote_id).await.map_err(undeletable)
    }

    async fn exchange(&self, cx: &Context<'_>, grant: &Grant) -> Result<Tokens, Error> {
        meta::exchange(cx, self, grant).await
    }

    /// The Instagram accounts of the person's pages; a page without one says so.
    async fn targets(&self, cx: &Context<'_>) -> Result<Vec<Target>, Error> {
        let fields = "id,name,access_token,tasks,instagram_business_account{id,username}";
        let pages = meta::pages(cx, self, fields).await?;
        Ok(pages.into_iter().map(target).collect())
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let error = meta::parse(reply, SPEC.name, own_table);
        // The one refusal without a code of its own: 10 or 100, and these words.
        let said = reply.value()["error"]["message"].as_str().unwrap_or_default().to_lowercase();
        if said.contains("not an instagram business") {
            let says = "The Instagram account is a personal one: make it a professional account.";
            return error.becomes(Class::Config, says).action(Action::ActAtNetwork);
        }
        // Of a story; it shares its code with missing permissions.
        if said.contains("not enough viewers") {
            let says = "Too few people have seen this for Instagram to tell numbers.";
            return error.becomes(Class::Content, says).code("few_viewers");
        }
        error
    }
}

impl Instagram {
    /// The account's own comments on the post with this text.
    async fn comments(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let on = &out.follows()?.parent;
        let own = cx.account.setting("instagramUsername").ok();
        let query =
            [("fields", "id,text,timestamp,username".to_owned()), ("limit", "50".to_owned())];
        let since = window.since.div_euclid(1000) * 1000;
        let created = |c: &Comment| meta::millis(&c.timestamp);
        let path = [on.id.as_str(), "comments"];
        let Listing { items, complete } = meta::list(cx, self, &path, &query, |c: &Comment| {
            created(c).is_some_and(|at| at < since)
        })
        .await?;
        let text = normalise(&out.text);
        let by_other = |name: &str| own.is_some_and(|own| own != name);
        let found: Vec<Remote> = items
            .into_iter()
            .filter(|c| {
                created(c).is_some_and(|at| (since..=window.until).contains(&at))
                    && !c.username.as_deref().is_some_and(by_other)
                    && normalise(&c.text) == text
            })
            .map(|c| Remote { id: c.id, url: on.url.clone() })
            .collect();
        if found.is_empty() && !complete {
            let says = "The post has more comments in this time than can be looked through.";
            return Err(Error::new(Class::Transient, says).code("listing_too_long"));
        }
        Ok(found)
    }

    /// Makes what is missing and asks how far it is.
    async fn advance(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        let story = out.placement == "story";
        if let Some(container) = held(cx, "container") {
            match self.settle(cx, "container", &container, out.media.first()).await? {
                Some(prepared) => return Ok(prepared),
                None => forget(cx).await?,
            }
        }
        let mut form = match out.media.as_slice() {
            [] => return Err(Error::new(Class::Content, "A post here needs a picture or video.")),
            [one] if story => item(one, "STORIES")?,
            [one] => item(one, "REELS")?,
            _ if story => {
                return Err(Error::new(Class::Content, "A story takes exactly one file."));
            }
            several => {
                let children = self.children(cx, several).await?;
                for (i, (child, media)) in children.iter().zip(several).enumerate() {
                    match self.settle(cx, &child_name(i), child, Some(media)).await? {
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
            form.push(("caption", out.text.clone()));
        }
        let container = self.create(cx, "container", &form).await?;
        match self.settle(cx, "container", &container, out.media.first()).await? {
            Some(prepared) => Ok(prepared),
            None => Err(expired()),
        }
    }

    /// The containers of a carousel's items, those that are missing made.
    async fn children(&self, cx: &Context<'_>, media: &[Media]) -> Result<Vec<Container>, Error> {
        let mut children = Vec::with_capacity(media.len());
        for (i, one) in media.iter().enumerate() {
            let name = child_name(i);
            if let Some(child) = held(cx, &name) {
                children.push(child);
                continue;
            }
            let mut form = item(one, "VIDEO")?;
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
        let url = meta::address(cx, &[cx.account.setting("igBusinessId")?, "media"])?;
        let made: Made = meta::call(cx, self, cx.http.post(&url).form(form)).await?;
        let awaits = form.iter().any(|(key, _)| *key == "upload_type");
        let container = Container { id: made.id, at: cx.now, awaits };
        cx.checkpoint(name, container.saved()).await?;
        Ok(container)
    }

    /// Sends a film to its container, from what is there on.
    async fn send_film(
        &self,
        cx: &Context<'_>,
        name: &str,
        container: &Container,
        media: &Media,
    ) -> Result<Prepared, Error> {
        let fresh = cx.saved(&format!("{name}:from")).is_none();
        let (from, whole) = if fresh { (0, false) } else { self.arrived(cx, container).await? };
        if !whole {
            let path = ["ig-api-upload", container.id.as_str()];
            let sent = meta::upload(cx, self, name, &path, media, from).await?;
            if sent != Prepared::Ready {
                return Ok(sent);
            }
        }
        cx.checkpoint(name, Container { awaits: false, ..container.clone() }.saved()).await?;
        Ok(Prepared::Ready)
    }

    /// How much of a film its container has, and whether that is all of it.
    async fn arrived(&self, cx: &Context<'_>, container: &Container) -> Result<(u64, bool), Error> {
        let url = meta::address(cx, &[&container.id])?;
        let request = cx.http.get(&url).query(&[("fields", "status_code,status,video_status")]);
        let progress: Progress = meta::call(cx, self, request).await?;
        let phase = &progress.video_status["uploading_phase"];
        let bytes = phase["bytes_transferred"].as_u64().unwrap_or(0);
        Ok((bytes, phase["status"].as_str().is_some_and(|status| status.starts_with("complete"))))
    }

    /// What a container's state means for `prepare`; `None`: dead, make a new one.
    async fn settle(
        &self,
        cx: &Context<'_>,
        name: &str,
        container: &Container,
        media: Option<&Media>,
    ) -> Result<Option<Prepared>, Error> {
        let age = cx.now - container.at;
        if container.awaits
            && age < LIFE
            && let Some(media) = media
        {
            let sent = self.send_film(cx, name, container, media).await?;
            if sent != Prepared::Ready {
                return Ok(Some(sent));
            }
        }
        match self.state(cx, container).await? {
            State::Finished => Ok(Some(Prepared::Ready)),
            State::Published => {
                // An earlier try did it: `publish` must not ask again, `poll` finds the post.
                cx.checkpoint("visible", true).await?;
                Ok(Some(Prepared::Ready))
            }
            State::InProgress if age > GIVE_UP => {
                let says = "Instagram did not finish the picture or video within 30 minutes.";
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
        let url = meta::address(cx, &[&container.id])?;
        let request = cx.http.get(&url).query(&[("fields", "status_code,status")]);
        let progress: Progress = match meta::call(cx, self, request).await {
            Err(e) if meta::is_missing(&e) || matches!(subcode(&e), 2207006 | 2207008) => {
                return Ok(State::Unknown);
            }
            other => other?,
        };
        Ok(match progress.status_code.as_str() {
            "IN_PROGRESS" => State::InProgress,
            "FINISHED" => State::Finished,
            "PUBLISHED" => State::Published,
            "EXPIRED" => State::Expired,
            "ERROR" => State::Failed(failure(&progress.status)),
            _ => return Err(Error::garbled("an unknown `status_code`")),
        })
    }

    /// Only a read, and short: whatever becomes of it, the post is published.
    async fn permalink(&self, cx: &Context<'_>, id: &str) -> Option<String> {
        let url = meta::address(cx, &[id]).ok()?;
        let request = cx.http.get(&url).query(&[("fields", "id,permalink")]);
        let timeout = cx.timeout.min(Duration::from_secs(5));
        meta::call_within::<Made>(cx, self, request, timeout).await.ok()?.permalink
    }

    /// Drops dead containers and gives back the error that `prepare` ends with: another try, or,
    /// where the documents bound the tries to two, the end.
    async fn begin_anew(&self, cx: &Context<'_>, mut error: Error) -> Result<Error, Error> {
        forget(cx).await?;
        error.restart = false;
        let number = subcode(&error);
        let (class, action) = match number {
            2207082 => (Class::Content, Action::EditPost),
            // Said for spam as well.
            2207001 => (Class::Policy, Action::ActAtNetwork),
            _ => return Ok(error),
        };
        let name = format!("failed:{number}");
        if cx.saved(&name).is_some() {
            return Ok(Error { class, action, ..error });
        }
        cx.checkpoint(&name, true).await?;
        Ok(error)
    }
}

/// What makes a container of a picture, or of a film under this type.
fn item(media: &Media, film: &str) -> Result<Vec<(&'static str, String)>, Error> {
    let mut form = Vec::new();
    if media.is_video() {
        form.push(("media_type", film.to_owned()));
        match media.url.is_empty() {
            true => form.push(("upload_type", "resumable".to_owned())),
            false => form.push(("video_url", media.url.clone())),
        }
        if film == "REELS" {
            form.push(("share_to_feed", "true".to_owned()));
            let cover = media.cover.map(|at| ("thumb_offset", at.as_millis().to_string()));
            form.extend(cover);
        }
        return Ok(form);
    }
    if media.url.is_empty() {
        let says =
            "Instagram fetches pictures itself, and this installation has no public address.";
        return Err(Error::new(Class::Config, says)
            .code("no_public_address")
            .action(Action::AskOperator));
    }
    form.push(("image_url", media.url.clone()));
    if film == "STORIES" {
        form.push(("media_type", "STORIES".to_owned()));
    }
    if !media.alt.is_empty() {
        form.push(("alt_text", media.alt.clone()));
    }
    Ok(form)
}

/// What a page of a fresh consent leads to.
fn target(page: meta::Managed) -> Target {
    let Some(account) = &page.instagram_business_account else {
        let problem =
            format!("The page “{}” has no professional Instagram account linked to it.", page.name);
        let (settings, secrets) = Default::default();
        return Target { id: page.id, name: page.name, problem: Some(problem), settings, secrets };
    };
    let mut settings = BTreeMap::from([("igBusinessId".to_owned(), account.id.clone())]);
    settings.extend(account.username.clone().map(|name| ("instagramUsername".to_owned(), name)));
    let (problem, token) = match page.token() {
        Ok(token) => (None, Some(("accessToken".to_owned(), token))),
        Err(problem) => (Some(problem), None),
    };
    Target {
        id: account.id.clone(),
        name: account.username.clone().unwrap_or_else(|| page.name.clone()),
        problem,
        settings,
        secrets: token.into_iter().collect(),
    }
}

impl Container {
    fn saved(&self) -> Value {
        match self.awaits {
            true => json!({ "id": self.id, "at": self.at, "awaits": true }),
            false => json!({ "id": self.id, "at": self.at }),
        }
    }
}

fn child_name(i: usize) -> String {
    format!("child:{i}")
}

fn held(cx: &Context<'_>, name: &str) -> Option<Container> {
    let saved = cx.saved(name)?;
    let awaits = saved["awaits"] == Value::Bool(true);
    Some(Container { id: saved["id"].as_str()?.to_owned(), at: saved["at"].as_i64()?, awaits })
}

async fn forget(cx: &Context<'_>) -> Result<(), Error> {
    let containers = (0..PICTURES.max).map(child_name).chain(["container".to_owned()]);
    let marks = containers.flat_map(|name| [format!("{name}:from"), name]);
    for name in marks.chain(["visible".to_owned()]) {
        if cx.saved(&name).is_some() {
            cx.checkpoint(&name, Value::Null).await?;
        }
    }
    Ok(())
}

/// Pictures take seconds; after that the documents ask for once a minute.
fn patience(age: i64) -> Duration {
    Duration::from_secs(match age {
        ..10_000 => 5,
        10_000..60_000 => 15,
        _ => 60,
    })
}

/// A container's `status` is a sentence that holds the subcode: `Error: … 2207026`.
fn failure(status: &str) -> Error {
    let number = status
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse::<i64>().ok())
        .find(|n| (2_207_000..2_208_000).contains(n));
    let known = number.and_then(|n| own_table(0, n).map(|error| error.code(format!("0/{n}"))));
    known.unwrap_or_else(|| {
        Error::new(Class::Content, "Instagram could not use the picture or video.")
            .code("container_error")
    })
}

/// Older documents say that nothing can be deleted: codes 10 and 100 then mean just that.
fn undeletable(error: Error) -> Error {
    if !matches!(error.code.as_deref().and_then(|c| c.split('/').next()), Some("10" | "100")) {
        return error;
    }
    Error {
        class: Class::Config,
        action: Action::ActAtNetwork,
        sentence: "Instagram lets this post be deleted in its own app only.".to_owned(),
        ..error
    }
}

fn expired() -> Error {
    Error::new(Class::Transient, "Instagram's container expired before it was published.")
        .code("container_expired")
        .restart()
}

fn unknown_container() -> Error {
    let says = "Instagram does not know the container any more and lists no such post.";
    Error::new(Class::Unknown, says).code("container_unknown")
}

fn subcode(error: &Error) -> i64 {
    let code = error.code.as_deref().unwrap_or_default();
    code.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Instagram's own codes; `restart` where only a new container helps.
fn own_table(code: i64, sub: i64) -> Option<Error> {
    let content = |says: &str| Error::new(Class::Content, says);
    let policy = |says: &str| Error::new(Class::Policy, says);
    let again = |says: &str| Error::new(Class::Transient, says).restart();
    Some(match (code, sub) {
        (_, 2207003) => again("Instagram took too long to fetch the picture or video."),
        (_, 2207020) => again("The picture or video expired at Instagram."),
        (_, 2207001) => again("Instagram had a failure of its own.").maybe_applied(),
        (_, 2207032 | 2207053) => again("Instagram failed to take the picture or video in."),
        (_, 2207057) => content("The cover's time is outside of the video."),
        (_, 2207051) => policy("Instagram holds the activity for spam."),
        (9, _) | (_, 2207042) => {
            Error::new(Class::Quota, "The account's posts for 24 hours are used up.")
        }
        (_, 2207006) => again("Instagram does not find the media, or the token may not see it."),
        (_, 2207008) => Error::new(Class::Transient, "Instagram does not find the container yet.")
            .retry_after(Some(Duration::from_secs(30))),
        (25, _) | (_, 2207050) => policy("The account is restricted: open Instagram and see why."),
        (_, 2207023) => content("Instagram does not know this type of media."),
        (_, 2207028) => content("A carousel takes 2 to 10 pictures and videos."),
        (_, 2207035 | 2207036 | 2207037 | 2207040) => content("The product tags are refused."),
        (352, _) | (_, 2207026) => content("The video has a format that Instagram does not take."),
        // Our file was checked before: what keeps it from being fetched (we are away, or our database
        // is) passes, and may last longer than a second try.
        (9004, _) | (_, 2207052) => {
            again("Instagram could not fetch the picture or video from us.")
        }
        (9007, _) | (_, 2207027) => {
            Error::new(Class::Transient, "The picture or video is not ready yet.")
                .retry_after(Some(Duration::from_secs(10)))
        }
        (36000, _) | (_, 2207004) => content("The picture is larger than 8 MB."),
        (36001, _) | (_, 2207005) => content("The picture is not a JPEG."),
        (36003, _) | (_, 2207009) => content("The picture's shape is outside of 4:5 to 1.91:1."),
        (36004, _) | (_, 2207010) => {
            content("The caption has more than 2,200 characters, 30 hashtags or 20 mentions.")
        }
        (_, 2207077) => again("Instagram could not fetch the video."),
        (_, 2207081) => content("The account cannot post trial reels."),
        (_, 2207082) => again("The upload to Instagram failed."),
        (_, 2207085) => content("Instagram refuses the media without saying why."),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_container_is_made_only_where_that_helps() {
        let anew = |sub: i64| own_table(0, sub).is_some_and(|error| error.restart);
        let helps =
            [2207001, 2207003, 2207006, 2207020, 2207032, 2207052, 2207053, 2207077, 2207082];
        assert_eq!((2207000..2207100).filter(|sub| anew(*sub)).collect::<Vec<_>>(), helps);
    }

    #[test]
    fn a_containers_failure_is_read_from_its_status() {
        let error = failure("Error: Media upload has failed with error code 2207009");
        assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("0/2207009")));
        assert!(failure("Error: 2207003 timed out").restart);
        assert_eq!(failure("Error").code.as_deref(), Some("container_error"));
    }

    #[test]
    fn a_deletion_that_is_not_possible_is_said_so() {
        let refused = |code: &str| undeletable(Error::new(Class::Auth, "No.").code(code));
        for code in ["10", "100", "100/33"] {
            assert_eq!(
                (refused(code).class, refused(code).code.as_deref()),
                (Class::Config, Some(code))
            );
        }
        assert_eq!(refused("190/463").class, Class::Auth);
    }
}
