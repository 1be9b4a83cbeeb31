//! Rung 7, the soak: the shipped binary under a steady load over six networks, with faults at the
//! networks all the time and a kill -9 every few minutes.
//!
//! Afterwards nothing may be lost or doubled, and nothing may have grown: not its memory, not its
//! database beyond what it keeps, not how late it is. The kills fall into the first and the third
//! quarter, so that the second and the last are one life each and can be compared.

mod gauge;
mod load;
mod storm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use carillon::clock::Clock;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

use self::gauge::{Gauge, Late, Sample, Size};
use self::load::Load;
use self::storm::{Storms, Weather};
use crate::binary::{self, Running};
use crate::installation::Installation;
use crate::judge::{HANDLE, NETWORKS, Told, judge};
use crate::proxy::server::Server;
use crate::sim::rng::Rng;
use crate::{Counts, Scale};

/// How long a network takes to answer, in ms.
const LATENCY: &str = "20";
/// Accounts of each network that takes words.
const ACCOUNTS: u64 = 24;
/// What an Instagram account posts at most here; the network takes 100 a day.
const OF_A_DAY: u64 = 90;
/// Kills of a quarter that has any are so far apart, or there are two.
const KILL_EVERY: Duration = Duration::from_secs(180);
/// What is under way when the load ends comes to rest within this time: the last look at what is
/// in doubt comes after 90 s.
const SETTLE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// One soak.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    pub on: On,
    pub time: Duration,
    /// Deliveries a second.
    pub rate: u64,
    pub seed: u64,
}

/// One after another on both databases, or on the one that is asked for; a line of counts each.
pub async fn run(
    scale: Scale,
    minutes: Option<u64>,
    on: Option<On>,
    seed: u64,
) -> Result<Vec<Counts>> {
    let time = match (minutes, scale) {
        (Some(minutes), _) => Duration::from_secs(60 * minutes),
        (None, Scale::Bounded) => Duration::from_secs(60),
        (None, Scale::Full) => Duration::from_secs(600),
    };
    let mut all = Vec::new();
    for on in [On::Sqlite, On::Postgres].into_iter().filter(|o| on.is_none_or(|on| on == *o)) {
        all.push(soak(Soak { on, time, rate: 50, seed }).await?);
    }
    Ok(all)
}

/// Runs it; an error says what does not hold.
pub async fn soak(asked: Soak) -> Result<Counts> {
    let mut folder = TempDir::with_prefix("carillon-soak-")?;
    let went = Stage::set(folder.path(), asked).await?.go().await;
    if went.is_err() {
        // Whoever wants to know why needs the log and the data.
        folder.disable_cleanup(true);
        eprintln!("soak: the log and the data are left in {}", folder.path().display());
    }
    went
}

struct Stage {
    asked: Soak,
    binary: PathBuf,
    house: Installation,
    sandbox: (Running, String),
    server: Running,
    log: PathBuf,
    postgres: Option<Server>,
    clock: Clock,
    weather: Weather,
    kills: u64,
    samples: Vec<Sample>,
}

impl Stage {
    async fn set(folder: &Path, asked: Soak) -> Result<Self> {
        let binary = tokio::task::spawn_blocking(binary::find).await??;
        let none = BTreeMap::new();
        let sandbox = ["sandbox", "--listen", "127.0.0.1:0", "--latency", LATENCY];
        let sandbox = Running::start(&binary, &sandbox, &none, &folder.join("sandbox.log"))?;
        let postgres = match asked.on {
            On::Sqlite => None,
            On::Postgres => Some(tokio::task::spawn_blocking(Server::start).await??),
        };
        let mut settings = settings(&sandbox.1, asked.rate)?;
        settings.insert("CARILLON_DATA".into(), folder.join("data").display().to_string());
        if let Some(server) = &postgres {
            settings.insert("CARILLON_DATABASE".into(), server.url(server.address, "public"));
        }
        let house = Installation::furnish(settings, &wanted(asked)).await?;
        let log = folder.join("carillon.log");
        let (server, _) = Running::start(&binary, &["serve"], &house.settings, &log)?;
        Ok(Self {
            asked,
            binary,
            house,
            sandbox,
            server,
            log,
            postgres,
            clock: Clock::system(),
            weather: Weather::default(),
            kills: 0,
            samples: Vec::new(),
        })
    }

    async fn go(mut self) -> Result<Counts> {
        let begun = self.clock.now();
        let told = Arc::new(Mutex::new(Vec::new()));
        let storms = self.storms();
        let load = self.load(told.clone());
        let watched = self.watch(&load, &storms).await;
        storms.abort();
        watched?;
        load.await??;
        storm::clear(&self.sandbox.1).await?;
        self.settle().await?;
        let told = std::mem::take(&mut *told.lock().unwrap_or_else(|e| e.into_inner()));
        let mut counts = Counts { rung: rung(self.asked.on), ..Counts::default() };
        let judged = judge(&self.house, &self.sandbox.1, &told, &mut counts);
        let (mut wrong, published) = judged.await?;
        let calm = published.iter().filter_map(|p| {
            let account = &self.house.accounts[p.account];
            let calm = self.weather.calm(account.network, &account.name, p.due, p.at);
            let picture = account.network == HANDLE;
            calm.then_some(Late { at: p.due - begun, ms: p.at - p.due, picture })
        });
        let late = calm.collect();
        ensure!(self.server.ended()?.is_none(), "the server ended by itself");
        self.server.kill()?;
        let gauge = Gauge {
            length: self.asked.time.as_millis() as i64,
            samples: std::mem::take(&mut self.samples),
            late,
            size: self.size().await?,
        };
        eprintln!(
            "{}: {:?}, seed {}\n{}",
            counts.rung,
            self.asked.time,
            self.asked.seed,
            gauge.table()
        );
        wrong.extend(gauge.wrong());
        wrong.extend(self.panics()?);
        counts.made = vec![
            ("deliveries", told.iter().map(|t| t.targets.len() as u64).sum()),
            ("s", self.asked.time.as_secs()),
            ("faults", self.weather.faults()),
            ("kills", self.kills),
            ("MB of memory at most", gauge.peak().div_ceil(1024)),
            ("ms late without a fault (99th percentile)", gauge.lateness_at_end().max(0) as u64),
        ];
        let some = wrong[..wrong.len().min(5)].join("\n");
        ensure!(wrong.is_empty(), "{counts}\n{} wrong:\n{some}", wrong.len());
        Ok(counts)
    }

    fn storms(&self) -> JoinHandle<Result<()>> {
        // Whether a post is at Facebook is certain after a minute only: too late for a short run.
        let short = self.asked.time < Duration::from_secs(60);
        let stormy = |network: &str| !(short && network == "facebook");
        let accounts = self.house.accounts.iter().filter(|a| stormy(a.network));
        let storms = Storms {
            sandbox: self.sandbox.1.clone(),
            accounts: accounts.cloned().collect(),
            networks: NETWORKS.into_iter().filter(|n| stormy(n)).collect(),
            weather: self.weather.clone(),
            clock: self.clock.clone(),
            random: Rng::new(self.asked.seed),
            every: (25_000 / self.asked.rate) as i64,
        };
        tokio::spawn(storms.run())
    }

    fn load(&self, told: Arc<Mutex<Vec<Told>>>) -> JoinHandle<Result<()>> {
        let load = Load {
            api: self.house.api.clone(),
            accounts: self.house.accounts.clone(),
            picture: self.house.picture.clone(),
            clock: self.clock.clone(),
            rate: self.asked.rate,
            told,
        };
        tokio::spawn(load.run(self.asked.time))
    }

    /// Looks each second, kills at its times, until the load is over.
    async fn watch(
        &mut self,
        load: &JoinHandle<Result<()>>,
        storms: &JoinHandle<Result<()>>,
    ) -> Result<()> {
        let mut deaths = deaths(self.asked.time).into_iter().peekable();
        let begun = self.clock.mono();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        while !load.is_finished() {
            second.tick().await;
            ensure!(!storms.is_finished(), "the faults ended before the load");
            if let Some(ended) = self.server.ended()? {
                bail!("the server ended by itself: {ended}");
            }
            let at = self.clock.mono() - begun;
            self.samples.push(Sample { at, memory: self.server.memory()?, wal: self.wal() });
            if self.samples.len().is_multiple_of(60) {
                self.tell(at).await;
            }
            if deaths.next_if(|d| at >= d.as_millis() as i64).is_some() {
                self.die()?;
            }
        }
        Ok(())
    }

    /// kill -9, and a supervisor that starts it again.
    fn die(&mut self) -> Result<()> {
        let from = self.clock.now();
        self.server.kill()?;
        let (binary, settings, log) = (&self.binary, &self.house.settings, &self.log);
        let started =
            tokio::task::block_in_place(|| Running::start(binary, &["serve"], settings, log));
        self.server = started?.0;
        self.weather.died(from, self.clock.now());
        self.kills += 1;
        Ok(())
    }

    /// A line a minute for whoever waits for it.
    async fn tell(&self, at: i64) {
        let Some(last) = self.samples.last() else { return };
        let waits = match self.house.api.get("/api/health").await {
            Ok((status, health)) => {
                let queue = &health["checks"]["queue"];
                format!(
                    "health {status}, backlog {}, {} ms late",
                    queue["backlog"], queue["lateMs"]
                )
            }
            Err(e) => format!("no health: {e}"),
        };
        let (memory, wal) = (last.memory, last.wal >> 10);
        let (faults, kills) = (self.weather.faults(), self.kills);
        eprintln!(
            "{} s: {memory} KB resident, {wal} KB of log, {faults} faults, {kills} kills, {waits}",
            at / 1000
        );
    }

    /// Until nothing waits in any lane.
    async fn settle(&mut self) -> Result<()> {
        let end = self.clock.mono() + SETTLE.as_millis() as i64;
        while !self.house.api.quiet().await? {
            ensure!(self.clock.mono() < end, "it does not come to rest within {SETTLE:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    fn wal(&self) -> u64 {
        let file = Path::new(&self.house.settings["CARILLON_DATA"]).join("carillon.db-wal");
        // PostgreSQL's own is bounded by its own settings.
        std::fs::metadata(file).map_or(0, |m| m.len())
    }

    /// The database as it was left beside the same without its free pages.
    async fn size(&self) -> Result<Size> {
        let Some(server) = &self.postgres else {
            let file = Path::new(&self.house.settings["CARILLON_DATA"]).join("carillon.db");
            let copy = file.with_extension("compact");
            let into = copy.to_str().context("a path of plain text")?;
            rusqlite::Connection::open(&file)?.execute("VACUUM INTO ?1", [into])?;
            let size = |file: &Path| std::fs::metadata(file).map(|m| m.len());
            return Ok(Size { left: size(&file)?, kept: size(&copy)? });
        };
        let (client, connection) =
            tokio_postgres::connect(&server.url(server.address, "public"), NoTls).await?;
        tokio::spawn(connection);
        let sql = "SELECT pg_database_size(current_database())";
        let left: i64 = client.query_one(sql, &[]).await?.get(0);
        client.batch_execute("VACUUM FULL").await?;
        let kept: i64 = client.query_one(sql, &[]).await?.get(0);
        Ok(Size { left: left as u64, kept: kept as u64 })
    }

    /// What the log says that no log may say.
    fn panics(&self) -> Result<Vec<String>> {
        let log = std::fs::read_to_string(&self.log)?;
        Ok(log.lines().filter(|l| l.contains("panicked")).map(str::to_owned).collect())
    }
}

fn rung(on: On) -> &'static str {
    match on {
        On::Sqlite => "soak on SQLite",
        On::Postgres => "soak on PostgreSQL",
    }
}

/// As shipped, but for what the networks allow an account, and for times that a run can wait for.
fn settings(sandbox: &str, rate: u64) -> Result<BTreeMap<String, String>> {
    let listen = format!("127.0.0.1:{}", binary::free_port()?);
    let failures = (rate / 2).max(5).to_string();
    let given = [
        ("CARILLON_SANDBOX", sandbox),
        ("CARILLON_PUBLIC_URL", &format!("http://{listen}")),
        ("CARILLON_LISTEN", &listen),
        ("CARILLON_BUDGETS", "telegram=none,instagram=none"),
        ("CARILLON_LATE_GAP", "0s"),
        ("CARILLON_NETWORK_TIMEOUT", "2s"),
        ("CARILLON_VERIFY_AFTER", "1s,3s,10s,30s,61s,90s"),
        ("CARILLON_RETRIES", "500ms,1s,2s,4s,8s,15s,30s,30s"),
        // An outage of a network opens its circuit; faults of single accounts do not.
        ("CARILLON_BREAKER_FAILURES", &failures),
        ("CARILLON_BREAKER_WINDOW", "5s"),
        ("CARILLON_BREAKER_OPEN", "3s"),
    ];
    Ok(given.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect())
}

/// The accounts: as many at Instagram as its posts of a day need.
fn wanted(asked: Soak) -> Vec<(&'static str, String)> {
    let pictures = asked.rate * asked.time.as_secs() / 25;
    let of = |network| if network == HANDLE { pictures / OF_A_DAY + 2 } else { ACCOUNTS };
    let each = |network| (0..of(network)).map(move |i| (network, format!("{network}{i}")));
    NETWORKS.into_iter().flat_map(each).collect()
}

/// When it is killed: evenly in the first and the third quarter, the last time at their ends.
fn deaths(time: Duration) -> Vec<Duration> {
    let quarter = time / 4;
    let each = (quarter.as_secs() / KILL_EVERY.as_secs()).max(2) as u32;
    let of = |begin: Duration| (1..=each).map(move |n| begin + quarter * n / each);
    of(Duration::ZERO).chain(of(quarter * 2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_and_the_last_quarter_are_one_life_each() {
        for (seconds, kills) in [(60, 4), (600, 4), (3600, 10)] {
            let deaths: Vec<u64> =
                deaths(Duration::from_secs(seconds)).iter().map(Duration::as_secs).collect();
            assert_eq!(deaths.len(), kills);
            assert!(deaths.contains(&(seconds / 4)) && deaths.contains(&(seconds * 3 / 4)));
            let alive = |from: u64, to: u64| !deaths.iter().any(|d| (from + 1..to).contains(d));
            assert!(alive(seconds / 4, seconds / 2) && alive(seconds * 3 / 4, seconds));
        }
    }

    /// Too short to tell what grows; long enough to lose something.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_lost_or_doubled_in_a_short_soak() {
        let asked = Soak { on: On::Sqlite, time: Duration::from_secs(12), rate: 10, seed: 1 };
        let counts = soak(asked).await.expect("all holds");
        assert_eq!((counts.lost, counts.doubled), (0, 0));
        eprintln!("{counts}");
    }
}
