//! Many posts at once, a row each: what a calendar shows of them.

use std::str::FromStr;

use crate::db::{Error, Row, Tx};
use crate::domain::delivery::DeliveryState;
use crate::domain::review::{ReviewState, Stage};
use crate::params;
use crate::store::reviews;

#[derive(Debug, Clone)]
pub struct Brief {
    pub id: String,
    /// Its beginning.
    pub text: String,
    pub title: Option<String>,
    /// `None` while it is a draft.
    pub committed_at: Option<i64>,
    pub scheduled_at: i64,
    pub version: i64,
    pub updated_at: i64,
    /// Of its latest review, where they were asked for.
    pub review: Option<(Stage, ReviewState)>,
    pub deliveries: Vec<Short>,
}

#[derive(Debug, Clone)]
pub struct Short {
    pub id: String,
    /// Of a segment: the delivery that it follows.
    pub parent_id: Option<String>,
    pub connection_id: String,
    pub network: String,
    pub state: DeliveryState,
    pub scheduled_at: Option<i64>,
    /// Has the visible call begun that nobody knows the end of?
    pub intent: bool,
    pub content_hash: Option<String>,
}

/// Posts due in `[from, to)`, by time, after the cursor `(scheduled_at, id)`, that hold `like` in
/// text or title (see `pattern`). With `gated` their reviews are read too.
pub async fn between(
    tx: &Tx,
    workspace: &str,
    (from, to): (i64, i64),
    after: (i64, &str),
    like: &str,
    gated: bool,
    limit: i64,
) -> Result<Vec<Brief>, Error> {
    let rows = tx
        .rows(
            "SELECT post.id AS id, substr(post.text, 1, 280) AS text, post.title AS title, \
             post.committed_at AS committed_at, post.scheduled_at AS scheduled_at, post.version AS version, \
             post.updated_at AS updated_at, \
             (SELECT string_agg(delivery.id || ' ' || coalesce(delivery.parent_id, '-') || ' ' || delivery.connection_id \
             || ' ' || delivery.network || ' ' || delivery.state || ' ' || coalesce(CAST(delivery.scheduled_at AS TEXT), '-') \
             || ' ' || CASE WHEN delivery.intent_at IS NULL THEN '-' ELSE 'i' END \
             || ' ' || coalesce(delivery.content_hash, '-'), ';' ORDER BY delivery.position, delivery.id) \
             FROM delivery WHERE delivery.post_id = post.id) AS deliveries, \
             CASE WHEN $1 = 1 THEN (SELECT review.stage || ' ' || review.state FROM review \
             WHERE review.post_id = post.id ORDER BY review.id DESC LIMIT 1) END AS review \
             FROM post WHERE post.workspace_id = $2 AND post.scheduled_at >= $3 AND post.scheduled_at < $4 \
             AND post.deleted_at IS NULL AND (post.scheduled_at > $5 OR (post.scheduled_at = $6 AND post.id > $7)) \
             AND ($8 = '%' OR lower(post.text) LIKE $9 ESCAPE '!' OR lower(post.title) LIKE $10 ESCAPE '!') \
             ORDER BY post.scheduled_at, post.id LIMIT $11",
            params![
                i64::from(gated),
                workspace,
                from,
                to,
                after.0,
                after.0,
                after.1,
                like,
                like,
                like,
                limit
            ],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// What `LIKE` looks for, so that words are found wherever they stand, their own `%` and `_` too.
pub fn pattern(words: &str) -> String {
    let mut pattern = String::from("%");
    for c in words.trim().to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    if pattern.len() > 1 {
        pattern.push('%');
    }
    pattern
}

fn read(r: &Row) -> Result<Brief, Error> {
    let deliveries = r.opt_text("deliveries")?.unwrap_or_default();
    Ok(Brief {
        id: r.text("id")?,
        text: r.text("text")?,
        title: r.opt_text("title")?,
        committed_at: r.opt_int("committed_at")?,
        scheduled_at: r.int("scheduled_at")?,
        version: r.int("version")?,
        updated_at: r.int("updated_at")?,
        review: reviews::latest(r, "review")?,
        deliveries: deliveries
            .split(';')
            .filter(|d| !d.is_empty())
            .map(short)
            .collect::<Result<_, _>>()?,
    })
}

/// One delivery out of the words that the statement puts together.
fn short(words: &str) -> Result<Short, Error> {
    let parts: Vec<&str> = words.split(' ').collect();
    let [id, parent, connection, network, state, at, intent, hash] = parts[..] else {
        return Err(Error::Corrupt(format!("a delivery of {} words", parts.len())));
    };
    let some = |word: &str| (word != "-").then(|| word.to_owned());
    Ok(Short {
        id: id.to_owned(),
        parent_id: some(parent),
        connection_id: connection.to_owned(),
        network: network.to_owned(),
        state: DeliveryState::from_str(state).map_err(Error::Corrupt)?,
        scheduled_at: some(at).and_then(|at| at.parse().ok()),
        intent: intent == "i",
        content_hash: some(hash),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_looked_for_as_they_stand() {
        assert_eq!(pattern("  "), "%");
        assert_eq!(pattern("Quiz Night"), "%quiz night%");
        assert_eq!(pattern("50 % off_!"), "%50 !% off!_!!%");
    }
}
