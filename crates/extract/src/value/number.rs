//! Numbers as people write them: `1.299,00`, `1,23,456`, `1 299`, `1'299.50`.

/// How a lone point or comma before exactly three digits is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lone {
    /// `1.299` is 1299 (prices: nobody sells at a tenth of a cent).
    Groups,
    /// `1.299` is a fraction, `1,299` is 1299 (counts and measures, as English writes them).
    CommaGroups,
}

/// A number found in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The number, never negative.
    pub value: f64,
    /// First byte of its digits.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '\u{2019}')
}

/// All numbers of a text, in order; at most `most`.
pub fn all(text: &str, lone: Lone, most: usize) -> Vec<Found> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let digit = |i: usize| chars.get(i).is_some_and(|(_, c)| c.is_ascii_digit());
    let byte = |i: usize| chars.get(i).map_or(text.len(), |(at, _)| *at);
    let mut out = Vec::new();
    let mut i = 0;
    while i < chars.len() && out.len() < most {
        let leading_point = matches!(chars[i].1, '.' | ',') && digit(i + 1) && (i == 0 || !digit(i - 1));
        if !digit(i) && !leading_point {
            i += 1;
            continue;
        }
        let start = i;
        i += 1;
        while let Some((_, c)) = chars.get(i) {
            let three = digit(i + 1) && digit(i + 2) && digit(i + 3) && !digit(i + 4);
            let takes = match c {
                '0'..='9' => true,
                '.' | ',' | '\u{66b}' | '\u{66c}' => digit(i + 1),
                // A space groups digits only in exact threes, so that `5 500 g` and `2 in 1` stay apart from `1 299`.
                c if is_space(*c) => three && digits_before(&chars, start, i) <= 3,
                _ => false,
            };
            if !takes {
                break;
            }
            i += 1;
        }
        let run: String = chars[start..i].iter().map(|(_, c)| *c).collect();
        if let Some(value) = decimal(&run, lone) {
            out.push(Found { value, start: byte(start), end: byte(i) });
        }
    }
    out
}

fn digits_before(chars: &[(usize, char)], start: usize, end: usize) -> usize {
    chars[start..end].iter().rev().take_while(|(_, c)| c.is_ascii_digit()).count()
}

/// The value of digits with separators.
fn decimal(run: &str, lone: Lone) -> Option<f64> {
    let run: String = run
        .chars()
        .filter(|c| !is_space(*c))
        .map(|c| match c {
            '\u{66b}' => '.',
            '\u{66c}' => ',',
            c => c,
        })
        .collect();
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
        _ => None,
    };
    let mut plain = String::with_capacity(run.len());
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
    plain.parse::<f64>().ok().filter(|n| n.is_finite())
}

/// The only or first number of a text, with its sign and a `k`, `M` or `B` right behind it (`3.5k` reviews).
pub fn first(text: &str, lone: Lone) -> Option<f64> {
    let found = all(text, lone, 1).into_iter().next()?;
    let value = found.value * multiplier(&text[found.end..]);
    let before = text[..found.start].trim_end_matches([' ', '\u{a0}']);
    let negative = before.ends_with('\u{2212}')
        || (before.ends_with('-') && !before[..before.len() - 1].ends_with(|c: char| c.is_alphanumeric()));
    Some(if negative { -value } else { value })
}

/// What a suffix right behind a number multiplies it with.
pub fn multiplier(rest: &str) -> f64 {
    let rest = rest.strip_prefix([' ', '\u{a0}']).unwrap_or(rest);
    let word: String = rest.chars().take_while(|c| c.is_alphabetic()).take(9).collect();
    match word.as_str() {
        "k" | "K" | "thousand" => 1e3,
        "M" | "mn" | "mio" | "Mio" | "million" => 1e6,
        "B" | "bn" | "billion" => 1e9,
        "lakh" => 1e5,
        "crore" => 1e7,
        _ => 1.0,
    }
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
        assert!(values("none").is_empty());
    }

    #[test]
    fn signs_and_suffixes() {
        assert_eq!(first("-3", Lone::Groups), Some(-3.0));
        assert_eq!(first("A-3", Lone::Groups), Some(3.0));
        assert_eq!(first("3.5k reviews", Lone::Groups), Some(3500.0));
        assert_eq!(first("2 million", Lone::Groups), Some(2e6));
        assert_eq!(first("3 kg", Lone::Groups), Some(3.0));
    }
}
