//! Jobs and their lanes: putting jobs in, and keeping each lane's `ready_at` true.
//!
//! Invariants: a lane's `ready_at` is the due time of its first waiting job, but not before the lane was last served
//! (so lanes take turns); null without a waiting job. In a run with a limit per input at most one job of a root is
//! waiting or leased; its others are parked behind it.

use super::host_lane;
use super::sql::{Sql, damaged, int, len, uint};
use super::writer::Tx;
use crate::Result;
use crate::disk::Codec;
use model::{Input, Timestamp};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashMap};

pub(super) use crate::rules::state;

/// A job to put in.
pub(super) struct NewJob<'a> {
    /// One of [`state`].
    pub(super) state: i64,
    pub(super) due: Timestamp,
    pub(super) n: usize,
    pub(super) root: u64,
    pub(super) derived: bool,
    pub(super) lost: u32,
    pub(super) blob: &'a [u8],
}

/// The lanes that one operation touches.
#[derive(Default)]
pub(super) struct Lanes {
    known: HashMap<String, i64>,
    touched: BTreeSet<i64>,
}

impl Lanes {
    /// The lane of a host, made if need be.
    pub(super) fn of(&mut self, conn: &Connection, run: i64, host: &str) -> Result<i64> {
        if let Some(k) = self.known.get(host) {
            return Ok(*k);
        }
        let found =
            conn.one("SELECT k FROM lane WHERE snapshot = ?1 AND host = ?2", (run, host), |r| r.get(0))?;
        let k = match found {
            Some(k) => k,
            None => {
                conn.exec("INSERT INTO lane (snapshot, host) VALUES (?1, ?2)", (run, host))?;
                conn.last_insert_rowid()
            }
        };
        self.known.insert(host.to_owned(), k);
        Ok(k)
    }

    /// Its waiting jobs changed.
    pub(super) fn touch(&mut self, lane: i64) {
        self.touched.insert(lane);
    }

    /// Puts a job in; its id.
    pub(super) fn put(&mut self, conn: &Connection, run: i64, lane: i64, job: &NewJob<'_>) -> Result<i64> {
        conn.exec(
            "INSERT INTO job (snapshot, lane, state, due, n, root, derived, lost) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (run, lane, job.state, job.due.ms(), len(job.n), int(job.root), job.derived, job.lost),
        )?;
        let id = conn.last_insert_rowid();
        conn.exec("INSERT INTO slice (job, blob) VALUES (?1, ?2)", (id, job.blob))?;
        if job.state == state::WAITING {
            self.touch(lane);
        }
        Ok(id)
    }

    /// Cuts inputs into jobs made from others and puts them in. `per_root`: parked, for [`Lanes::expose`].
    pub(super) fn put_derived(
        &mut self,
        tx: &mut Tx<'_>,
        run: i64,
        inputs: Vec<(Timestamp, Input)>,
        per_root: bool,
    ) -> Result<()> {
        for (due, slice) in model::slices(inputs, per_root) {
            // Slices are never empty.
            let Some(first) = slice.first() else { continue };
            let lane = self.of(tx.conn, run, &first.host)?;
            let blob = tx.codec.encode(&slice)?;
            let state = if per_root { state::PARKED } else { state::WAITING };
            let job =
                NewJob { state, due, n: slice.len(), root: first.root, derived: true, lost: 0, blob: &blob };
            self.put(tx.conn, run, lane, &job)?;
        }
        Ok(())
    }

    /// Lets the first parked job of a root wait in its lane. Only for a root without a waiting or leased job.
    pub(super) fn expose(&mut self, conn: &Connection, run: i64, root: u64) -> Result<()> {
        let first = conn.one(
            "SELECT id, lane FROM job INDEXED BY job_parked WHERE snapshot = ?1 AND root = ?2 AND state = 0
             ORDER BY due, id LIMIT 1",
            (run, int(root)),
            |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)),
        )?;
        if let Some((id, lane)) = first {
            conn.exec("UPDATE job SET state = 1 WHERE id = ?1", [id])?;
            self.touch(lane);
        }
        Ok(())
    }

    /// Brings the lanes touched up to date.
    pub(super) fn refresh(&mut self, conn: &Connection) -> Result<()> {
        for lane in std::mem::take(&mut self.touched) {
            refresh(conn, lane)?;
        }
        Ok(())
    }
}

/// The first waiting job of a lane.
pub(super) const FIRST_DUE: &str =
    "SELECT due FROM job INDEXED BY job_waiting WHERE lane = ?1 AND state = 1 ORDER BY due, id LIMIT 1";
/// A lane's `ready_at`.
pub(super) const SET_READY: &str = "UPDATE lane SET ready_at = max(?2, served_at) WHERE k = ?1";
/// The first lane of a run that may be claimed from.
pub(super) const NEXT_READY: &str = "SELECT ready_at FROM lane INDEXED BY lane_ready
     WHERE snapshot = ?1 AND ready_at IS NOT NULL AND leased < 2 ORDER BY ready_at LIMIT 1";

/// Brings one lane up to date.
pub(super) fn refresh(conn: &Connection, lane: i64) -> Result<()> {
    let due: Option<i64> = conn.one(FIRST_DUE, [lane], |r| r.get(0))?;
    // max() of null is null.
    conn.exec(SET_READY, (lane, due))?;
    Ok(())
}

/// When a run's next job may be claimed, as far as its lanes say.
pub(super) fn next_ready(conn: &Connection, run: i64) -> Result<Option<i64>> {
    conn.one(NEXT_READY, [run], |r| r.get(0))
}

/// A leased job has left its lane.
pub(super) fn released(tx: &mut Tx<'_>, lane: i64) -> Result<()> {
    tx.conn.exec("UPDATE lane SET leased = leased - 1 WHERE k = ?1", [lane])?;
    host_lane::let_go(tx, lane, 1)
}

/// A leased job as the store knows it.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) id: i64,
    pub(super) run: i64,
    pub(super) lane: i64,
    pub(super) due: Timestamp,
    pub(super) n: u64,
    pub(super) root: u64,
    pub(super) derived: bool,
    pub(super) lost: u32,
}

/// The inputs of a job.
pub(super) fn slice_of(conn: &Connection, codec: &mut Codec, job: i64) -> Result<Vec<Input>> {
    let blob: Vec<u8> = conn
        .one("SELECT blob FROM slice WHERE job = ?1", [job], |r| r.get(0))?
        .ok_or_else(|| damaged("a job without its inputs"))?;
    codec.decode(&blob)
}

/// Records of a root so far, in a run with a limit per input.
pub(super) fn root_records(conn: &Connection, run: i64, root: u64) -> Result<u64> {
    let sql = "SELECT records FROM root WHERE snapshot = ?1 AND root = ?2";
    Ok(conn.one(sql, (run, int(root)), |r| r.get::<_, i64>(0))?.map_or(0, uint))
}
