//! Rows back out: registered segments → the caller's format, as a stream of bounded pieces. Used by downloads,
//! synchronous answers and deliveries alike.
//!
//! Invariant: the order of rows is the order in which their segments were registered and never changes, so parts and
//! ranges fit together.

pub(crate) mod columns;

use crate::worker::aborted_row;
use bytes::Bytes;
use extract::Scraper;
use format::{FormatError, Shape, Writer};
use futures_util::Stream;
use model::{Format, Segment, Snapshot};
use std::io::Write;
use std::sync::Arc;
use store::{Bucket, Content, Registered, Store};
use tokio::sync::mpsc;

/// Bytes read from the bucket at once, and the size that pieces of the stream grow to.
const PIECE: usize = 256 << 10;
/// Pieces made ahead of the reader.
const AHEAD: usize = 2;
/// Segments listed at once.
const LISTED: usize = 512;

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
    /// A row did not fit the format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Whoever asked has gone.
    #[error("the reader has gone")]
    Gone,
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

    /// The part with this index, from 0.
    pub fn part(index: u64, batch_size: u64) -> Self {
        Self { first: index.saturating_mul(batch_size), rows: batch_size }
    }

    fn end(self) -> u64 {
        self.first.saturating_add(self.rows)
    }
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
    pub fn shape(
        snapshot: &Snapshot,
        scraper: Option<&Scraper>,
        format: Format,
        formula_guard: bool,
    ) -> Shape {
        match format {
            Format::Json => Shape::Json,
            Format::Ndjson | Format::Jsonl => Shape::Ndjson,
            Format::Csv => Shape::Csv { columns: columns::names(snapshot, scraper), formula_guard },
            Format::Parquet => Shape::Parquet { columns: columns::typed(snapshot, scraper) },
            Format::Xlsx => Shape::Xlsx { columns: columns::names(snapshot, scraper) },
        }
    }

    /// Why there is no such file of the rows: a sheet has bounds.
    pub fn refusal(snapshot: &Snapshot, shape: &Shape, range: Range) -> Option<String> {
        let Shape::Xlsx { columns } = shape else { return None };
        let rows = snapshot.visible_rows().saturating_sub(range.first).min(range.rows);
        if rows > format::XLSX_ROWS_MAX {
            return Some(format!(
                "Snapshot is too big for xlsx: {rows} rows, and a sheet has at most {}; take parts of it \
                 (\"batch_size\") or another format",
                format::XLSX_ROWS_MAX
            ));
        }
        (columns.len() > format::XLSX_COLUMNS_MAX).then(|| {
            format!(
                "Snapshot is too big for xlsx: {} columns, and a sheet has at most {}; take another format or fewer \
                 fields (\"custom_output_fields\")",
                columns.len(),
                format::XLSX_COLUMNS_MAX
            )
        })
    }

    /// The rows as a stream. Memory is bounded by a few pieces (and a row group), whatever the size of the snapshot.
    pub fn stream(
        &self,
        snapshot: &Snapshot,
        shape: Shape,
        gzip: bool,
        range: Range,
    ) -> impl Stream<Item = Result<Bytes, RowsError>> + Send + Sync + Unpin + 'static {
        let (send, mut receive) = mpsc::channel(AHEAD);
        let packed = shape.is_packed();
        let reader = Writer::new(shape, gzip).map(|writer| Reader {
            rows: self.clone(),
            snapshot: snapshot.clone(),
            range,
            writer: Some(writer),
            packed,
            out: Vec::new(),
            send: send.clone(),
        });
        tokio::spawn(async move {
            let read = match reader {
                Ok(reader) => reader.read().await,
                Err(error) => Err(error.into()),
            };
            match read {
                Ok(()) | Err(RowsError::Gone) => {}
                Err(error) => {
                    // If the reader has gone, nobody needs the error.
                    let _ = send.send(Err(error)).await;
                }
            }
        });
        futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx))
    }
}

/// Why the rows of a quarantined run are not simply given.
pub(crate) fn held_back(snapshot: &Snapshot) -> String {
    let reasons = snapshot.quality.as_ref().map(|quality| quality.reasons.join("; ")).unwrap_or_default();
    format!("Snapshot is held back by the quality gate: {reasons}")
}

struct Reader {
    rows: Rows,
    snapshot: Snapshot,
    range: Range,
    /// Away only while it writes on another thread.
    writer: Option<Writer>,
    /// It packs many rows at once, which takes too long for a thread that serves others.
    packed: bool,
    out: Vec<u8>,
    send: mpsc::Sender<Result<Bytes, RowsError>>,
}

impl Reader {
    async fn read(mut self) -> Result<(), RowsError> {
        let mut from = 0;
        loop {
            let listed = self.rows.store.segments(&self.snapshot.id, from, LISTED).await?;
            let Some(last) = listed.last() else { return self.close().await };
            from = last.seq + 1;
            for registered in &listed {
                if !self.segment(registered).await? {
                    return self.close().await;
                }
            }
        }
    }

    /// The rows of one segment that lie in the range; false once the range is behind us.
    async fn segment(&mut self, at: &Registered) -> Result<bool, RowsError> {
        let with_errors = self.snapshot.trigger.include_errors;
        let start = at.first_record + if with_errors { at.first_error } else { 0 };
        if start >= self.range.end() {
            return Ok(false);
        }
        match &at.content {
            Content::Segment(segment) => {
                self.lines(segment, 0, segment.record_bytes, start, segment.records).await?;
                if with_errors {
                    let first = start + segment.records;
                    self.lines(segment, segment.record_bytes, segment.error_bytes, first, segment.errors)
                        .await?;
                }
            }
            Content::Aborted { errors } if with_errors && start + errors > self.range.first => {
                let aborted = self.rows.store.aborted(&self.snapshot.id, at.seq).await?;
                for (row, input) in (start..).zip(&aborted.inputs) {
                    if row >= self.range.first && row < self.range.end() {
                        let mut line = aborted_row(input, aborted.code, self.snapshot.state, aborted.at);
                        line.push('\n');
                        self.push(line.into_bytes()).await?;
                    }
                }
            }
            Content::Aborted { .. } => {}
        }
        Ok(true)
    }

    /// The lines of one part of a segment: rows `first..first + count` of the snapshot.
    async fn lines(
        &mut self,
        segment: &Segment,
        from: u64,
        len: u64,
        first: u64,
        count: u64,
    ) -> Result<(), RowsError> {
        if count == 0 || first + count <= self.range.first || first >= self.range.end() {
            return Ok(());
        }
        let whole = self.range.first <= first && first + count <= self.range.end();
        let mut row = first;
        let mut unpacked =
            zstd::stream::write::Decoder::new(Vec::new()).map_err(|e| RowsError::Damaged(e.to_string()))?;
        let mut at = 0;
        while at < len {
            let take = (len - at).min(PIECE as u64);
            let bytes = self.rows.bucket.get(&segment.key, from + at, take).await?;
            at += take;
            for piece in bytes.chunks(PIECE / 8) {
                unpacked.write_all(piece).map_err(|e| RowsError::Damaged(format!("{}: {e}", segment.key)))?;
                if at >= len {
                    unpacked.flush().map_err(|e| RowsError::Damaged(format!("{}: {e}", segment.key)))?;
                }
                let plain = unpacked.get_mut();
                let Some(end) = plain.iter().rposition(|b| *b == b'\n') else { continue };
                let rest = plain.split_off(end + 1);
                let lines = std::mem::replace(plain, rest);
                if whole {
                    self.push(lines).await?;
                } else {
                    row = self.some(&lines, row).await?;
                }
            }
        }
        if unpacked.get_ref().is_empty() {
            Ok(())
        } else {
            Err(RowsError::Damaged(format!("{} ends within a row", segment.key)))
        }
    }

    /// Those of the lines that lie in the range; gives the number of the next row.
    async fn some(&mut self, lines: &[u8], first: u64) -> Result<u64, RowsError> {
        let within = format::range(
            lines,
            self.range.first.saturating_sub(first),
            self.range.end().saturating_sub(first.max(self.range.first)),
        );
        if !within.is_empty() {
            self.push(within.to_vec()).await?;
        }
        Ok(first + format::count(lines))
    }

    async fn push(&mut self, lines: Vec<u8>) -> Result<(), RowsError> {
        let Some(mut writer) = self.writer.take() else { return Err(RowsError::Gone) };
        if self.packed {
            let mut out = std::mem::take(&mut self.out);
            let writing = tokio::task::spawn_blocking(move || {
                let pushed = writer.push(&lines, &mut out);
                (writer, out, pushed)
            });
            // It is not cancelled; a panic of it is one of this stream.
            let (back, out, pushed) = writing.await.map_err(|e| RowsError::Damaged(e.to_string()))?;
            (writer, self.out) = (back, out);
            pushed?;
        } else {
            writer.push(&lines, &mut self.out)?;
        }
        self.writer = Some(writer);
        if self.out.len() >= PIECE {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), RowsError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.out));
        self.send.send(Ok(piece)).await.map_err(|_| RowsError::Gone)
    }

    async fn close(mut self) -> Result<(), RowsError> {
        let Some(writer) = self.writer.take() else { return Err(RowsError::Gone) };
        let mut out = std::mem::take(&mut self.out);
        let finish = move || writer.finish(&mut out).map(|()| out);
        self.out = if self.packed {
            tokio::task::spawn_blocking(finish).await.map_err(|e| RowsError::Damaged(e.to_string()))??
        } else {
            finish()?
        };
        self.flush().await
    }
}
