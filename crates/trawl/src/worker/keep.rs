//! What a slice leaves in the archive: the exchanges of its pages as WARC records, and the index of its pages.
//!
//! Owns: the order of records in a part, and which bodies are kept once only. Must not know: WARC's form
//! (`fetch::warc`), how parts are read (`crate::archive`).
//!
//! Invariant: a record refers only to records of its own part, or of parts that are registered for the same run.

use crate::archive::pack_index;
use bytes::Bytes;
use fetch::warc::{self, Original, Packed};
use model::{ArchivePart, Exchange, Fate, Input, KeptPage, Page, PageKey, Place, SnapshotId, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the record `warcinfo` says.
const SOFTWARE: &str = concat!("trawl/", env!("CARGO_PKG_VERSION"));
/// Bodies remembered, over all runs: some 400 bytes each.
const BODIES: usize = 50_000;

/// A page to keep.
pub(super) enum Kept {
    /// It was fetched: its exchanges are to be written.
    Fetched {
        asked: PageKey,
        url: String,
        status: u16,
        at: Timestamp,
        exchanges: Vec<Packed>,
    },
    /// It was read from an archive: only the index tells of it.
    Replayed(Box<KeptPage>),
}

impl Kept {
    /// Packs what the fetcher saw on the way to a page, and takes it from the page; `None` if nothing was to be kept.
    pub(super) fn fetched(page: &mut Page, asked: PageKey, seed: u64) -> Option<Self> {
        let exchanges: Vec<Exchange> = std::mem::take(&mut page.extras.exchanges);
        if exchanges.is_empty() {
            return None;
        }
        let exchanges = (seed..).zip(&exchanges).map(|(seed, exchange)| warc::pack(exchange, seed)).collect();
        let url = page.url.to_string();
        Some(Self::Fetched { asked, url, status: page.status, at: page.fetched_at, exchanges })
    }

    /// Bytes that it takes until it is written.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Fetched { exchanges, .. } => {
                exchanges.iter().map(|one| one.response.len() + one.request.len()).sum()
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
        if self.kept.iter().any(|(_, page)| matches!(page, Kept::Fetched { .. })) {
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
                Kept::Fetched { asked, url, status, at, exchanges } => {
                    let mut places = (Place { part: key.clone(), offset: 0, length: 0 }, None);
                    for exchange in exchanges {
                        places = lay(exchange, &key, snapshot, bodies, &mut new, &mut out);
                    }
                    let (head, body) = places;
                    KeptPage {
                        input: input.clone(),
                        asked: *asked,
                        url: url.clone(),
                        status: *status,
                        at: *at,
                        first,
                        records,
                        head,
                        body,
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

/// Appends the records of an exchange; where its head is, and its body if that was kept before.
fn lay(
    exchange: &Packed,
    key: &str,
    snapshot: &SnapshotId,
    bodies: &Bodies,
    new: &mut New,
    out: &mut Vec<u8>,
) -> (Place, Option<Place>) {
    let offset = out.len() as u64;
    let known = exchange.is_referable.then(|| {
        new.get(&exchange.digest).cloned().or_else(|| bodies.find(snapshot, &exchange.digest))
    });
    let known = known.flatten();
    match &known {
        Some((original, _)) => out.extend_from_slice(&exchange.revisit(original)),
        None => out.extend_from_slice(&exchange.response),
    }
    let place = Place { part: key.to_owned(), offset, length: out.len() as u64 - offset };
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
