//! The stream: shape of the rows, then gzip if asked for.

use crate::csv::Csv;
use crate::parquet::Parquet;
use crate::xlsx::Xlsx;
use crate::{FormatError, count, lines};
use flate2::{Compression, write::GzEncoder};
use model::Column;
use std::io::Write as _;

/// A middle of speed and size; downloads are made once and read once.
const GZIP_LEVEL: u32 = 3;

/// How rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One array, a row per line of text.
    Json,
    /// One object per line, as stored.
    Ndjson,
    /// A header line and a line per row, RFC 4180 with CRLF.
    Csv {
        /// The columns in order. A key of a row that is not among them is an error; a key that is missing in a row is an
        /// empty cell; a name given twice counts once.
        columns: Vec<String>,
        /// Puts `'` before a text (not a number) that a spreadsheet would run as a formula.
        formula_guard: bool,
    },
    /// Typed columns in row groups. What fits none of them goes into the column `_misfit`.
    Parquet {
        /// The columns in order; a name given twice counts once.
        columns: Vec<Column>,
    },
    /// One sheet with a header row. Texts are texts, never formulas.
    Xlsx {
        /// The columns in order, as for CSV.
        columns: Vec<String>,
    },
}

impl Shape {
    /// Is it packed by itself, so that gzip gains nothing?
    pub fn is_packed(&self) -> bool {
        matches!(self, Self::Parquet { .. } | Self::Xlsx { .. })
    }
}

/// Lines in, bytes out. After an error the stream is broken: what was taken is not a whole file.
pub struct Writer {
    table: Table,
    gzip: Option<Gzip>,
}

/// The rows before compression.
struct Table {
    shape: Rows,
    /// Rows written so far.
    rows: u64,
    /// The opening (`[`, the header) is written.
    opened: bool,
}

enum Rows {
    Json,
    Ndjson,
    Csv(Csv),
    Parquet(Box<Parquet>),
    Xlsx(Box<Xlsx>),
}

struct Gzip {
    encoder: GzEncoder<Vec<u8>>,
    /// Rows on their way to the compressor, kept for its capacity.
    plain: Vec<u8>,
}

impl Writer {
    /// A stream that has written nothing yet.
    ///
    /// # Errors
    /// If there cannot be such a table: columns that Parquet refuses, more columns than a sheet has.
    pub fn new(shape: Shape, gzip: bool) -> Result<Self, FormatError> {
        let shape = match shape {
            Shape::Json => Rows::Json,
            Shape::Ndjson => Rows::Ndjson,
            Shape::Csv { columns, formula_guard } => Rows::Csv(Csv::new(columns, formula_guard)),
            Shape::Parquet { columns } => Rows::Parquet(Box::new(Parquet::new(columns)?)),
            Shape::Xlsx { columns } => Rows::Xlsx(Box::new(Xlsx::new(columns)?)),
        };
        let gzip = gzip.then(|| Gzip {
            encoder: GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL)),
            plain: Vec::new(),
        });
        Ok(Self { table: Table { shape, rows: 0, opened: false }, gzip })
    }

    /// Takes zero or more whole lines, each one JSON object ended by `\n`, and appends what is ready to `out`.
    ///
    /// Memory is a small multiple of `lines`, and a row group for Parquet: push pieces of bounded size.
    ///
    /// # Errors
    /// See [`FormatError`]. NDJSON and JSON do not look into the objects, so they only notice lines that cannot be one.
    pub fn push(&mut self, lines: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let Some(gzip) = &mut self.gzip else { return self.table.rows(lines, out) };
        gzip.plain.clear();
        self.table.rows(lines, &mut gzip.plain)?;
        gzip.write(out)
    }

    /// Appends what is still to come: the end of the array (`[]` if there were no rows), the header of a table without
    /// rows, the end of the gzip file.
    ///
    /// # Errors
    /// Only if compressing or encoding fails.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        match self.gzip {
            None => self.table.end(out)?,
            Some(mut gzip) => {
                gzip.plain.clear();
                self.table.end(&mut gzip.plain)?;
                gzip.write(out)?;
                out.extend_from_slice(&gzip.encoder.finish()?);
            }
        }
        Ok(())
    }
}

impl Table {
    fn open(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        match &self.shape {
            Rows::Json => out.push(b'['),
            Rows::Ndjson | Rows::Parquet(_) | Rows::Xlsx(_) => {}
            Rows::Csv(csv) => csv.header(out),
        }
    }

    fn end(mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.open(out);
        match self.shape {
            Rows::Json => out.extend_from_slice(b"]\n"),
            Rows::Ndjson | Rows::Csv(_) => {}
            Rows::Parquet(parquet) => parquet.end(out)?,
            Rows::Xlsx(xlsx) => xlsx.end(out)?,
        }
        Ok(())
    }

    fn rows(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !bytes.ends_with(b"\n") {
            return Err(FormatError::Unended { row: self.rows + count(bytes) + 1 });
        }
        self.open(out);
        match &mut self.shape {
            Rows::Ndjson => {
                out.extend_from_slice(bytes);
                self.rows += count(bytes);
            }
            Rows::Json => {
                out.reserve(bytes.len() * 9 / 8);
                for line in lines(bytes) {
                    let object = object(line, self.rows + 1)?;
                    if self.rows > 0 {
                        out.extend_from_slice(b",\n");
                    }
                    out.extend_from_slice(object);
                    self.rows += 1;
                }
            }
            Rows::Csv(csv) => {
                out.reserve(bytes.len());
                each(bytes, &mut self.rows, |text, row| csv.row(text, row, out))?;
            }
            Rows::Parquet(parquet) => each(bytes, &mut self.rows, |text, row| parquet.row(text, row, out))?,
            Rows::Xlsx(xlsx) => each(bytes, &mut self.rows, |text, row| xlsx.row(text, row, out))?,
        }
        Ok(())
    }
}

impl Gzip {
    /// Packs `plain`. Lends `out` to the compressor, so that packed bytes are written where they belong.
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        std::mem::swap(self.encoder.get_mut(), out);
        let written = self.encoder.write_all(&self.plain);
        std::mem::swap(self.encoder.get_mut(), out);
        Ok(written?)
    }
}

/// Every line as text, with the number of its row.
fn each(
    bytes: &[u8],
    rows: &mut u64,
    mut take: impl FnMut(&str, u64) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    for line in lines(bytes) {
        let row = *rows + 1;
        let text = std::str::from_utf8(object(line, row)?)
            .map_err(|error| FormatError::NotAnObject { row, reason: error.to_string() })?;
        take(text, row)?;
        *rows = row;
    }
    Ok(())
}

/// The line without its end, if it looks like an object: a blank or cut line must not become a hole in an array.
fn object(line: &[u8], row: u64) -> Result<&[u8], FormatError> {
    let object = line.strip_suffix(b"\n").unwrap_or(line);
    if object.first() == Some(&b'{') && object.last() == Some(&b'}') {
        Ok(object)
    } else {
        Err(FormatError::NotAnObject { row, reason: "it does not begin with { and end with }".into() })
    }
}
