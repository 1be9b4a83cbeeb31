//! WordPress, call by call, against networks.md §7.

use carillon_sandbox::{Calls, Fault, Trouble};
use serde_json::{Value, json};

use crate::support::{World, ok, png, read, said, start};

const V2: &str = "/wordpress/wp-json/wp/v2";

fn get(world: &World, path: &str) -> reqwest::RequestBuilder {
    world.get(&format!("{V2}/{path}")).basic_auth("ann", Some("sandbox-ann"))
}

fn post(world: &World, path: &str, body: Value) -> reqwest::RequestBuilder {
    let request = world.post(&format!("{V2}/{path}")).basic_auth("ann", Some("sandbox-ann"));
    request.json(&body)
}

fn delete(world: &World, path: &str) -> reqwest::RequestBuilder {
    let url = world.url(&format!("{V2}/{path}"));
    world.client.delete(url).basic_auth("ann", Some("sandbox-ann"))
}

async fn made(request: reqwest::RequestBuilder) -> Value {
    let (status, body) = said(request).await;
    assert_eq!(status, 201, "{body}");
    body
}

async fn refused(request: reqwest::RequestBuilder) -> (u16, String) {
    let (status, body) = said(request).await;
    assert_eq!(body["data"]["status"], json!(status), "{body}");
    (status, body["code"].as_str().unwrap().to_owned())
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_draft_is_found_by_its_slug_and_appears_by_a_flip() {
    let world = start().await;
    let body = json!({
        "title": "One & two", "content": "<p>Hello <b>you</b></p>", "slug": "k3-one",
        "status": "draft",
    });
    let draft = made(post(&world, "posts", body.clone())).await;
    assert_eq!(made(post(&world, "posts", body)).await["slug"], "k3-one-2");
    assert_eq!(draft["title"], json!({"raw": "One & two", "rendered": "One &#038; two"}));
    assert_eq!((&draft["slug"], &draft["status"]), (&json!("k3-one"), &json!("draft")));
    assert!(world.sandbox.ledger("wordpress").is_empty());
    let found = ok(get(&world, "posts?slug=k3-one&status=any&context=edit")).await;
    assert_eq!(found[0]["id"], draft["id"]);
    assert_eq!(found[0]["content"]["raw"], "<p>Hello <b>you</b></p>");
    assert_eq!(ok(get(&world, "posts?slug=other&status=any&context=edit")).await, json!([]));

    world.pass(3_600);
    let path = format!("posts/{}", draft["id"]);
    for _ in 0..2 {
        let live = ok(post(&world, &path, json!({"status": "publish"}))).await;
        assert_eq!((&live["status"], &live["slug"]), (&json!("publish"), &json!("k3-one")));
        assert_eq!(live["date_gmt"], "2026-11-18T12:06:40");
        let page = world.client.get(live["link"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(page.status(), 200);
    }
    let ledger = world.sandbox.ledger("wordpress");
    assert_eq!((ledger.len(), ledger[0].id.clone()), (1, draft["id"].to_string()));
    assert_eq!(ledger[0].text, "One & two\n\nHello you");
    assert_eq!(ledger[0].placement, "article");
    let calls: Vec<_> = world.sandbox.requests("wordpress").iter().map(|r| r.call).collect();
    assert_eq!(calls[0], Calls::Prepare);
    assert_eq!(calls[calls.len() - 2..], [Calls::Publish, Calls::Publish]);
}

#[tokio::test]
async fn a_slug_that_is_taken_gets_a_number() {
    let world = start().await;
    let body = json!({"title": "Same", "status": "publish", "slug": "same"});
    let slugs = ["same", "same-2", "same-3"];
    for slug in slugs {
        assert_eq!(made(post(&world, "posts", body.clone())).await["slug"], slug);
    }
    assert_eq!(world.visible("wordpress").len(), 3);
    let untitled = made(post(&world, "posts", json!({"content": "x", "status": "publish"}))).await;
    assert_eq!(untitled["slug"], format!("{}-2", untitled["id"]));
    let answer = get(&world, "posts?per_page=3").send().await.unwrap();
    assert_eq!(answer.headers()["x-wp-total"], "4");
    assert_eq!(answer.headers()["x-wp-totalpages"], "2");
    assert_eq!(
        refused(get(&world, "posts?page=9")).await,
        code(400, "rest_post_invalid_page_number")
    );
    assert_eq!(refused(get(&world, "posts?per_page=101")).await, code(400, "rest_invalid_param"));
    let trimmed = ok(get(&world, "posts?per_page=1&_fields=id,title.rendered")).await;
    assert_eq!(trimmed[0].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_date_to_come_is_future_and_appears_then() {
    let world = start().await;
    let body = json!({"title": "Later", "status": "publish", "date_gmt": "2026-11-18T12:06:40"});
    let later = made(post(&world, "posts", body)).await;
    assert_eq!(later["status"], "future");
    world.pass(3_599);
    assert!(world.sandbox.ledger("wordpress").is_empty());
    world.pass(1);
    assert_eq!(world.visible("wordpress").len(), 1);
    assert_eq!(world.visible("wordpress")[0].created_at, "2026-11-18T12:06:40.000Z");
    let now = ok(get(&world, &format!("posts/{}", later["id"]))).await;
    assert_eq!(now["status"], "publish");
    let past = json!({"title": "x", "status": "publish", "date": "2020-01-01T00:00:00"});
    assert_eq!(made(post(&world, "posts", past)).await["status"], "publish");
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let world = start().await;
    for (body, error) in [
        (json!({"status": "publish"}), "empty_content"),
        (json!({"title": "", "content": "", "excerpt": ""}), "empty_content"),
        (json!({"title": "x", "status": "loud"}), "rest_invalid_param"),
        (json!({"title": "x", "date": "tomorrow"}), "rest_invalid_param"),
        (json!({"title": "x", "featured_media": "wall"}), "rest_invalid_param"),
        (json!({"title": "x", "tags": ["red"]}), "rest_invalid_param"),
    ] {
        assert_eq!(refused(post(&world, "posts", body)).await, code(400, error));
    }
    let (_, body) = said(post(&world, "posts", json!({"title": "x", "status": "loud"}))).await;
    assert!(body["data"]["params"]["status"].is_string());
    assert_eq!(body["data"]["details"]["status"]["code"], "rest_not_in_enum");
    let anonymous = world.post(&format!("{V2}/posts")).json(&json!({"title": "x"}));
    assert_eq!(refused(anonymous).await, code(401, "rest_cannot_create"));
    let wrong = world.get(&format!("{V2}/users/me")).basic_auth("ann", Some("sandbox-bob"));
    assert_eq!(refused(wrong).await, code(401, "incorrect_password"));
    let nobody = world.get(&format!("{V2}/users/me"));
    assert_eq!(refused(nobody).await, code(401, "rest_not_logged_in"));
    assert_eq!(refused(get(&world, "posts/1")).await, code(404, "rest_post_invalid_id"));
    assert_eq!(refused(get(&world, "planets")).await, code(404, "rest_no_route"));
    let drafts = world.get(&format!("{V2}/posts?status=draft"));
    assert_eq!(refused(drafts).await, code(400, "rest_invalid_param"));
    // Application passwords are shown with spaces and taken without.
    let spaced = world.get(&format!("{V2}/users/me?context=edit"));
    let me = ok(spaced.basic_auth("ann", Some("sand box- ann"))).await;
    assert_eq!(me["capabilities"]["publish_posts"], true);
}

#[tokio::test]
async fn media_and_terms_are_made_and_used() {
    let world = start().await;
    let upload = |disposition: &str| {
        let request = world.post(&format!("{V2}/media")).basic_auth("ann", Some("sandbox-ann"));
        request
            .header("content-type", "image/png")
            .header("content-disposition", disposition.to_owned())
            .body(png(640, 480))
    };
    let answer = upload("attachment; filename=\"wall.png\"").send().await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let (status, medium) = read(answer).await;
    assert_eq!((status, &medium["media_details"]["width"]), (201, &json!(640)));
    assert_eq!(location, world.url(&format!("{V2}/media/{}", medium["id"])));
    assert_eq!(refused(upload("inline")).await, code(400, "rest_upload_invalid_disposition"));
    let described =
        ok(post(&world, &format!("media/{}", medium["id"]), json!({"alt_text": "A wall"}))).await;
    assert_eq!(described["alt_text"], "A wall");
    let shown = world.client.get(medium["source_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(shown.bytes().await.unwrap(), png(640, 480));

    let tag = made(post(&world, "tags", json!({"name": "Red things"}))).await;
    assert_eq!(tag["slug"], "red-things");
    let (status, error) = said(post(&world, "tags", json!({"name": "red Things"}))).await;
    assert_eq!((status, &error["code"]), (400, &json!("term_exists")));
    assert_eq!(error["data"]["term_id"], tag["id"]);
    assert_eq!(ok(get(&world, "tags?search=red")).await[0]["id"], tag["id"]);
    let missing = refused(post(&world, "categories", json!({}))).await;
    assert_eq!(missing, code(400, "rest_missing_callback_param"));

    let body = json!({
        "title": {"raw": "With"}, "status": "publish", "featured_media": medium["id"],
        "tags": [tag["id"]],
    });
    let with = made(post(&world, "posts", body)).await;
    assert_eq!((&with["tags"], &with["categories"]), (&json!([tag["id"]]), &json!([1])));
    assert_eq!(world.sandbox.ledger("wordpress")[0].media[0].alt, "A wall");
    assert_eq!(ok(get(&world, "tags?search=red")).await[0]["count"], 1);
}

#[tokio::test]
async fn a_post_goes_to_the_trash_or_for_good() {
    let world = start().await;
    let one = made(post(&world, "posts", json!({"title": "One", "status": "publish"}))).await;
    let two = made(post(&world, "posts", json!({"title": "Two", "status": "publish"}))).await;
    let trashed = ok(delete(&world, &format!("posts/{}", one["id"]))).await;
    assert_eq!((&trashed["status"], &trashed["slug"]), (&json!("trash"), &json!("one__trashed")));
    let again = refused(delete(&world, &format!("posts/{}", one["id"]))).await;
    assert_eq!(again, code(410, "rest_already_trashed"));
    let gone = ok(delete(&world, &format!("posts/{}?force=true", two["id"]))).await;
    assert_eq!((&gone["deleted"], &gone["previous"]["id"]), (&json!(true), &two["id"]));
    let missing = refused(get(&world, &format!("posts/{}", two["id"]))).await;
    assert_eq!(missing, code(404, "rest_post_invalid_id"));
    assert!(world.visible("wordpress").is_empty());
    assert_eq!(world.sandbox.ledger("wordpress").len(), 2);
    // Taken back from the trash, it is the same post again.
    let back =
        ok(post(&world, &format!("posts/{}", one["id"]), json!({"status": "publish"}))).await;
    assert_eq!(back["slug"], "one");
    assert_eq!(world.visible("wordpress").len(), 1);
    ok(post(&world, &format!("posts/{}", one["id"]), json!({"status": "draft"}))).await;
    assert!(world.visible("wordpress").is_empty());
}

#[tokio::test]
async fn the_api_is_found_with_and_without_pretty_addresses() {
    let world = start().await;
    let front = world.client.head(world.url("/wordpress/")).send().await.unwrap();
    let link = front.headers()["link"].to_str().unwrap();
    assert!(link.contains("/wordpress/wp-json/>; rel=\"https://api.w.org/\""), "{link}");
    let index = ok(world.get("/wordpress/?rest_route=/")).await;
    assert!(index["authentication"]["application-passwords"]["endpoints"].is_object());
    let plain = world.get("/wordpress/?rest_route=/wp/v2/users/me&context=edit");
    assert_eq!(ok(plain.basic_auth("ann", Some("sandbox-ann"))).await["slug"], "ann");
}

#[tokio::test]
async fn a_firewall_and_a_broken_plugin_answer_in_html() {
    let world = start().await;
    let publish = || post(&world, "posts", json!({"title": "x", "status": "publish"}));
    let fault = |trouble| Fault::new("wordpress", Calls::Publish, trouble);
    world.sandbox.add_fault(fault(Trouble::RateLimit));
    let answer = publish().send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"30".parse().unwrap())
    );
    world.sandbox.add_fault(fault(Trouble::ServerError));
    let answer = publish().send().await.unwrap();
    assert_eq!(answer.status(), 502);
    assert!(answer.text().await.unwrap().starts_with("<html>"));
    world.sandbox.add_fault(fault(Trouble::Auth));
    assert_eq!(refused(publish()).await, code(401, "incorrect_password"));
    assert!(world.sandbox.ledger("wordpress").is_empty());
    world.sandbox.add_fault(fault(Trouble::Garbage));
    let answer = publish().send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("<b>Warning</b>"));
    assert_eq!(world.visible("wordpress").len(), 1);
}
