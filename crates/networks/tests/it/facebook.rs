//! Facebook pages against the sandbox: readable, so every doubt is settled by reading the page.

use std::time::Duration;

use carillon_networks::facebook::Facebook;
use carillon_networks::{Applied, Class, Network, Prepared, Published, Remote, Rendition};
use carillon_sandbox::{Calls, Trouble};

use crate::support::{Desk, jpeg, only, post};

async fn desk() -> Desk {
    desk_with("alice", "sandbox-alice").await
}

async fn desk_with(page: &str, token: &str) -> Desk {
    Desk::open(&Facebook, &[("pageId", page)], &[("accessToken", token)]).await
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    assert_eq!(Facebook.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match Facebook.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_is_checked_with_its_own_token() {
    let desk = desk().await;
    let identity = Facebook.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.remote_id, "alice");
    assert!(!identity.name.is_empty());

    for (page, token) in [("alice", "no-such-token"), ("alice", "sandbox-bob")] {
        let error = Facebook.check(&desk_with(page, token).await.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
        assert!(!error.sentence.contains(token), "{}", error.sentence);
    }
    let nameless = desk_with("", "sandbox-alice").await;
    assert_eq!(Facebook.check(&nameless.cx()).await.unwrap_err().class, Class::Config);
}

#[tokio::test]
async fn text_and_pictures_are_posted_and_deleted() {
    let desk = desk().await;
    let text = post("feed", "Hello, world\nhttps://example.com/a?b=c&d", vec![]);
    let pictures = |n| (0..n).map(|i| jpeg(1200, 800, i)).collect::<Vec<_>>();
    let one = post("feed", "One picture", pictures(1));
    let three = post("feed", "", pictures(3));
    let mut remotes = Vec::new();
    for out in [&text, &one, &three] {
        remotes.push(publish(&desk, out).await);
        // Another delivery begins without handles.
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    }

    let seen = desk.visible();
    assert_eq!(seen.len(), 3);
    for ((out, remote), seen) in [text, one, three].iter().zip(&remotes).zip(&seen) {
        assert_eq!((&seen.text, &seen.id), (&out.text, &remote.id));
        let alts =
            |m: &[_]| m.iter().map(|m: &carillon_sandbox::LedgerMedia| m.alt.clone()).collect();
        let alts: Vec<_> = alts(&seen.media);
        assert_eq!(alts, out.media.iter().map(|m| m.alt.clone()).collect::<Vec<_>>());
        assert!(remote.url.as_deref().is_some_and(|url| url.starts_with("http")), "{remote:?}");
    }
    for remote in &remotes {
        Facebook.delete(&desk.cx(), &remote.id).await.unwrap();
        Facebook.delete(&desk.cx(), &remote.id).await.unwrap();
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn not_being_allowed_to_see_a_post_is_not_its_absence() {
    let desk = desk_with("alice", "sandbox-bob").await;
    let error = Facebook.delete(&desk.cx(), "alice_1").await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("100/33")));
}

#[tokio::test]
async fn a_lost_answer_is_found_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = desk().await;
        let out = post("feed", "Once  only\r\nwith a second line", vec![jpeg(800, 800, 1)]);
        Facebook.prepare(&desk.cx(), &out).await.unwrap();
        desk.fault(Calls::Publish, trouble);
        let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");

        let found = Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found).id, desk.visible()[0].id);
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn what_never_arrived_is_proven_absent_and_sent_again() {
    let desk = desk().await;
    let out = post("feed", "Once only", vec![jpeg(800, 800, 1), jpeg(800, 800, 2)]);
    Facebook.prepare(&desk.cx(), &out).await.unwrap();
    desk.fault(Calls::Publish, Trouble::ResetBeforeAccept);
    let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe));
    assert_eq!(Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    publish(&desk, &out).await;
    assert_eq!(desk.visible().len(), 1);
    assert_eq!(desk.requests("POST", "/photos"), 2, "the photos were there already");
}

#[tokio::test]
async fn only_the_own_post_is_taken_for_ours() {
    let desk = desk().await;
    let out = post("feed", "Good morning", vec![]);
    // Yesterday's, another text, another number of pictures.
    let yesterday = desk.window();
    let old = publish(&desk, &out).await;
    desk.pass(Duration::from_secs(86_400));
    publish(&desk, &post("feed", "Good evening", vec![])).await;
    publish(&desk, &post("feed", "Good morning", vec![jpeg(800, 800, 1)])).await;
    assert_eq!(Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let ours =
        publish(&desk, &Rendition { text: "Good  morning\n".to_owned(), ..out.clone() }).await;
    let found = Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found).id, ours.id);
    let found = Facebook.look_up(&desk.cx(), &out, yesterday).await.unwrap();
    assert_eq!(only(&found).id, old.id);
}

#[tokio::test]
async fn a_busy_page_is_read_over_its_pages() {
    let desk = desk().await;
    let out = post("feed", "The one", vec![]);
    let ours = publish(&desk, &out).await;
    for i in 0..30 {
        publish(&desk, &post("feed", &format!("Another, {i}"), vec![])).await;
    }
    let found = Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found).id, ours.id);
    assert_eq!(desk.requests("GET", "/published_posts"), 2);
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_stopped() {
    let desk = desk().await;
    let out = post("feed", "Two", vec![jpeg(800, 800, 1), jpeg(800, 800, 2)]);
    let one = post("feed", "Two", vec![jpeg(800, 800, 1)]);
    Facebook.prepare(&desk.cx(), &one).await.unwrap();
    desk.fault(Calls::Prepare, Trouble::ServerError);
    let error = Facebook.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::Maybe), "{error:?}");
    publish(&desk, &out).await;
    assert_eq!(desk.visible()[0].media.len(), 2);
    assert_eq!(desk.requests("POST", "/photos"), 3);
}

#[tokio::test]
async fn refusals_say_when_and_what() {
    let desk = desk().await;
    let out = post("feed", "Hello", vec![]);
    desk.fault(Calls::Publish, Trouble::RateLimit);
    let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::RateLimit, Applied::No), "{error:?}");
    assert!(error.retry_after.is_some_and(|after| after > Duration::ZERO), "{error:?}");

    desk.fault(Calls::Publish, Trouble::Auth);
    let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    desk.fault(Calls::Publish, Trouble::ServerError);
    let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::Maybe), "{error:?}");

    let error = Facebook.publish(&desk.cx(), &post("feed", "", vec![])).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    assert!(desk.visible().is_empty());
}
