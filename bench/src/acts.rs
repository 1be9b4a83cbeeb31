//! What the workloads are made of: to fill a queue, to start a worker, to wait for it, to drain.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::measure::{self, Used};
use crate::stage::{Actor, Cost, Stage};
use crate::workloads::Scale;

/// Longest time for an answer that has nothing to wait for.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// A million jobs are added by the slowest within this.
pub(crate) const LONG: Duration = Duration::from_secs(900);
/// Jobs a call, in bulk.
const LOT: u64 = 1_000;

#[derive(Debug, Deserialize)]
pub(crate) struct Added {
    pub(crate) n: u64,
    pub(crate) us: u64,
}

impl Added {
    pub(crate) fn read(answer: Value) -> Result<Self> {
        Ok(serde_json::from_value(answer)?)
    }

    pub(crate) fn per_s(&self) -> f64 {
        self.n as f64 * 1e6 / self.us.max(1) as f64
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) n: u64,
    pub(crate) first_us: u64,
    pub(crate) last_us: u64,
    pub(crate) late_us: Vec<f64>,
}

impl Seen {
    pub(crate) fn late_ms(&mut self, share: f64) -> f64 {
        measure::quantile(&mut self.late_us, share) / 1e3
    }

    pub(crate) fn all(&self, n: u64) -> Result<()> {
        ensure!(self.n >= n, "{} of {n} jobs ran in time", self.n);
        Ok(())
    }
}

pub(crate) fn fill(
    client: &mut Actor<'_>,
    n: u64,
    t: u64,
    due: Option<u64>,
    shut: bool,
) -> Result<Added> {
    let command = json!({ "do": "add_all", "n": n, "lot": LOT, "t": t, "due": due, "shut": shut });
    Added::read(client.ask(command, LONG)?)
}

pub(crate) fn working<'a>(
    stage: &'a Stage<'a>,
    in_hand: Option<usize>,
    delay_ms: u64,
    ledger: Option<&Path>,
) -> Result<Actor<'a>> {
    let mut worker = stage.start(in_hand)?;
    worker.ask(json!({ "do": "work", "delay_ms": delay_ms, "ledger": ledger }), SOON)?;
    Ok(worker)
}

pub(crate) fn wait(worker: &mut Actor<'_>, n: u64, limit: Duration) -> Result<Seen> {
    let command = json!({ "do": "wait", "n": n, "limit_ms": limit.as_millis() as u64 });
    Ok(serde_json::from_value(worker.ask(command, limit + SOON)?)?)
}

pub(crate) struct Drained {
    /// From the first run until the queue says that nothing is left.
    pub(crate) per_s: f64,
    /// From the first to the last run: to ask a queue that holds a million jobs takes time.
    pub(crate) runs_per_s: f64,
    pub(crate) worker_us: f64,
    pub(crate) server_us: f64,
    pub(crate) kb: f64,
    pub(crate) peak_mb: f64,
}

/// A new worker takes everything that waits.
pub(crate) fn drained(stage: &Stage<'_>, n: u64, scale: &Scale) -> Result<Drained> {
    let mut worker = stage.start(None)?;
    let before = worker.cost()?;
    worker.ask(json!({ "do": "work", "delay_ms": 0, "ledger": null }), SOON)?;
    let seen = wait(&mut worker, n, scale.limit)?;
    // Its last batches have run and may not be written yet: it has drained when they are.
    let mut ended = seen.last_us;
    if seen.n >= n {
        let begun = measure::now();
        while worker.ask(json!({ "do": "left" }), SOON)?["left"].as_u64() != Some(0) {
            ensure!(begun.elapsed() < SOON, "all jobs ran, and not all were written as ended");
            measure::pause(Duration::from_millis(5));
        }
        ended = measure::epoch_us();
    }
    let after = worker.cost()?;
    let (worker_us, server_us) = each(before, after, seen.n);
    let written = |c: Cost| c.own.written + c.servers.written;
    let kb = (written(after) - written(before)) / 1e3 / seen.n.max(1) as f64;
    let rate = |end: u64| seen.n as f64 * 1e6 / end.saturating_sub(seen.first_us).max(1) as f64;
    let (per_s, runs_per_s) = (rate(ended), rate(seen.last_us));
    let peak_mb = worker.memory()?.1;
    Ok(Drained { per_s, runs_per_s, worker_us, server_us, kb, peak_mb })
}

/// µs of processor time a job, own and servers'.
pub(crate) fn each(before: Cost, after: Cost, n: u64) -> (f64, f64) {
    let us = |before: Used, after: Used| (after.cpu - before.cpu) * 1e6 / n.max(1) as f64;
    (us(before.own, after.own), us(before.servers, after.servers))
}
