//! Ids: UUIDv7 text, so that they sort by time and pages can be cut by them.

use std::cell::Cell;
use std::sync::Mutex;

use uuid::{Builder, Uuid};

thread_local! {
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From here on the ids of this thread are counted on from `from` instead of drawn, so that a
/// simulation can be repeated. Secrets stay random. `None` ends it.
pub fn count_from(from: Option<u64>) {
    COUNTED.set(from);
}

/// A new id for this moment (ms since 1970 UTC). Ids of one process grow even within one ms.
pub fn new(now: i64) -> String {
    if let Some(n) = COUNTED.get() {
        COUNTED.set(Some(n + 1));
        let mut bytes = [0u8; 10];
        bytes[2..].copy_from_slice(&n.to_be_bytes());
        return Builder::from_unix_timestamp_millis(now.max(0) as u64, &bytes)
            .into_uuid()
            .to_string();
    }
    let head = HEADS.lock().unwrap_or_else(|e| e.into_inner()).next(now.max(0) as u64);
    let mut random = [0u8; 10];
    fill(&mut random);
    random[0] = (head >> 8) as u8 & 0x0f;
    random[1] = head as u8;
    Builder::from_unix_timestamp_millis(head >> 12, &random).into_uuid().to_string()
}

/// 48 bits of ms and 12 of a counter make the sortable head of an id.
struct Heads {
    last: u64,
    /// The last head of each of the latest moments, by what is left of them.
    of_moment: [u64; MOMENTS as usize],
}

/// A prime, and so many that the moments of tests side by side seldom share a place.
const MOMENTS: u64 = 8191;
static HEADS: Mutex<Heads> = Mutex::new(Heads { last: 0, of_moment: [0; MOMENTS as usize] });

impl Heads {
    fn next(&mut self, ms: u64) -> u64 {
        let fresh = ms << 12;
        // A clock that was set back a little does not turn the order of ids round.
        let near = self.last >= fresh && self.last - fresh < (1 << 24);
        // Manual clocks of tests side by side stand at moments of their own: each counts on.
        let before = if near { self.last } else { self.of_moment[(ms % MOMENTS) as usize] };
        let head = if near || before >> 12 == ms { before + 1 } else { fresh };
        self.of_moment[((head >> 12) % MOMENTS) as usize] = head;
        self.last = head;
        head
    }
}

/// ms since 1970 UTC inside an id made by [`new`].
pub fn time(id: &str) -> Option<i64> {
    let (secs, nanos) = Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    Some(secs as i64 * 1000 + i64::from(nanos) / 1_000_000)
}

/// Is this the text of an id? Anything else is not looked up at all.
pub fn valid(id: &str) -> bool {
    Uuid::parse_str(id).is_ok()
}

/// 32 hex digits nobody can guess.
pub fn secret() -> String {
    let mut bytes = [0u8; 16];
    fill(&mut bytes);
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Fills from the system's randomness.
///
/// # Panics
/// When the system has none, in which case no secret can be made at all.
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system gives random bytes");
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_clocks_side_by_side_keep_their_own_order() {
        let (early, late) = (1_795_420_800_000, 1_795_424_400_000);
        let made: Vec<_> = (0..50).map(|_| (super::new(early), super::new(late))).collect();
        assert!(made.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
    }

    #[test]
    fn ids_of_one_moment_grow_and_tell_their_time() {
        let ids: Vec<String> = (0..5000).map(|_| super::new(1_800_000_000_000)).collect();
        assert!(ids.is_sorted());
        let time = super::time(&ids[0]).expect("a time");
        assert!((time - 1_800_000_000_000).abs() < 10_000, "{time}");
    }

    #[test]
    fn counted_ids_come_again_and_grow() {
        let made = || {
            super::count_from(Some(7));
            (0..5000).map(|_| super::new(1_800_000_000_000)).collect::<Vec<_>>()
        };
        let (once, again) = (made(), made());
        super::count_from(None);
        assert_eq!(once, again);
        assert!(once.is_sorted());
        assert_ne!(super::new(1_800_000_000_000), once[0]);
    }
}
