//! Addresses under which networks fetch media: sealed, so that nobody can guess or widen one, and
//! good for a day.

use crate::App;

const PURPOSE: &str = "media-url";
const VALID_MS: i64 = 24 * 3_600_000;

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub workspace: String,
    pub media: String,
    /// `original` or a derivative's kind.
    pub kind: String,
}

/// The public address of one rendition. Derivatives end in `.jpg`, those of videos in `.mp4`, which
/// some networks look at.
pub fn public(app: &App, workspace: &str, media: &str, kind: &str) -> String {
    let until = app.clock.now() + VALID_MS;
    let token = app.keys.ticket(&format!("{workspace}|{media}|{kind}|{until}"), PURPOSE);
    let end = match kind {
        "original" => "",
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
