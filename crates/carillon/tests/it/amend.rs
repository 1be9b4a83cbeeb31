//! A live post is changed at its network, from outside: followers read the new words, what the
//! network refuses changes nothing, and two never overtake each other.

use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::refusal::{Kind, Refusal};
use carillon::publishing::amend::{self, Amendment};
use carillon::publishing::connecting::{self, ConnectionState};
use carillon::publishing::view::DeliveryView;
use carillon::publishing::{desk as decisions, rollback, schedule};
use carillon::store::attempts::{self, Begun};
use carillon::store::{audit, events};
use carillon_sandbox::{Calls, Fault, Trouble};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::consent::Browser;
use crate::support::{TestApp, to};
use crate::{both, desk};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const NEW: &str = "Doors open at eight.";

fn says(text: &str) -> Amendment {
    Amendment { text: text.into(), title: None }
}

async fn change(t: &TestApp, id: &str, new: Amendment) -> Result<DeliveryView, Refusal> {
    amend::amend(&t.app, &t.workspace, id, new, "account:mia").await
}

/// A live delivery of these words, as it is shown.
async fn live(t: &TestApp, connection: &str, text: &str) -> DeliveryView {
    let post = t.schedule(t.draft(text, &[connection])).await;
    t.pass(HOUR).await;
    let d = t.post(&post.id).await.deliveries.remove(0);
    assert_eq!(d.state, State::Published, "{:#?}", t.journal(&d.id).await);
    d
}

fn visible(t: &TestApp, network: &str) -> Vec<String> {
    t.visible(network).into_iter().map(|post| post.text).collect()
}

async fn deeds(t: &TestApp) -> Vec<audit::Entry> {
    let ws = t.workspace.clone();
    let all = t.app.db.read(move |tx| async move {
        audit::before(&tx, &ws, Some("delivery.amended"), (i64::MAX, ""), 10).await
    });
    all.await.expect("the audit trail")
}

both! {
    async fn new_words_are_read_at_the_network_and_here(t: TestApp) {
        let (c, other) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let m = t.upload().await;
        let post = t.schedule(schedule::Draft {
            media: vec![m],
            ..t.draft("Doors open at seven.", &[&c, &other])
        }).await;
        t.pass(HOUR).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert!(d.can.contains(&"amend".to_owned()), "{:?}", d.can);
        let before = t.visible("mastodon").remove(0);

        let api = Api::of(&t).await;
        let path = format!("/api/v1/deliveries/{}/amend", d.id);
        let (status, answer) = api.call(Method::POST, &path, Some(json!({ "text": NEW }))).await;
        assert_eq!((status, answer["text"].as_str(), answer["state"].as_str()), (StatusCode::OK, Some(NEW), Some("published")));
        assert_eq!(t.delivery(&d.id).await.text.as_deref(), Some(NEW), "what a later read shows");
        let after = t.visible("mastodon");
        assert_eq!((after.len(), after[0].text.as_str()), (1, NEW));
        assert_eq!((&after[0].media, &after[0].id), (&before.media, &before.id), "its picture stays");
        assert_eq!(visible(&t, "bluesky"), ["Doors open at seven."], "and so does every other network");
        let post = t.post(&post.id).await;
        assert_eq!((post.text.as_str(), post.deliveries[1].text.as_deref()), ("Doors open at seven.", None));

        let line = t.journal(&d.id).await.pop().expect("a line");
        assert_eq!((line.step.as_str(), line.outcome.as_deref(), line.remote_id.is_some()), ("amend", Some("accepted"), true));
        let deed = deeds(&t).await.pop().expect("a row");
        assert_eq!((deed.subject.as_str(), deed.actor.starts_with("key:")), (&d.id[..], true));
        assert_eq!((&deed.data["from"], &deed.data["text"]), (&json!("Doors open at seven."), &json!(NEW)));
        let ws = t.workspace.clone();
        let told = t.app.db.read(move |tx| async move { events::after(&tx, &ws, (0, ""), 1000).await }).await.unwrap();
        assert!(told.iter().any(|e| e.kind == "delivery.amended" && e.subject == d.id), "{told:?}");

        // Once more, and back again: each is what followers read then.
        for text in [NEW, "Doors open at seven."] {
            change(&t, &d.id, says(text)).await.expect("it is changed");
            assert_eq!(visible(&t, "mastodon"), [text]);
        }
    }

    async fn a_title_is_changed_where_the_network_lets_it(t: TestApp) {
        let (blog, chat) = (t.connect("wordpress").await, t.connect("telegram").await);
        let post = t.schedule(schedule::Draft {
            title: Some("Quiz night".into()),
            ..t.draft("Doors open at seven.", &[&blog, &chat])
        }).await;
        t.pass(HOUR).await;
        let post = t.post(&post.id).await;
        let (article, message) = (&post.deliveries[0], &post.deliveries[1]);
        let new = Amendment { text: NEW.into(), title: Some("Quiz night, later".into()) };
        let changed = change(&t, &article.id, new.clone()).await.expect("it is changed");
        assert_eq!((changed.title.as_deref(), t.post(&post.id).await.title.as_deref()), (Some("Quiz night, later"), Some("Quiz night")));
        assert_eq!(visible(&t, "wordpress"), [format!("Quiz night, later\n\n{NEW}")]);
        // Without one the title stays that it has by now.
        change(&t, &article.id, says("Doors open at nine.")).await.expect("it is changed");
        assert_eq!(visible(&t, "wordpress"), ["Quiz night, later\n\nDoors open at nine."]);
        let e = change(&t, &message.id, new).await.expect_err("a message has no title");
        assert_eq!((e.kind, e.code.as_str(), e.problems[0].field.as_str()), (Kind::Invalid, "title_fixed", "title"));
        assert_eq!(visible(&t, "telegram"), ["Doors open at seven."]);
    }

    async fn a_part_of_a_thread_is_changed_by_itself(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut draft = t.draft("One", &[&c]);
        draft.thread = crate::segments::parts(&["Two", "Three"]);
        let post = t.schedule(draft).await;
        t.pass(HOUR).await;
        let second = t.post(&post.id).await.deliveries.remove(1);
        change(&t, &second.id, says("Two and a half")).await.expect("it is changed");
        assert_eq!(visible(&t, "mastodon"), ["One", "Two and a half", "Three"]);
    }

    async fn what_cannot_be_changed_is_refused_before_anything_is_called(t: TestApp) {
        let (c, b, chat) = (t.connect("mastodon").await, t.connect("bluesky").await, t.connect("telegram").await);
        let asked = |network: &str| t.sandbox.requests(network).len();
        let code = async |id: &str, text: &str| {
            let e = change(&t, id, says(text)).await.expect_err("it is refused");
            assert!(e.sentence.ends_with('.') && e.fix.ends_with('.'), "{e:?}");
            (e.kind, e.code)
        };
        let soon = t.schedule(t.draft("Soon", &[&c])).await.deliveries.remove(0);
        assert!(!soon.can.contains(&"amend".to_owned()));
        assert_eq!(code(&soon.id, NEW).await, (Kind::Conflict, "not_live".into()));
        assert_eq!(code("0193", NEW).await, (Kind::NotFound, "not_found".into()));

        let fixed = live(&t, &b, "Fixed").await;
        assert!(!fixed.can.contains(&"amend".to_owned()), "{:?}", fixed.can);
        let count = asked("bluesky");
        assert_eq!(code(&fixed.id, NEW).await, (Kind::Conflict, "not_changeable".into()));
        assert_eq!(asked("bluesky"), count);

        let d = live(&t, &c, "Short").await;
        let count = asked("mastodon");
        assert_eq!(code(&d.id, &"x".repeat(501)).await, (Kind::Invalid, "text_too_long".into()));
        assert_eq!(code(&d.id, " ").await, (Kind::Invalid, "text_required".into()));
        assert_eq!(asked("mastodon"), count);

        let posted = desk::in_doubt(&t, &chat, "By hand").await;
        let there = decisions::Answer { live: true, url: Some("https://t.me/anchor/7".into()) };
        decisions::answer(&t.app, &t.workspace, &posted, there, "account:mia").await.expect("it is taken");
        assert_eq!(code(&posted, NEW).await, (Kind::Conflict, "unknown_id".into()));

        rollback::post(&t.app, &t.workspace, &d.post_id).await.expect("it is taken down");
        assert_eq!(code(&d.id, NEW).await, (Kind::Conflict, "not_live".into()));
        assert!(deeds(&t).await.is_empty(), "nor is any of it written down");
    }

    async fn what_the_network_refuses_changes_nothing(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c, "As it was").await;
        for (trouble, kind, code) in [
            (Trouble::RateLimit, Kind::Unavailable, "not_changed"),
            (Trouble::Auth, Kind::Conflict, "not_changed"),
            (Trouble::ServerError, Kind::Unavailable, "maybe_changed"),
            (Trouble::ResetBeforeAccept, Kind::Unavailable, "maybe_changed"),
        ] {
            // What may have been applied is asked for once more.
            t.sandbox.add_fault(Fault::new("mastodon", Calls::Edit, trouble).times(2));
            let e = change(&t, &d.id, says(NEW)).await.expect_err("it is refused");
            t.sandbox.clear_faults();
            assert_eq!((e.kind, e.code.as_str()), (kind, code), "{trouble:?}: {e:?}");
            assert!(e.sentence.ends_with('.') && e.fix.ends_with('.'), "{e:?}");
            assert_eq!(e.suggested_at.is_some(), trouble == Trouble::RateLimit, "{e:?}");
            assert_eq!(visible(&t, "mastodon"), ["As it was"]);
            assert_eq!(t.delivery(&d.id).await.text, None, "{trouble:?}");
            let line = t.journal(&d.id).await.pop().expect("a line");
            let outcome = if code == "not_changed" { "refused" } else { "unknown" };
            assert_eq!((line.step.as_str(), line.outcome.as_deref()), ("amend", Some(outcome)), "{trouble:?}");
            assert!(line.sentence.is_some(), "{line:?}");
            // Carillon does not go on by itself.
            let next = if trouble == Trouble::Auth { "reconnect" } else { "amend" };
            assert_eq!(line.action.as_deref(), Some(next), "{trouble:?}");
        }
        assert!(deeds(&t).await.is_empty());

        let id = t.visible("mastodon").remove(0).id;
        let url = format!("{}/mastodon/api/v1/statuses/{id}", t.sandbox_url);
        let deleted = reqwest::Client::new().delete(&url).bearer_auth("sandbox-alice").send().await;
        assert_eq!(deleted.expect("an answer").status(), StatusCode::OK);
        let e = change(&t, &d.id, says(NEW)).await.expect_err("there is no such post");
        assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "not_changed"), "{e:?}");
    }

    /// What is planned would be refused as well: it waits, and its owner is told.
    async fn a_token_that_is_refused_on_the_way_needs_its_owner(t: TestApp) {
        for call in [Calls::Edit, Calls::Delete] {
            let c = t.connect("mastodon").await;
            let d = live(&t, &c, &format!("Before {call:?}")).await;
            let planned = t.schedule(t.draft(&format!("After {call:?}"), &[&c])).await;
            t.sandbox.add_fault(Fault::new("mastodon", call, Trouble::Auth));
            if call == Calls::Edit {
                change(&t, &d.id, says(NEW)).await.expect_err("it is refused");
            } else {
                let back = rollback::post(&t.app, &t.workspace, &d.post_id).await.expect("an answer");
                assert_eq!(back.results[0].result, "failed", "{back:?}");
            }
            let seen = connecting::find(&t.app, &t.workspace, &c).await.expect("a connection");
            assert_eq!(seen.state, ConnectionState::NeedsAction, "{call:?}");
            assert!(seen.problem.is_some_and(|p| p.action == "reconnect"), "{call:?}");
            t.pass(HOUR).await;
            assert_eq!(t.post(&planned.id).await.deliveries[0].state, State::Queued, "{call:?}");
            t.sandbox.clear_faults();
            connecting::check(&t.app, &t.workspace, &c).await.expect("a check");
            t.pass(HOUR).await;
            let d = t.post(&planned.id).await.deliveries.remove(0);
            assert_eq!(d.state, State::Published, "{call:?}: {d:?}");
        }
    }

    /// The network refuses a token and does not renew it in this moment: nobody has to do anything.
    async fn a_token_that_is_not_to_be_had_yet_disconnects_nobody(t: TestApp) {
        let browser = Browser::of(&t).await;
        for call in [Calls::Edit, Calls::Delete] {
            // Its tokens last longer than what happens here.
            let network = "slack";
            let c = browser.connect(&t, network, None).await;
            let d = live(&t, &c, &format!("Before {call:?}")).await;
            t.clock.advance(10 * MINUTE);
            t.sandbox.add_fault(Fault::new(network, call, Trouble::Auth));
            t.sandbox.add_fault(Fault::new(network, Calls::Any, Trouble::ServerError));
            if call == Calls::Edit {
                let e = change(&t, &d.id, says(NEW)).await.expect_err("not in this moment");
                assert_eq!(e.kind, Kind::Unavailable, "{e:?}");
            } else {
                let back = rollback::post(&t.app, &t.workspace, &d.post_id).await.expect("an answer");
                assert_eq!(back.results[0].result, "failed", "{back:?}");
            }
            assert_eq!(t.sandbox.faults_left(), 0, "both were met");
            let seen = connecting::find(&t.app, &t.workspace, &c).await.expect("a connection");
            assert_eq!((seen.state, seen.problem), (ConnectionState::Active, None), "{call:?}");
            connecting::disconnect(&t.app, &t.workspace, &c, "operator").await.expect("gone");
        }
    }

    /// What a network says goes into sentences that people read and keep.
    async fn an_error_names_the_network_and_quotes_no_secret(t: TestApp) {
        for call in [Calls::Edit, Calls::Delete] {
            let c = t.connect("mastodon").await;
            let d = live(&t, &c, &format!("Before {call:?}")).await;
            for trouble in [Trouble::ResetBeforeAccept, Trouble::Auth, Trouble::ServerError] {
                t.sandbox.add_fault(Fault::new("mastodon", call, trouble).times(2));
                let said = if call == Calls::Edit {
                    change(&t, &d.id, says(NEW)).await.expect_err("it fails").sentence
                } else {
                    let back = rollback::post(&t.app, &t.workspace, &d.post_id).await.expect("an answer");
                    back.results[0].sentence.clone()
                };
                t.sandbox.clear_faults();
                for never in ["127.0.0.1", "sandbox-alice"] {
                    assert!(!said.contains(never), "{call:?} {trouble:?}: {said}");
                }
                connecting::check(&t.app, &t.workspace, &c).await.expect("a check");
            }
        }
    }

    async fn a_lost_answer_is_settled_by_sending_it_again(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c, "As it was").await;
        for (trouble, text) in [(Trouble::ResetAfterAccept, "One"), (Trouble::Garbage, "Two"), (Trouble::ServerError, "Three")] {
            t.fault("mastodon", Calls::Edit, trouble);
            let changed = change(&t, &d.id, says(text)).await.expect("the second time it is answered");
            assert_eq!(changed.text.as_deref(), Some(text));
            assert_eq!(visible(&t, "mastodon"), [text], "{trouble:?}");
        }
        // Twice without an answer: it may be there, and sending it once more tells.
        t.sandbox.add_fault(Fault::new("mastodon", Calls::Edit, Trouble::ResetAfterAccept).times(2));
        let e = change(&t, &d.id, says(NEW)).await.expect_err("nobody knows");
        assert_eq!(e.code, "maybe_changed");
        assert_eq!(t.delivery(&d.id).await.text.as_deref(), Some("Three"), "known is what was known");
        change(&t, &d.id, says(NEW)).await.expect("it is changed");
        assert_eq!((visible(&t, "mastodon"), t.delivery(&d.id).await.text), (vec![NEW.to_owned()], Some(NEW.to_owned())));
    }

    async fn one_change_at_a_time_and_a_dead_one_keeps_nobody_out_for_long(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c, "As it was").await;
        let (id, ws, now) = (d.id.clone(), t.workspace.clone(), t.clock.now());
        t.app.db.write(move |tx| async move {
            let line = Begun { id: &carillon::ids::new(now), workspace_id: &ws, delivery_id: &id, fence: 0, step: "amend", request_hash: None };
            attempts::begin(&tx, &line, now).await
        }).await.expect("a line of somebody who died");
        let e = change(&t, &d.id, says(NEW)).await.expect_err("somebody is at it");
        assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "being_changed"));
        assert_eq!(visible(&t, "mastodon"), ["As it was"]);
        t.clock.advance(10 * MINUTE);
        change(&t, &d.id, says(NEW)).await.expect("it is changed");
        assert_eq!(visible(&t, "mastodon"), [NEW]);
    }

    async fn the_guard_knows_what_is_said_now(t: TestApp) {
        let c = t.connect("mastodon").await;
        let d = live(&t, &c, "Doors open at seven.").await;
        change(&t, &d.id, says(NEW)).await.expect("it is changed");
        let again = async |text: &str| {
            let draft = schedule::Draft { allow_duplicate: false, deliveries: vec![to(&c)], ..t.draft(text, &[]) };
            schedule::create(&t.app, &t.workspace, draft, None).await.map_err(|e| e.code)
        };
        assert_eq!(again(NEW).await.err().as_deref(), Some("duplicate"));
        assert!(again("Doors open at seven.").await.is_ok(), "nobody reads that any more");
    }
}
