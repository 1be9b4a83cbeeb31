//! X against the sandbox: its weights, threads, albums, short links and rotating tokens.

use std::time::Duration;

use carillon_networks::x::X;
use carillon_networks::{
    Applied, Class, Network, Prepared, Published, Remote, Rendition, ReplyTo, Window,
};

use crate::consent;
use crate::support::{Desk, jpeg, only, post, to_the_brim};

async fn send(desk: &Desk, key: &str, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    let out = Rendition { key: key.to_owned(), ..out.clone() };
    assert_eq!(X.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
    match X.publish(&desk.cx(), &out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn after(parent: &Remote, text: &str) -> Rendition {
    let reply_to = Some(ReplyTo { root: parent.clone(), parent: parent.clone() });
    Rendition { reply_to, ..post("reply", text, vec![]) }
}

#[tokio::test]
async fn texts_are_weighed_as_x_weighs_them() {
    let desk = Desk::of(&X).await;
    for begin in [
        "Plain ",
        "焼きたてのパン ",
        "🇩🇪 👍🏽 1️⃣ ",
        "see https://a.io/b?c=d and example.com/a, ",
        "“–” é ½ ",
    ] {
        let [fits, over] = to_the_brim(&X, begin, 280);
        send(&desk, &fits, &post("feed", &fits, vec![])).await;
        let error = X.publish(&desk.cx(), &post("feed", &over, vec![])).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{over}");
    }
}

#[tokio::test]
async fn an_album_is_uploaded_once_and_described() {
    let desk = Desk::of(&X).await;
    let out = post("feed", "", (1..=4).map(|i| jpeg(90, 60, i)).collect());
    assert_eq!(X.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
    assert_eq!(X.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
    assert_eq!((desk.requests("POST", "/upload"), desk.requests("POST", "/metadata")), (4, 4));
    desk.kept.lose("media:2");
    assert_eq!(X.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
    // A new upload has to be described anew.
    assert_eq!((desk.requests("POST", "/upload"), desk.requests("POST", "/metadata")), (5, 5));
    let Published::Accepted(remote) = X.publish(&desk.cx(), &out).await.unwrap() else { panic!() };
    let seen = &desk.visible()[0];
    let alts: Vec<_> = seen.media.iter().map(|m| &m.alt).collect();
    assert_eq!(alts, out.media.iter().map(|m| &m.alt).collect::<Vec<_>>());
    let found = X.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found).id, remote.id);
}

#[tokio::test]
async fn an_upload_that_x_forgot_is_made_again() {
    let desk = Desk::of(&X).await;
    let out = post("feed", "Late", vec![jpeg(90, 60, 1)]);
    X.prepare(&desk.cx(), &out).await.unwrap();
    desk.pass(Duration::from_secs(21 * 3_600));
    // Nothing is sent with an upload that may be gone.
    let error = X.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.applied, error.restart), (Applied::No, true), "{error:?}");
    assert_eq!(desk.requests("POST", "/2/tweets"), 0);
    X.prepare(&desk.cx(), &out).await.unwrap();
    X.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(desk.visible().len(), 1);

    // It is X that says so, too.
    let out = post("feed", "Lost", vec![jpeg(90, 60, 2)]);
    desk.kept.lose("media:0");
    X.prepare(&desk.cx(), &out).await.unwrap();
    let saved = desk.kept.all()["media:0"].clone();
    let other = serde_json::json!({ "id": "1", "at": saved["at"] });
    carillon_networks::Keeper::checkpoint(&desk.kept, "media:0", &other).await.unwrap();
    let error = X.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    assert!(error.restart);
}

#[tokio::test]
async fn a_thread_hangs_together_and_each_part_is_found() {
    let desk = Desk::of(&X).await;
    let first = send(&desk, "1", &post("feed", "One of three", vec![])).await;
    let second = send(&desk, "2", &after(&first, "And so on")).await;
    let out = Rendition {
        reply_to: Some(ReplyTo { root: first.clone(), parent: second.clone() }),
        ..post("reply", "And so on", vec![])
    };
    let third = send(&desk, "3", &out).await;
    let parents: Vec<_> = desk.visible().into_iter().map(|p| p.reply_to).collect();
    assert_eq!(parents, [None, Some(first.id.clone()), Some(second.id.clone())]);
    // The same words in two places of the thread are two things.
    let found = X.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found).id, third.id);
    let found = X.look_up(&desk.cx(), &after(&first, "And so on"), desk.window()).await.unwrap();
    assert_eq!(only(&found).id, second.id);
    let head = post("feed", "And so on", vec![]);
    assert_eq!(X.look_up(&desk.cx(), &head, desk.window()).await.unwrap(), []);

    X.delete(&desk.cx(), &third.id).await.unwrap();
    X.delete(&desk.cx(), &third.id).await.unwrap();
    let error = X.publish(&desk.cx(), &after(&third, "More")).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
}

#[tokio::test]
async fn only_the_own_post_is_taken_for_ours() {
    let desk = Desk::of(&X).await;
    let words = "New: https://a.example/one & more <3 example.com";
    let out = post("feed", words, vec![]);
    send(&desk, "old", &out).await;
    desk.pass(Duration::from_secs(2 * 86_400));
    send(&desk, "link", &post("feed", &words.replace("one", "two"), vec![])).await;
    send(&desk, "media", &post("feed", words, vec![jpeg(90, 60, 1)])).await;
    let error = X.delete(&desk.cx(), "1/../me").await.unwrap_err();
    assert_eq!(error.class, Class::Content);
    assert_eq!(X.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let ours = send(&desk, "ours", &out).await;
    for i in 0..230 {
        send(&desk, &i.to_string(), &post("feed", &format!("More, {i}"), vec![])).await;
    }
    let found = X.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &Remote { id: ours.id.clone(), url: only(&found).url.clone() });
    assert_eq!(desk.requests("GET", "/tweets"), 4, "one, and three pages of a hundred");
    // Only what is in the window is asked for.
    let later = Window { since: desk.now() + 1_000, until: desk.now() + 2_000 };
    assert_eq!(X.look_up(&desk.cx(), &out, later).await.unwrap(), []);
    assert_eq!(desk.requests("GET", "/tweets"), 5);
}

#[tokio::test]
async fn the_same_words_again_are_a_duplicate_without_a_name() {
    let desk = Desk::of(&X).await;
    let out = post("feed", "Once", vec![]);
    send(&desk, "first", &out).await;
    let error = X.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Duplicate, Applied::No), "{error:?}");
    assert_eq!(error.existing, None);
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn a_consent_brings_tokens_that_rotate() {
    let desk = Desk::of(&X).await;
    let tokens = consent::round_trip(&desk, &X, Duration::from_secs(7_200)).await;
    assert!(tokens.refresh.is_some(), "the old one works no more");

    // Without the right to upload, a picture is refused before anything is visible.
    let code = consent::code(&desk, &X, "alice", &["media.write"]).await;
    let less = consent::exchange(&desk, &X, code).await.unwrap();
    let account = consent::app(&desk, &[("accessToken", less.access.reveal())]);
    let out = post("feed", "Hello", vec![jpeg(90, 60, 1)]);
    let error = X.prepare(&consent::cx(&desk, &account), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    // A code is good for half a minute.
    let code = consent::code(&desk, &X, "alice", &[]).await;
    desk.pass(Duration::from_secs(30));
    let error = consent::exchange(&desk, &X, code).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    X.revoke(&consent::cx(&desk, &account)).await.unwrap();
    let error = X.check(&consent::cx(&desk, &account)).await.unwrap_err();
    assert_eq!(error.class, Class::Auth);
}

#[tokio::test]
async fn who_it_is_is_learnt_once() {
    let desk = Desk::of(&X).await;
    let identity = X.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "@alice");
    let settings: Vec<_> =
        identity.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let known = crate::support::account(&settings, &[("accessToken", "sandbox-alice")]);
    let cx = consent::cx(&desk, &known);
    let Published::Accepted(remote) = X.publish(&cx, &post("feed", "Hi", vec![])).await.unwrap()
    else {
        panic!()
    };
    let asked = desk.requests("GET", "/me");
    X.look_up(&cx, &post("feed", "Hi", vec![]), desk.window()).await.unwrap();
    assert_eq!(desk.requests("GET", "/me"), asked);
    assert_eq!(remote.url, Some(format!("https://x.com/alice/status/{}", remote.id)));
}
