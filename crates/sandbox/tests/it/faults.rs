//! Faults: what the client sees, and what the network keeps.

use std::time::Duration;

use carillon_sandbox::{Calls, Fault, Options, Sandbox, Trouble};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{World, ok, read, said, start};

fn toot(world: &World, text: &str) -> reqwest::RequestBuilder {
    world.post("/mastodon/api/v1/statuses").bearer_auth("sandbox-ann").form(&[("status", text)])
}

#[tokio::test]
async fn a_reset_reaches_the_client_before_any_byte_of_an_answer() {
    let world = start().await;
    for (trouble, kept) in [(Trouble::ResetBeforeAccept, 0), (Trouble::ResetAfterAccept, 1)] {
        world.sandbox.add_fault(Fault::new("mastodon", Calls::Publish, trouble));
        let addr = world.sandbox.url().replace("http://", "");
        let mut stream = TcpStream::connect(&addr).await.unwrap();
        let body = "status=Hello";
        let request = format!(
            "POST /mastodon/api/v1/statuses HTTP/1.1\r\nHost: {addr}\r\n\
             Authorization: Bearer sandbox-ann\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let error = stream.read_to_end(&mut answer).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(String::from_utf8_lossy(&answer), "");
        assert_eq!(world.sandbox.ledger("mastodon").len(), kept, "{trouble:?}");
        let last = world.sandbox.requests("mastodon").pop().unwrap();
        assert_eq!((last.status, last.fault), (None, Some(trouble)));
    }
    // A client on a connection that is kept open sees it too, and can go on with a new one.
    ok(toot(&world, "first")).await;
    world.sandbox.add_fault(Fault::new("*", Calls::Any, Trouble::ResetAfterAccept));
    let error = toot(&world, "second").send().await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    ok(toot(&world, "third")).await;
    assert_eq!(world.sandbox.ledger("mastodon").len(), 4);
}

#[tokio::test]
async fn a_mounted_router_breaks_off_its_answer_instead() {
    let sandbox = Sandbox::new(Options::default());
    sandbox.add_fault(Fault::new("mastodon", Calls::Publish, Trouble::ResetAfterAccept));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mastodon/api/v1/statuses", listener.local_addr().unwrap());
    let router = sandbox.router();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).bearer_auth("sandbox-ann").form(&[("status", "x")]);
    let heard = match request.send().await {
        Ok(response) => response.bytes().await.map(drop),
        Err(error) => Err(error),
    };
    heard.unwrap_err();
    assert_eq!(sandbox.ledger("mastodon").len(), 1);
    server.abort();
}

#[tokio::test]
async fn refusals_apply_nothing_and_garbage_applies_everything() {
    let world = start().await;
    for (fault, status) in [("rate_limit", 429), ("server_error", 500), ("auth", 401)] {
        let order = json!({"network": "mastodon", "call": "publish", "fault": fault});
        let left = ok(world.post("/_faults").json(&order)).await;
        assert_eq!(left["faults"][0]["fault"], fault);
        let (got, body) = said(toot(&world, "x")).await;
        assert_eq!(got, status);
        assert!(body["error"].is_string(), "{body}");
    }
    assert!(world.sandbox.ledger("mastodon").is_empty());
    assert_eq!(ok(world.get("/_faults")).await, json!({"faults": []}));

    world.sandbox.add_fault(Fault::new("mastodon", Calls::Publish, Trouble::Garbage));
    let answer = toot(&world, "x").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.text().await.unwrap();
    assert!(body.starts_with("{\"id\":"), "{body}");
    assert!(serde_json::from_str::<Value>(&body).is_err(), "{body}");
    assert_eq!(world.visible("mastodon").len(), 1);
}

#[tokio::test]
async fn a_rate_limit_says_when_it_ends_in_the_words_of_its_network() {
    let world = start().await;
    world.sandbox.add_fault(Fault::new("*", Calls::Any, Trouble::RateLimit).times(3).ms(90_000));
    let answer = toot(&world, "x").send().await.unwrap();
    assert_eq!(answer.headers()["x-ratelimit-reset"], "2026-11-18T11:08:10.000Z");
    let answer = world.get("/bluesky/xrpc/_health").send().await.unwrap();
    assert_eq!(answer.headers()["ratelimit-reset"], "1795000090");
    assert_eq!(read(answer).await.1["error"], "RateLimitExceeded");
    let (status, body) = said(world.get("/telegram/bot1:sandbox-ann/getMe")).await;
    assert_eq!((status, &body["parameters"]["retry_after"]), (429, &json!(90)));
    assert_eq!(body["description"], "Too Many Requests: retry after 90");
}

#[tokio::test]
async fn a_slow_answer_comes_late_and_is_whole() {
    let world = start().await;
    world.sandbox.add_fault(Fault::new("mastodon", Calls::Publish, Trouble::Slow).ms(400));
    let impatient = toot(&world, "x").timeout(Duration::from_millis(100));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    world.sandbox.add_fault(Fault::new("mastodon", Calls::Publish, Trouble::Slow).ms(50));
    ok(toot(&world, "y")).await;
}

#[tokio::test]
async fn faults_are_checked_listed_and_cleared() {
    let world = start().await;
    let bad = json!({"network": "bluesky", "call": "post", "fault": "slow"});
    let (status, body) = said(world.post("/_faults").json(&bad)).await;
    assert_eq!(status, 400);
    let error = body["error"].as_str().unwrap();
    assert!(
        error.contains("`post` is not a call") && error.contains("prepare, publish"),
        "{error}"
    );

    let account = Fault::new("mastodon", Calls::Any, Trouble::Auth).account("bob").times(2);
    world.sandbox.add_fault(account);
    ok(toot(&world, "not of bob")).await;
    let left = ok(world.get("/_faults")).await;
    assert_eq!(left["faults"][0]["times"], 2);
    let left = ok(world.client.delete(world.url("/_faults"))).await;
    assert_eq!(left, json!({"faults": []}));
}

#[tokio::test]
async fn a_reset_of_the_sandbox_empties_it_and_unknown_networks_are_404() {
    let world = start().await;
    ok(toot(&world, "x")).await;
    let listed = ok(world.get("/_ledger/mastodon")).await;
    assert_eq!(listed["posts"][0]["text"], "x");
    assert_eq!(listed["posts"][0]["deleted_at"], Value::Null);
    let requests = ok(world.get("/_requests/mastodon")).await;
    assert_eq!(requests["requests"][0]["headers"]["authorization"], "Bearer ***");
    assert_eq!(requests["requests"][0]["call"], "publish");
    world.post("/_reset").send().await.unwrap().error_for_status().unwrap();
    assert_eq!(ok(world.get("/_ledger/mastodon")).await, json!({"posts": []}));
    assert_eq!(ok(world.get("/_requests/mastodon")).await, json!({"requests": []}));
    assert_eq!(said(world.get("/_ledger/myspace")).await.0, 404);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let world = start().await;
    let body = vec![b'a'; (16 << 20) + 1];
    let request = world
        .post("/bluesky/xrpc/com.atproto.repo.uploadBlob")
        .header("content-type", "image/png")
        .body(body);
    // The server may close before everything is sent; a client then sees no answer at all.
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status(), 413);
    }
    assert_eq!(world.sandbox.requests("bluesky").pop().unwrap().status, Some(413));
}

#[tokio::test]
async fn a_stopped_sandbox_answers_no_more() {
    let world = start().await;
    let other = world.sandbox.clone();
    ok(world.get("/_faults")).await;
    other.stop();
    let addr = world.sandbox.url().replace("http://", "");
    let refused = async {
        while TcpStream::connect(&addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused).await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_refused_in_the_networks_words() {
    let world = start().await;
    for (path, status) in [
        ("/facebook/v25.0/ann/feed", 400),
        ("/bluesky/xrpc/com.atproto.server.createSession", 400),
        ("/mastodon/api/v1/statuses", 400),
        ("/wordpress/wp-json/wp/v2/posts", 400),
        ("/telegram/bot1:sandbox-ann/sendMessage", 400),
    ] {
        let request = world.post(path).header("content-type", "application/json").body("{");
        let (got, body) = said(request).await;
        assert_eq!(got, status, "{path}: {body}");
        let network = path.split('/').nth(1).unwrap();
        assert!(world.sandbox.ledger(network).is_empty());
        assert!(world.sandbox.requests(network)[0].body.contains("unreadable"));
    }
}
