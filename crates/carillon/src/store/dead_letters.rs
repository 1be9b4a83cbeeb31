//! Dead letters: deliveries that failed, are held or were missed, and wait for a person.
//!
//! Pages are cut by when a delivery became one. What is decided meanwhile leaves the list, what
//! dies again stands at its new time: no page repeats a row, and none skips one.

use super::deliveries::{self, Delivery};
use crate::db::{Error, Row, Tx, Value};
use crate::domain::delivery::DeliveryState;
use crate::params;

/// Which ones. Times are ms UTC: dead at `from` or later, before `to`.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Among failed, held and missed; all of them when empty.
    pub states: Vec<DeliveryState>,
    /// The class of its problem.
    pub cause: Option<String>,
    pub network: Option<String>,
    pub connection_id: Option<String>,
    pub from: i64,
    pub to: i64,
}

#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub delivery: Delivery,
    pub cause: String,
    /// Since when it is one, ms UTC.
    pub since: i64,
    pub post_text: String,
    pub post_title: Option<String>,
}

/// Those before the cursor `(since, id)`, newest first.
pub async fn before(
    tx: &Tx,
    workspace: &str,
    filter: &Filter,
    before: (i64, &str),
    limit: i64,
) -> Result<Vec<DeadLetter>, Error> {
    let page = params![before.0, before.0, before.1, limit];
    let rows = tx
        .rows(
            "SELECT delivery.*, delivery.updated_at AS since, coalesce(delivery.cause, 'other') AS why, \
               post.text AS post_text, post.title AS post_title \
             FROM delivery JOIN post ON post.id = delivery.post_id \
             WHERE delivery.workspace_id = $1 AND delivery.state IN ('failed', 'held', 'missed') \
               AND delivery.state IN ($2, $3, $4) AND delivery.updated_at >= $5 AND delivery.updated_at < $6 \
               AND ($7 = '' OR delivery.network = $8) AND ($9 = '' OR delivery.connection_id = $10) \
               AND ($11 = '' OR coalesce(delivery.cause, 'other') = $12) AND delivery.updated_at <= $13 \
               AND (delivery.updated_at < $14 OR delivery.id < $15) \
             ORDER BY delivery.updated_at DESC, delivery.id DESC LIMIT $16",
            &[&filter.values(workspace)[..], page].concat(),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// `(since, id)` of those after the cursor, oldest first: what a replay works through.
pub async fn after(
    tx: &Tx,
    workspace: &str,
    filter: &Filter,
    after: (i64, &str),
    limit: i64,
) -> Result<Vec<(i64, String)>, Error> {
    let page = params![after.0, after.0, after.1, limit];
    let rows = tx
        .rows(
            "SELECT id, updated_at FROM delivery \
             WHERE workspace_id = $1 AND state IN ('failed', 'held', 'missed') AND state IN ($2, $3, $4) \
               AND updated_at >= $5 AND updated_at < $6 AND ($7 = '' OR network = $8) \
               AND ($9 = '' OR connection_id = $10) AND ($11 = '' OR coalesce(cause, 'other') = $12) \
               AND updated_at >= $13 AND (updated_at > $14 OR id > $15) \
             ORDER BY updated_at, id LIMIT $16",
            &[&filter.values(workspace)[..], page].concat(),
        )
        .await?;
    rows.iter().map(|r| Ok((r.int("updated_at")?, r.text("id")?))).collect()
}

/// How many there are of each cause, most first. The filter's own cause is left out of account, so
/// that another can be chosen.
pub async fn causes(
    tx: &Tx,
    workspace: &str,
    filter: &Filter,
) -> Result<Vec<(String, i64)>, Error> {
    let rows = tx
        .rows(
            "SELECT coalesce(cause, 'other') AS why, count(*) AS n FROM delivery \
             WHERE workspace_id = $1 AND state IN ('failed', 'held', 'missed') AND state IN ($2, $3, $4) \
               AND updated_at >= $5 AND updated_at < $6 AND ($7 = '' OR network = $8) \
               AND ($9 = '' OR connection_id = $10) GROUP BY 1 ORDER BY 2 DESC, 1",
            &filter.values(workspace)[..10],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("why")?, r.int("n")?))).collect()
}

impl Filter {
    /// In the order in which the statements above name them.
    fn values(&self, workspace: &str) -> [Value; 12] {
        use DeliveryState::{Failed, Held, Missed};
        let all = self.states.is_empty();
        let state =
            |s: DeliveryState| if all || self.states.contains(&s) { s.as_str() } else { "" };
        let text = |t: &Option<String>| Value::from(t.as_deref().unwrap_or(""));
        [
            workspace.into(),
            state(Failed).into(),
            state(Held).into(),
            state(Missed).into(),
            self.from.into(),
            self.to.into(),
            text(&self.network),
            text(&self.network),
            text(&self.connection_id),
            text(&self.connection_id),
            text(&self.cause),
            text(&self.cause),
        ]
    }
}

fn read(r: &Row) -> Result<DeadLetter, Error> {
    Ok(DeadLetter {
        delivery: deliveries::read(r)?,
        cause: r.text("why")?,
        since: r.int("since")?,
        post_text: r.text("post_text")?,
        post_title: r.opt_text("post_title")?,
    })
}
