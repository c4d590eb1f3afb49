//! Retention and orphans: bytes that nobody may ask for any more.
//!
//! Invariant: nothing registered is swept; only objects older than any lease are looked at.

use super::Worker;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two sweeps.
const EVERY: Duration = Duration::from_secs(3_600);
/// Objects younger than this may belong to a slice that is about to register them, milliseconds.
const YOUNG_MS: u64 = 6 * 3_600_000;
/// Tables of earlier runs' records are kept for so long, milliseconds.
const DIGESTS_MS: u64 = 7 * 86_400_000;
/// Objects looked at in one step.
const STEP: usize = 1_000;

impl Worker {
    pub(super) async fn sweep_loop(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = format!("{error:#}"), "the sweep was cut short");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// One sweep: expired snapshots, then orphans.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        let before = self.clock.now().plus_ms(-self.settings.retention_ms);
        loop {
            let keys = self.store.expire(before, STEP, self.clock.now()).await?;
            if keys.is_empty() {
                break;
            }
            for key in &keys {
                self.bucket.delete(key).await?;
            }
            self.store.forget(&keys).await?;
        }
        self.sweep_old(crate::changes::DIGESTS, DIGESTS_MS).await?;
        self.sweep_old(crate::app::PROBES, YOUNG_MS).await?;
        for prefix in ["archive/", "segments/"] {
            self.sweep_orphans(prefix).await?;
        }
        Ok(())
    }

    async fn sweep_orphans(&self, prefix: &str) -> anyhow::Result<()> {
        let mut after = String::new();
        loop {
            let listed = self.bucket.list(prefix, &after, STEP).await?;
            let Some((last, _)) = listed.last() else { return Ok(()) };
            after.clone_from(last);
            let old: Vec<String> =
                listed.into_iter().filter(|(_, age_ms)| *age_ms > YOUNG_MS).map(|(key, _)| key).collect();
            for key in self.store.unregistered(&old).await? {
                tracing::info!(key, "swept an orphan");
                self.bucket.delete(&key).await?;
            }
        }
    }

    /// What is made anew where it is still asked for (tables of earlier runs' records), or never asked for again.
    async fn sweep_old(&self, prefix: &str, after_ms: u64) -> anyhow::Result<()> {
        let mut after = String::new();
        loop {
            let listed = self.bucket.list(prefix, &after, STEP).await?;
            let Some((last, _)) = listed.last() else { return Ok(()) };
            after.clone_from(last);
            for (key, _) in listed.iter().filter(|(_, age_ms)| *age_ms > after_ms) {
                self.bucket.delete(key).await?;
            }
        }
    }
}
