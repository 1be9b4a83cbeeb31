//! What a calendar reads, finds and moves: many posts at once.

use std::time::Duration;

use carillon::domain::when;
use carillon::publishing::calendar::{self, BriefView, Query};
use carillon::publishing::moving::{self, MoveOf, Moves};
use carillon::publishing::schedule::{self, Draft};
use carillon::publishing::view::PostView;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::both;
use crate::support::{START, TestApp, to};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

async fn plan(t: &TestApp, text: &str, connection: &str, after: i64) -> PostView {
    let draft = Draft {
        text: text.into(),
        scheduled_at: Some(when::iso(START + after)),
        deliveries: vec![to(connection)],
        allow_collision: true,
        allow_duplicate: true,
        ..Draft::default()
    };
    schedule::create(&t.app, &t.workspace, draft, None).await.expect("it is taken")
}

async fn shown(t: &TestApp, search: &str) -> Vec<BriefView> {
    let query = Query {
        from: START,
        to: START + 30 * DAY,
        search: search.into(),
        limit: 100,
        ..Query::default()
    };
    calendar::list(&t.app, &t.workspace, query).await.expect("a list").items
}

fn moves(posts: &[(&PostView, i64)]) -> Moves {
    let of = |(p, after): &(&PostView, i64)| MoveOf {
        id: p.id.clone(),
        scheduled_at: when::iso(START + after),
        version: Some(p.version),
    };
    Moves { posts: posts.iter().map(of).collect(), ..Moves::default() }
}

fn due(post: &PostView) -> Option<i64> {
    post.scheduled_at
        .as_deref()
        .map(|at| (when::parse(at, "UTC").expect("a time") - START) / MINUTE)
}

both! {
    /// What it says of a post is what the post says of itself.
    async fn a_calendar_shows_what_posts_are(t: TestApp) {
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        plan(&t, "\n Quiz night\nat eight", &a, 2 * HOUR).await;
        let gone = plan(&t, "Not after all", &b, 3 * HOUR).await;
        schedule::cancel(&t.app, &t.workspace, &gone.id).await.unwrap();
        let thread = json!({
            "text": "A thread", "thread": [{ "text": "and on" }], "scheduledAt": when::iso(START + 4 * HOUR),
            "deliveries": [{ "connectionId": a, "firstComment": null }, { "connectionId": b }],
        });
        let thread: Draft = serde_json::from_value(thread).unwrap();
        schedule::create(&t.app, &t.workspace, thread, None).await.unwrap();
        let draft = Draft { text: "Some day".into(), draft: true, scheduled_at: Some(when::iso(START + 5 * HOUR)), deliveries: vec![to(&a)], ..Draft::default() };
        schedule::create(&t.app, &t.workspace, draft, None).await.unwrap();
        let deleted = plan(&t, "Deleted", &a, 9 * HOUR).await;
        schedule::delete(&t.app, &t.workspace, &deleted.id, carillon::store::audit::OPERATOR).await.unwrap();
        let before = shown(&t, "").await;
        assert_eq!(before.len(), 4);
        assert_eq!(before[0].text, "Quiz night", "its first line");
        t.pass(Duration::from_secs(4 * 3600 + 60)).await;
        for brief in shown(&t, "").await {
            let post = t.post(&brief.id).await;
            assert_eq!((brief.state, brief.version), (post.state, post.version), "{}", brief.text);
            let heads: Vec<_> = post.deliveries.iter().filter(|d| d.parent_id.is_none()).map(|d| (&d.id, d.state)).collect();
            assert_eq!(brief.deliveries.iter().map(|d| (&d.id, d.state)).collect::<Vec<_>>(), heads);
        }
    }

    async fn a_long_calendar_comes_in_pages(t: TestApp) {
        let c = t.connect("mastodon").await;
        for n in 1..=7 {
            plan(&t, &format!("Post {n}"), &c, (n / 3) * HOUR + HOUR).await;
        }
        let (mut cursor, mut texts) = (None, Vec::new());
        loop {
            let query = Query { from: START, to: START + DAY, cursor, limit: 3, ..Query::default() };
            let page = calendar::list(&t.app, &t.workspace, query).await.unwrap();
            texts.extend(page.items.into_iter().map(|p| p.text));
            let Some(next) = page.next else { break };
            let (at, id) = next.split_once('~').expect("a time and an id");
            cursor = Some((at.parse().unwrap(), id.to_owned()));
        }
        assert_eq!(texts, (1..=7).map(|n| format!("Post {n}")).collect::<Vec<_>>());
    }

    async fn what_stands_too_close_is_told_of_both(t: TestApp) {
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let one = plan(&t, "Quiz night", &a, 2 * HOUR).await;
        let two = plan(&t, "Happy hour", &a, 2 * HOUR + 29 * MINUTE).await;
        plan(&t, "Elsewhere", &b, 2 * HOUR + MINUTE).await;
        plan(&t, "Far enough", &a, 2 * HOUR + 59 * MINUTE).await;
        let same = plan(&t, "quiz  NIGHT", &a, 6 * DAY).await;
        let clashes: Vec<(String, Vec<(&str, String)>)> = shown(&t, "").await.into_iter()
            .map(|p| (p.text, p.clashes.into_iter().map(|c| (c.code, c.post_id)).collect())).collect();
        assert_eq!(clashes, [
            ("Quiz night".into(), vec![("collision", two.id.clone()), ("duplicate", same.id.clone())]),
            ("Elsewhere".into(), vec![]),
            ("Happy hour".into(), vec![("collision", one.id.clone())]),
            ("Far enough".into(), vec![]),
            ("quiz  NIGHT".into(), vec![("duplicate", one.id.clone())]),
        ]);
    }

    async fn posts_are_found_by_what_they_say(t: TestApp) {
        let c = t.connect("mastodon").await;
        plan(&t, "50 % off everything", &c, HOUR).await;
        plan(&t, "Quiz night", &c, 2 * HOUR).await;
        let texts = async |words: &str| shown(&t, words).await.into_iter().map(|p| p.text).collect::<Vec<_>>();
        assert_eq!(texts("QUIZ").await, ["Quiz night"]);
        assert_eq!(texts("0 % o").await, ["50 % off everything"]);
        assert!(texts("5_").await.is_empty(), "a wildcard is a character");
        let api = Api::of(&t).await;
        let (_, found) = api.call(Method::GET, "/api/v1/posts?search=NIGHT", None).await;
        assert_eq!(found["items"][0]["text"], "Quiz night", "{found}");
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        let (status, wrong) = api.call(Method::GET, "/api/v1/posts?search=x&from=2026-11-23T00:00:00Z", None).await;
        assert_eq!((status, wrong["details"]["problems"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("search")));
    }

    /// Each comes where another one was: nobody is in the way who goes away.
    async fn many_move_as_if_at_once(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut posts = Vec::new();
        for n in 1..=3 {
            posts.push(plan(&t, &format!("Post {n}"), &c, n * HOUR).await);
        }
        let [one, two, three] = &posts[..] else { unreachable!() };
        let all = moves(&[(one, 2 * HOUR), (two, 3 * HOUR), (three, 4 * HOUR)]);
        let moved = moving::many(&t.app, &t.workspace, all).await.unwrap().items;
        assert_eq!(moved.iter().map(due).collect::<Vec<_>>(), [Some(120), Some(180), Some(240)]);
        assert!(moved.iter().zip(&posts).all(|(a, b)| a.id == b.id && a.version == b.version + 1));
        t.pass(Duration::from_secs(90 * 60)).await;
        assert!(t.visible("mastodon").is_empty(), "nothing at the times that they had");
        t.pass(Duration::from_secs(3 * 3600)).await;
        assert_eq!(t.visible("mastodon").len(), 3);
    }

    async fn one_that_cannot_keeps_all_where_they_are(t: TestApp) {
        let c = t.connect("mastodon").await;
        let one = plan(&t, "Post 1", &c, HOUR).await;
        let two = plan(&t, "Post 2", &c, 2 * HOUR).await;
        let stays = plan(&t, "Stays", &c, 3 * HOUR).await;
        let api = Api::of(&t).await;
        let body = |times: [i64; 2]| json!({ "posts": [
            { "id": one.id, "scheduledAt": when::iso(START + times[0]) },
            { "id": two.id, "scheduledAt": when::iso(START + times[1]) },
        ] });
        for (times, code, at) in [
            ([HOUR, 3 * HOUR + MINUTE], "collision", "posts[1]"),
            ([-HOUR, 4 * HOUR], "in_the_past", "posts[0]"),
            ([5 * HOUR, 5 * HOUR + MINUTE], "collision", "posts[0]"),
        ] {
            let (status, e) = api.call(Method::POST, "/api/v1/posts/move", Some(body(times))).await;
            assert_eq!((status, e["code"].as_str()), (StatusCode::CONFLICT, Some(code)), "{e}");
            assert_eq!(e["details"]["problems"][0]["field"], at, "{e}");
            for p in [&one, &two, &stays] {
                assert_eq!(due(&t.post(&p.id).await), due(p));
            }
        }
        let mut allowed = body([5 * HOUR, 5 * HOUR + MINUTE]);
        allowed["allowCollision"] = json!(true);
        let (status, _) = api.call(Method::POST, "/api/v1/posts/move", Some(allowed)).await;
        assert_eq!(status, StatusCode::OK);
        let twice = json!({ "posts": [{ "id": one.id, "scheduledAt": when::iso(START + DAY) }, { "id": one.id, "scheduledAt": when::iso(START + DAY) }] });
        let (status, e) = api.call(Method::POST, "/api/v1/posts/move", Some(twice)).await;
        assert_eq!((status, e["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("named_twice")));
        let stale = moves(&[(&one, DAY)]);
        let e = moving::many(&t.app, &t.workspace, stale).await.expect_err("an old version");
        assert_eq!(e.code, "version_conflict");
    }
}
