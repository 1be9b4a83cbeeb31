//! The heart: from a written post to a live one, once. Read deliver.rs first.

pub mod account;
pub mod budget;
pub mod circuits;
pub mod connecting;
pub mod dead_letters;
pub mod deliver;
pub mod desk;
pub mod draft;
pub mod drain;
pub mod guard;
pub mod lanes;
mod lineup;
mod measure;
pub mod outcome;
pub mod pausing;
pub mod plan;
pub mod preflight;
pub mod rollback;
pub mod schedule;
mod segments;
pub mod settle;
pub mod slots;
mod spool;
pub mod sweep;
pub mod view;
