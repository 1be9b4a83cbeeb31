//! Clocks that are set, and machines that sleep, at the worst moment: between intent and send.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::support::{On, TestApp};

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
    assert_eq!(journal.last().unwrap().outcome.as_deref(), Some("refused"), "{journal:#?}");
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
