//! `POST /datasets/v3/trigger` and `/scrape`.

use super::auth::Principal;
use super::error::{ApiError, Result};
use super::options::{SCRAPE, TRIGGER};
use super::submit::submit;
use super::{Shared, snapshot};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use model::{Format, Snapshot, SnapshotId, SnapshotState};
use serde_json::{Value, json};
use std::sync::Arc;
use store::Change;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Seconds after which a caller may look again.
const RETRY_SECS: &str = "10";

/// Begins a job.
pub(super) async fn trigger(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    request: Request,
) -> Result<Json<Value>> {
    let submitted = submit(&shared, &principal, request, TRIGGER, None).await?;
    Ok(Json(json!({ "snapshot_id": submitted.id.as_str() })))
}

/// Begins a job and waits for its rows.
pub(super) async fn scrape(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    request: Request,
) -> Result<Response> {
    let changes = shared.store.subscribe();
    let most = shared.settings.sync_inputs_max;
    let submitted = submit(&shared, &principal, request, SCRAPE, Some(most)).await?;
    let format = submitted.format.unwrap_or(Format::Ndjson);
    let ended = tokio::time::timeout(shared.settings.sync_wait, ended(&shared, &submitted.id, changes)).await;
    match ended {
        Ok(snapshot) => {
            let snapshot = snapshot?;
            match snapshot.state {
                SnapshotState::Ready => snapshot::rows(&shared, &snapshot, format, None, false, false).await,
                _ => Err(ApiError::bad(snapshot::why_not(&snapshot))),
            }
        }
        Err(_) => Ok(in_progress(&submitted.id)),
    }
}

/// Waits for the end of a run.
async fn ended(shared: &Shared, id: &SnapshotId, mut changes: Receiver<Change>) -> Result<Snapshot> {
    loop {
        let snapshot = shared.store.snapshot(id).await?;
        if snapshot.state.is_terminal() {
            return Ok(snapshot);
        }
        loop {
            match changes.recv().await {
                Ok(Change::Snapshot(changed)) if changed == *id => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Err(ApiError::unavailable("the store was closed")),
            }
        }
    }
}

fn in_progress(id: &SnapshotId) -> Response {
    let message = "Your request is still in progress and cannot be retrieved in this call. Use the provided Snapshot ID \
                   to track progress via the Monitor Snapshot endpoint and download it once ready via the Download \
                   Snapshot endpoint.";
    let body = Json(json!({ "snapshot_id": id.as_str(), "message": message }));
    (StatusCode::ACCEPTED, [(RETRY_AFTER.as_str(), RETRY_SECS), ("x-snapshot-id", id.as_str())], body)
        .into_response()
}
