//! What nobody needs, found and put away: media that no post has, and files that belong to none.
//!
//! What is put away can be restored for seven days. A file goes at once when it is of no medium and
//! of no upload and older than a day, by the id that its folder is named after: what is younger may
//! be on its way. A medium whose file is gone is told of and stays.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::blobs::{self, BlobError};
use super::library::no_store;
use super::trash;
use crate::App;
use crate::db::Error;
use crate::domain::refusal::Refusal;
use crate::ids;
use crate::store::media::{self, Media};
use crate::store::{audit, stock};

/// For how long no post must have had a medium, where nobody says.
pub const UNUSED_FOR: Duration = Duration::from_secs(90 * 86_400);
/// Files of an id younger than this may be on their way, in ms.
const YOUNG: i64 = 86_400_000;
/// How many media are named.
const NAMED: usize = 100;

/// What a clean-up did, or would do.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cleaned {
    pub dry_run: bool,
    /// Media that no post has and nobody touched for so long: they go into the trash.
    pub unused: Found,
    /// Files that another took the place of so long ago: they go for good.
    pub versions: Orphans,
    /// Files that belong to nothing: they go for good.
    pub orphans: Orphans,
    /// Media whose file is not in the store: they stay.
    pub missing: Found,
}

/// Media, and what they take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Found {
    pub media: usize,
    /// Of the files that were uploaded.
    pub bytes: u64,
    /// The first hundred.
    pub some: Vec<Named>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Named {
    pub id: String,
    pub name: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Orphans {
    pub files: usize,
    pub bytes: u64,
}

impl Found {
    fn add(&mut self, m: &Media) {
        let bytes = m.bytes.unsigned_abs();
        self.media += 1;
        self.bytes += bytes;
        if self.some.len() < NAMED {
            self.some.push(Named { id: m.id.clone(), name: m.name.clone(), bytes });
        }
    }
}

/// Cleans a workspace's library up, or with `dry_run` says what would be done.
pub async fn clean(
    app: &App,
    workspace: &str,
    unused_for: Duration,
    dry_run: bool,
    actor: &str,
) -> Result<Cleaned, Refusal> {
    let mut done = Cleaned { dry_run, ..Cleaned::default() };
    let folders = folders(app, workspace).await?;
    look_after_files(app, workspace, folders, &mut done).await?;
    let unused_for = i64::try_from(unused_for.as_millis()).unwrap_or(i64::MAX);
    let since = app.clock.now().saturating_sub(unused_for);
    drop_versions(app, workspace, since, &mut done).await?;
    put_away_unused(app, workspace, since, &mut done).await?;
    if !dry_run {
        let (ws, actor, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
        let data = json!({
            "unused": done.unused.media,
            "unusedBytes": done.unused.bytes,
            "versions": done.versions.files,
            "orphans": done.orphans.files,
            "orphanBytes": done.orphans.bytes,
        });
        app.db
            .write(move |tx| async move {
                audit::add(&tx, Some(&ws), &actor, "media.cleaned", &ws, &data, now).await
            })
            .await?;
        app.ring();
    }
    Ok(done)
}

/// The files of one id.
#[derive(Default)]
struct Folder {
    files: usize,
    bytes: u64,
    originals: Vec<String>,
}

async fn folders(app: &App, workspace: &str) -> Result<HashMap<String, Folder>, Refusal> {
    let mut folders: HashMap<String, Folder> = HashMap::new();
    app.blobs
        .each(workspace, |key, bytes| {
            let mut parts = key.split('/').skip(1);
            let (Some(id), Some(file)) = (parts.next(), parts.next()) else { return };
            let folder = folders.entry(id.to_owned()).or_default();
            folder.files += 1;
            folder.bytes += bytes;
            if file.starts_with("original") {
                folder.originals.push(file.to_owned());
            }
        })
        .await
        .map_err(|e| no_store(&e))?;
    Ok(folders)
}

async fn look_after_files(
    app: &App,
    workspace: &str,
    mut folders: HashMap<String, Folder>,
    done: &mut Cleaned,
) -> Result<(), Refusal> {
    let mut after = String::new();
    loop {
        let (ws, last) = (workspace.to_owned(), after.clone());
        let page =
            app.db.read(move |tx| async move { stock::after(&tx, &ws, &last).await }).await?;
        let Some(last) = page.last() else { break };
        after = last.id.clone();
        for m in &page {
            let original = m.original();
            let folder = folders.remove(&m.id).unwrap_or_default();
            if !folder.originals.contains(&original) && lost(app, m, &original).await? {
                done.missing.add(m);
            }
        }
    }
    let before = app.clock.now() - YOUNG;
    for (id, folder) in folders {
        // What has no name of ours was put there by somebody else.
        if ids::time(&id).is_none_or(|at| at >= before) {
            continue;
        }
        let of = id.clone();
        if app.db.read(move |tx| async move { stock::is_kept(&tx, &of).await }).await? {
            continue;
        }
        if !done.dry_run {
            let folder = blobs::folder(workspace, &id);
            app.blobs.delete_all(&folder).await.map_err(|e| no_store(&e))?;
        }
        done.orphans.files += folder.files;
        done.orphans.bytes += folder.bytes;
    }
    Ok(())
}

/// It may have come while the files were counted.
async fn lost(app: &App, m: &Media, original: &str) -> Result<bool, Refusal> {
    match app.blobs.size(&blobs::key(&m.workspace_id, &m.id, original)).await {
        Ok(_) => Ok(false),
        Err(BlobError::Missing) => Ok(true),
        Err(e) => Err(no_store(&e)),
    }
}

async fn drop_versions(
    app: &App,
    workspace: &str,
    since: i64,
    done: &mut Cleaned,
) -> Result<(), Refusal> {
    let ws = workspace.to_owned();
    let old =
        app.db.read(move |tx| async move { stock::old_versions(&tx, &ws, since).await }).await?;
    for (id, version, bytes) in old {
        if !done.dry_run {
            let of = id.clone();
            let forgotten = app
                .db
                .write(move |tx| async move { stock::forget_version(&tx, &of, version).await })
                .await?;
            if !forgotten {
                // Somebody made it the present one meanwhile.
                continue;
            }
            let key = blobs::key(workspace, &id, &media::original(version));
            app.blobs.delete(&key).await.map_err(|e| no_store(&e))?;
        }
        done.versions.files += 1;
        done.versions.bytes += bytes.unsigned_abs();
    }
    Ok(())
}

async fn put_away_unused(
    app: &App,
    workspace: &str,
    since: i64,
    done: &mut Cleaned,
) -> Result<(), Refusal> {
    let now = app.clock.now();
    let mut after = String::new();
    loop {
        let (ws, last, dry_run) = (workspace.to_owned(), after.clone(), done.dry_run);
        let found = app
            .db
            .write(move |tx| async move {
                let found = stock::idle(&tx, &ws, since, &last).await?;
                for m in found.iter().filter(|_| !dry_run) {
                    // A post may have taken it meanwhile.
                    let Some(m) = media::lock(&tx, &ws, &m.id, now).await? else { continue };
                    if stock::uses(&tx, &m.id).await?.is_empty() {
                        trash::put_away(&tx, &m, now).await?;
                    }
                }
                Ok::<_, Error>(found)
            })
            .await?;
        let Some(last) = found.last() else { return Ok(()) };
        after = last.id.clone();
        found.iter().for_each(|m| done.unused.add(m));
    }
}
