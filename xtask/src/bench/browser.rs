//! Rendering 1,000 pages by the browser: pages per second, memory for each context, memory of the pool over the run.

use super::figure;
use super::http::Caller;
use super::process::{Folder, Running, TOKEN, origin};
use crate::shell::root;
use crate::tools;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PAGES: u64 = 1_000;
/// Pages rendered at once in the run.
const CONTEXTS: u64 = 4;
/// Pages held open at once to see what each takes.
const HELD: u64 = 16;
/// Between two looks at the memory.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The browser's memory as the server counts it, in MiB, at each look until told to stop.
fn watch(address: &str, done: &AtomicBool) -> Result<Vec<f64>> {
    let mut caller = Caller::new(address, TOKEN)?;
    let mut looks = Vec::new();
    while !done.load(Ordering::Relaxed) {
        looks.push(metric(&mut caller, "trawl_browser_memory_bytes")? / f64::from(1 << 20));
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(looks)
}

fn metric(caller: &mut Caller, name: &str) -> Result<f64> {
    let answer = caller.get("/metrics")?;
    let text = String::from_utf8_lossy(&answer.body);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).with_context(|| format!("no metric `{name}`"))
}

fn collect(server: &Running, urls: &[String]) -> Result<(f64, Vec<f64>)> {
    let done = Arc::new(AtomicBool::new(false));
    let (address, stop) = (server.address.clone(), done.clone());
    let watcher = std::thread::spawn(move || watch(&address, &stop));
    let mut caller = Caller::new(&server.address, TOKEN)?;
    let rows: Vec<String> = urls.iter().map(|url| format!(r#"{{"url":"{url}"}}"#)).collect();
    let body = format!("[{}]", rows.join(","));
    let began = Instant::now();
    let (_, progress) =
        caller.job("dataset_id=app_shop&include_errors=true", "application/json", body.as_bytes())?;
    let wall = began.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    let looks = watcher.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))??;
    if progress["records"] != urls.len() || progress["errors"] != 0 {
        bail!("not every page became a record: {progress}");
    }
    Ok((wall, looks))
}

fn most(looks: &[f64]) -> f64 {
    looks.iter().copied().fold(0.0, f64::max)
}

pub(super) fn run() -> Result<()> {
    tools::chromium()?;
    let site = origin(None, PAGES)?;
    let scrapers = format!("scrapers={}", root().join("tests/clients/browser_scrapers").display());
    let folder = Folder::new("browser")?;
    let url = |n: u64, more: &str| format!("http://{}/app/p/{n}{more}", site.address);

    let contexts = format!("browser.contexts={CONTEXTS}");
    let settings = [scrapers.as_str(), contexts.as_str(), "fetch.host_concurrency=16"];
    let server = Running::server(None, &folder.0.join("run"), &settings)?;
    let (wall, looks) = collect(&server, &(0..PAGES).map(|n| url(n, "")).collect::<Vec<_>>())?;
    let mut caller = Caller::new(&server.address, TOKEN)?;
    let starts = metric(&mut caller, "trawl_browser_starts_total")?;
    server.stop()?;
    figure(
        "browser: pages per second, two cores, 4 contexts",
        &format!("{:.1}", PAGES as f64 / wall),
        "-",
        true,
    );
    let (peak, quarter) = (most(&looks), looks.len() / 4);
    figure("browser: most memory of the pool, MiB", &format!("{peak:.0}"), "at most 1024", peak <= 1_024.0);
    let (early, late) = (most(&looks[..quarter]), most(&looks[looks.len() - quarter..]));
    let grown = late / early.max(1.0);
    figure(
        "browser: most memory, last quarter to first",
        &format!("{late:.0} / {early:.0} MiB"),
        "at most 1.5 times",
        grown <= 1.5,
    );
    figure("browser: processes started", &format!("{starts:.0}"), "-", true);

    let contexts = format!("browser.contexts={HELD}");
    let settings = [scrapers.as_str(), contexts.as_str(), "fetch.host_concurrency=32"];
    let mut held = Vec::new();
    for open in [1, HELD] {
        let server = Running::server(None, &folder.0.join(format!("held-{open}")), &settings)?;
        // Pages that take their time are open together.
        let urls: Vec<String> = (0..open).map(|n| url(n, "?late=4000")).collect();
        held.push(most(&collect(&server, &urls)?.1));
        server.stop()?;
    }
    let each = (held[1] - held[0]) / (HELD - 1) as f64;
    figure("browser: memory of one context, MiB", &format!("{each:.1}"), "at most 60", each <= 60.0);
    figure("browser: memory with one page, MiB", &format!("{:.0}", held[0]), "-", true);
    Ok(())
}
