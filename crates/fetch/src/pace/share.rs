//! A host of which this process has only a share, and hosts that change hands between processes. Pure.
//!
//! Invariant: processes that hold all shares of a host between them ask it no harder, in sum, than one that has it alone.

use super::Moment;
use super::core::Core;
use super::keep::{HostState, Now};
use super::seat::Seat;
use std::sync::Arc;

/// Shards held, and of how many. Without any (a redirect led here) the pace is that of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    held: u32,
    of: u32,
}

impl Share {
    pub(super) const WHOLE: Self = Self { held: 1, of: 1 };

    /// Requests at once, of so many that all may make.
    pub(super) fn at_once(self, all: u32) -> u32 {
        let n = u64::from(all) * u64::from(self.held) / u64::from(self.of);
        // No more than `all`, since no more is held than there is.
        u32::try_from(n).unwrap_or(all).max(1)
    }

    /// Between two starts, where it is so long for all together.
    pub(super) fn delay(self, all: Moment) -> Moment {
        all.saturating_mul(self.of.into()) / u64::from(self.held)
    }
}

impl Core {
    /// This process has so many of the shards of a host.
    pub(super) fn set_share(&mut self, name: &str, held: u32, of: u32, now: Moment) {
        let share = Share { held: held.clamp(1, of.max(1)), of: of.max(1) };
        self.shares.insert(Arc::from(name), share);
        if let Some(at) = self.names.get(name).copied() {
            self.place(at, now);
        }
    }

    pub(super) fn share_of(&self, at: u32) -> Share {
        if self.shares.is_empty() {
            return Share::WHOLE;
        }
        self.shares.get(&self.hosts[at as usize].name).copied().unwrap_or(Share::WHOLE)
    }

    /// What a request may, as far as the settings go: at once, and between two starts.
    pub(super) fn bounds_of(&self, at: u32, seat: &Seat) -> (u32, Moment) {
        let share = self.share_of(at);
        (share.at_once(seat.host_concurrency), share.delay(seat.delay))
    }

    /// Another process may have asked this host until now: as if its last request had begun this moment.
    pub(super) fn take_over(&mut self, name: &str, now: Moment) {
        let at = self.host(name, now);
        let gap = self.hosts[at as usize].health.as_ref().map_or(0, |health| health.gap);
        let delay = self.share_of(at).delay(super::core::micros(self.limits.host_delay));
        self.began(at, now);
        self.delay_start(at, now.saturating_add(delay.max(gap)));
        self.place(at, now);
    }

    /// What another process has learnt of a host since. Where requests are under way, what slows down is taken.
    pub(super) fn learn_from(&mut self, name: &str, kept: &HostState, now: Now) {
        let Some(at) = self.names.get(name).copied() else { return self.give_back(name, kept, now) };
        let host = &self.hosts[at as usize];
        if host.in_flight > 0 || host.line.waiting > 0 {
            self.slow_to(at, kept, now);
        } else {
            self.put(at, kept, now);
        }
        self.place(at, now.moment);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Core, Limits, Moment, Report, Want};
    use super::*;
    use std::time::Duration;

    const MS: Moment = 1_000;

    fn core(host_concurrency: u32, delay_ms: u64) -> Core {
        Core::new(Limits { concurrency: 100, host_concurrency, host_delay: Duration::from_millis(delay_ms) })
    }

    fn given(core: &mut Core, now: Moment) -> usize {
        let mut turns = Vec::new();
        core.turns(now, &mut turns);
        turns.len()
    }

    #[test]
    fn shares_of_all_holders_add_up_to_the_whole_at_most() {
        for (all, of) in [(8, 3), (8, 8), (3, 2), (100, 7)] {
            for held in 1..of {
                let mine = Share { held, of };
                let rest = Share { held: of - held, of };
                assert!(mine.at_once(all) + rest.at_once(all) <= all, "{all} {held}/{of}");
            }
            assert_eq!(Share { held: of, of }.at_once(all), all);
        }
        assert_eq!(Share { held: 2, of: 3 }.delay(200), 300);
    }

    #[test]
    fn a_share_bounds_what_runs_at_once_and_follows_what_is_held() {
        let mut core = core(8, 0);
        core.set_share("a", 1, 4, 0);
        for _ in 0..20 {
            core.ask("a", Want::default(), 0).unwrap();
        }
        assert_eq!(given(&mut core, 0), 2);
        core.set_share("a", 3, 4, 1);
        assert_eq!(given(&mut core, 1), 4, "six in all");
        core.set_share("a", 0, 4, 2);
        assert_eq!(given(&mut core, 2), 0);
    }

    #[test]
    fn a_share_of_the_rate_is_a_longer_delay() {
        let mut core = core(8, 100);
        core.set_share("a", 1, 2, 0);
        for _ in 0..3 {
            core.ask("a", Want::default(), 0).unwrap();
        }
        let mut starts = Vec::new();
        for now in 0..600 {
            starts.extend(std::iter::repeat_n(now, given(&mut core, now * MS)));
        }
        assert_eq!(starts, [0, 200, 400]);
    }

    #[test]
    fn who_takes_a_host_over_waits_for_its_interval_first() {
        let mut core = core(8, 100);
        core.take_over("a", 0);
        let want = Want { host_delay: Some(Duration::from_millis(300)), ..Want::default() };
        core.ask("a", Want::default(), 0).unwrap();
        core.ask("b", Want::default(), 0).unwrap();
        core.take_over("c", 0);
        core.ask("c", want, 0).unwrap();
        assert_eq!(given(&mut core, 0), 1, "b was not taken over");
        assert_eq!(given(&mut core, 99 * MS), 0);
        assert_eq!(given(&mut core, 100 * MS), 1);
        assert_eq!(given(&mut core, 299 * MS), 0);
        assert_eq!(given(&mut core, 300 * MS), 1, "the scraper's own delay counts");
    }

    #[test]
    fn what_the_last_holder_learnt_is_obeyed() {
        let kept = HostState { gap_us: 500 * MS, ..HostState::default() };
        let at = |ms: u64| Now { moment: ms * MS, unix_ms: 1_000 + ms };
        let mut core = core(8, 0);
        // Known here from before, without trouble.
        let ticket = core.ask("a", Want::default(), 0).unwrap();
        assert_eq!(given(&mut core, 0), 1);
        core.leave(ticket, Report::Answer, 10 * MS);
        core.take_over("a", 20 * MS);
        core.learn_from("a", &kept, at(20));
        core.ask("a", Want::default(), 20 * MS).unwrap();
        core.ask("a", Want::default(), 20 * MS).unwrap();
        assert_eq!(given(&mut core, 519 * MS), 0);
        assert_eq!(given(&mut core, 520 * MS), 1);
        // Somebody waits: nothing of what slows down is lost, nothing else changes.
        core.learn_from("a", &HostState { gap_us: 900 * MS, ..HostState::default() }, at(600));
        assert_eq!(given(&mut core, 1_400 * MS), 0);
        assert_eq!(given(&mut core, 1_500 * MS), 1);
    }
}
