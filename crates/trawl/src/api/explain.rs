//! `GET /datasets/v3/snapshot/{id}/explain`: where a record's values came from.
//!
//! Pages are not kept (yet): what a rule found on the page cannot be told afterwards, and the answer says so.

use super::Shared;
use super::auth::Principal;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, optional};
use super::snapshot::{QUARANTINED, is_given, why_not};
use crate::rows::{Range, Rows};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use extract::Scraper;
use futures_util::TryStreamExt;
use model::{Format, Snapshot};
use serde_json::{Map, Value, json};
use std::sync::Arc;

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
    let fields = match query.text("field") {
        Some(name) => vec![field(&scraper, &record, name)?],
        None => {
            let names = scraper.fields().iter().map(|f| f.name.as_str());
            names.map(|name| field(&scraper, &record, name)).collect::<Result<Vec<Value>>>()?
        }
    };
    let added: Map<String, Value> =
        ADDED.iter().filter_map(|key| Some(((*key).to_owned(), record.get(*key)?.clone()))).collect();
    Ok(Json(json!({
        "snapshot_id": snapshot.id.as_str(),
        "dataset_id": snapshot.trigger.dataset_id.0,
        "scraper": scraper.name(),
        "scraper_version": scraper.version(),
        "record": number,
        "row": added,
        "page": {
            "kept": false,
            "message": "The page of this record was not kept: these are the rules that looked for each field, in the order \
                        in which they were tried, without what each found. `trawl extract --explain` tells that of a saved page.",
        },
        "fields": fields,
    })))
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
