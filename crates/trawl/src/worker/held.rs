//! The leases this node holds: renewed together, and told when to stop.

use super::permit::{Permit, Uptime};
use super::{Pace, Worker};
use crate::shards::Shards;
use model::{JobId, SnapshotId, SnapshotState, host_of_lane};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Change, Held, Lease};
use tokio::sync::{Notify, watch};

/// What a slice is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Go on.
    GoOn,
    /// Its run is being stopped: settle what is done, the rest is aborted.
    Stop(SnapshotState),
    /// This node stops: settle what is done, hand the rest back.
    HandBack,
    /// Another has it: drop everything.
    Lost,
}

/// The leases this node holds.
pub(super) struct Leases {
    held: Arc<Mutex<Table>>,
    lease_ms: i64,
    /// A lease is over, and somebody wants to know whether it is lost.
    wanted: Arc<Notify>,
}

struct Table {
    jobs: HashMap<JobId, Entry>,
    /// Leases by lane.
    lanes: HashMap<String, u32>,
    handing_back: bool,
    shards: Arc<Shards>,
    pace: Option<Arc<dyn Pace>>,
}

impl Table {
    /// Counts a lease of a lane, or one less; how many it has now.
    fn count(&mut self, lane: &str, one: bool) -> u32 {
        let n = self.lanes.get(lane).copied().unwrap_or(0);
        let n = if one { n + 1 } else { n.saturating_sub(1) };
        match n {
            0 => drop(self.lanes.remove(lane)),
            n => drop(self.lanes.insert(lane.to_owned(), n)),
        }
        n
    }

    /// Tells the pacer how much of a host this node has now.
    fn tell_share(&self, lane: &str) {
        let host = host_of_lane(lane);
        let (Some(of), Some(pace)) = (self.shards.of(host), &self.pace) else { return };
        let is_held = |n: &u32| self.lanes.contains_key(&format!("{host}#{n}"));
        // Cast: at most `of`.
        pace.share(host, (0..of).filter(is_held).count() as u32, of);
    }
}

struct Entry {
    epoch: u64,
    snapshot: SnapshotId,
    signal: watch::Sender<Signal>,
    permit: Arc<Permit>,
    lane: String,
}

/// Takes its lease off the list when dropped.
pub(super) struct Hold {
    held: Arc<Mutex<Table>>,
    job: JobId,
    pub(super) signal: watch::Receiver<Signal>,
    permit: Arc<Permit>,
}

impl Hold {
    /// What the work under this lease goes by.
    pub(super) fn permit(&self) -> Arc<Permit> {
        self.permit.clone()
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    // A panic while the table is locked leaves it whole: every change is one call.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leases {
    /// None yet. Every host with several lanes is paced by its smallest share until some are held.
    pub(super) fn new(lease_ms: i64, shards: Arc<Shards>, pace: Option<Arc<dyn Pace>>) -> Self {
        if let Some(pace) = &pace {
            shards.all().for_each(|(host, of)| pace.share(host, 0, of));
        }
        let (jobs, lanes) = (HashMap::new(), HashMap::new());
        let table = Table { jobs, lanes, handing_back: false, shards, pace };
        Self { held: Arc::new(Mutex::new(table)), lease_ms, wanted: Arc::default() }
    }

    /// A lease that was asked for then; and whether it is the first of its lane here.
    pub(super) fn hold(&self, lease: &Lease, asked: Uptime) -> (Hold, bool) {
        self.enter(lease, Permit::new(asked, self.lease_ms, self.wanted.clone()))
    }

    /// The lease on what `hold` carries on: it lasts as long as the one before.
    pub(super) fn carry(&self, hold: &Hold, lease: &Lease) -> Hold {
        self.enter(lease, hold.permit.clone()).0
    }

    fn enter(&self, lease: &Lease, permit: Arc<Permit>) -> (Hold, bool) {
        let mut table = lock(&self.held);
        let first = if table.handing_back { Signal::HandBack } else { Signal::GoOn };
        let (sender, signal) = watch::channel(first);
        let lane = lease.job.inputs.first().map(|input| input.host.clone()).unwrap_or_default();
        let is_first = table.count(&lane, true) == 1;
        if is_first {
            table.tell_share(&lane);
        }
        let snapshot = lease.job.snapshot.clone();
        let entry = Entry { epoch: lease.epoch, snapshot, signal: sender, permit: permit.clone(), lane };
        table.jobs.insert(lease.job.id, entry);
        (Hold { held: self.held.clone(), job: lease.job.id, signal, permit }, is_first)
    }

    /// Lanes of hosts with several that are for other workers, of which there are so many with this one: beyond its fair
    /// share a node takes none, and goes on with none that it has, so that they become free.
    pub(super) fn left_to_others(&self, workers: usize) -> Vec<String> {
        let table = lock(&self.held);
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        let mut left = Vec::new();
        for (host, of) in table.shards.all().filter(|_| workers > 1) {
            let fair = of.div_ceil(workers) as usize;
            let lanes = (0..of).map(|n| format!("{host}#{n}"));
            let (held, free): (Vec<_>, Vec<_>) = lanes.partition(|lane| table.lanes.contains_key(lane));
            if held.len() >= fair {
                left.extend(held.into_iter().skip(fair).chain(free));
            }
        }
        left
    }

    /// Jobs and lanes.
    pub(super) fn load(&self) -> (u64, u64) {
        let table = lock(&self.held);
        // Casts: a usize fits u64.
        (table.jobs.len() as u64, table.lanes.len() as u64)
    }

    /// Whether this node has one lease on a lane.
    pub(super) fn is_last_of(&self, lane: &str) -> bool {
        lock(&self.held).lanes.get(lane).is_none_or(|n| *n == 1)
    }

    /// This node stops.
    pub(super) fn stop_all(&self) {
        let mut table = lock(&self.held);
        table.handing_back = true;
        for entry in table.jobs.values() {
            // Nobody listening means that the slice has just ended.
            let _ = entry.signal.send(Signal::HandBack);
        }
    }

    fn list(&self) -> Vec<(JobId, u64)> {
        lock(&self.held).jobs.iter().map(|(job, entry)| (*job, entry.epoch)).collect()
    }

    fn holds(&self, snapshot: &SnapshotId) -> bool {
        lock(&self.held).jobs.values().any(|entry| entry.snapshot == *snapshot)
    }

    fn tell(&self, job: JobId, epoch: u64, held: Held, asked: Uptime) {
        let signal = match held {
            Held::Yes => {
                if let Some(entry) = lock(&self.held).jobs.get(&job).filter(|e| e.epoch == epoch) {
                    entry.permit.extend(asked, self.lease_ms);
                }
                return;
            }
            Held::Stop(state) => Signal::Stop(state),
            Held::Lost => Signal::Lost,
        };
        if let Some(entry) = lock(&self.held).jobs.get(&job).filter(|e| e.epoch == epoch) {
            let _ = entry.signal.send(signal);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut table = lock(&self.held);
        if let Some(entry) = table.jobs.remove(&self.job)
            && table.count(&entry.lane, false) == 0
        {
            table.tell_share(&entry.lane);
        }
    }
}

impl Worker {
    /// Renews every held lease three times within its length, and at once when a run that is worked on is stopped.
    pub(super) async fn keep_leases(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let every = Duration::from_millis(u64::try_from(self.settings.lease_ms / 3).unwrap_or(10_000));
        let mut changes = self.store.subscribe();
        while !*stop.borrow() {
            let concerns_us =
                |change: &Change| matches!(change, Change::Stopping(id) if self.leases.holds(id));
            tokio::select! {
                () = super::news(&mut changes, concerns_us) => {}
                () = tokio::time::sleep(every) => {}
                () = self.leases.wanted.notified() => {}
                _ = stop.changed() => {}
            }
            self.renew_held().await;
        }
    }

    async fn renew_held(&self) {
        let held = self.leases.list();
        if held.is_empty() {
            return;
        }
        let asked = Uptime::now();
        let until = self.clock.now().plus_ms(self.settings.lease_ms);
        match self.store.renew(&held, until).await {
            Ok(answers) => {
                for ((job, epoch), answer) in held.into_iter().zip(answers) {
                    self.leases.tell(job, epoch, answer, asked);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "could not renew leases");
                // Whoever stands still for want of a lease asks again at once.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}
