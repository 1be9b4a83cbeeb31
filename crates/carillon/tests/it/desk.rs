//! The operator's desk from outside: what died, what a person may do about it, and what is written
//! down of it.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::job::Pool;
use carillon::domain::when;
use carillon::store::{deliveries, queue};
use carillon_sandbox::{Calls, Fault, Trouble};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::Api;
use crate::both;
use crate::support::{On, START, TestApp};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A delivery that used up its tries: nothing of it ever arrived.
pub(crate) async fn failed(t: &TestApp, connection: &str, network: &str, text: &str) -> String {
    t.sandbox.add_fault(Fault::new(network, Calls::Publish, Trouble::ResetBeforeAccept).times(50));
    let post = t.schedule(t.draft(text, &[connection])).await;
    t.pass(4 * HOUR).await;
    t.sandbox.clear_faults();
    let d = &t.post(&post.id).await.deliveries[0];
    assert_eq!(d.state, State::Failed, "{:#?}", t.journal(&d.id).await);
    d.id.clone()
}

/// Deliveries that came too late: held before anything was sent.
pub(crate) async fn late(t: &TestApp, connection: &str, texts: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for text in texts {
        let post = t.schedule(t.draft(text, &[connection])).await;
        ids.push(post.deliveries[0].id.clone());
    }
    t.clock.advance(3 * HOUR);
    t.pass(MINUTE).await;
    for id in &ids {
        assert_eq!(t.delivery(id).await.state, State::Held);
    }
    ids
}

/// A delivery that may be live: nobody can tell but a person.
pub(crate) async fn in_doubt(t: &TestApp, connection: &str, text: &str) -> String {
    t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
    let post = t.schedule(t.draft(text, &[connection])).await;
    t.pass(HOUR).await;
    let d = &t.post(&post.id).await.deliveries[0];
    assert_eq!(d.question.as_deref(), Some("is_it_live"));
    d.id.clone()
}

impl Api<'_> {
    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn refused(&self, path: &str, body: Value, status: StatusCode, code: &str) -> Value {
        let (was, answer) = self.call(Method::POST, path, Some(body)).await;
        assert_eq!((was, answer["code"].as_str()), (status, Some(code)), "{path}: {answer}");
        assert!(answer["details"]["fix"].as_str().is_some_and(|f| f.ends_with('.')), "{answer}");
        answer
    }

    /// The audit rows of an action: their subjects, the latest first.
    async fn deeds(&self, action: &str) -> Vec<Value> {
        let all = self.get(&format!("/api/v1/audit?action={action}")).await;
        all["items"].as_array().unwrap().clone()
    }
}

fn ids(list: &Value) -> Vec<String> {
    let all = list.as_array().unwrap_or_else(|| panic!("a list: {list}"));
    all.iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
}

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

both! {
    async fn the_pile_shows_every_dead_letter_and_is_filtered(t: TestApp) {
        let api = Api::of(&t).await;
        let (mastodon, telegram) = (t.connect("mastodon").await, t.connect("telegram").await);
        let refused = failed(&t, &mastodon, "mastodon", "Quiz night").await;
        let doubt = in_doubt(&t, &telegram, "Happy hour").await;
        let middle = when::iso(t.clock.now());
        let held = late(&t, &mastodon, &["Good morning"]).await.remove(0);
        let all = api.get("/api/v1/dead-letters").await;
        assert_eq!(ids(&all["items"]), [&held[..], &doubt, &refused], "the latest first");
        assert_eq!((all["total"].as_i64(), all["next"].as_str()), (Some(3), None));
        let item = |id: &str| all["items"].as_array().unwrap().iter().find(|i| i["id"] == id).unwrap();
        assert_eq!((item(&refused)["cause"].as_str(), item(&refused)["state"].as_str()), (Some("transient"), Some("failed")));
        assert_eq!((item(&doubt)["cause"].as_str(), item(&held)["cause"].as_str()), (Some("unknown"), Some("late")));
        assert_eq!(item(&refused)["postText"], "Quiz night");
        assert_eq!(item(&refused)["connectionName"], "alice at mastodon");
        let safe = |id: &str| item(id)["replay"]["safe"].as_bool().unwrap();
        assert_eq!((safe(&refused), safe(&held), safe(&doubt)), (true, true, false));
        assert!(item(&doubt)["replay"]["why"].as_str().unwrap().contains("may be live"));
        let cases = [
            ("state=failed", vec![&refused]),
            ("state=held,missed", vec![&held, &doubt]),
            ("cause=late", vec![&held]),
            ("network=telegram", vec![&doubt]),
            (&format!("connectionId={mastodon}"), vec![&held, &refused]),
            (&format!("from={middle}"), vec![&held]),
            (&format!("to={middle}&network=mastodon"), vec![&refused]),
            ("cause=content", vec![]),
        ];
        for (query, wanted) in cases {
            let found = api.get(&format!("/api/v1/dead-letters?{query}")).await;
            let wanted: Vec<String> = wanted.into_iter().cloned().collect();
            assert_eq!(ids(&found["items"]), wanted, "{query}");
            assert_eq!(found["total"].as_u64(), Some(wanted.len() as u64), "{query}");
        }
        let late_only = api.get("/api/v1/dead-letters?cause=late").await;
        assert_eq!(late_only["causes"].as_array().unwrap().len(), 3, "the other causes can still be chosen: {late_only}");
        for (query, code) in [("state=queued", "invalid_query"), ("cursor=x", "invalid_query"), ("limit=0", "invalid_query"), ("from=soon", "invalid_time")] {
            let (status, answer) = api.call(Method::GET, &format!("/api/v1/dead-letters?{query}"), None).await;
            assert_eq!((status, answer["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some(code)), "{query}");
        }
        let stranger = Api { key: t.stranger().await, client: api.client.clone(), url: api.url.clone(), t: api.t };
        assert_eq!(stranger.get("/api/v1/dead-letters").await["total"], 0);
    }

    /// While pages are read, rows leave the list and new ones come: none is shown twice, none that
    /// stays is left out.
    async fn pages_stay_true_while_rows_change(t: TestApp) {
        let api = Api::of(&t).await;
        let c = t.connect("mastodon").await;
        let before = late(&t, &c, &["One", "Two", "Three", "Four", "Five"]).await;
        let first = api.get("/api/v1/dead-letters?limit=2").await;
        let mut seen = ids(&first["items"]);
        assert_eq!((seen.len(), first["total"].as_i64()), (2, Some(5)));
        let gone = before.iter().find(|id| !seen.contains(id)).unwrap().clone();
        api.post(&format!("/api/v1/deliveries/{gone}/discard"), json!({})).await;
        api.post(&format!("/api/v1/deliveries/{}/discard", seen[0]), json!({})).await;
        late(&t, &c, &["Six"]).await;
        let mut next = first["next"].as_str().map(str::to_owned);
        while let Some(cursor) = next {
            let page = api.get(&format!("/api/v1/dead-letters?limit=2&cursor={cursor}")).await;
            seen.extend(ids(&page["items"]));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(seen.len(), set(&seen).len(), "none twice");
        let wanted: BTreeSet<String> = before.iter().filter(|id| **id != gone).cloned().collect();
        assert_eq!(set(&seen), wanted);
    }

    async fn one_is_edited_and_replayed(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let id = failed(&t, &c, "mastodon", "Quiz nihgt").await;
        let path = format!("/api/v1/deliveries/{id}/retry");
        api.refused(&path, json!({ "text": "x".repeat(501) }), StatusCode::UNPROCESSABLE_ENTITY, "text_too_long").await;
        api.refused(&path, json!({ "text": " " }), StatusCode::UNPROCESSABLE_ENTITY, "text_required").await;
        assert_eq!(t.delivery(&id).await.state, State::Failed, "a refusal changes nothing");
        assert!(api.deeds("delivery.retried").await.is_empty(), "nor is it written down");
        let d = api.post(&path, json!({ "text": "Quiz night" })).await;
        assert_eq!((d["state"].as_str(), d["problem"].is_null()), (Some("queued"), true));
        t.pass(MINUTE).await;
        let seen = t.visible("mastodon");
        assert_eq!((seen.len(), seen[0].text.contains("Quiz night")), (1, true), "{seen:?}");
        api.refused(&path, json!({}), StatusCode::CONFLICT, "not_retryable").await;
        let deeds = api.deeds("delivery.retried").await;
        assert_eq!(deeds.len(), 1);
        assert_eq!((deeds[0]["subject"].as_str(), deeds[0]["actorName"].as_str()), (Some(&id[..]), Some("test")));
        assert_eq!((deeds[0]["data"]["from"].as_str(), deeds[0]["data"]["text"].as_str()), (Some("failed"), Some("Quiz night")));
    }

    async fn what_may_be_live_is_never_sent_again_unlooked(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("telegram").await);
        let id = in_doubt(&t, &c, "Happy hour").await;
        let d = t.delivery(&id).await;
        api.refused(&format!("/api/v1/deliveries/{id}/retry"), json!({}), StatusCode::CONFLICT, "in_doubt").await;
        let bulk = api.post("/api/v1/dead-letters/replay", json!({ "filter": {} })).await;
        assert_eq!((bulk["replayed"].as_array().unwrap().len(), bulk["skipped"][0]["code"].as_str()), (0, Some("in_doubt")), "{bulk}");
        // Nor by way of its post.
        let at = when::iso(t.clock.now() + 3_600_000);
        api.refused(&format!("/api/v1/posts/{}/move", d.post_id), json!({ "scheduledAt": at }), StatusCode::CONFLICT, "in_doubt").await;
        let version = t.post(&d.post_id).await.version;
        let (status, answer) = api.call(Method::PATCH, &format!("/api/v1/posts/{}", d.post_id), Some(json!({ "version": version, "text": "Happier hour" }))).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::CONFLICT, Some("in_doubt")));
        // Nor after it was put away.
        let d = api.post(&format!("/api/v1/deliveries/{id}/discard"), json!({ "why": "Nobody knows." })).await;
        assert_eq!(d["state"], "cancelled");
        api.refused(&format!("/api/v1/deliveries/{id}/retry"), json!({}), StatusCode::CONFLICT, "not_retryable").await;
        t.pass(2 * HOUR).await;
        assert_eq!(t.visible("telegram").len(), 1);
        let deeds = api.deeds("delivery.discarded").await;
        assert_eq!((deeds[0]["data"]["inDoubt"].as_bool(), deeds[0]["data"]["why"].as_str()), (Some(true), Some("Nobody knows.")));
    }

    async fn a_doubt_is_answered_both_ways(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("telegram").await);
        let live = in_doubt(&t, &c, "Happy hour").await;
        let d = api.post(&format!("/api/v1/deliveries/{live}/answer"), json!({ "live": true })).await;
        assert_eq!(d["state"], "published");
        t.fault("telegram", Calls::Publish, Trouble::ResetBeforeAccept);
        let post = t.schedule(t.draft("Last orders", &[&c])).await;
        t.pass(HOUR).await;
        assert_eq!(t.visible("telegram").len(), 1);
        let lost = &post.deliveries[0].id;
        api.post(&format!("/api/v1/deliveries/{lost}/answer"), json!({ "live": false })).await;
        t.pass(MINUTE).await;
        assert_eq!((t.delivery(lost).await.state, t.visible("telegram").len()), (State::Published, 2));
        api.refused(&format!("/api/v1/deliveries/{lost}/answer"), json!({ "live": false }), StatusCode::CONFLICT, "no_question").await;
        assert_eq!(api.deeds("delivery.answered").await.len(), 2);
    }

    async fn what_was_posted_by_hand_is_marked_with_its_address(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let id = failed(&t, &c, "mastodon", "Quiz night").await;
        let path = format!("/api/v1/deliveries/{id}/answer");
        api.refused(&path, json!({ "live": true }), StatusCode::UNPROCESSABLE_ENTITY, "url_required").await;
        api.refused(&path, json!({ "live": true, "url": "ftp://x" }), StatusCode::UNPROCESSABLE_ENTITY, "invalid_url").await;
        api.refused(&path, json!({ "live": false }), StatusCode::CONFLICT, "no_question").await;
        let d = api.post(&path, json!({ "live": true, "url": "https://social.example/@anchor/7" })).await;
        assert_eq!((d["state"].as_str(), d["remoteUrl"].as_str()), (Some("published"), Some("https://social.example/@anchor/7")));
        assert!(d["problem"].is_null());
        t.pass(2 * HOUR).await;
        assert!(t.visible("mastodon").is_empty(), "nothing is sent any more");
        assert_eq!(api.deeds("delivery.marked_posted").await[0]["subject"], id.as_str());
    }

    async fn a_discarded_one_comes_back_by_a_retry(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let id = late(&t, &c, &["Good morning"]).await.remove(0);
        let d = api.post(&format!("/api/v1/deliveries/{id}/discard"), json!({})).await;
        assert_eq!(d["state"], "cancelled");
        api.refused(&format!("/api/v1/deliveries/{id}/discard"), json!({}), StatusCode::CONFLICT, "not_discardable").await;
        t.pass(HOUR).await;
        assert!(t.visible("mastodon").is_empty());
        // Without a body at all, as a button sends it.
        let (status, _) = api.call(Method::POST, &format!("/api/v1/deliveries/{id}/retry"), None).await;
        assert_eq!(status, StatusCode::OK);
        t.pass(MINUTE).await;
        assert_eq!(t.visible("mastodon").len(), 1);
    }

    async fn many_are_replayed_spaced_and_once(t: TestApp) {
        let api = Api::of(&t).await;
        let (a, b) = (t.connect("mastodon").await, t.connect_as("mastodon", "bob").await);
        let mut all = late(&t, &a, &["One", "Two", "Three"]).await;
        all.extend(late(&t, &b, &["Four"]).await);
        let body = json!({ "filter": { "cause": "late" }, "dryRun": true });
        let dry = api.post("/api/v1/dead-letters/replay", body).await;
        assert_eq!((dry["dryRun"].as_bool(), set(&ids(&dry["replayed"]))), (Some(true), set(&all)));
        assert_eq!(api.get("/api/v1/dead-letters").await["total"], 4, "a dry run writes nothing");
        assert!(api.deeds("dead_letters.replayed").await.is_empty());
        let now = t.clock.now();
        let body = json!({ "filter": { "cause": "late" }, "spacingSeconds": 120 });
        let done = api.post("/api/v1/dead-letters/replay", body).await;
        assert_eq!(set(&ids(&done["replayed"])), set(&all));
        let mut times = Vec::new();
        for id in &all {
            times.push(t.delivery(id).await.scheduled_at.unwrap());
        }
        let after = |s: i64| when::iso(now + s * 1000);
        assert_eq!(times, [after(0), after(120), after(240), after(0)], "each connection has a spacing of its own");
        t.pass(Duration::from_secs(100)).await;
        assert_eq!(t.visible("mastodon").len(), 2, "nothing bursts");
        t.pass(Duration::from_secs(300)).await;
        assert_eq!(t.visible("mastodon").len(), 4);
        let deeds = api.deeds("dead_letters.replayed").await;
        assert_eq!((deeds.len(), deeds[0]["data"]["ids"].as_array().unwrap().len()), (1, 4));
        let again = api.post("/api/v1/dead-letters/replay", json!({ "ids": all })).await;
        assert_eq!((ids(&again["replayed"]).len(), again["skipped"][0]["code"].as_str()), (0, Some("not_retryable")));
        assert_eq!(t.visible("mastodon").len(), 4);
    }

    async fn a_replay_names_what_it_cannot_do(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let held = late(&t, &c, &["Good morning"]).await.remove(0);
        let gone = failed(&t, &c, "mastodon", "Quiz night").await;
        let waiting = t.schedule(t.draft("Tomorrow", &[&c])).await.deliveries[0].id.clone();
        let nobody = "0190aaaa-0000-7000-8000-000000000000";
        let done = api.post("/api/v1/dead-letters/replay", json!({ "ids": [held, waiting, nobody, "x", held] })).await;
        assert_eq!(ids(&done["replayed"]), std::slice::from_ref(&held), "{done}");
        let codes: Vec<&str> = done["skipped"].as_array().unwrap().iter().map(|s| s["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["not_retryable", "not_found", "not_found"]);
        carillon::publishing::connecting::disconnect(&t.app, &t.workspace, &c, "operator").await.unwrap();
        api.refused(&format!("/api/v1/deliveries/{gone}/retry"), json!({}), StatusCode::CONFLICT, "disconnected").await;
        let done = api.post("/api/v1/dead-letters/replay", json!({ "ids": [gone] })).await;
        assert_eq!(done["skipped"][0]["code"], "disconnected");
        api.refused("/api/v1/dead-letters/replay", json!({}), StatusCode::UNPROCESSABLE_ENTITY, "ids_or_filter").await;
        let both = json!({ "ids": [], "filter": {} });
        api.refused("/api/v1/dead-letters/replay", both, StatusCode::UNPROCESSABLE_ENTITY, "ids_or_filter").await;
        let spaced = json!({ "ids": [gone], "spacingSeconds": -1 });
        api.refused("/api/v1/dead-letters/replay", spaced, StatusCode::UNPROCESSABLE_ENTITY, "invalid_field").await;
    }

    async fn another_workspaces_dead_letters_cannot_be_touched(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let id = late(&t, &c, &["Good morning"]).await.remove(0);
        let stranger = Api { key: t.stranger().await, client: api.client.clone(), url: api.url.clone(), t: api.t };
        let path = |what: &str| format!("/api/v1/deliveries/{id}/{what}");
        for (path, body) in [
            (path("retry"), json!({})),
            (path("discard"), json!({})),
            (path("answer"), json!({ "live": true, "url": "https://x.example/1" })),
            ("/api/v1/queue/drain".into(), json!({ "states": ["delayed"], "connectionId": c, "dryRun": false })),
        ] {
            stranger.refused(&path, body, StatusCode::NOT_FOUND, "not_found").await;
        }
        let done = stranger.post("/api/v1/dead-letters/replay", json!({ "ids": [id] })).await;
        assert_eq!(done["skipped"][0]["code"], "not_found");
        let next = t.schedule(t.draft("Tomorrow", &[&c])).await;
        let drained = stranger.post("/api/v1/queue/drain", json!({ "states": ["delayed"], "dryRun": false })).await;
        assert_eq!(drained["count"], 0);
        assert!(ids(&stranger.get("/api/v1/queue/lanes").await["items"].as_array().map_or(json!([]), |a| json!(a.iter().map(|l| json!({ "id": l["connectionId"] })).collect::<Vec<_>>()))).is_empty());
        assert_eq!((t.delivery(&id).await.state, t.post(&next.id).await.deliveries[0].state), (State::Held, State::Queued));
        assert_eq!(stranger.get("/api/v1/audit").await["items"], json!([]));
    }

    async fn the_queue_is_drained_and_posts_stay(t: TestApp) {
        let api = Api::of(&t).await;
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let due = t.schedule(t.draft("Soon", &[&a, &b])).await;
        t.clock.advance(11 * MINUTE);
        let later = t.schedule(t.draft("Later", &[&a])).await;
        let dry = api.post("/api/v1/queue/drain", json!({ "states": ["waiting", "delayed"] })).await;
        assert_eq!((dry["dryRun"].as_bool(), dry["count"].as_i64()), (Some(true), Some(3)), "dry unless told otherwise");
        assert_eq!(t.post(&due.id).await.deliveries[0].state, State::Queued);
        assert!(api.deeds("queue.drained").await.is_empty());
        let go = |states: &str, more: Value| {
            let mut body = json!({ "states": [states], "dryRun": false });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let done = api.post("/api/v1/queue/drain", go("waiting", json!({ "network": "mastodon" }))).await;
        assert_eq!((done["count"].as_i64(), done["drained"][0]["id"].as_str()), (Some(1), Some(&due.deliveries[0].id[..])));
        t.pass(MINUTE).await;
        assert!(t.visible("mastodon").is_empty());
        assert_eq!(t.visible("bluesky").len(), 1, "another network's go on");
        let done = api.post("/api/v1/queue/drain", go("delayed", json!({ "connectionId": a }))).await;
        assert_eq!(done["drained"], json!([{ "id": later.deliveries[0].id }]));
        t.pass(HOUR).await;
        assert!(t.visible("mastodon").is_empty());
        let post = t.post(&later.id).await;
        assert_eq!((post.text.as_str(), post.deliveries[0].state), ("Later", State::Cancelled), "the post stays");
        assert_eq!(t.journal(&later.deliveries[0].id).await.last().unwrap().step, "drain");
        let deeds = api.deeds("queue.drained").await;
        assert_eq!((deeds.len(), deeds[0]["data"]["count"].as_i64()), (2, Some(1)));
        let bad = [
            (json!({ "states": [] }), "states_required"),
            (json!({ "states": ["active"] }), "unknown_state"),
            (json!({ "states": ["waiting"], "queue": "media" }), "unknown_queue"),
            (json!({ "states": ["waiting"], "network": "myspace" }), "unknown_network"),
        ];
        for (body, code) in bad {
            api.refused("/api/v1/queue/drain", body, StatusCode::UNPROCESSABLE_ENTITY, code).await;
        }
    }

    /// What may be live is looked for to its end, whatever is drained.
    async fn a_drain_leaves_alone_what_is_under_way(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        t.fault("mastodon", Calls::Publish, Trouble::ResetAfterAccept);
        let post = t.schedule(t.draft("Quiz night", &[&c])).await;
        t.clock.advance(10 * MINUTE);
        t.worker.tick().await.unwrap();
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Unknown);
        let done = api.post("/api/v1/queue/drain", json!({ "states": ["waiting", "delayed"], "dryRun": false })).await;
        assert_eq!(done["count"], 0);
        t.pass(HOUR).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
    }

    async fn lanes_say_what_waits_and_what_holds_it_back(t: TestApp) {
        let api = Api::of(&t).await;
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        t.schedule(t.draft("Soon", &[&a, &b])).await;
        t.clock.advance(11 * MINUTE);
        let later = t.schedule(t.draft("Later", &[&a])).await;
        carillon::publishing::connecting::pause(&t.app, &t.workspace, &b).await.unwrap();
        let all = api.get("/api/v1/queue/lanes").await;
        let lane = |c: &str| all["items"].as_array().unwrap().iter().find(|l| l["connectionId"] == c).unwrap().clone();
        let (one, two) = (lane(&a), lane(&b));
        assert_eq!((one["waiting"].as_i64(), one["delayed"].as_i64(), one["active"].as_i64()), (Some(1), Some(1), Some(0)));
        assert_eq!((one["network"].as_str(), one["pausedAt"].is_null()), (Some("mastodon"), true));
        assert_eq!((two["waiting"].as_i64(), two["pausedWhy"].as_str(), two["nextAt"].is_null()), (Some(1), Some("paused"), true));
        t.pass(MINUTE).await;
        let all = api.get("/api/v1/queue/lanes").await;
        let one = all["items"].as_array().unwrap().iter().find(|l| l["connectionId"] == a.as_str()).unwrap();
        assert_eq!(one["nextAt"].as_str(), later.scheduled_at.as_deref());
    }

    async fn sweeps_are_logged_and_made_by_hand(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let post = t.schedule(t.draft("Last orders", &[&c])).await;
        carillon::publishing::sweep::sweep(&t.app, false).await.unwrap();
        assert_eq!(api.get("/api/v1/sweeps").await["items"], json!([]), "one that did nothing leaves no line");
        t.clock.advance(10 * MINUTE);
        let (now, id) = (t.clock.now(), post.deliveries[0].id.clone());
        t.app.db.write(move |tx| async move {
            queue::claim(&tx, Pool::Send, 1, "a dead worker", now, now + 60_000).await?;
            deliveries::intend(&tx, &id, State::Queued, now).await.map(drop)
        }).await.unwrap_or_else(|e: Error| panic!("{e}"));
        t.clock.advance(2 * MINUTE);
        let (status, swept) = api.call(Method::POST, "/api/v1/sweeps", None).await;
        assert_eq!(status, StatusCode::OK, "{swept}");
        assert_eq!((swept["freed"].as_i64(), swept["unknown"].as_i64(), swept["cause"].as_str()), (Some(1), Some(1), Some("person")));
        assert_eq!(swept["at"], when::iso(START + 12 * 60_000));
        t.clock.advance(Duration::from_secs(1));
        api.call(Method::POST, "/api/v1/sweeps", None).await;
        let log = api.get("/api/v1/sweeps?limit=1").await;
        assert_eq!((ids(&log["items"]).len(), log["items"][0]["freed"].as_i64()), (1, Some(0)), "the latest first: {log}");
        let log = api.get("/api/v1/sweeps").await;
        assert_eq!(log["items"][1], swept);
        assert_eq!(api.deeds("sweep.run").await.len(), 2);
        t.pass(HOUR).await;
        assert_eq!(t.visible("mastodon").len(), 1, "looked for, not there, sent once");
    }

    async fn the_trail_is_read_page_by_page(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        for id in late(&t, &c, &["One", "Two", "Three", "Four", "Five"]).await {
            api.post(&format!("/api/v1/deliveries/{id}/discard"), json!({ "why": "Rain." })).await;
        }
        let (now, other) = (t.clock.now(), t.stranger().await);
        t.app.db.write(move |tx| async move {
            carillon::store::audit::add(&tx, None, "operator", "pause.added", "all", &json!({}), now).await
        }).await.unwrap_or_else(|e: Error| panic!("{e}"));
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("/api/v1/audit?limit=2&cursor={cursor}")).await;
            seen.extend(page["items"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!((seen.len(), set(&ids(&json!(seen))).len()), (6, 6), "{seen:?}");
        assert!(seen.iter().any(|d| d["actor"] == "operator"), "what was done to the installation concerns all");
        let stranger = Api { key: other, client: api.client.clone(), url: api.url.clone(), t: api.t };
        let theirs = stranger.get("/api/v1/audit").await;
        assert_eq!((theirs["items"].as_array().unwrap().len(), theirs["items"][0]["action"].as_str()), (1, Some("pause.added")));
    }

    async fn a_pause_keeps_everything_waiting_and_loses_nothing(t: TestApp) {
        let api = Api::of(&t).await;
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let stranger = Api { key: t.stranger().await, client: api.client.clone(), url: api.url.clone(), t: api.t };
        let (status, made) = api.call(Method::POST, "/api/v1/pauses", Some(json!({ "scope": "network:mastodon", "why": "It is down." }))).await;
        assert_eq!((status, made["scope"].as_str(), made["wide"].as_bool()), (StatusCode::CREATED, Some("network:mastodon"), Some(false)), "{made}");
        api.refused("/api/v1/pauses", json!({ "scope": "network:myspace" }), StatusCode::UNPROCESSABLE_ENTITY, "unknown_scope").await;
        t.schedule(t.draft("Soon", &[&a, &b])).await;
        t.pass(HOUR / 2).await;
        assert_eq!((t.visible("mastodon").len(), t.visible("bluesky").len()), (0, 1));
        let all = api.get("/api/v1/queue/lanes").await;
        let lane = all["items"].as_array().unwrap().iter().find(|l| l["connectionId"] == a.as_str()).unwrap();
        assert_eq!((lane["shutBy"].as_str(), lane["waiting"].as_i64()), (Some("network:mastodon"), Some(1)), "{lane}");
        assert_eq!(api.get("/api/v1/pauses").await["items"][0]["why"], "It is down.");
        assert_eq!(stranger.get("/api/v1/pauses").await["items"], json!([]), "another workspace's goes on");
        let (status, _) = stranger.call(Method::DELETE, "/api/v1/pauses/network:mastodon", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (status, _) = api.call(Method::DELETE, "/api/v1/pauses/network:mastodon", None).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        t.pass(MINUTE).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        assert_eq!((api.deeds("pause.added").await.len(), api.deeds("pause.lifted").await.len()), (1, 1));
        carillon::publishing::pausing::pause(&t.app, None, "all", "We move house.", "operator").await.unwrap();
        let (status, answer) = api.call(Method::DELETE, "/api/v1/pauses/all", None).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::CONFLICT, Some("wide_pause")));
        for who in [&api, &stranger] {
            assert_eq!(who.get("/api/v1/pauses").await["items"][0]["wide"], true);
            assert_eq!(who.deeds("pause.added").await[0]["actor"], "operator");
        }
    }

    async fn an_open_circuit_is_seen_and_reset(t: TestApp) {
        let api = Api::of(&t).await;
        let mut connections = Vec::new();
        for name in ["ann", "ben", "cat", "dan", "eve"] {
            connections.push(t.connect_as("bluesky", name).await);
        }
        let targets: Vec<&str> = connections.iter().map(String::as_str).collect();
        assert_eq!(api.get("/api/v1/circuits").await["items"][0]["state"], "closed");
        t.sandbox.add_fault(Fault::new("bluesky", Calls::Any, Trouble::ServerError).times(100));
        t.schedule(t.draft("Soon", &targets)).await;
        t.pass(11 * MINUTE).await;
        t.sandbox.clear_faults();
        let circuit = api.get("/api/v1/circuits").await["items"][0].clone();
        assert_eq!((circuit["name"].as_str(), circuit["state"].as_str()), (Some("bluesky"), Some("open")), "{circuit}");
        let lane = api.get("/api/v1/queue/lanes").await["items"][0].clone();
        assert_eq!(lane["circuitUntil"], circuit["openUntil"], "{lane}");
        assert_eq!(api.get("/api/v1/alerts?open=true").await["items"][0]["kind"], "circuit_open");
        let stranger = Api { key: t.stranger().await, client: api.client.clone(), url: api.url.clone(), t: api.t };
        assert_eq!(stranger.get("/api/v1/circuits").await["items"], json!([]));
        stranger.refused("/api/v1/circuits/bluesky/reset", json!({}), StatusCode::NOT_FOUND, "not_found").await;
        let closed = api.post("/api/v1/circuits/bluesky/reset", json!({})).await;
        assert_eq!(closed["state"], "closed");
        assert_eq!(api.get("/api/v1/alerts?open=true").await["items"], json!([]));
        assert!(api.get("/api/v1/alerts").await["items"][0]["clearedAt"].is_string());
        assert_eq!(api.deeds("circuit.reset").await[0]["subject"], "bluesky");
        t.pass(HOUR).await;
        assert_eq!(t.visible("bluesky").len(), 5);
    }

    /// However many press the button, it goes out once.
    async fn a_retry_pressed_many_times_at_once_posts_once(t: TestApp) {
        let c = t.connect("mastodon").await;
        let id = late(&t, &c, &["Good morning"]).await.remove(0);
        let mut pressed = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (app, ws, id) = (t.app.clone(), t.workspace.clone(), id.clone());
            pressed.spawn(async move {
                carillon::publishing::desk::retry(&app, &ws, &id, None, "operator").await.is_ok()
            });
            t.worker.tick().await.unwrap();
        }
        let done = pressed.join_all().await;
        assert!(done.iter().any(|ok| *ok));
        t.pass(HOUR).await;
        assert_eq!((t.delivery(&id).await.state, t.visible("mastodon").len()), (State::Published, 1));
    }
}

/// More than one transaction holds: the spacing goes on over them, and each has its audit row.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_batch_is_replayed_and_drained() {
    let t = TestApp::new(On::Sqlite).await;
    let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
    let texts: Vec<String> = (0..501).map(|n| format!("Number {n}")).collect();
    late(&t, &c, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let done = api
        .post("/api/v1/dead-letters/replay", json!({ "filter": {}, "spacingSeconds": 60 }))
        .await;
    assert_eq!(set(&ids(&done["replayed"])).len(), 501);
    let mut times = BTreeSet::new();
    for id in ids(&done["replayed"]) {
        times.insert(t.delivery(&id).await.scheduled_at.unwrap());
    }
    assert_eq!(times.len(), 501, "no two at one time");
    let deeds = api.deeds("dead_letters.replayed").await;
    let counts: BTreeSet<i64> =
        deeds.iter().map(|d| d["data"]["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, BTreeSet::from([1, 500]), "a row for each transaction");
    let drained = api
        .post("/api/v1/queue/drain", json!({ "states": ["waiting", "delayed"], "dryRun": false }))
        .await;
    assert_eq!(drained["count"], 501);
    t.pass(24 * HOUR).await;
    assert!(t.visible("mastodon").is_empty());
}
