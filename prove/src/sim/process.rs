//! One process of the product, and the moments at which it can die.
//!
//! Everything a process does to the world goes through a *gate*: before and after each unit of
//! work, before and after each call to a network. A process that died stands at its gate for ever;
//! what it did before stands, what it would have done never happens.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use carillon::clock::Clock;
use carillon::db::{Fate, Script};
use tokio::sync::Notify;

use super::rng::Rng;
use super::world;

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Unit,
    Committed,
    /// Before a request that shows something.
    Send,
    /// Before any other request.
    Call,
    Answer,
}

/// What a person does while the process stands at a gate.
pub type Act = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Faults drawn at the gates, for runs by seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Odds {
    /// In a thousand units.
    pub busy: u64,
    pub unheard: u64,
    /// In a thousand gates: the process stands still for a while.
    pub freeze: u64,
}

pub struct Process {
    pub number: u64,
    clock: Clock,
    gates: AtomicU64,
    units: AtomicU64,
    crash_at: u64,
    fault_at: Option<(u64, Fate)>,
    dead: AtomicBool,
    pub died: Notify,
    frozen_until: AtomicI64,
    sends: AtomicU64,
    act: Mutex<Option<(u64, Act)>>,
    odds: Mutex<Option<(Rng, Odds)>>,
}

impl Process {
    /// One that dies at its gate `crash_at` (from 1; 0 never).
    pub fn new(number: u64, clock: Clock, crash_at: u64) -> Self {
        Self {
            number,
            clock,
            gates: AtomicU64::new(0),
            units: AtomicU64::new(0),
            crash_at,
            fault_at: None,
            dead: AtomicBool::new(false),
            died: Notify::new(),
            frozen_until: AtomicI64::new(0),
            sends: AtomicU64::new(0),
            act: Mutex::new(None),
            odds: Mutex::new(None),
        }
    }

    /// Its unit `at` (from 1) meets this fate.
    pub fn with_fault(mut self, at: u64, fate: Fate) -> Self {
        self.fault_at = Some((at, fate));
        self
    }

    pub fn with_odds(self, rng: Rng, odds: Odds) -> Self {
        *lock(&self.odds) = Some((rng, odds));
        self
    }

    /// Something happens while it stands at its gate `at`.
    pub fn meanwhile(&self, at: u64, act: Act) {
        *lock(&self.act) = Some((at, act));
    }

    pub fn gates(&self) -> u64 {
        self.gates.load(Ordering::Relaxed)
    }

    pub fn units(&self) -> u64 {
        self.units.load(Ordering::Relaxed)
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.died.notify_one();
    }

    pub fn freeze_until(&self, mono: i64) {
        self.frozen_until.fetch_max(mono, Ordering::Relaxed);
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen_until.load(Ordering::Relaxed) > self.clock.mono()
    }

    /// From here on nothing is drawn any more, and nobody stands still.
    pub fn calm(&self) {
        *lock(&self.odds) = None;
        self.frozen_until.store(0, Ordering::Relaxed);
    }

    /// How many of its tasks stand before a request that shows something.
    pub fn sends(&self) -> u64 {
        self.sends.load(Ordering::Relaxed)
    }

    pub async fn gate(&self, gate: Gate) {
        let sends = u64::from(gate == Gate::Send);
        self.sends.fetch_add(sends, Ordering::Relaxed);
        // Between its look at the clocks and its request a task stands still for less than the
        // others take to prove that nothing came: the limit that ARCHITECTURE.md tells of.
        // Anywhere else it may be as long as it likes.
        let longest = if gate == Gate::Send { 30_000 } else { i64::MAX / 2 };
        let latest = self.clock.mono() + longest;
        let n = self.gates.fetch_add(1, Ordering::Relaxed) + 1;
        if n == self.crash_at {
            self.kill();
        }
        self.stand().await;
        let act = lock(&self.act).take_if(|(at, _)| *at == n && gate != Gate::Send);
        if let Some((_, act)) = act {
            act.await;
        }
        for _ in 0..self.turns() {
            tokio::task::yield_now().await;
        }
        loop {
            self.stand().await;
            let until = self.frozen_until.load(Ordering::Relaxed).min(latest);
            if until <= self.clock.mono() {
                break;
            }
            self.sleep_until(until).await;
        }
        self.sends.fetch_sub(sends, Ordering::Relaxed);
    }

    /// Lets time pass for this process alone.
    pub async fn sleep(&self, ms: i64) {
        self.sleep_until(self.clock.mono() + ms).await;
    }

    async fn sleep_until(&self, mono: i64) {
        world::with(|w| w.wakes.insert(mono));
        while self.clock.mono() < mono && !self.is_dead() {
            let wait = std::time::Duration::from_millis((mono - self.clock.mono()) as u64);
            self.clock.sleep(wait).await;
        }
    }

    /// The dead stand for ever.
    async fn stand(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// How many turns the others get at a gate; a freeze may begin here.
    fn turns(&self) -> u64 {
        let mut odds = lock(&self.odds);
        let Some((rng, odds)) = odds.as_mut() else { return 1 };
        if rng.chance(odds.freeze) {
            self.freeze_until(self.clock.mono() + rng.between(100, 400_000));
        }
        rng.below(4)
    }

    fn fate(&self, writes: bool) -> Fate {
        let n = self.units.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some((at, fate)) = self.fault_at
            && at == n
        {
            return fate;
        }
        let mut odds = lock(&self.odds);
        let Some((rng, odds)) = odds.as_mut() else { return Fate::Commit };
        if rng.chance(odds.busy) {
            Fate::Busy
        } else if writes && rng.chance(odds.unheard) {
            if rng.chance(500) { Fate::CommitUnheard } else { Fate::VanishUnheard }
        } else {
            Fate::Commit
        }
    }
}

#[async_trait]
impl Script for Process {
    async fn before(&self, writes: bool) -> Fate {
        self.gate(Gate::Unit).await;
        self.fate(writes)
    }

    async fn after(&self, _: bool) {
        self.gate(Gate::Committed).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Finds the process that a network is called by: its number is the port of the address.
pub fn caller(base: &str) -> Option<Arc<Process>> {
    let number = base.split(':').nth(2)?.split('/').next()?.parse().ok()?;
    world::with(|w| w.processes.get(&number).cloned())
}
