//! Rows, grouped into slices of one host each, and slices into batches for the store.
//!
//! Pure. Invariants: every row leaves exactly once; a slice holds at most [`limit::SLICE_INPUTS`] rows, of one host,
//! in order, and of one row only if the run has a limit per input; what is held is bounded in rows and bytes.

use model::{Input, limit};
use std::collections::HashMap;

/// Rows held in slices that are not full yet. With more hosts than this the slices become smaller, nothing else.
const OPEN_ROWS: usize = 8 * 1024;
/// Bytes of rows held in slices that are not full yet.
const OPEN_BYTES: usize = 4 << 20;
/// Rows of a batch: 64 full slices.
const BATCH_ROWS: usize = 64 * limit::SLICE_INPUTS;
/// Bytes of a batch.
const BATCH_BYTES: usize = 1 << 20;

/// Slices for one call of the store.
pub(super) type Batch = Vec<Vec<Input>>;

/// The grouper.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    alone: bool,
    open: HashMap<String, Vec<Input>>,
    open_rows: usize,
    open_bytes: usize,
    full: Batch,
    full_rows: usize,
    full_bytes: usize,
}

impl Lanes {
    /// `alone`: one row to a slice.
    pub(super) fn new(alone: bool) -> Self {
        Self { alone, ..Self::default() }
    }

    /// Takes a row.
    pub(super) fn push(&mut self, input: Input) {
        if self.alone {
            self.close(vec![input]);
            return;
        }
        self.open_rows += 1;
        self.open_bytes += bytes_of(&input);
        // Looked up before inserted: the key is only copied for a new host.
        match self.open.get_mut(&input.host) {
            Some(slice) => {
                slice.push(input);
                if slice.len() >= limit::SLICE_INPUTS {
                    let host = slice[0].host.clone();
                    let slice = self.open.remove(&host).unwrap_or_default();
                    self.leave(slice);
                }
            }
            None => {
                self.open.insert(input.host.clone(), vec![input]);
            }
        }
        if self.open_rows > OPEN_ROWS || self.open_bytes > OPEN_BYTES {
            self.shed();
        }
    }

    /// A batch, if enough rows for one are there.
    pub(super) fn ready(&mut self) -> Option<Batch> {
        if self.full_rows >= BATCH_ROWS || self.full_bytes >= BATCH_BYTES { self.take_full() } else { None }
    }

    /// Everything that is left, in batches; call until `None`.
    pub(super) fn rest(&mut self) -> Option<Batch> {
        if !self.open.is_empty() {
            let mut slices: Vec<_> = self.open.drain().map(|(_, slice)| slice).collect();
            (self.open_rows, self.open_bytes) = (0, 0);
            // In the order of the rows, so that a small job runs in the caller's order.
            slices.sort_unstable_by_key(|slice| slice[0].root);
            slices.into_iter().for_each(|slice| self.close(slice));
        }
        self.take_full()
    }

    fn take_full(&mut self) -> Option<Batch> {
        if self.full.is_empty() {
            return None;
        }
        let (mut rows, mut bytes) = (0, 0);
        let enough = self.full.iter().position(|slice| {
            rows += slice.len();
            bytes += slice.iter().map(bytes_of).sum::<usize>();
            rows >= BATCH_ROWS || bytes >= BATCH_BYTES
        });
        let rest = enough.map_or_else(Vec::new, |last| self.full.split_off(last + 1));
        self.full_rows -= rows;
        self.full_bytes -= bytes;
        Some(std::mem::replace(&mut self.full, rest))
    }

    /// Closes the fullest slices until half of the room is free. Sorting is paid once per thousands of rows.
    fn shed(&mut self) {
        let mut slices: Vec<_> = self.open.drain().map(|(_, slice)| slice).collect();
        slices.sort_unstable_by_key(|slice| std::cmp::Reverse(slice.len()));
        for slice in slices {
            let Some(first) = slice.first() else { continue };
            if self.open_rows > OPEN_ROWS / 2 || self.open_bytes > OPEN_BYTES / 2 {
                self.leave(slice);
            } else {
                self.open.insert(first.host.clone(), slice);
            }
        }
    }

    fn leave(&mut self, slice: Vec<Input>) {
        self.open_rows -= slice.len();
        self.open_bytes -= slice.iter().map(bytes_of).sum::<usize>();
        self.close(slice);
    }

    fn close(&mut self, slice: Vec<Input>) {
        self.full_rows += slice.len();
        self.full_bytes += slice.iter().map(bytes_of).sum::<usize>();
        self.full.push(slice);
    }
}

fn bytes_of(input: &Input) -> usize {
    input.row.len() + input.host.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input(root: u64, host: usize, bytes: usize) -> Input {
        Input::given(root, "x".repeat(bytes), format!("h{host}"))
    }

    fn drain(lanes: &mut Lanes, inputs: impl Iterator<Item = Input>) -> Vec<Batch> {
        let mut batches = Vec::new();
        for input in inputs {
            lanes.push(input);
            batches.extend(lanes.ready());
            assert!(lanes.open_rows <= OPEN_ROWS && lanes.open_bytes <= OPEN_BYTES + limit::ROW_BYTES);
        }
        while let Some(batch) = lanes.rest() {
            batches.push(batch);
        }
        assert_eq!((lanes.open_rows, lanes.open_bytes, lanes.full_rows, lanes.full_bytes), (0, 0, 0, 0));
        batches
    }

    proptest! {
        #[test]
        fn every_row_leaves_once_in_a_slice_of_its_host(
            hosts in prop::collection::vec(0_usize..300, 0..3_000), alone: bool,
        ) {
            let n = hosts.len() as u64;
            let inputs = hosts.iter().enumerate().map(|(at, host)| input(at as u64, *host, 10));
            let batches = drain(&mut Lanes::new(alone), inputs);
            let slices: Vec<_> = batches.into_iter().flatten().collect();
            for slice in &slices {
                let most = if alone { 1 } else { limit::SLICE_INPUTS };
                prop_assert!((1..=most).contains(&slice.len()));
                prop_assert!(slice.iter().all(|row| row.host == slice[0].host));
                prop_assert!(slice.windows(2).all(|two| two[0].root < two[1].root));
            }
            let mut roots: Vec<u64> = slices.iter().flatten().map(|row| row.root).collect();
            roots.sort_unstable();
            prop_assert_eq!(roots, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn many_hosts_and_large_rows_stay_within_bounds() {
        let batches = drain(&mut Lanes::new(false), (0..30_000).map(|n| input(n as u64, n, 10)));
        assert_eq!(batches.iter().flatten().map(Vec::len).sum::<usize>(), 30_000);
        let batches = drain(&mut Lanes::new(false), (0..200).map(|n| input(n as u64, n % 3, 200_000)));
        assert!(batches.iter().all(|batch| batch.len() <= 64));
        assert!(batches.len() > 3);
    }

    #[test]
    fn one_host_makes_full_slices() {
        let batches = drain(&mut Lanes::new(false), (0..6_400).map(|n| input(n, 1, 10)));
        assert!(batches.iter().flatten().all(|slice| slice.len() == limit::SLICE_INPUTS));
        assert!(batches.iter().all(|batch| batch.len() <= 64));
    }
}
