//! Feeds that become posts, and which of their entries have been seen.

use crate::db::{Error, Row, Tx};
use crate::domain::problem::Problem;
use crate::{params, row, store, words};

words! {
    /// What an entry becomes.
    pub enum FeedAs {
        Draft = "draft",
        /// A post in the next free slot.
        Queue = "queue",
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    pub id: String,
    pub workspace_id: String,
    pub name: String,
    pub url: String,
    /// Ids.
    pub connections: Vec<String>,
    pub template: String,
    pub made_as: FeedAs,
    pub every_min: i64,
    /// Most posts of one poll.
    pub most: i64,
    /// Entries that the first poll takes.
    pub at_first: i64,
    pub next_at: i64,
    pub polled_at: Option<i64>,
    pub etag: Option<String>,
    pub modified: Option<String>,
    pub problem: Option<Problem>,
    pub failing_since: Option<i64>,
    pub created_at: i64,
}

pub async fn add(tx: &Tx, f: &Feed) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO feed (id, workspace_id, name, url, connections, template, made_as, every_min, most, at_first, \
         next_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        params![
            &f.id,
            &f.workspace_id,
            &f.name,
            &f.url,
            store::json(&f.connections),
            &f.template,
            f.made_as.as_str(),
            f.every_min,
            f.most,
            f.at_first,
            f.next_at,
            f.created_at,
            f.created_at
        ],
    )
    .await?;
    Ok(())
}

/// What a poll brought.
pub async fn polled(tx: &Tx, f: &Feed, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE feed SET next_at = $1, polled_at = $2, etag = $3, modified = $4, problem = $5, failing_since = $6, \
         updated_at = $7 WHERE id = $8",
        params![
            f.next_at,
            f.polled_at,
            f.etag.clone(),
            f.modified.clone(),
            f.problem.as_ref().map(store::json),
            f.failing_since,
            now,
            &f.id
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Feed>, Error> {
    let sql = "SELECT * FROM feed WHERE workspace_id = $1 AND id = $2";
    tx.row(sql, params![workspace, id]).await?.as_ref().map(read).transpose()
}

/// The same, kept for this transaction: polls of one feed come one after another.
pub async fn lock(tx: &Tx, id: &str, now: i64) -> Result<Option<Feed>, Error> {
    let sql = "UPDATE feed SET updated_at = $1 WHERE id = $2 RETURNING *";
    tx.row(sql, params![now, id]).await?.as_ref().map(read).transpose()
}

pub async fn list(tx: &Tx, workspace: &str) -> Result<Vec<Feed>, Error> {
    let sql = "SELECT * FROM feed WHERE workspace_id = $1 ORDER BY id LIMIT 500";
    tx.rows(sql, params![workspace]).await?.iter().map(read).collect()
}

/// Takes some that are due: nobody else polls them before `until`.
pub async fn take_due(tx: &Tx, now: i64, until: i64, limit: i64) -> Result<Vec<Feed>, Error> {
    let rows = tx
        .rows(
            "UPDATE feed SET next_at = $1 WHERE next_at <= $2 AND id IN (SELECT id FROM feed WHERE next_at <= $3 \
             ORDER BY next_at, id LIMIT $4) RETURNING *",
            params![until, now, now, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Its posts stay.
pub async fn delete(tx: &Tx, workspace: &str, id: &str) -> Result<bool, Error> {
    tx.execute(
        "DELETE FROM feed_entry WHERE feed_id IN (SELECT id FROM feed WHERE workspace_id = $1 AND id = $2)",
        params![workspace, id],
    )
    .await?;
    let sql = "DELETE FROM feed WHERE workspace_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![workspace, id]).await? == 1)
}

/// How many posts it made.
pub async fn posts(tx: &Tx, id: &str) -> Result<i64, Error> {
    let sql = "SELECT count(*) AS n FROM feed_entry WHERE feed_id = $1 AND post_id IS NOT NULL";
    tx.row(sql, params![id]).await?.map_or(Ok(0), |r| r.int("n"))
}

/// Which of these entries have been seen before.
pub async fn seen(tx: &Tx, feed: &str, hashes: &[String]) -> Result<Vec<bool>, Error> {
    let each: Vec<_> = hashes.iter().map(|hash| row![feed, hash]).collect();
    let sql = "SELECT hash FROM feed_entry WHERE feed_id = $1 AND hash = $2";
    Ok(tx.rows_each(sql, &each).await?.iter().map(|rows| !rows.is_empty()).collect())
}

/// An entry is done with; `post` is what it became.
pub async fn see(
    tx: &Tx,
    feed: &str,
    hash: &str,
    post: Option<&str>,
    now: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO feed_entry (feed_id, hash, post_id, seen_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        params![feed, hash, post, now],
    )
    .await?;
    Ok(())
}

fn read(r: &Row) -> Result<Feed, Error> {
    Ok(Feed {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        name: r.text("name")?,
        url: r.text("url")?,
        connections: r.json("connections")?,
        template: r.text("template")?,
        made_as: r.word("made_as")?,
        every_min: r.int("every_min")?,
        most: r.int("most")?,
        at_first: r.int("at_first")?,
        next_at: r.int("next_at")?,
        polled_at: r.opt_int("polled_at")?,
        etag: r.opt_text("etag")?,
        modified: r.opt_text("modified")?,
        problem: r.opt_json("problem")?,
        failing_since: r.opt_int("failing_since")?,
        created_at: r.int("created_at")?,
    })
}
