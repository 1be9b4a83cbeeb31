//! `carillon review`: approvals from a terminal.

use clap::{Args, Subcommand, ValueEnum};

use super::{Here, Out, table};
use crate::domain::policy::{Approval, Policies};
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::review::{ReviewState, Stage};
use crate::planning::gating;
use crate::planning::links::{self, LinkView, NewLink};
use crate::planning::review::{self, Answer, ReviewView};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:
  carillon review policy internal                    posts wait for an approval from now on
  carillon review list                               what waits for an answer
  carillon review request 0193… --note 'New hours'   ask about a post
  carillon review approve 0193…                      by the id of the review or of the post
  carillon review changes 0193… 'The date is wrong'
  carillon review comment 0193… 'Is the picture ours?'
  carillon review link 'Grace' --expires 14d         a page for the client, of all that waits for one
  carillon review links                              who has one, and until when";
const POLICY_EXAMPLES: &str = "Examples:
  carillon review policy none
  carillon review policy internal
  carillon review policy client --take-back

With `client` somebody of the workspace approves first, then the client. Where posts are scheduled
that have no such approval it is refused; with --take-back they wait for one.";

#[derive(Debug, Subcommand)]
pub(super) enum Review {
    /// List what waits for an answer, the oldest question first
    List {
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Ask for an approval of a post as it is now
    Request {
        post: String,
        /// What whoever is asked should know
        #[arg(long)]
        note: Option<String>,
    },
    /// Say yes; the last stage's yes lines the post up
    Approve {
        id: String,
        /// What is said to it; for a client's stage how they agreed
        #[arg(long)]
        note: Option<String>,
    },
    /// Ask for changes, and say which
    Changes { id: String, text: String },
    /// Say something without answering
    Comment { id: String, text: String },
    /// Take a question back
    Withdraw { id: String },
    /// Show another picture or video first, within the review
    Swap { id: String, media: String },
    /// Make a page on which a client answers
    Link(NewPage),
    /// List the links for clients
    Links,
    /// Take a link back
    Revoke { link: String },
    /// Say whose approval posts need: none, internal, client
    #[command(after_help = POLICY_EXAMPLES)]
    Policy(Policy),
}

#[derive(Debug, Args)]
pub(super) struct NewPage {
    /// The client's name
    name: String,
    /// A post that it shows, once for each; without it all that wait for a client
    #[arg(long = "post")]
    posts: Vec<String>,
    /// Days until it no longer opens, as 7d
    #[arg(long, default_value = "7d")]
    expires: String,
}

#[derive(Debug, Args)]
pub(super) struct Policy {
    approval: Whose,
    /// Take back what is scheduled without such an approval
    #[arg(long)]
    take_back: bool,
    /// May people approve what they asked for themselves?
    #[arg(long, value_name = "yes|no")]
    own: Option<YesNo>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Whose {
    None,
    Internal,
    Client,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

impl Review {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        let say = |text: &str| Answer { text: Some(text.to_owned()), content: None };
        match self {
            Review::List { limit } => {
                let limit = (*limit).clamp(1, 1000);
                let page = review::list(app, ws, None, None, limit, OPERATOR).await?;
                out.show(&page, |page| list(&page.items));
            }
            Review::Request { post, note } => {
                let made = review::request(app, ws, post, note.clone(), OPERATOR).await?;
                out.show(&made, describe);
            }
            Review::Approve { id, note } => {
                let id = find(here, id).await?;
                let answer = Answer { text: note.clone(), content: None };
                let done = review::approve(app, ws, &id, answer, OPERATOR).await?;
                out.show(&done, |done| {
                    let mut text = describe(&done.review);
                    if done.client_next {
                        text.push_str("The client is asked next: carillon review link NAME\n");
                    }
                    if done.passed > 0 {
                        let free = done.suggested_at.as_deref().unwrap_or("none is free");
                        text.push_str(&format!(
                            "Its time has passed, so it does not go out by itself: move it. The next free time: {free}\n"
                        ));
                    }
                    text
                });
            }
            Review::Changes { id, text } => {
                let id = find(here, id).await?;
                let done = review::request_changes(app, ws, &id, say(text), OPERATOR).await?;
                out.show(&done, describe);
            }
            Review::Comment { id, text } => {
                let id = find(here, id).await?;
                let done = review::comment(app, ws, &id, text.clone(), OPERATOR).await?;
                out.show(&done, describe);
            }
            Review::Withdraw { id } => {
                let id = find(here, id).await?;
                let done = review::withdraw(app, ws, &id, OPERATOR).await?;
                out.show(&done, describe);
            }
            Review::Swap { id, media } => {
                let id = find(here, id).await?;
                let done = review::swap(app, ws, &id, media, OPERATOR).await?;
                out.show(&done, describe);
            }
            Review::Link(page) => {
                let new = NewLink {
                    name: page.name.clone(),
                    post_ids: page.posts.clone(),
                    days: Some(days(&page.expires)?),
                };
                let made = links::create(app, ws, new, OPERATOR).await?;
                out.show(&made, |link| {
                    let url = link.url.as_deref().unwrap_or_default();
                    format!(
                        "{url}\n\nWhoever has it may answer as {}, until {}. It is shown once.",
                        link.name, link.expires_at
                    )
                });
            }
            Review::Links => {
                let all = links::list(app, ws).await?;
                out.show(&all, |all| table(&all.iter().map(row).collect::<Vec<_>>()));
            }
            Review::Revoke { link } => {
                let gone = links::revoke(app, ws, link, OPERATOR).await?;
                out.show(&gone, |link| format!("{} opens no more", link.name));
            }
            Review::Policy(policy) => {
                let set = policy.set(here).await?;
                out.show(&set, |set| match set.last_stage() {
                    None => "posts need no approval".to_owned(),
                    Some(Stage::Internal) => "posts need an approval of the workspace".to_owned(),
                    Some(Stage::Client) => {
                        "posts need an approval of the workspace, then of the client".to_owned()
                    }
                });
            }
        }
        Ok(())
    }
}

impl Policy {
    async fn set(&self, here: &Here) -> Result<Policies, Refusal> {
        let approval = Some(match self.approval {
            Whose::None => Approval::None,
            Whose::Internal => Approval::Internal,
            Whose::Client => Approval::Client,
        });
        let own = self.own.map(|own| matches!(own, YesNo::Yes));
        let change = move |old: Policies| Policies {
            approval,
            approval_self: own.or(old.approval_self),
            ..old
        };
        gating::set(&here.app, &here.workspace, change, self.take_back, OPERATOR).await
    }
}

/// A review by its own id, or the open one of a post.
async fn find(here: &Here, id: &str) -> Result<String, Refusal> {
    let (app, ws) = (&here.app, here.workspace.as_str());
    let all = match review::of_post(app, ws, id, OPERATOR).await {
        Ok(all) => all,
        Err(e) if e.kind == Kind::NotFound => return Ok(id.to_owned()),
        Err(e) => return Err(e),
    };
    let latest = all.iter().find(|r| r.state == ReviewState::Open).or(all.first());
    latest.map(|r| r.id.clone()).ok_or_else(|| {
        let fix = "Ask first: carillon review request with the id of the post.";
        Refusal::conflict("review_over", "Nobody is asked about this post.", fix)
    })
}

fn days(text: &str) -> Result<i64, Refusal> {
    let number = text.strip_suffix('d').unwrap_or(text);
    number.parse().map_err(|_| {
        let sentence = format!("`{text}` is no number of days.");
        Refusal::new(Kind::Invalid, "invalid_days", sentence, "For example --expires 7d.")
    })
}

fn list(all: &[ReviewView]) -> String {
    if all.is_empty() {
        return "Nothing waits for an approval.".to_owned();
    }
    let row = |r: &ReviewView| {
        let at = r.post.scheduled_at.clone().unwrap_or_else(|| "no time".to_owned());
        let text: String =
            r.post.text.lines().next().unwrap_or_default().chars().take(60).collect();
        vec![r.id.clone(), r.stage.to_string(), at, text]
    };
    table(&all.iter().map(row).collect::<Vec<_>>())
}

fn describe(r: &ReviewView) -> String {
    let mut text =
        format!("{}  {}  {}\npost {}  {}\n", r.id, r.stage, r.state, r.post_id, r.post.state);
    if let Some(note) = &r.note {
        text.push_str(&format!("note: {note}\n"));
    }
    for c in &r.comments {
        text.push_str(&format!("{} {}: {}\n", c.at, c.by, c.text));
    }
    text
}

fn row(link: &LinkView) -> Vec<String> {
    let used =
        link.used_at.clone().map_or_else(|| "never opened".into(), |at| format!("opened {at}"));
    let posts = format!("{} posts", link.post_ids.len());
    vec![
        link.id.clone(),
        link.state.clone(),
        format!("until {}", link.expires_at),
        used,
        posts,
        link.name.clone(),
    ]
}
