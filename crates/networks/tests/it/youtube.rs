//! YouTube against the sandbox: films in pieces, one call that shows them, comments.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use carillon_networks::youtube::YouTube;
use carillon_networks::{
    Account, Applied, Class, Context, Error, Media, Network, Polled, Prepared, Published, Remote,
    Rendition, ReplyTo, Source,
};
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::gbp::{app, consent, hold};
use crate::support::{Desk, account, jpeg, mp4, only, post};

const MIB: usize = 1 << 20;
const PIECE: u64 = 8 << 20;

/// What happens when a piece is read.
type Trap = Box<dyn Fn() -> Result<(), Error> + Send>;

/// A film read piece by piece, with a trap at one of its places that is sprung once.
struct Film {
    data: Bytes,
    at: u64,
    trap: Mutex<Option<Trap>>,
}

impl std::fmt::Debug for Film {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a film of {} bytes", self.data.len())
    }
}

#[async_trait]
impl Source for Film {
    fn len(&self) -> u64 {
        self.data.len() as u64
    }

    async fn read(&self, at: u64, len: usize) -> Result<Bytes, Error> {
        if at >= self.at
            && let Some(trap) = self.trap.lock().unwrap().take()
        {
            trap()?;
        }
        let from = usize::try_from(at).unwrap();
        Ok(self.data.slice(from..self.data.len().min(from + len)))
    }
}

/// A film of this size, with a trap at this place.
pub(crate) fn trapped(bytes: usize, at: u64, trap: Trap) -> Media {
    let film = mp4(1080, 1920, 20, bytes);
    let source = Film { data: film.data, at, trap: Mutex::new(Some(trap)) };
    Media { data: Bytes::new(), source: Some(Arc::new(source)), ..film }
}

/// The store of the film is away.
pub(crate) fn away() -> Trap {
    Box::new(|| Err(Error::new(Class::Transient, "The store is away.")))
}

/// The next request that prepares meets this.
pub(crate) fn next(desk: &Desk, network: &'static str, trouble: Trouble) -> Trap {
    let sandbox = desk.sandbox.clone();
    Box::new(move || {
        sandbox.add_fault(Fault::new(network, Calls::Prepare, trouble));
        Ok(())
    })
}

fn short(text: &str) -> Rendition {
    post("short", text, vec![mp4(1080, 1920, 20, 4_000)])
}

fn with(out: Rendition, extra: &[(&str, &str)]) -> Rendition {
    let extra = extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Rendition { extra, ..out }
}

async fn ready(desk: &Desk, out: &Rendition) -> Result<(), Error> {
    for _ in 0..300 {
        match YouTube.prepare(&desk.cx(), out).await? {
            Prepared::Ready => return Ok(()),
            Prepared::Processing { again_in } => desk.pass(again_in),
        }
    }
    panic!("it is never processed");
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    ready(desk, out).await.unwrap();
    match YouTube.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn as_other<'a>(desk: &'a Desk, other: &'a Account) -> Context<'a> {
    let (http, base, keeper) = desk.parts();
    let second = Duration::from_secs(5);
    Context::new(http, other, base, desk.now(), second, Default::default(), keeper)
}

/// What the sandbox kept of the film of the last visible video.
async fn film_of(desk: &Desk) -> Bytes {
    let seen = desk.visible().pop().unwrap();
    let (http, ..) = desk.parts();
    // Only what the client reads of an answer is limited, so larger films are compared by size.
    let url = format!("{}{}", desk.sandbox.url(), seen.media[0].url);
    http.send(http.get(&url), Duration::from_secs(5)).await.unwrap().body
}

fn puts(desk: &Desk) -> usize {
    desk.requests("PUT", "/upload/youtube/v3/videos")
}

#[tokio::test]
async fn a_consent_opens_one_channel() {
    let desk = app(&YouTube).await;
    let grant = consent(&desk, &YouTube, "alice", |_| true).await;
    let tokens = YouTube.exchange(&desk.cx(), &grant).await.unwrap();
    hold(&desk, &tokens);
    let identity = YouTube.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "alice");
    assert_eq!(identity.settings["channelId"], identity.remote_id);
    assert!(identity.remote_id.starts_with("UC"));
    desk.pass(Duration::from_secs(3_600));
    let error = YouTube.check(&desk.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    let renewed = YouTube.refresh(&desk.cx()).await.unwrap();
    assert_eq!(renewed.refresh, None, "the one that is held stays");
    hold(&desk, &renewed);
    YouTube.check(&desk.cx()).await.unwrap();

    // Without the right to upload nothing is begun.
    let grant = consent(&desk, &YouTube, "alice", |scope| scope.ends_with("readonly")).await;
    let tokens = YouTube.exchange(&desk.cx(), &grant).await.unwrap();
    hold(&desk, &tokens);
    YouTube.check(&desk.cx()).await.unwrap();
    let error = YouTube.prepare(&desk.cx(), &short("No right")).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
}

#[tokio::test]
async fn another_channel_and_none_are_told() {
    let desk = Desk::of(&YouTube).await;
    let settings = [("channelId", "UCsomebodyelse")];
    let other = account(&settings, &[("accessToken", "sandbox-alice")]);
    let error = YouTube.check(&as_other(&desk, &other)).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("other_channel")));
    let none = account(&[], &[("accessToken", "sandbox-nochannel")]);
    let error = YouTube.check(&as_other(&desk, &none)).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("no_channel")));
}

#[tokio::test]
async fn a_film_arrives_in_pieces_and_whole() {
    let desk = Desk::of(&YouTube).await;
    for (bytes, pieces) in [(3 * MIB, 1), (20 * MIB, 3)] {
        let before = puts(&desk);
        let film = trapped(bytes, 0, Box::new(|| Ok(())));
        let total = usize::try_from(film.size()).unwrap();
        let out = post("video", "In pieces", vec![film]);
        publish(&desk, &out).await;
        assert_eq!(puts(&desk) - before, pieces);
        assert_eq!(desk.visible().last().unwrap().media[0].bytes, total);
        if total < 4 * MIB {
            let data = mp4(1080, 1920, 20, bytes).data;
            assert!(film_of(&desk).await == data, "the film is not the same");
        }
    }
    assert_eq!(desk.requests("PUT", "/youtube/youtube/v3/videos"), 2, "one flip each");
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_stopped() {
    for trap in 0..4 {
        let desk = Desk::of(&YouTube).await;
        let (trap, sent): (Trap, _) = match trap {
            0 => (away(), 4),
            // The piece is sent once more, or known to be there.
            1 => (next(&desk, "youtube", Trouble::ResetBeforeAccept), 5),
            2 => (next(&desk, "youtube", Trouble::ResetAfterAccept), 4),
            _ => (next(&desk, "youtube", Trouble::ServerError), 5),
        };
        let film = trapped(20 * MIB, PIECE, trap);
        let total = usize::try_from(film.size()).unwrap();
        let out = post("video", "Broken", vec![film]);
        let error = YouTube.prepare(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
        ready(&desk, &out).await.unwrap();
        assert_eq!(puts(&desk), sent);
        assert_eq!(desk.requests("POST", "/upload/youtube/v3/videos"), 1);
        YouTube.publish(&desk.cx(), &out).await.unwrap();
        assert_eq!(only_bytes(&desk), total);
    }
}

fn only_bytes(desk: &Desk) -> usize {
    let seen = desk.visible();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen[0].media[0].bytes
}

#[tokio::test]
async fn a_lost_last_answer_is_asked_for_again() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = Desk::of(&YouTube).await;
        let film = trapped(9 * MIB, PIECE, next(&desk, "youtube", trouble));
        let out = post("video", "The last byte", vec![film]);
        let error = YouTube.prepare(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
        assert!(!desk.kept.all().contains_key("video"));
        ready(&desk, &out).await.unwrap();
        assert_eq!(puts(&desk), 3, "two pieces and a question");
        YouTube.publish(&desk.cx(), &out).await.unwrap();
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_begun_anew() {
    let desk = Desk::of(&YouTube).await;
    let out = post("video", "Too late", vec![trapped(9 * MIB, PIECE, away())]);
    YouTube.prepare(&desk.cx(), &out).await.unwrap_err();
    let first = desk.kept.all()["session"].clone();
    desk.pass(Duration::from_secs(8 * 86_400));
    let error = YouTube.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.restart), (Class::Transient, true), "{error:?}");
    assert!(desk.kept.all().is_empty());
    ready(&desk, &out).await.unwrap();
    YouTube.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(desk.visible().len(), 1);
    assert!(first["uri"].as_str().unwrap().contains("upload_id="));
}

#[tokio::test]
async fn nobody_sees_it_before_the_one_call() {
    let desk = Desk::of(&YouTube).await;
    let out = with(
        Rendition { title: Some("Bread ♥".to_owned()), ..short("How we bake") },
        &[("tags", "bread, rye bread"), ("madeForKids", "true")],
    );
    desk.sandbox.add_fault(Fault::new("youtube", Calls::Read, Trouble::Processing).times(2));
    let mut waits = 0;
    while let Prepared::Processing { again_in } = YouTube.prepare(&desk.cx(), &out).await.unwrap() {
        desk.pass(again_in);
        waits += 1;
    }
    assert!(waits > 10, "half a minute, three times: {waits}");
    assert!(desk.visible().is_empty());
    assert!(matches!(YouTube.poll(&desk.cx(), &out).await.unwrap(), Polled::NotPublished));
    let Published::Accepted(remote) = YouTube.publish(&desk.cx(), &out).await.unwrap() else {
        panic!("it is processed already");
    };
    assert!(desk.opens(&remote).await, "{remote:?}");
    assert_eq!(desk.visible()[0].text, "Bread ♥\n\nHow we bake");
    // The call again, after an answer that was lost, changes nothing.
    YouTube.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(desk.visible().len(), 1);
    match YouTube.poll(&desk.cx(), &out).await.unwrap() {
        Polled::Published(found) => assert_eq!(found, remote),
        other => panic!("{other:?}"),
    }
    let requests = desk.sandbox.requests("youtube");
    let flip = requests.iter().find(|r| r.method == "PUT" && r.body.starts_with('{')).unwrap();
    assert!(flip.body.contains(r#""tags":["bread","rye bread"]"#), "{}", flip.body);
    assert!(flip.body.contains(r#""selfDeclaredMadeForKids":true"#), "{}", flip.body);
    assert!(requests.iter().all(|r| r.query.get("upload_id").is_none_or(|id| id == "***")));
}

#[tokio::test]
async fn a_film_may_be_shown_to_some_or_to_nobody() {
    for (visibility, seen) in [("unlisted", 1), ("private", 0)] {
        let desk = Desk::of(&YouTube).await;
        let out = with(short("Quietly"), &[("visibility", visibility)]);
        publish(&desk, &out).await;
        assert_eq!(desk.visible().len(), seen);
        let polled = YouTube.poll(&desk.cx(), &out).await.unwrap();
        assert!(matches!(polled, Polled::Published(_)), "{polled:?}");
    }
}

#[tokio::test]
async fn a_project_without_an_audit_is_told() {
    let mut desk = Desk::of(&YouTube).await;
    desk.account = account(&[], &[("accessToken", "sandbox-unaudited")]);
    let out = short("Locked");
    ready(&desk, &out).await.unwrap();
    let error = YouTube.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Config, Some("locked_private")));
    assert_eq!(error.applied, Applied::No);
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_thumbnail_is_set_once_and_holds_nothing_back() {
    let set = "/upload/youtube/v3/thumbnails/set";
    let picture = jpeg(1280, 720, 7);
    let broken = Media { data: Bytes::from_static(b"no picture"), ..jpeg(1280, 720, 8) };
    for (wanted, media, kept) in [("m7", picture, true), ("m8", broken, false)] {
        let desk = Desk::of(&YouTube).await;
        let out = with(short("With a picture"), &[("thumbnail", wanted)]);
        let out = Rendition { media: [out.media.clone(), vec![media]].concat(), ..out };
        publish(&desk, &out).await;
        YouTube.prepare(&desk.cx(), &out).await.unwrap();
        assert_eq!(desk.requests("POST", set), 1);
        assert_eq!(desk.kept.all()["thumbnail"], kept);
        assert_eq!(desk.visible().len(), 1);
    }
    let desk = Desk::of(&YouTube).await;
    let out = with(short("Without its picture"), &[("thumbnail", "m9")]);
    let error = YouTube.prepare(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("no_thumbnail")));
}

#[tokio::test]
async fn what_is_no_film_fails_before_anybody_sees_it() {
    let desk = Desk::of(&YouTube).await;
    let nonsense = Bytes::from_static(b"this is no film at all");
    let out = post("video", "Nonsense", vec![Media { data: nonsense, ..mp4(1, 1, 1, 0) }]);
    let error = ready(&desk, &out).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("invalidFile")));
    let none = post("video", "Nothing", vec![]);
    let error = YouTube.prepare(&desk.cx(), &none).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("no_film")));
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_video_that_somebody_deleted_is_no_reason_for_a_second() {
    let desk = Desk::of(&YouTube).await;
    let out = short("Gone");
    let remote = publish(&desk, &out).await;
    YouTube.delete(&desk.cx(), &remote.id).await.unwrap();
    match YouTube.poll(&desk.cx(), &out).await.unwrap() {
        Polled::Gone(error) => assert_eq!((error.class, error.restart), (Class::Content, false)),
        other => panic!("{other:?}"),
    }
    let error = YouTube.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    for bad in ["", "short", "a/b/c/d/e/f", "elevenchar?", "../../../../../../x"] {
        let error = YouTube.delete(&desk.cx(), bad).await.unwrap_err();
        assert_eq!(error.class, Class::Content, "{bad}");
    }
}

#[tokio::test]
async fn descriptions_are_counted_in_bytes() {
    let desk = Desk::of(&YouTube).await;
    let title = Some("ü".repeat(100));
    let fits = Rendition { title: title.clone(), ..short(&"ü".repeat(2_500)) };
    publish(&desk, &fits).await;
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    for out in [
        Rendition { title, ..short(&"ü".repeat(2_501)) },
        Rendition { title: Some("ü".repeat(101)), ..short("Text") },
        with(short("Tags"), &[("tags", &["x y"; 100].join(","))]),
    ] {
        let error = YouTube.prepare(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn only_the_own_comment_is_taken_for_ours() {
    let desk = Desk::of(&YouTube).await;
    let (one, two) = (publish(&desk, &short("One")).await, publish(&desk, &short("Two")).await);
    let on = |parent: &Remote, text: &str| {
        let reply_to = Some(ReplyTo { root: parent.clone(), parent: parent.clone() });
        Rendition { reply_to, ..post("comment", text, vec![]) }
    };
    let out = on(&one, "Which flour?");
    let bob = account(&[], &[("accessToken", "sandbox-bob")]);
    YouTube.publish(&as_other(&desk, &bob), &out).await.unwrap();
    YouTube.publish(&desk.cx(), &on(&two, "Which flour?")).await.unwrap();
    YouTube.publish(&desk.cx(), &on(&one, "Which oven?")).await.unwrap();
    assert_eq!(YouTube.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let Published::Accepted(ours) = YouTube.publish(&desk.cx(), &out).await.unwrap() else {
        panic!("comments are there at once");
    };
    for i in 0..120 {
        YouTube.publish(&desk.cx(), &on(&one, &format!("More, {i}"))).await.unwrap();
    }
    let found = YouTube.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &ours);
    assert_eq!(desk.visible().iter().find(|c| c.id == ours.id).unwrap().reply_to, Some(one.id));
    YouTube.delete(&desk.cx(), &ours.id).await.unwrap();
    assert_eq!(YouTube.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
}
