//! `GET /datasets/v3/snapshot/{id}/explain`: where a record's values came from.
//!
//! With the page in the archive the answer is whole: what each rule found, where on the page, and in which record of the
//! archive the page lies. Without it there are the rules alone, and the answer says so.

use super::Shared;
use super::auth::Principal;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, optional};
use super::snapshot::{QUARANTINED, is_given, why_not};
use crate::archive::{ArchiveError, OfRow};
use crate::rows::{Range, Rows};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use extract::{ExplainError, Scraper};
use futures_util::TryStreamExt;
use model::{Format, Place, Snapshot, SnapshotId};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use store::{BucketError, StoreError};

pub(super) const EXPLAIN: &[Param] = &[
    optional(
        "record",
        Kind::Count(0, i64::MAX as u64),
        "Which record, from 0, in the order of the download; 0 if absent.",
    ),
    optional("field", Kind::Text, "Only this field, such as `price` or `offers[0].price`."),
    QUARANTINED,
];

/// Keys of a record that the server adds.
const ADDED: &[&str] =
    &["timestamp", "input", "discovery_input", "error", "error_code", "warning", "warning_code"];

/// The rules of the scraper's version that read the record, and what the record has.
pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>> {
    let query = Query::read(raw.as_deref(), EXPLAIN)?;
    let snapshot = shared.snapshot(&principal, &id).await?;
    if !is_given(&snapshot, &query) {
        return Err(ApiError::bad(why_not(&snapshot)));
    }
    let number = query.count("record").unwrap_or(0);
    let rows = snapshot.visible_rows();
    if number >= rows {
        let message = match rows {
            0 => "The snapshot has no records".to_owned(),
            _ => format!("\"record\" must be less than or equal to {}", rows - 1),
        };
        return Err(ApiError::option(message));
    }
    let Some(scraper) = shared.scraper_of(&snapshot).await else {
        let version = &snapshot.trigger.scraper_version;
        return Err(ApiError::missing(format!("Version {version} of the scraper is not kept")));
    };
    let record = record(&shared, &snapshot, &scraper, number).await?;
    let kept = shared.archive.of_row(&snapshot, number).await.map_err(ApiError::internal)?;
    if let Some(kept) = kept {
        let answer =
            from_page(&shared, &snapshot, scraper, &record, (number, kept), query.text("field")).await?;
        return Ok(Json(answer));
    }
    let fields = match query.text("field") {
        Some(name) => vec![field(&scraper, &record, name)?],
        None => {
            let names = scraper.fields().iter().map(|f| f.name.as_str());
            names.map(|name| field(&scraper, &record, name)).collect::<Result<Vec<Value>>>()?
        }
    };
    Ok(Json(json!({
        "snapshot_id": snapshot.id.as_str(),
        "dataset_id": snapshot.trigger.dataset_id.0,
        "scraper": scraper.name(),
        "scraper_version": scraper.version(),
        "record": number,
        "row": added(&record),
        "page": {
            "kept": false,
            "message": "The page of this record was not kept: these are the rules that looked for each field, in the order \
                        in which they were tried, without what each found. `trawl extract --explain` tells that of a saved page.",
        },
        "fields": fields,
    })))
}

/// The keys of a row that are not the scraper's.
fn added(record: &Map<String, Value>) -> Map<String, Value> {
    ADDED.iter().filter_map(|key| Some(((*key).to_owned(), record.get(*key)?.clone()))).collect()
}

/// The whole explanation, from the page that was kept.
async fn from_page(
    shared: &Shared,
    snapshot: &Snapshot,
    scraper: Arc<Scraper>,
    record: &Map<String, Value>,
    (row, kept): (u64, OfRow),
    field: Option<&str>,
) -> Result<Value> {
    let OfRow { page: entry, number } = kept;
    let page = match shared.archive.page(&entry).await {
        Ok(page) => page,
        // A replay refers to pages of a run that may have expired since.
        Err(ArchiveError::Bucket(BucketError::NotFound(_))) => {
            return Err(ApiError::missing("The page of this record was kept by a snapshot that is expired"));
        }
        Err(error) => return Err(ApiError::internal(error)),
    };
    let door = snapshot.trigger.door.clone();
    let (input, name) = (entry.input.clone(), field.map(str::to_owned));
    // Pages are bounded, and looking into one takes milliseconds; not on the threads that answer, all the same.
    let explained = tokio::task::spawn_blocking(move || {
        let explained = scraper.explain(&door, &input, &page, number, name.as_deref());
        explained.map(|explanation| (scraper, explanation))
    });
    let (scraper, explanation) = match explained.await.map_err(ApiError::internal)? {
        Ok(explained) => explained,
        Err(error @ ExplainError::NoField { .. }) => {
            return Err(ApiError::option(format!("\"field\": {error}")));
        }
        Err(error) => return Err(ApiError::internal(error)),
    };
    let mut fields = Vec::with_capacity(explanation.fields.len());
    for trace in &explanation.fields {
        let mut told = serde_json::to_value(trace).map_err(ApiError::internal)?;
        told["rules"] = json!(scraper.rules(&trace.field).unwrap_or_default());
        fields.push(told);
    }
    Ok(json!({
        "snapshot_id": snapshot.id.as_str(),
        "dataset_id": snapshot.trigger.dataset_id.0,
        "scraper": scraper.name(),
        "scraper_version": scraper.version(),
        "record": row,
        "row": added(record),
        "page": {
            "kept": true,
            "url": entry.url,
            "status": entry.status,
            "fetched_at": entry.at.to_string(),
            "kind": explanation.page_kind,
            "record": number,
            "place": explanation.row,
            "warc": place(shared, &entry.head).await?,
            "body": match &entry.body {
                Some(body) => place(shared, body).await?,
                None => Value::Null,
            },
        },
        "fields": fields,
    }))
}

/// Where a record lies: in the part, and in the download of the snapshot whose part it is.
async fn place(shared: &Shared, place: &Place) -> Result<Value> {
    let owner = place.part.split('/').nth(1).and_then(SnapshotId::parse);
    let begins = match &owner {
        Some(id) => match shared.archive.part_offset(id, &place.part).await {
            Ok(begins) => begins,
            Err(ArchiveError::Store(StoreError::NotFound(_))) => None,
            Err(error) => return Err(ApiError::internal(error)),
        },
        None => None,
    };
    Ok(json!({
        "snapshot_id": owner,
        "part": place.part,
        "offset": place.offset,
        "length": place.length,
        "offset_in_download": begins.map(|begins| begins + place.offset),
    }))
}

fn field(scraper: &Scraper, record: &Map<String, Value>, name: &str) -> Result<Value> {
    let rules = scraper.rules(name).map_err(|error| ApiError::option(format!("\"field\": {error}")))?;
    let pointer: String =
        name.replace('[', ".").replace(']', "").split('.').map(|key| format!("/{key}")).collect();
    let first = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    let value = record.get(first).and_then(|value| value.pointer(&pointer[first.len() + 1..]));
    Ok(json!({ "field": name, "value": value, "rules": rules }))
}

/// One row, read as a download of one part would be.
async fn record(
    shared: &Shared,
    snapshot: &Snapshot,
    scraper: &Scraper,
    number: u64,
) -> Result<Map<String, Value>> {
    let shape = Rows::shape(snapshot, Some(scraper), Format::Ndjson, false);
    let stream = shared.rows.stream(snapshot, shape, false, Range::part(number, 1));
    // A row is never longer than a page's records may be.
    let line = stream.try_fold(Vec::new(), |mut line, bytes| async move {
        line.extend_from_slice(&bytes);
        Ok(line)
    });
    serde_json::from_slice(&line.await.map_err(ApiError::internal)?).map_err(ApiError::internal)
}
