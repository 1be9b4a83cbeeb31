//! The connectors against the sandbox, which is written from the networks' documents.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is tests; clippy knows only their entry points"
)]

mod bluesky;
mod consent;
mod contract;
mod devto;
mod discord;
mod discord_webhook;
mod edits;
mod email;
mod facebook;
mod gbp;
mod ghost;
mod hashnode;
mod instagram;
mod lemmy;
mod linkedin;
mod mastodon;
mod matrix;
mod nostr;
mod numbers;
mod pinterest;
mod polls;
mod reddit;
mod segments;
mod slack;
mod slack_webhook;
mod support;
mod telegram;
mod text;
mod threads;
mod tiktok;
mod tumblr;
mod webhook;
mod wordpress;
mod x;
mod youtube;
