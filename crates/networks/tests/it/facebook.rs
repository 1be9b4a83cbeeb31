//! Facebook pages against the sandbox: posts are read back, videos and reels are asked for by the
//! id of their upload, stories are known by what they show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use carillon_networks::facebook::Facebook;
use carillon_networks::{
    Applied, Class, Error, Grant, Keeper, Media, Network, Polled, Prepared, Published, Remote,
    Rendition, Secret, Source, Target, Tokens,
};
use carillon_sandbox::{CLIENT_ID, CLIENT_SECRET, Calls, Fault, Trouble};

use crate::support::{Desk, jpeg, mp4, only, post};

async fn desk() -> Desk {
    desk_with("alice", "sandbox-alice").await
}

async fn desk_with(page: &str, token: &str) -> Desk {
    Desk::open(&Facebook, &[("pageId", page)], &[("accessToken", token)]).await
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    assert_eq!(Facebook.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match Facebook.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_is_checked_with_its_own_token() {
    let desk = desk().await;
    let identity = Facebook.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.remote_id, "alice");
    assert!(!identity.name.is_empty());

    for (page, token) in [("alice", "no-such-token"), ("alice", "sandbox-bob")] {
        let error = Facebook.check(&desk_with(page, token).await.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
        assert!(!error.sentence.contains(token), "{}", error.sentence);
    }
    let nameless = desk_with("", "sandbox-alice").await;
    assert_eq!(Facebook.check(&nameless.cx()).await.unwrap_err().class, Class::Config);
}

#[tokio::test]
async fn text_and_pictures_are_posted_and_deleted() {
    let desk = desk().await;
    let text = post("feed", "Hello, world\nhttps://example.com/a?b=c&d", vec![]);
    let pictures = |n| (0..n).map(|i| jpeg(1200, 800, i)).collect::<Vec<_>>();
    let one = post("feed", "One picture", pictures(1));
    let three = post("feed", "", pictures(3));
    let mut remotes = Vec::new();
    for out in [&text, &one, &three] {
        remotes.push(publish(&desk, out).await);
        // Another delivery begins without handles.
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    }

    let seen = desk.visible();
    assert_eq!(seen.len(), 3);
    for ((out, remote), seen) in [text, one, three].iter().zip(&remotes).zip(&seen) {
        assert_eq!((&seen.text, &seen.id), (&out.text, &remote.id));
        let pictures = seen.media.iter().filter(|m| m.kind == "image");
        let alts: Vec<_> = pictures.map(|m| m.alt.clone()).collect();
        assert_eq!(alts, out.media.iter().map(|m| m.alt.clone()).collect::<Vec<_>>());
        assert!(remote.url.as_deref().is_some_and(|url| url.starts_with("http")), "{remote:?}");
    }
    for remote in &remotes {
        Facebook.delete(&desk.cx(), &remote.id).await.unwrap();
        Facebook.delete(&desk.cx(), &remote.id).await.unwrap();
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn not_being_allowed_to_see_a_post_is_not_its_absence() {
    let desk = desk_with("alice", "sandbox-bob").await;
    let error = Facebook.delete(&desk.cx(), "alice_1").await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("100/33")));
}

#[tokio::test]
async fn a_lost_answer_is_found_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = desk().await;
        let out = post("feed", "Once  only\r\nwith a second line", vec![jpeg(800, 800, 1)]);
        Facebook.prepare(&desk.cx(), &out).await.unwrap();
        desk.fault(Calls::Publish, trouble);
        let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");

        let found = Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found).id, desk.visible()[0].id);
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn what_never_arrived_is_proven_absent_and_sent_again() {
    let desk = desk().await;
    let out = post("feed", "Once only", vec![jpeg(800, 800, 1), jpeg(800, 800, 2)]);
    Facebook.prepare(&desk.cx(), &out).await.unwrap();
    desk.fault(Calls::Publish, Trouble::ResetBeforeAccept);
    let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe));
    assert_eq!(Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    publish(&desk, &out).await;
    assert_eq!(desk.visible().len(), 1);
    assert_eq!(desk.requests("POST", "/photos"), 2, "the photos were there already");
}

#[tokio::test]
async fn only_the_own_post_is_taken_for_ours() {
    let desk = desk().await;
    let out = post("feed", "Good morning", vec![]);
    // Yesterday's, another text, another number of pictures.
    let yesterday = desk.window();
    let old = publish(&desk, &out).await;
    desk.pass(Duration::from_secs(86_400));
    publish(&desk, &post("feed", "Good evening", vec![])).await;
    publish(&desk, &post("feed", "Good morning", vec![jpeg(800, 800, 1)])).await;
    assert_eq!(Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let ours =
        publish(&desk, &Rendition { text: "Good  morning\n".to_owned(), ..out.clone() }).await;
    let found = Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found).id, ours.id);
    let found = Facebook.look_up(&desk.cx(), &out, yesterday).await.unwrap();
    assert_eq!(only(&found).id, old.id);
}

#[tokio::test]
async fn a_busy_page_is_read_over_its_pages() {
    let desk = desk().await;
    let out = post("feed", "The one", vec![]);
    let ours = publish(&desk, &out).await;
    for i in 0..30 {
        publish(&desk, &post("feed", &format!("Another, {i}"), vec![])).await;
    }
    let found = Facebook.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found).id, ours.id);
    assert_eq!(desk.requests("GET", "/published_posts"), 2);
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_stopped() {
    let desk = desk().await;
    let out = post("feed", "Two", vec![jpeg(800, 800, 1), jpeg(800, 800, 2)]);
    let one = post("feed", "Two", vec![jpeg(800, 800, 1)]);
    Facebook.prepare(&desk.cx(), &one).await.unwrap();
    desk.fault(Calls::Prepare, Trouble::ServerError);
    let error = Facebook.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::Maybe), "{error:?}");
    publish(&desk, &out).await;
    assert_eq!(desk.visible()[0].media.len(), 2);
    assert_eq!(desk.requests("POST", "/photos"), 3);
}

#[tokio::test]
async fn refusals_say_when_and_what() {
    let desk = desk().await;
    let out = post("feed", "Hello", vec![]);
    desk.fault(Calls::Publish, Trouble::RateLimit);
    let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::RateLimit, Applied::No), "{error:?}");
    assert!(error.retry_after.is_some_and(|after| after > Duration::ZERO), "{error:?}");

    desk.fault(Calls::Publish, Trouble::Auth);
    let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    desk.fault(Calls::Publish, Trouble::ServerError);
    let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::Maybe), "{error:?}");

    let error = Facebook.publish(&desk.cx(), &post("feed", "", vec![])).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn the_first_link_or_the_one_that_was_asked_for_has_a_preview() {
    let desk = desk().await;
    let asked = |text: &str, link: &str| Rendition {
        extra: BTreeMap::from([("link".to_owned(), link.to_owned())]),
        ..post("feed", text, vec![])
    };
    let text = "Both https://a.example/x and https://b.example/";
    publish(&desk, &post("feed", text, vec![])).await;
    publish(&desk, &asked(text, "https://b.example/")).await;
    publish(&desk, &asked("", "https://c.example/only")).await;
    let links: Vec<_> = desk.visible().iter().map(|p| p.media[0].url.clone()).collect();
    assert_eq!(links, ["https://a.example/x", "https://b.example/", "https://c.example/only"]);

    // A link that has no preview is no reason not to post, unless the preview was asked for.
    let plain = post("feed", "At https://nowhere.invalid/ soon", vec![]);
    let error = Facebook.publish(&desk.cx(), &plain).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    publish(&desk, &plain).await;
    assert_eq!(desk.visible().last().unwrap().media, []);
    let error =
        Facebook.publish(&desk.cx(), &asked("Soon", "https://nowhere.invalid/")).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("100/1609005")));

    let both = Rendition { media: vec![jpeg(800, 800, 1)], ..asked("x", "https://a.example/") };
    let error = Facebook.prepare(&desk.cx(), &both).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No));
    assert_eq!(desk.requests("POST", "/photos"), 0);
}

// Videos, reels, stories

fn forget(desk: &Desk) {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
}

async fn ready(desk: &Desk, out: &Rendition) {
    for _ in 0..20 {
        match Facebook.prepare(&desk.cx(), out).await.unwrap() {
            Prepared::Ready => return,
            Prepared::Processing { again_in } => desk.pass(again_in),
        }
    }
    panic!("it is never ready");
}

async fn poll(desk: &Desk, out: &Rendition) -> Polled {
    for _ in 0..20 {
        match Facebook.poll(&desk.cx(), out).await.unwrap() {
            Polled::Processing { again_in } => desk.pass(again_in),
            settled => return settled,
        }
    }
    panic!("it is never settled");
}

fn reel() -> Rendition {
    post("reel", "A reel", vec![mp4(1080, 1920, 30, 5_000)])
}

#[tokio::test]
async fn a_reel_is_asked_for_by_its_id() {
    let desk = desk().await;
    let out = reel();
    ready(&desk, &out).await;
    assert!(matches!(poll(&desk, &out).await, Polled::NotPublished));
    for trouble in [Trouble::ResetBeforeAccept, Trouble::ResetAfterAccept] {
        desk.fault(Calls::Publish, trouble);
        let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");
        match (trouble, poll(&desk, &out).await) {
            (Trouble::ResetBeforeAccept, Polled::NotPublished) => {}
            (Trouble::ResetAfterAccept, Polled::Published(remote)) => {
                let seen = &desk.visible()[0];
                assert_eq!((&seen.id, seen.placement.as_str()), (&remote.id, "reel"));
                assert_eq!((seen.text.as_str(), seen.media.len()), ("A reel", 1));
                assert!(desk.opens(&remote).await, "{remote:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(desk.requests("POST", "/video_reels"), 3, "one upload, ended twice");
    // A post of the same words is another thing.
    let text = post("feed", "A reel", vec![]);
    assert_eq!(Facebook.look_up(&desk.cx(), &text, desk.window()).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_reel_must_be_is_said_before_it_is_shown() {
    let desk = desk().await;
    for (film, code) in [
        (mp4(1080, 1920, 2, 100), "1363128"),
        (mp4(1080, 1920, 91, 100), "1363128"),
        (mp4(1920, 1080, 30, 100), "1363040"),
        (mp4(360, 640, 30, 100), "1363127"),
    ] {
        let out = post("reel", "", vec![film]);
        ready(&desk, &out).await;
        let error = Facebook.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
        assert_eq!(error.code.as_deref(), Some(code));
        forget(&desk);
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn thirty_reels_a_day_and_no_more() {
    let desk = desk().await;
    for _ in 0..30 {
        ready(&desk, &reel()).await;
        Facebook.publish(&desk.cx(), &reel()).await.unwrap();
        forget(&desk);
    }
    ready(&desk, &reel()).await;
    let error = Facebook.publish(&desk.cx(), &reel()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Quota, Applied::No), "{error:?}");
    desk.pass(Duration::from_secs(86_400));
    assert_eq!(desk.visible().len(), 30);
    Facebook.publish(&desk.cx(), &reel()).await.unwrap();
}

/// A file that cannot be read beyond a place.
#[derive(Debug)]
pub(crate) struct Torn {
    whole: Bytes,
    until: AtomicU64,
}

#[async_trait]
impl Source for Torn {
    fn len(&self) -> u64 {
        self.whole.len() as u64
    }
    async fn read(&self, at: u64, len: usize) -> Result<Bytes, Error> {
        if at + len as u64 > self.until.load(Ordering::Relaxed) && at < self.len() {
            return Err(Error::new(Class::Transient, "The file is away.").code("media_store"));
        }
        let to = (at as usize + len).min(self.whole.len());
        Ok(self.whole.slice((at as usize).min(to)..to))
    }
}

pub(crate) fn torn(media: Media, until: u64) -> (Arc<Torn>, Media) {
    let torn = Arc::new(Torn { whole: media.data.clone(), until: until.into() });
    (Arc::clone(&torn), Media { data: Bytes::new(), source: Some(torn), ..media })
}

#[tokio::test]
async fn a_video_goes_up_in_pieces_and_goes_on_where_it_stopped() {
    let desk = desk().await;
    let film = mp4(1920, 1080, 600, 200_000);
    let (source, film) = torn(film, 140_000);
    let out = Rendition { title: Some("Title".to_owned()), ..post("video", "Words", vec![film]) };
    let error = Facebook.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("media_store"), "{error:?}");
    let earlier = desk.kept.all()["session"].clone();
    assert_eq!(earlier["window"]["start_offset"], 131_072);
    source.until.store(u64::MAX, Ordering::Relaxed);
    ready(&desk, &out).await;
    // One that starts it, and one a piece.
    assert_eq!(desk.requests("POST", "/videos"), 5);

    // What arrived without an answer is not sent again: the network says where to go on.
    desk.kept.lose("uploaded");
    desk.kept.checkpoint("session", &earlier).await.unwrap();
    let error = Facebook.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    ready(&desk, &out).await;
    assert_eq!(desk.requests("POST", "/videos"), 6);

    Facebook.publish(&desk.cx(), &out).await.unwrap();
    let Polled::Published(remote) = poll(&desk, &out).await else { panic!("it is not there") };
    let seen = &desk.visible()[0];
    assert_eq!((&seen.id, seen.text.as_str()), (&remote.id, "Title\n\nWords"));
    assert_eq!(seen.media[0].bytes as u64, out.media[0].size());
    let comment = Rendition {
        reply_to: Some(carillon_networks::ReplyTo { root: remote.clone(), parent: remote }),
        ..post("comment", "First", vec![])
    };
    publish(&desk, &comment).await;
    assert_eq!(desk.visible().len(), 2);
}

#[tokio::test]
async fn a_reel_goes_on_where_its_upload_broke_off() {
    let desk = desk().await;
    let film = mp4(1080, 1920, 30, 3_000_000);
    let (source, film) = torn(film, 2_000_000);
    let whole = source.whole.clone();
    let out = post("reel", "A reel", vec![film]);
    // Something may have arrived: that is to be seen next time.
    let told = Facebook.prepare(&desk.cx(), &out).await.unwrap();
    assert!(matches!(told, Prepared::Processing { .. }), "{told:?}");
    // Nothing has, and again: that is a failure.
    let error = Facebook.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");

    let id = desk.kept.all()["video"].as_str().unwrap().to_owned();
    let (http, base, _) = desk.parts();
    let first = http
        .post(&format!("{base}/video-upload/v25.0/{id}"))
        .header("authorization", "OAuth sandbox-alice")
        .header("offset", "0")
        .header("file_size", whole.len())
        .body(whole.slice(..1_500_000));
    assert_eq!(http.send(first, Duration::from_secs(5)).await.unwrap().status.as_u16(), 400);
    source.until.store(u64::MAX, Ordering::Relaxed);
    ready(&desk, &out).await;
    let sent = desk.sandbox.requests("facebook");
    let offsets: Vec<_> = sent.iter().filter_map(|r| r.headers.get("offset").cloned()).collect();
    assert_eq!(offsets.last().unwrap(), "1500000");
    Facebook.publish(&desk.cx(), &out).await.unwrap();
    assert!(matches!(poll(&desk, &out).await, Polled::Published(_)));
    assert_eq!(desk.visible()[0].media[0].bytes, whole.len());
    assert_eq!(desk.requests("POST", "/video_reels"), 2);
}

#[tokio::test]
async fn a_story_is_known_by_what_it_shows() {
    let desk = desk().await;
    let photo = post("story", "Not shown", vec![jpeg(1080, 1920, 1)]);
    let film = post("story", "", vec![mp4(1080, 1920, 20, 5_000)]);
    for out in [&photo, &film] {
        ready(&desk, out).await;
        // Somebody else posts a story in the same minute.
        let ours = desk.kept.all();
        forget(&desk);
        let other = post("story", "", vec![jpeg(1080, 1920, 9)]);
        let other = publish(&desk, &other).await;
        forget(&desk);
        for (name, value) in &ours {
            desk.kept.checkpoint(name, value).await.unwrap();
        }
        assert_eq!(Facebook.look_up(&desk.cx(), out, desk.window()).await.unwrap(), []);
        desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
        let error = Facebook.publish(&desk.cx(), out).await.unwrap_err();
        assert_eq!(error.applied, Applied::Maybe, "{error:?}");
        let found = Facebook.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_ne!(only(&found).id, other.id);
        let seen = desk.visible();
        assert_eq!(
            (&seen.last().unwrap().id, seen.last().unwrap().text.as_str()),
            (&only(&found).id, "")
        );
        forget(&desk);
    }
    let kinds: Vec<_> = desk.visible().iter().map(|p| p.media[0].kind.clone()).collect();
    assert_eq!(kinds, ["image", "image", "image", "video"]);
    assert!(desk.visible().iter().all(|p| p.placement == "story"));
    for seen in desk.visible() {
        Facebook.delete(&desk.cx(), &seen.id).await.unwrap();
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_video_story_waits_until_its_film_is_worked_on() {
    let desk = desk().await;
    desk.sandbox.add_fault(Fault::new("facebook", Calls::Read, Trouble::Processing).times(3));
    let out = post("story", "", vec![mp4(1080, 1920, 20, 5_000)]);
    let mut waits = 0;
    while let Prepared::Processing { again_in } = Facebook.prepare(&desk.cx(), &out).await.unwrap()
    {
        waits += 1;
        desk.pass(again_in);
    }
    assert!(waits >= 3, "{waits}");
    assert_eq!(desk.requests("POST", "/video_stories"), 1);
    publish(&desk, &out).await;
    let long = post("story", "", vec![mp4(1080, 1920, 61, 5_000)]);
    forget(&desk);
    ready(&desk, &long).await;
    assert_eq!(Facebook.publish(&desk.cx(), &long).await.unwrap_err().class, Class::Content);
}

// Consent

pub(crate) const BACK: &str = "https://carillon.example/connections/back";

/// A desk with an app of the operator's, before anybody has consented.
pub(crate) async fn fresh(network: &'static dyn Network) -> Desk {
    Desk::open(network, &[("clientId", CLIENT_ID)], &[("clientSecret", CLIENT_SECRET)]).await
}

/// What a person who grants all of this is sent back with.
pub(crate) async fn consent(
    desk: &Desk,
    network: &dyn Network,
    account: &str,
    granted: &[&str],
) -> Grant {
    let (http, base, _) = desk.parts();
    let oauth = network.spec().oauth.as_ref().unwrap();
    let page = oauth.consent_url(base, network.spec().base_url, CLIENT_ID, BACK, "s", "v").unwrap();
    let shown = http.send(http.get(page.as_str()), Duration::from_secs(5)).await.unwrap();
    assert_eq!(shown.status.as_u16(), 200);
    let html = String::from_utf8_lossy(&shown.body).into_owned();
    assert!(oauth.scopes.iter().all(|scope| html.contains(scope)), "{html}");
    let mut form = vec![("account", account), ("allow", "1"), ("redirect_uri", BACK)];
    form.extend(granted.iter().map(|scope| ("grant", *scope)));
    let at = page.as_str().split('?').next().unwrap();
    let sent = http.send(http.post(at).form(&form), Duration::from_secs(5)).await.unwrap();
    let to = sent.header("location").unwrap();
    assert!(to.ends_with("#_=_"), "{to}");
    let to = url::Url::parse(to).unwrap();
    let code = to.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
    Grant { code: Secret::new(code), redirect_uri: BACK.to_owned(), verifier: Secret::new("v") }
}

/// The tokens of a consent, and what the person may post to.
pub(crate) async fn connect(
    desk: &Desk,
    network: &dyn Network,
    account: &str,
    granted: &[&str],
) -> (Tokens, Result<Vec<Target>, Error>) {
    let grant = consent(desk, network, account, granted).await;
    let tokens = network.exchange(&desk.cx(), &grant).await.unwrap();
    hold(desk, &[("accessToken", tokens.access.clone())]);
    let targets = network.targets(&desk.cx()).await;
    (tokens, targets)
}

pub(crate) fn hold(desk: &Desk, secrets: &[(&str, Secret)]) {
    let own = secrets.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    desk.account.secrets.lock().unwrap().extend(own);
}

#[tokio::test]
async fn a_consent_opens_the_persons_pages_and_says_what_is_wrong_with_the_rest() {
    let mut desk = fresh(&Facebook).await;
    let all = Facebook.spec().oauth.as_ref().unwrap().scopes;
    let (tokens, targets) = connect(&desk, &Facebook, "alice", all).await;
    assert_eq!(tokens.scopes.as_deref().map(|s| s.len()), Some(all.len()));
    assert_eq!((tokens.refresh, tokens.expires_in), (None, None));
    let targets = targets.unwrap();
    let told: Vec<_> = targets.iter().map(|t| (t.id.as_str(), t.problem.is_some())).collect();
    assert_eq!(told, [("alice", false), ("alice-shop", true)]);
    let problem = targets[1].problem.as_deref().unwrap();
    assert!(problem.ends_with('.') && problem.contains("alice-shop"), "{problem}");
    assert!(targets[1].secrets.is_empty());
    // It is the one of sixty days, not the one of an hour.
    desk.pass(Duration::from_secs(86_400));
    assert_eq!(Facebook.targets(&desk.cx()).await.unwrap(), targets);
    // The person's own token is none to post with.
    desk.account.settings.insert("pageId".to_owned(), "alice".to_owned());
    assert_eq!(Facebook.check(&desk.cx()).await.unwrap_err().class, Class::Auth);

    let page = targets[0].secrets["accessToken"].clone();
    assert_ne!(page, tokens.access);
    hold(&desk, &[("accessToken", page)]);
    desk.account.settings.extend(targets[0].settings.clone());
    assert_eq!(Facebook.check(&desk.cx()).await.unwrap().remote_id, "alice");
    // Sixty days later the person's token has ended, and the page's has not.
    desk.pass(Duration::from_secs(61 * 86_400));
    publish(&desk, &post("feed", "Still here", vec![])).await;
    hold(&desk, &[("accessToken", tokens.access)]);
    let error = Facebook.targets(&desk.cx()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("190/463")));
}

#[tokio::test]
async fn what_was_not_granted_is_said() {
    let mut desk = fresh(&Facebook).await;
    let (tokens, targets) = connect(&desk, &Facebook, "alice", &["pages_manage_posts"]).await;
    assert_eq!(tokens.scopes, Some(vec!["pages_manage_posts".to_owned()]));
    let error = targets.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("no_pages")));
    assert!(error.sentence.contains("list of pages"), "{error}");

    let (_, targets) = connect(&desk, &Facebook, "nobody", &["pages_show_list"]).await;
    assert!(targets.unwrap_err().sentence.contains("has no page"));

    let (_, targets) = connect(&desk, &Facebook, "alice", &["pages_show_list"]).await;
    let page = targets.unwrap().remove(0);
    hold(&desk, &[("accessToken", page.secrets["accessToken"].clone())]);
    desk.account.settings.extend(page.settings);
    let error = Facebook.publish(&desk.cx(), &post("feed", "x", vec![])).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
}

#[tokio::test]
async fn a_code_works_once_and_for_our_app_alone() {
    let mut desk = fresh(&Facebook).await;
    let grant = consent(&desk, &Facebook, "alice", &["pages_show_list"]).await;
    desk.account = desk.with("clientSecret", "wrong");
    let error = Facebook.exchange(&desk.cx(), &grant).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Config, Applied::No), "{error:?}");
    desk.account = desk.with("clientSecret", CLIENT_SECRET);
    Facebook.exchange(&desk.cx(), &grant).await.unwrap();
    let again = Facebook.exchange(&desk.cx(), &grant).await.unwrap_err();
    assert_eq!((again.class, again.code.as_deref()), (Class::Auth, Some("100/36009")));

    let late = consent(&desk, &Facebook, "alice", &["pages_show_list"]).await;
    desk.pass(Duration::from_secs(3_601));
    let error = Facebook.exchange(&desk.cx(), &late).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("100/36007")));
    let made_up = Grant { code: Secret::new("made-up"), ..late };
    let error = Facebook.exchange(&desk.cx(), &made_up).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    let told = format!("{:?}", desk.sandbox.requests("facebook"));
    assert!(!told.contains(CLIENT_SECRET), "a secret is in the records");
}
