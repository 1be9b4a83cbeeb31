//! Time, handed in. One clock a process; tests hold a manual one and move it.

use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Wall time in ms since 1970 UTC and a monotonic time beside it. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<Kind>);

enum Kind {
    System {
        started: Instant,
        offset: AtomicI64,
    },
    /// The steady time, and how far the wall clock is ahead of it.
    Manual {
        steady: AtomicI64,
        ahead: AtomicI64,
        faults: OnceLock<Faults>,
        moved: Notify,
    },
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
        let (steady, ahead) = (AtomicI64::new(now), AtomicI64::new(0));
        let (faults, moved) = (OnceLock::new(), Notify::new());
        Self(Arc::new(Kind::Manual { steady, ahead, faults, moved }))
    }

    /// ms since 1970 UTC, by the database's clock once [`Clock::follow`] knows it.
    pub fn now(&self) -> i64 {
        match &*self.0 {
            Kind::System { offset, .. } => {
                let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                since.as_millis() as i64 + offset.load(Ordering::Relaxed)
            }
            Kind::Manual { steady, ahead, faults, .. } => {
                let off = faults.get().map_or(0, |off| off().0);
                steady.load(Ordering::SeqCst) + ahead.load(Ordering::SeqCst) + off
            }
        }
    }

    /// ms since some moment, never going back.
    pub fn mono(&self) -> i64 {
        match &*self.0 {
            Kind::System { started, .. } => started.elapsed().as_millis() as i64,
            Kind::Manual { steady, faults, .. } => {
                steady.load(Ordering::SeqCst) + faults.get().map_or(0, |off| off().1)
            }
        }
    }

    /// Sets the difference to the clock that leases are counted by. A manual clock has none.
    pub fn follow(&self, ahead_ms: i64) {
        if let Kind::System { offset, .. } = &*self.0 {
            offset.fetch_add(ahead_ms, Ordering::Relaxed);
        }
    }

    /// Returns when [`Clock::now`] has reached `at`, unless the wall clock is set in between: as on
    /// the system, the time to wait is worked out once.
    pub async fn sleep_until(&self, at: i64) {
        match &*self.0 {
            Kind::System { .. } => {
                let wait = (at - self.now()).clamp(0, 86_400_000) as u64;
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            Kind::Manual { steady, moved, .. } => {
                let at = steady.load(Ordering::SeqCst) + (at - self.now());
                loop {
                    // Whoever began to wait first is woken first: a simulation can be repeated.
                    let mut next = pin!(moved.notified());
                    next.as_mut().enable();
                    if steady.load(Ordering::SeqCst) >= at {
                        return;
                    }
                    next.await;
                }
            }
        }
    }

    pub async fn sleep(&self, for_: Duration) {
        self.sleep_until(self.now() + for_.as_millis() as i64).await;
    }

    /// Moves a manual clock; nothing on the system's.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { steady, moved, .. } = &*self.0 {
            steady.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
            moved.notify_waiters();
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

    /// Sets a manual wall clock forward or back; the steady time does not notice. A machine that
    /// slept looks the same from inside: its wall clock jumped.
    pub fn jump(&self, by_ms: i64) {
        if let Kind::Manual { ahead, .. } = &*self.0 {
            ahead.fetch_add(by_ms, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_jump_moves_the_wall_clock_alone() {
        let clock = Clock::manual(1_000);
        let waits = clock.sleep_until(1_500);
        tokio::pin!(waits);
        assert!(futures_util::poll!(&mut waits).is_pending());
        clock.jump(-300);
        assert_eq!((clock.now(), clock.mono()), (700, 1_000));
        clock.advance(Duration::from_millis(500));
        assert!(
            futures_util::poll!(&mut waits).is_ready(),
            "it waits for as long as it set out to"
        );
        assert_eq!((clock.now(), clock.mono()), (1_200, 1_500));
    }
}
