//! A TCP proxy that understands PostgreSQL's framing just enough to cut a connection at a chosen
//! byte: around a COMMIT and its answer, or in the middle of a claim.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::power::Random;

/// `CommandComplete "COMMIT"` and `ReadyForQuery`, in bytes.
pub(super) const ANSWER: u64 = 12 + 6;
/// What only a claim says.
const CLAIM: &[u8] = b"SET state = 'leased', fence";

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The server never hears of the COMMIT.
    BeforeCommit,
    /// The server has done it; so many bytes of its answer arrive.
    InAnswer(u64),
    /// The server has the claim's statement; its answer does not arrive.
    InClaim,
}

/// What has been cut so far.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub before: AtomicU64,
    pub answers: AtomicU64,
    pub claims: AtomicU64,
}

/// Stops on drop.
pub(super) struct Proxy {
    pub address: SocketAddr,
    pub done: Arc<Done>,
    /// Is the database out of reach?
    away: watch::Sender<bool>,
    /// Is it there and says nothing?
    silent: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

struct Plan {
    random: Mutex<Random>,
    /// Of a thousand COMMITs or claims, how many are cut.
    per_mille: u64,
    next_byte: AtomicU64,
}

impl Plan {
    fn at_commit(&self) -> Option<Cut> {
        let mut random = self.random.lock().unwrap_or_else(|e| e.into_inner());
        if random.below(1000) >= self.per_mille {
            return None;
        }
        if random.below(4) == 0 {
            return Some(Cut::BeforeCommit);
        }
        // Every byte in turn.
        Some(Cut::InAnswer(self.next_byte.fetch_add(1, Ordering::Relaxed) % ANSWER))
    }

    fn at_claim(&self) -> Option<Cut> {
        let mut random = self.random.lock().unwrap_or_else(|e| e.into_inner());
        let cut = random.below(1000) < self.per_mille;
        cut.then_some(Cut::InClaim)
    }
}

impl Proxy {
    /// Listens before `server`, and cuts so many of a thousand COMMITs.
    pub(super) async fn before(
        server: SocketAddr,
        per_mille: u64,
        seed: u64,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let plan = Arc::new(Plan {
            random: Mutex::new(Random::new(seed)),
            per_mille,
            next_byte: AtomicU64::new(0),
        });
        let done = Arc::new(Done::default());
        let counted = done.clone();
        let (away, gone) = watch::channel(false);
        let (silent, hush) = watch::channel(false);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (plan, counted, mut gone) = (plan.clone(), counted.clone(), gone.clone());
                let hush = hush.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = converse(client, server, plan, counted, hush) => {}
                        // An error means that the proxy is gone as well.
                        _ = gone.wait_for(|away| *away) => {}
                    }
                });
            }
        });
        Ok(Self { address, done, away, silent, serving })
    }

    /// Takes the database out of reach, and every connection with it; or brings it back.
    pub(super) fn away(&self, yes: bool) {
        self.away.send_replace(yes);
    }

    /// Keeps every connection and hands nothing on, as a server does whose disk hangs; or goes on.
    pub(super) fn silent(&self, yes: bool) {
        self.silent.send_replace(yes);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Both directions of one connection, until either ends or is cut.
async fn converse(
    client: TcpStream,
    server: SocketAddr,
    plan: Arc<Plan>,
    done: Arc<Done>,
    hush: watch::Receiver<bool>,
) {
    // Without a server the client sees a closed connection, as it would without the proxy.
    let Ok(upstream) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = upstream.into_split();
    // How many bytes of the coming answer may pass; `None`: all.
    let (limit, limited) = watch::channel(None);
    tokio::select! {
        () = questions(from_client, to_server, &plan, &done, &limit) => {}
        () = answers(from_server, to_client, limited, hush) => {}
    }
}

/// Hands on what the client says, message by message.
async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    plan: &Plan,
    done: &Done,
    limit: &watch::Sender<Option<u64>>,
) {
    let mut claims = HashSet::new();
    let mut first = true;
    while let Some(message) = message(&mut from, first).await {
        let cut = match (first, message.first()) {
            (false, Some(b'Q')) if body(&message) == b"COMMIT" => plan.at_commit(),
            (false, Some(b'P')) => {
                if message.windows(CLAIM.len()).any(|w| w == CLAIM) {
                    claims.insert(body(&message).to_vec());
                }
                None
            }
            // Bind: the portal's name, then the statement's.
            (false, Some(b'B')) if claims.contains(statement(&message)) => plan.at_claim(),
            _ => None,
        };
        first = false;
        match cut {
            None => {}
            Some(Cut::BeforeCommit) => {
                done.before.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Some(Cut::InAnswer(bytes)) => {
                done.answers.fetch_add(1, Ordering::Relaxed);
                limit.send_replace(Some(bytes));
            }
            Some(Cut::InClaim) => {
                done.claims.fetch_add(1, Ordering::Relaxed);
                limit.send_replace(Some(0));
            }
        }
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// Hands on what the server says, until the limit.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    limit: watch::Receiver<Option<u64>>,
    mut hush: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut left = None;
    loop {
        // A claim's answer is cut although its statement is not the last one: what comes first
        // after the limit was set is its answer.
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read as u64,
        };
        // An error means that the proxy is gone, and so is this connection.
        if hush.wait_for(|silent| !silent).await.is_err() {
            return;
        }
        left = left.or(*limit.borrow());
        let pass = left.map_or(read, |left| left.min(read));
        if to.write_all(&buffer[..pass as usize]).await.is_err() {
            return;
        }
        if let Some(left) = &mut left {
            *left -= pass;
            if *left == 0 {
                return;
            }
        }
    }
}

/// The next message, whole; the first one of a connection has no type.
async fn message(from: &mut OwnedReadHalf, first: bool) -> Option<Vec<u8>> {
    let head = if first { 4 } else { 5 };
    let mut message = vec![0; head];
    from.read_exact(&mut message).await.ok()?;
    let length: [u8; 4] = message[head - 4..].try_into().ok()?;
    let rest = u32::from_be_bytes(length).checked_sub(4)? as usize;
    message.resize(head + rest, 0);
    from.read_exact(&mut message[head..]).await.ok()?;
    Some(message)
}

/// The first text of a message.
fn body(message: &[u8]) -> &[u8] {
    text(message.get(5..).unwrap_or_default())
}

/// The second one.
fn statement(message: &[u8]) -> &[u8] {
    let after = message.get(5..).unwrap_or_default();
    text(after.get(text(after).len() + 1..).unwrap_or_default())
}

fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}
