//! N deliveries due in one second at the shipped binary, L lanes, M ms a call.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::measure;
use crate::shipped::Shipped;
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
    let shipped =
        Shipped::open(binary, NETWORK_MS, database, &[("CARILLON_SEND_SLOTS", LANES)]).await?;
    let due = seed(&shipped, total).await?;
    let (server, _) = shipped.serve()?;
    let idle = measure::memory(server.id())?.0;
    let before = measure::used(&[server.id()])?.cpu;
    let mut late = loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let late = shipped.late(due, due + 1).await?;
        if late.len() == total {
            break late;
        }
        ensure!(shipped.now() - due < LIMIT_MS, "{} of {total} went out", late.len());
    };
    let cpu = measure::used(&[server.id()])?.cpu - before;
    let peak = measure::memory(server.id())?.1;
    Ok(Samples::from([
        (Metric::NetworkP50Ms, measure::quantile(&mut late, 0.50)),
        (Metric::NetworkP99Ms, measure::quantile(&mut late, 0.99)),
        (Metric::NetworkLastMs, measure::quantile(&mut late, 1.0)),
        (Metric::DrainWorkerUs, cpu * 1e6 / total as f64),
        (Metric::IdleMb, idle),
        (Metric::PeakMb, peak),
    ]))
}

/// Connections and posts; the moment at which everything is due.
async fn seed(shipped: &Shipped<'_>, total: usize) -> Result<i64> {
    let mut targets = shipped.connect(LANES).await?;
    // Far enough away that writing is over by then, and the server has started.
    let due = shipped.now() + 5_000 + (total as i64) * 3;
    let mut left = total;
    while left > 0 {
        let some = left.min(100).min(targets.len());
        shipped.schedule(due, &targets[..some]).await?;
        left -= some;
        targets.rotate_left(some);
    }
    ensure!(shipped.now() < due, "seeding took longer than until the deliveries were due");
    Ok(due)
}
