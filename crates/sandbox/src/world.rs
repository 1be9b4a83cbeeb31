//! Everything the sandbox remembers: one state a network, the ledger, the faults, the requests.
//!
//! Each state sits behind its own lock, held for one request's look-ups and never across an await.
//! No question walks over all posts: every state is indexed by account and by the ids asked for.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use crate::Options;
use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Faults;
use crate::ledger::{Ledger, LedgerPost};
use crate::media::Blobs;
use crate::numbers::{Counts, Numbers};
use crate::requests::Requests;

/// One line a network: its module, id and name. Each module has a `State`, and the functions
/// `fields`, `aim`, `answer` and `refuse` (call.rs says what they are for); `processes` marks those
/// whose containers or media take time.
macro_rules! networks {
    ($($variant:ident = $module:ident, $id:literal, $name:literal $(, $processes:ident)?;)+) => {
        /// The networks that the sandbox speaks, in display order.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Network { $($variant,)+ }

        impl Network {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            pub(crate) fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Does it make a caller wait until something is processed?
            pub(crate) fn processes(self) -> bool {
                match self { $(Self::$variant => networks!(@ $($processes)?),)+ }
            }

            /// What somebody enters to connect `account`, when the network is at `base`.
            pub(crate) fn fields(self, account: &str, base: &str) -> Fields {
                match self { $(Self::$variant => crate::$module::fields(account, base),)+ }
            }

            pub(crate) fn aim(self, world: &World, call: &Call) -> Aim {
                match self { $(Self::$variant => crate::$module::aim(world, call),)+ }
            }

            pub(crate) async fn answer(self, world: &World, call: &Call) -> Answer {
                match self { $(Self::$variant => crate::$module::answer(world, call).await,)+ }
            }

            pub(crate) fn refuse(self, call: &Call, refusal: Refusal) -> Answer {
                match self { $(Self::$variant => crate::$module::refuse(call, refusal),)+ }
            }
        }

        /// What each network remembers.
        #[derive(Default)]
        pub(crate) struct States { $(pub(crate) $module: Mutex<crate::$module::State>,)+ }

        impl States {
            fn clear(&self) {
                $(*lock(&self.$module) = crate::$module::State::default();)+
            }
        }
    };
    (@ processes) => { true };
    (@) => { false };
}

networks! {
    Facebook = facebook, "facebook", "Facebook", processes;
    Instagram = instagram, "instagram", "Instagram", processes;
    Threads = threads, "threads", "Threads", processes;
    Linkedin = linkedin, "linkedin", "LinkedIn", processes;
    X = x, "x", "X";
    Bluesky = bluesky, "bluesky", "Bluesky", processes;
    Mastodon = mastodon, "mastodon", "Mastodon", processes;
    Pinterest = pinterest, "pinterest", "Pinterest";
    Reddit = reddit, "reddit", "Reddit";
    Tumblr = tumblr, "tumblr", "Tumblr";
    Tiktok = tiktok, "tiktok", "TikTok", processes;
    Youtube = youtube, "youtube", "YouTube", processes;
    Gbp = gbp, "gbp", "Google Business Profile", processes;
    Telegram = telegram, "telegram", "Telegram";
    Discord = discord, "discord", "Discord";
    DiscordWebhook = discord_webhook, "discord-webhook", "Discord webhook";
    Slack = slack, "slack", "Slack", processes;
    SlackWebhook = slack_webhook, "slack-webhook", "Slack webhook";
    Matrix = matrix, "matrix", "Matrix";
    Lemmy = lemmy, "lemmy", "Lemmy";
    Nostr = nostr, "nostr", "Nostr";
    Wordpress = wordpress, "wordpress", "WordPress";
    Ghost = ghost, "ghost", "Ghost";
    Devto = devto, "devto", "DEV Community";
    Hashnode = hashnode, "hashnode", "Hashnode";
    Email = email, "email", "Email";
    Webhook = webhook, "webhook", "Webhook";
}

/// Keys of a connection, and what goes there.
pub(crate) type Fields = Vec<(&'static str, String)>;

impl Network {
    pub(crate) fn find(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|n| n.id() == id)
    }
}

pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) faults: Faults,
    pub(crate) ledger: Ledger,
    pub(crate) requests: Requests,
    pub(crate) blobs: Blobs,
    pub(crate) counts: Counts,
    pub(crate) states: States,
    /// Where mail is taken, if anywhere.
    pub(crate) mail: OnceLock<SocketAddr>,
    /// Built at the first fetch: most sandboxes never fetch anything.
    pub(crate) client: OnceLock<Option<reqwest::Client>>,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            faults: Faults::default(),
            ledger: Ledger::default(),
            requests: Requests::default(),
            blobs: Blobs::default(),
            counts: Counts::default(),
            states: States::default(),
            mail: OnceLock::new(),
            client: OnceLock::new(),
        }
    }

    /// Milliseconds UTC.
    pub(crate) fn now(&self) -> i64 {
        (self.options.now)()
    }

    /// Every post that is or once was visible, oldest first.
    pub(crate) fn ledger(&self, network: Network) -> Vec<LedgerPost> {
        self.catch_up(network);
        self.ledger.all(network)
    }

    /// What followers did to a post, by the id that it has in the ledger.
    pub(crate) fn numbers(&self, network: Network, id: &str) -> Numbers {
        self.counts.of(network, id)
    }

    /// Lets appear what a network shows by itself at a time.
    pub(crate) fn catch_up(&self, network: Network) {
        match network {
            Network::Wordpress => crate::wordpress::tick(self, self.now()),
            Network::Youtube => crate::youtube::tick(self, self.now()),
            Network::Facebook => crate::facebook::tick(self, self.now()),
            Network::Tiktok => crate::tiktok::tick(self, self.now()),
            _ => {}
        }
    }

    /// Forgets everything but the options.
    pub(crate) fn reset(&self) {
        self.faults.clear();
        self.requests.clear();
        self.states.clear();
        self.ledger.clear();
        self.blobs.clear();
        self.counts.clear();
    }
}

/// The lock, also after a panic elsewhere: each change here is a single insert or assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// May an account be called so?
pub(crate) fn is_account(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// The account whose secret this is: `sandbox-{account}`.
pub(crate) fn account_of_secret(secret: &str) -> Option<&str> {
    secret.strip_prefix("sandbox-").filter(|name| is_account(name))
}

/// What [`account_of_secret`] reads.
pub(crate) fn secret_of(account: &str) -> String {
    format!("sandbox-{account}")
}

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

pub(crate) fn hex(data: &[u8]) -> String {
    use std::fmt::Write;
    data.iter().fold(String::with_capacity(data.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").ok();
        out
    })
}

/// A number that is always the same for a name, and different for different ones.
pub(crate) fn number_of(name: &str, digits: u32) -> u64 {
    let hash = sha256(name.as_bytes());
    let mut eight = [0; 8];
    eight.copy_from_slice(&hash[..8]);
    let low = 10_u64.pow(digits - 1);
    low + u64::from_be_bytes(eight) % (9 * low)
}

/// `2026-11-22T04:05:06.789Z`
pub(crate) fn iso(ms: i64) -> String {
    stamp(ms, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// A time in UTC by a strftime format; a time out of range reads as the epoch.
pub(crate) fn stamp(ms: i64, format: &str) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime(format)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_names_its_account() {
        assert_eq!(account_of_secret("sandbox-bike_shop-2"), Some("bike_shop-2"));
        assert_eq!(account_of_secret("sandbox-Bike"), None);
        assert_eq!(account_of_secret("sandbox-"), None);
        assert_eq!(account_of_secret("bike"), None);
    }

    #[test]
    fn a_number_has_its_digits() {
        for name in ["a", "b", "alice", "-"] {
            assert_eq!(number_of(name, 10).to_string().len(), 10);
        }
        assert_ne!(number_of("a", 10), number_of("b", 10));
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(iso(1_795_000_000_007), "2026-11-18T11:06:40.007Z");
        assert_eq!(iso(1_795_000_000_000), "2026-11-18T11:06:40.000Z");
    }
}
