//! `carillon post`: the same operations as the API, from a terminal.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::drafts::{RestoreVersion, Restored};
use super::{Here, Out, day_or_time, table};
use crate::domain::post::PostState;
use crate::domain::refusal::{Kind, Refusal};
use crate::planning::series::{self, NewSeries};
use crate::publishing::moving::{self, Moves};
use crate::publishing::schedule::{self, Draft, DraftDelivery, Part, Parts};
use crate::publishing::view::{self, DeliveryView, PostView, Query};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:
  carillon post create --text 'Doors open at seven.' --to mastodon --at 2026-11-23T09:00 --zone Europe/London
  carillon post create --text 'Doors at seven.' --then 'Support at eight.' --then 'Us at nine.' --to bluesky
  carillon post list --from 2026-11-01 --to 2026-12-01 --json
  carillon post list --search 'quiz night'
  carillon post move 0193… 0194… --days 7
  carillon post cancel 0193…
  carillon post delete 0193…                 into the trash, for seven days
  carillon post restore 0193…                out of it again, as a draft
  carillon post restore-version 0193… 3      what it said then";
const CREATE_EXAMPLES: &str = "Examples:
  carillon post create --text 'Doors at seven.' --then 'Support at eight.' --then 'Us at nine.' --to bluesky
  carillon post create --text 'Sunset' --media 0193… --first-comment 'Tickets: example.org' --to instagram
  carillon post create --text 'Which loaf?' --set poll=Rye --set poll=Oats --set pollFor=3d --to mastodon --to x
  carillon post create --text 'Quiz night' --at 2026-11-24T07:00 --repeat 'FREQ=WEEKLY;BYDAY=TU' --to bluesky
  carillon post create --text 'One' --then 'Two' --to mastodon --to telegram --where-possible --json

Each part goes out once the one before it is live; `post show` tells how far it is.";

#[derive(Debug, Subcommand)]
pub(super) enum Post {
    /// Write a post: scheduled with --at, saved with --draft, otherwise sent now
    #[command(after_help = CREATE_EXAMPLES)]
    Create(Create),
    /// Show a post with its deliveries and their journals
    Show { id: String },
    /// List posts by time (drafts without a time when no range is given)
    List(List),
    /// Move posts by so many days, all of them or none
    Move(Shift),
    /// Cancel what has not been sent of a post
    Cancel { id: String },
    /// Cancel a post and put it into the trash, for seven days
    Delete { id: String },
    /// List what is in the trash
    Trash {
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Take a post out of the trash, as a draft
    Restore(Restored),
    /// Delete a post for good that is in the trash
    Purge { id: String },
    /// List what a post said before it was changed
    Versions { id: String },
    /// Have a post say again what it said in a version
    RestoreVersion(RestoreVersion),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// What to say
    #[arg(long)]
    text: String,
    #[arg(long)]
    title: Option<String>,
    /// The next part of a thread; repeat for several
    #[arg(long = "then", visible_alias = "thread", value_name = "TEXT")]
    thread: Vec<String>,
    /// A comment of the account's own, right after the post
    #[arg(long, value_name = "TEXT")]
    first_comment: Option<String>,
    /// Threads and first comments only where the network has them; the others get the first part
    #[arg(long)]
    where_possible: bool,
    /// Connection: its id, its name or its network; repeat for several
    #[arg(long = "to", value_name = "CONNECTION")]
    to: Vec<String>,
    /// feed, story, …; the network's first when absent
    #[arg(long)]
    placement: Option<String>,
    /// What a placement asks beside text and media, as KEY=VALUE (docs/networks names the
    /// keys); repeat for several, and with the same key for several lines
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = answer)]
    options: Vec<(String, String)>,
    /// Id of an uploaded picture or video; repeat for several
    #[arg(long)]
    media: Vec<String>,
    /// When, as 2026-11-23T09:00 in --zone, or with an offset
    #[arg(long)]
    at: Option<String>,
    /// IANA time zone; the workspace's when absent
    #[arg(long)]
    zone: Option<String>,
    /// Make it a series, by a rule of RFC 5545; --at is when its first one goes out
    #[arg(long, value_name = "RULE", requires = "at")]
    repeat: Option<String>,
    /// Save only
    #[arg(long)]
    draft: bool,
    /// Also close to another post of the same connection
    #[arg(long)]
    allow_collision: bool,
    /// Also with content that the same connection had lately
    #[arg(long)]
    allow_duplicate: bool,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// First day or time
    #[arg(long)]
    from: Option<String>,
    /// First day or time that is no longer listed
    #[arg(long)]
    to: Option<String>,
    /// draft, in_review, approved, scheduled, publishing, published, partly_published, failed, held, cancelled
    #[arg(long)]
    state: Option<String>,
    /// Only posts that hold these words, of any time
    #[arg(long, value_name = "WORDS", conflicts_with_all = ["from", "to"])]
    search: Option<String>,
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(super) struct Shift {
    /// Ids of posts
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Days later by the clock of each post's own zone; less than 0 for earlier
    #[arg(long, allow_hyphen_values = true)]
    days: i32,
    /// Also close to another post of the same connection
    #[arg(long)]
    allow_collision: bool,
    /// Also with content that the same connection had lately
    #[arg(long)]
    allow_duplicate: bool,
}

impl Post {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        match self {
            Post::Create(c) => {
                let mut deliveries = Vec::new();
                for to in &c.to {
                    deliveries.push(c.delivery(here, to).await?);
                }
                if c.first_comment.is_some() && deliveries.iter().all(|d| d.first_comment.is_none())
                {
                    return Err(comment_unused().into());
                }
                let draft = Draft {
                    text: c.text.clone(),
                    title: c.title.clone(),
                    media: c.media.clone(),
                    scheduled_at: c.at.clone(),
                    timezone: c.zone.clone(),
                    draft: c.draft,
                    allow_collision: c.allow_collision,
                    allow_duplicate: c.allow_duplicate,
                    thread: c
                        .thread
                        .iter()
                        .map(|text| Part { text: text.clone(), media: Vec::new() })
                        .collect(),
                    deliveries,
                    by: Some(OPERATOR.to_owned()),
                };
                if let Some(rule) = c.repeat.clone() {
                    let new =
                        NewSeries { post: draft, rule, without: Vec::new(), also: Vec::new() };
                    let made = series::create(app, ws, new, OPERATOR).await?;
                    out.show(&made, super::series::describe);
                    return Ok(());
                }
                let post = schedule::create(app, ws, draft, None).await?;
                out.show(&post, describe);
            }
            Post::Show { id } => {
                let post = view::post(app, ws, id).await?;
                let mut journals = Vec::new();
                for d in &post.deliveries {
                    journals.push(view::attempts(app, ws, &d.id).await?);
                }
                let whole = serde_json::json!({ "post": post, "attempts": journals });
                out.show(&whole, |_| {
                    let mut text = describe(&post);
                    for (d, journal) in post.deliveries.iter().zip(&journals) {
                        if journal.is_empty() {
                            continue;
                        }
                        let name = name(d);
                        text.push_str(&format!("\n{} — journal\n", name.trim_start()));
                        text.push_str(&super::delivery::lines(journal));
                    }
                    text
                });
            }
            Post::List(l) => {
                let query = Query {
                    from: day_or_time("--from", l.from.as_deref())?,
                    to: day_or_time("--to", l.to.as_deref())?,
                    state: l.state.as_deref().map(state).transpose()?,
                    search: l.search.clone(),
                    cursor: None,
                    limit: l.limit,
                };
                let undated = query.from.is_none() && query.to.is_none();
                let page = view::list(app, ws, query).await?;
                out.show(&page, |page| {
                    if page.items.is_empty() && undated {
                        return "No drafts without a time. Posts with one are listed with --from or --to.".into();
                    }
                    if page.items.is_empty() {
                        return "No posts there. Write one: carillon post create --help".into();
                    }
                    let rows: Vec<Vec<String>> = page.items.iter().map(row).collect();
                    let more =
                        if page.next.is_some() { "more follow: raise --limit\n" } else { "" };
                    format!("{}{more}", table(&rows))
                });
            }
            Post::Move(to) => {
                let moves = moving::by_days(app, ws, &to.ids, to.days).await?;
                let moves = Moves {
                    allow_collision: to.allow_collision,
                    allow_duplicate: to.allow_duplicate,
                    ..moves
                };
                let moved = moving::many(app, ws, moves).await?;
                out.show(&moved, |m| table(&m.items.iter().map(row).collect::<Vec<_>>()));
            }
            Post::Cancel { id } => {
                let post = schedule::cancel(app, ws, id).await?;
                out.show(&post, describe);
            }
            Post::Delete { id } => super::drafts::delete(here, out, id).await?,
            Post::Trash { limit } => super::drafts::trash(here, out, *limit).await?,
            Post::Restore(r) => r.run(here, out).await?,
            Post::Purge { id } => super::drafts::purge(here, out, id).await?,
            Post::Versions { id } => super::drafts::versions(here, out, id).await?,
            Post::RestoreVersion(r) => r.run(here, out).await?,
        }
        Ok(())
    }
}

impl Create {
    /// To one connection, with what follows it.
    async fn delivery(&self, here: &Here, to: &str) -> anyhow::Result<DraftDelivery> {
        let connection = super::connection::find(here, to).await?;
        let spec = carillon_networks::find(&connection.network).map(|n| n.spec());
        let placed = self.placement.as_deref();
        let placed = spec.and_then(|s| placed.or_else(|| Some(s.placements.first()?.id)));
        let threads = spec.zip(placed).is_some_and(|(s, p)| s.reply(p).is_some());
        let comments = spec.zip(placed).is_some_and(|(s, p)| s.comment(p).is_some());
        let comment = self.first_comment.clone();
        Ok(DraftDelivery {
            connection_id: connection.id,
            placement: self.placement.clone(),
            thread: (self.where_possible && !threads).then_some(Parts::FIRST),
            first_comment: comment.filter(|_| comments || !self.where_possible),
            options: Some(answers(&self.options)),
            ..DraftDelivery::default()
        })
    }
}

/// `KEY=VALUE`, taken apart.
pub(super) fn answer(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// By their keys. One that is said again adds a line.
fn answers(all: &[(String, String)]) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::<String, String>::new();
    for (key, value) in all {
        let lines = answers.entry(key.clone()).or_default();
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(value);
    }
    answers
}

fn comment_unused() -> Refusal {
    let sentence = "No connection takes the first comment, so it would be lost.";
    let fix = "Leave out --first-comment, or add a connection whose network takes one.";
    Refusal::new(Kind::Invalid, "comment_unused", sentence, fix)
}

fn state(word: &str) -> Result<PostState, Refusal> {
    word.parse().map_err(|_| {
        let known: Vec<&str> = PostState::ALL.iter().map(|s| s.as_str()).collect();
        let sentence = format!("`{word}` is no state of a post.");
        let fix = format!("They are {}.", known.join(", "));
        Refusal::new(Kind::Invalid, "unknown_state", sentence, fix)
    })
}

pub(super) fn row(p: &PostView) -> Vec<String> {
    let at = p.scheduled_at.clone().unwrap_or_else(|| "no time".into());
    let networks: Vec<&str> = p.deliveries.iter().map(|d| d.network.as_str()).collect();
    let line: String = p.text.lines().next().unwrap_or_default().chars().take(50).collect();
    vec![p.id.clone(), at, p.state.to_string(), networks.join(","), line]
}

pub(super) fn describe(p: &PostView) -> String {
    let at = p.scheduled_at.as_deref().unwrap_or("no time");
    let mut text = format!("{}  {}  {at} ({})\n{}\n", p.id, p.state, p.timezone, p.text);
    let rows: Vec<Vec<String>> = p
        .deliveries
        .iter()
        .map(|d| {
            let what = match &d.problem {
                _ if d.question.is_some() => super::delivery::question(d),
                Some(problem) => format!("{} {}", problem.sentence, problem.action_sentence),
                None => d.remote_url.clone().unwrap_or_default(),
            };
            let name = name(d);
            vec![name, d.state.to_string(), what]
        })
        .collect();
    text.push_str(&table(&rows));
    // Parts of a thread and comments have none but their own.
    let own = p.deliveries.iter().filter(|d| d.parent_id.is_none());
    for d in own.filter(|d| d.text.is_some() || d.title.is_some()) {
        let words = [&d.title, &d.text].map(|s| s.as_deref().unwrap_or_default());
        text.push_str(&format!("\n{}\n{}\n", d.connection_name, words.join("\n").trim()));
    }
    text
}

/// A connection by its name; what follows it by what it is.
fn name(d: &DeliveryView) -> String {
    match (&d.parent_id, d.placement.as_str()) {
        (None, _) => format!("  {}", d.connection_name),
        // The first part is the post itself.
        (Some(_), "reply") => format!("    {}, part {}", d.connection_name, d.position + 1),
        (Some(_), _) => format!("    {}, first comment", d.connection_name),
    }
}
