//! Small documents that people make over the API, kept under a kind and a name. Must not know: what the text means.

use super::sql::{Sql, int, len, uint};
use super::writer::Tx;
use crate::{Document, Put, Result};
use rusqlite::Connection;

pub(super) fn put(tx: &mut Tx<'_>, kind: &str, name: &str, text: Option<&str>, over: Put) -> Result<bool> {
    let found: Option<i64> =
        tx.conn
            .one("SELECT version FROM document WHERE kind = ?1 AND name = ?2", (kind, name), |r| r.get(0))?;
    let found = found.map_or(0, uint);
    if matches!(over, Put::Over(version) if version != found) {
        return Ok(false);
    }
    match text {
        Some(text) => tx.conn.exec(
            "INSERT INTO document (kind, name, version, text) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, name) DO UPDATE SET version = excluded.version, text = excluded.text",
            (kind, name, int(found + 1), text),
        )?,
        None => tx.conn.exec("DELETE FROM document WHERE kind = ?1 AND name = ?2", (kind, name))?,
    };
    Ok(true)
}

pub(super) fn list(conn: &Connection, kind: &str, after: &str, limit: usize) -> Result<Vec<Document>> {
    conn.all(
        "SELECT name, version, text FROM document WHERE kind = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
        (kind, after, len(limit)),
        |r| Ok(Document { name: r.get(0)?, version: uint(r.get(1)?), text: r.get(2)? }),
    )
}
