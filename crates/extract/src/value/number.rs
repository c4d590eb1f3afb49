//! Numbers as people write them: `1.299,00`, `1,23,456`, `1 299`, `1'299.50`, `١٬٢٩٩`.
//!
//! Linear in the text; the text of a number is bounded, so that a page of digits is no number.

use super::digit;
use std::borrow::Cow;

/// How a lone point or comma before exactly three digits is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lone {
    /// `1.299` is 1299 (prices: nobody sells at a tenth of a cent).
    Groups,
    /// `1.299` is a fraction, `1,299` is 1299 (counts and measures, as English writes them).
    CommaGroups,
}

/// Characters of one number: enough for any amount, too few to make a number of a page of digits.
const NUMBER_CHARS: usize = 48;

/// A number found in a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The number, never negative.
    pub value: f64,
    /// The same, exact: ASCII digits with at most one point.
    pub plain: String,
    /// First byte of its digits.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '\u{2019}')
}

/// The first numbers of a text, in order; at most `most`.
pub fn all(text: &str, lone: Lone, most: usize) -> Vec<Found> {
    numbers(text, lone).take(most).collect()
}

/// The numbers of a text, in order.
pub fn numbers(text: &str, lone: Lone) -> impl Iterator<Item = Found> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + text.get(at..)?.find(digit::is)?;
            let before = text[..start].chars().next_back();
            // `.75`, but not the point of `1..75` or of `no.5`'s word.
            let point = before.filter(|c| matches!(c, '.' | ',')).map_or(0, char::len_utf8);
            let word = text[..start - point].chars().next_back().is_some_and(char::is_alphanumeric);
            let from = if point > 0 && !word { start - point } else { start };
            let end = start + run(&text[start..]);
            at = end;
            if let Some((value, plain)) = decimal(&text[from..end], lone) {
                return Some(Found { value, plain, start: from, end });
            }
        }
    })
}

/// Bytes of the number that the text begins with.
fn run(text: &str) -> usize {
    let mut digits = 0_usize;
    for (at, c) in text.char_indices().take(NUMBER_CHARS) {
        if digit::is(c) {
            digits += 1;
            continue;
        }
        let behind = &text[at + c.len_utf8()..];
        let next = |n: usize| behind.chars().nth(n).is_some_and(digit::is);
        let takes = match c {
            '.' | ',' | '\u{66b}' | '\u{66c}' => next(0),
            // `19 .99`: the cents in an element of their own, with their point.
            ' ' if behind.starts_with(['.', ',']) => {
                !text[..at].contains(['.', ',']) && next(1) && next(2) && !next(3)
            }
            // A space groups digits only in exact threes, so that `5 500 g` and `2 in 1` stay apart from `1 299`.
            c if is_space(c) => digits <= 3 && next(0) && next(1) && next(2) && !next(3),
            _ => false,
        };
        if !takes {
            // `119. 95`: two elements of a page, the cents in the second.
            let split = c == '.' && behind.starts_with(' ') && next(1) && next(2) && !next(3);
            return if split && !behind[3..].starts_with(['.', ',', ':', '/']) {
                at + 1 + cents(behind)
            } else {
                at
            };
        }
        digits = 0;
    }
    text.char_indices().nth(NUMBER_CHARS).map_or(text.len(), |(at, _)| at)
}

/// Bytes of a space and two digits.
fn cents(behind: &str) -> usize {
    behind.chars().take(3).map(char::len_utf8).sum()
}

/// The value of digits with separators.
fn decimal(run: &str, lone: Lone) -> Option<(f64, String)> {
    let run: String = run
        .chars()
        .filter(|c| !is_space(*c))
        .map(|c| match c {
            '\u{66b}' => '.',
            '\u{66c}' => ',',
            c => digit::ascii(c).unwrap_or(c),
        })
        .collect();
    // A separator in front of more of them stands for nothing: `.750.30`.
    let run: Cow<'_, str> = match run.strip_prefix(['.', ',']) {
        Some(rest) if rest.contains(['.', ',']) => Cow::Owned(rest.to_owned()),
        _ => Cow::Owned(run),
    };
    let count = |sep: char| run.matches(sep).count();
    let (points, commas) = (count('.'), count(','));
    let point = match (points, commas) {
        (0, 0) => None,
        (p, c) if p > 0 && c > 0 => {
            let last = run.rfind(['.', ','])?;
            let sep = run[last..].chars().next()?;
            // The later kind is the decimal point, unless it comes more than once.
            (count(sep) == 1).then_some(last)
        }
        (1, 0) | (0, 1) => {
            let at = run.find(['.', ','])?;
            let (before, after) = (&run[..at], &run[at + 1..]);
            let groups = after.len() == 3
                && (1..=3).contains(&before.len())
                && before != "0"
                && (lone == Lone::Groups || commas == 1);
            (!groups).then_some(at)
        }
        // Separators of one kind, more than one: they part threes, in India also twos. Else it is a version or a list.
        _ => {
            let mut groups = run.split(['.', ',']).skip(1).peekable();
            while let Some(group) = groups.next() {
                let is_last = groups.peek().is_none();
                if group.len() != 3 && (is_last || group.len() != 2) {
                    return None;
                }
            }
            None
        }
    };
    let mut plain = String::with_capacity(run.len() + 1);
    for (at, c) in run.char_indices() {
        match c {
            '0'..='9' => plain.push(c),
            _ if Some(at) == point => plain.push('.'),
            _ => {}
        }
    }
    if plain.starts_with('.') {
        plain.insert(0, '0');
    }
    let value = plain.parse::<f64>().ok().filter(|n| n.is_finite())?;
    Some((value, plain))
}

/// The only or first number of a text, with its sign and a `k`, `M` or `B` right behind it (`3.5k` reviews).
pub fn first(text: &str, lone: Lone) -> Option<f64> {
    let found = numbers(text, lone).next()?;
    let value = found.value * multiplier(&text[found.end..]);
    Some(if is_negative(&text[..found.start]) { -value } else { value })
}

/// Does a minus sign stand before a number? A hyphen counts if it joins nothing.
pub(crate) fn is_negative(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\u{a0}']);
    before.ends_with('\u{2212}')
        || before.strip_suffix('-').is_some_and(|b| !b.ends_with(|c: char| c.is_alphanumeric()))
}

/// Words behind a number that multiply it. Compared as they are written where a letter alone would be a unit (`m`).
const MULTIPLIERS: &[(f64, &[&str])] = &[
    (1e3, &["k", "K", "thousand", "Tsd", "tys", "тыс", "тис", "千", "천", "हज़ार", "हजार"]),
    (1e4, &["万", "萬", "만"]),
    (1e5, &["lakh", "lakhs", "lac", "Lakh", "Lakhs", "Lac", "लाख"]),
    (
        1e6,
        &[
            "M",
            "mn",
            "mio",
            "Mio",
            "mln",
            "million",
            "Million",
            "millions",
            "millones",
            "milhões",
            "milhão",
            "milioni",
            "miljoen",
            "Millionen",
            "milyon",
            "млн",
            "مليون",
        ],
    ),
    (1e7, &["crore", "crores", "Crore", "Cr", "करोड़"]),
    (1e8, &["億", "亿", "억"]),
    (
        1e9,
        &[
            "B",
            "bn",
            "billion",
            "Billion",
            "Mrd",
            "Md",
            "mld",
            "mlrd",
            "miliardi",
            "milliard",
            "млрд",
            "مليار",
        ],
    ),
];

/// What a suffix right behind a number multiplies it with; 1 if none does.
pub fn multiplier(rest: &str) -> f64 {
    let rest = rest.strip_prefix([' ', '\u{a0}', '\u{202f}']).unwrap_or(rest);
    let word = &rest[..rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len())];
    // 万 and its like are followed by the currency without a space: `12万円`.
    let first = rest.chars().next().map_or("", |c| &rest[..c.len_utf8()]);
    let is = |w: &&str| *w == word || (*w == first && !first.is_ascii());
    MULTIPLIERS.iter().find(|(_, words)| words.iter().any(is)).map_or(1.0, |(by, _)| *by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators() {
        let prices = [
            ("1.299,00", 1299.0),
            ("1,299.00", 1299.0),
            ("1.299", 1299.0),
            ("1,299", 1299.0),
            ("12,99", 12.99),
            ("0.125", 0.125),
            ("1 299,5", 1299.5),
            ("1\u{a0}299\u{a0}000", 1_299_000.0),
            ("1'299.50", 1299.5),
            ("1,23,456", 123_456.0),
            ("1.234.567", 1_234_567.0),
            (".75", 0.75),
            ("..75", 0.75),
            (".750.30", 750.3),
            ("119. 95", 119.95),
            ("19 .99", 19.99),
            ("١٬٢٩٩٫٥٠", 1299.5),
            ("१,२३,४५६", 123_456.0),
        ];
        for (text, value) in prices {
            assert_eq!(first(text, Lone::Groups), Some(value), "{text}");
        }
        assert_eq!(first("4.125", Lone::CommaGroups), Some(4.125));
        assert_eq!(first("4,125", Lone::CommaGroups), Some(4125.0));
    }

    #[test]
    fn neighbours_stay_apart() {
        let values = |text| all(text, Lone::Groups, 9).iter().map(|f| f.value).collect::<Vec<_>>();
        assert_eq!(values("2 for 15"), [2.0, 15.0]);
        assert_eq!(values("4.5/5"), [4.5, 5.0]);
        assert_eq!(values("5 1234"), [5.0, 1234.0]);
        assert_eq!(values("Price 5. 12.50 each"), [5.0, 12.5]);
        assert!(values("none").is_empty());
    }

    #[test]
    fn signs_and_suffixes() {
        assert_eq!(first("-3", Lone::Groups), Some(-3.0));
        assert_eq!(first("A-3", Lone::Groups), Some(3.0));
        assert_eq!(first("3.5k reviews", Lone::Groups), Some(3500.0));
        assert_eq!(first("2 million", Lone::Groups), Some(2e6));
        assert_eq!(first("3 kg", Lone::Groups), Some(3.0));
        assert_eq!(first("1,2万人", Lone::Groups), Some(12_000.0));
        assert_eq!(first("5 тыс. отзывов", Lone::Groups), Some(5000.0));
    }

    #[test]
    fn long_runs_are_cut() {
        let digits = "1".repeat(100_000);
        assert!(all(&digits, Lone::Groups, 3).iter().all(|f| f.plain.len() <= NUMBER_CHARS));
    }
}
