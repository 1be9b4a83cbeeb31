//! Posts: what a person wrote, and when it is to go out.

use crate::db::{Error, Row, Tx};
use crate::domain::post::Part;
use crate::{params, row};

/// What a post is part of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Belongs {
    pub campaign_id: Option<String>,
    /// Which of its campaign's it is: `D-7`, `Launch`.
    pub slot: Option<String>,
    pub series_id: Option<String>,
    /// Of a series: the wall-clock time that it stands for, wherever it was moved.
    pub occurrence: Option<String>,
    /// Since then it no longer follows its series: somebody changed it by itself.
    pub detached_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    pub id: String,
    pub workspace_id: String,
    pub text: String,
    pub title: Option<String>,
    /// The parts after the first that its deliveries share; `None` in one from before they were kept.
    pub thread: Option<Vec<Part>>,
    /// `None` while it is a draft.
    pub committed_at: Option<i64>,
    pub scheduled_at: Option<i64>,
    pub timezone: String,
    /// Grows with every change; an edit names the one it was made from.
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub belongs: Belongs,
    /// Since then nothing of it goes out: its campaign or series is paused.
    pub paused_at: Option<i64>,
    /// Who wrote what it says now: `account:<id>`, `key:<id>`, `operator`.
    pub written_by: Option<String>,
    pub written_at: i64,
}

pub async fn add(tx: &Tx, p: &Post) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO post (id, workspace_id, text, title, thread, committed_at, scheduled_at, timezone, version, \
         created_at, updated_at, written_by, written_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        params![
            &p.id,
            &p.workspace_id,
            &p.text,
            p.title.clone(),
            p.thread.as_ref().map(super::json),
            p.committed_at,
            p.scheduled_at,
            &p.timezone,
            p.version,
            p.created_at,
            p.updated_at,
            p.written_by.clone(),
            p.written_at
        ],
    )
    .await?;
    let b = &p.belongs;
    if *b != Belongs::default() {
        tx.execute(
            "UPDATE post SET campaign_id = $1, slot = $2, series_id = $3, occurrence = $4 WHERE id = $5",
            params![
                b.campaign_id.clone(),
                b.slot.clone(),
                b.series_id.clone(),
                b.occurrence.clone(),
                &p.id
            ],
        )
        .await?;
    }
    Ok(())
}

/// From now on it no longer follows its series, if it is part of one.
pub async fn detach(tx: &Tx, id: &str, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE post SET detached_at = $1 WHERE id = $2 AND series_id IS NOT NULL AND detached_at IS NULL",
        params![now, id],
    )
    .await?;
    Ok(())
}

/// Nothing of it goes out from now on, or (`None`) it may again. What waits is not touched here.
pub async fn set_paused(tx: &Tx, id: &str, at: Option<i64>) -> Result<(), Error> {
    tx.execute("UPDATE post SET paused_at = $1 WHERE id = $2", params![at, id]).await?;
    Ok(())
}

/// Writes a change made from `p.version`; `false` when somebody else was quicker.
pub async fn save(tx: &Tx, p: &Post, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE post SET text = $1, title = $2, thread = $3, committed_at = $4, scheduled_at = $5, timezone = $6, \
             written_by = $7, written_at = $8, version = version + 1, updated_at = $9 \
             WHERE id = $10 AND workspace_id = $11 AND version = $12 AND deleted_at IS NULL",
            params![
                &p.text,
                p.title.clone(),
                p.thread.as_ref().map(super::json),
                p.committed_at,
                p.scheduled_at,
                &p.timezone,
                p.written_by.clone(),
                p.written_at,
                now,
                &p.id,
                &p.workspace_id,
                p.version
            ],
        )
        .await?;
    Ok(changed == 1)
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Post>, Error> {
    let row = tx
        .row(
            "SELECT * FROM post WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
            params![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// By id alone, for a worker. Deleted ones too.
pub async fn load(tx: &Tx, id: &str) -> Result<Option<Post>, Error> {
    Ok(load_each(tx, [id]).await?.pop().flatten())
}

pub async fn load_each(
    tx: &Tx,
    ids: impl IntoIterator<Item = &str>,
) -> Result<Vec<Option<Post>>, Error> {
    let ids: Vec<_> = ids.into_iter().map(|id| row![id]).collect();
    let found = tx.rows_each("SELECT * FROM post WHERE id = $1", &ids).await?;
    found.iter().map(|rows| rows.first().map(read).transpose()).collect()
}

/// Posts due in `[from, to)`, by time, after the cursor `(scheduled_at, id)`.
pub async fn between(
    tx: &Tx,
    workspace: &str,
    from: i64,
    to: i64,
    after: (i64, &str),
    limit: i64,
) -> Result<Vec<Post>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM post WHERE workspace_id = $1 AND scheduled_at >= $2 AND scheduled_at < $3 \
             AND deleted_at IS NULL AND (scheduled_at > $4 OR (scheduled_at = $5 AND id > $6)) \
             ORDER BY scheduled_at, id LIMIT $7",
            params![workspace, from, to, after.0, after.0, after.1, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Drafts without a time, newest first, older than the cursor.
pub async fn undated(
    tx: &Tx,
    workspace: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Post>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM post WHERE workspace_id = $1 AND scheduled_at IS NULL AND deleted_at IS NULL AND id < $2 \
             ORDER BY id DESC LIMIT $3",
            params![workspace, before, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Posts that hold `like` (see `calendar::pattern`) in text or title, newest first, older than the
/// cursor.
pub async fn saying(
    tx: &Tx,
    workspace: &str,
    like: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Post>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM post WHERE workspace_id = $1 AND deleted_at IS NULL \
             AND (lower(text) LIKE $2 ESCAPE '!' OR lower(title) LIKE $3 ESCAPE '!') AND id < $4 \
             ORDER BY id DESC LIMIT $5",
            params![workspace, like, like, before, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Replaces the media of a post, in this order.
pub async fn set_media(tx: &Tx, post: &str, media: &[String]) -> Result<(), Error> {
    tx.execute("DELETE FROM post_media WHERE post_id = $1", params![post]).await?;
    for (position, id) in media.iter().enumerate() {
        tx.execute(
            "INSERT INTO post_media (post_id, position, media_id) VALUES ($1, $2, $3)",
            params![post, position as i64, id],
        )
        .await?;
    }
    Ok(())
}

pub(super) fn read(r: &Row) -> Result<Post, Error> {
    Ok(Post {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        text: r.text("text")?,
        title: r.opt_text("title")?,
        thread: r.opt_json("thread")?,
        committed_at: r.opt_int("committed_at")?,
        scheduled_at: r.opt_int("scheduled_at")?,
        timezone: r.text("timezone")?,
        version: r.int("version")?,
        created_at: r.int("created_at")?,
        updated_at: r.int("updated_at")?,
        belongs: Belongs {
            campaign_id: r.opt_text("campaign_id")?,
            slot: r.opt_text("slot")?,
            series_id: r.opt_text("series_id")?,
            occurrence: r.opt_text("occurrence")?,
            detached_at: r.opt_int("detached_at")?,
        },
        paused_at: r.opt_int("paused_at")?,
        written_by: r.opt_text("written_by")?,
        written_at: r.opt_int("written_at")?.map_or_else(|| r.int("created_at"), Ok)?,
    })
}
