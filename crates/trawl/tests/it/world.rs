//! A world of its own: a clock that only the test moves, dice from a seed, a scripted web, a store and a bucket that
//! fail on purpose.

use async_trait::async_trait;
use bytes::Bytes;
use fetch::{FetchError, FetchErrorKind, Fetcher};
use model::{
    Delivery, DeliveryId, DeliveryOutcome, Input, JobId, Outcome, Page, Request, Segment, Snapshot,
    SnapshotId, Timestamp,
};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{
    Aborted, Bucket, BucketError, Change, Claim, Claimed, Commit, Committed, DeliveryLease, Finished, Gauges,
    Held, Idempotency, Lease, NewSnapshot, Registered, Remembered, Result, SnapshotFilter, Store, StoreError,
    Token,
};
use trawl::clock::Clock;

/// Dice from a seed (splitmix64): the same seed, the same world.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed)))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut z =
            self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, n: u64) -> u64 {
        self.next() % n
    }

    /// True once in `n`.
    pub(crate) fn once_in(&self, n: u32) -> bool {
        n > 0 && self.below(u64::from(n)) == 0
    }
}

/// Time that only the test moves.
pub(crate) struct TestClock {
    now_ms: AtomicI64,
    dice: Arc<Dice>,
}

impl TestClock {
    pub(crate) fn new(dice: Arc<Dice>) -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicI64::new(1_800_000_000_000), dice })
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.now_ms.load(Ordering::Relaxed))
    }

    fn random(&self) -> u64 {
        self.dice.next()
    }
}

/// A web of listings and items: `/c/{n}?page=k` lists ten items and a next page, up to three pages; `/i/{n}` is an item;
/// `/gone/{n}` is a 404. Now and then it fails in a way that may pass.
pub(crate) struct Web {
    pub(crate) dice: Arc<Dice>,
    pub(crate) clock: Arc<TestClock>,
    /// Once in so many requests fails; 0 never.
    pub(crate) trouble: AtomicU32,
    pub(crate) asked: Mutex<Vec<String>>,
}

/// Items on a listing page, and listing pages of a category.
pub(crate) const PER_PAGE: u64 = 10;
pub(crate) const LISTING_PAGES: u64 = 3;

#[async_trait]
impl Fetcher for Web {
    async fn fetch(&self, request: Request, _express: bool) -> std::result::Result<Page, FetchError> {
        // A turn of the runtime, so that a slice is not one uninterruptible step.
        tokio::task::yield_now().await;
        if self.dice.once_in(40) {
            // Longer than a slice stays open: the others are registered meanwhile, and this one is carried on.
            tokio::time::sleep(Duration::from_secs(5)).await; // on the paused clock
        }
        self.asked.lock().unwrap().push(request.url.to_string());
        if self.dice.once_in(self.trouble.load(Ordering::Relaxed)) {
            return Err(FetchError::new(FetchErrorKind::Connection, "the connection broke"));
        }
        let number = |text: &str| text.parse::<u64>().unwrap_or(0);
        let parts: Vec<&str> = request.url.path_segments().map(Iterator::collect).unwrap_or_default();
        let (status, html) = match parts[..] {
            ["i", n] => (200, format!("<title>item {n}</title>")),
            ["c", n] => {
                let page = request.url.query().and_then(|q| q.strip_prefix("page=")).map_or(1, number);
                let first = number(n) * 1_000 + (page - 1) * PER_PAGE;
                // The first item of a page repeats the last of the page before: duplicates are dropped.
                let items: String = (first.saturating_sub(u64::from(page > 1))..first + PER_PAGE)
                    .map(|i| format!("<a class=item href=/i/{i}>{i}</a>"))
                    .collect();
                let next = if page < LISTING_PAGES {
                    format!("<a rel=next href=/c/{n}?page={}>next</a>", page + 1)
                } else {
                    String::new()
                };
                (200, format!("<title>category {n}</title>{items}{next}"))
            }
            _ => (404, "gone".to_owned()),
        };
        Ok(Page {
            url: request.url,
            status,
            headers: vec![("content-type".into(), "text/html; charset=utf-8".into())],
            wire_bytes: html.len() as u64,
            extras: model::Extras::default(),
            body: Bytes::from(html),
            fetched_at: self.clock.now(),
        })
    }
}

/// What fails, and how often.
pub(crate) struct Faults {
    pub(crate) dice: Arc<Dice>,
    /// Once in so many calls; 0 never.
    pub(crate) once_in: AtomicU32,
}

impl Faults {
    fn strike(&self) -> bool {
        self.dice.once_in(self.once_in.load(Ordering::Relaxed))
    }

    /// Before: nothing was done. After: it was done, and the answer was lost.
    async fn around<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        if self.strike() {
            return Err(StoreError::Unavailable("planned, before".into()));
        }
        let result = call.await;
        if result.is_ok() && self.strike() {
            return Err(StoreError::Unavailable("planned, after".into()));
        }
        result
    }
}

/// A store whose work calls fail on purpose; questions do not.
pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) faults: Arc<Faults>,
}

/// Methods handed through: `faulty` ones around the faults.
macro_rules! hand_through {
    ($(faulty $f:ident($($fa:ident: $ft:ty),*) -> $fr:ty;)* --- $(plain $p:ident($($pa:ident: $pt:ty),*) -> $pr:ty;)*) => {
        #[async_trait]
        impl Store for FaultyStore {
            $(async fn $f(&self, $($fa: $ft),*) -> Result<$fr> { self.faults.around(self.inner.$f($($fa),*)).await })*
            $(async fn $p(&self, $($pa: $pt),*) -> Result<$pr> { self.inner.$p($($pa),*).await })*
            fn subscribe(&self) -> tokio::sync::broadcast::Receiver<Change> { self.inner.subscribe() }
            async fn close(&self) { self.inner.close().await }
        }
    };
}

hand_through! {
    faulty claim(claim: Claim) -> Claimed;
    faulty renew(leases: &[(JobId, u64)], until: Timestamp) -> Vec<Held>;
    faulty finish(lease: &Lease, outcome: &Outcome, segment: Option<&Segment>, columns: &[String], now: Timestamp) -> Finished;
    faulty tick(now: Timestamp, starting_ms: u64) -> Option<Timestamp>;
    faulty reclaim(node: &str, now: Timestamp) -> u64;
    faulty claim_deliveries(claim: Claim) -> (Vec<DeliveryLease>, Option<Timestamp>);
    faulty renew_delivery(lease: &DeliveryLease, until: Timestamp) -> bool;
    faulty finish_delivery(lease: &DeliveryLease, outcome: DeliveryOutcome, now: Timestamp) -> ();
    ---
    plain save_hosts(hosts: Vec<(String, Option<String>)>, now: Timestamp, before: Timestamp) -> ();
    plain put_document(kind: &str, name: &str, text: Option<String>, over: store::Put) -> bool;
    plain documents(kind: &str, after: &str, limit: usize) -> Vec<store::Document>;
    plain hosts_named(names: &[String]) -> Vec<(String, String)>;
    plain hosts(limit: usize) -> Vec<(String, String)>;
    plain begin(new: NewSnapshot) -> ();
    plain add(id: &SnapshotId, slices: Vec<Vec<Input>>, now: Timestamp) -> ();
    plain commit(commit: Commit) -> Committed;
    plain discard(id: &SnapshotId) -> ();
    plain remembered(key: &Idempotency, now: Timestamp) -> Option<Remembered>;
    plain cancel(id: &SnapshotId, now: Timestamp) -> ();
    plain fail(id: &SnapshotId, message: &str, now: Timestamp) -> ();
    plain promise(delivery: Delivery) -> ();
    plain redeliver(id: &DeliveryId, now: Timestamp) -> ();
    plain list_deliveries(filter: store::DeliveryFilter) -> Vec<store::ListedDelivery>;
    plain snapshot(id: &SnapshotId) -> Snapshot;
    plain snapshots(filter: SnapshotFilter) -> (Vec<Snapshot>, u64);
    plain running(datasets: &[String]) -> u64;
    plain segments(id: &SnapshotId, from: u64, limit: usize) -> Vec<Registered>;
    plain aborted(id: &SnapshotId, seq: u64) -> Aborted;
    plain inputs(id: &SnapshotId, cursor: u64) -> (Vec<Input>, Option<u64>);
    plain archive(id: &SnapshotId, from: u64, limit: usize) -> Vec<store::KeptPart>;
    plain kept_pages(id: &SnapshotId, asked: &[model::PageKey]) -> Vec<Vec<(store::KeptPart, usize)>>;
    plain delivery(id: &DeliveryId) -> Delivery;
    plain deliveries(id: &SnapshotId) -> Vec<Delivery>;
    plain quality(id: &SnapshotId) -> store::Judged;
    plain release(id: &SnapshotId, accept: bool, now: Timestamp) -> ();
    plain gauges() -> Gauges;
    plain expire(before: Timestamp, limit: usize, now: Timestamp) -> Vec<String>;
    plain forget(keys: &[String]) -> ();
    plain unregistered(keys: &[String]) -> Vec<String>;
    plain add_token(token: Token) -> ();
    plain token(hash: &[u8; 32]) -> Option<Token>;
    plain tokens() -> Vec<Token>;
    plain revoke_token(id_or_name: &str, now: Timestamp) -> u64;
}

/// A bucket in memory whose writes fail on purpose.
#[derive(Default)]
pub(crate) struct FaultyBucket {
    pub(crate) objects: Mutex<std::collections::BTreeMap<String, Bytes>>,
    pub(crate) faults: Option<Arc<Faults>>,
}

#[async_trait]
impl Bucket for FaultyBucket {
    async fn put(&self, key: &str, bytes: Bytes) -> std::result::Result<(), BucketError> {
        let strike = || self.faults.as_ref().is_some_and(|f| f.strike());
        if strike() {
            return Err(BucketError::Unavailable("planned, before".into()));
        }
        self.objects.lock().unwrap().insert(key.to_owned(), bytes);
        if strike() { Err(BucketError::Unavailable("planned, after".into())) } else { Ok(()) }
    }

    async fn get(&self, key: &str, from: u64, len: u64) -> std::result::Result<Bytes, BucketError> {
        let objects = self.objects.lock().unwrap();
        let object = objects.get(key).ok_or_else(|| BucketError::NotFound(key.to_owned()))?;
        let from = (from as usize).min(object.len());
        Ok(object.slice(from..(from + len as usize).min(object.len())))
    }

    async fn delete(&self, key: &str) -> std::result::Result<(), BucketError> {
        self.objects.lock().unwrap().remove(key);
        Ok(())
    }

    async fn list(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> std::result::Result<Vec<(String, u64)>, BucketError> {
        let objects = self.objects.lock().unwrap();
        let keys = objects.keys().filter(|k| k.starts_with(prefix) && k.as_str() > after);
        Ok(keys.take(limit).map(|k| (k.clone(), 0)).collect())
    }
}

/// Hands files over; with a key of the tests.
pub(crate) fn courier(store: Arc<dyn Store>, outbound: Arc<fetch::Outbound>) -> Arc<trawl::deliver::Courier> {
    use trawl::deliver::{Courier, CourierParts, CourierSettings};
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let vault = trawl::vault::Vault::open(key, &[], true, std::path::Path::new("")).unwrap();
    let connector = fetch::BucketConnector::guarded(&fetch::OutboundSettings::default()).unwrap();
    let parts = CourierParts { vault: Arc::new(vault), outbound, connector, store, mailer: None };
    let bound = std::time::Duration::from_secs(5);
    Arc::new(Courier::new(parts, CourierSettings { timeout: bound, still: bound }))
}
