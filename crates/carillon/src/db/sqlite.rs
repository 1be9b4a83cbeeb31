//! SQLite: WAL, synchronous=FULL, one writer thread that groups waiting units into one commit,
//! reader threads beside it.
//!
//! FULL because an intent must survive a power cut; grouping because one fsync can carry hundreds
//! of units. A unit is a future that the thread polls exactly once: every await inside it is a
//! call on this thread's own connection and is ready at once.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};
use tokio::sync::oneshot;

use super::{Error, Row, Tx, TxInner, Unit, Value};

/// Most units in one commit: bounds how long the first of them waits.
const GROUP: usize = 512;
const READERS: usize = 2;

pub(super) struct Sqlite {
    path: PathBuf,
    writer: mpsc::Sender<Waiting>,
    readers: mpsc::Sender<Waiting>,
}

/// A unit on its way to a database thread, and who waits for its end.
struct Waiting {
    unit: Unit,
    answer: oneshot::Sender<Result<(), Error>>,
}

/// A unit that was run: whether it went well, or why it could not end as it said.
struct Ran {
    outcome: Result<bool, Error>,
    answer: oneshot::Sender<Result<(), Error>>,
}

impl Ran {
    /// Tells the fate of the commit, which means something to a unit that went well.
    fn finish(self, commit: &Result<(), Error>) {
        let told = match self.outcome {
            Ok(true) => commit.clone(),
            Ok(false) => Ok(()),
            Err(e) => Err(e),
        };
        // The caller may have gone away; the commit stands all the same.
        let _ = self.answer.send(told);
    }
}

pub(super) type Shared = Arc<Mutex<Connection>>;

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (writer, units) = mpsc::channel();
        let conn = open_writer(path).map_err(|e| cannot_open(path, e))?;
        spawn("db-writer", move || write_loop(&Arc::new(Mutex::new(conn)), &units))?;
        let (readers, units) = mpsc::channel();
        let units = Arc::new(Mutex::new(units));
        for _ in 0..READERS {
            let (conn, units) = (Arc::new(Mutex::new(connect(path, true)?)), units.clone());
            spawn("db-reader", move || read_loop(&conn, &units))?;
        }
        Ok(Self { path: path.to_owned(), writer, readers })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn run(&self, writes: bool, unit: Unit) -> Result<(), Error> {
        let threads = if writes { &self.writer } else { &self.readers };
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Unavailable("its thread has ended".into());
        threads.send(Waiting { unit, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// The connection that writes. A file that is not Carillon's is refused before anything in it is
/// changed, and turning WAL on is a change.
fn open_writer(path: &Path) -> Result<Connection, Error> {
    let conn = plain(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    let sql = "SELECT count(*), coalesce(sum(name = 'schema_version'), 0) FROM sqlite_schema WHERE type = 'table'";
    let (tables, ours): (i64, i64) =
        conn.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?))).map_err(from_sqlite)?;
    if tables > 0 && ours == 0 {
        return Err(super::not_ours());
    }
    drop(conn);
    let conn = connect(path, false)?;
    // SQLite opens what it may not write without a word, and even begins a transaction on it.
    if conn.is_readonly(rusqlite::MAIN_DB).map_err(from_sqlite)? {
        return Err(Error::Unavailable("it is read-only".into()));
    }
    conn.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(from_sqlite)?;
    Ok(conn)
}

/// What is wrong with a file that cannot be opened, and what to do.
fn cannot_open(path: &Path, e: Error) -> Error {
    let file = path.display();
    match e {
        Error::Schema(m) => Error::Schema(format!("`{file}`: {m}")),
        Error::Corrupt(m) => Error::Corrupt(format!(
            "`{file}` is no SQLite database, or a damaged one ({m}): restore a backup, or name another file"
        )),
        Error::Unavailable(m) if m.contains("locked") => Error::Unavailable(format!(
            "`{file}` is locked by another process ({m}): end that one, then start again"
        )),
        Error::Unavailable(m) => Error::Unavailable(format!(
            "`{file}` cannot be opened for writing ({m}): see that its folder is there, that both \
             belong to the user that Carillon runs as, and that the disk is not full or read-only"
        )),
        other => other,
    }
}

fn plain(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(from_sqlite)?;
    conn.busy_timeout(Duration::from_secs(10)).map_err(from_sqlite)?;
    Ok(conn)
}

fn connect(path: &Path, read_only: bool) -> Result<Connection, Error> {
    let flags = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    let conn = plain(path, flags)?;
    conn.set_prepared_statement_cache_capacity(256);
    let pragmas = if read_only {
        "PRAGMA mmap_size = 268435456; PRAGMA cache_size = -4000;"
    } else {
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -8000; PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;"
    };
    conn.execute_batch(pragmas).map_err(from_sqlite)?;
    Ok(conn)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|e| Error::Unavailable(format!("no thread for {name}: {e}")))
}

/// Takes one unit and whatever else waits, runs each in a savepoint, commits once, then answers.
fn write_loop(conn: &Shared, units: &mpsc::Receiver<Waiting>) {
    while let Ok(first) = units.recv() {
        let mut waiting: VecDeque<Waiting> = VecDeque::from([first]);
        waiting.extend(units.try_iter().take(GROUP - 1));
        while !waiting.is_empty() {
            write_group(conn, &mut waiting);
        }
    }
}

/// One commit. Units that are left over when the database ends the transaction by itself (a full
/// disk, a failed read) stay waiting: outside of it each would commit alone and be told otherwise.
fn write_group(conn: &Shared, waiting: &mut VecDeque<Waiting>) {
    if let Err(e) = batch(conn, "BEGIN IMMEDIATE") {
        return refuse(waiting.drain(..), &e);
    }
    let mut done: Vec<Ran> = Vec::new();
    while let Some(Waiting { unit, answer }) = waiting.pop_front() {
        done.push(Ran { outcome: run(conn, unit), answer });
        if ended_by_itself(conn) {
            break;
        }
    }
    let commit = if ended_by_itself(conn) {
        Err(Error::Unavailable("the disk is full or failing: everything was rolled back".into()))
    } else {
        batch(conn, "COMMIT")
    };
    if commit.is_err() && !ended_by_itself(conn) {
        // A failed fsync fails the whole group: nothing of it may be believed.
        let _ = batch(conn, "ROLLBACK");
    }
    for ran in done {
        ran.finish(&commit);
    }
}

fn ended_by_itself(conn: &Shared) -> bool {
    conn.lock().unwrap_or_else(|e| e.into_inner()).is_autocommit()
}

fn read_loop(conn: &Shared, units: &Mutex<mpsc::Receiver<Waiting>>) {
    loop {
        let next = units.lock().unwrap_or_else(|e| e.into_inner()).recv();
        let Ok(waiting) = next else { return };
        match batch(conn, "BEGIN DEFERRED") {
            Ok(()) => {
                let ran = Ran { outcome: run(conn, waiting.unit), answer: waiting.answer };
                let ended = if ended_by_itself(conn) { Ok(()) } else { batch(conn, "COMMIT") };
                ran.finish(&ended);
            }
            Err(e) => refuse([waiting], &e),
        }
    }
}

/// Answers units that could not begin.
fn refuse(units: impl IntoIterator<Item = Waiting>, why: &Error) {
    for Waiting { answer, .. } in units {
        let _ = answer.send(Err(why.clone()));
    }
}

/// Runs a unit in a savepoint of its own; whether it went well.
pub(super) fn run(conn: &Shared, unit: Unit) -> Result<bool, Error> {
    batch(conn, "SAVEPOINT unit")?;
    let live = Arc::new(AtomicBool::new(true));
    let tx = Tx(TxInner::Sqlite(SqliteTx { conn: conn.clone(), live: live.clone() }));
    // A panic must not take the writer with it: the unit fails, its neighbours do not notice.
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        match unit(tx).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(well) => Ok(well),
            Poll::Pending => Err(Error::Awaited),
        }
    }))
    .unwrap_or_else(|_| Err(Error::Refused("a unit of work panicked".into())));
    live.store(false, Ordering::Release);
    if ended_by_itself(conn) {
        // Its savepoint went with the group; a unit that did not notice hears it from the commit.
        return outcome;
    }
    let well = matches!(outcome, Ok(true));
    batch(conn, if well { "RELEASE unit" } else { "ROLLBACK TO unit; RELEASE unit" })?;
    outcome
}

pub(super) fn batch(conn: &Shared, sql: &str) -> Result<(), Error> {
    let conn = conn.lock().unwrap_or_else(|e| e.into_inner());
    // Cached: these few run for every unit.
    if sql.contains(';') {
        return conn.execute_batch(sql).map_err(from_sqlite);
    }
    conn.prepare_cached(sql).and_then(|mut s| s.raw_execute()).map(drop).map_err(from_sqlite)
}

#[derive(Clone)]
pub(super) struct SqliteTx {
    conn: Shared,
    live: Arc<AtomicBool>,
}

impl SqliteTx {
    fn lock(&self) -> Result<MutexGuard<'_, Connection>, Error> {
        if !self.live.load(Ordering::Acquire) {
            return Err(Error::Refused("the unit of work has ended".into()));
        }
        Ok(self.conn.lock().unwrap_or_else(|e| e.into_inner()))
    }

    pub(super) fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        let conn = self.lock()?;
        let mut statement = conn.prepare_cached(sql).map_err(from_sqlite)?;
        bind(&mut statement, params)?;
        let changed = statement.raw_execute().map_err(from_sqlite)?;
        Ok(changed as u64)
    }

    pub(super) fn rows(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        let conn = self.lock()?;
        let mut statement = conn.prepare_cached(sql).map_err(from_sqlite)?;
        bind(&mut statement, params)?;
        let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(from_sqlite)? {
            let mut values = Vec::with_capacity(columns.len());
            for i in 0..columns.len() {
                values.push(match row.get_ref(i).map_err(from_sqlite)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(v) => Value::Int(v),
                    ValueRef::Text(t) => Value::Text(text(t)),
                    ValueRef::Real(_) | ValueRef::Blob(_) => {
                        return Err(Error::Corrupt(format!("column {i} is a float or a blob")));
                    }
                });
            }
            rows.push(Row { columns: columns.clone(), values });
        }
        Ok(rows)
    }

    pub(super) fn prepares(&self, sql: &str) -> Result<(), Error> {
        self.lock()?.prepare(sql).map(drop).map_err(from_sqlite)
    }

    pub(super) fn script(&self, sql: &str) -> Result<(), Error> {
        self.lock()?.execute_batch(sql).map_err(from_sqlite)
    }
}

/// What is no UTF-8 was not written by us; the rest of the row is still good.
fn text(bytes: &[u8]) -> String {
    str::from_utf8(bytes)
        .map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned)
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, params: &[Value]) -> Result<(), Error> {
    if statement.parameter_count() != params.len() {
        return Err(Error::Refused(format!(
            "the statement takes {} parameters, got {}",
            statement.parameter_count(),
            params.len()
        )));
    }
    for (i, value) in params.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, value).map_err(from_sqlite)?;
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(v) => ValueRef::Integer(*v),
            Value::Text(t) => ValueRef::Text(t.as_bytes()),
        }))
    }
}

pub(super) fn from_sqlite(e: rusqlite::Error) -> Error {
    let text = e.to_string();
    match e.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) if text.contains("UNIQUE") => Error::Unique(text),
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen,
        ) => Error::Unavailable(text),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error::Corrupt(text),
        _ => Error::Refused(text),
    }
}

/// A consistent copy of the file, taken beside running writers.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let source = connect(from, true)?;
    let mut target = Connection::open(to).map_err(from_sqlite)?;
    rusqlite::backup::Backup::new(&source, &mut target)
        .and_then(|b| b.run_to_completion(256, Duration::ZERO, None))
        .map_err(from_sqlite)
}
