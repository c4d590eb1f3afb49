//! What durable results cost, against throwing them away: `crates/trawl/benches/durable.rs` on one core, the shop on the
//! other.

use super::figure;
use super::process::origin;
use crate::shell::{self, ask, cargo};
use anyhow::{Context, Result};
use std::process::Command;

const BENCH: [&str; 5] = ["bench", "--package", "trawl", "--bench", "durable"];

pub(super) fn run() -> Result<()> {
    let origin = origin(Some(1), 3_000)?;
    shell::run(cargo().args(BENCH).arg("--no-run"))?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(cargo().get_program()).args(BENCH).args(["--quiet", "--", &origin.address]);
    let told = ask(&mut command).context("the benchmark failed")?;
    for line in told.lines() {
        println!("     {line}");
    }
    let last = told.lines().last().unwrap_or_default();
    let mut ratios =
        last.split_whitespace().filter_map(|word| word.trim_end_matches(',').parse::<f64>().ok());
    let (cpu, wall) = ratios.next().zip(ratios.next()).context("the benchmark told no ratio")?;
    figure("durable: kept / thrown away, processor time", &format!("{cpu:.2}"), "at most 1.10", cpu <= 1.1);
    figure("durable: kept / thrown away, time", &format!("{wall:.2}"), "at most 1.10", wall <= 1.1);
    Ok(())
}
