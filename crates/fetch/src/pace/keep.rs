//! What is kept of a host over a restart, as plain data, and how it comes back.
//!
//! Invariant: a host that comes back is asked no sooner, and no harder, than if this process had never ended.

use super::Moment;
use super::circuit::{Circuit, OPEN_MAX};
use super::core::Core;
use super::health::{GAP_MAX, Health};
use serde::{Deserialize, Serialize};

/// A host as it is kept. Moments are milliseconds since 1970; a field that is missing says nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostState {
    /// Microseconds between the starts of two requests, as learnt.
    #[serde(skip_serializing_if = "is_zero")]
    pub gap_us: u64,
    /// Requests at once, as learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<f32>,
    /// Good answers before the gap narrows.
    #[serde(skip_serializing_if = "is_zero")]
    pub patience: u64,
    /// No start before: a hold, or the delay of the last request.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_before_ms: u64,
    /// How often the circuit opened in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub openings: u64,
    /// Until when it is open.
    #[serde(skip_serializing_if = "is_zero")]
    pub open_until_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl HostState {
    /// Nothing that a fresh start would not know as well.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// The same instant on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) moment: Moment,
    pub(super) unix_ms: u64,
}

impl Now {
    fn unix(self, at: Moment) -> u64 {
        self.unix_ms + at.saturating_sub(self.moment).div_ceil(1_000)
    }

    /// A kept moment, no further ahead than a hold may be: a clock that was put back does not hold a host for ever.
    fn moment(self, at_ms: u64, most: Moment) -> Moment {
        self.moment + at_ms.saturating_sub(self.unix_ms).saturating_mul(1_000).min(most)
    }
}

/// Longest hold that is believed: a day, as for a delay.
const HOLD_MAX: Moment = 86_400_000_000;

impl Core {
    /// Hosts of which something changed since they were last taken, at most `most`; for the rest, ask again.
    pub(super) fn take_learnt(&mut self, most: usize, now: Now) -> Vec<(String, HostState)> {
        let mut states = Vec::new();
        while states.len() < most {
            let Some(at) = self.learnt.pop() else { break };
            if self.hosts[at as usize].is_here && self.has_news(at) {
                self.unmark(at);
                states.push((self.hosts[at as usize].name.to_string(), self.state(at, now)));
            }
        }
        states
    }

    fn state(&self, at: u32, now: Now) -> HostState {
        let host = &self.hosts[at as usize];
        let not_before = host.held_until.max(self.next_start(at));
        let mut state = HostState::default();
        if not_before > now.moment {
            state.not_before_ms = now.unix(not_before);
        }
        let Some(health) = host.health.as_ref().filter(|h| !h.is_plain()) else { return state };
        state.gap_us = health.gap;
        state.window = Some(health.window).filter(|w| w.is_finite());
        state.patience = u64::from(health.patience);
        state.openings = u64::from(health.circuit.openings());
        match health.circuit {
            Circuit::Open { until, .. } => state.open_until_ms = now.unix(until),
            // Whether the probe succeeds is not known: the next start sends one of its own.
            Circuit::Probing { .. } => state.open_until_ms = now.unix_ms,
            Circuit::Closed(_) => {}
        }
        state
    }

    /// Takes back what was kept; what this process has learnt itself meanwhile stays.
    pub(super) fn give_back(&mut self, name: &str, state: &HostState, now: Now) {
        if self.names.contains_key(name) {
            return;
        }
        let at = self.host(name, now.moment);
        self.put(at, state, now);
        self.place(at, now.moment);
    }

    /// What is to be kept of one host, if it has news.
    pub(super) fn take_learnt_of(&mut self, name: &str, now: Now) -> Option<HostState> {
        let at = self.names.get(name).copied()?;
        // Its place in the list of news stays and is passed over there.
        let news = self.has_news(at);
        self.unmark(at);
        news.then(|| self.state(at, now))
    }

    /// Obeys what is kept where it is slower than what is known here.
    pub(super) fn slow_to(&mut self, at: u32, state: &HostState, now: Now) {
        let held = now.moment(state.not_before_ms, HOLD_MAX);
        let host = &mut self.hosts[at as usize];
        host.held_until = host.held_until.max(held);
        let health = host.health.get_or_insert_with(|| Box::new(Health::new(now.moment)));
        health.gap = health.gap.max(state.gap_us.min(GAP_MAX));
        if let Some(window) = state.window.filter(|w| w.is_finite()) {
            health.window = health.window.min(window.max(1.0));
        }
        let gap_end = now.moment.saturating_add(health.gap);
        self.delay_start(at, gap_end);
    }

    /// A host as it was kept, in place of what is known of it. Nobody waits for it or talks to it.
    pub(super) fn put(&mut self, at: u32, state: &HostState, now: Now) {
        let known = self.hosts[at as usize].health.take();
        self.open_circuits -= usize::from(known.is_some_and(|h| !h.circuit.is_closed()));
        let mut health = Health::new(now.moment);
        health.gap = state.gap_us.min(GAP_MAX);
        if let Some(window) = state.window.filter(|w| w.is_finite()) {
            health.window = window.max(1.0);
        }
        health.patience = u32::try_from(state.patience).unwrap_or(u32::MAX).max(health.patience);
        if let Some(openings) = u32::try_from(state.openings).ok().filter(|n| *n > 0) {
            health.circuit = Circuit::Open { until: now.moment(state.open_until_ms, OPEN_MAX), openings };
            self.open_circuits += 1;
        }
        // When the last request began is not kept for short gaps: as if it had been a moment ago.
        let gap_end = now.moment.saturating_add(health.gap);
        let host = &mut self.hosts[at as usize];
        host.held_until = host.held_until.max(now.moment(state.not_before_ms, HOLD_MAX));
        host.health = Some(Box::new(health));
        self.delay_start(at, gap_end);
    }
}
