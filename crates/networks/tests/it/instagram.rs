//! Instagram against the sandbox: every doubt is settled by reading the container.

use std::time::Duration;

use carillon_networks::instagram::Instagram;
use carillon_networks::{
    Applied, Class, Media, Network, Polled, Prepared, Published, Remote, Rendition,
};
use carillon_sandbox::{Calls, Trouble};

use crate::facebook::{connect, fresh, hold};
use crate::support::{Desk, hosted, jpeg, mp4, only, post};

async fn desk() -> Desk {
    desk_with("sandbox-alice").await
}

async fn desk_with(token: &str) -> Desk {
    Desk::open(&Instagram, &[("igBusinessId", "alice")], &[("accessToken", token)]).await
}

fn pictures(n: u8) -> Vec<Media> {
    (0..n).map(|i| hosted(jpeg(1080, 1350, i))).collect()
}

async fn ready(desk: &Desk, out: &Rendition) {
    for _ in 0..50 {
        match Instagram.prepare(&desk.cx(), out).await.unwrap() {
            Prepared::Ready => return,
            Prepared::Processing { again_in } => desk.pass(again_in),
        }
    }
    panic!("the container is never finished");
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    ready(desk, out).await;
    match Instagram.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

async fn poll(desk: &Desk, out: &Rendition) -> Polled {
    for _ in 0..50 {
        match Instagram.poll(&desk.cx(), out).await.unwrap() {
            Polled::Processing { again_in } => desk.pass(again_in),
            settled => return settled,
        }
    }
    panic!("the container is never settled");
}

async fn found(desk: &Desk, out: &Rendition) -> Remote {
    match poll(desk, out).await {
        Polled::Published(remote) => remote,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_account_is_checked() {
    let identity = Instagram.check(&desk().await.cx()).await.unwrap();
    assert_eq!(identity.remote_id, "alice");
    assert_eq!(identity.settings["instagramUsername"], identity.name);

    let error = Instagram.check(&desk_with("no-such-token").await.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    assert!(!error.sentence.contains("no-such-token"));
}

#[tokio::test]
async fn a_picture_a_carousel_and_a_story_are_posted() {
    let desk = desk().await;
    let story = Media { height: 1920, ..hosted(jpeg(1080, 1920, 9)) };
    for (out, placement, media) in [
        (post("feed", "One #picture", pictures(1)), "feed", 1),
        (post("feed", "Three", pictures(3)), "feed", 3),
        (post("story", "", vec![story]), "story", 1),
    ] {
        let before = desk.visible().len();
        let remote = publish(&desk, &out).await;
        let seen = desk.visible();
        assert_eq!(seen.len(), before + 1);
        let seen = seen.last().unwrap();
        assert_eq!((&seen.id, seen.placement.as_str()), (&remote.id, placement));
        assert_eq!((&seen.text, seen.media.len()), (&out.text, media));
        assert!(remote.url.is_some(), "{remote:?}");
        // A repeat of the whole delivery finds it published and asks for nothing.
        let again = Instagram.prepare(&desk.cx(), &out).await.unwrap();
        assert_eq!(again, Prepared::Ready);
        let again = Instagram.publish(&desk.cx(), &out).await.unwrap();
        assert!(matches!(again, Published::Processing { .. }), "{again:?}");
        assert_eq!(found(&desk, &out).await.id, remote.id);
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    }
    let alts: Vec<_> = desk.visible()[1].media.iter().map(|m| m.alt.clone()).collect();
    assert_eq!(alts, ["Picture “0”", "Picture “1”", "Picture “2”"]);
}

#[tokio::test]
async fn a_lost_answer_is_read_from_the_container() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = desk().await;
        let out = post("feed", "Once only", pictures(2));
        ready(&desk, &out).await;
        desk.fault(Calls::Publish, trouble);
        let error = Instagram.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");

        let remote = found(&desk, &out).await;
        assert_eq!(desk.visible().len(), 1);
        assert_eq!(remote.id, desk.visible()[0].id);
        let listed = Instagram.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&listed), &remote);
        assert_eq!(desk.requests("POST", "/media_publish"), 1);
    }
}

#[tokio::test]
async fn what_never_arrived_is_published_with_the_same_container() {
    let desk = desk().await;
    let out = post("feed", "Once only", pictures(1));
    ready(&desk, &out).await;
    desk.fault(Calls::Publish, Trouble::ResetBeforeAccept);
    let error = Instagram.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe));
    assert!(matches!(poll(&desk, &out).await, Polled::NotPublished));
    let handle = desk.kept.all()["container"].clone();

    publish(&desk, &out).await;
    assert_eq!(desk.kept.all()["container"], handle);
    assert_eq!(desk.visible().len(), 1);
    assert_eq!(desk.requests("POST", "/media"), 1);
}

#[tokio::test]
async fn a_slow_container_is_waited_for() {
    let desk = desk().await;
    let out = post("feed", "Patience", pictures(1));
    let slow = carillon_sandbox::Fault::new("instagram", Calls::Read, Trouble::Processing);
    desk.sandbox.add_fault(slow.times(5));
    let mut waits = Vec::new();
    while let Prepared::Processing { again_in } = Instagram.prepare(&desk.cx(), &out).await.unwrap()
    {
        waits.push(again_in.as_secs());
        desk.pass(again_in);
    }
    assert!(waits.len() >= 5 && waits.is_sorted(), "{waits:?}");
    assert_eq!((waits[0], waits.last()), (5, Some(&15)));
    assert_eq!(desk.requests("POST", "/media"), 1);
    publish(&desk, &out).await;
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn an_endless_container_is_given_up() {
    let desk = desk().await;
    let out = post("feed", "Patience", pictures(1));
    let slow = carillon_sandbox::Fault::new("instagram", Calls::Read, Trouble::Processing);
    desk.sandbox.add_fault(slow.times(u32::MAX));
    let error = loop {
        match Instagram.prepare(&desk.cx(), &out).await {
            Ok(Prepared::Processing { again_in }) => desk.pass(again_in),
            Ok(Prepared::Ready) => panic!("it is never ready"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.class, error.code.as_deref()), (Class::Transient, Some("container_stuck")));
    assert!(!desk.kept.all().contains_key("container"), "a new one is made next");
}

#[tokio::test]
async fn an_expired_container_is_replaced() {
    let desk = desk().await;
    let out = post("feed", "Late", pictures(2));
    ready(&desk, &out).await;
    let first = desk.kept.all()["container"].clone();
    desk.pass(Duration::from_secs(25 * 3_600));
    match poll(&desk, &out).await {
        Polled::Gone(error) => assert!(error.restart, "{error:?}"),
        other => panic!("{other:?}"),
    }
    publish(&desk, &out).await;
    assert_ne!(desk.kept.all()["container"], first);
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn a_picture_that_is_not_there_is_asked_for_until_it_is() {
    let desk = desk().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/gone.jpg", closed.local_addr().unwrap());
    drop(closed);
    let out = post("feed", "No picture", vec![Media { url, ..jpeg(1080, 1350, 1) }]);
    let mut errors = 0;
    while errors < 4 {
        match Instagram.prepare(&desk.cx(), &out).await {
            Ok(Prepared::Processing { again_in }) => desk.pass(again_in),
            Ok(Prepared::Ready) => panic!("there is no picture"),
            Err(error) => {
                assert_eq!((error.class, error.restart), (Class::Transient, false), "{error:?}");
                errors += 1;
            }
        }
    }
    publish(&desk, &post("feed", "No picture", vec![hosted(jpeg(1080, 1350, 1))])).await;
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn refusals_say_when_and_what() {
    let desk = desk().await;
    let out = post("feed", "Hello", pictures(1));
    desk.fault(Calls::Prepare, Trouble::RateLimit);
    let error = Instagram.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::RateLimit, Applied::No), "{error:?}");
    assert!(error.retry_after.is_some_and(|after| after > Duration::ZERO), "{error:?}");

    let wide = post("feed", "Hello", vec![hosted(jpeg(1440, 360, 1))]);
    let error = loop {
        match Instagram.prepare(&desk.cx(), &wide).await {
            Ok(Prepared::Processing { again_in }) => desk.pass(again_in),
            Ok(Prepared::Ready) => panic!("4:1 is too wide"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.class, Class::Content, "{error:?}");

    let nowhere = post("feed", "Hello", vec![jpeg(1080, 1350, 1)]);
    let error = Instagram.prepare(&desk.cx(), &nowhere).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Config, Some("no_public_address")));
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn deleting_twice_is_fine() {
    let desk = desk().await;
    let remote = publish(&desk, &post("feed", "Soon gone", pictures(1))).await;
    Instagram.delete(&desk.cx(), &remote.id).await.unwrap();
    Instagram.delete(&desk.cx(), &remote.id).await.unwrap();
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_film_is_fetched_or_uploaded_and_is_a_reel_where_it_stands_alone() {
    let desk = desk().await;
    let film = || mp4(1080, 1920, 30, 50_000);
    for (out, uploads, placement) in [
        (post("reel", "Fetched", vec![hosted(film())]), 0, "reel"),
        (post("reel", "Uploaded", vec![film()]), 1, "reel"),
        (post("feed", "Alone", vec![hosted(film())]), 1, "reel"),
        (post("story", "", vec![film()]), 2, "story"),
    ] {
        let remote = publish(&desk, &out).await;
        let seen = desk.visible();
        let seen = seen.last().unwrap();
        assert_eq!((&seen.id, seen.placement.as_str()), (&remote.id, placement), "{out:?}");
        assert_eq!((&seen.text, seen.media[0].kind.as_str()), (&out.text, "video"));
        assert_eq!(seen.media[0].bytes as u64, out.media[0].size());
        let sent = desk.sandbox.requests("instagram");
        assert_eq!(sent.iter().filter(|r| r.path.contains("ig-api-upload")).count(), uploads);
        assert_eq!(found(&desk, &out).await.id, remote.id);
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        desk.pass(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn pictures_and_films_stand_in_one_carousel() {
    let desk = desk().await;
    let media =
        vec![hosted(jpeg(1080, 1350, 1)), mp4(1080, 1350, 20, 9_000), hosted(jpeg(1080, 1350, 2))];
    let out = post("feed", "Both", media);
    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    ready(&desk, &out).await;
    Instagram.publish(&desk.cx(), &out).await.unwrap_err();
    let remote = found(&desk, &out).await;
    let seen = &desk.visible()[0];
    assert_eq!((&seen.id, seen.placement.as_str()), (&remote.id, "feed"));
    let kinds: Vec<_> = seen.media.iter().map(|m| m.kind.as_str()).collect();
    assert_eq!(kinds, ["image", "video", "image"]);
    // The same words over another number of items are another's.
    let fewer = post("feed", "Both", pictures(2));
    assert_eq!(Instagram.look_up(&desk.cx(), &fewer, desk.window()).await.unwrap(), []);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    let desk = desk().await;
    let film = mp4(1080, 1920, 30, 90_000);
    let whole = film.data.clone();
    let out = post("reel", "A reel", vec![film]);
    // The container is there, and nothing of the film.
    let (http, base, _) = desk.parts();
    let form = [("media_type", "REELS"), ("upload_type", "resumable"), ("caption", "A reel")];
    let made =
        http.post(&format!("{base}/v25.0/alice/media")).bearer_auth("sandbox-alice").form(&form);
    let made = http.send(made, Duration::from_secs(5)).await.unwrap().value();
    let id = made["id"].as_str().unwrap().to_owned();
    let saved = serde_json::json!({ "id": id, "at": desk.now(), "awaits": true });
    carillon_networks::Keeper::checkpoint(&desk.kept, "container", &saved).await.unwrap();
    carillon_networks::Keeper::checkpoint(&desk.kept, "container:from", &0.into()).await.unwrap();
    let first = http
        .post(&format!("{base}/ig-api-upload/v25.0/{id}"))
        .header("authorization", "OAuth sandbox-alice")
        .header("offset", "0")
        .header("file_size", whole.len())
        .body(whole.slice(..40_000));
    assert_eq!(http.send(first, Duration::from_secs(5)).await.unwrap().status.as_u16(), 400);
    publish(&desk, &out).await;
    assert_eq!(desk.visible()[0].media[0].bytes, whole.len());
    let sent = desk.sandbox.requests("instagram");
    let offsets: Vec<_> = sent.iter().filter_map(|r| r.headers.get("offset")).collect();
    assert_eq!(offsets, ["0", "40000"]);
    assert_eq!(desk.requests("POST", "/media"), 1, "no second container");
}

#[tokio::test]
async fn a_film_that_is_not_taken_is_said_by_its_container() {
    let desk = desk().await;
    for out in [
        post("reel", "", vec![mp4(1080, 1920, 2, 100)]),
        post("reel", "", vec![hosted(mp4(1080, 1920, 901, 100))]),
        post("story", "", vec![mp4(1080, 1920, 61, 100)]),
    ] {
        let error = loop {
            match Instagram.prepare(&desk.cx(), &out).await {
                Ok(Prepared::Processing { again_in }) => desk.pass(again_in),
                Ok(Prepared::Ready) => panic!("it is taken: {out:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("0/2207026")));
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    }
}

#[tokio::test]
async fn a_consent_opens_the_accounts_of_the_persons_pages() {
    let mut desk = fresh(&Instagram).await;
    let all = Instagram.spec().oauth.as_ref().unwrap().scopes;
    let (tokens, targets) = connect(&desk, &Instagram, "alice", all).await;
    assert_eq!((tokens.refresh, tokens.expires_in), (None, None));
    let targets = targets.unwrap();
    let told: Vec<_> = targets.iter().map(|t| (t.name.as_str(), t.problem.is_some())).collect();
    assert_eq!(told, [("alice", false), ("alice-shop", true)]);
    let problem = targets[1].problem.as_deref().unwrap();
    assert!(problem.contains("no professional Instagram account"), "{problem}");
    assert!(targets[1].secrets.is_empty() && targets[1].settings.is_empty());

    let target = targets[0].clone();
    hold(&desk, &[("accessToken", target.secrets["accessToken"].clone())]);
    desk.account.settings.extend(target.settings);
    assert_eq!(desk.account.settings["instagramUsername"], "alice");
    assert_eq!(Instagram.check(&desk.cx()).await.unwrap().remote_id, "alice");
    desk.pass(Duration::from_secs(61 * 86_400));
    publish(&desk, &post("feed", "Still here", pictures(1))).await;
    assert_eq!(desk.visible().len(), 1);

    let (_, targets) = connect(&desk, &Instagram, "nobody", all).await;
    assert_eq!(targets.unwrap_err().code.as_deref(), Some("no_pages"));
    let (_, targets) = connect(&desk, &Instagram, "bob", &["pages_show_list"]).await;
    let target = targets.unwrap().remove(0);
    hold(&desk, &[("accessToken", target.secrets["accessToken"].clone())]);
    desk.account.settings.extend(target.settings);
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    let error = Instagram.prepare(&desk.cx(), &post("feed", "x", pictures(1))).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
}
