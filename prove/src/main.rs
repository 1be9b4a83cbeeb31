//! `carillon-prove [crash|seeds|model|bugs …] [--full] [--seed N] [--seeds N]`: runs the rungs named, or
//! all, prints one line of counts each, and ends with 1 when anything was lost, doubled or missed.

use std::process::ExitCode;

use anyhow::{Result, bail};
use carillon_prove::{Counts, Scale, bugs, crash, model, seeds};

const RUNGS: [&str; 4] = ["crash", "seeds", "model", "bugs"];

struct Asked {
    rungs: Vec<String>,
    scale: Scale,
    /// The first seed, and how many.
    seed: u64,
    seeds: Option<u64>,
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
    let mut asked = Asked { rungs: Vec::new(), scale: Scale::Bounded, seed: 0, seeds: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--full" => asked.scale = Scale::Full,
            "--seed" => {
                asked.seed = number(args.next())?;
                asked.seeds = asked.seeds.or(Some(1));
            }
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
    let mut well = true;
    for rung in &asked.rungs {
        let counts: Counts = match rung.as_str() {
            "crash" => crash::run(asked.scale)?,
            "seeds" => seeds::run(asked.scale, asked.seed, asked.seeds)?,
            "model" => model::run(asked.scale)?,
            _ => bugs::run(asked.scale)?,
        };
        println!("{counts}");
        well &= counts.lost == 0 && counts.doubled == 0;
    }
    Ok(well)
}
