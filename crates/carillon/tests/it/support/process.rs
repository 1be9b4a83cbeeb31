//! The shipped binary as a process of its own, killed when the test is done with it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The release binary where `make test` built one, otherwise this build's.
pub fn binary() -> PathBuf {
    std::env::var_os("CARILLON_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_carillon")), PathBuf::from)
}

pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it; returns when it has printed a line that begins with `ready`, and that line.
    pub fn start(
        args: &[&str],
        settings: &BTreeMap<String, String>,
        ready: &str,
    ) -> (Self, String) {
        Self::start_logging(args, settings, ready, None)
    }

    /// The same with its log in a file, at these levels.
    pub fn start_logging(
        args: &[&str],
        settings: &BTreeMap<String, String>,
        ready: &str,
        log: Option<(&Path, &str)>,
    ) -> (Self, String) {
        let stderr = match log {
            Some((file, _)) => {
                Stdio::from(std::fs::File::create(file).expect("a file for the log"))
            }
            None => Stdio::piped(),
        };
        let mut child = Command::new(binary())
            .args(args)
            .envs(settings)
            .env("RUST_LOG", log.map_or("warn", |(_, levels)| levels))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (say, heard) = mpsc::channel();
        let wanted = ready.to_owned();
        std::thread::spawn(move || {
            // Reads on to the end, so that the process never waits for its pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.starts_with(&wanted) {
                    let _ = say.send(line);
                }
            }
        });
        let complaints = child.stderr.take().map(last_words);
        let mut process = Self { child };
        let line = heard.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|e| {
            let what = match e {
                RecvTimeoutError::Timeout => "was not ready in time",
                RecvTimeoutError::Disconnected => "ended before it was ready",
            };
            process.end();
            let said = complaints.map(|c| c.join().unwrap_or_default()).unwrap_or_default();
            panic!("`carillon {}` {what}: {said}", args.join(" "))
        });
        (process, line)
    }

    /// The most memory it ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("Linux tells");
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("a peak");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    /// SIGKILL: nothing of it runs on.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("it ends");
    }
}

/// Reads a process's complaints to their end, and keeps the last of them.
fn last_words(stderr: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut last = VecDeque::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            last.push_back(line);
            if last.len() > 20 {
                last.pop_front();
            }
        }
        Vec::from(last).join("\n")
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Runs the binary on a data folder as a user without rights, and to its end. Root may write
/// whatever is read-only, so it becomes nobody; everybody else is somebody already.
pub fn as_nobody(args: &[&str], data: &Path) -> Output {
    let id = Command::new("id").arg("-u").output().expect("id runs").stdout;
    let mut command = if id == b"0\n" {
        // Nobody may not enter the folders above the build.
        let copy = data.parent().expect("a folder above").join("carillon");
        if !copy.exists() {
            std::fs::copy(binary(), &copy).expect("a copy of the binary");
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(copy);
        command
    } else {
        Command::new(binary())
    };
    command
        .args(args)
        .env("CARILLON_DATA", data)
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

/// A sandbox of its own process; its address.
pub fn sandbox(latency_ms: u64) -> (Process, String) {
    let latency = latency_ms.to_string();
    let args = ["sandbox", "--listen", "127.0.0.1:0", "--latency", &latency];
    let (process, line) = Process::start(&args, &BTreeMap::new(), "listening on ");
    (process, line.trim_start_matches("listening on ").to_owned())
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port()
}
