//! Kept pages: registered with the rows of the job that fetched them, found by what was asked for.
//!
//! Invariant: a part is registered in the transaction that settles its job, or not at all.

use super::run::key_of;
use super::sql::{count, get, int, len};
use super::tx::Tx;
use crate::{KeptPart, Result};
use model::{ArchivePart, PageKey, SnapshotId};
use tokio_postgres::Row;

/// Parts given by one call at most.
const PARTS: usize = 10_000;
/// Pages of one digest given at most: an address that a run asked for more often than this is a trap.
const SAME: i64 = 64;

/// Registers a part under the sequence number of its job's segment.
pub(super) async fn register(tx: &Tx, run: i64, seq: u64, part: &ArchivePart) -> Result<()> {
    tx.exec(
        "INSERT INTO archive VALUES ($1, $2, $3, $4, $5)",
        &[&run, &int(seq), &part.key, &int(part.bytes), &int(part.index_bytes)],
    )
    .await?;
    let asked: Vec<&[u8]> = part.asked.iter().map(|asked| &asked.0[..]).collect();
    tx.exec(
        "INSERT INTO kept_page SELECT $1, u.asked, $2, u.n - 1 FROM unnest($3::bytea[]) WITH ORDINALITY AS u(asked, n)",
        &[&run, &int(seq), &asked],
    )
    .await?;
    Ok(())
}

pub(super) async fn parts(tx: &Tx, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<KeptPart>> {
    let k = key_of(tx, id).await?;
    let rows = tx
        .all(
            "SELECT seq, key, bytes, index_bytes FROM archive WHERE snapshot = $1 AND seq >= $2 ORDER BY seq LIMIT $3",
            &[&k, &int(from), &len(limit.min(PARTS))],
        )
        .await?;
    rows.iter().map(part).collect()
}

pub(super) async fn pages(
    tx: &Tx,
    id: &SnapshotId,
    asked: &[PageKey],
) -> Result<Vec<Vec<(KeptPart, usize)>>> {
    let k = key_of(tx, id).await?;
    let digests: Vec<&[u8]> = asked.iter().map(|asked| &asked.0[..]).collect();
    let rows = tx
        .all(
            "SELECT p.seq, p.key, p.bytes, p.index_bytes, p.n, u.nth
             FROM unnest($2::bytea[]) WITH ORDINALITY AS u(asked, nth), LATERAL (
                 SELECT a.seq, a.key, a.bytes, a.index_bytes, kept.n
                 FROM kept_page kept JOIN archive a ON a.snapshot = kept.snapshot AND a.seq = kept.seq
                 WHERE kept.snapshot = $1 AND kept.asked = u.asked ORDER BY kept.seq DESC, kept.n DESC LIMIT $3) p
             ORDER BY u.nth, p.seq DESC, p.n DESC",
            &[&k, &digests, &SAME],
        )
        .await?;
    let mut pages = vec![Vec::new(); asked.len()];
    for row in &rows {
        let place = usize::try_from(get::<i64>(row, 5)? - 1).unwrap_or(usize::MAX);
        let n = usize::try_from(get::<i64>(row, 4)?).unwrap_or(usize::MAX);
        if let Some(list) = pages.get_mut(place) {
            list.push((part(row)?, n));
        }
    }
    Ok(pages)
}

fn part(r: &Row) -> Result<KeptPart> {
    Ok(KeptPart { seq: count(r, 0)?, key: get(r, 1)?, bytes: count(r, 2)?, index_bytes: count(r, 3)? })
}
