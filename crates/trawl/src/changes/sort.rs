//! Records by key, however many: sorted runs in scratch files, merged as they are read. Blocking.
//!
//! Invariant: memory is one buffer of [`BUFFER`] bytes and [`RUNS`] small ones per sort, whatever is pushed. Scratch files
//! have no name, so a crash leaves none behind.

use super::digest::{Digest, HASH, Hash};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes that are sorted in memory at once.
const BUFFER: usize = 16 << 20;
/// Runs that are merged at once.
const RUNS: usize = 32;
/// Bytes of memory that an entry takes beside its row.
const OVERHEAD: usize = 80;
/// Bytes read ahead of each run.
const AHEAD: usize = 64 << 10;
/// Bytes of a row at most: what a scratch file says beyond that is damage.
const ROW_BYTES: u32 = 1 << 30;

/// A record on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its hashes.
    pub(super) digest: Digest,
    /// Its place in the run: records of one key stay in order.
    pub(super) at: u64,
    /// Its row, or nothing where hashes are enough.
    pub(super) row: Vec<u8>,
}

impl Entry {
    fn order(&self) -> (Hash, u64) {
        (self.digest.key, self.at)
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.digest.key)?;
        out.write_all(&self.digest.record)?;
        out.write_all(&self.at.to_le_bytes())?;
        let length = u32::try_from(self.row.len()).map_err(io::Error::other)?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&self.row)
    }

    /// The next entry of a run; `None` at its end.
    fn read(from: &mut BufReader<File>) -> io::Result<Option<Self>> {
        if std::io::BufRead::fill_buf(from)?.is_empty() {
            return Ok(None);
        }
        let (mut key, mut record, mut at, mut length) = ([0; HASH], [0; HASH], [0; 8], [0; 4]);
        from.read_exact(&mut key)?;
        from.read_exact(&mut record)?;
        from.read_exact(&mut at)?;
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > ROW_BYTES {
            return Err(io::Error::other("a scratch file is damaged"));
        }
        // Cast: below 2^30.
        let mut row = vec![0; length as usize];
        from.read_exact(&mut row)?;
        Ok(Some(Self { digest: Digest { key, record }, at: u64::from_le_bytes(at), row }))
    }
}

/// Takes records in any order.
pub(super) struct Sorter {
    scratch: PathBuf,
    room: usize,
    buffer: Vec<Entry>,
    bytes: usize,
    runs: Vec<File>,
}

impl Sorter {
    /// With scratch files in this folder, if they are needed.
    pub(super) fn new(scratch: &Path) -> Self {
        Self { scratch: scratch.to_owned(), room: BUFFER, buffer: Vec::new(), bytes: 0, runs: Vec::new() }
    }

    /// One more.
    pub(super) fn push(&mut self, entry: Entry) -> io::Result<()> {
        self.bytes += OVERHEAD + entry.row.len();
        self.buffer.push(entry);
        if self.bytes < self.room {
            return Ok(());
        }
        let run = self.buffered();
        self.spill(run.into_iter().map(Ok))
    }

    /// All of them, by key and then by place.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        let last = self.buffered();
        Sorted::of(std::mem::take(&mut self.runs), last)
    }

    fn buffered(&mut self) -> Vec<Entry> {
        let mut run = std::mem::take(&mut self.buffer);
        self.bytes = 0;
        run.sort_unstable_by_key(Entry::order);
        run
    }

    fn spill(&mut self, run: impl Iterator<Item = io::Result<Entry>>) -> io::Result<()> {
        std::fs::create_dir_all(&self.scratch)?;
        let mut out = BufWriter::with_capacity(AHEAD, tempfile::tempfile_in(&self.scratch)?);
        for entry in run {
            entry?.write(&mut out)?;
        }
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        if self.runs.len() >= RUNS {
            let all = Sorted::of(std::mem::take(&mut self.runs), Vec::new())?;
            self.spill(all)?;
        }
        Ok(())
    }
}

/// Records in order.
pub(super) struct Sorted {
    runs: Vec<BufReader<File>>,
    memory: std::vec::IntoIter<Entry>,
    /// The next of each run (the last one is memory), the smallest on top.
    heads: BinaryHeap<Reverse<Head>>,
}

struct Head {
    entry: Entry,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.entry.order(), self.run).cmp(&(other.entry.order(), other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl Sorted {
    fn of(runs: Vec<File>, memory: Vec<Entry>) -> io::Result<Self> {
        let runs = runs.into_iter().map(|run| BufReader::with_capacity(AHEAD, run)).collect();
        let mut sorted = Self { runs, memory: memory.into_iter(), heads: BinaryHeap::new() };
        for run in 0..=sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        let next = match self.runs.get_mut(run) {
            Some(file) => Entry::read(file)?,
            None => self.memory.next(),
        };
        self.heads.extend(next.map(|entry| Reverse(Head { entry, run })));
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(Head { entry, run }) = self.heads.pop()?;
        Some(self.refill(run).map(|()| entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn everything_comes_back_in_order(
            rows in prop::collection::vec((0_u8..20, prop::collection::vec(any::<u8>(), 0..40)), 0..400),
            room in 100_usize..20_000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter { room, ..Sorter::new(folder.path()) };
            let mut wanted = Vec::new();
            for (at, (key, row)) in (0..).zip(rows) {
                let entry = Entry { digest: Digest { key: [key; HASH], record: [1; HASH] }, at, row };
                wanted.push(entry.clone());
                sorter.push(entry).unwrap();
            }
            wanted.sort_by_key(Entry::order);
            let got: Vec<Entry> = sorter.sorted().unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(got, wanted);
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
