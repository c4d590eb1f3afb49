//! Deliveries: promised, woken, leased, and what became of an attempt.
//!
//! Invariants: a delivery is woken in the transaction that gave it something to do, so no wake-up is lost; once it
//! has ended it stays so, but for a failed one that is taken up again; the epoch grows with each claim, each loss of a
//! lease and each taking up.

use super::query;
use super::run::Run;
use super::sql::{Sql, damaged, int, len, taken, uint};
use super::writer::Tx;
use crate::rules;
use crate::{Change, Claim, DeliveryLease, Result, StoreError};
use model::{
    Cargo, DeliveredFile, Delivery, DeliveryId, DeliveryOutcome, DeliveryState, SnapshotState, Timestamp,
};
use rusqlite::{Connection, Params};

/// Deliveries handed out by one call at most.
const CLAIM_DELIVERIES: usize = 256;
/// Files listed of one delivery at most, the newest: a stream can have any number.
const FILES: i64 = 10_000;

/// Puts a delivery in, in that state, due now.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    run: i64,
    delivery: &Delivery,
    state: DeliveryState,
    now: Timestamp,
) -> Result<()> {
    let (kind, batch) = match &delivery.cargo {
        Cargo::Rows(promise) => ("rows", promise.batch_size.filter(|_| promise.stream)),
        Cargo::Notice(_) => ("notice", None),
        Cargo::DeliveryNotice { .. } => ("delivery_notice", None),
    };
    let cargo = serde_json::to_string(&delivery.cargo).map_err(damaged)?;
    taken(
        tx.conn.exec(
            "INSERT INTO delivery (id, snapshot, kind, cargo, batch, state, due, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            rusqlite::params![
                delivery.id.as_str(),
                run,
                kind,
                cargo,
                batch.map(int),
                state.as_str(),
                now.ms(),
                delivery.created_at.ms(),
            ],
        ),
        "the delivery id is taken",
    )?;
    tell(tx, delivery.id.as_str())
}

fn tell(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    tx.tell(Change::Delivery(read_id(id)?));
    tx.tell(Change::Work);
    Ok(())
}

pub(super) fn read_id(text: &str) -> Result<DeliveryId> {
    DeliveryId::parse(text).ok_or_else(|| damaged(format!("`{text}` is no delivery id")))
}

/// Runs an update that gives back the ids it changed, and tells of each.
fn update(tx: &mut Tx<'_>, sql: &str, params: impl Params) -> Result<()> {
    let ids: Vec<String> = tx.conn.all(sql, params, |r| r.get(0))?;
    ids.iter().try_for_each(|id| tell(tx, id))
}

/// Streams that have a whole part to send become due.
pub(super) fn wake_streams(tx: &mut Tx<'_>, run: &Run, now: Timestamp) -> Result<()> {
    update(
        tx,
        "UPDATE delivery SET state = 'waiting', due = ?2
         WHERE snapshot = ?1 AND state = 'held' AND batch IS NOT NULL AND (parts_done + 1) * batch <= ?3
         RETURNING id",
        (run.k, now.ms(), int(run.visible_rows())),
    )
}

/// Rows are not delivered any more; what is being sent right now ends with its attempt.
pub(super) fn cancel_rows(tx: &mut Tx<'_>, run: i64) -> Result<()> {
    update(
        tx,
        "UPDATE delivery SET state = 'canceled'
         WHERE snapshot = ?1 AND kind = 'rows' AND state IN ('held', 'waiting') RETURNING id",
        [run],
    )
}

/// What was held for the end of the run.
pub(super) fn run_ended(tx: &mut Tx<'_>, run: &Run, force_deliver: bool, now: Timestamp) -> Result<()> {
    match run.state {
        // Its rows wait for an operator; that it ended is told.
        SnapshotState::Quarantined => {}
        SnapshotState::Ready => released(tx, run, force_deliver, now)?,
        _ => cancel_rows(tx, run.k)?,
    }
    wake(tx, run.k, "notice", now)
}

/// The rows of a run may go.
pub(super) fn released(tx: &mut Tx<'_>, run: &Run, force_deliver: bool, now: Timestamp) -> Result<()> {
    if force_deliver || run.visible_rows() > 0 {
        wake(tx, run.k, "rows", now)
    } else {
        cancel_rows(tx, run.k)
    }
}

fn wake(tx: &mut Tx<'_>, run: i64, kind: &str, now: Timestamp) -> Result<()> {
    update(
        tx,
        "UPDATE delivery SET state = 'waiting', due = ?3
         WHERE snapshot = ?1 AND kind = ?2 AND state = 'held' RETURNING id",
        (run, kind, now.ms()),
    )
}

pub(super) fn promise(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<()> {
    let run = Run::of_id(tx.conn, &delivery.snapshot)?;
    if !run.state.is_terminal() {
        return Err(StoreError::Conflict("the snapshot still runs"));
    }
    if run.state == SnapshotState::Expired {
        return Err(StoreError::Conflict("the snapshot has expired"));
    }
    insert(tx, run.k, delivery, DeliveryState::Waiting, delivery.created_at)
}

/// Takes a failed delivery up again, from the part that failed on.
pub(super) fn redeliver(tx: &mut Tx<'_>, id: &DeliveryId, now: Timestamp) -> Result<()> {
    let delivery = of_id(tx.conn, id)?;
    if delivery.state != DeliveryState::Failed {
        return Err(StoreError::Conflict("the delivery has not failed"));
    }
    if Run::of_id(tx.conn, &delivery.snapshot)?.state == SnapshotState::Expired {
        return Err(StoreError::Conflict("the snapshot has expired"));
    }
    // Another epoch: an answer to the attempt that failed comes too late.
    tx.conn.exec(
        "UPDATE delivery SET state = 'waiting', due = ?2, failures = 0, failing_since = NULL, epoch = epoch + 1
         WHERE id = ?1",
        (id.as_str(), now.ms()),
    )?;
    tell(tx, id.as_str())
}

pub(super) fn claim(tx: &mut Tx<'_>, claim: &Claim) -> Result<(Vec<DeliveryLease>, Option<Timestamp>)> {
    let due: Vec<i64> = tx.conn.all(
        "SELECT k FROM delivery INDEXED BY delivery_due WHERE state = 'waiting' AND due <= ?1 ORDER BY due, k LIMIT ?2",
        (claim.now.ms(), len(claim.jobs.min(CLAIM_DELIVERIES))),
        |r| r.get(0),
    )?;
    let mut leases = Vec::with_capacity(due.len());
    for k in due {
        tx.conn.exec(
            "UPDATE delivery SET state = 'leased', epoch = epoch + 1, lease_until = ?2, node = ?3 WHERE k = ?1",
            (k, claim.lease_until.ms(), &claim.node),
        )?;
        let (epoch, run) = tx
            .conn
            .one("SELECT epoch, snapshot FROM delivery WHERE k = ?1", [k], |r| {
                Ok((uint(r.get(0)?), r.get::<_, i64>(1)?))
            })?
            .ok_or_else(|| damaged("a delivery vanished"))?;
        let delivery = of_key(tx.conn, k)?;
        tx.tell(Change::Delivery(delivery.id.clone()));
        leases.push(DeliveryLease { delivery, epoch, snapshot: query::snapshot_of_key(tx.conn, run)? });
    }
    let next: Option<i64> = tx.conn.one(
        "SELECT due FROM delivery INDEXED BY delivery_due WHERE state = 'waiting' ORDER BY due LIMIT 1",
        [],
        |r| r.get(0),
    )?;
    Ok((leases, next.map(Timestamp::from_ms).filter(|due| *due > claim.now)))
}

pub(super) fn renew(tx: &mut Tx<'_>, id: &DeliveryId, epoch: u64, until: Timestamp) -> Result<bool> {
    let renewed = tx.conn.exec(
        "UPDATE delivery SET lease_until = ?3 WHERE id = ?1 AND epoch = ?2 AND state = 'leased'",
        (id.as_str(), int(epoch), until.ms()),
    )?;
    Ok(renewed == 1)
}

/// A delivery under way, as far as an outcome needs it.
struct UnderWay {
    k: i64,
    run: i64,
    batch: Option<u64>,
    parts_done: u64,
    state: String,
}

pub(super) fn finish(
    tx: &mut Tx<'_>,
    id: &DeliveryId,
    epoch: u64,
    outcome: DeliveryOutcome,
    now: Timestamp,
) -> Result<()> {
    let found = tx.conn.one(
        "SELECT k, snapshot, batch, parts_done, state FROM delivery WHERE id = ?1 AND epoch = ?2",
        (id.as_str(), int(epoch)),
        |r| {
            Ok(UnderWay {
                k: r.get(0)?,
                run: r.get(1)?,
                batch: r.get::<_, Option<i64>>(2)?.map(uint),
                parts_done: uint(r.get(3)?),
                state: r.get(4)?,
            })
        },
    )?;
    let at = found.ok_or(StoreError::LeaseLost)?;
    if at.state != DeliveryState::Leased.as_str() {
        // A loss of the lease would have moved the epoch: this lease itself has ended the attempt before. Only a
        // part cannot be accepted once more.
        return match outcome {
            DeliveryOutcome::PartDone(_) => Err(StoreError::LeaseLost),
            _ => Ok(()),
        };
    }
    match outcome {
        DeliveryOutcome::PartDone(file) => part_done(tx.conn, &at, &file)?,
        DeliveryOutcome::AllDone => end(tx, &at, DeliveryState::Done, None, now)?,
        DeliveryOutcome::Never { error } => end(tx, &at, DeliveryState::Failed, Some(error), now)?,
        DeliveryOutcome::Idle => idle(tx, &at, now)?,
        DeliveryOutcome::Untouched => put_back(tx, &at, now)?,
        DeliveryOutcome::Later { at: due, error } => {
            tx.conn.exec(
                "UPDATE delivery SET failures = failures + 1, failing_since = coalesce(failing_since, ?2),
                     last_error = ?3 WHERE k = ?1",
                (at.k, now.ms(), clip(error)),
            )?;
            put_back(tx, &at, due)?;
        }
    }
    tell(tx, id.as_str())
}

fn clip(error: String) -> String {
    error.chars().take(model::limit::MESSAGE_CHARS).collect()
}

fn part_done(conn: &Connection, at: &UnderWay, file: &DeliveredFile) -> Result<()> {
    conn.exec(
        "INSERT INTO delivered_file VALUES (?1, ?2, ?3, ?4, ?5)",
        (at.k, int(at.parts_done), &file.filename, file.at.ms(), int(file.rows)),
    )?;
    conn.exec(
        "UPDATE delivery SET parts_done = parts_done + 1, failures = 0, failing_since = NULL, last_error = NULL
         WHERE k = ?1",
        [at.k],
    )?;
    Ok(())
}

/// Nothing to send for now: held again, unless there is something meanwhile.
fn idle(tx: &mut Tx<'_>, at: &UnderWay, now: Timestamp) -> Result<()> {
    let run = Run::of_key(tx.conn, at.run)?;
    let part_there =
        at.batch.is_some_and(|batch| (at.parts_done + 1).saturating_mul(batch) <= run.visible_rows());
    if run.state.is_terminal() || part_there {
        return put_back(tx, at, now);
    }
    if run.state == SnapshotState::Cancelling {
        return set_state(tx.conn, at.k, DeliveryState::Canceled, now);
    }
    set_state(tx.conn, at.k, DeliveryState::Held, now)
}

/// Due then; but rows of a run that was cancelled or failed are not sent any more.
fn put_back(tx: &mut Tx<'_>, at: &UnderWay, due: Timestamp) -> Result<()> {
    let stopped: bool = tx
        .conn
        .one(
            "SELECT kind = 'rows' AND EXISTS (SELECT 1 FROM snapshot WHERE k = delivery.snapshot
                    AND state IN ('cancelling', 'canceled', 'failed', 'expired')) FROM delivery WHERE k = ?1",
            [at.k],
            |r| r.get(0),
        )?
        .unwrap_or(false);
    set_state(tx.conn, at.k, if stopped { DeliveryState::Canceled } else { DeliveryState::Waiting }, due)
}

fn set_state(conn: &Connection, k: i64, state: DeliveryState, due: Timestamp) -> Result<()> {
    conn.exec("UPDATE delivery SET state = ?2, due = ?3 WHERE k = ?1", (k, state.as_str(), due.ms()))?;
    Ok(())
}

/// Done or failed; whoever asked to be told of that is promised to be.
fn end(
    tx: &mut Tx<'_>,
    at: &UnderWay,
    state: DeliveryState,
    error: Option<String>,
    now: Timestamp,
) -> Result<()> {
    set_state(tx.conn, at.k, state, now)?;
    if let Some(error) = error {
        tx.conn.exec(
            "UPDATE delivery SET failures = failures + 1, failing_since = coalesce(failing_since, ?2),
                 last_error = ?3 WHERE k = ?1",
            (at.k, now.ms(), clip(error)),
        )?;
    }
    let ended = of_key(tx.conn, at.k)?;
    let Some(notice) = rules::notice_of(ended, now)? else { return Ok(()) };
    insert(tx, at.run, &notice, DeliveryState::Waiting, now)
}

/// Takes leases back: all of a node's, or those that ended. Counts as a failed attempt, so that a delivery that kills
/// its worker does not do so for ever.
pub(super) fn lose(tx: &mut Tx<'_>, node: Option<&str>, now: Timestamp, limit: usize) -> Result<usize> {
    let lost = tx.conn.all(
        "SELECT k, snapshot, batch, parts_done, id FROM delivery INDEXED BY delivery_leased
         WHERE state = 'leased' AND iif(?1 IS NULL, lease_until <= ?2, node = ?1) LIMIT ?3",
        (node, now.ms(), len(limit)),
        |r| {
            let at = UnderWay {
                k: r.get(0)?,
                run: r.get(1)?,
                batch: r.get::<_, Option<i64>>(2)?.map(uint),
                parts_done: uint(r.get(3)?),
                state: String::new(),
            };
            Ok((at, r.get::<_, String>(4)?))
        },
    )?;
    for (at, id) in &lost {
        tx.conn.exec(
            "UPDATE delivery SET epoch = epoch + 1, failures = failures + 1,
                 failing_since = coalesce(failing_since, ?2), last_error = 'the worker was lost' WHERE k = ?1",
            (at.k, now.ms()),
        )?;
        put_back(tx, at, now)?;
        tell(tx, id)?;
    }
    Ok(lost.len())
}

/// One delivery.
pub(super) fn of_key(conn: &Connection, k: i64) -> Result<Delivery> {
    let sql = "SELECT d.id, s.id, d.cargo, d.state, d.parts_done, d.failures, d.failing_since, d.last_error, d.created_at
               FROM delivery d JOIN snapshot s ON s.k = d.snapshot WHERE d.k = ?1";
    let (id, snapshot, cargo, state, delivery) = conn
        .one(sql, [k], |r| {
            let delivery = (
                uint(r.get(4)?),
                r.get::<_, u32>(5)?,
                r.get::<_, Option<i64>>(6)?.map(Timestamp::from_ms),
                r.get::<_, Option<String>>(7)?,
                Timestamp::from_ms(r.get(8)?),
            );
            Ok((
                r.get::<_, String>(0)?,
                r.get::<_, String>(1)?,
                r.get::<_, String>(2)?,
                r.get::<_, String>(3)?,
                delivery,
            ))
        })?
        .ok_or(StoreError::NotFound("delivery"))?;
    let (parts_done, failures, failing_since, last_error, created_at) = delivery;
    let mut files = conn.all(
        "SELECT filename, at, rows FROM delivered_file WHERE delivery = ?1 ORDER BY part DESC LIMIT ?2",
        (k, FILES),
        |r| {
            Ok(DeliveredFile {
                filename: r.get(0)?,
                at: Timestamp::from_ms(r.get(1)?),
                rows: uint(r.get(2)?),
            })
        },
    )?;
    files.reverse();
    Ok(Delivery {
        id: read_id(&id)?,
        snapshot: super::run::read_id(&snapshot)?,
        cargo: serde_json::from_str(&cargo).map_err(damaged)?,
        state: DeliveryState::parse(&state)
            .ok_or_else(|| damaged(format!("`{state}` is no delivery state")))?,
        parts_done,
        failures,
        failing_since,
        last_error,
        files,
        created_at,
    })
}

pub(super) fn of_id(conn: &Connection, id: &DeliveryId) -> Result<Delivery> {
    let k = conn.one("SELECT k FROM delivery WHERE id = ?1", [id.as_str()], |r| r.get(0))?;
    of_key(conn, k.ok_or(StoreError::NotFound("delivery"))?)
}

/// The deliveries of a run, oldest first.
pub(super) fn of_run(conn: &Connection, run: i64) -> Result<Vec<Delivery>> {
    let keys: Vec<i64> =
        conn.all("SELECT k FROM delivery WHERE snapshot = ?1 ORDER BY k", [run], |r| r.get(0))?;
    keys.into_iter().map(|k| of_key(conn, k)).collect()
}
