//! Files in pieces, spoken to as a client of the tus protocol speaks.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use carillon::media::blobs::{self, PIECE};
use carillon::media::{finding, library, uploads};
use carillon::store::media::MediaState;
use futures_util::{StreamExt, stream};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Body, Method, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::Api;
use crate::both;
use crate::support::video::video;
use crate::support::{On, TestApp, picture};

const AT: &str = "/api/v1/uploads";

/// What came back: status, headers, the envelope's code.
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) code: String,
    pub(crate) error: String,
}

impl Said {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.header("upload-offset").parse().expect("an offset")
    }

    fn is(&self, status: u16, code: &str) {
        let says = (self.status.as_u16(), self.code.as_str());
        assert_eq!(says, (status, code), "{}", self.error);
        assert_eq!(self.header("tus-resumable"), "1.0.0");
    }
}

/// A client with a key.
pub(crate) struct Tus {
    pub(crate) url: String,
    pub(crate) key: String,
    client: reqwest::Client,
}

impl Tus {
    pub(crate) async fn of(t: &TestApp) -> Self {
        let api = Api::of(t).await;
        Self::at(&api.url, &api.key)
    }

    pub(crate) fn at(url: &str, key: &str) -> Self {
        Self { url: url.into(), key: key.into(), client: reqwest::Client::new() }
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Said {
        let mut asked = HeaderMap::new();
        asked.insert("tus-resumable", HeaderValue::from_static("1.0.0"));
        for (name, value) in headers {
            let name: reqwest::header::HeaderName = name.parse().expect("a name");
            asked.insert(name, value.parse().expect("a value"));
        }
        let request = self.client.request(method, format!("{}{path}", self.url));
        let answer = request.bearer_auth(&self.key).headers(asked).body(body.into()).send().await;
        let answer = answer.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body: Value =
            serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or_default();
        let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        Said { status, headers, code: word("code"), error: word("error") }
    }

    /// Begins an upload; where its pieces go.
    pub(crate) async fn begin(&self, name: &str, length: usize) -> String {
        let metadata =
            format!("filename {},alt {}", STANDARD.encode(name), STANDARD.encode("The bar"));
        let length = length.to_string();
        let headers = [("upload-length", length.as_str()), ("upload-metadata", &metadata)];
        let said = self.ask(Method::POST, AT, &headers, "").await;
        assert_eq!(said.status, StatusCode::CREATED, "{} {}", said.code, said.error);
        assert_eq!(said.offset(), 0);
        assert!(said.header("upload-expires").ends_with("GMT"));
        said.header("location").to_owned()
    }

    pub(crate) async fn send(&self, path: &str, offset: u64, body: impl Into<Body>) -> Said {
        self.send_with(path, offset, &[], body).await
    }

    async fn send_with(
        &self,
        path: &str,
        offset: u64,
        more: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Said {
        let offset = offset.to_string();
        let mut headers = vec![
            ("content-type", "application/offset+octet-stream"),
            ("upload-offset", offset.as_str()),
        ];
        headers.extend(more);
        self.ask(Method::PATCH, path, &headers, body).await
    }

    pub(crate) async fn head(&self, path: &str) -> Said {
        self.ask(Method::HEAD, path, &[], "").await
    }
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().expect("an id")
}

/// What the store has of an upload that is under way.
fn staged(t: &TestApp, path: &str) -> std::path::PathBuf {
    t.app.config.data.dir.join("media/uploads").join(id(path))
}

/// A picture of this many bytes.
pub(crate) fn heavy(bytes: usize) -> Vec<u8> {
    let mut file = picture(640, 480);
    let noise = (0u64..).flat_map(|n| Sha256::digest(n.to_le_bytes()));
    file.extend(noise.take(bytes - file.len()));
    file
}

both! {
    async fn pieces_become_a_medium_of_the_same_bytes(t: TestApp) {
        let (tus, file) = (Tus::of(&t).await, picture(1200, 900));
        let path = tus.begin("../quay.png", file.len()).await;
        let (a, b) = (file.len() / 3, file.len() - 1);
        for (from, to) in [(0, a), (a, b)] {
            let said = tus.send(&path, from as u64, file[from..to].to_vec()).await;
            assert_eq!((said.status, said.offset()), (StatusCode::NO_CONTENT, to as u64));
            assert_eq!(said.header("media-id"), "");
            let said = tus.head(&path).await;
            assert_eq!((said.status, said.offset()), (StatusCode::OK, to as u64));
            assert_eq!(said.header("upload-length"), file.len().to_string());
            assert!(said.header("upload-metadata").contains("alt "), "as it was given");
            assert_eq!(said.header("cache-control"), "no-store");
        }
        let said = tus.send(&path, b as u64, file[b..].to_vec()).await;
        assert_eq!((said.status, said.offset()), (StatusCode::NO_CONTENT, file.len() as u64));
        let medium = said.header("media-id").to_owned();
        assert_eq!(tus.head(&path).await.header("media-id"), medium, "and ever after");

        let key = blobs::key(&t.workspace, &medium, "original");
        assert_eq!(t.app.blobs.get(&key).await.expect("the original"), file);
        assert!(!staged(&t, &path).exists(), "nothing is kept twice");
        let view = library::find(&t.app, &t.workspace, &medium).await.expect("a medium");
        assert_eq!((view.name.as_str(), view.alt.as_str()), ("quay.jpg", "The bar"));
        assert_eq!(view.content_type, "image/jpeg");
        t.worker.tick().await.expect("a tick");
        let view = library::find(&t.app, &t.workspace, &medium).await.expect("a medium");
        assert_eq!(view.state, MediaState::Ready);
        // The upload can be forgotten; the medium stays.
        assert_eq!(tus.ask(Method::DELETE, &path, &[], "").await.status, StatusCode::NO_CONTENT);
        tus.head(&path).await.is(404, "");
        assert!(library::find(&t.app, &t.workspace, &medium).await.is_ok());
    }

    async fn a_video_in_pieces_is_looked_into_like_any_other(t: TestApp) {
        let (tus, file) = (Tus::of(&t).await, video("plain.mp4"));
        let path = tus.begin("gulls.mp4", file.len()).await;
        let half = file.len() / 2;
        tus.send(&path, 0, file.slice(..half).to_vec()).await.is(204, "");
        let said = tus.send(&path, half as u64, file.slice(half..).to_vec()).await;
        t.worker.tick().await.expect("a tick");
        let view = library::find(&t.app, &t.workspace, said.header("media-id")).await;
        let view = view.expect("a medium");
        assert_eq!((view.state, view.content_type.as_str()), (MediaState::Ready, "video/mp4"));
        assert!(view.video.is_some_and(|v| v.facts.duration_ms > 0));
    }

    async fn a_file_can_come_with_its_announcement_or_by_post_alone(t: TestApp) {
        let (tus, file) = (Tus::of(&t).await, picture(64, 64));
        let (length, kind) = (file.len().to_string(), "application/offset+octet-stream");
        let headers = [("upload-length", length.as_str()), ("content-type", kind)];
        let said = tus.ask(Method::POST, AT, &headers, file.clone()).await;
        assert_eq!((said.status, said.offset()), (StatusCode::CREATED, file.len() as u64));
        assert_eq!(said.header("media-id"), id(said.header("location")));

        let path = tus.begin("a.jpg", file.len()).await;
        let instead = ("x-http-method-override", "PATCH");
        let headers = [instead, ("upload-offset", "0"), ("content-type", kind)];
        let said = tus.ask(Method::POST, &path, &headers, file).await;
        assert_eq!((said.status, said.header("media-id")), (StatusCode::NO_CONTENT, id(&path)));
        let (all, _) = finding::list(&t.app, &t.workspace, &Default::default(), None, 50).await.expect("a list");
        assert_eq!(all.len(), 2);
    }

    async fn what_the_protocol_does_not_allow_is_refused_and_changes_nothing(t: TestApp) {
        let (tus, file) = (Tus::of(&t).await, picture(64, 64));
        let said = tus.ask(Method::OPTIONS, AT, &[("tus-resumable", "0.1")], "").await;
        assert_eq!(said.status, StatusCode::NO_CONTENT);
        assert_eq!((said.header("tus-version"), said.header("tus-max-size")), ("1.0.0", "4000000000"));
        assert!(said.header("tus-extension").contains("checksum"));
        assert!(said.header("tus-checksum-algorithm").starts_with("sha1"));

        let begin = async |headers: &[(&str, &str)]| tus.ask(Method::POST, AT, headers, "").await;
        let said = begin(&[("upload-length", "9"), ("tus-resumable", "0.2.2")]).await;
        said.is(412, "tus_version");
        assert_eq!(said.header("tus-version"), "1.0.0");
        begin(&[]).await.is(400, "tus_header");
        begin(&[("upload-defer-length", "1")]).await.is(400, "tus_header");
        begin(&[("upload-length", "-5")]).await.is(400, "tus_header");
        begin(&[("upload-length", "0")]).await.is(422, "media_empty");
        begin(&[("upload-length", "9"), ("upload-metadata", "filename ???")]).await.is(400, "tus_metadata");
        let said = begin(&[("upload-length", "4000000001")]).await;
        said.is(413, "media_too_large");
        assert!(said.error.contains("4 GB"), "{}", said.error);

        let path = tus.begin("a.jpg", file.len()).await;
        tus.ask(Method::PATCH, &path, &[("upload-offset", "0")], "x").await.is(415, "content_type");
        tus.send(&path, 1, "x").await.is(409, "upload_offset");
        let checked = |sum: &'static str| [("upload-checksum", sum)];
        tus.send_with(&path, 0, &checked("crc32 AAAA"), "x").await.is(400, "tus_checksum");
        let wrong = checked("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=");
        tus.send_with(&path, 0, &wrong, file.clone()).await.is(460, "checksum_mismatch");
        assert_eq!(tus.head(&path).await.offset(), 0, "nothing of it stands");
        let more = [file.clone(), vec![0]].concat();
        tus.send(&path, 0, more.clone()).await.is(413, "upload_too_long");
        // Without a length nobody knows before.
        let unannounced = Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>(more)]));
        tus.send(&path, 0, unannounced).await.is(413, "upload_too_long");
        assert_eq!(tus.head(&path).await.offset(), 0);

        let good = format!("sha256 {}", STANDARD.encode(Sha256::digest(&file)));
        let said = tus.send_with(&path, 0, &[("upload-checksum", &good)], file.clone()).await;
        assert_eq!(said.header("media-id"), id(&path));
        tus.send(&path, 0, file).await.is(409, "upload_offset");
        tus.head("/api/v1/uploads/0190aaaa-0000-7000-8000-000000000000").await.is(404, "");
    }

    async fn an_upload_is_its_workspaces_own(t: TestApp) {
        let tus = Tus::of(&t).await;
        let path = tus.begin("a.jpg", 100).await;
        let strangers = Tus::at(&tus.url, &t.stranger().await);
        strangers.head(&path).await.is(404, "");
        strangers.send(&path, 0, "x").await.is(404, "not_found");
        strangers.ask(Method::DELETE, &path, &[], "").await.is(404, "not_found");
        let nobody = Tus::at(&tus.url, "car_wrong");
        nobody.head(&path).await.is(401, "");
        nobody.ask(Method::POST, AT, &[("upload-length", "5")], "").await.is(401, "unauthorized");
        assert_eq!(tus.head(&path).await.offset(), 0);
    }

    async fn a_file_that_is_not_taken_is_refused_by_its_first_bytes(t: TestApp) {
        let tus = Tus::of(&t).await;
        // It would be 40 MB: the first 5 are enough to know.
        let page = [b"<!doctype html>".to_vec(), vec![b' '; PIECE as usize]].concat();
        let huge = heavy(PIECE as usize + 1);
        for (file, status, code, says) in [
            (page, 415, "media_type", "no picture or video"),
            (huge, 413, "media_too_large", "larger than the 5 MB a picture may have"),
        ] {
            let path = tus.begin("a.jpg", 40_000_000).await;
            let said = tus.send(&path, 0, file).await;
            said.is(status, code);
            assert!(said.error.contains(says), "{}", said.error);
            tus.head(&path).await.is(404, "");
            assert!(!staged(&t, &path).exists(), "{code}: its bytes are gone");
        }
        // One that is short is known at its end.
        let path = tus.begin("a.jpg", 5).await;
        tus.send(&path, 0, "hello").await.is(415, "media_type");
        tus.head(&path).await.is(404, "");
        let (all, _) = finding::list(&t.app, &t.workspace, &Default::default(), None, 50).await.expect("a list");
        assert!(all.is_empty());
    }

    async fn what_nobody_goes_on_with_ends(t: TestApp) {
        let (tus, file) = (Tus::of(&t).await, picture(64, 64));
        let path = tus.begin("a.jpg", file.len()).await;
        t.clock.advance(Duration::from_secs(23 * 3600));
        assert_eq!(tus.send(&path, 0, file[..9].to_vec()).await.offset(), 9, "its time begins anew");
        t.clock.advance(Duration::from_secs(23 * 3600));
        assert_eq!(tus.head(&path).await.offset(), 9);
        assert_eq!(uploads::sweep(&t.app).await.expect("a sweep"), 0);
        assert!(staged(&t, &path).exists());
        t.clock.advance(Duration::from_secs(3601));
        tus.head(&path).await.is(410, "");
        tus.send(&path, 9, file[9..].to_vec()).await.is(410, "upload_gone");
        assert_eq!(uploads::sweep(&t.app).await.expect("a sweep"), 1);
        assert!(!staged(&t, &path).exists());
        tus.head(&path).await.is(404, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_come_from_the_settings_and_are_named() {
    let more = [("CARILLON_UPLOAD_MAX", "20MB"), ("CARILLON_IMAGE_MAX", "12MB")];
    let t = TestApp::with(On::Sqlite, &more).await;
    let tus = Tus::of(&t).await;
    let said = tus.ask(Method::POST, AT, &[("upload-length", "20000001")], "").await;
    said.is(413, "media_too_large");
    assert!(said.error.contains("20 MB"), "{}", said.error);
    let file = heavy(12_000_000);
    let path = tus.begin("large.jpg", file.len()).await;
    let said = tus.send(&path, 0, file.clone()).await;
    assert_eq!(said.header("media-id"), id(&path), "{}", said.error);
    let key = blobs::key(&t.workspace, id(&path), "original");
    assert!(t.app.blobs.get(&key).await.expect("the original") == file);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_at_a_time_adds_to_an_upload() {
    for on in [On::Sqlite, On::Postgres] {
        let t = TestApp::with(on, &[("CARILLON_IMAGE_MAX", "50MB")]).await;
        let (tus, file) = (Tus::of(&t).await, heavy(PIECE as usize + 10));
        let path = tus.begin("a.jpg", 40_000_000).await;
        let (more, coming) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        more.send(file.clone().into()).expect("it listens");
        let body = stream::unfold(coming, |mut coming| async move {
            coming.recv().await.map(|b| (Ok::<_, std::io::Error>(b), coming))
        });
        let first = tokio::spawn({
            let (tus, path) = (Tus::at(&tus.url, &tus.key), path.clone());
            async move { tus.send(&path, 0, Body::wrap_stream(body)).await }
        });
        // What it has answered for by now is told while it goes on.
        while tus.head(&path).await.offset() < PIECE {
            tokio::task::yield_now().await;
        }
        let said = tus.send(&path, PIECE, "x").await;
        said.is(423, "upload_busy");
        assert_eq!(said.header("retry-after"), "1");
        // It can be cancelled all the same, and the first one learns of it.
        assert_eq!(tus.ask(Method::DELETE, &path, &[], "").await.status, StatusCode::NO_CONTENT);
        assert!(!staged(&t, &path).exists());
        drop(more);
        let said = first.await.expect("it ends");
        assert!(matches!(said.status.as_u16(), 404 | 410), "{} {}", said.status, said.error);
        assert!(!staged(&t, &path).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_goes_on() {
    for on in [On::Sqlite, On::Postgres] {
        let t = TestApp::with(on, &[("CARILLON_IMAGE_MAX", "50MB")]).await;
        let file = heavy(2 * PIECE as usize);
        let new = uploads::New { name: "a.jpg", length: file.len() as u64, ..Default::default() };
        let upload = uploads::begin(&t.app, &t.workspace, new).await.expect("begun");
        let other = t.again().await;
        let bytes = |part: &[u8]| Ok::<_, std::io::Error>(Bytes::copy_from_slice(part));
        let first = bytes(&file[..100]);
        let rest = bytes(&file[100..200]);
        let (app, ws, id) = (other.clone(), t.workspace.clone(), upload.id.clone());
        let whole = bytes(&file[..PIECE as usize]);
        // Between its first bytes and the rest the other process takes a whole piece.
        let body = stream::once(async move { first }).chain(stream::once(async move {
            let whole = stream::iter([whole]);
            uploads::receive(&app, &ws, &id, 0, None, None, whole).await.expect("taken");
            rest
        }));
        let refusal =
            uploads::receive(&t.app, &t.workspace, &upload.id, 0, None, None, Box::pin(body))
                .await
                .expect_err("the other was quicker");
        assert_eq!(refusal.code, "upload_offset");
        let stands = uploads::find(&t.app, &t.workspace, &upload.id).await.expect("it stands");
        assert_eq!(stands.received, PIECE as i64);
    }
}
