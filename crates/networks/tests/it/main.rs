//! The connectors against the sandbox, which is written from the networks' documents.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is tests; clippy knows only their entry points"
)]

mod bluesky;
mod consent;
mod contract;
mod email;
mod facebook;
mod instagram;
mod mastodon;
mod nostr;
mod pinterest;
mod reddit;
mod segments;
mod support;
mod telegram;
mod tumblr;
mod wordpress;
