//! Posts before and after they are posts, from a terminal: the trash, and what they said before.

use clap::Args;

use super::{Here, Out, table};
use crate::publishing::draft::Parts;
use crate::publishing::schedule;
use crate::publishing::trash::{self, Restore};
use crate::publishing::versions::{self, Back, VersionView};
use crate::store::audit::OPERATOR;

#[derive(Debug, Args)]
pub(super) struct Restored {
    id: String,
    /// Schedule it again as it was, when nothing of it had gone out and its time is still to come
    #[arg(long)]
    as_it_was: bool,
    /// Also close to another post of the same connection
    #[arg(long)]
    allow_collision: bool,
    /// Also with content that the same connection had lately
    #[arg(long)]
    allow_duplicate: bool,
}

#[derive(Debug, Args)]
pub(super) struct RestoreVersion {
    id: String,
    /// Its number, as `post versions` lists it
    version: i64,
    /// Also with content that the same connection had lately
    #[arg(long)]
    allow_duplicate: bool,
}

pub(super) async fn delete(here: &Here, out: &Out, id: &str) -> anyhow::Result<()> {
    schedule::delete(&here.app, &here.workspace, id, OPERATOR).await?;
    out.show(&serde_json::json!({ "deleted": id }), |_| {
        format!("It is in the trash for seven days: carillon post restore {id}\n")
    });
    Ok(())
}

pub(super) async fn trash(here: &Here, out: &Out, limit: usize) -> anyhow::Result<()> {
    let page = trash::list(&here.app, &here.workspace, None, limit).await?;
    out.show(&page, |page| {
        if page.items.is_empty() {
            return "The trash is empty. Deleted posts are in it for seven days.".into();
        }
        let row = |t: &trash::TrashedPost| {
            let mut row = super::post::row(&t.post);
            row.insert(1, format!("gone {}", t.purged_at));
            row
        };
        table(&page.items.iter().map(row).collect::<Vec<_>>())
    });
    Ok(())
}

pub(super) async fn purge(here: &Here, out: &Out, id: &str) -> anyhow::Result<()> {
    trash::purge(&here.app, &here.workspace, id, OPERATOR).await?;
    out.show(&serde_json::json!({ "purged": id }), |_| "It is gone.".into());
    Ok(())
}

impl Restored {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let how = Restore {
            as_it_was: self.as_it_was,
            allow_collision: self.allow_collision,
            allow_duplicate: self.allow_duplicate,
        };
        let back = trash::restore(&here.app, &here.workspace, &self.id, how, OPERATOR).await?;
        out.show(&back, |back| {
            let mut text = super::post::describe(&back.post);
            if !back.missing.is_empty() {
                text.push_str(&format!("\nDeleted meanwhile: {}\n", back.missing.join(", ")));
            }
            text
        });
        Ok(())
    }
}

pub(super) async fn versions(here: &Here, out: &Out, id: &str) -> anyhow::Result<()> {
    let all = versions::list(&here.app, &here.workspace, id).await?;
    out.show(&serde_json::json!({ "items": all }), |_| {
        all.iter().map(described).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

impl RestoreVersion {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let back = Back { version: None, allow_duplicate: self.allow_duplicate };
        let (app, ws) = (&here.app, here.workspace.as_str());
        let post = versions::restore(app, ws, &self.id, self.version, back, OPERATOR).await?;
        out.show(&post, super::post::describe);
        Ok(())
    }
}

fn described(v: &VersionView) -> String {
    let by = v.written_by.as_deref().map_or(String::new(), |name| format!("  {name}"));
    let now = if v.current { "  (now)" } else { "" };
    let mut text = format!("{}  {}{by}{now}\n", v.version, v.written_at);
    for words in [&v.title, &Some(v.text.clone())].into_iter().flatten() {
        text.push_str(&format!("{words}\n"));
    }
    for part in &v.thread {
        text.push_str(&format!("– {}\n", part.text));
    }
    for d in &v.deliveries {
        let own = match &d.thread {
            Some(Parts::Own(parts)) => parts.iter().map(|p| p.text.as_str()).collect(),
            _ => Vec::new(),
        };
        let words = [d.text.as_deref(), d.first_comment.as_deref()].into_iter().flatten();
        for line in words.chain(own) {
            text.push_str(&format!("{}: {line}\n", d.connection_name));
        }
    }
    for m in &v.media {
        let gone = if m.gone { " (deleted)" } else { "" };
        text.push_str(&format!("+ {}{gone}\n", m.media.name));
    }
    text
}
