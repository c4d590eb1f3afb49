//! The run, its states, and the one match that moves them.

use crate::quality::{Grade, Quality};
use crate::{FailureCode, SnapshotId, Timestamp, Trigger};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotState {
    /// Its inputs are being made durable; no worker sees it.
    Starting,
    /// Workers collect.
    Running,
    /// Cancelled; leased jobs are being wound up. Callers already see `canceled`.
    Cancelling,
    /// The deadline passed; leased jobs are being wound up. Callers still see `running`.
    Expiring,
    /// Every input is settled and every row can be downloaded.
    Ready,
    /// We (or the discovery) came to nothing; `message` says why.
    Failed,
    /// Stopped by the caller; what was collected is kept.
    Canceled,
    /// Every input is settled, but the quality gate holds the rows back until an operator releases them.
    Quarantined,
    /// Retention has passed; the rows are gone.
    Expired,
}

/// What happens to a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotEvent {
    /// All inputs are durable.
    Accepted,
    /// The caller cancels.
    Cancel,
    /// The deadline passed.
    DeadlinePassed,
    /// No input is waiting or leased any more.
    Drained {
        /// A discovery that found nothing.
        found_nothing: bool,
        /// The quality gate failed the rows, and the caller asked that such are held back.
        held_back: bool,
    },
    /// An operator lets the rows go.
    Release,
    /// We failed.
    Broke,
    /// Retention has passed.
    RetentionPassed,
}

impl SnapshotState {
    /// The state after an event; `None` where the event has no meaning (the caller answers "not running").
    #[must_use]
    pub fn after(self, event: SnapshotEvent) -> Option<Self> {
        use SnapshotEvent as E;
        use SnapshotState::*;
        match (self, event) {
            (Starting, E::Accepted) => Some(Running),
            (Running | Expiring, E::Cancel) => Some(Cancelling),
            (Running, E::DeadlinePassed) => Some(Expiring),
            (Running, E::Drained { found_nothing: true, .. }) => Some(Failed),
            (Running | Expiring, E::Drained { held_back: true, .. }) => Some(Quarantined),
            (Running | Expiring, E::Drained { held_back: false, .. }) => Some(Ready),
            (Quarantined, E::Release) => Some(Ready),
            (Cancelling, E::Drained { .. }) => Some(Canceled),
            (Starting | Running | Expiring | Cancelling, E::Broke) => Some(Failed),
            (Ready | Failed | Canceled | Quarantined, E::RetentionPassed) => Some(Expired),
            (
                Starting | Running | Cancelling | Expiring | Ready | Failed | Canceled | Quarantined
                | Expired,
                E::Accepted
                | E::Cancel
                | E::DeadlinePassed
                | E::Drained { .. }
                | E::Broke
                | E::Release
                | E::RetentionPassed,
            ) => None,
        }
    }

    /// Nothing is collected any more: no event but release and retention moves it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Ready | Self::Failed | Self::Canceled | Self::Quarantined | Self::Expired)
    }

    /// Its waiting jobs may be claimed.
    pub fn is_claimable(self) -> bool {
        self == Self::Running
    }

    /// Leased jobs should settle what they have and stop.
    pub fn is_stopping(self) -> bool {
        matches!(self, Self::Cancelling | Self::Expiring)
    }

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Expiring => "expiring",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Quarantined => "quarantined",
            Self::Expired => "expired",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Starting,
            Self::Running,
            Self::Cancelling,
            Self::Expiring,
            Self::Ready,
            Self::Failed,
            Self::Canceled,
            Self::Quarantined,
            Self::Expired,
        ]
        .into_iter()
        .find(|s| s.as_str() == word)
    }
}

/// The message of a discovery that found nothing (api.md 4.3).
pub const NOTHING_FOUND: &str = "No data found in discovery";

/// Numbers that add up at every moment: `inputs = settled + waiting + leased`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Inputs accepted so far: the caller's rows, listing pages followed and inputs found.
    pub inputs: u64,
    /// Of those, ended: in records, an error row, other inputs, or nothing more to do.
    pub settled: u64,
    /// Of those, in waiting jobs.
    pub waiting: u64,
    /// Of those, in leased jobs.
    pub leased: u64,
    /// The caller's rows.
    pub given: u64,
    /// Inputs found by discovery.
    pub found: u64,
    /// Records registered.
    pub records: u64,
    /// Error rows registered.
    pub errors: u64,
    /// Records read but not given, because the run gives only what changed.
    #[serde(default)]
    pub unchanged: u64,
}

impl Counts {
    /// The conservation law.
    pub fn adds_up(&self) -> bool {
        self.inputs == self.settled + self.waiting + self.leased
    }
}

/// One run of one scraper over some inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Where it stands.
    pub state: SnapshotState,
    /// What was asked.
    pub trigger: Trigger,
    /// Why it failed.
    pub message: Option<String>,
    /// The numbers.
    pub counts: Counts,
    /// Errors by code.
    pub error_codes: BTreeMap<FailureCode, u64>,
    /// Keys of records beyond the output schema, in the order first seen: further CSV columns.
    pub extra_columns: Vec<String>,
    /// Bytes of its rows as lines.
    pub plain_bytes: u64,
    /// How it compares with the runs before it; known once it has ended with rows to give.
    pub quality: Option<Quality>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Snapshot {
    /// The verdict of the quality gate, if there is one.
    pub fn grade(&self) -> Option<Grade> {
        self.quality.as_ref().map(|quality| quality.grade)
    }

    /// Rows that a download shows.
    pub fn visible_rows(&self) -> u64 {
        self.counts.records + if self.trigger.include_errors { self.counts.errors } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SnapshotEvent as E;
    use SnapshotState as S;

    #[test]
    fn terminal_states_only_expire() {
        for state in [S::Ready, S::Failed, S::Canceled] {
            for event in [
                E::Accepted,
                E::Cancel,
                E::DeadlinePassed,
                E::Drained { found_nothing: false, held_back: false },
                E::Broke,
            ] {
                assert_eq!(state.after(event), None, "{state:?} {event:?}");
            }
            assert_eq!(state.after(E::RetentionPassed), Some(S::Expired));
        }
    }

    #[test]
    fn what_is_held_back_is_released_once() {
        let held = S::Running.after(E::Drained { found_nothing: false, held_back: true });
        assert_eq!(held, Some(S::Quarantined));
        let released = held.and_then(|s| s.after(E::Release));
        assert_eq!(released, Some(S::Ready));
        assert_eq!(released.and_then(|s| s.after(E::Release)), None);
    }

    #[test]
    fn words_round_trip() {
        for state in [
            S::Starting,
            S::Running,
            S::Cancelling,
            S::Expiring,
            S::Ready,
            S::Failed,
            S::Canceled,
            S::Quarantined,
            S::Expired,
        ] {
            assert_eq!(S::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn a_cancelled_run_never_becomes_ready() {
        let state = S::Running
            .after(E::Cancel)
            .and_then(|s| s.after(E::Drained { found_nothing: false, held_back: true }));
        assert_eq!(state, Some(S::Canceled));
    }
}
