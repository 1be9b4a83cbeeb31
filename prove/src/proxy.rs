//! Rung 6: PostgreSQL fails. Two nodes publish through a proxy that cuts their connections around
//! COMMITs and in claims, while backends are terminated and the server is stopped at once; and it is
//! away for a while under the shipped binary (outage.rs).
//!
//! One node's clock is two minutes ahead. What came of a lost COMMIT answer nobody knows: the
//! deliveries must come out once all the same.

mod outage;
pub(crate) mod server;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use carillon::clock::Clock;
#[cfg(test)]
use carillon::domain::delivery::DeliveryState;
use carillon::publishing;
use carillon::queue::cron;
#[cfg(test)]
use carillon_sandbox::{Calls, Fault, Trouble};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_postgres::NoTls;

use self::outage::{Away, Outage, outage};
use self::server::Server;
use self::wire::Proxy;
use crate::power::Random;
use crate::stage::{Life, Stage, Told};
use crate::{Counts, Scale};

/// How far ahead the second node's clock is, in ms.
const AHEAD: i64 = 120_000;
/// Time enough for every look and every try.
const LONG: Duration = Duration::from_secs(3 * 3600);

/// Publishes under every fault; the line of counts, or what went wrong.
pub async fn run(scale: Scale) -> anyhow::Result<Counts> {
    let (rounds, posts) = match scale {
        Scale::Bounded => (1, 12),
        Scale::Full => (20, 40),
    };
    let server = Arc::new(tokio::task::spawn_blocking(Server::start).await??);
    let mut counts = Counts { rung: "PostgreSQL faults", ..Counts::default() };
    let mut made = Made::default();
    for round in 0..rounds {
        let seed = 0x0006_0000 + round;
        let wrong = publish(&server, seed, posts, &mut counts, &mut made).await;
        let wrong = wrong.with_context(|| format!("PostgreSQL faults, seed {seed:#x}"))?;
        let some = wrong[..wrong.len().min(3)].join("\n");
        ensure!(wrong.is_empty(), "seed {seed:#x}, {} wrong: {some}", wrong.len());
    }
    let (time, hasty) = match scale {
        Scale::Bounded => (Duration::from_secs(5), true),
        Scale::Full => (Duration::from_secs(60), false),
    };
    for away in [Away::Closed, Away::Silent] {
        made.deliveries += outage(&server, Outage { away, time, hasty }, &mut counts).await?;
        made.outages += 1;
    }
    counts.made = vec![
        ("deliveries", made.deliveries),
        ("cuts before COMMIT", made.before),
        ("cuts in its answer", made.answers),
        ("cuts in a claim", made.claims),
        ("backends terminated", made.terminated),
        ("outages", made.outages),
        ("restarts", made.restarts),
    ];
    Ok(counts)
}

#[derive(Default)]
struct Made {
    deliveries: u64,
    before: u64,
    answers: u64,
    claims: u64,
    terminated: u64,
    outages: u64,
    restarts: u64,
}

/// Times small enough to be waited for; their order is the product's.
fn hasty(database: String) -> Vec<(&'static str, String)> {
    [
        ("CARILLON_DATABASE", database.as_str()),
        ("CARILLON_VERIFY_AFTER", "300ms,1s,3s,10s,61s,90s"),
        ("CARILLON_RETRIES", "100ms,100ms,100ms,100ms,100ms,100ms,100ms,100ms"),
        ("CARILLON_STORY_RETRIES", "100ms,100ms,100ms,100ms"),
        ("CARILLON_LEASE", "3s"),
        ("CARILLON_HEARTBEAT", "500ms"),
        ("CARILLON_NETWORK_TIMEOUT", "2s"),
        ("CARILLON_SWEEP_EVERY", "500ms"),
        ("CARILLON_POLL", "200ms"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

async fn publish(
    server: &Arc<Server>,
    seed: u64,
    posts: usize,
    counts: &mut Counts,
    made: &mut Made,
) -> anyhow::Result<Vec<String>> {
    let schema = format!("round{seed:x}");
    let (client, connection) =
        tokio_postgres::connect(&server.url(server.address, "public"), NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;

    let folder = TempDir::with_prefix("carillon-proxy-")?;
    let direct = hasty(server.url(server.address, &schema));
    let stage = Stage::set(folder.path(), &direct, 3).await?;
    let proxy = Proxy::before(server.address, 60, seed).await?;
    let through = hasty(server.url(proxy.address, &schema));
    let ahead = Clock::system();
    ahead.follow(AHEAD);
    let (stop, stopped) = watch::channel(());
    let mut working = Vec::new();
    for clock in [ahead, Clock::system()] {
        let life = start(&stage, &folder, &through, clock).await?;
        working.push(tokio::spawn(node(life, stopped.clone())));
    }

    // Whoever writes the posts goes through the faults as well.
    let writer = start(&stage, &folder, &through, Clock::system()).await?;
    let mut told: Vec<Told> = Vec::new();
    let mut random = Random::new(seed);
    for i in 0..posts {
        told.extend(stage.post(&writer.app, &[format!("message {i:04}")]).await);
        made.terminated += terminate(server, random.below(2)).await.unwrap_or(0);
        if i == posts / 4 {
            // Longer than a lease: what the networks answered meanwhile waits on disk.
            proxy.away(true);
            tokio::time::sleep(Duration::from_millis(3_000 + random.below(2_000))).await;
            proxy.away(false);
            made.outages += 1;
        }
        if i == posts / 2 {
            let (one, two) = (server.clone(), server.clone());
            tokio::task::spawn_blocking(move || one.stop_at_once()).await??;
            tokio::time::sleep(Duration::from_millis(500 + random.below(4_000))).await;
            tokio::task::spawn_blocking(move || two.resume()).await??;
            made.restarts += 1;
        }
    }
    // Whatever is left is found by a node without faults, whose time goes by at once.
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(stop);
    for node in working {
        node.await?;
    }
    let calm = stage.begin(folder.path(), &direct, Clock::manual(writer.clock.now())).await?;
    calm.clock.advance(Duration::from_secs(10));
    publishing::sweep::sweep(&calm.app, false).await?;
    calm.to_quiet(&stage, LONG, &|| false).await?;
    made.before += proxy.done.before.load(Ordering::Relaxed);
    made.answers += proxy.done.answers.load(Ordering::Relaxed);
    made.claims += proxy.done.claims.load(Ordering::Relaxed);
    made.deliveries += told.iter().map(|t| t.targets.len() as u64).sum::<u64>();
    stage.judge(&calm.app, &told, counts).await
}

/// Starts a node; a start that meets a fault is one that a supervisor repeats.
async fn start(
    stage: &Stage,
    folder: &TempDir,
    settings: &[(&str, String)],
    clock: Clock,
) -> anyhow::Result<Life> {
    for _ in 0..20 {
        if let Ok(life) = stage.begin(folder.path(), settings, clock.clone()).await {
            return Ok(life);
        }
    }
    stage.begin(folder.path(), settings, clock).await.context("a node does not start")
}

/// What `carillon worker` runs.
async fn node(life: Life, mut stopped: watch::Receiver<()>) {
    let clockwork = tokio::spawn(cron::run(life.app.clone()));
    life.worker
        .run(async move {
            // An error means that the sender is gone, which is the end as well.
            let _ = stopped.changed().await;
        })
        .await;
    clockwork.abort();
}

/// Ends so many backends of the product's, in the middle of whatever they do.
async fn terminate(server: &Server, backends: u64) -> anyhow::Result<u64> {
    let (client, connection) =
        tokio_postgres::connect(&server.url(server.address, "public"), NoTls).await?;
    tokio::spawn(connection);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'carillon' ORDER BY random() LIMIT $1";
    Ok(client.query(sql, &[&(backends as i64)]).await?.len() as u64)
}

/// The network answers while the database is away, and stays away for longer than the lease; then
/// the process ends. What became of the sends at networks that cannot be read.
#[cfg(test)]
async fn answered_in_vain(server: &Server, spoil: bool) -> anyhow::Result<Vec<DeliveryState>> {
    let schema = if spoil { "spoiled" } else { "spooled" };
    let (client, connection) =
        tokio_postgres::connect(&server.url(server.address, "public"), NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    let folder = TempDir::with_prefix("carillon-spool-")?;
    let patient = |url| {
        let mut settings = hasty(url);
        settings.push(("CARILLON_LEASE", "6s".to_owned()));
        settings.push(("CARILLON_NETWORK_TIMEOUT", "5s".to_owned()));
        settings
    };
    let direct = patient(server.url(server.address, schema));
    let stage = Stage::set(folder.path(), &direct, 2).await?;
    let proxy = Proxy::before(server.address, 0, 1).await?;
    let through = patient(server.url(proxy.address, schema));
    let life = start(&stage, &folder, &through, Clock::system()).await?;
    let told = stage.post(&life.app, &["last orders".to_owned()]).await;
    let slow = Fault::new("telegram", Calls::Publish, Trouble::Slow);
    stage.sandbox.add_fault(slow.times(2).ms(1_000));
    let worker = life.worker.clone();
    let working = tokio::spawn(async move { worker.tick().await });
    let sending = format!(
        "SELECT count(*) FROM {schema}.delivery WHERE state = 'sending' AND network = 'telegram'"
    );
    while client.query_one(&sending, &[]).await?.get::<_, i64>(0) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.away(true);
    // It ends when the lease has ended.
    let ended = working.await?;
    ensure!(ended.is_err(), "the database is away: {ended:?}");
    drop(life);
    let files: Vec<_> = std::fs::read_dir(folder.path().join("outcomes"))?.collect();
    ensure!(files.len() >= 2, "{} outcomes are kept on disk", files.len());
    if spoil {
        for file in files {
            std::fs::write(file?.path(), "half of an outc")?;
        }
    }
    proxy.away(false);
    let life = start(&stage, &folder, &through, Clock::system()).await?;
    let calm = stage.begin(folder.path(), &direct, Clock::manual(life.clock.now())).await?;
    calm.clock.advance(Duration::from_secs(10));
    publishing::sweep::sweep(&calm.app, false).await?;
    calm.to_quiet(&stage, LONG, &|| false).await?;
    let wrong = stage.judge(&calm.app, &told, &mut Counts::default()).await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let left: Vec<_> = std::fs::read_dir(folder.path().join("outcomes"))?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    let aside = left.iter().filter(|f| f.extension().is_some_and(|e| e == "unreadable")).count();
    ensure!(left.len() == aside && (aside > 0) == spoil, "left over: {left:?}");
    let all = stage.deliveries(&calm.app).await?;
    Ok(all.into_values().filter(|d| d.network == "telegram").map(|d| d.state).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spool is what knows: without it a person would have to look.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_answer_outlives_a_database_that_is_away_for_longer_than_a_lease() {
        let server = tokio::task::spawn_blocking(Server::start).await.unwrap().unwrap();
        let states = answered_in_vain(&server, false).await.expect("it runs");
        assert_eq!(states, [DeliveryState::Published; 2]);
        let states = answered_in_vain(&server, true).await.expect("it runs");
        assert_eq!(states, [DeliveryState::Held; 2], "unreadable, so a person is asked");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_lost_or_doubled_when_postgres_fails() {
        let counts = run(Scale::Bounded).await.expect("the rung stands");
        assert_eq!((counts.lost, counts.doubled), (0, 0));
        eprintln!("{counts}");
    }
}
