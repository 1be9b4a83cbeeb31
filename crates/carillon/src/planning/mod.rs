//! What a plan is before it becomes posts and deliveries, and who has to agree to it.

pub mod gating;
pub mod links;
pub mod review;
