//! `carillon ops pause`, `resume`, `pauses`, `circuits` and `reset-circuit`: what holds many lanes
//! back. Without --workspace they mean the whole installation.

use clap::Args;
use serde_json::json;

use super::super::{Here, Out, table};
use super::OPERATOR;
use crate::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::publishing::circuits::{self, CircuitView};
use crate::publishing::pausing::{self, PauseView};

pub(super) const EXAMPLES: &str = "Examples:\n  carillon ops pause all --why 'We are moving house'\n  carillon ops pause network:mastodon --workspace 0193…\n  carillon ops resume all\n\nScopes: all, network:<id>, queue:send, queue:upload, queue:media. Nothing is lost meanwhile.";

#[derive(Debug, Args)]
pub(in crate::cli) struct Pause {
    /// all, network:<id>, queue:send, queue:upload or queue:media
    scope: String,
    /// Shown to everybody whom it holds up
    #[arg(long, default_value = "")]
    why: String,
}

impl Pause {
    pub(super) async fn run(
        &self,
        app: App,
        workspace: Option<&str>,
        out: &Out,
    ) -> anyhow::Result<()> {
        let (app, ws) = of(app, workspace).await?;
        let made = pausing::pause(&app, ws.as_deref(), &self.scope, &self.why, OPERATOR).await?;
        out.show(&made, |p| {
            let whose = if p.wide { "for the whole installation" } else { "in this workspace" };
            format!("{} is paused {whose} since {}", p.scope, p.paused_at)
        });
        Ok(())
    }
}

pub(super) async fn resume(
    app: App,
    workspace: Option<&str>,
    scope: &str,
    out: &Out,
) -> anyhow::Result<()> {
    let (app, ws) = of(app, workspace).await?;
    let resumed = pausing::resume(&app, ws.as_deref(), scope, OPERATOR).await;
    resumed
        .map_err(|r| if r.kind == Kind::NotFound { not_paused(scope, ws.is_some()) } else { r })?;
    out.show(&json!({ "scope": scope, "paused": false }), |_| format!("{scope} goes on"));
    Ok(())
}

fn not_paused(scope: &str, here: bool) -> Refusal {
    let whose = if here { "in this workspace" } else { "for the whole installation" };
    let sentence = format!("`{scope}` is not paused {whose}.");
    let fix = "`carillon ops pauses` lists what is; a workspace's own is lifted with --workspace.";
    Refusal::new(Kind::NotFound, "not_found", sentence, fix)
}

pub(super) async fn pauses(app: App, workspace: Option<&str>, out: &Out) -> anyhow::Result<()> {
    let (app, ws) = of(app, workspace).await?;
    let found = pausing::list(&app, ws.as_deref()).await?;
    out.show(&json!({ "items": found }), |_| {
        if found.is_empty() {
            return "Nothing is paused.".into();
        }
        table(&found.iter().map(pause_row).collect::<Vec<_>>())
    });
    Ok(())
}

fn pause_row(p: &PauseView) -> Vec<String> {
    let whose = if p.wide { "installation" } else { "workspace" };
    vec![p.scope.clone(), whose.to_owned(), p.paused_at.clone(), p.actor.clone(), p.why.clone()]
}

pub(super) async fn circuits(app: App, workspace: Option<&str>, out: &Out) -> anyhow::Result<()> {
    let (app, ws) = of(app, workspace).await?;
    let found = circuits::list(&app, ws.as_deref()).await?;
    out.show(&json!({ "items": found }), |_| {
        if found.is_empty() {
            return "No network failed so far: every circuit is closed.".into();
        }
        table(&found.iter().map(circuit_row).collect::<Vec<_>>())
    });
    Ok(())
}

fn circuit_row(c: &CircuitView) -> Vec<String> {
    let until = c.open_until.as_ref().map_or_else(String::new, |at| format!("until {at}"));
    vec![
        c.name.clone(),
        c.state.to_string(),
        until,
        format!("failures: {}", c.failures),
        c.reason.clone().unwrap_or_default(),
    ]
}

pub(super) async fn reset_circuit(
    app: App,
    workspace: Option<&str>,
    name: &str,
    out: &Out,
) -> anyhow::Result<()> {
    let (app, ws) = of(app, workspace).await?;
    let closed = circuits::reset(&app, ws.as_deref(), name, OPERATOR).await?;
    out.show(&closed, |c| format!("{} is {}", c.name, c.state));
    Ok(())
}

/// The workspace that is meant; `None` for the installation.
async fn of(app: App, named: Option<&str>) -> anyhow::Result<(App, Option<String>)> {
    match named {
        None => Ok((app, None)),
        Some(_) => Here::of(app, named).await.map(|here| (here.app, Some(here.workspace))),
    }
}
