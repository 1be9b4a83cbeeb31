//! A Slack webhook against the sandbox: blind, text alone, its address a secret from end to end.

use carillon_networks::slack_webhook::SlackWebhook;
use carillon_networks::{Applied, Class, Network, Published, Rendition};
use carillon_sandbox::{Calls, Trouble};

use crate::support::{Desk, post};

const TOKEN: &str = "sandbox-alice";

async fn desk() -> Desk {
    Desk::of(&SlackWebhook).await
}

async fn desk_of(account: &str) -> Desk {
    let mut desk = desk().await;
    let fields = desk.sandbox.fields("slack-webhook", account);
    desk.account = desk.with("webhookUrl", &fields[0].1);
    desk
}

#[tokio::test]
async fn a_webhook_is_checked_without_a_message() {
    let desk = desk().await;
    let identity = SlackWebhook.check(&desk.cx()).await.unwrap();
    assert!(identity.name.starts_with("Slack webhook B0"), "{identity:?}");
    assert!(!format!("{identity:?}").contains(TOKEN));
    assert!(desk.sandbox.ledger("slack-webhook").is_empty(), "nobody has seen anything");

    let url = desk.account.secret("webhookUrl").unwrap();
    for (url, class) in [
        (url.reveal().replace("alice", "bob"), Class::Auth),
        (url.reveal().replace("sandbox-", "x"), Class::Auth),
        (url.reveal().replace("services", "triggers"), Class::Config),
        ("https://hooks.slack.com/services/T0/B0".to_owned(), Class::Config),
    ] {
        let mut desk = Desk::of(&SlackWebhook).await;
        desk.account = desk.with("webhookUrl", &url);
        let error = SlackWebhook.check(&desk.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{error:?}");
    }
    for trouble in [Trouble::ServerError, Trouble::ResetAfterAccept, Trouble::Garbage] {
        desk.fault(Calls::Publish, trouble);
        let error = SlackWebhook.check(&desk.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    }
}

#[tokio::test]
async fn text_goes_out_as_it_was_written() {
    let desk = desk().await;
    let out = post("message", "<!here> R&D > all, https://example.com/?a&b", vec![]);
    let mut ids = Vec::new();
    for key in ["one", "two"] {
        let out = Rendition { key: key.into(), ..out.clone() };
        let Published::Accepted(remote) = SlackWebhook.publish(&desk.cx(), &out).await.unwrap()
        else {
            panic!("it is answered at once");
        };
        assert_eq!(remote.url, None);
        ids.push(remote.id);
    }
    let seen = desk.visible();
    assert_eq!(seen.iter().map(|p| p.id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(seen[0].text, out.text);
}

#[tokio::test]
async fn a_lost_answer_stays_a_doubt_and_says_no_token() {
    for (trouble, visible) in [
        (Trouble::ResetAfterAccept, 1),
        (Trouble::Garbage, 1),
        (Trouble::ResetBeforeAccept, 0),
        (Trouble::ServerError, 0),
        (Trouble::Auth, 0),
        (Trouble::RateLimit, 0),
    ] {
        let desk = desk().await;
        desk.fault(Calls::Publish, trouble);
        let out = post("message", "Once", vec![]);
        let error = SlackWebhook.publish(&desk.cx(), &out).await.unwrap_err();
        let sure = matches!(trouble, Trouble::Auth | Trouble::RateLimit);
        assert_eq!(error.applied == Applied::No, sure, "{trouble:?}: {error:?}");
        assert_eq!(desk.visible().len(), visible, "{trouble:?}: never a second try");
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
        assert!(!format!("{:?}", desk.sandbox.requests("slack-webhook")).contains(TOKEN));
    }
}

#[tokio::test]
async fn a_closed_channel_is_named_as_the_reason() {
    for (account, code) in
        [("shop-archived", "channel_is_archived"), ("shop-locked", "action_prohibited")]
    {
        let desk = desk_of(account).await;
        let error = SlackWebhook.publish(&desk.cx(), &post("message", "Hi", vec![])).await;
        let error = error.unwrap_err();
        assert_eq!((error.class, error.code.as_deref()), (Class::Config, Some(code)));
        let error = SlackWebhook.check(&desk.cx()).await.unwrap_err();
        assert_eq!(error.class, Class::Config);
    }
}
