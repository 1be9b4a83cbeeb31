//! The watchdog: told within two minutes when something is late or nobody works, and when it is over.

use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::policy::Approval;
use carillon::domain::when;
use carillon::publishing::connecting;
use carillon::publishing::schedule::{self, Draft};
use carillon::store::{alerts, events, nodes};
use carillon::watch::watchdog;
use carillon_sandbox::{Calls, Trouble};
use reqwest::{Method, StatusCode};

use crate::api::Api;
use crate::approval::gated;
use crate::both;
use crate::support::TestApp;

const SECOND: u64 = 1_000;

/// A worker gives a sign of life.
async fn beat(t: &TestApp) {
    let now = t.clock.now();
    let keys = t.app.keys.ids().join(",");
    t.app
        .db
        .write(move |tx| async move { nodes::seen(&tx, "w", "worker", &keys, now).await })
        .await
        .expect("a heartbeat");
}

/// Time passes; nobody works, but a worker is there.
async fn wait(t: &TestApp, ms: u64) {
    t.clock.advance(Duration::from_millis(ms));
    beat(t).await;
    watchdog::look(&t.app).await.expect("a look");
}

async fn open(t: &TestApp) -> Vec<(String, String)> {
    let ws = t.workspace.clone();
    let all = t.app.db.read(move |tx| async move { alerts::open_in(&tx, &ws, 100).await });
    let all = all.await.expect("the alerts");
    all.into_iter().map(|a| (a.kind.to_string(), a.problem.sentence)).collect()
}

async fn told(t: &TestApp, what: &str) -> usize {
    let ws = t.workspace.clone();
    let all = t.app.db.read(move |tx| async move { events::after(&tx, &ws, (0, ""), 1000).await });
    all.await.expect("the events").iter().filter(|e| e.kind == what).count()
}

async fn ready(t: &TestApp) -> StatusCode {
    // A server of its own for every question: none remembers the answer before.
    let url = t.serve().await;
    reqwest::get(format!("{url}/readyz")).await.expect("an answer").status()
}

both! {
    async fn an_answer_that_is_due_is_told_of(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let c = t.connect("mastodon").await;
        let at = Some(when::iso(t.clock.now() + 3 * 3_600_000));
        let post = t.schedule(Draft { scheduled_at: at, ..t.draft("Quiz night", &[&c]) }).await;
        let told_of = |all: Vec<(String, String)>| -> Option<String> {
            all.into_iter().find(|(kind, _)| kind == "approval_due").map(|(_, sentence)| sentence)
        };
        wait(&t, 3_600 * SECOND).await;
        assert_eq!(told_of(open(&t).await), None, "there is time");
        wait(&t, 3_660 * SECOND).await;
        let sentence = told_of(open(&t).await).expect("it is time");
        assert!(sentence.contains("it is to go out at"), "{sentence}");
        wait(&t, 3_600 * SECOND).await;
        let sentence = told_of(open(&t).await).expect("it is over time");
        assert!(sentence.contains("it was to go out at"), "{sentence}");
        assert_eq!(told(&t, "alert.raised").await, 1, "once");
        schedule::cancel(&t.app, &t.workspace, &post.id).await.expect("cancelled");
        wait(&t, SECOND).await;
        assert_eq!(told_of(open(&t).await), None);
    }

    async fn a_late_delivery_is_told_and_so_is_its_end(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Quiz night", &[&c])).await;
        wait(&t, 720 * SECOND).await;
        assert_eq!((open(&t).await, ready(&t).await), (vec![], StatusCode::OK), "two minutes are no delay");
        wait(&t, 1).await;
        let found = open(&t).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "delivery_late");
        assert!(found[0].1.contains("to alice at mastodon is late: it was due at 2026-11-23 08:10"), "{found:?}");
        assert_eq!(ready(&t).await, StatusCode::SERVICE_UNAVAILABLE);
        wait(&t, 30 * SECOND).await;
        assert_eq!((open(&t).await.len(), told(&t, "alert.raised").await), (1, 1), "told once");
        t.worker.tick().await.unwrap();
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
        wait(&t, 1).await;
        assert_eq!((open(&t).await, told(&t, "alert.cleared").await), (vec![], 1));
        assert_eq!(ready(&t).await, StatusCode::OK);
    }

    async fn what_a_person_wants_so_is_not_late(t: TestApp) {
        let (paused, held) = (t.connect("mastodon").await, t.connect("bluesky").await);
        connecting::pause(&t.app, &t.workspace, &paused).await.unwrap();
        t.schedule(t.draft("Quiz night", &[&paused])).await;
        let post = t.schedule(t.draft("Happy hour", &[&held])).await;
        t.clock.advance(Duration::from_secs(2 * 3600));
        t.worker.tick().await.unwrap();
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Held);
        wait(&t, 0).await;
        assert_eq!((open(&t).await, ready(&t).await), (vec![], StatusCode::OK));
        connecting::resume(&t.app, &t.workspace, &paused).await.unwrap();
        wait(&t, 0).await;
        assert_eq!(open(&t).await.len(), 1, "resumed, it is late");
    }

    /// A network that keeps us waiting is told of, but takes no node out of service.
    async fn a_network_that_keeps_us_waiting_is_not_our_fault(t: TestApp) {
        let c = t.connect("mastodon").await;
        t.sandbox.add_fault(carillon_sandbox::Fault::new("mastodon", Calls::Publish, Trouble::RateLimit).ms(600_000));
        t.schedule(t.draft("Quiz night", &[&c])).await;
        t.pass(Duration::from_secs(601)).await;
        wait(&t, 180 * SECOND).await;
        assert_eq!(open(&t).await.len(), 1);
        assert_eq!(ready(&t).await, StatusCode::OK);
    }

    async fn a_worker_that_is_gone_is_told_everywhere(t: TestApp) {
        let api = Api::of(&t).await;
        wait(&t, 0).await;
        assert!(open(&t).await.is_empty());
        for (ms, missing) in [(60 * SECOND, 0), (1, 1), (30 * SECOND, 1)] {
            t.clock.advance(Duration::from_millis(ms));
            watchdog::look(&t.app).await.unwrap();
            assert_eq!(open(&t).await.len(), missing, "after {ms}");
        }
        assert_eq!(told(&t, "alert.raised").await, 1);
        assert_eq!(ready(&t).await, StatusCode::SERVICE_UNAVAILABLE);
        let (_, answer) = api.call(Method::GET, "/api/v1/alerts?open=true", None).await;
        assert_eq!(answer["items"][0]["kind"], "no_worker", "{answer}");
        assert_eq!(answer["items"][0]["action"], "ask_operator");
        // It concerns the other workspaces as well.
        let stranger = t.stranger().await;
        let theirs = reqwest::Client::new().get(format!("{}/api/v1/alerts?open=true", api.url)).bearer_auth(stranger);
        assert!(theirs.send().await.unwrap().text().await.unwrap().contains("no_worker"));
        wait(&t, 0).await;
        assert_eq!((open(&t).await, told(&t, "alert.cleared").await), (vec![], 1));
        assert_eq!(ready(&t).await, StatusCode::OK);
    }

    /// Any number of processes look, each by itself: one alert, two minutes after the fact at most.
    async fn every_process_looks_and_one_alert_is_raised(t: TestApp) {
        beat(&t).await;
        let news = t.app.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        let dogs: Vec<_> = (0..3).map(|_| tokio::spawn(watchdog::run(t.app.clone()))).collect();
        // They begin to wait before the time passes.
        tokio::task::yield_now().await;
        t.clock.advance(Duration::from_secs(120));
        // One that had not begun by then looks half a minute later.
        let seen = tokio::time::timeout(Duration::from_secs(5), &mut news).await;
        if seen.is_err() {
            t.clock.advance(Duration::from_secs(30));
            tokio::time::timeout(Duration::from_secs(20), news).await.expect("an alert");
        }
        for dog in dogs {
            dog.abort();
        }
        watchdog::look(&t.app).await.unwrap();
        assert_eq!(open(&t).await.len(), 1);
        assert_eq!(told(&t, "alert.raised").await, 1);
    }
}
