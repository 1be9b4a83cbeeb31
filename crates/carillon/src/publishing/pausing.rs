//! Pause and resume of everything, a network or a queue: of one workspace, or of the installation.
//!
//! Nothing is lost meanwhile: work waits behind its gate, and what is under way comes to its end.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::App;
use crate::domain::job::Pool;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when::iso;
use crate::store::pauses::{self, Pause};
use crate::store::queue::gates;
use crate::store::{audit, events};

/// A pause as every surface shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseView {
    /// `all`, `network:<id>` or `queue:<pool>`
    #[schema(example = "network:bluesky")]
    pub scope: String,
    /// ISO 8601
    pub paused_at: String,
    pub why: String,
    /// `account:<id>`, `key:<id>` or `operator`
    pub actor: String,
    /// The whole installation's: only its operator lifts it.
    pub wide: bool,
}

/// Pauses a scope; one that is paused already stays as it is.
pub async fn pause(
    app: &App,
    workspace: Option<&str>,
    scope: &str,
    why: &str,
    actor: &str,
) -> Result<PauseView, Refusal> {
    known(scope)?;
    let (ws, scope, actor) = (workspace.map(str::to_owned), scope.to_owned(), actor.to_owned());
    let why: String = why.trim().chars().take(500).collect();
    let now = app.clock.now();
    let paused = app
        .db
        .write(move |tx| async move {
            let key = key(ws.as_deref(), &scope);
            let pause = Pause { scope: key.clone(), paused_at: now, why, actor: actor.clone() };
            if pauses::add(&tx, &pause).await? {
                gates::reshut_all(&tx).await?;
                let data = json!({ "why": pause.why });
                audit::add(&tx, ws.as_deref(), &actor, "pause.added", &scope, &data, now).await?;
                if let Some(ws) = &ws {
                    let data = json!({ "scope": scope, "paused": true });
                    events::add(&tx, ws, "queue.paused", &scope, &data, now).await?;
                }
            }
            let kept = pauses::find(&tx, &key).await?;
            Ok::<_, Refusal>(kept.unwrap_or(pause))
        })
        .await?;
    app.ring();
    Ok(view(&paused, workspace))
}

/// Lifts a pause of this workspace, or without one of the installation.
pub async fn resume(
    app: &App,
    workspace: Option<&str>,
    scope: &str,
    actor: &str,
) -> Result<(), Refusal> {
    known(scope)?;
    let (ws, scope, actor) = (workspace.map(str::to_owned), scope.to_owned(), actor.to_owned());
    let now = app.clock.now();
    app.db
        .write(move |tx| async move {
            if !pauses::remove(&tx, &key(ws.as_deref(), &scope)).await? {
                if ws.is_some() && pauses::find(&tx, &scope).await?.is_some() {
                    return Err(Refusal::conflict(
                        "wide_pause",
                        "This pause is the whole installation's.",
                        "Ask its operator, who lifts it with `carillon ops resume`.",
                    ));
                }
                return Err(Refusal::not_found("pause"));
            }
            gates::reshut_all(&tx).await?;
            audit::add(&tx, ws.as_deref(), &actor, "pause.lifted", &scope, &json!({}), now).await?;
            if let Some(ws) = &ws {
                let data = json!({ "scope": scope, "paused": false });
                events::add(&tx, ws, "queue.resumed", &scope, &data, now).await?;
            }
            Ok(())
        })
        .await?;
    app.ring();
    Ok(())
}

/// The pauses that hold something of this workspace; without one all of them.
pub async fn list(app: &App, workspace: Option<&str>) -> Result<Vec<PauseView>, Refusal> {
    let all =
        app.db.read(|tx| async move { pauses::all(&tx).await.map_err(Refusal::from) }).await?;
    let mine = |p: &&Pause| match (p.scope.split_once('/'), workspace) {
        (Some((of, _)), Some(ws)) => of == ws,
        _ => true,
    };
    Ok(all.iter().filter(mine).map(|p| view(p, workspace)).collect())
}

fn key(workspace: Option<&str>, scope: &str) -> String {
    workspace.map_or_else(|| scope.to_owned(), |ws| format!("{ws}/{scope}"))
}

fn view(p: &Pause, workspace: Option<&str>) -> PauseView {
    let (wide, scope) = match (p.scope.split_once('/'), workspace) {
        (None, _) => (true, p.scope.as_str()),
        (Some((_, scope)), Some(_)) => (false, scope),
        (Some(_), None) => (false, p.scope.as_str()),
    };
    PauseView {
        scope: scope.to_owned(),
        paused_at: iso(p.paused_at),
        why: p.why.clone(),
        actor: p.actor.clone(),
        wide,
    }
}

/// Is it a scope? The sweeper's queue is none: pausing it would leave dead work lying.
fn known(scope: &str) -> Result<(), Refusal> {
    let good = match scope.split_once(':') {
        None => scope == "all",
        Some(("network", id)) => carillon_networks::find(id).is_some(),
        Some(("queue", pool)) => {
            Pool::ALL.iter().any(|p| p.as_str() == pool && *p != Pool::Housekeeping)
        }
        Some(_) => false,
    };
    if good {
        return Ok(());
    }
    let networks: Vec<&str> = carillon_networks::ALL.iter().map(|n| n.spec().id).collect();
    let message = format!(
        "`{scope}` is nothing that can be paused; there are `all`, `queue:send`, `queue:upload`, `queue:media` and \
         `network:` with {}.",
        networks.join(", ")
    );
    Err(Refusal::invalid(vec![Wrong::new("scope", "unknown_scope", message)]))
}
