//! Delivery settings: the destination that a dataset's snapshots go to unless their trigger says otherwise, and tests of
//! destinations. An extension of the documented API, whose control panel has the same.

use super::auth::Principal;
use super::body::Source;
use super::error::{ApiError, Result};
use super::submit::{find, possible};
use super::{Shared, destination};
use crate::documents;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_ENCODING;
use extract::Scraper;
use model::Promise;
use serde_json::{Value, json};
use std::sync::Arc;
use store::{Document, Put};

/// Documents that hold a promise, by the dataset's id.
const KIND: &str = "destination";
/// Bytes of a body: a few words and a key.
const BODY_BYTES: u64 = 256 * 1024;

/// The default destination of a scraper's dataset.
pub(super) async fn of(shared: &Shared, scraper: &Scraper) -> Result<Option<Promise>> {
    documents::one(&*shared.store, KIND, scraper.dataset_id()).await?.as_ref().map(read).transpose()
}

fn read(document: &Document) -> Result<Promise> {
    serde_json::from_str(&document.text)
        .map_err(|error| ApiError::internal(format!("a damaged destination: {error}")))
}

fn none() -> ApiError {
    ApiError::missing("This dataset has no default destination")
}

/// The default destination, without its credentials.
pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(dataset): Path<String>,
) -> Result<Json<Value>> {
    let scraper = find(&shared, &principal, &dataset)?;
    let promise = of(&shared, &scraper).await?.ok_or_else(none)?;
    Ok(Json(told(&scraper, &promise)))
}

/// Sets the default destination.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(dataset): Path<String>,
    request: Request,
) -> Result<Json<Value>> {
    let scraper = find(&shared, &principal, &dataset)?;
    let promise = promise(&shared, request).await?;
    let text = serde_json::to_string(&promise).map_err(ApiError::internal)?;
    shared.store.put_document(KIND, scraper.dataset_id(), Some(text), Put::Anyway).await?;
    Ok(Json(told(&scraper, &promise)))
}

/// Forgets the default destination; deliveries that were promised before are kept.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(dataset): Path<String>,
) -> Result<Json<Value>> {
    let scraper = find(&shared, &principal, &dataset)?;
    if documents::one(&*shared.store, KIND, scraper.dataset_id()).await?.is_none() {
        return Err(none());
    }
    shared.store.put_document(KIND, scraper.dataset_id(), None, Put::Anyway).await?;
    Ok(Json(json!({ "dataset_id": scraper.dataset_id(), "deleted": true })))
}

fn told(scraper: &Scraper, promise: &Promise) -> Value {
    json!({ "dataset_id": scraper.dataset_id(), "deliver": destination::shown(promise) })
}

/// Tries a destination with a few bytes.
pub(super) async fn test(
    State(shared): State<Arc<Shared>>,
    _principal: Principal,
    request: Request,
) -> Result<Json<Value>> {
    let promise = promise(&shared, request).await?;
    let id = format!("{:016x}", shared.clock.random());
    let steps = shared.courier.probe(&promise.destination, &id).await.ok_or_else(|| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "Too many destinations are being tested, try again soon")
    })?;
    let failed = steps.iter().find(|step| step.error.is_some() && step.is_vital());
    let mut body = json!({
        "ok": failed.is_none(),
        "destination": promise.destination.place(),
        "steps": steps.iter().map(|step| {
            let mut told = json!({ "step": step.name, "ok": step.error.is_none() });
            if let Some(error) = &step.error {
                told["error"] = json!(error);
            }
            if let Some(note) = &step.note {
                told["note"] = json!(note);
            }
            told
        }).collect::<Vec<_>>(),
    });
    if let Some(step) = failed {
        body["failed_step"] = json!(step.name);
        body["error"] = json!(step.error);
    }
    Ok(Json(body))
}

/// The body's `deliver` object, or the body as one, as a promise that can be stored.
async fn promise(shared: &Shared, request: Request) -> Result<Promise> {
    let (parts, body) = request.into_parts();
    let encoding = parts.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let text = Source::new(body, encoding, shared.bounds())?.all(BODY_BYTES).await?;
    if text.trim_ascii().is_empty() {
        return Err(ApiError::bad("Deliver options are missing"));
    }
    let body: Value = serde_json::from_slice(&text).map_err(ApiError::parse)?;
    let mut promise = destination::promise(body.get("deliver").unwrap_or(&body))?;
    possible(shared, &promise)?;
    shared.courier.vault().seal(promise.destination.credentials_mut()).map_err(ApiError::internal)?;
    Ok(promise)
}
