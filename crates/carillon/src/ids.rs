//! Ids: UUIDv7 text, so that they sort by time and pages can be cut by them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

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
    static LAST: AtomicU64 = AtomicU64::new(0);
    // 48 bits of ms and 12 of a counter make the sortable head.
    let fresh = (now.max(0) as u64) << 12;
    let last = LAST
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            // A manual clock may stand years from the last id made by another test: start anew.
            let near = last >= fresh && last - fresh < (1 << 24);
            Some(if near { last + 1 } else { fresh })
        })
        .unwrap_or(fresh);
    let near = last >= fresh && last - fresh < (1 << 24);
    let head = if near { last + 1 } else { fresh };
    let mut random = [0u8; 10];
    fill(&mut random);
    random[0] = (head >> 8) as u8 & 0x0f;
    random[1] = head as u8;
    Builder::from_unix_timestamp_millis(head >> 12, &random).into_uuid().to_string()
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
