//! Ids: UUIDv7 text, so that they sort by time and pages can be cut by them.

use std::cell::Cell;
use std::collections::HashMap;
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
    /// The last head of each moment, once manual clocks stand side by side.
    of_moment: Option<HashMap<u64, u64>>,
}

static HEADS: Mutex<Heads> = Mutex::new(Heads { last: 0, of_moment: None });

/// From here on several clocks tell the time in this process, as in tests side by side: each
/// moment counts on for itself, since one clock's last id says nothing of another's next.
pub fn of_many_clocks() {
    HEADS.lock().unwrap_or_else(|e| e.into_inner()).of_moment.get_or_insert_default();
}

impl Heads {
    fn next(&mut self, ms: u64) -> u64 {
        let fresh = ms << 12;
        if let Some(moments) = &mut self.of_moment {
            return *moments.entry(ms).and_modify(|head| *head += 1).or_insert(fresh);
        }
        // A clock that was set back a little does not turn the order of ids round.
        let near = self.last >= fresh && self.last - fresh < (1 << 24);
        self.last = if near { self.last + 1 } else { fresh };
        self.last
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
    use std::collections::HashMap;

    use super::Heads;

    #[test]
    fn clocks_side_by_side_keep_their_own_order() {
        let mut heads = Heads { last: 0, of_moment: Some(HashMap::new()) };
        // Far apart, two ms apart, and each moving on.
        let starts = [1_795_420_800_000, 1_795_420_800_002, 1_795_424_400_000];
        let mut last = [0; 3];
        for step in 0..3000 {
            for (clock, start) in starts.into_iter().enumerate() {
                let head = heads.next(start + step / 1000);
                assert!(head > last[clock], "clock {clock}, step {step}");
                last[clock] = head;
            }
        }
    }

    #[test]
    fn one_clock_set_back_a_little_keeps_the_order() {
        let mut heads = Heads { last: 0, of_moment: None };
        let made = [5_000, 5_000, 4_000, 5_001, 1_000].map(|ms| heads.next(ms));
        assert!(made.is_sorted(), "{made:?}");
        assert_eq!(heads.next(500_000) >> 12, 500_000);
        assert_eq!(heads.next(5_000) >> 12, 5_000, "further back is another time");
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
