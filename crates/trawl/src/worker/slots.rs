//! Counted places for work, with a wake-up when one becomes free.
//!
//! Work that turns out to be slow moves aside: it is counted apart, so that a slow host's slices do not take the places
//! of others, and there may be [`ASIDE`] times as much of it. A host that fills its share of what is aside is crowded:
//! no more of its work is taken, of whatever run, so that many runs that wait for one slow host hold up nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Slow work at once, for each place.
const ASIDE: usize = 4;
/// Inputs of one host that are aside, for each that it may be asked at once: a host is never short of work by that.
const CROWD: usize = 4;

/// The places.
pub(super) struct Slots {
    most: usize,
    /// Inputs of a slice that are in work at once.
    parallel: usize,
    taken: Arc<Taken>,
}

#[derive(Default)]
struct Taken {
    counts: Mutex<Counts>,
    freed: Notify,
}

#[derive(Default)]
struct Counts {
    places: usize,
    aside: usize,
    /// Inputs aside by host.
    crowds: HashMap<String, usize>,
}

impl Taken {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing in the critical sections panics.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until it is dropped.
pub(super) struct Slot {
    taken: Arc<Taken>,
    aside: bool,
    host: String,
    inputs: usize,
}

impl Slots {
    /// `parallel`: inputs of a slice that are in work at once.
    pub(super) fn new(most: usize, parallel: usize) -> Self {
        Self { most, parallel, taken: Arc::default() }
    }

    /// Places free; none while too much is aside.
    pub(super) fn free(&self) -> usize {
        let counts = self.taken.counts();
        if counts.aside >= self.most * ASIDE { 0 } else { self.most.saturating_sub(counts.places) }
    }

    /// A place for work on that many inputs of a host; aside at once if the host has slow work already.
    pub(super) fn take(&self, host: &str, inputs: usize) -> Slot {
        let inputs = inputs.min(self.parallel);
        let mut slot = Slot { taken: self.taken.clone(), aside: false, host: host.to_owned(), inputs };
        let mut counts = self.taken.counts();
        counts.places += 1;
        let is_slow = counts.crowds.contains_key(host);
        drop(counts);
        if is_slow {
            slot.is_slow();
        }
        slot
    }

    /// Hosts of which no more work is to be taken.
    pub(super) fn crowded(&self) -> Vec<String> {
        let most = CROWD * self.parallel;
        let counts = self.taken.counts();
        counts.crowds.iter().filter(|(_, inputs)| **inputs >= most).map(|(host, _)| host.clone()).collect()
    }

    /// Waits until a place may have become free.
    pub(super) async fn changed(&self) {
        self.taken.freed.notified().await;
    }
}

impl Slot {
    /// Its work is slow: it moves aside.
    pub(super) fn is_slow(&mut self) {
        if !std::mem::replace(&mut self.aside, true) {
            let mut counts = self.taken.counts();
            counts.aside += 1;
            counts.places -= 1;
            *counts.crowds.entry(self.host.clone()).or_default() += self.inputs;
            drop(counts);
            self.taken.freed.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.taken.counts();
        if self.aside {
            counts.aside -= 1;
            if let Some(inputs) = counts.crowds.get_mut(&self.host) {
                *inputs -= self.inputs;
                if *inputs == 0 {
                    counts.crowds.remove(&self.host);
                }
            }
        } else {
            counts.places -= 1;
        }
        drop(counts);
        self.taken.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_makes_room_up_to_a_bound() {
        let slots = Slots::new(2, 8);
        let mut slow = Vec::new();
        for n in 0..8 {
            assert!(slots.free() > 0, "{n}");
            let mut slot = slots.take("a", 1);
            slot.is_slow();
            slot.is_slow();
            slow.push(slot);
        }
        assert_eq!(slots.free(), 0, "four times as much is aside");
        slow.pop();
        assert_eq!(slots.free(), 2);
        let kept = slots.take("b", 1);
        assert_eq!(slots.free(), 1);
        drop((kept, slow));
        assert_eq!(slots.free(), 2);
    }

    #[test]
    fn a_host_that_is_slow_for_many_is_crowded() {
        let slots = Slots::new(100, 8);
        let take = |host, inputs| {
            let mut slot = slots.take(host, inputs);
            slot.is_slow();
            slot
        };
        let quick: Vec<_> = (0..50).map(|_| slots.take("quick", 64)).collect();
        let mut slow: Vec<_> = (0..3).map(|_| take("slow", 64)).collect();
        slow.extend((0..7).map(|_| slots.take("slow", 1)));
        let other = take("other", 64);
        assert_eq!(slots.free(), 50, "what is slow takes no place");
        assert_eq!(slots.crowded(), Vec::<String>::new(), "31 of 32 inputs");
        slow.push(take("slow", 1));
        assert_eq!(slots.crowded(), ["slow"]);
        slow.pop();
        assert_eq!(slots.crowded(), Vec::<String>::new());
        drop((quick, slow, other));
        assert!(slots.taken.counts().crowds.is_empty());
    }
}
