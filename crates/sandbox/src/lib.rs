//! The sandbox: the own APIs of every network on one local HTTP server, with scripted faults.
//!
//! It is written from the networks' documents and never from the connectors, so that a connector
//! which passes here agrees with the documents and not with itself. It is strict where the real
//! service is strict, asynchronous where it is asynchronous, and it keeps a [ledger](LedgerPost) of
//! every post that was ever visible: the one thing a test asserts on.
//!
//! Anything named `[a-z0-9_-]+` is an account that exists. Its secret is `sandbox-{account}`.
//! Nothing is kept on disk, and the only requests that leave are those for media that a caller asks
//! a network to fetch. Budgets of calls are not enforced: a `rate_limit` fault stands for them.

mod bluesky;
mod call;
mod dag;
mod devto;
mod discord;
mod discord_webhook;
mod email;
mod facebook;
mod faults;
mod film;
mod gbp;
mod ghost;
mod google;
mod graph;
mod graphql;
mod hashnode;
mod instagram;
mod ledger;
mod lemmy;
mod lexicon;
mod line;
mod linkedin;
mod markdown;
mod markup;
mod mastodon;
mod matrix;
mod media;
mod mime;
mod nostr;
mod numbers;
mod oauth;
mod page;
mod pinterest;
mod poll;
mod reddit;
mod rendering;
mod requests;
mod server;
mod signed;
mod slack;
mod slack_webhook;
mod telegram;
mod text;
mod threads;
mod tiktok;
mod tumblr;
mod webhook;
mod wordpress;
mod world;
mod x;
mod youtube;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use crate::faults::{Calls, Fault, Trouble};
pub use crate::ledger::{LedgerMedia, LedgerPoll, LedgerPost};
pub use crate::numbers::Numbers;
pub use crate::oauth::{CLIENT_ID, CLIENT_SECRET};
pub use crate::requests::Recorded;
use crate::world::{Network, World, lock};

/// How the sandbox behaves; the default answers at once and reads the system's clock.
#[derive(Clone)]
pub struct Options {
    /// Waited before each answer of a network. The control endpoints and the page do not wait.
    pub latency: Duration,
    /// The time, in milliseconds UTC. Tokens, keys and containers age by it.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self { latency: Duration::ZERO, now: Arc::new(system_time) }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the sandbox reads the clock")]
fn system_time() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A handle on one sandbox. Clones share it; the server it started stops with the last of them.
#[derive(Clone)]
pub struct Sandbox {
    world: Arc<World>,
    server: Option<Arc<Server>>,
}

struct Server {
    url: String,
    /// The server for HTTP and the one for mail run until these are dropped.
    running: Mutex<Option<[oneshot::Sender<()>; 2]>>,
}

impl Sandbox {
    /// A sandbox without a server of its own: mount [`Sandbox::router`].
    pub fn new(options: Options) -> Self {
        Self { world: Arc::new(World::new(options)), server: None }
    }

    /// The routes. Served by anything but this crate, a `reset_…` fault cannot reach the socket and
    /// breaks off the body of the answer instead.
    pub fn router(&self) -> axum::Router {
        server::router(Arc::clone(&self.world))
    }

    /// Listens on `addr` (port 0 picks a free one) and serves in the background; mail on another
    /// port of the same address, which is a free one.
    pub async fn start(addr: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let url = url_of(listener.local_addr()?);
        let mail = TcpListener::bind((addr.ip(), 0)).await?;
        let mut sandbox = Self::new(options);
        let at = mail.local_addr()?;
        sandbox.world.mail.get_or_init(|| at);
        let world = Arc::clone(&sandbox.world);
        let (taking, closed) = oneshot::channel::<()>();
        tokio::spawn(async move {
            tokio::select! {
                () = email::serve(world, mail) => {}
                _ = closed => {}
            }
        });
        let (running, stopped) = oneshot::channel::<()>();
        let router = sandbox.router();
        tokio::spawn(async move {
            let served = axum::serve(line::Lines::new(listener), line::service(router))
                .with_graceful_shutdown(async {
                    stopped.await.ok();
                })
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "the sandbox stopped serving");
            }
        });
        sandbox.server =
            Some(Arc::new(Server { url, running: Mutex::new(Some([running, taking])) }));
        Ok(sandbox)
    }

    /// Serves on `listener` until the returned future is dropped.
    pub async fn serve(listener: TcpListener, options: Options) -> io::Result<()> {
        let router = Self::new(options).router();
        axum::serve(line::Lines::new(listener), line::service(router)).await
    }

    /// `http://127.0.0.1:PORT` of a started sandbox.
    pub fn url(&self) -> String {
        self.server.as_ref().map_or_else(|| "http://localhost".to_owned(), |s| s.url.clone())
    }

    /// `127.0.0.1:PORT` where a started sandbox takes mail.
    pub fn mail(&self) -> Option<String> {
        let at = url_of(*self.world.mail.get()?);
        at.strip_prefix("http://").map(str::to_owned)
    }

    /// Stops the server. Answers under way are finished; new connections are refused.
    pub fn stop(&self) {
        if let Some(server) = &self.server {
            lock(&server.running).take();
        }
    }

    /// What somebody enters to connect `account` to this network: keys as networks' forms have
    /// them, secrets among the rest. Empty for a name that is no network.
    pub fn fields(&self, network: &str, account: &str) -> Vec<(&'static str, String)> {
        let base = match self.mail() {
            Some(at) if network == Network::Email.id() => format!("smtp://{at}"),
            _ => format!("{}/{network}", self.url()),
        };
        if network == Network::Nostr.id() {
            nostr::introduce(&self.world, account);
        }
        fields(network, account, &base)
    }

    /// Every post of this network that is or once was visible, oldest first. Empty for a name that
    /// is no network.
    pub fn ledger(&self, network: &str) -> Vec<LedgerPost> {
        Network::find(network).map_or_else(Vec::new, |n| self.world.ledger(n))
    }

    /// From now on followers did this to a post, which goes by its id in the ledger.
    ///
    /// # Panics
    /// Where the network is none, or has no such post.
    pub fn set_numbers(&self, network: &str, id: &str, numbers: Numbers) {
        let known =
            Network::find(network).filter(|n| self.world.ledger(*n).iter().any(|p| p.id == id));
        let network = known.unwrap_or_else(|| panic!("`{network}` has no post `{id}`"));
        self.world.counts.set(network, id, numbers);
    }

    /// Lets the next matching requests fail as `fault` says.
    pub fn add_fault(&self, fault: Fault) {
        self.world.faults.add(fault);
    }

    /// How many scripted faults wait for their request: 0 once the last has met it.
    pub fn faults_left(&self) -> usize {
        self.world.faults.left()["faults"].as_array().map_or(0, Vec::len)
    }

    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// The last 2,000 requests to this network, oldest first, secrets masked.
    pub fn requests(&self, network: &str) -> Vec<Recorded> {
        Network::find(network).map_or_else(Vec::new, |n| self.world.requests.of(n))
    }
}

/// [`Sandbox::fields`] of a sandbox elsewhere: `base` is the address of this network there.
pub fn fields(network: &str, account: &str, base: &str) -> Vec<(&'static str, String)> {
    Network::find(network).map_or_else(Vec::new, |n| n.fields(account, base))
}

fn url_of(addr: SocketAddr) -> String {
    // An address that means "every interface" is no address a client can call.
    match addr {
        SocketAddr::V4(a) if a.ip().is_unspecified() => format!("http://127.0.0.1:{}", a.port()),
        SocketAddr::V6(a) if a.ip().is_unspecified() => format!("http://[::1]:{}", a.port()),
        _ => format!("http://{addr}"),
    }
}
