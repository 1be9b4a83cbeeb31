//! A Matrix room against the sandbox: keyed by transaction for twenty minutes, found by its marker
//! after that.

use std::time::Duration;

use carillon_networks::matrix::Matrix;
use carillon_networks::{
    Applied, Class, Network, Prepared, Published, Remote, Rendition, ReplyTo, Secret, Window,
};
use carillon_sandbox::{Calls, Trouble};

use crate::support::{Desk, jpeg, only, post};

async fn desk() -> Desk {
    Desk::of(&Matrix).await
}

async fn desk_at(room: &str) -> Desk {
    let mut desk = desk().await;
    desk.account = desk.with("room", room);
    desk
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    assert_eq!(Matrix.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match Matrix.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn with_key(key: &str, out: &Rendition) -> Rendition {
    Rendition { key: key.to_owned(), ..out.clone() }
}

fn after(root: &Remote, parent: &Remote, text: &str) -> Rendition {
    let reply_to = Some(ReplyTo { root: root.clone(), parent: parent.clone() });
    Rendition { key: format!("after {text}"), reply_to, ..post("reply", text, vec![]) }
}

#[tokio::test]
async fn a_room_is_checked_for_everything_that_publishing_needs() {
    let identity = Matrix.check(&desk().await.cx()).await.unwrap();
    assert_eq!(identity.name, "News");
    assert_eq!(identity.settings["userId"], "@alice:sandbox");
    for (room, class, code) in [
        ("!notin:sandbox", Class::Config, "not_joined"),
        ("!encrypted:sandbox", Class::Config, "encrypted"),
        ("!readonly:sandbox", Class::Auth, "rights"),
        ("#news:sandbox", Class::Config, "room"),
        ("!", Class::Config, "room"),
    ] {
        let error = Matrix.check(&desk_at(room).await.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{room}: {error:?}");
        assert_eq!(error.code.as_deref(), Some(code), "{room}");
    }
    // Letters that mean something in an address do not.
    let error = Matrix.check(&desk_at("!a/../b?c#d:sandbox").await.cx()).await;
    assert!(error.is_err());
}

#[tokio::test]
async fn text_and_a_picture_with_its_caption_are_posted_and_redacted() {
    let mut desk = desk().await;
    desk.account.settings.extend(Matrix.check(&desk.cx()).await.unwrap().settings);
    let text = post("message", "@room *Hello* <b>world</b>\n\nhttps://example.com/_a_", vec![]);
    let caption = with_key("b", &post("message", "One picture", vec![jpeg(90, 60, 1)]));
    let bare = with_key("c", &post("message", "", vec![jpeg(90, 60, 2)]));
    let all = [text, caption, bare];
    let mut remotes = Vec::new();
    for out in &all {
        let remote = publish(&desk, out).await;
        let found = Matrix.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), &remote);
        remotes.push(remote);
    }
    let seen = desk.visible();
    for ((out, remote), seen) in all.iter().zip(&remotes).zip(&seen) {
        assert_eq!((&seen.text, &seen.id), (&out.text, &remote.id));
        assert_eq!(seen.media.len(), out.media.len());
        let url = remote.url.as_deref().unwrap();
        assert!(
            url.starts_with("https://matrix.to/#/%21") && url.ends_with("?via=sandbox"),
            "{url}"
        );
    }
    let sent = desk.sandbox.requests("matrix");
    let sent: Vec<_> = sent.iter().filter(|r| r.call == Calls::Publish).collect();
    assert!(sent.iter().all(|r| r.body.contains(r#""m.mentions":{}"#)), "nobody is pinged");
    for remote in &remotes {
        for _ in 0..2 {
            Matrix.delete(&desk.cx(), &remote.id).await.unwrap();
        }
    }
    assert!(desk.visible().is_empty());
    for out in &all {
        assert_eq!(Matrix.look_up(&desk.cx(), out, desk.window()).await.unwrap(), [], "redacted");
    }
}

#[tokio::test]
async fn the_same_transaction_is_one_message_for_a_while() {
    let desk = desk().await;
    let out = post("message", "Once", vec![jpeg(90, 60, 1)]);
    let first = publish(&desk, &out).await;
    desk.pass(Duration::from_secs(19 * 60));
    assert_eq!(publish(&desk, &out).await, first);
    assert_eq!(desk.visible().len(), 1);
    desk.pass(Duration::from_secs(3_600));
    let then = Window { since: out.created_at - 60_000, until: desk.now() };
    let found = Matrix.look_up(&desk.cx(), &out, then).await.unwrap();
    assert_eq!(only(&found), &first);
    assert_ne!(publish(&desk, &out).await, first, "which is why it is looked for");
}

#[tokio::test]
async fn a_picture_is_uploaded_once_and_its_failure_is_no_doubt() {
    let desk = desk().await;
    let out = post("message", "One", vec![jpeg(90, 60, 1)]);
    desk.fault(Calls::Prepare, Trouble::ResetAfterAccept);
    let error = Matrix.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    for _ in 0..2 {
        assert_eq!(Matrix.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
    }
    assert_eq!(desk.requests("POST", "/upload"), 2, "the one that was lost, and one");
    desk.kept.lose("picture");
    let error = Matrix.publish(&desk.cx(), &out).await.unwrap_err();
    assert!(error.restart && error.applied == Applied::No, "{error:?}");
}

#[tokio::test]
async fn a_thread_names_its_head_and_what_stands_before() {
    let desk = desk().await;
    let head = publish(&desk, &post("message", "The head", vec![])).await;
    let other = publish(&desk, &with_key("other", &post("message", "The head", vec![]))).await;
    let first = after(&head, &head, "And more");
    let one = publish(&desk, &first).await;
    let second = after(&head, &one, "And still more");
    let two = publish(&desk, &second).await;
    for (out, remote) in [(&first, &one), (&second, &two)] {
        let found = Matrix.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), remote);
    }
    let seen = desk.visible();
    assert_eq!([&seen[2].reply_to, &seen[3].reply_to], [&Some(head.id.clone()), &Some(head.id)]);
    let elsewhere = Rendition { key: first.key.clone(), ..after(&other, &other, "And more") };
    assert_eq!(Matrix.look_up(&desk.cx(), &elsewhere, desk.window()).await.unwrap(), []);
    let alone = Rendition { key: first.key.clone(), ..post("message", "And more", vec![]) };
    assert_eq!(Matrix.look_up(&desk.cx(), &alone, desk.window()).await.unwrap(), []);

    let unknown = Remote { id: format!("{}0", other.id), url: None };
    let error = Matrix.publish(&desk.cx(), &after(&unknown, &unknown, "No")).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    let away = Remote { id: "!away:sandbox/$e".into(), url: None };
    let error = Matrix.publish(&desk.cx(), &after(&away, &away, "No")).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("other_room"));
}

#[tokio::test]
async fn only_the_own_message_is_taken_for_ours() {
    let mut desk = desk().await;
    let out = post("message", "Good morning", vec![]);
    publish(&desk, &with_key("same words", &out)).await;
    // Another account in the room carries the very same marker.
    let alice = desk.account.secret("accessToken").unwrap();
    let hold = |desk: &Desk, token: Secret| {
        desk.account.secrets.lock().unwrap().insert("accessToken".into(), token);
    };
    hold(&desk, Secret::new("sandbox-bob"));
    publish(&desk, &out).await;
    hold(&desk, alice.clone());
    assert_eq!(Matrix.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let ours = publish(&desk, &out).await;
    // A busy room: whole pages are of somebody else, and the filter leaves them empty.
    hold(&desk, Secret::new("sandbox-bob"));
    for i in 0..250 {
        publish(&desk, &with_key(&format!("{i}"), &out)).await;
    }
    hold(&desk, alice);
    desk.account.settings.insert("userId".into(), "@alice:sandbox".into());
    let before = desk.requests("GET", "/messages");
    let found = Matrix.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found).id, ours.id);
    assert_eq!(desk.requests("GET", "/messages") - before, 3);
    desk.pass(Duration::from_secs(86_400));
    assert_eq!(Matrix.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), [], "of yesterday");
}

#[tokio::test]
async fn limits_and_ids_are_those_of_the_network() {
    let desk = desk().await;
    publish(&desk, &post("message", &"é".repeat(30_000), vec![])).await;
    for refused in [String::new(), "x".repeat(65_000)] {
        let out = with_key("refused", &post("message", &refused, vec![]));
        let error = Matrix.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    desk.fault(Calls::Publish, Trouble::RateLimit);
    let error = Matrix.publish(&desk.cx(), &post("message", "Hi", vec![])).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(30)), "{error:?}");
    let gone = format!("{}/$unknown", desk.account.settings["room"]);
    Matrix.delete(&desk.cx(), &gone).await.unwrap();
    for bad in ["", "$e", "!a:b", "../$e", "!a:b/e"] {
        assert_eq!(Matrix.delete(&desk.cx(), bad).await.unwrap_err().class, Class::Content);
    }
    let error = Matrix.delete(&desk.cx(), "!notin:sandbox/$e").await.unwrap_err();
    assert_eq!(error.class, Class::Auth, "not in the room is not gone");
}
