//! A contender written in Rust: a queue behind the line protocol that bench/README.md describes.
//!
//! The driver starts a contender as a process, sends one JSON command a line and reads one JSON
//! answer a line; so every contender, in whatever language, is measured with the same commands.
//! `bench/peers/contender.mjs` is the same shell for Node.js.

mod handler;
mod shell;

use std::future::Future;

use serde::{Deserialize, Serialize};

pub use handler::{Handler, Seen};
pub use shell::{contend, us};

/// Where the queue lives: the driver hands every process of one measurement the same.
#[derive(Debug, Clone, Deserialize)]
pub struct Place {
    /// The folder that is the contender's alone.
    pub folder: std::path::PathBuf,
    /// An empty PostgreSQL database, for those that use one.
    #[serde(default)]
    pub url: Option<String>,
    /// `NORMAL` or `FULL`, for those on SQLite.
    #[serde(default)]
    pub sync: Option<String>,
    /// How many jobs a worker is to have in hand at once; without it, what suits the queue best.
    #[serde(default)]
    pub in_hand: Option<usize>,
}

/// What a job carries.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Job {
    pub id: u64,
    /// The moment that its lateness is counted from, in µs since 1970; 0: not counted.
    pub t: u64,
}

/// When and where added jobs are to wait.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waiting {
    /// Not before this, in ms since 1970.
    pub due: Option<u64>,
    /// In a part of the queue that nobody works on: a closed account's.
    pub shut: bool,
}

/// A queue under measurement. Every call is durable (as far as the queue is) when it returns.
pub trait Queue: Clone + Send + Sync + 'static {
    fn open(place: Place) -> impl Future<Output = anyhow::Result<Self>> + Send;

    fn add(&self, job: Job) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Adds in the queue's own way for many.
    fn add_all(
        &self,
        jobs: Vec<Job>,
        waiting: Waiting,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Starts a worker; returns once it works.
    fn work(&self, handler: Handler) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// How many due jobs outside the shut part have not ended.
    fn left(&self) -> impl Future<Output = anyhow::Result<u64>> + Send;

    /// Renews the planner's statistics, where there is a planner.
    fn analyze(&self) -> impl Future<Output = anyhow::Result<()>> + Send {
        std::future::ready(Ok(()))
    }
}
