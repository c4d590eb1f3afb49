//! `GET /datasets/v3/deliveries`: how deliveries stand, over all snapshots or of one.

use super::auth::Principal;
use super::delivery::status;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, optional};
use super::{Shared, ids_of};
use axum::Json;
use axum::extract::{RawQuery, State};
use model::{Cargo, DeliveryState, SnapshotId, limit};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{DeliveryFilter, ListedDelivery, StoreError};

pub(super) const LIST: &[Param] = &[
    optional("snapshot_id", Kind::Text, "Only deliveries of this snapshot."),
    optional("dataset_id", Kind::Text, "Only deliveries of snapshots of this dataset."),
    optional(
        "status",
        Kind::Word(&["running", "done", "failed", "canceled"]),
        "Only those that stand so; `running` is every one that has not ended.",
    ),
    optional("limit", Kind::Count(1, limit::DELIVERIES_MAX), "Rows at most; 100 if absent."),
];

/// Deliveries, the newest first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>> {
    let query = Query::read(raw.as_deref(), LIST)?;
    let snapshot = match query.text("snapshot_id") {
        None => None,
        Some(text) => {
            let id = SnapshotId::parse(text).ok_or_else(ApiError::no_snapshot)?;
            Some(shared.snapshot(&principal, id.as_str()).await?.id)
        }
    };
    let datasets = match query.text("dataset_id") {
        Some(dataset) => {
            principal.check(&shared, dataset)?;
            let mut ids = shared.catalogue.find(dataset).map(|s| ids_of(&s)).unwrap_or_default();
            if !ids.iter().any(|id| id == dataset) {
                ids.push(dataset.to_owned());
            }
            Some(ids)
        }
        // A token for some datasets sees theirs, under whatever name their snapshots have them.
        None => principal.datasets.as_ref().map(|own| {
            let known = own.iter().filter_map(|id| shared.catalogue.find(id)).flat_map(|s| ids_of(&s));
            own.iter().cloned().chain(known).collect()
        }),
    };
    let states = query.text("status").map(|word| match word {
        "done" => vec![DeliveryState::Done],
        "failed" => vec![DeliveryState::Failed],
        "canceled" => vec![DeliveryState::Canceled],
        _ => vec![DeliveryState::Held, DeliveryState::Waiting, DeliveryState::Leased],
    });
    let rows = query.count("limit").unwrap_or(limit::DELIVERIES_DEFAULT);
    let limit = usize::try_from(rows).unwrap_or(usize::MAX);
    let filter = DeliveryFilter { snapshot, datasets, states, limit };
    let listed = match shared.store.list_deliveries(filter).await {
        Err(StoreError::NotFound(_)) => return Err(ApiError::no_snapshot()),
        other => other?,
    };
    Ok(Json(listed.iter().map(row).collect()))
}

fn row(listed: &ListedDelivery) -> Value {
    let delivery = &listed.delivery;
    let (kind, place) = match &delivery.cargo {
        Cargo::Rows(promise) => (promise.destination.kind(), promise.destination.place()),
        Cargo::Notice(_) | Cargo::DeliveryNotice { .. } => ("notify", "a notification".to_owned()),
    };
    json!({
        "id": delivery.id.as_str(),
        "snapshot_id": delivery.snapshot.as_str(),
        "dataset_id": listed.dataset,
        "type": kind,
        "destination": place,
        "status": status(delivery.state),
        "state": delivery.state.as_str(),
        "parts_done": delivery.parts_done,
        "attempts_failed": delivery.failures,
        "error": delivery.last_error,
        "next_attempt": listed.due.map(|due| due.to_string()),
        "created": delivery.created_at.to_string(),
    })
}
