//! Circuits: what a network's failures add up to, shared by all nodes and kept over restarts.
//!
//! A circuit without a row is closed and clean. The row is locked first, the gates after it, in the
//! order of their lanes.

use crate::db::{Error, Row, Tx};
use crate::{params, store};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    pub name: String,
    /// Times of the failures that still count, ms UTC, oldest first.
    pub failures: Vec<i64>,
    pub opened_at: Option<i64>,
    /// Set while it is not closed.
    pub open_until: Option<i64>,
    pub probe_until: Option<i64>,
    /// The sentence of the failure that opened it.
    pub reason: Option<String>,
}

/// The circuit as it is, held until the unit of work ends; a new one is clean.
pub async fn lock(tx: &Tx, name: &str) -> Result<Circuit, Error> {
    tx.execute(
        "INSERT INTO circuit (name, failures) VALUES ($1, '[]') ON CONFLICT (name) DO NOTHING",
        params![name],
    )
    .await?;
    let row = if tx.is_postgres() {
        tx.row("SELECT * FROM circuit WHERE name = $1 FOR UPDATE", params![name]).await?
    } else {
        tx.row("SELECT * FROM circuit WHERE name = $1", params![name]).await?
    };
    row.as_ref().map(read).transpose()?.ok_or_else(|| Error::Corrupt("no circuit".into()))
}

pub async fn save(tx: &Tx, c: &Circuit) -> Result<(), Error> {
    tx.execute(
        "UPDATE circuit SET failures = $1, opened_at = $2, open_until = $3, probe_until = $4, reason = $5 WHERE name = $6",
        params![
            store::json(&c.failures),
            c.opened_at,
            c.open_until,
            c.probe_until,
            c.reason.clone(),
            &c.name
        ],
    )
    .await?;
    Ok(())
}

/// Until when it is open, if it is.
pub async fn open_until(tx: &Tx, name: &str) -> Result<Option<i64>, Error> {
    let row = tx.row("SELECT * FROM circuit WHERE name = $1", params![name]).await?;
    Ok(row.as_ref().map(read).transpose()?.and_then(|c| c.open_until))
}

pub async fn all(tx: &Tx) -> Result<Vec<Circuit>, Error> {
    let rows = tx.rows("SELECT * FROM circuit ORDER BY name", params![]).await?;
    rows.iter().map(read).collect()
}

/// The circuits that this workspace's connections are behind.
pub async fn of_workspace(tx: &Tx, workspace: &str) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT DISTINCT circuit FROM gate WHERE workspace_id = $1 AND circuit IS NOT NULL ORDER BY circuit",
            params![workspace],
        )
        .await?;
    rows.iter().map(|r| r.text("circuit")).collect()
}

fn read(r: &Row) -> Result<Circuit, Error> {
    Ok(Circuit {
        name: r.text("name")?,
        failures: r.json("failures")?,
        opened_at: r.opt_int("opened_at")?,
        open_until: r.opt_int("open_until")?,
        probe_until: r.opt_int("probe_until")?,
        reason: r.opt_text("reason")?,
    })
}
