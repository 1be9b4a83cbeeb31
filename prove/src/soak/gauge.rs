//! What is measured, and what must hold of it: memory is flat, the database is no larger than what
//! it keeps, and nothing comes later as time goes by.

use std::fmt::Write;

/// No sample of the server's resident memory is above this, in KB.
const MOST_MEMORY: u64 = 150 * 1024;
/// The log of writes that are not yet in the file: what the product lets it keep (64 MB), and one
/// large commit more.
const MOST_WAL: u64 = 80 << 20;
/// Free pages that a database may carry along, whatever it holds.
const ROOM: u64 = 16 << 20;
/// Later than before by so much is chance, in ms.
const CHANCE: i64 = 100;
/// Under so many samples a quarter says nothing.
const ENOUGH: usize = 12;

/// One look, taken each second of the load.
pub(super) struct Sample {
    /// ms since the load began.
    pub at: i64,
    /// Resident, in KB.
    pub memory: u64,
    /// Bytes of the log of writes, where there is one of our own.
    pub wal: u64,
}

/// How late a delivery was published that met no fault.
pub(super) struct Late {
    /// When it was due, in ms since the load began.
    pub at: i64,
    pub ms: i64,
    /// Did it wait for the network to process a picture?
    pub picture: bool,
}

/// Bytes of the database as it was left, and of what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub left: u64,
    pub kept: u64,
}

/// All that was measured in a load of `length` ms.
pub(super) struct Gauge {
    pub length: i64,
    pub samples: Vec<Sample>,
    pub late: Vec<Late>,
    pub size: Size,
}

impl Gauge {
    /// What does not hold, in words. The second and the last quarter are one life each.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.peak() > MOST_MEMORY {
            wrong.push(format!("memory reached {} MB", self.peak() / 1024));
        }
        let (before, after) = (self.memory(1), self.memory(3));
        if before.len() >= ENOUGH {
            let (before, after) = (middle(before), middle(after));
            if after * 10 > before * 11 {
                wrong.push(format!(
                    "memory grew from {before} KB in the second quarter to {after} KB in the last"
                ));
            }
            // And within a life, where no restart hides it.
            let last = self.memory(3);
            let third = last.len() / 3;
            let (early, late) =
                (middle(last[third..2 * third].to_vec()), middle(last[2 * third..].to_vec()));
            if late * 10 > early * 11 {
                wrong.push(format!("memory grew from {early} KB to {late} KB in the last life"));
            }
            for (of, picture) in [("words", false), ("pictures", true)] {
                let (before, after) = (self.lateness(1, picture), self.lateness(3, picture));
                if after > 2 * before + CHANCE {
                    wrong.push(format!(
                        "the 99th percentile of the lateness of {of} went from {before} ms in the second quarter to {after} ms in the last"
                    ));
                }
            }
        }
        let wal = self.samples.iter().map(|s| s.wal).max().unwrap_or(0);
        if wal > MOST_WAL {
            wrong.push(format!("the log of writes reached {} MB", wal >> 20));
        }
        if self.size.left > self.size.kept * 3 / 2 + ROOM {
            wrong.push(format!("the database is too large for what it keeps: {:?}", self.size));
        }
        wrong
    }

    /// Most resident memory, in KB.
    pub(super) fn peak(&self) -> u64 {
        self.samples.iter().map(|s| s.memory).max().unwrap_or(0)
    }

    /// The 99th percentile of the lateness of words in the last quarter, ms.
    pub(super) fn lateness_at_end(&self) -> i64 {
        self.lateness(3, false)
    }

    /// The quarters side by side.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for quarter in 0..4 {
            let memory = middle(self.memory(quarter));
            let _ = write!(text, "quarter {}: {memory} KB resident at the median", quarter + 1);
            for (of, picture) in [("words", false), ("pictures", true)] {
                let late = self.late(quarter, picture);
                let (n, most) = (late.len(), late.iter().max().copied().unwrap_or(0));
                let (half, nearly) = (middle(late.clone()), percentile(late, 99));
                let _ = write!(
                    text,
                    "; {n} {of} without a fault, late {half} ms at the median, {nearly} ms at the 99th percentile, {most} ms at most"
                );
            }
            text.push('\n');
        }
        let wal = self.samples.iter().map(|s| s.wal).max().unwrap_or(0);
        let Size { left, kept } = self.size;
        let _ = write!(
            text,
            "at most {} KB resident, log of writes at most {} KB, database {} KB of which {} KB are kept",
            self.peak(),
            wal >> 10,
            left >> 10,
            kept >> 10
        );
        text
    }

    fn memory(&self, quarter: i64) -> Vec<u64> {
        self.of(quarter, &self.samples, |s| s.at).map(|s| s.memory).collect()
    }

    fn lateness(&self, quarter: i64, picture: bool) -> i64 {
        percentile(self.late(quarter, picture), 99)
    }

    fn late(&self, quarter: i64, picture: bool) -> Vec<i64> {
        let late = self.of(quarter, &self.late, |l| l.at);
        late.filter(|l| l.picture == picture).map(|l| l.ms).collect()
    }

    /// Those of a quarter, counted from 0.
    fn of<'a, T>(
        &self,
        quarter: i64,
        all: &'a [T],
        at: impl Fn(&T) -> i64 + 'static,
    ) -> impl Iterator<Item = &'a T> {
        let (from, to) = (self.length * quarter / 4, self.length * (quarter + 1) / 4);
        all.iter().filter(move |one| (from..to).contains(&at(one)))
    }
}

fn middle<T: Ord + Copy + Default>(all: Vec<T>) -> T {
    percentile(all, 50)
}

/// The smallest of these that so many of a hundred do not exceed.
fn percentile<T: Ord + Copy + Default>(mut all: Vec<T>, of_100: usize) -> T {
    all.sort_unstable();
    let at = (all.len() * of_100).div_ceil(100).max(1) - 1;
    all.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four quarters of 20 s, with these KB and ms in each.
    fn gauge(memory: [u64; 4], late: [i64; 4]) -> Gauge {
        let quarter = |at: i64| (at / 20_000) as usize;
        let seconds = (0..80).map(|s| s * 1_000);
        Gauge {
            length: 80_000,
            samples: seconds
                .clone()
                .map(|at| Sample { at, memory: memory[quarter(at)], wal: 4 << 20 })
                .collect(),
            late: seconds.map(|at| Late { at, ms: late[quarter(at)], picture: false }).collect(),
            size: Size { left: 100 << 20, kept: 90 << 20 },
        }
    }

    #[test]
    fn what_is_flat_is_well() {
        let flat = gauge([30_000, 60_000, 90_000, 66_000], [10, 50, 10, 200]);
        assert_eq!(flat.wrong(), Vec::<String>::new());
    }

    #[test]
    fn what_grows_is_named() {
        let named = |gauge: Gauge, word: &str| {
            let wrong = gauge.wrong();
            assert!(wrong.len() == 1 && wrong[0].contains(word), "{wrong:?}");
        };
        let late = [10; 4];
        named(gauge([60_000, 60_000, 60_000, 66_001], late), "memory grew from 60000 KB");
        named(gauge([60_000, 60_000, 160_000, 60_000], late), "memory reached 156 MB");
        named(gauge([60_000; 4], [10, 10, 10, 121]), "from 10 ms");
        let mut within = gauge([60_000; 4], late);
        within.samples.iter_mut().filter(|s| s.at > 74_000).for_each(|s| s.memory = 80_000);
        named(within, "in the last life");
        let mut pictures = gauge([60_000; 4], [10, 10, 10, 900]);
        pictures.late.iter_mut().for_each(|l| l.picture = true);
        named(pictures, "pictures went from 10 ms");
        let mut wal = gauge([60_000; 4], late);
        wal.samples[3].wal = 90 << 20;
        named(wal, "log of writes reached 90 MB");
        let mut large = gauge([60_000; 4], late);
        large.size.left = 152 << 20;
        named(large, "too large");
    }

    #[test]
    fn a_percentile_is_one_of_them() {
        assert_eq!(percentile((1..=100).rev().collect::<Vec<i64>>(), 99), 99);
        assert_eq!(percentile(vec![7], 99), 7);
        assert_eq!(percentile(Vec::<i64>::new(), 50), 0);
    }
}
