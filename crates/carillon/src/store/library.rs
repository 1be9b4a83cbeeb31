//! What media are found by. A word of `media_word` leads to its media; the row of a medium has all of
//! its own (`words`), against which the other words of a question are held.

use std::collections::BTreeSet;

use super::media::{self, Media, read};
use crate::db::{Error, Tx};
use crate::{params, row};

/// A range of words, and the same as a pattern over `words`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    pub from: String,
    pub until: String,
    pub like: String,
}

/// Most words of one question.
pub const WORDS_MAX: usize = 8;

/// Which media; an empty one means all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// All of these, at most [`WORDS_MAX`].
    pub words: Vec<Sought>,
    /// That no post has.
    pub unused: bool,
    pub failed: bool,
    /// In the trash, instead of those that are not.
    pub trash: bool,
}

/// Has a medium found by these words from now on. Its row is the caller's ([`media::lock`]).
///
/// [`media::lock`]: super::media::lock
pub async fn index(tx: &Tx, m: &Media, words: &str) -> Result<(), Error> {
    let (old, new) = (set(&m.words), set(words));
    forget(tx, m, old.difference(&new).copied().collect()).await?;
    let add: Vec<_> = new.difference(&old).map(|w| row![&m.workspace_id, *w, &m.id]).collect();
    if !add.is_empty() {
        tx.execute_each(
            "INSERT INTO media_word (workspace_id, word, media_id) VALUES ($1, $2, $3)",
            &add,
        )
        .await?;
    }
    tx.execute("UPDATE media SET words = $1 WHERE id = $2", params![words, &m.id]).await?;
    Ok(())
}

/// Has it found no more, while it keeps its words: in the trash.
pub async fn hide(tx: &Tx, m: &Media) -> Result<(), Error> {
    forget(tx, m, set(&m.words)).await
}

fn set(words: &str) -> BTreeSet<&str> {
    words.split_whitespace().collect()
}

async fn forget(tx: &Tx, m: &Media, words: BTreeSet<&str>) -> Result<(), Error> {
    for word in words {
        tx.execute(
            "DELETE FROM media_word WHERE workspace_id = $1 AND word = $2 AND media_id = $3",
            params![&m.workspace_id, word, &m.id],
        )
        .await?;
    }
    Ok(())
}

/// Some media that are in no index yet.
pub async fn unindexed(tx: &Tx, limit: i64) -> Result<Vec<Media>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM media WHERE words = '' AND deleted_at IS NULL ORDER BY id LIMIT $1",
            params![limit],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many media a word leads to, counted up to `most`.
async fn hits(tx: &Tx, workspace: &str, word: &Sought, most: i64) -> Result<i64, Error> {
    let row = tx
        .row(
            "SELECT count(*) AS n FROM (SELECT 1 AS hit FROM media_word WHERE workspace_id = $1 AND word >= $2 AND word < $3 \
             LIMIT $4) AS hits",
            params![workspace, &word.from, &word.until, most],
        )
        .await?;
    row.map_or(Ok(0), |r| r.int("n"))
}

/// A word that leads to fewer media than this leads the question: to look so many up takes no longer
/// than to pass those that are newer than a page of them.
const FEW: i64 = 1_500;
/// Hits are counted up to here: how common a commoner word is makes no difference.
const MANY: i64 = 30_000;
/// What it costs to look a medium up that a word leads to, in media that are passed on the way from
/// the newest one back.
const LOOKED_UP: f64 = 2.5;

/// The rarest word, if it is rare.
async fn rare<'a>(
    tx: &Tx,
    workspace: &str,
    words: &'a [Sought],
) -> Result<Option<&'a Sought>, Error> {
    let (mut least, mut rarest) = (FEW, None);
    for word in words {
        let hits = hits(tx, workspace, word, least).await?;
        if hits < least {
            (least, rarest) = (hits, Some(word));
        }
    }
    Ok(rarest)
}

/// Of common words the one that leads to the media asked for; `None` where enough of them are met
/// sooner on the way from the newest one back.
async fn leading<'a>(
    tx: &Tx,
    workspace: &str,
    words: &'a [Sought],
    limit: i64,
) -> Result<Option<&'a Sought>, Error> {
    let mut counted = Vec::with_capacity(words.len());
    for word in words {
        counted.push((hits(tx, workspace, word, MANY).await?, word));
    }
    let Some(&(least, rarest)) = counted.iter().min_by_key(|(hits, _)| *hits) else {
        return Ok(None);
    };
    let all = media::count(tx, workspace).await? as f64;
    let passed = counted.iter().fold(limit as f64, |passed, (hits, _)| passed * all / *hits as f64);
    Ok((least as f64 * LOOKED_UP < passed.min(all)).then_some(rarest))
}

/// Newest first, `limit` of those older than `before`.
pub async fn find(
    tx: &Tx,
    workspace: &str,
    filter: &Filter,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Media>, Error> {
    let before = before.unwrap_or("g");
    let like = |n: usize| filter.words.get(n).map_or("%", |word| word.like.as_str());
    let (trash, failed, unused) =
        (i64::from(filter.trash), i64::from(filter.failed), i64::from(filter.unused));
    let mut rarest = match filter.trash {
        true => None,
        false => rare(tx, workspace, &filter.words).await?,
    };
    if rarest.is_none() && !filter.trash && !filter.words.is_empty() {
        // What is said of many media is mostly said of some new ones.
        let rows = tx
            .rows(
                "SELECT * FROM (SELECT * FROM media WHERE workspace_id = $1 AND id < $2 AND deleted_at IS NULL ORDER BY id DESC LIMIT 5000) AS newest \
                 WHERE words LIKE $3 AND words LIKE $4 AND words LIKE $5 AND words LIKE $6 AND words LIKE $7 AND words LIKE $8 \
                 AND words LIKE $9 AND words LIKE $10 AND ($11 = 0 OR state = 'failed') \
                 AND ($12 = 0 OR NOT EXISTS (SELECT 1 FROM media_use WHERE media_use.media_id = newest.id)) \
                 ORDER BY id DESC LIMIT $13",
                params![
                    workspace, before, like(0), like(1), like(2), like(3), like(4), like(5), like(6), like(7), failed,
                    unused, limit
                ],
            )
            .await?;
        if rows.len() as i64 == limit {
            return rows.iter().map(read).collect();
        }
        rarest = leading(tx, workspace, &filter.words, limit).await?;
    }
    let rows = match rarest {
        Some(word) => {
            tx.rows(
                "SELECT * FROM media WHERE workspace_id = $1 AND id < $2 AND deleted_at IS NULL \
                 AND id IN (SELECT media_id FROM media_word WHERE workspace_id = $3 AND word >= $4 AND word < $5) \
                 AND words LIKE $6 AND words LIKE $7 AND words LIKE $8 AND words LIKE $9 AND words LIKE $10 AND words LIKE $11 \
                 AND words LIKE $12 AND words LIKE $13 AND ($14 = 0 OR state = 'failed') \
                 AND ($15 = 0 OR NOT EXISTS (SELECT 1 FROM media_use WHERE media_use.media_id = media.id)) \
                 ORDER BY id DESC LIMIT $16",
                params![
                    workspace, before, workspace, &word.from, &word.until, like(0), like(1), like(2), like(3), like(4),
                    like(5), like(6), like(7), failed, unused, limit
                ],
            )
            .await?
        }
        None => {
            tx.rows(
                "SELECT * FROM media WHERE workspace_id = $1 AND id < $2 AND purged_at IS NULL \
                 AND ((deleted_at IS NULL AND $3 = 0) OR (deleted_at IS NOT NULL AND $4 = 1)) \
                 AND words LIKE $5 AND words LIKE $6 AND words LIKE $7 AND words LIKE $8 AND words LIKE $9 AND words LIKE $10 \
                 AND words LIKE $11 AND words LIKE $12 AND ($13 = 0 OR state = 'failed') \
                 AND ($14 = 0 OR NOT EXISTS (SELECT 1 FROM media_use WHERE media_use.media_id = media.id)) \
                 ORDER BY id DESC LIMIT $15",
                params![
                    workspace, before, trash, trash, like(0), like(1), like(2), like(3), like(4), like(5), like(6),
                    like(7), failed, unused, limit
                ],
            )
            .await?
        }
    };
    rows.iter().map(read).collect()
}

/// The marked words between these of a workspace, each with how many media have it.
pub async fn counts(tx: &Tx, workspace: &str, words: &Sought) -> Result<Vec<(String, i64)>, Error> {
    let rows = tx
        .rows(
            "SELECT word, count(*) AS n FROM media_word WHERE workspace_id = $1 AND word >= $2 AND word < $3 \
             GROUP BY word ORDER BY word",
            params![workspace, &words.from, &words.until],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("word")?, r.int("n")?))).collect()
}
