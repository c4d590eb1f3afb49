//! The quality gate, seen from outside: what a run's records are like beside the runs before, the release of a run that is
//! held back, and the dataset's current snapshot.

use super::auth::Principal;
use super::error::{ApiError, Result};
use super::progress::{projection, status};
use super::query::{Kind, Param, Query, optional, required};
use super::{Shared, ids_of};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use model::quality::{Field, Kind as Type, Profile, Stats};
use model::{Snapshot, SnapshotState};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use store::{Judged, SnapshotFilter, StoreError};

pub(super) const RELEASE: &[Param] = &[optional(
    "accept",
    Kind::Flag,
    "Take the snapshot as the new normal: later ones are compared with it and what follows it.",
)];

pub(super) const CURRENT: &[Param] =
    &[required("dataset_id", Kind::Text, "Which scraper: its dataset id, an alias of it, or its name.")];

/// What the records of a run are like so far, and the verdict once there is one.
pub(super) async fn quality(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let snapshot = shared.snapshot(&principal, &id).await?;
    let judged = shared.store.quality(&snapshot.id).await?;
    Ok(Json(report(&snapshot, &judged)))
}

fn report(snapshot: &Snapshot, judged: &Judged) -> Value {
    let Judged { profile, before } = judged;
    let mut body = json!({
        "snapshot_id": snapshot.id.as_str(),
        "dataset_id": snapshot.trigger.dataset_id.0,
        "status": status(snapshot.state),
        "quarantined": snapshot.state == SnapshotState::Quarantined,
        "scraper_version": snapshot.trigger.scraper_version,
        "quality": snapshot.grade().map(|grade| grade.as_str()),
        "quality_reasons": snapshot.quality.as_ref().map(|quality| quality.reasons.clone()).unwrap_or_default(),
        "records": profile.rows,
        "inputs": profile.given,
        "records_per_input": ratio(profile.rows, profile.given),
        "baseline": { "snapshots": before.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>() },
    });
    let before: Vec<&Profile> = before.iter().map(|(_, profile)| profile).collect();
    body["baseline"]["records_per_input"] = middle(before.iter().map(|p| share(p.rows, p.given)));
    let fields: Map<String, Value> = profile
        .fields
        .iter()
        .map(|(name, field)| (name.clone(), field_report(name, field, profile, &before)))
        .collect();
    body["fields"] = Value::Object(fields);
    let pages = profile.pages.iter().map(|(kind, stats)| {
        let name = if kind.is_empty() { "(first page)" } else { kind };
        let means = before.iter().filter_map(|p| p.pages.get(kind)).map(Stats::mean);
        (name.to_owned(), json!({ "pages": stats.n, "gave": stats.mean(), "baseline_gave": middle(means) }))
    });
    body["pages"] = Value::Object(pages.collect());
    let all = profile.errors.values().sum::<u64>() + profile.pages_read();
    let errors = profile
        .errors
        .iter()
        .map(|(code, n)| (code.as_str().to_owned(), json!({ "n": n, "share": ratio(*n, all) })));
    body["error_codes"] = Value::Object(errors.collect());
    body
}

fn field_report(name: &str, field: &Field, profile: &Profile, before: &[&Profile]) -> Value {
    let was = || before.iter().filter_map(|p| Some((p.whole(name), p.fields.get(name)?)));
    let types: Map<String, Value> = Type::ALL
        .into_iter()
        .zip(field.kinds)
        .filter(|(_, n)| *n > 0)
        .map(|(kind, n)| (kind.as_str().to_owned(), json!(n)))
        .collect();
    let mut body = json!({
        "filled": field.filled,
        "fill_rate": ratio(field.filled, profile.whole(name)),
        "baseline_fill_rate": middle(was().map(|(rows, f)| share(f.filled, rows))),
        "types": types,
    });
    let mut size = |word: &str, pick: fn(&Field) -> Stats| {
        let stats = pick(field);
        if let Some(mean) = stats.mean() {
            let baseline = middle(was().map(|(_, f)| pick(f).mean()));
            body[word] =
                json!({ "min": stats.min, "max": stats.max, "mean": mean, "baseline_mean": baseline });
        }
    };
    size("number", |f| f.numbers);
    size("text_length", |f| f.lengths);
    size("list_length", |f| f.items);
    body
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
fn share(n: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| n as f64 / of as f64)
}

fn ratio(n: u64, of: u64) -> Value {
    share(n, of).map_or(Value::Null, Value::from)
}

/// The middle one of what there is.
fn middle(values: impl Iterator<Item = Option<f64>>) -> Value {
    let mut values: Vec<f64> = values.flatten().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map_or(Value::Null, |value| Value::from(*value))
}

/// Lets the rows of a run go; answers as progress does.
pub(super) async fn release(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Map<String, Value>>> {
    let query = Query::read(raw.as_deref(), RELEASE)?;
    let snapshot = shared.snapshot(&principal, &id).await?;
    let now = shared.clock.now();
    match shared.store.release(&snapshot.id, query.flag("accept"), now).await {
        Ok(()) => {}
        Err(StoreError::Conflict(why)) => return Err(ApiError::bad(sentence(why))),
        Err(error) => return Err(error.into()),
    }
    tracing::info!(snapshot = %snapshot.id, user = %principal.name, accepted = query.flag("accept"), "released");
    Ok(Json(projection(&shared.store.snapshot(&snapshot.id).await?, now)))
}

/// `the snapshot is …` as callers read it: `Snapshot is …`.
fn sentence(why: &str) -> String {
    why.strip_prefix("the snapshot").map_or_else(|| why.to_owned(), |rest| format!("Snapshot{rest}"))
}

/// The newest snapshot of a dataset that is ready and not held back.
pub(super) async fn current(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    RawQuery(raw): RawQuery,
) -> Result<Json<Map<String, Value>>> {
    let query = Query::read(raw.as_deref(), CURRENT)?;
    let dataset = query.text("dataset_id").ok_or_else(|| ApiError::option("\"dataset_id\" is required"))?;
    principal.check(&shared, dataset)?;
    let mut datasets = shared.catalogue.find(dataset).map(|scraper| ids_of(&scraper)).unwrap_or_default();
    if !datasets.iter().any(|id| id == dataset) {
        datasets.push(dataset.to_owned());
    }
    let filter = SnapshotFilter {
        datasets: Some(datasets),
        states: Some(vec![SnapshotState::Ready]),
        limit: 1,
        ..SnapshotFilter::default()
    };
    let (found, _) = shared.store.snapshots(filter).await?;
    let snapshot = found.first().ok_or_else(|| ApiError::missing("No snapshot of the dataset is ready"))?;
    Ok(Json(projection(snapshot, shared.clock.now())))
}
