//! Who may ask which host when: pure arithmetic over queues. `now` is an argument: time since the pacer was made.
//!
//! Invariants:
//! - Never more requests at once than the global bound, nor to one host than its bound (the lower of the setting and
//!   what the request asks for).
//! - Two requests to one host never start closer together than its delay (the higher of the setting and what either
//!   of the two asks for), and none while the host is held.
//! - Turns are given in order of asking, express before ordinary, within a host and between hosts.
//! - A host that nobody waits for or talks to is forgotten as soon as its delay has passed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Bounds for all requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) concurrency: u32,
    pub(crate) host_concurrency: u32,
    pub(crate) host_delay: Duration,
}

/// What one request asks for beyond that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Want {
    /// At least 1; the setting if absent or higher.
    pub(crate) host_concurrency: Option<u32>,
    /// The setting if absent or lower.
    pub(crate) host_delay: Option<Duration>,
    pub(crate) express: bool,
}

/// A place in the queue. Sorts before everything that comes after it: express first, then first come first served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket {
    ordinary: bool,
    number: u64,
}

#[derive(Debug)]
struct Waiter {
    host_concurrency: u32,
    host_delay: Duration,
}

/// Where a host stands in the pacer's two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In neither: nobody waits, or all its slots are taken.
    Off,
    /// Its first waiter may start as soon as a global slot is free.
    Ready(Ticket),
    /// Its first waiter has to wait until then; without waiters, it is forgotten then.
    Timed(Duration),
}

#[derive(Debug)]
struct Host {
    waiters: BTreeMap<Ticket, Waiter>,
    in_flight: u32,
    started_at: Option<Duration>,
    /// No start before that: the delay of the last request, or a hold.
    next_at: Duration,
    place: Place,
}

/// The queues.
#[derive(Debug)]
pub(crate) struct Core {
    limits: Limits,
    hosts: HashMap<Arc<str>, Host>,
    ready: BTreeSet<(Ticket, Arc<str>)>,
    timed: BTreeSet<(Duration, Arc<str>)>,
    in_flight: u32,
    waiting: usize,
    numbers: u64,
}

impl Core {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            hosts: HashMap::new(),
            ready: BTreeSet::new(),
            timed: BTreeSet::new(),
            in_flight: 0,
            waiting: 0,
            numbers: 0,
        }
    }

    /// Queues for a turn. Whether it has come already shows in the next [`Core::turns`].
    pub(crate) fn ask(&mut self, host: &Arc<str>, want: Want, now: Duration) -> Ticket {
        self.numbers += 1;
        let ticket = Ticket { ordinary: !want.express, number: self.numbers };
        let limits = self.limits;
        let waiter = Waiter {
            host_concurrency: want
                .host_concurrency
                .map_or(limits.host_concurrency, |n| n.clamp(1, limits.host_concurrency)),
            host_delay: want.host_delay.map_or(limits.host_delay, |d| d.max(limits.host_delay)),
        };
        let entry = self.hosts.entry(Arc::clone(host)).or_insert_with(|| Host {
            waiters: BTreeMap::new(),
            in_flight: 0,
            started_at: None,
            next_at: Duration::ZERO,
            place: Place::Off,
        });
        entry.waiters.insert(ticket, waiter);
        self.waiting += 1;
        self.place(host, now);
        ticket
    }

    /// Ends a turn, or gives up the place in the queue if the turn has not come.
    pub(crate) fn leave(&mut self, host: &Arc<str>, ticket: Ticket, now: Duration) {
        let Some(entry) = self.hosts.get_mut(host) else { return };
        if entry.waiters.remove(&ticket).is_some() {
            self.waiting -= 1;
        } else {
            entry.in_flight -= 1;
            self.in_flight -= 1;
        }
        self.place(host, now);
    }

    /// No request to that host starts before `until`.
    pub(crate) fn hold(&mut self, host: &Arc<str>, until: Duration, now: Duration) {
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.next_at = entry.next_at.max(until);
            self.place(host, now);
        }
    }

    /// Gives the turns that have come.
    pub(crate) fn turns(&mut self, now: Duration) -> Vec<Ticket> {
        while let Some((at, host)) = self.timed.first() {
            if *at > now {
                break;
            }
            let host = Arc::clone(host);
            self.place(&host, now);
        }
        let mut given = Vec::new();
        while self.in_flight < self.limits.concurrency {
            let Some((ticket, host)) = self.ready.first().cloned() else { break };
            let Some(entry) = self.hosts.get_mut(&host) else { break };
            // A host is ready only with that very waiter at its front.
            let Some(waiter) = entry.waiters.remove(&ticket) else { break };
            entry.in_flight += 1;
            entry.started_at = Some(now);
            entry.next_at = now.saturating_add(waiter.host_delay);
            self.in_flight += 1;
            self.waiting -= 1;
            given.push(ticket);
            self.place(&host, now);
        }
        given
    }

    /// When [`Core::turns`] has to be asked again although nobody asks or leaves; `None` if never.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        if self.waiting == 0 {
            return None;
        }
        self.timed.first().map(|(at, _)| *at)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    #[cfg(test)]
    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Puts a host where it belongs after a change, or forgets it.
    fn place(&mut self, host: &Arc<str>, now: Duration) {
        let Some(entry) = self.hosts.get_mut(host) else { return };
        let place = match entry.waiters.first_key_value() {
            Some((ticket, waiter)) => {
                let delayed =
                    entry.started_at.map_or(Duration::ZERO, |at| at.saturating_add(waiter.host_delay));
                let at = entry.next_at.max(delayed);
                if entry.in_flight >= waiter.host_concurrency {
                    Place::Off
                } else if at <= now {
                    Place::Ready(*ticket)
                } else {
                    Place::Timed(at)
                }
            }
            None if entry.in_flight == 0 && entry.next_at > now => Place::Timed(entry.next_at),
            None => Place::Off,
        };
        let forgotten = entry.waiters.is_empty() && entry.in_flight == 0 && place == Place::Off;
        if place != entry.place {
            match entry.place {
                Place::Off => {}
                Place::Ready(ticket) => _ = self.ready.remove(&(ticket, Arc::clone(host))),
                Place::Timed(at) => _ = self.timed.remove(&(at, Arc::clone(host))),
            }
            match place {
                Place::Off => {}
                Place::Ready(ticket) => _ = self.ready.insert((ticket, Arc::clone(host))),
                Place::Timed(at) => _ = self.timed.insert((at, Arc::clone(host))),
            }
            entry.place = place;
        }
        if forgotten {
            self.hosts.remove(host);
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
