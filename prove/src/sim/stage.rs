//! The installation of a simulation, and one run on it: processes that come and go, a clock that
//! is moved from one due time to the next, people who do what they do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use carillon::clock::Clock;
use carillon::config::Config;
use carillon::db::{Error, Fate, Location, Memory};
use carillon::domain::job::Pool;
use carillon::domain::when;
use carillon::publishing::connecting::{self, New};
use carillon::publishing::schedule::{self, Draft, DraftDelivery, Part};
use carillon::publishing::sweep;
use carillon::publishing::view::DeliveryView;
use carillon::queue::cron;
use carillon::queue::worker::Worker;
use carillon::store::{accounts, queue};
use carillon::{App, ids, params};

use super::network::{self, NETWORKS};
use super::process::{Act, Process};
use super::world;

/// Monday 23 November 2026, 08:00 UTC.
pub const START: i64 = 1_795_420_800_000;
/// After so much of the steady time nothing may be under way any more, in ms.
const LONGEST: i64 = 24 * 3_600_000;

/// What all runs of a thread share: one database, one workspace, a connection to each network.
pub struct Stage {
    base: App,
    pub memory: Memory,
    pub workspace: String,
    /// By network.
    pub connections: BTreeMap<&'static str, String>,
    _dir: tempfile::TempDir,
}

impl Stage {
    pub async fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let data = dir.path().display().to_string();
        let mut config = Config::read(|name| match name {
            "CARILLON_DATA" => Some(data.clone()),
            _ => None,
        })
        .map_err(|wrong| anyhow::anyhow!(wrong.join("; ")))?;
        let memory = Memory::new()?;
        config.data.database = Location::Memory(memory.clone());
        let clock = Clock::manual(START);
        world::begin(&clock);
        ids::count_from(Some(0));
        let base = App::open_with(config, clock, NETWORKS).await?;
        let workspace = ids::new(START);
        let w = accounts::Workspace {
            id: workspace.clone(),
            name: "The Anchor".into(),
            timezone: "UTC".into(),
            demo_at: None,
        };
        base.db
            .write(move |tx| async move { accounts::add_workspace(&tx, &w, START).await })
            .await?;
        let mut connections = BTreeMap::new();
        for network in network::ALL {
            let new = New { network: network.into(), name: None, ..Default::default() };
            let made = connecting::add(&base, &workspace, new).await;
            let made = made.map_err(|e| anyhow::anyhow!("{network}: {}", e.sentence))?;
            connections.insert(network, made.id);
        }
        memory.mark()?;
        Ok(Self { base, memory, workspace, connections, _dir: dir })
    }

    /// A new run from the last mark, at the beginning of time.
    pub async fn run(&self) -> Result<Run<'_>> {
        self.memory.restore()?;
        let clock = Clock::manual(START);
        world::begin(&clock);
        ids::count_from(Some(1 << 32));
        let mut config = self.base.config.clone();
        config.networks.sandbox = "http://sim:0".into();
        let people = self.base.again(config, clock.clone()).await?;
        let nobody = Arc::new(Process::new(0, clock.clone(), 0));
        world::with(|w| w.processes.insert(0, nobody));
        Ok(Run { stage: self, clock, people, started: 0, deadline: START + LONGEST, steps: 0 })
    }
}

/// How a process is to fare.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doom {
    /// Dies at this gate (from 1; 0 never).
    pub crash_at: u64,
    /// Its n-th unit (from 1) meets this fate.
    pub fault_at: Option<(u64, Fate)>,
}

pub struct Run<'a> {
    pub stage: &'a Stage,
    pub clock: Clock,
    /// What people act through: nothing befalls it.
    pub people: App,
    started: u64,
    deadline: i64,
    steps: u32,
}

/// A running process.
#[derive(Clone)]
pub struct Node {
    pub process: Arc<Process>,
    pub app: App,
    pub worker: Worker,
}

/// What the database says is to come.
#[derive(Debug, Clone, Default)]
pub struct Ahead {
    pub next: Option<i64>,
    pub lease_end: Option<i64>,
    pub ready: i64,
    pub broken: Vec<String>,
}

impl<'a> Run<'a> {
    /// Schedules a post for each of these networks, due in a minute; ids of the deliveries.
    pub async fn schedule(&self, text: &str, networks: &[&str]) -> Result<(String, Vec<String>)> {
        self.write(self.draft(text, networks)).await
    }

    /// The same with two more parts and a first comment.
    pub async fn schedule_thread(
        &self,
        text: &str,
        network: &str,
    ) -> Result<(String, Vec<String>)> {
        let mut draft = self.draft(text, &[network]);
        let part = |text: &str| Part { text: text.to_owned(), media: Vec::new() };
        draft.thread = vec![part("Support from nine"), part("Bring a friend")];
        for d in &mut draft.deliveries {
            d.first_comment = Some("Tickets at the bar".into());
        }
        self.write(draft).await
    }

    fn draft(&self, text: &str, networks: &[&str]) -> Draft {
        Draft {
            text: text.into(),
            scheduled_at: Some(when::iso(self.clock.now() + 60_000)),
            timezone: Some("UTC".into()),
            allow_collision: true,
            allow_duplicate: true,
            deliveries: networks
                .iter()
                .map(|n| DraftDelivery {
                    connection_id: self.stage.connections.get(n).cloned().unwrap_or_default(),
                    ..DraftDelivery::default()
                })
                .collect(),
            ..Draft::default()
        }
    }

    async fn write(&self, draft: Draft) -> Result<(String, Vec<String>)> {
        let text = draft.text.clone();
        let post = schedule::create(&self.people, &self.stage.workspace, draft, None).await;
        let post = post.map_err(|e| anyhow::anyhow!("{}", e.sentence))?;
        let said = |d: &DeliveryView| (d.id.clone(), d.text.clone().unwrap_or(text.clone()));
        world::with(|w| w.texts.extend(post.deliveries.iter().map(said)));
        Ok((post.id, post.deliveries.into_iter().map(|d| d.id).collect()))
    }

    /// A new process, not started yet.
    pub fn process(&mut self, doom: Doom) -> Arc<Process> {
        self.started += 1;
        let process = Process::new(self.started, self.clock.clone(), doom.crash_at);
        let process = match doom.fault_at {
            Some((at, fate)) => process.with_fault(at, fate),
            None => process,
        };
        self.register(process)
    }

    /// A new process with a number of its own.
    pub fn number(&mut self) -> u64 {
        self.started += 1;
        self.started
    }

    pub fn register(&self, process: Process) -> Arc<Process> {
        let process = Arc::new(process);
        world::with(|w| w.processes.insert(process.number, process.clone()));
        process
    }

    /// The settings of a process: what it does to the world goes through its gates.
    pub fn config(&self, process: &Arc<Process>) -> Config {
        let mut config = self.people.config.clone();
        config.networks.sandbox = format!("http://sim:{}", process.number);
        config.data.database = Location::Memory(self.stage.memory.with(process.clone()));
        config
    }

    /// What a start does: opens, frees what an earlier life held (where this one is alone), works.
    pub async fn start(&self, process: Arc<Process>, alone: bool) -> Result<Option<Node>> {
        let (people, config) = (self.people.clone(), self.config(&process));
        let clock = self.clock.clone();
        let opened = self
            .alive(&process, async move {
                let app = people.again(config, clock).await?;
                sweep::sweep(&app, alone).await?;
                Ok::<_, anyhow::Error>(app)
            })
            .await?;
        Ok(match opened {
            None => None,
            Some(Err(e)) if process.is_dead() => bail!("a dead process answered: {e:#}"),
            // As a supervisor would: started anew.
            Some(Err(_)) => None,
            Some(Ok(app)) => Some(Node { process, worker: Worker::new(app.clone()), app }),
        })
    }

    /// Runs work of a process until it ends, `None` when the process died. Time passes only when
    /// everybody waits for it.
    pub async fn alive<T>(
        &self,
        process: &Process,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = process.died.notified() => return Ok(None),
                done = &mut work => return Ok(Some(done)),
                // The runtime's own clock stands still until every task waits.
                () = tokio::time::sleep(Duration::from_millis(1)) => self.idle()?,
            }
        }
    }

    /// Everybody waits: on to the next moment at which somebody wants to be woken.
    pub fn idle(&self) -> Result<()> {
        let now = self.clock.mono();
        if now > self.deadline {
            bail!("still not quiet after a day");
        }
        let next = world::with(|w| {
            w.wakes = w.wakes.split_off(&(now + 1));
            w.wakes.first().copied()
        });
        // Waits of the product's own are not known here: they are short.
        let by = next.map_or(500, |at| (at - now).min(500));
        self.clock.advance(Duration::from_millis(by.max(1) as u64));
        Ok(())
    }

    pub async fn ahead(&self) -> Result<Ahead> {
        let ahead = self.people.db.read(|tx| async move {
            let mut ahead = Ahead::default();
            for pool in Pool::ALL {
                if let Some(at) = queue::next_at(&tx, *pool).await? {
                    ahead.next = Some(ahead.next.map_or(at, |n| n.min(at)));
                }
            }
            let jobs = tx
                .row(
                    "SELECT count(CASE WHEN state = 'ready' THEN 1 END) AS ready, min(lease_until) AS lease_end \
                     FROM job WHERE state IN ('ready', 'leased')",
                    params![],
                )
                .await?;
            if let Some(row) = jobs {
                (ahead.ready, ahead.lease_end) = (row.int("ready")?, row.opt_int("lease_end")?);
            }
            for row in tx.rows("SELECT id FROM connection WHERE broken_at IS NOT NULL", params![]).await? {
                ahead.broken.push(row.text("id")?);
            }
            Ok::<_, Error>(ahead)
        });
        Ok(ahead.await?)
    }

    /// An owner enters the credentials again.
    pub async fn mend(&self, connection: &str) -> Result<()> {
        let checked = connecting::check(&self.people, &self.stage.workspace, connection).await;
        checked.map(drop).map_err(|e| anyhow::anyhow!("{}", e.sentence))
    }

    /// One process at a time, each with its doom, then calm ones, until nothing is left to do.
    /// `rest` is how long a restart takes, in ms. Returns each process's gates.
    pub async fn to_quiet(
        &mut self,
        dooms: &[Doom],
        rest: i64,
        act: Option<(u64, Act)>,
    ) -> Result<Vec<Arc<Process>>> {
        let mut dooms = dooms.iter().copied();
        let mut lives = Vec::new();
        let mut act = act;
        'lives: loop {
            let process = self.process(dooms.next().unwrap_or_default());
            if let Some((at, act)) = act.take() {
                process.meanwhile(at, act);
            }
            lives.push(process.clone());
            if lives.len() > 50 {
                bail!("it never starts");
            }
            let started = self.start(process.clone(), true).await?;
            let Some(node) = started else {
                self.clock.advance(Duration::from_millis(rest as u64));
                continue 'lives;
            };
            loop {
                self.steps += 1;
                if self.steps > 5_000 {
                    bail!("5,000 steps and not quiet: {:?}", self.ahead().await?);
                }
                let ticked = self.alive(&process, node.worker.tick()).await?;
                if ticked.is_none() {
                    self.clock.advance(Duration::from_millis(rest as u64));
                    continue 'lives;
                }
                let ahead = self.ahead().await?;
                let now = self.clock.now();
                if let Some(broken) = ahead.broken.first() {
                    self.clock.advance(Duration::from_secs(300));
                    self.mend(broken).await?;
                    continue;
                }
                match (ahead.next, ahead.lease_end) {
                    (Some(at), lease) if lease.is_none_or(|l| at <= l) => {
                        self.clock.advance(Duration::from_millis((at - now).max(0) as u64));
                    }
                    (_, Some(lease)) => {
                        self.clock.advance(Duration::from_millis((lease + 1 - now).max(0) as u64));
                        let swept = self.alive(&process, cron::tick(&node.app)).await?;
                        if swept.is_none() {
                            self.clock.advance(Duration::from_millis(rest as u64));
                            continue 'lives;
                        }
                    }
                    _ if ahead.ready > 0 => {
                        bail!("{} jobs are ready and no lane wants them", ahead.ready)
                    }
                    _ => break 'lives,
                }
            }
        }
        Ok(lives)
    }
}

/// Runs a simulation on a runtime of its own, in which time passes only when everybody waits.
pub fn simulate<T>(run: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("no runtime")?;
    runtime.block_on(run)
}
