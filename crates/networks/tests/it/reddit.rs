//! Reddit against the sandbox: text and link posts, a first comment, refusals with status 200.

use std::time::Duration;

use carillon_networks::reddit::Reddit;
use carillon_networks::{Applied, Class, Network, Published, Remote, Rendition, ReplyTo};
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::consent;
use crate::support::{Desk, only, post, to_the_brim};

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    match Reddit.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn titled(title: &str, text: &str) -> Rendition {
    Rendition { title: Some(title.to_owned()), ..post("feed", text, vec![]) }
}

fn comment(parent: &Remote, text: &str) -> Rendition {
    let reply_to = Some(ReplyTo { root: parent.clone(), parent: parent.clone() });
    Rendition { reply_to, ..post("comment", text, vec![]) }
}

#[tokio::test]
async fn texts_and_links_are_posted_and_found_as_they_are() {
    let desk = Desk::of(&Reddit).await;
    let text = titled("Buns & rolls <now>", "Fresh & warm > cold\n\nSee https://shop.example");
    let link = titled("Our new shop", " https://shop.example/a?b=c&d=e ");
    let bare = post("feed", "Only a headline", vec![]);
    for (i, out) in [&text, &link, &bare].into_iter().enumerate() {
        let remote = publish(&desk, out).await;
        assert!(desk.opens(&remote).await);
        let found = Reddit.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), &remote, "{i}");
    }
    let seen = desk.visible();
    assert_eq!(seen[0].text, format!("{}\n\n{}", "Buns & rolls <now>", text.text));
    assert_eq!(
        (seen[1].text.as_str(), seen[1].media[0].url.as_str()),
        ("Our new shop", link.text.trim())
    );
    assert_eq!(seen[2].text, "Only a headline");

    // The same link again is refused by the network itself, by a name that proves nothing.
    let error = Reddit.publish(&desk.cx(), &link).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Duplicate, Applied::No), "{error:?}");
    assert_eq!(desk.visible().len(), 3);
}

#[tokio::test]
async fn limits_hold_at_the_brim() {
    let desk = Desk::of(&Reddit).await;
    let [fits, over] = to_the_brim(&Reddit, "Grüße 👩‍👩‍👧 ", 40_000);
    publish(&desk, &titled(&"ä".repeat(300), &fits)).await;
    // A first line that is too long for a title is cut, and the text stays whole.
    let long = format!("{} end", "word ".repeat(80));
    let remote = publish(&desk, &post("feed", &long, vec![])).await;
    let seen = desk.visible();
    let (title, text) = seen[1].text.split_once("\n\n").unwrap();
    assert!(title.ends_with("word…") && title.chars().count() <= 300, "{title}");
    assert_eq!(text, long);
    publish(&desk, &comment(&remote, &"ä".repeat(10_000))).await;
    for refused in [
        titled("Hi", &over),
        titled(&"ä".repeat(301), "Hi"),
        comment(&remote, &"ä".repeat(10_001)),
        comment(&Remote { id: "t3_nosuch".to_owned(), url: None }, "Hi"),
    ] {
        let error = Reddit.publish(&desk.cx(), &refused).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    assert_eq!(desk.visible().len(), 3);
}

#[tokio::test]
async fn only_the_own_post_of_the_time_and_place_is_taken_for_ours() {
    let desk = Desk::of(&Reddit).await;
    let out = titled("Good morning", "From the bakery");
    let elsewhere = desk.with("subreddit", "bread");
    publish(&desk, &out).await;
    desk.pass(Duration::from_secs(86_400));
    publish(&desk, &titled("Good morning", "From the butcher")).await;
    publish(&desk, &titled("Good evening", "From the bakery")).await;
    Reddit.publish(&consent::cx(&desk, &elsewhere), &out).await.unwrap();
    let bob = desk.with("accessToken", "sandbox-bob");
    Reddit.publish(&consent::cx(&desk, &bob), &out).await.unwrap();
    assert_eq!(Reddit.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let ours = publish(&desk, &out).await;
    for i in 0..130 {
        publish(&desk, &titled("More", &format!("{i}"))).await;
    }
    let found = Reddit.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &ours);
    assert_eq!(desk.requests("GET", "/submitted"), 3, "one page, then two");
}

#[tokio::test]
async fn a_comment_belongs_to_its_post() {
    let desk = Desk::of(&Reddit).await;
    let first = publish(&desk, &titled("One", "")).await;
    let other = publish(&desk, &titled("Two", "")).await;
    let ours = publish(&desk, &comment(&first, "Opening hours & more")).await;
    let there = comment(&other, "Opening hours & more");
    assert_eq!(Reddit.look_up(&desk.cx(), &there, desk.window()).await.unwrap(), []);
    let theirs = publish(&desk, &there).await;
    for (parent, remote) in [(&first, &ours), (&other, &theirs)] {
        let out = comment(parent, "Opening hours & more");
        let found = Reddit.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found).id, remote.id);
    }
    Reddit.delete(&desk.cx(), &first.id).await.unwrap();
    let error = Reddit.publish(&desk.cx(), &comment(&first, "Late")).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("DELETED_LINK"), "{error:?}");
    for bad in ["", "t3_", "t5_abc", "abc", "t3_a/b"] {
        let error = Reddit.delete(&desk.cx(), bad).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Content, None), "{bad}");
    }
}

#[tokio::test]
async fn the_subreddit_is_checked_and_refusals_are_read_from_a_good_status() {
    let desk = Desk::of(&Reddit).await;
    let identity = Reddit.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "u/alice in r/alice");
    assert_eq!(identity.settings["username"], "alice");
    for (name, class) in [
        ("nosuch_place", Class::Config),
        ("a/b", Class::Config),
        ("banned_here", Class::Auth),
        ("private_place", Class::Auth),
    ] {
        let account = desk.with("subreddit", name);
        let error = Reddit.check(&consent::cx(&desk, &account)).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{name}: {error:?}");
    }
    for (name, text, class) in [
        ("nosuch_place", "Hi", Class::Config),
        ("banned_here", "Hi", Class::Auth),
        ("linksonly", "Hi", Class::Content),
        ("r/textonly", "https://shop.example/", Class::Content),
    ] {
        let account = desk.with("subreddit", name);
        let out = titled("Title", text);
        let error = Reddit.publish(&consent::cx(&desk, &account), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{name}: {error:?}");
        assert_eq!(error.status, Some(200), "{name}");
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_limit_says_in_words_or_by_header_when_it_ends() {
    let desk = Desk::of(&Reddit).await;
    for (ms, secs) in [(30_000, 30), (300_000, 300)] {
        let fault = Fault::new("reddit", Calls::Publish, Trouble::RateLimit).ms(ms);
        desk.sandbox.add_fault(fault);
        let error = Reddit.publish(&desk.cx(), &titled("Hi", "")).await.unwrap_err();
        assert_eq!(error.retry_after, Some(Duration::from_secs(secs)), "{error:?}");
        assert_eq!((error.class, error.status), (Class::RateLimit, Some(200)));
    }
    desk.fault(Calls::Read, Trouble::RateLimit);
    let error = Reddit.check(&desk.cx()).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(30)), "{error:?}");
    assert_eq!(error.status, Some(429));
}

#[tokio::test]
async fn calls_name_the_app_and_the_account() {
    let desk = Desk::of(&Reddit).await;
    Reddit.check(&desk.cx()).await.unwrap();
    let mut account = consent::app(&desk, &[("accessToken", "sandbox-alice")]);
    account.settings.insert("username".to_owned(), "alice".to_owned());
    Reddit.publish(&consent::cx(&desk, &account), &titled("Hi", "")).await.unwrap();
    let agents: Vec<String> = desk
        .sandbox
        .requests("reddit")
        .into_iter()
        .map(|request| request.headers["user-agent"].clone())
        .collect();
    assert!(agents[0].starts_with("web:carillon:v"), "{agents:?}");
    let last = agents.last().unwrap();
    assert!(last.starts_with("web:sandbox-app:v") && last.ends_with("(by /u/alice)"), "{last}");
}

#[tokio::test]
async fn tokens_are_granted_end_and_are_renewed() {
    let desk = Desk::of(&Reddit).await;
    let second = consent::round_trip(&desk, &Reddit, Duration::from_secs(86_400)).await;
    assert_eq!(second.refresh, None, "the one that is held stays");
    let code = consent::code(&desk, &Reddit, "alice", &["submit"]).await;
    let less = consent::exchange(&desk, &Reddit, code).await.unwrap();
    let account = desk.with("accessToken", less.access.reveal());
    let error = Reddit.publish(&consent::cx(&desk, &account), &titled("Hi", "")).await;
    let error = error.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("insufficient_scope")));
}
