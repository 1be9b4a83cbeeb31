//! One delivery, one step: send it, ask how far the network is, or look whether it is there.
//!
//! The order of a send is the protocol: prepare (harmless, checkpointed) → **intent** on disk →
//! clocks → one visible call → **outcome** on disk. Between intent and outcome nobody but the
//! network knows; whoever finds a delivery there looks (settle.rs), and never sends.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use carillon_networks::spec::Placement;
use carillon_networks::{
    Applied, Class, Context, Error, Keeper, Network, Prepared, Published, Remote, Rendition,
    ReplyTo, Secret, SendClass,
};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::circuits::{self, Sign};
use super::outcome::{self, Line, Lost, Next, Outcome};
use super::segments::{self, Stop};
use super::{account, budget, settle};
use crate::db::{self, Tx};
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::{Claim, Pool};
use crate::domain::policy::Policies;
use crate::domain::problem::Problem;
use crate::media::{Unfit, derive};
use crate::store::attempts::{self, Begun};
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery};
use crate::store::media::Media;
use crate::store::posts::{self, Post};
use crate::store::{self, accounts, queue};
use crate::{App, bugs, ids};

/// Under this name it is kept beside the network's handles that its large files are there.
const UPLOADED: &str = "carillon.uploaded";
/// How long a delivery waits for a picture that is still being prepared, in ms.
const MEDIA_WAIT: i64 = 5_000;
/// How long a segment waits whose parent turns out not to be live, in ms.
const PARENT_WAIT: i64 = 60_000;
/// Later than this, posts of one connection keep a gap between them, in ms.
const LATE: i64 = 120_000;

/// Everything one step needs, read in one snapshot.
pub(super) struct Work {
    pub delivery: Delivery,
    /// Of a segment: what it follows, from the head on.
    pub before: Vec<Delivery>,
    pub post: Post,
    pub media: Vec<Media>,
    pub connection: Connection,
    pub network: &'static dyn Network,
    pub placement: &'static Placement,
    pub policies: Policies,
    /// What this step's calls say about the network.
    pub sign: Mutex<Option<Sign>>,
}

impl Work {
    /// Takes note of a call's answer on its way through, in people's words.
    pub(super) fn noted<T>(&self, base: &str, answer: Result<T, Error>) -> Result<T, Error> {
        let answer = answer.map_err(|e| account::in_words(e, self.network, base));
        *self.sign.lock().unwrap_or_else(|e| e.into_inner()) = Some(circuits::sign(&answer));
        answer
    }
}

/// Moves the claimed delivery one step on. The job is ended or put back here, in the transaction
/// of what it led to.
pub async fn deliver(app: &App, claim: &Claim) -> anyhow::Result<()> {
    let Some(work) = load(app, &claim.subject).await? else {
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
        Err(Lost::Spent(_)) => Err(anyhow::anyhow!("a budget was asked outside an intent")),
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

async fn load(app: &App, delivery: &str) -> Result<Option<Work>, db::Error> {
    let (id, networks) = (delivery.to_owned(), app.networks);
    app.db
        .read(move |tx| async move {
            let Some(delivery) = deliveries::load(&tx, &id).await? else { return Ok(None) };
            let Some(post) = posts::load(&tx, &delivery.post_id).await? else { return Ok(None) };
            let Some(connection) = connections::load(&tx, &delivery.connection_id).await? else {
                return Ok(None);
            };
            let before = before(&tx, &delivery).await?;
            let media = match &delivery.parent_id {
                None => store::media::of_post(&tx, &post.id).await?,
                Some(_) => Vec::new(),
            };
            let unknown = |what: &str| db::Error::Corrupt(format!("delivery {id}: no such {what}"));
            let network =
                crate::app::find(networks, &delivery.network).ok_or_else(|| unknown("network"))?;
            let placement = network
                .spec()
                .placement(&delivery.placement)
                .ok_or_else(|| unknown("placement"))?;
            let policies = accounts::policies(&tx, &delivery.workspace_id).await?;
            let sign = Mutex::default();
            let work = Work {
                delivery,
                before,
                post,
                media,
                connection,
                network,
                placement,
                policies,
                sign,
            };
            Ok(Some(work))
        })
        .await
}

async fn before(tx: &Tx, d: &Delivery) -> Result<Vec<Delivery>, db::Error> {
    let mut before = Vec::new();
    let mut next = d.parent_id.clone();
    while let Some(id) = next {
        let Some(parent) = deliveries::load(tx, &id).await? else { break };
        next = parent.parent_id.clone();
        before.push(parent);
    }
    before.reverse();
    Ok(before)
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
    if let Some(o) = too_late(app, work) {
        return outcome::write(app, claim, d, from, o).await;
    }
    if let Some(o) = waits(app, work) {
        let o = in_turn(app, work, o).await?;
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
    let account = match account::open(app, &work.connection) {
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
            let o = refused(app, work, &e, prepare_line("refused"));
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
    let (line, lease_until) = match intent(app, claim, work, &out).await {
        Ok(Some(intended)) => intended,
        // A cancel came first; the next step sees it.
        Ok(None) => return again_now(app, claim).await,
        Err(Lost::Spent(at)) => {
            let o = in_turn(app, work, spent(app, work, at, started_at)).await?;
            return outcome::write(app, claim, d, from, o).await;
        }
        Err(e) => return Err(e),
    };
    // Whichever clock saw more time go by decides: the wall clock may have been set back, and the
    // steady one may stand still while the machine sleeps.
    let gone = (app.clock.now() - wall).max(app.clock.mono() - steady);
    let time_left = lease_until - wall - gone;
    if time_left < timeout.as_millis() as i64 && !bugs::on("clocks not looked at") {
        // Our own clocks forbid it: nothing was sent.
        let o = Outcome {
            intent_at: None,
            ..Outcome::of(
                d,
                State::Queued,
                Next::At(app.clock.now()),
                Line::End { id: line, word: "refused" },
            )
        };
        return outcome::write(app, claim, d, State::Sending, o).await;
    }
    let answer = match early {
        Some(answer) => answer,
        None => work.noted(&base, work.network.publish(&cx, &out).await),
    };
    let o = published(app, work, answer, line);
    outcome::write(app, claim, d, State::Sending, o).await
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
        Err(e) => Outcome { intent_at: None, ..refused(app, work, &e, end("refused")) },
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

/// Held, or missed, when its moment has passed and nothing of it is visible: whoever was to blame,
/// a post that comes hours late is a person's decision.
fn too_late(app: &App, work: &Work) -> Option<Outcome> {
    let (d, now) = (&work.delivery, app.clock.now());
    let story = work.placement.id == "story";
    // What the network takes to process a container, or a large upload to arrive, is no delay of
    // ours; being away when it was to go on is.
    let begun = d.state == State::Waiting || d.checkpoints.contains_key(UPLOADED);
    let due = match d.next_attempt_at {
        Some(at) if begun => at.max(d.scheduled_at?),
        _ => d.scheduled_at?,
    };
    let late = now - due;
    if late <= late_limit(app, work).as_millis() as i64 {
        return None;
    }
    let line = Line::New { step: "prepare", started_at: now, word: "late" };
    let minutes = late / 60_000;
    let (to, next, action) = if story {
        (State::Missed, "Schedule it anew if it still matters.", "edit_post")
    } else {
        (State::Held, "Send it now with Retry, move it, or cancel it.", "decide")
    };
    let sentence = format!("It was {minutes} minutes late when its turn came, so it was not sent.");
    Some(Outcome::of(d, to, Next::Done, line).because(Problem::new("late", sentence, action, next)))
}

/// Not now: the network said that nothing is left, or a late one of this connection went out just
/// now and they must not burst.
fn waits(app: &App, work: &Work) -> Option<Outcome> {
    let (d, c, now) = (&work.delivery, &work.connection, app.clock.now());
    if let Some(at) = c.quota_until.filter(|at| *at > now && work.placement.in_budget) {
        return Some(spent(app, work, at, now));
    }
    let late = d.scheduled_at.is_some_and(|at| now - at > LATE);
    let gap = work.policies.late_gap(app.config.publishing.late_gap).as_millis() as i64;
    let next = c.published_at.filter(|_| late).map(|at| at + gap).filter(|at| *at > now)?;
    let why = "Several posts of this account are late; they keep a gap between them.";
    let problem = Problem::new("late", why, "wait", "It goes out by itself.");
    let line = Line::New { step: "prepare", started_at: now, word: "waits" };
    Some(Outcome::of(d, d.state, Next::At(next), line).because(problem))
}

/// Its budget is spent until `at`: it waits, or is held now when that would be too late for it.
fn spent(app: &App, work: &Work, at: i64, started_at: i64) -> Outcome {
    let d = &work.delivery;
    let limit = late_limit(app, work).as_millis() as i64;
    let late = d.scheduled_at.is_some_and(|due| at - due > limit);
    let line = Line::New { step: "prepare", started_at, word: "waits" };
    let problem = budget::spent(work.network.spec(), at, late);
    let (to, next) = if late { (State::Held, Next::Done) } else { (d.state, Next::At(at)) };
    Outcome::of(d, to, next, line).because(problem)
}

/// Those of a connection that wait for the same moment go in the order of their own times: each a
/// millisecond behind what was due before it, for a lane is worked on by time.
async fn in_turn(app: &App, work: &Work, o: Outcome) -> Result<Outcome, Lost> {
    let (Next::At(at), Some(due)) = (&o.next, work.delivery.scheduled_at) else { return Ok(o) };
    let (connection, id) = (work.delivery.connection_id.clone(), work.delivery.id.clone());
    // What was due before that is held when its turn comes.
    let since = app.clock.now() - late_limit(app, work).as_millis() as i64;
    let before = app.db.read(move |tx| async move {
        deliveries::queued_before(&tx, &connection, since, due, &id).await
    });
    let next = Next::At(at + before.await?);
    Ok(Outcome { next, ..o })
}

fn late_limit(app: &App, work: &Work) -> Duration {
    let config = &app.config.publishing;
    match work.placement.id {
        "story" => work.policies.story_late_after(config.story_late_after),
        _ => work.policies.late_after(config.late_after),
    }
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
            let at = app.clock.now() + MEDIA_WAIT;
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
    Ok(Rendition {
        placement: d.placement.clone(),
        text: d.text.clone().unwrap_or_else(|| work.post.text.clone()),
        title: work.post.title.clone().filter(|_| d.parent_id.is_none()),
        media,
        key: if bugs::on("new key each try") { ids::secret() } else { d.send_key.clone() },
        created_at: d.scheduled_at.unwrap_or(d.created_at),
        reply_to: reply_to(&work.before),
    })
}

/// What a segment follows, once all of it is live.
fn reply_to(before: &[Delivery]) -> Option<ReplyTo> {
    let remote =
        |d: &Delivery| Some(Remote { id: d.remote_id.clone()?, url: d.remote_url.clone() });
    Some(ReplyTo { root: remote(before.first()?)?, parent: remote(before.last()?)? })
}

/// Commits the intent: the fenced promise that the visible call comes next. `None` when a cancel
/// was wished. Returns the journal line and the new end of the lease.
async fn intent(
    app: &App,
    claim: &Claim,
    work: &Work,
    out: &Rendition,
) -> Result<Option<(String, i64)>, Lost> {
    let now = app.clock.now();
    let lease_until = now + app.config.queue.lease.as_millis() as i64;
    let line = ids::new(now);
    let (claim, d, id, hash) =
        (claim.clone(), work.delivery.clone(), line.clone(), request_hash(out));
    let (app_, spec) = (app.clone(), work.network.spec());
    let in_budget = work.placement.in_budget;
    let committed = app
        .db
        .write(move |tx| async move {
            if !queue::extend(&tx, &claim, lease_until).await? {
                return Err(Lost::Stale);
            }
            if !deliveries::intend(&tx, &d.id, d.state, now).await? {
                return Ok(false);
            }
            let config = &app_.config.publishing;
            if in_budget
                && let Some(at) = budget::spend(&tx, config, spec, &d.connection_id, now).await?
            {
                return Err(Lost::Spent(at));
            }
            let begun = Begun {
                id: &id,
                workspace_id: &d.workspace_id,
                delivery_id: &d.id,
                fence: claim.fence,
                step: "publish",
                request_hash: Some(&hash),
            };
            attempts::begin(&tx, &begun, now).await?;
            outcome::announce(&tx, &d, State::Sending, None, now).await?;
            Ok(true)
        })
        .await?;
    app.news.notify_waiters();
    Ok(committed.then_some((line, lease_until)))
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

/// What was sent, as a hash: two tries of one delivery can be compared.
fn request_hash(out: &Rendition) -> String {
    let mut hash = Sha256::new();
    for part in [&out.placement, &out.text, out.title.as_ref().unwrap_or(&String::new()), &out.key]
    {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    if let Some(to) = &out.reply_to {
        hash.update(to.parent.id.as_bytes());
    }
    for m in &out.media {
        hash.update(Sha256::digest(&m.data));
    }
    hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// Keeps handles and renewed sessions for the connector, fenced by the claim.
pub(super) struct Durable<'a> {
    app: &'a App,
    claim: &'a Claim,
    delivery: &'a str,
    connection: &'a Connection,
    lost: Mutex<Option<Lost>>,
}

impl<'a> Durable<'a> {
    pub(super) fn new(app: &'a App, claim: &'a Claim, work: &'a Work) -> Self {
        Self {
            app,
            claim,
            delivery: &work.delivery.id,
            connection: &work.connection,
            lost: Mutex::new(None),
        }
    }

    /// Was a checkpoint refused because the claim or the database was lost?
    pub(super) fn still_ours(&self) -> Result<(), Lost> {
        match self.lost.lock().unwrap_or_else(|e| e.into_inner()).take() {
            Some(lost) => Err(lost),
            None => Ok(()),
        }
    }

    fn lost(&self, lost: Lost) -> Error {
        let e = Error::new(Class::Transient, format!("A handle could not be kept: {lost}."))
            .code("not_kept");
        *self.lost.lock().unwrap_or_else(|e| e.into_inner()) = Some(lost);
        e
    }
}

#[async_trait]
impl Keeper for Durable<'_> {
    async fn checkpoint(&self, name: &str, value: &Json) -> Result<(), Error> {
        let (claim, id) = (self.claim.clone(), self.delivery.to_owned());
        let (name, value) = (name.to_owned(), value.clone());
        let lease_until = self.app.clock.now() + self.app.config.queue.lease.as_millis() as i64;
        self.app
            .db
            .write(move |tx| async move {
                if !queue::extend(&tx, &claim, lease_until).await? {
                    return Err(Lost::Stale);
                }
                let mut kept = deliveries::load(&tx, &id).await?.ok_or(Lost::Stale)?.checkpoints;
                if bugs::on("handle not kept") {
                    return Ok(());
                }
                if value.is_null() {
                    kept.remove(&name);
                } else {
                    kept.insert(name, value);
                }
                deliveries::set_checkpoints(&tx, &id, &kept).await?;
                Ok(())
            })
            .await
            .map_err(|e| self.lost(e))
    }

    async fn renew(&self, secrets: &BTreeMap<String, Secret>) -> Result<(), Error> {
        let account = account::open(self.app, self.connection)
            .map_err(|e| Error::new(Class::Config, e.sentence).code("secrets_sealed"))?;
        account.secrets.lock().unwrap_or_else(|e| e.into_inner()).extend(secrets.clone());
        let sealed = account::seal(self.app, &account, &self.connection.id);
        let id = self.connection.id.clone();
        self.app
            .db
            .write(move |tx| async move { connections::renew(&tx, &id, &sealed).await })
            .await
            .map_err(|e| self.lost(Lost::Db(e)))
    }
}
