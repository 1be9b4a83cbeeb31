//! Samples in, medians out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::contenders::Contender;
use crate::measure;
use crate::workloads::{Metric, Samples, Scale, Workload};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

pub(crate) struct Report {
    /// Who takes part.
    pub(crate) rows: Vec<&'static str>,
    pub(crate) scale: Scale,
    pub(crate) quick: bool,
    /// µs of an fdatasync, before every workload.
    pub(crate) disk: Vec<f64>,
    /// What gave no samples, and why.
    pub(crate) failed: Vec<String>,
    /// The machine's load when the run began.
    pub(crate) load: String,
    samples: BTreeMap<(&'static str, Metric), Vec<f64>>,
    raw: Option<File>,
}

impl Report {
    pub(crate) fn new(
        chosen: &[&'static Contender],
        scale: Scale,
        quick: bool,
        raw: Option<&Path>,
    ) -> Result<Self> {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Self {
            rows: chosen.iter().map(|c| c.name).collect(),
            scale,
            quick,
            disk: Vec::new(),
            failed: Vec::new(),
            load: load.split(' ').next().unwrap_or("?").to_owned(),
            samples: BTreeMap::new(),
            raw: raw.map(File::create).transpose()?,
        })
    }

    /// Takes the samples of one measurement, or why there are none.
    pub(crate) fn add(
        &mut self,
        round: usize,
        name: &'static str,
        workload: Workload,
        samples: Result<Samples>,
    ) -> Result<()> {
        let what = format!("{workload:?}");
        let mut line = json!({ "round": round, "who": name, "what": what });
        match samples {
            Ok(samples) => {
                for (metric, value) in samples {
                    line[format!("{metric:?}")] = Value::from(value);
                    self.samples.entry((name, metric)).or_default().push(value);
                }
            }
            Err(e) => {
                let why = format!("{e:#}");
                self.failed.push(format!("{name}, {what}, round {round}: {why}"));
                line["failed"] = Value::from(why);
            }
        }
        eprintln!("{line}");
        if let Some(raw) = &mut self.raw {
            writeln!(raw, "{line}")?;
        }
        Ok(())
    }

    pub(crate) fn has(&self, name: &'static str, metric: Metric) -> bool {
        self.samples.contains_key(&(name, metric))
    }

    pub(crate) fn cell(
        &self,
        name: &'static str,
        metric: Metric,
        show: impl Fn(f64) -> String,
    ) -> String {
        match self.samples.get(&(name, metric)) {
            Some(values) => show(measure::quantile(&mut values.clone(), 0.5)),
            None => "–".to_owned(),
        }
    }

    pub(crate) fn count(&self, name: &'static str, metric: Metric) -> String {
        self.cell(name, metric, grouped)
    }

    pub(crate) fn worst(&self, name: &'static str, metric: Metric) -> String {
        match self.samples.get(&(name, metric)) {
            Some(values) => grouped(values.iter().copied().fold(0.0, f64::max)),
            None => "–".to_owned(),
        }
    }

    pub(crate) fn sum(&self, name: &'static str, a: Metric, b: Metric) -> String {
        format!("{} + {}", self.count(name, a), self.count(name, b))
    }

    pub(crate) fn pair(&self, name: &'static str, a: Metric, b: Metric, digits: usize) -> String {
        let show = |v: f64| if digits == 0 { grouped(v) } else { format!("{v:.digits$}") };
        format!("{} / {}", self.cell(name, a, show), self.cell(name, b, show))
    }

    pub(crate) fn seconds(&self, name: &'static str, a: Metric, b: Metric) -> String {
        let show = |v: f64| format!("{:.2}", v / 1e3);
        format!("{} / {}", self.cell(name, a, show), self.cell(name, b, show))
    }
}

/// 12,345
pub(crate) fn grouped(value: f64) -> String {
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

/// Puts the tables between the marks of docs/performance.md. Those of workloads that this run did not
/// measure stay: every table is of one run.
pub(crate) fn write(text: &str) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let old = std::fs::read_to_string(&file).context("docs/performance.md cannot be read")?;
    let (before, rest) = old.split_once(BEGIN).context("docs/performance.md has no begin mark")?;
    let (kept, after) = rest.split_once(END).context("docs/performance.md has no end mark")?;
    let text = merged(kept, text);
    std::fs::write(&file, format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))?;
    Ok(())
}

/// The new tables in the place of the old ones of their titles.
fn merged(old: &str, new: &str) -> String {
    let title = |table: &str| table.lines().next().unwrap_or_default().to_owned();
    let mut tables: Vec<String> = split(old);
    for table in split(new) {
        match tables.iter_mut().find(|t| title(t) == title(&table)) {
            Some(old) => *old = table,
            None => tables.push(table),
        }
    }
    tables.iter().map(|t| format!("### {}\n", t.trim_end())).collect::<Vec<_>>().join("\n")
}

fn split(text: &str) -> Vec<String> {
    let text = format!("\n{}", text.trim());
    text.split("\n### ").skip(1).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_its_predecessor_and_the_others_stay() {
        let old = "\n### One\n\na\n\n### Two\n\nb\n\nmore\n";
        let new = "### Two\n\nc\n\n### Three\n\nd\n";
        assert_eq!(merged(old, new), "### One\n\na\n\n### Two\n\nc\n\n### Three\n\nd\n");
        assert_eq!(merged("Not measured yet.", "### One\n\na"), "### One\n\na\n");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(7.4), "7");
        assert_eq!(grouped(999.6), "1,000");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
    }
}
