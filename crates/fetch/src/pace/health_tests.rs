//! What is learnt, against hosts that are simulated: a limit that nobody told us, an overload, and any history.

use super::*;
use proptest::prelude::*;

const MS: Moment = 1_000;
const SECOND: Moment = 1_000_000;
const MOST: u32 = 8;

/// A host with a rate limit, in virtual time.
trait Limiter {
    /// Whether a request that arrives now is served.
    fn serve(&mut self, now: Moment) -> bool;
}

/// So many at once, and so many a second after that.
struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Moment,
}

impl Limiter for Bucket {
    fn serve(&mut self, now: Moment) -> bool {
        let passed = (now - self.at) as f64 / 1e6;
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.at = now;
        let served = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(served));
        served
    }
}

/// So many in each window of time.
struct Window {
    most: u32,
    length: Moment,
    used: u32,
    number: Moment,
}

impl Limiter for Window {
    fn serve(&mut self, now: Moment) -> bool {
        if now / self.length != self.number {
            (self.number, self.used) = (now / self.length, 0);
        }
        self.used += 1;
        self.used <= self.most
    }
}

/// Asks as fast as is allowed, `total` times after `lead` requests of adaptation: refusals of those, and requests a second.
fn run(limiter: &mut dyn Limiter, took: Moment, lead: u32, total: u32) -> (u32, f64) {
    let mut health = Health::new(0);
    let mut running: std::collections::VecDeque<(Moment, bool)> = std::collections::VecDeque::new();
    let (mut now, mut next, mut held) = (0, 0, 0);
    let (mut asked, mut refused, mut since) = (0, 0, 0);
    while asked < lead + total {
        let is_full = running.len() as u32 >= health.bears(MOST);
        let start = now.max(next).max(held);
        let ends = running.front().map(|(began, _)| began + took);
        if is_full || ends.is_some_and(|end| end <= start) {
            let Some((began, served)) = running.pop_front() else { break };
            now = now.max(began + took);
            let report = if served { Report::Answer } else { Report::SlowDown { hard: true, asked: false } };
            let lesson = health.hear(report, began, now, MOST);
            held = held.max(lesson.pause_until.unwrap_or(0));
            continue;
        }
        now = start;
        if asked == lead {
            since = now;
        }
        let served = limiter.serve(now);
        refused += u32::from(!served && asked >= lead);
        asked += 1;
        next = now + health.gap;
        running.push_back((now, served));
    }
    (refused, f64::from(total) / ((now - since) as f64 / 1e6))
}

#[test]
fn an_unknown_limit_is_found_and_kept_to() {
    for (rate, burst) in [(5.0, 1.0), (20.0, 20.0), (50.0, 10.0), (200.0, 100.0)] {
        let mut bucket = Bucket { rate, burst, tokens: burst, at: 0 };
        let (refused, speed) = run(&mut bucket, 20 * MS, 400, 4_000);
        assert!(refused < 40, "{refused} of 4000 refused at {rate} a second");
        assert!(speed > 0.5 * rate, "{speed:.1} a second of {rate}");
    }
}

#[test]
fn a_limit_per_minute_is_kept_to() {
    let mut window = Window { most: 120, length: 60 * SECOND, used: 0, number: 0 };
    let (refused, speed) = run(&mut window, 20 * MS, 1_000, 4_000);
    assert!(refused < 40, "{refused} of 4000 refused");
    assert!(speed > 1.0, "{speed:.2} a second of 2");
}

#[test]
fn one_round_of_refusals_counts_once() {
    let mut health = Health::new(0);
    for began in 0..8 {
        let report = Report::SlowDown { hard: true, asked: false };
        let lesson = health.hear(report, began * MS, 20 * MS, MOST);
        assert_eq!(lesson.learnt, began == 0, "{began}");
    }
    assert_eq!((health.gap, health.slow_downs), (22 * MS, 8));
}

#[test]
fn rising_latency_and_breaking_connections_narrow_the_window_and_good_answers_widen_it() {
    let mut health = Health::new(0);
    let mut now = 0;
    let mut answer = |health: &mut Health, took: Moment| {
        now += 10 * MS;
        health.hear(Report::Answer, now, now + took, MOST);
        now += took;
    };
    for _ in 0..50 {
        answer(&mut health, 50 * MS);
    }
    assert_eq!(health.bears(MOST), 8);
    for _ in 0..20 {
        answer(&mut health, 900 * MS);
    }
    assert!(health.bears(MOST) <= 2, "{}", health.bears(MOST));
    for _ in 0..100 {
        answer(&mut health, 50 * MS);
    }
    assert_eq!(health.bears(MOST), 8);
    let after = 1_000 * SECOND;
    health.hear(Report::Broken, after, after + MS, MOST);
    health.hear(Report::Broken, after, after + 2 * MS, MOST);
    assert_eq!(health.bears(MOST), 4, "both were under way together");
}

#[test]
fn one_503_is_no_reason_to_stop_but_a_row_of_them_is() {
    let mut health = Health::new(0);
    let pauses: Vec<bool> = (1..5)
        .map(|n| {
            health.hear(Report::SlowDown { hard: false, asked: false }, n * SECOND, n * SECOND + MS, MOST)
        })
        .map(|lesson| lesson.pause_until.is_some())
        .collect();
    assert_eq!(pauses, [false, false, true, true]);
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        4 => Just(Report::Answer),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(hard, asked)| Report::SlowDown { hard, asked }),
        1 => Just(Report::Broken),
        1 => Just(Report::Silent),
        1 => Just(Report::Unreached),
        1 => Just(Report::Nothing),
    ]
}

proptest! {
    #[test]
    fn nothing_learnt_leaves_its_bounds(
        history in proptest::collection::vec((report(), 0..100_000_000_u64, 0..30_000_000_u64), 1..300),
        most in 1..50_u32,
    ) {
        let mut health = Health::new(0);
        let mut now = 0;
        for (report, pass, took) in history {
            now += pass;
            let lesson = health.hear(report, now, now + took, most);
            now += took;
            prop_assert!(health.gap <= GAP_MAX);
            prop_assert!((1..=most).contains(&health.bears(most)));
            prop_assert!(lesson.pause_until.is_none_or(|until| until > now && until <= now + PAUSE_MAX));
        }
        // However bad it was, good answers wear it off in the end.
        for _ in 0..200_000 {
            now += health.gap.max(SECOND / 10);
            health.hear(Report::Answer, now, now + MS, most);
        }
        prop_assert_eq!(health.gap, 0);
        prop_assert_eq!(health.bears(most), most);
    }
}
