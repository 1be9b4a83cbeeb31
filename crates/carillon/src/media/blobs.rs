//! Where the bytes are: a folder now, any store that `object_store` speaks to later.
//!
//! Keys: `{workspace}/{media}/original`, `…/square.jpg`, `…/story.jpg`, `…/landscape.jpg`,
//! `…/thumb.jpg`, of a video `…/poster.jpg` and `…/video-8000.mp4`. A blob is written whole or not
//! at all.

mod large;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Where the files are, for a store on this machine.
    dir: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("the file is not in the store")]
    Missing,
    #[error("the media store is not available: {0}")]
    Unavailable(String),
}

impl Blobs {
    pub fn on_disk(dir: &Path) -> anyhow::Result<Self> {
        use anyhow::Context;
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let store = LocalFileSystem::new_with_prefix(dir)?.with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), dir: Some(dir.canonicalize()?) })
    }

    pub async fn put(&self, key: &str, data: Bytes) -> Result<(), BlobError> {
        self.store.put(&Key::from(key), PutPayload::from_bytes(data)).await?;
        Ok(())
    }

    pub async fn get(&self, key: &str) -> Result<Bytes, BlobError> {
        Ok(self.store.get(&Key::from(key)).await?.bytes().await?)
    }

    /// Removes a blob; one that is not there is fine.
    pub async fn delete(&self, key: &str) -> Result<(), BlobError> {
        match self.store.delete(&Key::from(key)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// The key of one rendition of a medium: `original` or a derivative's kind.
pub fn key(workspace: &str, media: &str, kind: &str) -> String {
    match kind {
        "original" => format!("{workspace}/{media}/original"),
        kind if kind.starts_with("video") => format!("{workspace}/{media}/{kind}.mp4"),
        kind => format!("{workspace}/{media}/{kind}.jpg"),
    }
}

impl From<object_store::Error> for BlobError {
    fn from(e: object_store::Error) -> Self {
        match e {
            object_store::Error::NotFound { .. } => BlobError::Missing,
            e => BlobError::Unavailable(e.to_string()),
        }
    }
}
