//! Blobs too large for memory: read piece by piece.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::{BlobError, Blobs};

impl Blobs {
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
}
