//! Every medium from one place to the other, while it is served.
//!
//! A blob is copied, read back and held against its checksum before it leaves where it was; readers
//! look in both places. What tells how far the move has come is where the blobs are: stopped at any
//! moment, killed even, it is simply run again, and moving back undoes it.

use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::blobs::{PIECE, gone};
use super::library::no_store;
use crate::config::Place;
use crate::db::Error;
use crate::domain::refusal::Refusal;
use crate::store::audit;
use crate::store::media::{self, Media};
use crate::{App, ids};

/// Blobs on their way at once: a store far away answers late, not slowly.
const AT_ONCE: usize = 4;

/// What there is to move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    pub files: u64,
    pub bytes: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    pub moved: Load,
    /// Were in their place already, from a move that was stopped.
    pub there: Load,
    /// Belong to no medium, and stayed.
    pub foreign: Load,
    pub failed: Vec<Failed>,
}

/// A file that stayed where it was.
#[derive(Debug, Clone, Serialize)]
pub struct Failed {
    pub file: String,
    pub reason: String,
}

enum Came {
    Over,
    /// Had come before.
    Before,
    Foreign,
}

/// What is not where it should be.
pub async fn survey(app: &App, to: Place) -> Result<Load, Refusal> {
    let (from, _) = places(app, to)?;
    let mut files = from.list(None);
    let mut load = Load::default();
    while let Some(file) = files.try_next().await.map_err(|e| no_store(&e.into()))? {
        if !file.location.as_ref().starts_with(STAGED) {
            load.add(file.size);
        }
    }
    Ok(load)
}

/// Moves everything to the place where new media go; `told` hears of every file, by its bytes.
pub async fn run(app: &App, to: Place, actor: &str, told: impl Fn(u64)) -> Result<Moved, Refusal> {
    if app.config.store.home != to {
        let sentence = format!("New media go to `{}` still.", app.config.store.home);
        let fix = format!(
            "Set CARILLON_STORE={to} and start every server again with it, then run this: what \
             comes in meanwhile is at its place already."
        );
        return Err(Refusal::conflict("store_not_home", sentence, fix));
    }
    let (from, into) = places(app, to)?;
    let mut done = Moved::default();
    let files = from.list(None);
    let mut carried = files
        .try_filter(|file| std::future::ready(!file.location.as_ref().starts_with(STAGED)))
        .map_ok(|file| async {
            let came = carry(app, &from, &into, &file).await;
            Ok((file, came))
        })
        .try_buffer_unordered(AT_ONCE);
    while let Some((file, came)) = carried.try_next().await.map_err(|e| no_store(&e.into()))? {
        match came {
            Ok(Came::Over) => done.moved.add(file.size),
            Ok(Came::Before) => done.there.add(file.size),
            Ok(Came::Foreign) => done.foreign.add(file.size),
            Err(e) => {
                let reason = format!("{e:#}");
                done.failed.push(Failed { file: file.location.to_string(), reason });
            }
        }
        told(file.size);
    }
    drop(carried);
    written_down(app, actor, to, &done).await?;
    Ok(done)
}

/// Uploads end where they began.
const STAGED: &str = "uploads/";

type Store = Arc<dyn ObjectStore>;

/// Where files are moved from, and to.
fn places(app: &App, to: Place) -> Result<(Store, Store), Refusal> {
    let from = match to {
        Place::Disk => Place::S3,
        Place::S3 => Place::Disk,
    };
    match (app.blobs.at(from), app.blobs.at(to)) {
        (Ok(from), Ok(to)) => Ok((from, to)),
        _ => {
            let fix = "Set CARILLON_S3_BUCKET and what belongs to it: docs/storage.md says how.";
            Err(Refusal::conflict("no_s3", "No S3 store is set up.", fix))
        }
    }
}

async fn carry(app: &App, from: &Store, into: &Store, file: &ObjectMeta) -> anyhow::Result<Came> {
    let key = &file.location;
    let Some(medium) = owner(app, key).await? else { return Ok(Came::Foreign) };
    let sum = (key.filename() == Some(&medium.original())).then_some(medium.sha256.as_str());
    let came = match into.head(key).await {
        Err(object_store::Error::NotFound { .. }) => Came::Over,
        Err(e) => return Err(e.into()),
        // A rendition can have been made anew since, by a server that knows the new place.
        Ok(there) if sum.is_none() && there.last_modified >= file.last_modified => Came::Before,
        Ok(_) if digest(into, key).await? == digest(from, key).await? => Came::Before,
        Ok(_) => Came::Over,
    };
    if let Came::Over = came {
        copy(from, into, file, sum).await?;
    }
    if owner(app, key).await?.is_none() {
        // It was thrown away while it was copied.
        gone(into.delete(key).await)?;
    }
    gone(from.delete(key).await)?;
    Ok(came)
}

/// The medium that a file is of, while there is one, be it in the trash.
async fn owner(app: &App, key: &Key) -> Result<Option<Media>, Error> {
    let Some(id) = key.parts().nth(1).map(|part| part.as_ref().to_owned()) else { return Ok(None) };
    if !ids::valid(&id) {
        return Ok(None);
    }
    app.db.read(move |tx| async move { media::kept(&tx, &id).await }).await
}

/// Whole in its new place, or not there at all. `sum`: what it must come to, where that is known.
async fn copy(
    from: &Store,
    into: &Store,
    file: &ObjectMeta,
    sum: Option<&str>,
) -> anyhow::Result<()> {
    let (key, mut hash) = (&file.location, Sha256::new());
    if file.size <= PIECE {
        let data = from.get(key).await?.bytes().await?;
        hash.update(&data);
        into.put(key, data.into()).await?;
    } else {
        let mut upload = into.put_multipart(key).await?;
        if let Err(e) = in_parts(from, file, upload.as_mut(), &mut hash).await {
            // What is left of it otherwise costs money, and nothing shows it.
            upload.abort().await?;
            return Err(e.into());
        }
    }
    let read = hex(hash);
    let says = match sum {
        Some(sum) if sum != read => "its bytes are not those that were uploaded: restore it",
        _ if digest(into, key).await? != read => "other bytes were read back than were written",
        _ => return Ok(()),
    };
    into.delete(key).await?;
    anyhow::bail!(says)
}

async fn in_parts(
    from: &Store,
    file: &ObjectMeta,
    upload: &mut dyn MultipartUpload,
    hash: &mut Sha256,
) -> object_store::Result<()> {
    let mut at = 0;
    while at < file.size {
        let end = file.size.min(at + PIECE);
        let part = from.get_range(&file.location, at..end).await?;
        hash.update(&part);
        upload.put_part(part.into()).await?;
        at = end;
    }
    upload.complete().await?;
    Ok(())
}

async fn digest(store: &Store, key: &Key) -> object_store::Result<String> {
    let mut bytes = store.get(key).await?.into_stream();
    let mut hash = Sha256::new();
    while let Some(bytes) = bytes.try_next().await? {
        hash.update(&bytes);
    }
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

async fn written_down(app: &App, actor: &str, to: Place, done: &Moved) -> Result<(), Refusal> {
    let (actor, now) = (actor.to_owned(), app.clock.now());
    let data = json!({ "files": done.moved.files, "bytes": done.moved.bytes, "failed": done.failed.len() });
    let write = app.db.write(move |tx| async move {
        audit::add(&tx, None, &actor, "media.moved", to.as_str(), &data, now).await
    });
    Ok(write.await?)
}

impl Load {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}
