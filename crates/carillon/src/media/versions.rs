//! Another file in the place of a medium's own: its id, description, tags and posts stay.
//!
//! Every post that is not out yet shows the new one: its renditions are made anew, and what was
//! found before the post's time is looked at again. The files before stay until they are cleaned up,
//! and each can be made the present one again.

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::library::{
    self, MediaView, clean_name, discard, extension, no_such, remove_files, tell,
};
use super::{blobs, intake, usage, video, words};
use crate::App;
use crate::approval;
use crate::db::Tx;
use crate::domain::refusal::{Kind as No, Refusal};
use crate::domain::when;
use crate::store::media::{self, Media, original};
use crate::store::stock::{self, Version};
use crate::store::{audit, library as index, renditions};

/// A file that a medium has, or had.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionView {
    pub version: i64,
    /// It is the one that posts show.
    pub current: bool,
    pub content_type: String,
    pub bytes: i64,
    /// 0 of a video that nobody looked into, as is its height.
    pub width: i64,
    pub height: i64,
    pub url: String,
    /// ISO 8601
    pub created_at: String,
}

/// Every file of a medium that is kept, the newest first.
pub async fn list(app: &App, workspace: &str, id: &str) -> Result<Vec<VersionView>, Refusal> {
    let (ws, id) = (workspace.to_owned(), id.to_owned());
    app.db
        .read(move |tx| async move {
            let medium = media::find(&tx, &ws, &id).await?.ok_or_else(no_such)?;
            let mut all = stock::versions(&tx, &id).await?;
            if all.is_empty() {
                all.push(present(&medium));
            }
            Ok::<_, Refusal>(all.iter().map(|v| view(&medium, v)).collect())
        })
        .await
}

fn view(medium: &Media, v: &Version) -> VersionView {
    VersionView {
        version: v.version,
        current: v.version == medium.version,
        content_type: v.content_type.clone(),
        bytes: v.bytes,
        width: v.width,
        height: v.height,
        url: format!("/media/{}/{}", medium.id, original(v.version)),
        created_at: when::iso(v.created_at),
    }
}

/// The file that a medium has now.
fn present(m: &Media) -> Version {
    Version {
        version: m.version,
        content_type: m.content_type.clone(),
        bytes: m.bytes,
        width: m.width,
        height: m.height,
        sha256: m.sha256.clone(),
        created_at: m.created_at,
        actor: String::new(),
    }
}

/// Takes a file in and has every post that is not out yet show it. A picture stays a picture.
pub async fn replace<S, E>(
    app: &App,
    workspace: &str,
    id: &str,
    actor: &str,
    body: S,
) -> Result<MediaView, Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let (medium, number) = number(app, workspace, id).await?;
    let key = blobs::key(workspace, id, &original(number));
    let (name, alt) = (medium.name.as_str(), medium.alt.clone());
    let taken = intake::take(app, workspace, name, alt, Some(&key), body).await?;
    let version = Version { version: number, actor: actor.to_owned(), ..present(&taken) };
    let replaced = match taken.is_video() == medium.is_video() {
        true => install(app, workspace, id, version, "media.replaced", actor).await,
        false => Err(another_kind(&medium)),
    };
    // A commit whose answer was lost may stand, and then the row needs its file.
    if replaced.as_ref().is_err_and(|r| r.kind != No::Unavailable)
        && let Err(e) = app.blobs.delete(&key).await
    {
        tracing::warn!(error = %e, media = id, "a file without a row stays in the store");
    }
    let view = replaced?;
    usage::watch_one(app, workspace).await;
    Ok(view)
}

/// A number for a file that is to come, before it comes: no two files have the same.
async fn number(app: &App, workspace: &str, id: &str) -> Result<(Media, i64), Refusal> {
    let (ws, id, now) = (workspace.to_owned(), id.to_owned(), app.clock.now());
    app.db
        .write(move |tx| async move {
            let medium = to_change(&tx, &ws, &id, now).await?;
            let number = stock::next_version(&tx, &id).await?;
            Ok((medium, number))
        })
        .await
}

/// Makes a file that a medium had the present one again.
pub async fn make_current(
    app: &App,
    workspace: &str,
    id: &str,
    version: i64,
    actor: &str,
) -> Result<MediaView, Refusal> {
    let of = id.to_owned();
    let all = app.db.read(move |tx| async move { stock::versions(&tx, &of).await }).await?;
    let version = all.into_iter().find(|v| v.version == version);
    let version = version.ok_or_else(|| Refusal::not_found("version of a picture or video"))?;
    install(app, workspace, id, version, "media.version_chosen", actor).await
}

/// The medium, while nothing of it is on its way to a network.
async fn to_change(tx: &Tx, workspace: &str, id: &str, now: i64) -> Result<Media, Refusal> {
    let medium = media::lock(tx, workspace, id, now).await?.ok_or_else(no_such)?;
    if renditions::under_way(tx, id).await? {
        return Err(video::under_way());
    }
    Ok(medium)
}

async fn install(
    app: &App,
    workspace: &str,
    id: &str,
    version: Version,
    what: &'static str,
    actor: &str,
) -> Result<MediaView, Refusal> {
    let (ws, id, actor, now) =
        (workspace.to_owned(), id.to_owned(), actor.to_owned(), app.clock.now());
    let installed = app
        .db
        .write(move |tx| async move {
            let medium = to_change(&tx, &ws, &id, now).await?;
            stock::add_version(&tx, &id, &present(&medium)).await?;
            stock::add_version(&tx, &id, &version).await?;
            let before = medium.version;
            let name = clean_name(&medium.name, extension(&version.content_type));
            let mut medium = Media {
                name,
                content_type: version.content_type.clone(),
                version: version.version,
                ..medium
            };
            stock::set_version(&tx, &medium, &version, now).await?;
            index::index(&tx, &medium, &words::of(&medium)).await?;
            stock::forget_shown(&tx, &id).await?;
            let old = discard(&tx, &mut medium, None, now).await?;
            stock::check_again(&tx, &id).await?;
            approval::void_media(&tx, &id, now).await?;
            tell(&tx, "media.updated", &medium, now).await?;
            let data = json!({ "version": medium.version, "before": before });
            audit::add(&tx, Some(&ws), &actor, what, &id, &data, now).await?;
            Ok::<_, Refusal>((library::found(&tx, &ws, &id).await?, old))
        })
        .await;
    let (view, old) = installed?;
    app.ring();
    remove_files(app, workspace, &view.id, old.iter().map(String::as_str)).await;
    Ok(view)
}

fn another_kind(medium: &Media) -> Refusal {
    let noun = medium.noun();
    let sentence = format!("The file is no {noun}, and {} is one.", medium.name);
    let fix = format!("Choose a {noun}, or upload the file as a medium of its own.");
    Refusal::new(No::Invalid, "media_other_kind", sentence, fix)
}
