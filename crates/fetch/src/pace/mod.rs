//! One pacer for all requests of this process: the thin async shell around [`Core`].
//!
//! Owns: who waits (bells), when time alone brings a turn (the clockwork), and the clock. What a host bears is in
//! `health` and `circuit`, who is next in `core`, what outlives a restart in `keep`, what people see in `view`.
//! Must not know: what is asked, and who asks.
//!
//! Invariant: dropping a `Turn`, waiting or granted, gives its place to the next at once.

mod circuit;
mod core;
mod health;
mod keep;
mod queue;
mod seat;
mod share;
mod view;

pub use self::core::{Core, Limits, Shut, Want};
pub use self::health::Report;
pub use self::keep::HostState;
pub use self::seat::Ticket;
pub use self::view::HostView;

use self::keep::Now;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Microseconds since the pacer was made.
pub type Moment = u64;

type Bell = oneshot::Sender<Result<(), Shut>>;

/// Gives turns.
pub(crate) struct Pacer {
    state: Mutex<State>,
    /// An earlier moment to wake at, for the clockwork.
    sooner: Notify,
    epoch: Instant,
}

struct State {
    core: Core,
    /// By seat.
    bells: Vec<Option<Bell>>,
    /// Turns just given; kept for its room.
    given: Vec<Ticket>,
    /// When the task wakes that gives the turns that come by time alone; `None` if there is no such task.
    clockwork: Option<Moment>,
}

/// A place in the queue, then a turn: the request may be made while it lives.
pub(crate) struct Turn {
    pacer: Arc<Pacer>,
    ticket: Ticket,
    report: Report,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pacer.change(|state, now| {
            state.silence(self.ticket);
            state.core.leave(self.ticket, self.report, now);
        });
    }
}

impl Turn {
    /// Nobody asks this host anything before `wait` has passed.
    pub(crate) fn hold(&self, wait: Duration) {
        let wait = Moment::try_from(wait.as_micros()).unwrap_or(Moment::MAX);
        self.pacer.change(|state, now| state.core.hold(self.ticket, now.saturating_add(wait), now));
    }

    /// Ends the turn and says how the request ended.
    pub(crate) fn end(mut self, report: Report) {
        self.report = report;
    }
}

/// Numbers of a pacer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) waiting: usize,
    pub(crate) in_flight: u32,
    pub(crate) hosts: usize,
    pub(crate) open_circuits: usize,
}

impl Pacer {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                core: Core::new(limits),
                bells: Vec::new(),
                given: Vec::new(),
                clockwork: None,
            }),
            sooner: Notify::new(),
            epoch: Instant::now(),
        })
    }

    /// Waits for a turn; [`Shut`] if the host does not answer and is not to be asked now.
    pub(crate) async fn turn(self: &Arc<Self>, host: &str, want: Want) -> Result<Turn, Shut> {
        let (turn, bell) = {
            let mut state = self.lock();
            let now = self.now();
            let ticket = state.core.ask(host, want, now)?;
            let turn = Turn { pacer: Arc::clone(self), ticket, report: Report::Nothing };
            let mut given = std::mem::take(&mut state.given);
            state.core.turns(now, &mut given);
            // The common case: nothing in the way, no bell needed.
            if given[..] == [ticket] {
                given.clear();
                state.given = given;
                return Ok(turn);
            }
            let bell = state.hang(ticket);
            for ticket in given.drain(..) {
                state.ring(ticket, Ok(()));
            }
            state.given = given;
            self.wind_up(&mut state);
            (turn, bell)
        };
        // An error would mean that the bell was thrown away unrung, which only `leave` of this very turn does.
        bell.await.unwrap_or(Ok(())).map(|()| turn)
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts {
            waiting: state.core.waiting(),
            in_flight: state.core.in_flight(),
            hosts: state.core.hosts(),
            open_circuits: state.core.open_circuits,
        }
    }

    /// One host as it stands.
    pub(crate) fn view(&self, host: &str) -> Option<HostView> {
        self.lock().core.view(host, self.now())
    }

    /// See [`Core::views`].
    pub(crate) fn views(&self, part: &str, most: usize) -> (Vec<HostView>, usize) {
        self.lock().core.views(part, most, self.now())
    }

    /// Hosts with news for a restart, at most `most`.
    pub(crate) fn export(&self, most: usize, unix_ms: u64) -> Vec<(String, HostState)> {
        self.lock().core.take_learnt(most, Now { moment: self.now(), unix_ms })
    }

    /// Hosts as they were before a restart.
    pub(crate) fn import(&self, hosts: &[(String, HostState)], unix_ms: u64) {
        let mut state = self.lock();
        let now = Now { moment: self.now(), unix_ms };
        for (name, kept) in hosts {
            state.core.give_back(name, kept, now);
        }
    }

    /// See [`Core::set_share`].
    pub(crate) fn set_share(self: &Arc<Self>, host: &str, held: u32, of: u32) {
        self.change(|state, now| state.core.set_share(host, held, of, now));
    }

    /// See [`Core::take_over`].
    pub(crate) fn take_over(self: &Arc<Self>, host: &str) {
        self.change(|state, now| state.core.take_over(host, now));
    }

    /// See [`Core::learn_from`].
    pub(crate) fn learn_from(self: &Arc<Self>, host: &str, kept: &HostState, unix_ms: u64) {
        self.change(|state, moment| state.core.learn_from(host, kept, Now { moment, unix_ms }));
    }

    /// News of one host for whoever asks it next.
    pub(crate) fn export_one(&self, host: &str, unix_ms: u64) -> Option<HostState> {
        self.lock().core.take_learnt_of(host, Now { moment: self.now(), unix_ms })
    }

    fn now(&self) -> Moment {
        // Cast: 584,000 years.
        self.epoch.elapsed().as_micros() as Moment
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queues and gives the turns that come of it.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut State, Moment)) {
        let mut state = self.lock();
        let now = self.now();
        change(&mut state, now);
        state.give_turns(now);
        self.wind_up(&mut state);
    }

    /// Sees to it that somebody wakes when the next turn comes by time alone.
    fn wind_up(self: &Arc<Self>, state: &mut State) {
        let Some(wake_at) = state.core.wake_at() else { return };
        match state.clockwork {
            Some(at) if at <= wake_at => {}
            Some(_) => {
                state.clockwork = Some(wake_at);
                self.sooner.notify_one();
            }
            // Without a runtime (a turn dropped while everything is torn down) nobody is left to be woken.
            None => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    state.clockwork = Some(wake_at);
                    runtime.spawn(clockwork(Clockwork { pacer: Arc::clone(self), stopped: false }));
                }
            }
        }
    }
}

impl State {
    fn give_turns(&mut self, now: Moment) {
        let mut given = std::mem::take(&mut self.given);
        self.core.turns(now, &mut given);
        for ticket in given.drain(..) {
            self.ring(ticket, Ok(()));
        }
        self.given = given;
        for (ticket, shut) in self.core.shut_out() {
            self.ring(ticket, Err(shut));
        }
    }

    fn hang(&mut self, ticket: Ticket) -> oneshot::Receiver<Result<(), Shut>> {
        let (sender, bell) = oneshot::channel();
        let seat = ticket.seat as usize;
        if self.bells.len() <= seat {
            self.bells.resize_with(seat + 1, || None);
        }
        self.bells[seat] = Some(sender);
        bell
    }

    fn ring(&mut self, ticket: Ticket, news: Result<(), Shut>) {
        if let Some(bell) = self.bells.get_mut(ticket.seat as usize).and_then(Option::take) {
            // A waiter that is being dropped leaves by itself and frees the turn.
            _ = bell.send(news);
        }
    }

    /// Its bell is not needed any more. A seat that was shut out may have another's bell by now.
    fn silence(&mut self, ticket: Ticket) {
        if self.core.holds(ticket)
            && let Some(bell) = self.bells.get_mut(ticket.seat as usize)
        {
            *bell = None;
        }
    }
}

/// The running clockwork. If its task ends halfway (its runtime is shut down), the next waiter starts another.
struct Clockwork {
    pacer: Arc<Pacer>,
    /// It has said itself that it stops.
    stopped: bool,
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        if !self.stopped {
            self.pacer.lock().clockwork = None;
        }
    }
}

async fn clockwork(mut running: Clockwork) {
    let pacer = Arc::clone(&running.pacer);
    loop {
        let wake_at = {
            let mut state = pacer.lock();
            state.give_turns(pacer.now());
            // Said in the same critical section as the look, so that no waiter slips between.
            state.clockwork = state.core.wake_at();
            state.clockwork
        };
        let Some(wake_at) = wake_at else {
            running.stopped = true;
            return;
        };
        tokio::select! {
            () = tokio::time::sleep_until(pacer.epoch + Duration::from_micros(wake_at)) => {}
            () = pacer.sooner.notified() => {}
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
