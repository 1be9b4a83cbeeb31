//! `carillon import`, `export`, `feed` and `ical`: many posts in and out.

use std::io::{Read, Write};

use clap::{Args, Subcommand};
use futures_util::StreamExt;

use super::{Here, Out, day_or_time, table};
use crate::domain::post::PostState;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::planning::calendar_feed::{self, CalendarLinkView};
use crate::planning::export::{self, ExportFormat, Query};
use crate::planning::feeds::{self, FeedAs, FeedView, NewFeed, Polled};
use crate::planning::import::{
    self, ImportFormat, ImportView, MadeAs, Options, RowOutcome, Undone,
};
use crate::store::audit::OPERATOR;

pub(super) const IMPORT_EXAMPLES: &str = "Examples:
  carillon import posts.csv --dry-run            what would come of each row
  carillon import posts.csv                      good rows become drafts
  carillon import posts.csv --as scheduled       what their dates say
  carillon import postiz.json --format postiz
  carillon import --list
  carillon import --undo 0193…

Columns: text, scheduledAt, timezone, connections, media, alt, firstComment, title, link, state
(docs/bulk.md). Dates: 2026-12-24 07:00, 24.12.2026 7am, tomorrow 9:00, next Tuesday 18:30; an
empty one is the next free slot.";
pub(super) const EXPORT_EXAMPLES: &str = "Examples:
  carillon export > posts.csv
  carillon export --format json --from 2026-11-01 --to 2026-12-01 --output november.json
  carillon export --state draft --connection 'The Anchor'";
pub(super) const FEED_EXAMPLES: &str = "Examples:
  carillon feed add https://anchor.example/news.xml --to mastodon
  carillon feed add https://anchor.example/news.xml --to bluesky --as queue --template '{title} {link}' --every 30
  carillon feed list
  carillon feed poll 0193…
  carillon feed remove 0193…";
pub(super) const ICAL_EXAMPLES: &str = "Examples:
  carillon ical                     is there an address?
  carillon ical --renew             a new one; the one before opens nothing any more
  carillon ical --renew --drafts
  carillon ical --off
  carillon ical --print > carillon.ics";

#[derive(Debug, Args)]
pub(super) struct Import {
    /// CSV or JSON, or - for standard input
    #[arg(required_unless_present_any = ["list", "undo"])]
    file: Option<String>,
    /// Say what would come of each row; save nothing
    #[arg(long)]
    dry_run: bool,
    /// csv, json, postiz, mixpost, buffer; recognised by itself
    #[arg(long)]
    format: Option<String>,
    /// What rows become: draft, or scheduled for what their dates say
    #[arg(long = "as", value_name = "draft|scheduled", default_value = "draft")]
    made_as: String,
    /// Also rows that were imported before
    #[arg(long)]
    again: bool,
    /// Also close to another post of the same connection
    #[arg(long)]
    allow_collision: bool,
    /// Also with content that the same connection had lately
    #[arg(long)]
    allow_duplicate: bool,
    /// List the imports, newest first
    #[arg(long, conflicts_with_all = ["file", "undo"])]
    list: bool,
    /// Take an import back
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    undo: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// csv or json
    #[arg(long, default_value = "csv")]
    format: String,
    /// First day or time
    #[arg(long)]
    from: Option<String>,
    /// First day or time that is no longer exported
    #[arg(long)]
    to: Option<String>,
    /// draft, scheduled, publishing, published, partly_published, failed, held, cancelled
    #[arg(long)]
    state: Option<String>,
    /// Connection: its id, its name, its network or its handle
    #[arg(long)]
    connection: Option<String>,
    /// Instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Feed {
    /// Have new entries of an RSS or Atom feed become posts
    Add {
        url: String,
        /// Connection: its id, its name or its network; repeat for several
        #[arg(long = "to", value_name = "CONNECTION")]
        to: Vec<String>,
        #[arg(long, default_value = "")]
        name: String,
        /// What a post says, with {title}, {link} and {summary}
        #[arg(long)]
        template: Option<String>,
        /// draft, or queue: the next free slot
        #[arg(long = "as", value_name = "draft|queue", default_value = "draft")]
        made_as: String,
        /// Minutes between two polls, 15 or more
        #[arg(long, default_value_t = 60)]
        every: i64,
        /// Most posts of one poll
        #[arg(long, default_value_t = 5)]
        most: i64,
        /// How many of the newest entries the first poll takes
        #[arg(long, default_value_t = 0)]
        first: i64,
    },
    /// List feeds and how they do
    List,
    /// Forget a feed; its posts stay
    Remove { id: String },
    /// Ask a feed now
    Poll { id: String },
}

#[derive(Debug, Args)]
pub(super) struct Ical {
    /// Make a new address
    #[arg(long, conflicts_with_all = ["off", "print"])]
    renew: bool,
    /// Also show drafts that have a time
    #[arg(long)]
    drafts: bool,
    /// Switch the address off
    #[arg(long, conflicts_with = "print")]
    off: bool,
    /// Print the calendar itself
    #[arg(long)]
    print: bool,
}

impl Import {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        if self.list {
            let page = import::list(app, ws, None, 100).await?;
            out.show(&page, |page| match page.items.as_slice() {
                [] => "No imports. Begin with one: carillon import --help".to_owned(),
                all => table(&all.iter().map(listed).collect::<Vec<_>>()),
            });
            return Ok(());
        }
        if let Some(id) = &self.undo {
            out.show(&import::undo(app, ws, id, OPERATOR).await?, undone);
            return Ok(());
        }
        let file = self.file.as_deref().unwrap_or("-");
        let bytes = read(file)?;
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let options = Options {
            name: if file == "-" { String::new() } else { name.to_owned() },
            format: self
                .format
                .as_deref()
                .map(|w| word::<ImportFormat>("format", w, ImportFormat::ALL))
                .transpose()?,
            made_as: word::<MadeAs>("as", &self.made_as, MadeAs::ALL)?,
            dry_run: self.dry_run,
            again: self.again,
            allow_collision: self.allow_collision,
            allow_duplicate: self.allow_duplicate,
        };
        let done = Box::pin(import::import(app, ws, &bytes, options, OPERATOR)).await?;
        out.show(&done, describe);
        Ok(())
    }
}

impl Export {
    pub(super) async fn run(&self, here: &Here) -> anyhow::Result<()> {
        let format = word::<ExportFormat>("format", &self.format, ExportFormat::ALL)?;
        let query = Query {
            from: day_or_time("--from", self.from.as_deref())?,
            to: day_or_time("--to", self.to.as_deref())?,
            state: self
                .state
                .as_deref()
                .map(|w| word::<PostState>("state", w, PostState::ALL))
                .transpose()?,
            connection: self.connection.clone(),
        };
        let pieces = export::export(&here.app, &here.workspace, query, format, OPERATOR).await?;
        let mut pieces = std::pin::pin!(pieces);
        let mut to: Box<dyn Write> = match &self.output {
            Some(file) => Box::new(std::fs::File::create(file)?),
            None => Box::new(std::io::stdout().lock()),
        };
        while let Some(piece) = pieces.next().await {
            to.write_all(&piece?)?;
        }
        Ok(to.flush()?)
    }
}

impl Feed {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        match self {
            Feed::Add { url, to, name, template, made_as, every, most, first } => {
                let new = NewFeed {
                    url: url.clone(),
                    name: name.clone(),
                    connections: to.clone(),
                    template: template.clone(),
                    made_as: word::<FeedAs>("as", made_as, FeedAs::ALL)?,
                    every_minutes: *every,
                    most: *most,
                    first: *first,
                };
                let added = feeds::add(app, ws, new, OPERATOR).await?;
                out.show(&added, |f| table(&[feed(f)]));
            }
            Feed::List => {
                let all = feeds::list(app, ws).await?;
                out.show(&all, |all| match all.as_slice() {
                    [] => "No feeds. Add one: carillon feed --help".to_owned(),
                    all => table(&all.iter().map(feed).collect::<Vec<_>>()),
                });
            }
            Feed::Remove { id } => {
                feeds::remove(app, ws, id, OPERATOR).await?;
                let done = serde_json::json!({ "id": id, "removed": true });
                out.show(&done, |_| "It is removed; its posts stay.".to_owned());
            }
            Feed::Poll { id } => {
                let polled = Box::pin(feeds::poll(app, ws, id)).await?;
                out.show(&polled, |p: &Polled| {
                    let problem = p.feed.problem.as_ref();
                    problem.map_or_else(|| format!("{} posts made", p.made), |p| p.sentence.clone())
                });
            }
        }
        Ok(())
    }
}

impl Ical {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        if self.print {
            let calendar = calendar_feed::of(app, ws, self.drafts).await?;
            std::io::stdout().write_all(calendar.text.as_bytes())?;
            return Ok(());
        }
        let link = if self.renew {
            calendar_feed::renew(app, ws, self.drafts, OPERATOR).await?
        } else {
            if self.off {
                calendar_feed::switch_off(app, ws, OPERATOR).await?;
            }
            calendar_feed::show(app, ws).await?
        };
        out.show(&link, |l: &CalendarLinkView| match (&l.url, l.on) {
            // Nobody listens where the server's address is not known here.
            (Some(url), _) if url.starts_with('/') => {
                format!("{url}\nBehind the address of your server: set CARILLON_PUBLIC_URL to see it whole.")
            }
            (Some(url), _) => url.clone(),
            (None, true) => "There is an address; it was told when it was made. Make a new one: carillon ical --renew".to_owned(),
            (None, false) => "There is no address. Make one: carillon ical --renew".to_owned(),
        });
        Ok(())
    }
}

fn read(file: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = import::MOST_BYTES as u64 + 1;
    let got = match file {
        "-" => std::io::stdin().take(most).read_to_end(&mut bytes),
        file => std::fs::File::open(file).and_then(|f| f.take(most).read_to_end(&mut bytes)),
    };
    got.map_err(|e| {
        let sentence = format!("`{file}` cannot be read: {e}.");
        Refusal::new(
            Kind::Invalid,
            "file",
            sentence,
            "Check its path, or send it to standard input with `-`.",
        )
    })?;
    Ok(bytes)
}

/// One of some words.
fn word<T: std::str::FromStr + std::fmt::Display>(
    option: &str,
    given: &str,
    all: &[T],
) -> Result<T, Refusal> {
    given.parse().map_err(|_| {
        let known: Vec<String> = all.iter().map(T::to_string).collect();
        let message = format!("`--{option}` is `{given}`; it can be {}.", known.join(", "));
        Refusal::invalid(vec![Wrong::new(option, "unknown_word", message)])
    })
}

fn listed(i: &ImportView) -> Vec<String> {
    vec![
        i.id.clone().unwrap_or_default(),
        i.state.to_string(),
        i.created_at.get(..16).unwrap_or_default().replace('T', " "),
        format!("{} of {}", i.made, i.total),
        i.format.clone(),
        i.name.clone(),
    ]
}

fn describe(i: &ImportView) -> String {
    let mut text = String::new();
    for note in &i.notes {
        text.push_str(&format!("{}\n", note.message));
    }
    for row in i.rows.iter().filter(|r| !r.notes.is_empty()) {
        for note in &row.notes {
            let mark = if note.warning { "note" } else { "error" };
            let column = if note.column.is_empty() { "row" } else { &note.column };
            text.push_str(&format!("line {}  {mark}  {column}: {}\n", row.line, note.message));
        }
    }
    if i.dry_run {
        for row in i.rows.iter().filter(|r| r.outcome == RowOutcome::Made).take(20) {
            let at = row.scheduled_at.as_deref().unwrap_or("no time");
            text.push_str(&format!(
                "line {}  {at}  {}\n",
                row.line,
                row.text.lines().next().unwrap_or_default()
            ));
        }
    }
    let would = if i.dry_run { "would be " } else { "" };
    let parts = [
        (i.made, "made"),
        (i.known, "imported before"),
        (i.left_out, "left out: they went out elsewhere"),
        (i.refused, "refused"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, w)| format!("{n} {would}{w}")).collect();
    let id = i.id.as_ref().map(|id| format!("\nTake it back: carillon import --undo {id}"));
    format!("{text}{} rows ({}): {}{}", i.total, i.format, said.join(", "), id.unwrap_or_default())
}

fn undone(u: &Undone) -> String {
    let kept: String = u
        .kept
        .iter()
        .map(|k| format!("line {}  {}  {}\n", k.line, k.post_id, k.sentence))
        .collect();
    format!(
        "{kept}{} posts deleted, {} kept, {} were deleted before",
        u.deleted,
        u.kept.len(),
        u.gone
    )
}

fn feed(f: &FeedView) -> Vec<String> {
    let problem = f.problem.as_ref().map(|p| p.sentence.clone());
    vec![
        f.id.clone(),
        f.state.to_string(),
        f.made_as.to_string(),
        format!("{} posts", f.posts),
        f.name.clone(),
        problem.unwrap_or_else(|| f.url.clone()),
    ]
}
