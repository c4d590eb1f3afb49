//! A worker's outcome becomes fact, in one transaction that only the lease holder can make.
//!
//! Invariants: nothing is written unless the limits hold to the row; a repeated finish changes nothing; what a job led
//! to is enqueued in the transaction that registers its rows.

use super::archive;
use super::lane::{self, Lanes, Leased, NewJob, state};
use super::quality;
use super::run::Run;
use super::sql::{Sql, int, len_u64, uint};
use super::stop;
use super::writer::Tx;
use crate::rules;
use crate::told::{Finish, Known};
use crate::{CARRIED_EPOCH, Finished, Lease, Result, StoreError};
use model::{FailureCode, Input, JobId, Timestamp};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// Columns beyond the schema kept for one run, and bytes of one name: a table wider than that is of no use, and pages
/// can invent names without end.
const COLUMNS: i64 = 2_000;
const COLUMN_BYTES: usize = 1_000;

pub(super) fn finish(tx: &mut Tx<'_>, told: Finish) -> Result<Finished> {
    let job = match held(tx.conn, &told.lease)? {
        Standing::Held(job) => job,
        Standing::Finished(carried) => return Ok(done(carried)),
    };
    // The lease names a leased job, and only runs that have not ended have those.
    let mut run = Run::of_key(tx.conn, job.run)?;
    if let Some(trim) = over_limits(tx.conn, &run, &told)? {
        return Ok(trim);
    }
    write_rows(tx, &mut run, &told)?;

    let mut lanes = Lanes::default();
    let carried = carry_on(tx, &run, &mut lanes, &job, &told)?;
    tx.conn.exec("UPDATE job SET state = 3, next = ?2 WHERE id = ?1", (job.id, carried.map(|id| id.0)))?;
    if job.derived {
        tx.conn.exec("DELETE FROM slice WHERE job = ?1", [job.id])?;
    }
    run.counts.leased -= job.n - len_u64(&told.carried);
    run.counts.settled += told.settled;
    if carried.is_none() {
        lane::released(tx, job.lane)?;
    }

    let root_met = match run.limit_root {
        Some(most) => lane::root_records(tx.conn, run.k, job.root)? >= most,
        None => false,
    };
    let total_met = run.records_left() == Some(0);
    if run.state.is_stopping() {
        // The worker had not heard of it. What it would try again ends like what was waiting; what it found was
        // never accepted.
        abort_again(tx, &mut run, &job, &told)?;
    } else if total_met {
        run.counts.settled += len_u64(&told.again);
        stop::settle_waiting(tx, &mut run)?;
    } else if root_met {
        run.counts.settled += len_u64(&told.again);
        stop::settle_root(tx, &mut run, job.root)?;
    } else {
        enqueue(tx, &mut run, &mut lanes, &job, &told)?;
        if run.limit_root.is_some() && carried.is_none() {
            lanes.expose(tx.conn, run.k, job.root)?;
        }
    }
    lanes.refresh(tx.conn)?;
    run.conclude(tx, told.now)?;
    Ok(done(carried))
}

fn done(carried: Option<JobId>) -> Finished {
    carried.map_or(Finished::Done, Finished::Carried)
}

/// Makes a leased job of the inputs that the holder goes on with. It takes the place of the finished one: in its
/// lane, and as the only one of its root that is out.
fn carry_on(
    tx: &mut Tx<'_>,
    run: &Run,
    lanes: &mut Lanes,
    job: &Leased,
    told: &Finish,
) -> Result<Option<JobId>> {
    if told.carried.is_empty() {
        return Ok(None);
    }
    let blob = tx.codec.encode(&told.carried)?;
    let rest = NewJob {
        state: state::LEASED,
        due: job.due,
        n: told.carried.len(),
        root: job.root,
        derived: true,
        lost: job.lost,
        blob: &blob,
    };
    let id = lanes.put(tx.conn, run.k, job.lane, &rest)?;
    tx.conn.exec(
        "UPDATE job SET epoch = ?2, (lease_until, node) = (SELECT lease_until, node FROM job WHERE id = ?3)
         WHERE id = ?1",
        (id, int(CARRIED_EPOCH), job.id),
    )?;
    Ok(Some(JobId(id)))
}

/// What a lease is worth.
enum Standing {
    Held(Leased),
    /// This very lease has finished its job before, and went on with that one.
    Finished(Option<JobId>),
}

fn held(conn: &Connection, lease: &Lease) -> Result<Standing> {
    let found = conn.one(
        "SELECT job.snapshot, lane, job.state, due, n, root, derived, lost, snapshot.id, next
         FROM job JOIN snapshot ON snapshot.k = job.snapshot
         WHERE job.id = ?1 AND epoch = ?2",
        (lease.job.id.0, int(lease.epoch)),
        |r| {
            let job = Leased {
                id: lease.job.id.0,
                run: r.get(0)?,
                lane: r.get(1)?,
                due: Timestamp::from_ms(r.get(3)?),
                n: uint(r.get(4)?),
                root: uint(r.get(5)?),
                derived: r.get(6)?,
                lost: r.get(7)?,
            };
            Ok((job, r.get::<_, i64>(2)?, r.get::<_, String>(8)?, r.get::<_, Option<i64>>(9)?))
        },
    )?;
    let Some((job, at, snapshot, next)) = found else { return Err(StoreError::LeaseLost) };
    if snapshot != lease.job.snapshot.as_str() {
        return Err(StoreError::LeaseLost);
    }
    match at {
        state::LEASED if job.n == len_u64(&lease.job.inputs) => Ok(Standing::Held(job)),
        state::LEASED => Err(StoreError::Invalid("the lease holds other inputs than the job".into())),
        state::DONE => Ok(Standing::Finished(next.map(JobId))),
        _ => Err(StoreError::LeaseLost),
    }
}

/// The answer for an outcome with more records than the limits leave.
fn over_limits(conn: &Connection, run: &Run, told: &Finish) -> Result<Option<Finished>> {
    let total = run.records_left();
    let mut over = total.is_some_and(|left| told.records.values().sum::<u64>() > left);
    let mut per_root = BTreeMap::new();
    if let Some(most) = run.limit_root {
        let roots: BTreeSet<u64> = told.lease.job.inputs.iter().map(|input| input.root).collect();
        for root in roots {
            let left = most.saturating_sub(lane::root_records(conn, run.k, root)?);
            over |= told.records.get(&root).is_some_and(|n| *n > left);
            per_root.insert(root, left);
        }
    }
    Ok(over.then_some(Finished::Trim { total, per_root }))
}

/// Registers the segment and the numbers of its rows.
fn write_rows(tx: &Tx<'_>, run: &mut Run, told: &Finish) -> Result<()> {
    if let Some(s) = &told.segment {
        tx.conn.exec(
            "INSERT INTO segment VALUES (?1, ?2, ?3, NULL, NULL, NULL, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            rusqlite::params![
                run.k,
                int(run.next_seq),
                s.key,
                int(s.records),
                int(s.errors),
                int(s.record_bytes),
                int(s.error_bytes),
                int(s.plain_bytes),
                int(run.counts.records),
                int(run.counts.errors),
                int(s.withheld),
                int(s.withheld_bytes),
            ],
        )?;
        run.plain_bytes += s.plain_bytes;
        run.counts.records += s.records;
        run.counts.unchanged += s.withheld;
    }
    if let Some(part) = &told.archive {
        archive::register(tx.conn, run, run.next_seq, part)?;
    }
    if told.segment.is_some() || told.archive.is_some() {
        run.next_seq += 1;
    }
    for (code, n) in &told.errors {
        run.count_errors(*code, *n);
    }
    if run.limit_root.is_some() {
        for (root, n) in &told.records {
            tx.conn.exec(
                "INSERT INTO root VALUES (?1, ?2, ?3)
                 ON CONFLICT (snapshot, root) DO UPDATE SET records = records + excluded.records",
                (run.k, int(*root), int(*n)),
            )?;
        }
    }
    if let Some(profile) = &told.profile {
        quality::add(tx.conn, run.k, profile)?;
    }
    add_columns(tx.conn, run.k, &told.columns)
}

fn add_columns(conn: &Connection, run: i64, columns: &[String]) -> Result<()> {
    let known = "SELECT 1 FROM extra_column WHERE snapshot = ?1 AND name = ?2";
    let mut count: Option<i64> = None;
    for name in columns.iter().filter(|name| name.len() <= COLUMN_BYTES) {
        if conn.one(known, (run, name), |_| Ok(()))?.is_some() {
            continue;
        }
        let n = match count {
            Some(n) => n,
            None => conn
                .one("SELECT count(*) FROM extra_column WHERE snapshot = ?1", [run], |r| r.get(0))?
                .unwrap_or(0),
        };
        if n >= COLUMNS {
            return Ok(());
        }
        conn.exec("INSERT INTO extra_column VALUES (?1, ?2, ?3)", (run, name, n))?;
        count = Some(n + 1);
    }
    Ok(())
}

/// What would be tried again in a run that is being stopped.
fn abort_again(tx: &mut Tx<'_>, run: &mut Run, job: &Leased, told: &Finish) -> Result<()> {
    let inputs: Vec<Input> = told.again.iter().map(|(_, input)| input.clone()).collect();
    if inputs.is_empty() {
        return Ok(());
    }
    let blob = tx.codec.encode(&inputs)?;
    let rest = NewJob {
        state: state::SETTLED,
        due: job.due,
        n: inputs.len(),
        root: job.root,
        derived: true,
        lost: 0,
        blob: &blob,
    };
    let id = Lanes::default().put(tx.conn, run.k, job.lane, &rest)?;
    let n = len_u64(&inputs);
    run.counts.settled += n;
    stop::register_rows_of(tx, run, id, n, FailureCode::AbortedPage, told.now)
}

/// Puts in what the job led to and what it hands back.
fn enqueue(tx: &mut Tx<'_>, run: &mut Run, lanes: &mut Lanes, job: &Leased, told: &Finish) -> Result<()> {
    if !told.led.is_empty() && !job.derived {
        // A listing that leads back to its own first page ends there.
        for known in &told.own {
            first_seen(tx.conn, run.k, known)?;
        }
    }
    let mut new = Vec::new();
    for (input, known) in &told.led {
        if first_seen(tx.conn, run.k, known)? {
            new.push(input.clone());
        }
    }
    let per_root = run.limit_root.is_some();
    for inputs in rules::enqueued(&mut run.counts, told, job.due, new.into_iter()) {
        lanes.put_derived(tx, run.k, inputs, per_root)?;
    }
    Ok(())
}

/// Remembers an input; whether it is new in this run.
fn first_seen(conn: &Connection, run: i64, known: &Known) -> Result<bool> {
    Ok(conn.exec("INSERT OR IGNORE INTO seen VALUES (?1, ?2)", (run, &known[..]))? == 1)
}
