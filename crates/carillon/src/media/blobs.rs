//! Where the bytes are: a folder, an S3-compatible store, or both while media move between them.
//!
//! Keys: `{workspace}/{media}/original` (`original-2` of the file that took its place), `…/square.jpg`, `…/story.jpg`, `…/landscape.jpg`,
//! `…/thumb.jpg`, of a video `…/poster.jpg` and `…/video-8000.mp4`. A blob is written whole or not
//! at all, and is on disk when that is answered.
//! What arrives in pieces is kept below `uploads/` until it is whole (`staging.rs`).

mod large;
mod places;
mod s3;
mod staging;

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

pub use staging::{PIECE, Pieces, Staging};

use crate::config::{self, Place};
use crate::ids;
use places::Places;

#[derive(Clone)]
pub struct Blobs {
    /// All there is.
    store: Arc<dyn ObjectStore>,
    /// Where new ones go.
    home: Place,
    disk: Arc<LocalFileSystem>,
    s3: Option<Arc<AmazonS3>>,
    /// Where the files of `disk` are.
    dir: PathBuf,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobError {
    #[error("the file is not in the store")]
    Missing,
    #[error("the media store is full: {0}")]
    Full(String),
    #[error("the media store is not available: {0}")]
    Unavailable(String),
}

impl Blobs {
    /// The folder `dir`, and the bucket that the settings name.
    pub fn open(dir: &Path, settings: &config::Store) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let disk = LocalFileSystem::new_with_prefix(&dir)?;
        let disk = Arc::new(disk.with_automatic_cleanup(true).with_fsync(true));
        let s3 = settings.s3.as_ref().map(s3::connect).transpose()?.map(Arc::new);
        let store: Arc<dyn ObjectStore> = match (settings.home, s3.clone()) {
            (_, None) => disk.clone(),
            (Place::Disk, Some(s3)) => Arc::new(Places { home: disk.clone(), other: s3 }),
            (Place::S3, Some(s3)) => Arc::new(Places { home: s3, other: disk.clone() }),
        };
        Ok(Self { store, home: settings.home, disk, s3, dir })
    }

    /// One of the places alone.
    pub(super) fn at(&self, place: Place) -> Result<Arc<dyn ObjectStore>, BlobError> {
        match place {
            Place::Disk => Ok(self.disk.clone()),
            Place::S3 => Ok(self.s3()?.clone()),
        }
    }

    /// Writes, reads and removes a blob at this place: is what is read what was written?
    pub async fn try_out(&self, place: Place) -> Result<bool, BlobError> {
        let (store, key) = (self.at(place)?, Key::from("doctor").join(ids::secret()));
        store.put(&key, PutPayload::from_static(b"doctor")).await?;
        let read = store.get_range(&key, 3..6).await;
        gone(store.delete(&key).await)?;
        Ok(read? == "tor")
    }

    fn s3(&self) -> Result<&Arc<AmazonS3>, BlobError> {
        self.s3.as_ref().ok_or_else(|| BlobError::Unavailable("no S3 store is set up".to_owned()))
    }

    pub async fn put(&self, key: &str, data: Bytes) -> Result<(), BlobError> {
        self.store.put(&Key::from(key), PutPayload::from_bytes(data)).await?;
        Ok(())
    }

    pub async fn get(&self, key: &str) -> Result<Bytes, BlobError> {
        Ok(self.store.get(&Key::from(key)).await?.bytes().await?)
    }

    /// Removes everything in a folder, as [`folder`] names it.
    pub async fn delete_all(&self, folder: &str) -> Result<(), BlobError> {
        let found = self.store.list(Some(&Key::from(folder))).map_ok(|file| file.location).boxed();
        let mut gone = self.store.delete_stream(found);
        while let Some(deleted) = gone.next().await {
            self::gone(deleted.map(drop))?;
        }
        Ok(())
    }

    /// Tells every blob of a workspace, its key and its bytes.
    pub async fn each(
        &self,
        workspace: &str,
        mut told: impl FnMut(&str, u64),
    ) -> Result<(), BlobError> {
        let mut found = self.store.list(Some(&Key::from(workspace)));
        while let Some(file) = found.try_next().await? {
            told(file.location.as_ref(), file.size);
        }
        Ok(())
    }

    /// Removes a blob; one that is not there is fine.
    pub async fn delete(&self, key: &str) -> Result<(), BlobError> {
        gone(self.store.delete(&Key::from(key)).await)
    }
}

/// What was not there is gone, too.
pub(super) fn gone(deleted: object_store::Result<()>) -> Result<(), BlobError> {
    match deleted {
        Err(object_store::Error::NotFound { .. }) => Ok(()),
        deleted => Ok(deleted?),
    }
}

/// Where the files of one medium are.
pub fn folder(workspace: &str, media: &str) -> String {
    format!("{workspace}/{media}")
}

/// The key of one rendition of a medium: `original` or a derivative's kind.
pub fn key(workspace: &str, media: &str, kind: &str) -> String {
    match kind {
        kind if kind.starts_with("original") => format!("{workspace}/{media}/{kind}"),
        kind if kind.starts_with("video") => format!("{workspace}/{media}/{kind}.mp4"),
        kind => format!("{workspace}/{media}/{kind}.jpg"),
    }
}

impl From<object_store::Error> for BlobError {
    fn from(e: object_store::Error) -> Self {
        if let object_store::Error::NotFound { .. } = e {
            return Self::Missing;
        }
        let mut cause = e.source();
        while let Some(e) = cause {
            match e.downcast_ref::<io::Error>() {
                Some(e) if is_full(e) => return Self::Full(e.to_string()),
                _ => cause = e.source(),
            }
        }
        Self::Unavailable(e.to_string())
    }
}

impl From<io::Error> for BlobError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ if is_full(&e) => Self::Full(e.to_string()),
            _ => Self::Unavailable(e.to_string()),
        }
    }
}

fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
