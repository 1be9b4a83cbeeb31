//! What was done and what is the matter: the audit trail and the alerts, as surfaces show them.

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use crate::App;
use crate::db::Error;
use crate::domain::alert::AlertKind;
use crate::domain::when::iso;
use crate::store::{alerts, audit};

/// Most alerts that are shown.
const ALERTS: i64 = 200;

/// One deed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deed {
    pub id: String,
    pub at: String,
    /// `account:<id>`, `key:<id>`, or `operator` for the command line.
    pub actor: String,
    /// The name of the account or the key, where this workspace knows it.
    pub actor_name: Option<String>,
    /// `delivery.retried`, `queue.drained`, …
    pub action: String,
    /// What it was done to: an id, or a scope.
    pub subject: String,
    #[schema(value_type = Object)]
    pub data: Json,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Deeds {
    pub items: Vec<Deed>,
    /// Goes into `cursor` to read on.
    pub next: Option<String>,
}

/// What was done in a workspace and to the whole installation, newest first, before the cursor
/// `(at, id)`; with `action` only that.
pub async fn deeds(
    app: &App,
    workspace: &str,
    action: Option<String>,
    cursor: Option<(i64, String)>,
    limit: usize,
) -> Result<Deeds, Error> {
    let ws = workspace.to_owned();
    app.db
        .read(move |tx| async move {
            let names = audit::names(&tx, &ws).await?;
            let (at, id) = cursor.unwrap_or((i64::MAX, String::new()));
            let more = limit as i64 + 1;
            let mut found = audit::before(&tx, &ws, action.as_deref(), (at, &id), more).await?;
            let next = (found.len() > limit).then(|| {
                found.truncate(limit);
                found.last().map(|e| format!("{}~{}", e.at, e.id))
            });
            let items = found
                .into_iter()
                .map(|e| Deed {
                    id: e.id,
                    at: iso(e.at),
                    actor_name: names.get(&e.actor).cloned(),
                    actor: e.actor,
                    action: e.action,
                    subject: e.subject,
                    data: e.data,
                })
                .collect();
            Ok(Deeds { items, next: next.flatten() })
        })
        .await
}

/// What somebody should know.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    pub id: String,
    pub kind: AlertKind,
    /// The id of what it is about, or `installation`.
    pub subject: String,
    /// What is the matter, in one sentence.
    pub sentence: String,
    pub action: String,
    /// What to do now, in one sentence.
    pub action_sentence: String,
    pub raised_at: String,
    /// `null` while its reason lasts.
    pub cleared_at: Option<String>,
}

/// A workspace's alerts and the installation's, newest first, at most 200.
pub async fn alerts(app: &App, workspace: &str, open: bool) -> Result<Vec<AlertView>, Error> {
    let ws = workspace.to_owned();
    let found = app
        .db
        .read(move |tx| async move {
            if open {
                alerts::open_in(&tx, &ws, ALERTS).await
            } else {
                alerts::all_in(&tx, &ws, ALERTS).await
            }
        })
        .await?;
    Ok(found
        .into_iter()
        .map(|a| AlertView {
            id: a.id,
            kind: a.kind,
            subject: a.subject,
            sentence: a.problem.sentence,
            action: a.problem.action,
            action_sentence: a.problem.action_sentence,
            raised_at: iso(a.raised_at),
            cleared_at: a.cleared_at.map(iso),
        })
        .collect())
}
