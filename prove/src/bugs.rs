//! Rung 7, deliberate bugs: each is switched on alone, and the rungs 1 and 2 must catch it.
//!
//! The bugs are in the product behind its feature `seeded-bugs` (`bugs::on`); a proof that finds
//! none of them proves nothing. The same runs without a bug are what the other rungs are.

use anyhow::{Result, anyhow};
use carillon::bugs;

use crate::crash::{self, Swept};
use crate::seeds;
use crate::sim::stage::{Stage, simulate};
use crate::{Counts, Scale};

/// Every bug, as `bugs::on` names it, and the network whose scenarios show it first.
pub const ALL: [(&str, &str); 23] = [
    ("no fence", "sim-readable"),
    ("leases freed early", "sim-blind"),
    ("clocks not looked at", "sim-readable"),
    ("intent after the send", "sim-blind"),
    ("unknown sent again", "sim-readable"),
    ("blind sent again", "sim-blind"),
    ("sending sent again", "sim-readable"),
    ("looks too early", "sim-readable"),
    ("absent at first look", "sim-lagging"),
    ("new key each try", "sim-keyed"),
    ("handle not kept", "sim-handle"),
    ("outcome not retried", "sim-blind"),
    ("first intent forgotten", "sim-readable"),
    ("found though bound", "sim-readable"),
    ("named duplicate refused", "sim-readable"),
    ("5xx taken for a no", "sim-readable"),
    ("cancel overheard", "sim-keyed"),
    ("leased job edited", "sim-readable"),
    ("edited under way", "sim-readable"),
    ("question passed over", "sim-blind"),
    ("lane not retimed", "sim-keyed"),
    ("duplicate outweighed", "sim-readable"),
    ("window without slack", "sim-readable"),
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

pub fn run(_: Scale) -> Result<Counts> {
    let threads = 2;
    let parts: Vec<_> = (0..threads)
        .map(|part| {
            std::thread::spawn(move || {
                let mine = ALL.iter().skip(part).step_by(threads);
                let each = mine.map(|(bug, first)| {
                    let caught = caught(bug, first)?;
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

/// Looks for a bug: first where it should show, then everywhere.
pub fn caught(bug: &'static str, first: &str) -> Result<Caught> {
    // Set up before the bug is there.
    let stage = simulate(Stage::new())?;
    bugs::switch(Some(bug));
    let caught = look(&stage, first);
    bugs::switch(None);
    caught
}

fn look(stage: &Stage, first: &str) -> Result<Caught> {
    if !first.is_empty() {
        let all = crash::all(Scale::Bounded);
        let mut enough = |swept: &Swept| !swept.findings.is_empty();
        let there = all.iter().filter(|s| s.network == first);
        let swept = crash::sweep_on(stage, there, Scale::Bounded, &mut |_| {}, &mut enough)?;
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
        let counts = run(Scale::Bounded).expect("it runs");
        println!("{counts}");
        assert_eq!(counts.lost, 0, "{counts}");
    }
}
