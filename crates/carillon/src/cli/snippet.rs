//! `carillon snippet`: what is written again and again.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::{Here, Out, table};
use crate::planning::snippets::{
    self, Kind, NewSnippet, SnippetView, TaggedDelivery, Tagging, Template, Utm,
};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:
  carillon snippet template 'Gig' --text '{band} plays on {day}. Doors open at seven.' --for x='{band}, {day}, seven.'
  carillon snippet hashtags 'Gigs' '#livemusic' '#camden'
  carillon snippet utm 'Concert' --source '{network}' --medium social --campaign christmas-concert
  carillon snippet list --json
  carillon snippet tag 0193… --text 'Tickets: https://example.com/tickets' --to mastodon --to bluesky";

#[derive(Debug, Subcommand)]
pub(super) enum Snippet {
    /// List templates, sets of hashtags and UTM presets
    List,
    /// Keep a text to begin posts with; {names} in it are to be filled in
    Template {
        name: String,
        #[arg(long)]
        text: String,
        #[arg(long)]
        title: Option<String>,
        /// Another text for a network, as NETWORK=TEXT; repeat for several
        #[arg(long = "for", value_name = "NETWORK=TEXT", value_parser = super::post::answer)]
        texts: Vec<(String, String)>,
        #[arg(long, value_name = "TEXT")]
        first_comment: Option<String>,
    },
    /// Keep a set of hashtags
    Hashtags {
        name: String,
        #[arg(required = true)]
        tags: Vec<String>,
    },
    /// Keep what is added to links; values can name {network}, {connection} and {date}
    Utm(Preset),
    /// Add a UTM preset to the links of a text, and print it
    Tag {
        /// Id of the preset
        id: String,
        #[arg(long)]
        text: String,
        /// Connection: its id, its name or its network; repeat for several
        #[arg(long = "to", value_name = "CONNECTION")]
        to: Vec<String>,
        /// The day of the post, as 2026-11-23; today when absent
        #[arg(long)]
        date: Option<String>,
    },
    /// Delete one; posts that were written with it stay as they are
    Delete { id: String },
}

#[derive(Debug, Args)]
pub(super) struct Preset {
    name: String,
    #[arg(long)]
    source: Option<String>,
    #[arg(long)]
    medium: Option<String>,
    #[arg(long)]
    campaign: Option<String>,
    #[arg(long)]
    term: Option<String>,
    #[arg(long)]
    content: Option<String>,
}

impl Snippet {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        let new = match self {
            Snippet::List => {
                let items = snippets::list(app, ws, None).await?;
                out.show(&serde_json::json!({ "items": items }), |_| described(&items));
                return Ok(());
            }
            Snippet::Tag { id, text, to, date } => {
                let mut deliveries = Vec::new();
                for to in to {
                    let connection_id = super::connection::find(here, to).await?.id;
                    deliveries.push(TaggedDelivery { connection_id, ..TaggedDelivery::default() });
                }
                let asked = Tagging {
                    preset: Some(id.clone()),
                    utm: None,
                    text: text.clone(),
                    first_comment: None,
                    date: date.clone(),
                    deliveries,
                };
                let tagged = snippets::tag(app, ws, asked).await?;
                out.show(&tagged, |tagged| {
                    let own = tagged.deliveries.iter().filter_map(|d| d.text.clone());
                    let own: Vec<String> = own.collect();
                    if own.is_empty() { tagged.text.clone() } else { own.join("\n") }
                });
                return Ok(());
            }
            Snippet::Delete { id } => {
                snippets::delete(app, ws, id, OPERATOR).await?;
                out.show(&serde_json::json!({ "deleted": id }), |_| "It is gone.".into());
                return Ok(());
            }
            Snippet::Template { name, text, title, texts, first_comment } => {
                let template = Template {
                    text: text.clone(),
                    title: title.clone(),
                    texts: texts.iter().cloned().collect::<BTreeMap<_, _>>(),
                    first_comment: first_comment.clone(),
                };
                NewSnippet { template: Some(template), ..new(Kind::Template, name) }
            }
            Snippet::Hashtags { name, tags } => {
                NewSnippet { hashtags: Some(tags.clone()), ..new(Kind::Hashtags, name) }
            }
            Snippet::Utm(p) => {
                let utm = Utm {
                    source: p.source.clone(),
                    medium: p.medium.clone(),
                    campaign: p.campaign.clone(),
                    term: p.term.clone(),
                    content: p.content.clone(),
                };
                NewSnippet { utm: Some(utm), ..new(Kind::Utm, &p.name) }
            }
        };
        let made = snippets::create(app, ws, new, OPERATOR).await?;
        out.show(&made, |made| described(std::slice::from_ref(made)));
        Ok(())
    }
}

fn new(kind: Kind, name: &str) -> NewSnippet {
    NewSnippet { kind, name: name.to_owned(), template: None, hashtags: None, utm: None }
}

fn described(all: &[SnippetView]) -> String {
    if all.is_empty() {
        return "None. Keep one: carillon snippet --help".to_owned();
    }
    let says = |s: &SnippetView| match (&s.body.template, &s.body.hashtags, &s.body.utm) {
        (Some(t), _, _) => t.text.lines().next().unwrap_or_default().to_owned(),
        (_, Some(tags), _) => tags.join(" "),
        (_, _, Some(u)) => {
            let all = [&u.source, &u.medium, &u.campaign, &u.term, &u.content];
            let words = all.into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
            words.join(" · ")
        }
        _ => String::new(),
    };
    let row = |s: &SnippetView| vec![s.id.clone(), s.kind.to_string(), s.name.clone(), says(s)];
    table(&all.iter().map(row).collect::<Vec<_>>())
}
