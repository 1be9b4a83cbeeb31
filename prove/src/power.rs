//! Rung 5: the power goes. What SQLite wrote and did not sync is lost, or kept in parts torn at
//! sectors; the product starts on what is left, against the same networks.
//!
//! What was acknowledged is there, nothing is lost, nothing doubled, and the file is whole. The
//! same rounds at `synchronous=NORMAL` have to find a loss, or the rung would be blind.

mod disk;
mod vfs;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use carillon::clock::Clock;
use carillon::domain::refusal::Kind;
use carillon::publishing;
use carillon::queue::cron;
use rusqlite::Connection;
use tempfile::TempDir;

pub(crate) use self::disk::Random;
use self::disk::{Disk, Fault, Kept};
use crate::stage::{Life, START, Stage, Told};
use crate::{Counts, Scale};

/// Rounds on one stage; a new one keeps the networks' listings short.
const ON_A_STAGE: u64 = 40;
/// Time enough for every look and every try.
const LONG: Duration = Duration::from_secs(3 * 3600);

/// Cuts the power, and fills the disk; the line of counts, or what went wrong.
pub async fn run(scale: Scale) -> anyhow::Result<Counts> {
    let _alone = ALONE.lock().await;
    let (rounds, fills) = match scale {
        Scale::Bounded => (150, 40),
        Scale::Full => (5_000, 1_000),
    };
    let (mut counts, mut wrong) = cuts(rounds, 0x00D1_5C0F, false).await?;
    let (more, worse) = full(fills, 0xF011).await?;
    counts.made.extend(more.made);
    counts.lost += more.lost;
    counts.doubled += more.doubled;
    counts.held += more.held;
    wrong.extend(worse);
    ensure!(wrong.is_empty(), "{counts}\n{}", wrong[..wrong.len().min(3)].join("\n"));
    Ok(counts)
}

/// The seam is one a process.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn cuts(rounds: u64, seed: u64, hasty: bool) -> anyhow::Result<(Counts, Vec<String>)> {
    let mut counts = Counts { rung: "power cut", ..Counts::default() };
    let (mut made, mut wrong) = (Made::default(), Vec::new());
    let mut stage: Option<Scene> = None;
    vfs::hasty(hasty);
    for round in 0..rounds {
        if round % ON_A_STAGE == 0 {
            stage = Some(Scene::set(hasty).await?);
        }
        let Some(scene) = stage.as_mut() else { continue };
        let seed = seed.wrapping_add(round);
        let found = scene.round(&mut Random::new(seed), &mut counts, &mut made).await;
        let found = found.with_context(|| format!("power cut, seed {seed:#x}"))?;
        wrong.extend(found.into_iter().map(|w| format!("seed {seed:#x}: {w}")));
    }
    vfs::hasty(false);
    counts.made = vec![
        ("cuts", made.cuts),
        ("cuts while recovering", made.again),
        ("images checked", made.images),
        ("deliveries", made.deliveries),
    ];
    Ok((counts, wrong))
}

#[derive(Default)]
struct Made {
    cuts: u64,
    again: u64,
    images: u64,
    deliveries: u64,
}

/// A stage, and the data folder that every round begins with a copy of.
struct Scene {
    stage: Stage,
    folder: TempDir,
    /// Operations of a start, and of a whole round, without a cut.
    starts: u64,
    operations: u64,
    now: i64,
    round: u64,
}

impl Scene {
    async fn set(hasty: bool) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("carillon-power-")?;
        let stage = Stage::set(folder.path(), &[], 1).await?;
        let mut scene =
            Self { stage, folder, starts: 0, operations: 0, now: START + 60_000, round: 0 };
        // One without a cut tells how many moments there are.
        let (home, disk) = scene.home(None)?;
        let _watch = vfs::watch(home.path(), &disk);
        let (life, told, _) = scene.live(home.path(), &disk).await?;
        let life = life.context("the disk fails without a fault")?;
        life.to_quiet(&scene.stage, LONG, &|| disk.is_troubled()).await?;
        let wrong = scene.stage.judge(&life.app, &told, &mut Counts::default()).await?;
        ensure!(wrong.is_empty(), "without a cut: {}", wrong.join("\n"));
        scene.operations = disk.done();
        let syncs = disk.syncs();
        ensure!(hasty || syncs > 20, "only {syncs} syncs were seen: does the shim work?");
        scene.now = life.clock.now() + 60_000;
        Ok(scene)
    }

    /// A data folder of its own with these database files, or with the stage's.
    fn home(
        &self,
        left: Option<BTreeMap<String, Vec<u8>>>,
    ) -> anyhow::Result<(TempDir, Arc<Disk>)> {
        let home = TempDir::with_prefix("carillon-power-")?;
        std::fs::copy(self.folder.path().join("keys"), home.path().join("keys"))?;
        std::os::unix::fs::symlink(self.folder.path().join("media"), home.path().join("media"))?;
        let names: Vec<String> = match left {
            Some(left) => {
                for (name, bytes) in &left {
                    std::fs::write(home.path().join(name), bytes)?;
                }
                left.into_keys().collect()
            }
            None => {
                let copy = home.path().join("carillon.db");
                let from = Connection::open(self.folder.path().join("carillon.db"))?;
                from.execute("VACUUM INTO ?1", [copy.display().to_string()])?;
                vec!["carillon.db".to_owned()]
            }
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let disk = Arc::new(Disk::holding(home.path(), &names)?);
        Ok((home, disk))
    }

    /// Starts the product on a folder, writes two posts and works until the cut, or to the end of
    /// what is due. `None` where it did not even start.
    async fn live(
        &mut self,
        home: &Path,
        disk: &Disk,
    ) -> anyhow::Result<(Option<Life>, Vec<Told>, bool)> {
        self.round += 1;
        let clock = Clock::manual(self.now);
        let life = match self.stage.begin(home, &[], clock).await {
            Ok(life) => life,
            Err(_) if disk.is_off() => return Ok((None, Vec::new(), true)),
            Err(e) => return Err(e.context("the product does not start")),
        };
        self.starts = self.starts.max(disk.done());
        let texts = [0, 1].map(|i| format!("r{}p{i}", self.round));
        let told = self.stage.post(&life.app, &texts).await;
        // An error is what a disk without power answers, or one without room.
        let _ = life.work(&|| disk.is_troubled()).await;
        Ok((Some(life), told, disk.is_off()))
    }

    /// One cut, perhaps a second one during the recovery, and the life after.
    async fn round(
        &mut self,
        random: &mut Random,
        counts: &mut Counts,
        made: &mut Made,
    ) -> anyhow::Result<Vec<String>> {
        let (mut home, mut disk) = self.home(None)?;
        disk.fault_at(1 + random.below(self.operations), Fault::Cut);
        let watch = vfs::watch(home.path(), &disk);
        let (life, told, _) = self.live(home.path(), &disk).await?;
        // It may have ended before the moment came: then the power goes now.
        disk.switch_off();
        self.end(life);
        drop(watch);
        made.cuts += 1;
        made.deliveries += told.iter().map(|t| t.targets.len() as u64).sum::<u64>();

        let mut wrong = self.images(&disk, &told, random, made)?;
        loop {
            let kept = Kept::ALL[random.below(4) as usize];
            (home, disk) = self.home(Some(disk.left(kept, random)))?;
            let _watch = vfs::watch(home.path(), &disk);
            let again = random.below(3) == 0;
            if again {
                disk.fault_at(1 + random.below(self.operations / 2), Fault::Cut);
            }
            let started = self.stage.begin(home.path(), &[], Clock::manual(self.now)).await;
            let life = match started {
                Ok(life) => Some(life),
                Err(_) if disk.is_off() => None,
                Err(e) => {
                    return Err(e.context(format!("it does not start on what is left, {kept:?}")));
                }
            };
            if let Some(life) = &life {
                let ended = life.to_quiet(&self.stage, LONG, &|| disk.is_troubled()).await;
                if !disk.is_off() {
                    ended?;
                    wrong.extend(self.stage.judge(&life.app, &told, counts).await?);
                }
            }
            let off = disk.is_off();
            self.end(life);
            if !off {
                return Ok(wrong);
            }
            made.again += 1;
        }
    }

    fn end(&mut self, life: Option<Life>) {
        if let Some(life) = &life {
            self.now = self.now.max(life.clock.now());
        }
        self.now += 60_000;
    }

    /// Opens what may be left in several ways: each has to be whole and to hold every post that
    /// was acknowledged.
    fn images(
        &self,
        disk: &Disk,
        told: &[Told],
        random: &mut Random,
        made: &mut Made,
    ) -> anyhow::Result<Vec<String>> {
        let mut wrong = Vec::new();
        for kept in Kept::ALL {
            let folder = TempDir::with_prefix("carillon-power-")?;
            for (name, bytes) in disk.left(kept, random) {
                std::fs::write(folder.path().join(name), bytes)?;
            }
            let file = Connection::open(folder.path().join("carillon.db"))?;
            let check: String = file.query_row("PRAGMA integrity_check", [], |r| r.get(0))?;
            ensure!(check == "ok", "{kept:?}: the file is damaged: {check}");
            for post in told.iter().filter(|t| t.refused.is_none()) {
                let sql = "SELECT count(*) FROM post WHERE text = ?1";
                let there: i64 = file.query_row(sql, [&post.text], |r| r.get(0))?;
                if there != 1 {
                    wrong.push(format!("{kept:?}: `{}` was acknowledged and is gone", post.text));
                }
            }
            made.images += 1;
        }
        Ok(wrong)
    }
}

/// Fills the disk for a while, `rounds` times, under a product that goes on.
async fn full(rounds: u64, seed: u64) -> anyhow::Result<(Counts, Vec<String>)> {
    let mut counts = Counts { rung: "disk full", ..Counts::default() };
    let (mut wrong, mut refused, mut deliveries) = (Vec::new(), 0, 0);
    let mut scene = Scene::set(false).await?;
    for round in 0..rounds {
        let mut random = Random::new(seed + round);
        let (home, disk) = scene.home(None)?;
        let _watch = vfs::watch(home.path(), &disk);
        let begins = scene.starts + random.below(scene.operations - scene.starts);
        disk.fault_at(begins, Fault::Full(random.below(60)));
        let (life, told, _) = scene.live(home.path(), &disk).await?;
        let life = life.context("it starts")?;
        let mut fails = 0;
        while let Err(e) = recover(&life, &scene.stage, &disk).await {
            fails += 1;
            ensure!(fails < 100, "it does not recover when there is room again: {e:#}");
            life.clock.advance(Duration::from_secs(1));
        }
        wrong.extend(scene.stage.judge(&life.app, &told, &mut counts).await?);
        let kept = scene.stage.deliveries(&life.app).await?;
        for (text, refusal) in told.iter().filter_map(|t| Some((&t.text, t.refused.as_ref()?))) {
            refused += 1;
            // Whoever is told so writes it once more: half of it must not be there.
            if refusal.kind != Kind::Unavailable || kept.keys().any(|(post, _)| post == text) {
                wrong.push(format!("`{text}` was refused with {refusal:?} and is there"));
            }
        }
        deliveries += told.iter().map(|t| t.targets.len() as u64).sum::<u64>();
        scene.end(Some(life));
    }
    counts.made =
        vec![("full disks", rounds), ("posts refused", refused), ("more deliveries", deliveries)];
    Ok((counts, wrong))
}

/// What the loops of a running process do by and by.
async fn recover(life: &Life, stage: &Stage, disk: &Disk) -> anyhow::Result<()> {
    cron::tick(&life.app).await?;
    life.clock.advance(Duration::from_secs(61));
    publishing::sweep::sweep(&life.app, false).await?;
    life.to_quiet(stage, LONG, &|| disk.is_troubled()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_lost_or_doubled_when_the_power_goes_or_the_disk_is_full() {
        let counts = run(Scale::Bounded).await.expect("the rung stands");
        assert_eq!((counts.lost, counts.doubled), (0, 0));
        eprintln!("{counts}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_a_sync_at_each_commit_it_finds_the_loss() {
        let _alone = ALONE.lock().await;
        let (counts, wrong) = cuts(20, 7, true).await.expect("it runs");
        assert!(!wrong.is_empty(), "the rung is blind: {counts}");
        eprintln!("at synchronous=NORMAL: {counts}, {} wrong", wrong.len());
    }
}
