//! Who may come in: workspaces, accounts, sessions, one-time links, API keys.

use crate::db::{Error, Row, Tx};
use crate::domain::policy::Policies;
use crate::{params, store};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    pub id: String,
    pub name: String,
    pub timezone: String,
    /// Set where everything is on the sandbox.
    pub demo_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub email: String,
    pub name: String,
    pub password_hash: Option<String>,
}

/// A door that was opened: whose, and into which workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub workspace_id: String,
    /// `None` for an API key, which belongs to the workspace.
    pub account_id: Option<String>,
    /// The session's hash or the key's id.
    pub by: String,
}

pub async fn add_workspace(tx: &Tx, w: &Workspace, now: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO workspace (id, name, timezone, demo_at, created_at) VALUES ($1, $2, $3, $4, $5)",
        params![&w.id, &w.name, &w.timezone, w.demo_at, now],
    )
    .await?;
    Ok(())
}

pub async fn workspace(tx: &Tx, id: &str) -> Result<Option<Workspace>, Error> {
    let row = tx.row("SELECT * FROM workspace WHERE id = $1", params![id]).await?;
    row.as_ref().map(read_workspace).transpose()
}

/// Every workspace, oldest first.
pub async fn workspaces(tx: &Tx) -> Result<Vec<Workspace>, Error> {
    let rows = tx.rows("SELECT * FROM workspace ORDER BY created_at, id", params![]).await?;
    rows.iter().map(read_workspace).collect()
}

pub async fn edit_workspace(tx: &Tx, id: &str, name: &str, timezone: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE workspace SET name = $1, timezone = $2 WHERE id = $3",
        params![name, timezone, id],
    )
    .await?;
    Ok(())
}

/// What this workspace wants otherwise than the installation.
pub async fn policies(tx: &Tx, workspace: &str) -> Result<Policies, Error> {
    let row = tx.row("SELECT policies FROM workspace WHERE id = $1", params![workspace]).await?;
    let kept = row.map_or(Ok(None), |r| r.opt_json("policies"))?;
    Ok(kept.unwrap_or_default())
}

pub async fn set_policies(tx: &Tx, workspace: &str, policies: &Policies) -> Result<(), Error> {
    tx.execute(
        "UPDATE workspace SET policies = $1, gated = $2 WHERE id = $3",
        params![store::json(policies), i64::from(policies.last_stage().is_some()), workspace],
    )
    .await?;
    Ok(())
}

fn read_workspace(r: &Row) -> Result<Workspace, Error> {
    Ok(Workspace {
        id: r.text("id")?,
        name: r.text("name")?,
        timezone: r.text("timezone")?,
        demo_at: r.opt_int("demo_at")?,
    })
}

pub async fn add_account(
    tx: &Tx,
    a: &Account,
    workspace: &str,
    role: &str,
    now: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO account (id, email, name, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)",
        params![&a.id, &a.email, &a.name, a.password_hash.clone(), now],
    )
    .await?;
    tx.execute(
        "INSERT INTO member (workspace_id, account_id, role, created_at) VALUES ($1, $2, $3, $4)",
        params![workspace, &a.id, role, now],
    )
    .await?;
    Ok(())
}

pub async fn account(tx: &Tx, id: &str) -> Result<Option<Account>, Error> {
    let row = tx.row("SELECT * FROM account WHERE id = $1", params![id]).await?;
    row.as_ref().map(read_account).transpose()
}

pub async fn account_by_email(tx: &Tx, email: &str) -> Result<Option<Account>, Error> {
    let row = tx.row("SELECT * FROM account WHERE email = $1", params![email]).await?;
    row.as_ref().map(read_account).transpose()
}

/// Has anybody an account here yet?
pub async fn any_account(tx: &Tx) -> Result<bool, Error> {
    Ok(tx.row("SELECT id FROM account LIMIT 1", params![]).await?.is_some())
}

pub async fn set_password(tx: &Tx, account: &str, hash: &str) -> Result<(), Error> {
    tx.execute("UPDATE account SET password_hash = $1 WHERE id = $2", params![hash, account])
        .await?;
    Ok(())
}

fn read_account(r: &Row) -> Result<Account, Error> {
    Ok(Account {
        id: r.text("id")?,
        email: r.text("email")?,
        name: r.text("name")?,
        password_hash: r.opt_text("password_hash")?,
    })
}

/// The workspaces of an account with its role in each, oldest first.
pub async fn memberships(tx: &Tx, account: &str) -> Result<Vec<(String, String)>, Error> {
    let rows = tx
        .rows(
            "SELECT workspace_id, role FROM member WHERE account_id = $1 ORDER BY created_at, workspace_id",
            params![account],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("workspace_id")?, r.text("role")?))).collect()
}

/// The role of an account in a workspace, if it is a member.
pub async fn role(tx: &Tx, account: &str, workspace: &str) -> Result<Option<String>, Error> {
    let row = tx
        .row(
            "SELECT role FROM member WHERE account_id = $1 AND workspace_id = $2",
            params![account, workspace],
        )
        .await?;
    row.map(|r| r.text("role")).transpose()
}

/// Is this whoever runs the installation: an owner of its first workspace, or (without an account) a
/// key to it?
pub async fn operates(tx: &Tx, workspace: &str, account: Option<&str>) -> Result<bool, Error> {
    let first = tx
        .row("SELECT id FROM workspace ORDER BY created_at, id LIMIT 1", params![])
        .await?
        .map_or(Ok(String::new()), |r| r.text("id"))?;
    if first != workspace {
        return Ok(false);
    }
    let Some(account) = account else { return Ok(true) };
    Ok(role(tx, account, workspace).await?.as_deref() == Some("owner"))
}

pub async fn add_session(
    tx: &Tx,
    hash: &str,
    account: &str,
    workspace: &str,
    now: i64,
    expires_at: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO session (hash, account_id, workspace_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        params![hash, account, workspace, now, expires_at],
    )
    .await?;
    Ok(())
}

/// Whose session this is, while it lives and its account is a member.
pub async fn session(tx: &Tx, hash: &str, now: i64) -> Result<Option<Opened>, Error> {
    let row = tx
        .row(
            "SELECT session.account_id, session.workspace_id FROM session JOIN member \
             ON member.account_id = session.account_id AND member.workspace_id = session.workspace_id \
             WHERE session.hash = $1 AND session.expires_at > $2",
            params![hash, now],
        )
        .await?;
    row.map(|r| {
        Ok(Opened {
            workspace_id: r.text("workspace_id")?,
            account_id: Some(r.text("account_id")?),
            by: hash.to_owned(),
        })
    })
    .transpose()
}

pub async fn end_session(tx: &Tx, hash: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM session WHERE hash = $1", params![hash]).await?;
    Ok(())
}

pub async fn add_link(
    tx: &Tx,
    hash: &str,
    account: &str,
    workspace: &str,
    expires_at: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO login_link (hash, account_id, workspace_id, expires_at) VALUES ($1, $2, $3, $4)",
        params![hash, account, workspace, expires_at],
    )
    .await?;
    Ok(())
}

/// Uses a one-time link up; `None` when it is unknown, used or late.
pub async fn use_link(tx: &Tx, hash: &str, now: i64) -> Result<Option<(String, String)>, Error> {
    let used = tx
        .row(
            "UPDATE login_link SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND expires_at > $3 \
             RETURNING account_id, workspace_id",
            params![now, hash, now],
        )
        .await?;
    used.map(|r| Ok((r.text("account_id")?, r.text("workspace_id")?))).transpose()
}

pub async fn add_key(
    tx: &Tx,
    id: &str,
    workspace: &str,
    name: &str,
    hash: &str,
    now: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO api_key (id, workspace_id, name, hash, created_at) VALUES ($1, $2, $3, $4, $5)",
        params![id, workspace, name, hash, now],
    )
    .await?;
    Ok(())
}

/// Lets a key approve, or no longer.
pub async fn let_approve(tx: &Tx, hash: &str, may: bool) -> Result<(), Error> {
    tx.execute(
        "UPDATE api_key SET may_approve = $1 WHERE hash = $2",
        params![i64::from(may), hash],
    )
    .await?;
    Ok(())
}

/// May a key approve in its workspace?
pub async fn key_may_approve(tx: &Tx, workspace: &str, id: &str) -> Result<bool, Error> {
    let row = tx
        .row(
            "SELECT id FROM api_key WHERE workspace_id = $1 AND id = $2 AND may_approve = 1 AND revoked_at IS NULL",
            params![workspace, id],
        )
        .await?;
    Ok(row.is_some())
}

/// The accounts that run a workspace.
pub async fn admins(tx: &Tx, workspace: &str) -> Result<Vec<String>, Error> {
    let rows = tx
        .rows(
            "SELECT account_id FROM member WHERE workspace_id = $1 AND role IN ('owner', 'admin') ORDER BY account_id",
            params![workspace],
        )
        .await?;
    rows.iter().map(|r| r.text("account_id")).collect()
}

pub async fn key(tx: &Tx, hash: &str) -> Result<Option<Opened>, Error> {
    let row = tx
        .row(
            "SELECT id, workspace_id FROM api_key WHERE hash = $1 AND revoked_at IS NULL",
            params![hash],
        )
        .await?;
    row.map(|r| {
        Ok(Opened { workspace_id: r.text("workspace_id")?, account_id: None, by: r.text("id")? })
    })
    .transpose()
}

/// Removes sessions and links that ended before this time.
pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    let sessions = tx.execute("DELETE FROM session WHERE expires_at < $1", params![before]).await?;
    let links = tx.execute("DELETE FROM login_link WHERE expires_at < $1", params![before]).await?;
    Ok(sessions + links)
}
