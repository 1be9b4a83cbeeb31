//! How long the tokens of connections last: who renews them, and what is told of their end.
//!
//! `token_version` grows with every change of a connection's secrets. Whoever replaces them names
//! the version it read, so that of two who were at it at once one finds nothing to change.

use serde::{Deserialize, Serialize};

use crate::db::{Error, Row, Tx};
use crate::domain::problem::Problem;
use crate::store::connections::{self, Connection};
use crate::{params, store};

/// What is known of a connection's tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLife {
    /// When the access token ends.
    pub expires_at: Option<i64>,
    /// When what renews it ends.
    pub refresh_expires_at: Option<i64>,
    /// When they were issued.
    pub refreshed_at: Option<i64>,
    /// Grows whenever the secrets become others.
    pub version: i64,
    /// When they are to be renewed next.
    pub renew_at: Option<i64>,
    /// How often that has failed since it last worked.
    pub tries: i64,
    /// Why they cannot be renewed.
    pub problem: Option<Problem>,
    /// When the connection stops working unless a person connects it again.
    pub ends_at: Option<i64>,
    /// How many days before that its owner was last told.
    pub told_days: Option<i64>,
    /// What the network granted with them, where it said so.
    pub scopes: Option<Vec<String>>,
}

pub(super) fn read(r: &Row) -> Result<TokenLife, Error> {
    Ok(TokenLife {
        expires_at: r.opt_int("expires_at")?,
        refresh_expires_at: r.opt_int("refresh_expires_at")?,
        refreshed_at: r.opt_int("refreshed_at")?,
        version: r.int("token_version")?,
        renew_at: r.opt_int("renew_at")?,
        tries: r.int("renew_tries")?,
        problem: r.opt_json("renew_problem")?,
        ends_at: r.opt_int("ends_at")?,
        told_days: r.opt_int("told_days")?,
        scopes: r.opt_json("scopes")?,
    })
}

/// Connections whose tokens are to be renewed now and nobody is at it, with the time it was to be.
pub async fn due(tx: &Tx, now: i64) -> Result<Vec<(String, i64)>, Error> {
    let rows = tx
        .rows(
            "SELECT id, renew_at FROM connection WHERE renew_at <= $1 AND deleted_at IS NULL \
             AND (renewing_until IS NULL OR renewing_until <= $2) ORDER BY renew_at, id LIMIT 1000",
            params![now, now],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("id")?, r.int("renew_at")?))).collect()
}

/// Takes it upon itself to renew the tokens of this version until `until`; `None` when somebody
/// else is at it, or was.
pub async fn take(
    tx: &Tx,
    id: &str,
    version: i64,
    until: i64,
    now: i64,
) -> Result<Option<Connection>, Error> {
    let row = tx
        .row(
            "UPDATE connection SET renewing_until = $1 WHERE id = $2 AND token_version = $3 AND deleted_at IS NULL \
             AND (renewing_until IS NULL OR renewing_until <= $4) RETURNING *",
            params![until, id, version, now],
        )
        .await?;
    row.as_ref().map(connections::read).transpose()
}

/// Replaces the secrets of this version by sealed ones that last so long; `false` when they are
/// others by now.
pub async fn replace(
    tx: &Tx,
    id: &str,
    version: i64,
    sealed: &str,
    life: &TokenLife,
) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE connection SET secrets = $1, expires_at = $2, refresh_expires_at = $3, refreshed_at = $4, \
             renew_at = $5, renew_tries = $6, renew_problem = $7, ends_at = $8, told_days = $9, \
             scopes = $10, renewing_until = NULL, token_version = token_version + 1 \
             WHERE id = $11 AND token_version = $12 AND deleted_at IS NULL",
            params![
                sealed,
                life.expires_at,
                life.refresh_expires_at,
                life.refreshed_at,
                life.renew_at,
                life.tries,
                life.problem.as_ref().map(store::json),
                life.ends_at,
                life.told_days,
                life.scopes.as_ref().map(store::json),
                id,
                version
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Writes what came of a try that brought none, and lets others try; the secrets stay.
pub async fn put_off(tx: &Tx, id: &str, version: i64, life: &TokenLife) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE connection SET renew_at = $1, renew_tries = $2, renew_problem = $3, ends_at = $4, \
             renewing_until = NULL WHERE id = $5 AND token_version = $6",
            params![
                life.renew_at,
                life.tries,
                life.problem.as_ref().map(store::json),
                life.ends_at,
                id,
                version
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Has every connection of a network renewed at once that could not be: its app is another one.
pub async fn rearm(tx: &Tx, network: &str, now: i64) -> Result<u64, Error> {
    tx.execute(
        "UPDATE connection SET renew_at = $1, renew_tries = 0, renew_problem = NULL \
         WHERE network = $2 AND renew_problem IS NOT NULL AND deleted_at IS NULL",
        params![now, network],
    )
    .await
}

/// Those whose end comes within a fortnight and whose owner has not been told so much yet: before
/// 14 days, before 7, before 1, and at the end itself.
pub async fn ending(tx: &Tx, now: i64) -> Result<Vec<Connection>, Error> {
    const DAY: i64 = 86_400_000;
    let rows = tx
        .rows(
            "SELECT * FROM connection WHERE ends_at <= $1 AND deleted_at IS NULL AND broken_at IS NULL \
             AND (told_days IS NULL OR (told_days > 7 AND ends_at <= $2) OR (told_days > 1 AND ends_at <= $3) \
               OR ends_at <= $4) ORDER BY ends_at, id LIMIT 1000",
            params![now + 14 * DAY, now + 7 * DAY, now + DAY, now],
        )
        .await?;
    rows.iter().map(connections::read).collect()
}

/// Its owner was told.
pub async fn told(tx: &Tx, id: &str, days: i64) -> Result<(), Error> {
    tx.execute("UPDATE connection SET told_days = $1 WHERE id = $2", params![days, id]).await?;
    Ok(())
}

/// A post that is to go out when a connection no longer works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtRisk {
    pub scheduled_at: i64,
    pub text: String,
}

/// The posts of a connection due at `from` or later, the first `most` of them and how many there
/// are. What follows another in a thread is not counted.
pub async fn at_risk(
    tx: &Tx,
    connection: &str,
    from: i64,
    most: i64,
) -> Result<(Vec<AtRisk>, i64), Error> {
    let rows = tx
        .rows(
            "SELECT delivery.scheduled_at AS scheduled_at, coalesce(delivery.text, post.text) AS text \
             FROM delivery JOIN post ON post.id = delivery.post_id \
             WHERE delivery.connection_id = $1 AND delivery.state = 'queued' AND delivery.parent_id IS NULL \
             AND delivery.scheduled_at >= $2 ORDER BY delivery.scheduled_at, delivery.id LIMIT $3",
            params![connection, from, most],
        )
        .await?;
    let first = rows.iter().map(|r| {
        Ok::<_, Error>(AtRisk { scheduled_at: r.int("scheduled_at")?, text: r.text("text")? })
    });
    let first = first.collect::<Result<_, _>>()?;
    let row = tx
        .row(
            "SELECT count(*) AS n FROM delivery WHERE connection_id = $1 AND state = 'queued' \
             AND parent_id IS NULL AND scheduled_at >= $2",
            params![connection, from],
        )
        .await?;
    Ok((first, row.map_or(Ok(0), |r| r.int("n"))?))
}
