//! Threads and first comments: each part its own delivery, sent once, in order, after what it
//! follows.

use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::post::PostState;
use carillon::publishing::schedule::{self, Change, Draft, DraftDelivery, Part, Parts, Share};
use carillon::publishing::view::PostView;
use carillon::publishing::{desk, rollback, sweep};
use carillon::queue::worker::Worker;
use carillon_sandbox::{Calls, LedgerPost, Trouble};

use crate::both;
use crate::support::{TestApp, to};

const HOUR: Duration = Duration::from_secs(3600);
const THREAD: [&str; 3] = ["One: doors at seven.", "Two: support at eight.", "Three: us at nine."];

/// A thread of three for these connections, due in ten minutes.
fn thread(t: &TestApp, connections: &[&str]) -> Draft {
    Draft { thread: parts(&THREAD[1..]), ..t.draft(THREAD[0], connections) }
}

pub(crate) fn parts(texts: &[&str]) -> Vec<Part> {
    texts.iter().map(|text| Part { text: (*text).into(), media: Vec::new() }).collect()
}

/// A post with a first comment.
fn commented(t: &TestApp, connection: &str) -> Draft {
    let comment = Some("Tickets: https://example.com/t".into());
    let deliveries = vec![DraftDelivery { first_comment: comment, ..to(connection) }];
    Draft { deliveries, ..t.draft("Doors open at seven.", &[]) }
}

fn states(post: &PostView) -> Vec<State> {
    post.deliveries.iter().map(|d| d.state).collect()
}

/// The thread is visible once, each part an answer to the one before.
fn assert_thread(posts: &[LedgerPost], why: &str) {
    let texts: Vec<&str> = posts.iter().map(|p| p.text.as_str()).collect();
    assert_eq!(texts, THREAD, "{why}");
    let before: Vec<Option<&str>> = posts.iter().map(|p| p.reply_to.as_deref()).collect();
    let wanted = [None, Some(posts[0].id.as_str()), Some(posts[1].id.as_str())];
    assert_eq!(before, wanted, "{why}");
}

/// The problems that a draft is refused for: code and field.
async fn refused(t: &TestApp, draft: Draft) -> Vec<(String, String)> {
    let refusal = schedule::create(&t.app, &t.workspace, draft, None).await.unwrap_err();
    refusal.problems.into_iter().map(|p| (p.code, p.field)).collect()
}

both! {
    async fn a_thread_goes_out_in_order(t: TestApp) {
        let (b, m) = (t.connect("bluesky").await, t.connect("mastodon").await);
        let post = t.schedule(thread(&t, &[&b, &m])).await;
        assert_eq!(post.state, PostState::Scheduled);
        let shape: Vec<(&str, &str, i64)> = post
            .deliveries
            .iter()
            .map(|d| (d.network.as_str(), d.placement.as_str(), d.position))
            .collect();
        assert_eq!(shape, [
            ("bluesky", "feed", 0), ("bluesky", "reply", 1), ("bluesky", "reply", 2),
            ("mastodon", "feed", 1), ("mastodon", "reply", 1), ("mastodon", "reply", 2),
        ]);
        for three in post.deliveries.chunks(3) {
            assert_eq!(three[0].parent_id, None);
            assert_eq!(three[1].parent_id.as_ref(), Some(&three[0].id));
            assert_eq!(three[2].parent_id.as_ref(), Some(&three[1].id));
            assert_eq!((&three[1].scheduled_at, &three[1].can), (&None, &vec!["cancel".to_owned()]));
        }
        t.pass(HOUR).await;
        let post = t.post(&post.id).await;
        assert_eq!(post.state, PostState::Published, "{:#?}", post.deliveries);
        assert_thread(&t.visible("bluesky"), "bluesky");
        assert_thread(&t.visible("mastodon"), "mastodon");
    }

    /// The answer to any part is lost, or the part itself: each is there once, in order.
    async fn a_doubt_in_the_middle_of_a_thread_is_settled_by_looking(t: TestApp) {
        for network in ["bluesky", "mastodon"] {
            let c = t.connect(network).await;
            for trouble in [Trouble::ResetAfterAccept, Trouble::ResetBeforeAccept, Trouble::ServerError] {
                let why = format!("{network} {trouble:?}");
                let seen = t.visible(network).len();
                let post = t.schedule(thread(&t, &[&c])).await;
                // The first part passes, the second meets the fault.
                while t.visible(network).len() == seen {
                    t.clock.advance(Duration::from_secs(60));
                    step(&t).await;
                }
                t.fault(network, Calls::Publish, trouble);
                t.pass(2 * HOUR).await;
                let post = t.post(&post.id).await;
                assert_eq!(post.state, PostState::Published, "{why}: {:#?}", post.deliveries);
                let journal = t.journal(&post.deliveries[1].id).await;
                assert!(journal.iter().any(|a| a.outcome.as_deref() != Some("accepted")), "{why}");
                assert_thread(&t.visible(network)[seen..], &why);
            }
        }
    }

    /// The worker is killed after each part: another one goes on where it stopped.
    async fn a_crash_between_parts_goes_on_with_the_next(t: TestApp) {
        use carillon::domain::job::Pool;
        use carillon::store::{deliveries, queue};
        let c = t.connect("mastodon").await;
        let post = t.schedule(thread(&t, &[&c])).await;
        t.clock.advance(Duration::from_secs(600));
        step(&t).await;
        assert_eq!(states(&t.post(&post.id).await), [State::Published, State::Queued, State::Queued]);
        // Claimed, promised, and never heard of again.
        let (now, id) = (t.clock.now(), post.deliveries[1].id.clone());
        t.app.db.write(move |tx| async move {
            let claims = queue::claim(&tx, Pool::Send, 5, "a dead worker", now, now + 60_000).await?;
            assert_eq!(claims.iter().map(|c| &c.subject).collect::<Vec<_>>(), [&id], "one at a time");
            assert!(deliveries::intend(&tx, &id, State::Queued, now).await?);
            Ok::<_, carillon::db::Error>(())
        }).await.unwrap();
        t.clock.advance(Duration::from_secs(61));
        let app = t.again().await;
        sweep::sweep(&app, false).await.unwrap();
        let worker = Worker::new(app);
        for _ in 0..200 {
            worker.tick().await.unwrap();
            t.clock.advance(Duration::from_secs(30));
        }
        assert_eq!(t.post(&post.id).await.state, PostState::Published);
        assert_thread(&t.visible("mastodon"), "after the crash");
    }

    async fn a_first_comment_follows_its_post(t: TestApp) {
        t.serve().await;
        let picture = t.upload().await;
        for network in ["facebook", "instagram"] {
            let c = t.connect(network).await;
            for (i, trouble) in [None, Some(Trouble::ResetAfterAccept)].into_iter().enumerate() {
                let seen = t.visible(network).len();
                let mut draft = commented(&t, &c);
                draft.text = format!("Sunset {i}");
                draft.media = vec![picture.clone()];
                let post = t.schedule(draft).await;
                if let Some(trouble) = trouble {
                    while t.visible(network).len() == seen {
                        t.clock.advance(Duration::from_secs(60));
                        step(&t).await;
                    }
                    t.fault(network, Calls::Publish, trouble);
                }
                t.pass(2 * HOUR).await;
                let post = t.post(&post.id).await;
                assert_eq!(states(&post), [State::Published; 2], "{network}: {:#?}", post.deliveries);
                let live = &t.visible(network)[seen..];
                assert_eq!(live.len(), 2, "{network}");
                assert_eq!(live[1].reply_to.as_ref(), Some(&live[0].id), "{network}");
                assert_eq!(post.deliveries[1].remote_id.as_ref(), Some(&live[1].id), "{network}");
                assert!(live[1].media.is_empty());
            }
        }
    }

    /// A comment that is refused leaves its post live, and can be sent again with another text.
    async fn a_refused_comment_is_a_dead_letter_beside_a_live_post(t: TestApp) {
        t.serve().await;
        let (c, picture) = (t.connect("instagram").await, t.upload().await);
        let mut draft = commented(&t, &c);
        draft.media = vec![picture];
        // A number is no hashtag to us; the network counts it.
        draft.deliveries[0].first_comment = Some("#1 ".repeat(31));
        let post = t.schedule(draft).await;
        t.pass(HOUR).await;
        let post = t.post(&post.id).await;
        assert_eq!(states(&post), [State::Published, State::Failed]);
        assert_eq!(post.state, PostState::PartlyPublished);
        let comment = &post.deliveries[1];
        assert_eq!(comment.problem.as_ref().map(|p| p.class.as_str()), Some("content"));
        assert!(comment.can.contains(&"retry".to_owned()));
        desk::retry(&t.app, &t.workspace, &comment.id, Some("See https://a.example".into()), "operator").await.unwrap();
        t.pass(HOUR).await;
        assert_eq!(states(&t.post(&post.id).await), [State::Published; 2]);
        let live = t.visible("instagram");
        assert_eq!(live.len(), 2);
        assert_eq!((live[1].text.as_str(), live[1].reply_to.as_ref()), ("See https://a.example", Some(&live[0].id)));
    }

    /// A post that fails keeps what follows it waiting, and brings it along when it is sent again.
    async fn a_replayed_post_brings_what_follows_it(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(thread(&t, &[&c])).await;
        t.clock.advance(3 * HOUR);
        t.pass(Duration::from_secs(60)).await;
        let held = t.post(&post.id).await;
        assert_eq!((states(&held), held.state), (vec![State::Held, State::Queued, State::Queued], PostState::Held));
        let next = &held.deliveries[1].id;
        let e = desk::retry(&t.app, &t.workspace, next, None, "operator").await.unwrap_err();
        assert_eq!(e.code, "waits_for_parent");
        carillon::watch::watchdog::look(&t.app).await.unwrap();
        sweep::sweep(&t.app, false).await.unwrap();
        t.pass(HOUR).await;
        assert!(t.visible("mastodon").is_empty(), "nothing goes out before its time");
        desk::retry(&t.app, &t.workspace, &held.deliveries[0].id, None, "operator").await.unwrap();
        t.pass(HOUR).await;
        assert_thread(&t.visible("mastodon"), "replayed");
    }

    async fn a_post_found_live_by_a_person_goes_on(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(thread(&t, &[&c])).await;
        t.clock.advance(3 * HOUR);
        t.pass(Duration::from_secs(60)).await;
        let posted = desk::Answer { live: true, url: Some("https://example.com/by-hand".into()) };
        desk::answer(&t.app, &t.workspace, &post.deliveries[0].id, posted, "operator").await.unwrap();
        t.pass(HOUR).await;
        let post = t.post(&post.id).await;
        // Its id is not known, so nothing can answer to it: that is said, and not passed over.
        assert_eq!(states(&post), [State::Published, State::Failed, State::Queued]);
        assert_eq!(post.state, PostState::PartlyPublished);
        assert!(post.deliveries[1].can.contains(&"mark_posted".to_owned()));
        assert!(t.visible("mastodon").is_empty());
    }

    async fn cancelled_before_its_time_means_all_of_it(t: TestApp) {
        let c = t.connect("bluesky").await;
        for one in [false, true] {
            let post = t.schedule(thread(&t, &[&c])).await;
            if one {
                desk::cancel(&t.app, &t.workspace, &post.deliveries[0].id, "operator").await.unwrap();
            } else {
                schedule::cancel(&t.app, &t.workspace, &post.id).await.unwrap();
            }
            let post = t.post(&post.id).await;
            assert_eq!((states(&post), post.state), (vec![State::Cancelled; 3], PostState::Cancelled));
            t.pass(HOUR).await;
            assert!(t.visible("bluesky").is_empty());
        }
        // From the middle on.
        let post = t.schedule(thread(&t, &[&c])).await;
        desk::cancel(&t.app, &t.workspace, &post.deliveries[1].id, "operator").await.unwrap();
        t.pass(HOUR).await;
        assert_eq!(states(&t.post(&post.id).await), [State::Published, State::Cancelled, State::Cancelled]);
        assert_eq!(t.visible("bluesky").len(), 1);
    }

    /// Cancelled while a worker has the first part: the wish reaches the whole thread.
    async fn a_cancel_wish_ends_the_thread(t: TestApp) {
        use carillon::domain::job::Pool;
        use carillon::store::queue;
        let c = t.connect("mastodon").await;
        let post = t.schedule(thread(&t, &[&c])).await;
        t.clock.advance(Duration::from_secs(600));
        let now = t.clock.now();
        let claim = t.app.db.write(move |tx| async move {
            Ok::<_, carillon::db::Error>(queue::claim(&tx, Pool::Send, 1, "worker", now, now + 60_000).await?.remove(0))
        }).await.unwrap();
        desk::cancel(&t.app, &t.workspace, &post.deliveries[0].id, "operator").await.unwrap();
        assert_eq!(states(&t.post(&post.id).await), [State::Queued; 3]);
        carillon::publishing::deliver::deliver(&t.app, &claim).await.unwrap();
        assert_eq!(states(&t.post(&post.id).await), [State::Cancelled; 3]);
    }

    async fn a_rollback_takes_the_last_part_first(t: TestApp) {
        let picture = t.upload().await;
        let (b, f) = (t.connect("bluesky").await, t.connect("facebook").await);
        let mut draft = thread(&t, &[&b]);
        draft.media = vec![picture];
        draft.deliveries.extend(commented(&t, &f).deliveries.into_iter().map(|d| DraftDelivery {
            thread: Some(Parts::FIRST), ..d
        }));
        let post = t.schedule(draft).await;
        t.pass(HOUR).await;
        assert_eq!(states(&t.post(&post.id).await), [State::Published; 5]);
        let done = rollback::post(&t.app, &t.workspace, &post.id).await.unwrap();
        assert!(done.results.iter().all(|r| r.result == "deleted"), "{:?}", done.results);
        let order: Vec<usize> = done.results.iter().map(|r| {
            post.deliveries.iter().position(|d| d.id == r.delivery_id).unwrap()
        }).collect();
        assert_eq!(order, [4, 2, 1, 0, 3]);
        assert_eq!(done.post.state, PostState::Draft);
        assert!(t.visible("bluesky").is_empty() && t.visible("facebook").is_empty());
    }

    async fn what_a_network_cannot_is_refused_by_name(t: TestApp) {
        let (m, f, b) = (t.connect("mastodon").await, t.connect("facebook").await, t.connect("bluesky").await);
        let one = |code: &str, field: &str| vec![(code.to_owned(), field.to_owned())];
        assert_eq!(refused(&t, thread(&t, &[&m, &f])).await, one("thread_unsupported", "deliveries[1].thread"));
        assert_eq!(refused(&t, commented(&t, &b)).await, one("comment_unsupported", "deliveries[0].firstComment"));
        let mut long = thread(&t, &[&b]);
        long.thread[1].text = "x".repeat(301);
        assert_eq!(refused(&t, long).await, one("text_too_long", "deliveries[0].thread[1]"));
        let mut pictured = thread(&t, &[&b]);
        pictured.thread[0].media = vec![t.upload().await];
        assert_eq!(refused(&t, pictured).await, one("thread_media_unsupported", "thread[0].media"));
        let mut nowhere = thread(&t, &[&f]);
        nowhere.deliveries[0].thread = Some(Parts::FIRST);
        assert_eq!(refused(&t, nowhere).await, one("thread_unused", "thread"));
        let alone = vec![DraftDelivery { placement: Some("reply".into()), ..to(&m) }];
        let alone = Draft { deliveries: alone, ..t.draft("Alone", &[]) };
        assert_eq!(refused(&t, alone).await, one("unknown_placement", "deliveries[0].placement"));

        let mut some = thread(&t, &[&m, &f]);
        some.deliveries[1].thread = Some(Parts::FIRST);
        let post = t.schedule(some).await;
        t.pass(HOUR).await;
        assert_eq!(t.post(&post.id).await.state, PostState::Published);
        assert_eq!((t.visible("mastodon").len(), t.visible("facebook").len()), (3, 1));
    }

    /// A draft keeps its thread before anybody is chosen to take it.
    async fn a_draft_keeps_its_thread(t: TestApp) {
        let post = t.schedule(Draft { draft: true, ..thread(&t, &[]) }).await;
        assert_eq!((post.thread.len(), post.deliveries.len()), (2, 0));
        let b = t.connect("bluesky").await;
        let change = Change { version: 1, draft: Some(false), deliveries: Some(vec![to(&b)]), ..Change::default() };
        let post = schedule::edit(&t.app, &t.workspace, &post.id, change).await.unwrap();
        assert_eq!((post.thread.len(), post.deliveries.len()), (2, 3));
        t.pass(HOUR).await;
        assert_thread(&t.visible("bluesky"), "edited");
    }

    /// A network can have parts of its own, and keeps them when something else is edited.
    async fn a_delivery_has_parts_of_its_own(t: TestApp) {
        let (b, m) = (t.connect("bluesky").await, t.connect("mastodon").await);
        let mut draft = thread(&t, &[&b, &m]);
        // More of them than what is shared: it is not taken for that.
        draft.deliveries[1].thread = Some(Parts::Own(parts(&["Two.", "Three.", "Four."])));
        let mut wrong = draft.clone();
        wrong.deliveries[1].thread = Some(Parts::Own(parts(&["x".repeat(501).as_str(), ""])));
        assert_eq!(refused(&t, wrong).await, [
            ("text_too_long".to_owned(), "deliveries[1].thread[0]".to_owned()),
            ("text_required".to_owned(), "deliveries[1].thread[1]".to_owned()),
        ]);
        let post = t.schedule(draft).await;
        let texts = |post: &PostView| -> Vec<Option<String>> {
            post.deliveries.iter().map(|d| d.text.clone()).collect()
        };
        assert_eq!((post.thread.len(), post.deliveries.len()), (2, 7), "{:#?}", post.deliveries);
        let change = |version, change: Change| {
            let quiet = Change { version, allow_collision: true, allow_duplicate: true, ..change };
            schedule::edit(&t.app, &t.workspace, &post.id, quiet)
        };
        let other = change(1, Change { text: Some("One, later.".into()), ..Change::default() }).await.unwrap();
        assert_eq!(texts(&other), texts(&post));
        let shorter = Change { thread: Some(parts(&["Two, shared."])), ..Change::default() };
        let shorter = change(2, shorter).await.unwrap();
        assert_eq!(texts(&shorter)[1..2], [Some("Two, shared.".into())]);
        assert_eq!(texts(&shorter)[3..], texts(&post)[4..], "its own stays");
        let shared = vec![to(&b), DraftDelivery { thread: Some(Parts::Share(Share::All)), ..to(&m) }];
        let shared = change(3, Change { deliveries: Some(shared), ..Change::default() }).await.unwrap();
        assert_eq!(texts(&shared)[3].as_deref(), Some("Two, shared."));
        let none = vec![to(&b), DraftDelivery { thread: Some(Parts::Own(Vec::new())), ..to(&m) }];
        let none = change(4, Change { deliveries: Some(none), ..Change::default() }).await.unwrap();
        assert_eq!(none.deliveries.len(), 3);
        t.pass(HOUR).await;
        let live: Vec<String> = t.visible("mastodon").into_iter().map(|p| p.text).collect();
        assert_eq!(live, ["One, later."]);
        assert_eq!(t.visible("bluesky").len(), 2);
    }

    /// An edit says what changes; the rest of a thread stays as it was.
    async fn a_thread_is_edited_before_its_time(t: TestApp) {
        let (m, f) = (t.connect("mastodon").await, t.connect("facebook").await);
        let mut draft = thread(&t, &[&m]);
        draft.deliveries.extend(commented(&t, &f).deliveries.into_iter().map(|d| DraftDelivery {
            thread: Some(Parts::FIRST), ..d
        }));
        let post = t.schedule(Draft { draft: true, ..draft }).await;
        assert_eq!((states(&post), post.state), (vec![State::Draft; 5], PostState::Draft));
        let edit = |version, change: Change| {
            let (app, ws, id) = (t.app.clone(), t.workspace.clone(), post.id.clone());
            async move { schedule::edit(&app, &ws, &id, Change { version, ..change }).await.unwrap() }
        };
        let texts = |post: &PostView| -> Vec<Option<String>> {
            post.deliveries.iter().map(|d| d.text.clone()).collect()
        };
        // Committed, with the whole list of deliveries, which says nothing of what follows them.
        let all = Some(vec![to(&m), to(&f)]);
        let quiet = Change { allow_collision: true, allow_duplicate: true, ..Change::default() };
        let same = edit(1, Change { draft: Some(false), deliveries: all, ..quiet.clone() }).await;
        assert_eq!(texts(&same), texts(&post));
        assert_eq!(states(&same), [State::Queued; 5]);
        let shorter = edit(2, Change { thread: Some(parts(&["Two, changed."])), ..quiet.clone() }).await;
        assert_eq!(texts(&shorter)[1].as_deref(), Some("Two, changed."));
        assert_eq!(shorter.deliveries.len(), 4);
        let longer = edit(3, Change { thread: Some(parts(&THREAD[1..])), ..quiet.clone() }).await;
        assert_eq!(texts(&longer), texts(&post));
        let bare = vec![to(&m), DraftDelivery { first_comment: Some(String::new()), ..to(&f) }];
        let bare = edit(4, Change { deliveries: Some(bare), ..quiet }).await;
        assert_eq!(bare.deliveries.len(), 4);
        let to_time = schedule::Move {
            scheduled_at: carillon::domain::when::iso(t.clock.now() + 1_200_000),
            allow_collision: true,
            allow_duplicate: true,
            ..schedule::Move::default()
        };
        schedule::move_to(&t.app, &t.workspace, &post.id, to_time).await.unwrap();
        t.pass(Duration::from_secs(1_100)).await;
        assert!(t.visible("mastodon").is_empty());
        t.pass(HOUR).await;
        assert_thread(&t.visible("mastodon"), "edited");
        assert_eq!(t.visible("facebook").len(), 1);
    }
}

/// One claim and what it leads to.
async fn step(t: &TestApp) {
    use carillon::domain::job::Pool;
    use carillon::store::queue;
    let now = t.clock.now();
    let claims = t.app.db.write(move |tx| async move {
        queue::claim(&tx, Pool::Send, 1, "a worker", now, now + 60_000).await
    });
    for claim in claims.await.unwrap() {
        carillon::publishing::deliver::deliver(&t.app, &claim).await.unwrap();
    }
}
