//! An S3-compatible store: its client, and the links that it signs.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path as Key;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{ClientOptions, ObjectStoreExt, RetryConfig};

use super::{BlobError, Blobs};
use crate::{config, ids};
use carillon_pictures::probe;

/// How long one call may be tried again: a delivery that waits for its picture holds a lease.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) fn connect(s3: &config::S3) -> anyhow::Result<AmazonS3> {
    let retry = RetryConfig { max_retries: 3, retry_timeout: PATIENCE, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(&s3.region)
        .with_access_key_id(&s3.key_id)
        .with_secret_access_key(&s3.secret)
        .with_virtual_hosted_style_request(!s3.path_style)
        // Not every store of this kind knows how to delete many at once.
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_http_connector(Direct::new()?);
    if let Some((scheme, host)) = s3.endpoint.split_once("://") {
        builder = builder.with_endpoint(match s3.path_style {
            true => s3.endpoint.clone(),
            false => format!("{scheme}://{}.{host}", s3.bucket),
        });
    }
    builder.build().context("the settings of the S3 store do not fit together")
}

/// Speaks to the one address that the operator set, which may be a private one, and goes nowhere
/// else: a store cannot send us on. The guard of the way to the networks does not learn of it.
#[derive(Debug)]
struct Direct(reqwest::Client);

impl Direct {
    fn new() -> anyhow::Result<Self> {
        // A second client in one process finds the provider installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("Carillon/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(5))
            // Also the longest time for one part to go out.
            .read_timeout(Duration::from_secs(60))
            .no_proxy()
            .build()?;
        Ok(Self(client))
    }
}

impl HttpConnector for Direct {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Blobs {
    /// An address that gives this blob to whoever has it, signed by the S3 store and good for so
    /// long; `None` when it is not there.
    pub async fn signed_link(
        &self,
        key: &str,
        valid: Duration,
    ) -> Result<Option<String>, BlobError> {
        let Some(s3) = &self.s3 else { return Ok(None) };
        let path = Key::from(key);
        let head = match s3.get_range(&path, 0..64).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            head => head?,
        };
        let mut options = SignedUrlOptions::new();
        // By its content: the store was never told.
        if let Some(kind) = probe::sniff(&head) {
            options = options.with_query([("response-content-type", kind.content_type())]);
        }
        Ok(Some(s3.signed_url_opts(Method::GET, &path, valid, &options).await?.into()))
    }

    /// Writes a blob into the S3 store, fetches it by its link and removes it: is it the same?
    pub async fn try_link(&self) -> Result<bool, BlobError> {
        let (s3, path) = (self.s3()?, Key::from("doctor").join(ids::secret()));
        let word = Bytes::from_static(b"doctor");
        s3.put(&path, word.clone().into()).await?;
        let fetched = async {
            let link = self.signed_link(path.as_ref(), Duration::from_secs(60)).await?;
            let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build();
            let link = link.ok_or(BlobError::Missing)?;
            let answer = client.map_err(unfetched)?.get(link).send().await.map_err(unfetched)?;
            answer.error_for_status().map_err(unfetched)?.bytes().await.map_err(unfetched)
        };
        let fetched = fetched.await;
        s3.delete(&path).await?;
        Ok(fetched? == word)
    }
}

/// Without the address: it opens the blob.
fn unfetched(e: reqwest::Error) -> BlobError {
    BlobError::Unavailable(format!("a signed link was not answered: {}", e.without_url()))
}
