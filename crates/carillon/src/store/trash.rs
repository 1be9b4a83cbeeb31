//! Posts in the trash: deleted, and kept for a while with what their deletion cancelled.

use std::collections::BTreeMap;

use super::posts::{self, Post};
use crate::db::{Error, Row, Tx};
use crate::domain::delivery::DeliveryState;
use crate::{params, store};

/// A post in the trash.
#[derive(Debug, Clone)]
pub struct Trashed {
    pub post: Post,
    /// ms UTC
    pub at: i64,
    /// `None`: the work of a series.
    pub by: Option<String>,
    /// The deliveries that its deletion cancelled, with the state that each was in.
    pub closed: BTreeMap<String, DeliveryState>,
}

pub async fn put(
    tx: &Tx,
    post: &Post,
    by: Option<&str>,
    closed: &BTreeMap<String, DeliveryState>,
    now: i64,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE post SET deleted_at = $1, deleted_by = $2, closed = $3 WHERE id = $4 AND deleted_at IS NULL",
        params![now, by, store::json(closed), &post.id],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Trashed>, Error> {
    let row = tx
        .row(
            "SELECT * FROM post WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NOT NULL",
            params![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// What was deleted after `since` and before the cursor `(at, id)`, newest first.
pub async fn list(
    tx: &Tx,
    workspace: &str,
    since: i64,
    before: (i64, &str),
    limit: i64,
) -> Result<Vec<Trashed>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM post WHERE workspace_id = $1 AND deleted_at > $2 AND deleted_at <= $3 \
             AND (deleted_at < $4 OR id < $5) ORDER BY deleted_at DESC, id DESC LIMIT $6",
            params![workspace, since, before.0, before.0, before.1, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Takes a post out, with its new life; `false` when it is not there any more.
pub async fn take_out(tx: &Tx, p: &Post, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE post SET deleted_at = NULL, deleted_by = NULL, closed = NULL, committed_at = $1, paused_at = $2, \
             version = version + 1, updated_at = $3 WHERE id = $4 AND deleted_at IS NOT NULL",
            params![p.committed_at, p.paused_at, now, &p.id],
        )
        .await?;
    Ok(changed == 1)
}

/// Some that were deleted before this time, of all workspaces.
pub async fn due(tx: &Tx, before: i64) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT id FROM post WHERE deleted_at <= $1 ORDER BY deleted_at, id LIMIT 100",
            params![before],
        )
        .await?;
    rows.iter().map(|r| r.text("id")).collect()
}

/// Deletes one for good with all that is of it; `false` when it is not there any more.
pub async fn purge(tx: &Tx, id: &str) -> Result<bool, Error> {
    // First, so that on PostgreSQL nobody takes it out meanwhile.
    let ours = tx
        .execute(
            "UPDATE post SET closed = NULL WHERE id = $1 AND deleted_at IS NOT NULL",
            params![id],
        )
        .await?;
    if ours == 0 {
        return Ok(false);
    }
    let of_deliveries =
        "DELETE FROM attempt WHERE delivery_id IN (SELECT id FROM delivery WHERE post_id = $1)";
    tx.execute(of_deliveries, params![id]).await?;
    let of_reviews =
        "DELETE FROM review_comment WHERE review_id IN (SELECT id FROM review WHERE post_id = $1)";
    tx.execute(of_reviews, params![id]).await?;
    tx.execute("DELETE FROM delivery WHERE post_id = $1", params![id]).await?;
    tx.execute("DELETE FROM review WHERE post_id = $1", params![id]).await?;
    tx.execute("DELETE FROM review_link_post WHERE post_id = $1", params![id]).await?;
    tx.execute("DELETE FROM post_media WHERE post_id = $1", params![id]).await?;
    tx.execute("DELETE FROM post_version WHERE post_id = $1", params![id]).await?;
    tx.execute("DELETE FROM post_lock WHERE post_id = $1", params![id]).await?;
    tx.execute("DELETE FROM post WHERE id = $1", params![id]).await?;
    Ok(true)
}

fn read(r: &Row) -> Result<Trashed, Error> {
    Ok(Trashed {
        post: posts::read(r)?,
        at: r.int("deleted_at")?,
        by: r.opt_text("deleted_by")?,
        closed: r.opt_json("closed")?.unwrap_or_default(),
    })
}
