//! Time, handed in. One clock a process; tests hold a manual one and move it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Wall time in ms since 1970 UTC and a monotonic time beside it. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<Kind>);

enum Kind {
    System { started: Instant, offset: AtomicI64 },
    Manual { now: watch::Sender<i64>, faults: OnceLock<Faults> },
}

/// How far off the wall clock and the steady one are when they are read, in ms.
type Faults = Box<dyn Fn() -> (i64, i64) + Send + Sync>;

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn system() -> Self {
        Self(Arc::new(Kind::System { started: Instant::now(), offset: AtomicI64::new(0) }))
    }

    /// A clock that stands still until [`Clock::advance`].
    pub fn manual(now: i64) -> Self {
        Self(Arc::new(Kind::Manual { now: watch::Sender::new(now), faults: OnceLock::new() }))
    }

    /// ms since 1970 UTC, by the database's clock once [`Clock::follow`] knows it.
    pub fn now(&self) -> i64 {
        match &*self.0 {
            Kind::System { offset, .. } => {
                let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                since.as_millis() as i64 + offset.load(Ordering::Relaxed)
            }
            Kind::Manual { now, faults } => *now.borrow() + faults.get().map_or(0, |f| f().0),
        }
    }

    /// ms since some moment, never going back.
    pub fn mono(&self) -> i64 {
        match &*self.0 {
            Kind::System { started, .. } => started.elapsed().as_millis() as i64,
            Kind::Manual { now, faults } => *now.borrow() + faults.get().map_or(0, |f| f().1),
        }
    }

    /// Sets the difference to the clock that leases are counted by. A manual clock has none.
    pub fn follow(&self, ahead_ms: i64) {
        if let Kind::System { offset, .. } = &*self.0 {
            offset.fetch_add(ahead_ms, Ordering::Relaxed);
        }
    }

    /// Returns when [`Clock::now`] has reached `at`.
    pub async fn sleep_until(&self, at: i64) {
        match &*self.0 {
            Kind::System { .. } => {
                let wait = (at - self.now()).clamp(0, 86_400_000) as u64;
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            Kind::Manual { now, .. } => {
                let mut moved = now.subscribe();
                // The sender lives as long as self: an error cannot come.
                let _ = moved.wait_for(|_| self.now() >= at).await;
            }
        }
    }

    pub async fn sleep(&self, for_: Duration) {
        self.sleep_until(self.now() + for_.as_millis() as i64).await;
    }

    /// Moves a manual clock; nothing on the system's.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { now, .. } = &*self.0 {
            now.send_modify(|now| *now += by.as_millis() as i64);
        }
    }

    /// From now on `off` is asked at each reading of a manual clock how wrong its wall and its
    /// steady time are, in ms: it can set them at a moment of its choice. Said once a clock.
    pub fn distort(&self, off: impl Fn() -> (i64, i64) + Send + Sync + 'static) {
        if let Kind::Manual { faults, .. } = &*self.0 {
            let first = faults.set(Box::new(off));
            debug_assert!(first.is_ok(), "a clock is distorted once");
        }
    }
}
