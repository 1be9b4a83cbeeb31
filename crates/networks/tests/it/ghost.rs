//! Ghost against the sandbox: tokens of our own making, drafts, and changes in between.

use std::time::Duration;

use carillon_networks::ghost::Ghost;
use carillon_networks::{
    Applied, Class, Context, Keeper, Network, Polled, Prepared, Published, Remote, Rendition,
};
use carillon_sandbox::{Calls, Fault, Trouble};
use serde_json::json;

use crate::support::{Desk, jpeg, post};

fn article(title: &str, text: &str) -> Rendition {
    Rendition { title: Some(title.to_owned()), ..post("article", text, vec![]) }
}

/// Another delivery: no handles of the one before.
async fn publish(desk: &Desk, key: &str, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    let out = Rendition { key: key.to_owned(), ..out.clone() };
    assert_eq!(Ghost.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
    match Ghost.publish(&desk.cx(), &out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_article_is_drafted_published_and_deleted() {
    let desk = Desk::of(&Ghost).await;
    let mut out =
        article("Bread & “more”", "One <b>\ntwo\n\nhttps://a.example/?b=1&c=2\n\n#Bakery #flour");
    out.media = vec![jpeg(90, 60, 1), jpeg(60, 90, 2)];
    Ghost.prepare(&desk.cx(), &out).await.unwrap();
    assert!(desk.visible().is_empty());
    assert!(matches!(Ghost.poll(&desk.cx(), &out).await, Ok(Polled::NotPublished)));
    let Published::Accepted(remote) = Ghost.publish(&desk.cx(), &out).await.unwrap() else {
        panic!("not accepted")
    };
    assert!(desk.opens(&remote).await, "{remote:?}");
    let seen = &desk.visible()[0];
    assert_eq!(seen.text, "Bread & “more”\n\nOne <b>\ntwo\n\nhttps://a.example/?b=1&c=2");
    let alts: Vec<_> = seen.media.iter().map(|m| (m.kind.as_str(), m.alt.as_str())).collect();
    assert_eq!(alts, [("image", "Picture “1”"), ("image", "Picture “2”")]);
    assert_eq!(desk.requests("POST", "/images/upload"), 2);
    let bodies: Vec<_> = desk.sandbox.requests("ghost").into_iter().map(|r| r.body).collect();
    assert!(bodies.iter().any(|body| body.contains(r#""tags":["bakery","flour"]"#)), "{bodies:?}");

    for no_id in ["", "../site", "a/b", "slug:x"] {
        let error = Ghost.delete(&desk.cx(), no_id).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Content, None), "{no_id}");
    }
    Ghost.delete(&desk.cx(), &remote.id).await.unwrap();
    assert!(desk.visible().is_empty());
    match Ghost.poll(&desk.cx(), &out).await.unwrap() {
        Polled::Gone(error) => assert!(error.restart),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn publishing_twice_is_one_article() {
    let desk = Desk::of(&Ghost).await;
    let out = article("Bread", "Fresh bread");
    let first = publish(&desk, "key", &out).await;
    desk.pass(Duration::from_secs(60));
    // With the `updated_at` of before: Ghost takes a stale one where nothing changes.
    let Published::Accepted(again) = Ghost.publish(&desk.cx(), &out).await.unwrap() else {
        panic!("not accepted")
    };
    assert_eq!((again, desk.visible().len()), (first.clone(), 1));
    // Another delivery with the same words is another article, for all its like slug.
    assert_ne!(publish(&desk, "another", &out).await.id, first.id);
    assert_eq!(desk.visible().len(), 2);
}

#[tokio::test]
async fn a_draft_that_somebody_touched_is_read_again() {
    let desk = Desk::of(&Ghost).await;
    let out = article("Bread", "Fresh bread");
    Ghost.prepare(&desk.cx(), &out).await.unwrap();
    // As if somebody had saved it in Ghost's editor since.
    desk.kept.checkpoint("updated", &json!("2026-11-22T09:00:00.000Z")).await.unwrap();
    let error = Ghost.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    assert_eq!(error.code.as_deref(), Some("UpdateCollisionError"));
    assert!(matches!(Ghost.poll(&desk.cx(), &out).await, Ok(Polled::NotPublished)));
    Ghost.prepare(&desk.cx(), &out).await.unwrap();
    Ghost.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(desk.visible().len(), 1);
    assert_eq!(desk.requests("POST", "/posts"), 1, "one draft");
}

#[tokio::test]
async fn a_draft_whose_answer_was_lost_is_found_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage, Trouble::ResetBeforeAccept] {
        let desk = Desk::of(&Ghost).await;
        let out = article("Bread", "Fresh bread");
        desk.sandbox.add_fault(Fault::new("ghost", Calls::Prepare, trouble));
        Ghost.prepare(&desk.cx(), &out).await.unwrap_err();
        Ghost.prepare(&desk.cx(), &out).await.unwrap();
        let lost = if trouble == Trouble::ResetBeforeAccept { 2 } else { 1 };
        assert_eq!(desk.requests("POST", "/posts"), lost, "{trouble:?}");
        Ghost.publish(&desk.cx(), &out).await.unwrap();
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn a_draft_that_is_gone_is_made_anew_with_the_same_pictures() {
    let desk = Desk::of(&Ghost).await;
    let out = Rendition { media: vec![jpeg(90, 60, 1)], ..article("Bread", "Fresh bread") };
    Ghost.prepare(&desk.cx(), &out).await.unwrap();
    let draft = desk.kept.all()["post"].as_str().unwrap().to_owned();
    Ghost.delete(&desk.cx(), &draft).await.unwrap();
    let error = Ghost.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied, error.restart), (Class::Transient, Applied::No, true));
    Ghost.prepare(&desk.cx(), &out).await.unwrap();
    Ghost.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(desk.visible()[0].media.len(), 1);
    assert_eq!(desk.requests("POST", "/images/upload"), 1);
}

#[tokio::test]
async fn a_key_is_checked_and_so_is_the_clock() {
    let desk = Desk::of(&Ghost).await;
    let identity = Ghost.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "Carillon sandbox");
    let (http, base, keeper) = desk.parts();
    let second = Duration::from_secs(5);
    // The right number with another's secret.
    let bob = desk.sandbox.fields("ghost", "bob").remove(1).1;
    let (_, secret) = bob.split_once(':').unwrap();
    let mixed = desk.with("adminKey", &format!("616c696365:{secret}"));
    let cx = Context::new(http, &mixed, base, desk.now(), second, <_>::default(), keeper);
    let error = Ghost.check(&cx).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("INVALID_JWT")));
    let late = desk.now() - 6 * 60_000;
    let cx = Context::new(http, &desk.account, base, late, second, <_>::default(), keeper);
    let error = Ghost.check(&cx).await.unwrap_err();
    assert!(error.class == Class::Auth && error.sentence.contains("clocks"), "{error:?}");
    let nowhere = base.replace("/ghost", "/mastodon");
    let cx =
        Context::new(http, &desk.account, &nowhere, desk.now(), second, <_>::default(), keeper);
    let error = Ghost.check(&cx).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_deref()),
        (Class::Config, Some("no_ghost")),
        "{error:?}"
    );
}

#[tokio::test]
async fn limits_are_those_of_the_network() {
    let desk = Desk::of(&Ghost).await;
    publish(&desk, "a", &article(&"t".repeat(255), "Text")).await;
    let mut picture = jpeg(90, 60, 1);
    picture.alt = "ä".repeat(1_000);
    publish(&desk, "b", &Rendition { media: vec![picture], ..article("Alt", "Text") }).await;
    assert_eq!(desk.visible()[1].media[0].alt.chars().count(), 191);
    publish(&desk, "c", &post("article", "Closed on Monday", vec![])).await;
    assert!(desk.visible()[2].text.starts_with("Closed on Monday"));
}
