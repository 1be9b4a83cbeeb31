//! The page for people, and where permalinks lead.

use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::support::{World, ok, png, start};

async fn read(world: &World, path: &str) -> (u16, String) {
    let answer = world.get(path).header("accept", "text/html").send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn toot(world: &World, account: &str, text: &str) -> String {
    let request = world.post("/mastodon/api/v1/statuses").bearer_auth(format!("sandbox-{account}"));
    ok(request.form(&[("status", text)])).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn posts_are_shown_newest_first_and_escaped() {
    let world = start().await;
    let (status, page) = read(&world, "/").await;
    assert_eq!(status, 200);
    assert!(page.contains("Sandbox: nothing here is public"), "{page}");
    assert!(page.contains("Nothing yet."));
    assert!(!page.contains("<script"));
    toot(&world, "ann", "First <b>&").await;
    toot(&world, "bob", "Second").await;
    let (_, page) = read(&world, "/?network=mastodon").await;
    let (first, second) =
        (page.find("First &lt;b&gt;&amp;").unwrap(), page.find("Second").unwrap());
    assert!(second < first);
    let (_, page) = read(&world, "/?network=mastodon&account=ann").await;
    assert!(page.contains("First") && !page.contains("Second"));
    assert_eq!(read(&world, "/?network=myspace").await.0, 404);
    let style = world.get("/_style.css").send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    let (status, page) = read(&world, "/nowhere").await;
    assert!(status == 404 && page.contains("There is no such page"), "{status} {page}");
}

#[tokio::test]
async fn a_post_has_a_page_that_says_when_it_is_gone() {
    let world = start().await;
    let id = toot(&world, "ann", "Here today").await;
    let path = format!("/posts/mastodon/{id}");
    let (status, page) = read(&world, &path).await;
    assert!(status == 200 && page.contains("Here today"));
    let url = world.url(&format!("/mastodon/api/v1/statuses/{id}"));
    ok(world.client.delete(url).bearer_auth("sandbox-ann")).await;
    let (status, page) = read(&world, &path).await;
    assert_eq!(status, 410);
    assert!(page.contains("This post was deleted") && page.contains("<s>Here today</s>"), "{page}");
    let (status, page) = read(&world, "/posts/mastodon/1").await;
    assert!(status == 404 && page.contains("never had one"), "{page}");
    assert_eq!(read(&world, "/posts/myspace/1").await.0, 404);
}

#[tokio::test]
async fn pictures_are_shown_inline_and_every_link_of_the_page_works() {
    let world = start().await;
    let part = Part::bytes(png(640, 480)).file_name("a.png");
    let form = Form::new().text("chat_id", "@bikes").text("caption", "Look").part("photo", part);
    ok(world.post("/telegram/bot1:sandbox-ann/sendPhoto").multipart(form)).await;
    let login = json!({"identifier": "ann.test", "password": "sandbox-ann"});
    let session =
        ok(world.post("/bluesky/xrpc/com.atproto.server.createSession").json(&login)).await;
    let record = json!({"text": "Hello", "createdAt": "2026-11-18T11:06:40Z"});
    let body = json!({
        "repo": session["did"], "collection": "app.bsky.feed.post", "rkey": "3aaaaaaaaaaa2",
        "record": record,
    });
    let put = world.post("/bluesky/xrpc/com.atproto.repo.putRecord").json(&body);
    ok(put.bearer_auth(session["accessJwt"].as_str().unwrap())).await;

    let (_, page) = read(&world, "/").await;
    let mut seen = 0;
    for part in page.split(['"']) {
        let link = part.replace("&amp;", "&");
        if link.starts_with('/') && link.len() > 1 {
            let status = world.get(&link).send().await.unwrap().status();
            assert_eq!(status, 200, "{link}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} links in {page}");
    assert!(page.contains("<img src=\"/_media/"), "{page}");
    let post = &world.sandbox.ledger("telegram")[0];
    let message = post.id.rsplit('/').next().unwrap();
    let (status, page) = read(&world, &format!("/posts/telegram/@bikes/{message}")).await;
    assert!(status == 200 && page.contains("Look"), "{page}");
}
