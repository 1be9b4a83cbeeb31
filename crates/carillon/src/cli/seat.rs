//! The seat of a worker among those of its data folder: whose leases a new process may take for
//! dead at once, instead of waiting for their end.
//!
//! A seat is a locked file that holds a name; the system frees the lock when the process dies,
//! however it dies. A seat that can be locked has nobody on it, so what its name still leases is
//! free. The fence stops whoever comes back all the same.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;

use crate::{App, ids};

/// Most workers on one data folder.
const SEATS: usize = 64;

pub(super) struct Seat {
    pub name: String,
    /// Names of the seats that nobody sits on, kept locked until this is dropped.
    pub empty: Vec<(String, File)>,
    _lock: File,
}

/// Takes the first free seat.
pub(super) fn take(app: &App) -> anyhow::Result<Seat> {
    let folder = &app.config.data.dir;
    let mut taken = None;
    let mut empty = Vec::new();
    for n in 0..SEATS {
        let path = folder.join(format!("worker-{n}.lock"));
        if taken.is_some() && !path.exists() {
            break;
        }
        let Some(mut file) = lock(&path)? else { continue };
        let name = name(&mut file, app.clock.now())
            .with_context(|| format!("cannot read or write {}", path.display()))?;
        match taken {
            None => taken = Some((name, file)),
            Some(_) => empty.push((name, file)),
        }
    }
    let (name, lock) = taken.with_context(|| {
        format!("all {SEATS} seats of workers in {} are taken", folder.display())
    })?;
    // Its own, too: whoever sat here before is dead.
    Ok(Seat { name, empty, _lock: lock })
}

/// `None`: a living process has it.
fn lock(path: &Path) -> anyhow::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn name(file: &mut File, now: i64) -> std::io::Result<String> {
    let mut name = String::new();
    file.read_to_string(&mut name)?;
    if ids::valid(name.trim()) {
        return Ok(name.trim().to_owned());
    }
    let name = ids::new(now);
    file.set_len(0)?;
    writeln!(file, "{name}")?;
    file.sync_all()?;
    Ok(name)
}
