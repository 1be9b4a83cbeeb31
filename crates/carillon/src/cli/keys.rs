//! `carillon keys`: keys that seal tokens.

use clap::Subcommand;

use super::Out;
use crate::identity;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key, in the form that CARILLON_KEYS takes
    New,
}

impl Keys {
    pub(super) fn run(&self, out: &Out) {
        match self {
            Keys::New => {
                let key = identity::keys::Keys::fresh();
                out.show(&serde_json::json!({ "key": key }), |_| {
                    format!("{key}\n\nPut it first in CARILLON_KEYS, before the keys that sealed older data.")
                });
            }
        }
    }
}
