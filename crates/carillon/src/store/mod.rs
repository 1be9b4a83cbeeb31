//! SQL, one file an aggregate, a function a question. Every statement is one plain literal, so
//! that a test can find and prepare them all on both databases.
//!
//! Functions take a [`Tx`](crate::db::Tx) and do not know who calls; rules live above. Every
//! question about a workspace's things names the workspace.

pub mod accounts;
pub mod alerts;
pub mod apps;
pub mod attempts;
pub mod audit;
pub mod budgets;
pub mod calendar;
pub mod calendar_links;
pub mod campaigns;
pub mod circuits;
pub mod connections;
pub mod consents;
pub mod dead_letters;
pub mod deliveries;
pub mod events;
pub mod feeds;
pub mod guards;
pub mod idempotency;
pub mod imports;
pub mod lanes;
pub mod library;
pub mod locks;
pub mod media;
pub mod nodes;
pub mod numbers;
pub mod pauses;
pub mod posts;
pub mod queue;
pub mod renditions;
pub mod review_links;
pub mod reviews;
pub mod sealed;
pub mod series;
pub mod snippets;
pub mod stock;
pub mod sweeps;
pub mod tokens;
pub mod trash;
pub mod uploads;
pub mod versions;

use serde::Serialize;

/// Some value of ours as JSON text.
pub(crate) fn json(value: &impl Serialize) -> String {
    // Our own types have string keys and no failing serialisers.
    serde_json::to_string(value).unwrap_or_else(|e| format!("\"{e}\""))
}
