//! What a workspace writes with again and again.

use crate::db::{Error, Row, Tx};
use crate::domain::snippet::SnippetKind;
use crate::params;

#[derive(Debug, Clone)]
pub struct Snippet {
    pub id: String,
    pub workspace_id: String,
    pub kind: SnippetKind,
    pub name: String,
    /// `planning::snippets::Body`, as JSON.
    pub body: String,
    /// `account:<id>`, `key:<id>` or `operator`.
    pub changed_by: String,
    pub created_at: i64,
    pub updated_at: i64,
}

/// `false` when there is one of this kind and name.
pub async fn add(tx: &Tx, s: &Snippet) -> Result<bool, Error> {
    let added = tx
        .execute(
            "INSERT INTO snippet (id, workspace_id, kind, name, folded, body, changed_by, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (workspace_id, kind, folded) DO NOTHING",
            params![
                &s.id,
                &s.workspace_id,
                s.kind.as_str(),
                &s.name,
                s.name.to_lowercase(),
                &s.body,
                &s.changed_by,
                s.created_at,
                s.updated_at
            ],
        )
        .await?;
    Ok(added == 1)
}

/// `false` when another of its kind has the name.
pub async fn save(tx: &Tx, s: &Snippet) -> Result<bool, Error> {
    let folded = s.name.to_lowercase();
    let changed = tx
        .execute(
            "UPDATE snippet SET name = $1, folded = $2, body = $3, changed_by = $4, updated_at = $5 WHERE id = $6 \
             AND NOT EXISTS (SELECT 1 FROM snippet AS other WHERE other.workspace_id = $7 AND other.kind = $8 \
               AND other.folded = $9 AND other.id <> $10)",
            params![
                &s.name,
                &folded,
                &s.body,
                &s.changed_by,
                s.updated_at,
                &s.id,
                &s.workspace_id,
                s.kind.as_str(),
                &folded,
                &s.id
            ],
        )
        .await?;
    Ok(changed == 1)
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Snippet>, Error> {
    let sql = "SELECT * FROM snippet WHERE workspace_id = $1 AND id = $2";
    tx.row(sql, params![workspace, id]).await?.as_ref().map(read).transpose()
}

/// All of a workspace, by kind and name.
pub async fn list(tx: &Tx, workspace: &str) -> Result<Vec<Snippet>, Error> {
    let sql = "SELECT * FROM snippet WHERE workspace_id = $1 ORDER BY kind, folded";
    tx.rows(sql, params![workspace]).await?.iter().map(read).collect()
}

pub async fn count(tx: &Tx, workspace: &str) -> Result<i64, Error> {
    let sql = "SELECT count(*) AS n FROM snippet WHERE workspace_id = $1";
    tx.row(sql, params![workspace]).await?.map_or(Ok(0), |row| row.int("n"))
}

pub async fn delete(tx: &Tx, id: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM snippet WHERE id = $1", params![id]).await?;
    Ok(())
}

fn read(r: &Row) -> Result<Snippet, Error> {
    Ok(Snippet {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        kind: r.word("kind")?,
        name: r.text("name")?,
        body: r.text("body")?,
        changed_by: r.text("changed_by")?,
        created_at: r.int("created_at")?,
        updated_at: r.int("updated_at")?,
    })
}
