//! Bearer tokens, as stored: never the secret.

use super::sql::{damaged, get, moment, taken};
use super::tx::Tx;
use crate::{Result, Token};
use model::{Timestamp, TokenId};
use tokio_postgres::Row;

pub(super) async fn add(tx: &Tx, token: &Token) -> Result<()> {
    let datasets = token.datasets.as_ref().map(serde_json::to_string).transpose().map_err(damaged)?;
    let added = tx
        .exec(
            "INSERT INTO token (id, name, hash, datasets, created_at, expires_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &token.id.as_str(),
                &token.name,
                &&token.hash[..],
                &datasets,
                &token.created_at.ms(),
                &token.expires_at.map(Timestamp::ms),
                &token.revoked_at.map(Timestamp::ms),
            ],
        )
        .await;
    taken(added, "the token exists already")?;
    Ok(())
}

pub(super) async fn of_hash(tx: &Tx, hash: &[u8; 32]) -> Result<Option<Token>> {
    let sql =
        "SELECT id, name, hash, datasets, created_at, expires_at, revoked_at FROM token WHERE hash = $1";
    tx.one(sql, &[&&hash[..]]).await?.map(|row| believe(&row)).transpose()
}

pub(super) async fn all(tx: &Tx) -> Result<Vec<Token>> {
    let sql = "SELECT id, name, hash, datasets, created_at, expires_at, revoked_at FROM token ORDER BY created_at, k";
    tx.all(sql, &[]).await?.iter().map(believe).collect()
}

pub(super) async fn revoke(tx: &Tx, id_or_name: &str, now: Timestamp) -> Result<u64> {
    tx.exec(
        "UPDATE token SET revoked_at = $2 WHERE (id = $1 OR name = $1) AND revoked_at IS NULL",
        &[&id_or_name, &now.ms()],
    )
    .await
}

fn believe(r: &Row) -> Result<Token> {
    let id: &str = get(r, 0)?;
    let hash: &[u8] = get(r, 2)?;
    let datasets: Option<&str> = get(r, 3)?;
    Ok(Token {
        id: TokenId::parse(id).ok_or_else(|| damaged(format!("`{id}` is no token id")))?,
        name: get(r, 1)?,
        hash: hash.try_into().map_err(|_| damaged("a token's digest has another length"))?,
        datasets: datasets.map(serde_json::from_str).transpose().map_err(damaged)?,
        created_at: Timestamp::from_ms(get(r, 4)?),
        expires_at: moment(r, 5)?,
        revoked_at: moment(r, 6)?,
    })
}
