//! Telegram, call by call, against networks.md §13.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{World, ok, png, said, start};

/// Numbers start at the seconds of the year 2026.
const FIRST: i64 = 27_774_400;

fn bot(world: &World, method: &str) -> reqwest::RequestBuilder {
    world.post(&format!("/telegram/bot123:sandbox-ann/{method}"))
}

async fn refused(request: reqwest::RequestBuilder) -> (u16, String) {
    let (status, body) = said(request).await;
    assert_eq!(
        (body["ok"].clone(), body["error_code"].as_u64()),
        (json!(false), Some(status.into()))
    );
    (status, body["description"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_bot_knows_itself_and_its_rights() {
    let world = start().await;
    let me = ok(world.get("/telegram/bot123:sandbox-ann/getMe")).await["result"].clone();
    assert_eq!((&me["id"], &me["username"]), (&json!(123), &json!("ann_bot")));
    let (status, _) = refused(world.get("/telegram/bot123:wrong/getMe")).await;
    assert_eq!(status, 401);
    let (status, _) = refused(bot(&world, "sing")).await;
    assert_eq!(status, 404);
    let member =
        |chat: &str| bot(&world, "getChatMember").json(&json!({"chat_id": chat, "user_id": 123}));
    assert_eq!(ok(member("@bikes")).await["result"]["can_post_messages"], true);
    assert_eq!(ok(member("@noadmin")).await["result"]["status"], "member");
    let (_, why) = refused(member("@nochat")).await;
    assert_eq!(why, "Bad Request: chat not found");
    let chat = ok(bot(&world, "getChat").form(&[("chat_id", "@bikes")])).await;
    assert_eq!(chat["result"]["username"], "bikes");
}

#[tokio::test]
async fn a_message_is_parsed_measured_and_shown() {
    let world = start().await;
    let send = |body: Value| bot(&world, "sendMessage").json(&body);
    let html = json!({"chat_id": "@bikes", "text": "<b>Hi</b> &amp; bye", "parse_mode": "HTML"});
    let sent = ok(send(html)).await["result"].clone();
    assert_eq!((&sent["text"], &sent["message_id"]), (&json!("Hi & bye"), &json!(FIRST)));
    assert_eq!(sent["entities"][0], json!({"type": "bold", "offset": 0, "length": 2}));
    let post = &world.sandbox.ledger("telegram")[0];
    assert_eq!(post.id, format!("{}/{FIRST}", sent["chat"]["id"]));
    assert_eq!((post.text.as_str(), post.account.as_str()), ("Hi & bye", "ann"));

    // 4,096 units after parsing: an emoji is two of them, and tags are none.
    let text = format!("<i>{}</i>", "😀".repeat(2_048));
    ok(send(json!({"chat_id": "-1001", "text": text, "parse_mode": "HTML"}))).await;
    for (body, why) in [
        (json!({"chat_id": "@bikes", "text": "😀".repeat(2_049)}), "message is too long"),
        (json!({"chat_id": "@bikes", "text": " "}), "message text is empty"),
        (json!({"chat_id": "@bikes"}), "message text is empty"),
        (json!({"chat_id": "@nochat", "text": "x"}), "chat not found"),
        (
            json!({"chat_id": "@noadmin", "text": "x"}),
            "need administrator rights in the channel chat",
        ),
        (
            json!({"chat_id": "@bikes", "text": "<b>x", "parse_mode": "HTML"}),
            "can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
    ] {
        assert_eq!(refused(send(body)).await, (400, format!("Bad Request: {why}")));
    }
    assert_eq!(world.visible("telegram").len(), 2);
}

#[tokio::test]
async fn photos_come_as_files_addresses_and_ids() {
    let world = start().await;
    let part = Part::bytes(png(640, 480)).file_name("a.png").mime_str("image/png").unwrap();
    let form = Form::new()
        .text("chat_id", "@bikes")
        .text("caption", "<u>Look</u>")
        .text("parse_mode", "HTML")
        .part("photo", part);
    let sent = ok(bot(&world, "sendPhoto").multipart(form)).await["result"].clone();
    assert_eq!((&sent["caption"], &sent["photo"][0]["width"]), (&json!("Look"), &json!(640)));
    let shown = world.sandbox.ledger("telegram")[0].media[0].clone();
    assert_eq!(shown.bytes, 29);

    let send = |photo: String| {
        bot(&world, "sendPhoto").json(&json!({"chat_id": "@bikes", "photo": photo}))
    };
    ok(send(world.url(&shown.url))).await;
    ok(send(sent["photo"][0]["file_id"].as_str().unwrap().to_owned())).await;
    assert_eq!(world.visible("telegram").len(), 3);
    for (photo, why) in [
        (world.url("/_media/none.png"), "failed to get HTTP URL content"),
        (world.url("/_faults"), "wrong type of the web page content"),
        ("nonsense".to_owned(), "wrong file identifier/HTTP URL specified"),
    ] {
        assert_eq!(refused(send(photo)).await.1, format!("Bad Request: {why}"));
    }
    let part = Part::bytes(png(9_000, 1_001)).file_name("a.png");
    let form = Form::new().text("chat_id", "@bikes").part("photo", part);
    let (_, why) = refused(bot(&world, "sendPhoto").multipart(form)).await;
    assert_eq!(why, "Bad Request: PHOTO_INVALID_DIMENSIONS");
    let part = Part::bytes(png(10, 10)).file_name("a.png");
    let caption = "x".repeat(1_025);
    let form = Form::new().text("chat_id", "@bikes").text("caption", caption).part("photo", part);
    let (_, why) = refused(bot(&world, "sendPhoto").multipart(form)).await;
    assert_eq!(why, "Bad Request: message caption is too long");
}

#[tokio::test]
async fn an_album_is_one_post_that_goes_with_its_last_message() {
    let world = start().await;
    let media = json!([
        {"type": "photo", "media": "attach://one", "caption": "Two pictures"},
        {"type": "photo", "media": "attach://two"},
    ]);
    let part = |width| Part::bytes(png(width, 10)).file_name("a.png");
    let form = Form::new()
        .text("chat_id", "-1002000000000")
        .text("media", media.to_string())
        .part("one", part(10))
        .part("two", part(20));
    let sent = ok(bot(&world, "sendMediaGroup").multipart(form)).await["result"].clone();
    assert_eq!(sent.as_array().unwrap().len(), 2);
    assert_eq!(sent[0]["media_group_id"], sent[1]["media_group_id"]);
    let posts = world.sandbox.ledger("telegram");
    assert_eq!((posts.len(), posts[0].media.len()), (1, 2));
    assert_eq!(
        (posts[0].id.as_str(), posts[0].text.as_str()),
        (&*format!("-1002000000000/{FIRST}"), "Two pictures")
    );

    let delete = |id: i64| {
        bot(&world, "deleteMessage").json(&json!({"chat_id": "-1002000000000", "message_id": id}))
    };
    ok(delete(FIRST)).await;
    assert_eq!(world.visible("telegram").len(), 1);
    ok(delete(FIRST + 1)).await;
    assert!(world.visible("telegram").is_empty());
    let (_, why) = refused(delete(FIRST + 1)).await;
    assert_eq!(why, "Bad Request: message to delete not found");
    let one = json!({"chat_id": "@bikes", "media": [{"type": "photo", "media": "x"}]});
    assert_eq!(refused(bot(&world, "sendMediaGroup").json(&one)).await.0, 400);
}

#[tokio::test]
async fn a_message_is_edited_in_place() {
    let world = start().await;
    let body = json!({"chat_id": "@bikes", "text": "one"});
    ok(bot(&world, "sendMessage").json(&body)).await;
    let edit = |id: i64| {
        let body = json!({"chat_id": "@bikes", "message_id": id, "text": "two"});
        bot(&world, "editMessageText").json(&body)
    };
    ok(edit(FIRST)).await;
    assert_eq!(world.sandbox.ledger("telegram")[0].text, "two");
    assert_eq!(refused(edit(FIRST + 1)).await.1, "Bad Request: message to edit not found");
}
