//! The shipped binary as its users run it: `carillon serve` as one process, the sandbox as another,
//! everything over HTTP on loopback. It is furnished by this process, before the server starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use carillon::clock::Clock;
use carillon::config::Config;
use carillon::domain::delivery::DeliveryState;
use carillon::domain::when;
use carillon::identity::door;
use carillon::publishing::connecting::{self, New};
use carillon::publishing::schedule::{self, Draft, DraftDelivery};
use carillon::store::accounts::{self, Workspace};
use carillon::store::deliveries;
use carillon::{App, ids};
use futures_util::{StreamExt, TryStreamExt};
use tempfile::TempDir;

use crate::process::Process;

pub(crate) struct Shipped<'a> {
    binary: &'a Path,
    _sandbox: Process,
    sandbox: String,
    folder: TempDir,
    /// By their names in the environment.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) app: App,
    pub(crate) workspace: String,
    /// Of the REST API.
    pub(crate) key: String,
}

impl<'a> Shipped<'a> {
    /// A workspace on an empty database (SQLite if none is named), and a sandbox that takes so many
    /// ms a call.
    pub(crate) async fn open(
        binary: &'a Path,
        latency_ms: u64,
        database: Option<String>,
        more: &[(&str, usize)],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(binary);
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--latency", &latency_ms.to_string()]);
        let (process, sandbox) = program(command)?;
        let mut settings = BTreeMap::from([
            ("CARILLON_DATA".to_owned(), folder.path().display().to_string()),
            ("CARILLON_SANDBOX".to_owned(), sandbox.clone()),
            ("CARILLON_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ]);
        settings.extend(database.map(|url| ("CARILLON_DATABASE".to_owned(), url)));
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())));
        let app = open(&settings).await?;
        let now = app.clock.now();
        let workspace = ids::new(now);
        let w = Workspace {
            id: workspace.clone(),
            name: "bench".into(),
            timezone: "UTC".into(),
            demo_at: None,
        };
        let key = app.db.write(move |tx| async move {
            accounts::add_workspace(&tx, &w, now).await?;
            door::make_key(&tx, &w.id, "bench", now).await
        });
        let key = key.await?;
        Ok(Self { binary, _sandbox: process, sandbox, folder, settings, app, workspace, key })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn now(&self) -> i64 {
        self.app.clock.now()
    }

    /// Starts the server; its process, and its address.
    pub(crate) fn serve(&self) -> Result<(Process, String)> {
        let mut command = Command::new(self.binary);
        command.arg("serve").envs(&self.settings);
        program(command)
    }

    /// Accounts of their own, connected as people do it: they are looked at before anything is due.
    pub(crate) async fn connect(&self, count: usize) -> Result<Vec<String>> {
        let one = async |number: usize| -> Result<String> {
            let entered = |name: &str, value: String| [(name.to_owned(), value)].into();
            let new = New {
                network: "mastodon".into(),
                name: Some(format!("lane {number}")),
                settings: entered("server", format!("{}/mastodon", self.sandbox)),
                credentials: entered("accessToken", format!("sandbox-lane{number}")),
            };
            Ok(connecting::add(&self.app, &self.workspace, new).await?.id)
        };
        futures_util::stream::iter((0..count).map(one)).buffer_unordered(16).try_collect().await
    }

    /// A post to these connections.
    pub(crate) async fn schedule(&self, due: i64, targets: &[String]) -> Result<()> {
        self.post(due, targets, Vec::new()).await
    }

    pub(crate) async fn post(
        &self,
        due: i64,
        targets: &[String],
        media: Vec<String>,
    ) -> Result<()> {
        let to =
            |c: &String| DraftDelivery { connection_id: c.clone(), ..DraftDelivery::default() };
        let draft = Draft {
            text: format!("Number {}", ids::new(due)),
            scheduled_at: Some(when::iso(due)),
            deliveries: targets.iter().map(to).collect(),
            media,
            allow_collision: true,
            allow_duplicate: true,
            ..Draft::default()
        };
        schedule::create(&self.app, &self.workspace, draft, None).await?;
        Ok(())
    }

    /// How late each delivery was that was due from `from` to before `to` and is published, in ms.
    pub(crate) async fn late(&self, from: i64, to: i64) -> Result<Vec<f64>> {
        let workspace = self.workspace.clone();
        let all = self
            .app
            .db
            .read(move |tx| async move { deliveries::between(&tx, &workspace, from, to).await })
            .await?;
        Ok(all
            .iter()
            .filter(|d| d.state == DeliveryState::Published)
            .filter_map(|d| Some((d.published_at? - d.scheduled_at?) as f64))
            .collect())
    }
}

/// Opens what these settings name.
pub(crate) async fn open(settings: &BTreeMap<String, String>) -> Result<App> {
    let config = Config::from_env(settings).map_err(|e| anyhow::anyhow!(e.join("; ")))?;
    App::open(config, Clock::system()).await
}

/// Starts it; the address that it listens on.
fn program(mut command: Command) -> Result<(Process, String)> {
    command.env("RUST_LOG", "error");
    let (process, said) = Process::start(command)?;
    let url = said.strip_prefix("listening on ").context("it does not say where it listens")?;
    Ok((process, url.to_owned()))
}
