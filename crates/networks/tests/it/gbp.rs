//! Google Business Profile against the sandbox: posts that are looked at before they are live,
//! events and offers, the places of a consent.

use std::time::Duration;

use carillon_networks::gbp::{Gbp, SPEC};
use carillon_networks::{
    Applied, Class, Context, Grant, Media, Network, Polled, Prepared, Published, Remote, Rendition,
    Secret, Tokens,
};
use carillon_sandbox::{CLIENT_ID, CLIENT_SECRET, Calls, Fault, Trouble};
use serde_json::{Value, json};

use crate::support::{Desk, hosted, jpeg, only, post, to_the_brim};

const BACK: &str = "https://carillon.example/oauth/back";
const VERIFIER: &str = "a-verifier-of-enough-letters-to-be-one-0123456789";

/// Goes through the consent page of a network as this account and grants what `grants` lets pass.
pub(crate) async fn consent(
    desk: &Desk,
    network: &dyn Network,
    account: &str,
    grants: impl Fn(&str) -> bool,
) -> Grant {
    let spec = network.spec();
    let oauth = spec.oauth.as_ref().unwrap();
    let (http, base, _) = desk.parts();
    let url = oauth.consent_url(base, spec.base_url, CLIENT_ID, BACK, "state-1", VERIFIER).unwrap();
    let page = http.send(http.get(url.as_str()), Duration::from_secs(5)).await.unwrap();
    assert!(page.ok(), "{page:?}");
    let challenge = carillon_networks::oauth::challenge(VERIFIER);
    let mut form = vec![
        ("account", account),
        ("allow", "1"),
        ("redirect_uri", BACK),
        ("state", "state-1"),
        ("code_challenge", &challenge),
    ];
    form.retain(|(name, _)| oauth.pkce || *name != "code_challenge");
    form.extend(oauth.scopes.iter().filter(|scope| grants(scope)).map(|scope| ("grant", *scope)));
    let request = http.post(url.as_str()).form(&form);
    let reply = http.send(request, Duration::from_secs(5)).await.unwrap();
    let back = url::Url::parse(reply.header("location").unwrap()).unwrap();
    let part = |key: &str| back.query_pairs().find(|(k, _)| k == key).unwrap().1.into_owned();
    assert_eq!(part("state"), "state-1");
    let (code, verifier) = (Secret::new(part("code")), Secret::new(VERIFIER));
    Grant { code, redirect_uri: BACK.to_owned(), verifier }
}

/// A desk whose account holds the app's own credentials and nothing else.
pub(crate) async fn app(network: &'static dyn Network) -> Desk {
    let secrets = [("clientSecret", CLIENT_SECRET)];
    Desk::open(network, &[("clientId", CLIENT_ID)], &secrets).await
}

/// Keeps what was issued, as the product does.
pub(crate) fn hold(desk: &Desk, tokens: &Tokens) {
    let mut secrets = desk.account.secrets.lock().unwrap();
    secrets.insert("accessToken".to_owned(), tokens.access.clone());
    if let Some(refresh) = &tokens.refresh {
        secrets.insert("refreshToken".to_owned(), refresh.clone());
    }
}

async fn prepared(desk: &Desk, out: &Rendition) -> Published {
    assert_eq!(Gbp.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    Gbp.publish(&desk.cx(), out).await.unwrap()
}

async fn settled(desk: &Desk, out: &Rendition) -> Polled {
    loop {
        match Gbp.poll(&desk.cx(), out).await.unwrap() {
            Polled::Processing { again_in } => desk.pass(again_in),
            settled => return settled,
        }
    }
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    match prepared(desk, out).await {
        Published::Accepted(remote) => remote,
        Published::Processing { .. } => match settled(desk, out).await {
            Polled::Published(remote) => remote,
            other => panic!("{other:?}"),
        },
    }
}

fn with(out: Rendition, extra: &[(&str, &str)]) -> Rendition {
    let extra = extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Rendition { extra, ..out }
}

/// A photo of enough bytes, at an address of its own.
fn photo(width: u16, height: u16, bytes: usize) -> Media {
    let photo = jpeg(width, height, 1);
    let data = [&photo.data[..], &vec![0; bytes]].concat();
    hosted(Media { data: data.into(), ..photo })
}

#[tokio::test]
async fn a_consent_brings_tokens_that_are_renewed_and_end() {
    let desk = app(&Gbp).await;
    let grant = consent(&desk, &Gbp, "alice", |_| true).await;
    let tokens = Gbp.exchange(&desk.cx(), &grant).await.unwrap();
    assert_eq!(SPEC.oauth.as_ref().unwrap().missing(tokens.scopes.as_ref().unwrap()), [""; 0]);
    assert!(tokens.refresh.is_some(), "the consent was for good");
    let life = tokens.expires_in.unwrap();
    hold(&desk, &tokens);
    assert!(!Gbp.targets(&desk.cx()).await.unwrap().is_empty());

    // A code works once.
    let error = Gbp.exchange(&desk.cx(), &grant).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    desk.pass(life + Duration::from_secs(1));
    let error = Gbp.targets(&desk.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    for _ in 0..2 {
        let renewed = Gbp.refresh(&desk.cx()).await.unwrap();
        assert_eq!(renewed.refresh, None, "the one that is held stays");
        hold(&desk, &renewed);
        desk.pass(Duration::from_secs(1_800));
    }
    assert!(!Gbp.targets(&desk.cx()).await.unwrap().is_empty());

    // A second consent of the same person brings a refresh token too: `prompt=consent`.
    let grant = consent(&desk, &Gbp, "alice", |_| true).await;
    let again = Gbp.exchange(&desk.cx(), &grant).await.unwrap();
    assert!(again.refresh.is_some());
}

#[tokio::test]
async fn a_right_that_was_unticked_is_told() {
    let desk = app(&Gbp).await;
    let grant = consent(&desk, &Gbp, "alice", |_| false).await;
    let tokens = Gbp.exchange(&desk.cx(), &grant).await.unwrap();
    hold(&desk, &tokens);
    let error = Gbp.targets(&desk.cx()).await.unwrap_err();
    assert_eq!(error.class, Class::Auth, "{error:?}");
    assert!(error.sentence.contains("right"), "{error:?}");
}

#[tokio::test]
async fn the_places_of_a_consent_say_why_they_cannot_post() {
    let desk = Desk::of(&Gbp).await;
    let targets = Gbp.targets(&desk.cx()).await.unwrap();
    let seen: Vec<_> = targets.iter().map(|t| (t.name.as_str(), t.problem.as_deref())).collect();
    assert_eq!(
        seen,
        [
            ("alice branch (Leipzig)", None),
            ("alice shop (Leipzig)", None),
            ("alice stall (Leipzig)", Some("Google has suspended this place.")),
            ("alice workshop (Leipzig)", Some("This place is not verified at Google.")),
        ]
    );
    for target in &targets {
        let chosen = desk.with("location", &target.settings["location"]);
        let (http, base, keeper) = desk.parts();
        let second = Duration::from_secs(5);
        let cx = Context::new(http, &chosen, base, desk.now(), second, Default::default(), keeper);
        let checked = Gbp.check(&cx).await;
        let Some(why) = &target.problem else {
            assert_eq!(checked.unwrap().remote_id, target.id);
            continue;
        };
        let error = checked.unwrap_err();
        assert_eq!((error.class, &error.sentence), (Class::Config, why));
        // Whoever posts all the same is refused, and nothing is made.
        let error = Gbp.publish(&cx, &post("standard", "Hello", vec![])).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_place_that_is_written_wrongly_is_no_path() {
    let desk = Desk::of(&Gbp).await;
    for bad in ["12", "locations/34", "accounts/1/locations/../2", "accounts/1/locations/2/x"] {
        let account = desk.with("location", bad);
        let (http, base, keeper) = desk.parts();
        let second = Duration::from_secs(5);
        let cx = Context::new(http, &account, base, desk.now(), second, Default::default(), keeper);
        let error = Gbp.check(&cx).await.unwrap_err();
        assert_eq!((error.class, error.code.as_deref()), (Class::Config, Some("bad_location")));
    }
    assert_eq!(desk.sandbox.requests("gbp").len(), 0);
    for bad in ["", "x", "accounts/1/locations/2", "accounts/1/locations/2/localPosts/a?b"] {
        let error = Gbp.delete(&desk.cx(), bad).await.unwrap_err();
        assert_eq!(error.class, Class::Content, "{bad}");
    }
    assert_eq!(desk.sandbox.requests("gbp").len(), 0);
}

#[tokio::test]
async fn an_update_an_event_and_an_offer_are_posted() {
    let desk = Desk::of(&Gbp).await;
    let dates = [("start", "2026-12-24T18:30"), ("end", "2026-12-26")];
    let update = with(
        post("standard", "Fresh bread", vec![photo(720, 540, 12 << 10)]),
        &[("button", "ORDER"), ("buttonLink", "https://bakery.example/order")],
    );
    let event = with(
        Rendition { title: Some("Open on Sunday".to_owned()), ..post("event", "Come in", vec![]) },
        &dates,
    );
    let offer = [&dates[..], &[("coupon", "RYE"), ("redeemLink", "https://bakery.example/rye")]];
    let offer = with(post("offer", "Two for one\nAll week", vec![]), &offer.concat());
    for (out, shown) in [
        (&update, "Fresh bread"),
        (&event, "Open on Sunday\n\nCome in"),
        (&offer, "Two for one\n\nAll week"),
    ] {
        let remote = publish(&desk, out).await;
        let seen = desk.visible().pop().unwrap();
        assert_eq!((seen.id.as_str(), seen.text.as_str()), (remote.id.as_str(), shown));
        assert_eq!(seen.placement, out.placement);
        assert_eq!(seen.media.len(), out.media.len());
        assert!(desk.opens(&remote).await, "{remote:?}");
        let found = Gbp.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), &remote);
    }
    let sent = desk.sandbox.requests("gbp");
    let sent = sent.iter().filter(|r| r.method == "POST");
    let sent: Vec<Value> = sent.map(|r| serde_json::from_str(&r.body).unwrap()).collect();
    let [update, event, offer] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(update["callToAction"]["actionType"], "ORDER");
    let schedule = json!({
        "startDate": { "year": 2026, "month": 12, "day": 24 },
        "startTime": { "hours": 18, "minutes": 30 },
        "endDate": { "year": 2026, "month": 12, "day": 26 },
    });
    assert_eq!(event["event"]["schedule"], schedule);
    let redeemed = json!({ "couponCode": "RYE", "redeemOnlineUrl": "https://bakery.example/rye" });
    assert_eq!(offer["offer"], redeemed);
    assert_eq!(offer.get("callToAction"), None);
}

#[tokio::test]
async fn a_post_is_waited_for_until_it_is_live() {
    let desk = Desk::of(&Gbp).await;
    let out = post("standard", "Patience", vec![]);
    let published = prepared(&desk, &out).await;
    assert!(matches!(published, Published::Processing { .. }), "{published:?}");
    desk.sandbox.add_fault(Fault::new("gbp", Calls::Read, Trouble::Processing).times(3));
    let mut waits = Vec::new();
    let remote = loop {
        match Gbp.poll(&desk.cx(), &out).await.unwrap() {
            Polled::Processing { again_in } => {
                waits.push(again_in.as_secs());
                desk.pass(again_in);
            }
            Polled::Published(remote) => break remote,
            other => panic!("{other:?}"),
        }
    };
    assert!(waits.len() > 3 && waits.is_sorted(), "{waits:?}");
    assert!(desk.opens(&remote).await);
    for trouble in [Trouble::ServerError, Trouble::Garbage, Trouble::ResetBeforeAccept] {
        desk.fault(Calls::Read, trouble);
        Gbp.poll(&desk.cx(), &out).await.expect_err("no answer, no state");
    }
    // Google takes down what people report.
    Gbp.delete(&desk.cx(), &remote.id).await.unwrap();
    match Gbp.poll(&desk.cx(), &out).await.unwrap() {
        Polled::Gone(error) => assert_eq!(error.class, Class::Policy),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rejected_post_fails_and_is_not_sent_again() {
    let desk = Desk::of(&Gbp).await;
    let out = post("standard", "Call 0341 123 45 67 for bread", vec![]);
    let published = prepared(&desk, &out).await;
    assert!(matches!(published, Published::Processing { .. }), "{published:?}");
    match settled(&desk, &out).await {
        Polled::Gone(error) => {
            assert_eq!((error.class, error.restart), (Class::Policy, false), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    // After a lost answer the rejected post is no proof that there is none.
    let doubt = Gbp.look_up(&desk.cx(), &out, desk.window()).await.unwrap_err();
    assert_eq!(doubt.class, Class::Policy);
    assert!(desk.visible().is_empty());

    // The next try begins with nothing of this one.
    Gbp.prepare(&desk.cx(), &out).await.unwrap();
    assert!(!desk.kept.all().contains_key("post"));
}

#[tokio::test]
async fn a_post_whose_name_was_not_kept_is_found_in_the_listing() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = Desk::of(&Gbp).await;
        let out = post("standard", "Once  only\nhere", vec![photo(720, 540, 12 << 10)]);
        Gbp.prepare(&desk.cx(), &out).await.unwrap();
        desk.fault(Calls::Publish, trouble);
        let error = Gbp.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");
        let found = Gbp.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found).id, desk.visible()[0].id);
        assert_eq!(desk.requests("POST", "/localPosts"), 1);
        Gbp.poll(&desk.cx(), &out).await.expect_err("there is no name to ask for");
    }
}

#[tokio::test]
async fn only_the_own_post_is_taken_for_ours() {
    let desk = Desk::of(&Gbp).await;
    let out = post("standard", "Good morning", vec![]);
    let event = |title: &str| {
        let event = post("event", "Good morning", vec![]);
        let event = Rendition { title: Some(title.to_owned()), ..event };
        with(event, &[("start", "2026-12-24"), ("end", "2026-12-24")])
    };
    publish(&desk, &out).await;
    desk.pass(Duration::from_secs(86_400));
    prepared(&desk, &post("standard", "Good evening", vec![])).await;
    prepared(&desk, &post("standard", "Good morning", vec![photo(300, 300, 10 << 10)])).await;
    prepared(&desk, &event("Morning")).await;
    assert_eq!(Gbp.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    assert_eq!(Gbp.look_up(&desk.cx(), &event("Noon"), desk.window()).await.unwrap(), []);

    let now = desk.window();
    let ours = publish(&desk, &out).await;
    for i in 0..130 {
        let more = post("standard", &format!("More, {i}"), vec![]);
        Gbp.publish(&desk.cx(), &more).await.unwrap();
    }
    let found = Gbp.look_up(&desk.cx(), &out, now).await.unwrap();
    assert_eq!(only(&found), &ours);
    let listings = desk.requests("GET", "/localPosts");
    assert!(Gbp.look_up(&desk.cx(), &event("Noon"), now).await.unwrap().is_empty());
    assert_eq!(desk.requests("GET", "/localPosts") - listings, 2, "a hundred a page");
}

#[tokio::test]
async fn what_google_would_refuse_is_told_with_its_reason() {
    let desk = Desk::of(&Gbp).await;
    let [fits, over] = to_the_brim(&Gbp, "Bröd 🍞 ", 1_500);
    publish(&desk, &post("standard", &fits, vec![])).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}/gone.jpg", closed.local_addr().unwrap());
    drop(closed);
    let before = desk.visible().len();
    for (media, text, says) in [
        (vec![], over.as_str(), "1500"),
        (vec![photo(720, 540, 100)], "Small", "10 KB"),
        (vec![photo(200, 540, 12 << 10)], "Narrow", "250"),
        (vec![Media { url: gone, ..jpeg(720, 540, 1) }], "Gone", "fetched"),
    ] {
        let error = Gbp.publish(&desk.cx(), &post("standard", text, media)).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
        assert!(error.sentence.contains(says), "{error:?}");
    }
    // What can be known before is refused before, and asks Google for nothing.
    let asked = desk.sandbox.requests("gbp").len();
    let day = [("start", "2026-12-24"), ("end", "2026-12-23")];
    for (out, class) in [
        (with(post("event", "Backwards", vec![]), &day), Class::Content),
        (post("event", "Never", vec![]), Class::Content),
        (with(post("offer", "", vec![]), &[day[0], ("end", "2026-12-24")]), Class::Content),
        (with(post("standard", "Button", vec![]), &[("button", "BOOK")]), Class::Content),
        (post("standard", "Nowhere", vec![jpeg(720, 540, 1)]), Class::Config),
    ] {
        let error = Gbp.prepare(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{error:?}");
    }
    assert_eq!(desk.sandbox.requests("gbp").len(), asked);
    assert_eq!(desk.visible().len(), before);
}
