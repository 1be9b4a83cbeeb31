//! Where one measurement takes place: an empty folder, an empty database or a new Redis, and the
//! servers that work for the contender.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::contenders::{Contender, Store};
use crate::measure::{self, Used};
use crate::process::Process;

/// One PostgreSQL for the whole run, at its defaults; every measurement has a database of its own.
pub(crate) struct Cluster {
    _server: Process,
    _folder: TempDir,
    url: String,
    pid: u32,
    pub(crate) version: String,
}

impl Cluster {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/carillon/tests/live/postgres.sh");
        let mut command = Command::new("bash");
        command.arg(script).arg(folder.path());
        let (server, said) = Process::start(command)?;
        let said: Value = serde_json::from_str(&said)?;
        let text = |key: &str| said[key].as_str().context("the cluster said too little");
        let pid = std::fs::read_to_string(Path::new(text("socket")?).join("data/postmaster.pid"))?;
        let mut cluster = Self {
            url: text("url")?.to_owned(),
            pid: pid.lines().next().context("no pid")?.trim().parse()?,
            _server: server,
            _folder: folder,
            version: String::new(),
        };
        cluster.version = cluster.run("SHOW server_version")?.unwrap_or_default();
        Ok(cluster)
    }

    /// Runs one statement; the first column of its first row.
    #[tokio::main(flavor = "current_thread")]
    async fn run(&self, sql: &str) -> Result<Option<String>> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        let rows = client.simple_query(sql).await?;
        Ok(rows.iter().find_map(|m| match m {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// The address of a database beside the first.
    pub(crate) fn url_of(&self, database: &str) -> String {
        let (start, _) = self.url.rsplit_once('/').unwrap_or((&self.url, ""));
        format!("{start}/{database}")
    }

    pub(crate) fn create(&self, database: &str) -> Result<()> {
        self.run(&format!("CREATE DATABASE {database}")).map(drop)
    }

    pub(crate) fn drop(&self, database: &str) -> Result<()> {
        self.run(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).map(drop)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

pub(crate) struct Stage<'a> {
    contender: &'a Contender,
    // Before its folder: in this order they go.
    _redis: Option<Process>,
    folder: TempDir,
    url: Option<String>,
    servers: Vec<u32>,
    cluster: Option<&'a Cluster>,
}

const DATABASE: &str = "bench";

impl<'a> Stage<'a> {
    pub(crate) fn open(contender: &'a Contender, cluster: Option<&'a Cluster>) -> Result<Self> {
        let mut stage = Self {
            contender,
            _redis: None,
            folder: tempfile::tempdir()?,
            url: None,
            servers: Vec::new(),
            cluster: None,
        };
        match contender.store {
            Store::Sqlite(_) => {}
            Store::Postgres => {
                let cluster = cluster.context("PostgreSQL was not started")?;
                cluster.drop(DATABASE)?;
                cluster.create(DATABASE)?;
                stage.url = Some(cluster.url_of(DATABASE));
                stage.servers.push(cluster.pid());
                stage.cluster = Some(cluster);
            }
            Store::Redis(fsync) => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/redis.sh");
                let mut command = Command::new("bash");
                command.arg(script).arg(stage.folder.path().join("server")).arg(fsync);
                let (redis, said) = Process::start(command)?;
                let said: Value = serde_json::from_str(&said)?;
                stage.url = said["url"].as_str().map(str::to_owned);
                stage.servers.push(said["pid"].as_u64().context("no pid")? as u32);
                stage._redis = Some(redis);
            }
        }
        Ok(stage)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a process of the contender on this stage.
    pub(crate) fn start(&self, in_hand: Option<usize>) -> Result<Actor<'_>> {
        let place = json!({
            "folder": self.folder.path(),
            "url": self.url,
            "sync": match self.contender.store { Store::Sqlite(sync) => Some(sync), _ => None },
            "in_hand": in_hand,
        });
        let mut command = self.contender.command()?;
        command.arg(place.to_string());
        let (process, _) = Process::start(command)?;
        Ok(Actor { process, stage: self })
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster
            && let Err(e) = cluster.drop(DATABASE)
        {
            eprintln!("a database was left behind: {e:#}");
        }
    }
}

/// One process of the contender under measurement.
pub(crate) struct Actor<'a> {
    process: Process,
    stage: &'a Stage<'a>,
}

/// What a contender has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) own: Used,
    pub(crate) servers: Used,
}

impl Actor<'_> {
    pub(crate) fn ask(&mut self, command: Value, limit: Duration) -> Result<Value> {
        self.process.ask(&command, limit)
    }

    pub(crate) fn cost(&self) -> Result<Cost> {
        Ok(Cost {
            own: measure::used(&[self.process.id()])?,
            servers: measure::used(&self.stage.servers)?,
        })
    }

    /// MB now and at most.
    pub(crate) fn memory(&self) -> Result<(f64, f64)> {
        measure::memory(self.process.id())
    }

    pub(crate) fn kill(self) -> Result<()> {
        self.process.kill()
    }
}
