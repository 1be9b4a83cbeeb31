//! The trash of posts from outside: what comes out of it, as what, and what is gone for good.

use std::time::Duration;

use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::policy::Approval;
use carillon::domain::post::PostState;
use carillon::domain::refusal::Refusal;
use carillon::domain::when;
use carillon::planning::campaigns::{self, Deed};
use carillon::planning::series::{self, NewSeries};
use carillon::publishing::rollback;
use carillon::publishing::schedule::{self, Draft};
use carillon::publishing::trash::{self, Restore, Restored};
use carillon::queue::cron;
use carillon::store::audit::OPERATOR;
use carillon::store::{audit, deliveries, events};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::approval::{approve, gated};
use crate::both;
use crate::campaigns::concert;
use crate::cli::{fails, said, told};
use crate::desk;
use crate::segments::parts;
use crate::support::{TestApp, throw_away, to};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const AS_IT_WAS: Restore =
    Restore { as_it_was: true, allow_collision: false, allow_duplicate: false };

async fn delete(t: &TestApp, id: &str) {
    schedule::delete(&t.app, &t.workspace, id, OPERATOR).await.expect("it is deleted");
}

async fn restore(t: &TestApp, id: &str, how: Restore) -> Result<Restored, Refusal> {
    trash::restore(&t.app, &t.workspace, id, how, OPERATOR).await
}

async fn back(t: &TestApp, id: &str, how: Restore) -> Restored {
    restore(t, id, how).await.unwrap_or_else(|e| panic!("it comes back: {e:?}"))
}

async fn refused(t: &TestApp, id: &str, how: Restore) -> String {
    restore(t, id, how).await.expect_err("it is refused").code
}

async fn in_trash(t: &TestApp) -> Vec<String> {
    let page = trash::list(&t.app, &t.workspace, None, 50).await.expect("a list");
    page.items.into_iter().map(|item| item.post.id).collect()
}

both! {
    /// Whatever was planned: a restore by itself sends nothing.
    async fn a_post_comes_back_as_a_draft_with_all_that_it_had(t: TestApp) {
        let (c, b, picture) = (t.connect("mastodon").await, t.connect("bluesky").await, t.upload().await);
        let mut draft = Draft { media: vec![picture.clone()], thread: parts(&["Support at eight."]), ..t.draft("Doors at seven.", &[&c, &b]) };
        draft.deliveries[1].text = Some("Doors at 7.".into());
        let post = t.schedule(draft).await;
        delete(&t, &post.id).await;
        assert_eq!(in_trash(&t).await, std::slice::from_ref(&post.id));
        t.pass(HOUR).await;
        throw_away(&t.app, &t.workspace, &picture).await.expect("of the trash no picture is kept");
        let Restored { post: found, missing } = back(&t, &post.id, Restore::default()).await;
        assert_eq!(missing, ["harbour.jpg"]);
        assert_eq!((found.state, found.text.as_str(), found.media.len()), (PostState::Draft, "Doors at seven.", 0));
        assert_eq!(found.scheduled_at, post.scheduled_at);
        assert!(found.version > post.version);
        assert_eq!(found.thread, post.thread);
        let of = |p: &carillon::publishing::view::PostView| p.deliveries.iter().map(|d| (d.id.clone(), d.text.clone())).collect::<Vec<_>>();
        assert_eq!(of(&found), of(&post));
        assert!(found.deliveries.iter().all(|d| d.state == State::Draft), "{found:?}");
        t.pass(DAY).await;
        assert_eq!((t.visible("mastodon").len(), t.visible("bluesky").len()), (0, 0));
        assert_eq!(in_trash(&t).await, Vec::<String>::new());
        assert_eq!(refused(&t, &post.id, Restore::default()).await, "not_found", "it is there");
        let ws = t.workspace.clone();
        let deeds = t.app.db.read(move |tx| async move { audit::before(&tx, &ws, None, (i64::MAX, ""), 10).await }).await.unwrap();
        let deeds: Vec<&str> = deeds.iter().filter(|e| e.subject == post.id).map(|e| e.action.as_str()).collect();
        assert_eq!(deeds, ["post.restored", "post.deleted"]);
        let ws = t.workspace.clone();
        let told = t.app.db.read(move |tx| async move { events::after(&tx, &ws, (0, ""), 1000).await }).await.unwrap();
        let last = told.iter().rfind(|e| e.subject == post.id && e.kind.starts_with("post.")).unwrap();
        assert_eq!(last.kind, "post.created", "the feed knows it again by that");
    }

    async fn media_that_are_in_the_trash_come_back_with_it(t: TestApp) {
        let (c, picture) = (t.connect("mastodon").await, t.upload().await);
        let post = t.schedule(Draft { media: vec![picture.clone()], ..t.draft("Doors at seven.", &[&c]) }).await;
        delete(&t, &post.id).await;
        carillon::media::trash::delete(&t.app, &t.workspace, &picture, false, OPERATOR).await.expect("nobody needs it");
        let found = back(&t, &post.id, AS_IT_WAS).await;
        assert_eq!((found.missing.len(), found.post.media.len()), (0, 1));
        t.pass(HOUR).await;
        assert_eq!(t.visible("mastodon")[0].media.len(), 1);
    }

    async fn what_is_taken_back_at_once_is_as_it_was_and_goes_out_once(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(Draft { thread: parts(&["Support at eight."]), ..t.draft("Doors at seven.", &[&c]) }).await;
        for _ in 0..3 {
            delete(&t, &post.id).await;
            let found = back(&t, &post.id, AS_IT_WAS).await.post;
            assert_eq!((found.state, found.scheduled_at.clone()), (PostState::Scheduled, post.scheduled_at.clone()));
        }
        t.pass(HOUR).await;
        assert_eq!(t.visible("mastodon").len(), 2, "both parts, once");
        assert_eq!(t.post(&post.id).await.state, PostState::Published);
    }

    async fn as_it_was_is_refused_when_it_cannot_be_so_and_a_draft_is_not(t: TestApp) {
        let c = t.connect("mastodon").await;
        let late = t.schedule(t.draft("Doors at seven.", &[&c])).await;
        delete(&t, &late.id).await;
        let gone = t.connect_as("mastodon", "bob").await;
        let lost = t.schedule(Draft { scheduled_at: Some("2026-11-25T10:00".into()), ..t.draft("Karaoke", &[&gone]) }).await;
        delete(&t, &lost.id).await;
        carillon::publishing::connecting::disconnect(&t.app, &t.workspace, &gone, OPERATOR).await.expect("disconnected");
        t.pass(HOUR).await;
        for id in [&late.id, &lost.id] {
            assert_eq!(refused(&t, id, AS_IT_WAS).await, "not_as_it_was");
        }
        assert_eq!(in_trash(&t).await.len(), 2, "a refusal leaves them there");
        assert_eq!(back(&t, &late.id, Restore::default()).await.post.state, PostState::Draft);
        let found = back(&t, &lost.id, Restore::default()).await.post;
        assert_eq!((found.state, found.deliveries[0].state), (PostState::Draft, State::Cancelled));

        let taken = Draft { scheduled_at: Some("2026-11-26T10:00".into()), allow_collision: false, ..t.draft("One", &[&c]) };
        let one = t.schedule(taken.clone()).await;
        delete(&t, &one.id).await;
        t.schedule(Draft { text: "Two".into(), ..taken }).await;
        assert_eq!(refused(&t, &one.id, AS_IT_WAS).await, "collision", "its place was taken");
        assert_eq!(in_trash(&t).await, std::slice::from_ref(&one.id));
        back(&t, &one.id, Restore { allow_collision: true, ..AS_IT_WAS }).await;
    }

    /// Cancelled before it was deleted, rolled back before, a draft: each is a draft again.
    async fn what_was_over_before_is_a_draft_too(t: TestApp) {
        let c = t.connect("mastodon").await;
        let cancelled = t.schedule(t.draft("Cancelled", &[&c])).await;
        schedule::cancel(&t.app, &t.workspace, &cancelled.id).await.expect("cancelled");
        let live = t.schedule(t.draft("Rolled back", &[&c])).await;
        let draft = t.schedule(Draft { draft: true, ..t.draft("A draft", &[&c]) }).await;
        t.pass(HOUR).await;
        rollback::post(&t.app, &t.workspace, &live.id).await.expect("rolled back");
        for id in [&cancelled.id, &draft.id, &live.id] {
            delete(&t, id).await;
            let found = back(&t, id, Restore::default()).await.post;
            let state = if *id == live.id { State::Removed } else { State::Draft };
            assert_eq!((found.state, found.deliveries[0].state), (PostState::Draft, state), "{}", found.text);
        }
        delete(&t, &draft.id).await;
        assert_eq!(back(&t, &draft.id, AS_IT_WAS).await.post.state, PostState::Draft);
        t.pass(DAY).await;
        assert_eq!(t.visible("mastodon").len(), 0);
    }

    async fn a_restored_post_has_no_approval(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Doors at seven.", &[&c])).await;
        approve(&t, &post.id).await;
        assert_eq!(t.post(&post.id).await.state, PostState::Scheduled);
        delete(&t, &post.id).await;
        assert_eq!(back(&t, &post.id, AS_IT_WAS).await.post.state, PostState::InReview);
        t.pass(HOUR).await;
        assert_eq!(t.visible("mastodon").len(), 0);
    }

    async fn what_is_paused_meanwhile_waits(t: TestApp) {
        let c = t.connect("mastodon").await;
        let new = NewSeries { post: Draft { scheduled_at: Some("2026-11-24T07:00".into()), ..t.draft("Quiz night", &[&c]) }, rule: "FREQ=WEEKLY".into(), without: vec![], also: vec![] };
        let s = series::create(&t.app, &t.workspace, new, OPERATOR).await.expect("a series");
        let id = s.next.iter().find_map(|o| o.post_id.clone()).expect("its first post");
        delete(&t, &id).await;
        series::pause(&t.app, &t.workspace, &s.id, OPERATOR).await.expect("paused");
        let found = back(&t, &id, AS_IT_WAS).await.post;
        assert_eq!(found.deliveries[0].state, State::Held);
        assert!(found.series.expect("of its series").detached);
        t.pass(2 * DAY).await;
        assert_eq!(t.visible("mastodon").len(), 0, "nothing of a paused series goes out");
        series::resume(&t.app, &t.workspace, &s.id, OPERATOR).await.expect("resumed");
        series::end(&t.app, &t.workspace, &s.id, OPERATOR).await.expect("ended");
        let swept: Vec<String> = in_trash(&t).await;
        assert!(!swept.is_empty(), "those to come");
        assert!(back(&t, &swept[0], Restore::default()).await.post.series.is_none());
    }

    async fn a_campaigns_post_comes_back_as_part_of_it(t: TestApp) {
        let c = t.connect("mastodon").await;
        let made = campaigns::create(&t.app, &t.workspace, concert(&t, &c).await, OPERATOR).await.expect("a campaign");
        let posts = campaigns::posts(&t.app, &t.workspace, &made.id).await.expect("its posts");
        let id = &posts[0].id;
        delete(&t, id).await;
        campaigns::whole(&t.app, &t.workspace, &made.id, Deed::Cancel, OPERATOR).await.expect("cancelled");
        assert_eq!(refused(&t, id, AS_IT_WAS).await, "not_as_it_was");
        let found = back(&t, id, Restore::default()).await.post;
        assert_eq!((found.state, found.campaign.expect("of its campaign").id), (PostState::Draft, made.id.clone()));
        let posts = campaigns::posts(&t.app, &t.workspace, &made.id).await.expect("its posts");
        assert!(posts.iter().any(|p| p.id == *id));
    }

    async fn after_seven_days_it_is_gone_for_good(t: TestApp) {
        let (c, picture) = (t.connect("mastodon").await, t.upload().await);
        let failed = desk::failed(&t, &c, "mastodon", "Quiz night").await;
        let journal = t.delivery(&failed).await.post_id;
        delete(&t, &journal).await;
        back(&t, &journal, Restore::default()).await;
        let post = t.schedule(Draft { media: vec![picture], thread: parts(&["More"]), ..t.draft("Doors at seven.", &[&c]) }).await;
        delete(&t, &journal).await;
        delete(&t, &post.id).await;
        t.clock.advance(7 * DAY - HOUR);
        trash::sweep(&t.app).await.expect("swept");
        assert_eq!(in_trash(&t).await, [post.id.clone(), journal.clone()]);
        t.clock.advance(HOUR);
        assert_eq!(refused(&t, &post.id, Restore::default()).await, "not_found", "also before it is swept");
        assert_eq!(in_trash(&t).await, Vec::<String>::new());
        cron::tick(&t.app).await.expect("slots");
        t.worker.tick().await.expect("a tick");
        for id in [post.id, journal] {
            let left = t.app.db.read(move |tx| async move { Ok::<_, Error>((deliveries::of_post(&tx, &id).await?.len(), carillon::store::posts::load(&tx, &id).await?)) });
            assert!(matches!(left.await.unwrap(), (0, None)), "the hourly clean-up did it");
        }
        assert_eq!(trash::sweep(&t.app).await.expect("swept"), 0);
    }

    /// Of a restore and a purge in one moment one wins, and nothing is left half.
    async fn who_restores_and_who_purges_at_once(t: TestApp) {
        let c = t.connect("mastodon").await;
        for n in 0..6 {
            let post = t.schedule(t.draft(&format!("Round {n}"), &[&c])).await;
            delete(&t, &post.id).await;
            let (app, ws, id) = (t.app.clone(), t.workspace.clone(), post.id.clone());
            let purged = tokio::spawn(async move { trash::purge(&app, &ws, &id, OPERATOR).await.is_ok() });
            let restored = restore(&t, &post.id, Restore::default()).await.is_ok();
            assert_ne!(purged.await.unwrap(), restored, "one of them");
            let id = post.id.clone();
            let left = t.app.db.read(move |tx| async move { deliveries::of_post(&tx, &id).await }).await.unwrap();
            assert_eq!(left.len(), usize::from(restored));
        }
    }

    async fn the_api_and_the_terminal_have_a_trash(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let post = t.schedule(Draft { deliveries: vec![to(&c)], ..t.draft("Doors at seven.", &[]) }).await;
        let path = format!("/api/v1/posts/{}", post.id);
        assert_eq!(api.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
        assert_eq!(api.call(Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
        let (status, trash) = api.call(Method::GET, "/api/v1/posts/trash", None).await;
        assert_eq!(status, StatusCode::OK, "{trash}");
        let item = &trash["items"][0];
        assert_eq!((item["post"]["id"].as_str(), item["deletedBy"].as_str()), (Some(post.id.as_str()), Some("test")));
        assert_eq!(item["purgedAt"], when::iso(t.clock.now() + 7 * 86_400_000));
        let (status, found) = api.call(Method::POST, &format!("{path}/restore"), Some(json!({ "asItWas": true }))).await;
        assert_eq!((status, found["post"]["state"].as_str()), (StatusCode::OK, Some("scheduled")), "{found}");
        assert_eq!(api.call(Method::POST, &format!("{path}/purge"), None).await.0, StatusCode::NOT_FOUND, "it is not in the trash");

        assert!(said(&t, &["post", "trash"]).contains("The trash is empty"));
        assert!(said(&t, &["post", "delete", &post.id]).contains("seven days"));
        assert_eq!(told(&t, &["post", "trash"])["items"][0]["post"]["id"], post.id);
        assert_eq!(told(&t, &["post", "restore", &post.id])["post"]["state"], "draft");
        told(&t, &["post", "delete", &post.id]);
        told(&t, &["post", "purge", &post.id]);
        fails(&t, &["post", "restore", &post.id], 3, "There is no such post in the trash");
        let key = t.stranger().await;
        let other = t.schedule(t.draft("Quiz night", &[&c])).await;
        delete(&t, &other.id).await;
        let stranger = Api { key, url: api.url.clone(), client: api.client.clone(), t: &t };
        let path = format!("/api/v1/posts/{}/restore", other.id);
        assert_eq!(stranger.call(Method::POST, &path, Some(json!({}))).await.0, StatusCode::NOT_FOUND);
    }
}
