//! PostgreSQL is away for a while and comes back, and the shipped binary serves all the time: it
//! tells whoever asks, burns no CPU over it, and sends what was due once.
//!
//! Away is either of two: every connection is closed and none can be made, or they stand and
//! nothing comes over them, as when the server's disk hangs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use carillon::clock::Clock;
use carillon::domain::when;
use carillon::ids;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::server::Server;
use super::wire::Proxy;
use crate::Counts;
use crate::binary::{self, Running};
use crate::installation::Installation;
use crate::judge::{HANDLE, NETWORKS, Published, Told, judge, text};

/// Posts of words, and as many pictures, due evenly over the outage and a little after.
const POSTS: u64 = 12;
/// From the start of the plan to the first post, and from there to the outage: some are being sent.
const FIRST: i64 = 1_000;
const MIDDLE: i64 = 500;
/// CPU time that an outage may cost.
const MOST_CPU: u64 = 2_000;
/// Ready again, and everything of words out that was due, so long after it is back. An answer that
/// came meanwhile is kept on disk until the next sweep.
const READY: i64 = 3_000;
const CAUGHT_UP: i64 = 15_000;
/// All is at rest: pictures wait for their network.
const REST: i64 = 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    Closed,
    Silent,
}

/// One outage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    pub away: Away,
    pub time: Duration,
    /// A short one needs short leases, so that they end in it.
    pub hasty: bool,
}

/// Makes it and counts; an error says what was not as it should be. How many deliveries there were.
pub(super) async fn outage(server: &Server, asked: Outage, counts: &mut Counts) -> Result<u64> {
    let stage = Stage::set(server, asked).await?;
    let name = format!("PostgreSQL {:?} for {:?}", asked.away, asked.time).to_lowercase();
    stage.go(counts).await.with_context(|| format!("{name} under a running server"))
}

struct Stage {
    asked: Outage,
    proxy: Proxy,
    binary: PathBuf,
    folder: TempDir,
    sandbox: (Running, String),
    house: Installation,
    clock: Clock,
}

impl Stage {
    async fn set(server: &Server, asked: Outage) -> Result<Self> {
        let schema = format!("outage_{:?}", asked.away).to_lowercase();
        let (client, connection) =
            tokio_postgres::connect(&server.url(server.address, "public"), NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
        let proxy = Proxy::before(server.address, 0, 1).await?;
        let folder = TempDir::with_prefix("carillon-outage-")?;
        let binary = tokio::task::spawn_blocking(binary::find).await??;
        let sandbox = ["sandbox", "--listen", "127.0.0.1:0", "--latency", "20"];
        let log = folder.path().join("sandbox.log");
        let sandbox = Running::start(&binary, &sandbox, &BTreeMap::new(), &log)?;
        let mut settings = settings(&sandbox.1, asked.hasty)?;
        let data = folder.path().join("data").display().to_string();
        settings.insert("CARILLON_DATA".into(), data);
        settings.insert("CARILLON_DATABASE".into(), server.url(proxy.address, &schema));
        let each = |n: &'static str| [(n, format!("{n}0")), (n, format!("{n}1"))];
        let accounts: Vec<_> = NETWORKS.into_iter().flat_map(each).collect();
        let house = Installation::furnish(settings, &accounts).await?;
        Ok(Self { asked, proxy, binary, folder, sandbox, house, clock: Clock::system() })
    }

    async fn go(&self, counts: &mut Counts) -> Result<u64> {
        let log = self.folder.path().join("carillon.log");
        let (mut running, _) =
            Running::start(&self.binary, &["serve"], &self.house.settings, &log)?;
        self.slow_telegram().await?;
        let begun = self.clock.now();
        let told = self.plan(begun + FIRST).await?;
        tokio::time::sleep(self.until(begun + FIRST + MIDDLE)).await;

        self.away(true);
        let (from, cpu) = (self.clock.now(), running.cpu_ms()?);
        self.probes().await?;
        if self.asked.away == Away::Closed {
            self.surfaces().await?;
        }
        tokio::time::sleep(self.until(from + self.asked.time.as_millis() as i64)).await;
        let cpu = running.cpu_ms()? - cpu;
        ensure!(cpu < MOST_CPU, "{cpu} ms of CPU in the outage");
        self.away(false);
        let back = self.clock.now();

        while self.house.api.get("/readyz").await?.0 != 200 {
            let past = self.clock.now() - back;
            ensure!(past < READY, "not ready {past} ms after the database is back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ready = self.clock.now() - back;
        while !self.house.api.quiet().await? {
            if self.clock.now() - back >= REST {
                let (_, lanes) = self.house.api.get("/api/v1/queue/lanes").await?;
                let log = std::fs::read_to_string(&log)?;
                let from = log.char_indices().rev().nth(4_000).map_or(0, |(at, _)| at);
                bail!("it does not come to rest: {lanes}\nits log: {}", &log[from..]);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let judged = judge(&self.house, &self.sandbox.1, &told, counts).await?;
        let (wrong, published) = judged;
        ensure!(
            wrong.is_empty(),
            "{} wrong: {}",
            wrong.len(),
            wrong[..wrong.len().min(3)].join("\n")
        );
        let late = self.latest(&published, back);
        ensure!(late < CAUGHT_UP, "what was due is out {late} ms after the database is back");
        ensure!(running.ended()?.is_none(), "the server ended by itself");
        running.kill()?;
        let log = std::fs::read_to_string(log)?;
        ensure!(!log.contains("panicked"), "{log}");
        let (away, time) = (self.asked.away, self.asked.time);
        eprintln!(
            "PostgreSQL {away:?} for {time:?}: {cpu} ms of CPU, ready {ready} ms after it was back, caught up after {late} ms"
        );
        Ok(told.iter().map(|t| t.targets.len() as u64).sum())
    }

    fn away(&self, yes: bool) {
        match self.asked.away {
            Away::Closed => self.proxy.away(yes),
            Away::Silent => self.proxy.silent(yes),
        }
    }

    fn until(&self, at: i64) -> Duration {
        Duration::from_millis((at - self.clock.now()).max(0) as u64)
    }

    /// Its first answers come while the database is away; nobody could ask for them later.
    async fn slow_telegram(&self) -> Result<()> {
        let fault = json!({
            "network": "telegram", "call": "publish", "fault": "slow", "times": 2, "ms": 1_200,
        });
        let url = format!("{}/_faults", self.sandbox.1);
        let added = reqwest::Client::new().post(url).json(&fault).send().await?;
        ensure!(added.status().is_success(), "no fault: {}", added.text().await?);
        Ok(())
    }

    /// Posts that are due from this time on.
    async fn plan(&self, first: i64) -> Result<Vec<Told>> {
        let (accounts, mut told) = (&self.house.accounts, Vec::new());
        let step = self.asked.time.as_millis() as i64 / (POSTS as i64 - 2);
        for n in 0..2 * POSTS {
            let picture = n % 2 == 1;
            let fits = |i: &usize| (accounts[*i].network == HANDLE) == picture;
            let targets: Vec<usize> = (0..accounts.len()).filter(fits).collect();
            let to = targets.iter().map(|i| json!({ "connectionId": accounts[*i].connection }));
            let draft = json!({
                "text": text(n),
                "media": if picture { vec![&self.house.picture] } else { vec![] },
                "scheduledAt": when::iso(first + n as i64 / 2 * step),
                "timezone": "UTC",
                "allowCollision": true,
                "deliveries": to.collect::<Vec<_>>(),
            });
            let taken = self.house.api.create(&ids::new(first), &draft).await?;
            taken.context("a post is not taken")?;
            told.push(Told { text: text(n), targets });
        }
        Ok(told)
    }

    /// What monitors hear: it lives, and it is not ready; several at once, and none waits for
    /// another's look.
    async fn probes(&self) -> Result<()> {
        let began = self.clock.mono();
        let api = &self.house.api;
        let (status, _) = api.get("/healthz").await?;
        let took = self.clock.mono() - began;
        ensure!(status == 200 && took < 1_000, "/healthz says {status} after {took} ms");
        let asked = ["/readyz", "/api/health", "/readyz", "/readyz"].map(|path| api.get(path));
        let answers = futures_util::future::join_all(asked).await;
        let took = self.clock.mono() - began;
        ensure!(took < 7_000, "the probes are answered after {took} ms");
        for answer in answers {
            let (status, said) = answer?;
            ensure!(status == 503, "{status}: {said}");
            match &said {
                Value::String(word) => ensure!(word == "not ready\n", "{word}"),
                health => {
                    let of = |check: &str| health["checks"][check]["status"].clone();
                    let parts = ["database", "queue", "storage"].map(of);
                    ensure!(parts == ["unhealthy", "unhealthy", "healthy"], "{health}");
                }
            }
        }
        Ok(())
    }

    /// What programs and people are told, and that it is told at once.
    async fn surfaces(&self) -> Result<()> {
        let sentence = "The database is not available at the moment.";
        let began = self.clock.mono();
        let (status, said) = self.house.api.get("/api/v1/posts").await?;
        let code = (said["code"].as_str(), said["details"]["retry"].as_bool());
        ensure!(status == 503 && code == (Some("database_unavailable"), Some(true)), "{said}");
        for path in ["/", "/login"] {
            let (status, page) = self.house.api.page(path).await?;
            ensure!(status == 503 && page.contains(sentence), "{path}: {status} {page}");
        }
        let took = self.clock.mono() - began;
        ensure!(took < 2_000, "the answers took {took} ms");
        for (args, code) in [(&["post", "list"][..], 5), (&["doctor"], 1), (&["ops", "sweep"], 5)] {
            let (ended, said) = cli(&self.binary, args, &self.house.settings).await?;
            let well = ended == Some(code) && said.contains("the database is not available");
            ensure!(well && said.contains("hint: see that the database runs"), "{args:?}: {said}");
        }
        Ok(())
    }

    /// How long after `back` the last of the words came that was due by then.
    fn latest(&self, published: &[Published], back: i64) -> i64 {
        let words = published.iter().filter(|p| self.house.accounts[p.account].network != HANDLE);
        words.filter(|p| p.due <= back).map(|p| p.at - back).max().unwrap_or(0)
    }
}

fn settings(sandbox: &str, hasty: bool) -> Result<BTreeMap<String, String>> {
    let listen = format!("127.0.0.1:{}", binary::free_port()?);
    let mut given = vec![
        ("CARILLON_SANDBOX", sandbox.to_owned()),
        ("CARILLON_PUBLIC_URL", format!("http://{listen}")),
        ("CARILLON_LISTEN", listen),
        ("CARILLON_BUDGETS", "telegram=none,instagram=none".to_owned()),
        ("CARILLON_NETWORK_TIMEOUT", "2s".to_owned()),
        ("CARILLON_VERIFY_AFTER", "300ms,1s,3s,10s,61s,90s".to_owned()),
    ];
    if hasty {
        given.push(("CARILLON_LEASE", "3s".to_owned()));
        given.push(("CARILLON_HEARTBEAT", "500ms".to_owned()));
        given.push(("CARILLON_SWEEP_EVERY", "500ms".to_owned()));
    }
    Ok(given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Runs a command to its end: its exit code, and all it said.
async fn cli(
    binary: &Path,
    args: &[&str],
    settings: &BTreeMap<String, String>,
) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(binary);
    command.args(args).envs(settings).env("RUST_LOG", "warn").stdin(Stdio::null());
    let done = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = [done.stdout, done.stderr].concat();
    Ok((done.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn short(away: Away) {
        let server = tokio::task::spawn_blocking(Server::start).await.unwrap().unwrap();
        let asked = Outage { away, time: Duration::from_secs(5), hasty: true };
        let mut counts = Counts::default();
        let deliveries = outage(&server, asked, &mut counts).await.expect("it is as it should be");
        assert_eq!((deliveries, counts.lost, counts.doubled), (144, 0, 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_outlives_a_database_that_is_gone_and_comes_back() {
        short(Away::Closed).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_outlives_a_database_that_says_nothing_for_a_while() {
        short(Away::Silent).await;
    }
}
