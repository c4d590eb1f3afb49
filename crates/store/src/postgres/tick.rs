//! What time alone brings about: ended leases, deadlines, abandoned runs, old keys, sweeping.
//!
//! Invariant: one call does a bounded amount; what is left over is due now. Each run is a transaction of its own, so no
//! call holds the locks of many; a second node that ticks at the same time finds that it was done.

use super::lane::{Lanes, Leased, NewJob, slice_of, state};
use super::run::Run;
use super::sql::{count, get, len, moment, with_codec};
use super::stop;
use super::tx::Tx;
use crate::Result;
use model::{FailureCode, Timestamp, limit};

/// Leases taken back, runs stopped, runs discarded in one call at most.
pub(super) const LEASES: usize = 1_000;
pub(super) const RUNS: usize = 16;
/// Idempotency keys forgotten in one call at most.
const KEYS: i64 = 1_000;

/// Forgets old idempotency keys; whether there may be more.
pub(super) async fn forget_keys(tx: &Tx, now: Timestamp) -> Result<bool> {
    let forgotten = tx
        .exec(
            "DELETE FROM idempotency WHERE (token, key) IN (
                 SELECT token, key FROM idempotency WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            &[&now.plus_ms(-limit::IDEMPOTENCY_MS).ms(), &KEYS],
        )
        .await?;
    Ok(forgotten == super::sql::uint(KEYS))
}

/// When the next of all that time brings about is due.
pub(super) async fn next_due(tx: &Tx, starting_ms: i64) -> Result<Option<Timestamp>> {
    let row = tx
        .one(
            "SELECT (SELECT lease_until FROM job WHERE state = 2 ORDER BY lease_until LIMIT 1),
                 (SELECT lease_until FROM delivery WHERE state = 'leased' ORDER BY lease_until LIMIT 1),
                 (SELECT deadline FROM snapshot WHERE state = 'running' AND deadline IS NOT NULL
                  ORDER BY deadline LIMIT 1),
                 (SELECT created_at FROM snapshot WHERE state = 'starting' ORDER BY created_at LIMIT 1),
                 (SELECT at FROM idempotency ORDER BY at LIMIT 1)",
            &[],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let moments = [
        moment(&row, 0)?,
        moment(&row, 1)?,
        moment(&row, 2)?,
        moment(&row, 3)?.map(|at| at.plus_ms(starting_ms)),
        moment(&row, 4)?.map(|at| at.plus_ms(limit::IDEMPOTENCY_MS)),
    ];
    Ok(moments.into_iter().flatten().min())
}

/// Whose leases are taken back.
#[derive(Clone, Copy)]
pub(super) enum Lost<'a> {
    /// Those that ended.
    At(Timestamp),
    /// All of a node.
    Of(&'a str),
}

/// Runs with leases to take back, at most so many, and whether there are more.
pub(super) async fn losing_runs(tx: &Tx, lost: Lost<'_>) -> Result<(Vec<i64>, bool)> {
    let rows = match lost {
        Lost::At(now) => {
            let sql = "SELECT snapshot FROM job WHERE state = 2 AND lease_until <= $1 ORDER BY lease_until LIMIT $2";
            tx.all(sql, &[&now.ms(), &len(LEASES)]).await?
        }
        Lost::Of(node) => {
            let sql = "SELECT snapshot FROM (SELECT snapshot, node FROM job WHERE state = 2 ORDER BY lease_until OFFSET 0) j
                       WHERE node = $1 LIMIT $2";
            tx.all(sql, &[&node, &len(LEASES)]).await?
        }
    };
    let mut runs = rows.iter().map(|row| get(row, 0)).collect::<Result<Vec<i64>>>()?;
    let full = runs.len() == LEASES;
    runs.sort_unstable();
    runs.dedup();
    Ok((runs, full))
}

/// Takes back the leases of one run; how many.
pub(super) async fn lose(tx: &mut Tx, run: i64, lost: Lost<'_>, now: Timestamp) -> Result<u64> {
    let mut run = Run::lock(tx, run).await?;
    let (until, node) = match lost {
        Lost::At(now) => (now.ms(), None),
        Lost::Of(node) => (i64::MAX, Some(node)),
    };
    // In the order of their hosts' locks, as everywhere. A renewal that is under way counts: it is waited for.
    let rows = tx
        .all(
            "WITH leased AS MATERIALIZED (
                 SELECT id, snapshot, node FROM job WHERE state = 2 AND lease_until <= $2 ORDER BY lease_until),
             held AS MATERIALIZED (
                 SELECT j.* FROM job j WHERE j.state = 2 AND j.lease_until <= $2 AND j.id IN (
                     SELECT id FROM leased WHERE snapshot = $1 AND ($3::text IS NULL OR node = $3) LIMIT $4)
                 ORDER BY j.id FOR UPDATE)
             SELECT held.id, held.lane, held.due, held.n, held.root, held.derived, held.lost
             FROM held JOIN lane ON lane.k = held.lane ORDER BY trawl_host_lock(lane.host), held.id",
            &[&run.k, &until, &node, &len(LEASES)],
        )
        .await?;
    let mut lanes = Lanes::default();
    for row in &rows {
        let job = Leased {
            id: get(row, 0)?,
            lane: get(row, 1)?,
            due: Timestamp::from_ms(get(row, 2)?),
            n: count(row, 3)?,
            root: count(row, 4)?,
            derived: get(row, 5)?,
            lost: u32::try_from(get::<i64>(row, 6)?).unwrap_or(0),
        };
        lose_one(tx, &mut run, &mut lanes, &job, now).await?;
    }
    if rows.is_empty() {
        return Ok(0);
    }
    lanes.refresh(tx, &mut run).await?;
    run.conclude(tx, now).await?;
    Ok(super::sql::len_u64(&rows))
}

async fn lose_one(tx: &mut Tx, run: &mut Run, lanes: &mut Lanes, job: &Leased, now: Timestamp) -> Result<()> {
    if run.state.is_stopping() {
        return stop::abort_leased(tx, run, lanes, job, FailureCode::AbortedPage, now).await;
    }
    if run.records_left() == Some(0) {
        // Others met the limit meanwhile. Nobody would ever claim it again.
        return stop::settle_leased(tx, run, lanes, job).await;
    }
    let lost = job.lost.saturating_add(1);
    if job.n == 1 && lost >= limit::LOST_LEASES_SETTLE {
        stop::abort_leased(tx, run, lanes, job, FailureCode::Internal, now).await?;
        if run.limit_root.is_some() {
            lanes.expose(tx, run.k, job.root).await?;
        }
        return Ok(());
    }
    lanes.released(tx, job.lane).await?;
    run.counts.leased -= job.n;
    run.counts.waiting += job.n;
    if job.n > 1 && lost >= limit::LOST_LEASES_SPLIT {
        return split(tx, run, lanes, job).await;
    }
    tx.exec("UPDATE job SET state = 1, lost = $2 WHERE id = $1", &[&job.id, &i64::from(lost)]).await?;
    lanes.waits(job.lane, job.due.ms(), job.id);
    Ok(())
}

/// Two jobs instead of one, at its place in the lane. Each begins one loss before its own split, so that the culprit
/// is alone soon, while its innocent neighbours get the remaining attempts of a single input.
async fn split(tx: &Tx, run: &mut Run, lanes: &mut Lanes, job: &Leased) -> Result<()> {
    let mut inputs = slice_of(tx, job.id).await?;
    let second = inputs.split_off(inputs.len() / 2);
    // The caller's rows stay where they are, for `inputs`.
    tx.exec("UPDATE job SET state = 4 WHERE id = $1", &[&job.id]).await?;
    if job.derived {
        tx.exec("DELETE FROM slice WHERE job = $1", &[&job.id]).await?;
    }
    let per_root = run.limit_root.is_some();
    let mut halves = Vec::with_capacity(2);
    for half in [inputs, second] {
        halves.push(NewJob {
            lane: job.lane,
            state: if per_root { state::PARKED } else { state::WAITING },
            due: job.due,
            n: half.len(),
            root: job.root,
            derived: true,
            lost: limit::LOST_LEASES_SPLIT - 1,
            blob: with_codec(|codec| codec.encode(&half))?,
        });
    }
    lanes.put(tx, run.k, &halves).await?;
    if per_root {
        lanes.expose(tx, run.k, job.root).await?;
    }
    Ok(())
}
