//! What is special about the store on PostgreSQL: several nodes at once, connections that are cut, news over gaps, the
//! schema. What every store does is in `conformance`.

#![allow(clippy::unwrap_used, reason = "a test's panic is its answer")]

mod support;

use model::{Input, Outcome, Record, Segment, SnapshotId, SnapshotState, Timestamp, Trigger};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{
    Change, Claim, Commit, Content, Finished, Lease, NewSnapshot, PostgresSettings, PostgresStore, Store,
    StoreError,
};
use support::postgres::Cluster;
use tokio_postgres::NoTls;

fn trigger(fields: &[(&str, u64)]) -> Trigger {
    let mut json = serde_json::json!({
        "dataset_id": "gd_x", "scraper": "x", "scraper_version": "1", "door": "collect", "include_errors": true,
    });
    for (name, value) in fields {
        json[*name] = (*value).into();
    }
    serde_json::from_value(json).unwrap()
}

fn settings() -> PostgresSettings {
    PostgresSettings { pool: 6, ..PostgresSettings::default() }
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url, settings()).await.unwrap()
}

async fn ask(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A run of slices of that size over some hosts.
async fn start(
    store: &dyn Store,
    n: u64,
    trigger: &Trigger,
    inputs: u64,
    size: u64,
    hosts: u64,
) -> SnapshotId {
    let now = Timestamp::from_ms(1);
    let id = SnapshotId::new(now, n);
    store.begin(NewSnapshot { id: id.clone(), trigger: trigger.clone(), now }).await.unwrap();
    let slices = (0..inputs / size)
        .map(|slice| {
            let host = format!("h{}", slice % hosts);
            (slice * size..(slice + 1) * size)
                .map(|root| Input::given(root, format!("{{\"url\":\"http://{host}/{root}\"}}"), host.clone()))
                .collect()
        })
        .collect();
    store.add(&id, slices, now).await.unwrap();
    let (trigger, deliveries) = (trigger.clone(), Vec::new());
    store.commit(Commit { id: id.clone(), trigger, deliveries, idempotency: None, now }).await.unwrap();
    id
}

/// What the workers of a test share.
#[derive(Default)]
struct Floor {
    clock: AtomicI64,
    keys: AtomicU64,
    /// Who works for a host, with how many jobs.
    hosts: Mutex<HashMap<String, (String, u32)>>,
    /// Jobs that somebody holds.
    jobs: Mutex<HashMap<i64, u64>>,
    finished: AtomicU64,
}

impl Floor {
    fn take(&self, node: &str, lease: &Lease) {
        let host = lease.job.inputs[0].host.clone();
        let mut hosts = self.hosts.lock().unwrap();
        let held = hosts.entry(host.clone()).or_insert_with(|| (node.to_owned(), 0));
        assert!(held.1 == 0 || held.0 == node, "{host} is worked for by {} and {node}", held.0);
        *held = (node.to_owned(), held.1 + 1);
        let twice = self.jobs.lock().unwrap().insert(lease.job.id.0, lease.epoch);
        assert!(twice.is_none(), "job {} was leased twice", lease.job.id.0);
    }

    fn leave(&self, lease: &Lease) {
        self.hosts.lock().unwrap().get_mut(&lease.job.inputs[0].host).unwrap().1 -= 1;
        self.jobs.lock().unwrap().remove(&lease.job.id.0);
    }

    /// A record for each input, cut to what `left` allows.
    fn outcome(
        &self,
        lease: &Lease,
        total: Option<u64>,
        roots: &BTreeMap<u64, u64>,
    ) -> (Outcome, Option<Segment>) {
        let mut outcome = Outcome { settled: lease.job.inputs.len() as u64, ..Outcome::default() };
        let mut taken: BTreeMap<u64, u64> = BTreeMap::new();
        for input in &lease.job.inputs {
            let of_root = taken.entry(input.root).or_default();
            let fits = total.is_none_or(|most| (outcome.records.len() as u64) < most)
                && roots.get(&input.root).is_none_or(|most| *of_root < *most);
            if fits {
                *of_root += 1;
                outcome.records.push(Record { root: input.root, json: format!("{{\"n\":{}}}", input.root) });
            }
        }
        let key = format!("k/{}", self.keys.fetch_add(1, Ordering::Relaxed));
        let records = outcome.records.len() as u64;
        let segment =
            Segment { key, records, record_bytes: records, plain_bytes: records, ..Segment::default() };
        let segment = (records > 0).then_some(segment);
        (outcome, segment)
    }

    /// Works until nothing is left. `ends`: leases end soon, for workers whose answers get lost.
    async fn work(&self, store: &dyn Store, node: &str, jobs: usize, ends: bool) {
        loop {
            let now = self.clock.fetch_add(1, Ordering::Relaxed) + 10;
            let (now, lease_until) =
                (Timestamp::from_ms(now), Timestamp::from_ms(if ends { now + 400 } else { i64::MAX / 2 }));
            let claim = Claim {
                jobs,
                express_only: false,
                node: node.into(),
                now,
                lease_until,
                pass_over: Vec::new(),
            };
            let leases = match store.claim(claim).await {
                Ok(claimed) => claimed.leases,
                Err(StoreError::Unavailable(_)) => continue,
                Err(e) => panic!("claim: {e}"),
            };
            if leases.is_empty() {
                match store.gauges().await {
                    Ok(gauges) if gauges.jobs_waiting + gauges.jobs_leased == 0 => return,
                    _ => tokio::task::yield_now().await,
                }
            }
            if !ends {
                leases.iter().for_each(|lease| self.take(node, lease));
            }
            for lease in leases {
                self.finish(store, &lease, now, ends).await;
            }
        }
    }

    async fn finish(&self, store: &dyn Store, lease: &Lease, now: Timestamp, ends: bool) {
        let (mut outcome, mut segment) = self.outcome(lease, lease.records_left, &lease.root_left);
        if !ends {
            self.leave(lease);
        }
        loop {
            match store.finish(lease, &outcome, segment.as_ref(), &["n".into()], now).await {
                Ok(Finished::Trim { total, per_root }) => {
                    (outcome, segment) = self.outcome(lease, total, &per_root);
                }
                Ok(_) => {
                    self.finished.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(StoreError::Unavailable(_)) => {}
                Err(StoreError::LeaseLost) if ends => return,
                Err(e) => panic!("finish: {e}"),
            }
        }
    }
}

/// The laws of an ended run: numbers add up, segments are without gaps, and their sums are the run's.
async fn lawful(store: &dyn Store, id: &SnapshotId) -> model::Counts {
    let snapshot = store.snapshot(id).await.unwrap();
    assert_eq!(snapshot.state, SnapshotState::Ready);
    let counts = snapshot.counts;
    assert!(counts.adds_up() && counts.waiting + counts.leased == 0, "{counts:?}");
    let mut records = 0;
    for (seq, registered) in (0..).zip(store.segments(id, 0, 10_000).await.unwrap()) {
        assert_eq!((registered.seq, registered.first_record), (seq, records));
        let Content::Segment(segment) = registered.content else { panic!("an aborted segment") };
        records += segment.records;
    }
    assert_eq!(records, counts.records);
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_hosts_and_limits_exactly() {
    let url = Cluster::shared().database().await;
    let (one, two) = (open(&url).await, open(&url).await);
    let plain = start(&one, 1, &trigger(&[]), 1_200, 4, 12).await;
    let total = start(&one, 2, &trigger(&[("limit_multiple_results", 333)]), 600, 8, 5).await;
    let roots = start(&two, 3, &trigger(&[("limit_per_input", 1)]), 200, 1, 7).await;
    let floor = Floor::default();
    tokio::join!(
        floor.work(&one, "one", 3, false),
        floor.work(&two, "two", 2, false),
        floor.work(&one, "one", 1, false),
        floor.work(&two, "two", 5, false),
    );
    assert_eq!(lawful(&one, &plain).await.records, 1_200);
    assert_eq!(lawful(&one, &total).await.records, 333);
    assert_eq!(lawful(&two, &roots).await.records, 200);
    let left = ask(&url).await.query_one("SELECT count(*) FROM host_lane", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0, "no host is held any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_and_double_nothing() {
    let cluster = Cluster::shared();
    let url = cluster.database().await;
    let (one, two) = (open(&url).await, open(&url).await);
    let id = start(&one, 1, &trigger(&[]), 1_600, 4, 20).await;
    let floor = Floor::default();
    let cuts = AtomicU64::new(0);
    let cutting = async {
        let knife = ask(&url).await;
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE application_name = 'trawl' AND datname = current_database()";
        let mut beat = tokio::time::interval(Duration::from_millis(60));
        loop {
            beat.tick().await;
            let n: i64 = knife.query_one(cut, &[]).await.unwrap().get(0);
            cuts.fetch_add(n as u64, Ordering::Relaxed);
        }
    };
    let working = async {
        tokio::join!(
            floor.work(&one, "one", 2, true),
            floor.work(&two, "two", 3, true),
            floor.work(&two, "two", 1, true),
        )
    };
    tokio::select! {
        () = cutting => {}
        _ = working => {}
    }
    assert!(cuts.load(Ordering::Relaxed) > 10, "hardly anything was cut");
    let counts = loop {
        match one.snapshot(&id).await {
            Ok(_) => break lawful(&one, &id).await,
            Err(e) => assert!(matches!(e, StoreError::Unavailable(_)), "{e}"),
        }
    };
    assert_eq!((counts.settled, counts.records + counts.errors), (1_600, 1_600));
}

#[tokio::test]
async fn a_finish_whose_answer_was_lost_may_be_asked_again() {
    let url = Cluster::shared().database().await;
    let store = open(&url).await;
    let id = start(&store, 1, &trigger(&[]), 8, 8, 1).await;
    let (now, lease_until) = (Timestamp::from_ms(5), Timestamp::from_ms(900));
    let claim =
        Claim { jobs: 1, express_only: false, node: "n".into(), now, lease_until, pass_over: Vec::new() };
    let lease = store.claim(claim).await.unwrap().leases.remove(0);
    let floor = Floor::default();
    let (outcome, segment) = floor.outcome(&lease, None, &BTreeMap::new());
    let again = || store.finish(&lease, &outcome, segment.as_ref(), &[], now);
    let (a, b, c) = tokio::join!(again(), again(), again());
    for answer in [a, b, c, again().await] {
        assert_eq!(answer.unwrap(), Finished::Done);
    }
    assert_eq!(store.segments(&id, 0, 9).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_that_were_missed_are_told_again() {
    let url = Cluster::shared().database().await;
    let (near, far) = (open(&url).await, open(&url).await);
    near.gauges().await.unwrap();
    let mut news = far.subscribe();
    // Whoever listens is cut off, and cannot come back before there was something to hear.
    let (server, database) = url.rsplit_once('/').unwrap();
    let door = ask(&format!("{server}/postgres")).await;
    door.batch_execute(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN trawl' AND datname = $1";
    assert_eq!(door.query(cut, &[&database]).await.unwrap().len(), 2);
    let id = start(&near, 1, &trigger(&[]), 8, 8, 1).await;
    door.batch_execute(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await.unwrap();
    let heard = async {
        while news.recv().await.unwrap() != Change::Snapshot(id.clone()) {}
        while news.recv().await.unwrap() != Change::Work {}
    };
    tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap();
    near.cancel(&id, Timestamp::from_ms(9)).await.unwrap();
    let heard = async { while news.recv().await.unwrap() != Change::Stopping(id.clone()) {} };
    tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_make_one_schema() {
    let url = Cluster::shared().database().await;
    let found = PostgresStore::versions(&url, &settings()).await.unwrap();
    assert_eq!(found.found, 0);
    let (a, b, c, d) = tokio::join!(open(&url), open(&url), open(&url), open(&url));
    for store in [a, b, c, d] {
        store.gauges().await.unwrap();
    }
    let reached = PostgresStore::versions(&url, &settings()).await.unwrap();
    assert_eq!(reached.found, reached.known);
    let client = ask(&url).await;
    client.batch_execute("UPDATE migration SET checksum = '\\x00' WHERE version = 1").await.unwrap();
    let edited = PostgresStore::open(&url, settings()).await.err().unwrap();
    assert!(edited.to_string().contains("migration 1"), "{edited}");
    client.batch_execute("INSERT INTO migration VALUES (99, '')").await.unwrap();
    let newer = PostgresStore::open(&url, settings()).await.err().unwrap();
    assert!(matches!(newer, StoreError::Damaged(_)) && newer.to_string().contains("newer"), "{newer}");
}

#[tokio::test]
async fn what_cannot_be_reached_says_so_without_the_password() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://u:hush@127.0.0.1:{free}/d");
    let refused = PostgresStore::open(&url, settings()).await.err().unwrap();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    assert!(!refused.to_string().contains("hush"), "{refused}");
}

#[tokio::test]
async fn the_clock_is_the_databases() {
    let url = Cluster::shared().database().await;
    let store = Arc::new(open(&url).await);
    let theirs = store.clock().await.unwrap();
    let ours = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(theirs.ms().abs_diff(i64::try_from(ours).unwrap()) < 5_000);
}

#[tokio::test]
async fn tls_is_what_the_mode_says() {
    let (cluster, root) = Cluster::start_tls();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.pem");
    std::fs::write(&path, root).unwrap();
    let root = path.to_str().unwrap().replace('/', "%2F");
    let by_address = cluster.url("postgres");
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let encrypted = async |url: String| {
        let store = PostgresStore::open(&url, settings()).await?;
        store.gauges().await?;
        let sql = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a ON a.pid = s.pid
                   WHERE a.application_name = 'trawl'";
        let row = ask(&by_address).await.query_one(sql, &[]).await.unwrap();
        store.close().await;
        Ok::<bool, StoreError>(row.get(0))
    };
    assert!(encrypted(format!("{by_name}?sslmode=verify-full&sslrootcert={root}")).await.unwrap());
    assert!(encrypted(format!("{by_address}?sslmode=require")).await.unwrap());
    // Nobody else's roots vouch for it, and it is not the server of that name.
    for url in [
        format!("{by_name}?sslmode=verify-full"),
        format!("{by_address}?sslmode=verify-full&sslrootcert={root}"),
        format!("{by_address}?sslmode=require&sslrootcert={root}"),
    ] {
        let refused = encrypted(url).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    }
    let plain = PostgresStore::open(&format!("{by_address}?sslmode=disable"), settings()).await.unwrap();
    plain.gauges().await.unwrap();
}

/// The rule that lets a cluster be upgraded node by node: a migration only adds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_goes_on_while_the_next_version_adds_to_the_schema() {
    let url = Cluster::shared().database().await;
    let old = open(&url).await;
    let floor = Floor::default();
    // Every statement that the work needs is prepared by now.
    start(&old, 1, &trigger(&[]), 64, 4, 4).await;
    floor.work(&old, "old", 2, false).await;
    let began = start(&old, 2, &trigger(&[("limit_multiple_results", 90)]), 128, 4, 4).await;
    let client = ask(&url).await;
    let tables =
        client.query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", &[]).await.unwrap();
    assert!(tables.len() > 10);
    for table in &tables {
        let table: String = table.get(0);
        let add = format!(
            "ALTER TABLE {table} ADD COLUMN next_flag boolean NOT NULL DEFAULT false, ADD COLUMN next_text text"
        );
        client.batch_execute(&add).await.unwrap();
    }
    client
        .batch_execute(
            "CREATE TABLE next_things (id bigint PRIMARY KEY); CREATE INDEX ON job (next_flag, id)",
        )
        .await
        .unwrap();
    let whole = start(&old, 3, &trigger(&[]), 256, 8, 6).await;
    floor.work(&old, "old", 3, false).await;
    assert_eq!(lawful(&old, &began).await.records, 90);
    assert_eq!(lawful(&old, &whole).await.records, 256);
    let now = Timestamp::from_ms(9);
    old.save_hosts(vec![("h".into(), Some("{}".into()))], now, Timestamp::default()).await.unwrap();
    assert_eq!(old.hosts_named(&["h".to_owned()]).await.unwrap().len(), 1);
    assert!(old.put_document("k", "n", Some("t".into()), store::Put::Over(0)).await.unwrap());
    let id = start(&old, 4, &trigger(&[]), 8, 4, 2).await;
    old.cancel(&id, now).await.unwrap();
    old.tick(now, 1).await.unwrap();
    old.gauges().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_one_node_passes_over_is_there_for_another() {
    let url = Cluster::shared().database().await;
    let store = open(&url).await;
    start(&store, 1, &trigger(&[]), 16, 2, 2).await;
    ask(&url).await.execute("UPDATE lane SET host = host || '#0'", &[]).await.unwrap();
    let now = Timestamp::from_ms(10);
    let claim = |node: &str, pass_over: Vec<String>| {
        let lease_until = Timestamp::from_ms(1_000);
        Claim { jobs: 9, express_only: false, node: node.into(), now, lease_until, pass_over }
    };
    let claimed = store.claim(claim("one", vec!["h0#0".into()])).await.unwrap();
    let hosts: Vec<&str> = claimed.leases.iter().map(|lease| lease.job.inputs[0].host.as_str()).collect();
    assert_eq!(hosts, ["h1", "h1"]);
    let again = store.claim(claim("one", vec!["h0#0".into(), "h1#0".into()])).await.unwrap();
    assert!(again.leases.is_empty());
    assert_eq!(again.next_due, Some(now.plus_ms(store::LANE_REST_MS)));
    assert_eq!(store.claim(claim("two", Vec::new())).await.unwrap().leases.len(), 2, "at once");
}
