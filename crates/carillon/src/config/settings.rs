//! The table of settings: what `config print`, `config check` and docs/configuration.md show.

/// One setting, read from the environment.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    /// What unset means.
    pub default: &'static str,
    pub help: &'static str,
    /// Printed masked.
    pub secret: bool,
}

const fn open(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help, secret: false }
}

const fn secret(name: &'static str, help: &'static str) -> Setting {
    Setting { name, default: "", help, secret: true }
}

pub static SETTINGS: &[Setting] = &[
    open("CARILLON_LISTEN", "127.0.0.1:8080", "Address to listen on; port 0 takes a free one"),
    open(
        "CARILLON_PUBLIC_URL",
        "",
        "Address under which browsers and networks reach this server; unset: the address it listens on",
    ),
    secret("CRON_SECRET", "Bearer secret of `POST /api/cron/publish`; unset: that endpoint is off"),
    open(
        "ENABLE_CONNECTION_DIAGNOSTICS",
        "false",
        "Whether admins may look at what is stored of connections: masked tokens, their ends, metadata, keys",
    ),
    open("CARILLON_DATA", "data", "Folder for the SQLite file, media and generated keys"),
    secret(
        "CARILLON_DATABASE",
        "`postgres://…`, or the path of a SQLite file; unset: `carillon.db` in the data folder",
    ),
    open("CARILLON_RETRIES", "5m,15m,30m", "Waits before the tries after the first"),
    open("CARILLON_STORY_RETRIES", "30s,1m,2m", "The same for stories"),
    open(
        "CARILLON_VERIFY_AFTER",
        "10s,1m,5m,30m",
        "When to look at the network after a send without an answer",
    ),
    open(
        "CARILLON_LATE_AFTER",
        "60m",
        "Later than this a delivery is held for a person instead of sent",
    ),
    open("CARILLON_STORY_LATE_AFTER", "5m", "Later than this a story is missed"),
    open(
        "CARILLON_LATE_GAP",
        "30s",
        "Least time between two posts of one connection that are over 2 min late",
    ),
    open(
        "CARILLON_BUDGETS",
        "",
        "Posting budgets instead of the networks' own: `instagram=50/1d` for each account, `app.instagram=200/1h` \
         for all accounts together, `telegram=none` for no budget; comma separated",
    ),
    open(
        "CARILLON_BREAKER_FAILURES",
        "5",
        "Failures of a network within CARILLON_BREAKER_WINDOW that open its circuit",
    ),
    open("CARILLON_BREAKER_WINDOW", "60s", "See CARILLON_BREAKER_FAILURES"),
    open(
        "CARILLON_BREAKER_OPEN",
        "5m",
        "How long an open circuit keeps everything waiting before one post tries",
    ),
    open(
        "CARILLON_DUPLICATE_DAYS",
        "7",
        "The same content to the same connection within so many days is refused unless it is allowed; 0: never",
    ),
    open(
        "CARILLON_COLLISION",
        "30m",
        "Another post of the same connection within this time is refused unless it is allowed; `0m`: never",
    ),
    open(
        "CARILLON_MEDIA_REQUIRED",
        "false",
        "Whether every post needs a picture even where the network does not ask for one",
    ),
    open("CARILLON_LEASE", "60s", "How long a worker holds a job without a sign of life"),
    open("CARILLON_HEARTBEAT", "15s", "How often a worker gives a sign of life"),
    open("CARILLON_SEND_SLOTS", "64", "Deliveries in flight at once, a worker"),
    open("CARILLON_UPLOAD_SLOTS", "16", "Large uploads to networks at once, a worker"),
    open(
        "CARILLON_UPLOAD_ASIDE",
        "2MB",
        "A delivery with more media than this uploads it in a pool of its own before its turn to be sent",
    ),
    open(
        "CARILLON_MEDIA_SLOTS",
        "2",
        "Pictures processed and videos looked into at once, a worker",
    ),
    open("CARILLON_VIDEO_SLOTS", "1", "Videos converted at once, a worker"),
    open("CARILLON_POLL", "1s", "How often due work is looked for when no hint comes"),
    open("CARILLON_SWEEP_EVERY", "10s", "How often expired leases are freed"),
    open("CARILLON_IMAGE_MAX", "5MB", "Largest picture that may be uploaded"),
    open("CARILLON_IMAGE_MAX_PIXELS", "100000000", "Most pixels a picture may unfold to"),
    open("CARILLON_UPLOAD_MAX", "4GB", "Largest file of any type that may be uploaded in pieces"),
    open(
        "CARILLON_UPLOAD_EXPIRES",
        "24h",
        "How long an upload waits for its next bytes before what has arrived of it goes",
    ),
    open(
        "CARILLON_MEDIA_QUOTA",
        "0",
        "What the media of one workspace may take, with what is made of them and what is in the trash, such as `50GB`; \
         `0`: no limit. Uploads beyond it are refused; people are told at 80 % and at 100 %",
    ),
    open(
        "CARILLON_STORE",
        "disk",
        "Where new media go: `disk`, the folder `media` in the data folder, or `s3`, the bucket named below. They \
         are read from wherever they are; `carillon media move` moves what is there already",
    ),
    open("CARILLON_S3_BUCKET", "", "Bucket of an S3-compatible store; unset: none"),
    open(
        "CARILLON_S3_ENDPOINT",
        "",
        "Address of that store, which may be a private one: `https://s3.example.org`; unset: AWS's own of the region",
    ),
    open("CARILLON_S3_REGION", "us-east-1", "Region of the bucket; `auto` for Cloudflare R2"),
    open("CARILLON_S3_KEY_ID", "", "Access key of the bucket"),
    secret("CARILLON_S3_SECRET", "Secret of that key"),
    open(
        "CARILLON_S3_PATH_STYLE",
        "true",
        "Whether the bucket is named in the path; `false`: in the host, as `https://bucket.s3.example.org`",
    ),
    open(
        "CARILLON_MEDIA_LINKS",
        "auto",
        "Which link networks that fetch media are given, good for a day: `server`, one of this server; `store`, one \
         that the S3 store signs; `auto`: the store's where it can be reached by https and CARILLON_PUBLIC_URL cannot",
    ),
    open("CARILLON_VIDEO_MAX", "4GB", "Largest video that may be uploaded"),
    open("CARILLON_FFMPEG", "ffmpeg", "The ffmpeg program, by name or path; videos need it"),
    open("CARILLON_FFPROBE", "ffprobe", "The ffprobe program, which comes with ffmpeg"),
    open(
        "CARILLON_DISK_RESERVE",
        "1GB",
        "Room on the disk of the data folder that stays free: a video waits rather than fill it",
    ),
    open(
        "CARILLON_SANDBOX",
        "",
        "Address of a sandbox that stands in for every network; unset: the networks themselves",
    ),
    open(
        "CARILLON_ALLOW_HOSTS",
        "",
        "Private hosts that may be spoken to, `host` or `host:port`, comma separated",
    ),
    open("CARILLON_NETWORK_TIMEOUT", "20s", "Longest time for one call to a network"),
    secret(
        "CARILLON_KEYS",
        "Key ring `id:base64 of 32 bytes,…`, newest first; unset: made into the data folder at first start",
    ),
];
