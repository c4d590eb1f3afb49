//! The leases this node holds: renewed together, and told when to stop.

use super::Worker;
use model::{JobId, SnapshotId, SnapshotState};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Change, Held, Lease};
use tokio::sync::watch;

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
#[derive(Default)]
pub(super) struct Leases {
    held: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    jobs: HashMap<JobId, Entry>,
    handing_back: bool,
}

struct Entry {
    epoch: u64,
    snapshot: SnapshotId,
    signal: watch::Sender<Signal>,
}

/// Takes its lease off the list when dropped.
pub(super) struct Hold {
    held: Arc<Mutex<Table>>,
    job: JobId,
    pub(super) signal: watch::Receiver<Signal>,
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    // A panic while the table is locked leaves it whole: every change is one call.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leases {
    pub(super) fn hold(&self, lease: &Lease) -> Hold {
        let mut table = lock(&self.held);
        let first = if table.handing_back { Signal::HandBack } else { Signal::GoOn };
        let (sender, signal) = watch::channel(first);
        let entry = Entry { epoch: lease.epoch, snapshot: lease.job.snapshot.clone(), signal: sender };
        table.jobs.insert(lease.job.id, entry);
        Hold { held: self.held.clone(), job: lease.job.id, signal }
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

    fn tell(&self, job: JobId, epoch: u64, held: Held) {
        let signal = match held {
            Held::Yes => return,
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
        lock(&self.held).jobs.remove(&self.job);
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
        let until = self.clock.now().plus_ms(self.settings.lease_ms);
        match self.store.renew(&held, until).await {
            Ok(answers) => {
                for ((job, epoch), answer) in held.into_iter().zip(answers) {
                    self.leases.tell(job, epoch, answer);
                }
            }
            Err(error) => tracing::warn!(%error, "could not renew leases"),
        }
    }
}
