//! Rung 3, the model: random calls of the queue's store functions, held against a plain model of
//! jobs and lanes, on SQLite and on PostgreSQL.
//!
//! What a call may answer follows from the model alone; where several answers are right (which of
//! two lanes goes first) any of them is taken, and the model follows it. After every call each
//! lane's time must be what its jobs say. A failure is shrunk to the fewest calls that show it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use carillon::db::{Db, Error, Location, Memory, Tx};
use carillon::domain::job::{Claim, Kind, NewJob, Pool};
use carillon::params;
use carillon::store::queue::{self, Removed, gates};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use crate::live::Live;
use crate::{Counts, Scale};

/// Monday 23 November 2026, 08:00 UTC.
const START: i64 = 1_795_420_800_000;
const LEASE: i64 = 60_000;
/// Lanes, and how many jobs of each may be in flight.
const LANES: [(&str, i64); 4] = [("a", 1), ("b", 1), ("c", 2), ("d", 3)];

/// One call.
#[derive(Debug, Clone)]
enum Call {
    /// Into this lane, due in so many seconds; with a key that others may have, or none.
    Add(usize, i64, Option<u8>),
    Claim(i64),
    /// Of the n-th claim that was ever made.
    Extend(usize),
    Finish(usize),
    PutBack(usize, i64),
    Pause(usize),
    Resume(usize),
    Hold(usize, i64),
    Free,
    /// Of the n-th job that was ever added.
    Remove(usize),
    MoveTo(usize, i64),
    Pass(i64),
}

fn call() -> impl Strategy<Value = Call> {
    let lane = 0..LANES.len();
    let soon = -20..40i64;
    prop_oneof![
        5 => (lane.clone(), soon.clone(), proptest::option::weighted(0.2, 0..3u8)).prop_map(|(l, s, k)| Call::Add(l, s, k)),
        5 => (1..5i64).prop_map(Call::Claim),
        1 => (0..64usize).prop_map(Call::Extend),
        3 => (0..64usize).prop_map(Call::Finish),
        3 => ((0..64usize), soon.clone()).prop_map(|(n, s)| Call::PutBack(n, s)),
        1 => lane.clone().prop_map(Call::Pause),
        1 => lane.clone().prop_map(Call::Resume),
        1 => (lane, soon.clone()).prop_map(|(l, s)| Call::Hold(l, s)),
        2 => Just(Call::Free),
        2 => (0..64usize).prop_map(Call::Remove),
        2 => ((0..64usize), soon).prop_map(|(n, s)| Call::MoveTo(n, s)),
        3 => (1..70i64).prop_map(Call::Pass),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Leased,
    Over,
}

#[derive(Debug, Clone)]
struct Job {
    id: String,
    lane: usize,
    subject: String,
    key: Option<u8>,
    run_at: i64,
    state: State,
    fence: i64,
    lease_until: i64,
}

#[derive(Debug, Clone, Default)]
struct Lane {
    there: bool,
    paused: bool,
    open_at: i64,
}

/// What the queue should hold.
#[derive(Debug, Clone)]
struct Model {
    now: i64,
    jobs: Vec<Job>,
    lanes: [Lane; LANES.len()],
    claims: Vec<Claim>,
    subjects: usize,
}

impl Model {
    fn new() -> Self {
        let lanes = Default::default();
        Self { now: START, jobs: Vec::new(), lanes, claims: Vec::new(), subjects: 0 }
    }

    fn leased(&self, lane: usize) -> i64 {
        self.jobs.iter().filter(|j| j.lane == lane && j.state == State::Leased).count() as i64
    }

    /// When a lane next wants a worker, if it does.
    fn due(&self, lane: usize) -> Option<i64> {
        if self.lanes[lane].paused || self.leased(lane) >= LANES[lane].1 {
            return None;
        }
        let ready = self.jobs.iter().filter(|j| j.lane == lane && j.state == State::Ready);
        ready.map(|j| j.run_at).min().map(|at| at.max(self.lanes[lane].open_at))
    }

    /// What a lane would give a worker now, in order.
    fn gives(&self, lane: usize) -> Vec<String> {
        if self.due(lane).is_none_or(|at| at > self.now) {
            return Vec::new();
        }
        let mut ready: Vec<&Job> = self
            .jobs
            .iter()
            .filter(|j| j.lane == lane && j.state == State::Ready && j.run_at <= self.now)
            .collect();
        ready.sort_by(|a, b| (a.run_at, &a.id).cmp(&(b.run_at, &b.id)));
        let free = LANES[lane].1 - self.leased(lane);
        ready.into_iter().take(free.max(0) as usize).map(|j| j.id.clone()).collect()
    }

    /// The job of a claim, if the claim still holds.
    fn holds(&mut self, claim: &Claim) -> Option<&mut Job> {
        let held =
            |j: &&mut Job| j.id == claim.id && j.fence == claim.fence && j.state == State::Leased;
        self.jobs.iter_mut().find(held)
    }
}

pub fn run(scale: Scale) -> Result<Counts> {
    let cases = if scale == Scale::Full { 5_000 } else { 150 };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut counts = Counts { rung: "model", ..Counts::default() };
    let memory = Location::Memory(Memory::new()?);
    counts.lost += u64::from(!agrees(&runtime, "SQLite", &memory, cases)?);
    let server = Live::start("postgres.sh");
    let url = server.info["url"].as_str().context("PostgreSQL has no address")?;
    let postgres = Location::Postgres(url.to_owned());
    counts.lost += u64::from(!agrees(&runtime, "PostgreSQL", &postgres, cases)?);
    counts.made = vec![("runs on SQLite", cases.into()), ("runs on PostgreSQL", cases.into())];
    Ok(counts)
}

/// Do database and model agree in so many runs? What does not is printed.
fn agrees(
    runtime: &tokio::runtime::Runtime,
    name: &str,
    location: &Location,
    cases: u32,
) -> Result<bool> {
    let (db, _) = runtime.block_on(Db::open(location, START))?;
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let all = proptest::collection::vec(call(), 1..60);
    let ended = runner.run(&all, |calls| {
        let ended = runtime.block_on(play(&db, &calls));
        ended.map_err(|e| TestCaseError::fail(format!("{e:#}")))
    });
    match ended {
        Ok(()) => Ok(true),
        Err(TestError::Fail(why, calls)) => {
            eprintln!("{name} and the model part: {why}\n  after {calls:?}");
            Ok(false)
        }
        Err(TestError::Abort(why)) => Err(anyhow!("{name}: {why}")),
    }
}

async fn play(db: &Db, calls: &[Call]) -> Result<()> {
    let clean = db.write(|tx| async move {
        tx.execute("DELETE FROM job", params![]).await?;
        tx.execute("DELETE FROM gate", params![]).await?;
        Ok::<_, Error>(())
    });
    clean.await?;
    let mut model = Model::new();
    for (n, call) in calls.iter().enumerate() {
        one(db, &mut model, call).await.with_context(|| format!("call {n}, {call:?}"))?;
        stands(db, &model).await.with_context(|| format!("after call {n}, {call:?}"))?;
    }
    Ok(())
}

async fn one(db: &Db, m: &mut Model, call: &Call) -> Result<()> {
    let now = m.now;
    match *call {
        Call::Pass(seconds) => m.now += seconds * 1000,
        Call::Add(lane, due, key) => add(db, m, lane, now + due * 1000, key).await?,
        Call::Claim(most) => claim(db, m, most).await?,
        Call::Extend(n) => {
            let Some(c) = pick(&m.claims, n) else { return Ok(()) };
            let until = now + LEASE;
            let (of, held) = (c.clone(), m.holds(&c).map(|j| j.lease_until = until).is_some());
            let told =
                db.write(move |tx| async move { queue::extend(&tx, &of, until).await }).await?;
            same("extended", told, held)?;
        }
        Call::Finish(n) => {
            let Some(c) = pick(&m.claims, n) else { return Ok(()) };
            let (of, held) = (c.clone(), m.holds(&c).map(|j| j.state = State::Over).is_some());
            let told = db
                .write(move |tx| async move { queue::finish(&tx, &of, "done", None, now).await })
                .await?;
            same("finished", told, held)?;
        }
        Call::PutBack(n, due) => {
            let Some(c) = pick(&m.claims, n) else { return Ok(()) };
            let (of, at) = (c.clone(), now + due * 1000);
            let held = m.holds(&c).map(|j| (j.state, j.run_at) = (State::Ready, at)).is_some();
            let told = db
                .write(move |tx| async move { queue::put_back(&tx, &of, at, true, None).await })
                .await?;
            same("put back", told, held)?;
        }
        Call::Pause(lane) => {
            // A lane without a gate cannot be paused.
            if m.lanes[lane].there {
                (m.lanes[lane].paused, m.lanes[lane].open_at) = (true, 0);
            }
            pause(db, lane, Some(now)).await?;
        }
        Call::Resume(lane) => {
            (m.lanes[lane].paused, m.lanes[lane].open_at) = (false, 0);
            pause(db, lane, None).await?;
        }
        Call::Hold(lane, due) => {
            let at = now + due * 1000;
            if m.lanes[lane].there {
                m.lanes[lane].open_at = at;
            }
            db.write(move |tx| async move { gates::hold(&tx, LANES[lane].0, at).await }).await?;
        }
        Call::Free => {
            let mut due = Vec::new();
            for job in m.jobs.iter_mut().filter(|j| j.state == State::Leased && j.lease_until < now)
            {
                (job.state, job.run_at) = (State::Ready, now);
                due.push(job.id.clone());
            }
            let freed =
                db.write(move |tx| async move { queue::free(&tx, now, false).await }).await?;
            let mut freed: Vec<String> = freed.into_iter().map(|c| c.id).collect();
            freed.sort();
            due.sort();
            same("freed", freed, due)?;
        }
        Call::Remove(n) => {
            let Some(job) = pick(&m.jobs, n) else { return Ok(()) };
            let subject = job.subject.clone();
            let told =
                db.write(move |tx| async move { queue::remove(&tx, &subject).await }).await?;
            let expected = match job.state {
                State::Ready => Removed::Yes,
                State::Leased => Removed::Leased,
                State::Over => Removed::None,
            };
            m.jobs.retain(|j| j.id != job.id || j.state != State::Ready);
            same("removed", told, expected)?;
        }
        Call::MoveTo(n, due) => {
            let Some(job) = pick(&m.jobs, n) else { return Ok(()) };
            let (subject, at) = (job.subject.clone(), now + due * 1000);
            let waits = |j: &&mut Job| j.id == job.id && j.state == State::Ready;
            let moved = m.jobs.iter_mut().find(waits).map(|j| j.run_at = at).is_some();
            let told =
                db.write(move |tx| async move { queue::move_to(&tx, &subject, at).await }).await?;
            same("moved", told, moved)?;
        }
    }
    Ok(())
}

async fn add(db: &Db, m: &mut Model, lane: usize, run_at: i64, key: Option<u8>) -> Result<()> {
    m.subjects += 1;
    let (subject, now) = (format!("subject {}", m.subjects), m.now);
    let job = NewJob {
        kind: Kind::Sweep,
        lane: LANES[lane].0.into(),
        width: LANES[lane].1,
        subject: subject.clone(),
        run_at,
        unique_key: key.map(|k| format!("key {k}")),
    };
    let id = db.write(move |tx| async move { queue::add(&tx, &job, now).await }).await?;
    m.lanes[lane].there = true;
    let taken = key.is_some() && m.jobs.iter().any(|j| j.key == key);
    same("added", id.is_some(), !taken)?;
    let Some(id) = id else { return Ok(()) };
    let (state, fence, lease_until) = (State::Ready, 0, 0);
    m.jobs.push(Job { id, lane, subject, key, run_at, state, fence, lease_until });
    Ok(())
}

/// As many as asked for, or all that there are; of each lane its first, and no more than its width.
async fn claim(db: &Db, m: &mut Model, most: i64) -> Result<()> {
    let (now, until) = (m.now, m.now + LEASE);
    let got: Vec<Claim> = db
        .write(move |tx| async move {
            queue::claim(&tx, Pool::Housekeeping, most, "a worker", now, until).await
        })
        .await?;
    let gives: Vec<Vec<String>> = (0..LANES.len()).map(|lane| m.gives(lane)).collect();
    let there: usize = gives.iter().map(Vec::len).sum();
    same("claimed", got.len(), there.min(most as usize))?;
    let mut of: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for c in &got {
        of.entry(&c.lane).or_default().push(&c.id);
    }
    for (lane, (name, _)) in LANES.iter().enumerate() {
        let mut got = of.remove(name).unwrap_or_default();
        let mut first: Vec<&String> = gives[lane].iter().take(got.len()).collect();
        got.sort();
        first.sort();
        same(name, got, first)?;
    }
    for c in got {
        let job = m.jobs.iter_mut().find(|j| j.id == c.id).context("an unknown job was claimed")?;
        (job.state, job.fence, job.lease_until) = (State::Leased, job.fence + 1, until);
        same("fence", c.fence, job.fence)?;
        m.claims.push(c);
    }
    Ok(())
}

async fn pause(db: &Db, lane: usize, at: Option<i64>) -> Result<()> {
    let paused = at.map(|at| (at, "for a while"));
    Ok(db.write(move |tx| async move { gates::pause(&tx, LANES[lane].0, paused).await }).await?)
}

/// Is every lane's time what its jobs say?
async fn stands(db: &Db, m: &Model) -> Result<()> {
    let (next, repaired) = db
        .write(|tx: Tx| async move {
            Ok::<_, Error>((
                queue::next_at(&tx, Pool::Housekeeping).await?,
                queue::repair(&tx).await?,
            ))
        })
        .await?;
    same("next", next, (0..LANES.len()).filter_map(|lane| m.due(lane)).min())?;
    same("repaired", repaired, 0)
}

fn pick<T: Clone>(all: &[T], n: usize) -> Option<T> {
    if all.is_empty() { None } else { Some(all[n % all.len()].clone()) }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, told: T, expected: T) -> Result<()> {
    if told == expected {
        return Ok(());
    }
    Err(anyhow!("{what}: the database says {told:?}, the model {expected:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_agree_with_the_model() {
        let counts = run(Scale::Bounded).expect("it runs");
        println!("{counts}");
        assert_eq!(counts.lost, 0, "{counts}");
    }

    /// The model can tell.
    #[test]
    fn a_lane_that_is_not_retimed_is_seen() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let memory = Location::Memory(Memory::new().expect("a database"));
        carillon::bugs::switch(Some("lane not retimed"));
        let agreed = agrees(&runtime, "SQLite with a bug", &memory, 500);
        carillon::bugs::switch(None);
        assert!(!agreed.expect("it runs"));
    }
}
