//! Campaigns and series: posts that are planned, paused and cancelled as one.

use crate::words;

words! {
    pub enum CampaignKind {
        /// One post, now.
        Instant = "instant",
        /// A countdown to the day of an event, which moves with it.
        Event = "event",
        /// Between two days: launch, middle, last chance.
        Promotion = "promotion",
        /// On some weekdays, for so many weeks or without end.
        Weekly = "weekly",
    }
}

words! {
    pub enum CampaignState {
        /// Its posts are drafts.
        Draft = "draft",
        Scheduled = "scheduled",
        /// Nothing of it goes out until it is resumed.
        Paused = "paused",
        Cancelled = "cancelled",
        /// Nothing of it is to come. Read off its posts, never stored.
        Ended = "ended",
    }
}

words! {
    pub enum OccurrenceState {
        /// Its post stands.
        Post = "post",
        /// Its post is made when its time is nearer.
        Planned = "planned",
        /// It is left out.
        Skipped = "skipped",
    }
}

words! {
    pub enum SeriesState {
        Active = "active",
        /// No posts are made and none goes out until it is resumed.
        Paused = "paused",
        /// No posts are made any more.
        Ended = "ended",
    }
}
