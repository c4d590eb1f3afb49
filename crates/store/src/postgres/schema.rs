//! The schema, brought up to date.
//!
//! Invariants: a migration, once released, is never edited; its checksum is kept and compared at every open. Nodes that
//! start together take turns by an advisory lock, and each migration is a transaction.

use super::sql::{damaged, get, len};
use crate::{Result, StoreError};
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

/// In order; the first has version 1.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("schema/0001.sql"), include_str!("schema/0002_claim.sql")];
/// Nobody else in this database takes the advisory lock of this number, we trust.
const LOCK: i64 = 0x7472_6177_6c00_0001;

/// Applies what is missing. Returns the version found and the version reached.
pub(super) async fn migrate(client: &Client, migrations: &[&str]) -> Result<(usize, usize)> {
    // Held by the session, so over all the transactions; however this ends, it must go.
    client
        .batch_execute(&format!("SET lock_timeout = 0; SELECT pg_advisory_lock({LOCK}); RESET lock_timeout"))
        .await?;
    let result = apply(client, migrations).await;
    let freed = client.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})")).await;
    let applied = result?;
    freed?;
    Ok(applied)
}

async fn apply(client: &Client, migrations: &[&str]) -> Result<(usize, usize)> {
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS migration (version bigint PRIMARY KEY, checksum bytea NOT NULL)",
        )
        .await?;
    let found = check(client, migrations).await?;
    for (at, sql) in migrations.iter().enumerate().skip(found) {
        let checksum: String = Sha256::digest(sql.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        let version = len(at + 1);
        let whole = format!(
            "BEGIN; SET LOCAL statement_timeout = 0; {sql}; INSERT INTO migration VALUES ({version}, '\\x{checksum}'); COMMIT"
        );
        if let Err(e) = client.batch_execute(&whole).await {
            // The first error is the one that tells.
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(e.into());
        }
    }
    Ok((found, migrations.len()))
}

/// The version of a database, whose migrations must be ours.
async fn check(client: &Client, migrations: &[&str]) -> Result<usize> {
    let applied = client.query("SELECT version, checksum FROM migration ORDER BY version", &[]).await?;
    if applied.len() > migrations.len() {
        return Err(StoreError::Damaged(format!(
            "the database was made by a newer version of this program: it is at {}, this knows {}",
            applied.len(),
            migrations.len()
        )));
    }
    for ((at, sql), row) in migrations.iter().enumerate().zip(&applied) {
        let (version, kept) = (get::<i64>(row, 0)?, get::<Vec<u8>>(row, 1)?);
        if version != len(at + 1) || kept[..] != Sha256::digest(sql.as_bytes())[..] {
            return Err(damaged(format!("migration {version} is not the one that made this database")));
        }
    }
    Ok(applied.len())
}

/// The version of a database without changing it; 0 for an empty one.
pub(super) async fn version(client: &Client) -> Result<usize> {
    let there = client.query_one("SELECT to_regclass('migration') IS NOT NULL", &[]).await?;
    if get(&there, 0)? { check(client, MIGRATIONS).await } else { Ok(0) }
}
