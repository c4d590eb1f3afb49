//! Hosts as the fetcher knows them: pace, trouble, robots.txt.

use super::Shared;
use super::auth::Principal;
use super::error::{ApiError, Result};
use super::query::{Kind, Param, Query, optional};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde_json::{Value, json};
use std::sync::Arc;

/// Hosts of one answer: at most, and if the caller does not say.
const HOSTS_MAX: u64 = 1_000;
const HOSTS_DEFAULT: u64 = 100;

pub(super) const LIST: &[Param] = &[
    optional("host", Kind::Text, "Only hosts whose name contains this."),
    optional("limit", Kind::Count(1, HOSTS_MAX), "Hosts at most; 100 if absent."),
];

/// Where hosts are looked up.
pub trait Hosts: Send + Sync + 'static {
    /// Hosts whose name contains `part`, those with most to tell first, at most `most`; and how many there are.
    fn list(&self, part: &str, most: usize) -> (Vec<Value>, usize);
    /// One of them.
    fn one(&self, name: &str) -> Option<Value>;
}

/// Known hosts, those that somebody waits for first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>> {
    principal.check_all()?;
    let query = Query::read(raw.as_deref(), LIST)?;
    let most = query.count("limit").unwrap_or(HOSTS_DEFAULT);
    let part = query.text("host").unwrap_or_default().to_lowercase();
    let (hosts, total) = shared.hosts.list(&part, usize::try_from(most).unwrap_or(usize::MAX));
    Ok(Json(json!({ "hosts": hosts, "total": total })))
}

/// One host.
pub(super) async fn host(
    State(shared): State<Arc<Shared>>,
    principal: Principal,
    Path(name): Path<String>,
) -> Result<Json<Value>> {
    principal.check_all()?;
    let host = shared.hosts.one(&name.to_lowercase());
    host.map(Json).ok_or_else(|| ApiError::missing("Nothing is known of this host"))
}
