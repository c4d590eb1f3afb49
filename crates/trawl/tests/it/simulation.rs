//! A seeded world: runs are triggered, workers crash in the middle, leases end, runs are cancelled, the store and the
//! bucket fail before and after they did what they were asked. After each step the invariants of the design are
//! checked; at the end every input has ended exactly once.
//!
//! `TRAWL_SEED=n` repeats one world.

use crate::world::{
    Dice, Faults, FaultyBucket, FaultyStore, LISTING_PAGES, PER_PAGE, TestClock, Web, courier,
};
use futures_util::StreamExt;
use model::{
    DatasetId, Door, Input, Origin, Patience, RetryPolicy, Snapshot, SnapshotId, SnapshotState, Timestamp,
    Trigger, slices,
};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use store::{Bucket, Commit, Content, NewSnapshot, SqliteStore, Store, StoreError};
use trawl::catalogue::Catalogue;
use trawl::clock::Clock;
use trawl::rows::{Range, Rows};
use trawl::worker::{DeliverSettings, Parts, Pool, Settings, Worker};

const LEASE_MS: i64 = 30_000;

/// A scraper as an operator would write it, for the scripted web.
const SCRAPER: &str = include_str!("simulated.toml");

struct Run {
    id: SnapshotId,
    given: u64,
    /// Items that a run to the end collects; `None` once it was cancelled.
    wanted: Option<u64>,
    dead: u64,
}

struct World {
    dice: Arc<Dice>,
    clock: Arc<TestClock>,
    web: Arc<Web>,
    faults: Arc<Faults>,
    truth: Arc<dyn Store>,
    bucket: Arc<FaultyBucket>,
    catalogue: Arc<Catalogue>,
    workers: Vec<Arc<Worker>>,
    rows: Rows,
    runs: Vec<Run>,
    _scrapers: tempfile::TempDir,
}

impl World {
    fn new(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let clock = TestClock::new(dice.clone());
        let web = Arc::new(Web {
            dice: dice.clone(),
            clock: clock.clone(),
            trouble: AtomicU32::new(12),
            asked: Default::default(),
        });
        let faults = Arc::new(Faults { dice: dice.clone(), once_in: AtomicU32::new(15) });
        let truth: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let bucket = Arc::new(FaultyBucket { faults: Some(faults.clone()), ..FaultyBucket::default() });
        let scrapers = tempfile::tempdir().unwrap();
        std::fs::create_dir(scrapers.path().join("simulated")).unwrap();
        std::fs::write(scrapers.path().join("simulated/scraper.toml"), SCRAPER).unwrap();
        let catalogue = Arc::new(Catalogue::load(Some(scrapers.path()), bucket.clone()).unwrap());
        assert_eq!(catalogue.faults(), [], "the simulated scraper compiles");
        let store: Arc<dyn Store> = Arc::new(FaultyStore { inner: truth.clone(), faults: faults.clone() });
        let outbound = Arc::new(fetch::Outbound::new(&fetch::OutboundSettings::default()).unwrap());
        let courier = courier(truth.clone(), outbound.clone());
        let worker = |node: &str| {
            let parts = Parts {
                store: store.clone(),
                bucket: bucket.clone(),
                fetcher: web.clone(),
                outbound: outbound.clone(),
                courier: courier.clone(),
                catalogue: catalogue.clone(),
                clock: clock.clone(),
                pool: Pool::on_caller(),
                pace: None,
            };
            Worker::new(parts, settings(node))
        };
        let workers = vec![worker("a"), worker("b")];
        let rows = Rows::new(truth.clone(), bucket.clone());
        Self {
            dice,
            clock,
            web,
            faults,
            truth,
            bucket,
            catalogue,
            workers,
            rows,
            runs: Vec::new(),
            _scrapers: scrapers,
        }
    }

    async fn trigger(&mut self) {
        let scraper = self.catalogue.find("simulated").unwrap();
        let id = SnapshotId::new(self.clock.now(), self.clock.random());
        let discover = self.dice.once_in(2);
        let n = 1 + self.dice.below(if discover { 4 } else { 200 });
        let limit_per_input = (discover && self.dice.once_in(2)).then(|| 1 + self.dice.below(40));
        let limit_multiple_results = self.dice.once_in(3).then(|| 1 + self.dice.below(100));
        let (mut dead, mut inputs) = (0, Vec::new());
        let door = if discover { Door::Discover("category_url".into()) } else { Door::Collect };
        let base = self.dice.below(1_000);
        for at in 0..n {
            let host = format!("h{}.test", self.dice.below(4));
            let path = if discover {
                format!("c/{}", base + at)
            } else if self.dice.once_in(10) {
                dead += 1;
                format!("gone/{at}")
            } else {
                format!("i/{at}")
            };
            inputs.push((
                Timestamp::default(),
                Input::given(at, format!(r#"{{"url":"http://{host}/{path}"}}"#), host),
            ));
        }
        let per_input = if discover { PER_PAGE * LISTING_PAGES } else { 1 };
        let each = limit_per_input.map_or(per_input, |most| most.min(per_input));
        let all = (n - dead) * each;
        let trigger = Trigger {
            dataset_id: DatasetId("simulated".into()),
            scraper: "simulated".into(),
            scraper_version: scraper.version().to_owned(),
            door,
            include_errors: true,
            custom_output_fields: None,
            custom_input_fields: Vec::new(),
            limit_per_input,
            limit_multiple_results,
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
        let now = self.clock.now();
        self.truth.begin(NewSnapshot { id: id.clone(), trigger: trigger.clone(), now }).await.unwrap();
        let cut = slices(inputs, limit_per_input.is_some()).into_iter().map(|(_, s)| s).collect();
        self.truth.add(&id, cut, now).await.unwrap();
        let commit = Commit { id: id.clone(), trigger, deliveries: Vec::new(), idempotency: None, now };
        self.truth.commit(commit).await.unwrap();
        self.runs.push(Run {
            id,
            given: n,
            wanted: Some(limit_multiple_results.map_or(all, |most| most.min(all))),
            dead,
        });
    }

    /// One step of the world.
    async fn step(&mut self) {
        match self.dice.below(20) {
            0 if self.runs.len() < 25 => self.trigger().await,
            1 => self.clock.pass(self.dice.below(2_000) as i64),
            // Long enough for leases to end.
            2 => self.clock.pass(LEASE_MS + 1),
            3 => {
                let at = self.dice.below(self.runs.len() as u64) as usize;
                if self.dice.once_in(4) {
                    match self.truth.cancel(&self.runs[at].id, self.clock.now()).await {
                        Ok(()) => self.runs[at].wanted = None,
                        Err(StoreError::Conflict(_)) => {}
                        Err(error) => panic!("cancel: {error}"),
                    }
                }
            }
            4 => {
                // A crash: the worker is gone in the middle, and its node starts again.
                let polls = self.dice.below(60);
                let worker = self.worker();
                crash_after(worker.tick(), polls).await;
                let node = if self.dice.once_in(2) { "a" } else { "b" };
                self.truth.reclaim(node, self.clock.now()).await.unwrap();
            }
            5 => {
                self.truth.tick(self.clock.now(), 3_600_000).await.unwrap();
            }
            _ => {
                self.worker().tick().await;
                self.clock.pass(self.dice.below(200) as i64);
            }
        }
    }

    fn worker(&self) -> Arc<Worker> {
        self.workers[self.dice.below(self.workers.len() as u64) as usize].clone()
    }

    /// The invariants of design section 4 that can be seen from outside.
    async fn check(&self, at: &Run) -> Snapshot {
        let snapshot = self.truth.snapshot(&at.id).await.unwrap();
        assert!(snapshot.counts.adds_up(), "inputs = settled + waiting + leased: {:?}", snapshot.counts);
        let (mut records, mut errors) = (0, 0);
        for registered in self.truth.segments(&at.id, 0, usize::MAX >> 1).await.unwrap() {
            assert_eq!(
                (registered.first_record, registered.first_error),
                (records, errors),
                "rows never move"
            );
            match registered.content {
                Content::Segment(segment) => {
                    let bytes = self
                        .bucket
                        .get(&segment.key, 0, u64::MAX >> 1)
                        .await
                        .expect("a registered segment has its bytes");
                    assert_eq!(bytes.len() as u64, segment.record_bytes + segment.error_bytes);
                    records += segment.records;
                    errors += segment.errors;
                }
                Content::Aborted { errors: n } => errors += n,
            }
        }
        assert_eq!(
            (records, errors),
            (snapshot.counts.records, snapshot.counts.errors),
            "progress equals the rows"
        );
        assert_eq!(errors, snapshot.error_codes.values().sum::<u64>(), "error codes add up");
        if let Some(most) = snapshot.trigger.limit_multiple_results {
            assert!(records <= most, "limit_multiple_results: {records} > {most}");
        }
        snapshot
    }

    /// Reads every row back and holds it against what was asked.
    async fn check_rows(&self, at: &Run, snapshot: &Snapshot) {
        let shape = Rows::shape(snapshot, None, model::Format::Ndjson, false);
        let mut stream = self.rows.stream(snapshot, shape, false, Range::ALL);
        let mut text = Vec::new();
        while let Some(piece) = stream.next().await {
            text.extend_from_slice(&piece.expect("rows can be read"));
        }
        let (mut seen, mut per_root, mut errors) = (BTreeSet::new(), BTreeMap::<String, u64>::new(), 0);
        for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let row: serde_json::Value = serde_json::from_slice(line).expect("a row is JSON");
            if row.get("error_code").is_some() {
                errors += 1;
                continue;
            }
            let key = format!("{} {}", row["input"], row["discovery_input"]);
            assert!(seen.insert(key.clone()), "doubled: {key}");
            *per_root.entry(row["discovery_input"].to_string()).or_default() += 1;
        }
        assert_eq!(seen.len() as u64, snapshot.counts.records);
        assert_eq!(errors, snapshot.counts.errors);
        // What the quality gate judges is what was registered, however often a slice was done.
        let judged = self.truth.quality(&snapshot.id).await.unwrap();
        assert_eq!(judged.profile.rows, snapshot.counts.records);
        if let Some(most) = snapshot.trigger.limit_per_input {
            assert!(per_root.values().all(|n| *n <= most), "limit_per_input {most}: {per_root:?}");
        }
        if let Some(wanted) = at.wanted {
            assert_eq!(snapshot.state, SnapshotState::Ready, "{snapshot:?}");
            let lost: u64 =
                snapshot.error_codes.iter().filter(|(c, _)| c.as_str() != "dead_page").map(|(_, n)| n).sum();
            let unlimited = snapshot.trigger.limit_multiple_results.is_none();
            // A listing whose attempts were used up takes its items with it; nothing else may be missing.
            if lost == 0 {
                assert_eq!(snapshot.counts.records, wanted, "{:?}", snapshot.counts);
            }
            if unlimited {
                assert_eq!(
                    snapshot.error_codes.get(&model::FailureCode::DeadPage).copied().unwrap_or(0),
                    at.dead
                );
            }
            if unlimited && snapshot.trigger.door == Door::Collect {
                assert_eq!(
                    snapshot.counts.records + snapshot.counts.errors,
                    at.given,
                    "each input ends exactly once"
                );
            }
        }
    }
}

fn settings(node: &str) -> Settings {
    Settings {
        node: node.into(),
        shared: true,
        shards: Arc::default(),
        jobs: 8,
        express_jobs: 1,
        deliveries: 1,
        lease_ms: LEASE_MS,
        slice_parallel: 4,
        // Patient, so that only the planned dead pages become errors.
        retry: {
            let patience = Patience { attempts: 50, base_ms: 100, max_ms: 1_000 };
            RetryPolicy {
                timeout: patience,
                reset: patience,
                slow_down: patience,
                server_error: patience,
                proxy: patience,
                other: patience,
            }
        },
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

/// Polls a future so often and then drops it, wherever it is.
async fn crash_after<T>(future: impl Future<Output = T>, mut polls: u64) {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(());
        }
        polls -= 1;
        future.as_mut().poll(cx).map(drop)
    })
    .await;
}

async fn live(seed: u64, steps: usize) {
    let mut world = World::new(seed);
    world.trigger().await;
    for _ in 0..steps {
        world.step().await;
        for run in &world.runs {
            world.check(run).await;
        }
    }
    // Fair weather: everything ends.
    world.faults.once_in.store(0, Ordering::Relaxed);
    world.web.trouble.store(0, Ordering::Relaxed);
    for round in 0.. {
        assert!(round < 2_000, "the world never came to rest");
        world.clock.pass(LEASE_MS + 1);
        world.truth.tick(world.clock.now(), 3_600_000).await.unwrap();
        let done = world.worker().tick().await;
        let gauges = world.truth.gauges().await.unwrap();
        if done == 0 && gauges.jobs_waiting == 0 && gauges.jobs_leased == 0 {
            break;
        }
    }
    for run in &world.runs {
        let snapshot = world.check(run).await;
        assert!(snapshot.state.is_terminal(), "{snapshot:?}");
        assert_eq!(snapshot.counts.settled, snapshot.counts.inputs);
        world.check_rows(run, &snapshot).await;
    }
    assert!(!world.web.asked.lock().unwrap().is_empty());
}

#[test]
fn the_invariants_hold_in_seeded_worlds() {
    let seeds: Vec<u64> = match std::env::var("TRAWL_SEED") {
        Ok(seed) => vec![seed.parse().expect("TRAWL_SEED is a number")],
        Err(_) => (1..=8).collect(),
    };
    for seed in seeds {
        let result = std::panic::catch_unwind(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap()
                .block_on(live(seed, 400));
        });
        assert!(result.is_ok(), "repeat with TRAWL_SEED={seed}");
    }
}
