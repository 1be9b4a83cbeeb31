//! A post's video at Bluesky: handed to its video service, which works on it and puts it into the
//! account's own server as a blob that the record then refers to.
//!
//! The service is let in by a token of that server's for one method and half an hour. It answers
//! with a job, which is asked for; the same bytes twice are the same job.

use serde::Deserialize;
use serde_json::Value;

use crate::bluesky::{Bluesky, SPEC, overridden, xrpc};
use crate::error::{Class, Error, saying};
use crate::{Context, Media, Network};

const SERVICE: &str = "https://video.bsky.app";
/// Under this name the job is kept.
pub(crate) const JOB: &str = "job";
/// How long the service may put things into the account's server, in seconds.
const LET_IN: i64 = 1_800;

#[derive(Deserialize)]
struct Server {
    did: String,
}

#[derive(Deserialize)]
struct Pass {
    token: String,
}

impl Bluesky {
    /// The video's blob; `None` while it is worked on.
    pub(crate) async fn film(
        &self,
        cx: &Context<'_>,
        media: &Media,
    ) -> Result<Option<Value>, Error> {
        if let Some(blob) = cx.saved("blob:0") {
            return Ok(Some(blob));
        }
        let Some(service) = service(cx) else {
            return self.upload(cx, 0, media).await.map(Some);
        };
        let job = match cx.saved_str(JOB) {
            Some(job) => job,
            None => {
                let job = self.hand_over(cx, service, media).await.map_err(Error::harmless)?;
                cx.checkpoint(JOB, job.as_str()).await?;
                job
            }
        };
        let url = format!("{service}/xrpc/app.bsky.video.getJobStatus");
        let reply = cx.http.send(cx.http.get(&url).query(&[("jobId", job)]), cx.timeout).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let body: Value = reply.json()?;
        let status = &body["jobStatus"];
        match status["state"].as_str() {
            Some("JOB_STATE_COMPLETED") if status["blob"].is_object() => {
                cx.checkpoint("blob:0", status["blob"].clone()).await?;
                Ok(Some(status["blob"].clone()))
            }
            Some("JOB_STATE_FAILED") => {
                cx.checkpoint(JOB, Value::Null).await?;
                let words = ["message", "error", "failureCode"];
                let words = words.iter().find_map(|key| status[*key].as_str()).unwrap_or_default();
                let says = saying("Bluesky cannot use the video", words);
                Err(Error::new(Class::Content, says).code("video_failed"))
            }
            Some("JOB_STATE_COMPLETED") | None => Err(Error::garbled("no state of the video")),
            Some(_) => Ok(None),
        }
    }

    /// The job of the video, which the service has taken.
    async fn hand_over(
        &self,
        cx: &Context<'_>,
        service: &str,
        media: &Media,
    ) -> Result<String, Error> {
        let did = self.did(cx).await?;
        let url = xrpc(cx, "com.atproto.server.describeServer");
        let reply = cx.http.send(cx.http.get(&url), cx.timeout).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let server: Server = reply.json()?;
        let url = xrpc(cx, "com.atproto.server.getServiceAuth");
        let ends = (cx.now.div_euclid(1_000) + LET_IN).to_string();
        let pass =
            [("aud", server.did.as_str()), ("lxm", "com.atproto.repo.uploadBlob"), ("exp", &ends)];
        let reply = self.call(cx, || cx.http.get(&url).query(&pass)).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let Pass { token } = reply.json()?;
        let request = cx
            .http
            .post(&format!("{service}/xrpc/app.bsky.video.uploadVideo"))
            .query(&[("did", did.as_str()), ("name", &media.file_name)])
            .header("content-type", &media.content_type)
            .header("content-length", media.size())
            .bearer_auth(token)
            .body(media.body(0));
        let reply = cx.http.send(request, cx.time_for(media.size())).await?;
        let body = reply.value();
        // The lexicon wraps it, and the service does not. Known bytes are refused with their job.
        let job = body["jobStatus"]["jobId"].as_str().or(body["jobId"].as_str());
        match job {
            Some(job) if reply.ok() || reply.status.as_u16() == 409 => Ok(job.to_owned()),
            _ if reply.ok() => Err(Error::garbled("no job")),
            _ => Err(self.parse_error(&reply)),
        }
    }
}

/// Where the video service is for this account; `None` on a server of its own, which takes videos
/// as any other file.
fn service<'a>(cx: &Context<'a>) -> Option<&'a str> {
    if overridden(cx) {
        return Some(cx.base);
    }
    (cx.base == SPEC.base_url).then_some(SERVICE)
}
