//! `carillon campaign`: many posts, planned and changed as one.

use std::io::Read;

use clap::{Args, Subcommand};

use super::{Here, Out, table};
use crate::domain::refusal::{Kind, Refusal};
use crate::planning::campaigns::{self, CampaignView, Deed, Form, Preview, Shift, Whole};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:
  carillon campaign preview concert.json       which posts it would make, and what stands against them
  carillon campaign create concert.json
  carillon campaign shift 0193… --days 7
  carillon campaign shift 0193… --event 2026-12-31
  carillon campaign pause 0193…

A form, in a file or on stdin (`-`):
  { \"kind\": \"event\", \"name\": \"Christmas concert\", \"dates\": { \"event\": \"2026-12-24T19:30\" },
    \"post\": { \"text\": \"Come and sing.\", \"media\": [\"0193…\"], \"draft\": true,
              \"deliveries\": [{ \"connectionId\": \"0193…\" }] } }";

#[derive(Debug, Subcommand)]
pub(super) enum Campaign {
    /// List campaigns, newest first
    List {
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show a campaign with its posts
    Show { id: String },
    /// Say which posts a form would make; saves nothing
    Preview { file: String },
    /// Make a campaign and all its posts, or none
    #[command(after_help = EXAMPLES)]
    Create { file: String },
    /// Schedule all its drafts, or none
    Schedule {
        id: String,
        #[command(flatten)]
        allow: Allow,
    },
    /// Hold what waits until it is resumed
    Pause { id: String },
    /// Go on; what is late is asked about
    Resume { id: String },
    /// Move all that is to come
    Shift {
        id: String,
        /// Later, or earlier where it is below 0
        #[arg(long, allow_hyphen_values = true, conflicts_with = "event")]
        days: Option<i64>,
        /// The new day of its event
        #[arg(long)]
        event: Option<String>,
        #[command(flatten)]
        allow: Allow,
    },
    /// Cancel all that has not gone out
    Cancel { id: String },
    /// Bring back what `cancel` cancelled
    Reopen { id: String },
    /// Make it again as drafts, beginning on another day
    Duplicate {
        id: String,
        /// The day of its event, or its first day
        #[arg(long)]
        from: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Allow {
    /// Also close to another post of the same connection
    #[arg(long)]
    allow_collision: bool,
    /// Also with content that the same connection had lately
    #[arg(long)]
    allow_duplicate: bool,
}

impl Campaign {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        let (id, deed) = match self {
            Campaign::List { limit } => {
                let page = campaigns::list(app, ws, None, (*limit).clamp(1, 200)).await?;
                out.show(&page, |page| {
                    if page.items.is_empty() {
                        return "No campaigns. Make one: carillon campaign create --help"
                            .to_owned();
                    }
                    table(&page.items.iter().map(row).collect::<Vec<_>>())
                });
                return Ok(());
            }
            Campaign::Show { id } => {
                let campaign = campaigns::show(app, ws, id).await?;
                let posts = campaigns::posts(app, ws, id).await?;
                let whole = serde_json::json!({ "campaign": campaign, "posts": posts });
                out.show(&whole, |_| {
                    let rows: Vec<Vec<String>> = posts.iter().map(super::post::row).collect();
                    format!("{}\n{}", describe(&campaign), table(&rows))
                });
                return Ok(());
            }
            Campaign::Preview { file } => {
                out.show(&campaigns::preview(app, ws, form(file)?).await?, preview);
                return Ok(());
            }
            Campaign::Create { file } => {
                out.show(&campaigns::create(app, ws, form(file)?, OPERATOR).await?, describe);
                return Ok(());
            }
            Campaign::Duplicate { id, from } => {
                out.show(&campaigns::duplicate(app, ws, id, from, OPERATOR).await?, describe);
                return Ok(());
            }
            Campaign::Schedule { id, allow } => (id, Deed::Schedule(allow.shift(None, None))),
            Campaign::Pause { id } => (id, Deed::Pause),
            Campaign::Resume { id } => (id, Deed::Resume),
            Campaign::Shift { id, days, event, allow } => {
                (id, Deed::Shift(allow.shift(*days, event.clone())))
            }
            Campaign::Cancel { id } => (id, Deed::Cancel),
            Campaign::Reopen { id } => (id, Deed::Reopen),
        };
        out.show(&campaigns::whole(app, ws, id, deed, OPERATOR).await?, whole);
        Ok(())
    }
}

impl Allow {
    fn shift(&self, days: Option<i64>, event: Option<String>) -> Shift {
        let Self { allow_collision, allow_duplicate } = *self;
        Shift { days, event, allow_collision, allow_duplicate }
    }
}

/// The form in a file, or on stdin.
fn form(file: &str) -> anyhow::Result<Form> {
    let refuse = |sentence: String| {
        let fix = "See `carillon campaign create --help` for an example.";
        Refusal::new(Kind::Invalid, "form", sentence, fix)
    };
    let text = match file {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        file => std::fs::read_to_string(file),
    };
    let text = text.map_err(|e| refuse(format!("`{file}` cannot be read: {e}.")))?;
    Ok(serde_json::from_str(&text).map_err(|e| refuse(format!("`{file}` is no form: {e}.")))?)
}

fn row(c: &CampaignView) -> Vec<String> {
    let day =
        |at: &Option<String>| at.as_deref().and_then(|t| t.get(..10)).unwrap_or("-").to_owned();
    let p = &c.progress;
    let posts = format!("{} of {} out", p.published, p.all);
    let kind = c.form.kind.to_string();
    vec![
        c.id.clone(),
        c.state.to_string(),
        kind,
        day(&c.first),
        day(&c.last),
        posts,
        c.form.name.clone(),
    ]
}

fn describe(c: &CampaignView) -> String {
    let p = &c.progress;
    let parts = [
        (p.draft, "drafts"),
        (p.scheduled, "scheduled"),
        (p.published, "published"),
        (p.stuck, "stuck"),
        (p.cancelled, "cancelled"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    format!("{}  {}  {}\n{} posts: {}\n", c.id, c.state, c.form.name, p.all, said.join(", "))
}

fn preview(p: &Preview) -> String {
    let mut text = p.repeats.as_ref().map(|r| format!("{}\n", r.words)).unwrap_or_default();
    let rows = p.slots.iter().map(|s| {
        let what = match (s.struck, s.past) {
            (true, _) => "struck out".to_owned(),
            (_, true) => "has passed".to_owned(),
            _ => s.problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join(" "),
        };
        vec![s.slot.replace('T', " "), s.label.clone(), what]
    });
    text.push_str(&table(&rows.collect::<Vec<_>>()));
    for problem in &p.problems {
        text.push_str(&format!("{}: {}\n", problem.field, problem.message));
    }
    format!("{text}{} posts ({})\n", p.posts, p.timezone)
}

fn whole(w: &Whole) -> String {
    let counts = [
        (w.posts, "posts changed"),
        (w.held, "deliveries held"),
        (w.queued, "deliveries wait for their time again"),
        (w.under_way, "deliveries under way, which may go out yet"),
        (w.late, "deliveries late: `carillon ops dead-letters` shows them"),
    ];
    let said = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}\n"));
    format!("{}{}", describe(&w.campaign), said.collect::<String>())
}
