//! DEV against the sandbox: drafts that are turned on, and the account's own lists.

use std::sync::Mutex;
use std::time::Duration;

use carillon_networks::devto::DevTo;
use carillon_networks::{
    Account, Applied, Class, Keeper, Network, Polled, Prepared, Published, Remote, Rendition,
    Secret,
};
use carillon_sandbox::{Calls, Fault, Trouble};
use serde_json::{Value, json};

use crate::support::{Desk, hosted, jpeg, post};

const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn article(title: &str, text: &str) -> Rendition {
    Rendition { title: Some(title.to_owned()), ..post("article", text, vec![]) }
}

async fn prepare(desk: &Desk, out: &Rendition) {
    while let Prepared::Processing { again_in } = DevTo.prepare(&desk.cx(), out).await.unwrap() {
        desk.pass(again_in);
    }
}

/// Another delivery: no handles of the one before.
async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    prepare(desk, out).await;
    match DevTo.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn bodies(desk: &Desk, method: &str) -> Vec<Value> {
    let requests = desk.sandbox.requests("devto").into_iter().filter(|r| r.method == method);
    requests.map(|r| serde_json::from_str(&r.body).unwrap()).collect()
}

#[tokio::test]
async fn a_draft_is_made_and_turned_on() {
    let desk = Desk::of(&DevTo).await;
    let mut out = article("Bread", "Fresh *bread*\n\n#bakery #ÖkoMehl #a #b #c");
    out.media = vec![hosted(jpeg(90, 60, 1)), hosted(jpeg(60, 90, 2))];
    assert!(matches!(DevTo.prepare(&desk.cx(), &out).await, Ok(Prepared::Processing { .. })));
    assert!(desk.visible().is_empty(), "writes are one a second, and a draft is not seen");
    desk.pass(Duration::from_millis(1_100));
    prepare(&desk, &out).await;
    let Published::Accepted(remote) = DevTo.publish(&desk.cx(), &out).await.unwrap() else {
        panic!("not accepted")
    };
    assert!(desk.opens(&remote).await, "{remote:?}");
    let seen = &desk.visible()[0];
    assert_eq!(seen.text, "Bread\n\nFresh *bread*");
    let alts: Vec<_> = seen.media.iter().map(|m| (m.kind.as_str(), m.alt.as_str())).collect();
    assert_eq!(alts, [("image", ""), ("image", "Picture “2”")], "the cover has no description");
    let drafted = &bodies(&desk, "POST")[0]["article"];
    assert_eq!(drafted["tags"], json!(["bakery", "ökomehl", "a", "b"]));
    assert_eq!(bodies(&desk, "PUT"), [json!({ "article": { "published": true } })]);

    // Turned on twice it is one article still.
    let Published::Accepted(again) = DevTo.publish(&desk.cx(), &out).await.unwrap() else {
        panic!("not accepted")
    };
    assert_eq!((again, desk.visible().len()), (remote.clone(), 1));

    DevTo.delete(&desk.cx(), &remote.id).await.unwrap();
    assert!(desk.visible().is_empty());
    for no_id in ["", "me", "1/unpublish", "../users/me"] {
        let error = DevTo.delete(&desk.cx(), no_id).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Content, None), "{no_id}");
    }
    DevTo.delete(&desk.cx(), "999").await.unwrap();
}

#[tokio::test]
async fn front_matter_cannot_publish_a_draft() {
    for matter in
        ["---\npublished: true\n---\n", "\n ---\npublished: true\n---\n---\npublished: true\n---\n"]
    {
        let desk = Desk::of(&DevTo).await;
        let out = article("Bread", &format!("{matter}Fresh bread"));
        prepare(&desk, &out).await;
        assert!(desk.visible().is_empty(), "{matter:?} published it");
        publish(&desk, &Rendition { title: Some("Again".into()), ..out }).await;
        assert!(desk.visible()[0].text.ends_with("Fresh bread"));
    }
}

#[tokio::test]
async fn a_draft_whose_answer_was_lost_is_found_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage, Trouble::ResetBeforeAccept] {
        let desk = Desk::of(&DevTo).await;
        let out = article("Bread", "Fresh bread");
        desk.sandbox.add_fault(Fault::new("devto", Calls::Prepare, trouble));
        DevTo.prepare(&desk.cx(), &out).await.unwrap_err();
        prepare(&desk, &out).await;
        let lost = if trouble == Trouble::ResetBeforeAccept { 2 } else { 1 };
        assert_eq!(desk.requests("POST", "/articles"), lost, "{trouble:?}");
        DevTo.publish(&desk.cx(), &out).await.unwrap();
        assert!(matches!(DevTo.poll(&desk.cx(), &out).await, Ok(Polled::Published(_))));
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn the_state_of_a_draft_is_read_over_pages() {
    let desk = Desk::of(&DevTo).await;
    let out = article("Bread", "Fresh bread");
    prepare(&desk, &out).await;
    let handles = desk.kept.all();
    let back = async || {
        for (name, value) in &handles {
            desk.kept.checkpoint(name, value).await.unwrap();
        }
    };
    // Others are drafted and published meanwhile, with the same words below other titles.
    for i in 0..35 {
        desk.kept.lose("article");
        desk.kept.lose("begun");
        prepare(&desk, &article(&format!("Draft {i}"), "Fresh bread")).await;
        publish(&desk, &article(&format!("Published {i}"), "Fresh bread")).await;
    }
    back().await;
    assert!(matches!(DevTo.poll(&desk.cx(), &out).await, Ok(Polled::NotPublished)));
    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    let error = DevTo.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.applied, Applied::Maybe);
    for i in 35..70 {
        publish(&desk, &article(&format!("Published {i}"), "Fresh bread")).await;
    }
    back().await;
    let Ok(Polled::Published(remote)) = DevTo.poll(&desk.cx(), &out).await else {
        panic!("it is published")
    };
    assert_eq!(remote.id, handles["article"]["id"].to_string());

    // One that DEV does not know any more is drafted anew.
    let mut gone = handles["article"].clone();
    gone["id"] = json!(7);
    desk.kept.checkpoint("article", &gone).await.unwrap();
    match DevTo.poll(&desk.cx(), &out).await.unwrap() {
        Polled::Gone(error) => assert!(error.restart),
        other => panic!("{other:?}"),
    }
    let error = DevTo.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied, error.restart), (Class::Transient, Applied::No, true));
}

#[tokio::test]
async fn the_same_canonical_address_names_our_own_article() {
    let mut desk = Desk::of(&DevTo).await;
    let text = "---\ncanonical_url: https://shop.example/bread\n---\nFresh bread";
    let first = publish(&desk, &article("Bread", text)).await;
    let again = article("More bread", text);
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    prepare(&desk, &again).await;
    let error = DevTo.publish(&desk.cx(), &again).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Duplicate, Applied::No), "{error:?}");
    assert_eq!(error.existing.as_deref(), Some(first.id.as_str()));

    // Somebody else's article is not ours.
    let secrets = [("apiKey".to_owned(), Secret::new("sandbox-bob"))].into();
    desk.account = Account { secrets: Mutex::new(secrets), ..Account::default() };
    publish(&desk, &article("Of my own", "Fresh bread")).await;
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    prepare(&desk, &again).await;
    let error = DevTo.publish(&desk.cx(), &again).await.unwrap_err();
    assert_eq!((error.class, error.existing), (Class::Duplicate, None));
    assert_eq!(desk.visible().len(), 2);
}

#[tokio::test]
async fn the_same_title_is_taken_again_after_five_minutes() {
    let desk = Desk::of(&DevTo).await;
    publish(&desk, &article("Bread", "Monday")).await;
    let out = article("Bread", "Tuesday");
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    let error = DevTo.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    assert_eq!(error.retry_after, Some(FIVE_MINUTES));
    desk.pass(FIVE_MINUTES);
    publish(&desk, &out).await;
    assert_eq!(desk.visible().len(), 2);
}

#[tokio::test]
async fn limits_are_those_of_the_network() {
    let desk = Desk::of(&DevTo).await;
    publish(&desk, &article(&"t".repeat(128), "Text")).await;
    // A first line stands in for a title, and a long one is cut.
    let long = "word ".repeat(60);
    publish(&desk, &post("article", &long, vec![])).await;
    let seen = desk.visible();
    assert!(seen[1].text.starts_with("word word") && seen[1].text.ends_with(long.trim()));
    let title = seen[1].text.split_once("\n\n").unwrap().0;
    assert!(title.chars().count() <= 128 && title.ends_with('…'), "{title}");
    // Only a title.
    publish(&desk, &post("article", "Closed on Monday", vec![])).await;

    let out = Rendition { media: vec![jpeg(90, 60, 1)], ..article("Picture", "Text") };
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    let error = DevTo.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Config, Applied::No));
    assert_eq!(error.code.as_deref(), Some("no_public_address"));
}
