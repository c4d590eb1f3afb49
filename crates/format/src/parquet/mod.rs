//! Rows as a Parquet file: columns with types, zstd, row groups that flow out as they are done.
//!
//! A value that does not fit its column is null there, and stands as it was collected in the JSON column `_misfit`, an
//! object of column names; so does a key that is no column. A value deep within a list or an object that does not fit
//! is null at its place, and the whole column's value stands in `_misfit`. So nothing is lost and no file fails.
//!
//! Invariant: memory is that of one row group, whatever the number of rows; the footer keeps a few hundred bytes for
//! each column of each row group.

mod leaf;
mod schema;
mod shred;

use crate::FormatError;
use crate::keys::Keys;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::SerializedFileWriter;
use leaf::Leaf;
use model::Column;
use shred::Node;
use std::fmt::Write as _;
use std::sync::Arc;

/// Row text (and levels) after which a row group is written. What is held is some times this: the texts, the growth of
/// their buffers, pages on their way. Readers hold a row group too.
const GROUP_BYTES: usize = 8 << 20;
/// A middle of speed and size.
const ZSTD_LEVEL: i32 = 3;
/// Bytes of a text that stand in the footer as least and greatest.
const BOUND_BYTES: usize = 32;
/// Where misfits go; longer by underscores if a column has that name.
const MISFIT: &str = "_misfit";

pub(crate) struct Parquet {
    file: SerializedFileWriter<Vec<u8>>,
    keys: Keys,
    /// One for each key.
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    /// Rows and their text since the last row group.
    waiting: u64,
    text_bytes: usize,
    group_bytes: usize,
}

impl Parquet {
    pub(crate) fn new(columns: Vec<Column>) -> Result<Self, ParquetError> {
        Self::with_groups(columns, GROUP_BYTES)
    }

    fn with_groups(columns: Vec<Column>, group_bytes: usize) -> Result<Self, ParquetError> {
        let keys = Keys::new(columns.iter().map(|c| c.name.clone()));
        let mut unique: Vec<Column> = Vec::with_capacity(columns.len());
        for column in columns {
            if unique.len() < keys.names().len() && keys.names()[unique.len()] == column.name {
                unique.push(column);
            }
        }
        let mut misfit = MISFIT.to_owned();
        while keys.names().contains(&misfit) {
            misfit.push('_');
        }
        let made = schema::make(&unique, &misfit)?;
        let properties = WriterProperties::builder()
            .set_created_by("trawl".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(BOUND_BYTES))
            .set_offset_index_disabled(true)
            .build();
        let file = SerializedFileWriter::new(Vec::new(), made.root, Arc::new(properties))?;
        let (nodes, leaves) = (made.nodes, made.leaves);
        Ok(Self { file, keys, nodes, leaves, waiting: 0, text_bytes: 0, group_bytes })
    }

    /// Takes the row in `line`; `row` is its number for messages. Appends a row group to `out` when one is full.
    pub(crate) fn row(&mut self, line: &str, row: u64, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let cells = self
            .keys
            .read(line)
            .map_err(|error| FormatError::NotAnObject { row, reason: error.to_string() })?;
        let mut misfits = String::new();
        for (at, (node, raw)) in self.nodes.iter().zip(&cells.known).enumerate() {
            if !node.shred(raw, shred::At::TOP, &mut self.leaves) {
                note(&mut misfits, &self.keys.names()[at], raw);
            }
        }
        for (name, raw) in &cells.unknown {
            note(&mut misfits, name, raw);
        }
        if let Some(leaf) = self.leaves.last_mut() {
            if misfits.is_empty() {
                leaf.absent(0, 0);
            } else {
                misfits.push('}');
                leaf.text(&misfits, 1, 0);
            }
        }
        self.waiting += 1;
        self.text_bytes += line.len() + misfits.len();
        if self.text_bytes + self.leaves.iter().map(Leaf::entry_bytes).sum::<usize>() >= self.group_bytes {
            self.group()?;
            self.drain(out);
        }
        Ok(())
    }

    /// The rest of the rows and the footer.
    pub(crate) fn end(mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        if self.waiting > 0 {
            self.group()?;
        }
        self.file.finish()?;
        self.drain(out);
        Ok(())
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for leaf in &mut self.leaves {
            let Some(mut column) = group.next_column()? else {
                return Err(ParquetError::General("fewer columns than leaves".to_owned()));
            };
            leaf.write(column.untyped())?;
            column.close()?;
        }
        group.close()?;
        (self.waiting, self.text_bytes) = (0, 0);
        Ok(())
    }

    /// What the file has written so far. It counts its offsets by itself.
    fn drain(&mut self, out: &mut Vec<u8>) {
        let written = self.file.inner_mut();
        if out.is_empty() {
            std::mem::swap(written, out);
        } else {
            out.append(written);
        }
    }
}

/// Adds a member to the text of an object that is not closed yet.
fn note(misfits: &mut String, name: &str, raw: &str) {
    misfits.push(if misfits.is_empty() { '{' } else { ',' });
    // Writing to a string does not fail.
    let _ = write!(misfits, "{}:{raw}", serde_json::Value::from(name));
}
