//! `GET /datasets/v3/snapshot/{id}/archive`: the pages of a run as one WARC file.

use super::Shared;
use super::auth::Principal;
use super::error::{ApiError, Result};
use super::query::{Param, Query};
use super::snapshot::{QUARANTINED, is_given, not_ready, set, why_not};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt;
use model::SnapshotState;
use std::sync::Arc;

pub(super) const DOWNLOAD: &[Param] = &[QUARANTINED];

/// Every part, one behind the other, as it lies in the bucket.
pub(super) async fn download(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let query = Query::read(raw.as_deref(), DOWNLOAD)?;
    let snapshot = shared.snapshot(&principal, &id).await?;
    match snapshot.state {
        SnapshotState::Starting | SnapshotState::Running | SnapshotState::Expiring => return Ok(not_ready()),
        _ if is_given(&snapshot, &query) => {}
        _ => return Err(ApiError::bad(why_not(&snapshot))),
    }
    let (_, is_own) = shared.archive.is_kept(&snapshot.id).await.map_err(ApiError::internal)?;
    if !is_own {
        return Err(ApiError::missing(match &snapshot.trigger.wishes.replay {
            Some(from) => format!("This snapshot read the pages that {from} kept, and has none of its own"),
            None => "The pages of this snapshot were not kept".to_owned(),
        }));
    }
    let stream = shared.archive.stream(&snapshot.id);
    let body = stream.inspect_err(|error| tracing::error!(%error, "a download of an archive broke off"));
    let mut response = Body::from_stream(body).into_response();
    set(&mut response, CONTENT_TYPE, "application/gzip");
    set(&mut response, CONTENT_DISPOSITION, &format!("attachment; filename=\"{}.warc.gz\"", snapshot.id));
    Ok(response)
}
