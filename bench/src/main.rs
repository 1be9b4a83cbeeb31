//! One run of everything, side by side: `bench/run` builds and starts this.
//!
//! The driver starts every contender as a process (bench/README.md: the protocol), gives each the
//! same commands on an empty stage, in rounds whose order rotates, and prints medians. Nothing
//! leaves loopback, every wait has an end, and processes are ended by their own ids.

mod acts;
mod burst;
mod contenders;
mod machine;
mod measure;
mod media;
mod ours;
mod planner;
mod process;
mod report;
mod shipped;
mod stage;
mod tables;
mod workloads;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use contenders::{Contender, Store};
use report::Report;
use stage::{Cluster, Stage};
use workloads::{FULL, QUICK, Workload};

#[derive(Debug, Parser)]
#[command(name = "bench/run", about = "Measures Carillon and its peers in one run")]
struct Args {
    /// One short round: does everything work? Its figures say little
    #[arg(long, global = true)]
    quick: bool,
    /// Rounds, each in another order [default: 5, or 1 with --quick]
    #[arg(long, global = true)]
    rounds: Option<usize>,
    /// Only these workloads
    #[arg(long, value_delimiter = ',')]
    only: Vec<Workload>,
    /// Only these contenders: carillon, bullmq, graphile-worker, pg-boss, plainjob, apalis
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Put the tables into docs/performance.md
    #[arg(long, global = true)]
    write: bool,
    /// Keep every sample as a line of JSON
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Photos, uploads and videos alone
    Media {
        /// Only these
        #[arg(long, value_delimiter = ',')]
        only: Vec<media::Work>,
    },
    /// The planner in a browser alone, beside React and FullCalendar
    Planner,
    /// What the driver starts as the contender `carillon`
    #[command(hide = true)]
    Contend { place: String },
    /// What the driver starts as Carillon among the tools for photos
    #[command(hide = true)]
    Photos { threads: usize, out: PathBuf, files: Vec<PathBuf> },
    /// What the driver starts as Carillon beside ffmpeg
    #[command(hide = true)]
    Convert { order: PathBuf },
}

fn main() -> Result<()> {
    let args = Args::parse();
    match &args.command {
        Some(Command::Contend { place }) => contend(place),
        Some(Command::Photos { threads, out, files }) => media::make(*threads, out, files),
        Some(Command::Convert { order }) => media::convert(order),
        Some(Command::Media { only }) => files(&args, only),
        Some(Command::Planner) => told(&args, planner::drive(args.rounds(), args.quick)?),
        None => {
            drive(&args)?;
            // Whoever chose among the queues did not ask for these.
            if !args.only.is_empty() || !args.peers.is_empty() {
                return Ok(());
            }
            files(&args, &[])?;
            told(&args, planner::drive(args.rounds(), args.quick)?)
        }
    }
}

fn files(args: &Args, only: &[media::Work]) -> Result<()> {
    told(args, media::drive(only, args.rounds(), args.quick)?)
}

fn told(args: &Args, text: String) -> Result<()> {
    println!("{text}");
    if args.write { report::write(&text) } else { Ok(()) }
}

impl Args {
    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }
}

#[tokio::main]
async fn contend(place: &str) -> Result<()> {
    carillon_bench_contender::contend::<ours::Carillon>(place).await
}

fn drive(args: &Args) -> Result<()> {
    let scale = if args.quick { QUICK } else { FULL };
    let rounds = args.rounds();
    let workloads = match args.only.as_slice() {
        [] => Workload::value_variants(),
        only => only,
    };
    let mut chosen: Vec<&Contender> = contenders::ALL
        .iter()
        .filter(|c| args.peers.is_empty() || args.peers.iter().any(|p| p == c.key))
        .collect();
    for peer in &args.peers {
        let known = contenders::ALL.iter().any(|c| c.key == peer);
        ensure!(known, "no contender `{peer}`: bench/run --help names them");
    }
    ensure!(rounds > 0, "`--rounds 0` measures nothing: leave it out, or say 1 or more");
    let server = std::env::current_exe()?.with_file_name("carillon");
    let mut report = Report::new(&chosen, scale, args.quick, args.raw.as_deref())?;
    let cluster = match chosen.iter().any(|c| c.store == Store::Postgres) {
        true => Some(Cluster::start().context("PostgreSQL did not start")?),
        false => None,
    };

    for round in 1..=rounds {
        for workload in workloads.iter().filter(|w| round <= w.rounds(rounds)) {
            report.disk.push(measure::fdatasync(&std::env::temp_dir())?);
            for contender in chosen.iter().filter(|c| !c.skips.contains(workload)) {
                let samples = Stage::open(contender, cluster.as_ref())
                    .and_then(|stage| workload.run(contender, &stage, &scale));
                report.add(round, contender.name, *workload, samples)?;
            }
            if *workload == Workload::Network && chosen.iter().any(|c| c.key == "carillon") {
                let total = scale.burst as usize;
                let samples = burst::run(&server, total, None);
                report.add(round, tables::SERVER_SQLITE, *workload, samples)?;
                let samples = burst::run(&server, total, cluster.as_ref());
                report.add(round, tables::SERVER_POSTGRES, *workload, samples)?;
            }
        }
        chosen.rotate_left(1);
    }
    let text = tables::text(&report, cluster.as_ref(), rounds)?;
    println!("{text}");
    if args.write {
        report::write(&text)?;
    }
    let failed = report.failed.len();
    ensure!(failed == 0, "{failed} measurements failed; their reasons are above");
    Ok(())
}
