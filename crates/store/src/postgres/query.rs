//! Questions: read-only, each at one moment.

use super::lane::slice_of;
use super::quality;
use super::run::{Run, asked, key_of, read_state};
use super::sql::{count, damaged, get, int, len, with_codec};
use super::tx::Tx;
use crate::{Aborted, Content, Gauges, Registered, Result, SnapshotFilter, StoreError};
use model::{DeliveryState, FailureCode, Input, Segment, Snapshot, SnapshotId, SnapshotState, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// A batch of `inputs` is closed after this many inputs or packed bytes.
const INPUTS: usize = 1_000;
const INPUT_BYTES: usize = 1 << 20;
/// Jobs looked at in one step of a batch.
const INPUT_JOBS: usize = 32;
/// Segments given by one call at most.
const SEGMENTS: usize = 10_000;

pub(super) async fn snapshot(tx: &Tx, id: &SnapshotId) -> Result<Snapshot> {
    snapshot_of_key(tx, key_of(tx, id).await?).await
}

pub(super) async fn snapshot_of_key(tx: &Tx, k: i64) -> Result<Snapshot> {
    let run = Run::look(tx, k).await?;
    let columns = tx.all("SELECT name FROM extra_column WHERE snapshot = $1 ORDER BY n", &[&k]).await?;
    Ok(Snapshot {
        id: run.id,
        state: run.state,
        trigger: asked(tx, k).await?,
        message: run.message,
        counts: run.counts,
        error_codes: run.error_codes,
        extra_columns: columns.iter().map(|row| get(row, 0)).collect::<Result<_>>()?,
        plain_bytes: run.plain_bytes,
        quality: quality::verdict(tx, k).await?,
        created_at: run.created_at,
        finished_at: run.finished_at,
    })
}

pub(super) async fn snapshots(tx: &Tx, filter: &SnapshotFilter) -> Result<(Vec<Snapshot>, u64)> {
    let states: Option<Vec<&str>> =
        filter.states.as_ref().map(|states| states.iter().map(|s| s.as_str()).collect());
    let (from, to) = (filter.from.map(Timestamp::ms), filter.to.map(Timestamp::ms));
    let (limit, skip) = (int(filter.limit), int(filter.skip));
    let mut terms = String::from("true");
    let mut values: Vec<&(dyn ToSql + Sync)> = Vec::new();
    let mut term = |text: &str, value| {
        values.push(value);
        terms.push_str(&format!(" AND {text}").replace('?', &format!("${}", values.len())));
    };
    if let Some(datasets) = &filter.datasets {
        term("dataset = ANY (?)", datasets);
    }
    if let Some(states) = &states {
        term("state = ANY (?)", states);
    }
    if let Some(origin) = &filter.origin {
        term("origin = ?", origin);
    }
    if let Some(from) = &from {
        term("created_at >= ?", from);
    }
    if let Some(to) = &to {
        term("created_at < ?", to);
    }
    let n = tx.one(&format!("SELECT count(*) FROM snapshot WHERE {terms}"), &values).await?;
    let at = values.len();
    values.extend([&limit as &(dyn ToSql + Sync), &skip]);
    let sql = format!(
        "SELECT k FROM snapshot WHERE {terms} ORDER BY created_at DESC, k DESC LIMIT ${} OFFSET ${}",
        at + 1,
        at + 2
    );
    let mut page = Vec::new();
    for row in &tx.all(&sql, &values).await? {
        page.push(snapshot_of_key(tx, get(row, 0)?).await?);
    }
    Ok((page, n.map_or(Ok(0), |row| count(&row, 0))?))
}

pub(super) async fn running(tx: &Tx, datasets: &[String]) -> Result<u64> {
    let sql = "SELECT count(*) FROM snapshot WHERE finished_at IS NULL AND dataset = ANY ($1)";
    tx.one(sql, &[&datasets]).await?.map_or(Ok(0), |row| count(&row, 0))
}

pub(super) async fn segments(tx: &Tx, id: &SnapshotId, from: u64, limit: usize) -> Result<Vec<Registered>> {
    let k = key_of(tx, id).await?;
    let rows = tx
        .all(
            "SELECT seq, key, records, errors, record_bytes, error_bytes, plain_bytes, first_record, first_error,
                 withheld, withheld_bytes
             FROM segment WHERE snapshot = $1 AND seq >= $2 ORDER BY seq LIMIT $3",
            &[&k, &int(from), &len(limit.min(SEGMENTS))],
        )
        .await?;
    rows.iter().map(registered).collect()
}

fn registered(r: &Row) -> Result<Registered> {
    let content = match get::<Option<String>>(r, 1)? {
        None => Content::Aborted { errors: count(r, 3)? },
        Some(key) => Content::Segment(Segment {
            key,
            records: count(r, 2)?,
            errors: count(r, 3)?,
            record_bytes: count(r, 4)?,
            error_bytes: count(r, 5)?,
            plain_bytes: count(r, 6)?,
            withheld: count(r, 9)?,
            withheld_bytes: count(r, 10)?,
        }),
    };
    Ok(Registered { seq: count(r, 0)?, content, first_record: count(r, 7)?, first_error: count(r, 8)? })
}

pub(super) async fn aborted(tx: &Tx, id: &SnapshotId, seq: u64) -> Result<Aborted> {
    let k = key_of(tx, id).await?;
    let row = tx
        .one(
            "SELECT job, code, at FROM segment WHERE snapshot = $1 AND seq = $2 AND key IS NULL
             AND EXISTS (SELECT 1 FROM snapshot WHERE k = $1 AND state <> 'expired')",
            &[&k, &int(seq)],
        )
        .await?
        .ok_or(StoreError::NotFound("aborted segment"))?;
    let code: &str = get(&row, 1)?;
    Ok(Aborted {
        inputs: slice_of(tx, get(&row, 0)?).await?,
        at: Timestamp::from_ms(get(&row, 2)?),
        code: FailureCode::parse(code).ok_or_else(|| damaged(format!("`{code}` is no error code")))?,
    })
}

pub(super) async fn inputs(tx: &Tx, id: &SnapshotId, cursor: u64) -> Result<(Vec<Input>, Option<u64>)> {
    let k = key_of(tx, id).await?;
    if Run::look(tx, k).await?.state == SnapshotState::Expired {
        return Ok((Vec::new(), None));
    }
    let (mut inputs, mut bytes, mut from) = (Vec::new(), 0, int(cursor));
    loop {
        let rows = tx
            .all(
                "SELECT job.id, slice.blob FROM job JOIN slice ON slice.job = job.id
                 WHERE job.snapshot = $1 AND NOT job.derived AND job.id >= $2 ORDER BY job.id LIMIT $3",
                &[&k, &from, &len(INPUT_JOBS)],
            )
            .await?;
        for row in &rows {
            from = get(row, 0)?;
            if inputs.len() >= INPUTS || bytes >= INPUT_BYTES {
                return Ok((inputs, Some(super::sql::uint(from))));
            }
            let blob: &[u8] = get(row, 1)?;
            bytes += blob.len();
            inputs.extend(with_codec(|codec| codec.decode(blob))?);
        }
        if rows.len() < INPUT_JOBS {
            return Ok((inputs, None));
        }
        from += 1;
    }
}

pub(super) async fn gauges(tx: &Tx) -> Result<Gauges> {
    let mut gauges = Gauges::default();
    for row in tx.all("SELECT state, count(*) FROM snapshot GROUP BY state", &[]).await? {
        gauges.snapshots.insert(read_state(get(&row, 0)?)?.as_str(), count(&row, 1)?);
    }
    for row in tx.all("SELECT state, count(*) FROM delivery GROUP BY state", &[]).await? {
        let word: &str = get(&row, 0)?;
        let state =
            DeliveryState::parse(word).ok_or_else(|| damaged(format!("`{word}` is no delivery state")))?;
        gauges.deliveries.insert(state.as_str(), count(&row, 1)?);
    }
    gauges.grades = quality::grades(tx).await?;
    let row = tx
        .one(
            "SELECT (SELECT count(*) FROM job WHERE state = 1) + (SELECT count(*) FROM job WHERE state = 0),
                 (SELECT count(*) FROM job WHERE state = 2)",
            &[],
        )
        .await?;
    if let Some(row) = row {
        (gauges.jobs_waiting, gauges.jobs_leased) = (count(&row, 0)?, count(&row, 1)?);
    }
    Ok(gauges)
}
