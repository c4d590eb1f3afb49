//! Counted places for work, with a wake-up when one becomes free.
//!
//! Work that turns out to be slow moves aside: it is counted apart, so that a slow host's slices do not take the places
//! of others, and there may be [`ASIDE`] times as much of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Slow work at once, for each place.
const ASIDE: usize = 4;

/// The places.
pub(super) struct Slots {
    most: usize,
    taken: Arc<Taken>,
}

#[derive(Default)]
struct Taken {
    places: AtomicUsize,
    aside: AtomicUsize,
    freed: Notify,
}

/// One of them, until it is dropped.
pub(super) struct Slot {
    taken: Arc<Taken>,
    aside: bool,
}

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Places free; none while too much is aside.
    pub(super) fn free(&self) -> usize {
        if self.taken.aside.load(Ordering::Acquire) >= self.most * ASIDE {
            return 0;
        }
        self.most.saturating_sub(self.taken.places.load(Ordering::Acquire))
    }

    pub(super) fn take(&self) -> Slot {
        self.taken.places.fetch_add(1, Ordering::AcqRel);
        Slot { taken: self.taken.clone(), aside: false }
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
            self.taken.aside.fetch_add(1, Ordering::AcqRel);
            self.taken.places.fetch_sub(1, Ordering::AcqRel);
            self.taken.freed.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let count = if self.aside { &self.taken.aside } else { &self.taken.places };
        count.fetch_sub(1, Ordering::AcqRel);
        self.taken.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_makes_room_up_to_a_bound() {
        let slots = Slots::new(2);
        let mut slow = Vec::new();
        for n in 0..8 {
            assert!(slots.free() > 0, "{n}");
            let mut slot = slots.take();
            slot.is_slow();
            slot.is_slow();
            slow.push(slot);
        }
        assert_eq!(slots.free(), 0, "four times as much is aside");
        slow.pop();
        assert_eq!(slots.free(), 2);
        let kept = slots.take();
        assert_eq!(slots.free(), 1);
        drop((kept, slow));
        assert_eq!(slots.free(), 2);
    }
}
