//! One delivery, one step: send it, ask how far the network is, or look whether it is there.
//!
//! The order of a send is the protocol: prepare (harmless, checkpointed) → **intent** on disk →
//! clocks → one visible call → **outcome** on disk. Between intent and outcome nobody but the
//! network knows; whoever finds a delivery there looks (settle.rs), and never sends.

use std::time::Duration;

use carillon_networks::{
    Applied, Class, Context, Error, Prepared, Published, Remote, Rendition, ReplyTo, SendClass,
};

use super::keeper::Durable;
use super::load::{self, Work};
use super::outcome::{self, Line, Lost, Next, Outcome};
use super::segments::{self, Stop};
use super::tokens::{After, Unusable};
use super::{account, circuits, holding, intent, lateness, settle, tokens};
use crate::approval;
use crate::db;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::{Claim, Pool};
use crate::domain::problem::Problem;
use crate::media::{Unfit, derive, video};
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery};
use crate::store::queue;
use crate::{App, bugs, ids};

/// Under this name it is kept beside the network's handles that its large files are there.
pub(super) const UPLOADED: &str = "carillon.uploaded";
/// How long a delivery waits for a picture that is still being prepared, in ms.
const MEDIA_WAIT: i64 = 5_000;
/// The same for a video, which takes longer.
const VIDEO_WAIT: i64 = 15_000;
/// How long a segment waits whose parent turns out not to be live, in ms.
const PARENT_WAIT: i64 = 60_000;

/// Moves the claimed delivery one step on. The job is ended or put back here, in the transaction
/// of what it led to.
pub async fn deliver(app: &App, claim: &Claim) -> anyhow::Result<()> {
    let Some(work) = load::load(app, &claim.subject).await? else {
        return Ok(end_job(app, claim).await?);
    };
    let d = &work.delivery;
    let step = match d.state {
        State::Queued => send(app, claim, &work).await,
        // Before the intent the network works on a container or an upload of ours.
        State::Waiting if d.intent_at.is_none() => send(app, claim, &work).await,
        State::Waiting => settle::poll(app, claim, &work).await,
        // Whoever sent it died or lost its lease: what came of it is not known.
        State::Sending if bugs::on("sending sent again") => send(app, claim, &work).await,
        State::Sending => settle::found_sending(app, claim, &work).await,
        State::Unknown => settle::look(app, claim, &work).await,
        State::Draft
        | State::Published
        | State::Failed
        | State::Cancelled
        | State::Held
        | State::Missed
        | State::Removed => Ok(end_job(app, claim).await?),
    };
    let sign = work.sign.lock().unwrap_or_else(|e| e.into_inner()).take();
    let settings = &work.connection.settings;
    if let Err(e) = circuits::note(app, claim, work.network, settings, sign).await {
        tracing::warn!(error = %e, "a network's circuit was not kept up to date");
    }
    match step {
        // Somebody else has it; there is nothing to do here.
        Ok(()) | Err(Lost::Stale) => Ok(()),
        Err(Lost::Db(e)) => Err(e.into()),
        Err(e @ Lost::Moved) => Err(e.into()),
        Err(e @ (Lost::Spent(_) | Lost::NotApproved)) => {
            Err(anyhow::Error::new(e).context("found outside an intent"))
        }
    }
}

/// A delivery that the code itself fails on waits for a person instead of being forgotten.
pub async fn gave_up(app: &App, claim: &Claim, error: &str) -> anyhow::Result<()> {
    let id = claim.subject.clone();
    let found = app.db.read(move |tx| async move { deliveries::load(&tx, &id).await }).await?;
    let Some(d) = found.filter(|d| d.state.active()) else {
        return Ok(end_job(app, claim).await?);
    };
    let (action, next) = match d.intent_at {
        Some(_) => ("look", "Look at the network whether the post is live, then answer here."),
        None => ("retry", "Tell whoever runs this installation, then retry it."),
    };
    let problem =
        Problem::new("internal", format!("Carillon could not work on it: {error}."), action, next);
    let line = Line::New { step: "prepare", started_at: app.clock.now(), word: "gave_up" };
    let o = Outcome::of(&d, State::Held, Next::Done, line).because(problem);
    match outcome::write(app, claim, &d, d.state, o).await {
        Ok(()) | Err(Lost::Stale) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

async fn end_job(app: &App, claim: &Claim) -> Result<(), db::Error> {
    let (claim, now) = (claim.clone(), app.clock.now());
    app.db
        .write(
            move |tx| async move { queue::finish(&tx, &claim, "done", None, now).await.map(drop) },
        )
        .await
}

async fn send(app: &App, claim: &Claim, work: &Work) -> Result<(), Lost> {
    let (d, from) = (&work.delivery, work.delivery.state);
    let started_at = app.clock.now();
    let prepare_line = |word| Line::New { step: "prepare", started_at, word };
    if d.cancel_wish_at.is_some() && !bugs::on("cancel overheard") {
        let o = Outcome::of(d, State::Cancelled, Next::Done, prepare_line("cancelled"));
        return outcome::write(app, claim, d, from, o).await;
    }
    if work.post.paused_at.is_some() {
        let o = Outcome::of(d, State::Held, Next::Done, prepare_line("paused"));
        return outcome::write(app, claim, d, from, o.because(holding::paused())).await;
    }
    if let Some(stop) = segments::stopped(&work.before) {
        let o = match stop {
            Stop::Wait => {
                let next = Next::At(started_at + PARENT_WAIT);
                Outcome::of(d, State::Queued, next, prepare_line("waits"))
            }
            Stop::Cancel => Outcome::of(d, State::Cancelled, Next::Done, prepare_line("cancelled")),
            Stop::Fail(problem) => {
                Outcome::of(d, State::Failed, Next::Dead, prepare_line("refused")).because(problem)
            }
        };
        return outcome::write(app, claim, d, from, o).await;
    }
    // Not even a preparation takes to a network what nobody approved.
    if matches!(work.content, Some((_, false))) {
        return outcome::write(app, claim, d, from, not_approved(d, started_at)).await;
    }
    if let Some(o) = lateness::too_late(app, work) {
        return outcome::write(app, claim, d, from, o).await;
    }
    if let Some(o) = lateness::waits(app, work) {
        let o = lateness::in_turn(app, work, o).await?;
        return outcome::write(app, claim, d, from, o).await;
    }
    if claim.pool == Pool::Send && uploads_aside(app, work) {
        let next = Next::Lane(connections::upload_lane(&d.connection_id));
        let line = Line::New { step: "upload", started_at, word: "queued" };
        return outcome::write(app, claim, d, from, Outcome::of(d, State::Queued, next, line))
            .await;
    }
    let out = match rendition(app, work).await {
        Ok(out) => out,
        Err(unfit) => {
            let o = not_ready(app, work, unfit, started_at);
            return outcome::write(app, claim, d, from, o).await;
        }
    };
    let newer = match Box::pin(tokens::fresh(app, &work.connection)).await {
        Ok(newer) => newer,
        Err(Unusable::Db(e)) => return Err(e.into()),
        Err(Unusable::Wait(at, problem)) => {
            let o = waits_for_token(d, at, prepare_line("waits"));
            return outcome::write(app, claim, d, from, o.because(problem)).await;
        }
        Err(Unusable::Broken(problem)) => {
            let o = Outcome {
                breaks: true,
                ..Outcome::of(d, State::Queued, Next::At(started_at), prepare_line("refused"))
            };
            return outcome::write(app, claim, d, from, o.because(problem)).await;
        }
    };
    let connection = newer.as_ref().unwrap_or(&work.connection);
    let account = match account::open(app, connection) {
        Ok(account) => account,
        Err(refusal) => {
            let problem = Problem::new("config", refusal.sentence, "ask_operator", &refusal.fix);
            let o = Outcome {
                breaks: true,
                ..Outcome::of(d, State::Queued, Next::At(started_at), prepare_line("refused"))
            };
            return outcome::write(app, claim, d, from, o.because(problem)).await;
        }
    };
    let base = account::base(app, work.network, &work.connection.settings);
    let keeper = Durable::new(app, claim, work);
    let timeout = app.config.networks.timeout;
    let checkpoints = d.checkpoints.clone();
    let cx = Context::new(&app.http, &account, &base, started_at, timeout, checkpoints, &keeper);

    match work.noted(&base, work.network.prepare(&cx, &out).await) {
        Ok(Prepared::Ready) => {}
        Ok(Prepared::Processing { again_in }) => {
            let at = app.clock.now() + again_in.as_millis() as i64;
            let o = Outcome::of(d, State::Waiting, Next::At(at), prepare_line("processing"));
            return outcome::write(app, claim, d, from, o).await;
        }
        Err(e) => {
            keeper.still_ours()?;
            // Nothing of a preparation is visible: whatever came of it, it may be done again.
            let e = Error { applied: Applied::No, ..e };
            let o = turned_away(app, work, connection, &e, &prepare_line).await?;
            return outcome::write(app, claim, d, from, o).await;
        }
    }

    if claim.pool == Pool::Upload {
        // Its turn to be sent is its lane's.
        if cx.checkpoint(UPLOADED, true).await.is_err() {
            return Err(keeper.still_ours().err().unwrap_or(Lost::Stale));
        }
        let next = Next::Lane(connections::lane(&d.connection_id));
        let line = Line::New { step: "upload", started_at, word: "done" };
        return outcome::write(app, claim, d, from, Outcome::of(d, State::Queued, next, line))
            .await;
    }
    let early = if bugs::on("intent after the send") {
        Some(work.noted(&base, work.network.publish(&cx, &out).await))
    } else {
        None
    };
    let (wall, steady) = (app.clock.now(), app.clock.mono());
    let line = ids::new(wall);
    let lease_until = match intent::commit(app, claim, work, &out, &line).await {
        Ok(Some(lease_until)) => lease_until,
        // A cancel came first, or a setting; the next step sees it.
        Ok(None) => return again_now(app, claim).await,
        Err(Lost::Spent(at)) => {
            let o = lateness::spent(app, work, at, started_at);
            let o = lateness::in_turn(app, work, o).await?;
            return outcome::write(app, claim, d, from, o).await;
        }
        Err(Lost::NotApproved) => {
            return outcome::write(app, claim, d, from, not_approved(d, started_at)).await;
        }
        // It may stand, and nobody but us knows that nothing was sent.
        Err(Lost::Db(db::Error::CommitUnknown(why))) if !bugs::on("unheard intent left") => {
            tracing::warn!(delivery_id = %d.id, why, "whether an intent stands is not known; nothing is sent");
            return not_sent(app, claim, work, line).await;
        }
        Err(e) => return Err(e),
    };
    // Whichever clock saw more time go by decides: the wall clock may have been set back, and the
    // steady one may stand still while the machine sleeps.
    let gone = (app.clock.now() - wall).max(app.clock.mono() - steady);
    let time_left = lease_until - wall - gone;
    if time_left < timeout.as_millis() as i64 && !bugs::on("clocks not looked at") {
        // Our own clocks forbid it.
        return not_sent(app, claim, work, line).await;
    }
    let answer = match early {
        Some(answer) => answer,
        None => work.noted(&base, work.network.publish(&cx, &out).await),
    };
    let o = match answer {
        Err(e) if e.class == Class::Auth && !unsure(work, &e) => {
            let line = |word| Line::End { id: line.clone(), word };
            let o = turned_away(app, work, connection, &e, &line).await?;
            settle::no(work, Outcome { intent_at: None, ..o })
        }
        answer => published(app, work, answer, line),
    };
    outcome::write(app, claim, d, State::Sending, o).await
}

/// Takes an intent back that nothing came of, and begins anew.
async fn not_sent(app: &App, claim: &Claim, work: &Work, line: String) -> Result<(), Lost> {
    let line = Line::End { id: line, word: "not_sent" };
    let o = Outcome::of(&work.delivery, State::Queued, Next::At(app.clock.now()), line);
    let o = settle::no(work, Outcome { intent_at: None, ..o });
    match outcome::write(app, claim, &work.delivery, State::Sending, o).await {
        // The intent did not take.
        Err(Lost::Moved) => again_now(app, claim).await,
        written => written,
    }
}

/// A person approves it, then decides when it goes out.
fn not_approved(d: &Delivery, started_at: i64) -> Outcome {
    let line = Line::New { step: "prepare", started_at, word: "not_approved" };
    Outcome::of(d, State::Held, Next::Done, line).because(approval::problem())
}

/// What a refusal leads to that may be one of a token which ended on the way: with a newer one it
/// is tried again at once, and nothing is counted.
async fn turned_away(
    app: &App,
    work: &Work,
    connection: &Connection,
    e: &Error,
    line: &(dyn Fn(&'static str) -> Line + Sync),
) -> Result<Outcome, Lost> {
    let (d, now) = (&work.delivery, app.clock.now());
    let o = match Box::pin(tokens::after(app, connection, e)).await? {
        After::Again => Outcome::of(d, State::Queued, Next::At(now), line("renewed")),
        After::Wait(at) => waits_for_token(d, at, line("waits")),
        After::Refused(None) => return Ok(refused(app, work, e, line("refused"))),
        After::Refused(Some(problem)) => {
            return Ok(refused(app, work, e, line("refused")).because(problem));
        }
    };
    Ok(Outcome { forget: e.restart, ..o }.because(account::problem(e)))
}

/// Its lane waits until a token is to be had.
fn waits_for_token(d: &Delivery, at: i64, line: Line) -> Outcome {
    let o = Outcome::of(d, State::Queued, Next::At(at), line);
    Outcome { hold_lane_until: Some(at), ..o }
}

/// What a send that came back led to.
fn published(app: &App, work: &Work, answer: Result<Published, Error>, line: String) -> Outcome {
    let (d, now) = (&work.delivery, app.clock.now());
    let end = |word| Line::End { id: line.clone(), word };
    match answer {
        Ok(Published::Accepted(remote)) => Outcome {
            remote: Some((remote.id, remote.url)),
            ..Outcome::of(d, State::Published, Next::Done, end("accepted"))
        },
        Ok(Published::Processing { again_in }) => Outcome {
            intent_at: Some(now),
            looks: 0,
            ..Outcome::of(
                d,
                State::Waiting,
                Next::At(now + again_in.as_millis() as i64),
                end("processing"),
            )
        },
        Err(e)
            if e.class == Class::Duplicate
                && e.existing.is_some()
                && !bugs::on("named duplicate refused") =>
        {
            Outcome {
                // The network refused because it has the post already, and says which one it is.
                remote: e.existing.map(|id| (id, None)),
                ..Outcome::of(d, State::Published, Next::Done, end("found"))
            }
        }
        Err(e) if unsure(work, &e) => settle::unknown(app, work, &e, end("unknown")),
        Err(e) => {
            let o = refused(app, work, &e, end("refused"));
            settle::no(work, Outcome { intent_at: None, ..o })
        }
    }
}

/// After this error, may the post be there? A handle can be read, so in doubt it is; a duplicate
/// after a lost answer is evidence, not proof.
fn unsure(work: &Work, e: &Error) -> bool {
    let handle = work.placement.send == SendClass::Handle;
    let retried = work.delivery.first_intent_at.is_some() && work.delivery.tries > 0;
    let answered = bugs::on("5xx taken for a no") && e.status.is_some_and(|s| s >= 500);
    (e.applied == Applied::Maybe && !answered)
        || (handle && e.class == Class::Transient)
        || (retried && e.class == Class::Duplicate)
}

/// What an error leads to when it is certain that nothing was applied.
pub(super) fn refused(app: &App, work: &Work, e: &Error, line: Line) -> Outcome {
    let (d, now) = (&work.delivery, app.clock.now());
    let mut problem = account::problem(e);
    let o = match e.class {
        // The lane is paused with it: the job is claimed when the connection works again.
        Class::Auth | Class::Config => {
            Outcome { breaks: true, ..Outcome::of(d, State::Queued, Next::At(now), line) }
        }
        Class::RateLimit | Class::Quota => {
            let usual = if e.class == Class::Quota { 3_600 } else { 60 };
            let wait =
                e.retry_after.unwrap_or(Duration::from_secs(usual)).max(Duration::from_secs(1));
            let at = now + wait.as_millis() as i64;
            let o = Outcome::of(d, State::Queued, Next::At(at), line);
            if e.class == Class::Quota {
                // No post is left; whoever is in doubt may still look.
                Outcome { quota_until: Some(at), ..o }
            } else {
                Outcome { hold_lane_until: Some(at), ..o }
            }
        }
        Class::Transient | Class::Unknown => match backoff(app, work) {
            Some(wait) => {
                let wait = e.retry_after.unwrap_or_default().max(wait);
                let next = Next::At(now + wait.as_millis() as i64);
                Outcome { tries: d.tries + 1, ..Outcome::of(d, State::Queued, next, line) }
            }
            None => {
                problem.action = "retry".into();
                problem.action_sentence =
                    "All tries are used up: retry it when the network works again.".into();
                Outcome { tries: d.tries + 1, ..Outcome::of(d, State::Failed, Next::Dead, line) }
            }
        },
        Class::Content | Class::Duplicate | Class::Policy => {
            Outcome { tries: d.tries + 1, ..Outcome::of(d, State::Failed, Next::Dead, line) }
        }
    };
    Outcome { forget: e.restart, ..o }.because(problem)
}

/// The wait before the next try; `None` when the tries are used up.
pub(super) fn backoff(app: &App, work: &Work) -> Option<Duration> {
    let config = &app.config.publishing;
    let waits = if work.placement.id == "story" { &config.story_retries } else { &config.retries };
    waits.get(work.delivery.tries as usize).copied()
}

/// Are its files so large that they must not take a slot of those that only send?
fn uploads_aside(app: &App, work: &Work) -> bool {
    let bytes: i64 = work.media.iter().map(|m| m.bytes).sum();
    bytes > app.config.queue.upload_aside as i64
        && !work.delivery.checkpoints.contains_key(UPLOADED)
}

fn not_ready(app: &App, work: &Work, unfit: Unfit, started_at: i64) -> Outcome {
    let line = |word| Line::New { step: "prepare", started_at, word };
    match unfit {
        Unfit::NotYet => {
            let film = work.media.iter().any(|m| m.is_video());
            let at = app.clock.now() + if film { VIDEO_WAIT } else { MEDIA_WAIT };
            Outcome::of(&work.delivery, State::Queued, Next::At(at), line("processing"))
        }
        Unfit::Away(why) => {
            let e = Error::new(Class::Transient, why).code("media_store");
            refused(app, work, &e, line("refused"))
        }
        Unfit::Never(problem) => {
            Outcome::of(&work.delivery, State::Failed, Next::Dead, line("refused")).because(problem)
        }
    }
}

/// The delivery as its network is to show it.
pub(super) async fn rendition(app: &App, work: &Work) -> Result<Rendition, Unfit> {
    let d = &work.delivery;
    let mut media = Vec::with_capacity(work.media.len());
    for m in &work.media {
        media.push(derive::rendition(app, m, work.placement).await?);
    }
    let mut extra = d.options.clone();
    for m in &work.media {
        // A chosen moment stands for the video where the network takes a picture for that.
        if let Some((key, cover)) = video::cover(app, m, work.placement, &extra).await? {
            extra.insert(key.to_owned(), cover.id.clone());
            media.push(cover);
        }
    }
    Ok(Rendition {
        placement: d.placement.clone(),
        text: d.text.clone().unwrap_or_else(|| work.post.text.clone()),
        title: d.title.clone().or(work.post.title.clone()).filter(|_| d.parent_id.is_none()),
        media,
        key: if bugs::on("new key each try") { ids::secret() } else { d.send_key.clone() },
        created_at: d.scheduled_at.unwrap_or(d.created_at),
        reply_to: reply_to(&work.before),
        extra,
    })
}

/// What a segment follows, once all of it is live.
pub(super) fn reply_to(before: &[Delivery]) -> Option<ReplyTo> {
    let remote =
        |d: &Delivery| Some(Remote { id: d.remote_id.clone()?, url: d.remote_url.clone() });
    Some(ReplyTo { root: remote(before.first()?)?, parent: remote(before.last()?)? })
}

async fn again_now(app: &App, claim: &Claim) -> Result<(), Lost> {
    let (claim, now) = (claim.clone(), app.clock.now());
    let held = app
        .db
        .write(move |tx| async move { queue::put_back(&tx, &claim, now, false, None).await })
        .await?;
    app.ring();
    if held { Ok(()) } else { Err(Lost::Stale) }
}
