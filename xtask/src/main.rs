//! `cargo xtask`: the repository's own chores. `test` is everything that CI checks, in one command.
//!
//! Owns: the order of the checks, and getting the tools that they need onto a bare machine.
//! Must not know: what the checks assert. That lives in the Rust tests and in `tests/clients`.

mod bench;
mod clients;
mod report;
mod score;
mod settings;
mod shell;
mod steps;
mod tidy;
mod together;
mod tools;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test [STEP…]    everything that CI checks, or only these steps
cargo xtask steps           the steps, with a line on each
cargo xtask bench [NAME…]   the figures that the project claims, measured on this machine
cargo xtask score           how right it is on saved pages with known truth, beside the best libraries
cargo xtask gen             write what is made from the code: the README's table of settings
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out the command line; true if everything passed.
fn run() -> Result<bool> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    match command.as_str() {
        "test" => steps::test(&rest),
        "steps" => {
            for step in steps::ALL {
                println!("{:14} {}", step.name, step.what);
            }
            Ok(true)
        }
        "bench" => bench::run(&rest).map(|()| true),
        "score" => score::score(),
        "gen" => settings::write().map(|()| true),
        "" | "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(true)
        }
        other => bail!("no command `{other}`\n{USAGE}"),
    }
}
