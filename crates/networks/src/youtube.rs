//! YouTube Data API v3: resumable uploads; checked 2026-11-22.
//!
//! Keys: a project at console.cloud.google.com with the “YouTube Data API v3” switched on and an
//! OAuth client. The consent page picks one channel. Uploads of projects that Google has not
//! audited stay private whatever is asked; `publish` sees that and says so.
//!
//! The handle is the upload: its session's address (good for days, and whoever has it can write to
//! it) until the last byte has arrived, then the id of a private video. `prepare` uploads, sets the
//! thumbnail and waits until YouTube has processed the film; the one visible call changes the
//! privacy of the known id, which may be repeated, and `poll` reads that privacy. A session that
//! ends after its last byte and before its answer was read leaves a private video nobody sees.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::quote;
use crate::google::{self, Said, title_and_text};
use crate::http::Reply;
use crate::oauth::Life;
use crate::spec::{
    Abilities, Budget, Choice, Count, Derivative, Edit, Field, Kind, MediaRule, Metric, Pick,
    Placement, Text, VideoRule,
};
use crate::text::normalise;
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Numbers, Polled, Prepared, Published,
    Remote, Rendition, SendClass, Spec, Window, numbers,
};

pub struct YouTube;

/// Bytes of one request: a multiple of 256 KiB, as every piece but the last has to be.
const PIECE: usize = 8 << 20;
/// Most characters of a title.
const TITLE: usize = 100;
/// People and blogs: where nothing else is chosen.
const CATEGORY: &str = "22";
/// A film that takes longer to process is published all the same; it appears when it is done.
const PATIENCE: i64 = 30 * 60_000;
/// How long a fresh upload may be missing from answers.
const LAG: i64 = 2 * 60_000;
/// Most pages of 100 comments that a look-up reads before it says that it cannot tell.
const MAX_PAGES: usize = 5;

const TEXT: Text = Text {
    max: 5_000,
    count: Count::Chars,
    max_bytes: Some(5_000),
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: Some(TITLE),
    required: false,
};

const FILM: VideoRule = VideoRule {
    max: 1,
    types: &["video/mp4", "video/quicktime", "video/webm"],
    max_bytes: 256 << 30,
    seconds: (1, 43_200),
    ratio: None,
    side: None,
    mixed: false,
};

const MEDIA: MediaRule = MediaRule {
    min: 1,
    max: 1,
    types: &[],
    max_bytes: 0,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 0,
    video: Some(FILM),
};

const OPTIONS: &[Choice] = &[
    Choice {
        key: "visibility",
        label: "Who can see it",
        help: "Without a choice everybody can.",
        required: false,
        kind: Kind::OneOf {
            picks: &[
                Pick { value: "public", label: "Everybody" },
                Pick { value: "unlisted", label: "Whoever has the link" },
                Pick { value: "private", label: "Nobody but the channel" },
            ],
        },
    },
    Choice {
        key: "tags",
        label: "Tags",
        help: "Words that people search for, apart by commas; none by default.",
        required: false,
        kind: Kind::Words { max: 500 },
    },
    Choice {
        key: "thumbnail",
        label: "Thumbnail",
        help: "The picture shown before the film plays; YouTube picks one by itself.",
        required: false,
        kind: Kind::Picture { max_bytes: 2 << 20 },
    },
    Choice {
        key: "madeForKids",
        label: "Made for children",
        help: "The law asks for it; without an answer it is not made for them.",
        required: false,
        kind: Kind::Flag,
    },
];

pub static SPEC: Spec = Spec {
    id: "youtube",
    name: "YouTube",
    code: "YT",
    base_url: "https://www.googleapis.com",
    fields: &[
        Field {
            key: "channelId",
            label: "Channel",
            help: "Its id begins with UC; the check fills it in.",
            secret: false,
            required: false,
        },
        google::ACCESS,
        google::REFRESH,
    ],
    placements: &[
        Placement {
            id: "video",
            name: "Video",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::TitleAndText,
            measures: &[Metric::Views, Metric::Likes, Metric::Comments],
            text: TEXT,
            media: MEDIA,
            options: OPTIONS,
        },
        // YouTube makes a Short of every film of this shape and length.
        Placement {
            id: "short",
            name: "Short",
            send: SendClass::Handle,
            follows: &[],
            in_budget: true,
            edit: Edit::TitleAndText,
            measures: &[Metric::Views, Metric::Likes, Metric::Comments],
            text: TEXT,
            media: MediaRule {
                video: Some(VideoRule { seconds: (1, 180), ratio: Some((0.4, 1.0)), ..FILM }),
                ..MEDIA
            },
            options: OPTIONS,
        },
        Placement {
            id: "comment",
            name: "First comment",
            send: SendClass::Readable { lag: Duration::from_secs(60) },
            follows: &["video", "short"],
            in_budget: false,
            edit: Edit::Text,
            measures: &[Metric::Likes],
            text: Text { max: 10_000, max_bytes: None, title_max: None, required: true, ..TEXT },
            media: MediaRule { min: 0, max: 0, video: None, ..MEDIA },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: false },
    oauth: Some(google::oauth(
        &[
            "https://www.googleapis.com/auth/youtube.upload",
            "https://www.googleapis.com/auth/youtube.readonly",
            "https://www.googleapis.com/auth/youtube.force-ssl",
        ],
        &[
            "At console.cloud.google.com switch on the “YouTube Data API v3”.",
            "Publish the consent screen: while it is in testing every connection ends after a week.",
            "Make an OAuth client of the type “Web application” with this installation's address \
             for redirects, and enter its id and secret.",
            "Ask Google for the API audit: until then every upload stays private.",
        ],
    )),
    life: Life::Rotating,
    // Of the whole project, so less where it has several channels. Uploads have a budget of their
    // own; of the 10,000 units for all else making a video visible costs 50, and so does a comment.
    budgets: &[
        Budget { posts: 100, per: Duration::from_secs(86_400), of: &["video", "short"] },
        Budget { posts: 100, per: Duration::from_secs(86_400), of: &["comment"] },
    ],
};

#[derive(Deserialize)]
struct List<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
    #[serde(rename = "nextPageToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Channel {
    id: String,
    snippet: Titled,
}

#[derive(Deserialize)]
struct Titled {
    title: String,
}

#[derive(Deserialize)]
struct Video {
    id: String,
    #[serde(default)]
    snippet: Value,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    upload_status: String,
    privacy_status: String,
    failure_reason: Option<String>,
    rejection_reason: Option<String>,
}

#[derive(Deserialize)]
struct Thread {
    snippet: Top,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Top {
    top_level_comment: Comment,
}

#[derive(Deserialize)]
struct Comment {
    id: String,
    snippet: Spoken,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spoken {
    /// Given to its author only.
    text_original: Option<String>,
    #[serde(default)]
    text_display: String,
    author_channel_id: Option<Author>,
    published_at: jiff::Timestamp,
}

#[derive(Deserialize)]
struct Author {
    value: String,
}

/// An upload under way, as it is saved.
struct Session {
    uri: String,
    total: u64,
}

/// What an upload answers to a piece, or to the question how far it is.
enum Progress {
    /// So many bytes have arrived.
    At(u64),
    Done(String),
    /// The session is over.
    Dead,
}

#[async_trait]
impl Network for YouTube {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let channel = self.channel(cx).await?;
        if cx.account.setting("channelId").is_ok_and(|own| own != channel.id) {
            let title = quote(&channel.snippet.title);
            let says = format!("The access token belongs to another channel, “{title}”.");
            return Err(Error::new(Class::Auth, says).code("other_channel"));
        }
        Ok(Identity {
            remote_id: channel.id.clone(),
            name: channel.snippet.title,
            settings: [("channelId".to_owned(), channel.id)].into(),
        })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if out.placement == "comment" {
            return Ok(Prepared::Ready);
        }
        resource(out, "private")?;
        let film = out.media.iter().find(|media| media.is_video());
        let film = film.ok_or_else(|| {
            Error::new(Class::Content, "A post on YouTube needs a film.").code("no_film")
        })?;
        let id = match video(cx) {
            Some((id, _)) => id,
            None => self.upload(cx, out, film).await?,
        };
        self.thumbnail(cx, out, &id).await?;
        self.processed(cx).await
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        if out.placement == "comment" {
            return self.comment(cx, out).await;
        }
        let Some((id, _)) = video(cx) else {
            let why = "The film of this post is not at YouTube yet.";
            return Err(Error::new(Class::Transient, why).code("not_prepared").restart());
        };
        let mut body = resource(out, visibility(out))?;
        body["id"] = json!(id);
        let url = format!("{}/youtube/v3/videos", cx.base);
        let request = cx.http.request(Method::PUT, &url).query(&[("part", "snippet,status")]);
        let video: Video = google::call(cx, self, request.json(&body)).await?;
        match video.status {
            Some(status) if status.privacy_status != visibility(out) => Err(locked()),
            _ => Ok(Published::Accepted(remote(cx, out, video.id))),
        }
    }

    async fn poll(&self, cx: &Context<'_>, out: &Rendition) -> Result<Polled, Error> {
        let Some((id, _)) = video(cx) else {
            let why = "The film of this post is not at YouTube yet.";
            return Ok(Polled::Gone(Error::new(Class::Transient, why).restart()));
        };
        let Some(status) = self.status(cx, &id).await? else {
            // Not a new upload: should the answer be wrong, that would be a second video.
            let why = "The video is no longer at YouTube.";
            return Ok(Polled::Gone(Error::new(Class::Content, why).code("videoNotFound")));
        };
        if let Some(error) = failure(&status) {
            return Ok(Polled::Gone(error));
        }
        Ok(match status.privacy_status == visibility(out) {
            true => Polled::Published(remote(cx, out, id)),
            false => Polled::NotPublished,
        })
    }

    /// Comments only.
    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let on = &out.follows()?.parent;
        let own = match cx.account.setting("channelId") {
            Ok(id) => id.to_owned(),
            Err(_) => self.channel(cx).await?.id,
        };
        // Times are in whole seconds.
        let since = window.since.div_euclid(1_000) * 1_000;
        let wanted = normalise(&out.text);
        let at = |comment: &Comment| comment.snippet.published_at.as_millisecond();
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let url = format!("{}/youtube/v3/commentThreads", cx.base);
            let mut request = cx.http.get(&url).query(&[
                ("part", "snippet"),
                ("videoId", &on.id),
                ("order", "time"),
                ("maxResults", "100"),
                ("textFormat", "plainText"),
            ]);
            if let Some(token) = &after {
                request = request.query(&[("pageToken", token)]);
            }
            let page: List<Thread> = google::call(cx, self, request).await?;
            let comments = page.items.into_iter().map(|thread| thread.snippet.top_level_comment);
            let comments: Vec<Comment> = comments.collect();
            let enough = comments.last().is_some_and(|last| at(last) < since);
            let ours = comments.into_iter().filter(|comment| {
                let said = &comment.snippet;
                let text = said.text_original.as_ref().unwrap_or(&said.text_display);
                (since..=window.until).contains(&at(comment))
                    && said.author_channel_id.as_ref().is_some_and(|author| author.value == own)
                    && normalise(text) == wanted
            });
            found.extend(ours.map(|comment| comment_on(cx, &on.id, comment.id)));
            after = page.next.filter(|token| !token.is_empty());
            if enough || after.is_none() {
                return Ok(found);
            }
        }
        let why = "The video has had too many comments since then to look through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let url = format!("{}/youtube/v3/{}", cx.base, edge(remote_id)?);
        let request = cx.http.put(&url).query(&[("part", "snippet")]);
        if out.placement == "comment" {
            let body = json!({ "id": remote_id, "snippet": { "textOriginal": out.text } });
            let comment: Comment = google::call(cx, self, request.json(&body)).await?;
            return Ok(Published::Accepted(Remote { id: comment.id, url: None }));
        }
        let read = cx.http.get(&url).query(&[("part", "snippet"), ("id", remote_id)]);
        let there: List<Video> = google::call(cx, self, read).await.map_err(Error::harmless)?;
        let there = there.items.into_iter().find(|video| video.id == remote_id);
        let mut snippet = there.map(|video| video.snippet).ok_or_else(|| {
            Error::new(Class::Content, "The video is no longer at YouTube.").code("videoNotFound")
        })?;
        // What is left out of a part is taken away: tags and category are said again.
        let new = resource(out, visibility(out))?;
        for words in ["title", "description"] {
            snippet[words] = new["snippet"][words].clone();
        }
        let body = json!({ "id": remote_id, "snippet": snippet });
        let video: Video = google::call(cx, self, request.json(&body)).await?;
        Ok(Published::Accepted(remote(cx, out, video.id)))
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        placement: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        let part = if placement.id == "comment" { "snippet" } else { "statistics" };
        let url = format!("{}/youtube/v3/{}", cx.base, edge(remote_id)?);
        let request = cx.http.get(&url).query(&[("part", part), ("id", remote_id)]);
        let found: List<Value> = google::call(cx, self, request).await.map_err(Error::harmless)?;
        let there = found.items.first().ok_or_else(|| numbers::gone(SPEC.name))?;
        // Channels can hide likes, and have no comments.
        Ok(numbers::read(
            &there[part],
            &[
                (Metric::Views, "/viewCount"),
                (Metric::Likes, "/likeCount"),
                (Metric::Comments, "/commentCount"),
            ],
        ))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let url = format!("{}/youtube/v3/{}", cx.base, edge(remote_id)?);
        let reply = google::send(cx, cx.http.delete(&url).query(&[("id", remote_id)])).await?;
        let gone = reply.status.as_u16() == 404;
        if reply.ok() || gone { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let said = Said::of(reply);
        let (error, settled) = said.error(reply, SPEC.name);
        // The list of `errors` is what the documents go by.
        let error = if said.reason.is_empty() { error } else { error.code(&said.reason) };
        match by_reason(&said.reason) {
            Some((class, says)) => {
                let error = error.becomes(class, says);
                match said.reason.as_str() {
                    "quotaExceeded" | "dailyLimitExceeded" | "uploadLimitExceeded" => {
                        error.retry_after(midnight(reply))
                    }
                    "accessNotConfigured" => error.action(Action::AskOperator),
                    "forbidden"
                    | "accountDelegationForbidden"
                    | "ineligibleAccount"
                    | "youtubeSignupRequired"
                    | "commentsDisabled"
                    | "channelClosed"
                    | "channelSuspended" => error.action(Action::ActAtNetwork),
                    _ => error,
                }
            }
            None if settled => error,
            None if (400..500).contains(&reply.status.as_u16()) && !said.words.is_empty() => {
                let class = if reply.status.as_u16() == 403 { Class::Auth } else { Class::Content };
                error.becomes(class, format!("YouTube refuses the call: {}.", said.words))
            }
            None => error,
        }
    }
}

impl YouTube {
    /// The channel that the token was given for.
    async fn channel(&self, cx: &Context<'_>) -> Result<Channel, Error> {
        let url = format!("{}/youtube/v3/channels", cx.base);
        let request = cx.http.get(&url).query(&[("part", "id,snippet"), ("mine", "true")]);
        let list: List<Channel> = google::call(cx, self, request).await?;
        list.items.into_iter().next().ok_or_else(|| {
            Error::new(Class::Auth, "The Google account has no channel on YouTube.")
                .code("no_channel")
                .action(Action::ActAtNetwork)
        })
    }

    /// Brings the whole film to YouTube, from wherever an earlier try has left it.
    async fn upload(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        film: &Media,
    ) -> Result<String, Error> {
        let total = film.size();
        let (session, mut at) = match held(cx).filter(|session| session.total == total) {
            None => (self.begin(cx, out, film).await?, 0),
            Some(session) => match self.put(cx, &session, None).await? {
                Progress::At(at) => (session, at),
                Progress::Done(id) => return uploaded(cx, id).await,
                Progress::Dead => return Err(dropped(cx).await?),
            },
        };
        loop {
            let piece = film.piece(at, PIECE).await?;
            if piece.is_empty() {
                let why = "YouTube has the whole film and does not say so.";
                return Err(Error::new(Class::Transient, why).code("upload_stuck"));
            }
            match self.put(cx, &session, Some((at, piece))).await? {
                Progress::At(next) if next > at => at = next,
                Progress::At(_) => {
                    let why = "YouTube does not take more of the film at the moment.";
                    return Err(Error::new(Class::Transient, why).code("upload_stuck"));
                }
                Progress::Done(id) => return uploaded(cx, id).await,
                Progress::Dead => return Err(dropped(cx).await?),
            }
        }
    }

    /// Opens a session: everything about the video but its bytes, and private.
    async fn begin(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        film: &Media,
    ) -> Result<Session, Error> {
        let url = format!("{}/upload/youtube/v3/videos", cx.base);
        let request = cx
            .http
            .post(&url)
            .query(&[
                ("uploadType", "resumable"),
                ("part", "snippet,status"),
                ("notifySubscribers", "true"),
            ])
            .header("x-upload-content-length", film.size())
            .header("x-upload-content-type", &film.content_type)
            .json(&resource(out, "private")?);
        let reply = google::send(cx, request).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let Some(uri) = reply.header("location").map(str::to_owned) else {
            return Err(Error::garbled("no address to upload to").harmless());
        };
        let total = film.size();
        cx.checkpoint("session", json!({ "uri": uri, "total": total })).await?;
        Ok(Session { uri, total })
    }

    /// Sends a piece and where it begins; without one, asks how far the upload is.
    async fn put(
        &self,
        cx: &Context<'_>,
        session: &Session,
        piece: Option<(u64, bytes::Bytes)>,
    ) -> Result<Progress, Error> {
        let (range, body) = match piece {
            None => (format!("bytes */{}", session.total), bytes::Bytes::new()),
            Some((at, piece)) => {
                let last = at + piece.len() as u64 - 1;
                (format!("bytes {at}-{last}/{}", session.total), piece)
            }
        };
        let timeout = cx.time_for(body.len() as u64);
        let request = cx
            .http
            .request(Method::PUT, &session.uri)
            .header("content-length", body.len())
            .header("content-range", range)
            .body(body);
        // The address alone is enough to write to it; the token goes to Google only.
        let reply = match is_googles(cx, &session.uri) {
            true => {
                let token = cx.account.secret("accessToken")?;
                cx.http.send(request.bearer_auth(token.reveal()), timeout).await
            }
            false => cx.http.send(request, timeout).await,
        };
        let reply = reply.map_err(Error::harmless)?;
        match reply.status.as_u16() {
            200 | 201 => {
                let video: Video = reply.json().map_err(Error::harmless)?;
                Ok(Progress::Done(video.id))
            }
            308 => Ok(Progress::At(arrived(reply.header("range")))),
            404 | 410 => Ok(Progress::Dead),
            _ => Err(self.parse_error(&reply).harmless()),
        }
    }

    /// The chosen thumbnail. A film is not held back because of it: channels without a confirmed
    /// telephone number may not have one.
    async fn thumbnail(&self, cx: &Context<'_>, out: &Rendition, id: &str) -> Result<(), Error> {
        let Some(wanted) = out.option("thumbnail") else { return Ok(()) };
        if cx.saved("thumbnail").is_some() {
            return Ok(());
        }
        let picture = out.media.iter().find(|media| media.id == wanted && !media.is_video());
        let picture = picture.ok_or_else(|| {
            Error::new(Class::Content, "The picture chosen as thumbnail is not there.")
                .code("no_thumbnail")
        })?;
        let url = format!("{}/upload/youtube/v3/thumbnails/set", cx.base);
        let request = cx
            .http
            .post(&url)
            .query(&[("videoId", id), ("uploadType", "media")])
            .header("content-type", &picture.content_type)
            .body(picture.data.clone());
        let set = match google::send(cx, request).await {
            Ok(reply) if reply.ok() => true,
            Ok(reply) => {
                let error = self.parse_error(&reply);
                tracing::warn!(%error, code = error.code, "YouTube did not take the thumbnail");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "YouTube did not take the thumbnail");
                false
            }
        };
        cx.checkpoint("thumbnail", set).await
    }

    async fn status(&self, cx: &Context<'_>, id: &str) -> Result<Option<Status>, Error> {
        let url = format!("{}/youtube/v3/videos", cx.base);
        let request = cx.http.get(&url).query(&[("part", "status"), ("id", id)]);
        let list: List<Video> = google::call(cx, self, request).await?;
        match list.items.into_iter().find(|video| video.id == id) {
            None => Ok(None),
            Some(Video { status: Some(status), .. }) => Ok(Some(status)),
            Some(_) => Err(Error::garbled("a video without its status").harmless()),
        }
    }

    /// Has YouTube read the film? Before that nobody can watch it.
    async fn processed(&self, cx: &Context<'_>) -> Result<Prepared, Error> {
        let Some((id, since)) = video(cx) else { return Ok(Prepared::Ready) };
        if cx.saved("processed").is_some() {
            return Ok(Prepared::Ready);
        }
        let age = cx.now - since;
        let again_in = Duration::from_secs(match age {
            ..60_000 => 5,
            60_000..600_000 => 20,
            _ => 60,
        });
        let Some(status) = self.status(cx, &id).await? else {
            if age < LAG {
                return Ok(Prepared::Processing { again_in });
            }
            return Err(dropped(cx).await?);
        };
        if let Some(error) = failure(&status) {
            if error.restart {
                forget(cx).await?;
            }
            return Err(error);
        }
        if status.upload_status != "processed" && age < PATIENCE {
            return Ok(Prepared::Processing { again_in });
        }
        cx.checkpoint("processed", true).await?;
        Ok(Prepared::Ready)
    }

    async fn comment(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let on = &out.follows()?.parent;
        let own = cx.account.setting("channelId").ok();
        let mut snippet = json!({
            "videoId": on.id,
            "topLevelComment": { "snippet": { "textOriginal": out.text } },
        });
        if let Some(own) = own {
            snippet["channelId"] = json!(own);
        }
        let url = format!("{}/youtube/v3/commentThreads", cx.base);
        let request = cx.http.post(&url).query(&[("part", "snippet")]);
        let request = request.json(&json!({ "snippet": snippet }));
        let thread: Thread = google::call(cx, self, request).await?;
        let id = thread.snippet.top_level_comment.id;
        Ok(Published::Accepted(comment_on(cx, &on.id, id)))
    }
}

/// Where the thing of an id is: a video's has 11 letters, a comment's has more.
fn edge(remote_id: &str) -> Result<&'static str, Error> {
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match remote_id.len() {
        11 if remote_id.bytes().all(letters) => Ok("videos"),
        12..=200 if remote_id.bytes().all(letters) => Ok("comments"),
        _ => {
            let why = "This is not the id of a video or a comment on YouTube.";
            Err(Error::new(Class::Content, why))
        }
    }
}

/// The saved video: its id, and since when it is there.
fn video(cx: &Context<'_>) -> Option<(String, i64)> {
    let saved = cx.saved("video")?;
    Some((saved["id"].as_str()?.to_owned(), saved["at"].as_i64()?))
}

fn held(cx: &Context<'_>) -> Option<Session> {
    let saved = cx.saved("session")?;
    Some(Session { uri: saved["uri"].as_str()?.to_owned(), total: saved["total"].as_u64()? })
}

async fn uploaded(cx: &Context<'_>, id: String) -> Result<String, Error> {
    cx.checkpoint("video", json!({ "id": id, "at": cx.now })).await?;
    cx.checkpoint("session", Value::Null).await?;
    Ok(id)
}

async fn forget(cx: &Context<'_>) -> Result<(), Error> {
    for name in ["session", "video", "thumbnail", "processed"] {
        if cx.saved(name).is_some() {
            cx.checkpoint(name, Value::Null).await?;
        }
    }
    Ok(())
}

/// The upload is gone: the next try begins with a new one. Nobody has seen the old.
async fn dropped(cx: &Context<'_>) -> Result<Error, Error> {
    forget(cx).await?;
    let why = "YouTube has dropped the upload.";
    Ok(Error::new(Class::Transient, why).code("upload_gone").restart())
}

/// `bytes=0-524287` is 524,288 bytes; without the header nothing has arrived.
fn arrived(range: Option<&str>) -> u64 {
    let last = range.and_then(|range| range.strip_prefix("bytes=0-")?.parse::<u64>().ok());
    last.map_or(0, |last| last.saturating_add(1))
}

/// Is it an address of the API itself?
fn is_googles(cx: &Context<'_>, uri: &str) -> bool {
    let (Ok(uri), Ok(base)) = (url::Url::parse(uri), url::Url::parse(cx.base)) else {
        return false;
    };
    let google = uri.host_str().is_some_and(|host| host.ends_with(".googleapis.com"));
    uri.origin() == base.origin() || (uri.scheme() == "https" && google)
}

fn visibility(out: &Rendition) -> &str {
    out.option("visibility").unwrap_or("public")
}

/// The video as it is described; an error is of its content.
fn resource(out: &Rendition, privacy: &str) -> Result<Value, Error> {
    let content = |says: &str, code: &str| Err(Error::new(Class::Content, says).code(code));
    let (title, text) = title_and_text(out, TITLE);
    if title.is_empty() {
        return content("A video on YouTube needs a title.", "no_title");
    }
    if [&title, &text].iter().any(|words| words.contains(['<', '>'])) {
        return content("YouTube takes no “<” and “>” in titles and descriptions.", "brackets");
    }
    if !["public", "unlisted", "private"].contains(&visibility(out)) {
        return content("A video is public, unlisted or private.", "bad_visibility");
    }
    let mut snippet = json!({ "title": title, "description": text, "categoryId": CATEGORY });
    let tags = out.option("tags").unwrap_or_default().split(',').map(str::trim);
    let tags: Vec<&str> = tags.filter(|tag| !tag.is_empty()).collect();
    if !tags.is_empty() {
        snippet["tags"] = json!(tags);
    }
    let kids = out.option("madeForKids") == Some("true");
    let status = json!({ "privacyStatus": privacy, "selfDeclaredMadeForKids": kids });
    Ok(json!({ "snippet": snippet, "status": status }))
}

/// The page of a video or a Short; the local stand-in has pages of its own.
fn remote(cx: &Context<'_>, out: &Rendition, id: String) -> Remote {
    let url = match cx.base.strip_suffix("/youtube") {
        Some(origin) => format!("{origin}/posts/youtube/{id}"),
        None if out.placement == "short" => format!("https://www.youtube.com/shorts/{id}"),
        None => format!("https://www.youtube.com/watch?v={id}"),
    };
    Remote { id, url: Some(url) }
}

fn comment_on(cx: &Context<'_>, video: &str, id: String) -> Remote {
    let url = match cx.base.strip_suffix("/youtube") {
        Some(origin) => format!("{origin}/posts/youtube/{id}"),
        None => format!("https://www.youtube.com/watch?v={video}&lc={id}"),
    };
    Remote { id, url: Some(url) }
}

/// What became of an upload that YouTube did not keep.
fn failure(status: &Status) -> Option<Error> {
    let reason = status.rejection_reason.as_deref().or(status.failure_reason.as_deref());
    let (class, says) = match (status.upload_status.as_str(), reason.unwrap_or_default()) {
        ("uploaded" | "processed" | "", _) => return None,
        (_, "uploadAborted") => {
            return Some(
                Error::new(Class::Transient, "The upload to YouTube broke off.")
                    .code("uploadAborted")
                    .restart(),
            );
        }
        (_, "duplicate") => {
            (Class::Duplicate, "YouTube says that the channel has this very film already.")
        }
        (_, "length") => (Class::Content, "The film is longer than the channel may upload."),
        (_, "claim" | "copyright" | "trademark") => {
            (Class::Policy, "YouTube refuses the film, because somebody else has rights to it.")
        }
        (_, "inappropriate" | "legal" | "termsOfUse") => {
            (Class::Policy, "YouTube refuses the film by its rules.")
        }
        (_, "uploaderAccountClosed" | "uploaderAccountSuspended") => {
            (Class::Auth, "YouTube has closed or suspended the channel.")
        }
        (_, "codec" | "conversion" | "emptyFile" | "invalidFile" | "tooSmall") => {
            (Class::Content, "YouTube cannot read the film.")
        }
        ("deleted", _) => (Class::Content, "The video was deleted at YouTube."),
        _ => (Class::Content, "YouTube refuses the film and does not say why."),
    };
    let code = reason.unwrap_or(&status.upload_status);
    Some(Error::new(class, says).code(code))
}

/// Google keeps uploads of projects private that it has not audited.
fn locked() -> Error {
    let why = "YouTube keeps the video private: Google has not audited this installation's app.";
    Error::new(Class::Config, why).code("locked_private").action(Action::AskOperator)
}

fn by_reason(reason: &str) -> Option<(Class, &'static str)> {
    use Class::*;
    Some(match reason {
        "quotaExceeded" | "dailyLimitExceeded" => {
            (Quota, "The app's calls to YouTube are used up until midnight in California.")
        }
        "uploadLimitExceeded" => (Quota, "The channel has no uploads left for today."),
        "rateLimitExceeded" | "userRateLimitExceeded" | "uploadRateLimitExceeded" => {
            (RateLimit, "YouTube asks for fewer calls.")
        }
        "authError" | "expired" | "authorizationRequired" | "required" => {
            (Auth, "YouTube no longer accepts the access token.")
        }
        "insufficientPermissions" => {
            (Auth, "The consent for YouTube lacks a right that is needed.")
        }
        "authenticatedUserAccountClosed"
        | "authenticatedUserAccountSuspended"
        | "channelClosed"
        | "channelSuspended" => (Auth, "YouTube has closed or suspended the channel."),
        "accountDelegationForbidden" => (Auth, "This Google account may not act for the channel."),
        "youtubeSignupRequired" => (Auth, "The Google account has no channel on YouTube."),
        "ineligibleAccount" => (Auth, "This Google account may not comment on YouTube yet."),
        "accessNotConfigured" => {
            (Config, "The app's project at Google has not switched on the YouTube Data API.")
        }
        "invalidTitle" => (Content, "YouTube does not take the title."),
        "invalidDescription" => (Content, "YouTube does not take the description."),
        "invalidTags" => (Content, "YouTube does not take the tags: 500 characters at most."),
        "invalidCategoryId" => (Content, "YouTube does not know the category."),
        "invalidPublishAt" => (Content, "YouTube does not take the time of publication."),
        "invalidFilename" => (Content, "YouTube does not take the file's name."),
        "invalidVideoMetadata"
        | "invalidRecordingDetails"
        | "defaultLanguageNotSet"
        | "invalidVideoGameRating" => {
            (Content, "YouTube does not take how the video is described.")
        }
        "mediaBodyRequired" => (Content, "The film has nothing in it."),
        "forbiddenPrivacySetting" => {
            (Content, "YouTube does not allow this choice of who can see it.")
        }
        "forbiddenLicenseSetting" => (Content, "YouTube does not allow this licence."),
        "forbidden" => (Content, "YouTube does not allow this for the video or the channel."),
        "invalidImage" | "imageFormatUnsupported" | "imageTooTall" | "imageTooWide" => {
            (Content, "YouTube does not take the thumbnail.")
        }
        "videoNotFound" => (Content, "YouTube does not know the video any more."),
        "commentNotFound" | "commentThreadNotFound" => {
            (Content, "YouTube does not know the comment any more.")
        }
        "commentsDisabled" => (Content, "Comments are switched off for this video."),
        "commentTextRequired" => (Content, "A comment needs a text."),
        "commentTextTooLong" => (Content, "The comment is too long for YouTube."),
        "processingFailure" => (Content, "YouTube cannot make a comment of this text."),
        _ => return None,
    })
}

/// From an answer to the next midnight in California, when quotas begin anew.
fn midnight(reply: &Reply) -> Option<Duration> {
    let now = jiff::fmt::rfc2822::parse(reply.header("date")?).ok()?.timestamp();
    let there = now.to_zoned(jiff::tz::TimeZone::get("America/Los_Angeles").ok()?);
    reply.until(there.tomorrow().ok()?.start_of_day().ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply;

    #[test]
    fn what_has_arrived_is_read_from_the_range() {
        assert_eq!(arrived(Some("bytes=0-524287")), 524_288);
        for none in [None, Some(""), Some("bytes=1-2"), Some("bytes=0-"), Some("bytes 0-9")] {
            assert_eq!(arrived(none), 0, "{none:?}");
        }
        assert_eq!(arrived(Some("bytes=0-18446744073709551615")), u64::MAX);
        assert_eq!(PIECE % (256 << 10), 0);
    }

    #[test]
    fn quotas_begin_anew_at_midnight_in_california() {
        let wait = |date: &str| {
            let body =
                r#"{"error":{"code":403,"message":"m","errors":[{"reason":"quotaExceeded"}]}}"#;
            let error = YouTube.parse_error(&reply(403, &[("date", date)], body));
            assert_eq!(error.class, Class::Quota);
            error.retry_after
        };
        // PST and PDT; the day on which the clocks go forward has 23 hours.
        let hours = |n: f64| Some(Duration::from_secs_f64(n * 3_600.0));
        assert_eq!(wait("Sun, 22 Nov 2026 10:00:00 GMT"), hours(22.0));
        assert_eq!(wait("Wed, 01 Jul 2026 06:30:00 GMT"), hours(0.5));
        assert_eq!(wait("Sun, 08 Mar 2026 09:00:00 GMT"), hours(22.0));
        assert_eq!(wait("yesterday"), None);
    }

    #[test]
    fn a_video_is_described_or_refused() {
        let describe = |text: &str, extra: &[(&str, &str)]| {
            let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
            let extra = extra.iter().map(own).collect();
            resource(&Rendition { text: text.to_owned(), extra, ..<_>::default() }, "private")
        };
        let extra = [("tags", " bread, rye bread,,"), ("madeForKids", "true")];
        let expected = json!({
            "snippet": {
                "title": "Bread", "description": "How to", "categoryId": "22",
                "tags": ["bread", "rye bread"],
            },
            "status": { "privacyStatus": "private", "selfDeclaredMadeForKids": true },
        });
        assert_eq!(describe("Bread\n\nHow to", &extra).unwrap(), expected);
        for (text, extra) in
            [("", &[][..]), ("a < b", &[]), ("T\n>", &[]), ("T", &[("visibility", "secret")])]
        {
            assert_eq!(describe(text, extra).unwrap_err().class, Class::Content, "{text}");
        }
    }

    #[test]
    fn a_film_that_was_not_kept_says_why() {
        let status = |upload: &str, why: &str| {
            let body = format!(
                r#"{{"uploadStatus":"{upload}","privacyStatus":"private","rejectionReason":"{why}"}}"#
            );
            failure(&serde_json::from_str(&body).unwrap())
        };
        assert!(status("uploaded", "").is_none() && status("processed", "").is_none());
        use Class::*;
        for (upload, why, class) in [
            ("failed", "codec", Content),
            ("failed", "uploadAborted", Transient),
            ("rejected", "duplicate", Duplicate),
            ("rejected", "copyright", Policy),
            ("rejected", "length", Content),
            ("rejected", "uploaderAccountSuspended", Auth),
            ("rejected", "somethingNew", Content),
            ("deleted", "", Content),
        ] {
            let error = status(upload, why).unwrap();
            assert_eq!((error.class, error.restart), (class, why == "uploadAborted"), "{why}");
        }
    }
}
