//! What somebody should know now, by kind.

use crate::words;

words! {
    /// Of one kind and subject at most one alert is open.
    pub enum AlertKind {
        /// Something should have gone out minutes ago. Its subject is a workspace.
        DeliveryLate = "delivery_late",
        /// Nobody claims what is due. Its subject is the installation.
        NoWorker = "no_worker",
        /// A delivery will fail when its time comes. Its subject is the delivery.
        PreflightFailed = "preflight_failed",
        /// A network refused a connection. Its subject is the connection.
        ConnectionNeedsAction = "connection_needs_action",
        /// A connection stops working soon unless a person connects it again. Its subject is the
        /// connection.
        ConnectionEnds = "connection_ends",
        /// A picture or video cannot be used as it is. Its subject is the medium.
        MediaFailed = "media_failed",
        /// A workspace's media come near what they may take. Its subject is the workspace.
        MediaQuotaNear = "media_quota_near",
        /// They take all of it: nothing more is taken in. Its subject is the workspace.
        MediaQuotaFull = "media_quota_full",
        /// Posts of a series could not be made. Its subject is the series.
        SeriesUnplanned = "series_unplanned",
        /// A feed has failed for a day. Its subject is the feed.
        FeedFailing = "feed_failing",
        /// Nothing is sent to a network for a while. Its subject is the circuit.
        CircuitOpen = "circuit_open",
        /// A post that was approved or asked about was changed, so it does not go out. Its subject
        /// is the post.
        ApprovalLost = "approval_lost",
        /// Posts' time is near or has passed, and nobody has answered about them. Its subject is the
        /// workspace.
        ApprovalDue = "approval_due",
        /// Whoever looked at a post wants it otherwise. Its subject is the post.
        ChangesRequested = "changes_requested",
    }
}
