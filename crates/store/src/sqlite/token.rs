//! Bearer tokens, as stored: never the secret.

use super::sql::{Sql, damaged, taken};
use crate::{Result, Token};
use model::{Timestamp, TokenId};
use rusqlite::{Connection, Row};

pub(super) fn add(conn: &Connection, token: &Token) -> Result<()> {
    let datasets = token.datasets.as_ref().map(serde_json::to_string).transpose().map_err(damaged)?;
    taken(
        conn.exec(
            "INSERT INTO token (id, name, hash, datasets, created_at, expires_at, revoked_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                token.id.as_str(),
                &token.name,
                &token.hash[..],
                datasets,
                token.created_at.ms(),
                token.expires_at.map(Timestamp::ms),
                token.revoked_at.map(Timestamp::ms),
            ),
        ),
        "the token exists already",
    )?;
    Ok(())
}

pub(super) fn of_hash(conn: &Connection, hash: &[u8; 32]) -> Result<Option<Token>> {
    let sql =
        "SELECT id, name, hash, datasets, created_at, expires_at, revoked_at FROM token WHERE hash = ?1";
    conn.one(sql, [&hash[..]], columns)?.map(believe).transpose()
}

pub(super) fn all(conn: &Connection) -> Result<Vec<Token>> {
    let sql = "SELECT id, name, hash, datasets, created_at, expires_at, revoked_at FROM token ORDER BY created_at, k";
    conn.all(sql, [], columns)?.into_iter().map(believe).collect()
}

pub(super) fn revoke(conn: &Connection, id_or_name: &str, now: Timestamp) -> Result<u64> {
    let revoked = conn.exec(
        "UPDATE token SET revoked_at = ?2 WHERE (id = ?1 OR name = ?1) AND revoked_at IS NULL",
        (id_or_name, now.ms()),
    )?;
    // Cast: a usize fits u64.
    Ok(revoked as u64)
}

type Columns = (String, String, Vec<u8>, Option<String>, i64, Option<i64>, Option<i64>);

fn columns(r: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?))
}

fn believe((id, name, hash, datasets, created_at, expires_at, revoked_at): Columns) -> Result<Token> {
    Ok(Token {
        id: TokenId::parse(&id).ok_or_else(|| damaged(format!("`{id}` is no token id")))?,
        name,
        hash: hash.try_into().map_err(|_| damaged("a token's digest has another length"))?,
        datasets: datasets.map(|text| serde_json::from_str(&text)).transpose().map_err(damaged)?,
        created_at: Timestamp::from_ms(created_at),
        expires_at: expires_at.map(Timestamp::from_ms),
        revoked_at: revoked_at.map(Timestamp::from_ms),
    })
}
