//! What followers did to a post. Nobody reads along here, so it is nothing until somebody says
//! something else; each network's own endpoints answer from it.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::world::{Network, lock};

/// How often people did each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Numbers {
    pub views: u64,
    pub reach: u64,
    pub likes: u64,
    pub comments: u64,
    pub shares: u64,
    pub saves: u64,
    pub clicks: u64,
}

impl Numbers {
    /// The shares, where a network tells quotes apart from them.
    pub(crate) fn reposts(self) -> u64 {
        self.shares - self.quotes()
    }

    pub(crate) fn quotes(self) -> u64 {
        self.shares / 3
    }
}

#[derive(Default)]
pub(crate) struct Counts(Mutex<HashMap<(&'static str, String), Numbers>>);

impl Counts {
    pub(crate) fn set(&self, network: Network, id: &str, numbers: Numbers) {
        lock(&self.0).insert((network.id(), id.to_owned()), numbers);
    }

    pub(crate) fn of(&self, network: Network, id: &str) -> Numbers {
        lock(&self.0).get(&(network.id(), id.to_owned())).copied().unwrap_or_default()
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }
}
