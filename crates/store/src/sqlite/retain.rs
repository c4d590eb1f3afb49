//! Retention: runs expire, their bytes are forgotten, and what they leave in the tables is swept little by little.

use super::quality;
use super::run::Run;
use super::sql::{Sql, len};
use super::writer::Tx;
use crate::{Change, Result};
use model::{SnapshotEvent, Timestamp};
use rusqlite::Connection;

/// Runs marked by one call at most.
const RUNS: i64 = 100;
/// Rows swept by one call at most, of each table: some milliseconds of the writer's time.
const SWEEP_ROWS: i64 = 5_000;

/// Everything of a run but its own row and its segments in the bucket may be swept.
pub(super) fn trash_everything(conn: &Connection, run: i64) -> Result<()> {
    conn.exec("INSERT OR REPLACE INTO trash VALUES (?1, 1)", [run])?;
    Ok(())
}

pub(super) fn expire(tx: &mut Tx<'_>, before: Timestamp, limit: usize) -> Result<Vec<String>> {
    let ended: Vec<i64> = tx.conn.all(
        "SELECT k FROM snapshot INDEXED BY snapshot_ended
         WHERE finished_at IS NOT NULL AND state <> 'expired' AND finished_at < ?1 ORDER BY finished_at LIMIT ?2",
        (before.ms(), RUNS),
        |r| r.get(0),
    )?;
    for k in ended {
        let mut run = Run::of_key(tx.conn, k)?;
        run.advance(SnapshotEvent::RetentionPassed, "the snapshot still runs")?;
        run.save(tx)?;
        let ids: Vec<String> = tx.conn.all(
            "UPDATE delivery SET state = 'canceled' WHERE snapshot = ?1 AND kind = 'rows'
             AND state IN ('held', 'waiting') RETURNING id",
            [k],
            |r| r.get(0),
        )?;
        for id in ids.iter().filter_map(|id| model::DeliveryId::parse(id)) {
            tx.tell(Change::Delivery(id));
        }
        trash_everything(tx.conn, k)?;
        tx.conn.exec("INSERT OR IGNORE INTO unforgotten VALUES (?1)", [k])?;
    }
    keys_of_expired(tx.conn, limit)
}

fn keys_of_expired(conn: &Connection, limit: usize) -> Result<Vec<String>> {
    let runs: Vec<i64> =
        conn.all("SELECT snapshot FROM unforgotten ORDER BY snapshot LIMIT ?1", [RUNS], |r| r.get(0))?;
    let mut keys: Vec<String> = Vec::new();
    for run in runs {
        let room = limit - keys.len();
        let some: Vec<String> = conn.all(
            "SELECT key FROM segment WHERE snapshot = ?1 AND key IS NOT NULL
             UNION ALL SELECT key FROM archive WHERE snapshot = ?1 LIMIT ?2",
            (run, len(room)),
            |r| r.get(0),
        )?;
        if some.is_empty() && room > 0 {
            conn.exec("DELETE FROM unforgotten WHERE snapshot = ?1", [run])?;
        }
        keys.extend(some);
        if keys.len() >= limit {
            break;
        }
    }
    Ok(keys)
}

pub(super) fn forget(tx: &Tx<'_>, keys: &[String]) -> Result<()> {
    for key in keys {
        tx.conn.exec(
            "DELETE FROM segment WHERE key = ?1 AND key IS NOT NULL
             AND EXISTS (SELECT 1 FROM snapshot WHERE k = segment.snapshot AND state = 'expired')",
            [key],
        )?;
        tx.conn.exec(
            "DELETE FROM archive WHERE key = ?1
             AND EXISTS (SELECT 1 FROM snapshot WHERE k = archive.snapshot AND state = 'expired')",
            [key],
        )?;
    }
    Ok(())
}

pub(super) fn unregistered(conn: &Connection, keys: &[String]) -> Result<Vec<String>> {
    let mut none = Vec::new();
    for key in keys {
        let known = "SELECT 1 FROM segment WHERE key = ?1 AND key IS NOT NULL
                     UNION ALL SELECT 1 FROM archive WHERE key = ?1";
        if conn.one(known, [key], |_| Ok(()))?.is_none() {
            none.push(key.clone());
        }
    }
    Ok(none)
}

/// Deletes some of what is in the trash; whether there is more.
pub(super) fn sweep(conn: &Connection) -> Result<bool> {
    let next = conn.one("SELECT snapshot, everything FROM trash ORDER BY snapshot LIMIT 1", [], |r| {
        Ok((r.get::<_, i64>(0)?, r.get::<_, bool>(1)?))
    })?;
    let Some((run, everything)) = next else { return Ok(false) };
    let mut swept = 0;
    for sql in [
        "DELETE FROM seen WHERE (snapshot, hash) IN (SELECT snapshot, hash FROM seen WHERE snapshot = ?1 LIMIT ?2)",
        "DELETE FROM root WHERE (snapshot, root) IN (SELECT snapshot, root FROM root WHERE snapshot = ?1 LIMIT ?2)",
        "DELETE FROM lane WHERE k IN (SELECT k FROM lane WHERE snapshot = ?1 LIMIT ?2)",
    ] {
        swept += conn.exec(sql, (run, SWEEP_ROWS))?;
    }
    if everything {
        swept += quality::sweep(conn, run)?;
        for sql in [
            "DELETE FROM slice WHERE job IN (SELECT id FROM job WHERE snapshot = ?1 ORDER BY derived, id LIMIT ?2)",
            "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE snapshot = ?1 ORDER BY derived, id LIMIT ?2)",
            "DELETE FROM kept_page WHERE (snapshot, asked, seq, n) IN
                 (SELECT snapshot, asked, seq, n FROM kept_page WHERE snapshot = ?1 LIMIT ?2)",
            "DELETE FROM extra_column WHERE (snapshot, name) IN
                 (SELECT snapshot, name FROM extra_column WHERE snapshot = ?1 LIMIT ?2)",
            "DELETE FROM segment WHERE (snapshot, seq) IN
                 (SELECT snapshot, seq FROM segment WHERE snapshot = ?1 AND key IS NULL LIMIT ?2)",
        ] {
            swept += conn.exec(sql, (run, SWEEP_ROWS))?;
        }
    }
    if swept == 0 {
        conn.exec("DELETE FROM trash WHERE snapshot = ?1", [run])?;
    }
    Ok(conn.one("SELECT 1 FROM trash LIMIT 1", [], |_| Ok(()))?.is_some())
}
