//! Work out: claim, do, finish.
//!
//! Owns: the loops around `Store::claim`, the bookkeeping of held leases, the pool that reads pages.
//! Must not know: HTTP callers, SQL, how a page is fetched.
//!
//! Invariant: whatever a slice ends in, its lease is finished, handed back, or left to end by itself; a worker that
//! dies costs repeated work, never rows.

mod artifact;
mod collect;
mod deliver;
mod held;
mod identity;
mod keep;
mod login;
mod permit;
mod pool;
mod sign;
mod slots;
mod sweep;
mod trail;
mod way;
mod work;

pub(crate) use collect::aborted_row;
pub use deliver::DeliverSettings;
pub(crate) use permit::uptime;
pub use pool::Pool;
pub use way::WaySettings;

use crate::archive::Archive;
use crate::cache::{self, PageCache};
use crate::catalogue::Catalogue;
use crate::changes::{Baselines, Changes};
use crate::clock::Clock;
use crate::deliver::Courier;
use crate::rows::Rows;
use crate::shards::Shards;
use fetch::{Fetcher, Outbound};
use held::{Hold, Leases};
use model::{RetryPolicy, Timestamp, host_of_lane};
use permit::Uptime;
use slots::Slots;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::{Bucket, Change, Claim, Lease, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Looked at again even if nobody says that anything changed: the safety net beneath the wake-ups.
const POLL: Duration = Duration::from_secs(5);
/// Jobs asked for in one claim: enough to fill up quickly, few enough to stay fair between runs.
const CLAIM_JOBS: usize = 16;

/// What a worker may do at once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this node in leases.
    pub node: String,
    /// Other nodes may work on the same store: what is known of a host's pace changes hands with its lane.
    pub shared: bool,
    /// Hosts with several lanes.
    pub shards: Arc<Shards>,
    /// Slices at once.
    pub jobs: usize,
    /// Slices of synchronous calls at once, beside those.
    pub express_jobs: usize,
    /// Deliveries at once.
    pub deliveries: usize,
    /// Milliseconds of a lease.
    pub lease_ms: i64,
    /// Inputs of a slice that are fetched at once: no more than the host may see.
    pub slice_parallel: usize,
    /// How failed inputs are tried again.
    pub retry: RetryPolicy,
    /// How deliveries are sent.
    pub deliver: DeliverSettings,
    /// Milliseconds that a finished snapshot is kept.
    pub retention_ms: i64,
    /// Keep every page, whatever scraper and trigger say.
    pub archive_always: bool,
    /// Bytes of a page, unpacked: those read from archives too.
    pub page_bytes_max: u64,
    /// Pages kept to be asked about instead of fetched anew.
    pub cache: cache::Settings,
    /// Folder for files that are sorted in.
    pub scratch: PathBuf,
    /// Plain or by a browser, where scrapers leave it open.
    pub way: WaySettings,
}

/// Everything a worker works with.
pub struct Worker {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bucket: Arc<dyn Bucket>,
    pub(crate) fetcher: Arc<dyn Fetcher>,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) courier: Arc<Courier>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rows: Rows,
    pub(crate) archive: Archive,
    bodies: keep::Bodies,
    pub(crate) pool: Pool,
    pub(crate) settings: Settings,
    /// Pages kept from before.
    pub cache: Arc<PageCache>,
    baselines: Baselines,
    leases: Leases,
    logins: login::Logins,
    ways: way::Ways,
    pace: Option<Arc<dyn Pace>>,
    /// Workers on this store, as far as is known; told from outside.
    pub workers: Arc<AtomicUsize>,
}

/// Which claims a loop makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Ordinary,
    Express,
}

/// Parts that a [`Worker`] is made of.
pub struct Parts {
    /// The durable truth.
    pub store: Arc<dyn Store>,
    /// Bytes of rows.
    pub bucket: Arc<dyn Bucket>,
    /// The web.
    pub fetcher: Arc<dyn Fetcher>,
    /// Receivers of webhooks.
    pub outbound: Arc<Outbound>,
    /// Files to other places.
    pub courier: Arc<Courier>,
    /// The scrapers.
    pub catalogue: Arc<Catalogue>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// Threads that read pages.
    pub pool: Pool,
    /// Who paces requests to hosts; none where pages do not come from the web.
    pub pace: Option<Arc<dyn Pace>>,
}

/// What the pacer of requests is told of lanes.
pub trait Pace: Send + Sync + 'static {
    /// This node holds so many of the lanes of a host.
    fn share(&self, host: &str, held: u32, of: u32);
    /// This node takes a host over: another may have asked it just now.
    fn take_over(&self, host: &str);
    /// What another node has learnt of a host.
    fn learn(&self, host: &str, kept: &str);
    /// What is to be kept of a host for the next node; `None` if there are no news, and within them if it is forgotten.
    fn learnt(&self, host: &str) -> Option<Option<String>>;
}

impl Worker {
    /// A worker of these parts; [`Worker::run`] sets it going.
    pub fn new(parts: Parts, settings: Settings) -> Arc<Self> {
        let Parts { store, bucket, fetcher, outbound, courier, catalogue, clock, pool, pace } = parts;
        let leases = Leases::new(settings.lease_ms, settings.shards.clone(), pace.clone());
        let rows = Rows::new(store.clone(), bucket.clone());
        let logins = login::Logins::default();
        let archive = Archive::new(store.clone(), bucket.clone(), settings.page_bytes_max);
        let cache = Arc::new(PageCache::new(bucket.clone(), clock.clone(), settings.cache));
        let baselines = Baselines::new(Changes::new(store.clone(), bucket.clone(), settings.scratch.clone()));
        let ways = way::Ways::default();
        Arc::new(Self {
            store,
            bucket,
            fetcher,
            outbound,
            courier,
            catalogue,
            clock,
            rows,
            archive,
            bodies: keep::Bodies::default(),
            pool,
            settings,
            leases,
            logins,
            cache,
            baselines,
            ways,
            pace,
            workers: Arc::new(AtomicUsize::new(1)),
        })
    }

    /// Jobs and lanes held now.
    pub fn load(&self) -> (u64, u64) {
        self.leases.load()
    }

    /// Works until `stop` turns true, then hands everything back and returns.
    pub async fn run(self: &Arc<Self>, stop: watch::Receiver<bool>) {
        match self.store.reclaim(&self.settings.node, self.clock.now()).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "took back the slices of this node's former life"),
            Err(error) => tracing::warn!(%error, "could not take back old leases; they end by themselves"),
        }
        let mut parts = JoinSet::new();
        for lane in [Lane::Ordinary, Lane::Express] {
            parts.spawn(self.clone().collect_loop(lane, stop.clone()));
        }
        parts.spawn(self.clone().deliver_loop(stop.clone()));
        parts.spawn(self.clone().keep_leases(stop.clone()));
        parts.spawn(self.clone().tick_loop(stop.clone()));
        let (cache, stopped) = (self.cache.clone(), stop.clone());
        parts.spawn(async move { cache.look_after(stopped).await });
        parts.spawn(self.clone().sweep_loop(stop));
        while let Some(ended) = parts.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the worker broke");
            }
        }
    }

    /// One round: claims what is due and does it to the end. The loop around it is [`Worker::run`]; a simulation
    /// calls it by itself. Returns how many slices were done.
    pub async fn tick(self: &Arc<Self>) -> usize {
        let Ok((leases, _)) = self.claim(Lane::Ordinary, self.settings.jobs, Vec::new()).await else {
            return 0;
        };
        let n = leases.len();
        for (lease, hold) in leases {
            self.clone().collect(lease, hold, None).await;
        }
        n
    }

    /// One round of deliveries, as [`Worker::tick`]. Returns how many were attempted.
    pub async fn tick_deliveries(self: &Arc<Self>) -> usize {
        let ask = self.ask(Lane::Ordinary, self.settings.deliveries, Vec::new());
        let Ok((leases, _)) = self.store.claim_deliveries(ask).await else { return 0 };
        let n = leases.len();
        for lease in leases {
            self.clone().deliver(lease).await;
        }
        n
    }

    /// Leases due jobs, and takes their hosts over.
    async fn claim(
        &self,
        lane: Lane,
        jobs: usize,
        mut pass_over: Vec<String>,
    ) -> store::Result<(Vec<(Lease, Hold)>, Option<Timestamp>)> {
        pass_over.extend(self.leases.left_to_others(self.workers.load(Ordering::Relaxed)));
        let asked = Uptime::now();
        let claimed = self.store.claim(self.ask(lane, jobs, pass_over)).await?;
        let mut taken_over = Vec::new();
        let hold = |lease: Lease| {
            let (hold, is_first) = self.leases.hold(&lease, asked);
            if is_first && let Some(input) = lease.job.inputs.first() {
                taken_over.push(host_of_lane(&input.host).to_owned());
            }
            (lease, hold)
        };
        let leases = claimed.leases.into_iter().map(hold).collect();
        if self.settings.shared && !taken_over.is_empty() {
            self.take_over(&taken_over).await;
        }
        Ok((leases, claimed.next_due))
    }

    /// The pace of hosts that this node did not work for until now.
    async fn take_over(&self, hosts: &[String]) {
        let Some(pace) = &self.pace else { return };
        hosts.iter().for_each(|host| pace.take_over(host));
        match self.store.hosts_named(hosts).await {
            Ok(kept) => kept.iter().for_each(|(host, kept)| pace.learn(host, kept)),
            Err(error) => tracing::warn!(%error, "what other nodes learnt of hosts could not be loaded"),
        }
    }

    /// Keeps what was learnt of a lease's host, if this node is about to let its lane go.
    async fn let_go(&self, lease: &Lease) {
        let Some(lane) = lease.job.inputs.first().map(|input| input.host.as_str()) else { return };
        if !self.settings.shared || !self.leases.is_last_of(lane) {
            return;
        }
        let host = host_of_lane(lane);
        let Some(kept) = self.pace.as_ref().and_then(|pace| pace.learnt(host)) else { return };
        let (now, before) = (self.clock.now(), Timestamp::default());
        if let Err(error) = self.store.save_hosts(vec![(host.to_owned(), kept)], now, before).await {
            tracing::warn!(%error, host, "what was learnt of a host could not be saved");
        }
    }

    fn ask(&self, lane: Lane, jobs: usize, pass_over: Vec<String>) -> Claim {
        let now = self.clock.now();
        Claim {
            jobs,
            express_only: lane == Lane::Express,
            node: self.settings.node.clone(),
            now,
            lease_until: now.plus_ms(self.settings.lease_ms),
            pass_over,
        }
    }

    async fn collect_loop(self: Arc<Self>, lane: Lane, mut stop: watch::Receiver<bool>) {
        let most = if lane == Lane::Express { self.settings.express_jobs } else { self.settings.jobs };
        let slots = Slots::new(most, self.settings.slice_parallel);
        let mut changes = self.store.subscribe();
        let mut running = JoinSet::new();
        while !*stop.borrow() {
            while running.try_join_next().is_some() {}
            let mut next_due = None;
            let free = slots.free();
            if free > 0 {
                match self.claim(lane, free.min(CLAIM_JOBS), slots.crowded()).await {
                    Ok((leases, due)) => {
                        next_due = due;
                        let got = leases.len();
                        for (lease, hold) in leases {
                            let inputs = &lease.job.inputs;
                            let host = inputs.first().map_or("", |input| input.host.as_str());
                            let slot = slots.take(host, inputs.len());
                            let worker = self.clone();
                            running.spawn(async move {
                                worker.collect(lease, hold, Some(slot)).await;
                            });
                        }
                        if got > 0 {
                            continue;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "could not claim");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                () = news(&mut changes, |c| *c == Change::Work) => {}
                () = slots.changed() => {}
                () = tokio::time::sleep(self.until(next_due)) => {}
                _ = stop.changed() => {}
            }
        }
        self.leases.stop_all();
        while running.join_next().await.is_some() {}
    }

    async fn deliver_loop(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let slots = Slots::new(self.settings.deliveries, 1);
        let mut changes = self.store.subscribe();
        let mut running = JoinSet::new();
        while !*stop.borrow() {
            while running.try_join_next().is_some() {}
            let mut next_due = None;
            let free = slots.free();
            if free > 0 {
                match self.store.claim_deliveries(self.ask(Lane::Ordinary, free, Vec::new())).await {
                    Ok((leases, due)) => {
                        next_due = due;
                        let got = leases.len();
                        for lease in leases {
                            let slot = slots.take("", 1);
                            let worker = self.clone();
                            running.spawn(async move {
                                worker.deliver(lease).await;
                                drop(slot);
                            });
                        }
                        if got > 0 {
                            continue;
                        }
                    }
                    Err(error) => tracing::warn!(%error, "could not claim deliveries"),
                }
            }
            tokio::select! {
                () = news(&mut changes, |c| matches!(c, Change::Work | Change::Delivery(_))) => {}
                () = slots.changed() => {}
                () = tokio::time::sleep(self.until(next_due)) => {}
                _ = stop.changed() => {}
            }
        }
        // A delivery that is being sent is cut off: its lease ends, and the same part is sent again later under the
        // same id.
        running.abort_all();
        while running.join_next().await.is_some() {}
    }

    /// Ended leases, deadlines, abandoned runs: what time alone brings about.
    async fn tick_loop(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        /// A run that has been starting for this long was abandoned by its caller: 6 h for 1 GB on a slow line.
        const STARTING_MS: u64 = 6 * 3_600_000;
        let mut changes = self.store.subscribe();
        while !*stop.borrow() {
            let next = match self.store.tick(self.clock.now(), STARTING_MS).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "the clock's work failed");
                    None
                }
            };
            tokio::select! {
                // A new run may bring an earlier deadline.
                () = news(&mut changes, |c| *c == Change::Work) => {
                    // Where several nodes look, each need not look as often.
                    let pause = if self.settings.shared { 500 } else { 100 };
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                () = tokio::time::sleep(self.until(next)) => {}
                _ = stop.changed() => {}
            }
        }
    }

    fn until(&self, due: Option<Timestamp>) -> Duration {
        match due {
            Some(due) => Duration::from_millis(due.ms_since(self.clock.now()).max(1)).min(POLL),
            None => POLL,
        }
    }
}

/// Waits for a change that matters. A lagging subscriber takes it that one did.
async fn news(changes: &mut tokio::sync::broadcast::Receiver<Change>, matters: impl Fn(&Change) -> bool) {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        match changes.recv().await {
            Ok(change) if matters(&change) => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
