//! Pinterest against the sandbox: pins of one and of several pictures, read back from the board.

use std::time::Duration;

use carillon_networks::pinterest::Pinterest;
use carillon_networks::{
    Applied, Class, Media, Network, Published, Remote, Rendition, SendClass, Window,
};
use carillon_sandbox::{Calls, Trouble};

use crate::consent;
use crate::support::{Desk, jpeg, only, post, to_the_brim};

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    match Pinterest.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn pin(text: &str, media: Vec<Media>) -> Rendition {
    Rendition { title: Some("Buns".to_owned()), ..post("feed", text, media) }
}

fn one(text: &str) -> Rendition {
    pin(text, vec![jpeg(90, 60, 1)])
}

#[tokio::test]
async fn a_pin_has_a_title_a_link_and_a_description_for_all_its_pictures() {
    let desk = Desk::of(&Pinterest).await;
    let out = pin(
        "Fresh: https://shop.example/buns?a=b and https://other.example",
        vec![jpeg(1080, 1350, 1), jpeg(1080, 1350, 2)],
    );
    let remote = publish(&desk, &out).await;
    let seen = &desk.visible()[0];
    assert_eq!(seen.text, format!("Buns\n\n{}", out.text));
    assert_eq!(seen.placement, "carousel");
    assert_eq!(seen.media[0].alt, "Picture “1”\nPicture “2”");
    assert_eq!(seen.media[2].url, "https://shop.example/buns?a=b");
    assert!(desk.opens(&remote).await);

    // Without a title of its own the first line is it.
    let out = Rendition { title: None, ..one("Rye bread\n\nFrom seven") };
    let remote = publish(&desk, &out).await;
    assert_eq!(desk.visible()[1].text, "Rye bread\n\nFrom seven");
    let found = Pinterest.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &remote);
}

#[tokio::test]
async fn limits_hold_at_the_brim() {
    let desk = Desk::of(&Pinterest).await;
    let [fits, over] = to_the_brim(&Pinterest, "Grüße 👩‍👩‍👧 ", 800);
    publish(&desk, &one(&fits)).await;
    let mut long = one("Hi");
    long.title = Some("x".repeat(100));
    long.media[0].alt = "ä".repeat(500);
    publish(&desk, &long).await;
    let several =
        |sizes: &[u16]| pin("Hi", (1..).zip(sizes).map(|(i, size)| jpeg(*size, 900, i)).collect());
    publish(&desk, &several(&[900, 900, 900, 900, 900])).await;
    assert_eq!(desk.visible().len(), 3);

    let mut too_long = one("Hi");
    too_long.title = Some("x".repeat(101));
    for refused in [
        one(&over),
        too_long,
        pin("Hi", vec![]),
        several(&[900; 6]),
        several(&[900, 901]),
        pin("Hi", vec![Media { data: b"<html>"[..].into(), ..jpeg(9, 9, 1) }]),
    ] {
        let error = Pinterest.publish(&desk.cx(), &refused).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    assert_eq!(desk.visible().len(), 3);
}

#[tokio::test]
async fn only_the_own_pin_of_the_time_is_taken_for_ours() {
    let desk = Desk::of(&Pinterest).await;
    let out = one("Good morning");
    publish(&desk, &out).await;
    desk.pass(Duration::from_secs(86_400));
    publish(&desk, &one("Good evening")).await;
    publish(&desk, &Rendition { title: Some("Rolls".to_owned()), ..out.clone() }).await;
    publish(&desk, &pin("Good morning", vec![jpeg(90, 60, 1), jpeg(90, 60, 2)])).await;
    // Somebody who shares the board pins the same words.
    let guest = desk.with("accessToken", "sandbox-alice-guest");
    Pinterest.publish(&consent::cx(&desk, &guest), &out).await.unwrap();
    assert_eq!(Pinterest.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let ours = publish(&desk, &out).await;
    for i in 0..130 {
        publish(&desk, &one(&format!("More, {i}"))).await;
    }
    let found = Pinterest.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &ours);
    assert_eq!(desk.requests("GET", "/pins"), 3, "one page, then two");

    // Everything older than the window ends the reading.
    desk.pass(Duration::from_secs(86_400));
    let now = Window { since: desk.now() - 60_000, until: desk.now() };
    assert_eq!(Pinterest.look_up(&desk.cx(), &out, now).await.unwrap(), []);
    assert_eq!(desk.requests("GET", "/pins"), 4);
}

#[tokio::test]
async fn a_board_is_chosen_and_checked() {
    let desk = Desk::of(&Pinterest).await;
    let targets = Pinterest.targets(&desk.cx()).await.unwrap();
    let names: Vec<_> = targets.iter().map(|t| (t.name.as_str(), t.problem.is_none())).collect();
    assert_eq!(names, [("Shop news", true), ("Recipes", true), ("Ad-only Pins", false)]);
    let check = async |board: &str| {
        let account = desk.with("boardId", board);
        Pinterest.check(&consent::cx(&desk, &account)).await
    };
    let identity = check(&targets[1].settings["boardId"]).await.unwrap();
    assert_eq!((identity.name.as_str(), &identity.remote_id), ("alice: Recipes", &targets[1].id));
    for wrong in [targets[2].id.as_str(), "123456", "my-board", "1/../2"] {
        let error = check(wrong).await.unwrap_err();
        assert_eq!(
            (error.class, error.applied),
            (Class::Config, Applied::No),
            "{wrong}: {error:?}"
        );
    }
    for bad in ["", "12/34", "12?x=1", "abc"] {
        let error = Pinterest.delete(&desk.cx(), bad).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Content, None), "{bad}");
    }
}

#[tokio::test]
async fn tokens_are_granted_end_and_are_renewed() {
    let desk = Desk::of(&Pinterest).await;
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let second = consent::round_trip(&desk, &Pinterest, days(30)).await;
    assert_eq!(second.refresh_expires_in, Some(days(60)), "each refresh gives another sixty days");
    let asked = desk.sandbox.requests("pinterest");
    let traded = asked.iter().filter(|r| r.path.ends_with("/oauth/token"));
    let bodies: Vec<_> = traded.map(|r| r.body.as_str()).collect();
    assert!(bodies[0].contains("continuous_refresh=true"), "{bodies:?}");

    // Who unticks a right can be told which one.
    let code = consent::code(&desk, &Pinterest, "alice", &["pins:write"]).await;
    let less = consent::exchange(&desk, &Pinterest, code).await.unwrap();
    let oauth = Pinterest.spec().oauth.as_ref().unwrap();
    assert_eq!(oauth.missing(less.scopes.as_ref().unwrap()), ["pins:write"]);
    let account = desk.with("accessToken", less.access.reveal());
    let error = Pinterest.publish(&consent::cx(&desk, &account), &one("Hi")).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("3")), "{error:?}");
    let unknown = carillon_networks::Secret::new("no-such-code");
    let error = consent::exchange(&desk, &Pinterest, unknown).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
}

#[tokio::test]
async fn publishing_is_one_request_and_a_limit_says_when_it_ends() {
    let desk = Desk::of(&Pinterest).await;
    for trouble in [Trouble::ServerError, Trouble::ResetBeforeAccept, Trouble::RateLimit] {
        desk.fault(Calls::Publish, trouble);
        let before = desk.sandbox.requests("pinterest").len();
        let error = Pinterest.publish(&desk.cx(), &one("Hi")).await.unwrap_err();
        assert_eq!(desk.sandbox.requests("pinterest").len(), before + 1, "{trouble:?}");
        let wait = (trouble == Trouble::RateLimit).then(|| Duration::from_secs(30));
        assert_eq!(error.retry_after, wait, "{error:?}");
    }
    assert!(desk.visible().is_empty());
    let readable =
        |p: &carillon_networks::spec::Placement| matches!(p.send, SendClass::Readable { .. });
    assert!(Pinterest.spec().placements.iter().all(readable));
}
