//! Managing runs: cancel, rerun, the list, the log.

use super::auth::Principal;
use super::changes::settle_since;
use super::error::{ApiError, Result};
use super::ingest::Writer;
use super::progress::status;
use super::query::{Kind, Param, Query, optional, required};
use super::submit::{SCHEDULED, commit, find, not_too_many, origin};
use super::{Shared, ids_of};
use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use model::{Door, Snapshot, SnapshotId, SnapshotState, limit};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{SnapshotFilter, StoreError};

pub(super) const LIST: &[Param] = &[
    required("dataset_id", Kind::Text, "Which scraper: its dataset id, an alias of it, or its name."),
    optional(
        "status",
        Kind::Word(&["starting", "running", "ready", "failed", "canceled"]),
        "Only in this state.",
    ),
    optional("skip", Kind::Count(0, i64::MAX as u64), "Snapshots to pass over."),
    optional("limit", Kind::Count(1, limit::LIST_ROWS_MAX), "Snapshots at most; 1000 if absent."),
    optional("from_date", Kind::Date, "Created then or later."),
    optional("to_date", Kind::Date, "Created then or before; a day counts to its end."),
    optional("with_total", Kind::Flag, "Say in X-Total-Count how many there are."),
    optional("trigger_type", Kind::Word(&["ALL", "CP", "API", "SCHEDULE"]), "How they were triggered."),
];

const DAY_MS: i64 = 86_400_000;

/// Stops a run; what was collected is kept.
pub(super) async fn cancel(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<&'static str> {
    let snapshot = shared.snapshot(&principal, &id).await?;
    match shared.store.cancel(&snapshot.id, shared.clock.now()).await {
        Ok(()) => Ok("OK"),
        Err(StoreError::Conflict(_)) => Err(ApiError::bad("Snapshot is not running")),
        Err(error) => Err(error.into()),
    }
}

pub(super) const RERUN: &[Param] = &[optional(
    "from",
    Kind::Word(&["archive"]),
    "`archive`: read the pages that the snapshot kept, and ask no site.",
)];

/// The same inputs and options again, by the scraper's present version.
pub(super) async fn rerun(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>> {
    let (parts, _) = request.into_parts();
    let query = Query::read(parts.uri.query(), RERUN)?;
    let missing = || ApiError::missing("snapshot not found");
    let id = SnapshotId::parse(&id).ok_or_else(missing)?;
    let old = match shared.store.snapshot(&id).await {
        Err(StoreError::NotFound(_)) => return Err(missing()),
        other => other?,
    };
    if old.state == SnapshotState::Expired || old.state == SnapshotState::Starting {
        return Err(ApiError::bad("Snapshot's inputs storage is expired and no longer available"));
    }
    let scraper = find(&shared, &principal, &old.trigger.dataset_id.0)?;
    let replay = query.text("from") == Some("archive");
    if replay && !shared.archive.is_kept(&old.id).await.map_err(ApiError::internal)?.0 {
        return Err(ApiError::bad("The pages of this snapshot were not kept"));
    }
    let lends =
        !principal.owns(&old.trigger.origin.token) && old.trigger.wishes.request_headers.has_secrets();
    if lends && !replay {
        return Err(ApiError::forbidden(
            "The request_headers of this snapshot may hold another token's credentials; trigger it with your own",
        ));
    }
    not_too_many(&shared, &scraper).await?;
    shared.catalogue.pin(&scraper).await.map_err(ApiError::unavailable)?;
    let now = shared.clock.now();
    let mut trigger = old.trigger.clone();
    scraper.version().clone_into(&mut trigger.scraper_version);
    scraper.name().clone_into(&mut trigger.scraper);
    trigger.origin = origin(&parts, &principal);
    trigger.express = false;
    if lends {
        // They are of no use to a replay, and would be this token's own afterwards.
        trigger.wishes.request_headers.drop_secrets();
    }
    // A replay refers to what was kept; run against the sites again, it keeps pages of its own.
    trigger.wishes.replay = replay.then(|| old.id.clone());
    // A deadline is so far from the beginning; the same distance again.
    trigger.deadline = old.trigger.deadline.map(|at| now.plus_ms(at.ms() - old.created_at.ms()));
    settle_since(&shared, &principal, &mut trigger, None, now).await?;
    let mut writer = Writer::new(shared.store.clone(), shared.new_snapshot_id(now), trigger.clone(), now);
    if writer.copy(&old.id, trigger.limit_per_input.is_some()).await? == 0 {
        writer.discard().await;
        return Err(ApiError::bad("Snapshot's inputs storage is expired and no longer available"));
    }
    let id = commit(&shared, writer, trigger, None, now).await?;
    Ok(Json(json!({ "snapshot_id": id.as_str() })))
}

/// Runs of a dataset, newest first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let query = Query::read(raw.as_deref(), LIST)?;
    let dataset = query.text("dataset_id").ok_or_else(|| ApiError::option("\"dataset_id\" is required"))?;
    principal.check(&shared, dataset)?;
    let mut datasets = shared.catalogue.find(dataset).map(|scraper| ids_of(&scraper)).unwrap_or_default();
    if !datasets.iter().any(|id| id == dataset) {
        datasets.push(dataset.to_owned());
    }
    use SnapshotState as S;
    let states = Some(match query.text("status") {
        // Neither what is still being taken in, and may yet be refused, nor what is gone.
        None => {
            vec![S::Running, S::Expiring, S::Cancelling, S::Ready, S::Quarantined, S::Failed, S::Canceled]
        }
        Some(word) => match word {
            "starting" => vec![S::Starting],
            "running" => vec![S::Running, S::Expiring],
            "ready" => vec![S::Ready],
            "failed" => vec![S::Failed, S::Quarantined],
            _ => vec![S::Cancelling, S::Canceled],
        },
    });
    let filter = SnapshotFilter {
        datasets: Some(datasets),
        states,
        from: query.date("from_date").map(|(at, _)| at),
        to: query.date("to_date").map(|(at, is_day)| at.plus_ms(if is_day { DAY_MS } else { 1 })),
        origin: query.text("trigger_type").filter(|word| *word != "ALL").map(str::to_owned),
        skip: query.count("skip").unwrap_or(0),
        limit: query.count("limit").unwrap_or(limit::LIST_ROWS_DEFAULT),
    };
    let (snapshots, total) = shared.store.snapshots(filter).await?;
    let rows: Vec<Value> = snapshots
        .iter()
        .map(|snapshot| {
            let mut row = json!({
                "id": snapshot.id.as_str(),
                "created": snapshot.created_at.to_string(),
                "status": status(snapshot.state),
                "dataset_id": snapshot.trigger.dataset_id.0,
                "dataset_size": snapshot.counts.records,
                "errors": snapshot.counts.errors,
                "trigger": { "type": snapshot.trigger.origin.kind },
                "scraper_version": snapshot.trigger.scraper_version,
            });
            if let Some(id) = schedule_of(snapshot) {
                row["schedule_id"] = json!(id);
            }
            if let Some(grade) = snapshot.grade() {
                row["quality"] = json!(grade.as_str());
            }
            if snapshot.state == S::Quarantined {
                row["quarantined"] = json!(true);
            }
            row
        })
        .collect();
    let mut response = Json(rows).into_response();
    if query.flag("with_total") {
        response.headers_mut().insert(HeaderName::from_static("x-total-count"), total.into());
    }
    Ok(response)
}

/// The schedule that began it.
pub(super) fn schedule_of(snapshot: &Snapshot) -> Option<&str> {
    let origin = &snapshot.trigger.origin;
    (origin.kind == SCHEDULED).then_some(origin.user.as_str())
}

/// What was asked and how it went (api.md 6.6; capitals as documented).
pub(super) async fn log(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let snapshot =
        shared.snapshot(&principal, &id).await.map_err(|error| error.renamed("Snapshot not found"))?;
    let scraper = shared.scraper_of(&snapshot).await;
    let (trigger, counts) = (&snapshot.trigger, &snapshot.counts);
    let end = snapshot.finished_at.unwrap_or_else(|| shared.clock.now());
    let duration = end.ms_since(snapshot.created_at);
    let rows = counts.records + counts.errors;
    let collector = match &trigger.door {
        Door::Collect => Value::Null,
        Door::Discover(by) => json!(by),
    };
    let mut body = json!({
        "id": snapshot.id.as_str(),
        "created": snapshot.created_at.to_string(),
        "Status": status(snapshot.state),
        "dataset_name": scraper.as_ref().map_or(trigger.scraper.as_str(), |s| s.title()),
        "scraper_name": trigger.scraper,
        "Dataset_size": counts.records,
        "Inputs_count": counts.given,
        "Dataset_id": trigger.dataset_id.0,
        "Discovery_collector_id": collector,
        "file_size": snapshot.plain_bytes,
        "trigger": {
            "type": trigger.origin.kind,
            "user": trigger.origin.user,
            "ip": trigger.origin.ip,
            "trigger_url": trigger.origin.trigger_url,
            "ts": snapshot.created_at.to_string(),
        },
        "Duration": duration,
        "Duration_per_input": duration / counts.given.max(1),
        "Success_rate": (counts.records * 100).checked_div(rows).unwrap_or(100),
    });
    body["scraper_version"] = json!(trigger.scraper_version);
    if let Some(id) = schedule_of(&snapshot) {
        body["schedule_id"] = json!(id);
    }
    if let Some(quality) = &snapshot.quality {
        body["quality"] = json!(quality.grade.as_str());
        body["quality_reasons"] = json!(quality.reasons);
        body["quarantined"] = json!(snapshot.state == SnapshotState::Quarantined);
    }
    Ok(Json(body))
}
