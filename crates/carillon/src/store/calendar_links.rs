//! The secret addresses of calendars; what opens them is kept as a hash alone.

use crate::db::{Error, Row, Tx};
use crate::params;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarLink {
    pub workspace_id: String,
    /// Does it show drafts?
    pub drafts: bool,
    pub created_at: i64,
    pub read_at: Option<i64>,
}

/// A new address in place of the one before, which opens nothing any more.
pub async fn set(
    tx: &Tx,
    workspace: &str,
    hash: &str,
    drafts: bool,
    now: i64,
) -> Result<(), Error> {
    tx.execute("DELETE FROM calendar_link WHERE workspace_id = $1", params![workspace]).await?;
    tx.execute(
        "INSERT INTO calendar_link (workspace_id, hash, drafts, created_at) VALUES ($1, $2, $3, $4)",
        params![workspace, hash, i64::from(drafts), now],
    )
    .await?;
    Ok(())
}

/// `false` when there was none.
pub async fn remove(tx: &Tx, workspace: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM calendar_link WHERE workspace_id = $1";
    Ok(tx.execute(sql, params![workspace]).await? == 1)
}

pub async fn of(tx: &Tx, workspace: &str) -> Result<Option<CalendarLink>, Error> {
    let sql = "SELECT * FROM calendar_link WHERE workspace_id = $1";
    tx.row(sql, params![workspace]).await?.as_ref().map(read).transpose()
}

/// What an address leads to.
pub async fn opened(tx: &Tx, hash: &str) -> Result<Option<CalendarLink>, Error> {
    let row = tx.row("SELECT * FROM calendar_link WHERE hash = $1", params![hash]).await?;
    row.as_ref().map(read).transpose()
}

/// When somebody last read it, to the hour: programs read it every few minutes.
pub async fn was_read(tx: &Tx, workspace: &str, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE calendar_link SET read_at = $1 WHERE workspace_id = $2 AND (read_at IS NULL OR read_at < $3)",
        params![now, workspace, now - 3_600_000],
    )
    .await?;
    Ok(())
}

fn read(r: &Row) -> Result<CalendarLink, Error> {
    Ok(CalendarLink {
        workspace_id: r.text("workspace_id")?,
        drafts: r.int("drafts")? != 0,
        created_at: r.int("created_at")?,
        read_at: r.opt_int("read_at")?,
    })
}
