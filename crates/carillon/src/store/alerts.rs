//! Alerts: raised once while their reason lasts, cleared when it is over.
//!
//! The unique index `alert_open` keeps one open row a kind and subject, so any number of nodes may
//! raise the same fact. Both ends are told as events: to the workspace, or to all of them where the
//! alert is the installation's.

use serde_json::json;

use super::{accounts, events};
use crate::db::{Error, Row, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::problem::Problem;
use crate::domain::when::iso;
use crate::{ids, params, store};

/// The subject of what concerns the whole installation.
pub const INSTALLATION: &str = "installation";

#[derive(Debug, Clone)]
pub struct Alert {
    pub id: String,
    /// `None`: the installation's, shown in every workspace.
    pub workspace_id: Option<String>,
    pub kind: AlertKind,
    /// The id of what it is about.
    pub subject: String,
    /// What is the matter and what to do.
    pub problem: Problem,
    pub raised_at: i64,
    /// When its reason was last found to hold.
    pub seen_at: i64,
    pub cleared_at: Option<i64>,
}

/// Raises an alert, or brings the open one of this kind and subject up to date; `true` when it is
/// new.
pub async fn raise(
    tx: &Tx,
    workspace: Option<&str>,
    kind: AlertKind,
    subject: &str,
    problem: &Problem,
    now: i64,
) -> Result<bool, Error> {
    let id = ids::new(now);
    let row = tx
        .row(
            "INSERT INTO alert (id, workspace_id, kind, subject, problem, raised_at, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, subject) WHERE cleared_at IS NULL \
             DO UPDATE SET problem = excluded.problem, seen_at = excluded.seen_at RETURNING *",
            params![&id, workspace, kind.as_str(), subject, store::json(problem), now, now],
        )
        .await?;
    let Some(alert) = row.as_ref().map(read).transpose()? else { return Ok(false) };
    let new = alert.id == id;
    if new {
        tell(tx, &alert, "alert.raised", now).await?;
    }
    Ok(new)
}

/// Its reason is over; `false` when there was no such open alert.
pub async fn clear(tx: &Tx, kind: AlertKind, subject: &str, now: i64) -> Result<bool, Error> {
    let row = tx
        .row(
            "UPDATE alert SET cleared_at = $1 WHERE kind = $2 AND subject = $3 AND cleared_at IS NULL \
             RETURNING *",
            params![now, kind.as_str(), subject],
        )
        .await?;
    let Some(alert) = row.as_ref().map(read).transpose()? else { return Ok(false) };
    tell(tx, &alert, "alert.cleared", now).await?;
    Ok(true)
}

/// The open ones of a kind, over all workspaces.
pub async fn open(tx: &Tx, kind: AlertKind) -> Result<Vec<Alert>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM alert WHERE kind = $1 AND cleared_at IS NULL ORDER BY raised_at, id",
            params![kind.as_str()],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// A workspace's and the installation's that are open, newest first.
pub async fn open_in(tx: &Tx, workspace: &str, limit: i64) -> Result<Vec<Alert>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM alert WHERE (workspace_id = $1 OR workspace_id IS NULL) AND cleared_at IS NULL \
             ORDER BY raised_at DESC, id DESC LIMIT $2",
            params![workspace, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The same with those that are over.
pub async fn all_in(tx: &Tx, workspace: &str, limit: i64) -> Result<Vec<Alert>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM alert WHERE (workspace_id = $1 OR workspace_id IS NULL) \
             ORDER BY raised_at DESC, id DESC LIMIT $2",
            params![workspace, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Removes those that were over before this time, a batch at a time.
pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE cleared_at < $1 LIMIT 1000)",
        params![before],
    )
    .await
}

async fn tell(tx: &Tx, alert: &Alert, what: &str, now: i64) -> Result<(), Error> {
    let data = json!({
        "alertId": alert.id,
        "kind": alert.kind,
        "subject": alert.subject,
        "sentence": alert.problem.sentence,
        "action": alert.problem.action,
        "actionSentence": alert.problem.action_sentence,
        "raisedAt": iso(alert.raised_at),
    });
    match &alert.workspace_id {
        Some(workspace) => events::add(tx, workspace, what, &alert.id, &data, now).await,
        None => {
            for workspace in accounts::workspaces(tx).await? {
                events::add(tx, &workspace.id, what, &alert.id, &data, now).await?;
            }
            Ok(())
        }
    }
}

fn read(r: &Row) -> Result<Alert, Error> {
    Ok(Alert {
        id: r.text("id")?,
        workspace_id: r.opt_text("workspace_id")?,
        kind: r.word("kind")?,
        subject: r.text("subject")?,
        problem: r.json("problem")?,
        raised_at: r.int("raised_at")?,
        seen_at: r.int("seen_at")?,
        cleared_at: r.opt_int("cleared_at")?,
    })
}
