//! What reading a page costs: `crates/extract/benches/extract.rs` on one core.

use super::figure;
use crate::shell::{self, ask, cargo};
use anyhow::{Context, Result};
use std::process::Command;

const BENCH: [&str; 5] = ["bench", "--package", "extract", "--bench", "extract"];

pub(super) fn run() -> Result<()> {
    shell::run(cargo().args(BENCH).arg("--no-run"))?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(cargo().get_program()).args(BENCH).arg("--quiet");
    let told = ask(&mut command).context("the benchmark failed")?;
    for line in told.lines() {
        println!("     {line}");
    }
    let ratio = told.lines().last().and_then(|line| line.split_whitespace().last()?.parse::<f64>().ok());
    let ratio = ratio.context("the benchmark told no ratio")?;
    figure("extract: structured data only / css only", &format!("{ratio:.2}"), "at least 5", ratio >= 5.0);
    Ok(())
}
