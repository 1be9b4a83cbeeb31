//! The send journal: a line for every try and every look.

use crate::db::{Error, Row, Tx};
use crate::domain::problem::Problem;
use crate::{params, row};

/// One line of the journal.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: String,
    pub fence: i64,
    /// `prepare`, `publish`, `poll`, `look_up`, `amend`, `delete`, `answer`, `sweep`, …
    pub step: String,
    /// ms UTC
    pub started_at: i64,
    pub finished_at: Option<i64>,
    /// `None` while under way, or when the process died on it.
    pub outcome: Option<String>,
    pub error: Option<Problem>,
    pub remote_id: Option<String>,
    pub next_attempt_at: Option<i64>,
}

/// A line as it begins.
#[derive(Debug, Clone)]
pub struct Begun<'a> {
    pub id: &'a str,
    pub workspace_id: &'a str,
    pub delivery_id: &'a str,
    pub fence: i64,
    pub step: &'a str,
    pub request_hash: Option<&'a str>,
}

/// How a line ends.
#[derive(Debug, Clone, Default)]
pub struct Ended<'a> {
    pub outcome: &'a str,
    pub error: Option<&'a Problem>,
    pub remote_id: Option<&'a str>,
    pub next_attempt_at: Option<i64>,
}

pub async fn begin(tx: &Tx, line: &Begun<'_>, now: i64) -> Result<(), Error> {
    begin_each(tx, &[(line.clone(), now)]).await
}

/// Writes lines that begin, each at its time.
pub async fn begin_each(tx: &Tx, lines: &[(Begun<'_>, i64)]) -> Result<(), Error> {
    let row = |(line, at): &(Begun<'_>, i64)| {
        let Begun { id, workspace_id, delivery_id, fence, step, request_hash } = *line;
        row![id, workspace_id, delivery_id, fence, step, *at, request_hash]
    };
    tx.execute_each(
        "INSERT INTO attempt (id, workspace_id, delivery_id, fence, step, started_at, request_hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &lines.iter().map(row).collect::<Vec<_>>(),
    )
    .await?;
    Ok(())
}

pub async fn end(tx: &Tx, id: &str, ended: &Ended<'_>, now: i64) -> Result<(), Error> {
    end_each(tx, &[(id, ended.clone())], now).await
}

/// Ends lines, by id.
pub async fn end_each(tx: &Tx, lines: &[(&str, Ended<'_>)], now: i64) -> Result<(), Error> {
    let row = |(id, e): &(&str, Ended<'_>)| {
        row![now, e.outcome, e.error.map(crate::store::json), e.remote_id, e.next_attempt_at, *id]
    };
    tx.execute_each(
        "UPDATE attempt SET finished_at = $1, outcome = $2, error = $3, remote_id = $4, next_attempt_at = $5 WHERE id = $6",
        &lines.iter().map(row).collect::<Vec<_>>(),
    )
    .await?;
    Ok(())
}

/// Ends the lines of a delivery that a dead process left open.
pub async fn close_open(tx: &Tx, delivery: &str, outcome: &str, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE attempt SET finished_at = $1, outcome = $2 WHERE delivery_id = $3 AND outcome IS NULL",
        params![now, outcome, delivery],
    )
    .await?;
    Ok(())
}

/// A delivery's journal, oldest first.
pub async fn of(tx: &Tx, workspace: &str, delivery: &str) -> Result<Vec<Attempt>, Error> {
    let rows = tx
        .rows(
            "SELECT id, fence, step, started_at, finished_at, outcome, error, remote_id, next_attempt_at FROM attempt \
             WHERE workspace_id = $1 AND delivery_id = $2 ORDER BY id LIMIT 1000",
            params![workspace, delivery],
        )
        .await?;
    rows.iter().map(read).collect()
}

fn read(r: &Row) -> Result<Attempt, Error> {
    Ok(Attempt {
        id: r.text("id")?,
        fence: r.int("fence")?,
        step: r.text("step")?,
        started_at: r.int("started_at")?,
        finished_at: r.opt_int("finished_at")?,
        outcome: r.opt_text("outcome")?,
        error: r.opt_json("error")?,
        remote_id: r.opt_text("remote_id")?,
        next_attempt_at: r.opt_int("next_attempt_at")?,
    })
}

/// Tries that failed and worked at each network since a moment: `(network, ok, failed, last ok)`.
pub async fn by_network(
    tx: &Tx,
    since: i64,
) -> Result<Vec<(String, i64, i64, Option<i64>)>, Error> {
    let rows = tx
        .rows(
            "SELECT delivery.network AS network, \
               sum(CASE WHEN attempt.outcome IN ('accepted', 'processing', 'found') THEN 1 ELSE 0 END) AS good, \
               sum(CASE WHEN attempt.outcome IN ('unknown', 'unavailable') THEN 1 ELSE 0 END) AS bad, \
               max(CASE WHEN attempt.outcome IN ('accepted', 'found') THEN attempt.finished_at ELSE NULL END) AS last_good \
             FROM attempt JOIN delivery ON delivery.id = attempt.delivery_id \
             WHERE attempt.id >= $1 GROUP BY delivery.network",
            params![ids_from(since)],
        )
        .await?;
    rows.iter()
        .map(|r| Ok((r.text("network")?, r.int("good")?, r.int("bad")?, r.opt_int("last_good")?)))
        .collect()
}

/// The smallest id that [`ids::new`](crate::ids::new) can have made at this time.
fn ids_from(at: i64) -> String {
    let ms = format!("{:012x}", at.max(0));
    format!("{}-{}-7000-8000-000000000000", &ms[..8], &ms[8..])
}
