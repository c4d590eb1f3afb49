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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Claim, Commit, NewSnapshot, SqliteStore, Store, StoreError};
    use model::{Input, Outcome, SnapshotState, Timestamp, Trigger};

    fn trigger() -> Trigger {
        serde_json::from_value(serde_json::json!({
            "dataset_id": "gd_x", "scraper": "x", "scraper_version": "1", "door": "collect",
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn a_part_is_there_with_its_rows_and_goes_with_its_run() {
        let store = SqliteStore::in_memory().unwrap();
        let (now, id) = (Timestamp::from_ms(1_000), SnapshotId::new(Timestamp::from_ms(1_000), 1));
        let new = NewSnapshot { id: id.clone(), trigger: trigger(), now };
        store.begin(new).await.unwrap();
        store
            .add(&id, vec![vec![Input::given(0, "{\"url\":\"http://a/\"}".into(), "a".into())]], now)
            .await
            .unwrap();
        let commit =
            Commit { id: id.clone(), trigger: trigger(), deliveries: Vec::new(), idempotency: None, now };
        store.commit(commit).await.unwrap();
        let claim = Claim {
            jobs: 1,
            express_only: false,
            node: "n".into(),
            now,
            lease_until: now.plus_ms(1_000),
            pass_over: Vec::new(),
        };
        let lease = store.claim(claim).await.unwrap().leases.remove(0);
        let asked = PageKey([7; 16]);
        let part = ArchivePart {
            key: "archive/x/1".into(),
            bytes: 10,
            index_bytes: 5,
            asked: vec![PageKey([1; 16]), asked],
        };
        // A page without rows leaves a part all the same.
        let outcome = Outcome { settled: 1, archive: Some(Box::new(part)), ..Outcome::default() };
        let late = crate::Lease { epoch: lease.epoch + 1, ..lease.clone() };
        let refused = store.finish(&late, &outcome, None, &[], now).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)));
        assert!(store.archive(&id, 0, 10).await.unwrap().is_empty(), "a late worker leaves nothing");
        assert_eq!(store.unregistered(&["archive/x/1".into()]).await.unwrap().len(), 1);
        store.finish(&lease, &outcome, None, &[], now).await.unwrap();
        store.finish(&lease, &outcome, None, &[], now).await.unwrap();
        let parts = store.archive(&id, 0, 10).await.unwrap();
        assert_eq!(parts, [KeptPart { seq: 0, key: "archive/x/1".into(), bytes: 10, index_bytes: 5 }]);
        assert_eq!(
            store.kept_pages(&id, &[PageKey([2; 16]), asked]).await.unwrap(),
            [vec![], vec![(parts[0].clone(), 1)]]
        );
        assert!(store.unregistered(&["archive/x/1".into()]).await.unwrap().is_empty());
        assert_eq!(store.snapshot(&id).await.unwrap().state, SnapshotState::Ready);
        let keys = store.expire(now.plus_ms(5_000), 100, now).await.unwrap();
        assert_eq!(keys, ["archive/x/1"]);
        store.forget(&keys).await.unwrap();
        while store.tick(now, 1_000).await.unwrap().is_some_and(|due| due <= now) {}
        assert!(store.archive(&id, 0, 10).await.unwrap().is_empty());
        assert_eq!(store.kept_pages(&id, &[asked]).await.unwrap(), [vec![]]);
        assert!(store.expire(now.plus_ms(5_000), 100, now).await.unwrap().is_empty());
    }
}
