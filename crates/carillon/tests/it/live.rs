//! The whole path with real servers: WordPress from Debian, the Bluesky PDS from npm. Published by
//! the product, read back through the servers' own APIs, rolled back, and gone. Smaller servers for
//! mail, Nostr and OAuth have files of their own.

mod email;
mod nostr;
mod oauth;

use std::sync::Mutex;
use std::time::Duration;

use carillon::clock::Clock;
use carillon::domain::delivery::DeliveryState as State;
use carillon::publishing::connecting::{self, New};
use carillon::publishing::{rollback, schedule};
use carillon_networks::{Account, Context, Forgetful, Http, Secret};
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::live::Live;
use crate::support::{On, TestApp};

/// A server that runs already (`scripts/with-live` says so in the environment), or one of our own.
struct Server {
    info: Value,
    _own: Option<Live>,
}

async fn server(var: &str, script: &'static str) -> Server {
    if let Ok(line) = std::env::var(var) {
        return Server {
            info: serde_json::from_str(&line).expect("the server's line"),
            _own: None,
        };
    }
    let own = start(script).await;
    Server { info: own.info.clone(), _own: Some(own) }
}

fn said(live: &Server, key: &str) -> String {
    live.info[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", live.info)).to_owned()
}

/// The script's server, for a test of its own.
async fn start(script: &'static str) -> Live {
    tokio::task::spawn_blocking(move || Live::start(script)).await.expect("the server starts")
}

/// An app that may speak to this server and to nothing else in private.
async fn app_for(url: &str) -> TestApp {
    let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    TestApp::with(On::Sqlite, &[("CARILLON_SANDBOX", ""), ("CARILLON_ALLOW_HOSTS", &host)]).await
}

/// What a connector is handed when no app stands between it and the server.
fn account(settings: &[(&str, &str)], secrets: &[(&str, &str)]) -> Account {
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let secret = |(key, value): &(&str, &str)| ((*key).to_owned(), Secret::new(*value));
    Account {
        settings: settings.iter().map(text).collect(),
        secrets: Mutex::new(secrets.iter().map(secret).collect()),
    }
}

fn cx<'c>(http: &'c Http, account: &'c Account, base: &'c str) -> Context<'c> {
    let (now, timeout) = (Clock::system().now(), Duration::from_secs(10));
    Context::new(http, account, base, now, timeout, <_>::default(), &Forgetful)
}

async fn publish(t: &TestApp, new: New, text: &str) -> carillon::publishing::view::PostView {
    let takes_pictures =
        !t.app.network(&new.network).unwrap().spec().placements[0].media.types.is_empty();
    let connection =
        connecting::add(&t.app, &t.workspace, new).await.expect("the server takes the account");
    let mut draft = t.draft(text, &[&connection.id]);
    if takes_pictures {
        draft.media = vec![t.upload().await];
    }
    let post =
        schedule::create(&t.app, &t.workspace, draft, None).await.expect("the post is taken");
    t.pass(Duration::from_secs(1200)).await;
    let post = t.post(&post.id).await;
    assert_eq!(
        post.deliveries[0].state,
        State::Published,
        "{:#?}",
        t.journal(&post.deliveries[0].id).await
    );
    post
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs WordPress: `make test` installs it and runs this"]
async fn a_real_wordpress_shows_the_post_and_loses_it_again() {
    let site = server("CARILLON_WORDPRESS", "wordpress/start.sh").await;
    let (url, user, password) =
        (said(&site, "url"), said(&site, "username"), said(&site, "applicationPassword"));
    let t = app_for(&url).await;
    let new = New {
        network: "wordpress".into(),
        name: None,
        settings: [("server".into(), url.clone()), ("username".into(), user.clone())].into(),
        credentials: [("applicationPassword".into(), password.clone())].into(),
    };
    let post = publish(&t, new, "Harbour lights\nThey are on again <tonight> & tomorrow.").await;
    let id = post.deliveries[0].remote_id.clone().unwrap();
    let read = |path: String| {
        let request =
            reqwest::Client::new().get(format!("{url}{path}")).basic_auth(&user, Some(&password));
        async move {
            let answer = request.send().await.unwrap();
            let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
            (status, serde_json::from_slice::<Value>(&bytes).unwrap_or_default())
        }
    };
    let (status, there) = read(format!("/wp-json/wp/v2/posts/{id}")).await;
    assert_eq!((status, there["status"].as_str()), (StatusCode::OK, Some("publish")), "{there}");
    assert_eq!(there["title"]["rendered"], "Harbour lights");
    assert!(
        there["content"]["rendered"].as_str().unwrap().contains("&lt;tonight&gt; &amp; tomorrow."),
        "{there}"
    );
    assert!(there["featured_media"].as_i64().unwrap() > 0);
    let (_, picture) = read(format!("/wp-json/wp/v2/media/{}", there["featured_media"])).await;
    assert_eq!(picture["mime_type"], "image/jpeg", "{picture}");
    let (_, mine) =
        read("/wp-json/wp/v2/posts?status=any&context=edit&search=Harbour+lights".into()).await;
    assert_eq!(mine.as_array().unwrap().len(), 1, "it is there once");

    let back = rollback::post(&t.app, &t.workspace, &post.id).await.expect("it can be rolled back");
    assert_eq!(back.results[0].result, "deleted", "{:?}", back.results);
    let (status, _) = read(format!("/wp-json/wp/v2/posts/{id}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Bluesky PDS: `make test` installs it and runs this"]
async fn a_real_bluesky_server_shows_the_post_and_loses_it_again() {
    let pds = server("CARILLON_PDS", "pds/start.mjs").await;
    let (url, did) = (said(&pds, "url"), said(&pds, "did"));
    let t = app_for(&url).await;
    let new = New {
        network: "bluesky".into(),
        name: None,
        settings: [("server".into(), url.clone()), ("identifier".into(), said(&pds, "identifier"))]
            .into(),
        credentials: [("password".into(), said(&pds, "password"))].into(),
    };
    let post = publish(&t, new, "Lights on again 🌅 https://example.com/harbour #harbour").await;
    let uri = post.deliveries[0].remote_id.clone().unwrap();
    let rkey = uri.rsplit('/').next().unwrap().to_owned();
    let read = || async {
        let path = format!(
            "{url}/xrpc/com.atproto.repo.getRecord?repo={did}&collection=app.bsky.feed.post&rkey={rkey}"
        );
        let answer = reqwest::get(path).await.unwrap();
        let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
        (status, serde_json::from_slice::<Value>(&bytes).unwrap_or_default())
    };
    let (status, record) = read().await;
    assert_eq!(status, StatusCode::OK, "{record}");
    let text = record["value"]["text"].as_str().unwrap();
    assert!(text.starts_with("Lights on again 🌅"));
    assert_eq!(record["value"]["embed"]["images"].as_array().unwrap().len(), 1, "{record}");
    let facets = record["value"]["facets"].as_array().unwrap();
    let link = &facets
        .iter()
        .find(|f| f["features"][0]["$type"] == "app.bsky.richtext.facet#link")
        .unwrap()["index"];
    let (from, to) =
        (link["byteStart"].as_u64().unwrap() as usize, link["byteEnd"].as_u64().unwrap() as usize);
    assert_eq!(&text[from..to], "https://example.com/harbour");

    let back = rollback::post(&t.app, &t.workspace, &post.id).await.expect("it can be rolled back");
    assert_eq!(back.results[0].result, "deleted", "{:?}", back.results);
    let (status, _) = read().await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
