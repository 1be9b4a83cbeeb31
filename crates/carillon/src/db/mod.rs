//! The database behind one face: SQLite on one machine, PostgreSQL on many.
//!
//! A *unit of work* is one async closure over [`Tx`]. On PostgreSQL it runs in a transaction of its
//! own on a pooled connection. On SQLite the writer thread polls it to its end inside a savepoint
//! of the group's transaction: its awaits are always ready, one bad unit rolls back alone, and many
//! units share one fsync. A unit may therefore await nothing but the database.
//!
//! One SQL text serves both: placeholders `$1…$n` in order of first appearance, times BIGINT, no
//! booleans. The few statements that must differ ask [`Tx::is_postgres`]; nobody else knows.

mod memory;
mod migrate;
mod postgres;
mod sqlite;
mod together;
mod value;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

pub use memory::{Fate, Memory, Script};
pub use migrate::{MIGRATIONS, Migrated, Migration};
pub use together::Fault;
pub use value::{Row, Value};

#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
    together: Arc<together::Kinds>,
}

/// A unit of work, and whether it went well.
type Unit = Box<dyn FnOnce(Tx) -> BoxFuture<'static, bool> + Send>;

enum Inner {
    Sqlite(sqlite::Sqlite),
    Memory(Memory),
    Postgres(postgres::Postgres),
}

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Sqlite(PathBuf),
    /// A `postgres://` address; it holds a password and is never printed.
    Postgres(String),
    /// SQLite in memory, for a simulation.
    Memory(Memory),
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A row with this key is there already.
    #[error("already there: {0}")]
    Unique(String),
    /// Out of reach, locked, full: the same call may work later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The commit was sent and its answer lost: it may have happened.
    #[error("the database did not confirm the commit: {0}")]
    CommitUnknown(String),
    /// The schema is not one that this version knows.
    #[error("{0}")]
    Schema(String),
    /// A row does not hold what the code expects.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    #[error("the database refused: {0}")]
    Refused(String),
    /// A unit of work awaited something else than the database.
    #[error("a unit of work awaited something else than the database")]
    Awaited,
}

/// The refusal of a database that somebody else's program made.
fn not_ours() -> Error {
    Error::Schema(
        "this database holds tables that are not Carillon's: name another file or database".into(),
    )
}

impl Db {
    /// Opens the database and brings its schema up to date (a SQLite file is backed up first).
    pub async fn open(location: &Location, now: i64) -> Result<(Self, Migrated), Error> {
        Self::open_with(location, MIGRATIONS, now).await
    }

    /// The same to another schema than this version's own: for tests of what comes next.
    pub async fn open_with(
        location: &Location,
        migrations: &'static [Migration],
        now: i64,
    ) -> Result<(Self, Migrated), Error> {
        let inner = match location {
            Location::Sqlite(path) => Inner::Sqlite(sqlite::Sqlite::open(path)?),
            Location::Memory(memory) => Inner::Memory(memory.clone()),
            Location::Postgres(url) => Inner::Postgres(postgres::Postgres::open(url)?),
        };
        let db = Self { inner: Arc::new(inner), together: Arc::default() };
        let migrated = migrate::run(&db, migrations, now).await?;
        Ok((db, migrated))
    }

    /// Runs a unit of work that writes. `Ok` means committed; on `Err` nothing of it stands, but
    /// for [`Error::CommitUnknown`].
    pub async fn write<T, E, F, Fut>(&self, unit: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(Tx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.unit(true, unit).await
    }

    /// Runs a unit of work that only reads, from one snapshot.
    pub async fn read<T, E, F, Fut>(&self, unit: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(Tx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.unit(false, unit).await
    }

    /// What a unit returns stays here; the databases hear only whether it went well, so that they
    /// are compiled once and not for each of the hundreds of units.
    async fn unit<T, E, F, Fut>(&self, writes: bool, unit: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(Tx) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let outcome = Arc::new(Mutex::new(None));
        let slot = outcome.clone();
        let unit: Unit = Box::new(move |tx| {
            let unit = unit(tx);
            Box::pin(async move {
                let done = unit.await;
                let well = done.is_ok();
                *slot.lock().unwrap_or_else(|e| e.into_inner()) = Some(done);
                well
            })
        });
        self.run(writes, unit).await?;
        let done = outcome.lock().unwrap_or_else(|e| e.into_inner()).take();
        done.unwrap_or_else(|| Err(Error::Refused("a unit of work did not end".into()).into()))
    }

    /// `Ok` means that the unit ended as it said: committed when it went well, undone when not.
    fn run(&self, writes: bool, unit: Unit) -> BoxFuture<'_, Result<(), Error>> {
        match &*self.inner {
            Inner::Sqlite(db) => db.run(writes, unit).boxed(),
            Inner::Memory(db) => db.run(writes, unit).boxed(),
            Inner::Postgres(db) => db.run(writes, unit).boxed(),
        }
    }

    /// Does this statement prepare? For the test that holds every statement against both.
    pub async fn prepares(&self, sql: &'static str) -> Result<(), Error> {
        match &*self.inner {
            Inner::Memory(db) => db.prepares(sql),
            Inner::Postgres(db) => db.prepares(sql).await,
            Inner::Sqlite(_) => {
                self.read(move |tx| async move {
                    let TxInner::Sqlite(tx) = &tx.0 else { return Err(Error::Awaited) };
                    tx.prepares(sql)
                })
                .await
            }
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(&*self.inner, Inner::Postgres(_))
    }

    /// The SQLite file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        match &*self.inner {
            Inner::Sqlite(db) => Some(db.path()),
            Inner::Memory(_) | Inner::Postgres(_) => None,
        }
    }

    /// The database's own clock minus ours, in ms: leases of several nodes are counted by one
    /// clock. 0 on SQLite, which shares ours.
    pub async fn clock_offset(&self, now: i64) -> Result<i64, Error> {
        match &*self.inner {
            Inner::Sqlite(_) | Inner::Memory(_) => Ok(0),
            Inner::Postgres(db) => Ok(db.now().await? - now),
        }
    }

    /// Waits for a hint from another node that work was added. A hint can be lost; a poll stands
    /// behind it. Never returns on SQLite, where one process does the work.
    pub async fn hint(&self) {
        match &*self.inner {
            Inner::Sqlite(_) | Inner::Memory(_) => std::future::pending().await,
            Inner::Postgres(db) => db.hint().await,
        }
    }

    /// Tells other nodes that work was added.
    pub fn notify(&self) {
        if let Inner::Postgres(db) = &*self.inner {
            db.notify();
        }
    }
}

/// One transaction. Cheap to clone; useless once its unit has ended.
#[derive(Clone)]
pub struct Tx(TxInner);

#[derive(Clone)]
enum TxInner {
    Sqlite(sqlite::SqliteTx),
    Postgres(postgres::PostgresTx),
}

impl Tx {
    pub fn is_postgres(&self) -> bool {
        matches!(self.0, TxInner::Postgres(_))
    }

    /// Runs a statement; the number of rows it changed.
    pub async fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        match &self.0 {
            TxInner::Sqlite(tx) => tx.execute(sql, params),
            TxInner::Postgres(tx) => tx.execute(sql, params).await,
        }
    }

    pub async fn rows(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        match &self.0 {
            TxInner::Sqlite(tx) => tx.rows(sql, params),
            TxInner::Postgres(tx) => tx.rows(sql, params).await,
        }
    }

    /// The first row, if any.
    pub async fn row(&self, sql: &str, params: &[Value]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Runs a statement once for each of these rows of parameters, in their order; how many rows
    /// each changed. One statement on PostgreSQL: an INSERT or UPDATE, and no row of the table may
    /// be meant twice.
    pub async fn execute_each(&self, sql: &str, each: &[Vec<Value>]) -> Result<Vec<u64>, Error> {
        match &self.0 {
            TxInner::Sqlite(tx) => each.iter().map(|params| tx.execute(sql, params)).collect(),
            TxInner::Postgres(tx) => tx.execute_each(sql, each).await,
        }
    }

    /// The same for a statement that answers with rows.
    pub async fn rows_each(&self, sql: &str, each: &[Vec<Value>]) -> Result<Vec<Vec<Row>>, Error> {
        match &self.0 {
            TxInner::Sqlite(tx) => each.iter().map(|params| tx.rows(sql, params)).collect(),
            TxInner::Postgres(tx) => tx.rows_each(sql, each).await,
        }
    }

    /// Runs several statements without parameters: migrations.
    pub async fn script(&self, sql: &str) -> Result<(), Error> {
        match &self.0 {
            TxInner::Sqlite(tx) => tx.script(sql),
            TxInner::Postgres(tx) => tx.script(sql).await,
        }
    }
}

/// Parameters of a statement, each turned into a [`Value`].
#[macro_export]
macro_rules! params {
    ($($p:expr),* $(,)?) => { &[$($crate::db::Value::from($p)),*][..] };
}

/// The same, owned: one row for [`Tx::execute_each`].
#[macro_export]
macro_rules! row {
    ($($p:expr),* $(,)?) => { ::std::vec![$($crate::db::Value::from($p)),*] };
}
