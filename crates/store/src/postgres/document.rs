//! Small documents that people make over the API, kept under a kind and a name. Must not know: what the text means.

use super::sql::{count, get, int, len};
use super::tx::Tx;
use crate::{Document, Put, Result};

/// One statement each, so that of two writers over the same version the second changes nothing.
pub(super) async fn put(tx: &Tx, kind: &str, name: &str, text: Option<&str>, over: Put) -> Result<bool> {
    let changed = match (text, over) {
        (Some(text), Put::Anyway) => {
            tx.exec(
                "INSERT INTO document VALUES ($1, $2, 1, $3) ON CONFLICT (kind, name)
                     DO UPDATE SET version = document.version + 1, text = excluded.text",
                &[&kind, &name, &text],
            )
            .await?
        }
        (Some(text), Put::Over(0)) => {
            tx.exec(
                "INSERT INTO document VALUES ($1, $2, 1, $3) ON CONFLICT DO NOTHING",
                &[&kind, &name, &text],
            )
            .await?
        }
        (Some(text), Put::Over(version)) => {
            tx.exec(
                "UPDATE document SET version = version + 1, text = $3 WHERE kind = $1 AND name = $2 AND version = $4",
                &[&kind, &name, &text, &int(version)],
            )
            .await?
        }
        (None, Put::Anyway) => {
            tx.exec("DELETE FROM document WHERE kind = $1 AND name = $2", &[&kind, &name]).await?;
            1
        }
        (None, Put::Over(0)) => {
            let there = tx.one("SELECT 1 FROM document WHERE kind = $1 AND name = $2", &[&kind, &name]).await?;
            u64::from(there.is_none())
        }
        (None, Put::Over(version)) => {
            tx.exec(
                "DELETE FROM document WHERE kind = $1 AND name = $2 AND version = $3",
                &[&kind, &name, &int(version)],
            )
            .await?
        }
    };
    Ok(changed == 1)
}

pub(super) async fn list(tx: &Tx, kind: &str, after: &str, limit: usize) -> Result<Vec<Document>> {
    let rows = tx
        .all(
            "SELECT name, version, text FROM document WHERE kind = $1 AND name > $2 ORDER BY name LIMIT $3",
            &[&kind, &after, &len(limit)],
        )
        .await?;
    rows.iter().map(|r| Ok(Document { name: get(r, 0)?, version: count(r, 1)?, text: get(r, 2)? })).collect()
}
