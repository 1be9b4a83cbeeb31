//! The heart: from a written post to a live one, once. Read deliver.rs first.

pub mod account;
pub mod budget;
pub mod circuits;
pub mod connecting;
pub mod deliver;
pub mod outcome;
pub mod pausing;
pub mod rollback;
pub mod schedule;
pub mod settle;
pub mod sweep;
pub mod view;
