//! Late is late: up to its limit a delivery goes out, after it a person decides, and after three
//! days of outage nothing is in limbo.

use std::time::Duration;

use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::job::Pool;
use carillon::domain::policy::Policies;
use carillon::domain::when;
use carillon::publishing::schedule::DraftDelivery;
use carillon::publishing::{desk, sweep};
use carillon::store::{accounts, deliveries, queue};
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::both;
use crate::support::{START, TestApp, to};

const MINUTE: u64 = 60;
const DUE: i64 = 600_000;

/// Nothing runs for so long, then all that is due.
async fn after_outage(t: &TestApp, outage: Duration) {
    t.clock.advance(outage);
    t.worker.tick().await.expect("a tick");
}

async fn set(t: &TestApp, policies: Policies) {
    let workspace = t.workspace.clone();
    let set = t
        .app
        .db
        .write(move |tx| async move { accounts::set_policies(&tx, &workspace, &policies).await });
    set.await.expect("policies");
}

async fn story(t: &TestApp) -> String {
    t.serve().await;
    let (c, picture) = (t.connect("instagram").await, t.upload().await);
    let mut draft = t.draft("Sunset", &[]);
    draft.media = vec![picture];
    draft.deliveries = vec![DraftDelivery { placement: Some("story".into()), ..to(&c) }];
    t.schedule(draft).await.deliveries[0].id.clone()
}

both! {
    async fn an_hour_late_goes_out_and_a_moment_more_is_held(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Quiz night", &[&c])).await;
        after_outage(&t, Duration::from_secs(70 * MINUTE)).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);

        let c = t.connect("bluesky").await;
        let post = t.schedule(t.draft("Happy hour", &[&c])).await;
        after_outage(&t, Duration::from_millis(70 * MINUTE * 1000 + 1)).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!((d.state, d.question.as_deref()), (State::Held, None));
        let problem = d.problem.clone().expect("a reason");
        assert_eq!((problem.class.as_str(), problem.action.as_str()), ("late", "decide"));
        assert!(problem.sentence.contains("60 minutes late"), "{problem:?}");
        assert!(t.visible("bluesky").is_empty());
        // The person decides to send it.
        desk::retry(&t.app, &t.workspace, &d.id, None, "operator").await.expect("it may be sent");
        t.worker.tick().await.expect("a tick");
        assert_eq!(t.delivery(&d.id).await.state, State::Published);
    }

    async fn a_story_five_minutes_late_goes_out(t: TestApp) {
        let d = story(&t).await;
        after_outage(&t, Duration::from_secs(15 * MINUTE)).await;
        t.pass(Duration::from_secs(2 * MINUTE)).await;
        assert_eq!(t.delivery(&d).await.state, State::Published, "{:?}", t.journal(&d).await);
    }

    async fn a_story_later_than_that_is_missed(t: TestApp) {
        let d = story(&t).await;
        after_outage(&t, Duration::from_millis(15 * MINUTE * 1000 + 1)).await;
        let d = t.delivery(&d).await;
        assert_eq!(d.state, State::Missed);
        assert_eq!(d.problem.map(|p| p.class).as_deref(), Some("late"));
        t.pass(Duration::from_secs(3600)).await;
        assert!(t.visible("instagram").is_empty());
    }

    async fn a_workspace_has_its_own_limits(t: TestApp) {
        set(&t, Policies { late_after_minutes: Some(10), ..Policies::default() }).await;
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let post = t.schedule(t.draft("Quiz night", &[&a])).await;
        after_outage(&t, Duration::from_secs(20 * MINUTE)).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
        let post = t.schedule(t.draft("Happy hour", &[&b])).await;
        after_outage(&t, Duration::from_millis(20 * MINUTE * 1000 + 1)).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Held);
        // Back to the installation's hour.
        set(&t, Policies::default()).await;
        let post = t.schedule(t.draft("Last orders", &[&b])).await;
        after_outage(&t, Duration::from_secs(40 * MINUTE)).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
    }

    /// Whatever a delivery was in when everything stopped, once it runs again each is sent or held
    /// with a reason, and nothing that is days old appears.
    async fn after_three_days_nothing_is_in_limbo(t: TestApp) {
        t.serve().await;
        let picture = t.upload().await;
        let mut ids = std::collections::BTreeMap::new();
        for (network, account, what) in [
            ("bluesky", "found", "unknown, and live"), ("bluesky", "absent", "unknown, and not there"),
            ("instagram", "waiting", "waiting"), ("instagram", "tried", "tried once"),
        ] {
            let c = t.connect_as(network, account).await;
            let mut draft = t.draft(what, &[&c]);
            if network == "instagram" {
                draft.media = vec![picture.clone()];
            }
            ids.insert(what, (t.schedule(draft).await.deliveries[0].id.clone(), c));
        }
        let fault = |network, call, trouble, account| {
            t.sandbox.add_fault(Fault::new(network, call, trouble).times(1).account(account));
        };
        fault("bluesky", Calls::Publish, Trouble::ResetAfterAccept, "found");
        fault("bluesky", Calls::Publish, Trouble::ResetBeforeAccept, "absent");
        fault("instagram", Calls::Prepare, Trouble::ServerError, "tried");
        t.sandbox.add_fault(Fault::new("instagram", Calls::Prepare, Trouble::Processing).times(3).account("waiting"));
        for what in ["leased", "sending"] {
            let c = t.connect_as("mastodon", what).await;
            let mut draft = t.draft(what, &[&c]);
            draft.scheduled_at = Some(when::iso(START + 3 * DUE));
            ids.insert(what, (t.schedule(draft).await.deliveries[0].id.clone(), c));
        }
        let c = t.connect_as("mastodon", "queued").await;
        let mut draft = t.draft("queued", &[&c]);
        draft.scheduled_at = Some(when::iso(START + 4 * DUE));
        ids.insert("queued", (t.schedule(draft).await.deliveries[0].id.clone(), c));
        t.pass(Duration::from_secs(605)).await;
        let state = async |what: &str| t.delivery(&ids[what].0).await.state;
        assert_eq!(state("unknown, and live").await, State::Unknown);
        assert_eq!(state("unknown, and not there").await, State::Unknown);
        assert_eq!(state("waiting").await, State::Waiting);
        assert_eq!((state("tried once").await, t.delivery(&ids["tried once"].0).await.attempts), (State::Queued, 1));
        t.clock.advance(Duration::from_millis((START + 3 * DUE - t.clock.now()) as u64));
        let (now, sending) = (t.clock.now(), ids["sending"].0.clone());
        t.app.db.write(move |tx| async move {
            for at in [now, now] {
                queue::claim(&tx, Pool::Send, 100, "a dead worker", at, at + 60_000).await?;
            }
            assert!(deliveries::intend(&tx, &sending, State::Queued, now).await?);
            Ok::<_, Error>(())
        }).await.unwrap();

        // Three days later some posts are a few minutes late only.
        let c = t.connect_as("mastodon", "soon").await;
        let back = START + 72 * 3_600_000;
        let mut soon = Vec::new();
        for minutes in [20, 19, 18] {
            let mut draft = t.draft(&format!("{minutes} minutes late"), &[&c]);
            draft.scheduled_at = Some(when::iso(back - minutes * 60_000));
            soon.push(t.schedule(draft).await.deliveries[0].id.clone());
        }
        t.clock.advance(Duration::from_millis((back - t.clock.now()) as u64));
        sweep::sweep(&t.app, false).await.unwrap();
        t.pass(Duration::from_secs(5 * MINUTE)).await;

        for (what, (id, _)) in &ids {
            let d = t.delivery(id).await;
            if *what == "unknown, and live" {
                assert_eq!(d.state, State::Published, "{what}: {:#?}", t.journal(id).await);
                continue;
            }
            assert_eq!(d.state, State::Held, "{what}: {:#?}", t.journal(id).await);
            let problem = d.problem.expect("a reason");
            assert_eq!(problem.class, "late", "{what}: {problem:?}");
            assert!(d.can.contains(&"retry".to_owned()), "{what}: {:?}", d.can);
        }
        assert_eq!(t.visible("bluesky").len(), 1);
        assert!(t.visible("instagram").is_empty());
        assert_eq!(t.visible("mastodon").len(), soon.len(), "{:?}", t.visible("mastodon"));
        let mut times = Vec::new();
        for id in &soon {
            let d = t.delivery(id).await;
            assert_eq!(d.state, State::Published);
            times.push(when::parse(&d.published_at.unwrap(), "UTC").unwrap());
        }
        assert!(times.windows(2).all(|w| w[1] - w[0] >= 30_000), "no burst: {times:?}");
    }
}
