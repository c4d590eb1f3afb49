//! The records of an earlier run as a table that a worker asks: is this one new, changed, or as it was?
//!
//! Owns: the table in the bucket, made once for a run and its key when first asked for. Format: `index` (the first key of
//! each part), then parts of [`PART`] entries, each a key and a record's hash, in order. The index is written last.
//! Invariant: memory is the index, 16 bytes for [`PART`] records, and [`PARTS_HELD`] parts.

use super::digest::{HASH, Hash};
use super::sort::Sorted;
use super::{Changes, ChangesError, Digest};
use bytes::Bytes;
use model::SnapshotId;
use model::diff::ChangeKind;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use store::{BucketError, StoreError};
use tokio::sync::OnceCell;

/// Keys of tables begin so.
pub(crate) const PREFIX: &str = "digests/";
/// Entries of a part: 128 KiB, read as a whole.
const PART: usize = 4_096;
const ENTRY: usize = 2 * HASH;
/// Parts that a table keeps at hand: 8 MiB.
const PARTS_HELD: usize = 64;
/// Tables kept at hand; runs that compare with further ones open theirs again.
const TABLES: usize = 8;
/// Bytes of an index at most: parts of four billion records.
const INDEX_BYTES: u64 = 16 << 20;

type Slot = Arc<OnceCell<Arc<Baseline>>>;

/// The tables at hand.
pub struct Baselines {
    changes: Changes,
    open: Mutex<VecDeque<(String, Slot)>>,
}

impl Baselines {
    /// Of runs that these can read.
    pub fn new(changes: Changes) -> Self {
        Self { changes, open: Mutex::default() }
    }

    /// The table of a run by a key, made if it is not there. A run whose rows are gone has an empty one.
    pub async fn of(&self, id: &SnapshotId, key: &[String]) -> Result<Arc<Baseline>, ChangesError> {
        let named = Sha256::digest(serde_json::to_vec(key).unwrap_or_default());
        let folder =
            format!("{PREFIX}{id}/{}", named[..8].iter().map(|b| format!("{b:02x}")).collect::<String>());
        let slot = self.slot(&folder);
        let table = slot.get_or_try_init(|| async {
            if let Some(table) = self.load(&folder).await? {
                return Ok(table);
            }
            match self.make(id, key, &folder).await {
                Err(
                    ChangesError::Store(StoreError::NotFound(_))
                    | ChangesError::Bucket(BucketError::NotFound(_)),
                ) => {
                    tracing::warn!(snapshot = %id, "its rows are gone: every record counts as new");
                    Ok(Arc::new(Baseline::new(self.changes.clone(), folder.clone(), Vec::new())))
                }
                made => made,
            }
        });
        table.await.cloned()
    }

    /// Forgets a table that cannot be read, so that it is made anew.
    pub async fn forget(&self, baseline: &Baseline) {
        let folder = &baseline.folder;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(name, _)| name != folder);
        if let Err(error) = self.changes.bucket.delete(&format!("{folder}/index")).await {
            tracing::debug!(%error, folder, "a damaged table stays");
        }
    }

    fn slot(&self, folder: &str) -> Slot {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(name, _)| name == folder)
            && let Some(found) = open.remove(at)
        {
            let slot = found.1.clone();
            open.push_back(found);
            return slot;
        }
        let slot = Slot::default();
        open.push_back((folder.to_owned(), slot.clone()));
        if open.len() > TABLES {
            open.pop_front();
        }
        slot
    }

    async fn load(&self, folder: &str) -> Result<Option<Arc<Baseline>>, ChangesError> {
        match self.changes.bucket.get(&format!("{folder}/index"), 0, INDEX_BYTES).await {
            Ok(bytes) if bytes.len() % HASH == 0 => {
                let (firsts, _) = bytes.as_chunks::<HASH>();
                Ok(Some(Arc::new(Baseline::new(self.changes.clone(), folder.to_owned(), firsts.to_vec()))))
            }
            Ok(_) | Err(BucketError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn make(
        &self,
        id: &SnapshotId,
        key: &[String],
        folder: &str,
    ) -> Result<Arc<Baseline>, ChangesError> {
        let turn = self.changes.turns.clone().acquire_owned().await.map_err(|_| ChangesError::Gone)?;
        let (changes, id, key, folder) = (self.changes.clone(), id.clone(), key.to_vec(), folder.to_owned());
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let sorted = changes.sorted(&id, &key, false)?;
            let firsts = write(&changes, sorted, &folder)?;
            Ok(Arc::new(Baseline::new(changes, folder, firsts)))
        });
        made.await.unwrap_or(Err(ChangesError::Gone))
    }
}

fn write(changes: &Changes, sorted: Sorted, folder: &str) -> Result<Vec<Hash>, ChangesError> {
    let handle = tokio::runtime::Handle::current();
    let mut firsts: Vec<Hash> = Vec::new();
    let mut part = Vec::with_capacity(PART * ENTRY);
    let put = |number: usize, part: &mut Vec<u8>| {
        let bytes = Bytes::from(std::mem::take(part));
        handle.block_on(changes.bucket.put(&format!("{folder}/{number}"), bytes))
    };
    for entry in sorted {
        let entry = entry?;
        if part.is_empty() {
            firsts.push(entry.digest.key);
        }
        part.extend_from_slice(&entry.digest.key);
        part.extend_from_slice(&entry.digest.record);
        if part.len() == PART * ENTRY {
            put(firsts.len() - 1, &mut part)?;
        }
    }
    if !part.is_empty() {
        put(firsts.len() - 1, &mut part)?;
    }
    handle.block_on(
        changes.bucket.put(&format!("{folder}/index"), Bytes::from(firsts.as_flattened().to_vec())),
    )?;
    Ok(firsts)
}

/// The records of one run.
pub struct Baseline {
    changes: Changes,
    folder: String,
    firsts: Vec<Hash>,
    /// Parts read last, the newest at the end.
    held: Mutex<VecDeque<(usize, Bytes)>>,
}

impl Baseline {
    fn new(changes: Changes, folder: String, firsts: Vec<Hash>) -> Self {
        Self { changes, folder, firsts, held: Mutex::default() }
    }

    /// What became of a record since.
    pub async fn kind(&self, digest: &Digest) -> Result<ChangeKind, ChangesError> {
        // The part before the first that begins with the key may end with it.
        let start = self.firsts.partition_point(|first| *first < digest.key).saturating_sub(1);
        let mut kind = ChangeKind::Added;
        for (number, first) in self.firsts.iter().enumerate().skip(start) {
            if *first > digest.key {
                break;
            }
            let part = self.part(number).await?;
            let (entries, _) = part.as_chunks::<ENTRY>();
            let from = entries.partition_point(|entry| entry[..HASH] < digest.key[..]);
            for entry in entries[from..].iter().take_while(|entry| entry[..HASH] == digest.key) {
                if entry[HASH..] == digest.record {
                    return Ok(ChangeKind::Unchanged);
                }
                kind = ChangeKind::Changed;
            }
        }
        Ok(kind)
    }

    async fn part(&self, number: usize) -> Result<Bytes, ChangesError> {
        let held = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = {
            let mut held = held();
            let at = held.iter().position(|(n, _)| *n == number);
            let found = at.and_then(|at| held.remove(at));
            held.extend(found.clone());
            found
        };
        if let Some((_, part)) = found {
            return Ok(part);
        }
        let part =
            self.changes.bucket.get(&format!("{}/{number}", self.folder), 0, (PART * ENTRY) as u64).await?;
        let mut held = held();
        held.push_back((number, part.clone()));
        if held.len() > PARTS_HELD {
            held.pop_front();
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sort::{Entry, Sorter};
    use super::*;
    use std::collections::BTreeMap;
    use store::{FolderBucket, SqliteStore};

    #[tokio::test]
    async fn every_record_is_found_across_parts() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = Arc::new(FolderBucket::open(folder.path()).unwrap());
        let store = Arc::new(SqliteStore::open(folder.path().join("s")).unwrap());
        let changes = Changes::new(store, bucket, folder.path().join("scratch"));
        let hash = |n: u32| {
            let mut hash = [0; HASH];
            hash.copy_from_slice(&Sha256::digest(n.to_le_bytes())[..HASH]);
            hash
        };
        let n = 3 * PART as u32 + 17;
        let mut sorter = Sorter::new(folder.path());
        let mut push = |key: Hash, record: Hash| {
            sorter.push(Entry { digest: Digest { key, record }, at: 0, row: Vec::new() }).unwrap();
        };
        (0..n).for_each(|i| push(hash(i), hash(i)));
        // One key that fills more than a part.
        let many = hash(5);
        (0..PART as u32 + 9).for_each(|i| push(many, hash(1_000_000 + i)));
        let sorted = sorter.sorted().unwrap();
        let table = tokio::task::spawn_blocking(move || {
            let firsts = write(&changes, sorted, "digests/x/y").unwrap();
            Baseline::new(changes, "digests/x/y".into(), firsts)
        })
        .await
        .unwrap();
        let mut seen = BTreeMap::new();
        for i in 0..n {
            for (key, record) in [(hash(i), hash(i)), (hash(i), hash(i + 1)), (hash(i + n), hash(i))] {
                let kind = table.kind(&Digest { key, record }).await.unwrap();
                *seen.entry(kind.as_str()).or_insert(0) += 1;
            }
        }
        assert_eq!(seen, BTreeMap::from([("added", n), ("changed", n), ("unchanged", n)]));
        for i in [0, 1, PART as u32 + 8] {
            let digest = Digest { key: many, record: hash(1_000_000 + i) };
            assert_eq!(table.kind(&digest).await.unwrap(), ChangeKind::Unchanged);
        }
    }
}
