//! REST under `/api/v1`: one file a resource. Handlers are thin: parse, call, answer.

pub mod connections;
pub mod deliveries;
pub mod events;
pub mod health;
pub mod media;
pub mod networks;
pub mod posts;
pub mod queue;
pub mod session;
