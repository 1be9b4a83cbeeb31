//! `carillon ops dead-letters` and `retry-failed`.

use std::collections::BTreeMap;

use clap::Args;
use indicatif::ProgressBar;

use super::super::{Here, Out, connection, table};
use super::{OPERATOR, day_or_time};
use crate::domain::delivery::DeliveryState;
use crate::domain::refusal::{Kind, Refusal};
use crate::publishing::dead_letters::{self, DeadLetter, DeadLetters, How, Replayed, Which};
use crate::store::dead_letters::Filter;

pub(super) const LIST_EXAMPLES: &str = "Examples:\n  carillon ops dead-letters\n  carillon ops dead-letters --state failed --class content --since 2026-11-01 --json";
pub(super) const RETRY_EXAMPLES: &str = "Examples:\n  carillon ops retry-failed --network mastodon --since 2026-11-23      what would be sent again\n  carillon ops retry-failed --network mastodon --since 2026-11-23 --go\n  carillon ops retry-failed --state held --class late --spacing 120 --go\n\nWhat may be live already is never sent again: answer for it first.";

/// Ids that a text names one by one.
const NAMED: usize = 20;

#[derive(Debug, Args)]
struct Choice {
    /// Class of the problem: transient, content, late, …
    #[arg(long)]
    class: Option<String>,
    #[arg(long)]
    network: Option<String>,
    /// Id, name or network of one connection
    #[arg(long)]
    connection: Option<String>,
    /// Dead since this day or time (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Dead before this day or time (UTC)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// failed, held, missed; several with commas, all when absent
    #[arg(long, value_delimiter = ',')]
    state: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// `next` of the page before
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Retry {
    /// failed, held, missed; several with commas
    #[arg(long, value_delimiter = ',', default_value = "failed")]
    state: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// Seconds between two deliveries of one connection
    #[arg(long, default_value_t = 30)]
    spacing: i64,
    /// Do it; without, only say what would be done
    #[arg(long)]
    go: bool,
}

impl List {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let filter = self.choice.filter(here, &self.state).await?;
        let cursor = self.cursor.as_deref().map(cursor).transpose()?;
        let limit = self.limit.clamp(1, 1000);
        let found = dead_letters::list(&here.app, &here.workspace, filter, cursor, limit).await?;
        out.show(&found, listed);
        Ok(())
    }
}

impl Retry {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let filter = self.choice.filter(here, &self.state).await?;
        let how = How { spacing: Some(self.spacing), dry_run: !self.go };
        let bar = ProgressBar::new_spinner();
        let tell = |n: usize| {
            bar.set_message(format!("{n} looked at"));
            bar.tick();
        };
        let (app, ws) = (&here.app, here.workspace.as_str());
        let done = dead_letters::replay(app, ws, Which::All(filter), how, OPERATOR, tell).await;
        bar.finish_and_clear();
        out.show(&done?, replayed);
        Ok(())
    }
}

impl Choice {
    async fn filter(&self, here: &Here, states: &[String]) -> anyhow::Result<Filter> {
        if let Some(network) = &self.network
            && carillon_networks::find(network).is_none()
        {
            let sentence = format!("There is no network `{network}`.");
            let known: Vec<&str> = carillon_networks::ALL.iter().map(|n| n.spec().id).collect();
            let fix = format!("Known networks: {}.", known.join(", "));
            return Err(Refusal::new(Kind::Invalid, "unknown_network", sentence, fix).into());
        }
        let connection_id = match &self.connection {
            Some(which) => Some(connection::resolve(here, which).await?),
            None => None,
        };
        Ok(Filter {
            states: states.iter().map(|s| state(s)).collect::<Result<_, _>>()?,
            cause: self.class.clone(),
            network: self.network.clone(),
            connection_id,
            from: day_or_time("--since", self.since.as_deref())?.unwrap_or(0),
            to: day_or_time("--until", self.until.as_deref())?.unwrap_or(i64::MAX),
        })
    }
}

fn state(word: &str) -> Result<DeliveryState, Refusal> {
    use DeliveryState::{Failed, Held, Missed};
    match word.trim().parse() {
        Ok(state @ (Failed | Held | Missed)) => Ok(state),
        _ => Err(Refusal::new(
            Kind::Invalid,
            "unknown_state",
            format!("`{word}` is no state of a dead letter."),
            "They are failed, held and missed.",
        )),
    }
}

fn cursor(text: &str) -> Result<(i64, String), Refusal> {
    let parts = text.split_once('~');
    parts.and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned()))).ok_or_else(|| {
        Refusal::new(
            Kind::Invalid,
            "invalid_cursor",
            format!("`{text}` is none that a page ended with."),
            "Take `next` of the page before, with --json.",
        )
    })
}

fn listed(found: &DeadLetters) -> String {
    if found.items.is_empty() {
        return "No dead letters: nothing failed, is held or was missed.".into();
    }
    let rows: Vec<Vec<String>> = found.items.iter().map(row).collect();
    let causes: Vec<String> =
        found.causes.iter().map(|c| format!("{} {}", c.count, c.cause)).collect();
    let more = match &found.next {
        Some(next) => format!("\nmore follow: --cursor {next}"),
        None => String::new(),
    };
    format!("{}{} in all; by cause: {}{more}", table(&rows), found.total, causes.join(", "))
}

fn row(l: &DeadLetter) -> Vec<String> {
    let d = &l.delivery;
    let what = d.problem.as_ref().map_or("", |p| p.sentence.as_str());
    let retry = if l.replay.safe { "can be sent again" } else { "look first" };
    let first = l.post_text.lines().next().unwrap_or_default();
    let text: String = first.chars().take(30).collect();
    vec![
        d.id.clone(),
        l.since.clone(),
        d.state.to_string(),
        l.cause.clone(),
        d.connection_name.clone(),
        retry.to_owned(),
        text,
        what.to_owned(),
    ]
}

fn replayed(done: &Replayed) -> String {
    let n = done.replayed.len();
    let mut text = match (n, done.dry_run) {
        (0, _) => "nothing to send again\n".to_owned(),
        (n, true) => format!("would be sent again: {n}\n"),
        (n, false) => format!("sent again: {n}\n"),
    };
    for target in done.replayed.iter().take(NAMED) {
        text.push_str(&format!("  {}\n", target.id));
    }
    if n > NAMED {
        text.push_str(&format!("  and {} more\n", n - NAMED));
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for skipped in &done.skipped {
        *reasons.entry(&skipped.sentence).or_default() += 1;
    }
    for (why, count) in reasons {
        text.push_str(&format!("skipped: {count}. {why}\n"));
    }
    if done.dry_run && n > 0 {
        text.push_str("nothing was changed; add --go to send them again");
    }
    text
}
