//! Clocks that are set, and machines that sleep, at the worst moment: between intent and send.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon::clock::Clock;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::job::Pool;
use carillon::domain::when;
use carillon::params;
use carillon::queue::cron;
use carillon::store::queue;
use carillon_sandbox::{Calls, Fault, Options, Sandbox, Trouble};

use crate::both;
use crate::support::{On, START, TestApp};

const HOUR: i64 = 3_600_000;

/// Sets `t`'s clocks off by `(wall, steady)` ms from the commit of the first intent on: whoever reads
/// them first after it is in the file. Tells whether that has been.
fn at_the_intent(t: &TestApp, by: (i64, i64)) -> Arc<AtomicBool> {
    let file = t.app.db.file().expect("a SQLite file").to_owned();
    let look = rusqlite::Connection::open(file).expect("a second look at the file");
    let (look, done) = (Mutex::new(look), Arc::new(AtomicBool::new(false)));
    let jumped = done.clone();
    t.clock.distort(move || {
        if !jumped.load(Ordering::SeqCst) {
            let sql = "SELECT count(*) FROM delivery WHERE state = 'sending'";
            let intents: i64 = look.lock().unwrap().query_row(sql, [], |r| r.get(0)).unwrap();
            jumped.store(intents > 0, Ordering::SeqCst);
        }
        if jumped.load(Ordering::SeqCst) { by } else { (0, 0) }
    });
    done
}

/// One delivery over a jump; `sent_at_once` says whether the lease outlasts it.
async fn over(network: &str, by: (i64, i64), sent_at_once: bool) {
    let t = TestApp::new(On::Sqlite).await;
    let c = t.connect(network).await;
    let post = t.schedule(t.draft("Set clocks", &[&c])).await;
    t.clock.advance(Duration::from_secs(600));
    let id = post.deliveries[0].id.clone();
    let jumped = at_the_intent(&t, by);
    let now = t.clock.now();
    let claim = t
        .app
        .db
        .write(move |tx| async move {
            let pool = carillon::domain::job::Pool::Send;
            carillon::store::queue::claim(&tx, pool, 1, "us", now, now + 60_000).await
        })
        .await
        .unwrap()
        .remove(0);
    Box::pin(carillon::publishing::deliver::deliver(&t.app, &claim)).await.unwrap();
    assert!(jumped.load(Ordering::SeqCst), "the clocks were set after the intent");
    let (d, seen) = (t.delivery(&id).await, t.visible(network).len());
    if sent_at_once {
        assert_eq!((d.state, seen), (State::Published, 1), "{network} {:?}", by);
        return;
    }
    assert_eq!((d.state, seen), (State::Queued, 0), "{network} {:?}", by);
    let journal = t.journal(&id).await;
    assert_eq!(journal.last().unwrap().outcome.as_deref(), Some("not_sent"), "{journal:#?}");
    // It is still an hour off, and goes out all the same: once.
    t.pass(Duration::from_secs(2 * 3600)).await;
    let d = t.delivery(&id).await;
    assert_eq!(d.state, State::Published, "{network} {:?}: {:#?}", by, t.journal(&id).await);
    assert_eq!(t.visible(network).len(), 1, "{network} {:?}", by);
}

/// The lease is 60 s and a call may take 20 s: 41 s after the intent nothing may be sent.
#[tokio::test]
async fn a_clock_set_back_between_intent_and_send_sends_nothing() {
    for network in ["mastodon", "telegram", "bluesky"] {
        // 41 s went by, and the wall clock was set back an hour in them.
        over(network, (-HOUR + 41_000, 41_000), false).await;
        // Set back by just as much as went by.
        over(network, (0, 41_000), false).await;
    }
}

#[tokio::test]
async fn a_machine_that_slept_between_intent_and_send_sends_nothing() {
    for network in ["mastodon", "telegram"] {
        over(network, (41_000, 0), false).await;
        over(network, (HOUR / 2, 0), false).await;
    }
}

/// Neither too careful: while the lease outlasts the call, it is sent.
#[tokio::test]
async fn a_small_jump_stops_nothing() {
    for by in [(-HOUR, 0), (0, 39_000), (39_000, 39_000), (0, -HOUR)] {
        over("mastodon", by, true).await;
    }
}

/// An hour forward while a call is under way: its lease is over at once, somebody looks, and the
/// late answer changes nothing. An hour back: what was due later is due later.
#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_is_set_under_a_running_worker_doubles_nothing() {
    for by in [HOUR, -HOUR] {
        for network in ["mastodon", "facebook", "bluesky"] {
            let t = TestApp::new(On::Sqlite).await;
            let c = t.connect(network).await;
            let slow = Fault::new(network, Calls::Publish, Trouble::Slow).ms(400);
            t.sandbox.add_fault(slow);
            let post = t.schedule(t.draft("Slow and steady", &[&c])).await;
            let id = post.deliveries[0].id.clone();
            t.clock.advance(Duration::from_secs(600));
            let worker = t.worker.clone();
            let working = tokio::spawn(async move { worker.tick().await });
            // At the network, whose own clock says when it came.
            while t.sandbox.faults_left() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            t.clock.jump(by);
            carillon::publishing::sweep::sweep(&t.app, false).await.unwrap();
            t.worker.tick().await.unwrap();
            working.await.unwrap().unwrap();
            t.pass(Duration::from_secs(2 * 3600)).await;
            let d = t.delivery(&id).await;
            let journal = t.journal(&id).await;
            assert_eq!(d.state, State::Published, "{network} {by}: {journal:#?}");
            assert_eq!(t.visible(network).len(), 1, "{network} {by}: {journal:#?}");
            assert_eq!(d.remote_id.as_deref(), Some(t.visible(network)[0].id.as_str()));
        }
    }
}

/// A network is listed by its own clock. Where ours is minutes away from it, a post whose answer was
/// lost is found all the same, and not sent again.
#[tokio::test]
async fn a_clock_that_is_not_the_networks_doubles_nothing() {
    for network in ["facebook", "mastodon", "bluesky", "wordpress"] {
        for off in [-HOUR, -2 * MINUTE, 10 * MINUTE, HOUR] {
            let clock = Clock::manual(START);
            let theirs = clock.clone();
            let now = Arc::new(move || theirs.now() + off);
            let options = Options { now, ..Options::default() };
            let sandbox = Sandbox::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
            let url = sandbox.url();
            let mut t = TestApp::on_clock(On::Sqlite, clock, &[("CARILLON_SANDBOX", &url)]).await;
            t.sandbox_url = url;
            let c = t.connect(network).await;
            let id = due(&t, "By whose clock?", &c, START + 10 * MINUTE).await;
            sandbox.add_fault(Fault::new(network, Calls::Publish, Trouble::ResetAfterAccept));
            t.pass(Duration::from_secs(3 * 3600)).await;
            let journal = t.journal(&id).await;
            assert_eq!(sandbox.ledger(network).len(), 1, "{network} {off} ms: {journal:#?}");
            assert_eq!(t.delivery(&id).await.state, State::Published, "{network} {off} ms");
        }
    }
}

/// A server's life: its clockwork ticks every ten seconds, and what is due is worked on.
async fn live(t: &TestApp, time: Duration) {
    for _ in 0..time.as_secs() / 10 {
        t.clock.advance(Duration::from_secs(10));
        cron::tick(&t.app).await.expect("slots");
        t.worker.tick().await.expect("a tick");
    }
}

/// A post to this connection, due at this time; its delivery.
async fn due(t: &TestApp, text: &str, connection: &str, at: i64) -> String {
    let mut draft = t.draft(text, &[connection]);
    draft.scheduled_at = Some(when::iso(at));
    t.schedule(draft).await.deliveries[0].id.clone()
}

/// How many jobs of the clockwork there are of each kind, in this state.
async fn slots(t: &TestApp, state: &'static str) -> Vec<(String, i64)> {
    let read = t.app.db.read(move |tx| async move {
        let sql = "SELECT kind, count(*) AS n FROM job WHERE lane LIKE 'cron:%' AND state = $1 GROUP BY kind ORDER BY kind";
        let rows = tx.rows(sql, params![state]).await?;
        rows.iter().map(|r| Ok((r.text("kind")?, r.int("n")?))).collect::<Result<Vec<_>, Error>>()
    });
    read.await.expect("the jobs")
}

const MINUTE: i64 = 60_000;

both! {
    /// An hour and a minute forward: the slots in between come once and not 366 times, what is too
    /// late is held, and the rest keeps its gaps.
    async fn a_clock_set_forward_bursts_nothing(t: TestApp) {
        let c = t.connect("mastodon").await;
        let held = due(&t, "An hour late", &c, START + MINUTE / 2).await;
        let mut late = Vec::new();
        for minute in [5, 30, 31, 32] {
            late.push(due(&t, &format!("Due at {minute}"), &c, START + minute * MINUTE).await);
        }
        let later = due(&t, "Not yet", &c, START + 80 * MINUTE).await;
        cron::tick(&t.app).await.unwrap();
        t.worker.tick().await.unwrap();
        let before = slots(&t, "done").await;

        t.clock.jump(61 * MINUTE);
        cron::tick(&t.app).await.unwrap();
        cron::tick(&t.app).await.unwrap();
        let kinds = ["feeds", "media_net", "preflight", "prune", "sweep", "tokens"];
        let once: Vec<_> = kinds.iter().map(|k| ((*k).to_owned(), 1)).collect();
        assert_eq!(slots(&t, "ready").await, once);
        live(&t, Duration::from_secs(10)).await;
        assert_eq!(t.visible("mastodon").len(), 1, "one of them, then a gap");
        live(&t, Duration::from_secs(600)).await;
        assert_eq!(t.delivery(&held).await.state, State::Held);
        let mut times = Vec::new();
        for id in &late {
            let d = t.delivery(id).await;
            assert_eq!(d.state, State::Published, "{:#?}", t.journal(id).await);
            times.push(when::parse(&d.published_at.unwrap(), "UTC").unwrap());
        }
        assert!(times.windows(2).all(|w| w[1] - w[0] >= 30_000), "no burst: {times:?}");
        assert_eq!(t.delivery(&later).await.state, State::Queued);
        live(&t, Duration::from_secs(600)).await;
        assert_eq!(t.delivery(&later).await.state, State::Published);
        assert_eq!(t.visible("mastodon").len(), late.len() + 1);
        assert!(slots(&t, "done").await.iter().all(|(k, n)| before.iter().any(|(b, m)| b == k && n > m) || ["materialise", "prune"].contains(&k.as_str())));
    }

    /// An hour back: what is out stays out and goes out no second time, the clockwork goes on within
    /// its periods, and neither a budget nor a dead worker's lease holds anything for that hour.
    async fn a_clock_set_back_doubles_nothing_and_stops_nothing(t: TestApp) {
        let (c, other) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let out = due(&t, "Out already", &c, START + 10 * MINUTE).await;
        let doubt = due(&t, "In doubt", &other, START + 14 * MINUTE).await;
        let stuck = due(&t, "In dead hands", &t.connect_as("mastodon", "ben").await, START + 14 * MINUTE).await;
        let later = due(&t, "Later", &c, START + 20 * MINUTE).await;
        live(&t, Duration::from_secs(13 * 60)).await;
        assert_eq!(t.delivery(&out).await.state, State::Published);
        t.sandbox.add_fault(Fault::new("bluesky", Calls::Publish, Trouble::ResetAfterAccept));
        t.clock.advance(Duration::from_secs(60));
        let (now, dead) = (t.clock.now(), stuck.clone());
        t.app.db.write(move |tx| async move {
            let claims = queue::claim(&tx, Pool::Send, 10, "a dead worker", now, now + 60_000).await?;
            for claim in claims.iter().filter(|c| c.subject != dead) {
                queue::put_back(&tx, claim, now, false, None).await?;
            }
            Ok::<_, Error>(())
        }).await.unwrap();
        t.worker.tick().await.unwrap();
        assert_eq!(t.delivery(&doubt).await.state, State::Unknown);
        // And the sweeper itself dies with it.
        cron::tick(&t.app).await.unwrap();
        let now = t.clock.now();
        t.app.db.write(move |tx| async move {
            queue::claim(&tx, Pool::Housekeeping, 10, "a dead worker", now, now + 60_000).await
        }).await.unwrap();

        t.clock.jump(-HOUR);
        let soon = due(&t, "Soon", &c, t.clock.now() + 2 * MINUTE).await;
        let swept = async |t: &TestApp| slots(t, "done").await.iter().find(|(k, _)| k == "sweep").map_or(0, |s| s.1);
        live(&t, Duration::from_secs(130)).await;
        let seen = swept(&t).await;
        assert_eq!(t.delivery(&soon).await.state, State::Published, "{:#?}", t.journal(&soon).await);
        live(&t, Duration::from_secs(60)).await;
        assert!(swept(&t).await >= seen + 5, "a sweep every ten seconds");
        assert_eq!(t.delivery(&stuck).await.state, State::Published, "{:#?}", t.journal(&stuck).await);
        assert_eq!(t.delivery(&later).await.state, State::Queued, "its time comes again");
        live(&t, Duration::from_secs(2 * 3600)).await;
        for id in [&out, &doubt, &stuck, &later, &soon] {
            assert_eq!(t.delivery(id).await.state, State::Published, "{:#?}", t.journal(id).await);
        }
        assert_eq!((t.visible("mastodon").len(), t.visible("bluesky").len()), (4, 1));
    }
}
