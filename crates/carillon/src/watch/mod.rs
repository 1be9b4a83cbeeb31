//! Keeping it running: what is kept how long, and how it is.

pub mod health;
pub mod prune;
pub mod trail;
pub mod watchdog;
