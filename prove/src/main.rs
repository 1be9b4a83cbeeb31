//! `carillon-prove [rung …] [--full] [--seed N] [--seeds N] [--write FILE]`: runs the rungs named, or
//! all, prints one line of counts each, and ends with 1 when anything was lost, doubled or missed.
//! `--write` puts the counts between the marks of a document.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use carillon_prove::{Counts, Scale, bugs, crash, kill, model, power, proxy, seeds};

const RUNGS: [&str; 7] = ["crash", "seeds", "model", "kill", "power", "postgres", "bugs"];
/// What stands around the counts in a document.
const MARKS: [&str; 2] = ["<!-- counts -->", "<!-- /counts -->"];

struct Asked {
    rungs: Vec<String>,
    scale: Scale,
    /// The first seed, and how many.
    seed: u64,
    seeds: Option<u64>,
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
    let mut asked =
        Asked { rungs: Vec::new(), scale: Scale::Bounded, seed: 0, seeds: None, write: None };
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
        _ => bail!("`--seed` and `--seeds` take a number"),
    }
}

fn run(asked: &Asked) -> Result<bool> {
    let (mut well, mut all) = (true, Vec::new());
    let runtime = tokio::runtime::Runtime::new()?;
    for rung in &asked.rungs {
        let counts: Counts = match rung.as_str() {
            "crash" => crash::run(asked.scale)?,
            "seeds" => seeds::run(asked.scale, asked.seed, asked.seeds)?,
            "model" => model::run(asked.scale)?,
            "kill" => kill::run(asked.scale)?,
            "power" => runtime.block_on(Box::pin(power::run(asked.scale)))?,
            "postgres" => runtime.block_on(Box::pin(proxy::run(asked.scale)))?,
            _ => bugs::run(asked.scale)?,
        };
        println!("{counts}");
        well &= counts.lost == 0 && counts.doubled == 0;
        all.push(counts);
    }
    if let Some(file) = &asked.write {
        write(file, &all)?;
    }
    Ok(well)
}

/// Puts the counts of these rungs between the marks of a document.
fn write(file: &str, all: &[Counts]) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let (Some(from), Some(to)) = (text.find(MARKS[0]), text.find(MARKS[1])) else {
        bail!("{file} has no marks `{}` and `{}`", MARKS[0], MARKS[1]);
    };
    let mut table = String::from(
        "\n| rung | made | lost | doubled | held for a person |\n|---|---|---|---|---|\n",
    );
    for c in all {
        let made: Vec<String> = c.made.iter().map(|(what, n)| format!("{n} {what}")).collect();
        table += &format!(
            "| {} | {} | {} | {} | {} |\n",
            c.rung,
            made.join(", "),
            c.lost,
            c.doubled,
            c.held
        );
    }
    let text = format!("{}{}{table}{}", &text[..from], MARKS[0], &text[to..]);
    std::fs::write(file, text).with_context(|| format!("cannot write {file}"))
}
