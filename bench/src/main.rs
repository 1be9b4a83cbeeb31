//! Due burst: N deliveries due in the same second, L lanes, a network that takes M ms a call.
//!
//! The server and the sandbox are processes of the shipped binary; this program seeds, waits and
//! reads the journal afterwards.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use carillon::clock::Clock;
use carillon::config::Config;
use carillon::domain::delivery::DeliveryState;
use carillon::domain::when;
use carillon::publishing::schedule::{self, Draft, DraftDelivery};
use carillon::store::accounts::{self, Workspace};
use carillon::store::connections::{self, Connection};
use carillon::store::deliveries;
use carillon::{App, ids};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let binary =
        args.next().context("usage: carillon-bench BINARY [deliveries] [lanes] [latency ms]")?;
    let mut number = |default: usize| args.next().map_or(Ok(default), |a| a.parse());
    let (total, lanes, latency) = (number(10_000)?, number(200)?, number(50)?);
    let floor = total as f64 / lanes as f64 * latency as f64 / 1000.0;
    println!(
        "{total} deliveries due in one second, {lanes} lanes, a network of {latency} ms: floor {floor:.2} s"
    );
    println!("fdatasync here: {:.0} µs (median of 200)\n", fdatasync()?);
    println!(
        "{:<22} {:>9} {:>9} {:>8} {:>8} {:>8} {:>10} {:>8}",
        "database", "p50 late", "p99 late", "last", "/s", "lost", "CPU each", "peak"
    );
    for postgres in [false, true] {
        let row = burst(&binary, total, lanes, latency, postgres).await?;
        println!("{row}");
    }
    Ok(())
}

async fn burst(
    binary: &str,
    total: usize,
    lanes: usize,
    latency: usize,
    postgres: bool,
) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let database = if postgres { Some(Program::postgres()?) } else { None };
    let ms = latency.to_string();
    let sandbox = Program::start(
        binary,
        &["sandbox", "--listen", "127.0.0.1:0", "--latency", &ms],
        &BTreeMap::new(),
    )?;
    let sandbox_url = sandbox.said.trim_start_matches("listening on ").to_owned();
    let mut settings = BTreeMap::from([
        ("CARILLON_DATA".to_owned(), dir.path().display().to_string()),
        ("CARILLON_SANDBOX".to_owned(), sandbox_url.clone()),
        ("CARILLON_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("CARILLON_SEND_SLOTS".to_owned(), lanes.to_string()),
    ]);
    if let Some(p) = &database {
        let told: serde_json::Value = serde_json::from_str(&p.said)?;
        let url = told["url"].as_str().context("the database has no address")?;
        settings.insert("CARILLON_DATABASE".into(), url.to_owned());
    }
    let config = Config::from_env(&settings).map_err(|e| anyhow::anyhow!(e.join("; ")))?;
    let app = App::open(config, Clock::system()).await?;
    let (workspace, due) = seed(&app, &sandbox_url, total, lanes).await?;

    let server = Program::start(binary, &["serve"], &settings)?;
    let counted = loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let ended = published(&app, &workspace, due).await?;
        let waited = app.clock.now() - due;
        if ended.len() == total || waited > 180_000 {
            break ended;
        }
    };
    let (cpu, peak) = server.cost()?;
    let mut late: Vec<i64> = counted.iter().map(|at| at - due).collect();
    late.sort_unstable();
    let at = |share: f64| {
        late.get(((late.len() as f64 * share) as usize).min(late.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    };
    let last = at(1.0);
    let name = if postgres { "PostgreSQL, fsync on" } else { "SQLite, FULL" };
    Ok(format!(
        "{name:<22} {:>6} ms {:>6} ms {:>6.2} s {:>8.0} {:>8} {:>7.0} µs {:>5} MB",
        at(0.50),
        at(0.99),
        last as f64 / 1000.0,
        late.len() as f64 / (last.max(1) as f64 / 1000.0),
        total - late.len(),
        cpu * 1e6 / total as f64,
        peak / 1024,
    ))
}

/// Connections and posts; the moment at which everything is due.
async fn seed(app: &App, sandbox: &str, total: usize, lanes: usize) -> Result<(String, i64)> {
    let now = app.clock.now();
    let workspace = ids::new(now);
    let w = Workspace {
        id: workspace.clone(),
        name: "bench".into(),
        timezone: "UTC".into(),
        demo_at: None,
    };
    app.db.write(move |tx| async move { accounts::add_workspace(&tx, &w, now).await }).await?;
    let mut targets = Vec::new();
    for i in 0..lanes {
        let id = ids::new(now);
        let secrets = format!("{{\"accessToken\":\"sandbox-lane{i}\"}}");
        let c = Connection {
            id: id.clone(),
            workspace_id: workspace.clone(),
            network: "mastodon".into(),
            name: format!("lane {i}"),
            remote_id: format!("lane{i}"),
            settings: [("server".to_owned(), format!("{sandbox}/mastodon"))].into(),
            secrets: app.keys.seal(&secrets, &id),
            broken_at: None,
            problem: None,
            checked_at: None,
            published_at: None,
            created_at: now,
            quota_until: None,
        };
        app.db.write(move |tx| async move { connections::add(&tx, &c).await }).await?;
        targets.push(id);
    }
    // Far enough away that writing is over by then, and the server has started.
    let due = now + 5_000 + (total as i64) * 3;
    let mut left = total;
    while left > 0 {
        let some: Vec<DraftDelivery> = targets
            .iter()
            .take(left.min(100))
            .map(|c| DraftDelivery { connection_id: c.clone(), ..DraftDelivery::default() })
            .collect();
        left -= some.len();
        targets.rotate_left(some.len().min(lanes));
        let draft = Draft {
            text: format!("Number {left}"),
            scheduled_at: Some(when::iso(due)),
            deliveries: some,
            allow_collision: true,
            allow_duplicate: true,
            ..Draft::default()
        };
        schedule::create(app, &workspace, draft, None).await?;
    }
    Ok((workspace, due))
}

/// When each delivery that is published was published, in ms UTC.
async fn published(app: &App, workspace: &str, due: i64) -> Result<Vec<i64>> {
    let workspace = workspace.to_owned();
    let all = app
        .db
        .read(move |tx| async move { deliveries::between(&tx, &workspace, due, due + 1).await })
        .await?;
    Ok(all
        .iter()
        .filter(|d| d.state == DeliveryState::Published)
        .filter_map(|d| d.published_at)
        .collect())
}

/// A process that is killed when it is no longer needed; what it said first.
struct Program {
    child: Child,
    said: String,
}

impl Program {
    fn start(binary: &str, args: &[&str], settings: &BTreeMap<String, String>) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(args).envs(settings).env("RUST_LOG", "error").stdin(Stdio::null());
        Self::spawn(command)
    }

    fn postgres() -> Result<Self> {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/carillon/tests/live/postgres.sh");
        let folder = tempfile::tempdir()?.keep();
        let mut command = Command::new("bash");
        // It lives as long as its stdin is open.
        command.arg(script).arg(folder).stdin(Stdio::piped());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let mut child =
            command.stdout(Stdio::piped()).spawn().context("a program does not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let said = lines.next().context("a program ended at once")??;
        // Reads on, so that the program never waits for its pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Self { child, said })
    }

    /// CPU seconds and peak KB so far, from /proc.
    fn cost(&self) -> Result<(f64, u64)> {
        let folder = format!("/proc/{}", self.child.id());
        let stat = std::fs::read_to_string(format!("{folder}/stat"))?;
        let after = stat.rsplit_once(')').context("stat")?.1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        let status = std::fs::read_to_string(format!("{folder}/status"))?;
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("VmHWM")?;
        let kb = peak.trim().trim_end_matches(" kB").trim().parse()?;
        Ok((ticks / 100.0, kb))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.stdin.take().is_none() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Median µs of an fdatasync after a 4 KB write, on the disk of the temporary folder.
#[expect(clippy::disallowed_methods, reason = "a measurement is of real time")]
fn fdatasync() -> Result<f64> {
    let mut file = tempfile::tempfile()?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = std::time::Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_micros() as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[100])
}
