//! The rules of the queue by example, then against any schedule.

use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn limits(concurrency: u32, host_concurrency: u32, delay_ms: u32) -> Limits {
    Limits { concurrency, host_concurrency, host_delay: MS * delay_ms }
}

fn host(name: &str) -> Arc<str> {
    name.into()
}

const EXPRESS: Want = Want { host_concurrency: None, host_delay: None, express: true };
const ORDINARY: Want = Want { host_concurrency: None, host_delay: None, express: false };

#[test]
fn express_goes_first_within_a_host_and_between_hosts() {
    let mut core = Core::new(limits(1, 1, 0));
    let (a, b) = (host("a"), host("b"));
    let running = core.ask(&a, ORDINARY, MS);
    assert_eq!(core.turns(MS), [running]);
    let plain_a = core.ask(&a, ORDINARY, MS);
    let plain_b = core.ask(&b, ORDINARY, MS);
    let express_b = core.ask(&b, EXPRESS, MS);
    let express_a = core.ask(&a, EXPRESS, MS);
    assert_eq!(core.turns(MS), []);
    let mut order = Vec::new();
    let mut last = (a.clone(), running);
    for _ in 0..4 {
        core.leave(&last.0, last.1, MS);
        let given = core.turns(MS);
        assert_eq!(given.len(), 1);
        let at = if given[0] == plain_a || given[0] == express_a { &a } else { &b };
        last = (at.clone(), given[0]);
        order.push(given[0]);
    }
    assert_eq!(order, [express_b, express_a, plain_a, plain_b]);
}

#[test]
fn a_request_may_ask_for_less_but_not_for_more() {
    let mut core = Core::new(limits(10, 2, 100));
    let a = host("a");
    let greedy = Want { host_concurrency: Some(9), host_delay: Some(MS), express: false };
    for _ in 0..3 {
        core.ask(&a, greedy, Duration::ZERO);
    }
    assert_eq!(core.turns(Duration::ZERO).len(), 1);
    assert_eq!(core.turns(MS * 99).len(), 0);
    assert_eq!(core.turns(MS * 100).len(), 1);
    assert_eq!(core.turns(MS * 1_000).len(), 0);
}

#[test]
fn a_modest_request_waits_for_an_empty_host() {
    let mut core = Core::new(limits(10, 2, 0));
    let a = host("a");
    let first = core.ask(&a, ORDINARY, MS);
    let modest = core.ask(&a, Want { host_concurrency: Some(1), ..ORDINARY }, MS);
    assert_eq!(core.turns(MS), [first]);
    core.leave(&a, first, MS);
    assert_eq!(core.turns(MS), [modest]);
}

#[test]
fn idle_hosts_are_forgotten_when_their_delay_has_passed() {
    let mut core = Core::new(limits(10, 2, 50));
    for i in 0..100 {
        let name = host(&i.to_string());
        let ticket = core.ask(&name, ORDINARY, Duration::ZERO);
        assert_eq!(core.turns(Duration::ZERO), [ticket]);
        core.leave(&name, ticket, Duration::ZERO);
    }
    assert_eq!(core.hosts(), 100);
    assert_eq!(core.wake_at(), None);
    core.turns(MS * 50);
    assert_eq!(core.hosts(), 0);
}

#[test]
fn a_hold_outlives_the_requests() {
    let mut core = Core::new(limits(10, 2, 0));
    let a = host("a");
    let first = core.ask(&a, ORDINARY, Duration::ZERO);
    core.turns(Duration::ZERO);
    core.hold(&a, MS * 500, Duration::ZERO);
    core.leave(&a, first, Duration::ZERO);
    let second = core.ask(&a, EXPRESS, MS);
    assert_eq!(core.turns(MS * 499), []);
    assert_eq!(core.wake_at(), Some(MS * 500));
    assert_eq!(core.turns(MS * 500), [second]);
}

/// One thing that happens; indexes are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Ask { host: u8, express: bool, concurrency: Option<u32>, delay_ms: Option<u32> },
    Leave(usize),
    Cancel(usize),
    Hold { which: usize, ms: u32 },
    Pass(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_u8, any::<bool>(), proptest::option::of(0..4_u32), proptest::option::of(0..60_u32))
            .prop_map(|(host, express, concurrency, delay_ms)| Step::Ask { host, express, concurrency, delay_ms }),
        3 => any::<usize>().prop_map(Step::Leave),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => (any::<usize>(), 1..90_u32).prop_map(|(which, ms)| Step::Hold { which, ms }),
        3 => (0..40_u32).prop_map(Step::Pass),
    ]
}

#[derive(Clone, Copy)]
struct Asked {
    host: u8,
    ticket: Ticket,
    concurrency: u32,
    delay: Duration,
}

/// What the rules say, kept apart from how the core does it.
struct Model {
    limits: Limits,
    waiting: Vec<Asked>,
    running: Vec<Asked>,
    last_start: [Option<(Duration, Duration)>; 4],
    held_until: [Duration; 4],
}

impl Model {
    fn started(&mut self, ticket: Ticket, now: Duration) {
        let at = self.waiting.iter().position(|a| a.ticket == ticket).expect("it was waiting");
        let asked = self.waiting.remove(at);
        let h = usize::from(asked.host);
        assert!(
            !self.waiting.iter().any(|a| a.host == asked.host && a.ticket < ticket),
            "somebody of the same host was before"
        );
        let at_once = self.running.iter().filter(|a| a.host == asked.host).count();
        assert!(at_once < asked.concurrency as usize, "too many at once for the host");
        assert!(self.running.len() < self.limits.concurrency as usize, "too many at once");
        assert!(now >= self.held_until[h], "the host is held");
        if let Some((start, delay)) = self.last_start[h] {
            assert!(now >= start + delay, "too close to the one before");
            // Its own delay counts from the start before, as long as the host is remembered.
            if at_once > 0 {
                assert!(now >= start + asked.delay, "too close for itself");
            }
        }
        self.last_start[h] = Some((now, asked.delay));
        self.running.push(asked);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_rules_hold_for_any_schedule(
        steps in proptest::collection::vec(step(), 1..120),
        concurrency in 1..6_u32,
        host_concurrency in 1..4_u32,
        delay_ms in 0..30_u32,
    ) {
        let limits = limits(concurrency, host_concurrency, delay_ms);
        let names: Vec<Arc<str>> = (0..4).map(|i| host(&i.to_string())).collect();
        let mut core = Core::new(limits);
        let mut now = Duration::ZERO;
        let mut model = Model {
            limits,
            waiting: Vec::new(),
            running: Vec::new(),
            last_start: [None; 4],
            held_until: [Duration::ZERO; 4],
        };
        for step in steps {
            match step {
                Step::Ask { host, express, concurrency, delay_ms } => {
                    let want = Want {
                        host_concurrency: concurrency,
                        host_delay: delay_ms.map(|ms| MS * ms),
                        express,
                    };
                    let ticket = core.ask(&names[usize::from(host)], want, now);
                    model.waiting.push(Asked {
                        host,
                        ticket,
                        concurrency: concurrency.unwrap_or(host_concurrency).clamp(1, host_concurrency),
                        delay: delay_ms.map_or(limits.host_delay, |ms| (MS * ms).max(limits.host_delay)),
                    });
                }
                Step::Leave(which) if !model.running.is_empty() => {
                    let asked = model.running.remove(which % model.running.len());
                    core.leave(&names[usize::from(asked.host)], asked.ticket, now);
                }
                Step::Cancel(which) if !model.waiting.is_empty() => {
                    let asked = model.waiting.remove(which % model.waiting.len());
                    core.leave(&names[usize::from(asked.host)], asked.ticket, now);
                }
                Step::Hold { which, ms } if !model.running.is_empty() => {
                    let asked = model.running[which % model.running.len()];
                    let until = now + MS * ms;
                    let held = &mut model.held_until[usize::from(asked.host)];
                    *held = until.max(*held);
                    core.hold(&names[usize::from(asked.host)], until, now);
                }
                Step::Pass(ms) => now += MS * ms,
                Step::Leave(_) | Step::Cancel(_) | Step::Hold { .. } => {}
            }
            for ticket in core.turns(now) {
                model.started(ticket, now);
            }
            prop_assert_eq!(core.waiting(), model.waiting.len());
            prop_assert_eq!(core.in_flight() as usize, model.running.len());
        }
        // Nobody starves: everybody's turn comes by leaving and by time, in rounds for the waiters and for the hosts that
        // only wait to be forgotten.
        for _ in 0..4 * (model.waiting.len() + names.len()) {
            for asked in std::mem::take(&mut model.running) {
                core.leave(&names[usize::from(asked.host)], asked.ticket, now);
            }
            for ticket in core.turns(now) {
                model.started(ticket, now);
            }
            if let Some(at) = core.wake_at() {
                now = now.max(at);
                for ticket in core.turns(now) {
                    model.started(ticket, now);
                }
            }
        }
        for asked in std::mem::take(&mut model.running) {
            core.leave(&names[usize::from(asked.host)], asked.ticket, now);
        }
        prop_assert!(model.waiting.is_empty());
        core.turns(now + Duration::from_secs(3_600));
        prop_assert_eq!(core.hosts(), 0);
    }
}
