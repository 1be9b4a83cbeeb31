//! The sandbox over real connections, as a connector meets it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod bluesky;
mod facebook;
mod faults;
mod instagram;
mod judges;
mod mastodon;
mod page;
mod support;
mod telegram;
mod wordpress;
