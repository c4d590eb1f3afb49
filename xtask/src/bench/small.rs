//! The small things that a person feels: start, idle memory, the binary's size, and what a synchronous call costs.

use super::figure;
use super::http::Caller;
use super::process::{Folder, Running, TOKEN, binary, median, origin};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

const CALLS: usize = 100;

/// Cold start, idle memory, binary size.
pub(super) fn run() -> Result<()> {
    let folder = Folder::new("small")?;
    Running::server(None, &folder.0, &[])?.stop()?;
    let mut starts = Vec::new();
    for _ in 0..5 {
        let server = Running::server(None, &folder.0, &[])?;
        starts.push(server.ready_after.as_secs_f64() * 1e3);
        server.stop()?;
    }
    let start = median(&mut starts);
    figure(
        "start to `listening` on an existing folder, ms",
        &format!("{start:.0}"),
        "under 100",
        start < 100.0,
    );
    let server = Running::server(None, &folder.0, &[])?;
    std::thread::sleep(Duration::from_secs(3));
    let (now, _) = server.memory_mib()?;
    figure("idle memory, MiB", &format!("{now:.1}"), "at most 30", now <= 30.0);
    let size = std::fs::metadata(binary("trawl"))?.len() as f64 / 1e6;
    figure("stripped release binary, MB", &format!("{size:.1}"), "at most 40", size <= 40.0);
    Ok(())
}

/// A synchronous call of one page, alone and beside a million-input job, against fetching and extracting directly.
pub(super) fn sync() -> Result<()> {
    let origin = origin(None, 1_000)?;
    let folder = Folder::new("sync")?;
    let server = Running::server(None, &folder.0, &[])?;
    let mut caller = Caller::new(&server.address, TOKEN)?;
    let direct = direct(&origin.address)?;
    let alone = calls(&mut caller, &origin.address)?;
    figure("sync: one page directly (fetch + extract), ms", &format!("{direct:.1}"), "-", true);
    figure(
        "sync: one page by scrape, ms more than directly",
        &format!("{:.1}", alone - direct),
        "at most 10",
        alone - direct <= 10.0,
    );
    let mut body = String::from("[");
    for n in 0..1_000_000 {
        body.push_str(if n > 0 { "," } else { "" });
        body.push_str(&format!(
            r#"{{"url":"http://127.0.0.{}:{}/p/{}?n={n}"}}"#,
            2 + n % 15,
            port(&origin.address),
            n % 1_000
        ));
    }
    body.push(']');
    caller.trigger("dataset_id=demo_shop", "application/json", body.as_bytes())?;
    drop(body);
    std::thread::sleep(Duration::from_secs(2));
    let beside = calls(&mut caller, &origin.address)?;
    let more = beside - direct;
    figure(
        "sync: the same while a million-input job runs",
        &format!("{more:.1}"),
        "at most 10",
        more <= 10.0,
    );
    Ok(())
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}

/// Median milliseconds of a synchronous call.
fn calls(caller: &mut Caller, origin: &str) -> Result<f64> {
    let mut times = Vec::new();
    for n in 0..CALLS {
        let body = format!(r#"[{{"url":"http://{origin}/p/{n}"}}]"#);
        let began = Instant::now();
        let answer = caller.post(
            "/datasets/v3/scrape?dataset_id=demo_shop&format=json",
            "application/json",
            body.as_bytes(),
        )?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        if answer.status != 200 || answer.json()?.as_array().map(Vec::len) != Some(1) {
            bail!("scrape answered {}", answer.status);
        }
    }
    Ok(median(&mut times))
}

/// Median milliseconds of fetching a page; extraction costs about 1 ms more and is left out in our disfavour.
fn direct(origin: &str) -> Result<f64> {
    let mut caller = Caller::new(origin, "")?;
    let mut times = Vec::new();
    for n in 0..CALLS {
        let began = Instant::now();
        caller.drain(&format!("/p/{n}"))?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut times))
}
