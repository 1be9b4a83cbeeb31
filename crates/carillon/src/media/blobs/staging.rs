//! A file that arrives in pieces, until it is whole.
//!
//! Pieces come in order. A piece that was answered for is safe; whoever keeps how far the file has
//! come writes that down afterwards, so that a crash costs one piece at most. The same piece may be
//! written again. On disk it is a file that grows; in an S3 store a multipart upload, whose parts
//! but for the last are all of one size: what is less waits as an object of its own.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use super::{BlobError, Blobs, Place, gone};
use crate::ids;

/// Bytes that are held in memory for one file before they are written: a piece begins and ends at
/// multiples of it, but for one that its sender cut short. What S3 takes as a part at least.
pub const PIECE: u64 = 5 << 20;

/// A file in pieces.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// Under which they are kept.
    pub id: String,
    /// The blob that they become.
    pub key: String,
    /// Of the whole file, in bytes.
    pub length: u64,
}

/// Where the pieces of one file are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Staging {
    /// A file below `uploads/` that grows.
    Disk,
    S3(Multipart),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Multipart {
    upload: String,
    /// What the store calls the parts that it has, in order.
    parts: Vec<String>,
    /// The object below `uploads/` with what is less than a part.
    tail: Option<String>,
}

impl Blobs {
    /// A place for the pieces of a new file, where new files go.
    pub async fn stage(&self, file: &Pieces) -> Result<Staging, BlobError> {
        if self.home == Place::Disk {
            self.disk.put(&file.below(), PutPayload::default()).await?;
            return Ok(Staging::Disk);
        }
        let upload = self.s3()?.create_multipart(&Key::from(file.key.as_str())).await?;
        Ok(Staging::S3(Multipart { upload, parts: Vec::new(), tail: None }))
    }

    /// Writes the bytes from `at` on, which must not reach over a multiple of [`PIECE`]. Nothing of
    /// what `staging` says is touched: it still holds when this fails, or is done again.
    pub async fn append(
        &self,
        staging: &Staging,
        file: &Pieces,
        at: u64,
        piece: Bytes,
    ) -> Result<Staging, BlobError> {
        match staging {
            Staging::Disk => {
                let path = self.disk.path_to_filesystem(&file.below())?;
                let written = tokio::task::spawn_blocking(move || write(&path, at, &piece)).await;
                written.map_err(|e| BlobError::Unavailable(e.to_string()))??;
                Ok(Staging::Disk)
            }
            Staging::S3(begun) => Ok(Staging::S3(self.put_part(begun, file, at, piece).await?)),
        }
    }

    async fn put_part(
        &self,
        begun: &Multipart,
        file: &Pieces,
        at: u64,
        piece: Bytes,
    ) -> Result<Multipart, BlobError> {
        let (s3, mut next) = (self.s3()?, begun.clone());
        let mut part = BytesMut::new();
        if let Some(tail) = next.tail.take() {
            part.extend_from_slice(&s3.get(&Key::from(tail)).await?.bytes().await?);
        }
        if next.parts.len() as u64 * PIECE + part.len() as u64 != at {
            return Err(BlobError::Missing);
        }
        part.extend_from_slice(&piece);
        let end = at + piece.len() as u64;
        let payload = PutPayload::from_bytes(part.freeze());
        if end.is_multiple_of(PIECE) || end == file.length {
            let key = Key::from(file.key.as_str());
            let put = s3.put_part(&key, &next.upload, next.parts.len(), payload).await?;
            next.parts.push(put.content_id);
        } else {
            let tail = file.below().join(ids::secret());
            s3.put(&tail, payload).await?;
            next.tail = Some(tail.into());
        }
        Ok(next)
    }

    /// `before` no longer holds, since `now` does: what only that one needed goes.
    pub async fn supersede(&self, before: &Staging, now: &Staging) -> Result<(), BlobError> {
        let (Staging::S3(before), Staging::S3(now)) = (before, now) else { return Ok(()) };
        match &before.tail {
            Some(tail) if now.tail != before.tail => {
                Ok(self.s3()?.delete(&Key::from(tail.as_str())).await?)
            }
            _ => Ok(()),
        }
    }

    /// Makes the whole file the blob of its key. Done once more, it changes nothing.
    pub async fn unite(&self, staging: &Staging, file: &Pieces) -> Result<(), BlobError> {
        let (from, to) = (file.below(), Key::from(file.key.as_str()));
        match staging {
            Staging::Disk => {
                let found = match self.disk.head(&from).await {
                    Err(object_store::Error::NotFound { .. }) => self.disk.head(&to).await?,
                    found => found?,
                };
                file.is_whole(found.size)?;
                if found.location == from {
                    self.disk.rename(&from, &to).await?;
                }
            }
            Staging::S3(Multipart { upload, parts, .. }) => {
                let s3 = self.s3()?;
                let parts = parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
                if let Err(e) = s3.complete_multipart(&to, upload, parts).await {
                    // It may have been done, and the answer lost.
                    let found = s3.head(&to).await.map_err(|_| e)?;
                    file.is_whole(found.size)?;
                }
                self.clear_tails(file).await?;
            }
        }
        Ok(())
    }

    /// Removes what was kept of a file that will not be one.
    pub async fn abandon(&self, staging: &Staging, file: &Pieces) -> Result<(), BlobError> {
        match staging {
            Staging::Disk => gone(self.disk.delete(&file.below()).await),
            Staging::S3(begun) => {
                let key = Key::from(file.key.as_str());
                gone(self.s3()?.abort_multipart(&key, &begun.upload).await)?;
                self.clear_tails(file).await
            }
        }
    }

    async fn clear_tails(&self, file: &Pieces) -> Result<(), BlobError> {
        let s3 = self.s3()?;
        let mut tails = s3.list(Some(&file.below()));
        while let Some(tail) = tails.try_next().await? {
            s3.delete(&tail.location).await?;
        }
        Ok(())
    }
}

impl Pieces {
    fn below(&self) -> Key {
        Key::from("uploads").join(self.id.as_str())
    }

    fn is_whole(&self, size: u64) -> Result<(), BlobError> {
        if size == self.length {
            return Ok(());
        }
        Err(BlobError::Unavailable(format!("{size} of {} bytes are there", self.length)))
    }
}

fn write(path: &Path, at: u64, piece: &[u8]) -> std::io::Result<()> {
    // Not made here: what came before would be a hole.
    let mut file = File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(piece)?;
    file.sync_data()
}
