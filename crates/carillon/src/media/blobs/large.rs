//! Blobs too large for memory: put from a file, read piece by piece, lent to programs as a file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use carillon_networks::{Class, Error, Source};
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{
    GetOptions, GetRange, GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BlobError, Blobs, PIECE};
use crate::config::Place;

impl Blobs {
    /// Moves a finished file into the store.
    pub async fn put_file(&self, key: &str, file: &Path) -> Result<(), BlobError> {
        if self.home == Place::Disk {
            let to = self.dir.join(key);
            tokio::fs::File::open(file).await?.sync_all().await?;
            tokio::fs::create_dir_all(to.parent().unwrap_or(&self.dir)).await?;
            match tokio::fs::rename(file, &to).await {
                // The folder of files under work is on another disk than the store.
                Err(e) if e.kind() == std::io::ErrorKind::CrossesDevices => {}
                moved => return Ok(moved?),
            }
        }
        let mut source = tokio::fs::File::open(file).await?;
        let mut upload = self.store.put_multipart(&Key::from(key)).await?;
        let sent = async {
            loop {
                let mut piece = Vec::with_capacity(PIECE as usize);
                (&mut source).take(PIECE).read_to_end(&mut piece).await?;
                if piece.is_empty() {
                    return Ok::<(), BlobError>(());
                }
                upload.put_part(piece.into()).await?;
            }
        };
        if let Err(e) = sent.await {
            upload.abort().await?;
            return Err(e);
        }
        upload.complete().await?;
        tokio::fs::remove_file(file).await?;
        Ok(())
    }

    /// Its length in bytes.
    pub async fn size(&self, key: &str) -> Result<u64, BlobError> {
        Ok(self.store.head(&Key::from(key)).await?.size)
    }

    /// These bytes of it; fewer where it ends before.
    pub async fn part(&self, key: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        Ok(self.store.get_range(&Key::from(key), range).await?)
    }

    /// These bytes of it as they come.
    pub async fn stream(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes, BlobError>> + use<>, BlobError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&Key::from(key), options).await?;
        Ok(found.into_stream().map_err(BlobError::from))
    }

    /// The blob as a file that can be read: the store's own, or a copy in `folder`.
    pub async fn lend(&self, key: &str, folder: &Path) -> Result<PathBuf, BlobError> {
        let mut stream = match self.store.get(&Key::from(key)).await?.payload {
            GetResultPayload::File(_, path) => return Ok(path),
            GetResultPayload::Stream(stream) => stream,
        };
        let path = folder.join("original");
        let mut copy = tokio::fs::File::create(&path).await?;
        while let Some(piece) = stream.next().await {
            copy.write_all(&piece?).await?;
        }
        copy.flush().await?;
        Ok(path)
    }

    /// It as a connector reads it.
    pub async fn source(&self, key: String) -> Result<impl Source + use<>, BlobError> {
        let len = self.size(&key).await?;
        Ok(Stored { blobs: self.clone(), key, len })
    }
}

struct Stored {
    blobs: Blobs,
    key: String,
    len: u64,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("key", &self.key).field("len", &self.len).finish()
    }
}

#[async_trait]
impl Source for Stored {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read(&self, at: u64, len: usize) -> Result<Bytes, Error> {
        let end = self.len.min(at.saturating_add(len as u64));
        if at >= end {
            return Ok(Bytes::new());
        }
        self.blobs.part(&self.key, at..end).await.map_err(|e| {
            tracing::warn!(error = %e, key = self.key, "the media store refused in the middle of an upload");
            let says = "The media store is not available at the moment.";
            Error::new(Class::Transient, says).code("media_store")
        })
    }
}
