//! What is learnt of one host, and how hard it may be asked because of it. Pure; moments are microseconds.
//!
//! Two things are learnt apart. The *gap* between the starts of two requests answers a rate limit: it widens when the
//! host says 429 or 503, to what the host was seen to bear, and narrows by small steps after many good answers, more
//! rarely each time that the limit was met again. The *window* of requests at once answers a host that is overloaded: it
//! shrinks by a share when answers take much longer than usual or connections break, and grows by one per round.
//!
//! Invariants: what is learnt only ever slows down what the settings allow; one round of bad answers (requests that were
//! under way together) counts once; the gap stays within [`GAP_MAX`], the window at 1 or more.

use super::Moment;
use super::circuit::Circuit;

/// The first gap after a 429, at least.
const GAP_FIRST: Moment = 10_000;
/// The longest gap that is learnt; a host that wants less says so in `Retry-After`.
pub(crate) const GAP_MAX: Moment = 60_000_000;
/// A gap below is none.
const GAP_NONE: Moment = 3_000;
/// Pauses after a 429 without `Retry-After`: the first, and the longest after doubling.
const PAUSE_FIRST: Moment = 1_000_000;
const PAUSE_MAX: Moment = 60_000_000;
/// Good answers until the gap narrows by a step: at least, at first, at most.
const PATIENCE_MIN: u32 = 50;
const PATIENCE_FIRST: u32 = 100;
const PATIENCE_MAX: u32 = 5_000;
/// For hosts that are asked rarely, so much time stands for one of those answers.
const PATIENCE_TIME: Moment = 300_000;
/// Steps are this many times wider than the first at most.
const STEPS_MAX: u32 = 8;
/// Answers that take longer make a host slow, whatever is usual for it.
const SLOW: u32 = 2_000_000;
/// What counts as rising latency: three times the usual, and this much above it.
const RISE: u32 = 200_000;

/// How a request ended, as far as it says something of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// An answer, good or bad, that does not ask to slow down.
    Answer,
    /// The same for a page that was held open for as long as its scripts took: what the host itself took is said,
    /// microseconds, if it is known.
    Rendered {
        /// From the request to the head of the answer.
        took: Option<Moment>,
    },
    /// 429 or 503.
    SlowDown {
        /// 429.
        hard: bool,
        /// It says itself how long.
        asked: bool,
    },
    /// The host was reached, but the connection broke.
    Broken,
    /// The host was reached, but did not answer in time.
    Silent,
    /// No connection.
    Unreached,
    /// Nothing about the host: given up, or refused by ourselves.
    Nothing,
}

/// What is to be expected of a request to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It has answered quickly of late.
    Quick,
    /// It has not answered yet.
    Unknown,
    /// It takes its time, or failed to answer.
    Slow,
}

/// What is learnt of one host.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) circuit: Circuit,
    /// Between the starts of two requests; 0 if the host never asked to slow down.
    pub(crate) gap: Moment,
    /// Requests at once; infinite if nothing speaks against what the settings allow.
    pub(crate) window: f32,
    /// Of late, and usually; 0 before the first answer.
    pub(crate) latency: u32,
    pub(crate) usual: u32,
    /// The latest answers: what its class goes by.
    recent: u32,
    /// Good answers to requests begun since the last slow-down, and since the gap last changed.
    good: u32,
    calm: u32,
    pub(crate) patience: u32,
    /// Times that the gap narrowed since the last slow-down.
    steps: u32,
    /// Slow-downs in a row.
    strikes: u32,
    /// When the host last asked to slow down (or was first asked), when it was good again, when the gap last narrowed, when the window last shrank.
    slowed_at: Moment,
    resumed_at: Moment,
    stepped_at: Moment,
    shrank_at: Moment,
    // As many bits as a million hosts can afford; so are the latencies, which end at an hour.
    pub(crate) answers: u32,
    pub(crate) slow_downs: u32,
    pub(crate) failures: u32,
}

/// What follows from a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lesson {
    /// Nobody asks before that moment.
    pub(crate) pause_until: Option<Moment>,
    /// The circuit has opened.
    pub(crate) opened: bool,
    /// Something changed that is worth keeping over a restart.
    pub(crate) learnt: bool,
}

impl Health {
    /// Of a host first asked now.
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            circuit: Circuit::Closed(0),
            gap: 0,
            window: f32::INFINITY,
            latency: 0,
            usual: 0,
            recent: 0,
            good: 0,
            calm: 0,
            patience: PATIENCE_FIRST,
            steps: 0,
            strikes: 0,
            slowed_at: now,
            resumed_at: now,
            stepped_at: now,
            shrank_at: now,
            answers: 0,
            slow_downs: 0,
            failures: 0,
        }
    }

    /// Requests at once that the host bears, up to `most`.
    pub(crate) fn bears(&self, most: u32) -> u32 {
        if self.strikes > 0 || !self.circuit.is_closed() {
            return 1;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and the setting, which is small"
        )]
        let window = self.window.min(most as f32).max(1.0) as u32;
        window
    }

    /// How much its requests may crowd out those of others.
    pub(crate) fn class(&self) -> Class {
        if self.recent > SLOW || self.circuit != Circuit::Closed(0) {
            Class::Slow
        } else if self.recent == 0 {
            Class::Unknown
        } else {
            Class::Quick
        }
    }

    /// Nothing that a fresh start would not know as well.
    pub(crate) fn is_plain(&self) -> bool {
        self.gap == 0 && self.window.is_infinite() && self.circuit.is_closed()
    }

    /// A request that began at `began` ended; `most` may be under way at once by the settings.
    pub(crate) fn hear(&mut self, report: Report, began: Moment, now: Moment, most: u32) -> Lesson {
        let mut lesson = Lesson::default();
        match report {
            Report::Nothing => {}
            Report::Answer | Report::Rendered { .. } => {
                self.answers = self.answers.saturating_add(1);
                lesson.learnt = !self.circuit.is_closed();
                self.circuit.answered();
                lesson.learnt |= self.good_answer(began, now);
                let took = match report {
                    Report::Rendered { took } => took,
                    _ => Some(now.saturating_sub(began)),
                };
                if let Some(took) = took {
                    lesson.learnt |= self.weigh(took, began, now, most);
                }
            }
            Report::SlowDown { hard, asked } => {
                self.answers = self.answers.saturating_add(1);
                self.slow_downs = self.slow_downs.saturating_add(1);
                self.circuit.answered();
                if began >= self.slowed_at {
                    lesson = self.slow_down(hard && !asked, now);
                }
            }
            Report::Broken => {
                self.failures = self.failures.saturating_add(1);
                lesson.learnt = self.shrink(0.5, began, now, most);
            }
            Report::Silent | Report::Unreached => {
                self.failures = self.failures.saturating_add(1);
                lesson.learnt = self.shrink(0.5, began, now, most);
                let points = if report == Report::Silent { 1 } else { 2 };
                lesson.opened = self.circuit.failed(points, now);
                lesson.learnt |= lesson.opened;
            }
        }
        lesson
    }

    /// The host asks to slow down, once per round.
    fn slow_down(&mut self, hard: bool, now: Moment) -> Lesson {
        self.strikes = self.strikes.saturating_add(1);
        if self.good > 0 || self.strikes == 1 {
            // What it bore since the last time, less a tenth; but not in one leap. A limit per minute shows over the pauses
            // as well, one that fills up by the second between them only: the truth is taken to be in the middle.
            let good = u64::from(self.good.max(1));
            let over_all = now.saturating_sub(self.slowed_at) / good;
            let between = now.saturating_sub(self.resumed_at) / good;
            let bore = over_all.min(GAP_MAX).saturating_mul(between.min(GAP_MAX)).isqrt();
            let floor = (self.gap + self.gap / 3).max(GAP_FIRST);
            let ceiling = (self.gap * 4).max(10 * GAP_FIRST);
            self.gap = (bore + bore / 10).clamp(floor, ceiling).min(GAP_MAX);
            self.patience = self.patience.saturating_mul(2).min(PATIENCE_MAX);
        }
        (self.good, self.calm, self.steps) = (0, 0, 0);
        (self.slowed_at, self.stepped_at) = (now, now);
        // 503 may be one page's own trouble: only a row of them is a reason to stop asking.
        let doublings = if hard { self.strikes - 1 } else { self.strikes.saturating_sub(3) };
        let pause = (hard || self.strikes >= 3).then(|| (PAUSE_FIRST << doublings.min(10)).min(PAUSE_MAX));
        Lesson { pause_until: pause.map(|p| now.saturating_add(p)), opened: false, learnt: true }
    }

    /// The gap narrows by a step when its time has come.
    fn good_answer(&mut self, began: Moment, now: Moment) -> bool {
        if began < self.slowed_at {
            return false;
        }
        self.strikes = 0;
        if self.good == 0 {
            self.resumed_at = began;
        }
        self.good = self.good.saturating_add(1);
        self.calm = self.calm.saturating_add(1);
        let waited = now.saturating_sub(self.stepped_at) / PATIENCE_TIME;
        let is_time = self.calm >= self.patience || (self.calm >= 3 && waited >= u64::from(self.patience));
        if self.gap == 0 || !is_time {
            return false;
        }
        // By three in a hundred, then by more each time: one step too far costs one round of refusals, however wide it was.
        self.steps = (self.steps + 1).min(STEPS_MAX);
        self.gap -= (self.gap * u64::from(self.steps) / 33).max(1);
        if self.gap < GAP_NONE {
            self.gap = 0;
        }
        self.calm = 0;
        self.stepped_at = now;
        self.patience = (self.patience - self.patience / 8).max(PATIENCE_MIN);
        true
    }

    /// The window follows the latency.
    fn weigh(&mut self, took: Moment, began: Moment, now: Moment, most: u32) -> bool {
        let took = u32::try_from(took).unwrap_or(u32::MAX);
        let toward = |from: u32, share: u32| match from {
            0 => took.max(1),
            from if took > from => from + (took - from) / share,
            from => from - (from - took) / share,
        };
        self.latency = toward(self.latency, 8);
        self.recent = toward(self.recent, 2);
        // It settles quickly on what the host can do, and slowly takes for usual what it does under load.
        self.usual = toward(self.usual, if took < self.usual { 16 } else { 256 });
        if self.latency / 3 > self.usual && self.latency - self.usual > RISE {
            return self.shrink(0.7, began, now, most);
        }
        if self.window.is_finite() && self.latency / 2 < self.usual.saturating_add(RISE / 8) {
            self.window += 1.0 / self.window.max(1.0);
            #[expect(clippy::cast_precision_loss, reason = "a small setting")]
            if self.window >= most as f32 {
                self.window = f32::INFINITY;
                return true;
            }
        }
        false
    }

    /// Less at once, once per round.
    fn shrink(&mut self, by: f32, began: Moment, now: Moment, most: u32) -> bool {
        if began < self.shrank_at {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "a small setting")]
        let window = self.window.min(most as f32);
        self.window = (window * by).max(1.0);
        self.shrank_at = now;
        true
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
