//! What every part is handed: settings, clock, database, blobs, keys, the way out, a bell.

use std::sync::Arc;

use anyhow::Context;
use carillon_networks::http::Guard;
use carillon_networks::{Http, Network};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Db, Migrated};
use crate::identity::keys::Keys;
use crate::identity::sealing;
use crate::media::blobs::Blobs;
use crate::media::uploads::Underway;

/// The connectors that an [`App`] knows.
pub type Networks = &'static [&'static dyn Network];

/// One process's view of the product. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

pub struct Inner {
    pub config: Config,
    pub clock: Clock,
    pub db: Db,
    pub blobs: Blobs,
    pub keys: Keys,
    pub http: Http,
    pub networks: Networks,
    /// Rung after a commit that added or freed work.
    pub work: Notify,
    /// Rung after a commit that wrote events.
    pub news: Notify,
    /// Under which address this process is reached, once it listens.
    pub url: std::sync::OnceLock<String>,
    pub migrated: Migrated,
    /// What this process is receiving.
    pub uploads: Underway,
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Opens the database (bringing its schema up to date), the blob store and the key ring.
    pub async fn open(config: Config, clock: Clock) -> anyhow::Result<Self> {
        Self::open_with(config, clock, carillon_networks::ALL).await
    }

    /// The same with other connectors than ours: a simulation brings its own.
    pub async fn open_with(
        config: Config,
        clock: Clock,
        networks: Networks,
    ) -> anyhow::Result<Self> {
        let app = Self::open_unchecked(config, clock, networks).await?;
        app.check_keys(true).await?;
        Ok(app)
    }

    /// The same with a key ring that may not be the right one: for whoever looks after that.
    pub async fn open_unchecked(
        config: Config,
        clock: Clock,
        networks: Networks,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data.dir).with_context(|| {
            format!("cannot make the data folder {}", config.data.dir.display())
        })?;
        let keys = if config.secrets.keys.is_empty() {
            Keys::in_folder(&config.data.dir)?
        } else {
            Keys::parse(&config.secrets.keys)?
        };
        let (db, migrated) = Db::open(&config.data.database, clock.now())
            .await
            .context("cannot open the database")?;
        let blobs = Blobs::open(&config.data.dir.join("media"), &config.store)?;
        let mut allowed = config.networks.allow_hosts.clone();
        allowed.extend(host_of(&config.networks.sandbox));
        let http = Http::new(Guard::allowing(allowed));
        let app = Self(Arc::new(Inner {
            config,
            clock,
            db,
            blobs,
            keys,
            http,
            networks,
            work: Notify::new(),
            news: Notify::new(),
            url: std::sync::OnceLock::new(),
            migrated,
            uploads: Underway::default(),
        }));
        app.follow_database_clock().await?;
        Ok(app)
    }

    /// What a new process of the same installation has: its own settings, clock and handle to the
    /// database, and nothing of what this one keeps in memory.
    pub async fn again(&self, config: Config, clock: Clock) -> anyhow::Result<Self> {
        let opened = Db::open(&config.data.database, clock.now()).await;
        let (db, migrated) = opened.context("cannot open the database")?;
        let app = Self(Arc::new(Inner {
            config,
            clock,
            db,
            blobs: self.blobs.clone(),
            keys: self.keys.clone(),
            http: self.http.clone(),
            networks: self.networks,
            work: Notify::new(),
            news: Notify::new(),
            url: std::sync::OnceLock::new(),
            migrated,
            uploads: Underway::default(),
        }));
        app.check_keys(false).await?;
        Ok(app)
    }

    /// The connector of this id, for example `bluesky`.
    pub fn network(&self, id: &str) -> Option<&'static dyn Network> {
        find(self.networks, id)
    }

    /// Leases of several nodes are counted by the database's clock.
    pub async fn follow_database_clock(&self) -> anyhow::Result<()> {
        let ahead = self.db.clock_offset(self.clock.now()).await?;
        // Within the time of a round trip the two are equal.
        if ahead.abs() > 250 {
            self.clock.follow(ahead);
        }
        Ok(())
    }

    /// The ring must be the one that sealed what is here, before anything is sent: a wrong key is
    /// found at the start, not in the middle of the night. A single text that was damaged stops
    /// nobody but its own row. Keys that are `first` seen here are kept in mind.
    async fn check_keys(&self, first: bool) -> anyhow::Result<()> {
        let found = sealing::survey(&self.db, &self.keys).await?;
        found.fits()?;
        if first {
            match sealing::prove(self, &found).await {
                Err(refusal) if refusal.code == "key_wrong" => return Err(refusal.into()),
                Err(e) => {
                    tracing::warn!(error = %e, "the keys are not proven; the next start does it")
                }
                Ok(()) => {}
            }
        }
        for text in &found.damaged {
            tracing::error!(place = %text.place, row = %text.row, "a sealed text {}", text.reason);
        }
        Ok(())
    }

    /// Where browsers and networks reach this process, without a slash at its end.
    pub fn public_url(&self) -> String {
        match self.config.server.public_url.as_str() {
            "" => self.url.get().cloned().unwrap_or_default(),
            set => set.to_owned(),
        }
    }

    /// Rings after work was committed: here at once, at other nodes as a hint.
    pub fn ring(&self) {
        self.work.notify_one();
        self.news.notify_waiters();
        self.db.notify();
    }
}

/// The connector of this id among these.
pub fn find(networks: Networks, id: &str) -> Option<&'static dyn Network> {
    networks.iter().copied().find(|n| n.spec().id == id)
}

/// `host:port` of an address.
fn host_of(url: &str) -> Option<String> {
    let url: url::Url = url.parse().ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}
