//! Media and their derivatives; the bytes are in the blob store.

use crate::db::{Error, Row, Tx};
use crate::domain::frame::Frame;
use crate::domain::problem::Problem;
use crate::domain::video::{Cut, VideoFacts};
use crate::{params, row, store, words};

words! {
    pub enum MediaState {
        Pending = "pending",
        Processing = "processing",
        /// Every derivative of a picture exists; of a video what is shown of it, while what
        /// networks are sent is made as it is needed.
        Ready = "ready",
        Failed = "failed",
    }
}

#[derive(Debug, Clone)]
pub struct Media {
    pub id: String,
    pub workspace_id: String,
    pub name: String,
    pub alt: String,
    pub content_type: String,
    pub bytes: i64,
    pub width: i64,
    pub height: i64,
    pub sha256: String,
    pub state: MediaState,
    pub problem: Option<Problem>,
    /// Of a video that was looked into.
    pub facts: Option<VideoFacts>,
    /// What goes out of a video.
    pub cut: Cut,
    /// What of a picture is shown where it has another shape.
    pub frame: Frame,
    /// Between spaces, as are words.
    pub tags: String,
    /// What it is found by; empty until it is in the index.
    pub words: String,
    /// The number of its present file.
    pub version: i64,
    pub created_at: i64,
    /// Since when it is in the trash.
    pub deleted_at: Option<i64>,
}

impl Media {
    pub fn is_video(&self) -> bool {
        self.content_type.starts_with("video/")
    }

    /// How many renditions all of its kind have.
    fn needed(&self) -> i64 {
        if self.is_video() { 2 } else { 5 }
    }

    /// What its present file is called among its blobs.
    pub fn original(&self) -> String {
        original(self.version)
    }

    /// What people call it.
    pub fn noun(&self) -> &'static str {
        if self.is_video() { "video" } else { "picture" }
    }
}

/// What the file of a version is called among a medium's blobs.
pub fn original(version: i64) -> String {
    if version == 1 { "original".to_owned() } else { format!("original-{version}") }
}

/// A rendition made of a medium; of a video one may still be in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `square`, `story`, `landscape`, `thumb`; of a video also `poster` and `video…`
    pub kind: String,
    /// 0 until it is ready, as are height and bytes.
    pub width: i64,
    pub height: i64,
    pub bytes: i64,
    pub state: MediaState,
    /// Percent.
    pub progress: i64,
    /// Why there is none; of one that is ready, what is to be known of it.
    pub problem: Option<Problem>,
}

impl Made {
    pub fn ready(kind: &str, width: i64, height: i64, bytes: i64) -> Self {
        let (state, progress, problem) = (MediaState::Ready, 100, None);
        Self { kind: kind.to_owned(), width, height, bytes, state, progress, problem }
    }

    pub fn is_ready(&self) -> bool {
        self.state == MediaState::Ready
    }
}

pub async fn add(tx: &Tx, m: &Media) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO media (id, workspace_id, name, alt, content_type, bytes, width, height, sha256, state, lacks, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        params![
            &m.id,
            &m.workspace_id,
            &m.name,
            &m.alt,
            &m.content_type,
            m.bytes,
            m.width,
            m.height,
            &m.sha256,
            m.state.as_str(),
            m.needed(),
            m.created_at,
            m.created_at
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Media>, Error> {
    let row = tx
        .row(
            "SELECT * FROM media WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
            params![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Some of those with this name that are not in the trash, the newest first.
pub async fn named(tx: &Tx, workspace: &str, name: &str) -> Result<Vec<Media>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM media WHERE workspace_id = $1 AND name = $2 AND deleted_at IS NULL ORDER BY id DESC LIMIT 5",
            params![workspace, name],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many a workspace has.
pub async fn count(tx: &Tx, workspace: &str) -> Result<i64, Error> {
    let sql = "SELECT count(*) AS n FROM media WHERE workspace_id = $1";
    tx.row(sql, params![workspace]).await?.map_or(Ok(0), |row| row.int("n"))
}

/// By id alone, for a worker.
pub async fn load(tx: &Tx, id: &str) -> Result<Option<Media>, Error> {
    let row =
        tx.row("SELECT * FROM media WHERE id = $1 AND deleted_at IS NULL", params![id]).await?;
    row.as_ref().map(read).transpose()
}

/// One that may lie in the trash, or be gone for good.
pub async fn of_any(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Media>, Error> {
    let sql = "SELECT * FROM media WHERE workspace_id = $1 AND id = $2";
    tx.row(sql, params![workspace, id]).await?.as_ref().map(read).transpose()
}

/// By id alone, while its files are kept: one in the trash, too.
pub async fn kept(tx: &Tx, id: &str) -> Result<Option<Media>, Error> {
    let row =
        tx.row("SELECT * FROM media WHERE id = $1 AND purged_at IS NULL", params![id]).await?;
    row.as_ref().map(read).transpose()
}

/// One that is not in the trash, for this transaction to change: on PostgreSQL others wait for its end.
pub async fn lock(tx: &Tx, workspace: &str, id: &str, now: i64) -> Result<Option<Media>, Error> {
    let row = tx
        .row(
            "UPDATE media SET updated_at = $1 WHERE workspace_id = $2 AND id = $3 AND deleted_at IS NULL RETURNING *",
            params![now, workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The media of a post, in its order.
pub async fn of_post(tx: &Tx, post: &str) -> Result<Vec<Media>, Error> {
    Ok(of_each(tx, [post]).await?.pop().unwrap_or_default())
}

/// The media of each of these posts, in order.
pub async fn of_each(
    tx: &Tx,
    posts: impl IntoIterator<Item = &str>,
) -> Result<Vec<Vec<Media>>, Error> {
    let posts: Vec<_> = posts.into_iter().map(|id| row![id]).collect();
    let found = tx
        .rows_each(
            "SELECT media.* FROM post_media JOIN media ON media.id = post_media.media_id WHERE post_media.post_id = $1 \
             ORDER BY post_media.position",
            &posts,
        )
        .await?;
    found.iter().map(|rows| rows.iter().map(read).collect()).collect()
}

/// Writes its name, description and tags.
pub async fn describe(tx: &Tx, m: &Media, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE media SET name = $1, alt = $2, tags = $3, updated_at = $4 WHERE id = $5",
        params![&m.name, &m.alt, &m.tags, now, &m.id],
    )
    .await?;
    Ok(())
}

/// What looking into a video has brought.
pub async fn learn(
    tx: &Tx,
    id: &str,
    (width, height): (i64, i64),
    facts: &VideoFacts,
    now: i64,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE media SET width = $1, height = $2, facts = $3, updated_at = $4 WHERE id = $5",
        params![width, height, store::json(facts), now, id],
    )
    .await?;
    Ok(())
}

pub async fn set_cut(tx: &Tx, id: &str, cut: &Cut, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE media SET cut = $1, updated_at = $2 WHERE id = $3",
        params![store::json(cut), now, id],
    )
    .await?;
    Ok(())
}

pub async fn set_frame(tx: &Tx, id: &str, frame: &Frame, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE media SET frame = $1, updated_at = $2 WHERE id = $3",
        params![store::json(frame), now, id],
    )
    .await?;
    Ok(())
}

/// Makes it ready; the database refuses while a rendition is missing that all of its kind have.
pub async fn ready(tx: &Tx, m: &Media, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE media SET state = 'ready', problem = NULL, updated_at = $1, lacks = $2 - (SELECT count(*) FROM derivative \
         WHERE derivative.media_id = media.id AND derivative.state = 'ready' \
         AND derivative.kind IN ('full', 'thumb', 'square', 'story', 'landscape', 'poster')) WHERE id = $3",
        params![now, m.needed(), &m.id],
    )
    .await?;
    Ok(())
}

/// Any state but `ready`, which has its own way.
pub async fn set_state(
    tx: &Tx,
    id: &str,
    state: MediaState,
    problem: Option<&Problem>,
    now: i64,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE media SET state = $1, problem = $2, updated_at = $3 WHERE id = $4",
        params![state.as_str(), problem.map(store::json), now, id],
    )
    .await?;
    Ok(())
}

/// Media last touched before this time, never finished, that no job looks after.
pub async fn stranded(tx: &Tx, before: i64) -> Result<Vec<Media>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM media WHERE state IN ('pending', 'processing') AND updated_at < $1 AND deleted_at IS NULL \
             AND NOT EXISTS (SELECT 1 FROM job WHERE job.subject = media.id AND job.state IN ('ready', 'leased')) \
             ORDER BY updated_at LIMIT 1000",
            params![before],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Takes pending media under way; `false` when nothing is to be done for it.
pub async fn begin(tx: &Tx, id: &str, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE media SET state = 'processing', updated_at = $1 \
             WHERE id = $2 AND state IN ('pending', 'processing') AND deleted_at IS NULL",
            params![now, id],
        )
        .await?;
    Ok(changed == 1)
}

/// Puts it into the trash. Its row is the caller's ([`lock`]).
pub async fn delete(tx: &Tx, id: &str, now: i64) -> Result<(), Error> {
    tx.execute("UPDATE media SET deleted_at = $1 WHERE id = $2", params![now, id]).await?;
    Ok(())
}

pub async fn made(tx: &Tx, id: &str, made: &Made, now: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO derivative (media_id, kind, width, height, bytes, state, progress, problem, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (media_id, kind) DO UPDATE SET width = excluded.width, height = excluded.height, \
           bytes = excluded.bytes, state = excluded.state, progress = excluded.progress, \
           problem = excluded.problem, updated_at = excluded.updated_at",
        params![
            id,
            &made.kind,
            made.width,
            made.height,
            made.bytes,
            made.state.as_str(),
            made.progress,
            made.problem.as_ref().map(store::json),
            now
        ],
    )
    .await?;
    Ok(())
}

pub async fn derivatives(tx: &Tx, id: &str) -> Result<Vec<Made>, Error> {
    let rows =
        tx.rows("SELECT * FROM derivative WHERE media_id = $1 ORDER BY kind", params![id]).await?;
    rows.iter().map(read_made).collect()
}

/// The derivatives of each of these media.
pub async fn derivatives_of_each(tx: &Tx, media: &[Media]) -> Result<Vec<Vec<Made>>, Error> {
    let ids: Vec<_> = media.iter().map(|m| row![&m.id]).collect();
    let found =
        tx.rows_each("SELECT * FROM derivative WHERE media_id = $1 ORDER BY kind", &ids).await?;
    found.iter().map(|rows| rows.iter().map(read_made).collect()).collect()
}

pub(super) fn read_made(r: &Row) -> Result<Made, Error> {
    Ok(Made {
        kind: r.text("kind")?,
        width: r.int("width")?,
        height: r.int("height")?,
        bytes: r.int("bytes")?,
        state: r.word("state")?,
        progress: r.int("progress")?,
        problem: r.opt_json("problem")?,
    })
}

pub(super) fn read(r: &Row) -> Result<Media, Error> {
    Ok(Media {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        name: r.text("name")?,
        alt: r.text("alt")?,
        content_type: r.text("content_type")?,
        bytes: r.int("bytes")?,
        width: r.int("width")?,
        height: r.int("height")?,
        sha256: r.text("sha256")?,
        state: r.word("state")?,
        problem: r.opt_json("problem")?,
        facts: r.opt_json("facts")?,
        cut: r.opt_json("cut")?.unwrap_or_default(),
        frame: r.opt_json("frame")?.unwrap_or_default(),
        tags: r.text("tags")?,
        words: r.text("words")?,
        version: r.int("version")?,
        created_at: r.int("created_at")?,
        deleted_at: r.opt_int("deleted_at")?,
    })
}
