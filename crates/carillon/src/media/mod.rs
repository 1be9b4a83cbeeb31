//! From a file somebody uploads to what each network takes.

pub mod blobs;
pub mod cleaning;
pub mod derive;
pub(crate) mod fetching;
pub mod finding;
mod framing;
pub mod intake;
pub mod library;
pub mod links;
pub mod moving;
pub mod scratch;
pub mod trash;
pub mod uploads;
pub mod usage;
pub mod versions;
pub mod video;
pub mod words;

use crate::domain::problem::Problem;

/// Why a medium cannot go out with a delivery now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It is still being prepared.
    NotYet,
    /// The store is away: later may work. A sentence.
    Away(String),
    /// It never will.
    Never(Problem),
}
