//! Instagram, call by call, against networks.md §2.

use carillon_sandbox::{Calls, Fault, Trouble};
use serde_json::{Value, json};

use crate::support::{World, host, jpeg, mp4, ok, png, said, start};

const V: &str = "/instagram/v25.0";

fn get(world: &World, path: &str) -> reqwest::RequestBuilder {
    world.get(&format!("{V}/{path}")).query(&[("access_token", "sandbox-ann")])
}

fn post(world: &World, path: &str, body: Value) -> reqwest::RequestBuilder {
    world.post(&format!("{V}/{path}")).bearer_auth("sandbox-ann").json(&body)
}

async fn refused(request: reqwest::RequestBuilder) -> (u64, u64) {
    let (status, body) = said(request).await;
    let error = &body["error"];
    assert!(status >= 400 && error["fbtrace_id"].is_string(), "{status} {body}");
    (error["code"].as_u64().unwrap(), error["error_subcode"].as_u64().unwrap_or(0))
}

async fn container(world: &World, body: Value) -> String {
    ok(post(world, "ann/media", body)).await["id"].as_str().unwrap().to_owned()
}

async fn state(world: &World, id: &str) -> String {
    let node = ok(get(world, &format!("{id}?fields=status_code,status"))).await;
    node["status_code"].as_str().unwrap().to_owned()
}

/// A container that is ready.
async fn finished(world: &World, body: Value) -> String {
    let id = container(world, body).await;
    while state(world, &id).await == "IN_PROGRESS" {}
    id
}

fn publish(world: &World, id: &str) -> reqwest::RequestBuilder {
    post(world, "ann/media_publish", json!({"creation_id": id}))
}

#[tokio::test]
async fn a_comment_is_made_read_and_deleted_with_its_post() {
    let world = start().await;
    let at = host(vec![jpeg(1_080, 1_350)]).await;
    let ready = finished(&world, json!({"image_url": format!("{at}/0")})).await;
    let on = ok(publish(&world, &ready)).await["id"].as_str().unwrap().to_owned();
    let comment = |text: &str| post(&world, &format!("{on}/comments"), json!({"message": text}));
    let first = ok(comment("First")).await["id"].as_str().unwrap().to_owned();
    world.pass(1);
    let second = ok(comment("Second #a")).await["id"].as_str().unwrap().to_owned();
    let listed = ok(get(&world, &format!("{on}/comments?fields=id,text,username"))).await;
    let newest = json!({"id": second, "text": "Second #a", "username": "ann"});
    assert_eq!(listed["data"][0], newest);
    assert_eq!(listed["data"][1]["id"], first.as_str());
    for bad in ["", &"x".repeat(2_201), &"#a ".repeat(31)] {
        assert_eq!(refused(comment(bad)).await, (100, 0), "{bad}");
    }
    let live = world.visible("instagram");
    assert_eq!((live.len(), live[1].reply_to.as_ref()), (3, Some(&on)));
    let delete =
        |id: &str| world.client.delete(world.url(&format!("{V}/{id}"))).bearer_auth("sandbox-ann");
    ok(delete(&first)).await;
    assert_eq!(refused(get(&world, &first)).await, (100, 33));
    ok(delete(&on)).await;
    assert!(world.visible("instagram").is_empty(), "comments go with their post");
}

#[tokio::test]
async fn a_container_is_made_polled_published_once_and_read_back() {
    let world = start().await;
    let at = host(vec![jpeg(1_080, 1_350)]).await;
    let image = json!({"image_url": format!("{at}/0"), "caption": "Hi #a", "alt_text": "A wall"});
    let id = container(&world, image).await;
    assert_eq!(refused(publish(&world, &id)).await, (9_007, 2_207_027));
    assert_eq!(state(&world, &id).await, "IN_PROGRESS");
    assert_eq!(refused(publish(&world, &id)).await, (9_007, 2_207_027));
    assert_eq!(state(&world, &id).await, "FINISHED");
    assert!(world.sandbox.ledger("instagram").is_empty());

    let media = ok(publish(&world, &id)).await["id"].as_str().unwrap().to_owned();
    assert_eq!(refused(publish(&world, &id)).await, (24, 2_207_008));
    assert_eq!(state(&world, &id).await, "PUBLISHED");
    let posts = world.sandbox.ledger("instagram");
    assert_eq!((posts.len(), posts[0].id.as_str()), (1, media.as_str()));
    assert_eq!((posts[0].text.as_str(), posts[0].media[0].alt.as_str()), ("Hi #a", "A wall"));

    let fields = "id,caption,permalink,media_type,media_product_type,timestamp,children{id}";
    let node = ok(get(&world, &format!("{media}?fields={fields}"))).await;
    assert_eq!(node["timestamp"], "2026-11-18T11:06:40+0000");
    assert_eq!(node["media_product_type"], "FEED");
    assert!(node.get("children").is_none());
    let page = world.client.get(node["permalink"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let list = ok(get(&world, "ann/media?fields=id,caption&limit=10")).await;
    assert_eq!(list["data"], json!([{"id": media, "caption": "Hi #a"}]));
    assert_eq!(refused(get(&world, &format!("{media}?fields=colour"))).await, (100, 0));

    let delete = world.client.delete(world.url(&format!("{V}/{media}"))).bearer_auth("sandbox-ann");
    assert_eq!(ok(delete.try_clone().unwrap()).await, json!({"success": true}));
    assert_eq!(refused(delete).await, (100, 33));
    assert!(world.visible("instagram").is_empty());
}

#[tokio::test]
async fn processing_can_be_drawn_out_and_a_container_ends_after_a_day() {
    let world = start().await;
    let at = host(vec![jpeg(1_000, 1_000)]).await;
    let id = container(&world, json!({"image_url": format!("{at}/0")})).await;
    world.sandbox.add_fault(Fault::new("instagram", Calls::Prepare, Trouble::Processing).times(3));
    for _ in 0..4 {
        assert_eq!(state(&world, &id).await, "IN_PROGRESS");
    }
    assert_eq!(state(&world, &id).await, "FINISHED");
    world.pass(86_400);
    assert_eq!(state(&world, &id).await, "EXPIRED");
    assert_eq!(refused(publish(&world, &id)).await, (24, 2_207_008));
}

#[tokio::test]
async fn pictures_are_fetched_and_held_to_the_rules() {
    let world = start().await;
    let at = host(vec![
        jpeg(1_000, 1_000),
        png(1_000, 1_000),
        jpeg(1_080, 1_920),
        jpeg(2_000, 1_000),
        b"<html>".to_vec(),
        {
            let mut big = jpeg(1_000, 1_000);
            big.resize((8 << 20) + 1, 0);
            big
        },
    ])
    .await;
    let make = |file: &str| post(&world, "ann/media", json!({"image_url": format!("{at}/{file}")}));
    ok(make("0")).await;
    for (file, error) in [
        ("1", (36_001, 2_207_005)),
        ("2", (36_003, 2_207_009)),
        ("3", (36_003, 2_207_009)),
        ("4", (36_001, 2_207_005)),
        ("5", (36_000, 2_207_004)),
        ("moved", (9_004, 2_207_052)),
        ("none", (9_004, 2_207_052)),
    ] {
        assert_eq!(refused(make(file)).await, error, "{file}");
    }
    let url = json!({"image_url": "nonsense"});
    assert_eq!(refused(post(&world, "ann/media", url)).await, (9_004, 2_207_052));
    assert_eq!(refused(post(&world, "ann/media", json!({}))).await, (100, 0));
    let odd = json!({"media_type": "HOLOGRAM"});
    assert_eq!(refused(post(&world, "ann/media", odd)).await, (100, 2_207_023));
    for caption in ["x".repeat(2_201), "#a ".repeat(31), "@a ".repeat(21)] {
        let body = json!({"image_url": format!("{at}/0"), "caption": caption});
        assert_eq!(refused(post(&world, "ann/media", body)).await, (36_004, 2_207_010));
    }
    // A story may be 9:16, and is no post of the feed.
    let story = json!({"image_url": format!("{at}/2"), "media_type": "STORIES"});
    let id = finished(&world, story).await;
    let media = ok(publish(&world, &id)).await["id"].clone();
    assert_eq!(ok(get(&world, "ann/media")).await["data"], json!([]));
    let stories = "ann/stories?fields=id,media_product_type";
    let story = json!([{"id": media, "media_product_type": "STORY"}]);
    assert_eq!(ok(get(&world, stories)).await["data"], story);
    assert_eq!(world.sandbox.ledger("instagram")[0].placement, "story");
    world.pass(86_401);
    assert_eq!(ok(get(&world, stories)).await["data"], json!([]));
}

#[tokio::test]
async fn a_carousel_holds_two_to_ten_finished_children() {
    let world = start().await;
    let at = host(vec![jpeg(1_000, 1_000), jpeg(1_080, 1_350)]).await;
    let child = |file: u8| json!({"image_url": format!("{at}/{file}"), "is_carousel_item": true});
    let one = finished(&world, child(0)).await;
    let two = container(&world, child(1)).await;
    let carousel = |children: String| {
        let body = json!({"media_type": "CAROUSEL", "children": children, "caption": "Both"});
        post(&world, "ann/media", body)
    };
    assert_eq!(refused(carousel(one.clone())).await, (100, 2_207_028));
    assert_eq!(refused(carousel(vec![one.clone(); 11].join(","))).await, (100, 2_207_028));
    assert_eq!(refused(carousel(format!("{one},{two}"))).await, (9_007, 2_207_027));
    assert_eq!(refused(carousel(format!("{one},1"))).await, (24, 2_207_008));
    while state(&world, &two).await == "IN_PROGRESS" {}
    let id = ok(carousel(format!("{one},{two}"))).await["id"].as_str().unwrap().to_owned();
    assert_eq!(refused(publish(&world, &id)).await, (9_007, 2_207_027));
    while state(&world, &id).await == "IN_PROGRESS" {}
    assert_eq!(refused(publish(&world, &one)).await, (100, 0));
    let media = ok(publish(&world, &id)).await["id"].as_str().unwrap().to_owned();
    let node = ok(get(&world, &format!("{media}?fields=media_type,children{{media_type}}"))).await;
    assert_eq!(node["media_type"], "CAROUSEL_ALBUM");
    assert_eq!(node["children"]["data"].as_array().unwrap().len(), 2);
    let posts = world.sandbox.ledger("instagram");
    assert_eq!((posts.len(), posts[0].media.len(), posts[0].text.as_str()), (1, 2, "Both"));
}

#[tokio::test]
async fn a_hundred_posts_a_moving_day_and_no_more() {
    let world = start().await;
    let at = host(vec![jpeg(1_000, 1_000)]).await;
    let image = json!({"image_url": format!("{at}/0")});
    for _ in 0..100 {
        let id = finished(&world, image.clone()).await;
        ok(publish(&world, &id)).await;
        world.pass(1);
    }
    let one_more = finished(&world, image).await;
    let limit = ok(get(&world, "ann/content_publishing_limit?fields=quota_usage,config")).await;
    assert_eq!(limit["data"][0]["quota_usage"], 100);
    assert_eq!(limit["data"][0]["config"], json!({"quota_total": 100, "quota_duration": 86_400}));
    assert_eq!(refused(publish(&world, &one_more)).await, (9, 2_207_042));
    world.pass(86_400 - 101);
    assert_eq!(refused(publish(&world, &one_more)).await, (9, 2_207_042));
    // The first post is a day old now, and the container is not.
    world.pass(1);
    ok(publish(&world, &one_more)).await;

    let page = ok(get(&world, "ann/media?limit=40")).await;
    let next = page["paging"]["next"].as_str().unwrap();
    let second = ok(world.client.get(next)).await;
    assert_eq!(second["data"].as_array().unwrap().len(), 40);
    assert!(page["data"][39]["id"].as_str() > second["data"][0]["id"].as_str());
}

#[tokio::test]
async fn tokens_open_their_own_account_only() {
    let world = start().await;
    let node = ok(get(&world, "ann?fields=id,username,profile_picture_url")).await;
    assert_eq!((&node["id"], &node["username"]), (&json!("ann"), &json!("ann")));
    assert_eq!(refused(get(&world, "bob?fields=id")).await, (100, 33));
    let wrong = world.get(&format!("{V}/ann?access_token=wrong"));
    assert_eq!(refused(wrong).await, (190, 0));
    let accounts = ok(get(&world, "me/accounts?fields=id,instagram_business_account")).await;
    assert_eq!(accounts["data"][0]["instagram_business_account"]["id"], "ann");
    world.sandbox.add_fault(Fault::new("instagram", Calls::Read, Trouble::RateLimit).ms(60_001));
    let answer = get(&world, "ann").send().await.unwrap();
    let usage = answer.headers()["x-business-use-case-usage"].to_str().unwrap().to_owned();
    let usage: Value = serde_json::from_str(&usage).unwrap();
    assert_eq!(usage["ann"][0]["estimated_time_to_regain_access"], 2);
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], 4);
    world.sandbox.add_fault(Fault::new("instagram", Calls::Read, Trouble::Auth));
    assert_eq!(refused(get(&world, "ann")).await, (190, 460));
    world.sandbox.add_fault(Fault::new("instagram", Calls::Read, Trouble::ServerError));
    assert_eq!(refused(get(&world, "ann")).await, (2, 0));
}

#[tokio::test]
async fn a_film_is_uploaded_to_its_container_and_worked_on_by_the_clock() {
    let world = start().await;
    let film = mp4(1_080, 1_920, 30);
    let body = json!({"media_type": "REELS", "upload_type": "resumable", "caption": "Reel"});
    let made = ok(post(&world, "ann/media", body)).await;
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(made["uri"].as_str().unwrap().ends_with(&format!("/ig-api-upload/v25.0/{id}")));
    assert_eq!(state(&world, &id).await, "IN_PROGRESS");
    let send = |at: usize, bytes: &[u8]| {
        world
            .post(&format!("/instagram/ig-api-upload/v25.0/{id}"))
            .header("authorization", "OAuth sandbox-ann")
            .header("offset", at)
            .header("file_size", film.len())
            .body(bytes.to_vec())
    };
    let (code, body) = said(send(0, &film[..60])).await;
    assert_eq!((code, &body["debug_info"]["type"]), (400, &json!("PartialRequestError")));
    let node = ok(get(&world, &format!("{id}?fields=status_code,video_status"))).await;
    assert_eq!(node["video_status"]["uploading_phase"]["bytes_transferred"], 60);
    ok(send(60, &film[60..])).await;
    for _ in 0..3 {
        assert_eq!(state(&world, &id).await, "IN_PROGRESS");
    }
    assert_eq!(refused(publish(&world, &id)).await, (9_007, 2_207_027));
    world.pass(20);
    assert_eq!(state(&world, &id).await, "FINISHED");
    let media = ok(publish(&world, &id)).await["id"].as_str().unwrap().to_owned();
    let node = ok(get(&world, &format!("{media}?fields=media_type,media_product_type"))).await;
    assert_eq!(
        (&node["media_type"], &node["media_product_type"]),
        (&json!("VIDEO"), &json!("REELS"))
    );

    let at = host(vec![mp4(1_080, 1_920, 61), mp4(1_080, 1_920, 2)]).await;
    for (kind, file) in [("STORIES", 0), ("REELS", 1)] {
        let body = json!({"media_type": kind, "video_url": format!("{at}/{file}")});
        let id = container(&world, body).await;
        world.pass(20);
        let node = ok(get(&world, &format!("{id}?fields=status_code,status"))).await;
        assert_eq!(node["status_code"], "ERROR", "{kind}");
        assert!(node["status"].as_str().unwrap().contains("2207026"), "{node}");
    }
}
