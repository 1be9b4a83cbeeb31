//! `carillon ops audit` and `sweeps`: what was done.

use clap::Args;

use super::super::{Here, Out, table};
use crate::App;
use crate::publishing::sweep;
use crate::watch::trail::{self, Deed};

#[derive(Debug, Args)]
pub(in crate::cli) struct Audit {
    /// Only this: delivery.retried, queue.drained, …
    #[arg(long)]
    action: Option<String>,
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl Audit {
    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<()> {
        let limit = self.limit.clamp(1, 1000);
        let (app, ws) = (&here.app, here.workspace.as_str());
        let found = trail::deeds(app, ws, self.action.clone(), None, limit).await?;
        out.show(&found, |found| {
            if found.items.is_empty() {
                return "Nothing was done yet.".into();
            }
            let rows: Vec<Vec<String>> = found.items.iter().map(row).collect();
            let more = if found.next.is_some() { "more follow: raise --limit\n" } else { "" };
            format!("{}{more}", table(&rows))
        });
        Ok(())
    }
}

fn row(d: &Deed) -> Vec<String> {
    let who = d.actor_name.clone().unwrap_or_else(|| d.actor.clone());
    let data: String = d.data.to_string().chars().take(100).collect();
    vec![d.at.clone(), who, d.action.clone(), d.subject.clone(), data]
}

pub(super) async fn sweeps(app: &App, limit: usize, out: &Out) -> anyhow::Result<()> {
    let found = sweep::log(app, limit.clamp(1, 1000)).await?;
    let list = serde_json::json!({ "items": found });
    out.show(&list, |_| {
        if found.is_empty() {
            return "No sweep had anything to do.".into();
        }
        let mut rows =
            vec![["at", "cause", "freed", "unknown", "repaired", "ms"].map(str::to_owned).to_vec()];
        rows.extend(found.iter().map(|s| {
            vec![
                s.at.clone(),
                s.cause.to_string(),
                s.freed.to_string(),
                s.unknown.to_string(),
                s.repaired.to_string(),
                s.ms.to_string(),
            ]
        }));
        table(&rows)
    });
    Ok(())
}
