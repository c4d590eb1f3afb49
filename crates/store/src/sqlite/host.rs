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

#[cfg(test)]
mod tests {
    use crate::{SqliteStore, Store};
    use model::Timestamp;

    #[tokio::test]
    async fn hosts_are_kept_replaced_and_forgotten() {
        let store = SqliteStore::in_memory().unwrap();
        let at = Timestamp::from_ms;
        let row = |name: &str, state: Option<&str>| (name.to_owned(), state.map(str::to_owned));
        store.save_hosts(vec![row("a", Some("1")), row("b", Some("1"))], at(1_000), at(0)).await.unwrap();
        store.save_hosts(vec![row("c", Some("1"))], at(2_000), at(0)).await.unwrap();
        store.save_hosts(vec![row("b", Some("2"))], at(3_000), at(0)).await.unwrap();
        let names = |rows: Vec<(String, String)>| rows.into_iter().map(|(n, s)| n + &s).collect::<Vec<_>>();
        assert_eq!(names(store.hosts(2).await.unwrap()), ["b2", "c1"]);
        store.save_hosts(vec![row("c", None)], at(4_000), at(0)).await.unwrap();
        assert_eq!(names(store.hosts(9).await.unwrap()), ["b2", "a1"]);
        let asked = ["b", "none", "a"].map(str::to_owned);
        assert_eq!(names(store.hosts_named(&asked).await.unwrap()), ["b2", "a1"]);
        store.save_hosts(vec![row("d", Some("1"))], at(5_000), at(2_000)).await.unwrap();
        assert_eq!(names(store.hosts(9).await.unwrap()), ["d1", "b2"]);
    }
}
