//! Connections: an account at a network, with its settings and sealed secrets.

use std::collections::{BTreeMap, BTreeSet};

use crate::db::{Error, Row, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::problem::Problem;
use crate::store::alerts;
use crate::store::tokens::{self, TokenLife};
use crate::{params, row, store};

#[derive(Debug, Clone)]
pub struct Connection {
    pub id: String,
    pub workspace_id: String,
    pub network: String,
    pub name: String,
    pub remote_id: String,
    pub settings: BTreeMap<String, String>,
    /// Sealed with the key ring.
    pub secrets: String,
    /// Set while the owner has to act.
    pub broken_at: Option<i64>,
    pub problem: Option<Problem>,
    pub checked_at: Option<i64>,
    pub published_at: Option<i64>,
    /// Set where a post sent twice is better than one not sent.
    pub twice_at: Option<i64>,
    /// The network said that no post is left before then, ms UTC.
    pub quota_until: Option<i64>,
    /// The placement that it said so of.
    pub quota_of: Option<String>,
    /// How long its secrets last.
    pub tokens: TokenLife,
    pub created_at: i64,
}

impl Connection {
    /// The lane of its deliveries: one is sent at a time.
    pub fn lane(&self) -> String {
        lane(&self.id)
    }
}

/// The lane of a connection's deliveries.
pub fn lane(connection_id: &str) -> String {
    format!("connection:{connection_id}")
}

/// Where its large uploads go, beside what is sent meanwhile.
pub fn upload_lane(connection_id: &str) -> String {
    format!("connection:{connection_id}/upload")
}

pub async fn add(tx: &Tx, c: &Connection) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO connection (id, workspace_id, network, name, remote_id, settings, secrets, broken_at, problem, \
         checked_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            &c.id,
            &c.workspace_id,
            &c.network,
            &c.name,
            &c.remote_id,
            store::json(&c.settings),
            &c.secrets,
            c.broken_at,
            c.problem.as_ref().map(store::json),
            c.checked_at,
            c.created_at
        ],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &Tx, workspace: &str, id: &str) -> Result<Option<Connection>, Error> {
    let row = tx
        .row(
            "SELECT * FROM connection WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
            params![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// By id alone, for a worker that has it from a delivery. Deleted ones too: a lost answer must be
/// looked up all the same.
pub async fn load(tx: &Tx, id: &str) -> Result<Option<Connection>, Error> {
    Ok(load_each(tx, [id]).await?.pop().flatten())
}

pub async fn load_each(
    tx: &Tx,
    ids: impl IntoIterator<Item = &str>,
) -> Result<Vec<Option<Connection>>, Error> {
    let ids: Vec<_> = ids.into_iter().map(|id| row![id]).collect();
    let found = tx.rows_each("SELECT * FROM connection WHERE id = $1", &ids).await?;
    found.iter().map(|rows| rows.first().map(read).transpose()).collect()
}

pub async fn list(tx: &Tx, workspace: &str) -> Result<Vec<Connection>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM connection WHERE workspace_id = $1 AND deleted_at IS NULL ORDER BY created_at, id",
            params![workspace],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Those of a workspace that stand for this account at this network. Where every connection names
/// a server, accounts of two servers can have the same id.
pub async fn by_remote(
    tx: &Tx,
    workspace: &str,
    network: &str,
    remote_id: &str,
) -> Result<Vec<Connection>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM connection WHERE workspace_id = $1 AND network = $2 AND remote_id = $3 \
             AND deleted_at IS NULL ORDER BY created_at, id",
            params![workspace, network, remote_id],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Those of a network, of every workspace.
pub async fn of_network(tx: &Tx, network: &str) -> Result<Vec<Connection>, Error> {
    let rows = tx
        .rows(
            "SELECT * FROM connection WHERE network = $1 AND deleted_at IS NULL ORDER BY created_at, id",
            params![network],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Those of every workspace.
pub async fn all(tx: &Tx) -> Result<Vec<Connection>, Error> {
    let sql = "SELECT * FROM connection WHERE deleted_at IS NULL ORDER BY created_at, id";
    tx.rows(sql, params![]).await?.iter().map(read).collect()
}

/// How a connection stands beside its own row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many deliveries are still to go out through it.
    pub waiting: i64,
    /// Why its lane is paused, if it is.
    pub paused_why: Option<String>,
}

/// The standing of every connection of a workspace, by id.
pub async fn standings(tx: &Tx, workspace: &str) -> Result<BTreeMap<String, Standing>, Error> {
    let rows = tx
        .rows(
            "SELECT connection.id AS id, \
               CASE WHEN gate.paused_at IS NULL THEN NULL ELSE gate.paused_why END AS paused_why, \
               (SELECT count(*) FROM delivery WHERE delivery.connection_id = connection.id \
                AND delivery.state IN ('queued', 'held')) AS waiting \
             FROM connection LEFT JOIN gate ON gate.lane = 'connection:' || connection.id \
             WHERE connection.workspace_id = $1 AND connection.deleted_at IS NULL",
            params![workspace],
        )
        .await?;
    rows.iter()
        .map(|r| {
            let paused_why = r.opt_text("paused_why")?;
            Ok((r.text("id")?, Standing { waiting: r.int("waiting")?, paused_why }))
        })
        .collect()
}

/// What a check or an edit changes. Never the secrets: newer ones may have been kept meanwhile, or
/// the same sealed anew.
pub async fn save(tx: &Tx, c: &Connection) -> Result<(), Error> {
    tx.execute(
        "UPDATE connection SET name = $1, remote_id = $2, settings = $3, broken_at = $4, problem = $5, \
         checked_at = $6 WHERE id = $7 AND workspace_id = $8",
        params![
            &c.name,
            &c.remote_id,
            store::json(&c.settings),
            c.broken_at,
            c.problem.as_ref().map(store::json),
            c.checked_at,
            &c.id,
            &c.workspace_id
        ],
    )
    .await?;
    Ok(())
}

/// Keeps what was learnt about a connection that works, if nobody asked or edited it since `old` was
/// read; its name only where it had none.
pub async fn fill(tx: &Tx, old: &Connection, new: &Connection, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE connection SET name = CASE WHEN name = '' THEN $1 ELSE name END, remote_id = $2, settings = $3, \
             broken_at = NULL, problem = NULL, checked_at = $4 \
             WHERE id = $5 AND remote_id = $6 AND coalesce(checked_at, 0) = $7 AND deleted_at IS NULL",
            params![
                &new.name,
                &new.remote_id,
                store::json(&new.settings),
                now,
                &old.id,
                &old.remote_id,
                old.checked_at.unwrap_or(0)
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Replaces the sealed secrets of this version only: the network renewed a session. `false` when
/// they are others by now.
pub async fn renew(tx: &Tx, id: &str, version: i64, secrets: &str) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE connection SET secrets = $1, token_version = token_version + 1 \
             WHERE id = $2 AND token_version = $3 AND deleted_at IS NULL",
            params![secrets, id, version],
        )
        .await?;
    Ok(changed == 1)
}

/// The network refused it: its owner has to act, and is told so.
pub async fn break_(tx: &Tx, id: &str, problem: &Problem, now: i64) -> Result<(), Error> {
    let row = tx
        .row(
            "UPDATE connection SET broken_at = coalesce(broken_at, $1), problem = $2 WHERE id = $3 \
             AND deleted_at IS NULL RETURNING *",
            params![now, store::json(problem), id],
        )
        .await?;
    match row.as_ref().map(read).transpose()? {
        Some(c) => alarm(tx, &c, problem, now).await,
        None => Ok(()),
    }
}

/// Tells that a connection needs its owner.
pub async fn alarm(tx: &Tx, c: &Connection, problem: &Problem, now: i64) -> Result<(), Error> {
    let sentence = format!("{} sends nothing: {}", c.name, problem.sentence);
    let told = Problem { sentence, ..problem.clone() };
    let kind = AlertKind::ConnectionNeedsAction;
    alerts::raise(tx, Some(&c.workspace_id), kind, &c.id, &told, now).await?;
    Ok(())
}

/// Is a post sent twice better than one not sent?
pub async fn set_twice(tx: &Tx, id: &str, at: Option<i64>) -> Result<(), Error> {
    tx.execute("UPDATE connection SET twice_at = $1 WHERE id = $2", params![at, id]).await?;
    Ok(())
}

/// The network said that this account may post nothing more of a placement before `until`.
pub async fn spent(tx: &Tx, id: &str, until: i64, placement: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE connection SET quota_until = $1, quota_of = $2 WHERE id = $3",
        params![until, placement, id],
    )
    .await?;
    Ok(())
}

/// Something went out through these, in the order of their ids.
pub async fn published(tx: &Tx, ids: &BTreeSet<&str>, now: i64) -> Result<(), Error> {
    let each: Vec<_> = ids.iter().map(|id| row![now, *id]).collect();
    tx.execute_each("UPDATE connection SET published_at = $1 WHERE id = $2", &each).await?;
    Ok(())
}

/// Forgets the tokens; the row stays for the journal.
pub async fn delete(tx: &Tx, workspace: &str, id: &str, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE connection SET deleted_at = $1, secrets = '', renew_at = NULL, ends_at = NULL, \
             token_version = token_version + 1 WHERE workspace_id = $2 AND id = $3 AND deleted_at IS NULL",
            params![now, workspace, id],
        )
        .await?;
    Ok(changed == 1)
}

/// What holds the connections of one network back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lanes {
    pub network: String,
    pub connections: i64,
    /// How many are paused or wait for their owner.
    pub paused: i64,
    /// How many wait because the network asked for it.
    pub held_off: i64,
}

/// Of every workspace, by network.
pub async fn lanes(tx: &Tx, now: i64) -> Result<Vec<Lanes>, Error> {
    let rows = tx
        .rows(
            "SELECT connection.network AS network, count(*) AS connections, \
               CAST(sum(CASE WHEN gate.paused_at IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS paused, \
               CAST(sum(CASE WHEN gate.open_at > $1 THEN 1 ELSE 0 END) AS BIGINT) AS held_off \
             FROM connection LEFT JOIN gate ON gate.lane = 'connection:' || connection.id \
             WHERE connection.deleted_at IS NULL GROUP BY connection.network",
            params![now],
        )
        .await?;
    rows.iter()
        .map(|r| {
            Ok(Lanes {
                network: r.text("network")?,
                connections: r.int("connections")?,
                paused: r.int("paused")?,
                held_off: r.int("held_off")?,
            })
        })
        .collect()
}

pub(super) fn read(r: &Row) -> Result<Connection, Error> {
    Ok(Connection {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        network: r.text("network")?,
        name: r.text("name")?,
        remote_id: r.text("remote_id")?,
        settings: r.json("settings")?,
        secrets: r.text("secrets")?,
        broken_at: r.opt_int("broken_at")?,
        problem: r.opt_json("problem")?,
        checked_at: r.opt_int("checked_at")?,
        published_at: r.opt_int("published_at")?,
        twice_at: r.opt_int("twice_at")?,
        quota_until: r.opt_int("quota_until")?,
        quota_of: r.opt_text("quota_of")?,
        tokens: tokens::read(r)?,
        created_at: r.int("created_at")?,
    })
}
