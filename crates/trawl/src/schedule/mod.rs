//! Saved triggers that run by themselves: what they are, when they are due, and how they are kept.
//!
//! Owns: the nouns, the pure planning ([`plan`]), the shelf of documents ([`shelf`]). Must not know: HTTP, how a run
//! begins; `api::schedules` answers callers, `api::keeper` begins the runs.
//!
//! Invariant: each planned time begins at most one run, over crashes and over nodes. A planned time is claimed by a
//! put over the version that was read; the run itself is created under an idempotency key made of the schedule and the
//! planned time, so that doing it again gives the same run.

mod cron;
pub(crate) mod plan;
pub(crate) mod shelf;

pub(crate) use cron::{Calendar, CalendarFault};

use model::{SnapshotId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Runs that a schedule remembers.
pub(crate) const RUNS_KEPT: usize = 20;
/// Planned times that are made up for with `missed: all`; those before are left out.
pub(crate) const CATCH_UP: usize = 100;
/// A planned time is missed if nobody came for it within this: a server that is only slow misses nothing.
pub(crate) const GRACE_MS: i64 = 10_000;
/// A claim that was not finished within this is tried again, by whoever comes: too many runs went on, the store was away,
/// or its node is dead.
pub(crate) const CLAIM_MS: i64 = 5_000;
/// After this a run that cannot be begun is given up, well before its idempotency key is forgotten.
pub(crate) const GIVE_UP_MS: i64 = 3_600_000;

/// A saved trigger. Its inputs are kept apart, since planning has no use for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) id: String,
    /// For people.
    pub(crate) name: String,
    pub(crate) dataset_id: String,
    pub(crate) cron: String,
    /// IANA name.
    pub(crate) time_zone: String,
    /// Options of the trigger by their names.
    pub(crate) options: Map<String, Value>,
    /// Where the rows go, as in a trigger's body.
    pub(crate) deliver: Option<Value>,
    /// How many inputs there are.
    pub(crate) inputs: u64,
    pub(crate) missed: Missed,
    pub(crate) overlap: Overlap,
    pub(crate) enabled: bool,
    pub(crate) created_at: Timestamp,
    /// Name of the token.
    pub(crate) created_by: String,
    pub(crate) state: State,
}

/// What becomes of planned times while no server ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missed {
    /// Nothing.
    Skip,
    /// One run makes up for all of them.
    Once,
    /// Each is made up for, at most [`CATCH_UP`].
    All,
}

/// What becomes of a planned time while the run before it still goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Overlap {
    /// Both run.
    Allow,
    /// It is left out.
    Skip,
    /// It waits. One waits at most, and those planned meanwhile are left out (with `missed: all` they wait too).
    Wait,
}

impl Missed {
    pub(crate) const WORDS: &[(&str, Self)] =
        &[("skip", Self::Skip), ("once", Self::Once), ("all", Self::All)];
}

impl Overlap {
    pub(crate) const WORDS: &[(&str, Self)] =
        &[("allow", Self::Allow), ("skip", Self::Skip), ("wait", Self::Wait)];
}

/// How far a schedule has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Everything planned up to here is settled: begun, waiting, or left out.
    pub(crate) settled: Timestamp,
    /// A planned time that somebody is beginning a run for.
    pub(crate) claim: Option<Claim>,
    /// A planned time that waits for the end of the run before.
    pub(crate) waiting: Option<Timestamp>,
    /// The latest runs, newest first.
    pub(crate) runs: Vec<Run>,
    /// Planned times that were left out, and the last of them (or where the last stretch of them ended).
    pub(crate) skips: u64,
    pub(crate) skipped_at: Option<Timestamp>,
    /// Why the last run could not be begun; none once one could.
    pub(crate) last_error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) planned: Timestamp,
    pub(crate) since: Timestamp,
    /// Nobody else tries before.
    pub(crate) again_at: Timestamp,
}

/// A run that was begun, or could not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// None for one that was asked for.
    pub(crate) planned: Option<Timestamp>,
    pub(crate) at: Timestamp,
    pub(crate) snapshot: Option<SnapshotId>,
    pub(crate) error: Option<String>,
}

impl State {
    /// Of a schedule that counts from now on.
    pub(crate) fn from(now: Timestamp) -> Self {
        Self {
            settled: now,
            claim: None,
            waiting: None,
            runs: Vec::new(),
            skips: 0,
            skipped_at: None,
            last_error: None,
        }
    }

    /// The snapshot of the latest run.
    pub(crate) fn last_snapshot(&self) -> Option<&SnapshotId> {
        self.runs.iter().find_map(|run| run.snapshot.as_ref())
    }

    /// Remembers a run; a claim on its planned time is settled by it.
    pub(crate) fn ran(&mut self, run: Run) {
        if self.claim.is_some_and(|claim| Some(claim.planned) == run.planned) {
            self.claim = None;
        }
        self.last_error.clone_from(&run.error);
        self.runs.insert(0, run);
        self.runs.truncate(RUNS_KEPT);
    }
}

/// The idempotency key of a planned time.
pub(crate) fn key(id: &str, planned: Timestamp) -> String {
    format!("schedule:{id}:{planned}")
}
