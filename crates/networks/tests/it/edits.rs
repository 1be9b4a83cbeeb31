//! What is live can be changed where its placement says so, and every placement that says so is held
//! to the same: the new words are seen, nothing else moves, and doing it again does no harm.

use std::time::Duration;

use carillon_networks::gbp::Gbp;
use carillon_networks::pinterest::Pinterest;
use carillon_networks::reddit::Reddit;
use carillon_networks::spec::{Edit, Placement};
use carillon_networks::telegram::Telegram;
use carillon_networks::wordpress::WordPress;
use carillon_networks::youtube::YouTube;
use carillon_networks::{
    ALL, Applied, Class, Media, Network, Polled, Prepared, Published, Remote, Rendition,
};
use carillon_sandbox::{Calls, Fault, LedgerPost, Trouble};
use serde_json::json;

use crate::contract::{Stand, is_well_put};
use crate::support::{Desk, hosted, jpeg, mp4, post};

const TEXT: &str = "Stale rye, until eight";
const TITLE: &str = "Closed on Monday";

/// Runs for every placement whose posts can be changed.
async fn each<F: AsyncFn(Stand, Rendition, &'static Placement)>(test: F) {
    for &network in ALL {
        for place in network.spec().placements.iter().filter(|p| p.edit != Edit::No) {
            let (stand, out) = Stand::at(network, place.id).await;
            Box::pin(test(stand, out, place)).await;
        }
    }
}

/// The same with pictures, where some may stand there and none have to.
fn illustrated(out: &Rendition, place: &Placement) -> Option<Rendition> {
    let rule = &place.media;
    let media = (1..=rule.max.min(2)).map(|i| {
        let mut media = jpeg(1080, 1080, u8::try_from(i).unwrap());
        // Some take no file of a few bytes.
        media.data = [&media.data[..], &[0; 12 << 10]].concat().into();
        if rule.pull { hosted(media) } else { media }
    });
    let takes = rule.min == 0 && rule.max > 0 && rule.types.contains(&"image/jpeg");
    takes.then(|| Rendition {
        text: "Warm rolls, from nine".to_owned(),
        title: out.title.as_ref().map(|_| "Open on Tuesday".to_owned()),
        key: format!("{}-illustrated", out.key),
        media: media.collect(),
        ..out.clone()
    })
}

/// Other words for a post; of its media there is only what describes them.
fn reworded(out: &Rendition, place: &Placement, text: &str) -> Rendition {
    let bare =
        |media: &Media| Media { data: Default::default(), url: String::new(), ..media.clone() };
    Rendition {
        text: text.to_owned(),
        title: match place.edit {
            Edit::TitleAndText => out.title.as_ref().map(|_| TITLE.to_owned()),
            _ => out.title.clone(),
        },
        media: out.media.iter().map(bare).collect(),
        ..out.clone()
    }
}

/// The post as followers see it; an album is known by its first message.
fn seen(stand: &Stand, remote: &Remote) -> Option<LedgerPost> {
    let is = |post: &LedgerPost| {
        remote
            .id
            .strip_prefix(&post.id)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
    };
    stand.desk.visible().into_iter().find(is)
}

#[tokio::test]
async fn new_words_are_seen_and_nothing_else_moves() {
    each(async |stand, out, place| {
        let name = stand.name(&out);
        for out in [Some(out.clone()), illustrated(&out, place)].into_iter().flatten() {
            let remote = stand.send(&out).await;
            let before = seen(&stand, &remote).unwrap();
            let new = reworded(&out, place, TEXT);
            let count = stand.desk.visible().len();
            for _ in 0..2 {
                let edited = stand.network.edit(&stand.desk.cx(), &remote.id, &new).await;
                match edited.unwrap_or_else(|e| panic!("{name}: {e:?}")) {
                    Published::Accepted(edited) => assert_eq!(edited.id, remote.id, "{name}"),
                    Published::Processing { .. } => {}
                }
                let after = seen(&stand, &remote).unwrap();
                assert!(after.text.contains(TEXT), "{name}: {after:?}");
                assert!(!after.text.contains(&out.text), "{name}: {after:?}");
                let titled = place.edit == Edit::TitleAndText && out.title.is_some();
                assert_eq!(after.text.contains(TITLE), titled, "{name}: {after:?}");
                let same = LedgerPost { text: before.text.clone(), ..after };
                assert_eq!(same, before, "{name}: only the words are others");
                assert_eq!(stand.desk.visible().len(), count, "{name}: nothing was added");
            }
        }
        stand.no_secret_in(&format!("{:?}", stand.desk.sandbox.requests(stand.network.spec().id)));
    })
    .await;
}

#[tokio::test]
async fn a_refusal_leaves_the_words_and_a_lost_answer_is_settled_by_doing_it_again() {
    each(async |stand, out, place| {
        let name = stand.name(&out);
        let remote = stand.send(&out).await;
        let old = seen(&stand, &remote).unwrap().text;
        let new = reworded(&out, place, TEXT);
        let spec = stand.network.spec();
        let all = [
            (Trouble::RateLimit, &[Class::RateLimit, Class::Quota][..]),
            (Trouble::Auth, &[Class::Auth]),
            (Trouble::ServerError, &[Class::Transient]),
            (Trouble::ResetBeforeAccept, &[Class::Unknown]),
        ];
        for (trouble, classes) in all {
            // A session that ended is begun anew by those that have one: once, not for ever.
            let times = if trouble == Trouble::Auth { 3 } else { 1 };
            stand.desk.sandbox.add_fault(Fault::new(spec.id, Calls::Edit, trouble).times(times));
            let error = stand.network.edit(&stand.desk.cx(), &remote.id, &new).await;
            let error = error.err().unwrap_or_else(|| panic!("{name}: {trouble:?} is an answer"));
            assert!(classes.contains(&error.class), "{name}: {trouble:?}: {error:?}");
            is_well_put(&error);
            stand.no_secret_in(&format!("{error:?}"));
            stand.desk.sandbox.clear_faults();
            assert_eq!(seen(&stand, &remote).unwrap().text, old, "{name}: {trouble:?}");
        }
        for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
            stand.desk.fault(Calls::Edit, trouble);
            let error = stand.network.edit(&stand.desk.cx(), &remote.id, &new).await;
            // Who answers without a body cannot be misunderstood.
            match error {
                Err(error) => assert_eq!(error.applied, Applied::Maybe, "{name}: {error:?}"),
                Ok(_) => assert_eq!(trouble, Trouble::Garbage, "{name}"),
            }
            let edited = stand.network.edit(&stand.desk.cx(), &remote.id, &new).await;
            edited.unwrap_or_else(|e| panic!("{name}: {trouble:?}: {e:?}"));
            assert!(seen(&stand, &remote).unwrap().text.contains(TEXT), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_gone_or_none_of_ours_is_refused() {
    each(async |mut stand, out, place| {
        let name = stand.name(&out);
        let remote = stand.send(&out).await;
        let new = reworded(&out, place, TEXT);
        for none in ["", "../1", "no such id"] {
            let error = stand.network.edit(&stand.desk.cx(), none, &new).await;
            let error = error.err().unwrap_or_else(|| panic!("{name}: `{none}` is changed"));
            assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{name}");
            is_well_put(&error);
        }
        // An administrator of a site may change what others wrote.
        let administers = matches!(stand.network.spec().id, "wordpress" | "ghost");
        if !administers {
            stand.desk.sign_in(stand.network, "bob");
            let error = stand.network.edit(&stand.desk.cx(), &remote.id, &new).await;
            let error = error.err().unwrap_or_else(|| panic!("{name}: another's is changed"));
            assert_eq!(error.applied, Applied::No, "{name}: {error:?}");
            is_well_put(&error);
            assert!(!seen(&stand, &remote).unwrap().text.contains(TEXT), "{name}");
            stand.desk.sign_in(stand.network, "alice");
        }
        stand.network.delete(&stand.desk.cx(), &remote.id).await.unwrap();
        let error = stand.network.edit(&stand.desk.cx(), &remote.id, &new).await;
        let error = error.err().unwrap_or_else(|| panic!("{name}: what is gone is changed"));
        assert_eq!(
            (error.class, error.applied),
            (Class::Content, Applied::No),
            "{name}: {error:?}"
        );
        is_well_put(&error);
        assert_eq!(seen(&stand, &remote), None, "{name}: it comes back");
    })
    .await;
}

#[tokio::test]
async fn where_nothing_can_be_changed_nothing_is_called() {
    for &network in ALL.iter().filter(|network| !network.spec().can().edit) {
        let (spec, desk) = (network.spec(), Desk::of(network).await);
        for place in spec.placements {
            let out = Rendition { placement: place.id.to_owned(), ..Rendition::default() };
            let error = network.edit(&desk.cx(), "1", &out).await.unwrap_err();
            assert_eq!(error.code.as_deref(), Some("unsupported"), "{}", spec.id);
        }
        assert!(desk.sandbox.requests(spec.id).is_empty(), "{} was called", spec.id);
    }
}

async fn publish(desk: &Desk, network: &dyn Network, out: &Rendition) -> Remote {
    while let Prepared::Processing { again_in } = network.prepare(&desk.cx(), out).await.unwrap() {
        desk.pass(again_in);
    }
    match network.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        Published::Processing { again_in } => {
            desk.pass(again_in);
            loop {
                match network.poll(&desk.cx(), out).await.unwrap() {
                    Polled::Published(remote) => return remote,
                    Polled::Processing { again_in } => desk.pass(again_in),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn reddit_keeps_titles_and_links_as_they_are() {
    let desk = Desk::of(&Reddit).await;
    let told = publish(&desk, &Reddit, &post("feed", "Quiz night\n\nAt seven", vec![])).await;
    let link = publish(&desk, &Reddit, &post("feed", "https://shop.example/a", vec![])).await;
    let change = async |remote: &Remote, text: &str| {
        Reddit.edit(&desk.cx(), &remote.id, &post("feed", text, vec![])).await
    };
    change(&told, "Quiz night\n\nAt eight").await.unwrap();
    assert_eq!(desk.visible()[0].text, "Quiz night\n\nAt eight");
    for (remote, text) in [
        (&told, "Trivia\n\nAt eight"),
        (&told, "https://shop.example/b"),
        (&link, "https://shop.example/a\n\nOpen now"),
    ] {
        let error = change(remote, text).await.unwrap_err();
        assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("fixed")), "{text}");
        is_well_put(&error);
    }
    assert_eq!(desk.requests("POST", "/editusertext"), 1);
}

#[tokio::test]
async fn the_caption_of_an_album_stands_on_its_first_picture() {
    let desk = Desk::of(&Telegram).await;
    let out = post("message", "Three", (1..4).map(|i| jpeg(90, 60, i)).collect());
    let remote = publish(&desk, &Telegram, &out).await;
    let new = Rendition { text: "Still three".to_owned(), ..out.clone() };
    Telegram.edit(&desk.cx(), &remote.id, &new).await.unwrap();
    let seen = desk.visible().remove(0);
    assert_eq!((seen.text.as_str(), seen.media.len()), ("Still three", 3));
    // Of what has no picture it is the text, and the network tells the two apart.
    let bare = Rendition { media: vec![], ..new };
    let error = Telegram.edit(&desk.cx(), &remote.id, &bare).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
}

#[tokio::test]
async fn a_video_keeps_its_tags_and_an_article_what_others_made_of_it() {
    let desk = Desk::of(&YouTube).await;
    let mut out = post("short", "Bread\n\nFrom seven", vec![mp4(1080, 1920, 20, 4_000)]);
    out.extra = [("tags".to_owned(), "bread, rye".to_owned())].into();
    let remote = publish(&desk, &YouTube, &out).await;
    let new = Rendition { text: "Bread\n\nFrom eight".to_owned(), ..out };
    YouTube.edit(&desk.cx(), &remote.id, &new).await.unwrap();
    assert_eq!(desk.visible()[0].text, "Bread\n\nFrom eight");
    let requests = desk.sandbox.requests("youtube");
    let sent = requests.iter().rev().find(|r| r.method == "PUT").unwrap();
    assert!(sent.body.contains(r#""tags":["bread","rye"]"#), "{}", sent.body);

    let desk = Desk::of(&WordPress).await;
    let out = post("article", "Bread\n\nFrom seven", vec![jpeg(900, 600, 1)]);
    let remote = publish(&desk, &WordPress, &out).await;
    let (http, base, _) = desk.parts();
    let url = format!("{base}/wp-json/wp/v2/posts/{}", remote.id);
    let by_hand = async |change: serde_json::Value| {
        let request = http.post(&url).basic_auth("alice", Some("sandbox-alice")).json(&change);
        assert!(http.send(request, Duration::from_secs(5)).await.unwrap().ok());
    };
    by_hand(json!({ "excerpt": "Fresh", "slug": "our-bread" })).await;
    let new = Rendition { text: "Rolls\n\nFrom eight".to_owned(), ..out };
    WordPress.edit(&desk.cx(), &remote.id, &new).await.unwrap();
    let request = http.get(&url).query(&[("context", "edit")]);
    let request = request.basic_auth("alice", Some("sandbox-alice"));
    let kept = http.send(request, Duration::from_secs(5)).await.unwrap().value();
    assert_eq!(kept["slug"], "our-bread");
    assert_eq!(
        (&kept["excerpt"]["raw"], &kept["title"]["raw"]),
        (&json!("Fresh"), &json!("Rolls"))
    );
    let raw = kept["content"]["raw"].as_str().unwrap();
    assert_eq!(raw.matches("wp:image {").count(), 1, "{raw}");
    let request = http.delete(&url).basic_auth("alice", Some("sandbox-alice"));
    assert!(http.send(request, Duration::from_secs(5)).await.unwrap().ok(), "into the trash");
    let error = WordPress.edit(&desk.cx(), &remote.id, &new).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
}

#[tokio::test]
async fn what_a_network_thinks_of_a_change_is_told() {
    let desk = Desk::of(&Gbp).await;
    let out = post("standard", "Fresh bread, from seven", vec![]);
    let remote = publish(&desk, &Gbp, &out).await;
    let long = Rendition { text: "x".repeat(1_501), ..out };
    let error = Gbp.edit(&desk.cx(), &remote.id, &long).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    is_well_put(&error);

    // In beta: most apps may not.
    let mut desk = Desk::of(&Pinterest).await;
    desk.sign_in(&Pinterest, "nobeta");
    let out = post("feed", "Fresh bread", vec![jpeg(900, 600, 1)]);
    let remote = publish(&desk, &Pinterest, &out).await;
    let error = Pinterest.edit(&desk.cx(), &remote.id, &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    is_well_put(&error);
}
