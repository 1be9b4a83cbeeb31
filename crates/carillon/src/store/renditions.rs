//! The renditions of videos that networks are sent: rows of `derivative` whose kind begins with
//! `video`, asked for before they are made.

use super::media::{Made, read_made};
use crate::db::{Error, Tx};
use crate::domain::problem::Problem;
use crate::{params, store};

/// Asks for a rendition; `false` when it is asked for or there already.
pub async fn ask(tx: &Tx, media: &str, kind: &str, now: i64) -> Result<bool, Error> {
    let added = tx
        .execute(
            "INSERT INTO derivative (media_id, kind, width, height, bytes, state, progress, updated_at) \
             VALUES ($1, $2, 0, 0, 0, 'pending', 0, $3) ON CONFLICT (media_id, kind) DO NOTHING",
            params![media, kind, now],
        )
        .await?;
    Ok(added == 1)
}

pub async fn find(tx: &Tx, media: &str, kind: &str) -> Result<Option<Made>, Error> {
    let row = tx
        .row("SELECT * FROM derivative WHERE media_id = $1 AND kind = $2", params![media, kind])
        .await?;
    row.as_ref().map(read_made).transpose()
}

/// Writes how far it is, in percent; `false` when it is not to be made any more.
pub async fn progress(
    tx: &Tx,
    media: &str,
    kind: &str,
    percent: i64,
    now: i64,
) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE derivative SET state = 'processing', progress = $1, problem = NULL, updated_at = $2 \
             WHERE media_id = $3 AND kind = $4 AND state IN ('pending', 'processing') \
             AND EXISTS (SELECT 1 FROM media WHERE media.id = derivative.media_id AND media.deleted_at IS NULL)",
            params![percent, now, media, kind],
        )
        .await?;
    Ok(changed == 1)
}

/// It waits, and why, before it is tried again.
pub async fn waits(
    tx: &Tx,
    media: &str,
    kind: &str,
    problem: &Problem,
    now: i64,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE derivative SET state = 'pending', problem = $1, updated_at = $2 \
         WHERE media_id = $3 AND kind = $4 AND state IN ('pending', 'processing')",
        params![store::json(problem), now, media, kind],
    )
    .await?;
    Ok(())
}

pub async fn fail(
    tx: &Tx,
    media: &str,
    kind: &str,
    problem: &Problem,
    now: i64,
) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE derivative SET state = 'failed', problem = $1, updated_at = $2 \
             WHERE media_id = $3 AND kind = $4 AND state IN ('pending', 'processing')",
            params![store::json(problem), now, media, kind],
        )
        .await?;
    Ok(changed == 1)
}

/// Forgets a rendition, so that it can be asked for anew.
pub async fn forget(tx: &Tx, media: &str, kind: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM derivative WHERE media_id = $1 AND kind = $2", params![media, kind])
        .await?;
    Ok(())
}

/// Forgets all of a video; but for those that are `kept` when they are ready. What was forgotten.
pub async fn forget_all(tx: &Tx, media: &str, kept: bool) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "DELETE FROM derivative WHERE media_id = $1 AND kind LIKE 'video%' AND (state <> 'ready' OR $2 = 0) \
             RETURNING kind",
            params![media, i64::from(kept)],
        )
        .await?;
    rows.iter().map(|r| r.text("kind")).collect()
}

/// Where deliveries that are still to go out put this medium: network and placement, each once.
pub async fn wanted(tx: &Tx, media: &str) -> Result<Vec<(String, String)>, Error> {
    let rows = tx
        .rows(
            "SELECT DISTINCT delivery.network, delivery.placement FROM post_media \
             JOIN post ON post.id = post_media.post_id JOIN delivery ON delivery.post_id = post.id \
             WHERE post_media.media_id = $1 AND post.deleted_at IS NULL AND delivery.parent_id IS NULL \
             AND delivery.state IN ('queued', 'sending', 'waiting', 'unknown', 'held') \
             ORDER BY delivery.network, delivery.placement",
            params![media],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("network")?, r.text("placement")?))).collect()
}

/// Is something of it at a network, or may it be, with the outcome still to come?
pub async fn under_way(tx: &Tx, media: &str) -> Result<bool, Error> {
    let row = tx
        .row(
            "SELECT delivery.id FROM post_media JOIN delivery ON delivery.post_id = post_media.post_id \
             WHERE post_media.media_id = $1 AND delivery.parent_id IS NULL \
             AND (delivery.state IN ('sending', 'waiting', 'unknown') \
               OR (delivery.state = 'queued' AND delivery.checkpoints <> '{}')) LIMIT 1",
            params![media],
        )
        .await?;
    Ok(row.is_some())
}

/// Renditions last touched before this time that are not made and that no job looks after: medium,
/// workspace and kind.
pub async fn stranded(tx: &Tx, before: i64) -> Result<Vec<(String, String, String)>, Error> {
    let rows = tx
        .rows(
            "SELECT derivative.media_id, derivative.kind, media.workspace_id FROM derivative \
             JOIN media ON media.id = derivative.media_id \
             WHERE derivative.state IN ('pending', 'processing') AND derivative.updated_at < $1 \
             AND media.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM job \
               WHERE job.subject = derivative.media_id || '/' || derivative.kind AND job.state IN ('ready', 'leased')) \
             ORDER BY derivative.updated_at LIMIT 1000",
            params![before],
        )
        .await?;
    rows.iter()
        .map(|r| Ok((r.text("media_id")?, r.text("workspace_id")?, r.text("kind")?)))
        .collect()
}
