//! What was learnt of hosts, kept over restarts. Must not know: what the text means.

use super::sql::{get, len};
use super::tx::Tx;
use crate::Result;
use model::Timestamp;
use std::collections::BTreeMap;

/// Hosts forgotten for their age by one call at most; the next call goes on.
const FORGET: usize = 1_000;

pub(super) async fn save(
    tx: &Tx,
    hosts: &[(String, Option<String>)],
    now: Timestamp,
    before: Timestamp,
) -> Result<()> {
    // The last word on each, in the order of names: two nodes that save the same hosts do not get in each other's way.
    let last: BTreeMap<&str, Option<&str>> =
        hosts.iter().map(|(name, state)| (name.as_str(), state.as_deref())).collect();
    let kept: Vec<(&str, &str)> = last.iter().filter_map(|(name, state)| Some((*name, (*state)?))).collect();
    let (names, states): (Vec<&str>, Vec<&str>) = kept.into_iter().unzip();
    let gone: Vec<&str> = last.iter().filter(|(_, state)| state.is_none()).map(|(name, _)| *name).collect();
    tx.exec(
        "INSERT INTO host SELECT u.name, u.state, $3 FROM unnest($1::text[], $2::text[]) AS u(name, state)
         ON CONFLICT (name) DO UPDATE SET state = excluded.state, at = excluded.at",
        &[&names, &states, &now.ms()],
    )
    .await?;
    tx.exec("DELETE FROM host WHERE name = ANY ($1)", &[&gone]).await?;
    tx.exec(
        "DELETE FROM host WHERE name IN
             (SELECT name FROM host WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        &[&before.ms(), &len(FORGET)],
    )
    .await?;
    Ok(())
}

pub(super) async fn all(tx: &Tx, limit: usize) -> Result<Vec<(String, String)>> {
    let rows = tx.all("SELECT name, state FROM host ORDER BY at DESC LIMIT $1", &[&len(limit)]).await?;
    rows.iter().map(|r| Ok((get(r, 0)?, get(r, 1)?))).collect()
}

pub(super) async fn named(tx: &Tx, names: &[String]) -> Result<Vec<(String, String)>> {
    let sql = "SELECT h.name, h.state FROM unnest($1::text[]) WITH ORDINALITY AS u(name, nth)
               JOIN host h ON h.name = u.name ORDER BY u.nth";
    tx.all(sql, &[&names]).await?.iter().map(|r| Ok((get(r, 0)?, get(r, 1)?))).collect()
}
