//! Facebook Pages through the Graph API v25.0; documents checked 2026-11-22.
//!
//! Keys: a Meta app with `pages_show_list`, `pages_manage_posts` and `pages_read_engagement`, and
//! the page's own access token (`GET /me/accounts` with a long-lived user token); own pages need no
//! App Review. A first comment needs `pages_manage_engagement` as well. A page's token has no end
//! and no renewal. It is not given back when a connection ends: the network only knows how to take
//! the whole app from the person, which would end the tokens of all their pages.
//!
//! Every photo is first uploaded unpublished, whether one or ten, so that one `POST /{page}/feed`
//! makes each post visible. There is no idempotency key: after an unknown outcome the page's posts
//! are read and compared. Error 506 is a guess of theirs about content, never a proof.
//! A video or reel is uploaded under an id that can be asked whether it was published; a story is
//! found again by the id of the photo or video that it shows.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::Form;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Class, Error};
use crate::facebook_video::number;
use crate::http::Reply;
use crate::meta::{self, Made};
use crate::oauth::Life;
use crate::spec::{
    Abilities, Budget, Choice, Count, Derivative, Edit, Field, Kind, MediaRule, Metric, Placement,
    SendClass, Spec, Text, VideoRule,
};
use crate::text::{normalise, urls};
use crate::{
    Context, Grant, Identity, Media, Network, Numbers, Polled, Prepared, Published, Remote,
    Rendition, Target, Tokens, Window, numbers,
};

pub struct Facebook;

const TEXT: Text = Text {
    max: 63_206,
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
    max: 10,
    types: &["image/jpeg", "image/png"],
    max_bytes: 4 << 20,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 1_000,
    video: None,
};

const VIDEO: VideoRule = VideoRule {
    max: 1,
    types: &["video/mp4", "video/quicktime"],
    // The documents give no limits for videos of a page; these are those of older ones.
    max_bytes: 10_000_000_000,
    seconds: (1, 4 * 3_600),
    ratio: None,
    side: None,
    mixed: false,
};

/// 9:16, with room for a pixel.
const UPRIGHT: Option<(f32, f32)> = Some((0.55, 0.575));

const REEL: VideoRule = VideoRule {
    types: &["video/mp4"],
    seconds: (3, 90),
    ratio: UPRIGHT,
    side: Some((540, 1_920)),
    ..VIDEO
};

pub static SPEC: Spec = Spec {
    id: "facebook",
    name: "Facebook",
    code: "FB",
    base_url: meta::BASE,
    fields: &[
        Field {
            key: "pageId",
            label: "Page ID",
            help: "On the page: About, Page transparency. A number.",
            secret: false,
            required: true,
        },
        Field {
            key: "accessToken",
            label: "Page access token",
            help: "From `GET /me/accounts` with a long-lived user token: the token of this page, \
                   not the person's.",
            secret: true,
            required: true,
        },
    ],
    placements: &[
        Placement {
            id: "feed",
            name: "Page post",
            send: SendClass::Readable { lag: Duration::from_secs(60) },
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
            options: &[Choice {
                key: "link",
                label: "Link preview",
                help: "The address whose preview the post shows, where it has no pictures. Empty: \
                       the first one in the text.",
                required: false,
                kind: Kind::Link,
            }],
        },
        Placement {
            id: "video",
            name: "Video",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::TitleAndText,
            measures: &[Metric::Likes, Metric::Comments],
            text: Text { title_max: Some(255), ..TEXT },
            media: MediaRule {
                min: 1,
                max: 1,
                types: &[],
                alt_max: 0,
                video: Some(VIDEO),
                ..PICTURES
            },
            options: &[],
        },
        Placement {
            id: "reel",
            name: "Reel",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[Metric::Likes, Metric::Comments],
            text: TEXT,
            media: MediaRule {
                min: 1,
                max: 1,
                types: &[],
                alt_max: 0,
                video: Some(REEL),
                ..PICTURES
            },
            options: &[],
        },
        Placement {
            id: "story",
            name: "Story",
            send: SendClass::Readable { lag: Duration::from_secs(60) },
            follows: &[],
            in_budget: true,
            edit: Edit::No,
            measures: &[],
            // Shown without it.
            text: TEXT,
            media: MediaRule {
                min: 1,
                max: 1,
                derivative: Derivative::Story,
                alt_max: 0,
                video: Some(VideoRule { seconds: (3, 60), ..REEL }),
                ..PICTURES
            },
            options: &[],
        },
        Placement {
            id: "comment",
            name: "First comment",
            send: SendClass::Readable { lag: Duration::from_secs(60) },
            follows: &["feed", "video", "reel"],
            in_budget: false,
            edit: Edit::Text,
            measures: &[Metric::Likes, Metric::Comments],
            // The reference of `POST /{post}/comments` names no limit; this is the site's own.
            text: Text { max: 8_000, required: true, ..TEXT },
            media: MediaRule { max: 0, ..PICTURES },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(meta::consent(
        &[
            "pages_show_list",
            "pages_manage_posts",
            "pages_read_engagement",
            "pages_manage_engagement",
        ],
        &["read_insights"],
        &[
            "Open developers.facebook.com, My Apps, Create App, and choose the type Business.",
            "Add the product Facebook Login for Business, and paste the redirect address from below \
             under Valid OAuth Redirect URIs.",
            "Under App Review, Permissions, ask for `pages_show_list`, `pages_manage_posts`, \
             `pages_read_engagement` and `pages_manage_engagement`, and for `read_insights` to \
             see numbers. Pages of people with a role in the app work without review.",
            "Copy the app ID and the app secret from App settings, Basic.",
        ],
    )),
    life: Life::Endless,
    // Other posts have no such limit.
    budgets: &[Budget { posts: 30, per: Duration::from_secs(86_400), of: &["reel"] }],
};

/// What only insights tell of a post of the page.
const INSIGHTS: [(Metric, &str); 3] = [
    (Metric::Views, "post_media_view"),
    (Metric::Reach, "post_total_media_view_unique"),
    (Metric::Clicks, "post_clicks"),
];

/// Under this name it is kept that a post goes out without the preview of its link.
const PLAIN: &str = "without_preview";

#[derive(Deserialize)]
struct Profile {
    id: String,
    name: Option<String>,
    username: Option<String>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    #[serde(default)]
    message: String,
    created_time: String,
    permalink_url: Option<String>,
    attachments: Option<Edge<Attachment>>,
}

#[derive(Deserialize)]
struct Comment {
    id: String,
    #[serde(default)]
    message: String,
    created_time: String,
    permalink_url: Option<String>,
    /// Absent where the token may not see who wrote it.
    from: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    id: String,
}

#[derive(Deserialize)]
struct Edge<T> {
    data: Vec<T>,
}

#[derive(Deserialize)]
struct Attachment {
    #[serde(default)]
    media_type: String,
    subattachments: Option<Edge<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
pub(crate) struct Done {
    #[serde(default)]
    pub(crate) success: bool,
    /// Of a story; a number now and then.
    post_id: Option<Value>,
}

#[derive(Deserialize)]
struct Story {
    post_id: Value,
    #[serde(deserialize_with = "number")]
    creation_time: u64,
    media_id: Option<Value>,
    url: Option<String>,
}

/// An id that is text or a number.
fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

impl Post {
    fn created(&self) -> Option<i64> {
        meta::millis(&self.created_time)
    }

    /// Pictures and videos in the post; `None` when the network did not say.
    fn media(&self) -> Option<usize> {
        let attachments = self.attachments.as_ref()?;
        Some(attachments.data.iter().map(Attachment::media).sum())
    }
}

impl Attachment {
    /// A link's preview is an attachment too, but no picture of ours.
    fn media(&self) -> usize {
        match &self.subattachments {
            Some(album) => album.data.len(),
            None => usize::from(matches!(self.media_type.as_str(), "photo" | "video")),
        }
    }
}

#[async_trait]
impl Network for Facebook {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    /// Pages can be read with anybody's token, so the token's own identity must be the page.
    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let page_id = cx.account.setting("pageId")?;
        let url = meta::address(cx, &[page_id])?;
        let page: Profile =
            meta::call(cx, self, cx.http.get(&url).query(&[("fields", "id,name,username")]))
                .await?;
        let url = meta::address(cx, &["me"])?;
        let bearer: Profile =
            meta::call(cx, self, cx.http.get(&url).query(&[("fields", "id,name")])).await?;
        let name = |p: Profile| p.name.or(p.username).unwrap_or(p.id);
        if page.id != bearer.id {
            let says = format!(
                "The access token belongs to “{}”, not to the page “{}”.",
                name(bearer),
                name(page)
            );
            return Err(Error::new(Class::Auth, says).code("other_page"));
        }
        Ok(Identity { remote_id: page.id.clone(), name: name(page), ..Identity::default() })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        match (out.placement.as_str(), out.media.as_slice()) {
            ("video", [film]) => self.send_chunks(cx, film).await,
            ("reel", [film]) => self.send_film(cx, "video_reels", film).await,
            ("story", [film]) if film.is_video() => {
                match self.send_film(cx, "video_stories", film).await? {
                    Prepared::Ready => self.processed(cx).await,
                    waiting => Ok(waiting),
                }
            }
            ("story", photo @ [_]) => self.send_photos(cx, photo).await,
            ("video" | "reel" | "story", _) => {
                Err(Error::new(Class::Content, "A video, reel or story takes exactly one file."))
            }
            (_, []) => Ok(Prepared::Ready),
            _ if out.option("link").is_some() => {
                let says = "A post with pictures shows no preview of a link: put it into the text.";
                Err(Error::new(Class::Content, says).code("link_and_pictures"))
            }
            (_, pictures) => self.send_photos(cx, pictures).await,
        }
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let page = cx.account.setting("pageId")?;
        match out.placement.as_str() {
            "comment" => {
                let url = meta::address(cx, &[&out.follows()?.parent.id, "comments"])?;
                let form = [("message", out.text.as_str()), ("fields", "id,permalink_url")];
                let comment: Made = meta::call(cx, self, cx.http.post(&url).form(&form)).await?;
                Ok(Published::Accepted(Remote { id: comment.id, url: comment.permalink }))
            }
            "story" => self.show_story(cx, page).await,
            "video" | "reel" => self.finish(cx, page, out).await,
            _ => self.post(cx, page, out).await,
        }
    }

    async fn poll(&self, cx: &Context<'_>, _out: &Rendition) -> Result<Polled, Error> {
        self.published(cx).await
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        // The network counts in whole seconds.
        let since = window.since.div_euclid(1000) * 1000;
        match out.placement.as_str() {
            "comment" => return self.comments(cx, out, Window { since, ..window }).await,
            "story" => return self.stories(cx, since).await,
            _ => {}
        }
        let fields = "id,message,created_time,permalink_url,attachments{subattachments,media_type}";
        let query = [
            ("fields", fields.to_owned()),
            ("since", (since / 1000).to_string()),
            ("limit", "25".to_owned()),
        ];
        let path = [cx.account.setting("pageId")?, "published_posts"];
        let listing = meta::list(cx, self, &path, &query, |post: &Post| {
            post.created().is_some_and(|at| at < since)
        })
        .await?;
        let text = normalise(&out.text);
        let found: Vec<Remote> = listing
            .items
            .into_iter()
            .filter(|post| {
                post.created().is_some_and(|at| (since..=window.until).contains(&at))
                    && post.media().is_none_or(|n| n == out.media.len())
                    && normalise(&post.message) == text
            })
            .map(|post| Remote { id: post.id, url: post.permalink_url })
            .collect();
        if found.is_empty() && !listing.complete {
            let says = "The page has more posts in this time than can be looked through.";
            return Err(Error::new(Class::Transient, says).code("listing_too_long"));
        }
        Ok(found)
    }

    /// Of posts that this app has made. Of reels and stories the documents know no change.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let url = meta::address(cx, &[remote_id])?;
        let form = match out.placement.as_str() {
            "video" => vec![
                ("name", out.title.as_deref().unwrap_or_default()),
                ("description", out.text.as_str()),
            ],
            _ => vec![("message", out.text.as_str())],
        };
        match meta::call::<Done>(cx, self, cx.http.post(&url).form(&form)).await {
            Ok(done) if done.success => {
                Ok(Published::Accepted(Remote { id: remote_id.to_owned(), url: None }))
            }
            Ok(_) => Err(Error::garbled("no word of success")),
            // Missing, or no right to it: the connection's own state tells which.
            Err(error) if meta::is_missing(&error) => {
                self.check(cx).await?;
                let says = "Facebook does not have this post any more.";
                Err(error.becomes(Class::Content, says))
            }
            Err(error) => Err(error),
        }
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        placement: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        placement.measured()?;
        let counters = match placement.id {
            "feed" => {
                "reactions.limit(0).summary(total_count),comments.limit(0).summary(total_count),shares"
            }
            "comment" => "like_count,comment_count",
            _ => "likes.limit(0).summary(total_count),comments.limit(0).summary(total_count)",
        };
        let request = cx.http.get(&meta::address(cx, &[remote_id])?);
        let post = meta::counted(cx, self, request.query(&[("fields", counters)])).await?;
        let mut numbers = numbers::read(
            &post,
            &[
                (Metric::Likes, "/reactions/summary/total_count"),
                (Metric::Likes, "/likes/summary/total_count"),
                (Metric::Likes, "/like_count"),
                (Metric::Comments, "/comments/summary/total_count"),
                (Metric::Comments, "/comment_count"),
                (Metric::Shares, "/shares/count"),
            ],
        );
        if placement.id == "feed" {
            let url = meta::address(cx, &[remote_id, "insights"])?;
            numbers.extend(meta::insights(cx, self, &url, &INSIGHTS).await?);
        }
        Ok(numbers)
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        meta::delete(cx, self, remote_id).await
    }

    async fn exchange(&self, cx: &Context<'_>, grant: &Grant) -> Result<Tokens, Error> {
        meta::exchange(cx, self, grant).await
    }

    /// The person's pages; each brings its own token.
    async fn targets(&self, cx: &Context<'_>) -> Result<Vec<Target>, Error> {
        let pages = meta::pages(cx, self, "id,name,access_token,tasks").await?;
        let target = |page: meta::Managed| {
            let (problem, token) = match page.token() {
                Ok(token) => (None, Some(("accessToken".to_owned(), token))),
                Err(problem) => (Some(problem), None),
            };
            Target {
                settings: [("pageId".to_owned(), page.id.clone())].into(),
                secrets: token.into_iter().collect(),
                id: page.id,
                name: page.name,
                problem,
            }
        };
        Ok(pages.into_iter().map(target).collect())
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        meta::parse(reply, SPEC.name, |_, _| None)
    }
}

impl Facebook {
    /// Each photo unpublished, those that are there already left alone.
    async fn send_photos(&self, cx: &Context<'_>, all: &[Media]) -> Result<Prepared, Error> {
        for (i, media) in all.iter().enumerate() {
            self.send_photo(cx, &format!("photo:{i}"), media).await?;
        }
        Ok(Prepared::Ready)
    }

    async fn send_photo(&self, cx: &Context<'_>, name: &str, media: &Media) -> Result<(), Error> {
        if cx.saved_str(name).is_some() {
            return Ok(());
        }
        let url = meta::address(cx, &[cx.account.setting("pageId")?, "photos"])?;
        let mut form = Form::new().text("published", "false").part("source", media.part()?);
        if !media.alt.is_empty() {
            form = form.text("alt_text_custom", media.alt.clone());
        }
        let photo: Made = meta::call(cx, self, cx.http.post(&url).multipart(form)).await?;
        cx.checkpoint(name, photo.id).await
    }

    async fn show_story(&self, cx: &Context<'_>, page: &str) -> Result<Published, Error> {
        let (edge, form) = match (cx.saved_str("photo:0"), cx.saved_str("video")) {
            (Some(photo), _) => ("photo_stories", vec![("photo_id", photo)]),
            (None, Some(video)) => {
                let finish = ("upload_phase", "finish".to_owned());
                ("video_stories", vec![finish, ("video_id", video)])
            }
            (None, None) => return Err(meta::not_prepared()),
        };
        let url = meta::address(cx, &[page, edge])?;
        let done: Done = meta::call(cx, self, cx.http.post(&url).form(&form)).await?;
        let id = done.post_id.as_ref().and_then(id_of).filter(|_| done.success);
        let id = id.ok_or_else(|| Error::garbled("no word of success"))?;
        Ok(Published::Accepted(Remote { id, url: None }))
    }

    async fn post(
        &self,
        cx: &Context<'_>,
        page: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let url = meta::address(cx, &[page, "feed"])?;
        let mut form = vec![("fields".to_owned(), "id,permalink_url".to_owned())];
        if !out.text.is_empty() {
            form.push(("message".to_owned(), out.text.clone()));
        }
        for i in 0..out.media.len() {
            let photo = cx.saved_str(&format!("photo:{i}")).ok_or_else(meta::not_prepared)?;
            form.push((format!("attached_media[{i}]"), json!({ "media_fbid": photo }).to_string()));
        }
        let asked = out.option("link").is_some();
        let link = preview(out).filter(|_| asked || cx.saved(PLAIN).is_none());
        form.extend(link.clone().map(|link| ("link".to_owned(), link)));
        match meta::call::<Made>(cx, self, cx.http.post(&url).form(&form)).await {
            Ok(post) => Ok(Published::Accepted(Remote { id: post.id, url: post.permalink })),
            Err(e) if link.is_some() && !asked && is_about_link(&e) => {
                // Nobody asked for a preview: the post goes out without one.
                cx.checkpoint(PLAIN, true).await?;
                let says = "Facebook makes no preview of the link: the post goes out without it.";
                Err(e.becomes(Class::Transient, says))
            }
            Err(e) => Err(e),
        }
    }

    /// The story that shows what was uploaded for it.
    async fn stories(&self, cx: &Context<'_>, since: i64) -> Result<Vec<Remote>, Error> {
        let shown = cx.saved_str("photo:0").or_else(|| cx.saved_str("video"));
        // Without a handle nothing can have been asked for.
        let Some(shown) = shown else { return Ok(Vec::new()) };
        let query = [("since", (since / 1_000).to_string()), ("limit", "25".to_owned())];
        let path = [cx.account.setting("pageId")?, "stories"];
        let created =
            |story: &Story| i64::try_from(story.creation_time).unwrap_or(i64::MAX) * 1_000;
        let listing =
            meta::list(cx, self, &path, &query, |story: &Story| created(story) < since).await?;
        let (mut found, mut nameless) = (Vec::new(), false);
        for story in &listing.items {
            match story.media_id.as_ref().and_then(id_of) {
                Some(media) if media == shown => {
                    let url = story.url.clone();
                    found.extend(id_of(&story.post_id).map(|id| Remote { id, url }));
                }
                Some(_) => {}
                None => nameless = true,
            }
        }
        if found.is_empty() && (nameless || !listing.complete) {
            let says = "Facebook does not say which of the page's stories is this one.";
            return Err(Error::new(Class::Transient, says).code("stories_unclear"));
        }
        Ok(found)
    }

    /// The page's own comments on the post with this text.
    async fn comments(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let page = cx.account.setting("pageId")?;
        let query = [
            ("fields", "id,message,created_time,permalink_url,from".to_owned()),
            ("filter", "stream".to_owned()),
            ("order", "reverse_chronological".to_owned()),
            ("limit", "50".to_owned()),
        ];
        let created = |c: &Comment| meta::millis(&c.created_time);
        let path = [out.follows()?.parent.id.as_str(), "comments"];
        let listing = meta::list(cx, self, &path, &query, |c: &Comment| {
            created(c).is_some_and(|at| at < window.since)
        })
        .await?;
        let text = normalise(&out.text);
        let found: Vec<Remote> = listing
            .items
            .into_iter()
            .filter(|c| {
                created(c).is_some_and(|at| (window.since..=window.until).contains(&at))
                    && c.from.as_ref().is_none_or(|from| from.id == page)
                    && normalise(&c.message) == text
            })
            .map(|c| Remote { id: c.id, url: c.permalink_url })
            .collect();
        if found.is_empty() && !listing.complete {
            let says = "The post has more comments in this time than can be looked through.";
            return Err(Error::new(Class::Transient, says).code("listing_too_long"));
        }
        Ok(found)
    }
}

/// The address that the post shows a preview of.
fn preview(out: &Rendition) -> Option<String> {
    if !out.media.is_empty() {
        return None;
    }
    let first = || {
        let at = urls(&out.text).into_iter().next()?;
        let link = url::Url::parse(&out.text[at]).ok()?;
        let host = link.host_str()?;
        // Refused by the network.
        let own = ["facebook.com", "fb.com", "fb.me"];
        let own = own.iter().any(|own| host.strip_suffix(own).is_some_and(ends_a_label));
        (!own).then(|| link.into())
    };
    out.option("link").map(str::to_owned).or_else(first)
}

/// `www.` and nothing, but not `not-`.
fn ends_a_label(before: &str) -> bool {
    before.is_empty() || before.ends_with('.')
}

/// Was it refused for the link alone?
fn is_about_link(error: &Error) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    code.split('/').any(|part| matches!(part, "1609005" | "1609008" | "2061006"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_counted_alone_and_in_albums_but_previews_of_links_are_not() {
        let media = |attachments: &str| {
            let post =
                format!(r#"{{"id":"1_2","created_time":"2026-11-22T10:00:00+0000"{attachments}}}"#);
            serde_json::from_str::<Post>(&post).unwrap().media()
        };
        assert_eq!(media(""), None);
        assert_eq!(media(r#","attachments":{"data":[{"media_type":"photo"}]}"#), Some(1));
        assert_eq!(media(r#","attachments":{"data":[{"media_type":"video"}]}"#), Some(1));
        assert_eq!(media(r#","attachments":{"data":[{"media_type":"link"}]}"#), Some(0));
        let album = r#","attachments":{"data":[{"media_type":"album","subattachments":{"data":[{},{},{}]}}]}"#;
        assert_eq!(media(album), Some(3));
    }

    #[test]
    fn the_preview_is_of_what_was_asked_for_or_of_the_first_link_that_has_one() {
        let of = |text: &str, asked: &str| {
            let extra = [("link".to_owned(), asked.to_owned())].into();
            preview(&Rendition { text: text.to_owned(), extra, ..Rendition::default() })
        };
        let first = Some("https://a.example/x".to_owned());
        assert_eq!(of("See https://a.example/x, https://b.example", ""), first);
        assert_eq!(of("See https://b.example", " https://a.example/x"), first);
        assert_eq!(of("No link", ""), None);
        for own in ["https://www.facebook.com/x", "https://facebook.com", "https://fb.me/x"] {
            assert_eq!(of(own, ""), None, "{own}");
        }
        assert!(of("https://not-facebook.com/", "").is_some());
    }

    #[test]
    fn ids_are_read_as_text_and_as_numbers() {
        assert_eq!(id_of(&json!(1234)).as_deref(), Some("1234"));
        assert_eq!(id_of(&json!("1_2")).as_deref(), Some("1_2"));
        assert_eq!(id_of(&json!(null)), None);
    }
}
