//! Newsletters and a mail server that others wrote (npm's smtp-server): over both ways to encrypt,
//! read back from what it stored through a parser that others wrote too.

use std::process::Command;

use carillon::publishing::connecting::New;
use carillon_networks::email::Email;
use carillon_networks::http::{Guard, Http};
use carillon_networks::{Applied, Class, Media, Network, Rendition};
use serde_json::{Value, json};

use super::{account, cx, publish};
use crate::support::live::Live;
use crate::support::{On, TestApp};

/// What the server said, where this process is the one that trusts its certificate.
const SERVER: &str = "CARILLON_TEST_SMTP";

#[test]
#[ignore = "needs smtp-server: `make test` installs it and runs this"]
fn a_real_mail_server_takes_the_newsletter() {
    if let Ok(line) = std::env::var(SERVER) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let server = serde_json::from_str(&line).expect("the server's line");
        runtime.block_on(deliver(&server));
        return runtime.block_on(refused(&server));
    }
    let live = Live::start("servers/smtp.mjs");
    // What a process trusts is settled when it starts, so it takes another one.
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["live::email::a_real_mail_server_takes_the_newsletter", "--exact", "--ignored"])
        .env(SERVER, live.info.to_string())
        .env("SSL_CERT_FILE", said(&live.info, "certificate"))
        .env_remove("SSL_CERT_DIR")
        .output()
        .expect("this binary starts again");
    let told = String::from_utf8_lossy(&ran.stdout);
    let cried = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && told.contains("1 passed"), "{told}\n{cried}");
}

fn said<'v>(server: &'v Value, key: &str) -> &'v str {
    server[key].as_str().unwrap_or_else(|| panic!("no {key} in {server}"))
}

fn hosts(server: &Value) -> [String; 2] {
    ["starttls", "tls"].map(|tls| format!("127.0.0.1:{}", server[tls]))
}

fn settings(server: &Value, tls: &str) -> Vec<(&'static str, String)> {
    vec![
        ("host", "127.0.0.1".to_owned()),
        ("port", server[if tls == "tls" { "tls" } else { "starttls" }].to_string()),
        ("tls", tls.to_owned()),
        ("username", said(server, "username").to_owned()),
        ("from", "Bäckerei <news@bakery.example>".to_owned()),
        ("to", "anna@reader.example, bert@reader.example".to_owned()),
    ]
}

/// The product's newsletter, as the server's readers get it.
async fn deliver(server: &Value) {
    let hosts = hosts(server).join(",");
    let given = [("CARILLON_SANDBOX", ""), ("CARILLON_ALLOW_HOSTS", hosts.as_str())];
    let t = TestApp::with(On::Sqlite, &given).await;
    let text = "Grüße 👩‍👩‍👧 & <alle>\n.\n..dots\n\nSee https://shop.example/ä?b=c=d";
    for (n, tls) in ["starttls", "tls"].into_iter().enumerate() {
        let own = settings(server, tls).into_iter().map(|(k, v)| (k.to_owned(), v));
        let new = New {
            network: "email".into(),
            name: Some(tls.into()),
            settings: own.collect(),
            credentials: [("password".into(), said(server, "password").into())].into(),
        };
        let title = format!("Brötchen – ab sieben, {tls}");
        let post = publish(&t, new, &format!("{title}\n\n{text}")).await;

        let file = format!("{}/{}.json", said(server, "inbox"), n + 1);
        let mail: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(mail["readers"], json!(["anna@reader.example", "bert@reader.example"]));
        assert_eq!(mail["from"]["name"], "Bäckerei");
        assert_eq!(mail["from"]["address"], "news@bakery.example");
        assert!(!mail["to"].to_string().contains("reader.example"), "readers see one another");
        assert_eq!(mail["subject"], title);
        let id = post.deliveries[0].remote_id.as_deref().unwrap();
        assert_eq!(mail["messageId"], format!("<{id}>"));
        let words = |key: &str| mail[key].as_str().unwrap().replace("\r\n", "\n");
        assert_eq!(words("text").trim_end(), text);
        assert!(words("html").contains("&amp; &lt;alle&gt;<br>"), "{}", mail["html"]);
        let [picture] = &mail["attachments"].as_array().unwrap()[..] else { panic!("{mail}") };
        assert_eq!(
            (&picture["filename"], &picture["mimeType"]),
            (&json!("harbour.jpg"), &json!("image/jpeg"))
        );
        assert!(picture["bytes"].as_u64().unwrap() > 1_000, "{picture}");
    }
}

/// What the server does not take, told apart.
async fn refused(server: &Value) {
    let http = Http::new(Guard::allowing(hosts(server)));
    let before = std::fs::read_dir(said(server, "inbox")).unwrap().count();
    let password = said(server, "password");
    let large = Media {
        id: "m".into(),
        content_type: "image/jpeg".into(),
        width: 1,
        height: 1,
        alt: String::new(),
        file_name: "large.jpg".into(),
        data: vec![7; 1_100_000].into(),
        source: None,
        duration: None,
        cover: None,
        url: String::new(),
    };
    for (key, value, media, class, status) in [
        ("password", "nonsense", None, Class::Auth, Some(535)),
        ("from", "other@bakery.example", None, Class::Config, Some(553)),
        ("to", "anna@reader.example, nobody@reader.example", None, Class::Config, Some(550)),
        ("username", "", None, Class::Auth, Some(530)),
        // Nobody signs in on a plain connection.
        ("tls", "none", None, Class::Config, Some(538)),
        ("to", "anna@reader.example", Some(large), Class::Content, Some(552)),
    ] {
        let mut own = settings(server, "starttls");
        own.iter_mut().filter(|(name, _)| *name == key).for_each(|(_, v)| value.clone_into(v));
        let own: Vec<_> = own.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let secret = if key == "password" { value } else { password };
        let account = account(&own, &[("password", secret)]);
        let out = Rendition {
            placement: "message".into(),
            text: "No".into(),
            key: "k".into(),
            media: media.into_iter().collect(),
            ..Rendition::default()
        };
        let error = Email.publish(&cx(&http, &account, "smtp:"), &out).await.unwrap_err();
        assert_eq!((error.class, error.status), (class, status), "{key}={value}: {error:?}");
        assert_eq!(error.applied, Applied::No, "{error:?}");
    }
    assert_eq!(std::fs::read_dir(said(server, "inbox")).unwrap().count(), before);
}
