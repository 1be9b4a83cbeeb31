//! A picture or video by its address: fetched behind the address guard, taken in as an upload is.

use std::time::Duration;

use url::Url;

use super::intake;
use crate::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::store::media::Media;

/// A large video over a slow line.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Is this the address of something that may be fetched? Asks nobody.
pub(crate) fn address(app: &App, text: &str) -> Result<Url, Refusal> {
    let refuse = |why: &str| {
        let fix = "Write the whole address of the file, as https://example.org/picture.jpg.";
        let sentence = format!("`{text}` cannot be fetched: {why}.");
        Refusal::new(Kind::Invalid, "address_refused", sentence, fix)
    };
    let url: Url = text.parse().map_err(|_| refuse("it is no address"))?;
    if url.scheme() != "https" && !app.http.allows(&url) {
        return Err(refuse("only https is fetched"));
    }
    app.http.check(&url).map_err(|_| refuse("it is not a public address"))?;
    Ok(url)
}

/// Fetches a file into the library. Its size is capped as an upload's is.
pub(crate) async fn fetch(app: &App, workspace: &str, text: &str) -> Result<Media, Refusal> {
    let url = address(app, text)?;
    let failed = |why: String| {
        let fix = "See that the address opens without signing in, or upload the file.";
        let sentence = format!("`{text}` could not be fetched: {why}");
        Refusal::new(Kind::Invalid, "fetch_failed", sentence, fix)
    };
    let opened = app.http.open(&url, &[], TIMEOUT).await.map_err(|e| failed(e.sentence))?;
    if !opened.status.is_success() {
        return Err(failed(format!("it answers {}.", opened.status)));
    }
    let name = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
    let body = Box::pin(opened.body);
    intake::upload(app, workspace, name, "", body).await.map_err(|e| match e.kind {
        Kind::Unavailable | Kind::Full | Kind::Internal => e,
        _ => Refusal { sentence: format!("`{text}`: {}", e.sentence), ..e },
    })
}
