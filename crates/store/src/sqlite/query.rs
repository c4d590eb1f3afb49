//! Questions: read-only, each at one moment.

use super::lane::slice_of;
use super::quality;
use super::run::{Run, asked, key_of, read_state};
use super::sql::{Sql, damaged, int, len, uint};
use crate::disk::Codec;
use crate::{Aborted, Content, Gauges, Registered, Result, SnapshotFilter, StoreError};
use model::{DeliveryState, FailureCode, Input, Segment, Snapshot, SnapshotId, SnapshotState, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeMap;

/// A batch of `inputs` is closed after this many inputs or packed bytes.
const INPUTS: usize = 1_000;
const INPUT_BYTES: usize = 1 << 20;
/// Segments given by one call at most.
const SEGMENTS: usize = 10_000;

pub(super) fn snapshot(conn: &Connection, id: &SnapshotId) -> Result<Snapshot> {
    snapshot_of_key(conn, key_of(conn, id)?)
}

pub(super) fn snapshot_of_key(conn: &Connection, k: i64) -> Result<Snapshot> {
    let run = Run::of_key(conn, k)?;
    let created_at = conn
        .one("SELECT created_at FROM snapshot WHERE k = ?1", [k], |r| r.get(0))?
        .ok_or(StoreError::NotFound("snapshot"))?;
    Ok(Snapshot {
        id: run.id,
        state: run.state,
        trigger: asked(conn, k)?,
        message: run.message,
        counts: run.counts,
        error_codes: run.error_codes,
        extra_columns: conn.all(
            "SELECT name FROM extra_column WHERE snapshot = ?1 ORDER BY n",
            [k],
            |r| r.get(0),
        )?,
        plain_bytes: run.plain_bytes,
        quality: quality::verdict(conn, k)?,
        created_at: Timestamp::from_ms(created_at),
        finished_at: run.finished_at,
    })
}

pub(super) fn snapshots(conn: &Connection, filter: &SnapshotFilter) -> Result<(Vec<Snapshot>, u64)> {
    let mut terms = vec!["1 = 1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut one_of = |column: &str, words: Vec<String>| {
        terms.push(format!("{column} IN ({})", vec!["?"; words.len()].join(", ")));
        values.extend(words.into_iter().map(Value::Text));
    };
    if let Some(datasets) = &filter.datasets {
        one_of("dataset", datasets.clone());
    }
    if let Some(states) = &filter.states {
        one_of("state", states.iter().map(|s| s.as_str().to_owned()).collect());
    }
    if let Some(origin) = &filter.origin {
        one_of("origin", vec![origin.clone()]);
    }
    for (term, at) in [("created_at >= ?", filter.from), ("created_at < ?", filter.to)] {
        if let Some(at) = at {
            terms.push(term.to_owned());
            values.push(Value::Integer(at.ms()));
        }
    }
    let matching = terms.join(" AND ");
    let count = conn.one(
        &format!("SELECT count(*) FROM snapshot WHERE {matching}"),
        params_from_iter(values.iter()),
        |r| r.get(0),
    )?;
    values.extend([Value::Integer(int(filter.limit)), Value::Integer(int(filter.skip))]);
    let keys: Vec<i64> = conn.all(
        &format!("SELECT k FROM snapshot WHERE {matching} ORDER BY created_at DESC, k DESC LIMIT ? OFFSET ?"),
        params_from_iter(values.iter()),
        |r| r.get(0),
    )?;
    let page = keys.into_iter().map(|k| snapshot_of_key(conn, k)).collect::<Result<_>>()?;
    Ok((page, count.map_or(0, uint)))
}

pub(super) fn running(conn: &Connection, datasets: &[String]) -> Result<u64> {
    let mut n = 0;
    for dataset in datasets.iter().collect::<std::collections::BTreeSet<_>>() {
        let count: Option<i64> = conn.one(
            "SELECT count(*) FROM snapshot INDEXED BY snapshot_live WHERE dataset = ?1 AND finished_at IS NULL",
            [dataset],
            |r| r.get(0),
        )?;
        n += count.map_or(0, uint);
    }
    Ok(n)
}

pub(super) fn segments(
    conn: &Connection,
    id: &SnapshotId,
    from: u64,
    limit: usize,
) -> Result<Vec<Registered>> {
    let k = key_of(conn, id)?;
    conn.all(
        "SELECT seq, key, records, errors, record_bytes, error_bytes, plain_bytes, first_record, first_error,
             withheld, withheld_bytes
         FROM segment WHERE snapshot = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
        (k, int(from), len(limit.min(SEGMENTS))),
        |r| {
            let count = |at| r.get::<_, i64>(at).map(uint);
            let content = match r.get::<_, Option<String>>(1)? {
                None => Content::Aborted { errors: count(3)? },
                Some(key) => Content::Segment(Segment {
                    key,
                    records: count(2)?,
                    errors: count(3)?,
                    record_bytes: count(4)?,
                    error_bytes: count(5)?,
                    plain_bytes: count(6)?,
                    withheld: count(9)?,
                    withheld_bytes: count(10)?,
                }),
            };
            Ok(Registered { seq: count(0)?, content, first_record: count(7)?, first_error: count(8)? })
        },
    )
}

pub(super) fn aborted(conn: &Connection, id: &SnapshotId, seq: u64) -> Result<Aborted> {
    let k = key_of(conn, id)?;
    let (job, code, at) = conn
        .one(
            "SELECT job, code, at FROM segment WHERE snapshot = ?1 AND seq = ?2 AND key IS NULL
             AND EXISTS (SELECT 1 FROM snapshot WHERE k = ?1 AND state <> 'expired')",
            (k, int(seq)),
            |r| Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?, r.get::<_, i64>(2)?)),
        )?
        .ok_or(StoreError::NotFound("aborted segment"))?;
    Ok(Aborted {
        inputs: slice_of(conn, &mut Codec::new()?, job)?,
        at: Timestamp::from_ms(at),
        code: FailureCode::parse(&code).ok_or_else(|| damaged(format!("`{code}` is no error code")))?,
    })
}

pub(super) fn inputs(conn: &Connection, id: &SnapshotId, cursor: u64) -> Result<(Vec<Input>, Option<u64>)> {
    let k = key_of(conn, id)?;
    let state: Option<String> = conn.one("SELECT state FROM snapshot WHERE k = ?1", [k], |r| r.get(0))?;
    if state.as_deref() == Some(SnapshotState::Expired.as_str()) {
        return Ok((Vec::new(), None));
    }
    let mut statement = conn.prepare_cached(
        "SELECT job.id, slice.blob FROM job INDEXED BY job_of JOIN slice ON slice.job = job.id
         WHERE job.snapshot = ?1 AND job.derived = 0 AND job.id >= ?2 ORDER BY job.id",
    )?;
    let mut rows = statement.query((k, int(cursor)))?;
    let (mut codec, mut inputs, mut bytes) = (Codec::new()?, Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if inputs.len() >= INPUTS || bytes >= INPUT_BYTES {
            return Ok((inputs, Some(uint(row.get(0)?))));
        }
        let blob: Vec<u8> = row.get(1)?;
        bytes += blob.len();
        inputs.extend(codec.decode(&blob)?);
    }
    Ok((inputs, None))
}

pub(super) fn gauges(conn: &Connection) -> Result<Gauges> {
    let mut gauges = Gauges::default();
    for (word, n) in words(conn, "SELECT state, count(*) FROM snapshot GROUP BY state")? {
        gauges.snapshots.insert(read_state(&word)?.as_str(), n);
    }
    for (word, n) in words(conn, "SELECT state, count(*) FROM delivery GROUP BY state")? {
        let state =
            DeliveryState::parse(&word).ok_or_else(|| damaged(format!("`{word}` is no delivery state")))?;
        gauges.deliveries.insert(state.as_str(), n);
    }
    gauges.grades = quality::grades(conn)?;
    let count = |sql: &str| Ok::<_, StoreError>(conn.one(sql, [], |r| r.get(0))?.map_or(0, uint));
    gauges.jobs_waiting = count("SELECT count(*) FROM job INDEXED BY job_waiting WHERE state = 1")?
        + count("SELECT count(*) FROM job INDEXED BY job_parked WHERE state = 0")?;
    gauges.jobs_leased = count("SELECT count(*) FROM job INDEXED BY job_leased WHERE state = 2")?;
    Ok(gauges)
}

fn words(conn: &Connection, sql: &str) -> Result<BTreeMap<String, u64>> {
    Ok(conn.all(sql, [], |r| Ok((r.get(0)?, uint(r.get(1)?))))?.into_iter().collect())
}
