//! Imports, and what became of each of their rows.

use serde_json::Value as Json;

use crate::db::{Error, Row, Tx};
use crate::{params, store, words};

words! {
    /// What became of a row.
    pub enum RowOutcome {
        Made = "made",
        /// The same row was imported before, and its post stands.
        Known = "known",
        /// It is of a post that went out elsewhere.
        LeftOut = "left_out",
        Refused = "refused",
    }
}

words! {
    /// What rows become.
    pub enum MadeAs {
        /// Drafts, whatever their dates.
        Draft = "draft",
        /// What their dates say.
        Scheduled = "scheduled",
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    pub id: String,
    pub workspace_id: String,
    /// Of the file.
    pub name: String,
    pub format: String,
    pub made_as: MadeAs,
    pub actor: String,
    pub total: i64,
    pub created_at: i64,
    pub finished_at: Option<i64>,
    pub undone_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ImportRow {
    pub line: i64,
    pub hash: String,
    pub outcome: RowOutcome,
    pub post_id: Option<String>,
    /// What was found.
    pub notes: Json,
}

pub async fn add(tx: &Tx, i: &Import) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO import (id, workspace_id, name, format, made_as, actor, total, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![
            &i.id,
            &i.workspace_id,
            &i.name,
            &i.format,
            i.made_as.as_str(),
            &i.actor,
            i.total,
            i.created_at
        ],
    )
    .await?;
    Ok(())
}

pub async fn finish(tx: &Tx, id: &str, now: i64) -> Result<(), Error> {
    tx.execute("UPDATE import SET finished_at = $1 WHERE id = $2", params![now, id]).await?;
    Ok(())
}

/// `false` when it was undone already.
pub async fn undone(tx: &Tx, id: &str, now: i64) -> Result<bool, Error> {
    let sql = "UPDATE import SET undone_at = $1 WHERE id = $2 AND undone_at IS NULL";
    Ok(tx.execute(sql, params![now, id]).await? == 1)
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Import>, Error> {
    let sql = "SELECT * FROM import WHERE workspace_id = $1 AND id = $2";
    let row = tx.row(sql, params![workspace, id]).await?;
    row.as_ref().map(read).transpose()
}

/// Newest first, older than the cursor.
pub async fn list(
    tx: &Tx,
    workspace: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Import>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM import WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            params![workspace, before, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

pub async fn add_row(tx: &Tx, import: &str, r: &ImportRow) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO import_row (import_id, line, hash, outcome, post_id, notes) VALUES ($1, $2, $3, $4, $5, $6)",
        params![
            import,
            r.line,
            &r.hash,
            r.outcome.as_str(),
            r.post_id.clone(),
            store::json(&r.notes)
        ],
    )
    .await?;
    Ok(())
}

pub async fn rows(tx: &Tx, import: &str) -> Result<Vec<ImportRow>, Error> {
    let sql = "SELECT * FROM import_row WHERE import_id = $1 ORDER BY line";
    let rows = tx.rows(sql, params![import]).await?;
    rows.iter()
        .map(|r| {
            Ok(ImportRow {
                line: r.int("line")?,
                hash: r.text("hash")?,
                outcome: r.word("outcome")?,
                post_id: r.opt_text("post_id")?,
                notes: r.json("notes")?,
            })
        })
        .collect()
}

/// How many rows of an import ended in each way.
pub async fn counts(tx: &Tx, import: &str) -> Result<Vec<(RowOutcome, i64)>, Error> {
    let sql = "SELECT outcome, count(*) AS n FROM import_row WHERE import_id = $1 GROUP BY outcome";
    let rows = tx.rows(sql, params![import]).await?;
    rows.iter().map(|r| Ok((r.word("outcome")?, r.int("n")?))).collect()
}

/// The post that a row with this content was made into, while it stands.
pub async fn known(tx: &Tx, workspace: &str, hash: &str) -> Result<Option<String>, Error> {
    let row = tx
        .row(
            "SELECT post.id FROM import_row JOIN post ON post.id = import_row.post_id \
             WHERE import_row.hash = $1 AND post.workspace_id = $2 AND post.deleted_at IS NULL LIMIT 1",
            params![hash, workspace],
        )
        .await?;
    row.map(|r| r.text("id")).transpose()
}

fn read(r: &Row) -> Result<Import, Error> {
    Ok(Import {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        name: r.text("name")?,
        format: r.text("format")?,
        made_as: r.word("made_as")?,
        actor: r.text("actor")?,
        total: r.int("total")?,
        created_at: r.int("created_at")?,
        finished_at: r.opt_int("finished_at")?,
        undone_at: r.opt_int("undone_at")?,
    })
}
