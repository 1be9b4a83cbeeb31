//! `carillon post`: the same operations as the API, from a terminal.

use clap::{Args, Subcommand};

use super::{Here, Out, day_or_time, table};
use crate::domain::post::PostState;
use crate::domain::refusal::{Kind, Refusal};
use crate::publishing::schedule::{self, Draft, DraftDelivery, Part};
use crate::publishing::view::{self, PostView, Query};

pub(super) const EXAMPLES: &str = "Examples:\n  carillon post create --text 'Doors open at seven.' --to mastodon --at 2026-11-23T09:00 --zone Europe/London\n  carillon post list --from 2026-11-01 --to 2026-12-01 --json\n  carillon post cancel 0193…";

#[derive(Debug, Subcommand)]
pub(super) enum Post {
    /// Write a post: scheduled with --at, saved with --draft, otherwise sent now
    Create(Create),
    /// Show a post with its deliveries and their journals
    Show { id: String },
    /// List posts by time (drafts without a time when no range is given)
    List(List),
    /// Cancel what has not been sent of a post
    Cancel { id: String },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// What to say
    #[arg(long)]
    text: String,
    #[arg(long)]
    title: Option<String>,
    /// The next part of a thread; repeat for several
    #[arg(long, value_name = "TEXT")]
    thread: Vec<String>,
    /// A comment of the account's own, right after the post
    #[arg(long, value_name = "TEXT")]
    first_comment: Option<String>,
    /// Connection: its id, its name or its network; repeat for several
    #[arg(long = "to", value_name = "CONNECTION")]
    to: Vec<String>,
    /// feed, story, …; the network's first when absent
    #[arg(long)]
    placement: Option<String>,
    /// Id of an uploaded picture; repeat for several
    #[arg(long)]
    media: Vec<String>,
    /// When, as 2026-11-23T09:00 in --zone, or with an offset
    #[arg(long)]
    at: Option<String>,
    /// IANA time zone; the workspace's when absent
    #[arg(long)]
    zone: Option<String>,
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
    /// draft, scheduled, publishing, published, partly_published, failed, held, cancelled
    #[arg(long)]
    state: Option<String>,
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl Post {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        match self {
            Post::Create(c) => {
                let mut deliveries = Vec::new();
                for to in &c.to {
                    deliveries.push(DraftDelivery {
                        connection_id: super::connection::resolve(here, to).await?,
                        placement: c.placement.clone(),
                        first_comment: c.first_comment.clone(),
                        ..DraftDelivery::default()
                    });
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
                };
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
                        text.push_str(&format!("\n{} — journal\n", d.connection_name));
                        let rows: Vec<Vec<String>> = journal
                            .iter()
                            .map(|a| {
                                vec![
                                    a.started_at.clone(),
                                    a.step.clone(),
                                    a.outcome.clone().unwrap_or_else(|| "under way".into()),
                                    a.sentence.clone().unwrap_or_default(),
                                ]
                            })
                            .collect();
                        text.push_str(&table(&rows));
                    }
                    text
                });
            }
            Post::List(l) => {
                let query = Query {
                    from: day_or_time("--from", l.from.as_deref())?,
                    to: day_or_time("--to", l.to.as_deref())?,
                    state: l.state.as_deref().map(state).transpose()?,
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
            Post::Cancel { id } => {
                let post = schedule::cancel(app, ws, id).await?;
                out.show(&post, describe);
            }
        }
        Ok(())
    }
}

fn state(word: &str) -> Result<PostState, Refusal> {
    word.parse().map_err(|_| {
        let known: Vec<&str> = PostState::ALL.iter().map(|s| s.as_str()).collect();
        let sentence = format!("`{word}` is no state of a post.");
        let fix = format!("They are {}.", known.join(", "));
        Refusal::new(Kind::Invalid, "unknown_state", sentence, fix)
    })
}

fn row(p: &PostView) -> Vec<String> {
    let at = p.scheduled_at.clone().unwrap_or_else(|| "no time".into());
    let networks: Vec<&str> = p.deliveries.iter().map(|d| d.network.as_str()).collect();
    let line: String = p.text.lines().next().unwrap_or_default().chars().take(50).collect();
    vec![p.id.clone(), at, p.state.to_string(), networks.join(","), line]
}

fn describe(p: &PostView) -> String {
    let at = p.scheduled_at.as_deref().unwrap_or("no time");
    let mut text = format!("{}  {}  {at} ({})\n{}\n", p.id, p.state, p.timezone, p.text);
    let rows: Vec<Vec<String>> = p
        .deliveries
        .iter()
        .map(|d| {
            let what = match &d.problem {
                Some(problem) => format!("{} {}", problem.sentence, problem.action_sentence),
                None => d.remote_url.clone().unwrap_or_default(),
            };
            let name = match d.parent_id {
                None => format!("  {}", d.connection_name),
                Some(_) => format!("    {} {}", d.placement, d.position),
            };
            vec![name, d.state.to_string(), what]
        })
        .collect();
    text.push_str(&table(&rows));
    text
}
