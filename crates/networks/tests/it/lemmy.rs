//! Lemmy against the sandbox: sessions that are renewed, and a text that is found again in spite of
//! what the server does to it.

use std::sync::Mutex;
use std::time::Duration;

use carillon_networks::lemmy::Lemmy;
use carillon_networks::{
    Account, Applied, Class, Network, Prepared, Published, Remote, Rendition, Secret, Window,
};
use carillon_sandbox::{Calls, Trouble};

use crate::support::{Desk, jpeg, only, post};

fn titled(title: &str, text: &str) -> Rendition {
    Rendition { title: Some(title.to_owned()), ..post("feed", text, vec![]) }
}

/// Another delivery: no handles of the one before.
async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    assert_eq!(Lemmy.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match Lemmy.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

async fn found(desk: &Desk, out: &Rendition) -> Vec<Remote> {
    Lemmy.look_up(&desk.cx(), out, desk.window()).await.unwrap()
}

/// A connection that was checked: it knows its community.
async fn desk() -> Desk {
    let mut desk = Desk::of(&Lemmy).await;
    let identity = Lemmy.check(&desk.cx()).await.unwrap();
    desk.account.settings.extend(identity.settings);
    desk
}

fn sealed(desk: &mut Desk, secrets: &[(&str, &str)]) {
    let secrets = secrets.iter().map(|(k, v)| ((*k).to_owned(), Secret::new(*v))).collect();
    desk.account.secrets = Mutex::new(secrets);
}

fn session(account: &Account) -> Option<String> {
    account.secrets.lock().unwrap().get("session").map(|s| s.reveal().to_owned())
}

#[tokio::test]
async fn an_account_and_its_community_are_checked() {
    let mut desk = Desk::of(&Lemmy).await;
    let identity = Lemmy.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "alice in bakery");
    assert!(identity.remote_id.ends_with(&format!("/{}", identity.settings["communityId"])));
    let here = desk.account.settings["community"].clone();
    for (community, class) in [
        ("!closed@lemmy.example", Class::Auth),
        ("nowhere", Class::Config),
        ("Not a name", Class::Config),
    ] {
        desk.account.settings.insert("community".into(), community.into());
        let error = Lemmy.check(&desk.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{community}: {error:?}");
    }
    desk.account.settings.insert("community".into(), here);
    for (secrets, class) in [
        (&[][..], Class::Config),
        (&[("password", "n0-such-w0rd")][..], Class::Auth),
        (&[("jwt", "n0-such-s3ssion")][..], Class::Auth),
        (&[("jwt", "n0-such-s3ssion"), ("password", "n0-such-w0rd")][..], Class::Auth),
    ] {
        sealed(&mut desk, secrets);
        let error = Lemmy.check(&desk.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{secrets:?}: {error:?}");
        assert!(!format!("{error:?}").contains("n0-such"), "{error:?}");
    }
    sealed(&mut desk, &[("jwt", "sandbox-alice")]);
    assert_eq!(Lemmy.check(&desk.cx()).await.unwrap().remote_id, identity.remote_id);
    desk.account.settings.insert("username".into(), "second-factor".into());
    sealed(&mut desk, &[("password", "sandbox-second-factor")]);
    let error = Lemmy.check(&desk.cx()).await.unwrap_err();
    assert!(error.class == Class::Auth && error.sentence.contains("second factor"), "{error:?}");
}

#[tokio::test]
async fn a_session_is_kept_and_renewed_when_it_ends() {
    let desk = desk().await;
    let first = session(&desk.account).expect("kept");
    publish(&desk, &titled("Monday", "Fresh bread")).await;
    assert_eq!(desk.requests("POST", "/login"), 1, "log-ins are few");

    // Its owner signs out everywhere.
    let (http, base, _) = desk.parts();
    let out = http.post(&format!("{base}/api/v3/user/logout")).bearer_auth(&first);
    http.send(out, Duration::from_secs(5)).await.unwrap();
    publish(&desk, &titled("Tuesday", "Fresh bread")).await;
    assert_ne!(session(&desk.account), Some(first));
    assert_eq!((desk.requests("POST", "/login"), desk.visible().len()), (2, 2));

    // Lemmy does not refuse a look with a session that it does not know: it looks as nobody.
    desk.account.secrets.lock().unwrap().insert("session".into(), Secret::new("gone"));
    assert_eq!(found(&desk, &titled("Tuesday", "Fresh bread")).await.len(), 1);
    assert_eq!(desk.requests("POST", "/login"), 3);
}

#[tokio::test]
async fn pictures_and_links_become_the_posts_link() {
    let desk = desk().await;
    let mut pictures = titled("Bread", "Fresh bread, see https://shop.example/a");
    pictures.media = vec![jpeg(90, 60, 1), jpeg(60, 90, 2)];
    let link = titled("Shop", "Look: https://shop.example/b.");
    let plain = post("feed", "Closed on Monday\n\nSorry", vec![]);
    let mut remotes = Vec::new();
    for out in [&pictures, &link, &plain] {
        remotes.push(publish(&desk, out).await);
        assert_eq!(only(&found(&desk, out).await), remotes.last().unwrap());
    }
    let seen = desk.visible();
    assert_eq!(seen[0].text, "Bread\n\nFresh bread, see https://shop.example/a");
    let shown: Vec<_> = seen[0].media.iter().map(|m| (m.kind.as_str(), m.alt.as_str())).collect();
    assert_eq!(shown, [("image", "Picture “1”"), ("image", "Picture “2”")]);
    assert_eq!(seen[1].media[0].url, "https://shop.example/b");
    assert_eq!((seen[2].text.as_str(), seen[2].media.len()), ("Closed on Monday\n\nSorry", 0));
    for remote in &remotes {
        assert!(desk.opens(remote).await, "{remote:?}");
        Lemmy.delete(&desk.cx(), &remote.id).await.unwrap();
    }
    assert!(desk.visible().is_empty());
    // One's own deleted posts stay in one's own list, and are not there all the same.
    assert_eq!(found(&desk, &plain).await, []);
    for no_id in ["", "x", "-1", "1/../2"] {
        let error = Lemmy.delete(&desk.cx(), no_id).await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Content, None), "{no_id}");
    }
    Lemmy.delete(&desk.cx(), "7").await.unwrap();
}

#[tokio::test]
async fn what_the_server_changes_is_found_all_the_same() {
    let desk = desk().await;
    let out = titled("Bread", "A darn good day: https://shop.example/?utm_source=us&a=1\r\nBye");
    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    Lemmy.publish(&desk.cx(), &out).await.unwrap_err();
    assert!(desk.visible()[0].text.contains("A *removed* good day: https://shop.example/?a=1"));
    assert_eq!(only(&found(&desk, &out).await).id, desk.visible()[0].id);
}

#[tokio::test]
async fn only_the_own_post_is_taken_for_ours() {
    let mut desk = desk().await;
    let out = titled("Good morning", "Fresh bread");
    let picture = |mark| Rendition { media: vec![jpeg(90, 60, mark)], ..out.clone() };
    publish(&desk, &out).await;
    desk.pass(Duration::from_secs(86_400));
    publish(&desk, &titled("Good evening", "Fresh bread")).await;
    publish(&desk, &titled("Good morning", "Old bread")).await;
    publish(&desk, &titled("Good morning", "Fresh bread https://a.example")).await;
    publish(&desk, &picture(1)).await;
    // In another community, and by somebody else.
    let settings = desk.account.settings.clone();
    desk.account.settings.insert("community".into(), "other_bakery".into());
    desk.account.settings.remove("communityId");
    publish(&desk, &out).await;
    desk.account.settings = settings;
    let own = desk.account.secrets.lock().unwrap().clone();
    sealed(&mut desk, &[("jwt", "sandbox-bob")]);
    publish(&desk, &out).await;
    desk.account.secrets = Mutex::new(own);
    assert_eq!(found(&desk, &out).await, []);

    // The same words with another picture are another post.
    Lemmy.prepare(&desk.cx(), &picture(2)).await.unwrap();
    assert_eq!(found(&desk, &picture(2)).await, []);
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));

    let ours = publish(&desk, &out).await;
    for i in 0..55 {
        publish(&desk, &titled(&format!("More, {i}"), "Fresh bread")).await;
    }
    assert_eq!(only(&found(&desk, &out).await), &ours, "on the second page");
    let looks = desk.requests("GET", "/api/v3/user");
    let later = Window { since: desk.now() + 1, until: desk.now() + 60_000 };
    assert_eq!(Lemmy.look_up(&desk.cx(), &out, later).await.unwrap(), []);
    assert_eq!(desk.requests("GET", "/api/v3/user") - looks, 1, "no further than the window");
}

#[tokio::test]
async fn limits_are_those_of_the_network() {
    let desk = desk().await;
    publish(&desk, &titled(&"t".repeat(200), &"x".repeat(50_000))).await;
    for (out, class) in [
        (titled("Title", &"x".repeat(50_001)), Class::Content),
        (titled("ab", "Too short a title"), Class::Content),
        (titled("A darn title", "Text"), Class::Policy),
        (titled("Title", "https://blocked.example/x"), Class::Policy),
    ] {
        let error = Lemmy.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{error:?}");
    }
    assert_eq!(desk.visible().len(), 1);
    let film = Rendition { media: vec![crate::support::mp4(90, 60, 3, 10)], ..titled("Film", "") };
    let error = Lemmy.prepare(&desk.cx(), &film).await.unwrap_err();
    assert!(error.sentence.contains("Unsupported media format"), "{error}");
}
