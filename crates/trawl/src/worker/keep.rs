//! What a slice leaves in the archive: the exchanges of its pages as WARC records, and the index of its pages.
//!
//! Owns: the order of records in a part, and which bodies are kept once only. Must not know: WARC's form
//! (`fetch::warc`), how parts are read (`crate::archive`).
//!
//! Invariant: a record refers only to records of its own part, or of parts that are registered for the same run.

use crate::archive::pack_index;
use bytes::Bytes;
use fetch::warc::{self, Original, Packed};
use model::{
    ArchivePart, Exchange, Failure, Fate, Input, KeptPage, Made, Page, PageKey, Place, SnapshotId, Timestamp,
};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the record `warcinfo` says.
const SOFTWARE: &str = concat!("trawl/", env!("CARGO_PKG_VERSION"));
/// Bodies remembered, over all runs: some 400 bytes each.
const BODIES: usize = 50_000;

/// A page to keep.
pub(super) enum Kept {
    /// It was fetched: its records are to be written.
    Fetched(Box<Fetched>),
    /// It was read from an archive: only the index tells of it.
    Replayed(Box<KeptPage>),
}

/// The records of a page, and what the index tells of it.
pub(super) struct Fetched {
    asked: PageKey,
    url: String,
    status: u16,
    at: Timestamp,
    exchanges: Vec<Packed>,
    made: Option<Documents>,
    failed: Option<Failure>,
}

/// Records of a page that did not come as it is kept.
struct Documents {
    made: Made,
    page: Vec<u8>,
    screenshot: Option<Vec<u8>>,
    /// In the order of `made.captured`.
    captured: Vec<Vec<u8>>,
}

impl Kept {
    /// Packs what there is of a page. What the fetcher saw on the way to it is taken from the page.
    pub(super) fn fetched(page: &mut Page, asked: PageKey, seed: u64) -> Self {
        let exchanges: Vec<Exchange> = std::mem::take(&mut page.extras.exchanges);
        let made = (exchanges.is_empty() || page.extras.rendered).then(|| documents(page, seed));
        let exchanges = (seed..).zip(&exchanges).map(|(seed, exchange)| warc::pack(exchange, seed)).collect();
        let url = page.url.to_string();
        Self::Fetched(Box::new(Fetched {
            asked,
            url,
            status: page.status,
            at: page.fetched_at,
            exchanges,
            made,
            failed: None,
        }))
    }

    /// Packs what was exchanged for a page that did not come.
    pub(super) fn failed(
        asked_for: &url::Url,
        failure: Failure,
        at: Timestamp,
        exchanges: &[Exchange],
        asked: PageKey,
        seed: u64,
    ) -> Self {
        let exchanges = (seed..).zip(exchanges).map(|(seed, exchange)| warc::pack(exchange, seed)).collect();
        let url = asked_for.to_string();
        Self::Fetched(Box::new(Fetched {
            asked,
            url,
            status: 0,
            at,
            exchanges,
            made: None,
            failed: Some(failure),
        }))
    }

    /// Bytes that it takes until it is written.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Fetched(page) => {
                let came: usize =
                    page.exchanges.iter().map(|one| one.response.len() + one.request.len()).sum();
                let made = page.made.as_ref().map_or(0, |made| {
                    let captured: usize = made.captured.iter().map(Vec::len).sum();
                    made.page.len() + made.screenshot.as_ref().map_or(0, Vec::len) + captured
                });
                came + made
            }
            Self::Replayed(_) => 0,
        }
    }
}

/// The pages of a slice in the order of its inputs, and whose each record is.
#[derive(Default)]
pub(super) struct Pages {
    kept: Vec<(Input, Kept)>,
    /// For each record of the outcome, the place of its page in `kept`.
    owners: Vec<Option<usize>>,
}

impl Pages {
    /// Pairs the pages of a slice with what became of its inputs.
    pub(super) fn new(fates: &[(Input, Fate)], pages: Vec<Option<Kept>>) -> Self {
        let mut out = Self::default();
        for ((input, fate), page) in fates.iter().zip(pages) {
            let owner = page.map(|page| {
                out.kept.push((input.clone(), page));
                out.kept.len() - 1
            });
            if let Fate::Read { records, .. } = fate {
                out.owners.extend(records.iter().map(|_| owner));
            }
        }
        out
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Follows a cut of the records.
    pub(super) fn cut(&mut self, fits: &[bool]) {
        let mut fits = fits.iter();
        self.owners.retain(|_| fits.next().copied().unwrap_or(false));
    }

    /// The part as it lies in the bucket, and the bodies that later parts may refer to.
    pub(super) fn lay_down(
        &self,
        snapshot: &SnapshotId,
        key: String,
        now: Timestamp,
        seed: u64,
        bodies: &Bodies,
    ) -> (ArchivePart, Bytes, New) {
        let mut out = Vec::new();
        let mut new = New::new();
        if self.kept.iter().any(|(_, page)| matches!(page, Kept::Fetched(_))) {
            out = warc::info(SOFTWARE, now, seed);
        }
        // The records of a page stand together: the first, and how many.
        let mut spans = vec![(0_u64, 0_u64); self.kept.len()];
        for (at, owner) in (0..).zip(&self.owners) {
            if let Some((first, records)) = owner.and_then(|owner| spans.get_mut(owner)) {
                *first = if *records == 0 { at } else { *first };
                *records += 1;
            }
        }
        let mut index = Vec::with_capacity(self.kept.len());
        for ((input, page), (first, records)) in self.kept.iter().zip(spans) {
            let entry = match page {
                Kept::Replayed(page) => KeptPage { input: input.clone(), first, records, ..(**page).clone() },
                Kept::Fetched(page) => {
                    let mut places = (Place { part: key.clone(), offset: 0, length: 0 }, None);
                    for exchange in &page.exchanges {
                        places = lay(exchange, &key, snapshot, bodies, &mut new, &mut out);
                    }
                    let made = page.made.as_ref().map(|documents| {
                        places = (append(&documents.page, &key, &mut out), None);
                        Box::new(lay_made(documents, &key, &mut out))
                    });
                    let (head, body) = places;
                    KeptPage {
                        input: input.clone(),
                        asked: page.asked,
                        url: page.url.clone(),
                        status: page.status,
                        at: page.at,
                        first,
                        records,
                        head,
                        body,
                        made,
                        failed: page.failed.clone(),
                    }
                }
            };
            index.push(entry);
        }
        let bytes = out.len() as u64;
        let packed = pack_index(&index);
        out.extend_from_slice(&packed);
        let asked = index.iter().map(|page| page.asked).collect();
        (ArchivePart { key, bytes, index_bytes: packed.len() as u64, asked }, out.into(), new)
    }
}

/// Bodies of one part by their digest.
pub(super) type New = HashMap<[u8; 32], (Original, Place)>;

/// A page that a browser made, or that was had without the site's sending it, as records of their own.
fn documents(page: &Page, seed: u64) -> Documents {
    let (at, extras) = (page.fetched_at, &page.extras);
    let media = page.header("content-type").unwrap_or("text/html; charset=utf-8");
    let record = |url: &url::Url, media: &str, bytes: &[u8], n: u64| {
        warc::document(url, at, media, bytes, seed.wrapping_add(1_000_000 + n))
    };
    let captured = (10..).zip(&extras.captured).map(|(n, one)| {
        let media = one.content_type.as_deref().unwrap_or("application/octet-stream");
        record(&one.url, media, &one.body, n)
    });
    let captured = captured.collect();
    let kept = |one: &model::Captured| model::KeptCapture {
        url: one.url.to_string(),
        status: one.status,
        content_type: one.content_type.clone(),
        body: Place { part: String::new(), offset: 0, length: 0 },
    };
    Documents {
        made: Made {
            headers: page.headers.iter().map(|(name, value)| (name.clone(), left_out(name, value))).collect(),
            rendered: extras.rendered,
            screenshot: None,
            captured: extras.captured.iter().map(kept).collect(),
        },
        page: record(&page.url, media, &page.body, 0),
        screenshot: extras.screenshot.as_ref().map(|png| record(&page.url, "image/png", png, 1)),
        captured,
    }
}

fn left_out(name: &str, value: &str) -> String {
    String::from_utf8_lossy(&warc::redacted(name, value.as_bytes(), false)).into_owned()
}

/// Appends the records beside a made page's own, and says where they are.
fn lay_made(documents: &Documents, key: &str, out: &mut Vec<u8>) -> Made {
    let mut made = documents.made.clone();
    made.screenshot = documents.screenshot.as_ref().map(|record| append(record, key, out));
    for (kept, record) in made.captured.iter_mut().zip(&documents.captured) {
        kept.body = append(record, key, out);
    }
    made
}

fn append(record: &[u8], key: &str, out: &mut Vec<u8>) -> Place {
    let offset = out.len() as u64;
    out.extend_from_slice(record);
    Place { part: key.to_owned(), offset, length: record.len() as u64 }
}

/// Appends the records of an exchange; where its head is, and its body if that was kept before.
fn lay(
    exchange: &Packed,
    key: &str,
    snapshot: &SnapshotId,
    bodies: &Bodies,
    new: &mut New,
    out: &mut Vec<u8>,
) -> (Place, Option<Place>) {
    let known = exchange
        .is_referable
        .then(|| new.get(&exchange.digest).cloned().or_else(|| bodies.find(snapshot, &exchange.digest)));
    let known = known.flatten();
    let place = match &known {
        Some((original, _)) => append(&exchange.revisit(original), key, out),
        None => append(&exchange.response, key, out),
    };
    if known.is_none() && exchange.is_referable {
        new.insert(exchange.digest, (exchange.original.clone(), place.clone()));
    }
    out.extend_from_slice(&exchange.request);
    (place, known.map(|(_, place)| place))
}

/// Bodies that registered parts have, by run: what is forgotten is only kept once more.
#[derive(Default)]
pub(super) struct Bodies(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_run: HashMap<SnapshotId, New>,
    /// Runs, the oldest first.
    order: VecDeque<SnapshotId>,
    count: usize,
}

impl Bodies {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // What a panic leaves half done costs a body kept twice.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, run: &SnapshotId, digest: &[u8; 32]) -> Option<(Original, Place)> {
        self.lock().by_run.get(run)?.get(digest).cloned()
    }

    /// Remembers the bodies of a part that was registered.
    pub(super) fn add(&self, run: &SnapshotId, new: New) {
        let mut known = self.lock();
        while known.count + new.len() > BODIES {
            let Some(oldest) = known.order.pop_front() else { return };
            known.count -= known.by_run.remove(&oldest).map_or(0, |bodies| bodies.len());
        }
        if !known.by_run.contains_key(run) {
            known.order.push_back(run.clone());
        }
        let bodies = known.by_run.entry(run.clone()).or_default();
        let before = bodies.len();
        bodies.extend(new);
        let grown = bodies.len() - before;
        known.count += grown;
    }
}
