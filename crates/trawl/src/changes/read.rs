//! Every record that a run read, given or withheld, straight from its segments. Blocking: runs on a thread of its own.
//!
//! Invariant: memory is a piece of a segment and one record.

use super::ChangesError;
use bytes::Bytes;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use store::{Bucket, Content, Store};
use tokio::runtime::Handle;

/// Bytes read from the bucket at once.
const PIECE: u64 = 256 << 10;
/// Segments listed at once.
const LISTED: usize = 512;

/// Calls `each` with the row of every record of a run.
pub(super) fn records(
    store: &Arc<dyn Store>,
    bucket: &Arc<dyn Bucket>,
    id: &model::SnapshotId,
    mut each: impl FnMut(&[u8]) -> Result<(), ChangesError>,
) -> Result<(), ChangesError> {
    let handle = Handle::current();
    let mut from = 0;
    loop {
        let listed = handle.block_on(store.segments(id, from, LISTED))?;
        let Some(last) = listed.last() else { return Ok(()) };
        from = last.seq + 1;
        for registered in listed {
            let Content::Segment(segment) = registered.content else { continue };
            let given = (0, segment.record_bytes);
            let withheld = (segment.record_bytes + segment.error_bytes, segment.withheld_bytes);
            for (start, len) in [given, withheld].into_iter().filter(|(_, len)| *len > 0) {
                let part = Part {
                    bucket,
                    handle: &handle,
                    key: &segment.key,
                    at: start,
                    end: start + len,
                    piece: Bytes::new(),
                };
                let broken = |error: io::Error| match error.downcast::<store::BucketError>() {
                    Ok(error) => ChangesError::Bucket(error),
                    Err(error) => ChangesError::Damaged(format!("{}: {error}", segment.key)),
                };
                let unpacked = zstd::stream::read::Decoder::new(part).map_err(broken)?;
                let mut lines = BufReader::new(unpacked);
                let mut line = Vec::new();
                while lines.read_until(b'\n', &mut line).map_err(broken)? > 0 {
                    each(line.strip_suffix(b"\n").unwrap_or(&line))?;
                    line.clear();
                }
            }
        }
    }
}

/// A range of an object as a reader.
struct Part<'a> {
    bucket: &'a Arc<dyn Bucket>,
    handle: &'a Handle,
    key: &'a str,
    at: u64,
    end: u64,
    piece: Bytes,
}

impl Read for Part<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.at < self.end {
            let take = (self.end - self.at).min(PIECE);
            let piece = self.handle.block_on(self.bucket.get(self.key, self.at, take));
            self.piece = piece.map_err(io::Error::other)?;
            self.at += take;
            // Shorter than registered: what follows would be read from the wrong place.
            if (self.piece.len() as u64) < take {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the object is cut short"));
            }
        }
        let n = out.len().min(self.piece.len());
        out[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}
