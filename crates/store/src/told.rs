//! What callers tell a store, checked and made ready before a transaction begins: the same for every store.
//!
//! Must not know: SQL.

use crate::disk::Codec;
use crate::{Lease, Result, StoreError};
use model::quality::Profile;
use model::{ArchivePart, FailureCode, Input, Outcome, Segment, Timestamp, limit};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What `finish` is told, owned.
pub(crate) struct Finish {
    pub(crate) lease: Lease,
    /// What the job led to, each with what it is known by.
    pub(crate) led: Vec<(Input, Known)>,
    /// What the job's own inputs are known by, if it led to anything.
    pub(crate) own: Vec<Known>,
    pub(crate) again: Vec<(Timestamp, Input)>,
    pub(crate) carried: Vec<Input>,
    pub(crate) settled: u64,
    /// Records by root.
    pub(crate) records: BTreeMap<u64, u64>,
    pub(crate) errors: BTreeMap<FailureCode, u64>,
    pub(crate) segment: Option<Segment>,
    pub(crate) columns: Vec<String>,
    pub(crate) profile: Option<Box<Profile>>,
    pub(crate) archive: Option<Box<ArchivePart>>,
    pub(crate) now: Timestamp,
}

impl Finish {
    /// Takes what the store needs of an outcome, and refuses one that contradicts itself.
    pub(crate) fn new(
        lease: &Lease,
        outcome: &Outcome,
        segment: Option<&Segment>,
        columns: &[String],
        now: Timestamp,
    ) -> Result<Self> {
        // Casts: a usize fits u64.
        let (records, errors) = (outcome.records.len() as u64, outcome.errors.len() as u64);
        let withheld = outcome.withheld.len() as u64;
        if segment.map_or((0, 0, 0), |s| (s.records, s.errors, s.withheld)) != (records, errors, withheld) {
            return Err(StoreError::Invalid("the segment holds other rows than the outcome".into()));
        }
        let left = (outcome.again.len() + outcome.carried.len()) as u64;
        if outcome.settled + left != lease.job.inputs.len() as u64 {
            return Err(StoreError::Invalid("the outcome does not account for every input".into()));
        }
        let mut by_root = BTreeMap::new();
        for record in &outcome.records {
            *by_root.entry(record.root).or_insert(0) += 1;
        }
        if lease.trigger.limit_per_input.is_some() {
            let own = lease.job.inputs.first().map(|input| input.root);
            let roots = by_root.keys().copied();
            let roots = roots.chain(outcome.led.iter().map(|i| i.root));
            let roots = roots.chain(outcome.carried.iter().map(|i| i.root));
            let mut roots = roots.chain(outcome.again.iter().map(|(_, i)| i.root));
            if roots.any(|root| Some(root) != own) {
                return Err(StoreError::Invalid(
                    "an outcome of another root, in a run with a limit per input".into(),
                ));
            }
        }
        Ok(Self {
            lease: lease.clone(),
            led: outcome.led.iter().map(|input| (input.clone(), known(input))).collect(),
            own: match outcome.led.is_empty() {
                true => Vec::new(),
                false => lease.job.inputs.iter().map(known).collect(),
            },
            again: outcome.again.clone(),
            carried: outcome.carried.clone(),
            settled: outcome.settled,
            records: by_root,
            errors: outcome.error_codes(),
            segment: segment.cloned(),
            columns: columns.to_vec(),
            profile: outcome.profile.clone(),
            archive: outcome.archive.clone(),
            now,
        })
    }
}

/// What an input is known by within its run: page kind and identity, digested.
pub(crate) type Known = [u8; 16];

fn known(input: &Input) -> Known {
    let mut hash = Sha256::new();
    hash.update(input.kind.as_bytes());
    hash.update([0]);
    hash.update(model::identity(input).as_bytes());
    let mut known = Known::default();
    known.copy_from_slice(&hash.finalize()[..16]);
    known
}

/// A slice of the caller's rows, checked and encoded: the costly part, done outside the writer.
pub(crate) struct Packed {
    pub(crate) host: String,
    pub(crate) n: usize,
    /// Lowest and highest root in it.
    pub(crate) roots: (u64, u64),
    pub(crate) blob: Vec<u8>,
}

/// Checks and encodes slices.
pub(crate) fn pack(slices: &[Vec<Input>]) -> Result<Vec<Packed>> {
    let mut codec = Codec::new()?;
    let pack = |slice: &Vec<Input>| {
        let Some(first) = slice.first() else {
            return Err(StoreError::Invalid("an empty slice".into()));
        };
        if slice.len() > limit::SLICE_INPUTS {
            return Err(StoreError::Invalid(format!("a slice of {} inputs", slice.len())));
        }
        if slice.iter().any(|input| input.host != first.host) {
            return Err(StoreError::Invalid("a slice of several hosts".into()));
        }
        let roots =
            slice.iter().fold((first.root, first.root), |(low, high), i| (low.min(i.root), high.max(i.root)));
        Ok(Packed { host: first.host.clone(), n: slice.len(), roots, blob: codec.encode(slice)? })
    };
    slices.iter().map(pack).collect()
}
