//! What nobody means to do: the same content twice to one connection, two posts close together, a
//! time that has passed or does not exist.

use std::time::Duration;

use carillon::domain::refusal::Refusal;
use carillon::domain::when;
use carillon::publishing::schedule::{self, Change, Draft, Move};
use carillon::publishing::slots;
use carillon::publishing::view::PostView;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::both;
use crate::support::{START, TestApp, to};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A text for this connection so long after the start, with nothing allowed.
fn draft(text: &str, connection: &str, after: i64) -> Draft {
    Draft {
        text: text.into(),
        scheduled_at: Some(when::iso(START + after)),
        deliveries: vec![to(connection)],
        ..Draft::default()
    }
}

async fn create(t: &TestApp, draft: Draft) -> Result<PostView, Refusal> {
    schedule::create(&t.app, &t.workspace, draft, None).await
}

async fn edit(t: &TestApp, post: &PostView, change: Change) -> Result<PostView, Refusal> {
    let change = Change { version: post.version, ..change };
    schedule::edit(&t.app, &t.workspace, &post.id, change).await
}

async fn move_to(t: &TestApp, post: &PostView, after: i64) -> Result<PostView, Refusal> {
    let to = Move { scheduled_at: when::iso(START + after), ..Move::default() };
    schedule::move_to(&t.app, &t.workspace, &post.id, to).await
}

#[track_caller]
fn refused(answer: Result<PostView, Refusal>) -> (String, Option<String>) {
    let e = answer.expect_err("it is refused");
    (e.code, e.suggested_at.map(when::iso))
}

fn at(after: i64) -> Option<String> {
    Some(when::iso(START + after))
}

both! {
    async fn two_posts_of_a_connection_keep_their_distance(t: TestApp) {
        let (c, other) = (t.connect("mastodon").await, t.connect("bluesky").await);
        create(&t, draft("Quiz night", &c, 2 * HOUR)).await.unwrap();
        for minutes in [-29, 0, 29] {
            let answer = create(&t, draft("Happy hour", &c, 2 * HOUR + minutes * MINUTE)).await;
            let e = answer.as_ref().expect_err("too close");
            assert!(e.sentence.contains("Quiz night") && e.sentence.contains("alice at mastodon"), "{e}");
            assert!(e.fix.contains("10:30") && e.fix.contains("`allowCollision`"), "{}", e.fix);
            assert_eq!(refused(answer), ("collision".into(), at(2 * HOUR + 30 * MINUTE)), "{minutes}");
        }
        create(&t, draft("Half an hour later", &c, 2 * HOUR + 30 * MINUTE)).await.unwrap();
        create(&t, draft("Half an hour earlier", &c, 90 * MINUTE)).await.unwrap();
        create(&t, draft("Another account", &other, 2 * HOUR)).await.unwrap();
        // 9:30, 10:00 and 10:30 are taken now.
        let (_, suggested) = refused(create(&t, draft("And again", &c, 95 * MINUTE)).await);
        assert_eq!(suggested, at(3 * HOUR));
        let allowed = Draft { allow_collision: true, ..draft("At the same time", &c, 2 * HOUR) };
        let twin = create(&t, allowed).await.unwrap();
        // Its text can be changed without being asked again; its time cannot.
        let text = Change { text: Some("Really at the same time".into()), ..Change::default() };
        let twin = edit(&t, &twin, text).await.unwrap();
        let time = Change { scheduled_at: Some(at(2 * HOUR + MINUTE)), ..Change::default() };
        assert_eq!(refused(edit(&t, &twin, time).await).0, "collision");
        let free = move_to(&t, &twin, 5 * HOUR).await.unwrap();
        assert_eq!(refused(move_to(&t, &free, 2 * HOUR).await).0, "collision");
    }

    /// The suggestion holds: what is sent with it is taken.
    async fn the_suggested_time_is_free_for_the_whole_post(t: TestApp) {
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        create(&t, draft("Quiz night", &a, 2 * HOUR)).await.unwrap();
        create(&t, draft("Live music", &b, 2 * HOUR + 45 * MINUTE)).await.unwrap();
        let mut both = draft("Sunday roast", &a, 2 * HOUR + MINUTE);
        both.deliveries.push(to(&b));
        let (code, suggested) = refused(create(&t, both.clone()).await);
        assert_eq!((code.as_str(), &suggested), ("collision", &at(3 * HOUR + 15 * MINUTE)));
        create(&t, Draft { scheduled_at: suggested, ..both }).await.unwrap();
    }

    async fn only_what_goes_out_stands_in_the_way(t: TestApp) {
        let c = t.connect("mastodon").await;
        let one = create(&t, draft("Quiz night", &c, 2 * HOUR)).await.unwrap();
        schedule::cancel(&t.app, &t.workspace, &one.id).await.unwrap();
        let saved = Draft { draft: true, ..draft("Quiz night", &c, 2 * HOUR) };
        let saved = create(&t, saved).await.unwrap();
        let two = create(&t, draft("Quiz night", &c, 2 * HOUR)).await.unwrap();
        // The draft is asked when it is to go out.
        let go = || Change { draft: Some(false), ..Change::default() };
        assert_eq!(refused(edit(&t, &saved, go()).await).0, "duplicate");
        schedule::delete(&t.app, &t.workspace, &two.id, carillon::store::audit::OPERATOR).await.unwrap();
        edit(&t, &saved, go()).await.unwrap();
        // And a cancelled one when it comes back.
        let one = t.post(&one.id).await;
        let back = Change { deliveries: Some(vec![to(&c)]), ..Change::default() };
        assert_eq!(refused(edit(&t, &one, back).await).0, "duplicate");
    }

    /// However many ask in the same moment, and in whatever order they name the connections.
    async fn of_many_at_once_one_is_taken(t: TestApp) {
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        for round in 1..=25 {
            let mut asked = tokio::task::JoinSet::new();
            for n in 0..6 {
                let mut one = draft(&format!("Quiz night {round}"), &a, round * HOUR);
                one.deliveries.push(to(&b));
                if n % 2 == 0 {
                    one.deliveries.reverse();
                }
                let (app, ws) = (t.app.clone(), t.workspace.clone());
                asked.spawn(async move { schedule::create(&app, &ws, one, None).await });
            }
            let answers = asked.join_all().await;
            let taken = answers.iter().filter(|a| a.is_ok()).count();
            assert_eq!(taken, 1, "round {round}");
            for e in answers.into_iter().filter_map(Result::err) {
                assert_eq!(e.code, "duplicate", "round {round}: {e}");
            }
        }
    }

    async fn feed_and_story_of_one_post_go_together(t: TestApp) {
        let (c, picture) = (t.connect("instagram").await, t.upload().await);
        let mut both = draft("Sunset", &c, 2 * HOUR);
        both.media = vec![picture];
        both.deliveries.push(carillon::publishing::schedule::DraftDelivery {
            placement: Some("story".into()),
            ..to(&c)
        });
        let post = create(&t, both).await.unwrap();
        assert_eq!(post.deliveries.len(), 2);
        move_to(&t, &post, 3 * HOUR).await.unwrap();
    }

    async fn the_same_content_waits_a_week(t: TestApp) {
        let (c, other) = (t.connect("mastodon").await, t.connect("bluesky").await);
        create(&t, draft("Quiz night at eight.", &c, HOUR)).await.unwrap();
        t.pass(Duration::from_secs(2 * 3600)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        for after in [3 * HOUR, 3 * DAY, 7 * DAY] {
            let answer = create(&t, draft("quiz night  at EIGHT.", &c, after)).await;
            let e = answer.as_ref().expect_err("the same again");
            assert!(e.sentence.contains("went to alice at mastodon at 2026-11-23 09:00"), "{e}");
            assert_eq!(refused(answer), ("duplicate".into(), at(7 * DAY + HOUR)), "{after}");
        }
        create(&t, draft("Quiz night at eight.", &other, 3 * HOUR)).await.unwrap();
        create(&t, draft("Quiz night at nine.", &c, 3 * HOUR)).await.unwrap();
        create(&t, draft("Quiz night at eight.", &c, 7 * DAY + HOUR)).await.unwrap();
        let allowed = Draft { allow_duplicate: true, ..draft("Quiz night at eight.", &c, 2 * DAY) };
        create(&t, allowed).await.unwrap();
        // A post that becomes another's twin by an edit is asked as well.
        let nine = create(&t, draft("Something else", &c, 4 * DAY)).await.unwrap();
        let text = Change { text: Some("Quiz night at eight.".into()), ..Change::default() };
        assert_eq!(refused(edit(&t, &nine, text).await).0, "duplicate");
    }

    async fn a_workspace_sets_its_own_distances(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        create(&t, draft("Quiz night", &c, 2 * HOUR)).await.unwrap();
        let path = "/api/v1/workspace/policies";
        let change = json!({ "collisionMinutes": 10, "duplicateDays": 1 });
        let (status, policies) = api.call(Method::PATCH, path, Some(change)).await;
        assert_eq!((status, &policies["collisionMinutes"]), (StatusCode::OK, &json!(10)), "{policies}");
        create(&t, draft("Happy hour", &c, 2 * HOUR + 10 * MINUTE)).await.unwrap();
        assert_eq!(refused(create(&t, draft("Late hour", &c, 2 * HOUR + 15 * MINUTE)).await).0, "collision");
        create(&t, draft("Quiz night", &c, 26 * HOUR)).await.unwrap();
        let off = json!({ "collisionMinutes": 0, "duplicateDays": null });
        let (_, policies) = api.call(Method::PATCH, path, Some(off)).await;
        assert_eq!((&policies["collisionMinutes"], &policies["duplicateDays"]), (&json!(0), &json!(null)));
        create(&t, draft("At the same time", &c, 2 * HOUR)).await.unwrap();
        assert_eq!(refused(create(&t, draft("Quiz night", &c, 3 * DAY)).await).0, "duplicate");
        let wrong = json!({ "lateAfterMinutes": 0, "collisionMinutes": -1 });
        let (status, answer) = api.call(Method::PATCH, path, Some(wrong)).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("out_of_range")));
        assert_eq!(answer["details"]["problems"].as_array().map(Vec::len), Some(2), "{answer}");
        let (_, audit) = api.call(Method::GET, "/api/v1/audit?action=workspace.policies", None).await;
        assert_eq!(audit["items"].as_array().map(Vec::len), Some(2), "{audit}");
        assert_eq!(audit["items"][0]["data"]["from"]["collisionMinutes"], 10, "{audit}");
    }

    async fn check_warns_of_what_create_would_refuse(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let post = create(&t, draft("Quiz night", &c, 2 * HOUR)).await.unwrap();
        let body = json!({ "text": "Quiz night", "scheduledAt": "2026-11-23T10:05:00Z", "deliveries": [{ "connectionId": c }] });
        let (status, checked) = api.call(Method::POST, "/api/v1/posts/check", Some(body.clone())).await;
        assert_eq!((status, &checked["problems"]), (StatusCode::OK, &json!([])), "{checked}");
        let codes: Vec<&str> =
            checked["warnings"].as_array().unwrap().iter().filter_map(|w| w["code"].as_str()).collect();
        assert_eq!(codes, ["duplicate", "collision"]);
        assert_eq!(checked["warnings"][1]["field"], "deliveries[0].scheduledAt");
        assert_eq!(checked["warnings"][1]["postId"], post.id.as_str());
        assert_eq!(checked["warnings"][1]["suggestedAt"], "2026-11-30T10:00:00Z", "free of both");
        // The post itself does not stand in its own way.
        let path = format!("/api/v1/posts/check?postId={}", post.id);
        let (_, checked) = api.call(Method::POST, &path, Some(body.clone())).await;
        assert_eq!(checked["warnings"], json!([]), "{checked}");
        let (status, refused) = api.call(Method::POST, "/api/v1/posts", Some(body.clone())).await;
        assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("duplicate")));
        assert_eq!(refused["details"]["suggestedAt"], "2026-11-30T10:00:00Z", "{refused}");
        let mut other = body;
        other["text"] = json!("Happy hour");
        let (_, refused) = api.call(Method::POST, "/api/v1/posts", Some(other.clone())).await;
        assert_eq!((refused["code"].as_str(), refused["details"]["suggestedAt"].as_str()), (Some("collision"), Some("2026-11-23T10:30:00Z")));
        other["allowCollision"] = json!(true);
        let (status, _) = api.call(Method::POST, "/api/v1/posts", Some(other)).await;
        assert_eq!(status, StatusCode::CREATED);
    }

    async fn free_slots_keep_clear_of_posts(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        create(&t, draft("Quiz night", &c, HOUR + 10 * MINUTE)).await.unwrap();
        let path = format!("/api/v1/slots?connectionId={c}&after=2026-11-23T08:20:00Z");
        let (status, answer) = api.call(Method::GET, &path, None).await;
        let slots: Vec<&str> = answer["slots"].as_array().unwrap().iter().filter_map(|s| s.as_str()).collect();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(slots[..4], ["2026-11-23T08:30:00Z", "2026-11-23T09:45:00Z", "2026-11-23T10:15:00Z", "2026-11-23T10:45:00Z"]);
        for slot in slots {
            create(&t, Draft { scheduled_at: Some(slot.into()), ..draft(slot, &c, 0) }).await.unwrap();
        }
        let stranger = t.stranger().await;
        let other = reqwest::Client::new().get(format!("{}{path}", api.url)).bearer_auth(stranger);
        assert_eq!(other.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }

    /// A gap moves on, an overlap means the first, quarters of an hour are hours too; and what lies
    /// in the past is judged in the zone it was written in.
    async fn wall_times_are_resolved_in_their_zone(t: TestApp) {
        let c = t.connect("mastodon").await;
        let cases = [
            ("2027-03-28T01:30", "Europe/London", "2027-03-28T01:30:00Z"),
            ("2027-10-31T01:30", "Europe/London", "2027-10-31T00:30:00Z"),
            ("2027-03-14T02:30", "America/New_York", "2027-03-14T07:30:00Z"),
            ("2027-11-07T01:30", "America/New_York", "2027-11-07T05:30:00Z"),
            ("2027-10-03T02:15", "Australia/Lord_Howe", "2027-10-02T15:45:00Z"),
            ("2026-11-24T09:00", "Asia/Kathmandu", "2026-11-24T03:15:00Z"),
            ("2026-11-23T13:46", "Asia/Kathmandu", "2026-11-23T08:01:00Z"),
            ("2026-11-24T09:00", "Pacific/Chatham", "2026-11-23T19:15:00Z"),
        ];
        for (wall, zone, instant) in cases {
            let wanted = Draft {
                scheduled_at: Some(wall.into()),
                timezone: Some(zone.into()),
                allow_collision: true,
                ..draft(&format!("{wall} {zone}"), &c, 0)
            };
            let post = create(&t, wanted).await.unwrap();
            assert_eq!(post.deliveries[0].scheduled_at.as_deref(), Some(instant), "{wall} {zone}");
        }
        // 08:00 UTC is 13:45 in Kathmandu: what is 13:00 there has passed, though not in London.
        for (wall, zone) in [("2026-11-23T13:00", "Asia/Kathmandu"), ("2026-11-23T07:58", "Europe/London"), ("2026-11-23T16:58", "Asia/Tokyo")] {
            let wanted = Draft {
                scheduled_at: Some(wall.into()),
                timezone: Some(zone.into()),
                ..draft("Too late", &c, 0)
            };
            let e = create(&t, wanted).await.expect_err("in the past");
            assert_eq!(e.code, "in_the_past", "{wall} {zone}");
            assert!(e.sentence.contains(&wall.replace('T', " ")) && e.sentence.contains(zone), "{e}");
        }
        let london = Draft {
            scheduled_at: Some("2026-11-23T13:00".into()),
            timezone: Some("Europe/London".into()),
            ..draft("In time", &c, 0)
        };
        let post = create(&t, london).await.unwrap();
        let back = Move {
            scheduled_at: "2026-11-23T13:00".into(),
            timezone: Some("Asia/Kathmandu".into()),
            ..Move::default()
        };
        let e = schedule::move_to(&t.app, &t.workspace, &post.id, back).await.expect_err("in the past");
        assert_eq!(e.code, "in_the_past");
    }
}

#[tokio::test]
async fn nobody_gets_slots_of_nothing() {
    let t = TestApp::new(crate::support::On::Sqlite).await;
    let e = slots::of(&t.app, &t.workspace, "nothing", None).await.expect_err("no connection");
    assert_eq!(e.code, "not_found");
}
