//! What was asked and what came back, counted for the metrics. Reading never blocks fetching.

use crate::pace::Counts;
use crate::{FetchError, FetchErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the fetcher was made, and two gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests sent, redirects and the retries of stale connections included.
    pub requests: u64,
    /// Answers by class: 1xx (never), 2xx, 3xx, 4xx, 5xx and above.
    pub answers: [u64; 5],
    /// Fetches that ended without a page, by kind.
    pub errors: Vec<(FetchErrorKind, u64)>,
    /// Bytes of bodies as they came over the wire.
    pub wire_bytes: u64,
    /// Bytes of bodies as decoded.
    pub body_bytes: u64,
    /// Requests that wait for their turn.
    pub waiting: u64,
    /// Requests that have it.
    pub in_flight: u64,
    /// Answers that ask to slow down: 429 and 503.
    pub slow_downs: u64,
    /// Hosts that are remembered.
    pub hosts: u64,
    /// Of those, hosts that do not answer and are not asked now.
    pub hosts_down: u64,
    /// robots.txt files asked for.
    pub robots: u64,
    /// Sessions that are remembered.
    pub sessions: u64,
}

const KINDS: [FetchErrorKind; 23] = [
    FetchErrorKind::Refused,
    FetchErrorKind::NoSuchHost,
    FetchErrorKind::Dns,
    FetchErrorKind::Connection,
    FetchErrorKind::Tls,
    FetchErrorKind::Timeout,
    FetchErrorKind::Protocol,
    FetchErrorKind::TooLarge,
    FetchErrorKind::Redirects,
    FetchErrorKind::Proxy,
    FetchErrorKind::Robots,
    FetchErrorKind::NoRobots,
    FetchErrorKind::Down,
    FetchErrorKind::Gone,
    FetchErrorKind::Gateway,
    FetchErrorKind::NoProxy,
    FetchErrorKind::NotArchived,
    FetchErrorKind::NoBrowser,
    FetchErrorKind::BrowserGone,
    FetchErrorKind::PageCrashed,
    FetchErrorKind::WaitElement,
    FetchErrorKind::ClickElement,
    FetchErrorKind::Script,
];

#[derive(Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    answers: [AtomicU64; 5],
    errors: [AtomicU64; KINDS.len()],
    wire_bytes: AtomicU64,
    body_bytes: AtomicU64,
    slow_downs: AtomicU64,
    robots: AtomicU64,
}

impl Counters {
    pub(crate) fn robots(&self) {
        self.robots.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answer(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
        if matches!(status, 429 | 503) {
            self.slow_downs.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn body(&self, wire: u64, decoded: u64) {
        self.wire_bytes.fetch_add(wire, Ordering::Relaxed);
        self.body_bytes.fetch_add(decoded, Ordering::Relaxed);
    }

    pub(crate) fn error(&self, error: &FetchError) {
        if let Some(at) = KINDS.iter().position(|kind| *kind == error.kind) {
            self.errors[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, pace: Counts, sessions: u64) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: load(&self.requests),
            answers: [0, 1, 2, 3, 4].map(|class: usize| load(&self.answers[class])),
            errors: KINDS
                .into_iter()
                .zip(&self.errors)
                .map(|(kind, counter)| (kind, load(counter)))
                .collect(),
            wire_bytes: load(&self.wire_bytes),
            body_bytes: load(&self.body_bytes),
            waiting: pace.waiting as u64,
            in_flight: u64::from(pace.in_flight),
            slow_downs: load(&self.slow_downs),
            hosts: pace.hosts as u64,
            hosts_down: pace.open_circuits as u64,
            robots: load(&self.robots),
            sessions,
        }
    }
}
