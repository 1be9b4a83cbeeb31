//! The outbox: an event is written in the transaction that it tells of.

use serde::Serialize;
use serde_json::Value as Json;

use crate::db::{Error, Tx};
use crate::{ids, params, row, store};

/// Something that happened, as live feeds and webhooks see it.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    pub id: String,
    pub workspace_id: String,
    /// ms UTC
    pub at: i64,
    /// `delivery.published`, `post.created`, …
    pub kind: String,
    /// The id of what it happened to.
    pub subject: String,
    pub data: Json,
}

/// One that is to be told.
#[derive(Debug, Clone)]
pub struct News<'a> {
    pub workspace: &'a str,
    pub kind: String,
    pub subject: &'a str,
    pub data: Json,
}

pub async fn add(
    tx: &Tx,
    workspace: &str,
    kind: &str,
    subject: &str,
    data: &Json,
    now: i64,
) -> Result<(), Error> {
    let news = News { workspace, kind: kind.to_owned(), subject, data: data.clone() };
    add_each(tx, &[news], now).await
}

pub async fn add_each(tx: &Tx, news: &[News<'_>], now: i64) -> Result<(), Error> {
    let row = |n: &News<'_>| {
        row![ids::new(now), n.workspace, now, n.kind.as_str(), n.subject, store::json(&n.data)]
    };
    tx.execute_each(
        "INSERT INTO event (id, workspace_id, at, kind, subject, data) VALUES ($1, $2, $3, $4, $5, $6)",
        &news.iter().map(row).collect::<Vec<_>>(),
    )
    .await?;
    Ok(())
}

/// Events of one workspace after `(at, id)`, oldest first, at most `limit`. Commits of several nodes
/// may appear out of order: look a few seconds back now and then and skip what was seen.
pub async fn after(
    tx: &Tx,
    workspace: &str,
    after: (i64, &str),
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows = tx
        .rows(
            "SELECT id, workspace_id, at, kind, subject, data FROM event \
             WHERE workspace_id = $1 AND (at > $2 OR (at = $3 AND id > $4)) ORDER BY at, id LIMIT $5",
            params![workspace, after.0, after.0, after.1, limit],
        )
        .await?;
    rows.iter()
        .map(|r| {
            Ok(Event {
                id: r.text("id")?,
                workspace_id: r.text("workspace_id")?,
                at: r.int("at")?,
                kind: r.text("kind")?,
                subject: r.text("subject")?,
                data: r.json("data")?,
            })
        })
        .collect()
}

pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at < $1 LIMIT 1000)",
        params![before],
    )
    .await
}
