//! What a plan is before it is posts: campaigns, series, imports, feeds, and who has to agree; and
//! what leaves again.
//!
//! A post is made, changed and deleted by `publishing::schedule` alone; what is planned here writes
//! many of them in one transaction, each by that same path.

pub mod cadence;
pub mod calendar_feed;
pub mod campaigns;
pub mod export;
pub mod feeds;
pub mod gating;
mod html;
pub mod import;
pub mod links;
pub mod locks;
pub mod materialise;
mod rehearse;
pub mod review;
pub mod series;
pub mod snippets;
