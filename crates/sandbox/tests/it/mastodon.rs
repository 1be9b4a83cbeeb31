//! Mastodon, call by call, against networks.md §11.

use carillon_sandbox::{Calls, Fault, Trouble};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{World, ok, png, said, start};

fn api(path: &str) -> String {
    format!("/mastodon/api/{path}")
}

fn toot(world: &World, body: Value) -> reqwest::RequestBuilder {
    world.post(&api("v1/statuses")).bearer_auth("sandbox-ann").json(&body)
}

fn upload(world: &World, bytes: Vec<u8>, description: &str) -> reqwest::RequestBuilder {
    let part = Part::bytes(bytes).file_name("a.png").mime_str("image/png").unwrap();
    let form = Form::new().part("file", part).text("description", description.to_owned());
    world.post(&api("v2/media")).bearer_auth("sandbox-ann").multipart(form)
}

fn poll(world: &World, id: &str) -> reqwest::RequestBuilder {
    world.get(&api(&format!("v1/media/{id}"))).bearer_auth("sandbox-ann")
}

async fn ready(world: &World) -> String {
    let (_, media) = said(upload(world, png(640, 480), "A square")).await;
    let id = media["id"].as_str().unwrap().to_owned();
    while said(poll(world, &id)).await.0 == 206 {}
    id
}

#[tokio::test]
async fn a_key_names_its_status_for_an_hour_and_per_account() {
    let world = start().await;
    let keyed = |token: &str, text: &str| {
        let request = world.post(&api("v1/statuses")).bearer_auth(token.to_owned());
        request.header("Idempotency-Key", "k1").form(&[("status", text.to_owned())])
    };
    let first = ok(keyed("sandbox-ann", "one")).await;
    assert_eq!(ok(keyed("sandbox-ann", "two")).await["id"], first["id"]);
    assert_ne!(ok(keyed("sandbox-bob", "one")).await["id"], first["id"]);
    world.pass(3_599);
    assert_eq!(ok(keyed("sandbox-ann", "one")).await["id"], first["id"]);
    world.pass(1);
    assert_ne!(ok(keyed("sandbox-ann", "one")).await["id"], first["id"]);
    assert_eq!(world.visible("mastodon").len(), 3);
}

#[tokio::test]
async fn media_are_processed_before_they_can_be_attached() {
    let world = start().await;
    let (status, media) = said(upload(&world, png(640, 480), "A square")).await;
    assert_eq!((status, &media["url"]), (202, &Value::Null));
    let id = media["id"].as_str().unwrap();
    let (status, error) = said(toot(&world, json!({"status": "x", "media_ids": [id]}))).await;
    assert_eq!(status, 422);
    assert!(error["error"].as_str().unwrap().contains("not finished processing"), "{error}");

    world.sandbox.add_fault(Fault::new("mastodon", Calls::Read, Trouble::Processing).times(2));
    for _ in 0..3 {
        assert_eq!(said(poll(&world, id)).await.0, 206);
    }
    let done = ok(poll(&world, id)).await;
    assert_eq!(done["meta"]["original"]["size"], "640x480");
    let shown = world.client.get(done["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(shown.bytes().await.unwrap(), png(640, 480));

    let form = [("media_ids[]", id)];
    let posted = ok(world.post(&api("v1/statuses")).bearer_auth("sandbox-ann").form(&form)).await;
    assert_eq!(posted["media_attachments"][0]["description"], "A square");
    assert_eq!(world.sandbox.ledger("mastodon")[0].media[0].alt, "A square");
    // Attached once, by its owner, and never more than four.
    assert_eq!(said(toot(&world, json!({"status": "x", "media_ids": [id]}))).await.0, 422);
    let five = json!({"status": "x", "media_ids": ["1", "2", "3", "4", "5"]});
    assert_eq!(said(toot(&world, five)).await.1["error"], "Cannot attach more than 4 files");
    let other = ready(&world).await;
    let request = world.post(&api("v1/statuses")).bearer_auth("sandbox-bob");
    assert_eq!(said(request.json(&json!({"media_ids": [other]}))).await.0, 422);
    assert_eq!(said(upload(&world, b"<svg/>".to_vec(), "")).await.0, 422);
    assert_eq!(said(upload(&world, png(1, 1), &"x".repeat(1_501))).await.0, 422);
}

#[tokio::test]
async fn texts_are_refused_when_blank_or_too_long() {
    let world = start().await;
    for blank in ["", "  \n"] {
        let (status, error) = said(toot(&world, json!({"status": blank}))).await;
        assert_eq!(status, 422);
        assert_eq!(error["error"], "Validation failed: Text can't be blank");
    }
    let link = "https://a.example/a/very/long/path/that/counts/as/little/as/any/other";
    let fits = format!("{} {link}", "é".repeat(476));
    ok(toot(&world, json!({"status": fits}))).await;
    let (status, error) = said(toot(&world, json!({"status": format!("é{fits}")}))).await;
    assert_eq!(status, 422);
    assert_eq!(error["error"], "Validation failed: Text character limit of 500 exceeded");
    let spoiled = json!({"status": "a".repeat(400), "spoiler_text": "b".repeat(101)});
    assert_eq!(said(toot(&world, spoiled)).await.0, 422);
    assert_eq!(said(toot(&world, json!({"status": "x", "visibility": "secret"}))).await.0, 422);
    assert_eq!(said(toot(&world, json!({"status": "x", "poll": {"options": []}}))).await.0, 422);
    assert_eq!(world.visible("mastodon").len(), 1);
}

#[tokio::test]
async fn statuses_are_read_listed_edited_and_deleted() {
    let world = start().await;
    let me = ok(world.get(&api("v1/accounts/verify_credentials")).bearer_auth("sandbox-ann")).await;
    assert_eq!(me["username"], "ann");
    let list = |query: &[(&str, &str)]| {
        let path = api(&format!("v1/accounts/{}/statuses", me["id"].as_str().unwrap()));
        world.get(&path).bearer_auth("sandbox-ann").query(query)
    };
    let mut ids = Vec::new();
    for at in 0..5 {
        world.pass(1);
        let status = ok(toot(&world, json!({"status": format!("No. {at}")}))).await;
        ids.push(status["id"].as_str().unwrap().to_owned());
    }
    let got = |page: &Value| {
        let page = page.as_array().unwrap();
        page.iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let page = ok(list(&[("limit", "2"), ("exclude_reblogs", "true")])).await;
    assert_eq!(got(&page), [ids[4].clone(), ids[3].clone()]);
    let page = ok(list(&[("limit", "2"), ("max_id", &ids[3])])).await;
    assert_eq!(got(&page), [ids[2].clone(), ids[1].clone()]);
    let page = ok(list(&[("limit", "2"), ("min_id", &ids[0])])).await;
    assert_eq!(got(&page), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(got(&ok(list(&[("since_id", &ids[4])])).await), [] as [String; 0]);
    assert_eq!(got(&ok(list(&[("since_id", "9"), ("max_id", "3")])).await), [] as [String; 0]);

    let one = world.url(&api(&format!("v1/statuses/{}", ids[0])));
    let edited = ok(world.client.put(&one).bearer_auth("sandbox-ann").json(&json!({
        "status": "Better",
    })))
    .await;
    assert_eq!(edited["content"], "<p>Better</p>");
    assert_eq!(edited["edited_at"], "2026-11-18T11:06:45.000Z");
    assert_eq!(world.sandbox.ledger("mastodon")[0].text, "Better");

    assert_eq!(said(world.client.delete(&one).bearer_auth("sandbox-bob")).await.0, 404);
    let deleted = ok(world.client.delete(&one).bearer_auth("sandbox-ann")).await;
    assert_eq!(deleted["text"], "Better");
    assert_eq!(said(world.client.delete(&one).bearer_auth("sandbox-ann")).await.0, 404);
    assert_eq!(said(world.client.get(&one)).await.0, 404);
    let first = &world.sandbox.ledger("mastodon")[0];
    assert_eq!(first.deleted_at.as_deref(), Some("2026-11-18T11:06:45.000Z"));
}

#[tokio::test]
async fn tokens_and_visibility_are_held() {
    let world = start().await;
    let request = world.post(&api("v1/statuses")).bearer_auth("nonsense");
    let (status, error) = said(request.form(&[("status", "x")])).await;
    assert_eq!((status, &error["error"]), (401, &json!("The access token is invalid")));
    let posted = ok(toot(&world, json!({"status": "x", "visibility": "private"}))).await;
    let path = api(&format!("v1/statuses/{}", posted["id"].as_str().unwrap()));
    assert_eq!(said(world.get(&path)).await.0, 404);
    ok(world.get(&path).bearer_auth("sandbox-ann")).await;
    let limits = ok(world.get(&api("v2/instance"))).await["configuration"].clone();
    assert_eq!(limits["statuses"]["max_characters"], 500);
    assert_eq!(limits["statuses"]["characters_reserved_per_url"], 23);
}
