//! What is forgotten when kept pages take more room than allowed: those longest not written or used.
//!
//! Invariant: memory is one table of ages, however many pages are kept.

use super::{PREFIX, PageCache};
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::BucketError;
use tokio::sync::watch;

/// Between two looks at what is held, if nothing asked for one.
const EVERY: Duration = Duration::from_secs(3_600);
/// Entries looked at in one step.
const STEP: usize = 1_000;
/// Steps of the table of ages within a doubling: entries are forgotten by age to within an eighth.
const PER_DOUBLING: usize = 8;
const AGES: usize = 64 * PER_DOUBLING;
/// Afterwards this share of the room is free, in tenths.
const FREE_TENTHS: u64 = 1;

/// The place of an age in the table: older is higher.
fn place(age_ms: u64) -> usize {
    let age = age_ms.max(1);
    let doublings = age.ilog2();
    let within = if doublings >= 3 { (age >> (doublings - 3)) & 7 } else { 0 };
    // Casts: below 64, and below 8.
    (doublings as usize * PER_DOUBLING + within as usize).min(AGES - 1)
}

impl PageCache {
    /// Looks after what is held until `stop` turns true.
    pub async fn look_after(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.evict().await {
                tracing::warn!(%error, "kept pages could not be looked after");
            }
            tokio::select! {
                () = self.full.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Weighs what is held, and forgets the oldest if it is too much.
    pub async fn evict(&self) -> Result<(), BucketError> {
        let mut bytes_by_age = vec![0_u64; AGES];
        let (mut total, mut after) = (0_u64, String::new());
        loop {
            let listed = self.bucket.weigh(PREFIX, &after, STEP).await?;
            let Some((last, _, _)) = listed.last() else { break };
            after.clone_from(last);
            for (_, age_ms, bytes) in &listed {
                total += bytes;
                bytes_by_age[place(*age_ms)] += bytes;
            }
        }
        self.held.store(total, Ordering::Relaxed);
        let most = self.settings.bytes_max;
        if total <= most {
            return Ok(());
        }
        let mut to_free = total - most / 10 * (10 - FREE_TENTHS);
        let mut freed = 0;
        let cut = bytes_by_age.iter().rposition(|bytes| {
            freed += bytes;
            freed >= to_free
        });
        let cut = cut.unwrap_or(0);
        after.clear();
        while to_free > 0 {
            let listed = self.bucket.weigh(PREFIX, &after, STEP).await?;
            let Some((last, _, _)) = listed.last() else { break };
            after.clone_from(last);
            for (key, age_ms, bytes) in listed {
                if place(age_ms) >= cut && to_free > 0 {
                    self.bucket.delete(&key).await?;
                    to_free = to_free.saturating_sub(bytes);
                    self.held.fetch_sub(bytes, Ordering::Relaxed);
                    self.counters.evicted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_is_never_lower() {
        let ages: Vec<u64> = (0..64).flat_map(|n| [1_u64 << n, (1 << n) + (1 << n) / 3]).collect();
        assert!(ages.windows(2).all(|w| place(w[0]) <= place(w[1])), "{ages:?}");
        assert!(place(u64::MAX) < AGES);
        assert!(place(60_000) < place(90_000));
    }
}
