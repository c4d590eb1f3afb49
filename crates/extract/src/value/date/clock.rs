//! The time of day in a text, and the offset from UTC if one is said.

use super::day::Used;
use super::token::{Kind, Token};
use super::words::Tongue;
use chrono::{FixedOffset, NaiveTime};

/// Words behind an hour: `14 Uhr`, `14h40`, `21時`, `7 гадзін`.
pub(super) fn is_hour(word: &str) -> bool {
    matches!(word, "h" | "hrs" | "hs" | "uhr" | "u" | "ч" | "น" | "giờ" | "óra" | "godz" | "kello")
        || word.starts_with(['時', '时', '点', '點', '시'])
        || ["гадзін", "годин", "час", "horas"].iter().any(|stem| word.starts_with(stem))
}

/// Words in front of a time that may be written with a point: `klo 16.45`, `um 9.30 Uhr`.
fn announces(word: &str) -> bool {
    matches!(
        word,
        "kl" | "klo" | "kello" | "um" | "at" | "ore" | "alle" | "godz" | "g" | "u" | "pukul" | "jam" | "เวลา"
    )
}

/// The time outside of the tokens of the date, and its offset.
pub(super) fn find(
    tokens: &[Token],
    used: &Used,
    tongue: &Tongue,
) -> (Option<NaiveTime>, Option<FixedOffset>) {
    for i in (0..tokens.len()).filter(|i| !used.contains(i)) {
        if let Some((time, end)) = time_at(tokens, i, used, tongue) {
            return (Some(time), offset_at(tokens, end));
        }
    }
    let hour = tokens
        .iter()
        .enumerate()
        .filter(|(i, _)| !used.contains(i))
        .find_map(|(_, t)| tongue.hour(t.word()?));
    (hour.and_then(|h| NaiveTime::from_hms_opt(h, 0, 0)), None)
}

/// A time that begins with the number at `i`, and where it ends.
fn time_at(tokens: &[Token], i: usize, used: &Used, tongue: &Tongue) -> Option<(NaiveTime, usize)> {
    let at = |i: usize| tokens.get(i).filter(|_| !used.contains(&i));
    let hour = at(i)?.number(1..=2)?;
    let mark = |i: usize, c: char| at(i).is_some_and(|t| t.is_mark(&[c]));
    let two = |i: usize| at(i).and_then(|t| t.number(1..=2));
    let word = |i: usize| at(i).and_then(Token::word);
    let before = i.checked_sub(1).and_then(word);
    let mut nanos = 0;
    // Minutes and seconds.
    let (minute, second, end, sure) = if let Some(minute) = two(i + 2).filter(|_| mark(i + 1, ':')) {
        match two(i + 4).filter(|_| mark(i + 3, ':')) {
            Some(second) => match at(i + 6)
                .filter(|t| (mark(i + 5, '.') || mark(i + 5, ',')) && t.tight && t.kind == Kind::Number)
            {
                Some(fraction) => {
                    nanos = nanoseconds(&fraction.text);
                    (minute, second, i + 7, true)
                }
                None => (minute, second, i + 5, true),
            },
            None => (minute, 0, i + 3, true),
        }
    } else if word(i + 1).is_some_and(is_hour) {
        match two(i + 2) {
            Some(minute) => {
                match two(i + 4).filter(|_| word(i + 3).is_some_and(|w| w.starts_with(['分', '분']))) {
                    Some(second) => (minute, second, i + 6, true),
                    None if word(i + 3).is_some() => (minute, 0, i + 4, true),
                    None => (minute, 0, i + 3, true),
                }
            }
            None => (0, 0, i + 2, true),
        }
    } else if let Some(minute) = dotted(tokens, i).filter(|_| !used.contains(&(i + 2))) {
        let said = before.is_some_and(announces) || word(i + 3).is_some_and(is_hour);
        (minute, 0, i + 3, said || i >= used.end)
    } else {
        (0, 0, i + 1, false)
    };
    let bare = end == i + 1;
    // `3:30 pm`, `3 p. m.`, `오후 3:30`.
    let spaced = || {
        let half = match word(end)? {
            "a" => 0,
            "p" => 12,
            _ => return None,
        };
        let m = if mark(end + 1, '.') { end + 2 } else { end + 1 };
        (word(m)? == "m").then_some((half, m + 1))
    };
    let behind = word(end).and_then(|w| tongue.half(w, bare)).map(|half| (half, end + 1)).or_else(spaced);
    let front =
        || before.filter(|w| !w.is_ascii() || matches!(*w, "am" | "pm")).and_then(|w| tongue.half(w, bare));
    let half = behind.or_else(|| front().map(|half| (half, end)));
    let (hour, end) = match half {
        Some((half, end)) if (1..=12).contains(&hour) => (hour % 12 + half, end),
        // `14:30 PM` says the same twice; `0:30 am` too.
        Some((_, end)) if !bare => (hour, end),
        Some(_) => return None,
        None if !sure => return None,
        None => (hour, end),
    };
    Some((NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)?, end))
}

fn nanoseconds(fraction: &str) -> u32 {
    let nine: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    nine.parse().unwrap_or(0)
}

/// The minutes of `16.45`: two digits, nothing between.
fn dotted(tokens: &[Token], i: usize) -> Option<u32> {
    let minute =
        tokens.get(i + 2).filter(|t| t.tight && tokens[i + 1].tight && tokens[i + 1].is_mark(&['.']))?;
    let more = tokens.get(i + 3).is_some_and(|t| t.tight && t.is_mark(&['.']))
        && tokens.get(i + 4).is_some_and(|t| t.tight && t.kind == Kind::Number);
    minute.number(2..=2).filter(|m| *m < 60 && !more)
}

/// Names of zones that mean one offset wherever they are used, in minutes. `CST`, `IST` and their like do not.
const ZONES: &[(&str, i32)] = &[
    ("z", 0),
    ("utc", 0),
    ("gmt", 0),
    ("wet", 0),
    ("west", 60),
    ("bst", 60),
    ("cet", 60),
    ("mez", 60),
    ("cest", 120),
    ("mesz", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("мск", 180),
    ("jst", 540),
    ("kst", 540),
    ("hkt", 480),
    ("sgt", 480),
    ("wib", 420),
    ("aest", 600),
    ("aedt", 660),
    ("nzst", 720),
    ("nzdt", 780),
    ("est", -300),
    ("edt", -240),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("akst", -540),
    ("akdt", -480),
    ("hst", -600),
];

/// The offset right behind a time: `Z`, `+02:00`, `-0700`, `(PDT)`, `UTC+3`.
fn offset_at(tokens: &[Token], mut at: usize) -> Option<FixedOffset> {
    while tokens.get(at).is_some_and(|t| t.is_mark(&['(', ',', '.'])) {
        at += 1;
    }
    let mut minutes = None;
    if let Some(word) = tokens.get(at).and_then(Token::word) {
        minutes = Some(ZONES.iter().find(|(name, _)| *name == word)?.1);
        at += 1;
    }
    let sign = match tokens.get(at).map(|t| t.kind) {
        Some(Kind::Mark('+')) => 1,
        Some(Kind::Mark('-' | '\u{2212}')) => -1,
        _ => 0,
    };
    // `10:30-12:00` is a span; an offset has two digits or four, and touches the number or a zone's name.
    if let Some(number) = tokens.get(at + 1).filter(|t| sign != 0 && t.kind == Kind::Number && t.tight) {
        let behind = tokens.get(at + 2).filter(|t| t.is_mark(&[':'])).and_then(|_| tokens.get(at + 3));
        let (hours, rest) = match (number.text.len(), behind) {
            (4, _) => (number.text[..2].parse::<i32>().ok()?, number.text[2..].parse::<i32>().ok()?),
            (1..=2, Some(m)) if sign > 0 || minutes.is_some() || m.text == "00" || m.text == "30" => {
                (number.text.parse().ok()?, m.text.parse().ok()?)
            }
            (1..=2, None) if minutes.is_some() || sign > 0 => (number.text.parse().ok()?, 0),
            _ => return minutes.and_then(|m| FixedOffset::east_opt(m * 60)),
        };
        // The widest offsets in use.
        if hours <= 14 && rest < 60 {
            minutes = Some(minutes.unwrap_or(0) + sign * (hours * 60 + rest));
        }
    }
    FixedOffset::east_opt(minutes?.checked_mul(60)?)
}
