//! Kept pages back out: registered parts → one WARC stream, the page that a request would get, the page of a row.
//!
//! Owns: the form of a part's index in the bucket, and which of several kept pages is meant. Must not know: HTTP callers,
//! how parts are written (`worker::keep`).
//!
//! Invariant: a part in the bucket is its WARC records, then its index (JSON in one zstd frame). Only registered parts
//! are read.

use bytes::Bytes;
use fetch::warc::{Answer, Limits, Reader, Record, page_of};
use fetch::{FetchError, FetchErrorKind, not_archived};
use futures_util::{Stream, StreamExt};
use model::{
    Captured, Extras, Failure, Input, KeptPage, Made, Page, PageKey, Place, Request, Snapshot, SnapshotId,
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Bucket, Content, KeptPart, Store};

/// Bytes read from the bucket at once.
const PIECE_STEP: usize = 256 << 10;
const PIECE: u64 = PIECE_STEP as u64;
/// Reads under way at once, for a download: object stores are slow to begin.
const READS_AHEAD: usize = 8;
/// Parts or segments listed at once.
const LISTED: usize = 512;
/// Bytes of an index, unpacked: 64 pages with the largest rows.
const INDEX_BYTES: usize = 256 << 20;
/// Indexes kept unpacked, for replays that read page after page of a part.
const INDEXES: usize = 64;
/// A packed index larger than this is not kept.
const INDEX_KEPT_BYTES: u64 = 64 << 10;
/// Room for heads beside a body, in one record.
const HEADS: u64 = 1 << 20;
const ZSTD_LEVEL: i32 = 1;

/// Why a kept page cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] store::BucketError),
    /// What was read back does not make sense.
    #[error("damaged archive: {0}")]
    Damaged(String),
}

/// Unpacked indexes by their part, the newest last.
type Indexes = VecDeque<(String, Arc<Vec<KeptPage>>)>;

type Result<T> = std::result::Result<T, ArchiveError>;

/// Reads the archives of snapshots.
#[derive(Clone)]
pub struct Archive {
    store: Arc<dyn Store>,
    bucket: Arc<dyn Bucket>,
    page_bytes_max: u64,
    indexes: Arc<Mutex<Indexes>>,
}

/// What a request got when the run made it.
pub enum Replayed {
    /// The page, and its entry.
    Page(Box<Page>, Box<KeptPage>),
    /// No page, and why.
    Failed(Failure, Box<KeptPage>),
}

/// The page of a row.
pub struct OfRow {
    /// The page.
    pub page: KeptPage,
    /// Which of its records, from 0.
    pub number: usize,
}

impl Archive {
    /// Over these. `page_bytes_max`: bytes of a page, unpacked.
    pub fn new(store: Arc<dyn Store>, bucket: Arc<dyn Bucket>, page_bytes_max: u64) -> Self {
        Self { store, bucket, page_bytes_max, indexes: Arc::default() }
    }

    /// Whether anything of the run was kept, and whether any of it is its own (a replay only refers to what others kept).
    pub async fn is_kept(&self, id: &SnapshotId) -> Result<(bool, bool)> {
        let mut from = 0;
        let mut any = false;
        loop {
            let parts = self.store.archive(id, from, LISTED).await?;
            let Some(last) = parts.last() else { return Ok((any, false)) };
            if parts.iter().any(|part| part.bytes > 0) {
                return Ok((true, true));
            }
            any = true;
            from = last.seq + 1;
        }
    }

    /// The archive as one WARC file: gzip members one behind the other.
    pub fn stream(
        &self,
        id: &SnapshotId,
    ) -> impl Stream<Item = Result<Bytes>> + Send + Sync + Unpin + 'static {
        let (send, mut receive) = tokio::sync::mpsc::channel(2);
        let (archive, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            if let Err(error) = archive.send(&id, &send).await {
                // If the reader has gone, nobody needs the error.
                let _ = send.send(Err(error)).await;
            }
        });
        futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx))
    }

    async fn send(&self, id: &SnapshotId, to: &tokio::sync::mpsc::Sender<Result<Bytes>>) -> Result<()> {
        let mut from = 0;
        loop {
            let parts = self.store.archive(id, from, LISTED).await?;
            let Some(last) = parts.last() else { return Ok(()) };
            from = last.seq + 1;
            let pieces = parts.into_iter().flat_map(|part| {
                let key: Arc<str> = part.key.into();
                let starts = (0..part.bytes).step_by(PIECE_STEP);
                starts.map(move |at| (key.clone(), at, (part.bytes - at).min(PIECE)))
            });
            let read = |(key, at, len): (Arc<str>, u64, u64)| async move {
                let piece = self.bucket.get(&key, at, len).await?;
                if piece.len() as u64 == len {
                    Ok(piece)
                } else {
                    Err(ArchiveError::Damaged(format!("{key} is shorter than it was")))
                }
            };
            let mut read = Box::pin(futures_util::stream::iter(pieces).map(read).buffered(READS_AHEAD));
            while let Some(piece) = read.next().await {
                if to.send(Ok(piece?)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// What a request of this input got when the run made it.
    pub async fn replay(
        &self,
        from: &SnapshotId,
        request: &Request,
        input: &Input,
    ) -> std::result::Result<Replayed, FetchError> {
        let asked = PageKey::of(request.method, &request.url, request.body.as_deref());
        let unread = |error: ArchiveError| match error {
            ArchiveError::Store(store::StoreError::NotFound(_))
            | ArchiveError::Bucket(store::BucketError::NotFound(_)) => not_archived(&request.url),
            // It may be back soon.
            ArchiveError::Store(_) | ArchiveError::Bucket(_) => {
                FetchError::new(FetchErrorKind::Connection, format!("the archive cannot be read: {error}"))
            }
            ArchiveError::Damaged(_) => FetchError::new(FetchErrorKind::NotArchived, error.to_string()),
        };
        let entry = self.find(from, asked, input).await.map_err(unread)?;
        let entry = entry.ok_or_else(|| not_archived(&request.url))?;
        if let Some(failure) = &entry.failed {
            return Ok(Replayed::Failed(failure.clone(), Box::new(entry)));
        }
        let page = self.page(&entry).await.map_err(unread)?;
        Ok(Replayed::Page(Box::new(page), Box::new(entry)))
    }

    /// Of several pages asked for alike: the last that this input got, else the last good one.
    async fn find(&self, from: &SnapshotId, asked: PageKey, input: &Input) -> Result<Option<KeptPage>> {
        let candidates = self.store.kept_pages(from, &[asked]).await?.pop().unwrap_or_default();
        let (mut good, mut any) = (None, None);
        for (part, n) in candidates {
            let index = self.index(&part).await?;
            let Some(entry) = index.get(n) else { continue };
            if entry.input.root == input.root
                && entry.input.row == input.row
                && entry.input.kind == input.kind
            {
                return Ok(Some(entry.clone()));
            }
            if good.is_none() && (200..300).contains(&entry.status) {
                good = Some(entry.clone());
            }
            any.get_or_insert_with(|| entry.clone());
        }
        Ok(good.or(any))
    }

    /// The page of an entry, as it was when it came.
    pub async fn page(&self, entry: &KeptPage) -> Result<Page> {
        let damaged = |why: String| ArchiveError::Damaged(format!("{}: {why}", entry.head.part));
        let head = self.record(&entry.head).await?;
        let mut answer = Answer::of(&head).ok_or_else(|| damaged("a record holds no answer".into()))?;
        if let Some(place) = &entry.body {
            let body = self.record(place).await?;
            answer.body = Answer::of(&body).ok_or_else(|| damaged("a record holds no answer".into()))?.body;
        }
        let url = entry.url.parse().map_err(|e| damaged(format!("{}: {e}", entry.url)))?;
        if let Some(made) = &entry.made {
            let wire_bytes = answer.body.len() as u64;
            return Ok(Page {
                url,
                status: entry.status,
                headers: made.headers.clone(),
                body: answer.body,
                fetched_at: entry.at,
                wire_bytes,
                extras: self.extras(made).await?,
            });
        }
        page_of(answer, url, entry.at, self.page_bytes_max).map_err(|error| damaged(error.message))
    }

    async fn extras(&self, made: &Made) -> Result<Extras> {
        let mut captured = Vec::with_capacity(made.captured.len());
        for one in &made.captured {
            let url = one.url.parse().map_err(|e| ArchiveError::Damaged(format!("{}: {e}", one.url)))?;
            let body = self.record(&one.body).await?.block.into();
            captured.push(Captured { url, status: one.status, content_type: one.content_type.clone(), body });
        }
        Ok(Extras { rendered: made.rendered, captured, ..Extras::default() })
    }

    /// The picture of a page, if one was kept.
    pub async fn screenshot(&self, entry: &KeptPage) -> Result<Option<Bytes>> {
        match entry.made.as_ref().and_then(|made| made.screenshot.as_ref()) {
            Some(place) => Ok(Some(self.record(place).await?.block.into())),
            None => Ok(None),
        }
    }

    async fn record(&self, place: &Place) -> Result<Record> {
        let damaged = |why: String| ArchiveError::Damaged(format!("{}: {why}", place.part));
        let most = self.page_bytes_max.saturating_add(HEADS);
        if place.length > most {
            return Err(damaged("a record is larger than a page may be".into()));
        }
        let bytes = self.bucket.get(&place.part, place.offset, place.length).await?;
        let record = Reader::new(&bytes[..], place.offset, Limits { block_bytes: most }).next_record();
        record.map_err(|e| damaged(e.to_string()))?.ok_or_else(|| damaged("a record is not there".into()))
    }

    /// The page of a visible row of a run, if it was kept and the row is a record.
    pub async fn of_row(&self, snapshot: &Snapshot, number: u64) -> Result<Option<OfRow>> {
        let with_errors = snapshot.trigger.include_errors;
        let mut from = 0;
        loop {
            let listed = self.store.segments(&snapshot.id, from, LISTED).await?;
            let Some(last) = listed.last() else { return Ok(None) };
            from = last.seq + 1;
            for at in &listed {
                let start = at.first_record + if with_errors { at.first_error } else { 0 };
                let Content::Segment(segment) = &at.content else { continue };
                let Some(within) = number.checked_sub(start).filter(|n| *n < segment.records) else {
                    continue;
                };
                let parts = self.store.archive(&snapshot.id, at.seq, 1).await?;
                let Some(part) = parts.first().filter(|part| part.seq == at.seq) else { return Ok(None) };
                let index = self.index(part).await?;
                let place = |page: &KeptPage| within.checked_sub(page.first).filter(|n| *n < page.records);
                let found = index.iter().find_map(|page| Some((page, place(page)?)));
                return Ok(found.map(|(page, number)| OfRow {
                    page: page.clone(),
                    number: usize::try_from(number).unwrap_or(usize::MAX),
                }));
            }
        }
    }

    /// Where a part begins in the download of its run; `None` if the run has no such part.
    pub async fn part_offset(&self, id: &SnapshotId, key: &str) -> Result<Option<u64>> {
        let (mut from, mut bytes) = (0, 0);
        loop {
            let parts = self.store.archive(id, from, LISTED).await?;
            let Some(last) = parts.last() else { return Ok(None) };
            from = last.seq + 1;
            for part in &parts {
                if part.key == key {
                    return Ok(Some(bytes));
                }
                bytes += part.bytes;
            }
        }
    }

    /// The parts of a run with their pages, from a sequence number on, one part at a time.
    pub async fn pages_from(&self, id: &SnapshotId, from: u64) -> Result<Option<(u64, Arc<Vec<KeptPage>>)>> {
        match self.store.archive(id, from, 1).await?.first() {
            Some(part) => Ok(Some((part.seq + 1, self.index(part).await?))),
            None => Ok(None),
        }
    }

    async fn index(&self, part: &KeptPart) -> Result<Arc<Vec<KeptPage>>> {
        let damaged = |why: String| ArchiveError::Damaged(format!("{}: {why}", part.key));
        let known = self.lock().iter().find(|(key, _)| *key == part.key).map(|(_, index)| index.clone());
        if let Some(index) = known {
            return Ok(index);
        }
        let packed = self.bucket.get(&part.key, part.bytes, part.index_bytes).await?;
        let plain = zstd::bulk::decompress(&packed, INDEX_BYTES).map_err(|e| damaged(e.to_string()))?;
        let index: Vec<KeptPage> = serde_json::from_slice(&plain).map_err(|e| damaged(e.to_string()))?;
        let index = Arc::new(index);
        if part.index_bytes <= INDEX_KEPT_BYTES {
            let mut kept = self.lock();
            if kept.len() >= INDEXES {
                kept.pop_front();
            }
            kept.push_back((part.key.clone(), index.clone()));
        }
        Ok(index)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Indexes> {
        // Each change is one call on a queue, so a panic elsewhere leaves it whole.
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An index as it lies in the bucket.
pub(crate) fn pack_index(pages: &[KeptPage]) -> Vec<u8> {
    // Writing to memory cannot fail: keys are text, and the level is a constant in range.
    let plain = serde_json::to_vec(pages).unwrap_or_default();
    zstd::bulk::compress(&plain, ZSTD_LEVEL).unwrap_or_default()
}
