//! SQLite in memory, on the calling task: for a simulation that decides what happens when.
//!
//! No thread and no file: a unit runs between two awaits of the process's [`Script`], which may
//! let it fail, hold it up, or end the process there. Several processes share one [`Memory`], each
//! with its own script; the data outlive them all. [`Memory::mark`] and [`Memory::restore`] take
//! the data back to a moment, so that a run can be repeated from it. Nothing in the settings leads
//! here.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rusqlite::Connection;

use super::sqlite::{self, Shared};
use super::{Error, Unit};

/// What befalls one process's units of work.
#[async_trait]
pub trait Script: Send + Sync {
    /// Before a unit: a process that ends here has done nothing.
    async fn before(&self, writes: bool) -> Fate;
    /// After its commit: a process that ends here has done it and does not know.
    async fn after(&self, writes: bool);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Commit,
    /// Refused before it began: another process holds the lock.
    Busy,
    /// It commits, and the answer is lost.
    CommitUnheard,
    /// It does not commit, and the answer is lost.
    VanishUnheard,
}

/// A database that lives as long as a handle to it.
#[derive(Clone)]
pub struct Memory {
    conn: Shared,
    script: Arc<dyn Script>,
}

impl Memory {
    pub fn new() -> Result<Self, Error> {
        let conn = Connection::open_in_memory().map_err(sqlite::from_sqlite)?;
        conn.set_prepared_statement_cache_capacity(256);
        conn.execute_batch("PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")
            .map_err(sqlite::from_sqlite)?;
        Ok(Self { conn: Arc::new(Mutex::new(conn)), script: Arc::new(Calm) })
    }

    /// The same data, as a process with this script has them.
    pub fn with(&self, script: Arc<dyn Script>) -> Self {
        Self { conn: self.conn.clone(), script }
    }

    /// Remembers this moment; marks nest.
    pub fn mark(&self) -> Result<(), Error> {
        sqlite::batch(&self.conn, "SAVEPOINT mark")
    }

    /// Takes the data back to the last mark, which stands.
    pub fn restore(&self) -> Result<(), Error> {
        sqlite::batch(&self.conn, "ROLLBACK TO mark")
    }

    /// Takes the data back to the last mark and forgets it.
    pub fn forget(&self) -> Result<(), Error> {
        sqlite::batch(&self.conn, "ROLLBACK TO mark; RELEASE mark")
    }

    pub(super) async fn run(&self, writes: bool, unit: Unit) -> Result<(), Error> {
        let fate = self.script.before(writes).await;
        // Of a unit that failed by itself there is no commit whose answer could be lost.
        let lost = |well| if well { Err(unheard()) } else { Ok(()) };
        let outcome = match fate {
            Fate::Busy => return Err(Error::Unavailable("it is busy".into())),
            Fate::Commit => sqlite::run(&self.conn, unit).map(drop),
            Fate::CommitUnheard => sqlite::run(&self.conn, unit).and_then(lost),
            Fate::VanishUnheard => {
                sqlite::batch(&self.conn, "SAVEPOINT vanish")?;
                let outcome = sqlite::run(&self.conn, unit).and_then(lost);
                sqlite::batch(&self.conn, "ROLLBACK TO vanish; RELEASE vanish")?;
                outcome
            }
        };
        self.script.after(writes).await;
        outcome
    }

    pub(super) fn prepares(&self, sql: &str) -> Result<(), Error> {
        let conn = self.conn.lock().unwrap_or_else(|e| e.into_inner());
        conn.prepare(sql).map(drop).map_err(sqlite::from_sqlite)
    }
}

fn unheard() -> Error {
    Error::CommitUnknown("the simulation lost its answer".into())
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.conn, &other.conn)
    }
}

impl Eq for Memory {}

/// Nothing befalls; other tasks get their turn.
struct Calm;

#[async_trait]
impl Script for Calm {
    async fn before(&self, _: bool) -> Fate {
        tokio::task::yield_now().await;
        Fate::Commit
    }
    async fn after(&self, _: bool) {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Location};
    use crate::params;

    async fn count(db: &Db) -> i64 {
        db.read(|tx| async move {
            let row = tx.row("SELECT count(*) AS n FROM node", params![]).await?;
            row.map_or(Ok(0), |r| r.int("n"))
        })
        .await
        .expect("a count")
    }

    async fn add(db: &Db, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        db.write(
            move |tx| async move { crate::store::nodes::seen(&tx, &id, "worker", "k1", 1).await },
        )
        .await
    }

    /// Commits once in three, in a row: as told, unheard, not at all.
    struct Turns(Mutex<u32>);

    #[async_trait]
    impl Script for Turns {
        async fn before(&self, writes: bool) -> Fate {
            if !writes {
                return Fate::Commit;
            }
            let mut turn = self.0.lock().expect("not poisoned");
            *turn += 1;
            [Fate::CommitUnheard, Fate::VanishUnheard, Fate::Busy][(*turn as usize - 1) % 3]
        }
        async fn after(&self, _: bool) {}
    }

    #[tokio::test]
    async fn processes_share_the_data_and_each_has_its_fate() {
        let memory = Memory::new().expect("a database");
        let (db, _) = Db::open(&Location::Memory(memory.clone()), 0).await.expect("it opens");
        let other = memory.with(Arc::new(Turns(Mutex::new(0))));
        add(&db, "a").await.expect("committed");
        // No migration is due any more: nothing is written when the second process opens it.
        let doomed =
            Db { inner: Arc::new(crate::db::Inner::Memory(other)), together: Arc::default() };
        assert!(matches!(add(&doomed, "b").await, Err(Error::CommitUnknown(_))));
        assert_eq!(count(&db).await, 2, "it was committed all the same");
        assert!(matches!(add(&doomed, "c").await, Err(Error::CommitUnknown(_))));
        assert!(matches!(add(&doomed, "d").await, Err(Error::Unavailable(_))));
        assert_eq!(count(&db).await, 2);
        memory.mark().expect("a mark");
        add(&db, "e").await.expect("committed");
        assert_eq!(count(&db).await, 3);
        memory.restore().expect("back");
        assert_eq!(count(&db).await, 2);
    }
}
