//! What followers did is read at the network, from outside: it is kept and shown with its time, and
//! a network that does not tell it changes nothing.

use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::refusal::{Kind, Refusal};
use carillon::publishing::numbers;
use carillon::publishing::view::DeliveryView;
use carillon::publishing::{connecting, rollback};
use carillon_sandbox::{Calls, Fault, Numbers, Trouble};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::both;
use crate::support::TestApp;

const HOUR: Duration = Duration::from_secs(3600);
const DONE: Numbers =
    Numbers { views: 97, reach: 83, likes: 7, comments: 5, shares: 4, saves: 2, clicks: 11 };

async fn measure(t: &TestApp, id: &str) -> Result<DeliveryView, Refusal> {
    numbers::measure(&t.app, &t.workspace, id).await
}

async fn refused(t: &TestApp, id: &str) -> Refusal {
    let e = measure(t, id).await.expect_err("it is refused");
    assert!(e.sentence.ends_with('.') && e.fix.ends_with('.'), "{e:?}");
    e
}

/// A live delivery.
async fn live(t: &TestApp, connection: &str) -> DeliveryView {
    let post = t.schedule(t.draft("Doors open at seven.", &[connection])).await;
    t.pass(HOUR).await;
    let d = t.post(&post.id).await.deliveries.remove(0);
    assert_eq!(d.state, State::Published, "{:#?}", t.journal(&d.id).await);
    d
}

/// Followers do something to it.
fn followers(t: &TestApp, d: &DeliveryView, did: Numbers) {
    t.sandbox.set_numbers(&d.network, d.remote_id.as_deref().expect("an id"), did);
}

fn values(d: &DeliveryView) -> Vec<(&str, i64)> {
    let all = d.numbers.iter().flat_map(|told| &told.values);
    all.map(|(metric, n)| (metric.as_str(), *n)).collect()
}

both! {
    async fn numbers_are_read_kept_and_shown(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c).await;
        assert!(d.can.contains(&"measure".to_owned()), "{:?}", d.can);
        assert_eq!(d.numbers, None, "nobody has asked");
        followers(&t, &d, DONE);
        let journal = t.journal(&d.id).await.len();

        let api = Api::of(&t).await;
        let path = format!("/api/v1/deliveries/{}/measure", d.id);
        let (status, answer) = api.call(Method::POST, &path, None).await;
        let told = json!({ "at": carillon::domain::when::iso(t.clock.now()), "values": { "likes": 7, "comments": 5, "shares": 4 } });
        assert_eq!((status, &answer["numbers"]), (StatusCode::OK, &told));
        assert_eq!(t.journal(&d.id).await.len(), journal, "a read that works is no line");

        // Later reads show it, wherever the delivery is shown, and nobody is asked for it.
        let asked = t.sandbox.requests("mastodon").len();
        t.pass(HOUR).await;
        let shown = [t.delivery(&d.id).await, t.post(&d.post_id).await.deliveries.remove(0)];
        for shown in &shown {
            assert_eq!(values(shown), [("comments", 5), ("likes", 7), ("shares", 4)]);
        }
        assert_eq!(t.sandbox.requests("mastodon").len(), asked);

        // The next read takes the place of the last.
        followers(&t, &d, Numbers { likes: 9, ..DONE });
        let again = measure(&t, &d.id).await.expect("its numbers");
        assert_eq!(values(&again), [("comments", 5), ("likes", 9), ("shares", 4)]);
        assert!(again.numbers.map(|n| n.at) > shown[0].numbers.clone().map(|n| n.at));
    }

    async fn what_a_network_leaves_out_is_no_zero(t: TestApp) {
        let c = t.connect("discord").await;
        let d = live(&t, &c).await;
        let none = measure(&t, &d.id).await.expect("an answer");
        assert_eq!(none.numbers, None, "nobody has reacted");
        followers(&t, &d, DONE);
        assert_eq!(values(&measure(&t, &d.id).await.expect("its numbers")), [("likes", 7)]);
    }

    async fn what_cannot_be_measured_is_refused_before_anything_is_called(t: TestApp) {
        let (c, chat) = (t.connect("mastodon").await, t.connect("telegram").await);
        let asked = |network: &str| t.sandbox.requests(network).len();
        let soon = t.schedule(t.draft("Soon", &[&c])).await.deliveries.remove(0);
        assert!(!soon.can.contains(&"measure".to_owned()));
        let e = refused(&t, &soon.id).await;
        assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "not_live"));
        let e = refused(&t, "0193").await;
        assert_eq!((e.kind, e.code.as_str()), (Kind::NotFound, "not_found"));

        let said = live(&t, &chat).await;
        assert!(!said.can.contains(&"measure".to_owned()), "{:?}", said.can);
        let count = asked("telegram");
        let e = refused(&t, &said.id).await;
        assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "not_measurable"));
        assert_eq!(asked("telegram"), count);

        let d = live(&t, &c).await;
        followers(&t, &d, DONE);
        measure(&t, &d.id).await.expect("its numbers");
        rollback::post(&t.app, &t.workspace, &d.post_id).await.expect("it is taken down");
        let e = refused(&t, &d.id).await;
        assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "not_live"));
        assert_eq!(t.delivery(&d.id).await.numbers, None, "those of a post that is gone");

        let gone = live(&t, &c).await;
        connecting::disconnect(&t.app, &t.workspace, &c, "account:mia").await.expect("disconnected");
        let e = refused(&t, &gone.id).await;
        assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "disconnected"));
    }

    async fn a_network_that_does_not_answer_leaves_what_was_known(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c).await;
        followers(&t, &d, DONE);
        measure(&t, &d.id).await.expect("its numbers");
        followers(&t, &d, Numbers { likes: 9, ..DONE });
        let before = t.delivery(&d.id).await;
        for (trouble, kind) in [
            (Trouble::ServerError, Kind::Unavailable),
            (Trouble::RateLimit, Kind::Unavailable),
            (Trouble::ResetBeforeAccept, Kind::Unavailable),
            (Trouble::Garbage, Kind::Unavailable),
            (Trouble::Auth, Kind::Conflict),
        ] {
            t.sandbox.add_fault(Fault::new("mastodon", Calls::Read, trouble).times(2));
            let e = refused(&t, &d.id).await;
            t.sandbox.clear_faults();
            assert_eq!((e.kind, e.code.as_str()), (kind, "not_measured"), "{trouble:?}: {e:?}");
            assert_eq!(e.suggested_at.is_some(), trouble == Trouble::RateLimit, "{e:?}");
            let after = t.delivery(&d.id).await;
            assert_eq!((after.state, &after.numbers, &after.problem), (State::Published, &before.numbers, &None), "{trouble:?}");
        }
        let ws = t.workspace.clone();
        let connection = t.app.db.read(move |tx| async move { carillon::store::connections::find(&tx, &ws, &c).await });
        assert_eq!(connection.await.expect("a read").expect("it").broken_at, None, "a read breaks no connection");

        let api = Api::of(&t).await;
        t.fault("mastodon", Calls::Read, Trouble::ServerError);
        let path = format!("/api/v1/deliveries/{}/measure", d.id);
        assert_eq!(api.call(Method::POST, &path, None).await.0, StatusCode::SERVICE_UNAVAILABLE);
        measure(&t, &d.id).await.expect("it answers again");
    }

    async fn what_is_gone_at_the_network_is_said_so(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c).await;
        let id = d.remote_id.clone().expect("an id");
        let url = format!("{}/mastodon/api/v1/statuses/{id}", t.sandbox_url);
        let deleted = reqwest::Client::new().delete(&url).bearer_auth("sandbox-alice").send().await;
        assert_eq!(deleted.expect("an answer").status(), StatusCode::OK);
        let e = refused(&t, &d.id).await;
        assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "not_measured"));
        assert_eq!(e.sentence, "Mastodon does not have this post any more.");
    }

    async fn a_network_that_is_left_alone_is_not_asked(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c).await;
        let host = t.sandbox_url.trim_start_matches("http://").split(':').next().expect("a host").to_owned();
        let until = t.clock.now() + 60_000;
        t.app.db.write(move |tx| async move {
            let mut circuit = carillon::store::circuits::lock(&tx, &format!("mastodon:{host}")).await?;
            (circuit.opened_at, circuit.open_until) = (Some(until - 1), Some(until));
            carillon::store::circuits::save(&tx, &circuit).await
        }).await.expect("an open circuit");
        let asked = t.sandbox.requests("mastodon").len();
        let e = refused(&t, &d.id).await;
        assert_eq!((e.kind, e.code.as_str(), e.suggested_at), (Kind::Unavailable, "left_alone", Some(until)));
        assert_eq!(t.sandbox.requests("mastodon").len(), asked);
        t.clock.advance(Duration::from_secs(61));
        measure(&t, &d.id).await.expect("the wait is over");
    }

    async fn another_workspace_knows_of_nothing(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c).await;
        let e = numbers::measure(&t.app, &carillon::ids::new(t.clock.now()), &d.id).await.expect_err("not theirs");
        assert_eq!((e.kind, e.code.as_str()), (Kind::NotFound, "not_found"));
    }

    async fn every_network_that_measures_is_read_through_the_product(t: TestApp) {
        for network in ["bluesky", "x", "linkedin", "lemmy", "devto"] {
            let c = t.connect(network).await;
            let d = live(&t, &c).await;
            followers(&t, &d, DONE);
            let read = measure(&t, &d.id).await.unwrap_or_else(|e| panic!("{network}: {e:?}"));
            let spec = carillon_networks::find(network).expect("it").spec();
            let place = spec.placement(&d.placement).expect("its placement");
            assert_eq!(values(&read).len(), place.measures.len(), "{network}: {:?}", read.numbers);
            assert!(values(&read).contains(&("likes", 7)), "{network}: {:?}", read.numbers);
        }
    }
}
