//! Bluesky against the sandbox: keyed, so the same record under the same key is one post for ever.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_networks::bluesky::Bluesky;
use carillon_networks::http::{Guard, Http};
use carillon_networks::{
    Account, Applied, Class, Context, Error, Media, Network, Prepared, Published, Remote,
    Rendition, Secret, Window,
};
use carillon_sandbox::{Calls, Fault, Trouble};

use serde_json::Value;

use crate::facebook::torn;
use crate::support::{Desk, Kept, account, jpeg, mp4, only, post, to_the_brim};

async fn desk() -> Desk {
    desk_with("alice.test", "sandbox-alice").await
}

async fn desk_with(identifier: &str, password: &str) -> Desk {
    Desk::open(&Bluesky, &[("identifier", identifier)], &[("password", password)]).await
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    assert_eq!(Bluesky.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match Bluesky.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn with_key(key: &str, out: &Rendition) -> Rendition {
    Rendition { key: key.to_owned(), ..out.clone() }
}

fn logins(desk: &Desk) -> usize {
    desk.requests("POST", "createSession")
}

#[tokio::test]
async fn an_account_is_checked_with_one_log_in() {
    let desk = desk().await;
    for _ in 0..2 {
        let identity = Bluesky.check(&desk.cx()).await.unwrap();
        assert_eq!(identity.name, "alice.test");
        assert_eq!(identity.settings["did"], identity.remote_id);
        assert!(!identity.settings.contains_key("pds"), "it lives where we asked");
    }
    assert_eq!(logins(&desk), 1);

    for (identifier, password) in
        [("alice.test", "no-such-password"), ("bob.test", "sandbox-alice")]
    {
        let desk = desk_with(identifier, password).await;
        let error = Bluesky.check(&desk.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
        assert!(!error.sentence.contains(password), "{}", error.sentence);
    }
    let error = Bluesky.check(&desk_with("", "sandbox-alice").await.cx()).await.unwrap_err();
    assert_eq!(error.class, Class::Config);
}

#[tokio::test]
async fn a_session_is_ended_and_ended_again() {
    let desk = desk().await;
    let error = Bluesky.revoke(&desk.cx()).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("unsupported"), "there is no session yet");
    Bluesky.check(&desk.cx()).await.unwrap();
    for _ in 0..2 {
        Bluesky.revoke(&desk.cx()).await.unwrap();
    }
    assert_eq!(desk.requests("POST", "deleteSession"), 2);
    // What is left of it ends by itself within hours; then only the app password opens another.
    desk.pass(Duration::from_secs(3 * 3600));
    Bluesky.check(&desk.cx()).await.unwrap();
    assert_eq!(logins(&desk), 2);

    desk.fault(Calls::Any, Trouble::ServerError);
    let error = Bluesky.revoke(&desk.cx()).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
}

#[tokio::test]
async fn text_and_pictures_are_posted_and_deleted() {
    let desk = desk().await;
    let text = post("feed", "🔔 @bob.test @nobody.nowhere https://example.com/ü #läuten", vec![]);
    let pictures = with_key("k2", &post("feed", "Two", vec![jpeg(90, 60, 1), jpeg(60, 90, 2)]));
    let mut remotes = Vec::new();
    for out in [&text, &pictures] {
        remotes.push(publish(&desk, out).await);
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    }
    let seen = desk.visible();
    assert_eq!(seen.len(), 2);
    for ((out, remote), seen) in [text, pictures].iter().zip(&remotes).zip(&seen) {
        assert_eq!((&seen.text, &seen.id), (&out.text, &remote.id));
        let alts: Vec<_> = seen.media.iter().map(|m| &m.alt).collect();
        assert_eq!(alts, out.media.iter().map(|m| &m.alt).collect::<Vec<_>>());
        assert!(desk.opens(remote).await, "{remote:?}");
    }
    assert_eq!(logins(&desk), 1);
    for remote in &remotes {
        Bluesky.delete(&desk.cx(), &remote.id).await.unwrap();
        Bluesky.delete(&desk.cx(), &remote.id).await.unwrap();
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn the_same_delivery_is_one_post_for_ever() {
    let desk = desk().await;
    let out = post("feed", "Once", vec![jpeg(90, 60, 1)]);
    let first = publish(&desk, &out).await;
    desk.pass(Duration::from_secs(400 * 86_400));
    assert_eq!(publish(&desk, &out).await, first);
    // Even when every handle is lost: the key and the record come out the same.
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    assert_eq!(publish(&desk, &out).await, first);
    assert_eq!(desk.visible().len(), 1);

    // Another delivery of the same moment and text is another post.
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    assert_ne!(publish(&desk, &with_key("other", &out)).await.id, first.id);
    assert_eq!(desk.visible().len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_found_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = desk().await;
        let out = post("feed", "Once", vec![jpeg(90, 60, 1)]);
        Bluesky.prepare(&desk.cx(), &out).await.unwrap();
        desk.fault(Calls::Publish, trouble);
        let error = Bluesky.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");

        let found = Bluesky.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found).id, desk.visible()[0].id);
        assert_eq!(&publish(&desk, &out).await, only(&found));
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn what_never_arrived_is_proven_absent_and_sent_again() {
    let desk = desk().await;
    let out = post("feed", "Once", vec![jpeg(90, 60, 1)]);
    Bluesky.prepare(&desk.cx(), &out).await.unwrap();
    desk.fault(Calls::Publish, Trouble::ResetBeforeAccept);
    let error = Bluesky.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe));
    assert_eq!(Bluesky.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    publish(&desk, &out).await;
    assert_eq!(desk.visible().len(), 1);
    assert_eq!(desk.requests("POST", "uploadBlob"), 1, "the blob was there already");
}

#[tokio::test]
async fn a_look_up_that_fails_cannot_tell() {
    let desk = desk().await;
    let out = post("feed", "Once", vec![]);
    publish(&desk, &out).await;
    for trouble in [Trouble::ServerError, Trouble::Garbage, Trouble::ResetBeforeAccept] {
        desk.fault(Calls::Read, trouble);
        Bluesky.look_up(&desk.cx(), &out, desk.window()).await.expect_err("no answer, no proof");
    }
}

#[tokio::test]
async fn a_session_is_renewed_and_not_made_anew() {
    let desk = desk().await;
    let send = async |key: &str| {
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        publish(&desk, &with_key(key, &post("feed", key, vec![]))).await
    };
    send("first").await;
    // The access token lives two hours, the refresh token ninety days.
    desk.pass(Duration::from_secs(3 * 3_600));
    send("renewed").await;
    assert_eq!((logins(&desk), desk.requests("POST", "refreshSession")), (1, 1));
    desk.pass(Duration::from_secs(91 * 86_400));
    send("logged in").await;
    assert_eq!(logins(&desk), 2);
    // A token that ends between preparing and publishing is renewed once.
    desk.fault(Calls::Publish, Trouble::Auth);
    send("in the middle").await;
    assert_eq!(desk.visible().len(), 4);

    let out = with_key("refused", &post("feed", "x", vec![]));
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    Bluesky.prepare(&desk.cx(), &out).await.unwrap();
    desk.sandbox.add_fault(Fault::new("bluesky", Calls::Publish, Trouble::Auth).times(2));
    let error = Bluesky.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
}

#[tokio::test]
async fn a_broken_log_in_leaves_no_doubt_about_the_post() {
    let desk = desk().await;
    let out = post("feed", "Once", vec![]);
    Bluesky.prepare(&desk.cx(), &out).await.unwrap();
    desk.pass(Duration::from_secs(3 * 3_600));
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage, Trouble::ServerError] {
        desk.fault(Calls::Prepare, trouble);
        let error = Bluesky.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    }
    publish(&desk, &out).await;
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn a_dropped_picture_is_uploaded_again() {
    let desk = desk().await;
    let out = post("feed", "Again", vec![jpeg(90, 60, 1)]);
    let first = publish(&desk, &out).await;
    // Deleting the record deletes its blob too.
    Bluesky.delete(&desk.cx(), &first.id).await.unwrap();
    let error = Bluesky.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.applied, error.restart), (Applied::No, true), "{error:?}");
    assert_eq!(error.code.as_deref(), Some("BlobNotFound"));
    assert_eq!(publish(&desk, &out).await, first);
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn refusals_say_when_and_what() {
    let desk = desk().await;
    let out = post("feed", "Hello", vec![]);
    Bluesky.prepare(&desk.cx(), &out).await.unwrap();
    for (trouble, class, applied) in [
        (Trouble::RateLimit, Class::RateLimit, Applied::No),
        (Trouble::ServerError, Class::Transient, Applied::Maybe),
        (Trouble::ResetBeforeAccept, Class::Unknown, Applied::Maybe),
        (Trouble::Slow, Class::Unknown, Applied::Maybe),
    ] {
        desk.fault(Calls::Publish, trouble);
        let cx = desk.cx_within(Duration::from_secs(2));
        let error = Bluesky.publish(&cx, &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, applied), "{trouble:?}: {error:?}");
        let waits =
            error.retry_after.is_some_and(|w| w > Duration::ZERO && w < Duration::from_secs(40));
        assert_eq!(waits, class == Class::RateLimit, "{error:?}");
    }
    let long = with_key("long", &post("feed", &"x".repeat(301), vec![]));
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    Bluesky.prepare(&desk.cx(), &long).await.unwrap();
    let error = Bluesky.publish(&desk.cx(), &long).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn text_is_counted_as_the_network_counts() {
    let desk = desk().await;
    for (i, begin) in ["", "👩‍👩‍👧 🇩🇪 e\u{301} ", "https://example.com/a "].iter().enumerate()
    {
        let [fits, over] = to_the_brim(&Bluesky, begin, 300);
        for (key, text, taken) in [("fits", fits, true), ("over", over, false)] {
            desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
            let out = with_key(&format!("{key} {i}"), &post("feed", &text, vec![]));
            Bluesky.prepare(&desk.cx(), &out).await.unwrap();
            assert_eq!(Bluesky.publish(&desk.cx(), &out).await.is_ok(), taken, "{key}: {text}");
        }
    }
}

/// An account on a real server.
struct Live {
    http: Http,
    url: String,
    kept: Kept,
    account: Account,
}

impl Live {
    fn cx(&self) -> Context<'_> {
        let timeout = Duration::from_secs(20);
        Context::new(&self.http, &self.account, &self.url, 0, timeout, self.kept.all(), &self.kept)
    }

    fn forget(&self) {
        self.kept.all().keys().for_each(|name| self.kept.lose(name));
    }

    fn hold(&self, name: &str, secret: &str) {
        self.account.secrets.lock().unwrap().insert(name.to_owned(), Secret::new(secret));
    }

    async fn prepare(&self, out: &Rendition) {
        assert_eq!(Bluesky.prepare(&self.cx(), out).await.unwrap(), Prepared::Ready);
    }

    async fn publish(&self, out: &Rendition) -> Result<Published, Error> {
        Bluesky.publish(&self.cx(), out).await
    }

    async fn look_up(&self, out: &Rendition) -> Vec<Remote> {
        let window = Window { since: 0, until: i64::MAX };
        Bluesky.look_up(&self.cx(), out, window).await.unwrap()
    }
}

/// `CARILLON_PDS` holds the line that `crates/carillon/tests/live/pds/start.mjs` prints.
#[tokio::test]
#[ignore = "needs a running PDS, named by CARILLON_PDS"]
async fn a_real_server_agrees() {
    let server: Value = serde_json::from_str(&std::env::var("CARILLON_PDS").unwrap()).unwrap();
    let said = |name: &str| server[name].as_str().unwrap().to_owned();
    let (url, handle) = (said("url"), said("identifier"));
    let mut live = Live {
        http: Http::new(Guard::allowing([url.trim_start_matches("http://").to_owned()])),
        url,
        kept: Kept::default(),
        account: account(&[("identifier", &handle)], &[("password", "wrong")]),
    };
    let error = Bluesky.check(&live.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    live.hold("password", &said("password"));
    let identity = Bluesky.check(&live.cx()).await.unwrap();
    assert_eq!((&identity.remote_id, &identity.name), (&said("did"), &handle));
    live.account.settings.extend(identity.settings);

    // A whole PNG: the server looks into it.
    let dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
    let picture = Media {
        content_type: "image/png".to_owned(),
        data: STANDARD.decode(dot).unwrap().into(),
        source: None,
        duration: None,
        cover: None,
        ..jpeg(1, 1, 1)
    };
    let text = format!("🔔 @{handle} @nobody.test https://example.com/ü #läuten");
    let out = with_key(&said("did"), &post("feed", &text, vec![picture]));
    live.prepare(&out).await;
    let facets = live.kept.all()["record"]["facets"].as_array().unwrap().len();
    assert_eq!(facets, 3, "who does not exist is no mention");
    assert_eq!(live.look_up(&out).await, []);

    let Published::Accepted(first) = live.publish(&out).await.unwrap() else { panic!("not yet") };
    let again = Published::Accepted(first.clone());
    assert_eq!(live.publish(&out).await.unwrap(), again);
    live.forget();
    live.prepare(&out).await;
    assert_eq!(live.publish(&out).await.unwrap(), again);
    assert_eq!(only(&live.look_up(&out).await), &first);

    // Tokens that are none: the session is renewed, at last by the password, or it is over.
    for broken in [&["accessJwt"][..], &["accessJwt", "refreshJwt"]] {
        broken.iter().for_each(|name| live.hold(name, "a.b.c"));
        assert_eq!(live.publish(&out).await.unwrap(), again);
    }
    ["accessJwt", "refreshJwt", "password"].iter().for_each(|name| live.hold(name, "a.b.c"));
    let error = live.publish(&out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    live.hold("password", &said("password"));

    // A deleted record takes its blob with it.
    for _ in 0..2 {
        Bluesky.delete(&live.cx(), &first.id).await.unwrap();
    }
    assert_eq!(live.look_up(&out).await, []);
    let error = live.publish(&out).await.unwrap_err();
    assert_eq!((error.code.as_deref(), error.restart), (Some("BlobNotFound"), true), "{error:?}");
    live.prepare(&out).await;
    assert_eq!(live.publish(&out).await.unwrap(), again);

    for begin in ["", "👩‍👩‍👧 🇩🇪 e\u{301} "] {
        let brim = to_the_brim(&Bluesky, begin, 300);
        for (text, taken) in brim.iter().zip([true, false]) {
            live.forget();
            let out = with_key(text, &post("feed", text, vec![]));
            live.prepare(&out).await;
            let refused = live.publish(&out).await.err().map(|e| (e.class, e.applied));
            assert_eq!(refused, (!taken).then_some((Class::Content, Applied::No)), "{text}");
        }
    }
}

#[tokio::test]
async fn a_video_is_worked_on_by_the_service_and_handed_over_once() {
    let desk = desk().await;
    let (_, film) = torn(mp4(1080, 1920, 30, 3_000_000), u64::MAX);
    let out = post("feed", "A film", vec![film]);
    desk.sandbox.add_fault(Fault::new("bluesky", Calls::Read, Trouble::Processing).times(2));
    let mut waits = 0;
    while let Prepared::Processing { again_in } = Bluesky.prepare(&desk.cx(), &out).await.unwrap() {
        waits += 1;
        desk.pass(again_in);
    }
    assert!(waits >= 2, "{waits}");
    let remote = publish(&desk, &out).await;
    let seen = &desk.visible()[0];
    assert_eq!((&seen.id, seen.media[0].kind.as_str()), (&remote.id, "video"));
    assert_eq!(
        (seen.media[0].alt.as_str(), seen.media[0].bytes as u64),
        ("A film", out.media[0].size())
    );
    assert_eq!(desk.requests("POST", "uploadVideo"), 1);

    // A crash before the job was kept: the service knows the film.
    ["job", "blob:0", "record"].iter().for_each(|name| desk.kept.lose(name));
    assert_eq!(publish(&desk, &out).await, remote);
    assert_eq!(desk.requests("POST", "uploadVideo"), 2);
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn a_video_that_is_not_taken_is_said_by_its_job() {
    let desk = desk().await;
    let out = post("feed", "Too long", vec![mp4(1080, 1920, 181, 100)]);
    let error = loop {
        match Bluesky.prepare(&desk.cx(), &out).await {
            Ok(Prepared::Processing { again_in }) => desk.pass(again_in),
            Ok(Prepared::Ready) => panic!("it is taken"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("video_failed")));
    assert!(!desk.kept.all().contains_key("job"), "another film would be another job");
}

#[tokio::test]
async fn a_server_of_ones_own_takes_a_video_as_any_file() {
    let mut desk = desk().await;
    let base = desk.parts().1.to_owned();
    desk.account.settings.insert("server".to_owned(), base);
    let (_, film) = torn(mp4(1080, 1920, 30, 3_000_000), u64::MAX);
    let out = post("feed", "A film", vec![film]);
    publish(&desk, &out).await;
    assert_eq!(desk.visible()[0].media[0].kind, "video");
    assert_eq!((desk.requests("POST", "uploadBlob"), desk.requests("POST", "uploadVideo")), (1, 0));
}
