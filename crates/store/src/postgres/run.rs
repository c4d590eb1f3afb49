//! One run inside a transaction: locked, read, changed in memory, written back, and what follows from the change.
//!
//! Owns: the rows of `run`, `ready` and `snapshot`, the end of a run. Invariants: whoever changes anything of a run has
//! its row of `run` locked; `ready_at` is set only while jobs may be claimed; no lane that may be claimed from stands
//! before `low`.

use super::sql::{count, damaged, get, int, moment};
use super::tx::Tx;
use super::{delivery, quality};
use crate::rules::Drained;
use crate::{Change, Result, StoreError};
use model::quality::Grade;
use model::{
    Counts, FailureCode, NOTHING_FOUND, SnapshotEvent, SnapshotId, SnapshotState, Timestamp, Trigger,
};
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// Behind every lane.
pub(super) const NO_LANE: (i64, i64) = (i64::MAX, i64::MAX);

/// A run's rows, as far as transactions change them.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) k: i64,
    pub(super) id: SnapshotId,
    pub(super) state: SnapshotState,
    pub(super) counts: Counts,
    pub(super) limit_total: Option<u64>,
    pub(super) limit_root: Option<u64>,
    pub(super) shows_errors: bool,
    pub(super) plain_bytes: u64,
    pub(super) error_codes: BTreeMap<FailureCode, u64>,
    pub(super) next_seq: u64,
    pub(super) message: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
    /// Where to look for the first lane: `ready_at` and key.
    low: (i64, i64),
    /// The state that `snapshot` has, which is written only if it changes.
    written: SnapshotState,
}

/// The columns that [`Run::read`] reads.
macro_rules! run_columns {
    ($rest:literal) => {
        concat!(
            "SELECT r.k, s.id, s.state, r.inputs, r.settled, r.waiting, r.leased, r.given, r.found, r.records, r.errors,
                 r.limit_total, r.limit_root, s.shows_errors, r.plain_bytes, r.error_codes, r.next_seq, s.message,
                 s.finished_at, r.unchanged, s.created_at, r.low_at, r.low_lane
             FROM run r JOIN snapshot s ON s.k = r.k WHERE r.k = ",
            $rest
        )
    };
}

const LOCK: &str = "SELECT k FROM run WHERE k = $1 FOR UPDATE";
const BY_KEY: &str = run_columns!("$1");
const LOCK_OF_JOB: &str = "SELECT k FROM run WHERE k = (SELECT snapshot FROM job WHERE id = $1) FOR UPDATE";
const OF_JOB: &str = run_columns!("(SELECT snapshot FROM job WHERE id = $1)");
const SAVE: &str = "WITH first AS MATERIALIZED (
         SELECT l.ready_at, l.k FROM lane l
         WHERE $16 AND l.snapshot = $1 AND l.ready_at IS NOT NULL AND l.leased < 2 AND (l.ready_at, l.k) >= ($17, $18)
         ORDER BY l.ready_at, l.k LIMIT 1),
     written AS (
         UPDATE run SET inputs = $2, settled = $3, waiting = $4, leased = $5, given = $6, found = $7, records = $8,
             errors = $9, unchanged = $10, plain_bytes = $11, error_codes = $12, next_seq = $13,
             low_at = CASE WHEN $16 THEN coalesce((SELECT ready_at FROM first), $14) ELSE $17 END,
             low_lane = CASE WHEN $16 THEN coalesce((SELECT k FROM first), $15) ELSE $18 END
         WHERE k = $1),
     moved AS (
         UPDATE ready SET ready_at = (SELECT ready_at FROM first)
         WHERE k = $1 AND ready_at IS DISTINCT FROM (SELECT ready_at FROM first))
     SELECT ready_at FROM first";
const SAVE_STATE: &str = "UPDATE snapshot SET state = $2, message = $3, finished_at = $4 WHERE k = $1";

impl Run {
    /// Locks the run of that id and reads it, or [`StoreError::NotFound`].
    pub(super) async fn lock_id(tx: &Tx, id: &SnapshotId) -> Result<Self> {
        Self::lock(tx, key_of(tx, id).await?).await
    }

    /// Locks the run of that key and reads it as it is then.
    pub(super) async fn lock(tx: &Tx, k: i64) -> Result<Self> {
        tx.prepare(&[LOCK, BY_KEY]).await?;
        let (_, row) = futures_util::try_join!(async { tx.one(LOCK, &[&k]).await }, async {
            tx.one(BY_KEY, &[&k]).await
        })?;
        Self::read(&row.ok_or(StoreError::NotFound("snapshot"))?)
    }

    /// Locks the run of a job, then asks about the job, in one round trip. `None` for no such job.
    pub(super) async fn lock_of_job(
        tx: &Tx,
        job: i64,
        sql: &str,
        epoch: i64,
    ) -> Result<Option<(Self, Option<Row>)>> {
        tx.prepare(&[LOCK_OF_JOB, OF_JOB, sql]).await?;
        let (_, run, job) = futures_util::try_join!(
            async { tx.one(LOCK_OF_JOB, &[&job]).await },
            async { tx.one(OF_JOB, &[&job]).await },
            async { tx.one(sql, &[&job, &epoch]).await }
        )?;
        run.map(|row| Ok((Self::read(&row)?, job))).transpose()
    }

    /// Reads the run without locking it: for questions.
    pub(super) async fn look(tx: &Tx, k: i64) -> Result<Self> {
        Self::read(&tx.one(BY_KEY, &[&k]).await?.ok_or(StoreError::NotFound("snapshot"))?)
    }

    fn read(r: &Row) -> Result<Self> {
        let state = read_state(get(r, 2)?)?;
        Ok(Self {
            k: get(r, 0)?,
            id: read_id(get(r, 1)?)?,
            state,
            counts: Counts {
                inputs: count(r, 3)?,
                settled: count(r, 4)?,
                waiting: count(r, 5)?,
                leased: count(r, 6)?,
                given: count(r, 7)?,
                found: count(r, 8)?,
                records: count(r, 9)?,
                errors: count(r, 10)?,
                unchanged: count(r, 19)?,
            },
            limit_total: get::<Option<i64>>(r, 11)?.map(super::sql::uint),
            limit_root: get::<Option<i64>>(r, 12)?.map(super::sql::uint),
            shows_errors: get(r, 13)?,
            plain_bytes: count(r, 14)?,
            error_codes: serde_json::from_str(get(r, 15)?).map_err(damaged)?,
            next_seq: count(r, 16)?,
            message: get(r, 17)?,
            created_at: Timestamp::from_ms(get(r, 20)?),
            finished_at: moment(r, 18)?,
            low: (get(r, 21)?, get(r, 22)?),
            written: state,
        })
    }

    /// The event's state, or the conflict that callers see.
    pub(super) fn advance(&mut self, event: SnapshotEvent, otherwise: &'static str) -> Result<()> {
        self.state = self.state.after(event).ok_or(StoreError::Conflict(otherwise))?;
        Ok(())
    }

    /// Records that the whole run may still take.
    pub(super) fn records_left(&self) -> Option<u64> {
        self.limit_total.map(|most| most.saturating_sub(self.counts.records))
    }

    /// Error rows registered, by code.
    pub(super) fn count_errors(&mut self, code: FailureCode, n: u64) {
        self.counts.errors += n;
        *self.error_codes.entry(code).or_insert(0) += n;
    }

    /// Rows that a download shows.
    pub(super) fn visible_rows(&self) -> u64 {
        self.counts.records + if self.shows_errors { self.counts.errors } else { 0 }
    }

    /// A lane may be claimed from, at that moment.
    pub(super) fn lane_is_ready(&mut self, ready_at: i64, lane: i64) {
        self.low = self.low.min((ready_at, lane));
    }

    /// What follows from any change of the numbers: streams that have a part's worth of rows, the end of the run if
    /// nothing is left to do. Then writes the rows.
    pub(super) async fn conclude(&mut self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        let drains = self.counts.waiting + self.counts.leased == 0 && self.state != SnapshotState::Starting;
        let streams = matches!(self.state, SnapshotState::Running | SnapshotState::Expiring);
        if !drains && streams {
            // The usual case: both in one round trip.
            let open = self.is_open();
            let (woken, first) =
                futures_util::try_join!(delivery::wake_streams(tx, self, now), self.write_rows(tx, open))?;
            delivery::tell_all(tx, &woken)?;
            return self.written(tx, first).await;
        }
        if streams {
            let woken = delivery::wake_streams(tx, self, now).await?;
            delivery::tell_all(tx, &woken)?;
        }
        if drains {
            self.drain(tx, now).await?;
        }
        self.save(tx).await
    }

    /// The end by having nothing left, if the state knows that event.
    async fn drain(&mut self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        let trigger = asked(tx, self.k).await?;
        let Drained { found_nothing, gives } = Drained::of(self.state, &self.counts, &trigger);
        let verdict = if gives { quality::conclude(tx, self, &trigger).await? } else { None };
        let held_back = trigger.quarantine && verdict.is_some_and(|v| v.grade == Grade::Fail);
        if let Some(state) = self.state.after(SnapshotEvent::Drained { found_nothing, held_back }) {
            self.state = state;
            if state == SnapshotState::Failed {
                self.message = Some(NOTHING_FOUND.to_owned());
            }
            self.end(tx, trigger.force_deliver, now).await?;
        }
        Ok(())
    }

    /// What the end of a run brings about, whichever way it ended.
    pub(super) async fn end(&mut self, tx: &mut Tx, force_deliver: bool, now: Timestamp) -> Result<()> {
        self.finished_at = Some(now);
        delivery::run_ended(tx, self, force_deliver, now).await?;
        tx.exec("INSERT INTO trash VALUES ($1, false) ON CONFLICT DO NOTHING", &[&self.k]).await?;
        Ok(())
    }

    /// Whether its jobs may be claimed.
    fn is_open(&self) -> bool {
        self.state.is_claimable()
            && self.limit_total.is_none_or(|most| self.counts.records + self.counts.leased < most)
    }

    /// Writes the rows and tells.
    pub(super) async fn save(&mut self, tx: &mut Tx) -> Result<()> {
        let first = self.write_rows(tx, self.is_open()).await?;
        self.written(tx, first).await
    }

    /// Writes the numbers, and when its next job can be claimed; whether that is ever.
    async fn write_rows(&self, tx: &Tx, open: bool) -> Result<bool> {
        debug_assert!(self.counts.adds_up(), "{:?}", self.counts);
        let codes = serde_json::to_string(&self.error_codes).map_err(damaged)?;
        let c = &self.counts;
        let numbers =
            [c.inputs, c.settled, c.waiting, c.leased, c.given, c.found, c.records, c.errors, c.unchanged];
        let [inputs, settled, waiting, leased, given, found, records, errors, unchanged] = &numbers.map(int);
        let (plain_bytes, next_seq) = (int(self.plain_bytes), int(self.next_seq));
        let first = tx
            .one(
                SAVE,
                &[
                    &self.k,
                    inputs,
                    settled,
                    waiting,
                    leased,
                    given,
                    found,
                    records,
                    errors,
                    unchanged,
                    &plain_bytes,
                    &codes,
                    &next_seq,
                    &NO_LANE.0,
                    &NO_LANE.1,
                    &open,
                    &self.low.0,
                    &self.low.1,
                ],
            )
            .await?;
        Ok(first.is_some())
    }

    /// What follows once the numbers are written.
    async fn written(&mut self, tx: &mut Tx, ready: bool) -> Result<()> {
        if self.state != self.written {
            let finished_at = self.finished_at.map(Timestamp::ms);
            tx.exec(SAVE_STATE, &[&self.k, &self.state.as_str(), &self.message, &finished_at]).await?;
            self.written = self.state;
            if self.finished_at.is_some() {
                tx.exec("DELETE FROM ready WHERE k = $1", &[&self.k]).await?;
            }
        }
        tx.tell(Change::Snapshot(self.id.clone()));
        if ready {
            tx.tell(Change::Work);
        }
        Ok(())
    }
}

/// The key of a run, or [`StoreError::NotFound`].
pub(super) async fn key_of(tx: &Tx, id: &SnapshotId) -> Result<i64> {
    let row = tx.one("SELECT k FROM snapshot WHERE id = $1", &[&id.as_str()]).await?;
    get(&row.ok_or(StoreError::NotFound("snapshot"))?, 0)
}

/// What a run was asked.
pub(super) async fn asked(tx: &Tx, k: i64) -> Result<Trigger> {
    let row = tx
        .one("SELECT trigger FROM asked WHERE snapshot = $1", &[&k])
        .await?
        .ok_or_else(|| damaged("a snapshot without its trigger"))?;
    serde_json::from_str(get(&row, 0)?).map_err(damaged)
}

pub(super) fn read_id(text: &str) -> Result<SnapshotId> {
    SnapshotId::parse(text).ok_or_else(|| damaged(format!("`{text}` is no snapshot id")))
}

pub(super) fn read_state(text: &str) -> Result<SnapshotState> {
    SnapshotState::parse(text).ok_or_else(|| damaged(format!("`{text}` is no snapshot state")))
}
