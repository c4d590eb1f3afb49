//! What the queue on PostgreSQL costs with millions of waiting inputs: `cargo xtask bench postgres`.
//!
//! Starts a server of its own (with its defaults but for memory, syncing every commit), fills it, and lets one worker
//! claim and finish. Prints a line of JSON for each figure: latencies as the worker sees them, and the server's own
//! time by `pg_stat_statements`. `TRAWL_BENCH_INPUTS` (10,000,000) and `TRAWL_BENCH_JOBS` (1,000,000) scale it.

#![allow(clippy::unwrap_used, reason = "a benchmark's panic is its answer")]

#[path = "../tests/support/mod.rs"]
mod support;

use model::{Input, Outcome, Record, Segment, SnapshotId, Timestamp, Trigger};
use std::time::Instant;
use store::{Claim, Commit, Finished, NewSnapshot, PostgresSettings, PostgresStore, Store};
use support::postgres::Cluster;
use tokio_postgres::{Client, NoTls};

const NOW: Timestamp = Timestamp::from_ms(1_000);
/// Jobs claimed and finished in each measurement.
const ROUNDS: usize = 4_000;
/// Slices given to the store at once.
const BATCH: u64 = 1_000;

fn trigger() -> Trigger {
    serde_json::from_value(serde_json::json!({
        "dataset_id": "gd_x", "scraper": "x", "scraper_version": "1", "door": "collect", "include_errors": true,
    }))
    .unwrap()
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A run of so many jobs of so many inputs, over so many hosts.
async fn fill(store: &PostgresStore, n: u64, jobs: u64, size: u64, hosts: u64) {
    let id = SnapshotId::new(NOW, n);
    store.begin(NewSnapshot { id: id.clone(), trigger: trigger(), now: NOW }).await.unwrap();
    for first in (0..jobs).step_by(usize::try_from(BATCH).unwrap()) {
        let slice = |job: u64| -> Vec<Input> {
            let host = format!("shop-{}.example", job % hosts);
            let input = |root: u64| {
                let row = format!("{{\"url\":\"https://{host}/products/item-{root}.html\"}}");
                Input::given(root, row, host.clone())
            };
            (job * size..(job + 1) * size).map(input).collect()
        };
        store.add(&id, (first..jobs.min(first + BATCH)).map(slice).collect(), NOW).await.unwrap();
    }
    let (deliveries, idempotency) = (Vec::new(), None);
    store.commit(Commit { id, trigger: trigger(), deliveries, idempotency, now: NOW }).await.unwrap();
}

/// Latencies in milliseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn add(&mut self, since: Instant) {
        self.0.push(since.elapsed().as_secs_f64() * 1e3);
    }

    fn quantile(&mut self, q: f64) -> f64 {
        self.0.sort_by(f64::total_cmp);
        // Cast: an index from a fraction of a small length.
        self.0[((self.0.len() - 1) as f64 * q) as usize]
    }
}

/// Claims and finishes; prints what it took.
async fn measure(what: &str, store: &PostgresStore, client: &Client, jobs: usize) {
    client.batch_execute("SELECT pg_stat_statements_reset()").await.unwrap();
    let (mut claims, mut finishes) = (Times::default(), Times::default());
    let (mut pages, mut done) = (0, 0);
    let began = Instant::now();
    while done < ROUNDS {
        let at = i64::try_from(done).unwrap();
        let (now, lease_until) = (NOW.plus_ms(1 + at), NOW.plus_ms(60_000 + at));
        let asked = Claim {
            jobs,
            express_only: false,
            node: "bench".into(),
            now,
            lease_until,
            pass_over: Vec::new(),
        };
        let since = Instant::now();
        let leases = store.claim(asked).await.unwrap().leases;
        claims.add(since);
        assert_eq!(leases.len(), jobs);
        for lease in leases {
            let record = |input: &Input| Record { root: input.root, json: "{\"title\":\"x\"}".into() };
            let records: Vec<Record> = lease.job.inputs.iter().map(record).collect();
            let n = records.len() as u64;
            let key = format!("segments/{}", lease.job.id.0);
            let segment = Segment { key, records: n, record_bytes: 1, plain_bytes: 1, ..Segment::default() };
            let outcome = Outcome { records, settled: n, ..Outcome::default() };
            let since = Instant::now();
            let finished =
                store.finish(&lease, &outcome, Some(&segment), &["title".into()], now).await.unwrap();
            finishes.add(since);
            assert_eq!(finished, Finished::Done);
            pages += n;
            done += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let sql = "SELECT query, calls, total_exec_time FROM pg_stat_statements
               WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND query NOT LIKE '%pg_stat%' ORDER BY total_exec_time DESC";
    let rows = client.query(sql, &[]).await.unwrap();
    let server: f64 = rows.iter().map(|row| row.get::<_, f64>(2)).sum();
    let figures = serde_json::json!({
        "what": what,
        "jobs": done,
        "pages": pages,
        "claim_ms_p50": claims.quantile(0.5),
        "claim_ms_p99": claims.quantile(0.99),
        "finish_ms_p50": finishes.quantile(0.5),
        "finish_ms_p99": finishes.quantile(0.99),
        "jobs_per_second": done as f64 / seconds,
        "server_ms_per_job": server / done as f64,
        "server_us_per_page": server * 1e3 / pages as f64,
    });
    println!("{figures}");
    if std::env::var_os("TRAWL_BENCH_STATEMENTS").is_some() {
        for row in rows.iter().take(16) {
            let (query, calls, time): (String, i64, f64) = (row.get(0), row.get(1), row.get(2));
            let words: Vec<&str> = query.split_whitespace().collect();
            let short: String = words.join(" ").chars().take(90).collect();
            eprintln!("{:9.1} us x {calls:6}  {short}", time * 1e3 / calls as f64);
        }
    }
}

#[tokio::main]
async fn main() {
    let cluster = Cluster::start(&[
        "-c shared_buffers=512MB",
        "-c max_wal_size=4GB",
        "-c shared_preload_libraries=pg_stat_statements",
    ]);
    let cases = [
        ("slices of 64 inputs, 2,000 hosts", from_env("TRAWL_BENCH_INPUTS", 10_000_000) / 64, 64, 2_000),
        ("jobs of one input, 200,000 hosts", from_env("TRAWL_BENCH_JOBS", 1_000_000), 1, 200_000),
    ];
    for (what, jobs, size, hosts) in cases {
        let url = cluster.database().await;
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
        let store = PostgresStore::open(&url, PostgresSettings::default()).await.unwrap();
        let began = Instant::now();
        fill(&store, 1, jobs, size, hosts).await;
        // Small runs that are there as well: turns are taken.
        for n in 2..22 {
            fill(&store, n, 1_000, size, hosts).await;
        }
        let inputs = (jobs + 20_000) * size;
        let seconds = began.elapsed().as_secs_f64();
        println!("{}", serde_json::json!({ "what": what, "filled_inputs": inputs, "seconds": seconds }));
        measure(&format!("{what}, claims of one"), &store, &client, 1).await;
        measure(&format!("{what}, claims of eight"), &store, &client, 8).await;
        store.close().await;
    }
}
