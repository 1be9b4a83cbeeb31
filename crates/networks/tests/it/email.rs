//! Newsletters against the sandbox's mail server: one message, taken once, never read back.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use carillon_networks::email::Email;
use carillon_networks::http::{Guard, Http};
use carillon_networks::{
    Account, Applied, Class, Context, Error, Forgetful, Network, Published, Remote, Rendition,
    Secret,
};
use carillon_sandbox::{Calls, Trouble};

use crate::consent;
use crate::support::{Desk, jpeg, post, to_the_brim};

async fn publish(cx: &Context<'_>, out: &Rendition) -> Result<Remote, Error> {
    match Email.publish(cx, out).await? {
        Published::Accepted(remote) => Ok(remote),
        other => panic!("{other:?}"),
    }
}

fn letter(title: &str, text: &str) -> Rendition {
    Rendition { title: Some(title.to_owned()), ..post("message", text, vec![]) }
}

#[tokio::test]
async fn texts_titles_and_pictures_arrive_as_they_were_written() {
    let desk = Desk::of(&Email).await;
    let text = "Grüße 👩‍👩‍👧 & <alle>\n.\n..dots\n\nSee https://shop.example/ä?b=c=d";
    let mut out =
        letter("Brötchen – ab sieben Uhr, jeden Tag und auch am Sonntag, versprochen", text);
    out.media = vec![jpeg(90, 60, 1), jpeg(60, 90, 2)];
    let remote = publish(&desk.cx(), &out).await.unwrap();
    let seen = &desk.visible()[0];
    assert_eq!(seen.text, format!("{}\n\n{text}", out.title.unwrap()));
    assert_eq!((&seen.id, seen.account.as_str()), (&remote.id, "alice"));
    assert!(remote.id.ends_with("@sandbox.example") && remote.url.is_none(), "{remote:?}");
    let names: Vec<_> = seen.media.iter().map(|m| (m.alt.as_str(), m.bytes)).collect();
    assert_eq!(
        names,
        [("picture 1.jpg", out.media[0].data.len()), ("picture 2.jpg", out.media[1].data.len())]
    );

    // Without a title the first line is the subject.
    publish(&desk.cx(), &post("message", "Rye bread\n\nFrom seven", vec![])).await.unwrap();
    assert_eq!(desk.visible()[1].text, "Rye bread\n\nFrom seven");
    let [fits, _] = to_the_brim(&Email, "ä ", 100_000);
    publish(&desk.cx(), &letter(&"ä".repeat(150), &fits)).await.unwrap();
    assert!(desk.visible()[2].text.ends_with(&fits));
}

#[tokio::test]
async fn a_second_copy_has_the_same_id_and_is_a_second_copy() {
    let desk = Desk::of(&Email).await;
    let out = letter("Once", "Only");
    let first = publish(&desk.cx(), &out).await.unwrap();
    desk.pass(Duration::from_secs(86_400));
    assert_eq!(publish(&desk.cx(), &out).await.unwrap(), first);
    let ids: Vec<_> = desk.visible().into_iter().map(|post| post.id).collect();
    assert_eq!(ids, [first.id.clone(), format!("{}#2", first.id)]);
    let another = Rendition { key: "another".to_owned(), ..out };
    assert_ne!(publish(&desk.cx(), &another).await.unwrap().id, first.id);
}

#[tokio::test]
async fn all_readers_or_none() {
    let desk = Desk::of(&Email).await;
    let send = async |to: &str| {
        let account = desk.with("to", to);
        publish(&consent::cx(&desk, &account), &letter("Hi", "There")).await
    };
    let many: Vec<String> = (0..500).map(|i| format!("r{i}@x.example")).collect();
    send(&many.join(", ")).await.unwrap();
    assert_eq!(desk.sandbox.requests("email")[0].body.split(' ').next(), Some("(500"));
    for (to, class) in [
        ("a@x.example, nosuch@x.example", Class::Config),
        ("full@x.example", Class::Config),
        ("a@localhost", Class::Config),
        ("nobody", Class::Config),
        (&format!("{}, one@x.example", many.join(",")), Class::Config),
    ] {
        let error = send(to).await.unwrap_err();
        assert_eq!((error.class, error.applied), (class, Applied::No), "{error:?}");
    }
    assert_eq!(desk.visible().len(), 1);
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let desk = Desk::of(&Email).await;
    let identity = Email.check(&desk.cx()).await.unwrap();
    assert_eq!(identity.name, "alice@sandbox.example");
    assert_eq!(identity.remote_id, "alice@sandbox.example/readers@sandbox.example");
    for (key, value, class, code) in [
        ("password", "n0-such-s3cret", Class::Auth, Some("5.7.8")),
        ("password", "", Class::Config, Some("missing_field")),
        ("username", "bob", Class::Auth, Some("5.7.8")),
        ("from", "alice", Class::Config, Some("bad_sender")),
        ("port", "x", Class::Config, Some("bad_port")),
        ("tls", "starttls", Class::Config, Some("no_starttls")),
        ("tls", "tls", Class::Config, Some("tls_failed")),
    ] {
        let account = desk.with(key, value);
        let error = Email.check(&consent::cx(&desk, &account)).await.unwrap_err();
        assert_eq!((error.class, error.code.as_deref()), (class, code), "{key}: {error:?}");
        assert_eq!(error.applied, Applied::No);
        assert!(!format!("{error:?}").contains("n0-such-s3cret"), "{error:?}");
    }
    let account = desk.with("from", "bob@sandbox.example");
    let error = publish(&consent::cx(&desk, &account), &letter("Hi", "x")).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Config, Some(553)), "{error:?}");
    // Without a user name nobody signs in, and this server wants that.
    let account = desk.with("username", "");
    let error = publish(&consent::cx(&desk, &account), &letter("Hi", "x")).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Auth, Some(530)), "{error:?}");
    for trouble in
        [Trouble::ServerError, Trouble::Garbage, Trouble::ResetBeforeAccept, Trouble::Slow]
    {
        desk.fault(Calls::Prepare, trouble);
        let cx = desk.cx_within(Duration::from_millis(300));
        let error = Email.check(&cx).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
    }
    assert!(desk.visible().is_empty());
}

/// A server that says these lines, each after one of the client's but the first.
fn scripted(lines: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut heard = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in lines {
                let whole = line.replace('|', "\r\n");
                if stream.write_all(format!("{whole}\r\n").as_bytes()).is_err() {
                    break;
                }
                let mut data = line.starts_with("354");
                while let Some(Ok(said)) = heard.next() {
                    data &= said != ".";
                    if !data {
                        break;
                    }
                }
            }
        }
    });
    port
}

async fn with_server<T>(port: u16, test: impl AsyncFn(&Context<'_>) -> T) -> T {
    let settings = [
        ("host", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("tls", "none".to_owned()),
        ("from", "a@x.example".to_owned()),
        ("to", "b@x.example".to_owned()),
    ];
    let account = Account {
        settings: settings.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        ..Account::default()
    };
    let http = Http::new(Guard::allowing([format!("127.0.0.1:{port}")]));
    let short = Duration::from_millis(500);
    test(&Context::new(&http, &account, "smtp:", 0, short, <_>::default(), &Forgetful)).await
}

#[tokio::test]
async fn only_after_the_last_dot_is_there_a_doubt() {
    const HELLO: &str = "250-x|250 8BITMIME";
    for (lines, applied) in [
        (&[][..], Applied::No),
        (&["220 x"][..], Applied::No),
        (&["220 x", HELLO, "250 ok"], Applied::No),
        (&["220 x", HELLO, "250 ok", "250 ok"], Applied::No),
        (&["220 x", HELLO, "250 ok", "250 ok", "what?"], Applied::No),
        (&["220 x", HELLO, "250 ok", "250 ok", "451 4.3.0 later"], Applied::No),
        (&["220 x", HELLO, "250 ok", "250 ok", "354 go", "554 5.6.0 no"], Applied::No),
        (&["220 x", HELLO, "250 ok", "250 ok", "354 go"], Applied::Maybe),
        (&["220 x", HELLO, "250 ok", "250 ok", "354 go", "what?"], Applied::Maybe),
        (&["220 x", HELLO, "250 ok", "250 ok", "354 go", "25"], Applied::Maybe),
    ] {
        let sent = async |cx: &Context<'_>| publish(cx, &letter("Hi", "There")).await;
        let error = with_server(scripted(lines), sent).await.unwrap_err();
        assert_eq!(error.applied, applied, "{lines:?}: {error:?}");
    }
    let good = &["220 x", HELLO, "250 ok", "250 ok", "354 go", "250 taken"];
    let sent = async |cx: &Context<'_>| publish(cx, &letter("Hi", "There")).await;
    with_server(scripted(good), sent).await.unwrap();
    // Nobody listens any more.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = with_server(port, sent).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::No), "{error:?}");
}

#[tokio::test]
async fn servers_are_behind_the_guard() {
    let desk = Desk::of(&Email).await;
    for host in ["10.0.0.1", "169.254.169.254", "::1", "localhost", "127.0.0.1"] {
        let mut account = desk.with("host", host);
        account.settings.insert("port".to_owned(), "465".to_owned());
        account.settings.insert("tls".to_owned(), "tls".to_owned());
        let error = Email.check(&consent::cx(&desk, &account)).await.unwrap_err();
        assert_eq!(error.code.as_deref(), Some("address_refused"), "{host}: {error:?}");
        assert_eq!(error.applied, Applied::No);
    }
    // A password leaves unencrypted for allowed servers only.
    let mut account = desk.with("host", "smtp.example.com");
    account.secrets.get_mut().unwrap().insert("password".to_owned(), Secret::new("s3cret"));
    let error = Email.check(&consent::cx(&desk, &account)).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("not_encrypted"), "{error:?}");
}
