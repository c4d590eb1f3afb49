//! Runs that stop before their inputs do: cancel, deadline, failure. And error rows made by the store itself.
//!
//! Invariant: a job settled here has state 4, so that its late holder is told that the lease is lost.

use super::delivery;
use super::host_lane;
use super::lane::{Leased, released};
use super::run::{Run, asked};
use super::sql::{Sql, int, len, uint};
use super::writer::Tx;
use crate::{Change, Result};
use model::{FailureCode, SnapshotEvent, SnapshotId, Timestamp};

/// One error row per input of a job, made when it is read: registers the entry and the numbers. The job's slice must
/// stay. The caller moves waiting or leased to settled.
pub(super) fn register_rows_of(
    tx: &Tx<'_>,
    run: &mut Run,
    job: i64,
    n: u64,
    code: FailureCode,
    at: Timestamp,
) -> Result<()> {
    tx.conn.exec(
        "INSERT INTO segment VALUES (?1, ?2, NULL, ?3, ?4, ?5, 0, ?6, 0, 0, 0, ?7, ?8, 0, 0)",
        rusqlite::params![
            run.k,
            int(run.next_seq),
            job,
            code.as_str(),
            at.ms(),
            int(n),
            int(run.counts.records),
            int(run.counts.errors),
        ],
    )?;
    run.next_seq += 1;
    run.count_errors(code, n);
    Ok(())
}

/// Every waiting or parked job of a run becomes error rows: three statements, however many there are.
pub(super) fn abort_waiting(tx: &Tx<'_>, run: &mut Run, at: Timestamp) -> Result<()> {
    if run.counts.waiting == 0 {
        return Ok(());
    }
    let code = FailureCode::AbortedPage;
    let jobs = tx.conn.exec(
        "INSERT INTO segment
         SELECT snapshot, ?2 + row_number() OVER (ORDER BY id) - 1, NULL, id, ?3, ?4, 0, n, 0, 0, 0, ?5,
                ?6 + sum(n) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - n, 0, 0
         FROM job WHERE snapshot = ?1 AND state IN (0, 1)",
        rusqlite::params![
            run.k,
            int(run.next_seq),
            code.as_str(),
            at.ms(),
            int(run.counts.records),
            int(run.counts.errors),
        ],
    )?;
    // Cast: a usize fits u64.
    run.next_seq += jobs as u64;
    let n = settle_waiting(tx, run)?;
    run.count_errors(code, n);
    Ok(())
}

/// Every waiting or parked job of a run is settled, without rows; how many inputs.
pub(super) fn settle_waiting(tx: &Tx<'_>, run: &mut Run) -> Result<u64> {
    if run.counts.waiting == 0 {
        return Ok(0);
    }
    tx.conn.exec("UPDATE job SET state = 4 WHERE snapshot = ?1 AND state IN (0, 1)", [run.k])?;
    tx.conn.exec("UPDATE lane SET ready_at = NULL WHERE snapshot = ?1 AND ready_at IS NOT NULL", [run.k])?;
    let n = std::mem::take(&mut run.counts.waiting);
    run.counts.settled += n;
    Ok(n)
}

/// The parked jobs of a root are settled, without rows. Its leased job is just being finished; there is no other.
pub(super) fn settle_root(tx: &Tx<'_>, run: &mut Run, root: u64) -> Result<()> {
    let settled: Vec<i64> = tx.conn.all(
        "UPDATE job INDEXED BY job_parked SET state = 4 WHERE snapshot = ?1 AND root = ?2 AND state = 0 RETURNING n",
        (run.k, int(root)),
        |r| r.get(0),
    )?;
    let n: u64 = settled.into_iter().map(uint).sum();
    run.counts.waiting -= n;
    run.counts.settled += n;
    Ok(())
}

/// A leased job ends as error rows.
pub(super) fn abort_leased(
    tx: &mut Tx<'_>,
    run: &mut Run,
    job: &Leased,
    code: FailureCode,
    at: Timestamp,
) -> Result<()> {
    register_rows_of(tx, run, job.id, job.n, code, at)?;
    settle_leased(tx, run, job)
}

/// A leased job is settled, without rows.
pub(super) fn settle_leased(tx: &mut Tx<'_>, run: &mut Run, job: &Leased) -> Result<()> {
    tx.conn.exec("UPDATE job SET state = 4 WHERE id = ?1", [job.id])?;
    released(tx, job.lane)?;
    run.counts.leased -= job.n;
    run.counts.settled += job.n;
    Ok(())
}

pub(super) fn cancel(tx: &mut Tx<'_>, id: &SnapshotId, now: Timestamp) -> Result<()> {
    let mut run = Run::of_id(tx.conn, id)?;
    run.advance(SnapshotEvent::Cancel, "the snapshot is not running")?;
    abort_waiting(tx, &mut run, now)?;
    // Nothing of it is delivered any more, also while its leased jobs are wound up.
    delivery::cancel_rows(tx, run.k)?;
    run.conclude(tx, now)
}

/// Stops the runs whose deadline has passed, at most `limit`; whether there were more.
pub(super) fn pass_deadlines(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<bool> {
    let passed: Vec<i64> = tx.conn.all(
        "SELECT k FROM snapshot INDEXED BY snapshot_deadline
         WHERE state = 'running' AND deadline IS NOT NULL AND deadline <= ?1 ORDER BY deadline LIMIT ?2",
        (now.ms(), len(limit)),
        |r| r.get(0),
    )?;
    for k in &passed {
        let mut run = Run::of_key(tx.conn, *k)?;
        run.advance(SnapshotEvent::DeadlinePassed, "the snapshot is not running")?;
        abort_waiting(tx, &mut run, now)?;
        run.conclude(tx, now)?;
        tx.tell(Change::Stopping(run.id.clone()));
    }
    Ok(passed.len() == limit)
}

pub(super) fn fail(tx: &mut Tx<'_>, id: &SnapshotId, message: &str, now: Timestamp) -> Result<()> {
    let k = super::run::key_of(tx.conn, id)?;
    break_run(tx, k, message, now)
}

/// Ends a run as failed. What waits or is leased is settled without rows; late holders find their lease lost.
pub(super) fn break_run(tx: &mut Tx<'_>, k: i64, message: &str, now: Timestamp) -> Result<()> {
    let mut run = Run::of_key(tx.conn, k)?;
    run.advance(SnapshotEvent::Broke, "the snapshot has ended")?;
    settle_waiting(tx, &mut run)?;
    let lanes = tx.conn.all(
        "SELECT lane, count(*) FROM job INDEXED BY job_leased WHERE state = 2 AND snapshot = ?1 GROUP BY lane",
        [k],
        |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)),
    )?;
    tx.conn.exec("UPDATE job INDEXED BY job_leased SET state = 4 WHERE state = 2 AND snapshot = ?1", [k])?;
    for (lane, leased) in lanes {
        host_lane::let_go(tx, lane, leased)?;
    }
    let leased = std::mem::take(&mut run.counts.leased);
    run.counts.settled += leased;
    run.message = Some(message.chars().take(model::limit::MESSAGE_CHARS).collect());
    // A trigger that cannot be read is no reason to keep a broken run alive.
    let force_deliver = asked(tx.conn, k).is_ok_and(|trigger| trigger.force_deliver);
    run.end(tx, force_deliver, now)?;
    run.save(tx)
}
