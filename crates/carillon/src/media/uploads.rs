//! Files that arrive in pieces: begun, received, and made a medium when they are whole.
//!
//! What is answered for is in the store first and in the row after it, so that a crash of either
//! side costs a piece at most and the client goes on at what the row says. An upload's id becomes
//! its medium's, and its row is finished in the transaction that adds the medium: it happens once.
//! One request at a time may add to an upload; of two processes the row takes the first.

mod adopting;
mod receiving;

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};

use super::blobs::{self, BlobError, Pieces, Staging};
use super::intake;
use super::library::{clean_alt, no_store};
use super::usage;
use crate::domain::refusal::{Kind as No, Refusal};
use crate::store::uploads::{self, Upload};
use crate::{App, ids, store};
use receiving::Receiver;

pub use receiving::Checksum;

/// Uploads of one workspace that may be under way at once: each can hold gigabytes for a day.
const MANY: i64 = 200;

/// What is said of a file before it comes.
#[derive(Debug, Clone, Copy, Default)]
pub struct New<'a> {
    pub name: &'a str,
    /// The description for people who cannot see it.
    pub alt: &'a str,
    /// As the client gave it, and is given it back.
    pub metadata: &'a str,
    /// In bytes.
    pub length: u64,
}

/// The uploads that this process is adding to at the moment.
#[derive(Debug, Default)]
pub struct Underway(Mutex<HashSet<String>>);

/// Makes room for a file.
pub async fn begin(app: &App, workspace: &str, new: New<'_>) -> Result<Upload, Refusal> {
    let max = app.config.media.upload_max_bytes;
    if new.length == 0 {
        return Err(intake::empty());
    }
    if new.length > max {
        return Err(intake::too_large(max, "file", "CARILLON_UPLOAD_MAX"));
    }
    usage::room(app, workspace).await?.holds(app, new.length)?;
    let (alt, now) = (clean_alt(new.alt)?, app.clock.now());
    let mut upload = Upload {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        name: new.name.to_owned(),
        alt,
        metadata: new.metadata.to_owned(),
        length: new.length as i64,
        received: 0,
        digest: keep(&Sha256::new()),
        staging: String::new(),
        created_at: now,
        expires_at: expiry(app),
        finished_at: None,
    };
    let file = pieces(&upload);
    let staging = app.blobs.stage(&file).await.map_err(|e| no_store(&e))?;
    upload.staging = store::json(&staging);
    let row = upload.clone();
    let kept = app
        .db
        .write(move |tx| async move {
            if uploads::under_way(&tx, &row.workspace_id, now).await? >= MANY {
                return Err(too_many());
            }
            Ok(uploads::add(&tx, &row).await?)
        })
        .await;
    if kept.is_err()
        && let Err(e) = app.blobs.abandon(&staging, &file).await
    {
        tracing::warn!(error = %e, upload = upload.id, "an empty file stays in the store");
    }
    kept.map(|()| upload)
}

/// How far an upload has come. One that is whole and no medium yet, because that failed before, is
/// made one now.
pub async fn find(app: &App, workspace: &str, id: &str) -> Result<Upload, Refusal> {
    let upload = open(app, workspace, id).await?;
    if upload.finished_at.is_some() || !upload.is_whole() {
        return Ok(upload);
    }
    let _turn = app.uploads.take(id).ok_or_else(busy)?;
    complete(app, open(app, workspace, id).await?).await
}

/// Takes the bytes from `offset` on. They stand as they come, but for those with a checksum: these
/// stand together or not at all. `declared` is how many there are, where that is known.
pub async fn receive<S, E>(
    app: &App,
    workspace: &str,
    id: &str,
    offset: u64,
    declared: Option<u64>,
    checksum: Option<Checksum>,
    body: S,
) -> Result<Upload, Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    let _turn = app.uploads.take(id).ok_or_else(busy)?;
    let upload = open(app, workspace, id).await?;
    if offset != upload.received as u64 {
        return Err(elsewhere(upload.received, offset));
    }
    if declared.is_some_and(|n| offset.saturating_add(n) > upload.length as u64) {
        return Err(too_long(upload.length));
    }
    let upload = Receiver::new(app, upload, checksum)?.run(body).await?;
    if upload.is_whole() && upload.finished_at.is_none() {
        return complete(app, upload).await;
    }
    Ok(upload)
}

/// Ends an upload, and what has arrived of it goes. A medium that it became stays.
pub async fn cancel(app: &App, workspace: &str, id: &str) -> Result<(), Refusal> {
    let (ws, of) = (workspace.to_owned(), id.to_owned());
    let upload =
        app.db.write(move |tx| async move { uploads::cancel(&tx, &ws, &of).await }).await?;
    clear(app, &upload.ok_or_else(no_such)?).await
}

/// Ends what nobody went on with, and makes media of what is whole; how many ended.
pub async fn sweep(app: &App) -> anyhow::Result<usize> {
    let now = app.clock.now();
    let whole = app.db.read(|tx| async move { uploads::unfinished(&tx).await }).await?;
    for upload in whole {
        let Some(_turn) = app.uploads.take(&upload.id) else { continue };
        if let Err(refusal) = complete(app, upload).await {
            tracing::info!(code = refusal.code, "a whole upload did not become a medium");
        }
    }
    let expired = app.db.read(move |tx| async move { uploads::expired(&tx, now).await }).await?;
    for upload in &expired {
        // One that cannot be cleared now keeps nobody else's from being.
        discard(app, upload).await;
    }
    Ok(expired.len())
}

/// One that can be gone on with.
async fn open(app: &App, workspace: &str, id: &str) -> Result<Upload, Refusal> {
    let (ws, of) = (workspace.to_owned(), id.to_owned());
    let found = app.db.read(move |tx| async move { uploads::find(&tx, &ws, &of).await }).await?;
    match found {
        Some(upload) if upload.expires_at > app.clock.now() => Ok(upload),
        Some(_) => Err(gone("The time of this upload is over.")),
        None => Err(no_such()),
    }
}

/// The whole file becomes a medium. What only fails for now is asked again later.
async fn complete(app: &App, mut upload: Upload) -> Result<Upload, Refusal> {
    if let Err(e) = app.blobs.unite(&staging(&upload)?, &pieces(&upload)).await {
        return Err(stopped(app, &upload, upload.length, &e).await);
    }
    let sha256 = hex(&resume(&upload.digest)?.finalize());
    match adopting::adopt(app, &upload, &sha256).await {
        Ok(at) => {
            upload.finished_at = Some(at);
            app.ring();
            Ok(upload)
        }
        Err(refusal) if passes(&refusal) => Err(refusal),
        Err(refusal) => {
            discard(app, &upload).await;
            Err(refusal)
        }
    }
}

/// An upload that can become nothing goes at once; where that fails, the sweep does it.
async fn discard(app: &App, upload: &Upload) {
    if let Err(refusal) = cancel(app, &upload.workspace_id, &upload.id).await {
        tracing::warn!(
            code = refusal.code,
            upload = upload.id,
            "what is left of an upload waits for the next sweep"
        );
    }
}

/// Files first: a row without them can be swept again.
async fn clear(app: &App, upload: &Upload) -> Result<(), Refusal> {
    if upload.finished_at.is_none() {
        let file = pieces(upload);
        app.blobs.abandon(&staging(upload)?, &file).await.map_err(|e| no_store(&e))?;
        // Whole and no medium yet.
        app.blobs.delete(&file.key).await.map_err(|e| no_store(&e))?;
    }
    let id = upload.id.clone();
    Ok(app.db.write(move |tx| async move { uploads::remove(&tx, &id).await }).await?)
}

/// Why a piece was not kept, of an upload whose row had come to `committed`.
async fn stopped(app: &App, upload: &Upload, committed: i64, e: &BlobError) -> Refusal {
    let fix = match e {
        BlobError::Missing => return lost(app, upload, committed).await,
        BlobError::Full(_) => "Make room on it and go on: what has arrived is kept.",
        BlobError::Unavailable(_) => "Go on in a moment: what has arrived is kept.",
    };
    Refusal { fix: fix.to_owned(), ..no_store(e) }
}

/// Its pieces are not in the store: another process has ended it, or nothing can become of it.
async fn lost(app: &App, upload: &Upload, committed: i64) -> Refusal {
    match open(app, &upload.workspace_id, &upload.id).await {
        Ok(row) if row.received == committed && row.finished_at.is_none() => {
            tracing::error!(upload = upload.id, "the pieces of an upload are not in the store");
            discard(app, upload).await;
            gone("What had arrived of this file is no longer in the store.")
        }
        Ok(_) => moved_on(),
        Err(refusal) => refusal,
    }
}

fn pieces(upload: &Upload) -> Pieces {
    let key = blobs::key(&upload.workspace_id, &upload.id, "original");
    Pieces { id: upload.id.clone(), key, length: upload.length as u64 }
}

fn staging(upload: &Upload) -> Result<Staging, Refusal> {
    serde_json::from_str(&upload.staging).map_err(|_| unreadable())
}

fn expiry(app: &App) -> i64 {
    app.clock.now() + app.config.media.upload_expires.as_millis() as i64
}

fn keep(digest: &Sha256) -> String {
    STANDARD.encode(digest.serialize())
}

fn resume(kept: &str) -> Result<Sha256, Refusal> {
    let state = STANDARD.decode(kept).map_err(|_| unreadable())?;
    let state = state.as_slice().try_into().map_err(|_| unreadable())?;
    Sha256::deserialize(state).map_err(|_| unreadable())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Is it another matter later? Or somebody else who ended it, and looks after the rest.
fn passes(refusal: &Refusal) -> bool {
    matches!(refusal.kind, No::Unavailable | No::Full | No::Internal | No::Conflict)
}

impl Underway {
    /// The right to add to one upload, until dropped; `None` while somebody has it.
    fn take(&self, id: &str) -> Option<Turn<'_>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id.to_owned()).then(|| Turn { all: self, id: id.to_owned() })
    }
}

struct Turn<'a> {
    all: &'a Underway,
    id: String,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

fn no_such() -> Refusal {
    Refusal::not_found("upload")
}

fn gone(sentence: &str) -> Refusal {
    Refusal::new(No::NotFound, "upload_gone", sentence, "Send the file again, from its beginning.")
}

fn busy() -> Refusal {
    let fix = "Wait for its answer, then ask with HEAD how far the upload has come.";
    let sentence = "Another request is adding to this upload.";
    Refusal::conflict("upload_busy", sentence, fix)
}

fn elsewhere(received: i64, offset: u64) -> Refusal {
    let sentence = format!("{received} bytes have arrived; these would begin at {offset}.");
    Refusal::conflict("upload_offset", sentence, "Ask with HEAD, and go on at `Upload-Offset`.")
}

fn moved_on() -> Refusal {
    let sentence = "This upload was moved on, finished or cancelled by another request.";
    Refusal::conflict("upload_offset", sentence, "Ask with HEAD, and go on at `Upload-Offset`.")
}

fn too_long(length: i64) -> Refusal {
    let sentence = format!("More bytes came than the {length} that were announced.");
    let fix = "Begin a new upload with the file's right length.";
    Refusal::new(No::TooLarge, "upload_too_long", sentence, fix)
}

fn too_many() -> Refusal {
    let sentence = format!("{MANY} uploads of this workspace are under way.");
    let fix = "Finish or cancel some of them; what nobody goes on with ends by itself.";
    Refusal::new(No::TooMany, "too_many_uploads", sentence, fix)
}

fn unreadable() -> Refusal {
    tracing::error!("an upload's row cannot be read");
    gone("What is kept of this upload cannot be read.")
}
