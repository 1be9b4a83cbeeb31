//! `carillon media move`: everything that is there to where new media go.

use std::process::ExitCode;

use clap::Args;
use indicatif::HumanBytes;

use super::Out;
use super::media::bar;
use crate::App;
use crate::config::Place;
use crate::media::moving::{self, Load};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:
  carillon media move --to s3 --dry-run    what would be moved
  carillon media move --to s3              move it, while servers run
  carillon media move --to disk            and back

First set CARILLON_STORE to the place and start every server again with it: new media go there
from then on, and older ones are read from where they are. The move can be stopped, or killed, at
any moment and run again. Every file is read back and held against its checksum before it leaves
where it was. Exit code 1 when one stayed.";

#[derive(Debug, Args)]
pub(super) struct Move {
    /// `disk` or `s3`
    #[arg(long, value_name = "PLACE")]
    to: Place,
    /// Only say how much there is to move
    #[arg(long)]
    dry_run: bool,
}

impl Move {
    pub(super) async fn run(&self, app: &App, out: &Out) -> anyhow::Result<ExitCode> {
        let load = moving::survey(app, self.to).await?;
        if self.dry_run {
            out.show(&load, |load| format!("{} to move to {}", words(load), self.to));
            return Ok(ExitCode::SUCCESS);
        }
        let bar = bar(load.bytes);
        let moved = moving::run(app, self.to, OPERATOR, |bytes| bar.inc(bytes)).await?;
        bar.finish_and_clear();
        out.show(&moved, |moved| {
            let mut text = format!("{} moved to {}\n", words(&moved.moved), self.to);
            for (load, what) in [
                (&moved.there, "had been moved before"),
                (&moved.foreign, "belong to no medium and stayed"),
            ] {
                if load.files > 0 {
                    text.push_str(&format!("{} {what}\n", words(load)));
                }
            }
            for failed in &moved.failed {
                text.push_str(&format!("stayed: {}: {}\n", failed.file, failed.reason));
            }
            text
        });
        Ok(if moved.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn words(load: &Load) -> String {
    format!("{} files of {}", load.files, HumanBytes(load.bytes))
}
