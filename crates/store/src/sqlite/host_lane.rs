//! Which node works for which host: one at a time, over all runs.
//!
//! Invariant: a host's row counts exactly the leased jobs of that host, which are all of the node named in it; without
//! leased jobs there is no row. So the table is as small as the number of leased jobs, and a claim that asks it asks
//! for one row.

use super::sql::Sql;
use super::writer::Tx;
use crate::{Change, Result};
use model::Timestamp;
use rusqlite::Connection;

/// A job of the lane's host is leased. [`super::claim`] takes no lane that another node holds.
pub(super) const TAKE: &str = "INSERT INTO host_lane (host, node, leased, until)
     VALUES ((SELECT host FROM lane WHERE k = ?1), ?2, 1, ?3)
     ON CONFLICT (host) DO UPDATE SET leased = leased + 1, until = max(until, excluded.until)";
const KEEP: &str =
    "UPDATE host_lane SET until = max(until, ?2) WHERE host = (SELECT host FROM lane WHERE k = ?1)";
const LET_GO: &str = "UPDATE host_lane SET leased = leased - ?2
     WHERE host = (SELECT host FROM lane WHERE k = ?1) RETURNING leased <= 0";
const FREE: &str = "DELETE FROM host_lane WHERE host = (SELECT host FROM lane WHERE k = ?1)";
const ANY_READY: &str = "SELECT 1 FROM snapshot INDEXED BY snapshot_turn WHERE ready_at IS NOT NULL LIMIT 1";

/// A lease on a job of that lane has begun.
pub(super) fn take(conn: &Connection, lane: i64, node: &str, until: Timestamp) -> Result<()> {
    conn.exec(TAKE, (lane, node, until.ms()))?;
    Ok(())
}

/// A lease on a job of that lane lasts until then.
pub(super) fn keep(conn: &Connection, lane: i64, until: Timestamp) -> Result<()> {
    conn.exec(KEEP, (lane, until.ms()))?;
    Ok(())
}

/// `n` leases on jobs of that lane have ended. With the host's last one it is free, and whoever waits for it is told:
/// its jobs may be of other runs, which nothing else would wake.
pub(super) fn let_go(tx: &mut Tx<'_>, lane: i64, n: i64) -> Result<()> {
    if tx.conn.one(LET_GO, (lane, n), |r| r.get(0))? == Some(true) {
        tx.conn.exec(FREE, [lane])?;
        if tx.conn.one(ANY_READY, [], |_| Ok(()))?.is_some() {
            tx.tell(Change::Work);
        }
    }
    Ok(())
}
