//! What a plan is before it is posts: campaigns, series, what comes round, and who has to agree.
//!
//! A post is made, changed and deleted by `publishing::schedule` alone; what is planned here writes
//! many of them in one transaction, each by that same path.

pub mod cadence;
pub mod campaigns;
pub mod gating;
pub mod links;
pub mod locks;
pub mod materialise;
pub mod review;
pub mod series;
pub mod snippets;
