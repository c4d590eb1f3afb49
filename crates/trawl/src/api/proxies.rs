//! `GET /proxies`: how the proxies of the setting `fetch.proxy` fare, without their credentials.

use super::Shared;
use super::auth::Principal;
use axum::Json;
use axum::extract::State;
use fetch::ProxyStats;
use serde_json::{Value, json};
use std::sync::Arc;

/// Tells how they fare now.
pub type Source = Arc<dyn Fn() -> Vec<ProxyStats> + Send + Sync>;

pub(super) async fn proxies(State(shared): State<Arc<Shared>>, _: Principal) -> Json<Value> {
    Json((shared.proxies)().iter().map(row).collect())
}

fn row(proxy: &ProxyStats) -> Value {
    json!({
        "address": proxy.address,
        "scheme": proxy.scheme.as_str(),
        "country": proxy.country,
        "labels": proxy.labels,
        "state": proxy.state.as_str(),
        "rests_ms": proxy.rests_ms,
        "in_flight": proxy.in_flight,
        "requests": proxy.requests,
        "answered": proxy.answered,
        "failures": proxy.failures,
        "unreached": proxy.unreached,
        "last_error": proxy.last_error,
    })
}
