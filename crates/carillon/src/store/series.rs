//! Series: what comes round, and the posts that were made of it.

use jiff::civil::DateTime;
use serde_json::Value as Json;

use super::posts::{self, Post};
use crate::db::{Error, Row, Tx};
use crate::domain::campaign::SeriesState;
use crate::{params, store};

#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub id: String,
    pub workspace_id: String,
    pub campaign_id: Option<String>,
    /// IANA name.
    pub timezone: String,
    /// Wall-clock time in it, as are all that follow.
    pub start: DateTime,
    /// RFC 5545.
    pub rule: String,
    pub without: Vec<DateTime>,
    pub also: Vec<DateTime>,
    /// Nothing from here on: another series goes on there.
    pub ends_before: Option<DateTime>,
    /// The draft that each of its posts is made from.
    pub pattern: Json,
    /// Who planned it: an actor.
    pub made_by: Option<String>,
    pub state: SeriesState,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

/// How an occurrence is kept: as a name of it.
pub fn name(wall: DateTime) -> String {
    wall.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

pub async fn add(tx: &Tx, s: &Series) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO series (id, workspace_id, campaign_id, timezone, start, rule, without, also, ends_before, pattern, \
         made_by, state, version, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        params![
            &s.id,
            &s.workspace_id,
            s.campaign_id.clone(),
            &s.timezone,
            name(s.start),
            &s.rule,
            store::json(&s.without),
            store::json(&s.also),
            s.ends_before.map(name),
            store::json(&s.pattern),
            s.made_by.clone(),
            s.state.as_str(),
            s.version,
            s.created_at,
            s.updated_at
        ],
    )
    .await?;
    Ok(())
}

/// Writes what of it can change: dates left out and added, its end, its state, its zone.
pub async fn save(tx: &Tx, s: &Series, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE series SET timezone = $1, start = $2, without = $3, also = $4, ends_before = $5, state = $6, \
         version = version + 1, updated_at = $7 WHERE id = $8",
        params![
            &s.timezone,
            name(s.start),
            store::json(&s.without),
            store::json(&s.also),
            s.ends_before.map(name),
            s.state.as_str(),
            now,
            &s.id
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Series>, Error> {
    let sql = "SELECT * FROM series WHERE workspace_id = $1 AND id = $2";
    let row = tx.row(sql, params![workspace, id]).await?;
    row.as_ref().map(read).transpose()
}

/// The same, kept for this transaction: on PostgreSQL nobody else makes posts of it before its end.
pub async fn lock(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Series>, Error> {
    if !tx.is_postgres() {
        return find(tx, workspace, id).await;
    }
    let sql = "SELECT * FROM series WHERE workspace_id = $1 AND id = $2 FOR UPDATE";
    let row = tx.row(sql, params![workspace, id]).await?;
    row.as_ref().map(read).transpose()
}

/// By id alone, for who makes its posts.
pub async fn load(tx: &Tx, id: &str) -> Result<Option<Series>, Error> {
    let row = tx.row("SELECT * FROM series WHERE id = $1", params![id]).await?;
    row.as_ref().map(read).transpose()
}

/// Of a workspace, newest first, older than the cursor.
pub async fn list(
    tx: &Tx,
    workspace: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Series>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM series WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            params![workspace, before, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

pub async fn of_campaign(tx: &Tx, campaign: &str) -> Result<Vec<Series>, Error> {
    let rows = tx
        .rows("SELECT * FROM series WHERE campaign_id = $1 ORDER BY id", params![campaign])
        .await?;
    rows.iter().map(read).collect()
}

/// Those that posts are made of, over all workspaces, after the cursor.
pub async fn active(tx: &Tx, after: &str, limit: i64) -> Result<Vec<Series>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM series WHERE state = 'active' AND id > $1 ORDER BY id LIMIT $2",
            params![after, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Its posts from this occurrence on, in order; deleted ones too.
pub async fn posts_from(tx: &Tx, series: &str, from: DateTime) -> Result<Vec<Post>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM post WHERE series_id = $1 AND occurrence >= $2 AND deleted_at IS NULL ORDER BY occurrence",
            params![series, name(from)],
        )
        .await?;
    rows.iter().map(posts::read).collect()
}

/// The post of an occurrence, deleted or not.
pub async fn has_post(tx: &Tx, series: &str, occurrence: &str) -> Result<bool, Error> {
    let row = tx
        .row(
            "SELECT id FROM post WHERE series_id = $1 AND occurrence = $2",
            params![series, occurrence],
        )
        .await?;
    Ok(row.is_some())
}

/// The occurrences whose posts somebody deleted.
pub async fn deleted(tx: &Tx, series: &str) -> Result<Vec<DateTime>, Error> {
    let rows = tx
        .rows(
            "SELECT occurrence FROM post WHERE series_id = $1 AND deleted_at IS NOT NULL",
            params![series],
        )
        .await?;
    rows.iter().map(|r| wall(r, "occurrence")).collect()
}

/// A post is of another series from now on, or of none, with its occurrence.
pub async fn hand_over(tx: &Tx, post: &str, to: Option<&str>) -> Result<(), Error> {
    tx.execute(
        "UPDATE post SET series_id = $1, occurrence = CASE WHEN CAST($2 AS TEXT) IS NULL THEN NULL ELSE occurrence END \
         WHERE id = $3",
        params![to, to, post],
    )
    .await?;
    Ok(())
}

fn wall(r: &Row, column: &str) -> Result<DateTime, Error> {
    let text = r.text(column)?;
    text.parse().map_err(|e| Error::Corrupt(format!("{column} `{text}`: {e}")))
}

fn read(r: &Row) -> Result<Series, Error> {
    let ends_before = match r.opt_text("ends_before")? {
        Some(_) => Some(wall(r, "ends_before")?),
        None => None,
    };
    Ok(Series {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        campaign_id: r.opt_text("campaign_id")?,
        timezone: r.text("timezone")?,
        start: wall(r, "start")?,
        rule: r.text("rule")?,
        without: r.json("without")?,
        also: r.json("also")?,
        ends_before,
        pattern: r.json("pattern")?,
        made_by: r.opt_text("made_by")?,
        state: r.word("state")?,
        version: r.int("version")?,
        created_at: r.int("created_at")?,
        updated_at: r.int("updated_at")?,
    })
}
