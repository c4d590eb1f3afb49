//! Rows back out: registered segments → the caller's format, as a stream of bounded pieces. Used by downloads,
//! synchronous answers and deliveries alike.
//!
//! Invariant: the order of rows is the order in which their segments were registered and never changes, so parts and
//! ranges fit together.

use crate::worker::aborted_row;
use bytes::Bytes;
use extract::Scraper;
use format::{FormatError, Shape, Writer};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use model::{Door, Format, Snapshot};
use std::io::Write;
use std::sync::Arc;
use store::{Bucket, Content, Registered, Store};
use tokio::sync::mpsc;

/// Bytes read from the bucket at once, and the size that pieces of the stream grow to.
const PIECE: usize = 256 << 10;
/// Reads from the bucket under way at once: an object store takes tens of milliseconds to begin to answer, and a run may
/// be thousands of small segments. At most this many pieces lie in memory for it.
const READS_AHEAD: usize = 12;
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
            Format::Csv => Shape::Csv { columns: columns(snapshot, scraper), formula_guard },
        }
    }

    /// The rows as a stream. Memory is bounded by a few pieces, whatever the size of the snapshot.
    pub fn stream(
        &self,
        snapshot: &Snapshot,
        shape: Shape,
        gzip: bool,
        range: Range,
    ) -> impl Stream<Item = Result<Bytes, RowsError>> + Send + Sync + Unpin + 'static {
        let (send, mut receive) = mpsc::channel(AHEAD);
        let mut reader = Reader {
            rows: self.clone(),
            snapshot: snapshot.clone(),
            range,
            writer: Writer::new(shape, gzip),
            out: Vec::new(),
            send,
        };
        tokio::spawn(async move {
            match reader.read().await {
                Ok(()) => reader.close().await,
                Err(RowsError::Gone) => {}
                Err(error) => {
                    // If the reader has gone, nobody needs the error.
                    let _ = reader.send.send(Err(error)).await;
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

fn columns(snapshot: &Snapshot, scraper: Option<&Scraper>) -> Vec<String> {
    let trigger = &snapshot.trigger;
    let mut columns: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !columns.iter().any(|c| c == name) {
            columns.push(name.to_owned());
        }
    };
    match &trigger.custom_output_fields {
        // A dotted path keeps its nesting: its column is the outermost name, unless the field itself has a dot.
        Some(paths) => {
            for path in paths {
                let whole = scraper.is_some_and(|s| s.fields().iter().any(|f| f.name == *path));
                add(if whole { path } else { path.split('.').next().unwrap_or(path) });
            }
        }
        None => {
            if trigger.discover_only {
                add("url");
            } else {
                for field in scraper.map(Scraper::fields).unwrap_or_default() {
                    add(&field.name);
                }
            }
            add("timestamp");
            add("input");
            if matches!(trigger.door, Door::Discover(_)) && !trigger.discover_only {
                add("discovery_input");
            }
            for extra in &snapshot.extra_columns {
                add(extra);
            }
        }
    }
    if trigger.include_errors {
        ["timestamp", "input", "error", "error_code"].into_iter().for_each(add);
    }
    columns
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
    writer: Writer,
    out: Vec<u8>,
    send: mpsc::Sender<Result<Bytes, RowsError>>,
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

    async fn read(&mut self) -> Result<(), RowsError> {
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
        Ok(())
    }

    async fn aborted(&mut self, seq: u64, start: u64) -> Result<(), RowsError> {
        let aborted = self.rows.store.aborted(&self.snapshot.id, seq).await?;
        for (row, input) in (start..).zip(&aborted.inputs) {
            if row >= self.range.first && row < self.range.end() {
                let mut line = aborted_row(input, aborted.code, self.snapshot.state, aborted.at);
                line.push('\n');
                self.push(line.as_bytes()).await?;
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
                self.push(&lines).await?;
            } else {
                of.row = self.some(&lines, of.row).await?;
            }
        }
        Ok(())
    }

    /// Those of the lines that lie in the range; gives the number of the next row.
    async fn some(&mut self, lines: &[u8], first: u64) -> Result<u64, RowsError> {
        let mut row = first;
        for line in lines.split_inclusive(|b| *b == b'\n') {
            if row >= self.range.first && row < self.range.end() {
                self.push(line).await?;
            }
            row += 1;
        }
        Ok(row)
    }

    async fn push(&mut self, lines: &[u8]) -> Result<(), RowsError> {
        self.writer.push(lines, &mut self.out)?;
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

    async fn close(mut self) {
        let writer = std::mem::replace(&mut self.writer, Writer::new(Shape::Ndjson, false));
        let last = writer.finish(&mut self.out).map(|()| Bytes::from(std::mem::take(&mut self.out)));
        match last {
            Ok(piece) if piece.is_empty() => {}
            // If the reader has gone, nobody needs the rest.
            other => drop(self.send.send(other.map_err(RowsError::from)).await),
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
