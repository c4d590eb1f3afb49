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

#[cfg(test)]
mod tests {
    use crate::{Document, Put, SqliteStore, Store};

    #[tokio::test]
    async fn a_document_is_replaced_only_by_who_has_read_it() {
        let store = SqliteStore::in_memory().unwrap();
        let put = async |name: &str, text: Option<&str>, over| {
            store.put_document("schedule", name, text.map(str::to_owned), over).await.unwrap()
        };
        assert!(put("a", Some("1"), Put::Over(0)).await);
        assert!(!put("a", Some("2"), Put::Over(0)).await, "it is there already");
        assert!(put("a", Some("2"), Put::Over(1)).await);
        assert!(!put("a", None, Put::Over(1)).await, "it has changed since");
        assert!(put("b", Some("x"), Put::Anyway).await);
        let all = store.documents("schedule", "", 9).await.unwrap();
        let document =
            |name: &str, version, text: &str| Document { name: name.into(), version, text: text.into() };
        assert_eq!(all, [document("a", 2, "2"), document("b", 1, "x")]);
        assert_eq!(store.documents("schedule", "a", 9).await.unwrap(), all[1..]);
        assert!(store.documents("other", "", 9).await.unwrap().is_empty());
        assert!(put("a", None, Put::Over(2)).await);
        assert_eq!(store.documents("schedule", "", 9).await.unwrap(), all[1..]);
    }
}
