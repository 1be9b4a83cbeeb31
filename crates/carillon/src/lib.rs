//! Carillon: create, plan, prepare, publish once and on time, and operate it.
//!
//! ARCHITECTURE.md is the map. The file to read first is `publishing/deliver.rs`.

pub mod clock;
pub mod db;
pub mod domain;
pub mod ids;
pub mod store;
