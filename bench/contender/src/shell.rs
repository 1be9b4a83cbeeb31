//! Reads commands from stdin, runs them one after the other, answers on stdout.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Handler, Job, Queue, Waiting};

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Command {
    /// One job a call, `callers` at once, until `n` are in or time is up.
    Add {
        n: u64,
        callers: u64,
        limit_ms: u64,
    },
    /// In lots, four at once.
    AddAll {
        n: u64,
        lot: u64,
        t: u64,
        due: Option<u64>,
        shut: bool,
    },
    /// One job a call at an uneven pace, each with the time of its call.
    Trickle {
        n: u64,
        gap_ms: u64,
    },
    Work {
        delay_ms: u64,
        ledger: Option<PathBuf>,
    },
    Wait {
        n: u64,
        limit_ms: u64,
    },
    Left,
    Analyze,
}

/// Lots under way at once.
const LOTS: u64 = 4;

/// Serves the protocol until stdin closes; the process ends with it.
pub async fn contend<Q: Queue>(place: &str) -> Result<()> {
    let queue = Q::open(serde_json::from_str(place)?).await?;
    say(&json!({ "ready": true }))?;
    let mut commands = commands();
    let mut handler = None;
    while let Some(line) = commands.recv().await {
        let command = serde_json::from_str(&line).with_context(|| format!("not known: {line}"))?;
        say(&run(&queue, &mut handler, command).await?)?;
    }
    Ok(())
}

async fn run<Q: Queue>(queue: &Q, handler: &mut Option<Handler>, c: Command) -> Result<Value> {
    Ok(match c {
        Command::Add { n, callers, limit_ms } => {
            timed(add(queue, n, callers, Duration::from_millis(limit_ms))).await?
        }
        Command::AddAll { n, lot, t, due, shut } => {
            timed(add_all(queue, n, lot, t, Waiting { due, shut })).await?
        }
        Command::Trickle { n, gap_ms } => timed(trickle(queue, n, gap_ms)).await?,
        Command::Work { delay_ms, ledger } => {
            let new = Handler::new(Duration::from_millis(delay_ms), ledger)?;
            *handler = Some(new.clone());
            queue.work(new).await?;
            json!({ "working": true })
        }
        Command::Wait { n, limit_ms } => {
            let handler = handler.as_ref().context("`work` has to come first")?;
            let seen = handler.wait(n, Duration::from_millis(limit_ms)).await;
            serde_json::to_value(seen)?
        }
        Command::Left => json!({ "left": queue.left().await? }),
        Command::Analyze => {
            queue.analyze().await?;
            json!({ "analyzed": true })
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "a measurement is of real time")]
async fn add<Q: Queue>(queue: &Q, n: u64, callers: u64, limit: Duration) -> Result<u64> {
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let lanes = (0..callers).map(|_| {
        let (queue, next) = (queue.clone(), next.clone());
        tokio::spawn(async move {
            let mut done = 0;
            while begun.elapsed() < limit {
                let id = next.fetch_add(1, Ordering::Relaxed);
                if id >= n {
                    break;
                }
                queue.add(Job { id, t: 0 }).await?;
                done += 1;
            }
            Ok(done)
        })
    });
    all(lanes.collect()).await
}

async fn add_all<Q: Queue>(queue: &Q, n: u64, lot: u64, t: u64, waiting: Waiting) -> Result<u64> {
    let next = Arc::new(AtomicU64::new(0));
    let lanes = (0..LOTS).map(|_| {
        let (queue, next) = (queue.clone(), next.clone());
        tokio::spawn(async move {
            let mut done = 0;
            loop {
                let first = next.fetch_add(lot, Ordering::Relaxed);
                if first >= n {
                    return Ok(done);
                }
                let jobs: Vec<Job> = (first..n.min(first + lot)).map(|id| Job { id, t }).collect();
                done += jobs.len() as u64;
                queue.add_all(jobs, waiting).await?;
            }
        })
    });
    all(lanes.collect()).await
}

/// The pace is uneven so that it never falls into step with somebody's poll.
async fn trickle<Q: Queue>(queue: &Q, n: u64, gap_ms: u64) -> Result<u64> {
    for id in 0..n {
        queue.add(Job { id, t: us() }).await?;
        let share = 600 + (id * 7919) % 801;
        tokio::time::sleep(Duration::from_micros(gap_ms * share)).await;
    }
    Ok(n)
}

async fn all(lanes: Vec<tokio::task::JoinHandle<Result<u64>>>) -> Result<u64> {
    let mut done = 0;
    for lane in lanes {
        done += lane.await??;
    }
    Ok(done)
}

#[expect(clippy::disallowed_methods, reason = "a measurement is of real time")]
async fn timed(work: impl Future<Output = Result<u64>>) -> Result<Value> {
    let begun = Instant::now();
    let n = work.await?;
    Ok(json!({ "n": n, "us": begun.elapsed().as_micros() as u64 }))
}

/// µs since 1970, by the system's clock: the one that all processes of a machine share.
pub fn us() -> u64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64
}

/// The lines of stdin; the process ends when they do, whatever is under way.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (send, receive) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
        std::process::exit(0);
    });
    receive
}

fn say(answer: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
        bail!("nobody listens");
    }
    Ok(())
}
