//! The queue on PostgreSQL with millions of waiting inputs: latencies, and the database's own time for a page.
//!
//! The measuring is `crates/store/benches/postgres.rs`; it prints figures as JSON, which get their bars here.

use super::figure;
use crate::shell::cargo;
use crate::tools;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Milliseconds of a claim (median) at most.
const CLAIM_MS: f64 = 5.0;
/// Microseconds of the database's time for a page at most, in slices of 64.
const PAGE_US: f64 = 60.0;

/// Runs the store's benchmark and prints its figures beside their bars.
pub(super) fn run() -> Result<()> {
    tools::postgresql()?;
    let said = cargo().args(["bench", "--quiet", "-p", "store", "--bench", "postgres"]).output()?;
    if !said.status.success() {
        bail!("the benchmark failed: {}", String::from_utf8_lossy(&said.stderr));
    }
    for line in String::from_utf8(said.stdout)?.lines().filter(|line| line.starts_with('{')) {
        show(&serde_json::from_str(line)?).with_context(|| line.to_owned())?;
    }
    Ok(())
}

fn show(figures: &Value) -> Result<()> {
    let what = figures["what"].as_str().context("no name")?;
    let number = |name: &str| figures[name].as_f64().with_context(|| format!("no {name}"));
    if let Ok(inputs) = number("filled_inputs") {
        println!("\n{what}: {inputs} inputs put in, in {:.0} s", number("seconds")?);
        return Ok(());
    }
    let (p50, p99) = (number("claim_ms_p50")?, number("claim_ms_p99")?);
    let claim = format!("{p50:.2} / {p99:.2} ms");
    figure(&format!("{what}: claim, p50 / p99"), &claim, "p50 5 ms", p50 <= CLAIM_MS);
    let page = number("server_us_per_page")?;
    // A job of one page pays alone for what a slice shares among 64.
    let is_slice = number("pages")? > number("jobs")?;
    let bar = if is_slice { "60 us" } else { "none" };
    figure(
        &format!("{what}: database per page"),
        &format!("{page:.1} us"),
        bar,
        !is_slice || page <= PAGE_US,
    );
    let (p50, p99) = (number("finish_ms_p50")?, number("finish_ms_p99")?);
    figure(&format!("{what}: finish, p50 / p99"), &format!("{p50:.2} / {p99:.2} ms"), "none", true);
    let rate = format!("{:.0} jobs/s", number("jobs_per_second")?);
    figure(&format!("{what}: one worker"), &rate, "none", true);
    Ok(())
}
