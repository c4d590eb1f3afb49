//! Patterns of robots.txt: a prefix of the path, `*` for anything, `$` for its end.
//!
//! Linear in the path for each pattern: the parts between stars are looked for one after the other.

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// What stands between the stars.
    parts: Vec<String>,
    /// It ends with `$`.
    to_the_end: bool,
    /// Bytes as written; the more, the more exact.
    weight: usize,
}

impl Pattern {
    pub(super) fn new(written: &str) -> Self {
        let escaped = escape(written);
        let weight = escaped.len();
        let (text, to_the_end) = match escaped.strip_suffix('$') {
            Some(text) => (text, true),
            None => (escaped.as_str(), false),
        };
        let mut parts: Vec<String> = text.split('*').map(str::to_owned).collect();
        // Stars beside each other are one.
        let last = parts.len() - 1;
        let mut at = 0;
        parts.retain(|part| {
            at += 1;
            !part.is_empty() || at == 1 || at == last + 1
        });
        Self { parts, to_the_end, weight }
    }

    /// The pattern, escaped, with stars beside each other as one.
    pub(super) fn text(&self) -> String {
        self.parts.join("*") + if self.to_the_end { "$" } else { "" }
    }

    /// The weight of the match; `None` for none.
    pub(super) fn matches(&self, path: &str) -> Option<usize> {
        let (first, rest) = self.parts.split_first()?;
        let mut left = path.strip_prefix(first.as_str())?;
        let Some((last, middle)) = rest.split_last() else {
            return (!self.to_the_end || left.is_empty()).then_some(self.weight);
        };
        for part in middle {
            left = &left[left.find(part.as_str())? + part.len()..];
        }
        let fits = if self.to_the_end { left.ends_with(last.as_str()) } else { left.contains(last.as_str()) };
        fits.then_some(self.weight)
    }
}

/// Bytes that are not ASCII are percent-encoded, the digits of those that are get upper case (RFC 9309, section 2.2.2).
pub(super) fn escape(written: &str) -> String {
    let bytes = written.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        match (byte, digits) {
            (b'%', Some(digits)) => {
                out.push('%');
                out.extend(digits.iter().map(|d| char::from(d.to_ascii_uppercase())));
                at += 3;
                continue;
            }
            (byte, _) if byte.is_ascii() => out.push(char::from(*byte)),
            (byte, _) => out.push_str(&format!("%{byte:02X}")),
        }
        at += 1;
    }
    out
}
