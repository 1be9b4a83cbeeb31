//! The queue: claims due work with a lease and a fence, keeps the lease alive, frees what died.
//!
//! A worker knows kinds and pools, not what the work is: [`work`](crate::work) says what runs. A
//! job that dies with its process is freed when its lease ends; whoever still holds the old claim
//! finds that its fence no longer matches and touches nothing.

pub mod cron;
pub mod worker;

use std::time::Duration;

/// How a handler leaves its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The handler ended or put back the job itself, in the transaction of its own work.
    Settled,
    Done,
    /// Once more after this time; it counts as a try.
    Again {
        after: Duration,
        error: String,
    },
    /// Never again.
    Dead {
        error: String,
    },
}
