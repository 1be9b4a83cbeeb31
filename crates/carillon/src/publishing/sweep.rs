//! Frees work whose worker died, and says at once what is in doubt.
//!
//! The clockwork of any node sweeps every minute, a server when it starts, a person when they
//! like. Each sweep that did something is logged, and everyone that a person asked for.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{settle, spool};
use crate::db::Error;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::Kind;
use crate::domain::when::iso;
use crate::store::deliveries::Moved;
use crate::store::sweeps::{self, Sweep, SweepCause};
use crate::store::{attempts, audit, deliveries, nodes, queue};
use crate::{App, bugs, ids};

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Jobs whose lease had ended.
    pub freed: usize,
    /// Deliveries among them that may have been sent: they are looked up now.
    pub unknown: usize,
    /// Lanes whose next time was wrong.
    pub repaired: u64,
}

/// A line of the log.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepView {
    pub id: String,
    pub at: String,
    pub cause: SweepCause,
    /// Jobs whose lease had ended.
    pub freed: i64,
    /// Deliveries among them that may have been sent: they are looked up.
    pub unknown: i64,
    /// Lanes whose next time was wrong.
    pub repaired: i64,
    /// How long it took.
    pub ms: i64,
}

/// Frees expired leases; with `everybody` all of them, for a process that knows it is alone.
pub async fn sweep(app: &App, everybody: bool) -> Result<Swept, Error> {
    logged(app, everybody, SweepCause::Cron, None).await.map(|(swept, _)| swept)
}

/// What a server does when it starts: on SQLite it is the only one, so every lease is a dead one's;
/// on PostgreSQL those are that these seats hold.
pub async fn at_start(app: &App, dead: Vec<String>) -> Result<Swept, Error> {
    let now = app.clock.now();
    app.db
        .write(move |tx| async move {
            for seat in &dead {
                queue::expire(&tx, seat, now).await?;
                nodes::ended_on(&tx, seat).await?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    logged(app, !app.db.is_postgres(), SweepCause::Start, None).await.map(|(swept, _)| swept)
}

/// A sweep that a person asked for, in a workspace or (`None`) for the installation.
pub async fn by_hand(app: &App, workspace: Option<&str>, actor: &str) -> Result<SweepView, Error> {
    let who = Some((workspace.map(str::to_owned), actor.to_owned()));
    logged(app, false, SweepCause::Person, who).await.map(|(_, sweep)| view(&sweep))
}

/// The log, newest sweep first.
pub async fn log(app: &App, limit: usize) -> Result<Vec<SweepView>, Error> {
    let found = app.db.read(move |tx| async move { sweeps::latest(&tx, limit as i64).await });
    Ok(found.await?.iter().map(view).collect())
}

fn view(s: &Sweep) -> SweepView {
    SweepView {
        id: s.id.clone(),
        at: iso(s.at),
        cause: s.cause,
        freed: s.freed,
        unknown: s.unknown,
        repaired: s.repaired,
        ms: s.ms,
    }
}

/// Sweeps and writes it down. A sweep that found nothing to do leaves no line, unless somebody
/// waits for one.
async fn logged(
    app: &App,
    everybody: bool,
    cause: SweepCause,
    who: Option<(Option<String>, String)>,
) -> Result<(Swept, Sweep), Error> {
    let (at, began) = (app.clock.now(), app.clock.mono());
    // What is known need not be looked up.
    Box::pin(spool::replay(app)).await?;
    let swept = free(app, everybody).await?;
    let sweep = Sweep {
        id: ids::new(at),
        at,
        cause,
        freed: swept.freed as i64,
        unknown: swept.unknown as i64,
        repaired: swept.repaired as i64,
        ms: app.clock.mono() - began,
    };
    if swept != Swept::default() || who.is_some() {
        let line = sweep.clone();
        app.db
            .write(move |tx| async move {
                sweeps::add(&tx, &line).await?;
                if let Some((workspace, actor)) = who {
                    let data = json!({
                        "freed": line.freed,
                        "unknown": line.unknown,
                        "repaired": line.repaired,
                    });
                    let (ws, id) = (workspace.as_deref(), line.id.as_str());
                    audit::add(&tx, ws, &actor, "sweep.run", id, &data, at).await?;
                }
                Ok::<_, Error>(())
            })
            .await?;
    }
    Ok((swept, sweep))
}

async fn free(app: &App, everybody: bool) -> Result<Swept, Error> {
    let now = app.clock.now();
    let mut swept = Swept::default();
    loop {
        let config = app.config.publishing.clone();
        let (freed, unknown, repaired) = app
            .db
            .write(move |tx| async move {
                let freed = queue::free(&tx, now, everybody).await?;
                let mut unknown = 0;
                for claim in freed.iter().filter(|c| c.kind == Kind::Deliver) {
                    let Some(d) = deliveries::load(&tx, &claim.subject).await? else { continue };
                    if d.state != State::Sending || bugs::on("sending sent again") {
                        continue;
                    }
                    // Not before the network had the time to finish what it was sent.
                    let at = settle::look_at(&config, d.intent_at.unwrap_or(now), 0).unwrap_or(now);
                    queue::move_to(&tx, &d.id, at.max(now)).await?;
                    attempts::close_open(&tx, &d.id, "unknown", now).await?;
                    let problem = super::account::problem(&settle::died());
                    let moved = Moved {
                        problem: Some(&problem),
                        looks: 0,
                        next_attempt_at: Some(at.max(now)),
                        ..Moved::from(&d)
                    };
                    deliveries::go(&tx, &d.id, State::Sending, State::Unknown, &moved, now).await?;
                    super::outcome::announce(&tx, &d, State::Unknown, None, now).await?;
                    unknown += 1;
                }
                let repaired = queue::repair(&tx).await?;
                Ok::<_, Error>((freed.len(), unknown, repaired))
            })
            .await?;
        swept.freed += freed;
        swept.unknown += unknown;
        swept.repaired += repaired;
        if freed < 1000 {
            break;
        }
    }
    if swept != Swept::default() {
        tracing::info!(
            freed = swept.freed,
            unknown = swept.unknown,
            repaired = swept.repaired,
            "swept"
        );
        app.ring();
    }
    Ok(swept)
}
