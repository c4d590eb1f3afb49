//! Spans of time: `PT1H30M`, `1 hr 30 min`, `90 Minuten`, `1½ h`, `1:30:00`, `20–25 min`.
//!
//! Of a range the upper bound. A bare number is no span. Months and years are not lengths, except in ISO 8601, where
//! they count 30 and 365 days.

use super::number::{self, Found, Lone};
use super::unit::{self, Unit};
use super::{digit, text};
use crate::limit;

/// The length in seconds.
pub fn seconds(input: &str) -> Option<f64> {
    let input = digit::fold(text::head(input, limit::SHORT_VALUE_BYTES).trim());
    // What begins as ISO 8601 is it or is broken.
    let upper = input.to_ascii_uppercase();
    let behind = upper.strip_prefix('P').and_then(|b| b.chars().next());
    let total = if behind.is_some_and(|c| c == 'T' || c.is_ascii_digit()) {
        iso(&upper)
    } else {
        clock(&input).or_else(|| words(&input))
    }?;
    (total.is_finite() && total >= 0.0).then_some(total)
}

/// ISO 8601: `P[n]Y[n]M[n]W[n]DT[n]H[n]M[n]S`, with fractions; `P0D` and the like are 0.
fn iso(upper: &str) -> Option<f64> {
    let mut rest = upper.strip_prefix('P')?;
    let (mut total, mut parts, mut time) = (0.0, 0, false);
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('T') {
            // A second `T` is an error of the page's, not ours to judge twice.
            if time {
                return None;
            }
            time = true;
            rest = behind;
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',')))?;
        let count: f64 = rest[..end].replace(',', ".").parse().ok()?;
        let unit = match (rest.as_bytes().get(end)?, time) {
            (b'Y', false) => Unit::Year,
            (b'M', false) => Unit::Month,
            (b'W', _) => Unit::Week,
            (b'D', _) => Unit::Day,
            (b'H', _) => Unit::Hour,
            (b'M', true) => Unit::Minute,
            (b'S', _) => Unit::Second,
            _ => return None,
        };
        total += count * unit.seconds();
        parts += 1;
        rest = &rest[end + 1..];
    }
    (parts > 0).then_some(total)
}

/// `1:30:00` is hours, `12:34` minutes and seconds, as players show them.
fn clock(input: &str) -> Option<f64> {
    let parts: Vec<&str> = input.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let mut total = 0.0;
    for (i, part) in parts.iter().enumerate() {
        let fits = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let n: u32 = part.parse().ok().filter(|n| fits && (i == 0 || (part.len() == 2 && *n < 60)))?;
        total = total * 60.0 + f64::from(n);
    }
    Some(total)
}

/// Numbers with units: `1 hour and 20 minutes`, `1h30`, `halbe Stunde` is none.
fn words(input: &str) -> Option<f64> {
    let numbers = number::all(input, Lone::CommaGroups, 12);
    let mut total: Option<f64> = None;
    let mut last: Option<Unit> = None;
    let mut i = 0;
    while i < numbers.len() {
        // Of `20–25 min` the upper bound; both are read in the unit behind the second.
        if let Some(next) = numbers.get(i + 1)
            && is_range(&input[numbers[i].end..next.start])
        {
            i += 1;
            continue;
        }
        let found = &numbers[i];
        let (mut extra, mut rest) = fraction(&input[found.end..]);
        // `1 1/2`
        if let (Some(a), Some(b)) = (numbers.get(i + 1), numbers.get(i + 2))
            && input[found.end..a.start].trim().is_empty()
            && input[a.end..b.start] == *"/"
            && a.value < b.value
        {
            extra = a.value / b.value;
            rest = &input[b.end..];
            i += 2;
        }
        let count = found.value + extra;
        let word = word_of(rest);
        let unit = unit::time(&word.to_lowercase()).filter(|u| *u < Unit::Month);
        match (unit, last) {
            // Units descend; a span that begins again is another span.
            (Some(unit), Some(last)) if unit >= last => break,
            (Some(unit), _) => {
                total = Some(total.unwrap_or(0.0) + count * unit.seconds());
                last = Some(unit);
            }
            // `1h30`
            (None, Some(Unit::Hour)) if is_joined(input, &numbers, i) && word.is_empty() && count < 60.0 => {
                total = Some(total.unwrap_or(0.0) + count * Unit::Minute.seconds());
                last = Some(Unit::Minute);
            }
            _ if total.is_some() => break,
            _ => {}
        }
        i += 1;
    }
    total.or_else(|| one(input))
}

fn is_range(between: &str) -> bool {
    matches!(between.trim(), "-" | "–" | "—" | "~" | "to" | "bis" | "à" | "a" | "do" | "до" | "tot" | "〜")
}

/// Does only the word for hours stand between two numbers: `1h30`, `1 heure 30`?
fn is_joined(input: &str, numbers: &[Found], i: usize) -> bool {
    let before = i.checked_sub(1).and_then(|p| numbers.get(p));
    before.is_some_and(|b| {
        let between = input[b.end..numbers[i].start].trim().trim_end_matches('.').to_lowercase();
        unit::time(&between) == Some(Unit::Hour)
    })
}

/// The letters that a text begins with, after spaces and hyphens (`30-minute`).
fn word_of(rest: &str) -> &str {
    let rest = rest.trim_start_matches([' ', '\u{a0}', '\u{202f}', '-']);
    &rest[..rest.find(|c: char| !c.is_alphabetic() && !is_sign(c)).unwrap_or(rest.len())]
}

/// Vowel signs within words of Indic and Thai script.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{dff}' | '\u{e31}'..='\u{e4e}')
}

/// A fraction right behind a number: `1½`, `1 1/2`.
fn fraction(rest: &str) -> (f64, &str) {
    let trimmed = rest.trim_start();
    for (sign, value) in [('½', 0.5), ('¼', 0.25), ('¾', 0.75), ('⅓', 1.0 / 3.0), ('⅔', 2.0 / 3.0)] {
        if let Some(behind) = trimmed.strip_prefix(sign) {
            return (value, behind);
        }
    }
    (0.0, rest)
}

/// `an hour`, `eine Stunde`, `½ h`.
fn one(input: &str) -> Option<f64> {
    let (part, rest) = fraction(input);
    if part > 0.0 {
        return unit::time(&word_of(rest).to_lowercase()).map(|u| part * u.seconds());
    }
    let lower = input.to_lowercase();
    let mut words = lower.split_whitespace();
    let article = words.next().filter(|w| unit::is_one(w));
    article.and_then(|_| unit::time(words.next()?)).map(Unit::seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, minutes) in [
            ("PT1H30M", 90.0),
            ("PT90M", 90.0),
            ("P1DT2H", 1560.0),
            ("PT1.5H", 90.0),
            ("PT0S", 0.0),
            ("pt20m", 20.0),
            ("1 hr 30 min", 90.0),
            ("1 hour and 20 minutes", 80.0),
            ("90 Minuten", 90.0),
            ("1 Std. 15 Min.", 75.0),
            ("1h30", 90.0),
            ("1 h 05", 65.0),
            ("1 heure 30", 90.0),
            ("1 1/2 hours", 90.0),
            ("1,5 Stunden", 90.0),
            ("1½ hours", 90.0),
            ("20–25 min", 25.0),
            ("45 minutos", 45.0),
            ("2 часа 10 минут", 130.0),
            ("1時間30分", 90.0),
            ("30分钟", 30.0),
            ("٤٥ دقيقة", 45.0),
            ("1:30:00", 90.0),
            ("12:30", 12.5),
            ("30-minute meal", 30.0),
            ("an hour", 60.0),
            ("Ready in 20 minutes (5 min rest)", 20.0),
        ] {
            assert_eq!(seconds(text), Some(minutes * 60.0), "{text}");
        }
    }

    #[test]
    fn what_is_no_span() {
        for text in ["", "45", "P", "PT", "PTT1H", "soon", "5 kg", "1:75", "P1X", "3 months"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
