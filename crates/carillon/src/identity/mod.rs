//! Who may come in, and how secrets are kept.

pub mod door;
pub mod keys;
pub mod sealing;
