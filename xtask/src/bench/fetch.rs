//! What fetching costs: `crates/fetch/benches/fetch.rs` against hyper alone and, where it is installed, `wrk`.

use super::figure;
use crate::shell::{self, ask, cargo};
use anyhow::{Context, Result};
use std::process::Command;

const BENCH: [&str; 5] = ["bench", "--package", "fetch", "--bench", "fetch"];

pub(super) fn run() -> Result<()> {
    shell::run(cargo().args(BENCH).arg("--no-run"))?;
    let mut command = Command::new(cargo().get_program());
    command.args(BENCH).args(["--quiet", "--", "3"]);
    let told = ask(&mut command).context("the benchmark failed")?;
    for line in told.lines() {
        println!("     {line}");
    }
    let said = |name: &str| -> Result<f64> {
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|text| text.trim().parse().ok())
            .with_context(|| format!("the benchmark told no `{name}`"))
    };
    let ratio = said("pages per core against hyper alone")?;
    figure("fetch: pages per core / bare hyper loop", &format!("{ratio:.2}"), "at least 0.60", ratio >= 0.6);
    let mib = said("MiB for 1000 slow connections")?;
    figure(
        "fetch: memory of 1,000 open slow connections",
        &format!("{mib:.1} MiB"),
        "at most 40 MiB",
        mib <= 40.0,
    );
    Ok(())
}
