//! The tables, as Markdown: a row a contender, medians of all rounds.

use anyhow::Result;
use carillon::domain::when;

use crate::contenders;
use crate::machine::machine;
use crate::measure;
use crate::report::{Report, grouped};
use crate::stage::Cluster;
use crate::workloads::Metric::*;
use crate::workloads::{CALLERS, LONG_ROUNDS, NETWORK_IN_HAND, NETWORK_MS, PICKUP_GAP_MS};

pub(crate) const SERVER_SQLITE: &str = "carillon serve, SQLite FULL";
pub(crate) const SERVER_POSTGRES: &str = "carillon serve, PostgreSQL";

/// One table: what it says of a contender, column by column.
struct Table<'a> {
    title: &'a str,
    /// How it was measured.
    how: String,
    columns: &'a [&'a str],
    cells: &'a dyn Fn(&'static str) -> Vec<String>,
}

/// Everything that was measured; each table says when, and on what.
pub(crate) fn text(r: &Report, cluster: Option<&Cluster>, rounds: usize) -> Result<String> {
    let mut text = String::new();
    let head = head(r, cluster, rounds)?;
    for table in [throughput(r), lateness(r), beside(r), kill(r), server(r)] {
        if !table.is_empty() {
            text.push_str(&format!("{}\n\n{head}\n", table.trim_end()));
        }
    }
    if !r.failed.is_empty() {
        text.push_str("\n### Measurements that failed\n\n");
        for line in &r.failed {
            text.push_str(&format!("- {}\n", line.replace('\n', " ")));
        }
    }
    Ok(text)
}

fn head(r: &Report, cluster: Option<&Cluster>, rounds: usize) -> Result<String> {
    let now = when::iso(measure::epoch_ms() as i64);
    let day = now.split('T').next().unwrap_or_default();
    let quick = if r.quick {
        " **A quick run: it shows that everything works, not how fast it is.**"
    } else {
        ""
    };
    let mut disk = r.disk.clone();
    Ok(format!(
        "{day}, medians of {rounds} rounds (at most {LONG_ROUNDS} of what takes minutes), {}; load \
         before the run {}. **fdatasync of this disk: {:.0} µs** (median; {:.0}–{:.0} µs over the \
         run).{quick}\n",
        machine(cluster)?,
        r.load,
        measure::quantile(&mut disk, 0.5),
        measure::quantile(&mut disk, 0.0),
        measure::quantile(&mut disk, 1.0),
    ))
}

fn throughput(r: &Report) -> String {
    let how = format!(
        "Adding: {} jobs, one a call, {CALLERS} callers at once; or in bulk. Drain: {} no-ops.",
        grouped(r.scale.enqueue as f64),
        grouped(r.scale.drain as f64)
    );
    let columns = [
        "one by one, /s",
        "CPU µs each (client + server)",
        "bulk, /s",
        "drain, /s",
        "CPU µs each (worker + server)",
        "KB written each",
        "worker MB idle / peak",
    ];
    let cells = |c| {
        vec![
            r.count(c, EnqueuePerS),
            r.sum(c, EnqueueClientUs, EnqueueServerUs),
            r.count(c, BulkPerS),
            r.count(c, DrainPerS),
            r.sum(c, DrainWorkerUs, DrainServerUs),
            r.cell(c, DrainKb, |v| format!("{v:.1}")),
            r.pair(c, IdleMb, PeakMb, 0),
        ]
    };
    Table { title: "Adding and working off", how, columns: &columns, cells: &cells }.text(r)
}

fn lateness(r: &Report) -> String {
    let how = format!(
        "Pickup: {} jobs at {}/s. Burst: {} no-ops due at one instant. Network: as many, \
         {NETWORK_MS} ms each, {NETWORK_IN_HAND} in hand; the floor is {:.2} s.",
        r.scale.pickup,
        1_000 / PICKUP_GAP_MS,
        grouped(r.scale.burst as f64),
        floor(r)
    );
    let columns = [
        "pickup p50 / p99, ms",
        "burst p50 / p99, ms",
        "burst last, ms",
        "network p50 / p99, s",
        "network last, s",
    ];
    let cells = |c| {
        vec![
            r.pair(c, PickupP50Ms, PickupP99Ms, 1),
            r.pair(c, BurstP50Ms, BurstP99Ms, 0),
            r.count(c, BurstLastMs),
            r.seconds(c, NetworkP50Ms, NetworkP99Ms),
            r.cell(c, NetworkLastMs, |v| format!("{:.2}", v / 1e3)),
        ]
    };
    Table { title: "How late", how, columns: &columns, cells: &cells }.text(r)
}

fn beside(r: &Report) -> String {
    let how = format!(
        "The same drain beside {} jobs that are due in a month, and beside {} waiting jobs of one \
         closed account. The share is that of the drain without them, measured just before.",
        grouped(r.scale.future as f64),
        grouped(r.scale.closed as f64)
    );
    let columns = ["beside future, /s", "share", "beside closed, /s", "share"];
    let share = |v: f64| format!("{v:.2}×");
    let cells = |c| {
        vec![
            r.count(c, FuturePerS),
            r.cell(c, FutureRatio, share),
            r.count(c, ClosedPerS),
            r.cell(c, ClosedRatio, share),
        ]
    };
    Table { title: "Beside others", how, columns: &columns, cells: &cells }.text(r)
}

fn kill(r: &Report) -> String {
    let how = format!(
        "{} jobs, the worker killed when half have run, another one started at once. Runs are \
         counted in a ledger of the driver's. Not run: still missing after a long silence; when \
         such work comes back stands beside. Twice and not run: the worst round.",
        grouped(r.scale.kill as f64)
    );
    let columns = ["first run again, ms", "last run, s", "run twice", "not run", "comes back"];
    let cells = |c| {
        let comes_back = contenders::ALL.iter().find(|o| o.name == c).map(|o| o.comes_back);
        vec![
            r.count(c, KillFirstMs),
            r.cell(c, KillLastMs, |v| format!("{:.1}", v / 1e3)),
            r.worst(c, KillDoubled),
            r.worst(c, KillMissing),
            comes_back.filter(|_| r.has(c, KillMissing)).unwrap_or("–").to_owned(),
        ]
    };
    Table { title: "After `kill -9`", how, columns: &columns, cells: &cells }.text(r)
}

fn server(r: &Report) -> String {
    let mut text = format!(
        "\n### The shipped server\n\n`carillon serve` with its web app as one process, the sandbox \
         as another, HTTP over loopback: {} deliveries due in one second, {NETWORK_MS} ms a call, \
         {NETWORK_IN_HAND} in hand; floor {:.2} s. CPU and memory are the server process's.\n\n\
         | server | p50 / p99 late, s | last, s | CPU µs each | MB idle / peak |\n|{}\n",
        grouped(r.scale.burst as f64),
        floor(r),
        "---|".repeat(5)
    );
    let names: Vec<_> =
        [SERVER_SQLITE, SERVER_POSTGRES].into_iter().filter(|n| r.has(n, NetworkLastMs)).collect();
    for name in &names {
        text.push_str(&format!(
            "| {name} | {} | {} | {} | {} |\n",
            r.seconds(name, NetworkP50Ms, NetworkP99Ms),
            r.cell(name, NetworkLastMs, |v| format!("{:.2}", v / 1e3)),
            r.count(name, DrainWorkerUs),
            r.pair(name, IdleMb, PeakMb, 0)
        ));
    }
    if names.is_empty() { String::new() } else { text }
}

/// Seconds that the network alone takes.
fn floor(r: &Report) -> f64 {
    r.scale.burst as f64 / NETWORK_IN_HAND as f64 * NETWORK_MS as f64 / 1e3
}

impl Table<'_> {
    /// Nothing at all when no workload of it was measured.
    fn text(&self, r: &Report) -> String {
        let mut rows = String::new();
        let mut any = false;
        for c in contenders::ALL.iter().filter(|c| r.rows.contains(&c.name)) {
            let cells = (self.cells)(c.name);
            any |= cells.iter().any(|cell| cell.contains(|d: char| d.is_ascii_digit()));
            let share = match c.share {
                share if share < 1.0 => format!(" ({share}× the jobs)"),
                _ => String::new(),
            };
            let (name, durability) = (c.name, c.durability);
            rows.push_str(&format!("| {name}{share} | {durability} | {} |\n", cells.join(" | ")));
        }
        if !any {
            return String::new();
        }
        format!(
            "\n### {}\n\n{}\n\n| queue | a commit survives | {} |\n|{}\n{rows}",
            self.title,
            self.how,
            self.columns.join(" | "),
            "---|".repeat(self.columns.len() + 2)
        )
    }
}
