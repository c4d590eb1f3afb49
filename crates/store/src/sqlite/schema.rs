//! Opening a database file: its settings, and its schema brought up to date.
//!
//! Invariant: a migration, once released, is never edited; its checksum is kept and compared at every open.

use super::sql::{Sql, damaged, len};
use crate::{Result, StoreError};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// In order; the first has version 1.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003_host.sql"),
    include_str!("schema/0004_archive.sql"),
    include_str!("schema/0005_withheld.sql"),
    include_str!("schema/0006_document.sql"),
    include_str!("schema/0007_lane.sql"),
];
/// How long to wait for another process (`trawl token create`) that writes.
const BUSY: Duration = Duration::from_secs(10);
/// Statements kept parsed; there are about a hundred.
const STATEMENTS: usize = 160;

/// Settings of every connection.
pub(super) fn tune(conn: &Connection) -> Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // 16 MiB of pages per connection; sorts stay in memory.
    conn.execute_batch("PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;")?;
    Ok(())
}

/// Settings of the connection that writes, then migrations, or only a look whether any are missing. The schema version
/// before and after.
pub(super) fn prepare(conn: &Connection, may_migrate: bool) -> Result<(u32, u32)> {
    tune(conn)?;
    // Page size: a slice of inputs packs to one to three kilobytes, of which few fit a page of four.
    // Checkpoints after 32 MiB of log: rarer, so fewer commits pay for one. They sync; commits do not: the writer syncs the
    // log itself before it answers what must last.
    conn.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4096;",
    )?;
    migrate(conn, MIGRATIONS, may_migrate)
}

fn migrate(conn: &Connection, migrations: &[&str], may: bool) -> Result<(u32, u32)> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    match apply(conn, migrations, may) {
        Ok(versions) => {
            conn.execute_batch("COMMIT")?;
            Ok(versions)
        }
        Err(e) => {
            // Already undone if SQLite did so itself; the first error is the one that tells.
            let _ = conn.execute_batch("ROLLBACK");
            Err(e)
        }
    }
}

fn apply(conn: &Connection, migrations: &[&str], may: bool) -> Result<(u32, u32)> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, checksum BLOB NOT NULL) STRICT",
    )?;
    let applied = conn.all("SELECT version, checksum FROM migration ORDER BY version", [], |r| {
        Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?))
    })?;
    if applied.len() > migrations.len() {
        return Err(StoreError::Damaged("the database was made by a newer version of this program".into()));
    }
    for (at, sql) in migrations.iter().enumerate() {
        let (version, checksum) = (len(at + 1), Sha256::digest(sql.as_bytes()));
        match applied.get(at) {
            Some((v, kept)) if *v == version && kept[..] == checksum[..] => {}
            Some(_) => {
                return Err(damaged(format!("migration {version} is not the one that made this database")));
            }
            None if !may => {
                return Err(StoreError::Invalid(format!(
                    "the database has schema version {} and this program wants {}: run `trawl migrate` first",
                    applied.len(),
                    migrations.len()
                )));
            }
            None => {
                conn.execute_batch(sql)?;
                conn.execute("INSERT INTO migration VALUES (?1, ?2)", (version, &checksum[..]))?;
            }
        }
    }
    let version = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok((version(applied.len()), version(migrations.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrate(conn: &Connection, migrations: &[&str]) -> Result<()> {
        super::migrate(conn, migrations, true).map(drop)
    }

    #[test]
    fn migrations_apply_once_and_in_order() {
        let conn = Connection::open_in_memory().unwrap();
        let two = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"];
        migrate(&conn, &two[..1]).unwrap();
        migrate(&conn, &two).unwrap();
        migrate(&conn, &two).unwrap();
        conn.execute("INSERT INTO a (x, y) VALUES (1, 2)", []).unwrap();
    }

    #[test]
    fn who_may_not_migrate_is_told_to() {
        let conn = Connection::open_in_memory().unwrap();
        let two = ["CREATE TABLE a (x)", "CREATE TABLE b (x)"];
        let Err(StoreError::Invalid(why)) = super::migrate(&conn, &two, false) else { panic!("migrated") };
        assert!(why.contains("trawl migrate"), "{why}");
        assert_eq!(super::migrate(&conn, &two[..1], true).unwrap(), (0, 1));
        assert!(super::migrate(&conn, &two, false).is_err());
        assert_eq!(super::migrate(&conn, &two, true).unwrap(), (1, 2));
        assert_eq!(super::migrate(&conn, &two, false).unwrap(), (2, 2));
    }

    #[test]
    fn an_edited_or_newer_schema_is_refused() {
        let conn = Connection::open_in_memory().unwrap();
        let two = ["CREATE TABLE a (x)", "CREATE TABLE b (x)"];
        migrate(&conn, &two).unwrap();
        assert!(matches!(migrate(&conn, &["CREATE TABLE a (z)", two[1]]), Err(StoreError::Damaged(_))));
        assert!(matches!(migrate(&conn, &two[..1]), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn a_failing_migration_leaves_nothing() {
        let conn = Connection::open_in_memory().unwrap();
        assert!(migrate(&conn, &["CREATE TABLE a (x)", "CREATE NONSENSE"]).is_err());
        migrate(&conn, &["CREATE TABLE a (x)"]).unwrap();
    }
}
