//! Two places as one store: what is new goes home, what is there is read from where it is, and what
//! is deleted is deleted from both. So a medium can be moved while it is served.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) home: Arc<dyn ObjectStore>,
    pub(super) other: Arc<dyn ObjectStore>,
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, then {}", self.home, self.other)
    }
}

#[async_trait]
impl ObjectStore for Places {
    async fn put_opts(
        &self,
        key: &Key,
        data: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.home.put_opts(key, data, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Key,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.home.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        // Home is asked twice: it may have come there while the other place was asked, and have left
        // that before.
        for place in [&self.home, &self.other] {
            match place.get_opts(key, options.clone()).await {
                Err(Error::NotFound { .. }) => {}
                found => return found,
            }
        }
        self.home.get_opts(key, options).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Key>>,
    ) -> BoxStream<'static, Result<Key>> {
        let both = self.clone();
        let delete = move |key: Key| {
            let both = both.clone();
            async move {
                for place in [&both.home, &both.other] {
                    match place.delete(&key).await {
                        Ok(()) | Err(Error::NotFound { .. }) => {}
                        Err(e) => return Err(e),
                    }
                }
                Ok(key)
            }
        };
        keys.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.home.list(prefix).chain(self.other.list(prefix)).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Key>) -> Result<ListResult> {
        Err(self.never("list_with_delimiter"))
    }

    async fn copy_opts(&self, _: &Key, _: &Key, _: CopyOptions) -> Result<()> {
        Err(self.never("copy"))
    }
}

impl Places {
    fn never(&self, operation: &str) -> Error {
        Error::NotImplemented { operation: operation.to_owned(), implementer: self.to_string() }
    }
}
