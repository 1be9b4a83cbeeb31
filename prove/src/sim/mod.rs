//! The simulated world: one thread, one clock that the prover moves, SQLite in memory, networks
//! that know all.
//!
//! `process` is one process of the product with the moments at which it can die, `world` what is
//! true at the networks, `network` how the product speaks to them, `stage` the installation and
//! what is driven on it, `check` what must hold in the end.

pub mod check;
pub mod network;
pub mod process;
pub mod rng;
pub mod stage;
pub mod world;
