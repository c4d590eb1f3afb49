//! What became of the records of one run since an earlier one.
//!
//! Owns: record identity (`digest`), sorting by it (`sort`), reading a run's records (`read`), the comparison as a stream
//! of rows and as counts, and the table that a worker asks record by record (`baseline`).
//! Must not know: HTTP, how records are extracted.
//! Invariant: memory and threads are bounded whatever the size of the runs; `AT_ONCE` comparisons run at a time.

mod baseline;
mod digest;
mod read;
mod sort;

pub(crate) use baseline::PREFIX as DIGESTS;
pub use baseline::{Baseline, Baselines};
pub use digest::Digest;

use bytes::Bytes;
use format::{FormatError, Shape, Writer};
use futures_util::Stream;
use model::SnapshotId;
use model::diff::{ChangeKind, Keyed, Pair, differences, merge};
use serde_json::{Map, Value, json};
use sort::{Entry, Sorted, Sorter};
use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use store::{Bucket, BucketError, Store, StoreError};
use tokio::sync::{Semaphore, mpsc};

/// Comparisons at a time: each sorts on a thread of its own.
const AT_ONCE: usize = 2;
/// Size that pieces of the stream grow to, and pieces made ahead of the reader.
const PIECE: usize = 256 << 10;
const AHEAD: usize = 2;

/// Why runs could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Scratch files.
    #[error("scratch files: {0}")]
    Scratch(#[from] io::Error),
    /// What was read back does not make sense.
    #[error("damaged segment: {0}")]
    Damaged(String),
    /// A row did not fit the format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Whoever asked has gone, or the server stops.
    #[error("the reader has gone")]
    Gone,
}

/// Two runs to compare.
#[derive(Clone, Debug)]
pub struct Between {
    /// The earlier one; without one every record is new.
    pub before: Option<SnapshotId>,
    /// The later one.
    pub after: SnapshotId,
    /// Fields that are a record's identity; see [`Digest::of`].
    pub key: Vec<String>,
}

/// How many records became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Only the later run has them.
    pub added: u64,
    /// Both have them, with other fields.
    pub changed: u64,
    /// Both have them, with the same fields.
    pub unchanged: u64,
    /// Only the earlier run has them.
    pub removed: u64,
}

impl Counts {
    fn add(&mut self, kind: ChangeKind) {
        *match kind {
            ChangeKind::Added => &mut self.added,
            ChangeKind::Changed => &mut self.changed,
            ChangeKind::Unchanged => &mut self.unchanged,
            ChangeKind::Removed => &mut self.removed,
        } += 1;
    }
}

/// How changes are written as rows.
#[derive(Clone, Debug)]
pub enum Layout {
    /// `{"change", "record", "fields"}`.
    Nested(Shape),
    /// The record's own columns behind `change` and `changed_fields`.
    Flat(Shape),
}

/// Compares runs.
#[derive(Clone)]
pub struct Changes {
    store: Arc<dyn Store>,
    bucket: Arc<dyn Bucket>,
    scratch: PathBuf,
    turns: Arc<Semaphore>,
}

impl Changes {
    /// Over these, with scratch files in that folder.
    pub fn new(store: Arc<dyn Store>, bucket: Arc<dyn Bucket>, scratch: PathBuf) -> Self {
        Self { store, bucket, scratch, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// How many records became what.
    pub async fn counts(&self, between: Between) -> Result<Counts, ChangesError> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| ChangesError::Gone)?;
        let changes = self.clone();
        let counted = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut counts = Counts::default();
            changes.compare(&between, false, |pair| {
                counts.add(pair.kind());
                Ok(())
            })?;
            Ok(counts)
        });
        counted.await.unwrap_or(Err(ChangesError::Gone))
    }

    /// The changes of these kinds as rows.
    pub fn stream(
        &self,
        between: Between,
        kinds: Vec<ChangeKind>,
        layout: Layout,
        gzip: bool,
    ) -> impl Stream<Item = Result<Bytes, ChangesError>> + Send + Sync + Unpin + 'static {
        let (send, mut receive) = mpsc::channel(AHEAD);
        let changes = self.clone();
        tokio::spawn(async move {
            let Ok(turn) = changes.turns.clone().acquire_owned().await else { return };
            if send.is_closed() {
                return;
            }
            let _ = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                match changes.write(&between, &kinds, layout, gzip, &send) {
                    Ok(()) | Err(ChangesError::Gone) => {}
                    // If the reader has gone, nobody needs the error.
                    Err(error) => drop(send.blocking_send(Err(error))),
                }
            })
            .await;
        });
        futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx))
    }

    fn write(
        &self,
        between: &Between,
        kinds: &[ChangeKind],
        layout: Layout,
        gzip: bool,
        send: &mpsc::Sender<Result<Bytes, ChangesError>>,
    ) -> Result<(), ChangesError> {
        let (shape, flat) = match layout {
            Layout::Nested(shape) => (shape, false),
            Layout::Flat(shape) => (shape, true),
        };
        let mut writer = Writer::new(shape, gzip)?;
        let mut out = Vec::new();
        self.compare(between, true, |pair| {
            if kinds.contains(&pair.kind()) {
                let mut line = row(&pair, flat)?;
                line.push('\n');
                writer.push(line.as_bytes(), &mut out)?;
                if out.len() >= PIECE {
                    let piece = Bytes::from(std::mem::take(&mut out));
                    send.blocking_send(Ok(piece)).map_err(|_| ChangesError::Gone)?;
                }
            }
            Ok(())
        })?;
        writer.finish(&mut out)?;
        if !out.is_empty() {
            send.blocking_send(Ok(out.into())).map_err(|_| ChangesError::Gone)?;
        }
        Ok(())
    }

    /// Sorts both and merges them. Blocking.
    fn compare(
        &self,
        between: &Between,
        with_rows: bool,
        mut each: impl FnMut(Pair<Vec<u8>>) -> Result<(), ChangesError>,
    ) -> Result<(), ChangesError> {
        let before = match &between.before {
            Some(before) => self.sorted(before, &between.key, with_rows)?,
            None => Sorter::new(&self.scratch).sorted()?,
        };
        let after = self.sorted(&between.after, &between.key, with_rows)?;
        let broken = RefCell::new(None);
        for pair in merge(keyed(before, &broken), keyed(after, &broken)) {
            // A side that broke off looks as if it had ended.
            if broken.borrow().is_some() {
                break;
            }
            each(pair)?;
        }
        broken.into_inner().map_or(Ok(()), |error| Err(ChangesError::Scratch(error)))
    }

    fn sorted(&self, id: &SnapshotId, key: &[String], with_rows: bool) -> Result<Sorted, ChangesError> {
        let mut sorter = Sorter::new(&self.scratch);
        let mut at = 0;
        read::records(&self.store, &self.bucket, id, |row| {
            let digest = Digest::of_text(row, key)
                .ok_or_else(|| ChangesError::Damaged(format!("a record of {id} is no object")))?;
            at += 1;
            let row = if with_rows { row.to_vec() } else { Vec::new() };
            Ok(sorter.push(Entry { digest, at, row })?)
        })?;
        Ok(sorter.sorted()?)
    }
}

/// Entries as the merge takes them; the first error ends them and is put aside.
fn keyed<'a>(
    entries: Sorted,
    broken: &'a RefCell<Option<io::Error>>,
) -> impl Iterator<Item = Keyed<digest::Hash, Vec<u8>>> + 'a {
    entries.map_while(move |entry| match entry {
        Ok(Entry { digest, row, .. }) => Some(Keyed { key: digest.key, digest: digest.record, record: row }),
        Err(error) => {
            *broken.borrow_mut() = Some(error);
            None
        }
    })
}

fn object(row: &[u8]) -> Result<Map<String, Value>, ChangesError> {
    serde_json::from_slice(row).map_err(|error| ChangesError::Damaged(error.to_string()))
}

/// A change as a row.
fn row(pair: &Pair<Vec<u8>>, flat: bool) -> Result<String, ChangesError> {
    let kind = pair.kind().as_str();
    let (record, fields) = match pair {
        Pair::Added(row) | Pair::Unchanged(row) | Pair::Removed(row) => (object(row)?, None),
        Pair::Changed { before, after } => {
            let (before, after) = (object(before)?, object(after)?);
            let fields = json!(differences(&before, &after));
            (after, Some(fields))
        }
    };
    let mut row = Map::new();
    row.insert("change".into(), kind.into());
    if flat {
        row.insert("changed_fields".into(), fields.unwrap_or_default());
        row.extend(record.into_iter().filter(|(name, _)| name != "change" && name != "changed_fields"));
    } else {
        row.insert("record".into(), Value::Object(record));
        if let Some(fields) = fields {
            row.insert("fields".into(), fields);
        }
    }
    Ok(Value::Object(row).to_string())
}
