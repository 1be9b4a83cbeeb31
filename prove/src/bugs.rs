//! Rung 7, deliberate bugs: each is switched on alone, and the rungs 1 and 2 must catch it.
//!
//! The bugs are in the product behind its feature `seeded-bugs` (`bugs::on`); a proof that finds
//! none of them proves nothing. The same runs without a bug are what the other rungs are.

use anyhow::{Result, anyhow};
use carillon::bugs;

use crate::crash::{self, Swept};
use crate::seeds;
use crate::sim::network::{BLIND, HANDLE, KEYED, LAGGING, READABLE};
use crate::sim::stage::{Stage, simulate};
use crate::{Counts, Scale};

/// Every bug, as `bugs::on` names it, and the scenarios of the crash sweep that show it: their
/// network, and what their name holds. Those without are for the seeds.
pub const ALL: [(&str, Option<(&str, &str)>); 24] = [
    ("no fence", Some((READABLE, "Overtake"))),
    ("leases freed early", Some((BLIND, "Sweep"))),
    ("clocks not looked at", Some((READABLE, "TakeOver"))),
    ("intent after the send", Some((BLIND, "none, 1"))),
    ("unheard intent left", Some((BLIND, "No Unavailable, 1"))),
    ("unknown sent again", Some((READABLE, "Now Reset, 1"))),
    ("blind sent again", Some((BLIND, "Now Reset, 1"))),
    ("sending sent again", Some((READABLE, "none, 1"))),
    ("looks too early", Some((READABLE, "Late"))),
    ("absent at first look", Some((LAGGING, "Now Reset, 1"))),
    ("new key each try", Some((KEYED, "none, 1"))),
    ("handle not kept", Some((HANDLE, "Now Reset, 1"))),
    ("outcome not retried", Some((BLIND, "none, 1"))),
    ("first intent forgotten", Some((READABLE, "hidden for 3 min"))),
    ("found though bound", Some((READABLE, "twins"))),
    ("named duplicate refused", Some((READABLE, "then named"))),
    ("duplicate outweighed", Some((READABLE, "then refused"))),
    ("5xx taken for a no", Some((READABLE, "Now ServerError"))),
    ("cancel overheard", Some((KEYED, "Cancel"))),
    ("leased job edited", Some((READABLE, "EditElsewhere"))),
    ("edited under way", Some((READABLE, "Edit at"))),
    ("question passed over", Some((BLIND, "at End"))),
    ("lane not retimed", Some((KEYED, "No RateLimit"))),
    ("window without slack", None),
];

/// How many seeds a bug may need to show itself.
const SEEDS: u64 = 5_000;

/// What caught a bug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caught {
    Sweep { points: u64 },
    Seed { seed: u64 },
    No,
}

impl std::fmt::Display for Caught {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Caught::Sweep { points } => {
                write!(f, "caught by the crash sweep after {points} points")
            }
            Caught::Seed { seed } => write!(f, "caught by seed {seed}"),
            Caught::No => f.write_str("NOT CAUGHT"),
        }
    }
}

pub fn run() -> Result<Counts> {
    let threads = 2;
    let parts: Vec<_> = (0..threads)
        .map(|part| {
            std::thread::spawn(move || {
                let mine = ALL.iter().skip(part).step_by(threads);
                let each = mine.map(|(bug, first)| {
                    let caught = caught(bug, *first)?;
                    eprintln!("{bug}: {caught}");
                    Ok(caught)
                });
                each.collect::<Result<Vec<_>>>()
            })
        })
        .collect();
    let mut counts = Counts { rung: "seeded bugs", ..Counts::default() };
    let (mut sweeps, mut by_seed) = (0, 0);
    for part in parts {
        for caught in part.join().map_err(|_| anyhow!("a bug panicked"))?? {
            match caught {
                Caught::Sweep { .. } => sweeps += 1,
                Caught::Seed { .. } => by_seed += 1,
                // What the proof does not see would be lost.
                Caught::No => counts.lost += 1,
            }
        }
    }
    counts.made = vec![
        ("bugs", ALL.len() as u64),
        ("caught by the sweep", sweeps),
        ("caught by a seed", by_seed),
    ];
    Ok(counts)
}

/// Looks for a bug: where it should show, then by seeds.
pub fn caught(bug: &'static str, first: Option<(&str, &str)>) -> Result<Caught> {
    // Set up before the bug is there.
    let stage = simulate(Stage::new())?;
    bugs::switch(Some(bug));
    let caught = look(&stage, first);
    bugs::switch(None);
    caught
}

fn look(stage: &Stage, first: Option<(&str, &str)>) -> Result<Caught> {
    if let Some((network, part)) = first {
        let all = crash::all(Scale::Bounded);
        let there = all.iter().filter(|s| s.network == network && s.name().contains(part));
        let mut enough = |swept: &Swept| !swept.findings.is_empty();
        let swept = crash::sweep_on(stage, there, Scale::Full, &mut |_| {}, &mut enough)?;
        if !swept.findings.is_empty() {
            return Ok(Caught::Sweep { points: swept.points + swept.pairs + swept.commits });
        }
    }
    let found = (0..SEEDS).find(|seed| seeds::one(stage, *seed).wrong.is_some());
    Ok(found.map_or(Caught::No, |seed| Caught::Seed { seed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_caught() {
        let counts = run().expect("it runs");
        println!("{counts}");
        assert_eq!(counts.lost, 0, "{counts}");
    }
}
