//! Rung 2, seeds: one number decides everything that befalls a few processes on one database.
//!
//! Workers die, stand still beyond their lease and go on, lose the answers of commits, find the
//! database busy; the wall clock is set, the machine sleeps; networks do what rung 1 lists; people
//! cancel, edit, move and answer. Within what ARCHITECTURE.md promises: a process stands still
//! between its look at the clocks and its request for at most 30 s, networks show a post at most
//! 25 s after its request came, and wall clocks are off by at most 12 s.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, anyhow};
use carillon::domain::when;
use carillon::publishing::desk;
use carillon::publishing::{schedule, view};
use carillon::queue::cron;
use carillon::store::audit::OPERATOR;
use tokio::task::JoinHandle;

use crate::sim::check::{self, May, Wrong};
use crate::sim::network::{ALL, LAG, LAGGING};
use crate::sim::process::{Odds, Process};
use crate::sim::rng::Rng;
use crate::sim::stage::{Node, Run, Stage, simulate};
use crate::sim::world::{self, Weather};
use crate::{Counts, Scale};

/// What one seed came to.
#[derive(Debug, Clone, Default)]
pub struct Played {
    pub wrong: Option<Wrong>,
    pub held: u64,
    pub deliveries: u64,
    pub deaths: u64,
    /// The sum of all gates: two runs that agree in it took the same way.
    pub gates: u64,
}

/// How many seeds a bounded run takes: what fits into two minutes of an unoptimised build.
pub const BOUNDED: u64 = 2_000;

/// Runs seeds `from..from + n`; the seed of every failure is printed.
pub fn run(scale: Scale, from: u64, n: Option<u64>) -> Result<Counts> {
    let n = n.unwrap_or(match scale {
        Scale::Bounded => BOUNDED,
        Scale::Full => 100_000,
    });
    let threads = 2;
    let parts: Vec<_> = (0..threads)
        .map(|part| {
            std::thread::spawn(move || some((from + part..from + n).step_by(threads as usize)))
        })
        .collect();
    let mut counts = Counts { rung: "seeds", ..Counts::default() };
    let (mut deliveries, mut deaths) = (0, 0);
    for part in parts {
        for (seed, played) in part.join().map_err(|_| anyhow!("a seed panicked"))?? {
            deliveries += played.deliveries;
            deaths += played.deaths;
            counts.held += played.held;
            if let Some(wrong) = played.wrong {
                eprintln!(
                    "seed {seed}: {wrong}\n  again: cargo run -p carillon-prove -- seeds --seed {seed}"
                );
                match wrong {
                    Wrong::Lost(_) => counts.lost += 1,
                    Wrong::Doubled(_) => counts.doubled += 1,
                }
            }
        }
    }
    counts.made = vec![("seeds", n), ("deliveries", deliveries), ("deaths", deaths)];
    Ok(counts)
}

fn some(seeds: impl Iterator<Item = u64>) -> Result<Vec<(u64, Played)>> {
    let stage = simulate(Stage::new())?;
    seeds.map(|seed| Ok((seed, one(&stage, seed)))).collect()
}

/// One seed; a run that does not come to its end is a loss.
pub fn one(stage: &Stage, seed: u64) -> Played {
    let played = simulate(play(stage, seed));
    played.unwrap_or_else(|e| Played {
        wrong: Some(Wrong::Lost(format!("{e:#}"))),
        ..Played::default()
    })
}

struct Storm<'a> {
    run: Run<'a>,
    rng: Rng,
    odds: Odds,
    nodes: Vec<Option<Node>>,
    tasks: Vec<JoinHandle<()>>,
    posts: Vec<(String, Vec<String>)>,
    /// Posts that people did something to.
    touched: BTreeSet<usize>,
    /// How far the wall clock was set, in ms.
    ahead: i64,
    deaths: u64,
}

async fn play(stage: &Stage, seed: u64) -> Result<Played> {
    let mut rng = Rng::new(seed);
    // Each kind of fault in half of the runs only: a mild one lets the others go deeper.
    let mut some = |most: u64| if rng.chance(500) { rng.below(most) } else { 0 };
    let odds = Odds { busy: some(60), unheard: some(60), freeze: some(40) };
    let weather = Weather { sends: some(700), looks: some(300), prepares: some(200) };
    let run = stage.run().await?;
    world::with(|w| {
        w.weather = Some((Rng::new(rng.draw()), weather));
        w.manners(LAGGING).lag = rng.between(0, LAG);
        w.manners(crate::sim::network::HANDLE).prepare_works = rng.below(3) as u32;
    });
    let mut storm = Storm {
        run,
        odds,
        nodes: vec![None; 1 + rng.below(3) as usize],
        rng,
        tasks: Vec::new(),
        posts: Vec::new(),
        touched: BTreeSet::new(),
        ahead: 0,
        deaths: 0,
    };
    storm.write().await?;
    for _ in 0..storm.rng.between(30, 150) {
        storm.step().await?;
    }
    storm.calm().await?;
    storm.end(weather).await
}

impl Storm<'_> {
    async fn write(&mut self) -> Result<()> {
        for n in 0..self.rng.between(1, 4) {
            let mut networks: Vec<&str> = ALL.to_vec();
            while networks.len() > 1 && self.rng.chance(600) {
                networks.remove(self.rng.below(networks.len() as u64) as usize);
            }
            let written = self.run.schedule(&format!("Live music, part {n}"), &networks).await?;
            self.posts.push(written);
        }
        self.run.clock.advance(Duration::from_secs(self.rng.below(90)));
        Ok(())
    }

    async fn step(&mut self) -> Result<()> {
        let slot = self.rng.below(self.nodes.len() as u64) as usize;
        match self.rng.below(100) {
            0..30 => self.tick(slot).await?,
            30..36 => self.beat(slot),
            36..44 => self.sweep(slot),
            44..60 => self.turns().await,
            60..80 => self.pass().await?,
            80..84 => self.kill(slot),
            84..88 => self.set_clock(),
            88..90 => self.sleep(),
            90..94 => self.person().await,
            _ => self.mend().await?,
        }
        Ok(())
    }

    /// Starts what is not running, works where it is.
    async fn tick(&mut self, slot: usize) -> Result<()> {
        if self.nodes[slot].as_ref().is_none_or(|n| n.process.is_dead()) {
            let alone = self.nodes.len() == 1;
            let rng = Rng::new(self.rng.draw());
            let number = self.run.number();
            let process = Process::new(number, self.run.clock.clone(), 0).with_odds(rng, self.odds);
            let process = self.run.register(process);
            self.nodes[slot] = self.run.start(process, alone).await?;
            return Ok(());
        }
        if let Some(node) = self.nodes[slot].clone() {
            self.tasks.push(tokio::spawn(async move {
                // A refused claim is tried again by whoever ticks next.
                let _ = node.worker.tick().await;
            }));
        }
        Ok(())
    }

    fn beat(&mut self, slot: usize) {
        if let Some(node) = self.nodes[slot].clone() {
            self.tasks.push(tokio::spawn(async move {
                node.worker.beat().await;
            }));
        }
    }

    fn sweep(&mut self, slot: usize) {
        if let Some(node) = self.nodes[slot].clone() {
            self.tasks.push(tokio::spawn(async move {
                // As the product does: the next slot tries again.
                let _ = cron::tick(&node.app).await;
            }));
        }
    }

    async fn turns(&mut self) {
        for _ in 0..self.rng.between(1, 40) {
            tokio::task::yield_now().await;
        }
    }

    /// Time passes: to the next due time, or a little.
    async fn pass(&mut self) -> Result<()> {
        let by = if self.rng.chance(500) {
            let next = self.run.ahead().await?.next.unwrap_or(0);
            (next - self.run.clock.now()).clamp(0, 120_000)
        } else {
            self.rng.between(1, 20_000)
        };
        self.run.clock.advance(Duration::from_millis(by as u64));
        Ok(())
    }

    fn kill(&mut self, slot: usize) {
        if let Some(node) = self.nodes[slot].take() {
            node.process.kill();
            self.deaths += 1;
        }
    }

    fn set_clock(&mut self) {
        let to = self.rng.between(-12_000, 12_000);
        self.run.clock.jump(to - self.ahead);
        self.ahead = to;
    }

    /// The machine sleeps: the networks' time goes on. Not in the middle of a request.
    fn sleep(&mut self) {
        if world::with(|w| w.processes.values().any(|p| p.sends() > 0 && !p.is_dead())) {
            return;
        }
        let ms = self.rng.between(1_000, 600_000);
        self.run.clock.jump(ms);
        world::with(|w| w.slept += ms);
    }

    async fn person(&mut self) {
        let n = self.rng.below(self.posts.len() as u64) as usize;
        let (post, _) = self.posts[n].clone();
        let (app, workspace) = (&self.run.people, &self.run.stage.workspace);
        let Ok(seen) = view::post(app, workspace, &post).await else { return };
        let what = self.rng.below(4);
        let done = match what {
            0 => schedule::cancel(app, workspace, &post).await.map(drop),
            1 => {
                let of = &seen.deliveries[self.rng.below(seen.deliveries.len() as u64) as usize];
                desk::retry(app, workspace, &of.id, None, OPERATOR).await.map(drop)
            }
            2 => {
                let text = Some(format!("{}, once more", seen.text));
                let change = schedule::Change {
                    version: seen.version,
                    text,
                    allow_collision: true,
                    allow_duplicate: true,
                    ..schedule::Change::default()
                };
                schedule::edit(app, workspace, &post, change).await.map(drop)
            }
            _ => {
                let to = schedule::Move {
                    scheduled_at: when::iso(self.run.clock.now() + self.rng.between(1_000, 60_000)),
                    allow_collision: true,
                    allow_duplicate: true,
                    ..schedule::Move::default()
                };
                schedule::move_to(app, workspace, &post, to).await.map(drop)
            }
        };
        if done.is_ok() {
            self.touched.insert(n);
        }
    }

    async fn mend(&mut self) -> Result<()> {
        for broken in self.run.ahead().await?.broken {
            self.run.mend(&broken).await?;
        }
        Ok(())
    }

    /// The storm is over: what runs comes to its end, and the networks behave.
    async fn calm(&mut self) -> Result<()> {
        world::with(|w| {
            w.weather = None;
            w.processes.values().for_each(|p| p.calm());
        });
        for node in self.nodes.iter().flatten() {
            if self.rng.chance(300) {
                node.process.kill();
                self.deaths += 1;
            }
        }
        for task in std::mem::take(&mut self.tasks) {
            let alive = world::with(|w| w.processes.values().any(|p| !p.is_dead() && p.number > 0));
            if !alive {
                break;
            }
            self.finish(task).await?;
        }
        // A dead one's tasks stand at their gates; nobody is left who could come back.
        world::with(|w| w.processes.values().filter(|p| p.number > 0).for_each(|p| p.kill()));
        Ok(())
    }

    async fn finish(&self, task: JoinHandle<()>) -> Result<()> {
        let mut task = task;
        // Long enough for every wait that there is; a dead one's task never ends.
        for _ in 0..400 {
            tokio::select! {
                biased;
                _ = &mut task => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(1)) => self.run.idle()?,
            }
        }
        Ok(())
    }

    async fn end(&mut self, weather: Weather) -> Result<Played> {
        let tired = weather.sends > 0 || weather.prepares > 0 || weather.looks > 0;
        let mut of = Vec::new();
        for (n, (_, deliveries)) in self.posts.iter().enumerate() {
            for id in deliveries {
                let may = May {
                    ask: true,
                    fail: tired,
                    cancel: self.touched.contains(&n),
                    cancelled: false,
                    late: true,
                };
                of.push((id.clone(), May { ask: self.may_ask(id, weather).await?, ..may }));
            }
        }
        self.run.to_quiet(&[], 1_000, None).await?;
        check::arrive(&self.run);
        let mut wrong = check::check(&self.run, &of, false).await?;
        let ids: Vec<String> = of.iter().map(|(id, _)| id.clone()).collect();
        let mut held = 0;
        for _ in 0..5 {
            let asked = check::answer_all(&self.run, &ids).await?;
            if wrong.is_some() || asked == 0 {
                break;
            }
            held += asked;
            self.run.to_quiet(&[], 1_000, None).await?;
            check::arrive(&self.run);
        }
        if wrong.is_none() && held > 0 {
            wrong = check::check(&self.run, &of, true).await?;
        }
        if wrong.is_some() && std::env::var_os("CARILLON_PROVE_JOURNAL").is_some() {
            for d in check::load(&self.run, &ids).await? {
                let journal = check::journal(&self.run, &d.id).await?;
                eprintln!("{} at {}: {}\n{journal}", d.id, d.network, d.state);
            }
        }
        let gates = world::with(|w| w.processes.values().map(|p| p.gates()).sum());
        Ok(Played { wrong, held, deliveries: ids.len() as u64, deaths: self.deaths, gates })
    }

    /// Where nothing can be read back, or the reads fail too often.
    async fn may_ask(&self, id: &str, weather: Weather) -> Result<bool> {
        let blind = check::load(&self.run, &[id.to_owned()])
            .await?
            .first()
            .is_some_and(|d| d.network == crate::sim::network::BLIND);
        Ok(blind || weather.looks > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_seed_loses_or_doubles() {
        let counts = run(Scale::Bounded, 0, None).expect("it runs");
        println!("{counts}");
        assert_eq!((counts.lost, counts.doubled), (0, 0), "{counts}");
        assert!(counts.held > 0 && counts.made.iter().all(|(_, n)| *n > 1000), "{counts}");
    }

    /// One number decides everything.
    #[test]
    fn a_seed_comes_again() {
        let twice = || {
            let stage = simulate(Stage::new()).expect("a stage");
            (0..20).map(|seed| format!("{:?}", one(&stage, seed))).collect::<Vec<_>>()
        };
        assert_eq!(twice(), twice());
    }
}
