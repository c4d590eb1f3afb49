//! What time alone brings about: ended leases, deadlines, abandoned runs, old keys, sweeping.
//!
//! Invariant: one call does a bounded amount; what is left over is due now, so that other operations come between.

use super::lane::{self, Lanes, Leased, NewJob, state};
use super::run::Run;
use super::sql::{Sql, earliest, len, uint};
use super::writer::Tx;
use super::{create, delivery, retain, stop};
use crate::Result;
use model::{FailureCode, Timestamp, limit};

/// Leases taken back, runs stopped, runs discarded in one call at most.
const LEASES: usize = 1_000;
const RUNS: usize = 16;
/// Idempotency keys forgotten in one call at most.
const KEYS: i64 = 1_000;

pub(super) fn tick(tx: &mut Tx<'_>, now: Timestamp, starting_ms: u64) -> Result<Option<Timestamp>> {
    let starting_ms = i64::try_from(starting_ms).unwrap_or(i64::MAX);
    let mut more = stop::pass_deadlines(tx, now, RUNS)?;
    more |= lose(tx, None, now)? == LEASES;
    more |= delivery::lose(tx, None, now, LEASES)? == LEASES;
    more |= create::discard_abandoned(tx, Timestamp::from_ms(now.ms().saturating_sub(starting_ms)), RUNS)?;
    let forgotten = tx.conn.exec(
        "DELETE FROM idempotency WHERE (token, key) IN (
             SELECT token, key FROM idempotency INDEXED BY idempotency_at WHERE at <= ?1 ORDER BY at LIMIT ?2)",
        (now.plus_ms(-limit::IDEMPOTENCY_MS).ms(), KEYS),
    )?;
    more |= len(forgotten) == KEYS;
    more |= retain::sweep(tx.conn)?;
    if more {
        return Ok(Some(now));
    }
    let moments = [
        earliest(tx.conn, "SELECT min(lease_until) FROM job INDEXED BY job_leased WHERE state = 2")?,
        earliest(
            tx.conn,
            "SELECT min(lease_until) FROM delivery INDEXED BY delivery_leased WHERE state = 'leased'",
        )?,
        earliest(
            tx.conn,
            "SELECT min(deadline) FROM snapshot INDEXED BY snapshot_deadline
             WHERE state = 'running' AND deadline IS NOT NULL",
        )?,
        earliest(
            tx.conn,
            "SELECT min(created_at) FROM snapshot INDEXED BY snapshot_starting WHERE state = 'starting'",
        )?
        .map(|at| at.plus_ms(starting_ms)),
        earliest(tx.conn, "SELECT min(at) FROM idempotency")?.map(|at| at.plus_ms(limit::IDEMPOTENCY_MS)),
    ];
    Ok(moments.into_iter().flatten().min())
}

/// Every lease of a node; how many.
pub(super) fn reclaim(tx: &mut Tx<'_>, node: &str, now: Timestamp) -> Result<u64> {
    let mut n = 0;
    loop {
        let lost = lose(tx, Some(node), now)? + delivery::lose(tx, Some(node), now, LEASES)?;
        if lost == 0 {
            return Ok(n);
        }
        // Cast: a usize fits u64.
        n += lost as u64;
    }
}

/// Takes job leases back: all of a node's, or those that ended; how many.
pub(super) fn lose(tx: &mut Tx<'_>, node: Option<&str>, now: Timestamp) -> Result<usize> {
    let lost = tx.conn.all(
        "SELECT id, snapshot, lane, due, n, root, derived, lost FROM job INDEXED BY job_leased
         WHERE state = 2 AND iif(?1 IS NULL, lease_until <= ?2, node = ?1) ORDER BY snapshot LIMIT ?3",
        (node, now.ms(), len(LEASES)),
        |r| {
            Ok(Leased {
                id: r.get(0)?,
                run: r.get(1)?,
                lane: r.get(2)?,
                due: Timestamp::from_ms(r.get(3)?),
                n: uint(r.get(4)?),
                root: uint(r.get(5)?),
                derived: r.get(6)?,
                lost: r.get(7)?,
            })
        },
    )?;
    for same_run in lost.chunk_by(|a, b| a.run == b.run) {
        let Some(first) = same_run.first() else { continue };
        let mut run = Run::of_key(tx.conn, first.run)?;
        let mut lanes = Lanes::default();
        for job in same_run {
            lose_one(tx, &mut run, &mut lanes, job, now)?;
        }
        lanes.refresh(tx.conn)?;
        run.conclude(tx, now)?;
    }
    Ok(lost.len())
}

fn lose_one(tx: &mut Tx<'_>, run: &mut Run, lanes: &mut Lanes, job: &Leased, now: Timestamp) -> Result<()> {
    if run.state.is_stopping() {
        return stop::abort_leased(tx, run, job, FailureCode::AbortedPage, now);
    }
    if run.records_left() == Some(0) {
        // Others met the limit meanwhile. Nobody would ever claim it again.
        return stop::settle_leased(tx, run, job);
    }
    let lost = job.lost.saturating_add(1);
    if job.n == 1 && lost >= limit::LOST_LEASES_SETTLE {
        stop::abort_leased(tx, run, job, FailureCode::Internal, now)?;
        if run.limit_root.is_some() {
            lanes.expose(tx.conn, run.k, job.root)?;
        }
        // Its lane may have been full.
        lanes.touch(job.lane);
        return Ok(());
    }
    lane::released(tx, job.lane)?;
    run.counts.leased -= job.n;
    run.counts.waiting += job.n;
    if job.n > 1 && lost >= limit::LOST_LEASES_SPLIT {
        return split(tx, run, lanes, job);
    }
    tx.conn.exec("UPDATE job SET state = 1, lost = ?2 WHERE id = ?1", (job.id, lost))?;
    lanes.touch(job.lane);
    Ok(())
}

/// Two jobs instead of one, at its place in the lane. Each begins one loss before its own split, so that the culprit
/// is alone soon, while its innocent neighbours get the remaining attempts of a single input.
fn split(tx: &mut Tx<'_>, run: &mut Run, lanes: &mut Lanes, job: &Leased) -> Result<()> {
    let mut inputs = lane::slice_of(tx.conn, tx.codec, job.id)?;
    let second = inputs.split_off(inputs.len() / 2);
    // The caller's rows stay where they are, for `inputs`.
    tx.conn.exec("UPDATE job SET state = 4 WHERE id = ?1", [job.id])?;
    if job.derived {
        tx.conn.exec("DELETE FROM slice WHERE job = ?1", [job.id])?;
    }
    let per_root = run.limit_root.is_some();
    for half in [inputs, second] {
        let blob = tx.codec.encode(&half)?;
        let state = if per_root { state::PARKED } else { state::WAITING };
        let lost = limit::LOST_LEASES_SPLIT - 1;
        let half =
            NewJob { state, due: job.due, n: half.len(), root: job.root, derived: true, lost, blob: &blob };
        lanes.put(tx.conn, run.k, job.lane, &half)?;
    }
    if per_root {
        lanes.expose(tx.conn, run.k, job.root)?;
    }
    Ok(())
}
