//! A disk that forgets: what was synced of each file, what was only written, and what is left of
//! both when the power goes.
//!
//! The files themselves hold what the living process sees (the system's cache); this keeps beside
//! them what a power cut cannot take. Nothing here knows SQLite: vfs.rs tells it every operation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

/// What a disk keeps or loses in one piece, in bytes.
const SECTOR: u64 = 512;

/// What goes wrong, at which operation (counted from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power goes in the middle of it: nothing after it happens.
    Cut,
    /// There is no room for it, nor for this many after it.
    Full(u64),
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Full,
    /// The power is off.
    Off,
}

/// What is kept of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    /// What was written first, up to a moment; the last write is torn.
    First,
    /// Any sectors, in any order.
    Some,
    /// Everything: what a killed process leaves.
    All,
}

impl Kept {
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::First, Self::Some, Self::All];
}

/// The disk under one folder.
#[derive(Default)]
pub(crate) struct Disk(Mutex<State>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Writes, truncations, deletions and syncs so far.
    done: u64,
    syncs: u64,
    fault: Option<(u64, Fault)>,
    off: bool,
}

#[derive(Default)]
struct File {
    /// What a power cut leaves; `None` while the file is not known to be there.
    synced: Option<Vec<u8>>,
    since: Vec<(u64, Change)>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Truncate(u64),
    Delete,
}

impl Disk {
    /// A disk on which these files are safe.
    pub(crate) fn holding(folder: &Path, names: &[&str]) -> std::io::Result<Self> {
        let mut state = State::default();
        for name in names {
            let synced = Some(std::fs::read(folder.join(name))?);
            state.files.insert((*name).to_owned(), File { synced, since: Vec::new() });
        }
        Ok(Self(Mutex::new(state)))
    }

    pub(crate) fn fault_at(&self, operation: u64, fault: Fault) {
        self.lock().fault = Some((operation, fault));
    }

    /// Operations so far.
    pub(crate) fn done(&self) -> u64 {
        self.lock().done
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    pub(crate) fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Has its fault begun?
    pub(crate) fn is_troubled(&self) -> bool {
        let state = self.lock();
        state.off || state.fault.is_some_and(|(at, _)| state.done >= at)
    }

    /// Switches it off between two operations.
    pub(crate) fn switch_off(&self) {
        self.lock().off = true;
    }

    pub(super) fn write(&self, name: &str, at: u64, bytes: &[u8]) -> Fate {
        self.change(name, || Change::Write { at, bytes: bytes.to_vec() })
    }

    pub(super) fn truncate(&self, name: &str, size: u64) -> Fate {
        self.change(name, || Change::Truncate(size))
    }

    /// `durable`: its folder is synced with it.
    pub(super) fn delete(&self, name: &str, durable: bool) -> Fate {
        let fate = self.change(name, || Change::Delete);
        if fate == Fate::Done && durable {
            self.lock().files.remove(name);
        }
        fate
    }

    /// Everything written to this file is safe, and that the file is there.
    pub(super) fn sync(&self, name: &str) -> Fate {
        let mut state = self.lock();
        match state.next() {
            Fate::Done => {}
            // A full disk still syncs what it has.
            Fate::Full if !state.off => {}
            fate => return fate,
        }
        state.syncs += 1;
        // SQLite syncs the folder with the first sync of a journal that it made.
        let new = state.files.get(name).is_none_or(|f| f.synced.is_none());
        if new && (name.ends_with("-wal") || name.ends_with("-journal")) {
            state.files.values_mut().for_each(File::name_is_safe);
        }
        let file = state.files.entry(name.to_owned()).or_default();
        let mut bytes = file.synced.take().unwrap_or_default();
        for (_, change) in file.since.drain(..) {
            change.apply(&mut bytes, |_| true);
        }
        file.synced = Some(bytes);
        Fate::Done
    }

    pub(super) fn reads(&self) -> Fate {
        if self.lock().off { Fate::Off } else { Fate::Done }
    }

    fn change(&self, name: &str, change: impl FnOnce() -> Change) -> Fate {
        let mut state = self.lock();
        if state.off {
            return Fate::Off;
        }
        let fate = state.next();
        let at = state.done;
        if fate != Fate::Full {
            // Of the one in which the power goes a part may arrive, too.
            state.files.entry(name.to_owned()).or_default().since.push((at, change()));
        }
        fate
    }

    /// The files that are there after the cut.
    pub(crate) fn left(&self, kept: Kept, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let state = self.lock();
        let (first, last) = (state.first_unsynced(), state.done);
        let until = first + random.below(last.saturating_sub(first) + 1);
        let mut left = BTreeMap::new();
        for (name, file) in &state.files {
            let mut there = file.synced.is_some();
            let mut bytes = file.synced.clone().unwrap_or_default();
            for (at, change) in &file.since {
                let whole = match kept {
                    Kept::All => true,
                    Kept::First => *at < until,
                    Kept::Nothing | Kept::Some => false,
                };
                let torn = kept == Kept::Some || (kept == Kept::First && *at == until);
                if matches!(change, Change::Delete) {
                    if whole || (torn && random.below(2) == 0) {
                        there = false;
                        bytes.clear();
                    }
                    continue;
                }
                there |= whole || torn;
                change.apply(&mut bytes, |_| whole || (torn && random.below(2) == 0));
            }
            if there {
                left.insert(name.clone(), bytes);
            }
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    /// Counts an operation; what becomes of it.
    fn next(&mut self) -> Fate {
        if self.off {
            return Fate::Off;
        }
        self.done += 1;
        match self.fault {
            Some((at, Fault::Cut)) if self.done >= at => {
                self.off = true;
                Fate::Off
            }
            Some((at, Fault::Full(more))) if (at..=at + more).contains(&self.done) => Fate::Full,
            _ => Fate::Done,
        }
    }

    fn first_unsynced(&self) -> u64 {
        let first = self.files.values().filter_map(|f| f.since.first().map(|(at, _)| *at)).min();
        first.unwrap_or(self.done)
    }
}

impl File {
    /// The folder was synced: a deletion stands, and so does a name that was made since.
    fn name_is_safe(&mut self) {
        if let Some(last) = self.since.iter().rposition(|(_, c)| matches!(c, Change::Delete)) {
            self.since.drain(..=last);
            self.synced = None;
        }
        if self.synced.is_none() && !self.since.is_empty() {
            self.synced = Some(Vec::new());
        }
    }
}

impl Change {
    /// Applies what `keeps` says of it, sector by sector.
    fn apply(&self, bytes: &mut Vec<u8>, mut keeps: impl FnMut(u64) -> bool) {
        match self {
            Change::Write { at, bytes: new } => {
                let end = at + new.len() as u64;
                let mut from = *at;
                while from < end {
                    let to = end.min((from / SECTOR + 1) * SECTOR);
                    if keeps(from) {
                        if bytes.len() < to as usize {
                            bytes.resize(to as usize, 0);
                        }
                        bytes[from as usize..to as usize]
                            .copy_from_slice(&new[(from - at) as usize..(to - at) as usize]);
                    }
                    from = to;
                }
            }
            Change::Truncate(size) => {
                if keeps(*size) {
                    bytes.resize(*size as usize, 0);
                }
            }
            Change::Delete => bytes.clear(),
        }
    }
}

/// Numbers that a seed repeats.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(disk: &Disk, kept: Kept) -> BTreeMap<String, Vec<u8>> {
        disk.left(kept, &mut Random::new(1))
    }

    #[test]
    fn only_what_was_synced_is_safe() {
        let disk = Disk::default();
        assert_eq!(disk.write("a", 0, b"one"), Fate::Done);
        assert!(left(&disk, Kept::Nothing).is_empty(), "not even its name");
        disk.sync("a");
        disk.write("a", 3, b"two");
        disk.write("b", 0, b"new");
        assert_eq!(left(&disk, Kept::Nothing), BTreeMap::from([("a".into(), b"one".to_vec())]));
        assert_eq!(left(&disk, Kept::All)["a"], b"onetwo");
        disk.truncate("a", 1);
        assert_eq!(left(&disk, Kept::Nothing)["a"], b"one");
        disk.sync("a");
        assert_eq!(left(&disk, Kept::Nothing)["a"], b"o");
    }

    #[test]
    fn a_write_is_torn_at_sectors() {
        let disk = Disk::default();
        disk.write("a", 0, &[1; 4096]);
        disk.sync("a");
        disk.write("a", 100, &[2; 2000]);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let bytes = disk.left(Kept::Some, &mut Random::new(seed)).remove("a").unwrap();
            assert_eq!((bytes.len(), bytes[99], bytes[2100]), (4096, 1, 1));
            for sector in [100..512, 512..1024, 1024..1536, 1536..2048, 2048..2100] {
                let part = &bytes[sector];
                assert!(part.iter().all(|b| *b == part[0]), "a sector is whole");
            }
            seen.insert(bytes);
        }
        assert!(seen.len() > 10, "{}", seen.len());
    }

    #[test]
    fn after_the_cut_nothing_happens() {
        let disk = Disk::default();
        disk.fault_at(3, Fault::Cut);
        disk.write("a", 0, b"one");
        disk.write("a", 3, b"two");
        assert_eq!(disk.sync("a"), Fate::Off);
        assert_eq!(disk.write("a", 6, b"three"), Fate::Off);
        assert!(disk.is_off());
        assert_eq!(left(&disk, Kept::All)["a"], b"onetwo");
        assert!(left(&disk, Kept::Nothing).is_empty());
    }

    #[test]
    fn a_full_disk_refuses_writes_until_there_is_room() {
        let disk = Disk::default();
        disk.fault_at(1, Fault::Full(1));
        assert_eq!(disk.write("a", 0, b"x"), Fate::Full);
        assert_eq!(disk.sync("a"), Fate::Done);
        assert_eq!(disk.write("a", 0, b"y"), Fate::Done);
        assert_eq!(left(&disk, Kept::All)["a"], b"y");
    }

    #[test]
    fn a_deleted_file_may_come_back_unless_its_folder_was_synced() {
        let disk = Disk::default();
        disk.write("a", 0, b"x");
        disk.sync("a");
        disk.delete("a", false);
        assert!(left(&disk, Kept::Nothing).contains_key("a"));
        assert!(!left(&disk, Kept::All).contains_key("a"));
        disk.write("b-wal", 0, b"y");
        disk.sync("b-wal");
        assert!(!left(&disk, Kept::Nothing).contains_key("a"), "the new journal synced the folder");
        disk.write("a", 0, b"x");
        disk.sync("a");
        disk.delete("a", true);
        assert!(!left(&disk, Kept::Nothing).contains_key("a"));
    }
}
