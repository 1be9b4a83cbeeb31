//! The outcome of a step, written in one transaction: job, delivery, journal, connection, event.
//!
//! Everything a step can lead to is one value, [`Outcome`]; [`write`] applies it, fenced by the
//! claim. It keeps trying while the lease lasts when the database is away, and keeps what the
//! network answered on disk (spool.rs): it is known to nobody else.

use std::time::Duration;

use serde_json::json;

use super::budget;
use super::segments;
use super::spool::{self, Kept};
use crate::db::{Error, Tx};
use crate::domain::delivery::DeliveryState;
use crate::domain::job::Claim;
use crate::domain::problem::Problem;
use crate::ids;
use crate::store::attempts::{self, Begun, Ended};
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::queue::gates;
use crate::store::{connections, events, queue};
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
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("the claim was lost")]
    Stale,
    /// Nothing is left of a budget before this time (ms UTC); only an intent finds that out.
    #[error("a posting budget is spent until {0}")]
    Spent(i64),
    #[error(transparent)]
    Db(#[from] Error),
}

/// Applies an outcome; `from` is the state that the step began in.
pub(super) async fn write(
    app: &App,
    claim: &Claim,
    d: &Delivery,
    from: DeliveryState,
    outcome: Outcome,
) -> Result<(), Lost> {
    let (mut outcome, mut kept) = (outcome, false);
    let give_up = app.clock.mono() + app.config.queue.lease.as_millis() as i64;
    loop {
        let now = app.clock.now();
        let (c, del, o) = (claim.clone(), d.clone(), outcome.clone());
        let app_ = app.clone();
        let written = app.db.write(move |tx| async move {
            refund(&tx, &app_, &del, from, &o).await?;
            apply(&tx, &c, &del, from, &o, now).await
        });
        let written = written.await;
        if kept && !matches!(written, Err(Lost::Db(_))) {
            spool::forget(app, claim);
        }
        match written {
            Ok(()) => {
                app.ring();
                return Ok(());
            }
            Err(Lost::Stale) => {
                note_stale(app, claim, d).await;
                return Err(Lost::Stale);
            }
            // The network gave us an id that another delivery is bound to: a person has to look.
            Err(Lost::Db(Error::Unique(_))) if outcome.remote.is_some() => {
                outcome = contradiction(outcome);
            }
            Err(Lost::Db(e @ (Error::Unavailable(_) | Error::CommitUnknown(_))))
                if app.clock.mono() < give_up && !bugs::on("outcome not retried") =>
            {
                if !kept {
                    spool::keep(app, claim, &outcome);
                    kept = true;
                }
                tracing::warn!(delivery_id = %d.id, error = %e, "an outcome is not written yet; trying again");
                app.clock.sleep(Duration::from_millis(500)).await;
            }
            Err(e) => return Err(e),
        }
    }
}

/// Applies an outcome that was kept on disk, if nobody has claimed its job since.
pub(super) async fn take_up(app: &App, kept: &Kept) -> Result<(), Lost> {
    let Some(mut outcome) = kept.outcome() else {
        return Err(Error::Corrupt(format!("a kept outcome of another version: {kept:?}")).into());
    };
    loop {
        let now = app.clock.now();
        let until = now + app.config.queue.lease.as_millis() as i64;
        let (k, o, app_) = (kept.clone(), outcome.clone(), app.clone());
        let written = app.db.write(move |tx| async move {
            let claim = queue::retake(&tx, &k.job, k.fence, &k.owner, until).await?;
            let claim = claim.ok_or(Lost::Stale)?;
            let d = deliveries::load(&tx, &k.delivery).await?.ok_or(Lost::Stale)?;
            // A sweep may have said meanwhile that nobody knows.
            if !matches!(d.state, DeliveryState::Sending | DeliveryState::Unknown) {
                return Err(Lost::Stale);
            }
            refund(&tx, &app_, &d, d.state, &o).await?;
            apply(&tx, &claim, &d, d.state, &o, now).await?;
            Ok(d)
        });
        match written.await {
            Ok(_) => {
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
    let Some(spec) = app.network(&d.network).map(|n| n.spec()) else { return Ok(()) };
    let sent = matches!(from, DeliveryState::Sending | DeliveryState::Unknown);
    let counted = spec.placement(&d.placement).is_none_or(|p| p.in_budget);
    let there = o.to == DeliveryState::Published || o.perhaps;
    if sent && counted && o.intent_at.is_none() && !there {
        budget::refund(tx, &app.config.publishing, spec, &d.connection_id).await?;
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

async fn apply(
    tx: &Tx,
    claim: &Claim,
    d: &Delivery,
    from: DeliveryState,
    o: &Outcome,
    now: i64,
) -> Result<(), Lost> {
    let error = o.problem.as_ref().map(|p| p.sentence.as_str());
    let held = match o.next {
        Next::Done => queue::finish(tx, claim, "done", error, now).await?,
        Next::Dead => queue::finish(tx, claim, "dead", error, now).await?,
        Next::At(at) => queue::put_back(tx, claim, at, false, error).await?,
        Next::Lane(ref lane) => queue::hand_over(tx, claim, lane, now).await?,
    };
    if !held {
        return Err(Lost::Stale);
    }
    let next_attempt_at = match o.next {
        Next::At(at) => Some(at),
        _ => None,
    };
    let published = o.to == DeliveryState::Published;
    // The network said no: the time from which its post could be there begins anew.
    let no = o.intent_at.is_none() && !o.perhaps && !published;
    let certain = from == DeliveryState::Sending && no;
    let (remote_id, remote_url) = match &o.remote {
        Some((id, url)) => (Some(id.as_str()), url.as_deref()),
        None => (d.remote_id.as_deref(), d.remote_url.as_deref()),
    };
    let moved = Moved {
        tries: o.tries,
        looks: o.looks,
        intent_at: o.intent_at,
        certain: o.forget || certain || bugs::on("first intent forgotten"),
        next_attempt_at,
        problem: if published { None } else { o.problem.as_ref() },
        remote_id,
        remote_url,
        published_at: if published { Some(now) } else { d.published_at },
    };
    if !deliveries::go(tx, &d.id, from, o.to, &moved, now).await? {
        return Err(Lost::Stale);
    }
    if o.forget {
        deliveries::set_checkpoints(tx, &d.id, &Default::default()).await?;
    }
    journal(tx, claim, d, o, next_attempt_at, now).await?;
    if published {
        connections::published(tx, &d.connection_id, now).await?;
        segments::go_on(tx, d, now).await?;
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
        connections::spent(tx, &d.connection_id, at).await?;
    }
    announce(tx, d, o.to, remote_url, now).await?;
    Ok(())
}

async fn journal(
    tx: &Tx,
    claim: &Claim,
    d: &Delivery,
    o: &Outcome,
    next_attempt_at: Option<i64>,
    now: i64,
) -> Result<(), Error> {
    let (id, word) = match &o.line {
        Line::End { id, word } => (id.clone(), *word),
        Line::New { step, started_at, word } => {
            let id = ids::new(*started_at);
            let line = Begun {
                id: &id,
                workspace_id: &d.workspace_id,
                delivery_id: &d.id,
                fence: claim.fence,
                step,
                request_hash: None,
            };
            attempts::begin(tx, &line, *started_at).await?;
            (id, *word)
        }
    };
    let ended = Ended {
        outcome: word,
        error: o.problem.as_ref(),
        remote_id: o.remote.as_ref().map(|r| r.0.as_str()),
        next_attempt_at,
    };
    attempts::end(tx, &id, &ended, now).await
}

/// Tells live feeds that a delivery moved.
pub(super) async fn announce(
    tx: &Tx,
    d: &Delivery,
    to: DeliveryState,
    remote_url: Option<&str>,
    now: i64,
) -> Result<(), Error> {
    let data = json!({
        "postId": d.post_id,
        "deliveryId": d.id,
        "connectionId": d.connection_id,
        "network": d.network,
        "state": to,
        "remoteUrl": remote_url,
    });
    events::add(tx, &d.workspace_id, &format!("delivery.{to}"), &d.id, &data, now).await
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
        attempts::end(&tx, &id, &Ended { outcome: "stale", ..Ended::default() }, now).await
    });
    if let Err(e) = noted.await {
        tracing::warn!(error = %e, "a stale outcome was not noted");
    }
}
