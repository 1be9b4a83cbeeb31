//! kill -9 of the shipped binary at random moments, and two workers on one PostgreSQL: the sandbox
//! is a process of its own, so its ledger outlives everything.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use carillon::clock::Clock;
use carillon::domain::delivery::DeliveryState as State;
use carillon::publishing::view::{self, DeliveryView};
use carillon_networks::SendClass;
use carillon_sandbox::{Calls, Fault, Trouble};
use serde_json::Value;

use crate::support::process::{self, Process};
use crate::support::{On, TestApp, postgres_schema, to};

/// How many a round, on deliveries of its own: after as many nearly all are out, and more of them
/// would only use up the tries of the last few. CARILLON_KILLS says how many in all.
const KILLS: usize = 200;
const NETWORKS: [&str; 6] =
    ["facebook", "instagram", "bluesky", "mastodon", "wordpress", "telegram"];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_by_200_kills_on_sqlite() {
    kills(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_by_200_kills_on_postgres() {
    kills(On::Postgres).await;
}

/// Times small enough for a test; the order of things stays.
fn hasty(sandbox: &str) -> Vec<(&'static str, String)> {
    vec![
        ("CARILLON_SANDBOX", sandbox.to_owned()),
        // What the networks allow an account is less than what this test sends.
        ("CARILLON_BUDGETS", "telegram=none,instagram=none".into()),
        ("CARILLON_LATE_GAP", "0s".into()),
        ("CARILLON_VERIFY_AFTER", "300ms,1s,3s,10s,61s,90s".into()),
        ("CARILLON_RETRIES", "100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms".into()),
        ("CARILLON_STORY_RETRIES", "100ms,100ms,100ms,100ms".into()),
        ("CARILLON_LEASE", "2s".into()),
        ("CARILLON_HEARTBEAT", "500ms".into()),
        ("CARILLON_NETWORK_TIMEOUT", "1s".into()),
        ("CARILLON_SWEEP_EVERY", "500ms".into()),
        ("CARILLON_POLL", "200ms".into()),
    ]
}

async fn kills(on: On) {
    let all = std::env::var("CARILLON_KILLS").map_or(KILLS, |n| n.parse().expect("a number"));
    for round in 0..all.div_ceil(KILLS) {
        let seed = 0x5eed + u64::from(on == On::Postgres) + 2 * round as u64;
        killed(on, KILLS.min(all - round * KILLS), seed).await;
    }
}

async fn killed(on: On, kills: usize, seed: u64) {
    let (_sandbox, sandbox) = process::sandbox(30);
    let port = process::free_port();
    let mut more = hasty(&sandbox);
    more.push(("CARILLON_LISTEN", format!("127.0.0.1:{port}")));
    more.push(("CARILLON_PUBLIC_URL", format!("http://127.0.0.1:{port}")));
    let more: Vec<(&str, &str)> = more.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let t = TestApp::with_sandbox_of(on, &sandbox, &more).await;
    let picture = t.upload().await;

    let mut connections = Vec::new();
    for network in NETWORKS {
        for account in ["ann", "ben"] {
            connections.push(t.connect_as(network, &format!("{account}-{network}")).await);
        }
    }
    let targets: Vec<&str> = connections.iter().map(String::as_str).collect();
    // Instagram takes 100 a day from one account.
    let posts = 90;
    for i in 0..posts {
        let mut draft = t.draft(&format!("message number {i:04}"), &targets);
        (draft.media, draft.scheduled_at) = (vec![picture.clone()], None);
        t.schedule(draft).await;
    }

    let mut random = seed;
    let begun = t.clock.mono();
    for _ in 0..kills {
        let (server, _) = Process::start(&["serve"], &t.settings, "listening on ");
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // A moment is awaited on purpose: when the process dies is the input of this test.
        tokio::time::sleep(Duration::from_millis(10 + (random >> 33) % 240)).await;
        server.kill();
    }
    let killing = (t.clock.mono() - begun) / 1000;
    let (server, _) = Process::start(&["serve"], &t.settings, "listening on ");
    let all = until_quiet(&t, Duration::from_secs(150)).await;
    server.kill();

    let seen = visible(&sandbox).await;
    let (mut published, mut held, mut lost, mut doubled, mut wrong) = (0, 0, 0, 0, Vec::new());
    for (text, d) in &all {
        let account = d.connection_name.split(' ').next().unwrap_or_default().to_owned();
        let n = seen.get(&(d.network.clone(), account, text.clone())).copied().unwrap_or(0);
        let placement =
            carillon_networks::find(&d.network).unwrap().spec().placement(&d.placement).unwrap();
        let blind = placement.send == SendClass::Blind;
        match (d.state, n) {
            (_, 2..) => doubled += 1,
            (State::Published, 1) => published += 1,
            (State::Held, 0 | 1) if blind => held += 1,
            (_, 0) => lost += 1,
            (state, 1) => wrong.push(format!("{} is {state} and visible", d.network)),
        }
        if n != 1 && !(blind && d.state == State::Held) || d.state != State::Published && !blind {
            wrong.push(format!("{} {} {text}: {} visible, {:?}", d.network, d.id, n, d));
        }
    }
    // Past the test runner's capture: the count is to be seen when all is well, too.
    say(&format!(
        "{on:?}: {kills} kills in {killing} s (seed {seed:#x}), {} deliveries: {published} published once, {held} held (telegram), {lost} lost, {doubled} doubled",
        all.len()
    ));
    let some = wrong[..wrong.len().min(5)].join("\n");
    assert!(wrong.is_empty() && lost == 0 && doubled == 0, "{} wrong:\n{some}", wrong.len());
    assert_eq!(all.len(), posts * connections.len());
}

fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr takes a line");
}

/// Waits until every delivery has come to rest; each with its post's text.
async fn until_quiet(t: &TestApp, most: Duration) -> Vec<(String, DeliveryView)> {
    let end = t.clock.mono() + most.as_millis() as i64;
    loop {
        let query = view::Query { from: Some(0), limit: 1000, ..view::Query::default() };
        let page = view::list(&t.app, &t.workspace, query).await.expect("the posts");
        let all: Vec<(String, DeliveryView)> = page
            .items
            .into_iter()
            .flat_map(|p| p.deliveries.into_iter().map(move |d| (p.text.clone(), d)))
            .collect();
        if all.iter().all(|(_, d)| !d.state.active()) || t.clock.mono() > end {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How many visible posts there are of each text, by network and account.
async fn visible(sandbox: &str) -> BTreeMap<(String, String, String), usize> {
    let mut counted = BTreeMap::new();
    for network in NETWORKS {
        let body = reqwest::get(format!("{sandbox}/_ledger/{network}"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let ledger: Value = serde_json::from_slice(&body).unwrap();
        for post in ledger["posts"].as_array().unwrap() {
            if !post["deleted_at"].is_null() {
                continue;
            }
            let text = post["text"].as_str().unwrap();
            let at = text.find("message number ").expect("a text of ours");
            let key = (
                network.to_owned(),
                post["account"].as_str().unwrap().to_owned(),
                text[at..at + 19].to_owned(),
            );
            *counted.entry(key).or_insert(0) += 1;
        }
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_one_postgres_and_no_lane() {
    let (_sandbox, sandbox) = process::sandbox(5);
    let url = postgres_schema().await;
    let mut more = hasty(&sandbox);
    more.push(("CARILLON_DATABASE", url.clone()));
    more.push(("CARILLON_LEASE", "20s".into()));
    let more: Vec<(&str, &str)> = more.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let t = TestApp::with_sandbox_of(On::Postgres, &sandbox, &more).await;
    let mut connections = Vec::new();
    for i in 0..40 {
        connections.push(t.connect_as("mastodon", &format!("node{i}")).await);
    }
    for i in 0..50 {
        let mut draft = t.draft(&format!("message number {i:04}"), &[]);
        draft.deliveries = connections.iter().map(|c| to(c)).collect();
        draft.scheduled_at = None;
        t.schedule(draft).await;
    }
    let (one, _) = Process::start(&["worker"], &t.settings, "working");
    let (two, _) = Process::start(&["worker"], &t.settings, "working");
    let all = until_quiet(&t, Duration::from_secs(120)).await;
    one.kill();
    two.kill();
    assert_eq!(all.len(), 2000);
    assert!(all.iter().all(|(_, d)| d.state == State::Published));
    let seen = visible(&sandbox).await;
    assert_eq!((seen.len(), seen.values().sum::<usize>()), (2000, 2000), "each is visible once");

    // No two sends of one lane overlap, and both nodes worked.
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let overlaps: i64 = client
        .query_one(
            "SELECT count(*) FROM attempt a JOIN delivery da ON da.id = a.delivery_id \
             JOIN delivery db ON db.connection_id = da.connection_id AND db.id <> da.id \
             JOIN attempt b ON b.delivery_id = db.id AND b.step = 'publish' \
             WHERE a.step = 'publish' AND b.started_at < a.finished_at AND b.started_at > a.started_at",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(overlaps, 0);
    let owners = client
        .query(
            "SELECT lease_owner, count(*) FROM job WHERE kind = 'deliver' GROUP BY 1 ORDER BY 2",
            &[],
        )
        .await
        .unwrap();
    let shares: Vec<i64> = owners.iter().map(|r| r.get(1)).collect();
    say(&format!("2,000 deliveries by two workers: {shares:?}"));
    assert_eq!(shares.len(), 2, "{shares:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_frees_its_own_leases_at_once_on_sqlite() {
    restart(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_frees_its_own_leases_at_once_on_postgres() {
    restart(On::Postgres).await;
}

/// A worker dies in the middle of a send. The next one on its seat knows that the lease is a dead
/// one's: what is in doubt is so within a second, not after the lease.
async fn restart(on: On) {
    let t = TestApp::on_clock(on, Clock::system(), &[("CARILLON_NETWORK_TIMEOUT", "50s")]).await;
    let c = t.connect("mastodon").await;
    t.sandbox.add_fault(Fault::new("mastodon", Calls::Publish, Trouble::Slow).ms(60_000));
    let mut draft = t.draft("In the middle", &[&c]);
    draft.scheduled_at = None;
    let id = t.schedule(draft).await.deliveries[0].id.clone();
    let (server, _) = Process::start(&["serve"], &t.settings, "listening on ");
    until(&t, &id, State::Sending).await;
    server.kill();
    let (server, _) = Process::start(&["serve"], &t.settings, "listening on ");
    let begun = t.clock.mono();
    until(&t, &id, State::Unknown).await;
    let took = t.clock.mono() - begun;
    server.kill();
    say(&format!("{on:?}: what was being sent is in doubt {took} ms after the restart"));
    assert!(took < 1_000, "{took} ms");
}

async fn until(t: &TestApp, delivery: &str, state: State) {
    let end = t.clock.mono() + 20_000;
    while t.delivery(delivery).await.state != state {
        assert!(t.clock.mono() < end, "it never is {state}: {:?}", t.delivery(delivery).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
