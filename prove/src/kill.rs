//! Rung 4, kill -9: the product's own test against the shipped binary, with as many kills as asked
//! for. It runs through cargo, because it needs the binary and a sandbox as processes of their own.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{Counts, Scale};

/// Kills on each database.
fn kills(scale: Scale) -> u64 {
    match scale {
        Scale::Bounded => 50,
        Scale::Full => 2_000,
    }
}

pub fn run(scale: Scale) -> Result<Counts> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let done = Command::new(cargo)
        .args(["test", "--quiet", "-p", "carillon", "--test", "it", "kill::nothing"])
        .args(["--", "--nocapture", "--test-threads=1"])
        .env("CARILLON_KILLS", kills(scale).to_string())
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(done.status.success(), "the kill test failed:\n{said}");
    let mut counts = Counts { rung: "kill -9", ..Counts::default() };
    let (mut kills, mut deliveries) = (0, 0);
    for line in said.lines().filter(|l| l.contains(" kills in ")) {
        kills += before(line, " kills in ")?;
        deliveries += before(line, " deliveries:")?;
        counts.held += before(line, " held ")?;
        counts.lost += before(line, " lost")?;
        counts.doubled += before(line, " doubled")?;
    }
    ensure!(kills > 0, "the kill test said nothing:\n{said}");
    counts.made = vec![("kills", kills), ("deliveries", deliveries)];
    Ok(counts)
}

/// The number that stands before these words.
fn before(line: &str, words: &str) -> Result<u64> {
    let head = line.split(words).next().unwrap_or_default();
    let number = head.rsplit([' ', ':', ',']).next().unwrap_or_default();
    number.parse().with_context(|| format!("no number before `{words}` in `{line}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_test_is_read() {
        let line = "Sqlite: 30 kills in 4 s (seed 0x5eed), 1080 deliveries: 1035 published once, \
                    45 held (telegram), 2 lost, 1 doubled";
        let numbers = [" kills in ", " deliveries:", " held ", " lost", " doubled"]
            .map(|words| before(line, words).expect("a number"));
        assert_eq!(numbers, [30, 1080, 45, 2, 1]);
    }
}
