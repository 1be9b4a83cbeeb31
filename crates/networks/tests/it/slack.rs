//! A Slack app against the sandbox: found again by its marker, pictures uploaded for nobody first,
//! tokens that rotate.

use std::time::Duration;

use carillon_networks::slack::{SPEC, Slack};
use carillon_networks::{
    Applied, Class, Grant, Media, Network, Prepared, Published, Remote, Rendition, ReplyTo, Secret,
    Tokens,
};
use carillon_sandbox::{CLIENT_ID, CLIENT_SECRET, Calls, Fault, Trouble};

use crate::support::{Desk, jpeg, only, post, to_the_brim};

const BACK: &str = "https://carillon.example/connections/back";

async fn desk() -> Desk {
    Desk::of(&Slack).await
}

async fn desk_at(channel: &str) -> Desk {
    let mut desk = desk().await;
    desk.account = desk.with("channel", channel);
    desk
}

async fn prepare(desk: &Desk, out: &Rendition) -> usize {
    let mut waits = 0;
    while let Prepared::Processing { again_in } = Slack.prepare(&desk.cx(), out).await.unwrap() {
        assert!(again_in > Duration::ZERO && waits < 10);
        waits += 1;
    }
    waits
}

async fn publish(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    prepare(desk, out).await;
    match Slack.publish(&desk.cx(), out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn with_key(key: &str, out: &Rendition) -> Rendition {
    Rendition { key: key.to_owned(), ..out.clone() }
}

fn after(root: &Remote, parent: &Remote, text: &str) -> Rendition {
    let reply_to = Some(ReplyTo { root: root.clone(), parent: parent.clone() });
    Rendition { key: format!("after {text}"), reply_to, ..post("reply", text, vec![]) }
}

#[tokio::test]
async fn a_channel_is_checked_for_membership_and_rights() {
    let identity = Slack.check(&desk().await.cx()).await.unwrap();
    assert_eq!(identity.name, "#news (Sandbox)");
    assert!(identity.settings["workspaceUrl"].ends_with("/slack/"));
    for (channel, code) in [
        ("C0GONE0001", "channel_not_found"),
        ("C0NOTIN001", "not_in_channel"),
        ("C0ARCHIVED1", "is_archived"),
        ("#news", "channel"),
        ("c0lower0001", "channel"),
    ] {
        let error = Slack.check(&desk_at(channel).await.cx()).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Config, Applied::No), "{error:?}");
        assert_eq!(error.code.as_deref(), Some(code));
    }
    assert!(Slack.check(&desk_at("G0PRIVATE1").await.cx()).await.is_ok());
}

#[tokio::test]
async fn text_is_escaped_and_pictures_stand_in_the_message() {
    let mut desk = desk().await;
    desk.account.settings.extend(Slack.check(&desk.cx()).await.unwrap().settings);
    let text = post("message", "<!channel> R&D &amp; https://example.com/?a=1&b=2 <x|y>", vec![]);
    let pictures: Vec<_> = (0..10).map(|i| jpeg(90, 60, i)).collect();
    let bare = Media { alt: String::new(), ..jpeg(90, 60, 11) };
    let pictures = with_key("pictures", &post("message", "Ten & more", pictures));
    let alone = with_key("alone", &post("message", "", vec![bare]));
    let long = with_key("long", &post("message", &"&".repeat(3_000), vec![jpeg(90, 60, 12)]));
    let all = [text, pictures, alone, long];
    let mut remotes = Vec::new();
    for out in &all {
        let remote = publish(&desk, out).await;
        let found = Slack.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), &remote);
        remotes.push(remote);
    }
    let seen = desk.visible();
    for ((out, remote), seen) in all.iter().zip(&remotes).zip(&seen) {
        assert_eq!((&seen.text, &seen.id), (&out.text, &remote.id));
        assert_eq!(seen.media.len(), out.media.len());
        let url = remote.url.as_deref().unwrap();
        assert!(url.contains("/slack/archives/C0"), "{url}");
    }
    assert_eq!(seen[1].media[9].alt, "Picture “9”");
    assert_eq!(seen[2].media[0].alt, "picture 11.jpg", "Slack wants one");
    for remote in &remotes {
        for _ in 0..2 {
            Slack.delete(&desk.cx(), &remote.id).await.unwrap();
        }
    }
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_picture_is_uploaded_once_and_waited_for() {
    let desk = desk().await;
    let out = post("message", "Slowly", vec![jpeg(90, 60, 1), jpeg(90, 60, 2)]);
    desk.sandbox.add_fault(Fault::new("slack", Calls::Any, Trouble::Processing).times(2));
    assert_eq!(prepare(&desk, &out).await, 4, "two by the fault, one a picture as always");
    assert_eq!(desk.requests("POST", "getUploadURLExternal"), 2);
    assert_eq!(desk.requests("POST", "completeUploadExternal"), 2);
    assert!(desk.visible().is_empty(), "nothing is shown before the message");
    let tickets = desk.sandbox.requests("slack");
    assert!(tickets.iter().any(|r| r.path == "/slack/upload/v1/***"), "a ticket is masked");

    // After a crash in between only what is missing is done again.
    desk.kept.lose("file:1:complete");
    desk.kept.lose("file:1");
    prepare(&desk, &out).await;
    assert_eq!(desk.requests("POST", "getUploadURLExternal"), 3);
    Slack.publish(&desk.cx(), &out).await.unwrap();
    assert_eq!(desk.visible()[0].media.len(), 2);

    // A lost answer of an upload is no doubt about the message.
    let another = with_key("another", &out);
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    desk.fault(Calls::Prepare, Trouble::ResetAfterAccept);
    let error = Slack.prepare(&desk.cx(), &another).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
}

#[tokio::test]
async fn replies_name_the_head_and_are_found_in_its_thread() {
    let desk = desk().await;
    let head = publish(&desk, &post("message", "The head", vec![])).await;
    let other = publish(&desk, &with_key("other", &post("message", "The head", vec![]))).await;
    let first = after(&head, &head, "And more");
    let one = publish(&desk, &first).await;
    let second = after(&head, &one, "And still more");
    let two = publish(&desk, &second).await;
    for (out, remote) in [(&first, &one), (&second, &two)] {
        let found = Slack.look_up(&desk.cx(), out, desk.window()).await.unwrap();
        assert_eq!(only(&found), remote);
    }
    // The same delivery is not in another thread, and no head of one.
    let elsewhere = Rendition { key: first.key.clone(), ..after(&other, &other, "And more") };
    assert_eq!(Slack.look_up(&desk.cx(), &elsewhere, desk.window()).await.unwrap(), []);
    let alone = Rendition { key: first.key.clone(), ..post("message", "And more", vec![]) };
    assert_eq!(Slack.look_up(&desk.cx(), &alone, desk.window()).await.unwrap(), []);
    let itself = after(&head, &head, "The head");
    let itself = Rendition { key: post("message", "", vec![]).key, ..itself };
    assert_eq!(Slack.look_up(&desk.cx(), &itself, desk.window()).await.unwrap(), []);
    let seen = desk.visible();
    assert_eq!(seen[3].reply_to.as_ref(), Some(&head.id));

    Slack.delete(&desk.cx(), &other.id).await.unwrap();
    let error = Slack.publish(&desk.cx(), &after(&other, &other, "Late")).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    let away = Remote { id: "C0000000001/1.000001".into(), url: None };
    let error = Slack.publish(&desk.cx(), &after(&away, &away, "No")).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("other_channel"));
}

#[tokio::test]
async fn only_the_own_message_is_taken_for_ours() {
    let desk = desk().await;
    let out = post("message", "Good morning", vec![]);
    publish(&desk, &with_key("same words", &out)).await;
    // Another app in the channel carries the very same marker.
    let alice = desk.account.secret("accessToken").unwrap();
    let hold = |token: Secret| {
        desk.account.secrets.lock().unwrap().insert("accessToken".into(), token);
    };
    hold(Secret::new("sandbox-bob"));
    publish(&desk, &out).await;
    hold(alice);
    assert_eq!(Slack.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    let ours = publish(&desk, &out).await;
    for i in 0..450 {
        publish(&desk, &with_key(&format!("{i}"), &out)).await;
    }
    let found = Slack.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &ours);
    assert_eq!(desk.requests("GET", "conversations.history"), 1 + 3, "read over pages");
    desk.pass(Duration::from_secs(86_400));
    assert_eq!(Slack.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), [], "of yesterday");

    // Sent again with its key, which Slack knows.
    assert_eq!(publish(&desk, &out).await, ours);
    Slack.delete(&desk.cx(), &ours.id).await.unwrap();
    let error = Slack.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Duplicate, Applied::No), "{error:?}");
}

#[tokio::test]
async fn a_good_status_is_no_good_answer() {
    let desk = desk().await;
    let out = post("message", "Hello", vec![]);
    for (trouble, class, applied) in [
        (Trouble::ServerError, Class::Transient, Applied::Maybe),
        (Trouble::Auth, Class::Auth, Applied::No),
        (Trouble::Garbage, Class::Unknown, Applied::Maybe),
    ] {
        desk.fault(Calls::Publish, trouble);
        let error = Slack.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied, error.status), (class, applied, Some(200)));
    }
    for (channel, code) in [
        ("C0NOTIN001", "not_in_channel"),
        ("C0ARCHIVED1", "is_archived"),
        ("C0READONLY1", "restricted_action_read_only_channel"),
    ] {
        let error = Slack.publish(&desk_at(channel).await.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.code.as_deref()), (Class::Config, Some(code)));
    }
    let [fits, _] = to_the_brim(&Slack, "Läuten <&> ", 4_000);
    publish(&desk, &with_key("brim", &post("message", &fits, vec![]))).await;
    for bad in ["", "C1", "C1/x", "../chat.delete", "C0/1.0/2"] {
        assert_eq!(Slack.delete(&desk.cx(), bad).await.unwrap_err().class, Class::Content);
    }
}

#[tokio::test]
async fn a_picture_that_slack_lost_begins_anew() {
    let desk = desk().await;
    let out = post("message", "Gone", vec![jpeg(90, 60, 1)]);
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    let error = Slack.publish(&desk.cx(), &out).await.unwrap_err();
    assert!(error.restart && error.applied == Applied::No, "{error:?}");
    prepare(&desk, &out).await;
    // An answer that was lost here: what is complete cannot be completed twice.
    desk.kept.lose("file:0:complete");
    let error = Slack.prepare(&desk.cx(), &out).await.unwrap_err();
    assert!(error.restart && error.applied == Applied::No, "{error:?}");
    let cx = desk.cx();
    cx.checkpoint("file:0", "F0000000000").await.unwrap();
    let error = Slack.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No));
    assert!(error.restart, "{error:?}");
}

/// Consents as somebody does on the sandbox's page, with these scopes.
async fn consent(desk: &Desk, scopes: &[&str]) -> Grant {
    let oauth = SPEC.oauth.as_ref().unwrap();
    let (_, base, _) = desk.parts();
    let url = oauth.consent_url(base, SPEC.base_url, CLIENT_ID, BACK, "state", "").unwrap();
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let browser = browser.no_proxy().build().unwrap();
    let page = browser.get(url.clone()).send().await.unwrap();
    assert!(page.status().is_success());
    let mut form =
        vec![("account", "alice"), ("allow", "1"), ("redirect_uri", BACK), ("state", "state")];
    form.extend(scopes.iter().map(|scope| ("grant", *scope)));
    let back = browser.post(url).form(&form).send().await.unwrap();
    let back = back.headers()["location"].to_str().unwrap().parse::<url::Url>().unwrap();
    let code = back.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
    Grant { code: Secret::new(code), redirect_uri: BACK.into(), verifier: Secret::new("") }
}

fn hold(desk: &Desk, tokens: &Tokens) {
    let mut secrets = desk.account.secrets.lock().unwrap();
    secrets.insert("accessToken".into(), tokens.access.clone());
    if let Some(refresh) = &tokens.refresh {
        secrets.insert("refreshToken".into(), refresh.clone());
    }
}

#[tokio::test]
async fn a_consent_is_traded_ends_and_is_renewed() {
    let mut desk = desk().await;
    desk.account.settings.insert("clientId".into(), CLIENT_ID.into());
    let secret = Secret::new(CLIENT_SECRET);
    desk.account.secrets.lock().unwrap().insert("clientSecret".into(), secret);
    let scopes = SPEC.oauth.as_ref().unwrap().scopes;

    let grant = consent(&desk, scopes).await;
    let tokens = Slack.exchange(&desk.cx(), &grant).await.unwrap();
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(12 * 3_600)));
    assert_eq!(tokens.scopes.as_deref().unwrap(), scopes);
    let error = Slack.exchange(&desk.cx(), &grant).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    hold(&desk, &tokens);
    let targets = Slack.targets(&desk.cx()).await.unwrap();
    let own = &desk.account.settings["channel"];
    assert_eq!((&targets[0].settings["channel"], &targets[0].problem), (own, &None));
    assert!(targets[1].problem.as_ref().unwrap().ends_with('.'));
    publish(&desk, &post("message", "By consent", vec![jpeg(90, 60, 1)])).await;

    desk.pass(Duration::from_secs(12 * 3_600));
    let error = Slack.check(&desk.cx()).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Auth, Some("token_expired")));
    let renewed = Slack.refresh(&desk.cx()).await.unwrap();
    assert!(renewed.refresh.is_some() && renewed.refresh != tokens.refresh);
    let error = Slack.refresh(&desk.cx()).await.unwrap_err();
    assert_eq!(error.class, Class::Auth, "each works once: {error:?}");

    // Used twice, the whole grant is over; a new consent is needed, and can be given back.
    let tokens = Slack.exchange(&desk.cx(), &consent(&desk, scopes).await).await.unwrap();
    hold(&desk, &tokens);
    Slack.check(&desk.cx()).await.unwrap();
    Slack.revoke(&desk.cx()).await.unwrap();
    assert_eq!(Slack.check(&desk.cx()).await.unwrap_err().class, Class::Auth);
}

#[tokio::test]
async fn what_was_not_granted_is_named() {
    let mut desk = desk().await;
    desk.account.settings.insert("clientId".into(), CLIENT_ID.into());
    let secret = Secret::new(CLIENT_SECRET);
    desk.account.secrets.lock().unwrap().insert("clientSecret".into(), secret);
    let grant = consent(&desk, &["chat:write", "channels:read"]).await;
    hold(&desk, &Slack.exchange(&desk.cx(), &grant).await.unwrap());
    let error = Slack.check(&desk.cx()).await.unwrap_err();
    assert_eq!(error.class, Class::Auth);
    assert_eq!(error.sentence, "The Slack app lacks a right: channels:history.");
    let out = post("message", "Hello", vec![]);
    let error = Slack.look_up(&desk.cx(), &out, desk.window()).await.unwrap_err();
    assert_eq!(error.sentence, "The Slack app lacks a right: channels:history.");

    let wrong = Secret::new("wrong");
    desk.account.secrets.lock().unwrap().insert("clientSecret".into(), wrong);
    let error = Slack.exchange(&desk.cx(), &consent(&desk, &["chat:write"]).await).await;
    assert_eq!(error.unwrap_err().class, Class::Config);
}
