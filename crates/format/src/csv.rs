//! One row as one CSV line: RFC 4180, UTF-8 without byte order mark, lines ended by CRLF as the RFC has it.
//!
//! A string is its own text, a number or boolean its JSON text, a nested value its JSON text. Null and a missing key
//! are an empty cell; an empty string is `""`, so that readers who care can tell the two apart.
//! A row is read completely before any of it is written.

use crate::FormatError;
use memchr::{memchr, memchr_iter};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// First characters by which a spreadsheet takes a text for a formula, tab and carriage return included, since some
/// skip them before they look (OWASP, "CSV Injection").
const FORMULA_STARTS: &[u8] = b"=+-@\t\r";

pub(crate) struct Csv {
    columns: Vec<String>,
    index: HashMap<String, usize>,
    formula_guard: bool,
}

impl Csv {
    /// A name that is given twice is one column, where it stands first.
    pub(crate) fn new(names: Vec<String>, formula_guard: bool) -> Self {
        let mut columns = Vec::with_capacity(names.len());
        let mut index = HashMap::with_capacity(names.len());
        for name in names {
            if !index.contains_key(&name) {
                index.insert(name.clone(), columns.len());
                columns.push(name);
            }
        }
        Self { columns, index, formula_guard }
    }

    pub(crate) fn header(&self, out: &mut Vec<u8>) {
        for (i, name) in self.columns.iter().enumerate() {
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
        let mut cells = vec!["null"; self.columns.len()];
        let mut unknown = None;
        let mut parser = serde_json::Deserializer::from_str(line);
        let seed =
            Row { columns: &self.columns, index: &self.index, cells: &mut cells, unknown: &mut unknown };
        seed.deserialize(&mut parser).and_then(|()| parser.end()).map_err(not_an_object)?;
        if let Some(column) = unknown {
            return Err(FormatError::UnknownColumn { row, column });
        }

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

/// Reads one object into the JSON text of each column; nothing is copied.
struct Row<'a, 'de> {
    columns: &'a [String],
    index: &'a HashMap<String, usize>,
    cells: &'a mut [&'de str],
    unknown: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Row<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        loop {
            let key = Key { columns: self.columns, index: self.index, next };
            let Some(column) = map.next_key_seed(key)? else { return Ok(()) };
            let raw: &'de RawValue = map.next_value()?;
            match column {
                Ok(at) => {
                    self.cells[at] = raw.get();
                    next = at + 1;
                }
                Err(name) => {
                    self.unknown.get_or_insert(name);
                }
            }
        }
    }
}

/// Turns a key into the index of its column without copying it, or gives the key back.
struct Key<'a> {
    columns: &'a [String],
    index: &'a HashMap<String, usize>,
    /// The column after the last one seen: rows mostly follow the order of the columns.
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        if self.columns.get(self.next).is_some_and(|name| name == key) {
            return Ok(Ok(self.next));
        }
        Ok(self.index.get(key).copied().ok_or_else(|| key.to_owned()))
    }
}
