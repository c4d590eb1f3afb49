//! `cargo xtask bench`: the figures that the project claims, on this machine, from a clone alone.
//!
//! Owns: starting the binaries on cores of their own, measuring them from outside, printing figures beside their bars.
//! Must not know: how the server works. Each figure is printed with the bar it is held to; nothing fails on a slow day.

mod browser;
mod cluster;
mod collect;
mod database;
mod download;
mod durable;
mod extract;
mod fetch;
mod hosts;
mod http;
mod postgres;
mod process;
mod small;
mod trigger;

use anyhow::{Result, bail};

type Bench = fn() -> Result<()>;

/// A figure beside its bar.
pub(super) fn figure(name: &str, value: &str, bar: &str, holds: bool) {
    println!("{} {name:<58} {value:>22}   bar: {bar}", if holds { "ok  " } else { "MISS" });
}

/// Runs the benchmarks named, or all.
pub(super) fn run(names: &[String]) -> Result<()> {
    process::build()?;
    let all: [(&str, Bench); 12] = [
        ("small", small::run),
        ("collect", collect::run),
        ("durable", durable::run),
        ("extract", extract::run),
        ("hosts", hosts::run),
        ("fetch", fetch::run),
        ("trigger", trigger::run),
        ("download", download::run),
        ("sync", small::sync),
        ("browser", browser::run),
        ("postgres", postgres::run),
        ("cluster", cluster::run),
    ];
    if let Some(stranger) = names.iter().find(|n| all.iter().all(|(name, _)| name != n)) {
        bail!("no benchmark `{stranger}`; there are: {}", all.map(|(name, _)| name).join(", "));
    }
    for (name, bench) in all {
        if names.is_empty() || names.iter().any(|n| n == name) {
            println!("\n== {name}");
            bench()?;
        }
    }
    Ok(())
}
