//! One run's row inside a transaction: read, changed in memory, written back, and what follows from the change.
//!
//! Owns: the row of `snapshot`, the end of a run. Invariant: `ready_at` is set only while jobs may be claimed.

use super::sql::{Sql, damaged, int, uint};
use super::writer::Tx;
use super::{delivery, lane, quality};
use crate::rules::Drained;
use crate::{Change, Result, StoreError};
use model::quality::Grade;
use model::{
    Counts, FailureCode, NOTHING_FOUND, SnapshotEvent, SnapshotId, SnapshotState, Timestamp, Trigger,
};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The row of `snapshot`, as far as transactions change it.
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
    pub(super) ready_at: Option<i64>,
    pub(super) message: Option<String>,
    pub(super) finished_at: Option<Timestamp>,
}

const BY_KEY: &str =
    "SELECT k, id, state, inputs, settled, waiting, leased, given, found, records, errors, limit_total,
        limit_root, shows_errors, plain_bytes, error_codes, next_seq, ready_at, message, finished_at, unchanged
     FROM snapshot WHERE k = ?1";

impl Run {
    /// The run of that id, or [`StoreError::NotFound`].
    pub(super) fn of_id(conn: &Connection, id: &SnapshotId) -> Result<Self> {
        let k = key_of(conn, id)?;
        Self::of_key(conn, k)
    }

    /// The run of that key.
    pub(super) fn of_key(conn: &Connection, k: i64) -> Result<Self> {
        let (run, id, state, codes) = conn
            .one(BY_KEY, [k], |r| {
                let count = |at| r.get::<_, i64>(at).map(uint);
                let run = Self {
                    k: r.get(0)?,
                    id: SnapshotId::new(Timestamp::default(), 0),
                    state: SnapshotState::Starting,
                    counts: Counts {
                        inputs: count(3)?,
                        settled: count(4)?,
                        waiting: count(5)?,
                        leased: count(6)?,
                        given: count(7)?,
                        found: count(8)?,
                        records: count(9)?,
                        errors: count(10)?,
                        unchanged: count(20)?,
                    },
                    limit_total: r.get::<_, Option<i64>>(11)?.map(uint),
                    limit_root: r.get::<_, Option<i64>>(12)?.map(uint),
                    shows_errors: r.get(13)?,
                    plain_bytes: count(14)?,
                    error_codes: BTreeMap::new(),
                    next_seq: count(16)?,
                    ready_at: r.get(17)?,
                    message: r.get(18)?,
                    finished_at: r.get::<_, Option<i64>>(19)?.map(Timestamp::from_ms),
                };
                Ok((run, r.get::<_, String>(1)?, r.get::<_, String>(2)?, r.get::<_, String>(15)?))
            })?
            .ok_or(StoreError::NotFound("snapshot"))?;
        Ok(Self { id: read_id(&id)?, state: read_state(&state)?, error_codes: read_codes(&codes)?, ..run })
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

    /// What follows from any change of the numbers: streams that have a part's worth of rows, the end of the run if
    /// nothing is left to do. Then writes the row.
    pub(super) fn conclude(&mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
        if matches!(self.state, SnapshotState::Running | SnapshotState::Expiring) {
            delivery::wake_streams(tx, self, now)?;
        }
        if self.counts.waiting + self.counts.leased == 0 && self.state != SnapshotState::Starting {
            self.drain(tx, now)?;
        }
        self.save(tx)
    }

    /// The end by having nothing left, if the state knows that event.
    fn drain(&mut self, tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
        let trigger = asked(tx.conn, self.k)?;
        let Drained { found_nothing, gives } = Drained::of(self.state, &self.counts, &trigger);
        let verdict = if gives { quality::conclude(tx.conn, self, &trigger)? } else { None };
        let held_back = trigger.quarantine && verdict.is_some_and(|v| v.grade == Grade::Fail);
        if let Some(state) = self.state.after(SnapshotEvent::Drained { found_nothing, held_back }) {
            self.state = state;
            if state == SnapshotState::Failed {
                self.message = Some(NOTHING_FOUND.to_owned());
            }
            self.end(tx, trigger.force_deliver, now)?;
        }
        Ok(())
    }

    /// What the end of a run brings about, whichever way it ended.
    pub(super) fn end(&mut self, tx: &mut Tx<'_>, force_deliver: bool, now: Timestamp) -> Result<()> {
        self.finished_at = Some(now);
        delivery::run_ended(tx, self, force_deliver, now)?;
        tx.conn.exec("INSERT OR IGNORE INTO trash VALUES (?1, 0)", [self.k])?;
        Ok(())
    }

    /// Writes the row and tells.
    pub(super) fn save(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        debug_assert!(self.counts.adds_up(), "{:?}", self.counts);
        let open = self.state.is_claimable()
            && self.limit_total.is_none_or(|most| self.counts.records + self.counts.leased < most);
        self.ready_at = if open { lane::next_ready(tx.conn, self.k)? } else { None };
        let codes = serde_json::to_string(&self.error_codes).map_err(damaged)?;
        let c = &self.counts;
        tx.conn.exec(
            "UPDATE snapshot SET state = ?2, inputs = ?3, settled = ?4, waiting = ?5, leased = ?6, given = ?7,
                 found = ?8, records = ?9, errors = ?10, plain_bytes = ?11, error_codes = ?12, next_seq = ?13,
                 ready_at = ?14, message = ?15, finished_at = ?16, unchanged = ?17
             WHERE k = ?1",
            rusqlite::params![
                self.k,
                self.state.as_str(),
                int(c.inputs),
                int(c.settled),
                int(c.waiting),
                int(c.leased),
                int(c.given),
                int(c.found),
                int(c.records),
                int(c.errors),
                int(self.plain_bytes),
                codes,
                int(self.next_seq),
                self.ready_at,
                self.message,
                self.finished_at.map(Timestamp::ms),
                int(c.unchanged),
            ],
        )?;
        tx.tell(Change::Snapshot(self.id.clone()));
        if self.ready_at.is_some() {
            tx.tell(Change::Work);
        }
        Ok(())
    }
}

/// The key of a run, or [`StoreError::NotFound`].
pub(super) fn key_of(conn: &Connection, id: &SnapshotId) -> Result<i64> {
    conn.one("SELECT k FROM snapshot WHERE id = ?1", [id.as_str()], |r| r.get(0))?
        .ok_or(StoreError::NotFound("snapshot"))
}

/// What a run was asked.
pub(super) fn asked(conn: &Connection, k: i64) -> Result<Trigger> {
    let text: String = conn
        .one("SELECT trigger FROM asked WHERE snapshot = ?1", [k], |r| r.get(0))?
        .ok_or_else(|| damaged("a snapshot without its trigger"))?;
    serde_json::from_str(&text).map_err(damaged)
}

pub(super) fn read_id(text: &str) -> Result<SnapshotId> {
    SnapshotId::parse(text).ok_or_else(|| damaged(format!("`{text}` is no snapshot id")))
}

pub(super) fn read_state(text: &str) -> Result<SnapshotState> {
    SnapshotState::parse(text).ok_or_else(|| damaged(format!("`{text}` is no snapshot state")))
}

pub(super) fn read_codes(text: &str) -> Result<BTreeMap<FailureCode, u64>> {
    serde_json::from_str(text).map_err(damaged)
}
