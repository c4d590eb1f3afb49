//! What every store does alike once it has read the facts: what a finished job's inputs become, how a run ends, what
//! it is judged to be, who is told of a delivery's end. Pure, so that stores differ in SQL only.
//!
//! Must not know: SQL.

use crate::number::{damaged, len_u64};
use crate::told::Finish;
use crate::{Result, StoreError};
use model::quality::{Grade, Profile, Quality, before, judge};
use model::{
    Cargo, Counts, Delivery, DeliveryId, DeliveryState, Door, Input, SnapshotId, SnapshotState, Timestamp,
    Trigger,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Where a job stands; the numbers are in the schemas' partial indexes.
pub(crate) mod state {
    /// Behind another job of its root.
    pub(crate) const PARKED: i64 = 0;
    /// Claimable when due.
    pub(crate) const WAITING: i64 = 1;
    /// A worker has it.
    pub(crate) const LEASED: i64 = 2;
    /// Finished by its holder.
    pub(crate) const DONE: i64 = 3;
    /// Ended by the store.
    pub(crate) const SETTLED: i64 = 4;
}

/// What a job led to and hands back, each with its due time.
///
/// Order within a lane is by due time, then age. What was found, and what was not begun, is dated before the job it
/// comes from, so it goes before the rest of the lane: found pages are collected before further listing pages are
/// read, which keeps the queue short and meets limits early. Further listing pages go to the end, retries to their
/// time.
pub(crate) fn enqueued(
    counts: &mut Counts,
    told: &Finish,
    job_due: Timestamp,
    new: impl Iterator<Item = Input>,
) -> [Vec<(Timestamp, Input)>; 3] {
    let front = job_due.plus_ms(-1);
    let (mut found, mut listing) = (Vec::new(), Vec::new());
    // Lists that brought something: a record, or an input that is new to the run.
    let mut fresh: BTreeSet<(u64, u32)> = BTreeSet::new();
    for input in new {
        counts.inputs += 1;
        counts.waiting += 1;
        if input.found {
            counts.found += 1;
            fresh.insert((input.root, input.depth));
            found.push((front, input));
        } else {
            listing.push((told.now, input));
        }
    }
    for (_, input) in &mut listing {
        let has_rows = told.records.get(&input.root).is_some_and(|n| *n > 0);
        if has_rows || fresh.contains(&(input.root, input.depth)) {
            input.trail.barren = 0;
        }
    }
    counts.waiting += len_u64(&told.again);
    let again = told.again.iter().cloned();
    let again = again.map(|(at, input)| (if at <= told.now { front } else { at }, input)).collect();
    [found, again, listing]
}

/// A run that has nothing left to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    /// It was to discover, and nothing came.
    pub(crate) found_nothing: bool,
    /// It gives rows, so it is judged.
    pub(crate) gives: bool,
}

impl Drained {
    pub(crate) fn of(state: SnapshotState, counts: &Counts, trigger: &Trigger) -> Self {
        let given = counts.records + counts.unchanged;
        let came = if trigger.discover_only { given } else { counts.found };
        let found_nothing = matches!(trigger.door, Door::Discover(_)) && came == 0;
        let is_running = matches!(state, SnapshotState::Running | SnapshotState::Expiring);
        Self { found_nothing, gives: is_running && !found_nothing }
    }
}

/// The verdict on a run, and whether later runs may be compared with it.
pub(crate) fn judged(id: &SnapshotId, profile: &Profile, earlier: &[Profile]) -> (Quality, bool) {
    let quality = judge(profile, &before(profile, earlier));
    let reasons = &quality.reasons;
    match quality.grade {
        Grade::Ok => {}
        Grade::Warn => tracing::info!(snapshot = %id, ?reasons, "the quality gate warns"),
        Grade::Fail => tracing::warn!(snapshot = %id, ?reasons, "failed by the quality gate"),
    }
    let good = quality.grade != Grade::Fail && profile.is_an_example();
    (quality, good)
}

/// The promise to tell whoever asked to be told that a delivery has ended.
pub(crate) fn notice_of(ended: Delivery, now: Timestamp) -> Result<Option<Delivery>> {
    let Cargo::Rows(promise) = ended.cargo else { return Ok(None) };
    let Some(endpoint) = promise.notify else { return Ok(None) };
    // The id follows from what it is about, so nothing here rolls dice.
    let digest = Sha256::digest(ended.id.as_str().as_bytes());
    let (head, _) = digest.split_first_chunk::<8>().ok_or_else(|| damaged("a digest of no length"))?;
    Ok(Some(Delivery {
        id: DeliveryId::new(now, u64::from_le_bytes(*head)),
        snapshot: ended.snapshot,
        cargo: Cargo::DeliveryNotice { endpoint, about: ended.id },
        state: DeliveryState::Waiting,
        parts_done: 0,
        failures: 0,
        failing_since: None,
        last_error: None,
        files: Vec::new(),
        created_at: now,
    }))
}

/// The roots of a run's slices so far: the highest, and in which order they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roots {
    pub(crate) top: i64,
    /// One of the constants here.
    pub(crate) order: i64,
}

impl Roots {
    /// One root per slice, ascending from slice to slice: no root has two jobs.
    pub(crate) const ASCENDING: i64 = 0;
    /// One root per slice, in any order.
    pub(crate) const UNORDERED: i64 = 1;
    /// Slices of several roots.
    pub(crate) const MIXED: i64 = 2;

    /// One more slice, from its lowest to its highest root.
    pub(crate) fn take(&mut self, (low, high): (u64, u64), per_root: bool) -> Result<()> {
        let (low, high, has_many) = (crate::number::int(low), crate::number::int(high), low != high);
        if has_many {
            self.order = Self::MIXED;
            if per_root {
                return Err(StoreError::Invalid(
                    "a slice of several roots in a run with a limit per input".into(),
                ));
            }
        } else if low <= self.top {
            self.order = self.order.max(Self::UNORDERED);
        }
        self.top = self.top.max(high);
        Ok(())
    }
}
