//! One row as one CSV line: RFC 4180, UTF-8 without byte order mark, lines ended by CRLF as the RFC has it.
//!
//! A string is its own text, a number or boolean its JSON text, a nested value its JSON text. Null and a missing key
//! are an empty cell; an empty string is `""`, so that readers who care can tell the two apart.
//! A row is read completely before any of it is written.

use crate::FormatError;
use crate::keys::Keys;
use memchr::{memchr, memchr_iter};

/// First characters by which a spreadsheet takes a text for a formula, tab and carriage return included, since some
/// skip them before they look (OWASP, "CSV Injection").
const FORMULA_STARTS: &[u8] = b"=+-@\t\r";

pub(crate) struct Csv {
    columns: Keys,
    formula_guard: bool,
}

impl Csv {
    /// A name that is given twice is one column, where it stands first.
    pub(crate) fn new(names: Vec<String>, formula_guard: bool) -> Self {
        Self { columns: Keys::new(names), formula_guard }
    }

    pub(crate) fn header(&self, out: &mut Vec<u8>) {
        for (i, name) in self.columns.names().iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.text_cell(name, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the row in `line`; `row` is its number for messages.
    pub(crate) fn row(&self, line: &str, row: u64, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let not_an_object =
            |error: serde_json::Error| FormatError::NotAnObject { row, reason: error.to_string() };
        let cells = self.columns.read(line).map_err(not_an_object)?;
        if let Some((column, _)) = cells.unknown.into_iter().next() {
            return Err(FormatError::UnknownColumn { row, column });
        }
        let cells = cells.known;

        let start = out.len();
        for (i, raw) in cells.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.value_cell(raw, out).map_err(not_an_object)?;
        }
        if cells.len() == 1 && out.len() == start {
            // An empty line would be no row to most readers.
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn value_cell(&self, raw: &str, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match raw.as_bytes() {
            b"null" => {}
            [b'"', inside @ .., b'"'] => {
                if memchr(b'\\', inside).is_some() {
                    let text: String = serde_json::from_str(raw)?;
                    self.text_cell(&text, out);
                } else {
                    self.plain_cell(&raw[1..raw.len() - 1], out);
                }
            }
            [b'{' | b'[', ..] => quoted(raw, out),
            // A number starting with `-` is no formula: a guard would turn it into a text.
            number_or_boolean => out.extend_from_slice(number_or_boolean),
        }
        Ok(())
    }

    /// Any text.
    fn text_cell(&self, text: &str, out: &mut Vec<u8>) {
        if text.bytes().any(|b| matches!(b, b'"' | b'\r' | b'\n')) {
            self.quoted_text(text, out);
        } else {
            self.plain_cell(text, out);
        }
    }

    /// A text without quotes and line ends, which is what a JSON string without escapes is.
    fn plain_cell(&self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() || memchr(b',', text.as_bytes()).is_some() {
            self.quoted_text(text, out);
        } else {
            if self.is_guarded(text) {
                out.push(b'\'');
            }
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn quoted_text(&self, text: &str, out: &mut Vec<u8>) {
        if self.is_guarded(text) {
            out.extend_from_slice(b"\"'");
            doubled(text, out);
            out.push(b'"');
        } else {
            quoted(text, out);
        }
    }

    fn is_guarded(&self, text: &str) -> bool {
        self.formula_guard && text.as_bytes().first().is_some_and(|b| FORMULA_STARTS.contains(b))
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    doubled(text, out);
    out.push(b'"');
}

/// `text` with every quote doubled.
fn doubled(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    for at in memchr_iter(b'"', bytes) {
        // The quote goes along with what stands before it, and again at the start of what stands behind it.
        out.extend_from_slice(&bytes[from..=at]);
        from = at;
    }
    out.extend_from_slice(&bytes[from..]);
}
