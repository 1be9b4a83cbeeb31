//! Addresses under which networks fetch media: sealed, so that nobody can guess or widen one, and
//! good for a day. They lead to this server, or to the S3 store that signs them.

use std::time::Duration;

use super::blobs;
use crate::App;
use crate::config::Links;

const PURPOSE: &str = "media-url";
/// How long a link is good for, in ms.
pub const VALID_MS: i64 = 24 * 3_600_000;

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub workspace: String,
    pub media: String,
    /// `original` or a derivative's kind.
    pub kind: String,
}

/// The public address of one rendition.
pub async fn public(app: &App, workspace: &str, media: &str, kind: &str) -> String {
    if from_store(app) {
        let (key, valid) =
            (blobs::key(workspace, media, kind), Duration::from_millis(VALID_MS as u64));
        match app.blobs.signed_link(&key, valid).await {
            Ok(Some(link)) => return link,
            // It is on the disk still.
            Ok(None) => {}
            Err(e) => {
                tracing::warn!(error = %e, media, "the store signs no link: this server's is given")
            }
        }
    }
    own(app, workspace, media, kind)
}

/// Are networks led to the store?
pub fn from_store(app: &App) -> bool {
    let (store, s3) = (&app.config.store, app.config.store.s3.as_ref());
    match store.links {
        Links::Server => false,
        Links::Store => s3.is_some(),
        Links::Auto => {
            let open = s3.is_some_and(|s3| !s3.endpoint.starts_with("http://"));
            open && !app.public_url().starts_with("https://")
        }
    }
}

/// The address at this server. Derivatives end in `.jpg`, those of videos in `.mp4`, which some
/// networks look at.
pub fn own(app: &App, workspace: &str, media: &str, kind: &str) -> String {
    let until = app.clock.now() + VALID_MS;
    let token = app.keys.ticket(&format!("{workspace}|{media}|{kind}|{until}"), PURPOSE);
    let end = match kind {
        kind if kind.starts_with("original") => "",
        kind if kind.starts_with("video") => ".mp4",
        _ => ".jpg",
    };
    format!("{}/m/{token}{end}", app.public_url())
}

/// What the last part of such an address leads to; `None` when it is not ours or too old.
pub fn open(app: &App, token: &str) -> Option<Link> {
    let token = token.strip_suffix(".jpg").or(token.strip_suffix(".mp4")).unwrap_or(token);
    let text = app.keys.read_ticket(token, PURPOSE).ok()?;
    let mut parts = text.split('|').map(str::to_owned);
    let link = Link { workspace: parts.next()?, media: parts.next()?, kind: parts.next()? };
    let until: i64 = parts.next()?.parse().ok()?;
    (app.clock.now() < until).then_some(link)
}
