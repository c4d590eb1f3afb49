//! Where a slice stands while it is worked on: what waits, what runs, what is done, and what its limits leave.
//!
//! Owns: the order of inputs and the accounting of limits. Must not know: how an input is fetched, or where rows go.

use super::keep::Kept;
use model::{Fate, Input, Job, JobId, Record, keep_within};
use std::collections::{BTreeMap, VecDeque};
use store::{CARRIED_EPOCH, Lease};
use tokio::task::{JoinError, JoinSet};

/// Bytes of records after which a slice takes no further input, so that big pages do not add up in memory.
const SLICE_RECORD_BYTES: usize = 4 << 20;
/// Bytes of kept pages after which a slice takes no further input, for the same reason.
const SLICE_KEPT_BYTES: usize = 16 << 20;
/// Keys of records that are told to the store as columns; a record with more is data gone wrong.
pub(super) const COLUMNS_MAX: usize = 2_000;

/// What one input came to, with the columns of its records in the order first seen.
pub(super) struct Collected {
    pub(super) fate: Fate,
    pub(super) columns: Vec<String>,
    /// Its page, if pages are kept.
    pub(super) kept: Option<Kept>,
    /// Records that are not given, because an earlier run gave them just so.
    pub(super) withheld: Vec<String>,
}

impl From<Fate> for Collected {
    fn from(fate: Fate) -> Self {
        Self { fate, columns: Vec::new(), kept: None, withheld: Vec::new() }
    }
}

/// What a round of work came to.
pub(super) struct Taken {
    pub(super) fates: Vec<(Input, Fate)>,
    /// What is withheld of each.
    pub(super) withheld: Vec<Vec<String>>,
    /// Keys of records in the order first seen.
    pub(super) columns: Vec<String>,
}

/// Why a round of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing more is done: what has no fate stays untouched.
    Whole,
    /// It is time to register what is done; what runs goes on running.
    InFlight,
}

/// A slice in work.
pub(super) struct Work {
    pub(super) lease: Lease,
    /// Whether further inputs may be begun.
    pub(super) open: bool,
    pub(super) fates: Vec<Option<Fate>>,
    /// What is withheld of each.
    withheld: Vec<Vec<String>>,
    /// The inputs in work. Aborted when dropped.
    pub(super) running: JoinSet<(usize, Collected)>,
    /// Where the input that was begun as `n`th of the first lease stands in this one.
    place: Vec<Option<usize>>,
    waiting: VecDeque<usize>,
    columns: Vec<String>,
    record_bytes: usize,
    kept: Vec<Option<Kept>>,
    kept_bytes: usize,
    budget: Budget,
}

impl Work {
    pub(super) fn new(lease: Lease) -> Self {
        let n = lease.job.inputs.len();
        Self {
            budget: Budget::new(&lease),
            lease,
            open: true,
            fates: vec![None; n],
            withheld: vec![Vec::new(); n],
            running: JoinSet::new(),
            place: (0..n).map(Some).collect(),
            waiting: (0..n).collect(),
            columns: Vec::new(),
            record_bytes: 0,
            kept: none_of(n),
            kept_bytes: 0,
        }
    }

    /// The next input to begin, and its number, if the limits let one begin now.
    pub(super) fn begin(&mut self) -> Option<(usize, Input)> {
        loop {
            let at = self.waiting.pop_front()?;
            let input = &self.lease.job.inputs[at];
            match self.budget.begin(input.root) {
                // Inputs are begun under the first lease only, where place and number are the same.
                Turn::Go => return Some((at, input.clone())),
                Turn::Met => self.fates[at] = Some(Fate::Skipped),
                Turn::Wait => {
                    self.waiting.push_front(at);
                    return None;
                }
            }
        }
    }

    /// One input is done.
    pub(super) fn end(&mut self, done: Result<(usize, Collected), JoinError>) {
        // A panic leaves its input without a fate: it is settled when nothing else runs.
        let Ok((number, Collected { mut fate, columns, kept, withheld })) = done else { return };
        let Some(at) = self.place.get(number).copied().flatten() else { return };
        let root = self.lease.job.inputs[at].root;
        match &mut fate {
            Fate::Read { records, .. } => {
                self.budget.end(root, records);
                self.record_bytes += records.iter().map(|r| r.json.len()).sum::<usize>();
            }
            _ => self.budget.end(root, &mut Vec::new()),
        }
        for column in columns {
            if self.columns.len() < COLUMNS_MAX && !self.columns.contains(&column) {
                self.columns.push(column);
            }
        }
        self.record_bytes += withheld.iter().map(String::len).sum::<usize>();
        self.kept_bytes += kept.as_ref().map_or(0, Kept::bytes);
        self.kept[at] = kept;
        self.open &= self.record_bytes < SLICE_RECORD_BYTES && self.kept_bytes < SLICE_KEPT_BYTES;
        self.fates[at] = Some(fate);
        self.withheld[at] = withheld;
    }

    /// The pages to keep, in the order of the lease's inputs; to be asked before [`Work::take`].
    pub(super) fn take_kept(&mut self) -> Vec<Option<Kept>> {
        self.kept_bytes = 0;
        std::mem::take(&mut self.kept)
    }

    /// What became of every input of the lease.
    pub(super) fn take(&mut self, ended: Ended) -> Taken {
        if ended == Ended::Whole {
            self.running.abort_all();
        }
        let mut left = vec![true; self.lease.job.inputs.len()];
        for at in self.waiting.drain(..) {
            left[at] = false;
        }
        let rest = |at: usize| match ended {
            Ended::InFlight if left[at] => Fate::Carried,
            _ => Fate::Untouched,
        };
        let fates = std::mem::take(&mut self.fates).into_iter().enumerate();
        let fates: Vec<Fate> = fates.map(|(at, fate)| fate.unwrap_or_else(|| rest(at))).collect();
        let mut carried = 0..;
        for place in &mut self.place {
            *place = place.filter(|at| fates[*at] == Fate::Carried).and_then(|_| carried.next());
        }
        let inputs = self.lease.job.inputs.iter().cloned();
        let withheld = std::mem::take(&mut self.withheld);
        Taken { fates: inputs.zip(fates).collect(), withheld, columns: std::mem::take(&mut self.columns) }
    }

    /// Goes on with the inputs carried, under the lease of their own job.
    pub(super) fn carry(&mut self, id: JobId, inputs: Vec<Input>) {
        self.fates = vec![None; inputs.len()];
        self.kept = none_of(inputs.len());
        self.withheld = vec![Vec::new(); inputs.len()];
        self.record_bytes = 0;
        self.lease.job = Job { id, inputs, snapshot: self.lease.job.snapshot.clone() };
        self.lease.epoch = CARRIED_EPOCH;
    }
}

fn none_of(n: usize) -> Vec<Option<Kept>> {
    std::iter::repeat_with(|| None).take(n).collect()
}

/// What the limits leave, so that nothing over them is fetched once they are known to be met.
struct Budget {
    total: Option<u64>,
    per_root: BTreeMap<u64, u64>,
    running: u64,
    running_per_root: BTreeMap<u64, u64>,
}

enum Turn {
    Go,
    /// The limit is met.
    Met,
    /// What is running may meet it.
    Wait,
}

impl Budget {
    fn new(lease: &Lease) -> Self {
        Self {
            total: lease.records_left,
            per_root: lease.root_left.clone(),
            running: 0,
            running_per_root: BTreeMap::new(),
        }
    }

    fn begin(&mut self, root: u64) -> Turn {
        let running_here = self.running_per_root.get(&root).copied().unwrap_or(0);
        let left = [(self.total, self.running), (self.per_root.get(&root).copied(), running_here)];
        if left.iter().any(|(left, _)| *left == Some(0)) {
            return Turn::Met;
        }
        if left.iter().any(|(left, running)| left.is_some_and(|left| *running >= left)) {
            return Turn::Wait;
        }
        self.running += 1;
        if self.per_root.contains_key(&root) {
            *self.running_per_root.entry(root).or_insert(0) += 1;
        }
        Turn::Go
    }

    /// Cuts the records to what the limits leave, and takes them off.
    fn end(&mut self, root: u64, records: &mut Vec<Record>) {
        keep_within(records, &self.per_root, self.total);
        let took = records.len() as u64;
        self.running = self.running.saturating_sub(1);
        if let Some(total) = &mut self.total {
            *total = total.saturating_sub(took);
        }
        if let Some(left) = self.per_root.get_mut(&root) {
            *left = left.saturating_sub(took);
            if let Some(n) = self.running_per_root.get_mut(&root) {
                *n = n.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger() -> model::Trigger {
        model::Trigger {
            dataset_id: model::DatasetId("gd_x".into()),
            scraper: "x".into(),
            scraper_version: "1".into(),
            door: model::Door::Collect,
            include_errors: true,
            custom_output_fields: None,
            custom_input_fields: Vec::new(),
            limit_per_input: None,
            limit_multiple_results: None,
            deadline: None,
            discover_only: false,
            force_deliver: false,
            promises: Vec::new(),
            notice: None,
            quarantine: false,
            express: false,
            wishes: model::Wishes::default(),
            origin: model::Origin::default(),
        }
    }

    fn job(inputs: u64) -> Lease {
        let input = |n: u64| Input::given(n, format!("{{\"url\":\"http://a/{n}\"}}"), "a".into());
        Lease {
            job: Job {
                id: JobId(1),
                snapshot: model::SnapshotId::new(model::Timestamp::from_ms(0), 0),
                inputs: (0..inputs).map(input).collect(),
            },
            epoch: 7,
            trigger: std::sync::Arc::new(trigger()),
            created_at: model::Timestamp::from_ms(0),
            records_left: None,
            root_left: BTreeMap::new(),
        }
    }

    fn read(n: u64) -> Collected {
        Fate::Read { records: vec![Record { root: n, json: n.to_string() }], led: Vec::new() }.into()
    }

    /// What is settled, carried and put back, by the inputs' roots.
    fn sorted(fates: Vec<(Input, Fate)>) -> [Vec<u64>; 3] {
        let mut sorted = [Vec::new(), Vec::new(), Vec::new()];
        for (input, fate) in fates {
            let which = match fate {
                Fate::Carried => 1,
                Fate::Untouched => 2,
                _ => 0,
            };
            sorted[which].push(input.root);
        }
        sorted
    }

    #[test]
    fn what_runs_is_carried_on_under_its_own_number() {
        let mut work = Work::new(job(6));
        let begun: Vec<usize> = (0..4).filter_map(|_| work.begin()).map(|(at, _)| at).collect();
        assert_eq!(begun, [0, 1, 2, 3]);
        work.end(Ok((1, read(1))));
        assert_eq!(sorted(work.take(Ended::InFlight).fates), [vec![1], vec![0, 2, 3], vec![4, 5]]);
        let inputs = [0, 2, 3].map(|n| Input::given(n, "{}".into(), "a".into())).to_vec();
        work.carry(JobId(2), inputs);
        assert_eq!((work.lease.job.id, work.lease.epoch), (JobId(2), CARRIED_EPOCH));
        assert!(work.begin().is_none(), "the rest went back");
        work.end(Ok((3, read(3))));
        assert_eq!(sorted(work.take(Ended::InFlight).fates), [vec![3], vec![0, 2], vec![]]);
        work.carry(JobId(3), [0, 2].map(|n| Input::given(n, "{}".into(), "a".into())).to_vec());
        work.end(Ok((2, read(2))));
        assert_eq!(sorted(work.take(Ended::Whole).fates), [vec![2], vec![], vec![0]]);
    }

    fn lease(total: Option<u64>, per_root: &[(u64, u64)]) -> Budget {
        Budget {
            total,
            per_root: per_root.iter().copied().collect(),
            running: 0,
            running_per_root: BTreeMap::new(),
        }
    }

    #[test]
    fn no_more_is_begun_than_the_limit_leaves() {
        let mut budget = lease(Some(2), &[]);
        assert!(matches!(budget.begin(0), Turn::Go));
        assert!(matches!(budget.begin(1), Turn::Go));
        assert!(matches!(budget.begin(2), Turn::Wait));
        budget.end(0, &mut Vec::new());
        assert!(matches!(budget.begin(2), Turn::Go), "the first gave nothing, so another may try");
        let mut one = vec![Record { root: 1, json: "{}".into() }];
        budget.end(1, &mut one);
        let mut two = vec![Record { root: 2, json: "{}".into() }; 3];
        budget.end(2, &mut two);
        assert_eq!((one.len(), two.len()), (1, 1));
        assert!(matches!(budget.begin(3), Turn::Met));
    }

    #[test]
    fn each_root_has_its_own() {
        let mut budget = lease(None, &[(5, 1)]);
        assert!(matches!(budget.begin(5), Turn::Go));
        assert!(matches!(budget.begin(5), Turn::Wait));
        assert!(matches!(budget.begin(6), Turn::Go));
    }
}
