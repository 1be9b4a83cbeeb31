//! Telegram against the sandbox: blind, so a lost answer stays a doubt and nothing is sent twice.

use std::time::Duration;

use carillon_networks::telegram::Telegram;
use carillon_networks::{Applied, Class, Network, Prepared, Published, Remote, Rendition};
use carillon_sandbox::{Calls, Trouble};

use crate::facebook::torn;
use crate::support::{Desk, jpeg, mp4, post, to_the_brim};

const TOKEN: &str = "123:sandbox-alice";

async fn desk() -> Desk {
    desk_with("@news", TOKEN).await
}

async fn desk_with(chat: &str, token: &str) -> Desk {
    Desk::open(&Telegram, &[("chatId", chat)], &[("botToken", token)]).await
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    assert_eq!(Telegram.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match Telegram.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_channel_is_checked_for_the_right_to_post() {
    let identity = Telegram.check(&desk().await.cx()).await.unwrap();
    assert_eq!(identity.name, "@news");
    assert!(identity.remote_id.starts_with("-100"), "{identity:?}");
    for (chat, token, class) in [
        ("@news", "123:no-such-token", Class::Auth),
        ("@news", "no token at all", Class::Auth),
        ("@news", "", Class::Config),
        ("", TOKEN, Class::Config),
        ("@nochat", TOKEN, Class::Config),
        ("@noadmin", TOKEN, Class::Auth),
    ] {
        let error = Telegram.check(&desk_with(chat, token).await.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{chat}: {error:?}");
        assert!(!error.sentence.contains("no-such-token"), "{}", error.sentence);
    }
}

#[tokio::test]
async fn text_pictures_and_albums_are_posted_and_deleted() {
    let desk = desk().await;
    // As written: nothing in it is markup.
    let text = post("message", "*Hello* <b>world</b> & https://example.com/_a_", vec![]);
    let one = post("message", "One picture", vec![jpeg(90, 60, 1)]);
    let bare = post("message", "", vec![jpeg(90, 60, 2)]);
    let album = post("message", "Three", (3..6).map(|i| jpeg(90, 60, i)).collect());
    let all = [text, one, bare, album];
    let mut remotes = Vec::new();
    for out in &all {
        remotes.push(publish(&desk, out).await);
    }
    let seen = desk.visible();
    assert_eq!(seen.len(), 4);
    for ((out, remote), seen) in all.iter().zip(&remotes).zip(&seen) {
        assert_eq!((&seen.text, seen.media.len()), (&out.text, out.media.len()));
        assert!(remote.id.starts_with(&seen.id), "{} {}", remote.id, seen.id);
        assert!(desk.opens(remote).await, "{remote:?}");
    }
    assert_eq!(remotes[3].id.split(',').count(), 3);
    for remote in &remotes {
        Telegram.delete(&desk.cx(), &remote.id).await.unwrap();
        Telegram.delete(&desk.cx(), &remote.id).await.unwrap();
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_lost_answer_stays_a_doubt() {
    for (trouble, visible) in [
        (Trouble::ResetAfterAccept, 1),
        (Trouble::Garbage, 1),
        (Trouble::ResetBeforeAccept, 0),
        (Trouble::Slow, 0),
    ] {
        for media in [vec![], vec![jpeg(90, 60, 1)], vec![jpeg(90, 60, 1), jpeg(90, 60, 2)]] {
            let desk = desk().await;
            desk.fault(Calls::Publish, trouble);
            let cx = desk.cx_within(Duration::from_secs(2));
            let error = Telegram.publish(&cx, &post("message", "Once", media)).await.unwrap_err();
            let doubt = (Class::Unknown, Applied::Maybe);
            assert_eq!((error.class, error.applied), doubt, "{trouble:?}: {error:?}");
            assert!(!error.sentence.contains("sandbox-alice"), "{}", error.sentence);
            assert_eq!(desk.visible().len(), visible, "{trouble:?}");
        }
    }
}

#[tokio::test]
async fn refusals_say_when_and_what() {
    let desk = desk().await;
    let out = post("message", "Hello", vec![]);
    for (trouble, class, applied) in [
        (Trouble::RateLimit, Class::RateLimit, Applied::No),
        (Trouble::Auth, Class::Auth, Applied::No),
        (Trouble::ServerError, Class::Transient, Applied::Maybe),
    ] {
        desk.fault(Calls::Publish, trouble);
        let error = Telegram.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, applied), "{error:?}");
        let wait = (class == Class::RateLimit).then_some(Duration::from_secs(30));
        assert_eq!(error.retry_after, wait);
        assert!(!error.sentence.contains("sandbox-alice"), "{}", error.sentence);
    }
    for refused in [
        post("message", "", vec![]),
        post("message", &"x".repeat(4_097), vec![]),
        post("message", &"x".repeat(1_025), vec![jpeg(90, 60, 1)]),
        post("message", "Too long a picture", vec![jpeg(9_000, 60, 1)]),
    ] {
        let error = Telegram.publish(&desk.cx(), &refused).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn text_is_counted_as_the_network_counts() {
    let desk = desk().await;
    for begin in ["", "👩‍👩‍👧 🇩🇪 e\u{301} "] {
        for (max, media) in [(4_096, vec![]), (1_024, vec![jpeg(90, 60, 1)])] {
            let [fits, over] = to_the_brim(&Telegram, begin, max);
            publish(&desk, &post("message", &fits, media.clone())).await;
            let over = post("message", &over, media);
            let error = Telegram.publish(&desk.cx(), &over).await.unwrap_err();
            assert_eq!(error.class, Class::Content, "{max}");
        }
    }
}

#[tokio::test]
async fn videos_are_posted_alone_and_among_pictures() {
    let desk = desk().await;
    let alone = post("message", "A film", vec![torn(mp4(640, 360, 30, 3_000_000), u64::MAX).1]);
    let media = vec![jpeg(90, 60, 1), mp4(640, 360, 5, 100), jpeg(90, 60, 2)];
    let album = post("message", "All", media);
    for out in [&alone, &album] {
        let remote = publish(&desk, out).await;
        assert!(desk.opens(&remote).await, "{remote:?}");
    }
    let kinds =
        |at: usize| -> Vec<_> { desk.visible()[at].media.iter().map(|m| m.kind.clone()).collect() };
    assert_eq!(
        (kinds(0), kinds(1)),
        (vec!["video".to_owned()], ["image", "video", "image"].map(str::to_owned).to_vec())
    );
    assert_eq!(desk.visible()[0].media[0].bytes as u64, alone.media[0].size());
    let sent = desk.sandbox.requests("telegram");
    assert!(sent[0].path.ends_with("/sendVideo"), "{}", sent[0].path);
    assert!(sent[0].body.contains("duration=30"), "{}", sent[0].body);
}
