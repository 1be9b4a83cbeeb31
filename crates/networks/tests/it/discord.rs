//! A Discord bot against the sandbox: keyed for two minutes, read back after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use carillon_networks::discord::Discord;
use carillon_networks::{
    Applied, Class, Error, Media, Network, Prepared, Published, Remote, Rendition, ReplyTo, Source,
    Window,
};
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::support::{Desk, jpeg, mp4, only, post, to_the_brim};

async fn desk() -> Desk {
    Desk::of(&Discord).await
}

/// A desk whose connection posts to another channel.
async fn desk_at(channel: &str) -> Desk {
    let mut desk = desk().await;
    desk.account = desk.with("channelId", channel);
    desk
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    assert_eq!(Discord.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match Discord.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn with_key(key: &str, out: &Rendition) -> Rendition {
    Rendition { key: key.to_owned(), ..out.clone() }
}

fn after(parent: &Remote, text: &str) -> Rendition {
    let reply_to = Some(ReplyTo { root: parent.clone(), parent: parent.clone() });
    Rendition { key: "after".into(), reply_to, ..post("reply", text, vec![]) }
}

#[tokio::test]
async fn a_channel_is_checked_for_every_right() {
    let desk = desk().await;
    let identity = Discord.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "#news");
    assert_eq!(identity.remote_id, desk.account.settings["channelId"]);
    assert!(identity.settings.contains_key("guildId") && identity.settings.contains_key("botId"));
    for (channel, class, code) in [
        ("123456789012345000", Class::Config, "10003"),
        ("123456789012345001", Class::Auth, "rights"),
        ("123456789012345002", Class::Auth, "rights"),
        ("123456789012345015", Class::Config, "channel_kind"),
        ("#news", Class::Config, "channel_id"),
        ("1/../2", Class::Config, "channel_id"),
    ] {
        let error = Discord.check(&desk_at(channel).await.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{channel}: {error:?}");
        assert_eq!(error.code.as_deref(), Some(code), "{channel}");
    }
    for trouble in [Trouble::ServerError, Trouble::ResetBeforeAccept] {
        desk.fault(Calls::Read, trouble);
        let error = Discord.check(&desk.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    }
}

#[tokio::test]
async fn text_pictures_and_films_are_posted_as_they_are() {
    let mut desk = desk().await;
    desk.account.settings.extend(Discord.check(&desk.cx()).await.unwrap().settings);
    let text = post("message", "@everyone *Hello* https://example.com/_a_ <@1> & more", vec![]);
    let pictures: Vec<_> = (0..10).map(|i| jpeg(90, 60, i)).collect();
    let pictures = with_key("pictures", &post("message", "", pictures));
    let mixed = vec![jpeg(90, 60, 1), mp4(640, 360, 5, 1_000)];
    let mixed = with_key("mixed", &post("message", "Both", mixed));
    let all = [text, pictures, mixed];
    let mut remotes = Vec::new();
    for out in &all {
        remotes.push(publish(&desk, out).await);
    }
    let seen = desk.visible();
    for ((out, remote), seen) in all.iter().zip(&remotes).zip(&seen) {
        assert_eq!((&seen.text, &seen.id), (&out.text, &remote.id));
        let alts: Vec<_> = seen.media.iter().map(|m| &m.alt).collect();
        assert_eq!(alts, out.media.iter().map(|m| &m.alt).collect::<Vec<_>>());
        let url = remote.url.as_deref().unwrap();
        assert!(url.ends_with(&remote.id) && url.contains("/channels/"), "{url}");
        let found = Discord.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), remote);
    }
    assert_eq!(seen[2].media[1].kind, "video");
    let sent = desk.sandbox.requests("discord");
    assert!(sent.iter().all(|r| r.call != Calls::Publish || r.body.contains(r#""parse":[]"#)));
}

/// A film that notes the largest piece that was asked for.
#[derive(Debug)]
struct Film(Bytes, Arc<AtomicUsize>);

#[async_trait]
impl Source for Film {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    async fn read(&self, at: u64, len: usize) -> Result<Bytes, Error> {
        self.1.fetch_max(len, Ordering::Relaxed);
        let at = usize::try_from(at).unwrap();
        Ok(self.0.slice(at..(at + len).min(self.0.len())))
    }
}

#[tokio::test]
async fn a_film_is_sent_piece_by_piece() {
    let desk = desk().await;
    let film = mp4(640, 360, 5, 2 << 20);
    let largest = Arc::new(AtomicUsize::new(0));
    let source: Arc<dyn Source> = Arc::new(Film(film.data.clone(), Arc::clone(&largest)));
    let film = Media { data: Bytes::new(), source: Some(source), ..film };
    let size = usize::try_from(film.size()).unwrap();
    publish(&desk, &post("message", "A film", vec![film])).await;
    assert_eq!(desk.visible()[0].media[0].bytes, size);
    assert!(largest.load(Ordering::Relaxed) < size / 4);
}

#[tokio::test]
async fn the_same_nonce_is_one_message_for_a_while() {
    let desk = desk().await;
    let out = post("message", "Once", vec![jpeg(90, 60, 1)]);
    let first = publish(&desk, &out).await;
    desk.pass(Duration::from_secs(119));
    assert_eq!(publish(&desk, &out).await, first);
    assert_eq!(desk.visible().len(), 1);
    // After that the nonce is forgotten: the message itself has to be found.
    desk.pass(Duration::from_secs(600));
    let then = Window { since: out.created_at - 60_000, until: desk.now() };
    let found = Discord.look_up(&desk.cx(), &out, then).await.unwrap();
    assert_eq!(only(&found), &first);
    assert_ne!(publish(&desk, &out).await, first, "which is why it is looked for");
}

#[tokio::test]
async fn a_reply_is_told_apart_by_what_it_follows() {
    let desk = desk().await;
    let [one, two] = ["one", "two"].map(|key| with_key(key, &post("message", "The head", vec![])));
    let (one, two) = (publish(&desk, &one).await, publish(&desk, &two).await);
    let out = after(&one, "And more");
    let ours = publish(&desk, &out).await;
    publish(&desk, &with_key("other", &after(&two, "And more"))).await;
    publish(&desk, &with_key("bare", &post("message", "And more", vec![]))).await;
    let found = Discord.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &ours);
    let seen = desk.visible();
    assert_eq!(seen.iter().find(|p| p.id == ours.id).unwrap().reply_to.as_ref(), Some(&one.id));

    Discord.delete(&desk.cx(), &one.id).await.unwrap();
    let late = with_key("late", &after(&one, "Too late"));
    let error = Discord.publish(&desk.cx(), &late).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    let elsewhere = Remote { id: "123456789012345679/5".into(), url: None };
    let error = Discord.publish(&desk.cx(), &after(&elsewhere, "No")).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("other_channel"));
}

#[tokio::test]
async fn only_the_own_message_is_taken_for_ours() {
    let mut desk = desk().await;
    let out = post("message", "Good morning", vec![]);
    publish(&desk, &with_key("yesterday", &out)).await;
    desk.pass(Duration::from_secs(86_400));
    publish(&desk, &with_key("text", &post("message", "Good evening", vec![]))).await;
    let picture = post("message", "Good morning", vec![jpeg(90, 60, 1)]);
    publish(&desk, &with_key("media", &picture)).await;
    // Another bot says the same in the same channel.
    let alice = std::mem::take(&mut desk.account);
    desk.account.settings = alice.settings.clone();
    let bob = carillon_networks::Secret::new("sandbox-bob");
    desk.account.secrets.lock().unwrap().insert("botToken".into(), bob);
    publish(&desk, &out).await;
    desk.account = alice;
    assert_eq!(Discord.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);

    let ours = publish(&desk, &out).await;
    for i in 0..105 {
        let more = post("message", &format!("More, {i}"), vec![]);
        publish(&desk, &with_key(&format!("{i}"), &more)).await;
    }
    let found = Discord.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &ours);
}

#[tokio::test]
async fn an_empty_channel_proves_nothing_to_those_who_may_not_read() {
    let blind = desk_at("123456789012345002").await;
    let out = post("message", "Hello", vec![]);
    publish(&blind, &out).await;
    let error = Discord.look_up(&blind.cx(), &out, blind.window()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("rights")), "{error:?}");
    let desk = desk().await;
    assert_eq!(Discord.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_not_ours_to_delete_stays() {
    let desk = desk().await;
    for bad in ["", "5", "5/", "../../users/@me", "1/2/3", "a/1"] {
        let error = Discord.delete(&desk.cx(), bad).await.unwrap_err();
        assert_eq!(error.class, Class::Content, "{bad}");
    }
    assert_eq!(desk.sandbox.requests("discord").len(), 0);
    desk.fault(Calls::Delete, Trouble::ServerError);
    let remote = publish(&desk, &post("message", "Hello", vec![])).await;
    assert!(Discord.delete(&desk.cx(), &remote.id).await.is_err());
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn limits_are_those_of_the_network() {
    let desk = desk().await;
    let [fits, over] = to_the_brim(&Discord, "Läuten ", 2_000);
    publish(&desk, &post("message", &fits, vec![])).await;
    publish(&desk, &with_key("emoji", &post("message", &"🔔".repeat(1_000), vec![]))).await;
    let eleven = (0..11).map(|i| jpeg(90, 60, i)).collect();
    let long = Media { alt: "x".repeat(1_025), ..jpeg(90, 60, 1) };
    for refused in [
        post("message", &over, vec![]),
        post("message", "", vec![]),
        post("message", "Many", eleven),
        post("message", "Described", vec![long]),
    ] {
        let refused = with_key("refused", &refused);
        let error = Discord.publish(&desk.cx(), &refused).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    let limit = Fault::new("discord", Calls::Publish, Trouble::RateLimit).ms(1_500);
    desk.sandbox.add_fault(limit);
    let error = Discord.publish(&desk.cx(), &post("message", "Hi", vec![])).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_millis(1_500)), "{error:?}");
    let desk = desk_at("123456789012345001").await;
    let error = Discord.publish(&desk.cx(), &post("message", "Hi", vec![])).await.unwrap_err();
    assert_eq!(error.class, Class::Auth);
}
