//! Who may ask which host when: pure arithmetic over queues. Moments are arguments: microseconds since the pacer was made.
//!
//! Invariants:
//! - Never more requests at once than the global bound, nor to one host than its bound (the lowest of the setting, what
//!   the request asks for, and what the host was seen to bear).
//! - Two requests to one host never start closer together than its delay (the higher of the setting, what either of the
//!   two asks for, and what the host was seen to bear), and none while the host is held.
//! - Turns are given in order of asking, express before ordinary, within a host and between hosts; but hosts that are
//!   slow leave half of the global bound to the others, and those that have not answered yet a quarter of it.
//! - Nobody waits for a host whose circuit is open, except the one who finds out whether it is back.
//! - A host that nobody waits for or talks to is remembered for a while, and forgotten for room; never while it is held.
//!
//! Built for a million hosts: hosts and seats lie in arrays and are linked by index, queues are heaps with lazy removal.

use super::Moment;
use super::circuit::Entry;
use super::health::{Class, Health, Lesson, Report};
use super::queue::Queue;
use super::seat::{Line, Seat, Seats, Ticket};
use super::share::Share;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long an idle host is remembered: one with nothing learnt, and one with.
const KEEP_PLAIN: Moment = 3_600_000_000;
const KEEP_LEARNT: Moment = 86_400_000_000;
/// Idle hosts remembered at most, as long as they are not held.
const IDLE_MAX: usize = 50_000;
/// Idle hosts forgotten by one call at most.
const FORGET_AT_ONCE: usize = 64;
/// A host with such a delay has every start kept over a restart; for shorter ones the restart itself takes longer.
const KEPT_DELAY: Moment = 1_000_000;

/// Bounds for all requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At once, all hosts together.
    pub concurrency: u32,
    /// At once to one host.
    pub host_concurrency: u32,
    /// Between the starts of two requests to one host.
    pub host_delay: Duration,
}

/// What one request asks for beyond that.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want {
    /// At least 1; the setting if absent or higher.
    pub host_concurrency: Option<u32>,
    /// The setting if absent or lower.
    pub host_delay: Option<Duration>,
    /// Before ordinary requests.
    pub express: bool,
}

/// The host does not answer, and is not asked before this much time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shut {
    /// Until somebody may try.
    pub wait: Duration,
    /// How often that was tried in vain.
    pub openings: u32,
}

/// Where a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In no queue: all its slots are taken, or nobody waits and somebody talks to it.
    Off,
    /// Its first waiter may start as soon as a global slot is free.
    Ready(Class),
    /// Its first waiter has to wait until then.
    Timed,
    /// Nobody waits, nobody talks: forgotten then.
    Idle,
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Arc<str>,
    pub(super) line: Line,
    pub(super) in_flight: u32,
    /// Of the last request; [`Moment::MAX`] before the first.
    started_at: Moment,
    /// No start before that: the delay of the last request.
    next_at: Moment,
    /// Nor before that: a hold.
    pub(super) held_until: Moment,
    /// When somebody last asked or left.
    pub(super) used_at: Moment,
    /// Number in the queue of `place`.
    key: u64,
    place: Place,
    /// Changes with the place; survives the host.
    stamp: u32,
    /// Something is to be kept over a restart, and it is in the list of those.
    learnt: bool,
    pub(super) is_here: bool,
    pub(super) health: Option<Box<Health>>,
}

/// The queues.
#[derive(Debug)]
pub struct Core {
    pub(super) limits: Limits,
    /// Hosts of which this process has not everything, or had not.
    pub(super) shares: HashMap<Arc<str>, Share>,
    pub(super) hosts: Vec<Host>,
    free_hosts: Vec<u32>,
    pub(super) names: HashMap<Arc<str>, u32>,
    seats: Seats,
    /// By class.
    ready: [Queue; 3],
    timed: Queue,
    idle: Queue,
    in_flight: u32,
    /// By class.
    in_flight_of: [u32; 3],
    waiting: usize,
    numbers: u64,
    /// Waiters turned away since they were last asked for.
    shut_out: Vec<(Ticket, Shut)>,
    pub(super) learnt: Vec<u32>,
    pub(super) open_circuits: usize,
}

pub(super) fn micros(duration: Duration) -> Moment {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Core {
    /// Without hosts.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            shares: HashMap::new(),
            hosts: Vec::new(),
            free_hosts: Vec::new(),
            names: HashMap::new(),
            seats: Seats::default(),
            ready: Default::default(),
            timed: Queue::default(),
            idle: Queue::default(),
            in_flight: 0,
            in_flight_of: [0; 3],
            waiting: 0,
            numbers: 0,
            shut_out: Vec::new(),
            learnt: Vec::new(),
            open_circuits: 0,
        }
    }

    /// Queues for a turn. Whether it has come already shows in the next [`Core::turns`].
    pub fn ask(&mut self, host: &str, want: Want, now: Moment) -> Result<Ticket, Shut> {
        let at = self.host(host, now);
        let entry = &mut self.hosts[at as usize];
        entry.used_at = now;
        let mut probe = false;
        if let Some(health) = &mut entry.health {
            match health.circuit.enter(now) {
                Entry::Pass => {}
                Entry::Probe => probe = true,
                Entry::Shut(until) => {
                    let openings = health.circuit.openings();
                    self.place(at, now);
                    return Err(Shut { wait: Duration::from_micros(until.saturating_sub(now)), openings });
                }
            }
        }
        self.numbers += 1;
        let limits = self.limits;
        let mut seat = Seat::new(at, self.numbers, want.express);
        seat.delay = micros(want.host_delay.map_or(limits.host_delay, |d| d.max(limits.host_delay)));
        seat.host_concurrency =
            want.host_concurrency.map_or(limits.host_concurrency, |n| n.clamp(1, limits.host_concurrency));
        seat.probe = probe;
        let number = seat.number;
        let seat = self.seats.sit(seat, &mut self.hosts[at as usize].line);
        self.waiting += 1;
        self.place(at, now);
        Ok(Ticket { seat, number })
    }

    /// Ends a turn, or gives up the place in the queue if the turn has not come; what the request says of its host.
    pub fn leave(&mut self, ticket: Ticket, report: Report, now: Moment) {
        let Some(seat) = self.seats.of(ticket) else { return };
        let (at, began, class, probe) = (seat.host, seat.began, seat.class, seat.probe);
        let host_concurrency = self.limits.host_concurrency;
        match began {
            Moment::MAX => self.drop_out(ticket.seat),
            began => {
                self.in_flight -= 1;
                self.in_flight_of[class as usize] -= 1;
                let entry = &mut self.hosts[at as usize];
                entry.in_flight -= 1;
                entry.used_at = now;
                if report != Report::Nothing {
                    let health = entry.health.get_or_insert_with(|| Box::new(Health::new(began)));
                    let was_closed = health.circuit.is_closed();
                    let lesson = health.hear(report, began, now, host_concurrency);
                    let is_closed = health.circuit.is_closed();
                    self.open_circuits += usize::from(was_closed && !is_closed);
                    self.open_circuits -= usize::from(!was_closed && is_closed);
                    self.learn(at, lesson, now);
                }
            }
        }
        if probe && let Some(health) = &mut self.hosts[at as usize].health {
            health.circuit.gave_up(now);
        }
        self.seats.stand_up(ticket.seat);
        self.place(at, now);
    }

    /// No request to the ticket's host starts before `until`.
    pub(crate) fn hold(&mut self, ticket: Ticket, until: Moment, now: Moment) {
        let seat = self.seats.of(ticket);
        if let Some(at) = seat.map(|s| s.host) {
            let entry = &mut self.hosts[at as usize];
            entry.held_until = entry.held_until.max(until);
            self.mark(at);
            self.place(at, now);
        }
    }

    /// Gives the turns that have come.
    pub fn turns(&mut self, now: Moment, given: &mut Vec<Ticket>) {
        while let Some((at, host, _)) = self.timed.first(is_at(&self.hosts, Place::Timed)) {
            if at > now {
                break;
            }
            self.place(host, now);
        }
        self.forget(now);
        while self.in_flight < self.limits.concurrency {
            let most = self.limits.concurrency;
            let [_, unknown, slow] = self.in_flight_of;
            let may = [
                true,
                unknown + slow < most - most / 4,
                slow < most - most / 2 && unknown + slow < most - most / 4,
            ];
            let first = [Class::Quick, Class::Unknown, Class::Slow]
                .into_iter()
                .filter(|class| may[*class as usize])
                .filter_map(|class| {
                    let queue = &mut self.ready[class as usize];
                    queue
                        .first(is_at(&self.hosts, Place::Ready(class)))
                        .map(|(number, at, _)| (number, at, class))
                })
                .min_by_key(|(number, ..)| *number);
            let Some((_, at, class)) = first else { break };
            // A host is ready only with a waiter at its front.
            let Some(seat) = self.hosts[at as usize].line.front() else { break };
            self.drop_out(seat);
            self.in_flight += 1;
            self.in_flight_of[class as usize] += 1;
            let (_, delay) = self.bounds_of(at, self.seats.at(seat));
            let entry = &mut self.hosts[at as usize];
            let taken = self.seats.at_mut(seat);
            taken.began = now;
            taken.class = class;
            let delay = delay.max(entry.health.as_ref().map_or(0, |h| h.gap));
            entry.in_flight += 1;
            entry.started_at = now;
            entry.next_at = now.saturating_add(delay);
            given.push(Ticket { seat, number: taken.number });
            if delay >= KEPT_DELAY {
                self.mark(at);
            }
            self.place(at, now);
        }
    }

    /// Waiters whose host's circuit opened: they will not get their turn, and have left.
    pub fn shut_out(&mut self) -> Vec<(Ticket, Shut)> {
        std::mem::take(&mut self.shut_out)
    }

    /// When [`Core::turns`] has to be asked again although nobody asks or leaves; `None` if never.
    pub fn wake_at(&mut self) -> Option<Moment> {
        if self.waiting == 0 {
            return None;
        }
        self.timed.first(is_at(&self.hosts, Place::Timed)).map(|(at, ..)| at)
    }

    /// Whether the ticket still has its seat.
    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        self.seats.of(ticket).is_some()
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Hosts known.
    pub fn hosts(&self) -> usize {
        self.names.len()
    }

    /// The host's index; it is made if need be.
    pub(super) fn host(&mut self, name: &str, now: Moment) -> u32 {
        if let Some(at) = self.names.get(name) {
            return *at;
        }
        let name: Arc<str> = name.into();
        let mut host = Host {
            name: Arc::clone(&name),
            line: Line::default(),
            in_flight: 0,
            started_at: Moment::MAX,
            next_at: 0,
            held_until: 0,
            used_at: now,
            key: 0,
            place: Place::Off,
            stamp: 0,
            learnt: false,
            is_here: true,
            health: None,
        };
        let at = match self.free_hosts.pop() {
            Some(at) => {
                host.stamp = self.hosts[at as usize].stamp;
                self.hosts[at as usize] = host;
                at
            }
            None => {
                self.hosts.push(host);
                // Cast: memory ends before four billion hosts.
                (self.hosts.len() - 1) as u32
            }
        };
        self.names.insert(name, at);
        at
    }

    /// No start before the host's delay has passed as if it had been asked just now; for what is known from before.
    pub(super) fn delay_start(&mut self, at: u32, until: Moment) {
        let entry = &mut self.hosts[at as usize];
        entry.next_at = entry.next_at.max(until);
    }

    /// Its last request began then, as far as delays go.
    pub(super) fn began(&mut self, at: u32, now: Moment) {
        self.hosts[at as usize].started_at = now;
    }

    /// The end of the delay of the host's last request.
    pub(super) fn next_start(&self, at: u32) -> Moment {
        self.hosts[at as usize].next_at
    }

    /// Something about the host is worth keeping.
    fn mark(&mut self, at: u32) {
        let entry = &mut self.hosts[at as usize];
        if !std::mem::replace(&mut entry.learnt, true) {
            self.learnt.push(at);
        }
    }

    /// Something is to be kept.
    pub(super) fn has_news(&self, at: u32) -> bool {
        self.hosts[at as usize].learnt
    }

    /// The host's news have been taken.
    pub(super) fn unmark(&mut self, at: u32) {
        self.hosts[at as usize].learnt = false;
    }

    /// Out of its host's line.
    fn drop_out(&mut self, seat: u32) {
        let at = self.seats.at(seat).host;
        self.seats.step_out(seat, &mut self.hosts[at as usize].line);
        self.waiting -= 1;
    }

    fn learn(&mut self, at: u32, lesson: Lesson, now: Moment) {
        if let Some(until) = lesson.pause_until {
            let entry = &mut self.hosts[at as usize];
            entry.held_until = entry.held_until.max(until);
        }
        if lesson.learnt {
            self.mark(at);
        }
        if lesson.opened {
            let health = self.hosts[at as usize].health.as_ref();
            let (wait, openings) = match health.map(|h| h.circuit) {
                Some(super::circuit::Circuit::Open { until, openings }) => {
                    (until.saturating_sub(now), openings)
                }
                _ => (0, 0),
            };
            let shut = Shut { wait: Duration::from_micros(wait), openings };
            while let Some(seat) = self.hosts[at as usize].line.front() {
                let number = self.seats.at(seat).number;
                self.drop_out(seat);
                self.seats.stand_up(seat);
                self.shut_out.push((Ticket { seat, number }, shut));
            }
        }
    }

    /// Forgets idle hosts whose time has come, and the longest idle ones for room.
    fn forget(&mut self, now: Moment) {
        for _ in 0..FORGET_AT_ONCE {
            let Some((until, at, _)) = self.idle.first(is_at(&self.hosts, Place::Idle)) else { return };
            let entry = &self.hosts[at as usize];
            let is_free = entry.held_until.max(entry.next_at) <= now;
            if until > now && (self.idle.len() <= IDLE_MAX || !is_free) {
                return;
            }
            self.set_place(at, Place::Off, 0);
            let entry = &mut self.hosts[at as usize];
            entry.is_here = false;
            if entry.health.take().is_some_and(|h| !h.circuit.is_closed()) {
                self.open_circuits -= 1;
            }
            self.names.remove(&entry.name);
            self.free_hosts.push(at);
        }
    }

    /// Puts a host where it belongs after a change.
    pub(super) fn place(&mut self, at: u32, now: Moment) {
        let host = &self.hosts[at as usize];
        let health = host.health.as_deref();
        let (place, key) = match host.line.front().map(|seat| self.seats.at(seat)) {
            Some(seat) => {
                let (at_once, delay) = self.bounds_of(at, seat);
                let delayed = match host.started_at {
                    Moment::MAX => 0,
                    at => at.saturating_add(delay),
                };
                let start = host.next_at.max(host.held_until).max(delayed);
                let bound = health.map_or(at_once, |h| h.bears(at_once));
                if host.in_flight >= bound {
                    (Place::Off, 0)
                } else if start <= now {
                    (Place::Ready(health.map_or(Class::Unknown, Health::class)), seat.number)
                } else {
                    (Place::Timed, start)
                }
            }
            None if host.in_flight == 0 => {
                let keep = if health.is_none_or(Health::is_plain) { KEEP_PLAIN } else { KEEP_LEARNT };
                let keep = if health.is_some() { keep } else { 0 };
                (Place::Idle, host.used_at.saturating_add(keep).max(host.next_at).max(host.held_until))
            }
            None => (Place::Off, 0),
        };
        if (place, key) != (host.place, host.key) {
            self.set_place(at, place, key);
        }
    }

    fn set_place(&mut self, at: u32, place: Place, key: u64) {
        let host = &mut self.hosts[at as usize];
        let left = std::mem::replace(&mut host.place, place);
        host.key = key;
        host.stamp = host.stamp.wrapping_add(1);
        let stamp = host.stamp;
        let hosts = &self.hosts;
        let [quick, unknown, slow] = &mut self.ready;
        let queues = [quick, unknown, slow, &mut self.timed, &mut self.idle];
        let queue = |place| match place {
            Place::Off => None,
            Place::Ready(class) => Some(class as usize),
            Place::Timed => Some(3),
            Place::Idle => Some(4),
        };
        if let Some(which) = queue(left) {
            queues[which].left(is_at(hosts, left));
        }
        if let Some(which) = queue(place) {
            queues[which].push((key, at, stamp));
        }
    }
}

/// Whether an entry of a queue is true.
fn is_at(hosts: &[Host], place: Place) -> impl Fn(u32, u32) -> bool {
    move |at, stamp| hosts[at as usize].stamp == stamp && hosts[at as usize].place == place
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
