//! Versioned, forward-only migrations, applied at start.
//!
//! A released migration is never edited: `tests/it/migrate.rs` holds their hashes. A SQLite
//! file is copied before anything changes it; nodes on PostgreSQL take turns by an advisory lock.

use std::path::{Path, PathBuf};

use super::{Db, Error, Tx, sqlite};
use crate::params;

/// One step of the schema.
#[derive(Debug, Clone)]
pub struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

/// All of this version's, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "first", sql: include_str!("../../migrations/0001_first.sql") },
    Migration { version: 2, name: "heart", sql: include_str!("../../migrations/0002_heart.sql") },
    Migration { version: 3, name: "lean", sql: include_str!("../../migrations/0003_lean.sql") },
    Migration {
        version: 4,
        name: "segments",
        sql: include_str!("../../migrations/0004_segments.sql"),
    },
    Migration {
        version: 5,
        name: "options",
        sql: include_str!("../../migrations/0005_options.sql"),
    },
    Migration { version: 6, name: "tokens", sql: include_str!("../../migrations/0006_tokens.sql") },
    Migration { version: 7, name: "keys", sql: include_str!("../../migrations/0007_keys.sql") },
    Migration { version: 8, name: "amend", sql: include_str!("../../migrations/0008_amend.sql") },
    Migration {
        version: 9,
        name: "uploads",
        sql: include_str!("../../migrations/0009_uploads.sql"),
    },
    Migration { version: 10, name: "video", sql: include_str!("../../migrations/0010_video.sql") },
    Migration {
        version: 11,
        name: "numbers",
        sql: include_str!("../../migrations/0011_numbers.sql"),
    },
    Migration {
        version: 12,
        name: "library",
        sql: include_str!("../../migrations/0012_library.sql"),
    },
    Migration { version: 13, name: "due", sql: include_str!("../../migrations/0013_due.sql") },
    Migration {
        version: 14,
        name: "campaigns",
        sql: include_str!("../../migrations/0014_campaigns.sql"),
    },
    Migration {
        version: 15,
        name: "review",
        sql: include_str!("../../migrations/0015_review.sql"),
    },
    Migration { version: 16, name: "bulk", sql: include_str!("../../migrations/0016_bulk.sql") },
    Migration {
        version: 17,
        name: "drafts",
        sql: include_str!("../../migrations/0017_drafts.sql"),
    },
    Migration {
        version: 18,
        name: "scopes",
        sql: include_str!("../../migrations/0018_scopes.sql"),
    },
];

/// What [`run`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    pub applied: Vec<String>,
    /// The copy taken before, where one was needed.
    pub backup: Option<PathBuf>,
}

/// Brings the schema to the newest of `all`. A schema that none of them made is refused, and so are
/// tables of somebody else's.
pub(super) async fn run(db: &Db, all: &'static [Migration], now: i64) -> Result<Migrated, Error> {
    let found = db.write(|tx| async move { prepare(&tx).await }).await?;
    let newest = all.last().map_or(0, |m| m.version);
    if found > newest {
        return Err(Error::Schema(format!(
            "the database has schema {found}, this version knows up to {newest}: start the newer \
             Carillon that made it, or restore the backup taken before it was upgraded"
        )));
    }
    let mut migrated = Migrated::default();
    let Some(first) = all.iter().find(|m| m.version > found) else { return Ok(migrated) };
    if found > 0
        && let Some(file) = db.file()
    {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".before-{:04}-{now}", first.version));
        let copy = PathBuf::from(name);
        sqlite::copy(file, &copy).map_err(|e| not_copied(&copy, &e))?;
        migrated.backup = Some(copy);
    }
    let applied = db.write(move |tx| async move { apply(&tx, all, now).await }).await;
    migrated.applied = applied.map_err(|e| not_applied(&e, migrated.backup.as_deref()))?;
    Ok(migrated)
}

fn not_copied(copy: &Path, e: &Error) -> Error {
    // Half a copy would be taken for a whole one later.
    let _ = std::fs::remove_file(copy);
    Error::Schema(format!(
        "the database has to be brought up to date, and the copy `{}` that is taken before could \
         not be written, so nothing was changed: {e}: make room beside the database and start again",
        copy.display()
    ))
}

fn not_applied(e: &Error, copy: Option<&Path>) -> Error {
    let copy = copy.map_or_else(String::new, |copy| {
        format!("; a copy taken before is at `{}`", copy.display())
    });
    // The answer to a commit may be lost after the server has done it.
    let stands = match e {
        Error::CommitUnknown(_) => "it is not known whether it took",
        _ => "nothing was changed",
    };
    Error::Schema(format!(
        "the database could not be brought up to date, {stands}: {e}{copy}: mend what is said here \
         and start again, or go on with the version used so far"
    ))
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
    let ours = |name: &str| names.iter().any(|n| n == name);
    if !ours("schema_version") {
        if ours("workspace") || ours("job") {
            return Err(super::not_ours());
        }
        tx.script(
            "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)",
        )
        .await?;
    }
    let found = version(tx).await?;
    // Other tools keep their versions in a table of this name.
    if found > 0 && !ours("workspace") { Err(super::not_ours()) } else { Ok(found) }
}

async fn apply(tx: &Tx, all: &[Migration], now: i64) -> Result<Vec<String>, Error> {
    lock(tx).await?;
    // Another node may have been quicker.
    let found = version(tx).await?;
    let mut applied = Vec::new();
    for migration in all.iter().filter(|m| m.version > found) {
        tx.script(&dialect(migration.sql, tx.is_postgres())).await?;
        tx.execute(
            "INSERT INTO schema_version (version, name, applied_at) VALUES ($1, $2, $3)",
            params![migration.version, migration.name, now],
        )
        .await?;
        applied.push(format!("{:04}_{}", migration.version, migration.name));
    }
    Ok(applied)
}

/// Takes what is for one database alone, as `/*sqlite: WITHOUT ROWID :sqlite*/`, out of its comment.
fn dialect(sql: &str, postgres: bool) -> String {
    let ours = if postgres { "postgres" } else { "sqlite" };
    sql.replace(&format!("/*{ours}: "), "").replace(&format!(" :{ours}*/"), "")
}

async fn version(tx: &Tx) -> Result<i64, Error> {
    let sql = "SELECT coalesce(max(version), 0) AS version FROM schema_version";
    let row = tx.row(sql, params![]).await;
    match row.and_then(|row| row.map_or(Ok(0), |r| r.int("version"))) {
        // There is a table of this name, but of another shape.
        Err(Error::Refused(_) | Error::Corrupt(_)) => Err(super::not_ours()),
        found => found,
    }
}

async fn lock(tx: &Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        tx.rows("SELECT CAST(pg_advisory_xact_lock(7236710) AS TEXT) AS locked", params![]).await?;
    }
    Ok(())
}
