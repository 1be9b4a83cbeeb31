//! LinkedIn against the sandbox: its markup, its pictures, pages and members, comments, duplicates.

use std::time::Duration;

use carillon_networks::linkedin::LinkedIn;
use carillon_networks::{
    Account, Applied, Class, Context, Network, Prepared, Published, Remote, Rendition, ReplyTo,
};
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::consent;
use crate::support::{Desk, account, jpeg, only, post, to_the_brim};

async fn prepare<'a>(desk: &Desk, cx: impl Fn() -> Context<'a>, out: &Rendition) -> u32 {
    let mut waits = 0;
    while let Prepared::Processing { again_in } = LinkedIn.prepare(&cx(), out).await.unwrap() {
        desk.pass(again_in);
        waits += 1;
    }
    waits
}

async fn send(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    prepare(desk, || desk.cx(), out).await;
    match LinkedIn.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn comment(on: &Remote, text: &str) -> Rendition {
    let reply_to = Some(ReplyTo { root: on.clone(), parent: on.clone() });
    Rendition { reply_to, ..post("comment", text, vec![]) }
}

/// The member alice, who is not her page.
fn member() -> Account {
    account(&[], &[("accessToken", "sandbox-alice")])
}

#[tokio::test]
async fn all_signs_arrive_and_are_counted_once() {
    let desk = Desk::of(&LinkedIn).await;
    for begin in [
        "Open (from 7) [new] {a|b} <c> *d* _e_ ~f~ \\g @h ",
        "#Bread #läuten #a_b #1 https://a.io/x_(y)#top ",
        "👩‍👩‍👧 日本 ",
    ] {
        let [fits, over] = to_the_brim(&LinkedIn, begin, 3_000);
        let remote = send(&desk, &post("feed", &fits, vec![])).await;
        let seen = desk.visible();
        assert_eq!(seen.last().unwrap().text, fits);
        let out = post("feed", &fits, vec![]);
        let found = LinkedIn.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found), &remote);
        let error = LinkedIn.publish(&desk.cx(), &post("feed", &over, vec![])).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
}

#[tokio::test]
async fn pictures_are_uploaded_once_and_waited_for() {
    for n in [1, 2, 20] {
        let desk = Desk::of(&LinkedIn).await;
        let out = post("feed", "Look", (1..=n).map(|i| jpeg(90, 60, i)).collect());
        let fault = Fault::new("linkedin", Calls::Any, Trouble::Processing);
        desk.sandbox.add_fault(fault.times(3));
        assert_eq!(prepare(&desk, || desk.cx(), &out).await, 3);
        assert_eq!(desk.requests("POST", "/images"), usize::from(n));
        let Published::Accepted(remote) = LinkedIn.publish(&desk.cx(), &out).await.unwrap() else {
            panic!()
        };
        assert_eq!(desk.requests("POST", "/images"), usize::from(n));
        let seen = &desk.visible()[0];
        let alts: Vec<_> = seen.media.iter().map(|m| &m.alt).collect();
        assert_eq!(alts, out.media.iter().map(|m| &m.alt).collect::<Vec<_>>());
        let found = LinkedIn.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found), &remote);
        let fewer = post("feed", "Look", out.media[1..].to_vec());
        let found = LinkedIn.look_up(&desk.cx(), &fewer, desk.window()).await.unwrap();
        assert_eq!(found, []);
    }
}

#[tokio::test]
async fn a_picture_that_cannot_be_used_is_said_so() {
    let desk = Desk::of(&LinkedIn).await;
    let huge = jpeg(9_000, 9_000, 1);
    let out = post("feed", "Look", vec![huge]);
    let error = LinkedIn.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.restart), (Class::Content, true), "{error:?}");
}

#[tokio::test]
async fn a_member_posts_and_cannot_be_read() {
    let desk = Desk::of(&LinkedIn).await;
    let alice = member();
    let cx = || {
        let (http, base, kept) = desk.parts();
        let five = Duration::from_secs(5);
        Context::new(http, &alice, base, desk.now(), five, desk.kept.all(), kept)
    };
    let identity = LinkedIn.check(&cx()).await.unwrap();
    assert!(identity.settings["author"].starts_with("urn:li:person:"), "{identity:?}");
    let out = post("feed", "Of my own", vec![jpeg(90, 60, 1)]);
    assert!(prepare(&desk, cx, &out).await > 0, "its state may not be read, so time has to pass");
    assert_eq!(
        desk.sandbox
            .requests("linkedin")
            .iter()
            .filter(|r| r.method == "GET" && r.path.contains("/images/"))
            .count(),
        0
    );
    let Published::Accepted(_) = LinkedIn.publish(&cx(), &out).await.unwrap() else { panic!() };
    let error = LinkedIn.look_up(&cx(), &out, desk.window()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Transient, Some("unreadable")));
}

#[tokio::test]
async fn the_same_words_again_name_the_first() {
    let desk = Desk::of(&LinkedIn).await;
    let out = post("feed", "Once", vec![]);
    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    let error = LinkedIn.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.applied, Applied::Maybe);
    let error = LinkedIn.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Duplicate, Applied::No), "{error:?}");
    assert_eq!(error.existing.as_deref(), Some(desk.visible()[0].id.as_str()));
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn only_the_own_post_is_taken_for_ours() {
    let desk = Desk::of(&LinkedIn).await;
    let out = post("feed", "Good morning (all)", vec![]);
    send(&desk, &out).await;
    desk.pass(Duration::from_secs(86_400));
    send(&desk, &post("feed", "Good evening (all)", vec![])).await;
    send(&desk, &post("feed", "Good morning (all)", vec![jpeg(90, 60, 1)])).await;
    assert_eq!(LinkedIn.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    let ours = send(&desk, &out).await;
    for i in 0..120 {
        send(&desk, &post("feed", &format!("More, {i}"), vec![])).await;
    }
    let before = desk.requests("GET", "/posts");
    let found = LinkedIn.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &ours);
    assert_eq!(desk.requests("GET", "/posts") - before, 2);
    for trouble in [Trouble::ServerError, Trouble::Garbage, Trouble::ResetBeforeAccept] {
        desk.fault(Calls::Read, trouble);
        let doubt = LinkedIn.look_up(&desk.cx(), &out, desk.window()).await;
        doubt.expect_err("no answer, no proof");
    }
    for bad in ["", "urn:li:person:1", "urn:li:share:1/../x", "urn:li:comment:(1,2)"] {
        let error = LinkedIn.delete(&desk.cx(), bad).await.unwrap_err();
        assert_eq!(error.class, Class::Content, "{bad}");
    }
}

#[tokio::test]
async fn a_comment_belongs_to_its_post_and_its_author() {
    let desk = Desk::of(&LinkedIn).await;
    let one = send(&desk, &post("feed", "One", vec![])).await;
    let two = send(&desk, &post("feed", "Two", vec![])).await;
    let (on_one, on_two) = (comment(&one, "More (here)"), comment(&two, "More (here)"));
    // The page's own member says the same below it.
    let alice = member();
    LinkedIn.publish(&consent::cx(&desk, &alice), &on_one).await.unwrap();
    assert_eq!(LinkedIn.look_up(&desk.cx(), &on_one, desk.window()).await.unwrap(), []);
    let first = send(&desk, &on_one).await;
    let second = send(&desk, &on_two).await;
    let seen = desk.visible();
    let parents: Vec<_> = seen.iter().filter_map(|p| p.reply_to.as_ref()).collect();
    assert_eq!(parents, [&one.id, &one.id, &two.id]);
    assert!(seen[2..].iter().all(|p| p.text == "More (here)"), "comments are no little text");
    for (out, remote) in [(&on_one, &first), (&on_two, &second)] {
        let found = LinkedIn.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), remote);
        LinkedIn.delete(&desk.cx(), &remote.id).await.unwrap();
        LinkedIn.delete(&desk.cx(), &remote.id).await.unwrap();
    }
    assert_eq!(desk.visible().len(), 3);
    let [_, over] = to_the_brim(&LinkedIn, "", 1_250);
    let error = LinkedIn.publish(&desk.cx(), &comment(&one, &over)).await.unwrap_err();
    assert_eq!(error.class, Class::Content);
    LinkedIn.delete(&desk.cx(), &one.id).await.unwrap();
    let error = LinkedIn.publish(&desk.cx(), &on_one).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No));
}

#[tokio::test]
async fn roles_are_checked() {
    let desk = Desk::of(&LinkedIn).await;
    let identity = LinkedIn.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "alice");
    let check = async |author: &str| {
        let other = desk.with("author", author);
        LinkedIn.check(&consent::cx(&desk, &other)).await
    };
    for (author, class) in [
        ("urn:li:organization:1000001", Class::Auth),
        ("urn:li:organization:5", Class::Auth),
        ("urn:li:person:nobody", Class::Config),
        ("alice", Class::Config),
    ] {
        let error = check(author).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{author}: {error:?}");
    }
}

#[tokio::test]
async fn a_consent_lasts_sixty_days_and_opens_the_member_and_the_pages() {
    let desk = Desk::of(&LinkedIn).await;
    let code = consent::code(&desk, &LinkedIn, "bob", &[]).await;
    let tokens = consent::exchange(&desk, &LinkedIn, code).await.unwrap();
    let life = Duration::from_secs(60 * 86_400);
    assert_eq!((tokens.expires_in, &tokens.refresh), (Some(life), &None));
    let bob = account(&[], &[("accessToken", tokens.access.reveal())]);
    let targets = LinkedIn.targets(&consent::cx(&desk, &bob)).await.unwrap();
    let mut names: Vec<_> =
        targets.iter().map(|t| (t.name.as_str(), t.problem.is_some())).collect();
    assert!(targets[0].id.starts_with("urn:li:person:"));
    names.sort_unstable();
    assert_eq!(names, [("Chamber", true), ("bob", false), ("bob", false)]);
    for target in targets.iter().filter(|target| target.problem.is_none()) {
        let settings = [("author", target.settings["author"].as_str())];
        let chosen = account(&settings, &[("accessToken", tokens.access.reveal())]);
        let identity = LinkedIn.check(&consent::cx(&desk, &chosen)).await.unwrap();
        assert_eq!(identity.remote_id, target.id);
    }
    desk.pass(life);
    let error = LinkedIn.check(&consent::cx(&desk, &bob)).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No));

    // An app without the pages' product still posts as its members.
    let pages = ["w_organization_social", "r_organization_social", "rw_organization_admin"];
    let code = consent::code(&desk, &LinkedIn, "bob", &pages).await;
    let less = consent::exchange(&desk, &LinkedIn, code).await.unwrap();
    let bob = account(&[], &[("accessToken", less.access.reveal())]);
    let targets = LinkedIn.targets(&consent::cx(&desk, &bob)).await.unwrap();
    assert_eq!(targets.len(), 1);
    let out = post("feed", "Hello", vec![]);
    LinkedIn.publish(&consent::cx(&desk, &bob), &out).await.unwrap();
    assert_eq!(desk.visible()[0].account, "bob");
}
