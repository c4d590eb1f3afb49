//! A worker's outcome becomes fact, in one transaction that only the lease holder can make.
//!
//! Invariants: nothing is written unless the limits hold to the row; a repeated finish changes nothing; what a job led
//! to is enqueued in the transaction that registers its rows.

use super::archive;
use super::lane::{self, Lanes, Leased, NewJob, state};
use super::quality;
use super::run::Run;
use super::sql::{count, get, int, len_u64, with_codec};
use super::stop;
use super::tx::Tx;
use crate::rules;
use crate::told::{Finish, Known};
use crate::{CARRIED_EPOCH, Change, Finished, Lease, Result, StoreError};
use model::{FailureCode, Input, JobId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

/// Columns beyond the schema kept for one run, and bytes of one name: a table wider than that is of no use, and pages
/// can invent names without end.
const COLUMNS: i64 = 2_000;
const COLUMN_BYTES: usize = 1_000;

const HELD: &str =
    "SELECT lane, state, due, n, root, derived, lost, next FROM job WHERE id = $1 AND epoch = $2";
const SEGMENT: &str =
    "INSERT INTO segment (snapshot, seq, key, records, errors, record_bytes, error_bytes, plain_bytes,
         first_record, first_error, withheld, withheld_bytes)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const ROOTS: &str = "INSERT INTO root SELECT $1, * FROM unnest($2::bigint[], $3::bigint[])
     ON CONFLICT (snapshot, root) DO UPDATE SET records = root.records + excluded.records";
const NEW_COLUMNS: &str = "SELECT u.name FROM unnest($2::text[]) WITH ORDINALITY AS u(name, nth)
     WHERE NOT EXISTS (SELECT 1 FROM extra_column c WHERE c.snapshot = $1 AND c.name = u.name) ORDER BY u.nth";
const ADD_COLUMNS: &str = "INSERT INTO extra_column
     SELECT $1, u.name, have.n + u.nth - 1 FROM unnest($2::text[]) WITH ORDINALITY AS u(name, nth),
         (SELECT count(*) AS n FROM extra_column WHERE snapshot = $1) have
     WHERE have.n + u.nth <= $3";
const DONE: &str = "UPDATE job SET state = 3, next = $2 WHERE id = $1";
const CARRY: &str = "UPDATE job SET epoch = $2, lease_until = old.lease_until, node = old.node
     FROM (SELECT lease_until, node FROM job WHERE id = $3) old WHERE id = $1";
/// Which are new, by their places.
const FIRST_SEEN: &str = "WITH asked AS MATERIALIZED (
         SELECT hash, min(nth) AS nth FROM unnest($2::bytea[]) WITH ORDINALITY AS u(hash, nth) GROUP BY hash),
     new AS (INSERT INTO seen SELECT $1, hash FROM asked ORDER BY hash ON CONFLICT DO NOTHING RETURNING hash)
     SELECT asked.nth FROM new JOIN asked ON asked.hash = new.hash";

pub(super) async fn finish(tx: &mut Tx, told: &Finish) -> Result<Finished> {
    let epoch = int(told.lease.epoch);
    let locked = Run::lock_of_job(tx, told.lease.job.id.0, HELD, epoch).await?;
    // Runs that are gone have no leases any more.
    let Some((mut run, Some(row))) = locked else { return Err(StoreError::LeaseLost) };
    let job = match held(&run, &row, &told.lease)? {
        Standing::Held(job) => job,
        Standing::Finished(carried) => return Ok(done(carried)),
    };
    if let Some(trim) = over_limits(tx, &run, told).await? {
        return Ok(trim);
    }
    let mut lanes = Lanes::default();
    let carried = carry_on(tx, &run, &mut lanes, &job, told).await?;
    let next = carried.map(|id| id.0);
    // These do not need each other, so they go out together.
    let ((), _, (), freed) = futures_util::try_join!(
        write_rows(tx, &mut run, told),
        async { tx.exec(DONE, &[&job.id, &next]).await },
        async {
            if job.derived {
                tx.exec("DELETE FROM slice WHERE job = $1", &[&job.id]).await?;
            }
            Ok(())
        },
        async { if carried.is_none() { lane::let_go(tx, job.lane, 1).await } else { Ok(false) } },
    )?;
    if carried.is_none() {
        lanes.leaves(job.lane);
    }
    if freed {
        tx.tell(Change::Work);
    }
    run.counts.leased -= job.n - len_u64(&told.carried);
    run.counts.settled += told.settled;

    let root_met = match run.limit_root {
        Some(most) => lane::root_records(tx, run.k, job.root).await? >= most,
        None => false,
    };
    let total_met = run.records_left() == Some(0);
    if run.state.is_stopping() {
        // The worker had not heard of it. What it would try again ends like what was waiting; what it found was
        // never accepted.
        abort_again(tx, &mut run, &job, told).await?;
    } else if total_met {
        run.counts.settled += len_u64(&told.again);
        // What waits is settled; a lane that is released must not be found ready.
        lanes.refresh(tx, &mut run).await?;
        stop::settle_waiting(tx, &mut run).await?;
    } else if root_met {
        run.counts.settled += len_u64(&told.again);
        stop::settle_root(tx, &mut run, job.root).await?;
    } else {
        enqueue(tx, &mut run, &mut lanes, &job, told).await?;
        if run.limit_root.is_some() && carried.is_none() {
            lanes.expose(tx, run.k, job.root).await?;
        }
    }
    lanes.refresh(tx, &mut run).await?;
    run.conclude(tx, told.now).await?;
    Ok(done(carried))
}

fn done(carried: Option<JobId>) -> Finished {
    carried.map_or(Finished::Done, Finished::Carried)
}

/// Makes a leased job of the inputs that the holder goes on with. It takes the place of the finished one: in its
/// lane, and as the only one of its root that is out.
async fn carry_on(
    tx: &Tx,
    run: &Run,
    lanes: &mut Lanes,
    job: &Leased,
    told: &Finish,
) -> Result<Option<JobId>> {
    if told.carried.is_empty() {
        return Ok(None);
    }
    let rest = NewJob {
        lane: job.lane,
        state: state::LEASED,
        due: job.due,
        n: told.carried.len(),
        root: job.root,
        derived: true,
        lost: job.lost,
        blob: with_codec(|codec| codec.encode(&told.carried))?,
    };
    let id = lanes.put(tx, run.k, &[rest]).await?.first().copied();
    if let Some(id) = id {
        tx.exec(CARRY, &[&id, &int(CARRIED_EPOCH), &job.id]).await?;
    }
    Ok(id.map(JobId))
}

/// What a lease is worth.
enum Standing {
    Held(Leased),
    /// This very lease has finished its job before, and went on with that one.
    Finished(Option<JobId>),
}

fn held(run: &Run, row: &Row, lease: &Lease) -> Result<Standing> {
    if run.id != lease.job.snapshot {
        return Err(StoreError::LeaseLost);
    }
    let job = Leased {
        id: lease.job.id.0,
        lane: get(row, 0)?,
        due: Timestamp::from_ms(get(row, 2)?),
        n: count(row, 3)?,
        root: count(row, 4)?,
        derived: get(row, 5)?,
        lost: u32::try_from(get::<i64>(row, 6)?).unwrap_or(0),
    };
    match get::<i64>(row, 1)? {
        state::LEASED if job.n == len_u64(&lease.job.inputs) => Ok(Standing::Held(job)),
        state::LEASED => Err(StoreError::Invalid("the lease holds other inputs than the job".into())),
        state::DONE => Ok(Standing::Finished(get::<Option<i64>>(row, 7)?.map(JobId))),
        _ => Err(StoreError::LeaseLost),
    }
}

/// The answer for an outcome with more records than the limits leave.
async fn over_limits(tx: &Tx, run: &Run, told: &Finish) -> Result<Option<Finished>> {
    let total = run.records_left();
    let mut over = total.is_some_and(|left| told.records.values().sum::<u64>() > left);
    let mut per_root = BTreeMap::new();
    if let Some(most) = run.limit_root {
        let roots: BTreeSet<u64> = told.lease.job.inputs.iter().map(|input| input.root).collect();
        for root in roots {
            let left = most.saturating_sub(lane::root_records(tx, run.k, root).await?);
            over |= told.records.get(&root).is_some_and(|n| *n > left);
            per_root.insert(root, left);
        }
    }
    Ok(over.then_some(Finished::Trim { total, per_root }))
}

/// Registers the segment and the numbers of its rows.
async fn write_rows(tx: &Tx, run: &mut Run, told: &Finish) -> Result<()> {
    let (k, seq) = (run.k, run.next_seq);
    let before = (run.counts.records, run.counts.errors);
    let limited = run.limit_root.is_some();
    futures_util::try_join!(
        write_segment(tx, k, seq, before, told),
        async {
            match &told.archive {
                Some(part) => archive::register(tx, k, seq, part).await,
                None => Ok(()),
            }
        },
        async { if limited { write_roots(tx, k, told).await } else { Ok(()) } },
        async {
            match &told.profile {
                Some(profile) => quality::add(tx, k, profile).await,
                None => Ok(()),
            }
        },
        add_columns(tx, k, &told.columns),
    )?;
    if let Some(s) = &told.segment {
        run.plain_bytes += s.plain_bytes;
        run.counts.records += s.records;
        run.counts.unchanged += s.withheld;
    }
    if told.segment.is_some() || told.archive.is_some() {
        run.next_seq += 1;
    }
    for (code, n) in &told.errors {
        run.count_errors(*code, *n);
    }
    Ok(())
}

async fn write_segment(tx: &Tx, k: i64, seq: u64, before: (u64, u64), told: &Finish) -> Result<()> {
    let Some(s) = &told.segment else { return Ok(()) };
    let (seq, first_record, first_error) = (int(seq), int(before.0), int(before.1));
    let (records, errors, plain_bytes) = (int(s.records), int(s.errors), int(s.plain_bytes));
    let (record_bytes, error_bytes) = (int(s.record_bytes), int(s.error_bytes));
    let (withheld, withheld_bytes) = (int(s.withheld), int(s.withheld_bytes));
    tx.exec(
        SEGMENT,
        &[
            &k,
            &seq,
            &s.key,
            &records,
            &errors,
            &record_bytes,
            &error_bytes,
            &plain_bytes,
            &first_record,
            &first_error,
            &withheld,
            &withheld_bytes,
        ],
    )
    .await?;
    Ok(())
}

async fn write_roots(tx: &Tx, k: i64, told: &Finish) -> Result<()> {
    if told.records.is_empty() {
        return Ok(());
    }
    let roots: Vec<i64> = told.records.keys().map(|root| int(*root)).collect();
    let records: Vec<i64> = told.records.values().map(|n| int(*n)).collect();
    tx.exec(ROOTS, &[&k, &roots, &records]).await.map(drop)
}

async fn add_columns(tx: &Tx, run: i64, columns: &[String]) -> Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for name in columns.iter().filter(|name| name.len() <= COLUMN_BYTES && !name.contains('\0')) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let new = tx.all(NEW_COLUMNS, &[&run, &names]).await?;
    if new.is_empty() {
        return Ok(());
    }
    let new = new.iter().map(|row| get(row, 0)).collect::<Result<Vec<&str>>>()?;
    tx.exec(ADD_COLUMNS, &[&run, &new, &COLUMNS]).await?;
    Ok(())
}

/// What would be tried again in a run that is being stopped.
async fn abort_again(tx: &Tx, run: &mut Run, job: &Leased, told: &Finish) -> Result<()> {
    let inputs: Vec<Input> = told.again.iter().map(|(_, input)| input.clone()).collect();
    if inputs.is_empty() {
        return Ok(());
    }
    let rest = NewJob {
        lane: job.lane,
        state: state::SETTLED,
        due: job.due,
        n: inputs.len(),
        root: job.root,
        derived: true,
        lost: 0,
        blob: with_codec(|codec| codec.encode(&inputs))?,
    };
    let n = len_u64(&inputs);
    run.counts.settled += n;
    for id in Lanes::default().put(tx, run.k, &[rest]).await? {
        stop::register_rows_of(tx, run, id, n, FailureCode::AbortedPage, told.now).await?;
    }
    Ok(())
}

/// Puts in what the job led to and what it hands back.
async fn enqueue(tx: &Tx, run: &mut Run, lanes: &mut Lanes, job: &Leased, told: &Finish) -> Result<()> {
    let mut new = BTreeSet::new();
    if !told.led.is_empty() {
        if !job.derived {
            // A listing that leads back to its own first page ends there.
            first_seen(tx, run.k, &told.own).await?;
        }
        let known: Vec<Known> = told.led.iter().map(|(_, known)| *known).collect();
        new = first_seen(tx, run.k, &known).await?;
    }
    let new =
        told.led.iter().enumerate().filter(|(at, _)| new.contains(at)).map(|(_, (input, _))| input.clone());
    let jobs = rules::enqueued(&mut run.counts, told, job.due, new);
    lanes.put_derived(tx, run.k, jobs, run.limit_root.is_some()).await
}

/// Remembers inputs; the places of those that are new in this run.
async fn first_seen(tx: &Tx, run: i64, known: &[Known]) -> Result<BTreeSet<usize>> {
    let hashes: Vec<&[u8]> = known.iter().map(|known| &known[..]).collect();
    let rows = tx.all(FIRST_SEEN, &[&run, &hashes]).await?;
    let place = |row| Ok(usize::try_from(get::<i64>(row, 0)? - 1).unwrap_or(usize::MAX));
    rows.iter().map(place).collect()
}
