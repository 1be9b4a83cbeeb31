//! A network that answers as none should: without an end, or with the way to somewhere private.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use carillon::domain::delivery::DeliveryState as State;
use tokio::net::TcpListener;

use crate::support::{On, TestApp};

/// What it does with the one visible call.
#[derive(Debug, Clone, Copy)]
enum Hostile {
    /// 200 and bytes for ever.
    Endless,
    /// 307 to a private address, which would get the post and the token.
    Redirect,
}

/// A Mastodon that is the sandbox's, but for the visible call. How often it was asked for that, and
/// how often the private server behind it was called.
async fn server(sandbox: String, hostile: Hostile) -> (String, Arc<AtomicU64>, Arc<AtomicU64>) {
    let (asked, trapped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let hits = trapped.clone();
    let private = serve(Router::new().fallback(move || async move {
        hits.fetch_add(1, Ordering::SeqCst);
        "{}"
    }))
    .await;
    let calls = asked.clone();
    let client = reqwest::Client::builder().build().unwrap();
    let url = serve(Router::new().fallback(move |request: Request| {
        let (sandbox, private, client, calls) =
            (sandbox.clone(), private.clone(), client.clone(), calls.clone());
        async move {
            let (parts, body) = request.into_parts();
            if parts.method == http::Method::POST && parts.uri.path().ends_with("/statuses") {
                calls.fetch_add(1, Ordering::SeqCst);
                return match hostile {
                    Hostile::Endless => {
                        let piece = bytes::Bytes::from(vec![b' '; 64 * 1024]);
                        let body = futures_util::stream::repeat_with(move || {
                            Ok::<_, std::io::Error>(piece.clone())
                        });
                        Response::new(Body::from_stream(body))
                    }
                    Hostile::Redirect => Response::builder()
                        .status(307)
                        .header("location", format!("{private}/taken"))
                        .body(Body::empty())
                        .unwrap(),
                };
            }
            let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
            let body = axum::body::to_bytes(body, 10_000_000).await.unwrap();
            let mut headers = parts.headers;
            headers.remove("host");
            let answer = client
                .request(parts.method, format!("{sandbox}/mastodon{path}"))
                .headers(headers)
                .body(body)
                .send()
                .await
                .unwrap();
            let mut response = Response::builder().status(answer.status());
            for (name, value) in answer.headers() {
                if name != "transfer-encoding" && name != "content-length" {
                    response = response.header(name, value);
                }
            }
            response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
        }
    }))
    .await;
    (url, asked, trapped)
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn against(hostile: Hostile) -> (TestApp, String, u64, u64) {
    rustls::crypto::ring::default_provider().install_default().ok();
    let more = [("CARILLON_ALLOW_HOSTS", "127.0.0.1"), ("CARILLON_NETWORK_TIMEOUT", "2s")];
    let t = TestApp::with(On::Sqlite, &more).await;
    let (url, asked, trapped) = server(t.sandbox_url.clone(), hostile).await;
    let new = carillon::publishing::connecting::New {
        network: "mastodon".into(),
        name: Some("hostile".into()),
        settings: [("server".to_owned(), url)].into(),
        credentials: [("accessToken".to_owned(), "sandbox-alice".to_owned())].into(),
    };
    let c = carillon::publishing::connecting::add(&t.app, &t.workspace, new).await.unwrap().id;
    let post = t.schedule(t.draft("Trust me", &[&c])).await;
    t.clock.advance(Duration::from_secs(600));
    let began = t.app.clock.now();
    tokio::time::timeout(Duration::from_secs(30), t.worker.tick()).await.expect("it ends").unwrap();
    assert_eq!(t.app.clock.now(), began);
    let id = post.deliveries[0].id.clone();
    let counts = (asked.load(Ordering::SeqCst), trapped.load(Ordering::SeqCst));
    (t, id, counts.0, counts.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_an_end_is_cut_off_and_looked_up() {
    let (t, id, asked, _) = against(Hostile::Endless).await;
    let d = t.delivery(&id).await;
    assert_eq!((d.state, asked), (State::Unknown, 1), "{:?}", d.problem);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let (t, id, asked, trapped) = against(Hostile::Redirect).await;
    let d = t.delivery(&id).await;
    assert_eq!((asked, trapped), (1, 0), "post and token stay here");
    // It waits until its owner has corrected the address.
    assert_eq!(d.state, State::Queued, "{d:?}");
    assert_eq!(d.problem.map(|p| p.action).as_deref(), Some("complete_connection"));
}
