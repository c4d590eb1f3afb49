//! Character references: `&amp;`, `&#8364;`, `&#x20ac;` (the standard, 13.2.5.72 and on).

use html5ever::data::{C1_REPLACEMENTS, NAMED_ENTITIES};

/// No name of the standard's table is longer.
const LONGEST_NAME: usize = 32;

/// One or two characters, as the standard's table has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    utf8: [u8; 8],
    len: usize,
}

impl Value {
    fn new(first: u32, second: u32) -> Option<Value> {
        let mut value = Value { utf8: [0; 8], len: 0 };
        let first = char::from_u32(first)?;
        value.len = first.encode_utf8(&mut value.utf8).len();
        if second != 0 {
            value.len += char::from_u32(second)?.encode_utf8(&mut value.utf8[value.len..]).len();
        }
        Some(value)
    }

    pub(super) fn as_str(&self) -> &str {
        // Always UTF-8: written by `encode_utf8` alone.
        std::str::from_utf8(&self.utf8[..self.len]).unwrap_or_default()
    }
}

/// The text with its character references replaced, as an attribute's would be: `&amp;` and `&#039;`, but not the `&copy`
/// of `?a=1&copy=2`.
pub(crate) fn unescape(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('&') {
        return std::borrow::Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, _) in text.match_indices('&') {
        if start < at {
            continue;
        }
        if let Some((value, end)) = read(text.as_bytes(), start, true) {
            out.push_str(&text[at..start]);
            out.push_str(value.as_str());
            at = end;
        }
    }
    out.push_str(&text[at..]);
    std::borrow::Cow::Owned(out)
}

/// Reads the reference at `at`, where a `&` stands: its value and where it ends. `None` when the `&` is only itself.
pub(super) fn read(page: &[u8], at: usize, in_attribute: bool) -> Option<(Value, usize)> {
    match page.get(at + 1)? {
        b'#' => numeric(page, at + 2),
        byte if byte.is_ascii_alphanumeric() => named(page, at + 1, in_attribute),
        _ => None,
    }
}

fn named(page: &[u8], start: usize, in_attribute: bool) -> Option<(Value, usize)> {
    let window = &page[start..page.len().min(start + LONGEST_NAME)];
    let len = window.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(window.len());
    if window.get(len) == Some(&b';')
        && let Some(value) = look_up(&window[..=len])
    {
        return Some((value, start + len + 1));
    }
    // An old name without its semicolon: the longest that the page begins with.
    let (value, end) = (1..=len).rev().find_map(|len| Some((look_up(&window[..len])?, start + len)))?;
    let next = page.get(end).copied().unwrap_or_default();
    if in_attribute && (next == b'=' || next.is_ascii_alphanumeric()) {
        return None;
    }
    Some((value, end))
}

fn look_up(name: &[u8]) -> Option<Value> {
    // Names are ASCII. The table also holds the beginnings of names, with zeros.
    let &(first, second) = NAMED_ENTITIES.get(std::str::from_utf8(name).ok()?)?;
    if first == 0 { None } else { Value::new(first, second) }
}

fn numeric(page: &[u8], start: usize) -> Option<(Value, usize)> {
    let (base, start) = match page.get(start) {
        Some(b'x' | b'X') => (16, start + 1),
        _ => (10, start),
    };
    let mut number: u32 = 0;
    let mut end = start;
    while let Some(digit) = page.get(end).and_then(|&byte| char::from(byte).to_digit(base)) {
        number = number.saturating_mul(base).saturating_add(digit);
        end += 1;
    }
    if end == start {
        return None;
    }
    if page.get(end) == Some(&b';') {
        end += 1;
    }
    let replaced = match number {
        0 => None,
        0x80..=0x9f => C1_REPLACEMENTS[(number - 0x80) as usize].or(char::from_u32(number)),
        _ => char::from_u32(number),
    };
    Some((Value::new(u32::from(replaced.unwrap_or('\u{fffd}')), 0)?, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &str, in_attribute: bool) -> Option<(String, &str)> {
        read(page.as_bytes(), 0, in_attribute).map(|(value, end)| (value.as_str().to_owned(), &page[end..]))
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(text("&amp;x", false), Some(("&".into(), "x")));
        assert_eq!(text("&notin;", false), Some(("∉".into(), "")));
        assert_eq!(text("&notit;", false), Some(("¬".into(), "it;")));
        assert_eq!(text("&bne;", false), Some(("=\u{20e5}".into(), "")));
        assert_eq!(text("&#8364 ", false), Some(("€".into(), " ")));
        assert_eq!(text("&#X80;", false), Some(("€".into(), "")));
        assert_eq!(text("&#0;&#xd800;", false), Some(("\u{fffd}".into(), "&#xd800;")));
        assert_eq!(text("&#99999999999;", false), Some(("\u{fffd}".into(), "")));
        for plain in ["&", "& ", "&#", "&#x;", "&#xg", "&nosuchname;", "&;"] {
            assert_eq!(text(plain, false), None, "{plain}");
        }
    }

    #[test]
    fn in_an_attribute_an_old_name_before_a_letter_is_part_of_the_address() {
        assert_eq!(text("&copy=1", true), None);
        assert_eq!(text("&copyright", true), None);
        assert_eq!(text("&copy;=1", true), Some(("©".into(), "=1")));
        assert_eq!(text("&copy\"", true), Some(("©".into(), "\"")));
        assert_eq!(text("&copy=1", false), Some(("©".into(), "=1")));
    }
}
