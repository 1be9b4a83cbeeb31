//! What holds work back, and that nothing is lost behind it: pauses, circuits, budgets, gaps, the
//! uploads' own pool, and work that the code itself fails on.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon::App;
use carillon::clock::Clock;
use carillon::config::Config;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::when;
use carillon::params;
use carillon::publishing::circuits::{self, CircuitState};
use carillon::publishing::{connecting, pausing};
use carillon::queue::worker::Worker;
use carillon::store::audit::OPERATOR;
use carillon::watch::health;
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::both;
use crate::support::{On, TestApp};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn states(t: &TestApp, post: &str) -> Vec<State> {
    t.post(post).await.deliveries.iter().map(|d| d.state).collect()
}

async fn circuit(t: &TestApp, name: &str) -> CircuitState {
    let all = circuits::list(&t.app, Some(&t.workspace)).await.expect("the circuits");
    all.iter().find(|c| c.name == name).expect("the network has a connection").state
}

async fn alerts(t: &TestApp, kind: &'static str) -> i64 {
    let row = t.app.db.read(move |tx| async move {
        tx.row(
            "SELECT count(*) AS n FROM alert WHERE kind = $1 AND cleared_at IS NULL",
            params![kind],
        )
        .await
    });
    row.await.unwrap_or_else(|e: Error| panic!("{e}")).expect("a count").int("n").unwrap()
}

/// Seven accounts at Bluesky, of which five failed within a minute.
async fn five_failures(t: &TestApp) -> (Vec<String>, String) {
    let mut all = Vec::new();
    for who in ["ann", "ben", "cat", "dan", "eve", "fay", "gus"] {
        all.push(t.connect_as("bluesky", who).await);
    }
    let targets: Vec<&str> = all.iter().map(String::as_str).collect();
    let fault = Fault::new("bluesky", Calls::Publish, Trouble::ServerError).times(5);
    t.sandbox.add_fault(fault);
    let post = t.schedule(t.draft("Quiz at eight", &targets)).await;
    t.pass(10 * MINUTE).await;
    (all, post.id)
}

both! {
    /// Five failures in a minute leave the network alone for five minutes; then one call goes, and
    /// because it is answered, all others.
    async fn a_network_that_fails_is_left_alone_and_tried_by_one(t: TestApp) {
        let (all, post) = five_failures(&t).await;
        assert_eq!(t.visible("bluesky").len(), 2);
        assert_eq!(circuit(&t, "bluesky").await, CircuitState::Open);
        assert_eq!(alerts(&t, "circuit_open").await, 1);
        let platforms = health::platforms(&t.app).await.unwrap().platforms;
        let state = |id: &str| platforms.iter().find(|p| p.network == id).unwrap().breaker.state;
        assert_eq!((state("bluesky"), state("mastodon")), (CircuitState::Open, CircuitState::Closed));

        // Others go; those of the network wait, also after a restart.
        let other = t.connect("mastodon").await;
        let next = t.draft("Curry night", &[&all[5], &all[6], &other]);
        let next = t.schedule(carillon::publishing::schedule::Draft { scheduled_at: None, ..next }).await;
        t.pass(MINUTE).await;
        assert_eq!(states(&t, &next.id).await, [State::Queued, State::Queued, State::Published]);
        let again = Config::read(|name| t.settings.get(name).cloned()).unwrap();
        let again = App::open(again, t.clock.clone()).await.unwrap();
        assert_eq!(Worker::new(again).tick().await.unwrap(), 0, "nothing goes through another process");

        t.pass(5 * MINUTE).await;
        assert_eq!(circuit(&t, "bluesky").await, CircuitState::Closed);
        assert_eq!(alerts(&t, "circuit_open").await, 0);
        t.pass(HOUR).await;
        assert!(states(&t, &post).await.iter().all(|s| *s == State::Published));
        assert!(states(&t, &next.id).await.iter().all(|s| *s == State::Published));
        assert_eq!(t.visible("bluesky").len(), 9, "each once");
    }

    /// While the network is down each probe costs one call, not one a connection.
    async fn a_failing_probe_opens_it_anew(t: TestApp) {
        let (_, post) = five_failures(&t).await;
        t.sandbox.add_fault(Fault::new("bluesky", Calls::Any, Trouble::ServerError).times(1));
        t.pass(5 * MINUTE + Duration::from_secs(5)).await;
        assert_eq!(circuit(&t, "bluesky").await, CircuitState::Open, "the probe failed");
        t.pass(HOUR).await;
        assert_eq!(circuit(&t, "bluesky").await, CircuitState::Closed);
        assert!(states(&t, &post).await.iter().all(|s| *s == State::Published));
        assert_eq!(t.visible("bluesky").len(), 7);
    }

    async fn a_circuit_is_reset_by_hand(t: TestApp) {
        let (_, post) = five_failures(&t).await;
        let reset = circuits::reset(&t.app, Some(&t.workspace), "bluesky", "key:1").await.unwrap();
        assert_eq!(reset.state, CircuitState::Closed);
        t.pass(2 * MINUTE).await;
        assert!(states(&t, &post).await.iter().all(|s| *s == State::Published));
        let none = circuits::reset(&t.app, Some(&t.workspace), "telegram", "key:1").await;
        assert_eq!(none.expect_err("no connection of this workspace is behind it").code, "not_found");
        let deeds = t.app.db.read(|tx| async move {
            tx.rows("SELECT * FROM audit WHERE action = 'circuit.reset'", params![]).await
        });
        assert_eq!(deeds.await.unwrap_or_else(|e: Error| panic!("{e}")).len(), 1);
    }

    async fn a_pause_holds_what_it_covers_and_loses_nothing(t: TestApp) {
        let (a, b) = (t.connect("bluesky").await, t.connect("mastodon").await);
        let ws = Some(t.workspace.as_str());
        pausing::pause(&t.app, ws, "network:bluesky", "a crisis", "account:1").await.unwrap();
        // One that is connected meanwhile is covered, too.
        let c = t.connect_as("bluesky", "bob").await;
        let post = t.schedule(t.draft("Happy hour", &[&a, &b, &c])).await;
        t.pass(11 * MINUTE).await;
        assert_eq!(states(&t, &post.id).await, [State::Queued, State::Published, State::Queued]);

        pausing::pause(&t.app, None, "all", "maintenance", OPERATOR).await.unwrap();
        pausing::resume(&t.app, ws, "network:bluesky", "account:1").await.unwrap();
        let other = t.schedule(t.draft("Happy hour goes on", &[&b])).await;
        t.pass(11 * MINUTE).await;
        assert_eq!(states(&t, &post.id).await[0], State::Queued, "all is paused");
        assert_eq!(states(&t, &other.id).await, [State::Queued]);
        let wide = pausing::resume(&t.app, ws, "all", "account:1").await;
        assert_eq!(wide.expect_err("only its operator lifts it").code, "wide_pause");
        let seen = pausing::list(&t.app, ws).await.unwrap();
        assert_eq!(seen.iter().map(|p| (p.scope.as_str(), p.wide)).collect::<Vec<_>>(), [("all", true)]);

        pausing::resume(&t.app, None, "all", OPERATOR).await.unwrap();
        t.pass(2 * MINUTE).await;
        assert!(states(&t, &post.id).await.iter().all(|s| *s == State::Published));
        assert_eq!(states(&t, &other.id).await, [State::Published]);
        assert_eq!((t.visible("bluesky").len(), t.visible("mastodon").len()), (2, 2));
    }

    async fn a_paused_queue_stops_its_own_kind_only(t: TestApp) {
        pausing::pause(&t.app, None, "queue:media", "", OPERATOR).await.unwrap();
        let c = t.connect("bluesky").await;
        let picture = t.upload().await;
        let mut draft = t.draft("The harbour", &[&c]);
        draft.media = vec![picture];
        let (with, without) = (t.schedule(draft).await, t.schedule(t.draft("No picture", &[&c])).await);
        t.pass(12 * MINUTE).await;
        assert_eq!(states(&t, &without.id).await, [State::Published]);
        assert_eq!(states(&t, &with.id).await, [State::Queued], "its picture waits");
        pausing::resume(&t.app, None, "queue:media", OPERATOR).await.unwrap();
        t.pass(MINUTE).await;
        assert_eq!(states(&t, &with.id).await, [State::Published]);
    }

    async fn a_scope_that_is_none_is_refused(t: TestApp) {
        for scope in ["", "everything", "network:orkut", "queue:housekeeping", "queue:", "lane:1"] {
            let refused = pausing::pause(&t.app, None, scope, "", OPERATOR).await;
            assert_eq!(refused.expect_err(scope).problems[0].code, "unknown_scope");
        }
        let none = pausing::resume(&t.app, None, "all", OPERATOR).await;
        assert_eq!(none.expect_err("nothing is paused").code, "not_found");
    }

    /// They were written in another order than they are due in.
    async fn late_posts_of_one_account_keep_their_order(t: TestApp) {
        let c = t.connect("mastodon").await;
        for minute in (10..16).rev() {
            let at = Some(when::iso(t.clock.now() + minute * 60_000));
            let draft = t.draft(&format!("due at {minute}"), &[&c]);
            t.schedule(carillon::publishing::schedule::Draft { scheduled_at: at, ..draft }).await;
        }
        t.clock.advance(30 * MINUTE);
        t.pass(10 * MINUTE).await;
        let texts: Vec<String> = t.visible("mastodon").into_iter().map(|p| p.text).collect();
        let minutes: Vec<&str> = texts.iter().filter_map(|t| t.split("due at ").nth(1)?.get(..2)).collect();
        assert_eq!(minutes, ["10", "11", "12", "13", "14", "15"], "{texts:?}");
    }

    /// So do those that wait together for a new day's budget.
    async fn posts_behind_a_spent_budget_keep_their_order(t: TestApp) {
        let c = t.connect("mastodon").await;
        let (id, until) = (c.clone(), t.clock.now() + 40 * 60_000);
        t.app.db.write(move |tx| async move {
            carillon::store::connections::spent(&tx, &id, until, "feed").await
        }).await.unwrap_or_else(|e: Error| panic!("{e}"));
        for minute in (10..16).rev() {
            let at = Some(when::iso(t.clock.now() + minute * 60_000));
            let draft = t.draft(&format!("due at {minute}"), &[&c]);
            t.schedule(carillon::publishing::schedule::Draft { scheduled_at: at, ..draft }).await;
        }
        let refused = async || {
            let c = connecting::find(&t.app, &t.workspace, &c).await.expect("the connection");
            c.refused_until
        };
        assert_eq!(refused().await, Some(when::iso(until)));
        t.pass(HOUR).await;
        assert_eq!(refused().await, None);
        let texts: Vec<String> = t.visible("mastodon").into_iter().map(|p| p.text).collect();
        let minutes: Vec<&str> = texts.iter().filter_map(|t| t.split("due at ").nth(1)?.get(..2)).collect();
        assert_eq!(minutes, ["10", "11", "12", "13", "14", "15"], "{texts:?}");
    }

    /// A budget that comes back within the minute makes its lane wait, not each job in it by itself.
    async fn a_burst_behind_a_budget_goes_in_order_and_without_a_stir(t: TestApp) {
        let c = t.connect("telegram").await;
        for second in (10..40).rev() {
            let at = Some(when::iso(t.clock.now() + 600_000 + second * 100));
            let draft = t.draft(&format!("due at {second}"), &[&c]);
            t.schedule(carillon::publishing::schedule::Draft { scheduled_at: at, ..draft }).await;
        }
        t.pass(15 * MINUTE).await;
        let texts: Vec<String> = t.visible("telegram").into_iter().map(|p| p.text).collect();
        let due: Vec<String> = (10..40).map(|second| format!("due at {second}")).collect();
        assert_eq!(texts, due);
        let lines = t.app.db.read(|tx| async move {
            tx.row("SELECT count(*) AS n FROM attempt", params![]).await
        });
        let lines = lines.await.unwrap_or_else(|e: Error| panic!("{e}")).expect("a row");
        assert!(lines.int("n").unwrap() <= 60, "{lines:?}: a line of each that went, one of each that waited");
    }

    /// The code fails on a delivery again and again: it is held with its reason, not forgotten.
    async fn what_cannot_be_worked_on_is_held(t: TestApp) {
        let c = t.connect("bluesky").await;
        let post = t.schedule(t.draft("Stuck", &[&c])).await;
        let id = post.deliveries[0].id.clone();
        // As if a newer version had written it.
        t.app.db.write(move |tx| async move {
            tx.execute("UPDATE delivery SET placement = 'hologram' WHERE id = $1", params![id]).await
        }).await.unwrap_or_else(|e: Error| panic!("{e}"));
        t.pass(HOUR).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!(d.state, State::Held, "{d:?}");
        let problem = d.problem.as_ref().unwrap();
        assert_eq!((problem.class.as_str(), problem.action.as_str()), ("internal", "retry"));
    }
}

async fn with(on: On, more: &[(&str, &str)]) -> TestApp {
    TestApp::with(on, more).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_not_overspent_on_sqlite() {
    budget(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_not_overspent_on_postgres() {
    budget(On::Postgres).await;
}

/// Two posts a day for each account, three for all together; the fourth waits for midnight UTC.
async fn budget(on: On) {
    let t = with(
        on,
        &[("CARILLON_BUDGETS", "facebook=2/1d,app.facebook=3/1d"), ("CARILLON_LATE_AFTER", "1d")],
    )
    .await;
    let (a, b) = (t.connect_as("facebook", "ann").await, t.connect_as("facebook", "ben").await);
    for text in ["one", "two", "three"] {
        t.schedule(t.draft(text, &[&a, &b])).await;
    }
    let left = async |id: &str| {
        let c = connecting::find(&t.app, &t.workspace, id).await.expect("the connection");
        let each = c.budgets.iter().map(|b| (b.posts, b.left, b.more_at.is_some(), b.shared));
        each.collect::<Vec<_>>()
    };
    assert_eq!(left(&a).await, [(2, 2, false, false), (3, 3, false, true)]);
    t.pass(2 * HOUR).await;
    assert_eq!(t.visible("facebook").len(), 3);
    let (of_a, of_b) = (left(&a).await, left(&b).await);
    assert_eq!(
        (of_a[0].1 + of_b[0].1, of_a[1], of_b[1]),
        (1, (3, 0, true, true), (3, 0, true, true))
    );
    t.pass(Duration::from_secs(14 * 3600 - 60)).await;
    assert_eq!(t.visible("facebook").len(), 3, "it is still the same day");
    t.pass(10 * MINUTE).await;
    assert_eq!(t.visible("facebook").len(), 6);
    t.pass(24 * HOUR).await;
    assert_eq!(t.visible("facebook").len(), 6, "and all of them went");
}

/// When its turn comes would be too late for it: a person decides, today and not tomorrow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_spent_budget_makes_too_late_is_held_at_once() {
    let t = with(On::Sqlite, &[("CARILLON_BUDGETS", "facebook=1/1d")]).await;
    let c = t.connect("facebook").await;
    t.schedule(t.draft("one", &[&c])).await;
    t.clock.advance(MINUTE);
    let two = t.schedule(t.draft("two", &[&c])).await;
    t.pass(12 * MINUTE).await;
    let d = &t.post(&two.id).await.deliveries[0];
    let problem = d.problem.as_ref().expect("a reason");
    assert_eq!(
        (d.state, problem.class.as_str(), problem.action.as_str()),
        (State::Held, "quota", "decide")
    );
    assert!(d.question.is_none() && d.can.contains(&"retry".to_owned()), "{d:?}");
}

/// A budget that cannot be read lets nothing through; mended, the work goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_budget_lets_nothing_through() {
    let t = with(On::Sqlite, &[("CARILLON_BUDGETS", "facebook=20/1d")]).await;
    let c = t.connect("facebook").await;
    let name = c.clone();
    t.app
        .db
        .write(move |tx| async move {
            tx.execute("INSERT INTO budget (name, spent) VALUES ($1, 'gone')", params![name]).await
        })
        .await
        .unwrap_or_else(|e: Error| panic!("{e}"));
    let post = t.schedule(t.draft("Waits", &[&c])).await;
    t.pass(11 * MINUTE).await;
    assert_eq!(t.visible("facebook").len(), 0);
    let d = &t.post(&post.id).await.deliveries[0];
    assert_eq!(d.state, State::Queued, "{d:?}");
    let shown = connecting::find(&t.app, &t.workspace, &c).await.expect("shown all the same");
    assert_eq!((shown.budgets[0].left, &shown.budgets[0].more_at), (0, &None));
    t.app
        .db
        .write(|tx| async move { tx.execute("UPDATE budget SET spent = '[]'", params![]).await })
        .await
        .unwrap_or_else(|e: Error| panic!("{e}"));
    t.pass(30 * MINUTE).await;
    assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
    assert_eq!(t.visible("facebook").len(), 1);
}

/// What is late after an outage goes out with gaps, not at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_posts_of_one_account_keep_a_gap() {
    let t = with(On::Sqlite, &[("CARILLON_LATE_GAP", "30s")]).await;
    let (a, b) = (t.connect("bluesky").await, t.connect("mastodon").await);
    for i in 0..4 {
        t.schedule(t.draft(&format!("number {i}"), &[&a, &b])).await;
    }
    t.clock.advance(20 * MINUTE);
    t.worker.tick().await.unwrap();
    assert_eq!((t.visible("bluesky").len(), t.visible("mastodon").len()), (1, 1));
    t.pass(Duration::from_secs(31)).await;
    assert_eq!((t.visible("bluesky").len(), t.visible("mastodon").len()), (2, 2));
    t.pass(2 * MINUTE).await;
    assert_eq!((t.visible("bluesky").len(), t.visible("mastodon").len()), (4, 4));
}

/// More uploads under way than a worker has slots for them, each as slow as a large file, leave
/// 200 texts of other accounts within five seconds of their time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_uploads_do_not_delay_what_only_sends() {
    let slots = [
        ("CARILLON_UPLOAD_ASIDE", "1KB"),
        ("CARILLON_UPLOAD_SLOTS", "4"),
        ("CARILLON_SEND_SLOTS", "8"),
        ("CARILLON_NETWORK_TIMEOUT", "40s"),
    ];
    let t = TestApp::on_clock(On::Sqlite, Clock::system(), &slots).await;
    let (mut uploads, mut texts) = (Vec::new(), Vec::new());
    for i in 0..12 {
        uploads.push(t.connect_as("bluesky", &format!("film{i}")).await);
        texts.push(t.connect_as("mastodon", &format!("text{i}")).await);
    }
    let slow = Fault::new("bluesky", Calls::Prepare, Trouble::Slow).times(1000).ms(30_000);
    t.sandbox.add_fault(slow);
    let picture = t.upload().await;
    let films: Vec<&str> = uploads.iter().map(String::as_str).collect();
    let mut film = t.draft("The whole film", &films);
    (film.media, film.scheduled_at) = (vec![picture], None);
    t.schedule(film).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = t.worker.clone();
    let running = tokio::spawn(async move { worker.run(async { drop(stopped.await) }).await });
    let mut due = BTreeMap::new();
    for i in 0..200 {
        let mut text = t.draft(&format!("text {i}."), &[&texts[i % texts.len()]]);
        text.scheduled_at = None;
        let d = t.schedule(text).await.deliveries.remove(0);
        due.insert(format!("text {i}."), instant(&d.scheduled_at.expect("its time")));
    }
    let begun = t.clock.mono();
    while t.visible("mastodon").len() < 200 {
        assert!(t.clock.mono() - begun < 25_000, "{}", t.visible("mastodon").len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for post in t.visible("mastodon") {
        let (_, due) = due.iter().find(|(text, _)| post.text.contains(*text)).expect("one of ours");
        let late = instant(&post.created_at) - due;
        assert!(late < 5_000, "{} was {late} ms late", post.text);
    }
    assert_eq!(t.visible("bluesky").len(), 0, "the uploads are still under way");
    stop.send(()).expect("the worker listens");
    running.abort();
}

fn instant(text: &str) -> i64 {
    when::parse(text, "UTC").expect("an instant")
}
