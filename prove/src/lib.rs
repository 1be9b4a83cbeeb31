//! The ladder: each rung makes faults of one kind, runs the product to quiet and counts what was
//! lost or doubled at the networks. `make prove` runs all of it, `make test` a bounded part.
//!
//! A rung is a module with one `run(&Scale)`; its tests run the bounded part. Nothing here knows
//! how the product keeps its promise, only what followers see.

mod binary;
pub mod bugs;
pub mod crash;
mod installation;
mod judge;
pub mod kill;
#[path = "../../crates/carillon/tests/it/support/live.rs"]
mod live;
pub mod model;
pub mod power;
pub mod proxy;
pub mod seeds;
pub mod sim;
pub mod soak;
mod stage;

use std::fmt;

/// How far a rung goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Seconds: for `make test`.
    Bounded,
    /// Minutes to hours: for `make prove`.
    Full,
}

/// What one rung counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// `crash sweep`
    pub rung: &'static str,
    /// What was made, by name: `("crash points", 104_233)`.
    pub made: Vec<(&'static str, u64)>,
    pub lost: u64,
    pub doubled: u64,
    /// Deliveries that wait for a person, only where their class allows it.
    pub held: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.rung)?;
        for (name, n) in &self.made {
            write!(f, "{n} {name}, ")?;
        }
        write!(f, "{} lost, {} doubled, {} held", self.lost, self.doubled, self.held)
    }
}
