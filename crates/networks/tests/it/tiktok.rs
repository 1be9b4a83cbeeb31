//! TikTok against the sandbox: all but the last chunk before, the last one as the post, photos that
//! TikTok fetches.

use std::time::Duration;

use carillon_networks::tiktok::{SPEC, TikTok};
use carillon_networks::{
    Applied, Class, Error, Media, Network, Polled, Prepared, Published, Remote, Rendition,
};
use carillon_sandbox::{Calls, Fault, Trouble};
use serde_json::Value;

use crate::gbp::{app, consent, hold};
use crate::support::{Desk, account, hosted, jpeg, mp4, post, to_the_brim};
use crate::youtube::{away, next, trapped};

const MIB: usize = 1 << 20;
/// Where the second chunk begins.
const CHUNK: u64 = 5 << 20;

async fn as_account(name: &str) -> Desk {
    let mut desk = Desk::of(&TikTok).await;
    desk.account = account(&[], &[("accessToken", &format!("sandbox-{name}"))]);
    desk
}

fn video(text: &str) -> Rendition {
    post("video", text, vec![mp4(1080, 1920, 20, 4_000)])
}

fn photos(text: &str, media: Vec<Media>) -> Rendition {
    post("photos", text, media.into_iter().map(hosted).collect())
}

fn told(out: Rendition, key: &str, answer: &str) -> Rendition {
    Rendition { extra: [(key.to_owned(), answer.to_owned())].into(), ..out }
}

async fn ready(desk: &Desk, out: &Rendition) {
    assert_eq!(TikTok.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
}

async fn settled(desk: &Desk, out: &Rendition) -> Polled {
    for _ in 0..200 {
        match TikTok.poll(&desk.cx(), out).await.unwrap() {
            Polled::Processing { again_in } => desk.pass(again_in),
            settled => return settled,
        }
    }
    panic!("it is never settled");
}

async fn found(desk: &Desk, out: &Rendition) -> Remote {
    match settled(desk, out).await {
        Polled::Published(remote) => remote,
        other => panic!("{other:?}"),
    }
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    ready(desk, out).await;
    let published = TikTok.publish(&desk.cx(), out).await.unwrap();
    assert!(matches!(published, Published::Processing { .. }), "{published:?}");
    found(desk, out).await
}

fn puts(desk: &Desk) -> usize {
    desk.requests("PUT", "/video")
}

fn opened(desk: &Desk) -> usize {
    desk.requests("POST", "/init")
}

/// The bodies of what was posted to a path with this end.
fn sent(desk: &Desk, end: &str) -> Vec<Value> {
    let all = desk.sandbox.requests("tiktok");
    let sent = all.iter().filter(|r| r.method == "POST" && r.path.ends_with(end));
    sent.map(|r| serde_json::from_str(&r.body).unwrap()).collect()
}

#[tokio::test]
async fn a_consent_is_renewed_with_a_new_refresh_token_each_time() {
    let desk = app(&TikTok).await;
    let grant = consent(&desk, &TikTok, "alice", |_| true).await;
    let tokens = TikTok.exchange(&desk.cx(), &grant).await.unwrap();
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(86_400)));
    assert_eq!(tokens.refresh_expires_in, Some(Duration::from_secs(365 * 86_400)));
    assert_eq!(SPEC.oauth.as_ref().unwrap().missing(tokens.scopes.as_ref().unwrap()), [""; 0]);
    hold(&desk, &tokens);
    let identity = TikTok.check(&desk.cx()).await.unwrap();
    assert_eq!((identity.name.as_str(), &identity.settings["username"]), ("alice", &identity.name));

    desk.pass(Duration::from_secs(86_400));
    let error = TikTok.check(&desk.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    let renewed = TikTok.refresh(&desk.cx()).await.unwrap();
    assert!(renewed.refresh.is_some() && renewed.refresh != tokens.refresh, "it rotates");
    // The old one again: somebody has a copy, says the sandbox, and ends the consent.
    let error = TikTok.refresh(&desk.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    let grant = consent(&desk, &TikTok, "alice", |_| true).await;
    hold(&desk, &TikTok.exchange(&desk.cx(), &grant).await.unwrap());
    TikTok.check(&desk.cx()).await.unwrap();
    TikTok.revoke(&desk.cx()).await.unwrap();
    assert_eq!(TikTok.check(&desk.cx()).await.unwrap_err().class, Class::Auth);
    TikTok.revoke(&desk.cx()).await.unwrap();
}

#[tokio::test]
async fn a_right_that_was_unticked_is_told_before_anything_is_opened() {
    let desk = app(&TikTok).await;
    let grant = consent(&desk, &TikTok, "alice", |scope| scope != "video.publish").await;
    hold(&desk, &TikTok.exchange(&desk.cx(), &grant).await.unwrap());
    TikTok.check(&desk.cx()).await.unwrap();
    let error = TikTok.prepare(&desk.cx(), &video("No right")).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("scope_not_authorized")));
    assert!(error.request_id.is_some(), "{error:?}");
    // Drafts are another right.
    ready(&desk, &Rendition { text: String::new(), ..post("inbox", "", video("").media) }).await;
    assert_eq!(opened(&desk), 1);
}

#[tokio::test]
async fn the_last_chunk_is_the_post() {
    let desk = Desk::of(&TikTok).await;
    let film = trapped(17 * MIB, 0, Box::new(|| Ok(())));
    let total = usize::try_from(film.size()).unwrap();
    let out = told(post("video", "Fresh #bread @bakery", vec![film]), "duets", "false");
    ready(&desk, &out).await;
    assert_eq!((puts(&desk), opened(&desk)), (2, 1), "two of three chunks");
    assert_eq!(desk.requests("POST", "/creator_info/query"), 1);
    desk.pass(Duration::from_secs(600));
    assert!(matches!(TikTok.poll(&desk.cx(), &out).await.unwrap(), Polled::NotPublished));
    assert!(desk.visible().is_empty(), "as long as a byte is missing");
    // Prepared once more, as after a restart: there is nothing left to do.
    ready(&desk, &out).await;
    assert_eq!((puts(&desk), opened(&desk)), (2, 1));

    TikTok.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(puts(&desk), 3);
    let remote = found(&desk, &out).await;
    assert!(remote.id.parse::<u64>().unwrap() > 1 << 53, "{remote:?}");
    assert!(desk.opens(&remote).await, "{remote:?}");
    let seen = desk.visible();
    assert_eq!((seen.len(), &seen[0].id, &seen[0].text), (1, &remote.id, &out.text));
    assert_eq!(seen[0].media[0].bytes, total);
    let info = &sent(&desk, "/video/init")[0];
    assert_eq!(info["post_info"]["disable_duet"], true);
    assert_eq!(info["post_info"]["disable_comment"], false);
    assert_eq!(info["source_info"]["total_chunk_count"], 3);
    for request in desk.sandbox.requests("tiktok") {
        assert!(request.query.get("upload_token").is_none_or(|t| t == "***"), "{request:?}");
    }
    // All over again, it asks and sends nothing.
    ready(&desk, &out).await;
    TikTok.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(found(&desk, &out).await, remote);
    assert_eq!((puts(&desk), opened(&desk)), (3, 1));
}

#[tokio::test]
async fn a_broken_upload_goes_on_with_the_next_chunk() {
    for (i, sent) in [(0, 2), (1, 3), (2, 2), (3, 3)] {
        let desk = Desk::of(&TikTok).await;
        let trap = match i {
            0 => away(),
            1 => next(&desk, "tiktok", Trouble::ResetBeforeAccept),
            2 => next(&desk, "tiktok", Trouble::ResetAfterAccept),
            _ => next(&desk, "tiktok", Trouble::ServerError),
        };
        let out = post("video", "Broken", vec![trapped(17 * MIB, CHUNK, trap)]);
        let error = TikTok.prepare(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
        ready(&desk, &out).await;
        assert_eq!((puts(&desk), opened(&desk)), (sent, 1), "{i}");
        TikTok.publish(&desk.cx(), &out).await.unwrap();
        found(&desk, &out).await;
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn the_last_chunk_twice_is_one_post() {
    let desk = Desk::of(&TikTok).await;
    let out = video("Once only");
    ready(&desk, &out).await;
    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    let error = TikTok.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");
    // Sent again without having looked: not taken, and no reason to begin anew.
    let error = TikTok.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.applied, error.restart), (Applied::Maybe, false), "{error:?}");
    found(&desk, &out).await;
    assert_eq!((desk.visible().len(), opened(&desk)), (1, 1));
}

#[tokio::test]
async fn an_address_that_ended_is_dead_for_certain_before_a_new_one_is_asked_for() {
    let desk = Desk::of(&TikTok).await;
    let out = video("Late");
    ready(&desk, &out).await;
    desk.pass(Duration::from_secs(61 * 60));
    let error = TikTok.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::Maybe), "{error:?}");
    assert!(!error.restart);
    assert!(matches!(TikTok.poll(&desk.cx(), &out).await.unwrap(), Polled::NotPublished));
    desk.pass(Duration::from_secs(5 * 60));
    match TikTok.poll(&desk.cx(), &out).await.unwrap() {
        Polled::Gone(error) => assert!(error.restart, "{error:?}"),
        other => panic!("{other:?}"),
    }
    ready(&desk, &out).await;
    assert_eq!(opened(&desk), 2);
    TikTok.publish(&desk.cx(), &out).await.unwrap();
    found(&desk, &out).await;
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn a_long_processing_is_waited_for() {
    let desk = Desk::of(&TikTok).await;
    let out = video("Patience");
    ready(&desk, &out).await;
    TikTok.publish(&desk.cx(), &out).await.unwrap();
    desk.sandbox.add_fault(Fault::new("tiktok", Calls::Any, Trouble::Processing).times(10));
    let mut waits = Vec::new();
    while let Polled::Processing { again_in } = TikTok.poll(&desk.cx(), &out).await.unwrap() {
        waits.push(again_in.as_secs());
        desk.pass(again_in);
    }
    assert!(waits.len() > 15 && waits.is_sorted(), "{waits:?}");
    assert_eq!(desk.visible().len(), 1);
    for trouble in [Trouble::ServerError, Trouble::Garbage, Trouble::RateLimit] {
        desk.fault(Calls::Read, trouble);
        let error = TikTok.poll(&desk.cx(), &out).await.unwrap_err();
        assert_eq!(error.applied, Applied::No, "{trouble:?}: {error:?}");
    }
}

#[tokio::test]
async fn what_tiktok_did_not_take_fails_with_its_reason() {
    let desk = Desk::of(&TikTok).await;
    let film = Media { data: b"no film at all".as_slice().into(), ..mp4(1, 1, 1, 0) };
    let out = post("video", "Nonsense", vec![film]);
    ready(&desk, &out).await;
    TikTok.publish(&desk.cx(), &out).await.unwrap();
    match settled(&desk, &out).await {
        Polled::Gone(error) => {
            assert_eq!(error.code.as_deref(), Some("file_format_check_failed"));
            assert_eq!((error.class, error.restart), (Class::Content, false), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    // Tried again by hand, it is known to have failed, and the next try begins anew.
    let error = TikTok.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.class, Class::Content);
    ready(&desk, &out).await;
    assert_eq!(opened(&desk), 2);

    let long = post("video", "Long", vec![mp4(1080, 1920, 301, 100)]);
    let error = TikTok.prepare(&Desk::of(&TikTok).await.cx(), &long).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_deref()),
        (Class::Content, Some("duration_check_failed"))
    );
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn the_audience_is_one_that_the_account_has() {
    let desk = as_account("private-shop").await;
    let wide = told(video("To all"), "audience", "PUBLIC_TO_EVERYONE");
    let error = TikTok.prepare(&desk.cx(), &wide).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    assert_eq!(opened(&desk), 0);
    // A post that is not public has no number that anybody is told.
    let remote = publish(&desk, &video("To followers")).await;
    assert!(remote.id.starts_with("v_pub_file"), "{remote:?}");
    assert_eq!(sent(&desk, "/video/init")[0]["post_info"]["privacy_level"], "FOLLOWER_OF_CREATOR");
    publish(&desk, &told(video("To nobody"), "audience", "SELF_ONLY")).await;
    assert_eq!(desk.visible().len(), 1);

    let desk = as_account("unaudited").await;
    let error = TikTok.prepare(&desk.cx(), &video("Too early")).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Config, Applied::No), "{error:?}");
    let desk = as_account("muted").await;
    publish(&desk, &told(video("Quietly"), "comments", "true")).await;
    assert_eq!(sent(&desk, "/video/init")[0]["post_info"]["disable_comment"], true);
}

#[tokio::test]
async fn a_draft_goes_to_the_inbox() {
    let desk = Desk::of(&TikTok).await;
    let out = post("inbox", "", vec![trapped(12 * MIB, 0, Box::new(|| Ok(())))]);
    let remote = publish(&desk, &out).await;
    assert!(remote.id.starts_with("v_inbox_file"), "{remote:?}");
    assert_eq!(puts(&desk), 2);
    assert_eq!(desk.requests("POST", "/creator_info/query"), 0, "nothing is posted");
    let seen = desk.visible();
    assert_eq!((seen.len(), seen[0].placement.as_str()), (1, "inbox"));
}

#[tokio::test]
async fn photos_are_fetched_and_posted_in_order() {
    let desk = Desk::of(&TikTok).await;
    let pictures = (1..=3).map(|i| jpeg(1080, 1350, i)).collect::<Vec<_>>();
    let sizes: Vec<usize> = pictures.iter().map(|p| p.data.len()).collect();
    let out = Rendition { title: Some("Rye".to_owned()), ..photos("Three loaves", pictures) };
    let out = told(out, "music", "true");
    let remote = publish(&desk, &out).await;
    assert!(desk.opens(&remote).await, "{remote:?}");
    let seen = &desk.visible()[0];
    assert_eq!((seen.id.as_str(), seen.text.as_str()), (remote.id.as_str(), "Rye\n\nThree loaves"));
    assert_eq!(seen.media.iter().map(|m| m.bytes).collect::<Vec<_>>(), sizes);
    let body = &sent(&desk, "/content/init")[0];
    assert_eq!(body["post_info"]["auto_add_music"], true);
    assert_eq!(body["source_info"]["photo_images"].as_array().unwrap().len(), 3);

    // What is left of it does not stand in the next try's way.
    ready(&desk, &out).await;
    assert!(!desk.kept.all().contains_key("handle"));
}

#[tokio::test]
async fn photos_that_cannot_be_had_are_told_apart() {
    let failed = async |desk: &Desk, out: &Rendition| -> Error {
        ready(desk, out).await;
        TikTok.publish(&desk.cx(), out).await.unwrap();
        match settled(desk, out).await {
            Polled::Gone(error) => error,
            other => panic!("{other:?}"),
        }
    };
    let desk = Desk::of(&TikTok).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/gone.jpg", closed.local_addr().unwrap());
    drop(closed);
    let gone = post("photos", "Gone", vec![Media { url, ..jpeg(1080, 1350, 1) }]);
    let error = failed(&desk, &gone).await;
    assert_eq!((error.class, error.restart), (Class::Transient, true), "{error:?}");
    let error = failed(&desk, &photos("Large", vec![jpeg(2000, 3000, 1)])).await;
    assert_eq!((error.class, error.restart), (Class::Content, false), "{error:?}");

    let nowhere = post("photos", "Nowhere", vec![jpeg(1080, 1350, 1)]);
    let error = TikTok.prepare(&desk.cx(), &nowhere).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Config, Some("no_public_address")));
    let url = "https://unverified.example/a.jpg".to_owned();
    let foreign = post("photos", "Foreign", vec![Media { url, ..jpeg(1080, 1350, 1) }]);
    ready(&desk, &foreign).await;
    let error = TikTok.publish(&desk.cx(), &foreign).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Config, Applied::No), "{error:?}");
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_cap_that_comes_as_a_success_is_a_cap() {
    let desk = Desk::of(&TikTok).await;
    for i in 0..15 {
        publish(&desk, &video(&format!("Post {i}"))).await;
    }
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    for out in [video("One too many"), photos("One too many", vec![jpeg(1080, 1080, 1)])] {
        let error = TikTok.prepare(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Quota, Some(200)), "{error:?}");
        assert_eq!(error.applied, Applied::No);
    }
    assert_eq!(opened(&desk), 15);
    desk.pass(Duration::from_secs(86_400));
    publish(&desk, &video("The next day")).await;
    assert_eq!(desk.visible().len(), 16);
}

#[tokio::test]
async fn captions_are_counted_in_utf16() {
    let desk = Desk::of(&TikTok).await;
    for begin in ["", "👩‍👩‍👧 🇩🇪 e\u{301} ", "https://a.example/x #läuten @bob "]
    {
        let [fits, over] = to_the_brim(&TikTok, begin, 2_200);
        assert_eq!(publish(&desk, &video(&fits)).await.id, desk.visible().last().unwrap().id);
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        let error = TikTok.prepare(&desk.cx(), &video(&over)).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
}
