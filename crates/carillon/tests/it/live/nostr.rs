//! Two relays that others wrote: rust-nostr's answers a second copy of a note with true, nostr-relay
//! with false, and both mean that it is there.

use std::time::Duration;

use carillon::clock::Clock;
use carillon::publishing::connecting::New;
use carillon::publishing::rollback;
use carillon_networks::http::{Guard, Http};
use carillon_networks::nostr::Nostr;
use carillon_networks::{Applied, Class, Context, Network, Published, Remote, Rendition, Window};
use reqwest::StatusCode;
use serde_json::Value;

use super::{account, cx, publish, start};
use crate::support::live::Live;
use crate::support::{On, TestApp};

const SECRET: &str = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";

fn relays(live: &Live) -> [String; 2] {
    [0, 1].map(|n| {
        live.info["relays"][n].as_str().expect("two relays").trim_end_matches('/').to_owned()
    })
}

fn host(relay: &str) -> String {
    relay.trim_start_matches("ws://").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs two relays: `make test` installs them and runs this"]
async fn real_relays_show_the_note_and_lose_it_again() {
    let live = start("servers/relays.py").await;
    let relays = relays(&live);
    let hosts = relays.each_ref().map(|relay| host(relay)).join(",");
    // Relays want events of about now; the note is due when all of the time has passed.
    let clock = Clock::manual(Clock::system().now() - 1_200_000);
    let given = [("CARILLON_SANDBOX", ""), ("CARILLON_ALLOW_HOSTS", hosts.as_str())];
    let t = TestApp::on_clock(On::Sqlite, clock, &given).await;
    let new = New {
        network: "nostr".into(),
        name: None,
        settings: [("relays".into(), relays.join(", "))].into(),
        credentials: [("secretKey".into(), SECRET.into())].into(),
    };
    let text = "Lights on again 🌅 \"quoted\" \\ https://example.com/harbour #harbour";
    let post = publish(&t, new, text).await;
    let id = post.deliveries[0].remote_id.clone().unwrap();
    // The second tells over HTTP too what it has.
    let read = || async {
        let answer = reqwest::get(format!("http://{}/e/{id}", host(&relays[1]))).await.unwrap();
        let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
        (status, serde_json::from_slice::<Value>(&bytes).unwrap_or_default())
    };
    let (status, event) = read().await;
    assert_eq!((status, event["content"].as_str()), (StatusCode::OK, Some(text)), "{event}");
    assert_eq!(event["tags"], serde_json::json!([["t", "harbour"]]));

    let back = rollback::post(&t.app, &t.workspace, &post.id).await.expect("it can be rolled back");
    assert_eq!(back.results[0].result, "deleted", "{:?}", back.results);
    assert_eq!(read().await.0, StatusCode::NOT_FOUND);
}

async fn sent(cx: &Context<'_>, out: &Rendition) -> Remote {
    match Nostr.publish(cx, out).await {
        Ok(Published::Accepted(remote)) => remote,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs two relays: `make test` installs them and runs this"]
async fn real_relays_take_the_same_note_again_and_it_is_one() {
    let live = start("servers/relays.py").await;
    let relays = relays(&live);
    let http = Http::new(Guard::allowing(relays.each_ref().map(|relay| host(relay))));
    let now = Clock::system().now();
    let window = Window { since: now - 600_000, until: now + 600_000 };
    let note = |key: &str, created_at: i64| Rendition {
        placement: "feed".into(),
        text: format!("Only once: {key}"),
        key: key.into(),
        created_at,
        ..Rendition::default()
    };
    for relay in &relays {
        let account = account(&[("relays", relay)], &[("secretKey", SECRET)]);
        let cx = cx(&http, &account, "wss:");
        Nostr.check(&cx).await.expect("it answers");
        let out = note(relay, now - 60_000);
        assert_eq!(Nostr.look_up(&cx, &out, window).await.unwrap(), []);
        let first = sent(&cx, &out).await;
        assert_eq!(sent(&cx, &out).await, first, "{relay}");
        assert_eq!(Nostr.look_up(&cx, &out, window).await.unwrap(), std::slice::from_ref(&first));
        Nostr.delete(&cx, &first.id).await.expect("it can be deleted");
        assert_eq!(Nostr.look_up(&cx, &out, window).await.unwrap(), [], "{relay}");
    }
    // The second takes nothing that is older than a year; one relay that takes it is enough.
    let old = note("old", now - Duration::from_secs(800 * 86_400).as_millis() as i64);
    let picky = account(&[("relays", &relays[1])], &[("secretKey", SECRET)]);
    let error = Nostr.publish(&cx(&http, &picky, "wss:"), &old).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    let both = account(&[("relays", &relays.join(" "))], &[("secretKey", SECRET)]);
    let cx = cx(&http, &both, "wss:");
    let there = sent(&cx, &old).await;
    assert_eq!(Nostr.look_up(&cx, &old, window).await.unwrap(), [there]);
}
