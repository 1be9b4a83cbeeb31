//! Tumblr against the sandbox: a draft, its one flip, and the post that came of it.

use std::time::Duration;

use carillon_networks::tumblr::Tumblr;
use carillon_networks::{
    Applied, Class, Context, Media, Network, Polled, Prepared, Published, Remote, Rendition,
};
use carillon_sandbox::{Calls, Trouble};

use crate::consent;
use crate::support::{Desk, jpeg, post};

async fn prepare(desk: &Desk, out: &Rendition) {
    assert_eq!(Tumblr.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    prepare(desk, out).await;
    match Tumblr.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

async fn polled(cx: &Context<'_>, out: &Rendition) -> Remote {
    match Tumblr.poll(cx, out).await.unwrap() {
        Polled::Published(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn sentence(words: usize) -> String {
    vec!["läuten"; words].join(" ")
}

#[tokio::test]
async fn pictures_texts_links_and_tags_arrive_as_they_were_written() {
    let desk = Desk::of(&Tumblr).await;
    let text = "Grüße 👩‍👩‍👧 #Brot\n\nSee https://shop.example/ä (and #Kuchen)";
    let out = post("feed", text, vec![jpeg(90, 60, 1), jpeg(60, 90, 2)]);
    let remote = publish(&desk, &out).await;
    let seen = &desk.visible()[0];
    assert_eq!((seen.text.as_str(), &seen.id), (text, &remote.id));
    let alts: Vec<_> = seen.media.iter().map(|m| m.alt.as_str()).collect();
    assert_eq!(alts, ["Picture “1”", "Picture “2”"]);
    assert!(desk.opens(&remote).await);
    let flip = desk.sandbox.requests("tumblr").pop().unwrap();
    assert!(flip.method == "PUT" && flip.body.contains("Brot,Kuchen"), "{flip:?}");
    assert!(!flip.body.contains("identifier"), "pictures are named as the network has them");
}

#[tokio::test]
async fn long_texts_are_split_and_limits_hold() {
    let desk = Desk::of(&Tumblr).await;
    let long = format!("{}\n\n{}", sentence(1_500), "ä".repeat(4_097));
    publish(&desk, &post("feed", &long, vec![])).await;
    let whole = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(whole(&desk.visible()[0].text), whole(&long));
    let pictures = |n: u8| (0..n).map(|i| jpeg(90, 60, i)).collect::<Vec<Media>>();
    publish(&desk, &post("feed", "", pictures(30))).await;
    assert_eq!(desk.visible()[1].media.len(), 30);

    let unreadable = Media { data: b"<html>"[..].into(), ..jpeg(9, 9, 1) };
    for refused in [
        post("feed", "Hi", pictures(31)),
        post("feed", "", vec![]),
        post("feed", &"x\n\n".repeat(1_001), vec![]),
        post("feed", "Hi", vec![unreadable]),
    ] {
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        let error = Tumblr.prepare(&desk.cx(), &refused).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    assert_eq!(desk.visible().len(), 2);
}

#[tokio::test]
async fn a_draft_is_made_once_and_found_again_after_a_crash() {
    let desk = Desk::of(&Tumblr).await;
    let out = post("feed", "Once", vec![jpeg(90, 60, 1)]);
    desk.fault(Calls::Read, Trouble::ResetBeforeAccept);
    let error = Tumblr.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    let not_yet = Tumblr.publish(&desk.cx(), &out).await.unwrap_err();
    assert!(not_yet.restart && not_yet.applied == Applied::No, "{not_yet:?}");
    prepare(&desk, &out).await;
    prepare(&desk, &out).await;
    assert_eq!(desk.requests("POST", "/posts"), 1);
    assert!(matches!(Tumblr.poll(&desk.cx(), &out).await.unwrap(), Polled::NotPublished));
    assert!(desk.visible().is_empty());

    // The draft tells which post came of it, though the same was posted before and after.
    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    let error = Tumblr.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.applied, Applied::Maybe, "{error:?}");
    let ours = desk.visible()[0].id.clone();
    let kept = desk.kept.all();
    for _ in 0..45 {
        publish(&desk, &out).await;
    }
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    for (name, value) in kept {
        desk.cx().checkpoint(&name, value).await.unwrap();
    }
    assert_eq!(polled(&desk.cx(), &out).await.id, ours);
    // Sent again by mistake, nothing appears.
    let error = Tumblr.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.applied, error.restart), (Applied::Maybe, true), "{error:?}");
    assert_eq!(desk.visible().len(), 46);
}

#[tokio::test]
async fn a_draft_that_somebody_deleted_is_no_proof_of_anything() {
    let desk = Desk::of(&Tumblr).await;
    let out = post("feed", "Once", vec![]);
    publish(&desk, &post("feed", "Once", vec![])).await;
    desk.kept.lose("draft");
    prepare(&desk, &out).await;
    let draft = desk.kept.all()["draft"].as_str().unwrap().to_owned();
    Tumblr.delete(&desk.cx(), &draft).await.unwrap();
    // The other post with the same words came of another draft.
    let error = Tumblr.poll(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("draft_gone"), "{error:?}");
    let error = Tumblr.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.applied, error.restart), (Applied::Maybe, true), "{error:?}");

    // Before anything was sent it is certain, and begun anew.
    let out = post("feed", "Twice", vec![jpeg(90, 60, 1)]);
    desk.kept.lose("draft");
    desk.fault(Calls::Read, Trouble::ServerError);
    Tumblr.prepare(&desk.cx(), &out).await.unwrap_err();
    let draft = desk.kept.all()["draft"].as_str().unwrap().to_owned();
    Tumblr.delete(&desk.cx(), &draft).await.unwrap();
    let error = Tumblr.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.applied, error.restart), (Applied::No, true), "{error:?}");
}

#[tokio::test]
async fn a_post_that_names_no_draft_is_known_by_what_it_shows() {
    let desk = Desk::of(&Tumblr).await;
    let account = desk.with("blog", "alice-quiet");
    let (http, base, keeper) = desk.parts();
    let cx = || {
        let second = Duration::from_secs(5);
        Context::new(http, &account, base, desk.now(), second, desk.kept.all(), keeper)
    };
    let send = async |text: &str, pictures: Vec<Media>| {
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        let out = post("feed", text, pictures);
        Tumblr.prepare(&cx(), &out).await.unwrap();
        let published = Tumblr.publish(&cx(), &out).await.unwrap();
        assert!(matches!(published, Published::Processing { .. }), "{published:?}");
        out
    };
    send("Quietly", vec![jpeg(90, 60, 1)]).await;
    send("Loudly", vec![]).await;
    let out = send("Quietly", vec![]).await;
    assert_eq!(polled(&cx(), &out).await.id, desk.visible()[2].id);
    // Two that show the same cannot be told apart.
    let out = send("Quietly", vec![]).await;
    let error = Tumblr.poll(&cx(), &out).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("draft_gone"), "{error:?}");
}

#[tokio::test]
async fn a_blog_is_chosen_and_checked() {
    let desk = Desk::of(&Tumblr).await;
    let targets = Tumblr.targets(&desk.cx()).await.unwrap();
    let names: Vec<_> = targets.iter().map(|t| t.settings["blog"].as_str()).collect();
    assert_eq!(names, ["alice", "alice-news", "alice-quiet"]);
    for good in ["alice-news", "Alice-News.tumblr.com", &targets[1].id] {
        let account = desk.with("blog", good);
        let identity = Tumblr.check(&consent::cx(&desk, &account)).await.unwrap();
        assert_eq!((&identity.remote_id, identity.name.as_str()), (&targets[1].id, "alice-news"));
    }
    for wrong in ["bob", "nosuch", "a/b", ".."] {
        let account = desk.with("blog", wrong);
        let error = Tumblr.check(&consent::cx(&desk, &account)).await.unwrap_err();
        assert_eq!(
            (error.class, error.applied),
            (Class::Config, Applied::No),
            "{wrong}: {error:?}"
        );
    }
    for bad in ["", "12/34", "abc"] {
        let error = Tumblr.delete(&desk.cx(), bad).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Content, None), "{bad}");
    }
}

#[tokio::test]
async fn tokens_end_soon_and_a_refresh_token_works_once() {
    let desk = Desk::of(&Tumblr).await;
    let second = consent::round_trip(&desk, &Tumblr, Duration::from_secs(2_520)).await;
    let again = |tokens: &carillon_networks::Tokens| {
        consent::app(&desk, &[("refreshToken", tokens.refresh.as_ref().unwrap().reveal())])
    };
    let account = again(&second);
    let third = Tumblr.refresh(&consent::cx(&desk, &account)).await.unwrap();
    assert_ne!(third.refresh, second.refresh);
    let error = Tumblr.refresh(&consent::cx(&desk, &account)).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
}
