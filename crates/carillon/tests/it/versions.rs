//! What posts said before: kept with every change of their content, and brought back.

use carillon::domain::policy::Approval;
use carillon::domain::post::PostState;
use carillon::publishing::schedule::{self, Change, Draft, Move};
use carillon::publishing::versions::{self, Back, VersionView};
use carillon::publishing::view::PostView;
use carillon::store::audit::OPERATOR;
use carillon::{App, domain::refusal::Refusal};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::approval::{approve, gated};
use crate::both;
use crate::cli::{fails, said, told};
use crate::segments::parts;
use crate::support::{TestApp, throw_away};

async fn list(t: &TestApp, id: &str) -> Vec<VersionView> {
    versions::list(&t.app, &t.workspace, id).await.expect("its versions")
}

async fn texts(t: &TestApp, id: &str) -> Vec<String> {
    list(t, id).await.into_iter().map(|v| v.text).collect()
}

async fn edit(app: &App, ws: &str, post: &PostView, change: Change) -> Result<PostView, Refusal> {
    let change = Change {
        version: post.version,
        allow_collision: true,
        allow_duplicate: true,
        by: Some(OPERATOR.into()),
        ..change
    };
    schedule::edit(app, ws, &post.id, change).await
}

async fn says(t: &TestApp, id: &str, text: &str) -> PostView {
    let change = Change { text: Some(text.into()), ..Change::default() };
    edit(&t.app, &t.workspace, &t.post(id).await, change).await.expect("changed")
}

async fn back(t: &TestApp, id: &str, version: i64) -> Result<PostView, Refusal> {
    let back = Back { version: None, allow_duplicate: true };
    versions::restore(&t.app, &t.workspace, id, version, back, OPERATOR).await
}

both! {
    async fn each_change_of_content_keeps_what_was_there(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("One", &[&c])).await;
        assert_eq!(texts(&t, &post.id).await, ["One"], "what it says now is the first");
        says(&t, &post.id, "Two").await;
        let to = Move { scheduled_at: "2026-11-25T10:00".into(), allow_collision: true, allow_duplicate: true, ..Move::default() };
        schedule::move_to(&t.app, &t.workspace, &post.id, to).await.expect("moved");
        assert_eq!(texts(&t, &post.id).await, ["Two", "One"], "another time is not another content");
        says(&t, &post.id, "Two").await;
        assert_eq!(texts(&t, &post.id).await, ["Two", "One"], "nor is the same again");
        let now = t.post(&post.id).await;
        let shown = list(&t, &post.id).await;
        assert_eq!((shown[0].version, shown[0].current, shown[1].version, shown[1].current), (now.version, true, post.version, false));
        for n in 0..60 {
            says(&t, &post.id, &format!("Round {n}")).await;
        }
        let kept = texts(&t, &post.id).await;
        assert_eq!((kept.len(), kept[0].as_str(), kept[50].as_str()), (51, "Round 59", "Round 9"));
    }

    async fn a_version_goes_back_whole_and_is_a_change_itself(t: TestApp) {
        let (c, b, picture) = (t.connect("mastodon").await, t.connect("bluesky").await, t.upload().await);
        let mut draft = Draft { media: vec![picture.clone()], thread: parts(&["Support at eight."]), ..t.draft("Doors at seven.", &[&c, &b]) };
        draft.deliveries[1].text = Some("Doors at 7.".into());
        let post = t.schedule(draft).await;
        let mut now = t.draft("", &[&c, &b]).deliveries;
        now[0].text = Some("Own now".into());
        let change = Change { text: Some("Cancelled, sorry.".into()), media: Some(vec![]), thread: Some(vec![]), deliveries: Some(now), ..Change::default() };
        edit(&t.app, &t.workspace, &post, change).await.expect("changed");
        let restored = back(&t, &post.id, post.version).await.expect("back");
        assert_eq!((restored.text.as_str(), restored.media.len(), restored.thread.len()), ("Doors at seven.", 1, 1));
        let own: Vec<_> = restored.deliveries.iter().filter(|d| d.parent_id.is_none()).map(|d| d.text.as_deref()).collect();
        assert_eq!(own, [None, Some("Doors at 7.")]);
        assert_eq!((restored.state, &restored.scheduled_at), (PostState::Scheduled, &post.scheduled_at));
        assert_eq!(texts(&t, &post.id).await, ["Doors at seven.", "Cancelled, sorry.", "Doors at seven."]);
        t.pass(std::time::Duration::from_secs(3600)).await;
        assert_eq!((t.visible("mastodon").len(), t.visible("bluesky").len()), (2, 2), "thread and all");
        assert_eq!(t.visible("mastodon")[0].media.len(), 1);
        assert_eq!(back(&t, &post.id, 99).await.expect_err("there is none").code, "not_found");
    }

    async fn a_picture_that_is_gone_stays_away_and_is_said(t: TestApp) {
        let (c, picture) = (t.connect("mastodon").await, t.upload().await);
        let post = t.schedule(Draft { media: vec![picture.clone()], ..t.draft("With", &[&c]) }).await;
        edit(&t.app, &t.workspace, &post, Change { text: Some("Without".into()), media: Some(vec![]), ..Change::default() }).await.expect("changed");
        throw_away(&t.app, &t.workspace, &picture).await.expect("nobody has it");
        let shown = list(&t, &post.id).await.remove(1);
        assert_eq!((shown.media.len(), shown.media[0].gone), (1, true));
        let restored = back(&t, &post.id, post.version).await.expect("back");
        assert_eq!((restored.text.as_str(), restored.media.len()), ("With", 0));
    }

    /// Two who edit the same post: each text that was taken is there, in the post or in a version.
    async fn of_two_editors_neither_loses_what_was_saved(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(Draft { draft: true, ..t.draft("Zero", &[&c]) }).await;
        let tasks = (0..2).map(|who| {
            let (app, ws, id) = (t.app.clone(), t.workspace.clone(), post.id.clone());
            tokio::spawn(async move {
                let (mut saved, mut conflicts) = (Vec::new(), 0);
                while saved.len() < 10 {
                    let now = carillon::publishing::view::post(&app, &ws, &id).await.expect("there");
                    let text = format!("{who} writes {}", saved.len());
                    match edit(&app, &ws, &now, Change { text: Some(text.clone()), ..Change::default() }).await {
                        Ok(_) => saved.push(text),
                        Err(e) => { assert_eq!(e.code, "version_conflict"); conflicts += 1; }
                    }
                }
                (saved, conflicts)
            })
        });
        let mut saved = vec!["Zero".to_owned()];
        for done in futures_util::future::join_all(tasks).await {
            saved.extend(done.expect("no panic").0);
        }
        let mut kept = texts(&t, &post.id).await;
        kept.sort();
        saved.sort();
        assert_eq!(kept, saved, "each once");
    }

    async fn an_approval_does_not_outlive_it_and_a_duplicate_is_asked_about(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("One", &[&c])).await;
        says(&t, &post.id, "Two").await;
        carillon::planning::review::request(&t.app, &t.workspace, &post.id, None, OPERATOR).await.expect("asked");
        approve(&t, &post.id).await;
        assert_eq!(t.post(&post.id).await.state, PostState::Scheduled);
        t.schedule(Draft { scheduled_at: Some("2026-11-25T10:00".into()), ..t.draft("One", &[&c]) }).await;
        let asks = versions::restore(&t.app, &t.workspace, &post.id, post.version, Back::default(), OPERATOR).await;
        assert_eq!(asks.expect_err("the same is planned").code, "duplicate");
        assert_eq!(back(&t, &post.id, post.version).await.expect("allowed").state, PostState::InReview);
        t.pass(std::time::Duration::from_secs(3600)).await;
        assert_eq!(t.visible("mastodon").len(), 0);
    }

    async fn the_api_and_the_terminal_have_versions(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let post = t.schedule(t.draft("One", &[&c])).await;
        let path = format!("/api/v1/posts/{}", post.id);
        let change = json!({ "version": post.version, "text": "Two", "allowDuplicate": true, "allowCollision": true });
        assert_eq!(api.call(Method::PATCH, &path, Some(change)).await.0, StatusCode::OK);
        let (status, all) = api.call(Method::GET, &format!("{path}/versions"), None).await;
        assert_eq!(status, StatusCode::OK, "{all}");
        assert_eq!((all["items"][0]["writtenBy"].as_str(), all["items"][1]["text"].as_str()), (Some("test"), Some("One")));
        let stale = format!("{path}/versions/{}/restore", post.version);
        let (status, refused) = api.call(Method::POST, &stale, Some(json!({ "version": post.version }))).await;
        assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("version_conflict")));
        let (status, found) = api.call(Method::POST, &stale, Some(json!({ "version": post.version + 1 }))).await;
        assert_eq!((status, found["text"].as_str()), (StatusCode::OK, Some("One")), "{found}");
        assert_eq!(api.call(Method::POST, &format!("{path}/versions/x/restore"), None).await.0, StatusCode::NOT_FOUND);
        let listed = said(&t, &["post", "versions", &post.id]);
        assert!(listed.contains("(now)\nOne") && listed.contains("Two"), "{listed}");
        let two = (post.version + 1).to_string();
        assert_eq!(told(&t, &["post", "restore-version", &post.id, &two])["text"], "Two");
        fails(&t, &["post", "restore-version", &post.id, "77"], 3, "no such version");
    }
}
