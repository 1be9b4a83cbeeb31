//! Settings: one struct a concern, each field documented with what unset means.
//!
//! Every setting is one line of [`SETTINGS`]; reading a name that is not there is a bug that the
//! test below finds, as is a line that nobody reads. The reference in docs/configuration.md is
//! printed from the same table.

mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

pub use settings::{SETTINGS, Setting};

use crate::db::Location;
use crate::domain::budget::Budget;
use crate::words;

#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    pub data: Data,
    pub publishing: Publishing,
    pub queue: Queue,
    pub media: Media,
    pub store: Store,
    pub networks: Networks,
    pub secrets: Secrets,
}

/// Where the product listens and how it is reached.
#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// Address under which browsers and networks reach it, without a slash at its end; empty:
    /// whatever it listens on.
    pub public_url: String,
    /// Bearer secret of `POST /api/cron/publish`; empty: the endpoint is off.
    pub cron_secret: String,
    /// May admins look at what is stored of connections?
    pub connection_diagnostics: bool,
}

#[derive(Debug, Clone)]
pub struct Data {
    /// Holds the SQLite file, media and generated keys.
    pub dir: PathBuf,
    pub database: Location,
}

#[derive(Debug, Clone)]
pub struct Publishing {
    /// Waits before the second, third … try of a feed post.
    pub retries: Vec<Duration>,
    /// The same for stories, whose moment passes.
    pub story_retries: Vec<Duration>,
    /// When the network is asked after an unknown outcome, counted from the send.
    pub verify_after: Vec<Duration>,
    /// Later than this a delivery is held for a person.
    pub late_after: Duration,
    /// Later than this a story is missed.
    pub story_late_after: Duration,
    /// Between two late posts of one connection.
    pub late_gap: Duration,
    /// Posting budgets that differ from the networks' own.
    pub budgets: Vec<SetBudget>,
    /// So many failures within the window open a network's circuit for a while.
    pub breaker_failures: usize,
    pub breaker_window: Duration,
    pub breaker_open: Duration,
    /// Within this time the same content to the same connection is a duplicate.
    pub duplicate: Duration,
    /// Within this time two posts of one connection collide.
    pub collision: Duration,
    /// Is a picture demanded where the network does not demand one?
    pub media_required: bool,
}

/// A line of CARILLON_BUDGETS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBudget {
    pub network: String,
    /// Of all accounts together, not of each.
    pub shared: bool,
    /// `None`: without a budget.
    pub budget: Option<Budget>,
}

#[derive(Debug, Clone)]
pub struct Queue {
    pub lease: Duration,
    pub heartbeat: Duration,
    pub send_slots: usize,
    pub upload_slots: usize,
    /// Bytes of media above which a delivery uploads in the upload pool.
    pub upload_aside: u64,
    pub media_slots: usize,
    pub video_slots: usize,
    /// How often the tables are read when nobody gives a hint.
    pub poll: Duration,
    pub sweep_every: Duration,
}

#[derive(Debug, Clone)]
pub struct Media {
    /// Most bytes of an uploaded picture.
    pub image_max_bytes: u64,
    /// Most pixels a picture may unfold to.
    pub image_max_pixels: u64,
    /// Most bytes of any file that is uploaded in pieces.
    pub upload_max_bytes: u64,
    /// How long an upload is kept that nobody goes on with.
    pub upload_expires: Duration,
    /// Most bytes of an uploaded video.
    pub video_max_bytes: u64,
    /// Most bytes that the media of one workspace may take; 0: as many as there is room for.
    pub quota_bytes: u64,
    /// The programs that read and convert videos, by name or path.
    pub ffmpeg: String,
    pub ffprobe: String,
    /// Bytes on the disk of the data folder that work on videos leaves free.
    pub disk_reserve: u64,
}

words! {
    /// A place where media can be.
    pub enum Place {
        Disk = "disk",
        S3 = "s3",
    }
}

words! {
    /// Whose address networks that fetch media are given.
    pub enum Links {
        /// The store's where it can be reached by https and this server cannot.
        Auto = "auto",
        Server = "server",
        Store = "store",
    }
}

/// Where media are kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where new ones go; they are read from wherever they are.
    pub home: Place,
    pub s3: Option<S3>,
    pub links: Links,
}

/// A bucket of an S3-compatible store.
#[derive(Clone)]
pub struct S3 {
    /// Without a slash at its end; empty: AWS's own of the region.
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    pub key_id: String,
    pub secret: String,
    /// Is the bucket named in the path? Otherwise in the host.
    pub path_style: bool,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .finish()
    }
}

#[derive(Debug, Clone)]
pub struct Networks {
    /// Base of a sandbox that stands in for every network; empty: the networks themselves.
    pub sandbox: String,
    /// Hosts that may be private although the address guard refuses such.
    pub allow_hosts: Vec<String>,
    /// Longest time for one call.
    pub timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct Secrets {
    /// The key ring `id:base64,…`, newest first; empty: made into the data folder.
    pub keys: String,
}

impl Config {
    /// Reads every setting from where `get` looks (the environment); all mistakes at once, each a
    /// sentence.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let r = Reader { get: &get, wrong: Mutex::default(), asked: Mutex::default() };
        let config = Self::from(&r);
        config.agrees(&r);
        let wrong = r.wrong.into_inner().unwrap_or_else(|e| e.into_inner());
        if wrong.is_empty() { Ok(config) } else { Err(wrong) }
    }

    /// The environment of this process, with settings given on the command line before it.
    pub fn from_env(given: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        Self::read(|name| given.get(name).cloned().or_else(|| std::env::var(name).ok()))
    }

    fn from(r: &Reader<'_>) -> Self {
        let dir = PathBuf::from(r.text("CARILLON_DATA"));
        let database = match r.text("CARILLON_DATABASE").as_str() {
            "" => Location::Sqlite(dir.join("carillon.db")),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Location::Postgres(url.to_owned())
            }
            path => Location::Sqlite(path.strip_prefix("sqlite:").unwrap_or(path).into()),
        };
        Self {
            server: Server {
                listen: r.parse("CARILLON_LISTEN", "an address such as `127.0.0.1:8080`"),
                public_url: r.text("CARILLON_PUBLIC_URL").trim_end_matches('/').to_owned(),
                cron_secret: r.text("CRON_SECRET"),
                connection_diagnostics: r.yes("ENABLE_CONNECTION_DIAGNOSTICS"),
            },
            data: Data { dir, database },
            publishing: Publishing {
                retries: r.durations("CARILLON_RETRIES"),
                story_retries: r.durations("CARILLON_STORY_RETRIES"),
                verify_after: r.durations("CARILLON_VERIFY_AFTER"),
                late_after: r.duration("CARILLON_LATE_AFTER"),
                story_late_after: r.duration("CARILLON_STORY_LATE_AFTER"),
                late_gap: r.duration("CARILLON_LATE_GAP"),
                budgets: r.budgets("CARILLON_BUDGETS"),
                breaker_failures: r.parse("CARILLON_BREAKER_FAILURES", "a number"),
                breaker_window: r.duration("CARILLON_BREAKER_WINDOW"),
                breaker_open: r.duration("CARILLON_BREAKER_OPEN"),
                duplicate: r.days("CARILLON_DUPLICATE_DAYS"),
                collision: r.duration("CARILLON_COLLISION"),
                media_required: r.yes("CARILLON_MEDIA_REQUIRED"),
            },
            queue: Queue {
                lease: r.duration("CARILLON_LEASE"),
                heartbeat: r.duration("CARILLON_HEARTBEAT"),
                send_slots: r.parse("CARILLON_SEND_SLOTS", "a number"),
                upload_slots: r.parse("CARILLON_UPLOAD_SLOTS", "a number"),
                upload_aside: r.bytes("CARILLON_UPLOAD_ASIDE"),
                media_slots: r.parse("CARILLON_MEDIA_SLOTS", "a number"),
                video_slots: r.parse("CARILLON_VIDEO_SLOTS", "a number"),
                poll: r.duration("CARILLON_POLL"),
                sweep_every: r.duration("CARILLON_SWEEP_EVERY"),
            },
            media: Media {
                image_max_bytes: r.bytes("CARILLON_IMAGE_MAX"),
                image_max_pixels: r.parse("CARILLON_IMAGE_MAX_PIXELS", "a number"),
                upload_max_bytes: r.bytes("CARILLON_UPLOAD_MAX"),
                upload_expires: r.duration("CARILLON_UPLOAD_EXPIRES"),
                video_max_bytes: r.bytes("CARILLON_VIDEO_MAX"),
                quota_bytes: r.bytes("CARILLON_MEDIA_QUOTA"),
                ffmpeg: r.text("CARILLON_FFMPEG"),
                ffprobe: r.text("CARILLON_FFPROBE"),
                disk_reserve: r.bytes("CARILLON_DISK_RESERVE"),
            },
            store: Store {
                home: r.read("CARILLON_STORE", "`disk` or `s3`", |t| t.parse().ok()),
                s3: Some(S3 {
                    endpoint: r.text("CARILLON_S3_ENDPOINT").trim_end_matches('/').to_owned(),
                    bucket: r.text("CARILLON_S3_BUCKET"),
                    region: r.text("CARILLON_S3_REGION"),
                    key_id: r.text("CARILLON_S3_KEY_ID"),
                    secret: r.text("CARILLON_S3_SECRET"),
                    path_style: r.yes("CARILLON_S3_PATH_STYLE"),
                })
                .filter(|s3| !s3.bucket.is_empty()),
                links: r.read("CARILLON_MEDIA_LINKS", "`auto`, `server` or `store`", |t| {
                    t.parse().ok()
                }),
            },
            networks: Networks {
                sandbox: r.text("CARILLON_SANDBOX").trim_end_matches('/').to_owned(),
                allow_hosts: r.list("CARILLON_ALLOW_HOSTS"),
                timeout: r.duration("CARILLON_NETWORK_TIMEOUT"),
            },
            secrets: Secrets { keys: r.text("CARILLON_KEYS") },
        }
    }
}

impl Config {
    /// What is right in itself and wrong together.
    fn agrees(&self, r: &Reader<'_>) {
        let (lease, beat, call) = (self.queue.lease, self.queue.heartbeat, self.networks.timeout);
        let mut wrong = r.wrong.lock().unwrap_or_else(|e| e.into_inner());
        // A send is begun only while the lease outlasts it: this would put back each one for ever.
        if lease <= call {
            wrong.push(format!(
                "CARILLON_LEASE is {lease:?}, which is not longer than CARILLON_NETWORK_TIMEOUT ({call:?}): nothing could be sent"
            ));
        }
        if lease <= beat {
            wrong.push(format!(
                "CARILLON_LEASE is {lease:?}, which is not longer than CARILLON_HEARTBEAT ({beat:?}): every lease would run out"
            ));
        }
        match &self.store.s3 {
            None if self.store.home == Place::S3 => {
                wrong.push("CARILLON_STORE is `s3`, which needs CARILLON_S3_BUCKET".to_owned());
            }
            Some(s3) if s3.key_id.is_empty() || s3.secret.is_empty() => wrong.push(
                "CARILLON_S3_BUCKET is set, which needs CARILLON_S3_KEY_ID and CARILLON_S3_SECRET"
                    .to_owned(),
            ),
            Some(s3) if !is_origin(&s3.endpoint) => wrong.push(format!(
                "CARILLON_S3_ENDPOINT is `{}`, which is not an address such as `https://s3.example.org`",
                s3.endpoint
            )),
            _ => {}
        }
    }
}

/// An address of a host and nothing below it; or none.
fn is_origin(text: &str) -> bool {
    let web = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.path() == "/";
    text.is_empty() || text.parse().is_ok_and(|url| web(&url))
}

struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    wrong: Mutex<Vec<String>>,
    asked: Mutex<Vec<&'static str>>,
}

impl Reader<'_> {
    fn text(&self, name: &'static str) -> String {
        self.asked.lock().unwrap_or_else(|e| e.into_inner()).push(name);
        let default = || SETTINGS.iter().find(|s| s.name == name).map_or("", |s| s.default);
        (self.get)(name).map_or_else(|| default().to_owned(), |v| v.trim().to_owned())
    }

    fn read<T>(&self, name: &'static str, what: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let text = self.text(name);
        if let Some(value) = read(&text) {
            return value;
        }
        let mut wrong = self.wrong.lock().unwrap_or_else(|e| e.into_inner());
        wrong.push(format!("{name} is `{text}`, which is not {what}"));
        let default = SETTINGS.iter().find(|s| s.name == name).map_or("", |s| s.default);
        read(default).expect("the table's own defaults can be read")
    }

    fn parse<T: std::str::FromStr>(&self, name: &'static str, what: &str) -> T {
        self.read(name, what, |t| t.parse().ok())
    }

    fn yes(&self, name: &'static str) -> bool {
        self.read(name, "`true` or `false`", |t| match t {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        })
    }

    fn duration(&self, name: &'static str) -> Duration {
        self.read(name, "a time such as `500ms`, `15s`, `5m` or `2h`", duration)
    }

    fn days(&self, name: &'static str) -> Duration {
        self.read(name, "a number of days", |t| {
            t.parse::<u32>().ok().map(|days| Duration::from_secs(u64::from(days) * 86_400))
        })
    }

    fn durations(&self, name: &'static str) -> Vec<Duration> {
        self.read(name, "times such as `5m,15m,30m`", |t| t.split(',').map(duration).collect())
    }

    fn bytes(&self, name: &'static str) -> u64 {
        self.read(name, "a size such as `5MB`", |t| {
            let (number, unit) =
                t.split_at(t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len()));
            let unit = match unit.trim() {
                "" | "B" => 1,
                "KB" => 1_000,
                "MB" => 1_000_000,
                "GB" => 1_000_000_000,
                _ => return None,
            };
            number.parse::<u64>().ok()?.checked_mul(unit)
        })
    }

    fn budgets(&self, name: &'static str) -> Vec<SetBudget> {
        self.read(
            name,
            "budgets such as `instagram=50/1d,app.instagram=200/1h,telegram=none`",
            |t| t.split(',').map(str::trim).filter(|s| !s.is_empty()).map(set_budget).collect(),
        )
    }

    fn list(&self, name: &'static str) -> Vec<String> {
        self.text(name)
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// `instagram=50/1d`, `app.instagram=200/1h`, `telegram=none`
fn set_budget(text: &str) -> Option<SetBudget> {
    let (name, budget) = text.split_once('=')?;
    let (network, shared) = match name.trim().strip_prefix("app.") {
        Some(network) => (network, true),
        None => (name.trim(), false),
    };
    let network = carillon_networks::find(network)?.spec().id.to_owned();
    let budget = match budget.trim() {
        "none" => None,
        budget => {
            let (posts, per) = budget.split_once('/')?;
            let (posts, per) = (posts.trim().parse().ok()?, duration(per)?);
            if posts == 0 || per.is_zero() {
                return None;
            }
            Some(Budget { posts, per })
        }
    };
    Some(SetBudget { network, shared, budget })
}

/// `500ms`, `15s`, `5m`, `2h`, `7d`
/// `500ms`, `15s`, `5m`, `2h`, `90d`
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(ms).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read_and_nothing_else() {
        let get = |_: &str| None;
        let r = Reader { get: &get, wrong: Mutex::default(), asked: Mutex::default() };
        Config::from(&r);
        let mut asked = r.asked.into_inner().unwrap();
        let mut declared: Vec<&str> = SETTINGS.iter().map(|s| s.name).collect();
        asked.sort_unstable();
        declared.sort_unstable();
        assert_eq!(asked, declared);
        assert!(r.wrong.into_inner().unwrap().is_empty());
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let wrong = Config::read(|name| match name {
            "CARILLON_LISTEN" => Some("here".into()),
            "CARILLON_RETRIES" => Some("5m,soon".into()),
            "CARILLON_IMAGE_MAX" => Some("5 apples".into()),
            _ => None,
        })
        .expect_err("three mistakes");
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong.iter().any(|w| w.contains("CARILLON_RETRIES is `5m,soon`")));
    }

    #[test]
    fn a_bucket_comes_with_its_keys_and_its_secret_is_not_told() {
        let with = |all: &[(&'static str, &'static str)]| {
            Config::read(|name| all.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        let wrong = |all: &[_]| with(all).err().unwrap_or_default().join("; ");
        assert!(wrong(&[("CARILLON_STORE", "s3")]).contains("CARILLON_S3_BUCKET"));
        assert!(wrong(&[("CARILLON_S3_BUCKET", "media")]).contains("CARILLON_S3_KEY_ID"));
        let bucket = [
            ("CARILLON_STORE", "s3"),
            ("CARILLON_S3_BUCKET", "media"),
            ("CARILLON_S3_KEY_ID", "AKIA"),
            ("CARILLON_S3_SECRET", "hush-hush"),
        ];
        for (endpoint, fine) in [
            ("", true),
            ("https://s3.example.org/", true),
            ("http://127.0.0.1:9000", true),
            ("s3.example.org", false),
            ("https://s3.example.org/media", false),
            ("file:///media", false),
        ] {
            let all = [&bucket[..], &[("CARILLON_S3_ENDPOINT", endpoint)]].concat();
            let read = with(&all);
            assert_eq!(read.is_ok(), fine, "{endpoint}");
            assert!(!format!("{read:?}").contains("hush-hush"), "{endpoint}");
        }
    }

    #[test]
    fn a_lease_outlasts_a_call_and_a_heartbeat() {
        let wrong = |lease: &'static str| {
            let read = Config::read(|name| (name == "CARILLON_LEASE").then(|| lease.into()));
            read.err().map_or(0, |wrong| wrong.len())
        };
        assert_eq!([wrong("10s"), wrong("20s"), wrong("21s")], [2, 1, 0]);
    }
}
