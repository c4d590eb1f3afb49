//! What was learnt of hosts, kept over restarts. Must not know: what the text means.

use super::sql::{Sql, len};
use super::writer::Tx;
use crate::Result;
use model::Timestamp;
use rusqlite::Connection;

/// Hosts forgotten for their age by one call at most; the next call goes on.
const FORGET: usize = 1_000;

pub(super) fn save(
    tx: &mut Tx<'_>,
    hosts: &[(String, Option<String>)],
    now: Timestamp,
    before: Timestamp,
) -> Result<()> {
    for (name, state) in hosts {
        match state {
            Some(state) => tx.conn.exec(
                "INSERT INTO host (name, state, at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET state = excluded.state, at = excluded.at",
                (name, state, now.ms()),
            )?,
            None => tx.conn.exec("DELETE FROM host WHERE name = ?1", [name])?,
        };
    }
    tx.conn.exec(
        "DELETE FROM host WHERE name IN (SELECT name FROM host INDEXED BY host_at WHERE at < ?1 ORDER BY at LIMIT ?2)",
        (before.ms(), len(FORGET)),
    )?;
    Ok(())
}

pub(super) fn all(conn: &Connection, limit: usize) -> Result<Vec<(String, String)>> {
    let sql = "SELECT name, state FROM host INDEXED BY host_at ORDER BY at DESC LIMIT ?1";
    conn.all(sql, [len(limit)], |r| Ok((r.get(0)?, r.get(1)?)))
}

pub(super) fn named(conn: &Connection, names: &[String]) -> Result<Vec<(String, String)>> {
    let mut known = Vec::new();
    for name in names {
        let sql = "SELECT state FROM host WHERE name = ?1";
        known.extend(conn.one(sql, [name], |r| r.get(0))?.map(|state| (name.clone(), state)));
    }
    Ok(known)
}
