//! The rules of the queue by example, then against any schedule.

use super::*;
use proptest::prelude::*;

const MS: Moment = 1_000;

fn limits(concurrency: u32, host_concurrency: u32, delay_ms: u32) -> Limits {
    Limits { concurrency, host_concurrency, host_delay: Duration::from_millis(delay_ms.into()) }
}

const EXPRESS: Want = Want { host_concurrency: None, host_delay: None, express: true };
const ORDINARY: Want = Want { host_concurrency: None, host_delay: None, express: false };

impl Core {
    fn given(&mut self, now: Moment) -> Vec<Ticket> {
        let mut given = Vec::new();
        self.turns(now, &mut given);
        given
    }

    fn queued(&mut self, host: &str, want: Want, now: Moment) -> Ticket {
        self.ask(host, want, now).expect("its circuit is closed")
    }
}

#[test]
fn express_goes_first_within_a_host_and_between_hosts() {
    let mut core = Core::new(limits(1, 1, 0));
    let mut running = core.queued("a", ORDINARY, MS);
    assert_eq!(core.given(MS), [running]);
    let plain_a = core.queued("a", ORDINARY, MS);
    let plain_b = core.queued("b", ORDINARY, MS);
    let express_b = core.queued("b", EXPRESS, MS);
    let express_a = core.queued("a", EXPRESS, MS);
    assert_eq!(core.given(MS), []);
    let mut order = Vec::new();
    for _ in 0..4 {
        core.leave(running, Report::Nothing, MS);
        let given = core.given(MS);
        assert_eq!(given.len(), 1);
        running = given[0];
        order.push(running);
    }
    assert_eq!(order, [express_b, express_a, plain_a, plain_b]);
}

#[test]
fn a_request_may_ask_for_less_but_not_for_more() {
    let mut core = Core::new(limits(10, 2, 100));
    let greedy =
        Want { host_concurrency: Some(9), host_delay: Some(Duration::from_millis(1)), express: false };
    for _ in 0..3 {
        core.queued("a", greedy, 0);
    }
    assert_eq!(core.given(0).len(), 1);
    assert_eq!(core.given(MS * 99).len(), 0);
    assert_eq!(core.given(MS * 100).len(), 1);
    assert_eq!(core.given(MS * 1_000).len(), 0);
}

#[test]
fn a_modest_request_waits_for_an_empty_host() {
    let mut core = Core::new(limits(10, 2, 0));
    let first = core.queued("a", ORDINARY, MS);
    let modest = core.queued("a", Want { host_concurrency: Some(1), ..ORDINARY }, MS);
    assert_eq!(core.given(MS), [first]);
    core.leave(first, Report::Nothing, MS);
    assert_eq!(core.given(MS), [modest]);
}

#[test]
fn idle_hosts_are_forgotten_when_nothing_is_to_be_remembered() {
    let mut core = Core::new(limits(10, 2, 50));
    for i in 0..100 {
        let ticket = core.queued(&i.to_string(), ORDINARY, 0);
        assert_eq!(core.given(0), [ticket]);
        let report = if i == 7 { Report::SlowDown { hard: true, asked: false } } else { Report::Nothing };
        core.leave(ticket, report, 0);
    }
    assert_eq!(core.hosts(), 100);
    assert_eq!(core.wake_at(), None);
    for _ in 0..100 {
        core.given(MS * 50);
    }
    assert_eq!(core.hosts(), 1, "the one that said 429");
    core.given(KEEP_LEARNT + MS);
    assert_eq!(core.hosts(), 0);
}

#[test]
fn a_hold_outlives_the_requests() {
    let mut core = Core::new(limits(10, 2, 0));
    let first = core.queued("a", ORDINARY, 0);
    core.given(0);
    core.hold(first, MS * 500, 0);
    core.leave(first, Report::Nothing, 0);
    let second = core.queued("a", EXPRESS, MS);
    assert_eq!(core.given(MS * 499), []);
    assert_eq!(core.wake_at(), Some(MS * 500));
    assert_eq!(core.given(MS * 500), [second]);
}

#[test]
fn slow_hosts_leave_room_for_the_others() {
    let mut core = Core::new(limits(8, 2, 0));
    // One that is known to answer quickly.
    let known = core.queued("quick", ORDINARY, 0);
    core.given(0);
    core.leave(known, Report::Answer, MS);
    // Many that never answered take six of eight places, and no more.
    for i in 0..20 {
        core.queued(&format!("unknown-{i}"), ORDINARY, MS);
    }
    assert_eq!(core.given(MS).len(), 6);
    let quick: Vec<Ticket> = (0..3).map(|_| core.queued("quick", ORDINARY, MS)).collect();
    assert_eq!(core.given(MS), quick[..2], "two places were left, which is also the host's own bound");
}

#[test]
fn nobody_waits_for_a_dead_host() {
    let mut core = Core::new(limits(100, 10, 0));
    let running: Vec<Ticket> = (0..5).map(|_| core.queued("dead", ORDINARY, 0)).collect();
    assert_eq!(core.given(0), running);
    for ticket in &running[..4] {
        core.leave(*ticket, Report::Unreached, MS);
    }
    let waiting = core.queued("dead", Want { host_concurrency: Some(1), ..ORDINARY }, MS);
    assert_eq!(core.given(MS), []);
    core.leave(running[4], Report::Unreached, MS);
    assert_eq!(core.shut_out().iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [waiting]);
    assert_eq!((core.waiting(), core.in_flight(), core.open_circuits), (0, 0, 1));
    let shut = core.ask("dead", ORDINARY, 2 * MS).unwrap_err();
    assert_eq!(shut, Shut { wait: Duration::from_millis(999), openings: 1 });
    // Then one goes ahead to see; its answer lets everybody in again.
    let probe = core.queued("dead", ORDINARY, 1_001 * MS);
    assert!(core.ask("dead", ORDINARY, 1_001 * MS).is_err());
    assert_eq!(core.given(1_001 * MS), [probe]);
    core.leave(probe, Report::Answer, 1_002 * MS);
    core.queued("dead", ORDINARY, 1_003 * MS);
    assert_eq!((core.given(1_003 * MS).len(), core.open_circuits), (1, 0));
}

/// One thing that happens; indexes are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Ask { host: u8, express: bool, concurrency: Option<u32>, delay_ms: Option<u32> },
    Leave(usize, Report),
    Cancel(usize),
    Hold { which: usize, ms: u32 },
    Pass(u32),
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        6 => Just(Report::Answer),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(hard, asked)| Report::SlowDown { hard, asked }),
        1 => Just(Report::Broken),
        1 => Just(Report::Silent),
        3 => Just(Report::Unreached),
        1 => Just(Report::Nothing),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_u8, any::<bool>(), proptest::option::of(0..4_u32), proptest::option::of(0..60_u32))
            .prop_map(|(host, express, concurrency, delay_ms)| Step::Ask { host, express, concurrency, delay_ms }),
        3 => (any::<usize>(), report()).prop_map(|(which, report)| Step::Leave(which, report)),
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
    delay: Moment,
}

/// What the rules say, kept apart from how the core does it.
struct Model {
    limits: Limits,
    waiting: Vec<Asked>,
    running: Vec<Asked>,
    last_start: [Option<(Moment, Moment)>; 4],
    held_until: [Moment; 4],
}

impl Model {
    fn started(&mut self, ticket: Ticket, now: Moment) {
        let at = self.waiting.iter().position(|a| a.ticket == ticket).expect("it was waiting");
        let asked = self.waiting.remove(at);
        let h = usize::from(asked.host);
        assert!(
            !self.waiting.iter().any(|a| a.host == asked.host && a.ticket.number < ticket.number),
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
        let names = ["a", "b", "c", "d"];
        let mut core = Core::new(limits);
        let mut now = 0;
        let mut model = Model {
            limits,
            waiting: Vec::new(),
            running: Vec::new(),
            last_start: [None; 4],
            held_until: [0; 4],
        };
        for step in steps {
            match step {
                Step::Ask { host, express, concurrency, delay_ms } => {
                    let want = Want {
                        host_concurrency: concurrency,
                        host_delay: delay_ms.map(|ms| Duration::from_millis(ms.into())),
                        express,
                    };
                    if let Ok(ticket) = core.ask(names[usize::from(host)], want, now) {
                        model.waiting.push(Asked {
                            host,
                            ticket,
                            concurrency: concurrency.unwrap_or(host_concurrency).clamp(1, host_concurrency),
                            delay: delay_ms.map_or(0, |ms| MS * u64::from(ms)).max(micros(limits.host_delay)),
                        });
                    }
                }
                Step::Leave(which, report) if !model.running.is_empty() => {
                    let asked = model.running.remove(which % model.running.len());
                    core.leave(asked.ticket, report, now);
                }
                Step::Cancel(which) if !model.waiting.is_empty() => {
                    let asked = model.waiting.remove(which % model.waiting.len());
                    core.leave(asked.ticket, Report::Nothing, now);
                }
                Step::Hold { which, ms } if !model.running.is_empty() => {
                    let asked = model.running[which % model.running.len()];
                    let until = now + MS * u64::from(ms);
                    let held = &mut model.held_until[usize::from(asked.host)];
                    *held = until.max(*held);
                    core.hold(asked.ticket, until, now);
                }
                Step::Pass(ms) => now += MS * u64::from(ms),
                Step::Leave(..) | Step::Cancel(_) | Step::Hold { .. } => {}
            }
            for ticket in core.given(now) {
                model.started(ticket, now);
            }
            for (ticket, _) in core.shut_out() {
                model.waiting.retain(|asked| asked.ticket != ticket);
            }
            prop_assert_eq!(core.waiting(), model.waiting.len());
            prop_assert_eq!(core.in_flight() as usize, model.running.len());
            let open = core.hosts.iter().filter(|h| h.health.as_ref().is_some_and(|h| !h.circuit.is_closed()));
            prop_assert_eq!(core.open_circuits, open.count());
        }
        // Nobody starves: everybody's turn comes by leaving and by time.
        for _ in 0..4 * (model.waiting.len() + names.len()) {
            for asked in std::mem::take(&mut model.running) {
                core.leave(asked.ticket, Report::Answer, now);
            }
            for ticket in core.given(now) {
                model.started(ticket, now);
            }
            if let Some(at) = core.wake_at() {
                now = now.max(at);
                for ticket in core.given(now) {
                    model.started(ticket, now);
                }
            }
        }
        for asked in std::mem::take(&mut model.running) {
            core.leave(asked.ticket, Report::Answer, now);
        }
        prop_assert!(model.waiting.is_empty());
        core.given(now + 2 * KEEP_LEARNT);
        prop_assert_eq!(core.hosts(), 0);
        prop_assert_eq!(core.open_circuits, 0);
        prop_assert!(core.seats.all_free());
    }
}

#[test]
fn the_first_of_a_million_hosts_are_listed() {
    const HOSTS: usize = 1_000_000;
    let mut core = Core::new(limits(100, 1, 0));
    for n in 0..HOSTS {
        core.queued(&format!("h{n:07}.example"), ORDINARY, MS);
    }
    // The later ones wait for more.
    for n in HOSTS - 20..HOSTS {
        core.queued(&format!("h{n:07}.example"), ORDINARY, MS);
    }
    let began = std::time::Instant::now();
    let (views, all) = core.views("", 100, MS);
    let took = began.elapsed();
    eprintln!("a hundred of {HOSTS} hosts: {} ms", took.as_millis());
    assert_eq!((views.len(), all), (100, HOSTS));
    let names: Vec<&str> = views.iter().map(|view| view.host.as_str()).collect();
    assert_eq!(
        (names[0], names[19], names[20]),
        ("h0999980.example", "h0999999.example", "h0000000.example")
    );
    assert!(names[20..].is_sorted());
    assert!(took < Duration::from_secs(2), "{took:?}");
    let (views, all) = core.views("h09999", 1_000, MS);
    assert_eq!((views.len(), all), (100, 100));
}
