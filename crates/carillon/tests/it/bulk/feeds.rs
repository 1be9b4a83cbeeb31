//! Feeds in: each entry once, politely asked for.

use std::time::Duration;

use carillon::domain::post::PostState;
use carillon::planning::feeds::{self, FeedAs, FeedState, NewFeed};
use carillon::queue::cron;
use carillon::store::audit::OPERATOR;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Site, all};
use crate::api::Api;
use crate::support::{On, TestApp};

fn rss(items: &[u32]) -> Vec<u8> {
    let item = |n: &u32| {
        format!(
            "<item><title>Entry {n}</title><link>https://a.example/{n}</link><guid>{n}</guid>\
             <pubDate>Mon, 23 Nov 2026 0{}:00:00 GMT</pubDate></item>",
            n % 10
        )
    };
    let items: String = items.iter().map(item).collect();
    format!("<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>News</title>{items}</channel></rss>")
        .into_bytes()
}

fn new(url: String) -> NewFeed {
    serde_json::from_value(json!({ "url": url, "connections": ["mastodon"] })).unwrap()
}

/// On both databases, with a site that may be spoken to.
async fn each(body: impl AsyncFn(TestApp, Site, String)) {
    for on in [On::Sqlite, On::Postgres] {
        let (site, host) = Site::start().await;
        let t = TestApp::with(on, &[("CARILLON_ALLOW_HOSTS", &host)]).await;
        t.connect("mastodon").await;
        body(t, site, format!("http://{host}/feed.xml")).await;
    }
}

async fn poll(t: &TestApp, id: &str) -> feeds::Polled {
    feeds::poll(&t.app, &t.workspace, id).await.unwrap()
}

async fn texts(t: &TestApp) -> Vec<String> {
    let mut all: Vec<String> = all(t).await.into_iter().map(|p| p.text).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_entries_become_posts_once_each() {
    each(async |t: TestApp, site: Site, url: String| {
        site.put("/feed.xml", 200, &[("etag", "\"1\"")], &rss(&[2, 1]));
        let feed = feeds::add(&t.app, &t.workspace, new(url), OPERATOR).await.unwrap();
        assert_eq!(feed.state, FeedState::New);
        assert_eq!((poll(&t, &feed.id).await.made, all(&t).await.len()), (0, 0), "from now on");
        assert_eq!(poll(&t, &feed.id).await.made, 0);
        assert_eq!(site.asked()[1].1["if-none-match"], "\"1\"", "asked only for what is new");
        site.put("/feed.xml", 200, &[("etag", "\"2\"")], &rss(&[9, 8, 7, 6, 5, 4, 3, 2, 1]));
        assert_eq!(poll(&t, &feed.id).await.made, 5, "at most five at once");
        assert_eq!(poll(&t, &feed.id).await.made, 2, "the rest with the next poll");
        assert_eq!(poll(&t, &feed.id).await.made, 0);
        let found = texts(&t).await;
        assert_eq!((found.len(), found[0].as_str()), (7, "Entry 3\n\nhttps://a.example/3"));
        assert!(
            all(&t).await.iter().all(|p| p.state == PostState::Draft && p.deliveries.len() == 1)
        );
        let seen = feeds::list(&t.app, &t.workspace).await.unwrap();
        assert_eq!((seen[0].posts, seen[0].state), (7, FeedState::Works));
        feeds::remove(&t.app, &t.workspace, &feed.id, OPERATOR).await.unwrap();
        assert_eq!(all(&t).await.len(), 7, "its posts stay");
    })
    .await;
}

/// It is named, tried again, and whatever else is new comes all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cannot_become_a_post_holds_up_no_other() {
    each(async |t: TestApp, site: Site, url: String| {
        site.put("/feed.xml", 200, &[("etag", "\"1\"")], &rss(&[]));
        let feed = feeds::add(&t.app, &t.workspace, new(url), OPERATOR).await.unwrap();
        assert_eq!(poll(&t, &feed.id).await.made, 0);
        let feed_with = |title: &str| {
            let body = String::from_utf8(rss(&[3, 2, 1])).unwrap();
            body.replace("Entry 2", title).into_bytes()
        };
        let endless = format!("Endless {}", "words ".repeat(50_000));
        site.put("/feed.xml", 200, &[("etag", "\"2\"")], &feed_with(&endless));
        let polled = poll(&t, &feed.id).await;
        assert_eq!((polled.made, polled.feed.state), (2, FeedState::Failing));
        let says = polled.feed.problem.unwrap().sentence;
        assert!(says.contains("“Endless words") && says.chars().count() < 300, "{says}");
        assert_eq!(poll(&t, &feed.id).await.made, 0);
        assert!(!site.asked().last().unwrap().1.contains_key("if-none-match"), "asked for anew");
        site.put("/feed.xml", 200, &[("etag", "\"3\"")], &feed_with("Mended"));
        let polled = poll(&t, &feed.id).await;
        assert_eq!(
            (polled.made, polled.feed.state, polled.feed.problem),
            (1, FeedState::Works, None)
        );
        let found: Vec<String> = texts(&t)
            .await
            .iter()
            .map(|t| t.lines().next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(found, ["Entry 1", "Entry 3", "Mended"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_takes_the_next_free_slots_by_itself() {
    each(async |t: TestApp, site: Site, url: String| {
        site.put("/feed.xml", 200, &[], &rss(&[3, 2, 1]));
        let new = NewFeed {
            made_as: FeedAs::Queue,
            first: 2,
            template: Some("{title}".into()),
            ..new(url)
        };
        feeds::add(&t.app, &t.workspace, new, OPERATOR).await.unwrap();
        cron::tick(&t.app).await.unwrap();
        t.worker.tick().await.unwrap();
        let posts = all(&t).await;
        let times: Vec<_> =
            posts.iter().map(|p| (p.text.as_str(), p.scheduled_at.as_deref().unwrap())).collect();
        assert_eq!(
            times,
            [("Entry 2", "2026-11-23T08:00:00Z"), ("Entry 3", "2026-11-23T08:30:00Z")]
        );
        let states: Vec<_> = posts.iter().map(|p| p.state).collect();
        assert_eq!(
            states,
            [PostState::Published, PostState::Scheduled],
            "the first one's time is now"
        );
        // What cannot go out is for a person to finish.
        let long = format!("Entry {}", "9".repeat(600));
        let body = String::from_utf8(rss(&[3]))
            .unwrap()
            .replace("Entry 3", &long)
            .replace("<guid>3", "<guid>9");
        site.put("/feed.xml", 200, &[], body.as_bytes());
        t.clock.advance(Duration::from_secs(3_600));
        cron::tick(&t.app).await.unwrap();
        t.worker.tick().await.unwrap();
        let all = all(&t).await;
        assert_eq!(all.iter().find(|p| p.text == long).map(|p| p.state), Some(PostState::Draft));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_fails_says_so_and_raises_an_alert_after_a_day() {
    each(async |t: TestApp, site: Site, url: String| {
        let feed = feeds::add(&t.app, &t.workspace, new(url), OPERATOR).await.unwrap();
        let api = Api::of(&t).await;
        let alerts = async || {
            let (_, alerts) = api.call(Method::GET, "/api/v1/alerts?open=true", None).await;
            alerts["items"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|a| a["kind"] == "feed_failing")
                .count()
        };
        let failed = poll(&t, &feed.id).await.feed;
        assert_eq!(failed.state, FeedState::Failing);
        assert_eq!(failed.problem.unwrap().sentence, "Its server answers 404 Not Found.");
        site.put("/feed.xml", 200, &[], b"<html>hello</html>");
        let failed = poll(&t, &feed.id).await.feed;
        assert!(failed.problem.unwrap().sentence.starts_with("It is neither RSS nor Atom"));
        assert_eq!(alerts().await, 0);
        t.clock.advance(Duration::from_secs(86_400));
        let failed = poll(&t, &feed.id).await.feed;
        assert_eq!(
            (alerts().await, failed.failing_since.as_deref()),
            (1, Some("2026-11-23T08:00:00Z"))
        );
        site.put("/feed.xml", 200, &[], &rss(&[1]));
        assert_eq!(poll(&t, &feed.id).await.feed.state, FeedState::Works);
        assert_eq!(alerts().await, 0);
        site.put("/feed.xml", 429, &[("retry-after", "7200")], b"");
        let asked = poll(&t, &feed.id).await.feed;
        assert_eq!(asked.next_at, "2026-11-24T10:00:00Z", "it waits as long as it is asked to");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_refuses_what_is_no_feed() {
    let t = TestApp::new(On::Sqlite).await;
    t.connect("mastodon").await;
    let api = Api::of(&t).await;
    let wrong = json!({ "url": "http://127.0.0.1/feed", "connections": ["nobody"], "template": "Hi", "everyMinutes": 1, "as": "queue" });
    let (status, e) = api.call(Method::POST, "/api/v1/feeds", Some(wrong)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> = e["details"]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["template", "everyMinutes", "url", "connections[0]", "connections"]);
    let right =
        json!({ "url": "https://news.example/feed.xml", "connections": ["alice at mastodon"] });
    let (status, feed) = api.call(Method::POST, "/api/v1/feeds", Some(right)).await;
    assert_eq!((status, &feed["name"]), (StatusCode::CREATED, &json!("news.example")), "{feed}");
    let (_, all) = api.call(Method::GET, "/api/v1/feeds", None).await;
    assert_eq!(all["items"][0]["everyMinutes"], 60);
    let path = format!("/api/v1/feeds/{}", feed["id"].as_str().unwrap());
    assert_eq!(api.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(api.call(Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);
}
