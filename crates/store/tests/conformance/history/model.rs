//! What the store ought to hold, said as plainly as possible: one line per input, no jobs, no indexes.

use crate::world::at;
use model::{
    Counts, Door, FailureCode, Input, Outcome, SnapshotId, SnapshotState as S, Timestamp, Trigger, limit,
};
use std::collections::{BTreeMap, BTreeSet};

/// What an input is known by within its run.
pub(crate) type Key = String;

pub(crate) fn key(input: &Input) -> Key {
    format!("{} {}", input.kind, model::identity(input))
}

/// Where an input stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Waiting(Timestamp),
    Leased,
    Settled,
}

/// An input of a run.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) input: Input,
    pub(crate) at: At,
    /// Leases lost while it was in them.
    pub(crate) losses: u32,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: SnapshotId,
    pub(crate) trigger: Trigger,
    pub(crate) state: S,
    pub(crate) lines: BTreeMap<Key, Line>,
    pub(crate) counts: Counts,
    pub(crate) records_of: BTreeMap<u64, u64>,
    /// Inputs that must turn up as error rows of the store's own.
    pub(crate) aborting: BTreeSet<Key>,
    /// Segments that must turn up: records and errors by key.
    pub(crate) segments: BTreeMap<String, (u64, u64)>,
}

impl Run {
    pub(crate) fn new(id: SnapshotId, trigger: Trigger, given: Vec<Input>, now: Timestamp) -> Self {
        let n = given.len() as u64;
        let line = |input: Input| (key(&input), Line { input, at: At::Waiting(now), losses: 0 });
        let lines: BTreeMap<_, _> = given.into_iter().map(line).collect();
        assert_eq!(lines.len() as u64, n, "rows of a history are distinct");
        Self {
            id,
            trigger,
            state: S::Running,
            lines,
            counts: Counts { inputs: n, given: n, waiting: n, ..Counts::default() },
            records_of: BTreeMap::new(),
            aborting: BTreeSet::new(),
            segments: BTreeMap::new(),
        }
    }

    /// Records that the run may still take.
    pub(crate) fn total_left(&self) -> Option<u64> {
        self.trigger.limit_multiple_results.map(|most| most - self.counts.records)
    }

    /// Records that a root may still take.
    pub(crate) fn root_left(&self, root: u64) -> Option<u64> {
        let so_far = self.records_of.get(&root).copied().unwrap_or(0);
        self.trigger.limit_per_input.map(|most| most - so_far)
    }

    /// Its jobs may be claimed, as far as the run itself is concerned.
    pub(crate) fn is_open(&self) -> bool {
        let most = self.trigger.limit_multiple_results;
        self.state == S::Running && most.is_none_or(|most| self.counts.records + self.counts.leased < most)
    }

    /// Rows that deliveries carry.
    pub(crate) fn visible_rows(&self) -> u64 {
        self.counts.records + if self.trigger.include_errors { self.counts.errors } else { 0 }
    }

    fn line(&mut self, input: &Input) -> &mut Line {
        self.lines.get_mut(&key(input)).unwrap_or_else(|| panic!("nobody gave {input:?}"))
    }

    /// An input is leased: it must have been waiting, and due.
    pub(crate) fn lease(&mut self, input: &Input, now: Timestamp) {
        let line = self.line(input);
        match line.at {
            At::Waiting(due) => assert!(due <= now, "{input:?} is due at {due:?}, not at {now:?}"),
            other => panic!("{input:?} is {other:?} and is leased"),
        }
        line.at = At::Leased;
        self.counts.waiting -= 1;
        self.counts.leased += 1;
    }

    fn settle(&mut self, key: &Key) {
        let line = self.lines.get_mut(key).unwrap_or_else(|| panic!("nobody gave {key}"));
        match std::mem::replace(&mut line.at, At::Settled) {
            At::Waiting(_) => self.counts.waiting -= 1,
            At::Leased => self.counts.leased -= 1,
            At::Settled => panic!("{key} is settled twice"),
        }
        self.counts.settled += 1;
    }

    fn settle_waiting(&mut self, of_root: Option<u64>) -> Vec<Key> {
        let waits = |line: &Line| {
            matches!(line.at, At::Waiting(_)) && of_root.is_none_or(|root| line.input.root == root)
        };
        let keys: Vec<Key> = self.lines.iter().filter(|(_, l)| waits(l)).map(|(k, _)| k.clone()).collect();
        for key in &keys {
            self.settle(key);
        }
        keys
    }

    /// Inputs end as error rows that the store makes.
    fn abort(&mut self, keys: Vec<Key>, settled: bool) {
        for key in keys {
            if !settled {
                self.settle(&key);
            }
            self.counts.errors += 1;
            assert!(self.aborting.insert(key));
        }
    }

    /// What a finish changes. `inputs` are the lease's.
    pub(crate) fn finish(&mut self, inputs: &[Input], outcome: &Outcome, now: Timestamp) {
        for record in &outcome.records {
            self.counts.records += 1;
            *self.records_of.entry(record.root).or_default() += 1;
        }
        self.counts.errors += outcome.errors.len() as u64;
        let carried: BTreeSet<Key> = outcome.carried.iter().map(key).collect();
        let again: BTreeMap<Key, Timestamp> = outcome.again.iter().map(|(at, i)| (key(i), *at)).collect();
        for input in inputs {
            let key = key(input);
            if !carried.contains(&key) && !again.contains_key(&key) {
                self.settle(&key);
            }
        }
        let root = inputs[0].root;
        if self.state != S::Running {
            self.abort(again.into_keys().collect(), false);
        } else if self.total_left() == Some(0) || self.root_left(root) == Some(0) {
            again.keys().for_each(|key| self.settle(key));
            let all = self.total_left() == Some(0);
            self.settle_waiting((!all).then_some(root));
        } else {
            for (key, due) in again {
                if let Some(line) = self.lines.get_mut(&key) {
                    line.at = At::Waiting(due);
                    self.counts.leased -= 1;
                    self.counts.waiting += 1;
                }
            }
            for input in &outcome.led {
                let key = key(input);
                if !self.lines.contains_key(&key) {
                    self.counts.inputs += 1;
                    self.counts.waiting += 1;
                    self.counts.found += u64::from(input.found);
                    let line = Line { input: input.clone(), at: At::Waiting(now), losses: 0 };
                    self.lines.insert(key, line);
                }
            }
        }
        self.conclude();
    }

    /// A lease was lost.
    pub(crate) fn lose(&mut self, inputs: &[Input]) {
        if self.state == S::Running && self.total_left() == Some(0) {
            inputs.iter().for_each(|input| self.settle(&key(input)));
            self.conclude();
        } else if self.state == S::Running {
            for input in inputs {
                let line = self.line(input);
                assert_eq!(line.at, At::Leased);
                line.at = At::Waiting(at(0));
                line.losses += 1;
                self.counts.leased -= 1;
                self.counts.waiting += 1;
            }
        } else {
            self.abort(inputs.iter().map(key).collect(), false);
            self.conclude();
        }
    }

    /// The store says that it gave an input up: it must have been lost often enough.
    pub(crate) fn given_up(&mut self, input: &Input) {
        let line = self.line(input);
        assert!(line.losses >= limit::LOST_LEASES_SETTLE, "given up after {} losses: {input:?}", line.losses);
        self.settle(&key(input));
        self.counts.errors += 1;
        self.conclude();
    }

    /// Cancelled, or its deadline passed.
    pub(crate) fn stop(&mut self, state: S) {
        self.state = state;
        let keys = self.settle_waiting(None);
        self.abort(keys, true);
        self.conclude();
    }

    /// It fails.
    pub(crate) fn fail(&mut self) {
        self.settle_waiting(None);
        let leased: Vec<Key> =
            self.lines.iter().filter(|(_, l)| l.at == At::Leased).map(|(k, _)| k.clone()).collect();
        leased.iter().for_each(|key| self.settle(key));
        self.state = S::Failed;
    }

    fn conclude(&mut self) {
        if self.counts.waiting + self.counts.leased > 0 {
            return;
        }
        let found_nothing = matches!(self.trigger.door, Door::Discover(_)) && self.counts.found == 0;
        self.state = match self.state {
            S::Running if found_nothing => S::Failed,
            S::Running | S::Expiring => S::Ready,
            S::Cancelling => S::Canceled,
            ended => ended,
        };
    }

    /// A segment of the store's own turned up.
    pub(crate) fn aborted(&mut self, inputs: &[Input], code: FailureCode) {
        for input in inputs {
            match code {
                FailureCode::Internal => self.given_up(input),
                FailureCode::AbortedPage => {
                    assert!(self.aborting.remove(&key(input)), "nobody stopped {input:?}");
                }
                other => panic!("the store ended an input with {other:?}"),
            }
        }
    }
}
