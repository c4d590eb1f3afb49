//! A run against the good ones before it.
//!
//! What is compared: how full each field is and of which type, sizes and magnitudes, what a page gives, what the same
//! inputs gave, errors. What is not: fields that the file no longer declares or the caller did not ask for, and runs
//! over other sites (a generic scraper finds other things elsewhere).

use super::measure::{Share, fell, median, rose, shrank, usual_mean};
use super::{Field, Grade, Kind, Profile, Quality, Stats};
use crate::{FailureCode, limit};

/// Runs that a run is compared with at most: the last good ones.
pub const BASELINE_RUNS: usize = 9;
/// Rows from which on the fields of a run say something.
const ROWS: u64 = 8;
/// Pages of a kind from which on what they give says something.
const PAGES: u64 = 3;
/// What one page counts as evidence, however many rows it has: they come from one template.
const PAGE_WEIGHT: f64 = 4.0;
/// Share of pages that two runs must have on the same hosts to be compared.
const SAME_SITE: f64 = 0.5;
/// Share of inputs that may be errors before that alone is a failure.
const BAD_ERRORS: f64 = 0.5;
/// A mean of numbers or lengths so many times larger or smaller than before is another thing; numbers: broken.
const OTHER_SCALE: f64 = 5.0;
const BROKEN_SCALE: f64 = 30.0;
/// Values that must all be the same one before that is said.
const SAME_VALUES: u64 = 20;
/// Reasons told.
const REASONS: usize = 20;

/// Those of earlier runs (the newest first) that a run can be compared with.
pub fn before<'p>(now: &Profile, earlier: &'p [Profile]) -> Vec<&'p Profile> {
    earlier.iter().filter(|run| same_site(now, run)).take(BASELINE_RUNS).collect()
}

/// The verdict on a run, given what [`before`] gave.
pub fn judge(now: &Profile, before: &[&Profile]) -> Quality {
    let mut reasons = Reasons::default();
    if !before.is_empty() {
        let same: Vec<&Profile> = before
            .iter()
            .copied()
            .filter(|run| (run.given, run.digest) == (now.given, now.digest) && now.given > 0)
            .collect();
        errors(now, before, &mut reasons);
        amounts(now, before, &same, &mut reasons);
        if now.rows >= ROWS {
            let enough: Vec<&Profile> = before.iter().copied().filter(|run| run.rows >= ROWS).collect();
            let none = Field::default();
            for name in now.names(&enough) {
                let field = now.fields.get(name).unwrap_or(&none);
                compare(name, now, field, &enough, !same.is_empty(), &mut reasons);
            }
        }
    }
    reasons.quality(before.len())
}

impl Profile {
    /// Whether there is enough of it for a verdict.
    pub fn can_be_judged(&self) -> bool {
        let errors: u64 = self.errors.values().sum();
        self.rows >= ROWS || errors >= ROWS || self.pages.values().any(|stats| stats.n >= PAGES)
    }

    /// Whether later runs can be compared with it: a run that was mostly errors is no example.
    pub fn is_an_example(&self) -> bool {
        let errors: u64 = self.errors.values().sum();
        self.can_be_judged() && errors <= self.pages_read()
    }

    /// What this many rows count as evidence.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
    fn weight(&self, rows: u64) -> f64 {
        (rows as f64).min(self.pages_read().max(1) as f64 * PAGE_WEIGHT)
    }

    fn aborted(&self) -> bool {
        self.errors.contains_key(&FailureCode::AbortedPage)
    }
}

#[derive(Default)]
struct Reasons(Vec<(Grade, String)>);

impl Reasons {
    fn add(&mut self, grade: Grade, text: String) {
        self.0.push((grade, text.chars().take(limit::MESSAGE_CHARS).collect()));
    }

    fn quality(mut self, runs: usize) -> Quality {
        self.0.sort_by_key(|(grade, _)| std::cmp::Reverse(*grade));
        let grade = self.0.first().map_or(Grade::Ok, |(grade, _)| *grade);
        let more = self.0.len().saturating_sub(REASONS);
        let mut reasons: Vec<String> = self.0.into_iter().take(REASONS).map(|(_, text)| text).collect();
        if more > 0 {
            reasons.push(format!("and {more} more"));
        }
        Quality { grade, reasons, runs: u32::try_from(runs).unwrap_or(u32::MAX) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of pages are far below 2^52")]
fn same_site(a: &Profile, b: &Profile) -> bool {
    let (all_a, all_b) = (a.hosts.values().sum::<u64>(), b.hosts.values().sum::<u64>());
    if all_a == 0 || all_b == 0 {
        // Nothing was read: what was asked for is compared, and that is errors.
        return true;
    }
    let part = |n: u64, all: u64| n as f64 / all as f64;
    let shared =
        a.hosts.iter().filter_map(|(host, n)| Some(part(*n, all_a).min(part(*b.hosts.get(host)?, all_b))));
    shared.sum::<f64>() >= SAME_SITE
}

#[expect(clippy::cast_precision_loss, reason = "counts of pages are far below 2^52")]
fn errors(now: &Profile, before: &[&Profile], reasons: &mut Reasons) {
    // What was aborted says nothing about the site.
    let share = |run: &Profile| {
        let aborted = run.errors.get(&FailureCode::AbortedPage).copied().unwrap_or(0);
        let hits = run.errors.values().sum::<u64>().saturating_sub(aborted);
        let of = hits + run.pages_read();
        Share { hits, of, weight: of as f64 }
    };
    let is = share(now);
    if is.of < ROWS {
        return;
    }
    let was: Vec<Share> = before.iter().map(|run| share(run)).filter(|share| share.of > 0).collect();
    if was.iter().map(|share| share.of).sum::<u64>() < ROWS {
        return;
    }
    let Some((part, grade)) = rose(is, &was, BAD_ERRORS) else { return };
    let codes = now.errors.iter().filter(|(code, _)| **code != FailureCode::AbortedPage);
    let most = codes.max_by_key(|(_, n)| **n).map_or(String::new(), |(code, n)| {
        format!(" ({} {})", code.as_str(), percent(*n as f64 / is.of as f64))
    });
    reasons.add(grade, format!("errors: {} of pages{most}, {} before", percent(is.part()), percent(part)));
}

/// What pages give, and what the same inputs gave.
fn amounts(now: &Profile, before: &[&Profile], same: &[&Profile], reasons: &mut Reasons) {
    let free = |run: &Profile| !run.limited && !run.aborted();
    if !free(now) {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of pages are far below 2^52")]
    let weigh = |stats: &Stats| (*stats, stats.n as f64);
    let mut told = false;
    for (kind, stats) in now.pages.iter().filter(|(_, stats)| stats.n >= PAGES) {
        let was: Vec<(Stats, f64)> = before
            .iter()
            .filter(|run| free(run))
            .filter_map(|run| run.pages.get(kind))
            .filter(|stats| stats.n >= PAGES)
            .map(weigh)
            .collect();
        if let (Some((mean, grade)), Some(is)) = (shrank(stats, weigh(stats).1, &was), stats.mean()) {
            let what = match (kind.as_str(), now.pages.len()) {
                ("", 1) => "records per input".to_owned(),
                // The first page also leads to others.
                ("", _) => "records and links per input".to_owned(),
                (kind, _) => format!("records and links per page of kind `{kind}`"),
            };
            told = true;
            reasons.add(grade, format!("{what}: {}, {} before", amount(is), amount(mean)));
        }
    }
    // The same inputs gave so much each time: even one page is enough to tell.
    let was: Vec<f64> = same.iter().filter(|run| free(run)).filter_map(|run| per_input(run)).collect();
    let rows = same.iter().filter(|run| free(run)).map(|run| run.rows).min().unwrap_or(0);
    let least = was.iter().copied().fold(f64::INFINITY, f64::min);
    let Some(is) = per_input(now) else { return };
    if !told && was.len() >= 2 && rows >= ROWS && is < least * 0.75 {
        let grade = if is <= least * 0.6 { Grade::Fail } else { Grade::Warn };
        let mean = median(was.into_iter());
        reasons.add(
            grade,
            format!("records per input: {}, {} before for the same inputs", amount(is), amount(mean)),
        );
    }
}

/// Records for each of the caller's rows that did not end as an error; those are told of as errors.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
fn per_input(run: &Profile) -> Option<f64> {
    let read = run.given.saturating_sub(run.errors.values().sum());
    (read > 0).then(|| run.rows as f64 / read as f64)
}

/// One field. `before`: runs with enough rows.
fn compare(
    name: &str,
    now: &Profile,
    field: &Field,
    before: &[&Profile],
    same_inputs: bool,
    reasons: &mut Reasons,
) {
    let was: Vec<(&Profile, &Field)> =
        before.iter().filter_map(|run| Some((*run, run.fields.get(name)?))).collect();
    let share = |run: &Profile, hits: u64, of: u64| Share { hits, of, weight: run.weight(of) };
    let full = was.iter().map(|(run, f)| share(run, f.filled, run.whole(name))).filter(|s| s.of >= ROWS);
    let full: Vec<Share> = full.collect();
    let is = share(now, field.filled, now.whole(name));
    // How full the elements of lists are says nothing: those that are not there are no elements.
    if !name.ends_with("[]")
        && is.of >= ROWS
        && let Some((part, grade)) = fell(is, &full)
    {
        reasons.add(grade, format!("{name}: filled in {}, {} before", percent(is.part()), percent(part)));
    }
    // From here on: the values that are there.
    let was: Vec<(&Profile, &Field)> = was.into_iter().filter(|(_, f)| f.valued() >= ROWS).collect();
    if field.valued() < ROWS || was.is_empty() {
        return;
    }
    if types(name, now, field, &was, reasons) {
        // Sizes of another type are no news.
        return;
    }
    sizes(name, now, field, &was, reasons);
    let varied = |f: &Field| f.varied;
    if same_inputs
        && field.filled >= SAME_VALUES
        && !field.varied
        && is_scalar(field)
        && was.iter().all(|(_, f)| varied(f))
    {
        reasons.add(
            Grade::Warn,
            format!("{name}: the same in all {} records, different ones before", field.filled),
        );
    }
}

fn is_scalar(field: &Field) -> bool {
    field.kinds[Kind::Object as usize] + field.kinds[Kind::List as usize] == 0
}

/// The type that a field mostly had, and has no more. Whether something was said.
fn types(
    name: &str,
    now: &Profile,
    field: &Field,
    was: &[(&Profile, &Field)],
    reasons: &mut Reasons,
) -> bool {
    let share = |run: &Profile, f: &Field, kind: Kind| {
        let of = f.valued();
        Share { hits: f.kinds[kind as usize], of, weight: run.weight(of) }
    };
    let part = |kind: Kind| median(was.iter().map(|(run, f)| share(run, f, kind).part()));
    let valued = || Kind::ALL.into_iter().filter(|kind| *kind != Kind::Null);
    let Some(usual) = valued().max_by(|a, b| part(*a).total_cmp(&part(*b))) else { return false };
    let shares: Vec<Share> = was.iter().map(|(run, f)| share(run, f, usual)).collect();
    let Some((_, grade)) = fell(share(now, field, usual), &shares) else { return false };
    let other = valued().filter(|kind| *kind != usual).max_by_key(|kind| field.kinds[*kind as usize]);
    let other = other.unwrap_or(usual);
    let is = share(now, field, other).part();
    reasons.add(grade, format!("{name}: {} in {}, {} before", other.as_str(), percent(is), usual.as_str()));
    true
}

fn sizes(name: &str, now: &Profile, field: &Field, was: &[(&Profile, &Field)], reasons: &mut Reasons) {
    let of = |pick: fn(&Field) -> Stats| -> Vec<(Stats, f64)> {
        let stats = was.iter().map(|(run, f)| (pick(f), run.weight(pick(f).n)));
        stats.filter(|(stats, _)| stats.n >= ROWS).collect()
    };
    let items = &field.items;
    if items.n >= ROWS
        && let Some((mean, grade)) = shrank(items, now.weight(items.n), &of(|f| f.items))
        && let Some(is) = items.mean()
    {
        reasons.add(grade, format!("{name}: {} elements, {} before", amount(is), amount(mean)));
    }
    let numbers = of(|f| f.numbers);
    if let Some((is, mean, times)) = scaled(&field.numbers, now, &numbers) {
        let grade = if times >= BROKEN_SCALE { Grade::Fail } else { Grade::Warn };
        reasons.add(grade, format!("{name}: {} on average, {} before", amount(is), amount(mean)));
    }
    if let Some((is, mean, _)) = scaled(&field.lengths, now, &of(|f| f.lengths)) {
        let text = format!("{name}: {} characters on average, {} before", amount(is), amount(mean));
        reasons.add(Grade::Warn, text);
    }
}

/// A mean of another magnitude: what it is, what it was, and how many times that is.
fn scaled(stats: &Stats, now: &Profile, was: &[(Stats, f64)]) -> Option<(f64, f64, f64)> {
    if stats.n < ROWS {
        return None;
    }
    let is = stats.mean()?;
    let side = if is < median(was.iter().filter_map(|(s, _)| s.mean())) { -1.0 } else { 1.0 };
    let (mean, slack) = usual_mean(stats, now.weight(stats.n), was, side)?;
    if is <= 0.0 || mean <= 0.0 {
        return None;
    }
    let times = (is / mean).max(mean / is);
    // Deviations grow with the mean: what is now many times larger is judged by the spread of before.
    let mut all = Stats::default();
    was.iter().for_each(|(stats, _)| all.merge(stats));
    let spread = (all.deviation() / mean).max(stats.deviation() / is).max(0.15);
    let by_chance = 1.0
        + spread * 3.0 / now.weight(stats.n).max(1.0).sqrt()
        + slack / mean * f64::from(u8::from(side < 0.0));
    (times > OTHER_SCALE.max(by_chance)).then_some((is, mean, times))
}

/// `97 %`, `0.4 %`.
fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 1.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// `12`, `1.5`, `0.25`.
fn amount(n: f64) -> String {
    let text = match n.abs() {
        size if size >= 100.0 => format!("{n:.0}"),
        size if size >= 1.0 => format!("{n:.1}"),
        _ => format!("{n:.2}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
