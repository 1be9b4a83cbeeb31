//! Pauses of many lanes at once. A scope is `all`, `queue:<pool>` or `network:<id>`, behind
//! `<workspace id>/` when it is one workspace's.

use crate::db::{Error, Row, Tx};
use crate::params;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub scope: String,
    pub paused_at: i64,
    pub why: String,
    pub actor: String,
}

/// `false` when this scope is paused already.
pub async fn add(tx: &Tx, p: &Pause) -> Result<bool, Error> {
    let added = tx
        .execute(
            "INSERT INTO pause (scope, paused_at, why, actor) VALUES ($1, $2, $3, $4) ON CONFLICT (scope) DO NOTHING",
            params![&p.scope, p.paused_at, &p.why, &p.actor],
        )
        .await?;
    Ok(added == 1)
}

/// `false` when it was not paused.
pub async fn remove(tx: &Tx, scope: &str) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM pause WHERE scope = $1", params![scope]).await? == 1)
}

pub async fn find(tx: &Tx, scope: &str) -> Result<Option<Pause>, Error> {
    let row = tx.row("SELECT * FROM pause WHERE scope = $1", params![scope]).await?;
    row.as_ref().map(read).transpose()
}

pub async fn all(tx: &Tx) -> Result<Vec<Pause>, Error> {
    let rows = tx.rows("SELECT * FROM pause ORDER BY scope", params![]).await?;
    rows.iter().map(read).collect()
}

fn read(r: &Row) -> Result<Pause, Error> {
    Ok(Pause {
        scope: r.text("scope")?,
        paused_at: r.int("paused_at")?,
        why: r.text("why")?,
        actor: r.text("actor")?,
    })
}
