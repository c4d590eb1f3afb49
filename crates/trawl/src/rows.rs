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
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use model::{Format, Snapshot};
use std::io::Write;
use std::sync::Arc;
use store::{Bucket, Content, Registered, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes read from the bucket at once, and the size that pieces of the stream grow to.
const PIECE: usize = 256 << 10;
/// Reads from the bucket under way at once: an object store takes tens of milliseconds to begin to answer, and a run may
/// be thousands of small segments. At most this many pieces lie in memory for it.
const READS_AHEAD: usize = 12;
/// Pieces made ahead of the reader.
const AHEAD: usize = 2;
/// Files of a packed format that are made at once; further ones wait. Each holds a row group.
const PACKED: usize = 16;
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
    /// Turns to pack.
    packing: Arc<Semaphore>,
}

impl Rows {
    /// Over these.
    pub fn new(store: Arc<dyn Store>, bucket: Arc<dyn Bucket>) -> Self {
        Self { store, bucket, packing: Arc::new(Semaphore::new(PACKED)) }
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
        too_big(rows, columns.len())
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
        let writer = Writer::new(shape, gzip);
        let (rows, snapshot) = (self.clone(), snapshot.clone());
        tokio::spawn(async move {
            let read = async {
                let out = Out { send: send.clone(), bytes: Vec::new() };
                let sink = if packed {
                    // Waits for its turn: the semaphore is never closed.
                    let turn = rows.packing.clone().acquire_owned().await.map_err(|_| RowsError::Gone)?;
                    Sink::Packed(pack(writer?, out, turn))
                } else {
                    Sink::Plain(Box::new(writer?), out)
                };
                Reader { rows, snapshot, range, sink }.read().await
            };
            match read.await {
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

/// One part of a segment: its records or its error rows.
struct Part {
    key: String,
    from: u64,
    len: u64,
    /// The number of its first row in the snapshot, and how many there are.
    first: u64,
    count: u64,
}

/// What is to be read next.
enum Read {
    /// A piece of a part: where in it, how long.
    Piece(Arc<Part>, u64, u64),
    /// Rows that are made up: the segment's number, that of its first row.
    Aborted(u64, u64),
}

/// The same, read.
enum Got {
    Piece(Arc<Part>, u64, Bytes),
    Aborted(u64, u64),
}

/// What of one segment lies in the range, in the order of its rows; `None` once the range is behind us.
fn reads(at: &Registered, range: Range, with_errors: bool) -> Option<Vec<Read>> {
    let start = at.first_record + if with_errors { at.first_error } else { 0 };
    if start >= range.end() {
        return None;
    }
    let wanted = |first: u64, count: u64| count > 0 && first + count > range.first && first < range.end();
    let mut reads = Vec::new();
    match &at.content {
        Content::Segment(segment) => {
            let mut add = |from, len, first, count| {
                if wanted(first, count) {
                    let part = Arc::new(Part { key: segment.key.clone(), from, len, first, count });
                    let pieces = (0..len).step_by(PIECE);
                    reads
                        .extend(pieces.map(|at| Read::Piece(part.clone(), at, (len - at).min(PIECE as u64))));
                }
            };
            add(0, segment.record_bytes, start, segment.records);
            if with_errors {
                add(segment.record_bytes, segment.error_bytes, start + segment.records, segment.errors);
            }
        }
        Content::Aborted { errors } if with_errors && wanted(start, *errors) => {
            reads.push(Read::Aborted(at.seq, start));
        }
        Content::Aborted { .. } => {}
    }
    Some(reads)
}

struct Reader {
    rows: Rows,
    snapshot: Snapshot,
    range: Range,
    sink: Sink,
}

/// Where lines go.
enum Sink {
    /// Written as they come.
    Plain(Box<Writer>, Out),
    /// Written by a thread of its own ([`pack`]).
    Packed(mpsc::Sender<Work>),
}

enum Work {
    Lines(Vec<u8>),
    /// Everything was read. Without it the file is not finished.
    End,
}

/// Bytes on their way to whoever asked.
struct Out {
    send: mpsc::Sender<Result<Bytes, RowsError>>,
    bytes: Vec<u8>,
}

impl Out {
    fn take(&mut self, least: usize) -> Option<Bytes> {
        let enough = self.bytes.len() >= least && !self.bytes.is_empty();
        enough.then(|| Bytes::from(std::mem::take(&mut self.bytes)))
    }
}

/// Packing many rows at once takes too long for a thread that serves others. One thread does all of a file, so that its
/// buffers are used again and again: from many threads they would lie with each of them.
fn pack(mut writer: Writer, mut out: Out, turn: OwnedSemaphorePermit) -> mpsc::Sender<Work> {
    let (work, mut receive) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        loop {
            let written = match receive.blocking_recv() {
                Some(Work::Lines(lines)) => writer.push(&lines, &mut out.bytes),
                Some(Work::End) => {
                    let finished = writer.finish(&mut out.bytes);
                    let last = finished.map(|()| out.take(1)).map_err(RowsError::from).transpose();
                    // If the reader has gone, nobody needs the rest.
                    return last.map_or((), |last| drop(out.send.blocking_send(last)));
                }
                None => return,
            };
            let piece = written.map(|()| out.take(PIECE)).map_err(RowsError::from).transpose();
            let Some(piece) = piece else { continue };
            let broken = piece.is_err();
            if out.send.blocking_send(piece).is_err() || broken {
                return;
            }
        }
    });
    work
}

impl Reader {
    /// Everything that is to be read, a few reads ahead, in order.
    fn got(&self) -> impl Stream<Item = Result<Got, RowsError>> + Send + use<> {
        let (store, id, range) = (self.rows.store.clone(), self.snapshot.id.clone(), self.range);
        let with_errors = self.snapshot.trigger.include_errors;
        let listings = stream::try_unfold(Some(0), move |from| {
            let (store, id) = (store.clone(), id.clone());
            async move {
                let Some(from) = from else { return Ok::<_, RowsError>(None) };
                let listed = store.segments(&id, from, LISTED).await?;
                let Some(last) = listed.last() else { return Ok(None) };
                let mut next = Some(last.seq + 1);
                let mut all = Vec::new();
                for registered in &listed {
                    match reads(registered, range, with_errors) {
                        Some(some) => all.extend(some.into_iter().map(Ok)),
                        None => {
                            next = None;
                            break;
                        }
                    }
                }
                Ok(Some((stream::iter(all), next)))
            }
        });
        let bucket = self.rows.bucket.clone();
        let read = move |read: Result<Read, RowsError>| {
            let bucket = bucket.clone();
            async move {
                match read? {
                    Read::Piece(part, at, len) => {
                        let bytes = bucket.get(&part.key, part.from + at, len).await?;
                        if bytes.len() as u64 != len {
                            // Nothing of it would be missed below: no lines are no broken line.
                            return Err(RowsError::Damaged(format!("{} is shorter than it was", part.key)));
                        }
                        Ok(Got::Piece(part, at + len, bytes))
                    }
                    Read::Aborted(seq, start) => Ok(Got::Aborted(seq, start)),
                }
            }
        };
        listings.try_flatten().map(read).buffered(READS_AHEAD)
    }

    async fn read(mut self) -> Result<(), RowsError> {
        let mut got = Box::pin(self.got());
        let mut unpacking: Option<Unpacking> = None;
        while let Some(got) = got.next().await {
            match got? {
                Got::Piece(part, end, bytes) => {
                    let mut now = match unpacking.take() {
                        Some(unpacking) => unpacking,
                        None => Unpacking::new(part)?,
                    };
                    self.piece(&mut now, &bytes, end).await?;
                    if end < now.part.len {
                        unpacking = Some(now);
                    } else {
                        now.close()?;
                    }
                }
                Got::Aborted(seq, start) => self.aborted(seq, start).await?,
            }
        }
        self.close().await
    }

    async fn aborted(&mut self, seq: u64, start: u64) -> Result<(), RowsError> {
        let aborted = self.rows.store.aborted(&self.snapshot.id, seq).await?;
        for (row, input) in (start..).zip(&aborted.inputs) {
            if row >= self.range.first && row < self.range.end() {
                let mut line = aborted_row(input, aborted.code, self.snapshot.state, aborted.at);
                line.push('\n');
                self.push(line.into_bytes()).await?;
            }
        }
        Ok(())
    }

    /// The lines that end in a piece of a part, which itself ends at byte `end` of it.
    async fn piece(&mut self, of: &mut Unpacking, bytes: &[u8], end: u64) -> Result<(), RowsError> {
        let whole = self.range.first <= of.part.first && of.part.first + of.part.count <= self.range.end();
        let damaged = |key: &str, e: std::io::Error| RowsError::Damaged(format!("{key}: {e}"));
        // Little at a time, as a piece may unpack to many times its size.
        for some in bytes.chunks(PIECE / 8) {
            of.plain.write_all(some).map_err(|e| damaged(&of.part.key, e))?;
            if end >= of.part.len {
                of.plain.flush().map_err(|e| damaged(&of.part.key, e))?;
            }
            let plain = of.plain.get_mut();
            let Some(end) = plain.iter().rposition(|b| *b == b'\n') else { continue };
            let rest = plain.split_off(end + 1);
            let lines = std::mem::replace(plain, rest);
            if whole {
                self.push(lines).await?;
            } else {
                of.row = self.some(&lines, of.row).await?;
            }
        }
        Ok(())
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
        match &mut self.sink {
            Sink::Packed(work) => work.send(Work::Lines(lines)).await.map_err(|_| RowsError::Gone),
            Sink::Plain(writer, out) => {
                writer.push(&lines, &mut out.bytes)?;
                let Some(piece) = out.take(PIECE) else { return Ok(()) };
                out.send.send(Ok(piece)).await.map_err(|_| RowsError::Gone)
            }
        }
    }

    async fn close(self) -> Result<(), RowsError> {
        match self.sink {
            Sink::Packed(work) => work.send(Work::End).await.map_err(|_| RowsError::Gone),
            Sink::Plain(writer, mut out) => {
                writer.finish(&mut out.bytes)?;
                let Some(piece) = out.take(1) else { return Ok(()) };
                out.send.send(Ok(piece)).await.map_err(|_| RowsError::Gone)
            }
        }
    }
}

/// A part of a segment that is being unpacked.
struct Unpacking {
    part: Arc<Part>,
    plain: zstd::stream::write::Decoder<'static, Vec<u8>>,
    /// The number of the next row.
    row: u64,
}

impl Unpacking {
    fn new(part: Arc<Part>) -> Result<Self, RowsError> {
        let plain =
            zstd::stream::write::Decoder::new(Vec::new()).map_err(|e| RowsError::Damaged(e.to_string()))?;
        Ok(Self { row: part.first, part, plain })
    }

    fn close(self) -> Result<(), RowsError> {
        if self.plain.get_ref().is_empty() {
            Ok(())
        } else {
            Err(RowsError::Damaged(format!("{} ends within a row", self.part.key)))
        }
    }
}

/// Why a sheet cannot hold so much.
fn too_big(rows: u64, columns: usize) -> Option<String> {
    let (rows_max, columns_max) = (format::XLSX_ROWS_MAX, format::XLSX_COLUMNS_MAX);
    if rows > rows_max {
        return Some(format!(
            "Snapshot is too big for xlsx: {rows} rows, and a sheet has at most {rows_max}; take parts of it \
             (\"batch_size\") or another format"
        ));
    }
    (columns > columns_max).then(|| {
        format!(
            "Snapshot is too big for xlsx: {columns} columns, and a sheet has at most {columns_max}; take another format \
             or fewer fields (\"custom_output_fields\")"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_has_bounds() {
        assert_eq!(too_big(1_048_575, 16_384), None);
        assert!(too_big(1_048_576, 1).is_some_and(|why| why.contains("1048576 rows")));
        assert!(too_big(1, 16_385).is_some_and(|why| why.contains("16385 columns")));
    }
}
