//! What is wrong, as it is kept and shown: one plain sentence, one next action.

use serde::{Deserialize, Serialize};

/// A failure with its class. `class` and `action` are the words of the connectors' errors
/// (`auth`, `rate_limit`, …; `reconnect`, `edit_post`, …) plus our own (`late`, `media`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub class: String,
    /// What happened, in one sentence.
    pub sentence: String,
    pub action: String,
    /// What to do now, in one sentence.
    pub action_sentence: String,
    /// HTTP status of the network's answer, where there was one.
    #[serde(default)]
    pub status: Option<u16>,
    /// The network's own code.
    #[serde(default)]
    pub code: Option<String>,
    /// The network's own name of the exchange.
    #[serde(default)]
    pub request_id: Option<String>,
}

impl Problem {
    pub fn new(class: &str, sentence: impl Into<String>, action: &str, next: &str) -> Self {
        Self {
            class: class.into(),
            sentence: sentence.into(),
            action: action.into(),
            action_sentence: next.into(),
            status: None,
            code: None,
            request_id: None,
        }
    }
}
