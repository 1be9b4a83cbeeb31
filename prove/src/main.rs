//! `carillon-prove [rung …]`: runs the rungs named, or all, and prints one line of counts each.

use std::process::ExitCode;

use carillon_prove::{Counts, Scale, crash};

fn main() -> ExitCode {
    let scale = if std::env::args().any(|a| a == "--full") { Scale::Full } else { Scale::Bounded };
    match crash::run(scale) {
        Ok(counts) => {
            println!("{counts}");
            if counts == (Counts { lost: 0, doubled: 0, ..counts.clone() }) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(e) => {
            eprintln!("{e:#}");
            ExitCode::FAILURE
        }
    }
}
