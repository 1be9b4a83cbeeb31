//! What a network takes, as data: read by preflight, composer, API, CLI, docs and worker alike.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::oauth::{Life, OAuth};
use crate::poll::POLL;

/// One network's capability manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Stable name in data, URLs and files: `bluesky`.
    pub id: &'static str,
    /// `Bluesky`.
    pub name: &'static str,
    /// Two letters for chips: `BS`.
    pub code: &'static str,
    /// Where the API is when neither the connection nor an override says; empty when every
    /// connection has its own `server` setting.
    pub base_url: &'static str,
    /// How a person connects through the network's own consent page, where it has one.
    pub oauth: Option<OAuth>,
    /// How long the token lives that a connection holds.
    pub life: Life,
    /// What a person enters to connect, in order. With `oauth` the consent fills in what it can;
    /// the rest, and everything where no app is set up, is entered by hand.
    pub fields: &'static [Field],
    /// Where a post can go. The first is the default.
    pub placements: &'static [Placement],
    /// What it declares beside its placements; [`Spec::can`] is all of it.
    #[serde(skip)]
    pub abilities: Abilities,
    /// Posting budgets the network publishes; the account's own answer wins where it has one.
    pub budgets: &'static [Budget],
}

impl Spec {
    /// A network that asks for nothing and limits nothing: for those of tests and measurements.
    pub const fn bare(id: &'static str, placements: &'static [Placement]) -> Self {
        let abilities = Abilities { delete: false, read_back: true, alt_text: false };
        Self {
            id,
            name: id,
            code: "--",
            base_url: "http://bare.invalid",
            fields: &[],
            placements,
            abilities,
            oauth: None,
            life: Life::Endless,
            budgets: &[],
        }
    }

    pub fn placement(&self, id: &str) -> Option<&'static Placement> {
        self.placements.iter().find(|p| p.id == id)
    }

    /// Where the next part of a thread goes after this placement, if the network has threads.
    pub fn reply(&self, after: &str) -> Option<&'static Placement> {
        self.placement("reply").filter(|p| p.follows.contains(&after))
    }

    /// Where the first comment on this placement goes, if the network takes one.
    pub fn comment(&self, on: &str) -> Option<&'static Placement> {
        self.placement("comment").filter(|p| p.follows.contains(&on))
    }

    /// Is nothing left for `other` once the network has said that nothing is left for `spent`?
    pub fn one_budget(&self, spent: &Placement, other: &Placement) -> bool {
        let counting: Vec<_> = self.budgets.iter().filter(|b| b.counts(spent)).collect();
        spent.id == other.id
            || counting.iter().any(|budget| budget.counts(other))
            // It publishes none: then it is of all that it counts among its posts.
            || (counting.is_empty() && spent.in_budget && other.in_budget)
    }

    /// All that it can beside publishing.
    pub fn can(&self) -> Can {
        let Abilities { delete, read_back, alt_text } = self.abilities;
        Can {
            delete,
            read_back,
            alt_text,
            edit: self.placements.iter().any(|p| p.edit != Edit::No),
            measure: self.placements.iter().any(|p| !p.measures.is_empty()),
            polls: self.placements.iter().any(Placement::polls),
            threads: self.placement("reply").is_some(),
            first_comment: self.placement("comment").is_some(),
        }
    }
}

/// One thing to enter when connecting.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    pub key: &'static str,
    pub label: &'static str,
    /// Where to find it.
    pub help: &'static str,
    /// Sealed at rest, never shown again.
    pub secret: bool,
    /// Without it nothing is sent and the connection needs action. Fields that `check` fills in by
    /// itself are not required.
    pub required: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// `feed`, `story`, `reel`, `article`, `message`; `reply` and `comment` follow another.
    pub id: &'static str,
    pub name: &'static str,
    pub send: SendClass,
    /// The placements that it may follow, as the next part of a thread or a first comment; empty
    /// for one that stands alone.
    pub follows: &'static [&'static str],
    /// Does the network count it among its posts? A budget may count others.
    pub in_budget: bool,
    /// What can be changed once it is live.
    pub edit: Edit,
    /// What followers did to it that the network tells; empty: nothing.
    pub measures: &'static [Metric],
    pub text: Text,
    pub media: MediaRule,
    /// What else a post here can be told, in the order to ask for it.
    pub options: &'static [Choice],
}

impl Placement {
    /// A feed that takes plain text alone: for the networks of tests and measurements.
    pub const fn bare(send: SendClass) -> Self {
        let text = Text {
            max: 1_000,
            count: Count::Chars,
            max_bytes: None,
            max_with_media: None,
            question_max: None,
            max_hashtags: None,
            max_mentions: None,
            title_max: None,
            required: true,
        };
        let media = MediaRule {
            min: 0,
            max: 0,
            types: &[],
            max_bytes: 0,
            ratio: None,
            derivative: Derivative::Original,
            pull: false,
            alt_max: 0,
            video: None,
        };
        let options = &[];
        let (follows, edit, measures) = (&[], Edit::No, &[]);
        Self {
            id: "feed",
            name: "Feed",
            send,
            follows,
            in_budget: true,
            edit,
            measures,
            text,
            media,
            options,
        }
    }

    /// The error of one whose numbers its network does not tell.
    pub(crate) fn measured(&self) -> Result<(), Error> {
        if self.measures.is_empty() { Err(Error::unsupported("measure")) } else { Ok(()) }
    }

    /// Does it take polls?
    pub fn polls(&self) -> bool {
        self.options.iter().any(|option| option.key == POLL)
    }

    /// Can a post begin with it?
    pub fn stands_alone(&self) -> bool {
        self.follows.is_empty()
    }
}

/// What is known after a send whose answer was lost (ARCHITECTURE.md, "Send classes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "class", rename_all = "camelCase")]
pub enum SendClass {
    /// A: we choose the key; the same key again is harmless within `horizon`. `None`: for ever.
    #[serde(rename_all = "camelCase")]
    Keyed {
        #[serde(serialize_with = "opt_secs")]
        horizon: Option<Duration>,
    },
    /// B: a harmless first phase gives a handle whose state can be read.
    Handle,
    /// C: our recent posts can be listed and ours recognised; the listing may lag this long.
    #[serde(rename_all = "camelCase")]
    Readable {
        #[serde(serialize_with = "secs")]
        lag: Duration,
    },
    /// D: nothing can be read back: a person decides.
    Blind,
}

fn secs<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(d.as_secs())
}
fn opt_secs<S: serde::Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    match d {
        Some(d) => s.serialize_some(&d.as_secs()),
        None => s.serialize_none(),
    }
}

/// What of a live post can be changed. Media and answers to options stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Edit {
    No,
    Text,
    TitleAndText,
}

/// What followers did to a post, as its network counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// How often it was shown or played, the same person counted each time.
    Views,
    /// How many people it was shown to, each counted once.
    Reach,
    /// Reactions of any kind: likes, favourites, upvotes, emoji.
    Likes,
    /// Comments and replies.
    Comments,
    /// Passed on: reposts, quotes, shares.
    Shares,
    /// Kept for later: saves, bookmarks.
    Saves,
    /// How often its link was followed, or it was opened.
    Clicks,
}

impl Metric {
    pub const ALL: [Self; 7] = [
        Self::Views,
        Self::Reach,
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Saves,
        Self::Clicks,
    ];

    /// As it is written in data: `likes`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Views => "views",
            Self::Reach => "reach",
            Self::Likes => "likes",
            Self::Comments => "comments",
            Self::Shares => "shares",
            Self::Saves => "saves",
            Self::Clicks => "clicks",
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Text {
    /// Most units, counted as `count` says.
    pub max: usize,
    pub count: Count,
    /// A second limit in UTF-8 bytes, where the network has one.
    pub max_bytes: Option<usize>,
    /// The limit that holds when media is attached (Telegram's caption).
    pub max_with_media: Option<usize>,
    /// The limit of a text that is the question of a poll, where it is one: then it stays as it is.
    pub question_max: Option<usize>,
    pub max_hashtags: Option<usize>,
    pub max_mentions: Option<usize>,
    /// Most characters of a title; `None` where posts have no title.
    pub title_max: Option<usize>,
    /// Is a post without text refused, even with media?
    pub required: bool,
}

/// What a text stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    Media,
    Poll,
}

impl Text {
    /// Most units that may stand there.
    pub fn limit(&self, beside: Beside) -> usize {
        let other = match beside {
            Beside::Nothing => None,
            Beside::Media => self.max_with_media,
            Beside::Poll => self.question_max,
        };
        other.unwrap_or(self.max)
    }
}

/// How a network counts text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Count {
    /// Unicode code points.
    Chars,
    /// UTF-16 code units.
    Utf16,
    /// Bytes of UTF-8.
    Bytes,
    /// Extended grapheme clusters.
    Graphemes,
    /// Grapheme clusters, each URL with a scheme as 23, remote mentions without their host.
    Mastodon,
    /// X's weights: most letters 1, other characters and every emoji 2, links and bare domains 23.
    Weighted,
    /// Code points, but emoji by their bytes.
    Threads,
}

impl Count {
    /// What the unit is called beside a counter.
    pub fn unit(self) -> &'static str {
        match self {
            Count::Utf16 => "UTF-16 units",
            Count::Bytes => "bytes",
            _ => "characters",
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaRule {
    pub min: usize,
    pub max: usize,
    /// Content types that the network takes; others are converted to the first.
    pub types: &'static [&'static str],
    /// Most bytes of one picture.
    pub max_bytes: u64,
    /// Narrowest and widest width ÷ height.
    pub ratio: Option<(f32, f32)>,
    /// The derivative to send; `Original` re-encodes only when type or size demands it.
    pub derivative: Derivative,
    /// Does the network fetch media from a public address of ours?
    pub pull: bool,
    /// Most characters of a description for people who cannot see it; 0 where there is none.
    pub alt_max: usize,
    /// What the placement takes of videos, where it takes any; `min` and `max` count both.
    pub video: Option<VideoRule>,
}

/// The videos of a post.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoRule {
    /// Most videos of one post.
    pub max: usize,
    pub types: &'static [&'static str],
    pub max_bytes: u64,
    /// Shortest and longest, in seconds.
    pub seconds: (u32, u32),
    /// Narrowest and widest width ÷ height.
    pub ratio: Option<(f32, f32)>,
    /// Fewest pixels of the shorter side and most of the longer, where the network says.
    pub side: Option<(u32, u32)>,
    /// May pictures stand beside it?
    pub mixed: bool,
}

/// One thing more that a post can be told: a date, a button, who may see it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// Where its answer stands in [`Rendition::extra`](crate::Rendition::extra).
    pub key: &'static str,
    pub label: &'static str,
    /// What it does, and what holds where it is left empty.
    pub help: &'static str,
    /// Is a post refused without it?
    pub required: bool,
    pub kind: Kind,
}

/// What answers a [`Choice`]. Every answer is text; an empty one is none.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Kind {
    /// One line of at most this many characters.
    Line { max: usize },
    /// So many lines, each another, of at most `chars` characters each. Empty lines do not count.
    Lines { min: usize, max: usize, chars: usize },
    /// Words and phrases, apart by commas, of at most this many characters together.
    Words { max: usize },
    /// An address that begins with `https://` or `http://`.
    Link,
    /// A day, `2026-12-24`, or a minute of one, `2026-12-24T18:30`, by the clock at the place that
    /// the post is about.
    LocalTime,
    /// `true` or `false`.
    Flag,
    /// The value of one of these.
    OneOf { picks: &'static [Pick] },
    /// The id of a JPEG or PNG that stands in [`Rendition::media`](crate::Rendition::media) behind
    /// what the placement's own rule for media counts.
    #[serde(rename_all = "camelCase")]
    Picture { max_bytes: u64 },
}

/// The lines of an answer, without what surrounds them.
pub fn lines(answer: &str) -> impl Iterator<Item = &str> {
    answer.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// One of several answers.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pick {
    pub value: &'static str,
    pub label: &'static str,
}

/// The JPEG renditions made of every picture, cover-cropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Derivative {
    /// As uploaded.
    Original,
    /// 1080 × 1350.
    Square,
    /// 1080 × 1920.
    Story,
    /// 1920 × 1080.
    Landscape,
}

/// What a network can that its placements do not say.
#[derive(Debug, Clone, Copy)]
pub struct Abilities {
    pub delete: bool,
    pub read_back: bool,
    pub alt_text: bool,
}

/// What a network can beside publishing: what it declares, and what follows from its placements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Can {
    pub delete: bool,
    pub read_back: bool,
    pub alt_text: bool,
    /// Something of what is live can be changed; the placements say what of it.
    pub edit: bool,
    /// What followers did can be read; the placements say what of it.
    pub measure: bool,
    /// A post can carry a poll; the placements say what it takes.
    pub polls: bool,
    /// A post can go on in a thread.
    pub threads: bool,
    pub first_comment: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    pub posts: u32,
    #[serde(serialize_with = "secs")]
    pub per: Duration,
    /// The placements that it counts; empty: those that are `in_budget`.
    pub of: &'static [&'static str],
}

impl Budget {
    pub fn counts(&self, placement: &Placement) -> bool {
        match self.of {
            [] => placement.in_budget,
            some => some.contains(&placement.id),
        }
    }
}
