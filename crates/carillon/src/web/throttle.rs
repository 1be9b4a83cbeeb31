//! Who tried too often: failed sign-ins by key, in memory. A restart forgets them, which gives an
//! attacker one more minute's worth of guesses.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

/// The window that tries are counted in.
const WINDOW_MS: i64 = 60_000;
/// Beyond this many keys the old ones are swept out.
const MANY: usize = 10_000;

/// Tries by key, each with its time in ms of a clock that never goes back.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<HashMap<String, VecDeque<i64>>>);

impl Throttle {
    /// Counts a try before it is made, so that many at once cannot slip through together. `Err`:
    /// seconds to wait.
    pub(crate) fn begin(&self, key: &str, most: usize, now: i64) -> Result<(), u64> {
        let mut tries = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if tries.len() >= MANY {
            tries.retain(|_, times| times.back().is_some_and(|t| *t > now - WINDOW_MS));
        }
        let times = tries.entry(key.to_owned()).or_default();
        while times.front().is_some_and(|t| *t <= now - WINDOW_MS) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= most => {
                Err(((first + WINDOW_MS - now).max(0) as u64).div_ceil(1000).max(1))
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }

    /// Forgets the tries of a key: one of them was right.
    pub(crate) fn clear(&self, key: &str) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_minute_then_a_wait_that_is_told() {
        let throttle = Throttle::default();
        for n in 0..5 {
            assert_eq!(throttle.begin("a", 5, n * 1000), Ok(()));
        }
        assert_eq!(throttle.begin("a", 5, 5000), Err(55));
        assert_eq!(throttle.begin("b", 5, 5000), Ok(()), "another key");
        assert_eq!(throttle.begin("a", 5, 60_000), Ok(()), "the first try has left the window");
        assert_eq!(throttle.begin("a", 5, 60_000), Err(1));
        throttle.clear("a");
        assert_eq!(throttle.begin("a", 5, 60_000), Ok(()));
    }
}
