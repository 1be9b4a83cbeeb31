//! Nostr against the sandbox's relay: the same event however often, on as many relays as there are.

use std::time::Duration;

use carillon_networks::http::{Guard, Http};
use carillon_networks::nostr::Nostr;
use carillon_networks::{
    Applied, Class, Context, Forgetful, Network, Published, Remote, Rendition, ReplyTo,
};
use carillon_sandbox::{Calls, Sandbox, Trouble};

use crate::consent;
use crate::support::{Desk, only, post, to_the_brim};

async fn publish(cx: &Context<'_>, out: &Rendition) -> Remote {
    match Nostr.publish(cx, out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn relay(sandbox: &Sandbox) -> String {
    format!("{}/nostr", sandbox.url().replacen("http", "ws", 1))
}

fn visible(sandbox: &Sandbox) -> usize {
    sandbox.ledger("nostr").iter().filter(|post| post.deleted_at.is_none()).count()
}

/// An account on the relays of several sandboxes, and the client that may reach them.
struct Several {
    desks: Vec<Desk>,
    http: Http,
    account: carillon_networks::Account,
}

impl Several {
    async fn open(n: usize) -> Self {
        let mut desks = Vec::new();
        for _ in 0..n {
            desks.push(Desk::of(&Nostr).await);
        }
        let relays: Vec<String> = desks.iter().map(|desk| relay(&desk.sandbox)).collect();
        let host = |desk: &Desk| desk.sandbox.url().trim_start_matches("http://").to_owned();
        let http = Http::new(Guard::allowing(desks.iter().map(host)));
        let account = desks[0].with("relays", &relays.join(", "));
        Self { desks, http, account }
    }

    fn cx_within(&self, timeout: Duration) -> Context<'_> {
        let (now, keeper) = (self.desks[0].now(), &Forgetful);
        Context::new(&self.http, &self.account, "wss:", now, timeout, <_>::default(), keeper)
    }

    fn cx(&self) -> Context<'_> {
        self.cx_within(Duration::from_secs(5))
    }

    fn seen(&self) -> Vec<usize> {
        self.desks.iter().map(|desk| visible(&desk.sandbox)).collect()
    }
}

#[tokio::test]
async fn a_note_is_one_event_and_its_page_opens() {
    let desk = Desk::of(&Nostr).await;
    let out = post("feed", "Grüße 👩‍👩‍👧 \"quoted\" \\ #Brot\n\nSee https://shop.example", vec![]);
    let first = publish(&desk.cx(), &out).await;
    desk.pass(Duration::from_secs(30 * 86_400));
    assert_eq!(publish(&desk.cx(), &out).await, first);
    let seen = desk.visible();
    assert_eq!((seen.len(), seen[0].text.as_str(), &seen[0].id), (1, out.text.as_str(), &first.id));
    assert_eq!(
        (seen[0].account.as_str(), seen[0].created_at.as_str()),
        ("alice", "2026-11-22T10:00:00.000Z")
    );
    assert!(desk.opens(&first).await);
    // A relay that says no to what it has says that it has it.
    let picky = desk.with("relays", &format!("{}/picky", relay(&desk.sandbox)));
    assert_eq!(publish(&consent::cx(&desk, &picky), &out).await, first);
    assert_eq!(desk.visible().len(), 1);

    let [fits, over] = to_the_brim(&Nostr, "", 50_000);
    publish(&desk.cx(), &post("feed", &fits, vec![])).await;
    let long = post("feed", &over.repeat(2), vec![]);
    for account in [&desk.account, &picky] {
        let error = Nostr.publish(&consent::cx(&desk, account), &long).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
}

#[tokio::test]
async fn a_thread_names_its_root_and_its_parent() {
    let desk = Desk::of(&Nostr).await;
    let root = publish(&desk.cx(), &post("feed", "One", vec![])).await;
    let mut parent = root.clone();
    for text in ["Two", "Three"] {
        let reply_to = Some(ReplyTo { root: root.clone(), parent: parent.clone() });
        let out = Rendition { reply_to, ..post("reply", text, vec![]) };
        let remote = publish(&desk.cx(), &out).await;
        let seen = desk.visible().pop().unwrap();
        assert_eq!((seen.text.as_str(), seen.reply_to.as_ref()), (text, Some(&parent.id)));
        let found = Nostr.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found), &remote);
        parent = remote;
    }
    // The same words under another note are another event.
    let reply_to = Some(ReplyTo { root: root.clone(), parent: root.clone() });
    let elsewhere = Rendition { reply_to, ..post("reply", "Three", vec![]) };
    assert_eq!(Nostr.look_up(&desk.cx(), &elsewhere, desk.window()).await.unwrap(), []);
}

#[tokio::test]
async fn one_relay_that_takes_it_is_enough() {
    for trouble in [
        Trouble::ServerError,
        Trouble::Auth,
        Trouble::ResetBeforeAccept,
        Trouble::Slow,
        Trouble::Garbage,
    ] {
        let several = Several::open(3).await;
        several.desks[0].fault(Calls::Publish, trouble);
        several.desks[2].sandbox.stop();
        let out = post("feed", "Once", vec![]);
        publish(&several.cx_within(Duration::from_secs(1)), &out).await;
        let there = usize::from(trouble == Trouble::Garbage);
        assert_eq!(several.seen(), [there, 1, 0], "{trouble:?}");
    }
}

#[tokio::test]
async fn no_relay_that_takes_it_is_told_by_the_worst_that_may_be() {
    use Trouble::*;
    for (first, second, class, applied) in [
        (Auth, ServerError, Class::Transient, Applied::No),
        (Auth, RateLimit, Class::RateLimit, Applied::No),
        (Auth, Auth, Class::Auth, Applied::No),
        (RateLimit, ResetAfterAccept, Class::Unknown, Applied::Maybe),
        (Slow, Auth, Class::Unknown, Applied::Maybe),
    ] {
        let several = Several::open(2).await;
        several.desks[0].fault(Calls::Publish, first);
        several.desks[1].fault(Calls::Publish, second);
        let out = post("feed", "Once", vec![]);
        let cx = several.cx_within(Duration::from_millis(600));
        let error = Nostr.publish(&cx, &out).await.unwrap_err();
        assert_eq!(
            (error.class, error.applied),
            (class, applied),
            "{first:?} {second:?}: {error:?}"
        );
        assert!(error.sentence.contains("127.0.0.1"), "{error:?}");
    }
    let several = Several::open(2).await;
    several.desks.iter().for_each(|desk| desk.sandbox.stop());
    let error = Nostr.publish(&several.cx(), &post("feed", "x", vec![])).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
}

#[tokio::test]
async fn absent_is_what_no_relay_has() {
    let several = Several::open(2).await;
    let out = post("feed", "Once", vec![]);
    let look = async || Nostr.look_up(&several.cx(), &out, several.desks[0].window()).await;
    assert_eq!(look().await.unwrap(), []);
    several.desks[1].fault(Calls::Read, Trouble::ServerError);
    let error = look().await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    several.desks[0].fault(Calls::Publish, Trouble::Auth);
    let remote = publish(&several.cx(), &out).await;
    assert_eq!(several.seen(), [0, 1]);
    assert_eq!(only(&look().await.unwrap()).id, remote.id);
    // What one has is there, whatever the other says.
    several.desks[0].fault(Calls::Read, Trouble::ResetBeforeAccept);
    assert_eq!(only(&look().await.unwrap()).id, remote.id);
}

#[tokio::test]
async fn a_note_is_taken_down_everywhere_or_the_error_says_so() {
    let several = Several::open(2).await;
    let out = post("feed", "Once", vec![]);
    let remote = publish(&several.cx(), &out).await;
    // Another key cannot.
    let bob = several.desks[0].sandbox.fields("nostr", "bob");
    let secret = &bob.iter().find(|(key, _)| *key == "secretKey").unwrap().1;
    let desk = &several.desks[0];
    let account = desk.with("secretKey", secret);
    Nostr.delete(&consent::cx(desk, &account), &remote.id).await.unwrap();
    assert_eq!(several.seen(), [1, 1]);

    several.desks[1].fault(Calls::Delete, Trouble::ServerError);
    let error = Nostr.delete(&several.cx(), &remote.id).await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error:?}");
    assert_eq!(several.seen(), [0, 1]);
    Nostr.delete(&several.cx(), &remote.id).await.unwrap();
    assert_eq!(several.seen(), [0, 0]);
    // It stays gone.
    let error = Nostr.publish(&several.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    for bad in ["", "abc", &"g".repeat(64), &remote.id.to_uppercase()] {
        let error = Nostr.delete(&several.cx(), bad).await.unwrap_err();
        assert_eq!(error.class, Class::Content, "{bad}");
    }
}

#[tokio::test]
async fn relays_are_behind_the_guard_and_one_that_answers_is_enough() {
    let desk = Desk::of(&Nostr).await;
    let check = async |relays: &str| {
        let account = desk.with("relays", relays);
        Nostr.check(&consent::cx(&desk, &account)).await
    };
    let own = relay(&desk.sandbox);
    let identity = check(&own).await.unwrap();
    assert!(identity.name.starts_with("npub1") && identity.remote_id.len() == 64, "{identity:?}");
    check(&format!("{own}, wss://no-such-host.invalid")).await.unwrap();
    let error = check("wss://no-such-host.invalid").await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    for private in ["wss://127.0.0.1:9", "wss://10.0.0.1", "wss://[::1]", "wss://169.254.169.254"] {
        let error = check(&format!("{own}, {private}")).await.unwrap_err();
        assert_eq!(error.code.as_deref(), Some("address_refused"), "{private}: {error:?}");
        assert_eq!(error.applied, Applied::No);
    }
    // Encryption is not given up where the other side has none.
    let error = check(&own.replacen("ws:", "wss:", 1)).await.unwrap_err();
    assert_eq!((error.code.as_deref(), error.applied), (Some("tls_failed"), Applied::No));
    // What is no relay is no relay.
    let page = own.replacen("/nostr", "/mastodon", 1);
    let error = check(&page).await.unwrap_err();
    assert_eq!(error.applied, Applied::No, "{error:?}");
}
