//! Facebook, call by call, against networks.md §1.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{World, consent, host, jpeg, mp4, ok, png, said, start};

const V: &str = "/facebook/v25.0";

fn get(world: &World, path: &str) -> reqwest::RequestBuilder {
    world.get(&format!("{V}/{path}")).bearer_auth("sandbox-ann")
}

fn post(world: &World, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    world.post(&format!("{V}/{path}")).bearer_auth("sandbox-ann").form(form)
}

fn delete(world: &World, id: &str) -> reqwest::RequestBuilder {
    world.client.delete(world.url(&format!("{V}/{id}"))).bearer_auth("sandbox-ann")
}

async fn refused(request: reqwest::RequestBuilder) -> (u64, u64) {
    let (status, body) = said(request).await;
    assert_eq!(status, 400, "{body}");
    let error = &body["error"];
    (error["code"].as_u64().unwrap(), error["error_subcode"].as_u64().unwrap_or(0))
}

async fn id(request: reqwest::RequestBuilder) -> String {
    ok(request).await["id"].as_str().unwrap().to_owned()
}

/// An unpublished photo of the page.
async fn photo(world: &World, at: &str) -> String {
    let url = format!("{at}/0");
    let form = [("url", url.as_str()), ("published", "false"), ("alt_text_custom", "A wall")];
    id(post(world, "ann/photos", &form)).await
}

#[tokio::test]
async fn a_comment_is_made_read_and_deleted_with_its_post() {
    let world = start().await;
    let on = id(post(&world, "ann/feed", &[("message", "Hello")])).await;
    let mut made = Vec::new();
    for text in ["First", "Second", "Third"] {
        made.push(id(post(&world, &format!("{on}/comments"), &[("message", text)])).await);
        world.pass(1);
    }
    let live = world.visible("facebook");
    let told: Vec<_> = live.iter().map(|p| (p.placement.as_str(), p.reply_to.as_deref())).collect();
    let comment = ("comment", Some(on.as_str()));
    assert_eq!(told, [("feed", None), comment, comment, comment]);
    let ids = |body: &Value| -> Vec<String> {
        let data = body["data"].as_array().unwrap().iter();
        data.map(|c| c["id"].as_str().unwrap().to_owned()).collect()
    };
    let listed = ok(get(&world, &format!("{on}/comments"))).await;
    assert_eq!(ids(&listed), made);
    assert_eq!(listed["data"][0]["message"], "First");
    let query = "comments?filter=stream&order=reverse_chronological&limit=2&fields=id,from";
    let newest = ok(get(&world, &format!("{on}/{query}"))).await;
    assert_eq!(ids(&newest), [made[2].clone(), made[1].clone()]);
    assert_eq!(newest["data"][0]["from"]["id"], "ann");
    let next = newest["paging"]["next"].as_str().unwrap();
    let rest = ok(world.client.get(next).bearer_auth("sandbox-ann")).await;
    assert_eq!(ids(&rest), made[..1]);

    assert_eq!(
        refused(post(&world, &format!("{on}/comments"), &[("message", " ")])).await,
        (100, 0)
    );
    assert_eq!(refused(post(&world, "ann_1/comments", &[("message", "x")])).await, (100, 33));
    ok(delete(&world, &made[1])).await;
    assert_eq!(refused(get(&world, &made[1])).await, (100, 33));
    assert_eq!(world.visible("facebook").len(), 3);
    ok(delete(&world, &on)).await;
    assert!(world.visible("facebook").is_empty(), "comments go with their post");
}

#[tokio::test]
async fn a_post_is_made_read_edited_and_deleted() {
    let world = start().await;
    let form =
        [("message", "Hello"), ("link", "https://a.example/x"), ("fields", "id,permalink_url")];
    let made = ok(post(&world, "ann/feed", &form)).await;
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("ann_"), "{id}");
    let page = world.client.get(made["permalink_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let ledger = world.sandbox.ledger("facebook");
    assert_eq!((ledger[0].id.as_str(), ledger[0].text.as_str()), (id, "Hello"));
    assert_eq!(ledger[0].media[0].kind, "link");

    let fields =
        "message,is_published,created_time,attachments{url},reactions.summary(total_count)";
    let node = ok(get(&world, &format!("{id}?fields={fields}"))).await;
    assert_eq!((&node["message"], &node["is_published"]), (&json!("Hello"), &json!(true)));
    assert_eq!(node["created_time"], "2026-11-18T11:06:40+0000");
    assert_eq!(node["reactions"]["summary"]["total_count"], 0);
    assert_eq!(refused(get(&world, &format!("{id}?fields=mood"))).await, (100, 0));

    ok(post(&world, id, &[("message", "Better")])).await;
    assert_eq!(world.sandbox.ledger("facebook")[0].text, "Better");
    assert_eq!(ok(delete(&world, id)).await, json!({"success": true}));
    assert_eq!(refused(delete(&world, id)).await, (100, 33));
    assert_eq!(refused(get(&world, id)).await, (100, 33));
    assert!(world.visible("facebook").is_empty());
}

#[tokio::test]
async fn an_unpublished_post_appears_by_one_flip_that_can_be_repeated() {
    let world = start().await;
    let form = [("message", "Soon"), ("published", "false")];
    let post_id = id(post(&world, "ann/feed", &form)).await;
    assert!(world.sandbox.ledger("facebook").is_empty());
    let flag = format!("{post_id}?fields=is_published");
    assert_eq!(ok(get(&world, &flag)).await["is_published"], false);
    assert_eq!(ok(get(&world, "ann/published_posts")).await["data"], json!([]));
    world.pass(60);
    for _ in 0..2 {
        ok(post(&world, &post_id, &[("is_published", "true")])).await;
    }
    assert_eq!(ok(get(&world, &flag)).await["is_published"], true);
    let ledger = world.sandbox.ledger("facebook");
    assert_eq!((ledger.len(), ledger[0].created_at.as_str()), (1, "2026-11-18T11:07:40.000Z"));
    let listed = ok(get(&world, "ann/published_posts?fields=id,message,created_time")).await;
    assert_eq!(listed["data"][0]["id"], json!(post_id));
    let calls: Vec<_> = world.sandbox.requests("facebook").iter().map(|r| r.call).collect();
    use carillon_sandbox::Calls::{Prepare, Publish, Read};
    assert_eq!(calls, [Prepare, Read, Read, Publish, Publish, Read, Read]);
}

#[tokio::test]
async fn photos_are_attached_in_every_written_form() {
    let world = start().await;
    let at = host(vec![jpeg(1_000, 1_000)]).await;
    let (one, two) = (photo(&world, &at).await, photo(&world, &at).await);
    let json_array = json!([{"media_fbid": one}, {"media_fbid": two}]).to_string();
    id(post(&world, "ann/feed", &[("message", "A"), ("attached_media", &json_array)])).await;
    assert_eq!(
        refused(post(&world, "ann/feed", &[("attached_media", &json_array)])).await,
        (100, 1_366_051)
    );

    let (one, two) = (photo(&world, &at).await, photo(&world, &at).await);
    let (first, second) =
        (json!({"media_fbid": one}).to_string(), json!({"media_fbid": two}).to_string());
    let form = [("attached_media[0]", first.as_str()), ("attached_media[1]", second.as_str())];
    id(post(&world, "ann/feed", &form)).await;
    let (one, two) = (photo(&world, &at).await, photo(&world, &at).await);
    let form = [
        ("attached_media[0][media_fbid]", one.as_str()),
        ("attached_media[1][media_fbid]", two.as_str()),
    ];
    id(post(&world, "ann/feed", &form)).await;
    let one = photo(&world, &at).await;
    let body = json!({"message": "JSON", "attached_media": [{"media_fbid": one}]});
    let request = world.post(&format!("{V}/ann/feed")).bearer_auth("sandbox-ann").json(&body);
    id(request).await;
    let ledger = world.sandbox.ledger("facebook");
    assert_eq!(ledger.iter().map(|post| post.media.len()).collect::<Vec<_>>(), [2, 2, 2, 1]);
    assert_eq!(ledger[0].media[1].alt, "A wall");
    let wrong = [("message", "x"), ("attached_media", "[{\"media_fbid\":\"1\"}]")];
    assert_eq!(refused(post(&world, "ann/feed", &wrong)).await, (100, 0));
}

#[tokio::test]
async fn a_photo_is_a_post_with_an_id_of_its_own_or_a_story() {
    let world = start().await;
    let at = host(vec![jpeg(1_000, 1_000), b"GIF89a\x01\0\x01\0".to_vec()]).await;
    let part = Part::bytes(png(640, 480)).file_name("a.png").mime_str("image/png").unwrap();
    let form = Form::new().text("caption", "Look").part("source", part);
    let request = world.post(&format!("{V}/ann/photos")).bearer_auth("sandbox-ann");
    let made = ok(request.multipart(form)).await;
    let ledger = world.sandbox.ledger("facebook");
    assert_eq!(made["post_id"], json!(ledger[0].id));
    assert_ne!(made["id"], made["post_id"]);
    assert_eq!((ledger[0].text.as_str(), ledger[0].media[0].bytes), ("Look", 29));

    let story = photo(&world, &at).await;
    let made = ok(post(&world, "ann/photo_stories", &[("photo_id", &story)])).await;
    assert_eq!(made["success"], true);
    let listed = ok(get(&world, "ann/stories?status=PUBLISHED&since=1795000000")).await;
    assert_eq!(listed["data"][0]["post_id"], made["post_id"].to_string());
    assert_eq!(listed["data"][0]["media_id"], json!(story));
    assert_eq!(world.sandbox.ledger("facebook")[1].placement, "story");
    assert_eq!(ok(get(&world, "ann/published_posts")).await["data"].as_array().unwrap().len(), 1);

    let gif = [("url", &*format!("{at}/1"))];
    assert_eq!(refused(post(&world, "ann/photos", &gif)).await, (100, 1_366_046));
    let moved = [("url", &*format!("{at}/moved"))];
    assert_eq!(refused(post(&world, "ann/photos", &moved)).await, (100, 2_061_006));
    assert_eq!(refused(post(&world, "ann/photos", &[])).await, (100, 0));
}

#[tokio::test]
async fn posts_are_listed_newest_first_since_a_time() {
    let world = start().await;
    for at in 0..30 {
        id(post(&world, "ann/feed", &[("message", &format!("No. {at}"))])).await;
        world.pass(10);
    }
    let list = |query: &str| get(&world, &format!("ann/published_posts?fields=message&{query}"));
    let page = ok(list("")).await;
    assert_eq!(page["data"].as_array().unwrap().len(), 25);
    assert_eq!(page["data"][0]["message"], "No. 29");
    let next = page["paging"]["next"].as_str().unwrap();
    let rest = ok(world.client.get(next).bearer_auth("sandbox-ann")).await;
    assert_eq!(
        (rest["data"].as_array().unwrap().len(), &rest["data"][0]["message"]),
        (5, &json!("No. 4"))
    );
    assert!(rest["paging"].get("next").is_none());
    let since = ok(list("since=1795000270&limit=100")).await;
    assert_eq!(since["data"].as_array().unwrap().len(), 3);
    assert_eq!(refused(list("limit=1000")).await, (100, 0));
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let world = start().await;
    let long = "x".repeat(63_207);
    type Form<'f> = &'f [(&'f str, &'f str)];
    let cases: [(Form<'_>, (u64, u64)); 6] = [
        (&[], (100, 0)),
        (&[("message", " ")], (100, 0)),
        (&[("message", &long)], (100, 0)),
        (&[("message", "x"), ("link", "nonsense")], (100, 0)),
        (&[("message", "x"), ("link", "https://www.facebook.com/x")], (100, 1_609_008)),
        (&[("message", "x"), ("published", "false"), ("scheduled_publish_time", "1")], (100, 0)),
    ];
    for (form, error) in cases {
        assert_eq!(refused(post(&world, "ann/feed", form)).await, error);
    }
    assert_eq!(refused(post(&world, "bob/feed", &[("message", "x")])).await, (200, 0));
    let wrong =
        world.post(&format!("{V}/ann/feed")).form(&[("message", "x"), ("access_token", "y")]);
    assert_eq!(refused(wrong).await, (190, 0));
    assert_eq!(refused(world.get(&format!("{V}/ann"))).await, (104, 0));
    assert!(world.sandbox.ledger("facebook").is_empty());
    let pages =
        ok(get(&world, "me/accounts?fields=id,name,access_token,picture.type(large)")).await;
    assert_eq!(pages["data"][0]["access_token"], "sandbox-ann");
    assert_eq!(ok(get(&world, "ann?fields=id,name")).await, json!({"id": "ann", "name": "ann"}));
    let granted: Value = ok(get(&world, "me/permissions")).await;
    assert_eq!(granted["data"][1]["permission"], "pages_manage_posts");
}

fn rupload(
    world: &World,
    video: &str,
    at: usize,
    total: usize,
    bytes: &[u8],
) -> reqwest::RequestBuilder {
    world
        .post(&format!("/facebook/video-upload/v25.0/{video}"))
        .header("authorization", "OAuth sandbox-ann")
        .header("offset", at)
        .header("file_size", total)
        .body(bytes.to_vec())
}

async fn status(world: &World, video: &str) -> Value {
    ok(get(world, &format!("{video}?fields=status"))).await["status"].take()
}

#[tokio::test]
async fn a_reel_is_uploaded_finished_and_shown_after_a_while() {
    let world = start().await;
    let film = mp4(1080, 1920, 30);
    let started = ok(post(&world, "ann/video_reels", &[("upload_phase", "start")])).await;
    let id = started["video_id"].as_str().unwrap().to_owned();
    assert!(started["upload_url"].as_str().unwrap().contains("/video-upload/v25.0/"), "{started}");
    let finish = [("upload_phase", "finish"), ("video_id", &*id), ("video_state", "PUBLISHED")];
    assert_eq!(refused(post(&world, "ann/video_reels", &finish)).await, (6_000, 0));

    for (request, kind) in [
        (world.post(&format!("/facebook/video-upload/v25.0/{id}")), "NotAuthorizedError"),
        (
            world
                .post(&format!("/facebook/video-upload/v25.0/{id}"))
                .header("authorization", "OAuth sandbox-ann"),
            "ParameterValidationError",
        ),
        (rupload(&world, &id, 7, film.len(), &film), "OffsetInvalidError"),
        (rupload(&world, &id, 0, film.len(), &film[..50]), "PartialRequestError"),
    ] {
        let (code, body) = said(request).await;
        assert_eq!((code, &body["debug_info"]["type"]), (400, &json!(kind)));
    }
    let phase = status(&world, &id).await["uploading_phase"].take();
    assert_eq!(phase, json!({"status": "in_progress", "bytes_transfered": 50}));
    let sent = ok(rupload(&world, &id, 50, film.len(), &film[50..])).await;
    assert_eq!(sent["success"], true);
    assert_eq!(status(&world, &id).await["video_status"], "upload_complete");

    let wrong = [("upload_phase", "finish"), ("video_id", &*id)];
    assert_eq!(refused(post(&world, "ann/video_reels", &wrong)).await, (100, 0));
    assert_eq!(ok(post(&world, "ann/video_reels", &finish)).await, json!({"success": true}));
    assert_eq!(status(&world, &id).await["processing_phase"]["status"], "in_progress");
    assert!(world.visible("facebook").is_empty());
    world.pass(20);
    let live = world.visible("facebook");
    assert_eq!((live[0].id.as_str(), live[0].placement.as_str()), (id.as_str(), "reel"));
    let shown = status(&world, &id).await;
    assert_eq!(shown["publishing_phase"]["publish_status"], "published");
    let node = ok(get(&world, &format!("{id}?fields=permalink_url,published,post_id"))).await;
    assert_eq!(node["permalink_url"], format!("/posts/facebook/{id}"));
    let listed = ok(get(&world, "ann/published_posts?fields=id,attachments")).await;
    assert_eq!(listed["data"][0]["id"], node["post_id"]);
    assert_eq!(listed["data"][0]["attachments"]["data"][0]["media_type"], "video");
    // The upload is spent.
    assert_eq!(refused(post(&world, "ann/video_reels", &finish)).await, (100, 0));
    ok(delete(&world, &id)).await;
    assert!(world.visible("facebook").is_empty());
    assert_eq!(refused(get(&world, &id)).await, (100, 33));
}

#[tokio::test]
async fn a_chunked_upload_says_what_it_wants_next() {
    let world = start().await;
    let mut film = mp4(1920, 1080, 100);
    film.resize(100_000, 7);
    assert_eq!(refused(post(&world, "ann/videos", &[("upload_phase", "start")])).await, (100, 0));
    let form = [("upload_phase", "start"), ("file_size", "100000")];
    let started = ok(post(&world, "ann/videos", &form)).await;
    assert_eq!((&started["start_offset"], &started["end_offset"]), (&json!("0"), &json!("65536")));
    let session = started["upload_session_id"].as_str().unwrap().to_owned();
    let chunk = |from: usize, to: usize| {
        let part = Part::bytes(film[from..to].to_vec()).file_name("chunk");
        let form = Form::new()
            .text("upload_phase", "transfer")
            .text("upload_session_id", session.clone())
            .text("start_offset", from.to_string())
            .part("video_file_chunk", part);
        world.post(&format!("{V}/ann/videos")).bearer_auth("sandbox-ann").multipart(form)
    };
    let next = ok(chunk(0, 65_536)).await;
    assert_eq!(next, json!({"start_offset": "65536", "end_offset": "100000"}));
    let (code, body) = said(chunk(0, 65_536)).await;
    assert_eq!((code, &body["error"]["error_subcode"]), (400, &json!(1_363_037)));
    assert_eq!(body["error"]["error_data"], next);
    let finish =
        [("upload_phase", "finish"), ("upload_session_id", &*session), ("description", "Words")];
    assert_eq!(refused(post(&world, "ann/videos", &finish)).await, (6_000, 0));
    let next = ok(chunk(65_536, 100_000)).await;
    assert_eq!(next["start_offset"], next["end_offset"]);
    ok(post(&world, "ann/videos", &finish)).await;
    world.pass(20);
    let live = world.visible("facebook");
    assert_eq!((live[0].text.as_str(), live[0].media[0].bytes), ("Words", 100_000));
    let (film, at) = (started["video_id"].as_str().unwrap(), host(vec![mp4(640, 360, 5)]).await);
    let comment = post(&world, &format!("{film}/comments"), &[("message", "First")]);
    id(comment).await;
    assert_eq!(world.visible("facebook")[1].reply_to.as_deref(), Some(film));
    let hosted = [("file_url", &*format!("{at}/0")), ("description", "Fetched")];
    id(post(&world, "ann/videos", &hosted)).await;
    let gone = [("file_url", &*format!("{at}/none"))];
    assert_eq!(refused(post(&world, "ann/videos", &gone)).await, (389, 0));
}

#[tokio::test]
async fn a_video_story_takes_a_film_that_was_worked_on() {
    let world = start().await;
    let film = mp4(1080, 1920, 30);
    let started = ok(post(&world, "ann/video_stories", &[("upload_phase", "start")])).await;
    let id = started["video_id"].as_str().unwrap().to_owned();
    ok(rupload(&world, &id, 0, film.len(), &film)).await;
    let finish = [("upload_phase", "finish"), ("video_id", &*id)];
    assert_eq!(status(&world, &id).await["video_status"], "processing");
    assert_eq!(refused(post(&world, "ann/video_stories", &finish)).await, (1_363_047, 0));
    world.pass(10);
    assert_eq!(status(&world, &id).await["video_status"], "ready");
    let made = ok(post(&world, "ann/video_stories", &finish)).await;
    assert!(made["post_id"].is_number(), "{made}");
    let listed = ok(get(&world, "ann/stories?status=PUBLISHED")).await;
    assert_eq!(
        (&listed["data"][0]["media_id"], &listed["data"][0]["media_type"]),
        (&json!(id), &json!("video"))
    );
    world.pass(86_400);
    assert_eq!(ok(get(&world, "ann/stories?status=PUBLISHED")).await["data"], json!([]));
    assert_eq!(
        ok(get(&world, "ann/stories?status=ARCHIVED")).await["data"][0]["status"],
        "ARCHIVED"
    );
}

#[tokio::test]
async fn a_persons_token_lists_pages_and_posts_nothing() {
    let world = start().await;
    let code = consent(&world, "facebook", "pages_show_list,pages_manage_posts").await;
    let app = [("client_id", "sandbox-app"), ("client_secret", "sandbox-app-secret")];
    let trade = |form: &[(&str, &str)]| {
        world.post(&format!("{V}/oauth/access_token")).form(&[&app, form].concat())
    };
    let code = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", "https://c.example/back"),
    ];
    let short = ok(trade(&code)).await;
    assert_eq!(
        (short["expires_in"].as_i64(), &short["token_type"]),
        (Some(5_400), &json!("bearer"))
    );
    assert!(short.get("scope").is_none(), "{short}");
    assert_eq!(refused(trade(&code)).await, (100, 36_009));
    let short = short["access_token"].as_str().unwrap();
    let lengthen = [("grant_type", "fb_exchange_token"), ("fb_exchange_token", short)];
    let long = ok(trade(&lengthen)).await;
    assert_eq!(long["expires_in"], 5_184_000);
    let long = long["access_token"].as_str().unwrap().to_owned();
    let as_person = |path: &str| world.get(&format!("{V}/{path}")).bearer_auth(&long);
    assert_eq!(ok(as_person("me?fields=name")).await["name"], "ann");
    let granted = ok(as_person("me/permissions")).await;
    let declined = granted["data"].as_array().unwrap().iter().filter(|p| p["status"] == "declined");
    assert_eq!(declined.count(), 4);
    let pages = ok(as_person("me/accounts?fields=id,tasks,access_token&limit=1")).await;
    assert_eq!(
        (&pages["data"][0]["id"], pages["data"].as_array().unwrap().len()),
        (&json!("ann"), 1)
    );
    let rest =
        ok(world.client.get(pages["paging"]["next"].as_str().unwrap()).bearer_auth(&long)).await;
    assert_eq!(rest["data"][0]["tasks"], json!(["ANALYZE", "ADVERTISE"]));
    let say = |token: &str| {
        world.post(&format!("{V}/ann/feed")).bearer_auth(token).form(&[("message", "Hi")])
    };
    assert_eq!(refused(say(&long)).await, (210, 0));
    ok(say(pages["data"][0]["access_token"].as_str().unwrap())).await;
    world.pass(5_400);
    assert_eq!(refused(world.get(&format!("{V}/me")).bearer_auth(short)).await, (190, 463));
    world.pass(60 * 86_400);
    assert_eq!(refused(as_person("me")).await, (190, 463));
    let wrong = world.post(&format!("{V}/oauth/access_token")).form(&[
        ("client_id", "sandbox-app"),
        ("client_secret", "wrong"),
        ("grant_type", "authorization_code"),
    ]);
    assert_eq!(refused(wrong).await, (1, 0));
}
