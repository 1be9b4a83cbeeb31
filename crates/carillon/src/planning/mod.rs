//! What a plan is before it is posts: campaigns, series, imports, feeds; and what leaves again.
//!
//! A post is made, changed and deleted by `publishing::schedule` alone; what is planned here writes
//! many of them in one transaction, each by that same path.

pub mod cadence;
pub mod calendar_feed;
pub mod campaigns;
pub mod export;
pub mod feeds;
mod html;
pub mod import;
pub mod materialise;
pub mod series;
