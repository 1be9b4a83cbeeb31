//! Jobs that a newer version wrote, on a database that several versions share during an upgrade.
//!
//! This node cannot know what they are: it puts them back untouched for a minute, so that they
//! neither spin here nor hold up what it does know, and says so once a kind.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde::Deserialize;

use super::retime;
use crate::db::{Error, Row, Tx};
use crate::domain::job::Kind;
use crate::params;

/// How long one is left to whoever knows it, in ms.
const LATER: i64 = 60_000;

#[derive(Deserialize)]
struct Payload {
    v: i64,
}

/// Does this version know what the job is?
pub(super) fn is_known(row: &Row) -> Result<bool, Error> {
    let kind = row.text("kind")?;
    let payload = row.text("payload")?;
    let version = serde_json::from_str::<Payload>(&payload).map_or(0, |p| p.v);
    if kind.parse::<Kind>().is_ok() && version == 1 {
        return Ok(true);
    }
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap_or_else(|e| e.into_inner()).insert(format!("{kind} {version}")) {
        tracing::warn!(
            kind,
            version,
            "there are jobs of a newer version of Carillon: they are left to the nodes that run it"
        );
    }
    Ok(false)
}

/// Puts back one that was just claimed.
pub(super) async fn leave(tx: &Tx, row: &Row, now: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE job SET state = 'ready', run_at = $1, lease_owner = NULL, lease_until = NULL \
         WHERE id = $2 AND fence = $3 AND state = 'leased'",
        params![now + LATER, row.text("id")?, row.int("fence")?],
    )
    .await?;
    retime(tx, &row.text("lane")?).await
}
