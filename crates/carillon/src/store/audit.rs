//! The audit trail: who did what, kept for good and never changed.
//!
//! A row is written in the transaction of what it tells of, so that neither stands without the
//! other. Rows without a workspace are the installation's own (a pause of everything, a breaker
//! put back by hand): they concern every workspace and are shown in each.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::db::{Error, Row, Tx};
use crate::{ids, params, store};

/// Who acts where nobody signed in: the command line.
pub const OPERATOR: &str = "operator";

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub id: String,
    /// `None`: the installation's.
    pub workspace_id: Option<String>,
    /// ms UTC
    pub at: i64,
    /// `account:<id>`, `key:<id>` or `operator`.
    pub actor: String,
    /// `delivery.retried`, `pause.added`, …
    pub action: String,
    /// What it was done to: an id, or a scope.
    pub subject: String,
    pub data: Json,
}

pub async fn add(
    tx: &Tx,
    workspace: Option<&str>,
    actor: &str,
    action: &str,
    subject: &str,
    data: &Json,
    now: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO audit (id, workspace_id, at, actor, action, subject, data) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![ids::new(now), workspace, now, actor, action, subject, store::json(data)],
    )
    .await?;
    Ok(())
}

/// What was done in a workspace and to the whole installation before the cursor `(at, id)`, newest
/// first; with `action` only that.
pub async fn before(
    tx: &Tx,
    workspace: &str,
    action: Option<&str>,
    before: (i64, &str),
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let action = action.unwrap_or("");
    // Two questions, each answered along an index, however long the trail is.
    let mut rows = tx
        .rows(
            "SELECT * FROM audit WHERE workspace_id = $1 AND at <= $2 AND (at < $3 OR id < $4) \
             AND ($5 = '' OR action = $6) ORDER BY at DESC, id DESC LIMIT $7",
            params![workspace, before.0, before.0, before.1, action, action, limit],
        )
        .await?;
    rows.extend(
        tx.rows(
            "SELECT * FROM audit WHERE workspace_id IS NULL AND at <= $1 AND (at < $2 OR id < $3) \
             AND ($4 = '' OR action = $5) ORDER BY at DESC, id DESC LIMIT $6",
            params![before.0, before.0, before.1, action, action, limit],
        )
        .await?,
    );
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    found.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    found.truncate(limit as usize);
    Ok(found)
}

fn read(r: &Row) -> Result<Entry, Error> {
    Ok(Entry {
        id: r.text("id")?,
        workspace_id: r.opt_text("workspace_id")?,
        at: r.int("at")?,
        actor: r.text("actor")?,
        action: r.text("action")?,
        subject: r.text("subject")?,
        data: r.json("data")?,
    })
}

/// Names of those who can act in a workspace, by actor. Others stay unnamed: an installation's row
/// may be the deed of somebody whom this workspace does not know.
pub async fn names(tx: &Tx, workspace: &str) -> Result<BTreeMap<String, String>, Error> {
    let rows = tx
        .rows(
            "SELECT 'account:' || account.id AS actor, account.name AS name FROM member \
             JOIN account ON account.id = member.account_id WHERE member.workspace_id = $1 \
             UNION ALL SELECT 'key:' || id AS actor, name FROM api_key WHERE workspace_id = $2",
            params![workspace, workspace],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("actor")?, r.text("name")?))).collect()
}
