//! The shipped binary as its users run it: `carillon serve` as one process, the sandbox as another,
//! everything over HTTP on loopback. N deliveries due in one second, L lanes, M ms a call.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use carillon::clock::Clock;
use carillon::config::Config;
use carillon::domain::delivery::DeliveryState;
use carillon::domain::when;
use carillon::publishing::connecting::{self, New};
use carillon::publishing::schedule::{self, Draft, DraftDelivery};
use carillon::store::accounts::{self, Workspace};
use carillon::store::deliveries;
use carillon::{App, ids};
use futures_util::{StreamExt, TryStreamExt};

use crate::measure;
use crate::process::Process;
use crate::stage::Cluster;
use crate::workloads::{Metric, NETWORK_IN_HAND, NETWORK_MS, Samples};

/// Lanes, and deliveries under way at once.
const LANES: usize = NETWORK_IN_HAND as usize;
const LIMIT_MS: i64 = 180_000;
const DATABASE: &str = "server";

/// One burst against the server; on PostgreSQL with a cluster, otherwise on SQLite.
pub(crate) fn run(binary: &Path, total: usize, cluster: Option<&Cluster>) -> Result<Samples> {
    let Some(cluster) = cluster else { return burst(binary, total, None) };
    cluster.create(DATABASE)?;
    let samples = burst(binary, total, Some(cluster.url_of(DATABASE)));
    cluster.drop(DATABASE)?;
    samples
}

#[tokio::main]
async fn burst(binary: &Path, total: usize, database: Option<String>) -> Result<Samples> {
    let dir = tempfile::tempdir()?;
    let ms = NETWORK_MS.to_string();
    let mut command = Command::new(binary);
    command.args(["sandbox", "--listen", "127.0.0.1:0", "--latency", &ms]);
    let (_sandbox, said) = program(command)?;
    let sandbox = said.trim_start_matches("listening on ").to_owned();
    let mut settings = BTreeMap::from([
        ("CARILLON_DATA".to_owned(), dir.path().display().to_string()),
        ("CARILLON_SANDBOX".to_owned(), sandbox.clone()),
        ("CARILLON_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("CARILLON_SEND_SLOTS".to_owned(), LANES.to_string()),
    ]);
    settings.extend(database.map(|url| ("CARILLON_DATABASE".to_owned(), url)));
    let config = Config::from_env(&settings).map_err(|e| anyhow::anyhow!(e.join("; ")))?;
    let app = App::open(config, Clock::system()).await?;
    let (workspace, due) = seed(&app, &sandbox, total).await?;

    let mut command = Command::new(binary);
    command.arg("serve").envs(&settings);
    let (server, _) = program(command)?;
    let idle = measure::memory(server.id())?.0;
    let before = measure::used(&[server.id()])?.cpu;
    let ended = loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let ended = published(&app, &workspace, due).await?;
        if ended.len() == total {
            break ended;
        }
        ensure!(app.clock.now() - due < LIMIT_MS, "{} of {total} went out", ended.len());
    };
    let cpu = measure::used(&[server.id()])?.cpu - before;
    let peak = measure::memory(server.id())?.1;
    let mut late: Vec<f64> = ended.iter().map(|at| (at - due) as f64).collect();
    Ok(Samples::from([
        (Metric::NetworkP50Ms, measure::quantile(&mut late, 0.50)),
        (Metric::NetworkP99Ms, measure::quantile(&mut late, 0.99)),
        (Metric::NetworkLastMs, measure::quantile(&mut late, 1.0)),
        (Metric::DrainWorkerUs, cpu * 1e6 / total as f64),
        (Metric::IdleMb, idle),
        (Metric::PeakMb, peak),
    ]))
}

fn program(mut command: Command) -> Result<(Process, String)> {
    command.env("RUST_LOG", "error");
    Process::start(command)
}

/// Connections and posts; the moment at which everything is due.
async fn seed(app: &App, sandbox: &str, total: usize) -> Result<(String, i64)> {
    let now = app.clock.now();
    let workspace = ids::new(now);
    let w = Workspace {
        id: workspace.clone(),
        name: "bench".into(),
        timezone: "UTC".into(),
        demo_at: None,
    };
    app.db.write(move |tx| async move { accounts::add_workspace(&tx, &w, now).await }).await?;
    let connecting = (0..LANES).map(|i| connect(app, &workspace, sandbox, i));
    let connecting = futures_util::stream::iter(connecting).buffer_unordered(16);
    let mut targets: Vec<String> = connecting.try_collect().await?;
    // Far enough away that writing is over by then, and the server has started.
    let due = app.clock.now() + 5_000 + (total as i64) * 3;
    let mut left = total;
    while left > 0 {
        let some: Vec<DraftDelivery> = targets
            .iter()
            .take(left.min(100))
            .map(|c| DraftDelivery { connection_id: c.clone(), ..DraftDelivery::default() })
            .collect();
        left -= some.len();
        targets.rotate_left(some.len().min(LANES));
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
    ensure!(app.clock.now() < due, "seeding took longer than until the deliveries were due");
    Ok((workspace, due))
}

/// An account of its own, connected as people do it: it is looked at before anything is due.
async fn connect(app: &App, workspace: &str, sandbox: &str, lane: usize) -> Result<String> {
    let entered = |name: &str, value: String| [(name.to_owned(), value)].into();
    let new = New {
        network: "mastodon".into(),
        name: Some(format!("lane {lane}")),
        settings: entered("server", format!("{sandbox}/mastodon")),
        credentials: entered("accessToken", format!("sandbox-lane{lane}")),
    };
    Ok(connecting::add(app, workspace, new).await?.id)
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
