//! The connectors against the sandbox, which is written from the networks' documents.

mod bluesky;
mod facebook;
mod instagram;
mod mastodon;
mod support;
mod telegram;
mod wordpress;
