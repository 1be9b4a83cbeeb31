//! The shipped binary as a process of its own: started, watched through what the kernel tells of
//! it, and killed. Never outlives the value that stands for it.
//!
//! `make prove` and `make test` name the one they built in CARILLON_BIN; without it cargo builds one
//! of this build's own profile.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(60);
/// Of the kernel's clock that counts CPU time; the same on every Linux.
const TICKS_A_SECOND: u64 = 100;

/// Where the binary is.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CARILLON_BIN") {
        let named = PathBuf::from(named);
        ensure!(named.exists(), "CARILLON_BIN names {}, which is not there", named.display());
        return Ok(named);
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", "carillon", "--bin", "carillon"]);
    build.args(["--message-format", "json"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let built = build.stdin(Stdio::null()).output().context("cannot start cargo")?;
    ensure!(
        built.status.success(),
        "the binary cannot be built:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let said = String::from_utf8_lossy(&built.stdout);
    let mut built = said.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "carillon")
            .then(|| message["executable"].as_str())?
            .map(PathBuf::from)
    });
    built.next_back().context("cargo named no binary")
}

pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Starts it with these arguments and settings, its log at the end of a file; returns when it
    /// has printed a line that begins with `listening on `, and the address in it.
    pub(crate) fn start(
        binary: &Path,
        args: &[&str],
        settings: &BTreeMap<String, String>,
        log: &Path,
    ) -> Result<(Self, String)> {
        let log =
            File::options().create(true).append(true).open(log).context("no file for its log")?;
        let child = Command::new(binary)
            .args(args)
            .envs(settings)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        let mut child = child.with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let running = Self { child };
        let (say, heard) = mpsc::channel();
        std::thread::spawn(move || {
            // Reads on to the end, so that the process never waits for its pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("listening on ") {
                    // Nobody waits for a second one.
                    let _ = say.send(address.to_owned());
                }
            }
        });
        match heard.recv_timeout(START) {
            Ok(address) => Ok((running, address)),
            Err(_) => bail!("`carillon {}` did not listen within {START:?}", args.join(" ")),
        }
    }

    /// SIGKILL: nothing of it runs on.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("it cannot be killed")?;
        self.child.wait().context("it does not end")?;
        Ok(())
    }

    /// How it ended, if it did so by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Resident memory in KB.
    pub(crate) fn memory(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kb = line.trim().trim_end_matches(" kB").parse();
        kb.with_context(|| format!("`{line}` is no size"))
    }

    /// CPU time used so far, of all threads, in ms.
    pub(crate) fn cpu_ms(&self) -> Result<u64> {
        let stat = self.proc("stat")?;
        // The name in brackets may hold anything; the times are the 14th and 15th field.
        let (_, fields) = stat.rsplit_once(") ").context("no name in brackets")?;
        let times: Vec<u64> =
            fields.split(' ').skip(11).take(2).map_while(|f| f.parse().ok()).collect();
        ensure!(times.len() == 2, "`{stat}` has no times");
        Ok(times.iter().sum::<u64>() * 1000 / TICKS_A_SECOND)
    }

    fn proc(&self, name: &str) -> Result<String> {
        let file = format!("/proc/{}/{name}", self.child.id());
        std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {file}: this needs Linux"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None))
            && let Err(e) = self.kill()
        {
            eprintln!("process {} is left over: {e:#}", self.child.id());
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
