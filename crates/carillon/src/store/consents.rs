//! Consents under way: whom a network's page is to lead back, and what came of it.

use crate::db::{Error, Row, Tx};
use crate::domain::problem::Problem;
use crate::{params, store};

#[derive(Debug, Clone)]
pub struct Consent {
    pub id: String,
    pub workspace_id: String,
    /// Who began it; nobody else may go on.
    pub account_id: String,
    pub network: String,
    /// Empty where the network is one.
    pub server: String,
    /// The connection that it is for, or became.
    pub connection_id: Option<String>,
    pub redirect_uri: String,
    /// The verifier, later the tokens; empty once it is over.
    pub sealed: String,
    pub problem: Option<Problem>,
    pub created_at: i64,
    pub expires_at: i64,
    /// When the page led back.
    pub returned_at: Option<i64>,
    pub ended_at: Option<i64>,
}

pub async fn add(tx: &Tx, c: &Consent, state_hash: &str) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO consent (id, workspace_id, account_id, network, server, connection_id, state_hash, \
         redirect_uri, sealed, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            &c.id,
            &c.workspace_id,
            &c.account_id,
            &c.network,
            &c.server,
            c.connection_id.clone(),
            state_hash,
            &c.redirect_uri,
            &c.sealed,
            c.created_at,
            c.expires_at
        ],
    )
    .await?;
    Ok(())
}

/// Uses a state up: whoever brings it again finds nothing, whatever came of the first time.
pub async fn back(tx: &Tx, state_hash: &str, now: i64) -> Result<Option<Consent>, Error> {
    let row = tx
        .row(
            "UPDATE consent SET returned_at = $1 WHERE state_hash = $2 AND returned_at IS NULL RETURNING *",
            params![now, state_hash],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// One that this account began in this workspace.
pub async fn find(
    tx: &Tx,
    workspace: &str,
    account: &str,
    id: &str,
) -> Result<Option<Consent>, Error> {
    let row = tx
        .row(
            "SELECT * FROM consent WHERE workspace_id = $1 AND account_id = $2 AND id = $3",
            params![workspace, account, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Keeps what a person has to choose from, sealed, until `expires_at`.
pub async fn wait(tx: &Tx, id: &str, sealed: &str, expires_at: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE consent SET sealed = $1, expires_at = $2 WHERE id = $3 AND ended_at IS NULL",
        params![sealed, expires_at, id],
    )
    .await?;
    Ok(())
}

/// It became a connection; `false` when it was over already.
pub async fn connected(tx: &Tx, id: &str, connection: &str, now: i64) -> Result<bool, Error> {
    let changed = tx
        .execute(
            "UPDATE consent SET connection_id = $1, sealed = '', problem = NULL, ended_at = $2 \
             WHERE id = $3 AND ended_at IS NULL",
            params![connection, now, id],
        )
        .await?;
    Ok(changed == 1)
}

/// Nothing came of it.
pub async fn failed(tx: &Tx, id: &str, problem: &Problem, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE consent SET problem = $1, sealed = '', ended_at = $2 WHERE id = $3 AND ended_at IS NULL",
        params![store::json(problem), now, id],
    )
    .await?;
    Ok(())
}

/// Removes what was to end before this time, tokens that nobody claimed among it.
pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute("DELETE FROM consent WHERE expires_at < $1", params![before]).await
}

fn read(r: &Row) -> Result<Consent, Error> {
    Ok(Consent {
        id: r.text("id")?,
        workspace_id: r.text("workspace_id")?,
        account_id: r.text("account_id")?,
        network: r.text("network")?,
        server: r.text("server")?,
        connection_id: r.opt_text("connection_id")?,
        redirect_uri: r.text("redirect_uri")?,
        sealed: r.text("sealed")?,
        problem: r.opt_json("problem")?,
        created_at: r.int("created_at")?,
        expires_at: r.int("expires_at")?,
        returned_at: r.opt_int("returned_at")?,
        ended_at: r.opt_int("ended_at")?,
    })
}
