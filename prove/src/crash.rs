//! Rung 1, the crash sweep: every scenario is run once to count the moments at which its process
//! can die, then once for each of them, and the short ones for each pair.
//!
//! A scenario is a network, a fault and a shape ([`scenarios`]); after every run nothing may be
//! lost or doubled at the network. Beside deaths, every unit of work meets every fate of a commit:
//! refused, done but not heard of, not done and not heard of.

mod scenarios;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, anyhow};
use carillon::App;
use carillon::clock::Clock;
use carillon::db::Fate;
use carillon::domain::when;
use carillon::publishing::desk;
use carillon::publishing::{schedule, sweep as free, view};
use carillon::queue::worker::Worker;
use carillon::store::audit::OPERATOR;

use tokio::sync::Notify;

pub use scenarios::{Does, Scenario, When, all};

use crate::sim::check::{self, May, Wrong};
use crate::sim::process::{Act, Process};
use crate::sim::stage::{Doom, Run, Stage, simulate};
use crate::sim::world;
use crate::{Counts, Scale};

/// What a unit of work may meet besides its commit.
const FATES: [Fate; 3] = [Fate::Busy, Fate::CommitUnheard, Fate::VanishUnheard];

/// What was seen to go wrong: where, how to see it again, what.
#[derive(Debug, Clone)]
pub struct Finding {
    pub scenario: String,
    pub dooms: String,
    pub wrong: Wrong,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}] {}", self.scenario, self.dooms, self.wrong)
    }
}

#[derive(Debug, Clone, Default)]
pub struct Swept {
    pub scenarios: u64,
    pub points: u64,
    pub commits: u64,
    pub pairs: u64,
    pub held: u64,
    pub findings: Vec<Finding>,
}

impl Swept {
    fn add(&mut self, other: Swept) {
        self.scenarios += other.scenarios;
        self.points += other.points;
        self.commits += other.commits;
        self.pairs += other.pairs;
        self.held += other.held;
        self.findings.extend(other.findings);
    }

    fn counts(&self) -> Counts {
        let lost = |f: &&Finding| matches!(f.wrong, Wrong::Lost(_));
        let lost = self.findings.iter().filter(lost).count() as u64;
        Counts {
            rung: "crash sweep",
            made: vec![
                ("scenarios", self.scenarios),
                ("crash points", self.points),
                ("pairs", self.pairs),
                ("lost commits", self.commits),
            ],
            lost,
            doubled: self.findings.len() as u64 - lost,
            held: self.held,
        }
    }
}

/// Sweeps everything; what went wrong is printed as it is found.
pub fn run(scale: Scale) -> Result<Counts> {
    let threads = 2;
    let all = Arc::new(all(scale));
    let parts: Vec<_> = (0..threads)
        .map(|part| {
            let all = all.clone();
            std::thread::spawn(move || {
                let mine = all.iter().skip(part).step_by(threads);
                sweep(mine, scale, &mut |finding| eprintln!("{finding}"), &mut |_| false)
            })
        })
        .collect();
    let mut swept = Swept::default();
    for part in parts {
        swept.add(part.join().map_err(|_| anyhow!("a sweep panicked"))??);
    }
    Ok(swept.counts())
}

/// Sweeps these scenarios until `enough`.
pub fn sweep<'s>(
    scenarios: impl Iterator<Item = &'s Scenario>,
    scale: Scale,
    found: &mut dyn FnMut(&Finding),
    enough: &mut dyn FnMut(&Swept) -> bool,
) -> Result<Swept> {
    sweep_on(&simulate(Stage::new())?, scenarios, scale, found, enough)
}

/// The same on a stage that stands.
pub fn sweep_on<'s>(
    stage: &Stage,
    scenarios: impl Iterator<Item = &'s Scenario>,
    scale: Scale,
    found: &mut dyn FnMut(&Finding),
    enough: &mut dyn FnMut(&Swept) -> bool,
) -> Result<Swept> {
    let mut swept = Swept::default();
    for scenario in scenarios {
        if enough(&swept) {
            break;
        }
        one(stage, scenario, scale, &mut swept, found, enough)?;
    }
    Ok(swept)
}

fn one(
    stage: &Stage,
    scenario: &Scenario,
    scale: Scale,
    swept: &mut Swept,
    found: &mut dyn FnMut(&Finding),
    enough: &mut dyn FnMut(&Swept) -> bool,
) -> Result<()> {
    swept.scenarios += 1;
    let mut tried = |swept: &mut Swept, dooms: &[Doom]| -> Vec<(u64, u64)> {
        let ended = simulate(play(stage, scenario, dooms));
        match ended {
            Ok(Played { wrong: None, held, lives }) => {
                swept.held += held;
                lives
            }
            Ok(Played { wrong: Some(wrong), lives, .. }) => {
                note(swept, scenario, dooms, wrong, found);
                lives
            }
            Err(e) => {
                note(swept, scenario, dooms, Wrong::Lost(format!("{e:#}")), found);
                Vec::new()
            }
        }
    };
    if !scenario.deaths {
        swept.points += 1;
        tried(swept, &[]);
        return Ok(());
    }
    let crash = |at| Doom { crash_at: at, fault_at: None };
    let Some(&(gates, units)) = tried(swept, &[]).first() else { return Ok(()) };
    // A bounded run dies at every third gate of most scenarios, at another third of each.
    let turn = swept.scenarios;
    let thin = |n: u64, by: u64| scale == Scale::Full || (n + turn).is_multiple_of(by);
    for k in (1..=gates).filter(|k| scenario.core() || thin(*k, 3)) {
        swept.points += 1;
        let lives = tried(swept, &[crash(k)]);
        if enough(swept) {
            return Ok(());
        }
        let Some(&(second, _)) = lives.get(1) else { continue };
        if scenario.pairs && scale == Scale::Full {
            for l in 1..=second {
                swept.pairs += 1;
                tried(swept, &[crash(k), crash(l)]);
            }
        } else if scenario.pairs {
            // A few of them: the second death soon after the first, and one far on.
            for l in [1, 3, second / 2, second].into_iter().filter(|l| (1..=second).contains(l)) {
                if k % 7 == 0 {
                    swept.pairs += 1;
                    tried(swept, &[crash(k), crash(l)]);
                }
            }
        }
    }
    // What people do changes who writes when, not what a commit is.
    let units = if scenario.act.is_some() { 0 } else { units };
    for unit in 1..=units {
        for (n, fate) in FATES.into_iter().enumerate() {
            if !thin(unit + n as u64, 5) {
                continue;
            }
            if enough(swept) {
                return Ok(());
            }
            swept.commits += 1;
            tried(swept, &[Doom { crash_at: 0, fault_at: Some((unit, fate)) }]);
        }
    }
    Ok(())
}

fn note(
    swept: &mut Swept,
    scenario: &Scenario,
    dooms: &[Doom],
    wrong: Wrong,
    found: &mut dyn FnMut(&Finding),
) {
    let dooms: Vec<String> = dooms
        .iter()
        .map(|d| match d.fault_at {
            Some((unit, fate)) => format!("unit {unit} {fate:?}"),
            None => format!("dies at {}", d.crash_at),
        })
        .collect();
    let finding = Finding { scenario: scenario.name(), dooms: dooms.join(", "), wrong };
    found(&finding);
    swept.findings.push(finding);
}

pub struct Played {
    pub wrong: Option<Wrong>,
    pub held: u64,
    /// Gates and units of each process, in order.
    pub lives: Vec<(u64, u64)>,
}

/// One run of a scenario with these dooms, and what it came to.
pub async fn play(stage: &Stage, scenario: &Scenario, dooms: &[Doom]) -> Result<Played> {
    let mut run = stage.run().await?;
    world::with(|w| *w.manners(scenario.network) = scenario.manners.clone());
    let mut of: Vec<String> = Vec::new();
    let mut posts = Vec::new();
    for n in 0..scenario.posts {
        let text = text(scenario, n);
        let (post, deliveries) = match scenario.thread {
            true => run.schedule_thread(&text, scenario.network).await?,
            false => run.schedule(&text, &[scenario.network]).await?,
        };
        of.extend(deliveries);
        posts.push(post);
    }
    run.clock.advance(Duration::from_secs(61));
    let told = Arc::new(Mutex::new(None));
    let other = run.process(Doom::default());
    let act = |when: When| {
        let (does, at) = scenario.act?;
        (at == when).then(|| match does {
            Does::Overtake(gate) => overtake(&run, other.clone(), gate),
            _ => person(&run, does, posts[0].clone(), told.clone()),
        })
    };
    let at_gate = match scenario.act {
        Some((_, When::Gate(g))) => act(When::Gate(g)).map(|act| (g, act)),
        _ => None,
    };
    let at_end = act(When::End);
    let mut lives = run.to_quiet(dooms, scenario.rest, at_gate).await?;
    check::arrive(&run);
    if let Some(act) = at_end {
        act.await;
        lives.extend(run.to_quiet(&[], scenario.rest, None).await?);
        check::arrive(&run);
    }
    // Who lives knows what it sent, whatever its database said or did not say.
    let harmless = |d: &Doom| d.crash_at == 0;
    let troubled = !dooms.iter().all(harmless);
    let accepted = *told.lock().unwrap_or_else(|e| e.into_inner());
    let cancels = matches!(scenario.act, Some((Does::Cancel, _)));
    let may = |n: usize| May {
        ask: scenario.may_ask(troubled),
        // After a death the refusal may meet the second.
        fail: scenario.may_fail,
        cancel: n == 0 && cancels,
        cancelled: n == 0 && cancels && accepted == Some(true),
        late: false,
    };
    let of_with: Vec<(String, May)> =
        of.iter().enumerate().map(|(n, id)| (id.clone(), may(n))).collect();
    let mut wrong = check::check(&run, &of_with, false).await?;
    let mut held = 0;
    // What was answered with "no" is sent again, and may be asked about again.
    for _ in 0..5 {
        let asked = check::answer_all(&run, &of).await?;
        if wrong.is_some() || asked == 0 {
            break;
        }
        held += asked;
        run.to_quiet(&[], scenario.rest, None).await?;
        check::arrive(&run);
    }
    if wrong.is_none() && held > 0 {
        wrong = check::check(&run, &of_with, true).await?;
    }
    let lives = lives.iter().map(|p| (p.gates(), p.units())).collect();
    Ok(Played { wrong, held, lives })
}

fn text(scenario: &Scenario, n: usize) -> String {
    if scenario.twins { scenario.text.to_owned() } else { format!("{} {n}", scenario.text) }
}

/// What a person does to the first post; whether it was accepted is kept.
fn person(run: &Run<'_>, does: Does, post: String, told: Arc<Mutex<Option<bool>>>) -> Act {
    let (app, workspace, clock) =
        (run.people.clone(), run.stage.workspace.clone(), run.clock.clone());
    Box::pin(async move {
        match does {
            Does::Sweep => {
                // Slow, and well within its lease.
                clock.advance(Duration::from_secs(20));
                // As the product does: what failed is tried again by the next one.
                let _ = free::sweep(&app, false).await;
                return;
            }
            Does::TakeOver => return take_over(&app, &clock).await,
            _ => {}
        }
        let Ok(seen) = view::post(&app, &workspace, &post).await else { return };
        let done = match does {
            Does::Cancel => schedule::cancel(&app, &workspace, &post).await.map(drop),
            Does::Retry => {
                let first = seen.deliveries.first().map(|d| d.id.clone()).unwrap_or_default();
                desk::retry(&app, &workspace, &first, None, OPERATOR).await.map(drop)
            }
            Does::Edit | Does::EditElsewhere => {
                let change = schedule::Change {
                    version: seen.version,
                    text: Some("Edited".into()),
                    allow_collision: true,
                    allow_duplicate: true,
                    ..schedule::Change::default()
                };
                schedule::edit(&app, &workspace, &post, change).await.map(drop)
            }
            Does::Move => {
                let to = schedule::Move {
                    scheduled_at: when::iso(clock.now() + 120_000),
                    allow_collision: true,
                    allow_duplicate: true,
                    ..schedule::Move::default()
                };
                schedule::move_to(&app, &workspace, &post, to).await.map(drop)
            }
            Does::Sweep | Does::TakeOver | Does::Overtake(_) => return,
        };
        *told.lock().unwrap_or_else(|e| e.into_inner()) = Some(done.is_ok());
        if does == Does::EditElsewhere {
            // A refused claim is tried again by whoever ticks next.
            let _ = Worker::new(app).tick().await;
        }
    })
}

/// Another node frees what is not extended any more, and works for an hour.
async fn take_over(app: &App, clock: &Clock) {
    let worker = Worker::new(app.clone());
    for _ in 0..60 {
        if !takes(app, &worker, clock).await {
            return;
        }
    }
}

async fn takes(app: &App, worker: &Worker, clock: &Clock) -> bool {
    clock.advance(Duration::from_secs(61));
    free::sweep(app, false).await.is_ok() && worker.tick().await.is_ok()
}

/// The same by a process that can stand still: the first goes on when this one is at its gate, and
/// this one ends what it is at 20 s later.
fn overtake(run: &Run<'_>, process: Arc<Process>, gate: u64) -> Act {
    let (there, is_there) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    process.meanwhile(gate, {
        let (there, is_there, process) = (there.clone(), is_there.clone(), process.clone());
        Box::pin(async move {
            is_there.store(true, Ordering::Relaxed);
            there.notify_one();
            process.sleep(20_000).await;
        })
    });
    let (people, config, clock) = (run.people.clone(), run.config(&process), run.clock.clone());
    Box::pin(async move {
        let work = tokio::spawn(async move {
            let Ok(app) = people.again(config, clock.clone()).await else { return };
            let worker = Worker::new(app.clone());
            for _ in 0..60 {
                if is_there.load(Ordering::Relaxed) || !takes(&app, &worker, &clock).await {
                    return;
                }
            }
        });
        tokio::select! {
            () = there.notified() => {}
            _ = work => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However it dies, a thread comes out in order, each part once.
    #[test]
    fn no_crash_tears_a_thread() {
        let all = all(Scale::Bounded);
        let threads = all.iter().filter(|s| s.thread);
        let mut found = |finding: &Finding| eprintln!("{finding}");
        let swept = sweep(threads, Scale::Bounded, &mut found, &mut |_| false).expect("it runs");
        eprintln!("{} of threads", swept.counts());
        assert!(swept.findings.is_empty());
        assert!(swept.points > 1_000 && swept.held > 0, "{}", swept.counts());
    }

    #[test]
    fn no_crash_loses_or_doubles() {
        let counts = run(Scale::Bounded).expect("it runs");
        println!("{counts}");
        assert!(counts.made.iter().all(|(_, n)| *n > 100), "{counts}");
        assert_eq!((counts.lost, counts.doubled), (0, 0), "{counts}");
        assert!(counts.held > 0, "the blind ones ask: {counts}");
    }
}
