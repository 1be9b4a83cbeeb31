//! The REST API from outside: a server on a free port, spoken to as a program speaks to it.

use std::io::{Read, Write};
use std::net::TcpStream;

use carillon::identity::door;
use carillon_sandbox::{Calls, Trouble};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::both;
use crate::support::{On, TestApp};

/// A served app and a key to its workspace.
pub(crate) struct Api<'a> {
    pub(crate) t: &'a TestApp,
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) client: reqwest::Client,
}

impl<'a> Api<'a> {
    pub(crate) async fn of(t: &'a TestApp) -> Self {
        let url = t.serve().await;
        let (workspace, now) = (t.workspace.clone(), t.clock.now());
        let key = t
            .app
            .db
            .write(move |tx| async move { door::make_key(&tx, &workspace, "test", now).await })
            .await
            .expect("a key");
        Self { t, url, key, client: reqwest::Client::new() }
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        self.call_with(method, path, body, &[]).await
    }

    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let mut request =
            self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let bytes = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn posts(&self) -> usize {
        let (_, all) = self
            .call(
                Method::GET,
                "/api/v1/posts?from=2020-01-01T00:00:00Z&to=2040-01-01T00:00:00Z",
                None,
            )
            .await;
        let (_, drafts) = self.call(Method::GET, "/api/v1/posts?state=draft", None).await;
        all["items"].as_array().map_or(0, Vec::len) + drafts["items"].as_array().map_or(0, Vec::len)
    }

    /// Reads the live feed until it has told of so many `post.*` events: all that it told, as kind
    /// and post, and the id of the last.
    async fn feed(&self, last: Option<&str>, posts: usize) -> (Vec<(String, String)>, String) {
        let mut request =
            self.client.get(format!("{}/api/v1/events", self.url)).bearer_auth(&self.key);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let (mut text, mut told, mut id) = (String::new(), Vec::new(), String::new());
        while told.iter().filter(|(kind, _): &&(String, _)| kind.starts_with("post.")).count()
            < posts
        {
            let bytes = answer.chunk().await.expect("a chunk").expect("an endless stream");
            text.push_str(std::str::from_utf8(&bytes).expect("text"));
            while let Some((event, rest)) = text.split_once("\n\n") {
                let field = |name| {
                    event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
                };
                let data: Value = serde_json::from_str(field("data: ")).unwrap_or_default();
                if let Some(kind) = data["kind"].as_str() {
                    let of = data["postId"].as_str().or(data["id"].as_str()).unwrap_or_default();
                    told.push((kind.to_owned(), of.to_owned()));
                    id = field("id: ").to_owned();
                }
                text = rest.to_owned();
            }
        }
        (told, id)
    }

    fn body(&self, connection: &str) -> Value {
        json!({ "text": "Doors open at seven.", "scheduledAt": "2026-11-23T10:00", "timezone": "Europe/London",
                "allowCollision": true, "allowDuplicate": true, "deliveries": [{ "connectionId": connection }] })
    }
}

both! {
    async fn a_post_is_written_read_moved_cancelled_and_deleted(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let (status, post) = api.call(Method::POST, "/api/v1/posts", Some(api.body(&c))).await;
        assert_eq!(status, StatusCode::CREATED, "{post}");
        assert_eq!(post["state"], "scheduled");
        assert_eq!(post["deliveries"][0]["connectionId"], c.as_str());
        assert_eq!(post["deliveries"][0]["scheduledAt"], "2026-11-23T10:00:00Z");
        let path = format!("/api/v1/posts/{}", post["id"].as_str().unwrap());
        let change = json!({ "version": post["version"], "text": "Doors open at eight." });
        let (status, edited) = api.call(Method::PATCH, &path, Some(change.clone())).await;
        assert_eq!((status, edited["text"].as_str()), (StatusCode::OK, Some("Doors open at eight.")), "{edited}");
        let (status, stale) = api.call(Method::PATCH, &path, Some(change)).await;
        assert_eq!((status, stale["code"].as_str()), (StatusCode::CONFLICT, Some("version_conflict")));
        let to = json!({ "scheduledAt": "2026-11-24T10:00" });
        let (status, moved) = api.call(Method::POST, &format!("{path}/move"), Some(to)).await;
        assert_eq!(status, StatusCode::OK, "{moved}");
        assert_eq!(moved["deliveries"][0]["scheduledAt"], "2026-11-24T10:00:00Z");
        let (status, cancelled) = api.call(Method::POST, &format!("{path}/cancel"), None).await;
        assert_eq!((status, cancelled["state"].as_str()), (StatusCode::OK, Some("cancelled")));
        t.pass(std::time::Duration::from_secs(3 * 86_400)).await;
        assert!(t.visible("mastodon").is_empty(), "a cancelled post stays away");
        let (status, _) = api.call(Method::DELETE, &path, None).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (status, gone) = api.call(Method::GET, &path, None).await;
        assert_eq!((status, gone["code"].as_str()), (StatusCode::NOT_FOUND, Some("not_found")));
    }

    async fn a_feed_sends_nobody_to_read_what_is_gone(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let (_, post) = api.call(Method::POST, "/api/v1/posts", Some(api.body(&c))).await;
        let gone = post["id"].as_str().unwrap();
        let path = format!("/api/v1/posts/{gone}");
        t.pass(std::time::Duration::from_secs(1)).await;
        assert_eq!(api.call(Method::POST, &format!("{path}/cancel"), None).await.0, StatusCode::OK);
        t.pass(std::time::Duration::from_secs(1)).await;
        assert_eq!(api.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
        let told = |kinds: &[(String, String)]| -> Vec<String> {
            kinds.iter().filter(|(_, of)| of == gone).map(|(kind, _)| kind.clone()).collect()
        };
        // A page that opens now: the post was there and went within what the feed looks back.
        let (first, last) = api.feed(None, 1).await;
        assert_eq!(told(&first), ["post.deleted"]);
        // One that was loaded with the deletion as the last it knew.
        let (_, other) = api.call(Method::POST, "/api/v1/posts", Some(api.body(&c))).await;
        let (next, _) = api.feed(Some(&last), 1).await;
        assert_eq!(told(&next), Vec::<String>::new(), "{next:?}");
        let created = ("post.created".to_owned(), other["id"].as_str().unwrap().to_owned());
        assert!(next.contains(&created), "{next:?}");
    }

    async fn who_is_refused_is_answered_however_much_they_send(t: TestApp) {
        let url = t.serve().await;
        let host = url.strip_prefix("http://").unwrap().to_owned();
        let answer = tokio::task::spawn_blocking(move || {
            let mut line = TcpStream::connect(&host).unwrap();
            let size = 40 << 20;
            write!(line, "POST /api/v1/media HTTP/1.1\r\nhost: {host}\r\ncontent-length: {size}\r\n\r\n").unwrap();
            // It is refused by now, and has all of this still to come.
            line.write_all(&vec![0; size]).expect("nobody cuts it off");
            let mut answer = [0; 12];
            line.read_exact(&mut answer).unwrap();
            String::from_utf8(answer.to_vec()).unwrap()
        });
        assert_eq!(answer.await.unwrap(), "HTTP/1.1 401");
    }

    async fn bad_input_is_answered_clearly_and_writes_nothing(t: TestApp) {
        let api = Api::of(&t).await;
        let (mastodon, bluesky) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let (facebook, telegram) = (t.connect("facebook").await, t.connect("telegram").await);
        let instagram = t.connect("instagram").await;
        let with = |c: &str, change: &dyn Fn(&mut Value)| {
            let mut body = api.body(c);
            change(&mut body);
            body
        };
        let text = |n: usize| Value::String("x".repeat(n));
        let cases: Vec<(&str, Value)> = vec![
            ("text_too_long", with(&mastodon, &|b| b["text"] = text(501))),
            ("text_too_long", with(&bluesky, &|b| b["text"] = text(301))),
            ("text_too_long", with(&telegram, &|b| b["text"] = text(4_097))),
            ("text_too_long", with(&facebook, &|b| b["text"] = text(63_207))),
            ("text_too_long", with(&instagram, &|b| b["text"] = text(2_201))),
            ("media_required", api.body(&instagram)),
            ("in_the_past", with(&mastodon, &|b| b["scheduledAt"] = json!("2026-11-23T07:00"))),
            ("invalid_time", with(&mastodon, &|b| b["scheduledAt"] = json!("soon"))),
            ("unknown_zone", with(&mastodon, &|b| b["timezone"] = json!("Mars/Base"))),
            ("unknown_connection", api.body("0190aaaa-0000-7000-8000-000000000000")),
            ("unknown_connection", api.body("'; DROP TABLE post; --")),
            ("unknown_placement", with(&mastodon, &|b| b["deliveries"][0]["placement"] = json!("reel"))),
            ("unknown_media", with(&mastodon, &|b| b["media"] = json!(["0190aaaa-0000-7000-8000-000000000000"]))),
            ("text_required", with(&mastodon, &|b| b["text"] = json!("  \n "))),
            ("no_deliveries", with(&mastodon, &|b| b["deliveries"] = json!([]))),
            ("twice", with(&mastodon, &|b| b["deliveries"] = json!([{ "connectionId": mastodon }, { "connectionId": mastodon }]))),
        ];
        for (code, body) in cases {
            let (status, answer) = api.call(Method::POST, "/api/v1/posts", Some(body)).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{code}: {answer}");
            assert_eq!(answer["code"], code, "{answer}");
            for part in ["error", "requestId"] {
                assert!(answer[part].as_str().is_some_and(|s| !s.is_empty()), "{code} has no {part}");
            }
            assert!(answer["details"]["fix"].as_str().is_some_and(|s| !s.is_empty()), "{code}: {answer}");
            assert!(answer["details"]["problems"][0]["field"].is_string(), "{code}: {answer}");
        }
        // Everything wrong is told at once.
        let mut body = with(&mastodon, &|b| b["text"] = text(600));
        body["deliveries"] = json!([{ "connectionId": mastodon }, { "connectionId": bluesky }, { "connectionId": instagram }]);
        let (_, answer) = api.call(Method::POST, "/api/v1/posts", Some(body)).await;
        assert!(answer["details"]["problems"].as_array().unwrap().len() >= 3, "{answer}");
        let (status, answer) = api.call(Method::POST, "/api/v1/posts", Some(json!({ "text": 7 }))).await;
        assert!(status.is_client_error() && answer["error"].is_string(), "{status} {answer}");
        assert_eq!(api.posts().await, 0, "nothing was written");
    }

    async fn the_same_key_writes_once(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let key = [("idempotency-key", "booking-17")];
        let (first, one) = api.call_with(Method::POST, "/api/v1/posts", Some(api.body(&c)), &key).await;
        let (second, two) = api.call_with(Method::POST, "/api/v1/posts", Some(api.body(&c)), &key).await;
        assert_eq!((first, second), (StatusCode::CREATED, StatusCode::CREATED), "{one} {two}");
        assert_eq!(one["id"], two["id"]);
        assert_eq!(api.posts().await, 1);
        let mut other = api.body(&c);
        other["text"] = json!("Another text");
        let (status, answer) = api.call_with(Method::POST, "/api/v1/posts", Some(other), &key).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("idempotency_key_reused")));
        assert_eq!(api.posts().await, 1);
    }

    async fn another_workspaces_things_do_not_exist(t: TestApp) {
        let (api, c, m) = (Api::of(&t).await, t.connect("mastodon").await, t.upload().await);
        let (_, post) = api.call(Method::POST, "/api/v1/posts", Some(api.body(&c))).await;
        let (p, d) = (post["id"].as_str().unwrap(), post["deliveries"][0]["id"].as_str().unwrap());
        let stranger = Api { key: t.stranger().await, client: api.client.clone(), url: api.url.clone(), t: api.t };
        let routes = [
            (Method::GET, format!("/api/v1/posts/{p}"), None),
            (Method::PATCH, format!("/api/v1/posts/{p}"), Some(json!({ "version": 1, "text": "mine" }))),
            (Method::POST, format!("/api/v1/posts/{p}/move"), Some(json!({ "scheduledAt": "2026-11-25T10:00" }))),
            (Method::POST, format!("/api/v1/posts/{p}/cancel"), None),
            (Method::POST, format!("/api/v1/posts/{p}/rollback"), None),
            (Method::DELETE, format!("/api/v1/posts/{p}"), None),
            (Method::DELETE, format!("/api/publishing/{p}"), None),
            (Method::GET, format!("/api/v1/deliveries/{d}"), None),
            (Method::GET, format!("/api/v1/deliveries/{d}/attempts"), None),
            (Method::POST, format!("/api/v1/deliveries/{d}/cancel"), None),
            (Method::POST, format!("/api/v1/deliveries/{d}/retry"), None),
            (Method::POST, format!("/api/v1/deliveries/{d}/amend"), Some(json!({ "text": "mine" }))),
            (Method::POST, format!("/api/v1/deliveries/{d}/measure"), None),
            (Method::POST, format!("/api/v1/deliveries/{d}/answer"), Some(json!({ "live": false }))),
            (Method::GET, format!("/api/v1/connections/{c}"), None),
            (Method::PATCH, format!("/api/v1/connections/{c}"), Some(json!({ "name": "mine" }))),
            (Method::POST, format!("/api/v1/connections/{c}/check"), None),
            (Method::POST, format!("/api/v1/connections/{c}/pause"), None),
            (Method::DELETE, format!("/api/v1/connections/{c}"), None),
            (Method::GET, format!("/api/v1/media/{m}"), None),
            (Method::PATCH, format!("/api/v1/media/{m}"), Some(json!({ "alt": "mine" }))),
            (Method::POST, format!("/api/v1/media/{m}/reprocess"), None),
            (Method::DELETE, format!("/api/v1/media/{m}"), None),
            (Method::GET, format!("/media/{m}/original"), None),
        ];
        for (method, path, body) in routes {
            let (status, answer) = stranger.call(method.clone(), &path, body).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {answer}");
        }
        let (status, answer) = stranger.call(Method::POST, "/api/v1/posts", Some(api.body(&c))).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("unknown_connection")));
        let mut theirs = api.body(&c);
        theirs["deliveries"] = json!([]);
        theirs["draft"] = json!(true);
        theirs["media"] = json!([m]);
        let (_, answer) = stranger.call(Method::POST, "/api/v1/posts", Some(theirs)).await;
        assert_eq!(answer["code"], "unknown_media");
        let (_, same) = api.call(Method::GET, &format!("/api/v1/posts/{p}"), None).await;
        assert_eq!(same, post, "nothing was changed");
    }

    async fn nobody_comes_in_without_a_key(t: TestApp) {
        let mut api = Api::of(&t).await;
        for key in ["", "car_wrong", "ses_wrong"] {
            api.key = key.into();
            let (status, answer) = api.call(Method::GET, "/api/v1/posts", None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{key}: {answer}");
            assert!(answer["details"]["fix"].is_string());
        }
        let (status, health) = api.call(Method::GET, "/api/health", None).await;
        assert!(status == StatusCode::OK || status == StatusCode::SERVICE_UNAVAILABLE, "{health}");
        let (status, _) = api.call(Method::POST, "/api/cron/publish", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "without CRON_SECRET there is no such door");
    }

    async fn a_published_post_is_rolled_back_everywhere(t: TestApp) {
        let api = Api::of(&t).await;
        let mut connections = Vec::new();
        for network in ["facebook", "bluesky", "mastodon", "wordpress", "telegram"] {
            connections.push(t.connect(network).await);
        }
        let targets: Vec<&str> = connections.iter().map(String::as_str).collect();
        let post = t.schedule(t.draft("Closed for a private party", &targets)).await;
        t.pass(std::time::Duration::from_secs(3600)).await;
        let (status, answer) = api.call(Method::DELETE, &format!("/api/publishing/{}", post.id), None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(answer["results"].as_array().unwrap().iter().all(|r| r["result"] == "deleted"), "{answer}");
        assert_eq!(answer["post"]["state"], "draft");
        for network in ["facebook", "bluesky", "mastodon", "wordpress", "telegram"] {
            assert!(t.visible(network).is_empty(), "{network}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_publishes_with_its_secret_and_twice_does_nothing_twice() {
    let t = TestApp::with(On::Sqlite, &[("CRON_SECRET", "tick-tock")]).await;
    let (mut api, c) = (Api::of(&t).await, t.connect("mastodon").await);
    t.schedule(t.draft("On the hour", &[&c])).await;
    t.clock.advance(std::time::Duration::from_secs(700));
    api.key = "wrong".into();
    let (status, _) = api.call(Method::POST, "/api/cron/publish", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    api.key = "tick-tock".into();
    for _ in 0..2 {
        let (status, answer) = api.call(Method::POST, "/api/cron/publish", None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    assert_eq!(t.visible("mastodon").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_comes_out_again() {
    let t = TestApp::new(On::Sqlite).await;
    let api = Api::of(&t).await;
    let mut said = Vec::new();
    for network in ["facebook", "instagram", "bluesky", "mastodon", "wordpress", "telegram"] {
        let c = t.connect_as(network, "seeded_secret").await;
        for fault in
            [Trouble::Auth, Trouble::ServerError, Trouble::Garbage, Trouble::ResetAfterAccept]
        {
            t.fault(network, Calls::Publish, fault);
        }
        let mut draft = t.draft("A text", &[&c]);
        draft.media = if network == "instagram" { vec![t.upload().await] } else { vec![] };
        let post = t.schedule(draft).await;
        t.pass(std::time::Duration::from_secs(7200)).await;
        for d in &t.post(&post.id).await.deliveries {
            let (_, journal) =
                api.call(Method::GET, &format!("/api/v1/deliveries/{}/attempts", d.id), None).await;
            assert!(!journal["items"].as_array().unwrap().is_empty());
            said.push(journal.to_string());
        }
        t.sandbox.clear_faults();
        let (_, checked) =
            api.call(Method::POST, &format!("/api/v1/connections/{c}/check"), None).await;
        said.push(checked.to_string());
    }
    for path in [
        "/api/v1/connections",
        "/api/v1/posts?from=2020-01-01T00:00:00Z&to=2040-01-01T00:00:00Z",
        "/api/v1/session",
        "/api/health",
        "/api/v1/networks",
    ] {
        said.push(api.call(Method::GET, path, None).await.1.to_string());
    }
    for text in &said {
        assert!(!text.contains("sandbox-seeded_secret"), "a token came out: {text}");
        assert!(!text.contains(&api.key), "the key came out: {text}");
    }
    assert!(said.iter().any(|s| s.contains("seeded_secret")), "the search would find something");
}
