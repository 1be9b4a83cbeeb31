//! REST under `/api/v1`: one file a resource. Handlers are thin: parse, call, answer.

pub mod alerts;
pub mod apps;
pub mod audit;
pub mod campaigns;
pub mod circuits;
pub mod connections;
pub mod consents;
pub mod content;
pub mod dead_letters;
pub mod deliveries;
pub mod events;
pub mod health;
pub mod library;
pub mod media;
pub mod networks;
mod paging;
pub mod pauses;
pub mod posts;
pub mod queue;
pub mod review_links;
pub mod reviews;
pub mod series;
pub mod session;
pub mod sweeps;
pub mod uploads;
pub mod workspace;
