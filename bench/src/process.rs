//! Processes that the driver starts, speaks to by lines, and ends by their own ids.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::measure;

/// How long a process may take to say its first line: a cluster is made, a schema written.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end once its stdin is closed.
const END: Duration = Duration::from_secs(20);

pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    name: String,
}

impl Process {
    /// Starts a program; gives it and the first line it said.
    pub(crate) fn start(mut command: Command) -> Result<(Self, String)> {
        let program = std::path::Path::new(command.get_program());
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let stdin = child.stdin.take();
        let said = child.stdout.take().context("no stdout")?;
        let (send, lines) = channel();
        // Reads on whatever happens, so that the program never waits for its pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                // Nobody wants it any more: the driver has ended this process.
                let _ = send.send(line);
            }
        });
        let process = Self { child, stdin, lines, name };
        let first = process.line(START)?;
        Ok((process, first))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends one command and waits for its answer.
    pub(crate) fn ask(&mut self, command: &Value, limit: Duration) -> Result<Value> {
        let stdin = self.stdin.as_mut().context("the process was told to end")?;
        writeln!(stdin, "{command}").with_context(|| format!("{} has ended", self.name))?;
        let line = self.line(limit).with_context(|| format!("at {command}"))?;
        serde_json::from_str(&line).with_context(|| format!("{} answered {line}", self.name))
    }

    fn line(&self, limit: Duration) -> Result<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{} said nothing for {} s", self.name, limit.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("{} ended; its own message is above", self.name)
            }
        }
    }

    /// Ends it as a power cut ends it: it learns nothing.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Contenders and server scripts end when their stdin closes.
        drop(self.stdin.take());
        let begun = measure::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > END {
                // It is gone, or it cannot be ended by us: nothing else is left to do.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            measure::pause(Duration::from_millis(5));
        }
    }
}
