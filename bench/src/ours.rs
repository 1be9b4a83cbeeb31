//! Carillon as a contender: the product's own library behind the line protocol.
//!
//! A job is a delivery: adding one writes a post, its delivery, its job and an event, working on it
//! is a delivery's whole way (claim; intent and journal line; outcome, journal, event) to a network
//! that answers at once. What the benchmark knows of the product's insides is in this file.

mod network;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use carillon::clock::Clock;
use carillon::config::Config;
use carillon::domain::{sealed, when};
use carillon::publishing::schedule::{self, Draft, DraftDelivery};
use carillon::publishing::{connecting, sweep};
use carillon::queue::cron;
use carillon::queue::worker::Worker;
use carillon::store::accounts::{self, Workspace};
use carillon::store::connections::{self, Connection};
use carillon::{App, ids};
use carillon_bench_contender::{Handler, Job, Place, Queue, Waiting};
use futures_util::{StreamExt, TryStreamExt};

/// Accounts that the deliveries go to, evenly; each is a lane.
const LANES: usize = 200;
/// Deliveries under way at once, when nothing else is asked for.
const IN_HAND: usize = 200;
/// Posts that one caller writes at once, in bulk.
const AT_ONCE: usize = 8;
/// Most deliveries of one post.
const PER_POST: usize = 100;
/// The name of the account that is paused.
const SHUT: &str = "shut";

#[derive(Clone)]
pub(crate) struct Carillon {
    app: App,
    workspace: Arc<str>,
    lanes: Arc<[String]>,
    shut: Arc<str>,
    network: &'static network::Instant,
}

impl Queue for Carillon {
    async fn open(place: Place) -> Result<Self> {
        let network: &'static network::Instant = Box::leak(Box::default());
        let networks = Box::leak(Box::new([network as &dyn carillon_networks::Network]));
        let app = App::open_with(config(&place)?, Clock::system(), networks).await?;
        let (workspace, lanes, shut) = match standing(&app).await? {
            Some(standing) => standing,
            None => {
                settle_in(&app).await?;
                standing(&app).await?.context("the workspace that was made is not there")?
            }
        };
        let (workspace, lanes, shut) = (workspace.into(), lanes.into(), shut.into());
        Ok(Self { app, workspace, lanes, shut, network })
    }

    async fn add(&self, job: Job) -> Result<()> {
        self.create(vec![job], Waiting::default()).await
    }

    async fn add_all(&self, jobs: Vec<Job>, waiting: Waiting) -> Result<()> {
        if waiting.shut {
            connecting::pause(&self.app, &self.workspace, &self.shut).await?;
        }
        // A post goes to an account once.
        let per_post = if waiting.shut { 1 } else { PER_POST };
        let posts: Vec<Vec<Job>> = jobs.chunks(per_post).map(<[Job]>::to_vec).collect();
        let posts = posts.into_iter().map(|jobs| self.create(jobs, waiting));
        futures_util::stream::iter(posts).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn work(&self, handler: Handler) -> Result<()> {
        self.network.answer_with(handler)?;
        // As `carillon serve` starts.
        sweep::sweep(&self.app, !self.app.db.is_postgres()).await?;
        tokio::spawn(cron::run(self.app.clone()));
        let worker = Worker::new(self.app.clone());
        tokio::spawn(async move { worker.run(std::future::pending()).await });
        Ok(())
    }

    /// Deliveries in hand and lanes that want a worker: nothing when nothing is left, and no look at
    /// the million that wait.
    async fn left(&self) -> Result<u64> {
        let now = self.app.clock.now();
        let count = self.app.db.read(move |tx| async move {
            let sql = "SELECT (SELECT count(*) FROM job WHERE state = 'leased' AND kind = 'deliver') \
                       + (SELECT count(*) FROM gate WHERE pool = 'send' AND next_at <= $1) AS n";
            tx.row(sql, carillon::params![now]).await?.map_or(Ok(0), |row| row.int("n"))
        });
        Ok(count.await? as u64)
    }

    async fn analyze(&self) -> Result<()> {
        self.app.db.write(|tx| async move { tx.script("ANALYZE").await }).await?;
        Ok(())
    }
}

impl Carillon {
    /// One post with a delivery a job.
    async fn create(&self, jobs: Vec<Job>, waiting: Waiting) -> Result<()> {
        let deliveries = jobs.iter().map(|job| DraftDelivery {
            connection_id: if waiting.shut {
                self.shut.to_string()
            } else {
                self.lanes[job.id as usize % self.lanes.len()].clone()
            },
            text: Some(network::text(*job)),
            ..DraftDelivery::default()
        });
        let draft = Draft {
            text: "Bench".into(),
            scheduled_at: waiting.due.map(|due| when::iso(due as i64)),
            deliveries: deliveries.collect(),
            // All at once is the measurement.
            allow_collision: true,
            allow_duplicate: true,
            ..Draft::default()
        };
        schedule::create(&self.app, &self.workspace, draft, None).await?;
        Ok(())
    }
}

fn config(place: &Place) -> Result<Config> {
    let in_hand = place.in_hand.unwrap_or(IN_HAND).to_string();
    let config = Config::read(|name| match name {
        "CARILLON_DATA" => Some(place.folder.display().to_string()),
        "CARILLON_DATABASE" => place.url.clone(),
        "CARILLON_SEND_SLOTS" => Some(in_hand.clone()),
        _ => None,
    });
    config.map_err(|wrong| anyhow::anyhow!(wrong.join("; ")))
}

/// The workspace, its open lanes and the one to be shut, where an earlier process made them.
async fn standing(app: &App) -> Result<Option<(String, Vec<String>, String)>> {
    let workspace = app.db.read(|tx| async move {
        tx.row("SELECT id FROM workspace", &[]).await?.map(|row| row.text("id")).transpose()
    });
    let Some(workspace) = workspace.await? else { return Ok(None) };
    let all = connecting::list(app, &workspace).await?;
    let (shut, open): (Vec<_>, Vec<_>) = all.into_iter().partition(|c| c.name == SHUT);
    ensure!(open.len() == LANES && shut.len() == 1, "an earlier process did not end its start");
    let shut = shut.into_iter().map(|c| c.id).next().unwrap_or_default();
    Ok(Some((workspace, open.into_iter().map(|c| c.id).collect(), shut)))
}

async fn settle_in(app: &App) -> Result<()> {
    let now = app.clock.now();
    let workspace = ids::new(now);
    let names = (0..LANES).map(|lane| format!("lane {lane}")).chain([SHUT.to_owned()]);
    let accounts: Vec<Connection> = names
        .map(|name| {
            let id = ids::new(now);
            Connection {
                workspace_id: workspace.clone(),
                network: network::SPEC.id.into(),
                // Whoever it is, the network says the same.
                remote_id: String::new(),
                name,
                settings: Default::default(),
                secrets: app.keys.seal("{}", sealed::Place::ConnectionSecrets, &id),
                id,
                broken_at: None,
                problem: None,
                twice_at: None,
                quota_until: None,
                quota_of: None,
                tokens: Default::default(),
                checked_at: None,
                published_at: None,
                created_at: now,
            }
        })
        .collect();
    let w =
        Workspace { id: workspace, name: "bench".into(), timezone: "UTC".into(), demo_at: None };
    let written = app.db.write(move |tx| async move {
        accounts::add_workspace(&tx, &w, now).await?;
        for account in &accounts {
            connections::add(&tx, account).await?;
        }
        Ok::<_, carillon::db::Error>(())
    });
    Ok(written.await?)
}
