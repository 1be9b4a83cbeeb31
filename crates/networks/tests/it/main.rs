//! The connectors against the sandbox, which is written from the networks' documents.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is tests; clippy knows only their entry points"
)]

mod bluesky;
mod contract;
mod devto;
mod facebook;
mod ghost;
mod hashnode;
mod instagram;
mod lemmy;
mod mastodon;
mod segments;
mod support;
mod telegram;
mod webhook;
mod wordpress;
