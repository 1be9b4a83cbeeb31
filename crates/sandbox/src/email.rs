//! E-mail: a mail server for submission on a port of its own, which passes nothing on.
//!
//! RFC 5321, RFC 4954, RFC 3463; networks.md §23.7. It is strict where servers are: CR LF, line
//! lengths, dots, the order of commands, headers, and a sender that belongs to the account. User
//! `{account}`, password `sandbox-{account}`, sender `{account}@sandbox.example`. A reader with
//! `nosuch` in the address is unknown, one with `full` has a full mailbox. What is taken is a post
//! of the ledger, each copy one of its own. Not spoken: STARTTLS, BDAT, PIPELINING, SMTPUTF8.
//!
//! Faults of `publish` hit the message: `rate_limit` and `auth` at `MAIL`, the others at the dot
//! that ends it. Those of `prepare` hit the sign-in. Over HTTP there is nothing but this word.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::{Calls, Trouble};
use crate::ledger::{Appeared, LedgerMedia};
use crate::mime::{self, Part};
use crate::requests::Recorded;
use crate::world::{Fields, Network, World, account_of_secret, iso, lock, secret_of};

const DOMAIN: &str = "sandbox.example";
const LINE_LIMIT: usize = 1_000;
const SIZE_LIMIT: usize = 12 << 20;
const READER_LIMIT: usize = 500;

#[derive(Default)]
pub(crate) struct State {
    queued: u64,
}

/// `base` is `smtp://host:port`, or an address over HTTP that tells nothing of the port.
pub(crate) fn fields(account: &str, base: &str) -> Fields {
    let at = base.split_once("://").map_or(base, |(_, at)| at);
    let at = at.split('/').next().unwrap_or_default();
    let (host, port) = at.rsplit_once(':').unwrap_or((at, ""));
    let mut fields = vec![
        ("host", host.to_owned()),
        ("tls", "none".to_owned()),
        ("username", account.to_owned()),
        ("password", secret_of(account)),
        ("from", format!("{account} <{}>", address(account))),
        ("to", format!("readers@{DOMAIN}")),
    ];
    if base.starts_with("smtp://") {
        fields.push(("port", port.to_owned()));
    }
    fields
}

fn address(account: &str) -> String {
    format!("{account}@{DOMAIN}")
}

pub(crate) fn aim(_: &World, _: &Call) -> Aim {
    Aim { call: Calls::Read, account: None }
}

pub(crate) async fn answer(world: &World, _: &Call) -> Answer {
    let at = world.mail.get().map(ToString::to_string);
    Answer::json(404, &json!({ "error": "Mail is taken by SMTP.", "smtp": at }))
}

pub(crate) fn refuse(_: &Call, _: Refusal) -> Answer {
    Answer::json(404, &json!({ "error": "Mail is taken by SMTP." }))
}

/// Takes mail until the returned future is dropped; conversations under way go on.
pub(crate) async fn serve(world: Arc<World>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    if let Err(error) = Session::new(&world, stream).run().await {
                        tracing::debug!(%error, "a mail conversation broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a mail connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Session<'w> {
    world: &'w World,
    stream: BufReader<TcpStream>,
    greeted: bool,
    account: Option<String>,
    sender: Option<String>,
    readers: Vec<String>,
    /// May the message hold bytes above 127?
    eight_bit: bool,
    /// What goes wrong with the message.
    met: Option<(Trouble, u64)>,
}

/// How the conversation goes on.
enum Next {
    Say(String),
    End(String),
    /// Without a word.
    Break,
}

fn say(line: &str) -> Next {
    Next::Say(line.to_owned())
}

impl<'w> Session<'w> {
    fn new(world: &'w World, stream: TcpStream) -> Self {
        Self {
            world,
            stream: BufReader::new(stream),
            greeted: false,
            account: None,
            sender: None,
            readers: Vec::new(),
            eight_bit: false,
            met: None,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        self.say(&format!("220 mail.{DOMAIN} ESMTP Carillon sandbox")).await?;
        loop {
            let Some(line) = self.line().await? else { return Ok(()) };
            match self.hear(&line).await? {
                Next::Say(line) => self.say(&line).await?,
                Next::End(line) => return self.say(&line).await,
                Next::Break => {
                    // The close that follows is a reset.
                    return self.stream.get_ref().set_zero_linger();
                }
            }
        }
    }

    async fn say(&mut self, lines: &str) -> io::Result<()> {
        let lines = format!("{}\r\n", lines.replace('\n', "\r\n"));
        self.stream.get_mut().write_all(lines.as_bytes()).await
    }

    /// One line without its end; `None` where the client has gone.
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let most = LINE_LIMIT as u64 + 2;
        if (&mut self.stream).take(most).read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.strip_suffix(b"\r\n").unwrap_or(&b"\0"[..]);
        Ok(Some(String::from_utf8_lossy(line).into_owned()))
    }

    async fn hear(&mut self, line: &str) -> io::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        Ok(match verb.to_ascii_uppercase().as_str() {
            "EHLO" if !rest.trim().is_empty() => {
                self.greeted = true;
                self.reset();
                Next::Say(format!(
                    "250-mail.{DOMAIN}\n250-SIZE {SIZE_LIMIT}\n250-8BITMIME\n\
                     250-ENHANCEDSTATUSCODES\n250 AUTH PLAIN LOGIN"
                ))
            }
            "HELO" if !rest.trim().is_empty() => {
                self.greeted = true;
                Next::Say(format!("250 mail.{DOMAIN}"))
            }
            "EHLO" | "HELO" => say("501 5.5.4 A name is missing"),
            "NOOP" => say("250 2.0.0 Ok"),
            "RSET" => {
                self.reset();
                say("250 2.0.0 Ok")
            }
            "QUIT" => Next::End("221 2.0.0 Bye".to_owned()),
            "VRFY" => say("252 2.0.0 Send some mail, I'll try my best"),
            _ if !self.greeted => say("503 5.5.1 Error: send HELO/EHLO first"),
            "AUTH" => self.auth(rest).await?,
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.data().await?,
            "STARTTLS" => say("502 5.5.1 Error: command not implemented"),
            _ => say("500 5.5.2 Error: command not recognized"),
        })
    }

    fn reset(&mut self) {
        (self.sender, self.met, self.eight_bit) = (None, None, false);
        self.readers.clear();
    }

    // Sign-in

    async fn auth(&mut self, rest: &str) -> io::Result<Next> {
        if self.account.is_some() {
            return Ok(say("503 5.5.1 Error: already authenticated"));
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let read = |text: &str| {
            let bytes = STANDARD.decode(text.trim()).ok()?;
            String::from_utf8(bytes).ok()
        };
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let whole =
                    if initial.is_empty() { self.ask("").await? } else { initial.to_owned() };
                let whole = read(&whole).unwrap_or_default();
                let parts: Vec<String> = whole.split('\0').map(str::to_owned).collect();
                <[String; 3]>::try_from(parts).ok().map(|[_, name, secret]| (name, secret))
            }
            "LOGIN" => {
                let name = match initial {
                    "" => self.ask("VXNlcm5hbWU6").await?,
                    initial => initial.to_owned(),
                };
                let secret = self.ask("UGFzc3dvcmQ6").await?;
                read(&name).zip(read(&secret))
            }
            _ => return Ok(say("504 5.5.4 Unrecognized authentication type")),
        };
        let account = given.and_then(|(name, secret)| {
            let account = account_of_secret(&secret)?;
            (name == account || name == address(account)).then(|| account.to_owned())
        });
        let met = self.world.faults.meet(Network::Email, Calls::Prepare, account.as_deref());
        let good = account.is_some();
        Ok(match met {
            Some((Trouble::Auth, _)) => say("535 5.7.8 Error: authentication failed"),
            Some((Trouble::RateLimit, _)) => say("454 4.7.0 Too many login attempts"),
            Some((Trouble::ServerError, _)) => say("454 4.7.0 Temporary authentication failure"),
            Some((Trouble::ResetBeforeAccept | Trouble::ResetAfterAccept, _)) => Next::Break,
            Some((Trouble::Garbage, _)) => say("<html>"),
            Some((Trouble::Slow, ms)) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.account = account;
                say("235 2.7.0 Authentication successful")
            }
            _ if good => {
                self.account = account;
                say("235 2.7.0 Authentication successful")
            }
            _ => say("535 5.7.8 Error: authentication failed"),
        })
    }

    async fn ask(&mut self, challenge: &str) -> io::Result<String> {
        self.say(&format!("334 {challenge}")).await?;
        Ok(self.line().await?.unwrap_or_default())
    }

    // The message

    fn mail(&mut self, rest: &str) -> Next {
        let Some(account) = self.account.clone() else {
            return say("530 5.7.0 Authentication required");
        };
        if self.sender.is_some() {
            return say("503 5.5.1 Error: nested MAIL command");
        }
        let Some((sender, parameters)) = path(rest, "FROM:") else {
            return say("501 5.5.4 Syntax: MAIL FROM:<address>");
        };
        for parameter in parameters.split_whitespace() {
            match parameter.to_ascii_uppercase().split_once('=') {
                Some(("BODY", "8BITMIME")) => self.eight_bit = true,
                Some(("BODY", "7BIT")) => {}
                Some(("SIZE", size)) if size.parse::<usize>().is_ok_and(|n| n <= SIZE_LIMIT) => {}
                Some(("SIZE", _)) => return say("552 5.3.4 Message size exceeds fixed limit"),
                _ => return say("555 5.5.4 Unsupported option"),
            }
        }
        self.met = self.world.faults.meet(Network::Email, Calls::Publish, Some(&account));
        match self.met {
            Some((Trouble::Auth, _)) => {
                self.record(0, None);
                return say("530 5.7.0 Authentication required");
            }
            Some((Trouble::RateLimit, _)) => {
                self.record(0, None);
                return say("450 4.7.1 Error: too many messages, slow down");
            }
            _ => {}
        }
        if sender != address(&account) {
            return Next::Say(format!(
                "553 5.7.1 <{sender}>: Sender address rejected: not owned by user {account}"
            ));
        }
        self.sender = Some(sender);
        say("250 2.1.0 Ok")
    }

    fn rcpt(&mut self, rest: &str) -> Next {
        if self.sender.is_none() {
            return say("503 5.5.1 Error: need MAIL command");
        }
        let Some((reader, _)) = path(rest, "TO:") else {
            return say("501 5.5.4 Syntax: RCPT TO:<address>");
        };
        let (local, domain) = reader.rsplit_once('@').unwrap_or((&reader, ""));
        if !reader.is_ascii() || local.is_empty() || !domain.contains('.') {
            return Next::Say(format!("501 5.1.3 <{reader}>: Bad recipient address syntax"));
        }
        if local.contains("nosuch") {
            return Next::Say(format!(
                "550 5.1.1 <{reader}>: Recipient address rejected: User unknown"
            ));
        }
        if local.contains("full") {
            return Next::Say(format!("552 5.2.2 <{reader}>: Mailbox full"));
        }
        if self.readers.len() == READER_LIMIT {
            return say("452 4.5.3 Error: too many recipients");
        }
        self.readers.push(reader);
        say("250 2.1.5 Ok")
    }

    async fn data(&mut self) -> io::Result<Next> {
        if self.readers.is_empty() {
            return Ok(say("503 5.5.1 Error: need RCPT command"));
        }
        self.say("354 End data with <CR><LF>.<CR><LF>").await?;
        let (message, wrong) = match self.message().await? {
            Some(read) => read,
            None => return Ok(Next::Break),
        };
        let refused = wrong.or_else(|| self.wrong(&message).err());
        let met = self.met.take();
        if let Some((Trouble::Slow, ms)) = met {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        let taken = match (met, &refused) {
            (Some((Trouble::ServerError | Trouble::ResetBeforeAccept, _)), _) | (_, Some(_)) => {
                None
            }
            _ => Some(self.take(&message)),
        };
        self.met = met;
        let next = match (met, refused, taken) {
            (Some((Trouble::ResetBeforeAccept | Trouble::ResetAfterAccept, _)), ..) => Next::Break,
            (Some((Trouble::ServerError, _)), ..) => say("451 4.3.0 Error: queue file write error"),
            (Some((Trouble::Garbage, _)), ..) => say("<html>"),
            (_, Some(refused), _) => Next::Say(refused),
            (.., Some(number)) => Next::Say(format!("250 2.0.0 Ok: queued as {number:X}")),
            (.., None) => say("451 4.3.0 Error: queue file write error"),
        };
        let status = match &next {
            Next::Say(line) => line.get(..3).and_then(|code| code.parse().ok()),
            _ => None,
        };
        self.record(message.len(), status);
        self.reset();
        Ok(next)
    }

    /// The message without its dots, and what is wrong with its lines; `None` where it breaks off.
    async fn message(&mut self) -> io::Result<Option<(Vec<u8>, Option<String>)>> {
        let (mut message, mut wrong) = (Vec::new(), None);
        loop {
            let mut line = Vec::new();
            let most = SIZE_LIMIT as u64;
            if (&mut self.stream).take(most).read_until(b'\n', &mut line).await? == 0 {
                return Ok(None);
            }
            if line == b".\r\n" {
                return Ok(Some((message, wrong)));
            }
            let says = if !line.ends_with(b"\r\n") || line[..line.len() - 2].contains(&b'\r') {
                Some("550 5.6.11 Error: bare <CR> or <LF>")
            } else if line.len() > LINE_LIMIT {
                Some("554 5.6.0 Error: a line is longer than 998 bytes")
            } else if !self.eight_bit && !line.is_ascii() {
                Some("554 5.6.1 Error: 8-bit bytes without BODY=8BITMIME")
            } else if message.len() + line.len() > SIZE_LIMIT {
                Some("552 5.3.4 Error: message file too big")
            } else {
                None
            };
            wrong = wrong.or(says.map(str::to_owned));
            if wrong.is_none() {
                message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            }
        }
    }

    /// What RFC 5322 asks of a message, and that it says who it is from.
    fn wrong(&self, message: &[u8]) -> Result<(), String> {
        let part = Part::read(message);
        for name in ["from", "to", "date", "subject", "message-id", "mime-version"] {
            match part.all(name).as_slice() {
                [one] if !one.trim().is_empty() => {}
                _ => return Err(format!("550 5.6.0 Error: one {name} header is needed")),
            }
        }
        let id = part.header("message-id").unwrap_or_default();
        let id = id.trim().strip_prefix('<').and_then(|id| id.strip_suffix('>'));
        if id.is_none_or(|id| id.split('@').filter(|half| !half.is_empty()).count() != 2) {
            return Err("550 5.6.0 Error: the Message-ID is none".to_owned());
        }
        let from = part.header("from").unwrap_or_default();
        match self.sender.as_ref().is_some_and(|sender| from.contains(sender)) {
            true => Ok(()),
            false => Err("550 5.7.1 Error: the From header is another's".to_owned()),
        }
    }

    /// Puts the message where everybody sees it; its number in the queue.
    fn take(&self, message: &[u8]) -> u64 {
        let part = Part::read(message);
        let id = part.header("message-id").unwrap_or_default();
        let id = id.trim().trim_matches(['<', '>']).to_owned();
        let copies = |n: usize| if n == 1 { id.clone() } else { format!("{id}#{n}") };
        let copy = (1..).map(copies).find(|id| {
            // A second copy is one, whatever a mailbox would make of it.
            self.world.ledger.get(Network::Email, id).is_none()
        });
        let subject = mime::words(&part.header("subject").unwrap_or_default());
        let mut text = String::new();
        let mut media: Vec<LedgerMedia> = Vec::new();
        for leaf in part.leaves() {
            match leaf.kind().as_str() {
                "text/plain" if text.is_empty() => {
                    let read = leaf.content();
                    text = String::from_utf8_lossy(&read).replace("\r\n", "\n");
                }
                "text/html" | "text/plain" => {}
                _ => {
                    let blob = self.world.blobs.keep(&Bytes::from(leaf.content()));
                    media.push(blob.in_ledger(&leaf.file_name().unwrap_or_default()));
                }
            }
        }
        let account = self.account.clone().unwrap_or_default();
        self.world.ledger.appear(
            Network::Email,
            Appeared {
                id: copy.unwrap_or(id),
                account: &account,
                placement: "message",
                reply_to: None,
                text: format!("{subject}\n\n{}", text.trim()),
                media,
                at: self.world.now(),
            },
        );
        let mut state = lock(&self.world.states.email);
        state.queued += 1;
        state.queued
    }

    fn record(&self, bytes: usize, status: Option<u16>) {
        let recorded = Recorded {
            at: iso(self.world.now()),
            method: "DATA".to_owned(),
            path: "/email".to_owned(),
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: format!("({} readers, {bytes} bytes)", self.readers.len()),
            call: Calls::Publish,
            account: self.account.clone(),
            fault: self.met.map(|(trouble, _)| trouble),
            status,
        };
        self.world.requests.add(Network::Email, recorded);
    }
}

/// The address of `FROM:<a@b> …`, and what follows it.
fn path<'l>(rest: &'l str, word: &str) -> Option<(String, &'l str)> {
    let head = rest.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word))?;
    let (address, parameters) = rest[head.len()..].strip_prefix('<')?.split_once('>')?;
    Some((address.to_owned(), parameters))
}
