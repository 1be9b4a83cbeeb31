//! `carillon delivery`: what a person decides about one delivery, as on its card in the web app.
//!
//! A delivery that may be live is never sent again before somebody has looked: `answer` takes down
//! what they saw. Many at once: `ops retry-failed`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use clap::{ArgGroup, Args, Subcommand};
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

use super::{Here, Out, table};
use crate::publishing::amend::{self, Amendment};
use crate::publishing::desk::{self, Answer};
use crate::publishing::numbers;
use crate::publishing::pack;
use crate::publishing::view::{self, AttemptView, DeliveryView};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:
  carillon ops dead-letters --state held                   what waits for an answer
  carillon delivery show 0193…                             and why
  carillon delivery answer 0193… --live https://t.me/anchor_news/7
  carillon delivery answer 0193… --not-live                it is sent now
  carillon delivery retry 0193… --text 'A shorter comment'
  carillon delivery pack 0193…                             a zip to post it by hand
  carillon delivery amend 0193… --text 'Doors open at eight.'
  carillon delivery measure 0193…                          what followers did";
const MEASURE_EXAMPLES: &str = "Examples:
  carillon delivery measure 0193…
  carillon delivery measure 0193… --json

Its network is asked now; show repeats what it said last. docs/networks.md says what each tells.";
const ANSWER_EXAMPLES: &str = "Examples:
  carillon delivery answer 0193… --live https://t.me/anchor_news/7    it is there
  carillon delivery answer 0193… --live                               its address is not known
  carillon delivery answer 0193… --not-live                           it is not: send it now

Look at the account first. One that failed can be called live too, with its address: somebody posted
it by hand. A post's id is not known after --live, so what follows it, of a thread or a first
comment, has to be added by hand as well; after --not-live it goes out by itself.";

#[derive(Debug, Subcommand)]
pub(super) enum Delivery {
    /// Show a delivery with its journal
    Show { id: String },
    /// Say whether a delivery is live, where no program can find out
    #[command(after_help = ANSWER_EXAMPLES)]
    Answer(Given),
    /// Send a failed, missed or held delivery again, now; never one that could post twice
    Retry {
        id: String,
        /// In place of what it said
        #[arg(long)]
        text: Option<String>,
    },
    /// Change what a live delivery says, at its network and then here; its media stay
    Amend(New),
    /// Write what somebody needs to post it by hand, as a zip
    Pack {
        id: String,
        /// Where to; a file in this folder, named after the post, when absent
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Read what followers did to a live delivery: views, likes, comments …
    #[command(after_help = MEASURE_EXAMPLES)]
    Measure { id: String },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("seen").required(true).args(["live", "not_live"]))]
pub(super) struct Given {
    /// As `ops dead-letters` and `post show` name it
    id: String,
    /// It is live, at this address if you have it
    #[arg(long, value_name = "URL", num_args = 0..=1)]
    live: Option<Option<String>>,
    /// It is not: send it now
    #[arg(long)]
    not_live: bool,
}

#[derive(Debug, Args)]
pub(super) struct New {
    id: String,
    /// What it is to say
    #[arg(long)]
    text: String,
    /// Without it the title stays
    #[arg(long)]
    title: Option<String>,
}

impl Delivery {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        match self {
            Delivery::Show { id } => {
                let delivery = view::delivery(app, ws, id).await?;
                let journal = view::attempts(app, ws, id).await?;
                let whole = serde_json::json!({ "delivery": delivery, "attempts": journal });
                out.show(&whole, |_| {
                    let lines = if journal.is_empty() { String::new() } else { lines(&journal) };
                    describe(&delivery) + &lines
                });
            }
            Delivery::Answer(given) => {
                let url = given.live.clone().flatten();
                let answer = Answer { live: given.live.is_some(), url };
                let now = desk::answer(app, ws, &given.id, answer, OPERATOR).await?;
                out.show(&now, describe);
            }
            Delivery::Retry { id, text } => {
                let now = desk::retry(app, ws, id, text.clone(), OPERATOR).await?;
                out.show(&now, describe);
            }
            Delivery::Amend(New { id, text, title }) => {
                let new = Amendment { text: text.clone(), title: title.clone() };
                let now = amend::amend(app, ws, id, new, OPERATOR).await?;
                out.show(&now, describe);
            }
            Delivery::Pack { id, to } => {
                let pack = pack::of(app, ws, id).await?;
                let path = to.clone().unwrap_or_else(|| PathBuf::from(&pack.name));
                let bytes = write(pack.write(app.clone()), &path).await?;
                let told = serde_json::json!({ "file": path, "bytes": bytes });
                out.show(&told, |_| {
                    let then = format!("carillon delivery answer {id} --live URL");
                    format!("{}\nOnce it is live: {then}", path.display())
                });
            }
            Delivery::Measure { id } => {
                let now = numbers::measure(app, ws, id).await?;
                out.show(&now, describe);
            }
        }
        Ok(())
    }
}

/// Into a file that is not there yet; how many bytes. What was not written whole is not left there.
async fn write(
    pieces: impl Stream<Item = Result<Bytes, std::io::Error>>,
    path: &Path,
) -> anyhow::Result<u64> {
    let mut file = tokio::fs::File::create_new(path).await.with_context(|| {
        format!("cannot make {}: choose another name with --to", path.display())
    })?;
    let written = async {
        let (mut pieces, mut bytes) = (std::pin::pin!(pieces), 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            file.write_all(&piece).await?;
            bytes += piece.len() as u64;
        }
        file.flush().await?;
        Ok::<_, std::io::Error>(bytes)
    };
    match written.await {
        Ok(bytes) => Ok(bytes),
        Err(e) => {
            tokio::fs::remove_file(path).await?;
            Err(e).with_context(|| format!("cannot write {}", path.display()))
        }
    }
}

fn describe(d: &DeliveryView) -> String {
    let at = d.remote_url.as_deref().unwrap_or_default();
    let mut text = format!("{}  {}  {}  {}  {at}\n", d.id, d.connection_name, d.placement, d.state);
    if let Some(title) = &d.title {
        text.push_str(&format!("{title}\n"));
    }
    if let Some(own) = &d.text {
        text.push_str(&format!("{own}\n"));
    }
    if let Some(told) = &d.numbers {
        let all = told.values.iter().map(|(metric, n)| format!("{n} {metric}"));
        let all = all.collect::<Vec<_>>().join(", ");
        text.push_str(&format!("{all}, as of {}\n", told.at));
    }
    if let Some(problem) = &d.problem {
        text.push_str(&format!("{} {}\n", problem.sentence, problem.action_sentence));
    }
    if d.question.is_some() {
        text.push_str(&format!("{}\n", question(d)));
    }
    text
}

/// What to run once somebody has looked.
pub(super) fn question(d: &DeliveryView) -> String {
    format!("is it live? carillon delivery answer {} --live URL, or --not-live", d.id)
}

/// A journal, a line each.
pub(super) fn lines(journal: &[AttemptView]) -> String {
    let row = |a: &AttemptView| {
        vec![
            a.started_at.clone(),
            a.step.clone(),
            a.outcome.clone().unwrap_or_else(|| "under way".into()),
            a.sentence.clone().unwrap_or_default(),
        ]
    };
    table(&journal.iter().map(row).collect::<Vec<_>>())
}
