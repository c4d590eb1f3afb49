//! Digits of every script. Numbers and dates are read with ASCII digits; this is where the others become them.
//!
//! Source: Unicode general category Nd. Every block has its ten digits in a row, so its zero says it all.

use std::borrow::Cow;

/// The zero of each block of decimal digits that web pages use, in order.
const ZEROS: &[u32] = &[
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x17E0, 0x1810, 0xFF10,
];

/// The ASCII digit of a decimal digit of any script.
pub fn ascii(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let code = u32::from(c);
    let zero = ZEROS.iter().rev().find(|zero| **zero <= code)?;
    char::from_digit(code.checked_sub(*zero)?, 10)
}

/// Is it a decimal digit of any script?
pub fn is(c: char) -> bool {
    ascii(c).is_some()
}

/// The same text with ASCII digits, and with the full-width signs of East Asia in their narrow form. Never longer.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(narrow).collect())
}

/// One character of [`fold`].
fn narrow(c: char) -> char {
    match c {
        // The full-width forms follow ASCII in order (U+FF01 is `!`).
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => ascii(c).unwrap_or(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script() {
        assert_eq!(fold("١٢٣ ۴۵ ५६ ๗๘ ９０／１"), "123 45 56 78 90/1");
        assert_eq!(ascii('a'), None);
        assert_eq!(ascii('五'), None);
        // One behind a block's nine is no digit.
        assert_eq!(ascii('\u{066a}'), None);
    }
}
