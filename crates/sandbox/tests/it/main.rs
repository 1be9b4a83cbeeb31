//! The sandbox over real connections, as a connector meets it.

mod bluesky;
mod faults;
mod mastodon;
mod support;
mod telegram;
