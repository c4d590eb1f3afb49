//! Handing out jobs: fair between runs, in turns between the lanes of a run, oldest due first within a lane.
//!
//! Invariant: every statement here walks one index to its first entry, so a claim costs the same however many jobs
//! wait (the tests count SQLite's own steps). Where another node works for a host, its lanes are passed over: there are
//! at most as many of these in a run as leased jobs, and at most [`limit::PASSED_RUNS`] runs are passed over because
//! nothing else in them is ready. What lies beyond is left to the nodes that hold those hosts, to whom all is open.
//!
//! Between runs: start-time fair queueing. A run's `turn` is the virtual time at which it is served next; the lowest
//! goes first and moves on by the inputs it was given. The virtual time of the run served last is kept: a new run
//! starts there, and a run that had nothing to do for a while catches up to it, so it cannot save up turns.

use super::run::{asked, read_id};
use super::sql::{Sql, damaged, int, len, uint};
use super::stop;
use super::writer::Tx;
use super::{host_lane, lane, tick};
use crate::{Change, Claim, Claimed, LANE_REST_MS, Lease, Result, StoreError};
use model::{Job, JobId, SnapshotId, Timestamp, Trigger, limit};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Jobs handed out by one call at most, and lanes passed over: bounds the transaction.
const CLAIM_JOBS: usize = 1_024;
const PASSED_OVER: usize = 256;

const NEXT_RUN: &str = "SELECT k, turn FROM snapshot INDEXED BY snapshot_turn
     WHERE ready_at IS NOT NULL AND ready_at <= ?1 ORDER BY turn, ready_at LIMIT 1";
const NEXT_EXPRESS_RUN: &str = "SELECT k, turn FROM snapshot INDEXED BY snapshot_turn_express
     WHERE ready_at IS NOT NULL AND express = 1 AND ready_at <= ?1 ORDER BY turn, ready_at LIMIT 1";
const NEXT_LANE: &str = "SELECT k, host FROM lane INDEXED BY lane_ready
     WHERE snapshot = ?1 AND ready_at IS NOT NULL AND leased < 2 AND ready_at <= ?2
     AND NOT EXISTS (SELECT 1 FROM host_lane h WHERE h.host = lane.host AND h.node <> ?3)
     ORDER BY ready_at LIMIT 1";
/// The first runs by turn that are ready: [`NEXT_RUN`]'s walk, so many steps of it.
macro_rules! first_runs {
    (any) => {
        "(SELECT k, turn FROM snapshot INDEXED BY snapshot_turn
          WHERE ready_at IS NOT NULL AND ready_at <= ?1 ORDER BY turn, ready_at LIMIT ?2) AS run"
    };
    (express) => {
        "(SELECT k, turn FROM snapshot INDEXED BY snapshot_turn_express
          WHERE ready_at IS NOT NULL AND express = 1 AND ready_at <= ?1 ORDER BY turn, ready_at LIMIT ?2) AS run"
    };
}
/// As [`NEXT_RUN`], where the first run has nothing for this node.
macro_rules! next_open_run {
    ($which:ident) => {
        concat!(
            "SELECT k, turn FROM ",
            first_runs!($which),
            " WHERE EXISTS (SELECT 1 FROM lane INDEXED BY lane_ready
                  WHERE snapshot = run.k AND ready_at IS NOT NULL AND leased < 2 AND ready_at <= ?1
                  AND NOT EXISTS (SELECT 1 FROM host_lane h WHERE h.host = lane.host AND h.node <> ?3))
              LIMIT 1"
        )
    };
}
/// When the next lane of the runs passed over becomes ready.
macro_rules! due_of_passed {
    ($which:ident) => {
        concat!(
            "SELECT min((SELECT ready_at FROM lane INDEXED BY lane_ready
                 WHERE snapshot = run.k AND ready_at IS NOT NULL AND leased < 2 AND ready_at > ?1
                 ORDER BY ready_at LIMIT 1))
             FROM ",
            first_runs!($which)
        )
    };
}
const NEXT_OPEN_RUN: &str = next_open_run!(any);
const NEXT_OPEN_EXPRESS_RUN: &str = next_open_run!(express);
const DUE_OF_PASSED: &str = due_of_passed!(any);
const DUE_OF_PASSED_EXPRESS: &str = due_of_passed!(express);
const ENDED: &str = "SELECT 1 FROM job INDEXED BY job_leased WHERE state = 2 AND lease_until <= ?1 LIMIT 1";
const NEXT_JOB: &str = "SELECT id, n, epoch FROM job INDEXED BY job_waiting
     WHERE lane = ?1 AND state = 1 ORDER BY due, id LIMIT 1";
const LEASE_JOB: &str =
    "UPDATE job SET state = 2, epoch = epoch + 1, lease_until = ?2, node = ?3 WHERE id = ?1";
const SERVE_LANE: &str = "UPDATE lane SET leased = leased + 1, served_at = ?2 WHERE k = ?1";
const REST_LANE: &str = "UPDATE lane SET served_at = ?2 WHERE k = ?1";
const SERVE_RUN: &str = "UPDATE snapshot SET waiting = waiting - ?2, leased = leased + ?2,
         turn = max(turn, (SELECT v FROM turn WHERE only = 0)) + ?2
     WHERE k = ?1 RETURNING records, leased, limit_total";
const SET_RUN_READY: &str = "UPDATE snapshot SET ready_at = ?2 WHERE k = ?1";
const MOVE_TIME: &str = "UPDATE turn SET v = max(v, ?1) WHERE only = 0";
const NEXT_DUE: &str = "SELECT ready_at FROM snapshot INDEXED BY snapshot_ready
     WHERE ready_at IS NOT NULL AND express = ?1 AND ready_at > ?2 ORDER BY ready_at LIMIT 1";

/// What the claims of one call share about a run.
struct Asked {
    id: SnapshotId,
    trigger: Arc<Trigger>,
    created_at: Timestamp,
}

/// What a run has for a node.
enum Next {
    Job(Box<Lease>),
    /// Its first lane is one of those that the caller passes over: it rests now.
    Rests,
    /// Other nodes work for all hosts of which it has ready jobs.
    Others,
}

pub(super) fn claim(tx: &mut Tx<'_>, claim: &Claim) -> Result<Claimed> {
    let mut runs: HashMap<i64, Asked> = HashMap::new();
    let mut leases = Vec::new();
    // A lane whose leases have all ended is not held any more: what ended goes back first.
    if tx.conn.one(ENDED, [claim.now.ms()], |_| Ok(()))?.is_some() {
        tick::lose(tx, None, claim.now)?;
    }
    let (mut passing, mut passed_over) = (false, 0);
    while leases.len() < claim.jobs.min(CLAIM_JOBS) {
        if passed_over == PASSED_OVER {
            // There may be more that is due, but not in this transaction.
            return Ok(Claimed { leases, next_due: Some(claim.now) });
        }
        let Some((run, turn)) = next_run(tx, claim, passing)? else { break };
        match claim_from(tx, claim, run, turn, &mut runs) {
            Ok(Next::Job(lease)) => leases.push(*lease),
            Ok(Next::Rests) => passed_over += 1,
            Ok(Next::Others) if !passing => passing = true,
            Ok(Next::Others) => break,
            // The rest of the store is fine: only this run ends, and says why, instead of stopping every worker.
            Err(StoreError::Damaged(why)) => {
                tracing::error!(error = %why, "a job cannot be read; its run ends");
                stop::break_run(tx, run, "Some inputs of this snapshot could not be read back", claim.now)?;
            }
            Err(e) => return Err(e),
        }
    }
    for asked in runs.into_values() {
        tx.tell(Change::Snapshot(asked.id));
    }
    Ok(Claimed { leases, next_due: next_due(tx, claim, passing)? })
}

/// The run whose turn it is, and its turn. `passing`: of those that have something for this node.
fn next_run(tx: &Tx<'_>, claim: &Claim, passing: bool) -> Result<Option<(i64, i64)>> {
    let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?));
    let now = claim.now.ms();
    if passing {
        let sql = if claim.express_only { NEXT_OPEN_EXPRESS_RUN } else { NEXT_OPEN_RUN };
        return tx.conn.one(sql, (now, len(limit::PASSED_RUNS), &claim.node), read);
    }
    tx.conn.one(if claim.express_only { NEXT_EXPRESS_RUN } else { NEXT_RUN }, [now], read)
}

fn next_due(tx: &Tx<'_>, claim: &Claim, passing: bool) -> Result<Option<Timestamp>> {
    let mut first = None;
    if passing {
        let sql = if claim.express_only { DUE_OF_PASSED_EXPRESS } else { DUE_OF_PASSED };
        let asked = (claim.now.ms(), len(limit::PASSED_RUNS));
        first = tx.conn.one(sql, asked, |r| r.get::<_, Option<i64>>(0))?.flatten();
    }
    for express in [true, false] {
        if express || !claim.express_only {
            let due: Option<i64> = tx.conn.one(NEXT_DUE, (express, claim.now.ms()), |r| r.get(0))?;
            first = [first, due].into_iter().flatten().min();
        }
    }
    Ok(first.map(Timestamp::from_ms))
}

/// The next job of that run for this node. The caller has seen that one is ready, but its host may rest or be another
/// node's.
fn claim_from(
    tx: &mut Tx<'_>,
    claim: &Claim,
    run: i64,
    turn: i64,
    runs: &mut HashMap<i64, Asked>,
) -> Result<Next> {
    let missing = || damaged("a run says that it is ready but has no job");
    let now = claim.now.ms();
    let next = tx
        .conn
        .one(NEXT_LANE, (run, now, &claim.node), |r| Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?)))?;
    let Some((lane, host)) = next else { return Ok(Next::Others) };
    if claim.pass_over.contains(&host) {
        tx.conn.exec(REST_LANE, (lane, claim.now.plus_ms(LANE_REST_MS).ms()))?;
        lane::refresh(tx.conn, lane)?;
        tx.conn.exec(SET_RUN_READY, (run, lane::next_ready(tx.conn, run)?))?;
        return Ok(Next::Rests);
    }
    let (job, n, epoch) = tx
        .conn
        .one(NEXT_JOB, [lane], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?, r.get::<_, i64>(2)?)))?
        .ok_or_else(missing)?;
    let inputs = lane::slice_of(tx.conn, tx.codec, job)?;
    let asked = match runs.entry(run) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => {
            let (id, created_at) = tx
                .conn
                .one("SELECT id, created_at FROM snapshot WHERE k = ?1", [run], |r| {
                    Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?))
                })?
                .ok_or_else(missing)?;
            let trigger = Arc::new(asked(tx.conn, run)?);
            place.insert(Asked { id: read_id(&id)?, trigger, created_at: Timestamp::from_ms(created_at) })
        }
    };
    tx.conn.exec(LEASE_JOB, (job, claim.lease_until.ms(), &claim.node))?;
    tx.conn.exec(SERVE_LANE, (lane, now))?;
    host_lane::take(tx.conn, lane, &claim.node, claim.lease_until)?;
    lane::refresh(tx.conn, lane)?;
    let (records, leased, limit_total) = tx
        .conn
        .one(SERVE_RUN, (run, n), |r| {
            Ok((uint(r.get(0)?), uint(r.get(1)?), r.get::<_, Option<i64>>(2)?.map(uint)))
        })?
        .ok_or_else(missing)?;
    tx.conn.exec(MOVE_TIME, [turn])?;
    let open = limit_total.is_none_or(|most| records + leased < most);
    let ready_at = if open { lane::next_ready(tx.conn, run)? } else { None };
    tx.conn.exec(SET_RUN_READY, (run, ready_at))?;
    let mut root_left = BTreeMap::new();
    if let Some(most) = asked.trigger.limit_per_input {
        for root in inputs.iter().map(|input| input.root).collect::<BTreeSet<_>>() {
            root_left.insert(root, most.saturating_sub(lane::root_records(tx.conn, run, root)?));
        }
    }
    Ok(Next::Job(Box::new(Lease {
        job: Job { id: JobId(job), snapshot: asked.id.clone(), inputs },
        epoch: uint(epoch) + 1,
        trigger: Arc::clone(&asked.trigger),
        created_at: asked.created_at,
        records_left: limit_total.map(|most| most.saturating_sub(records)),
        root_left,
    })))
}

/// Moves the end of leases; what became of each.
pub(super) fn renew(tx: &mut Tx<'_>, leases: &[(JobId, u64)], until: Timestamp) -> Result<Vec<crate::Held>> {
    let mut held = Vec::with_capacity(leases.len());
    for (job, epoch) in leases {
        let found: Option<(String, i64)> = tx.conn.one(
            "UPDATE job SET lease_until = ?3 WHERE id = ?1 AND epoch = ?2 AND state = 2
             RETURNING (SELECT state FROM snapshot WHERE k = job.snapshot), lane",
            (job.0, int(*epoch), until.ms()),
            |r| Ok((r.get(0)?, r.get(1)?)),
        )?;
        held.push(match found {
            None => crate::Held::Lost,
            Some((word, lane)) => {
                host_lane::keep(tx.conn, lane, until)?;
                let state = super::run::read_state(&word)?;
                if state.is_stopping() { crate::Held::Stop(state) } else { crate::Held::Yes }
            }
        });
    }
    Ok(held)
}

#[cfg(test)]
#[path = "claim_cost.rs"]
mod claim_cost;
