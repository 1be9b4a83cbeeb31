//! A Discord webhook against the sandbox: blind, and its address is a secret from end to end.

use carillon_networks::discord_webhook::DiscordWebhook;
use carillon_networks::{Applied, Class, Network, Prepared, Published, Remote, Rendition};
use carillon_sandbox::{Calls, Trouble};

use crate::support::{Desk, jpeg, post};

const TOKEN: &str = "sandbox-alice";

async fn desk() -> Desk {
    Desk::of(&DiscordWebhook).await
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    assert_eq!(DiscordWebhook.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    match DiscordWebhook.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_webhook_is_checked_by_reading_it() {
    let desk = desk().await;
    let identity = DiscordWebhook.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "alice");
    assert!(identity.settings.contains_key("guildId"));
    assert!(!format!("{identity:?}").contains(TOKEN));
    let url = desk.account.secret("webhookUrl").unwrap();
    for (url, class) in [
        (url.reveal().replace("alice", "bob"), Class::Auth),
        (url.reveal().replace("sandbox-", "x"), Class::Auth),
        (format!("{}/slack", url.reveal()), Class::Config),
        ("https://discord.com/channels/1/2".to_owned(), Class::Config),
    ] {
        let mut desk = Desk::of(&DiscordWebhook).await;
        desk.account = desk.with("webhookUrl", &url);
        let error = DiscordWebhook.check(&desk.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{error:?}");
        assert!(!error.sentence.contains("bob") && !error.sentence.contains("alice"), "{error}");
    }
}

#[tokio::test]
async fn every_message_waits_for_its_answer_and_can_be_taken_down() {
    let mut desk = desk().await;
    desk.account.settings.extend(DiscordWebhook.check(&desk.cx()).await.unwrap().settings);
    let text = publish(&desk, &post("message", "@everyone Hello", vec![])).await;
    let picture = publish(&desk, &post("message", "", vec![jpeg(90, 60, 1)])).await;
    let seen = desk.visible();
    assert_eq!([&seen[0].id, &seen[1].id], [&text.id, &picture.id]);
    assert_eq!(seen[1].media[0].alt, "Picture “1”");
    assert!(text.url.unwrap().ends_with(&text.id));
    let sent = desk.sandbox.requests("discord-webhook");
    let sent: Vec<_> = sent.iter().filter(|r| r.call == Calls::Publish).collect();
    assert!(sent.iter().all(|r| r.query["wait"] == "true" && r.body.contains(r#""parse":[]"#)));
    for _ in 0..2 {
        DiscordWebhook.delete(&desk.cx(), &text.id).await.unwrap();
    }
    assert_eq!(desk.visible().len(), 1);
    assert!(DiscordWebhook.delete(&desk.cx(), "1/../../..").await.is_err());
}

#[tokio::test]
async fn a_lost_answer_stays_a_doubt_and_says_no_token() {
    for trouble in [
        Trouble::ResetAfterAccept,
        Trouble::ResetBeforeAccept,
        Trouble::Garbage,
        Trouble::ServerError,
        Trouble::Auth,
        Trouble::RateLimit,
    ] {
        let desk = desk().await;
        desk.fault(Calls::Publish, trouble);
        let out = post("message", "Once", vec![jpeg(90, 60, 1)]);
        let error = DiscordWebhook.publish(&desk.cx(), &out).await.unwrap_err();
        let sure = matches!(trouble, Trouble::Auth | Trouble::RateLimit);
        assert_eq!(error.applied == Applied::No, sure, "{trouble:?}: {error:?}");
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
        assert_eq!(desk.requests("POST", ""), 1, "{trouble:?}: never a second try");
        assert!(!format!("{:?}", desk.sandbox.requests("discord-webhook")).contains(TOKEN));
    }
}

#[tokio::test]
async fn a_forum_is_named_as_the_reason() {
    let mut desk = desk().await;
    let fields = desk.sandbox.fields("discord-webhook", "shop-forum");
    desk.account = desk.with("webhookUrl", &fields[0].1);
    let error = DiscordWebhook.publish(&desk.cx(), &post("message", "Hi", vec![])).await;
    let error = error.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Config, Some("220001")));
}
