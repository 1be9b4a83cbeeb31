//! Webhooks against a receiver as the specification has one: signed, and sent once whatever happens.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use carillon_networks::http::{Guard, Http};
use carillon_networks::webhook::Webhook;
use carillon_networks::{
    Account, Applied, Class, Context, Error, Forgetful, Network, Published, Remote, Rendition,
};
use carillon_sandbox::{Calls, Trouble};
use serde_json::Value;

use crate::support::{Desk, account, hosted, jpeg, mp4, post};

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    match Webhook.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn keyed(key: &str, out: &Rendition) -> Rendition {
    Rendition { key: key.to_owned(), ..out.clone() }
}

#[tokio::test]
async fn the_document_says_everything_and_nothing_else() {
    let desk = Desk::of(&Webhook).await;
    let media = vec![hosted(jpeg(90, 60, 1)), hosted(mp4(90, 60, 3, 100))];
    let mut out = post("feed", "Fresh “bread”\nat 7", media);
    out.title = Some("Sunday".to_owned());
    desk.pass(Duration::from_secs(90));
    let remote = publish(&desk, &out).await;
    assert!(desk.opens(&remote).await, "{remote:?}");

    let seen = &desk.visible()[0];
    assert_eq!(seen.text, "Sunday\n\nFresh “bread”\nat 7");
    let kinds: Vec<_> = seen.media.iter().map(|m| (m.kind.as_str(), m.alt.as_str())).collect();
    assert_eq!(kinds, [("image", "Picture “1”"), ("video", "A film")]);

    let sent = desk.sandbox.requests("webhook").pop().unwrap();
    assert_eq!(sent.headers["webhook-id"], out.key);
    assert_eq!(sent.headers["webhook-timestamp"], (desk.now() / 1_000).to_string());
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(
        (&body["type"], &body["timestamp"]),
        (&"post.published".into(), &"2026-11-22T10:00:00.000Z".into())
    );
    let data = body["data"].as_object().unwrap();
    let names: Vec<_> = data.keys().map(String::as_str).collect();
    assert_eq!(names, ["id", "placement", "title", "text", "media", "createdAt"]);
    assert_eq!(data["createdAt"], "2026-11-22T10:00:00.000Z");
    assert_eq!(data["media"][0]["contentType"], "image/jpeg");
}

#[tokio::test]
async fn the_key_makes_it_one_post_and_the_text_does_not() {
    let desk = Desk::of(&Webhook).await;
    let out = post("feed", "Once", vec![]);
    let first = publish(&desk, &out).await;
    // No horizon: a day later it still is the same one, freshly signed.
    desk.pass(Duration::from_secs(86_400));
    assert_eq!(publish(&desk, &out).await, first);
    assert_eq!(desk.visible().len(), 1);
    assert_ne!(publish(&desk, &keyed("another", &out)).await, first);
    assert_eq!(desk.visible().len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_document() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage, Trouble::ResetBeforeAccept] {
        let desk = Desk::of(&Webhook).await;
        let out = post("feed", "Once", vec![]);
        desk.fault(Calls::Publish, trouble);
        let error = Webhook.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");
        // Nothing can be looked up, and that is no error: it would stop the connection.
        assert_eq!(Webhook.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
        desk.pass(Duration::from_secs(60));
        let remote = publish(&desk, &out).await;
        assert_eq!(desk.visible().iter().map(|p| &p.id).collect::<Vec<_>>(), [&remote.id]);
        let bodies: Vec<_> = desk.sandbox.requests("webhook").into_iter().map(|r| r.body).collect();
        assert_eq!(bodies.len(), 2, "one request a call");
        assert_eq!(bodies[0], bodies[1]);
    }
}

#[tokio::test]
async fn a_check_shows_nothing() {
    let desk = Desk::of(&Webhook).await;
    let identity = Webhook.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "127.0.0.1");
    assert!(identity.remote_id.ends_with("/webhook/alice"), "{}", identity.remote_id);
    assert!(desk.visible().is_empty());
    // Five minutes are what a signature is good for; a clock that is off is told as a refusal.
    let (http, base, keeper) = desk.parts();
    let early = desk.now() - 6 * 60_000;
    let second = Duration::from_secs(5);
    let cx = Context::new(http, &desk.account, base, early, second, <_>::default(), keeper);
    let error = Webhook.check(&cx).await.unwrap_err();
    assert_eq!(error.class, Class::Auth);
    assert!(error.sentence.ends_with("signature: the signature is too old."), "{error}");
}

#[tokio::test]
async fn what_has_no_public_address_is_not_sent() {
    let desk = Desk::of(&Webhook).await;
    let out = post("feed", "Hello", vec![jpeg(90, 60, 1)]);
    let error = Webhook.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Config, Applied::No), "{error:?}");
    assert!(desk.sandbox.requests("webhook").is_empty());
}

/// What a receiver that answers everything with the same words makes of a call.
async fn answered_with<T>(
    answer: &'static str,
    ask: impl AsyncFn(&Context<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The document ends with two brackets.
            let (mut read, mut piece) = (Vec::new(), [0; 4_096]);
            while !read.ends_with(b"}}") {
                let length = stream.read(&mut piece).unwrap();
                assert_ne!(length, 0, "the document breaks off");
                read.extend_from_slice(&piece[..length]);
            }
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
            );
            stream.write_all(head.as_bytes()).ok();
        }
    });
    let account: Account =
        account(&[("url", &format!("http://{host}/in"))], &[("secret", "between us")]);
    let http = Http::new(Guard::allowing([host]));
    let second = Duration::from_secs(5);
    ask(&Context::new(&http, &account, "", 0, second, <_>::default(), &Forgetful)).await
}

#[tokio::test]
async fn any_yes_publishes_and_only_a_clear_one_deletes() {
    let out = post("feed", "Hello", vec![]);
    for answer in ["", "ok", "<html>Thanks</html>", "[]"] {
        let published = answered_with(answer, async |cx| Webhook.publish(cx, &out).await).await;
        let Ok(Published::Accepted(remote)) = published else { panic!("{answer}: {published:?}") };
        assert_eq!(remote, Remote { id: out.key.clone(), url: None }, "{answer}");

        let deleted = answered_with(answer, async |cx| Webhook.delete(cx, "7").await).await;
        let error = deleted.unwrap_err();
        assert_eq!(error.code.as_deref(), Some("not_confirmed"), "{answer}: {error:?}");
    }
    let deleted =
        answered_with(r#"{"deleted":true}"#, async |cx| Webhook.delete(cx, "7").await).await;
    deleted.unwrap();
}
