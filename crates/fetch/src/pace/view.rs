//! A host as people look at it: numbers with their units, nothing that could be changed.

use super::Moment;
use super::circuit::Circuit;
use super::core::{Core, Host, micros};
use super::share::Share;
use serde::Serialize;

/// Hosts that are looked through at once for the first of them, at least.
const FIRST: usize = 1_000;

/// A host as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HostView {
    /// Its name, with the port where it is not the scheme's own.
    pub host: String,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests that wait for their turn.
    pub waiting: u32,
    /// Requests at once that the settings and the host's behaviour allow.
    pub concurrency: u32,
    /// Milliseconds between the starts of two requests, the setting or more where the host asked for it.
    pub delay_ms: f64,
    /// Milliseconds that an answer takes of late, and usually.
    pub latency_ms: f64,
    /// See `latency_ms`.
    pub usual_latency_ms: f64,
    /// Answers, whatever they said.
    pub answers: u64,
    /// Of those, 429 and 503.
    pub slow_downs: u64,
    /// Requests without an answer.
    pub failures: u64,
    /// `closed`, `open` (the host does not answer and is not asked) or `probing`.
    pub circuit: &'static str,
    /// Milliseconds until an open circuit lets a request through.
    pub circuit_open_ms: u64,
    /// Milliseconds for which nobody asks the host: `Retry-After`, or a pause after 429.
    pub held_ms: u64,
    /// Milliseconds since somebody last asked or was answered.
    pub idle_ms: u64,
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a host's delay are far below 2^52")]
fn ms(micros: Moment) -> f64 {
    micros as f64 / 1_000.0
}

impl Core {
    /// One host.
    pub(super) fn view(&self, name: &str, now: Moment) -> Option<HostView> {
        self.names.get(name).map(|at| self.view_of(&self.hosts[*at as usize], now))
    }

    /// Hosts whose name contains `part`: those with most to tell first (waiting, under way, slow-downs and failures,
    /// answers), then by name; how many there are in all. Looks at every host once and remembers twice `most` of them:
    /// with a million hosts known the pacer stands still for some hundredths of a second.
    pub(super) fn views(&self, part: &str, most: usize, now: Moment) -> (Vec<HostView>, usize) {
        let weight = |host: &Host| {
            let health = host.health.as_deref();
            let trouble = health.map_or(0, |h| h.slow_downs.saturating_add(h.failures));
            (host.line.waiting, host.in_flight, trouble, health.map_or(0, |h| h.answers))
        };
        let order = |a: &&Host, b: &&Host| weight(b).cmp(&weight(a)).then_with(|| a.name.cmp(&b.name));
        let mut found: Vec<&Host> = Vec::new();
        let mut all = 0;
        for host in self.hosts.iter().filter(|h| h.is_here && (part.is_empty() || h.name.contains(part))) {
            all += 1;
            found.push(host);
            if found.len() >= most.max(FIRST).saturating_mul(2) {
                found.select_nth_unstable_by(most, order);
                found.truncate(most);
            }
        }
        found.sort_unstable_by(order);
        found.truncate(most);
        (found.into_iter().map(|host| self.view_of(host, now)).collect(), all)
    }

    fn view_of(&self, host: &Host, now: Moment) -> HostView {
        let share = self.names.get(&host.name).map_or(Share::WHOLE, |at| self.share_of(*at));
        let setting = share.at_once(self.limits.host_concurrency);
        let mut view = HostView {
            host: host.name.to_string(),
            in_flight: host.in_flight,
            waiting: host.line.waiting,
            concurrency: setting,
            delay_ms: ms(share.delay(micros(self.limits.host_delay))),
            circuit: "closed",
            held_ms: host.held_until.saturating_sub(now) / 1_000,
            idle_ms: now.saturating_sub(host.used_at) / 1_000,
            ..HostView::default()
        };
        if let Some(health) = host.health.as_deref() {
            view.concurrency = health.bears(setting);
            view.delay_ms = view.delay_ms.max(ms(health.gap));
            view.latency_ms = ms(health.latency.into());
            view.usual_latency_ms = ms(health.usual.into());
            view.answers = health.answers.into();
            view.slow_downs = health.slow_downs.into();
            view.failures = health.failures.into();
            match health.circuit {
                Circuit::Closed(_) => {}
                Circuit::Probing { .. } => view.circuit = "probing",
                Circuit::Open { until, .. } => {
                    view.circuit = "open";
                    view.circuit_open_ms = until.saturating_sub(now) / 1_000;
                }
            }
        }
        view
    }
}
