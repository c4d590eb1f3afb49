//! `POST /datasets/v3/deliver/{id}`, `GET /datasets/v3/delivery/{id}` and `POST …/retry`.

use super::auth::Principal;
use super::body::Source;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, optional};
use super::submit::possible;
use super::{Shared, destination, options, snapshot};
use crate::rows::{Range, Rows};
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_ENCODING;
use model::{Cargo, Delivery, DeliveryId, DeliveryState, limit};
use serde_json::{Value, json};
use std::sync::Arc;
use store::StoreError;

pub(super) const DELIVER: &[Param] = &[
    optional("notify", Kind::Url, "Address that is told when the delivery has ended."),
    snapshot::QUARANTINED,
];

/// Bytes of a `deliver` body: a few words and credentials.
const BODY_BYTES: u64 = 256 * 1024;

/// Delivers a snapshot once more.
pub(super) async fn deliver(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>> {
    let (parts, body) = request.into_parts();
    let query = Query::read(parts.uri.query(), DELIVER)?;
    let run = shared.snapshot(&principal, &id).await?;
    let encoding = parts.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let text = Source::new(body, encoding, shared.bounds())?.all(BODY_BYTES).await?;
    if text.trim_ascii().is_empty() {
        return Err(ApiError::bad("Deliver options are missing"));
    }
    let body: Value = serde_json::from_slice(&text).map_err(ApiError::parse)?;
    let options = body.get("deliver").ok_or_else(|| ApiError::bad("Deliver options are missing"))?;
    let mut promise = destination::promise(options)?;
    match body.get("compress") {
        None | Some(Value::Null) => {}
        Some(Value::Bool(compress)) => promise.compress = *compress,
        Some(_) => return Err(ApiError::option("\"compress\" must be a boolean")),
    }
    match body.get("batch_size") {
        None | Some(Value::Null) => {}
        Some(value) => match value.as_u64() {
            Some(rows) if rows >= limit::BATCH_ROWS_MIN => promise.batch_size = Some(rows),
            _ => {
                return Err(ApiError::bad(format!(
                    "Batch size should be at least {}",
                    limit::BATCH_ROWS_MIN
                )));
            }
        },
    }
    promise.notify = query.text("notify").map(str::to_owned);
    if promise.notify.as_deref().is_some_and(|address| destination::without_login(address).1.is_some()) {
        return Err(ApiError::option("\"notify\" must not have a user and password in it"));
    }
    possible(&shared, &promise)?;
    shared.courier.vault().seal(promise.destination.credentials_mut()).map_err(ApiError::internal)?;
    if !snapshot::is_given(&run, &query) {
        return Err(ApiError::bad(snapshot::why_not(&run)));
    }
    let shape = Rows::shape(&run, None, promise.format, false);
    if let Some(why) = Rows::refusal(&run, &shape, Range::part(0, promise.batch_size.unwrap_or(u64::MAX))) {
        return Err(ApiError::bad(why));
    }
    let delivery = options::delivery(
        Cargo::Rows(promise),
        &run.id,
        DeliveryState::Waiting,
        shared.clock.now(),
        shared.clock.random(),
    );
    let id = delivery.id.clone();
    shared.store.promise(delivery).await?;
    Ok(Json(json!({ "id": id.as_str(), "delivery_id": id.as_str() })))
}

/// Takes a delivery up again that has failed, from the part that failed on.
pub(super) async fn retry(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let delivery = find(&shared, &principal, &id).await?;
    match shared.store.redeliver(&delivery.id, shared.clock.now()).await {
        Err(StoreError::Conflict(why)) => {
            Err(ApiError::new(StatusCode::CONFLICT, format!("Cannot be retried: {why}")))
        }
        other => {
            other?;
            Ok(Json(json!({ "id": delivery.id.as_str(), "status": "running" })))
        }
    }
}

/// The delivery of that id, if the caller may see it.
async fn find(shared: &Shared, principal: &Principal, id: &str) -> Result<Delivery> {
    let missing = || ApiError::missing("Delivery does not exist");
    let id = DeliveryId::parse(id).ok_or_else(missing)?;
    let delivery = match shared.store.delivery(&id).await {
        Err(StoreError::NotFound(_)) => return Err(missing()),
        other => other?,
    };
    let run = shared.store.snapshot(&delivery.snapshot).await?;
    principal.check(shared, &run.trigger.dataset_id.0)?;
    Ok(delivery)
}

/// Where a delivery stands.
pub(super) async fn delivery(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let delivery = find(&shared, &principal, &id).await?;
    let files: Vec<Value> = delivery
        .files
        .iter()
        .map(|file| json!({ "filename": file.filename, "delivery_ts": file.at.ms() / 1_000, "rows": file.rows }))
        .collect();
    let mut body = json!({
        "id": delivery.id.as_str(), "status": status(delivery.state), "snapshot_id": delivery.snapshot.as_str(),
        "delivery_files": files, "attempts_failed": delivery.failures,
    });
    if let Some(error) = &delivery.last_error
        && delivery.state != DeliveryState::Done
    {
        body["error"] = json!(error);
    }
    Ok(Json(body))
}

/// The word of a state (api.md 8.2, 15.8).
pub(super) fn status(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Done => "done",
        DeliveryState::Failed => "failed",
        DeliveryState::Canceled => "canceled",
        DeliveryState::Held | DeliveryState::Waiting | DeliveryState::Leased => "running",
    }
}
