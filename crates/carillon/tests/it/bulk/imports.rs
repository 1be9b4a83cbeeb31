//! Files in: good rows become posts, the others are told by name.

use carillon::domain::post::PostState;
use carillon::planning::import::{self, ImportFormat, ImportState, Options, RowOutcome};
use carillon::publishing::schedule::{self, Change};
use carillon::store::audit::OPERATOR;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Site, all, imported, scheduled};
use crate::api::Api;
use crate::both;
use crate::support::{On, TestApp, picture};

/// 500 rows, of which twenty are wrong in five ways.
fn five_hundred() -> String {
    let mut file = String::from("Text,Scheduled At,time_zone,Connections,Title\n");
    for n in 0..500 {
        let (day, hour) = (n / 20 % 28 + 1, n % 20);
        let mut row = format!("Row {n},2027-02-{day:02} {hour:02}:00,,alice at mastodon,\n");
        if n % 25 == 7 {
            row = match n / 25 % 5 {
                0 => format!("Row {n},someday,,alice at mastodon,\n"),
                1 => format!("Row {n},03/04/2027 9:00,,alice at mastodon,\n"),
                2 => format!("Row {n},2027-02-{day:02} 21:00,Mars/Base,alice at mastodon,\n"),
                3 => format!("Row {n},2027-02-{day:02} 21:00,,nobody,\n"),
                _ => format!(",2027-02-{day:02} 21:00,,alice at mastodon,\n"),
            };
        }
        file.push_str(&row);
    }
    file
}

both! {
    async fn of_500_rows_with_20_wrong_ones_480_are_made(t: TestApp) {
        t.connect("mastodon").await;
        let file = five_hundred();
        let tried = imported(&t, &file, Options { dry_run: true, ..scheduled() }).await.unwrap();
        assert_eq!((tried.made, tried.refused, tried.id.clone()), (480, 20, None));
        assert_eq!(all(&t).await.len(), 0, "nothing is saved");

        let done = imported(&t, &file, scheduled()).await.unwrap();
        assert_eq!((done.total, done.made, done.refused), (500, 480, 20));
        let wrong: Vec<_> = done.rows.iter().filter(|r| r.outcome == RowOutcome::Refused).collect();
        let errors: Vec<_> = wrong.iter().flat_map(|r| r.notes.iter().filter(|n| !n.warning)).collect();
        assert_eq!((wrong.len(), errors.len()), (20, 20), "one error a row: {errors:?}");
        let named: Vec<(i64, &str, &str)> = wrong[..5]
            .iter()
            .map(|r| (r.line, r.notes[0].column.as_str(), r.notes[0].code.as_str()))
            .collect();
        assert_eq!(named, [
            (9, "scheduledAt", "invalid_time"),
            (34, "scheduledAt", "invalid_time"),
            (59, "timezone", "unknown_zone"),
            (84, "connections", "unknown_connection"),
            (109, "text", "empty"),
        ]);
        assert!(errors[1].message.contains("3 April 2027 or 4 March 2027"), "{}", errors[1].message);
        assert!(errors[3].message.contains("write one of alice at mastodon"), "{}", errors[3].message);
        let posts = all(&t).await;
        assert_eq!(posts.len(), 480);
        assert!(posts.iter().all(|p| p.state == PostState::Scheduled && p.deliveries.len() == 1));
        assert_eq!(posts[0].scheduled_at.as_deref(), Some("2027-02-01T00:00:00Z"));
        let same = |seen: &[import::RowView]| {
            seen.iter().map(|r| (r.line, r.outcome, r.notes.clone(), r.scheduled_at.clone())).collect::<Vec<_>>()
        };
        assert_eq!(same(&tried.rows), same(&done.rows), "the dry run said the same");
        let kept = import::show(&t.app, &t.workspace, &done.id.unwrap()).await.unwrap();
        assert_eq!(same(&kept.rows), same(&done.rows), "and so does the import");
    }

    async fn rows_become_drafts_unless_they_are_to_be_scheduled(t: TestApp) {
        let c = t.connect("mastodon").await;
        let file = "text,scheduledAt,connections,state,mood\n\
            One,tomorrow 9:00,mastodon,,good\n\
            Two,next Tuesday 18:30,@alice at mastodon,draft,\n\
            Three,2026-01-01 9:00,mastodon,,\n\
            Four,,,,\n\
            Five,tomorrow 11:00,mastodon,published,\n\
            Six,tomorrow 11:00,mastodon,lost,\n";
        let done = imported(&t, file, Options::default()).await.unwrap();
        assert_eq!((done.made, done.left_out, done.refused), (4, 1, 1));
        assert_eq!(done.notes[0].message, "The column `mood` is not known and left out.");
        let posts = all(&t).await;
        assert!(posts.iter().all(|p| p.state == PostState::Draft));
        let at = |text: &str| posts.iter().find(|p| p.text == text).unwrap().scheduled_at.clone();
        assert_eq!(at("One").as_deref(), Some("2026-11-24T09:00:00Z"));
        assert_eq!(at("Two").as_deref(), Some("2026-11-24T18:30:00Z"));
        assert_eq!((at("Three"), at("Four")), (None, None));
        assert_eq!(posts.iter().find(|p| p.text == "One").unwrap().deliveries[0].connection_id, c);
        let codes: Vec<_> = done.rows.iter().map(|r| r.notes.first().map(|n| n.code.as_str())).collect();
        assert_eq!(codes, [None, None, Some("has_passed"), Some("no_slot"), Some("published_already"), Some("unknown_state")]);
        // As scheduled the past is refused, as it is for a person.
        let file = "text,scheduledAt,connections\nOld,2026-01-01 9:00,mastodon\nLong,tomorrow 8:00,mastodon\n"
            .replace("Long", &"x".repeat(600));
        let done = imported(&t, &file, scheduled()).await.unwrap();
        let told: Vec<_> = done.rows.iter().map(|r| (r.notes[0].column.as_str(), r.notes[0].code.as_str())).collect();
        assert_eq!(told, [("scheduledAt", "in_the_past"), ("text", "text_too_long")]);
        let draft = imported(&t, &file, Options::default()).await.unwrap();
        assert_eq!(draft.made, 2);
        let note = &draft.rows[1].notes[0];
        assert!(note.warning && note.code == "text_too_long", "{note:?}");
    }

    async fn rows_without_a_date_get_slots_of_their_own(t: TestApp) {
        t.connect("mastodon").await;
        t.connect("bluesky").await;
        let mut draft = t.draft("In the way", &[&t.connect_as("mastodon", "bob").await]);
        draft.scheduled_at = Some("2026-11-23T08:15".into());
        t.schedule(draft).await;
        let file = "text,connections\nA,mastodon\n";
        let e = imported(&t, file, scheduled()).await.unwrap();
        assert_eq!(e.rows[0].notes[0].code, "ambiguous_connection", "alice and bob: {:?}", e.rows[0].notes);
        assert!(e.rows[0].notes[0].message.contains("bob at mastodon (mastodon"), "{}", e.rows[0].notes[0].message);
        let file = "text,connections\nA,bob at mastodon\nB,bob at mastodon\nC,bob at mastodon;bluesky\nD,bluesky\nE,\n";
        for options in [Options { dry_run: true, ..Options::default() }, Options { dry_run: true, ..scheduled() }, scheduled()] {
            let done = imported(&t, file, options).await.unwrap();
            let times: Vec<_> = done.rows.iter().map(|r| r.scheduled_at.clone().unwrap_or_default()).collect();
            assert_eq!(times, ["2026-11-23T08:45:00Z", "2026-11-23T09:15:00Z", "2026-11-23T09:45:00Z", "2026-11-23T08:00:00Z", ""]);
            assert_eq!(done.rows[4].notes[0].code, "no_slot");
        }
        let states: Vec<_> = all(&t).await.iter().map(|p| (p.text.clone(), p.state)).collect();
        assert!(states.contains(&("E".into(), PostState::Draft)) && states.contains(&("C".into(), PostState::Scheduled)), "{states:?}");
    }

    async fn the_same_file_twice_makes_nothing_new(t: TestApp) {
        t.connect("mastodon").await;
        let file = "text,scheduledAt,connections\nOne,tomorrow 9:00,mastodon\nOne,tomorrow 9:00,mastodon\nTwo,tomorrow 10:00,mastodon\n";
        let allow = || Options { allow_collision: true, allow_duplicate: true, ..Options::default() };
        assert_eq!(imported(&t, file, allow()).await.unwrap().made, 3);
        let again = imported(&t, file, allow()).await.unwrap();
        assert_eq!((again.made, again.known), (0, 3));
        assert!(again.rows[0].notes[0].message.contains("imported before"), "{:?}", again.rows[0]);
        let gone = again.rows[2].post_id.clone().unwrap();
        schedule::delete(&t.app, &t.workspace, &gone, OPERATOR).await.unwrap();
        let more = format!("{file}Three,tomorrow 11:00,mastodon\n");
        let third = imported(&t, &more, allow()).await.unwrap();
        assert_eq!((third.made, third.known), (2, 2), "what was deleted is made again");
        assert_eq!(imported(&t, file, Options { again: true, ..allow() }).await.unwrap().made, 3);
    }

    async fn an_import_is_taken_back_but_for_what_was_touched(t: TestApp) {
        t.connect("mastodon").await;
        let file = "text,scheduledAt,connections\nOut,2026-11-23 08:10,mastodon\nChanged,tomorrow 9:00,mastodon\nGone,tomorrow 10:00,mastodon\nLeft,tomorrow 11:00,mastodon\n";
        let done = imported(&t, file, scheduled()).await.unwrap();
        assert_eq!(done.made, 4, "{:?}", done.rows);
        t.pass(std::time::Duration::from_secs(900)).await;
        let post = |n: usize| done.rows[n].post_id.clone().unwrap();
        let change = Change { version: 1, text: Some("Mine now".into()), ..Change::default() };
        schedule::edit(&t.app, &t.workspace, &post(1), change).await.unwrap();
        schedule::delete(&t.app, &t.workspace, &post(2), OPERATOR).await.unwrap();
        let id = done.id.unwrap();
        let undone = import::undo(&t.app, &t.workspace, &id, OPERATOR).await.unwrap();
        assert_eq!((undone.deleted, undone.gone, undone.kept.len()), (1, 1, 2));
        assert_eq!((undone.kept[0].line, undone.kept[1].line), (2, 3));
        assert!(undone.kept[1].sentence.contains("changed it"), "{:?}", undone.kept);
        assert_eq!(undone.import.state, ImportState::Undone);
        assert_eq!((all(&t).await.len(), t.visible("mastodon").len()), (2, 1));
        assert_eq!(import::undo(&t.app, &t.workspace, &id, OPERATOR).await.unwrap_err().code, "undone");
        let stranger = carillon::ids::new(0);
        assert_eq!(import::undo(&t.app, &stranger, &id, OPERATOR).await.unwrap_err().code, "not_found");
    }

    async fn comments_threads_links_and_media_go_where_they_can(t: TestApp) {
        for network in ["mastodon", "telegram"] {
            t.connect(network).await;
        }
        let media = t.upload().await;
        let file = format!(
            "text,connections,media,alt,firstComment,link,thread,state\n\
             One,mastodon; telegram,harbour.jpg,Boats,,https://a.example,\"[\"\"Two\"\"]\",draft\n\
             Two,telegram,{media},The harbour,,,,draft\n\
             Three,telegram,nothing.jpg,,,,,draft\n\
             Four,telegram,,A picture,,,,draft\n\
             Five,telegram,,,A comment,,,draft\n"
        );
        let done = imported(&t, &file, Options::default()).await.unwrap();
        let codes: Vec<Vec<&str>> =
            done.rows.iter().map(|r| r.notes.iter().map(|n| n.code.as_str()).collect()).collect();
        assert_eq!(codes, [vec!["thread_unsupported", "alt_kept"], vec![], vec!["unknown_media"], vec!["too_many_alts"], vec!["comment_unused"]]);
        let posts = all(&t).await;
        let one = posts.iter().find(|p| p.text == "One\n\nhttps://a.example").expect("with its link");
        assert_eq!((one.thread.len(), one.media[0].id.as_str(), one.media[0].alt.as_str()), (1, media.as_str(), "The harbour"));
        assert_eq!(one.deliveries.len(), 3, "a reply on Mastodon, none on Telegram");
    }

    async fn the_api_takes_files_and_takes_them_back(t: TestApp) {
        t.connect("mastodon").await;
        let api = Api::of(&t).await;
        let client = reqwest::Client::new();
        let send = |query: &'static str, body: String| {
            let request = client.post(format!("{}/api/v1/imports?{query}", api.url)).bearer_auth(&api.key);
            async move {
                let answer = request.header("content-type", "text/csv").body(body).send().await.unwrap();
                (answer.status(), answer.json::<serde_json::Value>().await.unwrap())
            }
        };
        let file = "text,scheduledAt,connections\nOne,tomorrow 9:00,mastodon\nTwo,soon,mastodon\n".to_owned();
        let (status, tried) = send("dryRun=true&as=scheduled", file.clone()).await;
        assert_eq!((status, &tried["made"], &tried["id"]), (StatusCode::OK, &json!(1), &json!(null)), "{tried}");
        let (status, made) = send("as=scheduled&name=plan.csv", file.clone()).await;
        assert_eq!((status, &made["refused"], &made["name"]), (StatusCode::CREATED, &json!(1), &json!("plan.csv")), "{made}");
        let (_, all) = api.call(Method::GET, "/api/v1/imports", None).await;
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
        let id = made["id"].as_str().unwrap();
        let (_, one) = api.call(Method::GET, &format!("/api/v1/imports/{id}"), None).await;
        assert_eq!(one["rows"][1]["notes"][0]["column"], "scheduledAt");
        let (status, undone) = api.call(Method::POST, &format!("/api/v1/imports/{id}/undo"), None).await;
        assert_eq!((status, &undone["deleted"]), (StatusCode::OK, &json!(1)));
        let (status, refused) = send("format=postiz", "{\"posts\":[]}".to_owned()).await;
        assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("other_format")));
        let (status, refused) = send("", "x".repeat((10 << 20) + 2)).await;
        assert_eq!((status, &refused["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("import_too_large")));
        let (_, trail) = api.call(Method::GET, "/api/v1/audit", None).await;
        let actions: Vec<_> = trail["items"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
        assert!(actions.contains(&"import.made") && actions.contains(&"import.undone"), "{actions:?}");
    }

    async fn what_another_tool_exported_becomes_posts(t: TestApp) {
        t.connect("mastodon").await;
        t.connect("bluesky").await;
        let post = |network: &str, state: &str| json!({
            "id": network, "group": "g", "content": "<p>Doors &amp; bar</p>", "publishDate": "2026-12-09T05:06:00.000Z",
            "state": state, "integration": { "id": "i", "providerIdentifier": network, "name": "Somebody" } });
        let file = json!({ "posts": [post("mastodon", "QUEUE"), post("bluesky", "QUEUE"), post("x", "QUEUE"), post("kick", "PUBLISHED")] });
        let done = imported(&t, &file.to_string(), scheduled()).await.unwrap();
        assert_eq!(done.format, ImportFormat::Postiz.as_str());
        assert_eq!((done.made, done.refused), (0, 1), "nobody at X is connected: {:?}", done.rows);
        let file = json!({ "posts": [post("mastodon", "QUEUE"), post("bluesky", "QUEUE"), post("kick", "QUEUE")] });
        let done = imported(&t, &file.to_string(), scheduled()).await.unwrap();
        assert_eq!((done.made, done.rows[0].notes[0].code.as_str()), (1, "no_counterpart"));
        let posts = all(&t).await;
        assert_eq!((posts[0].text.as_str(), posts[0].deliveries.len()), ("Doors & bar", 2));
    }
}

/// Files by their addresses are fetched, once each; nothing in the operator's own network is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_are_fetched_by_their_addresses() {
    let (site, host) = Site::start().await;
    let t = TestApp::with(On::Sqlite, &[("CARILLON_ALLOW_HOSTS", &host)]).await;
    t.connect("mastodon").await;
    site.put("/a.jpg", 302, &[("location", "/b.jpg")], b"");
    site.put("/b.jpg", 200, &[], &picture(300, 200));
    site.put("/page", 200, &[], b"<html>");
    let file = format!(
        "text,connections,media,alt,state\n\
         One,mastodon,http://{host}/a.jpg,A harbour,draft\n\
         Two,mastodon,http://{host}/a.jpg,,draft\n\
         Three,mastodon,http://{host}/none.jpg,,draft\n\
         Four,mastodon,http://{host}/page,,draft\n\
         Five,mastodon,http://127.0.0.1:9/a.jpg,,draft\n\
         Six,mastodon,https://10.0.0.1/a.jpg,,draft\n"
    );
    let tried = imported(&t, &file, Options { dry_run: true, ..Options::default() }).await.unwrap();
    assert_eq!(
        (tried.made, site.asked().len()),
        (4, 0),
        "a dry run fetches nothing: {:?}",
        tried.rows
    );
    assert_eq!(tried.rows[0].notes[0].code, "not_fetched");
    let done = imported(&t, &file, Options::default()).await.unwrap();
    assert_eq!(done.made, 2, "{:?}", done.rows);
    let codes: Vec<_> = done.rows[2..].iter().map(|r| r.notes[0].code.as_str()).collect();
    assert_eq!(codes, ["fetch_failed", "media_type", "address_refused", "address_refused"]);
    let paths: Vec<_> = site.asked().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths.iter().filter(|p| *p == "/b.jpg").count(), 1, "{paths:?}");
    let posts = all(&t).await;
    let one = posts.iter().find(|p| p.text == "One").unwrap();
    assert_eq!((one.media[0].name.as_str(), one.media[0].alt.as_str()), ("a.jpg", "A harbour"));
}
