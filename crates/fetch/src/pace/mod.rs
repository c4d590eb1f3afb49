//! One pacer for all requests of this process: the thin async shell around [`core`].
//!
//! Invariant: dropping a [`Turn`], waiting or granted, gives its place to the next at once.

mod core;

pub(crate) use self::core::{Limits, Want};

use self::core::{Core, Ticket};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Gives turns.
pub(crate) struct Pacer {
    state: Mutex<State>,
    /// An earlier moment to wake at, for the clockwork.
    sooner: Notify,
    epoch: Instant,
}

struct State {
    core: Core,
    bells: HashMap<Ticket, oneshot::Sender<()>>,
    /// When the task wakes that gives the turns that come by time alone; `None` if there is no such task.
    clockwork: Option<Duration>,
}

/// A place in the queue, then a turn: the request may be made while it lives.
pub(crate) struct Turn {
    pacer: Arc<Pacer>,
    host: Arc<str>,
    ticket: Ticket,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pacer.change(|state, now| {
            state.bells.remove(&self.ticket);
            state.core.leave(&self.host, self.ticket, now);
        });
    }
}

impl Turn {
    /// Nobody asks this host anything before `wait` has passed.
    pub(crate) fn hold(&self, wait: Duration) {
        self.pacer.change(|state, now| state.core.hold(&self.host, now.saturating_add(wait), now));
    }
}

impl Pacer {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { core: Core::new(limits), bells: HashMap::new(), clockwork: None }),
            sooner: Notify::new(),
            epoch: Instant::now(),
        })
    }

    /// Waits for a turn.
    pub(crate) async fn turn(self: &Arc<Self>, host: Arc<str>, want: Want) -> Turn {
        let (turn, bell) = {
            let mut state = self.lock();
            let now = self.now();
            let ticket = state.core.ask(&host, want, now);
            let turn = Turn { pacer: Arc::clone(self), host, ticket };
            let given = state.core.turns(now);
            // The common case: nothing in the way, no bell needed.
            if given == [ticket] {
                return turn;
            }
            let (sender, bell) = oneshot::channel();
            state.bells.insert(ticket, sender);
            for ticket in given {
                state.ring(ticket);
            }
            self.wind_up(&mut state);
            (turn, bell)
        };
        // An error would mean that the bell was thrown away unrung, which only `leave` of this very turn does.
        _ = bell.await;
        turn
    }

    /// Requests waiting for their turn, and those that have it.
    pub(crate) fn counts(&self) -> (usize, u32) {
        let state = self.lock();
        (state.core.waiting(), state.core.in_flight())
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queues and gives the turns that come of it.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut State, Duration)) {
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
    fn give_turns(&mut self, now: Duration) {
        for ticket in self.core.turns(now) {
            self.ring(ticket);
        }
    }

    fn ring(&mut self, ticket: Ticket) {
        if let Some(bell) = self.bells.remove(&ticket) {
            // A waiter that is being dropped leaves by itself and frees the turn.
            _ = bell.send(());
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
            () = tokio::time::sleep_until(pacer.epoch + wake_at) => {}
            () = pacer.sooner.notified() => {}
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
