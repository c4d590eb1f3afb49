//! Kept pages: registered with the rows of the job that fetched them, found by what was asked for.
//!
//! Invariant: a part is registered in the transaction that settles its job, or not at all.

use super::run::{Run, key_of};
use super::sql::{Sql, int, len, uint};
use crate::{KeptPart, Result};
use model::{ArchivePart, PageKey, SnapshotId};
use rusqlite::{Connection, Row};

/// Parts given by one call at most.
const PARTS: usize = 10_000;
/// Pages of one digest given at most: an address that a run asked for more often than this is a trap.
const SAME: i64 = 64;

/// Registers a part under the sequence number of its job's segment.
pub(super) fn register(conn: &Connection, run: &Run, seq: u64, part: &ArchivePart) -> Result<()> {
    conn.exec(
        "INSERT INTO archive VALUES (?1, ?2, ?3, ?4, ?5)",
        (run.k, int(seq), &part.key, int(part.bytes), int(part.index_bytes)),
    )?;
    for (n, asked) in part.asked.iter().enumerate() {
        conn.exec("INSERT INTO kept_page VALUES (?1, ?2, ?3, ?4)", (run.k, &asked.0[..], int(seq), len(n)))?;
    }
    Ok(())
}

pub(super) fn parts(conn: &Connection, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<KeptPart>> {
    let k = key_of(conn, id)?;
    conn.all(
        "SELECT seq, key, bytes, index_bytes FROM archive WHERE snapshot = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
        (k, int(from), len(limit.min(PARTS))),
        part,
    )
}

pub(super) fn pages(
    conn: &Connection,
    id: &SnapshotId,
    asked: &[PageKey],
) -> Result<Vec<Vec<(KeptPart, usize)>>> {
    let k = key_of(conn, id)?;
    let of = |asked: &PageKey| {
        conn.all(
            "SELECT archive.seq, key, bytes, index_bytes, n FROM kept_page
             JOIN archive ON archive.snapshot = kept_page.snapshot AND archive.seq = kept_page.seq
             WHERE kept_page.snapshot = ?1 AND asked = ?2 ORDER BY kept_page.seq DESC, n DESC LIMIT ?3",
            (k, &asked.0[..], SAME),
            |r| Ok((part(r)?, usize::try_from(r.get::<_, i64>(4)?).unwrap_or(usize::MAX))),
        )
    };
    asked.iter().map(of).collect()
}

fn part(r: &Row<'_>) -> rusqlite::Result<KeptPart> {
    let count = |at| r.get::<_, i64>(at).map(uint);
    Ok(KeptPart { seq: count(0)?, key: r.get(1)?, bytes: count(2)?, index_bytes: count(3)? })
}
