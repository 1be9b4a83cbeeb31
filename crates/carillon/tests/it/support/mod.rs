//! What every test stands on: the real app on a temporary database, the sandbox as the networks,
//! and a clock that only the test moves.

#![expect(unreachable_pub, reason = "a test binary has no public face")]

pub mod guild;
pub mod live;
pub mod process;
pub mod s3;
pub mod video;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carillon::clock::Clock;
use carillon::config::Config;
use carillon::db::Error;
use carillon::domain::job::Pool;
use carillon::domain::refusal::Refusal;
use carillon::domain::when;
use carillon::media::{intake, trash};
use carillon::publishing::connecting::{self, New};
use carillon::publishing::schedule::{self, Draft, DraftDelivery};
use carillon::publishing::view::{self, AttemptView, DeliveryView, PostView};
use carillon::queue::worker::Worker;
use carillon::store::audit::OPERATOR;
use carillon::store::{accounts, queue};
use carillon::{App, ids};
use carillon_sandbox::{Calls, Fault, LedgerPost, Options, Sandbox, Trouble};

/// Monday 23 November 2026, 08:00 UTC.
pub const START: i64 = 1_795_420_800_000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// Runs an async test body once on each database.
#[macro_export]
macro_rules! both {
    ($($(#[$meta:meta])* async fn $name:ident($t:ident: TestApp) $body:block)+) => { $(
        mod $name {
            use super::*;
            async fn body($t: $crate::support::TestApp) $body
            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() { body($crate::support::TestApp::new($crate::support::On::Sqlite).await).await }
            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() { body($crate::support::TestApp::new($crate::support::On::Postgres).await).await }
        }
    )+ };
}

pub struct TestApp {
    pub app: App,
    pub sandbox: Sandbox,
    pub worker: Worker,
    pub clock: Clock,
    pub workspace: String,
    pub settings: BTreeMap<String, String>,
    pub sandbox_url: String,
    _dir: tempfile::TempDir,
}

impl TestApp {
    pub async fn new(on: On) -> Self {
        Self::with(on, &[]).await
    }

    /// With settings, by their names in the environment.
    pub async fn with(on: On, more: &[(&str, &str)]) -> Self {
        Self::start(on, Clock::manual(START), more).await
    }

    /// Beside processes of their own: on the system's clock, with their sandbox.
    pub async fn with_sandbox_of(on: On, sandbox: &str, more: &[(&str, &str)]) -> Self {
        let mut t = Self::start(on, Clock::system(), more).await;
        t.sandbox_url = sandbox.to_owned();
        t
    }

    /// On a clock of the test's choice.
    pub async fn on_clock(on: On, clock: Clock, more: &[(&str, &str)]) -> Self {
        Self::start(on, clock, more).await
    }

    async fn start(on: On, clock: Clock, more: &[(&str, &str)]) -> Self {
        ids::of_many_clocks();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let now = {
            let clock = clock.clone();
            Arc::new(move || clock.now())
        };
        let options = Options { now, ..Options::default() };
        let sandbox = Sandbox::start("127.0.0.1:0".parse().unwrap(), options)
            .await
            .expect("the sandbox starts");
        let mut settings: BTreeMap<String, String> = BTreeMap::from([
            ("CARILLON_DATA".into(), dir.path().display().to_string()),
            ("CARILLON_SANDBOX".into(), sandbox.url()),
            // For processes of its own: several run at once.
            ("CARILLON_LISTEN".into(), "127.0.0.1:0".into()),
            ("CARILLON_ALLOW_HOSTS".into(), sandbox.mail().expect("it takes mail")),
        ]);
        if on == On::Postgres && !more.iter().any(|(k, _)| *k == "CARILLON_DATABASE") {
            settings.insert("CARILLON_DATABASE".into(), postgres_schema().await);
        }
        settings.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let config =
            Config::read(|name| settings.get(name).cloned()).expect("the settings are right");
        let app = App::open(config, clock.clone()).await.expect("the app opens");
        let workspace = ids::new(clock.now());
        let w = accounts::Workspace {
            id: workspace.clone(),
            name: "The Anchor".into(),
            timezone: "Europe/London".into(),
            demo_at: None,
        };
        app.db
            .write(move |tx| async move { accounts::add_workspace(&tx, &w, START).await })
            .await
            .expect("a workspace");
        let worker = Worker::new(app.clone());
        let sandbox_url = sandbox.url();
        Self { app, sandbox, worker, clock, workspace, settings, sandbox_url, _dir: dir }
    }

    /// The same installation in another process: what died with the first is not there.
    pub async fn again(&self) -> App {
        let config = Config::read(|name| self.settings.get(name).cloned()).expect("as before");
        App::open(config, self.clock.clone()).await.expect("the app opens again")
    }

    /// Connects `alice` (or whom the name says) at a network of the sandbox.
    pub async fn connect(&self, network: &str) -> String {
        self.connect_as(network, "alice").await
    }

    pub async fn connect_as(&self, network: &str, account: &str) -> String {
        let fields = self.fields(network, account);
        let new = New {
            network: network.into(),
            name: Some(format!("{account} at {network}")),
            credentials: fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            ..New::default()
        };
        let made = connecting::add(&self.app, &self.workspace, new).await;
        made.unwrap_or_else(|e| panic!("{network} takes {account}: {e:?}")).id
    }

    /// What connects an account, also of a sandbox that is another process.
    pub fn fields(&self, network: &str, account: &str) -> Vec<(&'static str, String)> {
        match self.sandbox_url == self.sandbox.url() {
            true => self.sandbox.fields(network, account),
            false => {
                let base = format!("{}/{network}", self.sandbox_url);
                carillon_sandbox::fields(network, account, &base)
            }
        }
    }

    /// A text for these connections, due in ten minutes. The guard against collisions and
    /// duplicates has tests of its own.
    pub fn draft(&self, text: &str, connections: &[&str]) -> Draft {
        Draft {
            text: text.into(),
            scheduled_at: Some(when::iso(self.clock.now() + 600_000)),
            timezone: Some("Europe/London".into()),
            allow_collision: true,
            allow_duplicate: true,
            deliveries: connections.iter().map(|c| to(c)).collect(),
            ..Draft::default()
        }
    }

    pub async fn schedule(&self, draft: Draft) -> PostView {
        schedule::create(&self.app, &self.workspace, draft, None).await.expect("the post is taken")
    }

    pub async fn post(&self, id: &str) -> PostView {
        view::post(&self.app, &self.workspace, id).await.expect("the post is there")
    }

    pub async fn delivery(&self, id: &str) -> DeliveryView {
        view::delivery(&self.app, &self.workspace, id).await.expect("the delivery is there")
    }

    pub async fn journal(&self, delivery: &str) -> Vec<AttemptView> {
        view::attempts(&self.app, &self.workspace, delivery).await.expect("the journal is there")
    }

    /// Runs what is due, then moves the clock from one due time to the next, to its end.
    pub async fn pass(&self, time: Duration) {
        let end = self.clock.now() + time.as_millis() as i64;
        loop {
            self.worker.tick().await.expect("a tick");
            let next = self
                .app
                .db
                .read(|tx| async move {
                    let mut next = None::<i64>;
                    for pool in Pool::ALL {
                        if let Some(at) = queue::next_at(&tx, *pool).await? {
                            next = Some(next.map_or(at, |n| n.min(at)));
                        }
                    }
                    Ok::<_, Error>(next)
                })
                .await
                .expect("the next due time");
            let now = self.clock.now();
            let to = next.unwrap_or(end).clamp(now, end);
            if to <= now && next.is_some_and(|n| n <= now) {
                continue;
            }
            self.clock.advance(Duration::from_millis((to - now) as u64));
            if to == end {
                self.worker.tick().await.expect("a tick");
                return;
            }
        }
    }

    /// Serves the app on a free port until the test ends; its address.
    pub async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(carillon::web::serve::serve(
            self.app.clone(),
            listener,
            std::future::pending(),
        ));
        url
    }

    /// A key to another workspace of the same installation.
    pub async fn stranger(&self) -> String {
        let now = self.clock.now();
        let w = accounts::Workspace {
            id: ids::new(now),
            name: "Somebody else".into(),
            timezone: "UTC".into(),
            demo_at: None,
        };
        self.app
            .db
            .write(move |tx| async move {
                accounts::add_workspace(&tx, &w, now).await?;
                carillon::identity::door::make_key(&tx, &w.id, "theirs", now).await
            })
            .await
            .expect("another workspace")
    }

    /// Uploads a picture and has its derivatives made; its id.
    pub async fn upload(&self) -> String {
        let body = futures_util::stream::iter([Ok::<_, std::io::Error>(picture(1200, 900).into())]);
        let media = intake::upload(&self.app, &self.workspace, "harbour.jpg", "The harbour", body)
            .await
            .expect("the picture is taken");
        self.worker.tick().await.expect("a tick");
        media.id
    }

    /// What followers see at a network now.
    pub fn visible(&self, network: &str) -> Vec<LedgerPost> {
        self.sandbox.ledger(network).into_iter().filter(|p| p.deleted_at.is_none()).collect()
    }

    pub fn fault(&self, network: &str, call: Calls, fault: Trouble) {
        self.sandbox.add_fault(Fault::new(network, call, fault));
    }
}

/// Deletes a medium, and out of the trash too.
pub async fn throw_away(app: &App, workspace: &str, id: &str) -> Result<(), Refusal> {
    trash::delete(app, workspace, id, false, OPERATOR).await?;
    trash::empty(app, workspace, &[id.to_owned()], OPERATOR).await.map(drop)
}

pub fn to(connection: &str) -> DraftDelivery {
    DraftDelivery { connection_id: connection.into(), ..DraftDelivery::default() }
}

/// A JPEG of this size with something in it.
pub fn picture(width: u16, height: u16) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..u32::from(height) {
        for x in 0..u32::from(width) {
            pixels.extend([
                (x * 255 / u32::from(width)) as u8,
                (y * 255 / u32::from(height)) as u8,
                (x ^ y) as u8,
            ]);
        }
    }
    let drawn = carillon_pictures::drawn(&mut pixels, width.into(), height.into());
    drawn.expect("a JPEG").data
}

/// The address of a new schema on the PostgreSQL that all tests share.
pub async fn postgres_schema() -> String {
    static SERVER: OnceLock<live::Live> = OnceLock::new();
    let server =
        tokio::task::spawn_blocking(|| SERVER.get_or_init(|| live::Live::start("postgres.sh")))
            .await
            .expect("PostgreSQL starts");
    let url = server.info["url"].as_str().expect("an address").to_owned();
    let schema = format!("t{}", ids::secret());
    let (client, connection) =
        tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("PostgreSQL answers");
    let served = tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.expect("a schema");
    drop(client);
    served.await.expect("the connection ends").expect("without an error");
    let and = if url.contains('?') { '&' } else { '?' };
    format!("{url}{and}options=-c%20search_path%3D{schema}")
}
