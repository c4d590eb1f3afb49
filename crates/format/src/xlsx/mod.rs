//! Rows as a spreadsheet: one sheet, a header row, cells with their texts in place, so that it is written as it comes.
//!
//! Texts are inline strings, which no program takes for a formula. Numbers and booleans are such; a number that a
//! spreadsheet would round is a text, so that no digit is lost. A nested value is its JSON text, null an empty cell.
//! A text that is longer than a cell may be is cut, and says so at its end.
//!
//! Own code and not `rust_xlsxwriter`, since that writes through temporary files and gives nothing before the last row.

mod zip;

use crate::FormatError;
use crate::keys::Keys;
use flate2::{Compression, write::DeflateEncoder};
use std::io::Write as _;
use zip::Zip;

/// Rows of a sheet, without the header.
pub const ROWS_MAX: u64 = 1_048_575;
/// Columns of a sheet.
pub const COLUMNS_MAX: usize = 16_384;
/// UTF-16 units of a cell.
const CELL_UNITS: usize = 32_767;
const CUT: &str = "… (cut)";
/// Significant digits that a spreadsheet keeps.
const DIGITS: usize = 15;
const LEVEL: u32 = 3;
/// Text of rows that is packed at once.
const PIECE: usize = 64 << 10;

const TYPES: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">"#,
    r#"<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>"#,
    r#"<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>"#,
    r#"<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>"#,
    r"</Types>"
);
const ROOT_RELATIONS: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#,
    r#"<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>"#,
    r"</Relationships>"
);
const WORKBOOK: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">"#,
    r#"<sheets><sheet name="records" sheetId="1" r:id="rId1"/></sheets></workbook>"#
);
const RELATIONS: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#,
    r#"<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>"#,
    r"</Relationships>"
);
const SHEET_START: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#
);
const SHEET_END: &str = "</sheetData></worksheet>";

pub(crate) struct Xlsx {
    keys: Keys,
    /// Names of columns, `A` to `XFD`.
    letters: Vec<String>,
    zip: Zip,
    /// What stands before the sheet, until it is taken.
    first: Vec<u8>,
    /// Packs into what is taken out at every piece.
    sheet: DeflateEncoder<Vec<u8>>,
    /// Rows that are not packed yet.
    plain: Vec<u8>,
    /// Rows of the sheet, the header included.
    rows: u64,
}

impl Xlsx {
    pub(crate) fn new(columns: Vec<String>) -> Result<Self, FormatError> {
        let keys = Keys::new(columns);
        if keys.names().len() > COLUMNS_MAX {
            return Err(FormatError::TooBig("a sheet has at most 16,384 columns"));
        }
        let letters = (0..keys.names().len()).map(letters).collect();
        let mut zip = Zip::default();
        let mut first = Vec::new();
        for (name, text) in [
            ("[Content_Types].xml", TYPES),
            ("_rels/.rels", ROOT_RELATIONS),
            ("xl/workbook.xml", WORKBOOK),
            ("xl/_rels/workbook.xml.rels", RELATIONS),
        ] {
            zip.whole(name, text.as_bytes(), &mut first);
        }
        zip.begin("xl/worksheets/sheet1.xml", &mut first);
        let sheet = DeflateEncoder::new(Vec::new(), Compression::new(LEVEL));
        let mut xlsx = Self { keys, letters, zip, first, sheet, plain: SHEET_START.into(), rows: 0 };
        xlsx.header();
        Ok(xlsx)
    }

    fn header(&mut self) {
        self.rows += 1;
        let names: Vec<String> =
            self.keys.names().iter().map(|n| serde_json::Value::from(n.as_str()).to_string()).collect();
        let cells: Vec<&str> = names.iter().map(String::as_str).collect();
        line(&self.letters, &cells, self.rows, &mut self.plain);
    }

    /// Takes the row in `line`; `row` is its number for messages.
    pub(crate) fn row(&mut self, text: &str, row: u64, out: &mut Vec<u8>) -> Result<(), FormatError> {
        if self.rows > ROWS_MAX {
            return Err(FormatError::TooBig("a sheet has at most 1,048,575 rows and a header"));
        }
        let cells = self
            .keys
            .read(text)
            .map_err(|error| FormatError::NotAnObject { row, reason: error.to_string() })?;
        if let Some((column, _)) = cells.unknown.into_iter().next() {
            return Err(FormatError::UnknownColumn { row, column });
        }
        self.rows += 1;
        line(&self.letters, &cells.known, self.rows, &mut self.plain);
        if self.plain.len() >= PIECE { self.pack(out) } else { Ok(()) }
    }

    pub(crate) fn end(mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.plain.extend_from_slice(SHEET_END.as_bytes());
        self.pack(out)?;
        let last = self.sheet.finish()?;
        self.zip.packed(&last);
        out.extend_from_slice(&last);
        self.zip.end(out);
        Ok(())
    }

    fn pack(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        if !self.zip.plain(&self.plain) {
            return Err(FormatError::TooBig("a sheet has at most 4 GiB of text"));
        }
        out.append(&mut self.first);
        self.sheet.write_all(&self.plain)?;
        self.plain.clear();
        let packed = self.sheet.get_mut();
        self.zip.packed(packed);
        out.append(packed);
        Ok(())
    }
}

/// `A`, …, `Z`, `AA`, …
fn letters(index: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        let digit = u8::try_from((rest - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'A' + digit));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

fn line(letters: &[String], cells: &[&str], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("<row r=\"{number}\">").as_bytes());
    for (column, raw) in letters.iter().zip(cells) {
        let mut open = |kind: &str| {
            out.extend_from_slice(b"<c r=\"");
            out.extend_from_slice(column.as_bytes());
            out.extend_from_slice(format!("{number}\"{kind}>").as_bytes());
        };
        match raw.as_bytes() {
            b"null" => continue,
            b"true" | b"false" => {
                open(" t=\"b\"");
                out.extend_from_slice(if *raw == "true" { b"<v>1</v>" } else { b"<v>0</v>" });
            }
            [b'"', ..] => {
                open(" t=\"inlineStr\"");
                // The row was read as JSON, so its texts can be.
                let text: String = serde_json::from_str(raw).unwrap_or_default();
                inline(&text, out);
            }
            [b'0'..=b'9' | b'-', ..] if raw.bytes().filter(u8::is_ascii_digit).count() <= DIGITS => {
                open("");
                out.extend_from_slice(b"<v>");
                out.extend_from_slice(raw.as_bytes());
                out.extend_from_slice(b"</v>");
            }
            _ => {
                open(" t=\"inlineStr\"");
                inline(raw, out);
            }
        }
        out.extend_from_slice(b"</c>");
    }
    out.extend_from_slice(b"</row>");
}

/// A text as XML. What XML cannot hold is written as the format has it, `_x0007_`.
fn inline(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<is><t xml:space=\"preserve\">");
    let (kept, cut) = cell(text);
    let mut at = 0;
    for (index, c) in kept.char_indices() {
        let instead = match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\r' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                format!("_x{:04X}_", u32::from(c))
            }
            // What looks like such an escape and is none.
            '_' if looks_escaped(&kept[index..]) => "_x005F_".to_owned(),
            _ => continue,
        };
        out.extend_from_slice(&kept.as_bytes()[at..index]);
        out.extend_from_slice(instead.as_bytes());
        at = index + c.len_utf8();
    }
    out.extend_from_slice(&kept.as_bytes()[at..]);
    if cut {
        out.extend_from_slice(CUT.as_bytes());
    }
    out.extend_from_slice(b"</t></is>");
}

fn looks_escaped(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 7 && bytes[1] == b'x' && bytes[2..6].iter().all(u8::is_ascii_hexdigit) && bytes[6] == b'_'
}

/// As much of the text as a cell holds, and whether that is not all.
fn cell(text: &str) -> (&str, bool) {
    if text.len() <= CELL_UNITS {
        return (text, false);
    }
    let (mut units, mut room) = (0, 0);
    for (index, c) in text.char_indices() {
        units += c.len_utf16();
        if units + CUT.len() <= CELL_UNITS {
            room = index + c.len_utf8();
        }
        if units > CELL_UNITS {
            return (&text[..room], true);
        }
    }
    (text, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        for (index, expected) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")]
        {
            assert_eq!(letters(index), expected);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let fits = "a".repeat(CELL_UNITS);
        assert_eq!(cell(&fits), (fits.as_str(), false));
        let wide = "\u{1f600}".repeat(CELL_UNITS);
        let (kept, cut) = cell(&wide);
        assert!(cut);
        assert!(kept.encode_utf16().count() + CUT.encode_utf16().count() <= CELL_UNITS);
        let accents = "é".repeat(CELL_UNITS);
        assert_eq!(cell(&accents), (accents.as_str(), false), "counted in units, not in bytes");
    }

    #[test]
    fn a_sheet_that_is_full_says_so() {
        let mut xlsx = Xlsx::new(vec!["a".to_owned()]).unwrap();
        let mut out = Vec::new();
        for row in 1..=ROWS_MAX {
            xlsx.row("{}", row, &mut out).unwrap();
            out.clear();
        }
        assert!(matches!(xlsx.row("{}", ROWS_MAX + 1, &mut out), Err(FormatError::TooBig(_))));
    }
}
