//! A delivery: one post on one connection in one placement, and the states it can be in.

use crate::words;

words! {
    /// Where a delivery stands. Moves are made in `publishing/` only; see ARCHITECTURE.md.
    pub enum DeliveryState {
        /// Not committed to: its post is a draft.
        Draft = "draft",
        /// Waits for its time, its lane or its next try.
        Queued = "queued",
        /// The visible call may be under way: the intent is on disk.
        Sending = "sending",
        /// The network processes a handle of ours.
        Waiting = "waiting",
        /// A send without an answer: only looking tells.
        Unknown = "unknown",
        Published = "published",
        /// Refused or out of tries: a dead letter.
        Failed = "failed",
        Cancelled = "cancelled",
        /// A person decides: lateness, doubt.
        Held = "held",
        /// Its moment has passed (a story).
        Missed = "missed",
        /// Was published, then deleted at the network.
        Removed = "removed",
    }
}

impl DeliveryState {
    /// May its time, text or media still be changed?
    pub fn open(self) -> bool {
        use DeliveryState::*;
        matches!(self, Draft | Queued | Held | Missed | Cancelled | Failed)
    }

    /// Is work for it under way or to come?
    pub fn active(self) -> bool {
        use DeliveryState::*;
        matches!(self, Queued | Sending | Waiting | Unknown)
    }

    /// The reason why it cannot be cancelled, if it cannot.
    pub fn uncancellable(self) -> Option<&'static str> {
        use DeliveryState::*;
        match self {
            Draft | Queued | Held | Missed | Failed | Cancelled => None,
            Sending => Some("it is being sent right now"),
            Waiting => Some("the network is processing it"),
            Unknown => Some("it may be live already; Carillon is looking"),
            Published => Some("it is live; roll it back instead"),
            Removed => Some("it was published and removed"),
        }
    }
}
