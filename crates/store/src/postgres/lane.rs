//! Jobs and their lanes: putting jobs in, and keeping each lane's first job and `ready_at` true.
//!
//! Invariants: a lane's `ready_at` is the due time of its first waiting job, but not before the lane was last served
//! (so lanes take turns); null without a waiting job. In a run with a limit per input at most one job of a root is
//! waiting or leased; its others are parked behind it. Everything here is under the lock of its run.

use super::run::Run;
use super::sql::{damaged, get, int, len, uint, with_codec};
use super::tx::Tx;
use crate::{Change, Result};
use model::{Input, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) use crate::rules::state;

/// A job to put in.
pub(super) struct NewJob {
    pub(super) lane: i64,
    /// One of [`state`].
    pub(super) state: i64,
    pub(super) due: Timestamp,
    pub(super) n: usize,
    pub(super) root: u64,
    pub(super) derived: bool,
    pub(super) lost: u32,
    pub(super) blob: Vec<u8>,
}

/// What becomes of one lane in an operation.
#[derive(Clone, Copy, Default)]
struct Touched {
    /// The first of the jobs that have come to wait: due time and id.
    first: Option<(i64, i64)>,
    /// Leased jobs that have left.
    back: i64,
}

/// The lanes that one operation touches.
#[derive(Default)]
pub(super) struct Lanes {
    known: HashMap<String, i64>,
    touched: BTreeMap<i64, Touched>,
}

const FIND: &str = "SELECT host, k FROM lane WHERE snapshot = $1 AND host = ANY ($2)";
const MAKE: &str =
    "INSERT INTO lane (snapshot, host) SELECT $1, h FROM unnest($2::text[]) h RETURNING host, k";
const PUT: &str = "WITH new AS MATERIALIZED (
         SELECT nextval('job_id') AS id, u.*
         FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[], $8::bigint[], $9::bytea[])
             AS u(lane, state, due, n, root, derived, lost, blob)),
     jobs AS (
         INSERT INTO job (id, snapshot, lane, state, due, n, root, derived, lost)
         SELECT id, $1, lane, state, due, n, root, derived, lost FROM new),
     slices AS (INSERT INTO slice SELECT id, blob FROM new)
     SELECT id FROM new ORDER BY id";
const REFRESH: &str = "UPDATE lane SET leased = v.leased, first_due = v.due, first_job = v.job,
         ready_at = CASE WHEN v.job IS NOT NULL THEN greatest(v.due, lane.served_at) END
     FROM (SELECT l.k, l.leased - u.back AS leased,
               CASE WHEN l.first_job IS NULL OR (u.due, u.job) < (l.first_due, l.first_job) THEN u.due ELSE l.first_due END AS due,
               CASE WHEN l.first_job IS NULL OR (u.due, u.job) < (l.first_due, l.first_job) THEN u.job ELSE l.first_job END AS job
           FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u(k, due, job, back)
           JOIN lane l ON l.k = u.k) v
     WHERE lane.k = v.k RETURNING lane.k, lane.ready_at, lane.leased";
const EXPOSE: &str = "UPDATE job SET state = 1 WHERE id =
         (SELECT id FROM job WHERE snapshot = $1 AND root = $2 AND state = 0 ORDER BY due, id LIMIT 1)
     RETURNING lane, due, id";

impl Lanes {
    /// The lanes of hosts, made if need be.
    pub(super) async fn find(&mut self, tx: &Tx, run: i64, hosts: impl Iterator<Item = &str>) -> Result<()> {
        let mut missing: BTreeSet<&str> = hosts.filter(|host| !self.known.contains_key(*host)).collect();
        for sql in [FIND, MAKE] {
            if missing.is_empty() {
                break;
            }
            let names: Vec<&str> = missing.iter().copied().collect();
            for row in tx.all(sql, &[&run, &names]).await? {
                let host: String = get(&row, 0)?;
                missing.remove(host.as_str());
                self.known.insert(host, get(&row, 1)?);
            }
        }
        Ok(())
    }

    /// A lane that [`Lanes::find`] was asked for.
    pub(super) fn of(&self, host: &str) -> Result<i64> {
        self.known.get(host).copied().ok_or_else(|| damaged("a lane that was just made is missing"))
    }

    /// A job has come to wait in a lane.
    pub(super) fn waits(&mut self, lane: i64, due: i64, job: i64) {
        let touched = self.touched.entry(lane).or_default();
        touched.first = Some(touched.first.map_or((due, job), |first| first.min((due, job))));
    }

    /// A leased job has left its lane, and its host's.
    pub(super) async fn released(&mut self, tx: &mut Tx, lane: i64) -> Result<()> {
        self.leaves(lane);
        if let_go(tx, lane, 1).await? {
            tx.tell(Change::Work);
        }
        Ok(())
    }

    /// A leased job has left its lane; whoever says so lets its host go as well.
    pub(super) fn leaves(&mut self, lane: i64) {
        self.touched.entry(lane).or_default().back += 1;
    }

    /// Puts jobs in; their ids.
    pub(super) async fn put(&mut self, tx: &Tx, run: i64, jobs: &[NewJob]) -> Result<Vec<i64>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let column = |of: fn(&NewJob) -> i64| jobs.iter().map(of).collect::<Vec<i64>>();
        let (lanes, states, dues) = (column(|j| j.lane), column(|j| j.state), column(|j| j.due.ms()));
        let (ns, roots, losts) =
            (column(|j| len(j.n)), column(|j| int(j.root)), column(|j| i64::from(j.lost)));
        let derived: Vec<bool> = jobs.iter().map(|j| j.derived).collect();
        let blobs: Vec<&[u8]> = jobs.iter().map(|j| &j.blob[..]).collect();
        let rows =
            tx.all(PUT, &[&run, &lanes, &states, &dues, &ns, &roots, &derived, &losts, &blobs]).await?;
        let ids = rows.iter().map(|row| get(row, 0)).collect::<Result<Vec<i64>>>()?;
        for (job, id) in jobs.iter().zip(&ids) {
            if job.state == state::WAITING {
                self.waits(job.lane, job.due.ms(), *id);
            }
        }
        Ok(ids)
    }

    /// Cuts inputs into jobs made from others and puts them in. `per_root`: parked, for [`Lanes::expose`].
    pub(super) async fn put_derived(
        &mut self,
        tx: &Tx,
        run: i64,
        batches: [Vec<(Timestamp, Input)>; 3],
        per_root: bool,
    ) -> Result<()> {
        let slices: Vec<_> = batches.into_iter().flat_map(|inputs| model::slices(inputs, per_root)).collect();
        self.find(tx, run, slices.iter().filter_map(|(_, s)| s.first()).map(|input| &*input.host)).await?;
        let mut jobs = Vec::with_capacity(slices.len());
        for (due, slice) in slices {
            // Slices are never empty.
            let Some(first) = slice.first() else { continue };
            jobs.push(NewJob {
                lane: self.of(&first.host)?,
                state: if per_root { state::PARKED } else { state::WAITING },
                due,
                n: slice.len(),
                root: first.root,
                derived: true,
                lost: 0,
                blob: with_codec(|codec| codec.encode(&slice))?,
            });
        }
        self.put(tx, run, &jobs).await.map(drop)
    }

    /// Lets the first parked job of a root wait in its lane. Only for a root without a waiting or leased job.
    pub(super) async fn expose(&mut self, tx: &Tx, run: i64, root: u64) -> Result<()> {
        if let Some(row) = tx.one(EXPOSE, &[&run, &int(root)]).await? {
            self.waits(get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        }
        Ok(())
    }

    /// Brings the lanes touched up to date.
    pub(super) async fn refresh(&mut self, tx: &Tx, run: &mut Run) -> Result<()> {
        let touched = std::mem::take(&mut self.touched);
        if touched.is_empty() {
            return Ok(());
        }
        let lanes: Vec<i64> = touched.keys().copied().collect();
        let dues: Vec<Option<i64>> = touched.values().map(|t| t.first.map(|(due, _)| due)).collect();
        let jobs: Vec<Option<i64>> = touched.values().map(|t| t.first.map(|(_, job)| job)).collect();
        let back: Vec<i64> = touched.values().map(|t| t.back).collect();
        for row in tx.all(REFRESH, &[&lanes, &dues, &jobs, &back]).await? {
            let (lane, ready_at, leased): (i64, Option<i64>, i64) =
                (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
            if let Some(ready_at) = ready_at
                && leased < i64::from(model::limit::LANE_LEASES)
            {
                run.lane_is_ready(ready_at, lane);
            }
        }
        Ok(())
    }
}

/// `n` leases on jobs of that lane's host have ended; whether others must hear of that.
pub(super) async fn let_go(tx: &Tx, lane: i64, n: i64) -> Result<bool> {
    let row = tx.one("SELECT trawl_let_go($1, $2)", &[&lane, &n]).await?;
    row.map_or(Ok(false), |row| get(&row, 0))
}

/// A leased job as the store knows it.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) id: i64,
    pub(super) lane: i64,
    pub(super) due: Timestamp,
    pub(super) n: u64,
    pub(super) root: u64,
    pub(super) derived: bool,
    pub(super) lost: u32,
}

/// The inputs of a job.
pub(super) async fn slice_of(tx: &Tx, job: i64) -> Result<Vec<Input>> {
    let row = tx
        .one("SELECT blob FROM slice WHERE job = $1", &[&job])
        .await?
        .ok_or_else(|| damaged("a job without its inputs"))?;
    let blob: &[u8] = get(&row, 0)?;
    with_codec(|codec| codec.decode(blob))
}

/// Records of a root so far, in a run with a limit per input.
pub(super) async fn root_records(tx: &Tx, run: i64, root: u64) -> Result<u64> {
    let sql = "SELECT records FROM root WHERE snapshot = $1 AND root = $2";
    let row = tx.one(sql, &[&run, &int(root)]).await?;
    row.map_or(Ok(0), |row| get::<i64>(&row, 0).map(uint))
}
