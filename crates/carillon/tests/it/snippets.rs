//! What is written again and again, and who is writing: templates, hashtags, UTM presets, locks.

use std::time::Duration;

use carillon::domain::refusal::Refusal;
use carillon::planning::locks::{self, Editors};
use carillon::planning::snippets::{
    self, Kind, NewSnippet, SnippetChange, SnippetView, Tagged, TaggedDelivery, Tagging, Template,
    Utm,
};
use carillon::store::audit::OPERATOR;
use carillon::store::{audit, events};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::both;
use crate::cli::{fails, said, told};
use crate::review::person;
use crate::support::TestApp;

fn new(kind: Kind, name: &str) -> NewSnippet {
    NewSnippet { kind, name: name.into(), template: None, hashtags: None, utm: None }
}

fn preset(source: &str, content: Option<&str>) -> NewSnippet {
    let utm =
        Utm { source: Some(source.into()), content: content.map(Into::into), ..Utm::default() };
    NewSnippet { utm: Some(utm), ..new(Kind::Utm, source) }
}

async fn create(t: &TestApp, new: NewSnippet) -> Result<SnippetView, Refusal> {
    snippets::create(&t.app, &t.workspace, new, OPERATOR).await
}

fn codes(e: &Refusal) -> Vec<(&str, &str)> {
    e.problems.iter().map(|p| (p.field.as_str(), p.code.as_str())).collect()
}

async fn tag(t: &TestApp, preset: &str, text: &str, to: &[(&str, Option<&str>)]) -> Tagged {
    let deliveries = to.iter().map(|(id, own)| TaggedDelivery {
        connection_id: (*id).into(),
        text: own.map(Into::into),
        first_comment: None,
    });
    let asked = Tagging {
        preset: Some(preset.into()),
        utm: None,
        text: text.into(),
        first_comment: Some("More: https://example.com/more".into()),
        date: Some("2026-12-24T19:30".into()),
        deliveries: deliveries.collect(),
    };
    snippets::tag(&t.app, &t.workspace, asked).await.expect("it is tagged")
}

both! {
    async fn they_are_kept_by_kind_and_name(t: TestApp) {
        let gig = Template { text: "{band} plays.".into(), texts: [("x".to_owned(), "{band}!".to_owned())].into(), ..Template::default() };
        let made = create(&t, NewSnippet { template: Some(gig.clone()), ..new(Kind::Template, " Gig ") }).await.expect("kept");
        assert_eq!((made.name.as_str(), made.body.template.as_ref()), ("Gig", Some(&gig)));
        let tags = |all: &[&str]| Some(all.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        let set = create(&t, NewSnippet { hashtags: tags(&["livemusic", "#Camden", "#camden"]), ..new(Kind::Hashtags, "Gig") }).await.expect("another kind");
        assert_eq!(set.body.hashtags, tags(&["#livemusic", "#Camden"]));
        let twice = create(&t, NewSnippet { template: Some(gig), ..new(Kind::Template, "GIG") }).await.expect_err("there is one");
        assert_eq!(twice.code, "name_taken");
        let utm = create(&t, preset("{network}", None)).await.expect("kept");
        let all = snippets::list(&t.app, &t.workspace, None).await.expect("a list");
        assert_eq!(all.iter().map(|s| s.kind).collect::<Vec<_>>(), [Kind::Hashtags, Kind::Template, Kind::Utm]);
        let change = SnippetChange { name: Some("Gigs".into()), ..SnippetChange::default() };
        let renamed = snippets::edit(&t.app, &t.workspace, &set.id, change, OPERATOR).await.expect("renamed");
        assert_eq!((renamed.name.as_str(), renamed.body.hashtags), ("Gigs", tags(&["#livemusic", "#Camden"])));
        let other = SnippetChange { hashtags: tags(&["x"]), ..SnippetChange::default() };
        let wrong = snippets::edit(&t.app, &t.workspace, &utm.id, other, OPERATOR).await.expect_err("another kind's");
        assert_eq!(codes(&wrong), [("hashtags", "wrong_body"), ("utm", "wrong_body")]);
        snippets::delete(&t.app, &t.workspace, &utm.id, OPERATOR).await.expect("gone");
        assert_eq!(snippets::list(&t.app, &t.workspace, Some(Kind::Utm)).await.expect("a list").len(), 0);
        let ws = t.workspace.clone();
        let deeds = t.app.db.read(move |tx| async move { audit::before(&tx, &ws, Some("snippet.deleted"), (i64::MAX, ""), 9).await }).await.unwrap();
        assert_eq!((deeds.len(), deeds[0].subject.as_str()), (1, utm.id.as_str()));
    }

    async fn all_that_is_wrong_is_said_at_once(t: TestApp) {
        let e = create(&t, NewSnippet { hashtags: Some(vec!["two words".into(), "#".into()]), ..new(Kind::Hashtags, "") }).await.expect_err("refused");
        assert_eq!(codes(&e), [("name", "invalid_name"), ("hashtags[0]", "invalid_hashtag"), ("hashtags[1]", "invalid_hashtag")]);
        let e = create(&t, preset("{who}", None)).await.expect_err("refused");
        assert_eq!(codes(&e), [("utm.source", "unknown_placeholder")]);
        let e = create(&t, NewSnippet { utm: Some(Utm::default()), ..new(Kind::Utm, "x") }).await.expect_err("refused");
        assert_eq!(codes(&e), [("utm", "nothing_to_add")]);
        let e = create(&t, new(Kind::Template, "x")).await.expect_err("refused");
        assert_eq!(codes(&e), [("template", "wrong_body")]);
    }

    async fn links_are_counted_to_their_connection_and_day(t: TestApp) {
        let (m, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let same = create(&t, preset("carillon", Some("{date}"))).await.expect("kept").id;
        let all = "utm_source=carillon&utm_content=2026-12-24";
        let text = "Tickets: https://example.com/t?utm_source=poster and a.example";
        let found = tag(&t, &same, text, &[(&m, None), (&b, Some("https://example.com."))]).await;
        assert_eq!(found.text, "Tickets: https://example.com/t?utm_source=poster&utm_content=2026-12-24 and a.example");
        assert_eq!(found.first_comment.as_deref(), Some(format!("More: https://example.com/more?{all}").as_str()));
        let own = format!("https://example.com/?{all}.");
        assert_eq!((found.deliveries[0].text.as_deref(), found.deliveries[1].text.as_deref(), found.links), (None, Some(own.as_str()), 3));
        let again = tag(&t, &same, &found.text, &[(&m, None), (&b, Some(&own))]).await;
        assert_eq!((again.text, again.deliveries[1].text.as_deref()), (found.text, Some(own.as_str())), "done twice it is as done once");

        let each = create(&t, preset("{network}", Some("{connection}"))).await.expect("kept").id;
        let found = tag(&t, &each, "Go: https://example.com/t", &[(&m, None), (&b, None)]).await;
        assert_eq!(found.text, "Go: https://example.com/t", "what they share cannot name them");
        let own: Vec<_> = found.deliveries.iter().filter_map(|d| d.text.as_deref()).collect();
        assert_eq!(own, ["Go: https://example.com/t?utm_source=mastodon&utm_content=alice-at-mastodon", "Go: https://example.com/t?utm_source=bluesky&utm_content=alice-at-bluesky"]);
        let one = tag(&t, &each, "Go: https://example.com/t", &[(&m, None)]).await;
        assert_eq!((one.text.as_str(), one.deliveries[0].text.as_deref()), (own[0], None), "one alone shares with nobody");
        let nobody = tag(&t, &each, "Go: https://example.com/t", &[]).await;
        assert_eq!((nobody.text.as_str(), nobody.links), ("Go: https://example.com/t", 0));
        let plain = tag(&t, &each, "No link", &[(&m, None), (&b, None)]).await;
        assert!(plain.deliveries.iter().all(|d| d.text.is_none()), "without a link nobody needs a text of their own");
    }

    async fn who_else_is_editing_is_told_and_nobody_is_kept_out(t: TestApp) {
        let c = t.connect("mastodon").await;
        let (ana, bob) = (person(&t, "Ana", "owner").await, person(&t, "Bob", "editor").await);
        let post = t.schedule(t.draft("Doors at seven.", &[&c])).await;
        let (app, ws, id) = (&t.app, t.workspace.as_str(), post.id.as_str());
        let names = |e: Editors| e.others.into_iter().map(|o| o.name).collect::<Vec<_>>();
        assert!(names(locks::take(app, ws, id, &ana).await.expect("taken")).is_empty());
        t.clock.advance(Duration::from_secs(60));
        locks::take(app, ws, id, &ana).await.expect("renewed");
        t.clock.advance(Duration::from_secs(60));
        let others = locks::take(app, ws, id, &bob).await.expect("it keeps nobody out").others;
        assert_eq!((others[0].name.as_str(), others[0].since.as_str()), ("Ana", "2026-11-23T08:00:00Z"));
        assert_eq!(names(locks::show(app, ws, id, &ana).await.expect("shown")), ["Bob"]);
        t.clock.advance(Duration::from_secs(29));
        assert_eq!(names(locks::show(app, ws, id, &bob).await.expect("shown")), ["Ana"]);
        t.clock.advance(Duration::from_secs(1));
        assert!(names(locks::show(app, ws, id, &bob).await.expect("shown")).is_empty(), "90 s after the last word");
        locks::release(app, ws, id, &bob).await.expect("closed");
        locks::release(app, ws, id, &ana).await.expect("it had ended by itself");
        let again = locks::take(app, ws, id, &ana).await.expect("taken");
        assert!(again.others.is_empty());
        let own = t.workspace.clone();
        let told = t.app.db.read(move |tx| async move { events::after(&tx, &own, (0, ""), 1000).await }).await.unwrap();
        let told: Vec<&str> = told.iter().map(|e| e.kind.as_str()).filter(|k| k.starts_with("lock.")).collect();
        assert_eq!(told, ["lock.taken", "lock.taken", "lock.released", "lock.taken"], "a renewal is no news");
        carillon::publishing::schedule::delete(app, ws, id, &bob).await.expect("no lock is in the way");
        assert_eq!(locks::take(app, ws, id, &ana).await.expect_err("it is gone").code, "not_found");
    }

    async fn the_api_and_the_terminal_have_them(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let path = "/api/v1/snippets";
        let (status, made) = api.call(Method::POST, path, Some(json!({ "kind": "utm", "name": "Gig", "utm": { "source": "{network}" } }))).await;
        assert_eq!((status, made["utm"]["source"].as_str(), made["changedBy"].as_str()), (StatusCode::CREATED, Some("{network}"), Some("test")), "{made}");
        let one = format!("{path}/{}", made["id"].as_str().expect("an id"));
        assert_eq!(api.call(Method::PATCH, &one, Some(json!({ "name": "Gigs", "what": 1 }))).await.0, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(api.call(Method::PATCH, &one, Some(json!({ "name": "Gigs" }))).await.1["name"], "Gigs");
        let asked = json!({ "preset": made["id"], "text": "https://example.com", "deliveries": [{ "connectionId": c }] });
        let (status, tagged) = api.call(Method::POST, &format!("{path}/utm"), Some(asked)).await;
        assert_eq!((status, tagged["text"].as_str()), (StatusCode::OK, Some("https://example.com/?utm_source=mastodon")), "{tagged}");
        let (status, refused) = api.call(Method::POST, &format!("{path}/utm"), Some(json!({ "text": "x" }))).await;
        assert_eq!((status, refused["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("preset_needed")));
        let id = made["id"].as_str().expect("an id");
        assert_eq!(said(&t, &["snippet", "tag", id, "--text", "https://example.com", "--to", "mastodon"]).trim(), "https://example.com/?utm_source=mastodon");
        assert_eq!(told(&t, &["snippet", "hashtags", "Gigs", "a", "b"])["hashtags"], json!(["#a", "#b"]));
        fails(&t, &["snippet", "hashtags", "gigs", "a"], 4, "already");
        assert_eq!(told(&t, &["snippet", "template", "Gig", "--text", "{band}", "--for", "x=Hi"])["template"]["texts"]["x"], "Hi");
        assert_eq!(told(&t, &["snippet", "list"])["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(api.call(Method::DELETE, &one, None).await.0, StatusCode::NO_CONTENT);
        assert_eq!(api.call(Method::DELETE, &one, None).await.0, StatusCode::NOT_FOUND);
        let post = t.schedule(t.draft("Doors at seven.", &[&c])).await;
        let lock = format!("/api/v1/posts/{}/lock", post.id);
        for method in [Method::POST, Method::GET] {
            assert_eq!(api.call(method, &lock, None).await, (StatusCode::OK, json!({ "others": [] })));
        }
        assert_eq!(api.call(Method::DELETE, &lock, None).await.0, StatusCode::NO_CONTENT);
    }
}
