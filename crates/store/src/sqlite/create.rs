//! A run comes to be: begin, add, commit, or discard.
//!
//! Invariant: no worker sees a job before `commit`; what `commit` promised is in the same transaction.

use super::lane::{self, Lanes, NewJob, state};
use super::run::{Run, key_of, read_id};
use super::sql::{Sql, damaged, int, len, taken};
use super::writer::Tx;
use super::{delivery, retain};
use crate::rules::Roots;
use crate::told::Packed;
use crate::{Change, Commit, Committed, Idempotency, NewSnapshot, Remembered, Result, StoreError};
use model::{SnapshotEvent, SnapshotId, SnapshotState, Timestamp, Trigger, limit};
use rusqlite::Connection;

pub(super) fn begin(tx: &mut Tx<'_>, new: &NewSnapshot) -> Result<()> {
    taken(
        tx.conn.exec(
            "INSERT INTO snapshot (id, state, dataset, origin, express, shows_errors, created_at)
             VALUES (?1, ?2, '', '', 0, 0, ?3)",
            (new.id.as_str(), SnapshotState::Starting.as_str(), new.now.ms()),
        ),
        "the snapshot id is taken",
    )?;
    let k = tx.conn.last_insert_rowid();
    write_trigger(tx.conn, k, &new.trigger)?;
    tx.tell(Change::Snapshot(new.id.clone()));
    Ok(())
}

fn write_trigger(conn: &Connection, k: i64, trigger: &Trigger) -> Result<()> {
    let text = serde_json::to_string(trigger).map_err(damaged)?;
    conn.exec("INSERT OR REPLACE INTO asked VALUES (?1, ?2)", (k, text))?;
    conn.exec(
        "UPDATE snapshot SET dataset = ?2, origin = ?3, express = ?4, shows_errors = ?5, limit_total = ?6,
             limit_root = ?7, deadline = ?8
         WHERE k = ?1",
        rusqlite::params![
            k,
            trigger.dataset_id.0,
            trigger.origin.kind,
            trigger.express,
            trigger.include_errors,
            trigger.limit_multiple_results.map(int),
            trigger.limit_per_input.map(int),
            trigger.deadline.map(Timestamp::ms),
        ],
    )?;
    Ok(())
}

pub(super) fn add(tx: &mut Tx<'_>, id: &SnapshotId, slices: &[Packed], now: Timestamp) -> Result<()> {
    let mut run = Run::of_id(tx.conn, id)?;
    if run.state != SnapshotState::Starting {
        return Err(StoreError::Conflict("the snapshot is not starting any more"));
    }
    let mut roots = tx
        .conn
        .one("SELECT top_root, root_order FROM snapshot WHERE k = ?1", [run.k], |r| {
            Ok(Roots { top: r.get(0)?, order: r.get(1)? })
        })?
        .unwrap_or(Roots { top: -1, order: Roots::MIXED });
    let mut lanes = Lanes::default();
    for slice in slices {
        roots.take(slice.roots, run.limit_root.is_some())?;
        let lane = lanes.of(tx.conn, run.k, &slice.host)?;
        let job = NewJob {
            state: state::WAITING,
            due: now,
            n: slice.n,
            root: slice.roots.0,
            derived: false,
            lost: 0,
            blob: &slice.blob,
        };
        lanes.put(tx.conn, run.k, lane, &job)?;
        // Cast: a usize fits u64.
        let n = slice.n as u64;
        run.counts.inputs += n;
        run.counts.waiting += n;
        run.counts.given += n;
    }
    lanes.refresh(tx.conn)?;
    // While starting, `created_at` is the moment of the last sign of life: a long upload is not abandoned.
    tx.conn.exec(
        "UPDATE snapshot SET top_root = ?2, root_order = ?3, created_at = max(created_at, ?4) WHERE k = ?1",
        (run.k, roots.top, roots.order, now.ms()),
    )?;
    run.save(tx)
}

pub(super) fn commit(tx: &mut Tx<'_>, commit: &Commit) -> Result<Committed> {
    if let Some(key) = &commit.idempotency
        && let Some(remembered) = remembered(tx.conn, key, commit.now)?
    {
        discard(tx, &commit.id)?;
        return Ok(Committed::Repeated(remembered));
    }
    let k = key_of(tx.conn, &commit.id)?;
    write_trigger(tx.conn, k, &commit.trigger)?;
    let mut run = Run::of_key(tx.conn, k)?;
    run.advance(SnapshotEvent::Accepted, "the snapshot is not starting any more")?;
    if run.counts.inputs == 0 {
        return Err(StoreError::Invalid("a run without inputs".into()));
    }
    if run.limit_root.is_some() {
        park_repeated_roots(tx.conn, k)?;
    }
    // Level with the others: at the virtual time of the run served last. Those waiting for their turn stand later.
    tx.conn.exec(
        "UPDATE snapshot SET created_at = ?2, turn = (SELECT v FROM turn WHERE only = 0) WHERE k = ?1",
        (k, commit.now.ms()),
    )?;
    for promised in &commit.deliveries {
        if promised.snapshot != commit.id {
            return Err(StoreError::Invalid("a delivery of another snapshot".into()));
        }
        delivery::insert(tx, k, promised, model::DeliveryState::Held, commit.now)?;
    }
    if let Some(key) = &commit.idempotency {
        tx.conn.exec(
            "INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)",
            (&key.token, &key.key, &key.digest[..], commit.id.as_str(), commit.now.ms()),
        )?;
    }
    run.save(tx)?;
    tx.tell(Change::Work);
    Ok(Committed::Accepted)
}

/// Leaves the first job of each root waiting and parks the others. Roots are numbers of rows and come in ascending
/// order, each once, so there is hardly ever anything to do; but the caller may order them as it likes.
fn park_repeated_roots(conn: &Connection, k: i64) -> Result<()> {
    let order: Option<i64> = conn.one("SELECT root_order FROM snapshot WHERE k = ?1", [k], |r| r.get(0))?;
    match order {
        Some(Roots::ASCENDING) => return Ok(()),
        Some(Roots::UNORDERED) => {}
        _ => {
            return Err(StoreError::Invalid(
                "slices of several roots in a run with a limit per input".into(),
            ));
        }
    }
    conn.exec(
        "UPDATE job SET state = 0 WHERE id IN (
             SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY root ORDER BY id) AS nth FROM job
                             WHERE snapshot = ?1 AND state = 1)
             WHERE nth > 1)",
        [k],
    )?;
    let lanes: Vec<i64> = conn.all("SELECT k FROM lane WHERE snapshot = ?1", [k], |r| r.get(0))?;
    lanes.into_iter().try_for_each(|lane| lane::refresh(conn, lane))
}

pub(super) fn discard(tx: &mut Tx<'_>, id: &SnapshotId) -> Result<()> {
    let run = Run::of_id(tx.conn, id)?;
    if run.state != SnapshotState::Starting {
        return Err(StoreError::Conflict("the snapshot is not starting any more"));
    }
    tx.conn.exec("DELETE FROM snapshot WHERE k = ?1", [run.k])?;
    tx.conn.exec("DELETE FROM asked WHERE snapshot = ?1", [run.k])?;
    retain::trash_everything(tx.conn, run.k)?;
    tx.tell(Change::Snapshot(id.clone()));
    Ok(())
}

pub(super) fn remembered(conn: &Connection, key: &Idempotency, now: Timestamp) -> Result<Option<Remembered>> {
    let found = conn.one(
        "SELECT digest, snapshot FROM idempotency WHERE token = ?1 AND key = ?2 AND at > ?3",
        (&key.token, &key.key, now.plus_ms(-limit::IDEMPOTENCY_MS).ms()),
        |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, String>(1)?)),
    )?;
    found
        .map(|(digest, snapshot)| {
            if digest[..] == key.digest[..] {
                read_id(&snapshot).map(Remembered::Same)
            } else {
                Ok(Remembered::Other)
            }
        })
        .transpose()
}

/// Discards abandoned runs without a sign of life since `before`, at most `limit`; whether there were more.
pub(super) fn discard_abandoned(tx: &mut Tx<'_>, before: Timestamp, limit: usize) -> Result<bool> {
    let ids: Vec<String> = tx.conn.all(
        "SELECT id FROM snapshot INDEXED BY snapshot_starting WHERE state = 'starting' AND created_at <= ?1
         ORDER BY created_at LIMIT ?2",
        (before.ms(), len(limit)),
        |r| r.get(0),
    )?;
    for id in &ids {
        discard(tx, &read_id(id)?)?;
    }
    Ok(ids.len() == limit)
}
