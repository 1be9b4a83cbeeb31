//! What a job does: nothing, or a wait in place of a network. It counts, and keeps the ledger.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;

use crate::{Job, us};

/// Cheap to clone.
#[derive(Clone)]
pub struct Handler(Arc<Inner>);

struct Inner {
    delay: Duration,
    /// A line for every run, written at once: what is in it has happened, also after `kill -9`.
    ledger: Option<(PathBuf, File)>,
    seen: Mutex<Seen>,
    more: Notify,
}

/// The runs of this process.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Seen {
    pub n: u64,
    pub first_us: u64,
    pub last_us: u64,
    pub late_us: Vec<u64>,
}

impl Handler {
    pub(crate) fn new(delay: Duration, ledger: Option<PathBuf>) -> anyhow::Result<Self> {
        let ledger = match ledger {
            Some(path) => {
                let file = File::options().create(true).append(true).open(&path)?;
                Some((path, file))
            }
            None => None,
        };
        Ok(Self(Arc::new(Inner { delay, ledger, seen: Mutex::default(), more: Notify::new() })))
    }

    /// Runs one job.
    pub async fn run(&self, job: Job) -> std::io::Result<()> {
        if !self.0.delay.is_zero() {
            tokio::time::sleep(self.0.delay).await;
        }
        if let Some((_, file)) = &self.0.ledger {
            (&mut &*file).write_all(format!("{}\n", job.id).as_bytes())?;
        }
        let now = us();
        let mut seen = self.seen();
        if seen.n == 0 {
            seen.first_us = now;
        }
        seen.n += 1;
        seen.last_us = now;
        if job.t > 0 {
            seen.late_us.push(now.saturating_sub(job.t));
        }
        drop(seen);
        self.0.more.notify_one();
        Ok(())
    }

    /// The file that every run is written to.
    pub fn ledger(&self) -> Option<&Path> {
        self.0.ledger.as_ref().map(|(path, _)| path.as_path())
    }

    /// The runs, once there are `n` or time is up.
    pub(crate) async fn wait(&self, n: u64, limit: Duration) -> Seen {
        let enough = async {
            while self.seen().n < n {
                self.0.more.notified().await;
            }
        };
        // Time being up is an answer too: the driver sees it in the count.
        let _ = tokio::time::timeout(limit, enough).await;
        self.seen().clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(|e| e.into_inner())
    }
}
