//! A run comes to be: begin, add, commit, or discard.
//!
//! Invariant: no worker sees a job before `commit`; what `commit` promised is in the same transaction.

use super::lane::{Lanes, NewJob, state};
use super::run::{Run, key_of, read_id};
use super::sql::{damaged, get, int, len, taken};
use super::tx::Tx;
use super::{delivery, retain};
use crate::rules::Roots;
use crate::told::Packed;
use crate::{Change, Commit, Committed, Idempotency, NewSnapshot, Remembered, Result, StoreError};
use model::{DeliveryState, SnapshotEvent, SnapshotId, SnapshotState, Timestamp, Trigger, limit};

pub(super) async fn begin(tx: &mut Tx, new: &NewSnapshot) -> Result<()> {
    let made = tx
        .one(
            "WITH made AS (
                 INSERT INTO snapshot (id, state, dataset, origin, express, shows_errors, created_at)
                 VALUES ($1, $2, '', '', false, false, $3) RETURNING k),
             runs AS (INSERT INTO run (k) SELECT k FROM made),
             readies AS (INSERT INTO ready (k) SELECT k FROM made)
             SELECT k FROM made",
            &[&new.id.as_str(), &SnapshotState::Starting.as_str(), &new.now.ms()],
        )
        .await;
    let row = taken(made, "the snapshot id is taken")?.ok_or_else(|| damaged("a new run vanished"))?;
    write_trigger(tx, get(&row, 0)?, &new.trigger).await?;
    tx.tell(Change::Snapshot(new.id.clone()));
    Ok(())
}

async fn write_trigger(tx: &Tx, k: i64, trigger: &Trigger) -> Result<()> {
    let text = serde_json::to_string(trigger).map_err(damaged)?;
    tx.exec(
        "INSERT INTO asked VALUES ($1, $2) ON CONFLICT (snapshot) DO UPDATE SET trigger = excluded.trigger",
        &[&k, &text],
    )
    .await?;
    tx.exec(
        "UPDATE snapshot SET dataset = $2, origin = $3, express = $4, shows_errors = $5, deadline = $6 WHERE k = $1",
        &[
            &k,
            &trigger.dataset_id.0,
            &trigger.origin.kind,
            &trigger.express,
            &trigger.include_errors,
            &trigger.deadline.map(Timestamp::ms),
        ],
    )
    .await?;
    let limits = (trigger.limit_multiple_results.map(int), trigger.limit_per_input.map(int));
    tx.exec("UPDATE run SET limit_total = $2, limit_root = $3 WHERE k = $1", &[&k, &limits.0, &limits.1])
        .await?;
    Ok(())
}

pub(super) async fn add(tx: &mut Tx, id: &SnapshotId, slices: &[Packed], now: Timestamp) -> Result<()> {
    let mut run = Run::lock_id(tx, id).await?;
    if run.state != SnapshotState::Starting {
        return Err(StoreError::Conflict("the snapshot is not starting any more"));
    }
    let row = tx.one("SELECT top_root, root_order FROM snapshot WHERE k = $1", &[&run.k]).await?;
    let mut roots = match row {
        Some(row) => Roots { top: get(&row, 0)?, order: get(&row, 1)? },
        None => Roots { top: -1, order: Roots::MIXED },
    };
    let mut lanes = Lanes::default();
    lanes.find(tx, run.k, slices.iter().map(|slice| &*slice.host)).await?;
    let mut jobs = Vec::with_capacity(slices.len());
    for slice in slices {
        roots.take(slice.roots, run.limit_root.is_some())?;
        jobs.push(NewJob {
            lane: lanes.of(&slice.host)?,
            state: state::WAITING,
            due: now,
            n: slice.n,
            root: slice.roots.0,
            derived: false,
            lost: 0,
            blob: slice.blob.clone(),
        });
        // Cast: a usize fits u64.
        let n = slice.n as u64;
        run.counts.inputs += n;
        run.counts.waiting += n;
        run.counts.given += n;
    }
    lanes.put(tx, run.k, &jobs).await?;
    lanes.refresh(tx, &mut run).await?;
    // While starting, `created_at` is the moment of the last sign of life: a long upload is not abandoned.
    tx.exec(
        "UPDATE snapshot SET top_root = $2, root_order = $3, created_at = greatest(created_at, $4) WHERE k = $1",
        &[&run.k, &roots.top, &roots.order, &now.ms()],
    )
    .await?;
    run.save(tx).await
}

pub(super) async fn commit(tx: &mut Tx, commit: &Commit) -> Result<Committed> {
    if let Some(key) = &commit.idempotency {
        // Whoever comes with the same key at the same time waits here, and then finds it.
        tx.exec(
            "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 1953653111))",
            &[&key.token, &key.key],
        )
        .await?;
        if let Some(remembered) = remembered(tx, key, commit.now).await? {
            discard(tx, &commit.id).await?;
            return Ok(Committed::Repeated(remembered));
        }
    }
    let k = key_of(tx, &commit.id).await?;
    tx.one("SELECT k FROM run WHERE k = $1 FOR UPDATE", &[&k]).await?;
    write_trigger(tx, k, &commit.trigger).await?;
    let mut run = Run::lock(tx, k).await?;
    run.advance(SnapshotEvent::Accepted, "the snapshot is not starting any more")?;
    if run.counts.inputs == 0 {
        return Err(StoreError::Invalid("a run without inputs".into()));
    }
    if run.limit_root.is_some() {
        park_repeated_roots(tx, k).await?;
    }
    tx.exec("UPDATE snapshot SET created_at = $2 WHERE k = $1", &[&k, &commit.now.ms()]).await?;
    // Level with the others: at the virtual time of the run served last. Those waiting for their turn stand later.
    tx.exec(
        "UPDATE ready SET express = $2, turn = (SELECT last_value FROM turn) WHERE k = $1",
        &[&k, &commit.trigger.express],
    )
    .await?;
    for promised in &commit.deliveries {
        if promised.snapshot != commit.id {
            return Err(StoreError::Invalid("a delivery of another snapshot".into()));
        }
        delivery::insert(tx, k, promised, DeliveryState::Held, commit.now).await?;
    }
    if let Some(key) = &commit.idempotency {
        tx.exec(
            "INSERT INTO idempotency VALUES ($1, $2, $3, $4, $5) ON CONFLICT (token, key) DO UPDATE
                 SET digest = excluded.digest, snapshot = excluded.snapshot, at = excluded.at",
            &[&key.token, &key.key, &&key.digest[..], &commit.id.as_str(), &commit.now.ms()],
        )
        .await?;
    }
    run.save(tx).await?;
    tx.tell(Change::Work);
    Ok(Committed::Accepted)
}

/// Leaves the first job of each root waiting and parks the others. Roots are numbers of rows and come in ascending
/// order, each once, so there is hardly ever anything to do; but the caller may order them as it likes.
async fn park_repeated_roots(tx: &Tx, k: i64) -> Result<()> {
    let row = tx.one("SELECT root_order FROM snapshot WHERE k = $1", &[&k]).await?;
    match row.map(|row| get::<i64>(&row, 0)).transpose()? {
        Some(Roots::ASCENDING) => return Ok(()),
        Some(Roots::UNORDERED) => {}
        _ => {
            return Err(StoreError::Invalid(
                "slices of several roots in a run with a limit per input".into(),
            ));
        }
    }
    tx.exec(
        "UPDATE job SET state = 0 WHERE id IN (
             SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY root ORDER BY id) AS nth FROM job
                             WHERE snapshot = $1 AND state = 1) j
             WHERE nth > 1)",
        &[&k],
    )
    .await?;
    // Each lane's first job anew; the run's own first is looked for from the front.
    tx.exec(
        "UPDATE lane SET (first_due, first_job, ready_at) = (
             SELECT f.due, f.id, CASE WHEN f.id IS NOT NULL THEN greatest(f.due, lane.served_at) END
             FROM (SELECT 1) one LEFT JOIN LATERAL (
                 SELECT due, id FROM job WHERE job.lane = lane.k AND state = 1 ORDER BY due, id LIMIT 1) f ON true)
         WHERE snapshot = $1",
        &[&k],
    )
    .await?;
    Ok(())
}

pub(super) async fn discard(tx: &mut Tx, id: &SnapshotId) -> Result<()> {
    let run = Run::lock_id(tx, id).await?;
    if run.state != SnapshotState::Starting {
        return Err(StoreError::Conflict("the snapshot is not starting any more"));
    }
    for sql in [
        "DELETE FROM snapshot WHERE k = $1",
        "DELETE FROM asked WHERE snapshot = $1",
        "DELETE FROM ready WHERE k = $1",
        "DELETE FROM run WHERE k = $1",
    ] {
        tx.exec(sql, &[&run.k]).await?;
    }
    retain::trash_everything(tx, run.k).await?;
    tx.tell(Change::Snapshot(id.clone()));
    Ok(())
}

pub(super) async fn remembered(tx: &Tx, key: &Idempotency, now: Timestamp) -> Result<Option<Remembered>> {
    let found = tx
        .one(
            "SELECT digest, snapshot FROM idempotency WHERE token = $1 AND key = $2 AND at > $3",
            &[&key.token, &key.key, &now.plus_ms(-limit::IDEMPOTENCY_MS).ms()],
        )
        .await?;
    let Some(row) = found else { return Ok(None) };
    if get::<&[u8]>(&row, 0)? == &key.digest[..] {
        read_id(get(&row, 1)?).map(|id| Some(Remembered::Same(id)))
    } else {
        Ok(Some(Remembered::Other))
    }
}

/// Abandoned runs without a sign of life since `before`, at most `limit`.
pub(super) async fn abandoned(tx: &Tx, before: Timestamp, limit: usize) -> Result<Vec<SnapshotId>> {
    let rows = tx
        .all(
            "SELECT id FROM snapshot WHERE state = 'starting' AND created_at <= $1 ORDER BY created_at LIMIT $2",
            &[&before.ms(), &len(limit)],
        )
        .await?;
    rows.iter().map(|row| read_id(get(row, 0)?)).collect()
}

/// Discards a run if it is still abandoned.
pub(super) async fn discard_abandoned(tx: &mut Tx, id: &SnapshotId, before: Timestamp) -> Result<()> {
    let k = key_of(tx, id).await?;
    let run = Run::lock(tx, k).await?;
    if run.state == SnapshotState::Starting && run.created_at <= before {
        discard(tx, id).await
    } else {
        Ok(())
    }
}
