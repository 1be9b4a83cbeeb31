//! What a network answered while our database was away, kept on disk: one small file an outcome.
//!
//! An answer that is known to nobody else must survive the end of the lease and of the process.
//! The file is synced before the next try at the database and goes when the outcome stands. What is
//! left is applied by the next sweep, also the one at the start: only while nobody has claimed the
//! job since, so that applying it twice, or after somebody has looked, does nothing.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::outcome::{self, Line, Lost, Next, Outcome};
use crate::App;
use crate::db::Error;
use crate::domain::delivery::DeliveryState;
use crate::domain::job::Claim;
use crate::domain::problem::Problem;

/// The words with which a send's line in the journal ends.
const WORDS: [&str; 6] = ["accepted", "processing", "found", "unknown", "refused", "not_sent"];

/// An outcome as it lies in its file, behind a line with the hash of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    v: u32,
    pub job: String,
    pub fence: i64,
    pub owner: String,
    pub delivery: String,
    line: String,
    word: String,
    to: DeliveryState,
    /// `None`: the job is over.
    again_at: Option<i64>,
    dead: bool,
    problem: Option<Problem>,
    tries: i64,
    looks: i64,
    intent_at: Option<i64>,
    #[serde(default)]
    perhaps: bool,
    remote: Option<(String, Option<String>)>,
    forget: bool,
    breaks: bool,
    hold_lane_until: Option<i64>,
    quota_until: Option<i64>,
}

/// Keeps the outcome of a send, synced. Where that fails the database alone is tried: no worse than
/// before.
pub(super) fn keep(app: &App, claim: &Claim, outcome: &Outcome) {
    let (Some(folder), Some(kept)) = (folder(app), Kept::of(claim, outcome)) else { return };
    let written = serde_json::to_string(&kept)
        .map_err(std::io::Error::from)
        .and_then(|text| write(&folder, &name(&claim.id, claim.fence), &text));
    match written {
        Ok(()) => {
            tracing::warn!(job_id = %claim.id, "an outcome is kept on disk until the database is back")
        }
        Err(e) => {
            tracing::error!(job_id = %claim.id, error = %e, "an outcome could not be kept on disk")
        }
    }
}

/// The outcome stands, or somebody else's does.
pub(super) fn forget(app: &App, claim: &Claim) {
    if let Some(folder) = folder(app) {
        remove(&folder.join(name(&claim.id, claim.fence)));
    }
}

/// Applies what was kept; how many outcomes stand because of it. An unreadable file is reported and
/// set aside.
pub(super) async fn replay(app: &App) -> Result<usize, Error> {
    let Some(folder) = folder(app) else { return Ok(0) };
    let mut applied = 0;
    for file in files(&folder) {
        let kept = match read(&file) {
            Ok(kept) => kept,
            // Another sweep of this process was quicker.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => {
                set_aside(&file, &e);
                continue;
            }
        };
        match outcome::take_up(app, &kept).await {
            Ok(()) => {
                applied += 1;
                tracing::info!(delivery_id = %kept.delivery, to = %kept.to, "an outcome that was kept on disk stands now");
            }
            Err(Lost::Db(e @ (Error::Unavailable(_) | Error::CommitUnknown(_)))) => return Err(e),
            Err(e) => {
                tracing::info!(delivery_id = %kept.delivery, error = %e, "an outcome that was kept on disk came too late");
            }
        }
        remove(&file);
    }
    Ok(applied)
}

impl Kept {
    /// `None` where nothing was sent: such a step can be done again.
    fn of(claim: &Claim, o: &Outcome) -> Option<Self> {
        let Line::End { id, word } = &o.line else { return None };
        let again_at = match o.next {
            Next::At(at) => Some(at),
            Next::Done | Next::Dead => None,
            Next::Lane(_) => return None,
        };
        Some(Self {
            v: 1,
            job: claim.id.clone(),
            fence: claim.fence,
            owner: claim.owner.clone(),
            delivery: claim.subject.clone(),
            line: id.clone(),
            word: (*word).to_owned(),
            to: o.to,
            again_at,
            dead: o.next == Next::Dead,
            problem: o.problem.clone(),
            tries: o.tries,
            looks: o.looks,
            intent_at: o.intent_at,
            perhaps: o.perhaps,
            remote: o.remote.clone(),
            forget: o.forget,
            breaks: o.breaks,
            hold_lane_until: o.hold_lane_until,
            quota_until: o.quota_until,
        })
    }

    /// `None` for a word that this version does not know.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let word = WORDS.into_iter().find(|w| *w == self.word)?;
        let next = match (self.again_at, self.dead) {
            (Some(at), _) => Next::At(at),
            (None, true) => Next::Dead,
            (None, false) => Next::Done,
        };
        Some(Outcome {
            to: self.to,
            next,
            line: Line::End { id: self.line.clone(), word },
            problem: self.problem.clone(),
            tries: self.tries,
            looks: self.looks,
            intent_at: self.intent_at,
            perhaps: self.perhaps,
            remote: self.remote.clone(),
            forget: self.forget,
            breaks: self.breaks,
            hold_lane_until: self.hold_lane_until,
            quota_until: self.quota_until,
        })
    }
}

/// Where the files lie. A database in memory is a simulation's: its processes share a folder, and
/// their ids repeat.
fn folder(app: &App) -> Option<PathBuf> {
    let real = app.db.is_postgres() || app.db.file().is_some();
    real.then(|| app.config.data.dir.join("outcomes"))
}

fn name(job: &str, fence: i64) -> String {
    format!("{job}-{fence}.json")
}

/// Whole or not at all: written beside, synced, renamed, and the folder synced.
fn write(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    if folder.join(name).exists() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    let beside = folder.join(format!("{name}.new"));
    let mut file = File::create(&beside)?;
    file.write_all(format!("{}\n{text}\n", hash(text)).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(name))?;
    File::open(folder)?.sync_all()
}

fn read(file: &Path) -> std::io::Result<Kept> {
    let text = std::fs::read_to_string(file)?;
    let unreadable = |why: &str| std::io::Error::new(ErrorKind::InvalidData, why.to_owned());
    let (hashed, rest) = text.split_once('\n').ok_or_else(|| unreadable("it is cut short"))?;
    let text = rest.strip_suffix('\n').ok_or_else(|| unreadable("it is cut short"))?;
    if hashed != hash(text) {
        return Err(unreadable("its hash does not agree"));
    }
    let kept: Kept = serde_json::from_str(text)?;
    if kept.v == 1 { Ok(kept) } else { Err(unreadable("another version wrote it")) }
}

/// The oldest first: ids sort by time.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
}

fn set_aside(file: &Path, why: &std::io::Error) {
    let aside = file.with_extension("unreadable");
    tracing::error!(
        file = %aside.display(),
        error = %why,
        "a kept outcome cannot be read and is set aside; its delivery is looked up instead"
    );
    if let Err(e) = std::fs::rename(file, aside) {
        tracing::error!(error = %e, "it could not be set aside");
    }
}

fn remove(file: &Path) {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            // Applied once more it does nothing.
            tracing::warn!(file = %file.display(), error = %e, "a kept outcome could not be removed");
        }
        _ => {}
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_back_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let claim = Claim {
            id: "j".into(),
            kind: crate::domain::job::Kind::Deliver,
            pool: crate::domain::job::Pool::Send,
            lane: "l".into(),
            subject: "d".into(),
            fence: 7,
            owner: "w".into(),
            lease_until: 0,
            run_at: 0,
            tries: 0,
            probe: false,
        };
        let sent = Outcome {
            to: DeliveryState::Published,
            next: Next::Done,
            line: Line::End { id: "a".into(), word: "accepted" },
            problem: None,
            tries: 1,
            looks: 2,
            intent_at: Some(3),
            perhaps: true,
            remote: Some(("42".into(), None)),
            forget: false,
            breaks: false,
            hold_lane_until: None,
            quota_until: None,
        };
        let kept = Kept::of(&claim, &sent).unwrap();
        write(folder.path(), "j-7.json", &serde_json::to_string(&kept).unwrap()).unwrap();
        let files = files(folder.path());
        assert_eq!(files.len(), 1);
        let back = read(&files[0]).unwrap();
        assert_eq!((back.fence, back.delivery.as_str()), (7, "d"));
        let outcome = back.outcome().unwrap();
        assert_eq!((outcome.remote, outcome.tries), (sent.remote.clone(), 1));
        assert!(outcome.perhaps);

        let whole = std::fs::read(&files[0]).unwrap();
        for end in 0..whole.len() {
            std::fs::write(&files[0], &whole[..end]).unwrap();
            assert!(read(&files[0]).is_err(), "cut at {end}");
        }
        let mut changed = whole;
        let at = changed.len() / 2;
        changed[at] ^= 1;
        std::fs::write(&files[0], &changed).unwrap();
        assert!(read(&files[0]).is_err(), "a bit is another one");

        let looked =
            Outcome { line: Line::New { step: "prepare", started_at: 0, word: "late" }, ..sent };
        assert!(Kept::of(&claim, &looked).is_none(), "nothing was sent");
    }
}
