//! The sandbox over real connections, as a connector meets it.

mod bluesky;
mod facebook;
mod faults;
mod instagram;
mod mastodon;
mod page;
mod support;
mod telegram;
mod wordpress;
