//! A started sandbox with a clock of its own, and a client that speaks to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use carillon_sandbox::{LedgerPost, Options, Sandbox};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
    now: Arc<AtomicI64>,
}

/// 2026-11-18T11:06:40Z
pub(crate) const START: i64 = 1_795_000_000_000;

pub(crate) async fn start() -> World {
    rustls::crypto::ring::default_provider().install_default().ok();
    let now = Arc::new(AtomicI64::new(START));
    let clock = Arc::clone(&now);
    let options =
        Options { latency: Duration::ZERO, now: Arc::new(move || clock.load(Ordering::Relaxed)) };
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let client = Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
    World { sandbox, client, now }
}

impl World {
    pub(crate) fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    /// The posts of a network that are still visible.
    pub(crate) fn visible(&self, network: &str) -> Vec<LedgerPost> {
        let mut posts = self.sandbox.ledger(network);
        posts.retain(|post| post.deleted_at.is_none());
        posts
    }
}

/// The answer's status and JSON.
pub(crate) async fn said(request: RequestBuilder) -> (u16, Value) {
    read(request.send().await.unwrap()).await
}

pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let json = serde_json::from_str(&text);
    (status, json.unwrap_or_else(|_| panic!("not JSON, status {status}: {text}")))
}

/// The JSON of an answer that must be a 200.
pub(crate) async fn ok(request: RequestBuilder) -> Value {
    let (status, json) = said(request).await;
    assert_eq!(status, 200, "{json}");
    json
}

/// The head of a PNG of this size, which is all that a measuring server reads.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(width.to_be_bytes());
    png.extend(height.to_be_bytes());
    png.extend([8, 2, 0, 0, 0]);
    png
}

/// The head of a JPEG of this size.
pub(crate) fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8];
    jpeg.extend(height.to_be_bytes());
    jpeg.extend(width.to_be_bytes());
    jpeg.extend([3, 1, 0x22, 0, 0xFF, 0xD9]);
    jpeg
}

/// Addresses that serve these bytes at `/0`, `/1` …, and a redirect at `/moved`.
pub(crate) async fn host(files: Vec<Vec<u8>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut routes = axum::Router::new().route(
        "/moved",
        axum::routing::get(|| async { axum::response::Redirect::temporary("/0") }),
    );
    for (at, file) in files.into_iter().enumerate() {
        let serve = axum::routing::get(move || async move { file });
        routes = routes.route(&format!("/{at}"), serve);
    }
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// The head of an MP4 of this size and length, which is all that a measuring server reads.
pub(crate) fn mp4(width: u16, height: u16, seconds: u32) -> Vec<u8> {
    let atom = |name: &[u8; 4], body: &[u8]| {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes()[..], name, body].concat()
    };
    let mut mvhd = vec![0; 100];
    mvhd[12..16].copy_from_slice(&1_000_u32.to_be_bytes());
    mvhd[16..20].copy_from_slice(&(seconds * 1_000).to_be_bytes());
    let mut tkhd = vec![0; 84];
    tkhd[76..78].copy_from_slice(&width.to_be_bytes());
    tkhd[80..82].copy_from_slice(&height.to_be_bytes());
    let moov = [atom(b"mvhd", &mvhd), atom(b"trak", &atom(b"tkhd", &tkhd))].concat();
    [atom(b"ftyp", b"isom\0\0\x02\0isomavc1"), atom(b"moov", &moov)].concat()
}

/// The code that `ann` is sent back with who grants this at Meta's consent page.
pub(crate) async fn consent(world: &World, network: &str, scope: &str) -> String {
    let mut form =
        vec![("account", "ann"), ("allow", "1"), ("redirect_uri", "https://c.example/back")];
    form.extend(scope.split(',').map(|scope| ("grant", scope)));
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = world.url(&format!("/{network}/v25.0/dialog/oauth"));
    let answer = client.post(page).form(&form).send().await.unwrap();
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    let code = to.split("code=").nth(1).unwrap();
    code.split(['&', '#']).next().unwrap().to_owned()
}
