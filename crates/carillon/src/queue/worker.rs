//! One process's share of the work: slots by pool, one loop, a heartbeat beside it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Verdict;
use crate::App;
use crate::db::Error;
use crate::domain::job::{Claim, Pool};
use crate::store::{nodes, queue};
use crate::{ids, work};

/// How many times a job of a simple kind is tried, and how long it waits in between.
const TRIES: i64 = 5;
/// Connections that are asked about at once before something of theirs is due.
const CHECKS: usize = 8;

#[derive(Clone)]
pub struct Worker {
    app: App,
    /// The lease owner: new at every start, so that a claim of an earlier life is never ours.
    id: Arc<str>,
    held: Arc<Mutex<HashMap<String, Claim>>>,
    freed: Arc<Notify>,
}

impl Worker {
    pub fn new(app: App) -> Self {
        let id = ids::new(app.clock.now()).into();
        Self { app, id, held: Arc::default(), freed: Arc::default() }
    }

    /// A worker on a seat: a later one on it knows whose leases are a dead one's.
    pub fn on(app: App, seat: &str) -> Self {
        let id = format!("{seat}/{}", ids::new(app.clock.now())).into();
        Self { id, ..Self::new(app) }
    }

    /// Works until `shutdown`, then lets what is under way come to its end (at most 20 s).
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let beat = tokio::spawn(self.clone().heartbeat());
        let mut jobs = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            while jobs.try_join_next().is_some() {}
            let next = match self.claim().await {
                Ok((claims, next)) => {
                    for claim in claims {
                        jobs.spawn(self.clone().work_on(claim));
                    }
                    next
                }
                Err(e) => {
                    tracing::warn!(error = %e, "cannot claim work; trying again");
                    None
                }
            };
            let poll = self.app.clock.now() + self.app.config.queue.poll.as_millis() as i64;
            let wake = next.map_or(poll, |at| at.min(poll));
            tokio::select! {
                () = &mut shutdown => break,
                () = self.app.work.notified() => {}
                () = self.app.db.hint() => {}
                () = self.freed.notified() => {}
                () = self.app.clock.sleep_until(wake) => {}
            }
        }
        let drained = async { while jobs.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(20), drained).await.is_err() {
            tracing::warn!("some work did not end in time; another worker takes it over");
        }
        beat.abort();
        let id = self.id.clone();
        let ended = self.app.db.write(move |tx| async move { nodes::ended(&tx, &id).await });
        // Not worth waiting for a database that is away.
        if !matches!(tokio::time::timeout(Duration::from_secs(2), ended).await, Ok(Ok(()))) {
            tracing::debug!("that this worker ended is not written");
        }
    }

    /// Runs everything that is due now, to its end; how many jobs ran. Harmless beside a running
    /// worker: a job is claimed once.
    pub async fn tick(&self) -> Result<usize, Error> {
        let mut ran = 0;
        loop {
            let (claims, _) = self.claim().await?;
            if claims.is_empty() {
                return Ok(ran);
            }
            ran += claims.len();
            let mut jobs = JoinSet::new();
            for claim in claims {
                jobs.spawn(self.clone().work_on(claim));
            }
            while jobs.join_next().await.is_some() {}
        }
    }

    /// Claims as much as there are free slots, of all pools in one unit of work; and when the next
    /// job is due.
    async fn claim(&self) -> Result<(Vec<Claim>, Option<i64>), Error> {
        let free = self.free_slots();
        let (owner, now) = (self.id.clone(), self.app.clock.now());
        let lease_until = now + self.app.config.queue.lease.as_millis() as i64;
        let (claims, next) = self
            .app
            .db
            .write(move |tx| async move {
                // A full pool is looked at again when one of its jobs ends.
                let mut free: Vec<_> = free.into_iter().filter(|(_, slots)| *slots > 0).collect();
                let pools =
                    |free: &[(Pool, usize)]| free.iter().map(|(p, _)| *p).collect::<Vec<_>>();
                let mut due = queue::next_each(&tx, &pools(&free)).await?;
                let mut claims = Vec::new();
                for ((pool, slots), at) in free.iter_mut().zip(&due) {
                    if at.is_some_and(|at| at <= now) {
                        let most = *slots as i64;
                        let got = queue::claim(&tx, *pool, most, &owner, now, lease_until).await?;
                        *slots -= got.len();
                        claims.extend(got);
                    }
                }
                if !claims.is_empty() {
                    free.retain(|(_, slots)| *slots > 0);
                    due = queue::next_each(&tx, &pools(&free)).await?;
                }
                let next = due.into_iter().flatten().min();
                Ok::<_, Error>((claims, next))
            })
            .await?;
        let mut held = self.held.lock().unwrap_or_else(|e| e.into_inner());
        held.extend(claims.iter().map(|c| (c.id.clone(), c.clone())));
        Ok((claims, next))
    }

    fn free_slots(&self) -> Vec<(Pool, usize)> {
        let held = self.held.lock().unwrap_or_else(|e| e.into_inner());
        let config = &self.app.config.queue;
        Pool::ALL
            .iter()
            .map(|pool| {
                let slots = match pool {
                    Pool::Send => config.send_slots,
                    Pool::Upload => config.upload_slots,
                    Pool::Media => config.media_slots,
                    Pool::Video => config.video_slots,
                    Pool::Check => CHECKS,
                    Pool::Housekeeping => 1,
                };
                let busy = held.values().filter(|c| c.pool == *pool).count();
                (*pool, slots.saturating_sub(busy))
            })
            .collect()
    }

    async fn work_on(self, claim: Claim) {
        // A panic in one job must leave the others alone; its lease runs out by itself.
        let job = tokio::spawn({
            let (app, claim) = (self.app.clone(), claim.clone());
            async move { work::run(&app, &claim).await }
        });
        let verdict = match job.await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(e)) => Verdict::Again { after: backoff(claim.tries), error: format!("{e:#}") },
            Err(e) => Verdict::Dead { error: format!("the handler panicked: {e}") },
        };
        if let Err(e) = self.settle(&claim, verdict).await {
            tracing::warn!(job_id = %claim.id, error = %e, "the job's end was not written; its lease will run out");
        }
        self.held.lock().unwrap_or_else(|e| e.into_inner()).remove(&claim.id);
        self.freed.notify_one();
    }

    async fn settle(&self, claim: &Claim, verdict: Verdict) -> Result<(), Error> {
        let (claim, now) = (claim.clone(), self.app.clock.now());
        let over = match &verdict {
            Verdict::Dead { error } => Some(error),
            Verdict::Again { error, .. } if claim.tries + 1 >= TRIES => Some(error),
            _ => None,
        };
        if let Some(error) = over
            && work::gave_up(&self.app, &claim, error).await
        {
            tracing::error!(job_id = %claim.id, kind = %claim.kind, error, "a job was given up");
            return Ok(());
        }
        let (state, after, error) = match verdict {
            Verdict::Settled => return Ok(()),
            Verdict::Done => ("done", None, None),
            Verdict::Again { error, .. } if claim.tries + 1 >= TRIES => ("dead", None, Some(error)),
            Verdict::Again { after, error } => ("ready", Some(after), Some(error)),
            Verdict::Dead { error } => ("dead", None, Some(error)),
        };
        if let Some(error) = &error {
            tracing::warn!(job_id = %claim.id, kind = %claim.kind, error, "a job failed");
        }
        self.app
            .db
            .write(move |tx| async move {
                let held = match after {
                    Some(after) => {
                        let at = now + after.as_millis() as i64;
                        queue::put_back(&tx, &claim, at, true, error.as_deref()).await?
                    }
                    None => queue::finish(&tx, &claim, state, error.as_deref(), now).await?,
                };
                if !held {
                    tracing::info!(job_id = %claim.id, "the claim was lost before the job ended");
                }
                Ok(())
            })
            .await
    }

    async fn heartbeat(self) {
        let every = self.app.config.queue.heartbeat.as_millis() as i64;
        loop {
            let began = self.app.clock.mono();
            // After one that failed or took long the next comes soon: leases and readiness wait for it.
            let wait = if self.beat().await { every } else { every.min(1_000) };
            let left = (wait - (self.app.clock.mono() - began)).max(0);
            self.app.clock.sleep(Duration::from_millis(left as u64)).await;
        }
    }

    /// Extends every held lease, in one unit of work, and says that this worker lives and which
    /// keys it holds. Was it written?
    pub async fn beat(&self) -> bool {
        // A key that is in the ring's file by now.
        self.app.keys.refresh();
        let keys = self.app.keys.ids().join(",");
        let now = self.app.clock.now();
        let until = now + self.app.config.queue.lease.as_millis() as i64;
        let claims: Vec<Claim> =
            self.held.lock().unwrap_or_else(|e| e.into_inner()).values().cloned().collect();
        let id = self.id.clone();
        let beat = self.app.db.write(move |tx| async move {
            nodes::seen(&tx, &id, "worker", &keys, now).await?;
            queue::extend_each(&tx, &claims.iter().collect::<Vec<_>>(), until).await.map(drop)
        });
        let beat = beat.await;
        if let Err(e) = &beat {
            tracing::warn!(error = %e, "no heartbeat: leases may run out");
        }
        if let Err(e) = self.app.follow_database_clock().await {
            tracing::debug!(error = %e, "the database's clock was not read");
        }
        beat.is_ok()
    }
}

/// 10 s, 20 s, 40 s … for kinds without a rule of their own.
fn backoff(tries: i64) -> Duration {
    Duration::from_secs(10 << tries.clamp(0, 8))
}
