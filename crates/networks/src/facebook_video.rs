//! Videos, reels and the videos of stories on a page: uploads under an id that can be asked how far
//! it is. The upload is harmless; ending it is what publishes.
//!
//! A page's video is uploaded in the pieces that the network asks for; reels and stories go to the
//! upload server in one request, which is resumed where it broke off.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Class, Error, saying};
use crate::facebook::{Done, Facebook, SPEC};
use crate::meta;
use crate::{Context, Media, Network, Polled, Prepared, Published, Remote, Rendition};

/// Most that is sent of a chunked upload at once.
const CHUNK: u64 = 4 << 20;

/// The handle of a video: how far its chunked upload is stands beside it.
#[derive(Deserialize)]
struct Started {
    video_id: String,
    upload_session_id: Option<String>,
    #[serde(flatten)]
    window: Option<Offsets>,
}

/// The piece that a chunked upload wants next; equal when it wants none.
#[derive(Deserialize, Clone, Copy)]
struct Offsets {
    #[serde(deserialize_with = "number")]
    start_offset: u64,
    #[serde(deserialize_with = "number")]
    end_offset: u64,
}

/// The network writes numbers as text now and then.
pub(crate) fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(from)?;
    let read = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    read.ok_or_else(|| serde::de::Error::custom("no number"))
}

#[derive(Deserialize)]
struct Film {
    status: Status,
    #[serde(default)]
    published: bool,
    permalink_url: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    video_status: String,
    #[serde(default)]
    uploading_phase: Phase,
    #[serde(default)]
    processing_phase: Phase,
    publishing_phase: Option<Phase>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Phase {
    status: String,
    publish_status: Option<String>,
    bytes_transfered: u64,
    error: Value,
    errors: Value,
}

impl Phase {
    /// Either word is in the documents.
    fn is_complete(&self) -> bool {
        matches!(self.status.as_str(), "complete" | "completed")
    }

    /// What went wrong in it, if anything did.
    fn failure(&self) -> Option<String> {
        let words = self.error["message"].as_str().or(self.errors[0]["message"].as_str());
        match words {
            Some(words) => Some(words.to_owned()),
            None => (self.status == "error").then(String::new),
        }
    }
}

impl Film {
    /// Certain that it will never be visible.
    fn failure(&self) -> Option<Error> {
        let status = &self.status;
        match status.video_status.as_str() {
            "expired" => {
                let says = "The upload expired at Facebook before it was published.";
                return Some(Error::new(Class::Transient, says).code("video_expired").restart());
            }
            "upload_failed" => {
                let says = "The upload of the video to Facebook failed.";
                return Some(Error::new(Class::Transient, says).code("upload_failed").restart());
            }
            _ => {}
        }
        let phases = [&status.uploading_phase, &status.processing_phase];
        let failed = phases.into_iter().chain(&status.publishing_phase).find_map(Phase::failure);
        let failed = failed.or_else(|| (status.video_status == "error").then(String::new));
        let says = |words: String| saying("Facebook cannot use the video", &words);
        failed.map(|words| Error::new(Class::Content, says(words)).code("video_error").restart())
    }
}

impl Facebook {
    async fn start(
        &self,
        cx: &Context<'_>,
        edge: &str,
        form: &[(&str, String)],
    ) -> Result<Started, Error> {
        let url = meta::address(cx, &[cx.account.setting("pageId")?, edge])?;
        meta::call(cx, self, cx.http.post(&url).form(form)).await
    }

    /// A reel's or a story's video, to the upload server.
    pub(crate) async fn send_film(
        &self,
        cx: &Context<'_>,
        edge: &str,
        media: &Media,
    ) -> Result<Prepared, Error> {
        if cx.saved("uploaded").is_some() {
            return Ok(Prepared::Ready);
        }
        let (id, from) = match cx.saved_str("video") {
            Some(id) => {
                let film = self.film(cx, &id).await?;
                if let Some(error) = film.failure() {
                    return Err(error);
                }
                let phase = &film.status.uploading_phase;
                let known =
                    matches!(film.status.video_status.as_str(), "upload_complete" | "ready");
                let all = known || phase.is_complete();
                (id, if all { media.size() } else { phase.bytes_transfered })
            }
            None => {
                let form = [("upload_phase", "start".to_owned())];
                let id = self.start(cx, edge, &form).await?.video_id;
                cx.checkpoint("video", id.as_str()).await?;
                (id, 0)
            }
        };
        let sent = meta::upload(cx, self, "video", &["video-upload", &id], media, from).await?;
        if sent == Prepared::Ready {
            cx.checkpoint("uploaded", true).await?;
        }
        Ok(sent)
    }

    /// A page's video, in the pieces that the network asks for.
    pub(crate) async fn send_chunks(
        &self,
        cx: &Context<'_>,
        media: &Media,
    ) -> Result<Prepared, Error> {
        if cx.saved("uploaded").is_some() {
            return Ok(Prepared::Ready);
        }
        let (session, mut window) = match cx.saved("session") {
            Some(saved) => {
                let window = Offsets::deserialize(&saved["window"]);
                (saved["id"].as_str().unwrap_or_default().to_owned(), window.ok())
            }
            None => {
                let size = media.size().to_string();
                let form = [("upload_phase", "start".to_owned()), ("file_size", size)];
                let started = self.start(cx, "videos", &form).await?;
                cx.checkpoint("video", started.video_id.as_str()).await?;
                (started.upload_session_id.unwrap_or_default(), started.window)
            }
        };
        loop {
            let Some(next) = window else {
                return Err(Error::garbled("no place to go on").harmless().restart());
            };
            self.keep(cx, &session, next).await?;
            if next.start_offset >= next.end_offset {
                cx.checkpoint("uploaded", true).await?;
                return Ok(Prepared::Ready);
            }
            window = Some(self.send_chunk(cx, &session, media, next).await?);
        }
    }

    async fn keep(&self, cx: &Context<'_>, session: &str, next: Offsets) -> Result<(), Error> {
        let window = json!({ "start_offset": next.start_offset, "end_offset": next.end_offset });
        cx.checkpoint("session", json!({ "id": session, "window": window })).await
    }

    /// Sends a piece; answers what the network wants next.
    async fn send_chunk(
        &self,
        cx: &Context<'_>,
        session: &str,
        media: &Media,
        window: Offsets,
    ) -> Result<Offsets, Error> {
        let length = (window.end_offset - window.start_offset).min(CHUNK);
        let piece = media.piece(window.start_offset, length as usize).await?;
        let length = piece.len() as u64;
        let part = Part::stream_with_length(piece, length).file_name("chunk");
        let form = Form::new()
            .text("upload_phase", "transfer")
            .text("upload_session_id", session.to_owned())
            .text("start_offset", window.start_offset.to_string())
            .part("video_file_chunk", part);
        let url = meta::address(cx, &[cx.account.setting("pageId")?, "videos"])?;
        let token = cx.account.secret("accessToken")?;
        let request = cx.http.post(&url).multipart(form).bearer_auth(token.reveal());
        let reply = cx.http.send(request, cx.time_for(length)).await.map_err(Error::harmless)?;
        if reply.ok() {
            let next: Offsets = reply.json().map_err(Error::harmless)?;
            // The same again would go on for ever.
            return match next.start_offset > window.start_offset {
                true => Ok(next),
                false => Err(Error::garbled("no place to go on").harmless().restart()),
            };
        }
        // It may have more than we know of, or less: the next try goes on where it says.
        if let Ok(next) = Offsets::deserialize(&reply.value()["error"]["error_data"]) {
            self.keep(cx, session, next).await?;
        }
        Err(self.parse_error(&reply).harmless())
    }

    async fn film(&self, cx: &Context<'_>, id: &str) -> Result<Film, Error> {
        let url = meta::address(cx, &[id])?;
        let query = [("fields", "status,published,permalink_url")];
        meta::call(cx, self, cx.http.get(&url).query(&query)).await
    }

    /// A story takes a video only after the network has worked on it.
    pub(crate) async fn processed(&self, cx: &Context<'_>) -> Result<Prepared, Error> {
        let id = cx.saved_str("video").ok_or_else(meta::not_prepared)?;
        let film = self.film(cx, &id).await?;
        if let Some(error) = film.failure() {
            return Err(error);
        }
        Ok(match film.status.video_status.as_str() {
            "ready" | "upload_complete" => Prepared::Ready,
            _ => Prepared::Processing { again_in: Duration::from_secs(5) },
        })
    }

    /// Ends the upload of a video or reel, which shows it.
    pub(crate) async fn finish(
        &self,
        cx: &Context<'_>,
        page: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        if cx.saved("uploaded").is_none() {
            return Err(meta::not_prepared());
        }
        let mut form = vec![("upload_phase", "finish".to_owned())];
        let edge = if out.placement == "reel" {
            let id = cx.saved_str("video").ok_or_else(meta::not_prepared)?;
            form.extend([("video_id", id), ("video_state", "PUBLISHED".to_owned())]);
            "video_reels"
        } else {
            let saved = cx.saved("session").ok_or_else(meta::not_prepared)?;
            let session = saved["id"].as_str().unwrap_or_default();
            form.push(("upload_session_id", session.to_owned()));
            form.extend(out.title.clone().map(|title| ("title", title)));
            "videos"
        };
        form.push(("description", out.text.clone()));
        let url = meta::address(cx, &[page, edge])?;
        let done: Done = match meta::call(cx, self, cx.http.post(&url).form(&form)).await {
            // The only cap that reels have is said so.
            Err(e) if edge == "video_reels" && e.code.as_deref() == Some("613") => {
                let says = "The page's 30 reels for 24 hours are used up.";
                return Err(e.becomes(Class::Quota, says));
            }
            other => other?,
        };
        if !done.success {
            return Err(Error::garbled("no word of success"));
        }
        Ok(Published::Processing { again_in: Duration::from_secs(10) })
    }

    /// How far the network is with a video or reel.
    pub(crate) async fn published(&self, cx: &Context<'_>) -> Result<Polled, Error> {
        let Some(id) = cx.saved_str("video") else {
            return Ok(Polled::Gone(meta::not_prepared()));
        };
        let film = self.film(cx, &id).await?;
        if let Some(error) = film.failure() {
            return Ok(Polled::Gone(error));
        }
        let (status, working) = (&film.status, Duration::from_secs(10));
        let is_shown = match &status.publishing_phase {
            Some(phase) if phase.is_complete() => {
                phase.publish_status.as_deref().is_none_or(|status| status == "published")
            }
            Some(phase) if !phase.status.is_empty() => false,
            // Older videos have no such phase.
            _ => film.published && status.video_status == "ready",
        };
        if is_shown {
            let url = film.permalink_url.map(|url| whole(cx, &url));
            return Ok(Polled::Published(Remote { id, url }));
        }
        let phases = [Some(&status.processing_phase), status.publishing_phase.as_ref()];
        let busy = phases.into_iter().flatten().any(|phase| phase.status == "in_progress");
        Ok(match busy || status.video_status == "processing" {
            true => Polled::Processing { again_in: working },
            // Finishing the same upload again cannot make a second video.
            false => Polled::NotPublished,
        })
    }
}

/// The page of a video is given without its host.
fn whole(cx: &Context<'_>, url: &str) -> String {
    if !url.starts_with('/') {
        return url.to_owned();
    }
    let host = if cx.base == SPEC.base_url { "https://www.facebook.com" } else { cx.base };
    let host = url::Url::parse(host).map(|host| host.origin().ascii_serialization());
    format!("{}{url}", host.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(json: &str) -> Film {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_failed_video_is_known_by_any_of_its_phases() {
        // As in the documents: an error stands beside a phase that has not begun.
        let failed = film(
            r#"{"status":{"video_status":"processing","uploading_phase":{"status":"complete"},
            "processing_phase":{"status":"not_started","error":{"message":"Resolution too low. Video must have a minimum resolution of 540p."}},
            "publishing_phase":{"status":"not_started"}},"id":"1"}"#,
        );
        let error = failed.failure().unwrap();
        assert_eq!(error.class, Class::Content);
        assert!(error.sentence.contains("540p"), "{error}");
        let gone = film(r#"{"status":{"video_status":"expired"},"id":"1"}"#).failure().unwrap();
        assert_eq!((gone.class, gone.restart), (Class::Transient, true));
        let fine = film(
            r#"{"status":{"video_status":"uploading","uploading_phase":{"status":"in_progress","bytes_transfered":50002},
            "processing_phase":{"status":"not_started"},"publishing_phase":{"status":"not_started"}},"id":"1"}"#,
        );
        assert!(fine.failure().is_none());
        assert_eq!(fine.status.uploading_phase.bytes_transfered, 50_002);
    }

    #[test]
    fn offsets_are_read_as_text_and_as_numbers() {
        let next: Offsets =
            serde_json::from_str(r#"{"start_offset":"0","end_offset":52428}"#).unwrap();
        assert_eq!((next.start_offset, next.end_offset), (0, 52_428));
        let started: Started =
            serde_json::from_str(r#"{"video_id":"7","upload_url":"https://x"}"#).unwrap();
        assert!(started.window.is_none());
    }
}
