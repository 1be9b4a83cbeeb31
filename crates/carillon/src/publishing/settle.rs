//! Doubt, settled by looking: what the send class allows after an answer was lost.
//!
//! keyed: look, then send again with the same key inside its horizon. handle: read the handle.
//! readable: look several times over the network's lag; absence has to be proven before another
//! send. blind: a person looks. There is no way from here to a send without a definite answer.

use std::time::Duration;

use carillon_networks::{Class, Context, Error, Polled, Remote, SendClass, Window};

use super::keeper::Durable;
use super::load::Work;
use super::outcome::{self, Line, Lost, Next, Outcome};
use super::tokens::{self, After, Unusable};
use super::{account, deliver};
use crate::config::Publishing;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::Claim;
use crate::domain::problem::Problem;
use crate::store::{attempts, deliveries};
use crate::{App, bugs};

/// Clocks of ours and the network's may differ by this much, in ms.
const SLACK: i64 = 60_000;
/// Looks that must find nothing before absence is believed, where the listing lags.
const PROOF: i64 = 3;
/// How often the network may say "still processing" before a person is asked: at ≥ 10 s each this
/// is more than half an hour.
const POLLS: i64 = 200;

/// The outcome of a send without an answer: looking begins, or a person is asked.
pub(super) fn unknown(app: &App, work: &Work, e: &Error, line: Line) -> Outcome {
    let (d, now) = (&work.delivery, app.clock.now());
    if bugs::on("unknown sent again")
        || (bugs::on("blind sent again") && work.placement.send == SendClass::Blind)
    {
        let next = Next::At(now);
        return Outcome { intent_at: None, ..Outcome::of(d, State::Queued, next, line) };
    }
    if work.placement.send == SendClass::Blind {
        return blind(app, work, &e.sentence, Some(now), line);
    }
    let first =
        app.config.publishing.verify_after.first().copied().unwrap_or(Duration::from_secs(10));
    let next = Next::At(now + first.as_millis() as i64);
    Outcome { intent_at: Some(now), looks: 0, ..Outcome::of(d, State::Unknown, next, line) }
        .because(account::problem(e))
}

/// Nothing can be looked up: a person is asked, unless the owner rather has it twice than never
/// and tries are left.
fn blind(app: &App, work: &Work, why: &str, intent_at: Option<i64>, line: Line) -> Outcome {
    let (d, now) = (&work.delivery, app.clock.now());
    let Some(wait) = work.connection.twice_at.and_then(|_| deliver::backoff(app, work)) else {
        let o = Outcome::of(d, State::Held, Next::Done, line);
        return Outcome { intent_at, looks: 0, ..o }.because(doubt(work, why));
    };
    let next = Next::At(now + wait.as_millis() as i64);
    let fix = "It is sent once more, as this connection asks for.";
    let o = Outcome::of(d, State::Queued, next, line);
    Outcome { intent_at: None, perhaps: true, tries: d.tries + 1, ..o }
        .because(Problem::new("unknown", why, "wait", fix))
}

/// Nothing came of this try. Where nothing can be read that says nothing of an earlier one, which
/// was sent again because its owner would rather have it twice: it may still be live.
pub(super) fn no(work: &Work, o: Outcome) -> Outcome {
    let Some(first) = work.delivery.first_intent_at else { return o };
    if work.placement.send != SendClass::Blind {
        return o;
    }
    if o.to != State::Failed {
        return Outcome { perhaps: true, ..o };
    }
    let why = o.problem.as_ref().map_or("It was refused.", |p| &p.sentence);
    let why = format!("{why} An earlier try may be live.");
    Outcome { to: State::Held, next: Next::Done, intent_at: Some(first), ..o }
        .because(doubt(work, &why))
}

/// A delivery was found in `sending`: its worker died between intent and outcome.
pub(super) async fn found_sending(app: &App, claim: &Claim, work: &Work) -> Result<(), Lost> {
    let d = &work.delivery;
    let id = d.id.clone();
    let now = app.clock.now();
    app.db
        .write(move |tx| async move { attempts::close_open(&tx, &id, "unknown", now).await })
        .await?;
    let line = Line::New { step: "sweep", started_at: now, word: "unknown" };
    let o = match unknown(app, work, &died(), line) {
        o if o.to == State::Unknown || o.to == State::Held => {
            Outcome { intent_at: d.intent_at, ..o }
        }
        o => o,
    };
    // Looks count from the send, which may be a while ago.
    let o = match (&o.next, d.intent_at) {
        (Next::At(_), Some(sent)) if o.to == State::Unknown => Outcome {
            next: Next::At(look_at(&app.config.publishing, sent, 0).unwrap_or(now).max(now)),
            ..o
        },
        _ => o,
    };
    outcome::write(app, claim, d, State::Sending, o).await
}

/// What is said of a send whose process died.
pub(super) fn died() -> Error {
    Error::new(Class::Unknown, "The worker ended before the network's answer was kept.")
        .code("worker_ended")
}

/// Asks the network how far it is with a handle.
pub(super) async fn poll(app: &App, claim: &Claim, work: &Work) -> Result<(), Lost> {
    let (d, now) = (&work.delivery, app.clock.now());
    let line = |word| Line::New { step: "poll", started_at: now, word };
    let o = match ask(app, claim, work).await? {
        Ok(answer) => handled(app, work, answer, &line),
        Err(e) if needs_owner(&e) => closed(app, work, &e, now, &line).await?,
        Err(e) => {
            let next = Next::At(now + 30_000);
            Outcome {
                looks: d.looks + 1,
                ..Outcome::of(d, State::Waiting, next, line("unavailable"))
            }
            .because(account::problem(&e))
        }
    };
    let o = if o.to == State::Waiting && o.looks > POLLS {
        let sentence = format!("{} has been processing it for too long.", work.network.spec().name);
        Outcome::of(d, State::Held, Next::Done, line("gave_up")).because(doubt(work, &sentence))
    } else {
        o
    };
    outcome::write(app, claim, d, State::Waiting, o).await
}

/// Looks whether a delivery of unknown outcome is there.
pub(super) async fn look(app: &App, claim: &Claim, work: &Work) -> Result<(), Lost> {
    let (d, now) = (&work.delivery, app.clock.now());
    let line = |word| Line::New { step: "look_up", started_at: now, word };
    if work.placement.send == SendClass::Blind {
        let why = d.problem.as_ref().map_or("No answer came back.", |p| &p.sentence);
        let o = blind(app, work, why, d.intent_at, line("gave_up"));
        return outcome::write(app, claim, d, State::Unknown, o).await;
    }
    let o = if work.placement.send == SendClass::Handle {
        match ask(app, claim, work).await? {
            Ok(answer) => handled(app, work, answer, &line),
            Err(e) if needs_owner(&e) => closed(app, work, &e, now, &line).await?,
            Err(e) => next_look(app, work, Some(&e), line("unavailable")),
        }
    } else {
        match candidates(app, claim, work).await? {
            Err(e) if needs_owner(&e) => closed(app, work, &e, now, &line).await?,
            Err(e) => next_look(app, work, Some(&e), line("unavailable")),
            Ok(found) => match found.as_slice() {
                [one] => is_live(work, one, line("found")),
                [] => absent(app, work, line("absent")),
                several => {
                    let sentence = format!(
                        "{} posts at {} could be this one.",
                        several.len(),
                        work.network.spec().name
                    );
                    Outcome::of(d, State::Held, Next::Done, line("several"))
                        .because(doubt(work, &sentence))
                }
            },
        }
    };
    outcome::write(app, claim, d, State::Unknown, o).await
}

fn needs_owner(e: &Error) -> bool {
    matches!(e.class, Class::Auth | Class::Config)
}

/// It cannot be told before the owner acts; the lane is paused until then. A token that ended
/// meanwhile is renewed, and the network asked again.
async fn closed(
    app: &App,
    work: &Work,
    e: &Error,
    now: i64,
    line: &(dyn Fn(&'static str) -> Line + Sync),
) -> Result<Outcome, Lost> {
    let d = &work.delivery;
    let to = |at, word| Outcome::of(d, d.state, Next::At(at), line(word));
    Ok(match Box::pin(tokens::after(app, &work.connection, e)).await? {
        After::Again => to(now, "renewed").because(account::problem(e)),
        After::Wait(at) => to(at, "waits").because(account::problem(e)),
        After::Refused(why) => {
            let why = why.unwrap_or_else(|| account::problem(e));
            Outcome { breaks: true, ..to(now, "refused") }.because(why)
        }
    })
}

fn handled(app: &App, work: &Work, answer: Polled, line: &dyn Fn(&'static str) -> Line) -> Outcome {
    let (d, now) = (&work.delivery, app.clock.now());
    match answer {
        Polled::Published(remote) => is_live(work, &remote, line("found")),
        Polled::Processing { again_in } => {
            let next = Next::At(now + again_in.as_millis().max(1_000) as i64);
            Outcome {
                looks: d.looks + 1,
                ..Outcome::of(d, State::Waiting, next, line("processing"))
            }
        }
        // One look more than the first: a call that was slow to arrive must have ended, for what
        // is queued again may be cancelled, or made anew.
        Polled::NotPublished if d.state == State::Unknown && d.looks < 1 => {
            next_look(app, work, None, line("absent"))
        }
        // Certain: the same handle may be published once more.
        Polled::NotPublished => again(app, work, line("absent"), false),
        Polled::Gone(e) if e.restart => again(app, work, line("gone"), true),
        Polled::Gone(e) => {
            let o = Outcome {
                intent_at: None,
                ..Outcome::of(d, State::Failed, Next::Dead, line("gone"))
            };
            o.because(account::problem(&e))
        }
    }
}

fn is_live(work: &Work, remote: &Remote, line: Line) -> Outcome {
    let remote = Some((remote.id.clone(), remote.url.clone()));
    Outcome { remote, ..Outcome::of(&work.delivery, State::Published, Next::Done, line) }
}

/// Nothing was found. Is that proof?
fn absent(app: &App, work: &Work, line: Line) -> Outcome {
    let d = &work.delivery;
    let o = absence(app, work, line.clone());
    // The network refused it as one that it has: a listing that does not show it proves nothing.
    if o.to == State::Queued
        && !bugs::on("duplicate outweighed")
        && d.problem.as_ref().is_some_and(|p| p.class == "duplicate")
    {
        let name = work.network.spec().name;
        let why = format!("{name} says that it has this post already, and does not show it.");
        return Outcome::of(d, State::Held, Next::Done, line).because(doubt(work, &why));
    }
    o
}

fn absence(app: &App, work: &Work, line: Line) -> Outcome {
    let (d, now) = (&work.delivery, app.clock.now());
    let sent = d.intent_at.unwrap_or(now);
    match work.placement.send {
        SendClass::Keyed { horizon } => {
            let first = d.first_intent_at.unwrap_or(sent);
            let inside = horizon.is_none_or(|h| now - first < h.as_millis() as i64);
            // One look more than the first: a call that was slow to arrive must have ended.
            if d.looks < 1 {
                next_look(app, work, None, line)
            } else if inside || d.looks + 1 >= PROOF {
                again(app, work, line, false)
            } else {
                next_look(app, work, None, line)
            }
        }
        SendClass::Readable { lag } => {
            let proof = if lag.is_zero() { 2 } else { PROOF };
            if bugs::on("absent at first look") {
                return again(app, work, line, false);
            }
            if d.looks + 1 >= proof && now - sent >= lag.as_millis() as i64 {
                again(app, work, line, false)
            } else {
                next_look(app, work, None, line)
            }
        }
        SendClass::Handle | SendClass::Blind => next_look(app, work, None, line),
    }
}

/// Certain that it is not there: another send, if tries are left.
fn again(app: &App, work: &Work, line: Line, forget: bool) -> Outcome {
    let (d, now) = (&work.delivery, app.clock.now());
    let tries = d.tries + 1;
    if deliver::backoff(app, work).is_none() {
        let problem = Problem::new(
            "transient",
            "Several tries ended without an answer, and the post is not there.",
            "retry",
            "Retry it: nothing is live.",
        );
        let o =
            Outcome { intent_at: None, tries, ..Outcome::of(d, State::Failed, Next::Dead, line) };
        return o.because(problem);
    }
    Outcome {
        intent_at: None,
        tries,
        looks: 0,
        forget,
        ..Outcome::of(d, State::Queued, Next::At(now), line)
    }
}

/// Another look later, or a person when all looks are used up.
fn next_look(app: &App, work: &Work, e: Option<&Error>, line: Line) -> Outcome {
    let (d, now) = (&work.delivery, app.clock.now());
    let looks = d.looks + 1;
    let sent = d.intent_at.unwrap_or(now);
    let o = match look_at(&app.config.publishing, sent, looks) {
        Some(at) => {
            Outcome { looks, ..Outcome::of(d, State::Unknown, Next::At(at.max(now + 50)), line) }
        }
        None => {
            let why =
                e.map_or("The network does not tell whether the post is there.", |e| &e.sentence);
            return Outcome { looks, ..Outcome::of(d, State::Held, Next::Done, line) }
                .because(doubt(work, why));
        }
    };
    match e.map(account::problem).or_else(|| d.problem.clone()) {
        Some(problem) => o.because(problem),
        None => o,
    }
}

/// When the n-th look (from 0) after a send is due.
pub(super) fn look_at(config: &Publishing, sent: i64, looks: i64) -> Option<i64> {
    let after = config.verify_after.get(looks as usize)?;
    if bugs::on("looks too early") {
        return Some(sent);
    }
    Some(sent + after.as_millis() as i64)
}

/// The question that a person answers.
fn doubt(work: &Work, why: &str) -> Problem {
    let name = work.network.spec().name;
    let next = format!("Look at {name} whether the post is live, then answer here.");
    Problem::new("unknown", why, "look", &next)
}

async fn ask(app: &App, claim: &Claim, work: &Work) -> Result<Result<Polled, Error>, Lost> {
    let asked = call(app, claim, work).await;
    let Ok((account, base, out, keeper)) = asked else {
        return Ok(Err(asked.err().unwrap_or_else(died)));
    };
    let cx = Context::new(
        &app.http,
        &account,
        &base,
        app.clock.now(),
        app.config.networks.timeout,
        work.delivery.checkpoints.clone(),
        &keeper,
    );
    let answer = work.noted(&base, work.network.poll(&cx, &out).await);
    keeper.still_ours()?;
    Ok(answer)
}

async fn candidates(
    app: &App,
    claim: &Claim,
    work: &Work,
) -> Result<Result<Vec<Remote>, Error>, Lost> {
    let d = &work.delivery;
    let asked = call(app, claim, work).await;
    let Ok((account, base, out, keeper)) = asked else {
        return Ok(Err(asked.err().unwrap_or_else(died)));
    };
    let now = app.clock.now();
    let slack = if bugs::on("window without slack") { 0 } else { SLACK };
    let since = d.first_intent_at.or(d.intent_at).unwrap_or(now) - slack;
    let cx = Context::new(
        &app.http,
        &account,
        &base,
        now,
        app.config.networks.timeout,
        d.checkpoints.clone(),
        &keeper,
    );
    let window = Window { since, until: now + SLACK };
    let mark = app.http.mark();
    let mut found = work.noted(&base, work.network.look_up(&cx, &out, window).await);
    // The network's clock says when posts appeared, and ours when we sent: where the two are not
    // together, what is not in our minutes may be in theirs.
    let ahead = app.http.time_at(&base, mark).map_or(0, |theirs| theirs - now);
    if matches!(&found, Ok(none) if none.is_empty()) && ahead.abs() > SLACK / 4 {
        let window = Window { since: since + ahead.min(0), until: now + ahead.max(0) + SLACK };
        tracing::warn!(ahead_ms = ahead, network = d.network, "our clock is not the network's");
        found = work.noted(&base, work.network.look_up(&cx, &out, window).await);
    }
    keeper.still_ours()?;
    let found = match found {
        Ok(found) => found,
        Err(e) => return Ok(Err(e)),
    };
    // One that belongs to another delivery of ours is not this one.
    let (connection, id) = (d.connection_id.clone(), d.id.clone());
    let free = app
        .db
        .read(move |tx| async move {
            let mut free = Vec::new();
            for remote in found {
                if !deliveries::bound(&tx, &connection, &remote.id, &id).await? {
                    free.push(remote);
                }
            }
            Ok::<_, Lost>(free)
        })
        .await?;
    Ok(Ok(free))
}

type Call<'a> = (carillon_networks::Account, String, carillon_networks::Rendition, Durable<'a>);

/// What a look is made with.
async fn call<'a>(app: &'a App, claim: &'a Claim, work: &'a Work) -> Result<Call<'a>, Error> {
    let newer = Box::pin(tokens::fresh(app, &work.connection)).await.map_err(|e| {
        let (class, says) = match e {
            Unusable::Wait(_, problem) => (Class::Transient, problem.sentence),
            Unusable::Broken(problem) => (Class::Auth, problem.sentence),
            Unusable::Db(e) => (Class::Transient, format!("{e}.")),
        };
        Error::new(class, says)
    })?;
    let connection = newer.as_ref().unwrap_or(&work.connection);
    let account = account::open(app, connection)
        .map_err(|r| Error::new(Class::Config, r.sentence).code("secrets_sealed"))?;
    let base = account::base(app, work.network, &work.connection.settings);
    let out = deliver::rendition(app, work).await.map_err(|_| {
        Error::new(Class::Transient, "The post's media cannot be read at the moment.")
    })?;
    Ok((account, base, out, Durable::new(app, claim, work)))
}
