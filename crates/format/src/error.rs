//! What can be wrong with rows.

use thiserror::Error;

/// What can be wrong with rows. Rows come from our own segments, so each of these means damage or a bug of ours; the
/// stream is to be broken off, since bytes already taken may end in the middle of a row.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A push ended in the middle of a line.
    #[error("row {row} is not ended by a line feed")]
    Unended {
        /// Number of the row in this stream, from 1.
        row: u64,
    },
    /// A line is not one JSON object in UTF-8.
    #[error("row {row} is not a JSON object: {reason}")]
    NotAnObject {
        /// Number of the row in this stream, from 1.
        row: u64,
        /// What the parser said.
        reason: String,
    },
    /// A row has a key that is not a column: leaving it out would lose data in silence.
    #[error("row {row} has the key {column:?}, which is not among the columns")]
    UnknownColumn {
        /// Number of the row in this stream, from 1.
        row: u64,
        /// The key.
        column: String,
    },
    /// The table does not fit into the format.
    #[error("{0}")]
    TooBig(&'static str),
    /// The Parquet encoder failed.
    #[error("cannot write Parquet")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// The compressor failed.
    #[error("cannot compress")]
    Gzip(#[from] std::io::Error),
}
