//! Many posts in and out: imports, exports, feeds, the calendar's feed.

mod calendar_feed;
mod feeds;
mod imports;
mod round_trip;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use carillon::domain::refusal::Refusal;
use carillon::planning::import::{self, ImportView, MadeAs, Options};
use carillon::publishing::view::{self, PostView, Query};
use carillon::store::audit::OPERATOR;

use crate::support::TestApp;

pub(crate) fn scheduled() -> Options {
    Options { made_as: MadeAs::Scheduled, ..Options::default() }
}

pub(crate) async fn imported(
    t: &TestApp,
    file: &str,
    options: Options,
) -> Result<ImportView, Refusal> {
    import::import(&t.app, &t.workspace, file.as_bytes(), options, OPERATOR).await
}

/// Every post there is, those with a time first.
pub(crate) async fn all(t: &TestApp) -> Vec<PostView> {
    let mut found = Vec::new();
    for (from, to) in [(Some(0), Some(i64::MAX)), (None, None)] {
        let mut cursor = None;
        loop {
            let query = Query { from, to, cursor, limit: 1000, ..Query::default() };
            let page = view::list(&t.app, &t.workspace, query).await.unwrap();
            found.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    found
}

/// A site of somebody's, which answers what the test says and remembers what it was asked.
#[derive(Clone, Default)]
pub(crate) struct Site(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, (StatusCode, HeaderMap, Vec<u8>)>,
    asked: Vec<(String, HeaderMap)>,
}

impl Site {
    /// It and its `host:port`.
    pub(crate) async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let site = Self::default();
        let router = Router::new().fallback(answer).with_state(site.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (site, host)
    }

    pub(crate) fn put(
        &self,
        path: &str,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) {
        let pairs = headers.iter().map(|(k, v)| ((*k).parse().unwrap(), v.parse().unwrap()));
        let file = (StatusCode::from_u16(status).unwrap(), pairs.collect(), body.to_vec());
        self.0.lock().unwrap().files.insert(path.to_owned(), file);
    }

    pub(crate) fn asked(&self) -> Vec<(String, HeaderMap)> {
        self.0.lock().unwrap().asked.clone()
    }
}

async fn answer(State(site): State<Site>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mut inner = site.0.lock().unwrap();
    inner.asked.push((path.clone(), request.headers().clone()));
    let Some((status, headers, body)) = inner.files.get(&path).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let known = request.headers().get(header::IF_NONE_MATCH);
    if known.is_some() && known == headers.get(header::ETAG) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    (status, headers, Body::from(body)).into_response()
}
