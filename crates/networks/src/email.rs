//! A newsletter by e-mail: SMTP submission (RFC 5321, RFC 6409, RFC 8314); checked 2026-11-22.
//!
//! Keys: what a mail program asks for, from whoever runs the mailbox: server, user name, password.
//! The readers are one address, that of a list, or several, which do not see one another.
//!
//! A server answers for a message once, when it has the whole of it; after that nothing can be read
//! back, so when the answer is lost a person decides. Everything before the message is harmless.
//! The `Message-ID` comes from the delivery's key, so that mailboxes which compare ids show a second
//! copy once. All readers or none: the message is sent only when the server takes every address.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message, address::Envelope};
use reqwest::StatusCode;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::error::quote;
use crate::http::Reply;
use crate::oauth::Life;
use crate::socket::Socket;
use crate::spec::{Abilities, Count, Derivative, Edit, Field, MediaRule, Placement, Text};
use crate::text::urls;
use crate::words::{title_and_text, told};
use crate::{
    Action, Class, Context, Error, Identity, Network, Published, Remote, Rendition, SendClass, Spec,
};

pub struct Email;

const TITLE_MAX: usize = 150;
const MAX_READERS: usize = 500;

pub static SPEC: Spec = Spec {
    id: "email",
    name: "Email",
    code: "EM",
    // Each connection names its server.
    base_url: "smtp:",
    fields: &[
        Field {
            key: "host",
            label: "Mail server",
            help: "The server for outgoing mail, for example smtp.example.com.",
            secret: false,
            required: true,
        },
        Field {
            key: "port",
            label: "Port",
            help: "465 or 587; left empty, the one that belongs to the encryption.",
            secret: false,
            required: false,
        },
        Field {
            key: "tls",
            label: "Encryption",
            help: "`tls` from the first byte, `starttls`, or `none` for a server of your own network.",
            secret: false,
            required: false,
        },
        Field {
            key: "username",
            label: "User name",
            help: "Often the whole address; empty for a server that asks for none.",
            secret: false,
            required: false,
        },
        Field {
            key: "password",
            label: "Password",
            help: "Of the mailbox, or an app password where the provider has them.",
            secret: true,
            required: false,
        },
        Field {
            key: "from",
            label: "Sender",
            help: "As readers see it, for example Bakery <news@bakery.example>.",
            secret: false,
            required: true,
        },
        Field {
            key: "to",
            label: "Readers",
            help: "The address of a list, or up to 500 addresses separated by commas.",
            secret: false,
            required: true,
        },
    ],
    placements: &[Placement {
        id: "message",
        name: "Newsletter",
        send: SendClass::Blind,
        follows: &[],
        in_budget: true,
        edit: Edit::No,
        measures: &[],
        text: Text {
            max: 100_000,
            count: Count::Chars,
            max_bytes: None,
            max_with_media: None,
            question_max: None,
            max_hashtags: None,
            max_mentions: None,
            title_max: Some(TITLE_MAX),
            required: true,
        },
        // Many servers take no more than 10 MB, and pictures grow by a third on the way.
        media: MediaRule {
            min: 0,
            max: 5,
            types: &["image/jpeg", "image/png", "image/gif"],
            max_bytes: 1_400_000,
            ratio: None,
            derivative: Derivative::Original,
            pull: false,
            alt_max: 0,
            video: None,
        },
        options: &[],
    }],
    abilities: Abilities { delete: false, read_back: false, alt_text: false },
    oauth: None,
    life: Life::Endless,
    budgets: &[],
};

#[async_trait]
impl Network for Email {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    /// Signs in and leaves again.
    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let (from, readers) = (sender(cx)?, readers(cx)?);
        let signed_in = timeout(cx.timeout, self.open(cx)).await;
        let mut smtp = signed_in.map_err(|_| silent().harmless())??;
        timeout(GOODBYE, smtp.quit()).await.ok();
        let to = match readers.as_slice() {
            [one] => one.to_string(),
            all => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                short_hash(&all.join(","))
            }
        };
        Ok(Identity {
            remote_id: format!("{}/{to}", from.email),
            name: from.email.to_string(),
            settings: BTreeMap::new(),
        })
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let (id, message) = message(cx, out)?;
        let sent = AtomicBool::new(false);
        let dialogue = async {
            let mut smtp = self.open(cx).await?;
            let refused = |e| self.refused(e).harmless();
            let envelope = message.envelope();
            smtp.command(Mail::new(envelope.from().cloned(), vec![])).await.map_err(refused)?;
            for reader in envelope.to() {
                smtp.command(Rcpt::new(reader.clone(), vec![])).await.map_err(refused)?;
            }
            smtp.command(Data).await.map_err(refused)?;
            sent.store(true, Ordering::Relaxed);
            smtp.message(&message.formatted()).await.map_err(|e| self.refused(e))?;
            timeout(GOODBYE, smtp.quit()).await.ok();
            Ok(())
        };
        match timeout(cx.timeout, dialogue).await {
            Ok(ended) => ended?,
            Err(_) if sent.load(Ordering::Relaxed) => return Err(silent()),
            Err(_) => return Err(silent().harmless()),
        }
        Ok(Published::Accepted(Remote { id, url: None }))
    }

    /// A server's refusal: its code as the status, its words as the body (RFC 5321, RFC 3463).
    fn parse_error(&self, reply: &Reply) -> Error {
        let words = String::from_utf8_lossy(&reply.body);
        let first = words.split_whitespace().next().unwrap_or_default();
        let detail = enhanced(first);
        let said =
            quote(if detail.is_some() { words.trim_start()[first.len()..].trim() } else { &words });
        let lower = said.to_lowercase();
        let has = |any: &[&str]| any.iter().any(|word| lower.contains(word));
        let code = reply.status.as_u16();
        let says = |class, what: &str| {
            let error = Error::new(class, told(&format!("The mail server {what}"), &said));
            let error = error.status(code).retry_after(reply.retry_after());
            if detail.is_some() { error.code(first) } else { error }
        };
        let permanent = code >= 500;
        match detail.unwrap_or_default() {
            (_, 5, 3) if has(&["recipients"]) => says(Class::Config, "takes fewer readers at once"),
            (_, 2, _) if permanent => says(Class::Config, "cannot reach the mailbox of a reader"),
            (_, 4, 5) => says(Class::Quota, "takes no more messages today"),
            _ if has(&["daily", "quota"]) && has(&["exceeded", "reached"]) => {
                says(Class::Quota, "takes no more messages today")
            }
            (_, 7, 28) => says(Class::RateLimit, "asks for fewer messages"),
            _ if has(&[
                "rate limit",
                "rate-limit",
                "too many",
                "too fast",
                "throttl",
                "listed",
            ]) && !permanent =>
            {
                says(Class::RateLimit, "asks for fewer messages")
            }
            _ if (400..500).contains(&code) => {
                says(Class::Transient, "is out of order for the moment")
            }
            _ if matches!(code, 530 | 538) && has(&["tls", "encrypt"]) => {
                says(Class::Config, "wants an encrypted connection")
            }
            _ if matches!(code, 525 | 530 | 534 | 535 | 538) => {
                says(Class::Auth, "refuses user name or password")
            }
            _ if has(&["sender", "from address", "not owned"]) => {
                says(Class::Config, "does not take this sender")
            }
            (_, 1, _) => says(Class::Config, "does not know a reader's address"),
            (_, 3, 4) | (_, 6, _) => says(Class::Content, "refuses the message"),
            _ if has(&["relay", "authenticat"]) => {
                says(Class::Auth, "does not send for this account").action(Action::ActAtNetwork)
            }
            (_, 7, _) => says(Class::Policy, "takes the message for spam"),
            _ => match code {
                500..=504 | 521 | 555 | 556 => says(Class::Config, "does not take mail here"),
                550 | 551 | 553 => says(Class::Config, "does not know a reader's address"),
                541 | 554 => says(Class::Policy, "refuses to pass the message on"),
                300..400 => says(Class::Config, "answers out of order"),
                _ => says(Class::Content, "refuses the message"),
            },
        }
    }
}

/// How long a server has to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

impl Email {
    /// Connects, encrypts and signs in. Nothing can have been sent when this fails.
    async fn open(&self, cx: &Context<'_>) -> Result<AsyncSmtpConnection, Error> {
        let Server { host, port, tls } = server(cx)?;
        let refused = |e| self.refused(e).harmless();
        let socket = Socket::open(cx.http, host, port, tls == Tls::First).await?;
        let hello = ClientId::default();
        let smtp = AsyncSmtpConnection::connect_with_transport(Box::new(socket), &hello).await;
        let mut smtp = smtp.map_err(refused)?;
        if tls == Tls::Start {
            if !smtp.can_starttls() {
                let why = "The mail server offers no encryption on this port.";
                return Err(Error::new(Class::Config, why).code("no_starttls"));
            }
            let trust = TlsParameters::new(host.to_owned()).map_err(refused)?;
            smtp.starttls(trust, &hello).await.map_err(|_| {
                let why = format!("No encrypted connection to {host}:{port}.");
                Error::new(Class::Transient, why).code("tls_failed")
            })?;
        }
        if let Ok(name) = cx.account.setting("username") {
            let password = cx.account.secret("password")?;
            let who = Credentials::new(name.to_owned(), password.reveal().to_owned());
            smtp.auth(&[Mechanism::Plain, Mechanism::Login], &who).await.map_err(refused)?;
        }
        Ok(smtp)
    }

    /// What went wrong, as far as lettre tells; without an answer it is a doubt.
    fn refused(&self, e: lettre::transport::smtp::Error) -> Error {
        let words = e.source().map(ToString::to_string).unwrap_or_default();
        match e.status() {
            Some(code) => self.parse_error(&reply(code.into(), words)),
            None if e.is_client() => {
                let why = told("The mail server cannot be spoken to", &quote(&words));
                Error::new(Class::Config, why).code("unsupported")
            }
            None if e.is_response() => Error::garbled("something unreadable"),
            None => {
                let why = "The mail server broke the connection off.";
                Error::new(Class::Unknown, why).code("connection_lost")
            }
        }
    }
}

impl AsyncTokioStream for Socket {
    fn peer_addr(&self) -> std::io::Result<SocketAddr> {
        self.peer()
    }
}

/// No answer in time: the message may have been taken.
fn silent() -> Error {
    Error::new(Class::Unknown, "The mail server did not answer in time.").code("timeout")
}

fn reply(code: u16, words: String) -> Reply {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
    Reply { status, headers: <_>::default(), body: Bytes::from(words) }
}

/// `5.7.1` of RFC 3463.
fn enhanced(word: &str) -> Option<(u8, u16, u16)> {
    let mut parts = word.split('.');
    let mut number = || parts.next()?.parse::<u16>().ok();
    let (class, subject, detail) = (number()?, number()?, number()?);
    let class = u8::try_from(class).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
    parts.next().is_none().then_some((class, subject, detail))
}

#[derive(Clone, Copy, PartialEq)]
enum Tls {
    /// From the first byte on.
    First,
    /// After the server has offered it.
    Start,
    Never,
}

struct Server<'c> {
    host: &'c str,
    port: u16,
    tls: Tls,
}

/// Where to connect and how. Passwords go over the public internet encrypted only.
fn server<'c>(cx: &'c Context<'_>) -> Result<Server<'c>, Error> {
    let wrong = |why: &str, code: &str| Err(Error::new(Class::Config, why).code(code));
    let host = cx.account.setting("host")?;
    let port = match cx.account.setting("port") {
        Err(_) => None,
        Ok(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return wrong("The port of a mail server is a number up to 65535.", "bad_port"),
        },
    };
    let tls = match cx.account.setting("tls").unwrap_or_default().to_lowercase().as_str() {
        "" if port.is_none_or(|port| port == 465) => Tls::First,
        "tls" | "ssl" => Tls::First,
        "" | "starttls" => Tls::Start,
        "none" => Tls::Never,
        _ => return wrong("The encryption is one of tls, starttls and none.", "bad_tls"),
    };
    let usual = match tls {
        Tls::First => 465,
        Tls::Start => 587,
        Tls::Never => 25,
    };
    let port = port.unwrap_or(usual);
    if tls == Tls::Never && !cx.http.allows_private(host, port) {
        let why =
            "Mail goes out encrypted, unless whoever runs this installation allows the server.";
        return wrong(why, "not_encrypted");
    }
    Ok(Server { host, port, tls })
}

fn sender(cx: &Context<'_>) -> Result<Mailbox, Error> {
    let given = cx.account.setting("from")?;
    given.parse::<Mailbox>().ok().filter(|m| m.email.to_string().is_ascii()).ok_or_else(|| {
        let why = "The sender is no address: name@example.com or Name <name@example.com>.";
        Error::new(Class::Config, why).code("bad_sender")
    })
}

/// The readers' addresses, each once.
fn readers(cx: &Context<'_>) -> Result<Vec<Address>, Error> {
    let given = cx.account.setting("to")?;
    let mut all: Vec<Address> = Vec::new();
    for one in given.split([',', ';', '\n']).map(str::trim).filter(|one| !one.is_empty()) {
        let read = one.parse::<Mailbox>().ok().filter(|m| m.email.to_string().is_ascii());
        let Some(reader) = read else {
            let why = format!("“{}” is no address of a reader.", quote(one));
            return Err(Error::new(Class::Config, why).code("bad_reader"));
        };
        if !all.contains(&reader.email) {
            all.push(reader.email);
        }
    }
    match all.len() {
        0 => Err(Error::missing("to")),
        1..=MAX_READERS => Ok(all),
        n => {
            let why = format!("An e-mail goes to {MAX_READERS} readers at most; these are {n}.");
            Err(Error::new(Class::Config, why).code("too_many_readers"))
        }
    }
}

/// The message and its id: always the same bytes.
fn message(cx: &Context<'_>, out: &Rendition) -> Result<(String, Message), Error> {
    let (from, readers) = (sender(cx)?, readers(cx)?);
    let (title, text) = title_and_text(out, TITLE_MAX);
    // A single line is the text too: a message without any reads like a mistake.
    let text = if text.is_empty() { out.text.trim().to_owned() } else { text };
    let mark = short_hash(&format!("email {}", out.key));
    let id = format!("{mark}@{}", from.email.domain());
    let boundary = |part: &str| format!("{mark}-{part}");
    let both = MultiPart::alternative()
        .boundary(boundary("text"))
        .singlepart(SinglePart::plain(text.clone()))
        .singlepart(SinglePart::html(html(&text)));
    let mut body = MultiPart::mixed().boundary(boundary("whole")).multipart(both);
    for media in &out.media {
        let kind = ContentType::parse(&media.content_type).map_err(|_| {
            let why = format!("A picture has the unreadable type `{}`.", media.content_type);
            Error::new(Class::Content, why).code("bad_media_type")
        })?;
        let attached = Attachment::new(media.file_name.clone());
        body = body.singlepart(attached.body(media.data.to_vec(), kind));
    }
    let unreadable = |_| Error::new(Class::Config, "Sender or readers make no message.");
    let to = match readers.as_slice() {
        [one] => Mailbox::new(None, one.clone()),
        // Readers do not see one another.
        _ => from.clone(),
    };
    let ms = u64::try_from(out.created_at).unwrap_or_default();
    let envelope = Envelope::new(Some(from.email.clone()), readers).map_err(unreadable)?;
    let message = Message::builder()
        .from(from)
        .to(to)
        .subject(title.split_whitespace().collect::<Vec<_>>().join(" "))
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
        .message_id(Some(format!("<{id}>")))
        .envelope(envelope)
        .multipart(body)
        .map_err(unreadable)?;
    Ok((id, message))
}

/// The text with its paragraphs, lines and links.
fn html(text: &str) -> String {
    let mut out = String::from("<!doctype html>\n<html><body>\n");
    for paragraph in text.replace("\r\n", "\n").split("\n\n").filter(|p| !p.trim().is_empty()) {
        out.push_str("<p>");
        let mut at = 0;
        for range in urls(paragraph) {
            let link = escape(&paragraph[range.clone()]);
            out.push_str(&escape(&paragraph[at..range.start]));
            out.push_str(&format!("<a href=\"{link}\">{link}</a>"));
            at = range.end;
        }
        out.push_str(&escape(&paragraph[at..]));
        out.push_str("</p>\n");
    }
    out + "</body></html>\n"
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\n', "<br>\n")
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text)[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Guard;
    use crate::{Account, Forgetful, Http};

    fn with<T>(settings: &[(&str, &str)], test: impl Fn(&Context<'_>) -> T) -> T {
        let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let account = Account { settings, ..Account::default() };
        let http = Http::new(Guard::allowing(["mail.lan:2525".to_owned()]));
        let second = Duration::from_secs(1);
        test(&Context::new(&http, &account, "smtp:", 0, second, <_>::default(), &Forgetful))
    }

    #[test]
    fn port_and_encryption_follow_from_one_another() {
        let of = |host: &str, port: &str, tls: &str| {
            with(&[("host", host), ("port", port), ("tls", tls)], |cx| {
                server(cx)
                    .map(|server| (server.port, server.tls as u8))
                    .map_err(|e| e.code.unwrap())
            })
        };
        let (first, start, never) = (Tls::First as u8, Tls::Start as u8, Tls::Never as u8);
        let public = "smtp.example.com";
        assert_eq!(of(public, "", ""), Ok((465, first)));
        assert_eq!(of(public, "465", ""), Ok((465, first)));
        assert_eq!(of(public, "587", ""), Ok((587, start)));
        assert_eq!(of(public, "", "STARTTLS"), Ok((587, start)));
        assert_eq!(of(public, "2465", "tls"), Ok((2465, first)));
        assert_eq!(of("mail.lan", "2525", "none"), Ok((2525, never)));
        assert_eq!(of(public, "2525", "none"), Err("not_encrypted".to_owned()));
        assert_eq!(of("mail.lan", "25", "none"), Err("not_encrypted".to_owned()));
        for port in ["0", "65536", "smtp", "-1"] {
            assert_eq!(of(public, port, ""), Err("bad_port".to_owned()), "{port}");
        }
        assert_eq!(of(public, "", "maybe"), Err("bad_tls".to_owned()));
    }

    #[test]
    fn readers_are_read_once_each_and_counted() {
        let of = |to: &str| {
            let read = |cx: &Context<'_>| readers(cx).map(|all| all.len());
            with(&[("to", to)], read).map_err(|e| e.code.unwrap())
        };
        assert_eq!(of("a@x.example"), Ok(1));
        assert_eq!(of("a@x.example, B <b@x.example>;\na@x.example"), Ok(2));
        let many = |n| (0..n).map(|i| format!("r{i}@x.example,")).collect::<String>();
        assert_eq!((of(&many(500)), of(&many(501))), (Ok(500), Err("too_many_readers".to_owned())));
        for bad in ["a", "a@", "@x.example", "ä@x.example", "a@x.example\r\nBcc: b@x.example"] {
            let error = of(bad).expect_err(bad);
            assert_eq!(error, "bad_reader", "{bad}");
        }
        assert_eq!(of(" , "), Err("missing_field".to_owned()));
    }

    #[test]
    fn the_same_delivery_is_the_same_message() {
        let settings =
            [("from", "Bäckerei <news@shop.example>"), ("to", "a@x.example,b@x.example")];
        let made = |key: &str, title: Option<&str>, text: &str| {
            let out = Rendition {
                key: key.to_owned(),
                title: title.map(str::to_owned),
                text: text.to_owned(),
                created_at: 1_795_341_600_000,
                ..Rendition::default()
            };
            with(&settings, |cx| {
                let (id, message) = message(cx, &out).unwrap();
                (id, String::from_utf8(message.formatted()).unwrap())
            })
        };
        let (id, mail) = made("k", Some("Hi\r\nBcc: x@y.example"), "Text");
        assert_eq!((id.clone(), mail.clone()), made("k", Some("Hi\r\nBcc: x@y.example"), "Text"));
        assert_ne!(id, made("l", None, "Text").0);
        assert!(
            id.ends_with("@shop.example") && mail.contains(&format!("Message-ID: <{id}>")),
            "{mail}"
        );
        assert!(mail.contains("Subject: Hi Bcc: x@y.example\r\n"), "{mail}");
        assert!(mail.contains("Date: Sun, 22 Nov 2026 10:00:00 +0000"), "{mail}");
        assert!(!mail.contains("b@x.example") && mail.is_ascii(), "{mail}");
        // One line is title and text.
        let (_, mail) = made("k", None, "Fresh bread");
        assert!(
            mail.contains("Subject: Fresh bread") && mail.contains("<p>Fresh bread</p>"),
            "{mail}"
        );
    }

    #[test]
    fn a_text_becomes_simple_html() {
        let shown = html("A & <b>\r\nline\n\n\nSee https://a.example/?x=\"1&y=2.");
        assert!(shown.contains("<p>A &amp; &lt;b&gt;<br>\nline</p>"), "{shown}");
        assert!(
            shown.contains("<a href=\"https://a.example/?x=\">https://a.example/?x=</a>&quot;1"),
            "{shown}"
        );
    }

    #[test]
    fn enhanced_codes_are_read() {
        assert_eq!(enhanced("5.7.1"), Some((5, 7, 1)));
        assert_eq!(enhanced("4.7.28"), Some((4, 7, 28)));
        for none in ["", "5.7", "5.7.1.2", "3.1.1", "a.b.c", "5..1"] {
            assert_eq!(enhanced(none), None, "{none}");
        }
    }
}
