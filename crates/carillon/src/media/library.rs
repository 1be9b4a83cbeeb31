//! What is in the library: shown, described, made anew.
//!
//! Files of a rendition go after its row is gone and never before.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::blobs::{self, BlobError};
use super::framing::framed_anew;
use super::video::{self, cut_anew, renditions};
use super::words;
use crate::App;
use crate::approval;
use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::frame::{Fit, Frame};
use crate::domain::job::{Kind as Job, NewJob};
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind as No, Refusal, Wrong};
use crate::domain::video::{Cut, VideoFacts};
use crate::domain::when;
use crate::store::library::index;
use crate::store::media::{self, Made, Media, MediaState};
use crate::store::{alerts, events, queue, renditions as store};
use carillon_pictures::probe::Kind;

/// Most characters of a name, its extension included.
const NAME_MAX: usize = 200;
/// Most characters of a description for people who cannot see the picture.
const ALT_MAX: usize = 2_000;
/// How many pictures of one workspace are worked on at once, so that no upload of thousands keeps
/// the other workspaces waiting.
const WIDTH: i64 = 4;

/// A medium as API, CLI and web show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MediaView {
    pub id: String,
    pub name: String,
    /// By its content, whatever its name says.
    pub content_type: String,
    pub bytes: i64,
    pub width: i64,
    pub height: i64,
    /// The description for people who cannot see it.
    pub alt: String,
    pub tags: Vec<String>,
    pub state: MediaState,
    pub problem: Option<Problem>,
    pub url: String,
    /// `null` until it is made.
    pub thumb_url: Option<String>,
    /// The picture that stands for a video; `null` of anything else, and until it is made.
    pub poster_url: Option<String>,
    /// How a picture is brought to another shape; `null` of a video.
    pub frame: Option<Frame>,
    /// What is known of a video; `null` of anything else, and until it was looked into.
    pub video: Option<VideoView>,
    pub derivatives: Vec<DerivativeView>,
    /// The number of its present file.
    pub version: i64,
    /// ISO 8601
    pub created_at: String,
    /// Since when it is in the trash.
    pub deleted_at: Option<String>,
}

/// A video's facts, and what of it goes out.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VideoView {
    #[serde(flatten)]
    pub facts: VideoFacts,
    /// Where what goes out begins and ends, in ms; `null`: where the file does.
    pub start_ms: Option<i64>,
    pub end_ms: Option<i64>,
    /// The moment that stands for it, in ms; `null`: one that was chosen by itself.
    pub cover_ms: Option<i64>,
}

/// One rendition that networks are sent. Those of a video are made when a post needs them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DerivativeView {
    /// `square`, `story`, `landscape`; of a video `video`, or `video-8000` by its kbit/s
    pub kind: String,
    /// `ready` as soon as this one exists; until then, of a picture, the state of its medium.
    pub state: MediaState,
    /// How far it is, in percent.
    pub progress: i64,
    /// Why there is none; of one that is ready, what is to be known of it.
    pub problem: Option<Problem>,
    pub width: Option<i64>,
    pub height: Option<i64>,
    pub bytes: Option<i64>,
    pub url: Option<String>,
}

/// What of a medium may be changed; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Description {
    pub name: Option<String>,
    pub alt: Option<String>,
    /// Instead of those that it has, at most 50.
    pub tags: Option<Vec<String>>,
    /// Where what goes out of a video begins, in ms; -1: where the file does.
    #[schema(minimum = -1)]
    pub start_ms: Option<i64>,
    /// Where it ends, in ms; -1: where the file does.
    #[schema(minimum = -1)]
    pub end_ms: Option<i64>,
    /// The moment that stands for a video, in ms from the beginning of the file; -1: chosen by itself.
    #[schema(minimum = -1)]
    pub cover_ms: Option<i64>,
    /// How a picture is brought to another shape.
    pub fit: Option<Fit>,
    /// The point of a picture that stays in view, in percent of its width from the left.
    #[schema(minimum = 0, maximum = 100)]
    pub focus_x: Option<i64>,
    /// And of its height from the top.
    #[schema(minimum = 0, maximum = 100)]
    pub focus_y: Option<i64>,
}

/// The renditions of a picture that are shown; the others (`thumb`, `full`) are ours alone.
const SHOWN: [&str; 3] = ["square", "story", "landscape"];

pub fn view(medium: &Media, made: &[Made]) -> MediaView {
    // A new file has addresses of its own, so that nobody is shown the old one from a cache.
    let anew = if medium.version == 1 { String::new() } else { format!("?v={}", medium.version) };
    let url = |kind: &str| format!("/media/{}/{kind}{anew}", medium.id);
    let find = |kind: &str| made.iter().find(|m| m.kind == kind);
    let derivative = |kind: &str| {
        let made = find(kind);
        let ready = made.filter(|m| m.is_ready());
        DerivativeView {
            kind: kind.to_owned(),
            state: made.map_or(medium.state, |m| m.state),
            progress: made.map_or(0, |m| m.progress),
            problem: made.and_then(|m| m.problem.clone()),
            width: ready.map(|m| m.width),
            height: ready.map(|m| m.height),
            bytes: ready.map(|m| m.bytes),
            url: ready.map(|m| url(&m.kind)),
        }
    };
    let of_video = made.iter().map(|m| m.kind.as_str()).filter(|k| k.starts_with("video"));
    let video = medium.facts.clone().map(|facts| {
        let Cut { start_ms, end_ms, cover_ms } = medium.cut;
        VideoView { facts, start_ms, end_ms, cover_ms }
    });
    MediaView {
        id: medium.id.clone(),
        name: medium.name.clone(),
        content_type: medium.content_type.clone(),
        bytes: medium.bytes,
        width: medium.width,
        height: medium.height,
        alt: medium.alt.clone(),
        tags: words::tags(&medium.tags).map(str::to_owned).collect(),
        state: medium.state,
        problem: medium.problem.clone(),
        url: url(&medium.original()),
        thumb_url: find("thumb").map(|_| url("thumb")),
        poster_url: find("poster").map(|_| url("poster")),
        frame: (!medium.is_video()).then_some(medium.frame),
        video,
        derivatives: match medium.is_video() {
            true => of_video.map(derivative).collect(),
            false => SHOWN.map(derivative).into(),
        },
        version: medium.version,
        created_at: when::iso(medium.created_at),
        deleted_at: medium.deleted_at.map(when::iso),
    }
}

/// One that lies in the trash, too.
pub async fn find(app: &App, workspace: &str, id: &str) -> Result<MediaView, Refusal> {
    let (ws, id) = (workspace.to_owned(), id.to_owned());
    app.db.read(move |tx| async move { found(&tx, &ws, &id).await }).await
}

pub(super) async fn found(tx: &Tx, workspace: &str, id: &str) -> Result<MediaView, Refusal> {
    let medium = media::kept(tx, id).await?.filter(|m| m.workspace_id == workspace);
    let medium = medium.ok_or_else(no_such)?;
    Ok(view(&medium, &media::derivatives(tx, id).await?))
}

/// Changes name, description, tags and a video's cut. The extension stays that of the content.
pub async fn describe(
    app: &App,
    workspace: &str,
    id: &str,
    change: Description,
) -> Result<MediaView, Refusal> {
    let alt = change.alt.as_deref().map(clean_alt).transpose()?;
    let tags = change.tags.as_deref().map(words::tags_of).transpose()?;
    let cut = [change.start_ms, change.end_ms, change.cover_ms];
    let frame = (change.fit, change.focus_x, change.focus_y);
    let (ws, id, now) = (workspace.to_owned(), id.to_owned(), app.clock.now());
    let (view, old) = app
        .db
        .write(move |tx| async move {
            let mut medium = media::lock(&tx, &ws, &id, now).await?.ok_or_else(no_such)?;
            let before = (medium.alt.clone(), medium.cut, medium.frame);
            if let Some(name) = change.name {
                medium.name = clean_name(&name, extension(&medium.content_type));
            }
            medium.alt = alt.unwrap_or(medium.alt.clone());
            if let Some(tags) = tags {
                medium.tags = words::spaced(tags.iter().map(String::as_str));
            }
            media::describe(&tx, &medium, now).await?;
            index(&tx, &medium, &words::of(&medium)).await?;
            let mut old = Vec::new();
            if let Some(cut) = cut_anew(&medium, cut)? {
                if store::under_way(&tx, &id).await? {
                    return Err(video::under_way());
                }
                old = discard(&tx, &mut medium, Some(cut), now).await?;
            }
            if let Some(frame) = framed_anew(&medium, frame)? {
                if store::under_way(&tx, &id).await? {
                    return Err(video::under_way());
                }
                medium.frame = frame;
                media::set_frame(&tx, &id, &frame, now).await?;
                again(&tx, &mut medium, now).await?;
            }
            if before != (medium.alt.clone(), medium.cut, medium.frame) {
                approval::void_media(&tx, &id, now).await?;
            }
            tell(&tx, "media.updated", &medium, now).await?;
            Ok::<_, Refusal>((found(&tx, &ws, &id).await?, old))
        })
        .await?;
    app.ring();
    remove_files(app, workspace, &view.id, old.iter().map(String::as_str)).await;
    Ok(view)
}

/// Gives a medium that has no description this one, in the caller's transaction; `false` when it has
/// another.
pub(crate) async fn describe_in(
    tx: &Tx,
    workspace: &str,
    id: &str,
    alt: &str,
    now: i64,
) -> Result<bool, Refusal> {
    let alt = clean_alt(alt)?;
    let mut medium = media::lock(tx, workspace, id, now).await?.ok_or_else(no_such)?;
    if alt.is_empty() || medium.alt.split_whitespace().eq(alt.split_whitespace()) {
        return Ok(true);
    }
    if !medium.alt.is_empty() {
        return Ok(false);
    }
    medium.alt = alt;
    media::describe(tx, &medium, now).await?;
    index(tx, &medium, &words::of(&medium)).await?;
    tell(tx, "media.updated", &medium, now).await?;
    Ok(true)
}

/// After their rows are gone.
pub(super) async fn remove_files(
    app: &App,
    workspace: &str,
    id: &str,
    kinds: impl Iterator<Item = &str>,
) {
    for kind in kinds {
        if let Err(e) = app.blobs.delete(&blobs::key(workspace, id, kind)).await {
            tracing::warn!(error = %e, media = id, kind, "a file without a row stays in the store");
        }
    }
}

/// Forgets what was made of a video for networks, so that it is made anew as far as it is needed;
/// with a new `cut`, or because somebody asks for it. What was forgotten.
pub(super) async fn discard(
    tx: &Tx,
    medium: &mut Media,
    cut: Option<Cut>,
    now: i64,
) -> Result<Vec<String>, Error> {
    // An upload that was begun goes on with the bytes that it began with.
    let kept = store::under_way(tx, &medium.id).await?;
    let old = store::forget_all(tx, &medium.id, kept).await?;
    for kind in &old {
        queue::remove(tx, &renditions::subject(&medium.id, kind)).await?;
    }
    if let Some(cut) = cut {
        medium.cut = cut;
        media::set_cut(tx, &medium.id, &cut, now).await?;
    }
    again(tx, medium, now).await?;
    Ok(old)
}

/// Has everything made anew.
pub(super) async fn again(tx: &Tx, medium: &mut Media, now: i64) -> Result<(), Error> {
    (medium.state, medium.problem) = (MediaState::Pending, None);
    alerts::clear(tx, AlertKind::MediaFailed, &medium.id, now).await?;
    media::set_state(tx, &medium.id, medium.state, None, now).await?;
    enqueue(tx, medium, now).await.map(drop)
}

/// Makes the renditions anew; `workspace` is `None` for whoever runs the installation.
pub async fn reprocess(app: &App, workspace: Option<&str>, id: &str) -> Result<MediaView, Refusal> {
    let (ws, id, now) = (workspace.map(str::to_owned), id.to_owned(), app.clock.now());
    let (view, workspace, old) = app
        .db
        .write(move |tx| async move {
            let medium = match &ws {
                Some(ws) => media::find(&tx, ws, &id).await?,
                None => media::load(&tx, &id).await?,
            };
            let mut medium = medium.ok_or_else(no_such)?;
            let old = if medium.is_video() {
                discard(&tx, &mut medium, None, now).await?
            } else {
                again(&tx, &mut medium, now).await?;
                Vec::new()
            };
            tell(&tx, "media.updated", &medium, now).await?;
            let view = view(&medium, &media::derivatives(&tx, &id).await?);
            Ok::<_, Refusal>((view, medium.workspace_id, old))
        })
        .await?;
    app.ring();
    remove_files(app, &workspace, &view.id, old.iter().map(String::as_str)).await;
    Ok(view)
}

/// A job that makes the renditions, unless one is on its way; `true` when it was added.
pub(super) async fn enqueue(tx: &Tx, medium: &Media, now: i64) -> Result<bool, Error> {
    if queue::awaits(tx, &medium.id).await? {
        return Ok(false);
    }
    let job = NewJob {
        kind: Job::Derive,
        lane: lane(&medium.workspace_id),
        width: WIDTH,
        subject: medium.id.clone(),
        run_at: now,
        unique_key: None,
    };
    Ok(queue::add(tx, &job, now).await?.is_some())
}

fn lane(workspace: &str) -> String {
    format!("media:{workspace}")
}

pub(super) async fn tell(tx: &Tx, kind: &str, medium: &Media, now: i64) -> Result<(), Error> {
    let data = json!({ "mediaId": medium.id, "state": medium.state });
    events::add(tx, &medium.workspace_id, kind, &medium.id, &data, now).await
}

/// An alert for as long as something is the matter with it.
pub(super) async fn warn(
    tx: &Tx,
    medium: &Media,
    problem: &Problem,
    now: i64,
) -> Result<(), Error> {
    let sentence = format!("{}: {}", medium.name, problem.sentence);
    let problem = Problem { sentence, ..problem.clone() };
    let (workspace, kind) = (Some(medium.workspace_id.as_str()), AlertKind::MediaFailed);
    alerts::raise(tx, workspace, kind, &medium.id, &problem, now).await.map(drop)
}

/// A name for people and for networks: no path, nothing invisible, and the content's extension.
pub(super) fn clean_name(name: &str, extension: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|c| !c.is_control() && !steers(*c)).collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut stem = words.trim_matches(['.', ' ']);
    if let Some((before, after)) = stem.rsplit_once('.')
        && KNOWN.contains(&after.to_ascii_lowercase().as_str())
    {
        stem = before.trim_matches(['.', ' ']);
    }
    let film = video::TAKEN.iter().any(|kind| kind.extension() == extension);
    let stem = match (stem, film) {
        ("", true) => "video",
        ("", false) => "picture",
        (stem, _) => stem,
    };
    let room = NAME_MAX - extension.len() - 1;
    let stem: String = stem.chars().take(room).collect();
    format!("{}.{extension}", stem.trim_end())
}

/// Extensions that a name loses in favour of the content's own.
const KNOWN: [&str; 20] = [
    "jpg", "jpeg", "jpe", "png", "webp", "gif", "heic", "heif", "avif", "bmp", "tif", "tiff",
    "mp4", "m4v", "mov", "qt", "webm", "mkv", "avi", "3gp",
];

/// Characters that turn the direction of what follows: `gpj.exe` shown backwards.
fn steers(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

pub(super) fn extension(content_type: &str) -> &'static str {
    Kind::of(content_type).map_or("jpg", Kind::extension)
}

pub(super) fn clean_alt(alt: &str) -> Result<String, Refusal> {
    let alt: String = alt.trim().chars().filter(|c| !c.is_control() || *c == '\n').collect();
    let count = alt.chars().count();
    if count > ALT_MAX {
        let message =
            format!("The description has {count} characters; {ALT_MAX} is the most it may have.");
        return Err(Refusal::invalid(vec![Wrong::new("alt", "alt_too_long", message)]));
    }
    Ok(alt)
}

pub(super) fn no_such() -> Refusal {
    Refusal::not_found("picture or video")
}

pub(super) fn no_store(e: &BlobError) -> Refusal {
    tracing::error!(error = %e, "the media store refused");
    if let BlobError::Full(_) = e {
        let fix = "Make room on it, or give it more, then try again; nothing was lost.";
        return Refusal::new(No::Full, "media_store_full", "The media store is full.", fix);
    }
    let fix = "Try again in a moment; nothing was saved.";
    let sentence = "The media store is not available at the moment.";
    Refusal::new(No::Unavailable, "media_store_unavailable", sentence, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_no_path_and_gets_the_contents_extension() {
        for (name, extension, clean) in [
            ("photo.png", "jpg", "photo.jpg"),
            ("Photo.JPEG", "jpg", "Photo.jpg"),
            ("../../etc/passwd", "png", "passwd.png"),
            (r"C:\Users\ada\quay at dawn.gif", "gif", "quay at dawn.gif"),
            ("evil.html", "png", "evil.html.png"),
            ("v1.2 final", "webp", "v1.2 final.webp"),
            ("a\u{0}b\r\nc.jpg", "jpg", "abc.jpg"),
            ("harmless\u{202e}gpj.exe", "jpg", "harmlessgpj.exe.jpg"),
            (".jpg", "jpg", "jpg.jpg"),
            ("...", "jpg", "picture.jpg"),
            ("", "webp", "picture.webp"),
        ] {
            assert_eq!(clean_name(name, extension), clean, "{name:?}");
        }
        let long = clean_name(&"é".repeat(500), "webp");
        assert_eq!(long.chars().count(), NAME_MAX);
        assert!(long.ends_with("é.webp"));
    }

    #[test]
    fn a_description_has_an_end() {
        assert_eq!(
            clean_alt("  Loaves\u{7}\non the counter ").as_deref(),
            Ok("Loaves\non the counter")
        );
        assert!(clean_alt(&"é".repeat(ALT_MAX)).is_ok());
        let refusal = clean_alt(&"é".repeat(ALT_MAX + 1)).expect_err("too long");
        assert_eq!(refusal.problems[0].field, "alt");
        assert!(refusal.sentence.contains("2001 characters; 2000"), "{}", refusal.sentence);
    }
}
