//! `carillon-prove [rung …] [--full] [--seed N] [--seeds N] [--minutes N] [--on DATABASE] [--write FILE]`:
//! runs the rungs named, or all, prints one line of counts each, and ends with 1 when anything was
//! lost, doubled or missed. `--minutes` and `--on` (sqlite or postgres) are the soak's. `--write`
//! puts the counts between the marks of a document; rungs that did not run keep theirs.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use carillon_prove::{Counts, Scale, bugs, crash, kill, model, power, proxy, seeds, soak};

const RUNGS: [&str; 8] = ["crash", "seeds", "model", "kill", "power", "postgres", "soak", "bugs"];
/// What they are called in counts, in the same order; the soak is two, one a database.
const NAMES: [&str; 9] = [
    "crash sweep",
    "seeds",
    "model",
    "kill -9",
    "power cut",
    "PostgreSQL faults",
    "soak on SQLite",
    "soak on PostgreSQL",
    "seeded bugs",
];
/// What stands around the counts in a document.
const MARKS: [&str; 2] = ["<!-- counts -->", "<!-- /counts -->"];

struct Asked {
    rungs: Vec<String>,
    scale: Scale,
    /// The first seed, and how many.
    seed: u64,
    seeds: Option<u64>,
    /// How long the soak is.
    minutes: Option<u64>,
    /// The soak's database; both when not said.
    on: Option<soak::On>,
    write: Option<String>,
}

fn main() -> ExitCode {
    match asked().and_then(|asked| run(&asked)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{e:#}");
            ExitCode::from(2)
        }
    }
}

fn asked() -> Result<Asked> {
    let mut asked = Asked {
        rungs: Vec::new(),
        scale: Scale::Bounded,
        seed: 0,
        seeds: None,
        minutes: None,
        on: None,
        write: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--full" => asked.scale = Scale::Full,
            "--seed" => {
                asked.seed = number(args.next())?;
                asked.seeds = asked.seeds.or(Some(1));
            }
            "--write" => asked.write = args.next(),
            "--seeds" => asked.seeds = Some(number(args.next())?),
            "--minutes" => asked.minutes = Some(number(args.next())?),
            "--on" => asked.on = Some(database(args.next())?),
            rung if RUNGS.contains(&rung) => asked.rungs.push(rung.to_owned()),
            other => bail!("`{other}` is no rung and no option; rungs are {}", RUNGS.join(", ")),
        }
    }
    if asked.rungs.is_empty() {
        asked.rungs = RUNGS.map(str::to_owned).to_vec();
    }
    Ok(asked)
}

fn number(arg: Option<String>) -> Result<u64> {
    match arg.as_deref().map(str::parse) {
        Some(Ok(n)) => Ok(n),
        _ => bail!("`--seed`, `--seeds` and `--minutes` take a number"),
    }
}

fn database(arg: Option<String>) -> Result<soak::On> {
    match arg.as_deref() {
        Some("sqlite") => Ok(soak::On::Sqlite),
        Some("postgres") => Ok(soak::On::Postgres),
        _ => bail!("`--on` takes `sqlite` or `postgres`"),
    }
}

fn run(asked: &Asked) -> Result<bool> {
    let (mut well, mut all) = (true, Vec::new());
    let runtime = tokio::runtime::Runtime::new()?;
    for rung in &asked.rungs {
        let counted: Vec<Counts> = match rung.as_str() {
            "crash" => vec![crash::run(asked.scale)?],
            "seeds" => vec![seeds::run(asked.scale, asked.seed, asked.seeds)?],
            "model" => vec![model::run(asked.scale)?],
            "kill" => vec![kill::run(asked.scale)?],
            "power" => vec![runtime.block_on(Box::pin(power::run(asked.scale)))?],
            "postgres" => vec![runtime.block_on(Box::pin(proxy::run(asked.scale)))?],
            "soak" => {
                let soak = soak::run(asked.scale, asked.minutes, asked.on, asked.seed);
                runtime.block_on(Box::pin(soak))?
            }
            _ => vec![bugs::run()?],
        };
        for counts in counted {
            println!("{counts}");
            well &= counts.lost == 0 && counts.doubled == 0;
            all.push(counts);
        }
    }
    if let Some(file) = &asked.write {
        write(file, &all, asked.scale)?;
    }
    Ok(well)
}

/// Puts the counts of these rungs between the marks of a document.
fn write(file: &str, all: &[Counts], scale: Scale) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let (Some(from), Some(to)) = (text.find(MARKS[0]), text.find(MARKS[1])) else {
        bail!("{file} has no marks `{}` and `{}`", MARKS[0], MARKS[1]);
    };
    let from = from + MARKS[0].len();
    let text = format!("{}{}{}", &text[..from], table(&text[from..to], all, scale), &text[to..]);
    std::fs::write(file, text).with_context(|| format!("cannot write {file}"))
}

/// The table with these counts in it, in the ladder's order.
fn table(old: &str, all: &[Counts], scale: Scale) -> String {
    let mut table = String::from(
        "\n| rung | made | lost | doubled | held for a person |\n|---|---|---|---|---|\n",
    );
    for name in NAMES {
        if let Some(c) = all.iter().find(|c| c.rung == name) {
            table += &row(c, scale);
        } else if let Some(row) = old.lines().find(|row| rung(row) == Some(name)) {
            table += &format!("{row}\n");
        }
    }
    table
}

fn row(c: &Counts, scale: Scale) -> String {
    let whole = if scale == Scale::Full { " (whole)" } else { "" };
    let made: Vec<String> = c.made.iter().map(|(what, n)| format!("{n} {what}")).collect();
    let made = made.join(", ");
    format!("| {}{whole} | {made} | {} | {} | {} |\n", c.rung, c.lost, c.doubled, c.held)
}

/// The rung that a row of the table is of.
fn rung(row: &str) -> Option<&str> {
    let name = row.strip_prefix("| ")?.split(" |").next()?;
    Some(name.trim_end_matches(" (whole)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_that_did_not_run_keep_their_row() {
        let old =
            "\n| crash sweep (whole) | 9 pairs | 0 | 0 | 3 |\n| kill -9 | 7 kills | 0 | 0 | 1 |\n";
        let ran = |rung| Counts { rung, made: vec![("runs", 150)], ..Counts::default() };
        let new = table(old, &[ran("model"), ran("kill -9")], Scale::Bounded);
        let rows: Vec<&str> = new.lines().skip(3).collect();
        assert_eq!(
            rows,
            [
                "| crash sweep (whole) | 9 pairs | 0 | 0 | 3 |",
                "| model | 150 runs | 0 | 0 | 0 |",
                "| kill -9 | 150 runs | 0 | 0 | 0 |"
            ]
        );
        assert!(table("", &[ran("seeds")], Scale::Full).contains("| seeds (whole) |"));
    }
}
