//! `carillon serve` and `carillon worker`: the wiring of a running process.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::demo::{self, Demo};
use super::seat::{self, Seat};
use crate::domain::refusal::{Kind, Refusal};
use crate::media::{finding, scratch};
use crate::queue::cron;
use crate::queue::worker::Worker;
use crate::watch::watchdog;
use crate::{App, publishing, web};

pub(super) const EXAMPLES: &str = "Examples:\n  carillon serve --demo\n  carillon serve --listen 0.0.0.0:8080 --data /var/lib/carillon\n  carillon serve --database postgres://carillon@db/carillon";

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// A demo workspace on a built-in sandbox, filled and ready to use
    #[arg(long)]
    demo: bool,
    /// Use a sandbox that runs already in place of every network
    #[arg(long, value_name = "URL")]
    sandbox: Option<String>,
    /// Address to listen on; port 0 takes a free one [env: CARILLON_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(&self, mut given: BTreeMap<String, String>) -> anyhow::Result<()> {
        if let Some(listen) = self.listen {
            given.insert("CARILLON_LISTEN".into(), listen.to_string());
        }
        if let Some(url) = &self.sandbox {
            given.insert("CARILLON_SANDBOX".into(), url.clone());
        }
        let demo = if self.demo { Some(Demo::begin(&mut given).await?) } else { None };
        let app = super::open(&given).await?;
        let _alone = alone(&app)?;
        let listener = TcpListener::bind(app.config.server.listen).await.with_context(|| {
            format!("cannot listen on {}: is another server there?", app.config.server.listen)
        })?;
        let url = reached_at(listener.local_addr()?);
        // Set once a process; nothing else sets it.
        let _ = app.url.set(url.clone());
        let ready = match demo {
            Some(demo) => Some(demo.fill(&app).await?),
            None => None,
        };
        let worker = start(&app).await?;
        let (stop, stopped) = watch::channel(());
        let ends = move || {
            let mut stopped = stopped.clone();
            async move {
                // An error means that the sender is gone, which is the end as well.
                let _ = stopped.changed().await;
            }
        };
        let mut clockwork = clockwork(&app);
        let working = tokio::spawn({
            let end = ends();
            async move { worker.worker.run(end).await }
        });
        let serving = tokio::spawn(web::serve::serve(app.clone(), listener, ends()));
        println!("listening on {url}");
        match &ready {
            Some(ready) => println!("{}", ready.welcome()),
            None => {
                if let Some(setup) = demo::first_run(&app).await? {
                    println!("{setup}");
                }
            }
        }
        ended().await;
        tracing::info!("stopping: what is under way comes to its end");
        clockwork.abort_all();
        drop(stop);
        serving.await??;
        working.await?;
        Ok(())
    }
}

/// Works without serving.
pub(super) async fn worker(given: BTreeMap<String, String>) -> anyhow::Result<()> {
    let app = super::open(&given).await?;
    let _alone = alone(&app)?;
    let seated = start(&app).await?;
    let mut clockwork = clockwork(&app);
    println!("working");
    seated.worker.run(ended()).await;
    clockwork.abort_all();
    Ok(())
}

/// What every process does by itself, until dropped.
fn clockwork(app: &App) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(cron::run(app.clone()));
    tasks.spawn(watchdog::run(app.clone()));
    tasks.spawn(scratch::run(app.clone()));
    let indexing = app.clone();
    tasks.spawn(async move {
        if let Err(e) = finding::index_all(&indexing).await {
            tracing::warn!(error = %e, "media are indexed with the next sweep");
        }
    });
    tasks
}

/// A worker, and the seat that it keeps while it lives.
struct Seated {
    worker: Worker,
    _seat: Seat,
}

/// Frees what an earlier life held. On SQLite this process is the only worker, so every lease in
/// the file is a dead one's; on PostgreSQL those of the seats that nobody sits on are.
async fn start(app: &App) -> anyhow::Result<Seated> {
    for migration in &app.migrated.applied {
        tracing::info!(migration, "the schema was brought up to date");
    }
    if let Some(backup) = &app.migrated.backup {
        tracing::info!(file = %backup.display(), "a copy was taken before");
    }
    let mut seat = seat::take(app)?;
    let dead: Vec<String> =
        seat.empty.iter().map(|(name, _)| name).chain([&seat.name]).cloned().collect();
    publishing::sweep::at_start(app, dead).await?;
    seat.empty.clear();
    scratch::sweep(app).await.context("the folder for files under work")?;
    Ok(Seated { worker: Worker::on(app.clone(), &seat.name), _seat: seat })
}

/// One worker a SQLite file: a second process is told so instead of waiting for locks.
fn alone(app: &App) -> anyhow::Result<Option<File>> {
    let Some(database) = app.db.file() else { return Ok(None) };
    let path = database.with_extension("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(Refusal::new(
            Kind::Conflict,
            "already_running",
            format!("Another Carillon works on {} already.", database.display()),
            "Stop that one, name another --data folder, or use PostgreSQL for several processes.",
        )
        .into()),
        Err(std::fs::TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// The address under which this machine's browser finds the server.
fn reached_at(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() {
        return format!("http://127.0.0.1:{}", addr.port());
    }
    format!("http://{addr}")
}

/// Returns when the process is asked to end: Ctrl-C, or TERM from a supervisor.
pub(super) async fn ended() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
    }
    // Without signals there is only the end of the process itself.
    let _ = tokio::signal::ctrl_c().await;
}
