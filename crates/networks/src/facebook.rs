//! Facebook Pages through the Graph API v25.0; documents checked 2026-11-22.
//!
//! Keys: a Meta app with `pages_manage_posts` and `pages_read_engagement`, and the page's own
//! access token (`GET /me/accounts` with a long-lived user token); own pages need no App Review.
//! A first comment needs `pages_manage_engagement` as well.
//!
//! Every photo is first uploaded unpublished, whether one or ten, so that one `POST /{page}/feed`
//! makes each post visible. There is no idempotency key: after an unknown outcome the page's posts
//! are read and compared. Error 506 is a guess of theirs about content, never a proof.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::Form;
use serde::Deserialize;

use crate::error::{Class, Error};
use crate::http::Reply;
use crate::meta::{self, Made};
use crate::oauth::Life;
use crate::spec::{
    Abilities, Count, Derivative, Field, MediaRule, Placement, SendClass, Spec, Text,
};
use crate::text::normalise;
use crate::{Context, Identity, Network, Prepared, Published, Remote, Rendition, Window};

pub struct Facebook;

const TEXT: Text = Text {
    max: 63_206,
    count: Count::Chars,
    max_bytes: None,
    max_with_media: None,
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
            text: TEXT,
            media: PICTURES,
            options: &[],
        },
        Placement {
            id: "comment",
            name: "First comment",
            send: SendClass::Readable { lag: Duration::from_secs(60) },
            follows: &["feed"],
            in_budget: false,
            // The reference of `POST /{post}/comments` names no limit; this is the site's own.
            text: Text { max: 8_000, required: true, ..TEXT },
            media: MediaRule { max: 0, ..PICTURES },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: None,
    life: Life::Endless,
    budgets: &[],
};

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

impl Post {
    fn created(&self) -> Option<i64> {
        meta::millis(&self.created_time)
    }

    /// Pictures in the post; `None` when the network did not say.
    fn photos(&self) -> Option<usize> {
        let attachments = self.attachments.as_ref()?;
        Some(attachments.data.iter().map(Attachment::photos).sum())
    }
}

impl Attachment {
    /// A link's preview is an attachment too, but no picture of ours.
    fn photos(&self) -> usize {
        match &self.subattachments {
            Some(album) => album.data.len(),
            None => usize::from(self.media_type == "photo"),
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
        let url = meta::address(cx, &[cx.account.setting("pageId")?, "photos"])?;
        for (i, media) in out.media.iter().enumerate() {
            let key = format!("photo:{i}");
            if cx.saved_str(&key).is_some() {
                continue;
            }
            let mut form = Form::new().text("published", "false").part("source", media.part()?);
            if !media.alt.is_empty() {
                form = form.text("alt_text_custom", media.alt.clone());
            }
            let photo: Made = meta::call(cx, self, cx.http.post(&url).multipart(form)).await?;
            cx.checkpoint(&key, photo.id).await?;
        }
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        if out.placement == "comment" {
            let url = meta::address(cx, &[&out.follows()?.parent.id, "comments"])?;
            let form = [("message", out.text.as_str()), ("fields", "id,permalink_url")];
            let comment: Made = meta::call(cx, self, cx.http.post(&url).form(&form)).await?;
            return Ok(Published::Accepted(Remote { id: comment.id, url: comment.permalink }));
        }
        let url = meta::address(cx, &[cx.account.setting("pageId")?, "feed"])?;
        let mut form = vec![("fields".to_owned(), "id,permalink_url".to_owned())];
        if !out.text.is_empty() {
            form.push(("message".to_owned(), out.text.clone()));
        }
        for i in 0..out.media.len() {
            let photo = cx.saved_str(&format!("photo:{i}")).ok_or_else(meta::not_prepared)?;
            let attached = serde_json::json!({ "media_fbid": photo }).to_string();
            form.push((format!("attached_media[{i}]"), attached));
        }
        let post: Made = meta::call(cx, self, cx.http.post(&url).form(&form)).await?;
        Ok(Published::Accepted(Remote { id: post.id, url: post.permalink }))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        // The network counts in whole seconds.
        let since = window.since.div_euclid(1000) * 1000;
        if out.placement == "comment" {
            return self.comments(cx, out, Window { since, ..window }).await;
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
                    && post.photos().is_none_or(|n| n == out.media.len())
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

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        meta::delete(cx, self, remote_id).await
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        meta::parse(reply, SPEC.name, |_, _| None)
    }
}

impl Facebook {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_are_counted_alone_and_in_albums_but_previews_of_links_are_not() {
        let photos = |attachments: &str| {
            let post =
                format!(r#"{{"id":"1_2","created_time":"2026-11-22T10:00:00+0000"{attachments}}}"#);
            serde_json::from_str::<Post>(&post).unwrap().photos()
        };
        assert_eq!(photos(""), None);
        assert_eq!(photos(r#","attachments":{"data":[{"media_type":"photo"}]}"#), Some(1));
        assert_eq!(photos(r#","attachments":{"data":[{"media_type":"link"}]}"#), Some(0));
        let album = r#","attachments":{"data":[{"media_type":"album","subattachments":{"data":[{},{},{}]}}]}"#;
        assert_eq!(photos(album), Some(3));
    }
}
