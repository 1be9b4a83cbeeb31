//! The outcome of a step, written in one transaction: job, delivery, journal, connection, event.
//!
//! Everything a step can lead to is one value, [`Outcome`]; [`write`] applies it, fenced by the
//! claim, in one unit of work with those of other deliveries that wait. It keeps trying while the lease lasts when the database is away, and keeps what the
//! network answered on disk (spool.rs): it is known to nobody else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::budget;
use super::segments;
use super::spool::{self, Kept};
use crate::db::{Error, Fault, Tx};
use crate::domain::delivery::DeliveryState;
use crate::domain::job::Claim;
use crate::domain::problem::Problem;
use crate::ids;
use crate::store::attempts::{self, Begun};
use crate::store::connections;
use crate::store::deliveries::{self, Delivery, Go, Moved};
use crate::store::events::{self, News};
use crate::store::queue::{self, End, Ending, gates};
use crate::{App, bugs};

/// What happens to the job.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    Done,
    /// A dead letter.
    Dead,
    /// Once more at this time (ms UTC).
    At(i64),
    /// Now, in this lane.
    Lane(String),
}

/// The journal's line of the step.
#[derive(Debug, Clone)]
pub(super) enum Line {
    /// One that the intent began.
    End { id: String, word: &'static str },
    /// One written whole.
    New { step: &'static str, started_at: i64, word: &'static str },
}

#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub to: DeliveryState,
    pub next: Next,
    pub line: Line,
    /// What the journal shows, and (unless the delivery is well) the delivery itself.
    pub problem: Option<Problem>,
    pub tries: i64,
    pub looks: i64,
    pub intent_at: Option<i64>,
    /// It is sent once more though it may be live: it stays counted, and begun when it was.
    pub perhaps: bool,
    /// Id and address at the network, once known.
    pub remote: Option<(String, Option<String>)>,
    /// Handles are dead: begin with new ones.
    pub forget: bool,
    /// The connection needs its owner.
    pub breaks: bool,
    /// The network asked that nothing of this connection be sent before this time.
    pub hold_lane_until: Option<i64>,
    /// The network said that this account may not post before this time.
    pub quota_until: Option<i64>,
}

impl Outcome {
    /// A move of `d` that changes nothing else.
    pub(super) fn of(d: &Delivery, to: DeliveryState, next: Next, line: Line) -> Self {
        Self {
            to,
            next,
            line,
            problem: None,
            tries: d.tries,
            looks: d.looks,
            intent_at: d.intent_at,
            perhaps: false,
            remote: None,
            forget: false,
            breaks: false,
            hold_lane_until: None,
            quota_until: None,
        }
    }
    pub(super) fn because(mut self, problem: Problem) -> Self {
        self.problem = Some(problem);
        self
    }
}

/// Why a step's outcome does not stand.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Lost {
    #[error("the claim was lost")]
    Stale,
    /// The claim holds, and the delivery is not in the state that the step began in.
    #[error("its delivery is in another state")]
    Moved,
    /// Nothing is left of a budget before this time (ms UTC); only an intent finds that out.
    #[error("a posting budget is spent until {0}")]
    Spent(i64),
    /// Nobody approved what was to be sent; only an intent finds that out.
    #[error("it is not approved as it is now")]
    NotApproved,
    #[error(transparent)]
    Db(#[from] Error),
}

impl Fault for Lost {
    fn is_everybodys(&self) -> bool {
        matches!(self, Lost::Db(e) if e.is_everybodys())
    }
}

/// One outcome to be written.
#[derive(Clone)]
struct Ended {
    claim: Claim,
    delivery: Delivery,
    /// The state that the step began in.
    from: DeliveryState,
    outcome: Outcome,
}

/// Applies an outcome; `from` is the state that the step began in.
pub(super) async fn write(
    app: &App,
    claim: &Claim,
    d: &Delivery,
    from: DeliveryState,
    outcome: Outcome,
) -> Result<(), Lost> {
    let mut ended = Ended { claim: claim.clone(), delivery: d.clone(), from, outcome };
    let mut kept = false;
    let give_up = app.clock.mono() + app.config.queue.lease.as_millis() as i64;
    loop {
        let app_ = app.clone();
        let unit = move |tx: Tx, all: Arc<[Ended]>| {
            let app = app_.clone();
            async move { apply(&tx, &app, &all).await }
        };
        let written = app.db.write_together(ended.clone(), unit).await;
        if kept && !matches!(written, Err(Lost::Db(_))) {
            spool::forget(app, claim);
        }
        match written {
            Ok(()) => {
                told(app, &ended.outcome);
                return Ok(());
            }
            Err(Lost::Stale) => {
                note_stale(app, claim, d).await;
                return Err(Lost::Stale);
            }
            // The network gave us an id that another delivery is bound to: a person has to look.
            Err(Lost::Db(Error::Unique(_))) if ended.outcome.remote.is_some() => {
                ended.outcome = contradiction(ended.outcome);
            }
            Err(Lost::Db(e @ (Error::Unavailable(_) | Error::CommitUnknown(_))))
                if app.clock.mono() < give_up && !bugs::on("outcome not retried") =>
            {
                if !kept {
                    spool::keep(app, claim, &ended.outcome);
                    kept = true;
                }
                tracing::warn!(delivery_id = %d.id, error = %e, "an outcome is not written yet; trying again");
                app.clock.sleep(Duration::from_millis(500)).await;
            }
            Err(e) => return Err(e),
        }
    }
}

/// Work that other nodes could take is worth a hint; what is over is not.
fn told(app: &App, o: &Outcome) {
    match o.next {
        Next::Done | Next::Dead if o.to != DeliveryState::Published => app.news.notify_waiters(),
        _ => app.ring(),
    }
}

/// Applies an outcome that was kept on disk, if nobody has claimed its job since.
pub(super) async fn take_up(app: &App, kept: &Kept) -> Result<(), Lost> {
    let Some(mut outcome) = kept.outcome() else {
        return Err(Error::Corrupt(format!("a kept outcome of another version: {kept:?}")).into());
    };
    loop {
        let (app_, k, o) = (app.clone(), kept.clone(), outcome.clone());
        let written = app.db.write(move |tx| async move {
            let until = app_.clock.now() + app_.config.queue.lease.as_millis() as i64;
            let claim = queue::retake(&tx, &k.job, k.fence, &k.owner, until).await?;
            let claim = claim.ok_or(Lost::Stale)?;
            let delivery = deliveries::load(&tx, &k.delivery).await?.ok_or(Lost::Stale)?;
            let from = delivery.state;
            // A sweep may have said meanwhile that nobody knows.
            if !matches!(from, DeliveryState::Sending | DeliveryState::Unknown) {
                return Err(Lost::Stale);
            }
            let ended = Ended { claim, delivery, from, outcome: o };
            apply(&tx, &app_, &[ended]).await?.pop().unwrap_or(Err(Lost::Stale))
        });
        match written.await {
            Ok(()) => {
                app.ring();
                return Ok(());
            }
            Err(Lost::Db(Error::Unique(_))) if outcome.remote.is_some() => {
                outcome = contradiction(outcome);
            }
            Err(e) => return Err(e),
        }
    }
}

/// Gives back what a send took from the budgets, when it is certain that nothing came of it.
async fn refund(
    tx: &Tx,
    app: &App,
    d: &Delivery,
    from: DeliveryState,
    o: &Outcome,
) -> Result<(), Error> {
    let spec = app.network(&d.network).map(|n| n.spec());
    let Some((spec, place)) = spec.and_then(|s| Some((s, s.placement(&d.placement)?))) else {
        return Ok(());
    };
    let sent = matches!(from, DeliveryState::Sending | DeliveryState::Unknown);
    let there = o.to == DeliveryState::Published || o.perhaps;
    if sent && o.intent_at.is_none() && !there {
        budget::refund(tx, &app.config.publishing, spec, place, &d.connection_id).await?;
    }
    Ok(())
}

fn contradiction(o: Outcome) -> Outcome {
    let problem = Problem::new(
        "unknown",
        "The network named a post that belongs to another delivery.",
        "look",
        "Look at the network whether the post is there, then answer here.",
    );
    let intent_at = o.intent_at.or(Some(0));
    Outcome { to: DeliveryState::Held, next: Next::Done, remote: None, intent_at, ..o }
        .because(problem)
}

/// Writes outcomes; an answer a piece: nothing of one whose claim was lost is written.
async fn apply(tx: &Tx, app: &App, all: &[Ended]) -> Result<Vec<Result<(), Lost>>, Lost> {
    let now = app.clock.now();
    let held = queue::end_each(tx, &all.iter().map(ending).collect::<Vec<_>>(), now).await?;
    let ours: Vec<&Ended> = all.iter().zip(&held).filter(|(_, h)| **h).map(|(e, _)| e).collect();
    let moves: Vec<Go<'_>> = ours.iter().map(|e| go(e, now)).collect();
    if deliveries::go_each(tx, &moves, now).await?.contains(&false) {
        return Err(Lost::Moved);
    }
    journal(tx, &ours, now).await?;
    let live: Vec<&Delivery> = ours.iter().filter(|e| e.published()).map(|e| &e.delivery).collect();
    connections::published(tx, &live.iter().map(|d| d.connection_id.as_str()).collect(), now)
        .await?;
    segments::go_on(tx, &live, now).await?;
    for e in &ours {
        aside(tx, app, e, now).await?;
    }
    let news: Vec<_> = ours
        .iter()
        .map(|e| {
            let url = e.outcome.remote.as_ref().map_or(&e.delivery.remote_url, |(_, url)| url);
            news(&e.delivery, e.outcome.to, url.as_deref())
        })
        .collect();
    events::add_each(tx, &news, now).await?;
    Ok(held.into_iter().map(|held| if held { Ok(()) } else { Err(Lost::Stale) }).collect())
}

impl Ended {
    fn published(&self) -> bool {
        self.outcome.to == DeliveryState::Published
    }

    fn next_attempt_at(&self) -> Option<i64> {
        match self.outcome.next {
            Next::At(at) => Some(at),
            _ => None,
        }
    }
}

fn ending(e: &Ended) -> Ending<'_> {
    let end = match &e.outcome.next {
        Next::Done => End::Done,
        Next::Dead => End::Dead,
        // Its lane waits for it: it keeps its place in there.
        Next::At(at) if e.outcome.hold_lane_until.is_some_and(|until| until >= *at) => {
            End::At { run_at: e.claim.run_at.min(*at), counted: false }
        }
        Next::At(at) => End::At { run_at: *at, counted: false },
        Next::Lane(lane) => End::Lane(lane.clone()),
    };
    let error = match end {
        End::Lane(_) => None,
        _ => e.outcome.problem.as_ref().map(|p| p.sentence.as_str()),
    };
    Ending { claim: &e.claim, end, error }
}

fn go(e: &Ended, now: i64) -> Go<'_> {
    let Ended { delivery: d, from, outcome: o, .. } = e;
    // The network said no: the time from which its post could be there begins anew.
    let no = o.intent_at.is_none() && !o.perhaps && !e.published();
    let certain = *from == DeliveryState::Sending && no;
    let (remote_id, remote_url) = match &o.remote {
        Some((id, url)) => (Some(id.as_str()), url.as_deref()),
        None => (d.remote_id.as_deref(), d.remote_url.as_deref()),
    };
    let moved = Moved {
        tries: o.tries,
        looks: o.looks,
        intent_at: o.intent_at,
        certain: o.forget || certain || bugs::on("first intent forgotten"),
        next_attempt_at: e.next_attempt_at(),
        problem: if e.published() { None } else { o.problem.as_ref() },
        remote_id,
        remote_url,
        published_at: if e.published() { Some(now) } else { d.published_at },
    };
    Go { id: &d.id, from: *from, to: o.to, moved }
}

async fn journal(tx: &Tx, all: &[&Ended], now: i64) -> Result<(), Error> {
    let ids: Vec<String> = all
        .iter()
        .map(|e| match &e.outcome.line {
            Line::End { id, .. } => id.clone(),
            Line::New { started_at, .. } => ids::new(*started_at),
        })
        .collect();
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    for (e, id) in all.iter().zip(&ids) {
        let word = match &e.outcome.line {
            Line::End { word, .. } => *word,
            Line::New { step, started_at, word } => {
                let line = Begun {
                    id,
                    workspace_id: &e.delivery.workspace_id,
                    delivery_id: &e.delivery.id,
                    fence: e.claim.fence,
                    step,
                    request_hash: None,
                };
                begun.push((line, *started_at));
                *word
            }
        };
        let end = attempts::Ended {
            outcome: word,
            error: e.outcome.problem.as_ref(),
            remote_id: e.outcome.remote.as_ref().map(|r| r.0.as_str()),
            next_attempt_at: e.next_attempt_at(),
        };
        ended.push((id.as_str(), end));
    }
    attempts::begin_each(tx, &begun).await?;
    attempts::end_each(tx, &ended, now).await
}

/// What few outcomes have beside what all have.
async fn aside(tx: &Tx, app: &App, e: &Ended, now: i64) -> Result<(), Error> {
    let Ended { claim, delivery: d, from, outcome: o } = e;
    refund(tx, app, d, *from, o).await?;
    if o.forget {
        deliveries::set_checkpoints(tx, &d.id, &Default::default()).await?;
    }
    if o.to == DeliveryState::Cancelled {
        segments::end(tx, d, now).await?;
    }
    if o.breaks
        && let Some(problem) = &o.problem
    {
        connections::break_(tx, &d.connection_id, problem, now).await?;
        // An owner's own pause stays one.
        let lane = connections::lane(&d.connection_id);
        if gates::paused_why(tx, &lane).await?.is_none() {
            gates::pause(tx, &lane, Some((now, "needs_action"))).await?;
        }
        let data = json!({ "connectionId": d.connection_id, "problem": problem });
        events::add(tx, &d.workspace_id, "connection.broken", &d.connection_id, &data, now).await?;
    }
    if let Some(at) = o.hold_lane_until {
        gates::hold(tx, &claim.lane, at).await?;
    }
    if let Some(at) = o.quota_until {
        connections::spent(tx, &d.connection_id, at, &d.placement).await?;
    }
    Ok(())
}

/// Tells live feeds that a delivery moved.
pub(super) async fn announce(
    tx: &Tx,
    d: &Delivery,
    to: DeliveryState,
    remote_url: Option<&str>,
    now: i64,
) -> Result<(), Error> {
    events::add_each(tx, &[news(d, to, remote_url)], now).await
}

pub(super) fn news<'a>(d: &'a Delivery, to: DeliveryState, remote_url: Option<&str>) -> News<'a> {
    let data = json!({
        "postId": d.post_id,
        "deliveryId": d.id,
        "connectionId": d.connection_id,
        "network": d.network,
        "state": to,
        "remoteUrl": remote_url,
    });
    News { workspace: &d.workspace_id, kind: format!("delivery.{to}"), subject: &d.id, data }
}

/// A late worker's only trace.
async fn note_stale(app: &App, claim: &Claim, d: &Delivery) {
    tracing::info!(delivery_id = %d.id, fence = claim.fence, "stale: another worker has this delivery");
    let (claim, d, now) = (claim.clone(), d.clone(), app.clock.now());
    let noted = app.db.write(move |tx| async move {
        let id = ids::new(now);
        let line = Begun {
            id: &id,
            workspace_id: &d.workspace_id,
            delivery_id: &d.id,
            fence: claim.fence,
            step: "outcome",
            request_hash: None,
        };
        attempts::begin(&tx, &line, now).await?;
        let stale = attempts::Ended { outcome: "stale", ..Default::default() };
        attempts::end(&tx, &id, &stale, now).await
    });
    if let Err(e) = noted.await {
        tracing::warn!(error = %e, "a stale outcome was not noted");
    }
}
