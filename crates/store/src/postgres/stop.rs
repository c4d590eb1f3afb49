//! Runs that stop before their inputs do: cancel, deadline, failure. And error rows made by the store itself.
//!
//! Invariant: a job settled here has state 4, so that its late holder is told that the lease is lost.

use super::delivery;
use super::lane::{Lanes, Leased, let_go};
use super::run::{Run, asked, key_of};
use super::sql::{get, int, len, uint};
use super::tx::Tx;
use crate::{Change, Result};
use model::{FailureCode, SnapshotEvent, SnapshotId, SnapshotState, Timestamp};

/// One error row per input of a job, made when it is read: registers the entry and the numbers. The job's slice must
/// stay. The caller moves waiting or leased to settled.
pub(super) async fn register_rows_of(
    tx: &Tx,
    run: &mut Run,
    job: i64,
    n: u64,
    code: FailureCode,
    at: Timestamp,
) -> Result<()> {
    let (seq, records, errors) = (int(run.next_seq), int(run.counts.records), int(run.counts.errors));
    tx.exec(
        "INSERT INTO segment (snapshot, seq, job, code, at, records, errors, record_bytes, error_bytes, plain_bytes,
             first_record, first_error)
         VALUES ($1, $2, $3, $4, $5, 0, $6, 0, 0, 0, $7, $8)",
        &[&run.k, &seq, &job, &code.as_str(), &at.ms(), &int(n), &records, &errors],
    )
    .await?;
    run.next_seq += 1;
    run.count_errors(code, n);
    Ok(())
}

/// Every waiting or parked job of a run becomes error rows: three statements, however many there are.
async fn abort_waiting(tx: &Tx, run: &mut Run, at: Timestamp) -> Result<()> {
    if run.counts.waiting == 0 {
        return Ok(());
    }
    let code = FailureCode::AbortedPage;
    let (seq, records, errors) = (int(run.next_seq), int(run.counts.records), int(run.counts.errors));
    let jobs = tx
        .exec(
            "INSERT INTO segment (snapshot, seq, job, code, at, records, errors, record_bytes, error_bytes, plain_bytes,
                 first_record, first_error)
             SELECT snapshot, $2 + row_number() OVER (ORDER BY id) - 1, id, $3, $4, 0, n, 0, 0, 0, $5,
                    $6 + (sum(n) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING))::bigint - n
             FROM job WHERE snapshot = $1 AND state IN (0, 1)",
            &[&run.k, &seq, &code.as_str(), &at.ms(), &records, &errors],
        )
        .await?;
    run.next_seq += jobs;
    let n = settle_waiting(tx, run).await?;
    run.count_errors(code, n);
    Ok(())
}

/// Every waiting or parked job of a run is settled, without rows; how many inputs.
pub(super) async fn settle_waiting(tx: &Tx, run: &mut Run) -> Result<u64> {
    if run.counts.waiting == 0 {
        return Ok(0);
    }
    tx.exec("UPDATE job SET state = 4 WHERE snapshot = $1 AND state IN (0, 1)", &[&run.k]).await?;
    tx.exec(
        "UPDATE lane SET ready_at = NULL, first_due = NULL, first_job = NULL
         WHERE snapshot = $1 AND first_job IS NOT NULL",
        &[&run.k],
    )
    .await?;
    let n = std::mem::take(&mut run.counts.waiting);
    run.counts.settled += n;
    Ok(n)
}

/// The parked jobs of a root are settled, without rows. Its leased job is just being finished; there is no other.
pub(super) async fn settle_root(tx: &Tx, run: &mut Run, root: u64) -> Result<()> {
    let row = tx
        .one(
            "WITH settled AS (
                 UPDATE job SET state = 4 WHERE snapshot = $1 AND root = $2 AND state = 0 RETURNING n)
             SELECT coalesce(sum(n), 0)::bigint FROM settled",
            &[&run.k, &int(root)],
        )
        .await?;
    let n = row.map_or(Ok(0), |row| get::<i64>(&row, 0).map(uint))?;
    run.counts.waiting -= n;
    run.counts.settled += n;
    Ok(())
}

/// A leased job ends as error rows.
pub(super) async fn abort_leased(
    tx: &mut Tx,
    run: &mut Run,
    lanes: &mut Lanes,
    job: &Leased,
    code: FailureCode,
    at: Timestamp,
) -> Result<()> {
    register_rows_of(tx, run, job.id, job.n, code, at).await?;
    settle_leased(tx, run, lanes, job).await
}

/// A leased job is settled, without rows.
pub(super) async fn settle_leased(tx: &mut Tx, run: &mut Run, lanes: &mut Lanes, job: &Leased) -> Result<()> {
    tx.exec("UPDATE job SET state = 4 WHERE id = $1", &[&job.id]).await?;
    lanes.released(tx, job.lane).await?;
    run.counts.leased -= job.n;
    run.counts.settled += job.n;
    Ok(())
}

pub(super) async fn cancel(tx: &mut Tx, id: &SnapshotId, now: Timestamp) -> Result<()> {
    let mut run = Run::lock_id(tx, id).await?;
    run.advance(SnapshotEvent::Cancel, "the snapshot is not running")?;
    abort_waiting(tx, &mut run, now).await?;
    // Nothing of it is delivered any more, also while its leased jobs are wound up.
    delivery::cancel_rows(tx, run.k).await?;
    run.conclude(tx, now).await?;
    tx.tell(Change::Stopping(id.clone()));
    Ok(())
}

/// Runs whose deadline has passed, at most `limit`.
pub(super) async fn passed_deadlines(tx: &Tx, now: Timestamp, limit: usize) -> Result<Vec<i64>> {
    let rows = tx
        .all(
            "SELECT k FROM snapshot WHERE state = 'running' AND deadline IS NOT NULL AND deadline <= $1
             ORDER BY deadline LIMIT $2",
            &[&now.ms(), &len(limit)],
        )
        .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Stops a run whose deadline has passed; another node may have done so meanwhile.
pub(super) async fn pass_deadline(tx: &mut Tx, k: i64, now: Timestamp) -> Result<()> {
    let mut run = Run::lock(tx, k).await?;
    if run.state != SnapshotState::Running {
        return Ok(());
    }
    run.advance(SnapshotEvent::DeadlinePassed, "the snapshot is not running")?;
    abort_waiting(tx, &mut run, now).await?;
    run.conclude(tx, now).await?;
    tx.tell(Change::Stopping(run.id.clone()));
    Ok(())
}

pub(super) async fn fail(tx: &mut Tx, id: &SnapshotId, message: &str, now: Timestamp) -> Result<()> {
    let k = key_of(tx, id).await?;
    break_run(tx, k, message, now).await?;
    tx.tell(Change::Stopping(id.clone()));
    Ok(())
}

/// Ends a run as failed. What waits or is leased is settled without rows; late holders find their lease lost.
pub(super) async fn break_run(tx: &mut Tx, k: i64, message: &str, now: Timestamp) -> Result<()> {
    let mut run = Run::lock(tx, k).await?;
    run.advance(SnapshotEvent::Broke, "the snapshot has ended")?;
    settle_waiting(tx, &mut run).await?;
    // In the order of their hosts' locks, as everywhere.
    let lanes = tx
        .all(
            "WITH leased AS MATERIALIZED (SELECT id, snapshot, lane FROM job WHERE state = 2),
             ended AS (
                 UPDATE job SET state = 4 FROM leased WHERE job.id = leased.id AND leased.snapshot = $1
                 RETURNING job.lane)
             SELECT ended.lane, count(*) FROM ended JOIN lane ON lane.k = ended.lane
             GROUP BY ended.lane, lane.host ORDER BY trawl_host_lock(lane.host)",
            &[&k],
        )
        .await?;
    for row in &lanes {
        let_go(tx, get(row, 0)?, get(row, 1)?).await?;
    }
    let leased = std::mem::take(&mut run.counts.leased);
    run.counts.settled += leased;
    run.message = Some(message.chars().take(model::limit::MESSAGE_CHARS).collect());
    // A trigger that cannot be read is no reason to keep a broken run alive.
    let force_deliver = match asked(tx, k).await {
        Ok(trigger) => trigger.force_deliver,
        Err(crate::StoreError::Damaged(_)) => false,
        Err(e) => return Err(e),
    };
    run.end(tx, force_deliver, now).await?;
    run.save(tx).await
}
