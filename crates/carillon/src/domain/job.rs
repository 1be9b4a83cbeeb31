//! A job: a durable unit of work, and the claim on it.

use crate::words;

words! {
    /// What a job does; the handler is found by it.
    pub enum Kind {
        /// Moves one delivery on: send, poll or look, as its state says.
        Deliver = "deliver",
        /// Makes a picture's derivatives; looks into a video.
        Derive = "derive",
        /// Makes one rendition of a video.
        Transcode = "transcode",
        /// Frees expired leases and repairs lanes.
        Sweep = "sweep",
        /// Removes what is kept for a while only.
        Prune = "prune",
        /// Finds deliveries to look at before their time.
        Preflight = "preflight",
        /// Looks at those of one connection.
        Check = "check",
        /// Finds connections whose tokens are to be renewed, or end.
        Tokens = "tokens",
        /// Renews the tokens of one connection.
        Renew = "renew",
        /// Makes the posts of series four weeks ahead.
        Materialise = "materialise",
        /// Asks feeds for what is new.
        Feeds = "feeds",
        /// Enqueues media that were never finished.
        MediaNet = "media_net",
    }
}

words! {
    /// Work that may delay only its own kind: each pool has its own slots in every worker.
    pub enum Pool {
        Send = "send",
        /// Large files on their way to a network, before their post is sent.
        Upload = "upload",
        Media = "media",
        /// Videos being converted, which takes minutes.
        Video = "video",
        /// Questions to networks before anything is sent.
        Check = "check",
        Housekeeping = "housekeeping",
    }
}

impl Kind {
    pub fn pool(self) -> Pool {
        match self {
            Kind::Deliver => Pool::Send,
            Kind::Derive => Pool::Media,
            Kind::Transcode => Pool::Video,
            Kind::Check | Kind::Renew | Kind::Feeds => Pool::Check,
            Kind::Sweep
            | Kind::Prune
            | Kind::MediaNet
            | Kind::Preflight
            | Kind::Tokens
            | Kind::Materialise => Pool::Housekeeping,
        }
    }
}

/// A job to be written.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub kind: Kind,
    /// What the work is grouped by; one lane is worked `width` jobs at a time.
    pub lane: String,
    pub width: i64,
    /// The id of what it works on.
    pub subject: String,
    pub run_at: i64,
    /// Written once: a second job with this key is not made.
    pub unique_key: Option<String>,
}

/// A job that this node holds until `lease_until`. Every later write names `id`, `fence` and
/// `owner`; when none of the rows match, the claim was lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub id: String,
    pub kind: Kind,
    /// Whose slot it takes.
    pub pool: Pool,
    pub lane: String,
    pub subject: String,
    pub fence: i64,
    pub owner: String,
    /// ms UTC by the database's clock.
    pub lease_until: i64,
    pub run_at: i64,
    pub tries: i64,
    /// The one job that finds out whether an open circuit's network works again.
    pub probe: bool,
}
