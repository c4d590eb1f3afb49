//! What a turn costs: `crates/fetch/benches/hosts.rs` on one core, a million hosts waiting.

use super::figure;
use crate::shell::{self, ask, cargo};
use anyhow::{Context, Result};
use std::process::Command;

const BENCH: [&str; 5] = ["bench", "--package", "fetch", "--bench", "hosts"];
const TURNS_PER_SECOND: u64 = 500_000;
const PEAK_MIB: u64 = 400;

pub(super) fn run() -> Result<()> {
    shell::run(cargo().args(BENCH).arg("--no-run"))?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(cargo().get_program()).args(BENCH).arg("--quiet");
    let told = ask(&mut command).context("the benchmark failed")?;
    for line in told.lines() {
        println!("     {line}");
    }
    let number = |word: &str| -> Result<u64> {
        let line =
            told.lines().find_map(|line| line.strip_prefix(word)).context("the benchmark told less")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    };
    let (turns, peak) = (number("turns ")?, number("peak ")?.div_ceil(1_024));
    figure(
        "host scheduler: turns/s on one core, 1,000,000 hosts waiting",
        &turns.to_string(),
        "at least 500000",
        turns >= TURNS_PER_SECOND,
    );
    figure(
        "host scheduler: memory of 1,000,000 hosts waiting",
        &format!("{peak} MiB"),
        "at most 400 MiB",
        peak <= PEAK_MIB,
    );
    Ok(())
}
