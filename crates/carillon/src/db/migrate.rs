//! Versioned, forward-only migrations, applied at start.
//!
//! An applied migration is never edited: the test beside the files holds their hashes. A SQLite
//! file is copied before anything changes it; nodes on PostgreSQL take turns by an advisory lock.

use std::path::PathBuf;

use super::{Db, Error, Tx, sqlite};
use crate::params;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const ALL: &[Migration] = &[
    Migration { version: 1, name: "first", sql: include_str!("../../migrations/0001_first.sql") },
    Migration { version: 2, name: "heart", sql: include_str!("../../migrations/0002_heart.sql") },
];

/// What [`run`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    pub applied: Vec<String>,
    /// The copy taken before, where one was needed.
    pub backup: Option<PathBuf>,
}

pub(super) async fn run(db: &Db, now: i64) -> Result<Migrated, Error> {
    let found = db.write(|tx| async move { prepare(&tx).await }).await?;
    let newest = ALL.last().map_or(0, |m| m.version);
    if found > newest {
        return Err(Error::Schema(format!(
            "the database has schema {found}, this version knows up to {newest}: start the newer \
             Carillon that made it, or restore the backup taken before it was upgraded"
        )));
    }
    let mut migrated = Migrated::default();
    let Some(first) = ALL.iter().find(|m| m.version > found) else { return Ok(migrated) };
    if found > 0
        && let Some(file) = db.file()
    {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".before-{:04}-{now}", first.version));
        sqlite::copy(file, &PathBuf::from(&name))?;
        migrated.backup = Some(name.into());
    }
    migrated.applied = db.write(move |tx| async move { apply(&tx, now).await }).await?;
    Ok(migrated)
}

/// Makes the table of versions where the database is new; the version found.
async fn prepare(tx: &Tx) -> Result<i64, Error> {
    lock(tx).await?;
    let tables = if tx.is_postgres() {
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema()"
    } else {
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
    };
    let names: Vec<String> = tx
        .rows(tables, params![])
        .await?
        .iter()
        .map(|r| r.text("name"))
        .collect::<Result<_, _>>()?;
    if !names.iter().any(|n| n == "schema_version") {
        if names.iter().any(|n| n == "workspace" || n == "job")
            || (!tx.is_postgres() && !names.is_empty())
        {
            return Err(Error::Schema(
                "this database holds tables that are not Carillon's: name another file or database"
                    .into(),
            ));
        }
        tx.script(
            "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)",
        )
        .await?;
    }
    let row = tx.row("SELECT coalesce(max(version), 0) AS version FROM schema_version", params![]);
    row.await?.map_or(Ok(0), |r| r.int("version"))
}

async fn apply(tx: &Tx, now: i64) -> Result<Vec<String>, Error> {
    lock(tx).await?;
    // Another node may have been quicker.
    let row = tx
        .row("SELECT coalesce(max(version), 0) AS version FROM schema_version", params![])
        .await?;
    let found = row.map_or(Ok(0), |r| r.int("version"))?;
    let mut applied = Vec::new();
    for migration in ALL.iter().filter(|m| m.version > found) {
        tx.script(migration.sql).await?;
        tx.execute(
            "INSERT INTO schema_version (version, name, applied_at) VALUES ($1, $2, $3)",
            params![migration.version, migration.name, now],
        )
        .await?;
        applied.push(format!("{:04}_{}", migration.version, migration.name));
    }
    Ok(applied)
}

async fn lock(tx: &Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        tx.rows("SELECT CAST(pg_advisory_xact_lock(7236710) AS TEXT) AS locked", params![]).await?;
    }
    Ok(())
}
