//! An approval: whose turn it is, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

words! {
    /// Who is asked.
    pub enum Stage {
        /// Somebody of the workspace.
        Internal = "internal",
        Client = "client",
    }
}

words! {
    pub enum ReviewState {
        Open = "open",
        Approved = "approved",
        ChangesRequested = "changes_requested",
        /// What it was about is no longer there: edited, withdrawn, cancelled.
        Voided = "voided",
    }
}

/// How far a post is with its approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody is asked, or what was said no longer holds.
    None,
    Asked,
    /// Every stage said yes to what it is now.
    Given,
}

impl Standing {
    /// Of a post whose latest review is this one, where `last` lets posts out.
    pub fn of(latest: Option<(Stage, ReviewState)>, last: Stage) -> Self {
        match latest {
            Some((_, ReviewState::Open)) => Standing::Asked,
            // The client's yes comes after the workspace's own.
            Some((stage, ReviewState::Approved)) if stage >= last => Standing::Given,
            Some((_, ReviewState::Approved)) => Standing::Asked,
            _ => Standing::None,
        }
    }
}

/// What a review is about, in words: what a later one is compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Shown {
    pub text: String,
    pub title: Option<String>,
    pub media: Vec<ShownMedia>,
    pub deliveries: Vec<ShownDelivery>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ShownMedia {
    pub id: String,
    /// The number of its file.
    pub version: i64,
    pub alt: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ShownDelivery {
    pub id: String,
    pub parent_id: Option<String>,
    pub connection_id: String,
    pub network: String,
    pub placement: String,
    /// `null`: the post's text.
    pub text: Option<String>,
    pub options: BTreeMap<String, String>,
}
