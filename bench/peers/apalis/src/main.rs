//! apalis on SQLite or PostgreSQL: batches of 1,000, polled every 10 ms, on PostgreSQL with NOTIFY.
//! Jobs of a closed account lie in a queue that no worker has.
//!
//! The polling is ours: after a poll that came at its time, its own `poll_with_interval` waits for
//! somebody else to wake it, which at worst is the heartbeat after 30 s.

use std::str::FromStr;
use std::task::{Context as Wake, Poll};
use std::time::Duration;

use anyhow::{Context, Result};
use apalis::prelude::*;
use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use apalis_postgres::PostgresStorage;
use apalis_sqlite::SqliteStorage;
use carillon_bench_contender::{Handler, Job, Place, Queue, Waiting, contend, us};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

const BATCH: usize = 1_000;
const EVERY: Duration = Duration::from_millis(10);
const IN_HAND: usize = 50;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    id: u64,
    t: u64,
}

/// Asks to be polled again and again.
struct Every(tokio::time::Interval);

impl Every {
    fn new() -> Self {
        Self(tokio::time::interval(EVERY))
    }
}

impl PollStrategy for Every {
    fn poll_drive(&mut self, cx: &mut Wake<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut due = false;
        // To its end: only a tick that is still to come has noted whom to wake.
        while self.0.poll_tick(cx).is_ready() {
            due = true;
        }
        if due { Poll::Ready(Some(())) } else { Poll::Pending }
    }
}

#[derive(Clone)]
struct Apalis {
    pool: Pool,
    in_hand: usize,
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The two storages have the same methods and no trait in common that says so.
macro_rules! storage {
    ($name:ident, $storage:ident, $pool:ty, $config:ty) => {
        mod $name {
            use super::*;

            pub fn open(pool: &$pool, queue: &str) -> $storage<Task> {
                let config = <$config>::default()
                    .queue(queue)
                    .batch_size(BATCH)
                    .lock_tasks(false)
                    .persist_results(true);
                $storage::new(pool).with_config(config)
            }

            pub async fn add(pool: &$pool, job: Job) -> Result<()> {
                let task = TaskBuilder::new(Task { id: job.id, t: job.t }).build();
                open(pool, "open").push_task(task).await.context("add")
            }

            pub async fn add_all(pool: &$pool, jobs: Vec<Job>, waiting: Waiting) -> Result<()> {
                let tasks = jobs.into_iter().map(|job| {
                    let task = TaskBuilder::new(Task { id: job.id, t: job.t });
                    match waiting.due {
                        // Whole seconds are the finest it knows.
                        Some(due) => task.run_at_timestamp(due.div_ceil(1000)).build(),
                        None => task.build(),
                    }
                });
                let queue = if waiting.shut { "shut" } else { "open" };
                let mut tasks = futures::stream::iter(tasks.collect::<Vec<_>>());
                open(pool, queue).push_all(&mut tasks).await.context("add_all")
            }
        }
    };
}
storage!(on_sqlite, SqliteStorage, SqlitePool, apalis_sqlite::Config);
storage!(on_postgres, PostgresStorage, PgPool, apalis_postgres::Config);

impl Queue for Apalis {
    async fn open(place: Place) -> Result<Self> {
        let in_hand = place.in_hand.unwrap_or(IN_HAND);
        if let Some(url) = &place.url {
            let pool = PgPool::connect(url).await?;
            PostgresStorage::setup(&pool).await?;
            return Ok(Self { pool: Pool::Postgres(pool), in_hand });
        }
        let sync = place.sync.context("the place names no `sync`")?;
        let options = SqliteConnectOptions::new()
            .filename(place.folder.join("apalis.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::from_str(&sync)?)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        SqliteStorage::migrations().run(&pool).await?;
        Ok(Self { pool: Pool::Sqlite(pool), in_hand })
    }

    async fn add(&self, job: Job) -> Result<()> {
        match &self.pool {
            Pool::Sqlite(pool) => on_sqlite::add(pool, job).await,
            Pool::Postgres(pool) => on_postgres::add(pool, job).await,
        }
    }

    async fn add_all(&self, jobs: Vec<Job>, waiting: Waiting) -> Result<()> {
        match &self.pool {
            Pool::Sqlite(pool) => on_sqlite::add_all(pool, jobs, waiting).await,
            Pool::Postgres(pool) => on_postgres::add_all(pool, jobs, waiting).await,
        }
    }

    async fn work(&self, handler: Handler) -> Result<()> {
        let run = move |task: Task| {
            let handler = handler.clone();
            async move { handler.run(Job { id: task.id, t: task.t }).await.map_err(BoxDynError::from) }
        };
        let name = format!("worker-{}", us());
        match &self.pool {
            Pool::Sqlite(pool) => {
                let backend = on_sqlite::open(pool, "open").poll_with_strategy(Every::new());
                let worker = WorkerBuilder::new(name).backend(backend).concurrency(self.in_hand);
                tokio::spawn(ended(worker.build(run).run()));
            }
            Pool::Postgres(pool) => {
                let backend = on_postgres::open(pool, "open").with_pubsub();
                let worker = WorkerBuilder::new(name)
                    .backend(backend.poll_with_strategy(Every::new()))
                    .concurrency(self.in_hand);
                tokio::spawn(ended(worker.build(run).run()));
            }
        }
        Ok(())
    }

    async fn left(&self) -> Result<u64> {
        let left: i64 =
            match &self.pool {
                Pool::Sqlite(pool) => {
                    sqlx::query_scalar(
                        "SELECT count(*) FROM Jobs WHERE job_type = 'open' AND status <> 'Done' \
                     AND run_at <= strftime('%s', 'now')",
                    )
                    .fetch_one(pool)
                    .await?
                }
                Pool::Postgres(pool) => sqlx::query_scalar(
                    "SELECT count(*) FROM apalis.jobs WHERE job_type = 'open' AND status <> 'Done' \
                     AND run_at <= now()",
                )
                .fetch_one(pool)
                .await?,
            };
        Ok(left as u64)
    }

    async fn analyze(&self) -> Result<()> {
        match &self.pool {
            Pool::Sqlite(pool) => drop(sqlx::query("ANALYZE").execute(pool).await?),
            Pool::Postgres(pool) => drop(sqlx::query("ANALYZE").execute(pool).await?),
        }
        Ok(())
    }
}

/// A worker is to work as long as the process lives.
async fn ended(run: impl Future<Output = Result<(), WorkerError>>) {
    let why = run.await.err().map_or("without an error".to_owned(), |e| e.to_string());
    eprintln!("error: the worker ended: {why}");
    std::process::exit(1);
}

#[tokio::main]
async fn main() -> Result<()> {
    let place = std::env::args().nth(1).context("usage: carillon-bench-apalis PLACE")?;
    contend::<Apalis>(&place).await
}
