//! One job over many hosts with one, two and three nodes on the same database and the same folder of rows: pages per
//! second, what a page costs in the nodes, and what it costs in the database.
//!
//! Everything runs on this machine, so pages per second show that nodes do not stand in each other's way; they rise with
//! nodes only where there are cores for them.

use super::database::Database;
use super::figure;
use super::http::Caller;
use super::process::{Folder, Running, TOKEN, origin};
use anyhow::{Result, bail};
use std::time::Instant;

const PAGES: u64 = 12_000;
const HOSTS: u64 = 48;
const NODES: usize = 3;
const ROUNDS: usize = 2;

struct Cost {
    pages_per_sec: f64,
    /// Of all nodes, for a thousand pages.
    cpu_secs: f64,
    /// Microseconds of the database for a page.
    database_us: f64,
}

fn once(database: &Database, port: &str, nodes: usize) -> Result<Cost> {
    let folder = Folder::new("cluster")?;
    let names: Vec<String> = (0..HOSTS).map(|n| format!("host-{n}.test=127.0.0.1")).collect();
    let settings = [
        format!("database={}", database.url),
        "secret_key=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned(),
        "fetch.host_concurrency=16".to_owned(),
        "fetch.robots=ignore".to_owned(),
        format!("fetch.names={}", names.join(",")),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut running = Vec::new();
    for _ in 0..nodes {
        // The same folder: with a shared database nobody owns it, and rows are for all.
        running.push(Running::server(None, &folder.0, &settings)?);
    }
    let mut caller = Caller::new(&running[0].address, TOKEN)?;
    let rows: Vec<String> =
        (0..PAGES).map(|n| format!(r#"{{"url":"http://host-{}.test:{port}/p/{n}"}}"#, n % HOSTS)).collect();
    let body = format!("[{}]", rows.join(","));
    let cpu = |running: &[Running]| running.iter().map(Running::cpu_secs).sum::<Result<f64>>();
    database.reset()?;
    let (before, began) = (cpu(&running)?, Instant::now());
    let (_, progress) =
        caller.job("dataset_id=demo_shop&include_errors=true", "application/json", body.as_bytes())?;
    let (wall, spent) = (began.elapsed().as_secs_f64(), cpu(&running)? - before);
    if progress["records"] != PAGES || progress["errors"] != 0 {
        bail!("not every page became a record: {progress}");
    }
    let pages = PAGES as f64;
    let cost = Cost {
        pages_per_sec: pages / wall,
        cpu_secs: spent * 1_000.0 / pages,
        database_us: database.spent_ms()? * 1_000.0 / pages,
    };
    for node in running {
        node.stop()?;
    }
    Ok(cost)
}

pub(super) fn run() -> Result<()> {
    let database = Database::start()?;
    let site = origin(None, PAGES)?;
    let port = site.address.rsplit(':').next().unwrap_or_default();
    let mut cpu = Vec::new();
    for nodes in 1..=NODES {
        // The better of the rounds: what the machine does beside only adds.
        let rounds = (0..ROUNDS).map(|_| once(&database, port, nodes)).collect::<Result<Vec<_>>>()?;
        let least = |of: fn(&Cost) -> f64| rounds.iter().map(of).fold(f64::INFINITY, f64::min);
        let rate = rounds.iter().map(|cost| cost.pages_per_sec).fold(0.0, f64::max);
        let (secs, us) = (least(|c| c.cpu_secs), least(|c| c.database_us));
        let name = |what: &str| format!("cluster: {what}, {nodes} node(s)");
        figure(&name("pages per second"), &format!("{rate:.0}"), "-", true);
        figure(&name("CPU seconds for 1,000 pages"), &format!("{secs:.3}"), "-", true);
        figure(&name("database µs for a page"), &format!("{us:.1}"), "at most 60", us <= 60.0);
        cpu.push(secs);
    }
    let (Some(one), Some(all)) = (cpu.first(), cpu.last()) else { bail!("nothing was measured") };
    let rise = (all / one - 1.0) * 100.0;
    let name = format!("cluster: rise of CPU for a page, 1 to {NODES} nodes");
    figure(&name, &format!("{rise:+.1} %"), "at most 10 %", rise <= 10.0);
    Ok(())
}
