//! Which proxy a request goes through, and how they fare. Pure: `now` is an argument.
//!
//! A proxy that fails rests, twice as long each time, and is then tried with one request at a time until it works.
//! Where either the site or the proxy may be at fault, the proxy is blamed once another one reaches the same site, or
//! once it reached none of several.

use super::address::{Keeping, Proxy, Scheme};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Rest after a first failure, doubling after.
const REST: Duration = Duration::from_secs(1);
/// Rest at most: a proxy that is mended is back within minutes.
const REST_MAX: Duration = Duration::from_secs(300);
/// Sites in a row that a proxy did not reach, until it is taken for its own fault.
const UNREACHED_MAX: usize = 3;
/// How soon to come back while the only fitting proxy is being tried.
const SOON: Duration = Duration::from_millis(200);

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is the proxy's own.
    Own,
    /// It is the proxy's or the site's.
    Either,
}

/// What a request asks of its proxy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demand<'a> {
    pub(crate) in_session: bool,
    pub(crate) country: Option<&'a str>,
    pub(crate) label: Option<&'a str>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoProxy {
    /// None is like that.
    Fits,
    /// Those that are like that rest; ask again then.
    Works(Duration),
}

/// Where a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyState {
    /// It works, or was not used yet.
    Healthy,
    /// It failed and rests.
    Resting,
    /// It failed, rested, and is being tried.
    Tried,
}

impl ProxyState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Resting => "resting",
            Self::Tried => "tried",
        }
    }
}

/// How one proxy fares, without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyStats {
    /// `host:port`.
    pub address: String,
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Two letters.
    pub country: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Where it stands.
    pub state: ProxyState,
    /// Milliseconds that it still rests.
    pub rests_ms: u64,
    /// Requests given to it.
    pub requests: u64,
    /// Those that came to an answer of the site.
    pub answered: u64,
    /// Failures of its own.
    pub failures: u64,
    /// Times that it did not reach a site.
    pub unreached: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// What its last failure was.
    pub last_error: Option<String>,
}

/// One proxy and how it fares.
struct Member {
    proxy: Arc<Proxy>,
    /// Failures in a row.
    failures: u32,
    rests_until: Option<Instant>,
    /// Sites not reached since it last reached one.
    unreached_in_row: Vec<String>,
    in_flight: u64,
    /// Larger is later.
    last_used: u64,
    requests: u64,
    answered: u64,
    failed: u64,
    unreached: u64,
    last_error: Option<String>,
}

/// All proxies.
pub(super) struct Health {
    members: Vec<Member>,
    used: u64,
}

impl Health {
    pub(super) fn new(proxies: &[Arc<Proxy>]) -> Self {
        let member = |proxy: &Arc<Proxy>| Member {
            proxy: Arc::clone(proxy),
            failures: 0,
            rests_until: None,
            unreached_in_row: Vec::new(),
            in_flight: 0,
            last_used: 0,
            requests: 0,
            answered: 0,
            failed: 0,
            unreached: 0,
            last_error: None,
        };
        Self { members: proxies.iter().map(member).collect(), used: 0 }
    }

    /// Picks one and counts it as used: that of the session if it works, else the least loaded, and of those the one
    /// that was idle longest. `not` are out of the question.
    pub(super) fn choose(
        &mut self,
        demand: Demand<'_>,
        pinned: Option<usize>,
        not: &[usize],
        now: Instant,
    ) -> Result<usize, NoProxy> {
        let fitting = || (0..self.members.len()).filter(|at| fit(&self.members[*at].proxy, demand).is_some());
        let usable = |at: &usize| !not.contains(at) && self.members[*at].is_usable(now);
        let sticky = pinned.filter(|at| fitting().any(|fits| fits == *at) && usable(at));
        let chosen = sticky.or_else(|| {
            fitting().filter(usable).min_by_key(|at| {
                let member = &self.members[*at];
                // What was just mended comes after what always worked.
                (fit(&member.proxy, demand), member.failures > 0, member.in_flight, member.last_used)
            })
        });
        let Some(at) = chosen else {
            if fitting().next().is_none() {
                return Err(NoProxy::Fits);
            }
            let waits = fitting().filter_map(|at| self.members[at].rests_until?.checked_duration_since(now));
            return Err(NoProxy::Works(waits.min().unwrap_or(SOON).max(SOON)));
        };
        self.used += 1;
        let member = &mut self.members[at];
        member.last_used = self.used;
        member.in_flight += 1;
        member.requests += 1;
        Ok(at)
    }

    /// The use of it is over, whatever came of it.
    pub(super) fn release(&mut self, at: usize) {
        self.members[at].in_flight = self.members[at].in_flight.saturating_sub(1);
    }

    /// The site was reached through it. Whether it had failed before.
    pub(super) fn works(&mut self, at: usize) -> bool {
        let member = &mut self.members[at];
        member.answered += 1;
        member.unreached_in_row.clear();
        member.rests_until = None;
        std::mem::take(&mut member.failures) > 0
    }

    /// It failed. Gives its rest, if it was not resting already (others were under way when it fell).
    pub(super) fn failed(&mut self, at: usize, reason: &str, now: Instant) -> Option<Duration> {
        let member = &mut self.members[at];
        member.failed += 1;
        member.last_error = Some(reason.to_owned());
        member.rest(now)
    }

    /// It did not reach that site. Gives its rest if that is now taken for its own fault.
    pub(super) fn unreached(
        &mut self,
        at: usize,
        site: &str,
        reason: &str,
        now: Instant,
    ) -> Option<Duration> {
        let member = &mut self.members[at];
        member.unreached += 1;
        member.last_error = Some(reason.to_owned());
        if !member.unreached_in_row.iter().any(|known| known == site) {
            member.unreached_in_row.push(site.to_owned());
        }
        if member.unreached_in_row.len() < UNREACHED_MAX && member.failures == 0 {
            return None;
        }
        member.unreached_in_row.clear();
        member.rest(now)
    }

    pub(super) fn stats(&self, now: Instant) -> Vec<ProxyStats> {
        self.members
            .iter()
            .map(|member| {
                let rests = member.rests_until.and_then(|until| until.checked_duration_since(now));
                let rests = rests.filter(|rest| !rest.is_zero());
                ProxyStats {
                    address: member.proxy.shown(),
                    scheme: member.proxy.scheme,
                    country: member.proxy.country.clone(),
                    labels: member.proxy.labels.clone(),
                    state: match (rests, member.failures) {
                        (Some(_), _) => ProxyState::Resting,
                        (None, 0) => ProxyState::Healthy,
                        (None, _) => ProxyState::Tried,
                    },
                    rests_ms: rests.map_or(0, |rest| u64::try_from(rest.as_millis()).unwrap_or(u64::MAX)),
                    requests: member.requests,
                    answered: member.answered,
                    failures: member.failed,
                    unreached: member.unreached,
                    in_flight: member.in_flight,
                    last_error: member.last_error.clone(),
                }
            })
            .collect()
    }
}

impl Member {
    fn is_usable(&self, now: Instant) -> bool {
        match self.rests_until {
            Some(until) if until > now => false,
            // Tried again: by one at a time.
            Some(_) => self.in_flight == 0,
            None => true,
        }
    }

    fn rest(&mut self, now: Instant) -> Option<Duration> {
        if self.rests_until.is_some_and(|until| until > now) {
            return None;
        }
        let rest = REST.saturating_mul(1 << self.failures.min(16)).min(REST_MAX);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = Some(now + rest);
        Some(rest)
    }
}

/// How well a proxy fits, smaller is better; `None` if it does not.
fn fit(proxy: &Proxy, demand: Demand<'_>) -> Option<u8> {
    let country = match demand.country {
        Some(country) => proxy.takes_country() || proxy.country.as_deref() == Some(country),
        None => !proxy.takes_country() || proxy.country.is_some(),
    };
    let label = demand.label.is_none_or(|label| proxy.labels.iter().any(|known| known == label));
    let kept = match (proxy.keeping, demand.in_session) {
        (Some(Keeping::Rotating), true) => return None,
        // Addresses that last are for those who need them.
        (Some(Keeping::Sticky), false) => 1,
        _ => 0,
    };
    (country && label).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(lines: &[&str]) -> Health {
        let proxies: Vec<_> = lines.iter().map(|line| Arc::new(Proxy::parse(line).unwrap())).collect();
        Health::new(&proxies)
    }

    fn any(health: &mut Health, now: Instant) -> Result<usize, NoProxy> {
        health.choose(Demand::default(), None, &[], now)
    }

    #[test]
    fn the_least_loaded_then_the_longest_idle() {
        let (mut health, now) = (health(&["http://a", "http://b", "http://c"]), Instant::now());
        let first: Vec<_> = (0..3).map(|_| any(&mut health, now).unwrap()).collect();
        assert_eq!(first, [0, 1, 2]);
        health.release(1);
        assert_eq!(any(&mut health, now), Ok(1), "the others are busy");
        (0..3).for_each(|at| health.release(at));
        assert_eq!(any(&mut health, now), Ok(0));
    }

    #[test]
    fn countries_labels_and_sessions_choose() {
        let mut health = health(&[
            "http://plain",
            "http://de#country=de,label=homes",
            "http://u-{country}@any#label=homes",
            "http://r#session=rotating",
            "http://s#session=sticky",
        ]);
        let now = Instant::now();
        let mut all = |demand: Demand<'_>| {
            let mut found = Vec::new();
            while let Ok(at) = health.choose(demand, None, &found, now) {
                health.release(at);
                found.push(at);
            }
            found.sort_unstable();
            found
        };
        assert_eq!(all(Demand::default()), [0, 1, 3, 4]);
        assert_eq!(all(Demand { in_session: true, ..Demand::default() }), [0, 1, 4]);
        assert_eq!(all(Demand { country: Some("de"), ..Demand::default() }), [1, 2]);
        assert_eq!(all(Demand { country: Some("us"), ..Demand::default() }), [2]);
        assert_eq!(all(Demand { label: Some("homes"), ..Demand::default() }), [1]);
        assert!(all(Demand { label: Some("none"), ..Demand::default() }).is_empty());
        let none = health.choose(Demand { label: Some("none"), ..Demand::default() }, None, &[], now);
        assert_eq!(none, Err(NoProxy::Fits));
        // Those that keep their address come last for who needs none.
        let order: Vec<_> = (0..3).map(|_| any(&mut health, now).unwrap()).collect();
        assert!(!order.contains(&4), "{order:?}");
    }

    #[test]
    fn a_session_keeps_its_proxy_while_it_works() {
        let (mut health, now) = (health(&["http://a", "http://b"]), Instant::now());
        let demand = Demand { in_session: true, ..Demand::default() };
        for _ in 0..3 {
            assert_eq!(health.choose(demand, Some(1), &[], now), Ok(1));
        }
        health.failed(1, "gone", now);
        assert_eq!(health.choose(demand, Some(1), &[], now), Ok(0));
    }

    #[test]
    fn failures_rest_longer_each_time_and_one_request_tries_again() {
        let (mut health, mut now) = (health(&["http://a"]), Instant::now());
        let mut rests = Vec::new();
        for _ in 0..12 {
            assert_eq!(any(&mut health, now), Ok(0));
            assert_eq!(
                any(&mut health, now).is_err(),
                !rests.is_empty(),
                "only one tries a proxy that had failed"
            );
            let rest = health.failed(0, "refused", now).unwrap();
            assert_eq!(health.failed(0, "refused", now), None, "the other fell with it");
            (0..2).for_each(|_| health.release(0));
            assert_eq!(any(&mut health, now), Err(NoProxy::Works(rest)));
            rests.push(rest.as_secs());
            now += rest;
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(health.stats(now)[0].state, ProxyState::Tried);
        assert!(health.works(0));
        assert_eq!(health.stats(now)[0].state, ProxyState::Healthy);
        any(&mut health, now).unwrap();
        assert_eq!(health.failed(0, "again", now), Some(REST), "a success forgives");
    }

    #[test]
    fn one_dead_site_is_not_the_proxys_fault_but_three_are() {
        let (mut health, now) = (health(&["http://a"]), Instant::now());
        for _ in 0..10 {
            assert_eq!(health.unreached(0, "dead.example", "502", now), None);
        }
        assert_eq!(health.unreached(0, "two.example", "502", now), None);
        health.works(0);
        assert_eq!(health.unreached(0, "three.example", "502", now), None);
        assert_eq!(health.unreached(0, "four.example", "502", now), None);
        assert_eq!(health.unreached(0, "five.example", "502", now), Some(REST));
        assert_eq!((health.stats(now)[0].unreached, health.stats(now)[0].failures), (14, 0));
    }
}
