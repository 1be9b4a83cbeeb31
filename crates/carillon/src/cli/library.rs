//! `carillon media list`, `tag` and what else is done to many media at once.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use serde_json::json;

use super::{Here, Out, media, table};
use crate::config;
use crate::media::cleaning::{self, Cleaned};
use crate::media::finding::{self, Asked, Sort, Tagging};
use crate::media::library::MediaView;
use crate::media::trash::{self, Deleted, UseView};
use crate::media::usage::{self, UsageView};
use crate::media::versions::{self, VersionView};
use crate::queue::worker::Worker;
use crate::store::audit::OPERATOR;

const CLEAN_EXAMPLES: &str = "Examples:
  carillon media clean --dry-run             what would go
  carillon media clean --unused-for 30d      media that no post had for thirty days, too

Media go into the trash, from which they can be restored for seven days. Files that another took the
place of so long ago, and files that belong to nothing, go for good. What a post has stays. Exit code
1 when a medium's own file is not in the store.";

#[derive(Debug, Subcommand)]
pub(super) enum Library {
    /// List pictures and videos, newest first
    List(List),
    /// Tag media, or take tags from them
    Tag {
        #[arg(required = true)]
        ids: Vec<String>,
        #[arg(long, value_name = "TAG", required_unless_present = "remove")]
        add: Vec<String>,
        #[arg(long, value_name = "TAG")]
        remove: Vec<String>,
    },
    /// List the tags, and how many media have each
    Tags,
    /// List the posts that have a medium
    Uses { id: String },
    /// Put media into the trash; those that posts have stay
    Delete {
        #[arg(required = true)]
        ids: Vec<String>,
        /// Also those that posts have which are out already
        #[arg(long)]
        force: bool,
    },
    /// Take media out of the trash, where they are for seven days
    Restore {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Delete media that are in the trash for good
    Purge {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Put another file in the place of a medium's own, in every post that is not out yet; without a
    /// file, show those that it had
    Replace {
        id: String,
        #[arg(conflicts_with = "version")]
        file: Option<PathBuf>,
        /// Make this one the present one again
        #[arg(long)]
        version: Option<i64>,
    },
    /// Tell what the media take, and how much they may
    Usage,
    /// Put away what no post has, and remove files that belong to nothing
    #[command(after_help = CLEAN_EXAMPLES)]
    Clean {
        /// Media go that no post had and nobody touched for so long, such as 30d
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = time)]
        unused_for: Duration,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The beginnings of words of name, description and tags: media that have them all
    #[arg(long, value_name = "WORDS", default_value = "")]
    search: String,
    /// With this tag; repeat for several
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// picture or video
    #[arg(long, value_parser = |text: &str| text.parse::<Sort>())]
    kind: Option<Sort>,
    /// Without a description for people who cannot see it
    #[arg(long)]
    missing_alt: bool,
    /// That no post has
    #[arg(long)]
    unused: bool,
    #[arg(long)]
    failed: bool,
    /// What was deleted and can be restored still
    #[arg(long)]
    trash: bool,
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl Library {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<ExitCode> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        match self {
            Library::List(list) => list.run(here, out).await?,
            Library::Tag { ids, add, remove } => {
                let (ids, add, remove) = (ids.clone(), add.clone(), remove.clone());
                let changed =
                    finding::tag(app, ws, &Tagging { ids, add, remove }, OPERATOR).await?;
                out.show(&json!({ "changed": changed }), |_| format!("{changed} media changed"));
            }
            Library::Tags => {
                let tags = finding::tags(app, ws).await?;
                out.show(&json!({ "items": tags }), |_| match tags.as_slice() {
                    [] => "No medium has a tag yet.".into(),
                    tags => {
                        let row = |t: &finding::TagView| vec![t.tag.clone(), t.media.to_string()];
                        table(&tags.iter().map(row).collect::<Vec<_>>())
                    }
                });
            }
            Library::Uses { id } => {
                let uses = trash::uses(app, ws, id).await?;
                out.show(&json!({ "items": uses }), |_| match uses.as_slice() {
                    [] => "No post has it.".into(),
                    uses => posts(uses),
                });
            }
            Library::Delete { ids, force } => {
                let done = trash::delete_many(app, ws, ids, *force, OPERATOR).await?;
                let code = if done.kept.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
                out.show(&done, deleted);
                return Ok(code);
            }
            Library::Restore { ids } => {
                let restored = trash::restore(app, ws, ids, OPERATOR).await?;
                Worker::new(app.clone()).tick().await?;
                out.show(&json!({ "changed": restored }), |_| format!("{restored} media restored"));
            }
            Library::Purge { ids } => {
                let gone = trash::empty(app, ws, ids, OPERATOR).await?;
                out.show(&json!({ "changed": gone }), |_| {
                    format!("{gone} media are gone for good")
                });
            }
            Library::Replace { id, file, version } => {
                if let Some(file) = file {
                    let (body, bar) = media::body(file).await?;
                    versions::replace(app, ws, id, OPERATOR, body).await?;
                    bar.finish_and_clear();
                }
                if let Some(version) = version {
                    versions::make_current(app, ws, id, *version, OPERATOR).await?;
                }
                Worker::new(app.clone()).tick().await?;
                let all = versions::list(app, ws, id).await?;
                out.show(&json!({ "items": all }), |_| {
                    table(&all.iter().map(version_row).collect::<Vec<_>>())
                });
            }
            Library::Usage => {
                let usage = usage::usage(app, ws).await?;
                out.show(&usage, usage_text);
            }
            Library::Clean { unused_for, dry_run } => {
                let done = cleaning::clean(app, ws, *unused_for, *dry_run, OPERATOR).await?;
                out.show(&done, cleaned);
                let lost = done.missing.media > 0;
                return Ok(if lost { ExitCode::FAILURE } else { ExitCode::SUCCESS });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `90d`
fn time(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "name a time such as 90d or 12h".to_owned())
}

fn posts(uses: &[UseView]) -> String {
    let row = |u: &UseView| {
        let at = u.scheduled_at.clone().unwrap_or_default();
        vec![u.post_id.clone(), u.state.to_string(), at, u.says.replace('\n', " ")]
    };
    table(&uses.iter().map(row).collect::<Vec<_>>())
}

fn deleted(done: &Deleted) -> String {
    let mut text = format!("{} media in the trash, for seven days\n", done.deleted.len());
    for kept in &done.kept {
        let how = match kept.uses.iter().any(|u| u.needs) {
            true => "stayed, posts need it that are not out yet",
            false => "stayed, posts have it that are out already: --force deletes it",
        };
        text.push_str(&format!("{}  {} {how}:\n{}", kept.id, kept.name, posts(&kept.uses)));
    }
    text
}

fn version_row(v: &VersionView) -> Vec<String> {
    let mark = if v.current { "*" } else { "" };
    vec![
        mark.to_owned(),
        v.version.to_string(),
        v.created_at.clone(),
        v.bytes.to_string(),
        v.content_type.clone(),
    ]
}

fn usage_text(u: &UsageView) -> String {
    let bytes = |n: i64| HumanBytes(n.unsigned_abs()).to_string();
    let mut rows = vec![vec!["media".to_owned(), u.media.to_string()]];
    for (what, n) in [
        ("pictures", u.pictures),
        ("videos", u.videos),
        ("made of them", u.renditions),
        ("older versions", u.versions),
        ("in the trash", u.trash),
        ("all", u.total),
    ] {
        rows.push(vec![what.to_owned(), bytes(n)]);
    }
    let quota = u.quota.map_or("none".to_owned(), |quota| HumanBytes(quota).to_string());
    rows.push(vec!["quota".to_owned(), quota]);
    table(&rows)
}

fn cleaned(done: &Cleaned) -> String {
    let would = if done.dry_run { "would go" } else { "went" };
    let mut text = String::new();
    for (n, bytes, what) in [
        (done.unused.media, done.unused.bytes, "media that no post has"),
        (done.versions.files, done.versions.bytes, "older versions"),
        (done.orphans.files, done.orphans.bytes, "files that belong to nothing"),
    ] {
        text.push_str(&format!("{n} {what}, {}, {would}\n", HumanBytes(bytes)));
    }
    for m in &done.missing.some {
        text.push_str(&format!("{}  {}: its file is not in the store\n", m.id, m.name));
    }
    text
}

impl List {
    async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let asked = Asked {
            search: self.search.clone(),
            tags: self.tags.clone(),
            kind: self.kind,
            missing_alt: self.missing_alt,
            unused: self.unused,
            failed: self.failed,
            trash: self.trash,
        };
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let left = self.limit.clamp(1, 10_000) - items.len();
            let (page, next) =
                finding::list(&here.app, &here.workspace, &asked, cursor.as_deref(), left).await?;
            items.extend(page);
            cursor = next;
            if cursor.is_none() || items.len() >= self.limit {
                break;
            }
        }
        out.show(&json!({ "items": items, "next": cursor }), |_| {
            if items.is_empty() {
                return "No medium is like that.".into();
            }
            let more = if cursor.is_some() { "more follow: raise --limit\n" } else { "" };
            format!("{}{more}", table(&items.iter().map(row).collect::<Vec<_>>()))
        });
        Ok(())
    }
}

fn row(m: &MediaView) -> Vec<String> {
    let tags = m.tags.iter().map(|tag| format!("#{tag}")).collect::<Vec<_>>().join(" ");
    vec![m.id.clone(), m.state.to_string(), m.bytes.to_string(), m.name.clone(), tags]
}
