//! A look before the time, while somebody can still act.

use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::when;
use carillon::ids;
use carillon::publishing::connecting::{self, ConnectionState};
use carillon::publishing::schedule::{self, Change, Draft};
use carillon::queue::cron;
use carillon::store::alerts::{self, Alert};
use carillon::store::connections::{self, Connection};
use carillon::store::events;
use carillon::store::media::{self, MediaState};
use carillon::watch::watchdog;
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::both;
use crate::support::{On, START, TestApp, to};

/// The clockwork of so many minutes: slots, work, watchdog.
async fn minutes(t: &TestApp, n: u32) {
    for _ in 0..n {
        cron::tick(&t.app).await.expect("slots");
        t.worker.tick().await.expect("a tick");
        watchdog::look(&t.app).await.expect("a look");
        t.clock.advance(Duration::from_secs(60));
    }
    t.worker.tick().await.expect("a tick");
}

async fn open(t: &TestApp) -> Vec<Alert> {
    let ws = t.workspace.clone();
    let all = t.app.db.read(move |tx| async move { alerts::open_in(&tx, &ws, 100).await });
    // Here nobody's heart beats.
    all.await.expect("the alerts").into_iter().filter(|a| a.kind.as_str() != "no_worker").collect()
}

fn kinds(alerts: &[Alert]) -> Vec<&'static str> {
    let mut kinds: Vec<&str> = alerts.iter().map(|a| a.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds
}

fn in_minutes(t: &TestApp, text: &str, connection: &str, minutes: i64) -> Draft {
    let at = Some(when::iso(t.clock.now() + minutes * 60_000));
    Draft { scheduled_at: at, ..t.draft(text, &[connection]) }
}

both! {
    async fn a_broken_token_is_told_a_quarter_of_an_hour_before(t: TestApp) {
        let c = t.connect("mastodon").await;
        let one = t.schedule(in_minutes(&t, "Quiz night", &c, 30)).await;
        let two = t.schedule(in_minutes(&t, "Happy hour", &c, 31)).await;
        minutes(&t, 14).await;
        assert_eq!(t.delivery(&one.deliveries[0].id).await.checked_at, None, "not before its time");
        t.sandbox.add_fault(Fault::new("mastodon", Calls::Read, Trouble::Auth).times(2));
        minutes(&t, 4).await;
        for post in [&one, &two] {
            let d = t.delivery(&post.deliveries[0].id).await;
            assert_eq!(d.state, State::Queued, "nothing was sent");
            let warning = d.warning.expect("a warning");
            assert_eq!((warning.class.as_str(), warning.action.as_str()), ("auth", "reconnect"));
        }
        let view = connecting::find(&t.app, &t.workspace, &c).await.unwrap();
        assert_eq!(view.state, ConnectionState::NeedsAction, "as a failed send would mark it");
        let alerts = open(&t).await;
        assert_eq!(kinds(&alerts), ["connection_needs_action", "preflight_failed", "preflight_failed"]);
        let told = alerts.iter().find(|a| a.subject == one.deliveries[0].id).expect("its alert");
        assert!(told.problem.sentence.contains("“Quiz night” to alice at mastodon will not go out at 2026-11-23 08:30"), "{told:?}");
        assert_eq!(told.problem.action, "reconnect");
        assert!(told.raised_at <= START + 16 * 60_000, "with time to act");
        let ws = t.workspace.clone();
        let told = t.app.db.read(move |tx| async move { events::after(&tx, &ws, (0, ""), 1000).await }).await.unwrap();
        assert_eq!(told.iter().filter(|e| e.kind == "alert.raised" && e.data["kind"] == "preflight_failed").count(), 2);

        // Mended, it is looked at anew, and goes out at its time.
        assert!(connecting::check(&t.app, &t.workspace, &c).await.unwrap().ok);
        minutes(&t, 2).await;
        let d = t.delivery(&one.deliveries[0].id).await;
        assert_eq!((d.warning, d.checked_at.is_some()), (None, true));
        assert!(open(&t).await.is_empty(), "{:?}", open(&t).await);
        minutes(&t, 12).await;
        assert_eq!(t.visible("mastodon").len(), 2);
    }

    /// No false alarm: an outage says nothing about the credentials, and is asked again.
    async fn a_network_that_is_away_is_no_failure(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(in_minutes(&t, "Quiz night", &c, 30)).await;
        minutes(&t, 14).await;
        t.sandbox.add_fault(Fault::new("mastodon", Calls::Read, Trouble::ServerError).times(6));
        minutes(&t, 3).await;
        let d = t.delivery(&post.deliveries[0].id).await;
        assert_eq!((d.warning, d.checked_at), (None, None), "nothing is known");
        assert!(open(&t).await.is_empty());
        assert_eq!(connecting::find(&t.app, &t.workspace, &c).await.unwrap().state, ConnectionState::Active);
        minutes(&t, 8).await;
        assert!(t.delivery(&post.deliveries[0].id).await.checked_at.is_some(), "it answered at last");
        minutes(&t, 8).await;
        assert_eq!(t.visible("mastodon").len(), 1);
    }

    async fn a_picture_that_will_not_do_is_told_and_an_edit_clears_it(t: TestApp) {
        let (c, picture) = (t.connect("mastodon").await, t.upload().await);
        let draft = Draft { media: vec![picture.clone()], ..in_minutes(&t, "Sunset", &c, 30) };
        let post = t.schedule(draft).await;
        let now = t.clock.now();
        t.app.db.write(move |tx| async move {
            media::set_state(&tx, &picture, MediaState::Failed, None, now).await
        }).await.unwrap();
        minutes(&t, 17).await;
        let d = t.delivery(&post.deliveries[0].id).await;
        assert_eq!(d.warning.map(|w| (w.class, w.action)), Some(("media".into(), "edit_post".into())));
        assert_eq!(kinds(&open(&t).await), ["preflight_failed"]);
        let change = Change { version: post.version, media: Some(Vec::new()), allow_collision: true, allow_duplicate: true, ..Change::default() };
        schedule::edit(&t.app, &t.workspace, &post.id, change).await.unwrap();
        minutes(&t, 2).await;
        let d = t.delivery(&post.deliveries[0].id).await;
        assert_eq!((d.warning, d.checked_at.is_some()), (None, true));
        assert!(open(&t).await.is_empty());
        minutes(&t, 12).await;
        assert_eq!(t.visible("mastodon").len(), 1);
    }

    async fn a_pause_is_a_warning_and_no_alert(t: TestApp) {
        let c = t.connect("mastodon").await;
        connecting::pause(&t.app, &t.workspace, &c).await.unwrap();
        let draft = in_minutes(&t, "Quiz night", &c, 10);
        let checked = schedule::check(&t.app, &t.workspace, &draft, None).await.unwrap();
        assert_eq!(checked.warnings.iter().map(|w| w.code.as_str()).collect::<Vec<_>>(), ["paused"]);
        let post = t.schedule(draft).await;
        minutes(&t, 2).await;
        let d = t.delivery(&post.deliveries[0].id).await;
        assert_eq!(d.warning.map(|w| w.class).as_deref(), Some("paused"));
        assert!(open(&t).await.is_empty());
    }

    async fn a_draft_for_a_broken_connection_is_warned_of(t: TestApp) {
        let c = t.connect("mastodon").await;
        t.fault("mastodon", Calls::Read, Trouble::Auth);
        assert!(!connecting::check(&t.app, &t.workspace, &c).await.unwrap().ok);
        let checked = schedule::check(&t.app, &t.workspace, &t.draft("Quiz night", &[&c]), None).await.unwrap();
        assert_eq!(checked.warnings[0].code, "needs_action");
        assert!(checked.problems.is_empty(), "it may be written all the same: {:?}", checked.problems);
        assert_eq!(kinds(&open(&t).await), ["connection_needs_action"]);
        connecting::disconnect(&t.app, &t.workspace, &c, "operator").await.unwrap();
        assert!(open(&t).await.is_empty(), "what is gone needs nobody");
    }
}

/// Networks that fetch pictures need an address of ours that they can reach.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_public_address_instagram_gets_no_pictures() {
    for (url, refused) in
        [("", true), ("http://posts.example", true), ("https://posts.example", false)]
    {
        let settings = [("CARILLON_SANDBOX", ""), ("CARILLON_PUBLIC_URL", url)];
        let t = TestApp::with(On::Sqlite, &settings).await;
        let c = Connection {
            id: ids::new(START),
            workspace_id: t.workspace.clone(),
            network: "instagram".into(),
            name: "alice".into(),
            remote_id: "alice".into(),
            ..blank()
        };
        let (id, picture) = (c.id.clone(), t.upload().await);
        t.app.db.write(move |tx| async move { connections::add(&tx, &c).await }).await.unwrap();
        let draft =
            Draft { media: vec![picture], deliveries: vec![to(&id)], ..t.draft("Sunset", &[]) };
        let answer = schedule::create(&t.app, &t.workspace, draft, None).await;
        match answer {
            Err(e) if refused => {
                assert_eq!(e.code, "public_url_required", "{url}");
                assert!(e.sentence.contains("set `CARILLON_PUBLIC_URL`"), "{e}");
            }
            other => assert!(!refused && other.is_ok(), "{url}: {other:?}"),
        }
    }
}

fn blank() -> Connection {
    Connection {
        id: String::new(),
        workspace_id: String::new(),
        network: String::new(),
        name: String::new(),
        remote_id: String::new(),
        settings: Default::default(),
        secrets: String::new(),
        broken_at: None,
        problem: None,
        checked_at: None,
        published_at: None,
        twice_at: None,
        quota_until: None,
        quota_of: None,
        tokens: Default::default(),
        created_at: START,
    }
}
