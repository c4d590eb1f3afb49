//! `GET /datasets/v3/snapshot/{id}`: the rows; `/parts`: into how many parts they fall; `/input`: what was sent.

use super::Shared;
use super::auth::Principal;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, optional};
use crate::rows::{Range, Rows, held_back};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use format::{Shape, Writer};
use futures_util::{Stream, StreamExt, TryStreamExt};
use model::{Format, Snapshot, SnapshotState, limit};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const FORMAT: Param = optional("format", Kind::Format, "Format of the rows; `json` if absent.");
pub(super) const COMPRESS: Param = optional("compress", Kind::Flag, "The body is a gzip file.");
const BATCH: Param =
    optional("batch_size", Kind::Count(limit::BATCH_ROWS_MIN, i64::MAX as u64), "Rows of a part.");
const PART: Param =
    optional("part", Kind::Count(1, i64::MAX as u64), "Which part, from 1; with `batch_size`.");
pub(super) const GUARD: Param = optional(
    "csv_formula_guard",
    Kind::Flag,
    "CSV: cells that begin with =, +, - or @ get a leading apostrophe.",
);

/// Insists on rows that the quality gate holds back.
pub(super) const QUARANTINED: Param =
    optional("quarantined", Kind::Flag, "Also if the snapshot is held back by the quality gate.");

pub(super) const DOWNLOAD: &[Param] = &[FORMAT, COMPRESS, BATCH, PART, GUARD, QUARANTINED];
pub(super) const PARTS: &[Param] = &[FORMAT, COMPRESS, BATCH, QUARANTINED];

/// Distinct keys of input rows that become columns of the input's CSV.
const INPUT_COLUMNS: usize = 2_000;

/// Which part of the rows.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// From 1.
    number: u64,
    batch_size: u64,
}

/// The rows.
pub(super) async fn download(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let query = Query::read(raw.as_deref(), DOWNLOAD)?;
    let snapshot = shared.snapshot(&principal, &id).await?;
    match snapshot.state {
        SnapshotState::Starting | SnapshotState::Running | SnapshotState::Expiring => return Ok(not_ready()),
        _ if is_given(&snapshot, &query) => {}
        _ => return Err(ApiError::bad(why_not(&snapshot))),
    }
    let part = match (query.count("batch_size"), query.count("part")) {
        (Some(batch_size), number) => Some(Part { number: number.unwrap_or(1), batch_size }),
        (None, None | Some(1)) => None,
        (None, Some(_)) => return Err(ApiError::option("\"part\" needs \"batch_size\"")),
    };
    if let Some(part) = part
        && part.number > parts_of(&snapshot, part.batch_size)
    {
        let most = parts_of(&snapshot, part.batch_size);
        return Err(ApiError::option(format!("\"part\" must be less than or equal to {most}")));
    }
    let format = query.format().unwrap_or_default();
    let guard = query.flag("csv_formula_guard");
    if query.flag("compress") {
        let mut response = body_of(&shared, &snapshot, format, part, true, guard).await?;
        set(&mut response, CONTENT_TYPE, "application/gzip");
        let number = part.map_or_else(String::new, |part| format!(".{}", part.number));
        let name = format!("attachment; filename=\"{}{number}.{}.gz\"", snapshot.id, format.as_str());
        set(&mut response, CONTENT_DISPOSITION, &name);
        return Ok(response);
    }
    rows(&shared, &snapshot, format, part, takes_gzip(&headers) && !format.is_packed(), guard).await
}

/// The rows as an answer, content-encoded if the caller takes that.
pub(super) async fn rows(
    shared: &Shared,
    snapshot: &Snapshot,
    format: Format,
    part: Option<Part>,
    gzip: bool,
    guard: bool,
) -> Result<Response> {
    let mut response = body_of(shared, snapshot, format, part, gzip, guard).await?;
    set(&mut response, CONTENT_TYPE, format.content_type());
    set(&mut response, VARY, "accept-encoding");
    if gzip {
        set(&mut response, CONTENT_ENCODING, "gzip");
    }
    Ok(response)
}

async fn body_of(
    shared: &Shared,
    snapshot: &Snapshot,
    format: Format,
    part: Option<Part>,
    gzip: bool,
    guard: bool,
) -> Result<Response> {
    let scraper = shared.scraper_of(snapshot).await;
    let shape = Rows::shape(snapshot, scraper.as_deref(), format, guard);
    let range = part.map_or(Range::ALL, |part| Range::part(part.number.saturating_sub(1), part.batch_size));
    if let Some(why) = Rows::refusal(snapshot, &shape, range) {
        return Err(ApiError::bad(why));
    }
    let stream = shared.rows.stream(snapshot, shape, gzip, range);
    let mut response =
        Body::from_stream(stream.inspect_err(|error| tracing::error!(%error, "a download broke off")))
            .into_response();
    set(&mut response, axum::http::HeaderName::from_static("x-snapshot-id"), snapshot.id.as_str());
    Ok(response)
}

pub(super) fn set(response: &mut Response, name: axum::http::HeaderName, value: &str) {
    // Values are ids, words and file names of ours: always visible ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Does the caller's `Accept-Encoding` name gzip, and not refuse it?
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let words = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    words.flat_map(|v| v.split(',')).any(|word| {
        let mut parts = word.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|p| p.strip_prefix("q=")?.parse::<f32>().ok());
        is_gzip && weight.is_none_or(|q| q > 0.0)
    })
}

/// Whether the rows may be had: they are ready, or the caller insists.
pub(super) fn is_given(snapshot: &Snapshot, query: &Query) -> bool {
    match snapshot.state {
        SnapshotState::Ready => true,
        SnapshotState::Quarantined => query.flag("quarantined"),
        _ => false,
    }
}

/// Why there is nothing to download (api.md 5.4, 14).
pub(super) fn why_not(snapshot: &Snapshot) -> String {
    match snapshot.state {
        SnapshotState::Expired => "Snapshot is expired".into(),
        SnapshotState::Canceled | SnapshotState::Cancelling => "Snapshot is canceled".into(),
        SnapshotState::Quarantined => {
            format!("{} (\"quarantined=true\" gives the rows all the same)", held_back(snapshot))
        }
        SnapshotState::Failed => snapshot.message.clone().unwrap_or_else(|| "Snapshot is empty".into()),
        _ => "Snapshot is not ready".into(),
    }
}

pub(super) fn not_ready() -> Response {
    let body = Json(json!({ "status": "running", "message": "Snapshot is not ready yet, try again in 10s" }));
    (StatusCode::ACCEPTED, [(RETRY_AFTER, "10")], body).into_response()
}

fn parts_of(snapshot: &Snapshot, batch_size: u64) -> u64 {
    snapshot.visible_rows().div_ceil(batch_size).max(1)
}

/// Into how many parts the rows fall.
pub(super) async fn parts(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>> {
    let query = Query::read(raw.as_deref(), PARTS)?;
    let snapshot = shared.snapshot(&principal, &id).await?;
    if !is_given(&snapshot, &query) {
        return Err(ApiError::bad(why_not(&snapshot)));
    }
    let parts = query.count("batch_size").map_or(1, |batch_size| parts_of(&snapshot, batch_size));
    Ok(Json(json!({ "parts": parts })))
}

/// What was sent, as CSV: one column for each key of any row.
pub(super) async fn input(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let snapshot = shared.snapshot(&principal, &id).await?;
    let mut columns: Vec<String> = Vec::new();
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        let (inputs, next) = shared.store.inputs(&snapshot.id, from).await?;
        if inputs.is_empty() && from == 0 {
            return Err(ApiError::bad("Snapshot input does not exist"));
        }
        for input in &inputs {
            let row: Value = serde_json::from_str(&input.row).map_err(ApiError::internal)?;
            for key in row.as_object().into_iter().flat_map(|row| row.keys()) {
                if columns.len() < INPUT_COLUMNS && !columns.contains(key) {
                    columns.push(key.clone());
                }
            }
        }
        cursor = next;
    }
    let writer =
        Writer::new(Shape::Csv { columns, formula_guard: false }, false).map_err(ApiError::internal)?;
    let body = Body::from_stream(input_lines(shared, snapshot, writer));
    Ok(([(CONTENT_TYPE, Format::Csv.content_type())], body).into_response())
}

/// The second pass: batch after batch.
fn input_lines(
    shared: Arc<Shared>,
    snapshot: Snapshot,
    writer: Writer,
) -> impl Stream<Item = std::io::Result<Bytes>> {
    let start = (shared, snapshot.id, Some(writer), Some(0_u64));
    futures_util::stream::try_unfold(start, |(shared, id, mut writer, cursor)| async move {
        let Some(mut open) = writer.take() else { return Ok(None) };
        let mut out = Vec::new();
        let Some(from) = cursor else {
            open.finish(&mut out).map_err(std::io::Error::other)?;
            return Ok(Some((Bytes::from(out), (shared, id, None, None))));
        };
        let (inputs, next) = shared.store.inputs(&id, from).await.map_err(std::io::Error::other)?;
        for input in inputs {
            let line = format!("{}\n", input.row);
            open.push(line.as_bytes(), &mut out).map_err(std::io::Error::other)?;
        }
        Ok(Some((Bytes::from(out), (shared, id, Some(open), next))))
    })
    .boxed()
}
