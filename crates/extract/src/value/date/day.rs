//! The day in a text: with a month by name, with East Asian signs, or as three numbers.

use super::Reading;
use super::token::{Kind, Token};
use super::words::Tongue;
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use std::ops::Range;

/// The tokens that a date takes.
pub(super) type Used = Range<usize>;

/// The first day that the text names in full.
pub(super) fn find(tokens: &[Token], tongue: &Tongue, how: Reading<'_>) -> Option<(NaiveDate, Used)> {
    signed(tokens)
        .or_else(|| named(tokens, tongue))
        .or_else(|| numeric(tokens, how.day_first || tongue.day_first))
        .or_else(|| without_year(tokens, tongue, how))
}

fn ymd(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// First years of the eras that pages still name (Japan, Taiwan), less one.
const ERAS: &[(&str, u32)] =
    &[("令和", 2018), ("平成", 1988), ("昭和", 1925), ("民國", 1911), ("民国", 1911)];

/// `2016年3月20日`, `2015년 3월 20일`, `令和6年5月1日`.
fn signed(tokens: &[Token]) -> Option<(NaiveDate, Used)> {
    let behind =
        |i: usize, signs: &[char]| tokens.get(i).and_then(Token::word).is_some_and(|w| w.starts_with(signs));
    (0..tokens.len().saturating_sub(4)).find_map(|i| {
        if !behind(i + 1, &['年', '년']) || !behind(i + 3, &['月', '월']) {
            return None;
        }
        let era = i.checked_sub(1).and_then(|p| tokens[p].word());
        let era = era.and_then(|w| ERAS.iter().find(|(name, _)| w.ends_with(name)));
        let year = match era {
            Some((_, before)) => before + tokens[i].number(1..=3)?,
            None => tokens[i].number(4..=4)?,
        };
        let (month, day) = (tokens[i + 2].number(1..=2)?, tokens[i + 4].number(1..=2)?);
        let end = if behind(i + 5, &['日', '일', '号', '號']) { i + 6 } else { i + 5 };
        Some((ymd(year, month, day)?, i..end))
    })
}

/// A month by name, and the tokens of it: `März`, `كانون الثاني`, `tháng 3`.
fn month_at(tokens: &[Token], at: usize, tongue: &Tongue) -> Option<(u32, Used)> {
    let word = tokens[at].word()?;
    let next = tokens.get(at + 1);
    if let Some(second) = next.and_then(Token::word)
        && let Some(month) = tongue.month(&format!("{word} {second}")).filter(|_| !word.is_ascii())
    {
        return Some((month, at..at + 2));
    }
    if matches!(word, "tháng" | "thg" | "thang") {
        return next.and_then(|t| t.number(1..=2)).map(|month| (month, at..at + 2));
    }
    tongue.month(word).map(|month| (month, at..at + 1))
}

/// `5 January 2026`, `January 5th, 2026`, `5. Jan. 2026`, `2026 Jan 5`, `5-Jan-26`, `5 de enero de 2026`, `2011 წლის 17 მარტი`.
fn named(tokens: &[Token], tongue: &Tongue) -> Option<(NaiveDate, Used)> {
    let thai = tokens.iter().any(|t| t.text.starts_with(|c| matches!(c, '\u{e00}'..='\u{e7f}')));
    (0..tokens.len()).find_map(|i| {
        let (month, name) = month_at(tokens, i, tongue)?;
        let near = |at: usize, forward| neighbour(tokens, at, tongue, month, forward);
        let left = near(name.start, false);
        let farther = left.and_then(|l| near(l, false));
        let right = near(name.end, true);
        let second = right.and_then(|r| near(r + 1, true));
        // `28 Feb – 12 March 2024`: a mark with spaces begins something else than a year.
        let spaced = |at: Option<usize>| {
            at.is_some_and(|at| tokens[name.end..at].iter().any(|t| is_range(t) && !t.tight))
        };
        // `Dec 5, '14`
        let quoted = |at: Option<usize>| at.is_some_and(|at| tokens[at - 1].is_mark(&['\'']));
        let get = |at: Option<usize>, digits| at.and_then(|at| tokens[at].number(digits));
        let (day, year, from, to) = if let (Some(day), Some(year)) = (get(left, 1..=2), get(right, 4..=4)) {
            (day, year, left?, right?)
        } else if let (Some(day), Some(year)) = (get(right, 1..=2), get(second, 4..=4)) {
            (day, year, name.start, second?)
        } else if let (Some(year), Some(day)) = (get(left, 4..=4), get(right, 1..=2)) {
            (day, year, left?, right?)
        } else if let (Some(day), Some(year)) = (get(left, 1..=2), get(farther, 4..=4)) {
            (day, year, farther?, name.end - 1)
        } else if let (Some(day), Some(yy)) = (get(left, 1..=2), get(right, 2..=2).filter(|_| !spaced(right)))
        {
            (day, century(yy), left?, right?)
        } else if let (Some(day), Some(yy)) =
            (get(right, 1..=2), get(second, 2..=2).filter(|_| quoted(second)))
        {
            (day, century(yy), name.start, second?)
        } else if let (Some(day), Some(year)) = (get(right, 1..=2), year_behind_clock(tokens, right, tongue))
        {
            (day, year, name.start, right?)
        } else if let (Some(day), Some(year)) =
            (get(left, 1..=2).or(get(right, 1..=2)), year_of_range(tokens, name.end, tongue))
        {
            (day, year, left.unwrap_or(name.start), right.unwrap_or(name.end - 1))
        } else {
            return None;
        };
        // Of `5–8 March 2024` the first day.
        let day = range_start(tokens, left.filter(|l| tokens[*l].number(1..=2) == Some(day)), day);
        // Thailand counts from the Buddha: 2567 is 2024.
        let year = if thai && (2400..2700).contains(&year) { year - 543 } else { year };
        Some((ymd(year, month, day)?, from..to + 1))
    })
}

/// The year of `Aug 05 12:00:00 2015`, which stands behind the time.
fn year_behind_clock(tokens: &[Token], day: Option<usize>, tongue: &Tongue) -> Option<u32> {
    // An hour, a minute and a second with their colons, a half of the day or a zone, and the year.
    const REACH: usize = 8;
    let from = day? + 1;
    let clock = |i: &usize| is_clock(tokens, *i, tongue);
    (from..tokens.len().min(from + 3)).find(clock)?;
    (from..tokens.len().min(from + REACH)).filter(|i| !clock(i)).find_map(|i| tokens[i].number(4..=4))
}

/// Words and marks between the ends of a range.
fn is_range(token: &Token) -> bool {
    token.is_mark(&['-', '–', '—', '~', '〜', '&', '/'])
        || token.word().is_some_and(|w| {
            matches!(
                w,
                "to" | "bis"
                    | "au"
                    | "al"
                    | "a"
                    | "à"
                    | "до"
                    | "do"
                    | "tot"
                    | "till"
                    | "até"
                    | "and"
                    | "und"
                    | "et"
                    | "y"
                    | "e"
                    | "i"
                    | "и"
            )
        })
}

/// The first day of a range that ends with the number at `last` (`5–8`, `5. bis 8.`), else that day.
fn range_start(tokens: &[Token], last: Option<usize>, day: u32) -> u32 {
    let start = || {
        let mark = last?.checked_sub(1).filter(|m| is_range(&tokens[*m]))?;
        let mut at = mark.checked_sub(1)?;
        if tokens[at].is_mark(&['.']) {
            at = at.checked_sub(1)?;
        }
        // A number that another touches is the end of something else: `2024/5-8`.
        let alone =
            at.checked_sub(1).is_none_or(|p| !(tokens[at].tight && tokens[p].is_mark(&['/', '-', '.', ':'])));
        tokens[at].number(1..=2).filter(|first| alone && (1..day).contains(first))
    };
    start().unwrap_or(day)
}

/// The year behind the end of a range that begins here: `March 5 – 8, 2024`, `March 5 – April 2, 2024`.
fn year_of_range(tokens: &[Token], from: usize, tongue: &Tongue) -> Option<u32> {
    // A day, a mark, a month, a day and the marks between.
    const REACH: usize = 9;
    let to = tokens.len().min(from + REACH);
    let mark = (from..to).find(|i| is_range(&tokens[*i]))?;
    let clock = (from..to).find(|i| is_clock(tokens, *i, tongue)).unwrap_or(to);
    (mark..clock).find_map(|i| tokens[i].number(4..=4))
}

/// Words between the parts of a date at most: `del año`.
const GAP_WORDS: usize = 2;

/// The nearest number before (or from) a place that may belong to its date.
fn neighbour(tokens: &[Token], at: usize, tongue: &Tongue, month: u32, forward: bool) -> Option<usize> {
    let mut words = 0;
    let mut i = at;
    loop {
        i = if forward { i } else { i.checked_sub(1)? };
        let token = tokens.get(i)?;
        match token.kind {
            Kind::Number => return (!is_clock(tokens, i, tongue)).then_some(i),
            // Another month begins another date; the same in another calendar's word does not: `آذار/مارس`.
            Kind::Word if tongue.month(&token.text).is_some_and(|m| m != month) => return None,
            Kind::Word => {
                words += 1;
                if words > GAP_WORDS {
                    return None;
                }
            }
            Kind::Mark('.' | ',' | '-' | '–' | '/' | '\'' | '(' | ')' | 'º' | 'ª' | '،' | '年' | '·') =>
                {}
            Kind::Mark(_) => return None,
        }
        if forward {
            i += 1;
        }
    }
}

/// Is the number an hour or a minute rather than a day?
fn is_clock(tokens: &[Token], at: usize, tongue: &Tongue) -> bool {
    let colon = |i: usize| tokens.get(i).is_some_and(|t| t.is_mark(&[':']));
    let unit = tokens.get(at + 1).and_then(Token::word);
    if tokens.get(at).is_none_or(|t| t.kind == Kind::Number && t.text.len() > 2) {
        return false;
    }
    colon(at + 1) && tokens.get(at + 2).is_some_and(|t| t.kind == Kind::Number)
        || at > 0 && colon(at - 1)
        || unit.is_some_and(|w| super::clock::is_hour(w) || tongue.half(w, true).is_some())
        || at > 0 && tokens[at - 1].word().is_some_and(super::clock::is_hour) && tokens[at].tight
}

fn century(yy: u32) -> u32 {
    if yy < 70 { 2000 + yy } else { 1900 + yy }
}

/// `03/04/2026`, `3.4.2026`, `2026/04/03`, `03-04-26`, `11. 12. 2014`.
fn numeric(tokens: &[Token], day_first: bool) -> Option<(NaiveDate, Used)> {
    let mark = |i: usize| match tokens.get(i).map(|t| t.kind) {
        Some(Kind::Mark(c)) if matches!(c, '/' | '.' | '-' | '‐' | '–' | '٫') => Some(c),
        _ => None,
    };
    let is_number = |i: usize| tokens.get(i).is_some_and(|t| t.kind == Kind::Number);
    (0..tokens.len().saturating_sub(4)).find_map(|i| {
        let m = mark(i + 1).filter(|m| mark(i + 3) == Some(*m))?;
        // More numbers of the kind make an address or a version.
        let tight = |i: usize| tokens.get(i).is_some_and(|t| t.tight);
        let joined_left = i >= 2 && mark(i - 1) == Some(m) && is_number(i - 2) && tight(i) && tight(i - 1);
        let joined_right = mark(i + 5) == Some(m) && is_number(i + 6) && tight(i + 5) && tight(i + 6);
        if joined_left || joined_right {
            return None;
        }
        let (a, b, c) = (&tokens[i], &tokens[i + 2], &tokens[i + 4]);
        let (x, y, z) = (a.number(1..=4)?, b.number(1..=2)?, c.number(1..=4)?);
        let (year, month, day) = match (a.text.len(), c.text.len()) {
            (4, 1..=2) => (x, y, z),
            (1..=2, 2 | 4) => {
                let year = if c.text.len() == 2 { century(z) } else { z };
                // Points are European; a number above 12 is a day wherever it stands.
                let day_first = (day_first || m == '.' || x > 12) && y <= 12;
                if day_first { (year, y, x) } else { (year, x, y) }
            }
            _ => return None,
        };
        Some((ymd(year, month, day)?, i..i + 5))
    })
}

/// `Sat, Mar 5`: a day without a year, if a weekday says which year it is.
fn without_year(tokens: &[Token], tongue: &Tongue, how: Reading<'_>) -> Option<(NaiveDate, Used)> {
    // A short word is a weekday only with a mark behind it: `Mi., 5. März`, not `may be 5`.
    let said = |i: usize| tokens.get(i + 1).is_some_and(|t| t.is_mark(&['.', ',', ')']));
    let weekday = tokens.iter().enumerate().find_map(|(i, t)| {
        let word = t.word().filter(|w| w.chars().count() > 2 || said(i))?;
        tongue.weekday(word)
    })?;
    let this = DateTime::<Utc>::from_timestamp_millis(how.now.ms())?.date_naive();
    (0..tokens.len()).find_map(|i| {
        let (month, name) = month_at(tokens, i, tongue)?;
        // `mar 3`: the weekday's own word is no month.
        if name.len() == 1 && tongue.weekday(&tokens[i].text).is_some() {
            return None;
        }
        let left = neighbour(tokens, name.start, tongue, month, false)
            .filter(|l| tokens[*l].number(1..=2).is_some());
        let right = || {
            neighbour(tokens, name.end, tongue, month, true).filter(|r| tokens[*r].number(1..=2).is_some())
        };
        let at = left.or_else(right)?;
        let day = tokens[at].number(1..=2)?;
        let year = |offset: i32| NaiveDate::from_ymd_opt(this.year() + offset, month, day);
        let fits = |d: &NaiveDate| d.weekday().num_days_from_monday() == weekday;
        let date = [0, 1, -1].into_iter().filter_map(year).find(fits)?;
        Some((date, at.min(name.start)..(at + 1).max(name.end)))
    })
}
