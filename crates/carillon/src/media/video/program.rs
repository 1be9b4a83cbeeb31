//! Running ffmpeg and ffprobe on files that anybody may have made: with limits of memory, time and
//! output, without our environment (it holds secrets), as a process group that ends with its caller.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::media::scratch::Scratch;

/// What one run may spend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of address space.
    pub memory: u64,
    pub time: Duration,
    /// Bytes of the largest file that it writes.
    pub file: u64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("the program `{0}` is not installed")]
    Missing(String),
    #[error("it took longer than {} s", .0.as_secs())]
    TookTooLong(Duration),
    #[error("the machine was too busy: of {} s it had {} s of a processor", .0.as_secs(), .1.as_secs())]
    Starved(Duration, Duration),
    #[error("it was ended by signal {0}")]
    Killed(i32),
    /// It says so itself; the last lines of what it says.
    #[error("{0}")]
    Refused(String),
    #[error("it could not be run: {0}")]
    Io(#[from] std::io::Error),
}

impl Failed {
    /// May the same work well another time? What kills a program without our limits is the
    /// system, when memory is short.
    pub(super) fn passes(&self) -> bool {
        const SIGKILL: i32 = 9;
        match self {
            Self::Io(_) | Self::Starved(..) | Self::Killed(SIGKILL) => true,
            Self::Refused(words) => words.contains("No space left on device"),
            _ => false,
        }
    }
}

/// What it said, at most so much of it.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub out: String,
    pub err: String,
}

/// Most that is kept of what a program says, in bytes.
const MOST_OUT: usize = 1 << 20;
const MOST_ERR: usize = 16 << 10;

/// `ulimit` counts memory in KiB and files in blocks of 512 bytes. `nice`: requests go first.
const SCRIPT: &str =
    r#"ulimit -c 0 && ulimit -v "$1" && ulimit -f "$2" && shift 2 && exec nice -n 10 "$@""#;

/// Runs a program to its end, handing on each line of its output. Dropped, it ends with all that it
/// has started. `scratch` is the folder that its arguments name.
pub(super) async fn run(
    program: &str,
    arguments: &[String],
    limits: Limits,
    scratch: &Scratch,
    mut line: impl FnMut(&str),
) -> Result<Said, Failed> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "sh"]);
    command.args([(limits.memory >> 10).to_string(), limits.file.div_ceil(512).to_string()]);
    command.arg(program).args(arguments);
    command.env_clear().env("LC_ALL", "C");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).spawn()?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    if let Some(id) = child.id() {
        scratch.works_here(id)?;
    }
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (out, err, ended) =
            tokio::join!(lines(out, &mut line), tail(err, MOST_ERR), child.wait());
        Ok::<_, std::io::Error>((out?, err?, ended?))
    };
    let Ok(ended) = tokio::time::timeout(limits.time, all).await else {
        return Err(late(limits.time, group.0.and_then(worked).unwrap_or(limits.time)));
    };
    let (out, err, status) = ended?;
    group.0 = None;
    match status.code() {
        Some(0) => Ok(Said { out, err }),
        // As the shell and `nice` say that there is no such program, or none that can be run.
        Some(126 | 127) => Err(Failed::Missing(program.to_owned())),
        Some(_) => Err(Failed::Refused(last_words(&err))),
        None => {
            use std::os::unix::process::ExitStatusExt;
            Err(Failed::Killed(status.signal().unwrap_or_default()))
        }
    }
}

/// A process group that ends with its owner.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(e) = kill_process_group(group, Signal::KILL)
        {
            tracing::warn!(error = %e, "a program could not be ended");
        }
    }
}

/// What it means that a run did not end in time: where others had the processor it is not the
/// file's fault.
fn late(limit: Duration, worked: Duration) -> Failed {
    match worked < limit / 4 {
        true => Failed::Starved(limit, worked),
        false => Failed::TookTooLong(limit),
    }
}

/// How long a process was on a processor, by the system's count of hundredths of a second.
fn worked(process: Pid) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // Behind the program's name, which may hold anything: fields 14 and 15 of proc(5).
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = |field: usize| fields.split_whitespace().nth(field)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Reads to the end, by lines; keeps the beginning.
async fn lines(
    from: Option<impl AsyncRead + Unpin>,
    line: &mut impl FnMut(&str),
) -> std::io::Result<String> {
    let Some(from) = from else { return Ok(String::new()) };
    let (mut from, mut kept, mut next) = (BufReader::new(from), String::new(), Vec::new());
    loop {
        next.clear();
        // A line without an end is handed on in pieces.
        if (&mut from).take(MOST_OUT as u64).read_until(b'\n', &mut next).await? == 0 {
            return Ok(kept);
        }
        let text = String::from_utf8_lossy(&next);
        line(text.trim_end());
        if kept.len() + text.len() <= MOST_OUT {
            kept.push_str(&text);
        }
    }
}

/// Reads to the end; keeps the last `most` bytes, whole lines as far as they go.
async fn tail(from: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<String> {
    let Some(mut from) = from else { return Ok(String::new()) };
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        kept.extend_from_slice(&piece[..read]);
        if kept.len() > 2 * most {
            kept.drain(..kept.len() - most);
        }
    }
}

/// The last lines, without the names of the parts that say them (`[mov,mp4 @ 0x55…] `): the reason
/// comes first, and how far up it was felt behind it.
fn last_words(err: &str) -> String {
    const LINES: usize = 4;
    let own = |line| match str::split_once(line, "] ") {
        Some((part, words)) if part.starts_with('[') => words,
        _ => line,
    };
    let mut lines: Vec<_> = err.lines().map(|l| own(l.trim())).filter(|l| !l.is_empty()).collect();
    let words = lines.split_off(lines.len().saturating_sub(LINES)).join("; ");
    words.chars().filter(|c| !c.is_control()).take(600).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::scratch::tests::scratch;

    const LIMITS: Limits = Limits { memory: 1 << 30, time: Duration::from_secs(60), file: 1 << 20 };

    async fn sh(script: &str, limits: Limits) -> Result<Said, Failed> {
        let (_root, scratch) = scratch();
        let dir = scratch.dir().display().to_string();
        let arguments = ["-c", script, "sh", &dir].map(str::to_owned);
        run("sh", &arguments, limits, &scratch, |_| {}).await
    }

    #[tokio::test]
    async fn what_a_program_says_is_heard_and_what_it_fails_with_too() {
        let said = sh("echo one; echo two >&2; echo three", LIMITS).await.unwrap();
        assert_eq!((said.out.as_str(), said.err.as_str()), ("one\nthree\n", "two\n"));
        let refused =
            sh("for i in 1 2 3 4 5; do echo $i >&2; done; exit 3", LIMITS).await.unwrap_err();
        assert_eq!(refused.to_string(), "2; 3; 4; 5");
        assert!(!refused.passes());
        let (_root, scratch) = scratch();
        let missing = run("no-such-program", &[], LIMITS, &scratch, |_| {}).await.unwrap_err();
        assert!(matches!(missing, Failed::Missing(name) if name == "no-such-program"));
    }

    #[tokio::test]
    async fn our_environment_stays_with_us() {
        let said = sh("env", LIMITS).await.unwrap();
        let names = said.out.lines().filter_map(|l| Some(l.split_once('=')?.0));
        let more: Vec<&str> = names
            .filter(|n| !["PATH", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"].contains(n))
            .collect();
        assert_eq!(more, Vec::<&str>::new());
    }

    #[tokio::test]
    async fn limits_hold() {
        let large = Limits { file: 512 << 10, ..LIMITS };
        let wrote = sh(r#"exec dd if=/dev/zero of="$1/large" bs=1k count=1000"#, large).await;
        assert!(matches!(wrote, Err(Failed::Killed(25) | Failed::Refused(_))), "{wrote:?}");
        // The bytes are held before a line of them ends.
        let hungry = r#"exec grep -a x "$1/zeros""#;
        let fill = format!(r#"truncate -s 900M "$1/zeros" && {hungry}"#);
        let room = Limits { memory: 256 << 20, file: 1 << 30, ..LIMITS };
        let ate = sh(&fill, room).await;
        assert!(matches!(ate, Err(Failed::Refused(ref why)) if why.contains("memory")), "{ate:?}");
    }

    /// The grandchild holds a lock as long as it lives, and it would for a minute.
    #[tokio::test]
    async fn what_takes_too_long_ends_with_all_that_it_started() {
        let held = tempfile::NamedTempFile::new().unwrap();
        let path = held.path().display();
        let script = format!("flock {path} sh -c 'echo held; exec sleep 60' & wait");
        let short = Limits { time: Duration::from_millis(1_500), ..LIMITS };
        let late = sh(&script, short).await.unwrap_err();
        assert!(matches!(late, Failed::Starved(..)) && late.passes(), "it slept: {late:?}");
        let file = held.reopen().unwrap();
        tokio::task::spawn_blocking(move || file.lock()).await.unwrap().unwrap();
    }

    #[test]
    fn who_had_no_processor_may_try_again_and_who_used_it_up_may_not() {
        let of = |worked| late(Duration::from_secs(60), Duration::from_secs(worked));
        assert!(of(14).passes());
        assert!(matches!(of(15), Failed::TookTooLong(_)) && !of(15).passes());
        assert!(worked(rustix::process::getpid()).is_some());
    }

    #[test]
    fn the_last_words_are_a_programs_own() {
        let err =
            "[mov,mp4,m4a @ 0x55568cf92280] moov atom not found\nh.mp4: Invalid data found\n\n";
        assert_eq!(last_words(err), "moov atom not found; h.mp4: Invalid data found");
        assert_eq!(last_words(""), "");
    }
}
