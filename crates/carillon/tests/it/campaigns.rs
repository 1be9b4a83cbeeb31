//! Many posts, made and changed as one.

use std::time::Duration;

use carillon::domain::campaign::{CampaignKind, CampaignState};
use carillon::domain::refusal::{Kind, Refusal};
use carillon::domain::when;
use carillon::planning::cadence::Dates;
use carillon::planning::campaigns::{
    self, Budget, CampaignView, Deed, Form, Preview, Shift, Whole,
};
use carillon::publishing::schedule::{self, Draft, Move};
use carillon::publishing::view::PostView;
use carillon::store::audit::OPERATOR;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::both;
use crate::support::{START, TestApp, to};

const DAY: u64 = 86_400;

/// A countdown to a concert on 24 December, with a text of its own for each day.
pub(crate) async fn concert(t: &TestApp, connection: &str) -> Form {
    let texts =
        [("12-17", "A week"), ("12-21", "Three days"), ("12-23", "Tomorrow"), ("12-24", "Today")];
    Form {
        kind: CampaignKind::Event,
        name: "Christmas concert".into(),
        objective: "A full house".into(),
        goals: vec!["80 tickets".into()],
        budget: Some(Budget { amount: "250.00".into(), currency: "GBP".into() }),
        timezone: None,
        dates: Dates { event: Some("2026-12-24T19:30".into()), ..Dates::default() },
        post: Draft {
            text: "Come and sing".into(),
            media: vec![t.upload().await],
            deliveries: vec![to(connection)],
            ..Draft::default()
        },
        texts: texts.map(|(day, text)| (format!("2026-{day}T07:00:00"), text.to_owned())).into(),
    }
}

async fn create(t: &TestApp, form: Form) -> Result<CampaignView, Refusal> {
    campaigns::create(&t.app, &t.workspace, form, OPERATOR).await
}

async fn preview(t: &TestApp, form: &Form) -> Preview {
    campaigns::preview(&t.app, &t.workspace, form.clone()).await.unwrap()
}

async fn whole(t: &TestApp, c: &CampaignView, deed: Deed) -> Result<Whole, Refusal> {
    campaigns::whole(&t.app, &t.workspace, &c.id, deed, OPERATOR).await
}

async fn posts(t: &TestApp, c: &CampaignView) -> Vec<PostView> {
    campaigns::posts(&t.app, &t.workspace, &c.id).await.unwrap()
}

async fn times(t: &TestApp, c: &CampaignView) -> Vec<String> {
    posts(t, c).await.into_iter().map(|p| p.scheduled_at.unwrap()).collect()
}

fn by(days: i64) -> Deed {
    Deed::Shift(Shift { days: Some(days), ..Shift::default() })
}

both! {
    async fn a_campaign_is_made_whole(t: TestApp) {
        let c = t.connect("mastodon").await;
        let form = concert(&t, &c).await;
        let seen = preview(&t, &form).await;
        assert_eq!((seen.posts, seen.problems.as_slice()), (4, &[][..]));
        let labels: Vec<&str> = seen.slots.iter().map(|s| s.label.as_str()).collect();
        assert_eq!(labels, ["D-7", "D-3", "D-1", "D 0"]);
        assert!(campaigns::list(&t.app, &t.workspace, None, 9).await.unwrap().items.is_empty(), "nothing is saved");
        let made = create(&t, form).await.unwrap();
        assert_eq!((made.state, made.progress.scheduled), (CampaignState::Scheduled, 4));
        let all = posts(&t, &made).await;
        let told: Vec<(&str, &str)> =
            all.iter().map(|p| (p.scheduled_at.as_deref().unwrap(), p.text.as_str())).collect();
        assert_eq!(told[0], ("2026-12-17T07:00:00Z", "A week"));
        assert_eq!(told[3], ("2026-12-24T07:00:00Z", "Today"));
        assert_eq!(all[1].campaign.as_ref().unwrap().slot.as_deref(), Some("D-3"));
        t.pass(Duration::from_secs(25 * DAY)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        t.pass(Duration::from_secs(10 * DAY)).await;
        let over = campaigns::show(&t.app, &t.workspace, &made.id).await.unwrap();
        assert_eq!((over.state, over.progress.published), (CampaignState::Ended, 4));
    }

    /// Dates are struck out and added by hand; what has passed is left out, what clashes is named.
    async fn slots_are_told_before_they_are_posts(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut form = concert(&t, &c).await;
        form.dates.event = Some("2026-11-26".into());
        form.dates.without = vec!["2026-11-26".into()];
        form.dates.also = vec!["2026-11-24T12:00".into()];
        form.texts.clear();
        let other = Draft { scheduled_at: Some("2026-11-24T12:10:00Z".into()), ..t.draft("Something else", &[&c]) };
        t.schedule(other).await;
        let seen = preview(&t, &form).await;
        let shown: Vec<(&str, bool, bool, usize)> =
            seen.slots.iter().map(|s| (s.label.as_str(), s.past, s.struck, s.problems.len())).collect();
        let expected = [("D-7", true, false, 0), ("D-3", true, false, 0), ("Added", false, false, 1), ("D-1", false, false, 1), ("D 0", false, true, 0)];
        assert_eq!(shown, expected);
        assert_eq!(seen.slots[2].problems[0].code, "collision");
        assert_eq!(seen.slots[3].problems[0].code, "duplicate", "of the one before it");
        let e = create(&t, form.clone()).await.unwrap_err();
        let fields: Vec<&str> = e.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!((e.kind, fields), (Kind::Conflict, vec!["slots[2].deliveries[0].scheduledAt", "slots[3].deliveries[0].text"]));
        assert!(campaigns::list(&t.app, &t.workspace, None, 9).await.unwrap().items.is_empty(), "all or nothing");
        form.post.allow_collision = true;
        form.post.allow_duplicate = true;
        assert_eq!(create(&t, form).await.unwrap().progress.scheduled, 2);
    }

    /// What is wrong with all of them is said once, with everything else that is wrong.
    async fn a_form_is_refused_with_all_that_is_wrong(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut form = concert(&t, &c).await;
        form.post.media.clear();
        let seen = preview(&t, &form).await;
        let codes: Vec<&str> = seen.problems.iter().map(|p| p.code.as_str()).collect();
        assert_eq!(codes, ["media_required"], "a campaign's posts have media: {:?}", seen.problems);
        assert_eq!(create(&t, form.clone()).await.unwrap_err().code, "media_required");
        form.name = " ".into();
        form.budget = Some(Budget { amount: "much".into(), currency: "pounds".into() });
        form.dates = Dates { time: Some("late".into()), ..Dates::default() };
        let e = create(&t, form.clone()).await.unwrap_err();
        let fields: Vec<&str> = e.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["name", "budget.amount", "budget.currency", "dates.time", "dates.event"]);
        // A plain post needs none, and neither does a campaign where the workspace says so.
        t.schedule(t.draft("Plain", &[&c])).await;
        let api = Api::of(&t).await;
        let path = "/api/v1/workspace/policies";
        let (status, _) = api.call(Method::PATCH, path, Some(json!({ "mediaRequired": false }))).await;
        assert_eq!(status, StatusCode::OK);
        let mut form = concert(&t, &c).await;
        form.post.media.clear();
        create(&t, form).await.unwrap();
        api.call(Method::PATCH, path, Some(json!({ "mediaRequired": true }))).await;
        let plain = Draft { scheduled_at: Some(when::iso(START + 9_000_000)), ..t.draft("Plain again", &[&c]) };
        let e = schedule::create(&t.app, &t.workspace, plain, None).await.unwrap_err();
        assert_eq!(e.code, "media_required");
    }

    async fn drafts_are_scheduled_as_one(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut form = concert(&t, &c).await;
        form.post.draft = true;
        let made = create(&t, form).await.unwrap();
        assert_eq!((made.state, made.progress.draft), (CampaignState::Draft, 4));
        // One of them clashes now: none is scheduled.
        let other = Draft { scheduled_at: Some("2026-12-21T07:10:00Z".into()), ..t.draft("Something else", &[&c]) };
        t.schedule(other).await;
        let e = whole(&t, &made, Deed::Schedule(Shift::default())).await.unwrap_err();
        let second = posts(&t, &made).await[1].id.clone();
        assert_eq!((e.code.as_str(), e.problems.len()), ("collision", 1));
        assert!(e.problems[0].field.starts_with(&format!("posts[{second}]")), "{e:?}");
        assert_eq!(campaigns::show(&t.app, &t.workspace, &made.id).await.unwrap().progress.draft, 4);
        let allow = Shift { allow_collision: true, ..Shift::default() };
        let done = whole(&t, &made, Deed::Schedule(allow)).await.unwrap();
        assert_eq!((done.campaign.state, done.campaign.progress.scheduled), (CampaignState::Scheduled, 4));
    }

    async fn it_moves_as_a_whole_with_its_event(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut form = concert(&t, &c).await;
        // Each a day after the other: they must not stand in each other's way.
        form.dates.days_before = Some(vec![3, 2, 1, 0]);
        form.dates.event = Some("2027-03-27".into());
        form.texts.clear();
        form.post.allow_duplicate = true;
        let made = create(&t, form).await.unwrap();
        let moved = whole(&t, &made, by(1)).await.unwrap();
        assert_eq!(moved.posts, 4);
        let at = ["2027-03-25T07:00:00Z", "2027-03-26T07:00:00Z", "2027-03-27T07:00:00Z", "2027-03-28T06:00:00Z"];
        assert_eq!(times(&t, &made).await, at, "seven stays seven when clocks change");
        assert_eq!(moved.campaign.form.dates.event.as_deref(), Some("2027-03-28"));
        let back = Deed::Shift(Shift { event: Some("2027-03-26".into()), ..Shift::default() });
        whole(&t, &made, back).await.unwrap();
        assert_eq!(times(&t, &made).await[3], "2027-03-26T07:00:00Z");
        let e = whole(&t, &made, by(-200)).await.unwrap_err();
        assert_eq!((e.code.as_str(), e.problems.len()), ("in_the_past", 4));
        assert_eq!(times(&t, &made).await[3], "2027-03-26T07:00:00Z");
        assert_eq!(whole(&t, &made, by(0)).await.unwrap_err().code, "out_of_range");
    }

    async fn a_paused_campaign_waits(t: TestApp) {
        let c = t.connect("mastodon").await;
        let form = concert(&t, &c).await;
        let made = create(&t, form).await.unwrap();
        let paused = whole(&t, &made, Deed::Pause).await.unwrap();
        assert_eq!((paused.held, paused.campaign.state), (4, CampaignState::Paused));
        // A post of it that is moved meanwhile waits as well.
        let first = posts(&t, &made).await[0].clone();
        let earlier = Move { scheduled_at: "2026-12-16T07:00".into(), ..Move::default() };
        schedule::move_to(&t.app, &t.workspace, &first.id, earlier).await.unwrap();
        t.pass(Duration::from_secs(25 * DAY)).await;
        assert!(t.visible("mastodon").is_empty());
        let resumed = whole(&t, &made, Deed::Resume).await.unwrap();
        assert_eq!((resumed.late, resumed.queued), (1, 3));
        t.pass(Duration::from_secs(10 * DAY)).await;
        assert_eq!(t.visible("mastodon").len(), 3, "the late one waits for a person");
        let late = t.post(&first.id).await;
        assert_eq!(late.deliveries[0].problem.as_ref().unwrap().action, "decide");
        assert_eq!(whole(&t, &made, Deed::Resume).await.unwrap_err().code, "not_paused");
    }

    async fn a_cancel_can_be_taken_back(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut form = concert(&t, &c).await;
        form.post.thread = vec![carillon::publishing::schedule::Part { text: "Tickets".into(), media: vec![] }];
        let made = create(&t, form).await.unwrap();
        // One was cancelled before, by itself.
        let third = posts(&t, &made).await[2].id.clone();
        schedule::cancel(&t.app, &t.workspace, &third).await.unwrap();
        let done = whole(&t, &made, Deed::Cancel).await.unwrap();
        assert_eq!((done.posts, done.campaign.state), (3, CampaignState::Cancelled));
        assert_eq!(done.campaign.progress.cancelled, 4);
        assert_eq!(whole(&t, &made, Deed::Pause).await.unwrap_err().code, "cancelled");
        let back = whole(&t, &made, Deed::Reopen).await.unwrap();
        assert_eq!((back.queued, back.campaign.state), (3, CampaignState::Scheduled));
        assert_eq!((back.campaign.progress.scheduled, back.campaign.progress.cancelled), (3, 1));
        t.pass(Duration::from_secs(35 * DAY)).await;
        assert_eq!(t.visible("mastodon").len(), 6, "three, each with its second part");
    }

    async fn a_copy_begins_on_another_day(t: TestApp) {
        let c = t.connect("mastodon").await;
        let form = concert(&t, &c).await;
        let made = create(&t, form).await.unwrap();
        let copy = campaigns::duplicate(&t.app, &t.workspace, &made.id, "2027-12-24", OPERATOR).await.unwrap();
        assert_eq!((copy.state, copy.form.name.as_str()), (CampaignState::Draft, "Christmas concert (copy)"));
        let all = posts(&t, &copy).await;
        assert_eq!((all[0].scheduled_at.as_deref(), all[0].text.as_str()), (Some("2027-12-17T07:00:00Z"), "A week"));
    }

    /// A cadence without end is a series, four weeks ahead.
    async fn a_cadence_without_end_is_a_series(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut form = concert(&t, &c).await;
        form.kind = CampaignKind::Weekly;
        form.texts.clear();
        form.dates = Dates {
            from: Some("2026-11-24".into()),
            weekdays: vec!["TU".into(), "FR".into()],
            without: vec!["2026-12-25".into()],
            ..Dates::default()
        };
        let seen = preview(&t, &form).await;
        let repeats = seen.repeats.as_ref().unwrap();
        assert_eq!(repeats.words, "Every Tuesday and Friday at 07:00 (Europe/London)");
        assert_eq!((repeats.rule.as_str(), repeats.start.as_str()), ("FREQ=WEEKLY;BYDAY=TU,FR", "2026-11-24T07:00:00"));
        assert_eq!(seen.posts, 8);
        let made = create(&t, form).await.unwrap();
        assert_eq!((made.progress.scheduled, made.series.len()), (8, 1));
        let e = whole(&t, &made, by(1)).await.unwrap_err();
        assert_eq!(e.code, "has_series");
        whole(&t, &made, Deed::Cancel).await.unwrap();
        t.pass(Duration::from_secs(7 * DAY)).await;
        assert_eq!((t.visible("mastodon").len(), posts(&t, &made).await.len()), (0, 8));
        let back = whole(&t, &made, Deed::Reopen).await.unwrap();
        assert_eq!((back.late, back.queued), (2, 6));
        let days: Vec<String> = times(&t, &made).await;
        assert!(days.len() == 9 && !days.iter().any(|d| d.starts_with("2026-12-25")), "{days:?}");
    }

    async fn instant_is_now_and_too_many_are_refused(t: TestApp) {
        let c = t.connect("mastodon").await;
        let mut form = concert(&t, &c).await;
        form.kind = CampaignKind::Instant;
        form.texts.clear();
        let made = create(&t, form.clone()).await.unwrap();
        t.pass(Duration::from_secs(60)).await;
        assert_eq!((t.visible("mastodon").len(), posts(&t, &made).await.len()), (1, 1));
        form.kind = CampaignKind::Weekly;
        form.dates = Dates { weeks: Some(52), ..Dates::default() };
        form.dates.weekdays = ["MO", "TU", "WE", "TH", "FR"].map(str::to_owned).to_vec();
        assert_eq!(create(&t, form).await.unwrap_err().code, "too_many");
    }

    async fn the_api_speaks_of_campaigns(t: TestApp) {
        let c = t.connect("mastodon").await;
        let api = Api::of(&t).await;
        let media = t.upload().await;
        let form = json!({
            "kind": "promotion", "name": "Happy hour",
            "dates": { "from": "2026-12-01", "to": "2026-12-20" },
            "post": { "text": "Two for one", "media": [media], "deliveries": [{ "connectionId": c }] },
        });
        let (status, seen) = api.call(Method::POST, "/api/v1/campaigns/preview", Some(form.clone())).await;
        assert_eq!((status, seen["slots"][1]["label"].as_str()), (StatusCode::OK, Some("Middle")), "{seen}");
        let (status, made) = api.call(Method::POST, "/api/v1/campaigns", Some(form)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let id = made["id"].as_str().unwrap();
        let (_, moved) = api.call(Method::POST, &format!("/api/v1/campaigns/{id}/shift"), Some(json!({ "days": 2 }))).await;
        assert_eq!(moved["campaign"]["form"]["dates"]["to"], "2026-12-22");
        for (deed, state) in [("pause", "paused"), ("resume", "scheduled"), ("cancel", "cancelled"), ("reopen", "scheduled")] {
            let (status, now) = api.call(Method::POST, &format!("/api/v1/campaigns/{id}/{deed}"), None).await;
            assert_eq!((status, &now["campaign"]["state"]), (StatusCode::OK, &json!(state)), "{deed}: {now}");
        }
        let (_, posts) = api.call(Method::GET, &format!("/api/v1/campaigns/{id}/posts"), None).await;
        assert_eq!(posts["items"].as_array().unwrap().len(), 3);
        let (status, _) = api.call(Method::POST, &format!("/api/v1/campaigns/{id}/duplicate"), Some(json!({ "from": "2027-06-01" }))).await;
        assert_eq!(status, StatusCode::CREATED);
        let (_, all) = api.call(Method::GET, "/api/v1/campaigns", None).await;
        assert_eq!(all["items"].as_array().unwrap().len(), 2);
    }
}
