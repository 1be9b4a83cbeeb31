//! Campaigns and which posts are theirs.

use serde_json::Value as Json;

use super::posts::{self, Post};
use crate::db::{Error, Row, Tx};
use crate::domain::campaign::{CampaignKind, CampaignState};
use crate::domain::delivery::DeliveryState;
use crate::domain::review::{ReviewState, Stage};
use crate::store::reviews;
use crate::{params, store};

#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    pub id: String,
    pub workspace_id: String,
    pub kind: CampaignKind,
    pub name: String,
    /// What its posts were made from.
    pub form: Json,
    /// IANA name.
    pub timezone: String,
    pub state: CampaignState,
    /// The deliveries that cancelling it cancelled.
    pub cancelled: Vec<String>,
    pub created_at: i64,
    pub updated_at: i64,
}

pub async fn add(tx: &Tx, c: &Campaign) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO campaign (id, workspace_id, kind, name, form, timezone, state, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            &c.id,
            &c.workspace_id,
            c.kind.as_str(),
            &c.name,
            store::json(&c.form),
            &c.timezone,
            c.state.as_str(),
            c.created_at,
            c.updated_at
        ],
    )
    .await?;
    Ok(())
}

pub async fn save(tx: &Tx, c: &Campaign, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE campaign SET name = $1, form = $2, state = $3, cancelled = $4, updated_at = $5 WHERE id = $6",
        params![
            &c.name,
            store::json(&c.form),
            c.state.as_str(),
            store::json(&c.cancelled),
            now,
            &c.id
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Campaign>, Error> {
    let sql = "SELECT * FROM campaign WHERE workspace_id = $1 AND id = $2";
    let row = tx.row(sql, params![workspace, id]).await?;
    row.as_ref().map(read).transpose()
}

/// The same, kept for this transaction: whole campaigns are changed one after another.
pub async fn lock(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Campaign>, Error> {
    if !tx.is_postgres() {
        return find(tx, workspace, id).await;
    }
    let sql = "SELECT * FROM campaign WHERE workspace_id = $1 AND id = $2 FOR UPDATE";
    let row = tx.row(sql, params![workspace, id]).await?;
    row.as_ref().map(read).transpose()
}

/// Newest first, older than the cursor.
pub async fn list(
    tx: &Tx,
    workspace: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Campaign>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM campaign WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            params![workspace, before, limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Its posts in order of their times, those without one last.
pub async fn posts(tx: &Tx, campaign: &str) -> Result<Vec<Post>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM post WHERE campaign_id = $1 AND deleted_at IS NULL \
             ORDER BY coalesce(scheduled_at, 9000000000000), id",
            params![campaign],
        )
        .await?;
    rows.iter().map(posts::read).collect()
}

/// A delivery of a campaign's post, or a post that has none.
#[derive(Debug, Clone)]
pub struct Stand {
    pub post_id: String,
    pub committed: bool,
    pub scheduled_at: Option<i64>,
    pub state: Option<DeliveryState>,
    /// Of its latest review.
    pub review: Option<(Stage, ReviewState)>,
}

/// How far its posts are; what follows a delivery does not count.
pub async fn states(tx: &Tx, campaign: &str) -> Result<Vec<Stand>, Error> {
    let rows = tx
        .rows(
            "SELECT post.id, post.committed_at, post.scheduled_at, delivery.state, \
             (SELECT review.stage || ' ' || review.state FROM review WHERE review.post_id = post.id \
             ORDER BY review.id DESC LIMIT 1) AS review FROM post \
             LEFT JOIN delivery ON delivery.post_id = post.id AND delivery.parent_id IS NULL \
             WHERE post.campaign_id = $1 AND post.deleted_at IS NULL",
            params![campaign],
        )
        .await?;
    rows.iter()
        .map(|r| {
            let state = match r.opt_text("state")? {
                Some(_) => Some(r.word("state")?),
                None => None,
            };
            Ok(Stand {
                post_id: r.text("id")?,
                committed: r.opt_int("committed_at")?.is_some(),
                scheduled_at: r.opt_int("scheduled_at")?,
                state,
                review: reviews::latest(r, "review")?,
            })
        })
        .collect()
}

fn read(r: &Row) -> Result<Campaign, Error> {
    Ok(Campaign {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        kind: r.word("kind")?,
        name: r.text("name")?,
        form: r.json("form")?,
        timezone: r.text("timezone")?,
        state: r.word("state")?,
        cancelled: r.opt_json("cancelled")?.unwrap_or_default(),
        created_at: r.int("created_at")?,
        updated_at: r.int("updated_at")?,
    })
}
