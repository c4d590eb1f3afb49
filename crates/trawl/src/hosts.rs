//! What the fetcher learnt of hosts, kept over restarts: loaded at the start, saved as it changes and at the end.
//!
//! Owns: the form of what is kept (JSON of `fetch::HostState`), how often, how much. Must not know: what it means.

use crate::api::Hosts;
use crate::clock::Clock;
use crate::worker::Pace;
use fetch::{HostState, HttpFetcher};
use model::Timestamp;
use serde_json::Value;
use std::sync::Arc;
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
pub(crate) async fn load(store: &dyn Store, fetcher: &HttpFetcher, now: Timestamp) {
    match store.hosts(LOADED).await {
        Ok(kept) => {
            let hosts: Vec<(String, HostState)> = kept
                .into_iter()
                .filter_map(|(name, text)| Some((read(&name, &text)?, name)))
                .map(|(state, name)| (name, state))
                .collect();
            fetcher.import_hosts(&hosts, now);
        }
        Err(error) => {
            tracing::warn!(%error, "what was learnt of hosts could not be loaded; it is learnt anew")
        }
    }
}

fn read(name: &str, kept: &str) -> Option<HostState> {
    serde_json::from_str(kept)
        .inspect_err(|error| {
            tracing::warn!(name, %error, "what was kept of a host cannot be read; it is learnt anew");
        })
        .ok()
}

fn written(state: &HostState) -> Option<String> {
    (!state.is_plain()).then(|| serde_json::to_string(state).ok()).flatten()
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
    let changed = fetcher.export_hosts(BATCH, now);
    let n = changed.len();
    if n == 0 {
        return 0;
    }
    let rows = changed.into_iter().map(|(name, state)| (name, written(&state))).collect();
    if let Err(error) = store.save_hosts(rows, now, now.plus_ms(-KEEP_MS)).await {
        tracing::warn!(%error, "what was learnt of hosts could not be saved; it will be as it changes again");
    }
    n
}

/// The pacer, told of lanes as they change hands between nodes.
pub(crate) struct Handover {
    pub(crate) fetcher: Arc<HttpFetcher>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Pace for Handover {
    fn share(&self, host: &str, held: u32, of: u32) {
        self.fetcher.set_share(host, held, of);
    }

    fn take_over(&self, host: &str) {
        self.fetcher.take_over_host(host);
    }

    fn learn(&self, host: &str, kept: &str) {
        if let Some(state) = read(host, kept) {
            self.fetcher.learn_host(host, &state, self.clock.now());
        }
    }

    fn learnt(&self, host: &str) -> Option<Option<String>> {
        Some(written(&self.fetcher.export_host(host, self.clock.now())?))
    }
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
