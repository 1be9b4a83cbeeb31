//! Hashnode against the sandbox: drafts, a cache in between, and errors with a good status.

use carillon_networks::hashnode::Hashnode;
use carillon_networks::{
    Applied, Class, Keeper, Network, Polled, Prepared, Published, Remote, Rendition,
};
use carillon_sandbox::{Calls, Fault, Trouble};
use serde_json::json;

use crate::support::{Desk, hosted, jpeg, post};

fn article(title: &str, text: &str) -> Rendition {
    Rendition { title: Some(title.to_owned()), ..post("article", text, vec![]) }
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    assert_eq!(Hashnode.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match Hashnode.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

/// How many requests said this.
fn said(desk: &Desk, words: &str) -> usize {
    desk.sandbox.requests("hashnode").iter().filter(|r| r.body.contains(words)).count()
}

#[tokio::test]
async fn a_blog_is_found_by_its_address() {
    let mut desk = Desk::of(&Hashnode).await;
    for address in ["alice.hashnode.dev", "https://Alice.hashnode.dev/"] {
        desk.account = desk.with("publication", address);
        let identity = Hashnode.check(&desk.cx()).await.unwrap();
        assert_eq!(identity.name, "The blog of alice");
        assert_eq!(identity.settings["publicationId"], identity.remote_id);
    }
    desk.account = desk.with("publication", "https://bob.hashnode.dev/x");
    let error = Hashnode.check(&desk.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Config, Applied::No));
    assert!(error.sentence.ends_with("no Hashnode blog at `bob.hashnode.dev`."), "{error}");
}

#[tokio::test]
async fn an_article_is_drafted_published_and_deleted() {
    let desk = Desk::of(&Hashnode).await;
    let mut out = article("Bread", "Fresh **bread**\n\n#bakery #Öko #a #b #c #d #e");
    out.media = vec![hosted(jpeg(90, 60, 1)), hosted(jpeg(60, 90, 2))];
    Hashnode.prepare(&desk.cx(), &out).await.unwrap();
    assert!(desk.visible().is_empty());
    let remote = publish(&desk, &out).await;
    assert!(desk.opens(&remote).await, "{remote:?}");
    let seen = &desk.visible()[0];
    assert_eq!(seen.text, "Bread\n\nFresh **bread**");
    let alts: Vec<_> = seen.media.iter().map(|m| (m.kind.as_str(), m.alt.as_str())).collect();
    assert_eq!(alts, [("image", ""), ("image", "Picture “2”")]);
    assert_eq!(said(&desk, r#""tags":[{"name":"bakery","slug":"bakery"},{"name":"a","#), 1);
    assert_eq!((said(&desk, "createDraft"), said(&desk, "publishDraft")), (1, 1));

    for no_id in ["", "7", "../x", "zzzzzzzzzzzzzzzzzzzzzzzz"] {
        let error = Hashnode.delete(&desk.cx(), no_id).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Content, None), "{no_id}");
    }
    Hashnode.delete(&desk.cx(), &remote.id).await.unwrap();
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_cache_does_not_hide_what_was_published() {
    let desk = Desk::of(&Hashnode).await;
    let out = article("Bread", "Fresh bread");
    Hashnode.prepare(&desk.cx(), &out).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(Hashnode.poll(&desk.cx(), &out).await, Ok(Polled::NotPublished)));
        desk.pass(std::time::Duration::from_millis(1));
    }
    let mut words: Vec<_> =
        desk.sandbox.requests("hashnode").into_iter().map(|request| request.body).collect();
    words.retain(|body| body.contains("publishedPost"));
    words.dedup();
    assert_eq!(words.len(), 2, "each look has words of its own");

    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    let error = Hashnode.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe));
    let Ok(Polled::Published(found)) = Hashnode.poll(&desk.cx(), &out).await else {
        panic!("it is published")
    };
    // Published a second time it is refused, and read instead.
    assert_eq!(publish(&desk, &out).await, found);
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn a_draft_whose_answer_was_lost_is_found_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage, Trouble::ResetBeforeAccept] {
        let desk = Desk::of(&Hashnode).await;
        let out = article("Bread", "Fresh bread");
        desk.sandbox.add_fault(Fault::new("hashnode", Calls::Prepare, trouble));
        Hashnode.prepare(&desk.cx(), &out).await.unwrap_err();
        publish(&desk, &out).await;
        let lost = if trouble == Trouble::ResetBeforeAccept { 2 } else { 1 };
        assert_eq!(said(&desk, "createDraft"), lost, "{trouble:?}");
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn a_draft_that_vanished_is_a_question_and_not_a_no() {
    let desk = Desk::of(&Hashnode).await;
    let out = article("Bread", "Fresh bread");
    Hashnode.prepare(&desk.cx(), &out).await.unwrap();
    desk.kept.checkpoint("draft", &json!("0123456789abcdef01234567")).await.unwrap();
    let error = Hashnode.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.applied, Applied::Maybe, "{error:?}");
    let error = Hashnode.poll(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("draft_vanished"));
    // Once it is known that nothing was published, it is drafted anew; here found by its slug.
    publish(&desk, &out).await;
    assert_eq!((desk.visible().len(), said(&desk, "createDraft")), (1, 1));
}

#[tokio::test]
async fn a_server_error_comes_with_a_good_status() {
    let desk = Desk::of(&Hashnode).await;
    let out = article("Bread", "Fresh bread");
    Hashnode.prepare(&desk.cx(), &out).await.unwrap();
    desk.fault(Calls::Publish, Trouble::ServerError);
    let error = Hashnode.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.status, error.class), (Some(200), Class::Transient));
    assert_eq!(error.applied, Applied::Maybe);
    publish(&desk, &post("article", "Only a title", vec![])).await;
}
