//! Rows → JSON array, NDJSON, CSV, Parquet or XLSX, gzipped or not, as a stream: lines are pushed in, bytes are taken
//! out.
//!
//! Pure: it does not know where rows come from or where bytes go, and holds no more than the caller pushes at once
//! (Parquet: a row group).
//! Rows are the lines that segments store: one JSON object each, ended by `\n`, never changed on the way to JSON and
//! NDJSON (what the caller sees is byte for byte what was collected).
//!
//! Invariant: the bytes depend on the lines alone, not on how they were cut into pushes. (With gzip this holds for what
//! the bytes unpack to.)

mod csv;
mod error;
mod keys;
mod line;
mod parquet;
mod writer;
mod xlsx;

pub use error::FormatError;
pub use line::{count, lines, range};
pub use writer::{Shape, Writer};
pub use xlsx::{COLUMNS_MAX as XLSX_COLUMNS_MAX, ROWS_MAX as XLSX_ROWS_MAX};
