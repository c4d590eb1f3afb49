//! What the fetcher learnt of hosts, kept over restarts: loaded at the start, saved as it changes and at the end.
//!
//! Owns: the form of what is kept (JSON of `fetch::HostState`), how often, how much. Must not know: what it means.

use crate::api::Hosts;
use crate::clock::Clock;
use fetch::{HostState, HttpFetcher};
use model::Timestamp;
use serde_json::Value;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;

/// Between two saves: so much of what was learnt a crash may cost.
const EVERY: Duration = Duration::from_secs(2);
/// Hosts of one save; what is left over comes with the next.
const BATCH: usize = 2_000;
/// Batches at the end, so that a stop is not held up.
const BATCHES_AT_THE_END: usize = 25;
/// Hosts that are loaded, the latest first.
const LOADED: usize = 50_000;
/// A host that taught nothing for so long is forgotten: 30 days.
const KEEP_MS: i64 = 30 * 86_400_000;

/// Gives the fetcher what was kept.
pub(crate) async fn load(store: &dyn Store, fetcher: &HttpFetcher) {
    match store.hosts(LOADED).await {
        Ok(kept) => {
            let hosts: Vec<(String, HostState)> = kept
                .into_iter()
                .filter_map(|(name, text)| match serde_json::from_str(&text) {
                    Ok(state) => Some((name, state)),
                    Err(error) => {
                        tracing::warn!(name, %error, "what was kept of a host cannot be read; it is learnt anew");
                        None
                    }
                })
                .collect();
            fetcher.import_hosts(&hosts);
        }
        Err(error) => {
            tracing::warn!(%error, "what was learnt of hosts could not be loaded; it is learnt anew")
        }
    }
}

/// Saves what changes, until it is time to stop.
pub(crate) async fn keep(
    store: &dyn Store,
    fetcher: &HttpFetcher,
    clock: &dyn Clock,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => return,
        }
        batch(store, fetcher, clock.now()).await;
    }
}

/// Saves the rest.
pub(crate) async fn save(store: &dyn Store, fetcher: &HttpFetcher, now: Timestamp) {
    for _ in 0..BATCHES_AT_THE_END {
        if batch(store, fetcher, now).await < BATCH {
            return;
        }
    }
}

/// One batch; how many hosts it had.
async fn batch(store: &dyn Store, fetcher: &HttpFetcher, now: Timestamp) -> usize {
    let changed = fetcher.export_hosts(BATCH);
    let n = changed.len();
    if n == 0 {
        return 0;
    }
    let rows = changed
        .into_iter()
        .map(|(name, state)| {
            let text = (!state.is_plain()).then(|| serde_json::to_string(&state).ok()).flatten();
            (name, text)
        })
        .collect();
    if let Err(error) = store.save_hosts(rows, now, now.plus_ms(-KEEP_MS)).await {
        tracing::warn!(%error, "what was learnt of hosts could not be saved; it will be as it changes again");
    }
    n
}

impl Hosts for HttpFetcher {
    fn list(&self, part: &str, most: usize) -> (Vec<Value>, usize) {
        let (hosts, all) = self.hosts(part, most);
        // Numbers and texts are always JSON.
        (hosts.into_iter().filter_map(|host| serde_json::to_value(host).ok()).collect(), all)
    }

    fn one(&self, name: &str) -> Option<Value> {
        serde_json::to_value(self.host(name)?).ok()
    }
}
