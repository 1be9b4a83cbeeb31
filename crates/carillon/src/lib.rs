//! Carillon: create, plan, prepare, publish once and on time, and operate it.
//!
//! ARCHITECTURE.md is the map. The file to read first is `publishing/deliver.rs`.

pub mod app;
pub mod approval;
pub mod bugs;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod domain;
pub mod identity;
pub mod ids;
pub mod media;
pub mod planning;
pub mod publishing;
pub mod queue;
pub mod store;
pub mod watch;
pub mod web;
pub mod work;

pub use app::App;
