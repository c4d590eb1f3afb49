//! Is it less than it was? Two measures: shares of rows, and means of sizes. Both know how much chance can do.
//!
//! Invariant: the fewer rows, the more must have changed before anything is said; a run that differs from the last
//! no more than those differ from each other is like them.

use super::{Grade, Stats};

/// Standard errors that chance is allowed: with a hundred fields in a thousand runs it would be wrong less than once.
const ERRORS: f64 = 4.5;
/// Share of rows by which anything may differ without being worth a word.
const SLACK: f64 = 0.05;
/// How far beyond the range of the earlier runs is still like them.
const BEYOND: f64 = 1.5;
/// A share that lost this part of itself, a mean that lost that, is broken rather than different.
const LOST_SHARE: f64 = 0.5;
const LOST_MEAN: f64 = 0.4;
/// What a mean must lose to be worth a word.
const LESS_MEAN: f64 = 0.25;

/// So many of so many; `weight` is what they count as evidence (rows of one page are alike).
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) hits: u64,
    pub(super) of: u64,
    pub(super) weight: f64,
}

impl Share {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
    pub(super) fn part(&self) -> f64 {
        self.hits as f64 / self.of.max(1) as f64
    }
}

/// The middle one; of two the mean. 0 of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// What a share was, and how much chance and habit let it differ. `side` is -1 for falling, 1 for rising.
fn usual(now: Share, before: &[Share], side: f64) -> (f64, f64) {
    let part = median(before.iter().map(Share::part));
    let weight: f64 = before.iter().map(|s| s.weight).sum();
    // A share of exactly all or nothing is never that sure.
    let sure = (part * weight + 1.0) / (weight + 2.0);
    let error = (sure * (1.0 - sure) * (1.0 / now.weight.max(1.0) + 1.0 / weight.max(1.0))).sqrt();
    let habit = before.iter().map(|s| side * (s.part() - part)).fold(0.0, f64::max);
    (part, SLACK + ERRORS * error + BEYOND * habit)
}

/// Whether a share fell: what it was, and how bad that is.
pub(super) fn fell(now: Share, before: &[Share]) -> Option<(f64, Grade)> {
    if before.is_empty() {
        return None;
    }
    let (part, slack) = usual(now, before, -1.0);
    let lost = part - now.part();
    let grade = if now.part() <= part * LOST_SHARE { Grade::Fail } else { Grade::Warn };
    (lost > slack).then_some((part, grade))
}

/// Whether a share rose: what it was, and how bad that is. `bad` is the share from which it is.
pub(super) fn rose(now: Share, before: &[Share], bad: f64) -> Option<(f64, Grade)> {
    if before.is_empty() {
        return None;
    }
    let (part, slack) = usual(now, before, 1.0);
    let grade = if now.part() >= bad.max(part + slack) { Grade::Fail } else { Grade::Warn };
    (now.part() - part > slack).then_some((part, grade))
}

/// A mean before: the middle of the runs' means, and how much chance and habit let it differ.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
pub(super) fn usual_mean(now: &Stats, weight: f64, before: &[(Stats, f64)], side: f64) -> Option<(f64, f64)> {
    if before.is_empty() || now.n == 0 {
        return None;
    }
    let means = || before.iter().filter_map(|(stats, _)| stats.mean());
    let mean = median(means());
    let mut all = Stats::default();
    before.iter().for_each(|(stats, _)| all.merge(stats));
    let before_weight: f64 = before.iter().map(|(_, weight)| weight).sum();
    // Sizes that never differed so far may yet.
    let deviation = all.deviation().max(now.deviation()).max(0.15 * mean.abs()).max(0.3);
    let error = deviation * (1.0 / weight.min(now.n as f64).max(1.0) + 1.0 / before_weight.max(1.0)).sqrt();
    let habit = means().map(|m| side * (m - mean)).fold(0.0, f64::max);
    Some((mean, ERRORS * error + BEYOND * habit))
}

/// Whether a mean of sizes (none negative) shrank: what it was, and how bad that is.
pub(super) fn shrank(now: &Stats, weight: f64, before: &[(Stats, f64)]) -> Option<(f64, Grade)> {
    let (mean, slack) = usual_mean(now, weight, before, -1.0)?;
    let is = now.mean()?;
    let less = mean - is > slack && is < mean * (1.0 - LESS_MEAN);
    let grade = if is <= mean * (1.0 - LOST_MEAN) { Grade::Fail } else { Grade::Warn };
    less.then_some((mean, grade))
}
