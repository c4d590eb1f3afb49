//! A slice of inputs, and `settle`: what happened becomes what changes.

use crate::quality::Profile;
use crate::{
    Failure, FailureCode, Input, JobId, Record, RetryPolicy, SnapshotId, Timestamp, Trouble, error_json,
    limit,
};
use std::collections::BTreeMap;

/// A leased slice of inputs of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id in the store.
    pub id: JobId,
    /// The run it belongs to.
    pub snapshot: SnapshotId,
    /// At most [`limit::SLICE_INPUTS`], all of one host, in order.
    pub inputs: Vec<Input>,
}

/// What became of one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was read: its records, and what it led to (found inputs and further listing pages). Both may be empty.
    Read {
        /// Records, final JSON.
        records: Vec<Record>,
        /// Inputs it led to; the store drops those already seen in this snapshot.
        led: Vec<Input>,
    },
    /// Trouble that may pass.
    Later {
        /// What kind.
        trouble: Trouble,
        /// The error row if it was the last attempt.
        failure: Failure,
        /// The site's `Retry-After`, milliseconds.
        asked_ms: Option<u64>,
    },
    /// It has no record and never will.
    Never(Failure),
    /// Not begun, or cut off without blame: back to the front of its lane.
    Untouched,
    /// Not collected because a limit is met: settled without a row.
    Skipped,
    /// Still being worked on: the holder keeps it, under a lease of its own.
    Carried,
}

/// Everything a finished job changes; written whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Records in order.
    pub records: Vec<Record>,
    /// Error rows: final JSON, with the code for the counts.
    pub errors: Vec<(FailureCode, String)>,
    /// Inputs that the job led to.
    pub led: Vec<Input>,
    /// Inputs to try again, and when.
    pub again: Vec<(Timestamp, Input)>,
    /// Inputs that the holder goes on with: they become a job of their own, leased to it.
    pub carried: Vec<Input>,
    /// Inputs of the job that ended here (`settled + again.len() + carried.len()` is the job's input count).
    pub settled: u64,
    /// Records that were read but are not given, because the run gives only what changed: as JSON, kept beside the
    /// rows for later comparisons.
    pub withheld: Vec<String>,
    /// What its records and inputs are like; to be made anew when records are cut.
    pub profile: Option<Box<Profile>>,
    /// Where the pages that it fetched are kept.
    pub archive: Option<Box<crate::ArchivePart>>,
}

impl Outcome {
    /// Error rows by code.
    pub fn error_codes(&self) -> BTreeMap<FailureCode, u64> {
        let mut codes = BTreeMap::new();
        for (code, _) in &self.errors {
            *codes.entry(*code).or_insert(0) += 1;
        }
        codes
    }
}

/// Turns what happened into what changes.
///
/// `stopping` is the error for everything that would be tried again, if the run is being cancelled or its deadline
/// passed. `jitter` in 0..1 is drawn once per job.
#[must_use]
pub fn settle(
    fates: Vec<(Input, Fate)>,
    policy: &RetryPolicy,
    now: Timestamp,
    jitter: f64,
    stopping: Option<&Failure>,
) -> Outcome {
    let mut outcome = Outcome::default();
    for (mut input, fate) in fates {
        let failed = match fate {
            Fate::Read { records, led } => {
                outcome.records.extend(records);
                outcome.led.extend(led);
                None
            }
            Fate::Skipped => None,
            Fate::Carried => {
                outcome.carried.push(input);
                continue;
            }
            Fate::Never(failure) => Some(failure),
            Fate::Untouched => match stopping {
                Some(stop) => Some(stop.clone()),
                None => {
                    outcome.again.push((now, input));
                    continue;
                }
            },
            Fate::Later { trouble, failure, asked_ms } => {
                // A proxy's fault says nothing about the site.
                let count = match trouble {
                    Trouble::Proxy => &mut input.detours,
                    _ => &mut input.failures,
                };
                *count = count.saturating_add(1);
                match (policy.patience(trouble).next(*count, asked_ms, now, jitter), stopping) {
                    (Some(_), Some(stop)) => Some(stop.clone()),
                    (Some(at), None) => {
                        outcome.again.push((at, input));
                        continue;
                    }
                    (None, _) => Some(failure),
                }
            }
        };
        if let Some(failure) = failed {
            outcome.errors.push((failure.code, error_json(&input.row, &failure, failure.at.unwrap_or(now))));
        }
        outcome.settled += 1;
    }
    outcome
}

/// The first `allowed` records of each root, and at most `total` in all: how a limit is kept to the row.
pub fn keep_within(records: &mut Vec<Record>, allowed_per_root: &BTreeMap<u64, u64>, total: Option<u64>) {
    let mut fits = fits_within(records.iter().map(|r| r.root), allowed_per_root, total).into_iter();
    records.retain(|_| fits.next().unwrap_or(false));
}

/// Which of a row of records, given by their roots, [`keep_within`] keeps.
pub fn fits_within(
    roots: impl Iterator<Item = u64>,
    allowed_per_root: &BTreeMap<u64, u64>,
    total: Option<u64>,
) -> Vec<bool> {
    let mut used: BTreeMap<u64, u64> = BTreeMap::new();
    let mut kept = 0_u64;
    roots
        .map(|root| {
            let n = used.entry(root).or_insert(0);
            let fits = allowed_per_root.get(&root).is_none_or(|most| *n < *most)
                && total.is_none_or(|most| kept < most);
            if fits {
                *n += 1;
                kept += 1;
            }
            fits
        })
        .collect()
}

/// Cuts inputs into slices for jobs: runs of one host and one due time, at most [`limit::SLICE_INPUTS`] each, order
/// kept. With `per_root`, a slice also holds inputs of one root only, so that a limit per input can be kept exactly.
pub fn slices(inputs: Vec<(Timestamp, Input)>, per_root: bool) -> Vec<(Timestamp, Vec<Input>)> {
    let mut open: BTreeMap<(Timestamp, String, u64), usize> = BTreeMap::new();
    let mut out: Vec<(Timestamp, Vec<Input>)> = Vec::new();
    for (due, input) in inputs {
        let key = (due, input.host.clone(), if per_root { input.root } else { 0 });
        match open.get(&key) {
            Some(&at) if out[at].1.len() < limit::SLICE_INPUTS => out[at].1.push(input),
            _ => {
                open.insert(key, out.len());
                out.push((due, vec![input]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input(root: u64, host: &str) -> Input {
        Input::given(root, format!(r#"{{"url":"http://{host}/{root}"}}"#), host.into())
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            (0_usize..3).prop_map(|n| Fate::Read {
                records: vec![Record { root: 0, json: "{}".into() }; n],
                led: Vec::new()
            }),
            Just(Fate::Later {
                trouble: Trouble::Timeout,
                failure: FailureCode::Timeout.into(),
                asked_ms: None
            }),
            Just(Fate::Never(FailureCode::DeadPage.into())),
            Just(Fate::Untouched),
            Just(Fate::Skipped),
            Just(Fate::Carried),
        ]
    }

    proptest! {
        #[test]
        fn every_input_ends_or_comes_back(fates in prop::collection::vec(fate(), 0..64), stop: bool) {
            let n = fates.len() as u64;
            let stopping = stop.then(|| Failure::from(FailureCode::AbortedPage));
            let fates = fates.into_iter().map(|f| (input(0, "a"), f)).collect();
            let out = settle(fates, &RetryPolicy::default(), Timestamp::from_ms(0), 0.5, stopping.as_ref());
            prop_assert_eq!(out.settled + (out.again.len() + out.carried.len()) as u64, n);
            prop_assert!(!stop || out.again.is_empty());
        }

        #[test]
        fn slices_keep_everything(hosts in prop::collection::vec(0_u8..4, 0..300)) {
            let n = hosts.len();
            let inputs = hosts.into_iter().enumerate()
                .map(|(i, h)| (Timestamp::default(), input(i as u64, &format!("h{h}")))).collect();
            let out = slices(inputs, false);
            prop_assert_eq!(out.iter().map(|(_, s)| s.len()).sum::<usize>(), n);
            for (_, slice) in &out {
                prop_assert!(slice.len() <= limit::SLICE_INPUTS);
                prop_assert!(slice.iter().all(|i| i.host == slice[0].host));
                prop_assert!(slice.windows(2).all(|w| w[0].root < w[1].root));
            }
        }

        #[test]
        fn limits_hold_to_the_row(roots in prop::collection::vec(0_u64..5, 0..100), per in 0_u64..6, total in 0_u64..20) {
            let mut records: Vec<_> = roots.iter().map(|r| Record { root: *r, json: String::new() }).collect();
            let allowed = (0..5).map(|r| (r, per)).collect();
            keep_within(&mut records, &allowed, Some(total));
            let want = (0..5).map(|r| (roots.iter().filter(|x| **x == r).count() as u64).min(per)).sum::<u64>();
            prop_assert!(records.len() as u64 <= total);
            prop_assert_eq!(records.len() as u64, want.min(total));
        }
    }

    #[test]
    fn a_proxys_fault_costs_no_attempt_but_ends_too() {
        let mut tired = input(3, "a");
        tired.failures = 1;
        let fate = || Fate::Later {
            trouble: Trouble::Proxy,
            failure: FailureCode::ProxyError.into(),
            asked_ms: None,
        };
        let policy = RetryPolicy::default();
        let out = settle(vec![(tired.clone(), fate())], &policy, Timestamp::from_ms(0), 0.0, None);
        let again = &out.again[0].1;
        assert_eq!((again.failures, again.detours), (1, 1));
        tired.detours = policy.proxy.attempts;
        let out = settle(vec![(tired, fate())], &policy, Timestamp::from_ms(0), 0.0, None);
        assert_eq!(out.errors.len(), 1);
    }

    #[test]
    fn the_last_attempt_is_an_error_row() {
        let mut tired = input(3, "a");
        tired.failures = 99;
        let fate =
            Fate::Later { trouble: Trouble::Reset, failure: FailureCode::CrawlError.into(), asked_ms: None };
        let out = settle(vec![(tired, fate)], &RetryPolicy::default(), Timestamp::from_ms(0), 0.0, None);
        assert_eq!(out.errors.len(), 1);
        assert_eq!(out.settled, 1);
    }
}
