//! Threads against the sandbox: containers for everything, its way of counting, replies, tokens
//! that are issued anew.

use std::time::Duration;

use carillon_networks::threads::Threads;
use carillon_networks::{
    Action, Applied, Class, Media, Network, Polled, Prepared, Published, Remote, Rendition, ReplyTo,
};
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::consent;
use crate::support::{Desk, hosted, jpeg, mp4, post, to_the_brim};

const DAY: Duration = Duration::from_secs(86_400);

async fn ready(desk: &Desk, out: &Rendition) -> u32 {
    for waits in 0..50 {
        match Threads.prepare(&desk.cx(), out).await.unwrap() {
            Prepared::Ready => return waits,
            Prepared::Processing { again_in } => desk.pass(again_in),
        }
    }
    panic!("the container is never finished");
}

async fn send(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    ready(desk, out).await;
    match Threads.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

async fn poll(desk: &Desk, out: &Rendition) -> Polled {
    for _ in 0..50 {
        match Threads.poll(&desk.cx(), out).await.unwrap() {
            Polled::Processing { again_in } => desk.pass(again_in),
            settled => return settled,
        }
    }
    panic!("the container is never settled");
}

async fn found(desk: &Desk, out: &Rendition) -> Remote {
    match poll(desk, out).await {
        Polled::Published(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn after(root: &Remote, parent: &Remote, text: &str) -> Rendition {
    let reply_to = Some(ReplyTo { root: root.clone(), parent: parent.clone() });
    Rendition { reply_to, ..post("reply", text, vec![]) }
}

#[tokio::test]
async fn emoji_are_counted_by_their_bytes() {
    let desk = Desk::of(&Threads).await;
    for begin in ["Grüße, 日本 ", "👩‍👩‍👧 🥐 ❤️ ", "https://example.com/a/b "]
    {
        let [fits, over] = to_the_brim(&Threads, begin, 500);
        send(&desk, &post("feed", &fits, vec![])).await;
        assert_eq!(desk.visible().last().unwrap().text, fits);
        desk.kept.lose("container");
        let error = Threads.prepare(&desk.cx(), &post("feed", &over, vec![])).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    let links: Vec<_> = (0..6).map(|i| format!("https://a.example/{i}")).collect();
    desk.kept.lose("container");
    let out = post("feed", &links.join(" "), vec![]);
    let error = Threads.prepare(&desk.cx(), &out).await.unwrap_err();
    assert!(error.sentence.contains("five links"), "{error:?}");
}

#[tokio::test]
async fn text_pictures_films_and_carousels_are_posted_and_deleted() {
    let film = || hosted(Media { id: "film".into(), ..mp4(1080, 1920, 20, 100) });
    let picture = |i| hosted(jpeg(1080, 1080, i));
    let mut twenty: Vec<Media> = (0..19).map(picture).collect();
    twenty.push(film());
    for media in [vec![], vec![picture(1)], vec![film()], vec![picture(1), film()], twenty] {
        let desk = Desk::of(&Threads).await;
        let out = post("feed", "Look", media);
        let remote = send(&desk, &out).await;
        let seen = desk.visible();
        assert_eq!((seen.len(), &seen[0].id), (1, &remote.id));
        let alts: Vec<_> = seen[0].media.iter().map(|m| &m.alt).collect();
        assert_eq!(alts, out.media.iter().map(|m| &m.alt).collect::<Vec<_>>());
        assert!(desk.opens(&remote).await, "{remote:?}");
        assert_eq!(found(&desk, &out).await, remote);
        for _ in 0..2 {
            Threads.delete(&desk.cx(), &remote.id).await.unwrap();
        }
        assert!(desk.visible().is_empty());
    }
    let desk = Desk::of(&Threads).await;
    let error = Threads.delete(&desk.cx(), "me/threads").await.unwrap_err();
    assert_eq!(error.class, Class::Content);
    let bare = post("feed", "Look", vec![jpeg(90, 90, 1)]);
    let error = Threads.prepare(&desk.cx(), &bare).await.unwrap_err();
    assert_eq!((error.class, error.action), (Class::Config, Action::AskOperator));
}

#[tokio::test]
async fn what_is_not_finished_is_not_published() {
    let desk = Desk::of(&Threads).await;
    let out = post("feed", "Too early", vec![]);
    let prepared = Threads.prepare(&desk.cx(), &out).await.unwrap();
    assert!(matches!(prepared, Prepared::Processing { .. }), "{prepared:?}");
    let error = Threads.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    assert_eq!(error.code.as_deref(), Some("24/4279009"));
    assert!(desk.visible().is_empty());
    ready(&desk, &out).await;
    Threads.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(desk.requests("POST", "/threads"), 1, "one container");
}

#[tokio::test]
async fn a_lost_answer_is_read_from_the_container_and_not_asked_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = Desk::of(&Threads).await;
        let out = post("feed", "Once", vec![hosted(jpeg(1080, 1080, 1))]);
        ready(&desk, &out).await;
        desk.fault(Calls::Publish, trouble);
        let error = Threads.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!(error.applied, Applied::Maybe, "{error:?}");
        assert_eq!(found(&desk, &out).await.id, desk.visible()[0].id);
        // Another try from the beginning sees that it is done.
        ready(&desk, &out).await;
        let again = Threads.publish(&desk.cx(), &out).await.unwrap();
        assert!(matches!(again, Published::Processing { .. }), "{again:?}");
        assert_eq!(found(&desk, &out).await.id, desk.visible()[0].id);
        assert_eq!(desk.requests("POST", "/threads_publish"), 1);
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn a_thread_hangs_together_and_its_parts_are_told_apart() {
    let desk = Desk::of(&Threads).await;
    let first = send(&desk, &post("feed", "One", vec![])).await;
    let second = send(&desk, &after(&first, &first, "And so on")).await;
    let out = after(&first, &second, "And so on");
    let third = send(&desk, &out).await;
    let parents: Vec<_> = desk.visible().into_iter().map(|p| p.reply_to).collect();
    assert_eq!(parents, [None, Some(first.id.clone()), Some(second.id.clone())]);
    // The same words in two places of the thread are two things.
    assert_eq!(found(&desk, &out).await, third);
    Threads.delete(&desk.cx(), &third.id).await.unwrap();
    desk.kept.lose("container");
    let error = Threads.prepare(&desk.cx(), &after(&first, &third, "More")).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
}

#[tokio::test]
async fn only_the_own_post_is_taken_for_ours() {
    let desk = Desk::of(&Threads).await;
    let out = post("feed", "Good morning", vec![]);
    send(&desk, &out).await;
    desk.pass(DAY);
    send(&desk, &post("feed", "Good evening", vec![])).await;
    send(&desk, &post("feed", "Good morning", vec![hosted(jpeg(1080, 1080, 1))])).await;
    for i in 0..130 {
        send(&desk, &post("feed", &format!("More, {i}"), vec![])).await;
    }
    let ours = send(&desk, &out).await;
    assert_eq!(found(&desk, &out).await, ours);
    // Two that could be it are none that is.
    let kept = desk.kept.all()["container"].clone();
    send(&desk, &out).await;
    carillon_networks::Keeper::checkpoint(&desk.kept, "container", &kept).await.unwrap();
    let error = Threads.poll(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("several"));
}

#[tokio::test]
async fn dead_containers_are_replaced() {
    let desk = Desk::of(&Threads).await;
    let out = post("feed", "Later", vec![hosted(jpeg(1080, 1080, 1)), hosted(jpeg(1080, 1080, 2))]);
    ready(&desk, &out).await;
    assert_eq!(desk.requests("POST", "/threads"), 3);
    desk.pass(DAY);
    assert!(matches!(poll(&desk, &out).await, Polled::Gone(error) if error.restart));
    ready(&desk, &out).await;
    assert_eq!(desk.requests("POST", "/threads"), 6);
    Threads.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(desk.visible()[0].media.len(), 2);

    // A film that cannot be fetched is asked for again: it is we who were away.
    let gone = Media { url: "http://127.0.0.1:9/film.mp4".into(), ..mp4(1080, 1920, 20, 10) };
    let out = post("feed", "Film", vec![gone]);
    let mut errors = Vec::new();
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    while errors.len() < 4 {
        match Threads.prepare(&desk.cx(), &out).await {
            Ok(Prepared::Processing { again_in }) => desk.pass(again_in),
            Ok(Prepared::Ready) => panic!("a film that is not there is ready"),
            Err(error) => errors.push(error.class),
        }
    }
    assert_eq!(errors, [Class::Transient; 4]);

    // One that is never finished is given up.
    desk.sandbox.add_fault(Fault::new("threads", Calls::Any, Trouble::Processing).times(1_000));
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    let out = post("feed", "Stuck", vec![]);
    let error = loop {
        match Threads.prepare(&desk.cx(), &out).await {
            Ok(Prepared::Processing { again_in }) => desk.pass(again_in),
            other => break other.unwrap_err(),
        }
    };
    assert_eq!((error.class, error.code.as_deref()), (Class::Transient, Some("container_stuck")));
}

#[tokio::test]
async fn a_consent_brings_sixty_days_that_are_renewed() {
    let desk = Desk::of(&Threads).await;
    let code = consent::code(&desk, &Threads, "alice", &["threads_delete"]).await;
    let tokens = consent::exchange(&desk, &Threads, code.clone()).await.unwrap();
    assert_eq!(tokens.expires_in, Some(60 * DAY));
    assert_eq!(tokens.refresh, None, "the same one is issued anew");
    let error = consent::exchange(&desk, &Threads, code).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    let with = |token: &str| consent::app(&desk, &[("accessToken", token)]);
    let account = with(tokens.access.reveal());
    assert_eq!(Threads.check(&consent::cx(&desk, &account)).await.unwrap().name, "@alice");
    // What was not allowed is a right that is missing.
    let out = post("feed", "Hello", vec![]);
    let remote = send(&desk, &out).await;
    let error = Threads.delete(&consent::cx(&desk, &account), &remote.id).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    let error = Threads.refresh(&consent::cx(&desk, &account)).await.unwrap_err();
    assert_eq!(error.applied, Applied::No, "too young: {error:?}");
    desk.pass(DAY);
    let newer = Threads.refresh(&consent::cx(&desk, &account)).await.unwrap();
    assert_eq!(newer.expires_in, Some(60 * DAY));
    desk.pass(59 * DAY);
    let error = Threads.check(&consent::cx(&desk, &account)).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("190/463")));
    let account = with(newer.access.reveal());
    Threads.check(&consent::cx(&desk, &account)).await.unwrap();
    desk.pass(DAY);
    let error = Threads.refresh(&consent::cx(&desk, &account)).await.unwrap_err();
    assert_eq!(error.class, Class::Auth, "{error:?}");

    // No secret stays in what is recorded of addresses.
    let said = format!("{:?}", desk.sandbox.requests("threads"));
    for secret in [tokens.access.reveal(), newer.access.reveal(), "sandbox-app-secret"] {
        assert!(!said.contains(secret), "{secret}");
    }
}
