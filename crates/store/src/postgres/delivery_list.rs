//! Deliveries in a list: without their files, of which there can be many.

use super::delivery::read_id;
use super::run::{key_of, read_id as read_run_id};
use super::sql::{count, damaged, get, int, len, moment};
use super::tx::Tx;
use crate::{DeliveryFilter, ListedDelivery, Result};
use model::{Delivery, DeliveryState, Timestamp, limit};
use tokio_postgres::Row;

pub(super) async fn list(tx: &Tx, filter: &DeliveryFilter) -> Result<Vec<ListedDelivery>> {
    // The newest few of all: a state that is rare must not make the list read everything that ever was.
    let (from, first) = match &filter.snapshot {
        Some(id) => ("WHERE snapshot = $1", key_of(tx, id).await?),
        None => ("ORDER BY k DESC LIMIT $1", int(limit::DELIVERIES_SEEN)),
    };
    let states: Option<Vec<&str>> =
        filter.states.as_ref().map(|states| states.iter().map(|state| state.as_str()).collect());
    let sql = format!(
        "SELECT d.id, s.id, d.cargo, d.state, d.due, s.dataset, d.parts_done, d.failures, d.failing_since, d.last_error,
                d.created_at
         FROM (SELECT * FROM delivery {from}) d JOIN snapshot s ON s.k = d.snapshot
         WHERE ($2::text[] IS NULL OR d.state = ANY ($2)) AND ($3::text[] IS NULL OR s.dataset = ANY ($3))
         ORDER BY d.k DESC LIMIT $4"
    );
    let rows = tx.all(&sql, &[&first, &states, &filter.datasets, &len(filter.limit)]).await?;
    rows.iter().map(listed).collect()
}

fn listed(row: &Row) -> Result<ListedDelivery> {
    let state: &str = get(row, 3)?;
    let state =
        DeliveryState::parse(state).ok_or_else(|| damaged(format!("`{state}` is no delivery state")))?;
    let delivery = Delivery {
        id: read_id(get(row, 0)?)?,
        snapshot: read_run_id(get(row, 1)?)?,
        cargo: serde_json::from_str(get(row, 2)?).map_err(damaged)?,
        state,
        parts_done: count(row, 6)?,
        failures: u32::try_from(get::<i64>(row, 7)?).unwrap_or(u32::MAX),
        failing_since: moment(row, 8)?,
        last_error: get(row, 9)?,
        files: Vec::new(),
        created_at: Timestamp::from_ms(get(row, 10)?),
    };
    let due = if state == DeliveryState::Waiting { Some(Timestamp::from_ms(get(row, 4)?)) } else { None };
    Ok(ListedDelivery { delivery, dataset: get(row, 5)?, due })
}
