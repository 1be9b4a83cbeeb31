//! What is in the library: shown, described, made anew, thrown away.
//!
//! Files go after the row is gone and never before. What a post uses stays.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::blobs::{self, BlobError};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::job::{Kind, NewJob};
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind as No, Refusal, Wrong};
use crate::domain::when;
use crate::store::media::{self, Made, Media, MediaState};
use crate::store::{events, queue};

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
    pub state: MediaState,
    pub problem: Option<Problem>,
    pub url: String,
    /// `null` until it is made.
    pub thumb_url: Option<String>,
    pub derivatives: Vec<DerivativeView>,
    /// ISO 8601
    pub created_at: String,
}

/// One rendition that networks are sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DerivativeView {
    /// `square`, `story`, `landscape`
    pub kind: String,
    /// `ready` as soon as this one exists; until then the state of its medium.
    pub state: MediaState,
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
}

/// The renditions that are shown; the others (`thumb`, `full`) are ours alone.
const SHOWN: [&str; 3] = ["square", "story", "landscape"];

pub fn view(medium: &Media, made: &[Made]) -> MediaView {
    let url = |kind: &str| format!("/media/{}/{kind}", medium.id);
    let find = |kind: &str| made.iter().find(|m| m.kind == kind);
    let derivative = |kind: &str| {
        let made = find(kind);
        DerivativeView {
            kind: kind.to_owned(),
            state: if made.is_some() { MediaState::Ready } else { medium.state },
            width: made.map(|m| m.width),
            height: made.map(|m| m.height),
            bytes: made.map(|m| m.bytes),
            url: made.map(|m| url(&m.kind)),
        }
    };
    MediaView {
        id: medium.id.clone(),
        name: medium.name.clone(),
        content_type: medium.content_type.clone(),
        bytes: medium.bytes,
        width: medium.width,
        height: medium.height,
        alt: medium.alt.clone(),
        state: medium.state,
        problem: medium.problem.clone(),
        url: url("original"),
        thumb_url: find("thumb").map(|_| url("thumb")),
        derivatives: SHOWN.map(derivative).into(),
        created_at: when::iso(medium.created_at),
    }
}

/// Newest first, `limit` of those older than the medium `before`; with the cursor of the next page.
pub async fn list(
    app: &App,
    workspace: &str,
    before: Option<&str>,
    limit: usize,
) -> Result<(Vec<MediaView>, Option<String>), Refusal> {
    let limit = limit.clamp(1, 200);
    let (ws, before) = (workspace.to_owned(), before.map(str::to_owned));
    app.db
        .read(move |tx| async move {
            let mut page = media::list(&tx, &ws, before.as_deref(), limit as i64 + 1).await?;
            let more = page.len() > limit;
            page.truncate(limit);
            let (Some(newest), Some(oldest)) = (page.first(), page.last()) else {
                return Ok((Vec::new(), None));
            };
            let made = media::derivatives_between(&tx, &ws, &oldest.id, &newest.id).await?;
            let views = page.iter().map(|m| {
                let made: Vec<Made> =
                    made.iter().filter(|(id, _)| *id == m.id).map(|(_, m)| m.clone()).collect();
                view(m, &made)
            });
            Ok((views.collect(), more.then(|| oldest.id.clone())))
        })
        .await
}

pub async fn find(app: &App, workspace: &str, id: &str) -> Result<MediaView, Refusal> {
    let (ws, id) = (workspace.to_owned(), id.to_owned());
    app.db.read(move |tx| async move { found(&tx, &ws, &id).await }).await
}

async fn found(tx: &Tx, workspace: &str, id: &str) -> Result<MediaView, Refusal> {
    let medium = media::find(tx, workspace, id).await?.ok_or_else(no_such)?;
    Ok(view(&medium, &media::derivatives(tx, id).await?))
}

/// Changes name and description. The extension stays that of the content.
pub async fn describe(
    app: &App,
    workspace: &str,
    id: &str,
    change: Description,
) -> Result<MediaView, Refusal> {
    let alt = change.alt.as_deref().map(clean_alt).transpose()?;
    let (ws, id, now) = (workspace.to_owned(), id.to_owned(), app.clock.now());
    let view = app
        .db
        .write(move |tx| async move {
            let mut medium = media::find(&tx, &ws, &id).await?.ok_or_else(no_such)?;
            if let Some(name) = change.name {
                medium.name = clean_name(&name, extension(&medium.content_type));
            }
            medium.alt = alt.unwrap_or(medium.alt);
            media::describe(&tx, &ws, &id, &medium.name, &medium.alt, now).await?;
            tell(&tx, "media.updated", &medium, now).await?;
            found(&tx, &ws, &id).await
        })
        .await?;
    app.ring();
    Ok(view)
}

/// Throws a medium away, its files with it. Refused while a post has it.
pub async fn delete(app: &App, workspace: &str, id: &str) -> Result<(), Refusal> {
    let (ws, of, now) = (workspace.to_owned(), id.to_owned(), app.clock.now());
    let made = app
        .db
        .write(move |tx| async move {
            let medium = media::find(&tx, &ws, &of).await?.ok_or_else(no_such)?;
            // First, so that on PostgreSQL the row is ours before its use is counted.
            media::delete(&tx, &ws, &of, now).await?;
            if media::used(&tx, &of).await? {
                return Err(in_use());
            }
            queue::remove(&tx, &of).await?;
            tell(&tx, "media.deleted", &medium, now).await?;
            Ok(media::derivatives(&tx, &of).await?)
        })
        .await?;
    app.ring();
    let kinds = made.iter().map(|m| m.kind.as_str());
    for kind in kinds.chain(["original"]) {
        if let Err(e) = app.blobs.delete(&blobs::key(workspace, id, kind)).await {
            tracing::warn!(error = %e, media = id, kind, "a file without a row stays in the store");
        }
    }
    Ok(())
}

/// Makes the renditions anew; `workspace` is `None` for whoever runs the installation.
pub async fn reprocess(app: &App, workspace: Option<&str>, id: &str) -> Result<MediaView, Refusal> {
    let (ws, id, now) = (workspace.map(str::to_owned), id.to_owned(), app.clock.now());
    let view = app
        .db
        .write(move |tx| async move {
            let medium = match &ws {
                Some(ws) => media::find(&tx, ws, &id).await?,
                None => media::load(&tx, &id).await?,
            };
            let mut medium = medium.ok_or_else(no_such)?;
            (medium.state, medium.problem) = (MediaState::Pending, None);
            media::set_state(&tx, &id, medium.state, None, now).await?;
            enqueue(&tx, &medium, now).await?;
            tell(&tx, "media.updated", &medium, now).await?;
            Ok::<_, Refusal>(view(&medium, &media::derivatives(&tx, &id).await?))
        })
        .await?;
    app.ring();
    Ok(view)
}

/// A job that makes the renditions, unless one is on its way; `true` when it was added.
pub(super) async fn enqueue(tx: &Tx, medium: &Media, now: i64) -> Result<bool, Error> {
    if queue::awaits(tx, &medium.id).await? {
        return Ok(false);
    }
    let job = NewJob {
        kind: Kind::Derive,
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
    let stem = if stem.is_empty() { "picture" } else { stem };
    let room = NAME_MAX - extension.len() - 1;
    let stem: String = stem.chars().take(room).collect();
    format!("{}.{extension}", stem.trim_end())
}

/// Extensions that a name loses in favour of the content's own.
const KNOWN: [&str; 12] =
    ["jpg", "jpeg", "jpe", "png", "webp", "gif", "heic", "heif", "avif", "bmp", "tif", "tiff"];

/// Characters that turn the direction of what follows: `gpj.exe` shown backwards.
fn steers(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn extension(content_type: &str) -> &'static str {
    match content_type {
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        _ => "jpg",
    }
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

fn no_such() -> Refusal {
    Refusal::not_found("picture")
}

fn in_use() -> Refusal {
    let fix = "Take it out of the posts that have it first, or delete those.";
    Refusal::conflict("media_in_use", "A post has this picture.", fix)
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
