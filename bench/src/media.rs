//! Pictures, uploads and videos: what the product does with files, beside the programs that people
//! would call instead.

mod library;
mod photos;
mod set;
mod uploads;
mod video;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

pub(crate) use photos::make;
pub(crate) use video::convert;

use crate::machine;
use crate::measure;
use carillon::domain::when;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// 20 photos of 12 MP, three JPEGs of each
    Photos,
    /// Pictures uploaded to the shipped server while it publishes
    Uploads,
    /// A video converted, beside ffmpeg alone
    Video,
    /// 100,000 media, searched
    Library,
}

/// What one command used, its children included.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    /// Seconds on the clock.
    wall: f64,
    /// Seconds of processor time.
    cpu: f64,
    /// The most memory that one of its processes held, in MB.
    peak: f64,
}

impl std::ops::AddAssign for Spent {
    /// One after the other.
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.peak = self.peak.max(other.peak);
    }
}

/// Runs a command to its end under GNU time.
fn timed(program: &Path, arguments: &[String]) -> Result<Spent> {
    let note = tempfile::NamedTempFile::new()?;
    let ended = Command::new("time")
        .args(["-q", "-f", "%e %U %S %M", "-o"])
        .arg(note.path())
        .arg(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .context("GNU time does not start (Debian: time)")?;
    ensure!(ended.success(), "{} failed; its own message is above", program.display());
    let said = std::fs::read_to_string(note.path())?;
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [wall, user, system, kilobytes] = numbers[..] else {
        anyhow::bail!("GNU time said `{said}`");
    };
    Ok(Spent { wall, cpu: user + system, peak: kilobytes / 1024.0 })
}

/// A program among those of the path.
fn installed(name: &str, package: &str) -> Result<PathBuf> {
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("`{name}` is missing (Debian: {package})"))
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    measure::quantile(&mut values.into_iter().collect::<Vec<_>>(), 0.5)
}

/// Measures and gives the tables as Markdown.
pub(crate) fn drive(only: &[Work], rounds: usize, quick: bool) -> Result<String> {
    let all = if only.is_empty() { Work::value_variants() } else { only };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut tables = Vec::new();
    for work in all {
        tables.push(match work {
            Work::Photos => photos::drive(rounds, quick)?,
            Work::Uploads => uploads::drive(rounds, quick)?,
            Work::Video => video::drive(rounds, quick)?,
            Work::Library => library::drive(rounds, quick)?,
        });
    }
    let mut words = machine::bare()?;
    words.push(format!("sharp {}", machine::version("pictures", "sharp")?));
    let now = when::iso(measure::epoch_ms() as i64);
    let foot = format!(
        "{}, medians of {rounds} rounds, {}; load before the run {}.{}\n",
        now.split('T').next().unwrap_or_default(),
        words.join(", "),
        load.split(' ').next().unwrap_or("?"),
        if quick {
            " **A quick run: it shows that everything works, not how fast it is.**"
        } else {
            ""
        },
    );
    Ok(tables.iter().map(|table| format!("\n{}\n\n{foot}", table.trim_end())).collect())
}
