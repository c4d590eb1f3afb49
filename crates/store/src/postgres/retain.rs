//! Retention: runs expire, their bytes are forgotten, and what they leave in the tables is swept little by little.

use super::quality;
use super::run::Run;
use super::sql::{get, len};
use super::tx::Tx;
use crate::{Change, Result};
use model::{DeliveryId, SnapshotEvent, SnapshotState, Timestamp};

/// Runs marked by one call at most.
const RUNS: i64 = 100;
/// Rows swept by one call at most, of each table: some milliseconds of the database's time.
const SWEEP_ROWS: i64 = 5_000;

/// Everything of a run but its own row and its segments in the bucket may be swept.
pub(super) async fn trash_everything(tx: &Tx, run: i64) -> Result<()> {
    let sql = "INSERT INTO trash VALUES ($1, true) ON CONFLICT (snapshot) DO UPDATE SET everything = true";
    tx.exec(sql, &[&run]).await.map(drop)
}

/// Runs that ended before that moment and have not expired.
pub(super) async fn ended(tx: &Tx, before: Timestamp) -> Result<Vec<i64>> {
    let rows = tx
        .all(
            "SELECT k FROM snapshot WHERE finished_at IS NOT NULL AND state <> 'expired' AND finished_at < $1
             ORDER BY finished_at LIMIT $2",
            &[&before.ms(), &RUNS],
        )
        .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Marks one run as expired, unless another node has done so.
pub(super) async fn expire(tx: &mut Tx, k: i64) -> Result<()> {
    let mut run = Run::lock(tx, k).await?;
    if run.state == SnapshotState::Expired {
        return Ok(());
    }
    run.advance(SnapshotEvent::RetentionPassed, "the snapshot still runs")?;
    run.save(tx).await?;
    let rows = tx
        .all(
            "UPDATE delivery SET state = 'canceled' WHERE snapshot = $1 AND kind = 'rows'
             AND state IN ('held', 'waiting') RETURNING id",
            &[&k],
        )
        .await?;
    for row in &rows {
        if let Some(id) = DeliveryId::parse(get(row, 0)?) {
            tx.tell(Change::Delivery(id));
        }
    }
    trash_everything(tx, k).await?;
    tx.exec("INSERT INTO unforgotten VALUES ($1) ON CONFLICT DO NOTHING", &[&k]).await?;
    Ok(())
}

/// Keys in the bucket of expired runs.
pub(super) async fn keys_of_expired(tx: &Tx, limit: usize) -> Result<Vec<String>> {
    let runs = tx.all("SELECT snapshot FROM unforgotten ORDER BY snapshot LIMIT $1", &[&RUNS]).await?;
    let mut keys: Vec<String> = Vec::new();
    for row in &runs {
        let run: i64 = get(row, 0)?;
        let room = limit - keys.len();
        let some = tx
            .all(
                "SELECT key FROM segment WHERE snapshot = $1 AND key IS NOT NULL
                 UNION ALL SELECT key FROM archive WHERE snapshot = $1 LIMIT $2",
                &[&run, &len(room)],
            )
            .await?;
        if some.is_empty() && room > 0 {
            tx.exec("DELETE FROM unforgotten WHERE snapshot = $1", &[&run]).await?;
        }
        for row in &some {
            keys.push(get(row, 0)?);
        }
        if keys.len() >= limit {
            break;
        }
    }
    Ok(keys)
}

pub(super) async fn forget(tx: &Tx, keys: &[String]) -> Result<()> {
    tx.exec(
        "DELETE FROM segment WHERE key = ANY ($1) AND key IS NOT NULL
         AND (SELECT state FROM snapshot WHERE k = segment.snapshot) = 'expired'",
        &[&keys],
    )
    .await?;
    tx.exec(
        "DELETE FROM archive WHERE key = ANY ($1)
         AND (SELECT state FROM snapshot WHERE k = archive.snapshot) = 'expired'",
        &[&keys],
    )
    .await?;
    Ok(())
}

pub(super) async fn unregistered(tx: &Tx, keys: &[String]) -> Result<Vec<String>> {
    let rows = tx
        .all(
            "SELECT u.key FROM unnest($1::text[]) WITH ORDINALITY AS u(key, nth)
             WHERE (SELECT true FROM segment s WHERE s.key = u.key AND s.key IS NOT NULL LIMIT 1) IS NULL
                 AND (SELECT true FROM archive a WHERE a.key = u.key LIMIT 1) IS NULL
             ORDER BY u.nth",
            &[&keys],
        )
        .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Deletes some of what is in the trash; whether there is more. Of nodes that sweep at the same time one works.
pub(super) async fn sweep(tx: &Tx) -> Result<bool> {
    let sql = "SELECT snapshot, everything FROM trash ORDER BY snapshot LIMIT 1 FOR UPDATE SKIP LOCKED";
    let Some(row) = tx.one(sql, &[]).await? else { return Ok(false) };
    let (run, everything): (i64, bool) = (get(&row, 0)?, get(&row, 1)?);
    let mut swept = 0;
    for sql in [
        "DELETE FROM seen WHERE ctid = ANY (ARRAY(SELECT ctid FROM seen WHERE snapshot = $1 LIMIT $2))",
        "DELETE FROM root WHERE ctid = ANY (ARRAY(SELECT ctid FROM root WHERE snapshot = $1 LIMIT $2))",
        "DELETE FROM lane WHERE ctid = ANY (ARRAY(SELECT ctid FROM lane WHERE snapshot = $1 LIMIT $2))",
    ] {
        swept += tx.exec(sql, &[&run, &SWEEP_ROWS]).await?;
    }
    if everything {
        swept += quality::sweep(tx, run).await?;
        for sql in [
            "WITH gone AS (
                 DELETE FROM job WHERE ctid = ANY (ARRAY(SELECT ctid FROM job WHERE snapshot = $1 LIMIT $2)) RETURNING id)
             DELETE FROM slice WHERE job = ANY (ARRAY(SELECT id FROM gone))",
            "DELETE FROM kept_page WHERE ctid = ANY (ARRAY(SELECT ctid FROM kept_page WHERE snapshot = $1 LIMIT $2))",
            "DELETE FROM extra_column WHERE ctid = ANY (ARRAY(SELECT ctid FROM extra_column WHERE snapshot = $1 LIMIT $2))",
            "DELETE FROM segment WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM segment WHERE snapshot = $1 AND key IS NULL LIMIT $2))",
        ] {
            swept += tx.exec(sql, &[&run, &SWEEP_ROWS]).await?;
        }
    }
    if swept == 0 {
        tx.exec("DELETE FROM trash WHERE snapshot = $1", &[&run]).await?;
    }
    Ok(tx.one("SELECT 1 FROM trash LIMIT 1", &[]).await?.is_some())
}
