//! `carillon series`: posts that come round.

use clap::Subcommand;

use super::{Here, Out, table};
use crate::planning::series::{self, Changed, Occurrence, SeriesView};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:
  carillon post create --text 'Quiz night at eight.' --to mastodon --at 2026-11-24T07:00 --repeat 'FREQ=WEEKLY;BYDAY=TU'
  carillon series list
  carillon series coming 0193…
  carillon series skip 0193… 2026-12-29
  carillon series end 0193…";

#[derive(Debug, Subcommand)]
pub(super) enum Series {
    /// List series, newest first
    List {
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show a series and its next instances
    Show { id: String },
    /// List the coming instances, skipped ones too
    Coming {
        id: String,
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Leave an instance out: its day, or its time where a day has several
    Skip { id: String, occurrence: String },
    /// Take a skipped instance in again
    Unskip { id: String, occurrence: String },
    /// Make no posts and send none until it is resumed
    Pause { id: String },
    /// Go on; what is late is asked about
    Resume { id: String },
    /// End it: posts that are to come are deleted
    End { id: String },
}

impl Series {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        match self {
            Series::List { limit } => {
                let page = series::list(app, ws, None, (*limit).clamp(1, 200)).await?;
                out.show(&page, |page| {
                    if page.items.is_empty() {
                        return "No series. Make one: carillon post create --help".to_owned();
                    }
                    let row =
                        |s: &SeriesView| vec![s.id.clone(), s.state.to_string(), s.words.clone()];
                    table(&page.items.iter().map(row).collect::<Vec<_>>())
                });
            }
            Series::Show { id } => out.show(&series::show(app, ws, id).await?, describe),
            Series::Coming { id, limit } => {
                let found = series::occurrences(app, ws, id, (*limit).clamp(1, 200)).await?;
                out.show(&found, |found| coming(found));
            }
            Series::Skip { id, occurrence } => {
                out.show(&series::skip(app, ws, id, occurrence, OPERATOR).await?, describe);
            }
            Series::Unskip { id, occurrence } => {
                out.show(&series::unskip(app, ws, id, occurrence, OPERATOR).await?, describe);
            }
            Series::Pause { id } => out.show(&series::pause(app, ws, id, OPERATOR).await?, changed),
            Series::Resume { id } => {
                out.show(&series::resume(app, ws, id, OPERATOR).await?, changed)
            }
            Series::End { id } => out.show(&series::end(app, ws, id, OPERATOR).await?, changed),
        }
        Ok(())
    }
}

pub(super) fn describe(s: &SeriesView) -> String {
    let text = s.post.text.lines().next().unwrap_or_default();
    format!("{}  {}\n{}\n{text}\n{}", s.id, s.state, s.words, coming(&s.next))
}

fn coming(all: &[Occurrence]) -> String {
    if all.is_empty() {
        return "Nothing is to come.".to_owned();
    }
    let row = |o: &Occurrence| {
        let state = if o.detached { "post, changed by itself" } else { o.state.as_str() };
        vec![
            format!("  {}", o.occurrence),
            o.at.clone(),
            state.to_owned(),
            o.post_id.clone().unwrap_or_default(),
        ]
    };
    table(&all.iter().map(row).collect::<Vec<_>>())
}

fn changed(c: &Changed) -> String {
    let counts = [
        (c.removed, "posts deleted"),
        (c.kept, "posts kept that were changed by themselves"),
        (c.held, "deliveries held"),
        (c.queued, "deliveries wait for their time again"),
        (c.under_way, "deliveries under way, which may go out yet"),
        (c.late, "deliveries late: `carillon ops dead-letters` shows them"),
    ];
    let said = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}\n"));
    format!("{}\n{}", describe(&c.series), said.collect::<String>())
}
