//! Posts that come round: made four weeks ahead, once each, by the wall clock.

use std::time::Duration;

use carillon::domain::alert::AlertKind;
use carillon::domain::campaign::SeriesState;
use carillon::domain::refusal::{Kind, Refusal};
use carillon::planning::materialise;
use carillon::planning::series::{self, Asked, Following, NewSeries, SeriesView};
use carillon::publishing::schedule::{self, Change, Draft, Move};
use carillon::publishing::view::{self, PostView, Query};
use carillon::queue::cron;
use carillon::store::{alerts, audit::OPERATOR};
use carillon::{App, params};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::both;
use crate::support::{START, TestApp, to};

const DAY: i64 = 86_400_000;
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Tuesdays at seven, from the day after the start on.
fn tuesdays(connection: &str, rule: &str) -> NewSeries {
    NewSeries {
        post: Draft {
            text: "Quiz night".into(),
            scheduled_at: Some("2026-11-24T07:00".into()),
            deliveries: vec![to(connection)],
            ..Draft::default()
        },
        rule: rule.into(),
        without: Vec::new(),
        also: Vec::new(),
    }
}

async fn create(t: &TestApp, new: NewSeries) -> Result<SeriesView, Refusal> {
    series::create(&t.app, &t.workspace, new, OPERATOR).await
}

/// The posts of the workspace by time.
async fn all(t: &TestApp) -> Vec<PostView> {
    let query =
        Query { from: Some(0), to: Some(START + 400 * DAY), limit: 1000, ..Query::default() };
    view::list(&t.app, &t.workspace, query).await.unwrap().items
}

async fn times(t: &TestApp) -> Vec<String> {
    all(t).await.into_iter().filter_map(|p| p.scheduled_at).collect()
}

async fn run(app: &App) -> materialise::Materialised {
    materialise::run(app, None).await.unwrap()
}

async fn alert(t: &TestApp) -> Option<String> {
    let open =
        t.app.db.read(|tx| async move { alerts::open(&tx, AlertKind::SeriesUnplanned).await });
    open.await
        .unwrap()
        .pop()
        .map(|a| format!("{} {}", a.problem.sentence, a.problem.action_sentence))
}

both! {
    async fn a_series_stands_four_weeks_ahead(t: TestApp) {
        let c = t.connect("mastodon").await;
        let s = create(&t, tuesdays(&c, "FREQ=WEEKLY")).await.unwrap();
        assert_eq!(s.words, "Every Tuesday at 07:00 (Europe/London)");
        let four = ["2026-11-24T07:00:00Z", "2026-12-01T07:00:00Z", "2026-12-08T07:00:00Z", "2026-12-15T07:00:00Z"];
        assert_eq!(times(&t).await, four);
        let first = &all(&t).await[0];
        let of = first.series.as_ref().unwrap();
        assert_eq!((of.id.as_str(), of.occurrence.as_str(), of.detached), (s.id.as_str(), "2026-11-24T07:00:00", false));
        // A second run finds nothing to do; a week later one more is made, and the first is out.
        assert_eq!(run(&t.app).await.made, 0);
        t.pass(WEEK).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        cron::tick(&t.app).await.unwrap();
        t.worker.tick().await.unwrap();
        assert_eq!(times(&t).await.len(), 5, "the clockwork made the fifth");
    }

    async fn a_rule_is_shown_before_it_is_saved(t: TestApp) {
        let asked = |rule: &str| Asked {
            scheduled_at: "2026-11-24T07:00".into(),
            timezone: None,
            rule: rule.into(),
            without: vec!["2026-12-08".into()],
            also: Vec::new(),
        };
        let rule = "RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=12";
        let seen = series::preview(&t.app, &t.workspace, asked(rule)).await.unwrap();
        assert_eq!(seen.words, "Every second Tuesday at 07:00 (Europe/London), 12 times");
        assert_eq!((seen.rule.as_str(), seen.start.as_str()), ("FREQ=WEEKLY;INTERVAL=2;COUNT=12", "2026-11-24T07:00:00"));
        let next: Vec<&str> = seen.next.iter().map(|o| o.occurrence.as_str()).collect();
        assert_eq!(next[..2], ["2026-11-24T07:00:00", "2026-12-22T07:00:00"], "the 8th is left out");
        let wrong = series::preview(&t.app, &t.workspace, asked("FREQ=HOURLY;COUNT=0")).await.unwrap_err();
        assert_eq!((wrong.kind, wrong.problems.len()), (Kind::Invalid, 2), "{wrong:?}");
        assert_eq!(wrong.problems[0].field, "rule");
        assert!(times(&t).await.is_empty());
    }

    /// However many nodes, however often, wherever one died: each instance has one post.
    async fn each_instance_is_one_post(t: TestApp) {
        let c = t.connect("mastodon").await;
        create(&t, tuesdays(&c, "FREQ=DAILY")).await.unwrap();
        assert_eq!(times(&t).await.len(), 28);
        t.clock.advance(WEEK);
        let other = t.again().await;
        let mut runs = tokio::task::JoinSet::new();
        for n in 0..6 {
            let app = if n % 2 == 0 { t.app.clone() } else { other.clone() };
            runs.spawn(async move { run(&app).await.made });
        }
        let made: usize = runs.join_all().await.into_iter().sum();
        assert_eq!(made, 7);
        let all = times(&t).await;
        let mut once = all.clone();
        once.dedup();
        assert_eq!((all.len(), once.len()), (35, 35), "no double, no hole");
    }

    async fn what_is_killed_in_the_middle_is_gone_on_with(t: TestApp) {
        let c = t.connect("mastodon").await;
        create(&t, tuesdays(&c, "FREQ=DAILY")).await.unwrap();
        t.clock.advance(WEEK);
        let one = t.app.clone();
        // Dropped wherever it is after one millisecond, after two, …
        for ms in 1..12 {
            let work = materialise::run(&one, None);
            let _ = tokio::time::timeout(Duration::from_millis(ms), work).await;
        }
        run(&t.app).await;
        let all = times(&t).await;
        let mut once = all.clone();
        once.dedup();
        assert_eq!((all.len(), once.len()), (35, 35));
    }

    async fn one_changed_by_itself_leaves_its_series(t: TestApp) {
        let c = t.connect("mastodon").await;
        let s = create(&t, tuesdays(&c, "FREQ=WEEKLY")).await.unwrap();
        let second = all(&t).await[1].clone();
        let moved = Move { scheduled_at: "2026-12-02T09:00".into(), ..Move::default() };
        let moved = schedule::move_to(&t.app, &t.workspace, &second.id, moved).await.unwrap();
        assert!(moved.series.unwrap().detached);
        assert_eq!(run(&t.app).await.made, 0, "its place is not filled again");
        // What follows changes from there on; the moved one stays as it is.
        let post = Draft { text: "Quiz night, now with prizes".into(), ..s.post.clone() };
        let change = Following { from: "2026-12-01T07:00:00".into(), rule: None, post: Some(post) };
        let done = series::follow(&t.app, &t.workspace, &s.id, change, OPERATOR).await.unwrap();
        assert_eq!((done.removed, done.kept), (2, 1));
        let told: Vec<(String, String)> =
            all(&t).await.into_iter().map(|p| (p.scheduled_at.unwrap(), p.text)).collect();
        let prizes = "Quiz night, now with prizes";
        let expected = [
            ("2026-11-24T07:00:00Z", "Quiz night"),
            ("2026-12-02T09:00:00Z", "Quiz night"),
            ("2026-12-08T07:00:00Z", prizes),
            ("2026-12-15T07:00:00Z", prizes),
        ];
        assert_eq!(told, expected.map(|(at, text)| (at.to_owned(), text.to_owned())));
        let old = series::show(&t.app, &t.workspace, &s.id).await.unwrap();
        assert_eq!(old.ends_before.as_deref(), Some("2026-12-01T07:00:00"));
    }

    async fn a_count_goes_on_counting(t: TestApp) {
        let c = t.connect("mastodon").await;
        let s = create(&t, tuesdays(&c, "FREQ=WEEKLY;COUNT=10")).await.unwrap();
        let change = Following { from: "2026-12-08".into(), rule: None, post: None };
        let done = series::follow(&t.app, &t.workspace, &s.id, change, OPERATOR).await.unwrap();
        assert_eq!(done.series.rule, "FREQ=WEEKLY;COUNT=8");
        assert_eq!(times(&t).await.len(), 4);
    }

    async fn one_can_be_skipped_and_taken_in_again(t: TestApp) {
        let c = t.connect("mastodon").await;
        let s = create(&t, tuesdays(&c, "FREQ=WEEKLY")).await.unwrap();
        let (app, ws) = (&t.app, t.workspace.as_str());
        series::skip(app, ws, &s.id, "2026-12-01", OPERATOR).await.unwrap();
        run(app).await;
        assert_eq!(times(&t).await, ["2026-11-24T07:00:00Z", "2026-12-08T07:00:00Z", "2026-12-15T07:00:00Z"]);
        let coming = series::occurrences(app, ws, &s.id, 3).await.unwrap();
        let states: Vec<&str> = coming.iter().map(|o| o.state.as_str()).collect();
        assert_eq!(states, ["post", "skipped", "post"]);
        series::unskip(app, ws, &s.id, "2026-12-01T07:00:00", OPERATOR).await.unwrap();
        assert_eq!(times(&t).await.len(), 4);
        let none = series::skip(app, ws, &s.id, "2026-12-02", OPERATOR).await.unwrap_err();
        assert_eq!(none.code, "unknown_occurrence");
        // Deleting its post is skipping it, for good.
        let third = all(&t).await[2].id.clone();
        schedule::delete(app, ws, &third, carillon::store::audit::OPERATOR).await.unwrap();
        run(app).await;
        assert_eq!(times(&t).await.len(), 3);
        let s = series::show(app, ws, &s.id).await.unwrap();
        assert_eq!(s.without, ["2026-12-08T07:00:00"]);
    }

    async fn a_paused_series_sends_nothing_and_asks_about_what_is_late(t: TestApp) {
        let c = t.connect("mastodon").await;
        let s = create(&t, tuesdays(&c, "FREQ=WEEKLY")).await.unwrap();
        let (app, ws) = (&t.app, t.workspace.as_str());
        let paused = series::pause(app, ws, &s.id, OPERATOR).await.unwrap();
        assert_eq!((paused.held, paused.series.state), (4, SeriesState::Paused));
        // Whatever a person does with the post, nothing goes out.
        let first = all(&t).await[0].clone();
        let later = Move { scheduled_at: "2026-11-24T08:00".into(), ..Move::default() };
        schedule::move_to(app, ws, &first.id, later).await.unwrap();
        let held = t.post(&first.id).await;
        assert_eq!(held.deliveries[0].state.as_str(), "held");
        let why = carillon::publishing::desk::retry(app, ws, &held.deliveries[0].id, None, OPERATOR).await;
        assert_eq!(why.unwrap_err().code, "paused");
        t.pass(WEEK + WEEK).await;
        assert!(t.visible("mastodon").is_empty());
        assert_eq!(times(&t).await.len(), 4, "nothing more is made");
        let resumed = series::resume(app, ws, &s.id, OPERATOR).await.unwrap();
        assert_eq!((resumed.late, resumed.queued), (2, 2));
        t.pass(Duration::from_secs(3600)).await;
        assert!(t.visible("mastodon").is_empty(), "no burst");
        let first = t.post(&first.id).await;
        let problem = first.deliveries[0].problem.clone().unwrap();
        assert_eq!((problem.class.as_str(), problem.action.as_str()), ("late", "decide"));
        assert_eq!(times(&t).await.len(), 6, "and it stands four weeks ahead again");
    }

    async fn an_ended_series_can_be_begun_again(t: TestApp) {
        let c = t.connect("mastodon").await;
        let s = create(&t, tuesdays(&c, "FREQ=WEEKLY")).await.unwrap();
        let (app, ws) = (&t.app, t.workspace.as_str());
        let ended = series::end(app, ws, &s.id, OPERATOR).await.unwrap();
        assert_eq!((ended.removed, ended.series.state), (4, SeriesState::Ended));
        run(app).await;
        assert!(times(&t).await.is_empty());
        series::resume(app, ws, &s.id, OPERATOR).await.unwrap();
        assert_eq!(times(&t).await.len(), 4);
    }

    /// What cannot be planned is an alert that names it, until it can.
    async fn what_cannot_be_planned_is_told(t: TestApp) {
        let c = t.connect("mastodon").await;
        create(&t, tuesdays(&c, "FREQ=WEEKLY")).await.unwrap();
        // Another post stands where the fifth is to be.
        let other = t.draft("Something else", &[&c]);
        let other = Draft { scheduled_at: Some("2026-12-22T07:05:00Z".into()), ..other };
        let other = t.schedule(other).await;
        t.clock.advance(WEEK);
        let done = run(&t.app).await;
        assert_eq!((done.made, done.unplanned.len()), (0, 1));
        assert_eq!(done.unplanned[0].occurrence, "2026-12-22T07:00:00");
        let told = alert(&t).await.unwrap();
        assert!(told.contains("2026-12-22 07:00") && told.contains("Something else"), "{told}");
        schedule::delete(&t.app, &t.workspace, &other.id, carillon::store::audit::OPERATOR).await.unwrap();
        assert_eq!(run(&t.app).await.made, 1);
        assert_eq!(alert(&t).await, None);
    }

    /// A zone's own rules change: what stands for seven o'clock is at seven o'clock. Another zone
    /// stands in for new data of the same one.
    async fn posts_follow_their_zones_clocks(t: TestApp) {
        let c = t.connect("mastodon").await;
        let s = create(&t, tuesdays(&c, "FREQ=WEEKLY")).await.unwrap();
        let by_hand = all(&t).await[2].clone();
        let text = Change { version: by_hand.version, text: Some("By hand".into()), ..Change::default() };
        schedule::edit(&t.app, &t.workspace, &by_hand.id, text).await.unwrap();
        let id = s.id.clone();
        t.app
            .db
            .write(move |tx| async move {
                let sql = "UPDATE series SET timezone = 'Asia/Kathmandu' WHERE id = $1";
                tx.execute(sql, params![&id]).await
            })
            .await
            .unwrap();
        assert_eq!(run(&t.app).await.moved, 3);
        let at = ["2026-11-24T01:15:00Z", "2026-12-01T01:15:00Z", "2026-12-08T07:00:00Z", "2026-12-15T01:15:00Z"];
        assert_eq!(times(&t).await, at, "the third was changed by hand");
        assert_eq!(run(&t.app).await.moved, 0);
    }

    async fn seven_stays_seven_when_clocks_change(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut new = tuesdays(&c, "FREQ=WEEKLY");
        t.clock.advance(Duration::from_secs(110 * 86_400));
        new.post.scheduled_at = Some("2027-03-22T07:00".into());
        create(&t, new).await.unwrap();
        let found = times(&t).await;
        assert_eq!(found[..2], ["2027-03-22T07:00:00Z", "2027-03-29T06:00:00Z"], "{found:?}");
    }

    async fn a_delivery_keeps_its_distance(t: TestApp) {
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let mut new = tuesdays(&a, "FREQ=WEEKLY;COUNT=2");
        let mut later = to(&b);
        later.scheduled_at = Some("2026-11-24T12:30".into());
        new.post.deliveries.push(later);
        create(&t, new).await.unwrap();
        let last = all(&t).await[1].deliveries[1].scheduled_at.clone();
        assert_eq!(last.as_deref(), Some("2026-12-01T12:30:00Z"));
    }

    /// What is wrong with any of its posts is refused at once, and nothing is saved.
    async fn a_series_is_refused_as_its_posts_are(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut new = tuesdays(&c, "FREQ=WEEKLY");
        new.post.text = "long ".repeat(200);
        let e = create(&t, new).await.unwrap_err();
        assert!(e.problems[0].field.starts_with("occurrences[2026-11-24T07:00:00].deliveries[0].text"), "{e:?}");
        let mut past = tuesdays(&c, "FREQ=WEEKLY;COUNT=1");
        past.post.scheduled_at = Some("2026-11-17T07:00".into());
        assert_eq!(create(&t, past).await.unwrap_err().code, "no_instance");
        let none = series::list(&t.app, &t.workspace, None, 10).await.unwrap();
        assert!(none.items.is_empty() && times(&t).await.is_empty());
    }

    async fn the_api_speaks_of_series(t: TestApp) {
        let c = t.connect("mastodon").await;
        let api = Api::of(&t).await;
        let body = json!({
            "post": { "text": "Quiz night", "scheduledAt": "2026-11-24T07:00", "deliveries": [{ "connectionId": c }] },
            "rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU",
        });
        let (status, made) = api.call(Method::POST, "/api/v1/series", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let id = made["id"].as_str().unwrap();
        let path = format!("/api/v1/series/{id}/occurrences?limit=2");
        let (_, coming) = api.call(Method::GET, &path, None).await;
        assert_eq!(coming["items"][1]["occurrence"], "2026-12-08T07:00:00");
        let path = format!("/api/v1/series/{id}/skip");
        let (status, now) = api.call(Method::POST, &path, Some(json!({ "occurrence": "2026-12-08" }))).await;
        assert_eq!((status, &now["without"][0]), (StatusCode::OK, &json!("2026-12-08T07:00:00")));
        let (status, _) = api.call(Method::POST, "/api/v1/series/materialise", None).await;
        assert_eq!(status, StatusCode::OK);
        let strange = format!("/api/v1/series/{}", carillon::ids::new(0));
        assert_eq!(api.call(Method::GET, &strange, None).await.0, StatusCode::NOT_FOUND);
    }
}
