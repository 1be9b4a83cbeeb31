//! Many posts at once: what a calendar shows of them.

use std::collections::HashMap;

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
    pub position: i64,
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
            "SELECT post.id, substr(post.text, 1, 280), post.title, post.committed_at, post.scheduled_at, post.version, \
             post.updated_at, \
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
    let mut found = rows.into_iter().map(brief).collect::<Result<Vec<Brief>, Error>>()?;
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(found) };
    // By themselves: put together by the database as a text of each post they took twice as long.
    let rows = tx
        .rows(
            "SELECT delivery.post_id, delivery.position, delivery.id, delivery.parent_id, delivery.connection_id, \
             delivery.network, delivery.state, delivery.scheduled_at, delivery.intent_at, delivery.content_hash \
             FROM post JOIN delivery ON delivery.post_id = post.id \
             WHERE post.workspace_id = $1 AND post.scheduled_at >= $2 AND post.scheduled_at <= $3 \
             AND post.deleted_at IS NULL \
             AND ($4 = '%' OR lower(post.text) LIKE $5 ESCAPE '!' OR lower(post.title) LIKE $6 ESCAPE '!')",
            params![workspace, first.scheduled_at, last.scheduled_at, like, like, like],
        )
        .await?;
    let mut of: HashMap<String, Vec<Short>> = HashMap::with_capacity(found.len());
    for row in rows {
        let (post, delivery) = short(row)?;
        of.entry(post).or_default().push(delivery);
    }
    for post in &mut found {
        post.deliveries = of.remove(&post.id).unwrap_or_default();
        post.deliveries.sort_by(|a, b| (a.position, &a.id).cmp(&(b.position, &b.id)));
    }
    Ok(found)
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

fn brief(row: Row) -> Result<Brief, Error> {
    let review = reviews::latest(&row, "review")?;
    let [id, text, title, committed, scheduled, version, updated, _] = row.values()?;
    Ok(Brief {
        id: id.text()?,
        text: text.text()?,
        title: title.opt_text()?,
        committed_at: committed.opt_int()?,
        scheduled_at: scheduled.int()?,
        version: version.int()?,
        updated_at: updated.int()?,
        review,
        deliveries: Vec::new(),
    })
}

/// A delivery, and the post that it is of.
fn short(row: Row) -> Result<(String, Short), Error> {
    let [post, position, id, parent, connection, network, state, at, intent, hash] =
        row.values()?;
    let delivery = Short {
        id: id.text()?,
        position: position.int()?,
        parent_id: parent.opt_text()?,
        connection_id: connection.text()?,
        network: network.text()?,
        state: state.text()?.parse().map_err(Error::Corrupt)?,
        scheduled_at: at.opt_int()?,
        intent: intent.opt_int()?.is_some(),
        content_hash: hash.opt_text()?,
    };
    Ok((post.text()?, delivery))
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
