//! Sees what nobody else would: that something should have gone out, or that no worker is there.
//!
//! Every process looks for itself, every half minute and without a job, since a job would need the
//! very worker that is missing. Any number of nodes may look: an alert is open once.

use std::time::Duration;

use super::health::{LATE_MS, WORKER_GONE_MS};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::delivery::DeliveryState;
use crate::domain::problem::Problem;
use crate::domain::when;
use crate::store::alerts::{self, INSTALLATION};
use crate::store::guards::{self, Late};
use crate::store::{accounts, deliveries, nodes, reviews};

/// A worker that dies is missed after a minute and told of within half a minute more.
const EVERY: Duration = Duration::from_secs(30);
/// So long before its time somebody is told that a post waits for their answer.
const ANSWER_MS: i64 = 60 * 60_000;

/// Looks until dropped. Not at once: a process that has just started has shown no worker yet.
pub async fn run(app: App) {
    loop {
        app.clock.sleep(EVERY).await;
        if let Err(e) = look(&app).await {
            tracing::warn!(error = %e, "the watchdog could not look");
        }
    }
}

/// Raises what is the matter now and clears what is over.
pub async fn look(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let changed = app
        .db
        .write(move |tx| async move {
            let worker = worker(&tx, now).await?;
            let late = lateness(&tx, now).await?;
            let unanswered = unanswered(&tx, now).await?;
            Ok::<_, Error>(worker | late | unanswered | foreseen(&tx, now).await?)
        })
        .await?;
    if changed {
        app.news.notify_waiters();
    }
    Ok(())
}

/// Is there a worker? `true` when the answer is another than before.
async fn worker(tx: &Tx, now: i64) -> Result<bool, Error> {
    let seen = nodes::last_worker(tx).await?;
    if seen.is_some_and(|at| now - at <= WORKER_GONE_MS) {
        return alerts::clear(tx, AlertKind::NoWorker, INSTALLATION, now).await;
    }
    let sentence = match seen {
        Some(at) => format!("No worker has been seen since {} UTC.", when::local(at, "UTC")),
        None => "No worker has been seen yet.".to_owned(),
    };
    let next =
        "Nothing goes out: start `carillon worker` or `carillon serve`, and look at its log.";
    let problem = Problem::new("config", sentence, "ask_operator", next);
    alerts::raise(tx, None, AlertKind::NoWorker, INSTALLATION, &problem, now).await
}

/// Is something late? One alert a workspace, whatever the number.
async fn lateness(tx: &Tx, now: i64) -> Result<bool, Error> {
    let late = guards::late(tx, now - LATE_MS).await?;
    let mut changed = false;
    for alert in alerts::open(tx, AlertKind::DeliveryLate).await? {
        if !late.iter().any(|l| l.workspace_id == alert.subject) {
            changed |= alerts::clear(tx, AlertKind::DeliveryLate, &alert.subject, now).await?;
        }
    }
    for l in &late {
        let problem = told(tx, l).await?;
        let (workspace, kind) = (l.workspace_id.as_str(), AlertKind::DeliveryLate);
        changed |= alerts::raise(tx, Some(workspace), kind, workspace, &problem, now).await?;
    }
    Ok(changed)
}

async fn told(tx: &Tx, l: &Late) -> Result<Problem, Error> {
    let zone = accounts::workspace(tx, &l.workspace_id).await?.map_or("UTC".into(), |w| w.timezone);
    let due = when::local(l.since, &zone);
    let first = guards::first_late(tx, &l.workspace_id, l.since).await?;
    let name = first.map_or_else(String::new, |(name, _)| format!(" to {name}"));
    let sentence = match l.count {
        1 => format!("A delivery{name} is late: it was due at {due}."),
        n => format!("{n} deliveries are late: the first one{name} was due at {due}."),
    };
    let next = "Open the post: the journal of the delivery says what it waits for.";
    Ok(Problem::new("late", sentence, "look", next))
}

/// Does a question stay open too long? What is approved after its time does not go out by itself.
async fn unanswered(tx: &Tx, now: i64) -> Result<bool, Error> {
    let due = reviews::due(tx, now + ANSWER_MS).await?;
    let mut changed = false;
    for alert in alerts::open(tx, AlertKind::ApprovalDue).await? {
        if !due.iter().any(|d| d.workspace_id == alert.subject) {
            changed |= alerts::clear(tx, AlertKind::ApprovalDue, &alert.subject, now).await?;
        }
    }
    for d in &due {
        let workspace = accounts::workspace(tx, &d.workspace_id).await?;
        let at = when::local(d.first, &workspace.map_or("UTC".into(), |w| w.timezone));
        let verb = if d.first < now { "was" } else { "is" };
        let sentence = match d.posts {
            1 => format!("A post is not approved yet; it {verb} to go out at {at}."),
            n => format!("{n} posts are not approved yet; the first {verb} to go out at {at}."),
        };
        let next = "Answer in Approvals; what is approved after its time needs another one.";
        let problem = Problem::new("not_approved", sentence, "approve", next);
        let (workspace, kind) = (d.workspace_id.as_str(), AlertKind::ApprovalDue);
        changed |= alerts::raise(tx, Some(workspace), kind, workspace, &problem, now).await?;
    }
    Ok(changed)
}

/// What a look before its time foresaw is over once the delivery is mended, moved or gone.
async fn foreseen(tx: &Tx, now: i64) -> Result<bool, Error> {
    let mut changed = false;
    for alert in alerts::open(tx, AlertKind::PreflightFailed).await? {
        let d = deliveries::load(tx, &alert.subject).await?;
        let holds = d.is_some_and(|d| d.state == DeliveryState::Queued && d.warning.is_some());
        if !holds {
            changed |= alerts::clear(tx, AlertKind::PreflightFailed, &alert.subject, now).await?;
        }
    }
    Ok(changed)
}
