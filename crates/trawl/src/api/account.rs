//! The account side that official clients ask for when they start (api.md 12): true answers of a server that has no
//! accounts and no zones.

use super::Shared;
use super::access::Peer;
use super::auth::Principal;
use axum::Json;
use axum::extract::{Extension, State};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn status(
    State(_): State<Arc<Shared>>,
    principal: Principal,
    peer: Option<Extension<Peer>>,
) -> Json<Value> {
    let ip = peer.map(|peer| peer.0.0.ip().to_string()).unwrap_or_default();
    Json(
        json!({ "status": "active", "customer": principal.name.as_ref(), "can_make_requests": true, "ip": ip }),
    )
}

pub(super) async fn balance() -> Json<Value> {
    Json(json!({ "balance": 0, "pending_balance": 0 }))
}

/// No zones.
pub(super) async fn zones() -> Json<Value> {
    Json(json!([]))
}

pub(super) async fn zone() -> Json<Value> {
    Json(json!({}))
}

/// Clients make the zones that they miss; there is nothing to make.
pub(super) async fn make_zone() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

pub(super) async fn zone_cost() -> Json<Value> {
    Json(json!({}))
}

pub(super) async fn zone_passwords() -> Json<Value> {
    Json(json!({ "passwords": [] }))
}
