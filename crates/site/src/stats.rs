//! What the site saw: the facts that tests of pace, reuse and fairness assert on.

use crate::http::Head;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Hosts, and prefixes of paths, that are counted apart.
const KEYS_MAX: usize = 1_000;

/// What the site saw since it started (or since its statistics were reset).
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Requests whose head and body have arrived, without those for `/stats`.
    pub requests: u64,
    /// Of those, not answered completely yet.
    pub open: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Bytes of whole answers, heads included.
    pub bytes: u64,
    /// Requests by the first part of the path (`/p`, `/c`; for `/bad`, `/enc`, `/charset` by the first two).
    pub by_prefix: BTreeMap<String, u64>,
    /// By the `Host` of the request.
    pub hosts: BTreeMap<String, HostStats>,
    /// The first requests, as many as [`crate::SiteOptions::log`] says, in the order of arrival.
    pub log: Vec<Hit>,
}

impl Stats {
    /// Requests with this prefix.
    pub fn count(&self, prefix: &str) -> u64 {
        self.by_prefix.get(prefix).copied().unwrap_or(0)
    }

    /// The most requests that one host was answering at once.
    pub fn max_concurrent(&self) -> u64 {
        self.hosts.values().map(|host| host.max_concurrent).max().unwrap_or(0)
    }

    /// The shortest time between the starts of two requests to one host.
    pub fn shortest_gap(&self) -> Option<Duration> {
        self.hosts.values().filter_map(|host| host.shortest_gap).min()
    }
}

/// What one host saw.
#[derive(Clone, Debug, Default)]
pub struct HostStats {
    /// Requests.
    pub requests: u64,
    /// Of those, not answered completely yet.
    pub open: u64,
    /// The most that were open at once.
    pub max_concurrent: u64,
    /// The shortest time between the starts of two requests.
    pub shortest_gap: Option<Duration>,
    /// Time from the first request to the last.
    pub span: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Hit {
    /// When it had arrived.
    pub at: Instant,
    /// The `Host` it named, in lower case.
    pub host: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header lines as sent.
    pub headers: Vec<(String, String)>,
}

impl Hit {
    /// The first header line with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(k, v)| k.eq_ignore_ascii_case(name).then_some(v.as_str()))
    }
}

/// Keeps [`Stats`] and wakes those who wait for a number in it.
#[derive(Default)]
pub(crate) struct Ledger {
    stats: Mutex<Stats>,
    log_rows: usize,
    changed: Notify,
}

impl Ledger {
    pub(crate) fn new(log_rows: usize) -> Self {
        Self { log_rows, ..Self::default() }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().clone()
    }

    /// Forgets what was seen; requests still open go on counting as open.
    pub(crate) fn reset(&self) {
        let mut stats = self.lock();
        let open = |host: &HostStats| HostStats { open: host.open, ..HostStats::default() };
        let hosts = stats.hosts.iter().filter(|(_, host)| host.open > 0);
        let hosts = hosts.map(|(name, host)| (name.clone(), open(host))).collect();
        *stats = Stats { open: stats.open, hosts, ..Stats::default() };
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.lock().bytes += bytes as u64;
    }

    pub(crate) fn connected(&self) {
        self.lock().connections += 1;
    }

    /// A request has arrived; it is open until the answer is dropped.
    pub(crate) fn arrived(self: &Arc<Self>, head: &Head) -> Open {
        let at = Instant::now();
        let host = head.header("host").unwrap_or_default().to_ascii_lowercase();
        let mut stats = self.lock();
        stats.requests += 1;
        stats.open += 1;
        *slot(&mut stats.by_prefix, prefix(head.path())) += 1;
        let entry = slot(&mut stats.hosts, &host);
        entry.requests += 1;
        entry.open += 1;
        entry.max_concurrent = entry.max_concurrent.max(entry.open);
        entry.span = at.saturating_duration_since(*entry.first.get_or_insert(at));
        if let Some(last) = entry.last.replace(at) {
            let gap = at.saturating_duration_since(last);
            entry.shortest_gap = Some(entry.shortest_gap.map_or(gap, |shortest| shortest.min(gap)));
        }
        if stats.log.len() < self.log_rows {
            stats.log.push(Hit {
                at,
                host: host.clone(),
                method: head.method().to_owned(),
                path: head.target().to_owned(),
                headers: head.headers().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            });
        }
        drop(stats);
        self.changed.notify_waiters();
        Open { ledger: self.clone(), host }
    }

    /// Waits until `met` says so; `false` if that took longer than `limit`.
    pub(crate) async fn wait_for(&self, limit: Duration, met: impl Fn(&Stats) -> bool) -> bool {
        let waiting = async {
            loop {
                // Listening begins before looking, so that nothing between the two is missed.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if met(&self.lock()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, waiting).await.is_ok()
    }

    /// A panic elsewhere leaves the numbers as true as they were.
    fn lock(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request being answered.
pub(crate) struct Open {
    ledger: Arc<Ledger>,
    host: String,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut stats = self.ledger.lock();
        stats.open = stats.open.saturating_sub(1);
        if let Some(host) = stats.hosts.get_mut(&self.host) {
            host.open = host.open.saturating_sub(1);
        }
        drop(stats);
        self.ledger.changed.notify_waiters();
    }
}

/// The entry with this key. Keys come from requests, so when there are too many they share the one without a name.
fn slot<'a, T: Default>(map: &'a mut BTreeMap<String, T>, key: &str) -> &'a mut T {
    let key = if map.len() < KEYS_MAX || map.contains_key(key) { key } else { "" };
    map.entry(key.to_owned()).or_default()
}

fn prefix(path: &str) -> &str {
    let parts = if ["/bad/", "/enc/", "/charset/"].iter().any(|p| path.starts_with(p)) { 2 } else { 1 };
    match path.match_indices('/').nth(parts) {
        Some((end, _)) => &path[..end],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn prefixes() {
        for (path, expected) in [
            ("/", "/"),
            ("/p/12", "/p"),
            ("/robots.txt", "/robots.txt"),
            ("/bad/flaky/2/7", "/bad/flaky"),
            ("/bad/stall", "/bad/stall"),
            ("/json/7", "/json"),
            ("/c/7/x", "/c"),
        ] {
            assert_eq!(prefix(path), expected);
        }
    }
}
