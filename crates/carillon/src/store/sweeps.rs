//! The log of sweeps: what each freed and repaired, where it did something.

use crate::db::{Error, Row, Tx};
use crate::params;
use crate::words;

words! {
    /// Who began a sweep.
    pub enum SweepCause {
        /// The clockwork.
        Cron = "cron",
        /// A server that started.
        Start = "start",
        Person = "person",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    pub id: String,
    /// ms UTC
    pub at: i64,
    pub cause: SweepCause,
    /// Jobs whose lease had ended.
    pub freed: i64,
    /// Deliveries among them that may have been sent.
    pub unknown: i64,
    /// Lanes whose next time was wrong.
    pub repaired: i64,
    /// How long it took.
    pub ms: i64,
}

pub async fn add(tx: &Tx, sweep: &Sweep) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO sweep (id, at, cause, freed, unknown, repaired, ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            &sweep.id,
            sweep.at,
            sweep.cause.as_str(),
            sweep.freed,
            sweep.unknown,
            sweep.repaired,
            sweep.ms
        ],
    )
    .await?;
    Ok(())
}

/// Newest first.
pub async fn latest(tx: &Tx, limit: i64) -> Result<Vec<Sweep>, Error> {
    let rows =
        tx.rows("SELECT * FROM sweep ORDER BY at DESC, id DESC LIMIT $1", params![limit]).await?;
    rows.iter().map(read).collect()
}

/// Removes those older than this time, a batch at a time.
pub async fn prune(tx: &Tx, before: i64) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM sweep WHERE id IN (SELECT id FROM sweep WHERE at < $1 LIMIT 1000)",
        params![before],
    )
    .await
}

fn read(r: &Row) -> Result<Sweep, Error> {
    Ok(Sweep {
        id: r.text("id")?,
        at: r.int("at")?,
        cause: r.word("cause")?,
        freed: r.int("freed")?,
        unknown: r.int("unknown")?,
        repaired: r.int("repaired")?,
        ms: r.int("ms")?,
    })
}
