//! Reviews of posts and what was said in them.

use std::collections::BTreeMap;

use crate::db::{Error, Row, Tx};
use crate::domain::review::{ReviewState, Shown, Stage};
use crate::{ids, params, row, store};

#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    pub id: String,
    pub workspace_id: String,
    pub post_id: String,
    pub stage: Stage,
    pub state: ReviewState,
    /// A hash of what each delivery shows, by the delivery's id.
    pub content: BTreeMap<String, String>,
    /// The same in words.
    pub shown: Shown,
    pub note: Option<String>,
    /// `None`: no person, but a series or an import.
    pub requested_by: Option<String>,
    pub requested_at: i64,
    pub decided_by: Option<String>,
    pub decided_at: Option<i64>,
    /// Of a voided one.
    pub why: Option<String>,
}

pub async fn add(tx: &Tx, r: &Review) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO review (id, workspace_id, post_id, stage, state, content, shown, note, requested_by, requested_at, \
         decided_by, decided_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        params![
            &r.id,
            &r.workspace_id,
            &r.post_id,
            r.stage.as_str(),
            r.state.as_str(),
            store::json(&r.content),
            store::json(&r.shown),
            r.note.clone(),
            r.requested_by.clone(),
            r.requested_at,
            r.decided_by.clone(),
            r.decided_at
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Review>, Error> {
    let row = tx
        .row("SELECT * FROM review WHERE workspace_id = $1 AND id = $2", params![workspace, id])
        .await?;
    row.as_ref().map(read).transpose()
}

/// The one that waits for an answer.
pub async fn open_of(tx: &Tx, post: &str) -> Result<Option<Review>, Error> {
    let row =
        tx.row("SELECT * FROM review WHERE post_id = $1 AND state = 'open'", params![post]).await?;
    row.as_ref().map(read).transpose()
}

/// The latest yes to a post that still holds, of this stage or a later one.
pub async fn approved(tx: &Tx, post: &str, stage: Stage) -> Result<Option<Review>, Error> {
    let row = tx
        .row(
            "SELECT * FROM review WHERE post_id = $1 AND state = 'approved' AND stage IN ($2, 'client') \
             ORDER BY id DESC LIMIT 1",
            params![post, stage.as_str()],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Every review of a post, the latest first.
pub async fn of_post(tx: &Tx, post: &str) -> Result<Vec<Review>, Error> {
    let rows = tx
        .rows("SELECT * FROM review WHERE post_id = $1 ORDER BY id DESC LIMIT 100", params![post])
        .await?;
    rows.iter().map(read).collect()
}

/// Stage and state of a post's latest review, as one column of a statement that reads many posts:
/// `(SELECT review.stage || ' ' || review.state FROM review WHERE … ORDER BY review.id DESC LIMIT 1)`.
pub fn latest(row: &Row, column: &str) -> Result<Option<(Stage, ReviewState)>, Error> {
    let Some(words) = row.opt_text(column)? else { return Ok(None) };
    let (stage, state) = words.split_once(' ').unwrap_or((&words, ""));
    let corrupt = |e| Error::Corrupt(format!("`{column}`: {e}"));
    Ok(Some((stage.parse().map_err(corrupt)?, state.parse().map_err(corrupt)?)))
}

/// The latest review of each of these posts.
pub async fn latest_each(
    tx: &Tx,
    posts: impl IntoIterator<Item = &str>,
) -> Result<Vec<Option<Review>>, Error> {
    let posts: Vec<_> = posts.into_iter().map(|id| row![id]).collect();
    let found = tx
        .rows_each("SELECT * FROM review WHERE post_id = $1 ORDER BY id DESC LIMIT 1", &posts)
        .await?;
    found.iter().map(|rows| rows.first().map(read).transpose()).collect()
}

/// Those of a workspace that wait for an answer, the oldest first, after the cursor.
pub async fn waiting(
    tx: &Tx,
    workspace: &str,
    stage: Option<Stage>,
    after: &str,
    limit: i64,
) -> Result<Vec<Review>, Error> {
    let stage = stage.map_or("", Stage::as_str);
    let rows = tx
        .rows(
            "SELECT * FROM review WHERE workspace_id = $1 AND state = 'open' AND id > $2 AND ($3 = '' OR stage = $4) \
             ORDER BY id LIMIT $5",
            params![workspace, after, stage, stage, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many wait for an answer.
pub async fn count(tx: &Tx, workspace: &str) -> Result<i64, Error> {
    let sql = "SELECT count(*) AS n FROM review WHERE workspace_id = $1 AND state = 'open'";
    tx.row(sql, params![workspace]).await?.map_or(Ok(0), |r| r.int("n"))
}

/// Answers one that is open; `false` when somebody was quicker.
pub async fn decide(tx: &Tx, id: &str, to: ReviewState, by: &str, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE review SET state = $1, decided_by = $2, decided_at = $3 WHERE id = $4 AND state = 'open'",
            params![to.as_str(), by, now, id],
        )
        .await?;
    Ok(changed == 1)
}

/// What one is about from now on: part of it was exchanged within it.
pub async fn set_content(
    tx: &Tx,
    id: &str,
    content: &BTreeMap<String, String>,
    shown: &Shown,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE review SET content = $1, shown = $2 WHERE id = $3",
        params![store::json(content), store::json(shown), id],
    )
    .await?;
    Ok(())
}

/// Nothing that was said about a post, or asked, holds any more; how many there were.
pub async fn void(tx: &Tx, post: &str, why: &str, now: i64) -> Result<u64, Error> {
    tx.execute(
        "UPDATE review SET state = 'voided', why = $1, decided_at = coalesce(decided_at, $2) \
         WHERE post_id = $3 AND state IN ('open', 'approved')",
        params![why, now, post],
    )
    .await
}

/// The open one alone; how many there were.
pub async fn void_open(tx: &Tx, post: &str, why: &str, now: i64) -> Result<u64, Error> {
    tx.execute(
        "UPDATE review SET state = 'voided', why = $1, decided_at = $2 WHERE post_id = $3 AND state = 'open'",
        params![why, now, post],
    )
    .await
}

/// Posts of a workspace that something was asked or said about which still holds.
pub async fn standing(tx: &Tx, workspace: &str, limit: i64) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT DISTINCT post_id FROM review WHERE workspace_id = $1 AND state IN ('open', 'approved') \
             ORDER BY post_id LIMIT $2",
            params![workspace, limit],
        )
        .await?;
    rows.iter().map(|r| r.text("post_id")).collect()
}

/// Posts of a workspace with something in the queue, after this one, in order.
pub async fn queued(
    tx: &Tx,
    workspace: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT DISTINCT post_id FROM delivery WHERE workspace_id = $1 AND state = 'queued' AND post_id > $2 \
             ORDER BY post_id LIMIT $3",
            params![workspace, after, limit],
        )
        .await?;
    rows.iter().map(|r| r.text("post_id")).collect()
}

/// Posts of a workspace that nobody has answered about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub workspace_id: String,
    pub posts: i64,
    /// The first one's time.
    pub first: i64,
}

/// Per workspace: posts that were asked about, and are to go out before this.
pub async fn due(tx: &Tx, before: i64) -> Result<Vec<Due>, Error> {
    let rows = tx
        .rows(
            "SELECT review.workspace_id, COUNT(*) AS posts, MIN(post.scheduled_at) AS first FROM review \
             JOIN post ON post.id = review.post_id WHERE review.state = 'open' AND post.committed_at IS NOT NULL \
             AND post.deleted_at IS NULL AND post.paused_at IS NULL AND post.scheduled_at < $1 \
             GROUP BY review.workspace_id",
            params![before],
        )
        .await?;
    rows.iter()
        .map(|r| {
            Ok(Due {
                workspace_id: r.text("workspace_id")?,
                posts: r.int("posts")?,
                first: r.int("first")?,
            })
        })
        .collect()
}

/// Posts of a workspace that are planned and wait for an approval, after this one, in order.
pub async fn held_back(
    tx: &Tx,
    workspace: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT DISTINCT delivery.post_id FROM delivery JOIN post ON post.id = delivery.post_id \
             WHERE delivery.workspace_id = $1 AND delivery.state = 'draft' AND post.committed_at IS NOT NULL \
             AND post.deleted_at IS NULL AND delivery.post_id > $2 ORDER BY delivery.post_id LIMIT $3",
            params![workspace, after, limit],
        )
        .await?;
    rows.iter().map(|r| r.text("post_id")).collect()
}

/// Posts that have a medium, or an option that names it, and that something holds about.
pub async fn of_media(tx: &Tx, media: &str) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT DISTINCT post_id FROM review WHERE state IN ('open', 'approved') \
             AND post_id IN (SELECT post_id FROM media_use WHERE media_id = $1) ORDER BY post_id",
            params![media],
        )
        .await?;
    rows.iter().map(|r| r.text("post_id")).collect()
}

/// Something that was said in a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub id: String,
    pub at: i64,
    /// As `requested_by` of a review, or `client:<id of the link>`.
    pub author: String,
    pub text: String,
}

pub async fn say(tx: &Tx, review: &str, author: &str, text: &str, now: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO review_comment (id, review_id, at, author, text) VALUES ($1, $2, $3, $4, $5)",
        params![ids::new(now), review, now, author, text],
    )
    .await?;
    Ok(())
}

/// What was said in each of these reviews, the first word first.
pub async fn comments_each(tx: &Tx, reviews: &[Review]) -> Result<Vec<Vec<Comment>>, Error> {
    let ids: Vec<_> = reviews.iter().map(|r| row![&r.id]).collect();
    let found =
        tx.rows_each("SELECT * FROM review_comment WHERE review_id = $1 ORDER BY id", &ids).await?;
    let comment = |r: &Row| {
        Ok(Comment {
            id: r.text("id")?,
            at: r.int("at")?,
            author: r.text("author")?,
            text: r.text("text")?,
        })
    };
    found.iter().map(|rows| rows.iter().map(comment).collect()).collect()
}

fn read(r: &Row) -> Result<Review, Error> {
    Ok(Review {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        post_id: r.text("post_id")?,
        stage: r.word("stage")?,
        state: r.word("state")?,
        content: r.json("content")?,
        shown: r.json("shown")?,
        note: r.opt_text("note")?,
        requested_by: r.opt_text("requested_by")?,
        requested_at: r.int("requested_at")?,
        decided_by: r.opt_text("decided_by")?,
        decided_at: r.opt_int("decided_at")?,
        why: r.opt_text("why")?,
    })
}
