//! What is measured, the same for every contender: each function gives samples of one round.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde_json::json;

use crate::acts::{Added, LONG, SOON, Seen, drained, each, fill, wait, working};
use crate::contenders::Contender;
use crate::measure;
use crate::stage::Stage;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// One job a call, 32 callers
    Enqueue,
    /// In bulk, then a drain of no-ops
    Drain,
    /// Pickup latency at 50 jobs a second
    Pickup,
    /// No-ops that are due at one instant
    Burst,
    /// The same with a network of 50 ms, 200 in hand
    Network,
    /// A drain beside a million future jobs
    Future,
    /// A drain beside a closed connection's waiting jobs
    Closed,
    /// kill -9 at half way
    Kill,
}

/// What a sample is of; the unit is in the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    EnqueuePerS,
    EnqueueClientUs,
    EnqueueServerUs,
    BulkPerS,
    DrainPerS,
    DrainWorkerUs,
    DrainServerUs,
    DrainKb,
    IdleMb,
    PeakMb,
    PickupP50Ms,
    PickupP99Ms,
    BurstP50Ms,
    BurstP99Ms,
    BurstLastMs,
    NetworkP50Ms,
    NetworkP99Ms,
    NetworkLastMs,
    FuturePerS,
    FutureRatio,
    ClosedPerS,
    ClosedRatio,
    KillFirstMs,
    KillLastMs,
    KillDoubled,
    KillMissing,
}

pub(crate) type Samples = BTreeMap<Metric, f64>;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) enqueue: u64,
    pub(crate) drain: u64,
    pub(crate) pickup: u64,
    pub(crate) burst: u64,
    pub(crate) future: u64,
    pub(crate) closed: u64,
    pub(crate) kill: u64,
    /// Longest time for a measurement that does not end by itself.
    pub(crate) limit: Duration,
    /// Part of a contender's patience after `kill -9`.
    pub(crate) patience: f64,
}

pub(crate) const FULL: Scale = Scale {
    enqueue: 20_000,
    drain: 20_000,
    pickup: 250,
    burst: 10_000,
    future: 1_000_000,
    closed: 100_000,
    kill: 10_000,
    limit: Duration::from_secs(60),
    patience: 1.0,
};

pub(crate) const QUICK: Scale = Scale {
    enqueue: 2_000,
    drain: 3_000,
    pickup: 50,
    burst: 2_000,
    future: 20_000,
    closed: 5_000,
    kill: 2_000,
    limit: Duration::from_secs(30),
    patience: 0.3,
};

pub(crate) const CALLERS: u64 = 32;
/// Most rounds of a workload that takes minutes for every contender.
pub(crate) const LONG_ROUNDS: usize = 2;
/// Longest time of the enqueueing one by one: some need milliseconds a job.
const ENQUEUE_LIMIT_MS: u64 = 4_000;
pub(crate) const PICKUP_GAP_MS: u64 = 20;
pub(crate) const NETWORK_MS: u64 = 50;
pub(crate) const NETWORK_IN_HAND: u64 = 200;
const MONTH_MS: u64 = 30 * 86_400_000;

impl Workload {
    /// In how many of the rounds it is measured: some take minutes for every contender.
    pub(crate) fn rounds(self, rounds: usize) -> usize {
        match self {
            Workload::Future | Workload::Closed | Workload::Kill => rounds.min(LONG_ROUNDS),
            _ => rounds,
        }
    }

    pub(crate) fn run(self, c: &Contender, stage: &Stage<'_>, scale: &Scale) -> Result<Samples> {
        let part = |n: u64| ((n as f64 * c.share) as u64).max(100);
        match self {
            Workload::Enqueue => enqueue(stage, scale),
            Workload::Drain => drain(stage, part(scale.drain), scale),
            Workload::Pickup => pickup(c, stage, scale),
            Workload::Burst => burst(c, stage, part(scale.burst), scale),
            Workload::Network => network(c, stage, part(scale.burst), scale),
            Workload::Future => beside(stage, scale, scale.future, false),
            Workload::Closed => beside(stage, scale, scale.closed, true),
            Workload::Kill => kill(c, stage, part(scale.kill), scale),
        }
    }
}

fn enqueue(stage: &Stage<'_>, scale: &Scale) -> Result<Samples> {
    let mut client = stage.start(None)?;
    let before = client.cost()?;
    let (n, limit) = (scale.enqueue, ENQUEUE_LIMIT_MS);
    let command = json!({ "do": "add", "n": n, "callers": CALLERS, "limit_ms": limit });
    let added = Added::read(client.ask(command, SOON)?)?;
    let (own, servers) = each(before, client.cost()?, added.n);
    Ok(Samples::from([
        (Metric::EnqueuePerS, added.per_s()),
        (Metric::EnqueueClientUs, own),
        (Metric::EnqueueServerUs, servers),
    ]))
}

fn drain(stage: &Stage<'_>, n: u64, scale: &Scale) -> Result<Samples> {
    let added = fill(&mut stage.start(None)?, n, 0, None, false)?;
    let drained = drained(stage, n, scale)?;
    Ok(Samples::from([
        (Metric::BulkPerS, added.per_s()),
        (Metric::DrainPerS, drained.per_s),
        (Metric::DrainWorkerUs, drained.worker_us),
        (Metric::DrainServerUs, drained.server_us),
        (Metric::DrainKb, drained.kb),
        (Metric::PeakMb, drained.peak_mb),
    ]))
}

fn pickup(c: &Contender, stage: &Stage<'_>, scale: &Scale) -> Result<Samples> {
    let mut worker = working(stage, None, 0, None)?;
    measure::pause(Duration::from_secs(3));
    let idle = worker.memory()?.0;
    let trickle = json!({ "do": "trickle", "n": scale.pickup, "gap_ms": PICKUP_GAP_MS });
    if c.one_process {
        worker.ask(trickle, SOON)?;
    } else {
        stage.start(None)?.ask(trickle, SOON)?;
    }
    let mut seen = wait(&mut worker, scale.pickup, scale.limit)?;
    seen.all(scale.pickup)?;
    Ok(Samples::from([
        (Metric::IdleMb, idle),
        (Metric::PickupP50Ms, seen.late_ms(0.50)),
        (Metric::PickupP99Ms, seen.late_ms(0.99)),
    ]))
}

fn burst(c: &Contender, stage: &Stage<'_>, n: u64, scale: &Scale) -> Result<Samples> {
    let mut seen = due_at_once(c, stage, n, scale, None, 0)?;
    Ok(Samples::from([
        (Metric::BurstP50Ms, seen.late_ms(0.50)),
        (Metric::BurstP99Ms, seen.late_ms(0.99)),
        (Metric::BurstLastMs, seen.late_ms(1.0)),
    ]))
}

fn network(c: &Contender, stage: &Stage<'_>, n: u64, scale: &Scale) -> Result<Samples> {
    let mut seen = due_at_once(c, stage, n, scale, Some(NETWORK_IN_HAND as usize), NETWORK_MS)?;
    Ok(Samples::from([
        (Metric::NetworkP50Ms, seen.late_ms(0.50)),
        (Metric::NetworkP99Ms, seen.late_ms(0.99)),
        (Metric::NetworkLastMs, seen.late_ms(1.0)),
    ]))
}

/// A worker that waits; jobs that all become due in one instant, at a whole second.
fn due_at_once(
    c: &Contender,
    stage: &Stage<'_>,
    n: u64,
    scale: &Scale,
    in_hand: Option<usize>,
    delay_ms: u64,
) -> Result<Seen> {
    let mut worker = working(stage, in_hand, delay_ms, None)?;
    let lead = c.lead.as_millis() as u64 * n.max(1_000) / 10_000 + 1_000;
    let due = (measure::epoch_ms() + lead).next_multiple_of(1_000);
    if c.one_process {
        fill(&mut worker, n, due * 1_000, Some(due), false)?;
    } else {
        fill(&mut stage.start(None)?, n, due * 1_000, Some(due), false)?;
    }
    let late = measure::epoch_ms().saturating_sub(due);
    ensure!(late == 0, "adding took {late} ms longer than until the jobs were due: raise its lead");
    let seen = wait(&mut worker, n, scale.limit + Duration::from_millis(lead))?;
    seen.all(n)?;
    Ok(seen)
}

/// The same drain without and with others that must not disturb it.
fn beside(stage: &Stage<'_>, scale: &Scale, others: u64, shut: bool) -> Result<Samples> {
    fill(&mut stage.start(None)?, scale.drain, 0, None, false)?;
    settle()?;
    let without = drained(stage, scale.drain, scale)?.runs_per_s;
    let due = if shut { None } else { Some(measure::epoch_ms() + MONTH_MS) };
    let mut client = stage.start(None)?;
    fill(&mut client, others, 0, due, shut)?;
    client.ask(json!({ "do": "analyze" }), LONG)?;
    fill(&mut client, scale.drain, 0, None, false)?;
    drop(client);
    settle()?;
    let with = drained(stage, scale.drain, scale)?.runs_per_s;
    let (rate, ratio) = if shut {
        (Metric::ClosedPerS, Metric::ClosedRatio)
    } else {
        (Metric::FuturePerS, Metric::FutureRatio)
    };
    Ok(Samples::from([(rate, with), (ratio, with / without)]))
}

/// What adding left to be written would be written during the drain otherwise.
fn settle() -> Result<()> {
    let done = std::process::Command::new("sync").status().context("sync")?;
    ensure!(done.success(), "sync: {done}");
    Ok(())
}

fn kill(c: &Contender, stage: &Stage<'_>, n: u64, scale: &Scale) -> Result<Samples> {
    let ledger = stage.folder().join("ledger");
    fill(&mut stage.start(None)?, n, 0, None, false)?;
    let worker = working(stage, None, 0, Some(&ledger))?;
    let begun = measure::now();
    while runs(&ledger)?.len() < n as usize / 2 {
        ensure!(begun.elapsed() < scale.limit, "half of the jobs did not run in time");
        measure::pause(Duration::from_millis(1));
    }
    worker.kill()?;
    let killed = measure::now();
    let before = runs(&ledger)?.len();
    let worker = working(stage, None, 0, Some(&ledger))?;
    let patience = c.patience.mul_f64(scale.patience).max(Duration::from_secs(3));
    let (mut first, mut last, mut all) = (None, Duration::ZERO, before);
    loop {
        let now = runs(&ledger)?;
        if now.len() > all {
            all = now.len();
            last = killed.elapsed();
            first.get_or_insert(last);
        }
        if now.iter().collect::<BTreeSet<_>>().len() as u64 == n {
            break;
        }
        if killed.elapsed() > last + patience {
            break;
        }
        measure::pause(Duration::from_millis(2));
    }
    // A moment for runs that come twice.
    measure::pause(Duration::from_millis(500));
    drop(worker);
    let end = runs(&ledger)?;
    let different = end.iter().collect::<BTreeSet<_>>().len();
    let mut samples = Samples::from([
        (Metric::KillDoubled, (end.len() - different) as f64),
        (Metric::KillMissing, n as f64 - different as f64),
    ]);
    // Without any when the killed worker had everything in its hands.
    if let Some(first) = first {
        samples.insert(Metric::KillFirstMs, first.as_millis() as f64);
        samples.insert(Metric::KillLastMs, last.as_millis() as f64);
    }
    Ok(samples)
}

/// The ids in the ledger; a line that is being written is left for the next look.
fn runs(ledger: &Path) -> Result<Vec<u64>> {
    let text = match std::fs::read_to_string(ledger) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| line.parse().context("a line of the ledger")).collect()
}
