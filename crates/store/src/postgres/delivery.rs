//! Deliveries: promised, woken, leased, and what became of an attempt.
//!
//! Invariants: a delivery is woken in the transaction that gave it something to do, and goes back to sleep only under
//! the lock of its run, so no wake-up is lost; once it has ended it stays so, but for a failed one that is taken up
//! again; the epoch grows with each claim, each loss of a lease and each taking up.

use super::query;
use super::run::{Run, read_id as read_run_id};
use super::sql::{count, damaged, get, int, len, moment, taken, uint};
use super::tick::Lost;
use super::tx::{Params, Tx};
use crate::rules;
use crate::{Change, Claim, DeliveryLease, Result, StoreError};
use model::{
    Cargo, DeliveredFile, Delivery, DeliveryId, DeliveryOutcome, DeliveryState, SnapshotState, Timestamp,
};
use tokio_postgres::Row;

/// Deliveries handed out by one call at most.
const CLAIM_DELIVERIES: usize = 256;
/// Files listed of one delivery at most, the newest: a stream can have any number.
const FILES: i64 = 10_000;

/// Puts a delivery in, in that state, due now.
pub(super) async fn insert(
    tx: &mut Tx,
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
    let inserted = tx
        .exec(
            "INSERT INTO delivery (id, snapshot, kind, cargo, batch, state, due, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                &delivery.id.as_str(),
                &run,
                &kind,
                &cargo,
                &batch.map(int),
                &state.as_str(),
                &now.ms(),
                &delivery.created_at.ms(),
            ],
        )
        .await;
    taken(inserted, "the delivery id is taken")?;
    tell(tx, delivery.id.as_str())
}

fn tell(tx: &mut Tx, id: &str) -> Result<()> {
    tx.tell(Change::Delivery(read_id(id)?));
    tx.tell(Change::Work);
    Ok(())
}

pub(super) fn read_id(text: &str) -> Result<DeliveryId> {
    DeliveryId::parse(text).ok_or_else(|| damaged(format!("`{text}` is no delivery id")))
}

/// Runs an update that gives back the ids it changed, and tells of each.
async fn update(tx: &mut Tx, sql: &str, params: Params<'_>) -> Result<()> {
    let changed = tx.all(sql, params).await?;
    tell_all(tx, &changed)
}

/// Tells of the deliveries that an update gave back.
pub(super) fn tell_all(tx: &mut Tx, changed: &[Row]) -> Result<()> {
    changed.iter().try_for_each(|row| tell(tx, get(row, 0)?))
}

/// Streams that have a whole part to send become due. Gives them back, for [`tell_all`].
pub(super) async fn wake_streams(tx: &Tx, run: &Run, now: Timestamp) -> Result<Vec<Row>> {
    tx.all(
        "UPDATE delivery SET state = 'waiting', due = $2
         WHERE snapshot = $1 AND state = 'held' AND batch IS NOT NULL AND (parts_done + 1) * batch <= $3
         RETURNING id",
        &[&run.k, &now.ms(), &int(run.visible_rows())],
    )
    .await
}

/// Rows are not delivered any more; what is being sent right now ends with its attempt.
pub(super) async fn cancel_rows(tx: &mut Tx, run: i64) -> Result<()> {
    update(
        tx,
        "UPDATE delivery SET state = 'canceled'
         WHERE snapshot = $1 AND kind = 'rows' AND state IN ('held', 'waiting') RETURNING id",
        &[&run],
    )
    .await
}

/// What was held for the end of the run.
pub(super) async fn run_ended(tx: &mut Tx, run: &Run, force_deliver: bool, now: Timestamp) -> Result<()> {
    match run.state {
        // Its rows wait for an operator; that it ended is told.
        SnapshotState::Quarantined => {}
        SnapshotState::Ready => released(tx, run, force_deliver, now).await?,
        _ => cancel_rows(tx, run.k).await?,
    }
    wake(tx, run.k, "notice", now).await
}

/// The rows of a run may go.
pub(super) async fn released(tx: &mut Tx, run: &Run, force_deliver: bool, now: Timestamp) -> Result<()> {
    if force_deliver || run.visible_rows() > 0 {
        wake(tx, run.k, "rows", now).await
    } else {
        cancel_rows(tx, run.k).await
    }
}

async fn wake(tx: &mut Tx, run: i64, kind: &str, now: Timestamp) -> Result<()> {
    update(
        tx,
        "UPDATE delivery SET state = 'waiting', due = $3
         WHERE snapshot = $1 AND kind = $2 AND state = 'held' RETURNING id",
        &[&run, &kind, &now.ms()],
    )
    .await
}

pub(super) async fn promise(tx: &mut Tx, delivery: &Delivery) -> Result<()> {
    let run = Run::lock_id(tx, &delivery.snapshot).await?;
    if !run.state.is_terminal() {
        return Err(StoreError::Conflict("the snapshot still runs"));
    }
    if run.state == SnapshotState::Expired {
        return Err(StoreError::Conflict("the snapshot has expired"));
    }
    insert(tx, run.k, delivery, DeliveryState::Waiting, delivery.created_at).await
}

/// Takes a failed delivery up again, from the part that failed on.
pub(super) async fn redeliver(tx: &mut Tx, id: &DeliveryId, now: Timestamp) -> Result<()> {
    let delivery = of_id(tx, id).await?;
    // The run first, as everywhere.
    if Run::lock_id(tx, &delivery.snapshot).await?.state == SnapshotState::Expired {
        return Err(StoreError::Conflict("the snapshot has expired"));
    }
    // Another epoch: an answer to the attempt that failed comes too late.
    let woken = tx
        .exec(
            "UPDATE delivery SET state = 'waiting', due = $2, failures = 0, failing_since = NULL, epoch = epoch + 1
             WHERE id = $1 AND state = 'failed'",
            &[&id.as_str(), &now.ms()],
        )
        .await?;
    if woken == 0 {
        return Err(StoreError::Conflict("the delivery has not failed"));
    }
    tell(tx, id.as_str())
}

pub(super) async fn claim(tx: &mut Tx, claim: &Claim) -> Result<(Vec<DeliveryLease>, Option<Timestamp>)> {
    let due = tx
        .all(
            "WITH due AS MATERIALIZED (
                 SELECT k, due AS at FROM delivery WHERE state = 'waiting' AND due <= $1 ORDER BY due, k LIMIT $2
                 FOR UPDATE SKIP LOCKED),
             leased AS (
                 UPDATE delivery SET state = 'leased', epoch = epoch + 1, lease_until = $3, node = $4
                 FROM due WHERE delivery.k = due.k RETURNING delivery.k, delivery.epoch, delivery.snapshot, due.at)
             SELECT k, epoch, snapshot FROM leased ORDER BY at, k",
            &[&claim.now.ms(), &len(claim.jobs.min(CLAIM_DELIVERIES)), &claim.lease_until.ms(), &claim.node],
        )
        .await?;
    let mut leases = Vec::with_capacity(due.len());
    for row in &due {
        let delivery = of_key(tx, get(row, 0)?).await?;
        tx.tell(Change::Delivery(delivery.id.clone()));
        let snapshot = query::snapshot_of_key(tx, get(row, 2)?).await?;
        leases.push(DeliveryLease { delivery, epoch: count(row, 1)?, snapshot });
    }
    let next = tx
        .one("SELECT due FROM delivery WHERE state = 'waiting' ORDER BY due, k LIMIT 1", &[])
        .await?
        .map(|row| get(&row, 0))
        .transpose()?;
    Ok((leases, next.map(Timestamp::from_ms).filter(|due| *due > claim.now)))
}

pub(super) async fn renew(tx: &Tx, id: &DeliveryId, epoch: u64, until: Timestamp) -> Result<bool> {
    let renewed = tx
        .exec(
            "UPDATE delivery SET lease_until = $3 WHERE id = $1 AND epoch = $2 AND state = 'leased'",
            &[&id.as_str(), &int(epoch), &until.ms()],
        )
        .await?;
    Ok(renewed == 1)
}

/// A delivery under way, as far as an outcome needs it.
struct UnderWay {
    k: i64,
    batch: Option<u64>,
    parts_done: u64,
    state: String,
    rows: bool,
}

const UNDER_WAY: &str =
    "SELECT k, batch, parts_done, state, kind = 'rows' FROM delivery WHERE k = $1 AND epoch = $2 FOR UPDATE";

fn under_way(row: &Row) -> Result<UnderWay> {
    Ok(UnderWay {
        k: get(row, 0)?,
        batch: get::<Option<i64>>(row, 1)?.map(uint),
        parts_done: count(row, 2)?,
        state: get(row, 3)?,
        rows: get(row, 4)?,
    })
}

pub(super) async fn finish(
    tx: &mut Tx,
    id: &DeliveryId,
    epoch: u64,
    outcome: &DeliveryOutcome,
    now: Timestamp,
) -> Result<()> {
    let found = tx.one("SELECT k, snapshot FROM delivery WHERE id = $1", &[&id.as_str()]).await?;
    let row = found.ok_or(StoreError::LeaseLost)?;
    let (k, run): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    // The run first: what is decided by its state or rows must hold at the commit.
    let run = Run::lock(tx, run).await?;
    let found = tx.one(UNDER_WAY, &[&k, &int(epoch)]).await?;
    let at = under_way(&found.ok_or(StoreError::LeaseLost)?)?;
    if at.state != DeliveryState::Leased.as_str() {
        // A loss of the lease would have moved the epoch: this lease itself has ended the attempt before. Only a
        // part cannot be accepted once more.
        return match outcome {
            DeliveryOutcome::PartDone(_) => Err(StoreError::LeaseLost),
            _ => Ok(()),
        };
    }
    match outcome {
        DeliveryOutcome::PartDone(file) => part_done(tx, &at, file).await?,
        DeliveryOutcome::AllDone => end(tx, &run, &at, DeliveryState::Done, None, now).await?,
        DeliveryOutcome::Never { error } => {
            end(tx, &run, &at, DeliveryState::Failed, Some(error), now).await?;
        }
        DeliveryOutcome::Idle => idle(tx, &run, &at, now).await?,
        DeliveryOutcome::Untouched => put_back(tx, &run, &at, now).await?,
        DeliveryOutcome::Later { at: due, error } => {
            failed(tx, &at, error, now).await?;
            put_back(tx, &run, &at, *due).await?;
        }
    }
    tell(tx, id.as_str())
}

async fn failed(tx: &Tx, at: &UnderWay, error: &str, now: Timestamp) -> Result<()> {
    // A text of the database holds no null characters; what failed may have sent us some.
    let error: String = error.chars().filter(|c| *c != '\0').take(model::limit::MESSAGE_CHARS).collect();
    tx.exec(
        "UPDATE delivery SET failures = failures + 1, failing_since = coalesce(failing_since, $2), last_error = $3
         WHERE k = $1",
        &[&at.k, &now.ms(), &error],
    )
    .await?;
    Ok(())
}

async fn part_done(tx: &Tx, at: &UnderWay, file: &DeliveredFile) -> Result<()> {
    tx.exec(
        "INSERT INTO delivered_file VALUES ($1, $2, $3, $4, $5)",
        &[&at.k, &int(at.parts_done), &file.filename, &file.at.ms(), &int(file.rows)],
    )
    .await?;
    tx.exec(
        "UPDATE delivery SET parts_done = parts_done + 1, failures = 0, failing_since = NULL, last_error = NULL
         WHERE k = $1",
        &[&at.k],
    )
    .await?;
    Ok(())
}

/// Nothing to send for now: held again, unless there is something meanwhile.
async fn idle(tx: &Tx, run: &Run, at: &UnderWay, now: Timestamp) -> Result<()> {
    let part_there =
        at.batch.is_some_and(|batch| (at.parts_done + 1).saturating_mul(batch) <= run.visible_rows());
    if run.state.is_terminal() || part_there {
        return put_back(tx, run, at, now).await;
    }
    if run.state == SnapshotState::Cancelling {
        return set_state(tx, at.k, DeliveryState::Canceled, now).await;
    }
    set_state(tx, at.k, DeliveryState::Held, now).await
}

/// Due then; but rows of a run that was cancelled or failed are not sent any more.
async fn put_back(tx: &Tx, run: &Run, at: &UnderWay, due: Timestamp) -> Result<()> {
    let stopped = at.rows
        && matches!(
            run.state,
            SnapshotState::Cancelling
                | SnapshotState::Canceled
                | SnapshotState::Failed
                | SnapshotState::Expired
        );
    set_state(tx, at.k, if stopped { DeliveryState::Canceled } else { DeliveryState::Waiting }, due).await
}

async fn set_state(tx: &Tx, k: i64, state: DeliveryState, due: Timestamp) -> Result<()> {
    tx.exec("UPDATE delivery SET state = $2, due = $3 WHERE k = $1", &[&k, &state.as_str(), &due.ms()])
        .await?;
    Ok(())
}

/// Done or failed; whoever asked to be told of that is promised to be.
async fn end(
    tx: &mut Tx,
    run: &Run,
    at: &UnderWay,
    state: DeliveryState,
    error: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    set_state(tx, at.k, state, now).await?;
    if let Some(error) = error {
        failed(tx, at, error, now).await?;
    }
    let ended = of_key(tx, at.k).await?;
    let Some(notice) = rules::notice_of(ended, now)? else { return Ok(()) };
    insert(tx, run.k, &notice, DeliveryState::Waiting, now).await
}

/// Deliveries whose leases are to be taken back: key, epoch and run of each.
pub(super) async fn losing(tx: &Tx, lost: Lost<'_>, limit: usize) -> Result<Vec<(i64, i64, i64)>> {
    let (until, node) = match lost {
        Lost::At(now) => (now.ms(), None),
        Lost::Of(node) => (i64::MAX, Some(node)),
    };
    let rows = tx
        .all(
            "SELECT k, epoch, snapshot FROM delivery WHERE state = 'leased' AND lease_until <= $1
             AND ($2::text IS NULL OR node = $2) ORDER BY lease_until LIMIT $3",
            &[&until, &node, &len(limit)],
        )
        .await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?, get(row, 2)?))).collect()
}

/// Takes one lease back, unless it was renewed or ended meanwhile; whether it was. Counts as a failed attempt, so that
/// a delivery that kills its worker does not do so for ever.
pub(super) async fn lose(
    tx: &mut Tx,
    (k, epoch, run): (i64, i64, i64),
    lost: Lost<'_>,
    now: Timestamp,
) -> Result<bool> {
    let run = Run::lock(tx, run).await?;
    let until = match lost {
        Lost::At(now) => now.ms(),
        Lost::Of(_) => i64::MAX,
    };
    let row = tx
        .one(
            "UPDATE delivery SET epoch = epoch + 1, failures = failures + 1,
                 failing_since = coalesce(failing_since, $3), last_error = 'the worker was lost'
             WHERE k = $1 AND epoch = $2 AND state = 'leased' AND lease_until <= $4
             RETURNING k, batch, parts_done, state, kind = 'rows', id",
            &[&k, &epoch, &now.ms(), &until],
        )
        .await?;
    let Some(row) = row else { return Ok(false) };
    put_back(tx, &run, &under_way(&row)?, now).await?;
    tell(tx, get(&row, 5)?)?;
    Ok(true)
}

/// One delivery.
async fn of_key(tx: &Tx, k: i64) -> Result<Delivery> {
    let sql = "SELECT d.id, s.id, d.cargo, d.state, d.parts_done, d.failures, d.failing_since, d.last_error, d.created_at
               FROM delivery d JOIN snapshot s ON s.k = d.snapshot WHERE d.k = $1";
    let row = tx.one(sql, &[&k]).await?.ok_or(StoreError::NotFound("delivery"))?;
    let rows = tx
        .all(
            "SELECT filename, at, rows FROM delivered_file WHERE delivery = $1 ORDER BY part DESC LIMIT $2",
            &[&k, &FILES],
        )
        .await?;
    let mut files = Vec::with_capacity(rows.len());
    for r in rows.iter().rev() {
        files.push(DeliveredFile {
            filename: get(r, 0)?,
            at: Timestamp::from_ms(get(r, 1)?),
            rows: count(r, 2)?,
        });
    }
    let state: &str = get(&row, 3)?;
    Ok(Delivery {
        id: read_id(get(&row, 0)?)?,
        snapshot: read_run_id(get(&row, 1)?)?,
        cargo: serde_json::from_str(get(&row, 2)?).map_err(damaged)?,
        state: DeliveryState::parse(state)
            .ok_or_else(|| damaged(format!("`{state}` is no delivery state")))?,
        parts_done: count(&row, 4)?,
        failures: u32::try_from(get::<i64>(&row, 5)?).unwrap_or(u32::MAX),
        failing_since: moment(&row, 6)?,
        last_error: get(&row, 7)?,
        files,
        created_at: Timestamp::from_ms(get(&row, 8)?),
    })
}

pub(super) async fn of_id(tx: &Tx, id: &DeliveryId) -> Result<Delivery> {
    let row = tx.one("SELECT k FROM delivery WHERE id = $1", &[&id.as_str()]).await?;
    of_key(tx, get(&row.ok_or(StoreError::NotFound("delivery"))?, 0)?).await
}

/// The deliveries of a run, oldest first.
pub(super) async fn of_run(tx: &Tx, run: i64) -> Result<Vec<Delivery>> {
    let rows = tx.all("SELECT k FROM delivery WHERE snapshot = $1 ORDER BY k", &[&run]).await?;
    let mut deliveries = Vec::with_capacity(rows.len());
    for row in &rows {
        deliveries.push(of_key(tx, get(row, 0)?).await?);
    }
    Ok(deliveries)
}
