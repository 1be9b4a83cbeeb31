//! Is it well? Asked by load balancers, monitors and people, without signing in.
//!
//! Unhealthy means that posts may not go out in time: the database or the media store does not
//! answer, no worker was seen for a minute, or a delivery is more than two minutes late. It names no
//! workspace and no account.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::App;
use crate::db;
use crate::domain::job::Pool;
use crate::domain::when::iso;
use crate::publishing::circuits::{CircuitState, CircuitView, view};
use crate::store::circuits::{self, Circuit};
use crate::store::connections::Lanes;
use crate::store::{attempts, connections, guards, nodes, queue};
use crate::{ids, words};

/// A worker not seen for this long is taken for gone.
pub(super) const WORKER_GONE_MS: i64 = 60_000;
/// A delivery later than this is late.
pub(super) const LATE_MS: i64 = 120_000;
/// The span that networks are judged by.
const RECENT_MS: i64 = 15 * 60_000;
/// A part that does not answer within this time is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer this old is good enough for the next who asks.
const FRESH_MS: i64 = 1_000;

words! {
    pub enum Status {
        Healthy = "healthy",
        /// Something does not work as it should; posts go out.
        Degraded = "degraded",
        /// Posts may not go out in time.
        Unhealthy = "unhealthy",
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub status: Status,
    #[schema(example = "0.1.0")]
    pub version: String,
    /// ISO 8601
    #[schema(example = "2026-11-23T09:00:00Z")]
    pub timestamp: String,
    pub checks: Checks,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checks {
    pub database: Check,
    /// The media store: a small file is written, read and removed.
    pub storage: Check,
    pub queue: QueueCheck,
    /// The workers that claim what is due.
    pub scheduler: SchedulerCheck,
    /// The networks' APIs, by how they answered in the last 15 minutes.
    pub external_apis: Vec<Platform>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub status: Status,
    /// One sentence.
    pub detail: String,
    /// How long the answer took.
    pub ms: i64,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueCheck {
    pub status: Status,
    pub detail: String,
    /// Jobs that are due and not begun.
    pub backlog: Option<i64>,
    /// When the oldest delivery that waits for a worker was due.
    pub oldest_due_at: Option<String>,
    pub late_ms: i64,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerCheck {
    pub status: Status,
    pub detail: String,
    pub last_seen_at: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Platforms {
    pub platforms: Vec<Platform>,
}

/// One network, over all workspaces.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Platform {
    #[schema(example = "bluesky")]
    pub network: String,
    pub name: String,
    pub state: PlatformState,
    pub breaker: Breaker,
    /// Tries of the last 15 minutes that ended without an answer or with a fault of the network's.
    pub failures: i64,
    /// Tries of the last 15 minutes that went well.
    pub successes: i64,
    pub last_success_at: Option<String>,
    pub connections: i64,
    /// Connections that are paused or wait for their owner.
    pub paused: i64,
    /// Connections that wait because the network asked for it.
    pub held_off: i64,
}

words! {
    pub enum PlatformState {
        Ok = "ok",
        /// Some tries fail.
        Degraded = "degraded",
        /// None of at least three tries went well.
        Down = "down",
    }
}

/// Whether anything is sent to a network now. Where a network has many servers, the worst of theirs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Breaker {
    pub state: CircuitState,
    /// When the next try may go.
    pub until: Option<String>,
    /// Failures that still count.
    pub failures: i64,
    /// The failure that opened it.
    pub reason: Option<String>,
}

/// The last answer, so that being asked a thousand times a second costs one look.
#[derive(Default)]
pub struct Latest(Mutex<Option<(i64, Health)>>);

impl Latest {
    pub async fn of(&self, app: &App) -> Health {
        let mut latest = self.0.lock().await;
        match &*latest {
            Some((at, health)) if app.clock.mono() - at < FRESH_MS => health.clone(),
            _ => {
                let health = check(app).await;
                // From its end: a look that takes as long as our patience would be stale at once,
                // and whoever waits behind it would look again, one after another.
                *latest = Some((app.clock.mono(), health.clone()));
                health
            }
        }
    }
}

/// Looks at every part at once.
pub async fn check(app: &App) -> Health {
    let (database, storage) = tokio::join!(database(app), storage(app));
    let (database, seen) = database;
    let (queue, scheduler, external_apis) = match seen {
        Some(seen) => {
            let now = app.clock.now();
            let external_apis = of_networks(&seen.tries, &seen.lanes, &views(app, &seen.circuits));
            (judge_queue(&seen, now), judge_scheduler(&seen, now), external_apis)
        }
        None => unseen(),
    };
    let parts = [database.status, storage.status, queue.status, scheduler.status];
    let mut status = parts.into_iter().max().unwrap_or(Status::Healthy);
    // A network's outage is not ours: it alone takes no node out of service.
    if status == Status::Healthy && external_apis.iter().any(|p| p.state == PlatformState::Down) {
        status = Status::Degraded;
    }
    Health {
        status,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: iso(app.clock.now()),
        checks: Checks { database, storage, queue, scheduler, external_apis },
    }
}

/// Each network's state, for `GET /api/platforms/health`.
pub async fn platforms(app: &App) -> Result<Platforms, db::Error> {
    let now = app.clock.now();
    let (tries, lanes, circuits) = app
        .db
        .read(move |tx| async move {
            let tries = attempts::by_network(&tx, now - RECENT_MS).await?;
            let lanes = connections::lanes(&tx, now).await?;
            Ok::<_, db::Error>((tries, lanes, circuits::all(&tx).await?))
        })
        .await?;
    Ok(Platforms { platforms: of_networks(&tries, &lanes, &views(app, &circuits)) })
}

fn views(app: &App, circuits: &[Circuit]) -> Vec<CircuitView> {
    let now = app.clock.now();
    circuits.iter().map(|c| view(app, c, now)).collect()
}

type Tries = (String, i64, i64, Option<i64>);

/// What one look into the database tells.
struct Seen {
    backlog: i64,
    oldest_due: Option<i64>,
    /// Since when the longest waiting step of a delivery is due, if it is late.
    overdue: Option<i64>,
    last_worker: Option<i64>,
    tries: Vec<Tries>,
    lanes: Vec<Lanes>,
    circuits: Vec<Circuit>,
}

async fn database(app: &App) -> (Check, Option<Seen>) {
    let (began, now) = (app.clock.mono(), app.clock.now());
    let look = app.db.read(move |tx| async move {
        Ok::<_, db::Error>(Seen {
            backlog: queue::backlog(&tx, now).await?,
            oldest_due: queue::oldest_due(&tx, Pool::Send, now).await?,
            overdue: guards::overdue(&tx, now - LATE_MS, now).await?,
            last_worker: nodes::last_worker(&tx).await?,
            tries: attempts::by_network(&tx, now - RECENT_MS).await?,
            lanes: connections::lanes(&tx, now).await?,
            circuits: circuits::all(&tx).await?,
        })
    });
    let looked = tokio::time::timeout(PATIENCE, look).await;
    let ms = app.clock.mono() - began;
    let (status, detail, seen) = match looked {
        Ok(Ok(seen)) => (Status::Healthy, "It answers.", Some(seen)),
        Ok(Err(e)) => {
            tracing::warn!(error = %e, "health: the database does not answer");
            (Status::Unhealthy, "It does not answer; the log says why.", None)
        }
        Err(_) => (Status::Unhealthy, "It did not answer within 5 s.", None),
    };
    (Check { status, detail: detail.to_owned(), ms }, seen)
}

async fn storage(app: &App) -> Check {
    let began = app.clock.mono();
    let key = format!("health/{}", ids::secret());
    let round = async {
        app.blobs.put(&key, Bytes::from_static(b"well")).await?;
        let read = app.blobs.get(&key).await;
        app.blobs.delete(&key).await?;
        read
    };
    let went = tokio::time::timeout(PATIENCE, round).await;
    let ms = app.clock.mono() - began;
    let (status, detail) = match went {
        Ok(Ok(read)) if read == "well" => (Status::Healthy, "It keeps and gives back."),
        Ok(Ok(_)) => (Status::Unhealthy, "It gave back something else than it was given."),
        Ok(Err(e)) => {
            tracing::warn!(error = %e, "health: the media store does not work");
            (Status::Unhealthy, "It cannot be written or read; the log says why.")
        }
        Err(_) => (Status::Unhealthy, "It did not answer within 5 s."),
    };
    Check { status, detail: detail.to_owned(), ms }
}

fn judge_queue(seen: &Seen, now: i64) -> QueueCheck {
    let oldest = seen.oldest_due.into_iter().chain(seen.overdue).min();
    let late_ms = oldest.map_or(0, |due| (now - due).max(0));
    let (status, detail) = match late_ms {
        late if late > LATE_MS => {
            (Status::Unhealthy, format!("A delivery is {} s late.", late / 1000))
        }
        _ => (Status::Healthy, "What is due is being sent.".to_owned()),
    };
    QueueCheck {
        status,
        detail,
        backlog: Some(seen.backlog),
        oldest_due_at: oldest.map(iso),
        late_ms,
    }
}

fn judge_scheduler(seen: &Seen, now: i64) -> SchedulerCheck {
    let (status, detail) = match seen.last_worker {
        Some(at) if now - at <= WORKER_GONE_MS => (Status::Healthy, "A worker is at work.".into()),
        Some(at) => {
            let detail = format!("No worker was seen for {} s.", (now - at) / 1000);
            (Status::Unhealthy, detail)
        }
        None => (Status::Unhealthy, "No worker has been seen yet: start `carillon worker`.".into()),
    };
    SchedulerCheck { status, detail, last_seen_at: seen.last_worker.map(iso) }
}

fn unseen() -> (QueueCheck, SchedulerCheck, Vec<Platform>) {
    let detail = || "Not known while the database does not answer.".to_owned();
    let (status, oldest_due_at) = (Status::Unhealthy, None);
    (
        QueueCheck { status, detail: detail(), backlog: None, oldest_due_at, late_ms: 0 },
        SchedulerCheck { status, detail: detail(), last_seen_at: None },
        Vec::new(),
    )
}

fn of_networks(tries: &[Tries], lanes: &[Lanes], circuits: &[CircuitView]) -> Vec<Platform> {
    carillon_networks::ALL
        .iter()
        .map(|network| {
            let spec = network.spec();
            let (_, good, bad, last) = tries
                .iter()
                .find(|(id, ..)| id == spec.id)
                .cloned()
                .unwrap_or_else(|| (String::new(), 0, 0, None));
            let lanes = lanes.iter().find(|l| l.network == spec.id);
            let (connections, held_off) = lanes.map_or((0, 0), |l| (l.connections, l.held_off));
            let circuit = circuits
                .iter()
                .filter(|c| c.network == spec.id)
                .max_by_key(|c| (c.state != CircuitState::Closed, c.failures));
            Platform {
                network: spec.id.to_owned(),
                name: spec.name.to_owned(),
                state: match (good, bad) {
                    (_, 0) => PlatformState::Ok,
                    (0, 3..) => PlatformState::Down,
                    _ => PlatformState::Degraded,
                },
                breaker: Breaker {
                    state: circuit.map_or(CircuitState::Closed, |c| c.state),
                    until: circuit.and_then(|c| c.open_until.clone()),
                    failures: circuit.map_or(0, |c| c.failures),
                    reason: circuit.and_then(|c| c.reason.clone()),
                },
                failures: bad,
                successes: good,
                last_success_at: last.map(iso),
                connections,
                paused: lanes.map_or(0, |l| l.paused),
                held_off,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn seen(oldest_due: Option<i64>, last_worker: Option<i64>) -> Seen {
        Seen {
            backlog: 0,
            oldest_due,
            overdue: None,
            last_worker,
            tries: Vec::new(),
            lanes: Vec::new(),
            circuits: Vec::new(),
        }
    }

    #[test]
    fn late_or_unattended_is_unhealthy() {
        let queue = |late| judge_queue(&seen(Some(NOW - late), None), NOW).status;
        assert_eq!(queue(LATE_MS), Status::Healthy);
        assert_eq!(queue(LATE_MS + 1), Status::Unhealthy);
        let scheduler =
            |ago: Option<i64>| judge_scheduler(&seen(None, ago.map(|a| NOW - a)), NOW).status;
        assert_eq!(scheduler(Some(WORKER_GONE_MS)), Status::Healthy);
        assert_eq!(scheduler(Some(WORKER_GONE_MS + 1)), Status::Unhealthy);
        assert_eq!(scheduler(None), Status::Unhealthy);
    }

    #[test]
    fn a_network_is_what_its_answers_say() {
        let of = |good, bad| {
            let tries = [("mastodon".to_owned(), good, bad, None)];
            let all = of_networks(&tries, &[], &[]);
            all.into_iter().find(|p| p.network == "mastodon").map(|p| p.state)
        };
        assert_eq!(of(5, 0), Some(PlatformState::Ok));
        assert_eq!(of(5, 1), Some(PlatformState::Degraded));
        assert_eq!(of(0, 2), Some(PlatformState::Degraded), "two may be chance");
        assert_eq!(of(0, 3), Some(PlatformState::Down));
    }

    #[test]
    fn a_breaker_is_its_worst_circuit() {
        let circuit = |name: &str, state| CircuitView {
            name: name.into(),
            network: "mastodon".into(),
            state,
            failures: 1,
            opened_at: None,
            open_until: Some(iso(NOW)),
            reason: None,
        };
        let circuits = [
            circuit("mastodon:one.example", CircuitState::Open),
            circuit("mastodon:two.example", CircuitState::Closed),
        ];
        let all = of_networks(&[], &[], &circuits);
        let of = |id: &str| all.iter().find(|p| p.network == id).map(|p| p.breaker.state);
        assert_eq!(of("mastodon"), Some(CircuitState::Open));
        assert_eq!(of("telegram"), Some(CircuitState::Closed));
    }
}
