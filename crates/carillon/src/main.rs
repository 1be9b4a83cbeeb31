//! The program: parses, runs one command, ends with an exit code that means something.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(carillon::cli::main()),
        Err(e) => {
            eprintln!("error: no async runtime: {e}");
            ExitCode::FAILURE
        }
    }
}
