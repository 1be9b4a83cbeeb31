//! The calendar as other programs read it.

use std::io::Write;
use std::process::{Command, Stdio};

use carillon::planning::calendar_feed;
use carillon::publishing::schedule::Draft;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::Api;
use crate::both;
use crate::support::{On, TestApp};

const ODD: &str = "Fünf Köche, vier Gänge; ein \\ Menü\nzweite Zeile mit sehr vielen Wörtern, damit sie gefaltet wird 👩‍🍳👩‍🍳👩‍🍳👩‍🍳";

both! {
    async fn a_secret_address_opens_the_calendar_until_it_is_renewed(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft(ODD, &[&c])).await;
        t.schedule(Draft { draft: true, ..t.draft("Only a draft", &[&c]) }).await;
        t.schedule(Draft { scheduled_at: Some("2028-06-01T09:00".into()), ..t.draft("Far ahead", &[&c]) }).await;
        let api = Api::of(&t).await;
        let (_, off) = api.call(Method::GET, "/api/v1/calendar-link", None).await;
        assert_eq!(off["on"], false);
        let (status, link) = api.call(Method::POST, "/api/v1/calendar-link", None).await;
        assert_eq!(status, StatusCode::CREATED, "{link}");
        let url = |link: &Value| {
            let url = link["url"].as_str().unwrap();
            format!("{}{}", api.url, &url[url.find("/cal/").unwrap()..])
        };
        let first = url(&link);
        let got = api.client.get(&first).send().await.unwrap();
        assert_eq!(got.status(), StatusCode::OK);
        assert_eq!(got.headers()["content-type"], "text/calendar; charset=utf-8");
        let etag = got.headers()["etag"].clone();
        let text = got.text().await.unwrap();
        assert!(text.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n") && text.ends_with("END:VCALENDAR\r\n"));
        assert!(text.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')), "{text}");
        let whole = text.replace("\r\n ", "");
        assert_eq!(whole.matches("BEGIN:VEVENT").count(), 1, "no draft, nothing that is too far: {whole}");
        assert!(whole.contains(&format!("UID:{}@", post.id)));
        assert!(whole.contains("DTSTART:20261123T081000Z\r\n") && whole.contains("SUMMARY:Fünf Köche\\, vier Gänge\\; ein \\\\ Menü\r\n"), "{whole}");
        let again = api.client.get(&first).header("if-none-match", etag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

        let (_, link) = api.call(Method::POST, "/api/v1/calendar-link", Some(json!({ "drafts": true }))).await;
        assert_eq!(api.client.get(&first).send().await.unwrap().status(), StatusCode::NOT_FOUND);
        let text = api.client.get(url(&link)).send().await.unwrap().text().await.unwrap();
        assert!(text.contains("SUMMARY:[draft] Only a draft\r\n") && text.contains("STATUS:TENTATIVE"), "{text}");
        let (_, seen) = api.call(Method::GET, "/api/v1/calendar-link", None).await;
        assert_eq!((&seen["on"], &seen["url"], &seen["readAt"]), (&json!(true), &json!(null), &json!("2026-11-23T08:00:00Z")));
        assert_eq!(api.call(Method::DELETE, "/api/v1/calendar-link", None).await.0, StatusCode::NO_CONTENT);
        assert_eq!(api.client.get(url(&link)).send().await.unwrap().status(), StatusCode::NOT_FOUND);
        for other in ["/cal/x.ics", "/cal/cal_x", "/cal/.ics"] {
            let got = api.client.get(format!("{}{other}", api.url)).send().await.unwrap();
            assert_eq!(got.status(), StatusCode::NOT_FOUND, "{other}");
        }
    }
}

/// Held against a parser of others, Python's `icalendar`: `cargo test … -- --ignored` installs it once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the network once, for scripts/judge-calendar"]
async fn another_parser_reads_the_same() {
    let t = TestApp::new(On::Sqlite).await;
    let c = t.connect("mastodon").await;
    let post = t.schedule(t.draft(ODD, &[&c])).await;
    t.schedule(t.draft(&"wide 🎻 words, and; more\\".repeat(15), &[&c])).await;
    let calendar = calendar_feed::of(&t.app, &t.workspace, true).await.unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/judge-calendar");
    let mut judge = Command::new(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the judge starts");
    judge.stdin.take().unwrap().write_all(calendar.text.as_bytes()).unwrap();
    let out = judge.wait_with_output().unwrap();
    assert!(out.status.success());
    let read: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(read["errors"], json!([]));
    let events = read["events"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    let first = events.iter().find(|e| e["uid"].as_str().unwrap().starts_with(&post.id)).unwrap();
    assert_eq!(first["start"], "2026-11-23T08:10:00+00:00");
    assert_eq!(first["summary"], "Fünf Köche, vier Gänge; ein \\ Menü");
    let description = first["description"].as_str().unwrap();
    assert!(
        description.starts_with(ODD) && description.contains("alice at mastodon"),
        "{description}"
    );
}
