//! Dates and times as people write them → ISO 8601. Relative ones ("2 hours ago") count from a given moment.
//!
//! Must not know: the clock. A date that could be two dates is read by `day_first`; a word that is no month is no date.

use super::text;
use crate::limit;
use chrono::{DateTime, Duration, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use model::Timestamp;

/// How to read what is ambiguous.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// `03/04/2026` is 3 April (true) or March 4 (false).
    pub day_first: bool,
    /// What "ago" counts from.
    pub now: Timestamp,
}

/// A date, perhaps with a time, perhaps with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The day as written.
    pub date: NaiveDate,
    /// The time of day as written.
    pub time: Option<NaiveTime>,
    /// Offset from UTC, if written.
    pub offset: Option<FixedOffset>,
}

impl Moment {
    /// `2026-09-01`: the day as written, without moving it to UTC.
    pub fn date_text(&self) -> String {
        self.date.format("%Y-%m-%d").to_string()
    }

    /// ISO 8601: with a time if there is one, with an offset if there is one (`Z` for UTC).
    pub fn datetime_text(&self) -> String {
        let Some(time) = self.time else { return self.date_text() };
        let at = self.date.and_time(time);
        let fractions = if at.and_utc().timestamp_subsec_millis() == 0 {
            SecondsFormat::Secs
        } else {
            SecondsFormat::Millis
        };
        match self.offset.and_then(|o| at.and_local_timezone(o).single()) {
            Some(at) => at.to_rfc3339_opts(fractions, true),
            None if fractions == SecondsFormat::Secs => at.format("%Y-%m-%dT%H:%M:%S").to_string(),
            None => at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string(),
        }
    }
}

/// Reads a date out of a short text.
pub fn parse(input: &str, how: Reading) -> Option<Moment> {
    let input = text::head(input, limit::SHORT_VALUE_BYTES).trim();
    if input.is_empty() {
        return None;
    }
    iso(input)
        .or_else(|| unix(input))
        .or_else(|| rfc2822(input))
        .or_else(|| relative(input, how.now))
        .or_else(|| free(input, how))
}

fn moment(at: DateTime<FixedOffset>) -> Moment {
    Moment { date: at.date_naive(), time: Some(at.time()), offset: Some(*at.offset()) }
}

fn rfc2822(input: &str) -> Option<Moment> {
    DateTime::parse_from_rfc2822(input).ok().map(moment)
}

/// ISO 8601 and its common relaxations.
fn iso(input: &str) -> Option<Moment> {
    let bytes = input.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(input) {
        return sane(moment(at));
    }
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%dT%H:%M%z",
        "%Y-%m-%d %H:%M:%S%.f %z",
        "%Y-%m-%d %H:%M:%S%.f%z",
        "%Y%m%dT%H%M%S%z",
    ] {
        if let Ok(at) = DateTime::parse_from_str(input, form) {
            return sane(moment(at));
        }
    }
    let (plain, offset) = match input
        .strip_suffix("UTC")
        .or_else(|| input.strip_suffix("GMT"))
        .or_else(|| input.strip_suffix('Z'))
    {
        Some(rest) => (rest.trim_end(), FixedOffset::east_opt(0)),
        None => (input, None),
    };
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d %H:%M:%S",
        "%Y/%m/%d %H:%M",
        "%Y%m%dT%H%M%S",
    ] {
        if let Ok(at) = NaiveDateTime::parse_from_str(plain, form) {
            return sane(Moment { date: at.date(), time: Some(at.time()), offset });
        }
    }
    for form in ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"] {
        if let Ok(date) = NaiveDate::parse_from_str(plain, form) {
            return sane(Moment { date, time: None, offset: None });
        }
    }
    None
}

/// Years outside of these are other numbers that look like dates.
fn sane(at: Moment) -> Option<Moment> {
    use chrono::Datelike;
    (1000..=2999).contains(&at.date.year()).then_some(at)
}

/// Seconds or milliseconds since 1970, by the number of digits.
fn unix(input: &str) -> Option<Moment> {
    if !input.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: i64 = input.parse().ok()?;
    let ms = match input.len() {
        10 => n.checked_mul(1000)?,
        13 => n,
        _ => return None,
    };
    DateTime::<Utc>::from_timestamp_millis(ms).map(|at| moment(at.fixed_offset()))
}

fn relative(input: &str, now: Timestamp) -> Option<Moment> {
    let lower = input.to_lowercase();
    let now = DateTime::<Utc>::from_timestamp_millis(now.ms())?;
    let day = |days: i64| {
        let at = now.checked_sub_signed(Duration::try_days(days)?)?;
        Some(Moment { date: at.date_naive(), time: None, offset: None })
    };
    match lower.as_str() {
        "today" | "heute" | "hoy" | "oggi" => return day(0),
        "yesterday" | "gestern" | "ayer" | "hier" | "ieri" => return day(1),
        "just now" | "now" => return Some(moment(now.fixed_offset())),
        _ => {}
    }
    let rest = lower.strip_suffix("ago")?.trim();
    let rest = rest.rsplit_once([',', '|']).map_or(rest, |(_, last)| last.trim());
    let mut words = rest.split_whitespace().rev();
    let unit = words.next()?;
    let count = match words.next() {
        Some("a" | "an" | "one") => 1,
        Some(n) => n.parse::<i64>().ok()?,
        // `3h ago`
        None => {
            let split = unit.find(|c: char| !c.is_ascii_digit())?;
            return ago(now, unit[..split].parse().ok()?, &unit[split..]);
        }
    };
    ago(now, count, unit)
}

fn ago(now: DateTime<Utc>, count: i64, unit: &str) -> Option<Moment> {
    let (span, coarse) = match unit.trim_end_matches('s') {
        "second" | "sec" | "" => (Duration::try_seconds(count)?, false),
        "minute" | "min" | "m" => (Duration::try_minutes(count)?, false),
        "hour" | "hr" | "h" => (Duration::try_hours(count)?, false),
        "day" | "d" => (Duration::try_days(count)?, true),
        "week" | "w" | "wk" => (Duration::try_weeks(count)?, true),
        "month" | "mo" => (Duration::try_days(count.checked_mul(30)?)?, true),
        "year" | "yr" | "y" => (Duration::try_days(count.checked_mul(365)?)?, true),
        _ => return None,
    };
    let at = now.checked_sub_signed(span)?;
    if coarse {
        return Some(Moment { date: at.date_naive(), time: None, offset: None });
    }
    Some(moment(at.fixed_offset()))
}

/// First letters of the months' names, in order of the year: English, German, French, Spanish, Italian, Portuguese,
/// Dutch. A word is a month if it begins with one of them and has nothing but letters.
const MONTHS: [&[&str]; 12] = [
    &["jan", "jän", "ene", "gen"],
    &["feb", "fev", "fév"],
    &["mar", "mär", "maa", "mrt"],
    &["apr", "avr", "abr"],
    &["may", "mai", "mag", "mei"],
    &["jun", "juin", "giu"],
    &["jul", "juil", "lug"],
    &["aug", "aoû", "ago"],
    &["sep", "set"],
    &["oct", "okt", "ott", "out"],
    &["nov"],
    &["dec", "dez", "déc", "dic"],
];
/// Whole names that begin like a month and are one; other words must be at most as long as an abbreviation.
const NAMES: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "januar",
    "jänner",
    "februar",
    "märz",
    "mai",
    "juni",
    "juli",
    "oktober",
    "dezember",
    "janvier",
    "février",
    "fevrier",
    "mars",
    "avril",
    "juin",
    "juillet",
    "août",
    "aout",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
    "decembre",
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "setiembre",
    "octubre",
    "noviembre",
    "diciembre",
    "gennaio",
    "febbraio",
    "aprile",
    "maggio",
    "giugno",
    "luglio",
    "settembre",
    "ottobre",
    "dicembre",
    "janeiro",
    "fevereiro",
    "março",
    "maio",
    "junho",
    "julho",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
    "januari",
    "februari",
    "maart",
    "mei",
    "augustus",
    "juillet",
    "sept",
    "juil",
];

fn month(word: &str) -> Option<u32> {
    let word = word.to_lowercase();
    if !NAMES.contains(&word.as_str()) && word.chars().count() > 3 {
        return None;
    }
    // `juin` and `juil` share their beginning with June's and July's English letters; longer keys win.
    (1u32..)
        .zip(MONTHS)
        .flat_map(|(n, keys)| keys.iter().map(move |key| (key.len(), n, *key)))
        .filter(|(_, _, key)| word.starts_with(key))
        .max()
        .map(|(_, n, _)| n)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Number(&'t str),
    Word(&'t str),
    Mark(char),
}

fn tokens(input: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = input;
    while let Some(c) = rest.chars().next() {
        let end = |f: fn(char) -> bool| rest.find(|c| !f(c)).unwrap_or(rest.len());
        let len = if c.is_ascii_digit() {
            let len = end(|c| c.is_ascii_digit());
            out.push(Token::Number(&rest[..len]));
            len
        } else if c.is_alphabetic() {
            let len = end(char::is_alphabetic);
            out.push(Token::Word(&rest[..len]));
            len
        } else {
            if !c.is_whitespace() {
                out.push(Token::Mark(c));
            }
            c.len_utf8()
        };
        rest = &rest[len..];
    }
    out
}

/// A day, a month and a year somewhere in the text, and a time behind or before them.
fn free(input: &str, how: Reading) -> Option<Moment> {
    let tokens = tokens(input);
    let (date, used) = named_month(&tokens).or_else(|| numeric(&tokens, how.day_first))?;
    let time = time_of(&tokens, &used);
    sane(Moment { date, time, offset: None })
}

fn number(token: Option<&Token<'_>>, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    match token? {
        Token::Number(text) if digits.contains(&text.len()) => text.parse().ok(),
        _ => None,
    }
}

type Used = std::ops::Range<usize>;

/// `5 January 2026`, `January 5th, 2026`, `5. Jan. 2026`, `2026 Jan 5`, `5-Jan-26`, `5 de enero de 2026`.
fn named_month(tokens: &[Token<'_>]) -> Option<(NaiveDate, Used)> {
    let (at, month) = tokens.iter().enumerate().find_map(|(i, t)| match t {
        Token::Word(word) => month(word).map(|m| (i, m)),
        _ => None,
    })?;
    let skip = |t: &Token<'_>| {
        matches!(t, Token::Mark('.' | ',' | '-' | '/' | '\'' | '’'))
            || matches!(t, Token::Word(w) if ["st", "nd", "rd", "th", "de", "of", "er", "del"].contains(&w.to_lowercase().as_str()))
    };
    let before = (0..at).rev().find(|i| !skip(&tokens[*i]));
    let mut after = (at + 1..tokens.len()).filter(|i| !skip(&tokens[*i]));
    let (next, second) = (after.next(), after.next());
    let get = |i: Option<usize>, digits| i.and_then(|i| number(tokens.get(i), digits));
    let (day, year, from, to) = match (get(before, 1..=2), get(next, 4..=4), get(next, 1..=2)) {
        // day month year
        (Some(day), Some(year), _) => (day, year, before?, next?),
        // month day year
        (_, None, Some(day)) if get(second, 4..=4).is_some() => (day, get(second, 4..=4)?, at, second?),
        // day month yy, only when joined by marks
        (Some(day), None, Some(yy))
            if matches!(tokens.get(at + 1), Some(Token::Mark('-' | '/' | '\'' | '’'))) =>
        {
            (day, century(yy), before?, next?)
        }
        // year month day
        (None, None, Some(day)) => (day, get(before, 4..=4)?, before?, next?),
        _ => return None,
    };
    let year = i32::try_from(year).ok()?;
    Some((NaiveDate::from_ymd_opt(year, month, day)?, from..to + 1))
}

fn century(yy: u32) -> u32 {
    if yy < 70 { 2000 + yy } else { 1900 + yy }
}

/// `03/04/2026`, `3.4.2026`, `2026/04/03`, `03-04-26`.
fn numeric(tokens: &[Token<'_>], day_first: bool) -> Option<(NaiveDate, Used)> {
    tokens.windows(5).enumerate().find_map(|(i, w)| {
        let (Token::Number(a), Token::Mark(m), Token::Number(b), Token::Mark(n), Token::Number(c)) =
            (w[0], w[1], w[2], w[3], w[4])
        else {
            return None;
        };
        if m != n || !matches!(m, '/' | '.' | '-') || b.len() > 2 {
            return None;
        }
        let (x, y, z): (u32, u32, u32) = (a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
        let (year, month, day) = match (a.len(), c.len()) {
            (4, 1..=2) => (x, y, z),
            (1..=2, 2 | 4) => {
                let year = if c.len() == 2 { century(z) } else { z };
                // Points are European; a number above 12 is a day wherever it stands.
                let day_first = (day_first || m == '.' || x > 12) && y <= 12;
                if day_first { (year, y, x) } else { (year, x, y) }
            }
            _ => return None,
        };
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        Some((date, i..i + 5))
    })
}

/// `10:30`, `10:30:15`, `10:30 pm`, `10 a.m.` outside of the tokens of the date.
fn time_of(tokens: &[Token<'_>], used: &Used) -> Option<NaiveTime> {
    for i in (0..tokens.len()).filter(|i| !used.contains(i)) {
        let Some(hour) = number(tokens.get(i), 1..=2) else { continue };
        let colon = |i: usize| tokens.get(i) == Some(&Token::Mark(':'));
        let (minute, second, end) = match number(tokens.get(i + 2), 2..=2).filter(|_| colon(i + 1)) {
            Some(minute) => match number(tokens.get(i + 4), 2..=2).filter(|_| colon(i + 3)) {
                Some(second) => (minute, second, i + 5),
                None => (minute, 0, i + 3),
            },
            None => (0, 0, i + 1),
        };
        let half = match tokens.get(end) {
            Some(Token::Word(word)) => match word.to_lowercase().as_str() {
                "am" | "a" => Some(0),
                "pm" | "p" => Some(12),
                _ => None,
            },
            _ => None,
        };
        let hour = match half {
            Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
            Some(_) => continue,
            None if end == i + 1 => continue,
            None => hour,
        };
        if let Some(time) = NaiveTime::from_hms_opt(hour, minute, second) {
            return Some(time);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> Option<String> {
        let now = Timestamp::parse("2026-09-10T12:00:00Z").unwrap();
        parse(input, Reading { day_first: false, now }).map(|m| m.datetime_text())
    }

    #[test]
    fn forms_of_the_web() {
        let cases = [
            ("2026-09-01", "2026-09-01"),
            ("2026-09-01T10:00:00Z", "2026-09-01T10:00:00Z"),
            ("2026-09-01T10:00:00.000+0200", "2026-09-01T10:00:00+02:00"),
            ("2026-09-01 10:00", "2026-09-01T10:00:00"),
            ("Tue, 01 Sep 2026 10:00:00 GMT", "2026-09-01T10:00:00Z"),
            ("September 1, 2026", "2026-09-01"),
            ("Sept. 1st, 2026", "2026-09-01"),
            ("Tuesday, 1 September 2026 at 10:30 pm", "2026-09-01T22:30:00"),
            ("1. März 2026", "2026-03-01"),
            ("1 de enero de 2026", "2026-01-01"),
            ("14 juillet 2026", "2026-07-14"),
            ("09/01/2026", "2026-09-01"),
            ("31/12/2026", "2026-12-31"),
            ("31.12.2026", "2026-12-31"),
            ("5-Jan-26", "2026-01-05"),
            ("Posted on 2026/04/03", "2026-04-03"),
            ("1788264000", "2026-09-01T12:00:00Z"),
            ("2 hours ago", "2026-09-10T10:00:00Z"),
            ("3 days ago", "2026-09-07"),
            ("Yesterday", "2026-09-09"),
        ];
        for (input, expected) in cases {
            assert_eq!(read(input).as_deref(), Some(expected), "{input}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for input in [
            "",
            "soon",
            "May",
            "May be 5",
            "12",
            "99/99/2026",
            "2026",
            "call 555-12-1234",
            "Section 1.2.3",
            "Martha 5, 2020",
        ] {
            assert_eq!(read(input), None, "{input}");
        }
    }

    #[test]
    fn day_first_is_a_choice() {
        let now = Timestamp::from_ms(0);
        let day = parse("03/04/2026", Reading { day_first: true, now }).map(|m| m.date_text());
        assert_eq!(day.as_deref(), Some("2026-04-03"));
    }
}
