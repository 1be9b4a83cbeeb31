//! Sealed texts of every place, for whoever goes through all of them, and what proves a key.

use std::collections::BTreeMap;

use crate::db::{Error, Tx};
use crate::domain::sealed::Place;
use crate::{params, row};

/// A sealed text and the id of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub row: String,
    pub text: String,
}

/// A text sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    pub row: String,
    pub old: String,
    pub new: String,
}

/// The proofs of keys, by the keys' ids.
pub async fn proofs(tx: &Tx) -> Result<BTreeMap<String, String>, Error> {
    let rows = tx.rows("SELECT * FROM sealing_key", params![]).await?;
    rows.iter().map(|r| Ok((r.text("id")?, r.text("proof")?))).collect()
}

/// Keeps a known text sealed with this key.
pub async fn prove(tx: &Tx, key: &str, proof: &str, now: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO sealing_key (id, proof, made_at) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET proof = excluded.proof, made_at = excluded.made_at",
        params![key, proof, now],
    )
    .await?;
    Ok(())
}

/// The key is gone.
pub async fn forget(tx: &Tx, key: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM sealing_key WHERE id = $1", params![key]).await?;
    Ok(())
}

struct Statements {
    /// Rows after an id, in the order of their ids; without those that hold nothing.
    page: &'static str,
    /// A new text where the old one still stands.
    replace: &'static str,
}

fn statements(place: Place) -> Statements {
    match place {
        Place::ConnectionSecrets => Statements {
            page: "SELECT id, secrets AS sealed FROM connection WHERE id > $1 AND secrets <> '' ORDER BY id LIMIT $2",
            replace: "UPDATE connection SET secrets = $1 WHERE id = $2 AND secrets = $3",
        },
        Place::AppSecret => Statements {
            page: "SELECT network || ' ' || server AS id, secret AS sealed FROM network_app WHERE network || ' ' || server > $1 \
                   AND secret <> '' ORDER BY network || ' ' || server LIMIT $2",
            replace: "UPDATE network_app SET secret = $1 WHERE network || ' ' || server = $2 AND secret = $3",
        },
        Place::ConsentSealed => Statements {
            page: "SELECT id, sealed AS sealed FROM consent WHERE id > $1 AND sealed <> '' ORDER BY id LIMIT $2",
            replace: "UPDATE consent SET sealed = $1 WHERE id = $2 AND sealed = $3",
        },
    }
}

/// The sealed texts of a place after this row, in the order of their rows.
pub async fn page(tx: &Tx, place: Place, after: &str, limit: i64) -> Result<Vec<Sealed>, Error> {
    let rows = tx.rows(statements(place).page, params![after, limit]).await?;
    rows.iter().map(|r| Ok(Sealed { row: r.text("id")?, text: r.text("sealed")? })).collect()
}

/// Puts new texts in the place of old ones; how many. One that is another by now is left alone:
/// whoever wrote it knew more.
pub async fn replace_each(tx: &Tx, place: Place, each: &[Resealed]) -> Result<u64, Error> {
    let each: Vec<_> = each.iter().map(|r| row![&r.new, &r.row, &r.old]).collect();
    Ok(tx.execute_each(statements(place).replace, &each).await?.iter().sum())
}
