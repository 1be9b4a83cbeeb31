//! What of media is kept: who uses it, what lies in the trash, older versions, and what it takes.

use super::media::{Media, read};
use super::posts::{self, Post};
use crate::db::{Error, Row, Tx};
use crate::params;

/// Posts that have a medium, or an option that names it; the newest first.
pub async fn uses(tx: &Tx, media: &str) -> Result<Vec<Post>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM post WHERE id IN (SELECT post_id FROM media_use WHERE media_id = $1) ORDER BY id DESC",
            params![media],
        )
        .await?;
    rows.iter().map(posts::read).collect()
}

/// Takes a medium out of the trash, if it is there.
pub async fn restore(tx: &Tx, workspace: &str, id: &str, now: i64) -> Result<Option<Media>, Error> {
    let row = tx
        .row(
            "UPDATE media SET deleted_at = NULL, updated_at = $1 WHERE workspace_id = $2 AND id = $3 \
             AND deleted_at IS NOT NULL AND purged_at IS NULL RETURNING *",
            params![now, workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Some that have lain in the trash since before this time, and that come after this one.
pub async fn trashed(tx: &Tx, before: i64, after: &str) -> Result<Vec<Media>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM media WHERE deleted_at < $1 AND purged_at IS NULL AND deleted_at IS NOT NULL AND id > $2 \
             ORDER BY id LIMIT 100",
            params![before, after],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Its files go now; `false` when it was taken out of the trash, or is gone already.
pub async fn purge(tx: &Tx, id: &str, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE media SET purged_at = $1 WHERE id = $2 AND deleted_at IS NOT NULL AND purged_at IS NULL",
            params![now, id],
        )
        .await?;
    if changed == 1 {
        tx.execute("DELETE FROM derivative WHERE media_id = $1", params![id]).await?;
        tx.execute("DELETE FROM media_version WHERE media_id = $1", params![id]).await?;
    }
    Ok(changed == 1)
}

/// Some whose files are kept, those in the trash among them, that come after this one.
pub async fn after(tx: &Tx, workspace: &str, after: &str) -> Result<Vec<Media>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM media WHERE workspace_id = $1 AND id > $2 AND purged_at IS NULL ORDER BY id LIMIT 1000",
            params![workspace, after],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Some that no post has, that nobody touched since this time, and that were in no post that was
/// deleted since; and that come after this one.
pub async fn idle(tx: &Tx, workspace: &str, since: i64, after: &str) -> Result<Vec<Media>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM media WHERE workspace_id = $1 AND id > $2 AND deleted_at IS NULL AND updated_at < $3 \
             AND NOT EXISTS (SELECT 1 FROM media_use WHERE media_use.media_id = media.id) \
             AND NOT EXISTS (SELECT 1 FROM post_media JOIN post ON post.id = post_media.post_id \
               WHERE post_media.media_id = media.id AND post.deleted_at >= $4) ORDER BY id LIMIT 100",
            params![workspace, after, since, since],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// May files of this id be there, as those of a medium or of an upload that becomes one?
pub async fn is_kept(tx: &Tx, id: &str) -> Result<bool, Error> {
    let row = tx
        .row(
            "SELECT id FROM media WHERE id = $1 AND purged_at IS NULL \
             UNION ALL SELECT id FROM upload WHERE id = $2 AND finished_at IS NULL",
            params![id, id],
        )
        .await?;
    Ok(row.is_some())
}

/// Bytes that media take, by what they are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    pub media: i64,
    pub pictures: i64,
    pub videos: i64,
    /// What was made of them.
    pub renditions: i64,
    /// Files that another took the place of.
    pub versions: i64,
    /// All of what is in the trash.
    pub trash: i64,
    /// What uploads that are under way may come to.
    pub uploads: i64,
}

impl Stock {
    pub fn bytes(&self) -> i64 {
        self.pictures + self.videos + self.renditions + self.versions + self.trash
    }
}

pub async fn stock(tx: &Tx, workspace: &str, now: i64) -> Result<Stock, Error> {
    let rows = tx
        .rows(
            "SELECT what, gone, count(*) AS n, CAST(coalesce(sum(bytes), 0) AS BIGINT) AS bytes FROM ( \
               SELECT CASE WHEN content_type LIKE 'video/%' THEN 'video' ELSE 'picture' END AS what, \
                 CASE WHEN deleted_at IS NULL THEN 'no' ELSE 'yes' END AS gone, bytes FROM media \
                 WHERE workspace_id = $1 AND purged_at IS NULL \
               UNION ALL SELECT 'rendition' AS what, CASE WHEN media.deleted_at IS NULL THEN 'no' ELSE 'yes' END AS gone, \
                 derivative.bytes FROM media JOIN derivative ON derivative.media_id = media.id \
                 WHERE media.workspace_id = $2 AND media.purged_at IS NULL \
               UNION ALL SELECT 'version' AS what, CASE WHEN media.deleted_at IS NULL THEN 'no' ELSE 'yes' END AS gone, \
                 media_version.bytes FROM media JOIN media_version ON media_version.media_id = media.id \
                 WHERE media.workspace_id = $3 AND media.purged_at IS NULL AND media_version.version <> media.version \
               UNION ALL SELECT 'upload' AS what, 'no' AS gone, length AS bytes FROM upload \
                 WHERE workspace_id = $4 AND finished_at IS NULL AND expires_at > $5 \
             ) AS kept GROUP BY what, gone",
            params![workspace, workspace, workspace, workspace, now],
        )
        .await?;
    let mut stock = Stock::default();
    for r in &rows {
        let (what, bytes, live) = (r.text("what")?, r.int("bytes")?, r.text("gone")? == "no");
        let of = match what.as_str() {
            _ if !live => &mut stock.trash,
            "upload" => &mut stock.uploads,
            "rendition" => &mut stock.renditions,
            "version" => &mut stock.versions,
            "video" => &mut stock.videos,
            _ => &mut stock.pictures,
        };
        *of += bytes;
        if live && matches!(what.as_str(), "picture" | "video") {
            stock.media += r.int("n")?;
        }
    }
    Ok(stock)
}

/// A file that a medium has, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub version: i64,
    pub content_type: String,
    pub bytes: i64,
    pub width: i64,
    pub height: i64,
    pub sha256: String,
    pub created_at: i64,
    pub actor: String,
}

/// Writes a version down; one that is known already stays as it is.
pub async fn add_version(tx: &Tx, media: &str, v: &Version) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO media_version (media_id, version, content_type, bytes, width, height, sha256, created_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (media_id, version) DO NOTHING",
        params![
            media, v.version, &v.content_type, v.bytes, v.width, v.height, &v.sha256, v.created_at, &v.actor
        ],
    )
    .await?;
    Ok(())
}

/// A number that no file of this medium had.
pub async fn next_version(tx: &Tx, media: &str) -> Result<i64, Error> {
    let row = tx
        .row(
            "UPDATE media SET versions = versions + 1 WHERE id = $1 RETURNING versions",
            params![media],
        )
        .await?;
    row.ok_or_else(|| Error::Corrupt("a medium of this unit of work is gone".into()))?
        .int("versions")
}

/// Forgets what is shown of a medium, until it is made of its present file.
pub async fn forget_shown(tx: &Tx, media: &str) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM derivative WHERE media_id = $1 AND kind NOT LIKE 'video%'",
        params![media],
    )
    .await?;
    Ok(())
}

/// Older files of media that nobody touched since this time: medium, number and bytes.
pub async fn old_versions(
    tx: &Tx,
    workspace: &str,
    since: i64,
) -> Result<Vec<(String, i64, i64)>, Error> {
    let rows = tx
        .rows(
            "SELECT media_version.media_id, media_version.version, media_version.bytes FROM media \
             JOIN media_version ON media_version.media_id = media.id WHERE media.workspace_id = $1 AND media.updated_at < $2 \
             AND media.purged_at IS NULL AND media_version.version <> media.version ORDER BY media.id, media_version.version",
            params![workspace, since],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("media_id")?, r.int("version")?, r.int("bytes")?))).collect()
}

/// Newest first; none of a medium that has its first file still.
pub async fn versions(tx: &Tx, media: &str) -> Result<Vec<Version>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM media_version WHERE media_id = $1 ORDER BY version DESC",
            params![media],
        )
        .await?;
    rows.iter().map(read_version).collect()
}

/// Forgets a version that is not the present one; the caller sees to its file.
pub async fn forget_version(tx: &Tx, media: &str, version: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "DELETE FROM media_version WHERE media_id = $1 AND version = $2 \
             AND version <> (SELECT media.version FROM media WHERE media.id = media_version.media_id)",
            params![media, version],
        )
        .await?;
    Ok(changed == 1)
}

/// Gives a medium this file. What was known of the one before is void.
pub async fn set_version(tx: &Tx, m: &Media, v: &Version, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE media SET version = $1, content_type = $2, bytes = $3, width = $4, height = $5, sha256 = $6, \
         state = 'pending', problem = NULL, facts = NULL, cut = NULL, frame = NULL, name = $7, updated_at = $8 WHERE id = $9",
        params![
            v.version, &v.content_type, v.bytes, v.width, v.height, &v.sha256, &m.name, now, &m.id
        ],
    )
    .await?;
    Ok(())
}

/// Has what was found about deliveries that are still to go out with a medium looked at again.
pub async fn check_again(tx: &Tx, media: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE delivery SET checked_at = NULL, warning = NULL WHERE state = 'queued' \
         AND post_id IN (SELECT post_id FROM media_use WHERE media_id = $1)",
        params![media],
    )
    .await?;
    Ok(())
}

fn read_version(r: &Row) -> Result<Version, Error> {
    Ok(Version {
        version: r.int("version")?,
        content_type: r.text("content_type")?,
        bytes: r.int("bytes")?,
        width: r.int("width")?,
        height: r.int("height")?,
        sha256: r.text("sha256")?,
        created_at: r.int("created_at")?,
        actor: r.text("actor")?,
    })
}
