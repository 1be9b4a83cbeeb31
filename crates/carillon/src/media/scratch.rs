//! Folders for files under work, `scratch/…` in the data folder: each is gone when its work ends,
//! and swept when its process died before.
//!
//! A folder holds a file `lock` that its process keeps locked, so that whoever finds it unlocked
//! knows that nobody works there. Making one and sweeping take turns by a lock of their own. Every
//! process sweeps by itself and without a job: a job may run on a node with another data folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{App, ids};

const EVERY: Duration = Duration::from_secs(15 * 60);

/// A folder of one piece of work; dropped, it is gone.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    _lock: File,
}

impl Scratch {
    pub async fn new(app: &App) -> io::Result<Self> {
        let root = root(app);
        blocking(move || Self::within(&root)).await
    }

    fn within(root: &Path) -> io::Result<Self> {
        let _turn = turn(root)?;
        let dir = root.join(ids::secret());
        std::fs::create_dir(&dir)?;
        let lock = File::create(dir.join("lock"))?;
        lock.lock()?;
        Ok(Self { dir, _lock: lock })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A program of ours works in here: should we die before it does, the sweep ends it. Its
    /// arguments name this folder, so that nobody else is taken for it.
    pub(super) fn works_here(&self, process: u32) -> io::Result<()> {
        std::fs::write(self.dir.join("process"), process.to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(error = %e, dir = %self.dir.display(), "files under work stay until they are swept");
        }
    }
}

/// Sweeps until dropped.
pub async fn run(app: App) {
    loop {
        app.clock.sleep(EVERY).await;
        if let Err(e) = sweep(&app).await {
            tracing::warn!(error = %e, "the folder for files under work could not be swept");
        }
    }
}

/// Removes what dead processes left.
pub async fn sweep(app: &App) -> io::Result<()> {
    let root = root(app);
    let swept = blocking(move || sweep_in(&root)).await?;
    if swept > 0 {
        tracing::info!(swept, "what dead processes had under work was removed");
    }
    Ok(())
}

/// How many folders went.
fn sweep_in(root: &Path) -> io::Result<usize> {
    let _turn = turn(root)?;
    let mut gone = 0;
    for entry in std::fs::read_dir(root)? {
        let dir = entry?.path();
        if !dir.is_dir() {
            continue;
        }
        match File::open(dir.join("lock")) {
            Ok(lock) if lock.try_lock().is_err() => continue,
            _ => {}
        }
        end_orphan(&dir);
        std::fs::remove_dir_all(&dir)?;
        gone += 1;
    }
    Ok(gone)
}

/// Ends a program that outlived the process that started it.
fn end_orphan(dir: &Path) {
    let Ok(process) = std::fs::read_to_string(dir.join("process")) else { return };
    let arguments = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let Some(name) = dir.file_name().map(|n| n.as_encoded_bytes().to_vec()) else { return };
    if !arguments.windows(name.len()).any(|w| w == name) {
        return;
    }
    let group = process.parse().ok().and_then(Pid::from_raw);
    match group.map(|group| kill_process_group(group, Signal::KILL)) {
        Some(Ok(())) => tracing::info!(process, "a program that a dead process left was ended"),
        Some(Err(e)) => tracing::warn!(error = %e, process, "a program of a dead process runs on"),
        None => {}
    }
}

/// Why there is no room: what is free, and what would be needed, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    pub free: u64,
    pub needed: u64,
}

/// Is there room for this many bytes beside what is to stay free?
pub fn room(app: &App, bytes: u64) -> io::Result<Result<(), Full>> {
    let disk = rustix::fs::statvfs(&app.config.data.dir)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = bytes.saturating_add(app.config.media.disk_reserve);
    Ok(if free < needed { Err(Full { free, needed }) } else { Ok(()) })
}

fn root(app: &App) -> PathBuf {
    app.config.data.dir.join("scratch")
}

/// The right to change which folders there are, until dropped.
fn turn(root: &Path) -> io::Result<File> {
    std::fs::create_dir_all(root)?;
    let file = File::create(root.join("turn"))?;
    file.lock()?;
    Ok(file)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
pub(super) mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// A folder of its own, and the root that it is in.
    pub(in crate::media) fn scratch() -> (tempfile::TempDir, Scratch) {
        let root = tempfile::tempdir().unwrap();
        let scratch = Scratch::within(root.path()).unwrap();
        (root, scratch)
    }

    #[test]
    fn a_folder_is_gone_with_its_work_and_those_of_the_living_stay() {
        let (root, scratch) = scratch();
        std::fs::write(scratch.file("half"), "made").unwrap();
        let dead = root.path().join("0123456789abcdef");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join("lock"), "").unwrap();
        std::fs::create_dir(root.path().join("without a lock")).unwrap();
        assert_eq!(sweep_in(root.path()).unwrap(), 2);
        assert!(scratch.file("half").exists());
        let dir = scratch.dir().to_owned();
        drop(scratch);
        assert!(!dir.exists());
        assert_eq!(sweep_in(root.path()).unwrap(), 0);
    }

    #[test]
    fn what_a_dead_process_started_ends_and_nobody_else() {
        use std::os::unix::process::CommandExt;
        let (root, scratch) = scratch();
        let start = |named: &Path| {
            let mut command = Command::new("sh");
            command.args(["-c", "read line", "sh"]).arg(named).process_group(0);
            command.stdin(Stdio::piped()).spawn().unwrap()
        };
        let left = |name: &str, process: u32| {
            let dir = root.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("process"), process.to_string()).unwrap();
        };
        let mut ours = start(&root.path().join("0123456789abcdef"));
        left("0123456789abcdef", ours.id());
        // Its number went to somebody else meanwhile.
        let mut others = start(Path::new("elsewhere"));
        left("fedcba9876543210", others.id());
        assert_eq!(sweep_in(root.path()).unwrap(), 2);
        assert!(!ours.wait().unwrap().success());
        drop(others.stdin.take());
        assert_eq!(others.wait().unwrap().code(), Some(1), "it has read to the end of nothing");
        drop(scratch);
    }
}
