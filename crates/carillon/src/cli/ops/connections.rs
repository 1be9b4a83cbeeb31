//! `carillon ops check-connections` and `backfill-connections`: every connection at once.

use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::{Here, Out, table};
use crate::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::publishing::checking::{self, About, AllChecked, Backfilled, Checked, Proof, Which};

pub(super) const CHECK_EXAMPLES: &str = "Examples:
  carillon ops check-connections
  carillon ops check-connections --network mastodon --workspace 0193… --json
  carillon ops check-connections && echo 'all can post'

The exit code is how many connections are broken, 100 at most. Where a network does not answer
nothing is known: such a connection counts as neither, and stays as it was.";

pub(super) const BACKFILL_EXAMPLES: &str = "Examples:
  carillon ops backfill-connections --dry-run
  carillon ops backfill-connections --network facebook
  carillon ops backfill-connections --json

What a network refuses or does not answer is listed with the reason and stays as it was. A second
run finds nothing left to do.";

/// Most broken connections that the exit code counts.
const COUNTED: usize = 100;

#[derive(Debug, Args)]
struct Choice {
    /// Only those of this network
    #[arg(long)]
    network: Option<String>,
    /// How many are asked about at once
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    choice: Choice,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Backfill {
    #[command(flatten)]
    choice: Choice,
    /// Only say what would be filled in
    #[arg(long)]
    dry_run: bool,
}

impl Check {
    pub(super) async fn run(
        &self,
        app: App,
        workspace: Option<&str>,
        out: &Out,
    ) -> anyhow::Result<ExitCode> {
        let (app, which) = self.choice.of(app, workspace).await?;
        let bar = bar();
        let tell = |done, total| progress(&bar, done, total);
        let found =
            Box::pin(checking::check(&app, &which, self.choice.parallel.into(), tell)).await;
        bar.finish_and_clear();
        let found = found?;
        out.show(&found, checked);
        Ok(ExitCode::from(found.broken.min(COUNTED) as u8))
    }
}

impl Backfill {
    pub(super) async fn run(
        &self,
        app: App,
        workspace: Option<&str>,
        out: &Out,
    ) -> anyhow::Result<()> {
        let (app, which) = self.choice.of(app, workspace).await?;
        let bar = bar();
        let tell = |done, total| progress(&bar, done, total);
        let at_once = self.choice.parallel.into();
        let done = Box::pin(checking::backfill(&app, &which, self.dry_run, at_once, tell)).await;
        bar.finish_and_clear();
        out.show(&done?, backfilled);
        Ok(())
    }
}

impl Choice {
    /// The workspace by its id, where one is named.
    async fn of(&self, app: App, named: Option<&str>) -> anyhow::Result<(App, Which)> {
        if let Some(network) = &self.network
            && app.network(network).is_none()
        {
            let known: Vec<&str> = app.networks.iter().map(|n| n.spec().id).collect();
            let sentence = format!("There is no network `{network}`.");
            let fix = format!("Known networks: {}.", known.join(", "));
            return Err(Refusal::new(Kind::Invalid, "unknown_network", sentence, fix).into());
        }
        let network = self.network.clone();
        match named {
            None => Ok((app, Which { workspace: None, network })),
            Some(_) => {
                let Here { app, workspace } = Here::of(app, named).await?;
                Ok((app, Which { workspace: Some(workspace), network }))
            }
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} asked");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn progress(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    bar.set_position(done as u64);
}

fn checked(found: &AllChecked) -> String {
    if found.items.is_empty() {
        return "No connections.".into();
    }
    let mut rows: Vec<&Checked> = found.items.iter().collect();
    // What needs somebody stands first.
    rows.sort_by_key(|c| match c.proof {
        Proof::Broken => 0,
        Proof::Unknown => 1,
        Proof::Works => 2,
    });
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|c| {
            let mark = match c.proof {
                Proof::Works => "ok  ",
                Proof::Broken => "FAIL",
                Proof::Unknown => "?   ",
            };
            let mut row = vec![mark.to_owned()];
            row.extend(about(&c.about));
            row.extend([c.action.clone().unwrap_or_default(), c.sentence.clone()]);
            row
        })
        .collect();
    let AllChecked { works, broken, unknown, .. } = found;
    format!("{}{works} work, {broken} broken, {unknown} not known", table(&rows))
}

fn about(about: &About) -> [String; 4] {
    let About { connection_id, workspace, network, name, .. } = about;
    [connection_id.clone(), network.clone(), name.clone(), workspace.clone()]
}

fn backfilled(done: &Backfilled) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for filled in &done.filled {
        let learnt: Vec<String> = filled
            .learnt
            .iter()
            .map(|(key, value)| match value.as_str() {
                "" => format!("{key} is gone"),
                value => format!("{key}={value}"),
            })
            .collect();
        let mut row = vec!["filled".to_owned()];
        row.extend(about(&filled.about));
        row.push(learnt.join(" "));
        rows.push(row);
    }
    for skipped in &done.skipped {
        let mut row = vec!["skipped".to_owned()];
        row.extend(about(&skipped.about));
        row.push(format!("{}: {}", skipped.reason, skipped.sentence));
        rows.push(row);
    }
    let (filled, skipped) = (done.filled.len(), done.skipped.len());
    let verb = if done.dry_run { "would be filled in" } else { "filled in" };
    let end = if done.dry_run { "; nothing was changed" } else { "" };
    format!(
        "{}{verb}: {filled}; skipped: {skipped}; complete: {}{end}",
        table(&rows),
        done.complete
    )
}
