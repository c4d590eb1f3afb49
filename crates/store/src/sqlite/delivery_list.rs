//! Deliveries in a list: without their files, of which there can be many.

use super::delivery::read_id;
use super::run::key_of;
use super::sql::{Sql, damaged, int, len, uint};
use crate::{DeliveryFilter, ListedDelivery, Result};
use model::{Delivery, DeliveryState, Timestamp, limit};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// A row as it is read: what has to be parsed yet, and the rest.
struct Row {
    id: String,
    snapshot: String,
    cargo: String,
    state: String,
    due: i64,
    dataset: String,
    numbers: (u64, u32),
    failing_since: Option<i64>,
    last_error: Option<String>,
    created_at: i64,
}

pub(super) fn list(conn: &Connection, filter: &DeliveryFilter) -> Result<Vec<ListedDelivery>> {
    let mut values: Vec<Value> = Vec::new();
    // The newest few of all: a state that is rare must not make the list read everything that ever was.
    let from = match &filter.snapshot {
        Some(id) => {
            values.push(Value::Integer(key_of(conn, id)?));
            "delivery WHERE snapshot = ?".to_owned()
        }
        None => {
            values.push(Value::Integer(int(limit::DELIVERIES_SEEN)));
            "delivery ORDER BY k DESC LIMIT ?".to_owned()
        }
    };
    let mut terms = vec!["1".to_owned()];
    let mut one_of = |column: &str, words: Vec<String>| {
        let marks = vec!["?"; words.len()].join(", ");
        terms.push(format!("{column} IN ({marks})"));
        values.extend(words.into_iter().map(Value::Text));
    };
    if let Some(states) = &filter.states {
        one_of("d.state", states.iter().map(|state| state.as_str().to_owned()).collect());
    }
    if let Some(datasets) = &filter.datasets {
        one_of("s.dataset", datasets.clone());
    }
    values.push(Value::Integer(len(filter.limit)));
    let sql = format!(
        "SELECT d.id, s.id, d.cargo, d.state, d.due, s.dataset, d.parts_done, d.failures, d.failing_since, d.last_error,
                d.created_at
         FROM (SELECT * FROM {from}) d JOIN snapshot s ON s.k = d.snapshot
         WHERE {} ORDER BY d.k DESC LIMIT ?",
        terms.join(" AND ")
    );
    let rows = conn.all(&sql, params_from_iter(values.iter()), |r| {
        Ok(Row {
            id: r.get(0)?,
            snapshot: r.get(1)?,
            cargo: r.get(2)?,
            state: r.get(3)?,
            due: r.get(4)?,
            dataset: r.get(5)?,
            numbers: (uint(r.get(6)?), r.get(7)?),
            failing_since: r.get(8)?,
            last_error: r.get(9)?,
            created_at: r.get(10)?,
        })
    })?;
    rows.into_iter().map(listed).collect()
}

fn listed(row: Row) -> Result<ListedDelivery> {
    let state = DeliveryState::parse(&row.state);
    let state = state.ok_or_else(|| damaged(format!("`{}` is no delivery state", row.state)))?;
    let delivery = Delivery {
        id: read_id(&row.id)?,
        snapshot: super::run::read_id(&row.snapshot)?,
        cargo: serde_json::from_str(&row.cargo).map_err(damaged)?,
        state,
        parts_done: row.numbers.0,
        failures: row.numbers.1,
        failing_since: row.failing_since.map(Timestamp::from_ms),
        last_error: row.last_error,
        files: Vec::new(),
        created_at: Timestamp::from_ms(row.created_at),
    };
    let due = (state == DeliveryState::Waiting).then(|| Timestamp::from_ms(row.due));
    Ok(ListedDelivery { delivery, dataset: row.dataset, due })
}
