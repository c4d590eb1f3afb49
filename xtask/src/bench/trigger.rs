//! A million inputs: how fast they are accepted, in how much memory, and whether claiming stays flat.

use super::figure;
use super::http::Caller;
use super::process::{Folder, Running, TOKEN, origin};
use crate::shell::root;
use anyhow::{Result, bail};
use std::time::Instant;

const INPUTS: u64 = 1_000_000;

pub(super) fn run() -> Result<()> {
    for (name, content_type) in [("JSON", "application/json"), ("CSV", "text/csv")] {
        accept(name, content_type)?;
    }
    flat()
}

fn body(name: &str, address: &str, inputs: u64) -> Vec<u8> {
    let mut body = String::with_capacity(64 << 20);
    let json = name == "JSON";
    body.push_str(if json { "[" } else { "url\n" });
    for n in 0..inputs {
        if json {
            body.push_str(if n > 0 { ",\n" } else { "" });
            body.push_str(&format!(r#"{{"url":"http://{address}/p/{n}"}}"#));
        } else {
            body.push_str(&format!("http://{address}/p/{n}\n"));
        }
    }
    body.push_str(if json { "]" } else { "" });
    body.into_bytes()
}

fn accept(name: &str, content_type: &str) -> Result<()> {
    let folder = Folder::new("trigger")?;
    // Nobody listens at that address: what is measured is accepting, and the workers are slowed to a stop.
    let server = Running::server(None, &folder.0, &["worker.jobs=1", "fetch.host_delay_ms=60000"])?;
    let body = body(name, "127.0.0.1:9", INPUTS);
    let mut caller = Caller::new(&server.address, TOKEN)?;
    let began = Instant::now();
    caller.trigger("dataset_id=demo_shop", content_type, &body)?;
    let rate = INPUTS as f64 / began.elapsed().as_secs_f64();
    let (_, peak) = server.memory_mib()?;
    figure(
        &format!("trigger: inputs/s until the 200, {name}"),
        &format!("{rate:.0}"),
        "at least 200000",
        rate >= 200_000.0,
    );
    figure(
        &format!("trigger: most memory, {name}, MiB"),
        &format!("{peak:.0}"),
        "at most 256",
        peak <= 256.0,
    );
    Ok(())
}

/// Collects a million small pages and compares the first tenth with the last.
fn flat() -> Result<()> {
    let origin = origin(None, 1_000)?;
    let folder = Folder::new("flat")?;
    let scrapers = format!("scrapers={}", root().join("bench/scrapers").display());
    let server = Running::server(None, &folder.0, &["fetch.host_concurrency=64", &scrapers])?;
    let mut caller = Caller::new(&server.address, TOKEN)?;
    // The origin has a thousand pages; the query makes a million addresses of its smallest.
    let mut body = String::from("[");
    for n in 0..INPUTS {
        body.push_str(if n > 0 { "," } else { "" });
        body.push_str(&format!(r#"{{"url":"http://{}/json/{}?n={n}"}}"#, origin.address, n % 1_000));
    }
    body.push(']');
    let id = caller.trigger(
        "dataset_id=demo_shop_json&include_errors=true",
        "application/json",
        body.as_bytes(),
    )?;
    drop(body);
    let (mut marks, began, cpu_began) = (Vec::new(), Instant::now(), server.cpu_secs()?);
    loop {
        let progress = caller.get(&format!("/datasets/v3/progress/{id}"))?.json()?;
        let done = progress["records"].as_u64().unwrap_or(0) + progress["errors"].as_u64().unwrap_or(0);
        while marks.len() < 10 && done >= INPUTS / 10 * (marks.len() as u64 + 1) {
            marks.push((began.elapsed().as_secs_f64(), server.cpu_secs()? - cpu_began));
        }
        match progress["status"].as_str() {
            Some("running") => std::thread::sleep(std::time::Duration::from_millis(100)),
            Some("ready") => break,
            _ => bail!("the job ended as {progress}"),
        }
    }
    let (_, peak) = server.memory_mib()?;
    if let [first, .., before, last] = marks[..] {
        let (wall, cpu) = ((last.0 - before.0) / first.0, (last.1 - before.1) / first.1);
        println!(
            "     {:.0} pages/s in the first tenth, {:.0} in the last",
            INPUTS as f64 / 10.0 / first.0,
            INPUTS as f64 / 10.0 / (last.0 - before.0)
        );
        figure(
            "flat: last tenth / first tenth, CPU per page",
            &format!("{cpu:.2}"),
            "at most 1.1 (noise)",
            cpu <= 1.1,
        );
        figure(
            "flat: last tenth / first tenth, time per page",
            &format!("{wall:.2}"),
            "at most 1.1 (noise)",
            wall <= 1.1,
        );
        figure(
            "flat: most memory over a million inputs, MiB",
            &format!("{peak:.0}"),
            "at most 256",
            peak <= 256.0,
        );
    }
    Ok(())
}
