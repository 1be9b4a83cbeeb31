//! The connectors against the sandbox, which is written from the networks' documents.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is tests; clippy knows only their entry points"
)]

mod bluesky;
mod contract;
mod facebook;
mod gbp;
mod instagram;
mod mastodon;
mod segments;
mod support;
mod telegram;
mod tiktok;
mod wordpress;
mod youtube;
