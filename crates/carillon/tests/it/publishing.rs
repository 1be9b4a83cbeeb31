//! From a written post to a live one, once: every send class, every fault.

use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::post::PostState;
use carillon::publishing::connecting::{self, Change};
use carillon::publishing::{desk, schedule};
use carillon::store::audit::OPERATOR;
use carillon_sandbox::{Calls, Trouble};

use crate::both;

const HOUR: Duration = Duration::from_secs(3600);

both! {
    async fn a_post_goes_out_at_its_time_on_every_network_once(t: TestApp) {
        let mut connections = Vec::new();
        for network in ["facebook", "bluesky", "mastodon", "wordpress", "telegram"] {
            connections.push(t.connect(network).await);
        }
        let ids: Vec<&str> = connections.iter().map(String::as_str).collect();
        let post = t.schedule(t.draft("Doors open at seven. #livemusic", &ids)).await;
        assert_eq!(post.state, PostState::Scheduled);
        t.pass(Duration::from_secs(9 * 60)).await;
        assert!(t.visible("mastodon").is_empty(), "nothing goes out before its time");
        t.pass(HOUR).await;
        let post = t.post(&post.id).await;
        assert_eq!(post.state, PostState::Published, "{:#?}", post.deliveries);
        for d in &post.deliveries {
            let visible = t.visible(&d.network);
            assert_eq!(visible.len(), 1, "{}", d.network);
            assert_eq!(d.remote_id.as_deref(), Some(visible[0].id.as_str()), "{}", d.network);
            assert!(visible[0].text.contains("Doors open at seven"), "{visible:?}");
            let journal = t.journal(&d.id).await;
            assert_eq!(journal.last().unwrap().outcome.as_deref(), Some("accepted"));
        }
    }

    /// The answer is lost after the network took the post: found, not sent again, nobody asked.
    async fn a_lost_answer_is_settled_by_looking(t: TestApp) {
        for network in ["facebook", "bluesky", "mastodon", "wordpress"] {
            let c = t.connect(network).await;
            t.fault(network, Calls::Publish, Trouble::ResetAfterAccept);
            let post = t.schedule(t.draft("Quiz night", &[&c])).await;
            t.pass(2 * HOUR).await;
            let d = &t.post(&post.id).await.deliveries[0];
            assert_eq!(d.state, State::Published, "{network}: {:#?}", t.journal(&d.id).await);
            assert_eq!(t.visible(network).len(), 1, "{network}");
            assert_eq!(d.remote_id.as_deref(), Some(t.visible(network)[0].id.as_str()));
            assert!(t.journal(&d.id).await.iter().any(|a| a.outcome.as_deref() == Some("unknown")));
        }
    }

    /// The connection breaks before the network took the post: sent again, once.
    async fn a_send_that_never_arrived_is_repeated_once(t: TestApp) {
        for network in ["facebook", "bluesky", "mastodon", "wordpress"] {
            let c = t.connect(network).await;
            t.fault(network, Calls::Publish, Trouble::ResetBeforeAccept);
            let post = t.schedule(t.draft("Sunday roast", &[&c])).await;
            t.pass(2 * HOUR).await;
            let d = &t.post(&post.id).await.deliveries[0];
            assert_eq!(d.state, State::Published, "{network}: {:#?}", t.journal(&d.id).await);
            assert_eq!(t.visible(network).len(), 1, "{network}");
        }
    }

    async fn a_blind_network_asks_a_person(t: TestApp) {
        let c = t.connect("telegram").await;
        t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
        let post = t.schedule(t.draft("Happy hour", &[&c])).await;
        t.pass(2 * HOUR).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!((d.state, d.question.as_deref()), (State::Held, Some("is_it_live")));
        assert_eq!(d.can, ["answer", "discard"]);
        assert_eq!(t.visible("telegram").len(), 1);
        let live = carillon::publishing::desk::Answer { live: true, url: Some("https://t.me/alice/1".into()) };
        let d = carillon::publishing::desk::answer(&t.app, &t.workspace, &d.id, live, "operator").await.unwrap();
        assert_eq!((d.state, d.remote_url.as_deref()), (State::Published, Some("https://t.me/alice/1")));
        t.pass(HOUR).await;
        assert_eq!(t.visible("telegram").len(), 1);
    }

    /// Until it is answered, nothing else moves what may be live: no cancel that would claim the
    /// contrary, no edit or move that would send it once more.
    async fn a_question_is_answered_before_anything_else(t: TestApp) {
        let c = t.connect("telegram").await;
        t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
        let post = t.schedule(t.draft("Open mike", &[&c])).await;
        t.pass(2 * HOUR).await;
        let (app, ws) = (&t.app, &t.workspace);
        let change = |text: &str| schedule::Change {
            version: 1,
            text: Some(text.into()),
            ..schedule::Change::default()
        };
        let later = carillon::domain::when::iso(t.clock.now() + 600_000);
        let to = schedule::Move { scheduled_at: later, ..schedule::Move::default() };
        for refused in [
            schedule::edit(app, ws, &post.id, change("Open mike tonight")).await.map(drop),
            schedule::move_to(app, ws, &post.id, to).await.map(drop),
            schedule::cancel(app, ws, &post.id).await.map(drop),
            desk::cancel(app, ws, &post.deliveries[0].id, OPERATOR).await.map(drop),
            schedule::delete(app, ws, &post.id, carillon::store::audit::OPERATOR).await.map(drop),
            carillon::publishing::rollback::post(app, ws, &post.id).await.map(drop),
        ] {
            let why = refused.expect_err("it may be live");
            assert!(format!("{} {}", why.sentence, why.fix).contains("answer"), "{why:?}");
        }
        t.pass(2 * HOUR).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Held);
        assert_eq!(t.visible("telegram").len(), 1);
    }

    /// Rather twice than never: the owner's word instead of a question.
    async fn a_blind_network_sends_again_where_its_owner_says_so(t: TestApp) {
        let c = t.connect("telegram").await;
        let twice = Change { send_twice: Some(true), ..Change::default() };
        assert!(connecting::edit(&t.app, &t.workspace, &c, twice).await.unwrap().send_twice);
        t.fault("telegram", Calls::Publish, Trouble::ResetBeforeAccept);
        t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
        let post = t.schedule(t.draft("Open mike", &[&c])).await;
        t.pass(2 * HOUR).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
        assert_eq!(t.visible("telegram").len(), 2, "the second was there, its answer was lost");
    }

    /// What is being looked for is recognised by its text: an edit in that moment would hide it,
    /// and it would be sent once more.
    async fn what_is_under_way_keeps_its_text(t: TestApp) {
        let c = t.connect("facebook").await;
        t.fault("facebook", Calls::Publish, Trouble::ResetAfterAccept);
        let post = t.schedule(t.draft("Pie night", &[&c])).await;
        t.pass(Duration::from_secs(601)).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Unknown);
        let text = Some("Pie night is off".to_owned());
        let change = schedule::Change { version: 1, text, ..schedule::Change::default() };
        let edited = schedule::edit(&t.app, &t.workspace, &post.id, change).await;
        assert_eq!(edited.expect_err("it is under way").code, "already_sending");
        t.pass(2 * HOUR).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
        assert_eq!(t.visible("facebook").len(), 1);
    }

    /// The handle of an Instagram container is read: no second post, whichever way the answer went.
    async fn a_handle_is_read_before_anything_is_sent_again(t: TestApp) {
        t.serve().await;
        let (c, picture) = (t.connect("instagram").await, t.upload().await);
        for (i, fault) in [Trouble::ResetAfterAccept, Trouble::ResetBeforeAccept, Trouble::Garbage, Trouble::ServerError].into_iter().enumerate() {
            t.fault("instagram", Calls::Publish, fault);
            let mut draft = t.draft(&format!("Sunset {i}"), &[&c]);
            draft.media = vec![picture.clone()];
            let post = t.schedule(draft).await;
            t.pass(2 * HOUR).await;
            let d = &t.post(&post.id).await.deliveries[0];
            assert_eq!(d.state, State::Published, "{fault:?}: {:#?}", t.journal(&d.id).await);
            assert_eq!(t.visible("instagram").len(), i + 1, "{fault:?}");
        }
    }

    /// A call without an answer may still be on its way when the handle is first read.
    async fn a_handle_is_read_twice_before_its_post_is_queued_again(t: TestApp) {
        t.serve().await;
        let (c, picture) = (t.connect("instagram").await, t.upload().await);
        t.fault("instagram", Calls::Publish, Trouble::ResetBeforeAccept);
        let mut draft = t.draft("Fog", &[&c]);
        draft.media = vec![picture];
        let post = t.schedule(draft).await;
        t.pass(Duration::from_secs(630)).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!(d.state, State::Unknown, "{:#?}", t.journal(&d.id).await);
        t.pass(Duration::from_secs(60)).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!(d.state, State::Published, "{:#?}", t.journal(&d.id).await);
        assert_eq!(t.visible("instagram").len(), 1);
    }

    /// 5xx and garbage may have published: looked up, never sent blindly again.
    async fn an_answer_that_says_nothing_is_settled_by_looking(t: TestApp) {
        for network in ["facebook", "bluesky", "mastodon", "wordpress"] {
            let c = t.connect(network).await;
            for (i, fault) in [Trouble::Garbage, Trouble::ServerError].into_iter().enumerate() {
                t.fault(network, Calls::Publish, fault);
                let post = t.schedule(t.draft(&format!("Karaoke {i}"), &[&c])).await;
                t.pass(2 * HOUR).await;
                let d = &t.post(&post.id).await.deliveries[0];
                assert_eq!(d.state, State::Published, "{network} {fault:?}: {:#?}", t.journal(&d.id).await);
                assert_eq!(t.visible(network).len(), i + 1, "{network} {fault:?}");
            }
        }
    }

    async fn a_rate_limit_waits_as_long_as_the_network_says(t: TestApp) {
        for network in ["facebook", "bluesky", "mastodon", "wordpress", "telegram"] {
            let c = t.connect(network).await;
            t.fault(network, Calls::Publish, Trouble::RateLimit);
            let post = t.schedule(t.draft("Ladies and gentlemen", &[&c])).await;
            t.pass(2 * HOUR).await;
            let d = &t.post(&post.id).await.deliveries[0];
            assert_eq!((d.state, d.attempts), (State::Published, 0), "{network}: {:#?}", t.journal(&d.id).await);
            assert_eq!(t.visible(network).len(), 1, "{network}");
        }
    }

    /// A refused token costs nothing: deliveries wait, and go out after the reconnection.
    async fn a_broken_connection_holds_its_deliveries_until_it_is_mended(t: TestApp) {
        let c = t.connect("mastodon").await;
        t.fault("mastodon", Calls::Publish, Trouble::Auth);
        let post = t.schedule(t.draft("First", &[&c])).await;
        t.pass(Duration::from_secs(15 * 60)).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!(d.state, State::Queued);
        assert_eq!(d.problem.as_ref().map(|p| p.class.as_str()), Some("auth"));
        let second = t.schedule(t.draft("Second", &[&c])).await;
        t.pass(Duration::from_secs(15 * 60)).await;
        assert!(t.visible("mastodon").is_empty(), "nothing is sent while it is broken");
        let checked = carillon::publishing::connecting::check(&t.app, &t.workspace, &c).await.unwrap();
        assert!(checked.ok, "{checked:?}");
        t.pass(Duration::from_secs(60)).await;
        for id in [post.id, second.id] {
            assert_eq!(t.post(&id).await.deliveries[0].state, State::Published);
        }
        assert_eq!(t.visible("mastodon").len(), 2);
    }

    async fn after_a_long_night_late_posts_are_held_and_not_burst_out(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Good morning", &[&c])).await;
        t.clock.advance(3 * HOUR);
        t.pass(Duration::from_secs(60)).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!((d.state, d.question.as_deref()), (State::Held, None));
        assert!(d.can.contains(&"retry".to_owned()));
        assert!(t.visible("mastodon").is_empty());
        carillon::publishing::desk::retry(&t.app, &t.workspace, &d.id, None, "operator").await.unwrap();
        t.pass(Duration::from_secs(60)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
    }

    /// A worker died after its intent: the sweeper says unknown, and looking settles it.
    async fn a_dead_workers_delivery_is_unknown_until_looked_up(t: TestApp) {
        use carillon::domain::job::Pool;
        use carillon::store::{deliveries, queue};
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Last orders", &[&c])).await;
        t.clock.advance(Duration::from_secs(600));
        let (now, id) = (t.clock.now(), post.deliveries[0].id.clone());
        let claims = t.app.db.write(move |tx| async move {
            let claims = queue::claim(&tx, Pool::Send, 1, "a dead worker", now, now + 60_000).await?;
            assert!(deliveries::intend(&tx, &id, State::Queued, now).await?);
            Ok::<_, carillon::db::Error>(claims)
        }).await.unwrap();
        assert_eq!(claims.len(), 1);
        t.pass(Duration::from_secs(30)).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Sending, "its lease still runs");
        t.clock.advance(Duration::from_secs(60));
        carillon::publishing::sweep::sweep(&t.app, false).await.unwrap();
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Unknown);
        t.pass(HOUR).await;
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Published);
        assert_eq!(t.visible("mastodon").len(), 1);
        // The dead worker comes back with its answer: nobody listens.
        let late = claims[0].clone();
        let heard = t.app.db.write(move |tx| async move { queue::finish(&tx, &late, "done", None, now).await }).await.unwrap();
        assert!(!heard);
    }

    /// The same on a network that cannot be read: a person is asked, and its lane goes on.
    async fn a_dead_workers_blind_delivery_asks_a_person(t: TestApp) {
        use carillon::domain::job::Pool;
        use carillon::store::{deliveries, queue};
        let c = t.connect("telegram").await;
        let post = t.schedule(t.draft("Time, please", &[&c])).await;
        let next = t.schedule(t.draft("Open again tomorrow", &[&c])).await;
        t.clock.advance(Duration::from_secs(600));
        let (now, id) = (t.clock.now(), post.deliveries[0].id.clone());
        t.app.db.write(move |tx| async move {
            queue::claim(&tx, Pool::Send, 1, "a dead worker", now, now + 60_000).await?;
            assert!(deliveries::intend(&tx, &id, State::Queued, now).await?);
            Ok::<_, carillon::db::Error>(())
        }).await.unwrap();
        t.clock.advance(Duration::from_secs(61));
        carillon::publishing::sweep::sweep(&t.app, false).await.unwrap();
        t.pass(Duration::from_secs(120)).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!((d.state, d.question.as_deref()), (State::Held, Some("is_it_live")));
        assert_eq!(t.post(&next.id).await.deliveries[0].state, State::Published);
    }

    async fn cancelled_while_a_worker_has_it_means_not_sent(t: TestApp) {
        use carillon::domain::job::Pool;
        use carillon::store::queue;
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Never mind", &[&c])).await;
        t.clock.advance(Duration::from_secs(600));
        let now = t.clock.now();
        let claim = t.app.db.write(move |tx| async move {
            Ok::<_, carillon::db::Error>(queue::claim(&tx, Pool::Send, 1, "worker", now, now + 60_000).await?.remove(0))
        }).await.unwrap();
        carillon::publishing::schedule::cancel(&t.app, &t.workspace, &post.id).await.unwrap();
        carillon::publishing::deliver::deliver(&t.app, &claim).await.unwrap();
        assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Cancelled);
        assert!(t.visible("mastodon").is_empty());
    }
}
