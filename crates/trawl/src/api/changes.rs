//! `GET /datasets/v3/snapshot/{id}/changes`: what became of the records since an earlier run; and which run that is.

use super::auth::Principal;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, optional};
use super::snapshot::{COMPRESS, FORMAT, GUARD, QUARANTINED, is_given, set, takes_gzip, why_not};
use super::{Shared, ids_of};
use crate::changes::{Between, Layout};
use crate::rows::Rows;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use format::Shape;
use futures_util::TryStreamExt;
use model::Column;
use model::diff::ChangeKind;
use model::{Format, Snapshot, SnapshotId, SnapshotState, Timestamp, Trigger};
use serde_json::json;
use std::sync::Arc;
use store::SnapshotFilter;

/// Runs looked at in one step, and in all, for the last one of the same kind.
const STEP: u64 = 50;
const LOOKED_AT: u64 = 1_000;

pub(super) const CHANGES: &[Param] = &[
    optional(
        "since",
        Kind::Text,
        "The earlier snapshot; if absent, the last ready one of the same dataset and door before this one.",
    ),
    optional(
        "kinds",
        Kind::Words(&["added", "changed", "unchanged", "removed"]),
        "Which changes, separated by commas; `added,changed,removed` if absent.",
    ),
    optional("summary", Kind::Flag, "Only how many records were added, changed, unchanged and removed."),
    FORMAT,
    COMPRESS,
    GUARD,
    QUARANTINED,
];

/// The changes, as rows or as counts.
pub(super) async fn changes(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let query = Query::read(raw.as_deref(), CHANGES)?;
    let snapshot = shared.snapshot(&principal, &id).await?;
    let since = match query.text("since") {
        Some(text) => Some(earlier(&shared, &principal, text, &snapshot.trigger).await?),
        None => previous(&shared, &snapshot.trigger, snapshot.created_at, Some(&snapshot.id)).await?,
    };
    for snapshot in [Some(&snapshot), since.as_ref()].into_iter().flatten() {
        if !is_given(snapshot, &query) {
            return Err(ApiError::bad(why_not(snapshot)));
        }
    }
    let scraper = shared.scraper_of(&snapshot).await;
    let between = Between {
        before: since.as_ref().map(|since| since.id.clone()),
        after: snapshot.id.clone(),
        key: scraper.as_ref().map(|scraper| scraper.key().to_vec()).unwrap_or_default(),
    };
    let since_id = between.before.as_ref().map(SnapshotId::as_str).unwrap_or_default().to_owned();
    if query.flag("summary") {
        let counts = shared.changes.counts(between).await.map_err(ApiError::internal)?;
        let body = json!({
            "snapshot_id": snapshot.id.as_str(),
            "since": since.as_ref().map(|since| since.id.as_str()),
            "added": counts.added,
            "changed": counts.changed,
            "unchanged": counts.unchanged,
            "removed": counts.removed,
            // Inputs that could not be read: their records are told as removed.
            "errors": snapshot.counts.errors,
        });
        return Ok(Json(body).into_response());
    }
    let kinds: Vec<ChangeKind> = match query.text("kinds") {
        Some(words) => {
            let said = |kind: &ChangeKind| words.split(',').any(|word| word.trim() == kind.as_str());
            ChangeKind::ALL.into_iter().filter(said).collect()
        }
        None => vec![ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed],
    };
    let format = query.format().unwrap_or_default();
    let shape = |snapshot: &Snapshot| {
        Rows::shape(snapshot, scraper.as_deref(), format, query.flag("csv_formula_guard"))
    };
    let layout = match (shape(&snapshot), since.as_ref().map(shape)) {
        (Shape::Csv { columns, formula_guard }, before) => {
            let own = ["change", "changed_fields"].map(str::to_owned);
            let mut columns: Vec<String> = own.into_iter().chain(columns).collect();
            if let Some(Shape::Csv { columns: before, .. }) = before {
                columns.extend(before);
            }
            Layout::Flat(Shape::Csv { columns, formula_guard })
        }
        (Shape::Xlsx { columns }, before) => {
            let own = ["change", "changed_fields"].map(str::to_owned);
            let mut columns: Vec<String> = own.into_iter().chain(columns).collect();
            if let Some(Shape::Xlsx { columns: before }) = before {
                columns.extend(before);
            }
            Layout::Flat(Shape::Xlsx { columns })
        }
        (Shape::Parquet { columns }, before) => {
            let own = [("change", model::ColumnKind::Text), ("changed_fields", model::ColumnKind::Json)];
            let own = own.map(|(name, kind)| Column { name: name.to_owned(), kind });
            let mut columns: Vec<Column> = own.into_iter().chain(columns).collect();
            if let Some(Shape::Parquet { columns: before }) = before {
                columns.extend(before);
            }
            Layout::Flat(Shape::Parquet { columns })
        }
        (shape, _) => Layout::Nested(shape),
    };
    let packed = query.flag("compress");
    let gzip = packed || (takes_gzip(&headers) && !format.is_packed());
    let stream = shared.changes.stream(between, kinds, layout, gzip);
    let stream = stream.inspect_err(|error| tracing::error!(%error, "a comparison broke off"));
    let mut response = Body::from_stream(stream).into_response();
    set(&mut response, HeaderName::from_static("x-snapshot-id"), snapshot.id.as_str());
    set(&mut response, HeaderName::from_static("x-since"), &since_id);
    name(&mut response, &snapshot, format, packed, gzip);
    Ok(response)
}

fn name(response: &mut Response, snapshot: &Snapshot, format: Format, packed: bool, gzip: bool) {
    if packed {
        set(response, CONTENT_TYPE, "application/gzip");
        let name = format!("attachment; filename=\"{}.changes.{}.gz\"", snapshot.id, format.as_str());
        set(response, CONTENT_DISPOSITION, &name);
        return;
    }
    set(response, CONTENT_TYPE, format.content_type());
    set(response, VARY, "accept-encoding");
    if gzip {
        set(response, CONTENT_ENCODING, "gzip");
    }
}

/// An earlier run that the caller names: of the same scraper, and one that the caller may see.
async fn earlier(shared: &Shared, principal: &Principal, text: &str, trigger: &Trigger) -> Result<Snapshot> {
    let since = shared.snapshot(principal, text).await?;
    if since.trigger.scraper != trigger.scraper {
        return Err(ApiError::option("\"since\" must be a snapshot of the same dataset"));
    }
    Ok(since)
}

/// The last ready run of the same kind that was accepted before a moment.
async fn previous(
    shared: &Shared,
    trigger: &Trigger,
    before: Timestamp,
    not: Option<&SnapshotId>,
) -> Result<Option<Snapshot>> {
    let mut datasets = shared.catalogue.find(&trigger.scraper).map(|s| ids_of(&s)).unwrap_or_default();
    datasets.push(trigger.dataset_id.0.clone());
    let mut skip = 0;
    while skip < LOOKED_AT {
        let filter = SnapshotFilter {
            datasets: Some(datasets.clone()),
            states: Some(vec![SnapshotState::Ready]),
            to: Some(before.plus_ms(1)),
            skip,
            limit: STEP,
            ..SnapshotFilter::default()
        };
        let (found, _) = shared.store.snapshots(filter).await?;
        if found.is_empty() {
            break;
        }
        let alike =
            |run: &Snapshot| run.trigger.alike() == trigger.alike() && not.is_none_or(|not| run.id < *not);
        if let Some(run) = found.into_iter().find(alike) {
            return Ok(Some(run));
        }
        skip += STEP;
    }
    Ok(None)
}

/// Which run a trigger that wants only what changed is compared with: the one it names, or the last ready one.
pub(super) async fn settle_since(
    shared: &Shared,
    principal: &Principal,
    trigger: &mut Trigger,
    named: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    if !trigger.wishes.only_changed {
        return Ok(());
    }
    let since = match named {
        Some(text) => {
            let since = earlier(shared, principal, text, trigger).await?;
            if since.state != SnapshotState::Ready {
                return Err(ApiError::option(format!(
                    "\"since\" cannot be compared with: {}",
                    why_not(&since)
                )));
            }
            Some(since)
        }
        None => previous(shared, trigger, now, None).await?,
    };
    trigger.wishes.since = since.map(|since| since.id);
    Ok(())
}
