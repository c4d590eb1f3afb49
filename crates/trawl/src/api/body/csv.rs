//! Rows out of CSV as it comes: a header line of field names, then one row per line (RFC 4180).
//!
//! Pure. Values are text; an empty cell is an absent field. Invariants: memory is bounded by one row
//! ([`limit::ROW_BYTES`], [`FIELDS`] columns), whatever the size of the body; no bytes make it panic.

use super::json::Fault;
use csv_core::{ReadRecordResult, Reader};
use model::limit;
use serde_json::{Map, Value};

/// Columns of a table.
const FIELDS: usize = 1_000;

/// The scanner.
pub(in crate::api) struct CsvRows {
    reader: Reader,
    header: Option<Vec<String>>,
    cells: Vec<u8>,
    ends: Vec<usize>,
    filled: usize,
    ended: usize,
    mark: Mark,
    rows: u64,
}

/// How much of a byte order mark has been passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Maybe(usize),
    Over,
}

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl Default for CsvRows {
    fn default() -> Self {
        Self {
            reader: Reader::new(),
            header: None,
            cells: vec![0; 1024],
            ends: vec![0; 16],
            filled: 0,
            ended: 0,
            mark: Mark::Maybe(0),
            rows: 0,
        }
    }
}

impl CsvRows {
    /// Takes a piece and hands every row that ends in it to `row`.
    pub(in crate::api) fn feed<E: From<Fault>>(
        &mut self,
        mut bytes: &[u8],
        mut row: impl FnMut(Map<String, Value>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let (Mark::Maybe(n), Some(byte)) = (self.mark, bytes.first()) {
            if BYTE_ORDER_MARK.get(n) == Some(byte) {
                self.mark = Mark::Maybe(n + 1);
                bytes = &bytes[1..];
            } else {
                self.mark = Mark::Over;
            }
        }
        while !bytes.is_empty() {
            let used = self.step(bytes, &mut row)?;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// The end of the body.
    pub(in crate::api) fn finish<E: From<Fault>>(
        &mut self,
        mut row: impl FnMut(Map<String, Value>) -> Result<(), E>,
    ) -> Result<(), E> {
        // An empty piece tells the reader that this is the end; it says `End` once all is handed over.
        while !self.ending(&mut row)? {}
        if self.header.is_none() { Err(Fault::Empty.into()) } else { Ok(()) }
    }

    fn ending<E: From<Fault>>(
        &mut self,
        row: &mut impl FnMut(Map<String, Value>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let (result, _, filled, ended) =
            self.reader.read_record(&[], &mut self.cells[self.filled..], &mut self.ends[self.ended..]);
        self.filled += filled;
        self.ended += ended;
        self.after(result, row)
    }

    fn step<E: From<Fault>>(
        &mut self,
        bytes: &[u8],
        row: &mut impl FnMut(Map<String, Value>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let (result, used, filled, ended) =
            self.reader.read_record(bytes, &mut self.cells[self.filled..], &mut self.ends[self.ended..]);
        self.filled += filled;
        self.ended += ended;
        self.after(result, row)?;
        Ok(used)
    }

    /// True at the end.
    fn after<E: From<Fault>>(
        &mut self,
        result: ReadRecordResult,
        row: &mut impl FnMut(Map<String, Value>) -> Result<(), E>,
    ) -> Result<bool, E> {
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull if self.cells.len() >= limit::ROW_BYTES => {
                return Err(Fault::RowTooLarge(self.rows + 1).into());
            }
            ReadRecordResult::OutputFull => {
                self.cells.resize((self.cells.len() * 2).min(limit::ROW_BYTES), 0);
            }
            ReadRecordResult::OutputEndsFull if self.ends.len() >= FIELDS => {
                return Err(self.syntax(format!("more than {FIELDS} columns")).into());
            }
            ReadRecordResult::OutputEndsFull => self.ends.resize((self.ends.len() * 2).min(FIELDS), 0),
            ReadRecordResult::Record => self.record(row)?,
            ReadRecordResult::End => return Ok(true),
        }
        Ok(false)
    }

    fn syntax(&self, text: impl Into<String>) -> Fault {
        Fault::Syntax(text.into(), self.rows + 1)
    }

    fn record<E: From<Fault>>(
        &mut self,
        row: &mut impl FnMut(Map<String, Value>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (filled, ended) = (std::mem::take(&mut self.filled), std::mem::take(&mut self.ended));
        let text = std::str::from_utf8(&self.cells[..filled]).map_err(|_| self.syntax("not UTF-8"))?;
        let starts = std::iter::once(0).chain(self.ends[..ended].iter().copied());
        let cells = starts
            .zip(self.ends[..ended].iter().copied())
            // The text as a whole is UTF-8, but a quote may end between two bytes of a character.
            .map(|(from, to)| text.get(from..to));
        let Some(header) = &self.header else {
            let names: Option<Vec<String>> = cells.map(|name| Some(name?.trim().to_owned())).collect();
            let names = names.ok_or_else(|| self.syntax("not UTF-8"))?;
            if names.iter().any(String::is_empty) {
                return Err(self.syntax("the header line has a column without a name").into());
            }
            if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
                return Err(self.syntax(format!("the header line names `{}` twice", twice.1)).into());
            }
            self.header = Some(names);
            return Ok(());
        };
        let mut fields = Map::with_capacity(ended.min(header.len()));
        for (at, cell) in cells.enumerate() {
            let cell = cell.ok_or_else(|| self.syntax("not UTF-8"))?;
            if cell.is_empty() {
                continue;
            }
            let Some(name) = header.get(at) else {
                return Err(self
                    .syntax(format!("more cells than the {} columns of the header line", header.len()))
                    .into());
            };
            fields.insert(name.clone(), Value::String(cell.to_owned()));
        }
        self.rows += 1;
        row(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<String>, Fault> {
        let mut scanner = CsvRows::default();
        let mut rows = Vec::new();
        let mut keep = |row: Map<String, Value>| -> Result<(), Fault> {
            rows.push(Value::Object(row).to_string());
            Ok(())
        };
        for piece in pieces {
            scanner.feed(piece, &mut keep)?;
        }
        scanner.finish(&mut keep)?;
        Ok(rows)
    }

    #[test]
    fn rows_are_named_by_the_header_and_empty_cells_are_absent() {
        let text = b"\xEF\xBB\xBFurl,name\r\nhttp://a/,\"x, \"\"y\"\"\"\r\n\r\nhttp://b/,\r\nhttp://c/";
        assert_eq!(
            read(&[text]).unwrap(),
            [r#"{"url":"http://a/","name":"x, \"y\""}"#, r#"{"url":"http://b/"}"#, r#"{"url":"http://c/"}"#]
        );
        assert_eq!(read(&[b"url\n"]).unwrap(), [""; 0]);
    }

    #[test]
    fn broken_tables_are_refused() {
        assert_eq!(read(&[b""]), Err(Fault::Empty));
        assert!(matches!(read(&[b"url,url\na,b"]), Err(Fault::Syntax(_, 1))));
        assert!(matches!(read(&[b"url,\na,b"]), Err(Fault::Syntax(_, 1))));
        assert!(matches!(read(&[b"url\na\nb,c"]), Err(Fault::Syntax(_, 2))));
        assert!(matches!(read(&[b"url\n\xFF\xFE"]), Err(Fault::Syntax(_, 1))));
        assert!(matches!(read(&[b"url\n\"", &vec![b'x'; 2 << 20]]), Err(Fault::RowTooLarge(1))));
        assert!(matches!(read(&[&vec![b','; 5_000]]), Err(Fault::Syntax(_, 1))));
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_rows(
            bytes in prop::collection::vec(prop::sample::select(&b"ab,\"\r\n\xEF\xBB\xBF\xC3\xA9"[..]), 0..80),
            at in any::<prop::sample::Index>(), then in any::<prop::sample::Index>(),
        ) {
            let mut cuts = [at.index(bytes.len() + 1), then.index(bytes.len() + 1)];
            cuts.sort_unstable();
            let pieces = [&bytes[..cuts[0]], &bytes[cuts[0]..cuts[1]], &bytes[cuts[1]..]];
            prop_assert_eq!(read(&[&bytes]), read(&pieces));
        }
    }
}
