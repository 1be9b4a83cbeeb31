//! PostgreSQL: a pool of connections, one transaction a unit, NOTIFY as a hint.

mod each;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{AsyncMessage, Column, NoTls, Statement};

use super::{Error, Row, Tx, TxInner, Unit, Value};

const CHANNEL: &str = "carillon_work";

/// Longest wait for one answer. A statement of ours takes milliseconds; a server that says nothing
/// for so long is away.
const PATIENCE: Duration = Duration::from_secs(30);
/// Shortest time between two hints of one node: they cost a commit each.
const HINT_GAP: Duration = Duration::from_millis(10);

pub(super) struct Postgres {
    pool: Pool,
    hinted: Arc<Notify>,
    /// Full while a hint is wanted.
    wanted: mpsc::Sender<()>,
}

impl Postgres {
    pub(super) fn open(url: &str) -> Result<Self, Error> {
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| {
            Error::Refused("the database address is no valid `postgres://…` address".into())
        })?;
        config
            .connect_timeout(Duration::from_secs(10))
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(PATIENCE)
            .application_name("carillon");
        let manager = Manager::from_config(
            config.clone(),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(16)
            .wait_timeout(Some(Duration::from_secs(30)))
            .create_timeout(Some(Duration::from_secs(10)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| Error::Refused(e.to_string()))?;
        let hinted = Arc::new(Notify::new());
        tokio::spawn(listen(config, Arc::downgrade(&hinted)));
        let (wanted, wants) = mpsc::channel(1);
        tokio::spawn(hint(pool.clone(), wants));
        Ok(Self { pool, hinted, wanted })
    }

    pub(super) async fn run(&self, writes: bool, unit: Unit) -> Result<(), Error> {
        let begin = match writes {
            true => "BEGIN",
            false => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let conn = Arc::new(Held::new(self.connection().await?));
        answered(conn.batch_execute(begin)).await?;
        let well = unit(Tx(TxInner::Postgres(PostgresTx(conn.clone())))).await;
        // The server would answer COMMIT with a rollback, and no error.
        let went_on = well && conn.failed.load(Ordering::Acquire);
        if !well || went_on {
            if answered(conn.batch_execute("ROLLBACK")).await.is_ok() {
                conn.ended.store(true, Ordering::Release);
            }
            let refused = Error::Refused("a unit of work went on after a failed statement".into());
            return if went_on { Err(refused) } else { Ok(()) };
        }
        match timeout(PATIENCE, conn.batch_execute("COMMIT")).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) if e.is_closed() || e.as_db_error().is_none() => {
                return Err(Error::CommitUnknown(e.to_string()));
            }
            Ok(Err(e)) => return Err(from_postgres(e)),
            Err(_) => return Err(Error::CommitUnknown(SILENT.into())),
        }
        conn.ended.store(true, Ordering::Release);
        Ok(())
    }

    pub(super) async fn prepares(&self, sql: &str) -> Result<(), Error> {
        answered(self.connection().await?.prepare(sql)).await.map(drop)
    }

    pub(super) async fn now(&self) -> Result<i64, Error> {
        let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";
        let row = answered(self.connection().await?.query_one(sql, &[])).await?;
        row.try_get(0).map_err(from_postgres)
    }

    pub(super) async fn hint(&self) {
        self.hinted.notified().await;
    }

    /// Sends a hint soon; those that are wanted meanwhile are one.
    pub(super) fn notify(&self) {
        // Full: one is wanted already.
        let _ = self.wanted.try_send(());
    }

    async fn connection(&self) -> Result<Object, Error> {
        connection(&self.pool).await
    }
}

const SILENT: &str = "the server did not answer within 30 s";

/// The answer to a call, within our patience.
async fn answered<T>(
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    match timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(from_postgres),
        Err(_) => Err(Error::Unavailable(SILENT.into())),
    }
}

async fn connection(pool: &Pool) -> Result<Object, Error> {
    // Whatever the reason, it may be another one later: an outcome waits for it.
    pool.get().await.map_err(|e| {
        Error::Unavailable(match e {
            PoolError::Backend(e) => match e.as_db_error() {
                Some(db) => db.message().to_owned(),
                None => e.to_string(),
            },
            PoolError::Timeout(_) => "no connection was to be had in time".to_owned(),
            other => other.to_string(),
        })
    })
}

/// Sends the hints that are wanted, for as long as anybody can want one.
async fn hint(pool: Pool, mut wants: mpsc::Receiver<()>) {
    while wants.recv().await.is_some() {
        let sent = async {
            let conn = connection(&pool).await?;
            answered(conn.batch_execute("NOTIFY carillon_work")).await
        };
        if let Err(e) = sent.await {
            tracing::debug!(error = %e, "no hint sent; the others poll");
        }
        tokio::time::sleep(HINT_GAP).await;
    }
}

/// A connection with a transaction on it. It goes back to the pool only when that was seen to end:
/// the next unit's COMMIT would carry the half that is left of this one.
struct Held {
    /// Taken on drop.
    conn: Option<Object>,
    ended: AtomicBool,
    /// A statement failed: nothing but a rollback can come.
    failed: AtomicBool,
    /// The planner was told how this transaction looks up.
    by_key: AtomicBool,
}

impl Held {
    fn new(conn: Object) -> Self {
        let new = || AtomicBool::new(false);
        Self { conn: Some(conn), ended: new(), failed: new(), by_key: new() }
    }

    /// The answer to a statement; an error is kept in mind.
    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let answer = answered(call).await;
        if answer.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        answer
    }
}

impl std::ops::Deref for Held {
    type Target = Object;
    fn deref(&self) -> &Object {
        self.conn.as_ref().expect("it is taken on drop only")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if *self.ended.get_mut() {
            return;
        }
        let token = conn.cancel_token();
        // The server rolls back when the connection closes; a statement under way is ended first.
        drop(Object::take(conn));
        tokio::spawn(timeout(PATIENCE, async move { token.cancel_query(NoTls).await }));
    }
}

/// Holds a connection that listens for hints, for as long as somebody wants them.
async fn listen(config: tokio_postgres::Config, hinted: std::sync::Weak<Notify>) {
    while hinted.strong_count() > 0 {
        if let Ok((client, mut connection)) = config.connect(NoTls).await {
            let (ended, mut end) = tokio::sync::mpsc::channel::<()>(1);
            let waker = hinted.clone();
            let pump = tokio::spawn(async move {
                let _ended = ended;
                loop {
                    match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                        Some(Ok(AsyncMessage::Notification(_))) => match waker.upgrade() {
                            Some(n) => n.notify_waiters(),
                            None => return,
                        },
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return,
                    }
                }
            });
            if client.batch_execute(&format!("LISTEN {CHANNEL}")).await.is_ok() {
                loop {
                    tokio::select! {
                        _ = end.recv() => break,
                        () = tokio::time::sleep(Duration::from_secs(5)) => {
                            if hinted.strong_count() == 0 { pump.abort(); return; }
                        }
                    }
                }
            }
            pump.abort();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[derive(Clone)]
pub(super) struct PostgresTx(Arc<Held>);

impl PostgresTx {
    pub(super) async fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        let statement = self.0.answer(self.0.prepare_cached(sql)).await?;
        self.0.answer(self.0.execute(&statement, &refs(params))).await
    }

    pub(super) async fn rows(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        let statement = self.0.answer(self.0.prepare_cached(sql)).await?;
        let names = names(statement.columns());
        let found = self.0.answer(self.0.query(&statement, &refs(params))).await?;
        found.iter().map(|row| read(row, 0, &names)).collect()
    }

    pub(super) async fn execute_each(
        &self,
        sql: &str,
        each: &[Vec<Value>],
    ) -> Result<Vec<u64>, Error> {
        let [row] = each else { return self.execute_many(sql, each).await };
        Ok(vec![self.execute(sql, row).await?])
    }

    pub(super) async fn rows_each(
        &self,
        sql: &str,
        each: &[Vec<Value>],
    ) -> Result<Vec<Vec<Row>>, Error> {
        let [row] = each else { return self.rows_many(sql, each).await };
        Ok(vec![self.rows(sql, row).await?])
    }

    async fn execute_many(&self, sql: &str, many: &[Vec<Value>]) -> Result<Vec<u64>, Error> {
        if many.is_empty() {
            return Ok(Vec::new());
        }
        if sql.starts_with("INSERT ") {
            let (statement, columns) = self.many(sql, many, each::insert).await?;
            let added = self.0.answer(self.0.execute(&statement, &refs(&columns))).await?;
            if added != many.len() as u64 {
                return Err(Error::Corrupt(format!("fewer rows than given: {sql}")));
            }
            return Ok(vec![1; many.len()]);
        }
        let (statement, columns) = self.many(sql, many, each::update).await?;
        let places = self.0.answer(self.0.query(&statement, &refs(&columns))).await?;
        let mut changed = vec![0; many.len()];
        for row in &places {
            changed[place(row)?] += 1;
        }
        Ok(changed)
    }

    async fn rows_many(&self, sql: &str, many: &[Vec<Value>]) -> Result<Vec<Vec<Row>>, Error> {
        if many.is_empty() {
            return Ok(Vec::new());
        }
        let shape = |sql: &str, types: &[Type]| Ok(each::select(sql, types));
        let (statement, columns) = self.many(sql, many, shape).await?;
        let names = names(&statement.columns()[1..]);
        let rows = self.0.answer(self.0.query(&statement, &refs(&columns))).await?;
        let mut found: Vec<Vec<Row>> = many.iter().map(|_| Vec::new()).collect();
        for row in &rows {
            found[place(row)?].push(read(row, 1, &names)?);
        }
        Ok(found)
    }

    /// The statement for many rows of parameters, and these as its columns.
    async fn many<'a>(
        &self,
        sql: &str,
        many: &'a [Vec<Value>],
        shape: impl Fn(&str, &[Type]) -> Result<String, Error>,
    ) -> Result<(Statement, Vec<each::Column<'a>>), Error> {
        if !self.0.by_key.swap(true, Ordering::AcqRel) {
            self.0.answer(self.0.batch_execute(each::BY_KEY)).await?;
        }
        let one = self.0.answer(self.0.prepare_cached(sql)).await?;
        let columns = each::columns(many, one.params())?;
        let sql = shape(sql, one.params())?;
        let statement = self.0.answer(self.0.prepare_cached(&sql)).await?;
        Ok((statement, columns))
    }

    /// As long as it takes: a migration may rewrite a table.
    pub(super) async fn script(&self, sql: &str) -> Result<(), Error> {
        self.0.batch_execute(sql).await.map_err(|e| {
            self.0.failed.store(true, Ordering::Release);
            from_postgres(e)
        })
    }
}

fn names(columns: &[Column]) -> Arc<[String]> {
    columns.iter().map(|c| c.name().to_owned()).collect()
}

fn refs<T: ToSql + Sync>(params: &[T]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|p| p as &(dyn ToSql + Sync)).collect()
}

/// Which row of parameters a row answers.
fn place(row: &tokio_postgres::Row) -> Result<usize, Error> {
    Ok(row.try_get::<_, i64>(0).map_err(from_postgres)? as usize - 1)
}

/// A row, from its column `first` on.
fn read(row: &tokio_postgres::Row, first: usize, columns: &Arc<[String]>) -> Result<Row, Error> {
    let mut values = Vec::with_capacity(columns.len());
    for (i, column) in row.columns().iter().enumerate().skip(first) {
        values.push(
            match *column.type_() {
                Type::INT8 => row.try_get::<_, Option<i64>>(i).map(|v| v.map(Value::Int)),
                Type::INT4 => {
                    row.try_get::<_, Option<i32>>(i).map(|v| v.map(|v| Value::Int(v.into())))
                }
                Type::TEXT | Type::VARCHAR | Type::NAME => {
                    row.try_get::<_, Option<String>>(i).map(|v| v.map(Value::Text))
                }
                ref other => {
                    return Err(Error::Corrupt(format!("column `{}` is {other}", column.name())));
                }
            }
            .map_err(from_postgres)?
            .unwrap_or(Value::Null),
        );
    }
    Ok(Row { columns: columns.clone(), values })
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(v) if *ty == Type::INT4 => i32::try_from(*v)?.to_sql(ty, out),
            Value::Int(v) if *ty == Type::INT8 => v.to_sql(ty, out),
            Value::Text(t) if <&str as ToSql>::accepts(ty) => t.as_str().to_sql(ty, out),
            other => Err(format!("{other:?} given for a parameter of type {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn from_postgres(e: tokio_postgres::Error) -> Error {
    let Some(db) = e.as_db_error() else { return Error::Unavailable(e.to_string()) };
    let text = format!("{} ({})", db.message(), db.code().code());
    match db.code() {
        &SqlState::UNIQUE_VIOLATION => Error::Unique(text),
        code if code.code().starts_with("08")
            || code.code().starts_with("57P")
            || code.code().starts_with("53")
            || code.code().starts_with("40") =>
        {
            Error::Unavailable(text)
        }
        _ => Error::Refused(text),
    }
}
