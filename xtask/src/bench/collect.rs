//! Collecting 5,000 product pages with nine fields: pages per processor second, beside Scrapy in the same run.

use super::figure;
use super::http::Caller;
use super::process::{Folder, Running, TOKEN, binary, median, origin};
use crate::shell::{self, ask, root, target};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const PAGES: u64 = 5_000;
/// Pages for Scrapy, which is slower: its rate does not depend on the number.
const PEER_PAGES: u64 = 2_000;
const ROUNDS: usize = 3;
/// The server on one core, the origin on the other.
const SERVER_CORE: u32 = 0;
const ORIGIN_CORE: u32 = 1;

fn run_once(address: &str, data: &Path) -> Result<(f64, f64, f64, usize)> {
    let server = Running::server(Some(SERVER_CORE), data, &["fetch.host_concurrency=64"])?;
    let mut caller = Caller::new(&server.address, TOKEN)?;
    let rows: Vec<String> = (0..PAGES).map(|n| format!(r#"{{"url":"http://{address}/p/{n}"}}"#)).collect();
    let body = format!("[{}]", rows.join(","));
    let (cpu, began) = (server.cpu_secs()?, Instant::now());
    let (id, progress) =
        caller.job("dataset_id=demo_shop&include_errors=true", "application/json", body.as_bytes())?;
    let wall = began.elapsed().as_secs_f64();
    let cpu = server.cpu_secs()? - cpu;
    let (_, peak) = server.memory_mib()?;
    if progress["records"] != PAGES || progress["errors"] != 0 {
        bail!("not every page became a record: {progress}");
    }
    let right = check(&mut caller, &id)?;
    server.stop()?;
    Ok((wall, cpu, peak, right))
}

/// Records equal to the origin's own truth.
fn check(caller: &mut Caller, id: &str) -> Result<usize> {
    let truth = ask(Command::new(binary("site")).args(["--truth", &PAGES.to_string()]))
        .context("the origin's truth")?;
    let mut wanted = HashMap::new();
    for line in truth.lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        wanted.insert(row["url"].as_str().unwrap_or_default().to_owned(), row);
    }
    let answer = caller.get(&format!("/datasets/v3/snapshot/{id}?format=ndjson"))?;
    let mut right = 0;
    for line in answer.body.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let row: serde_json::Value = serde_json::from_slice(line)?;
        let url = row["url"].as_str().unwrap_or_default();
        let path = url.find("/p/").map_or("", |at| &url[at..]);
        let same = wanted
            .get(path)
            .and_then(|w| w.as_object())
            .is_some_and(|want| want.iter().all(|(key, value)| key == "url" || row[key] == *value));
        right += usize::from(same);
    }
    Ok(right)
}

pub(super) fn run() -> Result<()> {
    let origin = origin(Some(ORIGIN_CORE), PAGES)?;
    let scrapy = peers();
    let (mut ours, mut theirs, mut peaks, mut walls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = Folder::new("collect")?;
        let (wall, cpu, peak, right) = run_once(&origin.address, &folder.0)?;
        println!(
            "     trawl   {:6.0} pages/s {:6.0} pages/cpu-s, peak {peak:.0} MiB, {right}/{PAGES} right",
            PAGES as f64 / wall,
            PAGES as f64 / cpu
        );
        ours.push(PAGES as f64 / cpu);
        walls.push(PAGES as f64 / wall);
        peaks.push(peak);
        if let Some(python) = &scrapy {
            let rate = scrapy_once(python, &origin.address)?;
            println!("     scrapy  {rate:6.0} pages/cpu-s");
            theirs.push(rate);
        }
    }
    let (ours, peak) = (median(&mut ours), median(&mut peaks));
    figure("collect: pages per CPU second", &format!("{ours:.0}"), "see the ratio", true);
    figure("collect: pages per second, one core", &format!("{:.0}", median(&mut walls)), "-", true);
    if theirs.is_empty() {
        println!("     Scrapy was left out: a Python environment could not be made");
    } else {
        let ratio = ours / median(&mut theirs);
        figure(
            "collect: times Scrapy's pages per CPU second",
            &format!("{ratio:.1}"),
            "at least 5",
            ratio >= 5.0,
        );
    }
    figure("collect: most memory, MiB", &format!("{peak:.0}"), "at most 120", peak <= 120.0);
    Ok(())
}

/// A Python that has the peers of `bench/requirements.txt`.
pub(super) fn peers() -> Option<PathBuf> {
    let home = target().join("xtask/bench-venv");
    let python = home.join("bin/python");
    if ask(Command::new(&python).args(["-c", "import scrapy, extruct, trafilatura"])).is_none() {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&home)).ok()?;
        let list = root().join("bench/requirements.txt");
        shell::run(
            Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(list),
        )
        .ok()?;
    }
    Some(python)
}

/// Scrapy's pages per processor second, by the system's own accounting of a finished child.
fn scrapy_once(python: &Path, address: &str) -> Result<f64> {
    let folder = Folder::new("scrapy")?;
    let out = folder.0.join("records.ndjson");
    let script = root().join("bench/scrapy_bench.py");
    let measure = "import resource,subprocess,sys\n\
                   subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL)\n\
                   u=resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(u.ru_utime+u.ru_stime)";
    let mut command = Command::new("taskset");
    command.args(["-c", &SERVER_CORE.to_string()]).arg(python).args(["-c", measure]).arg(python).arg(script);
    command.args(["--pages", &PEER_PAGES.to_string(), "--base", &format!("http://{address}")]);
    command.arg("--out").arg(out);
    let secs: f64 = ask(&mut command).context("Scrapy failed")?.trim().parse()?;
    Ok(PEER_PAGES as f64 / secs)
}
