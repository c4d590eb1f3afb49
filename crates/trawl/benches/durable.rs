//! What durable results cost: collecting the same pages into a database file and a folder, synced as always, and into
//! nothing. `cargo xtask bench durable` starts the shop and runs this beside it.
//!
//! Both sides fetch, read, encode and compress; one of them keeps nothing. The measure is processor time per page, and
//! wall time per page with it: the first does not see waiting for the disk, the second does.

use async_trait::async_trait;
use bytes::Bytes;
use fetch::HttpFetcher;
use model::{
    DatasetId, Door, Input, Origin, Patience, RetryPolicy, SnapshotId, SnapshotState, Timestamp, Trigger,
    slices,
};
use std::sync::Arc;
use std::time::Instant;
use store::{Bucket, BucketError, Commit, FolderBucket, NewSnapshot, SqliteStore, Store};
use tokio::sync::watch;
use trawl::catalogue::Catalogue;
use trawl::clock::{Clock, SystemClock};
use trawl::worker::{DeliverSettings, Parts, Pool, Settings, Worker};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAGES: u64 = 3_000;
const ROUNDS: usize = 5;
/// Ticks of `/proc/self/stat` in a second, on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// Takes everything and keeps nothing.
struct Nowhere;

#[async_trait]
impl Bucket for Nowhere {
    async fn put(&self, _: &str, _: Bytes) -> Result<(), BucketError> {
        Ok(())
    }
    async fn get(&self, key: &str, _: u64, _: u64) -> Result<Bytes, BucketError> {
        Err(BucketError::NotFound(key.to_owned()))
    }
    async fn delete(&self, _: &str) -> Result<(), BucketError> {
        Ok(())
    }
    async fn list(&self, _: &str, _: &str, _: usize) -> Result<Vec<(String, u64)>, BucketError> {
        Ok(Vec::new())
    }
}

fn main() {
    let Some(origin) = std::env::args().skip(1).find(|arg| !arg.starts_with('-')) else {
        println!("durable: needs the address of a shop; run `cargo xtask bench durable`");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    // The first round warms what is warmed only once.
    round(&runtime, &origin, true);
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (kept, thrown) = (round(&runtime, &origin, true), round(&runtime, &origin, false));
        println!(
            "kept {:.3} ms of processor and {:.3} ms a page; thrown away {:.3} and {:.3}",
            kept.0, kept.1, thrown.0, thrown.1
        );
        cpu.push(kept.0 / thrown.0);
        wall.push(kept.1 / thrown.1);
    }
    println!("ratio of processor time {:.3}, of time {:.3}", median(&mut cpu), median(&mut wall));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds of processor and of time per page.
fn round(runtime: &tokio::runtime::Runtime, origin: &str, kept: bool) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, bucket): (Arc<dyn Store>, Arc<dyn Bucket>) = if kept {
        (
            Arc::new(SqliteStore::open(folder.path().join("trawl.sqlite")).expect("a database")),
            Arc::new(FolderBucket::open(folder.path().join("bucket")).expect("a bucket")),
        )
    } else {
        (Arc::new(SqliteStore::in_memory().expect("a database")), Arc::new(Nowhere))
    };
    runtime.block_on(async {
        let fetcher = HttpFetcher::new(fetch::Settings {
            allow_networks: vec!["127.0.0.0/8".into()],
            host_concurrency: 64,
            ..fetch::Settings::default()
        });
        let pool = Pool::new(1).expect("threads");
        let outbound = Arc::new(fetch::Outbound::new(&fetch::OutboundSettings::default()).expect("a client"));
        let parts = Parts {
            store: store.clone(),
            bucket: bucket.clone(),
            fetcher: Arc::new(fetcher.expect("a fetcher")),
            courier: courier(store.clone(), outbound.clone()),
            outbound,
            catalogue: Arc::new(Catalogue::load(None, bucket).expect("scrapers")),
            clock: Arc::new(SystemClock),
            pool: pool.clone(),
            pace: None,
        };
        let catalogue = parts.catalogue.clone();
        let worker = Worker::new(parts, settings());
        let (stop, stopped) = watch::channel(false);
        let id = trigger(store.as_ref(), &catalogue, origin).await;
        let (ticks, began) = (ticks(), Instant::now());
        let mut news = store.subscribe();
        let running = tokio::spawn(async move { worker.run(stopped).await });
        loop {
            let snapshot = store.snapshot(&id).await.expect("a snapshot");
            match snapshot.state {
                SnapshotState::Ready => {
                    assert_eq!(snapshot.counts.records, PAGES, "{:?}", snapshot.error_codes);
                    break;
                }
                SnapshotState::Starting | SnapshotState::Running => drop(news.recv().await),
                other => panic!("the job ended as {other:?}"),
            }
        }
        let (cpu, wall) = (f64::from(self::ticks() - ticks) / TICKS, began.elapsed().as_secs_f64());
        stop.send(true).expect("the worker listens");
        running.await.expect("the worker ends");
        pool.close();
        store.close().await;
        (cpu * 1e3 / PAGES as f64, wall * 1e3 / PAGES as f64)
    })
}

async fn trigger(store: &dyn Store, catalogue: &Catalogue, origin: &str) -> SnapshotId {
    let scraper = catalogue.find("demo_shop").expect("a shipped scraper");
    let now = SystemClock.now();
    let id = SnapshotId::new(now, SystemClock.random());
    let trigger = Trigger {
        dataset_id: DatasetId("demo_shop".into()),
        scraper: "demo_shop".into(),
        scraper_version: scraper.version().to_owned(),
        door: Door::Collect,
        include_errors: true,
        custom_output_fields: None,
        custom_input_fields: Vec::new(),
        limit_per_input: None,
        limit_multiple_results: None,
        deadline: None,
        discover_only: false,
        force_deliver: false,
        promises: Vec::new(),
        notice: None,
        quarantine: false,
        express: false,
        wishes: model::Wishes::default(),
        origin: Origin::default(),
    };
    let host = origin.split(':').next().unwrap_or_default();
    let inputs = (0..PAGES).map(|n| {
        let row = format!(r#"{{"url":"http://{origin}/p/{n}"}}"#);
        (Timestamp::default(), Input::given(n, row, host.to_owned()))
    });
    store.begin(NewSnapshot { id: id.clone(), trigger: trigger.clone(), now }).await.expect("begin");
    let cut = slices(inputs.collect(), false).into_iter().map(|(_, slice)| slice).collect();
    store.add(&id, cut, now).await.expect("add");
    let commit = Commit { id: id.clone(), trigger, deliveries: Vec::new(), idempotency: None, now };
    store.commit(commit).await.expect("commit");
    id
}

fn settings() -> Settings {
    Settings {
        node: "bench".into(),
        shared: false,
        shards: Arc::default(),
        jobs: 8,
        express_jobs: 1,
        deliveries: 1,
        lease_ms: 60_000,
        slice_parallel: 64,
        retry: RetryPolicy::default(),
        deliver: DeliverSettings {
            timeout_ms: 1_000,
            window_ms: 1_000,
            patience: Patience { attempts: 1, base_ms: 1, max_ms: 1 },
            signing_secret: None,
        },
        retention_ms: 86_400_000,
        archive_always: false,
        page_bytes_max: 20 << 20,
        cache: trawl::cache::Settings::default(),
        scratch: std::env::temp_dir(),
        way: trawl::worker::WaySettings::default(),
    }
}

/// Processor time of this process so far, all its threads: fields 14 and 15 of `/proc/self/stat`.
fn ticks() -> u32 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |n: usize| after_name.split_whitespace().nth(n - 3).and_then(|t| t.parse::<u32>().ok());
    field(14).zip(field(15)).map(|(user, system)| user + system).expect("a number of ticks")
}

/// Hands files over; nothing is delivered here.
fn courier(store: Arc<dyn Store>, outbound: Arc<fetch::Outbound>) -> Arc<trawl::deliver::Courier> {
    use trawl::deliver::{Courier, CourierParts, CourierSettings};
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let vault = trawl::vault::Vault::open(key, &[], true, std::path::Path::new("")).expect("a vault");
    let connector = fetch::BucketConnector::guarded(&fetch::OutboundSettings::default()).expect("a client");
    let parts = CourierParts { vault: Arc::new(vault), outbound, connector, store, mailer: None };
    let bound = std::time::Duration::from_secs(5);
    Arc::new(Courier::new(parts, CourierSettings { timeout: bound, still: bound }))
}
