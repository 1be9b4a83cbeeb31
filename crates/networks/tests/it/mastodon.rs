//! Mastodon against the sandbox: keyed for fifty minutes, read back after that.

use std::time::Duration;

use carillon_networks::mastodon::Mastodon;
use carillon_networks::{
    Applied, Class, Grant, Network, Prepared, Published, Remote, Rendition, Secret, Window,
};
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::facebook::torn;
use crate::support::{Desk, jpeg, mp4, only, post, to_the_brim};

async fn desk() -> Desk {
    desk_with("sandbox-alice").await
}

async fn desk_with(token: &str) -> Desk {
    Desk::open(&Mastodon, &[], &[("accessToken", token)]).await
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    while Mastodon.prepare(&desk.cx(), out).await.unwrap() != Prepared::Ready {}
    match Mastodon.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

/// Another delivery: its own key, no handles.
async fn publish_another(desk: &Desk, key: &str, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    publish(desk, &Rendition { key: key.to_owned(), ..out.clone() }).await
}

#[tokio::test]
async fn an_account_is_checked_with_its_token() {
    let desk = desk().await;
    let identity = Mastodon.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "@alice@127.0.0.1");
    assert_eq!(identity.settings["accountId"], identity.remote_id);
    assert!(!identity.settings.contains_key("maxCharacters"), "it is the usual one");

    let error = Mastodon.check(&desk_with("no-such-token").await.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    assert!(!error.sentence.contains("no-such-token"));
    let error = Mastodon.check(&desk_with("").await.cx()).await.unwrap_err();
    assert_eq!(error.class, Class::Config);

    for trouble in [Trouble::ServerError, Trouble::ResetBeforeAccept] {
        desk.fault(Calls::Read, trouble);
        let error = Mastodon.check(&desk.cx()).await.unwrap_err();
        assert!(matches!(error.class, Class::Transient | Class::Unknown), "{error:?}");
    }
}

#[tokio::test]
async fn text_and_pictures_are_posted_and_deleted() {
    let desk = desk().await;
    let text =
        post("feed", "Hi @bob@other.example\n\nhttps://example.com/<a>?b=c&d #läuten", vec![]);
    let pictures = post("feed", "", vec![jpeg(90, 60, 1), jpeg(60, 90, 2)]);
    let remotes =
        [publish_another(&desk, "a", &text).await, publish_another(&desk, "b", &pictures).await];
    let seen = desk.visible();
    assert_eq!(seen.len(), 2);
    for ((out, remote), seen) in [text, pictures].iter().zip(&remotes).zip(&seen) {
        assert_eq!((&seen.text, &seen.id), (&out.text, &remote.id));
        let alts: Vec<_> = seen.media.iter().map(|m| &m.alt).collect();
        assert_eq!(alts, out.media.iter().map(|m| &m.alt).collect::<Vec<_>>());
        assert!(desk.opens(remote).await, "{remote:?}");
        let found = Mastodon.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), remote);
    }
    for remote in &remotes {
        Mastodon.delete(&desk.cx(), &remote.id).await.unwrap();
        Mastodon.delete(&desk.cx(), &remote.id).await.unwrap();
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_picture_is_waited_for_and_uploaded_once() {
    let desk = desk().await;
    let out = post("feed", "Slowly", vec![jpeg(90, 60, 1)]);
    desk.sandbox.add_fault(Fault::new("mastodon", Calls::Any, Trouble::Processing).times(2));
    let mut waits = 0;
    while let Prepared::Processing { again_in } = Mastodon.prepare(&desk.cx(), &out).await.unwrap()
    {
        assert!(again_in > Duration::ZERO);
        waits += 1;
    }
    assert_eq!(waits, 3, "two by the fault, one as always");
    assert_eq!(desk.requests("POST", "/media"), 1);
    publish(&desk, &out).await;
    assert_eq!(desk.visible()[0].media.len(), 1);
}

#[tokio::test]
async fn the_same_key_is_one_post() {
    let desk = desk().await;
    let out = post("feed", "Once", vec![jpeg(90, 60, 1)]);
    let first = publish(&desk, &out).await;
    desk.pass(Duration::from_secs(49 * 60));
    assert_eq!(publish(&desk, &out).await, first);
    assert_eq!(desk.visible().len(), 1);

    // After the hour the server has forgotten the key; that the picture is used says so in time.
    desk.pass(Duration::from_secs(3_600));
    let error = Mastodon.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.applied, error.restart), (Applied::Maybe, true), "{error:?}");
    let then = Window { since: out.created_at - 60_000, until: desk.now() };
    let found = Mastodon.look_up(&desk.cx(), &out, then).await.unwrap();
    assert_eq!(only(&found), &first);
}

#[tokio::test]
async fn a_lost_answer_is_found_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = desk().await;
        let out = post("feed", "Once  only\r\nhttps://www.example.com/a/very/long/address", vec![]);
        desk.fault(Calls::Publish, trouble);
        let error = Mastodon.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");

        let found = Mastodon.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found).id, desk.visible()[0].id);
        assert_eq!(&publish(&desk, &out).await, only(&found));
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn what_never_arrived_is_proven_absent_and_sent_again() {
    let desk = desk().await;
    let out = post("feed", "Once", vec![]);
    desk.fault(Calls::Publish, Trouble::ResetBeforeAccept);
    let error = Mastodon.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe));
    assert_eq!(Mastodon.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    publish(&desk, &out).await;
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn only_the_own_post_is_taken_for_ours() {
    let desk = desk().await;
    let out = post("feed", "Good morning", vec![]);
    publish_another(&desk, "yesterday", &out).await;
    desk.pass(Duration::from_secs(86_400));
    publish_another(&desk, "text", &post("feed", "Good evening", vec![])).await;
    publish_another(&desk, "media", &post("feed", "Good morning", vec![jpeg(90, 60, 1)])).await;
    assert_eq!(Mastodon.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let ours = publish_another(&desk, "ours", &out).await;
    for i in 0..45 {
        publish_another(&desk, &format!("{i}"), &post("feed", &format!("More, {i}"), vec![])).await;
    }
    let found = Mastodon.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &ours);
    for trouble in [Trouble::ServerError, Trouble::Garbage, Trouble::ResetBeforeAccept] {
        desk.fault(Calls::Read, trouble);
        let doubt = Mastodon.look_up(&desk.cx(), &out, desk.window()).await;
        doubt.expect_err("no answer, no proof");
    }
}

#[tokio::test]
async fn refusals_say_when_and_what() {
    let desk = desk().await;
    let out = post("feed", "Hello", vec![]);
    for (trouble, class, applied) in [
        (Trouble::RateLimit, Class::RateLimit, Applied::No),
        (Trouble::Auth, Class::Auth, Applied::No),
        (Trouble::ServerError, Class::Transient, Applied::Maybe),
        (Trouble::ResetBeforeAccept, Class::Unknown, Applied::Maybe),
        (Trouble::Slow, Class::Unknown, Applied::Maybe),
    ] {
        desk.fault(Calls::Publish, trouble);
        let cx = desk.cx_within(Duration::from_secs(2));
        let error = Mastodon.publish(&cx, &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, applied), "{trouble:?}: {error:?}");
        let waits =
            error.retry_after.is_some_and(|w| w > Duration::ZERO && w < Duration::from_secs(40));
        assert_eq!(waits, class == Class::RateLimit, "{error:?}");
    }
    for refused in [String::new(), "x".repeat(501)] {
        let out = post("feed", &refused, vec![]);
        let error = Mastodon.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn text_is_counted_as_the_network_counts() {
    let desk = desk().await;
    for begin in [
        "",
        "👩‍👩‍👧 🇩🇪 e\u{301} ",
        "https://a.io (https://example.com/a/very/long/address/indeed), ",
        "@bob @carol@social.example: ",
        "example.com me@example.com #tag ",
    ] {
        let [fits, over] = to_the_brim(&Mastodon, begin, 500);
        publish_another(&desk, &fits, &post("feed", &fits, vec![])).await;
        let error = Mastodon.publish(&desk.cx(), &post("feed", &over, vec![])).await.unwrap_err();
        assert_eq!(error.class, Class::Content, "{over}");
    }
}

#[tokio::test]
async fn a_video_stands_alone_and_is_found_again() {
    let desk = desk().await;
    let out = post("feed", "A film", vec![torn(mp4(640, 360, 30, 3_000_000), u64::MAX).1]);
    let remote = publish(&desk, &out).await;
    let seen = &desk.visible()[0];
    assert_eq!((&seen.id, seen.media[0].kind.as_str()), (&remote.id, "video"));
    assert_eq!(seen.media[0].bytes as u64, out.media[0].size());
    let found = Mastodon.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &remote);

    let both = post("feed", "Both", vec![jpeg(90, 60, 1), mp4(640, 360, 30, 100)]);
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    while Mastodon.prepare(&desk.cx(), &both).await.unwrap() != Prepared::Ready {}
    let error = Mastodon.publish(&desk.cx(), &Rendition { key: "b".into(), ..both }).await;
    assert_eq!(error.unwrap_err().class, Class::Content);
}

#[tokio::test]
async fn an_app_registers_itself_and_a_consent_is_traded_and_given_back() {
    let mut desk = desk_with("").await;
    let (back, verifier) = ("https://c.example/oauth/callback", "a-verifier-of-enough-characters");
    let client = Mastodon.register(&desk.cx(), back).await.unwrap();
    desk.account.settings.insert("clientId".into(), client.id.clone());
    let secrets = desk.account.secrets.get_mut().unwrap();
    secrets.insert("clientSecret".into(), client.secret);

    let oauth = Mastodon.spec().oauth.as_ref().unwrap();
    let base = desk.parts().1.to_owned();
    let page = oauth.consent_url(&base, "", &client.id, back, "st4te", verifier).unwrap();
    assert!(page.as_str().starts_with(&format!("{base}/oauth/authorize?")), "{page}");
    let mut form = vec![("account", "alice"), ("allow", "1"), ("redirect_uri", back)];
    let challenge = carillon_networks::oauth::challenge(verifier);
    form.extend([("state", "st4te"), ("code_challenge", challenge.as_str())]);
    form.extend(oauth.scopes.iter().map(|scope| ("grant", *scope)));
    let (http, ..) = desk.parts();
    let pressed = http.send(http.post(page.as_str()).form(&form), Duration::from_secs(5)).await;
    let way: url::Url = pressed.unwrap().header("location").unwrap().parse().unwrap();
    let brought = |key: &str| way.query_pairs().find(|(k, _)| k == key).unwrap().1.into_owned();
    assert_eq!(brought("state"), "st4te");
    let grant = |verifier: &str| Grant {
        code: Secret::new(brought("code")),
        redirect_uri: back.into(),
        verifier: Secret::new(verifier),
    };
    let tokens = Mastodon.exchange(&desk.cx(), &grant(verifier)).await.unwrap();
    assert_eq!((tokens.refresh, tokens.expires_in), (None, None), "it never ends");
    assert_eq!(oauth.missing(&tokens.scopes.unwrap()), [""; 0]);
    let used = Mastodon.exchange(&desk.cx(), &grant(verifier)).await.unwrap_err();
    assert_eq!((used.class, used.applied), (Class::Auth, Applied::No), "{used:?}");

    desk.account.secrets.get_mut().unwrap().insert("accessToken".into(), tokens.access);
    let name = Mastodon.check(&desk.cx()).await.unwrap().name;
    assert!(name.starts_with("@alice@"), "{name}");
    desk.pass(Duration::from_secs(400 * 86_400));
    publish(&desk, &post("feed", "A year later", vec![])).await;
    Mastodon.revoke(&desk.cx()).await.unwrap();
    assert_eq!(Mastodon.check(&desk.cx()).await.unwrap_err().class, Class::Auth);
}
