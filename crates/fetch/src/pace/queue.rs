//! A queue of hosts by a number (a ticket or a moment), cheap to change: what has become untrue is left lying in the heap
//! and passed over, told by its stamp, and swept when it is a fifth of all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One host's place: the number that it is sorted by, its index, its stamp at the time.
pub(super) type Place = (u64, u32, u32);

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Place>>,
    /// Entries that are true.
    live: usize,
}

impl Queue {
    pub(super) fn push(&mut self, place: Place) {
        self.heap.push(Reverse(place));
        self.live += 1;
    }

    /// One entry has become untrue: its host's stamp has changed.
    pub(super) fn left(&mut self, is_true: impl Fn(u32, u32) -> bool) {
        self.live -= 1;
        if self.heap.len() > self.live + self.live / 4 + 64 {
            self.heap.retain(|Reverse((_, host, stamp))| is_true(*host, *stamp));
        }
    }

    /// The first true entry.
    pub(super) fn first(&mut self, is_true: impl Fn(u32, u32) -> bool) -> Option<Place> {
        while let Some(Reverse(place)) = self.heap.peek() {
            if is_true(place.1, place.2) {
                return Some(*place);
            }
            self.heap.pop();
        }
        None
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }
}
