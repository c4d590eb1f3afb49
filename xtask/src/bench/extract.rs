//! What reading a page costs: `crates/extract/benches/extract.rs` on one core, beside what others need for the same pages.

use super::collect::peers;
use super::figure;
use super::process::Folder;
use crate::shell::{self, ask, cargo, root};
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
    others()?;
    let number = |of: &str, at: usize| {
        let line = told.lines().find(|line| line.starts_with(of))?;
        line.split_whitespace().nth(at)?.parse::<f64>().ok()
    };
    let ratio = number("structured / css", 3).context("the benchmark told no ratio")?;
    figure("extract: structured data only / css only", &format!("{ratio:.2}"), "at least 5", ratio >= 5.0);
    let ms = number("main content", 2).context("the benchmark told no time of the main content")?;
    figure("extract: main content, ms a page", &format!("{ms:.2}"), "at most 6", ms <= 6.0);
    Ok(())
}

/// The peers of `bench/extract_peers.py` on the same pages and the same core.
fn others() -> Result<()> {
    let Some(python) = peers() else {
        println!("     others were left out: a Python environment could not be made");
        return Ok(());
    };
    let folder = Folder::new("extract-pages")?;
    shell::run(cargo().args(BENCH).args(["--quiet", "--", "--dump"]).arg(&folder.0))?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(python).arg(root().join("bench/extract_peers.py")).arg(&folder.0);
    let told = ask(&mut command).context("a peer failed")?;
    for line in told.lines() {
        println!("     {line}");
    }
    Ok(())
}
