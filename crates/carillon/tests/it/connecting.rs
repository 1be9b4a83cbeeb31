//! Connections: asked about at their network before they are kept, broken by what is certain only,
//! and gone with their tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon::App;
use carillon::clock::Clock;
use carillon::config::Config;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState;
use carillon::domain::refusal::{Kind, Refusal};
use carillon::publishing::account;
use carillon::publishing::connecting::{self, Change, CheckView, ConnectionState, New};
use carillon::publishing::desk::{self, Answer};
use carillon::store::connections::{self, Connection};
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::both;
use crate::support::{On, START, TestApp};

const NETWORKS: [&str; 6] =
    ["facebook", "instagram", "bluesky", "mastodon", "wordpress", "telegram"];

fn map(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// What a person enters for an account of the sandbox.
fn entered(t: &TestApp, network: &str, account: &str) -> New {
    let spec = carillon_networks::find(network).expect("a network").spec();
    let secret = |key: &str| spec.fields.iter().any(|f| f.key == key && f.secret);
    let fields =
        carillon_sandbox::fields(network, account, &format!("{}/{network}", t.sandbox_url));
    let all = fields.into_iter().map(|(key, value)| (key.to_owned(), value));
    let (credentials, settings) = all.partition(|(key, _)| secret(key));
    New { network: network.into(), name: None, settings, credentials }
}

async fn add(t: &TestApp, network: &str, account: &str) -> connecting::ConnectionView {
    let new = entered(t, network, account);
    connecting::add(&t.app, &t.workspace, new).await.expect("the account is connected")
}

async fn refused(t: &TestApp, new: New) -> Refusal {
    connecting::add(&t.app, &t.workspace, new).await.expect_err("the account is refused")
}

async fn check(t: &TestApp, id: &str) -> CheckView {
    connecting::check(&t.app, &t.workspace, id).await.expect("a checklist")
}

fn names(view: &CheckView) -> Vec<(&str, bool)> {
    view.checks.iter().map(|c| (c.name.as_str(), c.ok)).collect()
}

async fn row(t: &TestApp, id: &str) -> Connection {
    let id = id.to_owned();
    let found: Result<_, Error> =
        t.app.db.read(move |tx| async move { connections::load(&tx, &id).await }).await;
    found.expect("the database answers").expect("the row")
}

async fn count(t: &TestApp) -> usize {
    connecting::list(&t.app, &t.workspace).await.expect("a list").len()
}

/// Fails every call of this network until the faults are cleared.
fn always(t: &TestApp, network: &str, fault: Trouble) {
    t.sandbox.add_fault(Fault::new(network, Calls::Any, fault).times(100));
}

both! {
    async fn every_network_connects_and_no_secret_comes_out_again(t: TestApp) {
        for network in NETWORKS {
            let view = add(&t, network, "alice").await;
            assert_eq!(view.state, ConnectionState::Active, "{network}");
            assert!(!view.name.is_empty() && !view.remote_id.is_empty(), "{network}: {view:?}");
            assert!(view.checked_at.is_some());
            let row = row(&t, &view.id).await;
            assert!(!row.secrets.contains("sandbox-alice"), "{network}: sealed");
            let account = account::open(&t.app, &row).expect("opens");
            assert!(!account.secrets.lock().unwrap().is_empty());
        }
        let shown = connecting::list(&t.app, &t.workspace).await.expect("a list");
        assert_eq!(shown.len(), NETWORKS.len());
        let shown = serde_json::to_string(&shown).unwrap();
        assert!(!shown.contains("sandbox-alice"), "{shown}");
    }

    async fn a_refused_account_is_not_kept(t: TestApp) {
        for network in NETWORKS {
            let mut new = entered(&t, network, "alice");
            new.credentials.values_mut().for_each(|v| *v = "wr0ng-s3cret".into());
            let refusal = refused(&t, new).await;
            assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::Invalid, "connection_refused"), "{network}");
            assert!(refusal.problems[0].field.starts_with("credentials."), "{network}: {refusal:?}");
            assert!(!format!("{refusal:?}").contains("wr0ng-s3cret"), "{network}: {refusal:?}");
        }
        assert_eq!(count(&t).await, 0);
    }

    async fn what_is_missing_or_unknown_is_named_before_anything_is_asked(t: TestApp) {
        let mut new = entered(&t, "wordpress", "alice");
        new.settings.remove("username");
        new.settings.insert("color".into(), "red".into());
        let refusal = refused(&t, new).await;
        let fields: Vec<&str> = refusal.problems.iter().map(|w| w.field.as_str()).collect();
        assert_eq!(fields, ["settings.color", "settings.username"]);
        let refusal = refused(&t, New { network: "myspace".into(), ..New::default() }).await;
        assert_eq!((refusal.problems[0].field.as_str(), refusal.code.as_str()), ("network", "unknown_network"));
        for server in ["http://10.0.0.1", "http://169.254.169.254/latest", "http://localhost:1"] {
            let mut new = entered(&t, "mastodon", "alice");
            new.settings.insert("server".into(), server.into());
            let refusal = refused(&t, new).await;
            assert_eq!(refusal.problems[0].field, "settings.server", "{server}");
            assert_eq!(refusal.problems[0].code, "address_refused", "{server}");
        }
        assert!(NETWORKS.iter().all(|n| t.sandbox.requests(n).is_empty()), "nobody was asked");
    }

    async fn a_network_that_is_away_is_no_verdict(t: TestApp) {
        always(&t, "mastodon", Trouble::ServerError);
        let refusal = refused(&t, entered(&t, "mastodon", "alice")).await;
        assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::Unavailable, "network_unavailable"));
        assert_eq!(count(&t).await, 0);
        t.sandbox.clear_faults();
        let before = add(&t, "mastodon", "alice").await;
        t.clock.advance(Duration::from_secs(60));
        for trouble in [Trouble::ServerError, Trouble::RateLimit, Trouble::ResetBeforeAccept, Trouble::Garbage] {
            always(&t, "mastodon", trouble);
            let found = check(&t, &before.id).await;
            assert!(!found.ok, "{trouble:?}");
            assert_eq!(names(&found), [("credentials", true), ("address", true), ("reach", false)], "{trouble:?}");
            assert_eq!(found.connection, before, "{trouble:?} changes nothing");
            t.sandbox.clear_faults();
        }
    }

    async fn a_server_of_something_else_is_told_from_one_that_is_away(t: TestApp) {
        always(&t, "mastodon", Trouble::Garbage);
        let refusal = refused(&t, entered(&t, "mastodon", "alice")).await;
        assert_eq!((refusal.kind, refusal.problems[0].field.as_str()), (Kind::Invalid, "settings.server"));
    }

    async fn the_same_account_again_is_a_reconnection(t: TestApp) {
        let first = add(&t, "mastodon", "alice").await;
        let post = t.schedule(t.draft("Doors at seven", &[&first.id])).await;
        always(&t, "mastodon", Trouble::Auth);
        assert!(!check(&t, &first.id).await.ok);
        t.sandbox.clear_faults();
        t.pass(Duration::from_secs(20 * 60)).await;
        assert!(t.visible("mastodon").is_empty(), "it waits");
        let waits = connecting::find(&t.app, &t.workspace, &first.id).await.expect("there");
        assert_eq!((waits.state, waits.waiting), (ConnectionState::NeedsAction, 1));
        assert_eq!(waits.problem.expect("a reason").class, "auth");

        let again = add(&t, "mastodon", "alice").await;
        assert_eq!((&again.id, again.state, &again.name), (&first.id, ConnectionState::Active, &first.name));
        assert_eq!(count(&t).await, 1);
        t.pass(Duration::from_secs(60)).await;
        assert_eq!(t.visible("mastodon").len(), 1, "what waited went out");
        assert_eq!(t.post(&post.id).await.deliveries[0].state, DeliveryState::Published);
    }

    async fn a_check_breaks_and_mends(t: TestApp) {
        let id = add(&t, "telegram", "alice").await.id;
        let good = check(&t, &id).await;
        assert!(good.ok);
        assert_eq!(names(&good), [("credentials", true), ("address", true), ("reach", true), ("clock", true), ("rights", true)]);
        always(&t, "telegram", Trouble::Auth);
        let bad = check(&t, &id).await;
        assert_eq!(names(&bad)[4], ("rights", false));
        assert_eq!(bad.checks[4].action.as_deref(), Some("reconnect"));
        assert_eq!(bad.connection.state, ConnectionState::NeedsAction);
        assert!(!serde_json::to_string(&bad).unwrap().contains("sandbox-alice"));
        t.sandbox.clear_faults();
        let mended = check(&t, &id).await;
        assert!(mended.ok);
        assert_eq!((mended.connection.state, mended.connection.problem), (ConnectionState::Active, None));
    }

    async fn a_check_tells_of_clocks_that_disagree(t: TestApp) {
        let id = add(&t, "mastodon", "alice").await.id;
        let slow = Clock::manual(t.clock.now() - 192_000);
        let config = Config::read(|name| t.settings.get(name).cloned()).expect("as before");
        let slow = App::open(config, slow).await.expect("it opens");
        let found = connecting::check(&slow, &t.workspace, &id).await.expect("an answer");
        assert!(!found.ok);
        assert_eq!(names(&found), [("credentials", true), ("address", true), ("reach", true), ("clock", false), ("rights", true)]);
        let clock = &found.checks[3];
        assert_eq!(clock.detail, "This machine's clock is 3 min 12 s behind that of Mastodon: posts go out at the wrong time, and signed requests may be refused.");
        assert_eq!(clock.action.as_deref(), Some("ask_operator"));
        assert_eq!((found.connection.state, found.connection.problem), (ConnectionState::Active, None), "it publishes all the same");
    }

    async fn an_owners_pause_outlives_a_repair(t: TestApp) {
        let id = add(&t, "mastodon", "alice").await.id;
        t.schedule(t.draft("Later", &[&id])).await;
        let paused = connecting::pause(&t.app, &t.workspace, &id).await.expect("paused");
        assert_eq!(paused.state, ConnectionState::Paused);
        always(&t, "mastodon", Trouble::Auth);
        assert_eq!(check(&t, &id).await.connection.state, ConnectionState::NeedsAction);
        t.sandbox.clear_faults();
        assert_eq!(check(&t, &id).await.connection.state, ConnectionState::Paused);
        t.pass(Duration::from_secs(1200)).await;
        assert!(t.visible("mastodon").is_empty());
        let on = connecting::resume(&t.app, &t.workspace, &id).await.expect("resumed");
        assert_eq!(on.state, ConnectionState::Active);
        t.pass(Duration::from_secs(60)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
    }

    async fn resuming_does_not_mend(t: TestApp) {
        let id = add(&t, "mastodon", "alice").await.id;
        t.schedule(t.draft("Later", &[&id])).await;
        always(&t, "mastodon", Trouble::Auth);
        check(&t, &id).await;
        t.sandbox.clear_faults();
        let still = connecting::resume(&t.app, &t.workspace, &id).await.expect("answered");
        assert_eq!(still.state, ConnectionState::NeedsAction);
        t.pass(Duration::from_secs(1200)).await;
        assert!(t.visible("mastodon").is_empty());
    }

    async fn an_edit_is_tried_before_it_is_kept(t: TestApp) {
        let view = add(&t, "mastodon", "alice").await;
        let id = view.id.clone();
        let edit = |change| connecting::edit(&t.app, &t.workspace, &id, change);
        let asked = t.sandbox.requests("mastodon").len();
        let renamed = edit(Change {
            name: Some(" The\nBakery ".into()),
            settings: view.settings.clone(),
            credentials: map(&[("accessToken", "")]), send_twice: None }).await.expect("renamed");
        assert_eq!(renamed.name, "The Bakery");
        assert_eq!(t.sandbox.requests("mastodon").len(), asked, "a name is nobody's business");
        let sealed = row(&t, &id).await.secrets;

        let other = edit(Change { credentials: map(&[("accessToken", "sandbox-bob")]), ..Change::default() });
        assert_eq!(other.await.expect_err("another account").code, "other_account");
        let wrong = edit(Change { credentials: map(&[("accessToken", "wr0ng-s3cret")]), ..Change::default() });
        assert_eq!(wrong.await.expect_err("a wrong token").code, "connection_refused");
        let erased = edit(Change { settings: map(&[("server", "")]), ..Change::default() });
        assert_eq!(erased.await.expect_err("needed").problems[0].code, "missing_field");
        assert_eq!(row(&t, &id).await.secrets, sealed, "nothing of it was kept");

        let bob = add(&t, "mastodon", "bob").await;
        let taken = connecting::edit(&t.app, &t.workspace, &bob.id, Change {
            settings: map(&[("server", &format!("{}/mastodon/", t.sandbox_url))]),
            credentials: map(&[("accessToken", "sandbox-alice")]),
            name: None, send_twice: None });
        assert_eq!(taken.await.expect_err("not its account").code, "other_account");
    }

    async fn a_new_target_may_be_entered_by_hand(t: TestApp) {
        let view = add(&t, "telegram", "alice").await;
        add(&t, "telegram", "carol").await;
        let edit = |chat: &str| {
            let settings = map(&[("chatId", chat)]);
            connecting::edit(&t.app, &t.workspace, &view.id, Change { settings, ..Change::default() })
        };
        assert_eq!(edit("@carol").await.expect_err("taken").code, "already_connected");
        let moved = edit("@bob").await.expect("moved");
        assert_ne!(moved.remote_id, view.remote_id);
        assert_eq!(moved.settings["chatId"], "@bob");
    }

    async fn disconnecting_erases_and_cancels_with_the_reason(t: TestApp) {
        let (gone, kept) = (add(&t, "mastodon", "alice").await, add(&t, "bluesky", "alice").await);
        let post = t.schedule(t.draft("Both", &[&gone.id, &kept.id])).await;
        connecting::pause(&t.app, &t.workspace, &gone.id).await.expect("paused");
        connecting::disconnect(&t.app, &t.workspace, &gone.id, "operator").await.expect("gone");
        let row = row(&t, &gone.id).await;
        assert_eq!(row.secrets, "");
        let cancelled = t.delivery(&post.deliveries[0].id).await;
        assert_eq!(cancelled.state, DeliveryState::Cancelled);
        assert!(cancelled.problem.expect("a reason").sentence.contains("was disconnected"));
        assert_eq!(t.journal(&cancelled.id).await.last().unwrap().step, "disconnect");
        t.pass(Duration::from_secs(1200)).await;
        assert!(t.visible("mastodon").is_empty());
        assert_eq!(t.visible("bluesky").len(), 1, "the other goes out");
        let no = connecting::find(&t.app, &t.workspace, &gone.id).await.expect_err("hidden");
        assert_eq!(no.kind, Kind::NotFound);
        // Connected anew it is another connection.
        assert_ne!(add(&t, "mastodon", "alice").await.id, gone.id);
    }

    /// Whether it is live is still a question, and a person's answer still counts.
    async fn disconnecting_leaves_what_may_be_live_with_its_question(t: TestApp) {
        let (c, now) = (t.connect("telegram").await, Duration::from_secs(3600));
        let mut asked = Vec::new();
        for text in ["Happy hour", "Open mike", "Last orders"] {
            t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
            asked.push(t.schedule(t.draft(text, &[&c])).await.deliveries[0].id.clone());
            t.pass(now).await;
        }
        let waits = t.schedule(t.draft("Tomorrow", &[&c])).await.deliveries[0].id.clone();
        connecting::disconnect(&t.app, &t.workspace, &c, "operator").await.expect("gone");
        assert_eq!(t.delivery(&waits).await.state, DeliveryState::Cancelled);
        for id in &asked {
            let d = t.delivery(id).await;
            assert_eq!((d.state, d.question.as_deref()), (DeliveryState::Held, Some("is_it_live")), "{d:?}");
        }

        let (app, ws) = (&t.app, &t.workspace);
        let answer = async |id: &str, live| {
            desk::answer(app, ws, id, Answer { live, url: None }, "operator").await
        };
        let no = answer(&asked[0], false).await.expect_err("nothing can send it");
        assert_eq!(no.code, "disconnected");
        assert!(no.fix.contains("Connect the account again"), "{no:?}");
        assert_eq!(t.delivery(&asked[0]).await.question.as_deref(), Some("is_it_live"));
        let cancel = desk::cancel(app, ws, &asked[0], "operator").await;
        assert_eq!(cancel.expect_err("it is answered first").code, "not_cancellable");
        assert_eq!(answer(&asked[1], true).await.expect("live").state, DeliveryState::Published);
        let put_away = desk::discard(app, ws, &asked[2], None, "operator").await.expect("put away");
        assert_eq!(put_away.state, DeliveryState::Cancelled);
        t.pass(now).await;
        assert_eq!(t.visible("telegram").len(), 3, "nothing is sent any more");
    }

    async fn another_workspace_sees_and_changes_nothing(t: TestApp) {
        let id = add(&t, "mastodon", "alice").await.id;
        let before = row(&t, &id).await;
        let other = carillon::ids::new(START);
        let hidden = |r: Refusal| assert_eq!(r.kind, Kind::NotFound);
        hidden(connecting::find(&t.app, &other, &id).await.expect_err("hidden"));
        hidden(connecting::edit(&t.app, &other, &id, Change::default()).await.expect_err("hidden"));
        hidden(connecting::check(&t.app, &other, &id).await.expect_err("hidden"));
        hidden(connecting::pause(&t.app, &other, &id).await.expect_err("hidden"));
        hidden(connecting::resume(&t.app, &other, &id).await.expect_err("hidden"));
        hidden(connecting::disconnect(&t.app, &other, &id, "operator").await.expect_err("hidden"));
        assert!(connecting::list(&t.app, &other).await.expect("a list").is_empty());
        let after = row(&t, &id).await;
        assert_eq!((after.secrets, after.name), (before.secrets, before.name));
    }

    async fn a_session_opened_by_the_check_is_kept(t: TestApp) {
        let id = add(&t, "bluesky", "alice").await.id;
        let kept = |row: Connection| account::open(&t.app, &row).expect("opens").secrets.into_inner().unwrap();
        let first = kept(row(&t, &id).await);
        assert!(first.len() > 1, "the session beside the password: {:?}", first.keys());
        // Two hours later the short-lived half of it has ended, and the check renews it.
        t.clock.advance(Duration::from_secs(3 * 3600));
        assert!(check(&t, &id).await.ok);
        let second = kept(row(&t, &id).await);
        assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
        assert!(first != second, "renewed and kept");
        assert!(first["password"] == second["password"]);
    }
}

/// Where every site counts its users by itself, an id says something there only.
#[tokio::test]
async fn accounts_of_two_servers_are_two() {
    let t = TestApp::with(On::Sqlite, &[("CARILLON_ALLOW_HOSTS", "localhost")]).await;
    let one = add(&t, "wordpress", "alice").await;
    let mut new = entered(&t, "wordpress", "alice");
    let elsewhere = t.sandbox_url.replace("127.0.0.1", "localhost");
    new.settings.insert("server".into(), format!("{elsewhere}/wordpress/"));
    let two = connecting::add(&t.app, &t.workspace, new).await.expect("connected");
    assert_eq!(one.remote_id, two.remote_id);
    assert_ne!(one.id, two.id);
    assert_eq!(add(&t, "wordpress", "alice").await.id, one.id);
}

/// Their servers stand in fields of their own, and there is no address of the whole network.
#[tokio::test(flavor = "multi_thread")]
async fn mail_and_relays_are_connected_without_a_sandbox_too() {
    let given = [("CARILLON_SANDBOX", ""), ("CARILLON_ALLOW_HOSTS", "127.0.0.1")];
    let t = TestApp::with(On::Sqlite, &given).await;
    let new = |t: &TestApp, network: &str| New {
        network: network.into(),
        credentials: t
            .sandbox
            .fields(network, "alice")
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        ..New::default()
    };
    for network in ["email", "nostr"] {
        let made = connecting::add(&t.app, &t.workspace, new(&t, network)).await;
        let id = made.unwrap_or_else(|e| panic!("{network}: {e:?}")).id;
        assert!(check(&t, &id).await.checks.iter().all(|c| c.ok), "{network}");
    }
    // What is private stays out of reach for whoever was not allowed to.
    let nothing = [("CARILLON_SANDBOX", ""), ("CARILLON_ALLOW_HOSTS", "")];
    let t = TestApp::with(On::Sqlite, &nothing).await;
    for (network, key, value) in
        [("email", "tls", "tls"), ("nostr", "relays", "wss://127.0.0.1:4443")]
    {
        let mut new = new(&t, network);
        new.credentials.insert(key.into(), value.into());
        let refusal = refused(&t, new).await;
        assert!(refusal.sentence.contains("is refused: it is not public"), "{refusal:?}");
    }
}
