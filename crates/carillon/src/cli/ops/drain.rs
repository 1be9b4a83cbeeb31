//! `carillon ops drain`.

use clap::Args;
use indicatif::ProgressBar;

use super::super::{Here, Out, connection};
use super::OPERATOR;
use crate::publishing::drain::{self, Drained};

pub(super) const EXAMPLES: &str = "Examples:\n  carillon ops drain send                              what would be cancelled\n  carillon ops drain send --state waiting --network mastodon --go\n\nPosts stay, and what is under way at a network is left alone: it may be live.";

#[derive(Debug, Args)]
pub(in crate::cli) struct Drain {
    /// send: the one that can be drained
    queue: String,
    /// waiting (due), delayed (due later); both when absent
    #[arg(long, value_delimiter = ',', default_value = "waiting,delayed")]
    state: Vec<String>,
    /// Id, name or network of one connection
    #[arg(long)]
    connection: Option<String>,
    #[arg(long)]
    network: Option<String>,
    /// Do it; without, only say what would be done
    #[arg(long)]
    go: bool,
}

impl Drain {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let connection_id = match &self.connection {
            Some(which) => Some(connection::resolve(here, which).await?),
            None => None,
        };
        let asked = drain::Drain {
            queue: Some(self.queue.clone()),
            states: self.state.iter().map(|s| s.trim().to_owned()).collect(),
            connection_id,
            network: self.network.clone(),
            dry_run: Some(!self.go),
        };
        let bar = ProgressBar::new_spinner();
        let tell = |n: usize| {
            bar.set_message(format!("{n} taken"));
            bar.tick();
        };
        let done = drain::drain(&here.app, &here.workspace, asked, OPERATOR, tell).await;
        bar.finish_and_clear();
        out.show(&done?, drained);
        Ok(())
    }
}

fn drained(done: &Drained) -> String {
    let what = match done.count {
        0 => return "nothing to drain".to_owned(),
        1 => "1 delivery".to_owned(),
        n => format!("{n} deliveries"),
    };
    if done.dry_run {
        format!("would be cancelled: {what}; nothing was changed, add --go to do it")
    } else {
        format!("cancelled: {what}; the posts stay")
    }
}
